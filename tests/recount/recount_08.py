"""Chapter 8 counted again: tokens read off QiD and off the 16-bit loss.

Laws are fitted anew by `recount_fits`, the law of the 16-bit loss by a minimiser of its own. Intervals of readings come from
the quadratic equation that they are the roots of, not from a search.
"""

import csv
import functools
import itertools
import math

import numpy as np
from scipy import optimize, stats
from tests.recount.recount import ROOT, SEEDED, grouped, half_width, label, standard_error, study, trunk, where
from tests.recount.recount_fits import POWERS, Fit, by_run_and_step, columns, fit

N, D, LOSS = "n_params_non_embedding", "tokens_seen", "plain"  # the last: what `recount_fits` calls the 16-bit loss
LATE, MOST_EPOCHS = 60e6, 4
WIDTHS = {2: 0.4, 3: 0.05, 4: 0.01}
PUBLISHED = (0.017, 0.5251, 0.2261, 5.4967)  # k, beta, alpha, gamma of equation 8
BY_WIDTH = {
    2: (3.786727e-4, 0.524053, 0.225002),
    3: (1.170298e-5, 0.672732, 0.354690),
    4: (6.132297e-6, 0.655060, 0.383503),
}
EXCEPTED = {}
WITH_LOSS = ("beta", "alpha", "steps", "lambda")
FITTED = 1e-5  # relative: two minimisers of one function
TOLERANCES = {}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [
        of_law(),
        seeds(),
        one_qid(),
        at_equal_ratio(),
        pairs(),
        read(),
        apparent(),
        exercises(),
    ]
    return {key: value for part in parts for key, value in part.items()}


def fitted(found: dict, tolerance: float = FITTED) -> dict:
    """Return numbers that rest on a fit, and let them differ as two minimisers do."""
    TOLERANCES.update(
        dict.fromkeys((key for key, value in found.items() if not isinstance(value, str | int)), tolerance)
    )
    return found


# ---- rows ------------------------------------------------------------------------------------------------------------


@functools.cache
def late() -> tuple[dict, ...]:
    """Return the late rows of all runs but those of other depths, each with the loss of its 16-bit twin."""
    chosen = [
        row for row in study() if row["family"] != "tadpole-depth" and row[D] > LATE and row["epochs"] <= MOST_EPOCHS
    ]
    options = {"method": "gptq", "group_size": 32, "symmetric": False, "bits": {2, 3, 4}}
    rows = where(chosen, **options)
    for row in rows:
        row[LOSS] = row["loss_nats"] - row["qid"]
    return tuple(rows)


@functools.cache
def main() -> tuple[dict, ...]:
    return tuple(sorted(trunk(late()), key=lambda row: (row[N], row["bits"], row[D])))


def at(bits: int) -> list[dict]:
    return where(main(), bits=bits)


# ---- laws ------------------------------------------------------------------------------------------------------------


@functools.cache
def whole() -> Fit:
    return fit(main())


def tokens_at(coefficients, qid, n, bits) -> float:
    """Return D of a product of powers (ln k, beta, alpha and maybe gamma) at a QiD."""
    constant, beta, alpha, *gamma = coefficients
    rest = sum(one * math.log(bits) for one in gamma)
    return math.exp((math.log(qid) - constant + alpha * math.log(n) + rest) / beta)


def published(bits=None) -> tuple:
    law = PUBLISHED if bits is None else BY_WIDTH[bits]
    return (math.log(law[0]), *law[1:])


def of_law() -> dict:
    law = whole()
    beta, alpha, tau = law["beta"], law["alpha"], law.tau
    covariance, freedom = by_run_and_step(law)
    gradient = np.array([0, -alpha / beta**2, 1 / beta, 0])
    half = stats.t.ppf(0.975, freedom.min()) * math.sqrt(gradient @ covariance @ gradient)
    sizes = sorted({row[N] for row in main()})
    counted = {"beta": beta, "blow_up": 1 / beta, "tau": tau, "tau_factor": math.exp(tau / beta), "power": alpha / beta}
    counted |= {"power_low": alpha / beta - half, "power_high": alpha / beta + half}
    ends = {"power_paper": PUBLISHED[2] / PUBLISHED[1]}
    names = {"sizes": len(sizes), "smallest": label(sizes[0]), "largest": label(sizes[-1]), "late_tokens": label(LATE)}
    levels = {f"level_{bits}": level for bits, level in WIDTHS.items()}
    return fitted(counted) | ends | names | levels | {"level": 0.9, "settled_after": label(2 * LATE)}


