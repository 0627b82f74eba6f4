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
# # At equal stored bits coarse groups lose less
#
# *How much does QiD depend on the way of rounding, and on the text it is measured on?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** At equal stored bits GPTQ with one scale a row has {glue:text}`study_row_equal:.2f`
#   [{glue:text}`study_row_equal_low:.2f`, {glue:text}`study_row_equal_high:.2f`] times the QiD of groups of 32, codes of 3
#   bits (95%, over training runs).
# - **How sure.** {glue:text}`study_runs:d` sizes, one run each; the advantage is smaller in larger models. The twelve methods
#   were compared on {glue:text}`n_runs:d` small runs only. On code that training never read QiD is the same; prose was scored
#   for one run.
# - **Use it for.** Choosing a method and a group. Compare at equal *stored* bits, and at the same width of codes take GPTQ
#   before rounding to nearest.
# ```
#
# {doc}`Chapter 4 <04-degradation>` moved tokens, size and bits and kept the rest fixed: GPTQ on asymmetric groups of 32, scored on
# held-out files of the packages that training read. This chapter moves the method and the text, and asks of QiD and of KL, the divergence
# from the 16-bit model's predictions. {term}`Intervals <interval>` run over documents for the CPU's rows, over training runs
# for the study's, over packages of documents between texts.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

from helpers.analyse.questions.slopes_of_ratios import trends_table
from helpers.analyse.rows.study import HELDOUT, UNSEEN
from helpers.show.figures import comparisons
from helpers.show.glue import put_all
from helpers.show.numbers.choose import methods_and_texts, other_texts
from helpers.show.style import use_house_style
from helpers.show.tables import ways_and_kl_table
from helpers.table.files import read_table

use_house_style()
measured = read_table("results/measurements.parquet").to_pandas()
draws = other_texts.draws_of(seed)
read = methods_and_texts.tables(measured, draws["documents"])
texts = other_texts.texts(measured, draws)
text_panels = other_texts.by_tokens(texts)

# %% [markdown]
# ## The rows
#
# The sweep `methods` rounded {glue:text}`n_checkpoints:d` checkpoints of {glue:text}`n_runs:d` small runs on a CPU, with
# {glue:text}`n_ways:d` methods each, and scored all of them on two texts. The study rounded every checkpoint of every size on a GPU, with fewer
# methods.
#
# ```{dropdown} The methods
# - **GPTQ** {cite:p}`frantar2023gptq` as in chapter 4: asymmetric grid, groups of 32, from the smallest to the largest weight of the group.
# - GPTQ with one thing changed: a **symmetric** grid; columns in **activation order**, those with the largest inputs first; a
#   **least-squares grid**, shrunk to where the squared error of the group is smallest; **groups** of 64, 128 or a whole **row**.
# - **RTN**: each weight to the nearest value of its grid. **AWQ**: RTN after channels with large inputs were scaled up, here without its
#   authors' search for a clipping range and only in the layers that follow a norm.
# - Three formats of 4 bits in groups of 32: **NF4** (quantiles of a normal distribution, a scale of 32 bits), **MXINT4** and **MXFP4**
#   (integers and short floating-point numbers; the scale is a power of two and takes 8 bits).
# ```

# %% tags=["remove-cell"]
put_all(**methods_and_texts.numbers(read, draws["documents"]), **other_texts.numbers(texts, text_panels))
put_all(**other_texts.orders(read.held_out, read.unseen, (draws[HELDOUT], draws[UNSEEN])))
last = methods_and_texts.at_the_end(read.held_out)
panels = {name: read.in_study[name] for name in methods_and_texts.PANELS}
ticks = [0.7, 1, 1.5, 2, 3, 4, 5, 6]
put_all(
    fig_ways=comparisons.ratios_by_way(read.ratios, "QiD over that of GPTQ (factor)", ticks).figure,
    fig_effective=comparisons.qid_against_effective_bits(last).figure,
    fig_study=comparisons.ratios_in_panels(panels, "ratio of QiDs (factor)", methods_and_texts.BOUNDS),
    fig_texts=comparisons.text_ratios_against_tokens(text_panels, "QiD over that on code (factor)"),
)
plt.close("all")

