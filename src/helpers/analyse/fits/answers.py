"""Questions to a law: the QiD it predicts, or the tokens, size or bits at which QiD is a given one, with intervals.

A fitted law knows its error as draws of its coefficients, by training run. ln QiD of a new run is a mixture of normal
distributions, one per draw: around the draw's mean, with its tau as standard deviation. So an interval never reaches
below zero. That of QiD lies between two quantiles of the mixture; that of a variable holds the values at which the
given QiD lies in QiD's interval.
Outside of the fitted ranges both take the form of the law to be true, and runs to scatter there as inside
(`by_run.draws_by_run` says what that costs).
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize
from scipy.special import ndtr

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.result import Draws
from helpers.analyse.fits.stored import NamedFits
from helpers.analyse.laws.law import Law, bisect
from helpers.analyse.laws.loss import SizeAndTokensLaw, bounds_hit
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.laws.variables import SEARCHED, LawError, Variables
from helpers.table import records

LEVEL = 0.90  # of the intervals
LOSSES = ("loss_nats", "room_nats")  # what a loss law can fill in
PUBLISHED_HAVE_NONE = "published constants come without the errors that an interval needs"
GRID_POINTS = 241
REFINEMENTS = 5  # of a cell of the grid by a grid: 1e-9 of ln x at most
FAR = 10.0  # standard deviations beyond every draw

Given = Mapping[str, ArrayLike | None]  # variables by name, as in `VARIABLES`, and `vocabulary_size`


@dataclass(frozen=True, eq=False)
class KnownLaw:
    """A law with what is known of its error and, if it needs the 16-bit loss, with a law that predicts it."""

    law: Law
    draws: Draws | None  # None: no interval
    no_interval_because: str
    loss_law: SizeAndTokensLaw | None = None
    loss_log_rms: float = 0.0  # of ln(predicted / true) 16-bit loss

    def predicts_loss(self, given: Given) -> bool:
        """Return whether the loss law has to fill in what `given` lacks."""
        return self.loss_law is not None and any(
            name in self.law.needs() and given.get(name) is None and given.get("loss_nats") is None for name in LOSSES
        )

    def trouble_with_loss(self, given: Given) -> str:
        """Return a sentence on the loss law's trouble where it has to predict the loss; empty if none is known."""
        hit = bounds_hit(records.given(self.loss_law)) if self.predicts_loss(given) else ()
        what = f"the 16-bit loss is predicted by a law with {' and '.join(hit)} at a bound of its fit"
        return f"{what}: its rows don't identify it; give the loss if it is known" if hit else ""

    def filled(self, given: Given, log_loss_shift: float = 0.0) -> dict[str, ArrayLike]:
        """Return the given variables, with the 16-bit loss (or room below guessing) where it is needed and missing.

        `log_loss_shift` is added to ln of a predicted loss. Raises LawError for what is missing.
        """
        known = {name: value for name, value in given.items() if value is not None}
        predicted = self.predicts_loss(given)
        if predicted:
            loss = records.given(self.loss_law).predict(known.get("tokens"), known.get("n_params"))
            known["loss_nats"] = loss * math.exp(log_loss_shift)
        if "room_nats" in self.law.needs() and "room_nats" not in known and "loss_nats" in known:
            if "vocabulary_size" not in known:
                raise LawError("room below uniform guessing needs the vocabulary's size ('vocabulary_size')")
            room = np.log(np.asarray(known["vocabulary_size"], float)) - np.asarray(known["loss_nats"], float)
            # A model that is predicted to be worse than guessing has no room; in the form's limit it has no QiD either.
            known["room_nats"] = np.maximum(room, SEARCHED["room_nats"][0]) if predicted else room
        return known

    def ask(self, given: Given, log_loss_shift: float = 0.0) -> Variables:
        """Return the law's variables. Raises LawError for what is missing or can't be asked."""
        return self.law.ask(self.filled(given, log_loss_shift))

    def log_qid(self, given: Given, log_loss_shift: float = 0.0) -> FloatArray:
        """Return ln QiD in the broadcast shape of the given variables. Raises LawError (see `ask`)."""
        return self.law.evaluate(self.law.coefficients, self.ask(given, log_loss_shift))[0]

    def mixture(self, given: Given) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of ln QiD of a new run by draw, both of shape (n_draws, ...)."""
        x, draws = self.ask(given), records.given(self.draws)
        means = np.stack([self.law.evaluate(coefficients, x)[0] for coefficients in draws.coefficients])
        from_loss = np.zeros(means.shape[1:])
        if self.predicts_loss(given):
            there, beside = self.log_qid(given), self.log_qid(given, self.loss_log_rms)
            np.subtract(beside, there, out=from_loss, where=np.isfinite(there))  # infinite up to one bit, by some laws
        tau = draws.tau.reshape(-1, *[1] * from_loss.ndim)
        return means, np.hypot(tau, from_loss)


@dataclass(frozen=True)
class Answer:
    """A law's answer: QiD in nats per token, or a variable's value. An end of the interval that isn't there is NaN."""

    value: float
    low: float
    high: float
    outside: tuple[str, ...]  # variables beyond the range that was fitted: an extrapolation if there are any
    ranges: dict[str, tuple[float, float]]  # of each variable of the law where it was fitted
    interval: str  # what the interval is, or why there is none


