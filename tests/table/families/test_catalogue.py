import csv
import json
from pathlib import Path

import pytest

from helpers.table.errors import SpecError
from helpers.table.families import catalogue, neox

ROOT = Path(__file__).parents[3]
PYTHIA = catalogue.HUB_FAMILIES["pythia"]


def public_rows() -> list[dict]:
    with (ROOT / "data/published/pythia_public_evals.csv").open() as file:
        return list(csv.DictReader(file))


def test_pythia_sizes_are_those_of_the_public_table():
    published = {row["model"]: int(row["n_params_non_embedding"]) for row in public_rows() if row["deduped"] == "False"}
    ours = {spec.model: spec.n_params_non_embedding for spec in catalogue.checkpoints("pythia", None, [0], "test")}
    shared = published.keys() & ours.keys()
    assert len(shared) >= 8
    assert {name: ours[name] for name in shared} == {name: published[name] for name in shared}


def test_pythia_tokens_of_a_step_are_the_public_tables():
    published = {int(row["step"]): int(row["tokens_seen"]) for row in public_rows()}
    ours = {spec.step: spec.tokens_seen for spec in catalogue.checkpoints("pythia", ["pythia-1b"], None, "test")}
    assert {step: ours[step] for step in published} == published


def test_pythia_has_154_checkpoints_a_model():
    assert len(catalogue.checkpoints("pythia", ["pythia-1b"], None, "test")) == 154


def test_pythia_learning_rate_rises_then_falls_to_a_tenth():
    model = PYTHIA.models[5]
    rates = [PYTHIA.learning_rate(model, step) for step in (0, 715, 1430, 71_000, 143_000)]
    assert rates[0] == 0
    assert rates[1] == pytest.approx(model.peak_learning_rate / 2)
    assert rates[2] == model.peak_learning_rate
    assert rates[4] == pytest.approx(0.1 * model.peak_learning_rate)
    assert rates[2] > rates[3] > rates[4]
    assert PYTHIA.checkpoint(model, 1000).lr_phase == "warmup"
    assert PYTHIA.checkpoint(model, 2000).lr_phase == "decay"


def test_deduped_names_carry_their_suffix():
    (spec,) = catalogue.checkpoints("pythia-deduped", ["pythia-70m-deduped"], [512], "test")
    assert (spec.location, spec.revision) == ("EleutherAI/pythia-70m-deduped", "step512")
    assert spec.tokens_seen == 512 * 2_097_152


def test_unknown_family_model_and_step_are_named():
    with pytest.raises(SpecError, match=r"^f\.yml:3: unknown family 'pytia'; accepted: pythia, pythia-deduped, or a"):
        catalogue.checkpoints("pytia", None, None, "f.yml:3")
    with pytest.raises(SpecError, match="unknown model 'pythia-2b'; accepted: .*pythia-1b"):
        catalogue.checkpoints("pythia", ["pythia-2b"], None, "f.yml:3")
    with pytest.raises(SpecError, match="unknown step '3'; accepted: 0, 1, 2, 4"):
        catalogue.checkpoints("pythia", None, [3], "f.yml:3")


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
