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
# # The narrowest grid fails by the next term of one law
#
# *Is what happens at 2 bits more of what happens at 4, or another way to fail?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** More of the same, one order on. At 2 bits loss is {glue:text}`over_narrow:.2f` [{glue:text}`over_narrow_low:.2f`,
#   {glue:text}`over_narrow_high:.2f`] times (95%, over training runs) what one law of 3 to 8 bits says. With the next term of the same series, fitted
#   from 3 bits on, {glue:text}`next_narrow:.2f` [{glue:text}`next_narrow_low:.2f`, {glue:text}`next_narrow_high:.2f`] times are left. Most of the
#   excess arises between matrices: rounding one makes the errors of others dearer.
# - **How sure.** {glue:text}`n_runs:d` runs for the widths and {glue:text}`part_runs:d` for the matrices, {glue:text}`part_largest:s` parameters at
#   most. Depth was looked at in {glue:text}`depth_models:d` small models, inputs in as few.
# - **Use it for.** A law of 4 bits and more says a little too little of 3 bits, and of 2 far too little: use the next term there. Losses of parts may
#   be added up at 4 bits, and not at 2.
# ```
#
# {cite:t}`zhou2026failure` (known to us by its abstract) find two ways in which rounding fails: at 4 bits the signal is degraded by errors
# that accumulate, at 2 bits the computation collapses in the first layers. If so, a law over the bits would be two laws, and what is learnt at 4 bits would say
# nothing of 2. That can be tested. One law must foretell the width that it wasn't fitted to. And errors that merely add up must cost as
# much together as they cost one by one. {term}`Intervals <interval>` run over training runs.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt

from helpers.show import benchmarks
from helpers.show.figures import mixed as figures
from helpers.show.glue import put_all
from helpers.show.numbers.law import two_ways_to_fail as ways
from helpers.show.style import use_house_style
from helpers.table.files import read_table, read_trials

use_house_style()
found = ways.Tables.of(
    read_table("results/measurements.parquet").to_pandas(),
    read_trials(Path("results/trials.parquet")).to_pandas(),
    read_table("results/inputs.parquet").to_pandas(),
    benchmarks.read("error_by_depth").rows,
)

# %% tags=["remove-cell"]
stated = ways.numbers(found)
put_all(**stated)

# %% [markdown]
# ## Definition
#
# A grid of $P$ bits has $2^P - 1$ steps, so the square of its error goes as $s = (2^P - 1)^{-2}$. While errors are small,
# {term}`KL` (nats per token) is proportional to $s$ ({doc}`chapter 12 <12-why>`). That is the first term of a
# series in $s$:
#
# $$
# \text{KL} = k \, \frac{D^\beta}{N^\alpha} \, s \, (1 + c \, s + \dots), \qquad s = (2^P - 1)^{-2}.
# $$ (eq-next-term)
#
# *One law* has $c = 0$, and an exponent of $2^P - 1$ that is fitted instead. *The next term* has $c$ instead of the exponent, and so as many
# constants. *Two laws* give 2 bits a factor and exponents of their own. A single $c$ for all widths means that nothing new begins at any
# of them.
#
# **{term}`Compounding <compounding>`** is the loss with everything rounded over the sum of the losses with one part rounded alone, a factor. At one, losses add
# up. In {eq}`eq-next-term` each part's own second order stays in its own loss, and what the parts do to each other makes compounding
# $1 + c' s$.
#
# ## What one law says of the narrowest grid

