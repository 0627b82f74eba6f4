"""What the chapter on QiD as a gauge of training states, section by section.

QiD and loss are in nats per token; a reading is judged by tokens read over true tokens, no unit. A ValueError says
which sentence of the page doesn't hold.
"""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.forms import LossLaw, UnifiedLaw
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import OuyangLossLaw
from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.questions import training_level
from helpers.analyse.questions.decay import LOSS, mean_over_sizes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import FITTED_BITS, LATE_TOKENS
from helpers.show.claims import claim
from helpers.show.intervals import Numbers
from helpers.show.style import count_label

LEVELS: dict[float, float] = {2: 0.4, 3: 0.05, 4: 0.01}  # nats a token that most sizes reach while they are trained
ALPHA, BETA = "alpha", "beta"
INTERVAL = 0.90  # of a reading
SETTLED = 2 * LATE_TOKENS
TOGETHER, BY_LOSS = "QiD, all three", "16-bit loss"
TYPICAL, WITHIN, COVERED, WIDTH = (
    "typical factor",
    "within a factor of 2",
    f"in the {INTERVAL:.0%} interval",
    "high / low of the interval",
)
DRAWN = (*(f"QiD, {bits} bits" for bits in FITTED_BITS), BY_LOSS)
WAYS = {
    "average": "average of 5 moments",
    "cooldown": "cooldown, at its end",
    "cosine": "cosine, at its end",
    "half": "0.5 × the peak rate",
    "double": "2 × the peak rate",
    "none": "weight decay 0",
    "triple": "weight decay 0.3",
    "seed": "another training seed",
}


def exponents(law: Law) -> tuple[float, float]:
    """Return a law's exponents of size and of tokens, alpha and beta, no unit."""
    return float(getattr(law, ALPHA)), float(getattr(law, BETA))


def definitions(fit: FitResult, trunk: pd.DataFrame, seed_sd: float) -> Numbers:
    """Return how sharp the gauge can be: what an error of QiD becomes in tokens, by the law's exponent and scatter.

    `seed_sd` is the relative standard deviation of one 3-bit QiD over training seeds.
    """
    (_, beta), sizes = exponents(fit.law), trunk[N_PARAMS]
    return {
        "beta": beta,
        "blow_up": 1 / beta,
        "tau": fit.tau,
        "tau_factor": float(np.exp(fit.tau / beta)),
        "seed_sd": seed_sd,
        "seed_factor": float(np.exp(seed_sd / beta)),
        "late_tokens": count_label(LATE_TOKENS),
        "level": INTERVAL,
        "sizes": sizes.nunique(),
        "smallest": count_label(sizes.min()),
        "largest": count_label(sizes.max()),
    }


# ---- one QiD, many sizes ---------------------------------------------------------------------------------------------


def crossings(trunk: pd.DataFrame) -> pd.DataFrame:
    """Return where each size comes up to its level of QiD, with `per_parameter`, tokens per parameter."""
    levels = training_level.tokens_at_levels(trunk, LEVELS)
    return levels.assign(per_parameter=levels["tokens"] / levels[N_PARAMS])


def one_qid(levels: pd.DataFrame, trunk: pd.DataFrame, fit: FitResult) -> Numbers:
    """Return what models of one QiD have in common: `levels` as `crossings` returns them."""
    settled = levels[levels["tokens"] > SETTLED]
    at_3 = settled[settled["bits"] == 3].sort_values(N_PARAMS)
    early = levels[(levels["bits"] == 3) & (levels["tokens"] <= SETTLED)]
    first, last = at_3.iloc[0], at_3.iloc[-1]
    claim(settled["per_parameter"].max() < 1.5 * settled["per_parameter"].min(), "tokens per parameter nearly agree")
    claim(at_3["tokens"].is_monotonic_increasing and last["tokens"] > 4 * first["tokens"], "tokens differ")
    claim(first["loss_nats"] - last["loss_nats"] > 0.3, "and so does the loss")
    claim(early["per_parameter"].min() > settled["per_parameter"].max(), "the small sizes are the exception")
    found: Numbers = {f"level_{bits:g}": level for bits, level in LEVELS.items()}
    found |= {
        "settled_after": count_label(SETTLED),
        "settled_sizes": len(at_3),
        "settled_small": count_label(first[N_PARAMS]),
        "settled_large": count_label(last[N_PARAMS]),
        "times_size": last[N_PARAMS] / first[N_PARAMS],
        "times_tokens": last["tokens"] / first["tokens"],
        "per_low": settled["per_parameter"].min(),
        "per_high": settled["per_parameter"].max(),
        "loss_first": first["loss_nats"],
        "loss_last": last["loss_nats"],
    }
    return found | _power(fit) | _at_equal_ratio(trunk) | _agreement(trunk)


