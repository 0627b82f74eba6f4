"""Runs a sweep: one job a checkpoint, one atomic record a measurement, resumed by difference."""

import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from helpers.measure.models.precision import refuse_missing_device
from helpers.measure.sweep.declaration import Sweep, Unit, read_sweep
from helpers.measure.sweep.engine import Engine, Job
from helpers.table import files
from helpers.table.rows import CheckpointSpec, QuantScheme

PARAMS_AT_ONCE = {"cpu": 0, "cuda": 2**28}  # of the checkpoints measured together


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
    # run by run: what is measured together has the same schemes, and a run's checkpoints mostly have
    return sorted(jobs, key=lambda job: (*_size(job.checkpoint), job.checkpoint.run, job.checkpoint.step))


def _size(spec: CheckpointSpec) -> tuple[int, str]:
    return spec.n_params_total, spec.model


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
    refuse_missing_device(device)
    jobs = plan(sweep)
    with files.exclusive(records), ThreadPoolExecutor(1) as loader:
        in_table = set()
        if table_path.exists():
            in_table = set(files.read_table(table_path).column("measurement_id").to_pylist())
        engine = Engine(sweep, device, memory_bytes, records, in_table | files.done_ids(records), console)
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
            if files.done_ids(records) - in_table or not table_path.exists():
                files.compact(records, table_path)
    return Report(engine.n_measured, engine.n_present, tuple(engine.failures))


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
