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
# # QiD grows with tokens and falls with bits
#
# *How does QiD move with tokens, size and bits?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** From {glue:text}`late_first:s` to {glue:text}`late_last:s` tokens at a constant learning rate QiD at 3 bits
#   becomes {glue:text}`growth_3:.1f` [{glue:text}`growth_3_low:.1f`, {glue:text}`growth_3_high:.1f`] times as large (mean over
#   sizes, 95% over training runs).
# - **How sure.** It rises in {glue:text}`tokens_rising:d` of {glue:text}`tokens_series:d` series: {glue:text}`study_sizes:d`
#   sizes, one run each, up to {glue:text}`study_largest:s` parameters, three bit widths, one order of Python code. Size
#   protects at equal tokens only, not at equal tokens per parameter.
# - **Use it for.** Expecting more loss from a model that was trained longer. The third bit divides QiD by about
#   {glue:text}`bit_32:.0f`, the fourth by about {glue:text}`bit_43:.0f` (medians).
# ```
#
# A checkpoint can be rounded in many ways, and a family has many checkpoints. This chapter rounds all of them and looks at
# the result along one variable at a time. No formula is fitted yet; that is {doc}`chapter 5's <05-unified-law>` business.
#
# {cite:t}`ouyang2025lowbit` lead us to expect three things. QiD should rise with the training tokens $D$. It should fall with the
# size $N$. And it should fall with the bits $P$ that are kept. We count how often that is so. What else may move it (text that is read
# again, the learning rate, weight decay, shape, seed) has {doc}`a page of its own <92-what-else-moves-qid>`.
# {term}`Intervals <interval>` run over training runs, one a size, unless another thing is named.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here

from transformers.utils.logging import disable_progress_bar

from helpers.analyse.questions.quadratic_rule import expected_ratio, exponents_by_width
from helpers.analyse.questions.trends import (
    bit_factors,
    spread_out,
    steps_up,
    trends,
)
from helpers.analyse.questions.twins import qid_ratio
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.outcomes import KL, QID
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    LATE_TOKENS,
    UNSEEN,
    study_rows,
)
from helpers.measure.sweep.console import reader_console
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.show.figures import comparisons
from helpers.show.figures import qid as figures
from helpers.show.glue import put, put_all
from helpers.show.numbers.degradation import mean_growth
from helpers.show.style import count_label, use_house_style
from helpers.show.tables import ratio_table
from helpers.table.files import read_table

use_house_style()
disable_progress_bar()  # of loading weights: the sweep has its own


BITS = list(FITTED_BITS)

# %% [markdown]
# ## Measure
#
# The next cell runs the sweep that this book was made with, on this machine: it loads each checkpoint, measures its 16-bit loss, rounds
# its linear layers with each scheme, and measures the loss again. What was measured before is not measured twice.

# %% tags=["remove-stdout"]
report = run_sweep(Path(sweep), device, Places(Path(results_path)), reader_console())
if report.failures:
    raise RuntimeError("; ".join(report.failures))
put("sweep_rows", report.n_measured + report.n_present)

# %% [markdown]
# These {glue:text}`sweep_rows:d` measurements of the smallest models are on the page of {doc}`this machine <96-this-machine>`, beside
# those of a GPU. All other pages use the study's.
#
# ## The rows
#
# GPUs trained and measured the study. Its rows came with the book. This chapter takes its trunk: {glue:text}`study_sizes:d` sizes from
# {glue:text}`study_smallest:s` to {glue:text}`study_largest:s` parameters with {glue:text}`study_steps:d` checkpoints each. Every size
# saw the same batches at the same constant learning rate, so that $N$ is not mixed up with either. An error of one QiD is the paired
# one of {doc}`chapter 1 <01-the-question>`.

# %%
measured = read_table("results/measurements.parquet").to_pandas()
study = degradation(study_rows(measured))
every_width = rows_of_fit(study, "gptq", GROUP_SIZE, symmetric=False)
gptq = every_width[every_width["bits"].isin(BITS)]
late = gptq[gptq[TOKENS_SEEN] > LATE_TOKENS]

