"""Figures of the atlas of laws: curves and points in, figures out. Style is in `style`."""

import pandas as pd
from matplotlib.figure import Figure

from helpers.analyse.rows.degradation import TOKENS_SEEN
from helpers.show.style import INK, PALE, QID_LABEL, TOKENS_LABEL, axes_or_new, count_scale, legend_beside

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def fan(curves: pd.DataFrame, points: pd.DataFrame, named: list[str]) -> Figure:
    """Draw every law's QiD against training tokens and what was measured.

    Laws in `named` have a colour, the others are grey. `curves` are those of `questions.atlas`, `points` rows of
    `degradation` of the same size and bit width. Grey background: the tokens that were measured.
    """
    axes = axes_or_new(None)
    axes.axvspan(points[TOKENS_SEEN].min(), points[TOKENS_SEEN].max(), color=PALE, alpha=0.2, linewidth=0)
    for law, rows in curves[~curves["law"].isin(named)].groupby("law", sort=False):
        label = "the others" if law == curves.loc[~curves["law"].isin(named), "law"].iloc[0] else None
        axes.plot(rows["tokens"], rows["qid_nats"], color=PALE, linewidth=1.0, label=label)
    for law, colour in zip(named, COLOURS, strict=False):
        rows = curves[curves["law"] == law]
        axes.plot(rows["tokens"], rows["qid_nats"], color=colour, linewidth=2.0, label=law)
    axes.plot(points[TOKENS_SEEN], points["qid_nats"], "o", color=INK, label="measured", zorder=3)
    axes.set(xscale="log", yscale="log", ylabel=QID_LABEL)
    count_scale(axes, "x", TOKENS_LABEL)
    legend_beside(axes)
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure
