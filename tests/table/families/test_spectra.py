import pytest
from tests.table.families.counted import n_params, settings_of
from transformers import LlamaConfig

from helpers.table.families import catalogue

KINDS = [catalogue.HUB_FAMILIES[name] for name in ("floatlm", "trilm")]
PRINTED = (
    99.74e6,
    190.0e6,
    392.4e6,
    569.2e6,
    834.0e6,
    1.149e9,
    1.515e9,
    2.461e9,
    3.989e9,
)  # README.md of SpectraSuite, where 190.5M stands as 190.0


@pytest.mark.parametrize("family", KINDS, ids=lambda family: family.name)
def test_parameters_are_the_readmes(family):
    assert len(family.runs) == len(PRINTED)
    for run, printed in zip(family.runs, PRINTED, strict=True):
        assert family.n_params_total(run) == pytest.approx(printed, rel=3e-3)


def test_parameters_are_those_of_transformers():
    (family, _) = KINDS
    run = family.runs[3]
    counted = (family.n_params_total(run), family.n_params_non_embedding(run))
    assert n_params(LlamaConfig(**settings_of(run))) == counted


def test_an_end_has_its_tokens_and_no_step():
    for family, name in zip(KINDS, ("FloatLM_99M", "TriLM_99M_Unpacked"), strict=True):
        spec = next(family.checkpoints())
        assert (spec.location, spec.revision, spec.step) == (f"SpectraSuite/{name}", "main", None)
        assert (spec.tokens_seen, spec.learning_rate, spec.schedule) == (300_000_000_000, None, None)
        assert spec.label == spec.run
