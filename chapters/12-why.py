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
# Other chapters say by how much QiD grows with tokens and shrinks with size. This one looks at three things that can be known of a
# checkpoint before it is rounded: how far training still moves the weights, how sharply the loss bends around them, and how heavy their
# tails are. Each is put beside the QiD that was measured. None of it is an experiment on the cause: what goes together need not cause each
# other. {term}`Intervals <interval>` run over training runs, a run and its branches counted together; where they run over sizes, that is
# said.

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
from helpers.show.numbers.learn import accounts, why
from helpers.show.style import PALE, use_house_style
from helpers.table.files import read_checkpoints, read_table

use_house_style()
checkpoints = read_checkpoints("results/checkpoints.parquet").to_pandas()
read = why.tables(checkpoints, read_table("results/measurements.parquet").to_pandas())
trunk = read.late[on_trunk(read.late)]
curvature = why.summaries(trunk)

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
)
accounts.of_rates(read)
ends = read.described[(read.described["schedule"] == "cooldown") & (read.described["learning_rate"] == 0)]
changed = read.described[on_trunk(read.described) & read.described["change"].notna()]
axes = figures.change_and_rounding(changed, ends, plt.subplots(figsize=(7.0, 3.6))[1])
axes.axvline(LATE_TOKENS, color=PALE, linewidth=1.0, linestyle=":")
put_all(
    fig_change=axes.figure,
    fig_curve=figures.measured_against_curvature(trunk[trunk["method"] == "rtn"]),
)
plt.close("all")

