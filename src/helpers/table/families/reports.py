"""What others have reported of a family's checkpoints: which aren't what their names say, and which are rightly equal.

A report is of revisions, whatever a run or a step is called here, and names the thread or page where it stands. What
nobody has reported isn't known to be right.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["identical", "mixed", "missing", "other start"]
MEANING: dict[Kind, str] = {
    "identical": "its weights are those of another revision",
    "mixed": "some of its shards are another revision's",
    "missing": "the repository lacks it, or its weights",
    "other start": "its weights aren't where the run's later checkpoints start from",
}


@dataclass(frozen=True)
class KnownBad:
    """Revisions that somebody has reported not to hold the weights their names promise.

    `said` is the report in a clause, `source` the thread or page, `reported` its date (ISO). `repository` is None where
    it is about every repository of the family. `mended` is the date since which the source says it is put right.
    """

    revisions: frozenset[str]
    kind: Kind
    said: str
    source: str
    reported: str
    repository: str | None = None
    mended: str | None = None

    def is_about(self, repository: str, revision: str | None) -> bool:
        """Tell whether a revision is among those reported."""
        return revision in self.revisions and self.repository in (None, repository)


@dataclass(frozen=True)
class Twins:
    """Revisions of one repository that rightly hold the same weights: `reason` says why, `source` who says so."""

    revisions: frozenset[str]
    reason: str
    source: str
    repository: str | None = None

    def allow(self, repository: str, revisions: frozenset[str]) -> bool:
        """Tell whether revisions may be equal."""
        return revisions <= self.revisions and self.repository in (None, repository)


def steps(*numbers: int) -> frozenset[str]:
    """Return the revisions of steps where these are called `step` and the number, as in Pythia."""
    return frozenset(f"step{number}" for number in numbers)
