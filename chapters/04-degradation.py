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
# # QiD grows with tokens and falls with bits
#
# *How does QiD move with tokens, size and bits?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** From {glue:text}`late_first:s` to {glue:text}`late_last:s` tokens at a constant learning rate QiD at 3 bits
#   becomes {glue:text}`growth_3:.1f` [{glue:text}`growth_3_low:.1f`, {glue:text}`growth_3_high:.1f`] times as large (mean over
#   sizes, 95% over training runs).
# - **How sure.** It rises in {glue:text}`tokens_rising:d` of {glue:text}`tokens_series:d` series: {glue:text}`study_sizes:d`
#   sizes, one run each, up to {glue:text}`study_largest:s` parameters, three bit widths, one order of Python code. Size
#   protects at equal tokens only, not at equal tokens per parameter.
# - **Use it for.** Expecting more loss from a model that was trained longer. The third bit divides QiD by about
#   {glue:text}`bit_32:.0f`, the fourth by about {glue:text}`bit_43:.0f` (medians).
# ```
#
# This chapter rounds every checkpoint of a family and looks at the result along one variable at a time. No formula is fitted
# yet; that is {doc}`chapter 5's <05-unified-law>` business.
#
# {cite:t}`ouyang2025lowbit` lead us to expect three things. QiD should rise with the training tokens $D$. It should fall with the
# size $N$. And it should fall with the bits $P$ that are kept. We count how often that is so. What else may move it (repeated
# text, the learning rate, shape, the method) has {doc}`a page of its own <92-what-else-moves-qid>`.
# {term}`Intervals <interval>` run over training runs, one a size, unless another thing is named.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here

from transformers.utils.logging import disable_progress_bar

from helpers.analyse.questions.trends import spread_out
from helpers.analyse.rows.degradation import TOKENS_SEEN, degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import FITTED_BITS, GROUP_SIZE, UNSEEN, study_rows
from helpers.measure.sweep.console import reader_console
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.show.claims import claim, unmeasured
from helpers.show.figures import comparisons
from helpers.show.figures import qid as figures
from helpers.show.glue import put_all
from helpers.show.numbers.learn import degradation as numbers
from helpers.show.style import use_house_style
from helpers.table.files import read_table

use_house_style()
disable_progress_bar()  # of loading weights: the sweep has its own

# %% [markdown]
# ## Measure
#
# The next cell runs the sweep that this book was made with, on this machine: it loads each checkpoint, measures its 16-bit loss,
# rounds its linear layers with each scheme, and measures the loss again. What was measured before is not measured twice.

# %% tags=["remove-stdout"]
report = run_sweep(Path(sweep), device, Places(Path(results_path)), reader_console())
claim(report.n_measured + report.n_present > 0, f"nothing of {sweep} could be measured")
claim(not report.failures or Path(sweep).stem != "pocket", "; ".join(report.failures))
if report.failures:
    display(Markdown(unmeasured(report.failures)))

# %% tags=["remove-cell"]
put_all(sweep_rows=report.n_measured + report.n_present)

# %% [markdown]
# These {glue:text}`sweep_rows:d` measurements, of the smallest models unless another profile was asked for, are on the page of
# {doc}`this machine <96-this-machine>`, beside those of a GPU. All other pages use the study's.
#
# ## The rows
#
# GPUs trained and measured the study; its rows came with the book. This chapter takes its trunk: {glue:text}`study_sizes:d` sizes
# from {glue:text}`study_smallest:s` to {glue:text}`study_largest:s` parameters with {glue:text}`study_steps:d` checkpoints each.
# Every size saw the same batches at the same constant learning rate, so that neither is confounded with $N$. An error of one QiD
# is the paired one of {doc}`chapter 1 <01-the-question>`.

# %%
measured = read_table("results/measurements.parquet").to_pandas()
study = degradation(study_rows(measured))
every_width = rows_of_fit(study, "gptq", GROUP_SIZE, symmetric=False)
gptq = every_width[every_width["bits"].isin(FITTED_BITS)]

# %% tags=["remove-cell"]
put_all(**numbers.stated(study, degradation(study_rows(measured, UNSEEN))))
put_all(
    fig_tokens=figures.qid_against_tokens(gptq),
    fig_size=comparisons.qid_against_size_by_tokens(gptq[gptq[TOKENS_SEEN].isin(spread_out(gptq[TOKENS_SEEN], 6))]),
    fig_bits=figures.qid_against_bits(every_width[every_width[TOKENS_SEEN] == every_width[TOKENS_SEEN].max()]).figure,
)
plt.close("all")

