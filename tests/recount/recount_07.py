"""Chapter 7 counted again: decay beside the trunk at equal tokens and at equal loss, exponents along runs and over ends.

A logarithm of a ratio is that of a row to the trunk of its size; `over_sizes` makes one number a size of them, and Student's t.
"""

import functools
import itertools
import math
from collections.abc import Iterable

import numpy as np
from scipy import stats
from tests.recount.recount import (
    SEEDED,
    checkpoints,
    distinct,
    grouped,
    half_width,
    label,
    measurements,
    signed,
    standard_error,
    study,
    trunk,
    where,
)
from tests.recount.recount_fits import by_run

EXCEPTED = {}
TOLERANCES = {}

N, D = "n_params_non_embedding", "tokens_seen"
WIDTHS = (2, 3, 4)
LATE = 60e6
PIECES = (0.25, 0.5, 1, 2, 4)  # passes through the text
PAPER_UPDATES = 190_000
MAIN = {"format": "int", "group_size": 32, "symmetric": False, "order": "given", "grid_search": "minmax"}
SHARES = np.array([3.0, 1.0, 4.0, 4.0]) / 12  # of a block's weights: query, key and value; out; up; down


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [seeds(), pieces(), sizes_in_pieces(), added(), surface(), growth(), along_cosine(), after()]
    parts += [excess(), equal_loss(), levers(), averages(), curvature(), exercises(), limits()]
    return {key: value for part in parts for key, value in part.items()}


# ---- the rows --------------------------------------------------------------------------------------------------------


@functools.cache
def rows(method: str = "gptq") -> list[dict]:
    """Return the late rows in asymmetric groups of 32, of every run but the depths; `plain` is the 16-bit loss."""
    found = [row for row in where(study(), method=method, bits=set(WIDTHS), **MAIN) if row[D] > LATE]
    for row in found:
        row["plain"] = row["loss_nats"] - row["qid"]
    return [row for row in found if row["family"] != "tadpole-depth"]


def single(method: str = "gptq") -> list[dict]:
    return where(rows(method), n_averaged=1)


def ends(schedule: str = "cooldown") -> list[dict]:
    return [row for row in where(single(), schedule=schedule) if row[D] == row["tokens_planned"]]


def halfway() -> list[dict]:
    return [row for row in where(single(), schedule="cooldown") if row[D] < row["tokens_planned"]]


def longest() -> list[dict]:
    """Return the rows of each size's longest cosine."""
    cosines = where(single(), schedule="cosine")
    most = {model: max(row["tokens_planned"] for row in one) for model, one in grouped(cosines, "model").items()}
    return [row for row in cosines if row["tokens_planned"] == most[row["model"]]]


def averaged() -> list[dict]:
    return [row for row in rows() if row["n_averaged"] > 1]


@functools.cache
def lines() -> dict[tuple, list[dict]]:
    """Return the trunk's rows by size and bits, in the order of training."""
    found = grouped(trunk(rows()), "model", "bits")
    return {key: sorted(one, key=lambda row: row[D]) for key, one in found.items()}


def twin(row, along: str) -> tuple[float, float] | None:
    """Return ln QiD and the 16-bit loss of the trunk at a row's tokens or loss (`along`), on straight lines."""
    line = lines()[row["model"], row["bits"]]
    place = (lambda one: math.log(one[D])) if along == D else (lambda one: -one["plain"])
    places = [place(one) for one in line]
    if not places[0] <= place(row) <= places[-1]:
        return None
    return tuple(
        float(np.interp(place(row), places, values))
        for values in ([math.log(one["qid"]) for one in line], [one["plain"] for one in line])
    )


def logs(chosen, along: str = D) -> list[tuple[dict, float]]:
    """Return the rows that have a twin, each with ln of its QiD over the twin's."""
    pairs = [(row, twin(row, along)) for row in chosen]
    return [(row, math.log(row["qid"]) - other[0]) for row, other in pairs if other]


def of_bits(pairs, *bits) -> list[tuple[dict, float]]:
    return [pair for pair in pairs if pair[0]["bits"] in bits]


def over_sizes(pairs: Iterable[tuple[dict, float]]) -> list[float]:
    """Return the mean of each size."""
    by_model = {}
    for row, value in pairs:
        by_model.setdefault(row["model"], []).append(value)
    return [math.fsum(values) / len(values) for values in by_model.values()]


def told(name: str, pairs, scale=math.exp) -> dict[str, float]:
    """Return the mean over sizes with its interval, as factors unless `scale` says otherwise."""
    values = over_sizes(pairs)
    middle, half = math.fsum(values) / len(values), half_width(values)
    return {f"{name}_mean": scale(middle), f"{name}_low": scale(middle - half), f"{name}_high": scale(middle + half)}


