"""A whole profile on a stand-in of the Hub: audited, planned, swept, its chapters executed, as a person types it.

The family is the catalogue's with small runs and random weights; every process takes it, and the stand-in, for the real
ones: Python imports a `sitecustomize` from PYTHONPATH before anything else.
"""

import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.hub.repositories import Commit, File
from tests.hub.small import only, small_family
from tests.hub.stand_in import ROOT, StandIn, environment
from tests.measure.foreign import passages
from tests.measure.sweep.hub_families import files_of, specs_of

from helpers.measure.text import public_texts
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families import catalogue

ACCEPTED = 0, 1  # exit codes of a command that names what it lacks


@dataclass
class Profile:
    """A profile of sweeps/ made small in `folder`: these models and steps, `changes` of its text by regular expression."""

    name: str
    family: str
    models: list[str]
    steps: list[int]
    changes: Mapping[str, str]
    folder: Path
    hub: StandIn = field(default_factory=StandIn)
    address: str = ""

    def __post_init__(self) -> None:
        self.sweep, self.table = self.folder / f"{self.name}.yml", self.folder / "local.parquet"
        text = (ROOT / f"sweeps/{self.name}.yml").read_text()
        for pattern, smaller in self.changes.items():
            text, n_found = re.subn(pattern, smaller, text, flags=re.DOTALL)
            assert n_found, pattern
        self.sweep.write_text(text)
        (self.folder / "sitecustomize.py").write_text(
            "from tests.hub.small import only, small_family\n"
            "from helpers.table.families.catalogue import HUB_FAMILIES\n"
            f"HUB_FAMILIES['{self.family}'] = only(small_family('{self.family}'), {self.models}, {self.steps})\n"
        )

    def publish(self) -> dict[CheckpointSpec, dict[str, bytes]]:
        """Put the public texts and random weights of the sweep's checkpoints on the stand-in; return the latter."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            small = only(small_family(self.family), self.models, self.steps)
            patch.setitem(catalogue.HUB_FAMILIES, self.family, small)
            files = {spec: files_of(spec, seed) for seed, spec in enumerate(specs_of(self.sweep))}
        for spec, content in files.items():
            for branch in (spec.revision, "main"):
                self.hub.repository(spec.location).commit(content, branch)
        publish_texts(self.hub)
        return files

    def python(self, *words: object, small: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Python in a process that takes the stand-in and, if `small`, the small family for the real ones."""
        path = os.pathsep.join(map(str, ([self.folder] if small else []) + [ROOT / "src", ROOT]))
        told = environment(self.address, self.folder / "cache/hub", PYTHONPATH=path, OMP_NUM_THREADS="1")
        told |= {"JUPYTER_PREFER_ENV_PATH": "1", "IPYTHONDIR": str(self.folder / "ipython")}
        told |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        command = [sys.executable, *map(str, words)]
        return subprocess.run(command, env=told, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)

    def qid(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a `qid` command; what it can't do is named in a line, never in a traceback."""
        done = self.python("-W", "ignore", "-m", "helpers.cli", *words)
        assert done.returncode in ACCEPTED, done.stderr[-2000:]
        assert "Traceback" not in done.stderr
        return done

    def swept(self) -> subprocess.CompletedProcess[str]:
        """Run the sweep into the profile's own table."""
        return self.qid("sweep", self.sweep, "--table", self.table, "--records", self.folder / "measurements")

    def page(self, chapter: str, small: bool) -> str:
        """Execute a chapter as `make book` does for this profile; return what its page shows as text.

        Only what measures takes the `small` family: other pages are about the catalogue's own.
        """
        target = self.folder / f"executed/{chapter}.ipynb"
        parameters = ["device=cpu", f"sweep={self.sweep}", f"results_path={self.table}", "seed=0"]
        done = self.python("book/execute.py", f"chapters/{chapter}.py", target, *parameters, small=small)
        assert done.returncode == 0, f"{chapter}: {done.stderr[-3000:]}"
        return shown(nbformat.read(target, as_version=4))


def shown(notebook: nbformat.NotebookNode) -> str:
    """Return a notebook's text and the Markdown and plain text of its outputs, but what numbers are glued as."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        for output in cell.outputs:
            assert not (output.output_type == "stream" and output.name == "stderr"), output.text
            data = output.get("data", {})
            parts.append(data.get("text/markdown", data.get("text/plain", "")))
    return "\n".join(parts)


def publish_texts(hub: StandIn) -> None:
    """Put the public texts on the stand-in, at their commits: passages, in each split others."""
    texts = passages(24)
    for named, words in ((public_texts.TEXTS, texts[::2]), (public_texts.CALIBRATIONS, texts[1::2])):
        for each in named.values():
            text, repository = each.text, hub.repository(each.text.repository, "dataset")
            before = repository.commits.get(text.commit)
            files = dict(before.files if before else {}) | {text.file: File(_stored(text, words), large=True)}
            repository.commits[text.commit] = Commit(text.commit, "texts", None, files)


def _stored(text: public_texts.HubText, words: list[str]) -> bytes:
    if text.file.endswith(".json.gz"):
        return gzip.compress("".join(json.dumps({"text": each}) + "\n" for each in words).encode())
    lines = [part for number, each in enumerate(words) for part in (f" = {number} = \n", f" {each}\n")]
    file = io.BytesIO()
    of_lines = text.repository == public_texts.WIKITEXT
    pq.write_table(pa.table({text.column: lines if of_lines else words}), file)
    return file.getvalue()
