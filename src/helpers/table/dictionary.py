"""The meaning of every column of the three tables: the source of the book's data dictionary and of the Croissant card.

Meanings stand beside the fields of the records (`helpers.table.roles`), each once: a column is described where its
record says so, else by the part of a row that has it, else by the table of measurements.
"""

import dataclasses
import typing
from dataclasses import dataclass

from helpers.table.checkpoint import Beside, CheckpointSpec
from helpers.table.errors import SpecError
from helpers.table.records import type_name
from helpers.table.roles import Meaning
from helpers.table.rows import Diagnostics, EvalSpec, Measurement
from helpers.table.scheme import QuantScheme

SHARED = (CheckpointSpec, Beside, QuantScheme, EvalSpec, Diagnostics, Measurement)


@dataclass(frozen=True)
class Column:
    """One column of a table: `annotation` is its Python type, `role` one of `helpers.table.roles`."""

    name: str
    annotation: object
    role: str
    meaning: str

    @property
    def type_name(self) -> str:
        """Return the type as people read it, for example `int or null`."""
        return type_name(self.annotation)


def meanings(record: type) -> dict[str, Meaning]:
    """Return the meanings that a record says its fields have, by name; a field without one is left out."""
    hints = typing.get_type_hints(record, include_extras=True)
    said = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: each for name, extras in said.items() for each in extras if isinstance(each, Meaning)}


def columns(record: type) -> list[Column]:
    """Return the columns of a table, the fields of its record, in their order.

    Raises SpecError for a field whose meaning is said nowhere.
    """
    meaning_of = {name: meaning for each in (*SHARED, record) for name, meaning in meanings(each).items()}
    hints = typing.get_type_hints(record)
    for name in hints.keys() - meaning_of.keys():
        accepted = 'Annotated[TYPE, covariate("...")], or another role, beside the field'
        raise SpecError(f"{record.__name__}: nothing says what '{name}' means; accepted: {accepted}")
    return [
        Column(f.name, hints[f.name], meaning_of[f.name].role, meaning_of[f.name].text)
        for f in dataclasses.fields(record)
    ]
