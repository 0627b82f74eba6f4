"""The rule for points off a run's curve: planted ones are found, and only these."""

import math
import random

import pytest

from helpers.measure.auditing.trajectories import off_curve

STEPS = (0, *(2**k for k in range(10)), *range(1000, 30000, 1000))


def loss(step: int) -> float:
    """A curve like a run's loss over its steps, with the drop that a cooldown makes at its end."""
    return 2.5 + 8.0 / (1 + step / 60) ** 0.5 - (0.15 * max(0, step - 24000) / 6000)


def test_a_smooth_curve_with_a_cooldown_has_no_point_off_it():
    assert off_curve({step: loss(step) for step in STEPS}, 0.05) == {}


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_not_accused_and_planted_points_are(seed):
    draws = random.Random(seed)
    curve = {step: loss(step) + draws.gauss(0, 0.003) for step in STEPS}
    assert off_curve(curve, 0.05) == {}
    steps = draws.sample(STEPS[7:-8:3], 3)  # earlier ones are too near step 0
    planted = {step: loss(draws.choice((0, 29000)) if step < 2000 else 0) for step in steps}  # of another step
    found = off_curve(curve | planted, 0.05)
    assert {*found} == {*planted}
    for step in planted:
        assert (found[step] > 0) == (planted[step] > curve[step])


def test_the_end_of_training_served_at_an_early_step_is_off_the_curve():
    curve = {step: loss(step) for step in STEPS} | {64: loss(29000)}
    assert [*off_curve(curve, 0.05)] == [64]


def test_a_point_off_by_less_than_the_least_distance_is_left():
    curve = dict.fromkeys(STEPS, 1.0) | {64: 1.04}
    assert off_curve(curve, 0.05) == {}
    assert [*off_curve(curve, 0.03)] == [64]


def test_what_is_too_short_or_not_a_number_is_not_judged():
    assert off_curve({0: 1.0, 1: 9.0, 2: 1.0, 4: 1.0, 8: 1.0}, 0.1) == {}
    assert off_curve(dict.fromkeys(STEPS, math.nan), 0.1) == {}