def published_law(name: str, bits: float | None = None) -> KnownLaw:
    """Return a law of `PUBLISHED`; `bits` picks one of several. Raises LawError for bits that it doesn't have."""
    laws = PUBLISHED[name]
    if isinstance(laws, Law):
        return KnownLaw(laws, None, PUBLISHED_HAVE_NONE)
    if bits is None or bits not in laws:
        said = "" if bits is None else f"; got {bits:g}"
        raise LawError(f"{name} is one law a bit width P, of {', '.join(map(str, laws))}{said}")
    return KnownLaw(laws[bits], None, PUBLISHED_HAVE_NONE)


def fitted_law(fits: NamedFits, name: str, bits: float | None = None) -> KnownLaw:
    """Return a fit as a law that can be asked. Raises FitError and LawError (see `NamedFits.fit`)."""
    fit = fits.fit(name, bits)
    return KnownLaw(fit.law, fit.draws, fit.no_draws_because, fits.loss_law, fits.loss_log_rms)


def _within_floats(ask: Callable[..., Answer]) -> Callable[..., Answer]:
    """Return a question whose answer floats hold: LawError where they don't, NaN for an end that they don't hold.

    Infinity is no answer either, though it is some laws' own limit at or below one bit.
    """

    @functools.wraps(ask)
    def asked(*args: object, **options: object) -> Answer:
        try:
            with np.errstate(all="ignore"):
                found = ask(*args, **options)
        except LawError:  # a ValueError too, but it says itself what is wrong
            raise
        except (ArithmeticError, ValueError) as error:
            raise LawError(f"the law has no answer there that a float holds ({error})") from None
        if not math.isfinite(found.value):
            beyond = ", ".join(
                "{} beyond the fitted {:.3g} to {:.3g}".format(x, *found.ranges[x]) for x in found.outside
            )
            raise LawError(f"the law has no answer there that a float holds{beyond and ': '}{beyond}")
        low, high = (math.nan if math.isinf(end) else end for end in (found.low, found.high))
        return dataclasses.replace(found, low=low, high=high)

    return asked


@_within_floats
def predict(known: KnownLaw, given: Given, level: float = LEVEL) -> Answer:
    """Return the QiD of one model, in nats per token, with its interval. Raises LawError for what can't be asked."""
    low = high = math.nan
    if known.draws is not None:
        means, deviations = known.mixture(given)
        low, high = (_quantile(means, deviations, 0.5 + side * level / 2) for side in (-1, 1))
    with np.errstate(over="raise"):  # of an infinity of the law's own nothing overflows
        value = float(np.exp(known.log_qid(given)))
    return _answer(known, given, value, low, high, level)


