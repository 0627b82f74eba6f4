"""What the chapter on methods and texts states of methods: beside GPTQ at equal width and bits, by size and tokens.

Rows have the columns of `degradation` and `way`, the method of rounding without its bits. Ratios have no unit.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.questions import ways
from helpers.analyse.questions.slopes_of_ratios import compared, size_and_tokens
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.noise import calibration_spread
from helpers.analyse.rows.outcomes import KL, OUTCOMES
from helpers.analyse.rows.study import HELDOUT, LATE_TOKENS, POCKET, TRUNK, UNSEEN, agreeing, late, study_rows
from helpers.show.claims import claim
from helpers.show.numbers.choose.other_texts import GPTQ, RTN
from helpers.show.style import count_label

ROW = "GPTQ, one group a row"
SQUARES, ORDER, SYMMETRIC = "GPTQ, least-squares grid", "GPTQ, activation order", "GPTQ, symmetric"
G64, COARSE = "GPTQ, group 64", "GPTQ, group 128"
EQUAL = {ROW: "row", SQUARES: "squares", SYMMETRIC: "symmetric"}  # way: its key
TARGETS = (2.6, 3.0, 3.5, 4.0)  # effective bits, bits per weight
NEAREST = ("RTN / GPTQ, 4 bits", "NF4 / GPTQ, 4 bits", "AWQ / GPTQ, 4 bits")
RTN_3, ROW_EQUAL = "RTN / GPTQ, 3 bits", "row / group 32, equal bits"
PANELS = (RTN_3, NEAREST[2], ROW_EQUAL)  # of the figure
BOUNDS = 0.4, 5.0  # of its axes, a factor
LARGER = ("RTN / GPTQ, 2 bits", RTN_3, "symmetric grid, 2 bits", "row / group 32, 3 bits", ROW_EQUAL)


@dataclass(frozen=True)
class Tables:
    """Tables that the chapter's figures draw and its numbers are read from."""

    held_out: pd.DataFrame
    unseen: pd.DataFrame
    ratios: pd.DataFrame
    kl_ratios: pd.DataFrame
    at_bits: pd.DataFrame
    kl_at_bits: pd.DataFrame
    study: pd.DataFrame
    in_study: dict[str, pd.DataFrame]
    on_cpu: dict[str, pd.DataFrame]
    trends: pd.DataFrame
    kl_trends: pd.DataFrame


def tables(measured: pd.DataFrame, draws: FloatArray) -> Tables:
    """Return the tables from the measurements; `draws` says how often each of the CPU's documents is in each draw."""
    rows = measured[agreeing(measured, POCKET | {"family": TRUNK})]
    every_draw = degradation(rows).assign(way=ways.way_of_rounding)
    first = every_draw[every_draw["calib_seed"].fillna(0) == 0]
    held_out, unseen = (first[first["eval_dataset"] == text] for text in (HELDOUT, UNSEEN))
    replicates = every_draw[(every_draw["eval_dataset"] == HELDOUT) & (every_draw["way"] == GPTQ)]
    ratios = ways.ratios_to(held_out, GPTQ, draws)
    level = 1 - 0.05 / len(ratios)  # Bonferroni
    study = degradation(study_rows(measured)).assign(way=ways.way_of_rounding)
    trends, kl_trends = (
        pd.DataFrame({name: size_and_tokens(late(one)) for name, one in compared(study, outcome).items()}).T
        for outcome in OUTCOMES.values()
    )
    return Tables(
        held_out,
        unseen,
        ways.with_calibration_scatter(ratios, calibration_spread(replicates), level),
        ways.ratios_to(held_out, GPTQ, draws, outcome=KL),
        ways.at_effective_bits(held_out, GPTQ, TARGETS, draws),
        ways.at_effective_bits(held_out, GPTQ, TARGETS, draws, outcome=KL),
        study,
        compared(study),
        compared(held_out),
        trends,
        kl_trends,
    )


# ---- on the CPU ------------------------------------------------------------------------------------------------------


def rows(held_out: pd.DataFrame, study: pd.DataFrame) -> dict[str, object]:
    """Return counts of the CPU's rows, which sizes the study has, and the text that calibration reads in both."""
    return {
        "n_checkpoints": held_out["checkpoint_id"].nunique(),
        "n_runs": held_out["run_label"].nunique(),
        "n_ways": held_out["way"].nunique(),
        "calibration_cpu": int(held_out["calib_sequences"].max()),
        "calibration_study": int(study["calib_sequences"].max()),
        "study_smallest": count_label(study[N_PARAMS].min()),
        "study_largest": count_label(study[N_PARAMS].max()),
        "study_steps": study["step"].nunique(),
        "early_tokens": count_label(LATE_TOKENS),
        "row_shortest": int(study["d_model"].min()),
        "row_longest": 4 * int(study["d_model"].max()),
    }


