"""What the chapter on rounding states: a matrix by hand, by GPTQ, real layers, and GPTQ by two programs.

Weights are arrays with a row per output; shares of the output's power have no unit; QiD is in nats per token. A
ValueError says which sentence of the page doesn't hold.
"""

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.rows.degradation import degradation
from helpers.show.claims import claim
from helpers.show.intervals import plain
from helpers.table.paired_error import paired_error

Numbers = dict[str, float | str]

ROW, EXERCISE_ROW = 1, 2  # of the matrix: the one that the text follows, and the one of the exercise
SCALE_BITS = 16
LONG_GROUP = 128  # weights that share a scale, in an exercise
SAME_QID = 1e-6  # nats per token: two programs rounded the whole model alike
TWINS = ["checkpoint_id", "group_size", "bits", "eval_id", "calib_sha256", "calib_seed", "rel_damp", "symmetric"]


def root_mean_square(differences: FloatArray) -> float:
    """Return the root of the mean square, in the unit of what is given."""
    return float(np.sqrt(np.mean(differences**2)))


# ---- the matrix ------------------------------------------------------------------------------------------------------


def by_hand(weights: FloatArray, codes: np.ndarray, nearest: FloatArray, grid: pd.DataFrame, bits: int) -> Numbers:
    """Return how two rows are rounded to nearest, and the error of all; `grid` has `scale` and `zero` by row."""
    row, other = weights[ROW], weights[EXERCISE_ROW]
    return {
        "bits": bits,
        "n_values": 2**bits,
        "row_low": plain(row.min(), 2),
        "row_high": row.max(),
        "row_scale": grid["scale"].iloc[ROW],
        "row_zero": grid["zero"].iloc[ROW],
        "first_weight": row[0],
        "first_code": int(codes[ROW, 0]),
        "first_rounded": nearest[ROW, 0],
        "rms_nearest": root_mean_square(weights - nearest),
        "ex_weight": other[1],
        "ex_low": plain(other.min(), 2),
        "ex_high": other.max(),
        "ex_scale": grid["scale"].iloc[EXERCISE_ROW],
        "ex_zero": int(grid["zero"].iloc[EXERCISE_ROW]),
        "ex_ratio": other[1] / grid["scale"].iloc[EXERCISE_ROW],
        "ex_code": int(codes[EXERCISE_ROW, 1]),
        "ex_rounded": nearest[EXERCISE_ROW, 1],
    }


def first_correction(weights: FloatArray, nearest: FloatArray, after: FloatArray, factor: FloatArray) -> Numbers:
    """Return what rounding the first column does to the second weight; `after` is the matrix then, `factor` is U."""
    claim(bool(after[ROW, 1] > weights[ROW, 1]), "the second weight goes up")
    return {
        "first_error": weights[ROW, 0] - nearest[ROW, 0],
        "u_11": factor[0, 0],
        "u_12": plain(factor[0, 1], 3),
        "second_before": weights[ROW, 1],
        "second_after": after[ROW, 1],
        "second_nearest": nearest[ROW, 1],
    }


def lost_power(weights: FloatArray, answer: FloatArray, hessian: FloatArray) -> float:
    """Return the share of the output's power that is lost where `answer` stands for the weights."""
    error = weights - answer
    return float(np.trace(error @ hessian @ error.T) / np.trace(weights @ hessian @ weights.T))


def corrected(weights: FloatArray, nearest: FloatArray, answer: FloatArray, hessian: FloatArray) -> Numbers:
    """Return what GPTQ's answer changes, and what both answers lose of output and weights."""
    lost = {name: lost_power(weights, one, hessian) for name, one in (("nearest", nearest), ("gptq", answer))}
    changed = ~np.isclose(nearest, answer)
    claim(lost["gptq"] < lost["nearest"], "GPTQ loses less of the output")
    claim(root_mean_square(weights - answer) > root_mean_square(weights - nearest), "its weights are further off")
    claim(bool(changed[ROW, 1]), "the second weight's code changes")
    return {
        "second_gptq": answer[ROW, 1],
        "n_changed": int(changed.sum()),
        "n_codes": weights.size,
        "lost_nearest": lost["nearest"],
        "lost_gptq": lost["gptq"],
        "rms_gptq": root_mean_square(weights - answer),
    }


def bits_with_scales(group: int) -> Numbers:
    """Return the bits of a weight with its share of a scale and a zero point, for groups of `group` and longer ones."""
    return {
        "group": group,
        "ex_bits": 3 + (SCALE_BITS + 3) / group,
        "ex_two": 2 + (SCALE_BITS + 2) / group,
        "ex_long": 3 + (SCALE_BITS + 3) / LONG_GROUP,
    }


# ---- real layers, and another program --------------------------------------------------------------------------------


def real_layers(by_layer: pd.DataFrame, chosen: str) -> Numbers:
    """Return what GPTQ leaves of RTN's loss; rows have `layer`, `bits`, `method` and `lost`, `chosen` is a layer."""
    wide = by_layer.pivot(index=["layer", "bits"], columns="method", values="lost")
    kept = wide["GPTQ"] / wide["RTN"]
    bit_factor = (wide["GPTQ"].xs(3, level="bits") / wide["GPTQ"].xs(4, level="bits")).median()
    claim(bool((kept < 1).all()), "GPTQ loses less in every layer")
    claim(bit_factor > 1 / kept.median(), "one bit less costs more than GPTQ gains")
    return {
        "n_layers": by_layer["layer"].nunique(),
        "layer_name": chosen,
        "layer_rtn": wide.loc[(chosen, 3), "RTN"],
        "layer_gptq": wide.loc[(chosen, 3), "GPTQ"],
        "ratio_lowest": kept.min(),
        "ratio_highest": kept.max(),
        "ratio_median": kept.median(),
        "bit_factor": bit_factor,
    }


def both_programs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per scheme of both GPTQ and auto-gptq, with their `difference` and its paired error.

    `rows` are of one kind of device; columns of auto-gptq end in `_auto`, a difference is theirs less ours.
    """
    whole = degradation(rows)
    ours, theirs = (whole[whole["method"] == name] for name in ("gptq", "autogptq"))
    pairs = ours.merge(theirs, on=TWINS, suffixes=("", "_auto"), validate="1:1").sort_values(["group_size", "bits"])
    apart = pairs["document_qid_nats_auto"] - pairs["document_qid_nats"]
    return pairs.assign(difference=apart.map(np.mean), difference_se=apart.map(paired_error))


def second_opinion(pairs: pd.DataFrame) -> Numbers:
    """Return how far the QiDs of two programs lie apart."""
    size = pairs["difference"].abs()
    claim(len(pairs) == 6, "chapter 2 measured three bit widths and two group sizes by both programs")
    return {
        "n_pairs": len(pairs),
        "relative_highest": (size / pairs["qid_nats"]).abs().max(),
        "n_beyond": int((size > 2 * pairs["difference_se"]).sum()),
        "n_same": int((size < SAME_QID).sum()),
        "same": SAME_QID,
    }
