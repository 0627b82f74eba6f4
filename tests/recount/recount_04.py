"""Chapter 4 counted again: QiD along tokens, size and bits; text read again; runs beside their twins; ways of rounding."""

import json
import math
from itertools import pairwise

import numpy as np
from tests.recount.recount import (
    ROOT,
    checkpoints,
    distinct,
    geometric_mean,
    grouped,
    half_width,
    label,
    measurements,
    standard_error,
    study,
    trunk,
    where,
)

EXCEPTED = {"sweep_minutes": "timed by the reader's machine"}
TOLERANCES = {}

N, D = "n_params_non_embedding", "tokens_seen"
EARLY = 60e6
BITS = {2, 3, 4}
PIECES = {"early": (0.25, 0.5), "before": (0.5, 1), "second": (1, 2), "last": (2, 4)}  # passes through the text


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [sweep(), example(), mine(), shown(), tokens(), early(), sizes(), bits(), rules(), eight(), slopes()]
    parts += [last_step_in_size(), texts(), rereading(), ways(), scatter(), cooldowns(), schemes()]
    return {key: value for part in parts for key, value in part.items()}


def rounded(rows, method="gptq", group=32, symmetric=False, widths=BITS) -> list[dict]:
    """Return the rows of one method with integer codes, columns as they come, a grid from minimum to maximum."""
    plain = {"format": "int", "order": "given", "grid_search": "minmax", "group_size": group, "symmetric": symmetric}
    return where(rows, method=method, bits=widths, **plain)


def late(rows) -> list[dict]:
    return [row for row in rows if row[D] > EARLY]


def last(rows) -> dict:
    """Return the row of the largest model's last checkpoint."""
    return max(rows, key=lambda row: (row[N], row[D]))


def local(method) -> list[dict]:
    """Return what the pocket sweep measured here: text and calibration as its YAML has them."""
    rows = where(measurements("local"), device_type="cpu", n_sequences=128, calib_sequences={None, 32})
    return where(rows, method="none") if method == "none" else rounded(rows, method)


def size_order() -> list[int]:
    return sorted(distinct(trunk(study()), N))


def walks(rows, along, *names) -> list[list[dict]]:
    """Return the series that agree in the columns `names`, each in the order of the column `along`."""
    return [sorted(one, key=lambda row: row[along]) for one in grouped(rows, *names).values()]


def moves(series) -> list[int]:
    """Return the steps of some series as +1 where QiD rises, else -1."""
    return [1 if b["qid"] > a["qid"] else -1 for one in series for a, b in pairwise(one)]


def in_errors(one) -> float:
    """Return the change from the first to the last row of a series in errors of the change, paired by document."""
    return (one[-1]["qid"] - one[0]["qid"]) / standard_error(one[-1]["document_qid"] - one[0]["document_qid"])


def line(x, y) -> float:
    """Return the slope of ln y in ln x: their covariance over the variance of ln x."""
    x, y = np.log(x), np.log(y)
    return math.fsum((x - x.mean()) * y) / math.fsum((x - x.mean()) ** 2)


def interval(values, name, form=float) -> dict:
    """Return the mean of one value a run and the ends of its t interval, as the chapter names them."""
    mean, half = math.fsum(values) / len(values), half_width(values)
    return {f"{name}_mean": form(mean), f"{name}_low": form(mean - half), f"{name}_high": form(mean + half)}


def signed(value, digits) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def sweep() -> dict:
    baselines, codes = local("none"), [*local("gptq"), *local("rtn")]
    manifest = json.loads((ROOT / "data/tadpole/manifest.json").read_text())["checkpoints"]
    assert distinct(baselines, "weights_sha256") == distinct(manifest, "weights_sha256")
    return {
        "sweep_rows": len(baselines) + len(codes),
        "sweep_checkpoints": len(distinct(codes, "weights_sha256")),
        "sweep_models": len(distinct(codes, "model")),
        "sweep_documents": max(len(row["group_loss"]) for row in codes),
        "sweep_tokens": max(row["n_sequences"] * row["seq_len"] for row in codes),
    }


