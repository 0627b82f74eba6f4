"""Chapter 17 counted again: the new laws fitted anew, the fan from constants written out, the offset of the block anew.

Laws are written out here from `results/fits.json`, read as plain JSON: one line of `WRITTEN` for each that has a line in the figure.
"""

import functools
import itertools
import math

import numpy as np
from scipy import optimize, stats
from tests.recount.recount import checkpoints, distinct, grouped, label, where
from tests.recount.recount_08 import D, N, main
from tests.recount.recount_09 import constants, score, scores, stored
from tests.recount.recount_14 import constant
from tests.recount.recount_fits import TERMS, by_run_and_step, columns, fit, interval

EXCEPTED = {}
TOLERANCES = {}
FITTED = 1e-4  # relative: two minimisers of one function
SIMPLE, TOLD = "tokens-per-parameter", "curvature"
SIZE, LATE = "largest size", "last factor 4 in D"
TERMS |= {
    "two": lambda row: float(row["bits"] == 2),
    "four": lambda row: float(row["bits"] == 4),
}
OF_SIMPLE, OF_TOLD = ("per_parameter", "steps"), ("two", "four")
SHARES = (3 / 12, 1 / 12, 4 / 12, 4 / 12)  # of a block's weights: queries, keys and values; out; up; down
WRITTEN = {  # ln QiD at D tokens, size n, 3 bits; s = 3 steps; c: constants; loss: 16-bit loss
    "power": lambda c, d, n, loss: power(c, d, n),
    "exponential": lambda c, d, n, loss: (
        math.log(c["C_T"]) + c["g_D"] * np.log(d) - c["g_N"] * math.log(n) - 3 / c["g_post"]
    ),
    "steps": lambda c, d, n, loss: steps(c, d, n),
    "tokens-per-parameter": lambda c, d, n, loss: math.log(c["c"]) + c["b"] * np.log(d / n) - c["gamma"] * math.log(3),
    "free-bits": lambda c, d, n, loss: math.log(c["k"]) + c["beta"] * np.log(d) - c["alpha"] * math.log(n),
    "loss": lambda c, d, n, loss: steps(c, d, n) - c["lambda_"] * loss,
    "loss-power-bits": lambda c, d, n, loss: power(c, d, n) - c["lambda_"] * loss,
    "room": lambda c, d, n, loss: power(c, d, n) + c["delta"] * np.log(math.log(1024) - loss),
    "learning-rate": lambda c, d, n, loss: power(c, d, n),
    "group-size": lambda c, d, n, loss: power(c, d, n) + c["eta"] * math.log(32),
    "saturating": lambda c, d, n, loss: -np.log(np.exp(-power(c, d, n)) + 1 / c["ceiling"]),
    "threshold": lambda c, d, n, loss: power(c, d - c["D0"], n),
    "threshold-by-size": lambda c, d, n, loss: power(c, d - c["D0"] * (n / 1e6) ** -c["nu"], n),
    "onset": lambda c, d, n, loss: power(c, d, n) - np.log1p((c["D0"] * (n / 1e6) ** -c["nu"] / d) ** c["s"]),
    "power-per-bit": lambda c, d, n, loss: math.log(c["k"]) + c["beta"] * np.log(d) - c["alpha"] * math.log(n),
}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [counts(), simple(), told(), fan(), offsets(), shannon()]
    return {key: value for part in parts for key, value in part.items()}


def fitted(found: dict, tolerance: float = FITTED) -> dict:
    TOLERANCES.update(dict.fromkeys((key for key, one in found.items() if isinstance(one, float)), tolerance))
    return found


