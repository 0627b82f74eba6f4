"""What the chapter on extrapolation states, section by section, but for models of others.

Scores are those of `hold_outs.judge`: rms and bias of ln(predicted / measured), no unit. QiD is in nats per token. A
ValueError says which sentence of the page doesn't hold.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.fits.hold_outs import table_of_scores
from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.questions import published_perplexities
from helpers.analyse.questions.extrapolation import GOAL_LOG_RMS
from helpers.analyse.questions.tokens_per_parameter import size_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.noise import training_seeds
from helpers.analyse.rows.study import FITTED_BITS, on_trunk, rows_of_seeds
from helpers.show.claims import claim
from helpers.show.intervals import Numbers, in_words, plain, signed
from helpers.show.style import count_label
from helpers.table.errors import AnalysisError

LEVEL = 0.90  # of intervals for a new training run
LOSS_PREDICTED = "loss, loss predicted"
LATE_PART, LATER = "last factor 4 in D", "larger and later"
ONE_AT_A_TIME = {"largest size", LATE_PART, "3 bits", "2 bits", "decayed rate", "cooldown after cosine"}
ONE_AT_A_TIME |= {"other bits", "another text"}
FORMS_OF_OTHERS = ("power", "exponential")
STRAIGHT = ["power", "exponential", "steps", "free-bits", "saturating", "power-per-bit"]  # a power of D alone


def one_at_a_time(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the scores on the hold-outs that move one thing away from the rows fitted."""
    return judged[judged["hold_out"].isin(ONE_AT_A_TIME)]


def yardstick(late: pd.DataFrame) -> Numbers:
    """Return the goal's mark, how far the largest size is from the next, and what luck moves QiD by at each width.

    `late` are the rows beyond the early tokens, of every run, with the trunk among them.
    """
    sizes = np.sort(late.loc[on_trunk(late), N_PARAMS].unique())
    seeds = training_seeds(rows_of_seeds(late[late["bits"].isin(FITTED_BITS)]))["relative_sd"]
    found: Numbers = {"goal_rms": GOAL_LOG_RMS, "goal_factor": float(np.exp(GOAL_LOG_RMS)), "level": LEVEL}
    found |= {"largest": count_label(sizes[-1]), "jump": sizes[-1] / sizes[-2], "next_largest": count_label(sizes[-2])}
    return found | {f"seed_{bits}": seeds[bits] for bits in FITTED_BITS}


def scores(judged: pd.DataFrame) -> Numbers:
    """Return what the map of scores shows of single laws; `judged` as `one_at_a_time` returns it."""
    rms, bias = (table_of_scores(judged, score) for score in ("log_rms", "log_bias"))
    published = set(judged.loc[judged["published"], "law"])
    competing = [law for law in rms.dropna(how="all").index if law not in published]
    straight, worst = rms.loc[STRAIGHT, LATE_PART], rms.loc[competing].max(axis=1, skipna=False).sort_values()
    _claim_of_scores(rms, bias, competing, sorted(published), list(worst.index[:2]))
    return {
        "power_tokens_over": float(np.exp(bias.loc["power", LATE_PART])),
        "straight_low": straight.min(),
        "straight_high": straight.max(),
        "threshold_tokens": rms.loc["threshold", LATE_PART],
        "exponential_two_bias": float(np.exp(bias.loc["exponential", "2 bits"])),
        "power_other_bias": float(np.exp(bias.loc["power", "other bits"])),
        "exponential_other_bias": float(np.exp(bias.loc["exponential", "other bits"])),
        "told_decayed": rms.loc["loss", "decayed rate"],
        "power_decayed": rms.loc["power", "decayed rate"],
        "chosen_decayed": rms.loc[LOSS_PREDICTED, "decayed rate"],
        "chosen_tokens": rms.loc[LOSS_PREDICTED, LATE_PART],
        "chosen_size": rms.loc[LOSS_PREDICTED, "largest size"],
    }


def score_tables(judged: pd.DataFrame) -> dict[str, Any]:
    """Return what the map of scores draws: tables of laws by hold-outs, and the laws with constants as printed."""
    tables = {"log_rms": "log_rms", "errors": "log_rms_se", "coverage": "coverage", "tied": "tied"}
    wide = {name: table_of_scores(judged, score) for name, score in tables.items()}
    scored = wide["log_rms"].dropna(how="all").index
    apart = list(judged.loc[judged["published"].astype(bool), "law"].unique())
    return {name: table.loc[scored] for name, table in wide.items()} | {"apart": apart, "goal": GOAL_LOG_RMS}


