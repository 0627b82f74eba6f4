import dataclasses

import pytest

from helpers.table.dictionary import MEANINGS, columns
from helpers.table.rows import CheckpointRow, Measurement, TrialRow

ROLES = ("key", "covariate", "outcome", "diagnostics", "provenance")


def described(record: type) -> list[str]:
    return [name for part in MEANINGS[record] for meanings in part.values() for name in meanings]


@pytest.mark.parametrize("record", [Measurement, CheckpointRow, TrialRow])
def test_every_field_is_described_once_and_nothing_else_is(record):
    assert sorted(described(record)) == sorted(field.name for field in dataclasses.fields(record))


@pytest.mark.parametrize("record", MEANINGS)
def test_columns_are_in_the_records_order_with_a_role_and_a_meaning(record):
    found = columns(record)
    assert [column.name for column in found] == [field.name for field in dataclasses.fields(record)]
    assert all(column.role in ROLES and column.meaning for column in found)


def test_types_read_as_in_error_messages():
    types = {column.name: column.type_name for column in columns(Measurement)}
    assert types["bits"] == "int or null"
    assert types["group_loss"] == "list of float or null"
