"""Exercises of chapters 1 to 4: QiD in other units, a grid by hand, tokens per parameter, the slope in tokens."""

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.questions.trends import slope
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import TRUNK, on_trunk
from helpers.teach import data
from helpers.teach.verdicts import Exercise, Slip

SAME_TABLE = "the table gives one number and only its last digits depend on how you sum"
LINE = "a straight line in logarithms is a rule with one answer; the rest is for printed digits"


def last_of_smallest(bits: float) -> float:
    """Return QiD of the smallest model's last checkpoint by GPTQ at `bits`, in nats per token."""
    rows = data.late()
    at_end = rows[(rows[N_PARAMS] == rows[N_PARAMS].min()) & (rows["bits"] == bits)].sort_values(TOKENS_SEEN)
    return float(at_end["qid_nats"].iloc[-1])


def exercise_matrix() -> FloatArray:
    """Return the matrix that exercise 2.5 rounds, (3, 4), no unit."""
    matrix: FloatArray = np.sin(np.arange(12.0)).reshape(3, 4)
    return matrix


def nearest_rms(weights: FloatArray, bits: int, steps: int | None = None) -> float:
    """Return the root mean square error of rounding each row to `2**bits` values from its smallest to its largest.

    Zero is on every grid, as in `measure.rounding.grids`; `steps` is their number, `2**bits - 1` unless it is given.
    """
    most = 2**bits - 1
    low, high = np.minimum(weights.min(1, keepdims=True), 0), np.maximum(weights.max(1, keepdims=True), 0)
    scale = (high - low) / (most if steps is None else steps)
    zero = np.round(-low / scale)
    codes = np.clip(np.round(weights / scale) + zero, 0, most)
    return float(np.sqrt(np.mean((weights - scale * (codes - zero)) ** 2)))


def last_checkpoints() -> pd.DataFrame:
    """Return the last checkpoint of each size of the main family."""
    table = data.checkpoints()
    return table[on_trunk(table)].sort_values(TOKENS_SEEN).drop_duplicates("model", keep="last")


def most_tokens_per_parameter() -> float:
    """Return the most tokens per parameter that a model of the main family was trained on."""
    table = last_checkpoints()
    return float((table[TOKENS_SEEN] / table[N_PARAMS]).max())


def slope_of_smallest(table: pd.DataFrame) -> float:
    """Return the slope of ln QiD on ln D of the smallest model's rows at 3 bits, GPTQ in groups of 32, no unit."""
    plain = (table["method"] == "gptq") & (table["group_size"] == 32) & (table["bits"] == 3)
    rows = table[plain & (table[N_PARAMS] == table[N_PARAMS].min())]
    return slope(rows[TOKENS_SEEN].to_numpy(float), rows["qid_nats"].to_numpy(float))


EXERCISES = (
    Exercise(
        "1.5",
        "the factor of perplexity, no unit",
        lambda: float(np.exp(last_of_smallest(2))),
        0.005,
        SAME_TABLE,
        "Choose the smallest `n_params_non_embedding`, 2 bits, and the most `tokens_seen`.",
        (
            Slip(lambda: last_of_smallest(2), "That is QiD, in nats per token. Perplexity is e to the loss."),
            Slip(lambda: float(np.expm1(last_of_smallest(2))), "That is by how much it grows. Add one for the factor."),
            Slip(lambda: float(np.exp(last_of_smallest(3))), "That is the factor at 3 bits; 2 are asked for."),
        ),
    ),
    Exercise(
        "2.5",
        "the root mean square error, in the unit of the weights",
        lambda: nearest_rms(exercise_matrix(), 3),
        0.005,
        "every step is exact arithmetic; only floats of 32 bits may differ in later digits",
        "One scale and zero point a row: s from the row's least and greatest weight, zero between them.",
        (
            Slip(
                lambda: nearest_rms(exercise_matrix(), 3, 2**3),
                "You have as many steps as values. Eight values have seven steps between them.",
            ),
            Slip(
                lambda: nearest_rms(exercise_matrix().reshape(1, -1), 3),
                "That is one grid for the whole matrix; each row has its own.",
            ),
            Slip(
                lambda: nearest_rms(exercise_matrix(), 3) ** 2,
                "That is the mean square; take its root.",
            ),
        ),
    ),
    Exercise(
        "3.4",
        "tokens per parameter, no unit",
        most_tokens_per_parameter,
        0.01,
        "N counts what is rounded, without embedding and head, and the table has it to the last parameter",
        "At equal tokens the smallest model has the most; N is `n_params_non_embedding`.",
        (
            Slip(
                lambda: float((last_checkpoints()[TOKENS_SEEN] / last_checkpoints()["n_params_total"]).max()),
                "You divide by all parameters. N leaves out embedding and head, which aren't rounded.",
            ),
            Slip(
                lambda: float((last_checkpoints()[TOKENS_SEEN] / last_checkpoints()[N_PARAMS]).min()),
                "That is the least: the largest model's.",
            ),
        ),
    ),
    Exercise(
        "4.5",
        "the slope of ln QiD in ln D, no unit",
        lambda: slope_of_smallest(data.late()),
        0.01,
        LINE,
        "Take the logarithm of both, then a line by least squares through the rows of one model at 3 bits.",
        (
            Slip(
                lambda: slope_of_smallest(data.trunk()),
                f"You have the first checkpoints in it. `late()` begins where QiD of {TRUNK} rises, at 60M tokens.",
            ),
            Slip(lambda: _slope_at(2), "That is the slope at 2 bits."),
            Slip(lambda: _slope_at(4), "That is the slope at 4 bits."),
        ),
    ),
)


def _slope_at(bits: float) -> float:
    rows = data.late()
    return slope_of_smallest(rows[rows["bits"] == bits].assign(bits=3))
