"""What every law says of a model from outside before it is measured: entries of the register of predictions."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from helpers.analyse.fits.answers import LEVEL
from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.judgement.band import every_answer, span
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.questions.register import BAND, Prediction, scheme_words
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import SpecError
from helpers.table.families.outside import OutsideModel
from helpers.table.records import number


@dataclass(frozen=True)
class Questions:
    """Questions about one model: bit widths, group sizes (None: one scale a row), texts. Each is asked with each."""

    bits: Sequence[int]
    group_sizes: Sequence[int | None]
    texts: Sequence[str]


@dataclass(frozen=True)
class Known:
    """What laws are told of a published checkpoint: family/run, its sizes and how many tokens it has seen."""

    run: str
    n_params_non_embedding: int
    tokens_seen: int
    d_model: int
    vocabulary_size: int


def known_of(checkpoint: CheckpointSpec) -> Known:
    """Return what laws are told of a checkpoint. Raises SpecError where nobody knows its tokens, or it has none."""
    if not checkpoint.tokens_seen:
        raise SpecError(f"{checkpoint.label}: training tokens are {checkpoint.tokens_seen}; accepted: 1 or more")
    sizes = (checkpoint.n_params_non_embedding, checkpoint.tokens_seen, checkpoint.d_model, checkpoint.vocabulary_size)
    return Known(f"{checkpoint.family}/{checkpoint.run}", *sizes)


def foretold(
    fits: StoredFits, default: str, model: OutsideModel | Known, questions: Questions, date: str, commit: str
) -> list[Prediction]:
    """Return what each law that can be asked says of a model rounded by GPTQ, and the band of all, in nats a token.

    Laws know neither the text nor that weights were rounded before: each text has the same predictions. Groups are
    carried over as `band.every_answer` does, a row counting as a group of the model's width. The entry `band` has the
    answer of the law `default` between those of the laws that don't fail on models of others.
    """
    entries = []
    for width, size, text in itertools.product(questions.bits, questions.group_sizes, questions.texts):
        asked = (model.run, model.n_params_non_embedding, model.tokens_seen, width, scheme_words(size), text)
        for law, value, low, high, level in _answers(fits, default, model, width, size):
            said = (value, number(low), number(high), level)
            entries.append(Prediction(date, commit, law, *asked, *said, quantity=fits.outcome.column))
    return entries


def _answers(
    fits: StoredFits, default: str, model: OutsideModel | Known, bits: int, group_size: int | None
) -> Iterator[tuple[str, float, float, float, float | None]]:
    """Yield (law, value, low, high, level) of each law, the band last."""
    given = {
        "n_params": model.n_params_non_embedding,
        "tokens": model.tokens_seen,
        "bits": bits,
        "group_size": group_size or model.d_model,
        "vocabulary_size": model.vocabulary_size,
    }
    said = every_answer(fits, given)
    for one in said:
        yield one.law, one.answer.value, one.answer.low, one.answer.high, LEVEL
    usual = next(one.answer.value for one in said if one.law == default)
    yield BAND, usual, *span(said), None


def predicted_in_bytes(
    fits: StoredFits,
    default: str,
    model: OutsideModel,
    outcomes: pd.DataFrame,
    group_sizes: Sequence[int | None],
    longer: Mapping[str, float],
) -> pd.Series:
    """Return what laws would have said, in nats per token of the model, had they been fitted in bytes of text.

    `outcomes` are those of `register.outcomes_of` in the quantity of `fits`, `longer` is by text the length of the
    model's tokens over that of the tokens that the laws were fitted in: an answer grows by that factor, and by what
    `longer` times as many training tokens add. Published laws are of tokens of usual length and stay.
    """
    sizes = {scheme_words(size): size for size in group_sizes}
    factors: dict[tuple[str, int, str, str], float] = {}
    for bits, scheme, text in set(zip(outcomes["bits"], outcomes["scheme"], outcomes["text"], strict=True)):
        longer_read = dataclasses.replace(model, tokens_seen=round(model.tokens_seen * longer[text]))
        plain, more = (
            {law: value for law, value, *_ in _answers(fits, default, each, bits, sizes[scheme])}
            for each in (model, longer_read)
        )
        factors |= {(law, bits, scheme, text): longer[text] * more[law] / plain[law] for law in plain}
    asked = zip(outcomes["law"], outcomes["bits"], outcomes["scheme"], outcomes["text"], strict=True)
    in_bytes = outcomes["predicted"] * [factors[question] for question in asked]
    return in_bytes.where(~outcomes["law"].isin(PUBLISHED), outcomes["predicted"])
