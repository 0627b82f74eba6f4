"""Numbers in the units that people use for models: 135M parameters, 2T tokens."""

import math
import re

from helpers.table.errors import SpecError
from helpers.table.words import shown

UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
AMOUNT = re.compile(r"(?P<number>[0-9]+(?:[.][0-9]+)?(?:[eE][+]?[0-9]{1,2})?)\s*(?P<unit>[KMBGTkmbgt]?)")


def amount(text: str, what: str) -> int:
    """Return a number such as 2T, 1.5B, 300M or 2e12. Raises SpecError, beginning with `what`, for another text."""
    found = AMOUNT.fullmatch(text.strip().replace(",", "").replace("_", ""))
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
