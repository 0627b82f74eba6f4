"""Texts of a person's own: layouts, and one line for each file that can't be a text."""

import os
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.measure.foreign import write_texts
from tests.measure.tiny import ROOT

from helpers.measure.text import documents
from helpers.measure.text.documents import calibration_named, read_documents, text_named
from helpers.table.errors import CorpusError


def test_a_file_is_one_document_a_line_or_a_row_is_one_each(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo ü", encoding="utf-8")
    assert read_documents(tmp_path / "a.txt").texts == ("one\n\ntwo ü",)
    assert read_documents(write_texts(tmp_path / "b.jsonl", ["x", "y\nz", " "])).texts == ("x", "y\nz")
    pq.write_table(pa.table({"text": ["x", None, "y"], "other": [1, 2, 3]}), tmp_path / "c.parquet")
    assert read_documents(tmp_path / "c.parquet").texts == ("x", "y")
    (tmp_path / "0.txt").write_text("first")
    folder = read_documents(tmp_path)
    assert (folder.texts, folder.name) == (("first", "one\n\ntwo ü"), tmp_path.name)


def test_of_a_long_text_the_beginning_is_taken_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "MOST_CHARACTERS", 13)
    found = read_documents(write_texts(tmp_path / "b.jsonl", ["abcdefghi", "defghi", "ghi"]))
    assert (found.texts, found.note) == (("abcdefghi", "defg"), "the first 13 characters are taken")
    (tmp_path / "a.txt").write_bytes("ü".encode() * 100)
    assert read_documents(tmp_path / "a.txt").texts == ("ü" * 13,)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "empty; accepted: text"),
        ("a.txt", b" \n", "empty; accepted: text"),
        ("a.txt", b"abc\xff", "byte 3 is 0xff, not UTF-8; accepted: text in UTF-8"),
        ("a.txt", "grün".encode("latin-1"), "byte 2 is 0xfc, not UTF-8; accepted: text in UTF-8"),
        ("a.txt", "text".encode("utf-16"), "a zero byte at 3: binary; accepted: text in UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{"body": "y"}\n', '2: accepted: a JSON object a line, {"text": "..."}'),
        ("a.jsonl", b'{"text": 3}', '1: accepted: a JSON object a line, {"text": "..."}'),
        ("a.jsonl", b"plain", '1: accepted: a JSON object a line, {"text": "..."}'),
        ("a.jsonl", b'{"text": "\\ud800"}', "1: half a character at 0 (a lone surrogate)"),
        ("a.parquet", b"not", "not a Parquet table"),
        ("a.pdf", b"x", "accepted: a file that ends in .txt, .jsonl, .parquet, or a folder of .txt files"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line_with_the_place(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=re.escape(said)) as caught:
        read_documents(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_table_without_texts_says_which_columns_it_has(tmp_path):
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "c.parquet")
    with pytest.raises(CorpusError, match="columns body; accepted: one called 'text'"):
        read_documents(tmp_path / "c.parquet")
    pq.write_table(pa.table({"text": [1]}), tmp_path / "c.parquet")
    with pytest.raises(CorpusError, match="column 'text' is int64; accepted: texts"):
        read_documents(tmp_path / "c.parquet")


def test_what_is_not_there_says_what_is_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(
        CorpusError, match=r"^proze: no such text; accepted: prose, code, unseen, refinedweb, wikitext2, c4, or a file"
    ):
        text_named("proze")
    with pytest.raises(CorpusError, match="no .txt file there"):
        read_documents(tmp_path)


def test_no_document_of_the_book_is_scored_and_calibrated_on(monkeypatch):
    monkeypatch.chdir(ROOT)
    scored = {text for name in ("prose", "code") for text in text_named(name).texts}
    calibrated = {text for part in calibration_named("mixed") for text in part.texts}
    assert len(scored) > 100
    assert len(calibrated) > 100
    assert not scored & calibrated


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet", "folder"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    place = tmp_path / name
    if name == "folder":
        place.mkdir()
    os.mkfifo(place / "a.txt" if name == "folder" else place)
    with pytest.raises(CorpusError, match="a pipe or a device; accepted: a file"):
        read_documents(place)


@pytest.mark.parametrize("name", ["x\x1b[31m.txt", "x\ny.txt", "\u202ex.txt"])
def test_a_name_that_a_terminal_would_obey_is_refused(tmp_path, name):
    (tmp_path / name).write_text("text")
    with pytest.raises(CorpusError, match="accepted: a name without control characters") as caught:
        read_documents(tmp_path / name)
    assert str(caught.value).isprintable()


def test_a_text_at_home_or_here_has_a_name(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / "a.txt").write_text("text")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    assert [text_named(place).name for place in ("~/a.txt", ".", "../home/.")] == ["a.txt", "home", "home"]
    assert calibration_named("~/a.txt")[0].texts == ("text",)
