"""Learning rates along a run, for families to share.

Moments of a run, `at` and the others, are counted in updates or in tokens, all alike; a rate has the peak's unit.
"""

import math


def cosine_rate(peak: float | None, at: float, warmup: float, end: float) -> float | None:
    """Return the learning rate: a linear warm-up to `peak`, a cosine to a tenth at `end`; None for an unknown peak."""
    if peak is None:
        return None
    if at <= warmup:
        return peak * at / warmup
    progress = (at - warmup) / (end - warmup)
    return peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress)))


def cosine_phase(at: float, warmup: float) -> str:
    """Return the phase in which `cosine_rate` is: warmup or decay."""
    return "warmup" if at <= warmup else "decay"


def trapezoid_rate(peak: float | None, at: float, warmup: float, decay_from: float, end: float) -> float | None:
    """Return the learning rate: a linear warm-up, `peak`, a linear decay to zero at `end`; None for an unknown peak."""
    if peak is None:
        return None
    return peak * min(at / warmup, 1.0, (end - at) / (end - decay_from))


def trapezoid_phase(at: float, warmup: float, decay_from: float) -> str:
    """Return the phase in which `trapezoid_rate` is: warmup, stable or decay."""
    if at <= warmup:
        return "warmup"
    return "stable" if at <= decay_from else "decay"
