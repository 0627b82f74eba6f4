"""Figures of published tables and projections: tables of `published_tables` in, figures out. Style is in `style`."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from numpy.typing import ArrayLike

from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import SizeAndTokensLaw
from helpers.analyse.questions.published_tables import rounded_loss, turning_tokens
from helpers.analyse.rows.degradation import N_PARAMS
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
    count_label,
    count_scale,
    legend_beside,
)

WORST_NATS = 1.5  # above ln V that a panel of losses still shows
PRINTED = {
    "RTN": {"color": METHOD_COLOURS["rtn"], "marker": "v", "label": "rounded to nearest"},
    "GPTQ": {"color": METHOD_COLOURS["gptq"], "marker": "o", "label": "GPTQ"},
    "AWQ": {"color": "#0072b2", "marker": "s", "label": "AWQ"},
}


def _panels(count: int) -> tuple[Figure, np.ndarray]:
    figure, panels = plt.subplots(1, count, sharey=True, squeeze=False, figsize=(2.6 * count + 1.2, 2.8))
    return figure, panels[0]


def printed_over_law(cells: pd.DataFrame, tokens_trillions: pd.Series) -> Figure:
    """Draw printed tokens over a law's against size: one panel per bit width, one line per QiD."""
    table = cells.assign(ratio=cells["tokens_trillions"] / tokens_trillions)
    levels = np.sort(table["qid_nats"].unique())
    shades = plt.get_cmap("viridis")(np.linspace(0.8, 0.0, levels.size))
    figure, panels = _panels(table["bits"].nunique())
    for axes, (bits, rows) in zip(panels, table.groupby("bits"), strict=True):
        axes.axhline(1.0, color=INK, linewidth=0.8)
        for level, shade, marker in zip(levels, shades, MARKERS, strict=False):
            line = rows[rows["qid_nats"] == level].sort_values("n_params")
            axes.plot(line["n_params"], line["ratio"], color=shade, marker=marker, label=f"{level:g}")
        axes.set(title=f"{bits:g} bits", yscale="log", ylabel="printed / computed tokens (factor)")
        axes.yaxis.set_major_locator(FixedLocator([0.5, 0.7, 1, 1.4, 2, 2.8]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        count_scale(axes, "x", "")
        axes.label_outer()
    figure.supxlabel("size N (parameters)", fontsize="medium")
    legend_beside(panels[-1], "QiD (nats\nper token)")
    return figure


def losses_against_tokens(
    laws: Mapping[int, Law], loss_law: SizeAndTokensLaw, guessing_nats: float, sizes: ArrayLike, tokens: ArrayLike
) -> Figure:
    """Draw the loss in 16 bits and rounded against tokens D, one panel per size; dots where a rounded model turns.

    Grey: worse than uniform guessing. The dotted line is where the tokens end that the laws were fitted to.
    """
    figure, panels = _panels(np.size(sizes))
    for axes, size in zip(panels, np.asarray(sizes), strict=True):
        axes.axhspan(guessing_nats, guessing_nats + WORST_NATS, color=PALE, alpha=0.3, linewidth=0)
        axes.axvline(loss_law.validity.tokens[1], color=INK, linestyle=":", linewidth=1.0)
        axes.plot(tokens, loss_law.predict(tokens, size), color=INK, label="16 bits")
        for bits, law in laws.items():
            loss, place = rounded_loss(law, loss_law, tokens, size, bits), turning_tokens(law, loss_law, size, bits)
            axes.plot(tokens, loss, color=BITS_COLOURS[bits], label=f"{bits} bits")
            axes.plot(place, rounded_loss(law, loss_law, place, size, bits), "o", color=BITS_COLOURS[bits])
        axes.set(
            title=f"N = {count_label(size)}", ylim=(1.5, guessing_nats + WORST_NATS), ylabel="loss (nats per token)"
        )
        count_scale(axes, "x", "")
        axes.label_outer()
    figure.supxlabel(TOKENS_LABEL, fontsize="medium")
    legend_beside(panels[-1])
    return figure


def turning_against_size(published: pd.DataFrame, measured: pd.DataFrame, fitted: tuple[float, float]) -> Axes:
    """Draw the tokens of the lowest rounded loss against size: laws as lines, measured as points.

    `published` has the columns n_params, bits, tokens; `measured` comes from `turning_points`. Where the loss
    had not turned, a hollow arrow stands at the last checkpoint. The band: sizes that the law was fitted to.
    """
    _, axes = plt.subplots(figsize=(7.0, 3.0))
    axes.axvspan(*fitted, color=PALE, alpha=0.15, linewidth=0)
    for index, (bits, rows) in enumerate(published.groupby("bits")):
        colour = BITS_COLOURS[int(bits)]
        axes.plot(rows["n_params"], rows["tokens"], color=colour, label=f"{bits:g} bits, law")
        of_bits = measured[measured["bits"] == bits]
        turned, not_yet = of_bits[of_bits["turned"]], of_bits[~of_bits["turned"]]
        bars = [turned["tokens"] - turned["low"], turned["high"] - turned["tokens"]]
        label = f"{bits:g} bits, measured"
        style: Style = {"color": colour, "linestyle": "", "marker": MARKERS[index]}
        if not turned.empty:
            axes.errorbar(turned["n_params"], turned["tokens"], bars, label=label, **style)
        if not not_yet.empty:
            style |= {"marker": "^", "markerfacecolor": "none", "label": f"{bits:g} bits, not yet"}
            axes.plot(not_yet["n_params"], not_yet["last_tokens"] * 1.15**index, **style)
    count_scale(axes, "x", SIZE_LABEL)
    axes.set_yscale("log")
    count_scale(axes, "y", "tokens of the lowest loss\n(training tokens D)")
    legend_beside(axes)
    return axes


def projections_by_law(table: pd.DataFrame) -> Figure:
    """Draw projected QiD by law, one panel per size, colour by bits; grey: worse than guessing, ln V - 16-bit loss.

    Columns of `projections`; `low` and `high` are intervals where a law has one, else missing.
    """
    names = list(table["law"].unique())
    figure, panels = _panels(table["n_params"].nunique())
    widths = np.sort(table["bits"].unique())
    for axes, (size, rows) in zip(panels, table.groupby("n_params"), strict=True):
        axes.axhspan(rows["room_nats"].iloc[0], 1e3, color=PALE, alpha=0.3, linewidth=0)
        for index, bits in enumerate(widths):
            line = rows[rows["bits"] == bits]
            places = line["law"].map(names.index) + 0.18 * (index - (widths.size - 1) / 2)
            bars = [(line["qid_nats"] - line["low"]).fillna(0), (line["high"] - line["qid_nats"]).fillna(0)]
            style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[index], "label": f"{bits:g} bits"}
            axes.errorbar(places, line["qid_nats"], bars, linestyle="", **style)
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
        axes.set(title=f"N = {count_label(size)}", yscale="log", ylabel=f"projected {QID_LABEL}")
        axes.set_ylim(table["qid_nats"].min() / 5, table["qid_nats"].max() * 2)
        axes.grid(visible=False, axis="x")
        axes.label_outer()
    legend_beside(panels[-1])
    return figure


def printed_figure(points: pd.DataFrame, widths: tuple[int, ...] = (2, 3, 4)) -> Figure:
    """Draw QiD against size N in a panel a bit width, one marker a method; `points` from `numbers.your_model`."""
    figure, panels = plt.subplots(1, len(widths), figsize=(7.4, 3.6), sharex=True, sharey=True)
    for axes, bits in zip(panels, widths, strict=True):
        for method, style in PRINTED.items():
            rows = points[(points["bits"] == bits) & (points["method"] == method)]
            axes.plot(rows[N_PARAMS], rows["qid_nats"], linestyle="none", markersize=6, alpha=0.85, **style)
        axes.set(yscale="log", title=f"{bits} bits")
        count_scale(axes, "x", SIZE_LABEL if bits == widths[1] else "")
    panels[0].set_ylabel(QID_LABEL)
    panels[-1].legend(loc="upper right", handletextpad=0.2)
    return figure