# %% tags=["remove-cell"]
sizes = np.sort(gptq[N_PARAMS].unique())
put("study_sizes", len(sizes))
put("study_steps", gptq["step"].nunique())
put("study_smallest", count_label(sizes[0]))
put("study_largest", count_label(sizes[-1]))
put("early_tokens", count_label(LATE_TOKENS))
put("late_first", count_label(late[TOKENS_SEEN].min()))
put("late_last", count_label(late[TOKENS_SEEN].max()))
by_tokens = trends(late, TOKENS_SEEN, ["model", N_PARAMS, "bits"])
down = by_tokens["n_steps"] - by_tokens["n_up"]
growth = by_tokens["end_nats"] / by_tokens["start_nats"]
put("tokens_series", len(by_tokens))
put("tokens_rising", int((by_tokens["change_nats"] > 3 * by_tokens["change_se_nats"]).sum()))
put("tokens_steps", int(by_tokens["n_steps"].sum()))
put("tokens_up", int(by_tokens["n_up"].sum()))
put("tokens_down", int(down.sum()))
put("tokens_down_4", int(down[by_tokens["bits"] == 4].sum()))
put("growth_low", growth.min())
put("growth_high", growth.max())
put_all(**mean_growth(by_tokens, 3))
assert (by_tokens["change_nats"] > 3 * by_tokens["change_se_nats"]).all(), "the text says that all series rise"
assert down[by_tokens["bits"] == 4].sum() > down.sum() / 2, "the text says: most of the steps down are at 4 bits"
put("fig_tokens", figures.qid_against_tokens(gptq))
plt.close("all")
whole = trends(gptq, TOKENS_SEEN, ["model", N_PARAMS, "bits"])
put("whole_rising", int((whole["change_nats"] > 3 * whole["change_se_nats"]).sum()))
put("whole_series", len(whole))
put("whole_first", count_label(whole["start"].max()))
assert (whole["change_nats"] > 3 * whole["change_se_nats"]).all(), "the text says: in all of them without the cut too"

# %% [markdown]
# ## Tokens
#
# ```{glue:figure} fig_tokens
# :name: fig-tokens
# :alt: QiD against training tokens on logarithmic axes in three panels for 2, 3 and 4 bits, one line for each size. All lines rise after about 60 million tokens, those of small models more steeply at first, and flatten later, but for the largest model's at 3 and 4 bits. Before that the small models lie below the large ones.
#
# Beyond {glue:text}`early_tokens:s` tokens QiD rises with training at every size and bit width, at first most steeply in small
# models. Early in training the order of the sizes is turned over. GPTQ, group 32, asymmetric; bars: one paired error.
# ```
#
# From {glue:text}`late_first:s` to {glue:text}`late_last:s` tokens QiD rises in {glue:text}`tokens_rising:d` of
# {glue:text}`tokens_series:d` series of {numref}`fig-tokens` by more than three errors of the change: it becomes
# {glue:text}`growth_low:.1f` to {glue:text}`growth_high:.1f` times as large. The cut isn't needed for that: over all checkpoints,
# from {glue:text}`whole_first:s` tokens on, {glue:text}`whole_rising:d` of {glue:text}`whole_series:d` series rise as clearly.
# Step by step QiD rises {glue:text}`tokens_up:d` times in {glue:text}`tokens_steps:d` and falls {glue:text}`tokens_down:d` times,
# {glue:text}`tokens_down_4:d` of them at 4 bits. A step is a quarter more tokens and moves QiD little, and the mere choice of
# calibration text moves it by some percent. All this is {glue:text}`study_sizes:d` runs on one order of batches.

# %% tags=["remove-cell"]
early = gptq[gptq[TOKENS_SEEN] < LATE_TOKENS]
largest = early[(early[N_PARAMS] == sizes[-1]) & (early["bits"] == 2)].sort_values(TOKENS_SEEN)
dip = largest.loc[largest["qid_nats"].idxmin()]
early_trends = trends(early, TOKENS_SEEN, ["model", N_PARAMS, "bits"])
put("early_steps", int(early_trends["n_steps"].sum()))
put("early_down", int((early_trends["n_steps"] - early_trends["n_up"]).sum()))
put("large_first_tokens", count_label(largest[TOKENS_SEEN].iloc[0]))
put("large_first", largest["qid_nats"].iloc[0])
put("large_dip_tokens", count_label(dip[TOKENS_SEEN]))
put("large_dip", dip["qid_nats"])
put("large_early_last", largest["qid_nats"].iloc[-1])
put("large_early_last_tokens", count_label(largest[TOKENS_SEEN].iloc[-1]))
assert dip["qid_nats"] < largest["qid_nats"].iloc[-1] < largest["qid_nats"].iloc[0], "the text says: not back yet"
falling_models = early_trends[early_trends["n_up"] < early_trends["n_steps"]][N_PARAMS]
put("early_down_smallest", count_label(falling_models.min()))

