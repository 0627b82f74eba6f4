"""Chapter 13 counted again: how much of a model can go to low precision, from the tables of trials and measurements."""

import functools
import math

import numpy as np
from tests.recount.recount import grouped, label, where
from tests.recount.recount_mixed import (
    MAIN,
    PARTS,
    PRINTED,
    SEQUENCES,
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
    trials,
)

STEP, BUDGET, METRIC = 1907, 0.1, "relative_perplexity"
EXCEPTED = {}
TOLERANCES = {}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [
        counts(),
        two_layers(),
        minds(),
        against_size(),
        law(),
        hold_out(),
    ]
    return {key: value for part in parts for key, value in part.items()}


# ---- rows ------------------------------------------------------------------------------------------------------------


@functools.cache
def constant() -> tuple[dict, ...]:
    return tuple(where(trials(), schedule="constant"))


@functools.cache
def here() -> tuple[dict, ...]:
    return tuple(where(constant(), step=STEP))


def largest(**wanted) -> list[dict]:
    rows = where(ratios(), schedule="constant", step=STEP, **wanted)
    return sorted(rows, key=lambda row: row[N])


def counts() -> dict:
    sizes = sorted({row[N] for row in constant()})
    held = where(recipes(), schedule="constant")
    # the search's own 16-bit trials count among the chapter's trials: one a problem
    plain = len({(row["checkpoint_id"], row["scheme_id"], row["granularity"]) for row in constant()})
    return {
        "mix_group": 32,
        "mix_sequences": SEQUENCES,
        "mix_runs": len({row["run"] for row in constant()}),
        "mix_smallest": label(sizes[0]),
        "mix_largest": label(sizes[-1]),
        "mix_tokens": label(here()[0][D]),
        "mix_most_read": max(row[D] / row[N] for row in here()),
        "mix_least_read": min(row[D] / row[N] for row in here()),
        "mix_trials": len(constant()) + plain,
        "mix_recipes": len({row["measurement_id"] for row in held}),
        "budget": BUDGET,
    }


def two_layers() -> dict:
    rows = where(
        here(),
        scheme=MAIN,
        granularity="layer",
        model="tadpole-128x3",
        search="exhaustive",
    )
    cost = {row["assignment"][:: len(PARTS)]: row["qid_nats"] for row in rows}
    first, second, both = cost["100"], cost["010"], cost["110"]
    over = both / (first + second)
    return {
        "pair_first": first,
        "pair_second": second,
        "pair_both": both,
        "pair_over": over,
        "pair_size": label(rows[0][N]),
    }


def minds() -> dict:
    """Return by kind of matrix, and at both ends of a model, cost over what the size says: geometric means over runs."""
    found: dict[str, dict[str, list[float]]] = {}
    sizes: dict[int, list[float]] = {}
    for run, rows in grouped(where(here(), scheme=MAIN, granularity="matmul", search="single"), "run").items():
        total = math.fsum(row["qid_nats"] for row in rows)
        for row in rows:
            place = row["assignment"].index("1")
            factor = math.log(row["qid_nats"] / total / row["quantized_ratio"])
            sizes.setdefault(row[N], []).append(factor)
            kinds = [("qkv", "output", "up", "down")[place % 4]]
            kinds += ["first"] if place < 4 else ["last"] if place >= 4 * (row["n_layers"] - 1) else []
            for kind in kinds:
                found.setdefault(kind, {}).setdefault(run, []).append(factor)
    ends = {"minds_most": max(sizes[max(sizes)]), "minds_least": min(sizes[max(sizes)])}
    means = {kind: mean_of(math.fsum(one) / len(one) for one in by_run.values()) for kind, by_run in found.items()}
    counted = {name: math.exp(value) for name, value in ends.items()} | in_weights_alone()
    for kind, row in means.items():
        counted |= named(f"minds_{kind}", {part: math.exp(value) for part, value in row.items()})
    return counted


