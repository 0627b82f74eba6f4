"""What the Hub lists of a repository: its revisions with their commits, and the files of a commit.

Nothing but lists is asked for: a request or two a repository, one a commit (more where it has thousands of files).
A commit's list never changes, so it is kept and asked for once. Requests that a busy Hub refuses (429, with its
Retry-After, and 5xx) or that break on the way are made again by huggingface_hub's own back-off.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from huggingface_hub import constants
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # they are, lazily
    build_hf_headers,
    hf_raise_for_status,
    http_backoff,
)

from helpers.measure.models.hub.kept import flat, home
from helpers.measure.models.hub.revisions import (
    ANSWER_SECONDS,
    COMMIT,
    HASH,
    HubFile,
    Revision,
    refusal,
)
from helpers.table import disk
from helpers.table.errors import SpecError
from helpers.table.readers import read_json_mapping
from helpers.table.records import from_mapping, summed, verified


@dataclass(frozen=True)
class Listed:
    """A repository as the Hub lists it: whether its files are gated, and the commit of each branch and tag."""

    repository: str
    gated: bool
    commits: dict[str, str]

    def commit(self, revision: str) -> str | None:
        """Return the commit that a revision is; None where the repository lacks it. A commit is itself."""
        return self.commits.get(revision, revision if COMMIT.fullmatch(revision) else None)


def listed(repository: str) -> Listed:
    """Return what the Hub says of a repository now. Raises HubError."""
    address = f"{constants.ENDPOINT}/api/models/{repository}"
    try:
        said = next(_pages(address))
        refs = next(_pages(f"{address}/refs"))
        commits = {
            each["name"]: each["targetCommit"] for kind in ("tags", "converts", "branches") for each in refs[kind]
        }
        wrong = next((each for each in commits.values() if not COMMIT.fullmatch(each)), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r:.80} as a commit")
        return Listed(repository, bool(said.get("gated")), commits)
    except Exception as error:
        raise refusal(error, repository) from None


def tree(repository: str, revision: str, commit: str) -> Revision:
    """Return a commit's files, kept from an earlier time or from the Hub. Raises HubError, ResultsError."""
    path = home() / "trees" / flat(repository) / f"{commit}.json"
    kept = _kept(path, repository, revision, commit)
    if kept is not None:
        return kept
    address = f"{constants.ENDPOINT}/api/models/{repository}/tree/{commit}"
    try:
        lines = [line for page in _pages(address, recursive="true") for line in page]
        listing = [RepoFile(**line) for line in lines if line["type"] == "file"]  # type: ignore[no-untyped-call]  # no types
        files = tuple(map(_file, listing))
    except Exception as error:
        raise refusal(error, f"{repository} at {revision}") from None
    found = Revision(repository, revision, commit, files)
    disk.write_atomically(path, f"{json.dumps(summed(dataclasses.asdict(found)), indent=1)}\n".encode())
    return found


def _pages(address: str, **asked: str) -> Iterator[Any]:
    """Yield the pages of an answer, one after another, as JSON."""
    following: str | None = f"{address}?{'&'.join(f'{name}={quote(value)}' for name, value in asked.items())}"
    while following is not None:
        answer = http_backoff("GET", following, headers=build_hf_headers(), timeout=ANSWER_SECONDS)
        hf_raise_for_status(answer)
        yield answer.json()
        following = answer.links.get("next", {}).get("url")


def _file(line: RepoFile) -> HubFile:
    large = line.lfs
    for value in (line.blob_id, None if large is None else large.sha256):
        if value is not None and not HASH.fullmatch(value):
            raise ValueError(f"{line.path}: {value!r:.80} as a hash")
    n_bytes, sha256 = (line.size, None) if large is None else (large.size, large.sha256)
    return HubFile(line.path, n_bytes, line.blob_id, sha256)


def _kept(path: Path, repository: str, revision: str, commit: str) -> Revision | None:
    """Return a list that was kept; None where there is none, or it is damaged."""
    try:
        content = verified(read_json_mapping(path))
        files = tuple(from_mapping(HubFile, each, str(path)) for each in content["files"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SpecError):
        return None
    return Revision(repository, revision, commit, files)
