"""The check of an answer in a notebook: `check("4.5", answer)`."""

from helpers.table.errors import AnalysisError
from helpers.teach.exercises import keeping, laws, learn, models, trust
from helpers.teach.verdicts import Verdict, judge

EVERY = {exercise.number: exercise for module in (learn, laws, trust, keeping, models) for exercise in module.EXERCISES}


def check(number: str, answer: object) -> Verdict:
    """Return the verdict on an answer to the exercise `number` (chapter and exercise); None asks what is wanted.

    Raises AnalysisError for an exercise that has no check, ResultsError where the tables aren't there.
    """
    if number not in EVERY:
        raise AnalysisError(f"no exercise '{number}' has a check; accepted: {', '.join(EVERY)}")
    return judge(EVERY[number], answer)
