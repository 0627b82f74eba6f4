"""The noise floor: what moves QiD although nothing of interest changed.

Every part is a standard deviation. The model of one measured QiD q:

    variance = (calibration q)² + (device q)² + (number format q)² + (training seed q)² + evaluation²
    evaluation² = (absolute² + (relative q)²) · n / documents

The first four are proportional to q; the parts are taken as independent. The floor is twice the root of the variance.
Tables are those of `degradation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from helpers.analyse.comparisons import REPLICATE_KEY
from helpers.analyse.degradation import AnalysisError, paired_error

FloatArray = NDArray[np.float64]


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
    """Error of a QiD q from few documents: variance (absolute² + (relative q)²) at `n_documents`, falling as 1/n."""

    absolute_nats: float
    relative: float
    n_documents: int

    def at(self, qid_nats: float, n_documents: int | None = None) -> float:
        """Return the standard error in nats at QiD `qid_nats` with `n_documents` (None: those it was found with)."""
        scale = 1.0 if n_documents is None else np.sqrt(self.n_documents / n_documents)
        return float(scale * np.hypot(self.absolute_nats, self.relative * qid_nats))


def evaluation_error(table: pd.DataFrame, groups: Sequence[str] | None = None) -> EvaluationError:
    """Fit the evaluation's part of the noise to the rows of one bit width, on one text: non-negative least squares.

    It fits the square of each row's error (by `groups` of documents, if given) relative to itself, so that small
    errors count as much as large ones. Raises AnalysisError below three rows or where rows differ in their documents.
    """
    if len(table) < 3 or table["n_documents"].nunique() != 1:
        raise AnalysisError(f"an evaluation's error needs three rows or more of the same documents; got {len(table)}")
    variances = np.array([clustered_error(row, groups) ** 2 for row in table["document_qid_nats"]])
    design = np.column_stack([np.ones(len(table)), table["qid_nats"].to_numpy() ** 2]) / variances[:, None]
    scale = design.max(axis=0)  # nats squared are tiny beside ones
    parts = np.sqrt(optimize.nnls(design / scale, np.ones(len(table)))[0] / scale)
    return EvaluationError(float(parts[0]), float(parts[1]), int(table["n_documents"].iloc[0]))


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


def calibration_draws(table: pd.DataFrame) -> pd.DataFrame:
    """Return, by bit width, how QiD scatters between draws of calibration text, and how surely that is known.

    `table` holds several calibration seeds, all else equal, on one text. The index is `bits`; `relative_sd` is that
    of `calibration_spread`, `low` and `high` its 95% interval for normal scatter (chi square, `degrees_of_freedom`).
    `documents_share` is the part of the variance that the finite number of documents makes: draws differ by more on
    some documents than on others. Raises AnalysisError where no checkpoint has two seeds.
    """
    found = []
    for key, rows in table[table["calib_seed"].notna()].groupby(REPLICATE_KEY, dropna=False):
        if len(rows) < 2:
            continue
        qid = np.stack(rows["document_qid_nats"].to_numpy())
        means = qid.mean(axis=1)
        rest = qid - means[:, None] - qid.mean(axis=0) + qid.mean()
        from_documents = (rest**2).sum() / ((len(rows) - 1) * (qid.shape[1] - 1)) / qid.shape[1]
        relative = {"variance": means.var(ddof=1) / qid.mean() ** 2, "documents": from_documents / qid.mean() ** 2}
        found.append({"bits": dict(zip(REPLICATE_KEY, key, strict=True))["bits"], "n_seeds": len(rows)} | relative)
    if not found:
        raise AnalysisError("no checkpoint was rounded with two calibration seeds or more")
    pooled = pd.DataFrame(found).groupby("bits")
    result = pooled.agg(n_checkpoints=("n_seeds", "size"), n_seeds=("n_seeds", "max"))
    variance, freedom = pooled["variance"].mean(), pooled["n_seeds"].sum() - pooled.size()
    ends = {
        name: np.sqrt(variance * freedom / stats.chi2(freedom).ppf(p)) for name, p in (("low", 0.975), ("high", 0.025))
    }
    return result.assign(
        degrees_of_freedom=freedom,
        relative_sd=np.sqrt(variance),
        **ends,
        documents_share=(pooled["documents"].mean() / variance).clip(upper=1.0),
    )


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
    """How far one QiD may be off: parts as standard deviations in nats, the relative ones beside them.

    `training_seed_*` is None where it wasn't measured: the floor then holds for one and the same trained model.
    `floor_nats` is twice the root of the sum of squares: a difference from a fixed number (a prediction) below it means
    nothing. `smallest_qid_nats` is the QiD that equals its own floor, infinite where noise grows faster than QiD.
    """

    bits: float
    qid_nats: float
    n_documents: int
    evaluation_nats: float
    calibration_nats: float
    device_nats: float
    number_format_nats: float
    training_seed_nats: float | None
    evaluation_relative: float
    calibration_relative: float
    device_relative: float
    number_format_relative: float
    training_seed_relative: float | None
    floor_nats: float
    smallest_qid_nats: float

    @property
    def floor_relative(self) -> float:
        """Return the floor as a share of QiD."""
        return self.floor_nats / self.qid_nats


def noise_floor(
    bits: float,
    qid_nats: float,
    evaluation: EvaluationError,
    calibration_relative: float,
    device_relative: float = 0.0,
    number_format_relative: float = 0.0,
    training_seed_relative: float | None = None,
    n_documents: int | None = None,
) -> NoiseFloor:
    """Return the floor of one QiD by the model at the top of this module.

    `n_documents` (None: those of `evaluation`) rescales the evaluation's part. Leave the device's part at zero where
    rows compared come from one kind of device, the format's where they share formats. Give the training seed's part
    where models trained anew are compared or predicted. Raises AnalysisError unless QiD is positive.
    """
    if not qid_nats > 0:
        raise AnalysisError(f"a noise floor needs a positive QiD to be relative to; got {qid_nats}")
    documents = evaluation.n_documents if n_documents is None else n_documents
    shares = (calibration_relative, device_relative, number_format_relative, training_seed_relative or 0.0)
    from_documents = evaluation.at(qid_nats, documents)
    growing = np.hypot(np.linalg.norm(shares), evaluation.relative * np.sqrt(evaluation.n_documents / documents))
    smallest = 2 * evaluation.at(0.0, documents) / np.sqrt(1 - 4 * growing**2) if 2 * growing < 1 else np.inf
    return NoiseFloor(
        bits=bits,
        qid_nats=qid_nats,
        n_documents=documents,
        evaluation_nats=from_documents,
        calibration_nats=calibration_relative * qid_nats,
        device_nats=device_relative * qid_nats,
        number_format_nats=number_format_relative * qid_nats,
        training_seed_nats=None if training_seed_relative is None else training_seed_relative * qid_nats,
        evaluation_relative=from_documents / qid_nats,
        calibration_relative=calibration_relative,
        device_relative=device_relative,
        number_format_relative=number_format_relative,
        training_seed_relative=training_seed_relative,
        floor_nats=float(2 * np.hypot(np.linalg.norm(shares) * qid_nats, from_documents)),
        smallest_qid_nats=float(smallest),
    )
