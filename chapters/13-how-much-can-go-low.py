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
# # Larger models can go lower, at equal tokens
#
# *Which share of a model can be rounded to few bits before it loses too much, and is that share larger in larger models?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** At equal tokens ten times the size adds {glue:text}`gain_matmul_mean:.2f` [{glue:text}`gain_matmul_low:.2f`,
#   {glue:text}`gain_matmul_high:.2f`] to the share of the parameters that can be in low precision (MXINT with 4 bits,
#   {glue:text}`budget:.0%` more perplexity, 95% over training runs).
# - **How sure.** {glue:text}`mix_runs:d` runs, one a size, {glue:text}`mix_smallest:s` to {glue:text}`mix_largest:s`
#   parameters at {glue:text}`mix_tokens:s` tokens. At equal tokens *per parameter* the share falls with size. No speed was
#   measured.
# - **Use it for.** Searching with measured costs of single matrices instead of random draws; and for knowing which matrices to
#   keep.
# ```
#
# So far every matrix of a model was rounded in the same way. But some are more sensitive than others. {cite:t}`cao2024mixed` keep
# the most sensitive ones in 16 bits, round the rest to four, and ask how large the rest can be. They find that it grows with the
# size of the model. Three chapters test this where everything about the models is known. This one varies the size alone.
# {doc}`Chapter 14 <14-block-size>` then sets free how many values share a scale, and {doc}`chapter 15 <15-ratio-against-training>` the
# training. {term}`Intervals <interval>` run over training runs, one a size, in all three.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt
import pyarrow.compute as pc

from helpers.analyse.rows.study import MIXED
from helpers.show.figures import mixed as figures
from helpers.show.glue import put_all
from helpers.show.numbers.choose import how_much_can_go_low as share
from helpers.show.style import use_house_style
from helpers.table.files import read_table, read_trials

use_house_style()
trials = read_trials(Path("results/trials.parquet")).to_pandas()  # one row an assignment that a search scored
measured = read_table("results/measurements.parquet").filter(pc.field("family") == MIXED).to_pandas()
mixed = share.Mixed.from_tables(trials, measured)
here = mixed.constant(share.STEP)  # at equal tokens

# %% tags=["remove-cell"]
put_all(**share.numbers(mixed))

# %% [markdown]
# ## From a trial to a largest ratio
#
# The **quantization ratio** of an assignment is the share of the parameters that it puts in low precision,
#
# $$
# Q_r = \frac{\text{parameters in low precision}}{\text{parameters of the blocks' linear layers}},
# $$ (eq-ratio)
#
# with no unit. Its cost is judged by a *metric*: the relative rise of the perplexity, $e^{q} - 1$ with $q$ the QiD in nats per
# token; or $q$ itself; or the loss of top-1 accuracy. A *budget* is the most that a metric may be. The **largest ratio** within the
# budget is the quantity of this chapter and of chapter 15. Parts are assigned *block by block* (here a decoder block) or *matrix by
# matrix*.
#
# The main low scheme is the paper's: weights and the inputs of rounded matrices in MXINT with four bits, where
# {glue:text}`mix_group:d` neighbours share a power of two. Four others round weights alone: MXFP to nearest, and GPTQ at 2, 3 and 4
# bits. A search scores many assignments on {glue:text}`mix_sequences:d` sequences that neither training nor calibration has seen. Such a
# *trial* is cheap: each matrix is rounded once, by itself, and swapped in. The best assignment at each target ratio becomes a
# {term}`recipe`: the model is rounded again block after block, as for use, and scored on held-out text. Largest ratios are read off
# recipes, because the held-out text doesn't know what the search liked. Between two recipes the ratio is read off a straight line.
#
# The {glue:text}`mix_runs:d` runs, at a constant rate, are compared at {glue:text}`mix_tokens:s` tokens, the most that every size has:
# {glue:text}`mix_most_read:,.0f` tokens per parameter in the smallest, {glue:text}`mix_least_read:.1f` in the largest.
#
# A search of all their checkpoints scored {glue:text}`mix_trials:,d` trials and {glue:text}`mix_recipes:,d` recipes, but intervals count
# runs.
#
# ## Costs nearly add up
#
# A model of three decoder blocks has eight assignments.

# %% tags=["remove-cell"]
put_all(fig_assignments=figures.all_assignments(share.example(here.searched)))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_assignments
# :name: fig-assignments
# :alt: QiD against the quantization ratio for the eight assignments of a model of three blocks, each point labelled by three digits. Points stand in four columns at zero, one third, two thirds and one; in each column one filled point is lowest, and a line joins these.
#
# All eight assignments of the model with {glue:text}`pair_size:s` parameters; a digit a block, 1 is low. Filled and joined: no
# other has as much in low precision for as little. A search looks for these points where there are too many to try.
# ```
#
# The first block alone costs {glue:text}`pair_first:.4f` nats, the second alone {glue:text}`pair_second:.4f`, and both together
# {glue:text}`pair_both:.4f`: {glue:text}`pair_over:.2f` times the sum. If costs added up exactly, one would measure each part alone and
# pack the cheapest.
#
# That is nearly enough. A greedy order and an integer programme, both told the costs of single matrices, end
# {glue:text}`97-searches-and-joint-laws.ipynb::beyond_greedy_mean:.1%` and
# {glue:text}`97-searches-and-joint-laws.ipynb::beyond_integer_programme_mean:.1%` above the best assignment known. The paper's random
# search, with many more trials, ends {glue:text}`97-searches-and-joint-laws.ipynb::beyond_random_all_mean:.0%` above it.
# {doc}`Appendix F <97-searches-and-joint-laws>` compares searches, and trials with recipes.
#
# ## Which matrices are sensitive
#
# Each matrix alone in low precision: its cost, as a share of the sum of all such costs, over its share of the parameters.
# One means that a matrix costs what its size says.

