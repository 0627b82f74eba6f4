"""A sweep on workers has the table of a sweep without them, row for row, whatever happens to a worker."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from tests.measure.tiny import ROOT, write_family, write_sweep

from helpers.measure.cluster import lots
from helpers.measure.cluster.clusters import Cluster, address_of
from helpers.measure.cluster.run import measured, run_sweep_on
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.table import disk, files
from helpers.table.errors import ResultsError

QUIET = Console(quiet=True)
SCHEMES = "[{method: [rtn, gptq], bits: [2, 4], group_size: 16, symmetric: false}]"
N_ROWS = 6 * 5
# `device_name` says how many threads there were: workers of one machine share its cores, and no number depends on it
MEASURED_EACH_TIME_ANEW = ["measured_at", "wall_seconds", "peak_memory_gib", "git_commit", "device_name"]


@pytest.fixture(scope="module")
def declared(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cluster")
    family = write_family(folder / "family", steps=(1, 2, 3, 4, 5, 6))
    return write_sweep(folder / "sweep.yml", family, SCHEMES)


@pytest.fixture(scope="module")
def expected(declared) -> list[dict]:
    """The rows of the sweep in this process alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        run_sweep(declared, "cpu", places_in(declared.parent), QUIET)
    return rows(declared.parent)


@pytest.fixture(autouse=True)
def _from_the_top_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


def places_in(folder: Path) -> Places:
    return Places(folder / "table.parquet", folder / "records")


def rows(folder: Path) -> list[dict]:
    return files.read_table(folder / "table.parquet").drop_columns(MEASURED_EACH_TIME_ANEW).to_pylist()


def run(client, declared: Path, folder: Path, console: Console = QUIET):
    return run_sweep_on(Cluster(address_of(client)), declared, "cpu", places_in(folder), console)


def test_the_table_is_that_of_one_process_and_a_second_run_measures_nothing(client, declared, expected, tmp_path):
    report = run(client, declared, tmp_path)
    assert (report.n_measured, report.n_present, report.failures) == (N_ROWS, 0, ())
    assert rows(tmp_path) == expected
    before = (tmp_path / "table.parquet").read_bytes()
    report = run(client, declared, tmp_path)
    assert (report.n_measured, report.n_present, report.failures) == (0, N_ROWS, ())
    assert (tmp_path / "table.parquet").read_bytes() == before


def test_workers_hold_nothing_of_a_sweep_that_has_ended(client, declared, tmp_path):
    run(client, declared, tmp_path)
    assert set(client.run(_held).values()) == {(0, 0)}


def _held() -> tuple[int, int]:
    return len(lots._works), len(lots._engines)


def test_a_lot_whose_workers_are_lost_again_and_again_is_named_and_the_others_are_measured(client):
    """Dask gives up such a task with KilledWorker, which the stand-in's second lot ends with."""
    work = StandInWork("work", None, "cpu", None, StandInRecords(), frozenset(), ROOT)
    planned = [[StandInJob(CheckpointNamed(f"run@{number}"))] for number in range(4)]
    reports = list(measured(client, work, planned))
    assert sorted(report.n_rows for report in reports) == [0, 1, 1, 1]
    assert [report.failures for report in reports if report.failures] == [("run@1: 4 workers were lost with it",)]


@dataclass(frozen=True)
class CheckpointNamed:
    label: str


@dataclass(frozen=True)
class StandInJob:
    checkpoint: CheckpointNamed


class StandInRecords:
    def done_ids(self) -> set[str]:
        return set()


class StandInWork(lots.Work):
    def engine(self, held):
        return StandInEngine()


class StandInEngine:
    """Counts a row a job."""

    def __init__(self) -> None:
        self.done, self.failures, self.n_measured, self.n_present = set(), [], 0, 0

    def prepare(self, lot):
        if lot[0].checkpoint.label == "run@1":
            from distributed.scheduler import KilledWorker

            raise KilledWorker("lot", SimpleNamespace(address="tcp://a:1"), 3)
        return lot

    def measure(self, lot, advance) -> None:
        self.n_measured += len(lot)


def test_a_worker_killed_in_the_middle_loses_and_repeats_nothing(client, declared, expected, tmp_path):
    pids, records = list(client.run(os.getpid).values()), tmp_path / "records"
    kept_at_the_kill: dict[str, bytes] = {}

    def kill() -> None:
        while len(list(records.glob("*.json"))) < 4:
            time.sleep(0.005)
        os.kill(pids[0], signal.SIGKILL)
        kept_at_the_kill.update({path.name: path.read_bytes() for path in records.glob("*.json")})

    killer = threading.Thread(target=kill)
    killer.start()
    report = run(client, declared, tmp_path)
    killer.join()
    assert (report.n_measured, report.n_present, report.failures) == (N_ROWS, 0, ())
    assert rows(tmp_path) == expected
    assert 4 <= len(kept_at_the_kill) < N_ROWS
    assert all((records / name).read_bytes() == content for name, content in kept_at_the_kill.items())
    client.wait_for_workers(2)
    assert pids[0] not in client.run(os.getpid).values()


def test_a_checkpoint_that_cannot_be_had_is_named_once_and_stops_no_other(client, declared, tmp_path):
    family = write_family(tmp_path / "family", steps=(1, 2, 3))
    (family / "tiny/step-000002/model.safetensors").write_bytes(b"cut")
    sweep = write_sweep(tmp_path / "sweep.yml", family, SCHEMES)
    report = run(client, sweep, tmp_path)
    assert report.n_measured == 2 * 5
    (failure,) = report.failures
    assert failure.startswith("tiny@2: ")


def test_records_that_another_process_holds_are_left_alone(client, declared, tmp_path):
    with disk.exclusive(tmp_path / "records"), pytest.raises(ResultsError, match="another process is measuring"):
        run(client, declared, tmp_path)
