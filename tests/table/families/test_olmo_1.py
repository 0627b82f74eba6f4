import dataclasses

import pytest
from tests.table.families.counted import TINY, linear_layers, n_params, settings_of
from transformers import OlmoConfig

from helpers.table.families import catalogue

OLMO_1 = catalogue.HUB_FAMILIES["olmo-1"]
(RUN,) = OLMO_1.runs


def test_parameters_are_those_of_transformers():
    assert n_params(OlmoConfig(**settings_of(RUN))) == (OLMO_1.n_params_total(RUN), OLMO_1.n_params_non_embedding(RUN))


def test_linear_layers_are_those_of_a_small_model():
    run = dataclasses.replace(RUN, **TINY)
    assert OLMO_1.linear_shapes(run) == linear_layers(OlmoConfig(**settings_of(run)))


@pytest.mark.parametrize(
    ("step", "revision"),
    [(1000, "step1000-tokens4B"), (330_000, "step330000-tokens1383B"), (738_020, "step738020-tokens3094B")],
)
def test_revisions_are_named_as_on_the_hub(step, revision):
    assert OLMO_1.checkpoint(RUN, step).revision == revision


def test_names_count_tokens_as_the_batch_does_within_a_thousandth():
    for spec in OLMO_1.checkpoints():
        named = float(spec.revision.rpartition("-tokens")[2].removesuffix("B"))
        assert 0 <= spec.tokens_seen / 1e9 - named < max(1, named / 1000) + 1


def test_the_end_is_near_a_tenth_of_the_peak():
    spec = OLMO_1.checkpoint(RUN, 738_020)
    assert spec.lr_fraction == pytest.approx(0.1, abs=1e-4)
    assert OLMO_1.checkpoint(RUN, 1000).lr_fraction == 0.5
