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
# # Spend bits on wider codes, not on kept weights
#
# *Some weights matter more than others. Which of them are worth keeping, at equal cost?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** With 5% to 10% of the parameters kept in 16 bits and the rest at 3 bits, QiD is {glue:text}`matrices_3:.1f`
#   [{glue:text}`matrices_3_low:.1f`, {glue:text}`matrices_3_high:.1f`] times that of plain GPTQ at the same stored bits (95%,
#   over training runs and documents).
# - **How sure.** {glue:text}`seven_checkpoints:d` checkpoints of {glue:text}`seven_sizes:d` runs up to
#   {glue:text}`seven_largest:s` parameters. Bits divided among columns (CMPQ) come nearer, without a lead over GPTQ in groups of 128. GWQ,
#   CMPQ and CrossQuant are our own small versions. Stored bits were counted, time was not.
# - **Use it for.** Spending bits: widen all codes before keeping some weights. For inputs of 4 bits use a scale that knows the
#   channel too.
# ```
#
# Round-to-nearest treats every weight alike. Nearly every better method says that something should be spared: columns, matrices, single
# weights, or the inputs. Each was proposed with its own models, text and count of bits. Here all of them round the same checkpoints and
# are scored on the same text, and whatever is spared is counted. {term}`Intervals <interval>` run over training runs, one a size, and over
# documents where that is said.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from helpers.show.figures import keeping as figures
from helpers.show.glue import put_all
from helpers.show.numbers.choose import seven_ways
from helpers.show.style import use_house_style
from helpers.table.files import read_table

use_house_style()
measured = read_table("results/measurements.parquet").to_pandas()
ways = seven_ways.Ways.from_table(measured, seed)
ratios, _ = ways.against_line  # QiD over that of plain GPTQ at equal stored bits, row by row

# %% tags=["remove-cell"]
put_all(**seven_ways.numbers(ways))

# %% [markdown]
# ## What each method keeps
#
# ```{table} Seven ways of rounding: what they keep, how they choose it, and what that costs beside the codes.
# :name: tab-ways
#
# | method | keeps | chosen by | cost |
# |---|---|---|---|
# | RTN | nothing | | scales, zero points |
# | GPTQ {cite:p}`frantar2023gptq` | nothing; later columns make up for earlier ones | second moments of the inputs | as RTN |
# | AWQ {cite:p}`lin2023awq` | columns with large inputs, scaled up | mean size of inputs | as RTN |
# | by matrix {cite:p}`cao2024mixed` | whole matrices or blocks in 16 bits | a search on other text | 16 bits a weight |
# | GWQ {cite:p}`shao2025gwq` | single weights in 16 bits, RTN for the rest | gradient on one sequence | 16 bits and a place each |
# | CMPQ {cite:p}`chen2024cmpq` | bits: a column has 2, 3 or 4; a few weights in 16 | inputs, and the error of rounding | a codebook a column |
# | CrossQuant {cite:p}`liu2024crossquant` | small inputs, when inputs are rounded too | largest input of token and channel | no stored bits |
# ```
#
# GWQ, CMPQ and CrossQuant are small implementations of our own; the {doc}`bibliography <../bibliography>` says what of the papers they were
# made from. GWQ keeps {glue:text}`gwq_share:.0%` of each matrix, as its paper does. How CMPQ divides the bits is our formula. The
# {glue:text}`seven_checkpoints:d` checkpoints have up to {glue:text}`seven_largest:s` parameters and {glue:text}`seven_last:s` tokens, all
# at one constant learning rate, measured on a GPU.
#
# ## Stored bits
#
# Of the weights of all blocks' matrices a share $Q_r$ is rounded, to $b$ bits with everything that is stored beside the codes: scales, zero
# points, codebooks, single weights kept and where they are. The others have 16 bits. {term}`Stored bits <effective bits>`,
#
# $$
# B = Q_r\, b + (1 - Q_r) \cdot 16 ,
# $$ (eq-stored-bits)
#
# are in bits per weight. A code of 2 bits in groups of 32 has {glue:text}`stored_2:.2f` stored bits.

