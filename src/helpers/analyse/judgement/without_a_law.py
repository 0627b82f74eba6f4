"""Predictors that are given no law: forests and boosting on what is known before rounding, scored as laws are.

They learn ln of an outcome (QiD or KL, nats per token). Runs are the unit: in turns, a run with its branches is never
on both sides of a fold, errors are counted by run, intervals give every run one vote. Hold-outs of the laws that part
tokens part runs too, as they do for laws. Tables are `known_before.with_features`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression

from helpers.analyse.arrays import FloatArray
from helpers.analyse.judgement.known_before import BITS, CURVATURE, FEATURES, PER_PARAMETER, SIZE, TOKENS
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.table.errors import AnalysisError

LEVEL = 0.80  # of intervals: eight runs, which is what some hold-outs leave, can't give 90%
N_FOLDS = 6
TREES, LEAF = 40, 3
REPEATS = 6
AS_IT_IS = "nothing shuffled"
ENDS = {"value": "mean", "low": "low", "high": "high"}

Predict = Callable[[pd.DataFrame], FloatArray]  # rows to ln of the outcome


@dataclass(frozen=True)
class Learner:
    """What is told (`columns`), and what makes an estimator from a seed; `over`: a column of ln guesses to correct."""

    columns: tuple[str, ...]
    make: Callable[[int], Any]
    over: str | None = None

    def fit(self, training: pd.DataFrame, outcome: Outcome, generator: np.random.Generator) -> Predict:
        """Return the predictor that the training rows make. Raises AnalysisError where an outcome isn't positive."""
        estimator = self.make(int(generator.integers(2**31)))
        names = list(self.columns)
        estimator.fit(training[names].to_numpy(float), log_outcome(training, outcome) - self._guess(training))

        def predict(rows: pd.DataFrame) -> FloatArray:
            said: FloatArray = estimator.predict(rows[names].to_numpy(float)) + self._guess(rows)
            return said

        return predict

    def _guess(self, rows: pd.DataFrame) -> FloatArray:
        return rows[self.over].to_numpy(float) if self.over else np.zeros(len(rows))


def log_outcome(rows: pd.DataFrame, outcome: Outcome) -> FloatArray:
    """Return ln of the outcome. Raises AnalysisError for rows where it isn't positive."""
    values = rows[outcome.column].to_numpy(float)
    if not (values > 0).all():
        raise AnalysisError(
            f"{int((~(values > 0)).sum())} rows without a positive {outcome.symbol}: it has no logarithm"
        )
    logarithms: FloatArray = np.log(values)
    return logarithms


def forest(seed: int) -> RandomForestRegressor:
    """Return a random forest that isn't fitted yet."""
    return RandomForestRegressor(TREES, min_samples_leaf=LEAF, max_features=1 / 3, random_state=seed)


def boosting(seed: int) -> GradientBoostingRegressor:
    """Return boosted trees that aren't fitted yet."""
    return GradientBoostingRegressor(
        n_estimators=150, max_depth=3, learning_rate=0.08, subsample=0.7, max_features=1 / 3, random_state=seed
    )


def least_squares(_seed: int) -> LinearRegression:
    """Return a straight line in all columns, which has nothing random."""
    return LinearRegression()


WITHOUT_SIZE = (*(name for name in FEATURES if name not in (SIZE, TOKENS)), *BITS)
LEARNERS = {
    "power law": Learner((SIZE, TOKENS, *BITS), least_squares),
    "tokens per parameter": Learner((PER_PARAMETER, *BITS), least_squares),
    "curvature law": Learner((CURVATURE,), least_squares),
    "forest on N, D, P": Learner((SIZE, TOKENS, *BITS), forest),
    "forest without N and D": Learner(WITHOUT_SIZE, forest),
    "forest on all": Learner((SIZE, TOKENS, *WITHOUT_SIZE), forest),
    "boosting on all": Learner((SIZE, TOKENS, *WITHOUT_SIZE), boosting),
    "forest over curvature": Learner((SIZE, TOKENS, *WITHOUT_SIZE), forest, over=CURVATURE),
}


# ---- hold-outs -------------------------------------------------------------------------------------------------------


def refuse_leaks(clusters: pd.Series, folds: pd.Series) -> None:
    """Raise AnalysisError where a run, or a branch of it, is in two folds: its luck would be known beforehand."""
    n_folds = folds.groupby(clusters).nunique()
    leaks = [str(name) for name in n_folds.index[n_folds > 1]]
    if leaks:
        raise AnalysisError(f"in more than one fold: {', '.join(leaks[:3])}; {len(leaks)} runs in all")


def errors_of(
    training: pd.DataFrame, held: pd.DataFrame, learner: Learner, outcome: Outcome, generator: np.random.Generator
) -> FloatArray:
    """Return ln(predicted / measured) of the rows held out."""
    errors: FloatArray = learner.fit(training, outcome, generator)(held) - log_outcome(held, outcome)
    return errors


def errors_in_turn(
    table: pd.DataFrame,
    folds: pd.Series,
    learner: Learner,
    generator: np.random.Generator,
    outcome: Outcome = QID,
) -> FloatArray:
    """Return ln(predicted / measured) of every row by what the other folds taught. Raises AnalysisError on a leak."""
    refuse_leaks(table["cluster"], folds)
    errors = np.empty(len(table))
    for fold in np.unique(folds):
        held = (folds == fold).to_numpy()
        errors[held] = errors_of(table[~held], table[held], learner, outcome, generator)
    return errors


