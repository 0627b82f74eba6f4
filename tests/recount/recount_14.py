"""Chapter 14 counted again: exponents of block size by a bounded fit of our own, the joint laws by that of `recount_fits`.

A row gets `block`, values a scale: where a row of a matrix has one, that is the mean length of a decoder block's rows. Rows at
a ratio get `moved`, the factor that takes their QiD there. Draws of the joint law's coefficients are made again from the same
seed.
"""

import functools
import math

import numpy as np
from scipy import optimize, stats
from tests.recount.recount import (
    checkpoints,
    distinct,
    geometric_mean,
    grouped,
    label,
    measurements,
    standard_error,
    study,
    trunk,
    where,
)
from tests.recount.recount_fits import TERMS, Fit, by_run, by_run_and_step, fit

EXCEPTED = {}
FITTED = 1e-5  # where an optimiser stops on a flat top
N, D = "n_params_non_embedding", "tokens_seen"
NAMES = ("half", "most", "all", "gptq")
RATIOS = {"half": (0.5, 0.6), "most": (0.9, 0.95), "all": (1.0, 1.1)}
MIDDLE = 1907
BUDGET = 0.2
LEAST_TAU = 1e-3
ENDS = ("value", "low", "high")
CAO = {("7B", 50): 0.32, ("7B", 90): 0.62, ("7B", 95): 0.61, ("14B", 50): 0.29, ("14B", 90): 0.37, ("14B", 95): 0.63}
SEPARABLE = ("beta", "alpha", "kappa", "c")
CROSSINGS = {
    "size_and_ratio": lambda row: (row["quantized_ratio"] - 1) * math.log(row[N] / 1e6),
    "block_and_size": lambda row: math.log(row["block"] / 32) * math.log(row[N] / 1e6),
    "block_and_tokens": lambda row: math.log(row["block"] / 32) * math.log(row[D] / 2.5e8),
    "block_and_ratio": lambda row: (row["quantized_ratio"] - 1) * math.log(row["block"] / 32),
    "block_and_outliers": lambda row: math.log(row["block"] / 32) * math.log(outliers(row)),
}
TERMS |= CROSSINGS
JOINT = (*SEPARABLE, "block_and_size", "block_and_tokens")
FORMS = {  # all but the law in 1 - (1 - Qr)^rho, which is the best nowhere
    "separable": SEPARABLE,
    "ratio_power": ("beta", "alpha", "kappa", "rho"),
    "log_block": ("beta", "alpha", "kappa_of_log", "c"),
    "without_block": ("beta", "alpha", "c"),
    "without_tokens": ("alpha", "kappa", "c"),
    **{name: (*SEPARABLE, name) for name in CROSSINGS},
    "both": JOINT,
}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [
        counts(),
        curves(),
        exponents(),
        differences(),
        published(),
        channels(),
        allowed(),
    ]
    return {key: value for part in parts for key, value in part.items()}


# ---- the rows --------------------------------------------------------------------------------------------------------


def with_block(row: dict) -> dict:
    """Return the row with `block`: of one scale a row, weights over rows of matrices in a decoder block."""
    d = row["d_model"]
    rows_of_block, weights = 3 * d + d + 4 * d + d, 3 * d * d + d * d + 4 * d * d + d * 4 * d
    return row | {"block": row["group_size"] or weights / rows_of_block}


def whole_blocks(row: dict) -> bool:
    """Return whether what is kept are all four matrices of some decoder blocks."""
    kept = [name.split(".")[0] for name in row["kept_matrices"] or ()]
    return bool(kept) and all(kept.count(one) == 4 for one in kept)


@functools.cache
def mixed() -> list[dict]:
    """Return the rows of MXINT-4 in weights and activations, every ratio and block size."""
    found = where(
        measurements(), family="tadpole-mixed", method="rtn", format="mxint", bits=4, activation_format="mxint"
    )
    return [with_block(row) for row in found if not whole_blocks(row)]


@functools.cache
def constant() -> list[dict]:
    return [row for row in mixed() if row["lr_phase"] != "decay"]


def in_blocks(rows) -> list[dict]:
    return [row for row in rows if row["group_size"]]


@functools.cache
def part(name: str) -> list[dict]:
    """Return the rows of a panel: at one ratio, or GPTQ's."""
    if name == "gptq":
        plain = {"symmetric": False, "format": "int", "order": "given", "grid_search": "minmax"}
        late = [row for row in where(trunk(study()), method="gptq", bits=3, **plain) if row[D] > 60e6]
        return [with_block(row) | {"moved": 1.0} for row in late if row["epochs"] <= 4]
    return at(constant(), name)


def at(rows, name) -> list[dict]:
    """Return of each checkpoint and block the row that is the least above a ratio, with its `moved`."""
    ratio, end = RATIOS[name]
    near = [row for row in rows if ratio - 1e-9 <= row["quantized_ratio"] < end]
    groups = grouped(near, "run", "step", "block").values()
    least = [min(one, key=lambda row: row["quantized_ratio"]) for one in groups]
    return [row | {"moved": math.exp(joint_fit()["c"] * (ratio - row["quantized_ratio"]))} for row in least]


