import dataclasses
import json
import resource
import subprocess
import sys
import textwrap
import typing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import results
from helpers.specs import CheckpointRow, Measurement, QuantScheme, ResultsError

ROOT = Path(__file__).parents[1]


def make_row(number: int, **changes) -> Measurement:
    """A row whose values are only of the right type."""
    values = {}
    for name, annotation in ((f.name, f.type) for f in dataclasses.fields(Measurement)):
        text = getattr(annotation, "__name__", str(annotation))
        values[name] = 1 if "int" in text else 0.5 if "float" in text else True if "bool" in text else "x"
    values |= {"measurement_id": f"{number:04d}", "group_loss": (1.0, 2.5), "schema_version": 1}
    return Measurement(**values | changes)


def test_a_record_comes_back_as_it_was(tmp_path):
    row = make_row(1, loss_nats=None, reason=None, group_loss=None)
    results.write_record(row, tmp_path)
    results.write_record(make_row(2), tmp_path)
    assert results.read_records(tmp_path)[0] == row
    assert results.done_ids(tmp_path) == {"0001", "0002"}


def test_compaction_depends_on_the_rows_alone(tmp_path):
    for number in (3, 1, 2):
        results.write_record(make_row(number), tmp_path / "a")
    results.compact(tmp_path / "a", tmp_path / "a.parquet")
    for number in (1, 2):
        results.write_record(make_row(number), tmp_path / "b")
    results.compact(tmp_path / "b", tmp_path / "b.parquet")
    results.write_record(make_row(3), tmp_path / "c")
    assert results.compact(tmp_path / "c", tmp_path / "b.parquet") == 3
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_record_replaces_the_row_of_its_id(tmp_path):
    results.write_record(make_row(1, loss_nats=1.0), tmp_path / "r")
    results.compact(tmp_path / "r", tmp_path / "t.parquet")
    results.write_record(make_row(1, loss_nats=2.0), tmp_path / "r")
    results.compact(tmp_path / "r", tmp_path / "t.parquet")
    assert results.read_table(tmp_path / "t.parquet").column("loss_nats").to_pylist() == [2.0]


def test_the_schema_says_losses_by_document_are_float32():
    assert results.schema().field("group_loss").type == pa.list_(pa.float32())


@pytest.mark.parametrize("content", ["", "{", '{"measurement_id": 1}', "[1]"])
def test_a_broken_record_is_named(tmp_path, content):
    (tmp_path / "0001.json").write_text(content)
    with pytest.raises(ResultsError, match=r"0001\.json: not a record"):
        results.read_records(tmp_path)


