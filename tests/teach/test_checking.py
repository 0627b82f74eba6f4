"""Every check takes its right answer, refuses wrong ones with a hint, and its mistakes are told apart from the answer."""

import pytest

from helpers.table.errors import AnalysisError
from helpers.teach.checking import EVERY, check


@pytest.mark.parametrize("number", EVERY)
def test_the_right_answer_is_right(number):
    exercise = EVERY[number]
    right = exercise.expected()
    assert check(number, right).right is True
    assert check(number, right * (1 + 0.9 * exercise.tolerance)).right is True


@pytest.mark.parametrize("number", EVERY)
def test_wrong_answers_are_wrong(number):
    exercise = EVERY[number]
    right = exercise.expected()
    for wrong in (right * (1 + 1.1 * exercise.tolerance) + 1e-9, 1.5 * right, -right):
        assert check(number, wrong).right is False
    assert exercise.hint in check(number, 1.5 * right).text


@pytest.mark.parametrize(("number", "place"), [(n, i) for n, each in EVERY.items() for i in range(len(each.slips))])
def test_a_known_mistake_is_named(number, place):
    slip = EVERY[number].slips[place]
    verdict = check(number, slip.answer())
    assert verdict.right is False
    assert slip.hint in verdict.text


def test_no_answer_waits():
    assert check("4.5", None).right is None


def test_an_unknown_exercise_is_refused():
    with pytest.raises(AnalysisError, match=r"no exercise '4.99' has a check; accepted: 1.5, 2.5"):
        check("4.99", 1.0)


def test_every_exercise_says_what_it_asks_and_why_its_tolerance():
    for exercise in EVERY.values():
        assert "unit" in exercise.asked or "nats" in exercise.asked or "share" in exercise.asked, exercise.number
        assert 0 <= exercise.tolerance <= 0.05, exercise.number
        assert exercise.reason, exercise.number
        assert exercise.hint.endswith("."), exercise.number
