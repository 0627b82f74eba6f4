"""The three tables as Parquet files: measurements (first one atomic JSON record each), checkpoints and trials.

A record is complete or absent: it is written under another name, flushed and renamed. A table that is read and written
again is so under its lock. Nothing here needs pandas or torch; the join of quantized rows with their baselines is
`helpers.analyse.rows.degradation`.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from helpers.table.checkpoint_rows import CheckpointRow
from helpers.table.disk import PATIENCE_SECONDS, exclusive, write_atomically
from helpers.table.errors import ResultsError, SpecError
from helpers.table.readers import read_json
from helpers.table.records import from_mapping, summed, verified
from helpers.table.rows import Measurement
from helpers.table.trial_rows import TrialRow

# The columns that name a row of each table (KEY) and those that sort its rows in the file (ORDER): measurements
# so that like losses by document lie beside each other, which packs better; `read_table` returns them by key
TRIAL_KEY = (
    "weights_sha256",
    "scheme_id",
    "eval_id",
    "device_type",
    "granularity",
    "search",
    "target_ratio",
    "number",
)
KEY = {Measurement: ("measurement_id",), CheckpointRow: ("weights_sha256",), TrialRow: TRIAL_KEY}
ORDER = {
    Measurement: (
        *("eval_id", "n_params_total", "tokens_seen", "weights_sha256"),
        *("method", "bits", "loss_nats", *KEY[Measurement]),
    ),
    CheckpointRow: ("family", "n_params_total", "run", "step", *KEY[CheckpointRow]),
    TrialRow: ("family", "n_params_total", "run", "step", *KEY[TrialRow]),
}
COMMAND = {Measurement: "qid sweep", CheckpointRow: "qid checkpoints", TrialRow: "qid search"}
PACKED = {"compression": "zstd", "compression_level": 22, "data_page_size": 2**30}  # one page a column, packed hard
_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def _arrow_type(annotation: Any) -> pa.DataType:
    if isinstance(annotation, types.UnionType):
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    if typing.get_origin(annotation) is tuple:
        element = typing.get_args(annotation)[0]
        return pa.list_(pa.float32() if element is float else _ARROW[element])
    return _ARROW[annotation]


def schema(record: type = Measurement) -> pa.Schema:
    """Return the Parquet schema of a table whose rows are `record`s. Lists of numbers are float32."""
    hints = typing.get_type_hints(record)
    return pa.schema([(f.name, _arrow_type(hints[f.name])) for f in dataclasses.fields(record)])


def write_record(row: Measurement, folder: Path) -> None:
    """Write one measurement as `folder/<measurement_id>.json`. Raises ResultsError when the disk refuses."""
    write_atomically(folder / record_name(row.measurement_id), record_content(row))


def record_name(measurement_id: str) -> str:
    """Return the name of a measurement's record."""
    return f"{measurement_id}.json"


def record_content(row: Measurement) -> bytes:
    """Return what a measurement's record holds: JSON with its checksum."""
    return json.dumps(summed(dataclasses.asdict(row)), allow_nan=False, indent=1).encode()