def seeds() -> dict:
    """Return how far one checkpoint's 3-bit QiD scatters over seeds, pooled over checkpoints."""
    chosen = [row for row in where(late(), bits=3) if row in main() or row["family"] in SEEDED]
    groups = [
        rows for rows in grouped(chosen, "model", "step").values() if len({row["train_seed"] for row in rows}) > 1
    ]
    qids = [np.array([row["document_qid"].mean() for row in rows]) for rows in groups]
    sd = math.sqrt(np.mean([qid.var(ddof=1) / qid.mean() ** 2 for qid in qids]))
    return {"seed_sd": sd} | fitted({"seed_factor": math.exp(sd / whole()["beta"])})


# ---- one QiD, many sizes ---------------------------------------------------------------------------------------------


def between(x, xs, ys) -> float:
    return float(np.interp(x, xs, ys))


@functools.cache
def crossings() -> tuple[dict, ...]:
    """Return where QiD first comes up to its level: size, bits, tokens, and the loss there."""
    found = []
    for (n, bits), rows in grouped(main(), N, "bits").items():
        level = WIDTHS[bits]
        for before, after in itertools.pairwise(rows):
            if rows[0]["qid"] < level and before["qid"] < level <= after["qid"]:
                share = math.log(level / before["qid"]) / math.log(after["qid"] / before["qid"])
                tokens = before[D] * (after[D] / before[D]) ** share
                loss = before[LOSS] + share * (after[LOSS] - before[LOSS])
                found.append({"n": n, "bits": bits, "tokens": tokens, "loss": loss, "per": tokens / n})
                break
    return tuple(found)


def one_qid() -> dict:
    settled = [one for one in crossings() if one["tokens"] > 2 * LATE]
    three = [one for one in settled if one["bits"] == 3]
    first, last = three[0], three[-1]
    return {
        "settled_sizes": len(three),
        "settled_small": label(first["n"]),
        "settled_large": label(last["n"]),
        "times_size": last["n"] / first["n"],
        "times_tokens": last["tokens"] / first["tokens"],
        "per_low": min(one["per"] for one in settled),
        "per_high": max(one["per"] for one in settled),
        "loss_first": first["loss"],
        "loss_last": last["loss"],
    }


def at_equal_ratio() -> dict:
    """Return QiD of the largest size at its last checkpoint over that of the next at as many tokens per parameter."""
    next_n, n = sorted({row[N] for row in main()})[-2:]
    found = {}
    for bits in WIDTHS:
        end = max((row for row in at(bits) if row[N] == n), key=lambda row: row[D])
        line = sorted((row[D] / next_n, row["qid"]) for row in at(bits) if row[N] == next_n)
        places, qids = np.log(np.array(line)).T
        found[f"beside_{bits}"] = end["qid"] / math.exp(between(math.log(end[D] / n), places, qids))
        found["last_ratio"] = end[D] / n
    return found


def pairs() -> dict:
    """Return the shares of pairs of different sizes that QiD at 3 bits puts in the order of something else."""
    rows, truths = (
        at(3),
        {"tokens": lambda row: row[D], "ratio": lambda row: row[D] / row[N], "loss": lambda row: -row[LOSS]},
    )
    found = {}
    for key, truth in truths.items():
        score = [
            0.5 if truth(one) == truth(two) else float((truth(one) > truth(two)) == (one["qid"] > two["qid"]))
            for index, one in enumerate(rows)
            for two in rows[:index]
            if one[N] != two[N]
        ]
        found[f"agree_{key}"] = math.fsum(score) / len(score)
    return found


# ---- readings --------------------------------------------------------------------------------------------------------


