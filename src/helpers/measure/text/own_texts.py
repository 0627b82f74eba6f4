"""A person's own texts under a model's own tokenizer: blocks to score on, blocks to calibrate on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from helpers.measure.text.documents import Documents
from helpers.measure.text.token_blocks import Blocks, blocks_of
from helpers.measure.text.windows import Windows, cut
from helpers.table.errors import CorpusError
from helpers.table.records import digest

POOL = 512  # windows of a calibration text that draws are made from, at least


@dataclass(frozen=True)
class OwnTexts:
    """Texts to score on, and texts to calibrate on, each of these for the same share of the sequences."""

    texts: tuple[Documents, ...]
    calibration: tuple[Documents, ...]

    @property
    def calibration_dataset(self) -> str:
        """Return the name of the calibration text that rows have."""
        return "+".join(each.name for each in self.calibration)

    def blocks(self, name: str, tokenizer: Tokenizer, n_sequences: int, seq_len: int) -> Blocks:
        """Return the blocks of the text called `name`. Raises CorpusError as `windows.cut` does."""
        (documents,) = [each for each in self.texts if each.name == name]
        found = windows_of(documents, tokenizer, n_sequences, seq_len)
        return blocks_of(found.rows, found.documents, tokenizer)

    def drawn(self, tokenizer: Tokenizer, n_sequences: int, seq_len: int, seed: int) -> tuple[Tensor, str]:
        """Return calibration blocks (n_sequences, seq_len), drawn with `seed` without replacement, and their hash.

        Raises CorpusError where a text is too short for its share.
        """
        shares = [n_sequences // len(self.calibration)] * len(self.calibration)
        shares[0] += n_sequences - sum(shares)
        parts = [_draw(*each, tokenizer, seq_len, seed) for each in zip(self.calibration, shares, strict=True)]
        tokens = torch.cat(parts)
        return tokens, digest(hashlib.sha256(tokens.numpy().tobytes()).hexdigest())


def encoded(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Return the tokens of texts as they stand: nothing before or after, and names of special tokens are text."""
    tokenizer.encode_special_tokens = True
    return [each.ids for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def windows_of(documents: Documents, tokenizer: Tokenizer, n_sequences: int, seq_len: int) -> Windows:
    """Return windows of documents as `windows.cut` cuts them."""
    return cut(encoded(documents.texts, tokenizer), n_sequences, seq_len, documents.name)


def _draw(documents: Documents, n_sequences: int, tokenizer: Tokenizer, seq_len: int, seed: int) -> Tensor:
    rows = windows_of(documents, tokenizer, max(POOL, n_sequences), seq_len).rows
    if len(rows) < n_sequences:
        needed = f"{n_sequences:,} of {seq_len:,} tokens"
        raise CorpusError(f"{documents.name}: too short to calibrate, {len(rows):,} sequences; needed: {needed}")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return torch.tensor(rows)[:, :seq_len][order[:n_sequences]].contiguous()
