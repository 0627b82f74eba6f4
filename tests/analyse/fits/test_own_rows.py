"""A person's own table: what is taken from it, what is assumed, and how it is refused."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.analyse.fits.own_rows import MOST_ROWS, REQUIRED, DataError, read_own_rows
from helpers.table.words import visible


@pytest.fixture
def table(planted) -> pd.DataFrame:
    data = planted(2)
    return pd.DataFrame(
        {
            "n_params_non_embedding": data.n_params,
            "tokens_seen": data.tokens,
            "bits": data.bits.astype(int),
            "qid_nats": data.qid_nats,
            "qid_se": data.qid_se_nats,
            "run": data.runs,
            "note": "not read",
        }
    )


def written(table: pd.DataFrame, folder, name: str = "mine.csv"):
    path = folder / name
    table.to_parquet(path) if name.endswith(".parquet") else table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet", "MINE.CSV"])
def test_columns_become_the_data_of_a_fit(table, planted, tmp_path, name):
    own = read_own_rows(written(table, tmp_path, name))
    expected = planted(2)
    for field in ("tokens", "n_params", "bits", "qid_nats", "qid_se_nats"):
        np.testing.assert_array_equal(getattr(own.data, field), getattr(expected, field))
    assert list(own.data.runs) == list(expected.runs)
    assert own.data.covariates == {}
    assert own.assumed == ()


def test_covariates_are_taken_where_they_are_there_and_may_be_unknown(table, tmp_path):
    more = table.assign(group_size=32, lr_fraction=0.0, loss_nats=2.0, vocabulary_size=1024)
    more.loc[3, "group_size"] = None
    covariates = read_own_rows(written(more, tmp_path)).data.covariates
    assert np.isnan(covariates["group_size"][3])
    assert np.nansum(covariates["group_size"]) == 32 * (len(table) - 1)
    assert np.all(covariates["lr_fraction"] == 0)
    np.testing.assert_allclose(covariates["room_nats"], np.log(1024) - 2)


def test_without_runs_and_errors_it_is_said_what_is_assumed(table, tmp_path):
    bare = table.drop(columns=["run", "qid_se"]).assign(qid_se_nats=0.1)
    own = read_own_rows(written(bare, tmp_path))
    assert np.unique(own.data.runs).size == table["n_params_non_embedding"].nunique()
    by_size = pd.Series(own.data.runs).groupby(own.data.n_params).nunique()
    assert (by_size == 1).all()
    assert np.all(own.data.qid_se_nats < 1e-9 * np.abs(own.data.qid_nats))
    assert own.assumed[0].startswith("no column 'run': rows of one size are taken as one training run")
    assert own.assumed[1].startswith("no column 'qid_se' (is 'qid_se_nats' meant?): ")


def test_a_number_as_text_is_a_number_and_a_qid_may_be_negative(table, tmp_path):
    texts = table.astype({"qid_nats": str, "bits": str})
    texts.loc[2, "qid_nats"] = "-0.001"
    own = read_own_rows(written(texts, tmp_path, "mine.parquet"))
    assert own.data.qid_nats[2] == -0.001
    assert own.data.bits[0] == table["bits"][0]


@pytest.mark.parametrize(
    ("row", "column", "cell", "said"),
    [
        (3, "qid_nats", "a lot", "row 4, column 'qid_nats': 'a lot'; accepted: a number"),
        (0, "bits", "4 bits", "row 1, column 'bits': '4 bits'; accepted: a number"),
        (5, "tokens_seen", "1,5", "row 6, column 'tokens_seen': '1,5'; accepted: a number"),
        (5, "tokens_seen", -1e9, "row 6, column 'tokens_seen': -1e+09; accepted: a positive number"),
        (6, "n_params_non_embedding", 0, "row 7, column 'n_params_non_embedding': 0; accepted: a positive number"),
        (7, "bits", 0, "row 8, column 'bits': 0; accepted: a positive number"),
        (7, "bits", -3, "row 8, column 'bits': -3; accepted: a positive number"),
        (7, "qid_se", 0, "row 8, column 'qid_se': 0; accepted: a positive number"),
        (8, "qid_nats", np.nan, "row 9, column 'qid_nats': empty or NaN; accepted: a number"),
        (8, "qid_nats", np.inf, "row 9, column 'qid_nats': inf; accepted: a finite number"),
        (8, "tokens_seen", np.inf, "row 9, column 'tokens_seen': inf; accepted: a finite number"),
        (9, "run", None, "row 10, column 'run': empty; accepted: the name of a training run"),
    ],
)
@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_a_cell_that_cannot_be_used_is_named(table, tmp_path, row, column, cell, said, name):
    table[column] = table[column].astype(object)
    table.loc[row, column] = cell
    if name == "mine.parquet" and isinstance(cell, str):
        table[column] = table[column].astype(str)
    with pytest.raises(DataError) as caught:
        read_own_rows(written(table, tmp_path, name))
    assert str(caught.value) == f"{tmp_path / name}: {said}"


@pytest.mark.parametrize("cell", [pd.Timestamp("2026-01-01"), True, [3.0]])
def test_what_is_no_number_isnt_made_one(table, tmp_path, cell):
    with pytest.raises(DataError, match=r"row 1 \(and 125 more\), column 'bits': '.*'; accepted: a number"):
        read_own_rows(written(table.assign(bits=pd.Series([cell] * len(table))), tmp_path, "mine.parquet"))


def test_of_several_bad_cells_the_first_is_named_and_the_others_counted(table, tmp_path):
    table.loc[[4, 6, 9], "bits"] = -1
    with pytest.raises(DataError, match=r"row 5 \(and 2 more\), column 'bits': -1; accepted: a positive number"):
        read_own_rows(written(table, tmp_path))
    with pytest.raises(DataError, match="row 1 .*'lr_fraction': 1.5; accepted: a share of the peak"):
        read_own_rows(written(table.assign(bits=3, lr_fraction=1.5), tmp_path))


@pytest.mark.parametrize("wanted", REQUIRED)
def test_a_missing_column_is_named_with_the_nearest_name(table, tmp_path, wanted):
    near = wanted[:-1]
    with pytest.raises(DataError, match=f"no column '{wanted}'; is '{near}' meant\\?"):
        read_own_rows(written(table.rename(columns={wanted: near}), tmp_path))
    with pytest.raises(DataError, match=f"no column '{wanted}'; columns are .*run, note"):
        read_own_rows(written(table.drop(columns=wanted), tmp_path))


def test_the_same_row_twice_is_named(table, tmp_path):
    twice = pd.concat([table, table.iloc[[5, 9]]])
    n = len(table)
    with pytest.raises(DataError, match=rf"row {n + 1} \(and 1 more\) repeats row 6; accepted: each measurement once"):
        read_own_rows(written(twice, tmp_path))
    unknown = twice.assign(group_size=np.where(twice["bits"] > 2, 32, np.nan))
    with pytest.raises(DataError, match="repeats row 6"):
        read_own_rows(written(unknown, tmp_path))
    replicate = table.iloc[[5]].assign(qid_nats=table["qid_nats"][5] * 1.01)
    assert read_own_rows(written(pd.concat([table, replicate]), tmp_path)).data.tokens.size == n + 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mine.csv", b"", "empty; accepted: a first line with the names n_params_non_embedding"),
        ("mine.csv", b"n_params_non_embedding,tokens_seen,bits,qid_nats\n", "no rows"),
        ("mine.csv", b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "not a CSV table"),
        ("mine.csv", b"a,b\n1,2\n1,2,3\n", "not a CSV table"),
        (
            "mine.csv",
            b"n_params_non_embedding;tokens_seen;bits;qid_nats\n1;2;3;4\n",
            "no column 'n_params_non_embedding'",
        ),
        ("mine.parquet", b"", "not a PARQUET table"),
        ("mine.parquet", b"tokens_seen,bits\n", "not a PARQUET table"),
        ("mine.xlsx", b"", "accepted are files that end in .csv or .parquet"),
        ("mine.csv", None, "no such file"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_own_rows(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_column_that_is_there_twice_is_refused(table, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("n_params_non_embedding,tokens_seen,bits,qid_nats,bits\n1e6,1e9,3,0.1,4\n")
    with pytest.raises(DataError, match="column 'bits' is there twice"):
        read_own_rows(path)


def test_more_rows_than_are_fitted_are_refused_with_their_number(table, tmp_path):
    many = pd.concat([table] * (MOST_ROWS // len(table) + 1))
    with pytest.raises(DataError, match=f"{len(many):,} rows; at most {MOST_ROWS:,} are fitted"):
        read_own_rows(written(many, tmp_path, "mine.parquet"))


def lines_of(table) -> list[str]:
    return table.to_csv(index=False).splitlines()


def read_lines(folder, lines: list[str]):
    (folder / "mine.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_own_rows(folder / "mine.csv")


def test_a_last_column_without_a_name_moves_nothing(table, tmp_path):
    """pandas alone takes the first column for an index then, and every value for its neighbour's."""
    header, *rows = lines_of(table.drop(columns=["run", "note"]))
    with pytest.raises(
        DataError, match=r"mine\.csv: not a CSV table \(line 2: 6 fields; accepted: 5, as the first line has"
    ):
        read_lines(tmp_path, [header, *(f"{row},7" for row in rows)])
    with pytest.raises(DataError, match=r"line 2: 6 fields; accepted: 5"):
        read_lines(tmp_path, [header, *(f"{row}," for row in rows)])


