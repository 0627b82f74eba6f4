"""Chapter 10 counted again: ways of rounding beside GPTQ, at equal effective bits, along the trunk, and on other texts.

A way is the tuple that `way` returns, `bits` are a code's. The chapter draws documents and packages with one generator; so
does `counts`, in the same order, so that the ends of its intervals come back to the last digits too.
"""

import functools
import itertools
import math

import numpy as np
from scipy import stats
from tests.recount.recount import (
    SPLITS,
    distinct,
    geometric_mean,
    grouped,
    half_width,
    label,
    measurements,
    packages_of,
    study,
    trunk,
    where,
)
from tests.recount.recount_12 import regress
from tests.recount.recount_fits import by_run

EXCEPTED = {}
TOLERANCES = {}

N, D = "n_params_non_embedding", "tokens_seen"
EARLY = 60e6
TARGETS = (2.6, 3.0, 3.5, 4.0)  # effective bits
AXES = (0.4, 5.0)  # of the figure with ratios along the trunk
SEED, DRAWS = 0, 4000


def gptq(group=32, symmetric=False, order="given", grid="minmax") -> tuple:
    return "gptq", "int", group, symmetric, order, grid


GPTQ = gptq()
RTN, AWQ = (("rtn", *GPTQ[1:]), ("awq", *GPTQ[1:]))
SYMMETRIC, ORDER, SQUARES = gptq(symmetric=True), gptq(order="activation"), gptq(grid="mse")
G64, G128, ROW = gptq(64), gptq(128), gptq(None)
NF4, MXINT, MXFP = "nf4", "mxint", "mxfp"


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [on_cpu(), same_width(), stored(), same_bits(), along_trunk(), sizes(), tokens(), groups()]
    parts += [texts(), losses(), divergences(), unseen(), prose(), powers(), leads(), orders()]
    parts += [kl_on_cpu(), kl_along_trunk(), kl_on_texts()]
    return {key: value for part in parts for key, value in part.items()}


# ---- rows ------------------------------------------------------------------------------------------------------------


def way(row) -> tuple | str:
    """Return how a row was rounded, its bits aside; integer codes by their options, other formats by their name."""
    if row["format"] != "int":
        return row["format"]
    return tuple(row[name] for name in ("method", "format", "group_size", "symmetric", "order", "grid_search"))


def late(rows) -> list[dict]:
    return [row for row in rows if row[D] > EARLY]


def of_way(rows, *wanted, **more) -> list[dict]:
    return [row for row in where(rows, **more) if row["method"] != "none" and way(row) in wanted]


def every_draw(text="wheels-heldout") -> list[dict]:
    """Return what the CPU rounded and scored on a text, with every draw of calibration text."""
    found = where(measurements(), device_type="cpu", family="tadpole-trunk", n_sequences=128, eval_dataset=text)
    return [row for row in found if row["method"] != "none"]


def cpu(text="wheels-heldout") -> list[dict]:
    return where(every_draw(text), calib_seed={None, 0})


def cells(rows) -> dict[tuple, dict[str, dict]]:
    """Return (way, bits) -> checkpoint -> row; each once."""
    found = {}
    for row in rows:
        there = found.setdefault((way(row), row["bits"]), {})
        assert row["checkpoint_id"] not in there
        there[row["checkpoint_id"]] = row
    return found


def quotients(above, below, name="qid") -> list[float]:
    """Return the ratios of QiD, or of KL, of two cells on the checkpoints that both have."""
    return [row[name] / below[one][name] for one, row in above.items() if one in below]


# ---- draws of documents and packages ---------------------------------------------------------------------------------


@functools.cache
def counts() -> dict[str, np.ndarray]:
    """Return how often each document is in each draw, (documents, draws): of single documents, and by packages of texts."""
    generator = np.random.default_rng(SEED)
    found = {}
    for name, labels in {"documents": range(128), **{text: packages_of(text) for text in SPLITS}}.items():
        urns = sorted(set(labels))
        drawn = generator.multinomial(len(urns), [1 / len(urns)] * len(urns), DRAWS)
        found[name] = np.array([drawn[:, urns.index(one)] for one in labels], float)
    return found


def on_draws(rows, name) -> np.ndarray:
    """Return ln QiD of each row on each draw, (rows, draws): the mean over the documents drawn."""
    weights = counts()[name]
    return np.log(np.array([row["document_qid"] for row in rows]) @ weights / weights.sum(axis=0))


