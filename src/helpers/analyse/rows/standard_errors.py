"""Standard errors: clustered by package, and of means over training runs; `table.paired_error` pairs by document."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error


def mean_over_runs(values: Sequence[float], level: float = 0.95) -> dict[str, float]:
    """Return `mean`, `low`, `high` and `n_runs` of one value per training run: the interval is Student's, for its mean.

    Raises AnalysisError below two runs, where there is no interval.
    """
    sample = np.asarray(values, float)
    if sample.size < 2:
        raise AnalysisError(f"an interval over training runs needs two or more; got {sample.size}")
    half = stats.t.ppf((1 + level) / 2, sample.size - 1) * sample.std(ddof=1) / np.sqrt(sample.size)
    return {"mean": sample.mean(), "low": sample.mean() - half, "high": sample.mean() + half, "n_runs": sample.size}


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
