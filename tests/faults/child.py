"""What runs in a child process: one `qid` command on a disk that refuses a call, or that is killed at one."""

import builtins
import contextlib
import errno
import io
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from transformers import GPTNeoXForCausalLM  # noqa: F401 - imported once, before the fork

from helpers import cli
from helpers.measure.mixed import budgets  # noqa: F401
from helpers.measure.models.gguf import gguf_files
from helpers.measure.packing import export  # noqa: F401
from helpers.measure.sweep import one_model_run, run, search_run  # noqa: F401
from helpers.measure.training import corpus, trainer  # noqa: F401

ROOT = Path(__file__).parents[2]
CALLS = ("mkdir", "open", "write", "fsync", "rename")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
READ_ONLY = OSError(errno.EROFS, os.strerror(errno.EROFS))
RUST_FULL = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@dataclass(frozen=True)
class Fault:
    """What happens at the call of that number (from 1) below the watched folder; call "any" counts all of them."""

    kind: str  # refuse: ENOSPC; kill: SIGKILL just before it; read-only: EROFS from it on
    call: str
    number: int


@dataclass(frozen=True)
class Request:
    """A `qid` command, the folder whose calls are watched, where its words go, what goes wrong, what is done before."""

    arguments: tuple[str, ...]
    watched: Path
    corpus: Path
    said: Path
    fault: Fault | None = None
    before: Callable[[], None] | None = None


class Watch:
    """Counts the calls that change the watched folder, and lets one of them fail."""

    def __init__(self, request: Request) -> None:
        self.watched, self.fault, self.note = os.path.realpath(request.watched), request.fault, request.said
        self.counts: Counter[str] = Counter()
        self.open = os.open
        self.error = READ_ONLY if request.fault and request.fault.kind == "read-only" else FULL

    def meets(self, call: str, path: object) -> bool:
        """Count a call on `path`; return whether it is the one that is refused. A kill doesn't return."""
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        if call == "mkdir" and os.path.isdir(path):  # no disk refuses a folder that is there, it says that it is
            return False
        if not f"{os.path.abspath(os.fspath(path))}/".startswith(f"{self.watched}/"):
            return False
        self.counts.update([call, "any"])
        fault = self.fault
        if fault is None or fault.call not in (call, "any"):
            return False
        number = self.counts[fault.call]
        if number < fault.number or (number > fault.number and fault.kind != "read-only"):
            return False
        noted = self.open(f"{self.note}.fired", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.write(noted, f"{call} {path}\n".encode())
        os.close(noted)
        if fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    def refusing(self, call: str, real: Callable) -> Callable:
        """Return a function of the module `os` that fails when its turn has come."""

        def maybe(path, *arguments, **options):
            folder = options.get("dir_fd")
            if self.meets(call, path if folder is None else f"{os.readlink(f'/proc/self/fd/{folder}')}/{path}"):
                raise self.error
            return real(path, *arguments, **options)

        return maybe

    def opening(self, path, mode="r", *arguments, **options):
        """Stand for `open`: refused, or opened on a device that is always full; an opener comes to `os.open` itself."""
        if isinstance(path, int) or "opener" in options or not set(mode) & set("wxa+"):
            return REAL_OPEN(path, mode, *arguments, **options)
        if self.meets("open", path):
            raise self.error
        if self.meets("write", path):
            REAL_OPEN(path, mode, *arguments, **options).close()
            return REAL_OPEN("/dev/full", mode.replace("x", "w"), *arguments, **options)
        return REAL_OPEN(path, mode, *arguments, **options)

    def opening_low(self, path, flags, *arguments, **options):
        """Stand for `os.open`."""
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        nameless = flags & os.O_TMPFILE == os.O_TMPFILE  # tempfile makes a named one where it is refused this
        if writes and not nameless and self.meets("open", path):
            raise self.error
        return self.open(path, flags, *arguments, **options)

    def serializing(self, tensors, path, *arguments, **options):
        """Stand for the part of safetensors that is in Rust and writes a file."""
        if self.meets("open", path) or self.meets("write", path):
            raise RUST_FULL
        return REAL_SERIALIZE(tensors, path, *arguments, **options)

    def install(self) -> None:
        """Put the stand-ins where Python's own modules look for the calls."""
        for call, names in (
            ("mkdir", ["mkdir"]),
            ("fsync", ["fsync"]),
            ("rename", ["rename", "replace"]),
            ("remove", ["unlink", "remove", "rmdir"]),  # no full disk refuses it: not one of `CALLS`
        ):
            for name in names:
                setattr(os, name, self.refusing(call, getattr(os, name)))
        os.open = self.opening_low
        builtins.open = io.open = self.opening
        safetensors.torch.serialize_file = self.serializing


REAL_OPEN, REAL_SERIALIZE = io.open, safetensors.torch.serialize_file


def perform(request: Request) -> None:
    """Run the command; its words go to `said`, the number of calls of each kind to `said`.calls."""
    os.chdir(ROOT)
    words = os.open(request.said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(words, 1)
    os.dup2(words, 2)
    torch.set_num_threads(1)
    corpus.training_tokens.__defaults__ = (request.corpus,)
    gguf_files.CACHE = request.watched / "gguf"
    if request.before is not None:
        request.before()
    watch = Watch(request)
    watch.install()
    sys.argv = ["qid", *request.arguments]
    try:
        cli.run()
    finally:
        with contextlib.suppress(OSError):
            Path(f"{request.said}.calls").write_text(json.dumps(watch.counts))
