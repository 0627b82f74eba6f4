"""Held-out documents, read from an installed package, the cache or a wheel, and verified by hash."""

import contextlib
import hashlib
import importlib.metadata
import logging
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from helpers.measure.text.corpus_lock import CACHE, CorpusLock, HeldoutFile, Wheel
from helpers.table.corpus import LOCK
from helpers.table.disk import write_atomically
from helpers.table.errors import CorpusError

log = logging.getLogger(__name__)

MOST_TEXT = 2**30  # bytes of a wheel's sources and descriptions together; the most in the locked wheels is 49 MB
MOST_DOCUMENT = 2**26  # bytes of one of them; more than 1 MB isn't trained on


def document_in(path: str, content: bytes) -> bytes:
    """Return the document that a wheel's file holds: all of it, or of METADATA the description after the headers.

    Some descriptions have Windows line ends, which neither the sources nor other descriptions have.
    """
    if not path.endswith(".dist-info/METADATA"):
        return content
    return content.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def read_heldout(file: HeldoutFile, cache: Path = CACHE) -> bytes:
    """Return a held-out document's bytes, from the cache (named by content), the installed package or a wheel.

    An installed file that differs from the locked one is used as it is where no downloaded wheel has that one, with a
    warning: the evaluation then has another hash, and its rows never mix with others. Raises CorpusError when the
    document is nowhere, or in the cache with another content than its name says.
    """
    cached = cache / "heldout" / file.sha256
    if cached.exists():
        content = cached.read_bytes()
        if not _is_locked(file, content):
            raise CorpusError(f"{cached}: sha256 of the content differs from the name; remove the file and rerun")
        return content
    version, installed = _installed(file)
    if installed is not None and _is_locked(file, installed):
        return installed
    downloaded = _downloaded(file, cache / "wheels")
    if downloaded is not None:
        return downloaded
    if version is None:
        missing = f"{file.package} {file.version} isn't installed; it holds the held-out {file.path}"
        raise CorpusError(f"{missing}; `make corpus` downloads it")
    if installed is None:
        missing = f"{file.package} {version} lacks {file.path}, held out of {file.version}"
        raise CorpusError(f"{missing}; `make corpus` downloads that")
    log.warning(
        "held-out text differs from the locked one: %s of %s %s (locked: %s); rows get another evaluation hash",
        file.path,
        file.package,
        version,
        file.version,
    )
    return installed


def keep_heldout(lock: CorpusLock, cache: Path = CACHE) -> int:
    """Copy every held-out document into the cache, where a machine without these packages can read it; return how many.

    Raises CorpusError for one that is nowhere or isn't the locked one.
    """
    files = (*lock.evaluation, *lock.calibration, *lock.unseen, *lock.prose)
    for file in files:
        content = read_heldout(file, cache)
        if not _is_locked(file, content):
            raise CorpusError(f"{file.package} {file.path}: installed in another version than {file.version}")
        path = cache / "heldout" / file.sha256
        if not path.exists():
            write_atomically(path, content)
    return len(files)


def _is_locked(file: HeldoutFile, document: bytes) -> bool:
    return hashlib.sha256(document).hexdigest() == file.sha256


def _installed(file: HeldoutFile) -> tuple[str | None, bytes | None]:
    """Return the installed version of a document's package and the document in it, None for what is missing."""
    try:
        distribution = importlib.metadata.distribution(file.package)
    except importlib.metadata.PackageNotFoundError:
        return None, None
    try:
        content = Path(str(distribution.locate_file(file.path))).read_bytes()
    except OSError:
        return distribution.version, None
    return distribution.version, document_in(file.path, content)


def _downloaded(file: HeldoutFile, folder: Path) -> bytes | None:
    """Return the locked document from a wheel of its package and version in `folder`, or None."""
    for path in folder.glob(f"*-{file.version}-*.whl"):
        if _normalized(path.name.partition("-")[0]) != _normalized(file.package):
            continue
        with opened_wheel(path) as archive:
            if file.path in archive.namelist():
                document = document_in(file.path, archive.read(file.path))
                if _is_locked(file, document):
                    return document
    return None


def _normalized(package: str) -> str:
    """Return a package's name as wheels are compared: `Sphinx_Design` and `sphinx-design` are the same."""
    return re.sub("[-_.]+", "-", package).lower()


@contextlib.contextmanager
def opened_wheel(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a wheel to read texts from. Raises CorpusError when it is damaged or they unpack to more than the limits.

    zipfile reads no more of a file than its directory says, so what that says is what is limited.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            texts = [info for info in archive.infolist() if info.filename.endswith((".py", ".dist-info/METADATA"))]
            n_bytes, longest = sum(info.file_size for info in texts), max((info.file_size for info in texts), default=0)
            if n_bytes > MOST_TEXT or longest > MOST_DOCUMENT:
                found = f"unpacks to {n_bytes:,} bytes of text, {longest:,} in one file"
                raise CorpusError(f"{path}: {found}; accepted: {MOST_TEXT:,}, {MOST_DOCUMENT:,} in one file")
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise CorpusError(f"{path}: not a whole wheel ({error})") from None


def wheel_documents(wheel: Wheel, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of every Python source in a wheel, in the order of their paths.

    Raises CorpusError when the wheel is missing, isn't the locked one or unpacks to too much.
    """
    path = folder / wheel.filename
    if not path.exists():
        raise CorpusError(f"{path}: missing; `make corpus` downloads the wheels that {LOCK} names")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != wheel.sha256:
            raise CorpusError(f"{path}: sha256 differs from {LOCK}")
    with opened_wheel(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".py"):
                yield name, archive.read(name)
