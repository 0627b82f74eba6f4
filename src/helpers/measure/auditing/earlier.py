"""An earlier audit's JSON, and the revisions whose weights are others since: uploaded again under the same name."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.measure.auditing.findings import Finding, named
from helpers.measure.auditing.layout import weights_of
from helpers.measure.models.hub.revisions import Revision
from helpers.table.errors import ResultsError
from helpers.table.readers import ReadError, read_json_mapping
from helpers.table.records import refuse_unknown, verified
from helpers.table.words import shown

REPORT = (
    *("family", "made_at", "n_repositories", "n_revisions", "n_listed", "n_curves", "n_unexplained"),
    *("findings", "revisions"),
)
ENTRY = ("repository", "revision", "commit", "weights", "n_bytes")


@dataclass(frozen=True)
class Earlier:
    """An audit of the day `made_on` (ISO): the hashes of the weight files of each repository's revisions then."""

    made_on: str
    weights: dict[tuple[str, str], dict[str, str]]


def read(path: Path) -> Earlier:
    """Read the JSON that an audit wrote. Raises ResultsError for what isn't one."""
    try:
        content = verified(read_json_mapping(path))
        refuse_unknown(content, REPORT)
        made_at, entries = content["made_at"], content["revisions"]
        if not isinstance(made_at, str) or not isinstance(entries, list):
            raise ReadError(f"'made_at' is {shown(made_at)}, 'revisions' {shown(entries)}")
        return Earlier(made_at[:10], dict(map(_entry, entries)))
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from None
    except KeyError as error:
        raise ResultsError(f"{path}: not an audit's JSON (no {error})") from None
    except ValueError as error:
        raise ResultsError(f"{path}: not an audit's JSON ({error})") from None


def _entry(entry: Any) -> tuple[tuple[str, str], dict[str, str]]:
    if not isinstance(entry, dict):
        raise ReadError(f"{shown(entry)} where a mapping is expected")
    refuse_unknown(entry, ENTRY)
    names, weights = (entry["repository"], entry["revision"]), entry["weights"]
    if not isinstance(weights, dict):
        raise ReadError(f"'weights' is {shown(weights)}; accepted: a mapping")
    wrong = next((each for each in (*names, *weights.values()) if not isinstance(each, str)), None)
    if wrong is not None:
        raise ReadError(f"{shown(wrong)} where a text is expected")
    return names, weights


def replaced(earlier: Earlier, revisions: Iterable[Revision]) -> list[Finding]:
    """Return the revisions whose weights were others at an earlier audit, a line a repository."""
    others: dict[str, list[str]] = defaultdict(list)
    for revision in revisions:
        before = earlier.weights.get((revision.repository, revision.revision))
        if before is not None and {*before.values()} != {*weights_of(revision).hashes.values()}:
            others[revision.repository].append(revision.revision)
    return [
        Finding("replaced", where, tuple(each), f"{named(each)}: other weights than on {earlier.made_on}")
        for where, each in others.items()
    ]
