import hashlib
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import dictionary
from helpers.table import files as results
from helpers.table.checkpoint_rows import CheckpointRow
from helpers.table.rows import Measurement
from helpers.table.trial_rows import TrialRow

ROOT = Path(__file__).parents[2]
AGAIN = "run: make dictionary"


def test_the_committed_page_is_what_the_records_give():
    assert (ROOT / dictionary.PAGE).read_text() == dictionary.page(), AGAIN


def test_the_committed_card_describes_the_committed_tables():
    card = json.loads((ROOT / dictionary.CARD).read_text())
    files = {path.name: path for path in (ROOT / "results").glob("*.parquet") if path.stem in dictionary.TABLES}
    assert {file["name"] for file in card["distribution"]} == files.keys(), AGAIN
    for file in card["distribution"]:
        assert file["sha256"] == hashlib.sha256(files[file["name"]].read_bytes()).hexdigest(), AGAIN
    assert (ROOT / dictionary.CARD).read_text() == dictionary.card_text(ROOT / "results"), AGAIN


def test_the_page_has_one_row_of_four_cells_a_column():
    rows = [line for line in dictionary.page().splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    names = [name for record in (Measurement, CheckpointRow, TrialRow) for name in results.schema(record).names]
    assert [row.split("`")[1] for row in rows] == names


@pytest.mark.parametrize(
    ("name", "record"), [("measurements", Measurement), ("checkpoints", CheckpointRow), ("trials", TrialRow)]
)
def test_a_tables_fields_are_the_files_columns(tmp_path, name, record):
    results.write_table(tmp_path / f"{name}.parquet", [], record)
    (described,) = dictionary.card(tmp_path)["recordSet"]
    assert [field["source"]["extract"]["column"] for field in described["field"]] == results.schema(record).names
    key = described["key"] if isinstance(described["key"], list) else [described["key"]]
    assert [part["@id"] for part in key] == [f"{name}/{column}" for column in results.KEY[record]]
    assert {part["@id"] for part in key} <= {field["@id"] for field in described["field"]}
    lists = [field.name for field in results.schema(record) if str(field.type).startswith("list")]
    assert [field["name"] for field in described["field"] if field.get("repeated")] == lists


def test_a_column_that_a_file_of_an_older_schema_lacks_is_not_in_its_card(tmp_path):
    table = results.schema().empty_table().drop_columns(["run"])
    pq.write_table(table, tmp_path / "measurements.parquet")
    (described,) = dictionary.card(tmp_path)["recordSet"]
    assert "run" not in [field["name"] for field in described["field"]]
