"""Figures of comparisons: tables of `trends`, `twins`, `ways` or `noise` in, axes or figures out. Style: `style`."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures.sizes import name_at_ends, named_sizes, stand_out
from helpers.show.style import (
    BITS_COLOURS,
    INK,
    MARKERS,
    METHOD_COLOURS,
    PALE,
    QID_LABEL,
    SIZE_LABEL,
    TOKENS_LABEL,
    Style,
    axes_or_new,
    count_label,
    count_scale,
    legend_beside,
    qid_scale,
    size_styles,
)

COUNT_LABELS = {N_PARAMS: SIZE_LABEL, TOKENS_SEEN: TOKENS_LABEL}
EFFECTIVE_LABEL = "effective bits (bits per weight, scales counted)"
SEEDS_LABEL = "this machine minus stored QiD\n(differences between two seeds)"


def panels_by_bits(bits: pd.Series) -> tuple[Figure, dict[float, Axes]]:
    """Return a figure with one panel per bit width, side by side with a common vertical axis."""
    widths = np.sort(bits.unique())
    figure, panels = plt.subplots(1, widths.size, sharey=True, squeeze=False, figsize=(2.6 * widths.size + 0.9, 3.6))
    for width, axes in zip(widths, panels[0], strict=True):
        axes.set_title(f"{width:g} bits")
    return figure, dict(zip(widths, panels[0], strict=True))


def token_styles(tokens: pd.Series) -> dict[float, Style]:
    """Return colour, marker and label of each number of training tokens, the more the darker."""
    distinct = np.unique(tokens)
    shades = plt.get_cmap("plasma")(np.linspace(0.8, 0.0, distinct.size))
    return {
        count: {"color": shade, "marker": MARKERS[index % len(MARKERS)], "label": count_label(count)}
        for index, (count, shade) in enumerate(zip(distinct, shades, strict=True))
    }


def qid_against_size_by_tokens(table: pd.DataFrame) -> Figure:
    """Draw QiD against size N: one panel per bit width, one line per count of tokens, paired errors as bars."""
    styles = token_styles(table[TOKENS_SEEN])
    figure, panels = panels_by_bits(table["bits"])
    for bits, axes in panels.items():
        for tokens, rows in table[table["bits"] == bits].sort_values(N_PARAMS).groupby(TOKENS_SEEN):
            axes.errorbar(rows[N_PARAMS], rows["qid_nats"], rows["qid_se_nats"], linewidth=1.2, **styles[tokens])
        count_scale(axes, "x", "")
        qid_scale(axes, "y", table["qid_nats"])
        axes.label_outer()
    figure.supxlabel(SIZE_LABEL, fontsize="medium")
    legend_beside(axes, "tokens D")
    return figure


def _factor_scale(axes: Axes, label: str, axis: str = "y", ticks: Iterable[float] | None = None) -> None:
    """Make the `axis` (x or y) of a factor logarithmic, with ticks that read 1, 2, 5 or at `ticks`, and mark 1."""
    line, ruler = (axes.axhline, axes.yaxis) if axis == "y" else (axes.axvline, axes.xaxis)
    line(1.0, color=PALE, linewidth=1.2, zorder=0)
    getattr(axes, f"set_{axis}scale")("log")
    ruler.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if ticks is None else FixedLocator(list(ticks)))
    ruler.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ruler.set_minor_formatter(NullFormatter())
    ruler.set_label_text(label)


def ratio_against_tokens(ratios: pd.DataFrame, label: str) -> Figure:
    """Draw the ratios of `qid_ratio` against tokens: one panel per bit width, one line per size, errors as bars."""
    styles = size_styles(ratios[N_PARAMS])
    figure, panels = panels_by_bits(ratios["bits"])
    for bits, axes in panels.items():
        for size, rows in ratios[ratios["bits"] == bits].sort_values(TOKENS_SEEN).groupby(N_PARAMS):
            axes.errorbar(rows[TOKENS_SEEN], rows["ratio"], rows["ratio_se"], linewidth=1.2, **styles[size])
        count_scale(axes, "x", TOKENS_LABEL)
        _factor_scale(axes, label, ticks=(1, 1.5, 2, 3, 4))
        axes.label_outer()
    name_at_ends(panels.values(), styles)
    return figure


def exponents(slopes: pd.DataFrame, across: str, label: str, axes: Axes | None = None) -> Axes:
    """Draw the `exponent` of `trends` against the column `across` (size or tokens), one line per bit width."""
    axes = axes_or_new(axes)
    for bits, rows in slopes.sort_values(across).groupby("bits"):
        style: Style = {"color": BITS_COLOURS[int(bits)], "marker": "o", "label": f"{bits:g} bits"}
        axes.plot(rows[across], rows["exponent"], linewidth=1.2, **style)
    axes.axhline(0.0, color=PALE, linewidth=1.2, zorder=0)
    count_scale(axes, "x", COUNT_LABELS[across])
    axes.set_ylabel(label)
    legend_beside(axes)
    return axes


def device_differences(agreement: pd.DataFrame, axes: Axes | None = None) -> Axes:
    """Draw `difference_in_seeds` of `agreement_in_seeds` against tokens, colour by bits, with the band from -2 to 2."""
    axes = axes_or_new(axes)
    axes.axhspan(-2, 2, color=PALE, alpha=0.15, linewidth=0)
    axes.axhline(0.0, color=PALE, linewidth=1.2)
    widths = np.sort(agreement["bits"].unique())
    shifts = 1.05 ** (np.arange(widths.size) - (widths.size - 1) / 2)
    for bits, shift in zip(widths, shifts, strict=True):
        rows = agreement[agreement["bits"] == bits]
        style: Style = {"color": BITS_COLOURS[int(bits)], "label": f"{bits:g} bits", "alpha": 0.75}
        axes.plot(rows[TOKENS_SEEN] * shift, rows["difference_in_seeds"], "o", **style)
    count_scale(axes, "x", TOKENS_LABEL)
    axes.set_ylabel(SEEDS_LABEL)
    legend_beside(axes)
    return axes


def ratios_by_way(ratios: pd.DataFrame, label: str, ticks: Iterable[float] | None = None) -> Axes:
    """Draw the ratios of `ways` one row per way of rounding, colour and marker by bits, intervals as bars.

    The ways stand in the order of their mean ln ratio; pale strokes are single training runs' lowest and highest.
    """
    order = np.log(ratios["ratio"]).groupby(ratios["way"]).mean().sort_values(ascending=False).index
    place, widths = {way: index for index, way in enumerate(order)}, np.sort(ratios["bits"].unique())
    axes = plt.subplots(figsize=(7.0, 0.3 * len(order) + 1.0))[1]
    for index, bits in enumerate(widths):
        rows = ratios[ratios["bits"] == bits]
        heights = rows["way"].map(place) + 0.22 * ((widths.size - 1) / 2 - index)
        axes.hlines(heights, rows["run_lowest"], rows["run_highest"], color=PALE, alpha=0.6, linewidth=4.5)
        bars = [rows["ratio"] - rows["low"], rows["high"] - rows["ratio"]]
        style: Style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[index], "label": f"{bits:g} bits"}
        axes.errorbar(rows["ratio"], heights, xerr=bars, linestyle="", **style)
    axes.set_yticks(range(len(order)), order)
    axes.grid(visible=False, axis="y")
    _factor_scale(axes, label, "x", ticks)
    legend_beside(axes)
    return axes


def qid_against_effective_bits(table: pd.DataFrame) -> Axes:
    """Draw QiD against effective bits, one line per way of rounding (column `way`), paired errors as bars."""
    axes = plt.subplots(figsize=(7.0, 3.6))[1]
    colours = [INK, *(BITS_COLOURS[bits] for bits in (2, 3, 4)), METHOD_COLOURS["rtn"], METHOD_COLOURS["autogptq"]]
    for index, way in enumerate(sorted(table["way"].unique())):
        rows = table[table["way"] == way].sort_values("effective_bits")
        style = {"color": colours[index % len(colours)], "marker": MARKERS[index % len(MARKERS)], "label": way}
        style["linestyle"] = "-" if index < len(colours) else "--"
        axes.errorbar(rows["effective_bits"], rows["qid_nats"], rows["qid_se_nats"], linewidth=1.0, **style)
    axes.set_xlabel(EFFECTIVE_LABEL)
    qid_scale(axes, "y", table["qid_nats"], QID_LABEL)
    legend_beside(axes)
    return axes


def scatter_about_mean(table: pd.DataFrame, across: str, series: str) -> Figure:
    """Draw QiD over the mean of its replicates (all rows of one model, step and bits) against size or tokens.

    One panel per bit width, one line per value of the column `series`: the seed of a draw, or the training run.
    """
    relative = table["qid_nats"] / table.groupby(["model", "step", "bits"])["qid_nats"].transform("mean")
    shown = table.assign(relative=relative).sort_values(across)
    figure, panels = panels_by_bits(table["bits"])
    for bits, axes in panels.items():
        axes.axhline(1.0, color=PALE, linewidth=1.2, zorder=0)
        for index, (_, rows) in enumerate(shown[shown["bits"] == bits].groupby(series)):
            style: Style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[index % len(MARKERS)], "alpha": 0.75}
            axes.plot(rows[across], rows["relative"], linewidth=0.7, **style)
        count_scale(axes, "x", "")
        axes.set_ylabel("QiD over its mean (factor)")
        axes.label_outer()
    figure.supxlabel(COUNT_LABELS[across], fontsize="medium")
    return figure


def error_against_documents(subsamples: pd.DataFrame, calibration: pd.Series) -> Axes:
    """Draw `relative_sd` of `documents_needed` (with the column `bits`) against documents, and calibration's, dashed.

    `calibration` has the relative standard deviation between draws of calibration text by bits.
    """
    axes = plt.subplots(figsize=(7.0, 3.6))[1]
    for index, (bits, rows) in enumerate(subsamples.groupby("bits")):
        style: Style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[index], "label": f"{bits:g} bits"}
        axes.plot(rows["n_documents"], rows["relative_sd"], linewidth=1.2, **style)
        axes.axhline(calibration[bits], color=BITS_COLOURS[int(bits)], linestyle="--", linewidth=1.2)
    axes.plot([], [], color=INK, linestyle="--", linewidth=1.2, label="calibration text")
    axes.set(xlabel="documents (files)", xscale="log", xticks=np.sort(subsamples["n_documents"].unique()))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    axes.set(ylabel="standard deviation (% of QiD)", ylim=(0, None))
    legend_beside(axes)
    return axes


def noise_parts(parts: pd.DataFrame) -> Axes:
    """Draw parts of the noise: columns `part`, `bits`, `relative_sd`, and `low`, `high` (missing: no bar)."""
    places = {part: index for index, part in enumerate(parts["part"].unique())}
    axes, widths = axes_or_new(None), np.sort(parts["bits"].unique())
    for index, bits in enumerate(widths):
        rows = parts[parts["bits"] == bits]
        bars = [rows["relative_sd"] - rows["low"], rows["high"] - rows["relative_sd"]]
        style: Style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[index], "label": f"{bits:g} bits"}
        shifted = rows["part"].map(places) + 0.15 * (index - (widths.size - 1) / 2)
        known = rows["low"].notna()
        errors = [100 * bar[known] for bar in bars]
        axes.errorbar(shifted[known], 100 * rows["relative_sd"][known], errors, linestyle="", **style)
        axes.plot(shifted[~known], 100 * rows["relative_sd"][~known], linestyle="", **style | {"label": "_nolegend_"})
    axes.set_xticks(range(len(places)), [part.replace(" ", "\n", 1) for part in places])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
    axes.set_ylabel("standard deviation (% of QiD)")
    axes.grid(visible=False, axis="x")
    legend_beside(axes)
    return axes


def note(text: str) -> Figure:
    """Return a small figure that only says `text`: for a comparison that these data don't allow."""
    figure = plt.figure(figsize=(7.0, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def ratios_in_panels(ratios: dict[str, pd.DataFrame], label: str, bounds: tuple[float, float]) -> Figure:
    """Draw the column `ratio` against tokens, one panel per title, one line per size; `bounds` cut off the rest."""
    styles, height = size_styles(pd.concat([rows[N_PARAMS] for rows in ratios.values()])), -(-len(ratios) // 3)
    figure, grid = plt.subplots(height, 3, sharex=True, sharey=True, squeeze=False, figsize=(8.6, 2.2 * height + 0.6))
    for axes, (title, rows) in zip(grid.flat, ratios.items(), strict=True):
        for size, line in rows.sort_values(TOKENS_SEEN).groupby(N_PARAMS):
            axes.plot(line[TOKENS_SEEN], line["ratio"], **styles[size] | {"linewidth": 1.0, "markersize": 3.5})
        axes.set_title(title, fontsize="medium")
        count_scale(axes, "x", "")
        _factor_scale(axes, "")
        axes.set_ylim(*bounds)
    stand_out(grid.flat, styles)
    handles = [grid[0, 0].plot([], [], **styles[size])[0] for size in named_sizes(styles)]
    figure.legend(handles=handles, title="size N", loc="outside right upper")
    figure.supxlabel(TOKENS_LABEL, fontsize="medium")
    figure.supylabel(label, fontsize="medium")
    return figure


def text_ratios_against_tokens(ratios: dict[str, pd.DataFrame], label: str) -> Figure:
    """Draw ratios of `ways.text_ratios` by bits and tokens, one panel per title, intervals as bars."""
    figure, panels = plt.subplots(1, len(ratios), sharey=True, squeeze=False, figsize=(2.7 * len(ratios) + 0.9, 3.6))
    for axes, (title, rows) in zip(panels[0], ratios.items(), strict=True):
        for index, (bits, line) in enumerate(rows.sort_values(TOKENS_SEEN).groupby("bits")):
            shifted = line[TOKENS_SEEN] * 1.04 ** (index - 1)
            bars = [line["ratio"] - line["low"], line["high"] - line["ratio"]]
            style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[index], "label": f"{bits:g} bits"}
            axes.errorbar(shifted, line["ratio"], bars, linewidth=1.0, markersize=3.5, **style)
        axes.set_title(title, fontsize="medium")
        count_scale(axes, "x", "")
        _factor_scale(axes, label, ticks=[0.35, 0.5, 0.7, 1, 1.4, 2])
        axes.label_outer()
    figure.supxlabel(TOKENS_LABEL, fontsize="medium")
    legend_beside(panels[0, -1])
    return figure