def in_weights_alone() -> dict:
    """Return the same factors of attention's two matrices under GPTQ, and how many matrices cost nothing alone."""
    counted, free = {}, 0
    for bits in (2, 3):
        found: dict[str, list[float]] = {"qkv": [], "output": []}
        rows = where(here(), scheme=f"GPTQ {bits} bits", granularity="matmul", search="single")
        free += sum(row["qid_nats"] <= 0 for row in rows)
        for mine in grouped(rows, "run").values():
            total = math.fsum(row["qid_nats"] for row in mine)
            for place, kind in enumerate(found):
                each = [row for row in mine if row["assignment"].index("1") % 4 == place and row["qid_nats"] > 0]
                logs = [math.log(row["qid_nats"] / total / row["quantized_ratio"]) for row in each]
                found[kind].append(math.fsum(logs) / len(logs))
        for kind, logs in found.items():
            mean = {part: math.exp(value) for part, value in mean_of(logs).items()}
            counted |= named(f"minds_{kind}_gptq_{bits}", mean)
    return counted | {"minds_free": free}


# ---- ratios ----------------------------------------------------------------------------------------------------------


def usable(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["censored"] != "all"]


@functools.cache
def slopes() -> dict[tuple, dict[str, float]]:
    """Return by question how the ratio rises with a factor of ten in size."""
    found = {}
    for key, rows in _by_question().items():
        kept = usable(rows)
        if len(kept) >= 3:
            coefficients, covariance, freedom = line(kept, N)
            slope = ends(coefficients[1], covariance[1, 1], freedom[1])
            found[key] = {"mean": -math.log(10) * slope["mean"]}
            found[key] |= {
                "low": -math.log(10) * slope["high"],
                "high": -math.log(10) * slope["low"],
            }
    return found


@functools.cache
def _by_question() -> dict[tuple, list[dict]]:
    groups: dict[tuple, list[dict]] = {}
    for row in largest():
        groups.setdefault(question(row), []).append(row)
    return groups


def at_budget(granularity: str) -> list[float]:
    rows = largest(scheme=MAIN, metric=METRIC, granularity=granularity, budget=BUDGET)
    return [row["ratio"] for row in rows]


def against_size() -> dict:
    fine, coarse = at_budget("matmul"), at_budget("layer")
    found = named("finer", mean_of(one - other for one, other in zip(fine, coarse, strict=True)))
    for granularity, values in (("matmul", fine), ("layer", coarse)):
        found |= {
            f"ratio_{granularity}_small": values[0],
            f"ratio_{granularity}_large": values[-1],
        }
        found |= named(f"gain_{granularity}", slopes()[MAIN, granularity, METRIC, BUDGET])
    return found | {
        "fitted": len(slopes()),
        "clear_up": sum(one["low"] > 0 for one in slopes().values()),
    }


def law() -> dict:
    found = {}
    for budget, (k, _) in PRINTED.items():
        rows = largest(scheme=MAIN, metric=METRIC, granularity="matmul", budget=budget)
        coefficients, covariance, freedom = line(usable(rows), N)
        slope = ends(coefficients[1], covariance[1, 1], freedom[1])
        name = f"{100 * budget:.0f}"
        found |= {
            f"k_{name}": 1 / slope["mean"],
        }
        found |= {
            f"k_{name}_low": 1 / slope["high"],
            f"k_{name}_high": 1 / slope["low"],
        }
        found |= {
            f"k_{name}_printed": k,
            f"measured_large_{name}": rows[-1]["ratio"],
        }
        found[f"printed_large_{name}"] = printed(budget, rows[-1][N])
    return found


def hold_out() -> dict:
    """Return how far four laws miss the largest size, matrix by matrix, over the three budgets."""
    misses: dict[str, list[float]] = {
        "size": [],
        "power": [],
        "next": [],
        "published": [],
    }
    for budget in PRINTED:
        *others, held = largest(scheme=MAIN, metric=METRIC, granularity="matmul", budget=budget)
        kept, place = usable(others), math.log(held[N] / 1e9)
        intercept, slope = line(kept, N)[0]
        sizes, logs = (
            [math.log(row[N]) for row in kept],
            [math.log(1 - row["ratio"]) for row in kept],
        )
        power, start = np.polyfit(sizes, logs, 1)
        said = {
            "size": 1 - intercept - slope * place,
            "power": 1 - math.exp(start + power * math.log(held[N])),
        }
        said |= {"next": others[-1]["ratio"], "published": printed(budget, held[N])}
        for name, value in said.items():
            misses[name].append(clipped(value) - held["ratio"])
    return {f"rms_{name}": root_mean_square(values) for name, values in misses.items()}
