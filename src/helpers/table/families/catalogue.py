"""The catalogue of checkpoint families: where their weights are, and what each step had seen.

A family on the Hub is described by a file of this folder with `FAMILIES = (...)`, which is found by itself; a family
this project trained is described by the `manifest.json` that training wrote beside its checkpoints. Either way the
answer is a list of `CheckpointSpec`.
"""

import dataclasses
import fnmatch
import os
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import SpecError
from helpers.table.families.hub import HubFamily, known_bad
from helpers.table.families.reports import KnownBad
from helpers.table.names import at_home, refuse_name, refuse_place
from helpers.table.ranges import AMOUNT
from helpers.table.readers import read_json_mapping
from helpers.table.records import DamagedError, from_mapping, refuse_unknown, verified
from helpers.table.words import shown

MANIFEST, ENTRIES = "manifest.json", "checkpoints"
NAMES = ("family", "model", "run")  # they become parts of paths
KNOWN = ("step", "tokens_seen", "tokens_planned", "schedule", "train_seed")  # of what was trained here
LOSS = "loss_nats"  # beside a checkpoint's description: of its weights as they are stored, on held-out text


def families_of_the_folder() -> dict[str, HubFamily[Any]]:
    """Return by name the families of every file of this folder; a file without any holds what families share."""
    folder = Path(__file__).parent
    names = [name for _, name, _ in pkgutil.iter_modules([str(folder)]) if name != Path(__file__).stem]
    modules = [import_module(f"{__package__}.{name}") for name in names]
    return {family.name: family for module in modules for family in getattr(module, "FAMILIES", ())}


HUB_FAMILIES = families_of_the_folder()


def checkpoints(
    family: str,
    models: list[str] | None,
    steps: list[int] | None,
    where: str,
    runs: list[str] | None = None,
) -> list[CheckpointSpec]:
    """Return checkpoints, all or some, of a family on the Hub, by its name, or of a trained family, by its folder.

    A model or a run may be a pattern as of file names: `*`, `?` and `[0-9]`. Raises SpecError, beginning with `where`,
    that names an unknown family, model, step or run and what is accepted.
    """
    try:
        refuse_place(family, "family")
        folder = at_home(family)
    except (SpecError, RuntimeError) as error:  # of a home that nobody has
        raise SpecError(f"{where}: {error}") from None
    if family in HUB_FAMILIES:
        specs = list(HUB_FAMILIES[family].checkpoints())
    elif os.path.lexists(folder / MANIFEST):  # says no of a name that is too long
        specs = read_manifest(folder)
    else:
        names = ", ".join(HUB_FAMILIES)
        raise SpecError(f"{where}: unknown family '{family}'; accepted: {names}, or a folder with a {MANIFEST}")
    for name, wanted in (("model", models), ("step", steps), ("run", runs)):
        if wanted is not None:
            meant = _meant(name, wanted, {getattr(spec, name) for spec in specs}, where)
            specs = [spec for spec in specs if getattr(spec, name) in meant]
    return specs


def report_on(checkpoint: CheckpointSpec) -> KnownBad | None:
    """Return what was reported against a checkpoint of a family on the Hub; None where nothing was."""
    family = HUB_FAMILIES.get(checkpoint.family)
    return None if family is None or checkpoint.revision is None else known_bad(family, checkpoint)


def _meant(what: str, wanted: list[str] | list[int], known: set[Any], where: str) -> set[Any]:
    """Return those of `known` that are wanted. Raises SpecError for a value that is none and a pattern of none."""
    meant: set[Any] = set()
    for value in wanted:
        found = {value} & known or {k for k in known if fnmatch.fnmatchcase(str(k), str(value))}
        if not found:
            accepted = ", ".join(str(k) for k in sorted(known))
            raise SpecError(f"{where}: unknown {what} '{value}'; accepted: {accepted}")
        meant |= found
    return meant


def read_manifest(folder: Path) -> list[CheckpointSpec]:
    """Return the checkpoints a trained family's manifest lists, located relative to its folder.

    Raises SpecError when the manifest is missing or isn't JSON, or an entry has an unknown or missing field or a value
    that can't be.
    """
    path = folder / MANIFEST
    return [_spec(entry, folder, f"{path}: {index}") for index, entry in enumerate(_entries(path))]


def read_losses(folder: Path) -> dict[str, float]:
    """Return the losses on held-out text that a trained family's manifest has, in nats per token, by location.

    Locations are as `read_manifest` gives them. Raises SpecError as it does.
    """
    path = folder / MANIFEST
    described = [(_spec(entry, folder, f"{path}: {index}"), entry) for index, entry in enumerate(_entries(path))]
    return {spec.location: entry[LOSS] for spec, entry in described if LOSS in entry}


def _spec(entry: dict[str, Any], folder: Path, where: str) -> CheckpointSpec:
    """Return an entry's checkpoint. Raises SpecError that begins with `where`."""
    known = {name: value for name, value in entry.items() if name != LOSS}
    spec = from_mapping(CheckpointSpec, known, where)
    unknown = next((name for name in KNOWN if getattr(spec, name) is None), None)
    if unknown is not None:
        raise SpecError(f"{where}: '{unknown}' is None; accepted: what training wrote there")
    try:
        for name in NAMES:
            refuse_name(getattr(spec, name), name)
        refuse_place(spec.location, "location")
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None
    if spec.revision is not None:
        raise SpecError(f"{where}: 'revision' is '{spec.revision}'; accepted: null, the weights lie here")
    loss = entry.get(LOSS, 0.0)
    if isinstance(loss, bool) or loss not in AMOUNT:
        raise SpecError(f"{where}: '{LOSS}' is {shown(loss)}; accepted: {AMOUNT}")
    return dataclasses.replace(spec, location=str(folder / spec.location))


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        content = verified(read_json_mapping(path))
        refuse_unknown(content, (ENTRIES,))
        entries = content[ENTRIES]
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except DamagedError as error:
        raise SpecError(f"{path}: {error}, else `qid train` or `qid pocket` into that folder writes it again") from None
    except (ValueError, KeyError) as error:
        raise SpecError(f"{path}: not a family manifest ({error})") from None
    if not isinstance(entries, list):
        raise SpecError(f"{path}: not a family manifest ('checkpoints' is {shown(entries)}; accepted: a list)")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise SpecError(f"{path}: {index}: {shown(entry)} where a mapping is expected")
    return entries
