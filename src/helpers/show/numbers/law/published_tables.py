"""What the chapter on the published table states: laws that print it, turns of rounded losses, a look far ahead."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.predictions import hold_out
from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.published import KUMAR_2024, OUYANG_2024, OUYANG_2024_LOSS, OUYANG_2024_TABLE_1
from helpers.analyse.questions.published_tables import (
    HALF_DIGIT,
    KUMAR_B,
    PRINTED_UNIFIED,
    PrintedFit,
    law_through_cells,
    prints,
    projected,
    projections,
    tokens_of_cells,
    turning_tokens,
)
from helpers.analyse.questions.trends import slope
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import FITTED_BITS
from helpers.show.claims import claim
from helpers.show.numbers.law.unified_law import Numbers
from helpers.show.style import count_label
from helpers.table.families.catalogue import HUB_FAMILIES

TABLE_1: Mapping[int, Law] = {int(bits): law for bits, law in OUYANG_2024_TABLE_1.items()}
UNIFIED: Mapping[int, Law] = dict.fromkeys(FITTED_BITS, OUYANG_2024)
LAWS: Mapping[str, Mapping[int, Law]] = {
    "equation 8": UNIFIED,
    "three laws": TABLE_1,
    "Kumar et al.": dict.fromkeys(FITTED_BITS, KUMAR_2024),
}
PAPER = ["equation 8", "three laws"]
SIZES, FAR = (7e9, 70e9, 405e9), 1e14  # parameters and tokens of the paper's look ahead
LEVEL, FAR_LEVEL = 0.95, 0.90  # of intervals over draws or sizes, and for a new training run
MARKS = {"guessing": " ‡", "loss": " †", "": ""}
TOKEN_BYTES = (3.0, 6.0)  # of a token of the papers' texts, between which it will lie
VOCABULARY = min(run.vocabulary_size for run in HUB_FAMILIES["pythia-deduped"].runs)
GUESSING = math.log(VOCABULARY)  # nats per token of a uniform guess among Pythia's entries


# ---- the table, and which law prints it ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Printed:
    """The laws of two forms that come nearest to the printed cells."""

    by_bits: dict[int, PrintedFit]  # one law of D and N for each bit width
    unified: PrintedFit  # of all cells
    as_printed: PrintedFit  # of the 2-bit cells, with constants that round to those of equation 8


def nearest_laws(cells: pd.DataFrame) -> Printed:
    """Return the laws nearest to the cells of `data/published/ouyang2024_table1.csv`."""
    two = cells[cells["bits"] == 2]
    by_bits = {bits: law_through_cells(OneBitWidthLaw, rows) for bits, rows in cells.groupby("bits")}
    return Printed(
        by_bits, law_through_cells(UnifiedLaw, cells), law_through_cells(UnifiedLaw, two, within=PRINTED_UNIFIED)
    )


def the_table(cells: pd.DataFrame) -> Numbers:
    """Return what the table has, and how far its tokens lie from those of equation 8, all and by bit width."""
    by_equation = tokens_of_cells(cells, UNIFIED)
    ratios = (cells["tokens_trillions"] / by_equation).groupby(cells["bits"]).agg(["min", "max"])
    printed = prints(cells, by_equation)
    found: Numbers = {"cells": len(cells), "unified_prints": int(printed.sum())}
    found |= {"decimals": round(-math.log10(2 * HALF_DIGIT)), "widths": ", ".join(map(str, FITTED_BITS))}
    found["sizes"] = ", ".join(count_label(size) for size in cells["n_params"].unique())
    found["levels"] = ", ".join(f"{level:g}" for level in cells["qid_nats"].unique())
    found |= {name: getattr(OUYANG_2024, name) for name in ("k", "beta", "alpha", "gamma")}
    for bits, row in ratios.iterrows():
        found |= {f"ratio_{bits}_low": row["min"], f"ratio_{bits}_high": row["max"]}
        found[f"unified_prints_{bits}"] = int(printed[cells["bits"] == bits].sum())
    claim(0.9 < found["ratio_2_low"] <= found["ratio_2_high"] < 1.01, "at 2 bits the equation comes close")
    claim(min(found["ratio_3_high"], found["ratio_4_high"]) > 2 and found["ratio_4_low"] < 0.7, "at 3 and 4 it doesn't")
    return found


def which_law(cells: pd.DataFrame, laws: Printed) -> Numbers:
    """Return the laws that print the cells, and how well the digits settle their exponents."""
    three = prints(cells, tokens_of_cells(cells, {bits: fit.law for bits, fit in laws.by_bits.items()}))
    found: Numbers = {"three_prints": int(three.sum()), "misses_2": laws.as_printed.worst}
    found["cells_a_width"] = int((cells["bits"] == 2).sum())
    ranges = {bits: fit.ranges for bits, fit in laws.by_bits.items()}
    for bits, of_width in ranges.items():
        found |= {f"{name}_{bits}": sum(of_width[name]) / 2 for name in ("beta", "alpha")}
        found[f"beta_{bits}_width"] = of_width["beta"][1] - of_width["beta"][0]
    found |= {"beta_2_low": ranges[2]["beta"][0], "beta_2_high": ranges[2]["beta"][1]}
    cell = cells.query("n_params == 1e9 and bits == 4")["tokens_trillions"].iloc[0]
    found |= {"one_cell": cell, "one_cell_low": cell - HALF_DIGIT, "one_cell_high": cell + HALF_DIGIT}
    claim(bool(three.all()), "three laws print every cell")
    claim(laws.unified.worst > 1, "no unified law prints them, whatever its constants")
    claim(1 < laws.as_printed.worst < 3, "not even the 2-bit cells, though nearly")
    claim(found["beta_2_high"] < PRINTED_UNIFIED["beta"][0], "the equation's beta lies outside")
    claim(found["beta_2"] < found["beta_4"] < found["beta_3"], "3 and 4 bits rise more steeply with tokens")
    claim(found["alpha_2"] < found["alpha_3"] < found["alpha_4"], "and fall more steeply with size")
    return found


# ---- the loss of a rounded model turns -------------------------------------------------------------------------------


def scientific(value: float) -> str:
    """Return a large number for people: 4.74 · 10¹⁹."""
    mantissa, exponent = f"{value:.2e}".split("e+")
    return f"{mantissa} · 10{exponent.translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def turn_of(size: float, bits: int, laws: Mapping[int, Law] = UNIFIED) -> float:
    """Return the tokens beyond which training makes a rounded model worse, by equation 3 and a law of QiD."""
    return turning_tokens(laws[bits], OUYANG_2024_LOSS, size, bits)


def published_turns() -> Numbers:
    """Return the published law of the 16-bit loss, what guessing costs, and where both laws together turn."""
    loss, box = OUYANG_2024_LOSS, OUYANG_2024.validity
    found: Numbers = {"n_c": scientific(loss.N_c), "d_c": scientific(loss.D_c), "vocabulary": VOCABULARY}
    found |= {"alpha_n": loss.alpha_N, "alpha_d": loss.alpha_D, "guessing": GUESSING}
    small, large = SIZES[0], SIZES[-1]
    found |= {"far": count_label(FAR), "far_over_box": FAR / box.tokens[1]}
    found |= {"small": count_label(small), "large": count_label(large)}
    found |= {"box_tokens": count_label(box.tokens[1]), "box_size": count_label(box.n_params[1])}
    for bits in (min(FITTED_BITS), max(FITTED_BITS)):
        found |= {f"turn_7b_{bits}": count_label(turn_of(small, bits))}
        found |= {f"turn_405b_{bits}": count_label(turn_of(large, bits))}
    for laws in (UNIFIED, TABLE_1):
        turns = {bits: [turn_of(size, bits, laws) for size in SIZES] for bits in (2, 4)}
        claim(max(turns[2]) < box.tokens[1] < min(turns[4]), "2-bit turns lie inside the range, 4-bit turns beyond")
    return found


def our_turns(rows: pd.DataFrame, turned: pd.DataFrame) -> Numbers:
    """Return how many of our own runs turn, where, and by how much; and what the equations say of such sizes.

    `turned` is `turning_points` of `rows`, one run a size.
    """
    count = turned.groupby("bits")["turned"].agg(["sum", "size"])
    found: Numbers = {"runs": int(count["size"].iloc[0]), "level": LEVEL, "draw_share": 1 - LEVEL}
    found |= {f"turned_{bits}": int(count.loc[bits, "sum"]) for bits in (2, 3)}
    two = turned[turned["bits"] == 2].set_index("n_params").sort_index()
    found |= {"two_first": count_label(two["tokens"].iloc[0]), "two_last": count_label(two["tokens"].iloc[-1])}
    found |= {"rise_smallest": two["rise_nats"].iloc[0], "rise_largest": two["rise_nats"].iloc[-1]}
    found["rise_largest_se"] = two["rise_se_nats"].iloc[-1]
    at_three = turned[turned["bits"] == 3]
    three = at_three[at_three["turned"]]
    found |= {"three_largest": count_label(three["n_params"].max()), "three_rise_high": three["rise_nats"].max()}
    found |= {"smallest": count_label(two.index.min()), "largest": count_label(two.index.max())}
    unique = rows["unique_tokens"].max()
    found |= {"last_tokens": count_label(rows[TOKENS_SEEN].max()), "first_pass": count_label(unique)}
    found["two_within_pass"] = int((two["tokens"] < unique).sum())
    found["spacing"] = math.exp(np.median(np.diff(np.log(np.sort(rows[TOKENS_SEEN].unique())))))
    claim(bool(two["turned"].all()), "at 2 bits every size turns")
    claim(three["n_params"].max() < at_three.loc[~at_three["turned"], "n_params"].min(), "at 3 bits the smallest")
    claim(count.loc[4, "sum"] == 0, "at 4 bits none has turned")
    return found | slope_of_turns(two["tokens"])


def slope_of_turns(tokens: pd.Series) -> Numbers:
    """Return the power of N, the index, that the 2-bit turns move as, with its interval, and that of the equations."""
    line = stats.linregress(np.log(tokens.index), np.log(tokens))
    half = stats.t.ppf(0.5 + LEVEL / 2, len(tokens) - 2) * line.stderr
    by_law = np.array([turn_of(size, 2) for size in tokens.index])
    over = by_law / tokens.to_numpy()
    found: Numbers = {
        "turn_slope": line.slope,
        "turn_slope_low": line.slope - half,
        "turn_slope_high": line.slope + half,
    }
    found |= {"law_slope": slope(tokens.index.to_numpy(float), by_law)}
    found |= {"law_over_smallest": over[0], "law_over_largest": over[-1]}
    claim(found["turn_slope_low"] < found["law_slope"] < found["turn_slope_high"], "the slope is another matter")
    claim(min(over[0], over[-1]) > 5, "ours turn at far fewer tokens than the equations say")
    return found


def law_curves() -> pd.DataFrame:
    """Return the published turns over sizes from ours to the largest: columns n_params, bits, tokens."""
    sizes = np.geomspace(1.5e5, SIZES[-1], 60)
    rows = [{"n_params": size, "bits": bits, "tokens": turn_of(size, bits)} for bits in FITTED_BITS for size in sizes]
    return pd.DataFrame(rows)


# ---- far ahead -------------------------------------------------------------------------------------------------------


def projections_with_ours(fit: FitResult) -> pd.DataFrame:
    """Return `projections` of the published laws at `FAR` tokens, and of ours with `low` and `high`."""
    theirs = projections(LAWS, OUYANG_2024_LOSS, GUESSING, FAR, SIZES)
    grid = theirs.loc[theirs["law"] == PAPER[0], ["n_params", "bits", "room_nats"]]
    middle, low, high = projected(fit, FAR, grid["n_params"], grid["bits"], FAR_LEVEL)
    ours = grid.assign(law="ours", qid_nats=middle, low=low, high=high, beyond="")
    return pd.concat([theirs, ours], ignore_index=True)


def far_ahead(ahead: pd.DataFrame) -> Numbers:
    """Return by how much the laws of `projections_with_ours` part, and how many say more than a guess costs."""
    theirs = ahead[ahead["law"] != "ours"]
    values = ahead.pivot(index=["n_params", "bits"], columns="law", values="qid_nats")
    found: Numbers = {"far_level": FAR_LEVEL, "their_cells": len(theirs), "worst_paper": theirs["qid_nats"].max()}
    found |= {f"beyond_{kind}": int((theirs["beyond"] == kind).sum()) for kind in ("guessing", "loss")}
    parts = {"spread": values[list(LAWS)], "spread_all": values}
    ratios = {name: part.max(axis=1) / part.min(axis=1) for name, part in parts.items()}
    ratios["own"] = values["three laws"] / values["equation 8"]
    for name, ratio in ratios.items():
        found |= {f"{name}_low": ratio.min(), f"{name}_high": ratio.max()}
    at = values.loc[(SIZES[0], 4)]
    found |= {"small_4": at["equation 8"], "small_4_three": at["three laws"], "small_4_kumar": at["Kumar et al."]}
    ours = ahead[(ahead["law"] == "ours") & (ahead["n_params"] == SIZES[0]) & (ahead["bits"] == 4)].iloc[0]
    found |= {"small_4_ours": ours["qid_nats"], "small_4_ours_low": ours["low"], "small_4_ours_high": ours["high"]}
    claim((theirs.loc[theirs["bits"] == 2, "beyond"] != "").all(), "at 2 bits every value is beyond something")
    claim((theirs.loc[theirs["bits"] == 4, "beyond"] == "").all(), "at 4 bits none is")
    claim((values.drop(columns=PAPER).max(axis=1) < values[PAPER].min(axis=1)).all(), "ours lie below the paper's")
    claim(not any(OUYANG_2024.validity.contains(FAR, size, 4).item() for size in SIZES), "all are extrapolations")
    return found


def projections_table(ahead: pd.DataFrame) -> pd.DataFrame:
    """Return `projections_with_ours` for people: a line a size and bit width, a column a law, in nats per token."""
    ends = [f" [{row.low:.2f}, {row.high:.2f}]" if row.law == "ours" else "" for row in ahead.itertuples()]
    cells = ahead["qid_nats"].map("{:.2f}".format) + ahead["beyond"].map(MARKS) + ends
    names = ahead["n_params"].map(count_label) + ", " + ahead["bits"].map("{} bits".format)
    wide = ahead.assign(cell=cells, name=names).pivot(index="name", columns="law", values="cell")
    return wide.loc[names.unique(), [*LAWS, "ours"]].rename_axis(index="size and bits", columns=None)


def extrapolated(late: pd.DataFrame) -> Numbers:
    """Return the powers of ten between what the laws were fitted to and where they are asked, in D and N."""
    most, largest = late[TOKENS_SEEN].max(), late[N_PARAMS].max()
    paper, kumar = OUYANG_2024.validity, KUMAR_2024.validity
    factors = {"tokens": FAR / most, "small": SIZES[0] / largest, "large": SIZES[-1] / largest}
    factors |= {"paper": FAR / paper.tokens[1], "paper_size": SIZES[-1] / paper.n_params[1]}
    factors |= {"kumar": FAR / kumar.tokens[1]}
    factors |= {"kumar_size": SIZES[0] / kumar.n_params[1], "kumar_large": SIZES[-1] / kumar.n_params[1]}
    claim(SIZES[0] < paper.n_params[1], "the smallest size lies in the paper's box")
    found: Numbers = {f"out_{name}": math.log10(factor) for name, factor in factors.items()}
    found |= {"c_t": KUMAR_2024.C_T, "g_d": KUMAR_2024.g_D, "g_n": KUMAR_2024.g_N, "g_post": KUMAR_2024.g_post}
    found |= {"kumar_b": KUMAR_B, "kumar_factor": math.exp(KUMAR_B)}
    return found | {"factor_far": FAR / most, "quarters": math.log(FAR / most) / math.log(4)}


def trial(late: pd.DataFrame) -> Numbers:
    """Return how the law fitted to the first quarter of the tokens predicts the later rows, at the same sizes."""
    data = FitData.from_table(late)
    first = data.tokens <= data.tokens.max() / 4
    scores = hold_out(UnifiedLaw, data.where(first), data.where(~first), np.zeros((~first).sum()), FAR_LEVEL).scores()
    claim(scores["log_bias"] > 0.2, "the later rows are predicted too high")
    claim(scores["coverage"] < FAR_LEVEL, "and the intervals hold fewer than promised")
    bias = math.exp(scores["log_bias"])
    return {"trial_rows": scores["n_rows"], "trial_bias": bias, "trial_coverage": scores["coverage"]}


def per_byte(late: pd.DataFrame, fit: FitResult, ahead: pd.DataFrame) -> Numbers:
    """Return equation 8 over our law in nats a byte, at equal bytes of training text, for both `TOKEN_BYTES`."""
    own = (late["n_bytes"] / late["n_tokens"]).iloc[0]
    ours = ahead[ahead["law"] == "ours"]
    found: Numbers = {"own_bytes": own, "guess_low": TOKEN_BYTES[0], "guess_high": TOKEN_BYTES[1]}
    found |= {"byte_cells": len(ours), "our_most": ours["qid_nats"].max()}
    factors = {}
    for name, size in zip(("low", "high"), TOKEN_BYTES, strict=True):
        paper = OUYANG_2024.predict(FAR, ours["n_params"], ours["bits"]) / size
        middle, _, top = projected(fit, FAR * size / own, ours["n_params"], ours["bits"], FAR_LEVEL)
        factors[name] = paper / (middle / own)
        found[f"byte_above_{name}"] = int((paper > top / own).sum())
        claim(bool((factors[name] > 1).all()), "equation 8 lies above ours in every cell")
    found |= {"byte_most": factors["low"].max(), "byte_least": factors["high"].min()}
    vocabulary = int(late["vocabulary_size"].iloc[0])
    found |= {"own_vocabulary": vocabulary, "our_guessing": math.log(vocabulary)}
    alpha = fit.estimate("alpha").value
    claim(1.5 < alpha / OUYANG_2024.alpha < 2.5, "our size exponent is about twice the published one")
    return found | {"alpha_factor": (SIZES[0] / late[N_PARAMS].max()) ** (alpha - OUYANG_2024.alpha)}


# ---- exercises, and all together -------------------------------------------------------------------------------------


def in_exercises(cells: pd.DataFrame) -> Numbers:
    """Return the exponents that pairs of printed 4-bit cells settle."""
    tokens = cells[cells["bits"] == 4].set_index(["n_params", "qid_nats"])["tokens_trillions"]
    low, high, first, last = 0.2, 0.4, 1e9, SIZES[-1]
    beta = math.log(high / low) / math.log(tokens[SIZES[0], high] / tokens[SIZES[0], low])
    claim(abs(beta - OUYANG_2024_TABLE_1[4].beta) < 1e-4, "two cells tell the beta that made them")
    found: Numbers = {"ex_low": low, "ex_high": high, "ex_size": count_label(first), "ex_beta": beta}
    found |= {"ex_first": tokens[SIZES[0], low], "ex_second": tokens[SIZES[0], high]}
    return found | {"ex_alpha": beta * math.log(tokens[last, low] / tokens[first, low]) / math.log(last / first)}


def numbers(cells: pd.DataFrame, laws: Printed, rows: pd.DataFrame, turned: pd.DataFrame, fit: FitResult) -> Numbers:
    """Return what the chapter states, by key: of the printed cells, of our rows with their turns, and of our law."""
    parts = [the_table(cells), which_law(cells, laws), published_turns(), our_turns(rows, turned)]
    parts += [far_ahead(projections_with_ours(fit)), in_exercises(cells)]
    return {key: value for part in parts for key, value in part.items()}


def in_appendix(late: pd.DataFrame, fit: FitResult) -> Numbers:
    """Return what the appendix states of the look ahead, by key: of our late rows and the law fitted to them."""
    return {**extrapolated(late), **trial(late), **per_byte(late, fit, projections_with_ours(fit))}
