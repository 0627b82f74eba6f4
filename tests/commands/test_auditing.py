"""`qid audit` as it is typed: findings a line each, a page and one JSON object, exit codes."""

import json

import pytest
from tests.hub.stand_in import StandIn, take_for_the_hub
from tests.measure.auditing.test_audit import family_of, planted, whole
from tests.measure.tiny import ROOT
from typer.testing import CliRunner

from helpers.cli import app
from helpers.table.families.catalogue import HUB_FAMILIES

NONE = ("--table", "none.parquet", "--checkpoints", "none.parquet")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = StandIn()
    planted(hub, "sound", {})
    planted(hub, "equal", {4: whole("equal", 2)})
    monkeypatch.setitem(HUB_FAMILIES, "planted", family_of("sound", "equal"))
    with hub.serving() as address:
        take_for_the_hub(monkeypatch, address, tmp_path / "cache")
        yield hub


def audited(*more: str):
    return CliRunner().invoke(app, ["audit", *more, *NONE])


def test_a_finding_is_a_line_and_ends_with_exit_code_1(hub, tmp_path):
    done = audited("planted", "--report", str(tmp_path / "reports"))
    assert done.exit_code == 1
    first, second, *written = done.stderr.splitlines()
    assert first.startswith("identical: someone/equal: step2, step4 have the same weights; one set of weights counts")
    assert second.endswith(
        "20 revisions listed (18 in the catalogue, 2 repositories), 0 curves; 1 found, 1 unexplained"
    )
    assert [line.rpartition(".")[2] for line in written] == ["md: written", "json: written"]
    assert len([*(tmp_path / "reports").iterdir()]) == 2


def test_a_sound_run_ends_with_exit_code_0_and_json_is_one_object(hub):
    done = audited("planted", "--model", "sound", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["family"], told["n_unexplained"], told["findings"], told["n_listed"]) == ("planted", 0, [], 10)
    page = (ROOT / "book/commands.md").read_text()
    assert all(f"`{key}`" in page for key in (*told, *told["revisions"][0]))


def test_every_key_of_a_finding_is_on_the_page(hub):
    (finding,) = json.loads(audited("planted", "--run", "equal", "--json").stdout)["findings"]
    page = (ROOT / "book/commands.md").read_text()
    assert all(f"`{key}`" in page for key in finding)


def test_what_is_not_in_the_catalogue_is_one_line(hub):
    for more, said in {("planted", "--model", "other"): "unknown model 'other'", ("nobody",): "unknown family"}.items():
        done = audited(*more)
        assert done.exit_code != 0
        assert said in str(done.exception)


def test_since_an_earlier_audit(hub, tmp_path):
    audited("planted", "--model", "sound", "--report", str(tmp_path))
    hub.repository("someone/sound").commit(whole("sound", 77), "step8")
    done = audited("planted", "--model", "sound", "--since", str(next(tmp_path.glob("*.json"))))
    assert done.exit_code == 1
    assert done.stderr.startswith("replaced: someone/sound: step8: other weights than on ")
