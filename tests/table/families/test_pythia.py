import csv
from pathlib import Path

import pytest

from helpers.table.families import catalogue

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


def test_the_learning_rate_rises_then_falls_to_a_tenth():
    run = PYTHIA.runs[5]
    rates = [PYTHIA.learning_rate(run, step) for step in (0, 715, 1430, 71_000, 143_000)]
    assert rates[0] == 0
    assert rates[1] == pytest.approx(run.peak_learning_rate / 2)
    assert rates[2] == run.peak_learning_rate
    assert rates[4] == pytest.approx(0.1 * run.peak_learning_rate)
    assert rates[2] > rates[3] > rates[4]
    assert PYTHIA.checkpoint(run, 1000).lr_phase == "warmup"
    assert PYTHIA.checkpoint(run, 2000).lr_phase == "decay"


def test_deduped_names_carry_their_suffix():
    (spec,) = catalogue.checkpoints("pythia-deduped", ["pythia-70m-deduped"], [512], "test")
    assert (spec.location, spec.revision) == ("EleutherAI/pythia-70m-deduped", "step512")
    assert spec.tokens_seen == 512 * 2_097_152
