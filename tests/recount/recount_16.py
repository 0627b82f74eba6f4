"""Chapter 16 counted again: seven ways at equal stored bits, what recipes keep, and rounded inputs.

`kinds` names a row by what it keeps; a line is a checkpoint's rows of plain GPTQ (or RTN), read at a row's stored bits by numpy's
own interpolation. Intervals are CR2 by model (`recount_fits.by_run`) with the scatter between draws of documents in quadrature.
"""

import functools
import itertools
import math

import numpy as np
from scipy import stats
from tests.recount.recount import distinct, grouped, half_width, label, measurements, where
from tests.recount.recount_fits import by_run

EXCEPTED = {}
TOLERANCES = {}

N, D = "n_params_non_embedding", "tokens_seen"
SEED, DRAWS = 0, 4000
TARGETS = (0.95, 0.9, 0.8, 0.7, 0.5, 0.3)
KINDS = ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
SHORT = dict(zip(("qkv", "dense", "up", "down"), KINDS, strict=True))
EXPONENTS = {"token": 1.0, "cross": 0.15, "half": 0.5}
BLOCKS, MATRICES = "blocks", "matrices"


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [who(), stored(), fronts(), compared(), built_on(), beside_coarse_groups(), recipes(), inputs()]
    return {key: value for part in parts for key, value in part.items()}


# ---- rows ------------------------------------------------------------------------------------------------------------


@functools.cache
def every() -> tuple[dict, ...]:
    """Return the rounded rows of the seven ways; each has `kind`, `setting` and `stored`, bits a weight of all matrices."""
    found = where(
        measurements(), family="tadpole-mixed", device_type="cuda", eval_dataset="wheels-heldout", n_sequences=256
    )
    found = [row for row in found if row["format"] in ("int", "codebook") and row["run"] == row["model"]]
    found = where(found, calib_seed={None, 0})
    for row in found:
        rounded = 1.0 if row["quantized_ratio"] is None else row["quantized_ratio"]
        row["stored"] = 16.0 - rounded * (16.0 - (row["effective_bits"] or 0.0))
        row["kind"], row["setting"] = kind(row)
    return tuple(row for row in found if row["method"] != "none")


def kind(row) -> tuple[str, object]:
    """Return what a row keeps and how much: for example gwq at 3, cmpq at 2.25, matrices at (3, 0.9), inputs at (0.15, 4)."""
    if row["activation_format"]:
        return "inputs", (row["activation_exponent"], row["activation_bits"])
    if row["kept_matrices"]:
        blocks = grouped([{"block": name.split(".")[0]} for name in row["kept_matrices"]], "block")
        whole = all(len(names) == len(KINDS) for names in blocks.values())
        target = next((one for one in TARGETS if row["quantized_ratio"] > one - 1e-9), 0)
        return BLOCKS if whole else MATRICES, (row["bits"], target)
    return row["method"], row["average_bits"] if row["average_bits"] is not None else row["bits"]


def of_weights() -> list[dict]:
    """Return the rows that round weights alone; codes of 8 bits are there for rounded inputs."""
    return [row for row in every() if row["bits"] < 8]


def who() -> dict:
    rows = every()
    return {
        "seven_checkpoints": len(distinct(rows, "checkpoint_id")),
        "seven_sizes": len(distinct(rows, N)),
        "seven_smallest": label(min(row[N] for row in rows)),
        "seven_largest": label(max(row[N] for row in rows)),
        "seven_first": label(min(row[D] for row in rows)),
        "seven_last": label(max(row[D] for row in rows)),
        "gwq_share": where(rows, kind="gwq")[0]["outlier_share"],
    }


def stored() -> dict:
    """A group of 32 on an asymmetric grid has a scale of 16 bits and a zero point as wide as a code."""
    most = max(row["bits"] for row in where(every(), kind="gptq"))
    return {"stored_2": 2 + 18 / 32, "stored_end": most + (16 + most) / 32, "most_bits": most}


def within() -> list[dict]:
    """Return the rows that store no more than the widest codes of plain GPTQ."""
    return [row for row in of_weights() if row["stored"] < stored()["stored_end"] + 1e-9]


def fronts() -> dict:
    places = [row for one in grouped(within(), "checkpoint_id").values() for row in front(one)]
    line = len(where(places, kind="gptq"))
    return {
        "front_points": len(places),
        "front_line": line / len(places),
        "front_cmpq": len(where(places, kind="cmpq")) / len(places),
        "front_recipes": len(where(places, kind={BLOCKS, MATRICES})) / len(places),
    }


