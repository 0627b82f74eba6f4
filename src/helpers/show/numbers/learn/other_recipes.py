"""What the chapter on tokens and decay states of other recipes: cosines, rates, weight decay, averages; curvature."""

import numpy as np
import pandas as pd

from helpers.analyse.questions.decay import LOSS, mean_over_sizes, rounded_differences
from helpers.analyse.questions.mechanism import describe, with_description
from helpers.analyse.questions.slopes_of_ratios import log_mean_and_slopes
from helpers.analyse.questions.trends import trends
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import rows_of_seeds
from helpers.show.claims import claim
from helpers.show.intervals import signed, with_named_ends
from helpers.show.numbers.law.unified_law import Numbers
from helpers.show.numbers.learn.tokens_or_decay import (
    AT_END,
    BITS,
    MEANS,
    SERIES,
    Runs,
    exponents_after_decay,
    factors,
    fitted_surfaces,
    with_signs,
)
from helpers.show.style import count_label

PAPER_UPDATES = 190_000  # of the controlled runs of Catalan-Tatjer et al.
PAPER_RATE, PAPER_WEIGHT_DECAY = 3e-3, 0.1  # of the same runs
COSINE_END, SEED = "cosine, at its end", "another training seed"
HALF, DOUBLE, NO_DECAY, MORE_DECAY = "0.5 × the peak rate", "2 × the peak rate", "weight decay 0", "weight decay 0.3"
ORDER = [HALF, COSINE_END, NO_DECAY, SEED, AT_END, MORE_DECAY, DOUBLE]  # of the figure, from the top
SURELY = 2.0  # paired errors by which one loss is lower than another
PLACES = {"250M tokens, 1M": (250e6, 1e6), "250M tokens, 37.8M": (250e6, 37.8e6)}  # of the table of surfaces
PLACES |= {"600M tokens, 1M": (600e6, 1e6), "600M tokens, 14M": (600e6, 14e6)}
DESCRIBED = ["qid_nats", "hessian_trace", "variance", "predicted_nats"]


def numbers(runs: Runs, nearest: Runs, checkpoints: pd.DataFrame) -> Numbers:
    """Return what the chapter states of other recipes, by key; `nearest` has the runs rounded by RTN."""
    found = {**along_cosine(runs), **equal_loss(runs), **levers(runs), **averages(runs)}
    found |= curvature(runs, nearest, describe(checkpoints))
    return {**found, **limits(runs.trunk), **in_exercises(runs)}


# ---- along one cosine ------------------------------------------------------------------------------------------------


def along_cosine(runs: Runs) -> Numbers:
    """Return how much higher the exponent of D is along a cosine than at the constant rate, over sizes by bits."""
    same = runs.trunk.merge(runs.cosines[["model", "step"]].drop_duplicates())
    cosine, flat = (
        trends(rows, TOKENS_SEEN, SERIES).set_index(["model", "bits"])["exponent"] for rows in (runs.cosines, same)
    )
    excess = mean_over_sizes((cosine - flat).rename("excess").reset_index(), "excess", ["bits"])
    lines = trends(rows_of_seeds(runs.rows), TOKENS_SEEN, ["run_label", "model", "bits"])
    between = lines.groupby(["bits", "model"])["exponent"].std()
    overstated = (cosine / flat - 1).groupby("bits").mean()
    found: Numbers = {"longest_tokens": count_label(runs.cosines["tokens_planned"].max())}
    for bits in BITS:
        found |= with_named_ends(f"excess_{bits}", excess.loc[bits])
        found[f"between_{bits}"] = np.sqrt((between.loc[bits] ** 2).mean())
    found |= {"overstated_low": overstated.min(), "overstated_high": overstated.max()}
    found |= {"flat_low": flat.min(), "flat_high": flat.max()}
    claim((excess["mean"] > 0).all(), "a cosine overstates the exponent")
    claim(list(excess.index[excess["low"] > 0]) == [2], "clearly at 2 bits only")
    claim((excess["mean"] < flat.groupby("bits").mean() / 2).all(), "and by less than half of it")
    return found | ratios_of_cosine(runs)