def counts() -> dict:
    sizes, tokens = sorted(row[N] for row in main()), sorted(row[D] for row in main())
    laws = list(dict.fromkeys(law for law, _ in scores()))
    found = {f"at_{key}_{at}": score(law, hold_out) for law, key in (
        (SIMPLE, "simple"), (TOLD, "told"), ("power", "power")
    ) for at, hold_out in (("size", SIZE), ("late", LATE))}  # fmt: skip
    found |= {
        f"at_{key}_late_se": score(law, LATE, "log_rms_se") for law, key in ((SIMPLE, "simple"), ("power", "power"))
    }
    del found["at_simple_size"], found["at_power_size"]
    return found | {
        "at_laws": len(laws),
        "at_printed": sum(row["published"] for row in stored()["judged"] if row["hold_out"] == SIZE),
        "at_rows": len(main()),
        "at_runs": len(distinct(main(), "run")),
        "at_span_n": sizes[-1] / sizes[0],
        "at_span_d": tokens[-1] / tokens[0],
    }


def simple() -> dict:
    law = fit(main(), OF_SIMPLE)
    found = {"at_n": 3, "at_reference": law.at(100.0, 1.0, 3)}
    found |= {"at_b": law["per_parameter"]} | dict(
        zip(("at_b_low", "at_b_high"), interval(law, "per_parameter"), strict=True)
    )
    missed(law, SIMPLE, OF_SIMPLE)
    return fitted(found, 1e-3)


def missed(law, name: str, terms: tuple[str, ...], rows=None) -> None:
    """Raise where a hold-out fitted anew has another rms than the file says."""
    rows = main() if rows is None else rows
    largest, last = max(row[N] for row in rows), max(row[D] for row in rows)
    for hold_out, side in ((SIZE, lambda row: row[N] == largest), (LATE, lambda row: row[D] > last / 4)):
        again = fit([row for row in rows if not side(row)], terms)
        held = [row for row in rows if side(row) and row["qid"] > 0]
        miss = columns(held, terms) @ again.coefficients - np.log([row["qid"] for row in held])
        rms = math.sqrt(np.mean(miss**2))
        if not math.isclose(rms, score(name, hold_out), rel_tol=1e-3):
            raise AssertionError(f"{name}, {hold_out}: {rms:.6f} here, {score(name, hold_out):.6f} in the file")


@functools.cache
def costs() -> dict[tuple[str, int], float]:
    """Return by weights and bits half of each block's trace times its weights' mean squared rounding error, summed."""
    found = {}
    for row in checkpoints():
        for bits in (2, 3, 4):
            errors = (row["weight_rms"] * row[f"rtn_error_{bits}_bits"]) ** 2
            blocks = [sum(map(float.__mul__, SHARES, errors[i : i + 4].tolist())) for i in range(0, len(errors), 4)]
            found[row["weights_sha256"], bits] = sum(map(float.__mul__, blocks, row["hessian_trace_by_block"])) / 2
    return found


def told() -> dict:
    """QiD over its cost by curvature is a constant a width: scaled rows have the same likelihood but for a constant."""
    rows = []
    for row in main():
        cost = costs()[row["weights_sha256"], int(row["bits"])]
        rows.append(row | {"qid": row["qid"] / cost, "document_qid": row["document_qid"] / cost})
    law = fit(rows, OF_TOLD)
    missed(law, TOLD, OF_TOLD, rows)
    covariance, freedom = by_run_and_step(law)
    half = stats.t.ppf(0.975, freedom[0]) * math.sqrt(covariance[0, 0])
    ln_c = law.coefficients[0]
    found = {"at_c": math.exp(ln_c), "at_c_low": math.exp(ln_c - half), "at_c_high": math.exp(ln_c + half)}
    return fitted(found | {"at_told_n": 3}, 1e-3)


# ---- the fan ---------------------------------------------------------------------------------------------------------


def power(c, d, n):
    return math.log(c["k"]) + c["beta"] * np.log(d) - c["alpha"] * math.log(n) - c["gamma"] * math.log(3)


steps = power  # at 3 bits there are three steps


