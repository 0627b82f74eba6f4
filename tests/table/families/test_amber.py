import pytest
from tests.table.families.counted import n_params, settings_of
from transformers import LlamaConfig

from helpers.table.families import catalogue

AMBER = catalogue.HUB_FAMILIES["amber"]
(RUN,) = AMBER.runs


def test_parameters_are_those_of_transformers_and_of_the_card():
    counted = AMBER.n_params_total(RUN)
    assert n_params(LlamaConfig(**settings_of(RUN))) == (counted, AMBER.n_params_non_embedding(RUN))
    assert counted == pytest.approx(6.7e9, rel=0.01)


def test_revisions_count_parts_of_the_text():
    specs = list(AMBER.checkpoints())
    assert [specs[part].revision for part in (0, 10, 358)] == ["ckpt_000", "ckpt_010", "ckpt_358"]
    assert specs[0].tokens_seen == pytest.approx(1_706_976 * 2048, rel=1e-4)


def test_the_parts_together_are_the_readmes_tokens():
    assert RUN.planned_tokens == pytest.approx(1259.13e9, rel=1e-3)


def test_the_rate_ends_near_a_tenth():
    assert AMBER.checkpoint(RUN, RUN.steps[0]).lr_phase == "warmup"
    assert AMBER.checkpoint(RUN, RUN.steps[-1]).lr_fraction == pytest.approx(0.1, abs=1e-4)
