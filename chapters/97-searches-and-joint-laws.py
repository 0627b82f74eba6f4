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
# # Measured costs beat random search, and no law of ratio and block sees ahead
#
# *How is a good assignment found, does a trial say what a recipe will cost, and which law joins size, tokens, ratio and block?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** Random search with all its trials ends {glue:text}`beyond_random_all_mean:.0%`
#   [{glue:text}`beyond_random_all_low:.0%`, {glue:text}`beyond_random_all_high:.0%`] above the best assignment known (95%, over
#   training runs); an integer programme that is told the cost of each matrix, {glue:text}`beyond_integer_programme_mean:.1%`.
# - **How sure.** The runs of {doc}`chapter 13 <13-how-much-can-go-low>`, one a size, at equal tokens; QiD on the search's own text. Less
#   text and fewer trials were tried on {glue:text}`ablated_models:d` sizes. The best joint law is off by a factor of
#   {glue:text}`qb_best_size_factor:.1f` at the largest size.
# - **Use it for.** Planning a search: measure each matrix once, then choose. For what a larger model will do, measure it.
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

from helpers.analyse.fits.hold_outs import table_of_scores
from helpers.analyse.mixed.searches import random_excess, searches_compared
from helpers.analyse.rows.study import MIXED
from helpers.show.figures import extrapolation
from helpers.show.figures import mixed as figures
from helpers.show.glue import put_all
from helpers.show.numbers.choose import block_size
from helpers.show.numbers.choose import how_much_can_go_low as share
from helpers.show.numbers.choose import searches_and_joint_laws as appendix
from helpers.show.style import use_house_style
from helpers.table.files import read_checkpoints, read_table, read_trials

use_house_style()
trials = read_trials(Path("results/trials.parquet")).to_pandas()
measured = read_table("results/measurements.parquet")
mixed = share.Mixed.from_tables(trials, measured.filter(pc.field("family") == MIXED).to_pandas())
here = mixed.constant(share.STEP)
compared = searches_compared(here.searched)  # what each search reached, one row a search problem and target
beyond = appendix.against_best(here.searched, compared)
checkpoints = read_checkpoints("results/checkpoints.parquet").to_pandas()
laws = appendix.JointLaws.of(block_size.Blocks.from_tables(measured.to_pandas(), checkpoints), seed)

