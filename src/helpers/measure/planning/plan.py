"""A sweep's plan: how every checkpoint stands, its bytes, its rows, and the time of those that lack."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.measure.models import checkpoints
from helpers.measure.models.failures import failure_of
from helpers.measure.models.hub import kept, weights
from helpers.measure.models.hub.standing import HERE, Standing
from helpers.measure.planning.hours import RULE, Clock
from helpers.measure.sweep import room
from helpers.measure.sweep.declaration import Sweep, read_sweep
from helpers.measure.sweep.jobs import BASELINE, PARAMS_AT_ONCE, Job, batches, plan
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.subjects import prepared_of
from helpers.measure.text import corpus_lock
from helpers.table import files
from helpers.table.errors import CorpusError, SpecError
from helpers.table.records import given
from helpers.table.scheme import QuantScheme


@dataclass(frozen=True)
class Planned:
    """One checkpoint of a plan: how it stands, its rows, those of them that are measured, and the others' seconds.

    `n_present` is None where it isn't known before weights are here, and counts as none; `seconds` None without
    benchmarks.
    """

    job: Job
    standing: Standing
    n_rows: int
    n_present: int | None
    seconds: float | None

    @property
    def n_to_measure(self) -> int:
        """Return how many rows will be measured."""
        return self.n_rows - (self.n_present or 0) if self.standing.usable else 0

    @property
    def to_fetch(self) -> int:
        """Return the bytes of weights that will be downloaded: none where no row lacks."""
        return self.standing.to_fetch if self.n_to_measure else 0

    def as_json(self) -> dict[str, Any]:
        """Return what a program reads of it; bytes and seconds."""
        spec = self.job.checkpoint
        said = {"model": spec.model, "run": spec.run, "step": spec.step}
        said |= {"repository": spec.location, "revision": spec.revision, "from_pickle": self.job.from_pickle}
        counted = {"n_rows": self.n_rows, "n_present": self.n_present, "n_to_measure": self.n_to_measure}
        return said | dataclasses.asdict(self.standing) | counted | {"seconds": self.seconds}


@dataclass(frozen=True)
class Plan:
    """A sweep's plan: its checkpoints, the disk it needs, and on which GPU its hours hold.

    `at_once` are the bytes of downloads on the disk when each is removed after it is measured, `in_all` when all stay;
    `failures` are lines about what can't be measured, or can't be said.
    """

    name: str
    planned: tuple[Planned, ...]
    at_once: int
    clock: Clock | None
    failures: tuple[str, ...]

    @property
    def in_all(self) -> int:
        """Return the bytes that will be downloaded."""
        return sum(each.to_fetch for each in self.planned)

    @property
    def hours(self) -> float | None:
        """Return the device hours; None without benchmarks."""
        if self.clock is None:
            return None
        return sum(each.seconds or 0.0 for each in self.planned) / 3600

    @property
    def estimated(self) -> bool:
        """Tell whether some size is an estimate."""
        return any(each.standing.estimated for each in self.planned)

    @property
    def extrapolated(self) -> list[str]:
        """Return the models whose time is extrapolated, as none so small or so large was timed."""
        clock = self.clock
        specs = [each.job.checkpoint for each in self.planned if each.n_to_measure]
        return [] if clock is None else list(dict.fromkeys(spec.model for spec in specs if clock.is_beyond(spec)))

    def as_json(self) -> dict[str, Any]:
        """Return what a program reads of it; bytes, seconds and hours."""
        time = None
        if self.clock is not None:
            held = {"gpu": self.clock.gpu, "rule": RULE, "n_params_non_embedding_timed": self.clock.n_blocks_range}
            time = held | {"hours": self.hours, "extrapolated": self.extrapolated}
        disk = {"bytes_at_once": self.at_once, "bytes_in_all": self.in_all, "estimated": self.estimated}
        rows = {
            "n_rows": sum(each.n_rows for each in self.planned),
            "n_present": sum(each.n_present or 0 for each in self.planned),
            "n_to_measure": sum(each.n_to_measure for each in self.planned),
        }
        return {
            "name": self.name,
            "disk": disk,
            "rows": rows,
            "time": time,
            "failures": list(self.failures),
            "checkpoints": [each.as_json() for each in self.planned],
        }


def plan_sweep(path: Path, device: str, places: Places, clock: Clock | None, disk_bytes: int | None = None) -> Plan:
    """Return the plan of a sweep; of the Hub's checkpoints configurations and tokenizers are downloaded, no weights.

    `clock` times rows on a GPU and is left out elsewhere. Raises SpecError as `run_sweep`, also for a budget of disk
    that two lots don't fit.
    """
    sweep = read_sweep(path)
    if device not in PARAMS_AT_ONCE:  # it need not be on this machine
        raise SpecError(f"device '{device}'; accepted: {', '.join(PARAMS_AT_ONCE)}")
    jobs = plan(sweep)
    standing = room.standings_of(jobs)
    lots = batches(jobs, device)
    if disk_bytes is not None:
        room.refuse_small_budget(disk_bytes, lots, standing)
    used = clock if device == "cuda" else None
    counting = _Counting(sweep, device, _done(places), used)
    planned = [counting.planned(job, standing.get(job, Standing(HERE))) for job in jobs]
    lacking = {each.job: each.standing for each in planned if each.n_to_measure and each.job in standing}
    refused = [f"{each.job.checkpoint.label}: {each.standing.reason}" for each in planned if each.standing.reason]
    failures = (*sweep.failures, *refused, *counting.failures)
    return Plan(sweep.name, tuple(planned), room.most_at_once(lots, lacking), used, failures)


class _Counting:
    """Counts rows job by job: a model's first lot compiles its kernels."""

    def __init__(self, sweep: Sweep, device: str, done: Collection[str], clock: Clock | None) -> None:
        self.sweep, self.device, self.done, self.clock = sweep, device, done, clock
        self.lock = corpus_lock.read_lock() if sweep.own_texts is None else None
        self.compiled: set[str] = set()
        self.failures: list[str] = []

    def planned(self, job: Job, standing: Standing) -> Planned:
        """Return the plan of one job."""
        every = [[BASELINE, *job.schemes] for _ in self.sweep.evaluation.texts]
        n_rows = sum(map(len, every))
        lacking = self._lacking(job, standing, every)
        n_present = None if lacking is None else n_rows - sum(map(len, lacking))
        seconds = None
        if self.clock is not None and standing.usable:
            wanted = every if lacking is None else lacking
            seconds = self._seconds(self.clock, job, wanted) if any(wanted) else 0.0
        return Planned(job, standing, n_rows, n_present, seconds)

    def _lacking(self, job: Job, standing: Standing, every: list[list[QuantScheme]]) -> list[list[QuantScheme]] | None:
        """Return the rows that a job lacks, text by text; None where that takes its weights, a text, or the Hub."""
        spec = job.checkpoint
        if not standing.usable or (spec.revision is not None and not _is_described(job)):
            return None
        try:
            local = checkpoints.describe(spec, job.from_pickle)
            if not self.done:  # then no text is needed either
                return every
            return prepared_of(job, local, self.sweep, self.lock, self.device, self.done).missing
        except CorpusError:
            return None
        except Exception as error:
            self.failures.append(failure_of(error, spec.label, "cpu"))
            return None

    def _seconds(self, clock: Clock, job: Job, lacking: list[list[QuantScheme]]) -> float:
        spec, evaluation = job.checkpoint, self.sweep.evaluation
        to_round = {scheme for of_text in lacking for scheme in of_text} - {BASELINE}
        scored = (1 + len(to_round)) * sum(map(bool, lacking))  # the 16-bit model beside the others on every text
        seconds = clock.scoring(spec, evaluation.sequences * evaluation.seq_len, evaluation.dtype) * scored
        seconds += sum(clock.rounding(spec, scheme) for scheme in to_round)
        if spec.model not in self.compiled:
            self.compiled.add(spec.model)
            seconds += clock.compiling(spec)
        return seconds


def _is_described(job: Job) -> bool:
    """Tell whether a Hub checkpoint's rows are known without its weights."""
    revision = kept.known(job.checkpoint.location, given(job.checkpoint.revision))
    if revision is None:
        return False
    return weights.sha256_of_weights(revision, weights.files_of(revision, job.from_pickle)) is not None


def _done(places: Places) -> set[str]:
    """Return the ids of rows that are measured, in the table or in records that haven't reached it."""
    table = places.measurements
    in_table = set(files.read_table(table).column("measurement_id").to_pylist()) if table.exists() else set()
    return in_table | files.done_ids(places.records)
