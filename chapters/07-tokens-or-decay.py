# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tokens raise QiD, and decay adds to it
#
# *Does QiD grow because a model has read more, or because its learning rate has fallen?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** Taking the learning rate down to zero multiplies QiD at 3 bits by {glue:text}`end_3_mean:.2f`
#   [{glue:text}`end_3_low:.2f`, {glue:text}`end_3_high:.2f`] (mean, 95% over sizes). Most of the growth along training is
#   there without it.
# - **How sure.** {glue:text}`cooldown_runs:d` cooldowns of {glue:text}`cooldown_sizes:d` sizes up to
#   {glue:text}`largest_size:s` parameters; over size and tokens the factor goes from {glue:text}`surface_range_low:.1f` to
#   {glue:text}`surface_range_high:.1f`. Nothing here was trained on more than {glue:text}`trunk_last:s` tokens.
# - **Use it for.** Comparing recipes by the loss after rounding. An exponent of tokens should not be read off one run whose
#   rate decays.
# ```
#
# {cite:t}`ouyang2025lowbit` fit a power of the training tokens $D$ to checkpoints of runs whose learning rate falls along the way.
# {cite:t}`catalan2025dynamics` object. In a run with a cosine, late checkpoints have read more *and* have a lower rate, so that a
# fit can't separate the two. In their own runs the error after rounding hardly moves while the rate is constant and jumps
# when it decays, and cooldowns that start at different points end at the same error. If they are right, the $D$ of the law is
# not tokens at all. {doc}`Appendix A <92-what-else-moves-qid>` had a glance at this. Here we take the claims one by one, with runs made for it: the
# same sizes on the same batches at a constant rate, with cooldowns from several points, and with cosines.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.analyse.questions.decay import (
    LOSS,
    compared_with_trunk,
    growth_parts,
    mean_over_sizes,
    rounded_differences,
)
from helpers.analyse.questions.decay_surface import full_cooldowns, surfaces
from helpers.analyse.questions.mechanism import describe, with_description
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
from helpers.show.figures import comparisons, decay
from helpers.show.glue import put, put_all
from helpers.show.style import count_label, use_house_style
from helpers.table.files import read_checkpoints, read_table

use_house_style()
BITS = list(FITTED_BITS)
PAPER_UPDATES = 190_000  # of the controlled runs of Catalan-Tatjer et al.
PAPER_RATE, PAPER_WEIGHT_DECAY = 3e-3, 0.1  # of the same runs
PASSES = [0.25, 0.5, 1, 2, 4]
MEANS = ["mean", "low", "high", "lowest", "highest"]


def put_row(name, row, columns=("mean", "low", "high")):
    put_all(**{f"{name}_{column}": row[column] for column in columns})


def signed(value):
    return f"{value:+.3f}".replace("-", "−")


def bracketed(row, name):
    return f"{row[name]:.2f} [{row['low']:.2f}, {row['high']:.2f}]".replace("-", "−")


# %% [markdown]
# ## Definitions
#
# Call $q(D)$ the QiD of a run after $D$ tokens and $q_0(D)$ that of its *trunk*: the same size on the same batches at the constant
# rate. Both are in nats per token. We compare at two kinds of places.
#
# - **At equal tokens:** $r(D) = q(D) / q_0(D)$, a factor. It says what a difference in training adds.
# - **At equal loss:** $q$ over the trunk's QiD where its *16-bit loss* is the same, whatever the tokens. If QiD were a function
#   of the size and the loss alone, this factor would be one for every run.
#
# Where the trunk has no checkpoint at a place, its QiD is read off between its two neighbours, in a straight line of $\ln q_0$
# over $\ln D$ or over the loss. The growth of QiD along a run falls into two factors:
#
# $$
# \frac{q(D_2)}{q(D_1)} = \underbrace{\frac{q_0(D_2)}{q_0(D_1)}}_{\text{tokens}} \cdot \underbrace{\frac{r(D_2)}{r(D_1)}}_{\text{decay}} .
# $$ (eq-parts)
#
# {cite:t}`catalan2025dynamics` measure *relative cross-entropy*, the loss after rounding over the loss before, minus one (no
# unit). That is QiD divided by the 16-bit loss. We give it beside QiD where it might matter. Main rows: GPTQ in asymmetric groups
# of {glue:text}`group:d`, held-out text, beyond {glue:text}`late_tokens:s` tokens.

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
every = degradation(rows_of_every_run(measured[measured["method"].isin(["none", "gptq", "rtn"])]))
every = every[every["family"] != DEPTH].assign(twin=every["model"])


def of_scheme(method, group_size, symmetric):
    rows = rows_of_fit(every, method, group_size, symmetric, LATE_TOKENS)
    return rows[rows["bits"].isin(BITS)].reset_index(drop=True)


plain = of_scheme("gptq", GROUP_SIZE, symmetric=False)
coarse = of_scheme("gptq", 128, symmetric=True)
trunk = plain[on_trunk(plain)]
at_tokens, at_loss = compared_with_trunk(plain, TOKENS_SEEN), compared_with_trunk(plain, LOSS)

# %% [markdown]
# **The yardstick.** Training runs that differ in the {term}`seed` alone differ in QiD too. From another seed, with another rounding, one
# checkpoint's QiD scatters by {glue:text}`seed_2:.1%`, {glue:text}`seed_3:.1%` and {glue:text}`seed_4:.1%` at 2, 3 and 4 bits
# (standard deviation, {glue:text}`seed_runs:d` runs, see {doc}`chapter 11 <11-noise-floor>`). So the ratio of *one* checkpoint to *one* of
# another run is a finding if it differs from 1 by more than about a factor of {glue:text}`yard_2:.2f`, {glue:text}`yard_3:.2f` and
# {glue:text}`yard_4:.2f` (twice $\sqrt 2$ times as much). Cooldowns and averages share most of their training with the trunk, so
# that for them this is rather too strict. {term}`Intervals <interval>` run over training runs: one number a size, and Student's $t$
# over the sizes.

# %% tags=["remove-cell"]
seeds = training_seeds(rows_of_seeds(plain))
put("group", int(plain["group_size"].iloc[0]))
put("late_tokens", count_label(LATE_TOKENS))
put("seed_runs", int(seeds["n_runs"].max()))
put("seed_models", int(seeds["n_models"].max()))
for bits in BITS:
    put(f"seed_{bits}", seeds.loc[bits, "relative_sd"])
    put(f"yard_{bits}", np.exp(2 * np.sqrt(2) * seeds.loc[bits, "relative_sd"]))
cooldowns = plain[plain["schedule"] == "cooldown"]
decayed = cooldowns[cooldowns["learning_rate"] == 0]
longest = plain[(plain["schedule"] == "cosine")]
longest = longest[longest["tokens_planned"] == longest.groupby("model")["tokens_planned"].transform("max")]
beside_longest = at_tokens[at_tokens["run_label"].isin(longest["run_label"])]
kinds = plain[(plain["schedule"] != "constant") & (plain["n_averaged"] == 1)]
kinds = kinds.assign(kind=kinds["schedule"])
averages = plain[plain["n_averaged"] > 1].assign(kind="average")
at_3 = kinds[kinds["bits"] == 3]
put("fig_paths", decay.paths(at_3, trunk[trunk["bits"] == 3], TOKENS_SEEN))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_paths
# :name: fig-paths
# :alt: QiD at 3 bits against training tokens, both axes logarithmic, one panel for each size that has cooldowns or cosines. A dark line, the constant rate, rises through the whole panel. Short orange lines leave it and end a little above it. The ends rise from left to right as the dark line does. Where there are blue lines, the cosines, they run along the dark line and end above it.
#
# Tokens move QiD along the panels, decay moves it a little off the line: at 3 bits QiD rises while the rate is constant, and the
# ends of later cooldowns are higher. Markers are the ends of runs.
# ```
#
# ## While the rate is constant

# %% tags=["hide-input"]
slopes = slopes_by_pass(trunk, PASSES)
per_doubling = slopes.assign(model=slopes["run_label"], doubling=np.log(2) * slopes["exponent"])
over_sizes = np.exp(mean_over_sizes(per_doubling, "doubling", ["bits", "start"])[MEANS])
whole = trends(trunk, TOKENS_SEEN, ["model", N_PARAMS, "bits"])

