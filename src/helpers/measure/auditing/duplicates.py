"""Equal weights among revisions: from the hashes of their files alone.

Every rule is about sets of hashes. Revisions are of one class when they have the same set; a class of several revisions
is a finding, unless it is main beside the last step of a run, and is explained where the catalogue says why. Two
classes that share a part of their hashes are mixed shards.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from helpers.measure.auditing.findings import Finding, Moment, in_order, named
from helpers.table.families.reports import Twins

Hashes = Mapping[Moment, Mapping[str, str]]  # of the weight files of each moment, by name
Class = frozenset[str]
MANY = 4  # classes from which on a shard in more than half of them is no one's own


def duplicated(hashes: Hashes, twins: Sequence[Twins] = ()) -> list[Finding]:
    """Return the findings of whole revisions that are equal: within a repository, then across runs."""
    last = last_steps(hashes)
    findings = []
    for members in classes(hashes).values():
        members = in_order(members)
        runs = list(dict.fromkeys(moment.run for moment in members if moment.run is not None))
        across = _across([moment for moment in members if moment.run is not None]) if len(runs) > 1 else None
        for run in runs:
            # where runs are rightly equal, another run's end says nothing of this run's steps
            own = {run, None} if across is not None and across.explained is not None else {*runs, None}
            ends = [each for each in members if each.run in own and (each.step is None or each in last)]
            findings += _within([each for each in members if each.run == run], ends, twins)
        findings += [] if across is None else [across]
    return findings


def mixed(hashes: Hashes) -> list[Finding]:
    """Return the findings of revisions that share some of their files with another one, and not all."""
    last = last_steps(hashes)
    findings = []
    for repository in dict.fromkeys(moment.repository for moment in hashes):
        here = {moment: files for moment, files in hashes.items() if moment.repository == repository}
        findings += _twice(repository, here)
        holders: dict[str, dict[Class, list[Moment]]] = defaultdict(dict)
        known = classes(here)
        for each, members in known.items():
            for sha256 in each:
                holders[sha256][each] = members
        groups: dict[tuple[Class, ...], list[str]] = defaultdict(list)  # which classes share which files
        for sha256, sharing in holders.items():
            if len(sharing) > 1:
                groups[tuple(sharing)].append(sha256)
        for sharing_classes, shared in groups.items():
            sharers = [known[each] for each in sharing_classes]
            findings.append(_sharing(repository, here, shared, sharers, len(known), last))
    return findings


def classes(hashes: Hashes) -> dict[Class, list[Moment]]:
    """Return the moments of each set of hashes, in the order they are given; moments without files are left out."""
    found: dict[Class, list[Moment]] = defaultdict(list)
    for moment, files in hashes.items():
        if files:
            found[frozenset(files.values())].append(moment)
    return dict(found)


def last_steps(moments: Iterable[Moment]) -> set[Moment]:
    """Return the moments that are the end of their run: its last steps, but for a run that is one step 0."""
    last: dict[str, Moment] = {}
    for moment in moments:
        if moment.run is not None and moment.step and moment.step >= (last.get(moment.run, moment).step or 0):
            last[moment.run] = moment
    return set(last.values())


def _within(steps: list[Moment], ends: list[Moment], twins: Sequence[Twins]) -> list[Finding]:
    """Return what is to be said of equal steps of one run; `ends` are the ends of training that are equal to them."""
    others = [moment for moment in steps if moment not in ends]
    if not others or len(others) + len(ends) < 2:
        return []
    repository = others[0].repository
    allowed = next((each for each in twins if each.allow(repository, _revisions(steps))), None)
    if ends:
        kind, accused = "mislabelled", others
        said = f"{_names(others, repository)} {_have(others)} the weights of {_names(ends, repository)}"
    else:
        # of three steps of which two may be equal, the third is wrong
        right = [each for each in steps if any(twin.allow(repository, _revisions([each])) for twin in twins)]
        kind, accused = "identical", [each for each in steps if each not in right] if len(right) > 1 else steps
        said = f"{_names(steps, repository)} have the same weights"
    if allowed is not None and not ends:
        return [Finding("identical", repository, (), said, f"{allowed.reason} ({allowed.source})")]
    return [Finding(kind, repository, tuple(each.revision for each in accused if each.repository == repository), said)]


def _revisions(moments: Iterable[Moment]) -> frozenset[str]:
    return frozenset(each.revision for each in moments)


def _have(moments: list[Moment]) -> str:
    return "has" if len(moments) == 1 else "have"


def _names(moments: list[Moment], repository: str) -> str:
    return named(
        [each.revision if each.repository == repository else f"{each.repository} {each.revision}" for each in moments]
    )


def _across(steps: list[Moment]) -> Finding:
    """Return what is to be said of equal steps of several runs."""
    said = named([f"{moment.run} {moment.revision}" for moment in steps]) + " have the same weights"
    first = steps[0]
    return Finding("equal across runs", first.repository, (first.revision,), said, _reason(steps))


def _reason(steps: list[Moment]) -> str | None:
    """Return why runs are rightly equal at these steps, or None."""
    if all(each.step == 0 for each in steps):
        seeds = {each.train_seed for each in steps}
        if seeds == {None}:
            return "before the first update; whether these runs share a seed isn't known"
        return "before the first update, runs of one size and one seed are equal" if len(seeds) == 1 else None
    branches = {each.branched_from: each.branched_at_step for each in steps if each.branched_from is not None}
    shared = {each.step for each in steps}
    if len(shared) == 1 and all(
        each.run in branches or (each.branched_at_step is not None and (each.step or 0) <= each.branched_at_step)
        for each in steps
    ):
        return "a run is equal to the one it goes on from, up to where it leaves it"
    return None


def _twice(repository: str, here: Hashes) -> list[Finding]:
    """Return the findings of revisions in which two files are one."""
    accused = [moment.revision for moment in in_order(here) if len({*here[moment].values()}) < len(here[moment])]
    if not accused:
        return []
    return [Finding("mixed", repository, tuple(accused), f"{named(accused)}: two of its shards are the same file")]


def _sharing(
    repository: str,
    here: Hashes,
    shared: list[str],
    members: list[list[Moment]],
    n_classes: int,
    last: set[Moment],
) -> Finding:
    """Return what is to be said of classes that share some files: who is accused, and whose these are."""
    everyone = in_order(moment for each in members for moment in each)
    files = sorted({name for moment in everyone for name, sha256 in here[moment].items() if sha256 in shared})
    which = f"{named(files)} of {max(len(here[moment]) for moment in everyone)} shards"
    ends = [each for each in members if any(moment.step is None or moment in last for moment in each)]
    if n_classes >= MANY and len(members) * 2 > n_classes:
        said = f"{which} is the same in {len(everyone)} revisions with different other shards"
        return Finding("shared shard", repository, tuple(each.revision for each in everyone), said)
    if ends and len(ends) < len(members):
        owners = in_order(moment for each in ends for moment in each if moment.step is None or moment in last)
        accused = [moment for moment in everyone if not any(moment in each for each in ends)]
        said = f"{named([each.revision for each in accused])}: {which} of {_names(owners, repository)}"
        return Finding("mixed", repository, tuple(each.revision for each in accused), said)
    said = f"{named([each.revision for each in everyone])} share {which} and not the others"
    return Finding("mixed", repository, tuple(each.revision for each in everyone), said)
