"""The run of one model: a timed probe, the plan in words, then the engine with a bar that moves block by block."""

import dataclasses
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from helpers.measure.describing.suspects import Suspect, suspect_of
from helpers.measure.models import checkpoints, opening
from helpers.measure.models.decoders import Decoder
from helpers.measure.models.stacking import listening
from helpers.measure.models.streaming.placing import device_of
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.sweep.engine import Engine, measuring
from helpers.measure.sweep.estimate import Passes, in_words
from helpers.measure.sweep.jobs import BASELINE, Job, Prepared
from helpers.measure.sweep.one_model import OneModel
from helpers.measure.sweep.places import Places
from helpers.measure.text.own_texts import windows_of
from helpers.measure.text.token_blocks import Blocks, blocks_of
from helpers.table.errors import CheckpointError
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

CPU_BYTES = 5 * 2**29  # for rounding and scoring, where no budget is named: the process then stays below 4 GiB at 135M
LONG_SECONDS = 1800.0  # more than that isn't risked at once
ALMOST = 0.999  # of a bar, until its rows are written
PROBED = 2  # windows of the first text that the 16-bit model is tried on
WORSE_THAN_GUESSING = 1.0  # nats above a uniform guess: no model that reads its own tokens is so bad


@dataclass(frozen=True)
class Measured:
    """What a run of one model left in the table: ids of its rows, how many are new, and what failed."""

    ids: tuple[str, ...]
    n_measured: int
    n_present: int
    failures: tuple[str, ...]
    calibration_bits_per_byte: float | None  # of the 16-bit model; None where a resumed run calibrates nothing


def run_one_model(
    model: OneModel, device: str, places: Places, console: Console, memory_bytes: int | None = None
) -> Measured:
    """Measure what the table lacks of one model, plan first, and say on `console` what is done.

    Everything finished is kept whatever happens. Raises SpecError, CheckpointError, CorpusError or ResultsError where
    nothing can be measured.
    """
    if memory_bytes is None and device == "cpu":
        memory_bytes = CPU_BYTES
    with measuring(model.sweep, device, places, console, memory_bytes) as engine:
        prepared = _prepared(engine, model.job)
        if prepared.checkpoint is None:
            console.print(f"{model.job.checkpoint.label}: every row is in {places.measurements} already")
            bits_per_byte = _said_again(model)
        else:
            engine.place([prepared])
            seconds = _seconds_a_pass(prepared)
            for line in plan_lines(model, prepared, seconds):
                console.print(line)
            bits_per_byte = calibration_bits_per_byte(prepared.checkpoint.decoder, model)
            for lot in _lots(prepared, passes_of(prepared).seconds(seconds)):
                with _shown(lot, console):
                    engine.measure([lot], lambda n: None)
    ids = [subject.row_id(scheme) for subject in prepared.subjects for scheme in (BASELINE, *prepared.schemes)]
    present = len(ids) - engine.n_measured
    return Measured(tuple(ids), engine.n_measured, present, tuple(engine.failures), bits_per_byte)


def _prepared(engine: Engine, job: Job) -> Prepared:
    """Return a job with its tokens, and its model if rows lack. Raises CheckpointError where it can't be had."""
    found = engine.prepare([job])
    if not found:
        raise CheckpointError(engine.failures[-1])
    return found[0]


def _lots(prepared: Prepared, seconds: float) -> list[Prepared]:
    """Return the schemes that share a walk, one after the other; each by itself where all of them take very long.

    A kill costs what was in work. Several at once are faster, as each lot scores the 16-bit model beside its own.
    """
    alike: dict[object, dict[QuantScheme, Tensor | None]] = defaultdict(dict)
    for scheme, tokens in prepared.to_round.items():
        alone = scheme if seconds > LONG_SECONDS else None
        alike[scheme.method, scheme.calib_seed, alone][scheme] = tokens
    # a baseline may lack alone
    return [dataclasses.replace(prepared, schemes=schemes) for schemes in alike.values() or [{}]]


def _seconds_a_pass(prepared: Prepared) -> float:
    """Return the time of one window of the first text, seconds. Raises CheckpointError for a loss that is none."""
    blocks, decoder = prepared.subjects[0].blocks, given(prepared.checkpoint).decoder
    if device_of(decoder.model).type == "cuda":
        _mean_loss(decoder, blocks.tokens[:1])  # a GPU's first pass loads its libraries
    started = time.perf_counter()
    loss = _mean_loss(decoder, blocks.tokens[:PROBED])
    seconds = (time.perf_counter() - started) / PROBED
    guess = math.log(decoder.model.get_input_embeddings().weight.shape[0])
    if not math.isfinite(loss):
        nonfinite = ", ".join(checkpoints.nonfinite_weights(decoder.model)) or "no matrix"
        raise CheckpointError(
            f"{prepared.subjects[0].local.folder}: 16-bit loss {loss}, nonfinite weights in {nonfinite}"
        )
    if loss > guess + WORSE_THAN_GUESSING:
        raise CheckpointError(
            f"{prepared.subjects[0].local.folder}: 16-bit loss {loss:.2f} nats a token, a blind guess has {guess:.2f};"
            " accepted: weights with their own tokenizer.json"
        )
    return seconds