def same_width(ratios: pd.DataFrame, kl_ratios: pd.DataFrame) -> dict[str, float]:
    """Return QiD over that of GPTQ by method and bits, and how KL's ratios differ: tables of `ways.ratios_to`."""
    by, of_kl = ratios.set_index(["way", "bits"]), kl_ratios.set_index(["way", "bits"])
    found = {"rtn_3": by.loc[(RTN, 3), "ratio"], "rtn_4": by.loc[(RTN, 4), "ratio"]}
    found |= {"squares_2": by.loc[(SQUARES, 2), "ratio"]}
    away = np.log(of_kl["ratio"] / by["ratio"]).abs()
    few = away.index.get_level_values("bits") < 4
    found |= {
        "n_comparisons": len(ratios),
        "n_clear": int(ratios["clear"].sum()),
        "kl_away_few": np.expm1(away[few].max()),
    }
    found |= {"kl_order_4": of_kl.loc[(ORDER, 4), "ratio"]}
    others = away.index[~away.index.get_level_values("way").isin([ORDER, SQUARES])]
    losing, gains = ratios[~ratios["way"].isin([SQUARES, ORDER])], by.loc[[SQUARES, ORDER]]
    claim(
        of_kl.loc[(ORDER, 4), "run_highest"] < 1 < by.loc[(ORDER, 4), "ratio"],
        "activation order gains in KL in every run",
    )
    claim(((of_kl["ratio"] > 1) == (by["ratio"] > 1))[others].all(), "all others lie on the same side by QiD and KL")
    claim((losing["clear"] & (losing["low"] > 1)).all(), "all others lose clearly more than GPTQ")
    claim(
        (gains["clear"] == (gains.index.get_level_values("bits") < 4)).all(),
        "both gains are clear at 2 and 3 bits alone",
    )
    claim((gains.loc[gains["clear"], "ratio"] < 1).all(), "the clear ones are gains")
    claim(by.loc[SQUARES, "ratio"].is_monotonic_increasing, "the gain of the least-squares grid shrinks with bits")
    claim(np.isclose(by.loc[("NF4", 4), "ratio"], found["rtn_4"], rtol=0.1), "NF4 and RTN lose about the same")
    return found


