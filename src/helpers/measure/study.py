"""A study, unit by unit: one model's runs are trained, then measured and searched while the next model is trained.

A unit is one model of one family. Training, measuring and describing are three processes on one device: small models
leave it idle between their kernels. A kill loses nothing that was finished; run it again to go on.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from helpers.measure.cluster.clusters import Cluster, address_of, opened
from helpers.measure.cluster.run import run_sweep_on
from helpers.measure.describing.checkpoint_rows import describe_family
from helpers.measure.sweep.declaration import family_names
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.measure.sweep.search_run import run_search
from helpers.measure.training.plan import read_plan
from helpers.measure.training.trainer import train_family
from helpers.measure.training.unit import Unit
from helpers.table.errors import SpecError


@dataclass(frozen=True)
class Study:
    """A study: a sweep with train-FAMILY.yml beside it, on which device, and where everything goes.

    With a cluster the sweep's rows are measured there; training, searches and descriptions stay on this machine.
    """

    sweep: Path
    device: str
    places: Places
    memory_bytes: int | None = None
    cluster: Cluster | None = None

    def plan_of(self, unit: Unit) -> Path:
        """Return the plan that trains a unit. Raises SpecError when there is none or the study lacks the unit."""
        measured = family_names(self.sweep)
        if unit.family not in measured:
            raise SpecError(f"{self.sweep}: no family '{unit.family}'; accepted: {', '.join(measured)}")
        path = self.sweep.parent / f"train-{unit.family}.yml"
        names = [model.name for model in read_plan(path).models]
        if unit.model not in names:
            raise SpecError(f"{path}: no model '{unit.model}'; accepted: {', '.join(names)}")
        return path


def run_study(study: Study, units: list[Unit], console: Console) -> list[str]:
    """Train and measure the units in order; return what failed, one line each.

    Raises SpecError before any work for a unit without a plan, and what training raises.
    """
    plans = [study.plan_of(unit) for unit in units]
    with _with_workers(study, console) as study:
        return _run(study, units, plans, console)


@contextlib.contextmanager
def _with_workers(study: Study, console: Console) -> Iterator[Study]:
    """Start the workers once; the study's own processes know them by the scheduler's address."""
    if study.cluster is None:
        yield study
        return
    with opened(study.cluster, study.device, console) as client:
        yield replace(study, cluster=Cluster(address_of(client), records=study.cluster.records))


def _run(study: Study, units: list[Unit], plans: list[Path], console: Console) -> list[str]:
    spawn = get_context("spawn")  # a forked process can't use a GPU that its parent uses
    with ProcessPoolExecutor(1, spawn) as measuring, ProcessPoolExecutor(1, spawn) as describing:
        pending: list[Future[list[str]]] = []
        for unit, plan in zip(units, plans, strict=True):
            train_family(plan, unit.folder, study.device, console, [unit.model])
            pending += [measuring.submit(_measure, study, unit), describing.submit(_describe, study, unit)]
        return [failure for future in pending for failure in future.result()]


def _measure(study: Study, unit: Unit) -> list[str]:
    console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
    run = run_sweep if study.cluster is None else partial(run_sweep_on, study.cluster)
    report = run(study.sweep, study.device, study.places, console, study.memory_bytes, unit)
    console.print(f"{unit.family}/{unit.model}: {report.n_measured} rows measured, {report.n_present} already there")
    searched = run_search(study.sweep, study.device, study.places, console, study.memory_bytes, unit)
    console.print(f"{unit.family}/{unit.model}: {searched.n_searched} searches, {searched.n_recipes} recipes measured")
    return [*report.failures, *searched.failures]


def _describe(study: Study, unit: Unit) -> list[str]:
    console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
    report = describe_family(unit.folder, study.places.checkpoints, study.device, console)
    console.print(f"{unit.family}/{unit.model}: {report.n_described} checkpoints described")
    return list(report.failures)