# %% [markdown]
# **Try it.** One run, checkpoint by checkpoint. Watch which of the two grows: the share of the weights that rounding to nearest takes, or
# what rounding costs.

# %% tags=["remove-input"]
from helpers.show.touch.training import training
from helpers.table.files import read_checkpoints

training(measured, read_checkpoints("results/checkpoints.parquet").to_pandas(), "tadpole-192x4")

# %% [markdown]
# ## Before {glue:text}`early_tokens:s` tokens
#
# Early in training another story is told. The 2-bit QiD of the largest model *falls* from {glue:text}`large_first:.3f` at
# {glue:text}`large_first_tokens:s` tokens to {glue:text}`large_dip:.3f` at {glue:text}`large_dip_tokens:s`, and is back at no more than
# {glue:text}`large_early_last:.3f` at {glue:text}`large_early_last_tokens:s`. Of all {glue:text}`early_steps:d` early steps,
# {glue:text}`early_down:d` go down, none in a model below {glue:text}`early_down_smallest:s` parameters. The learning rate warms up in
# part of this time, and the model learns what is easy. A power of $D$ through all of it would be a bad summary, so that
# chapter 5 fits beyond {glue:text}`early_tokens:s` tokens, and shows what that choice does.
#
# ## Size

# %% tags=["remove-cell"]
by_size = trends(gptq, N_PARAMS, [TOKENS_SEEN, "bits"])
late_by_size = by_size[by_size[TOKENS_SEEN] > LATE_TOKENS]
first_tokens = by_size[by_size[TOKENS_SEEN] == by_size[TOKENS_SEEN].min()]
hurtful = by_size.loc[by_size["change_nats"] >= 0, TOKENS_SEEN].max()  # the last at which some bit width sees no help
put("size_series", len(late_by_size))
put("size_falling", int((late_by_size["change_nats"] < -3 * late_by_size["change_se_nats"]).sum()))
put("size_steps", int(late_by_size["n_steps"].sum()))
put("size_down", int((late_by_size["n_steps"] - late_by_size["n_up"]).sum()))
put("size_first_rising", int((first_tokens["change_nats"] > 0).sum()))
put("size_first_series", len(first_tokens))
put("size_first_tokens", count_label(first_tokens[TOKENS_SEEN].iloc[0]))
put("size_helps_from", count_label(by_size.loc[by_size[TOKENS_SEEN] > hurtful, TOKENS_SEEN].min()))
assert (late_by_size["change_nats"] < -3 * late_by_size["change_se_nats"]).all(), "the text says: in all of them"
assert (first_tokens["change_nats"] > 0).all(), "the text says that the largest loses more at the fewest tokens"
chosen = spread_out(gptq[TOKENS_SEEN], 6)
put("fig_size", comparisons.qid_against_size_by_tokens(gptq[gptq[TOKENS_SEEN].isin(chosen)]))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_size
# :name: fig-size
# :alt: QiD against size on logarithmic axes in three panels for 2, 3 and 4 bits, one line for each of several numbers of training tokens. The lines of few tokens rise with size, those of many tokens fall.
#
# At equal tokens a larger model loses less, once it has been trained long. At the fewest tokens the lines rise with $N$; at the most
# they fall.
# ```
#
# Beyond {glue:text}`early_tokens:s` tokens, and at equal tokens, the largest model has a lower QiD than the smallest, by more than three
# errors, in {glue:text}`size_falling:d` of {glue:text}`size_series:d` combinations of tokens and bits. Step by step from one size to the next,
# QiD falls {glue:text}`size_down:d` times in {glue:text}`size_steps:d`. But at {glue:text}`size_first_tokens:s` tokens it is the
# other way round: the largest model loses *more* than the smallest, at {glue:text}`size_first_rising:d` of
# {glue:text}`size_first_series:d` bit widths. The largest loses less at every bit width from {glue:text}`size_helps_from:s` tokens
# on. One way to read it: a small model that has hardly begun to learn has little to lose. These rows alone don't prove it.
#
# At equal tokens *per parameter* size doesn't protect: there $\ln$ QiD at 3 bits changes by
# {glue:text}`09-extrapolation.ipynb::size_slope_ratio_3:s` [{glue:text}`09-extrapolation.ipynb::size_low_ratio_3:s`,
# {glue:text}`09-extrapolation.ipynb::size_high_ratio_3:s`] per unit of $\ln N$ (clustered by run, {doc}`chapter 9 <09-extrapolation>`).
#
# ## Bits