# %% tags=["hide-input"]
cells = slopes.assign(factor=2 ** slopes["exponent"], N=slopes[N_PARAMS].map(count_label)).sort_values(
    [N_PARAMS, "start"]
)
cells = cells.groupby([N_PARAMS, "N", "bits"])["factor"].apply(lambda rows: ", ".join(f"{row:.2f}" for row in rows))
cells.unstack("bits").droplevel(N_PARAMS).rename(columns="{:g} bits".format).rename_axis(index="size N", columns=None)

# %% tags=["remove-cell"]
for bits, start in [(3, start) for start in PASSES[:-1]] + [(2, PASSES[-2]), (4, PASSES[-2])]:
    put_row(f"doubling_{bits}_{start:g}", over_sizes.loc[(bits, start)])
lowest = slopes.loc[slopes["exponent"].idxmin()]
put("whole_low", (whole["end_nats"] / whole["start_nats"]).min())
put("whole_high", (whole["end_nats"] / whole["start_nats"]).max())
put("whole_times", whole["end"].iloc[0] / whole["start"].iloc[0])
put("pieces", len(slopes))
put("pieces_rising", int((slopes["exponent"] > 0).sum()))
put("lowest_doubling", 2 ** lowest["exponent"])
put("lowest_size", count_label(lowest[N_PARAMS]))
put("lowest_bits", lowest["bits"])
put("trunk_sizes", trunk["model"].nunique())
assert (slopes["exponent"] > 0).mean() > 0.95, "the text says that no piece of training is flat, but for single ones"
assert (whole["change_nats"] > 3 * whole["change_se_nats"]).all(), "the text says that QiD rises at every size"
assert (over_sizes["low"] > 1).all(), "the text says that every interval lies above one"
doubling = (2 ** slopes.set_index([N_PARAMS, "bits", "start"])["exponent"]).unstack("start")
at_three = doubling.xs(3, level="bits")
slowed = at_three[2.0] < at_three[0.5]
put_all(slowed=int(slowed.sum()), slowed_to=count_label(at_three.index[slowed].max()))
put_all(trunk_largest=count_label(at_three.index.max()))
put_all(**{f"largest_{start:g}": at_three[start].iloc[-1] for start in (0.5, 2.0)})
last_pieces = doubling[2.0].rename("ratio").reset_index()
by_size_late = log_mean_and_slopes(last_pieces, [N_PARAMS], cluster=N_PARAMS).loc[N_PARAMS]
put_all(**{f"late_size_{column}": signed(by_size_late[column]) for column in ("value", "low", "high")})
assert slowed.iloc[0] > slowed.iloc[-1], "the text says that growth slows in small models"
assert slowed.is_monotonic_decreasing, "and in them alone"
assert by_size_late["low"] > 0, "the text says that the last piece is steeper in larger models"

# %% [markdown]
# *Factors by which QiD grows per doubling of the tokens at a constant rate: second quarter and second half of the first pass
# through the training text, second pass, third and fourth pass.*
#
# **Claim: the error is nearly flat while the rate is constant. Here it isn't.** In {glue:text}`pieces_rising:d` of
# {glue:text}`pieces:d` pieces of training ({glue:text}`trunk_sizes:d` sizes, three bit widths) QiD rises. Over the
# {glue:text}`whole_times:.1f` times more tokens that this chapter looks at it becomes {glue:text}`whole_low:.1f` to
# {glue:text}`whole_high:.1f` times as large. At 3 bits one doubling multiplies QiD by {glue:text}`doubling_3_0.25_mean:.2f`
# [{glue:text}`doubling_3_0.25_low:.2f`, {glue:text}`doubling_3_0.25_high:.2f`] in the first of these pieces, then by
# {glue:text}`doubling_3_0.5_mean:.2f` [{glue:text}`doubling_3_0.5_low:.2f`, {glue:text}`doubling_3_0.5_high:.2f`],
# {glue:text}`doubling_3_1_mean:.2f` [{glue:text}`doubling_3_1_low:.2f`, {glue:text}`doubling_3_1_high:.2f`] and
# {glue:text}`doubling_3_2_mean:.2f` [{glue:text}`doubling_3_2_low:.2f`, {glue:text}`doubling_3_2_high:.2f`]. In the last piece
# it is {glue:text}`doubling_2_2_mean:.2f` [{glue:text}`doubling_2_2_low:.2f`, {glue:text}`doubling_2_2_high:.2f`] at 2 bits and
# {glue:text}`doubling_4_2_mean:.2f` [{glue:text}`doubling_4_2_low:.2f`, {glue:text}`doubling_4_2_high:.2f`] at 4. The flattest
# piece of all, {glue:text}`lowest_size:s` parameters at {glue:text}`lowest_bits:.0f` bits, still has a factor of
# {glue:text}`lowest_doubling:.2f`. Growth slows down in the {glue:text}`slowed:d` sizes up to {glue:text}`slowed_to:s`
# parameters, where the last piece at 3 bits is flatter than the second. In the larger it doesn't: at
# {glue:text}`trunk_largest:s` the factor is {glue:text}`largest_0.5:.2f` in the second piece and {glue:text}`largest_2:.2f` in
# the last. Over all bits the factor of the last piece rises with size, with a slope of its logarithm of
# {glue:text}`late_size_value:s` [{glue:text}`late_size_low:s`, {glue:text}`late_size_high:s`] in $\ln N$.
#
# ## What decay adds at equal tokens

# %% tags=["hide-input"]
halfway = at_tokens[at_tokens["way"] == "cooldown, on the way"]
ends = at_tokens[at_tokens["way"] == "cooldown, at its end"]
added = {"half": halfway, "end": ends}
by_bits = {name: np.exp(mean_over_sizes(rows, "log_ratio", ["bits"])[MEANS]) for name, rows in added.items()}
by_end = np.exp(mean_over_sizes(ends, "log_ratio", ["bits", TOKENS_SEEN])[MEANS])
moves = {
    bits: log_mean_and_slopes(rows, [TOKENS_SEEN, N_PARAMS], cluster="model") for bits, rows in ends.groupby("bits")
}

# %% tags=["remove-cell"]
for bits in BITS:
    for name, rows in by_bits.items():
        put_row(f"{name}_{bits}", rows.loc[bits])
    for column in ("value", "low", "high"):
        put(f"move_tokens_{bits}_{column}", signed(moves[bits].loc[TOKENS_SEEN, column]))
    put(f"move_size_{bits}_value", signed(moves[bits].loc[N_PARAMS, "value"]))
