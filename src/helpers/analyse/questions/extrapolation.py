"""Verdicts of hold-outs: one law's scores against a goal and against other laws, and each size in turn as the largest.

Tables of scores are those of `hold_outs.judge`.
"""

from collections.abc import Sequence

import pandas as pd

from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.hold_outs import Predictor, Split
from helpers.analyse.rows.degradation import N_PARAMS
from helpers.table.errors import AnalysisError

GOAL_LOG_RMS = 0.15  # of ln(predicted / measured)
GOAL_COVERAGE = 0.85  # of nominal 90% intervals


def verdict(judged: pd.DataFrame, chosen: str, others: Sequence[str]) -> pd.DataFrame:
    """Return, by hold-out, how the law `chosen` does against the goals and against the laws `others`.

    Columns: `n_rows`, `excluded_share`, `log_bias`, `log_rms` and `coverage` of the chosen one; one column per law of
    `others` with its `log_rms` (NaN: n/a); `meets`, whether rms and coverage reach the goals; and `better`, whether the
    rms is below that of every other law (one that is n/a is beaten). Raises AnalysisError for a law that wasn't judged.
    """
    missing = {chosen, *others} - set(judged["law"])
    if missing:
        raise AnalysisError(f"not judged: {', '.join(sorted(missing))}")
    of_law = {law: rows.set_index("hold_out") for law, rows in judged.groupby("law")}
    scores = of_law[chosen].loc[judged["hold_out"].unique()]
    rivals = pd.DataFrame({law: of_law[law]["log_rms"] for law in others}).loc[scores.index]
    meets = (scores["log_rms"] <= GOAL_LOG_RMS) & (scores["coverage"] >= GOAL_COVERAGE)
    better = rivals.fillna(float("inf")).gt(scores["log_rms"], axis=0).all(axis=1)
    kept = scores[["n_rows", "excluded_share", "log_bias", "log_rms", "coverage"]]
    return kept.join(rivals).assign(meets=meets, better=better)


def best_laws(judged: pd.DataFrame, laws: Sequence[str]) -> pd.Series:
    """Return, by hold-out, the law of `laws` with the least rms of ln(predicted / measured), in the table's order."""
    scored = judged[judged["law"].isin(laws)].dropna(subset="log_rms")
    least = scored.loc[scored.groupby("hold_out")["log_rms"].idxmin()].set_index("hold_out")["law"]
    return least.reindex(judged["hold_out"].unique()).dropna()


def each_as_largest(trunk: pd.DataFrame, fewest_smaller: int = 4) -> dict[float, Split]:
    """Return, by size N in rising order, its rows as held out and those of all smaller sizes as training rows.

    `trunk`: rows with one run per size. Sizes with less than `fewest_smaller` smaller ones are left out.
    """
    sizes = sorted(trunk[N_PARAMS].unique())[fewest_smaller:]
    return {float(size): Split(trunk[trunk[N_PARAMS] < size], trunk[trunk[N_PARAMS] == size]) for size in sizes}


def over_predicted(predictor: Predictor, split: Split) -> pd.DataFrame:
    """Return the rows held out with `ratio`, measured over predicted QiD (no unit), by a law fitted to the others.

    Raises FitError where the law can't be fitted or can't say anything of these rows.
    """
    held = FitData.from_table(split.held)
    made = predictor(FitData.from_table(split.training), held, held.outcome_se_nats)
    return split.held.assign(ratio=held.outcome_nats / made.predicted_nats)
