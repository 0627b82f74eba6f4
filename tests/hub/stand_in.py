"""A stand-in of the Hub on this machine: as much of its protocol as huggingface_hub's client asks for.

Model and data set information, refs, listings in pages, files by redirect to a content address, ranges, refusals with
the Hub's codes, and faults handed in as data. The large files' address is on another name of this machine
(`localhost`), as the Hub's is on another host: a client leaves its token behind there.
"""

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.hub.faults import Fault, Faults
from tests.hub.repositories import Commit, File, Repository
from tests.hub.uploads import Uploads

API = re.compile(r"/api/(?P<kind>model|dataset)s/(?P<name>[^/]+/[^/]+)(?:/(?P<what>[\w-]+)(?:/(?P<rest>.*))?)?")
RESOLVE = re.compile(r"/(?P<data>datasets/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
CACHED = re.compile(
    r"/api/resolve-cache/(?P<kind>model|dataset)s/(?P<name>[^/]+/[^/]+)/(?P<sha>[0-9a-f]{40})/(?P<path>.+)"
)
ROOT = Path(__file__).parents[2]
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Asked:
    """One request of the log, as it was answered; 0 is no answer."""

    method: str
    path: str
    status: int
    range: str | None
    token: str | None
    fault: str | None


@dataclass
class StandIn:
    """The Hub that a test has: its repositories, its faults, its log; `serving` gives it an address.

    `page` is how many lines of a listing come at once; `tokens` are let in everywhere.
    """

    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    page: int = 1000
    tokens: set[str] = field(default_factory=set)
    log: list[Asked] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)  # large files by SHA-256 that nobody committed yet
    address: str = ""

    def repository(self, name: str, kind: str = "model", access: str = "open") -> Repository:
        """Return the repository of that name, made if need be."""
        return self.repositories.setdefault((kind, name), Repository(name, kind, access))

    def large(self, sha256: str) -> File | None:
        """Return a large file by its content address."""
        everywhere = (each for repository in self.repositories.values() for each in repository.commits.values())
        files = (file for commit in everywhere for file in commit.files.values() if file.large)
        return next((file for file in files if file.sha256 == sha256), None)

    def asked(self, part: str = "", method: str | None = None) -> list[Asked]:
        """Return the log's requests with that part in their path."""
        return [each for each in self.log if part in each.path and method in (None, each.method)]

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on loopback meanwhile; give the address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Answers,), {"hub": self}))
        server.handle_error = lambda *_: None  # of a client that left; what fails here is seen there
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self.address
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class Answers(Uploads, BaseHTTPRequestHandler):
    """One connection's answers. A HEAD is a GET without its body."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: StandIn

    def log_message(self, *_words):
        pass

    def do_GET(self):
        self.body = self.received()
        self.line = f"{self.command} {self.path}"
        self.fault = self.hub.faults.next(self.line)
        if self.fault is not None and self.fault.kind == "dropped":
            self.close_connection = True
            return self.noted(0)
        if self.fault is not None and self.fault.kind == "status":
            return self.failed(self.fault)
        return self.routed(urlsplit(self.path).path)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 (http.server's names)

    def received(self) -> bytes:
        """Return the request's body, which comes whole or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while length := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def routed(self, path: str) -> None:
        if self.written(path):
            return None
        if path.startswith("/cdn/"):
            return self.content(path.removeprefix("/cdn/"))
        for form, answer in ((CACHED, self.small), (RESOLVE, self.resolve), (API, self.api)):
            if parts := form.fullmatch(path):
                return answer(**{name: unquote(part) if part else part for name, part in parts.groupdict().items()})
        return self.refused(404, None, "Sorry, we can't find the page you are looking for.")

    # repositories

    def entered(self, kind: str, name: str, files: bool) -> Repository | None:
        """Return the repository that may be looked at, or its files; None after a refusal is answered."""
        repository = self.hub.repositories.get((kind, name))
        known = (self.headers.get("Authorization") or "").removeprefix("Bearer ") in self.hub.tokens
        if repository is None or (repository.access == "private" and not known):
            # the Hub doesn't tell a stranger what is private from what isn't there
            self.refused(404 if known else 401, "RepoNotFound", "Repository not found")
            return None
        if not known and (repository.access == "sealed" or (repository.access == "gated" and files)):
            self.refused(401, "GatedRepo", f"Access to {kind} {name} is restricted.")
            return None
        return repository

    def at(self, repository: Repository, revision: str) -> Commit | None:
        commit = repository.resolved(revision)
        if commit is None:
            self.refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def api(self, kind: str, name: str, what: str | None, rest: str | None) -> None:
        repository = self.entered(kind, name, files=False)
        if repository is None:
            return None
        asked = parse_qs(urlsplit(self.path).query)
        if what == "refs":
            return self.said(repository.refs())
        if what is None or what == "revision":
            commit = self.at(repository, rest or "main")
            blobs = asked.get("blobs", ["false"])[0].lower() in ("true", "1")
            return commit and self.said(repository.info(commit, blobs))
        revision, _, folder = self.revision_and_folder(what)
        commit = self.at(repository, revision)
        if commit is None:
            return None
        if what == "tree":
            return self.listing(repository, commit, folder, asked)
        if what == "paths-info":
            wanted = parse_qs(self.body.decode()).get("paths", [])
            return self.said([commit.files[path].entry(path) for path in wanted if path in commit.files])
        if what == "commits":
            return self.said([{"id": commit.sha, "title": commit.message, "message": "", "authors": [], "date": None}])
        return self.refused(404, None, "Sorry, we can't find the page you are looking for.")

    def revision_and_folder(self, what: str) -> tuple[str, str, str]:
        """Return a path's revision and what follows: a slash in the revision's name comes quoted."""
        revision, slash, folder = urlsplit(self.path).path.split(f"/{what}/", 1)[-1].partition("/")
        return unquote(revision), slash, unquote(folder)

    def listing(self, repository: Repository, commit: Commit, folder: str, asked: dict[str, list[str]]) -> None:
        recursive = asked.get("recursive", ["false"])[0].lower() in ("true", "1")
        lines = repository.tree(commit, folder, recursive)
        if folder and not lines:
            return self.refused(404, "EntryNotFound", f"{folder} does not exist on {commit.sha}")
        start = int(asked.get("cursor", ["0"])[0])
        headers = {}
        if start + self.hub.page < len(lines):
            where = f"{self.hub.address}{urlsplit(self.path).path}?recursive={recursive}&cursor={start + self.hub.page}"
            headers["Link"] = f'<{where}>; rel="next"'
        return self.said(lines[start : start + self.hub.page], headers)

    # files

    def resolve(self, data: str | None, name: str, revision: str, path: str) -> None:
        kind = "dataset" if data else "model"
        repository = self.entered(kind, name, files=True)
        commit = repository and self.at(repository, revision)
        if commit is None:
            return None
        told = {"X-Repo-Commit": commit.sha}
        file = commit.files.get(path)
        if file is None:
            return self.refused(404, "EntryNotFound", "Entry not found", told)
        told |= {"X-Linked-Size": str(len(file.body)), "X-Linked-ETag": f'"{file.etag}"'}
        if file.large:
            elsewhere = f"{self.hub.address.replace('127.0.0.1', 'localhost')}/cdn/{file.sha256}"
            return self.answer(302, b"", told | {"Location": elsewhere})
        here = f"/api/resolve-cache/{kind}s/{name}/{commit.sha}/{quote(path)}"
        return self.answer(307, b"", told | {"Location": here})

    def small(self, kind: str, name: str, sha: str, path: str) -> None:
        repository = self.entered(kind, name, files=True)
        commit = repository and self.at(repository, sha)
        if commit is None:
            return None
        file = commit.files[path]
        return self.part(file.body, {"X-Repo-Commit": sha, "ETag": f'"{file.etag}"'})

    def content(self, sha256: str) -> None:
        file = self.hub.large(sha256)
        if file is None:
            return self.refused(404, None, "no such content")
        return self.part(file.body, {"ETag": f'"{sha256}"'})

    def part(self, body: bytes, headers: dict[str, str]) -> None:
        """Answer with a file, or with the range of it that was asked for."""
        headers = {"Accept-Ranges": "bytes", **headers}
        asked = RANGE.fullmatch(self.headers.get("Range") or "")
        if asked is None:
            return self.answer(200, body, headers)
        first, last = int(asked[1]), min(int(asked[2] or len(body)), len(body) - 1)
        if first >= len(body):
            return self.answer(416, b"", headers | {"Content-Range": f"bytes */{len(body)}"})
        return self.answer(
            206, body[first : last + 1], headers | {"Content-Range": f"bytes {first}-{last}/{len(body)}"}
        )

    # answers

    def said(self, what: object, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.answer(
            status, json.dumps(what).encode(), {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        )

    def refused(self, status: int, code: str | None, message: str, headers: dict[str, str] | None = None) -> None:
        told = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}
        self.answer(status, json.dumps({"error": message}).encode(), told | {"Content-Type": "application/json"})

    def failed(self, fault: Fault) -> None:
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        self.refused(fault.status, None, f"{fault.status} by a fault", headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        fault, sent = self.fault, body
        if fault is not None and fault.kind == "corrupted" and body:
            at = min(fault.after, len(body) - 1)
            sent = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        if fault is not None and fault.kind == "cut":
            sent = body[: min(fault.after, max(len(body) - 1, 0))]
        self.noted(status)  # before the client can look at the log
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)
            self.close_connection = self.close_connection or len(sent) < len(body)

    def noted(self, status: int) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        kind = None if self.fault is None else self.fault.kind
        self.hub.log.append(Asked(self.command, self.path, status, self.headers.get("Range"), token, kind))


def environment(address: str, cache: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process that takes the stand-in for the Hub: its client reads it when imported."""
    told = {"HF_ENDPOINT": address, "HF_HUB_CACHE": str(cache), "HF_HOME": str(cache.parent / "hf_home")}
    told |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    told |= {"NO_PROXY": "127.0.0.1,localhost", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    kept = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")}
    return kept | told | more


def take_for_the_hub(monkeypatch, address: str, cache: Path) -> None:
    """Let this process take the stand-in for the Hub, as `environment` does for another one."""
    told = {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
    }
    told |= {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}
    told |= {"HF_HUB_DISABLE_TELEMETRY": True, "HF_TOKEN_PATH": str(cache.parent / "no token")}
    for name, value in told.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