put_row("end_first_2", by_end.loc[(2, ends[TOKENS_SEEN].min())])
put_row("end_last_2", by_end.loc[(2, ends[TOKENS_SEEN].max())])
put("end_last_3_mean", by_end.loc[(3, ends[TOKENS_SEEN].max()), "mean"])
relative = np.exp(mean_over_sizes(ends, "log_relative", ["bits"])["mean"])
put_all(**{f"relative_{bits}_mean": relative[bits] for bits in BITS})
share = mean_over_sizes(halfway, "log_ratio", ["bits"])["mean"] / mean_over_sizes(ends, "log_ratio", ["bits"])["mean"]
put("share_half_low", share.min())
put("share_half_high", share.max())
put("cooldown_sizes", ends["model"].nunique())
put("cooldown_runs", ends["run_label"].nunique())
put("first_end", count_label(ends[TOKENS_SEEN].min()))
put("last_end", count_label(ends[TOKENS_SEEN].max()))
late_ends = ends[ends[TOKENS_SEEN] == ends[TOKENS_SEEN].max()]
put("last_beyond", int((late_ends["ratio"] > 1).sum()))
put("last_rows", len(late_ends))
assert (by_bits["end"].loc[[2, 3], "low"] > 1).all(), "the text says that decay adds to QiD, clearly at 2 and 3 bits"
assert (by_bits["half"]["mean"] > 1).all(), "and that part of it is there halfway"
assert (late_ends["ratio"] > 1).mean() > 0.9, "the text says that late cooldowns end higher"
assert all(moves[bits].loc[TOKENS_SEEN, "value"] > 0 for bits in (2, 3)), (
    "the caption says that later cooldowns add more"
)
assert all(row["low"] < 0 < row["high"] for row in (moves[bits].loc[N_PARAMS] for bits in BITS)), (
    "and sizes don't differ"
)
shown = ends.assign(ratio_se=(ends["high"] - ends["low"]) / (2 * 1.96))
put("fig_added", comparisons.ratio_against_tokens(shown, "QiD over that of the trunk (factor)"))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_added
# :name: fig-added
# :alt: Ratio of QiD at the end of a cooldown to that of the trunk at the same tokens, against tokens, in three panels for 2, 3 and 4 bits, one line for each size. At 2 and 3 bits nearly all points lie between one and 1.25 and the later ones higher; at 4 bits the first points scatter widely.
#
# What decay to zero adds at equal tokens, more when the rate falls later. Single cooldowns stray further than the surface fitted
# below. At 4 bits the earliest ends are too noisy to tell. Bars: one paired error; another training run isn't in it.
# ```
#
# **Claim: the error jumps when the rate decays. It does, at 3 bits by a factor of {glue:text}`surface_range_low:.1f` to
# {glue:text}`surface_range_high:.1f`, by size and tokens (see the surface below).** As a mean over sizes and moments QiD at the end of a
# cooldown is
# {glue:text}`end_2_mean:.2f` [{glue:text}`end_2_low:.2f`, {glue:text}`end_2_high:.2f`] times that of the trunk at 2 bits,
# {glue:text}`end_3_mean:.2f` [{glue:text}`end_3_low:.2f`, {glue:text}`end_3_high:.2f`] at 3 and {glue:text}`end_4_mean:.2f`
# [{glue:text}`end_4_low:.2f`, {glue:text}`end_4_high:.2f`] at 4 ({glue:text}`cooldown_runs:d` cooldowns, intervals over
# {glue:text}`cooldown_sizes:d` sizes). Halfway, with half the rate left, it is {glue:text}`half_2_mean:.2f`
# [{glue:text}`half_2_low:.2f`, {glue:text}`half_2_high:.2f`], {glue:text}`half_3_mean:.2f` [{glue:text}`half_3_low:.2f`,
# {glue:text}`half_3_high:.2f`] and {glue:text}`half_4_mean:.2f` [{glue:text}`half_4_low:.2f`, {glue:text}`half_4_high:.2f`]:
# between {glue:text}`share_half_low:.0%` and {glue:text}`share_half_high:.0%` of the way, in logarithms. In relative
# cross-entropy the ends stand at {glue:text}`relative_2_mean:.2f`, {glue:text}`relative_3_mean:.2f` and
# {glue:text}`relative_4_mean:.2f`, a little more, because decay lowers the loss that one divides by.
#
# It matters when the rate falls ({numref}`fig-added`). The first cooldowns, which end at {glue:text}`first_end:s` tokens, add a
# factor of {glue:text}`end_first_2_mean:.2f` [{glue:text}`end_first_2_low:.2f`, {glue:text}`end_first_2_high:.2f`] at 2 bits; the
# last, at {glue:text}`last_end:s`, add {glue:text}`end_last_2_mean:.2f` [{glue:text}`end_last_2_low:.2f`,
# {glue:text}`end_last_2_high:.2f`]. Of the late ends {glue:text}`last_beyond:d` of {glue:text}`last_rows:d` lie above the trunk.
# The slope of $\ln r$ in $\ln D$ is {glue:text}`move_tokens_2_value:s` [{glue:text}`move_tokens_2_low:s`,
# {glue:text}`move_tokens_2_high:s`] at 2 bits, {glue:text}`move_tokens_3_value:s` [{glue:text}`move_tokens_3_low:s`,
# {glue:text}`move_tokens_3_high:s`] at 3 and {glue:text}`move_tokens_4_value:s` [{glue:text}`move_tokens_4_low:s`,
# {glue:text}`move_tokens_4_high:s`] at 4. In these {glue:text}`cooldown_runs:d` cooldowns size doesn't show: the slopes in $\ln N$ are
# {glue:text}`move_size_2_value:s`, {glue:text}`move_size_3_value:s` and {glue:text}`move_size_4_value:s`, with intervals around zero.
#
# **A surface, not a number.** Eight more cooldowns belong to the second runs, up to {glue:text}`surface_largest:s` parameters. With
# them, {glue:text}`surface_n:d` in all of {glue:text}`surface_runs:d` runs, we fit $\ln r = a + b \ln D + c \ln N$, for QiD and for KL, whose
# noise is smaller:

# %% tags=["hide-input"]
cooled = pd.concat([whole_rows(measured, first) for first in (True, False)], ignore_index=True)
cooled = cooled[cooled["bits"].isin(BITS)]
fitted = {
    "QiD, 3 bits": surfaces(cooled, QID)[3],
    "KL, 3 bits": surfaces(cooled, KL)[3],
    "KL, 4 bits": surfaces(cooled, KL)[4],
}
places = {
    (250e6, 1e6): "250M, 1M",
    (250e6, 37.8e6): "250M, 37.8M",
    (600e6, 1e6): "600M, 1M",
    (600e6, 14e6): "600M, 14M",
}
told = {
    name: {f"r at D, N = {words}": bracketed(surface.at(*place), "ratio") for place, words in places.items()}
    | {
        f"slope in ln {letter}": bracketed(surface.slopes.loc[key], "value")
        for letter, key in (("D", "tokens"), ("N", "size"))
    }
    for name, surface in fitted.items()
}
pd.DataFrame(told).rename_axis("a full cooldown, 95% over runs")

# %% tags=["remove-cell"]
moved = full_cooldowns(cooled, KL)
surface = fitted["KL, 4 bits"]
put_all(surface_n=surface.n_cooldowns, surface_runs=surface.n_runs, surface_largest=count_label(moved[N_PARAMS].max()))
assert (surface.n_cooldowns, surface.n_runs) == (28, 13), "the text counts eight more than the trunk's"
for key in ("tokens", "size"):
    put_all(**{f"surface_{key}_{end}": signed(surface.slopes.loc[key, end]) for end in ("value", "low", "high")})
assert surface.slopes.loc["tokens", "low"] > 0, "the text says: more after more tokens"
of_three = full_cooldowns(cooled[cooled["bits"] == 3], QID)[[TOKENS_SEEN, N_PARAMS]].to_numpy(float)
heights = [fitted["QiD, 3 bits"].at(*place)["ratio"] for place in of_three]
put_all(surface_range_low=min(heights), surface_range_high=max(heights))
put_all(
    surface_tokens_first=count_label(of_three.min(axis=0)[0]), surface_tokens_last=count_label(of_three.max(axis=0)[0])
)
assert surface.slopes.loc["size", "low"] < 0 < surface.slopes.loc["size", "high"], "the text says: not clear"

# %% [markdown]
# Over these cooldowns, from {glue:text}`surface_tokens_first:s` to {glue:text}`surface_tokens_last:s` tokens, the surface of QiD at 3
# bits goes from {glue:text}`surface_range_low:.2f` to {glue:text}`surface_range_high:.2f` times the trunk's QiD. More tokens, more decay: the slope of KL at
# 4 bits in $\ln D$ is {glue:text}`surface_tokens_value:s` [{glue:text}`surface_tokens_low:s`, {glue:text}`surface_tokens_high:s`].
# That decay adds less in larger models is likely but not clear: in $\ln N$ it is {glue:text}`surface_size_value:s`
# [{glue:text}`surface_size_low:s`, {glue:text}`surface_size_high:s`]. The largest sizes had their only cooldown at 250M tokens, so
# that what decay does to a large model that has been trained long is outside these rows.
#
# ## The two parts of growth
#
# We split growth as in {eq}`eq-parts`: from the end of the first cooldown to that of the last, and along the longest cosine. Each
# cell says growth = tokens × decay.

# %% tags=["hide-input"]
parts = growth_parts(ends, ["way", "model", N_PARAMS, "bits"])
parts_of_cosine = growth_parts(beside_longest.assign(way="cosine, along"), ["way", "model", N_PARAMS, "bits"])
shares = {
    name: mean_over_sizes(rows, "decay_share", ["bits"])
    for name, rows in (("cooldown", parts), ("cosine", parts_of_cosine))
}

