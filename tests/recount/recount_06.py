"""Chapter 6 counted again: printed cells by the corners of what their digits allow, turns by roots, our law by scipy."""

import csv
import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats
from tests.recount.recount import ROOT, grouped, label, standard_error, study, trunk, where
from tests.recount.recount_04 import late, line, rounded
from tests.recount.recount_fits import Fit, columns, fit, relative_variance

N, D = "n_params_non_embedding", "tokens_seen"
WIDTHS, SIZES, FAR, LEVEL, FAR_LEVEL = (2, 3, 4), (7e9, 70e9, 405e9), 1e14, 0.95, 0.9
HALF_DIGIT = 0.5e-4  # of a printed cell, in 10^12 tokens
PYTHIA_VOCABULARY = 50304
# constants as printed: Ouyang et al. 2024, equations 8 and 3 and what they were fitted to; Kumar et al. 2024, table 2
UNIFIED = {"k": 0.017, "beta": 0.5251, "alpha": 0.2261, "gamma": 5.4967}
LOSS = {"N_c": 4.74e19, "D_c": 7.63e10, "alpha_N": 0.045, "alpha_D": 0.399}
PAPER_TOKENS, PAPER_SIZE = 2.055e11, 1.133e10
KUMAR = {"c_t": 0.0598, "g_d": 0.5068, "g_n": 0.3439, "g_post": 0.5907, "kumar_b": 1.1277}
KUMAR_TOKENS, KUMAR_SIZE = 2.6e10, 2.2e8
# k, beta and alpha near the middle of what the digits of each bit width allow, as the package has them
THREE = {
    2: (3.786727e-4, 0.524053, 0.225002),
    3: (1.170298e-5, 0.672732, 0.354690),
    4: (6.132297e-6, 0.655060, 0.383503),
}

EXCEPTED = {}
# The chapter's linear programs hold each constraint to 1e-7 of half a digit, and a range is a few of these wide.
CORNERS = {f"{name}_{bits}" for name in ("beta", "alpha") for bits in WIDTHS} | {
    "beta_2_low",
    "beta_2_high",
    "misses_2",
}
# Its slope of the loss is a difference over 1e-4 of ln D, its optimiser stops within 1e-6 of the maximum.
NEAR = {"law_slope", "law_over_largest", "law_over_smallest", "small_4_ours", "small_4_ours_low", "small_4_ours_high"}
NEAR |= {"spread_all_low", "spread_all_high"}
NEAR_IN_APPENDIX = {"our_most", "trial_bias", "byte_most", "byte_least", "alpha_factor"}
TOLERANCES = dict.fromkeys(CORNERS | NEAR, 1e-6) | {f"beta_{bits}_width": 1e-4 for bits in WIDTHS}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [table(), made_by(), turns(), our_turns(), beside(), exercises()]
    return {key: value for part in parts for key, value in part.items()}


def in_appendix() -> dict:
    """Return what appendix B states of the look ahead."""
    return ahead() | trial() | by_bytes()


# ---- the table -------------------------------------------------------------------------------------------------------


@functools.cache
def cells() -> tuple[dict[str, float], ...]:
    with (ROOT / "data/published/ouyang2024_table1.csv").open() as file:
        return tuple({name: float(value) for name, value in row.items()} for row in csv.DictReader(file))


def trillions(cell) -> float:
    """Return the tokens of a cell by equation 8, in 10^12."""
    power = cell["qid_nats"] * cell["n_params"] ** UNIFIED["alpha"] * cell["bits"] ** UNIFIED["gamma"] / UNIFIED["k"]
    return power ** (1 / UNIFIED["beta"]) / 1e12


