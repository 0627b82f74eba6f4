"""Profile intervals: which values of one coefficient the rows allow when all others are fitted anew.

The profile of a coefficient is the likelihood with it held and everything else, tau too, at its best. The interval
is where twice the logarithm of that likelihood lies less than a threshold below the top (Venzon and Moolgavkar 1988,
Applied Statistics 37). It follows a likelihood that isn't a parabola: an onset or a ceiling may have a limit on one
side only, which a symmetric interval hides. With the rows taken to be independent the threshold is the quantile of
chi square with one degree of freedom. By training run it is t^2 times the design effect: the clustered variance over
the one that the likelihood's curvature gives (the vertical adjustment of Chandler and Bate 2007, Biometrika 94). Where
the profile is a parabola that is the interval of `by_run.clustered_by_run`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.bootstrap import score_to_the_top
from helpers.analyse.fits.data import FitError, FitStatus
from helpers.analyse.fits.fit import Standardised, ends_of_search, model_in
from helpers.analyse.fits.likelihood import RelativeSpreadModel
from helpers.analyse.fits.result import FitResult

ERRORS_SEARCHED = 64.0  # standard errors to both sides of a coefficient for which the law has no bounds
FIRST_STEPS = 64  # of the range of a coefficient that has no standard error
HIGHER = 1e-6  # of twice the log-likelihood: by so much a profile may exceed the fit before that isn't the maximum
PLACE_TOLERANCE = 1e-6  # of an end of the interval, in steps


@dataclass(frozen=True)
class ProfileInterval:
    """Interval of one coefficient; an end is infinite where the profile doesn't close inside `searched`."""

    name: str
    estimate: float
    low: float
    high: float
    level: float
    searched: tuple[float, float]
    threshold: float  # on twice the fall of the log-likelihood
    method: str

    @property
    def open_sides(self) -> tuple[str, ...]:
        """Return the sides, `low` and `high`, on which the rows set no limit."""
        return tuple(side for side in ("low", "high") if np.isinf(getattr(self, side)))


@dataclass(frozen=True, eq=False)
class _Profile:
    """The likelihood with the coefficient at `place` held, in the law's own coefficients."""

    model: RelativeSpreadModel
    top: FloatArray  # coefficients and ln tau of the fit
    value: float  # log-likelihood there
    place: int
    free: np.ndarray  # what is fitted anew
    ends: tuple[FloatArray, FloatArray]

    @classmethod
    def of(cls, fit: FitResult, place: int) -> "_Profile":
        law_type, estimate, x = type(fit.law), fit.law.coefficients, fit.data.asked(fit.law)
        unscaled = Standardised(np.eye(estimate.size), np.ones(estimate.size - 1))
        model = model_in(unscaled, law_type, fit.data, x, fit.tail_freedom)
        top = np.append(estimate, np.log(fit.tau))
        free = np.append(fit.free, "ln_tau" not in fit.bounds_hit)
        free[place] = False
        ends = ends_of_search(law_type, x, unscaled, top, reach=np.inf)  # ln k goes far when an exponent moves
        return cls(model, top, float(model.loglike(top)), place, free, ends)

    def best(self, held: float, start: FloatArray) -> tuple[FloatArray, float]:
        """Return the best parameters with the coefficient at `held`, and by how much 2 ln likelihood has fallen.

        From `start` the others are moved along before they are fitted, as the information there says: a few steps each.
        """
        begin = np.clip(start + self._along(start)[0] * (held - start[self.place]), *self.ends)
        begin[self.place] = held
        params = score_to_the_top(self.model, begin, self.free, self.ends)
        if params is None:
            raise FitError(f"the profile has no maximum at {held:.6g}", FitStatus.FAILED)
        fall = 2 * (self.value - float(self.model.loglike(params)))
        if fall < -HIGHER:
            raise FitError(f"the fit isn't the maximum: at {held:.6g} the likelihood is higher", FitStatus.FAILED)
        return params, fall

    def _along(self, params: FloatArray) -> tuple[FloatArray, float]:
        """Return by how much the others follow one unit of the coefficient, and the information then left on it."""
        fisher, others = self.model.fisher(params), np.flatnonzero(self.free)
        along = np.zeros(params.size)
        along[self.place] = 1.0
        along[others] = -np.linalg.lstsq(fisher[np.ix_(others, others)], fisher[others, self.place])[0]
        return along, float(fisher[self.place] @ along)

    def variance(self) -> float:
        """Return the coefficient's variance by the likelihood's expected curvature, the others and tau fitted."""
        return 1 / self._along(self.top)[1]

    def _beyond(self, held: float, start: FloatArray, threshold: float) -> float:
        return self.best(held, start)[1] - threshold

    def end(self, step: float, limit: float, threshold: float) -> float:
        """Return the value at which the fall reaches `threshold` on the coefficient's way to `limit`; infinite if none.

        Steps double in size; what lies beyond the first crossing isn't looked at.
        """
        inside, params, side = self.top[self.place], self.top, np.sign(step)
        for outside in _outwards(inside, step, limit):
            beyond, fall = self.best(outside, params)
            if fall >= threshold:
                xtol = PLACE_TOLERANCE * abs(step)
                return optimize.brentq(self._beyond, inside, outside, args=(params, threshold), xtol=xtol)
            inside, params = outside, beyond
        return side * np.inf


def _outwards(begin: float, step: float, limit: float) -> Iterator[float]:
    """Yield the places begin + step, begin + 3 step, begin + 7 step, ... and at last `limit`."""
    place = begin + step
    while abs(place - begin) < abs(limit - begin):
        yield place
        step *= 2
        place += step
    if limit != begin:
        yield limit


def profile_interval(fit: FitResult, name: str, level: float = 0.95) -> ProfileInterval:
    """Return the profile interval of the coefficient `name` of `fit`: by training run if the fit's own intervals are.

    The part around the estimate: a profile with several hills may have others. Raises ValueError for another name and
    FitError (failed) where a maximum isn't reached or the profile rises above the fit.
    """
    place = fit.coefficient_names.index(name)
    profile = _Profile.of(fit, place)
    estimate, freedom = float(profile.top[place]), fit.degrees_of_freedom[place]
    by_run = np.isfinite(freedom) and fit.free[place]
    variance = profile.variance()
    factor = fit.covariance[place, place] / variance if by_run else 1.0
    threshold = float(factor * stats.t.ppf(0.5 + level / 2, freedom if by_run else np.inf) ** 2)
    spread = float(np.sqrt(factor * variance))
    searched = estimate - ERRORS_SEARCHED * spread, estimate + ERRORS_SEARCHED * spread
    if name in type(fit.law).bounds(fit.data.asked(fit.law)):
        searched = float(profile.ends[0][place]), float(profile.ends[1][place])
    step = spread if fit.free[place] else (searched[1] - searched[0]) / FIRST_STEPS
    low, high = (profile.end(side * step, limit, threshold) for side, limit in zip((-1, 1), searched, strict=True))
    method = "by training run: threshold t^2 times the design effect of CR2" if by_run else "rows taken as independent"
    return ProfileInterval(name, estimate, float(low), float(high), level, searched, threshold, method)