def _power(fit: FitResult) -> Numbers:
    """Return alpha over beta with its 95% interval (delta method), and the paper's."""
    alpha, beta = exponents(fit.law)
    gradient = np.array([0.0, -alpha / beta**2, 1 / beta, 0.0])
    half = stats.t.ppf(0.975, fit.degrees_of_freedom.min()) * np.sqrt(gradient @ fit.covariance @ gradient)
    ratio = alpha / beta
    claim(ratio - half < 1 < ratio + half, "one lies in the interval")
    paper = OUYANG_2024.alpha / OUYANG_2024.beta
    return {"power": ratio, "power_low": ratio - half, "power_high": ratio + half, "power_paper": paper}


def _at_equal_ratio(trunk: pd.DataFrame) -> Numbers:
    """Return the largest size's last QiD over that of the next at as many tokens per parameter."""
    above, largest = np.sort(trunk[N_PARAMS].unique())[-2:]
    found: Numbers = {}
    for bits in FITTED_BITS:
        of_width = trunk[trunk["bits"] == bits].sort_values(TOKENS_SEEN)
        end = of_width[of_width[N_PARAMS] == largest].iloc[-1]
        line = of_width[of_width[N_PARAMS] == above]
        found["last_ratio"] = end[TOKENS_SEEN] / largest
        there = np.interp(np.log(found["last_ratio"]), np.log(line[TOKENS_SEEN] / above), np.log(line["qid_nats"]))
        claim(end["qid_nats"] < LEVELS[bits], "the largest reaches no level")
        claim(end["qid_nats"] > np.exp(there), "it has more QiD at equal tokens per parameter")
        found[f"beside_{bits}"] = end["qid_nats"] / float(np.exp(there))
    return found


def _agreement(trunk: pd.DataFrame) -> Numbers:
    """Return the shares of pairs of sizes that QiD at 3 bits orders as tokens, tokens per parameter and loss do."""
    table = trunk.assign(ratio=trunk[TOKENS_SEEN] / trunk[N_PARAMS], loss=-trunk[LOSS])
    names = {"tokens": TOKENS_SEEN, "ratio": "ratio", "loss": "loss"}
    agree = {
        bits: {key: training_level.concordance(rows, "qid_nats", name) for key, name in names.items()}
        for bits, rows in table.groupby("bits")
    }
    claim(all(one["ratio"] > 0.9 > one["tokens"] for one in agree.values()), "QiD orders tokens per parameter")
    claim(all(one["loss"] < 0.5 for one in agree.values()), "and doesn't order losses")
    return {f"agree_{key}": share for key, share in agree[3].items()}


# ---- readings --------------------------------------------------------------------------------------------------------


