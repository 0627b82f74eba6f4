"""What is written to the stand-in by the real client, and read back by it."""

import hashlib
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from tests.hub.faults import Fault
from tests.hub.stand_in import StandIn, take_for_the_hub

NAME, TOKEN = "someone/packed", "hf_someone"
FILES = {"config.json": b"{}", "README.md": b"---\nlicense: mit\n---\nwords", "model.safetensors": b"weights" * 999}
# httpx says so of the client's own way to send a file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = StandIn(tokens={TOKEN})
    monkeypatch.setattr("time.sleep", lambda _: None)
    with hub.serving() as address:
        take_for_the_hub(monkeypatch, address, tmp_path / "cache")
        yield hub


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "packed").mkdir()
    for name, body in FILES.items():
        (tmp_path / "packed" / name).write_bytes(body)
    return tmp_path / "packed"


def test_a_folder_is_pushed_and_comes_back_as_it_was(hub, folder):
    api = HfApi(token=TOKEN)
    url = api.create_repo(NAME, private=True)
    assert (url.repo_id, hub.repository(NAME).access) == (NAME, "private")
    done = api.upload_folder(folder_path=folder, repo_id=NAME, commit_message="packed")
    assert done.oid == hub.repository(NAME).branches["main"]
    back = Path(snapshot_download(NAME, token=TOKEN))
    assert back.name == done.oid
    assert {name: (back / name).read_bytes() for name in FILES} == FILES
    assert hub.repository(NAME).resolved("main").files["model.safetensors"].large
    with pytest.raises(RepositoryNotFoundError):
        HfApi(token=False).model_info(NAME)


def test_what_is_there_already_is_not_sent_again(hub, folder):
    api = HfApi(token=TOKEN)
    api.create_repo(NAME)
    first = api.upload_folder(folder_path=folder, repo_id=NAME)
    assert len(hub.asked("/sent/")) == 1
    assert api.upload_folder(folder_path=folder, repo_id=NAME).oid == first.oid  # nothing changed
    api.create_repo("someone/other")
    api.upload_folder(folder_path=folder, repo_id="someone/other")
    assert len(hub.asked("/sent/")) == 1


def test_a_large_file_that_breaks_on_the_way_is_sent_again(hub, folder):
    api = HfApi(token=TOKEN)
    api.create_repo(NAME)
    hub.faults.listed = [Fault("dropped", "PUT /sent/"), Fault("status", "PUT /sent/", status=503)]
    api.upload_folder(folder_path=folder, repo_id=NAME)
    assert len(hub.asked("/sent/")) == 3
    assert hub.stored == {hashlib.sha256(FILES["model.safetensors"]).hexdigest(): FILES["model.safetensors"]}


def test_refusals(hub, folder):
    api = HfApi(token=TOKEN)
    with pytest.raises(HfHubHTTPError) as nobody:
        HfApi(token=False).create_repo(NAME)
    assert nobody.value.response.status_code == 401
    with pytest.raises(RepositoryNotFoundError):
        api.upload_folder(folder_path=folder, repo_id="someone/nothing")
    api.create_repo(NAME)
    with pytest.raises(HfHubHTTPError) as again:
        api.create_repo(NAME)
    assert again.value.response.status_code == 409
    assert api.create_repo(NAME, exist_ok=True).repo_id == NAME
    (folder / "README.md").write_text("---\nlicense: mit")
    with pytest.raises(ValueError, match="the header doesn't end"):
        api.upload_folder(folder_path=folder, repo_id=NAME)


def test_a_commit_on_a_branch_that_moved_is_refused_and_files_can_go(hub):
    api = HfApi(token=TOKEN)
    api.create_repo(NAME)
    start = hub.repository(NAME).branches["main"]
    add = [CommitOperationAdd("sub/a.txt", b"a"), CommitOperationAdd("b.txt", b"b")]
    now = api.create_commit(NAME, add, commit_message="two", parent_commit=start).oid
    with pytest.raises(HfHubHTTPError) as moved:
        api.create_commit(NAME, [CommitOperationAdd("c.txt", b"c")], commit_message="late", parent_commit=start)
    assert moved.value.response.status_code == 412
    api.create_branch(NAME, branch="step/1")
    api.create_tag(NAME, tag="v1")
    api.create_commit(NAME, [CommitOperationDelete("sub/")], commit_message="less")
    repository = hub.repository(NAME)
    assert (repository.branches["step/1"], repository.tags["v1"]) == (now, now)
    assert [*repository.resolved("main").files] == [".gitattributes", "b.txt"]
    assert api.whoami()["name"] == "someone"
