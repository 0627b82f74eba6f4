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
# # A forest knows a new run better than a new size
#
# *What can be known before rounding, and does a predictor need a law for it?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** Of a training run that it hasn't seen, a random forest on {glue:text}`kb_features:d` things known before rounding misses QiD by a
#   factor of {glue:text}`kb_all_run:.2f` [{glue:text}`kb_all_run_low:.2f`, {glue:text}`kb_all_run_high:.2f`] (95%, over runs). Of a size larger than
#   all that it has seen it says {glue:text}`kb_all_size_bias:.1f` times what was measured. A forest that only corrects what curvature says reaches that
#   size too: it misses by a factor of {glue:text}`kb_over_size:.2f`.
# - **How sure.** {glue:text}`kb_runs:d` runs of {glue:text}`kb_shapes:d` shapes, all small. The largest size is one run, so what is said of it has no
#   interval. The forest that corrects was tried last, on the same rows.
# - **Use it for.** Guessing QiD of a checkpoint at hand. For a run like those measured a forest is enough. For a larger one keep a law, and let a
#   forest correct it.
# ```
#
# Laws say QiD from size N, tokens D and bit width P, or from curvature ({doc}`chapter 12 <12-why>`). Xu et al. {cite:p}`xu2024ptq` gave
# no law: a random forest told of the loss before rounding, of size, of the loss's landscape and of the number format. We know that work
# from notes only. The features and settings here are ours. {term}`Intervals <interval>` run over training runs, a run and its branches counted
# together.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.make_fits import read_measured
from helpers.analyse.rows.outcomes import KL
from helpers.show.figures import known_before as figures
from helpers.show.glue import put_all
from helpers.show.numbers.law import known_before_rounding as numbers
from helpers.show.style import use_house_style
from helpers.table.files import read_checkpoints, read_table

use_house_style()
read = numbers.tables(
    read_measured(),
    read_checkpoints("results/checkpoints.parquet").to_pandas(),
    read_table("results/noise.parquet").to_pandas(),
)

# %% [markdown]
# ## What is asked, and of what
#
# The rows are {glue:text}`kb_rows:d` QiDs (nats per token) of GPTQ in groups of 32 at 2, 3 and 4 bits, from 60M tokens on. Learnt is
# $\ln q$, and a miss is $\ln(\hat q / q)$, no unit. Its root mean square is written as a *factor of error*, $e^{\mathrm{rms}}$, and its mean as a
# *factor of bias*. 1 is perfect in both.
#
# Known before any rounded model is run, beside N, D and P: the 16-bit loss and the entropy of its predictions (nats per token), the Hessian's
# trace (nats per squared weight), the cost by curvature $\tfrac12 \operatorname{tr}(H)\,\sigma^2$ (nats per token), the relative error of
# rounding to nearest (no unit; $-20 \log_{10}$ of it is the signal-to-noise ratio in dB), the weights' root mean square, kurtosis and largest,
# the kurtosis and largest channel of inputs, and the learning rate and its share of the peak.
#
# Eight predictors, all fitted to the same rows and to $\ln q$:
#
# :::{table} The predictors
# :name: tab-predictors
#
# | | told | |
# |---|---|---|
# | power law | N, D, P | least squares in $\ln N$, $\ln D$, a level a bit width |
# | tokens per parameter | D / N, P | least squares in $\ln (D/N)$, a level a bit width |
# | curvature law | cost by curvature | $\ln q = a + b \ln(\text{cost})$, two constants |
# | forest on N, D, P | N, D, P | {term}`random forest` of {glue:text}`kb_trees:d` trees, leaves of three rows or more, a third of the features at a split |
# | forest without N and D | all but N and D | the same |
# | forest on all | everything | the same |
# | boosting on all | everything | {term}`gradient boosting <boosting>`, 150 trees of depth 3 |
# | forest over curvature | everything | a forest of $\ln(q / \text{cost})$ |
# :::
#
# ## A run that wasn't seen
#
# Each run is held out in turn with its branches, and predicted from the others. Its size is nearly always among these.

# %% tags=["hide-input"]
shuffles = numbers.shuffled(read, seed)
squares = numbers.run_out(read, shuffles, seed)
scores = numbers.with_laws(numbers.on_hold_outs(read, seed), read_fits(), read)
kl_scores = numbers.on_hold_outs(read, seed, KL)
shapes = numbers.shape_out(read, seed)
costs, of_features = numbers.of_features(shuffles)

# %% tags=["remove-cell"]
put_all(
    **numbers.counts(read),
    **numbers.of_run_out(squares),
    **numbers.of_shape_out(shapes),
    **numbers.of_hold_outs(scores),
    **numbers.of_hold_outs(kl_scores, "kl_"),
    **numbers.of_intervals(read, seed),
    **of_features,
    **numbers.of_noise(read),
)
put_all(
    fig_unseen=figures.at_largest(numbers.at_largest(read, seed), numbers.next_size(read)),
    fig_misses=figures.misses(scores.loc[list(squares)], list(numbers.HELD.values())),
)
plt.close("all")

