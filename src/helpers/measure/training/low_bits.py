"""Native low bits as a plan says them: the grid that a run's weights, and inputs, are rounded to in every update."""

from dataclasses import dataclass
from typing import Annotated

from helpers.table.errors import SpecError
from helpers.table.ranges import Range
from helpers.table.records import from_mapping
from helpers.table.words import shown

METHODS = ("none", "rtn", "ternary")
WIDTHS = Range(2, 8)


@dataclass(frozen=True)
class LowBits:
    """What the matrices of the decoder blocks are while they are trained, and what is written of them.

    `none` is 16 bits: the twin on the same batches. `rtn` is quantization-aware training: every forward pass multiplies
    with the weights that round-to-nearest makes of the trained ones (`helpers.measure.rounding.grids`), `group_size`
    neighbours on a min-max grid of `bits`. `ternary` is BitNet b1.58 (Ma et al. 2024, arXiv 2402.17764): each matrix is
    its mean magnitude times -1, 0 or 1. With `input_bits` the matrices' inputs are rounded too, each token under a
    scale from its own largest magnitude; BitNet has 8.

    BitNet's other changes to the block (a norm before each matrix, no biases) aren't made: the block stays that of the
    16-bit twin, so that bits alone differ. Gradients pass the rounding as if it weren't there (straight through).
    """

    method: str
    bits: Annotated[int | None, WIDTHS] = None
    group_size: Annotated[int | None, Range(1, 65_536)] = None
    symmetric: bool | None = None
    input_bits: Annotated[int | None, WIDTHS] = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SpecError(f"'method' is '{self.method}', which can't train; accepted: {', '.join(METHODS)}")
        if self.method == "rtn":
            for name in ("bits", "symmetric"):
                if getattr(self, name) is None:
                    raise SpecError(f"missing key '{name}' of method rtn")
            return
        said = {"bits": self.bits, "group_size": self.group_size, "symmetric": self.symmetric}
        said |= {"input_bits": self.input_bits} if self.method == "none" else {}
        for name, value in said.items():
            if value is not None:
                raise SpecError(f"'{name}' is {value!r} with method {self.method}; accepted: none, {WHY[self.method]}")

    @property
    def below_16(self) -> "LowBits | None":
        """Return this, or None for 16 bits."""
        return None if self.method == "none" else self

    @property
    def suffix(self) -> str:
        """Return what a run's name has of it, for example `rtn4g32`; empty for 16 bits."""
        if self.method == "none":
            return ""
        group = "row" if self.group_size is None else f"g{self.group_size}"
        weights = "ternary" if self.method == "ternary" else f"rtn{self.bits}{group}{'sym' if self.symmetric else ''}"
        return weights if self.input_bits is None else f"{weights}a{self.input_bits}"

    def refuse_undivided(self, model: str, d_model: int) -> None:
        """Raise SpecError where groups don't divide the width of a model's matrices."""
        if self.group_size is not None and d_model % self.group_size:
            raise SpecError(
                f"'group_size' is {self.group_size}; accepted: what divides 'd_model' of {model}, {d_model}"
            )


WHY = {"none": "its weights have 16 bits", "ternary": "its codes are -1, 0 and 1 under one scale a matrix"}


def named(name: str, low_bits: LowBits) -> str:
    """Return a run's name with what its low bits add to it."""
    return f"{name}-{low_bits.suffix}" if low_bits.suffix else name


def listed(raw: object, where: str) -> tuple[LowBits, ...]:
    """Read a list of low bits; an entry stands for each of its bits, if it has a list of them. Raises SpecError."""
    if not isinstance(raw, list) or not raw:
        raise SpecError(f"{where}: {shown(raw)} where a list is expected")
    entries = []
    for entry in raw:
        widths = entry.get("bits") if isinstance(entry, dict) else None
        entries += [{**entry, "bits": bits} for bits in widths] if isinstance(widths, list) else [entry]
    return tuple(from_mapping(LowBits, entry, where) for entry in entries)
