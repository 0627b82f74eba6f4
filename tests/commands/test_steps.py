"""The progress of steps: a line a step with the time left, a bar on a terminal that never runs ahead of its step."""

import io
import re

from rich.console import Console

from helpers.commands import steps


def told(console: Console, monkeypatch) -> None:
    seconds = iter([0.0, *[10.0] * 9])
    monkeypatch.setattr(steps.time, "monotonic", lambda: next(seconds))
    with steps.steps_shown(console, 2) as begin:
        begin("first", 10, 30)
        begin("second", 20, 10)


def test_without_a_terminal_a_step_is_a_line_with_the_time_left(monkeypatch):
    said = io.StringIO()
    told(Console(file=said, width=80), monkeypatch)
    assert said.getvalue().splitlines() == ["first", "second; about 30 s left"]


def test_on_a_terminal_a_bar_follows_the_sequences_that_pass_the_blocks(monkeypatch):
    completed = []

    class Watched(steps.Progress):
        def update(self, task, **said):
            completed.append((said["completed"], said.get("total")))
            super().update(task, **said)

    monkeypatch.setattr(steps, "Progress", Watched)
    listeners = []

    class Listening:
        def __init__(self, listener):
            listeners.append(listener)

        def __enter__(self): ...

        def __exit__(self, *error): ...

    monkeypatch.setattr(steps, "listening", Listening)
    said = io.StringIO()
    with steps.steps_shown(Console(file=said, width=80, force_terminal=True), 2) as begin:
        begin("first", 10, 30)
        listeners[0](10)
        listeners[0](40)  # more than it said
        begin("second", 20, 10)
        listeners[0](8)
    assert completed == [(0, 40), (5, None), (10, None), (10, 40), (14, None)]
    assert re.search("second", said.getvalue())
