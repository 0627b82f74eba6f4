"""Ways of searching for an assignment, compared at what they cost in trials.

Random search is judged by what n of its trials give on average, over all ways of drawing n of those that were made: an
exact sum, no resampling. A trial is one pass over the search's text.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import gammaln

from helpers.analyse.arrays import FloatArray
from helpers.analyse.mixed.trials import SERIES, best_at_targets
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.table.errors import AnalysisError

PROBLEM = [*SERIES, "target_ratio"]
DESCRIBED = [
    "run_label",
    "model",
    N_PARAMS,
    TOKENS_SEEN,
    "schedule",
    "method",
    "format",
    "bits",
    "group_size",
    "n_layers",
]
GUIDED = ("second_order", "greedy", "integer_programme")
RANDOM = ("random_equal", "random_shared", "random_all")


def expected_best(values: ArrayLike) -> FloatArray:
    """Return the mean of the least of n values drawn from m without replacement, for n = 1 to m; shape (m,).

    Of m values in order, the i-th is the least of n with probability C(m - i, n - 1) / C(m, n): so many draws hold it
    and n - 1 larger ones. Raises AnalysisError for no value, or one that isn't finite.
    """
    ordered = np.sort(np.asarray(values, float))
    m = ordered.size
    if m == 0 or not np.isfinite(ordered).all():
        raise AnalysisError("the expected best needs finite values, one or more")
    n, rest = np.arange(1, m + 1)[:, None], np.arange(m - 1, -1, -1)[None, :]  # values larger than the i-th

    def log_choose(many: ArrayLike, few: ArrayLike) -> FloatArray:
        return gammaln(np.add(many, 1)) - gammaln(np.add(few, 1)) - gammaln(np.subtract(many, few) + 1.0)

    possible = rest >= n - 1
    logs = log_choose(rest, np.minimum(n - 1, rest)) - log_choose(m, n)
    return np.where(possible, np.exp(logs), 0.0) @ ordered


def best_of_random(scored: pd.DataFrame, metric: str = "qid_nats") -> pd.DataFrame:
    """Return the best of the first n random trials, and of n on average, by search problem and target.

    Columns: PROBLEM, DESCRIBED, `n_trials` (1 to those made), `best_so_far` (in the order of drawing) and `expected`,
    in the unit of `metric`. Raises AnalysisError where one target's trials don't count from 0.
    """
    curves = []
    for key, rows in scored[scored["search"] == "random"].groupby(PROBLEM):
        rows = rows.sort_values("number")
        if rows["number"].tolist() != list(range(len(rows))):
            raise AnalysisError(f"random trials of {key} don't count from 0 to {len(rows) - 1}")
        same = dict(zip(PROBLEM, key, strict=True)) | rows.iloc[0][DESCRIBED].to_dict()
        by_n = {"n_trials": np.arange(1, len(rows) + 1), "best_so_far": rows[metric].cummin().to_numpy()}
        curves.append(pd.DataFrame(by_n | {"expected": expected_best(rows[metric])}).assign(**same))
    columns = [*PROBLEM, *DESCRIBED, "n_trials", "best_so_far", "expected"]
    return pd.concat(curves)[columns].reset_index(drop=True) if curves else pd.DataFrame(columns=columns)


def searches_compared(scored: pd.DataFrame, metric: str = "qid_nats") -> pd.DataFrame:
    """Return the cost that each search reached, one row per search problem and target, in the unit of `metric`.

    Columns: PROBLEM, DESCRIBED; `n_units`, the trials that greedy and the integer programme spend on single parts, once
    for all targets; those of GUIDED; `random_equal`, what random search gives on average with as many trials at this
    target alone; `random_shared`, with that number divided among the targets (at least one); `random_all` with all that
    were made, `n_random`; `any`, the best trial known; `exhaustive`, the best there is. NaN: not searched.
    """
    best = best_at_targets(scored, metric=metric)
    reached = best.pivot(index=PROBLEM, columns="search", values=metric)
    described = best.drop_duplicates(PROBLEM).set_index(PROBLEM)[DESCRIBED]
    units = scored[scored["search"] == "single"].groupby(SERIES).size().rename("n_units")
    table = described.join(reached.reindex(columns=[*GUIDED, "exhaustive", "any"])).join(units, on=SERIES)
    random = best_of_random(scored, metric).set_index([*PROBLEM, "n_trials"])["expected"]
    made = random.groupby(level=PROBLEM).size().rename("n_random")
    targets = made.groupby(level=SERIES).size().rename("n_targets")
    table = table.join(made, how="inner").join(targets, on=SERIES)
    trials = {
        "random_equal": table["n_units"].clip(upper=table["n_random"]),
        "random_shared": (table["n_units"] // table["n_targets"]).clip(lower=1, upper=table["n_random"]),
        "random_all": table["n_random"],
    }
    for name, n_trials in trials.items():
        places = pd.MultiIndex.from_frame(table.index.to_frame().assign(n_trials=n_trials))
        table[name] = random.reindex(places).to_numpy()
    return table.drop(columns="n_targets").reset_index()


def regrets(compared: pd.DataFrame, against: str = "exhaustive") -> pd.DataFrame:
    """Return how much more each search costs than the column `against`, in the unit of the metric.

    `compared` comes from `searches_compared`; rows without that column's value are left out. One row per search
    problem, target and `search`, with `best` (that column), `reached` and `regret`, their difference.
    """
    known = compared[compared[against].notna()].rename(columns={against: "best"})
    searches = [name for name in (*GUIDED, *RANDOM, "any") if name != against]
    kept = [*PROBLEM, *DESCRIBED, "n_units", "n_random", "best"]
    long = known.melt(id_vars=kept, value_vars=searches, var_name="search", value_name="reached")
    long = long[long["reached"].notna()].reset_index(drop=True)
    return long.assign(regret=long["reached"] - long["best"])


def excess(regret: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return, by the columns `by`, the cost of a search beyond the best, as a share of the best, over training runs.

    `regret` comes from `regrets`. Of each run it is the sum of regrets over the sum of what the best cost, so that
    costs near zero don't count more than others. Columns: `by`, `mean`, `low`, `high` (95%, NaN from a single run),
    `n_runs`, `lowest`, `highest`.
    """
    sums = regret.groupby([*by, "run_label"], dropna=False)[["regret", "best"]].sum()
    shares = (sums["regret"] / sums["best"]).rename("share").reset_index()
    rows = []
    for key, part in shares.groupby(list(by), dropna=False):
        values = part["share"]
        alone = {"mean": values.mean(), "low": np.nan, "high": np.nan, "n_runs": 1}
        ends = {"lowest": values.min(), "highest": values.max()}
        mean = mean_over_runs(values) if len(values) > 1 else alone
        rows.append(dict(zip(by, key, strict=True)) | mean | ends)
    return pd.DataFrame(rows)


