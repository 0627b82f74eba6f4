"""The console and the progress bar of a sweep while it runs."""

import os

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def reader_console() -> Console:
    """Return a console for a sweep that runs inside a chapter: the terminal of the book's builder, or a quiet one.

    `book/execute.py` names that terminal in QID_TERMINAL when a person watches.
    """
    terminal = os.environ.get("QID_TERMINAL")
    if terminal:
        return Console(file=open(terminal, "w", encoding="utf-8"), force_terminal=True, markup=False, emoji=False)
    return Console(quiet=True)


def progress_bar(console: Console) -> Progress:
    """Return the bar of a sweep: rows done of all, time gone and left; nothing is drawn where nobody watches."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
