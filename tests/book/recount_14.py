"""Chapter 14 counted again: exponents of block size by a bounded fit of our own, the joint laws by that of `recount_fits`.

A row gets `block`, values a scale: where a row of a matrix has one, that is the mean length of a decoder block's rows. Rows at
a ratio get `moved`, the factor that takes their QiD there. Draws of the joint law's coefficients are made again from the same
seed.
"""

import functools
import math

import numpy as np
from recount import distinct, grouped, label, measurements, standard_error, study, trunk, where
from recount_fits import TERMS, Fit, by_run, columns, fit, interval
from scipy import optimize, stats

EXCEPTED = {}
FITTED = 1e-5  # where an optimiser stops on a flat top
N, D = "n_params_non_embedding", "tokens_seen"
NAMES = ("half", "most", "all", "gptq")
RATIOS = {"half": (0.5, 0.6), "most": (0.9, 0.95), "all": (1.0, 1.1)}
MIDDLE = 1907
BUDGET = 0.1
LEAST_TAU = 1e-3
HELD = ("size", "tokens", "ratio", "block", "row", "decayed")
CAO = {("7B", 50): 0.32, ("7B", 90): 0.62, ("7B", 95): 0.61, ("14B", 50): 0.29, ("14B", 90): 0.37, ("14B", 95): 0.63}
CAO_SLOPES = (-11.68, -11.27, -12.84)
JOINT = ("beta", "alpha", "kappa", "c")
ENDS = ("value", "low", "high")
FITS_OF_PARTS = ("k", "row", "nats", "size", "tokens")
CROSSINGS = {
    "ratio_by_size": lambda row: (row["quantized_ratio"] - 1) * math.log(row[N] / 1e6),
    "block_by_size": lambda row: math.log(row["block"] / 32) * math.log(row[N] / 1e6),
    "block_by_tokens": lambda row: math.log(row["block"] / 32) * math.log(row[D] / 2.5e8),
    "block_by_ratio": lambda row: (row["quantized_ratio"] - 1) * math.log(row["block"] / 32),
}
TERMS |= CROSSINGS
FITS = (*JOINT, "k_ratio", "k_decay", *(f"mu_{name}" for name in CROSSINGS))
FITS += ("grows_size", "grows_tokens", "grows_both", "allowed_small", "allowed_large")
FORMS = {
    "ratio_exponential": JOINT,
    "ratio_power": ("beta", "alpha", "kappa", "rho"),
    "log_block": ("beta", "alpha", "kappa_of_log", "c"),
    "without_block": ("beta", "alpha", "c"),
    "without_tokens": ("alpha", "kappa", "c"),
    **{name: (*JOINT, name) for name in CROSSINGS},
}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [
        counts(),
        curves(),
        exponents(),
        differences(),
        published(),
        joint(),
        crossed(),
        aics(),
        scores(),
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
        "qb_moved": max(abs(row["moved"] - 1) for name in RATIOS for row in part(name)),
    }


def curves() -> dict:
    """Return the increase at the ends of the smallest and of the largest model's curve."""
    sizes = grouped(where(part("all"), step=MIDDLE), N)
    found = {}
    for short, size in (("small", min(sizes)), ("large", max(sizes))):
        line_of = sorted(sizes[size], key=lambda row: row["block"])
        found |= {f"qb_first_{short}": share(line_of[0])[0], f"qb_last_{short}": share(line_of[-1])[0]}
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


def exponents() -> dict:
    found = {}
    for name in NAMES:
        shares = cells(small(curve_rows(name)), share)
        _, size, tokens = line(in_nats(name).values(), (N, D))
        found |= ends(f"qb_k_{name}", line(shares.values())[0]) | {f"qb_cells_{name}": len(shares)}
        found |= ends(f"qb_row_{name}", line(cells(small(part(name)), share).values())[0])
        found |= ends(f"qb_nats_{name}", line(in_nats(name).values())[0])
        found |= ends(f"qb_size_{name}", size) | ends(f"qb_tokens_{name}", tokens)
    return found


