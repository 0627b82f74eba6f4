import pytest
from tests.table.families.counted import n_params, settings_of
from transformers import LlamaConfig

from helpers.table.families import catalogue

PRINTED = {"llama-2": 6.74e9, "llama-3": 8.03e9}  # of the repositories' pages on the Hub


@pytest.mark.parametrize("name", PRINTED)
def test_parameters_are_those_of_transformers_and_of_the_hub(name):
    family = catalogue.HUB_FAMILIES[name]
    (run,) = family.runs
    counted = (family.n_params_total(run), family.n_params_non_embedding(run))
    assert n_params(LlamaConfig(**settings_of(run))) == counted
    assert counted[0] == pytest.approx(PRINTED[name], rel=1e-3)


def test_an_end_has_its_tokens_and_no_step():
    found = [next(catalogue.HUB_FAMILIES[name].checkpoints()) for name in PRINTED]
    assert [spec.tokens_seen for spec in found] == [2 * 10**12, 15 * 10**12]
    assert [(spec.step, spec.revision, spec.schedule) for spec in found] == [(None, "main", None)] * 2
    assert found[0].n_params_non_embedding / found[1].n_params_non_embedding == pytest.approx(0.93, abs=0.01)
