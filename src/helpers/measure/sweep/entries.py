"""Entries of a sweep's YAML: the keys that it may have, each with its line."""

import dataclasses
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from helpers.measure.mixed.assignments import GRANULARITIES
from helpers.measure.mixed.searches import SEARCHES, Plan
from helpers.measure.text.corpus_lock import BLOCKS_PER_DOCUMENT, DOCUMENT_BYTES, DOCUMENTS_PER_SPLIT
from helpers.table.errors import SpecError
from helpers.table.ranges import Range
from helpers.table.readers import Located
from helpers.table.records import Record, from_mapping
from helpers.table.scheme import DTYPES, QuantScheme

LENGTHS = Range(1, DOCUMENT_BYTES)  # in tokens; no document is longer
SEEDS = Range(0, 2**32 - 1)


@dataclass(frozen=True)
class EvaluationEntry:
    """The evaluation's entry: score on `sequences` blocks of `seq_len` predicted tokens of each text, in `dtype`.

    A text is one of the book's or a public one, by its name, or an address on the Hub.
    """

    sequences: int
    seq_len: Annotated[int, LENGTHS] = 512
    dtype: str = "float32"
    texts: tuple[str, ...] = ("heldout",)


@dataclass(frozen=True)
class CalibrationEntry:
    """The calibration's entry: how much text a method sees, and the dtype of its forward pass and Hessians.

    `text` is a public one by its name, or an address on the Hub; by default the book's.
    """

    sequences: int
    seq_len: Annotated[int, LENGTHS] = 512
    dtype: str = "float32"
    text: str | None = None


@dataclass(frozen=True)
class SearchEntry:
    """The entry of a search: which matrices can be low in a part's schemes (`helpers.measure.mixed.searches.Plan`).

    Assignments are scored on `sequences` blocks of `seq_len` predicted tokens that calibration with the same `seed`
    doesn't see. Where `recipes` is false the best assignments aren't rounded again and measured.
    """

    sequences: int
    ratios: tuple[float, ...]
    granularity: tuple[str, ...] = GRANULARITIES
    searches: tuple[str, ...] = SEARCHES
    trials: Annotated[int, Range(most=10**6)] = 50  # the least is a plan's to say
    seed: Annotated[int, SEEDS] = 0
    seq_len: Annotated[int, LENGTHS] = 512
    recipes: bool = True

    def __post_init__(self) -> None:
        for granularity in self.granularity:
            Plan(granularity, self.ratios, self.searches, self.trials, self.seed)  # refuses what it can't be


ACCEPTED: dict[type, dict[str, Sequence[object]]] = {
    EvaluationEntry: {"dtype": DTYPES},
    CalibrationEntry: {"sequences": range(1, DOCUMENTS_PER_SPLIT * BLOCKS_PER_DOCUMENT + 1), "dtype": DTYPES},
}


@dataclass(frozen=True)
class _SaidOtherwise:
    """Fields that a sweep says in another way than a scheme does: they must be said, or have another default."""

    method: str | tuple[str, ...]
    bits: int | tuple[int, ...]
    group_size: int | tuple[int | None, ...] | None
    symmetric: bool | tuple[bool, ...]
    rel_damp: Annotated[float, Range(0, 100)] = 0.01
    calib_seed: Annotated[int | tuple[int, ...], SEEDS] = 0


# fields of a scheme that the sweep's calibration, the method or a recipe says
_NOT_SAID = (
    "calib_dataset",
    "calib_sha256",
    "calib_sequences",
    "calib_seq_len",
    "hessian_dtype",
    "propagate",
    "kept_matrices",
)
_SIZES = ("activation_group_size",)  # null is one of the values that a list may have: all columns in one group
_HINTS = typing.get_type_hints(QuantScheme)


def _one_or_several(field: "dataclasses.Field[Any]") -> tuple[str, object, object]:
    """Return a scheme's field as a key of a sweep: one value, or a list that stands for each of its values."""
    annotation, null = _HINTS[field.name], type(None)
    (value,) = [part for part in typing.get_args(annotation) if part is not null] or [annotation]
    listed = value | None if field.name in _SIZES else value
    several = value | types.GenericAlias(tuple, (listed, ...))
    return field.name, several if annotation is value else several | None, field.default


_AS_IN_SCHEME = [
    _one_or_several(field)
    for field in dataclasses.fields(QuantScheme)
    if field.name not in {*_NOT_SAID, *typing.get_type_hints(_SaidOtherwise)}
]
SchemeEntry = dataclasses.make_dataclass("SchemeEntry", _AS_IN_SCHEME, bases=(_SaidOtherwise,), frozen=True)
SchemeEntry.__doc__ = """One or several schemes: every list stands for each of its values, combined with the others.

Its keys are the fields of a scheme. `rel_damp` is for methods that damp, `calib_seed` for methods that calibrate, and
what is null by default for methods that make use of it; others don't carry them.
"""


def as_in_scheme(name: str, value: Any) -> object:
    """Return a value as the scheme's field has it: a float where 1 may stand, as 1 and 1.0 would be different keys."""
    return float(value) if _HINTS[name] in (float, float | None) and value is not None else value


if TYPE_CHECKING:
    Raw = Located
else:  # what a message says is accepted there
    Raw = dict


REFUSE, MEASURE = KNOWN_BAD = ("refuse", "measure")


@dataclass(frozen=True)
class _PartEntry:
    family: str
    schemes: tuple[Raw, ...]
    models: tuple[str, ...] | None = None
    steps: tuple[int, ...] | None = None
    runs: tuple[str, ...] | None = None
    search: Raw | None = None
    from_pickle: bool = False  # accept a revision that has no safetensors
    known_bad: str = "refuse"  # what to do with checkpoints that others reported; see KNOWN_BAD


ACCEPTED[_PartEntry] = {"known_bad": KNOWN_BAD}


@dataclass(frozen=True)
class _SweepEntry:
    name: str
    evaluation: Raw
    calibration: Raw
    parts: tuple[Raw, ...]


def _record(cls: type[Record], raw: object, path: Path) -> Record:
    lines: dict[str, int] = getattr(raw, "lines", {})
    record = from_mapping(cls, raw, str(path), lines)
    if cls in (SchemeEntry, _PartEntry):  # an empty list would leave out, without a word, all that it is combined with
        empty = [name for name, value in vars(record).items() if value == () and name != "schemes"]
        if empty:
            raise SpecError(f"{path}:{lines[empty[0]]}: '{empty[0]}' is []; accepted: one value or more")
    for name, accepted in ACCEPTED.get(cls, {}).items():
        value = getattr(record, name)
        if value not in accepted:
            listed = f"1 to {accepted[-1]}" if isinstance(accepted, range) else ", ".join(map(str, accepted))
            raise SpecError(f"{path}:{lines[name]}: '{name}' is {value!r}; accepted: {listed}")
    return record
