"""A family on the Hub: training runs whose moments are revisions, and what is known of them.

What differs from architecture to architecture and from recipe to recipe is handed in as functions of a run, so that a
family is data and functions of one file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families.reports import MEANING, KnownBad, Twins


@dataclass(frozen=True, kw_only=True)
class HubRun:
    """One training run of one model: `steps` are the updates whose weights are revisions of `repository`.

    `planned_tokens` are those of the schedule, whether or not the run reached them. A run that goes on from another
    one counts its steps and tokens from that one's start. None stands for what no source says.
    """

    model: str
    repository: str
    n_layers: int
    d_model: int
    vocabulary_size: int  # rows of the embedding, padding counted
    steps: tuple[int, ...]
    tokens_per_step: int
    planned_tokens: int
    peak_learning_rate: float | None
    weight_decay: float | None
    schedule: str | None
    run: str | None = None  # None: the model's only run, or its first, called like the model
    branched_from: str | None = None
    branched_at_step: int | None = None
    train_seed: int | None = None

    @property
    def name(self) -> str:
        """Return the run's name within its family."""
        return self.run or self.model


Run = TypeVar("Run", bound=HubRun)


def _repository(run: HubRun, _step: int) -> str:
    return run.repository


@dataclass(frozen=True)
class HubFamily(Generic[Run]):
    """A family: runs of models made in the same way, and functions of a run or of one of its steps.

    N, `n_params_non_embedding`, leaves out the token embedding and the output head, tied or not. `linear_shapes` are
    (rows, columns) of the linear layers in one block, by name in the block. `learning_rate` and `lr_phase` (warmup,
    stable or decay) are those of the update that made a step; they answer None where no source says. `repository` says
    where a step lies, for runs that have a repository a step. `licence` is that of the weights, by its SPDX name, and
    `source` where it and the runs are described. `known_bad` is what others reported of its revisions, `twins` which of
    them are rightly equal.
    """

    name: str
    runs: tuple[Run, ...]
    n_params_total: Callable[[Run], int]
    n_params_non_embedding: Callable[[Run], int]
    linear_shapes: Callable[[Run], dict[str, tuple[int, int]]]
    learning_rate: Callable[[Run, int], float | None]
    lr_phase: Callable[[Run, int], str | None]
    revision: Callable[[Run, int], str]
    licence: str | None = None
    source: str | None = None
    repository: Callable[[Run, int], str] = _repository
    known_bad: tuple[KnownBad, ...] = ()
    twins: tuple[Twins, ...] = ()

    def checkpoints(self) -> Iterator[CheckpointSpec]:
        """Describe every step of every run, in their order."""
        return (self.checkpoint(run, step) for run in self.runs for step in run.steps)

    def checkpoint(self, run: Run, step: int) -> CheckpointSpec:
        """Describe one step of one run."""
        return CheckpointSpec(
            family=self.name,
            model=run.model,
            run=run.name,
            location=self.repository(run, step),
            revision=self.revision(run, step),
            step=step,
            tokens_seen=step * run.tokens_per_step,
            tokens_planned=run.planned_tokens,
            learning_rate=self.learning_rate(run, step),
            peak_learning_rate=run.peak_learning_rate,
            lr_phase=self.lr_phase(run, step),
            schedule=run.schedule,
            weight_decay=run.weight_decay,
            branched_from=run.branched_from,
            branched_at_step=run.branched_at_step,
            train_seed=run.train_seed,
            n_layers=run.n_layers,
            d_model=run.d_model,
            vocabulary_size=run.vocabulary_size,
            n_params_total=self.n_params_total(run),
            n_params_non_embedding=self.n_params_non_embedding(run),
        )

    def found(self, repository: str, revision: str | None) -> CheckpointSpec | None:
        """Return the first of the checkpoints that a revision of a repository is, None if it is none."""
        place = (repository, revision)
        named = ((run, step) for run in self.runs for step in run.steps)
        at = ((run, step) for run, step in named if (self.repository(run, step), self.revision(run, step)) == place)
        return next((self.checkpoint(run, step) for run, step in at), None)

    def shapes_of(self, model: str) -> dict[str, tuple[int, int]]:
        """Return the shapes of the linear layers in one block of a model; all runs of a model have the same."""
        return self.linear_shapes(next(run for run in self.runs if run.model == model))


def known_bad(family: HubFamily[Any], checkpoint: CheckpointSpec) -> KnownBad | None:
    """Return the report that a checkpoint's weights aren't what its revision promises; None where none stands."""
    reports = (report for report in family.known_bad if report.mended is None)
    return next((each for each in reports if each.is_about(checkpoint.location, checkpoint.revision)), None)


def refusal(bad: KnownBad, checkpoint: CheckpointSpec) -> str:
    """Return in one line why a checkpoint that is known to be bad isn't measured."""
    name = f"{checkpoint.location} at {checkpoint.revision}"
    return f"{name}: reported on {bad.reported} that {MEANING[bad.kind]} ({bad.source}: {bad.said})"
