"""How much can go to low precision: the largest quantization ratio Qr that keeps a metric within a budget.

Tables hold assignments with `quantized_ratio` and the columns of `trials.METRICS`: trials (`trials.with_metrics`) or
recipes (`trials.recipes`). Of each search problem only the front counts (`trials.front`); nothing in low precision
costs nothing, so every front begins at ratio 0 and cost 0, or at what costs less than nothing.
"""

import enum
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers.analyse.mixed.trials import LOW_SCHEME, SERIES, SLACK, TARGETS, front, meeting
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.table.errors import AnalysisError

BUDGETS = {
    "relative_perplexity": (0.05, 0.1, 0.2),  # share: those of Cao et al. (2024, arXiv 2410.06722)
    "qid_nats": (0.05, 0.1, 0.2),  # nats per token
    "accuracy_drop": (0.005, 0.01, 0.02),  # share of tokens: half a point, one point, two points
}
RECIPES = ["checkpoint_id", "granularity", "eval_id", "device_type", *LOW_SCHEME]  # a search problem of recipes
CARRIED = [
    "run_label",
    "family",
    "model",
    N_PARAMS,
    TOKENS_SEEN,
    "step",
    "schedule",
    "lr_phase",
    "n_layers",
    *LOW_SCHEME,
]
QUESTION = ["granularity", *LOW_SCHEME, "metric", "budget"]  # what a law answers
ASKED = ["model", *QUESTION]  # a question to one model's checkpoints


class Censored(enum.StrEnum):
    """The place of a largest ratio among those that were tried."""

    NO = "no"  # between two ratios
    ALL = "all"  # everything in low precision is within the budget: a dearer format would be too
    NONE = "none"  # the smallest ratio tried is beyond the budget: the largest lies between it and 0


def largest_ratio(table: pd.DataFrame, metric: str, budget: float) -> dict[str, object]:
    """Return the largest ratio of one search problem whose `metric` is within `budget` (in its unit).

    `measured`: of an assignment that was tried. `interpolated`: where the straight line from there to the next point of
    the front crosses the budget, metric and ratio as they are. `next_ratio`, `next_cost`: that point, NaN if none.
    `censored`: see Censored. Raises AnalysisError for an empty table, or a budget that isn't positive.
    """
    if table.empty or budget <= 0:
        raise AnalysisError(f"a largest ratio needs assignments and a positive budget; got {len(table)}, {budget:g}")
    nothing = pd.DataFrame({"quantized_ratio": [0.0], metric: [0.0]})
    points = front(pd.concat([nothing, table[["quantized_ratio", metric]]]), metric)
    within = points[metric] <= budget
    last = points[within].iloc[-1]  # costs rise along a front, and nothing costs nothing
    ratios = {"measured": last["quantized_ratio"], "interpolated": last["quantized_ratio"]}
    if within.all():
        whole = last["quantized_ratio"] >= 1 - SLACK
        if not whole:
            raise AnalysisError(f"no assignment beyond a ratio of {last['quantized_ratio']:g} was tried")
        return ratios | {"next_ratio": np.nan, "next_cost": np.nan, "censored": str(Censored.ALL)}
    after = points[~within].iloc[0]
    share = (budget - last[metric]) / (after[metric] - last[metric])
    ratios["interpolated"] += share * (after["quantized_ratio"] - last["quantized_ratio"])
    beyond = {"next_ratio": after["quantized_ratio"], "next_cost": after[metric]}
    at_zero = last["quantized_ratio"] <= SLACK
    return ratios | beyond | {"censored": str(Censored.NONE if at_zero else Censored.NO)}


