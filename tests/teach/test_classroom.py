"""A blank waits, the right numbers are right, and a wrong one is named by its place."""

import numpy as np
import pytest
import torch

from helpers.teach.classroom import TOLERANCE, compare

OURS = torch.tensor([[1.0, 2.0], [3.0, -4.0]])


def test_a_blank_waits():
    verdict = compare("the codes", None, OURS)
    assert verdict.right is None
    assert verdict.text == "A blank: the codes, 2 x 2 numbers."


@pytest.mark.parametrize("yours", [OURS, OURS.tolist(), OURS.numpy() + 3.9 * TOLERANCE])
def test_equal_numbers_are_right(yours):
    assert compare("the codes", yours, OURS).right is True


@pytest.mark.parametrize(
    ("yours", "word"),
    [
        (OURS + torch.tensor([[0.0, 0.0], [0.0, 0.1]]), "1 of 4 differ. First in place (2, 2), counted from 1. Think."),
        (OURS.numpy() + 4.1 * TOLERANCE, "4 of 4 differ"),
        (np.full((2, 2), np.nan), "4 of 4 differ"),
        (OURS.flatten(), "you have 4 numbers; accepted: 2 x 2 numbers"),
        (1.0, "you have one number"),
        ("codes", "that is a str"),
    ],
)
def test_other_numbers_are_wrong(yours, word):
    verdict = compare("the codes", yours, OURS, "Think.")
    assert verdict.right is False
    assert word in verdict.text


def test_one_number_has_no_place():
    assert compare("the slope", 0.5, 0.7).text == "Not yet: the slope, 1 of 1 differ."
    assert compare("the slope", np.float64(0.7), 0.7).right is True
