"""Refits by the thousand: the wild cluster bootstrap, which flips each run's residuals, and draws of documents.

Both keep design and runs. A replicate of the first has the fitted QiD plus its residuals times one random number a
training run (Webb's six points, which work with few runs: Webb 2023, Canadian Journal of Economics 56). A replicate is
fitted by Fisher scoring from the estimate: milliseconds, where a fit with all its starts takes a hundred times as long.
"""

from collections.abc import Iterable

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


def refits(fit: FitResult, qids_nats: Iterable[FloatArray]) -> FloatArray:
    """Return coefficients and ln tau fitted to each of `qids_nats` in place of the measured QiD: (draws, p + 1).

    Each has shape (n_rows,), in nats a token. Errors, design and what lies at a bound stay. NaN: no maximum reached.
    """
    law_type, estimate = type(fit.law), fit.law.coefficients
    model, scaled = scaled_model(law_type, fit.data, fit.data.asked(fit.law), estimate, fit.tail_freedom)
    start = np.append(np.linalg.solve(scaled.to_coefficients, estimate), np.log(fit.tau))
    free = np.append(fit.free, "ln_tau" not in fit.bounds_hit)
    found = []
    for qid_nats in qids_nats:
        model.endog = qid_nats
        params = score_to_the_top(model, start, free)
        found.append(np.full(start.size, np.nan) if params is None else params)
    params = np.array(found)
    return np.column_stack([params[:, :-1] @ scaled.to_coefficients.T, params[:, -1]])


def refuse_few_converged(n_converged: int, n_draws: int) -> None:
    """Raise FitError where less than LEAST_CONVERGED of the replicates reached a maximum."""
    if n_converged < LEAST_CONVERGED * n_draws:
        raise FitError(f"only {n_converged} of {n_draws} replicates reached a maximum", FitStatus.FAILED)


def wild_bootstrap(fit: FitResult, n_draws: int, generator: np.random.Generator) -> Draws:
    """Return `n_draws` refits of `fit` (fewer where some fail). Coefficients at a bound stay there.

    Raises FitError below two runs, or where less than LEAST_CONVERGED of the replicates converge.
    """
    labels, places = np.unique(fit.data.runs, return_inverse=True)
    if labels.size < 2:
        raise FitError("a bootstrap by training run needs two runs or more; got 1", FitStatus.NOT_IDENTIFIABLE)
    flips = (generator.choice(WEBB, labels.size)[places] for _ in range(n_draws))
    params = refits(fit, (fit.fitted_nats + flip * fit.residuals_nats for flip in flips))
    params = params[np.isfinite(params).all(axis=1)]
    refuse_few_converged(len(params), n_draws)
    return Draws(fit.parameter_names, params[:, :-1], np.exp(params[:, -1]), n_draws - len(params))


def document_refits(fit: FitResult, document_qid_nats: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the coefficients on draws of documents, (n_draws, n_coefficients); NaN: no maximum reached.

    `document_qid_nats` is (n_rows, n_documents), in nats a token; `counts`, (n_documents, n_draws), says how often each
    document is in each draw. Every row gets its mean over the same documents; its error stays.
    """
    return refits(fit, (document_qid_nats @ (counts / counts.sum(axis=0))).T)[:, :-1]