def mean(pairs, scale=math.exp) -> float:
    values = over_sizes(pairs)
    return scale(math.fsum(values) / len(values))


def plainly(value: float) -> float:
    return value


def power(chosen, column=D) -> float:
    """Return the slope of ln QiD in ln of a column."""
    return stats.linregress(*np.log([(row[column], row["qid"]) for row in chosen]).T).slope


def slopes(pairs, columns, cluster) -> list[tuple[float, float, float]]:
    """Return the slope of a logarithm in ln of each column, with its ends: CR2 by a column of the rows."""
    places = np.log([[row[name] for name in columns] for row, _ in pairs])
    design, values = np.column_stack([np.ones(len(pairs)), places]), np.array([value for _, value in pairs])
    design[:, 1:] -= design[:, 1:].mean(axis=0)
    found = np.linalg.lstsq(design, values)[0]
    covariance, freedom = by_run(design, values - design @ found, [row[cluster] for row, _ in pairs])
    halves = stats.t.ppf(0.975, freedom) * np.sqrt(np.diag(covariance))
    return list(zip(found, found - halves, found + halves, strict=True))[1:]


def texts(name: str, three) -> dict[str, str]:
    return {f"{name}_{end}": signed(value, 3) for end, value in zip(("value", "low", "high"), three, strict=True)}


# ---- seeds, and the constant rate ------------------------------------------------------------------------------------


def of_seeds() -> list[dict]:
    """Return the rows of models trained from several seeds, at the steps that several have."""
    chosen = trunk(rows()) + where(rows(), family=SEEDED)
    several = {key for key, one in grouped(chosen, "model", "step").items() if len(distinct(one, "train_seed")) > 1}
    return [row for row in chosen if (row["model"], row["step"]) in several]


def seeds() -> dict:
    found = {"group": MAIN["group_size"], "late_tokens": label(LATE), "seed_models": len(distinct(of_seeds(), "model"))}
    found["seed_runs"] = len(distinct(of_seeds(), "family", "run"))
    places = grouped(where(of_seeds(), bits=3), "model", "step").values()
    qids = [np.array([row["document_qid"].mean() for row in one]) for one in places]
    scatter = math.sqrt(np.mean([values.var(ddof=1) / values.mean() ** 2 for values in qids]))
    return found | {"seed_3": scatter, "yard_3": math.exp(2 * math.sqrt(2) * scatter)}


@functools.cache
def in_pieces() -> list[tuple[dict, float, float]]:
    """Return for each size, bit width and piece of training the line's last row, the start in passes and the exponent."""
    found = []
    for line in lines().values():
        passes = [row[D] / row["unique_tokens"] for row in line]
        for start, end in itertools.pairwise(PIECES):
            first, last = (max(index for index, one in enumerate(passes) if one <= at) for at in (start, end))
            found.append((line[-1], start, power(line[first : last + 1])))
    return found


def pieces() -> dict:
    found = {}
    for start in (PIECES[0], 2):
        pairs = [(row, math.log(2) * value) for row, at, value in in_pieces() if (row["bits"], at) == (3, start)]
        found |= told(f"doubling_3_{start:g}", pairs)
    times = [line[-1]["qid"] / line[0]["qid"] for line in lines().values()]
    line = next(iter(lines().values()))
    return found | {
        "whole_low": min(times),
        "whole_high": max(times),
        "whole_times": line[-1][D] / line[0][D],
        "pieces": len(in_pieces()),
        "pieces_rising": sum(value > 0 for _, _, value in in_pieces()),
        "trunk_sizes": len(distinct(trunk(rows()), N)),
    }


def sizes_in_pieces() -> dict:
    of_three = {}
    for row, start, value in in_pieces():
        if row["bits"] == 3:
            of_three.setdefault(row[N], {})[start] = 2**value
    slowed = [size for size, factors in of_three.items() if factors[2] < factors[0.5]]
    return {
        "slowed": len(slowed),
        "slowed_to": label(max(slowed)),
        "trunk_largest": label(max(of_three)),
        "largest_0.5": of_three[max(of_three)][0.5],
        "largest_2": of_three[max(of_three)][2],
    }


# ---- decay at equal tokens -------------------------------------------------------------------------------------------