def front(rows) -> list[dict]:
    """Return the rows of a checkpoint that no other beats, every pair looked at; of two equal ones the first counts."""

    def beats(other, row) -> bool:
        if (other["stored"], other["qid"]) == (row["stored"], row["qid"]):
            return rows.index(other) < rows.index(row)
        return other["stored"] <= row["stored"] and other["qid"] <= row["qid"]

    return [row for row in rows if not any(beats(other, row) for other in rows if other is not row)]


# ---- ratios at equal stored bits -------------------------------------------------------------------------------------


@functools.cache
def counts() -> np.ndarray:
    """Return the shares of documents in each draw, (documents, draws)."""
    n = len(every()[0]["document_qid"])
    drawn = np.random.default_rng(SEED).multinomial(n, [1 / n] * n, DRAWS).T
    return drawn / n


@functools.cache
def logs() -> dict[str, np.ndarray]:
    """Return ln QiD of the rows that are told from zero, by measurement: as measured, then on each draw."""
    found = {}
    for row in every():
        values = np.append(row["qid"], row["document_qid"] @ counts())
        if values.min() > 0:
            found[row["measurement_id"]] = np.log(values)
    return found


@functools.cache
def against(line: str) -> tuple[tuple[dict, np.ndarray], ...]:
    """Return each row that a line reaches with ln of its ratio to that line, as measured and on each draw."""
    lines = grouped([row for row in where(of_weights(), kind=line) if row["measurement_id"] in logs()], "checkpoint_id")
    found = []
    for row in of_weights():
        known = sorted(lines.get(row["checkpoint_id"], []), key=lambda one: one["stored"])
        if row["kind"] == line or row["measurement_id"] not in logs() or not known:
            continue
        places = np.array([one["stored"] for one in known])
        if not places[0] - 1e-9 <= row["stored"] <= places[-1] + 1e-9:
            continue
        weights = np.array([np.interp(row["stored"], places, unit) for unit in np.eye(len(places))])
        read = weights @ np.array([logs()[one["measurement_id"]] for one in known])
        found.append((row, logs()[row["measurement_id"]] - read))
    return tuple(found)


def cells(line: str = "gptq") -> dict[tuple, list[tuple[dict, np.ndarray]]]:
    """Return the ratios of each kind and setting that was measured on two models or more."""
    found = {}
    for row, values in against(line):
        found.setdefault((row["kind"], row["setting"]), []).append((row, values))
    return {cell: pairs for cell, pairs in found.items() if len({row["model"] for row, _ in pairs}) > 1}


def pooled(pairs, *along) -> list[tuple[float, float, float]]:
    """Return mean and slopes of ln ratio with their ends; documents' scatter is added to that between models."""
    design = np.array([[1.0, *(math.log(row[name]) for name in along)] for row, _ in pairs])
    design[:, 1:] -= design[:, 1:].mean(axis=0)
    values = np.array([one for _, one in pairs])
    found = np.linalg.lstsq(design, values)[0]
    models = [row["model"] for row, _ in pairs]
    covariance, freedom = by_run(design, values[:, 0] - design @ found[:, 0], models)
    freedom = np.minimum(freedom, len(set(models)) - 1)
    halves = stats.t.ppf(0.975, freedom) * np.sqrt(np.diag(covariance) + found[:, 1:].var(axis=1))
    return list(zip(found[:, 0], found[:, 0] - halves, found[:, 0] + halves, strict=True))


def ratio(name: str, cell: tuple, line: str = "gptq") -> dict:
    ((mean, low, high),) = pooled(cells(line)[cell])
    return {name: math.exp(mean), f"{name}_low": math.exp(low), f"{name}_high": math.exp(high)}


def compared() -> dict:
    ends = [pooled(pairs)[0][1:] for pairs in cells().values()]
    below, above = sum(high < 0 for _, high in ends), sum(low > 0 for low, _ in ends)
    return {
        "n_settings": len(ends),
        "n_above": above,
        "n_untold": len(ends) - below - above,
        "n_compared": len(against("gptq")),
        "n_cmpq": sum(row["kind"] == "cmpq" for row, _ in against("gptq")),
        "n_cmpq_below": sum(values[0] < 0 for _, values in against("gptq")),
    }


def built_on() -> dict:
    found = ratio("awq_rtn", ("awq", 4), "rtn") | ratio("awq_gptq", ("awq", 4)) | ratio("gwq_gptq", ("gwq", 2))
    found |= ratio("gwq_rtn_2", ("gwq", 2), "rtn")
    extra = np.mean([row["stored"] for row, _ in cells()["gwq", 2]]) - stored()["stored_2"]
    return found | {"gwq_extra": extra}


