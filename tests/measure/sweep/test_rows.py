"""What a row says of a score that isn't a number, and of a draw of noise."""

import math

import pytest

from helpers.measure.rounding.rounded import Rounded
from helpers.measure.scoring.evaluate import Evaluation
from helpers.measure.sweep import rows
from helpers.measure.sweep.rows import Outcome
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

REACH = "; numbers beyond 65,504 are infinite in tfloat32, not in float32 and bfloat16"


@pytest.mark.parametrize("of_document", [math.nan, math.inf])
@pytest.mark.parametrize(("dtype", "reach"), [("float32", ""), ("bfloat16", ""), ("tfloat32", REACH)])
def test_a_loss_that_is_no_number_is_a_reason_and_no_score(of_document, dtype, reach):
    """One document's is enough, whatever the mean says."""
    evaluation = Evaluation(3.0, 1.0, (2.0, of_document), 64, 4, 0.25)
    outcome = Outcome.of(Rounded({}, Diagnostics(n_dead_columns=1)), evaluation, dtype)
    assert outcome == Outcome("nonfinite", f"nonfinite loss{reach}", None, Diagnostics(n_dead_columns=1))


def test_a_draw_of_noise_keeps_every_score_but_the_losses_by_document():
    evaluation = Evaluation(3.0, 1.0, (2.0, 4.0), 64, 4, 0.25, 0.5, 0.75)
    rounded = rows._scores(evaluation, QuantScheme("rtn", 4, 16, False))
    drawn = rows._scores(evaluation, QuantScheme("gaussian_noise", 4, 16, False, noise_seed=0))
    assert rounded["group_loss"] == (2.0, 4.0)
    assert drawn == rounded | {"group_loss": None}
