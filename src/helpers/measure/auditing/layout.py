"""The weight files of one revision: which they are, whether they are all there, and whether their index fits."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.measure.auditing.findings import Finding, Moment, in_order, named
from helpers.measure.models.hub.revisions import HubFile, Revision

WEIGHTS = re.compile(
    r"(?P<stem>model|pytorch_model)(-(?P<number>\d{5})-of-(?P<total>\d{5}))?\.(?P<format>safetensors|bin)"
)
SAFE, PICKLE = "safetensors", "bin"
INDICES = {SAFE: "model.safetensors.index.json", PICKLE: "pytorch_model.bin.index.json"}
HEADER_BYTES = 2**22  # at most, of a shard beside its numbers: names and shapes
SHARE_OF_SIZE = 0.01  # by which weights may be larger or smaller than those of the run's other steps


@dataclass(frozen=True)
class Weights:
    """A revision's weight files of the format that is read: safetensors where there are any."""

    format: str | None  # None: no weights
    files: tuple[HubFile, ...]
    formats: frozenset[str]  # all that there are

    @property
    def hashes(self) -> dict[str, str]:
        """Return the files' addresses by name: SHA-256, or git's hash of what isn't kept as a large file."""
        return {file.name: file.address for file in self.files if file.address is not None}

    @property
    def n_bytes(self) -> int:
        """Return the size of all of them."""
        return sum(file.n_bytes or 0 for file in self.files)


def weights_of(revision: Revision) -> Weights:
    """Return the weight files in a revision's first folder."""
    by_format: dict[str, list[HubFile]] = defaultdict(list)
    for file in revision.files:
        if found := WEIGHTS.fullmatch(file.name):
            by_format[found["format"]].append(file)
    chosen = next((each for each in (SAFE, PICKLE) if by_format.get(each)), None)
    return Weights(chosen, tuple(by_format[chosen]) if chosen else (), frozenset(by_format))


def laid_out(revisions: Mapping[Moment, Revision]) -> list[Finding]:
    """Return what is to be said of the files of revisions, one line for all of a repository with the same fault."""
    faults: dict[tuple[str, str, str], list[Moment]] = defaultdict(list)
    for moment, revision in revisions.items():
        for kind, said in _faults(revision, weights_of(revision)):
            faults[moment.repository, kind, said].append(moment)
    return [_finding(kind, where, moments, said) for (where, kind, said), moments in faults.items()]


def _finding(kind: str, where: str, moments: Iterable[Moment], said: str) -> Finding:
    names = tuple(moment.revision for moment in in_order(moments))
    format_only = "what it is, not a fault" if kind in ("only .bin", "both formats") else None
    return Finding(kind, where, () if format_only else names, f"{named(names)}: {said}", format_only)


def _faults(revision: Revision, weights: Weights) -> list[tuple[str, str]]:
    """Return the kind of each fault of one revision's files and what to say of it."""
    if weights.format is None:
        return [("no weights", "no model.safetensors, pytorch_model.bin or shards of these")]
    faults = _of_shards([file.name for file in weights.files], INDICES[weights.format], revision)
    if weights.formats == {PICKLE}:
        faults.append(("only .bin", "the weights are there only as a pickle"))
    if len(weights.formats) > 1:
        faults.append(("both formats", "the weights are there as safetensors and as a pickle"))
    if revision.file("config.json") is None:
        faults.append(("incomplete", "no config.json"))
    return faults


def _of_shards(names: Sequence[str], index: str, revision: Revision) -> list[tuple[str, str]]:
    parts = [WEIGHTS.fullmatch(name) for name in names]
    totals = {int(part["total"] or 0) for part in parts if part is not None}  # 0: a single file
    if len(totals) > 1:
        return [("mixed", f"files of several divisions side by side ({named(sorted(names))})")]
    (total,) = totals
    if total == 0:
        return []
    numbers = {int(part["number"]) for part in parts if part is not None}
    lacking = sorted({*range(1, total + 1)} - numbers)
    faults = (
        [("incomplete", f"{len(numbers)} of {total} shards (not {named([str(n) for n in lacking])})")]
        if lacking
        else []
    )
    if revision.file(index) is None:
        faults.append(("incomplete", f"{total} shards without {index}"))
    return faults


def index_fault(index: Mapping[str, Any], weights: Weights) -> str | None:
    """Return how an index of shards doesn't fit the files beside it; None where it does.

    The numbers that it counts (`total_size`, bytes) are the files' without their headers.
    """
    where = index.get("weight_map")
    if not isinstance(where, dict) or not where:
        return "the index names no tensor"
    there = {file.name for file in weights.files}
    named_there = {str(name) for name in where.values()}
    if lacking := sorted(named_there - there):
        return f"the index names {named(lacking)}, which isn't there"
    if more := sorted(there - named_there):
        return f"{named(more)} isn't in the index"
    metadata = index.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    if not isinstance(total, int) or isinstance(total, bool):
        return None
    over = weights.n_bytes - total
    if 0 <= over <= HEADER_BYTES * max(1, len(there)):
        return None
    return f"the index counts {total:,} bytes of numbers, the files have {weights.n_bytes:,}"


def other_sizes(weights: Mapping[Moment, Weights]) -> list[Finding]:
    """Return the revisions whose weights are larger or smaller than those of most of their run's steps."""
    findings = []
    for run in dict.fromkeys(moment.run for moment in weights if moment.run is not None):
        sizes = {moment: each.n_bytes for moment, each in weights.items() if moment.run == run and each.files}
        if not sizes:
            continue
        usual, count = Counter(sizes.values()).most_common(1)[0]
        other = {moment: n for moment, n in sizes.items() if abs(n - usual) > SHARE_OF_SIZE * usual}
        if count < 2 or not other:
            continue
        by_repository: dict[str, list[Moment]] = defaultdict(list)
        for moment in in_order(other):
            by_repository[moment.repository].append(moment)
        for repository, moments in by_repository.items():
            names = tuple(moment.revision for moment in moments)
            found = named([f"{other[moment]:,}" for moment in moments])
            findings.append(Finding("size", repository, names, f"{named(names)}: {found} bytes, most steps {usual:,}"))
    return findings
