"""Files of data sets on the Hub as texts, by their address, always of one commit: Parquet, or JSON lines in gzip.

The address is the one that huggingface_hub's own file system has: a data set's parts and splits are folders and files
of its repository, so a file and a commit say more than their names would, and no loading script is ever run. What isn't
stored as Parquet the Hub converts in the branch `refs/convert/parquet`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import huggingface_hub
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from helpers.table.errors import CorpusError, SpecError
from helpers.table.words import shown

SCHEME = "hf://"
KIND = "dataset"  # of a repository
COLUMN = "text"  # where an address names none
FORM = "hf://datasets/OWNER/NAME@COMMIT/FILE.parquet#COLUMN"
ADDRESS = re.compile(
    r"hf://datasets/(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[^/#@]+))?(/(?P<file>[^#]*))?(#(?P<column>.+))?"
)
COMMIT = re.compile(r"[0-9a-f]{40}")
PARQUET, JSON_LINES = ".parquet", ".json.gz"
SUFFIXES = (PARQUET, JSON_LINES)
MOST_LISTED = 5


@dataclass(frozen=True)
class HubText:
    """A column of texts in a file of a data set's commit; a row or a line is a document."""

    repository: str
    commit: str
    file: str
    column: str

    def __str__(self) -> str:
        """Return the address, which is the text's name in rows."""
        return f"hf://datasets/{self.repository}@{self.commit}/{self.file}#{self.column}"


def hub_text(address: str) -> HubText:
    """Return the text that an address names, of the column `COLUMN` where it names none.

    Raises SpecError for another form, and where a commit or a file is lacking: with the newest commit, or the files
    of that one, where the Hub says them.
    """
    parts = ADDRESS.fullmatch(address)
    if parts is None or not address.isprintable():  # it is a name in rows, tables and pages
        raise SpecError(f"{shown(address)}: accepted of the Hub: {FORM}")
    repository, revision, file = parts["repository"], unquote(parts["revision"] or ""), parts["file"] or ""
    if not COMMIT.fullmatch(revision):
        asked = f"'{revision}' isn't a commit" if revision else "no commit"
        raise SpecError(f"{address}: {asked}; accepted: {FORM}{_newest(repository, revision or None)}")
    if not file.endswith(SUFFIXES) or {*file.split("/")} & {"", ".", ".."}:
        raise SpecError(f"{address}: no {' or '.join(SUFFIXES)} file; accepted: {FORM}{_listed(repository, revision)}")
    return HubText(repository, revision, file, parts["column"] or COLUMN)


def downloaded(text: HubText) -> Path:
    """Return the file of a text in the local cache, downloaded if need be. Raises CorpusError where it can't be had."""
    try:
        return Path(huggingface_hub.hf_hub_download(text.repository, text.file, repo_type=KIND, revision=text.commit))
    except LocalEntryNotFoundError:
        raise CorpusError(f"{text}: not in the local cache, and the Hub can't be reached") from None
    except EntryNotFoundError:
        raise CorpusError(f"{text}: no such file{_listed(text.repository, text.commit)}") from None
    except Exception as error:  # of HTTP, of its client, of a page in place of JSON: they have no base in common
        raise CorpusError(f"{text}: {' '.join(str(error).split()) or type(error).__name__}") from None


def _newest(repository: str, revision: str | None) -> str:
    """Return the end of a message: which commit a branch or tag, by default the newest, is; or that it isn't known."""
    try:
        commit = huggingface_hub.HfApi().dataset_info(repository, revision=revision).sha
    except Exception as error:  # as of a download
        return f" (the Hub doesn't say which commit: {_first_sentence(error)})"
    return f" ({revision or 'the newest'} is {commit} now)"


def _listed(repository: str, commit: str) -> str:
    """Return the end of a message: which files of texts a commit has, or nothing where the Hub doesn't say."""
    try:
        names = huggingface_hub.HfApi().list_repo_files(repository, repo_type=KIND, revision=commit)
    except Exception:  # as of a download; the message stands without
        return ""
    files = sorted(name for name in names if name.endswith(SUFFIXES))
    if not files:
        return " (that commit has none; look at @refs%2Fconvert%2Fparquet)"
    more = f" and {len(files) - MOST_LISTED} more" if len(files) > MOST_LISTED else ""
    return f" (there: {', '.join(files[:MOST_LISTED])}{more})"


def _first_sentence(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:120]
