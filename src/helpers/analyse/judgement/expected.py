"""The QiD that one should expect of a model: the default law's answer for its size, tokens, bits and groups."""

from dataclasses import dataclass

from helpers.analyse.fits import answers
from helpers.analyse.fits.data import FitError
from helpers.analyse.fits.stored import NamedFits
from helpers.analyse.judgement.band import GROUPED, group_factor, scaled
from helpers.analyse.laws.variables import LawError


@dataclass(frozen=True)
class Expected:
    """The QiD that a law expects, in nats a token, with its 90% interval for a new training run (NaN: it has none).

    `outside` are the variables of the model that lie beyond the range that was fitted.
    """

    law: str
    qid_nats: float
    low_nats: float
    high_nats: float
    outside: tuple[str, ...]


def expected_qid(
    fits: NamedFits, law: str, n_params: float, tokens: float, bits: float, group_size: int | None, loss_nats: float
) -> Expected | None:
    """Return what `law` expects of a model of N `n_params` after `tokens`, rounded by GPTQ; None where it can't say.

    The answer is carried over to other groups by `group_factor`. Of one scale a row no law says anything.
    """
    if group_size is None:
        return None
    given = {"n_params": n_params, "tokens": tokens, "bits": bits, "loss_nats": loss_nats}
    try:
        answer = answers.predict(answers.fitted_law(fits, law, bits), given)
        low, high = fits.fit(GROUPED).law.validity.of("group_size")
    except (LawError, FitError):
        return None
    outside = (*answer.outside, *(() if low <= group_size <= high else ("group_size",)))
    in_groups = scaled(answer, group_factor(fits, group_size))
    return Expected(law, in_groups.value, in_groups.low, in_groups.high, outside)
