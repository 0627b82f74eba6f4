import dataclasses

import pytest
from tests.table.families.counted import TINY, linear_layers, n_params, settings_of
from transformers import Olmo2Config

from helpers.table.families import catalogue

OLMO_2 = catalogue.HUB_FAMILIES["olmo-2"]
RUNS = {run.name: run for run in OLMO_2.runs}
STAGE_1 = [name for name, run in RUNS.items() if run.branched_from is None]


@pytest.mark.parametrize("name", STAGE_1)
def test_parameters_are_those_of_transformers(name):
    run = RUNS[name]
    assert n_params(Olmo2Config(**settings_of(run))) == (OLMO_2.n_params_total(run), OLMO_2.n_params_non_embedding(run))


@pytest.mark.parametrize("changes", [{}, {"n_key_value_heads": 6}])
def test_linear_layers_are_those_of_a_small_model(changes):
    run = dataclasses.replace(RUNS["OLMo-2-0425-1B"], **TINY | changes)
    assert OLMO_2.linear_shapes(run) == linear_layers(Olmo2Config(**settings_of(run)))


@pytest.mark.parametrize(
    ("name", "step", "revision"),
    [
        ("OLMo-2-0425-1B", 300, "stage1-step300-tokens1B"),
        ("OLMo-2-0425-1B", 10_000, "stage1-step10000-tokens21B"),
        ("OLMo-2-0425-1B", 950_000, "stage1-step950000-tokens1993B"),
        ("OLMo-2-0425-1B", 1_907_359, "stage1-step1907359-tokens4001B"),
        ("OLMo-2-1124-7B", 928_646, "stage1-step928646-tokens3896B"),
        ("OLMo-2-1124-13B", 239_000, "stage1-step239000-tokens2005B"),
        ("OLMo-2-1124-13B", 596_057, "stage1-step596057-tokens5001B"),
        ("OLMo-2-0325-32B", 289_000, "stage1-step289000-tokens2425B"),
        ("OLMo-2-0325-32B", 721_901, "stage1-step721901-tokens6056B"),
        ("OLMo-2-0425-1B-ingredient1", 1_907_359 + 2000, "stage2-ingredient1-step2000-tokens5B"),
        ("OLMo-2-0425-1B-ingredient3", 1_907_359 + 11_000, "stage2-ingredient3-step11000-tokens24B"),
        ("OLMo-2-0425-1B-ingredient3", 1_907_359 + 23_852, "stage2-ingredient3-step23852-tokens51B"),
    ],
)
def test_revisions_are_named_as_on_the_hub(name, step, revision):
    """Names as public scripts and papers use them."""
    assert step in RUNS[name].steps
    assert OLMO_2.checkpoint(RUNS[name], step).revision == revision


@pytest.mark.parametrize(
    ("name", "rate", "within"),
    # Where stage 2's YAML starts, which is where stage 1 ended. That of 7B has 0.24% more than its own stage 1 leaves.
    [("OLMo-2-0425-1B", 7.4487e-5, 1e-5), ("OLMo-2-1124-7B", 6.1499e-5, 3e-3)],
)
def test_the_cosine_ends_where_stage_2_starts(name, rate, within):
    assert OLMO_2.learning_rate(RUNS[name], RUNS[name].steps[-1]) == pytest.approx(rate, rel=within)


def test_the_rates_of_13b_are_unknown_and_its_phases_known():
    specs = [spec for spec in OLMO_2.checkpoints() if spec.model == "OLMo-2-1124-13B"]
    assert {(spec.learning_rate, spec.peak_learning_rate, spec.lr_fraction) for spec in specs} == {(None, None, None)}
    assert {spec.step for spec in specs if spec.lr_phase == "warmup"} == {0, 1000}
    assert {spec.weight_decay for spec in specs} == {0.1}


def test_stage_2_goes_on_from_stage_1_and_ends_at_zero():
    specs = [spec for spec in OLMO_2.checkpoints() if spec.run == "OLMo-2-0425-1B-ingredient2"]
    assert {(spec.branched_from, spec.branched_at_step, spec.schedule) for spec in specs} == {
        ("OLMo-2-0425-1B", 1_907_359, "cooldown")
    }
    assert specs[0].learning_rate == pytest.approx(7.4487e-5 * (1 - 1000 / 23_842), rel=1e-4)
    assert (specs[-1].learning_rate, specs[-1].lr_phase) == (0.0, "decay")
    assert specs[0].tokens_seen == (1_907_359 + 1000) * 2_097_152
