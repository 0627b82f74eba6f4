"""What the chapter on the ratio against training states: changes along runs, with decay, law of size and tokens."""

import numpy as np
import pandas as pd

from helpers.analyse.mixed.largest_ratio import RECIPES, changes_by, cost_at_targets, paired_changes
from helpers.analyse.mixed.largest_ratio_hold_outs import predicted, scores
from helpers.analyse.mixed.largest_ratio_law import RatioFit
from helpers.analyse.mixed.trials import scheme_names
from helpers.analyse.questions.slopes_of_ratios import log_mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.claims import claim
from helpers.show.intervals import Numbers, with_named_ends
from helpers.show.numbers.choose.how_much_can_go_low import (
    BUDGET,
    MAIN,
    METRIC,
    Mixed,
    as_row,
    named_fits,
)
from helpers.show.style import count_label
from helpers.table.records import given

FIRST, MIDDLE, LAST = 500, 1907, 7275  # steps of the three moments
SPANS = {"whole": (FIRST, LAST), "early": (FIRST, MIDDLE), "late": (MIDDLE, LAST)}
QUESTION = ["scheme", "granularity", "metric", "budget"]
SIDES = {"gptq_2": ("GPTQ 2 bits", BUDGET), "gptq_3": ("GPTQ 3 bits", 0.05)}  # other schemes, and a budget that bites
CHANGE_LABEL = "change of the largest ratio (share of parameters)"
GRANULARITIES = ("matmul", "layer")
LAW_NAMES = {  # laws and hold-outs of the last table by the names of their keys
    "size_largest": ("size", "largest size"),
    "both_largest": ("size and tokens", "largest size"),
    "both_last": ("size and tokens", "last tokens"),
    "before_last": ("as before", "last tokens"),
    "before_decayed": ("as before", "decayed rate"),
    "published_largest": ("published", "largest size"),
    "published_last": ("published", "last tokens"),
    "published_decayed": ("published", "decayed rate"),
}


def at_step(largest: pd.DataFrame, step: int) -> pd.DataFrame:
    """Return the largest ratios of one step at the constant rate."""
    return largest[(largest["schedule"] == "constant") & (largest["step"] == step)]


def main_of(largest: pd.DataFrame, granularity: str = "matmul") -> pd.DataFrame:
    """Return the largest ratios of the main scheme by relative perplexity."""
    asked = (largest["scheme"] == MAIN) & (largest["metric"] == METRIC) & (largest["granularity"] == granularity)
    return largest[asked]


# ---- along a run -----------------------------------------------------------------------------------------------------