# %% tags=["hide-input"]
cells = pd.concat([parts, parts_of_cosine]).sort_values(["way", N_PARAMS])
cells = cells.assign(
    cell=[f"{row.growth:.2f} = {row.tokens_part:.2f} × {row.decay_part:.2f}" for row in cells.itertuples()],
    run=cells["way"].replace({"cooldown, at its end": "cooldown ends"}),
    N=cells[N_PARAMS].map(count_label),
)
cells = cells.pivot(index=["run", N_PARAMS, "N"], columns="bits", values="cell").droplevel(N_PARAMS)
cells.rename(columns="{:g} bits".format).rename_axis(columns=None)

# %% tags=["remove-cell"]
for bits in (2, 3):
    put_row(f"share_cooldown_{bits}", shares["cooldown"].loc[bits])
put("parts_first", count_label(parts["start"].iloc[0]))
put("parts_last", count_label(parts["end"].iloc[0]))
put("cosine_first", count_label(parts_of_cosine["start"].iloc[0]))
put("cosine_last", count_label(parts_of_cosine["end"].iloc[0]))
put("tokens_part_low", parts["tokens_part"].min())
put("tokens_part_high", parts["tokens_part"].max())
put("decay_part_low", parts["decay_part"].min())
put("decay_part_high", parts["decay_part"].max())
put("cosine_share_low", parts_of_cosine["decay_share"].min())
put("cosine_share_high", parts_of_cosine["decay_share"].max())
put("cosine_tokens_low", parts_of_cosine["tokens_part"].min())
put("cosine_tokens_high", parts_of_cosine["tokens_part"].max())
put("cosine_decay_low", parts_of_cosine["decay_part"].min())
put("cosine_decay_high", parts_of_cosine["decay_part"].max())
put("cosine_sizes", longest["model"].nunique())
assert (parts["tokens_part"] > parts["decay_part"]).all(), "the claims say that tokens make the larger part everywhere"
assert (parts_of_cosine["decay_share"] < 0.5).all(), "and along a cosine as well"
assert (shares["cosine"]["mean"] > shares["cooldown"]["mean"]).all(), "the text says: along a cosine it comes in full"

# %% [markdown]
# From {glue:text}`parts_first:s` to {glue:text}`parts_last:s` tokens, ends of cooldowns grow by a tokens part of
# {glue:text}`tokens_part_low:.1f` to {glue:text}`tokens_part_high:.1f` and a decay part of {glue:text}`decay_part_low:.2f` to
# {glue:text}`decay_part_high:.2f` (the extremes are at 4 bits, where single early checkpoints are noisy). In logarithms decay
# makes {glue:text}`share_cooldown_2_mean:.0%` [{glue:text}`share_cooldown_2_low:.0%`, {glue:text}`share_cooldown_2_high:.0%`] of
# the growth at 2 bits and {glue:text}`share_cooldown_3_mean:.0%` [{glue:text}`share_cooldown_3_low:.0%`,
# {glue:text}`share_cooldown_3_high:.0%`] at 3. Both ends are decayed, so that this is only what decay adds *more* later. Along a
# cosine it comes in full. From {glue:text}`cosine_first:s` to {glue:text}`cosine_last:s` tokens the tokens part is
# {glue:text}`cosine_tokens_low:.1f` to {glue:text}`cosine_tokens_high:.1f` and the decay part {glue:text}`cosine_decay_low:.2f`
# to {glue:text}`cosine_decay_high:.2f`, or {glue:text}`cosine_share_low:.0%` to {glue:text}`cosine_share_high:.0%` of the growth
# ({glue:text}`cosine_sizes:d` sizes, one run each).
#
# ## After decay to zero, does QiD still depend on the tokens?

# %% tags=["hide-input"]
schemes = {"group 32": plain, "group 128, symmetric": coarse}
metrics = {f"QiD, {name}": rows for name, rows in schemes.items()}
metrics |= {f"relative, {name}": rows.assign(qid_nats=rows["qid_nats"] / rows[LOSS]) for name, rows in schemes.items()}
after, constant = {}, {}
for name, rows in metrics.items():
    done = rows[(rows["schedule"] == "cooldown") & (rows["learning_rate"] == 0)]
    same = rows[on_trunk(rows) & rows["model"].isin(done["model"])]
    after[name] = trends(done, TOKENS_SEEN, ["model", "bits"])
    constant[name] = trends(same[same["step"].isin(done["step"])], TOKENS_SEEN, ["model", "bits"])
exponents = {
    (kind, name): mean_over_sizes(rows, "exponent", ["bits"])
    for kind, found in (("after decay", after), ("constant rate", constant))
    for name, rows in found.items()
}
last_two = np.sort(decayed["step"].unique())[-2:]
last_doubling = trends(decayed[decayed["step"].isin(last_two)], TOKENS_SEEN, ["model", "bits"])

# %% tags=["hide-input"]
cells = {
    key: ["{:.2f} [{:.2f}, {:.2f}]".format(*row) for row in rows[["mean", "low", "high"]].to_numpy()]
    for key, rows in exponents.items()
}
shown = pd.DataFrame(cells, index=[f"{bits} bits" for bits in BITS]).T
shown.rename_axis(index=["", "measure"])

# %% tags=["remove-cell"]
main = exponents[("after decay", "QiD, group 32")]
for bits in BITS:
    put_row(f"after_{bits}", main.loc[bits])
    put(f"constant_{bits}_mean", exponents[("constant rate", "QiD, group 32")].loc[bits, "mean"])
    put(f"last_doubling_{bits}", last_doubling.loc[last_doubling["bits"] == bits, "exponent"].min())
growth = after["QiD, group 32"].assign(times=lambda rows: rows["end_nats"] / rows["start_nats"])
put("after_times_low", growth["times"].min())
put("after_times_high", growth["times"].max())
put("after_series", len(growth))
put("after_rising", int((growth["n_up"] == growth["n_steps"]).sum()))
put("two_from", count_label(decayed.loc[decayed["step"] == last_two[0], TOKENS_SEEN].iloc[0]))
put("coarse_sizes", after["QiD, group 128, symmetric"]["model"].nunique())
put("per_parameter_low", (decayed[TOKENS_SEEN] / decayed[N_PARAMS]).min())
put("per_parameter_high", (decayed[TOKENS_SEEN] / decayed[N_PARAMS]).max())
assert (growth["change_nats"] > 3 * growth["change_se_nats"]).all(), "the text says: from the first end to the last"
assert (last_doubling["change_nats"] > 2 * last_doubling["change_se_nats"]).all(), "and from the last but one"
assert all((rows["low"] > 0).all() for rows in exponents.values()), "the text says that all exponents are above zero"
for name in metrics:
    higher = exponents[("after decay", name)]["mean"] > exponents[("constant rate", name)]["mean"]
    assert higher.all(), "the text says: steeper after decay than at the constant rate"

# %% [markdown]
# *Exponent of $D$ over the ends of cooldowns, and over the trunk's checkpoints at the same tokens: means over sizes with 95%
# intervals that count sizes.*
#
# **Claim: after decay the error is the same whatever $D$. Here it grows with $D$ as it does at the constant rate, or a little
# more.** From the first end to the last QiD becomes {glue:text}`after_times_low:.1f` to {glue:text}`after_times_high:.1f` times
# as large; it rises from each end to the next in {glue:text}`after_rising:d` of {glue:text}`after_series:d` series. The exponent
# of $D$ over the ends is {glue:text}`after_2_mean:.2f` [{glue:text}`after_2_low:.2f`, {glue:text}`after_2_high:.2f`] at 2 bits,
# {glue:text}`after_3_mean:.2f` [{glue:text}`after_3_low:.2f`, {glue:text}`after_3_high:.2f`] at 3 and
# {glue:text}`after_4_mean:.2f` [{glue:text}`after_4_low:.2f`, {glue:text}`after_4_high:.2f`] at 4; over the same tokens at the
# constant rate it is {glue:text}`constant_2_mean:.2f`, {glue:text}`constant_3_mean:.2f` and {glue:text}`constant_4_mean:.2f`.
# From {glue:text}`two_from:s` tokens to the last end the smallest exponent of a single size is {glue:text}`last_doubling_2:.2f`,
# {glue:text}`last_doubling_3:.2f` and {glue:text}`last_doubling_4:.2f`.
#
# Is it the way of measuring? The paper rounds in symmetric groups of 128 and takes relative cross-entropy. With such rows
# ({glue:text}`coarse_sizes:d` sizes have a width for them) the exponents are much the same, and in relative cross-entropy all are
# *higher*: the loss in the denominator falls with tokens. Nor is it that these models read little for their size: the ends lie at
# {glue:text}`per_parameter_low:.0f` to {glue:text}`per_parameter_high:.0f` tokens per parameter. What remains different is the
# length of training in updates, the size, the text and the share of the cooldown. In the small models growth slows down, so that
# a flat stretch much later is possible; we saw none.
#
# ## What one cosine alone would say

