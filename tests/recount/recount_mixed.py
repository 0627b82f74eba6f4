"""Trials, recipes and largest ratios counted again, for the chapters on mixed quantization.

A largest ratio is found without a front: the largest ratio within the budget, then the cheapest point beyond it.
"""

import functools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import stats
from tests.recount.recount import grouped, half_width, measurements, table, twin_key
from tests.recount.recount_fits import by_run

N, D = "n_params_non_embedding", "tokens_seen"
PARTS = (
    "attention.query_key_value",
    "attention.dense",
    "mlp.dense_h_to_4h",
    "mlp.dense_4h_to_h",
)
LOW = (
    "method",
    "format",
    "bits",
    "group_size",
    "activation_format",
    "activation_bits",
    "activation_group_size",
)
MAIN = "MXINT 4 bits, inputs too"
SCHEMES = {
    MAIN: ("rtn", "mxint", 4, 32, "mxint", 4, 32),
    "MXFP 4 bits": ("rtn", "mxfp", 4, 32, None, None, None),
    **{f"GPTQ {bits} bits": ("gptq", "int", bits, 32, None, None, None) for bits in (2, 3, 4)},
}
BUDGETS = {
    "relative_perplexity": (0.05, 0.1, 0.2),
    "qid_nats": (0.05, 0.1, 0.2),
    "accuracy_drop": (0.005, 0.01, 0.02),
}
PRINTED = {0.05: (-11.68, 4.83), 0.1: (-11.27, 3.35), 0.2: (-12.84, 1.86)}
SEQUENCES = 64


def scheme_of(row: dict) -> str | None:
    """Return the name of a row's low scheme, None for one that the chapters don't ask about."""
    own = tuple(row[name] for name in LOW)
    return next((name for name, columns in SCHEMES.items() if columns == own), None)


def with_costs(row: dict, loss: float, accuracy: float) -> dict:
    """Return a row with its scheme and metrics beside a 16-bit model of this loss and accuracy."""
    qid = row["loss_nats"] - loss
    costs = {
        "qid_nats": qid,
        "relative_perplexity": math.exp(qid) - 1,
        "accuracy_drop": accuracy - row["top1_accuracy"],
    }
    return row | costs | {"scheme": scheme_of(row)}


def _problem(row: dict) -> tuple:
    return tuple(
        row[name]
        for name in (
            "checkpoint_id",
            "scheme_id",
            "granularity",
            "eval_id",
            "device_type",
        )
    )


@functools.cache
def every_trial() -> tuple[dict, ...]:
    """Return the trials of the chapters' schemes on all search texts, with their costs; 16-bit ones are left out."""
    rows = [row for row in table("trials") if scheme_of(row)]
    plain = {_problem(row): row for row in rows if row["search"] == "none"}
    twins = (plain[_problem(row)] for row in rows)
    costed = [with_costs(row, twin["loss_nats"], twin["top1_accuracy"]) for row, twin in zip(rows, twins, strict=True)]
    return tuple(row for row in costed if row["search"] != "none")


@functools.cache
def trials() -> tuple[dict, ...]:
    """Return those on the main search text."""
    return tuple(row for row in every_trial() if row["n_sequences"] == SEQUENCES)


@functools.cache
def recipes() -> tuple[dict, ...]:
    """Return each recipe with its costs, once a granularity whose trials have its assignment, and that trial's QiD."""
    rows = [row for row in measurements() if row["family"] == "tadpole-mixed"]
    plain = {twin_key(row): row for row in rows if row["method"] == "none"}
    tried: dict[tuple, dict[str, float]] = {}
    for row in trials():
        key = row["checkpoint_id"], row["scheme"], row["assignment"], row["device_type"]
        tried.setdefault(key, {}).setdefault(row["granularity"], row["qid_nats"])
    found = []
    for row in rows:
        if row["method"] == "none" or scheme_of(row) is None:
            continue
        twin = plain[twin_key(row)]
        one = with_costs(row, twin["loss_nats"], twin["top1_accuracy"])
        kept = set(row["kept_matrices"])
        names = [f"{block}.{part}" for block in range(row["n_layers"]) for part in PARTS]
        digits = "".join("0" if name in kept else "1" for name in names)
        granularities = tried.get((row["checkpoint_id"], one["scheme"], digits, row["device_type"]), {})
        found += [
            one | {"granularity": each, "swapped": qid, "assignment": digits} for each, qid in granularities.items()
        ]
    return tuple(found)


