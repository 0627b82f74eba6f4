"""Runs a sweep: one job a checkpoint, one atomic record a measurement, resumed by difference."""

import dataclasses
import functools
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from transformers import PreTrainedModel

from helpers import results
from helpers.measure import checkpoints, corpora, decoders, evaluate, layerwise, memory, methods
from helpers.measure.methods import Rounded
from helpers.measure.rows import Outcome, Subject, make_row
from helpers.measure.sweep_file import Sweep, Unit, read_sweep
from helpers.specs import (
    CheckpointSpec,
    DeviceError,
    Diagnostics,
    EvalSpec,
    Measurement,
    QidError,
    QuantizationError,
    QuantScheme,
    SpecError,
)

BASELINE = QuantScheme()
UNROUNDED = Rounded({}, Diagnostics())
PARAMS_AT_ONCE = {"cpu": 0, "cuda": 2**28}  # of the checkpoints measured together
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


def batches(jobs: list[Job], device: str) -> list[list[Job]]:
    """Split jobs, in order, into lots of one model and the same schemes that are measured together.

    On a CPU a lot is one checkpoint; on a GPU so many that they hold `PARAMS_AT_ONCE` parameters.
    """
    lots: list[list[Job]] = []
    for job in jobs:
        limit = max(1, PARAMS_AT_ONCE[device] // job.checkpoint.n_params_total)
        if lots and _alike(lots[-1][0]) == _alike(job) and len(lots[-1]) < limit:
            lots[-1].append(job)
        else:
            lots.append([job])
    return lots


def _alike(job: Job) -> tuple:
    return job.checkpoint.family, job.checkpoint.model, job.schemes


def reader_console() -> Console:
    """Return a console for a sweep that runs inside a chapter: the terminal of who builds the book, or a quiet one.

    `book/execute.py` names that terminal in QID_TERMINAL when a person watches.
    """
    terminal = os.environ.get("QID_TERMINAL")
    if terminal:
        return Console(file=open(terminal, "w"), force_terminal=True)
    return Console(quiet=True)


def run_sweep(
    sweep_path: Path,
    device: str,
    table_path: Path,
    records: Path,
    console: Console,
    memory_bytes: int | None = None,
    unit: Unit | None = None,
) -> Report:
    """Measure what a sweep declares and `table_path` or `records` don't hold yet, then compact into the table.

    `unit` limits it to one model of one family. `memory_bytes` is what rounding and scoring may take beside the loaded
    models. Everything finished is kept whatever happens. Raises SpecError before any work when the sweep or device is
    off, ResultsError when another process holds the records or the disk is full, DeviceError when the device is lost; a
    checkpoint that can't be measured is left out, named in the report, and doesn't stop the others.
    """
    sweep = read_sweep(sweep_path, unit)
    if device not in DEVICES or (device == "cuda" and not torch.cuda.is_available()):
        accepted = "cpu, cuda" if torch.cuda.is_available() else "cpu (no CUDA device here)"
        raise SpecError(f"device '{device}'; accepted: {accepted}")
    jobs = plan(sweep)
    with results.exclusive(records), ThreadPoolExecutor(1) as loader:
        in_table = set()
        if table_path.exists():
            in_table = set(results.read_table(table_path).column("measurement_id").to_pylist())
        engine = _Engine(sweep, device, memory_bytes, records, in_table | results.done_ids(records), console)
        try:
            with _progress(console) as progress:
                n_rows = len(sweep.evaluation.texts) * sum(1 + len(job.schemes) for job in jobs)
                task = progress.add_task(sweep.name, total=n_rows)
                lots = batches(jobs, device)
                coming = [loader.submit(engine.prepare, lot) for lot in lots[:1]]
                for number in range(len(lots)):
                    subjects = coming.pop().result()
                    coming = [loader.submit(engine.prepare, lot) for lot in lots[number + 1 : number + 2]]
                    progress.update(task, description=f"{sweep.name}: {lots[number][0].checkpoint.label}")
                    engine.measure(subjects, lambda n: progress.advance(task, n))
        finally:
            # not only what was measured now: a kill may have left records that never reached the table
            if results.done_ids(records) - in_table or not table_path.exists():
                results.compact(records, table_path)
    return Report(engine.n_measured, engine.n_present, tuple(engine.failures))


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)


@dataclass
class _Prepared:
    """A checkpoint ready to be measured: what its rows share, what is missing, and its model on the CPU, if needed."""

    subjects: list[Subject]  # a text each
    schemes: dict[QuantScheme, Tensor | None]  # with the calibration tokens of each; the baseline isn't one
    missing: list[list[QuantScheme]]  # of each text, the baseline too
    model: PreTrainedModel | None = None

    @property
    def n_present(self) -> int:
        return len(self.subjects) * (1 + len(self.schemes)) - sum(map(len, self.missing))

    @property
    def to_round(self) -> dict[QuantScheme, Tensor | None]:
        lacking = {scheme for of_text in self.missing for scheme in of_text}
        return {scheme: tokens for scheme, tokens in self.schemes.items() if scheme in lacking}


