"""Chapter 12, and what the page on files has of it, counted again: movement of weights, curvature, tails, beside QiD.

A row of a measurement gets what its checkpoint is known by, under the names of `described`; clusters are training runs with their branches.
"""

import functools
import itertools
import json
import math

import numpy as np
from scipy import stats
from tests.recount.recount import (
    ROOT,
    checkpoints,
    distinct,
    grouped,
    half_width,
    label,
    measurements,
    study,
    table,
    trunk,
    where,
)
from tests.recount.recount_fits import by_run, columns, fit

EXCEPTED = {}
TOLERANCES = {f"held_{law}_{key}": 1e-6 for law in ("curvature", "per") for key in ("largest", "last")}  # optimisers

N, D = "n_params_non_embedding", "tokens_seen"
WIDTHS = (2, 3, 4)
SEEDED, HALVED = "tadpole-ninth", "tadpole-ninth-rate"  # the largest size again: another seed, half the rate
METHODS = ("rtn", "gptq")
LATE = 60e6
NEAR = 0.06  # in ln N, of a depth and its twin on the trunk
HELD = {"largest": "largest size", "last": "last factor 4 in D", "both": "larger and later"}
LAWS = {"curvature": "curvature", "per": "tokens-per-parameter"}
MAIN = {"format": "int", "group_size": 32, "symmetric": False, "order": "given", "grid_search": "minmax"}
SHARES = np.array([3.0, 1.0, 4.0, 4.0]) / 12  # of a block's weights: query, key and value; out; up; down


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [counts(), movement(), growths(), decayed_movement(), change_in_law(), curvature()]
    parts += [drift(), climb(), decay(), rule(), tails(), twins(), rotation(), together(), held(), exercises()]
    parts += [noise_counts(), noise_beside_curvature(), noise_beside_rounding(), noise_in_larger()]
    return {key: value for part in parts for key, value in part.items()}


# ---- the rows --------------------------------------------------------------------------------------------------------


@functools.cache
def described() -> dict[str, dict]:
    """Return the checkpoints by their weights' hash, with the lists of matrices brought together."""
    found = {}
    for row in checkpoints():
        rms = row["weight_rms"].reshape(-1, 4)
        norms = rms**2 * SHARES
        blocks = {bits: (rms * row[f"rtn_error_{bits}_bits"].reshape(-1, 4)) ** 2 @ SHARES for bits in WIDTHS}
        known = {"cluster": (row["family"], row["branched_from"] or row["run"])}
        known["rms"] = math.sqrt(norms.sum() / len(norms))
        known["change"] = None if row["weight_change"] is None else _together(norms, row["weight_change"])
        for bits, variances in blocks.items():
            known |= {
                f"rounding_{bits}": _together(norms, row[f"rtn_error_{bits}_bits"]),
                f"variance_{bits}": variances.mean(),
                f"predicted_{bits}": row["hessian_trace_by_block"] @ variances / 2,
            }
        for name in ("weight", "input"):
            known[f"{name}_tails"] = (row[f"{name}_kurtosis"].reshape(-1, 4) @ SHARES).mean()
        found[row["weights_sha256"]] = row | known
    return found


def _together(norms, values) -> float:
    """Return the root mean square of one number a matrix, weighted by the matrices' squared norms."""
    return math.sqrt((norms * values.reshape(-1, 4) ** 2).sum() / norms.sum())


@functools.cache
def rows(method: str, bits: int) -> list[dict]:
    """Return the study's rows of a method and bit width in asymmetric groups of 32, averages of weights left out."""
    found = []
    for row in where(study(), method=method, bits=bits, n_averaged=1, **MAIN):
        own = described()[row["weights_sha256"]]
        known = {name: own[name] for name in ("cluster", "change", "hessian_trace", "weight_tails", "input_tails")}
        known |= {"variance": own[f"variance_{bits}"], "predicted": own[f"predicted_{bits}"]}
        found.append(row | known | {"plain": row["loss_nats"] - row["qid"]})
    return found


def late(chosen) -> list[dict]:
    return [row for row in chosen if row[D] > LATE]


def late_trunk(method: str, bits: int) -> list[dict]:
    return trunk(late(rows(method, bits)))