# %% tags=["remove-cell"]
by_bits = trends(gptq, "bits", [N_PARAMS, TOKENS_SEEN])
late_by_bits = by_bits[by_bits[TOKENS_SEEN] > LATE_TOKENS]
pairs = late.pivot(index=[N_PARAMS, TOKENS_SEEN], columns="bits", values="qid_nats")
put("bits_series", len(by_bits))
put("bits_falling", int((by_bits["n_up"] == 0).sum()))
put("bit_32", (pairs[2] / pairs[3]).median())
put("bit_43", (pairs[3] / pairs[4]).median())
put("bits_steep_low", -late_by_bits["exponent"].max())
put("bits_steep_high", -late_by_bits["exponent"].min())
assert (by_bits["n_up"] == 0).all(), "the text says: at all checkpoints"
assert (pairs[2] > 2 * pairs[3]).all(), "the caption says that the third bit takes away most of the loss"
assert (pairs[3] > 2 * pairs[4]).all(), "and the fourth most of the rest"
put("fig_bits", figures.qid_against_bits(every_width[every_width[TOKENS_SEEN] == late[TOKENS_SEEN].max()]).figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_bits
# :name: fig-bits
# :alt: QiD against bit width from 2 to 8 on a logarithmic vertical axis at the last checkpoint, one line for each size. All lines fall, nearly in parallel, up to 6 bits. At 8 bits they cross, and the error bars are as long as the values are high.
#
# The third bit takes away most of the loss and the fourth most of the rest, at every size. At 8 bits little is left to measure. Last
# checkpoint; bars: one paired error.
# ```
#
# From 2 to 4 bits QiD falls with each bit at all {glue:text}`bits_falling:d` of {glue:text}`bits_series:d` checkpoints. The third
# bit divides it by {glue:text}`bit_32:.1f`, the fourth by {glue:text}`bit_43:.1f` (medians beyond {glue:text}`early_tokens:s`
# tokens). Written as a power of $P$, that is an exponent between {glue:text}`bits_steep_low:.1f` and
# {glue:text}`bits_steep_high:.1f`. Of the three variables the bits weigh most, and act most alike everywhere.
#
# ## More bits
#
# The trunk was also rounded to 5, 6 and 8 bits. The tables take its checkpoints beyond {glue:text}`early_tokens:s` tokens.

# %% tags=["hide-input"]
wide_late = every_width[every_width[TOKENS_SEEN] > LATE_TOKENS]
by_width = wide_late.groupby("bits")
shown = pd.DataFrame(
    {
        "median QiD (nats)": by_width["qid_nats"].median().map("{:.5f}".format),
        "median paired error": by_width["qid_se_nats"].median().map("{:.5f}".format),
        "below zero": by_width["qid_nats"].agg(lambda qid: f"{(qid < 0).sum()} of {len(qid)}"),
        "within two errors of zero": by_width[["qid_nats", "qid_se_nats"]].apply(
            lambda rows: f"{(rows['qid_nats'].abs() < 2 * rows['qid_se_nats']).sum()} of {len(rows)}"
        ),
    }
)
shown.rename(index="{:g} bits".format).rename_axis(index=None)

# %% tags=["remove-cell"]
other_text = rows_of_fit(degradation(study_rows(measured, UNSEEN)), "gptq", GROUP_SIZE, False, LATE_TOKENS)
at_8 = wide_late[wide_late["bits"] == 8]
both = at_8.merge(other_text[other_text["bits"] == 8], on="checkpoint_id", suffixes=("", "_other"))
negative, negative_other = both["qid_nats"] < 0, both["qid_nats_other"] < 0
put("eight_rows", len(at_8))
put("eight_negative", int((at_8["qid_nats"] < 0).sum()))
put("eight_clear", int((at_8["qid_nats"] < -2 * at_8["qid_se_nats"]).sum()))
put("eight_within", int((at_8["qid_nats"].abs() < 2 * at_8["qid_se_nats"]).sum()))
put("eight_both", int((negative & negative_other).sum()))
put("eight_mean", at_8["qid_nats"].mean())
put("eight_chance", negative.sum() * negative_other.mean())
assert (wide_late[wide_late["bits"] < 8]["qid_nats"] > 0).all(), "the text says: no QiD below zero up to 6 bits"
assert len(both) == len(at_8)
assert at_8["qid_nats"].mean() > 0, "an exercise says: above zero"
assert (negative & negative_other).sum() > 2 * negative.sum() * negative_other.mean(), "the text says: not only chance"

# %% [markdown]
# Up to 6 bits no QiD is below zero. At 8 bits {glue:text}`eight_negative:d` of {glue:text}`eight_rows:d` are, and
# {glue:text}`eight_within:d` lie within two errors of zero on either side: there, 8 bits lose nothing that these documents could
# show. {glue:text}`eight_clear:d` lie below zero by more than two errors. Chance in the documents is not all of it. Of the
# {glue:text}`eight_negative:d`, {glue:text}`eight_both:d` are negative on another text as well, where {glue:text}`eight_chance:.1f`
# would be by accident. A change of the weights moves the loss first along its slope, up or down as it happens, and only then by its
# curvature, upwards on average. At 8 bits the first may be the larger.
#
# ## KL, a second outcome
#
# {term}`KL <KL divergence>` is the mean divergence of the rounded model's predictions from the 16-bit model's, on the same tokens, in nats per token. It is
# zero where rounding changes nothing and can't be negative, so that it has no slope to move along: it grows with the *square* of the
# rounding error. One more bit divides the scale of the grid {eq}`eq-grid` by $(2^{P+1} - 1) / (2^P - 1)$ and KL by its square
# (derived at {eq}`eq-quadratic-rule`). The table has what one more bit divides each outcome by on the way to this width (mean over
# the sizes, interval over runs; from 6 to 8 bits for each of the two), in how many steps from checkpoint to checkpoint each rises, and the slope of its
# logarithm in $\ln D$ (clustered by run; positive values).

# %% tags=["hide-input"]
found = {}
for outcome in (QID, KL):
    factors = bit_factors(wide_late, outcome)
    means = {step: mean_over_runs(np.log(factors[step])) for step in factors}
    taken = np.exp(pd.DataFrame(means).T[["mean", "low", "high"]])
    found[outcome.name] = taken, steps_up(wide_late, outcome), exponents_by_width(wide_late, outcome)
taken, up, powers = found["qid"]
taken_kl, up_kl, powers_kl = found["kl"]
rule = pd.Series({(few, many): expected_ratio(few, many) ** (1 / (many - few)) for few, many in taken.index})


def with_ends(table, columns):
    return table[columns].apply(lambda row: "{:.2f} [{:.2f}, {:.2f}]".format(*row), axis=1)


beside = {"QiD divided by": with_ends(taken, ["mean", "low", "high"])}
beside |= {"KL": with_ends(taken_kl, ["mean", "low", "high"]), "the rule": rule.map("{:.2f}".format)}
beside = pd.DataFrame(beside).set_axis([many for _, many in taken.index])
of_width = pd.DataFrame(
    {
        "QiD rises": up.apply(lambda row: f"{row['n_up']} of {row['n_steps']}", axis=1),
        "KL rises": up_kl.apply(lambda row: f"{row['n_up']} of {row['n_steps']}", axis=1),
        "slope of QiD": with_ends(powers, ["beta", "beta_low", "beta_high"]),
        "slope of KL": with_ends(powers_kl, ["beta", "beta_low", "beta_high"]),
    }
)
of_width.join(beside).fillna("")[[*beside, *of_width]].rename(index="{:g} bits".format).rename_axis(index=None)

# %% tags=["remove-cell"]
for few, many in taken.index[2:]:
    put(f"rule_{many:g}", rule[few, many])
    put_all(**{f"kl_factor_{many:g}_{end}": taken_kl.loc[(few, many), end] for end in ("mean", "low", "high")})
put_all(**{f"factor_8_{end}": taken.loc[(6, 8), end] for end in ("low", "high")})
for few, many in ((2, 3), (5, 6), (6, 8)):
    put(f"power_{many}", np.log(taken.loc[(few, many), "mean"]) * (many - few) / np.log(many / few))
for bits in (4, 6, 8):
    put_all(**{f"up_{bits}": int(up.loc[bits, "n_up"]), f"kl_up_{bits}": int(up_kl.loc[bits, "n_up"])})
    put_all(**{f"kl_slope_{bits}{end}": powers_kl.loc[bits, f"beta{end}"] for end in ("", "_low", "_high")})
put("up_steps", int(up["n_steps"].max()))
put_all(**{f"slope_8{end}": powers.loc[8, f"beta{end}"] for end in ("", "_low", "_high")})
put("kl_rows", len(wide_late))
put("kl_positive", int((wide_late["kl_nats"] > 0).sum()))
off = (taken_kl["mean"] / rule - 1).iloc[2:].abs()
put("kl_off", off.max())
holds = (taken["low"] < rule) & (rule < taken["high"])
assert holds.to_list() == [False, False, True, True, True], "the text says: from the fifth bit on inside QiD's interval"
assert all((table["mean"] > rule).iloc[:2].all() for table in (taken, taken_kl)), (
    "and the third and fourth take off more"
)
assert not ((taken_kl["low"] < rule) & (rule < taken_kl["high"])).any(), "the text says: outside KL's intervals"
assert off.max() < 0.04, "the text says: by little"
assert (wide_late["kl_nats"] > 0).all(), "the text says: all positive"
assert (up_kl["n_up"] >= up["n_up"]).loc[4:].all(), "the text says: KL rises more steadily"

# %% [markdown]
# From the fifth bit on the rule is {glue:text}`rule_5:.2f`, {glue:text}`rule_6:.2f` and {glue:text}`rule_8:.2f`. QiD holds it, but with
# intervals as wide as [{glue:text}`factor_8_low:.2f`, {glue:text}`factor_8_high:.2f`]. KL has {glue:text}`kl_factor_5_mean:.2f`
# [{glue:text}`kl_factor_5_low:.2f`, {glue:text}`kl_factor_5_high:.2f`], {glue:text}`kl_factor_6_mean:.2f`
# [{glue:text}`kl_factor_6_low:.2f`, {glue:text}`kl_factor_6_high:.2f`] and {glue:text}`kl_factor_8_mean:.2f`
# [{glue:text}`kl_factor_8_low:.2f`, {glue:text}`kl_factor_8_high:.2f`]: within {glue:text}`kl_off:.1%` of the rule, though outside it by
# these narrow intervals. The third bit takes off much more than the rule and the fourth a little more, in either outcome: there the
# error is no longer small.
#
# {glue:text}`kl_positive:d` of {glue:text}`kl_rows:d` values of KL are positive, those at 8 bits too. Of {glue:text}`up_steps:d` steps at 4, 6 and 8 bits KL
# rises in {glue:text}`kl_up_4:d`, {glue:text}`kl_up_6:d` and {glue:text}`kl_up_8:d`; QiD in {glue:text}`up_4:d`, {glue:text}`up_6:d`
# and {glue:text}`up_8:d`. So most steps down are QiD's own noise. And tokens act on KL alike at every such width: its slope is
# {glue:text}`kl_slope_4:.2f` [{glue:text}`kl_slope_4_low:.2f`, {glue:text}`kl_slope_4_high:.2f`], {glue:text}`kl_slope_6:.2f`
# [{glue:text}`kl_slope_6_low:.2f`, {glue:text}`kl_slope_6_high:.2f`] and {glue:text}`kl_slope_8:.2f`
# [{glue:text}`kl_slope_8_low:.2f`, {glue:text}`kl_slope_8_high:.2f`], where QiD at 8 bits says only {glue:text}`slope_8:.2f`
# [{glue:text}`slope_8_low:.2f`, {glue:text}`slope_8_high:.2f`].
#
# A power of $P$ says something else. Its exponent in QiD would have to grow from {glue:text}`power_3:.1f` at the third bit to
# {glue:text}`power_6:.1f` at the sixth and {glue:text}`power_8:.1f` at the last two. No power of $P$ holds from 2 to 8 bits. The next
# chapter's fits keep to 2, 3 and 4.
#
# ## Does the way of rounding matter?

# %% tags=["remove-cell"]
rtn = qid_ratio(rows_of_fit(study, "rtn", 32, symmetric=False), gptq)
late_rtn = rtn[rtn[TOKENS_SEEN] > LATE_TOKENS]
put("rtn_rows", len(rtn))
put("rtn_worse", int((rtn["ratio"] > 1).sum()))
put("rtn_late_rows", len(late_rtn))
for bits, rows in late_rtn.groupby("bits"):
    put(f"rtn_ratio_{bits:g}", rows["ratio"].median())
rtn_by_size = late_rtn[late_rtn["bits"] == 2].groupby(N_PARAMS)["ratio"].median()
put("rtn_smallest", rtn_by_size[sizes[0]])
put("rtn_largest", rtn_by_size[sizes[-1]])
assert rtn_by_size[sizes[-1]] > 1.2 * rtn_by_size[sizes[0]], "the text says that GPTQ gains more in the largest model"
rtn_trends = trends(
    study[(study["method"] == "rtn") & (study[TOKENS_SEEN] > LATE_TOKENS)], TOKENS_SEEN, ["model", "bits"]
)
put("rtn_series", len(rtn_trends))
put("rtn_rising", int((rtn_trends["change_nats"] > 0).sum()))
put("fig_rtn", comparisons.ratio_against_tokens(late_rtn, "QiD of RTN / QiD of GPTQ (factor)"))
plt.close("all")
assert (late_rtn["ratio"] > 1).all(), "the text says: on every checkpoint beyond the early ones"
assert (rtn["ratio"] + 2 * rtn["ratio_se"] > 1).all(), "and that no early one is clearly below"
assert (rtn_trends["change_nats"] > 0).all(), "the text says that all series rise"
assert late_rtn.groupby("bits")["ratio"].median().between(1.75, 2.5).all(), "the caption says: about twice"

# %% [markdown]
# ```{glue:figure} fig_rtn
# :name: fig-rtn
# :alt: Ratio of the QiD of round-to-nearest to that of GPTQ against training tokens, three panels for 2, 3 and 4 bits, one line for each size; all points lie above one, most between 1.5 and 2.5.
#
# Round-to-nearest (RTN) loses more than GPTQ on every checkpoint beyond {glue:text}`early_tokens:s` tokens, about twice as much.
# ```
#
# Beyond {glue:text}`early_tokens:s` tokens RTN loses more than GPTQ in all {glue:text}`rtn_late_rows:d` rows; with the earlier ones
# it is {glue:text}`rtn_worse:d` of {glue:text}`rtn_rows:d`, and none lies below one by two errors. The median ratio is
# {glue:text}`rtn_ratio_2:.1f` at 2 bits, {glue:text}`rtn_ratio_3:.1f` at 3 and {glue:text}`rtn_ratio_4:.1f` at 4; at 2 bits it is
# {glue:text}`rtn_smallest:.1f` in the smallest model and {glue:text}`rtn_largest:.1f` in the largest. RTN needs no calibration
# text, and yet QiD rises with tokens in {glue:text}`rtn_rising:d` of its {glue:text}`rtn_series:d` series. So the rise is not
# something that GPTQ or its calibration makes.
#
# A group of weights shares one scale and one zero point. The table compares group 128 with group 32, asymmetric: the ratio of the QiDs,
# as a median with its 10% and 90% quantiles.

# %% tags=["hide-input"]
coarse = {
    f"group 128, {'symmetric' if symmetric else 'asymmetric'}": qid_ratio(
        rows_of_fit(study, "gptq", 128, symmetric), gptq
    )
    for symmetric in (False, True)
}
ratio_table(coarse)

# %% tags=["remove-cell"]
put("group_models", coarse["group 128, asymmetric"]["model"].nunique())
put("group_rows", sum(len(rows) for rows in coarse.values()))
put("group_worse", int(sum((rows["ratio"] > 1).sum() for rows in coarse.values())))
assert all((rows.groupby("bits")["ratio"].median() > 1).all() for rows in coarse.values())

# %% [markdown]
# Larger groups raise QiD, and a symmetric grid raises it further; {glue:text}`group_worse:d` of {glue:text}`group_rows:d` ratios
# are above one. Only {glue:text}`group_models:d` models have a width that 128 divides. Group 32 spends more bits on scales: this is
# the price of the lower QiD, and "2 bits" in this chapter does not count it.
#
# ## What this does not show
#
# - **Few runs.** One run a size, all on one order of batches, is behind all counts. An interval over sizes says nothing about a run that
#   was not made; {doc}`other seeds and second runs <92-what-else-moves-qid>` do.
# - **A constant rate, text read again.** Decay is {doc}`chapter 7's <07-tokens-or-decay>` matter, reading again
#   {doc}`another page's <92-what-else-moves-qid>`.
# - **One kind of text**, Python source, for training, calibration and evaluation.
# - **Small models.** The largest has {glue:text}`study_largest:s` parameters.
# - **Width and depth apart.** The trunk's larger models are deeper as well as wider.
#
# ## Exercises
#
# **1.** The first and the last checkpoint of a series share their documents. Is it right to add the two paired errors in quadrature
# to get the error of the change?
#
# ```{admonition} Answer
# :class: dropdown
#
# No. Documents that suffer from rounding early tend to suffer late as well. The differences of one document go together, so that
# the error of the change comes from $\Delta L_{i,\mathrm{last}} - \Delta L_{i,\mathrm{first}}$, document by document. That is what
# `trends` does.
# ```
#
# **2.** From which number of tokens on does the largest model lose less than the smallest at every bit width? And what would you
# say of a study that has one checkpoint only, before that point?
#
# ```{admonition} Answer
# :class: dropdown
#
# From {glue:text}`size_helps_from:s` tokens on. The study would report the sign of the size effect wrongly: at
# {glue:text}`size_first_tokens:s` tokens QiD rises with $N$ at {glue:text}`size_first_rising:d` of {glue:text}`size_first_series:d`
# bit widths.
# ```
#
# **3.** RTN at 3 bits or GPTQ at 2 bits: which loses less at the last checkpoint of the largest model? Take it from the median ratios above
# before you look.

# %% tags=["remove-cell"]
end = study[
    (study[N_PARAMS] == sizes[-1]) & (study[TOKENS_SEEN] == study[TOKENS_SEEN].max()) & (study["group_size"] == 32)
]
end = end.set_index(["method", "bits"])["qid_nats"]
put("end_rtn_3", end["rtn", 3])
put("end_gptq_2", end["gptq", 2])
assert end["rtn", 3] < end["gptq", 2]

# %% [markdown]
# ```{admonition} Answer
# :class: dropdown
#
# RTN at 3 bits: {glue:text}`end_rtn_3:.3f` against {glue:text}`end_gptq_2:.3f` nats per token. The third bit divides QiD by
# {glue:text}`bit_32:.1f`, GPTQ only by {glue:text}`rtn_ratio_3:.1f`. A bit is worth more than the better method.
# ```
#
# **4.** At 8 bits some QiDs are negative. Did rounding improve those models?
#
# ```{admonition} Answer
# :class: dropdown
#
# On these documents their loss is lower than before, for most by less than two errors. Where the sign holds on other text as well
# the change is real, but nobody aimed at it: the rounding error happened to point down the slope of the loss. Another way of
# rounding would point elsewhere. The mean at 8 bits over all checkpoints beyond {glue:text}`early_tokens:s` tokens is
# {glue:text}`eight_mean:.5f` nats per token, above zero.
# ```

# %% [markdown]
# **5.** *(code, checks itself)* How steeply does QiD of the smallest model rise with tokens at 3 bits? Give the slope of $\ln$ QiD on
# $\ln D$ over the rows of `late()`, by least squares.

# %%
from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # a slope, no unit
check("4.5", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = late().query("model == 'tadpole-64x3' and bits == 3")
slope, _ = np.polyfit(np.log(rows["tokens_seen"]), np.log(rows["qid_nats"]), 1)
check("4.5", slope)
