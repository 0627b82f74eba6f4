"""The progress of a command that works in steps: a bar with the time left, without a terminal a line a step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from helpers.measure.mixed.budgets import Begin
from helpers.measure.models.stacking import listening
from helpers.measure.sweep.estimate import in_words


@contextmanager
def steps_shown(console: Console, n_blocks: int) -> Iterator[Begin]:
    """Show on `console` how far the steps of a model of `n_blocks` blocks are; give the function told of each step.

    What moves the bar are sequences that pass the blocks; where a step is done sooner or later than it said, the next
    one begins where it said.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    started, before, in_step = time.monotonic(), 0, 0
    gone = 0.0
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def begin(step: str, n_sequences: int, n_after: int) -> None:
            nonlocal before, in_step, gone
            before, in_step, gone = before + in_step, n_sequences, 0.0
            bar.update(task, description=step, completed=before, total=before + n_sequences + n_after)
            if not console.is_terminal:
                seconds = (time.monotonic() - started) / before * (n_sequences + n_after) if before else None
                console.print(step if seconds is None else f"{step}; about {in_words(seconds)} left")

        def passed(n_sequences: int) -> None:
            nonlocal gone
            gone += n_sequences / n_blocks
            bar.update(task, completed=before + min(gone, in_step))

        with listening(passed):
            yield begin
