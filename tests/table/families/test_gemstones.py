import dataclasses

import pytest
from tests.table.families.counted import TINY, linear_layers, n_params, settings_of
from transformers import GemmaConfig

from helpers.table.families import catalogue

GEMSTONES = catalogue.HUB_FAMILIES["gemstones"]
RUNS = {run.name: run for run in GEMSTONES.runs}
# Parameters as public scripts on the suite round them
ROUNDED = {"256x23": 48e6, "384x13": 67e6, "512x16": 115e6, "768x3": 100e6, "1280x15": 500e6, "2560x8": 1e9}


@pytest.mark.parametrize("shape", ROUNDED)
def test_parameters_are_those_of_transformers_and_the_suites(shape):
    run = RUNS[f"Gemstone-{shape}"]
    config = GemmaConfig(**settings_of(run), head_dim=128)
    assert n_params(config) == (GEMSTONES.n_params_total(run), GEMSTONES.n_params_non_embedding(run))
    assert GEMSTONES.n_params_total(run) == pytest.approx(ROUNDED[shape], rel=0.1)


def test_linear_layers_are_those_of_a_small_model():
    run = dataclasses.replace(RUNS["Gemstone-256x23"], **TINY)
    assert GEMSTONES.linear_shapes(run) == linear_layers(GemmaConfig(**settings_of(run), head_dim=4))


def test_22_shapes_each_at_two_rates_and_cooled():
    assert len({run.model for run in GEMSTONES.runs}) == 22
    assert len(GEMSTONES.runs) == 22 * 4
    assert len(list(GEMSTONES.checkpoints())) > 4000, "what the paper says"


@pytest.mark.parametrize(
    ("run", "step", "location", "revision"),
    [
        ("Gemstone-1792x18", 47_700, "Gemstone-1792x18", "step_00047700"),
        ("Gemstone-3072x12", 83_475, "Gemstone-3072x12", "main"),
        ("Gemstone-512x16_lr_ablation", 2385, "Gemstone-512x16_lr_ablation", "step_00002385"),
        ("Gemstone-256x23_cooldown_2385", 2622, "Gemstone-256x23_cooldown", "step_00002385_cooldown_00002622"),
        ("Gemstone-256x23_cooldown_21465", 23_603, "Gemstone-256x23_cooldown", "main"),
    ],
)
def test_revisions_are_named_as_on_the_hub(run, step, location, revision):
    assert step in RUNS[run].steps
    spec = GEMSTONES.checkpoint(RUNS[run], step)
    assert (spec.location, spec.revision) == (f"tomg-group-umd/{location}", revision)


def test_a_cooldown_goes_on_from_the_stable_phase_and_ends_at_zero():
    spec = GEMSTONES.checkpoint(RUNS["Gemstone-256x23_cooldown_21465"], 23_603)
    assert (spec.branched_from, spec.branched_at_step, spec.schedule) == ("Gemstone-256x23", 21_465, "cooldown")
    assert (spec.learning_rate, spec.lr_phase) == (0.0, "decay")
    assert spec.tokens_seen == pytest.approx(99e9, rel=1e-4)
    before = GEMSTONES.checkpoint(RUNS["Gemstone-256x23"], 21_465)
    assert (before.learning_rate, before.lr_phase, before.schedule) == (None, "stable", "constant")
    assert before.tokens_seen == pytest.approx(90e9, rel=1e-3)
