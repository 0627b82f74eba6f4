import json
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest

from helpers.table import families
from helpers.table.errors import SpecError
from helpers.table.families import catalogue
from helpers.table.families.shapes import neox

ROOT = Path(__file__).parents[3]
ANOTHER = """
from helpers.table.families.hub import HubFamily, HubRun

RUN = HubRun(
    model="another-1",
    repository="somebody/another-1",
    n_layers=1,
    d_model=4,
    vocabulary_size=5,
    steps=(7,),
    tokens_per_step=100,
    planned_tokens=1000,
    peak_learning_rate=None,
    weight_decay=None,
    schedule="cosine",
)
FAMILIES = (
    HubFamily(
        "another",
        (RUN,),
        n_params_total=lambda run: 30,
        n_params_non_embedding=lambda run: 20,
        linear_shapes=lambda run: {"up": (8, run.d_model)},
        learning_rate=lambda run, step: None,
        lr_phase=lambda run, step: None,
        revision=lambda run, step: str(step),
    ),
)
"""


@pytest.fixture
def found_in(tmp_path, monkeypatch):
    """The families of a folder with the files of ours and one more, which knows no learning rate."""
    folder = tmp_path / "families"
    shutil.copytree(Path(catalogue.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "another.py").write_text(ANOTHER)
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(folder)])
    monkeypatch.setattr(catalogue, "__file__", str(folder / "catalogue.py"))
    yield catalogue.families_of_the_folder()
    sys.modules.pop("helpers.table.families.another")


def test_a_family_is_found_by_its_file_alone(found_in):
    assert found_in.keys() - catalogue.HUB_FAMILIES.keys() == {"another"}
    (spec,) = found_in["another"].checkpoints()
    assert (spec.label, spec.location, spec.revision) == ("another-1@7", "somebody/another-1", "7")
    assert (spec.tokens_seen, spec.tokens_planned) == (700, 1000)
    assert (spec.n_params_total, spec.n_params_non_embedding) == (30, 20)
    assert found_in["another"].shapes_of("another-1") == {"up": (8, 4)}


def test_what_no_source_says_is_none(found_in):
    (spec,) = found_in["another"].checkpoints()
    assert (spec.learning_rate, spec.peak_learning_rate, spec.lr_phase, spec.weight_decay) == (None,) * 4
    assert spec.lr_fraction is None


def test_every_file_with_families_is_in_the_catalogue():
    paths = Path(catalogue.__file__).parent.glob("*.py")
    described = [path.stem for path in paths if re.search(r"^FAMILIES = ", path.read_text(), re.MULTILINE)]
    assert {"olmo_2", "pythia", "smollm2"} <= set(described)
    ours = [family for stem in described for family in import_module(f"helpers.table.families.{stem}").FAMILIES]
    assert len({family.name for family in ours}) == len(ours), "two families of one name"
    assert {family.name: family for family in ours} == catalogue.HUB_FAMILIES


@pytest.mark.parametrize("family", sorted(catalogue.HUB_FAMILIES))
def test_checkpoints_of_a_family_are_told_apart_and_in_their_run(family):
    known = catalogue.HUB_FAMILIES[family]
    specs = list(known.checkpoints())
    assert (
        len({(spec.run, spec.step) for spec in specs}) == len({(s.location, s.revision) for s in specs}) == len(specs)
    )
    for spec in specs:
        assert 0 <= spec.tokens_seen <= spec.tokens_planned * 1.001, "runs may go on for some steps"
        assert 0 < spec.n_params_non_embedding < spec.n_params_total
        assert spec.lr_phase in ("warmup", "stable", "decay", None)
        assert spec.lr_fraction is None or 0 <= spec.lr_fraction <= 1


NORMS_WITHOUT_PARAMETERS = {"olmo-1"}  # and no biases


@pytest.mark.parametrize("family", sorted(catalogue.HUB_FAMILIES))
def test_shapes_are_of_one_block(family):
    known = catalogue.HUB_FAMILIES[family]
    for run in known.runs:
        of_blocks = run.n_layers * sum(rows * columns for rows, columns in known.shapes_of(run.model).values())
        if family in NORMS_WITHOUT_PARAMETERS:
            assert of_blocks == known.n_params_non_embedding(run)
        else:
            assert 0.97 < of_blocks / known.n_params_non_embedding(run) < 1, "the rest are norms and biases"


def test_every_family_says_its_licence_and_where_it_is_described():
    for family in catalogue.HUB_FAMILIES.values():
        terms = {"llama-2": "Llama 2 Community License", "llama-3": "Llama 3 Community License"}
        assert family.licence == terms.get(family.name, "Apache-2.0"), family.name
        assert family.source.startswith("https://"), family.name


def test_a_step_lies_in_the_repository_of_its_run_where_nothing_else_is_said(found_in):
    (run,) = found_in["another"].runs
    assert found_in["another"].repository(run, 7) == "somebody/another-1"
    assert (found_in["another"].licence, found_in["another"].source) == (None, None)


def test_a_revision_is_found_by_its_repository():
    for family in catalogue.HUB_FAMILIES.values():
        for spec in (next(family.checkpoints()), list(family.checkpoints())[-1]):
            found = family.found(spec.location, spec.revision)
            assert (found.location, found.revision, found.step) == (spec.location, spec.revision, spec.step)
        assert family.found("somebody/else", "main") is None


