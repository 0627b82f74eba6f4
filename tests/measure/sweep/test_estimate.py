"""Passes and the time they are expected to take."""

import pytest

from helpers.measure.sweep.estimate import CALIBRATED, SCORED, Passes, in_words


def test_time_is_passes_times_what_each_costs():
    assert Passes(10, 20).seconds(2.0) == pytest.approx(2 * (10 * CALIBRATED + 20 * SCORED))


def test_the_share_that_is_done_rises_from_nothing_to_all_and_calibration_comes_first():
    passes = Passes(10, 20)
    shares = [passes.share_done(n) for n in range(31)]
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)
    assert shares == sorted(shares)
    assert shares[10] == pytest.approx(10 * CALIBRATED / (10 * CALIBRATED + 20 * SCORED))
    assert passes.share_done(99) == pytest.approx(1)
    assert Passes(0, 0).share_done(0) == 0


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (40.4, "40 s"), (720, "12 min"), (7200, "2.0 h")])
def test_a_time_is_said_as_a_person_reads_it(seconds, words):
    assert in_words(seconds) == words