# %% tags=["hide-input"] tables={"tab-run-out": "Factors of error, one run or one shape held out"}
numbers.turns_table(squares, shapes)

# %% [markdown]
# *Factor of error with its 95% interval over runs, or over shapes: there every run of a shape is held out at once.*
#
# **What does it know that N, D and P don't say?** Told everything, the forest's misses are {glue:text}`kb_gain:.2f`
# [{glue:text}`kb_gain_low:.2f`, {glue:text}`kb_gain_high:.2f`] times those of the forest that knows N, D and P alone. Without N and D they
# are {glue:text}`kb_blind_gain:.2f` [{glue:text}`kb_blind_gain_low:.2f`, {glue:text}`kb_blind_gain_high:.2f`] times those. So loss, curvature and
# weights say between them at least as much as size and tokens. Told N and D besides, the forest misses {glue:text}`kb_all_blind:.2f`
# [{glue:text}`kb_all_blind_low:.2f`, {glue:text}`kb_all_blind_high:.2f`] times as much as without.
#
# **Is that more than a law knows?** The law of tokens per parameter is told no more than the small forest, which misses {glue:text}`kb_ndp_per:.2f`
# [{glue:text}`kb_ndp_per_low:.2f`, {glue:text}`kb_ndp_per_high:.2f`] times as much: the two can't be told apart. The forest on all misses
# {glue:text}`kb_all_per:.2f` [{glue:text}`kb_all_per_low:.2f`, {glue:text}`kb_all_per_high:.2f`] times as much as that law. But where the whole shape
# is new, the forest's factor of error is {glue:text}`kb_all_shape:.2f` [{glue:text}`kb_all_shape_low:.2f`, {glue:text}`kb_all_shape_high:.2f`] and the
# law's {glue:text}`kb_per_shape:.2f` [{glue:text}`kb_per_shape_low:.2f`, {glue:text}`kb_per_shape_high:.2f`]: nearly the same.
#
# The forest over curvature misses {glue:text}`kb_over_per:.2f` [{glue:text}`kb_over_per_low:.2f`, {glue:text}`kb_over_per_high:.2f`] times
# as much as that law, and {glue:text}`kb_over_bent:.2f` [{glue:text}`kb_over_bent_low:.2f`, {glue:text}`kb_over_bent_high:.2f`] times as
# much as the curvature law. It was tried after the others, on these rows.
#
# ## A size that wasn't seen
#
# ```{glue:figure} fig_unseen
# :name: fig-unseen-size
# :alt: QiD against training tokens on logarithmic axes, at 3 bits. The measured points of the largest size lie below all that was learnt from. The forest on N, D and P runs above the line of the next size and the points; the forest on all starts near that line and ends below the points. The curvature law and the forest over curvature run among the points and fall behind the last two.
#
# Forests answer for the largest size as if it were one of those they saw. The largest model at 3 bits, predicted from all smaller ones.
# ```
#
# A forest's answer is a mean of answers that it was given, so it never says less than the least of them. Of the largest size the forest on all says
# {glue:text}`kb_all_size_bias:.2f` times what was measured. Of the last factor 4 in tokens it says too little, {glue:text}`kb_all_late_bias:.2f` times.
# The forest on N, D and P and boosting err to the same sides.
#
# The curvature law misses the largest size by a factor of {glue:text}`kb_bent_size:.2f`, the forest over it by {glue:text}`kb_over_size:.2f`. What all
# of them miss is in the tables below.
#
# None of them foresees the last checkpoints of this one run, whose QiD climbs ({doc}`appendix C <94-goal-and-largest-size>`).
#
# ```{glue:figure} fig_misses
# :name: fig-misses
# :alt: Factors of error, a row a predictor and a marker a hold-out. The three forests and boosting reach from 1.4 to 2.2; the curvature laws, tokens per parameter and the forest over curvature stay near 1.2; the power law is near 1.2 in size and far worse in tokens.
#
# On the laws' own hold-outs trees do worse than tokens per parameter and than curvature, though not always worse than the power law; a forest that
# corrects the curvature law stays within 5% of the best law fitted to the same rows by least squares.
# ```

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: the hold-outs of the laws", "code_prompt_hide": "Table: the hold-outs of the laws"} tables={"tab-known-hold-outs": "Factors of error and of bias on the laws' hold-outs, QiD", "tab-known-hold-outs-kl": "The same of KL"}
from IPython.display import display

display(numbers.scores_table(scores))
display(numbers.scores_table(kl_scores))

