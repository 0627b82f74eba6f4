"""Refits by the thousand: the wild cluster bootstrap, which flips each run's residuals, and draws of documents.

Both keep design and runs. A replicate of the first has the fitted QiD plus its residuals times one random number per
training run (Webb's six points, which work with few runs: Webb 2023, Canadian Journal of Economics 56). A replicate is
fitted by Fisher scoring from the estimate: milliseconds, where a fit with all its starts takes a hundred times as long.

Of few runs the draws scatter too little: on simulated tables of the study's design, with 9 runs, percentile intervals
of a nominal 95% held the truth in 76 to 86% (benchmarks/results/coverage.json). For an interval of one coefficient
take CR2 and t (`by_run`) or a profile (`profiles`).
"""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitData, FitError, FitStatus
from helpers.analyse.fits.fit import Maximum, Standardised, ends_of_search, fit_at, scaled_model
from helpers.analyse.fits.likelihood import RelativeSpreadModel
from helpers.analyse.fits.result import Draws, FitResult
from helpers.analyse.laws.law import Law

WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])
MOST_STEPS = 200
HALVINGS = 25
DECREMENT = 1e-14  # of the log-likelihood: below it a step can't be told from rounding
LEAST_CONVERGED = 0.9  # share of replicates


def score_to_the_top(
    model: RelativeSpreadModel, start: FloatArray, free: np.ndarray, ends: tuple[FloatArray, FloatArray]
) -> FloatArray | None:
    """Return the parameters of the maximum that Fisher scoring with step halving reaches; None where it doesn't.

    Parameters that aren't `free` stay; the others are held between `ends`, lowest and highest. One that is at its end
    and would go on stays there while the rest moves (projected scoring: Bertsekas 1982, SIAM J. Control Optim. 20).
    """
    low, high = ends
    params, value = start, model.loglike(start)
    for _ in range(MOST_STEPS):
        score, fisher = model.score_and_fisher(params)
        places = np.flatnonzero(free & ~((params <= low) & (score < 0)) & ~((params >= high) & (score > 0)))
        step = np.zeros(params.size)
        step[places] = np.linalg.lstsq(fisher[np.ix_(places, places)], score[places])[0]
        if score @ step < DECREMENT * max(1.0, abs(value)):
            return np.clip(params + step, low, high)
        for halving in range(HALVINGS):
            new = np.clip(params + 0.5**halving * step, low, high)
            new_value = model.loglike(new)
            if new_value > value:
                params, value = new, new_value
                break
        else:
            return params  # no step up is left: rounding
    return None


@dataclass(frozen=True, eq=False)
class WarmFit:
    """A fit that is made again from its estimate, for other values of QiD in the same rows."""

    law_type: type[Law]
    data: FitData
    model: RelativeSpreadModel
    scaled: Standardised
    start: FloatArray  # coordinates of the estimate, and ln tau
    free: np.ndarray
    ends: tuple[FloatArray, FloatArray]

    @classmethod
    def of(cls, fit: FitResult) -> "WarmFit":
        """Prepare a fit to be made again, in coordinates standardised at its estimate. What is at a bound stays."""
        law_type, estimate, x = type(fit.law), fit.law.coefficients, fit.data.asked(fit.law)
        model, scaled = scaled_model(law_type, fit.data, x, estimate, fit.tail_freedom)
        start = np.append(np.linalg.solve(scaled.to_coefficients, estimate), np.log(fit.tau))
        free = np.append(fit.free, "ln_tau" not in fit.bounds_hit)
        return cls(law_type, fit.data, model, scaled, start, free, ends_of_search(law_type, x, scaled, start))

    def params(self, outcome_nats: FloatArray) -> FloatArray | None:
        """Return coefficients and ln tau fitted to `outcome_nats`, (n_rows,); None where no maximum is reached."""
        self.model.endog = outcome_nats
        found = score_to_the_top(self.model, self.start, self.free, self.ends)
        return None if found is None else np.append(self.scaled.to_coefficients @ found[:-1], found[-1])

    def fit(self, outcome_nats: FloatArray, level: float = 0.95) -> FitResult:
        """Return the whole result for `outcome_nats`, shape (n_rows,). Raises FitError where no maximum is reached."""
        params = self.params(outcome_nats)
        if params is None:
            raise FitError("no maximum was reached from the estimate", FitStatus.FAILED)
        coordinates = np.append(np.linalg.solve(self.scaled.to_coefficients, params[:-1]), params[-1])
        at_bound = ~self.free | (coordinates <= self.ends[0]) | (coordinates >= self.ends[1])
        maximum = Maximum(params[:-1], float(params[-1]), float(self.model.loglike(coordinates)), at_bound)
        data = dataclasses.replace(self.data, outcome_nats=outcome_nats)
        return fit_at(self.law_type, data, maximum, level, self.model.tail_freedom)


def wild_replicates(fit: FitResult, n_draws: int, generator: np.random.Generator) -> Iterator[FloatArray]:
    """Yield QiD of `n_draws` replicates, each of shape (n_rows,). Raises FitError below two runs."""
    labels, places = np.unique(fit.data.runs, return_inverse=True)
    if labels.size < 2:
        raise FitError("a bootstrap by training run needs two runs or more; got 1", FitStatus.NOT_IDENTIFIABLE)
    for _ in range(n_draws):
        yield fit.fitted_nats + generator.choice(WEBB, labels.size)[places] * fit.residuals_nats


def refits(fit: FitResult, qids_nats: Iterable[FloatArray]) -> FloatArray:
    """Return coefficients and ln tau fitted to each of `qids_nats` in place of the measured QiD: (draws, p + 1).

    Each has shape (n_rows,), in nats per token. Errors, design and what lies at a bound stay. NaN: no maximum reached.
    """
    warm = WarmFit.of(fit)
    nothing = np.full(warm.start.size, np.nan)
    return np.array([nothing if found is None else found for found in map(warm.params, qids_nats)])


def refuse_few_converged(n_converged: int, n_draws: int) -> None:
    """Raise FitError where less than LEAST_CONVERGED of the replicates reached a maximum."""
    if n_converged < LEAST_CONVERGED * n_draws:
        raise FitError(f"only {n_converged} of {n_draws} replicates reached a maximum", FitStatus.FAILED)


def wild_bootstrap(fit: FitResult, n_draws: int, generator: np.random.Generator) -> Draws:
    """Return `n_draws` refits of `fit` (fewer where some fail). Coefficients at a bound stay there.

    Raises FitError below two runs, or where less than LEAST_CONVERGED of the replicates converge.
    """
    params = refits(fit, wild_replicates(fit, n_draws, generator))
    params = params[np.isfinite(params).all(axis=1)]
    refuse_few_converged(len(params), n_draws)
    return Draws(fit.coefficient_names, params[:, :-1], np.exp(params[:, -1]), n_draws - len(params))


def document_refits(fit: FitResult, document_qid_nats: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the coefficients on draws of documents, (n_draws, n_coefficients); NaN: no maximum reached.

    `document_qid_nats` is (n_rows, n_documents), in nats per token; `counts`, (n_documents, n_draws), says how often
    each document is in each draw. Every row gets its mean over the same documents; its error stays.
    """
    return refits(fit, (document_qid_nats @ (counts / counts.sum(axis=0))).T)[:, :-1]
