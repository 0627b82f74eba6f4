"""One function per type of figure: table in, axes (or a figure of several) out. Style and units come from `style`.

Tables are those of `degradation`, or of measurements where a docstring says so. No function filters rows: what is in
the table is drawn.
"""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.predictions import HoldOut
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures.sizes import name_at_ends, name_beside
from helpers.show.style import (
    BITS_COLOURS,
    BITS_LABEL,
    CARD,
    INK,
    LOSS_LABEL,
    MARKERS,
    PALE,
    QID_LABEL,
    TOKENS_LABEL,
    axes_or_new,
    count_label,
    count_scale,
    legend_beside,
    qid_scale,
    size_styles,
)

PUBLIC_METRICS = {"acc": "LAMBADA accuracy (share of last words)", "ppl": "LAMBADA perplexity (per last word)"}


def _lines_by_size(axes: Axes, table: pd.DataFrame, x: str, y: str, error: str | None) -> None:
    """Draw one line with error bars for each training run of `table`, styled by size; branches of a run are hollow."""
    styles = size_styles(table[N_PARAMS])
    keys = [name for name in (N_PARAMS, "model", "family", "run") if name in table]
    for (size, *_), rows in table.sort_values(x).groupby(keys):
        style = dict(styles[size])
        if "branched_from" in rows and rows["branched_from"].notna().any():
            style |= {"markerfacecolor": CARD, "markersize": 8, "zorder": 3}
        axes.errorbar(rows[x], rows[y], None if error is None else rows[error], linewidth=1.2, **style)


def _identity(axes: Axes, values: Iterable[float]) -> None:
    """Draw the line of equality over the positive range of `values`."""
    positive = [value for value in values if value > 0]
    ends = [min(positive), max(positive)]
    axes.plot(ends, ends, color=PALE, linewidth=1.2, zorder=0, label="equal")


def loss_against_tokens(baselines: pd.DataFrame, axes: Axes | None = None) -> Axes:
    """Draw the 16-bit loss against training tokens, one line per size; `baselines`: measurements with method none."""
    axes = axes_or_new(axes)
    _lines_by_size(axes, baselines, TOKENS_SEEN, "loss_nats", None)
    count_scale(axes, "x", TOKENS_LABEL)
    axes.set_ylabel(LOSS_LABEL)
    name_at_ends([axes], size_styles(baselines[N_PARAMS]))
    return axes


def public_trajectory(evaluations: pd.DataFrame, metric: str, axes: Axes | None = None) -> Axes:
    """Draw a public evaluation (`acc` or `ppl`) of Pythia checkpoints against tokens, one line per model.

    `evaluations` has the columns model, n_params_non_embedding, tokens_seen, metric, value, stderr. Step 0 has no
    place on a logarithmic axis of tokens and isn't drawn. Perplexity is per last word: not the loss of a law.
    """
    axes = axes_or_new(axes)
    rows = evaluations[(evaluations["metric"] == metric) & (evaluations[TOKENS_SEEN] > 0)]
    _lines_by_size(axes, rows, TOKENS_SEEN, "value", "stderr")
    count_scale(axes, "x", TOKENS_LABEL)
    axes.set_ylabel(PUBLIC_METRICS[metric])
    if metric == "ppl":
        axes.set_yscale("log", nonpositive="clip")
    name_at_ends([axes], size_styles(rows[N_PARAMS]))
    return axes


def qid_against_tokens(table: pd.DataFrame) -> Figure:
    """Draw QiD against training tokens: one panel per bit width, one line per size, paired errors as bars (one se)."""
    widths = np.sort(table["bits"].unique())
    figure, panels = plt.subplots(1, widths.size, sharey=True, squeeze=False, figsize=(2.6 * widths.size + 0.9, 3.6))
    for axes, bits in zip(panels[0], widths, strict=True):
        _lines_by_size(axes, table[table["bits"] == bits], TOKENS_SEEN, "qid_nats", "qid_se_nats")
        axes.set_title(f"{bits:g} bits")
        count_scale(axes, "x", TOKENS_LABEL)
        qid_scale(axes, "y", table["qid_nats"])
        axes.label_outer()
    name_at_ends(panels[0], size_styles(table[N_PARAMS]))
    return figure


