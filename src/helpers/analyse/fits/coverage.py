"""How often intervals hold the truth: tables with the study's own design, planted from a law and refitted.

Every simulated table has the rows of the study (N, D, bits, one training run per size) and its paired errors; QiD is
what the law says times a run's luck and a row's. Luck is log-normal with mean one: the law is the mean of the tables.

Two kinds of intervals are tried: those of the coefficients (`trials`), and those of what the refitted law says inside
and outside of the rows, of the law itself and of a new training run there (`prediction_trials`).
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import signal, stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.answers import KnownLaw, predict
from helpers.analyse.fits.bootstrap import WarmFit, wild_bootstrap
from helpers.analyse.fits.by_run import clustered_by_run, draws_by_run, with_steps
from helpers.analyse.fits.data import FitData, FitError
from helpers.analyse.fits.profiles import profile_interval
from helpers.analyse.fits.result import Draws, FitResult
from helpers.analyse.laws.loss import SizeAndTokensLaw
from helpers.analyse.laws.variables import Variables
from helpers.analyse.rows.noise import training_seeds
from helpers.analyse.rows.study import LATE_TOKENS, gptq_of_study, rows_of_seeds

ROWS, CR2, PROFILE, BOOTSTRAP = "rows independent", "CR2 and t", "profile by run", "wild bootstrap, percentile"
TWO_WAY = "by run and step"
METHODS = (ROWS, CR2, PROFILE, BOOTSTRAP)
LEVEL = 0.95
BOOTSTRAP_DRAWS = 199

DRAWN = "draws by run, percentile"
DRAWN_TWO_WAY = "draws by run and step, percentile"
PREDICTION_METHODS = (DRAWN, CR2, BOOTSTRAP)
PREDICTION_LEVEL = 0.90
DRAWN_DRAWS = 399
PLACES = ("inside", "ten times beyond", "70B at 10T")
ASKED = tuple(f"{what}, {place}" for what in ("law", "new run") for place in PLACES)


@dataclass(frozen=True)
class Luck:
    """Standard deviations of what moves ln QiD around the law: of a run as a whole, of its own exponents, of a row."""

    run: float
    run_tokens: float  # of the exponent of D, around the law's
    run_bits: float  # of the exponent of P
    row: float
    step: float = 0.0  # shared by the rows of one step (one D) in all runs, which read the same batches
    step_memory: float = 0.0  # correlation of a step's luck with that of the step before

    def draw(self, data: FitData, generator: np.random.Generator) -> FloatArray:
        """Return a factor per row, of mean one, shape (n_rows,); ln D and ln P are taken about their means."""
        labels, places = np.unique(data.runs, return_inverse=True)
        columns = self._columns(data.tokens, data.bits, data)
        of_runs = (columns * generator.normal(size=(labels.size, 3))[places]).sum(axis=1)
        variance = (columns**2).sum(axis=1) + self.row**2 + self.step**2
        of_rows = self.row * generator.normal(size=places.size)
        return np.exp(of_runs + of_rows + self._draw_steps(data.tokens, generator) - variance / 2)

    def _draw_steps(self, tokens: FloatArray, generator: np.random.Generator) -> FloatArray:
        """Return what steps add to ln QiD, shape (n_rows,): an autoregression of order one along D."""
        steps, places = np.unique(tokens, return_inverse=True)
        if not self.step:
            return np.zeros(tokens.shape)
        normal = generator.normal(size=steps.size)
        normal[1:] *= np.sqrt(1 - self.step_memory**2)
        of_steps: FloatArray = self.step * signal.lfilter([1.0], [1.0, -self.step_memory], normal)
        return of_steps[places]

    def draw_new_runs(self, x: Variables, data: FitData, generator: np.random.Generator) -> FloatArray:
        """Return a factor per place, of mean one, shape (n_places,): each is of a new run, beside those of `data`."""
        variance = (self._columns(x["tokens"], x["bits"], data) ** 2).sum(axis=1) + self.row**2 + self.step**2
        return np.exp(np.sqrt(variance) * generator.normal(size=variance.size) - variance / 2)

    def _columns(self, tokens: FloatArray, bits: FloatArray, data: FitData) -> FloatArray:
        """Return the columns, (n, 3), by which a run's normal numbers add to ln QiD; about the means of `data`."""
        about = [np.log(there) - np.log(own).mean() for there, own in ((tokens, data.tokens), (bits, data.bits))]
        return np.column_stack([np.ones(tokens.size), *about]) * [self.run, self.run_tokens, self.run_bits]


