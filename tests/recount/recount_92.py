"""The page on what else moves QiD counted again: text read again, runs beside their twins, second runs, cooldowns."""

import math
from itertools import pairwise

import numpy as np
from scipy import stats
from tests.recount.recount import (
    checkpoints,
    distinct,
    geometric_mean,
    grouped,
    label,
    measurements,
    package_error,
    signed,
    study,
    trunk,
    where,
)
from tests.recount.recount_04 import (
    BITS,
    EARLY,
    WIDTHS,
    D,
    N,
    interval,
    late,
    line,
    of_trunk,
    plane,
    rises,
    rounded,
    size_order,
    walks,
    with_ends,
)
from tests.recount.recount_read_again import read_again

EXCEPTED = {}
TOLERANCES = {}

PIECES = {"early": (0.25, 0.5), "before": (0.5, 1), "second": (1, 2), "last": (2, 4)}  # passes through the text


def numbers() -> dict:
    parts = [shown(), slopes(), last_step_in_size(), peak(), texts(), rereading(), ways(), scatter()]
    parts += [second_runs(), second_slopes(), decay(), rules(), in_kl(), schemes(), read_again()]
    return {key: value for part in parts for key, value in part.items()}


def shown() -> dict:
    rows = of_trunk()
    trained = distinct(where(checkpoints(), n_averaged=1), "family", "run")
    return {
        "all_runs": len(trained & distinct(study(), "family", "run")),
        "study_steps": len(distinct(rows, "step")),
        "early_tokens": label(EARLY),
        "unique_tokens": label(rows[0]["unique_tokens"]),
        "passes_last": max(row[D] / row["unique_tokens"] for row in rows),
        "steps_again": len({row["step"] for row in rows if row[D] > row["unique_tokens"]}),
    }


# ---- text read again -------------------------------------------------------------------------------------------------


def piece(rows, start, end) -> list[dict]:
    """Return a run's rows from the last checkpoint at or before one number of passes to that of another."""
    read = [row[D] / row["unique_tokens"] for row in rows]
    low, high = (max(one for one in read if one <= limit) for limit in (start, end))
    return [row for row, one in zip(rows, read, strict=True) if low <= one <= high]


def steepness(width) -> dict[int, dict[str, float]]:
    """Return N -> piece of training -> slope of ln QiD in ln D."""
    found = {}
    for rows in walks(of_trunk(widths={width}), D, N):
        pieces = {name: piece(rows, *ends) for name, ends in PIECES.items()}
        found[rows[0][N]] = {k: line([r[D] for r in one], [r["qid"] for r in one]) for k, one in pieces.items()}
    return found


def slopes() -> dict:
    found, turns, (smallest, *_, next_largest, largest) = {}, {True: [], False: []}, size_order()
    for width in BITS:
        runs = steepness(width)
        for earlier, name in (("before", "second"), *((("early", "before"),) if width == 2 else ())):
            bends = [run[name] - run[earlier] for run in runs.values()]
            found |= interval(bends, f"bend_{name}_{width}", lambda value: signed(value, 2))
        for size, run in runs.items():
            turns[size >= next_largest].append(run["last"] > run["second"])
    for name in PIECES:
        found |= interval([run[name] for run in steepness(2).values()], f"slope_{name}_2")
    found |= {"slope_smallest": steepness(2)[smallest]["early"], "slope_largest": steepness(2)[largest]["early"]}
    found |= {"large_up": sum(turns[True]), "large_bends": len(turns[True])}
    return found | {"small_up": sum(turns[False]), "small_bends": len(turns[False])}


def last_step_in_size() -> dict:
    """Return the largest model's QiD over that of the next, at the first pass's last checkpoint and at the end."""
    *_, smaller, largest = size_order()
    once = max(row[D] for row in of_trunk() if row[D] <= row["unique_tokens"])
    found = {"once_tokens": label(once)}
    for name, tokens in (("once", once), ("end", max(row[D] for row in of_trunk()))):
        for width in BITS:
            one, other = (where(of_trunk(widths={width}), **{N: size, D: tokens}) for size in (smaller, largest))
            found[f"last_step_{width}_{name}"] = other[0]["qid"] / one[0]["qid"]
    return found


