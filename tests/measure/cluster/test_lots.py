"""What a worker does with a lot: one engine for a work, one lot measured at a time, the end of a lost device."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from helpers.measure.cluster import lots
from helpers.measure.cluster.lots import Work, leave, measure_lot, take
from helpers.measure.cluster.shared_records import FolderRecords
from helpers.table.errors import DeviceError, SpecError


class StandIn:
    """An engine of lots of numbers: a row each; notes the order of what it is asked for."""

    def __init__(self) -> None:
        self.done, self.failures, self.n_measured, self.n_present = set(), [], 0, 0
        self.order: list[str] = []
        self.other_is_ready = threading.Event()

    def prepare(self, lot):
        self.order.append(f"prepare {lot}")
        if lot == [2]:
            self.other_is_ready.set()
        return lot

    def measure(self, lot, advance) -> None:
        self.order.append(f"measure {lot}")
        if lot == [1]:
            assert self.other_is_ready.wait(20)
        if lot == ["lost"]:
            raise DeviceError("cuda failed")
        self.n_measured += sum(str(each) not in self.done for each in lot)
        self.n_present += sum(str(each) in self.done for each in lot)
        self.order.append(f"end {lot}")


@dataclasses.dataclass(frozen=True)
class StandInWork(Work):
    made: list = dataclasses.field(default_factory=list)

    def engine(self, held: ExitStack) -> StandIn:
        self.made.append(StandIn())
        held.callback(self.made[-1].order.append, "let go")
        return self.made[-1]


@pytest.fixture
def work(tmp_path):
    given = StandInWork("one", None, "cpu", None, FolderRecords(tmp_path / "records"), frozenset(), tmp_path)
    take(given)
    yield given
    leave(given.name)


def test_lots_of_a_work_have_one_engine_and_another_work_has_another(work):
    assert measure_lot("one", [3, 4]).n_rows == 2
    assert measure_lot("one", [5]).n_rows == 1
    other = dataclasses.replace(work, name="two", made=[])
    take(other)
    measure_lot("two", [6])
    assert len(work.made) == len(other.made) == 1
    assert work.made[0].order[-1] == "let go"
    leave("two")
    assert other.made[0].order[-1] == "let go"


def test_what_is_kept_by_others_meanwhile_is_not_measured_again(work, tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records/8.json").touch()
    report = measure_lot("one", [7, 8])
    assert report.n_rows == 2
    assert (work.made[0].n_measured, work.made[0].n_present) == (1, 1)


def test_a_lot_is_made_ready_while_another_is_measured_and_measured_after_it(work):
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(measure_lot, "one", [1])
        while not work.made or "measure [1]" not in work.made[0].order:
            pass
        threads.submit(measure_lot, "one", [2]).result()
        first.result()
    assert work.made[0].order == ["prepare [1]", "measure [1]", "prepare [2]", "end [1]", "measure [2]", "end [2]"]


def test_a_lost_device_ends_the_worker_s_process_and_says_why(work, monkeypatch, capsys):
    ended = []
    monkeypatch.setattr(lots.os, "_exit", ended.append)
    measure_lot("one", ["lost"])
    assert ended == [1]
    assert "cuda failed" in capsys.readouterr().err


def test_a_folder_that_a_worker_lacks_is_named(tmp_path):
    work = Work("one", None, "cpu", None, FolderRecords(tmp_path), frozenset(), tmp_path / "absent")
    with pytest.raises(SpecError, match=r"absent: No such file or directory; accepted: a folder that every worker has"):
        work.engine(ExitStack())
