import pytest

from helpers.table.families.schedules import cosine_phase, cosine_rate, trapezoid_phase, trapezoid_rate


def test_a_cosine_rises_to_the_peak_and_falls_to_a_tenth():
    rates = [cosine_rate(2.0, at, warmup=10, end=110) for at in (0, 5, 10, 60, 110)]
    assert rates == pytest.approx([0.0, 1.0, 2.0, 1.1, 0.2])
    assert [cosine_phase(at, 10) for at in (5, 10, 11)] == ["warmup", "warmup", "decay"]


def test_a_trapezoid_rises_stays_and_falls_to_zero():
    rates = [trapezoid_rate(2.0, at, warmup=10, decay_from=80, end=100) for at in (0, 5, 10, 80, 95, 100)]
    assert rates == pytest.approx([0.0, 1.0, 2.0, 2.0, 0.5, 0.0])
    assert [trapezoid_phase(at, 10, 80) for at in (10, 11, 80, 81)] == ["warmup", "stable", "stable", "decay"]


def test_an_unknown_peak_is_an_unknown_rate():
    assert cosine_rate(None, 5, 10, 110) is None
    assert trapezoid_rate(None, 5, 10, 80, 100) is None