def largest(rows: Iterable[dict], metric: str, budget: float) -> tuple[float, str]:
    """Return the largest ratio within a budget, on the line to the cheapest point beyond it; and how it is censored."""
    points = [(0.0, 0.0)] + [(row["quantized_ratio"], row[metric]) for row in rows]
    ratio = max(one for one, cost in points if cost <= budget)
    beyond = [(cost, -one) for one, cost in points if one > ratio]
    if not beyond:
        return ratio, "all"
    start = min(cost for one, cost in points if one == ratio)
    cost, minus = min(beyond)
    share = (budget - start) / (cost - start)
    return ratio + share * (-minus - ratio), "none" if ratio < 1e-9 else "no"


@functools.cache
def ratios(of_trials: bool = False) -> tuple[dict, ...]:
    """Return the largest ratio of each checkpoint, scheme, granularity, metric and budget."""
    key = ("checkpoint_id", "scheme", "granularity")
    carried = ("run", "model", N, D, "step", "schedule", "n_layers")
    found = []
    for names, rows in grouped(trials() if of_trials else recipes(), *key).items():
        same = {name: rows[0][name] for name in carried} | dict(zip(key, names, strict=True))
        for metric, budgets in BUDGETS.items():
            for budget in budgets:
                ratio, censored = largest(rows, metric, budget)
                found.append(
                    same
                    | {
                        "metric": metric,
                        "budget": budget,
                        "ratio": ratio,
                        "censored": censored,
                    }
                )
    return tuple(found)


def question(row: dict) -> tuple:
    """Return what a law answers: scheme, granularity, metric and budget."""
    return row["scheme"], row["granularity"], row["metric"], row["budget"]


def line(rows: Sequence[dict], *along: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the coefficients of 1 - Qr on ones and ln of columns in billions, their covariance and degrees of freedom.

    Along one column there is one row a run and the covariance is that of a line; along two it is clustered by run.
    """
    places = np.column_stack(
        [
            np.ones(len(rows)),
            *([math.log(row[name] / 1e9) for row in rows] for name in along),
        ]
    )
    kept = np.array([1 - row["ratio"] for row in rows])
    coefficients = np.linalg.solve(places.T @ places, places.T @ kept)
    residuals, runs = kept - places @ coefficients, [row["run"] for row in rows]
    freedom = len(set(runs)) - 2
    if len(along) == 1:
        variance = residuals @ residuals / (len(rows) - 2)
        return (
            coefficients,
            variance * np.linalg.inv(places.T @ places),
            np.full(2, freedom),
        )
    covariance, own = by_run(places, residuals, runs)
    return coefficients, covariance, np.minimum(own, freedom)


def ends(value: float, variance: float, freedom: float) -> dict[str, float]:
    """Return an estimate with the ends of its 95% interval."""
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    return {"mean": value, "low": value - half, "high": value + half}


def mean_of(values: Iterable[float]) -> dict[str, float]:
    """Return the mean of one value a run with the ends of its 95% interval."""
    values = list(values)
    mean, half = math.fsum(values) / len(values), half_width(values)
    return {"mean": mean, "low": mean - half, "high": mean + half}


def named(name: str, row: dict[str, float]) -> dict[str, float]:
    """Return a mean and its interval by the keys that the chapters glue them with."""
    return {f"{name}_{part}": row[part] for part in ("mean", "low", "high")}


def root_mean_square(values: Iterable[float]) -> float:
    """Return the root of the mean square."""
    values = list(values)
    return math.sqrt(math.fsum(value**2 for value in values) / len(values))


def clipped(value: float) -> float:
    """Return a prediction as a ratio can be."""
    return min(max(value, 0.0), 1.0)


def printed(budget: float, n: float) -> float:
    """Return the ratio that the published law gives a model of n parameters, as it is."""
    k, c = PRINTED[budget]
    return 1 - (math.log(n / 1e9) - c) / k