# %% [markdown]
# ## Tokens
#
# ```{glue:figure} fig_tokens
# :name: fig-tokens
# :alt: QiD against training tokens on logarithmic axes in three panels for 2, 3 and 4 bits, one line for each size. All lines rise after about 60 million tokens, those of small models more steeply at first, and flatten later, but for the largest model's at 3 and 4 bits. Before that the small models lie below the large ones.
#
# Beyond {glue:text}`early_tokens:s` tokens QiD rises with training at every size and bit width, at first most steeply in small
# models. Early in training the order of the sizes is turned over. GPTQ, group 32, asymmetric; bars: one paired error.
# ```
#
# Beyond {glue:text}`early_tokens:s` tokens QiD rises in all {glue:text}`tokens_series:d` series of {numref}`fig-tokens`, by more than
# three errors of the change, and becomes {glue:text}`growth_low:.1f` to {glue:text}`growth_high:.1f` times as large. The cut isn't
# needed for that: over all checkpoints every series rises as clearly.
#
# A single step is a quarter more tokens and moves QiD little: of {glue:text}`tokens_steps:d` steps {glue:text}`tokens_down:d` go
# down, most of them at 4 bits. The mere choice of calibration text moves QiD by some percent ({doc}`chapter 11 <11-noise-floor>`).
#
# **Try it.** One run, checkpoint by checkpoint. Watch which of the two grows: the share of the weights that rounding to nearest takes, or
# what rounding costs.

# %% tags=["remove-input"]
from helpers.show.touch.training import training
from helpers.table.files import read_checkpoints

training(measured, read_checkpoints("results/checkpoints.parquet").to_pandas(), "tadpole-192x4")

# %% [markdown]
# ## Before {glue:text}`early_tokens:s` tokens
#
# ```{dropdown} At first the 2-bit QiD of the largest model falls
# Early in training another story is told. The 2-bit QiD of the largest model first *falls*, from {glue:text}`large_first:.3f` to
# {glue:text}`large_dip:.3f` at {glue:text}`large_dip_tokens:s` tokens, and isn't back at its start when {glue:text}`early_tokens:s` are
# reached.
#
# Of all {glue:text}`early_steps:d` early steps {glue:text}`early_down:d` go down, none in a model below {glue:text}`early_down_smallest:s`
# parameters. The learning rate warms up in part of this time, and the model learns what is easy. A power of $D$ through all of it would be
# a bad summary, so chapter 5 fits beyond the cut, and shows what that choice does.
# ```
#
# ## Size
#
# ```{glue:figure} fig_size
# :name: fig-size
# :alt: QiD against size on logarithmic axes in three panels for 2, 3 and 4 bits, one line for each of several numbers of training tokens. The lines of few tokens rise with size, those of many tokens fall.
#
# At equal tokens a larger model loses less, once it has been trained long. At the fewest tokens the lines rise with $N$; at the most
# they fall.
# ```
#
# Beyond the cut, and at equal tokens, the largest model has a lower QiD than the smallest, by more than three errors, in all
# {glue:text}`size_series:d` combinations of tokens and bits. From one size to the next QiD falls {glue:text}`size_down:d` times in
# {glue:text}`size_steps:d`.
#
# At {glue:text}`size_first_tokens:s` tokens it is the other way round: the largest model loses *more* than the smallest, at every bit
# width. It loses less at every width from {glue:text}`size_helps_from:s` tokens on. One way to read it: a small model that has
# hardly begun to learn has little to lose. These rows alone don't prove it.
#
# At equal tokens *per parameter* size doesn't protect: there $\ln$ QiD at 3 bits changes by
# {glue:text}`09-extrapolation.ipynb::size_slope_ratio_3:s` [{glue:text}`09-extrapolation.ipynb::size_low_ratio_3:s`,
# {glue:text}`09-extrapolation.ipynb::size_high_ratio_3:s`] per unit of $\ln N$ (clustered by run, {doc}`chapter 9 <09-extrapolation>`).
#
# ## Bits
#
# ```{glue:figure} fig_bits
# :name: fig-bits
# :alt: QiD against bit width from 2 to 8 on a logarithmic vertical axis at the last checkpoint, one line for each size. All lines fall, nearly in parallel, up to 6 bits. At 8 bits they cross, and the error bars are as long as the values are high.
#
# The third bit takes away most of the loss and the fourth most of the rest, at every size. At 8 bits little is left to measure. Last
# checkpoint; bars: one paired error.
# ```
#
# From 2 to 4 bits QiD falls with each bit at all {glue:text}`bits_series:d` checkpoints. The third bit divides it by
# {glue:text}`bit_32:.1f`, the fourth by {glue:text}`bit_43:.1f` (medians beyond the cut). Of the three variables the bits weigh most,
# and act most alike everywhere.
#
# The trunk was also rounded to 5, 6 and 8 bits. A power of $P$ would need an exponent that grows from
# {glue:text}`92-what-else-moves-qid.ipynb::power_3:.1f` at the third bit to {glue:text}`92-what-else-moves-qid.ipynb::power_8:.1f` at
# the last two: no power of $P$ holds from 2 to 8 bits. The next chapters' fits keep to 2, 3 and 4.
#
# *QiD at each bit width, over the checkpoints beyond {glue:text}`early_tokens:s` tokens.*

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: QiD at each bit width", "code_prompt_hide": "Table: QiD at each bit width"} tables={"tab-widths": "QiD at each bit width"}
numbers.widths_table(numbers.late(every_width))

