"""What the chapter on tokens and decay states: growth at a constant rate, what decay adds, what other recipes do."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.analyse.questions.decay import (
    LOSS,
    compared_with_trunk,
    growth_parts,
    mean_over_sizes,
)
from helpers.analyse.questions.decay_surface import DecaySurface, full_cooldowns, surfaces
from helpers.analyse.questions.slopes_of_ratios import log_mean_and_slopes
from helpers.analyse.questions.trends import slopes_by_pass, trends
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.noise import training_seeds
from helpers.analyse.rows.outcomes import KL, QID
from helpers.analyse.rows.second_runs import whole_rows
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import (
    DEPTH,
    FITTED_BITS,
    GROUP_SIZE,
    LATE_TOKENS,
    on_trunk,
    rows_of_every_run,
    rows_of_seeds,
)
from helpers.show.claims import claim
from helpers.show.intervals import signed, with_named_ends
from helpers.show.numbers.law.unified_law import Numbers
from helpers.show.style import count_label

BITS = list(FITTED_BITS)
PASSES = (0.25, 0.5, 1, 2, 4)  # through the training text, between which pieces of training lie
SECOND, LAST = PASSES[1], PASSES[3]  # where the pieces start that are compared
COARSE_GROUP = 128  # of the symmetric groups that Catalan-Tatjer et al. round in
SERIES = ["model", N_PARAMS, "bits"]
MEANS = ["mean", "low", "high", "lowest", "highest"]
AT_END, ON_THE_WAY = "cooldown, at its end", "cooldown, on the way"


# ---- the runs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Runs:
    """The late rows of every run in one scheme of rounding, and the parts that the chapter compares."""

    rows: pd.DataFrame

    @cached_property
    def trunk(self) -> pd.DataFrame:
        """Return the runs at the constant rate."""
        return self.rows[on_trunk(self.rows)]

    @cached_property
    def ends(self) -> pd.DataFrame:
        """Return the ends of cooldowns, where the rate is zero."""
        cooldowns = self.rows[self.rows["schedule"] == "cooldown"]
        return cooldowns[cooldowns["learning_rate"] == 0]

    @cached_property
    def cosines(self) -> pd.DataFrame:
        """Return the longest cosine of each size, all its checkpoints."""
        cosines = self.rows[self.rows["schedule"] == "cosine"]
        return cosines[cosines["tokens_planned"] == cosines.groupby("model")["tokens_planned"].transform("max")]

    @cached_property
    def averages(self) -> pd.DataFrame:
        """Return the averages of weights along the trunk."""
        return self.rows[self.rows["n_averaged"] > 1]

    @cached_property
    def at_tokens(self) -> pd.DataFrame:
        """Return every other run's checkpoints beside the trunk at equal tokens: `compared_with_trunk`."""
        return compared_with_trunk(self.rows, TOKENS_SEEN)

    @cached_property
    def at_loss(self) -> pd.DataFrame:
        """Return them beside the trunk at equal 16-bit loss."""
        return compared_with_trunk(self.rows, LOSS)

    @property
    def beside_cosine(self) -> pd.DataFrame:
        """Return the longest cosines' checkpoints beside the trunk at equal tokens."""
        return self.at_tokens[self.at_tokens["run_label"].isin(self.cosines["run_label"])]

    @property
    def average(self) -> str:
        """Return the way of `at_tokens` that averages of weights have."""
        return str(next(way for way in self.at_tokens["way"].unique() if way.startswith("average")))

    def of_kinds(self) -> pd.DataFrame:
        """Return the rows of cooldowns, cosines and averages with the column `kind`, for the figures of paths."""
        branches = self.rows[(self.rows["schedule"] != "constant") & (self.rows["n_averaged"] == 1)]
        return pd.concat([branches.assign(kind=branches["schedule"]), self.averages.assign(kind="average")])


def every_run(measured: pd.DataFrame) -> pd.DataFrame:
    """Return `degradation` of every run's rows by GPTQ and RTN, other depths left out; each is its own size's twin."""
    every = degradation(rows_of_every_run(measured[measured["method"].isin(["none", "gptq", "rtn"])]))
    return every[every["family"] != DEPTH].assign(twin=every["model"])


