"""Texts of data sets on the Hub, from a stand-in on this machine that speaks as much of its protocol as that takes."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.measure.foreign import passages, texts, write_model, write_texts
from tests.measure.hub_stand import HubStand, python, read, served

from helpers.measure.text.hub_texts import FORM, hub_text
from helpers.table.errors import SpecError
from helpers.table.files import read_table

COMMIT, FILE = "c" * 40, "plain/test-00000-of-00001.parquet"
TEXT = f"hf://datasets/someone/words@{COMMIT}/{FILE}"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Serve a data set of two Parquet files, and another of none; return the address."""
    path = tmp_path_factory.mktemp("hub") / "words.parquet"
    pq.write_table(pa.table({"text": passages(24), "n": list(range(24)), "body": ["one", None, "three"] * 8}), path)
    files = {FILE: path.read_bytes(), "plain/train.parquet": b"PAR1 and no more", "README.md": b"words"}

    class Stand(HubStand):
        def respond(self):
            path = self.path.split("?")[0]
            if path.startswith(("/api/datasets/someone/words", "/api/datasets/someone/empty")):
                names = list(files) if "words" in path else ["README.md"]
                said = {"id": "someone/words", "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
                if "/tree/" in path:
                    said = [{"type": "file", "path": name, "size": 1, "oid": "0"} for name in names]
                return self.answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})
            if path.startswith("/api/"):
                return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
            name = path.partition(f"/datasets/someone/words/resolve/{COMMIT}/")[2]
            if name not in files:
                return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            return self.answer_file(files[name], COMMIT)

    with served(Stand) as address:
        yield address


def test_rows_of_a_column_are_documents_and_the_name_says_where_they_are_from(hub, tmp_path):
    rows, column = read(hub, tmp_path, TEXT, f"{TEXT}#body")
    assert rows == [f"{TEXT}#text", passages(24)]
    assert column == [f"{TEXT}#body", ["one", "three"] * 8]
    assert read(hub, tmp_path, TEXT, HF_HUB_OFFLINE="1") == [rows]  # from the cache


def test_what_cannot_be_had_is_one_line(hub, tmp_path):
    words, none = "hf://datasets/someone/words", "hf://datasets/someone/empty"
    asked = {
        words: f"{words}: no commit; accepted: {FORM} (the newest is {COMMIT} now)",
        f"{words}@main/{FILE}": f"'main' isn't a commit; accepted: {FORM} (main is {COMMIT} now)",
        f"{words}@{COMMIT}": f"no .parquet or .json.gz file; accepted: {FORM} (there: {FILE}, plain/train.parquet)",
        f"{words}@{COMMIT}/../x.parquet": "no .parquet or .json.gz file",
        f"{none}@{COMMIT}/": "(that commit has none; look at @refs%2Fconvert%2Fparquet)",
        f"{words}@{COMMIT}/x.parquet": f"no such file (there: {FILE}, plain/train.parquet)",
        f"{words}@{COMMIT}/plain/train.parquet": f"{words}@{COMMIT}/plain/train.parquet#text: not a Parquet table",
        f"{TEXT}#nothing": f"{TEXT}#nothing: columns text, n, body; accepted: one called 'nothing'",
        f"{TEXT}#n": f"{TEXT}#n: column 'n' is int64; accepted: texts",
        "hf://datasets/someone/else": "the Hub doesn't say which commit: ",
        f"hf://datasets/someone/else@{COMMIT}/a.parquet": f"hf://datasets/someone/else@{COMMIT}/a.parquet#text: ",
    }
    for said, expected in zip(read(hub, tmp_path, *asked), asked.values(), strict=True):
        assert expected in said
        assert "\n" not in said


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path):
    nobody, unpinned = "http://127.0.0.1:9", "hf://datasets/someone/words"
    for more in ({}, {"HF_HUB_OFFLINE": "1"}):
        pinned, told = read(nobody, tmp_path, TEXT, unpinned, **more)
        assert pinned == f"{TEXT}#text: not in the local cache, and the Hub can't be reached"
        assert told.startswith(f"{unpinned}: no commit; accepted: {FORM} (the Hub doesn't say which commit: ")


@pytest.mark.parametrize(
    "address", ["hf://someone/words", "hf://datasets/words", "hf://datasets/a/b@c@d/e.parquet", f"{TEXT}#a\x1b"]
)
def test_another_form_is_refused_without_asking(address):
    with pytest.raises(SpecError, match="accepted of the Hub: hf://datasets/OWNER/NAME@COMMIT/FILE.parquet#COLUMN"):
        hub_text(address)


def test_a_model_is_measured_on_it_and_the_row_has_the_address(hub, tmp_path):
    model = write_model(tmp_path / "llama", "llama")
    calibrating = write_texts(tmp_path / "calibrating.jsonl", texts())
    asked = ["-m", "helpers.cli", "measure", model, "--bits", "4", "--method", "rtn", "--seq-len", "32", "--quick"]
    asked += ["--text", TEXT, "--calibration", calibrating, "--records", tmp_path / "records"]
    done = python(hub, tmp_path / "cache", *asked, "--table", tmp_path / "t.parquet")
    assert done.returncode == 0, done.stderr[-500:]
    assert {row["eval_dataset"] for row in read_table(tmp_path / "t.parquet").to_pylist()} == {f"{TEXT}#text"}