# %% [markdown]
# ## Codes of the same width
#
# Two methods on one checkpoint give two QiDs, in nats per token. Their ratio has no unit; over $m$ checkpoints we take the geometric mean
#
# $$
# R = \exp \frac{1}{m} \sum_{c=1}^{m} \ln \frac{\Delta L_c(\text{method})}{\Delta L_c(\text{GPTQ})} .
# $$ (eq-pooled-ratio)
#
# Its interval draws documents anew, the same for both methods: the comparison is paired. A difference is *clear* if a wider interval
# excludes 1: one that counts draws of calibration text too ({doc}`chapter 11 <11-noise-floor>`), at a level at which all intervals
# together hold with 95% (Bonferroni).
#
# ```{glue:figure} fig_ways
# :name: fig-ways
# :alt: Ratio of QiD to that of plain GPTQ for eleven methods, one row each, with markers for 2, 3 and 4 bits and intervals. Activation order and the least-squares grid lie around or below one, all others above it, MXFP4 and MXINT4 farthest.
#
# With codes of the same width, only the least-squares grid and activation order reach plain GPTQ or do better; all others lose more.
# Bars: 95% over documents. Pale strokes: from the lowest to the highest training run.
# ```
#
# RTN loses {glue:text}`rtn_3:.2f` times as much as GPTQ at 3 bits. The least-squares grid gains most where values are few,
# {glue:text}`squares_2:.2f` at 2 bits; both gains are clear at 2 and 3 bits and not at 4. {glue:text}`n_clear:d` of
# {glue:text}`n_comparisons:d` ratios are clear.
#
# KL says the same at 2 and 3 bits: its ratios differ from QiD's by at most {glue:text}`kl_away_few:.0%`. At 4 bits QiDs are small and
# their ratios noisy. There, in KL, activation order does gain: its ratio is {glue:text}`kl_order_4:.2f`, and below 1 in every run. All
# other methods are on the same side of 1 by both.
#
# ## At the same stored bits coarse groups win
#
# "2 bits" is the width of a code. What is stored is more: each group brings a scale of 16 bits and, on an asymmetric grid,
# a zero point as wide as a code. {term}`Effective bits <effective bits>` count them. A group of 32 takes
# {glue:text}`overhead_32:.2f` bits a weight more than its codes at 2 bits, a group of 128 only {glue:text}`overhead_128:.2f`. Is the small
# group worth it? We draw a straight line through $\ln \Delta L$ of each method, checkpoint by checkpoint, and read all lines at the same
# place.
#
# ```{glue:figure} fig_effective
# :name: fig-effective
# :alt: QiD on a logarithmic axis against effective bits for twelve methods on one checkpoint. Lines fall nearly in parallel. The lines of coarse groups lie lowest and to the left; those of RTN and AWQ highest, and the three 4-bit formats lie above all GPTQ lines.
#
# Counted with their scales, coarse groups lose least: their lines lie below and left of plain GPTQ's. {glue:text}`largest_model:s` after
# {glue:text}`largest_tokens:s` tokens; bars: one paired error.
# ```
#
# - **Groups.** The order is reversed. At equal effective bits a coarse group loses *less* than a group of 32, by a factor between
#   {glue:text}`coarse_lowest:.2f` and {glue:text}`coarse_highest:.2f`. One group a row has {glue:text}`row_equal_least:.2f` to
#   {glue:text}`row_equal_most:.2f`, the least of all methods measured on every run. (The rows for groups of 64 and 128 are of one run.)
# - **The zero point** is worth its bits: a symmetric grid, which saves them, still loses {glue:text}`symmetric_equal_least:.2f` times as
#   much at {glue:text}`least_bits:g` bits and {glue:text}`symmetric_equal_most:.2f` times at {glue:text}`most_bits:g`.
# - **The least-squares grid** costs no bits and keeps its gain where values are few: {glue:text}`squares_equal_least:.2f` at
#   {glue:text}`least_bits:g` bits, {glue:text}`squares_equal_most:.2f` at {glue:text}`most_bits:g`.
# - **The formats.** Over RTN at equal effective bits MXFP4 has a ratio of {glue:text}`mxfp_rtn:.2f`, MXINT4 of
#   {glue:text}`mxint_rtn:.2f`.
#
# KL has every ratio on the same side of 1, within {glue:text}`kl_equal_away:.0%`.
#
# ## Small models tell which, not by how much
#
# Those ratios are of small models. The study has sizes from {glue:text}`study_smallest:s` to {glue:text}`study_largest:s` parameters at
# {glue:text}`study_steps:d` checkpoints each. Beyond {glue:text}`early_tokens:s` tokens we fit the logarithm of a ratio as
# $c + s_N \ln N + s_D \ln D$, by least squares, with intervals clustered by run.
#
# ```{glue:figure} fig_study
# :name: fig-study
# :alt: Three panels with the ratio of two QiDs against training tokens on logarithmic axes, one line a size. Before about 60 million tokens the lines scatter widely. Round-to-nearest over GPTQ at 3 bits lies highest in large models. AWQ over GPTQ at 4 bits falls with tokens, in the largest model to about one. One group a row over groups of 32 at equal bits stays below one at all sizes.
#
# RTN at 3 bits costs more in large models; GPTQ's lead over AWQ at 4 bits shrinks with training; at equal effective bits one group a row
# loses less at every size. {glue:text}`n_beyond:d` of {glue:text}`n_points:d` points, all early, lie beyond the axes.
# ```
#
# - **What holds.** None of the {glue:text}`n_sides:d` orders that the CPU's small models show is another in the largest model. At equal
#   effective bits coarse groups lose less in all {glue:text}`n_equal:d` ratios, at most {glue:text}`equal_highest:.2f` times as much as
#   groups of 32.
# - **What grows with size.** RTN at 3 bits loses {glue:text}`study_rtn3_smallest:.2f` times as much as GPTQ in the smallest model and
#   {glue:text}`study_rtn3_largest:.2f` times in the largest. The ratio of one group a row at equal bits grows from
#   {glue:text}`study_row_equal_smallest:.2f` to {glue:text}`study_row_equal_largest:.2f`: its advantage shrinks.
# - **What shrinks with training.** GPTQ's lead at 4 bits: slopes in $\ln D$ of {glue:text}`rtn4_tokens:.2f` over RTN,
#   {glue:text}`nf4_tokens:.2f` over NF4 and {glue:text}`awq_tokens:.2f` over AWQ.
# - **At the largest model's end** {glue:text}`awq_end_qid:.2f` over AWQ and {glue:text}`nf4_end_qid:.2f` over NF4 are left of it. KL, less
#   noisy there, has {glue:text}`awq_end_kl:.2f` and {glue:text}`nf4_end_kl:.2f`.
#
# Pooled ratios in KL differ from QiD's by at most {glue:text}`kl_ratio_away:.0%`.