def example() -> dict:
    row = last(where(local("gptq"), bits=3))
    before = row["group_loss"] - row["document_qid"]
    paired = standard_error(row["document_qid"])
    unpaired = math.sqrt(standard_error(before) ** 2 + standard_error(row["group_loss"]) ** 2)
    return {
        "example_bits": row["bits"],
        "example_model": row["model"],
        "example_tokens": label(row[D]),
        "example_qid": row["qid"],
        "example_se": paired,
        "example_unpaired": unpaired,
        "example_gain": unpaired / paired,
        "example_perplexity": math.exp(row["qid"]) - 1,
    }


def mine() -> dict:
    rows = local("gptq")
    series = walks(where(rows, branched_from=None), D, "run", "bits")
    return {
        "mine_series": len(series),
        "mine_rising": sum(in_errors(one) > 2 for one in series),
        "mine_steps": len(moves(series)),
        "mine_up": moves(series).count(1),
        "mine_low": label(min(row[D] for row in rows)),
        "mine_high": label(max(row[D] for row in rows)),
    }


# ---- the trunk along one variable ------------------------------------------------------------------------------------


def of_trunk(**wanted) -> list[dict]:
    return rounded(trunk(study()), **wanted)


def shown() -> dict:
    rows, order = of_trunk(), size_order()
    trained = distinct(where(checkpoints(), n_averaged=1), "family", "run")
    return {
        "all_runs": len(trained & distinct(study(), "family", "run")),
        "study_sizes": len(order),
        "study_steps": len(distinct(rows, "step")),
        "study_smallest": label(order[0]),
        "study_largest": label(order[-1]),
        "early_tokens": label(EARLY),
        "late_first": label(min(row[D] for row in late(rows))),
        "late_last": label(max(row[D] for row in rows)),
        "unique_tokens": label(rows[0]["unique_tokens"]),
        "passes_last": max(row[D] / row["unique_tokens"] for row in rows),
        "steps_again": len({row["step"] for row in rows if row[D] > row["unique_tokens"]}),
    }


def growths(series) -> list[float]:
    return [one[-1]["qid"] / one[0]["qid"] for one in series]


def tokens() -> dict:
    series = walks(late(of_trunk()), D, "model", "bits")
    return {
        "tokens_series": len(series),
        "tokens_rising": sum(in_errors(one) > 3 for one in series),
        "tokens_steps": len(moves(series)),
        "tokens_up": moves(series).count(1),
        "tokens_down": moves(series).count(-1),
        "tokens_down_4": moves(one for one in series if one[0]["bits"] == 4).count(-1),
        "growth_low": min(growths(series)),
        "growth_high": max(growths(series)),
    }


def early() -> dict:
    rows = [row for row in of_trunk() if row[D] < EARLY]
    series = walks(rows, D, "model", "bits")
    (largest,) = walks(where(rows, bits=2, **{N: size_order()[-1]}), D, "model")
    first, dip, end = largest[0], min(largest, key=lambda row: row["qid"]), largest[-1]
    return {
        "early_steps": len(moves(series)),
        "early_down": moves(series).count(-1),
        "large_first_tokens": label(first[D]),
        "large_first": first["qid"],
        "large_dip_tokens": label(dip[D]),
        "large_dip": dip["qid"],
        "large_early_last": end["qid"],
        "large_early_last_tokens": label(end[D]),
        "early_down_smallest": label(min(one[0][N] for one in series if -1 in moves([one]))),
    }


def sizes() -> dict:
    everywhere = walks(of_trunk(), N, D, "bits")
    series = [one for one in everywhere if one[0][D] > EARLY]
    start = min(one[0][D] for one in everywhere)
    changes = [one[-1]["qid"] - one[0]["qid"] for one in everywhere if one[0][D] == start]
    hurtful = max(one[0][D] for one in everywhere if one[-1]["qid"] >= one[0]["qid"])
    return {
        "size_series": len(series),
        "size_falling": sum(in_errors(one) < -3 for one in series),
        "size_steps": len(moves(series)),
        "size_down": moves(series).count(-1),
        "size_first_rising": sum(change > 0 for change in changes),
        "size_first_series": len(changes),
        "size_first_tokens": label(start),
        "size_helps_from": label(min(one[0][D] for one in everywhere if one[0][D] > hurtful)),
    }


