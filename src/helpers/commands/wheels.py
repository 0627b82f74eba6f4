"""Wheels downloaded with pip, by exact version and hash: for texts and for models from outside."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.table.errors import CorpusError

if TYPE_CHECKING:  # what needs torch is loaded when a command runs
    from helpers.measure.text.corpus_lock import Wheel

TAGS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any")


def download(wheels: Sequence["Wheel"], folder: Path) -> None:
    """Download the wheels that `folder` lacks. Raises CorpusError where pip couldn't: it says why itself."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [w for w in wheels if not (folder / w.filename).exists()]
    if not missing:
        return
    pins = folder.parent / "wheels.txt"
    pins.write_text("".join(f"{w.package}=={w.version} --hash=sha256:{w.sha256}\n" for w in missing), encoding="utf-8")
    options = [option for tag in TAGS for option in ("--platform", tag)]
    options += ["--python-version", "3.11", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    if status := subprocess.run([*command, *options, "-d", str(folder), "-r", str(pins)]).returncode:
        raise CorpusError(f"{pins}: pip couldn't download these wheels (it ended with {status}); try again when it can")