def fan() -> dict:
    largest = max(row[N] for row in main())
    tokens = [row[D] for row in main() if row[N] == largest]
    places = {"middle": math.sqrt(min(tokens) * max(tokens))}
    places |= {"beyond": 10 * max(tokens), "far": 100 * max(tokens)}
    d = np.array(list(places.values()))
    one = stored()["loss_law"]["parameters"]
    loss = ((one["N_c"] / largest) ** (one["alpha_N"] / one["alpha_D"]) + one["D_c"] / d) ** one["alpha_D"]
    names = [name for name in stored()["fits"] if not name.startswith("power-per-bit-") and name != TOLD]
    logs = [
        WRITTEN[name](constants("power-per-bit-3" if name == "power-per-bit" else name), d, largest, loss)
        for name in [*names, "power-per-bit"]
    ]
    spread = np.exp(np.ptp(logs, axis=0))
    return fitted({f"at_spread_{key}": float(value) for key, value in zip(places, spread, strict=True)}) | {
        "at_own": len(logs),
        "at_drawn": len(logs) + 3,
        "at_beyond": 10,
        "at_far": 100,
        "at_largest": label(largest),
    }


# ---- the offset of the block -----------------------------------------------------------------------------------------


def offsets() -> dict:
    rows = [row for row in constant() if row["group_size"] and row["quantized_ratio"] >= 1 - 1e-9]
    runs = sorted(distinct(rows, "run"))
    counts = np.random.default_rng(0).multinomial(len(runs), [1 / len(runs)] * len(runs), 2000)
    grid = [*np.arange(-0.9 * min(row["group_size"] for row in rows), 60, 0.2), *np.arange(60, 500, 2.0)]
    found = {"at_block_rows": len(rows), "at_block_runs": len(runs)}
    found["at_block_checkpoints"] = len(distinct(rows, "run", "step"))
    for name, outcome in (("nats", lambda q: q), ("share", math.expm1)):
        without = squares(rows, runs, 0.0, outcome, np.ones((1, len(runs))))[0]
        table = np.array([squares(rows, runs, one, outcome, np.vstack([np.ones(len(runs)), counts])) for one in grid])
        best = np.array(grid)[table.argmin(axis=0)]
        low, high = np.quantile(best[1:], [0.025, 0.975])
        found |= {f"at_{name}_d": float(best[0]), f"at_{name}_low": float(low), f"at_{name}_high": float(high)}
        found[f"at_{name}_gain"] = float(1 - table[:, 0].min() / without)
    found["at_offsets"] = found["at_share_d"] / found["at_nats_d"]
    return fitted(found, 1e-6)


def squares(rows, runs, offset: float, outcome, counts: np.ndarray) -> np.ndarray:
    """Return residual squares of ln of the increase, levels by checkpoint taken out, for each row of `counts` of runs."""
    designs, targets = [], []
    for run in runs:
        parts = []
        for cell in grouped(where(rows, run=run), "step").values():
            block = np.log([row["group_size"] + offset for row in cell])
            part = np.column_stack(
                [
                    block,
                    block * math.log(cell[0][N] / 1e6),
                    block * math.log(cell[0][D] / 2.5e8),
                    [math.log(outcome(row["qid"])) for row in cell],
                ]
            )
            parts.append(part - part.mean(axis=0))
        whole = np.vstack(parts)
        designs.append(whole[:, :3].T @ whole)
        targets.append(whole[:, 3] @ whole[:, 3])
    normal = np.tensordot(counts, np.array(designs), 1)
    solved = np.array([one[:, 3] @ np.linalg.lstsq(one[:, :3], one[:, 3])[0] for one in normal])
    return counts @ np.array(targets) - solved


# ---- the loss after rounding -----------------------------------------------------------------------------------------


def together(*logs):
    """Return ln of the sum of exponentials, of complex numbers as well: slopes come from an imaginary step."""
    top = np.max([np.real(one) for one in np.broadcast_arrays(*logs)], axis=0)
    return top + np.log(sum(np.exp(one - top) for one in logs))


def of_channel(c, d, n):
    """Return ln L of Shannon's form, with b = 1."""
    log_a, alpha, beta, log_c, gamma, log_d, delta, log_e = c
    noise = together(log_c + gamma * np.log(d * n), log_d + delta * np.log(d), log_e)
    return -log_a - alpha * np.log(n) - np.log(together(0.0, beta * np.log(d) - noise) / math.log(2))


