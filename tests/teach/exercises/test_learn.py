"""What exercises of chapters 1 to 4 expect agrees with the package's own grids and with plain arithmetic."""

import numpy as np
import pytest
import torch

from helpers.measure.rounding import grids
from helpers.teach import data
from helpers.teach.exercises import learn


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_small_rounding_is_the_packages_own(bits):
    weights = learn.exercise_matrix()
    theirs = grids.round_to_grid(torch.tensor(weights), bits, False, None).numpy()
    assert learn.nearest_rms(weights, bits) == pytest.approx(np.sqrt(np.mean((weights - theirs) ** 2)), rel=1e-12)


def test_a_matrix_on_its_grid_loses_nothing():
    assert learn.nearest_rms(np.array([[0.0, 1.0, 2.0, 3.0]]), 2) == 0


def test_every_size_has_one_last_checkpoint():
    last = learn.last_checkpoints()
    assert len(last) == last["model"].nunique() == 9
    assert set(last["tokens_seen"]) == {953548800}


def test_the_slope_is_that_of_a_planted_line():
    rows = data.late().assign(qid_nats=lambda table: 1e-3 * (table["tokens_seen"] / 1e6) ** 0.7)
    assert learn.slope_of_smallest(rows) == pytest.approx(0.7)
