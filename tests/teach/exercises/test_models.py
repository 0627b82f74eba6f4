"""What exercises about other people's models expect."""

import pytest

from helpers.teach.exercises import models


def test_the_outside_model_loses_more_by_rounding_to_nearest_on_code():
    assert models.outside_qid("rtn", "wheels-heldout") > models.outside_qid("gptq", "wheels-heldout") > 0


def test_larger_groups_cost_more():
    assert models.default_answer(128) > models.default_answer(32) == pytest.approx(models.default_answer(32.0))
