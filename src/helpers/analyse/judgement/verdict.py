"""The judgement of laws from their scores by run: errors and ties, ranks on smaller sizes, outside, the default."""

import dataclasses

import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.judgement.default_law import default_law
from helpers.analyse.judgement.outside import (
    BITS_ALONE,
    GROUP,
    OUTSIDE,
    PERPLEXITIES,
    mean_by_width,
    outside_points,
    outside_scores,
)
from helpers.analyse.judgement.scoring import RANKED_ON, compared, rank_correlations, with_errors
from helpers.analyse.laws.default import LOSS_PREDICTED
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import ChainedLaw
from helpers.analyse.laws.names import FORMS
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.laws.variables import OWN_VARIABLES
from helpers.analyse.rows.outcomes import QID
from helpers.analyse.rows.study import GROUP_SIZE
from helpers.table.records import given

NONE = pd.DataFrame(index=pd.Index([], name="law"))
OF_ERRORS = ["n_runs", "log_rms_se", "tied", "run_coverage", "run_coverage_se"]


def judgement_of(fits: StoredFits, main: FitData, generator: np.random.Generator) -> StoredFits:
    """Return `fits` with all that follows from `judged` and `by_run`; `main` are the rows that laws were fitted to."""
    of_scores, of_ranks, of_outside = generator.spawn(3)
    judged = with_errors(fits.judged.drop(columns=OF_ERRORS, errors="ignore"), fits.by_run, of_scores)
    judged["tied"] = judged["tied"].eq(True)  # what is n/a is tied with nothing
    ranked = compared(fits.by_run, RANKED_ON, of_ranks)
    ranked = ranked.assign(constants=[n_constants(law, fits) for law in ranked.index])
    ranked = ranked.assign(candidate=ranked.index.isin(candidates(judged)))
    outside = NONE  # papers print perplexities, which say nothing of KL
    if main.outcome == QID:
        outside = compared(outside_of(fits, main), [OUTSIDE], of_outside, reference=BITS_ALONE)
    return dataclasses.replace(
        fits,
        judged=judged,
        ranked=ranked,
        rank_correlations=rank_correlations(ranked.loc[ranked["candidate"], "score"], judged),
        outside=outside,
        default=default_law(compared_candidates(fits.by_run, ranked, generator.spawn(1)[0]), outside),
    )


def compared_candidates(by_run: pd.DataFrame, ranked: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Return the candidates among `ranked` as `compared` with the best of them, with `constants`."""
    names = ranked.index[ranked["candidate"]]
    return compared(by_run[by_run["law"].isin(names)], RANKED_ON, generator).assign(constants=ranked["constants"])


def candidates(judged: pd.DataFrame) -> list[str]:
    """Return the fitted laws that can be asked of everything: of D, N and P alone, with a score on every hold-out."""
    scored = judged.groupby("law", sort=False)["log_rms"].agg(lambda rms: bool(rms.notna().all()))
    return [law for law in scored.index[scored] if law not in PUBLISHED and _of_own_variables(str(law))]


def _of_own_variables(law: str) -> bool:
    return law.endswith(LOSS_PREDICTED) or (law in FORMS and set(FORMS[law].needs()) <= set(OWN_VARIABLES))


def n_constants(law: str, fits: StoredFits) -> int:
    """Return how many constants were fitted for a law that was judged: those of a law of the loss included."""
    if law in PUBLISHED:
        return 0
    if law.endswith(LOSS_PREDICTED):
        own, more = law.removesuffix(LOSS_PREDICTED), len(given(fits.loss_law).parameter_names())
        return len(FORMS[own].coefficient_names()) + more
    if law in FORMS:
        return len(FORMS[law].coefficient_names())
    return sum(len(fits.fits[name].coefficients) for name in fits.widths.values() if name in fits.fits)


def outside_of(fits: StoredFits, main: FitData) -> pd.DataFrame:
    """Return the scores of laws on models of others, by model (`outside_scores`); laws with a loss predict it."""
    ours: dict[str, Law | ChainedLaw] = {}
    for name in fits.judged["law"].unique():
        own = name.removesuffix(LOSS_PREDICTED)
        if own in fits.fits and set(FORMS[own].needs()) <= {*OWN_VARIABLES, "loss_nats"}:
            law = fits.fits[own].law
            ours[name] = ChainedLaw(law, given(fits.loss_law)) if name != own else law
    grouped = fits.fits.get("group-size")
    coarser = 1.0 if grouped is None else (GROUP / GROUP_SIZE) ** grouped.coefficients["eta"]
    points = outside_points(pd.read_csv(PERPLEXITIES))
    return outside_scores(points, ours, PUBLISHED, mean_by_width(main), coarser)
