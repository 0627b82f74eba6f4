"""Sphinx extension: every page works without a network, from a web server or straight from the disk.

MathJax comes from a pinned Python wheel and is copied beside the pages. The address that Jupyter Book's Thebe extension
leaves on every page is taken away.
HTML in Markdown that a cell displays is shown as text: names of runs and models come from data. Numbers that are glued
into prose have a minus sign before them where they are negative, not the hyphen of Python's formats.
"""

import importlib.util
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

THEBE_MARKS = ("thebe", "THEBE_JS_URL")
# A browser refuses to preload a font from the disk; the theme's style sheets load the same fonts without that.
FONT_PRELOAD = re.compile(r'\s*<link rel="preload" as="font"[^>]*>')
# The theme draws its icons twice, by a font and by a script of 1.5 MB that every page would read; the font is enough.
ICON_SCRIPT = re.compile(r'\s*<script src="[^"]*/fontawesome/[^"]*"></script>')
MATHJAX_PARTS = ("tex-chtml.js", "input/tex", "output/chtml", "a11y", "sre", "ui")
# Files that no page asks for: what a debugger reads, fonts that every browser has in a smaller form, speech of formulas
# in other languages than the book's.
UNUSED = (
    "**/*.map",
    "_static/vendor/**/*.ttf",
    "_static/vendor/fontawesome/*/js/*",
    "_static/mathjax/sre/mathmaps/*.json",
)
SPEECH = {"base.json", "en.json", "nemeth.json"}
HYPHEN_OF_NUMBER = re.compile(r"(?<![\w-])-(?=\.?\d)")


def mathjax_folder() -> Path:
    """Return the folder of MathJax 3 inside the installed wheel (its name holds hyphens, so it can't be imported)."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the wheel sphinx-mathjax-offline isn't installed: make env")
    return Path(spec.origin).parent / "static" / "mathjax"


def drop_thebe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Leave Thebe's script and its address out of a page; nothing here starts a remote kernel."""
    if "script_files" in context:
        context["script_files"] = [s for s in context["script_files"] if not is_thebe(s)]
    if "css_files" in context:
        context["css_files"] = [s for s in context["css_files"] if not is_thebe(s)]


def is_thebe(asset) -> bool:
    """Tell whether a script or style sheet of a page belongs to Thebe."""
    text = f"{getattr(asset, 'filename', asset)} {getattr(asset, 'attributes', {}).get('body', '')}"
    return any(mark in text for mark in THEBE_MARKS)


def show_html_of_markdown(app: Sphinx, doctree: nodes.document) -> None:
    """Make text of the HTML in Markdown that cells displayed; what they displayed as HTML stays HTML.

    MyST-NB gives the latter a class and what it makes of Markdown none. Nor has JavaScript or a widget one, which no
    chapter displays.
    """
    displayed = (part for part in doctree.findall(nodes.container) if "cell_output" in part["classes"])
    for found in [raw for part in displayed for raw in part.findall(nodes.raw) if not raw["classes"]]:
        text: nodes.Node = nodes.Text(found.astext())
        if not isinstance(found.parent, nodes.TextElement):
            text = nodes.paragraph("", "", text)
        found.parent.replace(found, text)


def show_minus_signs(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put a minus sign before every negative number that was glued into prose; MyST-NB gives such text a class."""
    for pasted in [one for one in doctree.findall(nodes.inline) if "pasted-text" in one["classes"]]:
        text = nodes.Text(HYPHEN_OF_NUMBER.sub("−", pasted.astext()))
        pasted.children = []
        pasted += text


def lighten_heads(app: Sphinx, error: Exception | None) -> None:
    """Take the theme's font preloads and its icons' script out of every page."""
    if error is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = FONT_PRELOAD.sub("", page.read_text(encoding="utf-8"))
            page.write_text(ICON_SCRIPT.sub("", text), encoding="utf-8")


def copy_vendored(app: Sphinx, error: Exception | None) -> None:
    """Copy MathJax into the built book."""
    if error is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for part in MATHJAX_PARTS:
        source, target = mathjax_folder() / part, static / "mathjax" / part
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def drop_unused(app: Sphinx, error: Exception | None) -> None:
    """Remove from the built book the files that no page asks for."""
    if error is None and app.builder.format == "html":
        unused = (path for pattern in UNUSED for path in Path(app.outdir).glob(pattern))
        for path in [each for each in unused if each.name not in SPEECH]:
            path.unlink()


def setup(app: Sphinx) -> dict:
    """Register with Sphinx; late, so that other extensions' scripts are already there to be taken away."""
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("doctree-read", show_html_of_markdown)
    app.connect("doctree-resolved", show_minus_signs)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", lighten_heads)
    app.connect("build-finished", copy_vendored)
    app.connect("build-finished", drop_unused, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
