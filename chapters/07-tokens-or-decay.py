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
# - **How sure.** {glue:text}`cooldown_runs:d` cooldowns of {glue:text}`cooldown_sizes:d` sizes up to {glue:text}`largest_size:s`
#   parameters; the factor changes with size and tokens. Nothing here was trained on more than {glue:text}`trunk_last:s` tokens.
# - **Use it for.** Comparing recipes by the loss after rounding. An exponent of tokens should not be read off one run whose
#   rate decays.
# ```
#
# {cite:t}`ouyang2025lowbit` fit a power of the training tokens $D$ to checkpoints of runs whose learning rate falls along the way.
# {cite:t}`catalan2025dynamics` object: late checkpoints of a cosine have read more *and* have a lower rate. In their own runs the error
# after rounding hardly moves while the rate is constant and jumps when it decays. Here we take the claims one by one, on the same sizes
# and batches at a constant rate, with cooldowns and with cosines. {term}`Intervals <interval>` run over sizes (95%).

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from helpers.analyse.questions.decay import mean_over_sizes
from helpers.analyse.rows.degradation import TOKENS_SEEN
from helpers.show.figures import decay
from helpers.show.glue import put_all
from helpers.show.numbers.learn import other_recipes, tokens_or_decay
from helpers.show.style import use_house_style
from helpers.table.files import read_checkpoints, read_table

use_house_style()

# %% [markdown]
# ## Definitions
#
# Call $q(D)$ the QiD of a run after $D$ tokens and $q_0(D)$ that of its *trunk*: the same size on the same batches at the constant
# rate, in nats per token. We compare **at equal tokens**, $r(D) = q(D) / q_0(D)$, and **at equal loss**: $q$ over the trunk's QiD where
# its *16-bit loss* is the same, whatever the tokens. If QiD were a function of the size and the loss alone, the second factor would be
# one for every run. The growth of QiD along a run falls into two factors:
#
# $$
# \frac{q(D_2)}{q(D_1)} = \underbrace{\frac{q_0(D_2)}{q_0(D_1)}}_{\text{tokens}} \cdot \underbrace{\frac{r(D_2)}{r(D_1)}}_{\text{decay}} .
# $$ (eq-parts)

# %%
measured = read_table("results/measurements.parquet").to_pandas()
every = tokens_or_decay.every_run(measured)
runs = tokens_or_decay.runs_of(every)  # GPTQ, asymmetric groups of 32
ends = runs.at_tokens[runs.at_tokens["way"] == "cooldown, at its end"]
by_bits = np.exp(mean_over_sizes(ends, "log_ratio", ["bits"])[["mean", "low", "high"]])

# %% tags=["remove-cell"]
coarse = tokens_or_decay.runs_of(every, group_size=tokens_or_decay.COARSE_GROUP, symmetric=True)
nearest = tokens_or_decay.runs_of(every, "rtn")
of_three, kinds = runs.trunk[runs.trunk["bits"] == 3], runs.of_kinds().query("bits == 3 and n_averaged == 1")
put_all(
    **tokens_or_decay.numbers(runs, coarse, tokens_or_decay.cooled_rows(measured)),
    **other_recipes.numbers(runs, nearest, read_checkpoints("results/checkpoints.parquet").to_pandas()),
    fig_paths=decay.paths(kinds, of_three, TOKENS_SEEN),
    fig_parts=decay.two_parts(tokens_or_decay.both_parts(runs)),
    fig_ways=decay.at_tokens_and_at_loss(
        other_recipes.for_figure(other_recipes.compared_ways(runs)), "QiD over the trunk's (factor)"
    ),
)
plt.close("all")