def nats(row) -> tuple[float, float]:
    """Return QiD at the ratio of the row's panel, and its error."""
    return row["moved"] * row["qid"], row["moved"] * standard_error(row["document_qid"])


def share(row) -> tuple[float, float]:
    """Return the relative increase of perplexity likewise."""
    qid, error = nats(row)
    return math.expm1(qid), math.exp(qid) * error


def counts() -> dict:
    rows = constant()
    sizes, gptq = sorted(distinct(part("all"), N)), part("gptq")
    return {
        "qb_rows": len(rows),
        "qb_runs": len(distinct(rows, "run")),
        "qb_checkpoints": len(distinct(rows, "weights_sha256")),
        "qb_smallest": label(sizes[0]),
        "qb_largest": label(sizes[-1]),
        "qb_middle": label(where(part("all"), step=MIDDLE)[0][D]),
        "qb_budget": BUDGET,
        "qb_gptq_rows": len(gptq),
        "qb_gptq_runs": len(distinct(gptq, "run")),
        "qb_ex_half": math.sqrt(0.5),
        "qb_moved": max(abs(row["moved"] - 1) for name in RATIOS for row in part(name)),
    }


def curves() -> dict:
    """Return the increases of the smallest and of the largest model in blocks of 16 and of 128."""
    lines = where(part("all"), step=MIDDLE)
    found = {}
    for block, name in ((16, "first"), (128, "wide")):
        ends_of = sorted((row for row in lines if row["group_size"] == block), key=lambda row: row[N])
        found |= {f"qb_{name}_small": share(ends_of[0])[0], f"qb_{name}_large": share(ends_of[-1])[0]}
        found["qb_wide_size"] = label(ends_of[0][N])
    return found


# ---- the exponent ----------------------------------------------------------------------------------------------------


def power(rows, measure) -> float | None:
    """Return k of `measure` = A block^k by maximum likelihood, tau between 0.001 and 10; None where rows are too few."""
    values, errors = np.array([measure(row) for row in rows]).T
    clear = values > errors
    if clear.sum() < 3:
        return None
    logs = np.log([row["block"] for row in rows])
    design = np.column_stack([np.ones(len(rows)), (logs - logs.mean()) / logs.std()])

    def loss(place):
        mean = np.exp(np.minimum(design @ place[:2], 100))
        of_tau = math.exp(2 * place[2]) * mean**2
        variance, residual = errors**2 + of_tau, values - mean
        by_tau = of_tau / variance * (1 - residual**2 / variance)
        gradient = np.append(design.T @ (by_tau - residual * mean / variance), by_tau.sum())
        return 0.5 * np.sum(np.log(variance) + residual**2 / variance), gradient

    begin = np.linalg.lstsq(design[clear], np.log(values[clear]))[0]
    bounds = [(None, None), (None, None), (math.log(LEAST_TAU), math.log(10))]
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000}
    tries = [
        optimize.minimize(loss, [*begin, math.log(tau)], jac=True, bounds=bounds, method="L-BFGS-B", options=options)
        for tau in (0.003, 0.05, 0.5)
    ]
    return min(tries, key=lambda one: one.fun).x[1] / logs.std()


def cells(rows, measure) -> dict[tuple, tuple[dict, float]]:
    """Return a row and k of each checkpoint with three block sizes or more."""
    groups = grouped(rows, "run", "step").items()
    found = {key: (one[0], power(one, measure)) for key, one in groups if len(one) >= 3}
    return {key: (row, k) for key, (row, k) in found.items() if k is not None}


def curve_rows(name: str) -> list[dict]:
    """Return the rows of a panel without one scale a row, which GPTQ's need."""
    return part(name) if name == "gptq" else in_blocks(part(name))


@functools.cache
def in_nats(name: str) -> dict:
    return cells(curve_rows(name), nats)


def small(rows) -> list[dict]:
    return [row for row in rows if share(row)[0] < 1]


def line(pairs, along=()) -> list[tuple[float, float, float]]:
    """Return mean and slopes in the ln of columns, each with its interval by run."""
    pairs = list(pairs)
    places = np.log([[row[name] for name in along] for row, _ in pairs]).reshape(len(pairs), len(along))
    design = np.column_stack([np.ones(len(pairs)), places - places.mean(axis=0)])
    values = np.array([value for _, value in pairs])
    found = np.linalg.lstsq(design, values)[0]
    covariance, freedom = by_run(design, values - design @ found, [row["run"] for row, _ in pairs])
    halves = stats.t.ppf(0.975, freedom) * np.sqrt(np.diag(covariance))
    return list(zip(found, found - halves, found + halves, strict=True))


def ends(name: str, three) -> dict:
    return dict(zip((f"{name}_{end}" for end in ENDS), three, strict=True))


def words(three, digits: int = 2) -> str:
    """Return a value with its interval as the chapter writes it."""
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*three, d=digits).replace("-", "−")


