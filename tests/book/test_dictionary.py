import hashlib
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import dictionary
from helpers.analyse.laws.names import ELSEWHERE, LAW_NAMES
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


def test_the_page_on_commands_lists_the_laws_that_there_are():
    text = (ROOT / dictionary.COMMANDS).read_text()
    assert text == dictionary.with_laws(text), AGAIN


def test_the_list_of_laws_has_one_row_of_four_cells_per_law():
    rows = [line for line in dictionary.laws().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [*LAW_NAMES, *ELSEWHERE]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)


def test_only_what_stands_between_the_comments_is_written_and_both_have_to_be_there():
    page = f"before\n{dictionary.LAWS_BEGIN}by hand\n{dictionary.LAWS_END}after\n"
    written = dictionary.with_laws(page)
    assert written == f"before\n{dictionary.LAWS_BEGIN}\n{dictionary.laws()}\n{dictionary.LAWS_END}after\n"
    assert dictionary.with_laws(written) == written
    for broken in ("no list", dictionary.LAWS_BEGIN, dictionary.LAWS_END + dictionary.LAWS_BEGIN, page + page):
        with pytest.raises(ValueError, match=r"book/commands\.md: the comments around the list of laws"):
            dictionary.with_laws(broken)


def test_the_page_has_one_row_of_four_cells_a_column():
    tables, _ = dictionary.page().split("## Families")
    rows = [line for line in tables.splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    names = [name for record in (Measurement, CheckpointRow, TrialRow) for name in results.schema(record).names]
    assert [row.split("`")[1] for row in rows] == names


def test_page_and_card_say_what_every_family_of_the_tables_is():
    named = [pq.read_table(ROOT / f"results/{name}.parquet", columns=["family"]) for name in dictionary.TABLES]
    assert {family for table in named for family in table["family"].to_pylist()} == dictionary.FAMILIES.keys()
    (families,) = [each for each in dictionary.card(ROOT / "results")["recordSet"] if each["@id"] == "families"]
    said = {row["families/family"]: row["families/meaning"] for row in families["data"]}
    assert said == dictionary.FAMILIES
    assert all(f"| `{name}` | {words} |" in dictionary.page() for name, words in said.items())


@pytest.mark.parametrize(
    ("name", "record"), [("measurements", Measurement), ("checkpoints", CheckpointRow), ("trials", TrialRow)]
)
def test_a_tables_fields_are_the_files_columns(tmp_path, name, record):
    results.write_table(tmp_path / f"{name}.parquet", [], record)
    described, _ = dictionary.card(tmp_path)["recordSet"]
    assert [field["source"]["extract"]["column"] for field in described["field"]] == results.schema(record).names
    key = described["key"] if isinstance(described["key"], list) else [described["key"]]
    assert [part["@id"] for part in key] == [f"{name}/{column}" for column in results.KEY[record]]
    assert {part["@id"] for part in key} <= {field["@id"] for field in described["field"]}
    lists = [field.name for field in results.schema(record) if str(field.type).startswith("list")]
    assert [field["name"] for field in described["field"] if field.get("repeated")] == lists


def test_a_column_that_a_file_of_an_older_schema_lacks_is_not_in_its_card(tmp_path):
    table = results.schema().empty_table().drop_columns(["run"])
    pq.write_table(table, tmp_path / "measurements.parquet")
    described, _ = dictionary.card(tmp_path)["recordSet"]
    assert "run" not in [field["name"] for field in described["field"]]
