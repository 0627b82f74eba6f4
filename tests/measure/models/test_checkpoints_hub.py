"""A checkpoint from the Hub, fetched from a stand-in on this machine that speaks as much of its protocol as that takes."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.measure.hub_stand import HubStand, served
from tests.measure.tiny import ROOT

from helpers.measure.models import checkpoints
from helpers.table.families import catalogue

COMMIT = "a" * 40
FETCH = """
import json, sys
from helpers.measure.models import checkpoints
from tests.measure.models.test_checkpoints_hub import hub_spec
local = checkpoints.fetch(hub_spec(sys.argv[1]))
print(json.dumps([str(local.folder), local.commit, local.weights_sha256]))
"""


def hub_spec(revision: str):
    """Return a checkpoint that isn't on this disk: a pocket one's description with a repository and a branch."""
    spec = catalogue.read_manifest(ROOT / "data/tadpole")[0]
    return dataclasses.replace(spec, location="someone/tiny", revision=revision, weights_sha256=None, architecture=None)


@pytest.fixture
def hub(family):
    """Serve a tiny checkpoint as `someone/tiny`; its branch moves after the first question where `moves` is set."""
    folder = Path(catalogue.read_manifest(family)[0].location)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in {".json", ".safetensors"}}

    class Stand(HubStand):
        asked, moves = [], False

        def respond(self):
            Stand.asked.append(self.path)
            if self.path.startswith("/api/models/someone/tiny"):
                said = {"id": "someone/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
                if self.path.endswith("?recursive=true") or "/tree/" in self.path:
                    said = [
                        {"type": "file", "path": name, "size": len(body), "oid": "0"} for name, body in files.items()
                    ]
                return self.answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})
            *_, revision, name = self.path.split("?")[0].split("/")
            known = revision == COMMIT or (revision == "main" and not Stand.moves)
            if name not in files or not known:
                return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            return self.answer_file(files[name], COMMIT)

    with served(Stand) as address:
        yield Stand, address, folder


def fetched(endpoint: str, cache: Path, revision: str) -> subprocess.CompletedProcess:
    """Fetch in a process of its own: the Hub's address is read where its client is imported."""
    told = {"HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
    told |= {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-W", "ignore", "-c", FETCH, revision]
    return subprocess.run(command, env=os.environ | told, cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_every_file_is_asked_for_by_the_commit_that_a_branch_resolved_to(hub, tmp_path):
    """A branch that moves between two files can't mix two checkpoints, and the row has the commit."""
    stand, endpoint, folder = hub
    stand.asked, stand.moves = [], True
    done = fetched(endpoint, tmp_path / "hub", "main")
    assert done.returncode == 0, done.stderr[-500:]
    where, commit, sha256 = json.loads(done.stdout.splitlines()[-1])
    assert (commit, Path(where).name) == (COMMIT, COMMIT)
    assert sha256 == checkpoints.weights_sha256(folder)
    files = [path for path in stand.asked if "/resolve/" in path]
    assert files
    assert all(f"/resolve/{COMMIT}/" in path for path in files)


def test_a_revision_that_is_not_there_is_one_line(hub, tmp_path):
    _, endpoint, _ = hub
    done = fetched(f"{endpoint}/nowhere", tmp_path / "hub", "main")
    assert done.returncode != 0
    assert "someone/tiny at main: " in done.stderr.splitlines()[-1]
