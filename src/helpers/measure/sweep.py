"""Runs a sweep: one job a checkpoint, one atomic record a measurement, resumed by difference."""

import dataclasses
import functools
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import PreTrainedModel

from helpers import results
from helpers.measure import checkpoints, corpora, evaluate, layerwise, methods
from helpers.measure.methods import Rounded
from helpers.measure.rows import Outcome, Subject, make_row
from helpers.measure.sweep_file import Sweep, read_sweep
from helpers.specs import (
    CheckpointSpec,
    Diagnostics,
    EvalSpec,
    QidError,
    QuantizationError,
    QuantScheme,
    SpecError,
)

BASELINE = QuantScheme()
UNROUNDED = Rounded({}, Diagnostics())
LOGITS_AT_ONCE = {"cpu": 2**22, "cuda": 2**28}  # bounds the evaluation's micro-batch
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Job:
    """One checkpoint and every scheme it is rounded by."""

    checkpoint: CheckpointSpec
    schemes: tuple[QuantScheme, ...]


@dataclass(frozen=True)
class Report:
    """What a sweep did: rows measured now, rows that were there, and checkpoints that couldn't be measured."""

    n_measured: int
    n_present: int
    failures: tuple[str, ...]


def plan(sweep: Sweep) -> list[Job]:
    """Return the jobs of a sweep, smallest models first; a checkpoint named by several parts is one job."""
    schemes: dict[CheckpointSpec, dict[QuantScheme, None]] = defaultdict(dict)
    for part in sweep.parts:
        for spec in part.checkpoints:
            schemes[spec] |= dict.fromkeys(part.schemes)
    jobs = [Job(spec, tuple(wanted)) for spec, wanted in schemes.items()]
    return sorted(jobs, key=lambda job: (job.checkpoint.n_params_total, job.checkpoint.model, job.checkpoint.step))


def reader_console() -> Console:
    """Return a console for a sweep that runs inside a chapter: the terminal of who builds the book, or a quiet one.

    `book/execute.py` names that terminal in QID_TERMINAL when a person watches.
    """
    terminal = os.environ.get("QID_TERMINAL")
    if terminal:
        return Console(file=open(terminal, "w"), force_terminal=True)
    return Console(quiet=True)


def run_sweep(sweep_path: Path, device: str, table_path: Path, records: Path, console: Console) -> Report:
    """Measure what a sweep declares and `table_path` or `records` don't hold yet, then compact into the table.

    Everything finished is kept whatever happens. Raises SpecError before any work when the sweep or device is off,
    ResultsError when another process holds the records or the disk is full; a checkpoint that can't be measured
    is left out, named in the report, and doesn't stop the others.
    """
    sweep = read_sweep(sweep_path)
    if device not in DEVICES or (device == "cuda" and not torch.cuda.is_available()):
        accepted = "cpu, cuda" if torch.cuda.is_available() else "cpu (no CUDA device here)"
        raise SpecError(f"device '{device}'; accepted: {accepted}")
    jobs = plan(sweep)
    lock = corpora.read_lock()
    failures = []
    with results.exclusive(records):
        in_table = set()
        if table_path.exists():
            in_table = set(results.read_table(table_path).column("measurement_id").to_pylist())
        done = in_table | results.done_ids(records)
        n_present, n_measured = 0, 0
        try:
            with _progress(console) as progress:
                task = progress.add_task(sweep.name, total=sum(1 + len(job.schemes) for job in jobs))
                for job in jobs:
                    progress.update(task, description=f"{sweep.name}: {job.checkpoint.label}")
                    try:
                        runner = _Runner(job, sweep, lock, device, records, done)
                        n_present += runner.n_present
                        progress.advance(task, runner.n_present)
                        n_measured += runner.run(lambda: progress.advance(task))
                    except results.ResultsError:
                        raise
                    except QidError as error:
                        failures.append(f"{job.checkpoint.label}: {error}")
        finally:
            # not only what was measured now: a kill may have left records that never reached the table
            if results.done_ids(records) - in_table or not table_path.exists():
                results.compact(records, table_path)
    return Report(n_measured, n_present, tuple(failures))


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)


