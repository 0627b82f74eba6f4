"""What the chapter on tokens, size and bits states, section by section, and of its appendix what it says of KL.

Tables are those of `degradation`. Counts are of series or steps; QiD is in nats per token, tokens and sizes are labels
such as 954M, ratios have no unit. A ValueError says which sentence of the page doesn't hold.
"""

import numpy as np
import pandas as pd

from helpers.analyse.questions.quadratic_rule import expected_ratio, exponents_by_width
from helpers.analyse.questions.trends import bit_factors, steps_up, trends
from helpers.analyse.questions.twins import qid_ratio
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import KL, QID, Outcome
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import FITTED_BITS, GROUP_SIZE, LATE_TOKENS, late
from helpers.show.claims import claim
from helpers.show.intervals import Numbers
from helpers.show.style import count_label

ERRORS = 3  # a change is counted that exceeds so many of its errors
ENDS = {"": "mean", "_low": "low", "_high": "high"}


def stated(study: pd.DataFrame, unseen: pd.DataFrame) -> Numbers:
    """Return every number of the chapter: of the trunk's rows on held-out text, and on packages never trained on."""
    every_width = rows_of_fit(study, "gptq", GROUP_SIZE, symmetric=False)
    gptq = every_width[every_width["bits"].isin(FITTED_BITS)]
    found = rows_shown(gptq) | along_tokens(gptq) | early(gptq) | along_size(gptq) | along_bits(gptq)
    found |= at_eight_bits(late(every_width), late(rows_of_fit(unseen, "gptq", GROUP_SIZE, symmetric=False)))
    return found | last_checkpoint(study)


def _falls(rows: pd.DataFrame) -> pd.Series:
    return rows["n_steps"] - rows["n_up"]


def _rises_clearly(rows: pd.DataFrame) -> pd.Series:
    return rows["change_nats"] > ERRORS * rows["change_se_nats"]


# ---- the trunk along tokens, size and bits ---------------------------------------------------------------------------


def rows_shown(gptq: pd.DataFrame) -> Numbers:
    """Return which rows the chapter is about: sizes, checkpoints a size, ends of size and tokens."""
    return {
        "study_sizes": gptq[N_PARAMS].nunique(),
        "study_steps": gptq["step"].nunique(),
        "study_smallest": count_label(gptq[N_PARAMS].min()),
        "study_largest": count_label(gptq[N_PARAMS].max()),
        "early_tokens": count_label(LATE_TOKENS),
        "late_first": count_label(late(gptq)[TOKENS_SEEN].min()),
        "late_last": count_label(gptq[TOKENS_SEEN].max()),
    }


def along_tokens(gptq: pd.DataFrame) -> Numbers:
    """Return in how many series QiD rises with tokens, by which factors, and how often single steps do."""
    series, whole = (trends(rows, TOKENS_SEEN, ["model", N_PARAMS, "bits"]) for rows in (late(gptq), gptq))
    growth = series["end_nats"] / series["start_nats"]
    claim(bool(_rises_clearly(series).all()), "QiD rises with tokens in all series")
    claim(bool(_rises_clearly(whole).all()), "QiD rises in all series without the cut too")
    falls = _falls(series)
    claim(bool(falls[series["bits"] == 4].sum() > falls.sum() / 2), "most of the steps down are at 4 bits")
    return {
        "tokens_series": len(series),
        "tokens_rising": int(_rises_clearly(series).sum()),
        "tokens_steps": int(series["n_steps"].sum()),
        "tokens_down": int(falls.sum()),
        "growth_low": float(growth.min()),
        "growth_high": float(growth.max()),
    } | mean_growth(series, 3)


def mean_growth(series: pd.DataFrame, bits: int) -> Numbers:
    """Return the mean factor by which QiD grows along a run at one bit width, with its 95% interval over training runs.

    `series` is a table of `trends`, one row a run and bit width, QiD above zero at both ends. Keys: `growth_BITS`, with
    `_low` and `_high`; the geometric mean, and Student's t in logarithms. Another order of the text isn't in it.
    """
    of_width = series[series["bits"] == bits]
    summary = mean_over_runs(np.log(of_width["end_nats"] / of_width["start_nats"]))
    return {f"growth_{bits}{end}": float(np.exp(summary[name])) for end, name in ENDS.items()}


