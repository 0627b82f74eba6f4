"""What all laws say of one model beside the default: a band, which of them fail outside, and what was measured near it.

A law *fails outside* where the perplexities that others print say so: it is worse than bit width alone, and the 95%
interval of the difference, over their models, excludes zero (`judgement.outside`).
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.fits.answers import Answer, KnownLaw, fitted_law, predict, published_law
from helpers.analyse.fits.data import FitError
from helpers.analyse.fits.stored import NamedFits, StoredFits
from helpers.analyse.judgement.outside import PERPLEXITIES, outside_points
from helpers.analyse.laws.default import LOSS_PREDICTED
from helpers.analyse.laws.names import FORMS, PER_BIT
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.laws.variables import LawError
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import QID
from helpers.analyse.rows.study import GROUP_SIZE

N_NEAREST = 3
GROUPED = "group-size"  # the law that says what larger groups cost


@dataclass(frozen=True)
class Said:
    """A law's answer about one model."""

    law: str
    answer: Answer
    typical_miss_outside: float  # a factor, e to the rms of ln over models of others; NaN: not scored there
    fails_outside: bool


def group_factor(fits: NamedFits, group_size: float | None) -> float:
    """Return by how much the outcome grows from the groups that the laws were fitted at to `group_size` (no unit).

    The law `GROUPED` says it; 1 where no group is asked for, or that law isn't fitted.
    """
    if group_size is None or GROUPED not in fits.fits:
        return 1.0
    return float((group_size / GROUP_SIZE) ** fits.fits[GROUPED].coefficients["eta"])


def scaled(answer: Answer, factor: float) -> Answer:
    """Return an answer of other groups: value and interval times a factor, whose own error isn't in it."""
    return dataclasses.replace(answer, value=answer.value * factor, low=answer.low * factor, high=answer.high * factor)


def every_answer(fits: StoredFits, given: Mapping[str, float]) -> list[Said]:
    """Return what each law answers that can be asked with what is given, the smallest QiD (or KL) first.

    Laws fitted at one group size are carried over to the one given by `group_factor`; published constants are not.
    """
    outside = _outside(fits)
    factor = group_factor(fits, given.get("group_size"))
    said = []
    for name in (*FORMS, PER_BIT, *(PUBLISHED if fits.outcome == QID else ())):
        try:
            known = known_law(fits, name, given.get("bits"))
            answer = predict(known, given)
        except (LawError, FitError):
            continue
        in_groups = name in PUBLISHED or "group_size" in known.law.needs()
        judged_as = name + LOSS_PREDICTED * known.predicts_loss(given)
        miss, fails = outside.get(judged_as, (math.nan, False))
        said.append(Said(name, answer if in_groups else scaled(answer, factor), miss, fails))
    return sorted(said, key=lambda one: one.answer.value)


def span(said: list[Said]) -> tuple[float, float]:
    """Return the least and the largest answer of the laws that don't fail outside (of all, where each does)."""
    values = [one.answer.value for one in said if not one.fails_outside] or [one.answer.value for one in said]
    return min(values), max(values)


def nearest_points(given: Mapping[str, float], n: int = N_NEAREST) -> pd.DataFrame:
    """Return the models nearest in ln N and ln D whose loss others printed at this bit width, nearest first.

    GPTQ in groups of 128; columns as `outside_points` has them. Empty where the bit width, N or D isn't given or
    nobody printed that width.
    """
    if not {"bits", "n_params", "tokens"} <= set(given):
        return pd.DataFrame()
    points = outside_points(pd.read_csv(PERPLEXITIES))
    points = points[points["bits"] == given["bits"]]
    far = np.hypot(np.log(points[N_PARAMS] / given["n_params"]), np.log(points[TOKENS_SEEN] / given["tokens"]))
    one_a_model = points.assign(far=far).sort_values("far", kind="stable").drop_duplicates("model")
    return one_a_model.head(n).drop(columns="far").reset_index(drop=True)


def known_law(fits: StoredFits, name: str, bits: float | None) -> KnownLaw:
    """Return a law that can be asked by name, fitted or published. Raises LawError or FitError (see these)."""
    return published_law(name, bits) if name in PUBLISHED else fitted_law(fits, name, bits)


def fails_outside(fits: StoredFits) -> set[str]:
    """Return the laws, by their names on the command line, that do worse than bits alone on models of others."""
    return {name.removesuffix(LOSS_PREDICTED) for name, (_, fails) in _outside(fits).items() if fails}


def _outside(fits: StoredFits) -> dict[str, tuple[float, bool]]:
    """Return by law its typical miss on models of others, a factor, and whether it fails there."""
    if fits.outside.empty:  # as KL's is: others print perplexities
        return {}
    scores = fits.outside[["score", "behind_low"]]
    return {str(name): (math.exp(score), bool(low > 0)) for name, score, low in scores.itertuples()}
