"""The comparison of what a class computed with what the package does, entry by entry: for blanks in a notebook."""

from typing import SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from helpers.teach.verdicts import Verdict

TOLERANCE = 1e-4  # of the largest entry: floats of 32 bits, summed in another order, differ by a hundredth of it


def compare(what: str, yours: ArrayLike | SupportsFloat | None, ours: ArrayLike, hint: str = "") -> Verdict:
    """Return the verdict on `yours`, numbers of any shape, beside `ours`; None says that the blank isn't filled yet.

    Right are entries within `TOLERANCE` of the largest of `ours`.
    """
    expected = np.asarray(ours, float)
    if yours is None:
        return Verdict(None, f"A blank: {what}, {_shape(expected)}.")
    try:
        given = np.asarray(yours, float)
    except (TypeError, ValueError):
        return Verdict(False, f"{what}: that is a {type(yours).__name__}; accepted: {_shape(expected)}.")
    if given.shape != expected.shape:
        return Verdict(False, f"{what}: you have {_shape(given)}; accepted: {_shape(expected)}.")
    wrong = ~(np.abs(given - expected) <= TOLERANCE * np.abs(expected).max())  # so that NaN is wrong
    if not wrong.any():
        return Verdict(True, f"Right: {what}, to {TOLERANCE:g} of the largest number.")
    first = np.argwhere(wrong)[0]
    place = f" First in place {tuple(int(index) + 1 for index in first)}, counted from 1." if given.ndim else ""
    return Verdict(False, f"Not yet: {what}, {int(wrong.sum())} of {wrong.size} differ.{place} {hint}".rstrip())


def _shape(values: np.ndarray) -> str:
    return "one number" if values.ndim == 0 else " x ".join(map(str, values.shape)) + " numbers"
