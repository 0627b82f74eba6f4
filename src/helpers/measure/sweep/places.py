"""The places where results go: the tables, and the folders of what is finished and not yet in them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The reader's tables, by default, and their folders: a record per measurement, a file per finished search."""

    measurements: Path = Path("results/local.parquet")
    records: Path = Path("results/measurements")
    trials: Path = Path("results/local-trials.parquet")
    trial_records: Path = Path("results/trials")
    checkpoints: Path = Path("results/local-checkpoints.parquet")
