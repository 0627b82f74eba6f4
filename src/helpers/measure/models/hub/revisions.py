"""A revision of a Hub repository: its commit, its files with sizes and hashes, in one request, no file downloaded."""

import re
from dataclasses import dataclass
from urllib.parse import quote

import httpx
from huggingface_hub import ModelInfo, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # they are, lazily
    build_hf_headers,
    hf_raise_for_status,
    http_backoff,
)

from helpers.table.errors import CheckpointError
from helpers.table.records import given

TOO_MANY = 429  # requests
ANSWER_SECONDS = 60.0  # for one answer; what fails on the way is asked for again
COMMIT, HASH = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{40}([0-9a-f]{24})?")  # they become names of files
# What keeps a revision from being used; UNREACHABLE says nothing of the revision
NO_REVISION, NO_REPOSITORY, GATED = "no such revision", "no such repository, or a private one", "gated"
UNREACHABLE, UNUSABLE = "the Hub can't be reached", "can't be used"
REFUSALS = {RevisionNotFoundError: NO_REVISION, GatedRepoError: GATED, RepositoryNotFoundError: NO_REPOSITORY}


class HubError(CheckpointError):
    """A revision that can't be had; `standing` says in the words above what keeps it."""

    def __init__(self, message: str, standing: str = UNUSABLE) -> None:
        super().__init__(message)
        self.standing = standing


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: its size in bytes, git's hash of it and, for a large file, its SHA-256.

    Of a large file git keeps a pointer, and `git_sha1` is that one's. None stands for what the Hub doesn't say.
    """

    name: str
    n_bytes: int | None = None
    git_sha1: str | None = None
    sha256: str | None = None

    @property
    def address(self) -> str | None:
        """Return the hash that stands for its content; None where the Hub says none."""
        return self.sha256 or self.git_sha1


@dataclass(frozen=True)
class Revision:
    """A revision of a repository as it was asked for, the commit that it was then, and the files of that commit."""

    repository: str
    revision: str
    commit: str
    files: tuple[HubFile, ...]

    @property
    def label(self) -> str:
        """Return its name in messages."""
        return f"{self.repository} at {self.revision}"

    def file(self, name: str) -> HubFile | None:
        """Return the file of that name; None where there is none."""
        return next((file for file in self.files if file.name == name), None)


def ask(repository: str, revision: str) -> Revision:
    """Return what the Hub says of a revision now. Raises HubError.

    What a busy Hub refuses for a while (429, with its Retry-After, and 5xx) and what breaks on the way is asked for
    again, as huggingface_hub does for downloads.
    """
    url = f"{constants.ENDPOINT}/api/models/{repository}/revision/{quote(revision, safe='')}"
    try:
        answer = http_backoff("GET", url, params={"blobs": "true"}, headers=build_hf_headers(), timeout=ANSWER_SECONDS)
        hf_raise_for_status(answer)
        said = ModelInfo(**answer.json())  # type: ignore[no-untyped-call]  # it has no types
        if not COMMIT.fullmatch(said.sha or ""):
            raise ValueError("an answer without a commit")
        if said.gated:  # the listing is everybody's, the files aren't
            get_hf_file_metadata(hf_hub_url(repository, "config.json", revision=said.sha))
        return Revision(repository, revision, given(said.sha), tuple(map(_file, said.siblings or ())))
    except Exception as error:
        raise refusal(error, f"{repository} at {revision}") from None


def _file(listed: RepoSibling) -> HubFile:
    git, large = listed.blob_id, listed.lfs
    n_bytes, sha256 = (listed.size, None) if large is None else (large.size, large.sha256)
    for value in (git, sha256):
        if value is not None and not HASH.fullmatch(value):
            raise ValueError(f"{listed.rfilename}: {value!r:.80} as a hash")
    return HubFile(listed.rfilename, n_bytes, git, sha256)


def refusal(error: Exception, label: str) -> HubError:
    """Return what an error of HTTP, of its client, or of a page in place of JSON means: they have no base in common.

    A Hub that stays busy or broken (429, 5xx) can't be reached, whatever is asked of it.
    """
    if isinstance(error, HubError):
        return error
    if isinstance(error, (OfflineModeIsEnabled, LocalEntryNotFoundError, httpx.TransportError)):
        return HubError(f"{label}: not in the local cache, and the Hub can't be reached", UNREACHABLE)
    if isinstance(error, HfHubHTTPError) and (error.response.status_code == TOO_MANY or error.response.is_server_error):
        return HubError(f"{label}: {UNREACHABLE} (it answers {error.response.status_code})", UNREACHABLE)
    standing = next((words for kind, words in REFUSALS.items() if isinstance(error, kind)), UNUSABLE)
    said = " ".join(str(error).split())  # all of it: the Hub's first line is a status, its reason is the last one
    return HubError(f"{label}: {said or type(error).__name__}", standing)
