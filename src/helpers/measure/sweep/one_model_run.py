"""The run of one model: a timed probe, the plan in words, then the engine with a bar that moves block by block."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure.describing.suspects import Suspect, suspect_of
from helpers.measure.models import checkpoints
from helpers.measure.models.stacking import listening
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.sweep.engine import Engine, measuring
from helpers.measure.sweep.estimate import Passes, in_words
from helpers.measure.sweep.jobs import BASELINE, Job, Prepared
from helpers.measure.sweep.one_model import OneModel
from helpers.measure.sweep.places import Places
from helpers.measure.text.own_texts import OwnTexts, windows_of
from helpers.measure.text.token_blocks import Blocks, blocks_of
from helpers.table.errors import CheckpointError
from helpers.table.records import given

PROBED = 2  # windows of the first text that the 16-bit model is tried on
WORSE_THAN_GUESSING = 0.5  # nats above a uniform guess: no model that reads its own tokens is so bad


@dataclass(frozen=True)
class Measured:
    """What a run of one model left in the table: ids of its rows, how many are new, and what failed."""

    ids: tuple[str, ...]
    n_measured: int
    n_present: int
    failures: tuple[str, ...]
    calibration_bits_per_byte: float | None  # of the 16-bit model; None where nothing was calibrated now


def run_one_model(
    model: OneModel, device: str, places: Places, console: Console, memory_bytes: int | None = None
) -> Measured:
    """Measure what the table lacks of one model, plan first, and say on `console` what is done.

    Everything finished is kept whatever happens. Raises SpecError, CheckpointError, CorpusError or ResultsError where
    nothing can be measured.
    """
    ids: list[str] = []
    bits_per_byte = None
    with measuring(model.sweep, device, places, console, memory_bytes) as engine:
        for number, job in enumerate(model.jobs):
            prepared = _prepared(engine, job)
            ids += [subject.row_id(scheme) for subject in prepared.subjects for scheme in (BASELINE, *prepared.schemes)]
            if prepared.model is not None and bits_per_byte is None:
                bits_per_byte = _try_first(prepared, model, device, number, console)
            with _shown(prepared, console) as advance:
                engine.measure([prepared], advance)
    failures = tuple(engine.failures)
    return Measured(tuple(dict.fromkeys(ids)), engine.n_measured, engine.n_present, failures, bits_per_byte)


def _prepared(engine: Engine, job: Job) -> Prepared:
    """Return a job with its tokens, and its model if rows lack. Raises CheckpointError where it can't be had."""
    found = engine.prepare([job])
    if not found:
        raise CheckpointError(engine.failures[-1])
    return found[0]


def _try_first(prepared: Prepared, model: OneModel, device: str, number: int, console: Console) -> float | None:
    """Time the model, refuse one that can't read its text, print the plan; return bits a byte of what calibrates."""
    loaded = given(prepared.model).to(device)
    blocks = prepared.subjects[0].blocks
    started = time.perf_counter()
    loss = _mean_loss(loaded, blocks.tokens[:PROBED])
    seconds = (time.perf_counter() - started) / PROBED
    _refuse_worse_than_guessing(loss, loaded, prepared)
    for line in _plan(model, number, seconds):
        console.print(line)
    tokenizer = checkpoints.tokenizer_of(model.folder)
    return calibration_bits_per_byte(loaded, given(model.sweep.own_texts), tokenizer, blocks.tokens.shape[1] - 1)


@torch.no_grad()
def _mean_loss(model: PreTrainedModel, tokens: Tensor) -> float:
    """Return the mean loss of windows (n, L + 1) in nats a token, one window after the other."""
    losses = []
    for window in tokens.to(model.device):
        logits = model(window[None, :-1], use_cache=False).logits[0].float()
        losses.append(torch.nn.functional.cross_entropy(logits, window[1:]).item())
    return sum(losses) / len(losses)


def _refuse_worse_than_guessing(loss: float, model: PreTrainedModel, prepared: Prepared) -> None:
    guess = math.log(model.get_input_embeddings().weight.shape[0])
    if math.isfinite(loss) and loss > guess + WORSE_THAN_GUESSING:
        raise CheckpointError(
            f"{prepared.subjects[0].local.folder}: 16-bit loss {loss:.2f} nats a token, a blind guess has {guess:.2f};"
            " accepted: weights with their own tokenizer.json"
        )


