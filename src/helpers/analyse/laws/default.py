"""The law that is taken where none is named: what `results/fits.json` says of it. Light: nothing is fitted here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.table.errors import ResultsError
from helpers.table.readers import read_json
from helpers.table.records import DamagedError, verified

FITS = Path("results/fits.json")
LOSS_PREDICTED = ", loss predicted"  # behind the name of a law that is judged with a loss law's losses


@dataclass(frozen=True)
class DefaultLaw:
    """The law that is taken where none is named, and why."""

    name: str  # as the judged tables call it
    reason: str
    tied: tuple[str, ...]  # laws that the scores on the smaller sizes can't tell from the best, in order of score

    @property
    def law(self) -> str:
        """Return the law's name on the command line; one whose loss is predicted predicts it there by itself."""
        return self.name.removesuffix(LOSS_PREDICTED)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "DefaultLaw":
        """Return the default out of the object that a file of fits has. Raises LookupError or TypeError for another."""
        return cls(str(record["name"]), str(record["reason"]), tuple(record["tied"]))


def read_default(path: Path = FITS, outcome: str = "qid") -> tuple[DefaultLaw, list[dict[str, Any]]]:
    """Return the default law of an outcome, and the laws ranked on the smaller sizes, one object each, best first.

    Raises ResultsError where there is no such file, it is damaged, or nothing of the kind is in it.
    """
    try:
        contents = verified(read_json(path))["outcomes"][outcome]
        return DefaultLaw.from_json(contents["default"]), list(contents["ranked"])
    except FileNotFoundError:
        raise ResultsError(f"{path}: no such file; `make fits` makes it, or name a law with --law") from None
    except DamagedError as error:
        raise ResultsError(f"{path}: {error}; `make fits` makes it again, or name a law with --law") from None
    except (OSError, ValueError, LookupError, TypeError):
        raise ResultsError(f"{path}: says no default law; `make fits` makes it, or name one with --law") from None
