"""A list of pairs on a stand-in of the Hub: compared one by one, recorded, removed; broken ones and kills survived."""

import dataclasses
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.hub.stand_in import ROOT, StandIn, environment, take_for_the_hub
from tests.measure.packed_models import llama, rounded_by, scheme, written

from helpers.measure.comparing import released
from helpers.measure.comparing.compare import Wanted, compare
from helpers.measure.comparing.pairs import Pair, PairList
from helpers.measure.models.hub import kept
from helpers.measure.packing import export
from helpers.measure.text.extent import QUICK
from helpers.table.errors import DeviceError, ResultsError

BASE = "EleutherAI/tiny@step1"
FOUR, MISSING = Pair(BASE, "authors/tiny-int4@main"), Pair(BASE, "authors/tiny-int5@main")
CORRUPTED, THREE = Pair(BASE, "authors/tiny-broken@main"), Pair(BASE, "authors/tiny-int3@main")
ALL = PairList("tiny", (FOUR, MISSING, CORRUPTED, THREE))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("released")
    model = written(llama(), place / "original")
    for bits in (3, 4):
        export.export(place / "original", rounded_by(model, scheme(bits)), scheme(bits), place / f"int{bits}")
    lines = [json.dumps({"text": f"number {i} and " * 40}) for i in range(20)]
    (place / "text.jsonl").write_text("\n".join(lines))
    return place


@pytest.fixture
def hub(place, tmp_path, monkeypatch):
    def files_of(name: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (place / name).iterdir()}

    torch.set_num_threads(1)
    hub = StandIn()
    hub.repository("EleutherAI/tiny").commit(files_of("original"), branch="step1")
    for bits in (3, 4):
        hub.repository(f"authors/tiny-int{bits}").commit(files_of(f"int{bits}"))
    broken = files_of("int4")
    broken["model.safetensors"] = broken["model.safetensors"][:-1000]
    hub.repository("authors/tiny-broken").commit(broken)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with hub.serving() as address:
        take_for_the_hub(monkeypatch, address, tmp_path / "cache")
        yield hub


@pytest.fixture
def way(place) -> released.Way:
    return released.Way((str(place / "text.jsonl"),), QUICK, 16, disk_bytes=2**30)


def compared(way: released.Way, out: Path, listed: PairList = ALL) -> tuple[released.Released, str]:
    said = io.StringIO()
    return released.compare_all(listed, way, out, Console(file=said, width=1000)), said.getvalue()


def downloads() -> list[Path]:
    return [path for path in (kept.home() / "downloads").rglob("*") if path.is_file()]


def test_what_can_be_compared_is_and_the_others_are_named(hub, way, place, tmp_path):
    found, said = compared(way, tmp_path / "out")
    assert [each.pair for each in found.finished] == [FOUR, THREE]
    assert found.n_before == 0
    missing, corrupted = found.failures
    assert missing.startswith("authors/tiny-int5@main beside EleutherAI/tiny@step1: ")
    assert corrupted.startswith("authors/tiny-broken@main beside EleutherAI/tiny@step1: ")
    assert "4 pairs, 0 of them compared before" in said
    assert len([*(tmp_path / "out").glob("*.json")]) == 2
    assert not downloads()
    four = found.finished[0]
    assert four.base_commit == hub.repository("EleutherAI/tiny").branches["step1"]
    assert four.quantized_commit == hub.repository("authors/tiny-int4").branches["main"]
    wanted = Wanted(str(place / "original"), (str(place / "int4"),), way.texts, QUICK, 16)
    (line,) = compare(wanted, "cpu", Console(quiet=True)).lines
    assert four.lines == (dataclasses.replace(line, checkpoint=FOUR.quantized),)


def test_what_is_finished_is_skipped_and_what_failed_is_tried_again(hub, way, place, tmp_path):
    before, _ = compared(way, tmp_path / "out")
    hub.log.clear()
    hub.repository("authors/tiny-int5").commit({path.name: path.read_bytes() for path in (place / "int4").iterdir()})
    again, said = compared(way, tmp_path / "out")
    assert "4 pairs, 2 of them compared before" in said
    assert (again.n_before, [each.pair for each in again.finished]) == (2, [FOUR, MISSING, THREE])
    assert [each for each in again.finished if each.pair != MISSING] == list(before.finished)
    assert not hub.asked("tiny-int3")
    assert len(again.failures) == 1


def test_a_damaged_record_is_compared_again_and_another_text_is_another_record(hub, way, place, tmp_path):
    one = PairList("one", (FOUR,))
    first, _ = compared(way, tmp_path / "out", one)
    (record,) = (tmp_path / "out").glob("*.json")
    whole = record.read_bytes()
    record.write_bytes(whole.replace(b'"n_tokens": ', b'"n_tokens": 1'))
    assert compared(way, tmp_path / "out", one)[0].finished == first.finished
    assert record.read_bytes() == whole
    shutil.copy(place / "text.jsonl", tmp_path / "text.jsonl")
    (tmp_path / "text.jsonl").write_text((place / "text.jsonl").read_text().replace("number", "figure"))
    other = dataclasses.replace(way, texts=(str(tmp_path / "text.jsonl"),))
    assert compared(other, tmp_path / "out", one)[0].n_before == 0


