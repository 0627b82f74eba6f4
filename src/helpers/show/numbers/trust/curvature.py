"""What appendix D says of the trace of the Hessian: how it moves with tokens and size, and what decay does to it."""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import LATE_TOKENS
from helpers.show.claims import claim
from helpers.show.intervals import Numbers
from helpers.show.style import count_label

TRACE = "hessian_trace"
LEVEL = 0.975  # of the upper end of a 95% interval
SAME_ERROR = 0.02  # relative rounding errors closer than that are the same in prose


def over_trunk(ends: pd.DataFrame, trunk: pd.DataFrame) -> pd.Series:
    """Return the trace at the ends of cooldowns over the trunk's at the same model and step (factors)."""
    keys = ["model", "step"]
    both = ends.merge(trunk[[*keys, TRACE]], on=keys, suffixes=("", "_trunk"))
    return both[TRACE] / both[f"{TRACE}_trunk"]


def along_training(trunk: pd.DataFrame) -> None:
    """Raise ValueError where traces of the trunk don't move as the text says; `trunk` has one row a checkpoint."""
    traces = trunk.pivot(index=TOKENS_SEEN, columns=N_PARAMS, values=TRACE)
    rises, highest = traces.iloc[0] < traces.max(), traces.idxmax()
    claim(bool((np.diff(traces.iloc[-1]) < 0).all()), "a larger model has the smaller trace at the end")
    claim(bool(rises.iloc[:-1].all()) and not rises.iloc[-1], "the trace rises first, but in the largest")
    claim(bool((traces.iloc[-1] < traces.max()).all()), "every trace falls later")
    claim(highest.iloc[0] > highest.iloc[-1], "the trace turns earlier in the largest than in the smallest")


def of_largest(trunk: pd.DataFrame) -> Numbers:
    """Return how the largest model's trace falls beyond LATE_TOKENS, with its 95% interval over probes, and why.

    `rms_growth` is of the median matrix's weights, `rtn_error` its relative error of rounding to 3 bits at the end.
    """
    rows = trunk[trunk[N_PARAMS] == trunk[N_PARAMS].max()].sort_values(TOKENS_SEEN)
    early, late = rows[rows[TOKENS_SEEN] > LATE_TOKENS].iloc[0], rows.iloc[-1]
    log_fall = np.log(late[TRACE] / early[TRACE])
    relative = [row[f"{TRACE}_se"] / row[TRACE] for row in (early, late)]
    reach = stats.t(late["hessian_probes"] - 1).ppf(LEVEL) * np.hypot(*relative)
    errors, sizes = (
        [float(np.median(np.array(row[name], float))) for row in (early, late)]
        for name in ("rtn_error_3_bits", "weight_rms")
    )
    claim(log_fall + reach < 0, "the largest model's trace falls")
    claim(abs(errors[1] / errors[0] - 1) < SAME_ERROR, "rounding's relative error stays where it was")
    return {
        "n_probes": int(late["hessian_probes"]),
        "trace_early": count_label(early[TOKENS_SEEN]),
        "trace_fall": float(np.exp(log_fall)),
        "trace_low": float(np.exp(log_fall - reach)),
        "trace_high": float(np.exp(log_fall + reach)),
        "rms_growth": sizes[1] / sizes[0],
        "rtn_error": errors[1],
    }


def numbers(trunk: pd.DataFrame, ends: pd.DataFrame) -> Numbers:
    """Return what the section on curvature states; `trunk` and `ends` (of cooldowns) have the columns of checkpoints.

    Raises ValueError with the sentence that these tables don't bear out.
    """
    along_training(trunk)
    sharper = over_trunk(ends, trunk)
    claim(bool((sharper > 1).all()), "decay raises the trace")
    shown: Numbers = {
        "n_sharper": len(sharper),
        "sharper_lowest": float(sharper.min()),
        "sharper_highest": float(sharper.max()),
    }
    return of_largest(trunk) | shown
