"""Runs a sweep: one job a checkpoint, one atomic record a measurement, resumed by difference."""

import dataclasses
import datetime
import functools
import os
import platform
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import PreTrainedModel

from helpers import results
from helpers.measure import checkpoints, corpora, evaluate, layerwise, methods
from helpers.measure.sweep_file import Sweep, read_sweep
from helpers.specs import (
    CheckpointSpec,
    Diagnostics,
    EvalSpec,
    Measurement,
    QidError,
    QuantizationError,
    QuantScheme,
    SpecError,
    measurement_id,
)

BASELINE = QuantScheme()
BASELINE_VERSION = 1
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
        self.spec, self.device, self.records, self.done = job.checkpoint, device, records, done
        self.local = checkpoints.fetch(job.checkpoint)
        tokenizer = checkpoints.tokenizer_of(self.local.folder)
        source = _Source(lock, tokenizer.to_str())
        self.blocks = _blocks(source, sweep.evaluation.sequences, sweep.evaluation.seq_len)
        self.evaluation = EvalSpec(
            corpora.HELDOUT_DATASET, self.blocks.sha256, len(self.blocks.tokens), sweep.evaluation.seq_len
        )
        self.calibration: dict[QuantScheme, torch.Tensor | None] = {}
        for scheme in job.schemes:
            complete, tokens = _with_calibration(scheme, source)
            if self._id(complete) not in done:
                self.calibration[complete] = tokens
        self.baseline_missing = self._id(BASELINE) not in done
        self.n_present = 1 + len(job.schemes) - len(self.calibration) - self.baseline_missing

    def _id(self, scheme: QuantScheme) -> str:
        return measurement_id(self.local.weights_sha256, scheme, self.evaluation, self.device, _version(scheme))

    def run(self, advance) -> int:
        """Measure what is missing; call `advance` after each row; return the number of rows."""
        if not self.baseline_missing and not self.calibration:
            return 0
        model = checkpoints.load(self.local, self.device)
        finite = checkpoints.all_finite(model)
        count = 0
        if self.baseline_missing:
            self._measure(model, BASELINE, None if finite else "nonfinite weights", time.perf_counter())
            advance()
            count += 1
        for method, schemes in self._by_method().items():
            for scheme, outcome, started in self._outcomes(model, method, schemes, finite):
                self._measure(model, scheme, outcome, started)
                advance()
                count += 1
        return count

    def _by_method(self) -> dict[str, list[QuantScheme]]:
        grouped = defaultdict(list)
        for scheme in self.calibration:
            grouped[scheme.method].append(scheme)
        return grouped

    def _outcomes(self, model: PreTrainedModel, method: str, schemes: Sequence[QuantScheme], finite: bool):
        """Yield (scheme, rounded weights or why there are none, start time less the scheme's share of rounding)."""
        for calib_seed in dict.fromkeys(scheme.calib_seed for scheme in schemes):
            members = [scheme for scheme in schemes if scheme.calib_seed == calib_seed]
            if not finite:
                yield from ((scheme, "nonfinite weights", time.perf_counter()) for scheme in members)
                continue
            started = time.perf_counter()
            tokens = self.calibration[members[0]]
            outcomes = methods.get(method).quantize(model, members, tokens, self.local.folder)
            share = (time.perf_counter() - started) / len(members)
            for scheme, outcome in zip(members, outcomes, strict=True):
                yield scheme, outcome, time.perf_counter() - share

    def _measure(self, model: PreTrainedModel, scheme: QuantScheme, outcome, started: float) -> None:
        logits_a_block = self.evaluation.seq_len * self.spec.vocabulary_size
        micro_batch = max(1, LOGITS_AT_ONCE[self.device] // logits_a_block)
        measured, reason, diagnostics = None, None, Diagnostics()
        if isinstance(outcome, (str, QuantizationError)):
            reason = str(outcome)
        else:
            if outcome is not None:
                diagnostics = outcome.diagnostics
            with layerwise.substituted(model, outcome.weights if outcome is not None else {}):
                measured = evaluate.evaluate(model, self.blocks, micro_batch)
            if not measured.finite:
                measured, reason = None, "nonfinite loss"
        status = "ok" if measured else "failed" if isinstance(outcome, QuantizationError) else "nonfinite"
        row = self._row(scheme, status, reason, measured, diagnostics, micro_batch, time.perf_counter() - started)
        results.write_record(row, self.records)
        self.done.add(row.measurement_id)

    def _row(self, scheme, status, reason, measured, diagnostics, micro_batch, wall_seconds) -> Measurement:
        spec = self.spec
        recorded = {f.name for f in dataclasses.fields(Measurement)}
        covariates = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec) if f.name in recorded}
        return Measurement(
            **covariates
            | dataclasses.asdict(scheme)
            | dataclasses.asdict(self.evaluation)
            | dataclasses.asdict(diagnostics)
            | provenance(self.device)
            | {"weights_sha256": self.local.weights_sha256},
            measurement_id=self._id(scheme),
            checkpoint_id=self.local.weights_sha256[:16],
            scheme_id=scheme.scheme_id,
            eval_id=self.evaluation.eval_id,
            method_version=_version(scheme),
            device_type=self.device,
            repo_id=spec.location,
            commit=self.local.commit,
            epochs=spec.epochs,
            lr_fraction=spec.lr_fraction,
            status=status,
            reason=reason,
            loss_nats=measured.loss_nats if measured else None,
            bits_per_byte=measured.bits_per_byte if measured else None,
            group_loss=measured.group_loss if measured else None,
            n_tokens=self.blocks.tokens[:, 1:].numel(),
            n_bytes=self.blocks.n_bytes,
            micro_batch=micro_batch,
            wall_seconds=wall_seconds,
            peak_memory_gib=_peak_memory_gib(self.device),
        )


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


def _version(scheme: QuantScheme) -> int:
    return BASELINE_VERSION if scheme.method == "none" else methods.get(scheme.method).version


def provenance(device: str) -> dict:
    """Return what a row says about when and where it was measured."""
    return {
        "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cuda": torch.version.cuda if device == "cuda" else None,
        "device_name": torch.cuda.get_device_name() if device == "cuda" else _processor_name(),
    }


@functools.cache
def _git_commit() -> str | None:
    try:
        answer = subprocess.run(["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


@functools.cache
def _processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {torch.get_num_threads()} threads"


def _peak_memory_gib(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