def inside(law: Fit, rows, qids, errors, level=0.9) -> list[tuple[float, float, float]]:
    """Return D that a law reads off each QiD, and the ends of its interval for a new run.

    A reading's interval holds L = ln D where (a + b L)^2 <= t^2 (v0 + 2 v1 L + v2 L^2), a + b L being ln(said / measured) and
    the bracket its variance: the ends are the roots (Fieller). Beyond them it must fall apart again, so b^2 > t^2 v2.
    """
    covariance, _ = by_run_and_step(law)
    quantile, b = stats.t.ppf(0.5 + level / 2, len(set(law.runs)) - 1), law["beta"]
    found = []
    for row, qid, error in zip(rows, qids, errors, strict=True):
        rest = columns([{**row, D: 1}], law.names)[0]
        a = rest @ law.coefficients - math.log(qid)
        v0, v1 = rest @ covariance @ rest + law.tau**2 + (error / qid) ** 2, (covariance @ rest)[1]
        square, cross, constant = (
            b**2 - quantile**2 * covariance[1, 1],
            a * b - quantile**2 * v1,
            a**2 - quantile**2 * v0,
        )
        assert square > 0
        root = math.sqrt(cross**2 - square * constant)
        found.append(tuple(math.exp(place) for place in (-a / b, (-cross - root) / square, (-cross + root) / square)))
    return found


@functools.cache
def readings(names=tuple(POWERS)) -> tuple[tuple[dict, float, float, float], ...]:
    """Return rows of the trunk with tokens read over true tokens and the ends of the interval, by the law of the others."""
    found = []
    for run, rows in grouped(main(), "run").items():
        law = fit([row for row in main() if row["run"] != run], names)
        qids, errors = [row["qid"] for row in rows], [standard_error(row["document_qid"]) for row in rows]
        ends = inside(law, rows, qids, errors)
        found += [(row, *(one / row[D] for one in three)) for row, three in zip(rows, ends, strict=True)]
    return tuple(found)


def typical(ratios) -> float:
    return math.exp(np.median(np.abs(np.log(list(ratios)))))


def loss_law(rows) -> tuple[np.ndarray, float]:
    """Return (ln N_c, alpha_N, ln D_c, alpha_D) of equation 3 with the least Huber loss, and the rms of its misses."""
    n, d, loss = (np.log([row[name] for row in rows]) for name in (N, D, LOSS))

    def off(c) -> np.ndarray:
        return c[3] * np.logaddexp(c[1] / c[3] * (c[0] - n), c[2] - d) - loss

    starts = [
        (loss.mean() / a + n.mean(), a, loss.mean() / b + d.mean() - 1, b)
        for a in (0.08, 0.15)
        for b in (0.2, 1.0, 5.0)
    ]
    ends = ([-np.inf, 1e-3, -np.inf, 1e-3], [np.inf, 20.0, np.inf, 20.0])
    more = {
        "loss": "huber",
        "f_scale": 1e-3,
        "x_scale": "jac",
        "ftol": 1e-13,
        "xtol": 1e-13,
        "gtol": 1e-13,
        "max_nfev": 5000,
    }
    best = min((optimize.least_squares(off, one, bounds=ends, **more) for one in starts), key=lambda one: one.cost)
    return best.x, math.sqrt(np.mean(off(best.x) ** 2))


def tokens_of_loss(c, n, log_loss) -> float:
    """Return D at which equation 3 gives a loss; infinity below what it ever gives."""
    left = math.exp(log_loss / c[3]) - math.exp(c[1] / c[3] * (c[0] - math.log(n)))
    return math.exp(c[2]) / left if left > 0 else math.inf


@functools.cache
def loss_readings() -> tuple[tuple[float, bool, float, float], ...]:
    """Return by checkpoint tokens read over true tokens, whether the interval holds, high over low, and the size."""
    once, found = at(3), []
    for run, rows in grouped(once, "run").items():
        others = [row for row in once if row["run"] != run]
        c, miss = loss_law(others)
        half = stats.t.ppf(0.95, len({row["run"] for row in others}) - 1) * miss
        for row in rows:
            read, low, high = (tokens_of_loss(c, row[N], math.log(row[LOSS]) + shift) for shift in (0, half, -half))
            found.append((read / row[D], low <= row[D] <= high, high / low, row[N]))
    return tuple(found)


