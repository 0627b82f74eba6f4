import dataclasses
import json
import threading
import time
import typing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.table import files
from helpers.table.checkpoint import Beside
from helpers.table.checkpoint_rows import CheckpointRow
from helpers.table.errors import ResultsError
from helpers.table.records import digest, from_mapping, key_of
from helpers.table.rows import Diagnostics, Measurement
from helpers.table.scheme import QuantScheme
from helpers.table.trial_rows import TrialRow

REQUIRED = dataclasses.MISSING
ROOT = Path(__file__).parents[2]
RECORDS = {"measurements": Measurement, "checkpoints": CheckpointRow, "trials": TrialRow}


def make_row(number: int, **changes) -> Measurement:
    """A row whose values are only of the right type."""
    values = {}
    for name, annotation in typing.get_type_hints(Measurement).items():
        text = getattr(annotation, "__name__", str(annotation))
        values[name] = 1 if "int" in text else 0.5 if "float" in text else True if "bool" in text else "x"
        values[name] = ("x",) if annotation == tuple[str, ...] else values[name]
        values[name] = (1,) if annotation == tuple[int, ...] | None else values[name]
    values |= {"measurement_id": f"{number:04d}", "group_loss": (1.0, 2.5)}
    return Measurement(**values | changes)


def test_a_record_comes_back_as_it_was(tmp_path):
    row = make_row(1, loss_nats=None, reason=None, group_loss=None)
    files.write_record(row, tmp_path)
    files.write_record(make_row(2), tmp_path)
    assert files.read_records(tmp_path)[0] == row
    assert files.done_ids(tmp_path) == {"0001", "0002"}


UNKNOWN = dict.fromkeys(("learning_rate", "peak_learning_rate", "lr_fraction", "lr_phase", "weight_decay"))


def test_what_is_not_known_of_a_schedule_comes_back_as_null(tmp_path):
    row = make_row(1, **UNKNOWN)
    files.write_record(row, tmp_path / "records")
    assert files.read_records(tmp_path / "records") == [row]
    files.compact(tmp_path / "records", tmp_path / "table.parquet")
    (stored,) = files.read_table(tmp_path / "table.parquet").to_pylist()
    assert {name: stored[name] for name in UNKNOWN} == UNKNOWN
    files.write_table(tmp_path / "checkpoints.parquet", [make_checkpoint_row(**UNKNOWN)], CheckpointRow)
    assert files.read_checkpoints(tmp_path / "checkpoints.parquet").to_pylist() == [make_checkpoint_row(**UNKNOWN)]


@pytest.mark.parametrize(
    ("name", "record"), [("measurements", Measurement), ("checkpoints", CheckpointRow), ("trials", TrialRow)]
)
def test_columns_of_the_tracked_tables_have_the_types_of_their_records(name, record):
    expected = files.schema(record)
    for field in pq.read_schema(ROOT / f"results/{name}.parquet"):
        assert field.equals(expected.field(field.name)), field.name


def test_compaction_depends_on_the_rows_alone(tmp_path):
    for number in (3, 1, 2):
        files.write_record(make_row(number), tmp_path / "a")
    files.compact(tmp_path / "a", tmp_path / "a.parquet")
    for number in (1, 2):
        files.write_record(make_row(number), tmp_path / "b")
    files.compact(tmp_path / "b", tmp_path / "b.parquet")
    files.write_record(make_row(3), tmp_path / "c")
    assert files.compact(tmp_path / "c", tmp_path / "b.parquet") == 3
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_record_replaces_the_row_of_its_id(tmp_path):
    files.write_record(make_row(1, loss_nats=1.0), tmp_path / "r")
    files.compact(tmp_path / "r", tmp_path / "t.parquet")
    files.write_record(make_row(1, loss_nats=2.0), tmp_path / "r")
    files.compact(tmp_path / "r", tmp_path / "t.parquet")
    assert files.read_table(tmp_path / "t.parquet").column("loss_nats").to_pylist() == [2.0]


def test_the_schema_says_losses_by_document_are_float32():
    assert files.schema().field("group_loss").type == pa.list_(pa.float32())


@pytest.mark.parametrize("content", ["", "{", '{"measurement_id": 1}', "[1]"])
def test_a_broken_record_is_named(tmp_path, content):
    (tmp_path / "0001.json").write_text(content)
    with pytest.raises(ResultsError, match=r"0001\.json: not a record"):
        files.read_records(tmp_path)


