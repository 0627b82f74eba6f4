"""Text for training, calibration and evaluation: sources and descriptions of pinned wheels, so that nothing overlaps.

`data/corpus.lock` names every wheel (version, sha256, licence) and every held-out document (package, path, sha256).
Those of `heldout` and of calibration are read from the installed packages of the project's own environment, so they
need no download; the other texts and the training text are read from the wheels. None of it is in the repository.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from helpers.measure.text.corpus_lock import (
    BLOCKS_PER_DOCUMENT,
    CACHE,
    DOCUMENT_BYTES,
    TEXTS,
    CorpusLock,
    HeldoutFile,
    _sequences_accepted,
)
from helpers.measure.text.heldout import read_heldout
from helpers.table.errors import CorpusError
from helpers.table.records import digest


@dataclass(frozen=True)
class Blocks:
    """Held-out blocks: `tokens` (n, seq_len + 1) int64; `documents[i]` is the document block i was cut from.

    `n_bytes` counts the text of the predicted tokens (all but the first of each block).
    """

    tokens: Tensor
    documents: tuple[int, ...]
    n_bytes: int
    sha256: str


def text_blocks(
    name: str, lock: CorpusLock, tokenizer: Tokenizer, n_sequences: int, seq_len: int, cache: Path = CACHE
) -> tuple[str, Blocks]:
    """Return the dataset that rows of the text called `name` carry, and its blocks as `heldout_blocks` cuts them.

    Raises CorpusError for a name that isn't in `TEXTS` and as `heldout_blocks` does.
    """
    if name not in TEXTS:
        raise CorpusError(f"unknown text '{name}'; accepted: {', '.join(TEXTS)}")
    text = TEXTS[name]
    files, most = getattr(lock, text.split), text.blocks_per_document
    return text.dataset, heldout_blocks(files, tokenizer, n_sequences, seq_len, cache, most)


def heldout_blocks(
    files: Iterable[HeldoutFile],
    tokenizer: Tokenizer,
    n_sequences: int,
    seq_len: int,
    cache: Path = CACHE,
    blocks_per_document: int = BLOCKS_PER_DOCUMENT,
) -> Blocks:
    """Cut the first blocks of every held-out file, the same number of each: block i comes from document i mod n.

    A block has `seq_len` + 1 tokens, so `seq_len` of them are predicted; blocks overlap by that one token.
    Raises CorpusError when `n_sequences` isn't a multiple of the number of files, is more than `blocks_per_document` of
    each, or a file is too short.
    """
    files = tuple(files)
    if n_sequences not in _sequences_accepted(len(files), blocks_per_document):
        accepted = ", ".join(map(str, _sequences_accepted(len(files), blocks_per_document)))
        raise CorpusError(f"n_sequences is {n_sequences}; accepted: {accepted} (the same number of each document)")
    per_document = n_sequences // len(files)
    rows: list[list[list[int]]] = []
    for file in files:
        text = read_heldout(file, cache)[:DOCUMENT_BYTES].decode("ascii")
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) < per_document * seq_len + 1:
            raise CorpusError(f"{file.package} {file.path}: {len(ids)} tokens, {per_document * seq_len + 1} needed")
        rows.append([ids[k * seq_len : (k + 1) * seq_len + 1] for k in range(per_document)])
    in_order = [rows[d][k] for k in range(per_document) for d in range(len(files))]
    return blocks_of(in_order, tuple(range(len(files))) * per_document, tokenizer)


def calibration_tokens(
    files: Iterable[HeldoutFile], tokenizer: Tokenizer, n_sequences: int, seq_len: int, seed: int, cache: Path = CACHE
) -> tuple[Tensor, str]:
    """Return `n_sequences` calibration blocks (n_sequences, seq_len) drawn with `seed`, and their hash.

    They are drawn without replacement from the first blocks of every calibration file.
    Raises CorpusError when fewer exist.
    """
    files = tuple(files)
    pool = heldout_blocks(files, tokenizer, len(files) * BLOCKS_PER_DOCUMENT, seq_len, cache).tokens[:, :seq_len]
    if n_sequences > len(pool):
        raise CorpusError(f"calibration sequences: {n_sequences}; accepted: 1 to {len(pool)}")
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
    tokens = pool[order[:n_sequences]].contiguous()
    return tokens, digest(hashlib.sha256(tokens.numpy().tobytes()).hexdigest())


def search_blocks(
    files: Iterable[HeldoutFile],
    tokenizer: Tokenizer,
    n_sequences: int,
    seq_len: int,
    seed: int,
    cache: Path = CACHE,
) -> Blocks:
    """Return `n_sequences` blocks that searches score on: those that `calibration_tokens` draws last with `seed`.

    A block counts as a document of its own. Raises CorpusError when fewer exist.
    """
    files = tuple(files)
    pool = heldout_blocks(files, tokenizer, len(files) * BLOCKS_PER_DOCUMENT, seq_len, cache).tokens
    if not 1 <= n_sequences <= len(pool):
        raise CorpusError(f"search sequences: {n_sequences}; accepted: 1 to {len(pool)}")
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
    return blocks_of(pool[order[-n_sequences:]].tolist(), tuple(range(n_sequences)), tokenizer)


def blocks_of(rows: Sequence[Sequence[int]], documents: tuple[int, ...], tokenizer: Tokenizer) -> Blocks:
    """Return blocks of tokens, each of `seq_len` + 1, with the document of each, their bytes and their hash."""
    tokens = torch.tensor(rows)
    sha256 = digest([hashlib.sha256(tokens.numpy().tobytes()).hexdigest(), documents, tokens.shape[1] - 1])
    return Blocks(tokens, documents, _text_bytes(tokenizer, rows), sha256)


def _text_bytes(tokenizer: Tokenizer, blocks: Iterable[Sequence[int]]) -> int:
    """Return how many bytes of UTF-8 the predicted tokens of blocks stand for: all but the first of each."""

    def n_bytes(ids: Sequence[int]) -> int:
        return len(tokenizer.decode(ids, skip_special_tokens=False).encode())

    return sum(n_bytes(block) - n_bytes(block[:1]) for block in blocks)
