"""What the chapter on a reader's own model states: printed models by method, and what a QiD means in other units."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.mixed.largest_ratio_law import RatioFit, fit_ratio_law
from helpers.analyse.questions.published_perplexities import external_points, one_a_setting
from helpers.analyse.rows.degradation import BASELINE_KEY, N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.study import MIXED, agreeing
from helpers.show.numbers.choose.how_much_can_go_low import MAIN, METRIC, Mixed

METHODS = ("RTN", "GPTQ", "AWQ")
GROUP = "128"  # weights a scale of the printed points that are compared
AROUND = 1.25  # a row counts for a level of QiD that it is at most so many times off
LEVELS = (0.01, 0.05, 0.2, 0.5)  # nats per token


def printed_in_groups(printed: pd.DataFrame) -> pd.DataFrame:
    """Return the printed models whose loss per token is known in groups of `GROUP`, one row a model, bits and method.

    `printed` has the columns of the CSV; QiD of zero or less and broken models are left out.
    """
    points = one_a_setting(external_points(printed))
    chosen = (points["group_size"] == GROUP) & points["method"].isin(METHODS) & ~points["per_word"] & ~points["broken"]
    return points[chosen & (points["qid_nats"] > 0)].reset_index(drop=True)


def by_method(points: pd.DataFrame, bits: int) -> pd.DataFrame:
    """Return by model, the smallest first, tokens per parameter and the factor of perplexity of each method."""
    at = points[points["bits"] == bits]
    factors = at.assign(factor=np.exp(at["qid_nats"])).pivot(index="model", columns="method", values="factor")
    sizes = at.groupby("model")[[N_PARAMS, TOKENS_SEEN]].first()
    table = factors.reindex(columns=list(METHODS)).assign(ratio=sizes[TOKENS_SEEN] / sizes[N_PARAMS])
    return table.loc[sizes[N_PARAMS].sort_values().index, ["ratio", *METHODS]]


def meanings(measurements: pd.DataFrame, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """Return what rounding did to models whose QiD is near each level: medians, with 10% and 90% over rows.

    Columns: `perplexity_factor`, then `kl_nats`, `agreement` and `accuracy_lost` (shares of next tokens) each with
    `_low` and `_high`, `n_rows`, `n_runs`. Only rows whose accuracy was measured on both sides count.
    """
    known = measurements[measurements["top1_accuracy"].notna() & (measurements["status"] == "ok")]
    accuracies = known[known["method"] == "none"].set_index(BASELINE_KEY)["top1_accuracy"].rename("accuracy_16")
    rows = degradation(known).join(accuracies, on=BASELINE_KEY)
    rows = rows.assign(accuracy_lost=rows["accuracy_16"] - rows["top1_accuracy"], agreement=rows["top1_agreement"])
    found = {}
    for level in levels:
        near = rows[(rows["qid_nats"] > level / AROUND) & (rows["qid_nats"] < level * AROUND)]
        one: dict[str, float] = {"perplexity_factor": float(np.exp(level))}
        for name in ("kl_nats", "agreement", "accuracy_lost"):
            low, middle, high = near[name].quantile([0.1, 0.5, 0.9])
            one |= {name: middle, f"{name}_low": low, f"{name}_high": high}
        found[level] = one | {"n_rows": len(near), "n_runs": near["run_label"].nunique()}
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("qid_nats")


def own_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Return this book's rows for the calculator: `model`, size, tokens, `bits`, `qid_nats`, all QiD above zero."""
    shown = rows.loc[rows["qid_nats"] > 0, ["model", N_PARAMS, TOKENS_SEEN, "bits", "qid_nats"]]
    return shown.reset_index(drop=True)


def kept_laws(trials: pd.DataFrame, measured: pd.DataFrame) -> dict[float, RatioFit]:
    """Return by budget of relative perplexity the law of the share that stays in 16 bits, by size and tokens.

    The law is chapter 15's, of weights and inputs in MXINT-4, matrix by matrix, at a constant rate. `trials` and
    `measured` are the tracked tables. Raises FitError where a law can't be fitted.
    """
    own = measured[(measured["family"] == MIXED) & (measured["schedule"] == "constant")]
    own = own[(own["method"] == "none") | (own["activation_format"] == "mxint")]
    tried = {"schedule": "constant", "activation_format": "mxint", "granularity": "matmul"}
    largest = Mixed.from_tables(trials[agreeing(trials, tried)], own).largest
    main = largest[agreeing(largest, {"scheme": MAIN, "metric": METRIC, "granularity": "matmul"})]
    return {float(budget): fit_ratio_law(rows, with_tokens=True) for budget, rows in main.groupby("budget")}
