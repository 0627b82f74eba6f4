"""Show the built pages to this machine only: `make serve`. A port that can't be had is one line.

python book/serve.py book/_build/html 8000
"""

import contextlib
import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"


def serve(folder: str, port: str) -> None:
    """Serve a folder until a person ends it. Raises SystemExit with one line for a port that can't be had."""
    try:
        server = ThreadingHTTPServer((HOST, int(port)), functools.partial(SimpleHTTPRequestHandler, directory=folder))
    except (OSError, OverflowError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        sys.exit(f"PORT is {port} ({reason}); accepted: the number of a port that is free, 1024 to 65535")
    print(f"http://{HOST}:{server.server_port}", flush=True)
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    serve(*sys.argv[1:])
