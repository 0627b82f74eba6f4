"""Pickled weights, converted once to safetensors in a process of its own that has no network and no token.

torch reads them with `weights_only=True`, which builds tensors and nothing else; the process around it is for the day
that this doesn't hold.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.measure.models.hub.downloads import sha256_of
from helpers.measure.models.shards import hash_of_all
from helpers.table import disk
from helpers.table.errors import CheckpointError
from helpers.table.readers import read_json_mapping
from helpers.table.records import summed, verified

HASHES = "converted.json"  # in a commit's folder: SHA-256 of what its pickles were converted to, by name
CHILD = Path(__file__).with_name("pickled_child.py")
HIDDEN = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "API_KEY", "ACCESS_KEY", "PROXY")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def files_in(folder: Path) -> list[Path]:
    """Return the converted files of a folder; none where it isn't there."""
    return sorted(folder.glob("*.safetensors"))


def convert(pickles: Sequence[Path], out: Path) -> None:
    """Write safetensors of pickled weights, a file for each and, for several, their index, into the folder `out`.

    It is there whole or not at all. Raises CheckpointError for what isn't tensors by name, ResultsError where the disk
    refuses.
    """
    with disk.refusals_named(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with disk.replacing_folder(out) as unfinished:
        command = [sys.executable, "-I", str(CHILD), str(unfinished), *map(str, pickles)]
        done = subprocess.run(command, env=_bare(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            if "No space left" in said:
                with disk.refusals_named(out):
                    raise OSError(said)
            raise CheckpointError(f"{pickles[0]}: can't be converted ({said:.300})")


def remember(converted: Path, folder: Path, label: str) -> None:
    """Keep the hashes of converted files in a commit's folder: its rows are known by them before they are here again.

    Raises CheckpointError where they are others than those of an earlier conversion.
    """
    hashes = {path.name: sha256_of(path) for path in files_in(converted)}
    before = _hashes(folder)
    if before is not None and before != hashes:
        raise CheckpointError(f"{label}: converted to other bytes than before; its rows would be another checkpoint's")
    disk.write_atomically(folder / HASHES, f"{json.dumps(summed(hashes), indent=1)}\n".encode())


def remembered(folder: Path) -> str | None:
    """Return the hash of converted weights as rows have it; None where they weren't converted yet."""
    hashes = _hashes(folder)
    return None if hashes is None else hash_of_all(hashes)


def _hashes(folder: Path) -> dict[str, str] | None:
    try:
        return verified(read_json_mapping(folder / HASHES)) or None
    except (OSError, ValueError):
        return None


def _bare() -> dict[str, str]:
    """Return this process's environment without what opens doors, and with the Hub's clients offline."""
    named = {name: value for name, value in os.environ.items() if not any(word in name.upper() for word in HIDDEN)}
    return named | OFFLINE
