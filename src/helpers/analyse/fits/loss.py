"""Fits of the 16-bit loss: the Huber loss of log residuals, as Hoffmann et al. (2022) do it."""

import numpy as np
from scipy import optimize

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitError, FitStatus, within_floats
from helpers.analyse.laws.loss import ANY_BITS, SizeAndTokensLaw
from helpers.analyse.laws.variables import ValidityRange

HUBER_LOG = 1e-3  # of ln loss: where Hoffmann et al. 2022 turn from squares to absolute values


@within_floats()
def fit_loss_law(
    law_type: type[SizeAndTokensLaw], tokens: FloatArray, n_params: FloatArray, loss_nats: FloatArray, source: str
) -> SizeAndTokensLaw:
    """Return the loss law with the least Huber loss of ln(predicted / measured), from several starts.

    Arrays have shape (n_models,). Hoffmann et al. 2022 do the same. Raises FitError below two rows per coefficient or
    where no start converges.
    """
    x, names = law_type.variables({"tokens": tokens, "n_params": n_params}), law_type.coefficient_names()
    if loss_nats.size < 2 * len(names):
        message = f"{law_type.__name__} has {len(names)} coefficients; {loss_nats.size} losses are too few"
        raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
    ends = np.array([law_type.bounds(x).get(name, (-np.inf, np.inf)) for name in names]).T
    minima = [
        optimize.least_squares(
            lambda c: law_type.evaluate(c, x)[0] - np.log(loss_nats),
            start,
            lambda c: law_type.evaluate(c, x)[1],
            bounds=ends,
            x_scale="jac",
            loss="huber",
            f_scale=HUBER_LOG,
            ftol=1e-12,
            xtol=1e-12,
            max_nfev=2000,
        )
        for start in law_type.loss_starts(x, loss_nats)
    ]
    converged = [one for one in minima if one.success]
    if not converged:
        raise FitError(f"none of {len(minima)} starts reached a minimum", FitStatus.FAILED)
    of_tokens, of_sizes = ((float(values.min()), float(values.max())) for values in (tokens, n_params))
    box = ValidityRange(of_tokens, of_sizes, ANY_BITS)
    return law_type.from_coefficients(min(converged, key=lambda one: one.cost).x, source, box)