def moving() -> list[dict]:
    """Return the trunk's late checkpoints."""
    return trunk(late(described().values()))


def ends_of_cooldowns() -> list[dict]:
    return where(described().values(), schedule="cooldown", learning_rate=0.0)


def along(chosen) -> list[list[dict]]:
    """Return the rows of each run in the order of training."""
    return [sorted(one, key=lambda row: row[D]) for one in grouped(chosen, "family", "run").values()]


# ---- formulas --------------------------------------------------------------------------------------------------------


def regress(values, columns, clusters) -> list[tuple[float, float, float]]:
    """Return the mean and the slopes of least squares on centred columns, each with its ends: CR2 by cluster."""
    design = np.column_stack([np.ones(len(values)), *columns])
    design[:, 1:] -= design[:, 1:].mean(axis=0)
    found = np.linalg.lstsq(design, values)[0]
    covariance, freedom = by_run(design, values - design @ found, clusters)
    halves = stats.t.ppf(0.975, freedom) * np.sqrt(np.diag(covariance))
    return list(zip(found, found - halves, found + halves, strict=True))


def left_out(values, columns, clusters) -> float:
    """Return the root mean square error of predicting each cluster from the others."""
    design, values, errors = np.column_stack([np.ones(len(values)), *columns]), np.asarray(values), []
    for cluster in set(clusters):
        out = np.array([one == cluster for one in clusters])
        errors += list(values[out] - design[out] @ np.linalg.lstsq(design[~out], values[~out])[0])
    return math.sqrt(np.mean(np.square(errors)))


def told(name: str, three, scale=float) -> dict[str, float]:
    return {f"{name}{end}": scale(value) for end, value in zip(("", "_low", "_high"), three, strict=True)}


def logs(chosen, name: str) -> np.ndarray:
    return np.log([row[name] for row in chosen])


def by_means(values) -> tuple[float, float, float]:
    """Return a mean of one value a run with its t interval."""
    middle, half = math.fsum(values) / len(values), half_width(values)
    return middle, middle - half, middle + half


# ---- how far weights move --------------------------------------------------------------------------------------------


def counts() -> dict:
    every = [row for method in METHODS for bits in WIDTHS for row in rows(method, bits)]
    of_trunk = trunk(every)
    return {
        "n_checkpoints": len(distinct(every, "weights_sha256")),
        "n_runs": len(distinct(every, "family", "run")),
        "n_sizes": len(distinct(of_trunk, N)),
        "smallest": label(min(row[N] for row in of_trunk)),
        "largest": label(max(row[N] for row in of_trunk)),
        "early": label(LATE),
    }


@functools.cache
def pocket() -> list[dict]:
    """Return the checkpoints that come with the book, as their manifest has them."""
    return json.loads((ROOT / "data/tadpole/manifest.json").read_text())["checkpoints"]


def live() -> dict:
    there = {(spec["run"], spec["step"]) for spec in pocket()}
    known = [described()[spec["weights_sha256"]] for spec in pocket()]
    known = [row for row in known if (row["run"], row["previous_step"]) in there]
    row = min(known, key=lambda one: (one[N], one["step"]))
    error = 100 * row["hessian_trace_se"] / row["hessian_trace"]
    return {"live_model": row["model"], "live_step": row["step"], "trace_se": error}


def movement() -> dict:
    constant = late(where(described().values(), schedule="constant", n_averaged=1))
    return {
        "rounding_3": np.mean([row["rounding_3"] for row in moving()]),
        "change_lowest": min(row["change"] for row in moving()),
        "change_highest": max(row["change"] for row in moving()),
        "n_constant": len(distinct(constant, "cluster")),
    }


def growths() -> dict:
    found = {}
    of_name = {"change": (moving(), "change"), "rtn": (late_trunk("rtn", 3), "qid")}
    for name, (chosen, column) in of_name.items():
        ratios = [math.log(run[-1][column] / run[0][column]) for run in along(chosen)]
        found |= told(f"{name}_growth", by_means(ratios), math.exp)
    return found


def decayed_movement() -> dict:
    ends = ends_of_cooldowns()
    of_3 = [row["change"] / row["rounding_3"] for row in ends]
    return {"end_3": np.mean(of_3), "n_ends": len(ends)}