def bits() -> dict:
    series = walks(of_trunk(), "bits", N, D)
    of_late = [one for one in series if one[0][D] > EARLY]
    divided = np.array([growths([one[:2], one[1:]]) for one in of_late]) ** -1.0
    powers = [-line([row["bits"] for row in one], [row["qid"] for row in one]) for one in of_late]
    return {
        "bits_series": len(series),
        "bits_falling": sum(1 not in moves([one]) for one in series),
        "bit_32": np.median(divided[:, 0]),
        "bit_43": np.median(divided[:, 1]),
        "bits_steep_low": min(powers),
        "bits_steep_high": max(powers),
    }


def rules() -> dict:
    """Return the factors of more bits: by how much each divides a run's mean QiD, as the grid's rule and as a power."""
    widths = (2, 3, 4, 5, 6, 8)
    runs = grouped(late(of_trunk(widths=set(widths))), "run").values()
    means = [{p: np.mean([row["qid"] for row in where(rows, bits=p)]) for p in widths} for rows in runs]
    found = {}
    for few, many in pairwise(widths):
        gap = many - few
        factor = interval([math.log(one[few] / one[many]) / gap for one in means], f"factor_{many}", math.exp)
        found |= {key.removesuffix("_mean"): value for key, value in factor.items()}
        found[f"rule_{many}"] = ((2**many - 1) / (2**few - 1)) ** (2 / gap)  # the variance goes with the scale's square
        if many in (3, 6, 8):
            found[f"power_{many}"] = gap * math.log(found[f"factor_{many}"]) / math.log(many / few)
    return found


def eight() -> dict:
    rows, others = (late(rounded(trunk(study(text)), widths={8})) for text in ("wheels-heldout", "wheels-unseen"))
    elsewhere = {row["weights_sha256"]: row["qid"] for row in others}
    negative = [row for row in rows if row["qid"] < 0]
    errors = [row["qid"] / standard_error(row["document_qid"]) for row in rows]
    return {
        "eight_rows": len(rows),
        "eight_negative": len(negative),
        "eight_clear": sum(one < -2 for one in errors),
        "eight_within": sum(-2 < one < 2 for one in errors),
        "eight_both": sum(elsewhere[row["weights_sha256"]] < 0 for row in negative),
        "eight_mean": math.fsum(row["qid"] for row in rows) / len(rows),
        "eight_chance": len(negative) * sum(qid < 0 for qid in elsewhere.values()) / len(rows),
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


def losses(text) -> dict[int, list[dict]]:
    """Return N -> the trunk's 16-bit losses on a text, in the order of tokens."""
    return {rows[0][N]: rows for rows in walks(where(trunk(study(text)), method="none"), D, N)}


def package_error(differences, split) -> float:
    """Return the error of a mean over documents of which those of one package go together (sums over packages)."""
    owners = [file["package"] for file in json.loads((ROOT / "data/corpus.lock").read_text())[split]]
    centred = differences - differences.mean()
    sums = [math.fsum(centred[[one == owner for one in owners]]) for owner in sorted(set(owners))]
    return math.sqrt(len(sums) / (len(sums) - 1) * math.fsum(one**2 for one in sums)) / len(differences)


def both_errors(heldout, unseen) -> float:
    """Return the error of a difference between the two texts, whose documents are independent of each other."""
    return math.hypot(package_error(heldout, "evaluation"), package_error(unseen, "unseen"))


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


# ---- other runs and other ways of rounding, beside the trunk's rows --------------------------------------------------

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
    latest = max(row[D] for row in where(everything, schedule="constant", n_averaged=1))
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


def cooldowns() -> dict:
    rows = where(beside(), way="cooldown")
    lower = sum(change(branch) < 0 for branch in grouped(rows, "run").values())
    found = {"cooldown_sizes": len(distinct(rows, "model")), "cooldown_lower": lower}
    for width, one in grouped(rows, "bits").items():
        logs = [math.log(ratio(of_size)) for of_size in grouped(one, "model").values()]
        found |= interval(logs, f"cooldown_{width:g}", math.exp)
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
        "rtn_rising": sum(one > 1 for one in growths(series)),
        "group_models": len({row["model"] for row, _ in coarse}),
        "group_rows": len(coarse),
        "group_worse": sum(one > 1 for _, one in coarse),
        "end_rtn_3": last(of_trunk(method="rtn", widths={3}))["qid"],
        "end_gptq_2": last(of_trunk(widths={2}))["qid"],
    }
