"""Entries of a plan for what comes out of a constant run beside its checkpoints: cooldowns, continuations, averages."""

from dataclasses import dataclass
from typing import Annotated

from helpers.measure.training.low_bits import LowBits, listed
from helpers.table.errors import SpecError
from helpers.table.ranges import Range
from helpers.table.records import from_mapping

STEPS = Range(1, 10**9)
INSIDE = Range(0, 0.99, open=True)  # a share that is neither nothing nor all
CONTINUED = ("constant", "cooldown")


@dataclass(frozen=True)
class CooldownEntry:
    """Linear cooldowns to zero that go on from a constant run `at` some of its steps, over `share` of all tokens.

    `models` are those that have cooldowns; all, if none is named.
    """

    at: Annotated[tuple[int, ...], STEPS]
    share: Annotated[float, INSIDE] = 0.2
    models: tuple[str, ...] = ()

    def last_step(self, branched_at_step: int) -> int:
        """Return the step at which the learning rate is zero."""
        return round(branched_at_step / (1 - self.share))


@dataclass(frozen=True)
class ContinuationEntry:
    """Runs that go on from a constant run `at` some of its steps, for each of `shares` of its tokens so far.

    Each goes on at every one of `low_bits`, once by every schedule: at the run's rate, or with it falling to zero
    (`cooldown`). Method `none` is the continuation that training without low bits would have been. `models` are those
    that have continuations; all, if none is named.
    """

    at: Annotated[tuple[int, ...], STEPS]
    low_bits: tuple[LowBits, ...]
    shares: Annotated[tuple[float, ...], INSIDE] = (0.05, 0.2)
    schedules: tuple[str, ...] = ("constant",)
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = sorted(set(self.schedules) - set(CONTINUED))
        if unknown or not self.schedules:
            said = f"has '{unknown[0]}'" if unknown else "is []"
            raise SpecError(f"'schedules' {said}; accepted: {', '.join(CONTINUED)}")
        for name in ("at", "low_bits", "shares"):
            if not getattr(self, name):
                raise SpecError(f"'{name}' is []; accepted: one or more")

    def last_step(self, branched_at_step: int, share: float) -> int:
        """Return the step at which a continuation over `share` of the tokens before it ends."""
        return round(branched_at_step * (1 + share))


def continuations_of(raw: object, where: str) -> ContinuationEntry:
    """Read the entry of continuations. Raises SpecError, beginning with `where`."""
    if isinstance(raw, dict) and "low_bits" in raw:
        raw = {**raw, "low_bits": listed(raw["low_bits"], f"{where}: low_bits")}
    return from_mapping(ContinuationEntry, raw, where)


@dataclass(frozen=True)
class AverageEntry:
    """Averages of weights: `n` moments, evenly spaced over the last `share` of the tokens before a checkpoint.

    Kaddour 2022 (LAWA, arXiv 2209.14981), with moments spaced in proportion to the tokens seen. `models` are those that
    have averages; all, if none is named.
    """

    n: Annotated[int, Range(2, 100)] = 5
    share: Annotated[float, INSIDE] = 0.16
    from_step: Annotated[int, STEPS] = 1
    models: tuple[str, ...] = ()

    def moments(self, step: int) -> tuple[int, ...]:
        """Return the steps whose weights are averaged at `step`, the last being `step` itself."""
        return tuple(round(step * (1 - self.share * (self.n - 1 - k) / (self.n - 1))) for k in range(self.n))