def early(gptq: pd.DataFrame) -> Numbers:
    """Return what happens before the cut: the dip of the largest model at 2 bits, and steps down by size."""
    before = gptq[gptq[TOKENS_SEEN] < LATE_TOKENS]
    of_largest = (before[N_PARAMS] == before[N_PARAMS].max()) & (before["bits"] == 2)
    largest = before[of_largest].sort_values(TOKENS_SEEN)
    first, dip, last = largest.iloc[0], largest.loc[largest["qid_nats"].idxmin()], largest.iloc[-1]
    claim(dip["qid_nats"] < last["qid_nats"] < first["qid_nats"], "early QiD of the largest falls and isn't back yet")
    series = trends(before, TOKENS_SEEN, ["model", N_PARAMS, "bits"])
    return {
        "early_steps": int(series["n_steps"].sum()),
        "early_down": int(_falls(series).sum()),
        "early_down_smallest": count_label(series.loc[_falls(series) > 0, N_PARAMS].min()),
        "large_first": first["qid_nats"],
        "large_dip": dip["qid_nats"],
        "large_dip_tokens": count_label(dip[TOKENS_SEEN]),
    }


def along_size(gptq: pd.DataFrame) -> Numbers:
    """Return in how many combinations of tokens and bits the largest model loses less, and from which tokens on."""
    series = trends(gptq, N_PARAMS, [TOKENS_SEEN, "bits"])
    of_late, first = late(series), series[series[TOKENS_SEEN] == series[TOKENS_SEEN].min()]
    falling = of_late["change_nats"] < -ERRORS * of_late["change_se_nats"]
    claim(bool(falling.all()), "beyond the cut the largest model loses less everywhere")
    claim(bool((first["change_nats"] > 0).all()), "at the fewest tokens the largest loses more")
    no_help = series.loc[series["change_nats"] >= 0, TOKENS_SEEN].max()
    return {
        "size_series": len(of_late),
        "size_falling": int(falling.sum()),
        "size_steps": int(of_late["n_steps"].sum()),
        "size_down": int(_falls(of_late).sum()),
        "size_first_series": len(first),
        "size_first_tokens": count_label(first[TOKENS_SEEN].iloc[0]),
        "size_helps_from": count_label(series.loc[series[TOKENS_SEEN] > no_help, TOKENS_SEEN].min()),
    }


def along_bits(gptq: pd.DataFrame) -> Numbers:
    """Return by how much the third and the fourth bit divide QiD, as medians beyond the cut."""
    series = trends(gptq, "bits", [N_PARAMS, TOKENS_SEEN])
    wide = late(gptq).pivot(index=[N_PARAMS, TOKENS_SEEN], columns="bits", values="qid_nats")
    claim(bool((series["n_up"] == 0).all()), "QiD falls with each bit at all checkpoints")
    claim(bool((wide[2] > 2 * wide[3]).all()), "the third bit takes away most of the loss")
    claim(bool((wide[3] > 2 * wide[4]).all()), "the fourth bit takes away most of the rest")
    return {
        "bits_series": len(series),
        "bits_falling": int((series["n_up"] == 0).sum()),
        "bit_32": (wide[2] / wide[3]).median(),
        "bit_43": (wide[3] / wide[4]).median(),
    }


def at_eight_bits(rows: pd.DataFrame, other_text: pd.DataFrame) -> Numbers:
    """Return how many QiD are negative at 8 bits, and how many of these on another text as well.

    Both tables hold late rows of every width.
    """
    at_8 = rows[rows["bits"] == 8]
    both = at_8.merge(other_text[other_text["bits"] == 8], on="checkpoint_id", suffixes=("", "_other"))
    negative, negative_other = both["qid_nats"] < 0, both["qid_nats_other"] < 0
    chance, shared = negative.sum() * negative_other.mean(), int((negative & negative_other).sum())
    claim(bool((rows.loc[rows["bits"] < 8, "qid_nats"] > 0).all()), "no QiD is below zero up to 6 bits")
    claim(len(both) == len(at_8), "every checkpoint was measured on the other text")
    claim(at_8["qid_nats"].mean() > 0, "the mean at 8 bits is above zero")
    claim(shared > 2 * chance, "chance in the documents isn't all of it")
    return {
        "eight_rows": len(at_8),
        "eight_negative": int(negative.sum()),
        "eight_within": int((at_8["qid_nats"].abs() < 2 * at_8["qid_se_nats"]).sum()),
        "eight_both": shared,
        "eight_chance": chance,
        "eight_mean": at_8["qid_nats"].mean(),
    }


