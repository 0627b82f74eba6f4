"""Windows of tokens cut from documents, the same number of each: pure, no files and no models."""

from collections.abc import Sequence
from dataclasses import dataclass

from helpers.table.errors import CorpusError

MOST_WINDOWS = 4  # of a document: more of one say little more
FEW = 16  # documents; of fewer, passages stand for documents
LEAST_DOCUMENTS = 2  # a paired error needs so many

Tokens = Sequence[int]


@dataclass(frozen=True)
class Windows:
    """Windows of `seq_len` + 1 tokens: `rows[i]` is cut from document (or passage) `documents[i]`.

    They are in the order of `token_blocks.heldout_blocks`: the first window of every document, then the second ones.
    """

    rows: tuple[tuple[int, ...], ...]
    documents: tuple[int, ...]
    of_passages: bool

    @property
    def n_documents(self) -> int:
        """Return how many documents or passages there are: the clusters of a paired error."""
        return len(set(self.documents))


def cut(documents: Sequence[Tokens], n_sequences: int, seq_len: int, name: str) -> Windows:
    """Return at most `n_sequences` windows from tokenized documents, as many of each as of any other, without padding.

    Documents too short for one window are left out; of many, some are taken at equal distances. Of fewer than `FEW`
    long ones, passages of up to `MOST_WINDOWS` windows stand for documents.
    Raises CorpusError, with the length needed, where fewer than two are left.
    """
    counts = [(len(tokens) - 1) // seq_len for tokens in documents]
    longest = max(map(len, documents), default=0)
    of_passages = sum(count >= 1 for count in counts) < FEW
    if of_passages:
        size = max(1, min(MOST_WINDOWS, sum(counts) // FEW))
        documents = [
            tokens[k * size * seq_len : (k + 1) * size * seq_len + 1]
            for tokens, count in zip(documents, counts, strict=True)
            for k in range(count // size)
        ]
        counts = [size] * len(documents)
    each = _windows_of_each(counts, n_sequences)
    usable = [tokens for tokens, count in zip(documents, counts, strict=True) if count >= each]
    if len(usable) < LEAST_DOCUMENTS:
        needed = f"{LEAST_DOCUMENTS} passages or documents of {seq_len + 1:,} tokens or more"
        raise CorpusError(f"{name}: too short, its longest document has {longest:,} tokens; needed: {needed}")
    chosen = _spread(usable, max(LEAST_DOCUMENTS, n_sequences // each))
    rows = [tuple(tokens[k * seq_len : (k + 1) * seq_len + 1]) for k in range(each) for tokens in chosen]
    return Windows(tuple(rows), tuple(range(len(chosen))) * each, of_passages)


def _windows_of_each(counts: Sequence[int], n_sequences: int) -> int:
    """Return how many windows to cut from each document: as many as fit, so that no document is left out for others."""
    totals = {each: each * sum(count >= each for count in counts) for each in range(1, MOST_WINDOWS + 1)}
    fitting = [each for each, total in totals.items() if total <= n_sequences]
    return max(fitting, key=lambda each: totals[each]) if 1 in fitting else 1


def _spread(documents: Sequence[Tokens], most: int) -> list[Tokens]:
    """Return all documents or, of more than `most`, so many at equal distances."""
    if len(documents) <= most:
        return list(documents)
    return [documents[i * len(documents) // most] for i in range(most)]