def _claim_of_scores(
    rms: pd.DataFrame, bias: pd.DataFrame, competing: list[str], published: list[str], least_worst: list[str]
) -> None:
    widths = ["3 bits", "2 bits", "other bits"]
    decayed = rms["decayed rate"]
    claim(
        set(rms.index) - set(rms.dropna(how="all").index) == {"group-size"}, "the law of group size is n/a everywhere"
    )
    claim(rms.loc[competing, "largest size"].min() > GOAL_LOG_RMS, "no law reaches the mark at the largest size")
    claim(decayed["loss"] < decayed[LOSS_PREDICTED] < decayed["power"], "a law that is told the loss sees decay")
    claim(rms.loc[STRAIGHT, LATE_PART].min() > 2 * rms.loc["threshold", LATE_PART], "a threshold mends the bend")
    claim(set(least_worst) == {"loss", LOSS_PREDICTED}, "loss has the least worst case")
    claim(
        bool((rms.loc["steps", widths] < rms.loc[list(FORMS_OF_OTHERS), widths].min()).all()),
        "the steps of the grid are better than both published forms at every width",
    )
    claim(
        bool(bias.loc["power", "other bits"] > 0.2 and bias.loc["exponential", "other bits"] < -0.2),
        "at many bits the power falls too slowly and the exponential too fast",
    )
    claim(bool((rms.loc[published].min() > rms.loc[competing].min()).all()), "published constants are behind")


# ---- which law to use ------------------------------------------------------------------------------------------------


def default_law(stored: StoredFits) -> Numbers:
    """Return which law is the default, by how much it leads, and how it does on what is larger and later.

    Raises AnalysisError where nothing is judged yet.
    """
    if stored.default is None:
        raise AnalysisError("no default law: nothing is judged yet")
    ranked = stored.ranked[stored.ranked["candidate"].astype(bool)]
    name, first = stored.default.name, ranked.iloc[0]
    of_size = stored.judged[stored.judged["hold_out"] == "largest size"]
    claim(ranked.index[0] == name == "tokens-per-parameter", "the first is the law in tokens per parameter")
    claim(not ranked["tied"].iloc[1:].any(), "it is tied with none")
    claim(bool(of_size["log_rms_se"].isna().all()), "of the largest size one run is held out, without an error")
    law, window = stored.fits[name].params["b"], stored.fits[name].law.validity.tokens
    return {
        "default": name,
        "default_score": first["score"],
        "default_se": first["se"],
        "default_runs": int(first["n_runs"]),
        "b": law.value,
        "b_low": law.low,
        "b_high": law.high,
        "window_low": count_label(window[0]),
        "window_high": count_label(window[1]),
    } | _larger_and_later(stored, name)


def _larger_and_later(stored: StoredFits, default: str) -> Numbers:
    later = stored.judged[stored.judged["hold_out"] == LATER].set_index("law")
    correlations, outside = stored.rank_correlations["spearman"], stored.outside
    found: Numbers = {"later_runs": int(later.loc[default, "n_runs"])}
    for key, law in (("default", default), ("power", "power")):
        rms = later.loc[law, "log_rms"]
        found |= {f"later_{key}": rms, f"later_{key}_se": later.loc[law, "log_rms_se"]}
        found[f"later_{key}_factor"] = float(np.exp(rms))
    return found | {
        "inner_late": correlations[LATE_PART],
        "inner_later": correlations[LATER],
        "outside_bits": outside.loc["bits alone", "score"],
        "outside_default": outside.loc[default, "score"],
        "outside_models": int(outside["n_runs"].max()),
    }


def ranking_table(stored: StoredFits) -> pd.DataFrame:
    """Return for people the laws that can be asked with D, N and P alone, the first by the smaller sizes on top."""
    ranked = stored.ranked[stored.ranked["candidate"].astype(bool)]
    later = stored.judged[stored.judged["hold_out"] == LATER].set_index("law")["log_rms"]
    ends = ranked[["behind", "behind_low", "behind_high"]].set_axis(["value", "low", "high"], axis=1)
    columns = {
        "constants": ranked["constants"].map("{:.0f}".format),
        "rms, smaller sizes": [f"{row.score:.3f} ± {row.se:.3f}" for row in ranked.itertuples()],
        "behind the first": [in_words(row, 3) for _, row in ends.iterrows()],
        "larger and later": later[ranked.index].map("{:.3f}".format),
        "models of others": stored.outside.loc[ranked.index, "score"].map("{:.2f}".format),
    }
    return pd.DataFrame(columns).rename_axis("law")


