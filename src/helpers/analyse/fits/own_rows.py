"""A person's own measurements, from CSV or Parquet, as the data of a fit.

Columns: `n_params_non_embedding` (N), `tokens_seen` (D), `bits` (P), `qid_nats` (nats per token), and if there are any
`qid_se` (standard error of QiD, nats per token), `run`, `group_size`, `lr_fraction`, `loss_nats` (16-bit loss),
`vocabulary_size`. Others are ignored. A row with anything that can't be used is refused by its number, the first is 1.
"""

import csv
import difflib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from helpers.analyse.fits.data import FitData
from helpers.table.errors import QidError
from helpers.table.files import read_verified

REQUIRED = ("n_params_non_embedding", "tokens_seen", "bits", "qid_nats")
COVARIATES = ("group_size", "lr_fraction", "loss_nats", "vocabulary_size")  # a cell may be empty: not known
NUMBERS = (*REQUIRED, "qid_se", *COVARIATES)
RENAMED = {"run": "run_label", "qid_se": "qid_se_nats", "loss_nats": "baseline_loss_nats"}
MOST_ROWS = 20_000  # refits of as many take a minute; more training runs would add more than more rows
NO_ERROR_NATS = 1e-12  # stands for no error of a row's own: tau alone
FORMATS = (".csv", ".parquet")
SEPARATORS = {";": "a semicolon", "\t": "a tab", "|": "'|'"}
# No language model is so small: what is below was counted in another unit.
LEAST = {
    "n_params_non_embedding": (1000, "parameters, not thousands, millions or billions of them: 1000 or more"),
    "tokens_seen": (1000, "tokens, not thousands, millions or billions of them: 1000 or more"),
}
MOST_BITS = 32


class DataError(QidError):
    """A person's table can't be used; the text says where and what is accepted."""


@dataclass(frozen=True, eq=False)
class OwnRows:
    """The data of a fit, and what had to be assumed, one sentence each."""

    data: FitData
    assumed: tuple[str, ...]


def read_own_rows(path: Path) -> OwnRows:
    """Read a table of measurements. Raises DataError, one line that names row and column."""
    table = _read(path)
    _refuse_columns(table, path)
    if table.empty:
        raise DataError(f"{path}: no rows; one row is one measurement of QiD")
    if len(table) > MOST_ROWS:
        raise DataError(
            f"{path}: {len(table):,} rows; at most {MOST_ROWS:,} are fitted: average rows of one model, or take fewer"
        )
    names = [name for name in NUMBERS if name in table]
    numbers = pd.DataFrame({name: _numbers(table[name], path) for name in names})
    _refuse_values(numbers, path)
    assumed = []
    if "run" in table:
        _refuse_rows(path, "run", np.flatnonzero(table["run"].isna()), "empty; accepted: the name of a training run")
        numbers["run"] = table["run"].astype(str)
    else:
        numbers["run"] = numbers["n_params_non_embedding"].map("size {:.17g}".format)
        assumed.append(_without("run", table) + "rows of one size are taken as one training run, the cautious choice")
    if "qid_se" not in numbers:
        numbers["qid_se"] = NO_ERROR_NATS
        assumed.append(_without("qid_se", table) + "no row has an error of its own, the relative spread tau is all")
    _refuse_repeats(numbers, path)
    return OwnRows(FitData.from_table(numbers.rename(columns=RENAMED)), tuple(assumed))