def test_a_missing_a_foreign_and_a_broken_table_are_named(tmp_path):
    with pytest.raises(ResultsError, match="no such table"):
        files.read_table(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(ResultsError, match="not a Parquet table"):
        files.read_table(tmp_path / "text.parquet")
    pq.write_table(pa.table({"colour": ["red"]}), tmp_path / "foreign.parquet")
    with pytest.raises(ResultsError, match="columns differ.* missing: measurement_id, .*; unknown: colour$"):
        files.read_table(tmp_path / "foreign.parquet")


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def make_checkpoint_row(**changes) -> dict:
    """A row of the table of checkpoints whose values are only of the right type."""
    plain = {pa.string(): "x", pa.int64(): 1, pa.float64(): 0.5, pa.list_(pa.float32()): [0.5, 1.5]}
    return {f.name: plain.get(f.type, ["a", "b"]) for f in files.schema(CheckpointRow)} | changes


def test_checkpoint_rows_come_back_in_order_and_the_same_rows_are_the_same_bytes(tmp_path):
    rows = [make_checkpoint_row(weights_sha256="b", weight_change=None), make_checkpoint_row(weights_sha256="a")]
    for name in ("one", "two"):
        files.write_table(tmp_path / name, rows, CheckpointRow)
    assert files.read_checkpoints(tmp_path / "one").to_pylist() == rows
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_lists_of_a_checkpoint_are_of_text_or_float32():
    schema = files.schema(CheckpointRow)
    assert schema.field("matrices").type == pa.list_(pa.string())
    assert schema.field("weight_change").type == schema.field("weight_rms").type == pa.list_(pa.float32())


def test_a_missing_and_a_foreign_table_of_checkpoints_are_named(tmp_path):
    with pytest.raises(ResultsError, match="no such table; `qid checkpoints` makes one"):
        files.read_checkpoints(tmp_path / "none")
    files.write_table(tmp_path / "measurements", [dataclasses.asdict(make_row(1))], Measurement)
    with pytest.raises(ResultsError, match="columns differ.* missing: logit_entropy_nats, .*; unknown: measurement_id"):
        files.read_checkpoints(tmp_path / "measurements")


# ---- tables of several machines --------------------------------------------------------------------------------------


def test_measurements_lie_by_checkpoint_and_scheme_in_the_file_and_are_read_by_id(tmp_path):
    """In one page a column; neither way of writing depends on the order that rows come in."""
    places = {1: ("b", 2), 2: ("a", 3), 3: ("b", 3), 4: ("a", 2)}  # checkpoint and bits by number
    for number, (weights, bits) in places.items():
        folder = tmp_path / ("first" if number < 3 else "last")
        files.write_record(make_row(number, weights_sha256=weights, bits=bits), folder)
        files.write_record(make_row(number, weights_sha256=weights, bits=bits), tmp_path / "all")
    files.compact(tmp_path / "all", tmp_path / "table.parquet")
    files.gather([tmp_path / "last", tmp_path / "first"], tmp_path / "gathered.parquet")
    assert (tmp_path / "gathered.parquet").read_bytes() == (tmp_path / "table.parquet").read_bytes()
    stored = pq.read_table(tmp_path / "table.parquet")["measurement_id"].to_pylist()
    assert stored == ["0004", "0002", "0001", "0003"]
    read = files.read_table(tmp_path / "table.parquet")["measurement_id"].to_pylist()
    assert read == ["0001", "0002", "0003", "0004"]


def test_tables_and_records_are_gathered_and_the_first_of_two_rows_counts(tmp_path):
    for name, rows in (("a", (1, 2)), ("b", (2, 3))):
        for number in rows:
            files.write_record(make_row(number, model=name), tmp_path / name)
        files.compact(tmp_path / name, tmp_path / f"{name}.parquet")
    assert files.gather([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "all.parquet") == 3
    assert files.read_table(tmp_path / "all.parquet").column("model").to_pylist() == ["a", "a", "b"]
    assert files.gather([tmp_path / "a", tmp_path / "b.parquet"], tmp_path / "again.parquet") == 3
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "all.parquet").read_bytes()
    assert files.gather([], tmp_path / "all.parquet") == 3, "what the table holds already stays"


def test_checkpoints_are_gathered_in_the_order_of_their_table(tmp_path):
    rows = [make_checkpoint_row(weights_sha256=sha, step=step) for sha, step in (("c", 1), ("a", 2), ("b", 3))]
    files.write_table(tmp_path / "a.parquet", rows[1:], CheckpointRow)
    files.write_table(tmp_path / "b.parquet", rows[:2], CheckpointRow)
    assert files.gather([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "all.parquet") == 3
    assert files.read_checkpoints(tmp_path / "all.parquet").column("step").to_pylist() == [1, 2, 3]
    files.write_record(make_row(1), tmp_path / "r")
    with pytest.raises(ResultsError, match=r"r: holds a Measurement a row, .*all\.parquet a CheckpointRow"):
        files.gather([tmp_path / "r"], tmp_path / "all.parquet")
    with pytest.raises(ResultsError, match=r"none\.parquet: no such table"):
        files.gather([tmp_path / "none.parquet"], tmp_path / "all.parquet")


def test_a_folder_without_records_is_not_gathered(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("nothing here")
    with pytest.raises(
        ResultsError, match=r"empty: no records there; accepted: tables, and folders that hold records$"
    ):
        files.gather([tmp_path / "empty"], tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_rows_gathered_while_a_table_is_read_and_written_again_are_kept(tmp_path, monkeypatch):
    """The writer that came first has read the table and writes it half a second later."""
    for name in ("a", "b"):
        files.write_record(make_row(1 if name == "a" else 2), tmp_path / name)
    real, has_read = files.write_table, threading.Event()

    def slow(path, rows, record):
        if threading.current_thread() is not threading.main_thread():
            has_read.set()
            time.sleep(0.5)
        real(path, rows, record)

    monkeypatch.setattr(files, "write_table", slow)
    first = threading.Thread(target=files.compact, args=(tmp_path / "a", tmp_path / "t.parquet"))
    first.start()
    assert has_read.wait(30)
    (tmp_path / "link.parquet").symlink_to("t.parquet")
    assert files.gather([tmp_path / "b"], tmp_path / "link.parquet") == 2
    first.join()
    assert files.read_table(tmp_path / "t.parquet").num_rows == 2
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "t.parquet", "link.parquet"}


# ---- tables older than a column ------------------------------------------------------------------------------------

PARTS = (QuantScheme, Beside, Diagnostics)
OF_ROWS_ALONE = {"assignment_sha256", "pickle_sha256", "known_bad"}
LATER = {field.name: field.default for field in dataclasses.fields(Measurement) if field.default is not REQUIRED}


def written_before(column: str, row: Measurement, path: Path) -> Path:
    """Write a table as it was before it had the column."""
    table = pa.Table.from_pylist([dataclasses.asdict(row)], schema=files.schema())
    pq.write_table(table.drop_columns([column]), path)
    return path


def test_what_came_later_says_by_default_what_a_scheme_does():
    schemes = {field.name: field.default for part in PARTS for field in dataclasses.fields(part)}
    assert {name: schemes[name] for name in LATER if name in schemes} == {
        name: default for name, default in LATER.items() if name not in OF_ROWS_ALONE
    }
    assert {LATER[name] for name in OF_ROWS_ALONE} == {None}
    assert {"format", "kept_matrices", "outlier_share"} < LATER.keys()
    assert LATER["assignment_sha256"] is QuantScheme().assignment_sha256 is None


@pytest.mark.parametrize("column", LATER)
def test_an_older_table_reads_as_a_new_one_at_the_columns_default(tmp_path, column):
    row = make_row(1, **{column: LATER[column]})
    files.write_table(tmp_path / "new.parquet", [dataclasses.asdict(row)], Measurement)
    old, new = written_before(column, row, tmp_path / "old.parquet"), files.read_table(tmp_path / "new.parquet")
    assert files.read_table(old).equals(new)
    files.gather([old], tmp_path / "gathered.parquet")
    assert (tmp_path / "gathered.parquet").read_bytes() == (tmp_path / "new.parquet").read_bytes()


@pytest.mark.parametrize("column", LATER)
def test_an_older_record_reads_as_a_new_one_at_the_columns_default(tmp_path, column):
    row = make_row(1, **{column: LATER[column]})
    content = {name: value for name, value in dataclasses.asdict(row).items() if name != column}
    (tmp_path / "0001.json").write_text(json.dumps(content))
    assert files.read_records(tmp_path) == [row]


def test_older_and_newer_rows_are_joined(tmp_path):
    older, newer = make_row(1, outlier_share=None), make_row(2, outlier_share=0.01)
    files.write_record(newer, tmp_path / "records")
    for join in (files.compact, lambda folder, table: files.gather([folder], table)):
        table = written_before("outlier_share", older, tmp_path / "table.parquet")
        assert join(tmp_path / "records", table) == 2
        assert files.read_table(table).column("outlier_share").to_pylist() == [None, 0.01]


def test_an_option_added_to_scheme_and_row_leaves_the_tracked_table_readable_and_its_ids_as_they_are():
    """As a newcomer adds one: a field with a default in each of the two records."""

    @dataclasses.dataclass(frozen=True)
    class Scheme(QuantScheme):
        rotation: str | None = None

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Row(Measurement):
        rotation: str | None = None

    path = ROOT / "results/measurements.parquet"
    table = files._with_columns_of(Row, pq.read_table(path), path)
    assert table.drop_columns(["rotation"]).sort_by("measurement_id").equals(files.read_table(path))
    names = [field.name for field in dataclasses.fields(Scheme)]
    rows = table.select([*names, "scheme_id"]).slice(0, 500).to_pylist()
    for row in rows:
        scheme = from_mapping(Scheme, {name: row[name] for name in names}, "here")
        assert digest(key_of(scheme)) == row["scheme_id"]


# ---- what may go wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["loss_nats", "run", "method", "schema_version"])
def test_a_missing_column_is_named(tmp_path, lost):
    row = dataclasses.asdict(make_row(1))
    del row[lost]
    schema = pa.schema([files.schema().field(name) for name in row])
    pq.write_table(pa.Table.from_pylist([row], schema=schema), tmp_path / "t.parquet")
    with pytest.raises(ResultsError, match=f"columns differ from this version's; missing: {lost}; unknown: none"):
        files.read_table(tmp_path / "t.parquet")
    (tmp_path / "0001.json").write_text(json.dumps(row))
    with pytest.raises(ResultsError, match=f"not a record.*missing key '{lost}'"):
        files.read_records(tmp_path)


def test_records_hold_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_record(make_row(1, loss_nats=float("nan")), tmp_path)
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == "[]"


# ---- checksums -------------------------------------------------------------------------------------------------------


def test_a_record_with_another_number_is_damaged_and_one_without_a_checksum_is_read(tmp_path):
    files.write_record(make_row(1), tmp_path)
    path = tmp_path / "0001.json"
    content = json.loads(path.read_text())
    path.write_text(path.read_text().replace("2.5", "2.7"))
    with pytest.raises(
        ResultsError, match=r"0001\.json: not a record \(damaged, its 'checksum' is .*; delete it and rerun"
    ):
        files.read_records(tmp_path)
    del content["checksum"]
    path.write_text(json.dumps(content))
    assert files.read_records(tmp_path) == [make_row(1)]
    path.write_text(json.dumps(content | {"checksul": "0"}))  # as one bit of its name makes it
    with pytest.raises(ResultsError, match="unknown key 'checksul'"):
        files.read_records(tmp_path)


def column_places(path: Path) -> list[tuple[str, int, int]]:
    """Return name, first byte and end of each column's pages in a file of one group of rows."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    starts = [c.data_page_offset if c.dictionary_page_offset is None else c.dictionary_page_offset for c in columns]
    return [
        (c.path_in_schema, start, start + c.total_compressed_size) for c, start in zip(columns, starts, strict=True)
    ]


@pytest.mark.parametrize("name", ["measurements", "checkpoints", "trials"])
def test_a_flipped_bit_in_the_pages_of_a_tracked_table_is_refused(name, tmp_path):
    """The last byte of each column is its last page's data, which has no checksum of its own but the page's."""
    source, record = ROOT / f"results/{name}.parquet", RECORDS[name]
    whole, places = source.read_bytes(), column_places(source)
    for column, _, end in places[:: max(1, len(places) // 8)]:
        damaged = bytearray(whole)
        damaged[end - 1] ^= 1
        (tmp_path / "table.parquet").write_bytes(damaged)
        with pytest.raises(
            ResultsError,
            match=r"table\.parquet: not a Parquet table \(.*CRC",
        ) as caught:
            files._read(record, tmp_path / "table.parquet")
        assert "\n" not in str(caught.value), column


def test_a_table_without_checksums_is_read(tmp_path):
    rows = [dataclasses.asdict(make_row(number)) for number in (1, 2)]
    table = pa.Table.from_pylist(rows, schema=files.schema())
    pq.write_table(table, tmp_path / "older.parquet")
    assert files.read_table(str(tmp_path / "older.parquet")).equals(table)


@pytest.mark.parametrize(
    ("column", "found", "said"),
    [
        ("bits", pa.field("bits", pa.float64()), "double; accepted: int64"),
        ("step", pa.field("step", pa.uint64()), "uint64; accepted: int64"),
        ("family", pa.field("family", pa.string(), nullable=False), "string that is never null; accepted: string"),
    ],
)
def test_a_column_of_another_type_is_named(tmp_path, column, found, said):
    table = pa.Table.from_pylist([dataclasses.asdict(make_row(1))], schema=files.schema())
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, found, table[column].cast(found.type)), tmp_path / "table.parquet")
    with pytest.raises(ResultsError, match=rf"table\.parquet: column '{column}' is {said}$"):
        files.read_table(tmp_path / "table.parquet")