def _quantile(means: FloatArray, deviations: FloatArray, share: float) -> float:
    """Return a quantile of QiD, in nats per token: 0 or infinity when at least that share of the draws is."""
    if np.mean(np.isneginf(means)) >= share:
        return 0.0
    if np.mean(np.isposinf(means)) >= 1 - share:
        return math.inf
    reach, finite = FAR * deviations.max(), means[np.isfinite(means)]
    log_quantile = optimize.brentq(
        lambda log_qid: np.mean(ndtr((log_qid - means) / deviations)) - share,
        finite.min() - reach,
        finite.max() + reach,
    )
    return math.exp(log_quantile)


@_within_floats
def invert(known: KnownLaw, variable: str, qid_nats: float, given: Given, level: float = LEVEL) -> Answer:
    """Return the value of `variable` at which the QiD of one model is `qid_nats`, with its interval.

    An end of the interval that `SEARCHED` doesn't hold is NaN. Raises LawError where there is no solution.
    """
    if not qid_nats > 0:
        raise LawError(f"a law is solved for a positive QiD; got {qid_nats:g}")
    known_variables = {name: value for name, value in given.items() if value is not None and name != variable}
    target = math.log(qid_nats)
    if known.predicts_loss(known_variables):
        value = bisect(lambda values: known.log_qid(known_variables | {variable: values}) > target, variable, ())
    else:
        value = known.law.solve(variable, qid_nats, **known.filled(known_variables))
    if not np.isfinite(value):
        raise LawError(f"no {variable} that a float holds has a QiD of {qid_nats:g}")
    low = high = math.nan
    if known.draws is not None:

        def share_below(values: FloatArray) -> FloatArray:
            means, deviations = known.mixture(known_variables | {variable: values})
            return ndtr((target - means) / deviations).mean(axis=0)

        def place_of(share: float) -> float:
            return _last_change(lambda values: share_below(values) > share, variable)

        ends = [place_of(0.5 + side * level / 2) for side in (-1, 1)]
        # Where QiD rises with the variable, its upper quantile gets there first; where it falls, the lower one.
        rising = share_below(np.array([value * 0.999]))[0] >= share_below(np.array([value * 1.001]))[0]
        low, high = ends[::-1] if rising else ends
        # QiD that turns has more places; one that isn't on its side of the value is no end of this interval.
        low, high = (low if low <= value else math.nan), (high if high >= value else math.nan)
    return _answer(known, known_variables | {variable: float(value)}, float(value), low, high, level)


def _last_change(above: Callable[[FloatArray], NDArray[np.bool_]], variable: str) -> float:
    """Return the largest value at which `above` changes, NaN if none: `laws.law.bisect` for a function slow to call.

    `above` takes all values of a grid together; the cell with the change gets a grid of its own, again and again.
    """
    low, high = np.log(SEARCHED[variable])
    for _ in range(REFINEMENTS):
        grid = np.linspace(low, high, GRID_POINTS)
        sides = above(np.exp(grid))
        changes = np.flatnonzero(sides[1:] != sides[:-1])
        if changes.size == 0:
            return math.nan
        low, high = grid[changes[-1]], grid[changes[-1] + 1]
    return math.exp((low + high) / 2)


def _answer(known: KnownLaw, given: Given, value: float, low: float, high: float, level: float) -> Answer:
    x = known.ask(given)
    ranges = {name: known.law.validity.of(name) for name in known.law.needs()}
    inside = {name: ranges[name][0] <= float(values) <= ranges[name][1] for name, values in x.items()}
    outside = tuple(name for name, within in inside.items() if not within)
    words = known.no_interval_because or f"{level:.0%}, for a new training run"
    return Answer(value, low, high, outside, ranges, words)