def seed_spread(measured: pd.DataFrame) -> float:
    """Return the largest relative standard deviation, over bit widths, of late QiD between training seeds."""
    rows = gptq_of_study(measured)
    late = rows[(rows["calib_seed"] == 0) & (rows["tokens_seen"] > LATE_TOKENS)]
    return float(training_seeds(rows_of_seeds(late))["relative_sd"].max())


def luck_of_seeds(fit: FitResult, spread: float) -> Luck:
    """Return the luck of runs that differ as training seeds do, all rows of a run alike; rows have the rest of tau."""
    return Luck(spread, 0.0, 0.0, float(np.sqrt(max(fit.tau**2 - spread**2, (0.1 * fit.tau) ** 2))))


def luck_of_residuals(fit: FitResult, spread: float) -> Luck:
    """Return the luck of runs that differ as the fit's own relative residuals do, in level and in both exponents.

    A plane through each run's residuals; the mean squares of its coefficients, less what the scatter of rows alone adds
    to them, and no less than `spread` for the level. What the law itself has taken away (k and alpha of the level,
    beta, gamma) is given back by degrees of freedom.
    """
    relative = fit.residuals_nats / fit.fitted_nats
    logs = np.column_stack([np.log(fit.data.tokens), np.log(fit.data.bits)])
    columns = np.column_stack([np.ones(fit.n_rows), logs - logs.mean(axis=0)])
    labels, planes, from_rows, left = np.unique(fit.data.runs), [], [], 0.0
    for label in labels:
        mine = fit.data.runs == label
        planes.append(np.linalg.lstsq(columns[mine], relative[mine])[0])
        from_rows.append(np.diag(np.linalg.inv(columns[mine].T @ columns[mine])))
        left += float(((relative[mine] - columns[mine] @ planes[-1]) ** 2).sum())
    of_row = left / (fit.n_rows - 3 * labels.size)
    squares = (np.array(planes) ** 2).sum(axis=0) / (labels.size - np.array([2, 1, 1]))
    level, of_tokens, of_bits = np.sqrt(np.maximum(squares - of_row * np.mean(from_rows, axis=0), 0.0))
    return Luck(max(float(level), spread), float(of_tokens), float(of_bits), float(np.sqrt(of_row)))


def luck_of_steps(fit: FitResult, luck: Luck, memory: bool) -> Luck:
    """Return `luck` with a part of the rows' luck shared by all runs at a step, as the fit's own residuals share it.

    Each run's plane is taken off, as in `luck_of_residuals`; the variance of the means by step, less what the scatter
    of single rows adds to it, is the steps'. `memory` says whether neighbouring steps are as alike as these means are:
    a bend that all runs share; else each step is drawn by itself.
    """
    logs = np.column_stack([np.log(fit.data.tokens), np.log(fit.data.bits)])
    columns = np.column_stack([np.ones(fit.n_rows), logs - logs.mean(axis=0)])
    left = fit.residuals_nats / fit.fitted_nats
    for label in np.unique(fit.data.runs):
        mine = fit.data.runs == label
        left[mine] -= columns[mine] @ np.linalg.lstsq(columns[mine], left[mine])[0]
    steps, places = np.unique(fit.data.tokens, return_inverse=True)
    counts = np.bincount(places)
    means = np.bincount(places, left) / counts
    of_rows = float(np.mean((left - means[places]) ** 2 / counts[places]))
    shared = max(float((means**2).sum() / (steps.size - 2)) - of_rows, 0.0)  # a plane takes a level and a slope
    kept = float(np.corrcoef(means[:-1], means[1:])[0, 1]) if memory else 0.0
    row = float(np.sqrt(max(luck.row**2 - shared, (0.1 * luck.row) ** 2)))
    return dataclasses.replace(luck, row=row, step=float(np.sqrt(shared)), step_memory=max(kept, 0.0))