# %% tags=["remove-cell"]
shown = seven_ways.latest(ways.of_three_sizes(ways.reached))
put_all(
    fig_seven_stored=figures.qid_against_stored_bits(shown),
    fig_seven_ratios=figures.pooled_ratios(ways.summary[ways.summary["n_models"] > 3]).figure,
)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_seven_stored
# :name: fig-seven-stored
# :alt: QiD on a logarithmic axis against stored bits per weight, one panel each for the smallest, a middle and the largest size. A falling line joins the points of plain GPTQ; markers show round-to-nearest, AWQ, GPTQ with matrices or blocks kept, GWQ and CMPQ. All lie above the line in the first panel; in the last some of CMPQ lie below.
#
# What lies below the line of plain GPTQ, groups of 32, loses less at its bits: in a wide model some of CMPQ's marks, and nothing else.
# Last checkpoint of three sizes; bars: one paired error.
# ```
#
# A point is on the *front* of a checkpoint if no other stores as little and loses less. Of the {glue:text}`front_points:d` points on fronts
# {glue:text}`front_line:.0%` are plain GPTQ's, {glue:text}`front_cmpq:.0%` CMPQ's and {glue:text}`front_recipes:.0%` recipes', which fill
# the gaps between two widths of codes. RTN, AWQ and GWQ are never there.
#
# ## Against the same bits spent on codes
#
# Bits can always be spent otherwise: on wider codes for all weights. So each method's QiD is divided by that of plain GPTQ *at the same
# stored bits*. GPTQ was measured at 2 to {glue:text}`most_bits:d` bits; between these we draw straight lines in $\ln$ QiD, checkpoint by
# checkpoint. What stores more than {glue:text}`stored_end:.2f` bits isn't compared, nor is a place where some draw of documents has a QiD at
# or below zero. Intervals of pooled ratios are clustered by training run, and count the documents that both methods read.
#
# ```{glue:figure} fig_seven_ratios
# :name: fig-seven-ratios
# :alt: Pooled ratio of QiD to that of GPTQ at equal stored bits, on a logarithmic axis, against mean stored bits, with one colour and marker for each way and 95% intervals as bars, and a line at one. Only intervals of CMPQ reach the line; recipes that keep matrices rise to more than a hundred.
#
# Nothing but CMPQ comes near one: the same bits would have done more in GPTQ's codes. Geometric means over all checkpoints; bars: 95% by
# training runs and documents. Left out: settings that only two or three sizes have.
# ```
#
# Of {glue:text}`n_settings:d` settings none has an interval below 1, {glue:text}`n_above:d` lie above, and {glue:text}`n_untold:d` hold 1:
# CMPQ's at low means, and recipes that only two or three sizes have.
#
# Of {glue:text}`n_compared:d` single rows {glue:text}`n_cmpq_below:d` lose less than GPTQ, all among CMPQ's {glue:text}`n_cmpq:d`.
# {doc}`Appendix G <98-ways-in-detail>` has the numbers, and how they move with size and tokens.
#
# **GWQ** is RTN with some weights spared, for {glue:text}`gwq_extra:.2f` bits a weight. At the same stored bits it loses
# {glue:text}`gwq_rtn_2:.2f` [{glue:text}`gwq_rtn_2_low:.2f`, {glue:text}`gwq_rtn_2_high:.2f`] times as much as RTN at 2 bits. Against GPTQ
# it is {glue:text}`gwq_gptq:.2f` times [{glue:text}`gwq_gptq_low:.2f`, {glue:text}`gwq_gptq_high:.2f`].
#
# **AWQ** is RTN with some columns scaled, for no bits. At 4 bits it loses {glue:text}`awq_rtn:.2f` [{glue:text}`awq_rtn_low:.2f`,
# {glue:text}`awq_rtn_high:.2f`] times as much as RTN: that helps, a little. Against GPTQ it is {glue:text}`awq_gptq:.2f` times
# [{glue:text}`awq_gptq_low:.2f`, {glue:text}`awq_gptq_high:.2f`].
#
# **CMPQ beside coarse groups** has no lead left. Plain GPTQ here means groups of 32, its dearest at equal bits
# ({doc}`chapter 10 <10-methods-and-texts>`). In the {glue:text}`coarse_models:d` sizes whose width 128 divides, GPTQ in groups of 128 was
# measured too. Held against those, CMPQ's ratio at a mean of 2.5 bits is {glue:text}`cmpq_coarse:.2f` [{glue:text}`cmpq_coarse_low:.2f`,
# {glue:text}`cmpq_coarse_high:.2f`].
#
# ## Which matrices?
#
# A recipe keeps whole matrices in 16 bits and rounds the others by GPTQ; the search of {doc}`chapter 13 <13-how-much-can-go-low>` chose them
# on other text. At equal stored bits none wins, and the more a recipe keeps, the worse it stands. With 90% to 95% of the parameters rounded
# to 2 bits it loses {glue:text}`matrices_2:.1f` [{glue:text}`matrices_2_low:.1f`, {glue:text}`matrices_2_high:.1f`] times as much as GPTQ.
# With 80% to 90% it is {glue:text}`matrices_2_less:.0f` times [{glue:text}`matrices_2_less_low:.0f`, {glue:text}`matrices_2_less_high:.0f`].
# Of {glue:text}`n_block_recipes:d` recipes that keep whole blocks {glue:text}`n_blocks_compared:d` can be compared, and all lose more.
#
# ```{table} Which matrices recipes keep in 16 bits, with 90% to 95% of the parameters rounded: share of each kind.
# :name: tab-kept
#
# | matrix | rest at 2 bits | rest at 3 bits |
# |---|---|---|
# | attention's output | {glue:text}`kept_dense_2:.0%` | {glue:text}`kept_dense_3:.0%` |
# | queries, keys and values | {glue:text}`kept_qkv_2:.0%` | {glue:text}`kept_qkv_3:.0%` |
# | MLP, up | {glue:text}`kept_up_2:.0%` | {glue:text}`kept_up_3:.0%` |
# | MLP, down | {glue:text}`kept_down_2:.0%` | {glue:text}`kept_down_3:.0%` |
# ```
#
# Where weights alone are rounded, what matters most per weight is small and mixes the heads, as chapter 13 finds by another measure; with
# inputs rounded too it is queries, keys and values. But 16 bits are many. Each bit more in a code divides QiD by a factor, and the twelve
# that a spared matrix has beyond a code of 4 bits would widen the codes of many others.
#
# ## Rounded inputs
#
# CrossQuant is about something else. If the inputs of a matrix are rounded too, a token's largest input sets the scale, and small inputs
# become zero. CrossQuant's scale is $t^\alpha c^{1-\alpha}$, with $t$ the largest input of the token and $c$ that of the channel;
# $\alpha = 1$ is the usual scale a token. Weights have 8 bits and a scale a row. The *cost* of rounded inputs is QiD less that of the same
# weights with inputs as they are, in nats per token.

