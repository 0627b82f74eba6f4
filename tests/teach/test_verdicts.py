"""A verdict tells right from wrong at the edge of its tolerance, names known mistakes, and never gives the answer away."""

import dataclasses

import numpy as np
import pytest

from helpers.teach.verdicts import WIDTH, Exercise, Slip, judge

EXERCISE = Exercise(
    "9.9", "the answer, no unit", lambda: 2.0, 0.01, "so we say", "Think.", (Slip(lambda: 3.0, "Three."),)
)


@pytest.mark.parametrize("answer", [2, 2.0, 1.9801, 2.0199, np.float32(2), np.array(2.0)])
def test_what_is_within_the_tolerance_is_right(answer):
    assert judge(EXERCISE, answer).right is True


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (1.97, "too low. Think."),
        (2.03, "too high. Think."),
        (3.0, "Three."),
        (-2.0, "the sign isn't"),
        (200.0, "factor of a hundred"),
        (0.02, "factor of a hundred"),
        (float("nan"), "no finite number"),
        (True, "a bool"),
        ("2", "a str"),
        ([2.0], "a list"),
        (np.array([2.0, 2.0]), "a ndarray of shape (2,)"),
    ],
)
def test_what_is_wrong_is_told_why(answer, word):
    verdict = judge(EXERCISE, answer)
    assert verdict.right is False
    assert word in verdict.text


def test_no_answer_is_neither():
    verdict = judge(EXERCISE, None)
    assert verdict.right is None
    assert "waits for the answer, no unit" in verdict.text
    assert "within 1%: so we say" in verdict.text


def test_a_count_is_exact():
    exact = dataclasses.replace(EXERCISE, tolerance=0.0, slips=())
    assert judge(exact, 2).right is True
    assert judge(exact, 2.001).right is False
    assert "exactly" in judge(exact, 2.001).text


def test_a_verdict_is_shown_in_lines_that_fit_a_page():
    verdict = judge(dataclasses.replace(EXERCISE, hint="long " * 60), 1.0)
    assert max(map(len, repr(verdict).splitlines())) <= WIDTH
    assert verdict._repr_markdown_() == verdict.text


def test_a_wrong_answer_is_not_told_the_right_one():
    odd = dataclasses.replace(EXERCISE, expected=lambda: 1.2345)
    assert "1.23" not in judge(odd, 7.0).text
