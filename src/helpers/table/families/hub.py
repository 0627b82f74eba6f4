"""A family on the Hub: training runs whose moments are revisions, and what is known of them.

What differs from architecture to architecture and from recipe to recipe is handed in as functions of a run, so that a
family is data and functions of one file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from helpers.table.checkpoint import CheckpointSpec


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
    schedule: str
    run: str | None = None  # None: the model's only run, or its first, called like the model
    branched_from: str | None = None
    branched_at_step: int | None = None

    @property
    def name(self) -> str:
        """Return the run's name within its family."""
        return self.run or self.model


Run = TypeVar("Run", bound=HubRun)


@dataclass(frozen=True)
class HubFamily(Generic[Run]):
    """A family: runs of models made in the same way, and functions of a run or of one of its steps.

    N, `n_params_non_embedding`, leaves out the token embedding and the output head, tied or not. `linear_shapes` are
    (rows, columns) of the linear layers in one block, by name in the block. `learning_rate` and `lr_phase` (warmup,
    stable or decay) are those of the update that made a step; they answer None where no source says.
    """

    name: str
    runs: tuple[Run, ...]
    n_params_total: Callable[[Run], int]
    n_params_non_embedding: Callable[[Run], int]
    linear_shapes: Callable[[Run], dict[str, tuple[int, int]]]
    learning_rate: Callable[[Run, int], float | None]
    lr_phase: Callable[[Run, int], str | None]
    revision: Callable[[Run, int], str]

    def checkpoints(self) -> Iterator[CheckpointSpec]:
        """Describe every step of every run, in their order."""
        return (self.checkpoint(run, step) for run in self.runs for step in run.steps)

    def checkpoint(self, run: Run, step: int) -> CheckpointSpec:
        """Describe one step of one run."""
        return CheckpointSpec(
            family=self.name,
            model=run.model,
            run=run.name,
            location=run.repository,
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
            n_layers=run.n_layers,
            d_model=run.d_model,
            vocabulary_size=run.vocabulary_size,
            n_params_total=self.n_params_total(run),
            n_params_non_embedding=self.n_params_non_embedding(run),
        )

    def shapes_of(self, model: str) -> dict[str, tuple[int, int]]:
        """Return the shapes of the linear layers in one block of a model; all runs of a model have the same."""
        return self.linear_shapes(next(run for run in self.runs if run.model == model))
