"""Records from mappings, their canonical JSON and the ids made of it."""

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from helpers.table.errors import SpecError
from helpers.table.ranges import of_fields, outside
from helpers.table.readers import ReadError
from helpers.table.words import shown

if TYPE_CHECKING:  # the name that the types of `dataclasses` give to any record
    from _typeshed import DataclassInstance

CHECKSUM = "checksum"  # the key of a JSON file's checksum
Given = TypeVar("Given")
Record = TypeVar("Record", bound="DataclassInstance")


class DamagedError(ReadError):
    """The content of a file isn't the one that its checksum was made of."""


def canonical_json(value: object) -> str:
    """Return JSON that is equal for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: object) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `value`'s canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def summed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON file with its checksum at the end: the digest of everything else."""
    return {**content, CHECKSUM: digest(content)}


def verified(content: Given) -> Given:
    """Return what a JSON file held, its checksum held against the rest and taken out.

    A file without one is of an older version or written by hand, and stays as it is; so that no flipped bit makes such
    a file, whoever reads refuses keys that it doesn't know. Raises DamagedError for a wrong checksum.
    """
    if isinstance(content, dict) and CHECKSUM in content:
        said = content.pop(CHECKSUM)
        found = digest(content)
        if said != found:
            raise DamagedError(
                f"damaged, its '{CHECKSUM}' is {shown(said)}, not '{found}'; take that out if you changed it yourself"
            )
    return content


def refuse_unknown(content: Mapping[str, object], accepted: Collection[str]) -> None:
    """Raise ReadError for a key of a JSON file that isn't among the accepted ones."""
    unknown = next((name for name in content if name not in accepted), None)
    if unknown is not None:
        raise ReadError(f"unknown key {shown(unknown)}; accepted: {', '.join(accepted)}")


def key_of(record: "DataclassInstance") -> dict[str, Any]:
    """Return the fields of a frozen record that differ from their defaults: what its id is made of."""
    return {
        f.name: getattr(record, f.name)
        for f in dataclasses.fields(record)
        if f.default is dataclasses.MISSING or getattr(record, f.name) != f.default
    }


def _accepts(annotation: Any, value: object) -> bool:
    if isinstance(annotation, types.UnionType):
        return any(_accepts(part, value) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return isinstance(value, (list, tuple)) and all(_accepts(typing.get_args(annotation)[0], v) for v in value)
    if annotation is float:
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53  # then it is a float too
        return isinstance(value, float) or whole
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return value is None if annotation is type(None) else isinstance(value, annotation)


def type_name(annotation: object) -> str:
    """Return how an annotation reads in an error message, for example `int or null`."""
    if isinstance(annotation, types.UnionType):
        return " or ".join(type_name(part) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return f"list of {type_name(typing.get_args(annotation)[0])}"
    return "null" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def from_mapping(cls: type[Record], values: object, where: str, lines: Mapping[str, int] | None = None) -> Record:
    """Build a frozen record from `values`, lists as tuples, refusing unknown fields, wrong types and numbers.

    A number that isn't finite is refused, and one outside of the `Range` that stands beside the field.

    Raises SpecError, beginning with `where` (and the field's line, if `lines` has it), that names the field and
    what is accepted.
    """
    annotations, ranges = typing.get_type_hints(cls), of_fields(cls)
    if not isinstance(values, dict):
        raise SpecError(f"{where}: {shown(values)} where a mapping is expected; keys: {', '.join(annotations)}")
    for name, value in values.items():
        place = f"{where}:{lines[name]}" if lines else where
        if name not in annotations:
            raise SpecError(f"{place}: unknown key '{name}'; accepted: {', '.join(annotations)}")
        if not _accepts(annotations[name], value):
            raise SpecError(f"{place}: '{name}' is {shown(value)}; accepted: {type_name(annotations[name])}")
        wrong = outside(ranges[name], value)
        if wrong:
            raise SpecError(f"{place}: '{name}' is {wrong[0]!r}; accepted: {wrong[1]}")
    missing = [
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in values
    ]
    if missing:
        raise SpecError(f"{where}: missing key '{missing[0]}'")
    try:
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None


def given(value: Given | None) -> Given:
    """Return a field's value, where earlier checks leave no room for None, such as the bits of a rounded scheme."""
    assert value is not None
    return value


def number(value: float | None) -> float | None:
    """Return a float as tables have it: what isn't a number, infinite or 0/0, is null."""
    return value if value is not None and math.isfinite(value) else None