def size_beside_tokens(trunk: pd.DataFrame) -> Numbers:
    """Return the slopes of ln QiD in ln N at equal tokens (3 bits) and at equal tokens per parameter, as text."""
    slopes = size_slopes(trunk)
    held = slopes.xs("tokens", level="fixed"), slopes.xs("tokens per parameter", level="fixed")
    claim(bool((held[0]["high"] < 0).all()), "at equal tokens larger models lose less")
    claim(bool((held[1]["high"] > 0).all()), "at equal tokens per parameter they don't")
    found: Numbers = {"size_runs": int(slopes["n_runs"].iloc[0])}
    found |= {f"size_slope_ratio_{bits}": signed(held[1].loc[bits, "slope"], 2) for bits in FITTED_BITS}
    for key, fixed in (("tokens", held[0]), ("ratio", held[1])):
        found |= {f"size_{end}_{key}_3": signed(fixed.loc[3, end], 2) for end in ("slope", "low", "high")}
    return found


# ---- one size up -----------------------------------------------------------------------------------------------------


def one_size_up(turns: pd.DataFrame, largest: pd.DataFrame, trunk: pd.DataFrame) -> Numbers:
    """Return how laws of all smaller sizes predict the last two, and how the largest departs from the power law.

    `turns` is `judge` on `each_as_largest`, `largest` is `over_predicted` of the power law at the largest size.
    """
    by_size = turns.pivot(index="n_params", columns="law", values="log_rms")
    before, last = by_size.iloc[-2], by_size.iloc[-1]
    ratios = np.exp(np.log(largest["ratio"]).groupby(largest[TOKENS_SEEN]).mean())
    own = published_perplexities.exponents(trunk, TOKENS_SEEN, [N_PARAMS, "bits"]).groupby(N_PARAMS)["exponent"].mean()
    middle = own[(own.index < by_size.index[-1]) & (own.index > 1.5e6)]  # smaller ones rise steeply at the start
    claim(before.max() < GOAL_LOG_RMS < last.min(), "all laws pass at the next smaller size, and none here")
    claim(bool((by_size.idxmax() == by_size.index[-1]).all()), "worse than ever")
    claim(turns.loc[turns["excluded_share"] > 0].empty, "all rows count")
    claim(ratios.iloc[0] < 0.8 < 1.2 < ratios.iloc[-1], "from too little to too much")
    claim(own.iloc[-1] > middle.max() + 0.1, "steeper than all of them")
    return {
        "before_power": before["power"],
        "before_steps": before["steps"],
        "before_chosen": before[LOSS_PREDICTED],
        "ratio_first": ratios.iloc[0],
        "ratio_last": ratios.iloc[-1],
        "first_tokens": count_label(ratios.index[0]),
        "own_last": own.iloc[-1],
        "own_low": middle.min(),
        "own_high": middle.max(),
        "own_from": count_label(middle.index[0]),
    }


def two_runs_of_largest(judged: pd.DataFrame) -> Numbers:
    """Return how many laws reach the mark on the second run of the largest size, and whether both runs rank alike."""
    rms = table_of_scores(one_at_a_time(judged))
    own = set(judged.loc[~judged["published"].astype(bool), "law"])
    first = rms.loc[[law for law in rms.index if law in own], "largest size"].dropna()
    again = judged[judged["hold_out"] == "second run of the largest size"].set_index("law")["log_rms"].dropna()
    again = again[[law for law in first.index if law in again.index]]
    rank = first[again.index].rank().corr(again.rank())
    within = int((again <= GOAL_LOG_RMS).sum())
    return {"again_judged": len(again), "again_within": within, "again_rank": plain(rank, 2)}


def exercise_of_misses(n_runs: int) -> Numbers:
    """Return how rare a miss by a factor of 1.35 is for a law that just meets the mark, if misses were normal."""
    miss = float(np.log(1.35))
    share = float(2 * stats.norm.sf(miss / GOAL_LOG_RMS))
    return {"ex_ln": miss, "ex_sd": miss / GOAL_LOG_RMS, "ex_share": share, "few": n_runs}
