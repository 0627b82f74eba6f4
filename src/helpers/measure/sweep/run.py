"""Runs a sweep: one job a checkpoint, one atomic record a measurement, resumed by difference."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from helpers.measure.models.precision import refuse_missing_device
from helpers.measure.sweep.console import _progress
from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.sweep.engine import Engine
from helpers.measure.sweep.jobs import batches, plan
from helpers.measure.training.unit import Unit
from helpers.table import files


@dataclass(frozen=True)
class Report:
    """What a sweep did: rows measured now, rows that were there, and checkpoints that couldn't be measured."""

    n_measured: int
    n_present: int
    failures: tuple[str, ...]


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