# %% tags=["remove-cell"]
put_all(**appendix.search_numbers(mixed), **appendix.joint_numbers(laws))

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

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: the same for all low schemes", "code_prompt_hide": "Table: the same for all low schemes"} tables={"tab-every-search": "What searches cost beyond the best known, at equal cost"}
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

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: QiD on all text beyond the least of all draws; chosen on fewer sequences, and the best of fewer trials", "code_prompt_hide": "Table: QiD on all text beyond the least of all draws; chosen on fewer sequences, and the best of fewer trials"} tables={"tab-ablation": "QiD on all text beyond the least of all draws, by sequences and by trials"}
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
# :name: tab-joint-held
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
#
# ## What the ratio costs and what its law misses
#
# QiD of the cheapest recipe with a given share in low precision, MXINT matrix by matrix, grows as a power of $D$ and falls as one of $N$.
# The choice of what to keep does more for larger models, which have more parts to choose from. The power $p$ of
# {doc}`chapter 15 <15-ratio-against-training>` lies between those of these costs.
#
# ```{table} Powers of tokens and of size in the QiD of the cheapest recipe, and the power of size that makes up for tokens; intervals are 95%, clustered by training run.
# :name: tab-recipe-powers
#
# | low | of $D$ | of $N$ | size for tokens |
# |---|---|---|---|
# | 50% | {glue:text}`15-ratio-against-training.ipynb::beta_at_50_mean:.2f` [{glue:text}`15-ratio-against-training.ipynb::beta_at_50_low:.2f`, {glue:text}`15-ratio-against-training.ipynb::beta_at_50_high:.2f`] | {glue:text}`15-ratio-against-training.ipynb::alpha_at_50_mean:.2f` [{glue:text}`15-ratio-against-training.ipynb::alpha_at_50_low:.2f`, {glue:text}`15-ratio-against-training.ipynb::alpha_at_50_high:.2f`] | {glue:text}`15-ratio-against-training.ipynb::power_at_50:.2f` |
# | 90% | {glue:text}`15-ratio-against-training.ipynb::beta_at_90_mean:.2f` [{glue:text}`15-ratio-against-training.ipynb::beta_at_90_low:.2f`, {glue:text}`15-ratio-against-training.ipynb::beta_at_90_high:.2f`] | {glue:text}`15-ratio-against-training.ipynb::alpha_at_90_mean:.2f` [{glue:text}`15-ratio-against-training.ipynb::alpha_at_90_low:.2f`, {glue:text}`15-ratio-against-training.ipynb::alpha_at_90_high:.2f`] | {glue:text}`15-ratio-against-training.ipynb::power_at_90:.2f` |
# | everything | {glue:text}`15-ratio-against-training.ipynb::beta_at_100_mean:.2f` [{glue:text}`15-ratio-against-training.ipynb::beta_at_100_low:.2f`, {glue:text}`15-ratio-against-training.ipynb::beta_at_100_high:.2f`] | {glue:text}`15-ratio-against-training.ipynb::alpha_at_100_mean:.2f` [{glue:text}`15-ratio-against-training.ipynb::alpha_at_100_low:.2f`, {glue:text}`15-ratio-against-training.ipynb::alpha_at_100_high:.2f`] | {glue:text}`15-ratio-against-training.ipynb::power_at_100:.2f` |
# ```
#
# Laws of the ratio were fitted without the largest size, without the last {glue:text}`15-ratio-against-training.ipynb::train_factor:.1f`-fold of
# tokens, and without decayed models. Predicting the last tokens, the law of both is too low by
# {glue:text}`15-ratio-against-training.ipynb::low_by:.2f` on average, and the last known ratio too high by
# {glue:text}`15-ratio-against-training.ipynb::bias_before_last:.2f`.
#
# ```{table} How far laws miss the largest ratio they haven't seen: root mean square over three budgets and both granularities, MXINT, no unit. "As before": the last known ratio of the same model.
# :name: tab-ratio-misses
#
# | law | largest size | last tokens | decayed rate |
# |---|---|---|---|
# | size | {glue:text}`15-ratio-against-training.ipynb::miss_size_largest:.3f` | | |
# | size and tokens | {glue:text}`15-ratio-against-training.ipynb::miss_both_largest:.3f` | {glue:text}`15-ratio-against-training.ipynb::miss_both_last:.3f` | |
# | as before | | {glue:text}`15-ratio-against-training.ipynb::miss_before_last:.3f` | {glue:text}`15-ratio-against-training.ipynb::miss_before_decayed:.3f` |
# | printed constants | {glue:text}`15-ratio-against-training.ipynb::miss_published_largest:.3f` | {glue:text}`15-ratio-against-training.ipynb::miss_published_last:.3f` | {glue:text}`15-ratio-against-training.ipynb::miss_published_decayed:.3f` |
# ```
#
# ## Joint laws of ratio and block
#
# Later versions of the paper announce one law in $N$, $Q_r$ and $Q_b$. By a second-hand note it is
# $C\, e^{A Q_r} N^{-\gamma_N} (Q_b + d)^{\gamma_c}$, with constants of each method that we haven't found. The law {eq}`eq-joint` of
# {doc}`chapter 14 <14-block-size>` starts from the first version. At a fixed increase that finds $N = e^{k' x + c'}$ with $x = 1 - Q_r$,
# which is the same as $q \propto e^{c\,Q_r} / N^\alpha$ with $k' = -c / \alpha$. With $d = 0$ and no tokens the note's form is
# {eq}`eq-joint` as well.
#
# Its rivals have other functions of $Q_r$ or $Q_b$, or let one exponent depend on another variable; two controls leave a variable out. One
# law is told the outliers. All are fitted to {glue:text}`qb_joint_rows:d` rows in blocks, of {glue:text}`qb_joint_runs:d` runs at a
# constant rate, on the scale of QiD, with intervals clustered by run.

