"""Refits by the thousand: the wild cluster bootstrap, which keeps design and runs and flips each run's residuals.

Every replicate has the fitted QiD plus its residuals times one random number a training run (Webb's six points, which
work with few runs: Webb 2023, Canadian Journal of Economics 56). A replicate is fitted by Fisher scoring from the
estimate: milliseconds, where a fit with all its starts takes a hundred times as long.
"""

import numpy as np

from helpers.analyse.fit_records import Draws, FitError, FitResult, FitStatus
from helpers.analyse.fitting import TAU_BOUNDS, RelativeSpreadModel, scaled_model
from helpers.analyse.law_variables import FloatArray

WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])
MOST_STEPS = 60
HALVINGS = 25
DECREMENT = 1e-14  # of the log-likelihood: below it a step can't be told from rounding
LEAST_CONVERGED = 0.9  # share of replicates


def score_to_the_top(model: RelativeSpreadModel, start: FloatArray, free: np.ndarray) -> FloatArray | None:
    """Return the parameters of the maximum that Fisher scoring with step halving reaches; None where it doesn't.

    Parameters that aren't `free` stay; ln tau is held inside its bounds.
    """
    params, value = start, model.loglike(start)
    places = np.flatnonzero(free)
    for _ in range(MOST_STEPS):
        score = model.score(params)[places]
        step = np.linalg.lstsq(model.fisher(params)[np.ix_(places, places)], score)[0]
        if score @ step < DECREMENT * max(1.0, abs(value)):
            return params
        for halving in range(HALVINGS):
            new = params.copy()
            new[places] += 0.5**halving * step
            new[-1] = np.clip(new[-1], *np.log(TAU_BOUNDS))
            new_value = model.loglike(new)
            if new_value > value:
                params, value = new, new_value
                break
        else:
            return params  # no step up is left: rounding, or ln tau at its bound
    return None


def wild_bootstrap(fit: FitResult, n_draws: int, generator: np.random.Generator) -> Draws:
    """Return `n_draws` refits of `fit` (fewer where some fail). Coefficients at a bound stay there.

    Raises FitError below two runs, or where less than LEAST_CONVERGED of the replicates converge.
    """
    labels, places = np.unique(fit.data.runs, return_inverse=True)
    if labels.size < 2:
        raise FitError("a bootstrap by training run needs two runs or more; got 1", FitStatus.NOT_IDENTIFIABLE)
    law_type, estimate = type(fit.law), fit.law.coefficients
    model, scaled = scaled_model(law_type, fit.data, fit.data.asked(fit.law), estimate, fit.tail_freedom)
    start = np.append(np.linalg.solve(scaled.to_coefficients, estimate), np.log(fit.tau))
    free = np.append(fit.free, "ln_tau" not in fit.bounds_hit)
    found = []
    for _ in range(n_draws):
        model.endog = fit.fitted_nats + generator.choice(WEBB, labels.size)[places] * fit.residuals_nats
        found.append(score_to_the_top(model, start, free))
    params = np.array([one for one in found if one is not None])
    if len(params) < LEAST_CONVERGED * n_draws:
        raise FitError(f"only {len(params)} of {n_draws} replicates reached a maximum", FitStatus.FAILED)
    coefficients = params[:, :-1] @ scaled.to_coefficients.T
    return Draws(fit.parameter_names, coefficients, np.exp(params[:, -1]), n_draws - len(params))
