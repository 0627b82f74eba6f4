"""The run of a sweep: one job per checkpoint, one atomic record per measurement, resumed by difference."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from helpers.measure.models.precision import refuse_missing_device
from helpers.measure.sweep.console import progress_bar
from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.sweep.engine import measuring
from helpers.measure.sweep.jobs import batches, plan
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.room import Room
from helpers.measure.training.unit import Unit

Lot = TypeVar("Lot")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Report:
    """The report of a sweep: rows measured now, rows that existed, and checkpoints that couldn't be measured."""

    n_measured: int
    n_present: int
    failures: tuple[str, ...]


def run_sweep(
    sweep_path: Path,
    device: str,
    places: Places,
    console: Console,
    memory_bytes: int | None = None,
    unit: Unit | None = None,
    disk_bytes: int | None = None,
) -> Report:
    """Measure what a sweep declares and `places` doesn't hold yet, then compact into the table.

    `unit` limits it to one model of one family. `memory_bytes` is what rounding and scoring may take beside the files
    of the weights, which are mapped; `disk_bytes` what downloaded weights may take on the disk, each removed when it is
    measured (None: they stay in the Hub's cache). Everything finished is kept whatever happens. Raises SpecError before
    any work when the sweep or device is off or two lots of weights don't fit the disk's budget, ResultsError when
    another process holds the records or the disk is full, DeviceError when the device is lost; a checkpoint that can't
    be measured is left out, named in the report, and doesn't stop the others.
    """
    sweep = read_sweep(sweep_path, unit)
    refuse_missing_device(device)
    jobs = plan(sweep)
    lots = batches(jobs, device)
    room = Room() if disk_bytes is None else Room.of_budget(disk_bytes, lots, places.records)
    n_rows = len(sweep.evaluation.texts) * sum(1 + len(job.schemes) for job in jobs)
    # the loader is the last to end: what was measured reaches the table without waiting for what it still loads
    with (
        ThreadPoolExecutor(1) as loader,
        measuring(sweep, device, places, console, memory_bytes, room.storage) as engine,
        progress_bar(console) as progress,
    ):
        task = progress.add_task(sweep.name, total=n_rows)
        room.begin()
        for lot, prepared in prefetched(loader, engine.prepare, lots):
            progress.update(task, description=f"{sweep.name}: {lot[0].checkpoint.label}")
            engine.measure(prepared, lambda n: progress.advance(task, n))
            prepared.clear()  # what is mapped takes room even when it is removed
            room.leave(lot)
        room.end()
    return Report(engine.n_measured, engine.n_present, (*sweep.failures, *engine.failures))


def prefetched(loader: Executor, make: Callable[[Lot], Made], lots: Sequence[Lot]) -> Iterator[tuple[Lot, Made]]:
    """Yield each lot with what `make` returns for it; `loader` makes the next one while the caller is busy."""
    if not lots:
        return
    coming = loader.submit(make, lots[0])
    for lot, following in zip_longest(lots, lots[1:]):
        made = coming.result()
        if following is not None:
            coming = loader.submit(make, following)
        yield lot, made
