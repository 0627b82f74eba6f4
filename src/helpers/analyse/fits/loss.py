"""Fits of the 16-bit loss: the Huber loss of log residuals, as Hoffmann et al. (2022) do it."""

import numpy as np
from scipy import optimize

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitError, FitStatus, within_floats
from helpers.analyse.laws.loss import ANY_BITS, SizeAndTokensLaw
from helpers.analyse.laws.variables import ValidityRange, Variables

HUBER_LOG = 1e-3  # of ln loss: where Hoffmann et al. 2022 turn from squares to absolute values
LONGEST, SHORT = 2000, 60  # evaluations of a climb; of the first part, where starts are many
KEPT = 12  # starts that climb to the end


@within_floats()
def fit_loss_law(
    law_type: type[SizeAndTokensLaw], tokens: FloatArray, n_params: FloatArray, loss_nats: FloatArray, source: str
) -> SizeAndTokensLaw:
    """Return the loss law with the least Huber loss of ln(predicted / measured), from several starts.

    Arrays have shape (n_models,). Hoffmann et al. 2022 do the same. Of more than `KEPT` starts those go on that are the
    lowest after `SHORT` evaluations. Raises FitError below two rows per coefficient or where no start converges.
    """
    x, names = law_type.variables({"tokens": tokens, "n_params": n_params}), law_type.coefficient_names()
    if loss_nats.size < 2 * len(names):
        message = f"{law_type.__name__} has {len(names)} coefficients; {loss_nats.size} losses are too few"
        raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
    starts = law_type.loss_starts(x, loss_nats)
    if len(starts) > KEPT:
        begun = [_climbed(law_type, x, loss_nats, start, SHORT) for start in starts]
        starts = [one.x for one in sorted(begun, key=lambda one: float(one.cost))[:KEPT]]
    minima = [_climbed(law_type, x, loss_nats, start, LONGEST) for start in starts]
    converged = [one for one in minima if one.success]
    if not converged:
        raise FitError(f"none of {len(minima)} starts reached a minimum", FitStatus.FAILED)
    of_tokens, of_sizes = ((float(values.min()), float(values.max())) for values in (tokens, n_params))
    box = ValidityRange(of_tokens, of_sizes, ANY_BITS)
    return law_type.from_coefficients(min(converged, key=lambda one: one.cost).x, source, box)


def _climbed(
    law_type: type[SizeAndTokensLaw], x: Variables, loss_nats: FloatArray, start: FloatArray, longest: int
) -> optimize.OptimizeResult:
    ends = np.array([law_type.bounds(x).get(name, (-np.inf, np.inf)) for name in law_type.coefficient_names()]).T
    return optimize.least_squares(
        lambda c: law_type.evaluate(c, x)[0] - np.log(loss_nats),
        start,
        lambda c: law_type.evaluate(c, x)[1],
        bounds=ends,
        x_scale="jac",
        loss="huber",
        f_scale=HUBER_LOG,
        ftol=1e-12,
        xtol=1e-12,
        max_nfev=longest,
    )