def by_run(table: pd.DataFrame, errors: FloatArray) -> pd.DataFrame:
    """Return by run, with its branches, the mean square and the mean of ln(predicted / measured), and its rows."""
    rows = pd.DataFrame({"run": table["cluster"].to_numpy(), "square": errors**2, "error": errors})
    return rows.groupby("run").agg(
        log_mean_square=("square", "mean"), log_bias=("error", "mean"), n_rows=("error", "size")
    )


def miss(mean_squares: pd.Series) -> dict[str, float]:
    """Return the factor of error e^rms over runs, one vote each, with its 95% interval by t of the mean square."""
    mean = mean_over_runs(mean_squares.to_numpy())
    return {name: float(np.exp(np.sqrt(max(mean[key], 0.0)))) for name, key in ENDS.items()}


def beside(ours: pd.Series, others: pd.Series) -> dict[str, float]:
    """Return rms of one predictor over that of another: geometric mean over the runs that both have, 95% by t."""
    ratio = 0.5 * np.log(ours / others.reindex(ours.index))
    mean = mean_over_runs(ratio.to_numpy())
    return {name: float(np.exp(mean[key])) for name, key in ENDS.items()}


# ---- intervals -------------------------------------------------------------------------------------------------------


def reach(errors: FloatArray, clusters: Sequence[str] | pd.Series, level: float = LEVEL) -> float:
    """Return how far the error of a new run's row goes with probability `level`, in ln; infinite for too few runs.

    Each of K runs weighs 1 / (K + 1), shared by its rows; the rest stands for a run that was never seen.
    """
    names = pd.Series(np.asarray(clusters))
    weights = 1 / (names.map(names.value_counts()) * (names.nunique() + 1)).to_numpy(float)
    order = np.argsort(np.abs(errors), kind="stable")
    enough = np.flatnonzero(np.cumsum(weights[order]) >= level - 1e-12)
    return float(np.abs(errors)[order][enough[0]]) if enough.size else float("inf")


def dealt(table: pd.DataFrame, n_folds: int, generator: np.random.Generator) -> pd.Series:
    """Return a fold of each row; runs are dealt out whole, in an order that the generator draws."""
    names = np.unique(table["cluster"])
    folds = dict(zip(generator.permutation(names), np.arange(names.size) % n_folds, strict=True))
    return table["cluster"].map(folds)


def covered_in_turn(
    table: pd.DataFrame, learner: Learner, generator: np.random.Generator, level: float = LEVEL
) -> pd.DataFrame:
    """Return, row by row, whether the interval that the other folds give holds the measured QiD, and its half width.

    Folds are of whole runs. What the interval's width is made of comes from folds within the training folds, so the
    rows that are held out have no part in it. Columns: `cluster`, `covered`, `reach` (in ln).
    """
    folds, parts = dealt(table, N_FOLDS, generator), []
    for fold in range(N_FOLDS):
        training, held = table[folds != fold], table[folds == fold]
        inner = errors_in_turn(training, folds[folds != fold], learner, generator)
        width = reach(inner, training["cluster"], level)
        errors = errors_of(training, held, learner, QID, generator)
        parts.append(pd.DataFrame({"cluster": held["cluster"], "covered": np.abs(errors) <= width, "reach": width}))
    return pd.concat(parts).sort_index()


# ---- what matters ----------------------------------------------------------------------------------------------------


def donors(bits: pd.Series, held: np.ndarray, repeats: int, generator: np.random.Generator) -> np.ndarray:
    """Return places of random rows of the table with the bit widths of the rows `held` (repeated), one a row."""
    wanted = np.tile(bits.to_numpy()[held], repeats)
    places = np.empty(wanted.size, int)
    for width in np.unique(wanted):
        pool = np.flatnonzero(bits.to_numpy() == width)
        places[wanted == width] = generator.choice(pool, int((wanted == width).sum()))
    return places


def shuffled_in_turn(
    table: pd.DataFrame,
    learner: Learner,
    groups: Mapping[str, Sequence[str]],
    generator: np.random.Generator,
    repeats: int = REPEATS,
) -> pd.DataFrame:
    """Return mean squares of ln(predicted / measured), a row a run held out, a column a group of features.

    A group's features take together the values of random rows of the same bit width, from all runs: within one run
    size doesn't vary. `AS_IT_IS` is the column where they keep their own.
    """
    of_fits, of_donors = generator.spawn(2)
    squares = {}
    for run in np.unique(table["cluster"]):
        held = (table["cluster"] == run).to_numpy()
        predict = learner.fit(table[~held], QID, of_fits)
        rows, measured = table[held], log_outcome(table[held], QID)
        squares[run] = {AS_IT_IS: float(np.mean((predict(rows) - measured) ** 2))}
        for name, columns in groups.items():
            mixed = pd.concat([rows] * repeats, ignore_index=True)
            mixed[list(columns)] = table[list(columns)].to_numpy()[donors(table["bits"], held, repeats, of_donors)]
            squares[run][name] = float(np.mean((predict(mixed) - np.tile(measured, repeats)) ** 2))
    return pd.DataFrame.from_dict(squares, orient="index")
