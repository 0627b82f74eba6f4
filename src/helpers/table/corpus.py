"""The place of the corpus lock, and the package that each document of its texts is from."""

from pathlib import Path

from helpers.table.errors import AnalysisError
from helpers.table.readers import read_json_mapping

LOCK = Path("data/corpus.lock")


def packages(split: str, path: Path = LOCK) -> list[str]:
    """Return the package of each document of `split` (evaluation, unseen, prose) in the order of the corpus lock.

    Raises AnalysisError where the lock is missing or has no such split.
    """
    try:
        return [str(file["package"]) for file in read_json_mapping(path)[split]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnalysisError(f"{path}: no packages of {split} ({error})") from None