def read() -> dict:
    ratios = [ratio for _, ratio, _, _ in readings()]
    largest = max(row[N] for row in main())
    missed = [one for one, _, low, high in readings() if not low <= 1 <= high]
    climb = sorted((one[D], ratio) for one, ratio, _, _ in readings() if one[N] == largest and one["bits"] == 3)
    law = {
        "typical_qid": typical(ratios),
        "within_qid": sum(abs(math.log(ratio)) < math.log(2) for ratio in ratios) / len(ratios),
        "covered_qid": 1 - len(missed) / len(ratios),
        "width_qid": float(np.median([high / low for _, _, low, high in readings()])),
        "typical_both": typical(ratio for _, ratio, _, _ in readings(WITH_LOSS)),
        "typical_largest": typical(ratio for row, ratio, _, _ in readings() if row[N] == largest),
        "largest_first": climb[0][1],
        "largest_last": climb[-1][1],
    }
    loss = {
        "typical_loss": typical(ratio for ratio, *_ in loss_readings()),
        "typical_largest_loss": typical(ratio for ratio, *_, n in loss_readings() if n == largest),
    }
    return fitted(law) | fitted(loss, 1e-3)


# ---- other runs ------------------------------------------------------------------------------------------------------


def way(row) -> str:
    usual = main()[0]
    if row["n_averaged"] > 1:
        return "average"
    if row["schedule"] != "constant":
        return row["schedule"] if row[D] == row["tokens_planned"] else f"{row['schedule']} on the way"
    if row["peak_learning_rate"] != usual["peak_learning_rate"]:
        return {0.5: "half", 2.0: "double"}[row["peak_learning_rate"] / usual["peak_learning_rate"]]
    if row["weight_decay"] != usual["weight_decay"]:
        return "none" if row["weight_decay"] == 0 else "triple"
    return "seed"


@functools.cache
def beside() -> tuple[dict, ...]:
    """Return at 3 bits, for each row of another run with a trunk, ln of apparent over true tokens by both gauges."""
    beta, found = whole()["beta"], []
    lines = grouped(at(3), "model")
    for row in where(late(), bits=3):
        line = lines.get(row["model"])
        if line is None or (row["family"] == "tadpole-trunk" and row["run"] == row["model"]):
            continue
        places = [math.log(one[D]) for one in line]
        qid = math.exp(between(math.log(row[D]), places, [math.log(one["qid"]) for one in line]))
        losses = [one[LOSS] for one in line]
        inside = losses[-1] <= row[LOSS] <= losses[0]
        by_loss = between(row[LOSS], losses[::-1], places[::-1]) - math.log(row[D]) if inside else None
        found.append(
            {"way": way(row), "model": row["model"], "qid": math.log(row["qid"] / qid) / beta, "loss": by_loss}
        )
    return tuple(found)


def apparent() -> dict:
    found = {}
    for name, rows in grouped([row for row in beside() if row["loss"] is not None], "way").items():
        if name.endswith("way") or name in ("cosine", "seed"):  # their place is only claimed
            continue
        for gauge in ("qid", "loss"):
            means = [np.mean([row[gauge] for row in one]) for one in grouped(rows, "model").values()]
            found[f"{name}_{gauge}"] = math.exp(np.mean(means))
            if (name, gauge) == ("cooldown", "qid"):
                half = half_width(means)
                ends = {
                    "cooldown_low": math.exp(np.mean(means) - half),
                    "cooldown_high": math.exp(np.mean(means) + half),
                }
    models = {name: len({row["model"] for row in rows}) for name, rows in grouped(beside(), "way").items()}
    counts = {"cosine_sizes": models["cosine"], "wd_sizes": models["none"], "average_sizes": models["average"]}
    return fitted(found | ends) | counts


# ---- the last doubling -----------------------------------------------------------------------------------------------