def added() -> dict:
    found = {}
    for bits in WIDTHS:
        for name, chosen in (("half", halfway()), ("end", ends())):
            found |= told(f"{name}_{bits}", of_bits(logs(chosen), bits))
    first, last = min(row[D] for row in ends()), max(row[D] for row in ends())
    of_last = logs([row for row in ends() if row[D] == last])
    found |= told("end_first_2", of_bits(logs([row for row in ends() if row[D] == first]), 2))
    found |= told("end_last_2", of_bits(of_last, 2))
    return found | {
        "end_last_3_mean": mean(of_bits(of_last, 3)),
        "cooldown_sizes": len(distinct(ends(), "model")),
        "cooldown_runs": len(distinct(ends(), "run")),
        "first_end": label(first),
        "last_end": label(last),
    }


def cooled(family: str, blocks: int, bits: int, column: str) -> list[tuple[dict, float]]:
    """Return a family's finished cooldowns, each with ln of its KL or QiD over that of the run it left, at equal tokens.

    A cooldown of the second runs ends one update after a checkpoint of the run it left.
    """
    chosen = where(measurements(), device_type="cuda", n_sequences=blocks, eval_dataset="wheels-heldout", family=family)
    whole = where(chosen, method="gptq", bits=bits, **MAIN, calib_seed=0, assignment_sha256=None, outlier_share=None)
    done = [row for row in where(whole, schedule="cooldown") if row[D] == row["tokens_planned"]]
    found = []
    for row in done:
        left = [
            one for one in where(whole, run=row["model"], model=row["model"]) if abs(one[D] - row[D]) < 1e-3 * row[D]
        ]
        found += [(row | {"left": f"{family}/{row['model']}"}, math.log(row[column] / one[column])) for one in left]
    return found


def all_cooled(bits: int, column: str) -> list[tuple[dict, float]]:
    return cooled("tadpole-trunk", 512, bits, column) + cooled("tadpole-mixed", 256, bits, column)


def surface() -> dict:
    """Return the plane of ln KL ratio over ln D and ln N through the cooldowns of the trunk and of the second runs."""
    pairs = all_cooled(4, "kl_nats")
    tokens, _ = slopes(pairs, [D, N], "left")
    of_three = all_cooled(3, "qid")
    (by_tokens, *_), (by_size, *_) = slopes(of_three, [D, N], "left")
    lean = [by_tokens * math.log(row[D]) + by_size * math.log(row[N]) for row, _ in of_three]
    level = np.mean([value for _, value in of_three]) - np.mean(lean)
    return {
        "surface_n": len(pairs),
        "surface_runs": len({row["left"] for row, _ in pairs}),
        "surface_largest": label(max(row[N] for row, _ in pairs)),
        "surface_range_low": math.exp(level + min(lean)),
        "surface_range_high": math.exp(level + max(lean)),
        "surface_tokens_first": label(min(row[D] for row, _ in of_three)),
        "surface_tokens_last": label(max(row[D] for row, _ in of_three)),
        **texts("surface_tokens", tokens),
    }


def parts(chosen) -> list[tuple[dict, float, float, float]]:
    """Return for each size and bit width the last row, and growth, the trunk's and the share of decay in logarithms."""
    found = []
    for one in grouped(chosen, "model", "bits").values():
        first, last = min(one, key=lambda row: row[D]), max(one, key=lambda row: row[D])
        whole, tokens = math.log(last["qid"] / first["qid"]), twin(last, D)[0] - twin(first, D)[0]
        found.append((last, math.exp(tokens), math.exp(whole - tokens), (whole - tokens) / whole))
    return found


def growth() -> dict:
    shares = [(one[0], one[3]) for one in parts(ends()) if one[0]["bits"] == 3]
    return told("share_cooldown_3", shares, plainly) | {
        "parts_first": label(min(row[D] for row in ends())),
        "parts_last": label(max(row[D] for row in ends())),
    }


def along_cosine() -> dict:
    shares = [one[3] for one in parts(longest())]
    return {
        "cosine_sizes": len(distinct(longest(), "model")),
        "cosine_first": label(min(row[D] for row in longest())),
        "cosine_last": label(max(row[D] for row in longest())),
        "cosine_share_low": min(shares),
        "cosine_share_high": max(shares),
    }


# ---- after decay, and along a cosine ---------------------------------------------------------------------------------


