"""Models trained at low bits beside their 16-bit twins on the same batches: how far behind, and when it is worth it.

Tables have the columns of `helpers.table.rows.Measurement`. A twin is the model's 16-bit run at the same step, on the
same evaluation and device; it may lie in another table. Losses are in nats per token, differences paired by document.
"""

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, refuse_rows, run_label
from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error

TWIN = ["model", "step", "eval_id", "device_type"]
GRID = ["bits", "group_size", "symmetric"]
CLEAR = 2.0  # standard errors
STORED_16 = 16  # bits of a parameter that isn't rounded: embeddings, norms, biases


def gaps(native: pd.DataFrame, twins: pd.DataFrame) -> pd.DataFrame:
    """Return the `ok` rows of models trained at low bits with what they lose to their twins.

    `twins` are rows of 16-bit runs: baselines, and what round-to-nearest made of them. Adds `run_label`, `gap_nats`
    (the loss minus the twin's), `gap_se_nats` (paired, by document), `rounded_nats` (what the twin loses when it is
    rounded afterwards to the same grid; null where that wasn't measured) and `stored_bits` of the whole model. Raises
    AnalysisError for a row without a twin, or with two.
    """
    rows = native[(native["method"] == "native") & (native["status"] == "ok")]
    usable = twins[twins["status"] == "ok"]
    baselines = usable[usable["method"] == "none"]
    rounded = usable[(usable["method"] == "rtn") & (usable["format"] == "int") & usable["activation_format"].isna()]
    refuse_rows(baselines[baselines.duplicated(TWIN)], "more than one 16-bit twin")
    refuse_rows(rounded[rounded.duplicated([*TWIN, *GRID])], "more than one rounded twin")
    losses = {"loss_nats": "twin_loss_nats", "group_loss": "twin_group_loss"}
    joined = rows.merge(baselines[[*TWIN, *losses]].rename(columns=losses), on=TWIN, how="left", validate="m:1")
    refuse_rows(joined[joined["twin_loss_nats"].isna()], "without a 16-bit twin on the same text and device")
    of_twin = rounded[[*TWIN, *GRID, "loss_nats"]].rename(columns={"loss_nats": "rounded_loss_nats"})
    joined = joined.merge(of_twin, on=[*TWIN, *GRID], how="left", validate="m:1")
    differences = [
        np.asarray(row["group_loss"], float) - np.asarray(row["twin_group_loss"], float) for _, row in joined.iterrows()
    ]
    as_rounded = joined["n_params_quantized"]
    return joined.drop(columns="twin_group_loss").assign(
        run_label=run_label(joined),
        gap_nats=joined["loss_nats"] - joined["twin_loss_nats"],
        gap_se_nats=[paired_error(difference) for difference in differences],
        rounded_nats=(joined["rounded_loss_nats"] - joined["twin_loss_nats"]).where(joined["format"] == "int"),
        stored_bits=as_rounded * joined["effective_bits"] + (joined["n_params_total"] - as_rounded) * STORED_16,
    )


def behind_from(of_run: pd.DataFrame) -> float:
    """Return the tokens from which one run stays behind its twin by more than `CLEAR` errors; NaN if it doesn't.

    `of_run` are rows of `gaps` of one run, one scheme and one text.
    """
    ordered = _in_order(of_run)
    clear = (ordered["gap_nats"] > CLEAR * ordered["gap_se_nats"]).to_numpy()
    lasting = np.logical_and.accumulate(clear[::-1])[::-1]
    return float(ordered[TOKENS_SEEN].to_numpy(float)[lasting].min()) if lasting.any() else np.nan


def growth(rows: pd.DataFrame) -> dict[str, float]:
    """Return the exponents of D and N of the gap, by least squares of ln gap: gap = k D^tokens N^size.

    `rows` are those of `gaps` of several sizes at one scheme and text; rows that aren't clearly behind are left out.
    Raises AnalysisError where what is left has fewer than two sizes or moments.
    """
    clear = rows[rows["gap_nats"] > CLEAR * rows["gap_se_nats"]]
    if clear[N_PARAMS].nunique() < 2 or clear[TOKENS_SEEN].nunique() < 2:
        raise AnalysisError(f"{len(clear)} rows are clearly behind; needed: two sizes and two moments")
    logs = [np.log(clear[name].to_numpy(float)) for name in (TOKENS_SEEN, N_PARAMS, "gap_nats")]
    design = np.stack([np.ones(len(clear)), *logs[:2]], axis=-1)
    _, tokens, size = np.linalg.lstsq(design, logs[2], rcond=None)[0]
    return {"tokens": float(tokens), "size": float(size)}


def break_even(of_run: pd.DataFrame, rounded_twin: pd.DataFrame, overhead: float = 1.0) -> float:
    """Return the 16-bit tokens whose work buys as good a model by either way, and from which low bits stay better.

    `of_run` are rows of one run trained at low bits, `rounded_twin` its twin's rows rounded afterwards, with
    `loss_nats` and tokens; a token at low bits takes `overhead` of a 16-bit one's work. With a budget a twin can also
    be stopped and rounded earlier, so it is as good as its best so far. Between measured moments losses are straight in
    ln D. 0 where low bits are better from the first budget that both have, NaN where they aren't at the last.
    """
    budget, native = _curve(of_run)
    budget = budget + np.log(overhead)
    seen, best = _curve(rounded_twin)
    best = np.minimum.accumulate(best)
    both = np.union1d(budget, seen)
    both = both[(both >= max(budget[0], seen[0])) & (both <= min(budget[-1], seen[-1]))]
    if both.size == 0:
        raise AnalysisError("no budget that both ways have")
    better_by = np.interp(both, seen, best) - np.interp(both, budget, native)
    worse = np.flatnonzero(better_by <= 0)
    if worse.size == 0:
        return 0.0
    last = worse[-1]
    if last == both.size - 1:
        return np.nan
    share = -better_by[last] / (better_by[last + 1] - better_by[last])
    return float(np.exp(both[last] + share * (both[last + 1] - both[last])))


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one run's rows by tokens. Raises AnalysisError where a moment is there twice, or none."""
    if rows.empty or rows[TOKENS_SEEN].duplicated().any():
        raise AnalysisError(f"{len(rows)} rows; needed: those of one run, scheme and text")
    return rows.sort_values(TOKENS_SEEN)


def _curve(rows: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Return ln D and the loss of one run, in the order of D."""
    ordered = _in_order(rows)
    return np.log(ordered[TOKENS_SEEN].to_numpy(float)), ordered["loss_nats"].to_numpy(float)