def qid_against_bits(table: pd.DataFrame, axes: Axes | None = None) -> Axes:
    """Draw QiD against bit width, one line per checkpoint, coloured by size."""
    axes = axes_or_new(axes)
    styles = size_styles(table[N_PARAMS])
    for (size, _), rows in table.sort_values("bits").groupby([N_PARAMS, "checkpoint_id"]):
        axes.errorbar(rows["bits"], rows["qid_nats"], rows["qid_se_nats"], linewidth=1.0, **styles[size])
    axes.set(xlabel=BITS_LABEL, xticks=np.sort(table["bits"].unique()))
    qid_scale(axes, "y", table["qid_nats"])
    name_beside([axes], styles)
    return axes


def read_again(slopes: pd.DataFrame, gaps: pd.DataFrame) -> Figure:
    """Draw what happens when text is read again: slopes of ln QiD in ln D by piece, and a gap between two losses.

    `slopes`: columns of `slopes_by_pass`, one row per run, bit width and piece, with `mean`, `low`, `high` over the
    runs; these are pale dots. `gaps`: `epochs`, size and `difference_nats`, one line per size, against passes.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.8))
    pieces = slopes[["start", "end"]].drop_duplicates().sort_values("start")
    place = {start: index for index, start in enumerate(pieces["start"])}
    widths = np.sort(slopes["bits"].unique())
    for index, bits in enumerate(widths):
        rows = slopes[slopes["bits"] == bits]
        shift = 0.22 * (index - (widths.size - 1) / 2)
        left.plot(rows["start"].map(place) + shift, rows["exponent"], ".", color=PALE, zorder=1)
        means = rows.drop_duplicates("start").sort_values("start")
        bars = [means["mean"] - means["low"], means["high"] - means["mean"]]
        style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[index], "label": f"{bits:g} bits"}
        left.errorbar(means["start"].map(place) + shift, means["mean"], bars, linestyle="", **style)
    left.set_xticks(range(len(pieces)), [f"{row.start:g}–{row.end:g}" for row in pieces.itertuples()])
    left.set(xlabel="piece of training (passes through the text)", ylabel="slope of ln QiD in ln D (no unit)")
    left.set_ylim(bottom=0)
    left.grid(visible=False, axis="x")
    left.legend(loc="upper right")
    styles = size_styles(gaps[N_PARAMS])
    for size, rows in gaps.sort_values("epochs").groupby(N_PARAMS):
        right.plot(rows["epochs"], rows["difference_nats"], linewidth=1.2, **styles[size])
    right.axvline(1.0, color=INK, linewidth=1.0, linestyle="--")
    right.set(xscale="log", xticks=[0.25, 0.5, 1, 2, 4])
    right.xaxis.set_major_formatter(FuncFormatter(lambda passes, _: f"{passes:g}"))
    right.xaxis.set_minor_formatter(NullFormatter())
    right.set(
        xlabel="training so far (passes through the text)",
        ylabel="16-bit loss: unseen minus\nheld out (nats per token)",
    )
    name_at_ends([right], styles)
    return figure


def _measured_against_predicted(data: FitData, predicted_nats: FloatArray, axes: Axes) -> Axes:
    styles = size_styles(data.n_params)
    for bits in np.unique(data.bits):
        for size, style in styles.items():
            rows = (data.bits == bits) & (data.n_params == size)
            colour = BITS_COLOURS[int(bits)]
            bars = data.outcome_se_nats[rows]
            axes.errorbar(
                predicted_nats[rows], data.outcome_nats[rows], bars, color=colour, linestyle="", marker=style["marker"]
            )
        axes.plot([], [], "o", color=BITS_COLOURS[int(bits)], label=f"{bits:g} bits")
    for style in styles.values():
        axes.plot([], [], linestyle="", marker=style["marker"], color=INK, label=style["label"])
    _identity(axes, predicted_nats)
    qid_scale(axes, "x", predicted_nats, f"predicted {QID_LABEL}")
    qid_scale(axes, "y", data.outcome_nats, f"measured {QID_LABEL}")
    legend_beside(axes)
    return axes


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