@torch.no_grad()
def _mean_loss(decoder: Decoder, tokens: Tensor) -> float:
    """Return the mean loss of windows (n, L + 1) in nats a token, one window after the other."""
    losses = []
    for window in tokens.to(device_of(decoder.model)):
        logits = decoder.run(window[None, :-1])[0].float()
        losses.append(torch.nn.functional.cross_entropy(logits, window[1:]).item())
    return sum(losses) / len(losses)


def calibration_bits_per_byte(decoder: Decoder, asked: OneModel) -> float:
    """Return the 16-bit model's loss on a few windows of the calibration texts, bits a byte: how foreign they are."""
    blocks = _few_windows(asked)
    return _mean_loss(decoder, blocks.tokens) * blocks.tokens[:, 1:].numel() / (math.log(2) * blocks.n_bytes)


def _said_again(asked: OneModel) -> float | None:
    """Return `calibration_bits_per_byte` of a model that nothing lacks of; None where no scheme calibrates."""
    if not any(scheme.calib_sequences for scheme in asked.job.schemes):
        return None
    return calibration_bits_per_byte(_opened(asked).decoder, asked)


def _opened(asked: OneModel) -> Checkpoint:
    """Return the model on the CPU, when the engine has let go of the one that it measured."""
    return Checkpoint(opening.open_stored(checkpoints.fetch(asked.job.checkpoint)), asked.folder)


def _few_windows(asked: OneModel) -> Blocks:
    """Return `PROBED` windows of each calibration text."""
    tokenizer, seq_len = checkpoints.tokenizer_of(asked.folder), asked.sweep.evaluation.seq_len
    of_texts = [windows_of(each, tokenizer, PROBED, seq_len) for each in given(asked.sweep.own_texts).calibration]
    rows = [row for windows in of_texts for row in windows.rows[:PROBED]]
    return blocks_of(rows, tuple(range(len(rows))), tokenizer)


def passes_of(prepared: Prepared) -> Passes:
    """Return the sequences that pass the model for the rows that lack."""
    schemes = prepared.to_round
    lacking = [s for s, missing in zip(prepared.subjects, prepared.missing, strict=True) if missing]
    calibrating = sum(scheme.calib_sequences or 0 for scheme in schemes)
    return Passes(calibrating, sum(len(subject.blocks.tokens) for subject in lacking) * (1 + len(schemes)))


def plan_lines(asked: OneModel, prepared: Prepared, seconds_a_pass: float) -> list[str]:
    """Return the plan in lines: the model, what is rounded and how, on what it is scored, time and bytes."""
    spec, sweep, own = asked.job.checkpoint, asked.sweep, given(asked.sweep.own_texts)
    texts = [
        f"{len(s.blocks.tokens)} x {s.evaluation.seq_len} tokens of {s.evaluation.eval_dataset}, "
        f"{len(set(s.blocks.documents))} documents"
        for s in prepared.subjects
    ]
    calibrates = any(scheme.calib_sequences for scheme in prepared.to_round)
    seconds = passes_of(prepared).seconds(seconds_a_pass)
    return [
        f"{spec.label}: {spec.n_params_total:,} parameters, N = {spec.n_params_non_embedding:,} outside of embedding"
        f" and head; float32 takes {4 * spec.n_params_total / 2**30:.2g} GiB",
        *(f"  {_words(scheme)}" for scheme in prepared.to_round),
        *(f"  scored on {text}" for text in texts),
        *(
            [
                f"  calibrated on {sweep.calibration.sequences} x {sweep.calibration.seq_len} tokens of"
                f" {own.calibration_dataset}"
            ]
            if calibrates
            else []
        ),
        *(f"  {note}" for note in (*asked.caveats, *asked.notes)),
        f"  about {in_words(seconds)}: {seconds_a_pass:.2g} s a pass of {sweep.evaluation.seq_len} tokens",
    ]


@contextmanager
def _shown(lot: Prepared, console: Console) -> Iterator[None]:
    """Show how far a lot is while it is measured: a bar on a terminal, elsewhere a line a scheme when it is done."""
    label, schemes, passes = lot.subjects[0].spec.label, list(lot.to_round), passes_of(lot)
    n_blocks = lot.subjects[0].spec.n_layers
    gone = 0.0
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{label}: {', '.join(map(_words, schemes)) or 'baseline'}", total=1.0)

        def passed(n_sequences: int) -> None:
            nonlocal gone
            gone += n_sequences / n_blocks
            bar.update(task, completed=min(passes.share_done(gone), ALMOST))

        with listening(passed):
            yield
        bar.update(task, completed=1.0)
    if not console.is_terminal:
        for scheme in schemes:
            console.print(f"{label}: {_words(scheme)} measured")


def _words(scheme: QuantScheme) -> str:
    """Return a scheme's label, with the calibration draw where it isn't the first."""
    return f"{scheme.label}, draw {scheme.calib_seed}" if scheme.calib_seed else scheme.label


def suspect(asked: OneModel, bits: int, group_size: int | None) -> Suspect:
    """Return the matrix that suffers most at a bit width, seen on a few windows of the calibration texts."""
    return suspect_of(_opened(asked), _few_windows(asked).tokens[:, :-1], bits, group_size)