# %% tags=["remove-cell"]
put_all(fig_over=figures.over_one_law(ways.excess(found.rows), stated["term"], (2, 3, 4, 5)).figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_over
# :name: fig-over
# :alt: KL over one law of 3 to 8 bits against training tokens, four lines with bands. Those of 3, 4 and 5 bits lie together around one, rising early and level later; that of 2 bits lies above them by a factor of about 1.4 that widens slowly. Dashed level lines for each width stand at 1.4, 1.08 and next to one.
#
# One law of 3 to 8 bits fits 3 to 5 alike and misses 2, by more after more tokens. GPTQ in groups of 32, the trunk's {glue:text}`n_runs:d`
# sizes; lines are means over runs, bands reach from the least to the most. Dashed: $1 + c s$.
# ```
#
# From 3 to 8 bits the fitted exponent of $2^P - 1$ is {glue:text}`gamma:.3f`: the rule's 2. At 2 bits KL is {glue:text}`over_narrow:.2f`
# [{glue:text}`over_narrow_low:.2f`, {glue:text}`over_narrow_high:.2f`] times what this law says. The factor grows as $D^{x}$ with $x$ =
# {glue:text}`over_tokens:.3f` [{glue:text}`over_tokens_low:.3f`, {glue:text}`over_tokens_high:.3f`]: more than zero, but only just. Its slope in
# $\ln N$, {glue:text}`over_size:.3f` [{glue:text}`over_size_low:.3f`, {glue:text}`over_size_high:.3f`], can't be distinguished from zero.
#
# 2 bits aren't alone. 3 bits exceed a law of 4 to 8 too, by a factor of {glue:text}`over_three:.2f` [{glue:text}`over_three_low:.2f`,
# {glue:text}`over_three_high:.2f`]. A cliff would begin at one width. This excess is there at 3 bits, small, and larger at 2.
#
# The other way it fails too. One law of 2 to 4 bits, the widths this book fits most, says too little of 5 to 8: they measure
# {glue:text}`fine_with:.2f` [{glue:text}`fine_with_low:.2f`, {glue:text}`fine_with_high:.2f`] times that. Without 2 bits it is
# {glue:text}`fine_without:.2f` [{glue:text}`fine_without_low:.2f`, {glue:text}`fine_without_high:.2f`].
#
# ```{table} Four forms over the widths: constants, Akaike's criterion above the least (rows taken as independent), and the error of ln KL of a training run that is left out.
# :name: tab-forms
#
# | form | constants | AIC above the least | error of a run left out |
# |---|---|---|---|
# | one law | {glue:text}`n_one:d` | {glue:text}`aic_one:.0f` | {glue:text}`rms_one:.3f` |
# | the next term | {glue:text}`n_next:d` | {glue:text}`aic_next:.0f` | {glue:text}`rms_next:.3f` |
# | two laws | {glue:text}`n_two:d` | {glue:text}`aic_two:.0f` | {glue:text}`rms_two:.3f` |
# | a law a width | {glue:text}`n_each:d` | {glue:text}`aic_each:.0f` | {glue:text}`rms_each:.3f` |
# ```
#
# **A term, not a break.** The next term foretells a run that was left out better than one law: its error of $\ln$ KL is smaller by
# {glue:text}`gained:.3f` [{glue:text}`gained_low:.3f`, {glue:text}`gained_high:.3f`]. A break has more constants, and what it gains beyond the next
# term can't be distinguished from zero: {glue:text}`more:.4f` [{glue:text}`more_low:.4f`, {glue:text}`more_high:.4f`].
#
# Fitted to all widths $c$ is {glue:text}`term:.1f`. Fitted from 3 bits on, where the term is a few percent, it is {glue:text}`term_wide:.1f`, and then
# 2 bits measure {glue:text}`next_narrow:.2f` [{glue:text}`next_narrow_low:.2f`, {glue:text}`next_narrow_high:.2f`] times what the form says. So widths
# at which the term is small foretell most of the excess at 2 bits.
#
# ## Parts that make each other dearer

# %% tags=["remove-cell"]
put_all(fig_compounding=figures.compounding(found.matrices, stated["between_3"]))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_compounding
# :name: fig-compounding
# :alt: Compounding against training tokens in three panels for 2, 3 and 4 bits, a line a size. At 4 bits all lines lie at one, at 3 bits they rise from about 1.03 to about 1.15, at 2 bits from about 1.2 to 1.8 but for the smallest models. Dashed level lines stand at 1.5, 1.09 and 1.02.
#
# At 4 bits the losses of single matrices add up to that of the whole model; at 2 bits the whole costs more, and more so after more tokens.
# GPTQ, {glue:text}`part_runs:d` runs. Dashed: $1 + c' s$ with the $c'$ of 3 bits.
# ```
#
# Searches ({doc}`chapter 13 <13-how-much-can-go-low>`) have rounded each matrix of a model alone, up to {glue:text}`part_most:d` of them,
# and then all of them: {glue:text}`part_wholes:d` checkpoints of {glue:text}`part_smallest:s` to {glue:text}`part_largest:s` parameters.
#
# ```{table} Compounding of the matrices by width: the mean factor, its exponent of tokens, and the constant c' = (compounding − 1) / s. 95% over runs.
# :name: tab-compounding
#
# | bits | compounding | exponent of tokens | $c'$ |
# |---|---|---|---|
# | 4 | {glue:text}`compound_4:.3f` [{glue:text}`compound_4_low:.3f`, {glue:text}`compound_4_high:.3f`] | {glue:text}`compound_tokens_4:.3f` [{glue:text}`compound_tokens_4_low:.3f`, {glue:text}`compound_tokens_4_high:.3f`] | {glue:text}`between_4:.1f` [{glue:text}`between_4_low:.1f`, {glue:text}`between_4_high:.1f`] |
# | 3 | {glue:text}`compound_3:.3f` [{glue:text}`compound_3_low:.3f`, {glue:text}`compound_3_high:.3f`] | {glue:text}`compound_tokens_3:.3f` [{glue:text}`compound_tokens_3_low:.3f`, {glue:text}`compound_tokens_3_high:.3f`] | {glue:text}`between_3:.1f` [{glue:text}`between_3_low:.1f`, {glue:text}`between_3_high:.1f`] |
# | 2 | {glue:text}`compound_2:.3f` [{glue:text}`compound_2_low:.3f`, {glue:text}`compound_2_high:.3f`] | {glue:text}`compound_tokens_2:.3f` [{glue:text}`compound_tokens_2_low:.3f`, {glue:text}`compound_tokens_2_high:.3f`] | {glue:text}`between_2:.1f` [{glue:text}`between_2_low:.1f`, {glue:text}`between_2_high:.1f`] |
# ```
#
# **One constant will do for three widths.** The factors differ, the three $c'$ can't be told apart, though at 4 bits the interval is wide. So what
# looks like addition at 4 bits and like collapse at 2 can be one term, {glue:text}`steps_ratio:.0f` times larger. Whole blocks compound less than
# matrices: {glue:text}`compound_blocks:.2f` [{glue:text}`compound_blocks_low:.2f`, {glue:text}`compound_blocks_high:.2f`] at 2 bits.
#
# Most of what 2 bits cost beyond the rule arises so. The costs of the matrices alone add up to {glue:text}`alone_over:.2f`
# [{glue:text}`alone_over_low:.2f`, {glue:text}`alone_over_high:.2f`] times what squared steps say from 4 bits. With all rounded together it is
# {glue:text}`whole_over:.2f` [{glue:text}`whole_over_low:.2f`, {glue:text}`whole_over_high:.2f`] times. Of the logarithm of that factor
# {glue:text}`between_share:.0%` lies between matrices.
#
# It isn't only the size of the loss. Among {glue:text}`equal_rows:d` checkpoints and widths with a QiD of {glue:text}`equal_least:.2f` to
# {glue:text}`equal_most:.1f` nats, 2 bits compound {glue:text}`at_equal:.2f` [{glue:text}`at_equal_low:.2f`, {glue:text}`at_equal_high:.2f`]
# times as much as 3 bits at equal QiD.
#
# ## Where along the depth

# %% tags=["remove-cell"]
shown = found.depth[(found.depth["method"] == "gptq") & found.depth["step"].isin([500, 7275])]
put_all(fig_depth=figures.error_along_depth(shown))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_depth
# :name: fig-depth
# :alt: Noise over signal of the hidden state after each of three blocks on a logarithmic axis, two panels for 65.5M and 954M tokens, lines for 2, 3, 4 and 5 bits. All lines rise from block to block in parallel, those of fewer bits higher. In the second panel the lines of 2 bits reach the dashed line at one after the last block.
#
# Noise grows along the depth by the same factors at every width: parallel lines. Late in training 2 bits end with as much noise as signal
# (dashed). GPTQ, {glue:text}`depth_models:d` models of three blocks.
# ```
#
# The error of a hidden state is noise over signal: squared distances between the rounded and the 16-bit states, over those of the 16-bit states from
# their mean. If a computation broke down at some block, its line would bend upward there at 2 bits alone. In these models none does.
#
# ```{table} After the last block: noise over signal early and late in training, the mean cosine between what the head reads in both models late, and the noise of the whole over the sum of the blocks' one by one (with its range over checkpoints). Means over the models.
# :name: tab-noise-by-width
#
# | bits | noise after {glue:text}`depth_first:s` tokens | after {glue:text}`depth_last:s` | cosine late | whole over the sum |
# |---|---|---|---|---|
# | 4 | {glue:text}`noise_first_4:.3f` | {glue:text}`noise_last_4:.3f` | {glue:text}`cosine_last_4:.2f` | {glue:text}`adds_4:.2f` ({glue:text}`adds_4_low:.2f` to {glue:text}`adds_4_high:.2f`) |
# | 2 | {glue:text}`noise_first_2:.2f` | {glue:text}`noise_last_2:.2f` | {glue:text}`cosine_last_2:.2f` | {glue:text}`adds_2:.2f` ({glue:text}`adds_2_low:.2f` to {glue:text}`adds_2_high:.2f`) |
# ```
#
# At 4 bits the noise of the blocks adds up, and at 2 bits it comes to less than the sum, not to more. What differs is how much noise there is: late in
# training at 2 bits as much as signal. So in these models the noise doesn't compound. That the loss rises faster
# than the noise, once there is much of it, is what we take from this; it wasn't measured.
#
# ## Weights and inputs
#
# {cite:t}`chen2025qat` find for training in low bits that the loss of 4-bit weights and inputs (W4A4) is nearly the sum of W4's and A4's. For
# rounding afterwards we measured each alone, in MXINT in blocks of 32, on {glue:text}`input_checkpoints:d` checkpoints of
# {glue:text}`input_runs:d` runs.
#
# ```{table} QiD with weights and inputs rounded over the sum of both alone: mean with 95% over three runs, and the range over checkpoints.
# :name: tab-weights-and-inputs
#
# | bits of both | both over the sum | range |
# |---|---|---|
# | 5 | {glue:text}`both_5:.2f` [{glue:text}`both_5_low:.2f`, {glue:text}`both_5_high:.2f`] | {glue:text}`both_5_least:.2f` to {glue:text}`both_5_most:.2f` |
# | 4 | {glue:text}`both_4:.2f` [{glue:text}`both_4_low:.2f`, {glue:text}`both_4_high:.2f`] | {glue:text}`both_4_least:.2f` to {glue:text}`both_4_most:.2f` |
# | 3 | {glue:text}`both_3:.2f` [{glue:text}`both_3_low:.2f`, {glue:text}`both_3_high:.2f`] | {glue:text}`both_3_least:.2f` to {glue:text}`both_3_most:.2f` |
# | 2 | {glue:text}`both_2:.2f` [{glue:text}`both_2_low:.2f`, {glue:text}`both_2_high:.2f`] | {glue:text}`both_2_least:.2f` to {glue:text}`both_2_most:.2f` |
# ```
#
# At 4 bits the mean can't be distinguished from the sum, though single checkpoints lie off it to both sides. At 2 bits the whole costs *less* than the
# sum.
#
# MXINT with 2 bits has three levels. At the end of training its QiD of {glue:text}`ceiling_late:.1f` nats per token is as large as the whole loss of a
# model that holds all tokens for equally likely, $\ln V$ = {glue:text}`uniform:.1f` nats per token. Nothing can be lost twice. That is the only
# collapse seen here, and it comes from running out of room.
#
# The weights' share of the sum at 4 bits is {glue:text}`share:.2f` [{glue:text}`share_low:.2f`, {glue:text}`share_high:.2f`]. That it grows with
# tokens, as in training, isn't seen: its slope in $\ln D$, {glue:text}`share_tokens:.3f` [{glue:text}`share_tokens_low:.3f`,
# {glue:text}`share_tokens_high:.3f`], can't be distinguished from zero over {glue:text}`input_runs:d` runs.
#
# ## What this does not show
#
# - **Large models.** {glue:text}`part_largest:s` parameters at most, and depth was looked at in three blocks. Outliers of large models may
#   break what these don't. `sweeps/inputs-gpu.yml` has the trunk's own W4, A4 and W4A4, for a GPU; it wasn't run.
# - **A law to use.** $c$ grows with tokens, and the form gives it one value. Between 2 and 3 bits nothing was measured.
# - **Cause.** That noise adds up and the loss doesn't says where the term isn't. What makes the loss rise faster than the noise was not shown.
# - **QiD and KL.** Widths are compared by KL, parts and inputs by QiD, which searches kept.

# %% [markdown]
# ## Exercises
#
# **1.** Somebody measures a compounding of {glue:text}`ex_wide:.2f` at 4 bits. What compounding is to be expected at 3 and at 2 bits?
#
# ```{admonition} Answer
# :class: dropdown
# $s$ grows by $(15/7)^2$ from 4 to 3 bits and by $(15/3)^2$ to 2. So {glue:text}`ex_three:.2f` and {glue:text}`ex_narrow:.2f`, near what
# {numref}`tab-compounding` has.
# ```
#
# **2.** Why can compounding of weights and inputs at 2 bits lie below one, although that of matrices at 2 bits lies above?
#
# ```{admonition} Answer
# :class: dropdown
# MXINT with 2 bits loses several nats and ends at the ceiling: a model that knows nothing loses the logarithm of the vocabulary's size. GPTQ's
# asymmetric grid of four levels loses far less, so there is room to make things worse.
# ```
#
# **3.** A search adds up the costs of single matrices at 2 bits. Does it choose wrongly?
#
# ```{admonition} Answer
# :class: dropdown
# Its total is too low, by a third or so. The order of the matrices can still be right: it is if all compound alike.
# {doc}`Chapter 13 <13-how-much-can-go-low>` found that such searches end near the best.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* By how much does QiD at 2 bits exceed the rule from 4 bits? `late()` has the trunk's rows. Give the geometric
# mean over checkpoints of QiD at 2 bits over $(15/3)^2$ times that at 4.

# %%
from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # a factor, no unit
check("21.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
import numpy as np

qid = late().pivot(index=["run", "tokens_seen"], columns="bits", values="qid_nats")
check("21.4", np.exp(np.log(qid[2] / qid[4] / 25).mean()))

# %% [markdown]
# **5.** *(project)* `qid sweep sweeps/inputs.yml` measures weights and inputs on two cores. Round inputs to 4 bits and weights to 3, and the
# other way round. Does the sum still hold, and which of the two is dearer than its bits?
