"""How revisions of the Hub stand before any weights are downloaded: there or not, how large, how much of it is here."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from helpers.measure.models.hub import kept, weights
from helpers.measure.models.hub.revisions import UNREACHABLE, HubError, Revision
from helpers.measure.models.hub.storage import SHARED, Storage
from helpers.table.errors import CheckpointError

HERE, ON_HUB = "here", "on the Hub"
ASKED_AT_ONCE = 8
BYTES_A_PARAMETER = 4  # where only the catalogue's count is known: float32, the widest that checkpoints are stored in


@dataclass(frozen=True)
class Asked:
    """A revision that is asked about; `n_params` are all its parameters, as the catalogue counts them."""

    repository: str
    revision: str
    n_params: int
    from_pickle: bool = False


@dataclass(frozen=True)
class Standing:
    """How one revision stands: `words` are `here`, `on the Hub`, or what keeps it from being used; sizes in bytes.

    `n_bytes` are its weights', `estimated` where the Hub couldn't be asked, and `to_fetch` those that aren't on this
    disk; `at_most` is what it takes there while pickles are converted. `reason` is a refusal's line.
    """

    words: str
    commit: str | None = None
    n_bytes: int = 0
    to_fetch: int = 0
    at_most: int = 0
    estimated: bool = False
    reason: str | None = None

    @property
    def usable(self) -> bool:
        """Tell whether a sweep may find it there: what couldn't be asked about may be."""
        return self.words in (HERE, ON_HUB, UNREACHABLE)


def standings(asked: Sequence[Asked], storage: Storage = SHARED) -> list[Standing]:
    """Return how revisions stand, in their order; each that isn't known yet is one request, several at once.

    The first is asked about alone: once the Hub can't be reached it isn't asked again. Raises ResultsError where the
    disk refuses what is kept.
    """
    cut_off = threading.Event()
    first = [_standing(each, storage, cut_off) for each in asked[:1]]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        return [*first, *pool.map(lambda each: _standing(each, storage, cut_off), asked[1:])]


def _standing(asked: Asked, storage: Storage, cut_off: threading.Event) -> Standing:
    known = kept.known(asked.repository, asked.revision)
    try:
        if known is None and cut_off.is_set():
            raise HubError("", UNREACHABLE)
        revision = known or kept.newest(asked.repository, asked.revision)
        return _of(revision, asked, storage)
    except HubError as error:
        if error.standing != UNREACHABLE:
            return Standing(error.standing, reason=str(error))
        cut_off.set()
        return _unasked(asked)
    except CheckpointError as error:
        return Standing("can't be used", reason=str(error))


def _of(revision: Revision, asked: Asked, storage: Storage) -> Standing:
    weights.described(revision)
    files = weights.files_of(revision, asked.from_pickle)
    n_bytes = sum(file.n_bytes or 0 for file in files)
    to_fetch = weights.n_bytes_to_fetch(revision, files, storage)
    at_most = n_bytes * (2 if weights.are_pickles(files) else 1)
    return Standing(ON_HUB if to_fetch else HERE, revision.commit, n_bytes, to_fetch, at_most if to_fetch else 0)


def _unasked(asked: Asked) -> Standing:
    """Return what can be said without the Hub: what other programs fetched, or the catalogue's count."""
    found = try_to_load_from_cache(asked.repository, "config.json", revision=asked.revision)
    if isinstance(found, str):
        folder = Path(found).parent
        n_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        if n_bytes:
            return Standing(HERE, folder.name, n_bytes)
    n_bytes = asked.n_params * BYTES_A_PARAMETER
    return Standing(UNREACHABLE, None, n_bytes, n_bytes, n_bytes, estimated=True)
