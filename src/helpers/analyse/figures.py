"""One function per type of figure: table in, axes (or a figure of several) out. Style and units come from `style`.

Tables are those of `degradation`, or of measurements where a docstring says so. No function filters rows: what is in
the table is drawn.
"""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.analyse.fit_records import FitData, FitResult
from helpers.analyse.laws import FloatArray
from helpers.analyse.style import (
    BITS_COLOURS,
    BITS_LABEL,
    INK,
    LOSS_LABEL,
    METHOD_COLOURS,
    PALE,
    QID_LABEL,
    SIZE_LABEL,
    TOKENS_LABEL,
    axes_or_new,
    count_label,
    count_scale,
    legend_beside,
    qid_scale,
    size_styles,
)
from helpers.analyse.uncertainty import HoldOut

SIZE = "n_params_non_embedding"
PUBLIC_METRICS = {"acc": "LAMBADA accuracy (share of last words)", "ppl": "LAMBADA perplexity (per last word)"}


def _lines_by_size(axes: Axes, table: pd.DataFrame, x: str, y: str, error: str | None) -> None:
    """Draw one line with error bars for each model and training seed of `table`, styled by size."""
    styles = size_styles(table[SIZE])
    labelled = set()
    keys = [name for name in (SIZE, "model", "train_seed") if name in table]
    for (size, *_), rows in table.sort_values(x).groupby(keys):
        style = styles[size] | {"label": "_nolegend_" if size in labelled else styles[size]["label"]}
        axes.errorbar(rows[x], rows[y], None if error is None else rows[error], linewidth=1.2, **style)
        labelled.add(size)


def _identity(axes: Axes, values: Iterable[float]) -> None:
    """Draw the line of equality over the positive range of `values`."""
    positive = [value for value in values if value > 0]
    ends = [min(positive), max(positive)]
    axes.plot(ends, ends, color=PALE, linewidth=1.2, zorder=0, label="equal")


def loss_against_tokens(baselines: pd.DataFrame, axes: Axes | None = None) -> Axes:
    """Draw the 16-bit loss against training tokens, one line a size; `baselines`: measurements with method none."""
    axes = axes_or_new(axes)
    _lines_by_size(axes, baselines, "tokens_seen", "loss_nats", None)
    count_scale(axes, "x", TOKENS_LABEL)
    axes.set_ylabel(LOSS_LABEL)
    legend_beside(axes, "size N")
    return axes


def public_trajectory(evaluations: pd.DataFrame, metric: str, axes: Axes | None = None) -> Axes:
    """Draw a public evaluation (`acc` or `ppl`) of Pythia checkpoints against tokens, one line a model.

    `evaluations` has the columns model, n_params_non_embedding, tokens_seen, metric, value, stderr. Step 0 has no
    place on a logarithmic axis of tokens and isn't drawn. Perplexity is per last word: not the loss of a law.
    """
    axes = axes_or_new(axes)
    rows = evaluations[(evaluations["metric"] == metric) & (evaluations["tokens_seen"] > 0)]
    _lines_by_size(axes, rows, "tokens_seen", "value", "stderr")
    count_scale(axes, "x", TOKENS_LABEL)
    axes.set_ylabel(PUBLIC_METRICS[metric])
    if metric == "ppl":
        axes.set_yscale("log", nonpositive="clip")
    legend_beside(axes, "size N")
    return axes


def qid_against_tokens(table: pd.DataFrame) -> Figure:
    """Draw QiD against training tokens: one panel a bit width, one line a size, paired errors as bars (one se)."""
    widths = np.sort(table["bits"].unique())
    figure, panels = plt.subplots(1, widths.size, sharey=True, squeeze=False, figsize=(2.6 * widths.size + 0.9, 3.6))
    for axes, bits in zip(panels[0], widths, strict=True):
        _lines_by_size(axes, table[table["bits"] == bits], "tokens_seen", "qid_nats", "qid_se_nats")
        axes.set_title(f"{bits:g} bits")
        count_scale(axes, "x", TOKENS_LABEL)
        qid_scale(axes, "y", table["qid_nats"])
        axes.label_outer()
    legend_beside(panels[0, -1], "size N")
    return figure


