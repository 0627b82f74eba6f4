"""Figures of QiD as a gauge of training: tables of `training_level` in, figures out. Style is in `style`."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from helpers.analyse.laws.law import Law
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures.comparisons import panels_by_bits
from helpers.show.figures.sizes import name_at_ends, name_beside
from helpers.show.style import (
    BITS_COLOURS,
    INK,
    MARKERS,
    PALE,
    SIZE_LABEL,
    TOKENS_LABEL,
    Style,
    count_scale,
    legend_beside,
    size_styles,
)

FACTORS = (0.05, 0.1, 0.2, 0.5, 0.7, 1, 1.4, 2, 5, 10)


def _factor_scale(axes: Axes, axis: str, label: str, ticks: tuple[float, ...] = FACTORS) -> None:
    """Make an axis of factors logarithmic, with those of `ticks` that fit written as plain numbers."""
    getattr(axes, f"set_{axis}scale")("log")
    low, high = getattr(axes, f"get_{axis}lim")()
    scale = getattr(axes, f"{axis}axis")
    scale.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    scale.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    scale.set_minor_formatter(NullFormatter())
    getattr(axes, f"set_{axis}label")(label)


def tokens_of_level(levels: pd.DataFrame, law: Law) -> Figure:
    """Draw tokens at which a level of QiD is reached against size, measured and by a law; one panel per bit width.

    `levels` comes from `tokens_at_levels`. Hollow arrows: not reached up to the last checkpoint (up), or already at the
    first (down). Dotted: one number of tokens per parameter, that of the largest size which reached the level.
    """
    figure, panels = panels_by_bits(levels["bits"])
    sizes = np.geomspace(levels[N_PARAMS].min(), levels[N_PARAMS].max(), 50)
    for bits, axes in panels.items():
        rows, colour = levels[levels["bits"] == bits], BITS_COLOURS[int(bits)]
        level = rows["qid_nats"].iloc[0]
        axes.plot(sizes, law.tokens_at(level, sizes, bits), color=INK, linewidth=1.2, label="law")
        largest = rows[rows["crossed"] == "here"].sort_values(N_PARAMS).iloc[-1:]
        for one in largest.itertuples():
            line = sizes * one.tokens / getattr(one, N_PARAMS)
            axes.plot(sizes, line, color=PALE, linestyle=":", linewidth=1.5, label="equal D / N")
        hollow: Style = {"color": colour, "linestyle": "", "markerfacecolor": "none"}
        places = {
            "here": ("tokens", "o", "measured"),
            "not yet": ("last_tokens", "^", "later than"),
            "before": ("first_tokens", "v", "sooner than"),
        }
        for crossed, (column, marker, label) in places.items():
            part = rows[rows["crossed"] == crossed]
            if not part.empty:
                style: Style = {"color": colour, "linestyle": ""} if crossed == "here" else hollow
                axes.plot(part[N_PARAMS], part[column], marker=marker, label=label, **style)
        axes.set(title=f"{bits:g} bits, {level:g} nats", yscale="log")
        axes.set_ylim(levels["first_tokens"].min() / 2, levels["last_tokens"].max() * 2)
        count_scale(axes, "x", "")
        count_scale(axes, "y", "tokens at that QiD\n(training tokens D)")
        axes.label_outer()
    kinds = {
        label: line for axes in panels.values() for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(kinds.values(), kinds.keys(), loc="outside right upper")
    figure.supxlabel(SIZE_LABEL, fontsize="medium")
    return figure


def reading_over_truth(gauges: Mapping[str, pd.DataFrame], level: float) -> Figure:
    """Draw tokens read over true tokens against true tokens: one panel per gauge (its title), one line per size.

    Tables have the columns of `training_level.without_own_run`. Hollow: the interval at `level` misses the truth.
    """
    figure, panels = plt.subplots(1, len(gauges), sharey=True, squeeze=False, figsize=(2.5 * len(gauges) + 1.2, 3.8))
    for axes, (title, table) in zip(panels[0], gauges.items(), strict=True):
        axes.axhline(1.0, color=INK, linewidth=0.8)
        styles = size_styles(table[N_PARAMS])
        for size, rows in table.sort_values(TOKENS_SEEN).groupby(N_PARAMS):
            axes.plot(rows[TOKENS_SEEN], rows["ratio"], linewidth=1.2, **styles[size])
            missed = rows[~rows["covered"]]
            colours = {"color": styles[size]["color"], "markerfacecolor": axes.get_facecolor(), "zorder": 3}
            axes.plot(missed[TOKENS_SEEN], missed["ratio"], linestyle="", marker=styles[size]["marker"], **colours)
        axes.set_title(title)
        count_scale(axes, "x", "")
        _factor_scale(axes, "y", "tokens read over true tokens (factor)")
        axes.label_outer()
    name_beside(panels[0], size_styles(table[N_PARAMS]), f"size N; hollow: outside\nof the {level:.0%} interval")
    figure.supxlabel(TOKENS_LABEL, fontsize="medium")
    return figure


def apparent_over_true(table: pd.DataFrame) -> Figure:
    """Draw apparent over true tokens by way of training and gauge; pale strokes reach over single sizes.

    Columns: `way`, `gauge` ("2 bits", ..., "16-bit loss"), `factor`, `low`, `high` (NaN: no bar), `lowest`, `highest`.
    Ways stand in the table's order, the first on top.
    """
    ways, gauges = list(table["way"].unique())[::-1], list(table["gauge"].unique())
    figure, axes = plt.subplots(figsize=(7.4, 0.55 * len(ways) + 1.2))
    axes.axvline(1.0, color=INK, linewidth=0.8, zorder=0)
    colours = {f"{bits} bits": colour for bits, colour in BITS_COLOURS.items()}
    for index, gauge in enumerate(gauges):
        rows = table[table["gauge"] == gauge]
        heights = rows["way"].map(ways.index) + 0.18 * ((len(gauges) - 1) / 2 - index)
        axes.hlines(heights, rows["lowest"], rows["highest"], color=PALE, alpha=0.6, linewidth=4)
        bars = [rows["factor"] - rows["low"], rows["high"] - rows["factor"]]
        style = {"color": colours.get(gauge, INK), "marker": MARKERS[index], "label": gauge}
        axes.errorbar(rows["factor"], heights, xerr=bars, linestyle="", **style)
    axes.set_yticks(range(len(ways)), ways)
    ticks = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1, 1.2, 1.4, 1.7, 2, 2.5, 3, 4, 5)
    _factor_scale(axes, "x", "apparent over true tokens (factor)", ticks)
    axes.grid(visible=False, axis="y")
    legend_beside(axes, "read off")
    return figure


def lost_doublings(gains: pd.DataFrame) -> Figure:
    """Draw QiD over what the last doubling of tokens gained against tokens: one panel per bit width, one line per size.

    `gains` comes from `gains_of_doubling`. Above the line at one, rounding costs more than that doubling brought.
    """
    figure, panels = panels_by_bits(gains["bits"])
    styles = size_styles(gains[N_PARAMS])
    for bits, axes in panels.items():
        axes.axhline(1.0, color=INK, linewidth=0.8)
        for size, rows in gains[gains["bits"] == bits].sort_values(TOKENS_SEEN).groupby(N_PARAMS):
            axes.plot(rows[TOKENS_SEEN], rows["doublings"], linewidth=1.2, **styles[size])
        count_scale(axes, "x", "")
        axes.set(yscale="log", ylabel="QiD over the gain of the\nlast doubling (factor)")
        axes.label_outer()
    ticks = panels[max(panels)].yaxis
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    name_at_ends(panels.values(), styles)
    figure.supxlabel(TOKENS_LABEL, fontsize="medium")
    return figure