def table() -> dict:
    found = {"cells": len(cells()), "decimals": 4, "widths": "2, 3, 4", "cells_a_width": len(where(cells(), bits=2))}
    found["sizes"] = ", ".join(label(size) for size in sorted({cell["n_params"] for cell in cells()}))
    found["levels"] = ", ".join(f"{level:g}" for level in sorted({cell["qid_nats"] for cell in cells()}))
    for bits in WIDTHS:
        ratios = [cell["tokens_trillions"] / trillions(cell) for cell in where(cells(), bits=bits)]
        found |= {f"ratio_{bits}_low": min(ratios), f"ratio_{bits}_high": max(ratios)}
        printed = [abs(trillions(cell) - cell["tokens_trillions"]) <= HALF_DIGIT for cell in where(cells(), bits=bits)]
        found[f"unified_prints_{bits}"] = sum(printed)
    found["unified_prints"] = sum(found[f"unified_prints_{bits}"] for bits in WIDTHS)
    (one,) = [cell["tokens_trillions"] for cell in where(cells(), n_params=1e9, bits=4, qid_nats=0.2)]
    found |= {"one_cell": one, "one_cell_low": one - HALF_DIGIT, "one_cell_high": one + HALF_DIGIT}
    return found | UNIFIED


def limits(bits) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return G, h and how far each may be missed, so that a law prints the cells of a bit width where G x <= h.

    x is ln k, beta and alpha, with ln D and ln N about 30 and 24 so that the numbers stay small; a law that reaches a
    cell's QiD inside its digits has less than that QiD at the lower end and more at the upper.
    """
    rows = where(cells(), bits=bits)
    target = np.log([cell["qid_nats"] for cell in rows])
    low, middle, high = (
        np.array(
            [
                [1, math.log((cell["tokens_trillions"] + end) * 1e12) - 30, 24 - math.log(cell["n_params"])]
                for cell in rows
            ]
        )
        for end in (-HALF_DIGIT, 0, HALF_DIGIT)
    )
    half = np.linalg.lstsq(middle, target)[0][1] * (high - low)[:, 1] / 2
    return np.vstack([low, -high]), np.append(target, -target), np.tile(half, 2)


def corners(g, h, slack) -> np.ndarray:
    """Return every corner of G x <= h: places where as many constraints as there are unknowns hold with equality."""
    chosen = np.array(list(itertools.combinations(range(len(h)), g.shape[1])))
    matrices = g[chosen]
    sizes = np.linalg.norm(matrices, axis=2).prod(axis=1)
    sound = np.abs(np.linalg.det(matrices)) > 1e-12 * sizes
    places = np.linalg.solve(matrices[sound], h[chosen[sound]][..., None])[..., 0]
    return places[(places @ g.T <= h + 1e-7 * slack).all(axis=1)]


def miss_of_printed_constants() -> float:
    """Return the worst miss of the 2-bit cells, in what digits allow, of constants that round to those of equation 8.

    It is 1 plus the least t such that every constraint is missed by t times what digits allow, k and the exponents
    staying within half of their own last digit: the lowest corner in (ln k, beta, alpha, t).
    """
    g, h, half = limits(2)
    # what stays near the constants: with ln D about 30 and ln N about 24 they meet in ln k, so bound them one by one
    k, powers = (UNIFIED["k"] - 5e-4, UNIFIED["k"] + 5e-4), {name: UNIFIED[name] for name in ("beta", "alpha", "gamma")}
    ends = [(math.log(k[0]), math.log(k[1])), *((value - 5e-5, value + 5e-5) for value in powers.values())]
    merged = (ends[0][0] - ends[3][1] * math.log(2), ends[0][1] - ends[3][0] * math.log(2))  # of ln k - gamma ln 2
    # rows of (ln k - gamma ln 2) + 30 beta - 24 alpha, beta and alpha in the shifted unknowns
    boxes = [(np.array([1.0, -30.0, 24.0]), merged), (np.array([0, 1.0, 0]), ends[1]), (np.array([0, 0, 1.0]), ends[2])]
    rows = [np.append(g / half[:, None], -np.ones((len(h), 1)), axis=1)]
    right = [h / half]
    for row, (low, high) in boxes:
        rows.append(np.array([np.append(row, 0), np.append(-row, 0)]))
        right.append(np.array([high, -low]))
    found = corners(np.vstack(rows), np.concatenate(right), np.ones(len(h) + 6) * 1e-3)
    return 1 + found[:, 3].min()


def made_by() -> dict:
    found, printed = {}, 0
    for bits in WIDTHS:
        g, h, half = limits(bits)
        reach = corners(g, h, half)
        inside = reach.mean(axis=0)
        printed += int((g @ inside <= h).reshape(2, -1).all(axis=0).sum())
        for name, values in (("beta", reach[:, 1]), ("alpha", reach[:, 2])):
            found[f"{name}_{bits}"] = (values.min() + values.max()) / 2
        found[f"beta_{bits}_width"] = np.ptp(reach[:, 1])
        found |= {"beta_2_low": min(reach[:, 1]), "beta_2_high": max(reach[:, 1])} if bits == 2 else {}
    return found | {"three_prints": printed, "misses_2": miss_of_printed_constants()}


# ---- the loss of a rounded model -------------------------------------------------------------------------------------


def equation_8(tokens, size, bits) -> float:
    return UNIFIED["k"] * tokens ** UNIFIED["beta"] / (size ** UNIFIED["alpha"] * bits ** UNIFIED["gamma"])


def three_laws(tokens, size, bits) -> float:
    k, beta, alpha = THREE[bits]
    return k * tokens**beta / size**alpha


def kumar(tokens, size, bits) -> float:
    return KUMAR["c_t"] * tokens ** KUMAR["g_d"] / size ** KUMAR["g_n"] * math.exp(-bits / KUMAR["g_post"])


LAWS: dict[str, Callable[[float, float, int], float]] = {"equation 8": equation_8, "three": three_laws, "kumar": kumar}


def loss_parts(tokens, size) -> tuple[float, float]:
    """Return what size and what tokens put into the bracket of equation 3."""
    return (LOSS["N_c"] / size) ** (LOSS["alpha_N"] / LOSS["alpha_D"]), LOSS["D_c"] / tokens


def loss_16(tokens, size) -> float:
    return sum(loss_parts(tokens, size)) ** LOSS["alpha_D"]


def turn(law, beta, size, bits) -> float:
    """Return the tokens at which the rise of QiD, beta QiD per ln D, equals the fall of the 16-bit loss."""

    def rise(log_tokens) -> float:
        of_size, of_tokens = loss_parts(math.exp(log_tokens), size)
        fall = LOSS["alpha_D"] * of_tokens * (of_size + of_tokens) ** (LOSS["alpha_D"] - 1)
        return beta * law(math.exp(log_tokens), size, bits) - fall

    return math.exp(optimize.brentq(rise, math.log(1e5), math.log(1e16), xtol=1e-13))


def turns() -> dict:
    guessing = math.log(PYTHIA_VOCABULARY)
    found = {f"turn_7b_{bits}": label(turn(equation_8, UNIFIED["beta"], 7e9, bits)) for bits in (2, 4)}
    found |= {f"turn_405b_{bits}": label(turn(equation_8, UNIFIED["beta"], 405e9, bits)) for bits in (2, 4)}
    return found | {
        "vocabulary": PYTHIA_VOCABULARY,
        "guessing": guessing,
        "n_c": "4.74 · 10¹⁹",
        "d_c": "7.63 · 10¹⁰",
        "alpha_n": LOSS["alpha_N"],
        "alpha_d": LOSS["alpha_D"],
        "far": label(FAR),
        "far_over_box": FAR / PAPER_TOKENS,
        "small": label(SIZES[0]),
        "large": label(SIZES[-1]),
        "box_tokens": label(PAPER_TOKENS),
        "box_size": label(PAPER_SIZE),
    }


@functools.cache
def rows() -> tuple[dict, ...]:
    return tuple(rounded(trunk(study())))


@functools.cache
def lowest() -> dict[tuple[int, int], dict]:
    """Return by size and bits where the rounded loss is lowest, its rise from there with its error, and if it turned.

    It turned if the last checkpoint is the lowest in less than 5% of 4000 draws of documents: the chapter's own draws.
    """
    generator, found = np.random.default_rng(0), {}
    for (size, bits), one in sorted(grouped(rows(), N, "bits").items()):
        one = sorted(one, key=lambda row: row[D])
        losses = np.array([row["group_loss"] for row in one])
        n = losses.shape[1]
        times = generator.multinomial(n, np.full(n, 1 / n), 4000)
        at = min(range(len(one)), key=lambda place: math.fsum(losses[place]))
        last = sum(np.argmin(losses @ draw) == len(one) - 1 for draw in times)
        rise = losses[-1] - losses[at]
        found[size, int(bits)] = {
            "tokens": one[at][D],
            "rise": math.fsum(rise) / n,
            "se": standard_error(rise),
            "turned": last / len(times) < 1 - LEVEL,
        }
    return found


def our_turns() -> dict:
    sizes, tokens = (sorted({row[column] for row in rows()}) for column in (N, D))
    two = [lowest()[size, 2] for size in sizes]
    three = {size: lowest()[size, 3] for size in sizes if lowest()[size, 3]["turned"]}
    at = [one["tokens"] for one in two]
    x, y = np.log(sizes), np.log(at)
    steepness = line(sizes, at)
    rest = y - y.mean() - steepness * (x - x.mean())
    error = math.sqrt(sum(rest**2) / (len(x) - 2) / sum((x - x.mean()) ** 2))
    half = stats.t.ppf((1 + LEVEL) / 2, len(x) - 2) * error
    by_law = [turn(equation_8, UNIFIED["beta"], size, 2) for size in sizes]
    unique = max(row["unique_tokens"] for row in rows())
    return {
        **{f"turned_{bits}": sum(lowest()[size, bits]["turned"] for size in sizes) for bits in (2, 3)},
        "draw_share": 1 - LEVEL,
        "level": LEVEL,
        "runs": len(sizes),
        "two_first": label(at[0]),
        "two_last": label(at[-1]),
        "rise_smallest": two[0]["rise"],
        "rise_largest": two[-1]["rise"],
        "rise_largest_se": two[-1]["se"],
        "three_largest": label(max(three)),
        "three_rise_high": max(one["rise"] for one in three.values()),
        "smallest": label(sizes[0]),
        "largest": label(sizes[-1]),
        "last_tokens": label(tokens[-1]),
        "first_pass": label(unique),
        "two_within_pass": sum(one < unique for one in at),
        "turn_slope": steepness,
        "turn_slope_low": steepness - half,
        "turn_slope_high": steepness + half,
        "law_slope": line(sizes, by_law),
        "spacing": np.median([after / before for before, after in itertools.pairwise(tokens)]),
        "law_over_smallest": by_law[0] / at[0],
        "law_over_largest": by_law[-1] / at[-1],
    }


# ---- far ahead -------------------------------------------------------------------------------------------------------


@functools.cache
def ours() -> Fit:
    return fit(late(rows()))


def projected(tokens, size, bits) -> tuple[float, float, float]:
    """Return QiD of a new run by our law, and low and high of its interval, laid on ln QiD."""
    place = columns([{D: tokens, N: size, "bits": bits}], ours().names)
    middle, variance = (place @ ours().coefficients).item(), relative_variance(ours(), place).item()
    half = stats.t.ppf((1 + FAR_LEVEL) / 2, len(set(ours().runs)) - 1) * math.sqrt(variance)
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def beside() -> dict:
    """Return what four laws say at 10^14 tokens, and how many of the published values are beyond something."""
    places = list(itertools.product(SIZES, WIDTHS))
    theirs = {place: {name: law(FAR, *place) for name, law in LAWS.items()} for place in places}
    mine = {place: projected(FAR, *place)[0] for place in places}
    spread = [max(one.values()) / min(one.values()) for one in theirs.values()]
    both = [{**one, "ours": mine[place]} for place, one in theirs.items()]
    spread_all = [max(one.values()) / min(one.values()) for one in both]
    own = [one["three"] / one["equation 8"] for one in theirs.values()]
    values = [(value, loss_16(FAR, size)) for (size, _), one in theirs.items() for value in one.values()]
    useless = [value > math.log(PYTHIA_VOCABULARY) - loss for value, loss in values]
    more_than_loss = [value > loss for value, loss in values]
    small = theirs[7e9, 4]
    middle, low, high = projected(FAR, 7e9, 4)
    return {
        "far_level": FAR_LEVEL,
        "their_cells": len(values),
        "beyond_guessing": sum(useless),
        "beyond_loss": sum(loss and not worse for loss, worse in zip(more_than_loss, useless, strict=True)),
        "spread_low": min(spread),
        "spread_high": max(spread),
        "spread_all_low": min(spread_all),
        "spread_all_high": max(spread_all),
        "own_low": min(own),
        "own_high": max(own),
        "worst_paper": max(value for value, _ in values),
        "small_4": small["equation 8"],
        "small_4_three": small["three"],
        "small_4_kumar": small["kumar"],
        "small_4_ours": middle,
        "small_4_ours_low": low,
        "small_4_ours_high": high,
    }


def ahead() -> dict:
    """Return powers of ten between what was fitted and where the laws are asked."""
    most, largest = max(row[D] for row in rows()), max(row[N] for row in rows())
    vocabulary = rows()[0]["vocabulary_size"]
    ratios = {"tokens": FAR / most, "paper": FAR / PAPER_TOKENS, "kumar": FAR / KUMAR_TOKENS}
    ratios |= {"kumar_size": SIZES[0] / KUMAR_SIZE, "kumar_large": SIZES[-1] / KUMAR_SIZE}
    ratios |= {"small": SIZES[0] / largest, "large": SIZES[-1] / largest, "paper_size": SIZES[-1] / PAPER_SIZE}
    found = {f"out_{name}": math.log10(ratio) for name, ratio in ratios.items()}
    found |= {"factor_far": FAR / most, "quarters": math.log(FAR / most) / math.log(4)}
    found |= {"our_guessing": math.log(vocabulary), "own_vocabulary": vocabulary}
    found |= {"our_most": max(projected(FAR, *place)[0] for place in itertools.product(SIZES, WIDTHS))}
    found["alpha_factor"] = (SIZES[0] / largest) ** (ours()["alpha"] - UNIFIED["alpha"])
    return found | KUMAR | {"kumar_factor": math.exp(KUMAR["kumar_b"])}


def trial() -> dict:
    """Return how a fit of the first quarter of the tokens predicts the rest."""
    quarter = max(row[D] for row in rows()) / 4
    before, after = ([row for row in late(rows()) if (row[D] <= quarter) is first] for first in (True, False))
    law, qid = fit(before), np.array([row["qid"] for row in after])
    place, errors = columns(after, law.names), np.array([standard_error(row["document_qid"]) for row in after])
    said = np.exp(place @ law.coefficients)
    times = stats.t.ppf((1 + FAR_LEVEL) / 2, len(set(law.runs)) - 1)
    reach = times * np.sqrt(errors**2 + said**2 * relative_variance(law, place))
    assert (qid > 0).all()
    bias = math.exp(np.mean(np.log(said / qid)))
    return {"trial_rows": len(after), "trial_bias": bias, "trial_coverage": np.mean(np.abs(said - qid) <= reach)}


def by_bytes() -> dict:
    """Return equation 8 over ours in nats a byte, at equal bytes of training text, for two lengths of Pythia's tokens."""
    own = rows()[0]["n_bytes"] / rows()[0]["n_tokens"]
    found, over = {"own_bytes": own, "guess_low": 3.0, "guess_high": 6.0, "byte_cells": len(SIZES) * len(WIDTHS)}, {}
    for name, length in (("low", 3.0), ("high", 6.0)):
        pairs = [
            (equation_8(FAR, *place) / length, [value / own for value in projected(FAR * length / own, *place)])
            for place in itertools.product(SIZES, WIDTHS)
        ]
        over[name] = [paper / middle for paper, (middle, _, _) in pairs]
        found[f"byte_above_{name}"] = sum(paper > top for paper, (_, _, top) in pairs)
    return found | {"byte_most": max(over["low"]), "byte_least": min(over["high"])}


def exercises() -> dict:
    at_4 = {(cell["n_params"], cell["qid_nats"]): cell["tokens_trillions"] for cell in where(cells(), bits=4)}
    beta = math.log(2) / math.log(at_4[7e9, 0.4] / at_4[7e9, 0.2])
    return {
        "ex_low": 0.2,
        "ex_high": 0.4,
        "ex_first": at_4[7e9, 0.2],
        "ex_second": at_4[7e9, 0.4],
        "ex_beta": beta,
        "ex_size": label(1e9),
        "ex_alpha": beta * math.log(at_4[405e9, 0.2] / at_4[1e9, 0.2]) / math.log(405),
    }