def ends(draws) -> tuple[float, float]:
    """Return the ends of the interval that holds 95% of the draws of a logarithm, as factors."""
    low, high = np.percentile(draws, (2.5, 97.5))
    return math.exp(low), math.exp(high)


def apart(interval) -> bool:
    """Return whether an interval of a factor leaves out 1."""
    return not interval[0] <= 1 <= interval[1]


# ---- on the CPU ------------------------------------------------------------------------------------------------------


def on_cpu() -> dict:
    rows = cpu()
    return {
        "n_checkpoints": len(distinct(rows, "checkpoint_id")),
        "n_runs": len(distinct(rows, "run")),
        "n_ways": len({way(row) for row in rows}),
        "calibration_cpu": max(row["calib_sequences"] or 0 for row in rows),
    }


def calibration_scatter(bits) -> float:
    """Return how far GPTQ's QiD scatters between draws of calibration text, relative to its mean; over checkpoints."""
    variances = []
    for rows in grouped(of_way(every_draw(), GPTQ, bits=bits), "checkpoint_id").values():
        if len(rows) > 1:
            qid = [row["qid"] for row in rows]
            variances.append(np.var(qid, ddof=1) / np.mean(qid) ** 2)
    return math.sqrt(math.fsum(variances) / len(variances))


def same_width() -> dict:
    by_cell, found, clear = cells(cpu()), {}, 0
    others = {cell: rows for cell, rows in by_cell.items() if cell[0] != GPTQ}
    for (_, bits), rows in others.items():
        plain = [by_cell[GPTQ, bits][checkpoint] for checkpoint in rows]
        ratio = geometric_mean(quotients(rows, by_cell[GPTQ, bits]))
        scatter = (on_draws(rows.values(), "documents") - on_draws(plain, "documents")).mean(axis=0).std()
        error = math.hypot(scatter, math.sqrt(2 / len(rows)) * calibration_scatter(bits))
        clear += abs(math.log(ratio)) > stats.norm.isf(0.05 / len(others) / 2) * error
    for key, one, bits in (("rtn_3", RTN, 3), ("rtn_4", RTN, 4), ("squares_2", SQUARES, 2)):
        found[key] = geometric_mean(quotients(by_cell[one, bits], by_cell[GPTQ, bits]))
    return found | {"n_comparisons": len(others), "n_clear": clear}


def effective(row) -> float:
    """Return bits a weight with what a group stores beside its codes: a scale, and on an asymmetric grid a zero point.

    NF4 keeps a scale of 32 bits, the MX formats one of 8.
    """
    scale = {"nf4": 32, "mxint": 8, "mxfp": 8}.get(row["format"], 16)
    zero = row["bits"] if row["format"] == "int" and not row["symmetric"] else 0
    return row["bits"] + (scale + zero) / row["group_size"]


def stored() -> dict:
    last = max(cpu(), key=lambda row: (row[N], row[D]))
    by_cell = {
        cell: rows[last["checkpoint_id"]] for cell, rows in cells(cpu()).items() if last["checkpoint_id"] in rows
    }
    return {
        "largest_model": last["model"],
        "largest_tokens": label(last[D]),
        "overhead_32": effective(by_cell[GPTQ, 2]) - 2,
        "overhead_128": effective(by_cell[G128, 2]) - 2,
        "gptq_bits": effective(by_cell[GPTQ, 4]),
        "nf4_bits": effective(by_cell[NF4, 4]),
    }


def on_line(points, place, name="qid") -> float:
    """Return ln QiD, or ln KL, at a place in effective bits, on straight lines between a way's rows; NaN outside them."""
    places, logs = np.array(sorted((row["effective_bits"], math.log(row[name])) for row in points)).T
    return np.interp(place, places, logs, left=math.nan, right=math.nan)


def at_bits(rows, one, other, place, name="qid") -> float | None:
    """Return a way's QiD over that of another at equal effective bits, over the checkpoints whose lines both reach there."""
    lines = [grouped(of_way(rows, name), "checkpoint_id") for name in (one, other)]
    logs = [on_line(points, place, name) - on_line(lines[1][key], place, name) for key, points in lines[0].items()]
    inside = [value for value in logs if not math.isnan(value)]
    return geometric_mean(map(math.exp, inside)) if inside else None


