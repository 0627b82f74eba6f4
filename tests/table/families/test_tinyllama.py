import pytest
from tests.table.families.counted import n_params, settings_of
from transformers import LlamaConfig

from helpers.table.families import catalogue

TINYLLAMA = catalogue.HUB_FAMILIES["tinyllama"]
(RUN,) = TINYLLAMA.runs


def test_parameters_are_those_of_transformers_and_of_the_files():
    """The last repository's model.safetensors has 4,400,216,536 bytes of float32 and a header."""
    counted = TINYLLAMA.n_params_total(RUN)
    assert n_params(LlamaConfig(**settings_of(RUN))) == (counted, TINYLLAMA.n_params_non_embedding(RUN))
    assert 0 < 4_400_216_536 - 4 * counted < 100_000


def test_each_step_is_a_repository_and_all_are_one_run():
    specs = list(TINYLLAMA.checkpoints())
    assert {spec.run for spec in specs} == {"TinyLlama-1.1B"}
    assert len({spec.location for spec in specs}) == len(specs) == 7
    assert {spec.revision for spec in specs} == {"main"}


@pytest.mark.parametrize(("step", "billions"), [(50_000, 105), (240_000, 503), (955_000, 2003), (1_430_512, 3000)])
def test_tokens_are_those_that_the_names_round(step, billions):
    assert TINYLLAMA.checkpoint(RUN, step).tokens_seen / 1e9 == pytest.approx(billions, abs=0.5)


def test_the_last_step_is_at_a_tenth_of_the_peak():
    assert TINYLLAMA.checkpoint(RUN, 1_430_512).learning_rate == pytest.approx(4e-5)
