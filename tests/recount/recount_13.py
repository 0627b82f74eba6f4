"""Chapter 13 counted again: how much of a model can go to low precision, from the tables of trials and measurements."""

import functools
import itertools
import math

import numpy as np
from tests.recount.recount import grouped, label, where
from tests.recount.recount_mixed import (
    BUDGETS,
    MAIN,
    PARTS,
    PRINTED,
    SCHEMES,
    SEQUENCES,
    D,
    N,
    clipped,
    ends,
    every_trial,
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
from tests.recount.recount_mixed import (
    largest as largest_of,
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
        searches(),
        ablation(),
        swapped(),
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
        "mix_depths": max(len({row["step"] for row in rows}) for rows in grouped(constant(), "model").values()),
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
    """Return the same factors of attention's two matrices under GPTQ, and how many of them cost nothing alone."""
    counted, free = {}, 0
    for bits in (2, 3):
        found: dict[str, list[float]] = {"qkv": [], "output": []}
        rows = where(here(), scheme=f"GPTQ {bits} bits", granularity="matmul", search="single")
        for mine in grouped(rows, "run").values():
            total = math.fsum(row["qid_nats"] for row in mine)
            for place, kind in enumerate(found):
                each = [row for row in mine if row["assignment"].index("1") % 4 == place]
                costly = [row["qid_nats"] / total / row["quantized_ratio"] for row in each if row["qid_nats"] > 0]
                free += len(each) - len(costly)
                found[kind].append(math.fsum(map(math.log, costly)) / len(costly))
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
        asked = {"scheme": MAIN, "metric": METRIC, "granularity": granularity, "budget": BUDGET}
        rows = usable(where(ratios(True), schedule="constant", step=STEP, **asked))
        coefficients, covariance, freedom = line(rows, N)
        minus = ends(-coefficients[1], covariance[1, 1], freedom[1])
        found |= named(f"gain_trials_{granularity}", {part: math.log(10) * value for part, value in minus.items()})
    return (
        found
        | by_random_search()
        | {
            "steps_in_size": len(fine) - 1,
            "steps_up": sum(after > before for before, after in itertools.pairwise(fine)),
            "questions": len(SCHEMES) * 2 * sum(map(len, BUDGETS.values())),
            "fitted": len(slopes()),
            "clear_up": sum(one["low"] > 0 for one in slopes().values()),
            "clear_down": sum(one["high"] < 0 for one in slopes().values()),
        }
    )


def by_random_search() -> dict:
    """Return what random search alone loses of the largest ratio, matrix by matrix, on the search's text."""
    found, points = {}, {}
    tried = where(here(), scheme=MAIN, granularity="matmul")
    for budget in PRINTED:
        lost = []
        for rows in grouped(tried, "run").values():
            random = [row for row in rows if row["search"] in ("random", "all")]
            all_ways, alone = (largest_of(one, METRIC, budget) for one in (rows, random))
            lost.append(all_ways[0] - alone[0])
            same = {"run": rows[0]["run"], N: rows[0][N]}
            for name, (ratio, censored) in (("k_trials", all_ways), ("k_random", alone)):
                points.setdefault((name, budget), []).append(same | {"ratio": ratio, "censored": censored})
        row = mean_of(lost)
        found |= named(f"lost_{100 * budget:.0f}", row) if budget < 0.2 else {"lost_20_mean": row["mean"]}
    for name in ("k_trials", "k_random"):
        found[name] = 1 / line(usable(points[name, BUDGET]), N)[0][1]
    return found


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


# ---- searches --------------------------------------------------------------------------------------------------------


def expected_best(values: list[float], n: int) -> float:
    """Return the mean of the least of n of them over all draws, with whole numbers."""
    ordered, m = sorted(values), len(values)
    return math.fsum(math.comb(m - i - 1, n - 1) * value for i, value in enumerate(ordered)) / math.comb(m, n)


@functools.cache
def problems(scheme: str = MAIN) -> tuple[dict, ...]:
    """Return by run, granularity and target of a scheme what each search reached, and how many trials there were."""
    found = []
    for (run, granularity), rows in grouped(where(here(), scheme=scheme), "run", "granularity").items():
        singles = len(where(rows, search="single"))
        targets = sorted({row["target_ratio"] for row in rows if row["search"] == "random"})
        for target in targets:
            drawn = [row["qid_nats"] for row in rows if row["search"] == "random" and row["target_ratio"] == target]
            counts = {
                "random_equal": min(singles, len(drawn)),
                "random_all": len(drawn),
            }
            reached = {name: expected_best(drawn, n) for name, n in counts.items()}
            for name in ("greedy", "integer_programme", "second_order"):
                (row,) = [one for one in rows if one["search"] == name and one["target_ratio"] == target]
                reached[name] = row["qid_nats"]
            meeting = [row for row in rows if row["quantized_ratio"] >= target - 1e-9]
            whole = [row["qid_nats"] for row in meeting if row["search"] == "exhaustive"]
            best = {
                "any": min(row["qid_nats"] for row in meeting),
                "exhaustive": min(whole, default=None),
            }
            same = {
                "run": run,
                "granularity": granularity,
                "target": target,
                "units": singles,
                "drawn": len(drawn),
            }
            found.append(same | reached | best)
    return tuple(found)


def beyond(rows: list[dict], search: str, against: str) -> list[float]:
    """Return by run the sum of what a search costs beyond the best, over the sum of the best."""
    return [
        math.fsum(one[search] - one[against] for one in mine) / math.fsum(one[against] for one in mine)
        for mine in grouped(rows, "run").values()
    ]


def searches() -> dict:
    fine = where(problems(), granularity="matmul")
    whole = [one for one in problems() if one["exhaustive"] is not None]
    units = [one["units"] for one in fine]
    found = {
        "random_trials": max(row["drawn"] for row in _all_drawn()),
        "units_low": min(units),
        "units_high": max(units),
    }
    size = max(row[N] for row in here())
    found["random_trials_largest"] = max(row["drawn"] for row in _all_drawn(size))
    found["exhaustive_runs"] = len({one["run"] for one in whole})
    for search in ("random_equal", "random_all", "greedy", "second_order", "integer_programme"):
        found |= named(f"beyond_{search}", mean_of(beyond(fine, search, "any")))
    for search in ("greedy", "integer_programme"):
        found[f"exhaustive_{search}"] = float(np.mean(beyond(whole, search, "exhaustive")))
    by_scheme = [where(problems(scheme), granularity="matmul") for scheme in SCHEMES]
    found["second_order_worst"] = max(float(np.mean(beyond(one, "second_order", "any"))) for one in by_scheme)
    for target, name in ((0.5, "05"), (0.95, "095")):
        for search in ("random_all", "integer_programme"):
            found[f"at_{name}_{search}"] = float(np.mean(beyond(where(fine, target=target), search, "any")))
    return found


def _all_drawn(size: int | None = None) -> list[dict]:
    random = [row for row in here() if row["search"] == "random" and size in (None, row[N])]
    return [{"drawn": len(rows)} for rows in grouped(random, "run", "scheme", "granularity", "target_ratio").values()]


# ---- trials and text -------------------------------------------------------------------------------------------------


def ablation() -> dict:
    """Return what fewer trials and less text cost: mean and worst over models and schemes."""
    random = [row for row in every_trial() if row["search"] == "random" and row["n_sequences"] != SEQUENCES]
    most = max(row["n_sequences"] for row in random)
    by_text: dict[int, list[float]] = {}
    by_trials: dict[int, list[float]] = {}
    made: dict[int, str] = {}
    for rows in grouped(random, "model", "scheme").values():
        truth = {row["assignment"]: row["qid_nats"] for row in where(rows, n_sequences=most)}
        least = min(truth.values())
        for count, mine in grouped(rows, "n_sequences").items():
            chosen = min(mine, key=lambda row: row["qid_nats"])["assignment"]
            by_text.setdefault(count, []).append((truth[chosen] - least) / least)
        costs = [row["qid_nats"] for row in where(rows, n_sequences=most)]
        made[len(costs)] = label(rows[0][N])
        for count in (10, 50, 100) if len(costs) >= 100 else ():
            by_trials.setdefault(count, []).append(expected_best(costs, count) / least - 1)
    found = {"ablated_models": len({row["model"] for row in random}), "ablated_target": random[0]["target_ratio"]}
    found |= {"ablated_trials": 1 + max(row["number"] for row in random), "ablated_text": most}
    found |= {"few_draws": min(made), "few_size": made[min(made)], "many_size": made[max(made)]}
    for count in (1, 16):
        found[f"text_{count}_most"] = max(by_text[count])
    for count, values in by_trials.items():
        found |= {f"trials_{count}_least": min(values), f"trials_{count}_most": max(values)}
    return found


# ---- recipes beside trials -------------------------------------------------------------------------------------------


def swapped() -> dict:
    rows = where(recipes(), schedule="constant", step=STEP)
    positive = [row for row in rows if row["qid_nats"] > 0 and row["swapped"] > 0]
    found = {"pairs": len({row["measurement_id"] for row in rows})}
    for name, scheme in (
        ("mxint", MAIN),
        ("gptq_3", "GPTQ 3 bits"),
        ("gptq_2", "GPTQ 2 bits"),
    ):
        for suffix, everything in (("all", True), ("best", False)):
            chosen = [
                row for row in where(positive, scheme=scheme) if (row["quantized_ratio"] > 1 - 1e-9) == everything
            ]
            logs = [
                math.fsum(math.log(row["qid_nats"] / row["swapped"]) for row in mine) / len(mine)
                for mine in grouped(chosen, "run").values()
            ]
            row = {part: math.exp(value) for part, value in mean_of(logs).items()}
            found |= named(f"held_{name}_{suffix}", row)
    wanted = {
        "scheme": MAIN,
        "metric": METRIC,
        "budget": BUDGET,
        "schedule": "constant",
        "step": STEP,
    }
    for granularity in ("matmul", "layer"):
        ours, theirs = (
            {row["model"]: row["ratio"] for row in where(ratios(way), granularity=granularity, **wanted)}
            for way in (False, True)
        )
        found |= named(
            f"optimism_{granularity}",
            mean_of(theirs[model] - ours[model] for model in ours),
        )
    return found
