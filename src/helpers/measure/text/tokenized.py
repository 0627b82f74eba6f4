"""Token blocks cut once per process, and schemes with their calibration tokens."""

import dataclasses
import functools
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from helpers.measure.text import corpus_lock, documents, public_texts, token_blocks
from helpers.measure.text.own_texts import OwnTexts, blocks_of_documents
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.scheme import QuantScheme


@dataclass(frozen=True)
class Source:
    """Held-out files, or a person's own texts (then there need be no lock), and the tokenizer that reads them.

    It is hashable, so that token blocks are made once per process.
    """

    lock: corpus_lock.CorpusLock | None
    tokenizer_json: str
    own: OwnTexts | None = None


@functools.lru_cache(maxsize=8)
def evaluation_blocks(source: Source, text: str, n_sequences: int, seq_len: int) -> tuple[str, token_blocks.Blocks]:
    """Return a text's dataset and its evaluation blocks as `token_blocks.text_blocks` does, cut once per process.

    A public text's are cut as a person's own. Raises CorpusError where it can't be had.
    """
    tokenizer = Tokenizer.from_str(source.tokenizer_json)
    if source.own is not None:
        return text, source.own.blocks(text, tokenizer, n_sequences, seq_len)
    if public_texts.is_of_the_hub(text, public_texts.TEXTS):
        public = documents.of_the_hub(public_texts.of_the_hub(text, public_texts.TEXTS))
        return public.name, blocks_of_documents(public, tokenizer, n_sequences, seq_len)
    return token_blocks.text_blocks(text, given(source.lock), tokenizer, n_sequences, seq_len)


@functools.lru_cache(maxsize=8)
def _calibration(
    source: Source, text: str | None, n_sequences: int, seq_len: int, seed: int
) -> tuple[str, torch.Tensor, str]:
    """Return the dataset, tokens and hash of a draw from a text by its name, by default the lock's."""
    tokenizer = Tokenizer.from_str(source.tokenizer_json)
    own = source.own
    if own is None and text is not None and public_texts.is_of_the_hub(text, public_texts.CALIBRATIONS):
        own = OwnTexts((), (documents.of_the_hub(public_texts.of_the_hub(text, public_texts.CALIBRATIONS)),))
    if own is not None:
        return own.calibration_dataset, *own.drawn(tokenizer, n_sequences, seq_len, seed)
    files = given(source.lock).calibration
    drawn = token_blocks.calibration_tokens(files, tokenizer, n_sequences, seq_len, seed)
    return corpus_lock.CALIBRATION_DATASET, *drawn


@functools.lru_cache(maxsize=8)
def search_blocks(source: Source, n_sequences: int, seq_len: int, seed: int) -> token_blocks.Blocks:
    """Return the blocks that searches score on, as `token_blocks.search_blocks` does, cut once per process."""
    tokenizer = Tokenizer.from_str(source.tokenizer_json)
    return token_blocks.search_blocks(given(source.lock).calibration, tokenizer, n_sequences, seq_len, seed)


def with_calibration(scheme: QuantScheme, source: Source) -> tuple[QuantScheme, torch.Tensor | None]:
    """Return a scheme with its calibration's dataset and hash, and the tokens (n, L) if it calibrates.

    Raises CorpusError without the text, QuantizationError when the scheme names another calibration text than there is.
    """
    if scheme.calib_sequences is None:
        return scheme, None
    extent = (scheme.calib_sequences, scheme.calib_seq_len, scheme.calib_seed)
    dataset, tokens, sha256 = _calibration(source, scheme.calib_dataset, *extent)
    if scheme.calib_sha256 not in (None, sha256):
        raise QuantizationError(f"calibration text is {sha256[:16]}; the scheme's is {scheme.calib_sha256[:16]}")
    return dataclasses.replace(scheme, calib_dataset=dataset, calib_sha256=sha256), tokens