def pairs(largest: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """Return the changes from one step to another at the constant rate, run by run, with `scheme`."""
    return paired_changes(at_step(largest, first), at_step(largest, last)).assign(scheme=scheme_names)


def with_decay(largest: pd.DataFrame) -> pd.DataFrame:
    """Return the differences of cooldowns from the middle moment at equal tokens, run by run, with `scheme`."""
    decayed = largest[largest["schedule"] == "cooldown"]
    return paired_changes(at_step(largest, MIDDLE), decayed).assign(scheme=scheme_names)


def drawn_changes(changes: pd.DataFrame) -> pd.DataFrame:
    """Return `changes_by` question by relative perplexity, of three runs or more, with `title` of its panel."""
    table = changes_by(changes, QUESTION)
    drawn = table[(table["metric"] == METRIC) & (table["n_runs"] > 2)]
    return drawn.assign(title=drawn["budget"].map("{:.0%} more perplexity".format))


def _counted(changes: pd.DataFrame) -> tuple[int, int, pd.DataFrame]:
    """Return how many pairs aren't at one at both ends, how many of them fall, and questions of two runs or more."""
    moving = changes[~changes["at_one"]]
    table = changes_by(changes, QUESTION)
    return len(moving), int((moving["change"] < 0).sum()), table[table["n_runs"] > 1].set_index(QUESTION)


def moments(largest: pd.DataFrame) -> Numbers:
    """Return tokens of the three moments, the runs that reach them, and where the largest model ends."""
    names = {"first": FIRST, "middle": MIDDLE, "last": LAST}
    tokens = {name: at_step(largest, step)[TOKENS_SEEN].iloc[0] for name, step in names.items()}
    constant = largest[largest["schedule"] == "constant"]
    own = main_of(constant[constant[N_PARAMS] == constant[N_PARAMS].max()]).sort_values(TOKENS_SEEN)
    found: Numbers = {f"train_{name}": count_label(count) for name, count in tokens.items()}
    found |= {
        "train_runs": constant["run_label"].nunique(),
        "train_late_runs": at_step(largest, LAST)["run_label"].nunique(),
        "train_budget": BUDGET,
        "train_factor": tokens["last"] / tokens["middle"],
        "large_tokens": count_label(own[TOKENS_SEEN].iloc[-1]),
    }
    for budget, name in ((0.05, "5"), (0.1, "10")):
        start, end = own.loc[own["budget"] == budget, "interpolated"].iloc[-2:]
        claim((end < start) == (budget == 0.05), "the largest model's ratio falls at 5%, and not at 10%")
        found |= {f"large_from_{name}": start, f"large_to_{name}": end}
    return found


def along(largest: pd.DataFrame) -> Numbers:
    """Return the mean changes along the runs; checks that every pair falls, and most of it early."""
    changes = {name: pairs(largest, *span) for name, span in SPANS.items()}
    counted = {name: _counted(table) for name, table in changes.items()}
    found: Numbers = {}
    for span, (_, _, table) in counted.items():
        found |= with_named_ends(f"{span}_matmul", table.loc[(MAIN, "matmul", METRIC, BUDGET)])
    n_moving, n_down, table = counted["whole"]
    main = table.loc[(MAIN, "matmul", METRIC, BUDGET)]
    found |= with_named_ends("whole_layer", table.loc[(MAIN, "layer", METRIC, BUDGET)])
    for name, (scheme, budget) in SIDES.items():
        found |= with_named_ends(f"whole_{name}", table.loc[(scheme, "matmul", METRIC, budget)])
    claim(main["n_down"] == main["n_runs"], "the main ratio falls in all runs")
    claim(n_down == n_moving, "the ratio falls in every pair that isn't at one at both moments")
    early, late = (counted[span][2].at[(MAIN, "matmul", METRIC, BUDGET), "mean"] for span in ("early", "late"))
    claim(early < late, "most of the fall comes early")
    return found | {
        "of_runs": int(main["n_runs"]),
        "moved": n_moving,
        "answers": len(table),
        "answers_down": int((table["high"] < 0).sum()),
    }


def decay(largest: pd.DataFrame) -> Numbers:
    """Return how the ratios of decayed models differ at equal tokens; checks that none is clearly higher."""
    n_moving, n_down, table = _counted(with_decay(largest))
    found: Numbers = {}
    for granularity in GRANULARITIES:
        row = table.loc[(MAIN, granularity, METRIC, BUDGET)]
        claim(row["low"] < 0 < row["high"], "of MXINT what decay takes can't be distinguished from zero")
        found |= with_named_ends(f"decay_{granularity}", row)
    for name, (scheme, budget) in SIDES.items():
        found |= with_named_ends(f"decay_{name}", table.loc[(scheme, "matmul", METRIC, budget)])
    claim(bool((table["low"] <= 0).all()), "no question has an interval above zero")
    return found | {
        "decay_cells": n_moving,
        "decay_down": n_down,
        "decay_runs": int(table.at[(MAIN, "matmul", METRIC, BUDGET), "n_runs"]),
        "decay_answers": len(table),
        "decay_clear_down": int((table["high"] < 0).sum()),
    }


# ---- one law of size and tokens --------------------------------------------------------------------------------------


def law_of_both(fits: pd.DataFrame) -> Numbers:
    """Return slopes in ln N and ln D, the power of tokens that size must follow, and what both at once take.

    `fits` comes from `named_fits` with tokens, at the constant rate.
    """
    fitted = fits[fits["fit"].notna()].set_index(QUESTION)["fit"]
    found: Numbers = {}
    for granularity in GRANULARITIES:
        fit: RatioFit = fitted[MAIN, granularity, METRIC, BUDGET]
        both = as_row(given(fit.proportional_slope), np.log(10))
        claim(both["low"] > 0, "at equal tokens per parameter the ratio of MXINT falls with size")
        found |= with_named_ends(f"both_size_{granularity}", as_row(fit.size_slope))
        found |= with_named_ends(f"both_tokens_{granularity}", as_row(given(fit.token_slope)))
        found |= with_named_ends(f"both_power_{granularity}", as_row(given(fit.size_for_tokens)))
        found |= with_named_ends(f"proportional_{granularity}", both)
    power = given(fitted[MAIN, "matmul", METRIC, BUDGET].size_for_tokens)
    found |= {"ten_times": 10**power.value, "ten_times_low": 10**power.low, "ten_times_high": 10**power.high}
    slopes = [(one.size_slope, given(one.token_slope)) for one in fitted]
    claim(all(tokens.value > 0 > size.value for size, tokens in slopes), "size adds and tokens take in every question")
    claim(all(size.high < 0 for size, _ in slopes), "what size adds is clear in every question")
    up = sum(tokens.low > 0 for _, tokens in slopes)
    return found | {"both_fits": len(fitted), "both_tokens_up": up} | _in_proportion(fitted)


def _in_proportion(fitted: pd.Series) -> Numbers:
    """Return in how many questions the ratio falls at equal tokens per parameter, by scheme, and by how much."""
    slopes = fitted.map(lambda fit: fit.proportional_slope)
    falls = slopes.map(lambda one: one.low > 0).groupby(level="scheme").sum()
    asked = fitted.groupby(level="scheme").size()
    of_main = [np.log(10) * slopes[MAIN, "matmul", METRIC, budget].value for budget in (0.05, 0.1, 0.2)]
    return {
        "proportional_falls": int(falls.sum()),
        "proportional_rises": sum(one.high < 0 for one in slopes),
        "proportional_mxint": int(falls[MAIN]),
        "of_mxint": int(asked[MAIN]),
        "proportional_gptq_2": int(falls["GPTQ 2 bits"]),
        "of_gptq_2": int(asked["GPTQ 2 bits"]),
        "proportional_least": min(of_main),
        "proportional_most": max(of_main),
    }


def growth(recipes: pd.DataFrame, power: float) -> Numbers:
    """Return the powers of N and D in QiD of the cheapest recipes that have 50%, 90% and everything low, MXINT.

    `recipes` are those at the constant rate; `power` is that of size for tokens by the law of both.
    """
    costs = cost_at_targets(recipes, RECIPES)
    costs = costs[(scheme_names(costs) == MAIN) & (costs["granularity"] == "matmul")]
    found: Numbers = {}
    powers = {}
    for target in (0.5, 0.9, 1.0):
        rows, name = costs[costs["target_ratio"] == target], f"{target:.0%}".removesuffix("%")
        slopes = log_mean_and_slopes(rows.assign(ratio=rows["qid_nats"]), [N_PARAMS, TOKENS_SEEN])
        for column, word in ((TOKENS_SEEN, "beta"), (N_PARAMS, "alpha")):
            found |= with_named_ends(f"{word}_at_{name}", slopes.loc[column].rename({"value": "mean"}))
        powers[name] = -slopes.at[TOKENS_SEEN, "value"] / slopes.at[N_PARAMS, "value"]
    claim(powers["50"] < power < powers["100"], "the law's power lies between those of the costs")
    return found | {f"power_at_{name}": value for name, value in powers.items()}


def misses(largest: pd.DataFrame) -> Numbers:
    """Return how far laws miss what they haven't seen: root mean squares over granularities and budgets, MXINT."""
    asked = largest["step"].isin([FIRST, MIDDLE, LAST]) | (largest["schedule"] == "cooldown")
    judged = predicted(largest[asked & (largest["metric"] == METRIC) & (largest["scheme"] == MAIN)])
    table = scores(judged[judged["predicted"].notna()], ["law", "hold_out"]).set_index(["law", "hold_out"])
    rms, bias = table["rms"], table["bias"]
    claim(bias["size and tokens", "last tokens"] < 0 < bias["as before", "last tokens"], "too low, and too high")
    claim(abs(rms["size and tokens", "last tokens"] / rms["as before", "last tokens"] - 1) < 0.1, "by as much")
    claim(rms.xs("decayed rate", level="hold_out").idxmin() == "as before", "a decayed model is best told by itself")
    found: Numbers = {f"miss_{name}": rms[place] for name, place in LAW_NAMES.items()}
    return found | {
        "low_by": -bias["size and tokens", "last tokens"],
        "bias_before_last": bias["as before", "last tokens"],
    }


def numbers(mixed: Mixed) -> Numbers:
    """Return every number that the chapter states, by its key."""
    largest, constant = mixed.largest, mixed.constant()
    fits = named_fits(largest[largest["schedule"] == "constant"], with_tokens=True)
    found = moments(largest) | along(largest) | decay(largest) | law_of_both(fits) | misses(largest)
    early = main_of(at_step(largest, FIRST))
    at_20 = early.loc[early["budget"] == 0.2, "interpolated"]
    claim((at_20 > 0.95).mean() > 0.8, "early on nearly every model can go low as a whole")
    found |= growth(constant.recipes, float(found["both_power_matmul_mean"]))
    return found | {"train_epochs": mixed.recipes["epochs"].max()}
