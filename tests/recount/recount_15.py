"""Chapter 15 counted again: how the largest ratio changes along training runs, with decay, and the law of both."""

import functools
import math

import numpy as np
from scipy import stats
from tests.recount.recount import grouped, label, where
from tests.recount.recount_fits import by_run
from tests.recount.recount_mixed import (
    MAIN,
    PRINTED,
    D,
    N,
    clipped,
    ends,
    line,
    mean_of,
    named,
    printed,
    question,
    ratios,
    recipes,
    root_mean_square,
)

FIRST, MIDDLE, LAST = 500, 1907, 7275
BUDGET, METRIC = 0.1, "relative_perplexity"
GRANULARITIES = ("matmul", "layer")
EXCEPTED = {}
TOLERANCES = {}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [moments(), along(), decay(), both(), growth(), misses()]
    return {key: value for part in parts for key, value in part.items()}


def constant(**wanted) -> list[dict]:
    return where(ratios(), schedule="constant", **wanted)


def moments() -> dict:
    names = {"first": FIRST, "middle": MIDDLE, "last": LAST}
    found = {f"train_{name}": label(constant(step=step)[0][D]) for name, step in names.items()}
    found["train_runs"] = len({row["run"] for row in constant()})
    found["train_epochs"] = max(row["epochs"] for row in recipes())
    found |= {"train_budget": BUDGET, "train_factor": constant(step=LAST)[0][D] / constant(step=MIDDLE)[0][D]}
    return found | large() | {"train_late_runs": len({row["run"] for row in constant(step=LAST)})}


def large() -> dict:
    """Return the largest model's ratios at its last two moments."""
    asked = {"scheme": MAIN, "metric": METRIC, "granularity": "matmul"}
    n, found = max(row[N] for row in constant()), {}
    for budget, name in ((0.05, "5"), (0.1, "10")):
        rows = sorted((row for row in constant(**asked, budget=budget) if row[N] == n), key=lambda row: row[D])
        found |= {f"large_from_{name}": rows[-2]["ratio"], f"large_to_{name}": rows[-1]["ratio"]}
        found["large_tokens"] = label(rows[-1][D])
    return found


# ---- changes ---------------------------------------------------------------------------------------------------------


def changes(first: list[dict], last: list[dict]) -> dict[tuple, list[float]]:
    """Return by question the change of each model that isn't at one at both moments."""
    start = {(question(row), row["model"]): row for row in first}
    found: dict[tuple, list[float]] = {}
    for row in last:
        before = start.get((question(row), row["model"]))
        if before and not before["censored"] == row["censored"] == "all":
            found.setdefault(question(row), []).append(row["ratio"] - before["ratio"])
    return found


def told(found: dict[tuple, list[float]]) -> list[dict[str, float]]:
    """Return the means with intervals of the questions that two runs or more answer."""
    return [mean_of(values) for values in found.values() if len(values) > 1]


def main_question(granularity: str) -> tuple:
    return MAIN, granularity, METRIC, BUDGET


def along() -> dict:
    spans = {"whole": (FIRST, LAST), "early": (FIRST, MIDDLE), "late": (MIDDLE, LAST)}
    moved = {name: changes(constant(step=one), constant(step=two)) for name, (one, two) in spans.items()}
    found = {}
    for span, values in moved.items():
        found |= named(f"{span}_matmul", mean_of(values[main_question("matmul")]))
    found |= named("whole_layer", mean_of(moved["whole"][main_question("layer")]))
    every = [value for values in moved["whole"].values() for value in values]
    main = moved["whole"][main_question("matmul")]
    answers = told(moved["whole"])
    return found | {
        "of_runs": len(main),
        "moved": len(every),
        "answers": len(answers),
        "answers_down": sum(one["high"] < 0 for one in answers),
    }