def ratios_of_cosine(runs: Runs) -> Numbers:
    """Return QiD of the longest cosine over the trunk's, in its first half and at its end, mean of 2 and 3 bits."""
    below = runs.beside_cosine[runs.beside_cosine["bits"] < max(BITS)]
    last = below[TOKENS_SEEN].max()
    early = below[TOKENS_SEEN] <= runs.cosines["tokens_planned"].max() / 2
    end = below.loc[below[TOKENS_SEEN] == last, "log_ratio"].mean()
    found: Numbers = {"cosine_early": np.exp(below.loc[early, "log_ratio"].mean()), "cosine_late_last": np.exp(end)}
    return found | {"exercise_off": end / np.log(3)}


# ---- at equal loss, and what rates do --------------------------------------------------------------------------------


def equal_loss(runs: Runs) -> Numbers:
    """Return QiD over the trunk's at the same 16-bit loss: ends of cooldowns and cosines, averages, by bits."""
    ends, cosines, averaged = (runs.at_loss[runs.at_loss["way"] == way] for way in (AT_END, COSINE_END, runs.average))
    means = {
        name: factors(rows, "log_ratio", ["bits"])
        for name, rows in (("cooldown", ends), ("cosine", cosines), ("average", averaged))
    }
    found: Numbers = {"loss_rows": ends["run_label"].nunique()}
    for bits in BITS:
        for name in ("cooldown", "cosine"):
            found |= with_named_ends(f"loss_{name}_{bits}", means[name].loc[bits])
        found[f"loss_average_{bits}_mean"] = means["average"].loc[bits, "mean"]  # of two sizes: no interval to speak of
    by_size = ends[ends["bits"] == 2].groupby(N_PARAMS)["log_ratio"].mean()
    found |= {"loss_smallest_2": np.exp(by_size.iloc[0]), "loss_largest_2": np.exp(by_size.iloc[-1])}
    found |= {"smallest_size": count_label(by_size.index[0]), "largest_size": count_label(by_size.index[-1])}
    slope = log_mean_and_slopes(ends[ends["bits"] == 2], [N_PARAMS], cluster="model").loc[N_PARAMS]
    found |= with_signs(slope, "loss_size_2")
    claim((means["average"]["highest"] < 1).all(), "averages lie below in each size")
    claim((means["cooldown"]["mean"] < 1).all(), "cooldowns are no higher than the trunk at the same loss")
    claim(slope["high"] < 0, "the factor falls with size at 2 bits")
    claim((means["cosine"]["low"] > 1).all(), "ends of cosines lie above")
    return found


def compared_ways(runs: Runs) -> dict[str, pd.DataFrame]:
    """Return ratios to the trunk by way and bits, at equal tokens and at equal loss, in the order of the figure.

    Columns: `way`, `bits`, `ratio`, `low`, `high`, `run_lowest`, `run_highest`, `n_runs`.
    """
    names = {"mean": "ratio", "lowest": "run_lowest", "highest": "run_highest"}
    found = {}
    for title, table in (("at equal tokens", runs.at_tokens), ("at equal loss", runs.at_loss)):
        means = mean_over_sizes(table, "log_ratio", ["way", "bits"])
        means[MEANS] = np.exp(means[MEANS])
        found[title] = means.loc[[*ORDER, runs.average]].rename(columns=names).reset_index()
    return found


