"""Slides of an executed notebook: one page of plain HTML that needs no network, no other file and no program.

    python book/slides.py book/executed/91-ninety-minutes.ipynb book/_build/slides/slides.html

A cell whose `slideshow.slide_type` is `slide` begins a slide, `fragment` joins the one before; all others are left out,
as is code. Formulas are drawn as outlines, figures are inside the page. Arrow keys turn slides; each prints on a page.
"""

import base64
import html
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath
from mdit_py_plugins.dollarmath import dollarmath_plugin

from helpers.show.drawing.vector import text_of
from helpers.show.drawing.whole import apart

LETTERS = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C", Outline.CLOSEPOLY: "Z"}
SIZE = 10.0  # of the font that formulas are drawn in; on the page it is one em
STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c2530; --quiet: #5b6672; --box: #f2f4f6; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --ink: #e6eaee; --quiet: #a3adb8; --box: #222931; } }
* { box-sizing: border-box; }
html { scroll-snap-type: y proximity; background: var(--page); color: var(--ink); }
body { margin: 0; font: clamp(16px, 1.9vw, 30px)/1.4 system-ui, sans-serif; }
section { min-height: 100vh; padding: 6vh 8vw; display: flex; flex-direction: column; justify-content: center;
  scroll-snap-align: start; position: relative; }
section > * { max-width: 100%; margin: 0.35em 0; }
h1, h2, h3 { line-height: 1.15; }
h1 { font-size: 2.2em; } h2, h3 { font-size: 1.6em; }
pre { background: var(--box); padding: 0.7em 1em; font-size: 0.72em; white-space: pre-wrap; border-radius: 6px; }
img { width: 100%; max-height: 38vh; object-fit: contain; align-self: center; background: #fff; border-radius: 6px; }
h3 + img { max-height: 74vh; }
svg.formula { fill: currentColor; }
.display { display: block; text-align: center; font-size: 1.25em; }
.number { position: absolute; right: 2vw; bottom: 2vh; color: var(--quiet); font-size: 0.6em; }
@page { size: 297mm 167mm; margin: 0; }
@media print {
  :root { --page: #fff; --ink: #000; --quiet: #444; --box: #f2f4f6; }
  body { font-size: 17pt; }
  section { height: 167mm; min-height: 0; padding: 10mm 18mm; break-after: page; overflow: hidden; }
  section:last-of-type { break-after: auto; }
  img { max-height: 62mm; }
  h3 + img { max-height: 110mm; }
}
"""
SCRIPT = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const say = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
say(); dark.addEventListener("change", say);
const steps = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 };
addEventListener("keydown", event => {
  if (!(event.key in steps)) return;
  event.preventDefault();
  const slides = [...document.querySelectorAll("section")];
  const at = slides.findIndex(slide => slide.getBoundingClientRect().bottom > innerHeight / 2);
  slides[Math.min(Math.max(at + steps[event.key], 0), slides.length - 1)].scrollIntoView();
});
"""


class SlidesError(Exception):
    """A notebook that slides can't be made of; its text is for a person."""


def slides_of(notebook: nbformat.NotebookNode) -> list[list[nbformat.NotebookNode]]:
    """Return the cells of each slide. Raises SlidesError where a fragment comes before any slide, or there is none."""
    slides: list[list[nbformat.NotebookNode]] = []
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        if kind == "slide":
            slides.append([])
        elif kind != "fragment":
            continue
        if not slides:
            raise SlidesError("a fragment comes before the first slide")
        slides[-1].append(cell)
    if not slides:
        raise SlidesError("no cell begins a slide; accepted: cells whose slideshow.slide_type is slide")
    return slides


def formula(tex: str, display: bool) -> str:
    """Return a formula as outlines that scale with the text; its TeX is what a screen reader says."""
    drawn = TextPath((0, 0), f"${tex}$", size=SIZE)
    (left, bottom), (right, top) = drawn.get_extents().get_points()
    parts = (f"{LETTERS[code]}{' '.join(f'{value:.2f}' for value in points)}" for points, code in outline(drawn))
    box = f"{left:.2f} {-top:.2f} {right - left:.2f} {top - bottom:.2f}"
    height, depth = (top - bottom) / SIZE, min(bottom, 0.0) / SIZE
    place = "" if display else f";vertical-align:{depth:.3f}em"
    image = (
        f'<svg class="formula" role="img" aria-label="{html.escape(tex)}" viewBox="{box}" '
        f'style="height:{height:.3f}em{place}"><path d="{"".join(parts)}"/></svg>'
    )
    return f'<span class="display">{image}</span>' if display else image


def outline(drawn: TextPath) -> Iterator[tuple[list[float], int]]:
    """Yield the points of each segment, y downwards as on a page, and its kind; a closing one has none."""
    for points, code in drawn.iter_segments(simplify=False):
        downwards = [-value if place % 2 else value for place, value in enumerate(points)]
        yield ([] if code == Outline.CLOSEPOLY else downwards), code


def reader() -> MarkdownIt:
    """Return the reader of Markdown with formulas, drawn: no script has to set them."""
    markdown = MarkdownIt("commonmark").use(dollarmath_plugin)
    for kind, display in (("math_inline", False), ("math_block", True)):
        markdown.add_render_rule(
            kind, lambda _self, tokens, i, *_, display=display: formula(" ".join(tokens[i].content.split()), display)
        )
    return markdown


def shown(cell: nbformat.NotebookNode, markdown: MarkdownIt) -> Iterator[str]:
    """Yield the HTML of a cell: its text, or what its code printed and drew.

    Raises SlidesError for a role of MyST, which slides can't show, a figure without a text alternative, or no output.
    """
    if cell.cell_type == "markdown":
        if "{doc}" in cell.source or "{glue" in cell.source or "{term}" in cell.source:
            raise SlidesError(f"a slide has a role of MyST: {cell.source.splitlines()[0]}")
        yield markdown.render(cell.source)
        return
    if not cell.outputs:
        raise SlidesError(f"a slide's cell has no output; run it first: {cell.source.splitlines()[0]}")
    alternative = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
    printed = "".join(output.text for output in cell.outputs if output.get("name") == "stdout").rstrip()
    if printed:
        yield f"<pre>{html.escape(printed)}</pre>"
    for output in cell.outputs:
        picture = output.get("data", {}).get("image/svg+xml")
        if picture and not alternative:
            raise SlidesError(f"a slide's figure has no mystnb.image.alt: {cell.source.splitlines()[0]}")
        if picture:
            alone = base64.b64encode(text_of(apart(picture)[0]).encode()).decode()
            yield f'<img src="data:image/svg+xml;base64,{alone}" alt="{html.escape(alternative)}">'


def page(notebook: nbformat.NotebookNode) -> str:
    """Return the page of a notebook's slides. Raises SlidesError as `slides_of` and `shown` do."""
    slides, markdown = slides_of(notebook), reader()
    title = slides[0][0].source.splitlines()[0].lstrip("# ")
    sections = []
    for number, cells in enumerate(slides, 1):
        inside = "\n".join(part for cell in cells for part in shown(cell, markdown))
        sections.append(f'<section>\n{inside}\n<div class="number">{number} / {len(slides)}</div>\n</section>')
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{html.escape(title)}: slides</title><style>{STYLE}</style>"
    body = "\n".join(sections)
    script = f"<script>{SCRIPT}</script>"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main>{script}</body></html>\n'
    )


def main(words: list[str]) -> int:
    """Run from the command line; 1 where slides can't be made."""
    source, target = map(Path, words)
    try:
        text = page(nbformat.read(source, as_version=4))
    except SlidesError as error:
        print(f"{source}: {error}", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
