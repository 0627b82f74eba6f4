"""Quantized checkpoints beside their 16-bit original on the same tokens: one forward pass of each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from helpers.measure.comparing import refusals, stored
from helpers.measure.comparing.loading import Quantized, load
from helpers.measure.models import checkpoints, failures
from helpers.measure.models.decoders import positions_of
from helpers.measure.rounding import one_checkpoint
from helpers.measure.rounding.methods.libraries import without_remarks
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring.evaluate import Evaluation
from helpers.measure.scoring.own_forward import last_hidden, scores_beside
from helpers.measure.text.corpus_lock import read_lock
from helpers.measure.text.token_blocks import Blocks, text_blocks
from helpers.table.errors import CheckpointError
from helpers.table.paired_error import paired_error

SEQ_LEN = 512  # tokens of a window, where the model has so many positions
Tell = Callable[[int], None]


@dataclass(frozen=True)
class Text:
    """A text as every model of a comparison reads it: where it is, its name, its blocks by the original's tokenizer."""

    place: str
    name: str
    blocks: Blocks


@dataclass(frozen=True)
class Line:
    """One checkpoint on one text beside the original: losses, KL and errors in nats a token.

    `bits_per_weight` is counted from the files' bytes; the error is paired by document.
    """

    checkpoint: str
    format: str
    text: str
    bits_per_weight: float
    original_bits_per_weight: float
    n_tokens: int
    n_documents: int
    original_loss_nats: float
    loss_nats: float
    qid_nats: float
    paired_error_nats: float
    perplexity_ratio: float
    kl_nats: float | None
    top1_agreement: float | None


@dataclass(frozen=True)
class Comparison:
    """The lines of all checkpoints that could be compared, and for each of the others why not."""

    lines: tuple[Line, ...]
    failures: tuple[str, ...]


@dataclass(frozen=True)
class _Original:
    """The original with what its last block puts out for each text, (n, L, d)."""

    checkpoint: Checkpoint
    bits_per_weight: float
    texts: tuple[Text, ...]
    hidden: tuple[Tensor, ...]


def compare(
    base: Path, others: Sequence[Path], places: Sequence[str], n_tokens: int, device: str, tell: Tell
) -> Comparison:
    """Compare checkpoints with the 16-bit original in `base` on the texts called `places`, on about `n_tokens` of each.

    `tell` is called with the number of sequences that a model has read since its last call. Raises CheckpointError or
    CorpusError where the original or a text can't be used; of the other checkpoints the result says why.
    """
    refusals.refuse_same_folder([base, *others])
    original = _original(base, places, n_tokens, device, tell)
    lines: list[Line] = []
    refused: list[str] = []
    for folder in others:
        try:
            lines += _beside(original, folder, device, tell)
        except Exception as error:  # of one checkpoint: failure_of raises what isn't
            line = failures.failure_of(error, str(folder), device)
            refused.append(line.removeprefix(f"{folder}: ") if line.startswith(f"{folder}: {folder}") else line)
    return Comparison(tuple(lines), tuple(refused))


def _original(base: Path, places: Sequence[str], n_tokens: int, device: str, tell: Tell) -> _Original:
    checkpoint, _ = one_checkpoint.load_folder(base, device)
    decoder, tokenizer = checkpoint.decoder, checkpoints.tokenizer_of(base)
    seq_len = min(SEQ_LEN, positions_of(checkpoint.model.config) or SEQ_LEN)
    texts = tuple(_text(place, tokenizer, max(1, n_tokens // seq_len), seq_len) for place in places)
    bits = stored.bits_per_weight(base, stored.stored_tensors(base), decoder.linear_layers())
    hidden = tuple(last_hidden(decoder, text.blocks, tell) for text in texts)
    return _Original(checkpoint, bits, texts, hidden)


def _text(place: str, tokenizer: Tokenizer, n_sequences: int, seq_len: int) -> Text:
    name, blocks = text_blocks(place, read_lock(), tokenizer, n_sequences, seq_len)
    return Text(place, name, blocks)


def _beside(original: _Original, folder: Path, device: str, tell: Tell) -> list[Line]:
    """Return the lines of one checkpoint. Raises CheckpointError where it is no rounded copy of the original."""
    checkpoint = original.checkpoint
    config = checkpoints.config_of(folder, stored.REFUSED)
    refusals.refuse_another_architecture(config, checkpoint.model.config, folder)
    refusals.refuse_another_vocabulary(folder, checkpoint.folder)
    tokenizer = checkpoints.tokenizer_of(folder)
    for text in original.texts:
        n_sequences, seq_len = text.blocks.tokens[:, 1:].shape
        if _text(text.place, tokenizer, n_sequences, seq_len).blocks.sha256 != text.blocks.sha256:
            raise CheckpointError(f"{folder}: its tokenizer makes other tokens of {text.name} than the original's")
    quantized = load(folder, checkpoint.model, device)
    refusals.refuse_other_weights(quantized, checkpoint.decoder)
    lines = []
    for text, hidden in zip(original.texts, original.hidden, strict=True):
        with without_remarks():
            both = scores_beside(checkpoint.decoder, hidden, quantized.model, text.blocks, tell)
        lines.append(_line(original, quantized, text, *both))
    return lines


def _line(original: _Original, quantized: Quantized, text: Text, before: Evaluation, after: Evaluation) -> Line:
    for folder, evaluation in ((original.checkpoint.folder, before), (quantized.folder, after)):
        if not evaluation.finite:
            raise CheckpointError(f"{folder}: its loss on {text.name} isn't a number")
    layers = original.checkpoint.decoder.linear_layers()
    qid = after.loss_nats - before.loss_nats
    return Line(
        checkpoint=str(quantized.folder),
        format=quantized.label,
        text=text.name,
        bits_per_weight=stored.bits_per_weight(quantized.folder, quantized.stored, layers),
        original_bits_per_weight=original.bits_per_weight,
        n_tokens=after.n_tokens,
        n_documents=len(after.group_loss),
        original_loss_nats=before.loss_nats,
        loss_nats=after.loss_nats,
        qid_nats=qid,
        paired_error_nats=paired_error(np.subtract(after.group_loss, before.group_loss)),
        perplexity_ratio=math.exp(qid),
        kl_nats=after.kl_nats,
        top1_agreement=after.top1_agreement,
    )