def random_excess(scored: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """Return the cost of the best of n random trials beyond the best known, on average over draws and training runs.

    `compared` comes from `searches_compared` of the same trials. Columns: `granularity`, `target_ratio`, `n_trials` (as
    many as every problem has), `excess` (share, as in `excess`).
    """
    curves = best_of_random(scored).merge(compared[[*PROBLEM, "any"]], on=PROBLEM, validate="m:1")
    cell = ["granularity", "target_ratio", "n_trials"]
    sums = curves.groupby([*cell, "run_label"])[["expected", "any"]].sum()
    problems = curves.groupby(cell).size()
    every = problems == problems.groupby(level=cell[:2]).transform("max")  # each has a first trial
    shares = (sums["expected"] / sums["any"] - 1).groupby(level=cell).mean()
    return shares[every].rename("excess").reset_index()


def chosen_on_less(scored: pd.DataFrame) -> pd.DataFrame:
    """Return the regret of random search that scores on less text, where the same draws were scored on several texts.

    On each text the best trial of a target is chosen; `reached` is what it costs on the longest text, `best` the least
    cost there, `regret` their difference, in nats. One row per checkpoint, low scheme, granularity, target and
    `n_sequences`, with DESCRIBED. Raises AnalysisError where the texts weren't searched with the same draws.
    """
    problem = [name for name in PROBLEM if name != "eval_id"]
    random = scored[scored["search"] == "random"]
    longest = random[random["n_sequences"] == random["n_sequences"].max()]
    truth = longest.drop_duplicates([*problem, "assignment"]).rename(columns={"qid_nats": "reached"})
    truth = truth[[*problem, "assignment", "reached"]]
    joined = random.merge(truth, on=[*problem, "assignment"], how="left", validate="m:1")
    if joined["reached"].isna().any():
        raise AnalysisError("an assignment wasn't scored on the longest text: the draws differ")
    best = joined.sort_values("qid_nats", kind="stable").drop_duplicates([*problem, "n_sequences"])
    least = truth.groupby(problem)["reached"].min().rename("best")
    table = best[[*problem, *DESCRIBED, "n_sequences", "reached"]].join(least, on=problem)
    return table.assign(regret=table["reached"] - table["best"]).reset_index(drop=True)