# %% tags=["hide-input"]
same_places = trunk.merge(longest[["model", "step"]].drop_duplicates())
along = {
    "along the cosine": trends(longest, TOKENS_SEEN, ["model", N_PARAMS, "bits"]),
    "constant rate, same tokens": trends(same_places, TOKENS_SEEN, ["model", N_PARAMS, "bits"]),
}
of_ends = plain[(plain["schedule"] == "cosine") & (plain[TOKENS_SEEN] == plain["tokens_planned"])]
along["ends of cosines of several lengths"] = trends(of_ends, TOKENS_SEEN, ["model", N_PARAMS, "bits"])
of_cooldowns = decayed[decayed["model"].isin(of_ends["model"]) & decayed["step"].isin(of_ends["step"])]
along["ends of cooldowns, same tokens"] = trends(of_cooldowns, TOKENS_SEEN, ["model", N_PARAMS, "bits"])
cosine, flat = (along[name].set_index(["model", "bits"])["exponent"] for name in list(along)[:2])
excess = (cosine - flat).rename("excess").reset_index()
of_seeds = rows_of_seeds(plain)
between = trends(of_seeds, TOKENS_SEEN, ["run_label", "model", "bits"]).groupby(["bits", "model"])["exponent"].std()

# %% tags=["hide-input"]
cells = pd.concat([rows.assign(path=name) for name, rows in along.items()])
cells = cells.assign(N=cells[N_PARAMS].map(count_label), path=pd.Categorical(cells["path"], list(along)))
cells = cells.pivot(index=[N_PARAMS, "N", "path"], columns="bits", values="exponent").sort_index().droplevel(N_PARAMS)
cells.map(lambda value: "" if pd.isna(value) else f"{value:.2f}").rename(columns="{:g} bits".format).rename_axis(
    columns=None
)

# %% tags=["remove-cell"]
excess_over_sizes = mean_over_sizes(excess, "excess", ["bits"])
for bits in BITS:
    put_row(f"excess_{bits}", excess_over_sizes.loc[bits])
    put(f"between_{bits}", np.sqrt((between.loc[bits] ** 2).mean()))
relative_excess = (cosine / flat - 1).groupby("bits").mean()
put("overstated_low", relative_excess.min())
put("overstated_high", relative_excess.max())
put("excess_above", int((excess["excess"] > 0).sum()))
put("excess_count", len(excess))
put("longest_tokens", count_label(longest["tokens_planned"].max()))
put("flat_low", flat.min())
put("flat_high", flat.max())
assert (excess_over_sizes["mean"] > 0).all(), "the text says that a cosine overstates the exponent"
assert list(excess_over_sizes.index[excess_over_sizes["low"] > 0]) == [2], "clearly at 2 bits only"
below_4 = beside_longest[beside_longest["bits"] < 4]
put("cosine_early", np.exp(below_4[below_4[TOKENS_SEEN] <= longest["tokens_planned"].max() / 2]["log_ratio"].mean()))
put("cosine_late_last", np.exp(below_4[below_4[TOKENS_SEEN] == below_4[TOKENS_SEEN].max()]["log_ratio"].mean()))
assert (excess_over_sizes["mean"] < flat.groupby("bits").mean() / 2).all(), "and by less than half of it"

# %% [markdown]
# *Exponent of $D$ (no unit), one run or a set of ends each. The ends of cosines have few places, and short cosines end with a bad
# loss.*
#
# **Claim: a fit to checkpoints of one cosine confounds $D$ with the rate. At 2 bits it does; at 3 and 4 the interval over
# sizes, one run each, holds zero.** Along the
# cosine of {glue:text}`longest_tokens:s` tokens the exponent of $D$ is higher than along the constant run in
# {glue:text}`excess_above:d` of {glue:text}`excess_count:d` cases: over the sizes by {glue:text}`excess_2_mean:.2f`
# [{glue:text}`excess_2_low:.2f`, {glue:text}`excess_2_high:.2f`] at 2 bits, {glue:text}`excess_3_mean:.2f`
# [{glue:text}`excess_3_low:.2f`, {glue:text}`excess_3_high:.2f`] at 3 and {glue:text}`excess_4_mean:.2f`
# [{glue:text}`excess_4_low:.2f`, {glue:text}`excess_4_high:.2f`] at 4. Between training seeds such an exponent scatters by
# {glue:text}`between_2:.2f`, {glue:text}`between_3:.2f` and {glue:text}`between_4:.2f` (standard deviation), so that at 4 bits
# a single size shows little; over {glue:text}`cosine_sizes:d` sizes the interval excludes zero at 2 bits only. Somebody who
# has the cosine alone overstates the exponent by {glue:text}`overstated_low:.0%` to {glue:text}`overstated_high:.0%` (means at
# each bit width), but doesn't invent it: along the constant run it is {glue:text}`flat_low:.2f` to {glue:text}`flat_high:.2f`.
# Two more points for whoever fits. The excess isn't spread evenly. In the first half of its tokens a cosine has
# {glue:text}`cosine_early:.2f` of the trunk's QiD, at its end {glue:text}`cosine_late_last:.2f` (mean of 2 and 3 bits). Fitting
# the ends of several cosines is no cure by itself, because a short cosine is another recipe, with less time at a high rate.
#
# ## At equal loss

# %% tags=["hide-input"]
at_equal = {
    "cooldown": at_loss[at_loss["way"] == "cooldown, at its end"],
    "cosine": at_loss[at_loss["way"] == "cosine, at its end"],
    "average": at_loss[at_loss["way"].str.startswith("average")],
}
of_loss = {name: np.exp(mean_over_sizes(rows, "log_ratio", ["bits"])[MEANS]) for name, rows in at_equal.items()}
by_size = {
    bits: log_mean_and_slopes(rows, [N_PARAMS], cluster="model").loc[N_PARAMS]
    for bits, rows in at_equal["cooldown"].groupby("bits")
}
smallest, largest = (
    np.exp(rows.groupby("bits")["log_ratio"].mean())
    for rows in (
        at_equal["cooldown"][at_equal["cooldown"][N_PARAMS] == at_equal["cooldown"][N_PARAMS].agg(end)]
        for end in ("min", "max")
    )
)

# %% tags=["remove-cell"]
shown = pd.concat([kinds, averages])
put("fig_loss", decay.paths(shown[shown["bits"] == 3], trunk[trunk["bits"] == 3], LOSS))
plt.close("all")
for bits in BITS:
    put_row(f"loss_cooldown_{bits}", of_loss["cooldown"].loc[bits])
    put_row(f"loss_cosine_{bits}", of_loss["cosine"].loc[bits])
    put(f"loss_average_{bits}_mean", of_loss["average"].loc[bits, "mean"])
put_row("loss_average_2", of_loss["average"].loc[2], ("lowest", "highest"))
for bits in (2, 3):
    put_all(**{f"loss_size_{bits}_{column}": signed(by_size[bits][column]) for column in ("value", "low", "high")})
put_all(loss_smallest_2=smallest[2], loss_largest_2=largest[2])
put("smallest_size", count_label(at_equal["cooldown"][N_PARAMS].min()))
put("largest_size", count_label(at_equal["cooldown"][N_PARAMS].max()))
put("loss_rows", at_equal["cooldown"]["run_label"].nunique())
put("average_sizes", at_equal["average"]["model"].nunique())
assert (of_loss["average"]["highest"] < 1).all(), "the text says: averages lie below in each size"
assert (of_loss["cooldown"]["mean"] < 1).all(), "the text says: no higher than the trunk at the same loss"
assert by_size[2]["high"] < 0, "the text says that the factor falls with size at 2 bits"
assert (largest < smallest).all(), "and that it is lower in the largest"
assert (of_loss["cosine"]["low"] > 1).all(), "the text says that ends of cosines lie above"

