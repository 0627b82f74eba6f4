"""Verdicts of hold-outs: one law's scores against a goal and against other laws, and each size in turn as the largest.

Tables of scores are those of `hold_outs.judge`. And the largest size's runs beside the next smaller size.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.hold_outs import Predictor, Split
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import KL
from helpers.analyse.rows.second_runs import both_runs, one_run_scatter, second_rows
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    MIXED,
    NINTH,
    NINTH_RATE,
    TRUNK,
    on_trunk,
    rows_of_every_run,
    unbranched,
)
from helpers.table.errors import AnalysisError

GOAL_LOG_RMS = 0.15  # of ln(predicted / measured)
GOAL_COVERAGE = 0.85  # of nominal 90% intervals

RUNS = {TRUNK: "first run", MIXED: "second run", NINTH: "another seed", NINTH_RATE: "half the rate"}


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


def largest_over_next(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the largest size's KL over that of the trunk's next smaller size at the same step, in each of its `RUNS`.

    Rows are GPTQ's in asymmetric groups of 32 at the fitted bit widths, of all the project's measurements. Columns:
    `run`, `bits`, `step`, tokens, `ratio` (no unit) and `relative_error`: the scatter of one run on either side, with
    the error of the factor of its text for the second run. All runs share the denominator, one run. Raises
    AnalysisError where nothing was trained twice.
    """
    every = rows_of_every_run(measured[measured["method"].isin(["none", "gptq"])])
    sizes = np.sort(every.loc[on_trunk(every), N_PARAMS].unique())[-2:]
    rows = rows_of_fit(every.assign(kl_se_nats=0.0), "gptq", GROUP_SIZE, symmetric=False)
    again = second_rows(measured)
    runs = pd.concat([rows[rows["n_averaged"] == 1], again[unbranched(again)]])
    runs = runs[runs["family"].isin(RUNS) & runs["bits"].isin(FITTED_BITS) & (runs["schedule"] == "constant")]
    place = ["bits", "step"]
    below = runs[on_trunk(runs) & (runs[N_PARAMS] == sizes[0])].set_index(place)["kl_nats"].rename("below")
    largest = runs[runs[N_PARAMS] == sizes[-1]].join(below, on=place, how="inner")
    scatter = largest["bits"].map(one_run_scatter(both_runs(measured, KL))["relative_sd"])
    errors = np.hypot(np.sqrt(2) * scatter, largest["kl_se_nats"] / largest["kl_nats"])
    found = largest.assign(
        run=largest["family"].map(RUNS), ratio=largest["kl_nats"] / largest["below"], relative_error=errors
    )
    order = found["run"].map(list(RUNS.values()).index)
    kept = found[["run", *place, TOKENS_SEEN, "ratio", "relative_error"]]
    return kept.assign(order=order).sort_values(["order", *place]).drop(columns="order").reset_index(drop=True)