def decay() -> dict:
    moved = changes(constant(step=MIDDLE), where(ratios(), schedule="cooldown"))
    found = {}
    for granularity in GRANULARITIES:
        found |= named(f"decay_{granularity}", mean_of(moved[main_question(granularity)]))
    whole = changes(constant(step=FIRST), constant(step=LAST))
    for scheme, budget, name in (("GPTQ 2 bits", BUDGET, "gptq_2"), ("GPTQ 3 bits", 0.05, "gptq_3")):
        asked = (scheme, "matmul", METRIC, budget)
        found |= named(f"decay_{name}", mean_of(moved[asked])) | named(f"whole_{name}", mean_of(whole[asked]))
    every, answers = [value for values in moved.values() for value in values], told(moved)
    return found | {
        "decay_cells": len(every),
        "decay_down": sum(value < 0 for value in every),
        "decay_runs": len(moved[main_question("matmul")]),
        "decay_answers": len(answers),
        "decay_clear_down": sum(one["high"] < 0 for one in answers),
    }


# ---- laws ------------------------------------------------------------------------------------------------------------


def usable(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["censored"] != "all"]


def can_fit(rows: list[dict], *along_columns: str) -> bool:
    return len({row["run"] for row in rows}) >= 3 and all(
        len({row[name] for row in rows}) > 1 for name in along_columns
    )


@functools.cache
def laws() -> dict[tuple, tuple]:
    """Return by question the line in ln N and ln D of rows at the constant rate, where it can be fitted by run."""
    groups: dict[tuple, list[dict]] = {}
    for row in constant():
        groups.setdefault(question(row), []).append(row)
    kept = {key: usable(rows) for key, rows in groups.items()}
    found = {}
    for key, rows in kept.items():
        if can_fit(rows, N, D) and _no_run_decides(rows):
            found[key] = line(rows, N, D)
    return found


def _no_run_decides(rows: list[dict]) -> bool:
    """Return whether every coefficient stays when a run is left out."""
    places = np.array([[1.0, math.log(row[N]), math.log(row[D])] for row in rows])
    runs = [row["run"] for row in rows]
    q, _ = np.linalg.qr(places)
    return all(
        1 - np.linalg.eigvalsh(part.T @ part)[-1] >= 1e-6
        for part in (q[[other == run for other in runs]] for run in set(runs))
    )


def both() -> dict:
    found = {}
    for granularity in GRANULARITIES:
        (_, size, tokens), covariance, freedom = laws()[main_question(granularity)]
        found |= named(f"both_size_{granularity}", ends(size, covariance[1, 1], freedom[1]))
        found |= named(f"both_tokens_{granularity}", ends(tokens, covariance[2, 2], freedom[2]))
        gradient = np.array([0, tokens / size**2, -1 / size])
        power = ends(-tokens / size, gradient @ covariance @ gradient, min(freedom[1:]))
        found |= named(f"both_power_{granularity}", power)
    found |= in_proportion()
    power = {part: found[f"both_power_matmul_{part}"] for part in ("mean", "low", "high")}
    found |= {"ten_times": 10 ** power["mean"], "ten_times_low": 10 ** power["low"]}
    found["ten_times_high"] = 10 ** power["high"]
    slopes = [
        [ends(coefficients[i], covariance[i, i], freedom[i]) for i in (1, 2)]
        for coefficients, covariance, freedom in laws().values()
    ]
    found["both_fits"] = len(slopes)
    found["both_tokens_up"] = sum(tokens["low"] > 0 for _, tokens in slopes)
    return found


def in_proportion() -> dict:
    """Return how 1 - Qr rises per factor of ten in size at equal tokens per parameter: along the direction (0, 1, 1)."""

    def rise(key: tuple) -> dict[str, float]:
        (_, size, tokens), covariance, freedom = laws()[key]
        row = ends(size + tokens, covariance[1:, 1:].sum(), min(freedom[1:]))
        return {part: math.log(10) * value for part, value in row.items()}

    found = {}
    for granularity in GRANULARITIES:
        found |= named(f"proportional_{granularity}", rise(main_question(granularity)))
    means = [rise((MAIN, "matmul", METRIC, budget))["mean"] for budget in PRINTED]
    every = [(key[0], rise(key)) for key in laws()]  # a question begins with its scheme
    falls = [scheme for scheme, one in every if one["low"] > 0]
    for name, scheme in (("mxint", MAIN), ("gptq_2", "GPTQ 2 bits")):
        found |= {f"proportional_{name}": falls.count(scheme), f"of_{name}": [key for key, _ in every].count(scheme)}
    return found | {
        "proportional_least": min(means),
        "proportional_most": max(means),
        "proportional_falls": len(falls),
        "proportional_rises": sum(one["high"] < 0 for _, one in every),
    }