def test_a_pair_that_does_not_fit_the_disk_is_named_before_a_byte_of_it_comes(hub, way, tmp_path):
    small = dataclasses.replace(way, disk_bytes=1000)
    found, _ = compared(small, tmp_path / "out", PairList("one", (FOUR,)))
    assert "GiB together, and --disk-budget is" in found.failures[0]
    assert not hub.asked("/cdn/")


def test_without_a_budget_weights_stay_in_the_cache(hub, way, tmp_path):
    compared(dataclasses.replace(way, disk_bytes=None), tmp_path / "out", PairList("one", (FOUR,)))
    assert [*(tmp_path / "cache").glob("models--authors--tiny-int4/snapshots/*/model.safetensors")]


def test_another_list_that_comes_and_goes_beside_it_takes_nothing_from_it(hub, way, tmp_path, monkeypatch):
    whole, beside = released.compare, []

    def overtaken(*given):
        monkeypatch.setattr(released, "compare", whole)
        beside.append(compared(way, tmp_path / "beside")[0])  # all of it, while the first pair lies ready here
        return whole(*given)

    monkeypatch.setattr(released, "compare", overtaken)
    found, _ = compared(way, tmp_path / "out")
    assert [each.pair for each in found.finished] == [FOUR, THREE]
    assert beside == [found]
    assert not downloads()


def test_a_lost_device_ends_it_and_keeps_what_is_finished(hub, way, tmp_path, monkeypatch):
    whole = released.compare

    def lost(wanted, *more):
        if wanted.others == (THREE.quantized,):
            raise DeviceError("cuda failed")
        return whole(wanted, *more)

    monkeypatch.setattr(released, "compare", lost)
    with pytest.raises(DeviceError):
        compared(way, tmp_path / "out")
    assert len([*(tmp_path / "out").glob("*.json")]) == 1


def test_a_disk_that_refuses_a_record_ends_it_in_one_line_and_the_next_run_ends_the_same(
    hub, way, tmp_path, monkeypatch
):
    whole, _ = compared(way, tmp_path / "unbroken")
    replace, written_to = os.replace, []

    def full(source, target, **more):
        if Path(target).parent == tmp_path / "out":
            written_to.append(target)
            if len(written_to) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(source, target, **more)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ResultsError, match="No space left on device") as refused:
        compared(way, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert len([*(tmp_path / "out").glob("*.json")]) == 1
    again, _ = compared(way, tmp_path / "out")
    assert (again.n_before, again.finished) == (1, whole.finished)
    assert not downloads()


def test_a_killed_run_goes_on_where_it_stopped_and_ends_the_same(hub, way, place, tmp_path, monkeypatch):
    killed, answer = threading.Event(), hub.faults.next

    def held(line: str):
        """Keep the last pair's files back, so that the kill falls between the first record and the end."""
        if "tiny-int3/resolve" in line:
            killed.wait(600)
        return answer(line)

    monkeypatch.setattr(hub.faults, "next", held)
    (tmp_path / "list.yml").write_text(
        "name: tiny\npairs:\n" + "".join(f"  - {json.dumps(dataclasses.asdict(pair))}\n" for pair in ALL.pairs)
    )
    words = ["compare-list", tmp_path / "list.yml", "--text", place / "text.jsonl", "--seq-len", 16, "--quick"]
    words += ["--disk-budget", 1, "--json"]

    def start(out: str) -> subprocess.Popen:
        command = [sys.executable, "-W", "ignore", "-m", "helpers.cli", *map(str, words), "--out", str(tmp_path / out)]
        told = environment(hub.address, tmp_path / "another/hub", OMP_NUM_THREADS="1")
        return subprocess.Popen(command, env=told, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    running = start("killed")
    ends = time.monotonic() + 600
    while not [*(tmp_path / "killed").glob("[!.]*.json")] and running.poll() is None:
        assert time.monotonic() < ends
        threading.Event().wait(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    killed.set()
    assert running.returncode == -signal.SIGKILL
    again = start("killed")
    said, told = again.communicate(timeout=600)
    assert again.returncode == 1
    assert re.search("4 pairs, 1 of them compared before", told)
    assert json.loads(said) == json.loads(start("unbroken").communicate(timeout=600)[0])
    assert told.count("not compared: ") == 2
    assert "Traceback" not in told
    assert not [*(tmp_path / "killed").glob(".*.unfinished")]
    assert not [*(tmp_path / "another/qid/downloads").rglob("*.safetensors")]