def last_two(rows, outcome) -> float:
    """Return the largest model's outcome over that of the next, of rows of one moment and one way of rounding."""
    below, above = sorted(where(rows, **{N: set(size_order()[-2:])}), key=lambda row: row[N])
    return above[outcome] / below[outcome]


def peak() -> dict:
    """Return that ratio in KL: where it peaks in QiD at 3 bits, in other groups and widths, and in the second runs."""
    once, end = (max(row[D] for row in of_trunk() if row[D] <= most) for most in (of_trunk()[0]["unique_tokens"], 1e12))
    moments = [tokens for tokens in distinct(of_trunk(), D) if tokens >= once]
    top = max(moments, key=lambda tokens: last_two(where(of_trunk(widths={3}), **{D: tokens}), "qid"))
    found = {"peak_tokens": label(top), "peak_qid": last_two(where(of_trunk(widths={3}), **{D: top}), "qid")}
    for group in (32, 64, 128, None):
        rows = where(of_trunk(group=group, widths={3}), **{D: top})
        found[f"peak_kl_3_{group or 0}"] = last_two(rows, "kl_nats")
    found |= {f"peak_kl_{p}": last_two(where(of_trunk(widths={p}), **{D: top}), "kl_nats") for p in (4, 6, 8)}
    for width in BITS:
        for name, tokens in (("once", once), ("end", end)):
            found[f"last_kl_{width}_{name}"] = last_two(where(of_trunk(widths={width}), **{D: tokens}), "kl_nats")
    again = where(second(), bits=3)
    shared = max(row[D] for row in where(again, **{N: size_order()[-1]}))
    found |= {"second_last": label(shared), "second_ratio_3": last_two(where(again, **{D: shared}), "kl_nats")}
    seeded = rounded(where(study(), run="tadpole-512x12-seed1", **{D: shared}), widths={3})
    below = where(of_trunk(widths={3}), **{D: shared, N: size_order()[-2]})
    found["seed_ratio_3"] = seeded[0]["kl_nats"] / below[0]["kl_nats"]
    return found | {"first_ratio_3": last_two(where(of_trunk(widths={3}), **{D: shared}), "kl_nats")}


def losses(text) -> dict[int, list[dict]]:
    """Return N -> the trunk's 16-bit losses on a text, in the order of tokens."""
    return {rows[0][N]: rows for rows in walks(where(trunk(study(text)), method="none"), D, N)}


def both_errors(heldout, unseen) -> float:
    """Return the error of a difference between the two texts, whose documents are independent of each other."""
    return math.hypot(package_error(heldout, "wheels-heldout"), package_error(unseen, "wheels-unseen"))


def texts() -> dict:
    heldout, unseen = losses("wheels-heldout"), losses("wheels-unseen")
    found, (*small, next_largest, largest) = {}, size_order()
    for name, ends in list(PIECES.items())[1:]:
        gains, shares = {}, {}
        for size in heldout:
            ours, theirs = ((one[0], one[-1]) for one in (piece(text[size], *ends) for text in (heldout, unseen)))
            changes = [after["loss_nats"] - before["loss_nats"] for before, after in (ours, theirs)]
            gains[size], shares[size] = changes[1] - changes[0], changes[1] / changes[0]
            if (name, size) == ("last", largest):
                documents = [after["group_loss"] - before["group_loss"] for before, after in (ours, theirs)]
                found |= {"widest": gains[size], "widest_se": both_errors(*documents)}
        found |= interval(list(gains.values()), f"wider_{name}")
        if name in ("second", "last"):
            found[f"share_{name}_small"] = math.fsum(shares[size] for size in small) / len(small)
            found[f"share_{name}_large"] = (shares[next_largest] + shares[largest]) / 2
    return found


def rereading() -> dict:
    heldout, unseen = losses("wheels-heldout"), losses("wheels-unseen")
    falls, errors = [], []
    for rows in (*heldout.values(), *unseen.values()):
        again = [row["loss_nats"] for row in rows if row[D] > row["unique_tokens"]]
        falls += [after < before for before, after in pairwise(again)]
    for size in heldout:
        pairs = zip(late(heldout[size]), late(unseen[size]), strict=True)
        errors += [both_errors(one["group_loss"], other["group_loss"]) for one, other in pairs]
    return {"loss_steps": len(falls), "loss_down": sum(falls), "gap_se": np.median(errors)}


