"""A person's own texts under a model's own tokenizer: blocks to score on, blocks to calibrate on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from helpers.measure.text.documents import Documents, refuse_same_names
from helpers.measure.text.token_blocks import Blocks, blocks_of
from helpers.measure.text.windows import LEAST_DOCUMENTS, Windows, cut
from helpers.table.errors import CorpusError, SpecError
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
        return blocks_of_documents(documents, tokenizer, n_sequences, seq_len)

    def drawn(self, tokenizer: Tokenizer, n_sequences: int, seq_len: int, seed: int) -> tuple[Tensor, str]:
        """Return calibration blocks (n_sequences, seq_len), drawn with `seed` without replacement, and their hash.

        Raises CorpusError where a text is too short for its share.
        """
        shares = [n_sequences // len(self.calibration)] * len(self.calibration)
        shares[0] += n_sequences - sum(shares)
        parts = [_draw(*each, tokenizer, seq_len, seed) for each in zip(self.calibration, shares, strict=True)]
        tokens = torch.cat(parts)
        return tokens, digest(hashlib.sha256(tokens.numpy().tobytes()).hexdigest())

    def halves(self, tokenizer: Tokenizer, n_first: int, n_second: int, seq_len: int) -> tuple[Blocks, Blocks]:
        """Return blocks of every other document of each text, at most `n_first`, and at most `n_second` of the rest.

        Each text has the same share of both. Raises CorpusError where a text is too short for two documents of each.
        """
        rows: tuple[list[tuple[int, ...]], list[tuple[int, ...]]] = ([], [])
        documents: tuple[list[int], list[int]] = ([], [])
        shares = [n // len(self.texts) for n in (n_first, n_second)]
        for text in self.texts:
            windows = windows_of(text, tokenizer, 2 * max(shares), seq_len)
            if windows.n_documents < 2 * LEAST_DOCUMENTS:
                found = f"{windows.n_documents} passages or documents of {seq_len + 1:,} tokens"
                raise CorpusError(f"{text.name}: too short, {found}; needed: {2 * LEAST_DOCUMENTS}, to split in two")
            for half, share in enumerate(shares):
                n_before = len(set(documents[half]))
                taken = _every_other(windows, half, share)
                rows[half].extend(windows.rows[i] for i in taken)
                documents[half].extend(n_before + windows.documents[i] // 2 for i in taken)
        first, second = (blocks_of(rows[half], tuple(documents[half]), tokenizer) for half in (0, 1))
        return first, second


def _every_other(windows: Windows, half: int, n_sequences: int) -> list[int]:
    """Return the places of at most `n_sequences` windows, all of a document, of the even or the odd documents."""
    n_documents = max(LEAST_DOCUMENTS, n_sequences * windows.n_documents // len(windows.rows))
    return [i for i, d in enumerate(windows.documents) if d % 2 == half and d // 2 < n_documents]


def refuse_same(texts: Sequence[Documents], calibration: Sequence[Documents]) -> None:
    """Raise SpecError for two texts of one name, and for a text that is calibrated on too."""
    refuse_same_names(texts)
    seen = {text for each in calibration for text in each.texts}
    for each in texts:
        if any(text in seen for text in each.texts):
            raise SpecError(
                f"{each.name}: text that is calibrated on too; accepted: other documents than --calibration's"
            )


def encoded(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Return the tokens of texts as they stand: nothing before or after, and names of special tokens are text."""
    tokenizer.encode_special_tokens = True
    return [each.ids for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def windows_of(documents: Documents, tokenizer: Tokenizer, n_sequences: int, seq_len: int) -> Windows:
    """Return windows of documents as `windows.cut` cuts them."""
    return cut(encoded(documents.texts, tokenizer), n_sequences, seq_len, documents.name)


def blocks_of_documents(documents: Documents, tokenizer: Tokenizer, n_sequences: int, seq_len: int) -> Blocks:
    """Return windows of documents as blocks to score on. Raises CorpusError as `windows.cut` does."""
    windows = windows_of(documents, tokenizer, n_sequences, seq_len)
    return blocks_of(windows.rows, windows.documents, tokenizer)


def _draw(documents: Documents, n_sequences: int, tokenizer: Tokenizer, seq_len: int, seed: int) -> Tensor:
    rows = windows_of(documents, tokenizer, max(POOL, n_sequences), seq_len).rows
    if len(rows) < n_sequences:
        needed = f"{n_sequences:,} of {seq_len:,} tokens"
        raise CorpusError(f"{documents.name}: too short to calibrate, {len(rows):,} sequences; needed: {needed}")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return torch.tensor(rows)[:, :seq_len][order[:n_sequences]].contiguous()
