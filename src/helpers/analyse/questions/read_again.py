"""Text read again beside fresh text: runs on a part of the trunk's text, compared with the trunk at equal tokens.

Such a run reads what the trunk's first pass begins with, again and again (`measure.training.trainer.Batches`), and is
as the trunk otherwise: up to the end of its own first pass it sees the same batches. Tables are those of `degradation`,
one text, the first draw of calibration text; a run's `epochs` are its passes.
"""

import numpy as np
import pandas as pd

from helpers.analyse.rows.degradation import TOKENS_SEEN
from helpers.analyse.rows.outcomes import OUTCOMES
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import GROUP_SIZE
from helpers.table.errors import AnalysisError

SCHEME = ["method", "bits"]
AMOUNT = "unique_tokens"
LOSS = "baseline_loss_nats"
MORE_LOSS = "more_loss_nats"  # column: a run's 16-bit loss less the trunk's


def log_column(outcome: str) -> str:
    """Return the column of ln of an outcome over the trunk's."""
    return f"log_{outcome}"


def over_fresh(again: pd.DataFrame, trunk: pd.DataFrame) -> pd.DataFrame:
    """Return the rows `again` with each outcome over that of the trunk's run of the same size, at equal tokens.

    Adds `log_qid` and `log_kl`, ln of the ratio (no unit; NaN where either isn't positive), and `more_loss_nats`, the
    difference in 16-bit loss. Between two of the trunk's checkpoints its ln outcome and its loss are taken as straight
    in ln D. Only asymmetric groups of 32; schemes and sizes that the trunk lacks, and tokens outside of its rows, are
    left out. Raises AnalysisError where nothing is left.
    """
    parts = []
    twins = dict(list(_in_groups(trunk).groupby(["model", *SCHEME])))
    for key, rows in _in_groups(again).groupby(["model", *SCHEME]):
        if key in twins:
            twin = twins[key].sort_values(TOKENS_SEEN)
            inside = rows[rows[TOKENS_SEEN].between(twin[TOKENS_SEEN].min(), twin[TOKENS_SEEN].max())]
            parts.append(_beside(inside, twin))
    if not parts or not sum(map(len, parts)):
        raise AnalysisError("no run on a part of the text has the trunk's sizes, schemes and tokens")
    return pd.concat(parts, ignore_index=True)


def _in_groups(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["group_size"] == GROUP_SIZE) & (rows["symmetric"] == False)]  # noqa: E712 - may be null


def _beside(rows: pd.DataFrame, twin: pd.DataFrame) -> pd.DataFrame:
    """Return `rows` with what `over_fresh` adds, beside the trunk's rows of the same size and scheme, by tokens."""
    asked, known = (np.log(table[TOKENS_SEEN].astype(float)) for table in (rows, twin))
    added = {MORE_LOSS: rows[LOSS] - np.interp(asked, known, twin[LOSS])}
    for name, outcome in OUTCOMES.items():
        own, others = (np.log(table[outcome.column].where(table[outcome.column] > 0)) for table in (rows, twin))
        added[log_column(name)] = own - np.interp(asked, known, others)
    return rows.assign(**added)


def at_the_end(ratios: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each run's last checkpoint."""
    return ratios[ratios[TOKENS_SEEN] == ratios.groupby("run_label")[TOKENS_SEEN].transform("max")]


def before_again(ratios: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of checkpoints that have read nothing twice: there a run and the trunk differ by chance alone."""
    return ratios[ratios["epochs"] <= 1]


def means_by_amount(ratios: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return, by the amount of text, the mean of `column` over sizes of each size's mean over its rows.

    Columns are those of `mean_over_runs`: the interval is over sizes, one run each.
    """
    by_run = ratios.groupby([AMOUNT, "model"])[column].mean().dropna()
    return by_run.groupby(AMOUNT).apply(lambda runs: pd.Series(mean_over_runs(runs.tolist()))).unstack()


def least_over_most(again: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Return ln of an outcome on the least text over that on the most, at the last tokens, by model and scheme.

    The column is `log_ratio`, NaN where an outcome isn't positive. It needs no row of the trunk: it has every scheme.
    """
    ends = at_the_end(_in_groups(again))
    column = OUTCOMES[outcome].column
    logs = ends.assign(value=np.log(ends[column].where(ends[column] > 0)))
    by_amount = logs.pivot(index=["model", *SCHEME], columns=AMOUNT, values="value")
    ratios = by_amount[by_amount.columns.min()] - by_amount[by_amount.columns.max()]
    return ratios.rename("log_ratio").reset_index()


def scatter(ratios: pd.DataFrame, column: str) -> float:
    """Return the rms of `column` over checkpoints that have read nothing twice, each the mean over its schemes.

    It is what chance does to the ratio of two runs on the same batches, as no cause for a difference is left.
    """
    means = before_again(ratios).groupby(["run_label", "step"])[column].mean()
    return float(np.sqrt((means**2).mean()))
