"""Exercises of chapters 18 and 19: a model that others trained, and one of a reader's own."""

import numpy as np

from helpers.analyse.judgement.band import group_factor
from helpers.analyse.rows.study import HELDOUT, PROSE
from helpers.table.records import given
from helpers.teach import data
from helpers.teach.exercises.learn import SAME_TABLE
from helpers.teach.verdicts import Exercise, Slip

ASKED = {"tokens": 15e12, "n_params": 7e9, "bits": 4.0}
GROUP = 128


def outside_qid(method: str, text: str) -> float:
    """Return QiD of the model from outside at 3 bits in groups of 64, in nats per token."""
    rows = data.outside().query("method == @method and bits == 3 and group_size == 64 and eval_dataset == @text")
    return float(rows["qid_nats"].iloc[0])


def default_answer(group_size: float) -> float:
    """Return what the default law says of 7B parameters, 15T tokens and 4 bits, in nats per token."""
    fits = data.fits()
    return float(fits.fits[given(fits.default).law].law.predict(**ASKED)) * group_factor(fits, group_size)


EXERCISES = (
    Exercise(
        "18.4",
        "the factor of perplexity, no unit",
        lambda: float(np.exp(outside_qid("gptq", HELDOUT))),
        0.005,
        SAME_TABLE,
        f'Of `outside()` take GPTQ, 3 bits, groups of 64 and the text "{HELDOUT}".',
        (
            Slip(lambda: outside_qid("gptq", HELDOUT), "That is QiD, in nats per token."),
            Slip(lambda: float(np.exp(outside_qid("gptq", PROSE))), "That is on prose; code is asked for."),
            Slip(lambda: float(np.exp(outside_qid("rtn", HELDOUT))), "That is by round-to-nearest."),
        ),
    ),
    Exercise(
        "19.4",
        "the growth of perplexity, as a share (0.1 is ten per cent)",
        lambda: float(np.expm1(default_answer(GROUP))),
        0.01,
        "the law is stored with all its digits",
        "Ask the default law, multiply by the factor of groups, and take e^q - 1.",
        (
            Slip(lambda: default_answer(GROUP), "That is QiD; the growth of perplexity is e to it, less one."),
            Slip(
                lambda: float(np.expm1(default_answer(32))),
                "That is for groups of 32, at which the law was fitted. Multiply by `group_factor`.",
            ),
        ),
    ),
)
