"""The report as one HTML page: no file beside it, no request, light and dark, readable aloud and printable."""

import html
from collections.abc import Sequence
from itertools import groupby

from helpers.analyse.judgement.one_model import Finding
from helpers.show.report_cells import cells, headings
from helpers.show.report_drawing import drawing
from helpers.show.report_subject import Subject

STYLE = """
:root { color-scheme: light dark; --paper: #fafaf7; --ink: #23272e; --faint: #6a6f77; --line: #c9ccd1; --mark: #0b5fa5;
  --band: #f3d9b1; }
@media (prefers-color-scheme: dark) { :root { --paper: #16191d; --ink: #e6e7e9; --faint: #a4a9b1; --line: #454a52;
  --mark: #7cc0ff; --band: #5b4523; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { color: var(--faint); padding: .4rem 0; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.wide td { overflow-wrap: normal; white-space: nowrap; }
.wide td:first-child, .wide td:last-child { overflow-wrap: anywhere; white-space: normal; }
.wide td:first-child { min-width: 7rem; } .wide td:last-child { min-width: 16rem; }
.wide caption { left: 0; max-width: calc(100vw - 2rem); position: sticky; }
svg { height: auto; max-width: 100%; min-width: 40rem; width: 47.5rem; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
.grid { stroke: var(--line); } .bar { stroke: var(--mark); stroke-width: 2; }
.mark { fill: var(--mark); } .hollow { fill: var(--paper); stroke: var(--mark); stroke-width: 2; }
.band { fill: var(--band); }
figure { margin: 1rem 0; } figcaption { color: var(--faint); }
@media print { :root { --paper: #fff; --ink: #000; --faint: #333; --line: #999; --mark: #000; --band: #ddd; }
  body { margin: 0; max-width: none; } .wide { overflow: visible; } tr, figure { break-inside: avoid; } }
"""
CAPTION = (
    "One row is one way of rounding on one text. QiD is the loss that rounding adds, in nats a token, with one standard"
    " error, paired by document."
)
FIGURE = (
    "Dots are QiD, lines two standard errors to each side, hollow dots indistinguishable from no loss. A wide bar is"
    " what the default law expects of a new training run, at 90%."
)


def page(found: Sequence[Finding], subject: Subject) -> str:
    """Return the whole page. Every text from outside is escaped."""
    title = html.escape(f"What rounding does to {subject.name}")
    by_text = [list(each) for _, each in groupby(found, key=lambda one: one.text)]
    pictures = [_picture(each, number) for number, each in enumerate(by_text)]
    facts = "".join(
        f'<tr><th scope="row">{html.escape(n)}</th><td>{html.escape(v)}</td></tr>' for n, v in subject.facts
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in subject.notes)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f"<h2>Findings</h2>\n{_table(found)}\n{''.join(pictures)}"
        f"<h2>What was measured, and with what</h2>\n<table><caption>Where these figures come from</caption>{facts}"
        f"</table>\n<ul>{notes}</ul>\n</main>\n</body>\n</html>\n"
    )


def _table(found: Sequence[Finding]) -> str:
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in headings(found))
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in cells(found))
    table = f"<table><caption>{CAPTION}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return _wide("Findings", table)


def _wide(name: str, content: str) -> str:
    """Return content in a region that scrolls where the page is narrow, and so must be reachable by keyboard."""
    return f'<div class="wide" role="region" aria-label="{name}" tabindex="0">{content}</div>'


def _picture(found: Sequence[Finding], number: int) -> str:
    picture = drawing(found, number)
    if not picture:
        return ""
    caption = f"{html.escape(found[0].text)}. {FIGURE}"
    region = _wide(f"Picture of {html.escape(found[0].text)}", picture)
    return f"<figure>{region}<figcaption>{caption}</figcaption></figure>\n"