@functools.cache
def trunk_lines() -> dict[tuple, tuple]:
    """Return stored bits and ln QiD of the trunk's plain GPTQ at 2 to 4 bits, by model, step and group size."""
    rows = where(
        measurements(), family="tadpole-trunk", device_type="cuda", eval_dataset="wheels-heldout", n_sequences=512
    )
    rows = [row for row in where(rows, method="gptq", symmetric=False, calib_seed=0) if row["run"] == row["model"]]
    rows = [row for row in rows if row["bits"] <= 4 and row["group_size"] in (32, 128)]
    lines = {}
    for key, mine in grouped(rows, "model", "step", "group_size").items():
        mine = sorted(mine, key=lambda row: row["bits"])
        lines[key] = [row["effective_bits"] for row in mine], [math.log(row["qid"]) for row in mine]
    return lines


def beside_coarse_groups() -> dict:
    """CMPQ's ratios to groups of 32, over those of groups of 128 to groups of 32 at the same stored bits."""
    found = []
    for row, values in against("gptq"):
        fine, coarse = (trunk_lines().get((row["model"], row["step"], size)) for size in (32, 128))
        if row["kind"] != "cmpq" or not fine or not coarse:
            continue
        if all(line[0][0] <= row["stored"] <= line[0][-1] for line in (fine, coarse)):
            factor = float(np.interp(row["stored"], *coarse) - np.interp(row["stored"], *fine))
            found.append({"model": row["model"], "setting": row["setting"], "own": values[0], "factor": factor})
    counted = {
        "coarse_models": len({one["model"] for one in found}),
        "n_beside": len(found),
        "n_beside_below": sum(one["own"] < one["factor"] for one in found),
        "n_beside_fine": sum(one["own"] < 0 for one in found),
        "coarse_least": math.exp(min(one["factor"] for one in found)),
        "coarse_most": math.exp(max(one["factor"] for one in found)),
    }
    middle = grouped(where(found, setting=2.5), "model").values()
    logs = [np.mean([one["own"] - one["factor"] for one in mine]) for mine in middle]
    mean, half = np.mean(logs), half_width(logs)
    counted |= {"cmpq_coarse": math.exp(mean), "cmpq_coarse_low": math.exp(mean - half)}
    return counted | {"cmpq_coarse_high": math.exp(mean + half)}


def recipes() -> dict:
    found = ratio("matrices_2_less", (MATRICES, (2, 0.8)))
    for bits in (2, 3):
        found |= ratio(f"matrices_{bits}", (MATRICES, (bits, 0.9)))
        rows = where(of_weights(), kind=MATRICES, setting=(bits, 0.9))
        names = [name.split(".", 1)[1] for row in rows for name in row["kept_matrices"]]
        n_blocks = sum(row["n_layers"] for row in rows)
        found |= {f"kept_{short}_{bits}": names.count(name) / n_blocks for short, name in SHORT.items()}
    blocks = [values[0] for row, values in against("gptq") if row["kind"] == BLOCKS]
    return found | {
        "n_block_recipes": len(where(of_weights(), kind=BLOCKS)),
        "n_blocks_compared": len(blocks),
    }


# ---- inputs ----------------------------------------------------------------------------------------------------------


@functools.cache
def costs_of_inputs(short: str, bits: int) -> dict[str, float]:
    """Return what rounding the inputs costs by checkpoint: QiD beyond that of the same weights with inputs as they are."""
    alone = {row["checkpoint_id"]: row["qid"] for row in where(every(), kind="rtn", setting=8)}
    rows = where(every(), kind="inputs", setting=(EXPONENTS[short], bits))
    return {row["checkpoint_id"]: row["qid"] - alone[row["checkpoint_id"]] for row in rows}


def inputs() -> dict:
    places = {row["checkpoint_id"]: row for row in every()}
    found = {}
    for short, bits in itertools.product(EXPONENTS, (4, 8)):
        costs = costs_of_inputs(short, bits)
        means = [
            np.mean([costs[row["checkpoint_id"]] for row in one]) for one in grouped(places.values(), "model").values()
        ]
        mean, half = np.mean(means), half_width(means)
        found |= {f"{short}_{bits}": mean, f"{short}_{bits}_low": mean - half, f"{short}_{bits}_high": mean + half}
    less = [costs_of_inputs("cross", 4)[one] < cost for one, cost in costs_of_inputs("token", 4).items()]
    found |= {
        "token_8_most": max(costs_of_inputs("token", 8).values()),
        "n_cross_less": sum(less),
        "n_narrow": len(less),
    }
    rows = places.values()
    last = {size: max(where(rows, **{N: size}), key=lambda row: row[D]) for size in distinct(rows, N)}
    for short, (end, row) in itertools.product(
        ("token", "cross"), {"smallest": last[min(last)], "largest": last[max(last)]}.items()
    ):
        found[f"{short}_{end}"] = costs_of_inputs(short, 4)[row["checkpoint_id"]]
    return found
