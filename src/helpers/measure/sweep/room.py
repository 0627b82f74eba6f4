"""The room that a sweep's downloads take on the disk: held to a budget, two lots at a time, and freed behind it."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from helpers.measure.models.hub import kept
from helpers.measure.models.hub.standing import Asked, Standing, standings
from helpers.measure.models.hub.storage import SHARED, Storage
from helpers.measure.sweep.jobs import Job
from helpers.table.errors import SpecError
from helpers.table.records import digest, given

GIB = 2**30


def on_hub(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs whose weights come from the Hub."""
    return [job for job in jobs if job.checkpoint.revision is not None]


def standings_of(jobs: Sequence[Job], storage: Storage = SHARED) -> dict[Job, Standing]:
    """Return how the checkpoints of those jobs stand whose weights come from the Hub."""
    wanted = on_hub(jobs)
    asked = [
        Asked(
            job.checkpoint.location,
            given(job.checkpoint.revision),
            job.checkpoint.n_params_total,
            job.from_pickle,
        )
        for job in wanted
    ]
    return dict(zip(wanted, standings(asked, storage), strict=True))


def most_at_once(lots: Sequence[Sequence[Job]], standing: dict[Job, Standing]) -> int:
    """Return the most bytes that a sweep's downloads take at once: one lot is measured while the next one comes."""
    sizes = [sum(standing[job].at_most for job in lot if job in standing) for lot in lots]
    return max((sum(pair) for pair in pairwise([*sizes, 0])), default=0)


def refuse_small_budget(disk_bytes: int, lots: Sequence[Sequence[Job]], standing: dict[Job, Standing]) -> None:
    """Raise SpecError where two lots don't fit a budget of disk together, with the least that would do."""
    least = most_at_once(lots, standing)
    if least > disk_bytes:
        estimated = " (estimated)" if any(each.estimated for each in standing.values()) else ""
        raise SpecError(
            f"--disk-budget is {disk_bytes / GIB:.3g} GiB; accepted: {_rounded_up(least):.3f} GiB or more{estimated}, "
            "as one checkpoint is measured while the next one comes"
        )


class Room:
    """The room of one run: what its downloads are in, and which commits its remaining jobs need.

    Without a budget downloads go to the cache that all programs share, and nothing is removed.
    """

    def __init__(self, storage: Storage = SHARED, commits: Mapping[Job, str | None] = MappingProxyType({})) -> None:
        self.storage, self.commits = storage, commits
        self.needed = Counter(commits.values())

    @classmethod
    def of_budget(cls, disk_bytes: int, lots: Sequence[Sequence[Job]], records: Path) -> "Room":
        """Return the room of a run that may take so many bytes: a folder beside the Hub's cache, one for `records`.

        Who holds the records holds it too. Raises SpecError for too small a budget.
        """
        standing = standings_of([job for lot in lots for job in lot])
        refuse_small_budget(disk_bytes, lots, standing)
        own = kept.home() / "downloads" / digest(os.path.realpath(records))
        return cls(Storage(own), {job: each.commit for job, each in standing.items()})

    def begin(self) -> None:
        """Remove what a killed run left and this one doesn't need; the records are held."""
        self.storage.clear({commit for commit in self.commits.values() if commit is not None})

    def leave(self, lot: Sequence[Job]) -> None:
        """Remove the weights of measured jobs that no remaining one needs."""
        for job in lot:
            commit = self.commits.get(job)
            self.needed[commit] -= 1
            if commit is not None and not self.needed[commit]:
                self.storage.evict(commit)

    def end(self) -> None:
        """Remove what is left of a folder of the run's own."""
        if self.storage.own is not None:
            shutil.rmtree(self.storage.own, ignore_errors=True)


def _rounded_up(n_bytes: int) -> float:
    return -(-n_bytes * 1000 // GIB) / 1000
