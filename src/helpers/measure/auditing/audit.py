"""An audit: every revision that a family's catalogue names, held against the others by what the Hub lists.

What can't be had is a finding, not an error. A trained family's manifest says its hashes itself, so it is audited
without any network.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from helpers.measure.auditing import duplicates, layout, measured
from helpers.measure.auditing.earlier import Earlier, replaced
from helpers.measure.auditing.findings import MAIN, Finding, Moment, explained, in_order, named, not_seen
from helpers.measure.auditing.layout import INDICES, Weights, index_fault, weights_of
from helpers.measure.auditing.trees import Listed, listed, tree
from helpers.measure.models.hub.kept import small_files
from helpers.measure.models.hub.revisions import GATED, NO_REPOSITORY, UNREACHABLE, HubError, Revision
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families.catalogue import HUB_FAMILIES, checkpoints
from helpers.table.readers import read_json_mapping

PATIENCE = 3  # repositories in a row that can't be reached, after which no other is asked for


@dataclass(frozen=True)
class Audit:
    """What was looked at, at which time (ISO, UTC), and what was found; those without an explanation first."""

    family: str
    made_at: str
    n_repositories: int
    n_revisions: int  # that the catalogue names
    n_curves: int
    revisions: tuple[Revision, ...]  # whose files are known
    findings: tuple[Finding, ...]

    @property
    def unexplained(self) -> tuple[Finding, ...]:
        """Return the findings that nothing explains."""
        return tuple(each for each in self.findings if each.explained is None)


@dataclass
class Seen:
    """What the Hub listed: the files of moments, and what couldn't be had."""

    revisions: dict[Moment, Revision] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def audit(
    family: str,
    models: list[str] | None,
    runs: list[str] | None,
    tables: tuple[Path, Path],
    console: Console,
    since: Earlier | None = None,
) -> Audit:
    """Return the audit of a family on the Hub, by name, or of a trained one, by its folder; of some models or runs.

    `tables` are those of measurements and of checkpoints, whose curves are looked at where they are there; `since` is
    an earlier audit, whose weights should still be there. Raises SpecError for what the catalogue doesn't have,
    ResultsError for a table that can't be read.
    """
    specs = checkpoints(family, models, None, family, runs)
    moments = [Moment.of(spec) for spec in specs]
    of_hub = HUB_FAMILIES.get(family)
    if of_hub is None:
        seen, hashes = Seen(), _described(specs)
    else:
        seen = look(moments, console)
        hashes = {moment: weights_of(revision).hashes for moment, revision in seen.revisions.items()}
    curves = measured.curves_of(specs[0].family if specs else family, *tables)
    found = [*seen.findings, *layout.laid_out(seen.revisions), *_indices(seen.revisions)]
    found += layout.other_sizes({moment: weights_of(each) for moment, each in seen.revisions.items()})
    twins, known = ((), ()) if of_hub is None else (of_hub.twins, of_hub.known_bad)
    found += [*duplicates.duplicated(hashes, twins), *duplicates.mixed(hashes), *measured.outliers(curves, moments)]
    found += [] if since is None else replaced(since, seen.revisions.values())
    found = [explained(each, known) for each in found]
    found += not_seen(known, found, _looked_at(seen))
    return Audit(
        family,
        datetime.now(UTC).isoformat(timespec="seconds"),
        len({moment.repository for moment in moments}),
        len(moments),
        len(curves),
        tuple(seen.revisions[moment] for moment in in_order(seen.revisions)),
        tuple(sorted(found, key=lambda each: each.explained is not None)),
    )


def _described(specs: Sequence[CheckpointSpec]) -> dict[Moment, dict[str, str]]:
    """Return the hashes that a trained family's manifest has."""
    return {Moment.of(spec): {"weights": spec.weights_sha256} for spec in specs if spec.weights_sha256 is not None}


def _looked_at(seen: Seen) -> dict[str, set[str]]:
    """Return the revisions of each repository whose files are known, or known not to be there."""
    looked: dict[str, set[str]] = defaultdict(set)
    for moment in seen.revisions:
        looked[moment.repository].add(moment.revision)
    for finding in seen.findings:
        if finding.kind == "missing":
            looked[finding.repository] |= {*finding.revisions}
    return looked