def runs_of(every: pd.DataFrame, method: str = "gptq", group_size: int = GROUP_SIZE, symmetric: bool = False) -> Runs:
    """Return the runs of `every_run` in one scheme, beyond `LATE_TOKENS`, at `FITTED_BITS`."""
    rows = rows_of_fit(every, method, group_size, symmetric, LATE_TOKENS)
    return Runs(rows[rows["bits"].isin(BITS)].reset_index(drop=True))


def factors(table: pd.DataFrame, value: str, by: list[str]) -> pd.DataFrame:
    """Return `mean_over_sizes` of a logarithm as factors."""
    return np.exp(mean_over_sizes(table, value, by)[MEANS])


def with_signs(row: pd.Series, name: str) -> Numbers:
    """Return a slope and the ends of its interval as text, as `name_value`, `name_low` and `name_high`."""
    return {f"{name}_{end}": signed(row[end], 3) for end in ("value", "low", "high")}


# ---- the yardstick, and the constant rate ----------------------------------------------------------------------------


def yardstick(runs: Runs) -> Numbers:
    """Return how far QiD of one checkpoint scatters between training seeds, and the factor that two may differ by."""
    seeds = training_seeds(rows_of_seeds(runs.rows))
    scatter = seeds.loc[3, "relative_sd"]
    found: Numbers = {"group": int(runs.rows["group_size"].iloc[0]), "late_tokens": count_label(LATE_TOKENS)}
    found |= {"seed_runs": int(seeds["n_runs"].max()), "seed_models": int(seeds["n_models"].max())}
    return found | {"seed_3": scatter, "yard_3": np.exp(2 * np.sqrt(2) * scatter)}


def constant_rate(trunk: pd.DataFrame) -> Numbers:
    """Return by how much QiD grows per doubling of the tokens in each piece of training, and from first to last."""
    slopes = slopes_by_pass(trunk, PASSES)
    doubled = slopes.assign(model=slopes["run_label"], doubling=np.log(2) * slopes["exponent"])
    over_sizes = factors(doubled, "doubling", ["bits", "start"])
    whole = trends(trunk, TOKENS_SEEN, SERIES)
    growth = whole["end_nats"] / whole["start_nats"]
    found: Numbers = {"whole_low": growth.min(), "whole_high": growth.max(), "trunk_sizes": trunk["model"].nunique()}
    found["whole_times"] = whole["end"].iloc[0] / whole["start"].iloc[0]
    found |= {"pieces": len(slopes), "pieces_rising": int((slopes["exponent"] > 0).sum())}
    for start in (PASSES[0], LAST):
        found |= with_named_ends(f"doubling_3_{start:g}", over_sizes.loc[(3, start)])
    by_size = (2 ** slopes.set_index([N_PARAMS, "bits", "start"])["exponent"]).unstack("start")
    three = by_size.xs(3, level="bits")
    slowed = three[LAST] < three[SECOND]
    found |= {"slowed": int(slowed.sum()), "slowed_to": count_label(three.index[slowed].max())}
    found |= {"trunk_largest": count_label(three.index.max())}
    found |= {f"largest_{start:g}": three[start].iloc[-1] for start in (SECOND, LAST)}
    last = by_size[LAST].rename("ratio").reset_index()
    steeper = log_mean_and_slopes(last, [N_PARAMS], cluster=N_PARAMS).loc[N_PARAMS]
    claim((slopes["exponent"] > 0).mean() > 0.95, "no piece of training is flat, but for single ones")
    claim((whole["change_nats"] > 3 * whole["change_se_nats"]).all(), "QiD rises at every size")
    claim((over_sizes["low"] > 1).all(), "every interval lies above one")
    claim(slowed.iloc[0] > slowed.iloc[-1] and slowed.is_monotonic_decreasing, "growth slows in small models alone")
    claim(steeper["low"] > 0, "the last piece is steeper in larger models")
    return found


# ---- what decay adds -------------------------------------------------------------------------------------------------


