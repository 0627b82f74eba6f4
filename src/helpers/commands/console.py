"""Parts that commands share: the one stderr console, options that several take, the end of a report with failures."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

# what is said holds paths and names: their brackets aren't markup, and no line of theirs is broken at a width
console = Console(stderr=True, markup=False, soft_wrap=True)

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
        console.print(f"{what_failed}: {failure}", style="red")
    if failures:
        raise typer.Exit(1)
