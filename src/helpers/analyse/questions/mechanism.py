"""Properties of a checkpoint before it is rounded, beside its measured QiD: movement, curvature, outliers.

A table of checkpoints has the columns of `helpers.table.checkpoint_rows.CheckpointRow`, one row per checkpoint; a table
of QiDs is one of `degradation`. What `rows.curvature` says that rounding costs is the prediction tested here.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.by_run import cr2_covariance
from helpers.analyse.rows.curvature import (
    DESCRIBED_BITS,
    SHARES,
    by_block,
    cost_by_curvature,
    refuse_other_blocks,
    rounding_variances,
)
from helpers.analyse.rows.degradation import N_PARAMS
from helpers.analyse.rows.study import on_trunk
from helpers.table.errors import AnalysisError

NEAR = 0.06  # in ln N: how far a depth's twin on the trunk may be
SAME_PLACE = ["twin", "step", "method", "bits"]


def _description(row: pd.Series) -> dict[str, float]:
    rms = by_block(row["weight_rms"])
    squares = rms**2 * SHARES  # of the norms, but for a constant factor

    def together(values: Sequence[float]) -> float:
        return float(np.sqrt((squares * by_block(values) ** 2).sum() / squares.sum()))

    description = {"change": np.nan if row["weight_change"] is None else together(row["weight_change"])}
    description["rms"] = float(np.sqrt(squares.sum() / len(squares)))
    for bits in DESCRIBED_BITS:
        errors = row[f"rtn_error_{bits}_bits"]
        variance = float(rounding_variances(row, bits).mean())
        description |= {f"rounding_{bits}": together(errors), f"variance_{bits}": variance}
        description[f"predicted_{bits}_nats"] = cost_by_curvature(row, bits)
    for name in ("weight_kurtosis", "input_kurtosis"):
        description[f"mean_{name}"] = float((by_block(row[name]) * SHARES).sum(axis=1).mean())
    return description


def describe(checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Return a table of checkpoints with what their lists say of all matrices together, and `cluster`.

    `change`: relative change since the checkpoint before (NaN without one), and `rounding_2` to `rounding_4`: relative
    error of RTN; both are root mean squares over matrices, weighted by squared norm. `rms`: of all weights.
    `variance_2` to `variance_4`: mean squared error of RTN, in squared weights. `predicted_2_nats` to
    `predicted_4_nats`: what it costs by curvature, block by block. `mean_weight_kurtosis`, `mean_input_kurtosis`: over
    matrices, weighted by their numbers of weights. `cluster` is a training run together with its branches.
    Raises AnalysisError for blocks other than GPT-NeoX's.
    """
    refuse_other_blocks(checkpoints)
    found = pd.DataFrame([_description(row) for _, row in checkpoints.iterrows()], index=checkpoints.index)
    stem = checkpoints["branched_from"].fillna(checkpoints["run"])
    return checkpoints.assign(cluster=checkpoints["family"] + "/" + stem, **found)


def with_description(qid: pd.DataFrame, described: pd.DataFrame) -> pd.DataFrame:
    """Return QiDs of 2, 3 and 4 bits joined by weights with `describe`; averages of weights are left out.

    `rounding`, `variance` and `predicted_nats` are those of the row's bits, `ratio` is QiD over `predicted_nats`.
    Raises AnalysisError where a checkpoint isn't described.
    """
    names = ["weights_sha256", *described.columns.difference(qid.columns)]
    kept = qid[qid["bits"].isin(DESCRIBED_BITS) & (qid["n_averaged"] == 1)]
    joined = kept.merge(described[names], on="weights_sha256", how="left", validate="m:1")
    if joined["cluster"].isna().any():
        raise AnalysisError(f"{joined['cluster'].isna().sum()} rows are of checkpoints that aren't described")
    widths = joined["bits"].astype(int)
    for name, column in (
        ("rounding", "rounding_{}"),
        ("variance", "variance_{}"),
        ("predicted_nats", "predicted_{}_nats"),
    ):
        joined[name] = np.select(
            [widths == bits for bits in DESCRIBED_BITS], [joined[column.format(bits)] for bits in DESCRIBED_BITS]
        )
    return joined.assign(ratio=joined["qid_nats"] / joined["predicted_nats"])


