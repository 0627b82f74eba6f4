"""The noise floor: what moves QiD although nothing of interest changed.

Every part is a standard deviation. The model of one measured QiD q, in nats a token:

    variance = (calibration q)² + (training seed q)² + (device q)² + (number format q)² + evaluation²
    evaluation = scale · (q / 1 nat)^exponent · sqrt(n / documents)

The first four are proportional to q; the parts are taken as independent. The floor is twice the root of the variance.
Tables are those of `degradation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from helpers.analyse.questions.trends import REPLICATE_KEY
from helpers.analyse.rows.counts import LATE_TOKENS
from helpers.analyse.rows.degradation import (
    HELDOUT,
    STUDY,
    TOKENS,
    TRUNK,
    AnalysisError,
    degradation,
    paired_error,
    rows_of_fit,
)

FloatArray = NDArray[np.float64]
SEEDS = "tadpole-seeds"  # the family that trains some of the trunk's models from other seeds
MOMENT_KEY = ["model", "step", "bits"]


def clustered_error(differences: FloatArray, groups: Sequence[str] | None = None) -> float:
    """Return the standard error of the mean of per-document differences when documents of one group go together.

    Without `groups` it is `paired_error`. Raises AnalysisError where there is no group for every document, or only one.
    """
    if groups is None:
        return paired_error(differences)
    sums = pd.Series(differences - differences.mean()).groupby(np.asarray(groups)).sum()
    if len(groups) != differences.size or len(sums) < 2:
        raise AnalysisError(f"{len(sums)} groups, {len(groups)} labels for {differences.size} documents")
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / differences.size)


@dataclass(frozen=True)
class EvaluationError:
    """Standard error of a QiD q from few documents: scale (q / 1 nat)^exponent at `n_documents`, falling as 1/sqrt(n).

    `log_sd`: how far single rows' errors lie from it, as a standard deviation of their logarithm.
    """

    scale_nats: float
    exponent: float
    n_documents: int
    log_sd: float

    def at(self, qid_nats: float, n_documents: int | None = None) -> float:
        """Return the standard error in nats at QiD `qid_nats` (its size), by default with the fit's documents."""
        scale = 1.0 if n_documents is None else np.sqrt(self.n_documents / n_documents)
        return scale * self.scale_nats * np.abs(qid_nats) ** self.exponent


def evaluation_error(table: pd.DataFrame, groups: Sequence[str] | None = None) -> EvaluationError:
    """Fit the evaluation's part of the noise to the rows of one bit width, on one text: a straight line in logarithms.

    It goes through each row's own error (by `groups` of documents, if given). Rows with a QiD of zero or less have no
    logarithm and are left out. Raises AnalysisError below three of the others, or where rows differ in their documents.
    """
    positive = table[table["qid_nats"] > 0]
    if len(positive) < 3 or table["n_documents"].nunique() != 1:
        raise AnalysisError(
            f"an evaluation's error needs three rows or more of the same documents; got {len(positive)}"
        )
    errors = np.log([clustered_error(row, groups) for row in positive["document_qid_nats"]])
    qid = np.log(positive["qid_nats"].to_numpy())
    exponent, intercept = np.polyfit(qid, errors, 1)
    off = errors - intercept - exponent * qid
    n_documents = int(table["n_documents"].iloc[0])
    return EvaluationError(float(np.exp(intercept)), float(exponent), n_documents, float(off.std(ddof=2)))


def documents_needed(
    differences: FloatArray, sizes: Sequence[int], generator: np.random.Generator, n_draws: int = 4000
) -> pd.DataFrame:
    """Return what an evaluation of n documents would give, n in `sizes`, by drawing them with replacement.

    Columns: `n_documents`, `sd_nats` (of QiD over draws), `relative_sd`, and `coverage`: how often the 95% interval
    made from the draw's own paired error holds the QiD of all documents.
    """
    true, found = differences.mean(), []
    for size in sizes:
        draws = differences[generator.integers(0, differences.size, (n_draws, size))]
        half = stats.t(size - 1).ppf(0.975) * draws.std(axis=1, ddof=1) / np.sqrt(size)
        means = draws.mean(axis=1)
        inside = np.abs(means - true) < half
        found.append({"n_documents": size, "sd_nats": means.std(), "coverage": inside.mean()})
    return pd.DataFrame(found).assign(relative_sd=lambda rows: rows["sd_nats"] / abs(true))