def read_records(folder: Path) -> list[Measurement]:
    """Read every record of a folder. Raises ResultsError that names a record that can't be read."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        try:
            rows.append(from_mapping(Measurement, verified(read_json(path)), str(path)))
        except (ValueError, SpecError) as error:
            raise ResultsError(f"{path}: not a record ({error}); delete it and rerun") from None
    return rows


def done_ids(folder: Path) -> set[str]:
    """Return the ids of the measurements a folder of records holds."""
    return {path.stem for path in folder.glob("*.json")}


def compact(folder: Path, table_path: Path) -> int:
    """Join a table with a folder's records and write it back in order, atomically; return the number of rows.

    A record replaces the row of the same id. The bytes written depend on the rows alone. Raises ResultsError as
    `read_records` and `write_table` do, and when another process holds the table for long.
    """
    found = {row.measurement_id: dataclasses.asdict(row) for row in read_records(folder)}
    with exclusive(table_path, PATIENCE_SECONDS):
        rows = {row["measurement_id"]: row for row in read_table(table_path).to_pylist()} if table_path.exists() else {}
        rows |= found
        write_table(table_path, sorted(rows.values(), key=lambda row: _place(row, Measurement)), Measurement)
    return len(rows)


def gather(sources: Sequence[Path], table_path: Path) -> int:
    """Join tables of one kind (and folders of records) with what `table_path` holds; return the number of rows.

    Of several rows of one key the first counts. Raises ResultsError for a source that can't be read, is of the other
    kind or is a folder without records, and when another process holds the table for long.
    """
    empty = next((path for path in sources if path.is_dir() and not done_ids(path)), None)
    if empty is not None:
        raise ResultsError(f"{empty}: no records there; accepted: tables, and folders that hold records")
    with exclusive(table_path, PATIENCE_SECONDS):
        return _gathered(sources, table_path)


def _gathered(sources: Sequence[Path], table_path: Path) -> int:
    paths = [*([table_path] if table_path.exists() else []), *sources]
    kinds = {path: _kind(path) for path in paths}
    record = next(iter(kinds.values()), Measurement)
    other = next((path for path, kind in kinds.items() if kind is not record), None)
    if other is not None:
        raise ResultsError(f"{other}: holds a {kinds[other].__name__} a row, {paths[0]} a {record.__name__}")
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    for path in paths:
        rows = {tuple(row[name] for name in KEY[record]): row for row in _rows_in(path, record)} | rows
    write_table(table_path, sorted(rows.values(), key=lambda row: _place(row, record)), record)
    return len(rows)


def _place(row: dict[str, Any], record: type) -> list[tuple[bool, Any]]:
    """Return the key that a row is sorted by; a null comes first."""
    return [(row[name] is not None, row[name]) for name in ORDER[record]]


def _kind(path: Path) -> type:
    """Return the type of a table's rows or of a folder's records."""
    if path.is_dir():
        return Measurement
    names = set(_read_parquet(path, COMMAND[Measurement]).schema.names)
    for kind in (Measurement, TrialRow):
        if names >= {*KEY[kind]}:
            return kind
    return CheckpointRow


def _rows_in(path: Path, record: type) -> list[dict[str, Any]]:
    if path.is_dir():
        return [dataclasses.asdict(row) for row in read_records(path)]
    rows: list[dict[str, Any]] = _read(record, path).to_pylist()
    return rows


def write_table(path: Path, rows: list[dict[str, Any]], record: type) -> None:
    """Write rows of `record`'s fields as Parquet, in the order given, atomically; the bytes depend on the rows alone.

    Raises ResultsError when the disk refuses.
    """
    columns, sink = schema(record), pa.BufferOutputStream()
    # the first bytes of all numbers side by side, then the second: losses by document then take a third less
    floats = [field.name for field in columns if pa.types.is_floating(field.type)]
    lists = [f"{field.name}.list.element" for field in columns if field.type == pa.list_(pa.float32())]
    repeated = [field.name for field in columns if not pa.types.is_list(field.type) and field.name not in floats]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=columns),
        sink,
        use_dictionary=[name for name in repeated if name != "measurement_id"],
        use_byte_stream_split=[*floats, *lists],
        write_page_checksum=True,
        **PACKED,
    )
    write_atomically(path, sink.getvalue().to_pybytes())


def read_table(path: Path | str) -> pa.Table:
    """Read a table of measurements, by id. Raises ResultsError when it is missing, damaged or has other columns."""
    return _read(Measurement, Path(path)).sort_by("measurement_id")


def read_checkpoints(path: Path | str) -> pa.Table:
    """Read a table of checkpoints. Raises ResultsError when it is missing, damaged or has other columns."""
    return _read(CheckpointRow, Path(path))


def read_trials(path: Path | str) -> pa.Table:
    """Read a table of trials. Raises ResultsError when it is missing, damaged or has other columns."""
    return _read(TrialRow, Path(path))


def _read(record: type, path: Path) -> pa.Table:
    return _with_columns_of(record, _read_parquet(path, COMMAND[record]), path)


def read_verified(path: Path) -> pa.Table:
    """Read any Parquet file, its pages held against their checksums where it has them, its texts against UTF-8.

    Raises OSError or ArrowException for one that is missing or damaged.
    """
    table = pq.read_table(path, page_checksum_verification=True)
    table.validate(full=True)  # texts and names that aren't UTF-8 would be met by whoever takes a row
    return table


def _read_parquet(path: Path, command: str) -> pa.Table:
    try:
        table = read_verified(path)
        return table.select(table.column_names)
    except FileNotFoundError:
        raise ResultsError(f"{path}: no such table; `{command}` makes one") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # a damaged page is an OSError
        raise ResultsError(f"{path}: not a Parquet table ({str(error).splitlines()[0]})") from None


def _with_columns_of(record: type, table: pa.Table, path: Path) -> pa.Table:
    """Return the table with its columns in the record's order; a column that it lacks gets its default.

    Raises ResultsError for a column that the record doesn't have, for one without a default that the table lacks, and
    for one of another type: names and types are in the file's footer, which has no checksum.
    """
    wanted, defaults = schema(record), {f.name: f.default for f in dataclasses.fields(record)}
    lacking = [field for field in wanted if field.name not in table.schema.names]
    missing = [field.name for field in lacking if defaults[field.name] is dataclasses.MISSING]
    unknown = [name for name in table.schema.names if name not in wanted.names]
    if missing or unknown:
        listed = f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        raise ResultsError(f"{path}: columns differ from this version's; {listed}")
    for field in wanted:
        if field not in lacking and not table.schema.field(field.name).equals(field):
            found = table.schema.field(field.name)
            said = f"{found.type}{'' if found.nullable else ' that is never null'}"
            raise ResultsError(f"{path}: column '{field.name}' is {said}; accepted: {field.type}")
    for field in lacking:
        table = table.append_column(field, pa.array([defaults[field.name]] * table.num_rows, field.type))
    return table.select(wanted.names)