def travel_exponent(direct: float, legs: Sequence[float]) -> float:
    """Return the exponent h of travel: n equal legs lead n^h legs away. 0.5 is a random walk, 1 a straight line.

    `direct` is the distance between the ends, `legs` those of neighbours on the way, in one unit.
    """
    return float(np.log(direct / np.sqrt(np.mean(np.square(legs)))) / np.log(len(legs)))


def updates_of_rounding(change: FloatArray, rounding: FloatArray, updates: FloatArray, exponent: float) -> FloatArray:
    """Return the updates that move the weights as far as rounding does, if distance grows with updates^`exponent`.

    `change` is the relative movement over `updates`, `rounding` a relative error.
    """
    return updates * (rounding / change) ** (1 / exponent)


def beside_trunk(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the rows of other runs with `log_NAME` of each of `columns`: ln of the value over that of the twin.

    The twin is on the trunk and has the same step, scheme and, within 6%, size. Runs whose learning rate decays count
    at their end only. `table` is of `with_description`. Raises AnalysisError where no row has a twin.
    """
    trunk = on_trunk(table)
    sizes = np.sort(table.loc[trunk, N_PARAMS].unique())
    others = table[~trunk]
    at_end = others["step"] == others.groupby("run_label")["step"].transform("max")
    others = others[(others["schedule"] == "constant") | at_end]
    apart = np.abs(np.log(others[N_PARAMS].to_numpy(float)[:, None] / sizes))
    others = others.assign(twin=sizes[apart.argmin(axis=1)])[apart.min(axis=1) < NEAR]
    twins = table[trunk].rename(columns={N_PARAMS: "twin"})[[*SAME_PLACE, *columns]]
    both = others.merge(twins, on=SAME_PLACE, suffixes=("", "_twin"), validate="m:1")
    if both.empty:
        raise AnalysisError("no row of another run has a twin on the trunk")
    return both.assign(**{f"log_{name}": np.log(both[name] / both[f"{name}_twin"]) for name in columns})


def regression(
    outcome: FloatArray, predictors: pd.DataFrame, clusters: NDArray[np.generic], level: float = 0.95
) -> pd.DataFrame:
    """Return the coefficients of least squares with an intercept: index the predictors; `value`, `low`, `high`.

    Intervals count clusters (CR2, t with Bell-McCaffrey degrees of freedom, at most clusters - 1). Predictors are
    centred, so that the intercept isn't far away from the data. Raises FitError where the clusters give no interval.
    """
    design = sm.add_constant(predictors - predictors.mean(), has_constant="add")
    fit = sm.OLS(np.asarray(outcome, float), design.to_numpy(float)).fit()
    by_cluster = cr2_covariance(design.to_numpy(float), fit.resid, np.asarray(clusters))
    freedom = np.minimum(by_cluster.degrees_of_freedom, np.unique(clusters).size - 1)
    half = stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(np.diag(by_cluster.covariance))
    found = {"value": fit.params, "low": fit.params - half, "high": fit.params + half}
    return pd.DataFrame(found, index=design.columns).drop(index="const")


def _left_out(outcome: FloatArray, design: FloatArray, clusters: NDArray[np.generic]) -> FloatArray:
    """Return the errors of predicting each cluster from all others, in row order."""
    errors = np.empty(outcome.shape)
    for label in np.unique(clusters):
        out = clusters == label
        errors[out] = outcome[out] - design[out] @ sm.OLS(outcome[~out], design[~out]).fit().params
    return errors


def nested(
    outcome: FloatArray, predictors: pd.DataFrame, models: Mapping[str, Sequence[str]], clusters: NDArray[np.generic]
) -> pd.DataFrame:
    """Return how well each model (name: columns of `predictors`) accounts for `outcome`, by least squares.

    Columns: `n_predictors`, `r_squared`, `residual_sd`, and `left_out_rms`: the error where each cluster is predicted
    from the others, in the outcome's unit.
    """
    outcome, clusters, by_model = np.asarray(outcome, float), np.asarray(clusters), {}
    for name, columns in models.items():
        design = sm.add_constant(predictors[list(columns)], has_constant="add").to_numpy(float)
        fit = sm.OLS(outcome, design).fit()
        errors = _left_out(outcome, design, clusters)
        by_model[name] = {
            "n_predictors": len(columns),
            "r_squared": fit.rsquared,
            "residual_sd": float(np.sqrt(fit.scale)),
            "left_out_rms": float(np.sqrt(np.mean(errors**2))),
        }
    return pd.DataFrame.from_dict(by_model, orient="index")
