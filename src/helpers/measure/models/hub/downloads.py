"""One file of a commit, downloaded by huggingface_hub, and held against what the Hub says of it."""

import hashlib
import time
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from helpers.measure.models.hub.revisions import HubFile, Revision, refusal
from helpers.table import disk

AT_ONCE = 2**20  # bytes read at once
WAITS = (1.0, 4.0, 16.0)  # seconds between tries


def downloaded(revision: Revision, name: str, **where: Any) -> Path:
    """Return a file of a revision's commit on this disk; `where` is what `hf_hub_download` takes of a place.

    huggingface_hub waits as long as a busy Hub says, and goes on where a connection breaks; what it gives up (an answer
    of 5xx, a Hub that doesn't answer) is tried again a few times, later each time.
    Raises HubError, and ResultsError where the disk refuses: it would refuse the other files too.
    """
    for wait in (*WAITS, None):
        try:
            return Path(huggingface_hub.hf_hub_download(revision.repository, name, revision=revision.commit, **where))
        except Exception as error:
            if disk.is_refusal(error):
                with disk.refusals_named(Path(f"{revision.label}: {name}")):
                    raise
            if wait is None or not _passes(error):
                raise refusal(error, revision.label) from None
        time.sleep(wait)
    raise AssertionError  # the last of the tries returns or raises


def _passes(error: Exception) -> bool:
    """Tell whether an error may be gone after a while: a server's, or one on the way."""
    if isinstance(error, HfHubHTTPError):
        return error.response is not None and error.response.status_code in (408, 429, *range(500, 600))
    return isinstance(error, (httpx.TransportError, LocalEntryNotFoundError)) and not constants.HF_HUB_OFFLINE


def damage_of(path: Path, file: HubFile) -> str | None:
    """Return in words how the bytes of `path` differ from what the Hub says of a file; None where they don't."""
    n_bytes = path.stat().st_size
    if file.n_bytes is not None and n_bytes != file.n_bytes:
        return f"{n_bytes} bytes, not {file.n_bytes}"
    if file.sha256 is not None:
        found, said, kind = sha256_of(path), file.sha256, "sha256"
    elif file.git_sha1 is not None:
        found, said, kind = _git_sha1(path), file.git_sha1, "git's sha1"
    else:
        return None
    return None if found == said else f"{kind} {found[:16]}, not {said[:16]}"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _git_sha1(path: Path) -> str:
    """Return git's hash of a file's content: the SHA-1 of `blob`, its size, a zero and its bytes."""
    summing = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as opened:
        while chunk := opened.read(AT_ONCE):
            summing.update(chunk)
    return summing.hexdigest()
