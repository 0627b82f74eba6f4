"""Chapter 21 counted again: one law over the widths, parts beside the whole, errors by depth, weights beside inputs."""

import functools
import json
import math

import numpy as np
from scipy import optimize, stats
from tests.recount.recount import ROOT, distinct, grouped, half_width, label, measurements, study, table, trunk, where
from tests.recount.recount_fits import by_run

EXCEPTED = {}
# where a minimum lies is known to the root of what its value is known to
TOLERANCES = dict.fromkeys(("term", "term_wide", "next_narrow", "next_narrow_low", "next_narrow_high"), 1e-5)
TOLERANCES |= dict.fromkeys(("gained", "gained_low", "gained_high", "aic_next", "rms_next"), 1e-5)
TOLERANCES |= dict.fromkeys(("more", "more_low", "more_high"), 1e-3)  # a difference of nearly equal errors

N, D = "n_params_non_embedding", "tokens_seen"
PLAIN = {
    "method": "gptq",
    "format": "int",
    "group_size": 32,
    "symmetric": False,
    "order": "given",
    "grid_search": "minmax",
}
WIDE = {3, 4, 5, 6, 8}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [widths(), forms(), next_term(), wholes(), equal_loss(), alone(), depth(), inputs(), exercise()]
    return {key: value for part in parts for key, value in part.items()}


# ---- formulas --------------------------------------------------------------------------------------------------------


def square(bits: float) -> float:
    return 1 / (2**bits - 1) ** 2


def regress(values, columns, runs) -> list[tuple[float, float, float]]:
    """Return the mean and the slopes of least squares on centred columns, each with its ends: CR2 by run."""
    values = np.asarray(values, float)
    design = np.column_stack([np.ones(len(values)), *columns])
    design[:, 1:] -= design[:, 1:].mean(axis=0)
    found = np.linalg.lstsq(design, values)[0]
    covariance, freedom = by_run(design, values - design @ found, runs)
    halves = stats.t.ppf(0.975, freedom) * np.sqrt(np.diag(covariance))
    return list(zip(found, found - halves, found + halves, strict=True))


def told(name: str, three, scale=float) -> dict:
    return {f"{name}{end}": scale(value) for end, value in zip(("", "_low", "_high"), three, strict=True)}


def by_means(values) -> tuple[float, float, float]:
    """Return a mean of one value a run with its t interval."""
    middle, half = math.fsum(values) / len(values), half_width(values)
    return middle, middle - half, middle + half


def logs(rows, name: str) -> np.ndarray:
    return np.log([row[name] for row in rows])


def runs_of(rows) -> list:
    return [row["run"] for row in rows]


# ---- the widths ------------------------------------------------------------------------------------------------------


@functools.cache
def rows() -> tuple[dict, ...]:
    """Return the trunk's late rows of GPTQ in groups of 32 at all widths."""
    late = [row for row in where(trunk(study()), **PLAIN) if row[D] > 60e6 and row["epochs"] <= 4]
    return tuple(late)


def columns_of(form: str, chosen, widths) -> np.ndarray:
    """Return a form's linear columns: a constant, tokens, size, and what it says of widths."""
    base = np.column_stack([np.ones(len(chosen)), logs(chosen, D), -logs(chosen, N)])
    bits = np.array([row["bits"] for row in chosen])
    if form == "next":
        return base
    if form == "each":
        return np.column_stack([base[:, which] * (bits == width) for width in widths for which in range(3)])
    shared = np.column_stack([base, -np.log(2.0**bits - 1)])
    return shared if form == "one" else np.column_stack([shared, *(base[:, which] * (bits == 2) for which in range(3))])


def series(chosen, term: float) -> np.ndarray:
    return np.array([math.log(square(row["bits"]) * (1 + term * square(row["bits"]))) for row in chosen])


def term_of(chosen) -> float:
    """Return c of the next term: a root of the slope of the squared misses, found by the simplex."""
    base, measured = columns_of("next", chosen, ()), logs(chosen, "kl_nats")
    # the misses of least squares on these columns, as a projection
    away = np.eye(len(chosen)) - base @ np.linalg.solve(base.T @ base, base.T)
    misses = lambda term: float(np.sum((away @ (measured - series(chosen, term[0]))) ** 2))  # noqa: E731
    return float(optimize.minimize(misses, [3.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}).x[0])


