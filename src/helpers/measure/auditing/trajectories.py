"""A run's curve over its steps, and the points that lie off it, by a rule that a few bad points don't move.

The rule: a point is off the curve where it lies outside what its two neighbours span, and by more than `SPREADS` robust
spreads and more than a least distance. However much a curve bends, a point of one that rises or falls lies between its
neighbours. The spread is 1.4826 times a median (of Gaussian residuals their standard deviation; Rousseeuw and Croux
1993, JASA 88, 1273) of the distances of points from the line, over log(1 + step), between their neighbours: of all
points, or of the `NEAREST` points on either side if that is more. The point with the most spreads is taken out and the
rest is looked at again, so that its neighbours aren't blamed for it. A run's first and last point aren't judged.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median

SPREADS, GAUSSIAN = 4.0, 1.4826
NEAREST = 3  # points on either side
FEWEST = 6  # points of a curve that is judged


def off_curve(curve: Mapping[int, float], least: float) -> dict[int, float]:
    """Return the steps off a curve {step: value} and by how much, the one with the most spreads first.

    `least` is a distance in the values' unit that is never called an outlier. Values that aren't numbers are left out.
    """
    left = {step: value for step, value in sorted(curve.items()) if math.isfinite(value)}
    found: dict[int, float] = {}
    while len(left) >= FEWEST:
        judged = {step: _judged([*left], [*left.values()], here) for here, step in _inner([*left])}
        beyond = {step: each for step, each in judged.items() if abs(each[0]) > max(SPREADS * each[1], least)}
        if not beyond:
            break
        step = max(beyond, key=lambda each: abs(beyond[each][0]) / max(beyond[each][1], least / SPREADS))
        found[step] = beyond[step][0]
        del left[step]
    return found


def _inner(steps: Sequence[int]) -> list[tuple[int, int]]:
    return [(here, steps[here]) for here in range(1, len(steps) - 1)]


def _judged(steps: Sequence[int], values: Sequence[float], here: int) -> tuple[float, float]:
    """Return how far the point `here` lies outside what its neighbours span, and the spread around it without it."""
    others, rest = [*steps[:here], *steps[here + 1 :]], [*values[:here], *values[here + 1 :]]
    sizes = [abs(_from_line(others, rest, each)) for each, _ in _inner(others)]
    nearest = sizes[max(0, here - 1 - NEAREST) : here - 1 + NEAREST]  # whose first entry is of the second point
    low, high = sorted((values[here - 1], values[here + 1]))
    outside = min(values[here] - low, 0.0) + max(values[here] - high, 0.0)
    return outside, GAUSSIAN * max(median(sizes), median(nearest))


def _from_line(steps: Sequence[int], values: Sequence[float], here: int) -> float:
    """Return a point's distance from the line between its neighbours, over log(1 + step)."""
    before, at, after = (math.log1p(step) for step in steps[here - 1 : here + 2])
    share = (at - before) / (after - before)
    return values[here] - (values[here - 1] + share * (values[here + 1] - values[here - 1]))