# %% [markdown]
# Up to 6 bits no QiD is below zero. At 8 bits {glue:text}`eight_negative:d` of {glue:text}`eight_rows:d` are, and
# {glue:text}`eight_within:d` lie within two errors of zero: there, 8 bits lose nothing that these documents could show.
#
# ```{dropdown} Why a negative QiD can be real
# Chance in the documents is not all of it. Of the negative ones {glue:text}`eight_both:d` are negative on another text as well, where
# {glue:text}`eight_chance:.1f` would be by accident. A change of the weights moves the loss first along its slope, up or down as it
# happens, and only then by its curvature, upwards on average. At 8 bits the first may be the larger. {term}`KL <KL divergence>`,
# which has no slope to move along, is positive in every row and rises with tokens at 8 bits too
# ({doc}`appendix A <92-what-else-moves-qid>`).
# ```
#
# ## Does the method matter?
#
# Round-to-nearest (RTN) loses more than GPTQ in all {glue:text}`92-what-else-moves-qid.ipynb::rtn_late_rows:d` rows beyond the cut; at 3 bits the median ratio is
# {glue:text}`92-what-else-moves-qid.ipynb::rtn_ratio_3:.1f`. RTN needs no calibration text, and yet its QiD rises with tokens in all
# {glue:text}`92-what-else-moves-qid.ipynb::rtn_series:d` series. So the rise is not something that GPTQ or its calibration makes. Ratios by width and size, and
# larger groups, are in {doc}`appendix A <92-what-else-moves-qid>`; which method to choose is
# {doc}`chapter 10's <10-methods-and-texts>` question.
#
# ## What this does not show
#
# - **Few runs.** One run a size, all on one order of batches, is behind all counts. An interval over sizes says nothing about a run that
#   was not made; {doc}`other seeds and second runs <92-what-else-moves-qid>` do.
# - **A constant rate, text read again.** Decay is {doc}`chapter 7's <07-tokens-or-decay>` matter. Reading a part of the text twice instead of
#   all of it once changed no KL, reading it eight times raised it {glue:text}`92-what-else-moves-qid.ipynb::part_kl_8_small:.2f` to {glue:text}`92-what-else-moves-qid.ipynb::part_kl_8_large:.2f` times
#   ({numref}`tab-part`, {doc}`appendix A <92-what-else-moves-qid>`); the trunk reads less than four times.
# - **One kind of text**, Python source, for training, calibration and evaluation.
# - **Small models.** The largest has {glue:text}`study_largest:s` parameters.
# - **Width and depth apart.** The trunk's larger models are deeper as well as wider.
#
# ## Exercises
#
# **1.** The first and the last checkpoint of a series share their documents. Is it right to add the two paired errors in quadrature
# to get the error of the change?
#
# ```{admonition} Answer
# :class: dropdown
#
# No. Documents that suffer from rounding early tend to suffer late as well. The differences of one document go together, so that
# the error of the change comes from $\Delta L_{i,\mathrm{last}} - \Delta L_{i,\mathrm{first}}$, document by document. That is what
# `trends` does.
# ```
#
# **2.** From which number of tokens on does the largest model lose less than the smallest at every bit width? And what would you
# say of a study that has one checkpoint only, before that point?
#
# ```{admonition} Answer
# :class: dropdown
#
# From {glue:text}`size_helps_from:s` tokens on. The study would report the sign of the size effect wrongly: at
# {glue:text}`size_first_tokens:s` tokens QiD rises with $N$ at all {glue:text}`size_first_series:d` bit widths.
# ```
#
# **3.** RTN at 3 bits or GPTQ at 2 bits: which loses less at the last checkpoint of the largest model? Take it from the median ratios above
# before you look.
#
# ```{admonition} Answer
# :class: dropdown
#
# RTN at 3 bits: {glue:text}`end_rtn_3:.3f` against {glue:text}`end_gptq_2:.3f` nats per token. The third bit divides QiD by
# {glue:text}`bit_32:.1f`, GPTQ only by {glue:text}`92-what-else-moves-qid.ipynb::rtn_ratio_3:.1f`. A bit is worth more than the better method.
# ```
#
# **4.** At 8 bits some QiDs are negative. Did rounding improve those models?
#
# ```{admonition} Answer
# :class: dropdown
#
# On these documents their loss is lower than before, for most by less than two errors. Where the sign holds on other text as well
# the change is real, but nobody aimed at it: the rounding error happened to point down the slope of the loss. Another method
# would point elsewhere. The mean at 8 bits over all checkpoints beyond {glue:text}`early_tokens:s` tokens is
# {glue:text}`eight_mean:.5f` nats per token, above zero.
# ```

# %% [markdown]
# **5.** *(code, checks itself)* How steeply does QiD of the smallest model rise with tokens at 3 bits? Give the slope of $\ln$ QiD on
# $\ln D$ over the rows of `late()`, by least squares.

# %%
from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # a slope, no unit
check("4.5", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = late().query("model == 'tadpole-64x3' and bits == 3")
slope, _ = np.polyfit(np.log(rows["tokens_seen"]), np.log(rows["qid_nats"]), 1)
check("4.5", slope)
