"""Text from data inside displayed Markdown: it is shown, and says nothing to Markdown or to the browser."""

import html
import re

from helpers.table.words import visible

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$^:-])")


def plain(text: object) -> str:
    """Return a text (an error's message, say) for Markdown to show as it is."""
    return SPECIAL.sub(r"\\\1", html.escape(visible(str(text)), quote=False))


def code(text: object) -> str:
    """Return a name in the type of code, between more backticks than it has one after another."""
    name = visible(str(text))
    ticks = "`" * (1 + max(map(len, re.findall("`+", name)), default=0))
    room = " " if name[:1] + name[-1:] != (name[:1] + name[-1:]).strip("` ") else ""
    return f"{ticks}{room}{name}{room}{ticks}"