# %% tags=["remove-cell"]
columns = ("log_rms", "log_rms_se", "coverage", "tied")
figure = extrapolation.score_map(*map(laws.table, columns), appendix.CONTROLS, appendix.GOAL_LOG_RMS)
put_all(fig_joint_scores=figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_joint_scores
# :name: fig-joint-scores
# :alt: Heat map of thirteen laws by six hold-outs with rms, its error, coverage and ties. No cell is pale: most have 0.3 to 0.6. Laws in which the exponent of the block depends on size or on outliers are lighter than the others for the largest size and the largest block. The two controls at the bottom are darkest but for the decayed rate.
#
# No joint law predicts what it hasn't seen to {glue:text}`qb_goal:.2f` (see {doc}`chapter 9 <09-extrapolation>`). Each cell: rms of
# $\ln(\hat q / q)$ ± its standard error over training runs (none on one run), the share of 90% intervals that hold, and whether
# the law is tied with the column's best. Held out: the largest size; more than a quarter of the longest
# training; everything rounded; each size's largest block; one scale a row; cooldowns.
# ```
#
# **Block size belongs in the law, and so do the tokens.** On the largest size the separable law {eq}`eq-joint` has an rms of
# {glue:text}`qb_rms_ratio_exponential:.2f`. Without the block it is {glue:text}`qb_rms_without_block:.2f`, without tokens
# {glue:text}`qb_rms_without_tokens:.2f`.
#
# **It isn't separable.** Letting $\kappa$ depend on $N$ lowers AIC by {glue:text}`qb_gain_size:.0f`, on $D$ as well by
# {glue:text}`qb_gain_tokens:.0f` more. In that law $\kappa$ = {glue:text}`qb_kappa:.2f` for a million parameters at 250M tokens.
#
# ```{table} The joint law whose exponent of the block depends on size and tokens; intervals are 95%, clustered by training run.
# :name: tab-joint-law
#
# | | value |
# |---|---|
# | $\beta$, of tokens in blocks of 32 | {glue:text}`qb_beta_value:.2f` [{glue:text}`qb_beta_low:.2f`, {glue:text}`qb_beta_high:.2f`] |
# | $\alpha$, of size in blocks of 32 | {glue:text}`qb_alpha_value:.2f` [{glue:text}`qb_alpha_low:.2f`, {glue:text}`qb_alpha_high:.2f`] |
# | of $\kappa$ in $\ln N$ | {glue:text}`qb_mu_value:.2f` [{glue:text}`qb_mu_low:.2f`, {glue:text}`qb_mu_high:.2f`] |
# | of $\kappa$ in $\ln D$ | {glue:text}`qb_nu_value:.2f` [{glue:text}`qb_nu_low:.2f`, {glue:text}`qb_nu_high:.2f`] |
# ```
#
# A law that is told outliers instead does about as well. It has $\kappa$ = {glue:text}`qb_kappa_even:s` where all channels have the same
# size, so that block size would hardly matter there. To that it adds {glue:text}`qb_mu_outliers_value:.2f`
# [{glue:text}`qb_mu_outliers_low:.2f`, {glue:text}`qb_mu_outliers_high:.2f`] times the logarithm of the outliers.
#
# **Still no law to trust.** The best forms have {glue:text}`qb_best_size:.2f` on the largest size and {glue:text}`qb_best_tokens:.2f` on the
# last tokens, a typical factor of {glue:text}`qb_best_tokens_factor:.1f`. Rows scatter by {glue:text}`qb_tau:.0%` about the best law even
# where it was fitted: large models' curves aren't straight in logarithms.
#
# **The first law of the paper.** The separable law gives $-c / \alpha$ = {glue:text}`qb_slope:s`, and the paper prints
# {glue:text}`qb_cao_slope_least:s` to {glue:text}`qb_cao_slope_most:s` for models a thousand times as large. If $\alpha$ may depend on
# $Q_r$ it is another number at each ratio ($\mu$ = {glue:text}`qb_mu_ratio_by_size_value:.2f`
# [{glue:text}`qb_mu_ratio_by_size_low:.2f`, {glue:text}`qb_mu_ratio_by_size_high:.2f`]). So we take the agreement for luck:
# {doc}`chapter 13 <13-how-much-can-go-low>`, which measures it directly, finds it at the smallest budget alone.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: fit and form of each joint law", "code_prompt_hide": "Table: fit and form of each joint law"} tables={"tab-joint-laws": "Fit and form of each joint law"}
appendix.laws_table(laws)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: the scores (rms) when the relative increase of perplexity is fitted", "code_prompt_hide": "Table: the scores (rms) when the relative increase of perplexity is fitted"} tables={"tab-joint-scores": "Scores of the joint laws where the relative increase of perplexity is fitted"}
table_of_scores(laws.scores_of_perplexity, "log_rms").map("{:.2f}".format).rename_axis(index=None, columns=None)
