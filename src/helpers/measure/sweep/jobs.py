"""Jobs: one checkpoint and every scheme it is rounded by; lots of checkpoints of one shape."""

from collections import defaultdict
from dataclasses import dataclass

from torch import Tensor

from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.sweep.declaration import Sweep
from helpers.measure.sweep.rows import Subject
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.scheme import QuantScheme

BASELINE = QuantScheme()


@dataclass(frozen=True)
class Job:
    """One checkpoint and every scheme it is rounded by; `from_pickle` accepts weights that are only pickled."""

    checkpoint: CheckpointSpec
    schemes: tuple[QuantScheme, ...]
    from_pickle: bool = False


@dataclass
class Prepared:
    """A checkpoint ready to be measured: what its rows share, what is missing, and its model, if needed."""

    subjects: list[Subject]  # one per text
    schemes: dict[QuantScheme, Tensor | None]  # with the calibration tokens of each; the baseline isn't among them
    missing: list[list[QuantScheme]]  # one list per text, the baseline in it too
    checkpoint: Checkpoint | None = None  # on the CPU until it is measured

    @property
    def n_present(self) -> int:
        """Return how many rows were there before."""
        return len(self.subjects) * (1 + len(self.schemes)) - sum(map(len, self.missing))

    @property
    def to_round(self) -> dict[QuantScheme, Tensor | None]:
        """Return the schemes that some text lacks, with their calibration tokens."""
        lacking = {scheme for of_text in self.missing for scheme in of_text}
        return {scheme: tokens for scheme, tokens in self.schemes.items() if scheme in lacking}


PARAMS_AT_ONCE = {"cpu": 0, "cuda": 2**28}  # parameters of the checkpoints measured together


def plan(sweep: Sweep) -> list[Job]:
    """Return the jobs of a sweep, smallest models first; a checkpoint named by several parts is one job."""
    schemes: dict[CheckpointSpec, dict[QuantScheme, None]] = defaultdict(dict)
    for part in sweep.parts:
        for spec in part.checkpoints:
            schemes[spec] |= dict.fromkeys(part.schemes)
    pickled = {spec for part in sweep.parts if part.from_pickle for spec in part.checkpoints}
    jobs = [Job(spec, tuple(wanted), spec in pickled) for spec, wanted in schemes.items()]
    # run by run: what is measured together has the same schemes, as the checkpoints of a run mostly do
    return sorted(jobs, key=lambda job: (*_size(job.checkpoint), job.checkpoint.run, job.checkpoint.step))


def _size(spec: CheckpointSpec) -> tuple[int, str]:
    return spec.n_params_total, spec.model


def batches(jobs: list[Job], device: str, most: int | None = None) -> list[list[Job]]:
    """Split jobs, in order, into lots of one model and the same schemes that are measured together.

    On a CPU a lot is one checkpoint; on a GPU it is so many that they hold `PARAMS_AT_ONCE` parameters, and no more
    than `most`.
    """
    lots: list[list[Job]] = []
    for job in jobs:
        limit = max(1, PARAMS_AT_ONCE[device] // job.checkpoint.n_params_total)
        limit = limit if most is None else min(limit, most)
        if lots and _alike(lots[-1][0]) == _alike(job) and len(lots[-1]) < limit:
            lots[-1].append(job)
        else:
            lots.append([job])
    return lots


def _alike(job: Job) -> tuple[object, ...]:
    return job.checkpoint.family, job.checkpoint.model, job.schemes
