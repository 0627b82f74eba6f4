"""What a reader's browser fetches, page by page, and how large the built book is: `python benchmarks/transfer.py`.

Every page is opened in Chromium with an empty cache, as by `make check`; what it asks for is counted, formula fonts and
charts too, at its size on the disk and compressed as a web server would send it. Needs `make book`; a minute.
"""

import functools
import gzip
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, sync_playwright

from report import report

SITE = Path(__file__).parents[1] / "book" / "_build" / "html"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PACKED = {".html", ".css", ".js", ".json", ".svg", ".txt"}  # what servers compress; images and fonts are packed already
SHOWN = 8  # pages
DRAWN = "() => !window.MathJax || MathJax.startup.promise.then(() => true)"


@functools.cache
def sizes(path: Path) -> tuple[int, int]:
    """Return a file's bytes, and those that a server sends."""
    content = path.read_bytes()
    return len(content), len(gzip.compress(content, 6)) if path.suffix in PACKED else len(content)


def transfer(browser: Browser, page: Path) -> dict:
    """Return what opening a page fetches: requests, bytes, bytes sent."""
    asked: set[Path] = set()
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.on("request", lambda request: asked.add(Path(unquote(urlsplit(request.url).path))))
    opened.goto(page.resolve().as_uri())
    opened.wait_for_function(DRAWN)
    opened.wait_for_load_state("networkidle")
    opened.close()
    return counted([sizes(path) for path in asked if path.is_file()])


def counted(files: list[tuple[int, int]]) -> dict[str, int]:
    """Return how many files there are, their bytes, and the bytes sent."""
    return {
        "requests": len(files),
        "bytes": sum(size for size, _ in files),
        "gzip_bytes": sum(sent for _, sent in files),
    }


def measured(site: Path, chromium: str) -> list[dict]:
    """Return the whole site's row and those of the pages that send most, the largest first."""
    files = [path for path in site.rglob("*") if path.is_file()]
    pages = [path for path in files if path.suffix == ".html" and "_static" not in path.parts]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        rows = [{"page": path.relative_to(site).as_posix()} | transfer(browser, path) for path in sorted(pages)]
        browser.close()
    whole = {"page": f"whole site, {len(pages)} pages"} | counted([sizes(path) for path in files])
    return [whole, *sorted(rows, key=lambda row: -row["gzip_bytes"])[:SHOWN]]


def main() -> None:
    """Measure the built book and report; one line where it or Chromium isn't there."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or not (SITE / "index.html").is_file():
        sys.exit("needs a built book (make book) and a Chromium (CHROMIUM=path names one)")
    report("site", measured(SITE, chromium))


if __name__ == "__main__":
    main()
