"""The place of the corpus lock, and the package that each document of its texts is from."""

import json
from pathlib import Path

from helpers.table.errors import AnalysisError

LOCK = Path("data/corpus.lock")


def packages(split: str, path: Path = LOCK) -> list[str]:
    """Return the package of each document of `split` (evaluation, unseen, prose) in the order of the corpus lock.

    Raises AnalysisError where the lock is missing or has no such split.
    """
    try:
        return [file["package"] for file in json.loads(path.read_text())[split]]
    except (OSError, ValueError, KeyError) as error:
        raise AnalysisError(f"{path}: no packages of {split} ({error})") from None
