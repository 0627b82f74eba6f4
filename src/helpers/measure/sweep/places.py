"""The places where results go: the tables, and the folders of what is finished and not yet in them."""

import os
from dataclasses import dataclass
from pathlib import Path

from helpers.table.errors import SpecError


@dataclass(frozen=True)
class Places:
    """The reader's tables, by default, and their folders: a record per measurement, a file per finished search."""

    measurements: Path = Path("results/local.parquet")
    records: Path = Path("results/measurements")
    trials: Path = Path("results/local-trials.parquet")
    trial_records: Path = Path("results/trials")
    checkpoints: Path = Path("results/local-checkpoints.parquet")

    def __post_init__(self) -> None:
        """Raise SpecError for one place named twice: a run would wait for itself, or write one over the other."""
        seen: dict[str, str] = {}
        for name, path in vars(self).items():
            real = os.path.realpath(path)
            if real in seen:
                raise SpecError(f"{path}: for {seen[real]} and for {name}; accepted: a place of its own for each")
            seen[real] = name.replace("_", " ")