# %% tags=["remove-cell"]
costs = ways.of_three_sizes(ways.costs[ways.costs["activation_bits"] == 4])
put_all(fig_seven_inputs=figures.input_costs_against_tokens(costs, figures.INPUT_STYLES))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_seven_inputs
# :name: fig-seven-inputs
# :alt: Cost of inputs rounded to four bits, in nats per token, against training tokens, one panel each for the smallest, a middle and the largest size, with three lines: a scale a token, CrossQuant with exponent 0.5 and with exponent 0.15. All rise with tokens; the lines lie together in the first panel and a factor of ten apart in the last.
#
# With a scale a token, inputs of 4 bits cost more the larger a model is and the longer it has been trained; with CrossQuant's exponent of 0.15
# size adds nothing. Bars: one paired error.
# ```
#
# ```{table} Cost of rounded inputs, nats per token: means over sizes with 95% intervals over training runs.
# :name: tab-inputs
#
# | scale | 4 bits | 8 bits |
# |---|---|---|
# | a token, $\alpha = 1$ | {glue:text}`token_4:.3f` [{glue:text}`token_4_low:.3f`, {glue:text}`token_4_high:.3f`] | {glue:text}`token_8:.4f` [{glue:text}`token_8_low:.4f`, {glue:text}`token_8_high:.4f`] |
# | $\alpha = 0.5$ | {glue:text}`half_4:.3f` [{glue:text}`half_4_low:.3f`, {glue:text}`half_4_high:.3f`] | {glue:text}`half_8:.4f` [{glue:text}`half_8_low:.4f`, {glue:text}`half_8_high:.4f`] |
# | $\alpha = 0.15$ | {glue:text}`cross_4:.3f` [{glue:text}`cross_4_low:.3f`, {glue:text}`cross_4_high:.3f`] | {glue:text}`cross_8:.4f` [{glue:text}`cross_8_low:.4f`, {glue:text}`cross_8_high:.4f`] |
# ```
#
# At 8 bits there is hardly anything to gain: the most that a scale a token costs at any checkpoint is {glue:text}`token_8_most:.4f` nats. At 4
# bits $\alpha = 0.15$ costs less at {glue:text}`n_cross_less:d` of {glue:text}`n_narrow:d` checkpoints.
#
# From the smallest to the largest size, at the last checkpoint of each, the cost goes from {glue:text}`token_smallest:.2f` to
# {glue:text}`token_largest:.2f` nats with a scale a token, and from {glue:text}`cross_smallest:.2f` to {glue:text}`cross_largest:.2f` with
# $\alpha = 0.15$. That fewer inputs become zero is only a part of it ({doc}`appendix G <98-ways-in-detail>`).
#
# ## What this does not show
#
# - **Our versions** of GWQ, CMPQ and CrossQuant aren't their authors' programs. Another grid or division of bits may do more.
# - **Stored bits, not speed.** Codebooks and scattered weights cost time. None of it was timed here.
# - **Narrow models.** A codebook a column is paid for by the rows; in a model of usual width it would cost hardly anything. Against GPTQ with
#   coarser groups, which wasn't among the seven, all ratios of this chapter would be higher.
# - **A straight line** between two widths of GPTQ stands for what a mixture of widths would give; nothing was measured between them.
# - **One draw of calibration text**, one seed, one learning rate, no decay.

