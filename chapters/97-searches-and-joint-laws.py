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
# # Measured costs beat random search
#
# *How is a good assignment found, and does a trial say what a recipe will cost?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** Random search with all its trials ends {glue:text}`beyond_random_all_mean:.0%`
#   [{glue:text}`beyond_random_all_low:.0%`, {glue:text}`beyond_random_all_high:.0%`] above the best assignment known (95%, over
#   training runs); an integer programme that is told the cost of each matrix, {glue:text}`beyond_integer_programme_mean:.1%`.
# - **How sure.** The runs of {doc}`chapter 13 <13-how-much-can-go-low>`, one a size, at equal tokens; QiD on the search's own text. Less
#   text and fewer trials were tried on {glue:text}`ablated_models:d` sizes.
# - **Use it for.** Planning a search: measure each matrix once, then choose.
# ```
#
# This appendix belongs to chapters {doc}`13 <13-how-much-can-go-low>` to {doc}`15 <15-ratio-against-training>`, and takes its definitions
# from the first of them. {term}`Intervals <interval>` run over training runs, one a size.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt
import pyarrow.compute as pc

from helpers.analyse.mixed.searches import random_excess, searches_compared
from helpers.analyse.rows.study import MIXED
from helpers.show.figures import mixed as figures
from helpers.show.glue import put_all
from helpers.show.numbers import how_much_can_go_low as share
from helpers.show.numbers import searches_and_joint_laws as appendix
from helpers.show.style import use_house_style
from helpers.table.files import read_table, read_trials

use_house_style()
trials = read_trials(Path("results/trials.parquet")).to_pandas()
measured = read_table("results/measurements.parquet").filter(pc.field("family") == MIXED).to_pandas()
mixed = share.Mixed.from_tables(trials, measured)
here = mixed.constant(share.STEP)
compared = searches_compared(here.searched)  # what each search reached, one row a search problem and target
beyond = appendix.against_best(here.searched, compared)

# %% tags=["remove-cell"]
put_all(**appendix.search_numbers(mixed))

# %% [markdown]
# ## Searches at equal cost
#
# A search costs *trials*, passes over its text. *Random search*, the paper's, draws an order of the parts and turns them low until
# the target is met; of {glue:text}`random_trials:d` such draws a target ({glue:text}`random_trials_largest:d` in the largest model) it
# keeps the best. *Greedy* measures each part alone, once for all targets, and takes parts by cost per parameter. The *integer
# programme* takes the same costs and finds the set of the least sum exactly. *Second order* estimates the costs from the curvature of
# the loss, without a trial. How good the best of $n$ random trials is on average follows from those that were made, by counting all
# ways to draw $n$ of them.