@pytest.mark.parametrize(("change", "n_fields"), [(lambda row: f"{row},", 8), (lambda row: row.rpartition(",")[0], 6)])
def test_one_line_of_another_length_is_named(table, tmp_path, change, n_fields):
    lines = lines_of(table)
    lines[4] = change(lines[4])
    with pytest.raises(DataError, match=f"line 5: {n_fields} fields; accepted: 7"):
        read_lines(tmp_path, lines)


@pytest.mark.parametrize(("mark", "said"), [(";", "a semicolon"), ("\t", "a tab"), ("|", "'|'")])
def test_another_separator_is_named(table, tmp_path, mark, said):
    with pytest.raises(DataError) as caught:
        read_lines(tmp_path, [line.replace(",", mark) for line in lines_of(table)])
    assert str(caught.value).endswith(
        f"mine.csv: no column 'n_params_non_embedding': the separator is {said}; accepted: a comma"
    )


def test_a_blank_in_a_name_is_named(table, tmp_path):
    header, *rows = lines_of(table)
    with pytest.raises(DataError, match="column ' tokens_seen' has a blank at an end; accepted: 'tokens_seen'"):
        read_lines(tmp_path, [header.replace(",", ", "), *rows])


@pytest.mark.parametrize("index", [["n_params_non_embedding", "tokens_seen"], ["run"], ["note"]])
def test_an_index_of_parquet_is_a_column(table, planted, tmp_path, index):
    table.set_index(index).to_parquet(tmp_path / "mine.parquet")
    own = read_own_rows(tmp_path / "mine.parquet")
    np.testing.assert_array_equal(own.data.tokens, planted(2).tokens)
    np.testing.assert_array_equal(own.data.n_params, planted(2).n_params)
    assert own.assumed == ()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("tokens_seen", 1.6, "1.6; accepted: tokens, not thousands, millions or billions of them"),
        ("n_params_non_embedding", 70, "70; accepted: parameters, not thousands, millions or billions"),
        ("bits", 300, "300; accepted: bits a weight, up to 32"),
    ],
)
def test_another_unit_in_some_rows_is_named(table, tmp_path, column, value, said):
    table.loc[6, column] = value
    with pytest.raises(DataError, match=f"row 7, column '{column}': {said}"):
        read_own_rows(written(table.astype({column: float}), tmp_path))


