"""Counts what is lost and repeated when workers die: `python benchmarks/cluster_lost.py [WORKERS]`, 64 by default.

Real processes under Dask's own scheduler and nannies, on this machine; a tenth of them is killed (SIGKILL) at moments
spread over the sweep. The task is that of a sweep, with a stand-in for the engine that takes milliseconds a row and
keeps rows of the study's own table. The table that results is compared, byte for byte, with one made without a cluster.
"""

import dataclasses
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import dask
from distributed import Client
from distributed.utils import get_mp_context

from helpers.measure.cluster.clusters import cluster_of, worker_of
from helpers.measure.cluster.lots import Work
from helpers.measure.cluster.run import measured
from helpers.measure.cluster.shared_records import FolderRecords
from helpers.measure.sweep.keeping import kept
from helpers.measure.sweep.places import Places
from helpers.table import files
from helpers.table.records import from_mapping
from helpers.table.rows import Measurement
from report import report

TABLE = Path("results/measurements.parquet")
N_LOTS, ROWS_PER_LOT = 320, 2
SECONDS_PER_ROW = 0.02
SHARE_KILLED = 0.1


@dataclasses.dataclass(frozen=True)
class Named:
    """A checkpoint as far as its label goes."""

    label: str


@dataclasses.dataclass(frozen=True)
class StandInJob:
    """A job that is one row, known beforehand."""

    checkpoint: Named
    row: Measurement


@dataclasses.dataclass(frozen=True)
class StandInWork(Work):
    """A work whose engine is the stand-in; `journal` gets a line a row measured."""

    journal: Path = Path()

    def engine(self, held: ExitStack) -> "StandInEngine":
        """Return the stand-in."""
        return StandInEngine(self)


class StandInEngine:
    """An engine that takes some time for a row that isn't there, and keeps it."""

    def __init__(self, work: StandInWork) -> None:
        self.work, self.done, self.failures, self.n_measured, self.n_present = work, set(work.done), [], 0, 0

    def prepare(self, lot: list[StandInJob]) -> list[StandInJob]:
        """Return the jobs that lack their row."""
        self.n_present += sum(job.row.measurement_id in self.done for job in lot)
        return [job for job in lot if job.row.measurement_id not in self.done]

    def measure(self, lot: list[StandInJob], advance: Callable[[int], None]) -> None:
        """Keep the rows."""
        for job in lot:
            time.sleep(SECONDS_PER_ROW)
            with self.work.journal.open("a") as journal:
                journal.write(f"{job.row.measurement_id}\n")
            self.work.records.write(job.row)
            self.n_measured += 1


def lots_of() -> list[list[StandInJob]]:
    """Return lots of rows of the study's table."""
    table = files.read_table(TABLE).slice(0, N_LOTS * ROWS_PER_LOT).to_pylist()
    rows = [from_mapping(Measurement, row, str(TABLE)) for row in table]
    jobs = [StandInJob(Named(row.measurement_id), row) for row in rows]
    return [jobs[first : first + ROWS_PER_LOT] for first in range(0, len(jobs), ROWS_PER_LOT)]


def kill_some(pids: list[int], records: Path, killed: list[int]) -> None:
    """Kill a tenth of the workers, each as another share of the rows is there."""
    chosen = random.Random(0).sample(pids, round(SHARE_KILLED * len(pids)) or 1)
    for number, pid in enumerate(chosen, 1):
        while len(files.done_ids(records)) < N_LOTS * ROWS_PER_LOT * number / (len(chosen) + 1):
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)


def sweep_with_losses(n_workers: int, folder: Path, lots: list[list[StandInJob]]) -> dict:
    """Run the stand-in's sweep on workers of which a tenth is killed; return what was measured, and how often."""
    places, journal = Places(folder / "there.parquet", folder / "there"), folder / "journal"
    work = StandInWork("lost", None, "cpu", None, FolderRecords(places.records), frozenset(), Path.cwd(), journal)
    killed: list[int] = []
    started = time.perf_counter()
    with cluster_of([worker_of("cpu", {})] * n_workers, "localhost") as cluster, Client(cluster) as client:
        opening = time.perf_counter() - started
        pids = list(client.run(os.getpid).values())
        killer = threading.Thread(target=kill_some, args=(pids, places.records, killed))
        with kept(places):
            killer.start()
            started = time.perf_counter()
            reports = list(measured(client, work, lots))
            seconds = time.perf_counter() - started
            killer.join()
    times = Counter(journal.read_text().split())
    return {
        "workers": n_workers,
        "killed": len(killed),
        "lots": len(lots),
        "rows": len(times),
        "rows_measured_twice": sum(n > 1 for n in times.values()),
        "failures": sum(len(each.failures) for each in reports),
        "seconds_opening": opening,
        "seconds": seconds,
    }


def main(n_workers: int) -> None:
    """Make the table with and without losses, compare, report."""
    # forks of one process that has torch: 64 of their own would take 64 times its memory
    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    get_mp_context().set_forkserver_preload(["helpers.measure.cluster.lots"])
    lots = lots_of()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        alone = Places(folder / "alone.parquet", folder / "alone")
        with kept(alone):
            for job in (job for lot in lots for job in lot):
                files.write_record(job.row, alone.records)
        row = sweep_with_losses(n_workers, folder, lots)
        row["identical_table"] = (folder / "there.parquet").read_bytes() == alone.measurements.read_bytes()
    report("cluster_lost", [row])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