def after() -> dict:
    found, done = {}, ends()
    series = {key: sorted(one, key=lambda row: row[D]) for key, one in grouped(done, "model", "bits").items()}
    of_three = {model: one for (model, bits), one in series.items() if bits == 3}
    found |= told("after_3", [(one[0], power(one)) for one in of_three.values()], plainly)
    same = [where(lines()[model, 3], step=distinct(one, "step")) for model, one in of_three.items()]
    found["constant_3_mean"] = mean([(one[0], power(one)) for one in same], plainly)
    times = [one[-1]["qid"] / one[0]["qid"] for one in series.values()]
    return found | {
        "after_times_low": min(times),
        "after_times_high": max(times),
        "after_series": len(series),
        "after_rising": sum(all(np.diff([row["qid"] for row in one]) > 0) for one in series.values()),
        "per_parameter_low": min(row[D] / row[N] for row in done),
        "per_parameter_high": max(row[D] / row[N] for row in done),
    }


def excess() -> dict:
    found, flat = {}, []
    for bits in WIDTHS:
        pairs = []
        for model, one in grouped(where(longest(), bits=bits), "model").items():
            constant = power(where(lines()[model, bits], step=distinct(one, "step")))
            pairs.append((one[0], power(one) - constant))
            flat.append((bits, constant, power(one)))
        found |= told(f"excess_{bits}", pairs, plainly)
        by_seed = grouped(where(of_seeds(), bits=bits), "model", "family", "run")
        by_model = {}
        for (model, *_), one in by_seed.items():
            by_model.setdefault(model, []).append(power(one))
        found[f"between_{bits}"] = math.sqrt(np.mean([np.var(values, ddof=1) for values in by_model.values()]))
    overstated = [np.mean([own / constant - 1 for width, constant, own in flat if width == bits]) for bits in WIDTHS]
    planned = max(row["tokens_planned"] for row in longest())
    early = of_bits(logs([row for row in longest() if row[D] <= planned / 2]), 2, 3)
    return found | {
        "overstated_low": min(overstated),
        "overstated_high": max(overstated),
        "longest_tokens": label(planned),
        "flat_low": min(constant for _, constant, _ in flat),
        "flat_high": max(constant for _, constant, _ in flat),
        "cosine_early": math.exp(np.mean([value for _, value in early])),
        "cosine_late_last": math.exp(cosine_end()),
    }


def cosine_end() -> float:
    """Return ln of QiD over the trunk's at the end of the longest cosines, the mean of 2 and 3 bits."""
    last = max(row[D] for row in longest())
    return np.mean([value for _, value in of_bits(logs([row for row in longest() if row[D] == last]), 2, 3)])


# ---- at equal loss, and other ways of training -----------------------------------------------------------------------


def equal_loss() -> dict:
    found = {}
    decayed, cosines, means = (logs(chosen, "plain") for chosen in (ends(), ends("cosine"), averaged()))
    for bits in WIDTHS:
        found |= told(f"loss_cooldown_{bits}", of_bits(decayed, bits)) | told(
            f"loss_cosine_{bits}", of_bits(cosines, bits)
        )
        found[f"loss_average_{bits}_mean"] = mean(of_bits(means, bits))
    found |= texts("loss_size_2", slopes(of_bits(decayed, 2), [N], "model")[0])
    sizes = [row[N] for row, _ in decayed]
    smallest, largest = ([pair for pair in of_bits(decayed, 2) if pair[0][N] == end(sizes)] for end in (min, max))
    return found | {
        "loss_smallest_2": mean(smallest),
        "loss_largest_2": mean(largest),
        "smallest_size": label(min(sizes)),
        "largest_size": label(max(sizes)),
        "loss_rows": len(distinct([row for row, _ in decayed], "run")),
    }


def levers() -> dict:
    usual = trunk(rows())[0]["peak_learning_rate"]
    rates = where(rows(), family={"tadpole-rates", "tadpole-ninth-rate"})
    ways = {
        name: [row for row in rates if row["peak_learning_rate"] == times * usual]
        for name, times in (("half", 0.5), ("double", 2))
    }
    ways |= {
        "wd0": where(rows(), family="tadpole-decay", weight_decay=0.0),
        "wd3": where(rows(), family="tadpole-decay", weight_decay=0.3),
    }
    found = {"rate_sizes": len(distinct(ways["half"], "model"))}
    for name in ("half", "double"):
        three = told(f"{name}_loss_3", of_bits(logs(ways[name], "plain"), 3))
        found |= {key.replace("_mean", "_ratio"): value for key, value in three.items()}
    for name in ("wd0", "wd3"):
        found[f"{name}_loss_3_ratio"] = mean(of_bits(logs(ways[name], "plain"), 3))
    return found


