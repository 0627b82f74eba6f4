"""A lot on a worker: the task that Dask runs, on an engine that the worker keeps from lot to lot.

A task that is run again, since its worker was lost, measures only what has no record yet.
"""

import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

from helpers.measure.cluster.shared_records import FolderRecords, SharedRecords
from helpers.measure.models import memory
from helpers.measure.models.precision import refuse_missing_device
from helpers.measure.sweep.declaration import Sweep
from helpers.measure.sweep.engine import Engine
from helpers.measure.sweep.jobs import Job, Prepared
from helpers.table.errors import DeviceError, SpecError

if TYPE_CHECKING:
    from distributed import WorkerPlugin


class Measuring(Protocol):
    """What an engine does with a lot, as `sweep.engine.Engine` does it."""

    done: set[str]
    failures: list[str]
    n_measured: int
    n_present: int

    def prepare(self, lot: list[Job]) -> list[Prepared]:
        """Load what lacks rows."""

    def measure(self, lot: list[Prepared], advance: Callable[[int], None]) -> None:
        """Measure the missing rows."""


@dataclass(frozen=True)
class Work:
    """What every lot of a sweep has in common; `done` are the ids of what the table and the records held at first.

    `folder` is what relative paths of the sweep begin from; `name` tells one run of a sweep from another.
    """

    name: str
    sweep: Sweep
    device: str
    memory_bytes: int | None
    records: FolderRecords | SharedRecords
    done: frozenset[str]
    folder: Path

    def engine(self, held: ExitStack) -> Measuring:
        """Return the engine that measures on this machine, its memory held to the budget until `held` is closed.

        Raises SpecError where device or folder isn't there.
        """
        try:
            os.chdir(self.folder)
        except OSError as error:
            where = f"{socket.gethostname()}: {self.folder}"
            raise SpecError(f"{where}: {error.strerror}; accepted: a folder that every worker has") from None
        refuse_missing_device(self.device)
        held.enter_context(memory.held_to(self.memory_bytes, self.device))
        console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
        return Engine(self.sweep, self.device, self.memory_bytes, set(self.done), console, self.records.write)


@dataclass(frozen=True)
class LotReport:
    """The report of a lot: how many rows it has now, and what this worker couldn't measure, one line each."""

    n_rows: int
    failures: tuple[str, ...]


_works: dict[str, Work] = {}  # what this worker was handed, by name
_engines: dict[str, Measuring] = {}  # of the work at hand: a worker is one process
_held = ExitStack()  # what they hold of this worker's device
_opening, _turn = Lock(), Lock()


def carrier(work: Work) -> "WorkerPlugin":
    """Return what hands a work to every worker that a cluster has or will have, and takes it back."""
    from distributed import WorkerPlugin

    class Carrier(WorkerPlugin):
        name = work.name

        def setup(self, worker: object) -> None:
            take(work)

        def teardown(self, worker: object) -> None:
            leave(work.name)

    return Carrier()


def take(work: Work) -> None:
    """Keep a work that this worker is handed, until it is taken back."""
    _works[work.name] = work


def leave(name: str) -> None:
    """Forget a work, its engine and what that holds of the device."""
    with _opening:
        _works.pop(name, None)
        if _engines.pop(name, None):
            _held.close()


def measure_lot(name: str, lot: list[Job]) -> LotReport:
    """Measure what a lot of the work called `name` lacks, and keep its records; while another task measures, load.

    A lost device ends the process, as nothing more can be had from it there: the worker comes again, with the lot.
    Raises what ends a sweep (`models.failures.failure_of`).
    """
    try:
        engine = _engine_of(_works[name])
        engine.done |= _works[name].records.done_ids()
        prepared = engine.prepare(lot)
        with _turn:
            before = engine.n_measured + engine.n_present
            engine.measure(prepared, lambda n: None)
            return LotReport(engine.n_measured + engine.n_present - before, tuple(engine.failures))
    except DeviceError as error:
        print(f"{socket.gethostname()}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def _engine_of(work: Work) -> Measuring:
    """Return this worker's engine for a work; one for the work before it is dropped."""
    with _opening:
        if work.name not in _engines:
            _engines.clear()
            _held.close()
            _engines[work.name] = work.engine(_held)
        return _engines[work.name]