class _Runner:
    """Measures one checkpoint: knows what is missing before it loads anything."""

    def __init__(
        self, job: Job, sweep: Sweep, lock: corpora.CorpusLock, device: str, records: Path, done: set[str]
    ) -> None:
        local = checkpoints.fetch(job.checkpoint)
        source = _Source(lock, checkpoints.tokenizer_of(local.folder).to_str())
        seq_len = sweep.evaluation.seq_len
        blocks = _blocks(source, sweep.evaluation.sequences, seq_len)
        evaluation = EvalSpec(corpora.HELDOUT_DATASET, blocks.sha256, len(blocks.tokens), seq_len)
        micro_batch = max(1, LOGITS_AT_ONCE[device] // (seq_len * job.checkpoint.vocabulary_size))
        self.subject = Subject(job.checkpoint, local, evaluation, blocks, device, micro_batch)
        self.records, self.done = records, done
        self.calibration: dict[QuantScheme, torch.Tensor | None] = {}
        for scheme in job.schemes:
            complete, tokens = _with_calibration(scheme, source)
            if self.subject.row_id(complete) not in done:
                self.calibration[complete] = tokens
        self.baseline_missing = self.subject.row_id(BASELINE) not in done
        self.n_present = 1 + len(job.schemes) - len(self.calibration) - self.baseline_missing

    def run(self, advance: Callable[[], None]) -> int:
        """Measure what is missing; call `advance` after each row; return the number of rows."""
        if not self.baseline_missing and not self.calibration:
            return 0
        model = checkpoints.load(self.subject.local, self.subject.device)
        finite = checkpoints.all_finite(model)
        count = 0
        for scheme, rounded, started in self._rounded(model, finite):
            outcome = self._score(model, rounded) if finite else Outcome("nonfinite", "nonfinite weights")
            row = make_row(self.subject, scheme, outcome, time.perf_counter() - started)
            results.write_record(row, self.records)
            self.done.add(row.measurement_id)  # a later job may have the same weights
            advance()
            count += 1
        return count

    def _rounded(
        self, model: PreTrainedModel, finite: bool
    ) -> Iterator[tuple[QuantScheme, Rounded | QuantizationError, float]]:
        """Yield (scheme, rounded weights or why there are none, start time less the scheme's share of rounding)."""
        if self.baseline_missing:
            yield BASELINE, UNROUNDED, time.perf_counter()
        together = defaultdict(list)
        for scheme in self.calibration:
            together[scheme.method, scheme.calib_seed].append(scheme)
        for (method, _), schemes in together.items():
            started = time.perf_counter()
            tokens, folder = self.calibration[schemes[0]], self.subject.local.folder
            quantize = methods.get(method).quantize
            answers = quantize(model, schemes, tokens, folder) if finite else [UNROUNDED] * len(schemes)
            share = (time.perf_counter() - started) / len(schemes)
            for scheme, rounded in zip(schemes, answers, strict=True):
                yield scheme, rounded, time.perf_counter() - share

    def _score(self, model: PreTrainedModel, rounded: Rounded | QuantizationError) -> Outcome:
        if isinstance(rounded, QuantizationError):
            return Outcome("failed", str(rounded))
        with layerwise.substituted(model, rounded.weights):
            evaluation = evaluate.evaluate(model, self.subject.blocks, self.subject.micro_batch)
        if not evaluation.finite:
            return Outcome("nonfinite", "nonfinite loss", None, rounded.diagnostics)
        return Outcome("ok", None, evaluation, rounded.diagnostics)


@dataclass(frozen=True)
class _Source:
    """Held-out files and the tokenizer that reads them; hashable, so that token blocks are made once a process."""

    lock: corpora.CorpusLock
    tokenizer_json: str


@functools.lru_cache(maxsize=8)
def _blocks(source: _Source, n_sequences: int, seq_len: int) -> corpora.Blocks:
    tokenizer = corpora.Tokenizer.from_str(source.tokenizer_json)
    return corpora.heldout_blocks(source.lock.evaluation, tokenizer, n_sequences, seq_len)


@functools.lru_cache(maxsize=8)
def _calibration(source: _Source, n_sequences: int, seq_len: int, seed: int) -> tuple[torch.Tensor, str]:
    tokenizer = corpora.Tokenizer.from_str(source.tokenizer_json)
    return corpora.calibration_tokens(source.lock.calibration, tokenizer, n_sequences, seq_len, seed)


def _with_calibration(scheme: QuantScheme, source: _Source) -> tuple[QuantScheme, torch.Tensor | None]:
    if scheme.calib_sequences is None:
        return scheme, None
    tokens, sha256 = _calibration(source, scheme.calib_sequences, scheme.calib_seq_len, scheme.calib_seed)
    named = {"calib_dataset": corpora.CALIBRATION_DATASET, "calib_sha256": sha256}
    return dataclasses.replace(scheme, **named), tokens