# %% tags=["remove-input", "hide-output"] mystnb={"code_prompt_show": "Tables: all ratios with intervals, at one width, at equal bits, along training", "code_prompt_hide": "Tables: all ratios with intervals, at one width, at equal bits, along training"} tables={"tab-ratios-width": "QiD and KL over those of plain GPTQ in groups of 32, at one bit width", "tab-ratios-stored": "The same at equal stored bits", "tab-ratios-training": "How these ratios change with size and along training"}
display(ways_and_kl_table(read.ratios, read.kl_ratios))
display(ways_and_kl_table(read.at_bits, read.kl_at_bits))
display(trends_table(read.trends))

# %% [markdown]
# ## On code that training never read QiD is the same
#
# The held-out files are new to the models, but files beside them in the same packages were training text. A second text, *unseen*, comes
# from packages that training never read. A third, *prose*, is English: documentation that packages carry, scored for one size,
# {glue:text}`prose_model:s`. Nothing is paired between texts, and files of one package are alike. So here we draw whole packages,
# {glue:text}`packages_held_out:d` of held-out code, {glue:text}`packages_unseen:d` of unseen code, {glue:text}`packages_prose:d` of
# prose. The rows are GPTQ and RTN on groups of 32.
#
# In 16 bits both are harder than the held-out text for every checkpoint but the early ones: unseen code by
# {glue:text}`loss_unseen_least:.2f` to {glue:text}`loss_unseen_most:.2f` nats per token, prose by {glue:text}`loss_prose_least:.2f` to
# {glue:text}`loss_prose_most:.2f`.
#
# The models learned code, and their tokens were made for it: one has {glue:text}`bytes_held_out:.2f` bytes on held-out code,
# {glue:text}`bytes_unseen:.2f` on unseen code and {glue:text}`bytes_prose:.2f` on prose.
#
# ```{glue:figure} fig_texts
# :name: fig-texts
# :alt: Ratio of QiD on another text to that on held-out code against training tokens, three panels, one line a bit width. For unseen code all lines lie close to one and their intervals cover it. For prose the lines start below one at 2 bits, rise above one before 60 million tokens and stay mostly between one and one and a half, with scatter from checkpoint to checkpoint.
#
# On code from unseen packages QiD is the same within a few percent. On prose it is higher, once the model has learned. Bars: 95% over
# packages, drawn independently for each text.
# ```
#
# ```{dropdown} Unseen code, in QiD and in KL
# Over all {glue:text}`every_runs:d` runs of the study the intervals of QiD's ratio lie around 1, within
# {glue:text}`every_low:.3f` and {glue:text}`every_high:.3f`. KL is larger there, {glue:text}`every_kl_3:.3f`
# [{glue:text}`every_kl_3_low:.3f`, {glue:text}`every_kl_3_high:.3f`] times at 3 bits (over runs). So for a given divergence rounding
# loses less on unseen code, as it would if models are surer of it than they are right.
# ```
#
# **Prose.** At 3 bits QiD is {glue:text}`prose_3:.2f` [{glue:text}`prose_3_low:.2f`, {glue:text}`prose_3_high:.2f`] times that on code
# (over packages and checkpoints); KL, {glue:text}`prose_kl_3:.2f` times, stands out more. The 16-bit loss is {glue:text}`loss_factor:.2f`
# times as high, so that the share lost isn't higher. Only the beginning differs: at the first checkpoint QiD at 2 bits is
# {glue:text}`prose_first:.2f` times that on code. A model that has hardly learned a text has little to lose on it.
#
# The order of the methods is the same on both kinds of code, and GPTQ's lead over RTN is smaller on prose at 2 and 3 bits: its calibration
# text was code, which may be why ({doc}`appendix A <92-what-else-moves-qid>`).
#
# ## What this does not show
#
# - **Few methods at many sizes.** Activation order, the least-squares grid, the MX formats and AWQ below 4 bits were measured on
#   {glue:text}`n_runs:d` small runs alone. The study's runs differ in size as well as in chance, and all read the same batches.
# - **Narrow models.** One group a row means {glue:text}`row_shortest:d` to {glue:text}`row_longest:d` weights here, in a model of usual
#   width thousands. Its advantage at equal bits is smaller in large models; what it is beyond, these rows can't say.
# - **One draw of calibration text** for all but plain GPTQ; the wider intervals borrow its scatter. On the CPU calibration read
#   {glue:text}`calibration_cpu:d` sequences, in the study {glue:text}`calibration_study:d`.
# - **Prose for one run**, with calibration on code. **AWQ without clipping**, and no search of settings for these models.
#
# ## Exercises
#
# **1.** NF4 and RTN at 4 bits lose about the same. Which would you store?
#
# ```{admonition} Answer
# :class: dropdown
#
# RTN on this grid: its scales and zero points take {glue:text}`gptq_bits:.3f` effective bits, NF4's take {glue:text}`nf4_bits:.2f`. With a scale of 16 bits NF4
# would take 4.5, and the answer would be the other.
# ```
#
# **2.** Why is the interval of a ratio between two ways so much narrower than that of a ratio between two texts?
#
# ```{admonition} Answer
# :class: dropdown
#
# Two ways read the same documents. What makes a document suffer from rounding is in both QiDs and cancels. Two texts have no
# document in common, so that both sets of documents add their scatter; and the files of one package bring less news than as many files of
# different packages.
# ```
#
# **3.** A paper sets its own method in groups of 128 beside GPTQ in groups of 32, "both at 3 bits". What do you ask for?
#
# ```{admonition} Answer
# :class: dropdown
# For the same groups, or for the same stored bits. Groups of 32 store more scales, so the two don't cost the same; and at equal stored
# bits GPTQ in groups of 32 isn't the best GPTQ there is.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* How much more does round-to-nearest lose than GPTQ at 3 bits? Match the rows of `trunk()` from 60M tokens on (groups
# of 32) by model and step, and give the geometric mean of the ratios.

# %%
from helpers.teach.checking import check
from helpers.teach.data import trunk

answer = None  # a factor, no unit
check("10.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = trunk().query("bits == 3 and group_size == 32 and tokens_seen >= 60e6")
qid = rows.pivot(index=["model", "step"], columns="method", values="qid_nats")
check("10.4", np.exp(np.log(qid["rtn"] / qid["gptq"]).mean()))