def added(runs: Runs) -> Numbers:
    """Return what decay adds at equal tokens, halfway and at the end of cooldowns, and how that moves with tokens."""
    ends, halfway = (runs.at_tokens[runs.at_tokens["way"] == way] for way in (AT_END, ON_THE_WAY))
    by_bits = {name: factors(rows, "log_ratio", ["bits"]) for name, rows in (("half", halfway), ("end", ends))}
    found: Numbers = {"cooldown_sizes": ends["model"].nunique(), "cooldown_runs": ends["run_label"].nunique()}
    for name, rows in by_bits.items():
        for bits in BITS:
            found |= with_named_ends(f"{name}_{bits}", rows.loc[bits])
    first, last = ends[TOKENS_SEEN].min(), ends[TOKENS_SEEN].max()
    by_end = factors(ends, "log_ratio", ["bits", TOKENS_SEEN])
    for name, tokens in (("first", first), ("last", last)):
        found |= with_named_ends(f"end_{name}_2", by_end.loc[(2, tokens)])
    found |= {"end_last_3_mean": by_end.loc[(3, last), "mean"]}
    found |= {"first_end": count_label(first), "last_end": count_label(last)}
    late = ends.loc[ends[TOKENS_SEEN] == last, "ratio"]
    claim((by_bits["end"].loc[[2, 3], "low"] > 1).all(), "decay adds to QiD, clearly at 2 and 3 bits")
    claim((by_bits["half"]["mean"] > 1).all(), "part of it is there halfway")
    claim((late > 1).mean() > 0.9, "late cooldowns end higher")
    for bits, rows in ends.groupby("bits"):
        slopes = log_mean_and_slopes(rows, [TOKENS_SEEN, N_PARAMS], cluster="model")
        claim(bits == 4 or slopes.loc[TOKENS_SEEN, "value"] > 0, "later cooldowns add more")
    return found