def differences() -> dict:
    """Return by how much k of QiD is larger where all is low, and where the rate has decayed."""
    half, whole = in_nats("half"), in_nats("all")
    more = [(row, k - half[key][1]) for key, (row, k) in whole.items() if key in half]
    after = cells(in_blocks(at([row for row in mixed() if row["lr_phase"] == "decay"], "all")), nats).values()
    there = {row["model"]: k for row, k in whole.values() if row["step"] == MIDDLE}
    beside = [(row, k - there[row["model"]]) for row, k in after if row["model"] in there]
    return ends("qb_k_ratio", line(more)[0]) | ends("qb_k_decay", line(beside)[0])


def published() -> dict:
    found = {f"qb_cao_{model}_{ratio}": k for (model, ratio), k in CAO.items()}
    return found | {"qb_cao_slope_least": max(CAO_SLOPES), "qb_cao_slope_most": min(CAO_SLOPES)}


# ---- the joint law ---------------------------------------------------------------------------------------------------


@functools.cache
def joint_fit(name: str = "ratio_exponential") -> Fit:
    return fit(in_blocks(constant()), FORMS[name])


def joint() -> dict:
    of = joint_fit()
    found = {"qb_joint_rows": len(of.qid), "qb_joint_runs": len(set(of.runs)), "qb_tau": of.tau}
    for name in JOINT:
        found |= ends(f"qb_{name}", (of[name], *interval(of, name)))
    return found | {"qb_slope": -of["c"] / of["alpha"]}


def crossed() -> dict:
    found = {}
    for name in CROSSINGS:
        of = joint_fit(name)
        found |= ends(f"qb_mu_{name}", (of[name], *interval(of, name)))
    return found


def aic(of: Fit) -> float:
    """Return Akaike's criterion but for a constant."""
    variance = of.deviations**2
    return float(2 * (len(of.coefficients) + 1) + np.sum(np.log(variance) + (of.qid - of.fitted) ** 2 / variance))


def rest_mean(place, rows) -> np.ndarray:
    """Return ln QiD of the law in 1 - (1 - Qr)^rho; `place` is ln k, beta, alpha, kappa, ln rho."""
    kept = np.array([max(0.0, 1 - row["quantized_ratio"]) for row in rows])
    return columns(rows, ("beta", "alpha", "kappa")) @ place[:4] + np.log1p(-(kept ** math.exp(place[4])))


def rest_fit(rows) -> tuple[np.ndarray, float]:
    """Return the coefficients of that law and its criterion, by a search without slopes."""
    qid = np.array([row["qid"] for row in rows])
    errors = np.array([standard_error(row["document_qid"]) for row in rows])
    whole = columns(rows, ("beta", "alpha", "kappa"))
    middle, spread = whole[:, 1:].mean(axis=0), whole[:, 1:].std(axis=0)
    scaled = np.column_stack([whole[:, 0], (whole[:, 1:] - middle) / spread])
    kept = np.array([max(0.0, 1 - row["quantized_ratio"]) for row in rows])

    def loss(place):
        mean = np.exp(scaled @ place[:4] + np.log1p(-(kept ** math.exp(place[4]))))
        variance = errors**2 + math.exp(2 * place[5]) * mean**2
        return 0.5 * float(np.sum(np.log(variance) + (qid - mean) ** 2 / variance))

    clear = qid > errors
    start = np.append(np.linalg.lstsq(scaled[clear], np.log(qid[clear]))[0], [math.log(0.5), math.log(0.2)])
    found = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-7})
    found = optimize.minimize(
        loss, found.x, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20000}
    )
    slopes = found.x[1:4] / spread
    return np.array([found.x[0] - middle @ slopes, *slopes, found.x[4]]), 2 * 6 + 2 * found.fun


def aics() -> dict:
    found = {name: aic(joint_fit(name)) for name in FORMS} | {"ratio_rest": rest_fit(in_blocks(constant()))[1]}
    return {f"qb_aic_{name}": value - min(found.values()) for name, value in found.items()}


