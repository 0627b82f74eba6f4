"""Parts that commands share: the one stderr console, options that several take, the end of a report with failures."""

import contextlib
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from helpers.table.words import one_line

# What is printed are names and paths: nothing in them is markup, and no line is broken, whoever reads on.
console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
WIDEST = 10_000  # columns: a table is never cut, whatever the terminal's width

Device = Annotated[str, typer.Option(help="cpu or cuda.")]
MemoryGib = Annotated[
    float | None,
    typer.Option(
        help="Memory for rounding and scoring, beside the models. By default 1, on a GPU 0.6 of what is free."
    ),
]


def in_bytes(memory_gib: float | None) -> int | None:
    """Return the number of bytes of so many GiB; None stays None, which lets the device decide."""
    return None if memory_gib is None else int(memory_gib * 2**30)


def end_with(failures: Sequence[str], what_failed: str) -> None:
    """Print each failure after `what_failed`, in red, and end the command with exit code 1 if there are any."""
    for failure in failures:
        console.print(f"{what_failed}: {one_line(failure)}", style="red")
    if failures:
        raise typer.Exit(1)


def speak_utf_8() -> None:
    """Write UTF-8 to stdout and stderr whatever the locale says, what it can't hold as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test's stand-in has none
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def print_table(table: Table) -> None:
    """Print a table to stdout, every cell whole."""
    Console(markup=False, emoji=False, highlight=False, width=WIDEST).print(table)


def add(app: typer.Typer, command: Callable[..., None], name: str | None = None) -> None:
    """Add a command; in a path that it is given, `~` is the home folder, as in `--out=~/x`, which no shell expands."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        command(**{name: _at_home(value) for name, value in options.items()})

    app.command(name)(run)


def _at_home(value: Any) -> Any:
    if isinstance(value, list):
        return [_at_home(one) for one in value]
    if isinstance(value, Path):
        with contextlib.suppress(RuntimeError):  # a home that nobody has: the path as it is
            return value.expanduser()
    return value
