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
# # QiD tells how far a model is trained, within one recipe
#
# *Can the loss that rounding costs tell how trained a model is?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** A decayed model reads as trained on {glue:text}`cooldown_qid:.2f` [{glue:text}`cooldown_low:.2f`,
#   {glue:text}`cooldown_high:.2f`] times its tokens at 3 bits (95%, over sizes). Within one recipe tokens are read to a
#   typical factor of {glue:text}`typical_qid:.2f`.
# - **How sure.** Each of {glue:text}`sizes:d` sizes was read by a law fitted to the others. One QiD means one number of tokens
#   per parameter in {glue:text}`settled_sizes:d` of them. One text; recipes were moved one at a time.
# - **Use it for.** Ordering checkpoints of one run, or sizes of one family. Not for calling somebody else's model
#   undertrained.
# ```
#
# QiD grows with the tokens a model has read. {cite:t}`ouyang2025lowbit` turn this around: a model that loses little when it is
# rounded to few bits has not been trained to the full, and their law, solved for the tokens $D$, says how many tokens a model of a
# given size needs until rounding costs it a given QiD. By that gauge the largest models of today are undertrained.
# For public models nobody knows what the right answer would be. For ours we do: we know how many tokens each has read. So we read
# the tokens off QiD as if we didn't know them, and compare. {term}`Intervals <interval>` run over training runs, one a size, those of
# a law's constants over steps too; at 90% they are for a new training run.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.questions import training_level
from helpers.analyse.questions.decay import compared_with_trunk
from helpers.analyse.rows.degradation import TOKENS_SEEN, degradation
from helpers.analyse.rows.noise import training_seeds
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import (
    DEPTH,
    FITTED_BITS,
    GROUP_SIZE,
    LATE_TOKENS,
    MOST_EPOCHS,
    on_trunk,
    rows_of_every_run,
    rows_of_seeds,
)
from helpers.show.claims import claim
from helpers.show.figures import training_level as figures
from helpers.show.glue import put_all
from helpers.show.numbers.law import training_level as numbers
from helpers.show.style import use_house_style
from helpers.table.files import read_table

use_house_style()