def growth() -> dict:
    """Return the exponents of N and D in QiD at three ratios: the cheapest recipe that has as much in low precision."""
    found = {}
    rows = where(recipes(), schedule="constant", scheme=MAIN, granularity="matmul")
    for target in (0.5, 0.9, 1.0):
        best = [
            min((row for row in mine if row["quantized_ratio"] >= target - 1e-9), key=lambda row: row["qid_nats"])
            for mine in grouped(rows, "checkpoint_id").values()
        ]
        places = np.array([[1.0, math.log(row[N]), math.log(row[D])] for row in best])
        places[:, 1:] -= places[:, 1:].mean(axis=0)
        logs = np.array([math.log(row["qid_nats"]) for row in best])
        coefficients = np.linalg.solve(places.T @ places, places.T @ logs)
        found[f"power_at_{100 * target:.0f}"] = -coefficients[2] / coefficients[1]
        covariance, freedom = by_run(places, logs - places @ coefficients, [row["run"] for row in best])
        for place, word in ((1, "alpha"), (2, "beta")):
            half = stats.t.ppf(0.975, freedom[place]) * math.sqrt(covariance[place, place])
            middle = coefficients[place]
            row = {"mean": middle, "low": middle - half, "high": middle + half}
            found |= named(f"{word}_at_{100 * target:.0f}", row)
    return found


# ---- hold-outs -------------------------------------------------------------------------------------------------------


def said(training: list[dict], held: list[dict], budget: float) -> dict[str, list[float]]:
    """Return the misses of each law on held-out rows of one question."""
    newest: dict[str, dict] = {}
    for row in sorted(training, key=lambda row: row[D]):
        newest[row["run"]] = row
    found = {"published": [printed(budget, row[N]) for row in held]}
    last = usable(list(newest.values()))
    if can_fit(last, N):
        a, b = line(last, N)[0]
        found["size"] = [1 - a - b * math.log(row[N] / 1e9) for row in held]
    every = usable(training)
    if can_fit(every, N, D):
        a, b, g = line(every, N, D)[0]
        found["both"] = [1 - a - b * math.log(row[N] / 1e9) - g * math.log(row[D] / 1e9) for row in held]
    by_model = {row["model"]: row["ratio"] for row in newest.values()}
    if all(row["model"] in by_model for row in held):
        found["before"] = [by_model[row["model"]] for row in held]
    return {
        law: [clipped(value) - row["ratio"] for value, row in zip(values, held, strict=True)]
        for law, values in found.items()
    }


def misses() -> dict:
    """Return how far laws miss what they haven't seen: root mean squares over granularities and budgets."""
    found: dict[str, list[float]] = {}
    for granularity in GRANULARITIES:
        for budget in PRINTED:
            asked = {"scheme": MAIN, "metric": METRIC, "granularity": granularity, "budget": budget}
            trunk, decayed = (
                constant(**asked, step={FIRST, MIDDLE, LAST}),
                where(ratios(), schedule="cooldown", **asked),
            )
            largest, latest = max(row[N] for row in trunk), max(row[D] for row in trunk)
            there = max(row[D] for row in trunk if row[N] == largest)
            splits = {
                "largest": (
                    [row for row in trunk if row[N] < largest and row[D] <= there],
                    [row for row in trunk if row[N] == largest and row[D] == there],
                ),
                "last": ([row for row in trunk if row[D] < latest], [row for row in trunk if row[D] == latest]),
                "decayed": ([row for row in trunk if row[D] <= max(one[D] for one in decayed)], decayed),
            }
            for hold_out, (training, held) in splits.items():
                for law, values in said(training, held, budget).items():
                    found.setdefault(f"miss_{law}_{hold_out}", []).extend(values)
    biases = {
        f"bias_{law}_last": math.fsum(found[f"miss_{law}_last"]) / len(found[f"miss_{law}_last"])
        for law in ("both", "before")
    }
    biases["low_by"] = -biases.pop("bias_both_last")
    untold = {"miss_size_last", "miss_size_decayed", "miss_both_decayed"}
    return biases | {key: root_mean_square(values) for key, values in found.items() if key not in untold}