def same_bits() -> dict:
    rows, found = cpu(), {}
    for name, one in {"row": ROW, "squares": SQUARES, "symmetric": SYMMETRIC}.items():
        found[f"{name}_equal_least"] = at_bits(rows, one, GPTQ, TARGETS[0])
        found[f"{name}_equal_most"] = at_bits(rows, one, GPTQ, TARGETS[-1])
    coarse = [at_bits(rows, one, GPTQ, target) for one in (ROW, G128, G64) for target in TARGETS]
    return found | {
        "least_bits": TARGETS[0],
        "most_bits": TARGETS[-1],
        "coarse_lowest": min(filter(None, coarse)),
        "coarse_highest": max(filter(None, coarse)),
        "mxfp_rtn": at_bits(rows, MXFP, RTN, 4.25),
        "mxint_rtn": at_bits(rows, MXINT, RTN, 4.25),
    }


# ---- along the trunk -------------------------------------------------------------------------------------------------

COARSE = {"64": G64, "128": G128, "row": ROW}
PANELS = ["rtn3", "awq", "row_equal"]


def of_study() -> list[dict]:
    return [row for row in trunk(study()) if row["method"] != "none"]


def compared(rows, outcome="qid") -> dict[str, list[tuple[dict, float]]]:
    """Return the comparisons of the chapter that the rows allow: name -> each row with its ratio of QiDs or of KLs."""
    wanted = {f"rtn{bits}": (RTN, GPTQ, bits) for bits in (2, 3, 4)}
    wanted |= {"nf4": (NF4, GPTQ, 4), "awq": (AWQ, GPTQ, 4), "awq_rtn": (AWQ, RTN, 4)}
    wanted |= {f"symmetric{bits}": (gptq(128, symmetric=True), G128, bits) for bits in (2, 3, 4)}
    wanted |= {name: (one, GPTQ, 3) for name, one in COARSE.items()}
    by_cell, found = cells(rows), {}
    for name, (one, other, bits) in wanted.items():
        pairs = [(row, by_cell[other, bits].get(key)) for key, row in by_cell.get((one, bits), {}).items()]
        found[name] = [(row, row[outcome] / below[outcome]) for row, below in pairs if below]
    fine = grouped(of_way(rows, GPTQ, bits={2, 3, 4}), "checkpoint_id")
    for name, one in COARSE.items():
        lines = [(row, on_line(fine[key], row["effective_bits"], outcome)) for key, row in by_cell[one, 3].items()]
        found[f"{name}_equal"] = [(row, row[outcome] / math.exp(read)) for row, read in lines]
    return {name: pairs for name, pairs in found.items() if pairs}


@functools.cache
def trunk_ratios(outcome="qid") -> dict[str, list[tuple[dict, float]]]:
    """Return the comparisons on the trunk beyond the early tokens."""
    return {name: [pair for pair in pairs if late(pair[:1])] for name, pairs in compared(of_study(), outcome).items()}


def along_trunk() -> dict:
    rows = of_study()
    points = [ratio for name in PANELS for _, ratio in compared(rows)[name]]
    runs = [len({row["run"] for row, _ in pairs}) for pairs in trunk_ratios().values()]
    return {
        "study_smallest": label(min(row[N] for row in rows)),
        "study_largest": label(max(row[N] for row in rows)),
        "study_steps": len(distinct(rows, "step")),
        "early_tokens": label(EARLY),
        "study_runs": max(runs),
        "calibration_study": max(row["calib_sequences"] or 0 for row in rows),
        "n_points": len(points),
        "n_beyond": sum(not AXES[0] <= ratio <= AXES[1] for ratio in points),
    }


def of_size(pairs, choose) -> float:
    size = choose(row[N] for row, _ in pairs)
    return geometric_mean(ratio for row, ratio in pairs if row[N] == size)


def sizes() -> dict:
    found = {}
    for name in ("rtn3", "row_equal"):
        found[f"study_{name}_smallest"] = of_size(trunk_ratios()[name], min)
        found[f"study_{name}_largest"] = of_size(trunk_ratios()[name], max)
    pairs = trunk_ratios()["row_equal"]
    (three,) = regress(np.log([ratio for _, ratio in pairs]), [], [row["run"] for row, _ in pairs])
    found |= dict(
        zip(("study_row_equal", "study_row_equal_low", "study_row_equal_high"), map(math.exp, three), strict=True)
    )
    largest = max(row[N] for row in of_study())
    for name in ("awq", "nf4"):
        for key, outcome in (("qid", "qid"), ("kl", "kl_nats")):
            along = [(row[D], ratio) for row, ratio in trunk_ratios(outcome)[name] if row[N] == largest]
            found[f"{name}_end_{key}"] = max(along)[1]
    return found


