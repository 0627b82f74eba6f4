"""A list of pairs on the Hub, an original and a quantized copy of it each, as a person writes it in YAML."""

from dataclasses import dataclass
from pathlib import Path

from helpers.measure.models.outside import REPOSITORY
from helpers.table.errors import SpecError
from helpers.table.readers import read_yaml
from helpers.table.records import from_mapping

REVISION = "@"  # between a Hub repository and its branch, tag or commit


@dataclass(frozen=True)
class Pair:
    """An original and a quantized copy of it, each a repository and a revision: owner/name@revision."""

    base: str
    quantized: str

    @property
    def label(self) -> str:
        """Return the pair's name in messages."""
        return f"{self.quantized} beside {self.base}"


@dataclass(frozen=True)
class PairList:
    """A list of pairs with its name."""

    name: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class _Listed:
    name: str
    pairs: tuple[object, ...]


def read_pairs(path: Path) -> PairList:
    """Read a list of pairs. Raises SpecError with file, line and what is accepted for anything that is off."""
    raw = read_yaml(path)
    listed = from_mapping(_Listed, raw, str(path), getattr(raw, "lines", None))
    pairs = [
        from_mapping(Pair, entry, f"{path}: pair {number}", None) for number, entry in enumerate(listed.pairs, start=1)
    ]
    if not pairs:
        raise SpecError(f"{path}: 'pairs' is empty; accepted: one pair or more")
    for number, pair in enumerate(pairs, start=1):
        for place in (pair.base, pair.quantized):
            repository, at, revision = place.partition(REVISION)
            if not REPOSITORY.fullmatch(repository) or not at or not revision:
                raise SpecError(f"{path}: pair {number}: '{place}'; accepted: owner/name@revision")
        if pair in pairs[: number - 1]:
            raise SpecError(f"{path}: pair {number}: {pair.label} stands there twice; accepted: once")
    return PairList(listed.name, tuple(pairs))


def parts_of(place: str) -> tuple[str, str]:
    """Return the repository and the revision that a place of a pair is."""
    repository, _, revision = place.partition(REVISION)
    return repository, revision
