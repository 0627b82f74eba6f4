"""An outcome against tokens per parameter, all sizes on one axis."""

import pandas as pd
from matplotlib.axes import Axes

from helpers.analyse.questions.tokens_per_parameter import TOKENS_PER_PARAMETER, with_tokens_per_parameter
from helpers.analyse.rows.degradation import N_PARAMS
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.show.figures.sizes import name_beside
from helpers.show.style import axes_or_new, size_styles

LABEL = "training tokens per parameter, D/N"


def against_tokens_per_parameter(table: pd.DataFrame, outcome: Outcome = QID, axes: Axes | None = None) -> Axes:
    """Draw the outcome against D/N, both in logarithms, one line per size; `table` is of one bit width.

    Values that aren't positive have no place on the axis and are left out.
    """
    axes = axes_or_new(axes)
    placed = with_tokens_per_parameter(table[table[outcome.column] > 0]).sort_values(TOKENS_PER_PARAMETER)
    styles = size_styles(placed[N_PARAMS])
    for size, rows in placed.groupby(N_PARAMS):
        axes.plot(rows[TOKENS_PER_PARAMETER], rows[outcome.column], linewidth=1.2, **styles[size])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel(LABEL)
    axes.set_yscale("log")
    axes.set_ylabel(f"{outcome.symbol} (nats per token)")
    name_beside([axes], styles)
    return axes
