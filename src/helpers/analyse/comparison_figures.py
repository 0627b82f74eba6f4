"""Figures of comparisons: tables of `comparisons` in, axes or a figure out. Style and units come from `style`."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from helpers.analyse.style import (
    BITS_COLOURS,
    MARKERS,
    PALE,
    SIZE_LABEL,
    TOKENS_LABEL,
    axes_or_new,
    count_label,
    count_scale,
    legend_beside,
    qid_scale,
    size_styles,
)

SIZE = "n_params_non_embedding"
COUNT_LABELS = {SIZE: SIZE_LABEL, "tokens_seen": TOKENS_LABEL}
SEEDS_LABEL = "this machine minus stored QiD\n(differences between two seeds)"


def panels_by_bits(bits: pd.Series) -> tuple[Figure, dict[float, Axes]]:
    """Return a figure with one panel a bit width, side by side with a common vertical axis."""
    widths = np.sort(bits.unique())
    figure, panels = plt.subplots(1, widths.size, sharey=True, squeeze=False, figsize=(2.6 * widths.size + 0.9, 3.6))
    for width, axes in zip(widths, panels[0], strict=True):
        axes.set_title(f"{width:g} bits")
    return figure, dict(zip(widths, panels[0], strict=True))


def token_styles(tokens: pd.Series) -> dict[float, dict[str, object]]:
    """Return colour, marker and label of each number of training tokens, the more the darker."""
    distinct = np.unique(tokens)
    shades = plt.get_cmap("plasma")(np.linspace(0.8, 0.0, distinct.size))
    return {
        count: {"color": shade, "marker": MARKERS[index % len(MARKERS)], "label": count_label(count)}
        for index, (count, shade) in enumerate(zip(distinct, shades, strict=True))
    }


def qid_against_size_by_tokens(table: pd.DataFrame) -> Figure:
    """Draw QiD against size N: one panel a bit width, one line a number of training tokens, paired errors as bars."""
    styles = token_styles(table["tokens_seen"])
    figure, panels = panels_by_bits(table["bits"])
    for bits, axes in panels.items():
        for tokens, rows in table[table["bits"] == bits].sort_values(SIZE).groupby("tokens_seen"):
            axes.errorbar(rows[SIZE], rows["qid_nats"], rows["qid_se_nats"], linewidth=1.2, **styles[tokens])
        count_scale(axes, "x", "")
        qid_scale(axes, "y", table["qid_nats"])
        axes.label_outer()
    figure.supxlabel(SIZE_LABEL, fontsize="medium")
    legend_beside(axes, "tokens D")
    return figure


def _factor_scale(axes: Axes, label: str) -> None:
    """Make the vertical axis of a factor logarithmic, with ticks that read 1, 2, 5, and mark 1."""
    axes.axhline(1.0, color=PALE, linewidth=1.2, zorder=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(label)


def ratio_against_tokens(ratios: pd.DataFrame, label: str) -> Figure:
    """Draw the ratios of `qid_ratio` against tokens: one panel a bit width, one line a size, errors as bars."""
    styles = size_styles(ratios[SIZE])
    figure, panels = panels_by_bits(ratios["bits"])
    for bits, axes in panels.items():
        for size, rows in ratios[ratios["bits"] == bits].sort_values("tokens_seen").groupby(SIZE):
            axes.errorbar(rows["tokens_seen"], rows["ratio"], rows["ratio_se"], linewidth=1.2, **styles[size])
        count_scale(axes, "x", TOKENS_LABEL)
        _factor_scale(axes, label)
        axes.label_outer()
    legend_beside(axes, "size N")
    return figure


def exponents(slopes: pd.DataFrame, across: str, label: str, axes: Axes | None = None) -> Axes:
    """Draw the `exponent` of `trends` against the column `across` (size or tokens), one line a bit width."""
    axes = axes_or_new(axes)
    for bits, rows in slopes.sort_values(across).groupby("bits"):
        style = {"color": BITS_COLOURS[int(bits)], "marker": "o", "label": f"{bits:g} bits"}
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
        style = {"color": BITS_COLOURS[int(bits)], "label": f"{bits:g} bits", "alpha": 0.75}
        axes.plot(rows["tokens_seen"] * shift, rows["difference_in_seeds"], "o", **style)
    count_scale(axes, "x", TOKENS_LABEL)
    axes.set_ylabel(SEEDS_LABEL)
    legend_beside(axes)
    return axes


def note(text: str) -> Figure:
    """Return a small figure that only says `text`: for a comparison that these data don't allow."""
    figure = plt.figure(figsize=(7.0, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure
