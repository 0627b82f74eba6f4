"""Gaussian noise of the size of rounding's error, beside rounding and beside what curvature says of either.

KL of the noise is what an error of that size and place costs whatever its direction. Rounding's KL over it is the
part that is rounding's own, and half the Hessian's trace times the error's mean square (`rows.curvature`) is what the
noise's KL should be to second order, if the trace of the loss's Hessian is that of Fisher's information.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.rows.curvature import DESCRIBED_BITS, cost_by_curvature, refuse_other_blocks
from helpers.analyse.rows.degradation import DRAWN_NOISE, N_PARAMS, TOKENS_SEEN, run_label
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import GROUP_SIZE
from helpers.table.errors import AnalysisError

NOISE, SPARING = DRAWN_NOISE
ERRORS = (NOISE, SPARING, "rtn", "gptq")
SMALL_BITS = (5, 6, 8)  # at which second order is all there is (`questions.quadratic_rule`)
CHECKPOINT = ["run_label", N_PARAMS, TOKENS_SEEN, "weights_sha256"]


def rows_beside_noise(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `ERRORS` in asymmetric groups of 32 and the first draw of calibration text, with `run_label`.

    `measured` has the columns of `Measurement` and one evaluation. Raises AnalysisError where a row isn't ok, where
    there are several evaluations, and where there is no noise.
    """
    plain = (measured["group_size"] == GROUP_SIZE) & ~measured["symmetric"].astype("boolean").fillna(value=True)
    chosen = measured[plain & measured["method"].isin(ERRORS) & (measured["calib_seed"].fillna(0) == 0)]
    if not (chosen["status"] == "ok").all():
        raise AnalysisError(f"{int((chosen['status'] != 'ok').sum())} rows beside noise aren't ok")
    if chosen["eval_id"].nunique() > 1:
        raise AnalysisError(f"{chosen['eval_id'].nunique()} evaluations beside noise; accepted: one")
    if not (chosen["method"] == NOISE).any():
        raise AnalysisError(f"no row of {NOISE}")
    return chosen.assign(run_label=run_label(chosen))


def mean_kl(rows: pd.DataFrame) -> pd.DataFrame:
    """Return KL in nats per token, the mean over draws: a row a checkpoint and bit width, a column a kind of error.

    The index is `CHECKPOINT` and `bits`. What lacks one of them is left out.
    """
    return rows.pivot_table(index=[*CHECKPOINT, "bits"], columns="method", values="kl_nats", aggfunc="mean").dropna()


def draw_errors(rows: pd.DataFrame) -> pd.Series:
    """Return the relative standard error of the noise's mean KL over its draws, indexed as `mean_kl`."""
    by_cell = rows[rows["method"] == NOISE].groupby([*CHECKPOINT, "bits"])["kl_nats"]
    return by_cell.std() / np.sqrt(by_cell.size()) / by_cell.mean()


def curvature_costs(checkpoints: pd.DataFrame, bits: Sequence[int]) -> pd.DataFrame:
    """Return what curvature says that errors of rounding to nearest cost, in nats per token: a column a bit width.

    One row a checkpoint, by `weights_sha256`, with `trace_error`, the trace's relative standard error. Beyond the
    described widths the error's mean square is that of the finest of these times the ratio of the grids' squared steps.
    Raises AnalysisError for blocks other than GPT-NeoX's.
    """
    refuse_other_blocks(checkpoints)
    known = checkpoints.drop_duplicates("weights_sha256").set_index("weights_sha256")
    finest = max(DESCRIBED_BITS)
    costs = {}
    for width in bits:
        described = min(width, finest)
        finer = ((2.0**described - 1) / (2.0**width - 1)) ** 2
        costs[width] = known.apply(cost_by_curvature, axis=1, bits=described) * finer
    return pd.DataFrame(costs).assign(trace_error=known["hessian_trace_se"] / known["hessian_trace"])


def over_curvature(kl: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Return each KL of `mean_kl` over what curvature says of an error of its size: no unit."""
    said = costs.drop(columns="trace_error").stack().rename_axis(["weights_sha256", "bits"])
    places = pd.MultiIndex.from_arrays([kl.index.get_level_values(name) for name in ("weights_sha256", "bits")])
    return kl.div(said.reindex(places).to_numpy(), axis=0)


def factor_over_runs(ratios: pd.Series) -> pd.Series:
    """Return the geometric mean of ratios, run by run and then over runs: `value`, `low`, `high` (95%, t over runs)."""
    runs = np.log(ratios).groupby("run_label").mean()
    mean = mean_over_runs(runs.to_numpy())
    return np.exp(pd.Series({"value": mean["mean"], "low": mean["low"], "high": mean["high"]}))


def token_slopes(kl: pd.DataFrame, bits: int) -> pd.DataFrame:
    """Return the slope of ln KL in ln tokens at one bit width: a row a run, a column for each of `ERRORS`."""
    here = np.log(kl.xs(bits, level="bits")).reset_index()

    def of_run(run: pd.DataFrame) -> pd.Series:
        places = np.log(run[TOKENS_SEEN]) - np.log(run[TOKENS_SEEN]).mean()
        return run[list(ERRORS)].mul(places, axis=0).sum() / (places**2).sum()

    return here.groupby("run_label")[[TOKENS_SEEN, *ERRORS]].apply(of_run)


def slope_over_runs(slopes: pd.Series) -> pd.Series:
    """Return the mean of one slope a run: `value`, `low`, `high` (95%, t over runs)."""
    mean = mean_over_runs(slopes.to_numpy())
    return pd.Series({"value": mean["mean"], "low": mean["low"], "high": mean["high"]})
