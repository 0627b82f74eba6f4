"""The run of a sweep on a cluster: the client plans, holds the records and compacts; workers measure the lots.

The table is that of `sweep.run`, row for row. Lost workers are Dask's business: their lots go to others, and a lot
whose workers are lost again and again is a failure in the report.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from helpers.measure.cluster.clusters import GPU, THREADS, Cluster, needed, opened, threads_of
from helpers.measure.cluster.lots import LotReport, Work, carrier, measure_lot
from helpers.measure.cluster.shared_records import FolderRecords, SharedRecords
from helpers.measure.sweep.console import progress_bar
from helpers.measure.sweep.declaration import Sweep, read_sweep
from helpers.measure.sweep.jobs import Job, batches, plan
from helpers.measure.sweep.keeping import kept
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import Report
from helpers.measure.training.unit import Unit
from helpers.table import files
from helpers.table.errors import DeviceError

if TYPE_CHECKING:
    from distributed import Client

LOTS_PER_WORKER = 8  # at least, where there are so many checkpoints: none waits long for its first or for the last one


def run_sweep_on(
    cluster: Cluster,
    sweep_path: Path,
    device: str,
    places: Places,
    console: Console,
    memory_bytes: int | None = None,
    unit: Unit | None = None,
) -> Report:
    """Measure on a cluster what a sweep declares and `places` doesn't hold yet, then compact into the table.

    `memory_bytes` is each worker's. Everything finished is kept whatever happens. Raises what `sweep.run.run_sweep`
    raises, SpecError for a cluster that can't be had, and DeviceError when the cluster is lost.
    """
    return measure_on(cluster, read_sweep(sweep_path, unit), device, places, console, memory_bytes)


def measure_on(
    cluster: Cluster, sweep: Sweep, device: str, places: Places, console: Console, memory_bytes: int | None = None
) -> Report:
    """Measure a sweep that has been read, as `run_sweep_on` does."""
    shared = SharedRecords(cluster.records) if cluster.records else None
    if shared:
        shared.refuse_unwritable()
    jobs = plan(sweep)
    with kept(places) as done, opened(cluster, device, console) as client, progress_bar(console) as progress:
        known = frozenset(done | shared.bring(places.records, done) if shared else done)
        records = shared or FolderRecords(places.records.absolute())
        work = Work(f"{sweep.name}-{secrets.token_hex(4)}", sweep, device, memory_bytes, records, known, Path.cwd())
        n_workers = cluster.workers or len(threads_of(client))
        lots = batches(jobs, device, max(1, len(jobs) // (LOTS_PER_WORKER * n_workers)))
        task = progress.add_task(sweep.name, total=len(sweep.evaluation.texts) * sum(1 + len(j.schemes) for j in jobs))
        n_rows, failures = 0, list(sweep.failures)
        try:
            for report in measured(client, work, lots):
                n_rows += report.n_rows
                failures += report.failures
                progress.advance(task, report.n_rows)
        finally:
            if shared:
                shared.bring(places.records, known)
        n_measured = len(files.done_ids(places.records) - known)
    # rows that a lost worker had kept were found by the next one, and were measured now all the same
    return Report(n_measured, max(0, n_rows - n_measured), tuple(dict.fromkeys(failures)))


def measured(client: "Client", work: Work, lots: list[list[Job]]) -> Iterator[LotReport]:
    """Yield the reports of lots as they end; as many are with the workers as these have threads, the rest wait here.

    A lost worker counts against every lot that is with it, so none is that can't begin. Raises what a lot raises that
    ends a sweep, and DeviceError when the cluster is lost.
    """
    distributed = needed("distributed")
    client.register_plugin(carrier(work))
    resources = {GPU: 1 / THREADS["cuda"]} if work.device == "cuda" else None
    waiting = iter(enumerate(lots))
    with_workers: dict[object, list[Job]] = {}
    completed = distributed.as_completed()

    def fill() -> None:
        n_threads = sum(threads_of(client).values())
        while len(with_workers) < max(1, n_threads) and (lot := next(waiting, None)):
            key = f"{work.name}-lot-{lot[0]}"
            future = client.submit(measure_lot, work.name, lot[1], key=key, resources=resources)
            with_workers[future] = lot[1]
            completed.add(future)

    try:
        fill()
        for future in completed:
            lot = with_workers.pop(future)
            try:
                report = future.result()
            except distributed.KilledWorker as error:
                report = LotReport(0, (f"{_label(lot)}: {error.allowed_failures + 1} workers were lost with it",))
            except distributed.CancelledError:
                raise DeviceError("the cluster was lost; all finished rows are kept, rerun to go on") from None
            yield report
            fill()
    finally:
        client.cancel([*with_workers])
        client.unregister_worker_plugin(work.name)


def _label(lot: list[Job]) -> str:
    return ", ".join(job.checkpoint.label for job in lot)