def for_figure(compared: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return `compared_ways` without the intervals of two sizes, which would reach over the whole figure."""
    return {
        title: table.assign(**{end: table[end].where(table["n_runs"] > 2) for end in ("low", "high")})
        for title, table in compared.items()
    }


def levers(runs: Runs) -> Numbers:
    """Return what half and twice the peak rate, other weight decays and averages make of QiD, at 2 to 4 bits."""
    tokens, loss = (table.set_index(["way", "bits"]) for table in compared_ways(runs).values())
    found: Numbers = {"rate_sizes": int(tokens.loc[HALF, "n_runs"].max())}
    for name, way in (("half", HALF), ("double", DOUBLE)):
        row = loss.loc[(way, 3)]
        found |= {f"{name}_loss_3_{end}": row[end] for end in ("ratio", "low", "high")}
    for name, way in (("wd3", MORE_DECAY), ("wd0", NO_DECAY)):
        found[f"{name}_loss_3_ratio"] = loss.loc[(way, 3), "ratio"]
    for bits in BITS:
        claim(loss.loc[(HALF, bits), "low"] > 1 > loss.loc[(DOUBLE, bits), "high"], "a higher rate, less at equal loss")
        claim(
            (tokens.loc[(HALF, bits), "low"] > 1) == (bits == 4),
            "at equal tokens clear at 4 bits only",
        )
        for table in (tokens, loss):
            claim(
                table.loc[(MORE_DECAY, bits), "ratio"] < 1 < table.loc[(NO_DECAY, bits), "ratio"],
                "weight decay lowers it",
            )
            claim(table.loc[(runs.average, bits), "run_highest"] < 1, "averages lower QiD in each size")
            claim(abs(table.loc[(SEED, bits), "ratio"] - 1) < 0.1, "seeds lie near one")
    return found


def averages(runs: Runs) -> Numbers:
    """Return in how many comparisons averages have the lower loss after rounding than cooldowns, by bits."""
    rounded = rounded_differences(runs.averages, runs.ends)
    found: Numbers = {"lawa_plain_low": rounded["plain_nats"].min(), "lawa_plain_high": rounded["plain_nats"].max()}
    for bits, rows in rounded.groupby("bits"):
        surely = rows["rounded_nats"] / rows["rounded_se_nats"]
        found |= {f"lawa_better_{bits:g}": int((surely < -SURELY).sum()), "lawa_cases": len(rows)}
        found[f"lawa_worse_{bits:g}"] = int((surely > SURELY).sum())
    by_bits = rounded.groupby("bits")["rounded_nats"].agg(["min", "max"])
    claim(by_bits.loc[2, "max"] < 0 < by_bits.loc[4, "min"], "averages win at 2 bits, cooldowns at 4")
    claim(by_bits.loc[3, "min"] < 0 < by_bits.loc[3, "max"], "and neither always at 3")
    claim((rounded["plain_nats"] > 0).all(), "averages have the higher 16-bit loss")
    return found


# ---- curvature -------------------------------------------------------------------------------------------------------


def curvature(runs: Runs, nearest: Runs, described: pd.DataFrame) -> Numbers:
    """Return what decay and tokens do to the trace of the Hessian, the error's variance, and what both predict.

    At 3 bits; `described` comes from `mechanism.describe`.
    """
    both = pd.concat([runs.rows, nearest.rows], ignore_index=True)
    curved = with_description(both, described).query("bits == 3")
    own, twins = (curved[curved["run_label"].isin(rows["run_label"])] for rows in (runs.ends, runs.trunk))
    pairs = own[own["learning_rate"] == 0].merge(twins, on=["model", "step", "method"], suffixes=("", "_trunk"))
    sharper = pairs.assign(**{name: np.log(pairs[name] / pairs[f"{name}_trunk"]) for name in DESCRIBED})
    found: Numbers = {}
    for name in DESCRIBED:
        means = factors(sharper, name, ["method"])
        found |= with_named_ends(f"sharper_rtn_{name}", means.loc["rtn"])
        found |= {"sharper_gptq_qid_nats_mean": means.loc["gptq", "mean"]} if name == "qid_nats" else {}
    at_ends = twins[twins["step"].isin(runs.ends["step"])].sort_values(TOKENS_SEEN).groupby(["method", "model"])
    grown = np.log(at_ends[DESCRIBED].last() / at_ends[DESCRIBED].first()).reset_index()
    for name in ("hessian_trace", "variance"):
        found[f"grown_{name}_mean"] = factors(grown, name, ["method"]).loc["rtn", "mean"]
    claim((sharper["hessian_trace"] > 0).all(), "decay raises the trace in every cooldown")
    claim(sharper["variance"].mean() < 0, "and lowers the variance of the error")
    claim(grown["variance"].mean() > 0 > grown["hessian_trace"].mean(), "tokens act through the error")
    return found


# ---- limits, exercises, the appendix ---------------------------------------------------------------------------------


def limits(trunk: pd.DataFrame) -> Numbers:
    """Return how long these runs are, in tokens, updates and time constants of the weight norm, beside the paper's."""
    last = trunk.loc[trunk["step"].idxmax()]
    return {
        "trunk_last": count_label(trunk[TOKENS_SEEN].max()),
        "trunk_updates": int(last["step"]),
        "unique_tokens": count_label(trunk["unique_tokens"].iloc[0]),
        "updates_times": PAPER_UPDATES / last["step"],
        "norm_ours": 2 * last["peak_learning_rate"] * last["weight_decay"] * last["step"],
        "norm_theirs": 2 * PAPER_RATE * PAPER_WEIGHT_DECAY * PAPER_UPDATES,
    }


def in_exercises(runs: Runs) -> Numbers:
    """Return what the solutions say: growth from where the last cooldowns began, and the largest one's losses."""
    last = runs.ends["step"].max()
    done = runs.ends[(runs.ends["step"] == last) & (runs.ends["bits"] == 3)].set_index("model")
    trunk = runs.trunk[runs.trunk["bits"] == 3].set_index(["model", "step"])["qid_nats"]
    begun = trunk.xs(int(done["branched_at_step"].iloc[0]), level="step")
    reached = trunk.xs(last, level="step")
    found: Numbers = {"naive_3": np.exp(np.log(done["qid_nats"] / begun).mean())}
    found["naive_trunk_3"] = np.exp(np.log(reached / begun)[done.index].mean())
    model = done[N_PARAMS].idxmax()
    large, same = (
        rows[(rows["model"] == model) & (rows["step"] == last)].set_index("bits") for rows in (runs.ends, runs.trunk)
    )
    for bits, suffix in ((3, ""), (2, "_2")):
        found[f"choice_cooldown{suffix}"] = large.loc[bits, "loss_nats"]
        found[f"choice_trunk{suffix}"] = same.loc[bits, "loss_nats"]
    found["choice_qid"] = large.loc[3, "qid_nats"] - same.loc[3, "qid_nats"]
    found["choice_loss"] = same.loc[3, LOSS] - large.loc[3, LOSS]
    claim(found["choice_cooldown"] < found["choice_trunk"], "decay is worth it for the largest model at 3 bits")
    return found


def surfaces_table(cooled: pd.DataFrame) -> pd.DataFrame:
    """Return for people the factor of a full cooldown at some tokens and sizes, and its slopes; a column a surface."""
    columns = {}
    for name, surface in fitted_surfaces(cooled).items():
        cells = {}
        for words, place in PLACES.items():
            at = surface.at(*place)
            cells[words] = f"{at['ratio']:.2f} [{at['low']:.2f}, {at['high']:.2f}]"
        for symbol, key in (("D", "tokens"), ("N", "size")):
            low, value, high = (signed(surface.slopes.loc[key, end], 3) for end in ("low", "value", "high"))
            cells[f"slope in ln {symbol}"] = f"{value} [{low}, {high}]"
        columns[name] = cells
    return pd.DataFrame(columns).rename_axis("tokens and size")


def exponents_table(runs: Runs, coarse: Runs) -> pd.DataFrame:
    """Return for people the exponents of D after decay and at the constant rate, however QiD is measured."""
    every = exponents_after_decay(runs, "groups of 32") | exponents_after_decay(coarse, "symmetric groups of 128")
    rows = {
        f"{measure}, {kind}": {
            f"{bits} bits": "{mean:.2f} [{low:.2f}, {high:.2f}]".format(**table.loc[bits]) for bits in BITS
        }
        for (kind, measure), table in every.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("exponent of D")
