"""The default law by a written rule: which one `qid predict`, the front page and the calculator take."""

import pandas as pd

from helpers.analyse.fits.data import FitError, FitStatus
from helpers.analyse.laws.default import DefaultLaw


def default_law(judged: pd.DataFrame, outside: pd.DataFrame) -> DefaultLaw:
    """Return the default law of laws judged on the smaller sizes (`judged`) and on models of others (`outside`).

    The rule:

    1. Candidates can be asked of everything: they need D, N and P alone, and have an answer on every hold-out.
    2. They are scored where the largest size has no part: one size up, the last factor 4 of D, both at once.
    3. Laws whose score can't be told from the best are tied: the 95% interval of the difference, over runs, holds zero.
    4. A law that is significantly worse on models of others than bits alone (same interval, over models) is vetoed.
    5. Of those left the one with the fewest fitted constants is taken; of several, the one with the lowest score.

    Both tables are those of `scoring.compared`, of candidates alone: `judged` against the best, with a column
    `constants`; `outside` against bits alone. Should the veto take every tied law, the best of the rest is taken.
    Raises FitError where no candidate is left.
    """
    judged = judged.sort_values("score")
    worse = [law for law in judged.index if law in outside.index and outside.loc[law, "behind_low"] > 0]
    tied = judged.index[judged["tied"]]
    left = [law for law in tied if law not in worse] or [law for law in judged.index if law not in worse][:1]
    if not left:
        raise FitError("no law that can be asked of everything is left to be the default", FitStatus.NOT_IDENTIFIABLE)
    fewest = judged.loc[left].sort_values(["constants", "score"], kind="stable")
    name = str(fewest.index[0])
    return DefaultLaw(name, _reason(name, judged, list(tied), worse), tuple(map(str, tied)))


def _reason(name: str, judged: pd.DataFrame, tied: list[str], worse: list[str]) -> str:
    score, best = judged.loc[name, "score"], judged.index[0]
    constants, n_runs = int(judged.loc[name, "constants"]), int(judged.loc[name, "n_runs"])
    of_best = "" if name == best else f" (the best, {best}, has {judged.loc[best, 'score']:.3f})"
    others = ", ".join(law for law in tied if law != name)
    ties = f", tied with {others}" if name in tied and others else ", tied with none" if name in tied else ""
    vetoed = [law for law in tied if law in worse]
    veto = f"; worse than bits alone on models of others: {', '.join(vetoed)}" if vetoed else ""
    return f"rms of ln {score:.3f} on the smaller sizes, {n_runs} runs{of_best}{ties}; {constants} constants{veto}"
