"""The reader's places are what the commands offer, and they cost no import of torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.measure.sweep.places import Places
from helpers.table.errors import SpecError


def test_the_readers_own_tables_are_ignored_by_git_and_the_projects_are_not_written():
    places = Places()
    assert places.measurements == Path("results/local.parquet")
    assert {path.name for path in (places.measurements, places.trials, places.checkpoints)} == {
        "local.parquet",
        "local-trials.parquet",
        "local-checkpoints.parquet",
    }


def test_commands_learn_the_places_without_loading_torch():
    code = "import sys, helpers.measure.sweep.places; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_place_that_is_named_twice_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "x")
    with pytest.raises(
        SpecError, match="link: for measurements and for records; accepted: a place of its own for each"
    ):
        Places(tmp_path / "x", tmp_path / "link")
    Places(tmp_path / "records/table.parquet", tmp_path / "records")
