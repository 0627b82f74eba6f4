"""Ranges that numbers of a file may lie in, said beside the field: `Annotated[int, Range(1, 4096)]`."""

import math
import typing
from dataclasses import dataclass

MOST_TOKENS = 10**15  # of a training run: fifty times the largest that is known


@dataclass(frozen=True)
class Range:
    """The numbers from `least` to `most`, without `least` itself where it is `open`."""

    least: float = -math.inf
    most: float = math.inf
    open: bool = False

    def __contains__(self, value: object) -> bool:
        return (
            isinstance(value, (int, float))
            and math.isfinite(value)
            and self.least <= value <= self.most
            and not (self.open and value == self.least)
        )

    def __str__(self) -> str:
        if self.least == -math.inf and self.most == math.inf:
            return "a number"
        if self.least == -math.inf:
            return f"up to {self.most:g}"
        if self.open:
            return f"more than {self.least:g}" + (f", up to {self.most:g}" if self.most < math.inf else "")
        return f"{self.least:g} or more" if self.most == math.inf else f"{self.least:g} to {self.most:g}"


ANY = Range()
COUNT = Range(1)
AMOUNT = Range(0)
POSITIVE = Range(0, open=True)
SHARE = Range(0, 1)


def outside(annotation: object, value: object) -> tuple[object, Range] | None:
    """Return the first number of a field's value (of a list, of its values) that isn't in the field's range.

    It comes with the range. A field that says none may be any number that is finite.
    """
    said = getattr(annotation, "__metadata__", ())
    accepted = next((each for each in said if isinstance(each, Range)), ANY)
    values = value if isinstance(value, (list, tuple)) else (value,)
    numbers = [one for one in values if isinstance(one, (int, float)) and not isinstance(one, bool)]
    wrong = [one for one in numbers if one not in accepted]
    return (wrong[0], accepted) if wrong else None


def of_fields(record: type) -> dict[str, typing.Any]:
    """Return the annotations of a record's fields, with what stands beside their types."""
    return typing.get_type_hints(record, include_extras=True)