def change_in_law() -> dict:
    chosen = late_trunk("rtn", 3)
    qid, size, tokens, change = (logs(chosen, name) for name in ("qid", N, D, "change"))
    slope = regress(qid, [size, tokens, change], [row["cluster"] for row in chosen])[3]
    return told("slope_change", slope) | {
        "change_rank": stats.spearmanr(change, qid)[0],
    }


def weights_of(spec) -> np.ndarray:
    """Return all weights of a pocket checkpoint's matrices, read from the file's bytes, in the order of the table."""
    content = (ROOT / "data/tadpole" / spec["location"] / "model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    found = []
    for name in described()[spec["weights_sha256"]]["matrices"]:
        tensor = header[f"gpt_neox.layers.{name}.weight"]
        start, end = (8 + length + at for at in tensor["data_offsets"])
        if tensor["dtype"] == "BF16":  # the upper half of a float32
            halves = np.frombuffer(content[start:end], "<u2").astype(np.uint32) << 16
            found.append(halves.view(np.float32))
        else:
            found.append(np.frombuffer(content[start:end], {"F16": "<f2", "F32": "<f4"}[tensor["dtype"]]))
    return np.concatenate(found).astype(float)


@functools.cache
def travels() -> list[tuple[str, float]]:
    """Return, for each stretch between pocket checkpoints, its run and h: n legs bring the weights n^h legs away."""
    found = []
    for run, specs in grouped(where(pocket(), branched_from=None), "run").items():
        specs = sorted((spec for spec in specs if spec["step"] >= 500), key=lambda spec: spec["step"])
        at = {row["step"]: row for row in trunk(described().values()) if row["run"] == run}
        for first, last in itertools.pairwise(specs):
            legs = [row for step, row in at.items() if first["step"] < step <= last["step"]]
            lengths = [row["change"] * at[row["previous_step"]]["rms"] for row in legs]
            direct = math.sqrt(np.mean((weights_of(last) - weights_of(first)) ** 2))
            found.append((run, math.log(direct / math.sqrt(np.mean(np.square(lengths)))) / math.log(len(legs))))
    return found


def yardstick() -> dict:
    powers = [power for _, power in travels()]
    power = math.fsum(powers) / len(powers)
    doubling = math.log(2, 1.25) ** power
    found = {
        "exponent": power,
        "exponent_lowest": min(powers),
        "exponent_highest": max(powers),
        "n_travels": len(powers),
        "n_pocket_runs": len({run for run, _ in travels()}),
        "doubling": doubling,
        "doubling_lowest": doubling * min(row["change"] for row in moving()),
        "fixed": min(row["step"] - row["previous_step"] for row in moving()),
    }
    for moment, end in (("first", min), ("last", max)):
        step = end(distinct(moving(), "step"))
        there = where(moving(), step=step)
        for name, one in (("", power), ("_walk", 0.5), ("_line", 1.0)):
            spans = [
                math.log(row["step"] - row["previous_step"]) + math.log(row["rounding_3"] / row["change"]) / one
                for row in there
            ]
            found[f"updates_{moment}{name}"] = math.exp(np.mean(spans))
        found |= {f"{moment}_step": step, f"updates_{moment}_share": 100 * found[f"updates_{moment}"] / step}
    return found


# ---- curvature -------------------------------------------------------------------------------------------------------


def curvature() -> dict:
    found, within = {}, []
    for method, bits in itertools.product(METHODS, WIDTHS):
        chosen = late_trunk(method, bits)
        ratios, clusters = logs(chosen, "qid") - logs(chosen, "predicted"), [row["cluster"] for row in chosen]
        found |= told(f"{method}_{bits}", regress(ratios, [], clusters)[0], math.exp)
        if method == "rtn":
            _, size, tokens = regress(ratios, [logs(chosen, N), logs(chosen, D)], clusters)
            found |= told(f"rtn_{bits}_size", size) | (told("rtn_2_tokens", tokens) if bits == 2 else {})
        within += [rank(run) for run in along(chosen)]
    return found | {"lowest_within": min(within)}


def rank(chosen) -> float:
    return stats.spearmanr([row["qid"] for row in chosen], [row["predicted"] for row in chosen])[0]


def drift() -> dict:
    largest = max(along(late_trunk("rtn", 3)), key=lambda run: run[0][N])
    ratios = [row["qid"] / row["predicted"] for row in largest]
    return {
        "top_lowest": min(ratios),
        "top_lowest_tokens": label(largest[int(np.argmin(ratios))][D]),
        "top_last": ratios[-1],
    }


def of_ninth(**wanted) -> list[dict]:
    """Return the late rows of the largest size's further runs on held-out text, the first draw of calibration text."""
    return late(where(study(), family={SEEDED, HALVED}, status="ok", **{**MAIN, **wanted}))


def climb() -> dict:
    """Return KL of the largest size's runs over that of the next size's trunk, at 4 and 8 bits of GPTQ."""
    sizes = sorted({row[N] for row in late_trunk("gptq", 4)})[-2:]
    again = max(row[D] for row in of_ninth(method="gptq"))
    found = {"again_tokens": label(again), "climb_smaller": 255 / 15}
    for bits in (4, 8):
        small, large = (
            {row[D]: row["kl_nats"] for row in trunk(rows_at(bits)) if row[N] == size and row[D] > LATE}
            for size in sizes
        )
        found |= {f"climb_{bits}_first": large[min(large)] / small[min(large)]}
        found |= {f"climb_{bits}_last": large[max(large)] / small[max(large)]}
        of_families = {row["family"]: row["kl_nats"] for row in of_ninth(method="gptq", bits=bits) if row[D] == again}
        kls = {"trunk": large[again], "seed": of_families[SEEDED], "rate": of_families[HALVED]}
        found |= {f"again_{name}_{bits}": kl / small[again] for name, kl in kls.items()}
    ends = {row[N]: row["predicted"] for row in sorted(late_trunk("rtn", 4), key=lambda row: row[D])}
    return found | {"climb_said": ends[sizes[1]] / ends[sizes[0]]}


def rows_at(bits: int) -> list[dict]:
    return where(study(), method="gptq", bits=bits, n_averaged=1, **MAIN)


def rotation() -> dict:
    """Return the share of GPTQ's KL that a Hadamard rotation takes away in the largest size's further runs."""
    plain = {(row["family"], row["bits"], row[D]): row["kl_nats"] for row in of_ninth(method="gptq")}
    turned = {(row["family"], row["bits"], row[D]): row["kl_nats"] for row in of_ninth(method="gptq_hadamard")}
    taken = {key: 1 - kl / plain[key] for key, kl in turned.items()}
    first, last = (of(key[2] for key in taken) for of in (min, max))
    seed = [share for key, share in taken.items() if key[0] == SEEDED and key[2] == last]
    rate = [share for key, share in taken.items() if key[0] == HALVED]
    (seed_tail, rate_tail) = (
        max(where(described().values(), family=family, **{D: last})[0]["input_kurtosis"]) for family in (SEEDED, HALVED)
    )
    return {
        "rotation_from": label(first),
        "rotation_to": label(last),
        "rotation_seed_first": taken[SEEDED, 4, first],
        "rotation_seed_low": min(seed),
        "rotation_seed_high": max(seed),
        "rotation_rate_low": min(rate),
        "rotation_rate_high": max(rate),
        "tail_seed": seed_tail,
        "tail_rate": rate_tail,
    }


@functools.cache
def beside(method: str) -> list[tuple[dict, dict]]:
    """Return the late rows of 3 bits of other runs, those whose rate decays at their end only, with their twin on the trunk."""
    of_trunk = {(row[N], row["step"]): row for row in late_trunk(method, 3)}
    sizes, found = {size for size, _ in of_trunk}, []
    for run in along(late(rows(method, 3))):
        if run[0] in trunk(run):
            continue
        for row in run if run[0]["schedule"] == "constant" else run[-1:]:
            size = min(sizes, key=lambda one: abs(math.log(row[N] / one)))
            if abs(math.log(row[N] / size)) < NEAR and (size, row["step"]) in of_trunk:
                found.append((row, of_trunk[size, row["step"]]))
    return found


def over_twin(pairs, name: str) -> np.ndarray:
    return np.array([math.log(row[name] / twin[name]) for row, twin in pairs])


def decay() -> dict:
    found = {}
    for method in METHODS:
        pairs = [pair for pair in beside(method) if pair[0]["schedule"] == "cooldown"]
        models = [row["model"] for row, _ in pairs]
        found |= told(f"decay_{method}", regress(over_twin(pairs, "qid"), [], models)[0], math.exp)
        if method == "rtn":
            found |= told("decay_predicted", regress(over_twin(pairs, "predicted"), [], models)[0], math.exp)
            for key, name in (("trace", "hessian_trace"), ("variance", "variance"), ("change", "change")):
                found[f"decay_{key}"] = math.exp(over_twin(pairs, name).mean())
            found |= {"decay_sizes": len(set(models)), "decay_pairs": len(pairs)}
            found["decay_r"] = np.corrcoef(over_twin(pairs, "qid"), over_twin(pairs, "predicted"))[0, 1]
    return found


# ---- tails, twins, everything together -------------------------------------------------------------------------------


def rule() -> dict:
    """Return what the quadratic rule says of KL at each width, beside the rows of GPTQ."""
    chosen = where(late(trunk(study())), method="gptq", group_size=32, symmetric=False, status="ok", format="int")
    chosen = [
        row for row in chosen if not row["calib_seed"] and (row["order"], row["grid_search"]) == ("given", "minmax")
    ]
    of_checkpoint = grouped(chosen, "checkpoint_id")
    kls = {name: {row["bits"]: row["kl_nats"] for row in rows_} for name, rows_ in of_checkpoint.items()}
    steps = {bits: 2.0**bits - 1 for bits in (2, 3, 4, 5, 6, 8)}
    whole = {name: kl for name, kl in kls.items() if set(kl) == set(steps)}
    away = {
        bits: [math.log(kl[bits] / kl[4] * (steps[bits] / steps[4]) ** 2) for kl in whole.values()] for bits in steps
    }
    own = {}
    for name, kl in whole.items():
        line = np.polyfit(
            [math.log(steps[bits]) for bits in (4, 5, 6, 8)], [math.log(kl[bits]) for bits in (4, 5, 6, 8)], 1
        )
        own.setdefault(of_checkpoint[name][0]["run"], []).append(-line[0])
    of_runs = [np.mean(values) for values in own.values()]
    planes = {}
    for bits in (4, 5, 6, 8):
        rows_ = [row for row in chosen if row["bits"] == bits and row["kl_nats"] > 0]
        sides = np.column_stack(
            [np.ones(len(rows_)), [math.log(r[D]) for r in rows_], [-math.log(r[N]) for r in rows_]]
        )
        planes[bits] = np.linalg.lstsq(sides, [math.log(row["kl_nats"]) for row in rows_])[0]
    half = half_width(of_runs)
    beyond = [np.mean(np.square(away[bits])) for bits in (5, 6, 8)]
    return {
        "rule": np.mean(of_runs),
        "rule_low": np.mean(of_runs) - half,
        "rule_high": np.mean(of_runs) + half,
        "rule_runs": len(of_runs),
        "rule_rows": len(whole),
        "rule_over_2": math.exp(np.mean(away[2])),
        "rule_over_3": math.exp(np.mean(away[3])),
        "rule_rms": math.sqrt(np.mean(beyond)),
    } | {
        f"rule_{name}_{end}": of(plane[place] for plane in planes.values())
        for name, place in (("beta", 1), ("alpha", 2))
        for end, of in (("low", min), ("high", max))
    }


def tails() -> dict:
    found = {}
    for name in ("weight", "input"):
        first, last = ([run[at][f"{name}_tails"] for run in along(moving())] for at in (0, -1))
        found |= {f"{name}_first": np.mean(first), f"{name}_last": np.mean(last)}
    return found


def twins() -> dict:
    found, names = {}, ("predicted", "input_tails", "weight_tails")
    for method in METHODS:
        pairs = beside(method)
        columns, clusters = [over_twin(pairs, name) for name in names], [row["cluster"] for row, _ in pairs]
        found |= told(f"{method}_twin_predicted", regress(over_twin(pairs, "qid"), columns, clusters)[1])
    pairs = beside("rtn")
    runs = [(row["family"], row["run"]) for row, _ in pairs]
    means = {}
    for name in ("qid", *names):
        by_name = {}
        for run, value in zip(runs, over_twin(pairs, name), strict=True):
            by_name.setdefault(run, []).append(value)
        means[name] = [np.mean(values) for values in by_name.values()]
    for key, name in (("predicted", "predicted"), ("inputs", "input_tails"), ("weights", "weight_tails")):
        found[f"r_{key}"] = np.corrcoef(means["qid"], means[name])[0, 1]
    clusters = {row["cluster"] for row, _ in pairs}
    largest = max(row[N] for row in late_trunk("rtn", 3))
    found["twin_largest"] = label(max(row[N] for row, _ in pairs if row[N] < largest))
    return found | {"twin_runs": len(set(runs)), "twin_rows": len(pairs), "twin_clusters": len(clusters)}


def together() -> dict:
    found = {}
    for method in METHODS:
        chosen = late(rows(method, 3))
        qid, clusters = logs(chosen, "qid"), [row["cluster"] for row in chosen]
        column = {
            key: logs(chosen, name)
            for key, name in (("N", N), ("D", D), ("trace", "hessian_trace"), ("variance", "variance"))
        }
        column["loss"] = np.array([row["plain"] for row in chosen])
        accounts = {"base": ("N", "D"), "pair": ("trace", "variance"), "loss": ("N", "D", "loss"), "all": tuple(column)}
        for name, wanted in accounts.items():
            found[f"{method}_out_{name}"] = left_out(qid, [column[one] for one in wanted], clusters)
        if method == "rtn":
            for name, wanted in (("pair", accounts["pair"]), ("all", accounts["all"])):
                slopes = regress(qid, [column[one] for one in wanted], clusters)[1:]
                for one, three in zip(wanted, slopes, strict=True):
                    found |= told(f"rtn_{name}_{one}", three) if one != "D" else {}
            found |= {"n_together": len(chosen), "n_together_runs": len(distinct(chosen, "family", "run"))}
            found["n_clusters"] = len(set(clusters))
    grown = [
        (run[-1]["variance_3"] / run[0]["variance_3"], run[-1]["hessian_trace"] / run[0]["hessian_trace"])
        for run in along(moving())
    ]
    variance, trace = (np.exp(np.mean(np.log(one))) for one in zip(*grown, strict=True))
    falling = sum(one < 1 for _, one in grown)
    return found | {"grown_variance": variance, "grown_trace": trace, "n_falling": falling}


def scores(outcome: str, hold_out: str) -> tuple[dict[str, float], tuple[float, float, float], int]:
    """Return the stored rms of both laws, how far curvature is behind with its ends, and the number of runs.

    Runs are drawn by the Bayesian bootstrap, as the chapter draws them; its spread is brought to that of a sample.
    """
    by_law = json.loads((ROOT / "results/fits.json").read_text())["outcomes"][outcome]["by_run"]
    runs = sorted({run for law in LAWS.values() for run in by_law[law][hold_out]})
    draws = np.random.default_rng(0).standard_exponential((2000, len(runs)))
    whole, drawn = {}, {}
    for law in LAWS.values():
        counts, squares = np.array([by_law[law][hold_out][run][1:3] for run in runs]).T
        whole[law] = math.sqrt(np.average(squares, weights=counts))
        drawn[law] = np.sqrt(draws @ (counts * squares) / (draws @ counts))
    behind, n = whole["curvature"] - whole["tokens-per-parameter"], len(runs)
    spread_ = (drawn["curvature"] - drawn["tokens-per-parameter"]).std(ddof=1)
    half = stats.t.ppf(0.975, n - 1) * spread_ * math.sqrt((n + 1) / (n - 1)) if n > 1 else math.nan
    return whole, (behind, behind - half, behind + half), n


def held_out(law: str, key: str) -> float:
    """Return the rms of a law on the trunk's largest size or last factor 4 in D, fitted anew without those rows.

    QiD over what curvature says is a law of constants by width: rows and errors are divided by it.
    """
    every = [row for bits in WIDTHS for row in late_trunk("gptq", bits)]
    ends = {"largest": max(row[N] for row in every), "last": max(row[D] for row in every) / 4}
    out = [row[N] == ends["largest"] if key == "largest" else row[D] > ends["last"] for row in every]
    if law == "curvature":
        every = [row | {name: row[name] / row["predicted"] for name in ("qid", "document_qid")} for row in every]
    one = fit(
        [row for row, held_ in zip(every, out, strict=True) if not held_],
        ("two", "four") if law == "curvature" else ("per_parameter", "steps"),
    )
    rest = [row for row, held_ in zip(every, out, strict=True) if held_]
    return math.sqrt(np.mean((columns(rest, one.names) @ one.coefficients - logs(rest, "qid")) ** 2))


def held() -> dict:
    found = {}
    for key, hold_out in HELD.items():
        whole, _, n = scores("qid", hold_out)
        for name, law in LAWS.items():
            found[f"held_{name}_{key}"] = whole[law] if key == "both" else held_out(law, key)
        for outcome in ("qid", "kl") if n > 1 else ():
            found |= told(f"behind_{outcome}_{key}", scores(outcome, hold_out)[1]) | {f"held_runs_{key}": n}
    return found


def exercises() -> dict:
    largest = max(along(moving()), key=lambda run: run[0][N])
    qid = max(along(late_trunk("rtn", 3)), key=lambda run: run[0][N])
    names = {"trace": "hessian_trace", "variance": "variance_3", "predicted": "predicted_3"}
    found = {f"ex_{key}": largest[-1][name] / largest[0][name] for key, name in names.items()}
    four = {row["weights_sha256"]: row for row in late_trunk("rtn", 4)}
    pairs = [(row, four[row["weights_sha256"]]) for row in late_trunk("rtn", 3)]
    return found | {
        "ex_measured": qid[-1]["qid"] / qid[0]["qid"],
        "ex_rtn": math.exp(over_twin(pairs, "predicted").mean()),
        "ex_fall": math.exp(over_twin(pairs, "qid").mean()),
        "ex_steps": (15 / 7) ** 2,
    }


# ---- Gaussian noise of the size of rounding --------------------------------------------------------------------------

NOISE, KINDS = "gaussian_noise", {"rtn": "rtn", "gptq": "gptq", "gaussian_noise_by_input": "sparing"}


def beside_noise(**wanted) -> list[dict]:
    return where(measurements("noise"), **{**MAIN, "calib_seed": {None, 0}, **wanted})


def in_larger(**wanted) -> list[dict]:
    chosen = where(measurements("unique"), family="tadpole-unique135", eval_dataset="wheels-heldout", **MAIN)
    return where(chosen, calib_seed={None, 0}, **wanted)


def kl_of(method: str, bits: int, rows_of=beside_noise) -> dict[str, dict[str, float]]:
    """Return by run and weights the mean KL over draws."""
    found = {}
    for (run, weights), chosen in grouped(rows_of(method=method, bits=bits), "run", "weights_sha256").items():
        found.setdefault(run, {})[weights] = math.fsum(row["kl_nats"] for row in chosen) / len(chosen)
    return found


def factor(by_run_of) -> tuple[float, float, float]:
    """Return the mean, and its t interval, of the runs' mean logarithms, which are lists."""
    return by_means([np.mean(values) for values in by_run_of])


def noise_counts() -> dict:
    drawn = beside_noise(method=NOISE)
    return {
        "noise_checkpoints": len(distinct(drawn, "weights_sha256")),
        "noise_runs": len(distinct(drawn, "run")),
        "noise_largest": label(max(row[N] for row in drawn)),
        "noise_draws": len(distinct(drawn, "noise_seed")),
    }


def away(bits: int) -> dict[str, dict[str, float]]:
    """Return by run and weights ln of the noise's KL over half the trace times the variance of rounding."""
    described_bits = min(bits, 4)
    finer = 2 * math.log((2**described_bits - 1) / (2**bits - 1))
    return {
        run: {
            name: math.log(kl / described()[name][f"predicted_{described_bits}"]) - finer for name, kl in of_run.items()
        }
        for run, of_run in kl_of(NOISE, bits).items()
    }


def noise_beside_curvature() -> dict:
    small = [away(bits) for bits in (5, 6, 8)]
    by_run_of = [[value for of_bits in small for value in of_bits[run].values()] for run in small[0]]
    found = told("noise_small", factor(by_run_of), math.exp)
    found |= told("noise_coarse", factor([[*of_run.values()] for of_run in away(2).values()]), math.exp)
    bends = [[away(5)[run][name] - value for name, value in of_run.items()] for run, of_run in away(8).items()]
    found |= told("noise_bend", factor(bends), math.exp)
    off = {name: value for of_run in away(8).values() for name, value in of_run.items()}
    errors = {}
    for name, chosen in grouped(beside_noise(method=NOISE, bits=8), "weights_sha256").items():
        kl = [row["kl_nats"] for row in chosen]
        trace = described()[name]["hessian_trace_se"] / described()[name]["hessian_trace"]
        errors[name] = math.hypot(np.std(kl, ddof=1) / math.sqrt(len(kl)) / np.mean(kl), trace)
    return found | {
        "noise_off": math.sqrt(np.mean(np.square(list(off.values())))),
        "noise_error": math.sqrt(np.mean(np.square(list(errors.values())))),
        "noise_within": sum(abs(value) < 2 * errors[name] for name, value in off.items()),
    }


def noise_beside_rounding() -> dict:
    found = {}
    for bits, (method, name) in itertools.product((3, 4, 8), KINDS.items()):
        kl, plain = kl_of(method, bits), kl_of(NOISE, bits)
        ratios = [[math.log(kl[run][one] / plain[run][one]) for one in plain[run]] for run in plain]
        found |= told(f"{name}_over_noise_{bits}", factor(ratios), math.exp)
    slopes = {method: [*token_slopes(kl_of(method, 4))] for method in (NOISE, *KINDS)}
    found |= told("noise_beta", by_means(slopes[NOISE]))
    for method, name in KINDS.items():
        more = [own - plain for own, plain in zip(slopes[method], slopes[NOISE], strict=True)]
        found |= told(f"{name}_beta_more", by_means(more))
    steepest = np.mean(slopes["gptq"])
    return found | {"gptq_beta": steepest, "noise_share": np.mean(slopes[NOISE]) / steepest}


def token_slopes(kl):
    """Yield each run's slope of ln KL in ln tokens, by the runs' names."""
    for run in sorted(kl):
        places = [math.log(described()[name][D]) for name in kl[run]]
        yield np.polyfit(places, np.log(list(kl[run].values())), 1)[0]


def noise_in_larger() -> dict:
    """Return what noise of 4 bits costs at the checkpoints of larger sizes that have it."""
    drawn = in_larger(method=NOISE, bits=4)
    at = {row["weights_sha256"]: row[D] for row in drawn}
    plain = kl_of(NOISE, 4, in_larger)
    own = slopes_of_larger(plain, at)
    found = {
        "larger_smallest": label(min(row[N] for row in drawn)),
        "larger_largest": label(max(row[N] for row in drawn)),
        "larger_runs": len(plain),
        "larger_from": label(min(at.values())),
        "larger_to": label(max(at.values())),
    } | told("larger_beta", by_means(own))
    for method, name in KINDS.items():
        kl = kl_of(method, 4, in_larger)
        ratios = [[math.log(kl[run][one] / plain[run][one]) for one in plain[run]] for run in plain]
        slopes = slopes_of_larger({run: {one: kl[run][one] for one in plain[run]} for run in plain}, at)
        found |= told(f"larger_{name}", factor(ratios), math.exp)
        found |= told(f"larger_{name}_more", by_means([a - b for a, b in zip(slopes, own, strict=True)]))
        if name == "sparing":
            found["larger_share"] = np.mean([a / b for a, b in zip(slopes, own, strict=True)])
    costs = {}
    for row in where(table("unique-checkpoints"), family="tadpole-unique135"):
        variances = (row["weight_rms"].reshape(-1, 4) * row["rtn_error_4_bits"].reshape(-1, 4)) ** 2 @ SHARES
        costs[row["weights_sha256"]] = row["hessian_trace_by_block"] @ variances / 2
    over = [[math.log(kl / costs[one]) for one, kl in of_run.items()] for of_run in plain.values()]
    return found | told("larger_formula", factor(over), math.exp)


def slopes_of_larger(kl, at) -> list[float]:
    """Return each run's slope of ln KL in ln tokens between two moments."""
    found = []
    for run in sorted(kl):
        first, last = sorted(kl[run], key=at.__getitem__)
        found.append(math.log(kl[run][last] / kl[run][first]) / math.log(at[last] / at[first]))
    return found