def _lines_by_bits(axes: Axes, table: pd.DataFrame, x: str) -> None:
    """Draw QiD against `x`, one line for each bit width and number of training tokens."""
    labelled = set()
    for (bits, _), rows in table.sort_values(x).groupby(["bits", "tokens_seen"]):
        label = "_nolegend_" if bits in labelled else f"{bits:g} bits"
        style = {"color": BITS_COLOURS[int(bits)], "marker": "o", "linewidth": 1.2, "label": label}
        axes.errorbar(rows[x], rows["qid_nats"], rows["qid_se_nats"], **style)
        labelled.add(bits)


def qid_against_size(table: pd.DataFrame, axes: Axes | None = None) -> Axes:
    """Draw QiD against size N, one line for each bit width (colour) and number of training tokens."""
    axes = axes_or_new(axes)
    _lines_by_bits(axes, table, SIZE)
    count_scale(axes, "x", SIZE_LABEL)
    qid_scale(axes, "y", table["qid_nats"])
    legend_beside(axes)
    return axes


def qid_against_bits(table: pd.DataFrame, axes: Axes | None = None) -> Axes:
    """Draw QiD against bit width, one line a checkpoint, coloured by size."""
    axes = axes_or_new(axes)
    styles = size_styles(table[SIZE])
    labelled = set()
    for (size, _), rows in table.sort_values("bits").groupby([SIZE, "checkpoint_id"]):
        style = styles[size] | {"label": "_nolegend_" if size in labelled else styles[size]["label"]}
        axes.errorbar(rows["bits"], rows["qid_nats"], rows["qid_se_nats"], linewidth=1.0, **style)
        labelled.add(size)
    axes.set(xlabel=BITS_LABEL, xticks=np.sort(table["bits"].unique()))
    qid_scale(axes, "y", table["qid_nats"])
    legend_beside(axes, "size N")
    return axes


def method_comparison(table: pd.DataFrame, axes: Axes | None = None) -> Axes:
    """Draw the QiD of every checkpoint by method (colour) and bit width, methods side by side."""
    axes = axes_or_new(axes)
    methods = [name for name in METHOD_COLOURS if name in set(table["method"])]
    sns.stripplot(
        table.assign(bits=table["bits"].astype(int)),
        x="bits",
        y="qid_nats",
        hue="method",
        hue_order=methods,
        palette=[METHOD_COLOURS[name] for name in methods],
        dodge=True,
        jitter=False,
        alpha=0.75,
        ax=axes,
    )
    axes.set_xlabel(BITS_LABEL)
    qid_scale(axes, "y", table["qid_nats"])
    legend_beside(axes, "method")
    return axes


def cpu_against_cuda(agreement: pd.DataFrame, axes: Axes | None = None) -> Axes:
    """Draw QiD on the CPU against QiD on CUDA from `device_agreement`, with both paired errors and equality."""
    axes = axes_or_new(axes)
    for bits, rows in agreement.groupby("bits"):
        axes.errorbar(
            rows["qid_nats_cuda"],
            rows["qid_nats_cpu"],
            rows["qid_se_nats_cpu"],
            rows["qid_se_nats_cuda"],
            color=BITS_COLOURS[int(bits)],
            fmt="o",
            label=f"{bits:g} bits",
        )
    _identity(axes, agreement["qid_nats_cuda"])
    qid_scale(axes, "x", agreement["qid_nats_cuda"], f"CUDA: {QID_LABEL}")
    qid_scale(axes, "y", agreement["qid_nats_cpu"], f"CPU: {QID_LABEL}")
    legend_beside(axes)
    return axes


