"""Sphinx extension: the scripts of things to touch, on pages that have one and on no other.

The sources in `touch/` are ES modules, which a browser doesn't load from the disk; here they become one plain script.
Names at the top of the modules are therefore distinct. `touch/start.js` comes last, after what it needs.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

TOUCH_MARK = 'class="touch"'
SOURCES = Path(__file__).parent / "touch"
IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export ", re.MULTILINE)


def modules(name: str) -> list[str]:
    """Return the module `name` and those it imports, each after what it needs itself."""
    order: list[str] = []
    for needed in IMPORT.findall((SOURCES / f"{name}.js").read_text(encoding="utf-8")):
        order += [one for one in modules(needed) if one not in order]
    return [*order, name]


def joined(name: str) -> str:
    """Return the module `name` with what it needs as plain statements, without imports and exports."""
    texts = [(SOURCES / f"{one}.js").read_text(encoding="utf-8") for one in modules(name)]
    return "\n".join(EXPORT.sub("", IMPORT.sub("", text)) for text in texts)


def script() -> str:
    """Return all modules as one plain script, whose names stay its own."""
    return f'(() => {{\n"use strict";\n{joined("start")}}})();\n'


def add_touch(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Put script and style on a page with a thing to touch."""
    if TOUCH_MARK in (context.get("body") or ""):
        app.add_js_file("vendor/touch.js", priority=700)
        app.add_css_file("vendor/touch.css", priority=700)


def write_touch(app: Sphinx, error: Exception | None) -> None:
    """Write script and style beside the pages, if any page wants them."""
    if error is not None or app.builder.format != "html":
        return
    if any(TOUCH_MARK in page.read_text(encoding="utf-8") for page in Path(app.outdir).rglob("*.html")):
        vendor = Path(app.outdir) / "_static" / "vendor"
        vendor.mkdir(parents=True, exist_ok=True)
        (vendor / "touch.js").write_text(script(), encoding="utf-8")
        (vendor / "touch.css").write_text((SOURCES / "touch.css").read_text(encoding="utf-8"), encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.connect("html-page-context", add_touch, priority=400)
    app.connect("build-finished", write_touch)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
