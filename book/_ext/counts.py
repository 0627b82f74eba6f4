"""Sphinx extension: counts that are glued into a sentence are written as one writes them.

"9 of 9 sizes" becomes "all nine sizes", "0 of 6" "none of six", "1 of the 48 cells" "one of the 48 cells"; other counts
stay digits, which are easier to compare. Chapters glue the numbers alone, and every page has the same words.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
BETWEEN = re.compile(r"\s+of(\s+(the|its|their))?\s+")
AFTER_NONE = re.compile(r"\s+(?:of|are|is|have|has|leave|fall|rise|hold)\b")
SENTENCE_ENDS = re.compile(r"(?:^|[.!?]\s)$")


def in_words(count: int) -> str:
    """Return a count as a word up to twelve, and in digits beyond."""
    return WORDS[count] if count < len(WORDS) else str(count)


def share(count: int, total: int, between: str) -> tuple[str, str, str] | None:
    """Return "count of total" in words as three parts, the second being what stands between; None where digits stay."""
    if total > 1 and count == total:
        return "all", re.sub(r"^\s+of", "", between), in_words(total)
    if count == 0:
        return "none", between, in_words(total)
    return ("one", between, in_words(total)) if count == 1 < total else None


def whole(node: nodes.Node | None) -> int | None:
    """Return the whole number that is glued at a node; None for anything else."""
    glued = isinstance(node, nodes.inline) and "pasted-text" in node["classes"] and re.fullmatch(r"\d+", node.astext())
    return int(node.astext()) if glued else None


def put(node: nodes.Element, text: str, before: str) -> None:
    """Write text at a glued number, with a capital where a sentence begins."""
    node.children = [nodes.Text(text[:1].upper() + text[1:] if SENTENCE_ENDS.search(before) else text)]


def joined(parent: nodes.Element) -> None:
    """Join neighbouring texts of a paragraph: a line's end is one of its own."""
    for text in list(parent.children):
        before = parent.children[at - 1] if (at := parent.index(text)) else None
        if isinstance(text, nodes.Text) and isinstance(before, nodes.Text):
            parent.remove(before)
            parent.replace(text, nodes.Text(before.astext() + text.astext()))


def in_sentence(parent: nodes.Element) -> None:
    """Write the counts among the children of a paragraph."""
    joined(parent)
    parts = parent.children
    for at, node in enumerate(parts):
        count, after = whole(node), parts[at + 1] if at + 1 < len(parts) else None
        if count is None or not isinstance(after, nodes.Text):
            continue
        before = "".join(part.astext() for part in parts[:at])
        total = whole(parts[at + 2]) if at + 2 < len(parts) and BETWEEN.fullmatch(after.astext()) else None
        said = share(count, total, after.astext()) if total is not None else None
        if said:
            put(node, said[0], before)
            parent.replace(after, nodes.Text(said[1]))
            put(parts[at + 2], said[2], "x")
        elif count == 0 and total is None and AFTER_NONE.match(after.astext()):
            put(node, "none", before)


def write_counts(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Write the counts of a page."""
    for parent in list(doctree.findall(lambda node: isinstance(node, nodes.paragraph | nodes.caption))):
        in_sentence(parent)


def setup(app: Sphinx) -> dict:
    """Register with Sphinx; after values are glued into the text, before a page is described by it."""
    app.connect("doctree-resolved", write_counts, priority=850)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
