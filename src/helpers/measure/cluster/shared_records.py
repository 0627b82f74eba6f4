"""Records that several machines write: in a folder that they share or, without one, in an object store.

An object is there as a whole or not at all, so a record is complete or absent there as in a folder. The store's own
settings come from where pyarrow reads them: keys for S3 from the variables AWS_* or ~/.aws, region and endpoint from
the URL (`s3://BUCKET/FOLDER?region=eu-north-1&endpoint_override=HOST:PORT&scheme=http`).
"""

import contextlib
import functools
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from helpers.table.disk import write_atomically
from helpers.table.errors import ResultsError, SpecError
from helpers.table.files import done_ids, record_content, record_name, write_record
from helpers.table.rows import Measurement

SCHEMES = ("s3", "gs", "abfs", "abfss")


@dataclass(frozen=True)
class FolderRecords:
    """The records in a folder that every worker has, a file a measurement."""

    folder: Path

    def write(self, row: Measurement) -> None:
        """Put one measurement's record there. Raises ResultsError when the disk refuses."""
        write_record(row, self.folder)

    def done_ids(self) -> set[str]:
        """Return the ids of the measurements there."""
        return done_ids(self.folder)


@dataclass(frozen=True)
class SharedRecords:
    """The records below one URL of an object store, an object a measurement. Raises SpecError for another URL."""

    url: str

    def __post_init__(self) -> None:
        scheme, _, rest = self.url.partition("://")
        if scheme not in SCHEMES or not rest.strip("/"):
            accepted = ", ".join(f"{name}://BUCKET/FOLDER" for name in SCHEMES)
            raise SpecError(f"records at '{self.url}'; accepted: {accepted}; a shared folder is for --records")
        try:
            _opened(self.url)
        except (pa.ArrowException, OSError) as error:
            raise SpecError(f"records at '{self.url}'; {_said(error)}") from None

    def write(self, row: Measurement) -> None:
        """Put one measurement's record there. Raises ResultsError when the store refuses."""
        self._put(record_name(row.measurement_id), record_content(row))

    def done_ids(self) -> set[str]:
        """Return the ids of the measurements there. Raises ResultsError when the store refuses."""
        with self._refusals_named("read"):
            files, root = _opened(self.url)
            listed = files.get_file_info(fs.FileSelector(root, allow_not_found=True))
        return {Path(each.path).stem for each in listed if each.extension == "json"}

    def refuse_unwritable(self) -> None:
        """Raise ResultsError where no record could be written, before any work; nothing is left there."""
        name = f".{socket.gethostname()}.unfinished"
        self._put(name, b"\0")
        with self._refusals_named("written"):
            files, root = _opened(self.url)
            files.delete_file(f"{root}/{name}")

    def bring(self, folder: Path, known: Collection[str]) -> set[str]:
        """Copy the records whose ids aren't `known` into a folder; return the ids of all that are there.

        Raises ResultsError when the store or the disk refuses.
        """
        ids = self.done_ids()
        for name in map(record_name, sorted(ids.difference(known))):
            with self._refusals_named("read"):
                files, root = _opened(self.url)
                with files.open_input_stream(f"{root}/{name}") as stream:
                    content = stream.read()
            write_atomically(folder / name, content)
        return ids

    def _put(self, name: str, content: bytes) -> None:
        with self._refusals_named("written"):
            files, root = _opened(self.url)
            with files.open_output_stream(f"{root}/{name}") as stream:
                stream.write(content)

    @contextlib.contextmanager
    def _refusals_named(self, done: str) -> Iterator[None]:
        """Let what a store refuses end in one line. Raises ResultsError."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            message = f"{self.url}: can't be {done} ({_said(error)}); nothing was lost, mend that and rerun"
            raise ResultsError(message) from None


@functools.lru_cache(maxsize=8)
def _opened(url: str) -> tuple[fs.FileSystem, str]:
    """Return a store, once a process, and the path of a URL there."""
    files, root = fs.FileSystem.from_uri(url)
    return files, root.rstrip("/")


def _said(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