def widths_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return for people, one row a bit width: median QiD and paired error in nats, rows below zero and near zero."""

    def near_zero(of_width: pd.DataFrame) -> str:
        return f"{(of_width['qid_nats'].abs() < 2 * of_width['qid_se_nats']).sum()} of {len(of_width)}"

    by_width = rows.groupby("bits")
    table = pd.DataFrame(
        {
            "median QiD (nats)": by_width["qid_nats"].median().map("{:.5f}".format),
            "median paired error (nats)": by_width["qid_se_nats"].median().map("{:.5f}".format),
            "below zero": by_width["qid_nats"].agg(lambda qid: f"{(qid < 0).sum()} of {len(qid)}"),
            "within two errors of zero": by_width[["qid_nats", "qid_se_nats"]].apply(near_zero),
        }
    )
    return table.rename(index="{:g} bits".format).rename_axis(index=None)


def last_checkpoint(study: pd.DataFrame) -> Numbers:
    """Return two QiD of the largest model's last checkpoint: 3 bits to the nearest, and 2 bits by GPTQ."""
    largest = study[study[N_PARAMS] == study[N_PARAMS].max()]
    last = largest[(largest[TOKENS_SEEN] == largest[TOKENS_SEEN].max()) & (largest["group_size"] == GROUP_SIZE)]
    qid = last.set_index(["method", "bits"])["qid_nats"]
    claim(qid["rtn", 3] < qid["gptq", 2], "a bit is worth more than the better method")
    return {"end_rtn_3": qid["rtn", 3], "end_gptq_2": qid["gptq", 2]}


# ---- round-to-nearest and larger groups (what else moves QiD) ------------------------------------------------


def to_nearest(rtn: pd.DataFrame, gptq: pd.DataFrame) -> Numbers:
    """Return the ratio of QiD of round-to-nearest to GPTQ's: medians by bits and size, and whether it rises too."""
    ratios = qid_ratio(rtn, gptq)
    of_late = late(ratios)
    medians = of_late.groupby("bits")["ratio"].median()
    of_two = of_late[of_late["bits"] == 2].groupby(N_PARAMS)["ratio"].median()
    series = trends(late(rtn), TOKENS_SEEN, ["model", "bits"])
    claim(bool((of_late["ratio"] > 1).all()), "round-to-nearest loses more on every checkpoint beyond the early ones")
    claim(bool((ratios["ratio"] + 2 * ratios["ratio_se"] > 1).all()), "no early one is clearly below")
    claim(bool((series["change_nats"] > 0).all()), "QiD of round-to-nearest rises with tokens in all series")
    claim(bool(medians.between(1.75, 2.5).all()), "it loses about twice as much")
    claim(of_two.iloc[-1] > 1.2 * of_two.iloc[0], "GPTQ gains more in the largest model")
    return {f"rtn_ratio_{bits:g}": median for bits, median in medians.items()} | {
        "rtn_rows": len(ratios),
        "rtn_worse": int((ratios["ratio"] > 1).sum()),
        "rtn_late_rows": len(of_late),
        "rtn_series": len(series),
        "rtn_smallest": of_two.iloc[0],
        "rtn_largest": of_two.iloc[-1],
    }


def larger_groups(ratios: dict[str, pd.DataFrame]) -> Numbers:
    """Return how many ratios of groups of 128 to groups of 32 there are, all above one, and of how many models."""
    every = pd.concat(ratios.values())
    claim(bool((every["ratio"] > 1).all()), "all ratios of larger groups are above one")
    return {"group_models": every["model"].nunique(), "group_rows": len(every)}


# ---- KL, a second outcome (what else moves QiD) ------------------------------------------------