def _scatter(rows: pd.DataFrame) -> dict[str, float]:
    """Return the variance of QiD between `rows` (same documents) over its mean squared, and the documents' part."""
    qid = np.stack(rows["document_qid_nats"].to_numpy())
    means = qid.mean(axis=1)
    rest = qid - means[:, None] - qid.mean(axis=0) + qid.mean()
    from_documents = (rest**2).sum() / ((len(rows) - 1) * (qid.shape[1] - 1)) / qid.shape[1]
    square = qid.mean() ** 2
    return {"n_seeds": len(rows), "variance": means.var(ddof=1) / square, "documents": from_documents / square}


def _pooled(scatter: pd.DataFrame, degrees_of_freedom: pd.Series) -> pd.DataFrame:
    """Return by bits the mean variance of `_scatter` as standard deviation with its 95% interval (chi square)."""
    by_bits = scatter.groupby("bits")
    variance = by_bits["variance"].mean()
    ends = {
        name: np.sqrt(variance * degrees_of_freedom / stats.chi2(degrees_of_freedom).ppf(p))
        for name, p in (("low", 0.975), ("high", 0.025))
    }
    return by_bits.agg(n_checkpoints=("n_seeds", "size"), n_seeds=("n_seeds", "max")).assign(
        degrees_of_freedom=degrees_of_freedom,
        relative_sd=np.sqrt(variance),
        **ends,
        documents_share=(by_bits["documents"].mean() / variance).clip(upper=1.0),
    )


def calibration_draws(table: pd.DataFrame) -> pd.DataFrame:
    """Return, by bit width, how QiD scatters between draws of calibration text, and how surely that is known.

    `table` holds several calibration seeds, all else equal, on one text. The index is `bits`; `relative_sd` is that
    of `calibration_spread`, `low` and `high` its 95% interval for normal scatter (chi square, `degrees_of_freedom`).
    `documents_share` is the part of the variance that the finite number of documents makes: draws differ by more on
    some documents than on others. Raises AnalysisError where no checkpoint has two seeds.
    """
    seeded = table[table["calib_seed"].notna()].groupby(REPLICATE_KEY, dropna=False)
    bits = REPLICATE_KEY.index("bits")
    scatter = pd.DataFrame([{"bits": key[bits]} | _scatter(rows) for key, rows in seeded if len(rows) > 1])
    if scatter.empty:
        raise AnalysisError("no checkpoint was rounded with two calibration seeds or more")
    return _pooled(scatter, (scatter["n_seeds"] - 1).groupby(scatter["bits"]).sum())


def rows_of_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `table` of models that were trained from several seeds, at the steps that the seeds share.

    They are those of the family `tadpole-seeds` and of the trunk's runs of the same models. Raises AnalysisError
    where there are none.
    """
    usual = (table["family"] == TRUNK) & (table["run"] == TRUNK + "/" + table["model"])
    chosen = table[usual | (table["family"] == SEEDS)]
    several = chosen.groupby(["model", "step"])["train_seed"].transform("nunique") > 1
    if not several.any():
        raise AnalysisError("no model was trained from two seeds or more")
    return chosen[several].reset_index(drop=True)


def training_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Return, by bit width, how QiD scatters between models trained from several seeds.

    `table`: `rows_of_seeds` of one scheme on one text. Columns are those of `calibration_draws`, `n_models`, `n_runs`.
    Variances of all checkpoints are pooled, but checkpoints of a run share its luck: the degrees of freedom are runs
    less models, however many checkpoints there are. Each seed's model is rounded anew, so the scatter holds that of
    the rounding too (`without_rounding` takes it out).
    """
    scatter = pd.DataFrame([{"bits": key[-1]} | _scatter(rows) for key, rows in table.groupby(MOMENT_KEY)])
    by_bits = table.groupby("bits")
    counts = pd.DataFrame({"n_models": by_bits["model"].nunique(), "n_runs": by_bits["run"].nunique()})
    return _pooled(scatter, counts["n_runs"] - counts["n_models"]).join(counts)


