"""Size and tokens in one picture: an outcome against tokens per parameter, with every size on one axis.

At equal tokens larger models lose less; whether they still do at equal tokens per parameter is another question, and
the two slopes differ by the exponent of tokens: with ln outcome = a + beta ln D - alpha ln N, the slope in ln N is
-alpha at fixed D and beta - alpha at fixed D/N.
"""

import numpy as np
import pandas as pd

from helpers.analyse.questions.slopes_of_ratios import mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import QID, Outcome

TOKENS_PER_PARAMETER = "tokens_per_parameter"
FIXED = {"tokens": TOKENS_SEEN, "tokens per parameter": TOKENS_PER_PARAMETER}


def with_tokens_per_parameter(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with the column `tokens_per_parameter`, D/N."""
    return table.assign(**{TOKENS_PER_PARAMETER: table[TOKENS_SEEN] / table[N_PARAMS]})


def size_slopes(table: pd.DataFrame, outcome: Outcome = QID) -> pd.DataFrame:
    """Return, by bits, the slope of ln outcome in ln N at fixed tokens and at fixed tokens per parameter.

    The index is `bits` and `fixed`; columns `slope`, `low`, `high` (95%, by training run) and `n_runs`. Both come from
    one plane in ln D and ln N through all rows; those that aren't positive are left out.
    """
    positive = with_tokens_per_parameter(table[table[outcome.column] > 0])
    logs = positive.assign(log_outcome=np.log(positive[outcome.column]))
    rows = {}
    for bits, one in logs.groupby("bits"):
        for name, column in FIXED.items():
            found = mean_and_slopes(one, "log_outcome", [N_PARAMS, column]).loc[N_PARAMS]
            ends = {"slope": found["value"], "low": found["low"], "high": found["high"]}
            rows[bits, name] = ends | {"n_runs": one["run_label"].nunique()}
    return pd.DataFrame(list(rows.values()), index=pd.MultiIndex.from_tuples(rows, names=["bits", "fixed"]))


def by_size(table: pd.DataFrame, edges: list[float], outcome: Outcome = QID) -> pd.DataFrame:
    """Return the geometric mean of the outcome in nats by size (rows) in ranges of D/N between `edges` (columns).

    `table` is of one bit width. NaN where a size has no positive row in a range; the last range includes its end.
    """
    positive = with_tokens_per_parameter(table[table[outcome.column] > 0])
    ranges = pd.cut(positive[TOKENS_PER_PARAMETER], edges, include_lowest=True)
    logs = np.log(positive[outcome.column]).groupby([positive[N_PARAMS], ranges], observed=False).mean()
    return np.exp(logs).unstack()