def cooled_rows(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the trunk and of the second runs with their cooldowns, at `FITTED_BITS`."""
    cooled = pd.concat([whole_rows(measured, first) for first in (True, False)], ignore_index=True)
    return cooled[cooled["bits"].isin(BITS)]


def fitted_surfaces(cooled: pd.DataFrame) -> dict[str, DecaySurface]:
    """Return the surfaces of a full cooldown's factor over tokens and size, by outcome and bit width."""
    return {
        "QiD, 3 bits": surfaces(cooled, QID)[3],
        "KL, 3 bits": surfaces(cooled, KL)[3],
        "KL, 4 bits": surfaces(cooled, KL)[4],
    }


def surface(cooled: pd.DataFrame) -> Numbers:
    """Return how far the surface goes over the cooldowns that were run, and its slopes in KL at 4 bits."""
    fitted, moved = fitted_surfaces(cooled), full_cooldowns(cooled, KL)
    kl = fitted["KL, 4 bits"]
    found: Numbers = {"surface_n": kl.n_cooldowns, "surface_runs": kl.n_runs}
    found["surface_largest"] = count_label(moved[N_PARAMS].max())
    found |= with_signs(kl.slopes.loc["tokens"], "surface_tokens")
    places = full_cooldowns(cooled[cooled["bits"] == 3], QID)[[TOKENS_SEEN, N_PARAMS]].to_numpy(float)
    heights = [fitted["QiD, 3 bits"].at(*place)["ratio"] for place in places]
    found |= {"surface_range_low": min(heights), "surface_range_high": max(heights)}
    ends = {"first": places[:, 0].min(), "last": places[:, 0].max()}
    claim(kl.slopes.loc["tokens", "low"] > 0, "decay adds more after more tokens")
    claim(kl.slopes.loc["size", "low"] < 0 < kl.slopes.loc["size", "high"], "whether it adds less in larger is open")
    return found | {f"surface_tokens_{name}": count_label(tokens) for name, tokens in ends.items()}


def both_parts(runs: Runs) -> dict[str, pd.DataFrame]:
    """Return `growth_parts` from the first cooldown's end to the last, and along the longest cosine."""
    ends = runs.at_tokens[runs.at_tokens["way"] == AT_END]
    return {"cooldown": growth_parts(ends, SERIES), "cosine": growth_parts(runs.beside_cosine, SERIES)}


def growth(runs: Runs) -> Numbers:
    """Return how growth falls into tokens and decay, between ends of cooldowns and along a cosine."""
    parts = both_parts(runs)
    shares = {name: mean_over_sizes(rows, "decay_share", ["bits"]) for name, rows in parts.items()}
    found: Numbers = {"cosine_sizes": parts["cosine"]["model"].nunique()}
    found |= with_named_ends("share_cooldown_3", shares["cooldown"].loc[3])
    for name, rows in (("parts", parts["cooldown"]), ("cosine", parts["cosine"])):
        found |= {f"{name}_first": count_label(rows["start"].iloc[0]), f"{name}_last": count_label(rows["end"].iloc[0])}
    cosine = parts["cosine"]["decay_share"]
    found |= {"cosine_share_low": cosine.min(), "cosine_share_high": cosine.max()}
    claim((parts["cooldown"]["tokens_part"] > parts["cooldown"]["decay_part"]).all(), "tokens make the larger part")
    claim((cosine < 0.5).all(), "and along a cosine as well")
    claim((shares["cosine"]["mean"] > shares["cooldown"]["mean"]).all(), "along a cosine decay comes in full")
    return found


# ---- after decay, and along a cosine ---------------------------------------------------------------------------------


def exponents_after_decay(runs: Runs, name: str) -> dict[tuple[str, str], pd.DataFrame]:
    """Return exponents of D over the ends of cooldowns and over the trunk at the same tokens, in QiD and relative.

    Means over sizes by bits; the keys are what is fitted, and the measure with the `name` of the scheme. Relative is
    QiD over the 16-bit loss, the relative cross-entropy of Catalan-Tatjer et al. 2025 (arXiv 2510.06213).
    """
    same = runs.trunk[runs.trunk["model"].isin(runs.ends["model"]) & runs.trunk["step"].isin(runs.ends["step"])]
    found = {}
    for kind, rows in (("after decay", runs.ends), ("constant rate", same)):
        relative = rows.assign(qid_nats=rows["qid_nats"] / rows[LOSS])
        for measure, table in (("QiD", rows), ("relative", relative)):
            lines = trends(table, TOKENS_SEEN, ["model", "bits"])
            found[kind, f"{measure}, {name}"] = mean_over_sizes(lines, "exponent", ["bits"])
    return found


def after_decay(runs: Runs, coarse: Runs) -> Numbers:
    """Return how QiD grows over the ends of cooldowns, beside the same tokens at the constant rate."""
    every = exponents_after_decay(runs, "fine") | exponents_after_decay(coarse, "coarse")
    done, constant = every["after decay", "QiD, fine"], every["constant rate", "QiD, fine"]
    found: Numbers = {}
    found |= with_named_ends("after_3", done.loc[3]) | {"constant_3_mean": constant.loc[3, "mean"]}
    lines = trends(runs.ends, TOKENS_SEEN, ["model", "bits"])
    times = lines["end_nats"] / lines["start_nats"]
    found |= {"after_times_low": times.min(), "after_times_high": times.max(), "after_series": len(lines)}
    found["after_rising"] = int((lines["n_up"] == lines["n_steps"]).sum())
    per_parameter = runs.ends[TOKENS_SEEN] / runs.ends[N_PARAMS]
    found |= {"per_parameter_low": per_parameter.min(), "per_parameter_high": per_parameter.max()}
    claim((lines["change_nats"] > 3 * lines["change_se_nats"]).all(), "QiD grows from the first end to the last")
    claim(all((rows["low"] > 0).all() for rows in every.values()), "all exponents are above zero")
    for (kind, name), rows in every.items():
        steeper = kind != "after decay" or (rows["mean"] > every["constant rate", name]["mean"]).all()
        claim(bool(steeper), "steeper after decay than at the constant rate, however it is measured")
    return found


def numbers(runs: Runs, coarse: Runs, cooled: pd.DataFrame) -> Numbers:
    """Return what the chapter states of growth and decay, by key: of runs in two schemes, and of `cooled_rows`."""
    parts = [yardstick(runs), constant_rate(runs.trunk), added(runs), surface(cooled), growth(runs)]
    parts += [after_decay(runs, coarse)]
    return {key: value for part in parts for key, value in part.items()}
