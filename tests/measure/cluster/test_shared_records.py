"""Records in an object store: pyarrow's files behind a URL, here a folder in a store's place (tests/peers has S3)."""

import pytest
from pyarrow import fs
from tests.table.test_files import make_row

from helpers.measure.cluster import shared_records
from helpers.measure.cluster.shared_records import FolderRecords, SharedRecords
from helpers.table import files
from helpers.table.errors import ResultsError, SpecError


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A folder that answers as the bucket of `s3://bucket/sweep`."""
    (tmp_path / "store/bucket/sweep").mkdir(parents=True)
    files = fs.SubTreeFileSystem(str(tmp_path / "store"), fs.LocalFileSystem())
    monkeypatch.setattr(shared_records, "_opened", lambda url: (files, "bucket/sweep"))
    return tmp_path / "store/bucket/sweep"


def test_records_written_there_are_brought_as_they_are(store, tmp_path):
    shared, here = SharedRecords("s3://bucket/sweep"), FolderRecords(tmp_path / "records")
    rows = [make_row(number) for number in range(4)]
    here.write(rows[0])
    for row in rows[1:]:
        shared.write(row)
    assert shared.done_ids() == {"0001", "0002", "0003"}
    assert shared.bring(here.folder, {"0002"}) == {"0001", "0002", "0003"}
    assert here.done_ids() == {"0000", "0001", "0003"}
    assert files.read_records(here.folder) == [rows[0], rows[1], rows[3]]


def test_a_store_without_a_record_yet_and_other_objects(store):
    assert SharedRecords("s3://bucket/sweep").done_ids() == set()
    (store / "notes.txt").touch()
    SharedRecords("s3://bucket/sweep").refuse_unwritable()
    assert SharedRecords("s3://bucket/sweep").done_ids() == set()
    assert [path.name for path in store.iterdir()] == ["notes.txt"]


def test_what_a_store_refuses_ends_in_one_line(store, tmp_path):
    shared = SharedRecords("s3://bucket/sweep")
    store.rmdir()
    with pytest.raises(ResultsError, match=r"^s3://bucket/sweep: can't be written \(.*\); nothing was lost") as raised:
        shared.refuse_unwritable()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("url", ["results/records", "file:///tmp/x", "s3://", "http://a/b", "S4://a/b"])
def test_a_url_that_is_no_store_s(url):
    with pytest.raises(SpecError, match="accepted: s3://BUCKET/FOLDER, gs://"):
        SharedRecords(url)


def test_a_url_that_the_store_s_library_refuses():
    with pytest.raises(SpecError, match=r"^records at 's3://bucket/x\?nonsense=1'; "):
        SharedRecords("s3://bucket/x?nonsense=1")
