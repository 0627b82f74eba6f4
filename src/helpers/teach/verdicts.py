"""The verdict on an answer: right, wrong with a hint, or none yet. Pure: an exercise and a number in, words out."""

import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

WIDTH = 72  # letters a line of a verdict
PERCENT = 100.0


@dataclass(frozen=True)
class Slip:
    """A wrong answer that a known mistake leads to, and what to say about the mistake."""

    answer: Callable[[], float]
    hint: str


@dataclass(frozen=True)
class Exercise:
    """One exercise with a number for an answer.

    `number` is the chapter's and the exercise's (`4.5`); `asked` names the answer with its unit; `tolerance` is a share
    of the expected answer, zero for a count, and `reason` says why so much and no more.
    """

    number: str
    asked: str
    expected: Callable[[], float]
    tolerance: float
    reason: str
    hint: str
    slips: tuple[Slip, ...] = ()


@dataclass(frozen=True, repr=False)
class Verdict:
    """The judgement of one answer: `right` is None where there was no answer; shown as its text, which is Markdown."""

    right: bool | None
    text: str

    def __repr__(self) -> str:
        return textwrap.fill(self.text, WIDTH)

    def _repr_markdown_(self) -> str:
        return self.text  # a page breaks its lines where they fit, on a phone too; a terminal has `__repr__`


def judge(exercise: Exercise, answer: object) -> Verdict:
    """Return the verdict on `answer`; None says that there is none yet. A wrong answer is never told the right one."""
    if answer is None:
        return Verdict(None, f"{exercise.number} waits for {exercise.asked}. {_accepted(exercise)}")
    value = _number(answer)
    if value is None:
        return Verdict(False, f"{exercise.number}: that is {_kind(answer)}; accepted: one number, {exercise.asked}.")
    expected = exercise.expected()
    if _within(value, expected, exercise.tolerance):
        return Verdict(True, f"{exercise.number}: right, {value:.4g}. {_accepted(exercise)}")
    return Verdict(False, f"{exercise.number}: not yet. {_hint(exercise, value, expected)} {_accepted(exercise)}")


def _within(value: float, expected: float, tolerance: float) -> bool:
    return abs(value - expected) <= tolerance * abs(expected)


def _accepted(exercise: Exercise) -> str:
    span = f"within {PERCENT * exercise.tolerance:g}%" if exercise.tolerance else "exactly"
    return f"Accepted {span}: {exercise.reason}."


def _number(answer: object) -> float | None:
    """Return an answer as a finite number, a scalar of NumPy or torch too; None for anything else."""
    if isinstance(answer, bool | str) or getattr(answer, "shape", ()) != ():
        return None
    try:
        value = float(answer)  # type: ignore[arg-type]  # what can't be a number raises here
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _kind(answer: object) -> str:
    """Return what an answer is that isn't one finite number, in words."""
    if isinstance(answer, float):
        return "no finite number"
    shape = getattr(answer, "shape", None)
    return f"a {type(answer).__name__}" + (f" of shape {tuple(shape)}" if shape is not None else "")


def _hint(exercise: Exercise, value: float, expected: float) -> str:
    """Return the words for a wrong answer: those of the mistake that gives it, else of its side of the right one."""
    tolerance = max(exercise.tolerance, 1e-9)
    for slip in exercise.slips:
        if _within(value, slip.answer(), tolerance):
            return slip.hint
    if _within(-value, expected, tolerance):
        return "The size is right, the sign isn't."
    if _within(value, expected * PERCENT, tolerance) or _within(value, expected / PERCENT, tolerance):
        return "That is off by a factor of a hundred: a share or per cent?"
    return f"Yours is too {'low' if value < expected else 'high'}. {exercise.hint}"