# ---- other runs, beside the trunk's rows ------------------------------------------------------------------------------

WAYS = {"average": "average", "lr0.001": "half", "lr0.004": "double", "wd0.3": "wd3", "wd0": "wd0"}
WAYS |= {"cooldown": "cooldown", "cosine": "cosine", "seed": "seed"}
SHAPES = {"64x12": "deep_small", "128x16": "deep_large", "160x2": "shallow_small", "352x2": "shallow_large"}
TOLD = {"latest", "shape_size_gap", "seed_runs", "cooldown_runs", "average_2", "average_loss", "cosine_2_last"}
TOLD |= {f"{name}_{end}" for name in ("seed", "cosine", "half", "double") for end in ("lowest", "highest")}
TOLD |= {f"{name}_2{end}" for name in ("wd0", "wd3", "deep_small", "deep_large") for end in ("", "_last")}
TOLD |= {"shallow_small_2", "shallow_large_2"}


def way(row) -> str:
    """Return what sets a run apart from the trunk, by its name; an average or a branch says so at its end."""
    ending = row["run"].removeprefix(row["model"]).removeprefix("-")
    named = [name for start, name in WAYS.items() if ending.startswith(start)]
    return named[0] if named else SHAPES[row["model"].removeprefix("tadpole-")]


def beside() -> list[dict]:
    """Return the rows of other runs, each with its twin: the trunk's at as many tokens and bits that is nearest in size.

    `ratio` is QiD over that of the twin, `change` the 16-bit loss less that of the twin. Of runs with a decay: the end.
    """
    rows, found = late(rounded(study())), []
    on_trunk = grouped(trunk(rows), D, "bits")
    for row in rows:
        if trunk([row]) or (row["schedule"] != "constant" and row[D] != row["tokens_planned"]):
            continue
        twin = min(on_trunk[row[D], row["bits"]], key=lambda other: abs(math.log(other[N] / row[N])))
        before, of_twin = (one["loss_nats"] - one["qid"] for one in (row, twin))
        pair = {"twin": twin, "ratio": row["qid"] / twin["qid"], "change": before - of_twin}
        found.append(row | pair | {"way": way(row)})
    return found


def ratio(rows) -> float:
    return geometric_mean(row["ratio"] for row in rows)


def change(rows) -> float:
    return math.fsum(row["change"] for row in rows) / len(rows)


def ways() -> dict:
    everything = beside()
    latest = max(row[D] for row in where(everything, way="cosine"))
    sizes_apart = [row[N] / row["twin"][N] - 1 for row in everything if row["model"] != row["twin"]["model"]]
    found = {"latest": label(latest), "shape_size_gap": max(map(abs, sizes_apart))}
    for name, rows in grouped(everything, "way").items():
        single = [ratio(one) for one in grouped(rows, "run", "bits").values()]
        found |= {f"{name}_runs": len(distinct(rows, "run")), f"{name}_loss": signed(change(rows), 3)}
        found |= {f"{name}_lowest": min(single), f"{name}_highest": max(single)}
        found |= {f"{name}_2": ratio(where(rows, bits=2)), f"{name}_2_last": ratio(where(rows, bits=2, **{D: latest}))}
    return {key: value for key, value in found.items() if key in TOLD}


def scatter() -> dict:
    """Return how far QiD scatters between training seeds: standard deviation over mean, rms over checkpoints."""
    rows = where(beside(), way="seed")
    found = {"mates": len(distinct(rows, "model"))}
    for width, one in grouped(rows, "bits").items():
        squares = []
        for seeds in grouped(one, "model", D).values():
            values = np.array([seeds[0]["twin"]["qid"], *(row["qid"] for row in seeds)])
            squares.append(sum((values / values.mean() - 1) ** 2) / (len(values) - 1))
        found[f"seed_sd_{width:g}"] = math.sqrt(np.mean(squares))
    return found


