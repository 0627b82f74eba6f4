"""Names that become parts of paths: of families, models and runs. Each is checked once, where it is read."""

import contextlib
from pathlib import Path

from helpers.table.errors import SpecError
from helpers.table.words import shown, visible

MOST = 150  # characters; file systems hold 255 bytes, and what is made of a name is longer
ACCEPTED = "a name without / and \\, not '.' or '..', no control characters, no blank at an end"


def refuse_name(name: str, what: str) -> None:
    """Raise SpecError for a name that isn't one part of a path: empty, `..`, with a separator or a control character.

    `what` says in the message whose name it is.
    """
    dots_or_nothing = not name.strip(" .")
    if dots_or_nothing or len(name) > MOST or {*name} & {*"/\\"} or name != visible(name).strip():
        raise SpecError(f"'{what}' is {shown(name)}; accepted: {ACCEPTED}, up to {MOST} characters")


def refuse_place(place: str, what: str) -> None:
    """Raise SpecError for a path that is empty or that no file can have; separators and `..` are accepted."""
    if not place.strip() or visible(place) != place:
        raise SpecError(f"'{what}' is {shown(place)}; accepted: a path, without control characters")


def at_home(place: str | Path) -> Path:
    """Return a path in which `~` at the beginning is the home folder; one of a home that nobody has stays as it is."""
    path = Path(place)
    with contextlib.suppress(RuntimeError):
        return path.expanduser()
    return path


def below(root: Path, path: Path) -> Path:
    """Return `path`, which is to be written. Raises SpecError where it lies outside of `root`, links followed."""
    if not path.resolve().is_relative_to(root.resolve()) or path.resolve() == root.resolve():
        raise SpecError(f"{path}: lies outside of {root}; accepted: a place inside of it")
    return path
