"""`qid foretell` and `qid settle`, end to end through typer's runner."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.analyse.questions.register import OPEN, read_register
from helpers.cli import app
from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.sweep.jobs import plan
from helpers.table.errors import QidError, SpecError
from helpers.table.families.catalogue import HUB_FAMILIES

ROOT = Path(__file__).parents[2]
OUTSIDE = "data/outside/smollm2-wheel.yml"
PLAN = "sweeps/train-tadpole-seeds.yml"
CHECKPOINT = ("--step", "2384", "--bits", "3", "--bits", "4")


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_what_is_foretold_is_settled_by_the_table(tmp_path):
    """The seeds' runs stand for runs to come: two models with two seeds, which the table has."""
    path = tmp_path / "register.json"
    for _ in range(2):  # open entries are made anew
        done = CliRunner().invoke(app, ["foretell", PLAN, "--law", "steps", *CHECKPOINT, "--register", str(path)])
        assert done.exit_code == 0, done.output
    before = read_register(path)
    assert len(before) == 2 * 2 * 2
    assert {entry.tokens for entry in before} == {2384 * 131_072}
    assert {entry.outcome for entry in before} == {OPEN}
    done = CliRunner().invoke(app, ["settle", "--register", str(path)])
    assert done.exit_code == 0, done.output
    after = read_register(path)
    assert [entry.question for entry in after] == [entry.question for entry in before]
    assert all(0 < entry.outcome < 1 for entry in after)
    with pytest.raises(QidError, match="was measured"):
        CliRunner().invoke(
            app, ["foretell", PLAN, "--law", "steps", *CHECKPOINT, "--register", str(path)], catch_exceptions=False
        )


def test_kl_is_foretold_where_it_is_asked_for_beside_qid(tmp_path):
    path = tmp_path / "register.json"
    for outcome in ("qid", "kl"):
        words = ["foretell", PLAN, "--law", "steps", *CHECKPOINT, "--outcome", outcome, "--register", str(path)]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    qid, kl = ([each for each in read_register(path) if each.quantity == f"{name}_nats"] for name in ("qid", "kl"))
    assert len(qid) == len(kl) == 2 * 2 * 2
    assert all(one.predicted != other.predicted for one, other in zip(qid, kl, strict=True))
    with pytest.raises(QidError, match="loss.*accepted: qid, kl"):
        CliRunner().invoke(app, [*words[:-3], "loss", *words[-2:]], catch_exceptions=False)


def test_a_step_without_a_checkpoint_is_refused(tmp_path):
    words = ["foretell", PLAN, "--law", "steps", "--step", "7", "--bits", "3", "--register", str(tmp_path / "r.json")]
    with pytest.raises(SpecError, match=r"no checkpoint at step 7; accepted: 32, 64"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert not (tmp_path / "r.json").exists()


def test_every_law_is_asked_about_a_model_from_outside(tmp_path):
    path = tmp_path / "register.json"
    asked = ["--bits", "3", "--group-size", "64", "--rows", "--register", str(path)]
    done = CliRunner().invoke(app, ["foretell-outside", OUTSIDE, *asked])
    assert done.exit_code == 0, done.output
    register = read_register(path)
    assert {entry.text for entry in register} == {"wheels-heldout", "wheels-prose"}
    assert {entry.scheme for entry in register} == {"gptq, asymmetric groups of 64", "gptq, asymmetric rows"}
    assert {entry.law for entry in register if entry.quantity == "qid_nats"} >= {
        "kumar2024",
        "ouyang2024",
        "power",
        "band",
    }
    assert {entry.law for entry in register if entry.quantity == "kl_nats"} >= {"power", "band"}


def asked_of(tmp_path, *words: str) -> list:
    path = tmp_path / "register.json"
    asked = ["foretell-outside", *words, "--bits", "3", "--group-size", "128", "--register", str(path)]
    CliRunner().invoke(app, asked, catch_exceptions=False)
    return read_register(path)


def test_every_law_is_asked_about_a_revision_of_a_family_that_is_known(tmp_path):
    register = asked_of(tmp_path, "tomg-group-umd/Gemstone-512x12", "--revision", "main")
    assert {entry.run for entry in register} == {"gemstones/Gemstone-512x12"}
    assert {(entry.tokens, entry.n_params) for entry in register} == {(83_475 * 2048 * 2048, 47_198_720)}
    assert {entry.law for entry in register} >= {"kumar2024", "ouyang2024", "power", "band"}


@pytest.mark.parametrize(
    ("repository", "revision", "message"),
    [
        (
            "somebody/else",
            "main",
            r"^somebody/else at main: of no family that is known; accepted: a revision of .*olmo-2",
        ),
        ("EleutherAI/pythia-12b", "step50000", r"^EleutherAI/pythia-12b at step50000: reported on "),
        ("EleutherAI/pythia-14m", "step0", r"^pythia-14m@0: training tokens are 0; accepted: 1 or more"),
    ],
)
def test_a_revision_that_no_law_can_be_asked_about_is_refused(tmp_path, repository, revision, message):
    with pytest.raises(SpecError, match=message):
        asked_of(tmp_path, repository, "--revision", revision)


def test_a_register_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(QidError, match=r"none\.json: no such register"):
        CliRunner().invoke(app, ["settle", "--register", str(tmp_path / "none.json")], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told_before_any_law_is_asked(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("helpers.analyse.fits.stored.read_fits", lambda *_args, **_options: pytest.fail("asked"))
    path = str(tmp_path / "file/register.json")
    for words in (
        ["foretell", PLAN, "--law", "steps", *CHECKPOINT],
        ["foretell-outside", OUTSIDE, "--bits", "3", "--group-size", "32"],
    ):
        with pytest.raises(QidError, match=r"register\.json: can't be written"):
            CliRunner().invoke(app, [*words, "--register", path], catch_exceptions=False)


def test_what_is_asked_of_families_on_the_hub_is_measured_by_a_sweep():
    jobs = plan(read_sweep(ROOT / "sweeps/foretold.yml"))
    measured = {(f"{job.checkpoint.family}/{job.checkpoint.run}", job.checkpoint.tokens_seen) for job in jobs}
    asked = {(entry.run, entry.tokens) for entry in read_register() if entry.run.partition("/")[0] in HUB_FAMILIES}
    assert asked == measured