# %% [markdown]
# ```{glue:figure} fig_loss
# :name: fig-equal-loss
# :alt: QiD at 3 bits against the 16-bit loss, one panel for each size that has cooldowns or cosines; training goes from right to left. A dark line, the constant rate, rises to the left. Orange cooldowns follow it closely in the small sizes and lie to the left of it, or below, in the large. Green averages lie well below it, blue cosines on it or above.
#
# At the same 16-bit loss cooldowns sit near the line of the constant rate or below, averages well below and cosines on it or
# above: QiD isn't a function of the loss alone. At 3 bits.
# ```
#
# Decay raises QiD and lowers the loss. The trunk too has a higher QiD where its loss is lower. Is decay only a short way to a
# lower loss, with the QiD that goes with it? At equal loss the ends of cooldowns stand at {glue:text}`loss_cooldown_2_mean:.2f`
# [{glue:text}`loss_cooldown_2_low:.2f`, {glue:text}`loss_cooldown_2_high:.2f`], {glue:text}`loss_cooldown_3_mean:.2f`
# [{glue:text}`loss_cooldown_3_low:.2f`, {glue:text}`loss_cooldown_3_high:.2f`] and {glue:text}`loss_cooldown_4_mean:.2f`
# [{glue:text}`loss_cooldown_4_low:.2f`, {glue:text}`loss_cooldown_4_high:.2f`] of the trunk's QiD at 2, 3 and 4 bits
# ({glue:text}`loss_rows:d` cooldowns; the others end with a loss that the trunk never reached, and have no partner). The mean
# hides a trend with size: {glue:text}`loss_smallest_2:.2f` at {glue:text}`smallest_size:s` parameters and
# {glue:text}`loss_largest_2:.2f` at {glue:text}`largest_size:s`, at 2 bits, a slope of {glue:text}`loss_size_2_value:s`
# [{glue:text}`loss_size_2_low:s`, {glue:text}`loss_size_2_high:s`] in $\ln N$; at 3 bits {glue:text}`loss_size_3_value:s`
# [{glue:text}`loss_size_3_low:s`, {glue:text}`loss_size_3_high:s`]. In the small models a cooldown moves along the trunk's own
# curve. In the larger ones it is the cheaper way to a lower loss: to reach it at the constant rate would have cost more QiD. (At
# equal loss QiD and relative cross-entropy are the same comparison.)
#
# But the loss is not all ({numref}`fig-equal-loss`). Averages have {glue:text}`loss_average_2_mean:.2f`,
# {glue:text}`loss_average_3_mean:.2f` and {glue:text}`loss_average_4_mean:.2f` of the trunk's QiD at the same loss
# ({glue:text}`average_sizes:d` sizes, single sizes from {glue:text}`loss_average_2_lowest:.2f` to
# {glue:text}`loss_average_2_highest:.2f` at 2 bits). Ends of cosines have {glue:text}`loss_cosine_2_mean:.2f`
# [{glue:text}`loss_cosine_2_low:.2f`, {glue:text}`loss_cosine_2_high:.2f`], {glue:text}`loss_cosine_3_mean:.2f`
# [{glue:text}`loss_cosine_3_low:.2f`, {glue:text}`loss_cosine_3_high:.2f`] and {glue:text}`loss_cosine_4_mean:.2f`
# [{glue:text}`loss_cosine_4_low:.2f`, {glue:text}`loss_cosine_4_high:.2f`]. The path matters.
#
# ## Peak rate, weight decay, averages

# %% tags=["hide-input"]
WAYS = [
    "0.5 × the peak rate",
    "cosine, at its end",
    "weight decay 0",
    "another training seed",
    "cooldown, at its end",
    "weight decay 0.3",
    "2 × the peak rate",
]
averaged = next(way for way in at_tokens["way"].unique() if way.startswith("average"))
compared = {}
for title, table in (("at equal tokens", at_tokens), ("at equal loss", at_loss)):
    means = mean_over_sizes(table, "log_ratio", ["way", "bits"])
    means[MEANS] = np.exp(means[MEANS])
    means = means.loc[[*WAYS, averaged]].rename(
        columns={"mean": "ratio", "lowest": "run_lowest", "highest": "run_highest"}
    )
    compared[title] = means.reset_index()
tokens_means, loss_means = (table.set_index(["way", "bits"]) for table in compared.values())
for_figure = {
    title: table.assign(**{end: table[end].where(table["n_runs"] > 2) for end in ("low", "high")})
    for title, table in compared.items()
}
ends_of_average = plain[plain["n_averaged"] > 1]
rounded = rounded_differences(ends_of_average, decayed)

# %% tags=["remove-cell"]
put("fig_ways", decay.at_tokens_and_at_loss(for_figure, "QiD over the trunk's (factor)"))
plt.close("all")
NAMES = {"half": WAYS[0], "double": WAYS[6], "wd0": WAYS[2], "wd3": WAYS[5], "seed": WAYS[3], "lawa": averaged}
for name in ("half", "double"):
    for place, table, bits in (
        *(("tokens", tokens_means, bits) for bits in (2, 4)),
        *(("loss", loss_means, bits) for bits in (2, 3)),
    ):
        put_row(f"{name}_{place}_{bits}", table.loc[(NAMES[name], bits)], ("ratio", "low", "high"))
for place, table in (("tokens", tokens_means), ("loss", loss_means)):
    put_all(**{f"{name}_{place}_2_ratio": table.loc[(NAMES[name], 2), "ratio"] for name in ("wd0", "wd3")})
put("wd3_loss_3_ratio", loss_means.loc[(NAMES["wd3"], 3), "ratio"])
put_all(**{f"lawa_tokens_{bits}_ratio": tokens_means.loc[(NAMES["lawa"], bits), "ratio"] for bits in BITS})
put("rate_sizes", int(tokens_means.loc[NAMES["half"], "n_runs"].max()))
put("wd_sizes", int(tokens_means.loc[NAMES["wd0"], "n_runs"].max()))
rows = rounded.groupby("bits")
put("lawa_cases", int(rows.size().iloc[0]))
for bits, one in rows:
    put(f"lawa_better_{bits:g}", int((one["rounded_nats"] < -2 * one["rounded_se_nats"]).sum()))
    put(f"lawa_worse_{bits:g}", int((one["rounded_nats"] > 2 * one["rounded_se_nats"]).sum()))
put("lawa_plain_low", rounded["plain_nats"].min())
put("lawa_plain_high", rounded["plain_nats"].max())
for bits in BITS:
    assert loss_means.loc[(NAMES["half"], bits), "low"] > 1, "the text says: half the rate, higher at equal loss"
    assert loss_means.loc[(NAMES["double"], bits), "high"] < 1, "and twice the rate, lower"
    assert (tokens_means.loc[(NAMES["half"], bits), "low"] > 1) == (bits == 4), "clear at equal tokens at 4 bits only"
    for table in (tokens_means, loss_means):
        assert table.loc[(NAMES["wd3"], bits), "ratio"] < 1 < table.loc[(NAMES["wd0"], bits), "ratio"]
        assert table.loc[(NAMES["lawa"], bits), "run_highest"] < 1, "the text says: averages lower QiD in each size"
        assert abs(table.loc[(NAMES["seed"], bits), "ratio"] - 1) < 0.1, "the text says that seeds lie near one"
assert (rounded.loc[rounded["bits"] == 2, "rounded_nats"] < 0).all(), "the text says: averages win at 2 bits"
assert (rounded.loc[rounded["bits"] == 4, "rounded_nats"] > 0).all(), "and cooldowns at 4"
at_three = rounded[rounded["bits"] == 3]["rounded_nats"]
assert at_three.min() < 0 < at_three.max(), "and neither always at 3"
assert (rounded["plain_nats"] > 0).all(), "the text says that averages have the higher 16-bit loss"