# %% [markdown]
# ## Definitions
#
# A *gauge* takes what can be measured on one checkpoint, and its size $N$, and gives an estimate $\hat D$ of the tokens it has
# read. The paper's gauge is its unified law {eq}`eq-unified`, solved for $D$:
#
# $$
# \hat D = \left( \frac{q\, N^\alpha P^\gamma}{k} \right)^{1/\beta},
# $$ (eq-gauge)
#
# with $q$ the measured QiD in nats per token. We judge a reading by the factor $\hat D / D$ (no unit). The exponent says at once
# how sharp it can be: a QiD that is off by a share $\varepsilon$ puts $\hat D$ off by about $\varepsilon / \beta$. Here $\beta$ is
# {glue:text}`beta:.2f`, so that errors come out {glue:text}`blow_up:.1f` times as large as they went in.
#
# ```{dropdown} What scatter and seeds make of a reading
# The law's own scatter {term}`τ <tau>` of {glue:text}`tau:.0%` makes a factor of {glue:text}`tau_factor:.2f` in tokens, and another
# training seed, which alone moves a 3-bit QiD by {glue:text}`seed_sd:.1%` (standard deviation, with another rounding), one of
# {glue:text}`seed_factor:.2f`.
# ```
#
# Rows: GPTQ in asymmetric groups of 32, held-out text, beyond {glue:text}`late_tokens:s` tokens. The *trunk* is one run a size at
# a constant learning rate, {glue:text}`sizes:d` sizes from {glue:text}`smallest:s` to {glue:text}`largest:s` parameters.

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
every = degradation(rows_of_every_run(measured[measured["method"].isin(["none", "gptq"])]))
every = every[(every["family"] != DEPTH) & (every["epochs"] <= MOST_EPOCHS)]
plain = rows_of_fit(every, "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
plain = plain[plain["bits"].isin(FITTED_BITS)].reset_index(drop=True)
trunk = plain[on_trunk(plain)]
fit, no_interval = fit_by_run(UnifiedLaw, FitData.from_table(trunk))

# %% tags=["remove-cell"]
claim(not no_interval, f"our law has intervals: {no_interval}")
levels = numbers.crossings(trunk)
gauges = numbers.gauges(trunk)
factors = numbers.apparent_factors(
    training_level.apparent_tokens(compared_with_trunk(plain, TOKENS_SEEN), trunk, fit.law)
)
seed_sd = training_seeds(rows_of_seeds(plain)).loc[3, "relative_sd"]
put_all(**numbers.definitions(fit, trunk, seed_sd), **numbers.one_qid(levels, trunk, fit), **numbers.exercises(fit))
put_all(**numbers.readings(gauges, fit.law, read_fits().fits["loss"].law))
put_all(**numbers.broken(factors, numbers.judged(gauges[numbers.TOGETHER])[numbers.WIDTH]))
put_all(
    fig_levels=figures.tokens_of_level(levels, fit.law),
    fig_readings=figures.reading_over_truth({name: gauges[name] for name in numbers.DRAWN}, numbers.INTERVAL),
    fig_apparent=figures.apparent_over_true(factors),
)
plt.close("all")

# %% [markdown]
# ## One QiD, many sizes
#
# Before any law: what do models have in common that have the same QiD? We read off the measured curves where each size comes up
# to a fixed QiD, {glue:text}`level_2:g`, {glue:text}`level_3:g` and {glue:text}`level_4:g` nats at 2, 3 and 4 bits.
#
# ```{glue:figure} fig_levels
# :name: fig-levels
# :alt: Tokens at which a fixed QiD is reached against size, three panels for 2, 3 and 4 bits. From about two million parameters on, points rise along a dotted line of equal tokens per parameter and beside the fitted law. The smallest sizes lie level to the left, far above both lines. The largest size has only hollow arrows: it comes later.
#
# In {glue:text}`settled_sizes:d` of {glue:text}`sizes:d` sizes one QiD is one number of tokens *per parameter*, not of tokens: from
# {glue:text}`settled_small:s` to {glue:text}`settled_large:s` parameters. Smaller models reach these levels in the steep rise at the start, all at about the same
# tokens; the largest has not reached them.
# ```
#
# The {glue:text}`settled_sizes:d` sizes that reach the 3-bit level beyond {glue:text}`settled_after:s` tokens span a factor of
# {glue:text}`times_size:.1f` in size and {glue:text}`times_tokens:.1f` in tokens.
#
# What they share is tokens per parameter: {glue:text}`per_low:.0f` to {glue:text}`per_high:.0f` over the three bit widths. They don't share
# a loss: it is {glue:text}`loss_first:.2f` nats per token in the smallest of them and {glue:text}`loss_last:.2f` in the largest. The
# smaller sizes reach the level where learning has just set in.
#
# In the law this is $D \propto N^{\alpha / \beta}$ at one QiD, and our $\alpha / \beta$ is {glue:text}`power:.2f`
# [{glue:text}`power_low:.2f`, {glue:text}`power_high:.2f`], so that one is inside. The paper's is {glue:text}`power_paper:.2f` by its
# equation 8: larger models would need ever fewer tokens per parameter.
#
# **The largest doesn't follow.** Its last checkpoint, at {glue:text}`last_ratio:.0f` tokens per parameter, is still below all three
# levels. But it has {glue:text}`beside_2:.2f`, {glue:text}`beside_3:.2f` and {glue:text}`beside_4:.2f` times the QiD that the next
# smaller size had at as many tokens per parameter, at 2, 3 and 4 bits.
#
# Take two checkpoints of different sizes at random. The one with the higher 3-bit QiD has more tokens per parameter in
# {glue:text}`agree_ratio:.0%` of pairs, more tokens in {glue:text}`agree_tokens:.0%`, and the lower 16-bit loss in only
# {glue:text}`agree_loss:.0%`. So QiD by itself measures how far a model has been trained *for its size*. It says nothing of how
# good it is.
#
# ## Reading tokens off a run that the law hasn't seen
#
# Now the test. Each size in turn is left out, the law is fitted to the other runs, and {eq}`eq-gauge` reads $\hat D$ off each of
# its checkpoints. The {glue:text}`level:.0%` interval inverts the law's prediction interval for a new run: it holds every $D$ at
# which the measured QiD would not surprise. Beside it stand two other gauges. One takes QiD and the 16-bit loss together, with
# the form *loss* of {doc}`chapter 9 <09-extrapolation>`. The other knows nothing of rounding: it reads $\hat D$ off the 16-bit loss alone, by
# the paper's equation 3 {eq}`eq-loss16`, fitted to the other runs as well.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: how the gauges read", "code_prompt_hide": "Table: how the gauges read"} tables={"tab-gauges": "How the gauges read the tokens of a run that the law hasn't seen"}
numbers.gauges_table(gauges)

# %% [markdown]
# ```{glue:figure} fig_readings
# :name: fig-readings
# :alt: Tokens read over true tokens against true tokens, four panels, one line a size. In the three panels of QiD most lines begin below one, those of the smallest models far below, and run near one from two hundred million tokens on; that of the largest model rises throughout, at 3 bits from a half to above two. In that for the 16-bit loss lines lie near one early and spread at the end, up to nearly five.
#
# On runs of its own kind the gauge mostly works: away from the start most readings lie within a few tenths of the truth. The
# 16-bit loss reads as well, and wears out late, where the loss hardly moves any more.
# ```
#
# Typically the law reads the tokens of a run that it hasn't seen within a factor of {glue:text}`typical_qid:.2f`, and
# {glue:text}`within_qid:.0%` of readings are within a factor of two. The intervals hold {glue:text}`covered_qid:.0%` of the true
# values, as promised. They are also honest about what such a reading is worth: from low to high a typical interval spans a factor
# of {glue:text}`width_qid:.1f`. Most misses come early.
#
# Reading the largest size by the smaller ones, the way one would use the gauge in practice, is typically off by a factor of
# {glue:text}`typical_largest:.2f`. At 3 bits readings climb from {glue:text}`largest_first:.2f` to {glue:text}`largest_last:.2f` of the
# truth, because this run's QiD rises more steeply than the law knows ({doc}`appendix C <94-goal-and-largest-size>`).
#
# The 16-bit loss alone does about as well, {glue:text}`typical_loss:.2f`, without rounding anything, but reads the largest size worse,
# at {glue:text}`typical_largest_loss:.2f`. The two together do worse ({glue:text}`typical_both:.2f`): at a given loss QiD changes less
# with $D$, and so errors are blown up more.
#
# ## Where the gauge breaks
#
# A gauge of training should move with training and with nothing else. Our table holds runs that differ in one thing from the trunk
# of their size and have read the *same* tokens: decayed rates, averages of weights, other peak rates and weight decays, other
# seeds. We read each of them and its trunk, and give the quotient: *apparent over true tokens*. By QiD it is the ratio of the two
# QiD to the power $1/\beta$; by the 16-bit loss, the tokens at which its own trunk has the same loss.
#
# ```{glue:figure} fig_apparent
# :name: fig-apparent
# :alt: Apparent over true tokens, one row for each difference in training, points for readings by QiD at 2, 3 and 4 bits and by the 16-bit loss. Ends of cooldowns lie near 1.2 by QiD and 1.4 by loss, ends of cosines above 1.3 by QiD and at one by loss. Averages lie at 0.75 by QiD and 1.35 by loss. Half the peak rate lies above one by QiD and at 0.7 by loss. Other seeds lie near one.
#
# Runs with equal tokens that look unequally trained. Where the two gauges point to different sides of one, at least one of them
# doesn't measure training. Bars: 95% intervals over sizes, where there are three or more; pale strokes: from the lowest to the
# highest size.
# ```
#
# - **Decay looks like tokens.** The end of a cooldown reads as {glue:text}`cooldown_qid:.2f` [{glue:text}`cooldown_low:.2f`,
#   {glue:text}`cooldown_high:.2f`] times its tokens at 3 bits (over sizes) and {glue:text}`cooldown_loss:.2f` times by loss. Public
#   models end decayed; if decay acts on them as on ours, a law of constant rates reads them as longer trained than they are.
# - **Averages look untrained to QiD and trained to the loss:** {glue:text}`average_qid:.2f` against
#   {glue:text}`average_loss:.2f`. An average is the better model in 16 bits and loses less when rounded. By the paper's
#   reasoning it would be the *less* trained one.
# - **The peak rate divides them too.** Half the rate reads as {glue:text}`half_qid:.2f` by QiD and {glue:text}`half_loss:.2f` by
#   loss, twice the rate as {glue:text}`double_qid:.2f` and {glue:text}`double_loss:.2f`.
# - **Weight decay** moves QiD and hardly the loss: none reads as {glue:text}`none_qid:.2f` ({glue:text}`none_loss:.2f` by loss),
#   three times the usual as {glue:text}`triple_qid:.2f` ({glue:text}`triple_loss:.2f`). **Seeds** lie near one.
#
# The factors stay within those of the intervals above, so that a single reading would not notice. But they don't average out: they
# are properties of the recipe, and a recipe is what differs between families.
#
# ## What the last doubling was worth
#
# ```{dropdown} Where rounding takes back more than the last doubling brought
# A level of QiD that needs no law: where QiD is larger than what the last doubling of tokens gained, rounding takes back more than that
# doubling brought. That is so in all {glue:text}`94-goal-and-largest-size.ipynb::beyond_2:d` sizes at 2 bits, in
# {glue:text}`94-goal-and-largest-size.ipynb::beyond_3:d` at 3 and in {glue:text}`94-goal-and-largest-size.ipynb::beyond_4:d` at 4.
# {doc}`Appendix C <94-goal-and-largest-size>` has the curves, and how many tokens the laws ask of public models.
# ```
#
# ## What this does not show
#
# - **That QiD can't tell anything.** Within one recipe it orders tokens per parameter well. Two checkpoints of one run, or two
#   sizes of one family with one schedule, may be compared by it.
# - **That one number of tokens per parameter holds for larger models.** It rests on {glue:text}`settled_sizes:d` sizes and one run
#   each, within a factor of {glue:text}`times_size:.0f` in size; the one larger run that we have departs from it.
# - **Other text.** Everything here is on held-out Python of the same packages' kind as the training text.
# - **Repeated text.** Later tokens were read before; a gauge can't tell a second reading from new text, and we didn't ask it to.
# - **Recipes in combination.** Each run differs from the trunk in one thing. Sizes tried: {glue:text}`cosine_sizes:d` for
#   cosines, {glue:text}`average_sizes:d` for averages, {glue:text}`wd_sizes:d` for weight decays.
#
# ## Exercises
#
# **1.** A colleague measures a 3-bit QiD with an error of 5%. How well can they know $D$, if the law were exact?
#
# ```{admonition} Answer
# :class: dropdown
#
# By {eq}`eq-gauge` $\ln \hat D = (\ln q + \ldots) / \beta$, so 5% becomes {glue:text}`ex_one:.0%`. With the law's scatter $\tau$
# added in squares it is {glue:text}`ex_two:.0%`: measuring better than $\tau$ is of no use for this.
# ```
#
# **2.** Two models of one family have the same 3-bit QiD; one is four times as large. By our law, and by equation 8, which one has
# more tokens per parameter, and by how much?
#
# ```{admonition} Answer
# :class: dropdown
#
# At one QiD $D / N \propto N^{\alpha / \beta - 1}$. Ours gives {glue:text}`ex_ours:.2f` times as many for the larger one, which is
# one within the interval; equation 8 gives {glue:text}`ex_paper:.2f`. Under equation 8 a larger model looks fully trained at far
# fewer tokens per parameter.
# ```
#
# **3.** Why does the quotient of QiD and the last doubling's gain rise even if QiD doesn't grow?
#
# ```{admonition} Answer
# :class: dropdown
#
# Because the gain falls: by equation 3 the loss flattens as $D$ grows, so that each doubling brings less than the one before. A
# constant cost outweighs a shrinking gain sooner or later.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* Build a gauge: through all rows of `late()` at 3 bits fit $\ln$ QiD $= a + b \ln(D / N)$. A model has a QiD of 0.1.
# How many tokens per parameter does the gauge read?

# %%
from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # D / N, no unit
check("8.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = late().query("bits == 3")
ratio = np.log(rows["tokens_seen"] / rows["n_params_non_embedding"])
slope, level = np.polyfit(ratio, np.log(rows["qid_nats"]), 1)
check("8.4", np.exp((np.log(0.1) - level) / slope))