def averages() -> dict:
    found = {}
    other = {(row["model"], row["step"], row["bits"]): row for row in ends()}
    pairs = [(row, other.get((row["model"], row["step"], row["bits"]))) for row in averaged()]
    pairs = [pair for pair in pairs if pair[1]]
    for bits in WIDTHS:
        documents = [one["group_loss"] - two["group_loss"] for one, two in pairs if one["bits"] == bits]
        surely = [values.mean() / standard_error(values) for values in documents]
        found |= {
            f"lawa_better_{bits}": sum(one < -2 for one in surely),
            f"lawa_worse_{bits}": sum(one > 2 for one in surely),
        }
        found["lawa_cases"] = len(documents)
    plain = [
        np.mean(one["group_loss"] - one["document_qid"] - two["group_loss"] + two["document_qid"]) for one, two in pairs
    ]
    return found | {"lawa_plain_low": min(plain), "lawa_plain_high": max(plain)}


# ---- curvature -------------------------------------------------------------------------------------------------------


def curves(row) -> dict[str, float]:
    """Return the trace of the Hessian, the variance of the error of 3 bits, and what both predict, of a row's weights."""
    described = by_weights()[row["weights_sha256"]]
    blocks = (described["weight_rms"] * described["rtn_error_3_bits"]).reshape(-1, 4) ** 2 @ SHARES
    return {
        "qid_nats": row["qid"],
        "hessian_trace": described["hessian_trace"],
        "variance": blocks.mean(),
        "predicted_nats": described["hessian_trace_by_block"] @ blocks / 2,
    }


@functools.cache
def by_weights() -> dict[str, dict]:
    return {row["weights_sha256"]: row for row in checkpoints()}


def curvature() -> dict:
    found, steps = {}, distinct(ends(), "step")
    names = ("qid_nats", "hessian_trace", "variance", "predicted_nats")
    of_trunk = {method: grouped(where(trunk(rows(method)), bits=3), "model", "step") for method in ("rtn", "gptq")}
    for method, name in [("rtn", name) for name in names] + [("gptq", "qid_nats")]:
        own = where(rows(method), bits=3, schedule="cooldown", learning_rate=0.0)
        twins = [of_trunk[method][row["model"], row["step"]][0] for row in own]
        pairs = [
            (row, math.log(curves(row)[name] / curves(other)[name])) for row, other in zip(own, twins, strict=True)
        ]
        found |= told(f"sharper_{method}_{name}", pairs)
    for name in ("hessian_trace", "variance"):
        ratios = []
        for model in distinct(trunk(rows("rtn")), "model"):
            first, last = (of_trunk["rtn"][model, end(steps)][0] for end in (min, max))
            ratios.append((first, math.log(curves(last)[name] / curves(first)[name])))
        found[f"grown_{name}_mean"] = mean(ratios)
    untold = {"sharper_gptq_qid_nats_low", "sharper_gptq_qid_nats_high"}
    return {key: value for key, value in found.items() if key not in untold}


# ---- exercises and limits --------------------------------------------------------------------------------------------


def exercises() -> dict:
    last = max(row["step"] for row in ends())
    done = where(ends(), step=last, bits=3)
    (begun,) = distinct(done, "branched_at_step")
    of_trunk = {(row["model"], row["step"], row["bits"]): row for row in trunk(rows())}
    left = [of_trunk[row["model"], begun, 3]["qid"] for row in done]
    reached = [of_trunk[row["model"], last, 3]["qid"] for row in done]
    own = [row["qid"] for row in done]
    large = max(done, key=lambda row: row[N])
    same = of_trunk[large["model"], last, 3]
    (two,) = where(ends(), step=last, bits=2, model=large["model"])
    return {
        "naive_3": math.exp(np.mean(np.log(own) - np.log(left))),
        "naive_trunk_3": math.exp(np.mean(np.log(reached) - np.log(left))),
        "choice_cooldown": large["loss_nats"],
        "choice_trunk": same["loss_nats"],
        "choice_cooldown_2": two["loss_nats"],
        "choice_trunk_2": of_trunk[large["model"], last, 2]["loss_nats"],
        "choice_qid": large["qid"] - same["qid"],
        "choice_loss": same["plain"] - large["plain"],
        "exercise_off": cosine_end() / math.log(3),
    }


def limits() -> dict:
    updates = max(row["step"] for row in trunk(rows()))
    return {
        "trunk_last": label(max(row[D] for row in trunk(rows()))),
        "trunk_updates": updates,
        "unique_tokens": label(rows()[0]["unique_tokens"]),
        "updates_times": PAPER_UPDATES / updates,
        "norm_ours": 2 * 2e-3 * 0.1 * updates,
        "norm_theirs": 2 * 3e-3 * 0.1 * PAPER_UPDATES,
    }