def calibration_bits_per_byte(model: PreTrainedModel, own: OwnTexts, tokenizer: Tokenizer, seq_len: int) -> float:
    """Return the 16-bit model's loss on a few windows of the calibration texts, bits a byte: how foreign they are."""
    blocks = _few_windows(own, tokenizer, seq_len)
    return _mean_loss(model, blocks.tokens) * blocks.tokens[:, 1:].numel() / (math.log(2) * blocks.n_bytes)


def _few_windows(own: OwnTexts, tokenizer: Tokenizer, seq_len: int) -> Blocks:
    """Return `PROBED` windows of each calibration text."""
    rows = [row for each in own.calibration for row in windows_of(each, tokenizer, PROBED, seq_len).rows[:PROBED]]
    return blocks_of(rows, tuple(range(len(rows))), tokenizer)


def passes_of(job: Job, own_sequences: list[int]) -> Passes:
    """Return the sequences that pass the model for a job, with so many sequences of each text."""
    calibrating = sum(scheme.calib_sequences or 0 for scheme in job.schemes)
    return Passes(calibrating, sum(own_sequences) * (1 + len(job.schemes)))


def _plan(model: OneModel, first: int, seconds_a_pass: float) -> list[str]:
    """Return the plan in lines: the model, what is rounded and how, on what it is scored, time and bytes."""
    spec, sweep = model.sweep.parts[0].checkpoints[0], model.sweep
    schemes = [scheme for job in model.jobs[first:] for scheme in job.schemes]
    scored = [sweep.evaluation.sequences] * len(sweep.evaluation.texts)
    seconds = sum(passes_of(job, scored).seconds(seconds_a_pass) for job in model.jobs[first:])
    own = given(sweep.own_texts)
    return [
        f"{spec.label}: {spec.n_params_total:,} parameters, N = {spec.n_params_non_embedding:,} outside of embedding and"
        f" head; float32 takes {4 * spec.n_params_total / 2**30:.2g} GiB",
        *(f"  {scheme.label}" for scheme in schemes),
        f"  scored on {', '.join(sweep.evaluation.texts)}: up to {sweep.evaluation.sequences} x"
        f" {sweep.evaluation.seq_len} tokens each",
        f"  calibrated on {own.calibration_dataset}: {sweep.calibration.sequences} x {sweep.calibration.seq_len} tokens",
        *(f"  {note}" for note in model.notes),
        f"  about {in_words(seconds)}, by a pass of {seconds_a_pass:.2g} s",
    ]


@contextmanager
def _shown(prepared: Prepared, console: Console) -> Iterator[Callable[[int], None]]:
    """Show how far a lot is while it is measured: a bar on a terminal, elsewhere a line a scheme when it is done."""
    schemes = list(prepared.to_round)
    n_blocks = prepared.subjects[0].spec.n_layers
    lacking = sum(bool(missing) for missing in prepared.missing)
    n_scored = sum(len(subject.blocks.tokens) for subject in prepared.subjects)
    passes = Passes(
        sum(scheme.calib_sequences or 0 for scheme in schemes), n_scored * (1 + len(schemes)) * (lacking > 0)
    )
    gone = 0.0
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{prepared.subjects[0].spec.label}: {len(schemes)} schemes", total=1.0)

        def passed(n_sequences: int) -> None:
            nonlocal gone
            gone += n_sequences / n_blocks
            bar.update(task, completed=min(passes.share_done(gone), 0.999))

        with listening(passed):
            yield lambda n: None
        bar.update(task, completed=1.0)
    for scheme in schemes:
        if not console.is_terminal:
            console.print(f"{prepared.subjects[0].spec.label}: {scheme.label} measured")


def suspect(model: OneModel, bits: int, group_size: int | None) -> Suspect:
    """Return the matrix that suffers most at a bit width, seen on a few windows of the calibration texts."""
    spec, tokenizer = model.sweep.parts[0].checkpoints[0], checkpoints.tokenizer_of(model.folder)
    loaded = checkpoints.load(checkpoints.fetch(spec), "cpu")
    tokens = _few_windows(given(model.sweep.own_texts), tokenizer, model.sweep.evaluation.seq_len).tokens[:, :-1]
    return suspect_of(Checkpoint(loaded, model.folder), tokens, bits, group_size)
