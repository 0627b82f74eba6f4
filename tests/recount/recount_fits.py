"""Laws that are products of terms, fitted again: scipy on the same likelihood, intervals with whole matrices.

QiD_i is normal about mu_i with variance se_i^2 + tau^2 mu_i^2, and ln mu_i = ln k + beta ln D - alpha ln N - gamma ln P; at
one bit width without the last term, and with other terms of `TERMS` where a chapter names them. Rows are those of `recount.measurements`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats
from tests.recount.recount import standard_error

# name -> column of a row, and the sign of its power
POWERS = {"beta": ("tokens_seen", 1), "alpha": ("n_params_non_embedding", -1), "gamma": ("bits", -1)}
TERMS = {
    **{name: lambda row, part=part: part[1] * math.log(row[part[0]]) for name, part in POWERS.items()},
    "per_bit": lambda row: -row["bits"],
    "steps": lambda row: -math.log(2 ** (row["bits"] - 1) - 1),
    "per_parameter": lambda row: math.log(row["tokens_seen"] / row["n_params_non_embedding"]),
    "lambda": lambda row: -row["plain"],  # 16-bit loss in nats a token, where a chapter puts it into its rows
    "kappa": lambda row: math.log(row["block"]),  # values a scale, likewise
    "kappa_of_log": lambda row: math.log(math.log(row["block"])),
    "two": lambda row: float(row["bits"] == 2),  # constants of bit widths beside that of 3
    "four": lambda row: float(row["bits"] == 4),
    "c": lambda row: row["quantized_ratio"],
    "rho": lambda row: math.log(row["quantized_ratio"]),
}
BY_SIZE_AND_TOKENS = ("beta", "alpha")


def columns(rows: Sequence[dict], names: Iterable[str]) -> np.ndarray:
    """Return ones and, for each exponent, what multiplies it in ln QiD: (rows, 1 + exponents)."""
    terms = [[TERMS[name](row) for row in rows] for name in names]
    return np.column_stack([np.ones(len(rows)), *terms])


def run(row: dict) -> tuple[str, str]:
    """Return what a training run is told by."""
    return row["family"], row["run"]


@dataclass(frozen=True)
class Fit:
    """What was fitted: ln k and exponents, tau, and the rows' QiD, errors and columns."""

    names: tuple[str, ...]
    coefficients: np.ndarray
    tau: float
    qid: np.ndarray
    errors: np.ndarray
    columns: np.ndarray
    runs: list[tuple[str, str]]
    steps: list[float]  # tokens seen: runs read the same batches

    @property
    def fitted(self) -> np.ndarray:
        """Return QiD as the law has it, in nats a token."""
        return np.exp(self.columns @ self.coefficients)

    @property
    def deviations(self) -> np.ndarray:
        """Return the standard deviation of each row."""
        return np.sqrt(self.errors**2 + (self.tau * self.fitted) ** 2)

    @property
    def weighted(self) -> tuple[np.ndarray, np.ndarray]:
        """Return slopes of QiD and residuals, each over its row's deviation."""
        return self.columns * (self.fitted / self.deviations)[:, None], (self.qid - self.fitted) / self.deviations

    def __getitem__(self, name: str) -> float:
        """Return an exponent."""
        return float(self.coefficients[1 + self.names.index(name)])

    def at(self, tokens: float, size: float, bits: float) -> float:
        """Return QiD at one place, in nats a token."""
        row = {"tokens_seen": tokens, "n_params_non_embedding": size, "bits": bits}
        return math.exp((columns([row], self.names) @ self.coefficients).item())


