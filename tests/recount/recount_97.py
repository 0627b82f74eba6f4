"""Appendix F counted again: searches at equal cost, trials beside recipes, and the joint laws of ratio and block."""

import functools
import math

import numpy as np
from tests.recount.recount import grouped, label, standard_error, where
from tests.recount.recount_13 import BUDGET, METRIC, STEP, here, usable
from tests.recount.recount_14 import ENDS, FITTED, FORMS, D, constant, in_blocks, joint_fit, words
from tests.recount.recount_14 import ends as value_and_ends
from tests.recount.recount_fits import Fit, columns, fit, interval
from tests.recount.recount_mixed import (
    MAIN,
    PRINTED,
    SCHEMES,
    SEQUENCES,
    N,
    ends,
    every_trial,
    line,
    mean_of,
    named,
    ratios,
    recipes,
)
from tests.recount.recount_mixed import (
    largest as largest_of,
)

EXCEPTED = {}
CAO_SLOPES = (-11.68, -11.27, -12.84)


def numbers() -> dict:
    """Return every number of the appendix that is counted again."""
    parts = [searches(), by_random_search(), ablation(), gains_of_trials(), swapped(), joint(), scores()]
    return {key: value for part in parts for key, value in part.items()}


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


def gains_of_trials() -> dict:
    """Return what ten times the size adds to the largest ratio, read off trials."""
    found = {}
    for granularity in ("matmul", "layer"):
        asked = {"scheme": MAIN, "metric": METRIC, "granularity": granularity, "budget": BUDGET}
        rows = usable(where(ratios(True), schedule="constant", step=STEP, **asked))
        coefficients, covariance, freedom = line(rows, N)
        minus = ends(-coefficients[1], covariance[1, 1], freedom[1])
        found |= named(f"gain_trials_{granularity}", {part: math.log(10) * value for part, value in minus.items()})
    return found


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


# ---- joint laws ------------------------------------------------------------------------------------------------------


def aic(of: Fit) -> float:
    """Return Akaike's criterion but for a constant."""
    variance = of.deviations**2
    return float(2 * (len(of.coefficients) + 1) + np.sum(np.log(variance) + (of.qid - of.fitted) ** 2 / variance))


def joint() -> dict:
    """Return what the joint laws say: the best one, the separable one, and that which is told the outliers."""
    of, plain, told = joint_fit(), joint_fit("separable"), joint_fit("block_and_outliers")
    found = {
        "qb_joint_rows": len(of.qid),
        "qb_joint_runs": len(set(of.runs)),
        "qb_tau": of.tau,
        "qb_kappa": of["kappa"],
    }
    keys = {"beta": "beta", "alpha": "alpha", "mu": "block_and_size", "nu": "block_and_tokens"}
    for key, name in keys.items():
        found |= value_and_ends(f"qb_{key}", (of[name], *interval(of, name)))
    for key, name in (("ratio_by_size", "size_and_ratio"), ("outliers", "block_and_outliers")):
        found |= value_and_ends(f"qb_mu_{key}", (joint_fit(name)[name], *interval(joint_fit(name), name)))
    sized = aic(joint_fit("block_and_size"))
    found |= {"qb_gain_size": aic(plain) - sized, "qb_gain_tokens": sized - aic(of)}
    found["qb_kappa_even"] = words((told["kappa"], *interval(told, "kappa")))
    least, most = (f"{k:.1f}".replace("-", "−") for k in (max(CAO_SLOPES), min(CAO_SLOPES)))
    found |= {"qb_cao_slope_least": least, "qb_cao_slope_most": most}
    return found | {"qb_slope": f"{-plain['c'] / plain['alpha']:.1f}".replace("-", "−")}


def splits() -> tuple[tuple[list[dict], list[dict]], ...]:
    """Return training rows and rows held out: the largest size, and the last factor 3.8 in tokens."""
    rows = in_blocks(constant())
    largest, last = max(row[N] for row in rows), max(row[D] for row in rows)
    tests = (lambda row: row[N] == largest, lambda row: row[D] > last / 3.8)
    return tuple(([row for row in rows if not test(row)], [row for row in rows if test(row)]) for test in tests)


def rms(predicted, held) -> float:
    misses = [
        math.log(value / row["qid"])
        for value, row in zip(predicted, held, strict=True)
        if row["qid"] > 3 * standard_error(row["document_qid"])
    ]
    return math.sqrt(math.fsum(miss**2 for miss in misses) / len(misses))


def scores() -> dict:
    size, tokens = (
        {
            name: rms(np.exp(columns(held, form) @ fit(training, form).coefficients), held)
            for name, form in FORMS.items()
        }
        for training, held in splits()
    )
    best = {"size": min(size.values()), "tokens": min(tokens.values())}
    found = {f"qb_best_{name}": value for name, value in best.items()}
    found |= {f"qb_best_{name}_factor": math.exp(value) for name, value in best.items()}
    found |= {f"qb_rms_{name}": size[name] for name in ("without_block", "without_tokens")}
    return found | {"qb_rms_ratio_exponential": size["separable"], "qb_goal": 0.15}


# Everything that rests on a fit: both stop near the top, not on it.
OF_FITS = [
    f"qb_{name}_{end}" for name in ("beta", "alpha", "mu", "nu", "mu_ratio_by_size", "mu_outliers") for end in ENDS
]
ALONE = ("tau", "kappa", "gain_size", "gain_tokens", "best_size", "best_tokens", "best_size_factor")
ALONE += ("best_tokens_factor", "rms_without_block", "rms_without_tokens", "rms_ratio_exponential")
TOLERANCES = dict.fromkeys([*OF_FITS, *(f"qb_{name}" for name in ALONE)], FITTED)
