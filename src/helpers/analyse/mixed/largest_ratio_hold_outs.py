"""Which law of the largest quantization ratio predicts: laws by hold-outs as in `fits.hold_outs`, scored in ratio.

Tables are those of `largest_ratio.largest_ratios`. A prediction is clipped to 0 to 1, where ratios live, so that a
checkpoint that has everything within the budget (ratio 1) can be scored too. A law that can't be fitted is n/a, with
the reason.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
import statsmodels.api as sm

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitError, FitStatus
from helpers.analyse.fits.hold_outs import Split
from helpers.analyse.mixed.largest_ratio import QUESTION
from helpers.analyse.mixed.largest_ratio_law import BILLION, CAO_2024_LAWS, LEAST_RUNS, fit_ratio_law, usable_rows
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.table.records import given

Predictor = Callable[[pd.DataFrame, pd.DataFrame], FloatArray]  # training and held-out rows of one question


def by_size(training: pd.DataFrame, held: pd.DataFrame) -> FloatArray:
    """Return the predictions of the law of Cao et al., fitted to the last training checkpoint of each run."""
    last = training.sort_values(TOKENS_SEEN).drop_duplicates("run_label", keep="last")
    return fit_ratio_law(last).law.largest_ratio(held[N_PARAMS])


def by_size_and_tokens(training: pd.DataFrame, held: pd.DataFrame) -> FloatArray:
    """Return the predictions of the same law with a term in ln D."""
    fit = fit_ratio_law(training, with_tokens=True)
    shift = given(fit.token_slope).value * np.log(held[TOKENS_SEEN].to_numpy(float) / BILLION)
    return fit.law.largest_ratio(held[N_PARAMS]) - shift


def by_power(training: pd.DataFrame, held: pd.DataFrame) -> FloatArray:
    """Return the predictions of a power law, 1 - Qr = a N^-b: the share that is kept never falls to zero."""
    last = usable_rows(training).sort_values(TOKENS_SEEN).drop_duplicates("run_label", keep="last")
    if len(last) < LEAST_RUNS:
        message = f"a power law needs {LEAST_RUNS} runs that aren't at ratio 1; got {len(last)}"
        raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
    sizes, held_sizes = (
        sm.add_constant(np.log(rows[N_PARAMS].to_numpy(float)), has_constant="add") for rows in (last, held)
    )
    line = sm.OLS(np.log(1 - last["interpolated"].to_numpy(float)), sizes).fit()
    return 1 - np.exp(held_sizes @ line.params)


def next_size(training: pd.DataFrame, held: pd.DataFrame) -> FloatArray:
    """Return the largest training size's last ratio: nothing changes with size."""
    last = training.sort_values([N_PARAMS, TOKENS_SEEN]).iloc[-1]
    return np.full(len(held), float(last["interpolated"]))


def own_last(training: pd.DataFrame, held: pd.DataFrame) -> FloatArray:
    """Return each model's last ratio in training: nothing changes with tokens. Raises FitError for a model without."""
    known = training.sort_values(TOKENS_SEEN).drop_duplicates("model", keep="last").set_index("model")["interpolated"]
    ratios = held["model"].map(known)
    if ratios.isna().any():
        raise FitError("a model that isn't among the training rows", FitStatus.NOT_IDENTIFIABLE)
    return ratios.to_numpy(float)


def as_printed(_training: pd.DataFrame, held: pd.DataFrame) -> FloatArray:
    """Return the predictions of the law with published constants: of relative perplexity at 5, 10 and 20 percent."""
    metric, budget = held[["metric", "budget"]].iloc[0]
    if metric != "relative_perplexity" or budget not in CAO_2024_LAWS:
        raise FitError(f"no published law of {metric} at {budget:g}", FitStatus.NOT_IDENTIFIABLE)
    return CAO_2024_LAWS[budget].largest_ratio(held[N_PARAMS])


LAWS: dict[str, Predictor] = {
    "size": by_size,
    "size and tokens": by_size_and_tokens,
    "power": by_power,
    "as the next size": next_size,
    "as before": own_last,
    "published": as_printed,
}


def ratio_splits(largest: pd.DataFrame) -> dict[str, Split]:
    """Return the hold-outs: the largest size, the last tokens, and decayed checkpoints.

    The largest size is held out at the most tokens that it and some other size have. Training rows are checkpoints at a
    constant rate: for the largest size those of the others with no more tokens, for decay those with fewer tokens or as
    many.
    """
    constant = largest["schedule"] == "constant"
    trunk, decayed = largest[constant], largest[~constant]
    size, tokens = trunk[N_PARAMS], trunk[TOKENS_SEEN]
    held_tokens = tokens[(size == size.max()) & tokens.isin(tokens[size < size.max()])].max()
    masks = {
        "largest size": ((size < size.max()) & (tokens <= held_tokens), (size == size.max()) & (tokens == held_tokens)),
        "last tokens": (tokens < tokens.max(), tokens == tokens.max()),
    }
    by_name = {name: Split(trunk[training], trunk[held]) for name, (training, held) in masks.items()}
    if not decayed.empty:
        by_name["decayed rate"] = Split(trunk[tokens <= decayed[TOKENS_SEEN].max()], decayed)
    return {name: one for name, one in by_name.items() if not one.held.empty and not one.training.empty}


def predicted(largest: pd.DataFrame, laws: Mapping[str, Predictor] = LAWS) -> pd.DataFrame:
    """Return each held-out row of each law, hold-out and question, with `predicted`, `error` (of the ratio), `reason`.

    `law` and `hold_out` name them; the other columns are the row's. Where a law can't predict, `predicted` is NaN.
    """
    parts = []
    for _, rows in largest.groupby(QUESTION, dropna=False):
        for hold_out, split in ratio_splits(rows).items():
            for law, predictor in laws.items():
                try:
                    values, reason = np.clip(predictor(split.training, split.held), 0.0, 1.0), ""
                except FitError as error:
                    values, reason = np.full(len(split.held), np.nan), str(error)
                made = {"law": law, "hold_out": hold_out, "predicted": values, "reason": reason}
                parts.append(split.held.assign(**made))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(error=table["predicted"] - table["interpolated"])


def scores(table: pd.DataFrame, by: Iterable[str] = ("law", "hold_out")) -> pd.DataFrame:
    """Return `bias` and `rms` of the errors of `predicted` (no unit: of a ratio), `n_rows` and `n_missing`, by `by`."""
    groups = table.groupby(list(by), sort=False)["error"]
    return pd.DataFrame(
        {
            "bias": groups.mean(),
            "rms": groups.apply(lambda one: float(np.sqrt((one**2).mean()))),
            "n_rows": groups.count(),
            "n_missing": groups.apply(lambda one: int(one.isna().sum())),
        }
    ).reset_index()
