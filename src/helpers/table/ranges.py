"""Ranges that numbers of a file may lie in, said beside the field: `Annotated[int, Range(1, 4096)]`.

And numbers in the units that people use for models: 135M parameters, 2T tokens.
"""

import math
import re
import typing
from dataclasses import dataclass

from helpers.table.errors import SpecError
from helpers.table.words import shown

MOST_TOKENS = 10**15  # of a training run: fifty times the largest that is known
UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
IN_UNITS = re.compile(r"(?P<number>[0-9]+(?:[.][0-9]+)?(?:[eE][+]?[0-9]{1,2})?)\s*(?P<unit>[KMBGTkmbgt]?)")


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


def amount(text: str, what: str) -> int:
    """Return a number such as 2T, 1.5B, 300M or 2e12. Raises SpecError, beginning with `what`, for another text."""
    found = IN_UNITS.fullmatch(text.strip().replace(",", "").replace("_", ""))
    value = float(found["number"]) * UNITS[found["unit"].upper()] if found else math.nan
    if not 1 <= value <= 1e15:
        raise SpecError(f"{what} is {shown(text)}; accepted: a number from 1 to 1e15, such as 2T, 1.5B or 300M")
    return round(value)


def amount_words(number: float) -> str:
    """Return a large number as people say it, three digits of it: 135M, 1.5B, 2T."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
