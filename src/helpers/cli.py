"""The `qid` command: train a family, run a sweep, count rows, export what was rounded, rebuild the text, ask a law."""

import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.logging import RichHandler

from helpers.commands import (
    auditing,
    comparing,
    laws,
    measuring,
    one_model,
    packing,
    planning,
    register,
    tables,
    training,
)
from helpers.commands.console import console, speak_utf_8
from helpers.table.errors import QidError
from helpers.table.words import one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _say_version(asked: bool) -> None:
    if asked:
        print(version("qid-book"))
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Measure how much a language model loses when its weights are rounded."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # one progress bar, ours
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its reports on loading are our one line
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # each of its tries would be a line, and be said twice
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=console)])


for commands in (measuring, planning, one_model, auditing, comparing, packing, laws, register, tables, training):
    commands.register(app)


def run() -> None:
    """Run the command; an error this package raises on purpose ends it with one line and exit code 1."""
    speak_utf_8()
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:  # where it is closed, there is none
                sys.stdout.flush()
    except BrokenPipeError:  # who reads has read enough
        sys.exit(1)
    except QidError as error:
        console.print(f"error: {error}", style="bold red")
        sys.exit(1)
    except OSError as error:  # of a path that no file can have, such as a name of 300 characters
        place = "" if error.filename is None else f"{error.filename}: "
        console.print(f"error: {one_line(f'{place}{error.strerror or error}')}", style="bold red")
        sys.exit(1)


if __name__ == "__main__":
    run()