def look(moments: Sequence[Moment], console: Console) -> Seen:
    """Return the files of moments and of each repository's main, as the Hub lists them now."""
    seen, silent = Seen(), 0
    by_repository: dict[str, list[Moment]] = defaultdict(list)
    for moment in moments:
        by_repository[moment.repository].append(moment)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("listed", total=len(moments))
        for repository, here in by_repository.items():
            if silent >= PATIENCE:
                seen.findings.append(_unreachable(here, "not asked: the Hub can't be reached"))
                continue
            reached = _look_into(repository, here, seen, lambda: bar.advance(task))
            silent = 0 if reached else silent + 1
    return seen


def _unreachable(moments: Sequence[Moment], said: str) -> Finding:
    names = tuple(moment.revision for moment in in_order(moments))
    return Finding("unreachable", moments[0].repository, names, f"{named(names)}: {said}")


def _look_into(repository: str, moments: Sequence[Moment], seen: Seen, tell: Callable[[], None]) -> bool:
    """Add a repository's files to what is seen; return whether it could be reached to the end."""
    try:
        there = listed(repository)
    except HubError as error:
        seen.findings.append(_refused(moments, error))
        return error.standing != UNREACHABLE
    if there.gated:
        said = "the files of this repository are gated"
        seen.findings.append(Finding("gated", repository, (), said, "its lists are open, so it was audited"))
    lacking = [moment for moment in moments if there.commit(moment.revision) is None]
    if lacking:
        names = tuple(moment.revision for moment in in_order(lacking))
        seen.findings.append(Finding("missing", repository, names, f"{named(names)}: no such branch, tag or commit"))
    wanted = [moment for moment in moments if moment not in lacking]
    if MAIN in there.commits and len(moments) > 1 and all(moment.revision != MAIN for moment in moments):
        wanted.append(Moment(repository, MAIN))  # a repository of one step is that step
    return _look_at(wanted, there, seen, tell)


def _look_at(moments: Sequence[Moment], there: Listed, seen: Seen, tell: Callable[[], None]) -> bool:
    for number, moment in enumerate(moments):
        try:
            found = tree(there.repository, moment.revision, there.commits.get(moment.revision, moment.revision))
        except HubError as error:
            left = [moment, *moments[number + 1 :]] if error.standing in (UNREACHABLE, GATED) else [moment]
            seen.findings.append(_refused(left, error))
            if len(left) > 1 or error.standing == UNREACHABLE:
                return error.standing != UNREACHABLE
            continue
        seen.revisions[moment] = found
        tell()
    return True


def _refused(moments: Sequence[Moment], error: HubError) -> Finding:
    """Return the finding of revisions whose files the Hub doesn't list."""
    names = tuple(moment.revision for moment in in_order(moments))
    if error.standing == NO_REPOSITORY:
        return Finding("missing", moments[0].repository, names, f"{named(names)}: {NO_REPOSITORY}")
    if error.standing != GATED:
        return _unreachable(moments, str(error))
    return Finding("gated", moments[0].repository, names, f"{named(names)}: not even listed without access")


def _indices(revisions: Mapping[Moment, Revision]) -> list[Finding]:
    """Return the revisions whose index of shards doesn't fit their files; an index is fetched once a content."""
    faults: dict[tuple[str, str], list[str]] = defaultdict(list)
    for moment in in_order(revisions):
        revision, weights = revisions[moment], weights_of(revisions[moment])
        name = INDICES.get(weights.format or "")
        if name is not None and revision.file(name) is not None and len(weights.files) > 1:
            fault = _index_fault(revision, name, weights)
            if fault is not None:
                faults[moment.repository, fault].append(moment.revision)
    return [Finding("index", where, tuple(each), f"{named(each)}: {said}") for (where, said), each in faults.items()]


def _index_fault(revision: Revision, name: str, weights: Weights) -> str | None:
    try:
        path = small_files(revision, [name]) / name
        return index_fault(read_json_mapping(path), weights)
    except HubError as error:
        return f"{name} can't be had ({error.standing})"
    except ValueError as error:
        return f"{name} isn't JSON ({error})"