def tokens() -> dict:
    """Return the slopes of ln ratio in ln D beside one in ln N, by the normal equations of centred columns."""
    found = {}
    for name in ("rtn4", "nf4", "awq"):
        columns = np.log([[row[N], row[D], ratio] for row, ratio in trunk_ratios()[name]])
        (nn, nd, ny), (_, dd, dy), _ = np.cov(columns.T)
        found[f"{name}_tokens"] = (dy * nn - ny * nd) / (nn * dd - nd**2)
    return found


def groups() -> dict:
    ratios = {name: [ratio for _, ratio in pairs] for name, pairs in trunk_ratios().items()}
    equal = [ratio for name in COARSE for ratio in ratios[f"{name}_equal"]]
    widths = distinct(of_study(), "d_model")
    return {
        "n_equal": len(equal),
        "equal_highest": max(equal),
        "n_sides": len(compared(cpu())),
        "row_shortest": min(widths),
        "row_longest": 4 * max(widths),  # what the layer that leads back to the width reads
    }


# ---- other texts -----------------------------------------------------------------------------------------------------


def plain(rows) -> list[dict]:
    return of_way(rows, GPTQ, RTN, bits={2, 3, 4})


def on_prose() -> list[dict]:
    return plain(where(measurements(), eval_dataset="wheels-prose"))


def on_code() -> list[dict]:
    """Return the held-out text's rows of the checkpoints that were scored on prose."""
    return plain(where(trunk(study()), checkpoint_id=distinct(on_prose(), "checkpoint_id")))


def matched(first, second) -> list[tuple[dict, dict]]:
    """Return the rows of two texts in pairs of one checkpoint, way and bits; both texts have the same ones."""
    first, second = ({(row["checkpoint_id"], way(row), row["bits"]): row for row in rows} for rows in (first, second))
    assert first.keys() == second.keys()
    return [(row, second[key]) for key, row in first.items()]


def interval(pairs) -> tuple[float, float]:
    """Return the interval of pooled QiD of the second rows over that of the first, packages drawn once for each text."""
    first, second = zip(*pairs, strict=True)
    logs = [on_draws(rows, rows[0]["eval_dataset"]).mean(axis=0) for rows in (first, second)]
    return ends(logs[1] - logs[0])


def ratio(pairs) -> float:
    return geometric_mean(second["qid"] / first["qid"] for first, second in pairs)


def texts() -> dict:
    found = {}
    of_text = {"held_out": on_code(), "unseen": plain(trunk(study("wheels-unseen"))), "prose": on_prose()}
    for name, rows in of_text.items():
        (size,) = distinct(rows, "n_bytes", "n_tokens")
        found[f"packages_{name}"] = len(set(packages_of(rows[0]["eval_dataset"])))
        found[f"bytes_{name}"] = size[0] / size[1]
    return found


def losses() -> dict:
    found = {}
    code = {row["checkpoint_id"]: row for row in late(where(trunk(study()), method="none"))}
    of_text = {"unseen": trunk(study("wheels-unseen")), "prose": where(measurements(), eval_dataset="wheels-prose")}
    for name, rows in of_text.items():
        pairs = [(code[row["checkpoint_id"]], row) for row in late(where(rows, method="none"))]
        more = [other["loss_nats"] - row["loss_nats"] for row, other in pairs]
        found |= {f"loss_{name}_least": min(more), f"loss_{name}_most": max(more)}
    row, other = max(pairs, key=lambda pair: pair[0][D])
    return found | {"loss_factor": other["loss_nats"] / row["loss_nats"]}


def divergences() -> dict:
    """Return KL on unseen code over that on held-out code, and QiD over KL there, in the smallest and largest model."""
    pairs = matched(*(of_way(late(trunk(study(text))), GPTQ, bits={3}) for text in ("wheels-heldout", "wheels-unseen")))
    sizes_ = sorted({first[N] for first, _ in pairs})
    found = {"next_size": label(sizes_[-2])}
    for name, size in (("small", sizes_[0]), ("next", sizes_[-2]), ("large", sizes_[-1])):
        sums = [
            [sum(pair[one][key] for pair in pairs if pair[0][N] == size) for key in ("kl_nats", "qid")]
            for one in (0, 1)
        ]
        (kl, qid), (more_kl, more_qid) = sums
        found |= {f"kl_unseen_{name}": more_kl / kl, f"per_kl_{name}": more_qid / more_kl / (qid / kl)}
        found["qid_unseen_large"] = more_qid / qid
    found.pop("kl_unseen_next")
    both = [late(plain(trunk(study(text)))) for text in ("wheels-heldout", "wheels-unseen")]
    for bits in (2, 3, 4):
        cells_ = matched(*(where(rows, bits=bits) for rows in both))
        logs = [math.log(other["qid"] / other["kl_nats"] / (one["qid"] / one["kl_nats"])) for one, other in cells_]
        (three,) = regress(np.array(logs), [], [one["run"] for one, _ in cells_])
        found |= {f"per_kl_{bits}{end}": math.exp(v) for end, v in zip(("", "_low", "_high"), three, strict=True)}
    return found