# %% tags=["remove-cell"]
fine = appendix.of_matrices(here.searched)
curve = random_excess(fine, searches_compared(fine))
guided = appendix.guided(appendix.by_target(beyond), appendix.mean_units(compared))
put_all(fig_searches=figures.searches_by_trials(curve, guided, [0.5, 0.8, 0.9, 0.95]))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_searches
# :name: fig-searches
# :alt: QiD beyond the best known against trials, four panels for targets of 0.5, 0.8, 0.9 and 0.95. A line for random search falls with trials, from over 100 percent in the first panel and from ten percent in the last, and stays well above zero. Markers for greedy search and the integer programme near twenty trials, and for the second-order estimate at one, lie at zero.
#
# Knowing what each part costs alone beats drawing, and more so the more is kept. Mean over training runs, MXINT, matrix by matrix;
# the line ends where some model has no further draw that differs, or was given none. The second-order estimate needs no trial but the
# one that scores its choice.
# ```
#
# ```{table} QiD on the search's text beyond the best assignment known, as a share of it, MXINT, matrix by matrix; intervals are 95% over training runs.
# :name: tab-searches
#
# | search | trials | beyond the best known |
# |---|---|---|
# | random, as many a target as greedy needs in all | {glue:text}`units_low:d` to {glue:text}`units_high:d` a target | {glue:text}`beyond_random_equal_mean:.0%` [{glue:text}`beyond_random_equal_low:.0%`, {glue:text}`beyond_random_equal_high:.0%`] |
# | random, all trials | up to {glue:text}`random_trials:d` a target | {glue:text}`beyond_random_all_mean:.0%` [{glue:text}`beyond_random_all_low:.0%`, {glue:text}`beyond_random_all_high:.0%`] |
# | greedy | {glue:text}`units_low:d` to {glue:text}`units_high:d` in all | {glue:text}`beyond_greedy_mean:.1%` [{glue:text}`beyond_greedy_low:.1%`, {glue:text}`beyond_greedy_high:.1%`] |
# | integer programme | {glue:text}`units_low:d` to {glue:text}`units_high:d` in all | {glue:text}`beyond_integer_programme_mean:.1%` [{glue:text}`beyond_integer_programme_low:.1%`, {glue:text}`beyond_integer_programme_high:.1%`] |
# | second order | none | {glue:text}`beyond_second_order_mean:.1%` [{glue:text}`beyond_second_order_low:.1%`, {glue:text}`beyond_second_order_high:.1%`] |
# ```
#
# **Random search loses the more, the more of the model is kept.** With half of the parameters low, all random trials together end
# {glue:text}`at_05_random_all:.0%` above the best known and the integer programme {glue:text}`at_05_integer_programme:.1%`. With 95% low
# there is little to choose: {glue:text}`at_095_random_all:.1%` and {glue:text}`at_095_integer_programme:.1%`.
#
# Costs nearly add up. Block by block, {glue:text}`exhaustive_runs:d` of the models are small enough to try everything, and there greedy
# search ends {glue:text}`exhaustive_greedy:.1%` above the very best and the integer programme
# {glue:text}`exhaustive_integer_programme:.1%`. The second-order estimate is worse for schemes that cost little:
# {glue:text}`second_order_worst:.0%` for GPTQ at 4 bits.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: the same for all low schemes", "code_prompt_hide": "Table: the same for all low schemes"}
appendix.searches_table(beyond)

# %% [markdown]
# It matters for the largest ratio. Read off random trials alone, it is lower by {glue:text}`lost_10_mean:.3f`
# [{glue:text}`lost_10_low:.3f`, {glue:text}`lost_10_high:.3f`] at 10% more perplexity, and hardly at 20%
# ({glue:text}`lost_20_mean:.3f`). At 5% it is lower by {glue:text}`lost_5_mean:.3f` [{glue:text}`lost_5_low:.3f`,
# {glue:text}`lost_5_high:.3f`]. The law moves too: on the search's text $k$ at 10% would be {glue:text}`k_random:.1f` instead of
# {glue:text}`k_trials:.1f`.
#
# ## How many trials, how much text?
#
# For {glue:text}`ablated_models:d` of the models random search was made again at one target, {glue:text}`ablated_target:.0%` in low
# precision matrix by matrix, with {glue:text}`ablated_trials:d` trials and on more and more text, the same draws each time.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: QiD on all text beyond the least of all draws; chosen on fewer sequences, and the best of fewer trials", "code_prompt_hide": "Table: QiD on all text beyond the least of all draws; chosen on fewer sequences, and the best of fewer trials"}
appendix.ablation_table(*appendix.ablated(mixed.constant().tried))

# %% [markdown]
# **Little text is enough.** On {glue:text}`ablated_text:d` sequences, what a single sequence has chosen costs at most
# {glue:text}`text_1_most:.1%` more than the best draw; what 16 have chosen, {glue:text}`text_16_most:.1%`; what 63 have chosen, nothing.
# (The paper takes 1024 samples.) All assignments read the same text, so that what is hard in it cancels.
#
# **Trials matter more.** In the model with {glue:text}`many_size:s` parameters the best of 10 is {glue:text}`trials_10_least:.1%` to
# {glue:text}`trials_10_most:.1%` above the best of all. Of 50 it is {glue:text}`trials_50_least:.1%` to {glue:text}`trials_50_most:.1%`, of
# 100 {glue:text}`trials_100_least:.1%` to {glue:text}`trials_100_most:.1%`. (The model with {glue:text}`few_size:s` has only
# {glue:text}`few_draws:d` draws that differ.) The yardstick is the best *draw*, not the best assignment: the section before says how far
# these are apart.
#
# ## What a trial doesn't see
#
# A trial swaps in matrices that were rounded one by one on the activations of the 16-bit model. A recipe rounds block after block, each
# on what the rounded ones before it give, and is scored on other text.

