"""Weights from the stand-in of the Hub: which files, whether they are what it says, and what happens when not."""

import hashlib
import os
from pathlib import Path

import pytest
from tests.hub.faults import Fault
from tests.measure.models.hub.checkpoint import FILES, NAME, SHARDED, SHARDS

from helpers.measure.models import shards
from helpers.measure.models.hub import kept, weights
from helpers.measure.models.hub.revisions import GATED, NO_REPOSITORY, NO_REVISION, UNREACHABLE, HubError
from helpers.measure.models.hub.storage import SHARED, Storage
from helpers.table.errors import CheckpointError, ResultsError


def fetched(revision: str = "step1", **more):
    return weights.fetch(kept.revision_of(NAME, revision), **more)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def cached(tmp_path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(tmp_path.glob("cache/hub/models--*/blobs/*")) if path.is_file()]


def test_the_hash_of_weights_is_known_before_they_come(hub):
    revision = kept.revision_of(NAME, "step1")
    weights.described(revision)
    assert weights.sha256_of_weights(revision, weights.files_of(revision)) == sha256(FILES["model.safetensors"])
    assert not hub.asked("/cdn/")
    hub.repository(NAME).commit(SHARDED, "step2")
    revision = kept.revision_of(NAME, "step2")
    weights.described(revision)
    expected = shards.hash_of_all({name: sha256(body) for name, body in SHARDS.items()})
    assert weights.sha256_of_weights(revision, weights.files_of(revision)) == expected
    assert not hub.asked("/cdn/")


def test_only_the_files_that_are_used_come(hub):
    more = {"pytorch_model.bin": b"pickle", "optimizer.safetensors": b"no", "README.md": b"words"}
    hub.repository(NAME).commit(SHARDED | more, "step2")
    folder = fetched("step2")
    assert {path.name for path in folder.iterdir()} == {*SHARDED}
    assert all((folder / name).read_bytes() == body for name, body in SHARDED.items())
    assert len({each.path for each in hub.asked("/cdn/")}) == 2


def test_what_is_alike_in_two_commits_comes_once(hub):
    hub.repository(NAME).commit(FILES | {"model.safetensors": b"other"}, "step2")
    fetched("step1")
    fetched("step2")
    assert len([each for each in hub.asked("config.json", "GET") if each.status == 200]) == 1


def test_a_second_fetch_asks_nothing(hub):
    folder = fetched()
    hub.log.clear()
    assert fetched() == folder
    assert hub.log == []


def test_a_corrupted_file_is_fetched_once_more(hub, tmp_path):
    hub.faults.listed.append(Fault("corrupted", "GET /cdn/", after=7))
    assert (fetched() / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert len(hub.asked("/cdn/", "GET")) == 2
    assert cached(tmp_path) == [FILES["model.safetensors"]]


def test_a_file_that_is_corrupted_twice_is_a_failure_and_not_kept(hub, tmp_path):
    hub.faults.listed.append(Fault("corrupted", "GET /cdn/", times=2, after=7))
    with pytest.raises(
        HubError, match=r"someone/model at step1: model.safetensors isn't what the Hub says, twice \(sha"
    ):
        fetched()
    assert cached(tmp_path) == []
    assert fetched().is_dir()


def test_a_small_file_is_held_against_its_hash_too(hub):
    hub.faults.listed.append(Fault("corrupted", "GET /api/resolve-cache", times=2, after=3))
    with pytest.raises(HubError, match="config.json isn't what the Hub says, twice"):
        fetched()
    assert (fetched() / "config.json").read_bytes() == FILES["config.json"]


def test_a_blob_that_was_damaged_on_this_disk_is_replaced(hub, tmp_path):
    path = (fetched() / "model.safetensors").resolve()
    path.write_bytes(b"damaged" + FILES["model.safetensors"][7:])
    assert (fetched() / "model.safetensors").read_bytes() == FILES["model.safetensors"]


@pytest.mark.parametrize(
    "fault", [Fault("status", "/cdn/", status=503), Fault("cut", "/cdn/", after=99), Fault("dropped", "/api/models")]
)
def test_what_breaks_on_the_way_comes_in_the_end(hub, fault):
    hub.faults.listed.append(fault)
    assert (fetched() / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert hub.faults.struck == 1


@pytest.mark.parametrize("where", ["/api/models/someone/model/revision", "/cdn/"])
def test_a_busy_hub_is_given_the_time_that_it_asks_for(hub, waits, where):
    hub.faults.listed.append(Fault("status", where, status=429, retry_after=17))
    fetched()
    assert 17 <= max(waits) <= 18


def test_what_can_not_be_had_says_why(hub):
    hub.repository("someone/gated", access="sealed").commit(FILES)
    hub.repository("someone/listed", access="gated").commit(FILES)
    for name, revision, standing in (
        (NAME, "step7", NO_REVISION),
        ("someone/none", "main", NO_REPOSITORY),
        ("someone/gated", "main", GATED),
        ("someone/listed", "main", GATED),
    ):
        with pytest.raises(HubError) as raised:
            weights.fetch(kept.revision_of(name, revision))
        assert raised.value.standing == standing
        assert str(raised.value).startswith(f"{name} at {revision}: ")


def test_a_hub_that_is_away_is_no_word_on_a_revision(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError) as raised:
        fetched()
    assert raised.value.standing == UNREACHABLE


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config.json": b"{}"}, "model.safetensors: missing"),
        ({"pytorch_model.bin": b"x"}, "pytorch_model.bin: a pickle, which can run code; accepted: safetensors, or"),
        (SHARDED | {"model.safetensors": b"x"}, "model.safetensors beside model.safetensors.index.json of 2 other"),
        (FILES | {"adapter_config.json": b"{}"}, "an adapter beside the weights"),
        (
            {name: body for name, body in SHARDED.items() if "00002-of" not in name},
            "missing, though the index names it",
        ),
    ],
)
def test_a_revision_without_one_answer_is_refused_before_weights_come(hub, files, said):
    hub.repository(NAME).commit(files, "step2")
    with pytest.raises(CheckpointError, match=said):
        fetched("step2")
    assert not hub.asked("/cdn/")


