"""Exercises of chapters 13 to 16: costs that don't add up, blocks, a largest share, equal stored bits."""

import numpy as np
import pandas as pd

from helpers.analyse.questions.trends import slope
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.teach import data
from helpers.teach.exercises.learn import LINE, SAME_TABLE
from helpers.teach.verdicts import Exercise, Slip

BUDGET = 0.10  # more perplexity, a share: of 15.4
STORED_BITS = 4.0  # of 16.4, scales and zero points counted
SMALL, WIDE = "tadpole-64x3", "tadpole-256x4"


def all_over_single() -> float:
    """Return what all matrices of the smallest model cost together over the sum of each alone, last checkpoint."""
    table = data.trials().query("model == @SMALL")
    last = table[table["step"] == table["step"].max()]
    together = last.loc[last["search"] == "all", "qid_nats"].iloc[0]
    return float(together / last.loc[last["search"] == "single", "qid_nats"].sum())


def _of_wide(table: pd.DataFrame) -> pd.DataFrame:
    rows = table.query("model == @WIDE")
    return rows[rows["step"] == rows["step"].max()]


def block_exponent(as_perplexity: bool) -> float:
    """Return the slope of ln cost on ln block size of one checkpoint; the cost is e^q - 1, or q in nats per token."""
    rows = _of_wide(data.blocks())
    qid = rows["qid_nats"].to_numpy(float)
    return slope(rows["group_size"].to_numpy(float), np.expm1(qid) if as_perplexity else qid)


def largest_tried(most_nats: float) -> float:
    """Return the largest share in four bits among the recipes of one checkpoint whose QiD is within `most_nats`."""
    rows = _of_wide(data.recipes())
    return float(rows.loc[rows["qid_nats"] <= most_nats, "quantized_ratio"].max())


def at_stored_bits(bits: str, in_logarithms: bool) -> float:
    """Return QiD of the largest model's last checkpoint at `STORED_BITS`, between GPTQ's widths in groups of 32.

    `bits` names the column that counts them; the line is straight in QiD or in its logarithm. Nats per token.
    """
    rows = data.late()
    rows = rows[rows[N_PARAMS] == rows[N_PARAMS].max()]
    last = rows[rows[TOKENS_SEEN] == rows[TOKENS_SEEN].max()].sort_values(bits)
    places, values = last[bits].to_numpy(float), last["qid_nats"].to_numpy(float)
    if in_logarithms:
        return float(np.exp(np.interp(STORED_BITS, places, np.log(values))))
    return float(np.interp(STORED_BITS, places, values))


EXERCISES = (
    Exercise(
        "13.4",
        "the cost of everything over the sum of the costs of each matrix alone, no unit",
        all_over_single,
        0.005,
        SAME_TABLE,
        'Of the last step take the row with search "all" and the sum over those with search "single".',
        (Slip(lambda: 1 / all_over_single(), "That is the sum over the whole."),),
    ),
    Exercise(
        "14.4",
        "k, the exponent of the block size, no unit",
        lambda: block_exponent(as_perplexity=True),
        0.01,
        LINE,
        "The paper's cost is e^q - 1. Take its logarithm and that of `group_size`, and a line through them.",
        (Slip(lambda: block_exponent(as_perplexity=False), "That is the exponent of QiD itself, not of e^q - 1."),),
    ),
    Exercise(
        "15.4",
        "the largest ratio that was tried within the budget, a share",
        lambda: largest_tried(float(np.log1p(BUDGET))),
        0.001,
        "only ratios that were tried count, so there is nothing between two of them",
        "10% more perplexity is e^q - 1 <= 0.1. Of the recipes that keep to it take the largest `quantized_ratio`.",
        (
            Slip(
                lambda: largest_tried(2 * float(np.log1p(BUDGET))),
                "That is within twice the budget.",
            ),
        ),
    ),
    Exercise(
        "16.4",
        "QiD at 4 stored bits, in nats per token",
        lambda: at_stored_bits("effective_bits", in_logarithms=True),
        0.01,
        "between two measured widths the line in ln QiD has one answer",
        "Stored bits are `effective_bits`. Interpolate ln QiD between the two widths around 4, then take e to it.",
        (
            Slip(
                lambda: at_stored_bits("effective_bits", in_logarithms=False),
                "You interpolate QiD itself. It falls by a factor a bit, so the line is straight in ln QiD.",
            ),
            Slip(
                lambda: at_stored_bits("bits", in_logarithms=True),
                "You count the codes alone. Scales and zero points are stored too: `effective_bits`.",
            ),
        ),
    ),
)