def divided_by_a_bit(rows: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Return by the step between two widths what one more bit divides the outcome by, no unit.

    Columns: `mean` (geometric) and its 95% interval over runs, `low` and `high`.
    """
    factors = bit_factors(rows, outcome)
    means = {step: mean_over_runs(np.log(factors[step])) for step in factors}
    return np.exp(pd.DataFrame(means).T[["mean", "low", "high"]])


def rule_of_grid(steps: pd.Index) -> pd.Series:
    """Return by the step between two widths what the square of the grid's scale is divided by for one more bit."""
    return pd.Series({(few, many): expected_ratio(few, many) ** (1 / (many - few)) for few, many in steps})


def in_kl(rows: pd.DataFrame) -> Numbers:
    """Return what KL says at 2 to 8 bits: factors of a bit beside the grid's rule, steps up, and slopes in ln D."""
    qid, kl = (divided_by_a_bit(rows, outcome) for outcome in (QID, KL))
    rule = rule_of_grid(kl.index)
    off = (kl["mean"] / rule - 1).iloc[2:].abs()
    inside = (qid["low"] < rule) & (rule < qid["high"])
    claim(inside.to_list() == [False, False, True, True, True], "from the fifth bit on inside QiD's interval")
    claim(all((one["mean"] > rule).iloc[:2].all() for one in (qid, kl)), "the third and fourth bit take off more")
    claim(not ((kl["low"] < rule) & (rule < kl["high"])).any(), "KL's intervals leave the rule out")
    claim(off.max() < 0.04, "KL leaves the rule by little")
    claim(bool((rows["kl_nats"] > 0).all()), "all KL is positive")
    found: Numbers = {"kl_off": off.max(), "kl_rows": len(rows), "rule_8": rule[6, 8]}
    found |= {f"factor_8_{end}": qid.loc[(6, 8), end] for end in ("low", "high")}
    for end, name in ENDS.items():
        found[f"kl_factor_8{end}"] = kl.loc[(6, 8), name]
    for few, many in ((2, 3), (5, 6), (6, 8)):
        found[f"power_{many}"] = np.log(qid.loc[(few, many), "mean"]) * (many - few) / np.log(many / few)
    return found | _up_and_slopes(rows)


def _up_and_slopes(rows: pd.DataFrame) -> Numbers:
    up, up_kl = (steps_up(rows, outcome) for outcome in (QID, KL))
    powers, powers_kl = (exponents_by_width(rows, outcome) for outcome in (QID, KL))
    claim(bool((up_kl["n_up"] >= up["n_up"]).loc[4:].all()), "KL rises more steadily")
    found: Numbers = {f"kl_slope_8{end}": powers_kl.loc[8, f"beta{end}"] for end in ("", "_low", "_high")}
    found |= {f"slope_8{end}": powers.loc[8, f"beta{end}"] for end in ("", "_low", "_high")}
    return found | {
        "up_8": int(up.loc[8, "n_up"]),
        "kl_up_8": int(up_kl.loc[8, "n_up"]),
        "up_steps": int(up.loc[8, "n_steps"]),
    }


def kl_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return for people, one row a bit width: what a bit divides QiD and KL by, the rule, steps up, slopes in ln D."""

    def as_words(table: pd.DataFrame, columns: list[str]) -> pd.Series:
        return table[columns].apply(lambda row: "{:.2f} [{:.2f}, {:.2f}]".format(*row), axis=1)

    columns = {}
    for name, outcome in (("QiD", QID), ("KL", KL)):
        factors, up = divided_by_a_bit(rows, outcome), steps_up(rows, outcome)
        of_steps = as_words(factors, ["mean", "low", "high"]).set_axis([many for _, many in factors.index])
        columns[f"{name} divided by"] = of_steps
        columns[f"{name} rises"] = up["n_up"].astype(str) + " of " + up["n_steps"].astype(str)
        powers = exponents_by_width(rows, outcome)
        columns[f"slope of {name}"] = as_words(powers, ["beta", "beta_low", "beta_high"])
        rule = rule_of_grid(factors.index).map("{:.2f}".format).set_axis(of_steps.index)
    columns["the rule"] = rule
    order = ["QiD divided by", "KL divided by", "the rule", "QiD rises", "KL rises", "slope of QiD", "slope of KL"]
    return pd.DataFrame(columns)[order].fillna("").rename(index="{:g} bits".format).rename_axis(index=None)