class _Engine:
    """Prepares lots of checkpoints, in a thread of its own while the device works, and measures them."""

    def __init__(
        self,
        sweep: Sweep,
        device: str,
        memory_bytes: int | None,
        records: Path,
        done: set[str],
        console: Console,
    ) -> None:
        self.sweep, self.device, self.records, self.done, self.console = sweep, device, records, done, console
        self.memory_bytes = memory_bytes
        self.lock = corpora.read_lock()
        self.n_measured = self.n_present = 0
        self.failures: list[str] = []
        self.announced: set[str] = set()

    def prepare(self, lot: list[Job]) -> list[_Prepared]:
        """Fetch, verify and load what a lot lacks; what can't be had is a failure in the report."""
        prepared = []
        for job in lot:
            try:
                prepared.append(self._prepare(job))
            except QidError as error:
                self.failures.append(f"{job.checkpoint.label}: {error}")
        return prepared

    def _prepare(self, job: Job) -> _Prepared:
        local = checkpoints.fetch(job.checkpoint)
        source = _Source(self.lock, checkpoints.tokenizer_of(local.folder).to_str())
        declared = self.sweep.evaluation
        subjects = []
        for name in declared.texts:
            dataset, blocks = _blocks(source, name, declared.sequences, declared.seq_len)
            evaluation = EvalSpec(dataset, blocks.sha256, len(blocks.tokens), declared.seq_len, declared.dtype)
            subjects.append(Subject(job.checkpoint, local, evaluation, blocks, self.device))
        schemes = dict(_with_calibration(scheme, source) for scheme in job.schemes)
        prepared = _Prepared(subjects, schemes, self._missing(subjects, schemes))
        if any(prepared.missing):
            prepared.model = checkpoints.load(local, "cpu")
        return prepared

    def _missing(self, subjects: list[Subject], schemes: dict[QuantScheme, Tensor | None]) -> list[list[QuantScheme]]:
        return [[s for s in (BASELINE, *schemes) if subject.row_id(s) not in self.done] for subject in subjects]

    def measure(self, lot: list[_Prepared], advance: Callable[[int], None]) -> None:
        """Measure what is missing; write a record a row; call `advance` with the number of rows that are there."""
        together: dict[tuple, list[_Prepared]] = defaultdict(list)
        for prepared in lot:
            self._forget_what_is_done(prepared)
            self.n_present += prepared.n_present
            advance(prepared.n_present)
            if prepared.model is not None:
                finite = checkpoints.all_finite(prepared.model)
                together[finite, tuple(prepared.to_round)].append(prepared)
        for (finite, _), members in together.items():
            rows = self._rows(members) if finite else _nonfinite_rows(members)
            for row in rows:
                results.write_record(row, self.records)
                self.done.add(row.measurement_id)  # a later job may have the same weights
                self.n_measured += 1
                advance(1)

    def _forget_what_is_done(self, prepared: _Prepared) -> None:
        """Leave out rows that were measured since a checkpoint was prepared: an earlier one had the same weights."""
        prepared.missing = self._missing(prepared.subjects, prepared.schemes)
        if not any(prepared.missing):
            prepared.model = None

    def _rows(self, members: list[_Prepared]) -> Iterator[Measurement]:
        """Round checkpoints by the same schemes and score them; a failure of the whole lot goes into the report."""
        label = ", ".join(member.subjects[0].spec.label for member in members)
        try:
            yield from self._measured(members)
        except QidError as error:
            self.failures.append(f"{label}: {error}")
        except torch.OutOfMemoryError as error:
            self.failures.append(f"{label}: out of memory ({str(error).splitlines()[0]})")
        except RuntimeError as error:
            said = str(error).splitlines()[0]
            raise DeviceError(
                f"{label}: {self.device} failed ({said}); all finished rows are kept, rerun to go on"
            ) from error

    def _measured(self, members: list[_Prepared]) -> Iterator[Measurement]:
        """Round once, then score on every text that lacks a row; its rows are there before the next text's."""
        for member in members:
            member.model.to(self.device)
        memory_bytes = memory.default_budget(self.device) if self.memory_bytes is None else self.memory_bytes
        self._announce(members, memory_bytes)
        loaded = [methods.Checkpoint(member.model, member.subjects[0].local.folder) for member in members]
        answers, seconds = self._rounded(loaded, members[0].to_round, memory_bytes)
        texts = [text for text in range(len(members[0].subjects)) if any(member.missing[text] for member in members)]
        for text in texts:
            started = time.perf_counter()
            outcomes, n_scored = _outcomes(loaded, answers, members[0].subjects[text], memory_bytes)
            scoring = (time.perf_counter() - started) / n_scored
            for member, of_member in zip(members, outcomes, strict=True):
                for scheme in member.missing[text]:
                    took = seconds.get(scheme, 0.0) / len(texts) + scoring  # texts share the rounding
                    yield make_row(member.subjects[text], scheme, of_member[scheme], took)
        for member in members:
            member.model = None

    def _rounded(
        self, loaded: list[methods.Checkpoint], missing: dict[QuantScheme, Tensor | None], memory_bytes: int
    ) -> tuple[list[dict[QuantScheme, Rounded | QuantizationError]], dict[QuantScheme, float]]:
        """Return the methods' answers for every checkpoint, by scheme, and the seconds each took a checkpoint."""
        alike = defaultdict(list)
        for scheme in missing:
            alike[scheme.method, scheme.calib_seed, scheme.hessian_dtype].append(scheme)
        answers: list[dict] = [dict.fromkeys(missing) for _ in loaded]
        seconds = {}
        for (method, *_), schemes in alike.items():
            started = time.perf_counter()
            each = methods.get(method).quantize(loaded, schemes, missing[schemes[0]], memory_bytes)
            share = (time.perf_counter() - started) / (len(loaded) * len(schemes))
            seconds |= dict.fromkeys(schemes, share)
            for of_checkpoint, answered in zip(answers, each, strict=True):
                of_checkpoint.update(zip(schemes, answered, strict=True))
        return answers, seconds

    def _announce(self, members: list[_Prepared], memory_bytes: int) -> None:
        """Say once a model how much memory its rounding and scoring are expected to take, before they begin."""
        spec = members[0].subjects[0].spec
        if spec.model in self.announced:
            return
        self.announced.add(spec.model)
        to_round = members[0].to_round
        decoder, n_variants = decoders.decoder_of(members[0].model), len(members) * len(to_round)
        scored = members[0].subjects[0].evaluation  # every text has as many tokens
        shares = {
            "scoring": evaluate.share_of(
                decoder, scored.n_sequences, scored.seq_len, scored.eval_dtype, n_variants + len(members), memory_bytes
            )
        }
        calibrated = [scheme for scheme in to_round if scheme.calib_sequences]
        if calibrated:
            scheme = calibrated[0]
            text = scheme.calib_sequences, scheme.calib_seq_len, scheme.hessian_dtype
            shares["rounding"] = layerwise.share_of(decoder, *text, n_variants, memory_bytes)
        estimates = [
            f"{name} {now.n_bytes / 2**30:.2g} GiB ({now.variants} x {now.sequences} sequences at once)"
            for name, now in shares.items()
        ]
        budget = f"of {memory_bytes / 2**30:.3g} GiB"
        self.console.print(f"{spec.model}: {len(members)} at once, expected {', '.join(estimates)} {budget}")


