"""The noise floor: what moves QiD although nothing of interest changed.

Every part is a standard deviation. The model of one measured QiD q, in nats per token:

    variance = (calibration q)² + (training seed q)² + (device q)² + (number format q)² + evaluation²
    evaluation = scale · (q / 1 nat)^exponent · sqrt(n / documents)

The first four are proportional to q; the parts are taken as independent. The floor is twice the root of the variance.
Tables are those of `degradation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.analyse.rows.selection import REPLICATE_KEY
from helpers.analyse.rows.standard_errors import clustered_error
from helpers.table.errors import AnalysisError

MOMENT_KEY = ["model", "step", "bits"]


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
    """Return the scatter of an evaluation of n documents, n in `sizes`, by drawing them with replacement.

    Columns: `n_documents`, `sd_nats` (of QiD over draws), `relative_sd`, and `coverage`: how often the 95% interval
    made from the draw's own paired error holds the QiD of all documents.
    """
    true, evaluations = differences.mean(), []
    for size in sizes:
        draws = differences[generator.integers(0, differences.size, (n_draws, size))]
        half = stats.t(size - 1).ppf(0.975) * draws.std(axis=1, ddof=1) / np.sqrt(size)
        means = draws.mean(axis=1)
        inside = np.abs(means - true) < half
        evaluations.append({"n_documents": size, "sd_nats": means.std(), "coverage": inside.mean()})
    return pd.DataFrame(evaluations).assign(relative_sd=lambda rows: rows["sd_nats"] / abs(true))


def _scatter(rows: pd.DataFrame, outcome: Outcome) -> dict[str, float]:
    """Return the variance of the outcome between `rows` over its mean squared, and the documents' part (NaN: unknown).

    The rows are of the same documents; only a paired outcome is known document by document.
    """
    if not outcome.paired:
        values = rows[outcome.column].to_numpy(float)
        variance = values.var(ddof=1) / values.mean() ** 2
        return {"n_seeds": len(rows), "variance": variance, "documents": float("nan")}
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


def calibration_spread(table: pd.DataFrame) -> pd.DataFrame:
    """Return, by bit width, how far QiD scatters between calibration seeds, all else equal.

    The index is `bits`; `n_checkpoints` and `n_seeds` say from what; `relative_sd` is the standard deviation over the
    mean, root mean square over checkpoints. Raises AnalysisError where no checkpoint has two calibration seeds.
    """
    by_seed = table[table["calib_seed"].notna()].groupby(REPLICATE_KEY, dropna=False)["qid_nats"]
    spread = by_seed.agg(["count", "mean", "std"]).query("count >= 2").reset_index()
    if spread.empty:
        raise AnalysisError("no checkpoint was rounded with two calibration seeds or more")
    spread["variance"] = (spread["std"] / spread["mean"]) ** 2
    pooled = spread.groupby("bits").agg(
        n_checkpoints=("mean", "size"), n_seeds=("count", "max"), variance=("variance", "mean")
    )
    return pooled.assign(relative_sd=np.sqrt(pooled["variance"])).drop(columns="variance")


def calibration_draws(table: pd.DataFrame, outcome: Outcome = QID) -> pd.DataFrame:
    """Return, by bit width, how the outcome scatters between draws of calibration text, and how surely that is known.

    `table` holds several calibration seeds, all else equal, on one text. The index is `bits`; `relative_sd` is that
    of `calibration_spread`, `low` and `high` its 95% interval for normal scatter (chi square, `degrees_of_freedom`).
    `documents_share` is the part of the variance that the finite number of documents makes: draws differ by more on
    some documents than on others. Raises AnalysisError where no checkpoint has two seeds.
    """
    seeded = table[table["calib_seed"].notna()].groupby(REPLICATE_KEY, dropna=False)
    bits = REPLICATE_KEY.index("bits")
    scatter = pd.DataFrame([{"bits": key[bits]} | _scatter(rows, outcome) for key, rows in seeded if len(rows) > 1])
    if scatter.empty:
        raise AnalysisError("no checkpoint was rounded with two calibration seeds or more")
    return _pooled(scatter, (scatter["n_seeds"] - 1).groupby(scatter["bits"]).sum())


def training_seeds(table: pd.DataFrame, outcome: Outcome = QID) -> pd.DataFrame:
    """Return, by bit width, how the outcome scatters between models trained from several seeds.

    `table`: `rows_of_seeds` of one scheme on one text. Columns are those of `calibration_draws`, `n_models`, `n_runs`.
    Variances of all checkpoints are pooled, but checkpoints of a run share its luck: the degrees of freedom are runs
    less models, however many checkpoints there are. Each seed's model is rounded anew, so the scatter holds that of
    the rounding too (`without_rounding` takes it out).
    """
    scatter = pd.DataFrame([{"bits": key[-1]} | _scatter(rows, outcome) for key, rows in table.groupby(MOMENT_KEY)])
    by_bits = table.groupby("bits")
    counts = pd.DataFrame({"n_models": by_bits["model"].nunique(), "n_runs": by_bits["run_label"].nunique()})
    return _pooled(scatter, counts["n_runs"] - counts["n_models"]).join(counts)


def without_rounding(between: pd.DataFrame, rounding: pd.DataFrame) -> pd.DataFrame:
    """Return the scatter by bits, `relative_sd`, `low` and `high`, of `between` without the variance of `rounding`.

    Both have these columns. The difference of the variances gets its 95% interval from theirs (MOVER: Zou and Donner
    2008, Statistics in Medicine 27); below zero it is zero.
    """
    total, from_rounding = (frame[["relative_sd", "low", "high"]] ** 2 for frame in (between, rounding))
    middle = total["relative_sd"] - from_rounding["relative_sd"]
    below = np.hypot(total["relative_sd"] - total["low"], from_rounding["high"] - from_rounding["relative_sd"])
    above = np.hypot(total["high"] - total["relative_sd"], from_rounding["relative_sd"] - from_rounding["low"])
    variances = pd.DataFrame({"relative_sd": middle, "low": middle - below, "high": middle + above})
    return np.sqrt(variances.clip(lower=0.0))


def scatter_ratio(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """For each bit width: the scatter of `first` over that of `second`, with a 95% interval from the F distribution."""
    ratio = first["relative_sd"] / second["relative_sd"]
    spread = stats.f(first["degrees_of_freedom"], second["degrees_of_freedom"])
    ends = {name: ratio / np.sqrt(spread.ppf(p)) for name, p in (("low", 0.975), ("high", 0.025))}
    return pd.DataFrame({"ratio": ratio} | ends)


def scatter_trend(scatter: pd.DataFrame, along: str) -> pd.DataFrame:
    """Return by bits the `exponent` of `relative_sd` in the column `along`, with its 95% interval `low` to `high`.

    Columns of `scatter`: `bits`, `along`, `relative_sd`, `degrees_of_freedom`. A line in logarithms, each place
    weighted by how surely its variance is known if the scatter is normal: ln chi square has the variance trigamma.
    """
    by_bits = {}
    for bits, rows in scatter.groupby("bits"):
        half = rows["degrees_of_freedom"].to_numpy(float) / 2
        logs = np.log(rows["relative_sd"].to_numpy()) - (special.digamma(half) - np.log(half)) / 2
        weights = 4 / special.polygamma(1, half)  # of ln sd, half of ln variance
        places = np.log(rows[along].to_numpy(float))
        away = places - np.average(places, weights=weights)
        exponent, error = np.sum(weights * away * logs) / np.sum(weights * away**2), np.sum(weights * away**2) ** -0.5
        margin = stats.norm.ppf(0.975) * error
        by_bits[bits] = {"exponent": exponent, "low": exponent - margin, "high": exponent + margin}
    return pd.DataFrame.from_dict(by_bits, orient="index").rename_axis("bits")


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
