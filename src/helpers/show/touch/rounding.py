"""Weights on a grid that can be dragged, and GPTQ one column at a time: what the page starts with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from helpers.show.touch.widget import Widget

BITS = (2, 3, 4)
GROUPS = (2, 4, 8)
DIGITS = 6  # of weights that come in float32: 0.4, not 0.4000000059604645


def grid(weights: ArrayLike, bits: int = 2, group_size: int = 4) -> Widget:
    """Return weights, between -1 and 1, to be dragged over the grids of their groups.

    Raises ValueError where the groups offered don't divide them or one lies beyond -1 to 1.
    """
    row = _plain(np.ravel(np.asarray(weights, float)))
    if len(row) % max(GROUPS) or max(map(abs, row)) > 1:
        raise ValueError(f"{len(row)} weights; accepted: a multiple of {max(GROUPS)}, each between -1 and 1")
    data = {"weights": row, "bits": bits, "group_size": group_size}
    offered = {"bits_offered": BITS, "groups_offered": GROUPS}
    return Widget("grid", "Weights to drag over their grid", data | offered)


def gptq(weights: ArrayLike, inputs: ArrayLike, bits: int = 2, damping: float = 0.01) -> Widget:
    """Return GPTQ of a matrix (rows, columns) to be stepped through; `inputs` (n, columns) give its Hessian."""
    x = np.asarray(inputs, float)
    data = {
        "weights": [_plain(row) for row in np.asarray(weights, float)],
        "hessian": (x.T @ x / len(x)).tolist(),
        "bits": bits,
        "bits_offered": BITS,
        "damping": damping,
    }
    return Widget("gptq", "GPTQ one column at a time", data)


def _plain(values: Sequence[float] | np.ndarray) -> list[float]:
    return [round(float(value), DIGITS) for value in values]
