import dataclasses
from typing import Annotated

import pytest

from helpers.table.checkpoint_rows import CheckpointRow
from helpers.table.dictionary import SHARED, columns, meanings
from helpers.table.errors import SpecError
from helpers.table.roles import covariate
from helpers.table.rows import Measurement
from helpers.table.trial_rows import TrialRow

ROLES = ("key", "covariate", "outcome", "diagnostics", "provenance")
RECORDS = (Measurement, CheckpointRow, TrialRow)


@pytest.mark.parametrize("record", RECORDS)
def test_columns_are_in_the_records_order_with_a_role_and_a_meaning(record):
    found = columns(record)
    assert [column.name for column in found] == [field.name for field in dataclasses.fields(record)]
    assert all(column.role in ROLES and column.meaning for column in found)


def test_what_is_said_is_of_a_column_and_said_once_where_records_share_it():
    said = [name for record in SHARED for name in meanings(record)]
    assert sorted(said) == sorted(field.name for field in dataclasses.fields(Measurement))


def test_a_table_may_say_something_else_of_a_name_that_another_has():
    loss = {record: next(c for c in columns(record) if c.name == "loss_nats").meaning for record in RECORDS}
    assert len(set(loss.values())) == 3
    ratio = {record: next(c for c in columns(record) if c.name == "quantized_ratio").role for record in RECORDS[::2]}
    assert ratio == {Measurement: "diagnostics", TrialRow: "covariate"}


def test_a_field_of_which_nothing_is_said_is_named():
    @dataclasses.dataclass
    class Row:
        bits: int | None
        colour: Annotated[str, covariate("of the grid")]
        shade: str

    with pytest.raises(
        SpecError, match="^Row: nothing says what 'shade' means; accepted: Annotated.* beside the field$"
    ):
        columns(Row)


def test_types_read_as_in_error_messages():
    types = {column.name: column.type_name for column in columns(Measurement)}
    assert types["bits"] == "int or null"
    assert types["group_loss"] == "list of float or null"