def misses(form: str, known, asked) -> np.ndarray:
    """Return ln(measured / said) of the rows `asked` by a form fitted to `known`."""
    widths = sorted({row["bits"] for row in known})
    term = term_of(known) if form == "next" else None
    fixed, said = (series(some, term) if form == "next" else 0.0 for some in (known, asked))
    found = np.linalg.lstsq(columns_of(form, known, widths), logs(known, "kl_nats") - fixed)[0]
    return logs(asked, "kl_nats") - said - columns_of(form, asked, widths) @ found


def at(*widths) -> list[dict]:
    return where(rows(), bits=set(widths))


def widths() -> dict:
    narrow = at(2)
    over = regress(misses("one", at(*WIDE), narrow), [logs(narrow, N), logs(narrow, D)], runs_of(narrow))
    exponent = np.linalg.lstsq(columns_of("one", at(*WIDE), ()), logs(at(*WIDE), "kl_nats"))[0][3]
    found = {"gamma": exponent, "n_rows": len(rows()), "n_runs": len(distinct(rows(), "run")), "n_widths": 6}
    found |= told("over_narrow", over[0], math.exp) | told("over_size", over[1]) | told("over_tokens", over[2])
    three = regress(misses("one", at(4, 5, 6, 8), at(3)), [], runs_of(at(3)))
    found |= told("over_three", three[0], math.exp)
    for name, known in (("with", (2, 3, 4)), ("without", (3, 4))):
        fine = at(5, 6, 8)
        found |= told(f"fine_{name}", regress(misses("one", at(*known), fine), [], runs_of(fine))[0], math.exp)
    return found


CONSTANTS = {"one": 4, "next": 4, "two": 7, "each": 18}


@functools.cache
def left_out(form: str) -> tuple[float, ...]:
    errors = []
    for run in sorted(distinct(rows(), "run")):
        others = [row for row in rows() if row["run"] != run]
        errors.append(math.sqrt(np.mean(misses(form, others, where(rows(), run=run)) ** 2)))
    return tuple(errors)


def forms() -> dict:
    found, criteria = {}, {}
    for form, count in CONSTANTS.items():
        criteria[form] = len(rows()) * math.log(np.mean(misses(form, rows(), rows()) ** 2)) + 2 * count
        found |= {f"n_{form}": count, f"rms_{form}": math.sqrt(np.mean(np.square(left_out(form))))}
    found |= {f"aic_{form}": value - min(criteria.values()) for form, value in criteria.items()}
    pairs = {"gained": ("one", "next"), "more": ("next", "two")}
    for name, (form, other) in pairs.items():
        found |= told(name, by_means(list(np.subtract(left_out(form), left_out(other)))))
    return found


def next_term() -> dict:
    narrow = at(2)
    miss = regress(misses("next", at(*WIDE), narrow), [], runs_of(narrow))[0]
    return {"term": term_of(rows()), "term_wide": term_of(at(*WIDE))} | told("next_narrow", miss, math.exp)


# ---- parts -----------------------------------------------------------------------------------------------------------


@functools.cache
def problems() -> tuple[dict, ...]:
    """Return by checkpoint, width and granularity what the whole costs, and what its parts cost one by one."""
    low = where(table("trials"), method="gptq", n_sequences=64, group_size=32, schedule="constant")
    found = []
    for chosen in grouped(low, "checkpoint_id", "scheme_id", "granularity").values():
        (plain,) = {row["loss_nats"] for row in chosen if row["search"] == "none"}
        (whole,) = {row["loss_nats"] - plain for row in chosen if row["search"] == "all"}
        singles = [row["loss_nats"] - plain for row in chosen if row["search"] == "single"]
        costs = {"whole": whole, "sum": math.fsum(singles), "ratio": whole / math.fsum(singles), "parts": len(singles)}
        found.append(chosen[0] | costs)
    return tuple(found)


def matrices(*bits) -> list[dict]:
    return where(problems(), granularity="matmul", bits=set(bits))


def wholes() -> dict:
    every = matrices(2, 3, 4)
    sizes = sorted({row[N] for row in every})
    found = {"part_runs": len(distinct(every, "run")), "part_most": max(row["parts"] for row in every)}
    found |= {"part_smallest": label(sizes[0]), "part_largest": label(sizes[-1]), "part_wholes": len(matrices(2))}
    for bits in (2, 3, 4):
        chosen = matrices(bits)
        found |= told(f"compound_{bits}", regress(logs(chosen, "ratio"), [], runs_of(chosen))[0], math.exp)
        moving = regress(logs(chosen, "ratio"), [logs(chosen, N), logs(chosen, D)], runs_of(chosen))
        found |= told(f"compound_tokens_{bits}", moving[2])
        own = grouped(chosen, "run").values()
        terms = [np.mean([(row["ratio"] - 1) / square(bits) for row in run]) for run in own]
        found |= told(f"between_{bits}", by_means(terms))
    blocks = where(problems(), granularity="layer", bits=2)
    return found | told("compound_blocks", regress(logs(blocks, "ratio"), [], runs_of(blocks))[0], math.exp)


