"""Assignments of matrices to low precision: what is assigned as one, and ways to choose. Numbers only, no models.

An assignment is a boolean array, one entry per unit, True for low precision. Its quantization ratio Qr is the share of
the parameters of all units that are low (Cao et al. 2024, arXiv 2410.06722, there of all parameters). An assignment
meets a target ratio if its own is at least as high.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from helpers.table.errors import QuantizationError, SpecError

GRANULARITIES = ("layer", "matmul")
DRAWS_PER_TRIAL = 20  # before a space is taken to hold no more assignments that differ
ROUNDING = 1e-9  # of a ratio: sums of parameters are whole numbers


@dataclass(frozen=True)
class Units:
    """The units that are assigned as one: decoder blocks or single matrices.

    `matrices` are the names of a model's linear layers (block and layer) in order; `members` the places there of
    each unit's matrices; `n_params` counts the weights of each unit.
    """

    granularity: str
    matrices: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    n_params: tuple[int, ...]

    @classmethod
    def of(cls, granularity: str, sizes: dict[str, int]) -> "Units":
        """Return the units of a model whose linear layers, by name, have so many weights.

        Raises SpecError for an unknown granularity.
        """
        if granularity not in GRANULARITIES:
            raise SpecError(f"granularity '{granularity}'; accepted: {', '.join(GRANULARITIES)}")
        keys = [name.partition(".")[0] if granularity == "layer" else name for name in sizes]
        members = tuple(tuple(place for place, each in enumerate(keys) if each == key) for key in dict.fromkeys(keys))
        counts = list(sizes.values())
        return cls(granularity, tuple(sizes), members, tuple(sum(counts[i] for i in unit) for unit in members))

    def __len__(self) -> int:
        return len(self.members)

    def ratio(self, low: np.ndarray) -> float:
        """Return the quantization ratio of an assignment (units,)."""
        return float(np.dot(low, self.n_params)) / sum(self.n_params)

    def meets(self, low: np.ndarray, target: float) -> bool:
        """Tell whether an assignment's ratio is at least `target`."""
        return self.ratio(low) >= target - ROUNDING

    def digits(self, low: np.ndarray) -> str:
        """Return an assignment as one digit per matrix, 1 for low precision."""
        digits = ["0"] * len(self.matrices)
        for unit in np.flatnonzero(low):
            for place in self.members[unit]:
                digits[place] = "1"
        return "".join(digits)

    def kept(self, digits: str) -> tuple[str, ...]:
        """Return the names of the matrices that stay in high precision, sorted, as a scheme has them."""
        return tuple(sorted(name for name, digit in zip(self.matrices, digits, strict=True) if digit == "0"))

    def single(self) -> list[np.ndarray]:
        """Return the assignments in which one unit alone is low."""
        return list(np.eye(len(self), dtype=bool))

    def everything(self) -> np.ndarray:
        """Return the assignment in which all is low."""
        return np.ones(len(self), dtype=bool)

    def nothing(self) -> np.ndarray:
        """Return the assignment in which nothing is low."""
        return np.zeros(len(self), dtype=bool)


def refuse_target(target: float) -> None:
    """Raise SpecError for a target that no quantization ratio can be."""
    if not 0 <= target <= 1:
        raise SpecError(f"quantization ratio {target:g}; accepted: 0 to 1")


def drawn(units: Units, target: float, n_trials: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Return up to `n_trials` different assignments that meet `target`, each from a random order of the units.

    Units turn low in that order until the target is met, so one drawn last made it meet. Fewer come back where the
    space holds fewer.
    """
    refuse_target(target)
    distinct: dict[bytes, np.ndarray] = {}
    for _ in range(DRAWS_PER_TRIAL * n_trials):
        if len(distinct) == n_trials:
            break
        low = _filled(units, generator.permutation(len(units)), target)
        distinct.setdefault(low.tobytes(), low)
    return list(distinct.values())


def greedy(units: Units, costs: Sequence[float], target: float) -> np.ndarray:
    """Return the assignment that meets `target` by taking units in the order of their cost per parameter.

    `costs` (units,) say what a unit alone loses, nats per token. Units that the target doesn't need after all are
    put back, the dearest first. Raises QuantizationError for a cost that isn't a number.
    """
    refuse_target(target)
    of_unit = _finite(costs)
    low = _filled(units, np.argsort(of_unit / np.array(units.n_params), kind="stable"), target)
    for unit in np.argsort(-of_unit, kind="stable"):
        without = low & (np.arange(len(units)) != unit)
        if low[unit] and of_unit[unit] > 0 and units.meets(without, target):
            low = without
    return low


def cheapest(units: Units, costs: Sequence[float], target: float) -> np.ndarray:
    """Return the assignment of the least summed cost that meets `target`: a knapsack, solved exactly (HiGHS).

    `costs` (units,) are taken to add up, nats per token. Among assignments of one cost any may come back.
    Raises QuantizationError for a cost that isn't a number.
    """
    refuse_target(target)
    shares = np.array(units.n_params) / sum(units.n_params)
    of_unit = _finite(costs)
    scale = np.abs(of_unit).max() or 1.0  # the solver's tolerances are absolute
    solved = milp(
        of_unit / scale,
        constraints=LinearConstraint(shares, lb=target - ROUNDING),
        integrality=np.ones(len(units)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    low: np.ndarray = solved.x.round().astype(bool)
    return low


def _finite(costs: Sequence[float]) -> np.ndarray:
    """Return costs as an array. Raises QuantizationError for one that isn't a number: no order begins with it."""
    of_unit = np.asarray(costs, float)
    n_without = int((~np.isfinite(of_unit)).sum())
    if n_without:
        raise QuantizationError(
            f"{n_without} of {len(of_unit)} units have a cost that isn't a number when they alone are low"
        )
    return of_unit


def every(units: Units) -> list[np.ndarray]:
    """Return all assignments; there are 2 to the power of the number of units."""
    return [np.array(low, dtype=bool) for low in itertools.product((False, True), repeat=len(units))]


def _filled(units: Units, order: np.ndarray, target: float) -> np.ndarray:
    low = units.nothing()
    for unit in order:
        if units.meets(low, target):
            break
        low[unit] = True
    return low
