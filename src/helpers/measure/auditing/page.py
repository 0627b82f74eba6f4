"""An audit as a page in Markdown and as JSON: dated, one line a finding, and what every revision was then."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from helpers.measure.auditing import measured, trajectories
from helpers.measure.auditing.audit import Audit
from helpers.measure.auditing.findings import WHY, Finding
from helpers.measure.auditing.layout import weights_of
from helpers.table import disk
from helpers.table.records import summed
from helpers.table.words import visible

MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>#|"})


def write(audit: Audit, folder: Path) -> tuple[Path, Path]:
    """Write the page and the JSON into a folder, named by family and day; return their paths.

    A second audit of the same day takes the first one's place. Raises ResultsError where the disk refuses.
    """
    name = f"audit-{Path(audit.family).name}-{audit.made_at[:10]}"
    paths = folder / f"{name}.md", folder / f"{name}.json"
    told = json.dumps(summed(as_json(audit)), indent=1, allow_nan=False)
    for path, content in zip(paths, (markdown(audit), f"{told}\n"), strict=True):
        with disk.exclusive(path, disk.PATIENCE_SECONDS, "writing"):
            disk.write_atomically(path, content.encode())
    return paths


def as_json(audit: Audit) -> dict[str, Any]:
    """Return an audit as JSON: its counts, its findings, and each revision's commit and weight files then."""
    return {
        "family": audit.family,
        "made_at": audit.made_at,
        "n_repositories": audit.n_repositories,
        "n_revisions": audit.n_revisions,
        "n_listed": len(audit.revisions),
        "n_curves": audit.n_curves,
        "n_unexplained": len(audit.unexplained),
        "findings": [asdict(each) | {"why": each.why} for each in audit.findings],
        "revisions": [
            {
                "repository": each.repository,
                "revision": each.revision,
                "commit": each.commit,
                "weights": weights_of(each).hashes,
                "n_bytes": weights_of(each).n_bytes,
            }
            for each in audit.revisions
        ],
    }


def summary(audit: Audit) -> str:
    """Return what was looked at and how much was found, in a sentence."""
    return (
        f"{audit.family}: {len(audit.revisions)} revisions listed ({audit.n_revisions} in the catalogue, "
        f"{audit.n_repositories} repositories), {audit.n_curves} curves; "
        f"{len(audit.findings)} found, {len(audit.unexplained)} unexplained"
    )


def markdown(audit: Audit) -> str:
    """Return the page."""
    open_ones = list(audit.unexplained)
    closed = [each for each in audit.findings if each.explained is not None]
    kinds = dict.fromkeys(each.kind for each in audit.findings)
    parts = [
        f"# Audit of {_plain(audit.family)}, {audit.made_at[:10]}",
        f"{_plain(summary(audit))}. Made {audit.made_at} from lists of files; no weights were downloaded.",
        "## Unexplained",
        _lines(open_ones) or "None.",
        "## Explained",
        _lines(closed) or "None.",
        "## Why it matters",
        "\n".join(f"- **{kind}**: {WHY[kind]}." for kind in kinds) or "Nothing was found.",
        "## How it was judged",
        _rules(),
    ]
    return "\n\n".join(parts) + "\n"


def _lines(findings: Iterable[Finding]) -> str:
    lines = []
    for each in findings:
        explained = "" if each.explained is None else f" *{_plain(each.explained)}*"
        lines.append(f"- **{each.kind}**, {_plain(each.repository)}: {_plain(each.said)}.{explained}")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a text as Markdown that shows it: names come from the Hub."""
    return visible(text).translate(MARKUP)


def _rules() -> str:
    return (
        "Revisions are equal where the SHA-256 of all their weight files are (safetensors where there are any, else "
        "`.bin`). A step that is equal to `main` or to its run's last step is mislabelled; of other equal steps one "
        "at most is right. Shards that two revisions share while their other shards differ are mixed. Equal weights "
        "with other bytes (another order of tensors, another format) are not seen.\n\n"
        "A measured point is off its run's curve where it lies outside what its two neighbours span by more than "
        f"{trajectories.SPREADS:g} robust spreads and more than {measured.LEAST_NATS:g} nats of loss or "
        f"{measured.LEAST_LOG:.0%} of the weights' size; the spread is {trajectories.GAUSSIAN:g} times the median "
        "distance of points from the line between their neighbours over log(1 + step), of all points or of the "
        f"{trajectories.NEAREST} on either side, whichever is more."
    )
