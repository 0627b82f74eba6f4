"""Parts that commands share: the one stderr console, options that several take, the end of a report with failures."""

import functools
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperCommand

from helpers.table.errors import ResultsError, SpecError
from helpers.table.names import at_home
from helpers.table.words import one_line, visible


class _Plain(Console):
    """A console whose texts move no cursor: a name's or path's control characters are shown as escapes."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `rich` does, lines as they are."""
        super().print(*(_seen(each) if isinstance(each, str) else each for each in objects), **options)


def _seen(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


# What is printed are names and paths: nothing in them is markup, and no line is broken, whoever reads on.
console = _Plain(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
WIDEST = 10_000  # columns: a table is never cut, whatever the terminal's width
MOST_GIB = 2**20  # more than any machine has: a number of bytes

Device = Annotated[str, typer.Option(help="cpu or cuda.")]
MemoryGib = Annotated[
    float | None,
    typer.Option(
        help="Memory for rounding and scoring, beside the models. By default 1, on a GPU 0.6 of what is free."
    ),
]
DiskBudget = Annotated[
    float | None,
    typer.Option(
        help="GiB that weights from the Hub may take on the disk: each checkpoint is removed when it is measured. By"
        " default they stay in the Hub's cache."
    ),
]


def in_bytes(gib: float | None, option: str = "--memory-gib") -> int | None:
    """Return the number of bytes of so many GiB; None stays None, which is what `option` says then.

    Raises SpecError for what isn't an amount of memory.
    """
    if gib is None:
        return None
    if not 0 < gib <= MOST_GIB:
        raise SpecError(f"{option} is {gib:g}; accepted: more than 0, up to {MOST_GIB:,}")
    return int(gib * 2**30)


def end_with(failures: Sequence[str], what_failed: str) -> None:
    """Print each failure after `what_failed`, in red, and end the command with exit code 1 if there are any."""
    for failure in failures:
        console.print(f"{what_failed}: {one_line(failure)}", style="red")
    if failures:
        raise typer.Exit(1)


class _Talk(io.FileIO):
    """A stderr whose words are lost where nobody can read them: that ends no work."""

    def write(self, words: Any, /) -> int:
        try:
            return super().write(words)
        except OSError:
            return len(words)


class _Answers(io.FileIO):
    """A stdout that says once, in one line, why it can't be written; BrokenPipeError is for a reader who has gone."""

    refused = False  # what a buffer still holds is tried again at the end

    def write(self, words: Any, /) -> int:
        if self.refused:
            return len(words)
        try:
            return super().write(words)
        except OSError as error:
            self.refused = True
            if isinstance(error, BrokenPipeError):
                raise
            raise ResultsError(f"stdout: can't be written ({error.strerror})") from None


def speak_utf_8() -> None:
    """Write UTF-8 to stdout and stderr whatever the locale says, what it can't hold as escapes.

    From then on a write to stdout that is refused raises ResultsError (BrokenPipeError where the reader has gone), one
    to stderr is left out.
    """
    for name, raw in (("stdout", _Answers), ("stderr", _Talk)):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):  # not a test's stand-in
            stream.flush()
            sound = io.BufferedWriter(raw(stream.fileno(), "w", closefd=False))
            setattr(
                sys, name, io.TextIOWrapper(sound, "utf-8", "backslashreplace", line_buffering=stream.line_buffering)
            )


def print_table(table: Table) -> None:
    """Print a table to stdout, every cell whole."""
    Console(markup=False, emoji=False, highlight=False, width=WIDEST).print(table)


def add(
    app: typer.Typer, command: Callable[..., None], name: str | None = None, cls: type[TyperCommand] | None = None
) -> None:
    """Add a command; in a path that it is given, `~` is the home folder, as in `--out=~/x`, which no shell expands."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        command(**{name: _at_home(value) for name, value in options.items()})

    app.command(name, cls=cls)(run)


def _at_home(value: Any) -> Any:
    if isinstance(value, list):
        return [_at_home(one) for one in value]
    if isinstance(value, Path):
        _refuse_bytes(value)
        return at_home(value)
    return value


def _refuse_bytes(path: Path) -> None:
    """Raise SpecError for a path that isn't UTF-8: some libraries can't open it, and no message could show it."""
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError:
        raise SpecError(f"{str(path)!a}: a path that isn't UTF-8; accepted: one that is") from None
