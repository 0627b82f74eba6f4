"""Audits of a family on a stand-in of the Hub, by the real client: what was planted is found, and no more."""

import dataclasses
import json
from pathlib import Path

import pytest
from rich.console import Console
from tests.hub.faults import Fault, Faults
from tests.hub.stand_in import StandIn, take_for_the_hub
from tests.measure.tiny import ROOT

from helpers.measure.auditing import page
from helpers.measure.auditing.audit import audit
from helpers.table.errors import SpecError
from helpers.table.families import pythia, pythia_reports
from helpers.table.families.catalogue import HUB_FAMILIES
from helpers.table.families.hub import HubFamily, HubRun
from helpers.table.families.reports import KnownBad, Twins, steps
from helpers.table.families.shapes import neox
from helpers.table.records import verified

STEPS = (0, 1, 2, 4, 8, 16, 1000, 2000, 3000)
NOWHERE = (Path("none.parquet"), Path("none.parquet"))
QUIET = Console(quiet=True)
INDEX = "model.safetensors.index.json"


def run_named(name: str) -> HubRun:
    return HubRun(
        model=name,
        repository=f"someone/{name}",
        n_layers=2,
        d_model=32,
        vocabulary_size=64,
        steps=STEPS,
        tokens_per_step=1000,
        planned_tokens=3_000_000,
        peak_learning_rate=1e-3,
        weight_decay=0.1,
        schedule="cosine",
    )


def family_of(*names: str, **more) -> HubFamily[HubRun]:
    return HubFamily(
        "planted",
        tuple(map(run_named, names)),
        n_params_total=lambda run: neox.neox_n_params_total(run.n_layers, run.d_model, run.vocabulary_size),
        n_params_non_embedding=lambda run: neox.neox_n_params_non_embedding(run.n_layers, run.d_model),
        linear_shapes=lambda run: neox.neox_linear_shapes(run.d_model),
        learning_rate=lambda run, step: None,
        lr_phase=lambda run, step: None,
        revision=lambda run, step: f"step{step}",
        **more,
    )


def weights(name: str, step: int, part: int = 0, n_bytes: int = 64) -> bytes:
    return f"{name} {step} {part} ".encode().ljust(n_bytes, b"w")


def whole(name: str, step: int) -> dict[str, bytes]:
    """Return the files of a revision with one file of weights."""
    return {"config.json": b"{}", "model.safetensors": weights(name, step)}


def divided(name: str, steps_of_shards: tuple[int, ...], total: int | None = None) -> dict[str, bytes]:
    """Return the files of a revision in shards, each of the step that is given for it."""
    n = len(steps_of_shards)
    shards = {
        f"model-{i + 1:05}-of-{n:05}.safetensors": weights(name, step, i) for i, step in enumerate(steps_of_shards)
    }
    index = {
        "metadata": {"total_size": total or 60 * n},
        "weight_map": {f"w{i}": each for i, each in enumerate(shards)},
    }
    return {"config.json": b"{}", **shards, INDEX: json.dumps(index).encode()}


def planted(hub: StandIn, name: str, files: dict[int, dict[str, bytes] | None]) -> None:
    """Put a run on the Hub: main is its last step; a step of None isn't there, one not named is sound."""
    repository = hub.repository(f"someone/{name}")
    for step in STEPS:
        if (here := files.get(step, whole(name, step))) is not None:
            repository.commit(here, f"step{step}")
    repository.commit(files.get(STEPS[-1]) or whole(name, STEPS[-1]))