def equal_loss() -> dict:
    chosen = [row for row in matrices(2, 3) if 0.05 <= row["whole"] <= 0.5]
    narrow = np.array([float(row["bits"] == 2) for row in chosen])
    slopes = regress(logs(chosen, "ratio"), [logs(chosen, "whole"), narrow], runs_of(chosen))
    found = {"equal_rows": len(chosen), "equal_least": 0.05, "equal_most": 0.5}
    return found | told("at_equal", slopes[2], math.exp)


def alone() -> dict:
    rule = square(2) / square(4)
    pairs = {}
    for row in matrices(2, 4):
        pairs.setdefault((row["run"], row["step"]), {})[row["bits"]] = row
    found, means = {"steps_ratio": rule}, {}
    for name, column in (("alone_over", "sum"), ("whole_over", "whole")):
        over = [math.log(pair[2][column] / pair[4][column] / rule) for pair in pairs.values()]
        three = regress(over, [], [run for run, _ in pairs])[0]
        means[name] = three[0]
        found |= told(name, three, math.exp)
    return found | {"between_share": 1 - means["alone_over"] / means["whole_over"]}


# ---- depth, inputs ---------------------------------------------------------------------------------------------------


def depth() -> dict:
    every = json.loads((ROOT / "benchmarks/results/error_by_depth.json").read_text(encoding="utf-8"))["rows"]
    own = where(every, method="gptq")
    tokens = sorted({row[D] for row in own})
    found = {"depth_models": len(distinct(own, "model"))}
    found |= {"depth_first": label(tokens[0]), "depth_last": label(tokens[-1])}
    for bits in (2, 4):
        ratios = [row["after"][-1] / math.fsum(row["alone"]) for row in where(own, bits=bits)]
        found |= {f"adds_{bits}": np.mean(ratios), f"adds_{bits}_low": min(ratios), f"adds_{bits}_high": max(ratios)}
        for name, moment in (("first", tokens[0]), ("last", tokens[-1])):
            here = {D: moment, "bits": bits}
            found |= {f"noise_{name}_{bits}": np.mean([row["after"][-1] for row in where(own, **here)])}
        found |= {f"cosine_last_{bits}": np.mean([row["cosine"] for row in where(own, **here)])}
    return found


def inputs() -> dict:
    found, cells = {}, {}
    for row in measurements("inputs"):
        if row["method"] != "none":
            kind = "A" if row["method"] == "inputs_only" else "WA" if row["activation_format"] else "W"
            cell = cells.setdefault((row["run"], row[D], row["bits"]), {})
            cell[kind] = row["qid"]
    for bits in (2, 3, 4, 5):
        here = {key: cell for key, cell in cells.items() if key[2] == bits}
        ratios = [cell["WA"] / (cell["W"] + cell["A"]) for cell in here.values()]
        labels = [run for run, _, _ in here]
        found |= told(f"both_{bits}", regress(np.log(ratios), [], labels)[0], math.exp)
        found |= {f"both_{bits}_least": min(ratios), f"both_{bits}_most": max(ratios)}
        if bits == 4:
            shares = [cell["W"] / (cell["W"] + cell["A"]) for cell in here.values()]
            slopes = regress(shares, [np.log([tokens for _, tokens, _ in here])], labels)
            found |= told("share", slopes[0]) | told("share_tokens", slopes[1])
            found |= {"input_runs": len(set(labels)), "input_checkpoints": len(here)}
    last = max(tokens for _, tokens, _ in cells)
    late = [cell["WA"] for (_, tokens, bits), cell in cells.items() if (tokens, bits) == (last, 2)]
    (vocabulary,) = distinct(measurements("inputs"), "vocabulary_size")
    return found | {"ceiling_late": np.mean(late), "uniform": math.log(vocabulary)}


def exercise() -> dict:
    return {"ex_wide": 1.02, "ex_three": 1 + 0.02 * (15 / 7) ** 2, "ex_narrow": 1 + 0.02 * 25}
