"""A packed folder is sent to a stand-in of the Hub by the real client: whole, in one commit, or not at all."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file
from tests.hub.faults import Fault
from tests.hub.stand_in import StandIn, take_for_the_hub
from tests.measure.packed_models import llama, rounded_by, scheme, written
from typer.testing import CliRunner

from helpers.cli import app
from helpers.measure.models import checkpoints
from helpers.measure.models.hub.revisions import HubError
from helpers.measure.packing import export, provenance, push
from helpers.table import files
from helpers.table.errors import QidError

NAME, TOKEN, BASE = "someone/packed", "hf_someone", "EleutherAI/pythia-160m-deduped@step1000"
NOWHERE = Path("no such table.parquet")
# httpx says so of the client's own way to send a file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("pushed")
    model = written(llama(), place / "original")
    export.export(place / "original", rounded_by(model, scheme(4)), scheme(4), place / "packed")
    return place / "packed"


@pytest.fixture
def copy(packed, tmp_path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "copy"))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = StandIn(tokens={TOKEN})
    monkeypatch.setattr("time.sleep", lambda _: None)
    with hub.serving() as address:
        take_for_the_hub(monkeypatch, address, tmp_path / "cache")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


def parcel(folder: Path, **more) -> push.Parcel:
    return push.parcel_of(folder, **({"repository": NAME, "base": BASE, "table": NOWHERE} | more))


def commits(hub: StandIn) -> list[str]:
    return [commit.message for commit in hub.repository(NAME).commits.values()]


def row(scheme_id: str, method: str, losses: tuple[float, ...]) -> dict:
    said = {"measurement_id": f"row of {method}", "scheme_id": scheme_id, "method": method, "status": "ok"}
    said |= {"eval_id": "e", "eval_dataset": "a|text`", "eval_sha256": "s", "device_type": "cpu", "n_tokens": 2000}
    return said | {"group_loss": losses, "loss_nats": sum(losses) / len(losses)}


def test_a_packed_folder_arrives_in_one_commit_as_it_is(hub, packed):
    address = push.send(parcel(packed))
    repository = hub.repository(NAME)
    assert (repository.access, address.rpartition("/")[2]) == ("private", repository.branches["main"])
    assert commits(hub) == ["initial", "A packed checkpoint, by qid push"]
    there = {name: file.body for name, file in repository.resolved("main").files.items() if name != ".gitattributes"}
    here = {path.name: path.read_bytes() for path in packed.iterdir()}
    assert there.keys() == {*here, "README.md"}
    assert all(there[name] == body for name, body in here.items() if name != provenance.NAME)
    assert push.send(parcel(packed)) is None  # nothing has changed
    assert len(commits(hub)) == 2


def test_public_is_what_is_asked_for(hub, packed):
    push.send(parcel(packed), public=True)
    assert hub.repository(NAME).access == "open"


def test_what_others_can_see_already_needs_to_be_asked_for(hub, packed):
    hub.repository(NAME).commit({".gitattributes": b""})
    with pytest.raises(HubError, match="is public; accepted: a private repository, or --public"):
        push.send(parcel(packed))
    assert push.send(parcel(packed), public=True)


def test_the_card_and_the_provenance_say_what_it_is_and_what_was_measured(packed, monkeypatch, tmp_path):
    made = json.loads((packed / provenance.NAME).read_text())
    assert made["weights_sha256"] == checkpoints.weights_sha256(packed.with_name("original"))
    assert made["scheme_id"] == scheme(4).scheme_id
    rows = [row("none", "none", (1.0, 3.0)), row(made["scheme_id"], "rtn", (1.5, 3.7)), row("another", "rtn", (9, 9))]
    mine = [{**each, "weights_sha256": made["weights_sha256"]} for each in rows]
    others = [{**each, "weights_sha256": "another's"} for each in rows]
    table = tmp_path / "table.parquet"
    table.touch()
    monkeypatch.setattr(files, "read_table", lambda _: type("Rows", (), {"to_pylist": lambda _self: mine + others})())
    sent = parcel(packed, table=table).files
    _, front, body = sent["README.md"].decode().split("---\n", 2)
    head = yaml.safe_load(front)
    assert head["license"] == "apache-2.0"
    assert (head["base_model"], head["base_model_relation"]) == ("EleutherAI/pythia-160m-deduped", "quantized")
    assert head["tags"] == ["rtn", "gptq", "4-bit", "quantized", "qid"]
    # differences 0.5 and 0.7: deviation 0.1414, over root 2
    assert "| `a\\|text'` | +0.6000 ± 0.1000 | 2.6000 | 2,000 | cpu |" in body
    assert "`step1000`, its decoder blocks rounded by `rtn` to 4 bits" in body
    assert "one scale and zero point for 32 neighbouring weights" in body
    told = json.loads(sent[provenance.NAME])
    assert told.items() >= made.items()
    assert (told["base"], len(told["measured"])) == (BASE, 1)
    assert told["measured"][0]["measurement_id"] == "row of rtn"
    assert told["measured"][0]["baseline_id"] == "row of none"


def test_what_is_not_known_is_not_said(copy):
    (copy / provenance.NAME).unlink()
    sent = parcel(copy, base=None).files
    front, body = sent["README.md"].decode().split("---\n", 2)[1:]
    assert not yaml.safe_load(front).keys() & {"license", "base_model"}
    assert "hasn't been measured" in body
    assert "Nothing beside the files says" in body
    assert provenance.NAME not in sent
    unknown = parcel(copy, base="someone/original").files["README.md"].decode()
    assert "base_model: someone/original" in unknown
    assert "license:" not in unknown


def put_pickle(folder):
    (folder / "sub").mkdir()
    (folder / "sub/pytorch_model.bin").touch()


def unpack(folder):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "quantization_config": None}))


def plain(folder):
    tensors = load_file(folder / "model.safetensors")
    left = {name: tensor for name, tensor in tensors.items() if not name.endswith(".qweight")}
    save_file(left, folder / "model.safetensors")


def change(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] *= 2
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "more", "message"),
    [
        (put_pickle, {}, "sub/pytorch_model.bin: a pickle, which can run code"),
        (unpack, {}, "no packed checkpoint; accepted: a folder that `qid export`"),
        (plain, {}, "has no packed layer"),
        (lambda folder: (folder / "model.safetensors").unlink(), {}, "model.safetensors: can't be read"),
        (lambda folder: (folder / "config.json").unlink(), {}, "no packed checkpoint"),
        (lambda folder: (folder / "config.json").write_text("{"), {}, "config.json: can't be read"),
        (lambda folder: (folder / "x").symlink_to("/etc/hostname"), {}, "x: a link"),
        (change, {}, "provenance.json: is of [0-9a-f]{16}, model.safetensors is"),
        (lambda folder: (folder / provenance.NAME).write_text("{}"), {}, "'weights_sha256' is no SHA-256"),
        (lambda _: None, {"repository": "packed"}, "packed: no name of a repository; accepted: owner/name"),
        (lambda _: None, {"repository": "../x"}, "no name of a repository"),
        (lambda _: None, {"base": "pythia@step1"}, "pythia: no name of a repository"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_one_line(copy, spoil, more, message):
    spoil(copy)
    with pytest.raises(QidError, match=message) as refused:
        parcel(copy, **more)
    assert "\n" not in str(refused.value)


def test_hidden_files_stay_here(copy):
    (copy / ".env").write_text("a secret")
    assert ".env" not in parcel(copy).files


def test_without_a_token_nobody_is_asked(hub, packed, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="someone/packed: no token; accepted: one in HF_TOKEN"):
        push.send(parcel(packed))
    assert not hub.log


def test_a_token_that_the_hub_refuses_is_one_line(hub, packed, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    with pytest.raises(HubError, match="someone/packed: ") as refused:
        push.send(parcel(packed))
    assert "\n" not in str(refused.value)
    assert not hub.repositories


def test_a_repository_with_other_files_is_left_as_it_is_unless_asked(hub, packed):
    hub.repository(NAME, access="private").commit({"theirs.txt": b"words", "config.json": b"{}"})
    with pytest.raises(HubError, match=r"has files already \(config.json, theirs.txt\); accepted: an empty one"):
        push.send(parcel(packed))
    assert commits(hub) == ["files"]
    assert push.send(parcel(packed), replace=True)
    assert hub.repository(NAME).resolved("main").files.keys() == parcel(packed).files.keys()
    assert len(commits(hub)) == 2


@pytest.mark.parametrize("kind", ["dropped", "status"])
@pytest.mark.parametrize("where", ["PUT /sent/", "objects/batch"])
def test_what_breaks_on_the_way_is_tried_again(hub, packed, kind, where):
    hub.faults.listed = [Fault(kind, where)]
    assert push.send(parcel(packed))
    assert hub.faults.struck == 1
    assert len(commits(hub)) == 2


@pytest.mark.parametrize("where", ["PUT /sent/", "POST /api/models/someone/packed/commit", "GET /api/models"])
@pytest.mark.parametrize("kind", ["dropped", "status"])
def test_a_hub_that_stays_away_ends_in_one_line_and_leaves_no_half_commit(hub, packed, kind, where):
    hub.faults.listed = [Fault(kind, where, times=1000)]
    with pytest.raises(HubError, match="someone/packed") as refused:
        push.send(parcel(packed))
    assert "\n" not in str(refused.value)
    made = hub.repositories.get(("model", NAME))
    assert made is None or [commit.message for commit in made.commits.values()] == ["initial"]
    hub.faults.listed = []
    assert push.send(parcel(packed))  # what was left is no obstacle
    assert len(commits(hub)) == 2


def test_a_commit_whose_answer_was_lost_is_found_the_next_time(hub, packed):
    first = parcel(packed)
    hub.faults.listed = [Fault("cut", "POST /api/models/someone/packed/commit", times=1000)]
    with pytest.raises(HubError):
        push.send(first)
    hub.faults.listed = []
    assert push.send(first) is None
    assert len(commits(hub)) == 2


def test_the_command_shows_and_sends_nothing_unless_told(hub, packed, tmp_path):
    words = ["push", str(packed), NAME, "--base", BASE, "--table", str(tmp_path / "none.parquet")]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0
    assert not hub.log
    assert ["model.safetensors", f"{(packed / 'model.safetensors').stat().st_size:,}"] in [
        line.split() for line in shown.stdout.splitlines()
    ]
    assert "base_model: EleutherAI/pythia-160m-deduped" in shown.stdout
    assert "private, in one commit; nothing was sent, --really sends it" in shown.stderr
    done = CliRunner().invoke(app, [*words, "--really"])
    assert done.exit_code == 0
    assert commits(hub)[1:] == ["A packed checkpoint, by qid push"]
    again = CliRunner().invoke(app, [*words, "--really"])
    assert "all of it is there already" in again.stderr


def test_the_provenance_of_an_export_is_not_that_of_its_original(packed, tmp_path):
    original = Path(shutil.copytree(packed.with_name("original"), tmp_path / "original"))
    (original / provenance.NAME).write_text("{}")
    wanted = dataclasses.replace(scheme(3), calib_sha256="c")
    export.export(original, rounded_by(llama(), scheme(3)), wanted, tmp_path / "out")
    made = json.loads((tmp_path / "out" / provenance.NAME).read_text())
    assert made["scheme"]["bits"] == 3
    assert made["calib_sha256"] == "c"