def unseen() -> dict:
    every = [late(plain(study(text))) for text in ("wheels-heldout", "wheels-unseen")]
    intervals = [interval(matched(*(where(rows, bits=bits) for rows in every))) for bits in (2, 3, 4)]
    by_cell = {}
    for pair in matched(cpu(), cpu("wheels-unseen")):
        by_cell.setdefault((way(pair[0]), pair[0]["bits"]), []).append(pair)
    ratios = [ratio(pairs) for pairs in by_cell.values()]
    return {
        "every_runs": len(distinct(every[0], "family", "run")),
        "every_low": min(low for low, _ in intervals),
        "every_high": max(high for _, high in intervals),
        "text_lowest": min(ratios),
        "text_highest": max(ratios),
        "n_text_ratios": len(ratios),
        "n_text_holding": sum(not apart(interval(pairs)) for pairs in by_cell.values()),
    }


def prose() -> dict:
    pairs = matched(on_code(), on_prose())
    first = min(distinct(on_prose(), D))
    begin = [pair for pair in pairs if (pair[0][D], pair[0]["bits"], way(pair[0])) == (first, 2, GPTQ)]
    (model,) = distinct(on_prose(), "model")
    found = {"prose_model": model, "first_tokens": label(first), "prose_first": ratio(begin)}
    chosen = [pair for pair in pairs if pair[0]["bits"] == 3 and late(pair[:1])]
    return found | dict(
        zip(("prose_3", "prose_3_low", "prose_3_high"), (ratio(chosen), *of_prose(chosen)), strict=True)
    )


def of_prose(pairs) -> tuple[float, float]:
    """Return the interval over checkpoints, beside a slope in ln D, and packages: their variances add."""
    first, second = zip(*pairs, strict=True)
    of_draws = [on_draws(rows, rows[0]["eval_dataset"]).mean(axis=0) for rows in (first, second)]
    values, places = np.log([other["qid"] / one["qid"] for one, other in pairs]), np.log([one[D] for one in first])
    design = np.column_stack([np.ones(len(places)), places - places.mean()])
    covariance, freedom = by_run(
        design, values - design @ np.linalg.lstsq(design, values)[0], [one["checkpoint_id"] for one in first]
    )
    half = stats.t.ppf(0.975, freedom[0]) * math.sqrt(covariance[0, 0] + (of_draws[1] - of_draws[0]).var())
    return math.exp(values.mean() - half), math.exp(values.mean() + half)


def powers() -> dict:
    found = {}
    for name, rows in (("code", on_code()), ("prose", on_prose())):
        for bits in (2, 3, 4):
            read = [(row[D], row["qid"]) for row in late(of_way(rows, GPTQ, bits=bits))]
            found[f"power_{name}_{bits}"] = stats.linregress(*np.log(read).T).slope
    return found


def leads() -> dict:
    shown = {f"lead_{key}": value for key, value in of_leads("qid").items()}
    return shown | {f"lead_kl_{key}": value for key, value in of_leads("kl_nats").items()}


def of_leads(outcome) -> dict:
    """Return RTN over GPTQ on prose over that on code; with a checkpoint a cluster of one row, CR2 is the t interval."""
    found, code, other = {}, cells(late(on_code())), cells(late(on_prose()))
    for bits in (2, 3, 4):
        on_either = [[by[one, bits] for one in (RTN, GPTQ)] for by in (other, code)]
        ratios = [{key: rows[0][key][outcome] / rows[1][key][outcome] for key in rows[0]} for rows in on_either]
        logs = [math.log(ratio / ratios[1][key]) for key, ratio in ratios[0].items()]
        middle, half = math.fsum(logs) / len(logs), half_width(logs)
        found |= {f"{bits}": math.exp(middle)}
        found |= {f"{bits}_low": math.exp(middle - half), f"{bits}_high": math.exp(middle + half)}
    return found


