"""The standard error of a QiD, paired by document; numbers only, for both sides."""

import numpy as np
from numpy.typing import NDArray

from helpers.table.errors import AnalysisError


def paired_error(differences: NDArray[np.floating]) -> float:
    """Return the standard error of the mean of per-document differences, shape (n_documents,), in their own unit.

    The documents are the clusters: tokens inside one document aren't independent, documents are taken to be.
    Raises AnalysisError below two documents, where no error can be estimated.
    """
    if differences.size < 2:
        raise AnalysisError(f"a paired error needs two documents or more; got {differences.size}")
    return float(differences.std(ddof=1) / np.sqrt(differences.size))
