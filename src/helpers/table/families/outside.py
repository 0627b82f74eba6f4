"""A model from outside: one that others trained and published in a wheel, and what is known of its training."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import SpecError
from helpers.table.names import refuse_name
from helpers.table.ranges import AMOUNT, COUNT, MOST_TOKENS, POSITIVE, Range
from helpers.table.readers import read_yaml
from helpers.table.records import from_mapping
from helpers.table.words import shown, visible

WEIGHTS = ".gguf"


@dataclass(frozen=True)
class OutsideModel:
    """The description of a model from outside: the wheel that it lies in, the file there, sizes and training.

    `file` is the path of a GGUF file inside the wheel. SpecError for names that can't be one part of a path, or a file
    outside of the wheel.
    """

    family: str
    model: str
    package: str
    version: str
    filename: str
    sha256: str
    licence: str
    file: str
    step: Annotated[int, AMOUNT]
    tokens_seen: Annotated[int, Range(1, MOST_TOKENS)]
    tokens_planned: Annotated[int, Range(1, MOST_TOKENS)]
    peak_learning_rate: Annotated[float | None, POSITIVE]
    lr_phase: str | None
    schedule: str
    weight_decay: Annotated[float | None, AMOUNT]
    n_layers: Annotated[int, COUNT]
    d_model: Annotated[int, COUNT]
    vocabulary_size: Annotated[int, COUNT]
    n_params_total: Annotated[int, COUNT]
    n_params_non_embedding: Annotated[int, COUNT]

    def __post_init__(self) -> None:
        for name in ("family", "model"):
            refuse_name(getattr(self, name), name)
        for name in ("licence", "schedule", "lr_phase"):
            said = getattr(self, name) or ""
            if visible(said) != said:
                raise SpecError(f"'{name}' is {shown(said)}; accepted: no control characters")
        path = PurePosixPath(self.file)
        if path.is_absolute() or ".." in path.parts or path.suffix != WEIGHTS:
            raise SpecError(f"'file' is {shown(self.file)}; accepted: a path in the wheel that ends in {WEIGHTS}")

    @property
    def run(self) -> str:
        """Return the label of its training run, family/run, as rows have it."""
        return f"{self.family}/{self.model}"

    def checkpoint(self, location: str, weights_sha256: str, architecture: str) -> CheckpointSpec:
        """Describe the checkpoint that the file becomes: where it lies, which weights, what its config decides."""
        shared = ("tokens_seen", "tokens_planned", "step", "peak_learning_rate", "lr_phase", "schedule", "weight_decay")
        sizes = ("n_layers", "d_model", "vocabulary_size", "n_params_total", "n_params_non_embedding")
        return CheckpointSpec(
            family=self.family,
            model=self.model,
            run=self.model,
            location=location,
            learning_rate=None,  # that of the tuning at the end isn't known
            weights_sha256=weights_sha256,
            architecture=architecture,
            **{name: getattr(self, name) for name in (*shared, *sizes)},
        )


def read_outside(path: Path) -> OutsideModel:
    """Read the description of a model from outside. Raises SpecError with file, line and what is accepted."""
    raw = read_yaml(path)
    return from_mapping(OutsideModel, raw, str(path), getattr(raw, "lines", {}))
