"""Assignments of units to low precision: by hand, and against every assignment there is."""

import numpy as np
import pytest

from helpers.measure.mixed import assignments
from helpers.measure.mixed.assignments import Units
from helpers.table.errors import QuantizationError, SpecError

SIZES = {f"{block}.{name}": n for block in range(2) for name, n in (("qkv", 3), ("dense", 1), ("up", 4), ("down", 4))}
LAYERS, MATMULS = Units.of("layer", SIZES), Units.of("matmul", SIZES)


def test_units_of_two_blocks_by_hand():
    assert LAYERS.members == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert LAYERS.n_params == (12, 12)
    assert MATMULS.members == tuple((i,) for i in range(8))
    assert LAYERS.digits(np.array([False, True])) == "00001111"
    assert LAYERS.ratio(np.array([False, True])) == 0.5
    assert MATMULS.kept("11110111") == ("1.qkv",)
    assert LAYERS.kept("00000000") == tuple(sorted(SIZES))


def test_an_unknown_granularity_is_refused():
    with pytest.raises(SpecError, match="granularity 'head'; accepted: layer, matmul"):
        Units.of("head", SIZES)


@pytest.mark.parametrize("target", [-0.1, 1.01, float("nan")])
@pytest.mark.parametrize(
    "choose",
    [
        lambda target: assignments.drawn(MATMULS, target, 5, np.random.default_rng(0)),
        lambda target: assignments.greedy(MATMULS, np.ones(8), target),
        lambda target: assignments.cheapest(MATMULS, np.ones(8), target),
    ],
)
def test_a_ratio_outside_zero_to_one_is_refused(choose, target):
    with pytest.raises(SpecError, match="quantization ratio .*; accepted: 0 to 1"):
        choose(target)


@pytest.mark.parametrize("target", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_drawn_assignments_differ_meet_the_target_and_need_their_last_unit(target):
    drawn = assignments.drawn(MATMULS, target, 30, np.random.default_rng(1))
    assert len({low.tobytes() for low in drawn}) == len(drawn)
    for low in drawn:
        assert MATMULS.meets(low, target)
        lightest = min((MATMULS.n_params[unit] for unit in np.flatnonzero(low)), default=0)
        heaviest = max((MATMULS.n_params[unit] for unit in np.flatnonzero(low)), default=0)
        assert MATMULS.ratio(low) - heaviest / 24 < target or target == 0
        assert lightest >= 0


def test_a_small_space_gives_what_it_has():
    assert len(assignments.drawn(LAYERS, 0.5, 50, np.random.default_rng(0))) == 2
    assert len(assignments.drawn(LAYERS, 1.0, 50, np.random.default_rng(0))) == 1


def test_the_same_generator_draws_the_same():
    first, second = (assignments.drawn(MATMULS, 0.5, 10, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("seed", range(30))
def test_the_integer_programme_finds_the_least_of_all_assignments(seed):
    """Costs may be negative: a unit whose rounding helps. The optimum is compared by cost, which is exact to 1e-9."""
    generator = np.random.default_rng(seed)
    costs, target = generator.normal(1, 1, 8) * 1e-3, generator.uniform(0, 1)
    best = min(float(np.dot(low, costs)) for low in assignments.every(MATMULS) if MATMULS.meets(low, target))
    found = assignments.cheapest(MATMULS, costs, target)
    assert MATMULS.meets(found, target)
    assert np.dot(found, costs) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_greedy_meets_the_target_is_never_better_than_the_optimum_and_needs_all_it_takes(seed):
    generator = np.random.default_rng(seed)
    costs, target = generator.uniform(0.1, 1, 8), generator.uniform(0.1, 1)
    found = assignments.greedy(MATMULS, costs, target)
    assert MATMULS.meets(found, target)
    assert np.dot(found, costs) >= np.dot(assignments.cheapest(MATMULS, costs, target), costs) - 1e-9
    for unit in np.flatnonzero(found):
        without = found.copy()
        without[unit] = False
        assert not MATMULS.meets(without, target)


def test_greedy_takes_the_cheapest_parameter_first_by_hand():
    """Cost a parameter: qkv 1, dense 2, up 0.25, down 0.5; half of 24 is up + up + down or up + down + down."""
    costs = [3, 2, 1, 2] * 2
    low = assignments.greedy(MATMULS, costs, 0.5)
    assert MATMULS.digits(low) == "00110010"


def test_every_assignment_of_two_layers():
    assert [LAYERS.digits(low) for low in assignments.every(LAYERS)] == ["0" * 8, "00001111", "11110000", "1" * 8]


@pytest.mark.parametrize("choose", [assignments.greedy, assignments.cheapest])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_cost_that_is_no_number_is_refused(choose, value):
    costs = np.array([1.0, value, 1, 1, value, 1, 1, 1])
    with pytest.raises(QuantizationError, match="2 of 8 units have a cost that isn't a number when they alone are low"):
        choose(MATMULS, costs, 0.5)