def _nonfinite_rows(members: list[_Prepared]) -> list[Measurement]:
    outcome = Outcome("nonfinite", "nonfinite weights")
    of_texts = [pair for member in members for pair in zip(member.subjects, member.missing, strict=True)]
    return [make_row(subject, scheme, outcome, 0.0) for subject, missing in of_texts for scheme in missing]


def _outcomes(
    loaded: list[methods.Checkpoint],
    answers: list[dict[QuantScheme, Rounded | QuantizationError]],
    subject: Subject,
    memory_bytes: int,
) -> tuple[list[dict[QuantScheme, Outcome]], int]:
    """Score checkpoints and their rounded weights on a subject's text; return each scheme's outcome, and how many."""
    kept = [[answer for answer in each.values() if isinstance(answer, Rounded)] for each in answers]
    scores = evaluate.evaluate(loaded, kept, subject.blocks, subject.evaluation.eval_dtype, memory_bytes)
    outcomes = []
    for of_checkpoint, (baseline, *others) in zip(answers, scores, strict=True):
        remaining = iter(others)
        rounded = {
            scheme: Outcome.of(answer, next(remaining) if isinstance(answer, Rounded) else None)
            for scheme, answer in of_checkpoint.items()
        }
        outcomes.append({BASELINE: Outcome.of(UNROUNDED, baseline)} | rounded)
    return outcomes, sum(map(len, scores))


@dataclass(frozen=True)
class _Source:
    """Held-out files and the tokenizer that reads them; hashable, so that token blocks are made once a process."""

    lock: corpora.CorpusLock
    tokenizer_json: str


@functools.lru_cache(maxsize=8)
def _blocks(source: _Source, text: str, n_sequences: int, seq_len: int) -> tuple[str, corpora.Blocks]:
    tokenizer = corpora.Tokenizer.from_str(source.tokenizer_json)
    return corpora.text_blocks(text, source.lock, tokenizer, n_sequences, seq_len)


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