def gauges(trunk: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return readings of each run by laws of the others: by QiD at each width and at all, with and by the loss."""
    by_qid = training_level.without_own_run(UnifiedLaw, trunk, INTERVAL)
    found = {f"QiD, {bits} bits": by_qid[by_qid["bits"] == bits] for bits in FITTED_BITS} | {TOGETHER: by_qid}
    found["QiD and 16-bit loss"] = training_level.without_own_run(LossLaw, trunk, INTERVAL)
    return found | {BY_LOSS: training_level.loss_without_own_run(OuyangLossLaw, trunk, INTERVAL)}


def judged(readings: pd.DataFrame) -> dict[str, float]:
    """Return how readings do: typical factor, shares within two and in the interval, median width of the interval."""
    off = np.abs(np.log(readings["ratio"]))
    return {
        TYPICAL: float(np.exp(off.median())),
        WITHIN: float((off < np.log(2)).mean()),
        COVERED: readings["covered"].mean(),
        WIDTH: (readings["high"] / readings["low"]).median(),
    }


def gauges_table(read: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the scores of several gauges for people, one row a gauge."""
    formats = dict.fromkeys((TYPICAL, WIDTH), "{:.2f}".format) | dict.fromkeys((WITHIN, COVERED), "{:.0%}".format)
    scores = pd.DataFrame({name: judged(table) for name, table in read.items()}).T
    return scores.apply(lambda column: column.map(formats[column.name]))


def readings(read: dict[str, pd.DataFrame], law: Law, of_loss: Law) -> Numbers:
    """Return how the gauges read runs that their laws haven't seen; `of_loss` is the law of QiD and the loss."""
    by_qid, by_loss = read[TOGETHER], read[BY_LOSS]
    largest = by_qid[by_qid[N_PARAMS] == by_qid[N_PARAMS].max()]
    of_qid, with_loss, alone = (judged(table) for table in (by_qid, read["QiD and 16-bit loss"], by_loss))
    at_3 = largest[largest["bits"] == 3].sort_values(TOKENS_SEEN)["ratio"]
    late = np.abs(np.log(by_loss["ratio"])).groupby(by_loss[TOKENS_SEEN]).median()
    claim(of_qid[TYPICAL] < 1.3 and abs(of_qid[TYPICAL] - alone[TYPICAL]) < 0.1, "QiD reads as well as the loss")
    claim(with_loss[TYPICAL] > of_qid[TYPICAL], "the two together do worse")
    claim(all(judged(table)[WIDTH] > 2.5 for table in read.values()), "all intervals are wide")
    claim(at_3.iloc[0] < 0.7 < 1.4 < at_3.iloc[-1], "readings of the largest climb from below to above")
    claim(late.iloc[-1] > 1.5 * late.iloc[len(late) // 2], "the 16-bit loss wears out late")
    claim(of_qid[COVERED] > 0.85, "the intervals hold what they promise")
    claim(exponents(of_loss)[1] < exponents(law)[1], "at a given loss QiD is less steep")
    claim(by_qid.loc[~by_qid["covered"], TOKENS_SEEN].median() <= 3 * LATE_TOKENS, "most misses come early")
    keys = ("typical_qid", "within_qid", "covered_qid", "width_qid")
    found: Numbers = dict(zip(keys, of_qid.values(), strict=True))
    of_loss_alone = by_loss[by_loss[N_PARAMS] == by_loss[N_PARAMS].max()]
    return found | {
        "typical_both": with_loss[TYPICAL],
        "typical_loss": alone[TYPICAL],
        "typical_largest": judged(largest)[TYPICAL],
        "typical_largest_loss": judged(of_loss_alone)[TYPICAL],
        "largest_first": at_3.iloc[0],
        "largest_last": at_3.iloc[-1],
    }


# ---- where the gauge breaks ------------------------------------------------------------------------------------------


def apparent_factors(apparent: pd.DataFrame) -> pd.DataFrame:
    """Return by difference in training and gauge the factor of apparent over true tokens, with ends over sizes.

    `apparent` is `training_level.apparent_tokens`. Columns: `way`, `gauge`, `factor`, `low`, `high` (95%, NaN below
    three sizes), `lowest`, `highest`, `n_runs`.
    """
    seen = apparent.dropna(subset="log_by_loss")
    parts = {f"{bits} bits": (seen[seen["bits"] == bits], "log_by_qid") for bits in FITTED_BITS}
    parts[BY_LOSS] = (seen[seen["bits"] == 3], "log_by_loss")
    means = {gauge: mean_over_sizes(rows, name, ["way"]).reset_index() for gauge, (rows, name) in parts.items()}
    factors = pd.concat([one.assign(gauge=gauge) for gauge, one in means.items()])
    ends = ["mean", "low", "high", "lowest", "highest"]
    too_few = factors[ends].assign(low=np.nan, high=np.nan)
    factors[ends] = np.exp(factors[ends].where(factors["n_runs"] >= 3, too_few))
    return factors.rename(columns={"mean": "factor"})


def broken(factors: pd.DataFrame, widest: float) -> Numbers:
    """Return by how much differences in training shift the readings; `widest` is an interval's typical width."""
    at = factors.set_index(["way", "gauge"])["factor"]
    for gauge in (f"{bits} bits" for bits in FITTED_BITS):
        claim(at[WAYS["average"], gauge] < 0.9 < 1.1 < at[WAYS["average"], BY_LOSS], "averages: the gauges disagree")
        claim(min(at[WAYS[name], gauge] for name in ("cooldown", "cosine")) > 1.1, "decay looks like tokens")
        claim(at[WAYS["triple"], gauge] < 0.9 < 1.1 < at[WAYS["none"], gauge], "weight decay looks like fewer")
        claim(abs(np.log(at[WAYS["seed"], gauge])) < 0.15, "seeds lie near one")
    claim(at[WAYS["half"], BY_LOSS] < 0.9 < 1 < at[WAYS["half"], "3 bits"], "half the rate: the gauges disagree")
    claim(at[WAYS["double"], "3 bits"] < 1 < at[WAYS["double"], BY_LOSS], "twice the rate: the gauges disagree")
    claim(np.abs(np.log(at)).max() < np.log(widest) / 2, "no single reading would notice")
    three = factors[factors["gauge"] == "3 bits"].set_index("way")
    said = {key: way for key, way in WAYS.items() if key not in ("cosine", "seed")}
    found: Numbers = {f"{key}_qid": at[way, "3 bits"] for key, way in said.items()}
    found |= {f"{key}_loss": at[way, BY_LOSS] for key, way in said.items()}
    sizes = {"cosine_sizes": "cosine", "average_sizes": "average", "wd_sizes": "none"}
    found |= {key: int(three.loc[WAYS[name], "n_runs"]) for key, name in sizes.items()}
    return found | {f"cooldown_{end}": three.loc[WAYS["cooldown"], end] for end in ("low", "high")}


def doublings(gains: pd.DataFrame) -> Numbers:
    """Return how many gains of the last doubling rounding takes back, and how that grows along a run."""
    last = gains[gains[TOKENS_SEEN] == gains.groupby("model")[TOKENS_SEEN].transform("max")]
    at_2 = last[last["bits"] == 2].sort_values(N_PARAMS)["doublings"]
    series = np.log(gains.sort_values(TOKENS_SEEN).set_index(["model", "bits"])[["doublings", "gain_nats"]])
    grown = series.groupby(["model", "bits"]).last() - series.groupby(["model", "bits"]).first()
    rising, shrinking = np.exp(grown["doublings"]), -grown["gain_nats"] / grown["doublings"]
    claim(rising.min() > 1, "the quotient grows everywhere")
    claim(bool((at_2 > 1).all()), "at 2 bits every size loses a doubling")
    claim(bool((last.loc[last["bits"] == 4, "doublings"] < 1).any()), "and at 4 bits not all")
    found: Numbers = {f"beyond_{bits:g}": int((rows["doublings"] > 1).sum()) for bits, rows in last.groupby("bits")}
    return found | {
        "last_tokens": count_label(last[TOKENS_SEEN].max()),
        "doublings_small": at_2.iloc[0],
        "doublings_large": at_2.iloc[-1],
        "grown_low": rising.min(),
        "grown_high": rising.max(),
        "shrink_low": shrinking.min(),
        "shrink_high": shrinking.max(),
    }


def exercises(fit: FitResult) -> Numbers:
    """Return answers: 5% of QiD as an error of tokens, and tokens per parameter of a model four times as large."""
    alpha, beta = exponents(fit.law)
    ours, paper = (4 ** (one - 1) for one in (alpha / beta, OUYANG_2024.alpha / OUYANG_2024.beta))
    return {"ex_one": 0.05 / beta, "ex_two": float(np.hypot(0.05, fit.tau)) / beta, "ex_ours": ours, "ex_paper": paper}
