"""Exercises of chapters 7, 10, 11, 12 and of speed: decay, a method's ratio, seeds, the error's variance, memory."""

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import LATE_TOKENS, TRUNK
from helpers.teach import data
from helpers.teach.exercises.learn import SAME_TABLE, last_checkpoints
from helpers.teach.verdicts import Exercise, Slip

BEGIN, END = 3725, 4656  # steps at which the last cooldowns leave the trunk and end
TWINS = ["model", "step"]


def _of_three_bits(table: pd.DataFrame, method: str = "gptq") -> pd.DataFrame:
    return table[(table["method"] == method) & (table["group_size"] == 32) & (table["bits"] == 3)]


def _ratios_of_decay(step: int) -> FloatArray:
    """Return QiD at the ends of the last cooldowns over the trunk's at `step`, one number a size."""
    table = _of_three_bits(data.every_run())
    ends = table[table["run"].str.endswith(f"cooldown{BEGIN}") & (table["step"] == END)].set_index("model")
    twins = table[(table["run"] == table["model"]) & (table["step"] == step)].set_index("model")
    ratios: FloatArray = (ends["qid_nats"] / twins["qid_nats"].groupby("model").first()).dropna().to_numpy(float)
    return ratios


def geometric(values: FloatArray) -> float:
    """Return the geometric mean of positive numbers."""
    return float(np.exp(np.log(values).mean()))


def ratios_of_methods() -> FloatArray:
    """Return QiD of RTN over that of GPTQ at 3 bits for each late checkpoint of the main family."""
    table = data.trunk()
    late = table[table[TOKENS_SEEN] >= LATE_TOKENS]
    both = [_of_three_bits(late, method).set_index(TWINS)["qid_nats"] for method in ("rtn", "gptq")]
    ratios: FloatArray = (both[0] / both[1]).to_numpy(float)
    return ratios


def seed_scatter(freedom: int) -> float:
    """Return the standard deviation of ln QiD over training seeds at 3 bits, pooled over models and steps, no unit.

    `freedom` is what is taken from the number of seeds before the squares are divided by it.
    """
    logarithms = data.seeds().query("bits == 3").assign(value=lambda rows: np.log(rows["qid_nats"]))
    variances = logarithms.groupby(TWINS)["value"].var(ddof=freedom)
    return float(np.sqrt(variances.mean()))


def error_ratio() -> float:
    """Return the rounding error at 3 bits over that at 4, mean over matrices of the largest model's last step."""
    last = last_checkpoints().sort_values(N_PARAMS).iloc[-1]
    return float(np.mean(np.asarray(last["rtn_error_3_bits"]) / np.asarray(last["rtn_error_4_bits"])))


def variance_ratio() -> float:
    """Return the same of the squared errors."""
    last = last_checkpoints().sort_values(N_PARAMS).iloc[-1]
    return float(np.mean((np.asarray(last["rtn_error_3_bits"]) / np.asarray(last["rtn_error_4_bits"])) ** 2))


def moments_gib(n_inputs: int, n_variants: int) -> float:
    """Return the memory of second moments in float32, one square matrix a variant, in GiB."""
    return n_variants * n_inputs**2 * 4 / 2**30


EXERCISES = (
    Exercise(
        "7.4",
        "the geometric mean over sizes of QiD with decay over QiD without, no unit",
        lambda: geometric(_ratios_of_decay(END)),
        0.005,
        SAME_TABLE,
        "Match the end of each size's last cooldown with the trunk at the same step, divide, average the logarithms.",
        (
            Slip(
                lambda: geometric(_ratios_of_decay(BEGIN)),
                "You compare with the checkpoint where the cooldown began: that is decay and a quarter more tokens.",
            ),
            Slip(
                lambda: float(np.log(geometric(_ratios_of_decay(END)))),
                "That is the mean logarithm; e to it is the factor.",
            ),
        ),
    ),
    Exercise(
        "10.4",
        "the geometric mean of QiD of RTN over QiD of GPTQ, no unit",
        lambda: geometric(ratios_of_methods()),
        0.005,
        SAME_TABLE,
        f"Rows of {TRUNK} in groups of 32 at 3 bits from 60M tokens on, matched by model and step.",
        (
            Slip(lambda: 1 / geometric(ratios_of_methods()), "That is GPTQ over RTN."),
            Slip(
                lambda: float(ratios_of_methods().mean()),
                "That is the arithmetic mean. Ratios are averaged in logarithms, or the order of the two would matter.",
            ),
        ),
    ),
    Exercise(
        "11.4",
        "the standard deviation of ln QiD over seeds, no unit",
        lambda: seed_scatter(1),
        0.02,
        "pooling by model or by step and model changes the last digit only",
        "Group by model and step, take the variance of ln QiD over seeds, average the variances, take the root.",
        (
            Slip(
                lambda: seed_scatter(0),
                "You divide by the number of seeds. The mean is estimated from the same few: divide by one less.",
            ),
            Slip(lambda: seed_scatter(1) ** 2, "That is the variance; take its root."),
        ),
    ),
    Exercise(
        "12.4",
        "the factor by which the squared rounding error falls, no unit",
        variance_ratio,
        0.01,
        "squaring before or after the mean over matrices changes it by less",
        "Divide `rtn_error_3_bits` by `rtn_error_4_bits`, matrix by matrix, square, and average.",
        (
            Slip(error_ratio, "That is the error's factor; its square is asked for."),
            Slip(lambda: 1 / variance_ratio(), "That is 4 bits over 3."),
        ),
    ),
    Exercise(
        "90.4",
        "the memory, unit GiB",
        lambda: moments_gib(14336, 4),
        0.001,
        "the count is exact; the rest is for printed digits",
        "A square of the inputs, four bytes each, once for each variant; a GiB is 2**30 bytes.",
        (
            Slip(lambda: moments_gib(14336, 1), "That is one variant."),
            Slip(lambda: moments_gib(14336, 4) * 2**30 / 1e9, "Those are GB; a GiB is 2**30 bytes."),
            Slip(
                lambda: moments_gib(14336, 4) / 2,
                "Half would do, as the matrix is symmetric; it is kept whole.",
            ),
        ),
    ),
)