# %% [markdown]
# Rows are of GPTQ in asymmetric groups of {glue:text}`group:d`, on held-out text, beyond {glue:text}`late_tokens:s` tokens. Where the trunk
# has no checkpoint at a place, its QiD is read off between its two neighbours, in a straight line of $\ln q_0$.
#
# One checkpoint's QiD scatters between training seeds by {glue:text}`seed_3:.1%` at 3 bits (standard deviation, {glue:text}`seed_runs:d`
# runs), so that *one* checkpoint differs from *one* of another run if their ratio is beyond a factor of about {glue:text}`yard_3:.2f`.
#
# ## While the rate is constant
#
# ```{glue:figure} fig_paths
# :name: fig-paths
# :alt: QiD at 3 bits against training tokens, both axes logarithmic, one panel for each size that has cooldowns or cosines. A dark line, the constant rate, rises through the whole panel. Short orange lines leave it and end a little above it. The ends rise from left to right as the dark line does. Where there are blue lines, the cosines, they run along the dark line and end above it.
#
# Tokens move QiD along the panels, decay moves it a little off the line: at 3 bits QiD rises while the rate is constant, and the
# ends of later cooldowns are higher. Markers are the ends of runs.
# ```
#
# **Claim: the error is nearly flat while the rate is constant. Here it isn't.** QiD rises in {glue:text}`pieces_rising:d` of
# {glue:text}`pieces:d` pieces of training (all sizes, three bit widths). Over {glue:text}`whole_times:.1f` times more tokens it becomes at
# least {glue:text}`whole_low:.1f` times as large.
#
# At 3 bits one doubling of the tokens multiplies QiD by {glue:text}`doubling_3_0.25_mean:.2f` [{glue:text}`doubling_3_0.25_low:.2f`, {glue:text}`doubling_3_0.25_high:.2f`] in the second quarter of the first pass through the text, and in
# the third and fourth pass still by {glue:text}`doubling_3_2_mean:.2f` [{glue:text}`doubling_3_2_low:.2f`, {glue:text}`doubling_3_2_high:.2f`].
#
# Growth slows down in the sizes up to {glue:text}`slowed_to:s` parameters. In the larger it doesn't: at {glue:text}`trunk_largest:s` the
# factor is {glue:text}`largest_0.5:.2f` in the second half of the first pass and {glue:text}`largest_2:.2f` in the last two.
#
# ## What decay adds at equal tokens
#
# **Claim: the error jumps when the rate decays. It does, by a little.**
#
# :::{table} QiD of {glue:text}`cooldown_runs:d` cooldowns over that of the trunk at equal tokens (mean and 95% interval over {glue:text}`cooldown_sizes:d` sizes).
# :name: tab-added
#
# | | 2 bits | 3 bits | 4 bits |
# | --- | --- | --- | --- |
# | halfway, half the rate left | {glue:text}`half_2_mean:.2f` [{glue:text}`half_2_low:.2f`, {glue:text}`half_2_high:.2f`] | {glue:text}`half_3_mean:.2f` [{glue:text}`half_3_low:.2f`, {glue:text}`half_3_high:.2f`] | {glue:text}`half_4_mean:.2f` [{glue:text}`half_4_low:.2f`, {glue:text}`half_4_high:.2f`] |
# | at the end, no rate left | {glue:text}`end_2_mean:.2f` [{glue:text}`end_2_low:.2f`, {glue:text}`end_2_high:.2f`] | {glue:text}`end_3_mean:.2f` [{glue:text}`end_3_low:.2f`, {glue:text}`end_3_high:.2f`] | {glue:text}`end_4_mean:.2f` [{glue:text}`end_4_low:.2f`, {glue:text}`end_4_high:.2f`] |
# :::
#
# It matters when the rate falls. At 2 bits the first cooldowns, which end at {glue:text}`first_end:s` tokens, add a factor of {glue:text}`end_first_2_mean:.2f` [{glue:text}`end_first_2_low:.2f`, {glue:text}`end_first_2_high:.2f`];
# the last, at {glue:text}`last_end:s`, add {glue:text}`end_last_2_mean:.2f` [{glue:text}`end_last_2_low:.2f`, {glue:text}`end_last_2_high:.2f`].
#
# **A surface, not a number.** With the cooldowns of the second runs we fit $\ln r = a + b \ln D + c \ln N$. From
# {glue:text}`surface_tokens_first:s` to {glue:text}`surface_tokens_last:s` tokens its factor at 3 bits goes from
# {glue:text}`surface_range_low:.2f` to {glue:text}`surface_range_high:.2f`.
#
# More tokens, more decay: in KL at 4 bits, whose noise is smaller, the slope in $\ln D$ is {glue:text}`surface_tokens_value:s`
# [{glue:text}`surface_tokens_low:s`, {glue:text}`surface_tokens_high:s`] (over runs). That decay adds less in larger models is likely but not
# clear. The largest sizes had their only cooldown at 250M tokens.
#
# ## The two parts of growth
#
# ```{glue:figure} fig_parts
# :name: fig-growth-parts
# :alt: Horizontal bars on a logarithmic axis, three panels for 2, 3 and 4 bits. Each bar is the growth of QiD of one size, first the part of tokens, which is long, then that of decay, which is short. Between ends of cooldowns decay adds little; along cosines somewhat more.
#
# Growth of QiD as in {eq}`eq-parts`: tokens make the larger part everywhere. Upper bars: from the end of the first cooldown
# ({glue:text}`parts_first:s` tokens) to that of the last ({glue:text}`parts_last:s`); lower bars: along the longest cosine, from
# {glue:text}`cosine_first:s` to {glue:text}`cosine_last:s`.
# ```
#
# Between the ends of cooldowns, in logarithms, decay makes {glue:text}`share_cooldown_3_mean:.0%` [{glue:text}`share_cooldown_3_low:.0%`,
# {glue:text}`share_cooldown_3_high:.0%`] of the growth at 3 bits. Both ends are decayed, so that this is only what decay adds *more* later.
# Along a cosine it comes in full, {glue:text}`cosine_share_low:.0%` to {glue:text}`cosine_share_high:.0%` of the growth
# ({glue:text}`cosine_sizes:d` sizes, one run each).
#
# **Claim: after decay the error is the same whatever $D$. Here it grows with $D$ as it does at the constant rate, or a little more.**
# From the first end to the last QiD becomes {glue:text}`after_times_low:.1f` to {glue:text}`after_times_high:.1f` times as large; it rises
# from each end to the next in {glue:text}`after_rising:d` of {glue:text}`after_series:d` series.
#
# The exponent of $D$ over the ends is {glue:text}`after_3_mean:.2f` [{glue:text}`after_3_low:.2f`, {glue:text}`after_3_high:.2f`] at 3 bits; over
# the same tokens at the constant rate it is {glue:text}`constant_3_mean:.2f`.
#
# So it is in symmetric groups of 128 and in relative cross-entropy, as the paper has them ({doc}`appendix A <92-what-else-moves-qid>`). Nor
# did these models read little: the ends lie at {glue:text}`per_parameter_low:.0f` to {glue:text}`per_parameter_high:.0f` tokens per parameter.
#
# ## At equal loss
#
# ```{glue:figure} fig_ways
# :name: fig-levers
# :alt: Two panels with one row for each difference in training; ratios of QiD to the trunk's at 2, 3 and 4 bits. On the left, at equal tokens, half and twice the peak rate scatter about one. On the right, at equal loss, half the peak rate lies at 1.1 to 1.3 in all sizes, twice at 0.85, averages near 0.75. Other training seeds lie at one in both.
#
# The peak rate shows no clear direction at equal tokens and a clear one at equal loss: the higher the rate, the lower the QiD.
# Bars: 95% intervals over sizes, where there are three or more; pale strokes: from the lowest to the highest size.
# ```
#
# Is decay only a short way to a lower loss, with the QiD that goes with it? In the small models it is: at equal loss the cooldowns have
# {glue:text}`loss_smallest_2:.2f` of the trunk's QiD at 2 bits at {glue:text}`smallest_size:s` parameters. At {glue:text}`largest_size:s` they
# have {glue:text}`loss_largest_2:.2f`: there decay is the cheaper way to a lower loss.
#
# But the loss is not all. At 3 bits averages have {glue:text}`loss_average_3_mean:.2f` of it and ends of cosines
# {glue:text}`loss_cosine_3_mean:.2f` [{glue:text}`loss_cosine_3_low:.2f`, {glue:text}`loss_cosine_3_high:.2f`]. The path matters.
#
# **Claim: a higher peak rate lowers the error at equal loss. Here too, at all {glue:text}`rate_sizes:d` sizes tried.** At 3 bits half the
# rate gives {glue:text}`half_loss_3_ratio:.2f` [{glue:text}`half_loss_3_low:.2f`, {glue:text}`half_loss_3_high:.2f`] of the trunk's QiD and twice the rate {glue:text}`double_loss_3_ratio:.2f` [{glue:text}`double_loss_3_low:.2f`, {glue:text}`double_loss_3_high:.2f`].
#
# ## Claim by claim
#
# :::{table} The claims of {cite:t}`catalan2025dynamics` and what these runs say.
# :name: tab-claims
#
# | Claim | Here |
# |---|---|
# | flat with tokens at a constant rate | no: {glue:text}`doubling_3_2_mean:.2f`-fold with the last doubling at 3 bits |
# | jumps when the rate decays | yes, to {glue:text}`end_last_3_mean:.2f` of the trunk at the last ends, 3 bits |
# | equal error after decay whatever $D$ | no: {glue:text}`after_times_low:.1f` to {glue:text}`after_times_high:.1f` times from the first end to the last |
# | one cosine confounds $D$ with the rate | at 2 bits its exponent is too high by {glue:text}`excess_2_mean:.2f` [{glue:text}`excess_2_low:.2f`, {glue:text}`excess_2_high:.2f`]; at 3 and 4 the interval holds zero |
# | higher peak rate, lower error at equal loss | yes: {glue:text}`double_loss_3_ratio:.2f` at twice the rate, 3 bits |
# | more weight decay, lower error | yes, at one size: {glue:text}`wd3_loss_3_ratio:.2f` at equal loss, 3 bits |
# | averages (LAWA) beat every cooldown at 3 bits | in {glue:text}`lawa_better_3:d` of {glue:text}`lawa_cases:d`; at 2 bits in {glue:text}`lawa_better_2:d` |
# | decay raises the curvature, which tracks the error | yes: {glue:text}`sharper_rtn_predicted_nats_mean:.2f` of RTN's QiD predicted, {glue:text}`sharper_rtn_qid_nats_mean:.2f` measured |
# :::
#
# So: tokens *and* decay. What the paper saw along trillions of tokens and what these models show in their first billion may both be true:
# in the small models the slope falls along training, and no run here reaches from the one to the other. The numbers behind the last four
# lines are in {doc}`appendix A <92-what-else-moves-qid>`.
#
# ## What this does not show
#
# - **Other seeds for most runs.** Seeds were varied at {glue:text}`seed_models:d` of the sizes; each cooldown, cosine, rate and weight decay
#   was trained once, and all sizes read the same batches.
# - **Long training.** These runs have {glue:text}`trunk_updates:,d` updates, {glue:text}`norm_ours:.1f` time constants, $1/(2 \eta \lambda)$, of AdamW's
#   weight norm; the paper's {glue:text}`updates_times:.0f` times as many, or {glue:text}`norm_theirs:.0f`. A later plateau would not be seen here.
# - **Large models.** The largest has {glue:text}`trunk_largest:s` parameters, the largest with cooldowns on the trunk {glue:text}`largest_size:s`.
# - **Other cooldowns, new text only.** All take the last fifth of the tokens, in a straight line, to zero. From {glue:text}`unique_tokens:s` tokens on, text is read again. And it is one data set of Python source, one
#   architecture, one optimizer.
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
# {glue:text}`choice_trunk:.3f`.
#
# Decay raised QiD by {glue:text}`choice_qid:.3f` and lowered the 16-bit loss by {glue:text}`choice_loss:.3f`, so it is worth it there. At 2
# bits the loss after rounding is {glue:text}`choice_cooldown_2:.3f` against {glue:text}`choice_trunk_2:.3f`.
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
