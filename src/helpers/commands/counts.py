"""Counts as people write them: 7B parameters, 15T tokens."""

from helpers.table.errors import SpecError

SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}


def count(words: str | float) -> float:
    """Return a count written as a number (7e9, 7_000_000_000) or with a suffix (7B, 1.5T), whatever its case.

    Raises SpecError for anything else.
    """
    if not isinstance(words, str):  # a default
        return words
    number, suffix = words.strip().replace(",", ""), 1.0
    if number[-1:].upper() in SUFFIXES:
        number, suffix = number[:-1].rstrip(), SUFFIXES[number[-1].upper()]
    try:
        return float(number) * suffix
    except ValueError:
        raise SpecError(f"'{words}' is no count; accepted: a number, or one with {', '.join(SUFFIXES)}: 7B") from None