def largest_ratios(
    table: pd.DataFrame, by: Sequence[str] = SERIES, budgets: Mapping[str, Sequence[float]] = BUDGETS
) -> pd.DataFrame:
    """Return `largest_ratio` of each search problem (the rows that share the columns `by`), metric and budget.

    Columns: `by`, CARRIED (as far as the table has them), `metric`, `budget` and those of `largest_ratio`. `by` is
    SERIES for trials and RECIPES for recipes.
    """
    answers = []
    for key, rows in table.groupby(list(by), dropna=False):
        carried = rows.iloc[0][[name for name in CARRIED if name in rows]].to_dict()
        same = carried | dict(zip(by, key, strict=True))
        for metric, values in budgets.items():
            answers += [
                same | {"metric": metric, "budget": budget} | largest_ratio(rows, metric, budget) for budget in values
            ]
    return pd.DataFrame(answers)


def cost_at_targets(
    table: pd.DataFrame, by: Sequence[str] = SERIES, targets: Sequence[float] = (*TARGETS, 1.0)
) -> pd.DataFrame:
    """Return the row with the least QiD of each search problem (the columns `by`) and target ratio that meets it.

    Columns: those of `table`, with `target_ratio`, the target served. Everything in low precision meets every target.
    """
    cheapest = []
    for target in targets:
        best = meeting(table, target).sort_values("qid_nats", kind="stable").drop_duplicates(list(by))
        cheapest.append(best.assign(target_ratio=target))
    return pd.concat(cheapest, ignore_index=True)


def paired_changes(first: pd.DataFrame, last: pd.DataFrame) -> pd.DataFrame:
    """Return how the largest ratio changes from the checkpoints of `first` to those of `last`, model by model.

    Both come from `largest_ratios`, with one checkpoint per model. Columns: ASKED, N_PARAMS, `first_tokens`,
    `last_tokens`, `first_ratio`, `last_ratio` (interpolated), `change`, and `at_one`: both ends have everything within
    the budget, so the change is 0 whatever happened. Raises AnalysisError where a model has two checkpoints, or none
    matches.
    """
    columns = {TOKENS_SEEN: "tokens", "interpolated": "ratio", "censored": "censored"}
    tables = []
    for name, table in (("first", first), ("last", last)):
        if table.duplicated(ASKED).any():
            raise AnalysisError(f"the {name} checkpoints: a model has more than one")
        renamed = {column: f"{name}_{short}" for column, short in columns.items()}
        tables.append(table[[*ASKED, N_PARAMS, *columns]].rename(columns=renamed))
    both = tables[0].merge(tables[1], on=[*ASKED, N_PARAMS], validate="1:1")
    if both.empty:
        raise AnalysisError("no model was searched at both checkpoints with the same low scheme")
    at_one = (both["first_censored"] == Censored.ALL) & (both["last_censored"] == Censored.ALL)
    return both.assign(change=both["last_ratio"] - both["first_ratio"], at_one=at_one)


def mean_change(changes: pd.DataFrame) -> dict[str, float]:
    """Return the mean change over training runs with its 95% interval, of rows of `paired_changes` with one per model.

    `mean`, `low`, `high` (NaN from a single run), `n_runs`, `n_up`, `n_down`, `lowest` and `highest` of single runs,
    and `n_at_one`, the runs left out because everything is within the budget at both ends. NaN where no run is left.
    """
    moving = changes[~changes["at_one"]]
    if moving["model"].duplicated().any():
        raise AnalysisError("a mean over runs counts every model once")
    values = moving["change"]
    nothing = {"mean": np.nan, "low": np.nan, "high": np.nan, "n_runs": 0}
    alone = nothing | {"mean": values.mean(), "n_runs": len(values)}
    counted = {"n_up": int((values > 0).sum()), "n_down": int((values < 0).sum())}
    ends = {"lowest": values.min(), "highest": values.max(), "n_at_one": int(changes["at_one"].sum())}
    return (mean_over_runs(values) if len(values) > 1 else alone) | counted | ends


def changes_by(changes: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return `mean_change` of the rows that share the columns `by`, which become columns."""
    rows = []
    for key, part in changes.groupby(list(by), dropna=False):
        rows.append(dict(zip(by, key, strict=True)) | mean_change(part))
    return pd.DataFrame(rows)