def without_rounding(between: pd.DataFrame, rounding: pd.DataFrame) -> pd.DataFrame:
    """Return `relative_sd`, `low` and `high` by bits of what is left of `between` without the variance of `rounding`.

    Both have these columns. The difference of the variances gets its 95% interval from theirs (MOVER: Zou and Donner
    2008, Statistics in Medicine 27); below zero it is zero.
    """
    one, other = (frame[["relative_sd", "low", "high"]] ** 2 for frame in (between, rounding))
    middle = one["relative_sd"] - other["relative_sd"]
    below = np.hypot(one["relative_sd"] - one["low"], other["high"] - other["relative_sd"])
    above = np.hypot(one["high"] - one["relative_sd"], other["relative_sd"] - other["low"])
    variances = pd.DataFrame({"relative_sd": middle, "low": middle - below, "high": middle + above})
    return np.sqrt(variances.clip(lower=0.0))


def scatter_ratio(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return by bits the `ratio` of two tables' `relative_sd`, `first` over `second`, with its 95% interval (F)."""
    ratio = first["relative_sd"] / second["relative_sd"]
    spread = stats.f(first["degrees_of_freedom"], second["degrees_of_freedom"])
    ends = {name: ratio / np.sqrt(spread.ppf(p)) for name, p in (("low", 0.975), ("high", 0.025))}
    return pd.DataFrame({"ratio": ratio} | ends)


def scatter_trend(scatter: pd.DataFrame, along: str) -> pd.DataFrame:
    """Return by bits the `exponent` of `relative_sd` in the column `along`, with its 95% interval `low` to `high`.

    Columns of `scatter`: `bits`, `along`, `relative_sd`, `degrees_of_freedom`. A line in logarithms, each place
    weighted by how surely its variance is known if the scatter is normal: ln chi square has the variance trigamma.
    """
    found = {}
    for bits, rows in scatter.groupby("bits"):
        half = rows["degrees_of_freedom"].to_numpy(float) / 2
        logs = np.log(rows["relative_sd"].to_numpy()) - (special.digamma(half) - np.log(half)) / 2
        weights = 4 / special.polygamma(1, half)  # of ln sd, half of ln variance
        places = np.log(rows[along].to_numpy(float))
        away = places - np.average(places, weights=weights)
        exponent, error = np.sum(weights * away * logs) / np.sum(weights * away**2), np.sum(weights * away**2) ** -0.5
        margin = stats.norm.ppf(0.975) * error
        found[bits] = {"exponent": exponent, "low": exponent - margin, "high": exponent + margin}
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("bits")


def device_part(agreement: pd.DataFrame) -> pd.Series:
    """Return, by bits, the relative standard deviation of one QiD between devices, from `device_agreement` of GPTQ.

    Root mean square of the relative differences over sqrt(2), because both sides of a difference scatter.
    """
    rows = agreement[agreement["method"] == "gptq"]
    relative = rows["difference_nats"] / rows["qid_nats_cuda"]
    return np.sqrt((relative**2).groupby(rows["bits"]).mean() / 2)


def format_parts(precision: pd.DataFrame) -> pd.DataFrame:
    """Return, by bits, by how much number formats move QiD relative to it: root mean square over checkpoints.

    `precision`: rows of benchmarks/results/precision.json; its columns, but `work` and `qid_nats`, stay.
    """
    bits = precision["work"].str.extract(r"(\d+) bits")[0].astype(float).rename("bits")
    moved = precision.drop(columns=["work", "qid_nats"]).div(precision["qid_nats"], axis=0)
    return np.sqrt((moved**2).groupby(bits).mean())


@dataclass(frozen=True)
class NoiseFloor:
    """How far one QiD of one bit width may be off: relative parts are standard deviations over it.

    Leave the device's part at zero where rows compared come from one kind of device, the format's where they share
    formats. A floor is twice the root of the sum of squares: a QiD that differs from a fixed number (a prediction) by
    less means nothing. That of one model is about a trained model at hand; that of another run, with the training
    seed's part, about a prediction for a model that is trained anew.
    """

    bits: float
    evaluation: EvaluationError
    calibration_relative: float
    training_seed_relative: float
    device_relative: float = 0.0
    number_format_relative: float = 0.0

    @property
    def rounding_relative(self) -> float:
        """Return the parts that grow with QiD together, but for the training seed's."""
        return float(np.hypot(np.hypot(self.calibration_relative, self.device_relative), self.number_format_relative))

    def of_one_model(self, qid_nats: float) -> float:
        """Return the floor in nats a token of the QiD `qid_nats` of one trained model."""
        return 2 * np.hypot(self.rounding_relative * qid_nats, self.evaluation.at(qid_nats))

    def of_another_run(self, qid_nats: float) -> float:
        """Return the floor in nats a token of the QiD `qid_nats` that is predicted for another training run."""
        return np.hypot(self.of_one_model(qid_nats), 2 * self.training_seed_relative * qid_nats)

    @property
    def smallest_qid_nats(self) -> float:
        """Return the QiD that equals its own floor of one model; infinite where noise grows faster than QiD.

        Raises AnalysisError where the evaluation's error falls as fast as QiD or faster: nothing sets an end then.
        """
        if self.evaluation.exponent >= 1:
            raise AnalysisError(f"an error that goes as QiD^{self.evaluation.exponent:.2f} sets no smallest QiD")
        left = 1 - 4 * self.rounding_relative**2
        if left <= 0:
            return float("inf")
        return (4 * self.evaluation.scale_nats**2 / left) ** (0.5 / (1 - self.evaluation.exponent))


def gptq_of_study(measurements: pd.DataFrame, text: str = HELDOUT) -> pd.DataFrame:
    """Return `degradation` of the study's rows that the floor is about: GPTQ, asymmetric groups of 32, 2 to 4 bits.

    They are of all runs on one evaluation text, with every draw of calibration text.
    """
    of_study = (measurements[list(STUDY)] == pd.Series(STUDY)).all(axis=1) & (measurements["eval_dataset"] == text)
    rows = degradation(measurements[of_study & measurements["method"].isin(["gptq", "none"])])
    plain = rows_of_fit(rows, "gptq", 32, symmetric=False)
    return plain[plain["bits"].between(2, 4)].reset_index(drop=True)


def study_floors(measurements: pd.DataFrame, groups: Sequence[str]) -> dict[float, NoiseFloor]:
    """Return by bits the noise floor of the study's rows beyond 60M tokens, from the project's table.

    It holds for the rows of `gptq_of_study` on the held-out text, one draw of calibration text each. `groups`: the
    package of each held-out document. RTN has no calibration: of its floor only `evaluation` is known.
    """
    rows = gptq_of_study(measurements)
    first, calibration = rows[rows["calib_seed"] == 0], calibration_draws(rows)
    between = training_seeds(rows_of_seeds(first[first[TOKENS] > LATE_TOKENS]))
    seed = without_rounding(between, calibration)["relative_sd"]
    relative = calibration["relative_sd"]
    return {
        bits: NoiseFloor(bits, evaluation_error(one, groups), float(relative[bits]), float(seed[bits]))
        for bits, one in first.groupby("bits")
    }