# %% [markdown]
# ## Exercises
#
# **1.** A tenth of the weights stays in 16 bits, the rest goes to 3 bits in groups of 32. Is that less than everything at 4 bits?
#
# ```{admonition} Answer
# :class: dropdown
# No. By {eq}`eq-stored-bits` it is $0.9 \, (3 + 19/32) + 0.1 \cdot 16$, nearly five bits a weight; everything at 4 bits takes $4 + 20/32$.
# ```
#
# **2.** GWQ keeps single weights in 16 bits. Which bits must be counted beside these 16?
#
# ```{admonition} Answer
# :class: dropdown
# Where they are: each weight kept needs its place in the matrix.
# ```
#
# **3.** Why does the width of a model move CMPQ's stored bits and not GPTQ's?
#
# ```{admonition} Answer
# :class: dropdown
# CMPQ has a codebook a column, whose cost is shared by the rows: more rows, fewer bits a weight. GPTQ's scales are shared by a group,
# which is as long in every model.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* What would GPTQ in groups of 32 lose at exactly 4 *stored* bits? Take the largest model's last checkpoint in `late()` and draw
# a straight line in $\ln$ QiD over `effective_bits`.

# %%
import numpy as np

from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # QiD, nats per token
check("16.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = late().query("model == 'tadpole-512x12'")
last = rows[rows["tokens_seen"] == rows["tokens_seen"].max()].sort_values("bits")
check("16.4", np.exp(np.interp(4, last["effective_bits"], np.log(last["qid_nats"]))))

# %% [markdown]
# **5.** *(project)* Draw QiD against `effective_bits` for all schemes in `trunk()` at the last checkpoint of one size. Which of them are on
# the front? Does your answer change with the size, and would it if you counted the codes alone?