# ---- second runs and the surface of cooldowns ----------------------------------------------------------------------


def second(own=True, widths=BITS) -> list[dict]:
    """Return the rows of the second runs, every matrix rounded: of the runs themselves, or of their cooldowns."""
    of_family = where(measurements(), family="tadpole-mixed", device_type="cuda", n_sequences=256, calib_seed=0)
    rows = rounded(where(of_family, eval_dataset="wheels-heldout", assignment_sha256=None, outlier_share=None))
    return [row for row in rows if row["bits"] in widths and (row["run"] == row["model"]) == own]


def beside_second() -> list[tuple[dict, dict]]:
    """Return the late rows of first and second runs of a size, in pairs of one step and bit width."""
    firsts = {(row["model"], row["step"], row["bits"]): row for row in late(of_trunk())}
    pairs = [(firsts.get((row["model"], row["step"], row["bits"])), row) for row in late(second())]
    return [(first, other) for first, other in pairs if first]


def second_runs() -> dict:
    series = walks(second(), D, "model", "bits")
    found = {
        "second_sizes": len({other["model"] for _, other in beside_second()}),
        "second_up": rises(series, "qid"),
        "second_steps": sum(len(one) - 1 for one in series),
        "second_checkpoints": len(distinct(second(), "weights_sha256")),
        "second_cooldowns": len(distinct(second(own=False), "weights_sha256")),
    }
    for outcome, name in (("qid", "qid"), ("kl_nats", "kl")):
        for width in BITS:
            logs = [math.log(a[outcome] / b[outcome]) for a, b in beside_second() if b["bits"] == width]
            found[f"second_{name}_sd_{width}"] = np.std(logs, ddof=1) / math.sqrt(2)
    return found


def second_slopes() -> dict:
    """Return the slopes of ln QiD in ln D in first and second runs, means over sizes, and their difference."""
    found = {}
    for width in BITS:
        sizes_: dict = {}
        for pair in beside_second():
            if pair[0]["bits"] == width:
                sizes_.setdefault(pair[0]["model"], []).append(pair)
        runs = [
            [line([r[D] for r in one], [r["qid"] for r in one]) for one in zip(*x, strict=True)]
            for x in sizes_.values()
        ]
        for name, values in zip(("first", "second"), zip(*runs, strict=True), strict=True):
            found[f"second_{name}_{width}"] = math.fsum(values) / len(values)
        found |= interval([b - a for a, b in runs], f"second_apart_{width}", lambda value: signed(value, 2))
    return found


def decay() -> dict:
    """Return what a full cooldown multiplies QiD at 3 bits by: a plane in ln D and ln N through all cooldowns."""
    rows = [*rounded(where(study(), family="tadpole-trunk"), widths={3}), *second(True, {3}), *second(False, {3})]
    ended = [
        row for row in rows if "-cooldown" in row["run"] and row[D] == row["tokens_planned"] and row["n_averaged"] == 1
    ]
    cooled = []
    for row in ended:
        left = where(rows, run=row["model"], family=row["family"])
        (same,) = [other for other in left if abs(other[D] / row[D] - 1) < 1e-3]
        cooled.append(row | {"ratio": row["qid"] / same["qid"], "cluster": (row["family"], row["model"])})
    slopes_, covariance, freedom = plane(cooled, "ratio")
    middle = np.log([[row[D], row[N]] for row in cooled]).mean(axis=0)

    def at(tokens, size) -> tuple[float, float]:
        place = np.array([1.0, *(np.log([tokens, size]) - middle)])
        return place @ slopes_, stats.t.ppf(0.975, min(freedom)) * math.sqrt(place @ covariance @ place)

    factors = [math.exp(at(row[D], row[N])[0]) for row in cooled]
    found = {
        "decay_least": min(factors),
        "decay_most": max(factors),
        "decay_above": sum(row["ratio"] > 1 for row in cooled),
        "decay_cooldowns": len(cooled),
        "decay_runs": len(distinct(cooled, "cluster")),
        "decay_sizes": len(distinct(cooled, "model")),
    }
    for name, tokens, size in (("large", 250e6, 37.8e6), ("late", 600e6, 1e6)):
        log, half = at(tokens, size)
        found |= {f"decay_{name}_ratio": math.exp(log), f"decay_{name}_low": math.exp(log - half)}
        found |= {f"decay_{name}_high": math.exp(log + half), f"decay_{name}_tokens": label(tokens)}
        found[f"decay_{name}_size"] = label(size)
    return found


