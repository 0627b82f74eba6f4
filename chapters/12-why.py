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
# # Weights grow, and rounding moves them further
#
# *What is it in a trained model that makes rounding cost more?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** Half the curvature's trace times the variance of the rounding error predicts QiD at 3 bits with nothing
#   fitted: measured over predicted is {glue:text}`rtn_3:.2f` [{glue:text}`rtn_3_low:.2f`, {glue:text}`rtn_3_high:.2f`]
#   (rounding to nearest, 95% over training runs).
# - **How sure.** {glue:text}`n_checkpoints:d` checkpoints of {glue:text}`n_runs:d` runs up to {glue:text}`largest:s`
#   parameters. It is an account of QiD, not a cause shown; it is worse at 2 bits and at the end of the largest run.
# - **Use it for.** Understanding why training makes rounding dearer: the loss mostly gets flatter, but larger weights are moved by
#   more.
# ```
#
# Three things can be known of a checkpoint before it is rounded: how far training still moves the weights, how sharply the loss bends around
# them, and how heavy their tails are. Each is put beside the QiD that was measured. What goes together need not cause each other.
# {term}`Intervals <interval>` run over training runs, a run and its branches counted together; where they run over sizes, that is said.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from helpers.analyse.fits.stored import read_fits
from helpers.analyse.rows.outcomes import OUTCOMES
from helpers.analyse.rows.study import LATE_TOKENS, on_trunk
from helpers.show.figures import mechanism as figures
from helpers.show.glue import put_all
from helpers.show.numbers.learn import accounts, beside_noise, why
from helpers.show.style import PALE, use_house_style
from helpers.table.files import read_checkpoints, read_table

use_house_style()
checkpoints = read_checkpoints("results/checkpoints.parquet").to_pandas()
read = why.tables(checkpoints, read_table("results/measurements.parquet").to_pandas())
trunk = read.late[on_trunk(read.late)]
curvature = why.summaries(trunk)
noise = beside_noise.tables(checkpoints, read_table("results/noise.parquet").to_pandas())
larger = beside_noise.larger(
    read_checkpoints("results/unique-checkpoints.parquet").to_pandas(),
    read_table("results/unique.parquet").to_pandas(),
)

# %% tags=["remove-cell"]
put_all(
    **why.counts(read),
    **why.movement(read.moving, read.described),
    **why.growths(read),
    **why.change_at_equal_size(why.of(trunk, "rtn", 3)),
    **why.of_curvature(curvature),
    **why.of_the_largest(trunk),
    **why.climb(read),
    **why.decay(read.beside),
    **why.growth_of_both(read.moving),
    **accounts.of_rule(read.every),
    **accounts.of_tails(read.moving),
    **accounts.of_twins(read),
    **accounts.of_rotation(read),
    **accounts.of_regressions(read.late),
    **accounts.of_hold_outs({name: read_fits(outcome=each).by_run for name, each in OUTCOMES.items()}, seed),
    **accounts.of_exercises(read),
    **beside_noise.counts(noise),
    **beside_noise.of_formula(noise),
    **beside_noise.of_ratios(noise),
    **beside_noise.of_slopes(noise),
    **beside_noise.of_larger(larger),
)
accounts.of_rates(read)
ends = read.described[(read.described["schedule"] == "cooldown") & (read.described["learning_rate"] == 0)]
changed = read.described[on_trunk(read.described) & read.described["change"].notna()]
axes = figures.change_and_rounding(changed, ends, plt.subplots(figsize=(7.0, 2.5))[1])
axes.axvline(LATE_TOKENS, color=PALE, linewidth=1.0, linestyle=":")
put_all(
    fig_change=axes.figure,
    fig_curve=figures.measured_against_curvature(trunk[trunk["method"] == "rtn"]),
    fig_noise=figures.errors_beside_noise(noise.over, noise.kl, beside_noise.SLOPE_BITS),
)
plt.close("all")