# %% tags=["remove-cell"]
put_all(fig_swapped=figures.swapped_against_rounded(here.recipes, share.SCHEMES))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_swapped
# :name: fig-swapped
# :alt: QiD of recipes against QiD of the trials they come from, on two logarithmic axes over four decades, with a line of equality. Points of all five schemes lie along the line, slightly above it, and scatter below a hundredth of a nat.
#
# What a trial says of an assignment holds for the recipe, but for a few percent. {glue:text}`pairs:d` recipes at equal tokens.
# ```
#
# ```{table} QiD of a recipe over that of its trial (factor), with everything low and for what a search has chosen; intervals are 95% over training runs.
# :name: tab-held
#
# | low precision | everything low | the best of a search |
# |---|---|---|
# | MXINT 4 bits, inputs too | {glue:text}`held_mxint_all_mean:.3f` [{glue:text}`held_mxint_all_low:.3f`, {glue:text}`held_mxint_all_high:.3f`] | {glue:text}`held_mxint_best_mean:.3f` [{glue:text}`held_mxint_best_low:.3f`, {glue:text}`held_mxint_best_high:.3f`] |
# | GPTQ 3 bits | {glue:text}`held_gptq_3_all_mean:.3f` [{glue:text}`held_gptq_3_all_low:.3f`, {glue:text}`held_gptq_3_all_high:.3f`] | {glue:text}`held_gptq_3_best_mean:.3f` [{glue:text}`held_gptq_3_best_low:.3f`, {glue:text}`held_gptq_3_best_high:.3f`] |
# | GPTQ 2 bits | {glue:text}`held_gptq_2_all_mean:.3f` [{glue:text}`held_gptq_2_all_low:.3f`, {glue:text}`held_gptq_2_all_high:.3f`] | {glue:text}`held_gptq_2_best_mean:.3f` [{glue:text}`held_gptq_2_best_low:.3f`, {glue:text}`held_gptq_2_best_high:.3f`] |
# ```
#
# MXINT rounds every matrix by itself, so a recipe has the very weights of its trial, and only the text differs. With everything low the
# factor is that of the text; what it is more for a choice is the price of choosing by that text. GPTQ rounds anew. At 2 bits a block that
# is rounded on what the rounded ones before it give makes up for some of their errors.
#
# Read off trials, the largest ratio of MXINT at 10% more perplexity is higher by {glue:text}`optimism_matmul_mean:.3f`
# [{glue:text}`optimism_matmul_low:.3f`, {glue:text}`optimism_matmul_high:.3f`] matrix by matrix and by {glue:text}`optimism_layer_mean:.3f`
# [{glue:text}`optimism_layer_low:.3f`, {glue:text}`optimism_layer_high:.3f`] block by block. Its gain for ten times the size stays much the
# same: {glue:text}`gain_trials_matmul_mean:.3f` [{glue:text}`gain_trials_matmul_low:.3f`, {glue:text}`gain_trials_matmul_high:.3f`] and
# {glue:text}`gain_trials_layer_mean:.3f` [{glue:text}`gain_trials_layer_low:.3f`, {glue:text}`gain_trials_layer_high:.3f`].
#
# ## All matrices

# %% tags=["remove-cell"]
costs = share.relative_costs(here.searched)
shown = costs[(costs["scheme"] == share.MAIN) & costs["model"].isin(appendix.MAPPED)].sort_values(share.N_PARAMS)
put_all(fig_minds=figures.sensitivity_maps(shown))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_minds
# :name: fig-minds
# :alt: Heat maps of four models, a row for each kind of matrix and a column for each block. The upper rows, of attention, are mostly orange, above one; the lower rows, of the MLP, mostly violet, below one. The first block is an exception in several rows, and in the largest model single cells reach both ends of the scale.
#
# Block after block in four models (titles are sizes), MXINT, inputs too: orange costs more than its size says, violet less. In the
# largest model the factors go from {glue:text}`13-how-much-can-go-low.ipynb::minds_least:.2f` to {glue:text}`13-how-much-can-go-low.ipynb::minds_most:.1f`.
# ```