def simulate(truth: FitResult, luck: Luck, generator: np.random.Generator) -> FloatArray:
    """Return the QiD of one table, shape (n_rows,): the law of `truth`, luck, and noise of the rows' paired errors."""
    return truth.fitted_nats * luck.draw(truth.data, generator) + generator.normal(0, truth.data.outcome_se_nats)


def limits(fit: FitResult, method: str, generator: np.random.Generator) -> FloatArray:
    """Return intervals of the coefficients but the first (ln k) by a method, `TWO_WAY` too: (n_coefficients - 1, 2).

    Raises FitError where the method can't give any.
    """
    if method == ROWS:
        return fit.intervals[1:]
    if method == BOOTSTRAP:
        return wild_bootstrap(fit, BOOTSTRAP_DRAWS, generator).intervals(fit.level)[1:]
    by_run = clustered_by_run(fit)
    if method == CR2:
        return by_run.intervals[1:]
    if method == TWO_WAY:
        return with_steps(by_run).intervals[1:]
    profiles = (profile_interval(by_run, name, fit.level) for name in fit.coefficient_names[1:])
    return np.array([(one.low, one.high) for one in profiles])


def trials(truth: FitResult, luck: Luck, methods: Sequence[str], tables: Iterable[int], seed: int) -> pd.DataFrame:
    """Return one row per table, method and coefficient: `low`, `high`, `covered`; no limits where `reason` says why.

    A table is drawn by its number and `seed` alone: other tables and methods don't move it. Its fit starts at the
    truth, and is the one that statsmodels would reach.
    """
    warm, tried = WarmFit.of(truth), []
    for table in tables:
        generator = np.random.default_rng([seed, table])
        fit = warm.fit(simulate(truth, luck, generator), LEVEL)
        planted = dict(zip(truth.coefficient_names[1:], truth.law.coefficients[1:], strict=True))
        tried += _tried(table, planted, methods, partial(limits, fit, generator=generator))
    return pd.DataFrame(tried)


def _tried(
    table: int, planted: Mapping[str, float], methods: Sequence[str], limits_by: Callable[[str], FloatArray]
) -> list[dict[str, object]]:
    """Return one row per method and quantity: whether its limits hold what was planted. No limits are a miss."""
    rows = []
    for method in methods:
        try:
            ends, reason = limits_by(method), ""
        except FitError as error:
            ends, reason = np.full((len(planted), 2), np.nan), str(error)
        for (quantity, true), (low, high) in zip(planted.items(), ends, strict=True):
            row = {"table": table, "method": method, "quantity": quantity, "low": low, "high": high}
            rows.append(row | {"covered": bool(low <= true <= high), "reason": reason})
    return rows


def places_of(data: FitData, loss_law: SizeAndTokensLaw) -> Variables:
    """Return the three `PLACES` at 3 bits, each variable of shape (3,); the 16-bit loss is what `loss_law` says there.

    Inside are the geometric means of D and N; beyond, ten times the largest of both.
    """
    tokens, n_params = (
        np.array([np.exp(np.log(values).mean()), 10 * values.max(), far])
        for values, far in ((data.tokens, 10e12), (data.n_params, 70e9))
    )
    loss = loss_law.predict(tokens, n_params)
    return {"tokens": tokens, "n_params": n_params, "bits": np.full(3, 3.0), "loss_nats": loss}


