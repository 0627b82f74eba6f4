"""Laws in bytes: D in bytes of training text, losses in nats per byte. It is the only form that all tokenizers share.

With b bytes per token, D in bytes is b times D in tokens, and every loss and QiD in nats per byte is 1 / b of that in
nats per token. Factors, onsets and ceilings change with the unit; exponents don't. A law in bytes is of the same
class: its `tokens` then are bytes, and its `source` says so.

b is measured on evaluation text. That the training text has the same is an assumption.
"""

import dataclasses
import math
from typing import TypeVar

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import ChainedLaw, ChinchillaLaw, OuyangLossLaw, ShannonLaw, SizeAndTokensLaw
from helpers.analyse.laws.variables import LINEAR, LOG, LawError, ValidityRange
from helpers.table.errors import AnalysisError

AnyLaw = TypeVar("AnyLaw", bound=Law)

# A variable in tokens is b to this power times the same in bytes; others have no such unit.
POWERS = {"tokens": -1, "loss_nats": 1, "room_nats": 1}


def bytes_per_token(measurements: pd.DataFrame) -> float:
    """Return the mean length of a token, in bytes, from rows of `Measurement` on one evaluation text.

    Raises AnalysisError where there are no rows or the rows are of several texts.
    """
    texts = measurements[["eval_id", "n_bytes", "n_tokens"]].drop_duplicates()
    if len(texts) != 1:
        raise AnalysisError(f"bytes a token are those of one evaluation text; got rows of {len(texts)}")
    return float(texts["n_bytes"].iloc[0] / texts["n_tokens"].iloc[0])


def in_bytes(law: AnyLaw, bytes_a_token: float) -> AnyLaw:
    """Return the law, of QiD or of the 16-bit loss, for D in bytes and losses in nats per byte, its range likewise.

    Raises LawError for a number of bytes that isn't positive, or a law with a part whose unit isn't known here.
    """
    if not (math.isfinite(bytes_a_token) and bytes_a_token > 0):
        raise LawError(f"bytes a token must be a positive number; got {bytes_a_token}")
    log_bytes = math.log(bytes_a_token)
    if isinstance(law, SizeAndTokensLaw):
        coefficients = law.coefficients + _loss_law_shifts(law) * log_bytes
    else:
        coefficients = _qid_coefficients(law, log_bytes)
    source = f"{law.source}; in bytes and nats a byte, at {bytes_a_token:.4g} bytes a token"
    return law.from_coefficients(coefficients, source, _range_in_bytes(law.validity, bytes_a_token))


def chain_in_bytes(chained: ChainedLaw, bytes_a_token: float) -> ChainedLaw:
    """Return a law of QiD and its loss law, both in bytes. Raises LawError (see `in_bytes`)."""
    return ChainedLaw(in_bytes(chained.law, bytes_a_token), in_bytes(chained.loss_law, bytes_a_token))


def _range_in_bytes(validity: ValidityRange, bytes_a_token: float) -> ValidityRange:
    def ends(name: str, pair: tuple[float, float]) -> tuple[float, float]:
        factor = bytes_a_token ** -POWERS.get(name, 0)
        return pair[0] * factor, pair[1] * factor

    covariates = {name: ends(name, pair) for name, pair in validity.covariates.items()}
    return dataclasses.replace(validity, tokens=ends("tokens", validity.tokens), covariates=covariates)


def _qid_coefficients(law: Law, log_bytes: float) -> FloatArray:
    """Return the coefficients of a law of QiD in bytes: ln k takes what every term and QiD itself leave over."""
    coefficients = law.coefficients.copy()
    coefficients[0] -= log_bytes
    places = {name: place for place, name in enumerate(law.term_parameters(), start=1)}
    for term in law.TERMS:
        place = places[term.parameter]
        power = POWERS.get(term.variable, 0)
        if power and term.scale is LOG:
            coefficients[0] += term.sign * coefficients[place] * power * log_bytes
        elif power and term.scale is LINEAR:
            coefficients[place] *= math.exp(power * log_bytes)
        elif power:
            raise LawError(f"{type(law).__name__} can't be given in bytes: the unit of {term.parameter} isn't known")
    for place, name in list(enumerate(law.coefficient_names()))[1 + len(places) :]:
        if name not in law.TOKEN_POWERS:
            raise LawError(f"{type(law).__name__} can't be given in bytes: the unit of {name} isn't known")
        coefficients[place] += law.TOKEN_POWERS[name] * log_bytes
    return coefficients


def _loss_law_shifts(law: SizeAndTokensLaw) -> FloatArray:
    """Return the growth of each coefficient of a loss law, in multiples of ln b, in their order."""
    match law:
        case ChinchillaLaw():
            shifts = [-1, -1, 0, law.beta - 1, 0]
        case OuyangLossLaw():
            shifts = [-1 / law.alpha_N, 0, 1 - 1 / law.alpha_D, 0]
        case ShannonLaw():
            shifts = [1, 0, 0, law.beta - law.gamma, 0, law.beta - law.delta, 0, law.beta]
        case _:
            raise LawError(f"{type(law).__name__} can't be given in bytes: its units aren't known")
    return np.array(shifts, float)
