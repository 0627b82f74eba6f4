"""Scores of laws with the errors that come from few training runs, and which laws they can't tell apart.

A score is the root mean square of ln(predicted / measured) QiD (no unit). Rows of one run share its luck, so runs are
drawn, not rows: by the Bayesian bootstrap (Rubin 1981, Annals of Statistics 9), whose weights are never zero, so that a
hold-out of two runs keeps both in every draw. Two laws are compared on the same draws. A score on one run has no error
at all, and ranks nothing.

Tables are those of `hold_outs.scores_by_run`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.hold_outs import INNER

LEVEL = 0.95  # of the intervals of differences
DRAWS = 2000
RANKED_ON = tuple(f"{INNER}{name}" for name in ("one size up", "last factor 4 in D", "larger and later"))


def _mean_squares(by_run: pd.DataFrame, hold_out: str, labels: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return each law's sum of squares and number of clear rows by run, both laws by `labels`; zero where none."""
    rows = by_run[(by_run["hold_out"] == hold_out) & (by_run["n_clear"] > 0)]
    rows = rows.assign(sum_of_squares=rows["log_mean_square"] * rows["n_clear"])
    sums, counts = (
        rows.pivot(index="law", columns="run_label", values=name).reindex(columns=labels).fillna(0.0)
        for name in ("sum_of_squares", "n_clear")
    )
    return sums, counts


def score_draws(
    by_run: pd.DataFrame, hold_outs: Sequence[str], generator: np.random.Generator, n_draws: int = DRAWS
) -> tuple[pd.Series, FloatArray, int]:
    """Return the score of each law with one on all of `hold_outs`, its draws (n_laws, n_draws), the number of runs.

    Several hold-outs count alike: the root of the mean of their mean squares. Draws differ from what was measured by
    the weights of the runs, the same in all laws and hold-outs.
    """
    rows = by_run[by_run["hold_out"].isin(hold_outs)]
    able = rows.groupby("law")["hold_out"].nunique()
    finite = rows.groupby("law")["log_mean_square"].agg(lambda squares: bool(np.isfinite(squares.dropna()).all()))
    laws = [law for law in rows["law"].unique() if able[law] == len(hold_outs) and finite[law]]
    labels = sorted(rows["run_label"].unique())
    weights = np.vstack([np.ones(len(labels)), generator.standard_exponential((n_draws, len(labels)))]).T
    squares = np.zeros((len(laws), n_draws + 1))
    for hold_out in hold_outs:
        sums, counts = (table.loc[laws].to_numpy() for table in _mean_squares(rows, hold_out, labels))
        squares += (sums @ weights) / (counts @ weights) / len(hold_outs)
    scores = np.sqrt(squares)
    return pd.Series(scores[:, 0], pd.Index(laws, name="law")), scores[:, 1:], len(labels)


def _error(draws: FloatArray, n_runs: int) -> FloatArray:
    """Return standard errors from draws along the last axis; exponential weights scatter less than a sample does."""
    if n_runs < 2:
        return np.full(draws.shape[:-1], np.nan)
    found: FloatArray = draws.std(axis=-1, ddof=1) * np.sqrt((n_runs + 1) / (n_runs - 1))
    return found


def compared(
    by_run: pd.DataFrame, hold_outs: Sequence[str], generator: np.random.Generator, reference: str | None = None
) -> pd.DataFrame:
    """Return the laws with a score on all of `hold_outs`, best first: how far each is behind `reference` (None: best).

    Columns: `score` with its standard error `se`, `n_runs`, `behind` (score less that of the reference) with the ends
    `behind_low` and `behind_high` of its 95% interval (t with runs - 1), and `tied`, whether that holds zero: paired,
    on the same draws of runs. On one run there is no interval, and every law is tied.
    """
    score, draws, n_runs = score_draws(by_run, hold_outs, generator)
    place = score.index.get_loc(reference) if reference is not None else int(np.argmin(score))
    behind = score - score.iloc[place]
    half = stats.t.ppf(0.5 + LEVEL / 2, max(n_runs - 1, 1)) * _error(draws - draws[place], n_runs)
    table = pd.DataFrame({"score": score, "se": _error(draws, n_runs), "n_runs": n_runs, "behind": behind})
    table = table.assign(behind_low=behind - half, behind_high=behind + half)
    return table.assign(tied=~((table["behind_low"] > 0) | (table["behind_high"] < 0))).sort_values("score")


def with_errors(judged: pd.DataFrame, by_run: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Return `hold_outs.scores` with what the number of runs leaves of their precision.

    Columns added: `n_runs`, `log_rms_se` (NaN on one run), `tied` with the hold-out's best law, `run_coverage`, the
    mean over runs of the share of rows inside their interval, and its standard error over runs `run_coverage_se`.
    """
    parts = []
    for hold_out in judged.loc[judged["log_rms"].notna(), "hold_out"].unique():
        table = compared(by_run, [hold_out], generator).rename(columns={"se": "log_rms_se"})
        parts.append(table[["n_runs", "log_rms_se", "tied"]].reset_index().assign(hold_out=hold_out))
    of_runs = by_run.groupby(["law", "hold_out"])["coverage"]
    covered = of_runs.agg(run_coverage="mean", run_coverage_se="sem").reset_index()
    keys = ["law", "hold_out"]
    return judged.merge(pd.concat(parts), how="left", on=keys).merge(covered, how="left", on=keys)


def rank_correlations(ranked: pd.Series, judged: pd.DataFrame) -> pd.DataFrame:
    """Return, by hold-out, Spearman's correlation of its scores with those of `ranked`, by law.

    `ranked`: scores from smaller sizes alone. Columns `spearman` and `n_laws`, those with both scores.
    """
    rows = []
    for hold_out, table in judged[~judged["hold_out"].str.startswith(INNER)].groupby("hold_out", sort=False):
        outer = table.set_index("law")["log_rms"].dropna()
        both = ranked.index.intersection(outer.index)
        if both.size > 2:
            found = stats.spearmanr(ranked[both], outer[both]).statistic
            rows.append({"hold_out": hold_out, "spearman": float(found), "n_laws": both.size})
    return pd.DataFrame(rows, columns=["hold_out", "spearman", "n_laws"]).set_index("hold_out")