def test_unknown_family_model_and_step_are_named():
    every = "".join(rf"(?=.* {re.escape(name)}, )" for name in catalogue.HUB_FAMILIES)
    with pytest.raises(SpecError, match=rf"^f\.yml:3: unknown family 'pytia'; accepted:{every}.*, or a folder with a"):
        catalogue.checkpoints("pytia", None, None, "f.yml:3")
    with pytest.raises(SpecError, match="unknown model 'pythia-2b'; accepted: .*pythia-1b"):
        catalogue.checkpoints("pythia", ["pythia-2b"], None, "f.yml:3")
    with pytest.raises(SpecError, match="unknown step '3'; accepted: 0, 1, 2, 4"):
        catalogue.checkpoints("pythia", None, [3], "f.yml:3")


def test_models_and_runs_may_be_patterns():
    found = catalogue.checkpoints("pythia", ["pythia-1*b", "pythia-[37][01]m"], [143000], "f.yml:3")
    assert [spec.model for spec in found] == ["pythia-31m", "pythia-70m", "pythia-1b", "pythia-1.4b", "pythia-12b"]
    ten = catalogue.checkpoints("polypythias", None, [0], "f.yml:3", runs=["pythia-14m-seed?"])
    assert [spec.run for spec in ten] == [f"pythia-14m-seed{seed}" for seed in range(1, 10)]
    with pytest.raises(SpecError, match=r"^f\.yml:3: unknown run 'pythia-14m-\*'; accepted: .*pythia-14m, "):
        catalogue.checkpoints("pythia", None, None, "f.yml:3", runs=["pythia-14m-*"])


def test_the_pocket_family_is_three_sizes_and_a_decayed_twin():
    specs = catalogue.checkpoints(str(ROOT / "data/tadpole"), None, None, "test")
    trunk = [spec for spec in specs if spec.run == spec.model]
    (twin,) = [spec for spec in specs if spec.run != spec.model]
    assert len(trunk) == 22
    assert len({spec.n_params_non_embedding for spec in trunk}) == 3
    assert (twin.schedule, twin.learning_rate) == ("cooldown", 0)
    (beside,) = [spec for spec in trunk if (spec.model, spec.step) == (twin.model, twin.step)]
    assert beside.learning_rate == beside.peak_learning_rate
    for spec in specs:
        assert spec.n_params_non_embedding == neox.neox_n_params_non_embedding(spec.n_layers, spec.d_model)
        assert spec.n_params_total == neox.neox_n_params_total(spec.n_layers, spec.d_model, spec.vocabulary_size)
        assert spec.epochs < 4


def test_a_broken_manifest_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(SpecError, match="not a family manifest"):
        catalogue.checkpoints(str(tmp_path), None, None, "test")
    (tmp_path / "manifest.json").write_text(json.dumps({"checkpoints": [{"location": "a", "colour": "red"}]}))
    with pytest.raises(SpecError, match="unknown key 'colour'"):
        catalogue.checkpoints(str(tmp_path), None, None, "test")


@pytest.mark.parametrize("name", ["step", "tokens_seen", "tokens_planned", "schedule", "train_seed"])
def test_a_manifest_knows_what_was_trained_here(tmp_path, name):
    whole = json.loads((ROOT / "data/tadpole/manifest.json").read_text())
    entry = whole["checkpoints"][0] | {name: None}
    (tmp_path / "manifest.json").write_text(json.dumps({"checkpoints": [entry]}))
    with pytest.raises(SpecError, match=f"manifest.json: 0: '{name}' is None; accepted: what training wrote there"):
        catalogue.read_manifest(tmp_path)


def test_a_manifest_sends_no_one_to_the_hub(tmp_path):
    """Its checkpoints are folders: with a revision their location would be taken for a repository's name."""
    entries = json.loads(Path("data/tadpole/manifest.json").read_text())["checkpoints"]
    (tmp_path / "manifest.json").write_text(
        json.dumps({"checkpoints": [entries[0], entries[1] | {"revision": "main"}]})
    )
    message = r"manifest\.json: 1: 'revision' is 'main'; accepted: null, the weights lie here$"
    with pytest.raises(SpecError, match=message):
        catalogue.read_manifest(tmp_path)


def test_a_manifest_has_a_checksum_or_is_by_hand(tmp_path):
    """The numbers are those of the pocket family: one that differs is damage, unless a person took the checksum out."""
    whole = json.loads(Path("data/tadpole/manifest.json").read_text())
    path, changed = tmp_path / "manifest.json", whole["checkpoints"][0] | {"tokens_seen": 1}
    path.write_text(json.dumps(whole | {"checkpoints": [changed]}))
    with pytest.raises(
        SpecError, match=r"manifest\.json: damaged, its 'checksum' is .*, else `qid train` or `qid pocket`"
    ):
        catalogue.read_manifest(tmp_path)
    path.write_text(json.dumps({"checkpoints": [changed]}))
    assert catalogue.read_manifest(tmp_path)[0].tokens_seen == 1
    path.write_text(json.dumps({"checkpoints": [changed], "checksul": whole["checksum"]}))
    with pytest.raises(SpecError, match=r"not a family manifest \(unknown key 'checksul'; accepted: checkpoints\)"):
        catalogue.read_manifest(tmp_path)
