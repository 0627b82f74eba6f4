"""Lists of the Hub's files: pages, refusals, and what is no list."""

import pytest
from tests.hub.faults import Fault
from tests.hub.stand_in import StandIn, take_for_the_hub

from helpers.measure.auditing.trees import listed, tree
from helpers.measure.models.hub.revisions import GATED, NO_REPOSITORY, UNREACHABLE, HubError, ask


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = StandIn(page=2)
    for name, access in (("model", "open"), ("gated", "gated"), ("sealed", "sealed"), ("private", "private")):
        files = {"config.json": b"{}", "model.safetensors": name.encode(), "sub/more.bin": b"2", "a.txt": b"3"}
        hub.repository(f"a/{name}", access=access).commit(files, "step/1")
        hub.repository(f"a/{name}").commit(files, "main")
        hub.repository(f"a/{name}").tag("v1", "step/1")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with hub.serving() as address:
        take_for_the_hub(monkeypatch, address, tmp_path / "cache")
        yield hub


def test_a_list_is_what_the_one_request_with_blobs_says_too(hub):
    there = listed("a/model")
    assert there.commits == {name: hub.repository("a/model").branches["step/1"] for name in ("step/1", "v1")} | {
        "main": hub.repository("a/model").branches["main"]
    }
    for revision in there.commits:
        found = tree("a/model", revision, there.commits[revision])
        assert {*found.files} == {*ask("a/model", revision).files}
    assert (there.commit("none"), there.commit("f" * 40)) == (None, "f" * 40)


def test_refusals_say_what_keeps_it(hub):
    assert listed("a/gated").gated
    for name, standing in (("sealed", GATED), ("private", NO_REPOSITORY), ("none", NO_REPOSITORY)):
        with pytest.raises(HubError) as refused:
            listed(f"a/{name}")
        assert refused.value.standing == standing


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", [lambda: listed("a/model"), lambda: ask("a/model", "main")])
def test_a_hub_that_stays_busy_cannot_be_reached_whatever_is_asked(hub, status, asked):
    hub.faults.listed = [Fault("status", status=status, retry_after=0, times=99)]
    with pytest.raises(HubError, match=f"the Hub can't be reached \\(it answers {status}\\)") as refused:
        asked()
    assert refused.value.standing == UNREACHABLE


def test_a_list_whose_second_page_fails_is_not_kept(hub, tmp_path):
    there = listed("a/model")
    hub.faults.listed = [Fault("status", "cursor=2", status=404)]
    with pytest.raises(HubError):
        tree("a/model", "main", there.commits["main"])
    assert not [*(tmp_path / "qid").rglob("*.json")]
    assert len(tree("a/model", "main", there.commits["main"]).files) == 4