def _measured_against_predicted(data: FitData, predicted_nats: FloatArray, axes: Axes) -> Axes:
    styles = size_styles(data.n_params)
    for bits in np.unique(data.bits):
        for size, style in styles.items():
            rows = (data.bits == bits) & (data.n_params == size)
            colour = BITS_COLOURS[int(bits)]
            bars = data.qid_se_nats[rows]
            axes.errorbar(
                predicted_nats[rows], data.qid_nats[rows], bars, color=colour, linestyle="", marker=style["marker"]
            )
        axes.plot([], [], "o", color=BITS_COLOURS[int(bits)], label=f"{bits:g} bits")
    for style in styles.values():
        axes.plot([], [], linestyle="", marker=style["marker"], color=INK, label=style["label"])
    _identity(axes, predicted_nats)
    qid_scale(axes, "x", predicted_nats, f"predicted {QID_LABEL}")
    qid_scale(axes, "y", data.qid_nats, f"measured {QID_LABEL}")
    legend_beside(axes)
    return axes


def measured_against_fitted(fit: FitResult, axes: Axes | None = None) -> Axes:
    """Draw every fitted row's measured QiD against the law's, colour by bits, marker by size, and equality."""
    return _measured_against_predicted(fit.data, fit.fitted_nats, axes_or_new(axes))


def measured_against_held_out(hold_out: HoldOut, axes: Axes | None = None) -> Axes:
    """Draw the largest size's measured QiD against its prediction from the smaller ones, with its intervals."""
    axes = axes_or_new(axes)
    for bits in np.unique(hold_out.data.bits):
        rows = np.flatnonzero(hold_out.data.bits == bits)
        order = rows[np.argsort(hold_out.predicted_nats[rows])]
        ends = (hold_out.low_nats[order], hold_out.high_nats[order])
        axes.vlines(hold_out.predicted_nats[order], *ends, color=BITS_COLOURS[int(bits)], alpha=0.3)
    axes = _measured_against_predicted(hold_out.data, hold_out.predicted_nats, axes)
    axes.set_title(f"N = {count_label(hold_out.data.n_params[0])}, {hold_out.level:.0%} prediction intervals")
    return axes


def residuals_by_size_and_bits(fit: FitResult, axes: Axes | None = None) -> Axes:
    """Draw standardised residuals (fitted standard deviations) against size, bit widths side by side."""
    axes = axes_or_new(axes)
    widths = np.unique(fit.data.bits)
    shifts = 1.08 ** (np.arange(widths.size) - (widths.size - 1) / 2)
    residuals = fit.residuals_nats / fit.standard_deviations_nats
    for bits, shift in zip(widths, shifts, strict=True):
        rows = fit.data.bits == bits
        style = {"color": BITS_COLOURS[int(bits)], "label": f"{bits:g} bits", "alpha": 0.75}
        axes.plot(fit.data.n_params[rows] * shift, residuals[rows], "o", **style)
    axes.axhline(0.0, color=PALE, linewidth=1.2)
    axes.axhspan(-2, 2, color=PALE, alpha=0.15, linewidth=0)
    count_scale(axes, "x", SIZE_LABEL)
    axes.set_ylabel("residual (fitted standard deviations)")
    legend_beside(axes)
    return axes


def weights_on_grid(weights: FloatArray, rounded: FloatArray, grid: FloatArray, axes: Axes | None = None) -> Axes:
    """Draw where each weight goes: grid points as lines, weights (n,) as dots, arrows to `rounded` (n,)."""
    axes = axes_or_new(axes)
    heights = np.arange(len(weights))
    axes.vlines(grid, -0.5, heights[-1] + 0.5, color=PALE, linewidth=1.2, zorder=0, label="grid")
    for height, start, end in zip(heights, weights, rounded, strict=True):
        axes.annotate("", (end, height), (start, height), arrowprops={"arrowstyle": "->", "color": INK})
    axes.plot(weights, heights, "o", color=BITS_COLOURS[3], label="weight")
    axes.plot(rounded, heights, "s", color=BITS_COLOURS[2], label="rounded", markerfacecolor="none")
    axes.set(xlabel="value (no unit)", ylabel="weight (index)", yticks=heights)
    axes.grid(visible=False)
    legend_beside(axes)
    return axes