# %% [markdown]
# There are {glue:text}`n_checkpoints:d` checkpoints of {glue:text}`n_runs:d` training runs, described before they were rounded
# ({doc}`appendix D <95-files-and-curvature>` says how, and makes one row again) and joined with their QiDs by RTN and GPTQ on asymmetric
# groups of 32. The trunk, {glue:text}`n_sizes:d` sizes from {glue:text}`smallest:s` to {glue:text}`largest:s` parameters at one constant
# learning rate, carries most of this chapter.
#
# ## Training goes on moving the weights
#
# Ouyang et al. {cite:p}`ouyang2025lowbit` give an intuition (their figure 12). The weights of an undertrained model change much from one
# checkpoint to the next; rounding is one more small change. Late in training the weights hardly move, and rounding leaves the narrow band
# they live in. If so, the movement should fall below the rounding error somewhere, and QiD should rise there. Both are measured as a share
# of the norm: $\lVert W_t - W_{t-1} \rVert / \lVert W_{t-1} \rVert$ for the change, $\lVert W - Q \rVert / \lVert W \rVert$ for the
# error of RTN.
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
#   all checkpoints and sizes alike. The same holds in all {glue:text}`n_constant:d` runs of constant rate.
# - **QiD rises anyhow.** From the first of these checkpoints to the last the change goes to {glue:text}`change_growth:.2f`
#   [{glue:text}`change_growth_low:.2f`, {glue:text}`change_growth_high:.2f`] of what it was. QiD by RTN at 3 bits becomes
#   {glue:text}`rtn_growth:.1f` [{glue:text}`rtn_growth_low:.1f`, {glue:text}`rtn_growth_high:.1f`] times as large.
# - **Decay crosses.** At the end of all {glue:text}`n_ends:d` cooldowns the change is below the error of 3 bits,
#   {glue:text}`end_3:.2f` times it on the mean.
#
# Small change does go with large QiD: the rank correlation on the trunk is {glue:text}`change_rank:.2f`. But larger models move more and
# lose less. At equal size and tokens the slope of ln QiD in ln change can't be distinguished from zero, {glue:text}`slope_change:.2f`
# [{glue:text}`slope_change_low:.2f`, {glue:text}`slope_change_high:.2f`]. And "from one checkpoint to the next" is a choice of yardstick:
# by doublings of tokens no width is ever crossed, by a fixed number of updates 3 and 4 bits are ({doc}`appendix D <95-files-and-curvature>`).
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
# - **The direction.** A trace is a mean over all directions; rounding takes one. GPTQ chooses its error so that it changes the outputs of a
#   layer least, and costs less at every width than an error of RTN's size in a random direction would.
#
# **It follows the learning rate.** Decay sharpens the loss, so the formula predicts more QiD at the end of a cooldown than on the trunk
# after the same tokens. Over {glue:text}`decay_pairs:d` cooldowns QiD of RTN at 3 bits is {glue:text}`decay_rtn:.2f`
# [{glue:text}`decay_rtn_low:.2f`, {glue:text}`decay_rtn_high:.2f`] times that of the trunk (over sizes). Predicted were
# {glue:text}`decay_predicted:.2f` [{glue:text}`decay_predicted_low:.2f`, {glue:text}`decay_predicted_high:.2f`], from a larger trace and a
# slightly smaller variance.
#
# ## Why bits enter as they do
#
# For KL, the divergence of the rounded model's predictions from the 16-bit model's, the square is all there is to second order. KL is zero
# where both agree and nowhere less, so its slope is zero there: with an error $e$ of the weights, $\mathrm{KL} \approx \frac{1}{2}
# e^\top F e$ with Fisher's information $F$. QiD has a first-order term too, the loss's gradient times $e$, of either sign: noise beside the
# square. A grid of $P$ bits has $2^P - 1$ steps, so that
#
# $$
# \mathrm{KL} \propto (2^P - 1)^{-2} .
# $$ (eq-quadratic-rule)
#
# From 4 to 8 bits the exponent of $2^P - 1$ is {glue:text}`rule:.3f` [{glue:text}`rule_low:.3f`, {glue:text}`rule_high:.3f`]
# ({glue:text}`rule_runs:d` runs, GPTQ). A checkpoint's own KL at 4 bits tells its KL at 5, 6 and 8 within {glue:text}`rule_rms:.1%` (rms of
# ln). Below, errors are no longer small: at 3 bits KL is {glue:text}`rule_over_3:.2f` times the rule's, at 2 bits
# {glue:text}`rule_over_2:.2f` times, and not the same at every checkpoint.
#
# ## Outliers explain little in small models
#
# A heavy tail stretches the grid, so that all other weights of a group are rounded more coarsely. Heavy tails of *inputs* make some columns
# expensive. {term}`Kurtosis <kurtosis>` (3 for a Gaussian) measures both. On the trunk that of weights goes from
# {glue:text}`weight_first:.1f` to {glue:text}`weight_last:.1f` (mean over sizes), and a group of 32 hides it from the grid. That of inputs
# goes from {glue:text}`input_first:.1f` to {glue:text}`input_last:.1f`. Tails grow with tokens, as QiD does, so the trunk can't tell what
# matters. The other runs can: they have the size and the tokens of a twin on the trunk, and another depth, weight decay, peak rate, seed or
# schedule.
#
# At equal size and tokens, runs that curvature says should lose more do so, and runs with heavier tails of inputs lose less, not more. Over
# {glue:text}`twin_runs:d` runs the ln of QiD over the twin's correlates with ln of the predicted ratio by {glue:text}`r_predicted:.2f`, with that of the
# inputs' kurtosis by {glue:text}`r_inputs:.2f`. A high learning rate makes tails heavy and the loss flat at once. All but two of these runs
# have at most {glue:text}`twin_largest:s` parameters. In the largest size outliers count: after {glue:text}`rotation_to:s` tokens a Hadamard
# rotation, which mixes the channels of the inputs, takes away {glue:text}`rotation_seed_low:.0%` to {glue:text}`rotation_seed_high:.0%` of
# GPTQ's KL, depending on the width (one run at the trunk's rate; {doc}`appendix D <95-files-and-curvature>`).
#
# ## Put together
#
# What does each account add in one regression of ln QiD at 3 bits? {glue:text}`n_together:d` late checkpoints of
# {glue:text}`n_together_runs:d` runs make {glue:text}`n_clusters:d` groups, a run with its branches.
#
# ```{table} Error of ln QiD at 3 bits where a group of runs is predicted from all others (root mean square), by what is known of it.
# :name: tab-accounts
#
# | known | RTN | GPTQ |
# |---|---|---|
# | ln N, ln D | {glue:text}`rtn_out_base:.3f` | {glue:text}`gptq_out_base:.3f` |
# | ln N, ln D, 16-bit loss | {glue:text}`rtn_out_loss:.3f` | {glue:text}`gptq_out_loss:.3f` |
# | ln trace, ln variance | {glue:text}`rtn_out_pair:.3f` | {glue:text}`gptq_out_pair:.3f` |
# | all five | {glue:text}`rtn_out_all:.3f` | {glue:text}`gptq_out_all:.3f` |
# ```
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
# - **No cause.** Trace, variance, loss, size and tokens move together in training. Only an intervention on the curvature at fixed norm, size
#   and tokens would show what makes QiD. {cite:t}`watts2026sharpness` lower the sharpness in training and report that 4 bits then cost less.
# - **A formula that uses the answer's text.** The trace is taken on held-out text, part of what QiD is measured on: an account of QiD, not a
#   forecast for a model one hasn't trained.
# - **One direction unknown.** The curvature along the rounding error itself wasn't measured.
# - **Movement between checkpoints as they were kept**, not between single updates, and at a constant rate; the paper's models train with a
#   falling one.
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
# No. From the first to the last checkpoint beyond {glue:text}`early:s` tokens the trace goes to {glue:text}`ex_trace:.2f` of what it
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
