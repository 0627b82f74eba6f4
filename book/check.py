"""Look through the built book as a distrustful reader would: what should be there is, what shouldn't isn't.

    python book/check.py book/_build/html

Fails (1, one line a fault) when a page of the table of contents or its chapter is missing, a cell failed or never
ran, an output or image is empty, a figure is glued in pixels, a glued value is missing or not a number, a page asks the
network for anything, or a local link, image or script leads nowhere.
"""

import base64
import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

BOOK = Path(__file__).resolve().parent
# Tags and link relations that make a browser fetch something at once.
LOADING = {"object": "data"} | dict.fromkeys(["script", "img", "source", "iframe", "video", "audio", "embed"], "src")
LOADING_RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch"}
REMOTE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
REMOTE_IN_CSS = re.compile(r"(?:url\(|@import)\s*['\"]?\s*((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)
SCRIPT_HOSTS = re.compile(r"https?://(?:[\w-]+\.)*(?:unpkg|jsdelivr|cloudflare|googleapis|gstatic)\.(?:com|net)")
GLUE_USE = re.compile(
    r"\{glue:\w+\}`(?:(?P<page>[^`:]+)::)?(?P<key>[^`:]+)|\{glue(?::figure|:math|:md)?\}\s+(?P<block>[\w.-]+)"
)
GLUED_PIXELS = "application/papermill.record/image/png"
NOT_A_NUMBER = {"nan", "inf", "-inf", "None", "np.float64(nan)", "np.float64(inf)", "np.float64(-inf)"}
SMALLEST_IMAGE_BYTES = 200


class Page(HTMLParser):
    """What one HTML page loads, links to, names and says."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.images_without_alt: list[str] = []  # pictures by their address, drawings by the size of their view
        self._inside = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag loads or leads to."""
        attributes = dict(attrs)
        self._inside = tag if tag in ("script", "style") else ""
        self.ids.update(filter(None, (attributes.get("id"), attributes.get("name") if tag == "a" else None)))
        if attributes.get(LOADING.get(tag, "")):
            self.loads.append(attributes[LOADING[tag]])
        if tag == "link" and LOADING_RELATIONS & set((attributes.get("rel") or "").split()):
            self.loads.append(attributes.get("href") or "")
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag == "img" and not (attributes.get("alt") or "").strip():
            self.images_without_alt.append(attributes.get("src") or "?")
        if tag == "svg" and attributes.get("role") == "img" and not (attributes.get("aria-label") or "").strip():
            self.images_without_alt.append(f"svg {attributes.get('viewbox')}")
        self.styles.append(attributes.get("style") or "")

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Keep text apart from scripts and styles."""
        {"script": self.scripts, "style": self.styles}.get(self._inside, self.text).append(data)


def toc_files(toc: dict) -> Iterator[str]:
    """Yield every page named in a table of contents, without its suffix."""
    for key, value in toc.items():
        if key in ("root", "file"):
            yield value
        elif isinstance(value, list):
            for entry in value:
                yield from toc_files(entry)


def output_faults(output: dict) -> Iterator[str]:
    """Yield what is wrong with one output of one executed cell."""
    if output["output_type"] == "error":
        yield f"failed with {output['ename']}: {output['evalue']}"
    if output["output_type"] == "stream" and not "".join(output["text"]).strip():
        yield "printed nothing but blanks"
    for mime, content in output.get("data", {}).items():
        whole = "".join(content) if isinstance(content, list) else content
        size = len(base64.b64decode(whole)) if mime in ("image/png", "image/jpeg") else len(whole)
        if size < (SMALLEST_IMAGE_BYTES if mime.startswith("image/") else 1):
            yield f"gave an empty {mime} ({size} bytes)"
    if "scrapbook" in output.get("metadata", {}):
        if GLUED_PIXELS in output["data"]:
            yield f"glued {output['metadata']['scrapbook'].get('name')} in pixels; accepted: a figure as SVG"
        data = {mime.removeprefix("application/papermill.record/"): value for mime, value in output["data"].items()}
        plain = "".join(data.get("text/plain", ""))
        if plain.strip().strip("'\"") in NOT_A_NUMBER:
            yield f"glued {output['metadata']['scrapbook'].get('name')} = {plain}"


def glued_keys(notebook: dict) -> set[str]:
    """Return the names that a notebook's cells have glued."""
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", []))
    return {output["metadata"]["scrapbook"]["name"] for output in outputs if "scrapbook" in output.get("metadata", {})}


def chapter_faults(path: Path) -> Iterator[str]:
    """Yield what is wrong with one executed chapter."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [c for c in notebook["cells"] if c["cell_type"] == "code" and "".join(c["source"]).strip()]
    if not any(cell["outputs"] for cell in code):
        yield "no cell has an output"
    for number, cell in enumerate(code, 1):
        if cell["execution_count"] is None:
            yield f"code cell {number} never ran"
        for output in cell["outputs"]:
            yield from (f"code cell {number} {fault}" for fault in output_faults(output))


def page_source(name: str, book: Path) -> tuple[Path | None, list[str]]:
    """Return the file a page is made of and its texts in Markdown; None if there is no such file."""
    for suffix in (".ipynb", ".md"):
        path = book / f"{name}{suffix}"
        if path.exists() and suffix == ".ipynb":
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            return path, ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        if path.exists():
            return path, [path.read_text(encoding="utf-8")]
    return None, []


def glue_faults(name: str, texts: list[str], keys: dict[str, set[str]]) -> Iterator[str]:
    """Yield every use of a glued value that no executed chapter has made."""
    for use in GLUE_USE.finditer("\n".join(texts)):
        page = Path(name).parent / use["page"].removesuffix(".ipynb") if use["page"] else Path(name)
        owner = use["page"].removesuffix(".ipynb") if use["page"] in {f"{k}.ipynb" for k in keys} else page.as_posix()
        key = (use["key"] or use["block"]).strip()
        if key not in keys.get(owner, set()):
            yield f"no value was glued as {key} in {owner}"


def request_faults(page: Page) -> Iterator[str]:
    """Yield everything a browser would ask the network for when it opens a page."""
    yield from (f"loads {address}" for address in page.loads if REMOTE.match(address))
    yield from (f"style loads {address}" for address in REMOTE_IN_CSS.findall("\n".join(page.styles)))
    yield from (f"script names {address}" for address in SCRIPT_HOSTS.findall("\n".join(page.scripts)))


def local_faults(page: Page, site: Path, known: dict[Path, set[str]]) -> Iterator[str]:
    """Yield local files a page needs that are missing or empty, and links that lead nowhere."""
    for address in page.loads + page.links:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = page.path if not parts.path else (page.path.parent / unquote(parts.path)).resolve()
        if not target.is_file() or (not target.stat().st_size and address in page.loads):
            yield f"{address} leads to no file" if not target.exists() else f"{address} is empty"
        elif target in known and parts.fragment and unquote(parts.fragment) not in known[target]:
            yield f"{address}: no such place on that page"


def site_faults(site: Path) -> Iterator[str]:
    """Yield what is wrong with the rendered pages."""
    pages = [Page(path) for path in sorted(site.resolve().rglob("*.html")) if "_static" not in path.parts]
    known = {page.path: page.ids for page in pages}
    for page in pages:
        where = page.path.relative_to(site.resolve())
        faults = [*request_faults(page), *local_faults(page, site, known)]
        faults += [f"image {source} has no alternative text" for source in page.images_without_alt]
        if "{glue" in "".join(page.text):
            faults.append("shows a raw {glue}")
        yield from (f"{where}: {fault}" for fault in dict.fromkeys(faults))
    for sheet in sorted((site / "_static").rglob("*.css")):
        for address in REMOTE_IN_CSS.findall(sheet.read_text(encoding="utf-8")):
            yield f"{sheet.relative_to(site)}: loads {address}"


def book_faults(site: Path, book: Path = BOOK) -> list[str]:
    """Return every fault of a built book, one line each."""
    names = list(toc_files(yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))))
    faults, keys, sources = [], {}, {}
    for name in names:
        path, sources[name] = page_source(name, book)
        if path is None:
            faults.append(f"{name}: in the table of contents, but there is no such file")
        elif path.suffix == ".ipynb":
            keys[name] = glued_keys(json.loads(path.read_text(encoding="utf-8")))
            faults += [f"{name}: {fault}" for fault in chapter_faults(path)]
        if not (site / f"{name}.html").is_file():
            faults.append(f"{name}: page wasn't rendered")
    for name in names:
        faults += [f"{name}: {fault}" for fault in glue_faults(name, sources[name], keys)]
    return faults + list(site_faults(site))


def main(words: list[str]) -> int:
    """Run from the command line; 1 if the book has a fault."""
    site = Path(words[0] if words else BOOK / "_build" / "html")
    faults = book_faults(site)
    for fault in faults:
        print(fault, file=sys.stderr)
    pages = sum(1 for _ in site.rglob("*.html"))
    print(f"book/check.py: {pages} pages, {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