@pytest.fixture
def waits(monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = StandIn()
    with hub.serving() as address:
        take_for_the_hub(monkeypatch, address, tmp_path / "cache")
        yield hub


@pytest.fixture
def audited(monkeypatch):
    """Audit a family by what it is, as if the catalogue had it."""

    def make(family: HubFamily[HubRun], tables=NOWHERE):
        monkeypatch.setitem(HUB_FAMILIES, family.name, family)
        return audit(family.name, None, None, tables, QUIET)

    return make


def kinds(found) -> list[tuple[str, str, tuple[str, ...]]]:
    return sorted((each.kind, each.repository, each.revisions) for each in found)


def test_a_sound_family_has_nothing_to_find_and_no_weights_are_downloaded(hub, audited):
    planted(hub, "sound", {})
    planted(hub, "shards", {step: divided("shards", (step, step)) for step in STEPS})
    found = audited(family_of("sound", "shards"))
    assert found.findings == ()
    assert (found.n_revisions, len(found.revisions)) == (18, 20)  # with both mains
    assert not hub.asked("/cdn/")
    assert len(hub.asked("/resolve/", "GET")) <= 2  # one index and one more a content


def test_what_was_planted_is_found(hub, audited):
    planted(hub, "equal", {4: whole("equal", 2), 1: whole("equal", 0), 8: None})
    planted(hub, "ended", {2: whole("ended", 3000), 16: whole("ended", 3000), 1000: {"config.json": b"{}"}})
    shards = {step: divided("mixed", (step, step, step)) for step in STEPS}
    cut = {k: v for k, v in divided("mixed", (16, 16, 16)).items() if "00002" not in k}
    planted(hub, "mixed", shards | {4: divided("mixed", (3000, 4, 4)), 8: divided("mixed", (8, 8, 8), 10**9), 16: cut})
    pickles = {step: {"config.json": b"{}", "pytorch_model.bin": weights("p", step)} for step in STEPS}
    planted(hub, "pickled", pickles)
    planted(hub, "both", {step: whole("both", step) | {"pytorch_model.bin": b"p"} for step in STEPS})
    planted(hub, "cut", {16: whole("cut", 16) | {"model.safetensors": b"cut"}})
    for name, access in (("open", "gated"), ("shut", "sealed"), ("hidden", "private")):
        planted(hub, name, {})
        hub.repository(f"someone/{name}").access = access
    twins = (Twins(steps(0, 1), "the first update has a learning rate of zero", "someone/equal#1"),)
    names = ("equal", "ended", "mixed", "pickled", "both", "cut", "open", "shut", "hidden", "nowhere")
    found = audited(family_of(*names, twins=twins))
    every = tuple(f"step{step}" for step in STEPS)
    assert kinds(found.unexplained) == [
        ("gated", "someone/shut", every),
        ("identical", "someone/equal", ("step2", "step4")),
        ("incomplete", "someone/mixed", ("step16",)),
        ("index", "someone/mixed", ("step16",)),
        ("index", "someone/mixed", ("step8",)),
        ("mislabelled", "someone/ended", ("step2", "step16")),
        ("missing", "someone/equal", ("step8",)),
        ("missing", "someone/hidden", every),
        ("missing", "someone/nowhere", every),
        ("mixed", "someone/mixed", ("step4",)),
        ("no weights", "someone/ended", ("step1000",)),
        ("size", "someone/cut", ("step16",)),
        ("size", "someone/mixed", ("step16",)),
    ]
    assert kinds(set(found.findings) - set(found.unexplained)) == [
        ("both formats", "someone/both", ()),
        ("gated", "someone/open", ()),
        ("identical", "someone/equal", ()),  # the twins
        ("only .bin", "someone/pickled", ()),
    ]
    lines = {each.kind: each.line for each in found.findings}
    assert "step4: model-00001-of-00003.safetensors of 3 shards of main, step3000" in lines["mixed"]
    assert "10 revisions (main, step0, step1 ... step3000)" in lines["only .bin"]
    assert not hub.asked("/cdn/")


def test_a_run_whose_steps_are_repositories(hub, audited):
    """Main is such a step's own revision, or another name of it."""
    family = dataclasses.replace(
        family_of("run"),
        repository=lambda run, step: f"someone/run-{step}",
        revision=lambda run, step: "main" if step < 1000 else "last",
    )
    for step in STEPS:
        repository = hub.repository(f"someone/run-{step}")
        sha = repository.commit(whole("run", 2 if step == 4 else step))
        repository.branches["last"] = sha
    (found,) = audited(family).findings
    assert (found.kind, found.said) == ("identical", "main, someone/run-4 main have the same weights")


def test_what_is_reported_is_explained_and_what_was_mended_is_said(hub, audited):
    planted(hub, "model", {2: whole("model", 3000), 4: whole("model", 3000)})
    known = (
        KnownBad(steps(2), "identical", "the end's weights", "someone/model#1", "2026-01-01", "someone/model"),
        KnownBad(steps(4), "identical", "the end's weights", "someone/model#2", "2026-01-02", "someone/model"),
        KnownBad(steps(16), "missing", "not there", "someone/model#3", "2026-01-03", "someone/model"),
    )
    found = audited(family_of("model", known_bad=known))
    assert found.unexplained == ()
    assert kinds(found.findings) == [
        ("mislabelled", "someone/model", ("step2", "step4")),
        ("not seen", "someone/model", ("step16",)),
    ]
    assert found.findings[0].explained == "reported: someone/model#1, 2026-01-01; someone/model#2, 2026-01-02"


def test_a_list_is_asked_for_once_and_a_branch_that_moved_again(hub, audited):
    planted(hub, "model", {})
    first = audited(family_of("model"))
    n_lists = len(hub.asked("/tree/"))
    assert n_lists == len(STEPS) + 1  # main is another commit than the last step
    hub.page, hub.log[:] = 1, []
    second = audited(family_of("model"))
    assert not hub.asked("/tree/")
    assert second.revisions == first.revisions
    hub.repository("someone/model").commit(whole("model", 0), "step4")
    (found,) = audited(family_of("model")).findings
    assert (found.kind, found.revisions) == ("identical", ("step0", "step4"))
    assert len(hub.asked("/tree/")) == 2  # one commit, a line a page


def test_a_busy_hub_is_waited_for_as_it_says(hub, audited, waits):
    planted(hub, "model", {4: whole("model", 2)})
    hub.faults.listed = [
        Fault("status", "/tree/", status=429, retry_after=60),
        Fault("status", "/refs", status=429, retry_after=30),
        Fault("dropped", "/api/models/someone/model"),
    ]
    (found,) = audited(family_of("model")).findings
    assert found.kind == "identical"
    assert {31.0, 61.0} <= {*waits}


@pytest.mark.parametrize("seed", range(3))
def test_faults_at_random_change_nothing(hub, audited, waits, seed):
    planted(hub, "model", {4: whole("model", 2), 8: None})
    kinds_of_fault = (Fault("status", status=503), Fault("dropped"), Fault("cut", after=20))
    kinds_of_fault += (Fault("status", status=429, retry_after=2),)
    hub.faults = Faults(drawn=kinds_of_fault, share=0.7, seed=seed)
    found = audited(family_of("model"))
    assert kinds(found.findings) == [
        ("identical", "someone/model", ("step2", "step4")),
        ("missing", "someone/model", ("step8",)),
    ]
    assert hub.faults.struck > 3


def test_a_hub_that_goes_away_is_said_and_not_asked_for_ever(hub, audited, waits):
    names = [f"model{n}" for n in range(6)]
    for name in names:
        planted(hub, name, {})
    hub.faults.listed = [Fault("dropped", times=10**6)]
    found = audited(family_of(*names))
    assert [each.kind for each in found.findings] == ["unreachable"] * 6
    assert [("not asked" in each.said) for each in found.findings] == [False] * 3 + [True] * 3
    hub.faults.listed = [Fault("status", "/tree/", times=10**6)]
    (found,) = audited(family_of("model0")).findings
    assert (found.kind, len(found.revisions)) == ("unreachable", len(STEPS) + 1)


def test_a_damaged_list_on_disk_is_asked_for_again(hub, audited, tmp_path):
    planted(hub, "model", {4: whole("model", 2)})
    first = audited(family_of("model"))
    for path in (tmp_path / "qid/trees").rglob("*.json"):
        path.write_bytes(path.read_bytes().replace(b'"n_bytes": 64', b'"n_bytes": 65'))
    assert audited(family_of("model")).findings == first.findings
    assert len(hub.asked("/tree/")) == 2 * (len(STEPS) + 1)


def test_a_listing_that_is_no_listing_is_a_finding(hub, audited, waits):
    planted(hub, "model", {})
    commit = hub.repository("someone/model").commits[hub.repository("someone/model").branches["step4"]]
    object.__setattr__(commit.files["config.json"], "oid", "../../x")
    (found,) = audited(family_of("model")).findings
    assert (found.kind, found.revisions) == ("unreachable", ("step4",))
    assert "as a hash" in found.said


def test_the_page_and_the_json_say_the_same(hub, audited, tmp_path):
    planted(hub, "model", {4: whole("model", 2), 8: whole("model", 3000)})
    known = (KnownBad(steps(8), "identical", "the end's", "someone/model#1", "2026-01-01", "someone/model"),)
    found = audited(family_of("model", known_bad=known))
    paths = page.write(found, tmp_path / "reports")
    assert [path.name for path in paths] == [f"audit-planted-{found.made_at[:10]}.{kind}" for kind in ("md", "json")]
    text, told = paths[0].read_text(), verified(json.loads(paths[1].read_text()))
    before, after = text.split("## Explained")
    assert "**identical**, someone/model: step2, step4 have the same weights." in before
    assert "*reported: someone/model\\#1, 2026-01-01*" in after
    assert (told["n_unexplained"], len(told["findings"]), told["n_listed"]) == (1, 2, 10)
    entry = next(each for each in told["revisions"] if each["revision"] == "step4")
    repository = hub.repository("someone/model")
    assert entry["commit"] == repository.branches["step4"]
    assert entry["weights"] == {"model.safetensors": repository.resolved("step4").files["model.safetensors"].sha256}


def test_markup_in_a_name_from_the_hub_is_shown_as_it_is(hub, audited, tmp_path):
    planted(hub, "model", {})
    found = dataclasses.replace(audited(family_of("model")), family="a*b\x1b")
    assert "Audit of a\\*b\\\\x1b" in page.markdown(found)


def pythia_on(hub: StandIn, model: str, step_of: dict[int, int], shards: int = 0, mixed: tuple[int, ...] = ()) -> None:
    """Put a Pythia on the Hub: `step_of` are steps with another one's weights, `mixed` have the end's first shard."""
    repository, last = hub.repository(f"EleutherAI/{model}"), pythia.STEPS[-1]

    def files(step: int) -> dict[str, bytes]:
        if not shards:
            return whole(model, step)
        parts = (last if step in mixed else step, *[step] * (shards - 1))
        return {
            (f"pytorch_{name}" if name.startswith("model") else name).replace("safetensors", "bin"): body.replace(
                b"model-", b"pytorch_model-"
            ).replace(b".safetensors", b".bin")
            for name, body in divided(model, parts).items()
        }

    for step in pythia.STEPS:
        repository.commit(files(step_of.get(step, step)), f"step{step}")
    repository.commit(files(step_of.get(-1, last)))


def test_the_public_threads_on_pythia_are_found_again_from_hashes_alone(hub):
    """2.8B as in EleutherAI/pythia#205 (main isn't step143000), 12B as in #206; 70M with #83 and #198 alone."""
    end = 2 * pythia.TOTAL_STEPS  # a file that no step should have
    like_main = dict.fromkeys(pythia_reports.LIKE_MAIN, end) | {-1: end}
    pythia_on(hub, "pythia-2.8b", like_main | dict.fromkeys(pythia_reports.LIKE_THE_LAST, pythia.STEPS[-1]))
    pythia_on(hub, "pythia-12b", {1: 0, 2: 0}, shards=3, mixed=(50000, 58000))
    pythia_on(hub, "pythia-70m", {1: 0, 2: 0})
    pythia_on(hub, "pythia-160m", {1: 0})  # where #198 doesn't hold
    names = [f"pythia-{size}" for size in ("2.8b", "12b", "70m", "160m")]
    found = audit("pythia", names, None, NOWHERE, QUIET)
    assert found.unexplained == ()
    seen = {(each.repository.partition("-")[2], each.kind, len(each.revisions)): each for each in found.findings}
    assert {*seen} == {
        ("2.8b", "mislabelled", 76),
        ("2.8b", "mislabelled", 9),
        ("12b", "mixed", 2),
        ("12b", "identical", 1),
        ("12b", "only .bin", 0),
        ("70m", "identical", 1),
        ("160m", "identical", 0),  # the twins alone
        ("160m", "not seen", 1),
    }
    assert "EleutherAI/pythia#205" in seen["2.8b", "mislabelled", 76].explained
    assert "pytorch_model-00001-of-00003.bin of 3 shards of main, step143000" in seen["12b", "mixed", 2].said
    assert seen["160m", "not seen", 1].revisions == ("step2",)


def test_a_family_that_is_not_in_the_catalogue_is_refused():
    with pytest.raises(SpecError, match="unknown family 'nothing'"):
        audit("nothing", None, None, NOWHERE, QUIET)


def test_the_family_that_ships_is_sound_by_its_hashes_and_its_curves():
    """Of its manifest's hashes and of the committed tables: no curve of 80 and more has a point off it."""
    tables = (ROOT / "results/measurements.parquet", ROOT / "results/checkpoints.parquet")
    found = audit(str(ROOT / "data/tadpole"), None, None, tables, QUIET)
    assert found.findings == ()
    assert found.n_revisions > 20
    assert found.n_curves > 80
