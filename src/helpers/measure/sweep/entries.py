"""What a sweep's YAML may say; each key knows its line."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from helpers.measure.mixed.assignments import GRANULARITIES
from helpers.measure.mixed.searches import SEARCHES, Plan
from helpers.measure.text.corpus_lock import BLOCKS_PER_DOCUMENT, DOCUMENTS_PER_SPLIT
from helpers.table.errors import SpecError
from helpers.table.records import from_mapping
from helpers.table.scheme import DTYPES


@dataclass(frozen=True)
class EvaluationEntry:
    """How checkpoints are scored: on `sequences` blocks of `seq_len` predicted tokens of each text, in `dtype`."""

    sequences: int
    seq_len: int = 512
    dtype: str = "float32"
    texts: tuple[str, ...] = ("heldout",)


@dataclass(frozen=True)
class CalibrationEntry:
    """How much text a calibrated method sees, and the dtype of its forward pass and Hessians."""

    sequences: int
    seq_len: int = 512
    dtype: str = "float32"


@dataclass(frozen=True)
class SearchEntry:
    """How a part's schemes are searched for what can be low in them: see `helpers.measure.mixed.searches.Plan`.

    Assignments are scored on `sequences` blocks of `seq_len` predicted tokens that calibration with the same `seed`
    doesn't see. Where `recipes` is false the best assignments aren't rounded again and measured.
    """

    sequences: int
    ratios: tuple[float, ...]
    granularity: tuple[str, ...] = GRANULARITIES
    searches: tuple[str, ...] = SEARCHES
    trials: int = 50
    seed: int = 0
    seq_len: int = 512
    recipes: bool = True

    def __post_init__(self) -> None:
        for granularity in self.granularity:
            Plan(granularity, self.ratios, self.searches, self.trials, self.seed)  # refuses what it can't be


ACCEPTED = {
    EvaluationEntry: {"dtype": DTYPES},
    CalibrationEntry: {"sequences": range(1, DOCUMENTS_PER_SPLIT * BLOCKS_PER_DOCUMENT + 1), "dtype": DTYPES},
}


@dataclass(frozen=True)
class SchemeEntry:
    """One or several schemes: every list stands for each of its values, combined with the others.

    `rel_damp` is for methods that damp, `calib_seed` for methods that calibrate, and what is null by default for
    methods that make use of it; others don't carry them.
    """

    method: str | tuple[str, ...]
    bits: int | tuple[int, ...]
    group_size: int | tuple[int | None, ...] | None
    symmetric: bool | tuple[bool, ...]
    rel_damp: float = 0.01
    calib_seed: int | tuple[int, ...] = 0
    format: str | tuple[str, ...] = "int"
    grid_search: str | tuple[str, ...] = "minmax"
    order: str | tuple[str, ...] = "given"
    outlier_share: float | tuple[float, ...] | None = None
    average_bits: float | tuple[float, ...] | None = None
    activation_format: str | tuple[str, ...] | None = None
    activation_bits: int | tuple[int, ...] | None = None
    activation_group_size: int | tuple[int | None, ...] | None = None
    activation_exponent: float | tuple[float, ...] | None = None


@dataclass(frozen=True)
class _PartEntry:
    family: str
    schemes: tuple[dict, ...]
    models: tuple[str, ...] | None = None
    steps: tuple[int, ...] | None = None
    runs: tuple[str, ...] | None = None
    search: dict | None = None


@dataclass(frozen=True)
class _SweepEntry:
    name: str
    evaluation: dict
    calibration: dict
    parts: tuple[dict, ...]


class _Mapping(dict):
    """A YAML mapping that remembers the line of each key."""

    lines: dict[str, int]


class _Loader(yaml.SafeLoader):
    def construct_located(self, node: yaml.MappingNode) -> _Mapping:
        mapping = _Mapping(self.construct_mapping(node, deep=True))
        mapping.lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
        return mapping


def _record(cls: type, raw: object, path: Path):
    record = from_mapping(cls, raw, str(path), getattr(raw, "lines", None))
    for name, accepted in ACCEPTED.get(cls, {}).items():
        value = getattr(record, name)
        if value not in accepted:
            listed = f"1 to {accepted[-1]}" if isinstance(accepted, range) else ", ".join(map(str, accepted))
            raise SpecError(f"{path}:{raw.lines[name]}: '{name}' is {value!r}; accepted: {listed}")
    return record
