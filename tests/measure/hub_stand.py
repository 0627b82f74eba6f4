"""A stand-in of the Hub on this machine: what every test of it answers with, and the server."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.measure.tiny import ROOT

READ = """
import json, sys
from helpers.measure.text.documents import text_named
from helpers.table.errors import QidError
for place in sys.argv[1:]:
    try:
        found = text_named(place)
        print(json.dumps([found.name, found.texts]))
    except QidError as error:
        print(json.dumps(str(error)))
"""


class HubStand(BaseHTTPRequestHandler):
    """Answers in the Hub's form; a test says in `respond` what there is. A HEAD is a GET without its body."""

    def log_message(self, *_words):
        pass

    def do_GET(self):
        self.respond()

    def do_HEAD(self):
        self.respond()

    def answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def answer_file(self, body: bytes, commit: str) -> None:
        self.answer(200, body, {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": commit})


@contextlib.contextmanager
def served(stand: type[HubStand]) -> Iterator[str]:
    """Serve on loopback meanwhile; give the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), stand)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def python(endpoint, cache, *words, **more):
    """Run Python in a process of its own: the Hub's address is read where its client is imported."""
    told = {"HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
    told |= {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-W", "ignore", *map(str, words)]
    return subprocess.run(
        command, env=os.environ | told | more, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )


def read(endpoint, cache, *places, **more):
    """Return name and documents of texts, or what is said of one that can't be had, as a process of its own has them."""
    done = python(endpoint, cache, "-c", READ, *places, **more)
    assert done.returncode == 0, done.stderr[-500:]
    return [json.loads(line) for line in done.stdout.splitlines()]
