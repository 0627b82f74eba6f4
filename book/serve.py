"""Show drafts of the pages to this machine only, and again whenever a page changes: `make serve`.

    python book/serve.py .cache/draft/html 8000 book/executed book/index.md ...

What follows the port is watched. After a change the pages that it touches are written again by book/draft.py, and every
open page loads itself anew: it hears of it by Server-Sent Events. A chapter isn't executed here: `make chapter NN=04`
in another terminal does that, and what it leaves in book/executed is a change. A port that can't be had is one line.
"""

import contextlib
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "127.0.0.1"
CHANGES = "/-/changes"
LISTEN = '<script>new EventSource("%s?%d").onmessage = () => location.reload();</script></body>'
LOOK_EVERY = 0.5  # seconds
STILL_THERE_EVERY = 15.0  # seconds; a page that was closed is noticed when it is written to


class Changes:
    """The number of changes so far, which pages wait on."""

    def __init__(self):
        self.count = 0
        self._changed = threading.Condition()

    def announce(self) -> None:
        """Count one more and wake who waits."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Return the count as soon as it isn't `seen`, or after some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, seconds)
            return self.count


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, never kept by the browser; pages listen for changes."""

    changes: Changes

    def __init__(self, *arguments, changes: Changes, **named):
        self.changes = changes
        super().__init__(*arguments, **named)

    def do_GET(self) -> None:
        """Send a page, a file, or the changes as they come."""
        path = Path(self.translate_path(self.path))
        page = path / "index.html" if path.is_dir() and self.path.endswith("/") else path
        address, _, seen = self.path.partition("?")
        if address == CHANGES:
            self.send_changes(int(seen) if seen.isdigit() else self.changes.count)
        elif page.suffix == ".html" and page.is_file():
            listen = LISTEN % (CHANGES, self.changes.count)
            self.begin("text/html; charset=utf-8")
            self.wfile.write(page.read_bytes().replace(b"</body>", listen.encode()))
        else:
            super().do_GET()

    def begin(self, kind: str) -> None:
        """Send the head of an answer whose length isn't told."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def send_changes(self, seen: int) -> None:
        """Send an event for each change that a page hasn't seen, until it is closed."""
        self.begin("text/event-stream")
        with contextlib.suppress(ConnectionError):
            while True:
                now = self.changes.wait(seen, STILL_THERE_EVERY)
                self.wfile.write(b": still there\n\n" if now == seen else f"data: {now}\n\n".encode())
                self.wfile.flush()
                seen = now

    def end_headers(self) -> None:
        """Tell the browser to keep nothing."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_request(self, code="-", size="-") -> None:
        """Say nothing of requests that were answered; errors are still said."""


def is_source(parts: tuple[str, ...]) -> bool:
    """Tell whether a file, by its path inside a watched folder, is one that pages are made of."""
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return not hidden and not parts[-1].endswith(".failed.ipynb")


def times(watched: list[Path]) -> dict[Path, int]:
    """Return by file when it was last written, of the files and of all in the folders that are watched."""
    files = [path for path in watched if not path.is_dir()]
    for top in filter(Path.is_dir, watched):
        files += [path for path in top.rglob("*") if is_source(path.relative_to(top).parts)]
    found = {}
    for file in files:
        with contextlib.suppress(OSError):  # it went away in between
            if file.is_file():
                found[file] = file.stat().st_mtime_ns
    return found


def pages_of(changed: set[Path]) -> list[str]:
    """Return the pages to write after a change; none stands for all, which a style or the table of contents touches."""
    executed = [f"executed/{path.stem}" for path in changed if path.match("executed/*.ipynb")]
    written = [path.stem for path in changed if path.match("book/*.md")]
    every = any(not path.exists() for path in changed) or len(executed + written) < len(changed)
    return [] if every else sorted(executed + written)


def changes_of(watched: list[Path]) -> Iterator[set[Path]]:
    """Yield for ever the files that were written, made or removed since the last look, once that is over."""
    before = times(watched)
    while True:
        time.sleep(LOOK_EVERY)
        after = times(watched)
        if after == before:
            continue
        while (later := times(watched)) != after:  # an editor saves in several steps
            after = later
            time.sleep(LOOK_EVERY)
        yield {path for path, _ in before.items() ^ after.items()}
        before = after


def write_drafts(names: list[str]) -> None:
    """Write pages in a process of its own: Sphinx keeps no state between two, and our extensions may have changed."""
    subprocess.run([sys.executable, Path(__file__).with_name("draft.py"), *names], check=False)


def serve(folder: str, port: str, *watched: str) -> None:
    """Serve a folder until a person ends it. Raises SystemExit with one line for a port that can't be had."""
    changes = Changes()
    try:
        answer = functools.partial(Handler, directory=folder, changes=changes)
        server = ThreadingHTTPServer((HOST, int(port)), answer)
    except (OSError, OverflowError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        sys.exit(f"PORT is {port} ({reason}); accepted: the number of a port that is free, 1024 to 65535")
    print(f"http://{HOST}:{server.server_port}", flush=True)
    with server, contextlib.suppress(KeyboardInterrupt):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for changed in changes_of([Path(each) for each in watched]):
            write_drafts(pages_of(changed))
            changes.announce()


if __name__ == "__main__":
    serve(*sys.argv[1:])
