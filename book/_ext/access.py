"""Sphinx extension: what a keyboard and a screen reader need of a page, whatever its text.

Header cells say whether they head a column or a row; pandas and MyST leave that out. What depends on the window's width
is done by scripts in `_static`: `scrolling.js` makes what scrolls sideways reachable by keyboard and says that it
scrolls, `terms.js` shows a term's definition on focus and on a tap.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

HEAD = re.compile(r"<thead.*?</thead>", re.S)
BODY = re.compile(r"<tbody.*?</tbody>", re.S)
HEADER_CELL = re.compile(r"<th(?=[\s>])(?![^>]*\bscope=)")
EMPTY_HEADER = re.compile(r"<th(?P<rest>[^>]*)>(?P<blank>\s*)</th>")


# docutils calls it a list without list items, which screen readers then announce as empty.
CITATIONS = '<div role="list" class="citation-list">'


# A folded cell that is a solution, by what its bar says: paper shows solutions and leaves other folded cells away.
BAR = r"[^>]*>\s*<details[^>]*>\s*<summary[^>]*>\s*<p[^>]*>Show a solution"
FOLDED = re.compile(rf'<div class="cell tag_hide-cell(?={BAR})')


def with_scopes(html: str) -> str:
    """Return HTML whose header cells say what they head; an empty one, as above pandas' index, heads nothing."""

    def of_columns(head: re.Match[str]) -> str:
        cells = EMPTY_HEADER.sub(r"<td\g<rest>>\g<blank></td>", head[0])
        return HEADER_CELL.sub('<th scope="col"', cells)

    html = HEAD.sub(of_columns, html)
    return BODY.sub(lambda body: HEADER_CELL.sub('<th scope="row"', body[0]), html)


def mend(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Give header cells their scopes, mark solutions, and drop a role that citations don't keep."""
    if "body" in context:
        body = with_scopes(context["body"]).replace(CITATIONS, '<div class="citation-list">')
        context["body"] = FOLDED.sub('<div class="cell solution tag_hide-cell', body)


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.connect("html-page-context", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
