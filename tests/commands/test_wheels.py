"""Wheels by pip: what it is asked for, and what is said when it fails. pip is a stand-in here."""

import subprocess

import pytest

from helpers.commands import wheels
from helpers.measure.text.corpus_lock import Wheel
from helpers.table.errors import CorpusError

HERE, THERE = (
    Wheel(name, "1.0", f"{name}-1.0-py3-none-any.whl", digit * 64, "MIT") for name, digit in (("a", "0"), ("b", "1"))
)


def test_only_what_is_missing_is_asked_for_by_version_and_hash(tmp_path, monkeypatch):
    asked = []

    def run(command):
        asked.append(command)
        return subprocess.CompletedProcess(command, len(asked) - 1)

    monkeypatch.setattr(subprocess, "run", run)
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / HERE.filename).touch()
    wheels.download([HERE], folder)
    assert asked == []
    assert not (tmp_path / "wheels.txt").exists()
    wheels.download([HERE, THERE], folder)
    assert (tmp_path / "wheels.txt").read_text() == f"b==1.0 --hash=sha256:{'1' * 64}\n"
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(asked[0])
    with pytest.raises(CorpusError, match=r"wheels\.txt: pip couldn't download these wheels \(it ended with 1\)"):
        wheels.download([HERE, THERE], folder)
