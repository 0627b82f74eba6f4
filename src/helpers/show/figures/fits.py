"""Figures of several fits side by side, and of what one fit leaves over. Style and units come from `style`."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.law import Law
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures.comparisons import exponents
from helpers.show.figures.sizes import name_at_ends
from helpers.show.style import (
    BITS_COLOURS,
    BITS_LABEL,
    INK,
    PALE,
    TOKENS_LABEL,
    axes_or_new,
    count_scale,
    size_styles,
)

SYMBOLS = {"beta": "β (tokens)", "alpha": "α (size)", "gamma": "γ (bits)"}


def exponents_of_fits(fits: dict[str, FitResult], published: dict[str, Law] | None = None) -> Figure:
    """Draw the exponents of several fits, one panel per exponent, one line per fit with interval; then published laws.

    A law without P (one bit width) has no γ and leaves its place there empty. A fit without intervals by run is drawn
    without any: those that take rows to be independent would mislead.
    """
    published = published or {}
    labels = [*fits, *published]
    height = 1.1 + 0.34 * len(labels)
    figure, panels = plt.subplots(1, len(SYMBOLS), sharey=True, figsize=(8.4, height))
    for axes, (name, symbol) in zip(panels, SYMBOLS.items(), strict=True):
        for place, fit in enumerate(fits.values()):
            if name not in fit.law.parameter_names():
                continue
            estimate = fit.estimate(name)
            if np.all(np.isfinite(fit.degrees_of_freedom)):
                axes.plot([estimate.low, estimate.high], [place, place], color=BITS_COLOURS[3], linewidth=2)
            axes.plot(estimate.value, place, "o", color=BITS_COLOURS[3])
        for place, law in enumerate(published.values(), start=len(fits)):
            if name in law.parameter_names():
                axes.plot(getattr(law, name), place, "D", color=BITS_COLOURS[2])
        axes.set(xlabel=f"{symbol}, no unit", yticks=range(len(labels)), yticklabels=labels)
        axes.grid(visible=False, axis="y")
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    return figure


def residuals_against_tokens(fit: FitResult) -> Figure:
    """Draw measured over fitted QiD against training tokens: one panel per bit width, one line per size.

    The band is one relative spread tau to each side. Values are shown as they are; a law that held would scatter
    about 1 without a pattern.
    """
    widths, styles = np.unique(fit.data.bits), size_styles(fit.data.n_params)
    figure, panels = plt.subplots(1, widths.size, sharey=True, squeeze=False, figsize=(2.6 * widths.size + 0.9, 3.2))
    for axes, bits in zip(panels[0], widths, strict=True):
        axes.axhspan(1 - fit.tau, 1 + fit.tau, color=PALE, alpha=0.15, linewidth=0)
        axes.axhline(1.0, color=INK, linewidth=0.8)
        for size, style in styles.items():
            rows = np.flatnonzero((fit.data.bits == bits) & (fit.data.n_params == size))
            rows = rows[np.argsort(fit.data.tokens[rows])]
            ratio = fit.data.outcome_nats[rows] / fit.fitted_nats[rows]
            errors = fit.data.outcome_se_nats[rows] / fit.fitted_nats[rows]
            axes.errorbar(fit.data.tokens[rows], ratio, errors, linewidth=1.2, **style | {"marker": "o"})
        axes.set_title(f"{bits:g} bits")
        count_scale(axes, "x", TOKENS_LABEL)
        axes.set_ylabel("measured / fitted QiD (factor)")
        axes.label_outer()
    name_at_ends(panels[0], styles)
    return figure


def ratios_by_bits(ratios: pd.DataFrame, fitted_bits: tuple[float, float], axes: Axes | None = None) -> Axes:
    """Draw `measured_over_predicted` against bits, one line per size; the band is the range of bits that was fitted.

    The vertical axis is linear from zero, or from below it: a sum of measured QiD may be negative.
    """
    axes = axes_or_new(axes)
    axes.axvspan(*fitted_bits, color=PALE, alpha=0.15, linewidth=0)
    axes.axhline(1.0, color=INK, linewidth=0.8)
    styles = size_styles(ratios.columns)
    for size, style in styles.items():
        axes.plot(ratios.index, ratios[size], linewidth=1.2, **style)
    axes.set(xlabel=BITS_LABEL, xticks=ratios.index, ylabel="measured / predicted QiD (factor)")
    axes.set_ylim(bottom=min(0.0, ratios.min(axis=None)))
    name_at_ends([axes], styles)
    return axes


def local_exponents(slopes: dict[str, pd.DataFrame]) -> Figure:
    """Draw `numbers.unified_law.local_exponents`: the exponent of D against size by epoch, that of N against tokens."""
    figure, panels = plt.subplots(1, 3, figsize=(11.5, 3.3))
    top = 1.05 * slopes["first epoch"]["exponent"].max()
    for axes, name in zip(panels, ("first epoch", "later epochs"), strict=False):
        drawn = exponents(slopes[name], N_PARAMS, "exponent of D, β (no unit)", axes)
        drawn.legend().remove()
        axes.set(title=name, ylim=(0, top), xlabel="size N (parameters)")
    exponents(slopes["size"], TOKENS_SEEN, "exponent of N, α (no unit)", panels[2]).set_title("one number of tokens")
    return figure