def test_names_from_the_hub_make_no_paths(hub):
    vars(hub.repository(NAME).resolved("step1").files["config.json"])["oid"] = "../../../outside"
    with pytest.raises(HubError, match="as a hash"):
        fetched()


def test_weights_of_a_run_of_its_own_are_evicted_and_nobody_elses(hub, tmp_path):
    own = Storage(tmp_path / "own")
    hub.repository(NAME).commit(FILES | {"model.safetensors": b"other"}, "step2")
    shared = (fetched("step1") / "model.safetensors").resolve()
    first, second = (kept.revision_of(NAME, f"step{i}") for i in (1, 2))
    hub.log.clear()
    assert (fetched("step1", storage=own) / "model.safetensors").resolve() == shared  # it is here already
    assert not hub.asked("/cdn/")
    folder = fetched("step2", storage=own)
    mine = (folder / "model.safetensors").resolve()
    assert own.own in mine.parents
    own.evict(first.commit)
    assert shared.exists()
    assert mine.exists()
    own.evict(second.commit)
    assert not mine.exists()
    assert not folder.exists()
    assert (kept.folder_of(second) / "config.json").read_bytes() == FILES["config.json"]  # what rows are known by stays
    assert not list(own.own.rglob("*.safetensors"))


def test_a_run_that_removes_its_weights_leaves_the_others_theirs(hub, tmp_path):
    first, second = (Storage(tmp_path / name) for name in ("first", "second"))
    folders = [fetched(storage=storage) for storage in (first, second, SHARED)]
    second.clear(())
    for folder in (folders[0], folders[2]):
        assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert not folders[1].exists()


def test_a_link_that_another_made_meanwhile_is_never_gone(tmp_path, monkeypatch):
    path, content, (mkdir, symlink_to) = tmp_path / "link", tmp_path / "content", (Path.mkdir, Path.symlink_to)
    content.write_bytes(b"content")

    def overtaken(self, *arguments, **settings):
        mkdir(self, *arguments, **settings)
        symlink_to(path, "content")

    def seen(self, target):
        assert path.exists()
        symlink_to(self, target)

    monkeypatch.setattr(Path, "mkdir", overtaken)
    monkeypatch.setattr(Path, "symlink_to", seen)
    kept.link(path, content)
    monkeypatch.undo()
    assert path.read_bytes() == b"content"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["content", "link"]


def test_a_damaged_copy_of_others_is_left_and_not_used(hub, tmp_path):
    own = Storage(tmp_path / "own")
    shared = (fetched() / "model.safetensors").resolve()
    shared.write_bytes(b"damaged")
    assert (fetched(storage=own) / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert shared.read_bytes() == b"damaged"


def test_what_a_kill_left_in_a_run_of_its_own_is_cleared(hub, tmp_path):
    own = Storage(tmp_path / "own")
    fetched(storage=own)
    commit = kept.revision_of(NAME, "step1").commit
    blobs = next(own.own.glob("*/*/hub/models--*/blobs"))
    (blobs / "abc.1234.incomplete").write_bytes(b"half")
    own.clear({commit})
    assert [path.name for path in blobs.iterdir()] == [sha256(FILES["model.safetensors"])]
    own.clear(())
    assert not list(own.own.rglob("*.safetensors"))


def test_a_full_disk_ends_in_one_line_and_leaves_no_part(hub, tmp_path, monkeypatch):
    def full(*_arguments, **_settings):
        raise OSError(28, os.strerror(28))

    revision = kept.revision_of(NAME, "step1")
    weights.described(revision)
    with monkeypatch.context() as patched:
        patched.setattr("huggingface_hub.file_download._chmod_and_move", full)
        with pytest.raises(
            ResultsError, match=r"someone/model at step1: model.safetensors: can't be written \(No space"
        ):
            weights.fetch(revision)
    assert cached(tmp_path) == []
    assert (fetched() / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_what_a_kill_left_beside_what_is_kept_is_cleared(hub):
    """The file was whole already, its lock and an unfinished one lie there still: nothing is asked, both go."""
    revision = kept.revision_of(NAME, "step1")
    folder = kept.small_files(revision, ["config.json"])
    description = kept.home() / "models" / kept.flat(NAME) / "revisions/step1.json"
    for whole in ((folder / "config.json").resolve(), description):
        whole.with_name(f"{whole.name}.lock").touch()
        whole.with_name(f".{whole.name}.0123abcd.unfinished").write_bytes(b"{")
    hub.log.clear()
    assert kept.known(NAME, "step1") == revision
    kept.small_files(revision, ["config.json"])
    assert hub.log == []
    assert [path for path in kept.home().rglob("*") if path.suffix in (".lock", ".unfinished")] == []


def test_a_description_that_broke_off_is_cleared_by_the_next_one(hub):
    kept.newest(NAME, "step1")
    description = kept.home() / "models" / kept.flat(NAME) / "revisions/step1.json"
    description.with_name(f".{description.name}.0123abcd.unfinished").write_bytes(b"{")
    kept.newest(NAME, "step1")
    assert [path.name for path in description.parent.iterdir()] == [description.name]