# %% [markdown]
# ```{glue:figure} fig_ways
# :name: fig-levers
# :alt: Two panels with one row for each difference in training; ratios of QiD to the trunk's at 2, 3 and 4 bits. On the left, at equal tokens, half and twice the peak rate scatter about one. On the right, at equal loss, half the peak rate lies at 1.1 to 1.3 in all sizes, twice at 0.85, averages near 0.75. Other training seeds lie at one in both.
#
# The peak rate shows no clear direction at equal tokens and a clear one at equal loss: the higher the rate, the lower the QiD.
# Bars: 95% intervals over sizes, where there are three or more; pale strokes: from the lowest to the highest size.
# ```
#
# **Claim: a higher peak rate lowers the error at equal loss. Here too, at all sizes tried.** At equal tokens
# half the peak rate gives {glue:text}`half_tokens_2_ratio:.2f` [{glue:text}`half_tokens_2_low:.2f`,
# {glue:text}`half_tokens_2_high:.2f`] of the trunk's QiD at 2 bits and twice the rate {glue:text}`double_tokens_2_ratio:.2f`
# [{glue:text}`double_tokens_2_low:.2f`, {glue:text}`double_tokens_2_high:.2f`]; at 4 bits it is {glue:text}`half_tokens_4_ratio:.2f`
# [{glue:text}`half_tokens_4_low:.2f`, {glue:text}`half_tokens_4_high:.2f`] and {glue:text}`double_tokens_4_ratio:.2f`
# [{glue:text}`double_tokens_4_low:.2f`, {glue:text}`double_tokens_4_high:.2f`]: little, if anything (half the rate was tried at
# {glue:text}`rate_sizes:d` sizes, the largest among them; twice the rate at one less). These models learn faster at a
# higher rate and so are further along. At equal loss it is {glue:text}`half_loss_2_ratio:.2f` [{glue:text}`half_loss_2_low:.2f`,
# {glue:text}`half_loss_2_high:.2f`] and {glue:text}`double_loss_2_ratio:.2f` [{glue:text}`double_loss_2_low:.2f`,
# {glue:text}`double_loss_2_high:.2f`] at 2 bits, {glue:text}`half_loss_3_ratio:.2f` [{glue:text}`half_loss_3_low:.2f`,
# {glue:text}`half_loss_3_high:.2f`] and {glue:text}`double_loss_3_ratio:.2f` [{glue:text}`double_loss_3_low:.2f`,
# {glue:text}`double_loss_3_high:.2f`] at 3. The seeds lie near one in both comparisons.
#
# **Claim: more weight decay lowers the error, less than the rate does. The signs agree.** At 2 bits three times the usual weight
# decay gives {glue:text}`wd3_tokens_2_ratio:.2f` at equal tokens and {glue:text}`wd3_loss_2_ratio:.2f` at equal loss, none
# {glue:text}`wd0_tokens_2_ratio:.2f` and {glue:text}`wd0_loss_2_ratio:.2f`. Sizes tried: {glue:text}`wd_sizes:d`, one run for
# each value. Over its checkpoints a run's mean is better known than one checkpoint is, but how much another seed would move it
# these runs can't say.
#
# **Claim: averages (LAWA) are worse than decay at 16 bits and better than every cooldown at 3. Half of it holds.** Averages lower
# QiD at equal tokens as well, to {glue:text}`lawa_tokens_2_ratio:.2f` at 2 bits, {glue:text}`lawa_tokens_3_ratio:.2f` at 3 and
# {glue:text}`lawa_tokens_4_ratio:.2f` at 4. Before rounding they have the higher loss, by {glue:text}`lawa_plain_low:.3f` to
# {glue:text}`lawa_plain_high:.3f` nats per token. After rounding the average has the lower *loss* in {glue:text}`lawa_better_2:d`
# of {glue:text}`lawa_cases:d` comparisons at 2 bits, {glue:text}`lawa_better_3:d` at 3 and {glue:text}`lawa_better_4:d` at 4 (by
# more than two paired errors); the cooldown has it in {glue:text}`lawa_worse_2:d`, {glue:text}`lawa_worse_3:d` and
# {glue:text}`lawa_worse_4:d`. At 3 bits the two are close here, so that it depends on the model; where rounding costs more, the
# average wins.
#
# ## Curvature

# %% tags=["hide-input"]
described = read_checkpoints("results/checkpoints.parquet").to_pandas()
nearest = of_scheme("rtn", GROUP_SIZE, symmetric=False)
curved = with_description(pd.concat([plain, nearest], ignore_index=True), describe(described)).query("bits == 3")
own, twins = (curved[curved["run_label"].isin(rows["run_label"])] for rows in (decayed, trunk))
columns = ["qid_nats", "hessian_trace", "variance", "predicted_nats"]
both = own[own["learning_rate"] == 0].merge(twins, on=["model", "step", "method"], suffixes=("", "_trunk"))
sharper = both.assign(**{name: np.log(both[name] / both[f"{name}_trunk"]) for name in columns})
grown = twins[twins["step"].isin(decayed["step"])].sort_values(TOKENS_SEEN).groupby(["method", "model"])[columns]
grown = np.log(grown.last() / grown.first()).reset_index()

# %% tags=["remove-cell"]
by_method = {name: np.exp(mean_over_sizes(sharper, name, ["method"])[MEANS]) for name in columns}
for name, rows in by_method.items():
    put_row(f"sharper_rtn_{name}", rows.loc["rtn"])
put("sharper_gptq_qid_nats_mean", by_method["qid_nats"].loc["gptq", "mean"])
for name in ("hessian_trace", "variance"):
    put(f"grown_{name}_mean", np.exp(mean_over_sizes(grown, name, ["method"]).loc["rtn", "mean"]))
assert (sharper["hessian_trace"] > 0).all(), "the text says that decay raises the trace in every cooldown"
assert sharper["variance"].mean() < 0, "and lowers the variance of the error"
assert grown["variance"].mean() > 0 > grown["hessian_trace"].mean(), "the text says: tokens act through the error"

# %% tags=["remove-cell"]
put("trunk_last", count_label(trunk[TOKENS_SEEN].max()))
put("trunk_updates", int(trunk["step"].max()))
put("unique_tokens", count_label(trunk["unique_tokens"].iloc[0]))
shortest = of_ends.loc[of_ends["tokens_planned"].idxmin()]
put("cosine_shortest", count_label(shortest["tokens_planned"]))
warming = described[(described["lr_phase"] == "warmup") & (described["schedule"] == "constant")].iloc[0]
put("warmup_share", warming["step"] / warming["lr_fraction"] / shortest["step"])
put("updates_times", PAPER_UPDATES / trunk["step"].max())
last_row = trunk.loc[trunk["step"].idxmax()]
put("norm_ours", 2 * last_row["peak_learning_rate"] * last_row["weight_decay"] * last_row["step"])
put("norm_theirs", 2 * PAPER_RATE * PAPER_WEIGHT_DECAY * PAPER_UPDATES)
put(
    "exercise_off",
    np.log(
        beside_longest[
            (beside_longest["bits"] < 4) & (beside_longest[TOKENS_SEEN] == beside_longest[TOKENS_SEEN].max())
        ]["ratio"]
    ).mean()
    / np.log(3),
)
last_ones = decayed[(decayed["step"] == last_two[-1]) & (decayed["bits"] == 3)].set_index("model")
of_trunk = trunk[(trunk["bits"] == 3)].set_index(["model", "step"])["qid_nats"]
left = of_trunk.xs(int(last_ones["branched_at_step"].iloc[0]), level="step")
put("naive_3", np.exp(np.log(last_ones["qid_nats"] / left).mean()))
put("naive_trunk_3", np.exp(np.log(of_trunk.xs(last_two[-1], level="step") / left)[last_ones.index].mean()))
large = decayed[(decayed[N_PARAMS] == decayed[N_PARAMS].max()) & (decayed["step"] == last_two[-1])].set_index("bits")
same = trunk[(trunk["model"] == large["model"].iloc[0]) & (trunk["step"] == last_two[-1])].set_index("bits")
for bits, suffix in ((3, ""), (2, "_2")):
    put(f"choice_cooldown{suffix}", large.loc[bits, "loss_nats"])
    put(f"choice_trunk{suffix}", same.loc[bits, "loss_nats"])
put("choice_qid", large.loc[3, "qid_nats"] - same.loc[3, "qid_nats"])
put("choice_loss", same.loc[3, LOSS] - large.loc[3, LOSS])
assert large.loc[3, "loss_nats"] < same.loc[3, "loss_nats"], "an exercise says: worth it there"

