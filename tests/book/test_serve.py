"""Pages that are served while they are written: to this machine only, and loaded again after a change."""

import os
import queue
import re
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import serve

ROOT = Path(__file__).parents[2]


def served(folder: Path, port: object, *watched: Path) -> subprocess.Popen:
    command = [sys.executable, ROOT / "book/serve.py", folder, str(port), *watched]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "index.html").write_text("<html><body>page</body></html>")
    (tmp_path / "data.json").write_text("{}")
    return tmp_path


@pytest.fixture
def address(site):
    server = served(site, 0, site / "data.json")
    yield server.stdout.readline().strip()
    server.terminate()
    server.communicate()


def get(address: str) -> tuple[bytes, dict]:
    with urllib.request.urlopen(address, timeout=120) as answer:
        return answer.read(), dict(answer.headers)


def test_files_are_served_as_they_are_to_this_machine_only_and_a_taken_port_is_one_line(site, address):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    body, headers = get(f"{address}/data.json")
    assert (body, headers["Cache-Control"]) == (b"{}", "no-store")
    second = served(site, address.rpartition(":")[2])
    assert second.communicate()[1].endswith(
        "(Address already in use); accepted: the number of a port that is free, 1024 to 65535\n"
    )


@pytest.mark.parametrize("name", ["", "index.html"])
def test_a_page_listens_for_changes_since_it_was_sent(address, name):
    body, _ = get(f"{address}/{name}")
    assert body.startswith(b"<html><body>page<script>")
    assert b'EventSource("/-/changes?0")' in body


@pytest.mark.parametrize("port", ["abc", "", "-1", "70000", "1e3"])
def test_a_port_that_is_none_is_one_line(site, port):
    server = served(site, port)
    said = server.communicate()[1]
    assert (server.returncode, said.count("\n")) == (1, 1)
    assert said.startswith(f"PORT is {port} (")


def test_a_page_hears_of_a_change_that_it_has_not_seen_at_once_and_of_a_later_one_when_it_comes():
    changes = serve.Changes()
    assert changes.wait(0, seconds=0.01) == 0
    changes.announce()
    started = time.monotonic()
    assert changes.wait(0, seconds=60) == 1
    assert time.monotonic() - started < 30


def test_a_change_of_a_page_writes_its_draft_and_then_open_pages_hear_of_it(site, monkeypatch):
    page, asked, taken = site / "book" / "glossary.md", [], threading.Event()
    page.parent.mkdir()
    page.write_text("before")
    monkeypatch.setattr(serve, "write_drafts", asked.append)
    monkeypatch.setattr(serve, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(serve, "changes_of", lambda watched: (taken.wait(20) and {page} for _ in range(1)))
    printed = queue.Queue()
    monkeypatch.setattr("builtins.print", lambda text, **_: printed.put(text))
    threading.Thread(target=serve.serve, args=(str(site), "0", str(page)), daemon=True).start()
    with urllib.request.urlopen(f"{printed.get(timeout=120)}/-/changes?0", timeout=120) as events:
        assert events.headers["Content-Type"] == "text/event-stream"
        taken.set()
        assert events.readline() == b"data: 1\n"
    assert asked == [["glossary"]]


def test_files_that_are_written_made_or_removed_are_seen_once_each(tmp_path, monkeypatch):
    kept, removed, made = (tmp_path / name for name in ("kept.md", "removed.md", "made.md"))
    kept.write_text("before")
    removed.write_text("before")
    steps = iter([lambda: None, lambda: (os.utime(kept, (1, 1)), removed.unlink(), made.write_text("new"))])
    monkeypatch.setattr(serve.time, "sleep", lambda seconds: next(steps)())
    looks = serve.changes_of([tmp_path])
    assert next(looks) == {kept, removed, made}
    with pytest.raises(RuntimeError):  # no step is left: nothing else was a change
        next(looks)


@pytest.mark.parametrize(
    ("changed", "pages"),
    [
        (["book/executed/04-degradation.ipynb"], ["executed/04-degradation"]),
        (["book/glossary.md", "book/executed/04-degradation.ipynb"], ["executed/04-degradation", "glossary"]),
        (["book/glossary.md", "book/_static/book.css"], []),
        (["book/_toc.yml"], []),
    ],
)
def test_a_change_of_a_page_writes_that_page_and_any_other_change_all(tmp_path, changed, pages):
    paths = {tmp_path / name for name in changed}
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert serve.pages_of(paths) == pages
    next(iter(paths)).unlink()
    assert serve.pages_of(paths) == [], "a page that went away is a link less on every other"


def test_what_the_build_writes_beside_the_sources_is_no_change(tmp_path):
    for name in (
        "_ext/pages.py",
        "_ext/__pycache__/pages.pyc",
        "executed/.04-x/source.ipynb",
        "executed/.asked",
        "a.failed.ipynb",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert set(serve.times([tmp_path])) == {tmp_path / "_ext/pages.py"}