def fit(rows: Sequence[dict], names: tuple[str, ...] = tuple(POWERS)) -> Fit:
    """Return the fit of greatest likelihood: BFGS from least squares of ln QiD, then a root of the gradient.

    Columns are centred and of unit deviation meanwhile, so that ln k isn't tied to the exponents.
    """
    qid, errors = (np.array([value(row) for row in rows]) for value in (_qid, _error))
    whole = columns(rows, names)
    middle, spread = whole[:, 1:].mean(axis=0), whole[:, 1:].std(axis=0)
    scaled = np.column_stack([whole[:, 0], (whole[:, 1:] - middle) / spread])

    def parts(place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        mean = np.exp(scaled @ place[:-1])
        of_tau = math.exp(2 * place[-1]) * mean**2
        return mean, of_tau, errors**2 + of_tau

    def loss(place: np.ndarray) -> float:
        mean, _, variance = parts(place)
        return 0.5 * float(np.sum(np.log(variance) + (qid - mean) ** 2 / variance))

    def gradient(place: np.ndarray) -> np.ndarray:
        mean, of_tau, variance = parts(place)
        by_tau = (
            of_tau / variance * (1 - (qid - mean) ** 2 / variance)
        )  # along ln tau, and along ln mean in the variance
        by_mean = by_tau - (qid - mean) * mean / variance
        return np.append(scaled.T @ by_mean, by_tau.sum())

    clear = qid > errors
    start = np.append(np.linalg.lstsq(scaled[clear], np.log(qid[clear]))[0], math.log(0.2))
    near = optimize.minimize(loss, start, jac=gradient, method="BFGS").x
    place = optimize.root(gradient, near, tol=1e-13).x
    exponents = place[1:-1] / spread
    coefficients = np.append(place[0] - middle @ exponents, exponents)
    return Fit(
        tuple(names),
        coefficients,
        math.exp(place[-1]),
        qid,
        errors,
        whole,
        [run(row) for row in rows],
        [row["tokens_seen"] for row in rows],
    )


def _qid(row: dict) -> float:
    return row["qid"]


def _error(row: dict) -> float:
    return standard_error(row["document_qid"])


def by_run(slopes: np.ndarray, residuals: np.ndarray, runs: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Return covariance (CR2, clustered by run) and Bell and McCaffrey's degrees of freedom, at most runs - 1.

    Both as their definition has them, with the n by n matrix I - H; `slopes` and `residuals` are weighted.
    """
    bread = np.linalg.inv(slopes.T @ slopes)
    away = np.eye(len(residuals)) - slopes @ bread @ slopes.T
    labels = sorted(set(runs))
    scores, parts = [], []
    for one in labels:
        at = np.array([other == one for other in runs])
        values, vectors = np.linalg.eigh(away[np.ix_(at, at)])
        adjusted = vectors / np.sqrt(values) @ vectors.T @ slopes[at] @ bread
        scores.append(residuals[at] @ adjusted)
        parts.append(away[:, at] @ adjusted)
    covariance = sum(np.outer(score, score) for score in scores)
    freedom = []
    for which in range(slopes.shape[1]):
        squares = np.array([[one[:, which] @ other[:, which] for other in parts] for one in parts])
        freedom.append(np.trace(squares) ** 2 / np.sum(squares**2))
    return covariance, np.minimum(freedom, len(labels) - 1)


def by_run_and_step(of: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return `by_run` with what steps add to the covariance: that by step less that by run and step, where positive.

    Each has its factor for few clusters, G / (G - 1) (n - 1) / (n - p). What is positive is told where the slopes'
    cross-products are the unit matrix. Below five steps nothing is added.
    """
    slopes, residuals = of.weighted
    covariance, freedom = by_run(slopes, residuals, of.runs)
    if len(set(of.steps)) < 5:
        return covariance, freedom
    values, vectors = np.linalg.eigh(slopes.T @ slopes)
    back = vectors * values**-0.5 @ vectors.T
    scores, (n, p) = slopes @ back * residuals[:, None], slopes.shape

    def clustered(labels: Sequence) -> np.ndarray:
        sums = np.array(
            [sum(s for s, other in zip(scores, labels, strict=True) if other == one) for one in set(labels)]
        )
        return len(sums) / (len(sums) - 1) * (n - 1) / (n - p) * sums.T @ sums

    values, vectors = np.linalg.eigh(clustered(of.steps) - clustered(list(zip(of.runs, of.steps, strict=True))))
    added = back @ (vectors * np.maximum(values, 0) @ vectors.T) @ back
    return covariance + added, freedom


def interval(of: Fit, name: str, level: float = 0.95) -> tuple[float, float]:
    """Return low and high of an exponent, by training run and step."""
    covariance, freedom = by_run_and_step(of)
    place = 1 + of.names.index(name)
    half = stats.t.ppf((1 + level) / 2, freedom[place]) * math.sqrt(covariance[place, place])
    return of[name] - half, of[name] + half


def freedom_of(of: Fit, name: str) -> float:
    """Return the degrees of freedom of an exponent."""
    return float(by_run(*of.weighted, of.runs)[1][1 + of.names.index(name)])


def relative_variance(of: Fit, where: np.ndarray) -> np.ndarray:
    """Return the variance of ln QiD of a new run at places with these columns: that of the coefficients, and tau^2."""
    covariance, _ = by_run_and_step(of)
    return np.array([one @ covariance @ one for one in where]) + of.tau**2


def moved(of: Fit, qids: np.ndarray) -> np.ndarray:
    """Return the coefficients when QiD changes to `qids` (rows, draws): one Newton step of the likelihood in each, (draws, p).

    The matrix is the gradient's own slope at the fit, by central differences.
    """
    fitted_place = np.append(of.coefficients, math.log(of.tau))
    middle = of.columns[:, 1:].mean(axis=0)
    centred = of.columns - np.append(0.0, middle)
    place = fitted_place.copy()
    place[0] += middle @ of.coefficients[1:]

    def gradient(at: np.ndarray, qid: np.ndarray) -> np.ndarray:
        mean = np.exp(centred @ at[:-1])
        of_tau = math.exp(2 * at[-1]) * mean**2
        variance = of.errors**2 + of_tau
        by_tau = of_tau / variance * (1 - (qid - mean) ** 2 / variance)
        return np.append(centred.T @ (by_tau - (qid - mean) * mean / variance), by_tau.sum())

    step = 1e-5
    slopes = [
        (gradient(place + step * axis, of.qid) - gradient(place - step * axis, of.qid)) / (2 * step)
        for axis in np.eye(place.size)
    ]
    changed = np.array([gradient(place, qid) for qid in qids.T]).T
    steps = -np.linalg.solve(np.array(slopes).T, changed).T[:, :-1]
    steps[:, 0] -= steps[:, 1:] @ middle
    return of.coefficients + steps
