"""The factor of a full cooldown as a surface over tokens and size: ln r = a + b ln D + c ln N at each bit width.

A cooldown branches off a run at a constant rate and takes the rate to zero; r is its outcome at the end over that of
the run it left, at the same tokens, on the same evaluation. Cooldowns of one size share that run's luck (and, on the
trunk, its batches), so errors are clustered by run: few clusters, however many cooldowns.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.by_run import ClusterCovariance, cr2_covariance
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.analyse.rows.study import unbranched
from helpers.table.errors import AnalysisError

OWN = ["family", "model", "bits", "eval_id", "device_type"]
SAME_TOKENS = 1e-3  # relative: the second runs' cooldowns end one update after a checkpoint of the run they left


def full_cooldowns(rows: pd.DataFrame, outcome: Outcome = QID) -> pd.DataFrame:
    """Return the finished cooldowns of `rows` beside the run each left, one row a cooldown and bit width.

    Columns: family, model, size, tokens, `bits`, `origin` (family and model: the run it left), `ratio` (cooldown over
    that run, at equal tokens) and `log_ratio`. Rows whose outcome isn't positive on either side are left out. Raises
    AnalysisError without any.
    """
    own = rows[unbranched(rows)]
    cooled = rows[~unbranched(rows) & (rows["schedule"] != "constant") & (rows["n_averaged"] == 1)]
    cooled = cooled[cooled["run"].str.contains("-cooldown") & (cooled[TOKENS_SEEN] == cooled["tokens_planned"])]
    other = own[[*OWN, TOKENS_SEEN, outcome.column]]
    both = cooled.merge(other, on=OWN, suffixes=("", "_own"))
    both = both[(both[f"{TOKENS_SEEN}_own"] / both[TOKENS_SEEN] - 1).abs() < SAME_TOKENS]
    both = both[(both[outcome.column] > 0) & (both[f"{outcome.column}_own"] > 0)]
    if both.empty:
        raise AnalysisError("no finished cooldown has a checkpoint of the run it left at the same tokens")
    ratio = both[outcome.column] / both[f"{outcome.column}_own"]
    kept = both[["family", "model", N_PARAMS, TOKENS_SEEN, "bits"]]
    origin = both["family"] + "/" + both["model"]
    return kept.assign(origin=origin, ratio=ratio, log_ratio=np.log(ratio)).reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class DecaySurface:
    """A fitted ln r = a + b (ln D - mean ln D) + c (ln N - mean ln N) with its covariance by run."""

    coefficients: FloatArray  # a, b, c
    by_run: ClusterCovariance
    centre: FloatArray  # means of ln D and ln N
    n_cooldowns: int
    n_runs: int
    level: float = 0.95

    @property
    def slopes(self) -> pd.DataFrame:
        """Return `value`, `standard_error`, `low` and `high` of the mean of ln r and of its slopes in ln D and ln N."""
        errors = np.sqrt(np.diag(self.by_run.covariance))
        freedom = np.minimum(self.by_run.degrees_of_freedom, self.n_runs - 1)
        half = stats.t.ppf((1 + self.level) / 2, freedom) * errors
        values = {"value": self.coefficients, "standard_error": errors}
        values |= {"low": self.coefficients - half, "high": self.coefficients + half}
        return pd.DataFrame(values, index=["mean", "tokens", "size"])

    def at(self, tokens: float, n_params: float) -> dict[str, float]:
        """Return the factor `ratio` of a full cooldown at D tokens and size N, with its interval `low` to `high`.

        The interval is that of the surface, t with the least degrees of freedom of its coefficients: not of one run.
        """
        place = np.append(1.0, np.log([tokens, n_params]) - self.centre)
        freedom = min(self.by_run.degrees_of_freedom.min(), self.n_runs - 1)
        half = stats.t.ppf((1 + self.level) / 2, freedom) * np.sqrt(place @ self.by_run.covariance @ place)
        value = place @ self.coefficients
        return {"ratio": float(np.exp(value)), "low": float(np.exp(value - half)), "high": float(np.exp(value + half))}


def decay_surface(cooldowns: pd.DataFrame) -> DecaySurface:
    """Return the surface through `full_cooldowns` of one bit width, by least squares.

    Clusters are the runs that were left (`origin`). Raises FitError where they give no interval, AnalysisError for
    several bit widths or fewer than five cooldowns.
    """
    if cooldowns["bits"].nunique() != 1 or len(cooldowns) < 5:
        raise AnalysisError(f"a surface is of one bit width and five cooldowns or more; got {len(cooldowns)} rows")
    logs = np.log(cooldowns[[TOKENS_SEEN, N_PARAMS]].to_numpy(float))
    centre = logs.mean(axis=0)
    design = np.column_stack([np.ones(len(logs)), logs - centre])
    target = cooldowns["log_ratio"].to_numpy(float)
    coefficients = np.linalg.lstsq(design, target)[0]
    by_run = cr2_covariance(design, target - design @ coefficients, cooldowns["origin"].to_numpy())
    return DecaySurface(coefficients, by_run, centre, len(logs), cooldowns["origin"].nunique())


def surfaces(rows: pd.DataFrame, outcome: Outcome = QID) -> dict[float, DecaySurface]:
    """Return by bits the surface through all finished cooldowns of `rows`, of whatever family, for one outcome."""
    return {float(bits): decay_surface(one) for bits, one in full_cooldowns(rows, outcome).groupby("bits")}