def prediction_limits(fit: FitResult, method: str, x: Variables, generator: np.random.Generator) -> FloatArray:
    """Return the intervals of ln QiD at places, of the law and then of a new run: shape (2 n_places, 2).

    CR2 is linear in the coefficients, with t(runs - 1), and adds tau^2 for a new run; draws give their percentiles,
    for a new run those of `answers.predict`. Raises FitError where the method can't give any.
    """
    if method == CR2:
        by_run = clustered_by_run(fit)
        log_mean, slopes = fit.law.evaluate(fit.law.coefficients, fit.law.ask(x))
        variance = np.einsum("ni,ij,nj->n", slopes, by_run.covariance, slopes)
        half = stats.t.ppf(0.5 + PREDICTION_LEVEL / 2, fit.n_runs - 1) * np.sqrt([variance, variance + fit.tau**2])
        return np.stack([log_mean - half, log_mean + half], axis=-1).reshape(-1, 2)
    if method == DRAWN_TWO_WAY:
        return _limits_of_draws(fit, draws_by_run(with_steps(clustered_by_run(fit)), DRAWN_DRAWS, generator), x)
    if method == DRAWN:
        return _limits_of_draws(fit, draws_by_run(clustered_by_run(fit), DRAWN_DRAWS, generator), x)
    return _limits_of_draws(fit, wild_bootstrap(fit, BOOTSTRAP_DRAWS, generator), x)


def _limits_of_draws(fit: FitResult, draws: Draws, x: Variables) -> FloatArray:
    known = KnownLaw(fit.law, draws, "")
    shares = [0.5 - PREDICTION_LEVEL / 2, 0.5 + PREDICTION_LEVEL / 2]
    of_law = np.quantile(known.mixture(x)[0], shares, axis=0).T
    asked = [{name: float(values[place]) for name, values in x.items()} for place in range(len(of_law))]
    answers = [predict(known, one, PREDICTION_LEVEL) for one in asked]
    return np.vstack([of_law, np.log([(answer.low, answer.high) for answer in answers])])


def prediction_trials(
    truth: FitResult, luck: Luck, methods: Sequence[str], x: Variables, tables: Iterable[int], seed: int
) -> pd.DataFrame:
    """Return one row per table, method and one of `ASKED`, as `trials` does: intervals of ln QiD at the places `x`.

    A table is one of `trials` of the same number and `seed`; each place gets a new run of its own per table.
    """
    warm, tried = WarmFit.of(truth), []
    log_mean = truth.law.evaluate(truth.law.coefficients, truth.law.ask(x))[0]
    for table in tables:
        generator = np.random.default_rng([seed, table])
        fit = warm.fit(simulate(truth, luck, generator), LEVEL)
        new = log_mean + np.log(luck.draw_new_runs(x, truth.data, generator))
        planted = dict(zip(ASKED, [*log_mean, *new], strict=True))
        tried += _tried(table, planted, methods, partial(prediction_limits, fit, x=x, generator=generator))
    return pd.DataFrame(tried)


def shares(tried: pd.DataFrame) -> pd.DataFrame:
    """Return one row per quantity and method of trials: how many tables, how many covered, their share.

    `share_low` and `share_high` are its 95% interval (Clopper and Pearson); tables without limits count as not covered
    and are in `n_without`. `median_width` is that of the intervals.
    """
    grouped = tried.assign(width=tried["high"] - tried["low"]).groupby(["quantity", "method"], sort=False)
    counted = grouped.agg(
        n_tables=("covered", "size"),
        n_covered=("covered", "sum"),
        n_without=("reason", lambda reasons: int((reasons != "").sum())),
        median_width=("width", "median"),
    ).reset_index()
    n, hit = counted["n_tables"], counted["n_covered"]
    low, high = stats.beta.ppf(0.025, hit, n - hit + 1), stats.beta.ppf(0.975, hit + 1, n - hit)
    return counted.assign(share=hit / n, share_low=np.nan_to_num(low), share_high=np.where(hit == n, 1.0, high))