def of_sum(c, d, n):
    """Return ln L of Chinchilla's form."""
    log_e, log_a, alpha, log_b, beta = c
    return together(log_e, log_a - alpha * np.log(n), log_b - beta * np.log(d))


def lowest(form, starts, rows) -> np.ndarray:
    """Return the coefficients with the least Huber loss of ln L, turning at 0.001: short climbs, then the best dozen."""
    d, n, loss = (np.array([row[name] for row in rows], float) for name in (D, N, "loss_nats"))

    def climbed(start, steps):
        settings = {"loss": "huber", "f_scale": 1e-3, "x_scale": "jac", "ftol": 1e-13, "xtol": 1e-13, "gtol": 1e-13}
        with np.errstate(all="ignore"):
            return optimize.least_squares(
                lambda c: form(c, d, n) - np.log(loss), start, jac="cs", max_nfev=steps, **settings
            )

    begun = sorted((climbed(start, 60) for start in starts), key=lambda one: one.cost)[:12]
    return min((climbed(one.x, 3000) for one in begun), key=lambda one: one.cost).x


def starts_of_channel(rows) -> list[list[float]]:
    ln_d, ln_n = (math.log(np.median([row[name] for row in rows])) for name in (D, N))
    level, found = -math.log(np.median([row["loss_nats"] for row in rows])) - 0.1 * ln_n, []
    grid = itertools.product((0.15, 0.5, 0.9), (0.05, 0.4), (0.05, 0.4), (-1.5, 0.5, 1.5))
    for beta, gamma, delta, above in grid:
        noise = beta * ln_d - above
        found.append([level, 0.1, beta, noise - gamma * (ln_n + ln_d), gamma, noise - delta * ln_d, delta, noise])
    return found


def starts_of_sum(rows) -> list[list[float]]:
    ln_d, ln_n = (math.log(np.median([row[name] for row in rows])) for name in (D, N))
    half = math.log(min(row["loss_nats"] for row in rows) / 2)
    exponents = [(alpha, beta) for alpha in (0.1, 0.3, 0.7) for beta in (0.1, 0.3, 0.7)]
    return [[half, half - 0.7 + alpha * ln_n, alpha, half - 0.7 + beta * ln_d, beta] for alpha, beta in exponents]


def shannon() -> dict:
    """Return Shannon's misses of the last factor 4 in tokens over Chinchilla's, with ends over draws of runs of our own."""
    found = {}
    for bits in (2, 3, 4):
        rows = where(main(), bits=bits)
        last = max(row[D] for row in rows) / 4
        training, held = [row for row in rows if row[D] <= last], [row for row in rows if row[D] > last]
        d, n, loss = (np.array([row[key] for row in held], float) for key in (D, N, "loss_nats"))
        sums = []
        for form, starts in ((of_channel, starts_of_channel), (of_sum, starts_of_sum)):
            squares = (np.real(form(lowest(form, starts(training), training), d, n)) - np.log(loss)) ** 2
            by_run_of = grouped([{"run": row["run"], "square": q} for row, q in zip(held, squares, strict=True)], "run")
            sums.append([sum(one["square"] for one in part) for _, part in sorted(by_run_of.items())])
        draws = np.random.default_rng(bits).multinomial(len(sums[0]), [1 / len(sums[0])] * len(sums[0]), 20_000)
        low, high = np.quantile(np.sqrt(draws @ sums[0] / (draws @ sums[1])), [0.025, 0.975])
        found[f"at_shannon_{bits}"] = math.sqrt(sum(sums[0]) / sum(sums[1]))
        ends = {f"at_shannon_{bits}_low": float(low), f"at_shannon_{bits}_high": float(high)}
        TOLERANCES.update({f"at_shannon_{bits}": 1e-3} | dict.fromkeys(ends, 0.03))  # ends: of other draws
        found |= ends
    return found