# ---- KL, and other ways of rounding -----------------------------------------------------------------------------------


def divided(outcome) -> dict[tuple[int, int], list[float]]:
    """Return, by the step from few bits to more, ln of what a bit divides each run's mean outcome by."""
    runs = grouped(late(of_trunk(widths=set(WIDTHS))), "run").values()
    means = [{p: np.mean([row[outcome] for row in where(rows, bits=p)]) for p in WIDTHS} for rows in runs]
    return {(few, many): [math.log(m[few] / m[many]) / (many - few) for m in means] for few, many in pairwise(WIDTHS)}


def rules() -> dict:
    """Return what one more bit divides QiD and KL by, the grid's rule for it, and the power of P that QiD would need."""
    found, off = {}, []
    for (few, many), logs in divided("qid").items():
        if many in (3, 6, 8):
            found[f"power_{many}"] = math.fsum(logs) / len(logs) * (many - few) / math.log(many / few)
    for (few, many), logs in list(divided("kl_nats").items())[2:]:
        rule = ((2**many - 1) / (2**few - 1)) ** (2 / (many - few))  # the variance goes with the scale's square
        off.append(abs(geometric_mean(map(math.exp, logs)) / rule - 1))
    found |= {"rule_8": rule, "kl_off": max(off)}
    for outcome, name in (("qid", "factor_8"), ("kl_nats", "kl_factor_8")):
        for key, value in interval(divided(outcome)[6, 8], name, math.exp).items():
            found[key.removesuffix("_mean")] = value
    del found["factor_8"]
    return found


def in_kl() -> dict:
    """Return in how many steps QiD and KL rise at 8 bits, and their slopes in ln D there."""
    every = late(of_trunk(widths=set(WIDTHS)))
    at_8 = where(every, bits=8)
    series = walks(at_8, D, "run")
    found = {"kl_rows": len(every), "up_steps": sum(len(one) - 1 for one in series)}
    for outcome, up, name in (("qid", "up_8", "slope_8"), ("kl_nats", "kl_up_8", "kl_slope_8")):
        rows = [row | {"cluster": row["run"]} for row in at_8 if row[outcome] > 0]
        slope, covariance, freedom = plane(rows, outcome)
        half = stats.t.ppf(0.975, freedom[1]) * math.sqrt(covariance[1, 1])
        found |= {up: rises(series, outcome)} | with_ends(slope[1], half, name)
    return found


def over_gptq(rows) -> list[tuple[dict, float]]:
    """Return rows of the trunk, each with its QiD over that of GPTQ in groups of 32 on the same weights."""
    gptq = {(row["weights_sha256"], row["bits"]): row["qid"] for row in of_trunk()}
    return [(row, row["qid"] / gptq[row["weights_sha256"], row["bits"]]) for row in rows]


def schemes() -> dict:
    everywhere, series = over_gptq(of_trunk(method="rtn")), walks(late(of_trunk(method="rtn")), D, "model", "bits")
    ratios = [(row, one) for row, one in everywhere if row[D] > EARLY]
    at_2 = {size: [one for row, one in ratios if row["bits"] == 2 and row[N] == size] for size in size_order()}
    coarse = over_gptq([*of_trunk(group=128), *of_trunk(group=128, symmetric=True)])
    return {
        "rtn_rows": len(everywhere),
        "rtn_worse": sum(one > 1 for _, one in everywhere),
        "rtn_late_rows": len(ratios),
        **{f"rtn_ratio_{width}": np.median([one for row, one in ratios if row["bits"] == width]) for width in BITS},
        "rtn_smallest": np.median(at_2[min(at_2)]),
        "rtn_largest": np.median(at_2[max(at_2)]),
        "rtn_series": len(series),
        "group_models": len({row["model"] for row, _ in coarse}),
        "group_rows": len(coarse),
    }
