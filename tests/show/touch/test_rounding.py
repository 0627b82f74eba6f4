"""What the grid and GPTQ of the page begin with."""

import numpy as np
import pytest

from helpers.show.touch import rounding

WEIGHTS = np.array([[0.4, 0.1, -0.5, 0.25], [-0.2, 1.0, 0.7, -0.8]], np.float32)


def test_weights_are_carried_as_they_are_written():
    assert rounding.grid(WEIGHTS).data["weights"] == [0.4, 0.1, -0.5, 0.25, -0.2, 1.0, 0.7, -0.8]
    assert rounding.gptq(WEIGHTS, np.eye(4)).data["weights"][0] == [0.4, 0.1, -0.5, 0.25]


def test_the_hessian_is_the_mean_of_the_inputs_products():
    inputs = np.array([[1.0, 1.0, 0.0, 0.0], [2.0, 1.0, 1.0, 0.0]])
    assert rounding.gptq(WEIGHTS, inputs).data["hessian"][0] == [2.5, 1.5, 1.0, 0.0]


@pytest.mark.parametrize("weights", [[0.1] * 7, [1.1] * 8])
def test_weights_that_the_sliders_do_not_hold_are_refused(weights):
    with pytest.raises(ValueError, match="accepted: a multiple of 8, each between -1 and 1"):
        rounding.grid(weights)