def test_a_missing_a_foreign_and_a_broken_table_are_named(tmp_path):
    with pytest.raises(ResultsError, match="no such table"):
        results.read_table(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(ResultsError, match="not a Parquet table"):
        results.read_table(tmp_path / "text.parquet")
    pq.write_table(pa.table({"colour": ["red"]}), tmp_path / "foreign.parquet")
    with pytest.raises(ResultsError, match="columns differ.* missing: measurement_id, .*; unknown: colour$"):
        results.read_table(tmp_path / "foreign.parquet")


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def make_checkpoint_row(**changes) -> dict:
    """A row of the table of checkpoints whose values are only of the right type."""
    plain = {pa.string(): "x", pa.int64(): 1, pa.float64(): 0.5, pa.list_(pa.float32()): [0.5, 1.5]}
    return {f.name: plain.get(f.type, ["a", "b"]) for f in results.schema(CheckpointRow)} | changes


def test_checkpoint_rows_come_back_in_order_and_the_same_rows_are_the_same_bytes(tmp_path):
    rows = [make_checkpoint_row(weights_sha256="b", weight_change=None), make_checkpoint_row(weights_sha256="a")]
    for name in ("one", "two"):
        results.write_table(tmp_path / name, rows, CheckpointRow)
    assert results.read_checkpoints(tmp_path / "one").to_pylist() == rows
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_lists_of_a_checkpoint_are_of_text_or_float32():
    schema = results.schema(CheckpointRow)
    assert schema.field("matrices").type == pa.list_(pa.string())
    assert schema.field("weight_change").type == schema.field("weight_rms").type == pa.list_(pa.float32())


def test_a_missing_and_a_foreign_table_of_checkpoints_are_named(tmp_path):
    with pytest.raises(ResultsError, match="no such table; `qid checkpoints` makes one"):
        results.read_checkpoints(tmp_path / "none")
    results.write_table(tmp_path / "measurements", [dataclasses.asdict(make_row(1))], Measurement)
    with pytest.raises(ResultsError, match="columns differ.* missing: logit_entropy_nats, .*; unknown: measurement_id"):
        results.read_checkpoints(tmp_path / "measurements")


# ---- schema version 1 ------------------------------------------------------------------------------------------------


def as_version_1(row: Measurement) -> dict:
    """Return a row as the first version wrote it."""
    return {name: value for name, value in dataclasses.asdict(row).items() if name not in results.ADDED_IN_2}


def test_every_column_added_since_version_1_may_be_null():
    hints = typing.get_type_hints(Measurement)
    assert all(type(None) in typing.get_args(hints[name]) for name in results.ADDED_IN_2)


def test_the_tracked_table_of_version_1_reads_with_this_versions_columns():
    path = ROOT / "results/measurements.parquet"
    assert set(pq.read_schema(path).names) == set(results.schema().names) - set(results.ADDED_IN_2)
    table = results.read_table(path)
    assert table.schema.equals(results.schema())
    assert table.num_rows == 780
    for name, value in results.ADDED_IN_2.items():
        assert set(table.column(name).to_pylist()) == {value}
    stored = pq.read_table(path)
    assert all(table.column(name).equals(stored.column(name)) for name in stored.schema.names)


def test_schemes_of_version_1_are_the_ones_of_the_same_id():
    """What is filled in gives the ids that the rows carry: int, minmax and given are what they were rounded by."""
    names = [field.name for field in dataclasses.fields(QuantScheme)]
    rows = results.read_table(ROOT / "results/measurements.parquet").to_pylist()
    assert all(QuantScheme(**{name: row[name] for name in names}).scheme_id == row["scheme_id"] for row in rows)


def test_records_of_version_1_join_a_table_of_version_1(tmp_path):
    old = [as_version_1(make_row(number)) for number in (1, 2)]
    names = list(old[0])
    schema = pa.schema([results.schema().field(name) for name in names])
    pq.write_table(pa.Table.from_pylist(old[:1], schema=schema), tmp_path / "t.parquet")
    (tmp_path / "r").mkdir()
    (tmp_path / "r/0002.json").write_text(json.dumps(old[1]))
    results.write_record(make_row(3, schema_version=2, format="mxint", kl_nats=0.25), tmp_path / "r")
    assert results.compact(tmp_path / "r", tmp_path / "t.parquet") == 3
    table = results.read_table(tmp_path / "t.parquet")
    assert table.column("format").to_pylist() == ["int", "int", "mxint"]
    assert table.column("kl_nats").to_pylist() == [None, None, 0.25]
    assert table.column("schema_version").to_pylist() == [1, 1, 2]


@pytest.mark.parametrize(("version", "lost"), [(1, "loss_nats"), (1, "bits"), (2, "format"), (2, "kl_nats")])
def test_other_missing_columns_stay_an_error(tmp_path, version, lost):
    row = dataclasses.asdict(make_row(1, schema_version=version))
    del row[lost]
    schema = pa.schema([results.schema().field(name) for name in row])
    pq.write_table(pa.Table.from_pylist([row], schema=schema), tmp_path / "t.parquet")
    with pytest.raises(ResultsError, match=f"columns differ from this version's; missing: {lost}; unknown: none"):
        results.read_table(tmp_path / "t.parquet")
    (tmp_path / "0001.json").write_text(json.dumps(row))
    with pytest.raises(ResultsError, match=f"not a record.*missing key '{lost}'"):
        results.read_records(tmp_path)


def test_an_unknown_column_stays_an_error_in_version_1(tmp_path):
    row = as_version_1(make_row(1))
    schema = pa.schema([*(results.schema().field(name) for name in row), ("colour", pa.string())])
    pq.write_table(pa.Table.from_pylist([row | {"colour": "red"}], schema=schema), tmp_path / "t.parquet")
    with pytest.raises(ResultsError, match="missing: none; unknown: colour"):
        results.read_table(tmp_path / "t.parquet")
    (tmp_path / "0001.json").write_text(json.dumps(row | {"colour": "red"}))
    with pytest.raises(ResultsError, match="not a record.*unknown key 'colour'"):
        results.read_records(tmp_path)


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path):
    """The limit on file size makes the kernel refuse a write half way, as a full disk does."""
    results.write_atomically(tmp_path / "table", b"old")
    code = f"""
        import resource, signal, sys
        from pathlib import Path
        from helpers import results
        from helpers.specs import ResultsError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.getrlimit(resource.RLIMIT_FSIZE)[1]}))
        try:
            results.write_atomically(Path({str(tmp_path / "table")!r}), b"x" * 100_000)
        except ResultsError as error:
            print(error)
            sys.exit(7)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "nothing was lost" in done.stdout
    assert (tmp_path / "table").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_a_second_process_is_refused_and_a_dead_one_holds_nothing(tmp_path):
    code = f"""
        import os, sys
        from pathlib import Path
        from helpers import results
        with results.exclusive(Path({str(tmp_path / "records")!r})):
            print("held", flush=True)
            sys.stdin.readline()
            os._exit(9)
    """
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ResultsError, match="another process"), results.exclusive(tmp_path / "records"):
            pass
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.wait(30) == 9
    with results.exclusive(tmp_path / "records"):
        pass


def test_records_hold_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        results.write_record(make_row(1, loss_nats=float("nan")), tmp_path)
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == "[]"
