"""A stand-in of the Hub on this machine: what every test of it answers with, and the server."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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
