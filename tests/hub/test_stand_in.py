"""The stand-in of the Hub, asked by the real client: what it says, what goes wrong, and what the client notices."""

import hashlib
import os
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from tests.hub.faults import Fault, Faults
from tests.hub.stand_in import StandIn, take_for_the_hub

NAME, DATA = "someone/model", "someone/words"
WEIGHTS = os.urandom(64) * 1000
FILES = {"config.json": b'{"a": 1}', "model.safetensors": WEIGHTS, "sub/folder/notes.txt": b"notes"}


@pytest.fixture
def waits(monkeypatch):
    """The seconds that the client would have waited."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def hub(tmp_path, monkeypatch):
    stand_in = StandIn()
    model = stand_in.repository(NAME)
    first = model.commit(FILES, "step1")
    model.commit(FILES | {"model.safetensors": WEIGHTS[::-1]}, "main")
    model.tag("v1", "step1")
    model.branches["refs/convert/parquet"] = first
    stand_in.repository(DATA, "dataset").commit({"plain/test.parquet": b"PAR1", "README.md": b"words"})
    for name, access in (("someone/gated", "gated"), ("someone/sealed", "sealed"), ("someone/private", "private")):
        stand_in.repository(name, access=access).commit(FILES)
    with stand_in.serving() as address:
        take_for_the_hub(monkeypatch, address, tmp_path / "cache")
        yield stand_in


def snapshot(revision: str = "step1", **more) -> Path:
    return Path(snapshot_download(NAME, revision=revision, **more))


def test_information_refs_and_listings_in_pages(hub):
    api, model = HfApi(), hub.repository(NAME)
    plain, told = api.model_info(NAME), api.model_info(NAME, revision="step1", files_metadata=True)
    assert (plain.sha, told.sha) == (model.branches["main"], model.branches["step1"])
    assert plain.siblings[1].size is None
    (weights,) = [each for each in told.siblings if each.rfilename == "model.safetensors"]
    assert (weights.size, weights.lfs.sha256) == (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
    refs = api.list_repo_refs(NAME)
    assert {each.name: each.target_commit for each in refs.branches} == {
        name: sha for name, sha in model.branches.items() if "/" not in name
    }
    assert [(each.name, each.target_commit) for each in refs.tags] == [("v1", model.branches["step1"])]
    hub.page = 2
    files = {each.path: each for each in api.list_repo_tree(NAME, recursive=True, revision="v1")}
    assert {name for name, each in files.items() if isinstance(each, RepoFile)} == {*FILES}
    assert {*files} - {*FILES} == {"sub", "sub/folder"}
    assert len(hub.asked("/tree/")) == 3  # five lines
    assert files["model.safetensors"].lfs.sha256 == weights.lfs.sha256
    assert files["config.json"].blob_id == hashlib.sha1(b"blob 8\0" + FILES["config.json"]).hexdigest()  # as git has it
    assert [each.path for each in api.list_repo_tree(NAME, "sub/folder")] == ["sub/folder/notes.txt"]
    assert [each.path for each in api.get_paths_info(NAME, ["config.json", "none"])] == ["config.json"]
    quoted = api.model_info(NAME, revision="refs/convert/parquet")
    assert quoted.sha == model.branches["refs/convert/parquet"]


def test_a_snapshot_has_the_bytes_of_its_revision_and_comes_once(hub):
    for revision, expected in (("step1", WEIGHTS), ("main", WEIGHTS[::-1])):
        folder = snapshot(revision)
        assert folder.name == hub.repository(NAME).branches[revision]
        assert {name: (folder / name).read_bytes() for name in FILES} == FILES | {"model.safetensors": expected}
    asked = len(hub.asked("/cdn/"))
    assert asked == 2
    snapshot("step1")
    assert len(hub.asked("/cdn/")) == asked
    assert not hub.asked("/cdn/")[0].token


def test_a_data_set_is_another_repository_than_a_model_of_its_name(hub):
    path = hf_hub_download(DATA, "plain/test.parquet", repo_type="dataset")
    assert Path(path).read_bytes() == b"PAR1"
    assert HfApi().dataset_info(DATA).sha == hub.repository(DATA, "dataset").branches["main"]
    with pytest.raises(RepositoryNotFoundError):
        HfApi().model_info(DATA)


def test_refusals_have_the_hubs_codes(hub):
    asked = {
        RepositoryNotFoundError: lambda: HfApi().model_info("someone/nothing"),
        RevisionNotFoundError: lambda: HfApi().model_info(NAME, revision="step2"),
        RemoteEntryNotFoundError: lambda: hf_hub_download(NAME, "none.json"),
        GatedRepoError: lambda: hf_hub_download("someone/gated", "config.json"),
    }
    for refusal, ask in asked.items():
        with pytest.raises(refusal):
            ask()
    assert HfApi().model_info("someone/gated").gated == "manual"
    with pytest.raises(GatedRepoError):
        list(HfApi().list_repo_tree("someone/sealed"))
    with pytest.raises(RepositoryNotFoundError):
        HfApi().model_info("someone/private")
    hub.tokens.add("hf_a")
    for name in ("gated", "sealed", "private"):
        assert Path(hf_hub_download(f"someone/{name}", "model.safetensors", token="hf_a")).read_bytes() == WEIGHTS
    assert {each.token for each in hub.asked("/cdn/")} == {None}  # the token stays on the Hub's own host


def test_a_range_is_answered_with_it(hub):
    address = f"{hub.address}/cdn/{hashlib.sha256(WEIGHTS).hexdigest()}"
    got = httpx.get(address, headers={"Range": "bytes=10-19"})
    assert (got.status_code, got.content, got.headers["Content-Range"]) == (
        206,
        WEIGHTS[10:20],
        f"bytes 10-19/{len(WEIGHTS)}",
    )
    assert httpx.get(address, headers={"Range": f"bytes={len(WEIGHTS)}-"}).status_code == 416


def test_a_download_cut_in_the_middle_goes_on_from_there(hub, waits, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1_000)  # ten million by default: a part of one is lost
    hub.faults.listed = [Fault("cut", "GET /cdn/", after=40_000), Fault("cut", "GET /cdn/", after=3_000)]
    assert (snapshot() / "model.safetensors").read_bytes() == WEIGHTS
    asked = [each.range for each in hub.asked("/cdn/")]
    assert asked[0] is None
    first, second = (int(each.removeprefix("bytes=").removesuffix("-")) for each in asked[1:])
    assert (first, second) == (40_000, 43_000)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_corrupted_body_of_the_right_length_is_not_noticed_by_the_client(hub, name):
    """It compares sizes, never hashes: whoever needs the right weights compares the SHA-256 of the listing."""
    small = f"GET /api/resolve-cache/models/{NAME}/{hub.repository(NAME).branches['step1']}/config.json"
    hub.faults.listed = [Fault("corrupted", {"config.json": small}.get(name, "GET /cdn/"), after=3)]
    body = (snapshot() / name).read_bytes()
    assert len(body) == len(FILES[name])
    assert [at for at in range(len(body)) if body[at] != FILES[name][at]] == [3]
    assert (snapshot() / name).read_bytes() == body  # and it stays in the cache


def test_too_many_requests_are_waited_for_where_files_are_fetched(hub, waits):
    hub.faults.listed = [Fault("status", "GET /cdn/", status=429, retry_after=7, times=2)]
    small = f"HEAD /{NAME}/resolve/{hub.repository(NAME).branches['step1']}/config.json"
    hub.faults.listed += [Fault("status", small, status=429, retry_after=3, times=2)]
    assert (snapshot() / "model.safetensors").read_bytes() == WEIGHTS
    assert sorted(waits) == [4.0, 8.0, 8.0]  # a second is added; of a file's address the first try is without waiting


def test_the_client_tries_information_refs_and_a_listings_first_page_once(hub, waits):
    """Whoever asks for hundreds of revisions waits himself; the second page is waited for by the client."""
    api, busy = HfApi(), {"status": 429, "retry_after": 7}
    for where, ask in {
        f"GET /api/models/{NAME}": lambda: api.model_info(NAME),
        "/refs": lambda: api.list_repo_refs(NAME),
        "/tree/main?recursive": lambda: list(api.list_repo_tree(NAME, recursive=True)),
    }.items():
        hub.faults.listed = [Fault("status", where, **busy)]
        with pytest.raises(HfHubHTTPError) as refused:
            ask()
        assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (429, "7")
    hub.faults.listed = [Fault("status", f"GET /api/models/{NAME}", **busy)]
    with pytest.raises(LocalEntryNotFoundError):  # of a snapshot too, unless its revision is a commit
        snapshot("main")
    assert waits == []
    hub.page = 2
    hub.faults.listed = [Fault("status", "cursor=2", **busy)]
    assert len(list(api.list_repo_tree(NAME, recursive=True))) == 5
    assert waits == [8.0]


def test_faults_drawn_by_a_seed_are_the_same_in_any_order_and_let_a_patient_client_through(hub, waits):
    kinds = (Fault("status", status=503), Fault("status", status=429, retry_after=1), Fault("dropped"))
    kinds += (Fault("cut", "GET /cdn/", after=9_000),)
    lines = [f"GET /api/{n}" for n in range(40)] * 3

    def struck(order):
        faults = Faults(drawn=kinds, share=0.4, seed=5)
        drawn: dict[str, list] = {}
        for line in order:
            fault = faults.next(line)
            drawn.setdefault(line, []).append(fault and fault.kind)
        return drawn, faults.struck

    (forth, count), (back, _) = struck(lines), struck(sorted(lines))
    assert forth == back
    assert 25 < count < 75  # of 120, at 0.4 and never more than two in a row
    hub.faults = Faults(drawn=kinds, share=0.4, seed=5)
    sha = hub.repository(NAME).branches["step1"]
    for tried in range(20):
        try:
            folder = snapshot(sha, max_workers=1)
        except (HfHubHTTPError, httpx.TransportError, LocalEntryNotFoundError):
            assert tried < 19
            continue
        break
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.faults.struck > 0


def test_the_address_is_on_this_machine(hub):
    assert constants.ENDPOINT.startswith("http://127.0.0.1:")
