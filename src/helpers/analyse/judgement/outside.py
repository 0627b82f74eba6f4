"""Laws judged on models of others, by perplexities that papers print: one model, one vote, beside two baselines.

A model at several bit widths counts once: its rows share it. Baselines are *bits alone*, which says at every size and
after all tokens the mean ln QiD that the bit width has in this project's rows, and the constants that Kumar et al. 2024
print. No law is fitted to these points.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitData
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import ChainedLaw
from helpers.analyse.questions.published_perplexities import external_points, one_a_setting, over_laws

PERPLEXITIES = Path("data/published/published_perplexities.csv")
GROUP = 128  # weights that share a scale in the points that count
BITS_ALONE = "bits alone"
OUTSIDE = "published perplexities"


def outside_points(printed: pd.DataFrame) -> pd.DataFrame:
    """Return the printed points that laws are judged on: GPTQ in groups of `GROUP`, nats per token, QiD above zero."""
    points = one_a_setting(external_points(printed))
    in_groups = (points["method"] == "GPTQ") & (points["group_size"] == str(GROUP))
    working = ~points["per_word"] & ~points["broken"] & (points["qid_nats"] > 0)
    return points[in_groups & working].assign(group_size=float(GROUP)).reset_index(drop=True)


def mean_by_width(data: FitData) -> dict[float, float]:
    """Return the geometric mean of the positive QiD at each bit width, in nats per token."""
    positive = data.outcome_nats > 0
    return {
        float(bits): float(np.exp(np.log(data.outcome_nats[positive & (data.bits == bits)]).mean()))
        for bits in np.unique(data.bits[positive])
    }


def outside_scores(
    points: pd.DataFrame,
    ours: Mapping[str, Law | ChainedLaw],
    published: Mapping[str, Any],  # as `laws.published.PUBLISHED`
    bits_alone: Mapping[float, float],
    coarser: float,
) -> pd.DataFrame:
    """Return one row per law and model, in the columns of `hold_outs.scores_by_run`; `run_label` is the model.

    `ours` and `bits_alone` come from finer groups than the points have: `coarser` is the factor that this makes. Laws
    that need what the points don't have aren't there.
    """
    said = over_laws(points, dict(ours) | dict(published))
    said = said.assign(predicted_nats=said["predicted_nats"] * np.where(said["law"].isin(ours), coarser, 1.0))
    known = points[points["bits"].isin(bits_alone)]
    baseline = known.assign(law=BITS_ALONE, predicted_nats=known["bits"].map(bits_alone) * coarser)
    every = pd.concat([said[baseline.columns], baseline])
    with np.errstate(divide="ignore"):
        every["square"] = np.log(every["predicted_nats"] / every["qid_nats"]) ** 2
    by_model = every.groupby(["law", "model"], sort=False)["square"].agg(log_mean_square="mean", n_rows="size")
    return (
        by_model.reset_index()
        .rename(columns={"model": "run_label"})
        .assign(hold_out=OUTSIDE, n_clear=1, coverage=np.nan)
    )
