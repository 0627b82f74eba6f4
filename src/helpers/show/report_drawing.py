"""A drawing of findings as inline SVG: QiD with its error and what was expected, a line a scheme, on a log axis."""

import html
import math
from collections.abc import Sequence

from helpers.analyse.judgement.one_model import CLEAR, Finding

WIDTH, LEFT, RIGHT, LINE, TOP = 760, 300, 20, 26, 14  # pixels
FOOT = 44


def drawing(found: Sequence[Finding], number: int) -> str:
    """Return an SVG element for the findings of one text; empty where none has a QiD above zero.

    What isn't above zero, or not clearly, stands as a hollow mark at the left end of the axis. `number` makes its ids
    its own on the page.
    """
    shown = [each for each in found if each.qid_nats is not None]
    positive = [each.qid_nats for each in shown if each.qid_nats is not None and each.qid_nats > 0]
    if not positive:
        return ""
    low, high = _decades(positive, shown)
    height = TOP + LINE * len(shown) + FOOT
    marks = [_mark(each, TOP + LINE * (i + 0.5), low, high) for i, each in enumerate(shown)]
    said = "; ".join(f"{each.scheme} {each.qid_nats:.4g}" for each in shown)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title-{number} said-{number}">'
        f'<title id="title-{number}">QiD by scheme on {html.escape(shown[0].text)}</title>'
        f'<desc id="said-{number}">{html.escape(said)}, nats a token</desc>'
        f"{_axis(low, high, height)}{''.join(marks)}</svg>"
    )


def _decades(positive: Sequence[float], shown: Sequence[Finding]) -> tuple[int, int]:
    """Return the powers of ten between which the axis lies."""
    bands = [end for each in shown if each.expected for end in (each.expected.low_nats, each.expected.high_nats)]
    ends = [*positive, *(end for end in bands if math.isfinite(end) and end > 0)]
    low, high = math.floor(math.log10(min(ends))), math.ceil(math.log10(max(ends)))
    return max(low, high - 7), max(high, low + 1)


def _place(value: float, low: int, high: int) -> float:
    share = (math.log10(max(value, 10.0**low)) - low) / (high - low)
    return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def _axis(low: int, high: int, height: int) -> str:
    foot = height - FOOT
    lines = []
    for power in range(low, high + 1):
        x = _place(10.0**power, low, high)
        lines.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{foot}"/>')
        lines.append(f'<text x="{x:.1f}" y="{foot + 16}" text-anchor="middle">{10.0**power:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(f'<text x="{middle:.0f}" y="{foot + 36}" text-anchor="middle">QiD, nats a token</text>')
    return "".join(lines)


def _mark(each: Finding, y: float, low: int, high: int) -> str:
    qid, error = each.qid_nats or 0.0, CLEAR * (each.qid_se_nats or 0.0)
    parts = [f'<text x="{LEFT - 10}" y="{y + 4:.0f}" text-anchor="end">{html.escape(each.scheme)}</text>']
    if each.expected and math.isfinite(each.expected.low_nats) and math.isfinite(each.expected.high_nats):
        start, end = (_place(value, low, high) for value in (each.expected.low_nats, each.expected.high_nats))
        parts.append(f'<rect class="band" x="{start:.1f}" y="{y - 8:.0f}" width="{end - start:.1f}" height="16"/>')
    start, end = (_place(value, low, high) for value in (qid - error, qid + error))
    parts.append(f'<line class="bar" x1="{start:.1f}" x2="{end:.1f}" y1="{y:.0f}" y2="{y:.0f}"/>')
    kind = "mark" if qid > error else "hollow"
    parts.append(f'<circle class="{kind}" cx="{_place(qid, low, high):.1f}" cy="{y:.0f}" r="5"/>')
    return "".join(parts)