def exponents() -> dict:
    found = {}
    for name in NAMES:
        found[f"qb_k_{name}"] = words(line(cells(small(curve_rows(name)), share).values())[0])
        slopes = line(in_nats(name).values(), (N, D))
        found |= {f"qb_size_{name}": words(slopes[1], 3), f"qb_tokens_{name}": words(slopes[2], 3)}
        if name == "all":
            found["qb_ten_size"] = math.log(10) * slopes[1][0]
    return found


def differences() -> dict:
    """Return by how much k of QiD is larger where all is low, and where the rate has decayed."""
    half, whole = in_nats("half"), in_nats("all")
    more = [(row, k - half[key][1]) for key, (row, k) in whole.items() if key in half]
    after = cells(in_blocks(at([row for row in mixed() if row["lr_phase"] == "decay"], "all")), nats).values()
    there = {row["model"]: k for row, k in whole.values() if row["step"] == MIDDLE}
    beside = [(row, k - there[row["model"]]) for row, k in after if row["model"] in there]
    return {"qb_k_ratio": words(line(more)[0]), "qb_k_decay": words(line(beside)[0], 3)}


@functools.cache
def outliers_by_weights() -> dict[str, float]:
    return {row["weights_sha256"]: geometric_mean(row["input_max_over_rms"]) for row in checkpoints()}


def outliers(row) -> float:
    return outliers_by_weights()[row["weights_sha256"]]


def channels() -> dict:
    """Return how k goes with the outliers of inputs, alone and beside size and tokens."""
    found, seen, slopes = {}, [], {}
    for name in NAMES:
        pairs = [(row | {"outliers": outliers(row)}, k) for row, k in in_nats(name).values()]
        rank = stats.spearmanr([k for _, k in pairs], [row["outliers"] for row, _ in pairs]).statistic
        found[f"qb_rank_{name}"] = f"{rank:.2f}".replace("-", "−")
        seen += [row["outliers"] for row, _ in pairs if name != "gptq"]
        slopes[name] = line(pairs, ("outliers", N, D))
    found |= {"qb_told_all": words(slopes["all"][1]), "qb_told_size_most": words(slopes["most"][2], 3)}
    found["qb_told_tokens_most"] = words(slopes["most"][3], 3)
    return found | {"qb_outliers_least": min(seen), "qb_outliers_most": max(seen)}


def published() -> dict:
    return {f"qb_cao_{model}_{ratio}": k for (model, ratio), k in CAO.items()}


# ---- the joint law ---------------------------------------------------------------------------------------------------


@functools.cache
def joint_fit(name: str = "both") -> Fit:
    return fit(in_blocks(constant()), FORMS[name])


# ---- which block a budget allows -------------------------------------------------------------------------------------


def draws(n: int) -> np.ndarray:
    """Return coefficients that could be the truth, (n, 7): t with runs - 1 of freedom, from seed 0."""
    of = joint_fit()
    covariance, _ = by_run_and_step(of)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    of_stretch, of_place = np.random.default_rng(0).spawn(2)
    freedom = len(set(of.runs)) - 1
    stretch = np.sqrt(freedom / of_stretch.chisquare(freedom, n))
    return of.coefficients + stretch[:, None] * (of_place.standard_normal((n, len(of.coefficients))) @ root)


def allowed() -> dict:
    """Return how the block of a fixed increase grows about blocks of 32 and 10^7 parameters, and the largest model's."""
    lines = where(part("all"), step=MIDDLE)
    tokens, largest = lines[0][D], max(row[N] for row in lines)

    def powers(c, size):
        kappa = c.T[3] + c.T[5] * math.log(size / 1e6) + c.T[6] * math.log(tokens / 2.5e8)
        return kappa, {"size": c.T[2] / kappa, "tokens": -c.T[1] / kappa, "both": (c.T[2] - c.T[1]) / kappa}

    one, many = powers(joint_fit().coefficients, 1e7)[1], powers(draws(4000), 1e7)[1]
    three = {name: (one[name], *np.quantile(many[name], [0.025, 0.975])) for name in one}
    at_32 = np.array([1, math.log(tokens), -math.log(largest), math.log(32), 1, 0, 0])
    target = math.log(math.log(1 + BUDGET))
    block, could_be = (
        32 * np.exp((target - c @ at_32) / powers(c, largest)[0]) for c in (joint_fit().coefficients, draws(1000))
    )
    within = [row["block"] for row in lines if row[N] == largest and share(row)[0] <= BUDGET]
    return {
        **ends("qb_grows_size", three["size"]),
        "qb_grows_tokens": words(three["tokens"]),
        "qb_grows_both": words(three["both"]),
        **ends("qb_allowed_large", (block, *np.quantile(could_be, [0.025, 0.975], method="nearest"))),
        "qb_measured_large": max(within),
    }


# Everything that rests on a fit: both stop near the top, not on it.
OF_FITS = [f"qb_{name}_{end}" for name in ("grows_size", "allowed_large") for end in ENDS]
TOLERANCES = dict.fromkeys([*OF_FITS, "qb_moved", "qb_ten_size"], FITTED)