# %% [markdown]
# **Claim: decay makes the loss sharper, and that is why the error jumps. The numbers fit.** Half the trace of the Hessian times
# the variance of the rounding error predicts RTN's QiD without a fitted constant ({doc}`chapter 12 <12-why>`). In every cooldown decay raises
# the trace, by a factor of {glue:text}`sharper_rtn_hessian_trace_mean:.2f` [{glue:text}`sharper_rtn_hessian_trace_low:.2f`,
# {glue:text}`sharper_rtn_hessian_trace_high:.2f`] on average. The variance of the 3-bit error shrinks to
# {glue:text}`sharper_rtn_variance_mean:.2f` [{glue:text}`sharper_rtn_variance_low:.2f`,
# {glue:text}`sharper_rtn_variance_high:.2f`]. Together that predicts {glue:text}`sharper_rtn_predicted_nats_mean:.2f`
# [{glue:text}`sharper_rtn_predicted_nats_low:.2f`, {glue:text}`sharper_rtn_predicted_nats_high:.2f`]; RTN's QiD grows by
# {glue:text}`sharper_rtn_qid_nats_mean:.2f` [{glue:text}`sharper_rtn_qid_nats_low:.2f`,
# {glue:text}`sharper_rtn_qid_nats_high:.2f`] and GPTQ's by {glue:text}`sharper_gptq_qid_nats_mean:.2f`. Tokens work otherwise. On
# the trunk, from the first cooldown's end to the last, the trace becomes {glue:text}`grown_hessian_trace_mean:.2f` times as large
# and the variance {glue:text}`grown_variance_mean:.2f` times: tokens make the weights, and with them the steps of the grid,
# larger. Only the product has a meaning by itself. In front of a normalisation, weights of twice the scale with a quarter of the
# curvature are nearly the same function. And a prediction that holds isn't a cause shown.
#
# ## Claim by claim
#
# | Claim of {cite:t}`catalan2025dynamics` | Here |
# |---|---|
# | flat with tokens at a constant rate | not in the first {glue:text}`norm_ours:.1f` norm time constants: QiD grows {glue:text}`doubling_3_2_mean:.2f`-fold with the last doubling at 3 bits |
# | jumps when the rate decays | yes, to {glue:text}`end_last_3_mean:.2f` of the trunk at the last ends, 3 bits |
# | equal error after decay whatever $D$ | not there either: {glue:text}`after_times_low:.1f` to {glue:text}`after_times_high:.1f` times from the first end to the last |
# | one cosine confounds $D$ with the rate | at 2 bits: its exponent is {glue:text}`excess_2_mean:.2f` too high; at 3 and 4 {glue:text}`cosine_sizes:d` sizes, one run each, can't tell. The rest of it stays |
# | higher peak rate, lower error at equal loss | yes: {glue:text}`double_loss_3_ratio:.2f` at twice the rate, 3 bits |
# | more weight decay, lower error | yes, at one size: {glue:text}`wd3_loss_3_ratio:.2f` at equal loss, 3 bits |
# | averages beat every cooldown at 3 bits | in {glue:text}`lawa_better_3:d` of {glue:text}`lawa_cases:d` |
# | decay raises the curvature, which tracks the error | yes: trace to {glue:text}`sharper_rtn_hessian_trace_mean:.2f` of the trunk's |
#
# So: tokens *and* decay. Over the tokens of these runs most of the growth of QiD is theirs. A full decay multiplies it once, at 3 bits
# by {glue:text}`surface_range_low:.1f` to {glue:text}`surface_range_high:.1f`, and a law fitted to one decaying run counts that as tokens. What the paper saw along trillions of tokens and what these models show in their first
# billion may both be true: in the small models the slope falls along training, and no run here reaches from the one to the other.
#
# ## What this does not show
#
# - **Other seeds for most runs.** Training seeds were varied at {glue:text}`seed_models:d` of the sizes. Each cooldown, cosine,
#   rate and weight decay was trained once; intervals over sizes hold the luck of runs only as far as sizes share none of it, and
#   all sizes read the same batches.
# - **Long training.** The largest number of tokens is {glue:text}`trunk_last:s`, in {glue:text}`trunk_updates:,d` updates. The
#   paper's controlled runs have {glue:text}`updates_times:.0f` times as many updates. A plateau at the constant rate that comes
#   later would not be seen here. One clock for it is that of AdamW's weight norm, which settles with a time constant of
#   $1/(2 \eta \lambda)$ updates at rate $\eta$ and decay $\lambda$: these runs last {glue:text}`norm_ours:.1f` of them (warm-up
#   left out), the paper's {glue:text}`norm_theirs:.0f`. Whether that makes the difference nobody has tried.
# - **Large models.** The largest has {glue:text}`trunk_largest:s` parameters, the largest with cooldowns
#   {glue:text}`largest_size:s`.
# - **Other cooldowns.** All take the last fifth of the tokens, in a straight line, to zero. A shorter or a longer one, or one
#   that stops above zero, may add something else. Cosines end at a tenth of the peak.
# - **Short cosines.** The shortest ends after {glue:text}`cosine_shortest:s` tokens, of which {glue:text}`warmup_share:.0%` are
#   warm-up.
# - **New text only.** From {glue:text}`unique_tokens:s` tokens on, text is read again, in the trunk and in the late cooldowns
#   alike.
# - **One data set** of Python source, one architecture, one optimizer, GPTQ and RTN.
#
# ## Exercises
#
# **1.** A run with a cosine has QiD $q_1$ at a third of its tokens and $q_2$ at its end. Somebody takes $\ln(q_2 / q_1) / \ln 3$
# for the exponent of $D$. By how much is it off if the true exponent is $\beta$ and decay multiplies QiD by $d$ between the two?
#
# ```{admonition} Answer
# :class: dropdown
#
# By $\ln d / \ln 3$. With $d$ = {glue:text}`cosine_late_last:.2f`, as at the end of the longest cosine here, that is
# {glue:text}`exercise_off:.2f`, whatever $\beta$ is. The shorter the stretch of tokens, the larger the error: over a factor of 30
# the same decay would cost a third of it.
# ```
#
# **2.** Why is it not enough to compare a cooldown's end with the checkpoint where it left the trunk?
#
# ```{admonition} Answer
# :class: dropdown
#
# Between the two the model has read a quarter more tokens, and they alone raise QiD. At 3 bits the last cooldowns rise
# {glue:text}`naive_3:.2f`-fold from where they left the trunk to their ends; {glue:text}`naive_trunk_3:.2f` of that the trunk
# does at its constant rate, on the same batches. A jump in a curve over time is not yet the effect of decay.
# ```
#
# **3.** At equal tokens the cooldowns of the largest model have the higher QiD, at equal loss the lower. Which comparison would
# you make to choose a recipe for a model that will be rounded to 3 bits?
#
# ```{admonition} Answer
# :class: dropdown
#
# Neither: look at the loss after rounding, which is what one gets. At {glue:text}`last_end:s` tokens and 3 bits the cooldown of
# {glue:text}`largest_size:s` parameters has {glue:text}`choice_cooldown:.3f` nats per token after rounding and its trunk
# {glue:text}`choice_trunk:.3f`. Decay raised QiD by {glue:text}`choice_qid:.3f` and lowered the 16-bit loss by
# {glue:text}`choice_loss:.3f`, so it is worth it there. At 2 bits the loss after rounding is {glue:text}`choice_cooldown_2:.3f`
# against {glue:text}`choice_trunk_2:.3f`.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* What does decay add at equal tokens? `every_run()` has cooldowns too. Those that left at step 3725 (their
# `run` ends in `cooldown3725`) end at step 4656. Divide their QiD at 3 bits by that of the trunk at the same step, size by size,
# and give the geometric mean. (GPTQ, groups of 32.)

# %%
from helpers.teach.checking import check
from helpers.teach.data import every_run

answer = None  # a factor, no unit
check("7.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = every_run().query("method == 'gptq' and group_size == 32 and bits == 3 and step == 4656 and train_seed == 0")
decayed = rows[rows["run"].str.endswith("cooldown3725")].set_index("model")["qid_nats"]
constant = rows[rows["run"] == rows["model"]].drop_duplicates("model").set_index("model")["qid_nats"]
check("7.4", np.exp(np.log(decayed / constant).mean()))
