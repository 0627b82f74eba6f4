"""Sphinx extension: figures are in the page, in the page's colours, and can be taken away.

A chapter's figure is SVG that encloses a narrow picture and the data (`helpers.show.drawing.whole`). Here it is taken
apart: both pictures go into the page, of which `figures.css` shows the one that fits; every colour becomes a variable
with a value for the dark theme; picture and data are written as files that links below it lead to.
"""

import re
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx

from helpers.show.drawing.colours import on_dark
from helpers.show.drawing.vector import COLOUR, KEPT, REFERENCE, SVG, text_of
from helpers.show.drawing.whole import DATA, NARROW, apart

FOLDER = "_figures"
POINT = 4 / 3  # pixels
SMALLEST = 11  # pixels of a letter on a phone
FONT_SIZE = re.compile(r"font-size: ([\d.]+)px")
WIDE, SLIM = "wide", "narrow"


def with_variables(part: ElementTree.Element, kept: bool = False) -> set[str]:
    """Make variables of a picture's colours, but for what keeps them; return these colours."""
    kept = kept or part.get("class") == KEPT
    style = part.get("style", "")
    found = set() if kept else set(COLOUR.findall(style))
    if found:
        part.set("style", COLOUR.sub(lambda colour: f"var(--on-{colour[0][1:]}, {colour[0]})", style))
    return found.union(*(with_variables(inner, kept) for inner in part))


def with_own_names(root: ElementTree.Element, prefix: str) -> None:
    """Put `prefix` before every id and reference: a page has many pictures."""
    for part in root.iter():
        for name, value in part.attrib.items():
            if name == "id":
                part.set(name, prefix + value)
            elif value.startswith("#") and name.endswith("href"):
                part.set(name, f"#{prefix}{value[1:]}")
            else:
                part.set(name, REFERENCE.sub(rf"url(#{prefix}\1)", value))


def in_page(root: ElementTree.Element, prefix: str, layout: str, alternative: str) -> str:
    """Return a picture as it stands in a page, with its colours' values in the dark."""
    width = float(root.attrib.pop("width").removesuffix("pt"))
    root.attrib.pop("height")
    letters = [float(size) for part in root.iter() for size in FONT_SIZE.findall(part.get("style", ""))]
    readable = width * SMALLEST / min(letters, default=SMALLEST)
    with_own_names(root, f"{prefix}-{layout}-")
    colours = sorted(with_variables(root))
    values = " ".join(f"--on-{colour[1:]}: {on_dark(colour)};" for colour in colours)
    style = ElementTree.Element(f"{{{SVG}}}style")
    style.text = f'@media screen {{ html[data-theme="dark"] {{ {values} }} }}'
    root.insert(0, style)
    size = f"max-width: {width * POINT:.0f}px; --readable: {readable:.0f}px"
    root.attrib.update({"class": layout, "role": "img", "aria-label": alternative, "style": size})
    return text_of(root)


def links(files: dict[str, str], name: str) -> str:
    """Return HTML with a link to each file, by what it is called."""
    each = "".join(
        f'<a href="{escape(address)}" download="{name}{Path(address).suffix}">{kind}</a>'
        for kind, address in files.items()
    )
    return f'<div class="drawing-files">{each}</div>'


def drawing(text: str, name: str, alternative: str, folder: Path, address: str) -> str:
    """Write a figure's files into `folder`, which pages find at `address`, and return its HTML."""
    root, enclosed = apart(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.svg").write_text(text_of(root), encoding="utf-8")
    files = {"SVG": f"{address}/{name}.svg"}
    if DATA in enclosed:
        (folder / f"{name}.csv").write_text(enclosed[DATA], encoding="utf-8")
        files["CSV"] = f"{address}/{name}.csv"
    pictures = in_page(root, name, WIDE, alternative)
    if NARROW in enclosed:
        pictures += in_page(ElementTree.fromstring(enclosed[NARROW]), name, SLIM, alternative)
    return f'<div class="drawing">{pictures}{links(files, name)}</div>'


def name_of(image: nodes.image, number: int) -> str:
    """Return a figure's name on its page: its label, or its number."""
    labels = image.parent["names"] if isinstance(image.parent, nodes.figure) else []
    return re.sub(r"[^\w-]", "-", labels[0]) if labels else f"figure-{number}"


def put_in_page(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Replace every SVG of a page by its drawing."""
    if app.builder.format != "html":
        return
    root = "../" * docname.count("/")
    pictures = [image for image in doctree.findall(nodes.image) if image["uri"].endswith(".svg")]
    for number, image in enumerate(pictures, 1):
        text = (Path(app.srcdir) / image["uri"]).read_text(encoding="utf-8")
        place = f"{FOLDER}/{Path(docname).name}"
        html = drawing(text, name_of(image, number), image.get("alt", ""), Path(app.outdir) / place, root + place)
        image.parent.replace(image, nodes.raw("", html, format="html"))


def setup(app: Sphinx) -> dict:
    """Register with Sphinx; after values and figures are glued into the text."""
    app.connect("doctree-resolved", put_in_page, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
