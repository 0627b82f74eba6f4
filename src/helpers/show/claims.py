"""Claims of prose: a sentence of a page that the tables must bear out, or the page isn't made; and what it lacks."""

from collections.abc import Sequence

from helpers.show.markdown import plain

MOST_NAMED = 5


def claim(holds: bool, sentence: str) -> None:
    """Raise ValueError with the sentence where what it says doesn't hold."""
    if not holds:
        raise ValueError(sentence)


def unmeasured(failures: Sequence[str]) -> str:
    """Return the line of Markdown that says which checkpoints of a sweep weren't measured, the first ones and why."""
    more = f"; and {len(failures) - MOST_NAMED:,} more" if len(failures) > MOST_NAMED else ""
    named = "; ".join(plain(failure) for failure in failures[:MOST_NAMED])
    return f"**Not measured, and on no page of this book ({len(failures):,}):** {named}{more}."
