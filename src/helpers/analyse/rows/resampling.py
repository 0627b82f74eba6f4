"""Draws of documents and packages: how QiD would scatter on another text of the same kind."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.table.errors import AnalysisError

DRAWS = 4000


def document_counts(
    n_documents: int, generator: np.random.Generator, groups: Sequence[str] | None = None, n_draws: int = DRAWS
) -> FloatArray:
    """Return how often each document is in each draw, (n_documents, n_draws); `groups`: draw these whole."""
    labels = np.arange(n_documents) if groups is None else np.asarray(groups)
    if labels.size != n_documents:
        raise AnalysisError(f"{labels.size} packages for {n_documents} documents")
    distinct, place = np.unique(labels, return_inverse=True)
    shares = np.full(distinct.size, 1 / distinct.size)
    return generator.multinomial(distinct.size, shares, n_draws).T[place].astype(float)


def resampled_log_qid(table: pd.DataFrame, counts: FloatArray) -> FloatArray:
    """Return ln QiD of every row on every draw, (rows, n_draws): all rows on the same documents.

    Raises AnalysisError where rows have several evaluations, or where a QiD isn't positive on some draw: a ratio of
    such QiDs means nothing.
    """
    if table["eval_id"].nunique() != 1:
        raise AnalysisError(f"documents are drawn for one evaluation at a time; got {table['eval_id'].nunique()}")
    qid = np.stack(table["document_qid_nats"].to_numpy()) @ counts / counts.sum(axis=0)
    if (qid <= 0).any():
        bad = table.iloc[np.flatnonzero((qid <= 0).any(axis=1))[0]]
        raise AnalysisError(f"{bad['model']}@{bad['step']} {bad['way']}: QiD isn't positive on every draw of documents")
    return np.log(qid)
