"""What is written to disk: a file whole or not at all, under a lock, with nothing left behind by a kill.

Everything is done to the real path: a link stays a link, and a folder reached in two ways has one lock.
"""

import contextlib
import ctypes
import errno
import fnmatch
import glob
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from helpers.table.errors import ResultsError

PATIENCE_SECONDS = 60.0  # for a lock that others hold while they read and write again
UNFINISHED = re.compile(r"\.(?P<name>.+?)(\.[0-9a-f]{8})?\.unfinished")  # version 0.1.0 wrote no digits
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {*NO_ROOM, errno.EACCES, errno.EROFS}
RUST = re.compile(r"\(os error (\d+)\)")  # how libraries in Rust, safetensors among them, say what the disk refused


@contextlib.contextmanager
def refusals_named(path: Path) -> Iterator[None]:
    """Let what the disk refuses while `path` is written end in one line. Raises ResultsError."""
    try:
        yield
    except Exception as error:
        found = RUST.search(str(error))
        if not isinstance(error, OSError) and found is None:
            raise
        number = int(found[1]) if found else getattr(error, "errno", None)
        reason = str(error).partition("\n")[0] if number is None else os.strerror(number)
        # numpy's errors have no number: they come of a short write
        advice = "free space" if number in {*NO_ROOM, None} else "mend that"
        raise ResultsError(f"{path}: can't be written ({reason}); nothing was lost, {advice} and rerun") from None


def is_refusal(error: Exception) -> bool:
    """Tell whether an error is a full or unwritable disk's, among those that a network raises too."""
    found = RUST.search(str(error))
    number = int(found[1]) if found else getattr(error, "errno", None)
    return number in REFUSED


def unfinished_name(path: Path) -> Path:
    """Return a name beside `path`, not used by anyone, for what will be renamed to it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give an empty file to write into and put it in the place of `path` at the end: the old one stays, or the new one.

    A link stays a link, and a file keeps its mode; a new one has what the umask says. Raises ResultsError when the disk
    refuses, here or in the caller's block.
    """
    with refusals_named(path):
        real = Path(os.path.realpath(path))
        real.parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(real.stat().st_mode) if real.exists() else None
        partial = unfinished_name(real)
        try:
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if mode is None else mode))
            yield partial
            if mode is not None:
                partial.chmod(mode)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, real)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a kill or a full disk leaves the old file or the new one, never a part.

    Raises ResultsError when the disk refuses.
    """
    with replacing(path) as partial:
        partial.write_bytes(content)


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a neighbouring folder to write into and rename it to `out`, which isn't there then, at the end.

    An error leaves neither. Raises ResultsError when the disk refuses the folder; what is written into it is the
    caller's.
    """
    with _folder_beside(out, Path.rename) as unfinished:
        yield unfinished


@contextlib.contextmanager
def replacing_folder(out: Path) -> Iterator[Path]:
    """Give a neighbouring folder to write into and put it in the place of `out` at the end.

    A kill leaves the old one or the new one, an error the old one. Raises ResultsError when the disk refuses the
    folder; what is written into it is the caller's.
    """
    with _folder_beside(out, put_in_place) as unfinished:
        yield unfinished


@contextlib.contextmanager
def _folder_beside(out: Path, put: Callable[[Path, Path], object]) -> Iterator[Path]:
    real = Path(os.path.realpath(out))
    unfinished = unfinished_name(real)
    try:
        with refusals_named(out):
            unfinished.mkdir(parents=True)
        yield unfinished
        with refusals_named(out):
            for path in filter(Path.is_file, unfinished.rglob("*")):
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            put(unfinished, real)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def put_in_place(new: Path, out: Path) -> None:
    """Rename the folder `new` to `out`, in one file system, and remove what was there: a kill leaves one of the two.

    Where the system can't exchange two names at once (macOS), a kill between two renamings leaves the old folder under
    a name that ends in .unfinished. Raises ResultsError when the disk refuses.
    """
    with refusals_named(out):
        real = Path(os.path.realpath(out))
        if not os.path.lexists(real):
            new.rename(real)
        elif _exchanged(new, real):
            shutil.rmtree(new, ignore_errors=True)
        else:
            old = unfinished_name(real)
            real.rename(old)
            try:
                new.rename(real)
            except OSError:
                old.rename(real)
                raise
            shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Give each of two paths the other's name in one step, and tell whether this system and file system can."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    here, both_stay = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    return exchange is not None and exchange(here, os.fsencode(one), here, os.fsencode(other), both_stay) == 0


def clear_unfinished(folder: Path, name: str) -> None:
    """Remove what killed writers left in a folder of the files whose names match `name`, such as *.json.

    Only who holds the lock of what they write may call it: a living writer's would go as well.
    """
    for path in Path(os.path.realpath(folder)).glob(".*.unfinished"):
        found = UNFINISHED.fullmatch(path.name)
        if found and fnmatch.fnmatchcase(found["name"], name):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def refuse_unwritable(path: Path, n_bytes: int = 1) -> None:
    """Raise ResultsError where a file or folder `path` of `n_bytes` couldn't be written; nothing is left there.

    It is for the beginning of long work. `path` need not exist, nor the folder that it will lie in.
    """
    with refusals_named(path):
        real = Path(os.path.realpath(path))
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            unfinished_name(real).lstat()  # raises for a name that is too long
        place = next(parent for parent in real.parents if os.path.lexists(parent))
        with tempfile.TemporaryFile(dir=place) as probe:  # it has no name, so a kill leaves none
            probe.write(b"\0")
            probe.flush()
            os.fsync(probe.fileno())
        if shutil.disk_usage(place).free < n_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def exclusive(path: Path, wait_seconds: float = 0.0, doing: str = "measuring into") -> Iterator[None]:
    """Hold a file or folder that is written against a second process, and clear what a killed writer left of it.

    The lock ends with the process, however it ends. Raises ResultsError, after `wait_seconds`, when another process
    holds it, in whose message `doing` says what that one does.
    """
    real = Path(os.path.realpath(path))
    lock = FileLock(f"{real}.lock", timeout=wait_seconds)
    try:
        with refusals_named(path):
            real.parent.mkdir(parents=True, exist_ok=True)
            with _timeout_apart(path, doing):
                lock.acquire()
    except NotImplementedError:
        raise ResultsError(f"{path}: can't be locked; accepted: a file system with locks") from None
    try:
        clear_unfinished(real.parent, glob.escape(real.name))
        yield
    finally:
        with contextlib.suppress(OSError):  # still held: who waits for this file finds it gone and makes another
            os.unlink(lock.lock_file)
        lock.release()


def clear_after_kill(path: Path) -> None:
    """Clear what a killed writer left of a file that is whole: its lock lies there still, and is waited for if alive.

    Where the disk refuses, or a writer takes long, nothing is done: the file is read as it is.
    """
    if Path(f"{os.path.realpath(path)}.lock").exists():
        with contextlib.suppress(ResultsError), exclusive(path, PATIENCE_SECONDS):
            pass


@contextlib.contextmanager
def _timeout_apart(path: Path, doing: str) -> Iterator[None]:
    """Name the other process where a lock is held: filelock's Timeout is an OSError as well."""
    try:
        yield
    except Timeout:
        raise ResultsError(f"{path}: another process is {doing} it; wait for it or end it") from None
