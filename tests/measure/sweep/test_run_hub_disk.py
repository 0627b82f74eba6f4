"""Sweeps of the Hub under a budget of disk, through faults and kills: they end in the table of local folders."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.hub.faults import Fault, Faults
from tests.hub.stand_in import environment
from tests.measure.sweep.hub_families import PLACE, published, rows, rows_of_folders, run, specs_of
from tests.measure.sweep.test_run import places_in
from tests.measure.tiny import ROOT

from helpers.measure.models.hub import kept, weights
from helpers.measure.sweep import run as sweep
from helpers.table.errors import ResultsError, SpecError

N_ROWS = 12
CHILD = """
import sys
import pytest
from tests.measure.sweep.hub_families import made_small
from helpers import cli
made_small(pytest.MonkeyPatch(), "pythia-deduped")
sys.argv = ["qid", *sys.argv[1:]]
cli.run()
"""


@pytest.fixture
def on_disk(monkeypatch):
    """The most bytes of weights that lay in folders of runs' own when a checkpoint was opened."""
    seen = []
    real = sweep.Room.leave

    def leave(room, lot):
        seen.append(weights_below(kept.home() / "downloads"))
        return real(room, lot)

    monkeypatch.setattr(sweep.Room, "leave", leave)
    return seen


def weights_below(folder: Path) -> int:
    blobs = (path for path in folder.rglob("blobs/*") if path.is_file())
    return sum(path.stat().st_size for path in blobs)


def two_largest(files) -> int:
    return sum(sorted(len(content["model.safetensors"]) for content in files.values())[-2:])


def test_a_sweep_stays_within_its_budget_and_measures_the_same(pythia_sweep, family_hub, tmp_path, on_disk):
    files = published(family_hub, specs_of(pythia_sweep))
    budget = two_largest(files)
    assert sum(len(content["model.safetensors"]) for content in files.values()) > budget
    report = run(pythia_sweep, tmp_path, disk_bytes=budget)
    assert (report.n_measured, report.failures) == (N_ROWS, ())
    assert rows(tmp_path, *PLACE) == rows_of_folders(pythia_sweep, files, tmp_path / "folders")
    assert 0 < max(on_disk) <= budget
    assert not (kept.home() / "downloads").exists() or weights_below(kept.home() / "downloads") == 0
    family_hub.log.clear()
    assert run(pythia_sweep, tmp_path, disk_bytes=budget).n_present == N_ROWS
    assert family_hub.log == []


def test_too_small_a_budget_is_refused_before_anything_comes(pythia_sweep, family_hub, tmp_path):
    files = published(family_hub, specs_of(pythia_sweep))
    with pytest.raises(SpecError, match="--disk-budget is"):
        run(pythia_sweep, tmp_path, disk_bytes=two_largest(files) - 1)
    assert not family_hub.asked("/cdn/")
    assert not (tmp_path / "table.parquet").exists()


def test_a_sweep_touches_no_file_that_others_have_in_the_cache(pythia_sweep, family_hub, tmp_path):
    specs = specs_of(pythia_sweep)
    files = published(family_hub, specs)
    theirs = weights.fetch(kept.revision_of(specs[0].location, specs[0].revision)) / "model.safetensors"
    theirs = theirs.resolve()
    family_hub.log.clear()
    run(pythia_sweep, tmp_path, disk_bytes=two_largest(files))
    assert theirs.read_bytes() == files[specs[0]]["model.safetensors"]
    assert len(family_hub.asked("/cdn/", "GET")) == len(specs) - 1


@pytest.mark.parametrize("seed", range(3))
def test_faults_at_random_end_in_the_identical_table(pythia_sweep, family_hub, tmp_path, monkeypatch, seed):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    files = published(family_hub, specs_of(pythia_sweep))
    drawn = (
        Fault("status", status=429, retry_after=3),
        Fault("status", status=503),
        Fault("cut", "GET", after=1000),
        Fault("dropped"),
        Fault("corrupted", "GET /cdn/", after=5000),
    )
    family_hub.faults = Faults(drawn=drawn, share=0.5, seed=seed, in_a_row=1)
    report = run(pythia_sweep, tmp_path, disk_bytes=two_largest(files))
    for _ in range(3):
        if report.failures:  # what was broken twice in a row is fetched by a rerun
            report = run(pythia_sweep, tmp_path, disk_bytes=two_largest(files))
    assert report.failures == ()
    assert family_hub.faults.struck > 3
    assert rows(tmp_path, *PLACE) == rows_of_folders(pythia_sweep, files, tmp_path / "folders")


def test_a_full_disk_ends_the_sweep_in_one_line_and_a_rerun_goes_on(pythia_sweep, family_hub, tmp_path, monkeypatch):
    files = published(family_hub, specs_of(pythia_sweep))
    came = []
    real = shutil.move

    def full(source, destination):
        came.append(destination)
        if len(came) == 3:
            raise OSError(28, os.strerror(28))
        return real(source, destination)

    with monkeypatch.context() as patched:
        patched.setattr("huggingface_hub.file_download._chmod_and_move", full)
        with pytest.raises(ResultsError, match=r"can't be written \(No space left on device\); nothing was lost"):
            run(pythia_sweep, tmp_path, disk_bytes=two_largest(files))
    assert run(pythia_sweep, tmp_path, disk_bytes=two_largest(files)).failures == ()
    assert rows(tmp_path, *PLACE) == rows_of_folders(pythia_sweep, files, tmp_path / "folders")


@pytest.mark.parametrize("n_records", [0, 2, 5, 9])
def test_a_killed_sweep_is_resumed_to_the_identical_table(pythia_sweep, family_hub, tmp_path, n_records):
    files = published(family_hub, specs_of(pythia_sweep))
    places, budget = places_in(tmp_path), two_largest(files)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        CHILD,
        "sweep",
        str(pythia_sweep),
        "--records",
        str(places.records),
    ]
    command += ["--table", str(places.measurements), "--disk-budget", str(budget * 1.001 / 2**30)]
    told = environment(family_hub.address, kept.home().with_name("hub"), OMP_NUM_THREADS="1")
    child = subprocess.Popen(command, cwd=ROOT, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while child.poll() is None and time.monotonic() < deadline:
        if len(list(places.records.glob("*.json"))) >= n_records and (n_records or family_hub.asked("/cdn/")):
            break
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    report = run(pythia_sweep, tmp_path, disk_bytes=budget)
    assert (report.n_measured + report.n_present, report.failures) == (N_ROWS, ())
    assert report.n_present >= n_records
    assert rows(tmp_path, *PLACE) == rows_of_folders(pythia_sweep, files, tmp_path / "folders")
    assert weights_below(kept.home() / "downloads") == 0