def test_a_quoted_line_break_and_blank_lines_are_no_lines_of_another_length(table, planted, tmp_path):
    lines = lines_of(table.assign(note='two\nlines, "quoted"'))
    own = read_lines(tmp_path, [*lines, "", ""])
    np.testing.assert_array_equal(own.data.tokens, planted(2).tokens)


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 9),
            st.text(max_size=2) | st.sampled_from([",", ";", '"', "\n", "\x00", "1e999", "nan"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_mutated_table_is_its_columns_or_one_line(tmp_path_factory, changes):
    path = tmp_path_factory.getbasetemp() / "mutated.csv"
    text = "n_params_non_embedding,tokens_seen,bits,qid_nats\n" + "".join(
        f"{n}000000,{d}000000000,{bits},0.{n}{d}{bits}\n" for n in (1, 3) for d in (2, 8) for bits in (2, 3, 4)
    )
    for share, n_gone, new in changes:
        at = round(share * len(text))
        text = text[:at] + new + text[at + n_gone :]
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        own = read_own_rows(path)
    except DataError as error:
        said = str(error)
    else:
        said = "read"
        assert (own.data.tokens >= 1000).all()
        assert (own.data.bits <= 32).all()
    assert said == visible(said)


def test_a_page_that_differs_from_its_checksum_is_refused(table, tmp_path):
    path = tmp_path / "mine.parquet"
    pq.write_table(pa.table({name: table[name].to_numpy() for name in REQUIRED}), path, write_page_checksum=True)
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    damaged = bytearray(path.read_bytes())
    damaged[column.dictionary_page_offset + column.total_compressed_size - 1] ^= 1  # of the data, not of a header
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"mine\.parquet: not a PARQUET table \(.*CRC"):
        read_own_rows(path)
