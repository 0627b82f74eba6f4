"""Standard errors of losses: paired by document, clustered by package, of means over runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.table.errors import QidError


def mean_over_runs(values: Sequence[float], level: float = 0.95) -> dict[str, float]:
    """Return `mean`, `low`, `high` and `n_runs` of one value a training run: the interval is Student's, for its mean.

    Raises AnalysisError below two runs, where there is no interval.
    """
    one = np.asarray(values, float)
    if one.size < 2:
        raise AnalysisError(f"an interval over training runs needs two or more; got {one.size}")
    half = stats.t.ppf((1 + level) / 2, one.size - 1) * one.std(ddof=1) / np.sqrt(one.size)
    return {"mean": one.mean(), "low": one.mean() - half, "high": one.mean() + half, "n_runs": one.size}


class AnalysisError(QidError):
    """The table doesn't hold what an analysis needs: a baseline, per-document losses, one scheme at a time."""


def paired_error(differences: np.ndarray) -> float:
    """Return the standard error of the mean of per-document differences, shape (n_documents,), in their own unit.

    The documents are the clusters: tokens inside one document aren't independent, documents are taken to be.
    Raises AnalysisError below two documents, where no error can be estimated.
    """
    if differences.size < 2:
        raise AnalysisError(f"a paired error needs two documents or more; got {differences.size}")
    return float(differences.std(ddof=1) / np.sqrt(differences.size))


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
