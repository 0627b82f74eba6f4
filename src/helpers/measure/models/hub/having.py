"""A Hub revision on this disk, with its weights or without: what is kept, what other programs fetched, or the Hub."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from helpers.measure.models.hub import kept, weights
from helpers.measure.models.hub.revisions import UNREACHABLE, HubError, Revision
from helpers.measure.models.hub.storage import SHARED, Storage


@dataclass(frozen=True)
class Here:
    """A checkpoint's folder on this disk, with its commit and the hashes of its weights as far as they are known.

    `pickle_sha256` stands for the pickles that the weights were converted from, None for safetensors.
    """

    folder: Path
    commit: str | None = None
    weights_sha256: str | None = None
    pickle_sha256: str | None = None


def described(repository: str, revision: str, from_pickle: bool = False, storage: Storage = SHARED) -> Here:
    """Return a revision with its configuration and tokenizer, no weights, where the Hub says their hash.

    Raises as `with_weights` does.
    """
    try:
        asked = kept.revision_of(repository, revision)
    except HubError as error:
        return _cached(repository, revision, error)
    folder = weights.described(asked)
    return _here(asked, folder, from_pickle) or with_weights(repository, revision, from_pickle, storage)


def with_weights(repository: str, revision: str, from_pickle: bool = False, storage: Storage = SHARED) -> Here:
    """Return a revision with its weights, verified, downloaded into `storage` and converted if need be.

    One that was asked for before stands for the commit that it was then, and needs no request.
    Raises HubError, CheckpointError, and ResultsError where the disk refuses.
    """
    try:
        asked = kept.revision_of(repository, revision)
    except HubError as error:
        return _cached(repository, revision, error)
    folder = weights.fetch(asked, from_pickle, storage)
    return _here(asked, folder, from_pickle) or Here(folder, asked.commit)


def newest(repository: str, revision: str) -> Path:
    """Return the folder of a revision with its weights, as the Hub has it now; as it was, where that can't be reached.

    Raises as `with_weights` does.
    """
    try:
        return weights.fetch(kept.newest(repository, revision))
    except HubError as error:
        before = kept.known(repository, revision)
        if error.standing != UNREACHABLE or before is None:
            return _cached(repository, revision, error).folder
        return weights.fetch(before)


def _here(revision: Revision, folder: Path, from_pickle: bool) -> Here | None:
    """Return a revision whose weights' hash is known; None where it isn't."""
    files = weights.files_of(revision, from_pickle)
    sha256 = weights.sha256_of_weights(revision, files)
    return None if sha256 is None else Here(folder, revision.commit, sha256, weights.hash_of_pickles(files))


def _cached(repository: str, revision: str, error: HubError) -> Here:
    """Return a revision as other programs left it in huggingface_hub's cache. Raises `error` where it isn't there."""
    found = try_to_load_from_cache(repository, "config.json", revision=revision)
    if error.standing != UNREACHABLE or not isinstance(found, str):
        raise error
    folder = Path(found).parent
    return Here(folder, folder.name)
