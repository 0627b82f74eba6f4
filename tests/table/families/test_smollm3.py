import dataclasses

import pytest
from tests.table.families.counted import TINY, linear_layers, n_params, settings_of
from transformers import SmolLM3Config

from helpers.table.families import catalogue

SMOLLM3 = catalogue.HUB_FAMILIES["smollm3"]
(RUN,) = SMOLLM3.runs


def test_parameters_are_those_of_transformers_and_the_announced_3_billion():
    counted = SMOLLM3.n_params_total(RUN)
    assert n_params(SmolLM3Config(**settings_of(RUN))) == (counted, SMOLLM3.n_params_non_embedding(RUN))
    assert counted == pytest.approx(3.08e9, rel=0.005)


def test_linear_layers_are_those_of_a_small_model():
    run = dataclasses.replace(RUN, **TINY)
    assert SMOLLM3.linear_shapes(run) == linear_layers(SmolLM3Config(**settings_of(run)))


def test_stages_have_as_many_checkpoints_as_the_card_says():
    names = [spec.revision for spec in SMOLLM3.checkpoints()]
    assert [sum(name.startswith(f"stage{stage}-") for name in names) for stage in (1, 2, 3)] == [86, 19, 13]
    for name in ("stage1-step-3440000", "stage2-step-3480000", "stage2-step-4200000", "stage3-step-4240000"):
        assert name in names


def test_tokens_are_the_cards():
    assert SMOLLM3.checkpoint(RUN, 40_000).tokens_seen == 40_000 * 2_359_296


def test_the_rate_falls_linearly_to_zero_in_the_last_stage():
    specs = {spec.step: spec for spec in SMOLLM3.checkpoints()}
    assert specs[4_160_000].lr_fraction == 1.0
    assert {step for step, spec in specs.items() if spec.lr_phase == "decay"} == {*range(4_200_000, 4_720_001, 40_000)}
    assert specs[4_720_000].lr_fraction == pytest.approx(0, abs=1e-5)
