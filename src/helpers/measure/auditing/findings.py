"""What an audit finds: of which revisions, what it saw, why that matters, and what explains it."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families.reports import MEANING, Kind, KnownBad

MAIN = "main"  # the revision that a repository shows first
MOST_NAMED = 6
# Each kind of finding and why it matters to whoever fits a law
WHY = {
    "mislabelled": "measured there, the end of training counts as an early step",
    "identical": "one set of weights counts at several numbers of tokens, of which one at most is right",
    "equal across runs": "runs that count as independent aren't",
    "mixed": "the model is of no step: its parts saw different numbers of tokens",
    "shared shard": "either it holds nothing that training changes, or it was uploaded for one step only",
    "index": "the index doesn't fit the files beside it: a shard is lacking, cut or of another upload",
    "missing": "the step can't be measured",
    "no weights": "the step can't be measured",
    "incomplete": "the model can't be loaded",
    "size": "a file is cut, or its numbers are stored in another format than the run's other steps",
    "only .bin": "a pickle can run code when it is read: it is read only where that is allowed",
    "both formats": "two files hold one set of weights; the safetensors are taken",
    "replaced": "rows measured before and after are of two models under one name; their commits tell which",
    "gated": "files are given only to who accepted the terms on the repository's page and has a token",
    "unreachable": "nothing is known of these revisions",
    "outlier": "a checkpoint that isn't the step it is called lies off its run's curve",
    "not seen": "the report may be mended: look at it, and take it off the list",
    "reported": "no hash can show it",
}
# Which kinds of findings show what is reported; "other start" none does
SHOWS: dict[Kind, set[str]] = {
    "identical": {"identical", "mislabelled", "equal across runs"},
    "mixed": {"mixed", "index"},
    "missing": {"missing", "no weights", "incomplete"},
    "other start": set(),
}


@dataclass(frozen=True)
class Moment:
    """A revision and what the catalogue says it is; `step` and `run` are None for a repository's main revision."""

    repository: str
    revision: str
    model: str | None = None
    run: str | None = None
    step: int | None = None
    train_seed: int | None = None
    branched_from: str | None = None
    branched_at_step: int | None = None

    @classmethod
    def of(cls, spec: CheckpointSpec) -> "Moment":
        """Return the moment that a checkpoint's description is of; of a trained family the run is the repository."""
        here = spec.revision is None
        return cls(
            spec.run if here else spec.location,
            f"step {spec.step}" if spec.revision is None else spec.revision,
            spec.model,
            spec.run,
            spec.step,
            spec.train_seed,
            spec.branched_from,
            spec.branched_at_step,
        )


@dataclass(frozen=True)
class Finding:
    """One line of a report: `revisions` of `repository` are those accused, `said` is what was seen.

    `explained` is None, or says why it is no fault, or who reported it already.
    """

    kind: str
    repository: str
    revisions: tuple[str, ...]
    said: str
    explained: str | None = None

    @property
    def why(self) -> str:
        """Return why a finding of this kind matters."""
        return WHY[self.kind]

    @property
    def line(self) -> str:
        """Return the finding in one line: what, where, why it matters, and what explains it."""
        explained = "" if self.explained is None else f" [{self.explained}]"
        return f"{self.kind}: {self.repository}: {self.said}; {self.why}{explained}"


def named(revisions: Sequence[str]) -> str:
    """Return revisions in words: some of many, in their order."""
    if len(revisions) <= MOST_NAMED:
        return ", ".join(revisions)
    return f"{len(revisions)} revisions ({', '.join(revisions[: MOST_NAMED - 3])} ... {revisions[-1]})"


def in_order(moments: Iterable[Moment]) -> list[Moment]:
    """Return moments by run and step, main revisions first."""
    return sorted(moments, key=lambda each: (each.repository, each.run or "", -1 if each.step is None else each.step))


def explained(finding: Finding, known: Sequence[KnownBad]) -> Finding:
    """Return a finding with the reports that explain it, if these name every revision it accuses."""
    if finding.explained is not None or not finding.revisions:
        return finding
    standing = [each for each in known if each.mended is None and finding.kind in SHOWS[each.kind]]
    about = {
        revision: [each for each in standing if each.is_about(finding.repository, revision)]
        for revision in finding.revisions
    }
    reports = (report for each in about.values() for report in each)
    sources = list(dict.fromkeys(f"{report.source}, {report.reported}" for report in reports))
    if not sources:
        return finding
    told = f"reported: {'; '.join(sources)}"
    if all(about.values()):
        return dataclasses.replace(finding, explained=told)
    new = [revision for revision in finding.revisions if not about[revision]]
    return dataclasses.replace(finding, said=f"{finding.said} (of these not reported yet: {named(new)}; others {told})")


def not_seen(known: Sequence[KnownBad], findings: Sequence[Finding], looked_at: dict[str, set[str]]) -> list[Finding]:
    """Return what was reported of revisions that were looked at, and isn't seen by their hashes.

    `looked_at` are the revisions of each repository whose files are known.
    """
    lines = []
    for report in known:
        if report.mended is not None:
            continue
        shown = [each for each in findings if each.kind in SHOWS[report.kind]]
        accused = {(each.repository, revision) for each in shown for revision in each.revisions}
        for repository, revisions in looked_at.items():
            here = [each for each in sorted(revisions) if report.is_about(repository, each)]
            quiet = tuple(each for each in here if (repository, each) not in accused)
            if not quiet:
                continue
            kind = "not seen" if SHOWS[report.kind] else "reported"
            said = f"{named(quiet)}: {report.source} reported on {report.reported} that {MEANING[report.kind]}"
            lines.append(Finding(kind, repository, quiet, said, f"reported: {report.source}, {report.reported}"))
    return lines