def splits() -> list[tuple[list[dict], list[dict]]]:
    rows, per_row = in_blocks(constant()), [row for row in constant() if not row["group_size"]]
    largest, last = max(row[N] for row in rows), max(row[D] for row in rows)
    blocks = {size: max(row["block"] for row in one) for size, one in grouped(rows, N).items()}
    tests = [
        lambda row: row[N] == largest,
        lambda row: row[D] > last / 3.8,
        lambda row: row["quantized_ratio"] >= 1 - 1e-9,
        lambda row: row["block"] == blocks[row[N]],
    ]
    found = [([row for row in rows if not test(row)], [row for row in rows if test(row)]) for test in tests]
    return [*found, (rows, per_row), (rows, in_blocks(row for row in mixed() if row["lr_phase"] == "decay"))]


def rms(predicted, held) -> float:
    misses = [
        math.log(value / row["qid"])
        for value, row in zip(predicted, held, strict=True)
        if row["qid"] > 3 * standard_error(row["document_qid"])
    ]
    return math.sqrt(math.fsum(miss**2 for miss in misses) / len(misses))


def scores() -> dict:
    found = {}
    for short, (training, held) in zip(HELD, splits(), strict=True):
        for name in FORMS:
            of = fit(training, FORMS[name])
            found[f"qb_rms_{name}_{short}"] = rms(np.exp(columns(held, FORMS[name]) @ of.coefficients), held)
        found[f"qb_rms_ratio_rest_{short}"] = rms(np.exp(rest_mean(rest_fit(training)[0], held)), held)
    return found


# ---- which block a budget allows -------------------------------------------------------------------------------------


def draws(n: int) -> np.ndarray:
    """Return coefficients that could be the truth, (n, 5): t with runs - 1 of freedom, from seed 0."""
    of = joint_fit()
    covariance, _ = by_run(*of.weighted, of.runs)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    of_stretch, of_place = np.random.default_rng(0).spawn(2)
    freedom = len(set(of.runs)) - 1
    stretch = np.sqrt(freedom / of_stretch.chisquare(freedom, n))
    return of.coefficients + stretch[:, None] * (of_place.standard_normal((n, 5)) @ root)


def allowed() -> dict:
    one, many = joint_fit().coefficients, draws(4000)
    powers = {"size": lambda b, a, k: a / k, "tokens": lambda b, a, k: -b / k, "both": lambda b, a, k: (a - b) / k}
    found = {}
    for name, power_of in powers.items():
        low, high = np.quantile(power_of(*many[:, 1:4].T), [0.025, 0.975])
        found |= ends(f"qb_grows_{name}", (power_of(*one[1:4]), low, high))
    sizes, tokens = sorted(distinct(part("all"), N)), where(part("all"), step=MIDDLE)[0][D]
    for short, size in (("small", sizes[0]), ("large", sizes[-1])):
        place = np.array([1, math.log(tokens), -math.log(size), 0, 1])
        target = math.log(math.log(1 + BUDGET))
        block, could_be = (np.exp((target - c @ place) / c.T[3]) for c in (one, draws(1000)))
        low, high = np.quantile(could_be, [0.025, 0.975])
        found |= ends(f"qb_allowed_{short}", (block, low, high))
    return found


# Everything that rests on a fit: both stop near the top, not on it.
TOLERANCES = {
    **{f"qb_{kind}_{name}_{end}": FITTED for kind in FITS_OF_PARTS for name in NAMES for end in ENDS},
    **{f"qb_{name}_{end}": FITTED for name in FITS for end in ENDS},
    **{f"qb_rms_{name}_{short}": FITTED for name in (*FORMS, "ratio_rest") for short in HELD},
    **{f"qb_aic_{name}": FITTED for name in (*FORMS, "ratio_rest")},
    **dict.fromkeys(("qb_tau", "qb_slope", "qb_moved"), FITTED),
    **{f"qb_{end}_{size}": FITTED for end in ("first", "last") for size in ("small", "large")},
}