def at_the_end(held_out: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the largest model's last checkpoint."""
    largest = held_out[held_out[N_PARAMS] == held_out[N_PARAMS].max()]
    return largest[largest[TOKENS_SEEN] == largest[TOKENS_SEEN].max()]


def same_bits(found: Tables, draws: FloatArray) -> dict[str, object]:
    """Return what scales add to a code, in bits per weight, and ratios of QiD at equal effective bits."""
    held_out, at_bits, kl_at_bits = found.held_out, found.at_bits, found.kl_at_bits
    last = at_the_end(held_out)
    stored = last.set_index(["way", "bits"])["effective_bits"]
    equal = at_bits.pivot(index="way", columns="bits", values="ratio")
    coarse = at_bits[at_bits["way"].isin([ROW, COARSE, G64])]
    mx = ways.at_effective_bits(held_out, RTN, [stored["MXFP4", 4]], draws).set_index("way")["ratio"]
    away = np.log(kl_at_bits["ratio"] / at_bits["ratio"]).abs()
    full = equal.loc[at_bits.loc[at_bits["n_runs"] == at_bits["n_runs"].max(), "way"].unique()]
    claim(((kl_at_bits["ratio"] > 1) == (at_bits["ratio"] > 1)).all(), "KL has every ratio on the same side of 1")
    claim((coarse["high"] < 1).all(), "coarse groups lose less at equal bits")
    claim((full.idxmin() == ROW).all(), "one group a row loses least of those measured on all runs")
    claim((at_bits.loc[at_bits["way"] == SYMMETRIC, "low"] > 1).all(), "the zero point is worth its bits")
    claim(0.9 < mx["MXFP4"] < 1.1 < mx["MXINT4"], "MXFP4 is like RTN and MXINT4 worse")
    shown = {
        f"{key}_equal_{end}": equal[target][way]
        for way, key in EQUAL.items()
        for end, target in (("least", TARGETS[0]), ("most", TARGETS[-1]))
    }
    return shown | {
        "overhead_32": stored[GPTQ, 2] - 2,
        "overhead_128": stored[COARSE, 2] - 2,
        "gptq_bits": stored[GPTQ, 4],
        "nf4_bits": stored["NF4", 4],
        "largest_model": last["model"].iloc[0],
        "largest_tokens": count_label(last[TOKENS_SEEN].iloc[0]),
        "least_bits": TARGETS[0],
        "most_bits": TARGETS[-1],
        "coarse_lowest": coarse["ratio"].min(),
        "coarse_highest": coarse["ratio"].max(),
        "mxfp_rtn": mx["MXFP4"],
        "mxint_rtn": mx["MXINT4"],
        "kl_equal_away": np.expm1(away.max()),
    }


# ---- along the trunk -------------------------------------------------------------------------------------------------


def along_trunk(found: Tables) -> dict[str, object]:
    """Return ratios by size and tokens in the study, as the chapter's section on small models states them."""
    trends, in_study = found.trends, found.in_study
    small = pd.Series({name: np.exp(np.log(one["ratio"]).mean()) for name, one in found.on_cpu.items()})
    points = pd.concat([in_study[name] for name in PANELS])
    beyond = points[~points["ratio"].between(*BOUNDS)]
    at_equal = pd.concat([late(one) for name, one in in_study.items() if name.endswith("equal bits")])["ratio"]
    steady = trends[trends.index.str.startswith(("symmetric", "group"))].drop(LARGER[2])
    claim(late(beyond).empty, "all points beyond the axes are early")
    claim(((small > 1) == (trends.loc[small.index, "largest"] > 1)).all(), "no order is another in the largest model")
    claim(((steady["size_low"] < 0) & (steady["size_high"] > 0)).all(), "these slopes in size hold zero")
    claim((at_equal < 1).all(), "coarse groups lose less in all ratios at equal bits")
    claim((trends.loc[[*LARGER], "size_low"] > 0).all(), "these ratios rise with size")
    claim((trends.loc[[*NEAREST], "tokens_high"] < 0).all(), "GPTQ's lead at 4 bits falls with tokens")
    claim((trends.loc["AWQ / RTN, 4 bits", ["size_high", "tokens_high"]] < 0).all(), "AWQ gains on RTN with both")
    first, second = trends.loc[[*NEAREST[:2]], "ratio"]
    claim(np.isclose(first, second, rtol=0.1), "NF4 and RTN lose about the same in the study")
    shown = {f"study_row_equal{end}": trends.loc[ROW_EQUAL, f"ratio{end}"] for end in ("", "_low", "_high")}
    for name, what in (("rtn3", RTN_3), ("row_equal", ROW_EQUAL)):
        shown |= {f"study_{name}_{end}": trends.loc[what, end] for end in ("smallest", "largest")}
    shown |= dict(zip(("rtn4_tokens", "nf4_tokens", "awq_tokens"), trends.loc[[*NEAREST], "tokens"], strict=True))
    return shown | {
        "study_runs": int(trends["n_runs"].max()),
        "n_points": len(points),
        "n_beyond": len(beyond),
        "n_sides": len(small),
        "n_equal": len(at_equal),
        "equal_highest": at_equal.max(),
    }


def at_the_largest_end(found: Tables) -> dict[str, float]:
    """Return GPTQ's lead at 4 bits at the largest model's last checkpoint, by QiD and KL, and how they differ."""
    trends, kl_trends = found.trends, found.kl_trends
    last = at_the_end(found.study)
    shown: dict[str, float] = {}
    for name, outcome in OUTCOMES.items():
        at = compared(last, outcome)
        shown |= {
            f"{key}_end_{name}": at[what]["ratio"].iloc[0] for key, what in (("nf4", NEAREST[1]), ("awq", NEAREST[2]))
        }
    claim(shown["awq_end_qid"] < 1.1, "little of GPTQ's lead over AWQ is left at the largest model's end")
    for name in ("size", "tokens"):
        clear = (trends[f"{name}_low"] > 0) | (trends[f"{name}_high"] < 0)
        same = np.sign(kl_trends[name].astype(float)) == np.sign(trends[name].astype(float))
        claim(same[clear].all(), "slopes of QiD that exclude zero have the same sign in KL")
    away = np.log((kl_trends["ratio"] / trends["ratio"]).astype(float)).abs()
    return shown | {"kl_ratio_away": np.expm1(away.max())}


def numbers(found: Tables, draws: FloatArray) -> dict[str, object]:
    """Return every number of the chapter but those on other texts."""
    return (
        rows(found.held_out, found.study)
        | same_width(found.ratios, found.kl_ratios)
        | same_bits(found, draws)
        | along_trunk(found)
        | at_the_largest_end(found)
    )