# %% tags=["remove-cell"]
costs = share.relative_costs(here.searched)
kinds = dict(zip(share.KINDS.values(), figures.SHORT.values(), strict=True)) | share.PLACES
put_all(fig_factors=figures.factors_by_kind(share.factors(costs), kinds, share.FACTOR_LABEL).figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_factors
# :name: fig-factors
# :alt: Factors with intervals on a logarithmic axis, a row for each of four kinds of matrix and for the first and the last block, three marks in the rows of matrices. With rounded inputs query, key and value lie right of one and both MLP matrices left of it; for GPTQ at 2 and 3 bits attention's output lies furthest right.
#
# What is sensitive depends on whether inputs are rounded too: queries, keys and values where they are (MXINT), attention's output where
# they aren't (GPTQ). Geometric means over the matrices of a run, with 95% intervals over {glue:text}`mix_runs:d` training runs.
# Matrices that cost nothing alone ({glue:text}`minds_free:d`) are left out.
# ```
#
# With inputs rounded too, the matrix of queries, keys and values costs {glue:text}`minds_qkv_mean:.2f`
# [{glue:text}`minds_qkv_low:.2f`, {glue:text}`minds_qkv_high:.2f`] times what its size says. It is worth 16 bits first. The matrices of
# the MLP and the first block cost less than their size. Attention's output and the last block can't be distinguished from one.
#
# Where weights alone are rounded it is attention's output, with {glue:text}`minds_output_gptq_2_mean:.2f`
# [{glue:text}`minds_output_gptq_2_low:.2f`, {glue:text}`minds_output_gptq_2_high:.2f`] for GPTQ at 2 bits. Recipes keep what these
# factors say ({doc}`chapter 16 <16-seven-ways>`). That the inputs make the difference is a guess: the two schemes differ in their grids
# too. {doc}`Appendix F <97-searches-and-joint-laws>` has a map of all matrices.
#
# ## The largest ratio against size

# %% tags=["remove-cell"]
gains = share.drawn_gains(share.named_fits(here.largest))
put_all(
    fig_ratio_size=figures.ratio_against_size(here.main_largest, {}, "{:.0%} more perplexity"),
    fig_gains=figures.changes_by_budget(gains, share.shown_schemes(gains), share.GAIN_LABEL),
)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_ratio_size
# :name: fig-ratio-size
# :alt: Largest quantization ratio against size in three panels for budgets of 5, 10 and 20 percent more perplexity, two lines in each: matrix by matrix above, block by block below. All lines rise from left to right; at 20 percent they reach one, drawn hollow, from the third largest model on.
#
# The larger the model, the more of it can go low after equally many tokens. MXINT, inputs too. Hollow: everything is within the budget
# (at one), or less than the smallest ratio that was tried.
# ```
#
# **At equal tokens, the share that can go low grows with size.** With {glue:text}`budget:.0%` more perplexity allowed it rises, matrix
# by matrix, from {glue:text}`ratio_matmul_small:.2f` in the smallest model to {glue:text}`ratio_matmul_large:.2f` in the largest, in
# each step from one size to the next. To choose matrices instead of whole blocks is worth {glue:text}`finer_mean:.2f`
# [{glue:text}`finer_low:.2f`, {glue:text}`finer_high:.2f`] of the parameters.
#
# ```{glue:figure} fig_gains
# :name: fig-gains
# :alt: Gains of the largest ratio for ten times the size with intervals, a row for each low scheme and a panel for each of three budgets, two markers in each row. All means lie right of the line at zero, most between 0.1 and 0.3; none lies left of it.
#
# Ten times the size adds to the largest ratio in nearly every scheme and budget, and nowhere takes from it. 95% intervals over training
# runs at {glue:text}`mix_tokens:s` tokens. Left out: questions with fewer than four runs below ratio one.
# ```
#
# Of {glue:text}`fitted:d` questions (scheme, granularity, metric, budget) to which a line can be fitted, the ratio clearly grows with size
# in {glue:text}`clear_up:d` and clearly falls in none. All rest on the same {glue:text}`mix_runs:d` runs: one finding from many sides.
#
# **At equal tokens per parameter it falls.** Larger models are usually given more text, and text takes away from the share what size
# adds. By the law of both in {doc}`chapter 15 <15-ratio-against-training>`, ten times the size *and* ten times the tokens take
# {glue:text}`15-ratio-against-training.ipynb::proportional_matmul_mean:.2f`
# [{glue:text}`15-ratio-against-training.ipynb::proportional_matmul_low:.2f`,
# {glue:text}`15-ratio-against-training.ipynb::proportional_matmul_high:.2f`] off the share (MXINT, matrix by matrix, the same budget).
#
# ## The paper's law
#
# At a fixed budget {cite:t}`cao2024mixed` fit
#
# $$
# N = e^{k x + c}, \qquad x = 1 - Q_r,
# $$ (eq-ratio-law)
#
# with $N$ in billions of parameters: each factor in size takes a fixed share out of high precision. Since $N$ is what one chooses and
# $Q_r$ what one measures, we fit $x$ as a line in $\ln N$, and $k$ is one over its slope.
#
# ```{table} The law here, matrix by matrix, beside the printed one; intervals are 95% over training runs. Last two columns: our largest model, by the printed law and as measured.
# :name: tab-ratio-law
#
# | budget | $k$ here | printed | $Q_r$, printed | $Q_r$ here |
# |---|---|---|---|---|
# | 5% | {glue:text}`k_5:.1f` [{glue:text}`k_5_low:.1f`, {glue:text}`k_5_high:.1f`] | {glue:text}`k_5_printed:.1f` | {glue:text}`printed_large_5:.2f` | {glue:text}`measured_large_5:.2f` |
# | 10% | {glue:text}`k_10:.1f` [{glue:text}`k_10_low:.1f`, {glue:text}`k_10_high:.1f`] | {glue:text}`k_10_printed:.1f` | {glue:text}`printed_large_10:.2f` | {glue:text}`measured_large_10:.2f` |
# | 20% | {glue:text}`k_20:.1f` [{glue:text}`k_20_low:.1f`, {glue:text}`k_20_high:.1f`] | {glue:text}`k_20_printed:.1f` | {glue:text}`printed_large_20:.2f` | {glue:text}`measured_large_20:.2f` |
# ```
#
# **The form holds far below the sizes it was found on, the slope at the smallest budget alone.** At 5% the printed $k$ lies in our
# interval; beyond, the ratio rises faster with size here. At 20% the largest models are at ratio one and don't count. Fitted to the
# smaller sizes the law misses the largest by {glue:text}`rms_size:.3f` (root mean square over budgets). A power law of $1 - Q_r$ misses by
# {glue:text}`rms_power:.3f`, and the ratio of the next smaller size by {glue:text}`rms_next:.3f`.
#
# **The constant doesn't carry over.** With the printed constants the misses are {glue:text}`rms_published:.2f`. That is no contradiction:
# $c$ holds everything but size, such as the text, the block of values that share an exponent ({doc}`chapter 14 <14-block-size>`), and the
# length of training ({doc}`chapter 15 <15-ratio-against-training>`).
#
# ## What this does not show
#
# - **Large models.** The paper's have half a billion parameters and more, ours {glue:text}`mix_largest:s` at most. They are trained
#   on one kind of text, with one seed a size.
# - **A ratio between two targets.** The straight line between two recipes puts the largest ratio too low where the gap is wide: in small
#   models at small budgets. Trials fill such gaps better, and give nearly the same slope ({doc}`appendix F <97-searches-and-joint-laws>`).
# - **Memory and speed.** A ratio counts parameters, not stored bits; {doc}`chapter 16 <16-seven-ways>` compares at equal bits. Nothing
#   here says that a mixed model runs faster.

# %% [markdown]
# ## Exercises
#
# **1.** A model of three blocks has twelve matrices. How many assignments are there, and how many trials does the greedy search make
# before it can choose?
#
# ```{admonition} Answer
# :class: dropdown
# $2^{12}$, each matrix high or low. Greedy needs twelve, one for each matrix alone, and then one for each target.
# ```
#
# **2.** Why are largest ratios read off recipes on held-out text and not off the trials of the search?
#
# ```{admonition} Answer
# :class: dropdown
# The search keeps what looks best on its own text, and part of that is luck with this text. Held-out text knows nothing of the choice.
# ```
#
# **3.** At the largest budget some models can go low as a whole. Why are they left out of the fit of the law?
#
# ```{admonition} Answer
# :class: dropdown
# A ratio can't rise above one. All that is known is that a dearer format would be within the budget too. A point at $1 - Q_r = 0$ would
# bend the line, as if the model could just go low and no further.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* Do costs add up? Of the smallest model's last step, `trials()` has what each matrix alone costs (`search` is
# `single`) and what all cost together (`all`). Give the cost of all over the sum of the single ones.

# %%
from helpers.teach.checking import check
from helpers.teach.data import trials

answer = None  # a ratio, no unit
check("13.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = trials().query("model == 'tadpole-64x3'")
last = rows[rows["step"] == rows["step"].max()].groupby("search")["qid_nats"].sum()
check("13.4", last["all"] / last["single"])

# %% [markdown]
# **5.** *(project)* Write a search of your own: order the matrices by cost per parameter from the single trials, and turn them low, the
# cheapest first, until the ratio is 0.8. Look up your assignment, or the nearest, in `trials()`. In how many sizes does it beat the best
# random trial at that ratio?