# %% [markdown]
# There are {glue:text}`n_checkpoints:d` checkpoints of {glue:text}`n_runs:d` training runs, described before they were rounded
# ({doc}`appendix D <95-files-and-curvature>` says how, and makes one row again) and joined with their QiDs by RTN and GPTQ on asymmetric
# groups of 32. The trunk, from {glue:text}`smallest:s` to {glue:text}`largest:s` parameters at one constant
# learning rate, carries most of this chapter.
#
# ## Training goes on moving the weights
#
# Ouyang et al. {cite:p}`ouyang2025lowbit` give an intuition (their figure 12). To an undertrained model, whose weights change much between
# checkpoints, rounding is one more small change; late in training the weights hardly move, and rounding leaves the band they live in. If so,
# movement should fall below the rounding error somewhere, and QiD rise there. Both are a share of the norm here:
# $\lVert W_t - W_{t-1} \rVert / \lVert W_{t-1} \rVert$ for the change, $\lVert W - Q \rVert / \lVert W \rVert$ for RTN's error.
#
# ```{glue:figure} fig_change
# :name: fig-change
# :alt: Relative weight change against training tokens on logarithmic axes, one line a size. Lines rise, peak, drop and then, beyond a dotted line, run nearly flat between the bands of the rounding errors of 2 and 3 bits. Hollow markers, the ends of cooldowns, lie far below, around the band of 4 bits.
#
# At a constant learning rate weights go on moving by nearly the same share: more than rounding to 3 bits moves them, at most about as much
# as 2 bits (bands). At the ends of cooldowns (hollow) they move less. Right of the dotted line checkpoints are a quarter of the tokens apart.
# ```
#
# - **There is no crossing** on the trunk beyond {glue:text}`early:s` tokens. A quarter more tokens move the weights by
#   {glue:text}`change_lowest:.2f` to {glue:text}`change_highest:.2f` of their norm, rounding to 3 bits by {glue:text}`rounding_3:.3f`, at
#   all checkpoints and sizes alike. The same holds in all runs of constant rate.
# - **QiD rises anyhow.** From the first of these checkpoints to the last the change goes to {glue:text}`change_growth:.2f`
#   [{glue:text}`change_growth_low:.2f`, {glue:text}`change_growth_high:.2f`] of what it was. QiD by RTN at 3 bits becomes
#   {glue:text}`rtn_growth:.1f` [{glue:text}`rtn_growth_low:.1f`, {glue:text}`rtn_growth_high:.1f`] times as large.
# - **Decay crosses.** At the end of all {glue:text}`n_ends:d` cooldowns the change is below the error of 3 bits,
#   {glue:text}`end_3:.2f` times it on the mean.
#
# ```{dropdown} Between sizes, and by other yardsticks
# Small change does go with large QiD (rank correlation {glue:text}`change_rank:.2f`), but only between sizes. At equal size and tokens the
# slope of ln QiD in ln change can't be distinguished from zero, {glue:text}`slope_change:.2f` [{glue:text}`slope_change_low:.2f`,
# {glue:text}`slope_change_high:.2f`]. And the yardstick is a choice: by doublings of tokens no width is ever crossed, by a fixed number of
# updates 3 and 4 bits are ({doc}`appendix D <95-files-and-curvature>`).
# ```
#
# ## What a step costs depends on the shape of the loss
#
# To second order, errors with mean zero, independent of each other, and of variance $s_b^2$ in block $b$ cost
#
# $$
# \Delta L \approx \frac{1}{2} \sum_b s_b^2 \, \operatorname{tr} H_b ,
# $$ (eq-curvature)
#
# with $H_b$ the Hessian of the loss in the block's matrices. $s_b^2$ is the mean squared error of RTN (in squared weights), the
# {term}`trace` is in nats per squared weight. Nothing is fitted. The formula knows the size of rounding and its place, not its direction.
#
# ```{glue:figure} fig_curve
# :name: fig-curve
# :alt: Measured QiD of RTN against the QiD predicted by curvature in three panels for 2, 3 and 4 bits, logarithmic axes, one marker a size. Points follow the line of equality: a little below it at 3 and 4 bits, but for the last of the largest size; at 2 bits the smallest size lies below and larger ones above.
#
# Half the trace times the variance of the rounding error predicts the QiD of RTN, with nothing fitted. Trunk beyond
# {glue:text}`early:s` tokens; the line is equality. Bars: one paired error.
# ```
#
# ```{table} QiD measured over that predicted by curvature (factor, 95% over runs). The trunk's late checkpoints.
# :name: tab-curvature
#
# | | 2 bits | 3 bits | 4 bits |
# |---|---|---|---|
# | RTN | {glue:text}`rtn_2:.2f` [{glue:text}`rtn_2_low:.2f`, {glue:text}`rtn_2_high:.2f`] | {glue:text}`rtn_3:.2f` [{glue:text}`rtn_3_low:.2f`, {glue:text}`rtn_3_high:.2f`] | {glue:text}`rtn_4:.2f` [{glue:text}`rtn_4_low:.2f`, {glue:text}`rtn_4_high:.2f`] |
# | GPTQ | {glue:text}`gptq_2:.2f` [{glue:text}`gptq_2_low:.2f`, {glue:text}`gptq_2_high:.2f`] | {glue:text}`gptq_3:.2f` [{glue:text}`gptq_3_low:.2f`, {glue:text}`gptq_3_high:.2f`] | {glue:text}`gptq_4:.2f` [{glue:text}`gptq_4_low:.2f`, {glue:text}`gptq_4_high:.2f`] |
# ```
#
# - **RTN at 3 and 4 bits** costs a little less than predicted, and the order is right: no single run has a rank correlation below
#   {glue:text}`lowest_within:.2f`, at any width and by either method. But the largest model leaves the prediction late: at 3 bits its ratio
#   goes from {glue:text}`top_lowest:.2f` at {glue:text}`top_lowest_tokens:s` tokens to {glue:text}`top_last:.2f` at the end. That climb
#   isn't higher order: it is there at 8 bits too ({doc}`appendix D <95-files-and-curvature>`).
# - **At 2 bits** the error is no small step, and more than second derivatives counts: the ratio scatters more and grows with tokens.
#
# **It follows the learning rate.** Decay sharpens the loss: at the ends of {glue:text}`decay_pairs:d` cooldowns the formula predicts
# {glue:text}`decay_predicted:.2f` times the QiD of the trunk after the same tokens, and {glue:text}`decay_rtn:.2f`
# [{glue:text}`decay_rtn_low:.2f`, {glue:text}`decay_rtn_high:.2f`] is measured (RTN, 3 bits, over sizes; appendix D).
#
# ## Noise of the same size
#
# How much of this is the model's sensitivity, and how much rounding's own? Gaussian noise tells: each matrix of
# {glue:text}`noise_checkpoints:d` pocket checkpoints gets noise with the mean square of RTN's error and no direction
# ({glue:text}`noise_draws:d` draws). A second kind spares loud inputs: its standard deviation goes as one over the root mean square of a
# column's input, at the same mean square. Intervals run over {glue:text}`noise_runs:d` runs of up to {glue:text}`noise_largest:s` parameters.
#
# ```{glue:figure} fig_noise
# :name: fig-noise
# :alt: Two panels. Left: KL over half the trace times the variance, against bits, four lines. Noise lies a little above one, flat from 8 to 5 bits and higher below; noise that spares loud inputs, RTN and GPTQ lie below it, GPTQ at about a half. Right: KL at 4 bits over that of noise, against training tokens, one line a run. GPTQ rises from about a third to a half, RTN rises a little in two of three runs, noise that spares loud inputs falls from nine tenths to three quarters.
#
# Errors of one size. Left, over the formula: means over checkpoints; the band has all of noise. Right, over noise, a line a run: GPTQ's
# advantage shrinks with tokens.
# ```
#
# - **Second order is right, the trace not exactly.** From 8 to 5 bits the noise's KL grows as its square ({glue:text}`noise_bend:.3f`
#   [{glue:text}`noise_bend_low:.3f`, {glue:text}`noise_bend_high:.3f`] times that). It is {glue:text}`noise_small:.2f`
#   [{glue:text}`noise_small_low:.2f`, {glue:text}`noise_small_high:.2f`] times the formula's; checkpoints are {glue:text}`noise_off:.0%` off
#   (rms), the trace's probes and the draws leave {glue:text}`noise_error:.0%` open. The trace is of less text and of the loss, not KL.
# - **RTN is like noise in larger models, GPTQ is not.** At 4 bits GPTQ's KL is {glue:text}`gptq_over_noise_4:.2f` [{glue:text}`gptq_over_noise_4_low:.2f`,
#   {glue:text}`gptq_over_noise_4_high:.2f`] times that of noise: it chooses a direction that changes outputs least. RTN's,
#   {glue:text}`rtn_over_noise_4:.2f` [{glue:text}`rtn_over_noise_4_low:.2f`, {glue:text}`rtn_over_noise_4_high:.2f`], can't be distinguished
#   from it; in {glue:text}`larger_runs:d` runs of larger models it is
#   {glue:text}`larger_rtn:.2f` [{glue:text}`larger_rtn_low:.2f`, {glue:text}`larger_rtn_high:.2f`].
# - **Most of the growth is the model's.** The slope of ln KL in ln tokens is {glue:text}`noise_beta:.2f` [{glue:text}`noise_beta_low:.2f`,
#   {glue:text}`noise_beta_high:.2f`] for noise, {glue:text}`noise_share:.0%` of GPTQ's. GPTQ's is steeper by
#   {glue:text}`gptq_beta_more:.2f` [{glue:text}`gptq_beta_more_low:.2f`, {glue:text}`gptq_beta_more_high:.2f`]; in the larger runs it is
#   flatter (by {glue:text}`larger_gptq_more:.2f`).
# - **In larger models half the growth sits in loud inputs.** Sparing them leaves {glue:text}`larger_share:.0%` of the noise's slope of
#   {glue:text}`larger_beta:.2f`: it changes by {glue:text}`larger_sparing_more:.2f` [{glue:text}`larger_sparing_more_low:.2f`,
#   {glue:text}`larger_sparing_more_high:.2f`]. In the small ones that is {glue:text}`sparing_beta_more:.2f`
#   [{glue:text}`sparing_beta_more_low:.2f`, {glue:text}`sparing_beta_more_high:.2f`].
#
# ```{dropdown} Why bits enter as they do
# KL is zero where both models agree and nowhere less, so it grows as the square of the error, and a grid of
# $P$ bits has $2^P - 1$ steps: $\mathrm{KL} \propto (2^P - 1)^{-2}$ ({eq}`eq-quadratic-rule`, appendix D). From 4 to 8 bits the exponent of
# $2^P - 1$ is {glue:text}`rule:.3f` [{glue:text}`rule_low:.3f`, {glue:text}`rule_high:.3f`] ({glue:text}`rule_runs:d` runs, GPTQ). At 3 bits
# KL is {glue:text}`rule_over_3:.2f` times the rule's, at 2 bits {glue:text}`rule_over_2:.2f` times, and not the same at every checkpoint.
# ```
#
# ## Outliers explain little in small models
#
# A heavy tail of weights stretches the grid of its group; heavy tails of *inputs* make some columns expensive. {term}`Kurtosis <kurtosis>`
# (3 for a Gaussian) measures both. On the trunk that of weights goes from {glue:text}`weight_first:.1f` to {glue:text}`weight_last:.1f`
# (mean over sizes), that of inputs from {glue:text}`input_first:.1f` to {glue:text}`input_last:.1f`. Both grow with tokens, as QiD does, so
# the trunk can't tell what matters. Runs that have the size and the tokens of a twin on the trunk, and another depth, weight decay, peak
# rate, seed or schedule, can.
#
# At equal size and tokens, runs that curvature says should lose more do so, and runs with heavier tails of inputs lose less, not more. Over
# {glue:text}`twin_runs:d` runs ln of QiD over the twin's correlates with ln of the predicted ratio by {glue:text}`r_predicted:.2f`, with
# that of the inputs' kurtosis by {glue:text}`r_inputs:.2f`. A high learning rate makes tails heavy and the loss flat at once. All but two
# of these runs are small. In the largest size outliers count: at the end a Hadamard rotation, which mixes the channels of the inputs, takes
# away at least {glue:text}`rotation_seed_low:.0%` of GPTQ's KL (one run at the trunk's rate; {doc}`appendix D <95-files-and-curvature>`).
#
# ## Put together
#
# What does each account add in one regression of ln QiD at 3 bits? A run and its branches make a group. Where a group is predicted from all
# others, ln QiD by RTN is off by {glue:text}`rtn_out_base:.3f` (root mean square) if ln N and ln D are known, by
# {glue:text}`rtn_out_pair:.3f` if ln trace and ln variance are known instead. With all five, the 16-bit loss among them, it is
# {glue:text}`rtn_out_all:.3f`, and by GPTQ {glue:text}`gptq_out_all:.3f`.
#
# **Among runs like those fitted, curvature knows more than size and tokens.** The slope of ln QiD in ln trace, which the formula expects at
# 1, is {glue:text}`rtn_pair_trace:.2f` [{glue:text}`rtn_pair_trace_low:.2f`, {glue:text}`rtn_pair_trace_high:.2f`] for RTN. At equal size
# and tokens a model with lower loss has more QiD. And neither is all: with all five, size and loss keep slopes below zero, and a formula
# that were the whole story would leave nothing to them.
#
# **Beyond the runs that were fitted it is tied.** On the last factor 4 of tokens, held out from a law of curvature and from one that knows
# only tokens per parameter ({doc}`chapter 9 <09-extrapolation>`), curvature's rms error is larger by {glue:text}`behind_qid_last:.3f`
# [{glue:text}`behind_qid_last_low:.3f`, {glue:text}`behind_qid_last_high:.3f`] (over {glue:text}`held_runs_last:d` runs). What curvature
# adds is seen between runs; and it must be measured on a model that exists.
#
# So at a constant rate the weights grow, and rounding, which moves them by the same share, moves them by more. From the first late
# checkpoint to the last the variance of the error of 3 bits grows {glue:text}`grown_variance:.1f` times (geometric mean over sizes). The
# trace goes to {glue:text}`grown_trace:.2f` of what it was; it falls in {glue:text}`n_falling:d` of {glue:text}`n_sizes:d` sizes.
#
# ## What this does not show
#
# - **No cause.** Trace, variance, loss, size and tokens move together in training; only an intervention on the curvature would show what makes
#   QiD. {cite:t}`watts2026sharpness` lower the sharpness in training and report that 4 bits then cost less.
# - **A formula that uses the answer's text.** The trace is taken on held-out text, part of what QiD is measured on: an account of QiD, not a
#   forecast for a model one hasn't trained.
# - **Two moments of the larger sizes**, whose runs read half the trunk's text twice by the second; the largest's late climb is beyond them.
# - **Outliers of small models**, in groups of 32, which leave outliers little room. Over other optimizers {cite:t}`vlassis2025outliers` find
#   kurtosis no guide either.
#
# ## Exercises
#
# **1.** The trace of the largest model falls along the trunk, and its QiD rises. Doesn't that contradict {eq}`eq-curvature`?
#
# ```{admonition} Answer
# :class: dropdown
#
# No. From the first of these checkpoints to the last the trace goes to {glue:text}`ex_trace:.2f` of what it
# was, but the variance of the error of 3 bits grows {glue:text}`ex_variance:.1f` times, because the weights grow and the relative error
# stays. The prediction grows {glue:text}`ex_predicted:.1f` times; measured were {glue:text}`ex_measured:.1f`.
# ```
#
# **2.** One bit more halves the step of a grid, roughly. By what factor should QiD fall from 3 to 4 bits, and by what does the
# prediction fall?
#
# ```{admonition} Answer
# :class: dropdown
#
# Half the step is a quarter of the variance. More exactly, a grid of $2^b$ values has $2^b - 1$ steps, so from 3 to 4 bits the variance
# falls by $(15/7)^2$ = {glue:text}`ex_steps:.2f`. The prediction falls {glue:text}`ex_rtn:.2f` times on the mean, and QiD of RTN
# {glue:text}`ex_fall:.2f` times. The law of {doc}`chapter 5 <05-unified-law>` writes the same as a power of the bit width.
# ```
#
# **3.** Someone plots the change per 100 updates and finds that it falls below the rounding error of 4 bits exactly where QiD starts to
# rise. What would you ask for?
#
# ```{admonition} Answer
# :class: dropdown
#
# The same plot per 50 and per 200 updates. If the crossing moves and the rise of QiD doesn't, the agreement was a choice of yardstick.
# And the same at another learning rate, at which the movement changes at once.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* Exercise 2 says what a grid's steps promise. What do the weights say? Of the largest model's last checkpoint
# `checkpoints()` has the relative error of each matrix, `rtn_error_3_bits` and `rtn_error_4_bits`. By what factor does its
# square fall, on the mean over matrices?

# %%
from helpers.teach.checking import check
from helpers.teach.data import checkpoints

answer = None  # a factor, no unit
check("12.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
last = checkpoints().query("family == 'tadpole-trunk'").sort_values(["n_params_non_embedding", "step"]).iloc[-1]
check("12.4", np.mean((last["rtn_error_3_bits"] / last["rtn_error_4_bits"]) ** 2))