def doublings() -> dict:
    lost = {}
    for (n, bits), rows in grouped(main(), N, "bits").items():
        places, losses = [math.log(row[D]) for row in rows], [row[LOSS] for row in rows]
        lost[n, bits] = [
            (row[D], row["qid"], between(math.log(row[D] / 2), places, losses) - row[LOSS])
            for row in rows
            if math.log(row[D] / 2) >= places[0]
        ]
    grown = [math.log(a[-1][1] / a[-1][2] / (a[0][1] / a[0][2])) for a in lost.values()]
    shrunk = [math.log(a[0][2] / a[-1][2]) / growth for a, growth in zip(lost.values(), grown, strict=True)]
    sizes = sorted({n for n, _ in lost})
    last = {key: a[-1][1] / a[-1][2] for key, a in lost.items()}
    counts = {f"beyond_{bits}": sum(last[n, bits] > 1 for n in sizes) for bits in WIDTHS}
    return counts | {
        "doublings_small": last[sizes[0], 2],
        "doublings_large": last[sizes[-1], 2],
        "last_tokens": label(max(a[-1][0] for a in lost.values())),
        "grown_low": math.exp(min(grown)),
        "grown_high": math.exp(max(grown)),
        "shrink_low": min(shrunk),
        "shrink_high": max(shrunk),
    }


# ---- public models ---------------------------------------------------------------------------------------------------


def loss_16(d, n) -> float:
    """Return the paper's equation 3."""
    return ((4.74e19 / n) ** (0.045 / 0.399) + 7.63e10 / d) ** 0.399


def many(tokens: float) -> str:
    return label(tokens) if tokens < 1e15 else f"{tokens / 1e12:,.0f}T"


def far() -> dict:
    n, d, bits, asked = 70e9, 15e12, 4, 0.2

    def qid(law, tokens) -> float:
        return math.exp(law[0] + law[1] * math.log(tokens) - law[2] * math.log(n) - sum(law[3:]) * math.log(bits))

    lost = optimize.brentq(
        lambda t: qid(published(), t) - loss_16(t / 2, n) + loss_16(t, n), 1e6, 1e15, xtol=1e-3, rtol=1e-14
    )
    ((ours, low, high),) = inside(whole(), [{N: n, "bits": bits}], [asked], [1e-9])
    return {
        "asked": asked,
        "public": label(d),
        "public_eq8": qid(published(), d),
        "public_table": qid(published(bits), d),
        "need_eq8": label(tokens_at(published(), asked, n, bits)),
        "need_table": label(tokens_at(published(bits), asked, n, bits)),
        "need_ours": many(ours),
        "need_low": many(low),
        "need_high": many(high),
        **fitted({"out_tokens": math.log10(low / max(row[D] for row in main()))}),
        "out_size": math.log10(n / max(row[N] for row in main())),
        "out_paper": math.log10(d / 2.055e11),
        "lost": label(lost),
        "lost_before": math.log2(d / lost),
    }


def accuracy() -> dict:
    """Return what LAMBADA's accuracy says of the second half of the training of Pythia's deduplicated models."""
    with (ROOT / "data/published/pythia_public_evals.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "acc" and row["deduped"] == "True"]
    steps = sorted({int(row["step"]) for row in rows})
    half = max(step for step in steps if step <= 1.05 * steps[-1] / 2)
    ends = {}
    for row in rows:
        if int(row["step"]) in (half, steps[-1]):
            pair = ends.setdefault(int(row["n_params_non_embedding"]), {})
            pair[int(row["step"])] = float(row["value"]), float(row["stderr"])
    moved = {n: (a[steps[-1]][0] - a[half][0]) / math.hypot(a[half][1], a[steps[-1]][1]) for n, a in ends.items()}
    return {
        "pythias": len(moved),
        "accuracy_times": steps[-1] / half,
        "accuracy_up": sum(one > 2 for one in moved.values()),
        "accuracy_down": sum(one < -2 for one in moved.values()),
        "accuracy_down_size": label(max(n for n, one in moved.items() if one < -2)),
    }


def exercises() -> dict:
    beta, alpha, tau = whole()["beta"], whole()["alpha"], whole().tau
    ours = {"ex_one": 0.05 / beta, "ex_two": math.hypot(0.05, tau) / beta, "ex_ours": 4 ** (alpha / beta - 1)}
    return fitted(ours) | {"ex_paper": 4 ** (PUBLISHED[2] / PUBLISHED[1] - 1)}
