"""Quantized checkpoints beside their 16-bit original on the same tokens: one forward pass of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from torch import Tensor

from helpers.measure.comparing import refusals, stored
from helpers.measure.comparing.loading import Quantized, load, load_file, method_of
from helpers.measure.comparing.pairs import REVISION
from helpers.measure.models import checkpoints, failures, outside
from helpers.measure.models.decoders import positions_of
from helpers.measure.models.gguf import gguf_files
from helpers.measure.rounding import one_checkpoint
from helpers.measure.rounding.libraries import without_remarks
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring.evaluate import Evaluation
from helpers.measure.scoring.own_forward import Tell, last_hidden, scores_beside
from helpers.measure.sweep.console import progress_bar
from helpers.measure.text.documents import Documents, refuse_same_names, text_named
from helpers.measure.text.extent import FULL, Amounts, window_length
from helpers.measure.text.own_texts import blocks_of_documents
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import CheckpointError
from helpers.table.names import at_home
from helpers.table.paired_error import paired_error, perplexity_ratio


@dataclass(frozen=True)
class Wanted:
    """What is to be compared: models by place, texts by name or file, and how much of each.

    A place is a folder, a Hub repository or, but for `base`, a GGUF file.
    """

    base: str
    others: tuple[str, ...]
    texts: tuple[str, ...]
    amounts: Amounts = FULL
    seq_len: int | None = None


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
    eval_sha256: str
    original_loss_nats: float
    loss_nats: float
    qid_nats: float
    paired_error_nats: float
    perplexity_ratio: float | None
    kl_nats: float | None
    top1_agreement: float | None


@dataclass(frozen=True)
class Comparison:
    """The lines of all checkpoints that could be compared, and for each of the others why not."""

    lines: tuple[Line, ...]
    failures: tuple[str, ...]


@dataclass(frozen=True)
class _Text:
    """A text and its blocks by the original's tokenizer, and what the original's last block puts out, (n, L, d)."""

    documents: Documents
    blocks: Blocks
    hidden: Tensor


@dataclass(frozen=True)
class _Original:
    """The original, the bits that its linear layers take in its files, and the texts as it reads them."""

    checkpoint: Checkpoint
    bits_per_weight: float
    texts: tuple[_Text, ...]


def folder_of(name: str) -> Path:
    """Return the folder of a model by its name: a folder, a GGUF file, or a Hub repository, with @revision or not."""
    repository, _, revision = (name, "", "") if at_home(name).exists() else name.partition(REVISION)
    file = outside.gguf_file(name)
    if file is not None:
        return gguf_files.cached_checkpoint_of(file, gguf_files.CACHE)
    folder = outside.folder_of(repository, revision or None)
    outside.refuse_other_layouts(folder)
    return folder


def compare(wanted: Wanted, device: str, console: Console, place_of: Callable[[str], Path] = folder_of) -> Comparison:
    """Compare checkpoints with their 16-bit original, and say on `console` what is done.

    `place_of` gives the folder of a model by its name.
    Raises SpecError, CheckpointError or CorpusError where the original or a text can't be used; of the other
    checkpoints the result says why.
    """
    texts = [text_named(place) for place in wanted.texts]
    refuse_same_names(texts)
    refusals.refuse_gguf_original(wanted.base)
    folders = [place_of(name) for name in (wanted.base, *wanted.others)]
    refusals.refuse_same_folder(folders)
    lines: list[Line] = []
    refused: list[str] = []
    with progress_bar(console) as bar:
        task = bar.add_task("windows", total=None)
        original = _original(folders[0], texts, wanted, device, lambda n: bar.advance(task, n))
        console.print(_plan(original, wanted))
        bar.update(task, total=len(folders) * sum(len(text.blocks.tokens) for text in original.texts))
        for name, folder in zip(wanted.others, folders[1:], strict=True):
            try:
                lines += _beside(original, name, folder, device, lambda n: bar.advance(task, n))
            except Exception as error:  # of one checkpoint: failure_of raises what isn't
                line = failures.failure_of(error, name, device)
                refused.append(line.removeprefix(f"{name}: ") if line.startswith(f"{name}: {folder}") else line)
    return Comparison(tuple(lines), tuple(refused))


def _original(folder: Path, texts: Sequence[Documents], wanted: Wanted, device: str, tell: Tell) -> _Original:
    """Return the original after its forward pass over every text."""
    checkpoint, _ = one_checkpoint.load_folder(folder, device)
    decoder = checkpoint.decoder
    seq_len = window_length(wanted.seq_len, wanted.amounts.seq_len, positions_of(checkpoint.model.config))
    bits = stored.bits_per_weight(folder, stored.stored_tensors(folder), decoder.linear_layers())
    tokenizer = checkpoints.tokenizer_of(folder)
    read = []
    for documents in texts:
        blocks = blocks_of_documents(documents, tokenizer, wanted.amounts.sequences, seq_len)
        read.append(_Text(documents, blocks, last_hidden(decoder, blocks, tell)))
    return _Original(checkpoint, bits, tuple(read))


def _plan(original: _Original, wanted: Wanted) -> str:
    scored = ", ".join(
        f"{text.documents.name} ({len(text.blocks.tokens)} x {text.blocks.tokens.shape[1] - 1} tokens of"
        f" {max(text.blocks.documents) + 1} documents or passages)"
        for text in original.texts
    )
    return f"{wanted.base} and {len(wanted.others)} beside it, a forward pass of each on {scored}"


def _beside(original: _Original, name: str, folder: Path, device: str, tell: Tell) -> list[Line]:
    """Return the lines of one checkpoint. Raises CheckpointError where it is no rounded copy of the original."""
    checkpoint = original.checkpoint
    method_of(folder)  # raises for settings that transformers would stumble over
    config = checkpoints.config_of(folder, stored.REFUSED)
    refusals.refuse_another_architecture(config, checkpoint.model.config, folder)
    refusals.refuse_another_vocabulary(folder, checkpoint.folder)
    tokenizer = checkpoints.tokenizer_of(folder)
    for text in original.texts:
        n_sequences, seq_len = text.blocks.tokens[:, 1:].shape
        if blocks_of_documents(text.documents, tokenizer, n_sequences, seq_len).sha256 != text.blocks.sha256:
            raise CheckpointError(f"{folder}: its tokenizer makes other tokens of {text.documents.name}")
    file = outside.gguf_file(name)
    quantized = load(folder, checkpoint.model, device) if file is None else load_file(file, folder, device)
    refusals.refuse_other_weights(quantized, checkpoint.decoder)
    bits = stored.bits_per_weight(folder, quantized.stored, checkpoint.decoder.linear_layers())
    lines = []
    for text in original.texts:
        with without_remarks():
            before, after = scores_beside(checkpoint.decoder, text.hidden, quantized.model, text.blocks, tell)
        for place, evaluation in ((checkpoint.folder, before), (folder, after)):
            if not evaluation.finite:
                raise CheckpointError(f"{place}: its loss on {text.documents.name} isn't a number")
        lines.append(_line(name, quantized, text, before, after, (bits, original.bits_per_weight)))
    return lines


def _line(
    name: str, quantized: Quantized, text: _Text, before: Evaluation, after: Evaluation, bits: tuple[float, float]
) -> Line:
    qid = after.loss_nats - before.loss_nats
    return Line(
        checkpoint=name,
        format=quantized.label,
        text=text.documents.name,
        bits_per_weight=bits[0],
        original_bits_per_weight=bits[1],
        n_tokens=after.n_tokens,
        n_documents=len(after.group_loss),
        eval_sha256=text.blocks.sha256,
        original_loss_nats=before.loss_nats,
        loss_nats=after.loss_nats,
        qid_nats=qid,
        paired_error_nats=paired_error(np.subtract(after.group_loss, before.group_loss)),
        perplexity_ratio=perplexity_ratio(qid),
        kl_nats=after.kl_nats,
        top1_agreement=after.top1_agreement,
    )
