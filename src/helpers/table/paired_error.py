"""The standard error of a QiD, paired by document, and QiD as perplexity; numbers only, for both sides."""

import math
import sys

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


def perplexity_ratio(qid_nats: float) -> float | None:
    """Return by what a QiD in nats a token multiplies perplexity, no unit; None where no float holds that."""
    return math.exp(qid_nats) if qid_nats < math.log(sys.float_info.max) else None