# %% [markdown]
# *Factor of error, in brackets of bias. The last three rows are the laws of {doc}`chapter 9 <09-extrapolation>`, fitted by
# likelihood to the same rows. The largest size is one run, "larger and later" is of two sizes with their second runs: no intervals.*
#
# KL tells the same: the forest on all misses the largest size by {glue:text}`kb_kl_all_size:.2f`, the forest over curvature by
# {glue:text}`kb_kl_over_size:.2f`.
#
# ## What its intervals hold
#
# An interval without a law comes from the misses themselves: {term}`conformal <conformal interval>`, each run with one vote. They are made to hold
# {glue:text}`kb_level:.0%` of a new run's rows, as the eight runs below the largest size can't give 90%.
#
# ```{table} Share of rows inside the forest's intervals, with 95% over runs held out, and how far the intervals reach either way, a factor.
# :name: tab-inside
#
# | rows | inside | reach |
# |---|---|---|
# | of runs held out | {glue:text}`kb_cover:.0%` [{glue:text}`kb_cover_low:.0%`, {glue:text}`kb_cover_high:.0%`] | {glue:text}`kb_reach:.2f` |
# | of the largest size | {glue:text}`kb_cover_size:.0%` | {glue:text}`kb_reach_size:.2f` |
# | of the last factor 4 in tokens | {glue:text}`kb_cover_late:.0%` | {glue:text}`kb_reach_late:.2f` |
# ```
#
# Of runs held out the intervals hold what they promise. Of the largest size and of late tokens they hold less, though they are wider there. They
# promise something about a run *like those seen*, and a larger or longer one isn't.
#
# ## What it goes by
#
# Features that go together share their worth: shuffle one, and the others still tell. So those whose rank correlation is above 0.7 are
# shuffled together, {glue:text}`kb_groups:d` groups, with values of random rows at the same bit width, in runs held out.

# %% tags=["hide-input"] tables={"tab-shuffled": "What shuffled features cost the forest on all"}
numbers.features_table(costs)

# %% [markdown]
# *Misses with a group shuffled over those with all in place, geometric mean over runs held out, 95%. 1: the forest does without.*
#
# *{glue:text}`kb_group_1:s`* are worth most, a factor of {glue:text}`kb_cost_1:.1f` [{glue:text}`kb_cost_1_low:.1f`,
# {glue:text}`kb_cost_1_high:.1f`]. *{glue:text}`kb_group_last:s`* come last with {glue:text}`kb_cost_last:.3f`
# [{glue:text}`kb_cost_last_low:.3f`, {glue:text}`kb_cost_last_high:.3f`]: what the rate does to QiD is in the curvature already, or in few of these runs.
#
# **Random directions.** Of {glue:text}`kb_noise_runs:d` runs we know what Gaussian noise of rounding's size costs. A constant a width,
# taken from two runs, predicts GPTQ's KL in the third from the noise to a factor of {glue:text}`kb_noise:.2f`, and from the trace to
# {glue:text}`kb_noise_bent:.2f` ({glue:text}`kb_noise_rows:d` rows). On so few runs that is a hint.
#
# ## What this does not show
#
# - **Anything at other scales.** The largest model is small, and the hold-outs say what trees do beyond their rows.
# - **Other methods.** All rows are of GPTQ in groups of 32.
# - **A blind choice.** Settings of trees were set once and not tuned. The forest over curvature was tried after the others.
# - **A predictor free of the answer's text.** Loss and trace are taken on held-out text, part of what QiD is measured on.
# - **Independent runs.** All read the same text in the same order, and seeds and rates of one shape start alike. The column of shapes is the stricter one.
#
# ## Exercises
#
# **1.** A forest scores better than every law when rows are held out at random. Why is that no evidence?
#
# ```{admonition} Answer
# :class: dropdown
# The rows before and after the one held out, of the same run, are in the training rows. It has seen the run's luck. Runs are to be held
# out whole, with their branches.
# ```

# %% [markdown]
# **2.** *(code, checks itself)* A forest never says less than the least it saw. Take the rows of `late()` at 3 bits. By what factor is the
# least QiD of all smaller sizes above the least of the largest size?

# %%
from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # a factor, no unit
check("20.2", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = late().query("bits == 3")
largest = rows["n_params_non_embedding"] == rows["n_params_non_embedding"].max()
check("20.2", rows.loc[~largest, "qid_nats"].min() / rows.loc[largest, "qid_nats"].min())

# %% [markdown]
# **3.** Suppose that shuffling the 16-bit loss alone costs a forest next to nothing. Is the loss useless?
#
# ```{admonition} Answer
# :class: dropdown
# No. Entropy, trace and outliers of inputs go with it, and the forest reads them instead. Shuffle all of them together.
# ```
#
# **4.** Why does the forest over curvature reach beyond its rows where the forest on all doesn't?
#
# ```{admonition} Answer
# :class: dropdown
# It is asked for QiD over what curvature says, which hardly changes with size. What changes with size is in the guess, and a guess
# extrapolates.
# ```
#
# **5.** *(project)* Put another law under the forest: learn $\ln q$ less what tokens per parameter says. Does it reach as far, and does it still need
# the Hessian?
