"""The time that one model takes, estimated from a timed pass of it: counts of passes, no clocks, no models."""

from dataclasses import dataclass

# Passes' worth of time, as a Llama of 135M parameters and 49,152 tokens takes on a CPU
SCORED = 1.3  # of a scored sequence: probabilities over the whole vocabulary beside the pass
CALIBRATED = 1.8  # of a calibration sequence: the pass, second moments of inputs, and rounding itself


@dataclass(frozen=True)
class Passes:
    """The sequences that pass the model's blocks for one lot of schemes: calibrating, and scoring all texts."""

    calibrating: int
    scoring: int

    @property
    def total(self) -> int:
        """Return how many sequences pass."""
        return self.calibrating + self.scoring

    def seconds(self, seconds_a_pass: float) -> float:
        """Return the seconds that all passes are expected to take, one sequence through the model taking so many."""
        return seconds_a_pass * (self.calibrating * CALIBRATED + self.scoring * SCORED)

    def share_done(self, n_passed: float) -> float:
        """Return the share of the time that is gone when `n_passed` sequences have passed: calibration comes first."""
        first = min(n_passed, self.calibrating)
        gone = first * CALIBRATED + min(n_passed - first, self.scoring) * SCORED
        return gone / max(self.calibrating * CALIBRATED + self.scoring * SCORED, 1e-12)


def in_words(seconds: float) -> str:
    """Return a time as a person reads it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
