"""Figures of predictors without a law: the size that they never saw, and what shuffled features cost."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from helpers.analyse.rows.degradation import TOKENS_SEEN
from helpers.show.style import INK, PALE, QID_LABEL, TOKENS_LABEL, axes_or_new, count_scale, legend_beside, qid_scale

COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")


def at_largest(said: pd.DataFrame, smaller: pd.DataFrame) -> Figure:
    """Draw the QiD of the largest size as measured and as predicted without it; grey: the size below, which was seen.

    `said` has `way`, `tokens` and `qid_nats`, with the way "measured"; `smaller` rows of `degradation`.
    """
    axes = axes_or_new(None)
    axes.plot(smaller[TOKENS_SEEN], smaller["qid_nats"], color=PALE, linewidth=2.0, label="next size, seen")
    others = [way for way in said["way"].unique() if way != "measured"]
    for way, colour in zip(others, COLOURS, strict=False):
        rows = said[said["way"] == way]
        axes.plot(rows["tokens"], rows["qid_nats"], color=colour, label=way)
    points = said[said["way"] == "measured"]
    axes.plot(points["tokens"], points["qid_nats"], "o", color=INK, label="measured", zorder=3)
    count_scale(axes, "x", TOKENS_LABEL)
    qid_scale(axes, "y", said["qid_nats"], QID_LABEL)
    legend_beside(axes)
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure


def misses(scores: pd.DataFrame, hold_outs: list[str]) -> Figure:
    """Draw factors of error: a row a predictor, a marker a hold-out, further right is worse.

    `scores` has columns (hold-out, `error`).
    """
    axes = plt.subplots(figsize=(7.0, 3.0))[1]
    for hold_out, marker, colour in zip(hold_outs, "osD", COLOURS, strict=False):
        errors = scores[(hold_out, "error")].to_numpy(float)[::-1]
        axes.plot(errors, range(len(scores)), marker, color=colour, label=hold_out)
    axes.set_yticks(range(len(scores)), list(scores.index[::-1]))
    axes.set(xscale="log", xlabel="factor of error (no unit)")
    axes.set_xticks([1.2, 1.5, 2.0])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=PALE, linewidth=0.5)
    legend_beside(axes)
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure
