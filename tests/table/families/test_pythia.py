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


def test_all_parameters_are_those_of_the_cards():
    """With embedding and head: the tables of the suite's cards."""
    printed = {
        "14m": 14_067_712,
        "31m": 30_494_720,
        "70m": 70_426_624,
        "160m": 162_322_944,
        "410m": 405_334_016,
        "1b": 1_011_781_632,
        "1.4b": 1_414_647_808,
        "2.8b": 2_775_208_960,
        "6.9b": 6_857_302_016,
        "12b": 11_846_072_320,
    }
    assert {run.model.removeprefix("pythia-"): PYTHIA.n_params_total(run) for run in PYTHIA.runs} == printed


def test_both_texts_have_all_ten_sizes():
    deduped = catalogue.HUB_FAMILIES["pythia-deduped"]
    assert [run.model for run in deduped.runs] == [f"{run.model}-deduped" for run in PYTHIA.runs]


def test_polypythias_are_51_runs_with_their_seeds():
    runs = {run.name: run for run in catalogue.HUB_FAMILIES["polypythias"].runs}
    assert len(runs) == 5 * 9 + 6
    assert (runs["pythia-410m-seed3"].repository, runs["pythia-410m-seed3"].train_seed) == (
        "EleutherAI/pythia-410m-seed3",
        3,
    )
    assert runs["pythia-160m-data-seed1"].train_seed is None
    assert {run.model for run in runs.values()} == {
        "pythia-14m",
        "pythia-31m",
        "pythia-70m",
        "pythia-160m",
        "pythia-410m",
    }
    assert {run.train_seed for run in PYTHIA.runs} == {1234, None}
