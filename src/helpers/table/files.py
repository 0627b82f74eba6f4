"""The tables: measurements, each first an atomic JSON record, compacted into one Parquet file; checkpoints; trials.

A record is complete or absent: it is written under another name, flushed and renamed. Nothing here needs pandas or
torch; the join of quantized rows with their baselines is `analyse.degradation`.
"""

import contextlib
import dataclasses
import json
import os
import tempfile
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from helpers.table.checkpoint_rows import CheckpointRow
from helpers.table.errors import ResultsError, SpecError
from helpers.table.readers import read_json
from helpers.table.records import from_mapping
from helpers.table.rows import Measurement
from helpers.table.trial_rows import TrialRow

# What names a row of each table, and the order its rows are written in.
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
    Measurement: KEY[Measurement],
    CheckpointRow: ("family", "n_params_total", "run", "step", *KEY[CheckpointRow]),
    TrialRow: ("family", "n_params_total", "run", "step", *KEY[TrialRow]),
}
COMMAND = {Measurement: "qid sweep", CheckpointRow: "qid checkpoints", TrialRow: "qid search"}
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


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a kill or a full disk leaves the old file or the new one, never a part.

    Raises ResultsError when the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
        os.replace(partial, path)
    except OSError as error:
        raise ResultsError(
            f"{path}: can't be written ({error.strerror}); nothing was lost, free space and rerun"
        ) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)


def write_record(row: Measurement, folder: Path) -> None:
    """Write one measurement as `folder/<measurement_id>.json`. Raises ResultsError when the disk refuses."""
    content = json.dumps(dataclasses.asdict(row), allow_nan=False, indent=1)
    write_atomically(folder / f"{row.measurement_id}.json", content.encode())


def read_records(folder: Path) -> list[Measurement]:
    """Read every record of a folder. Raises ResultsError that names a record that can't be read."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        try:
            rows.append(from_mapping(Measurement, read_json(path), str(path)))
        except (ValueError, SpecError) as error:
            raise ResultsError(f"{path}: not a record ({error}); delete it and rerun") from None
    return rows


def done_ids(folder: Path) -> set[str]:
    """Return the ids of the measurements a folder of records holds."""
    return {path.stem for path in folder.glob("*.json")}


def compact(folder: Path, table_path: Path) -> int:
    """Join a table with a folder's records and write it back sorted by id, atomically; return the number of rows.

    A record replaces the row of the same id. The bytes written depend on the rows alone.
    """
    rows = {row["measurement_id"]: row for row in read_table(table_path).to_pylist()} if table_path.exists() else {}
    rows |= {row.measurement_id: dataclasses.asdict(row) for row in read_records(folder)}
    write_table(table_path, [rows[key] for key in sorted(rows)], Measurement)
    return len(rows)


def gather(sources: Sequence[Path], table_path: Path) -> int:
    """Join tables of one kind (and folders of records) with what `table_path` holds; return the number of rows.

    Of several rows of one key the first counts. Raises ResultsError for a source that can't be read or is of the other
    kind.
    """
    found = [*([table_path] if table_path.exists() else []), *sources]
    kinds = {path: _kind(path) for path in found}
    record = next(iter(kinds.values()), Measurement)
    other = next((path for path, kind in kinds.items() if kind is not record), None)
    if other is not None:
        raise ResultsError(f"{other}: holds a {kinds[other].__name__} a row, {found[0]} a {record.__name__}")
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    for path in found:
        rows = {tuple(row[name] for name in KEY[record]): row for row in _rows_in(path, record)} | rows
    write_table(table_path, sorted(rows.values(), key=lambda row: _place(row, record)), record)
    return len(rows)


def _place(row: dict[str, Any], record: type) -> list[tuple[bool, Any]]:
    """Return what rows are sorted by; what is null comes first."""
    return [(row[name] is not None, row[name]) for name in ORDER[record]]


def _kind(path: Path) -> type:
    """Return what a row of a table or a record of a folder is."""
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
    # bytes of the same place side by side: losses by document then take a third less
    floats = [f"{field.name}.list.element" for field in columns if field.type == pa.list_(pa.float32())]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=columns),
        sink,
        compression="zstd",
        compression_level=12,
        use_dictionary=[field.name for field in columns if not pa.types.is_list(field.type)],
        use_byte_stream_split=floats,
    )
    write_atomically(path, sink.getvalue().to_pybytes())


def read_table(path: Path) -> pa.Table:
    """Read a table of measurements. Raises ResultsError when it is missing or has other columns."""
    return _read(Measurement, path)


def read_checkpoints(path: Path) -> pa.Table:
    """Read a table of checkpoints. Raises ResultsError when it is missing or has other columns."""
    return _read(CheckpointRow, path)


def read_trials(path: Path) -> pa.Table:
    """Read a table of trials. Raises ResultsError when it is missing or has other columns."""
    return _read(TrialRow, path)


def _read(record: type, path: Path) -> pa.Table:
    return _with_columns_of(record, _read_parquet(path, COMMAND[record]), path)


def _read_parquet(path: Path, command: str) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise ResultsError(f"{path}: no such table; `{command}` makes one") from None
    except pa.ArrowInvalid as error:
        raise ResultsError(f"{path}: not a Parquet table ({str(error).splitlines()[0]})") from None


def _with_columns_of(record: type, table: pa.Table, path: Path) -> pa.Table:
    """Return the table with its columns in the record's order, one that came later at its default.

    Raises ResultsError for a column that the record doesn't have, and for one without a default that isn't there.
    """
    wanted, defaults = schema(record), {f.name: f.default for f in dataclasses.fields(record)}
    lacking = [field for field in wanted if field.name not in table.schema.names]
    missing = [field.name for field in lacking if defaults[field.name] is dataclasses.MISSING]
    unknown = [name for name in table.schema.names if name not in wanted.names]
    if missing or unknown:
        listed = f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        raise ResultsError(f"{path}: columns differ from this version's; {listed}")
    for field in lacking:
        table = table.append_column(field, pa.array([defaults[field.name]] * table.num_rows, field.type))
    return table.select(wanted.names)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a folder of records or a table against a second process; the lock ends with the process, however it ends.

    Raises ResultsError at once when another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ResultsError(f"{path}: another process is measuring into it; wait for it or end it") from None
    try:
        yield
    finally:
        lock.release()