def orders() -> dict:
    """Return how pairs of ways lie on the two texts of code: pooled over the checkpoints that have both ways."""
    read = [cells(cpu(text)) for text in ("wheels-heldout", "wheels-unseen")]
    logs, clear = [], []
    for one, other in itertools.combinations(read[0], 2):
        if one[1] == other[1]:
            of_texts = [[(by[one][key], by[other][key]) for key in by[one] if key in by[other]] for by in read]
            logs.append([math.log(ratio(pairs)) for pairs in of_texts])
            clear.append([apart(interval(pairs)) for pairs in of_texts])
    swapped = [pair for pair in logs if pair[0] * pair[1] < 0]
    return {
        "n_pairs": len(logs),
        "n_swapped": len(swapped),
        "tau": (len(logs) - 2 * len(swapped)) / len(logs),
        "farthest": math.exp(max(abs(value) for pair in swapped for value in pair)) - 1,
        "n_both_clear": sum(map(all, clear)),
    }


# ---- KL beside QiD ---------------------------------------------------------------------------------------------------


def kl_on_cpu() -> dict:
    """Return ratios of KL on the CPU, and how far they are from those of QiD, at one width of codes and at equal bits."""
    by_cell = cells(cpu())
    pairs = {cell: (rows, by_cell[GPTQ, cell[1]]) for cell, rows in by_cell.items() if cell[0] != GPTQ}
    ratios = {
        cell: [geometric_mean(quotients(*pair, name)) for name in ("kl_nats", "qid")] for cell, pair in pairs.items()
    }
    few = [abs(math.log(kl / qid)) for (_, bits), (kl, qid) in ratios.items() if bits < 4]
    found = {"kl_away_few": math.exp(max(few)) - 1}
    found["kl_order_4"] = ratios[ORDER, 4][0]
    rows = cpu()
    others = [one for one in dict.fromkeys(map(way, rows)) if one != GPTQ]
    read = [
        [at_bits(rows, one, GPTQ, place, name) for name in ("kl_nats", "qid")] for one in others for place in TARGETS
    ]
    return found | {"kl_equal_away": math.exp(max(abs(math.log(kl / qid)) for kl, qid in read if kl)) - 1}


def kl_along_trunk() -> dict:
    away = []
    for name, pairs in trunk_ratios("kl_nats").items():
        away.append(math.log(geometric_mean(ratio for _, ratio in pairs)))
        away[-1] -= math.log(geometric_mean(ratio for _, ratio in trunk_ratios()[name]))
    return {"kl_ratio_away": math.exp(max(map(abs, away))) - 1}


def kl_ratios(first, second, bits) -> list[tuple[dict, float]]:
    pairs = matched(*(where(late(rows), bits=bits) for rows in (first, second)))
    return [(one, math.log(other["kl_nats"] / one["kl_nats"])) for one, other in pairs]


def kl_on_texts() -> dict:
    """Return KL on another text over that on held-out code, over runs of every family, and its slopes on the trunk."""
    found, slopes = {}, []
    every = [plain(study(text)) for text in ("wheels-heldout", "wheels-unseen")]
    of_trunk = [trunk(rows) for rows in every]
    for bits in (2, 3, 4):
        rows, logs = zip(*kl_ratios(*every, bits), strict=True)
        (three,) = regress(np.array(logs), [], [(row["family"], row["run"]) for row in rows])
        found |= {f"every_kl_{bits}{end}": math.exp(one) for end, one in zip(("", "_low", "_high"), three, strict=True)}
        rows, logs = zip(*kl_ratios(*of_trunk, bits), strict=True)
        places = [np.log([row[name] for row in rows]) for name in (N, D)]
        slopes.append(regress(np.array(logs), places, [row["run"] for row in rows])[1][0])
        _, logs = zip(*kl_ratios(on_code(), on_prose(), bits), strict=True)
        found |= {"prose_kl_3": math.exp(np.mean(logs))} if bits == 3 else {}
    swapped = 0
    read = [cells(cpu(text)) for text in ("wheels-heldout", "wheels-unseen")]
    for one, other in itertools.combinations(read[0], 2):
        if one[1] == other[1]:
            both = [np.log(quotients(by[one], by[other], "kl_nats")) for by in read]
            swapped += bool(both[0].size) and both[0].mean() * both[1].mean() < 0
    return found | {"kl_size_least": min(slopes), "kl_size_most": max(slopes), "n_swapped_kl": int(swapped)}
