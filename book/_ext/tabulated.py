"""Sphinx extension: a table that a cell computes has a caption, a number, a name to refer to, and its cells as CSV.

A cell's metadata name its tables in the order in which it shows them: `tables={"tab-widths": "What each width costs"}`.
The caption stands in the table, the number is that of Sphinx, which Markdown tables count in too, and `{numref}` finds
the name. A cell with more tables than names fails the build; with fewer it may depend on the reader's own rows.
"""

import csv
import io
import re
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxTranslator

FOLDER = "_tables"
TABLE = re.compile(r"<table[^>]*>")
CELL, CAPTIONS = "cell_code", "tables"


class Tabulated(nodes.General, nodes.Element):
    """A node of one table as HTML, `caption` and all; Sphinx counts it among the tables."""


def as_csv(html: str) -> str:
    """Return the cells of a table as CSV; a cell over several columns or rows stands in the first."""
    written = io.StringIO()
    rows = BeautifulSoup(html, "html.parser").find_all("tr")
    texts = [[cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])] for row in rows]
    csv.writer(written, lineterminator="\n").writerows(texts)
    return written.getvalue()


def with_caption(html: str, number: str, caption: str) -> str:
    """Return HTML whose first table begins with its number and caption."""
    text = f'<caption><div>{number}<span class="caption-text">{escape(caption)}</span></div></caption>'
    return TABLE.sub(lambda opening: opening[0] + text, html, count=1)


def tables_of(cell: nodes.Element) -> list[nodes.raw]:
    """Return the tables among a cell's outputs, as HTML."""
    return [raw for raw in cell.findall(nodes.raw) if raw.get("format") == "html" and TABLE.search(raw.astext())]


class NameTables(SphinxTransform):
    """Give tables of cells their names and captions, before Sphinx collects what can be referred to."""

    default_priority = 800  # its own collection is at 850

    def apply(self, **kwargs: object) -> None:
        """Replace the tables of each cell that names some."""
        cells = [node for node in self.document.findall(nodes.container) if node.get("nb_element") == CELL]
        for cell in cells:
            captions, tables = cell.get("cell_metadata", {}).get(CAPTIONS, {}), tables_of(cell)
            if captions and len(tables) > len(captions):
                told = f"a cell with {len(tables)} tables names {len(captions)}: {', '.join(captions)}"
                raise ExtensionError(f"{self.env.docname}: {told}")
            for (name, caption), raw in zip(captions.items(), tables, strict=False):  # a cell may show fewer
                node = Tabulated("", raw.deepcopy(), caption=caption, names=[name])
                self.document.note_explicit_target(node)
                raw.parent.replace(raw, node)


def visit(self: SphinxTranslator, node: Tabulated) -> None:
    """Write a table with number, caption and a link to its cells, and nothing of it twice."""
    written = len(self.body)
    self.add_fignumber(node)
    number = "".join(self.body[written:])
    del self.body[written:]
    builder, name = self.builder, node["names"][0]
    html, place = node.astext(), f"{FOLDER}/{Path(builder.current_docname).name}"
    folder = Path(builder.outdir) / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.csv").write_text(as_csv(html), encoding="utf-8")
    address = f"{'../' * builder.current_docname.count('/')}{place}/{name}.csv"
    link = f'<div class="drawing-files"><a href="{address}" download="{name}.csv">CSV</a></div>'
    table = with_caption(html, number, node["caption"])
    shown = f'<div class="output text_html">{table}</div>{link}'
    self.body.append(f'<div class="tabulated" id="{node["ids"][0]}">{shown}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_enumerable_node(Tabulated, "table", lambda node: node["caption"], html=(visit, None))
    app.add_transform(NameTables)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