def _read(path: Path) -> pd.DataFrame:
    if path.suffix.lower() not in FORMATS:
        raise DataError(f"{path}: accepted are files that end in {' or '.join(FORMATS)}")
    try:
        if path.suffix.lower() == ".parquet":
            return read_verified(path).to_pandas(ignore_metadata=True)  # what pandas wrote as an index is a column too
        text = path.read_bytes().decode("utf-8-sig")
        _refuse_lines(text, path)
        return pd.read_csv(io.StringIO(text), index_col=False, low_memory=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: empty; accepted: a first line with the names {', '.join(REQUIRED)}") from None
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:  # pandas' parser errors are ValueErrors
        words = str(error).splitlines()[0].strip()
        raise DataError(f"{path}: not a {path.suffix.lower()[1:].upper()} table ({words})") from None


def _refuse_lines(text: str, path: Path) -> None:
    """Raise DataError for another separator than the comma, and for a line with more or fewer fields than the first."""
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next((fields for fields in reader if fields), [])
    other = next((mark for mark in SEPARATORS if mark in "".join(header)), None)
    if len(header) == 1 and other is not None:
        raise DataError(f"{path}: no column '{REQUIRED[0]}': the separator is {SEPARATORS[other]}; accepted: a comma")
    for fields in reader:
        if fields and len(fields) != len(header):
            found = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            said = f"line {reader.line_num}: {found}; accepted: {len(header)}, as the first line has"
            raise DataError(f"{path}: not a CSV table ({said})")


def _refuse_columns(table: pd.DataFrame, path: Path) -> None:
    """Raise DataError for a required column that is missing, with the nearest name, or one that is there twice."""
    names = [str(name) for name in table.columns]
    for name in names:
        if name != name.strip() and name.strip() in (*NUMBERS, "run"):
            raise DataError(f"{path}: column '{name}' has a blank at an end; accepted: '{name.strip()}'")
    for wanted in REQUIRED:
        if wanted in names:
            continue
        near = _near(wanted, names)
        hint = f"; is '{near}' meant?" if near else f"; columns are {', '.join(names[:8]) or 'none'}"
        raise DataError(f"{path}: no column '{wanted}'{hint} (required: {', '.join(REQUIRED)})")
    # pandas calls the second of two `.1`, Arrow leaves it as it is
    twice = [name for name in (*NUMBERS, "run") if f"{name}.1" in names or names.count(name) > 1]
    if twice:
        raise DataError(f"{path}: column '{twice[0]}' is there twice")


def _without(column: str, table: pd.DataFrame) -> str:
    near = _near(column, [str(name) for name in table.columns])
    return f"no column '{column}'" + (f" (is '{near}' meant?)" if near else "") + ": "


def _near(wanted: str, names: list[str]) -> str:
    """Return the name among `names`, of those without a meaning here, that comes nearest to `wanted`; else nothing."""
    others = [name for name in names if name not in (*NUMBERS, "run")]
    return next(iter(difflib.get_close_matches(wanted, others, n=1, cutoff=0.5)), "")


def _refuse_rows(path: Path, column: str, places: np.ndarray, words: str) -> None:
    """Raise DataError that names the first of `places` (counted from 0) and how many more there are."""
    if places.size:
        more = f" (and {places.size - 1} more)" if places.size > 1 else ""
        raise DataError(f"{path}: row {places[0] + 1}{more}, column '{column}': {words}")


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    """Return a column as floats. Raises DataError for a cell that holds a text or, but for covariates, is empty."""
    empty = column.isna()
    if column.name not in COVARIATES:
        _refuse_rows(path, column.name, np.flatnonzero(empty), "empty or NaN; accepted: a number")
    plain = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    # Dates, truth values and lists could be made numbers of; as texts they aren't.
    numbers = pd.to_numeric(column if plain else column.astype(str), errors="coerce").astype(float)
    bad = np.flatnonzero(numbers.isna() & ~empty)
    if bad.size:
        _refuse_rows(path, column.name, bad, f"'{str(column.iloc[bad[0]])[:40]}'; accepted: a number")
    return numbers


def _refuse_values(numbers: pd.DataFrame, path: Path) -> None:
    for name, column in numbers.items():
        values = column.to_numpy()
        kinds = [(np.isinf(values), "a finite number")]
        if name == "lr_fraction":
            kinds.append(((values < 0) | (values > 1), "a share of the peak learning rate, 0 to 1"))
        elif name != "qid_nats":
            kinds.append((values <= 0, "a positive number"))
        if name in LEAST:
            kinds.append((values < LEAST[name][0], LEAST[name][1]))
        if name == "bits":
            kinds.append((values > MOST_BITS, f"bits a weight, up to {MOST_BITS}"))
        for wrong, accepted in kinds:
            places = np.flatnonzero(wrong)
            if places.size:
                _refuse_rows(path, name, places, f"{values[places[0]]:g}; accepted: {accepted}")


def _refuse_repeats(numbers: pd.DataFrame, path: Path) -> None:
    """Raise DataError for a row that is the same as an earlier one: it would count twice."""
    same_as = numbers.groupby(list(numbers.columns), dropna=False).ngroup().to_numpy()
    repeats = np.flatnonzero(pd.Series(same_as).duplicated())
    if repeats.size:
        same = np.flatnonzero(same_as == same_as[repeats[0]])[0]
        more = f" (and {repeats.size - 1} more)" if repeats.size > 1 else ""
        raise DataError(f"{path}: row {repeats[0] + 1}{more} repeats row {same + 1}; accepted: each measurement once")
