"""Figures of what ways of rounding keep: tables of `keeping` in, figures out. Style is in `style`."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from helpers.analyse.mixed.keeping import BLOCKS, LINE, NEAREST, SINGLE
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.style import (
    CARD,
    INK,
    PALE,
    QID_LABEL,
    TOKENS_LABEL,
    Style,
    axes_or_new,
    count_label,
    count_scale,
    legend_beside,
    qid_scale,
)

STORED_LABEL = "stored bits (bits per weight of the blocks)"
RATIO_LABEL = "QiD over that of GPTQ\nat equal stored bits (factor)"
INPUT_STYLES = {  # colour, marker of ways to scale inputs
    "RTN, a scale a token": ("#b85c93", "s"),
    "CrossQuant, 0.5": ("#0072b2", "D"),
    "CrossQuant, 0.15": ("#009e73", "o"),
}
WAYS = {  # colour, marker
    LINE: (INK, "o"),
    NEAREST: ("#b85c93", "s"),
    "AWQ": ("#e69f00", "P"),
    SINGLE: ("#0072b2", "D"),
    BLOCKS: ("#56b4e9", "v"),
    "GWQ": ("#d55e00", "^"),
    "CMPQ": ("#009e73", "X"),
}


def qid_against_stored_bits(table: pd.DataFrame) -> Figure:
    """Draw QiD against stored bits, one panel per model (smallest first), a marker per way; the line is GPTQ's."""
    sizes = np.sort(table[N_PARAMS].unique())
    figure, panels = plt.subplots(1, sizes.size, sharey=True, squeeze=False, figsize=(2.8 * sizes.size + 1.4, 4.0))
    for size, axes in zip(sizes, panels[0], strict=True):
        rows = table[table[N_PARAMS] == size]
        for way in [way for way in WAYS if (table["way"] == way).any()]:
            colour, marker = WAYS[way]
            points = rows[rows["way"] == way].sort_values("stored_bits")
            style = {"color": colour, "marker": marker, "label": way, "linestyle": "-" if way == LINE else ""}
            axes.errorbar(points["stored_bits"], points["qid_nats"], points["qid_se_nats"], linewidth=1.0, **style)
        axes.set_title(f"N = {count_label(size)}", fontsize="medium")
        qid_scale(axes, "y", table["qid_nats"])
        axes.label_outer()
    figure.supxlabel(STORED_LABEL, fontsize="medium")
    legend_beside(panels[0, -1])
    return figure


def _factors(axes: Axes, axis: str, ticks: Sequence[float], label: str) -> None:
    line, ruler = (axes.axhline, axes.yaxis) if axis == "y" else (axes.axvline, axes.xaxis)
    line(1.0, color=PALE, linewidth=1.2, zorder=0)
    getattr(axes, f"set_{axis}scale")("log")
    ruler.set_major_locator(FixedLocator(list(ticks)))
    ruler.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ruler.set_minor_formatter(NullFormatter())
    ruler.set_label_text(label)


def pooled_ratios(summary: pd.DataFrame) -> Axes:
    """Draw the ratios of `keeping.pooled` against mean stored bits, intervals as bars, colour and marker by way."""
    axes = plt.subplots(figsize=(7.0, 3.3))[1]
    for way, (colour, marker) in WAYS.items():
        rows = summary[summary["way"] == way].sort_values("stored_bits")
        if not rows.empty:
            bars = [rows["ratio"] - rows["low"], rows["high"] - rows["ratio"]]
            style: Style = {"color": colour, "marker": marker, "label": way, "linestyle": ""}
            axes.errorbar(rows["stored_bits"], rows["ratio"], bars, **style)
    axes.set_xlabel(STORED_LABEL)
    _factors(axes, "y", [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200], RATIO_LABEL)
    legend_beside(axes)
    return axes


def input_costs_against_tokens(costs: pd.DataFrame, styles: dict[str, tuple[str, str]]) -> Figure:
    """Draw what rounding the inputs costs against tokens: one panel per size, one line per way; `styles` by way.

    `costs` comes from `keeping.input_costs`, of one width of inputs; bars are paired errors.
    """
    sizes = np.sort(costs[N_PARAMS].unique())
    figure, panels = plt.subplots(1, sizes.size, sharey=True, squeeze=False, figsize=(2.6 * sizes.size + 1.6, 3.6))
    for size, axes in zip(sizes, panels[0], strict=True):
        for way, (colour, marker) in styles.items():
            rows = costs[(costs[N_PARAMS] == size) & (costs["way"] == way)].sort_values(TOKENS_SEEN)
            style = {"color": colour, "marker": marker, "label": way, "linewidth": 1.2}
            axes.errorbar(rows[TOKENS_SEEN], rows["cost_nats"], rows["cost_se_nats"], **style)
        axes.set_title(f"N = {count_label(size)}", fontsize="medium")
        count_scale(axes, "x", "")
        qid_scale(axes, "y", costs["cost_nats"], QID_LABEL.replace("QiD", "cost of rounded inputs"))
        axes.label_outer()
    figure.supxlabel(TOKENS_LABEL, fontsize="medium")
    legend_beside(panels[0, -1])
    return figure


def kernels(shares: pd.DataFrame) -> Axes:
    """Draw the share of inputs that become zero against the exponent, one line per width of inputs (`bits`).

    `shares` has one row per layer: `exponent`, `bits`, `share`; points are layers, lines their means.
    """
    axes = axes_or_new(None)
    for bits, (colour, marker) in {4: ("#009e73", "o"), 8: (INK, "s")}.items():
        rows = shares[shares["bits"] == bits]
        axes.plot(
            rows["exponent"], rows["share"], marker, color=colour, markerfacecolor=CARD, markersize=3.5, alpha=0.7
        )
        mean = rows.groupby("exponent")["share"].mean()
        axes.plot(mean.index, mean, color=colour, marker=marker, linewidth=1.4, label=f"{bits:g} bits")
    axes.set(xlabel="exponent of the token's largest input (no unit)", ylabel="inputs that become zero (share)")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    legend_beside(axes, "inputs")
    return axes
