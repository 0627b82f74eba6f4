import dataclasses

import pytest
from tests.table.families.counted import TINY, linear_layers, n_params, settings_of
from transformers import LlamaConfig

from helpers.table.families import catalogue

SMOLLM2 = catalogue.HUB_FAMILIES["smollm2"]
RUNS = {run.model: run for run in SMOLLM2.runs}
# Parameters that others counted in published weights: github.com/aiming-lab/AutoResearchClaw for 360M (its checkpoints
# between, 361,821,120), the cards of SmolLM2 on the Hub for the rounded others.
COUNTED = {"SmolLM2-135M": 135e6, "SmolLM2-360M": 361_821_120, "SmolLM2-1.7B": 1.71e9}


@pytest.mark.parametrize("model", RUNS)
def test_parameters_are_those_of_transformers(model):
    run = RUNS[model]
    assert n_params(LlamaConfig(**settings_of(run))) == (
        SMOLLM2.n_params_total(run),
        SMOLLM2.n_params_non_embedding(run),
    )
    assert SMOLLM2.n_params_total(run) == pytest.approx(COUNTED[model], rel=0.005)


@pytest.mark.parametrize("changes", [{}, {"n_key_value_heads": 6}])
def test_linear_layers_are_those_of_a_small_model(changes):
    run = dataclasses.replace(RUNS["SmolLM2-135M"], **TINY | changes)
    assert SMOLLM2.linear_shapes(run) == linear_layers(LlamaConfig(**settings_of(run)))


def test_a_tied_head_counts_once_in_all_and_never_in_n():
    tied = dataclasses.replace(RUNS["SmolLM2-135M"], **TINY)
    untied = dataclasses.replace(tied, tied=False)
    assert SMOLLM2.n_params_non_embedding(tied) == SMOLLM2.n_params_non_embedding(untied)
    assert SMOLLM2.n_params_total(untied) - SMOLLM2.n_params_total(tied) == 96 * 24


def test_revisions_and_tokens_are_those_of_the_cards():
    first = [SMOLLM2.checkpoint(run, run.steps[0]) for run in SMOLLM2.runs]
    assert [spec.revision for spec in first] == ["step-240000", "step-160000", "step-125000"]
    assert [spec.tokens_seen // spec.step for spec in first] == [1_048_576, 1_572_864, 2_097_152]
    last = SMOLLM2.checkpoint(RUNS["SmolLM2-360M"], 2_560_000)
    assert (last.location, last.tokens_seen) == (
        "HuggingFaceTB/SmolLM2-360M-intermediate-checkpoints",
        4_026_531_840_000,
    )


def test_the_rate_is_constant_until_its_last_fifth():
    specs = {spec.step: spec for spec in SMOLLM2.checkpoints() if spec.model == "SmolLM2-135M"}
    assert {step for step, spec in specs.items() if spec.lr_phase == "decay"} == {1_680_000, 1_920_000}
    assert {spec.lr_fraction for spec in specs.values() if spec.lr_phase == "stable"} == {1.0}
    assert specs[1_920_000].learning_rate == pytest.approx(3e-3 / 5)
