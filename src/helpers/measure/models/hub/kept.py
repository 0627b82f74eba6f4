"""What is kept of the Hub beside huggingface_hub's cache: descriptions of revisions, and their small files.

A revision is asked for once: later runs know its commit, its files' hashes, its configuration and its tokenizer from
here, make no request, and need no weights to know which rows they have. Small files are kept once a content.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from huggingface_hub import constants

from helpers.measure.models.hub.downloads import damage_of, downloaded
from helpers.measure.models.hub.revisions import HubError, HubFile, Revision, ask
from helpers.table import disk
from helpers.table.errors import SpecError
from helpers.table.readers import read_json_mapping
from helpers.table.records import from_mapping, summed, verified


def home() -> Path:
    """Return the folder of what is kept, beside the cache that it is about."""
    return Path(constants.HF_HUB_CACHE).with_name("qid")


def folder_of(revision: Revision) -> Path:
    """Return the folder of a revision's commit: its small files, and links to weights in places that all runs share.

    No run removes what a link here leads to: one with a folder of its own links to its weights from there.
    """
    return home() / "models" / flat(revision.repository) / revision.commit


def known(repository: str, revision: str) -> Revision | None:
    """Return a revision that was asked for before; None where it wasn't, or what is kept of it is damaged."""
    path = _description(repository, revision)
    disk.clear_after_kill(path)
    try:
        content = verified(read_json_mapping(path))
        where = f"{repository} at {revision}"
        files = tuple(from_mapping(HubFile, file, where) for file in content.pop("files"))
        return Revision(**{**content, "files": files})
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SpecError):
        return None


def revision_of(repository: str, revision: str) -> Revision:
    """Return a revision, from what is kept or else from the Hub. Raises HubError."""
    return known(repository, revision) or newest(repository, revision)


def newest(repository: str, revision: str) -> Revision:
    """Return a revision as the Hub has it now, and keep that. Raises HubError."""
    answer = ask(repository, revision)
    keep(answer)
    return answer


def keep(revision: Revision) -> None:
    """Write a revision's description. Raises ResultsError where the disk refuses."""
    content = summed(dataclasses.asdict(revision))
    path = _description(revision.repository, revision.revision)
    with disk.exclusive(path, disk.PATIENCE_SECONDS, "writing"):  # it clears what a kill left
        disk.write_atomically(path, f"{json.dumps(content, indent=1)}\n".encode())


def small_files(revision: Revision, names: Iterable[str], folder: Path | None = None) -> Path:
    """Return the folder of a revision, or `folder`, with those of the named files that it has, downloaded if need be.

    Raises HubError for a file that can't be had or, twice, isn't what the Hub says; ResultsError as a disk refuses.
    """
    folder = folder or folder_of(revision)
    for file in map(revision.file, names):
        if file is None:
            continue
        content = home() / "files" / (file.address or f"{revision.commit}-{file.name}")
        disk.clear_after_kill(content)
        if not content.is_file():
            _download(revision, file, content)
        link(folder / file.name, content)
    return folder


def link(path: Path, content: Path) -> None:
    """Let `path` be a link to `content`; one that is there is never gone for a moment.

    Raises ResultsError where the disk refuses.
    """
    target = os.path.relpath(content, path.parent)
    with disk.refusals_named(path):
        if path.is_symlink() and os.readlink(path) == target:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.symlink_to(target)
        except FileExistsError:  # it leads elsewhere, or another thread or process has just made it
            fresh = disk.unfinished_name(path)
            fresh.symlink_to(target)
            os.replace(fresh, path)


def _download(revision: Revision, file: HubFile, content: Path) -> None:
    """Put a small file's bytes at `content`, verified; who comes second waits, and finds them there."""
    with disk.exclusive(content, disk.PATIENCE_SECONDS, "fetching"):
        said = None
        for _ in range(2):
            if content.is_file():
                return
            place = disk.unfinished_name(content)
            try:
                path = downloaded(revision, file.name, local_dir=place)
                said = damage_of(path, file)
                if said is None:
                    with disk.refusals_named(content):
                        os.replace(path, content)
            finally:
                shutil.rmtree(place, ignore_errors=True)
        if not content.is_file():
            raise HubError(f"{revision.label}: {file.name} isn't what the Hub says, twice ({said})")


def _description(repository: str, revision: str) -> Path:
    return home() / "models" / flat(repository) / "revisions" / f"{quote(revision, safe='')}.json"


def flat(repository: str) -> str:
    """Return a repository's name as the name of one folder."""
    return quote(repository.replace("/", "--"), safe="")
