"""The likelihood of QiD: paired errors and a relative spread around a law, as a statsmodels model."""

from collections.abc import Callable

import numpy as np
from scipy.special import gammaln
from statsmodels.base.model import GenericLikelihoodModel

from helpers.analyse.arrays import FloatArray

LARGEST_LOG_MEAN = 100.0  # where a step too far of the optimiser is stopped, before it overflows
Mean = Callable[[FloatArray], tuple[FloatArray, FloatArray]]  # ln mu (n_rows,), slopes (n_rows, n_coefficients)


def tail_weights(squares: FloatArray, tail_freedom: float) -> FloatArray:
    """Return the weight of each row, (v + 1) / (v + z^2) with z^2 = `squares` in variances; 1 for normal errors."""
    if np.isinf(tail_freedom):
        return np.ones(squares.shape)
    return (tail_freedom + 1) / (tail_freedom + squares)


class RelativeSpreadModel(GenericLikelihoodModel):  # type: ignore[misc]  # statsmodels has no types
    """Likelihood of QiD with ln mean and its slopes from `mean` and squared scale se^2 + tau^2 mean^2.

    Parameters are the coefficients followed by ln tau; errors have Student's t with `tail_freedom` (infinite: normal).
    """

    def __init__(
        self,
        outcome_nats: FloatArray,
        mean: Mean,
        n_coefficients: int,
        outcome_se_nats: FloatArray,
        tail_freedom: float,
    ) -> None:
        self.mean, self.outcome_se_nats, self.tail_freedom = mean, outcome_se_nats, tail_freedom
        columns = np.eye(outcome_nats.size, n_coefficients)  # statsmodels counts parameters by columns; no other use
        columns[:, 0] = 1.0
        super().__init__(outcome_nats, columns, extra_params_names=["ln_tau"])

    def _moments(self, params: FloatArray) -> tuple[FloatArray, ...]:
        """Return residual, tau^2 mu^2, the whole squared scale, each of shape (n_rows,), and the slopes."""
        log_mean, slopes = self.mean(params[:-1])
        mean = np.exp(np.minimum(log_mean, LARGEST_LOG_MEAN))
        spread = np.exp(2 * params[-1]) * mean**2
        return self.endog - mean, spread, self.outcome_se_nats**2 + spread, slopes

    def loglikeobs(self, params: FloatArray) -> FloatArray:
        """Return the log-likelihood of each row, shape (n_rows,)."""
        residual, _, variance, _ = self._moments(params)
        squares, v = residual**2 / variance, self.tail_freedom
        if np.isinf(v):
            return -0.5 * (np.log(2 * np.pi * variance) + squares)
        constant = gammaln((v + 1) / 2) - gammaln(v / 2) - 0.5 * np.log(v * np.pi)
        return constant - 0.5 * np.log(variance) - (v + 1) / 2 * np.log1p(squares / v)

    def score(self, params: FloatArray) -> FloatArray:
        """Return the gradient of the log-likelihood, shape (n_coefficients + 1,)."""
        return self._score(*self._moments(params))

    def fisher(self, params: FloatArray) -> FloatArray:
        """Return the expected information on the parameters, shape (n_coefficients + 1, n_coefficients + 1)."""
        return self._fisher(*self._moments(params))

    def score_and_fisher(self, params: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the gradient and the expected information, from one look at the law."""
        moments = self._moments(params)
        return self._score(*moments), self._fisher(*moments)

    def _score(self, residual: FloatArray, spread: FloatArray, variance: FloatArray, slopes: FloatArray) -> FloatArray:
        squares = residual**2 / variance
        weights = tail_weights(squares, self.tail_freedom)
        by_ln_tau = spread * (weights * squares - 1) / variance
        by_ln_mean = weights * residual * (self.endog - residual) / variance + by_ln_tau
        return np.append(slopes.T @ by_ln_mean, by_ln_tau.sum())

    def _fisher(self, residual: FloatArray, spread: FloatArray, variance: FloatArray, slopes: FloatArray) -> FloatArray:
        v = self.tail_freedom
        of_mean, of_scale = (1.0, 2.0) if np.isinf(v) else ((v + 1) / (v + 3), 2 * v / (v + 3))
        by_scale = np.column_stack([slopes, np.ones(len(slopes))]) * (spread / variance)[:, None]
        by_mean = slopes * ((self.endog - residual) / np.sqrt(variance))[:, None]
        found = of_scale * by_scale.T @ by_scale
        found[:-1, :-1] += of_mean * by_mean.T @ by_mean
        return found
