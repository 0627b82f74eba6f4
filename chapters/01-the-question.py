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
# # What rounding costs can be measured, and it grows
#
# *How much does a language model lose when its weights are rounded, and what decides it?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** With {glue:text}`tokens_factor:.0f` times the tokens the largest model's QiD at 3 bits becomes
#   {glue:text}`rise_large:.1f` [{glue:text}`rise_large_low:.1f`, {glue:text}`rise_large_high:.1f`] times as large (95%, over
#   documents): the better a model is trained, the more it has to lose.
# - **How sure.** One training run for each of {glue:text}`n_sizes:d` sizes, {glue:text}`smallest:s` to {glue:text}`largest:s`
#   parameters, on Python code. All {glue:text}`n_lines:d` pairs of a size and a bit width end higher than they began. Another
#   run and another text are not in the interval.
# - **Use it for.** Reading every other page. QiD is a difference of two losses in nats per token; its error is small because
#   both models read the same documents.
# ```
#
# A trained model is a long list of numbers, usually kept in 16 bits each. Kept in 4 bits it takes a quarter of the memory and often
# answers faster. It also gets worse. This chapter says what "worse" means, in a unit, how to measure it, and which two effects the
# rest of the book is about. {term}`Intervals <interval>` run over documents unless another thing is named.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import rows_of_every_run, study_rows
from helpers.show.glue import put, put_all
from helpers.show.numbers.learn import the_question as numbers
from helpers.show.style import (
    BITS_COLOURS,
    INK,
    TOKENS_LABEL,
    count_label,
    count_scale,
    legend_beside,
    qid_scale,
    use_house_style,
)
from helpers.table.files import read_table
from helpers.table.paired_error import paired_error

use_house_style()
N = "n_params_non_embedding"


# %% [markdown]
# ## Definition
#
# A language model's loss is the mean of $-\ln p$ over the tokens that did come, in nats per token, where $p$ is the probability that it
# gave to each. Let $L_{16}$ be the loss of a model in 16 bits and $L_P$ that of the same model on the same tokens, with its weights
# rounded to $P$ bits. **Quantization-induced degradation**, QiD, is the difference:
#
# $$
# \Delta L = L_P - L_{16} \qquad \text{(nats per token)}.
# $$ (eq-qid)
#
# The {term}`perplexity` is $e^L$, so rounding multiplies it by $e^{\Delta L}$. Nats per token depend on the tokenizer. Bits per byte don't,
# and so they compare models that cut text differently:
#
# $$
# \Delta L \cdot \frac{\text{tokens}}{\text{bytes} \cdot \ln 2} \qquad \text{(bits per byte)}.
# $$ (eq-bpb)
#
# Here is one measurement out of the book's table: one model, one moment of its training, one way of rounding.

# %%
measured = read_table("results/measurements.parquet").to_pandas()
study = degradation(study_rows(measured))
every_width = rows_of_fit(study, "gptq", group_size=32, symmetric=False)
gptq = every_width[every_width["bits"] <= 4]
one = gptq.query("model == 'tadpole-128x3' and bits == 3")
one = one.sort_values("step").iloc[-1]

# %% tags=["remove-cell"]
ends = degradation(rows_of_every_run(measured).query("schedule == 'cooldown' and learning_rate == 0"))
ends = rows_of_fit(ends, "gptq", group_size=32, symmetric=False).query("bits <= 4")
draws = numbers.documents_drawn(one.n_documents, seed)
put_all(**numbers.one_measurement(one), **numbers.trunk(gptq), **numbers.two_effects(gptq, draws))
put_all(**numbers.published(), **numbers.branches(ends, gptq, draws), **numbers.exercises(every_width))

# %% [markdown]
# The model, `tadpole-128x3`, has {glue:text}`n_parameters:s` parameters besides its embeddings and has read {glue:text}`one_tokens:s`
# tokens of Python code. Its loss is {glue:text}`loss_16:.4f` nats per token in 16 bits and {glue:text}`loss_3:.4f` in 3.
#
# So its QiD is {glue:text}`one_qid:.3f` nats per token, or {glue:text}`one_bits_per_byte:.3f` bits per byte, and its perplexity is
# multiplied by {glue:text}`one_factor:.3f`.
#
# The protocol belongs to such a number: the first {glue:text}`n_blocks:d` blocks of {glue:text}`block:d` tokens of each document are
# scored, and the rounding saw {glue:text}`n_calibration:d` blocks of other text. By the shorter protocol of the sweep that you can repeat
# it is {glue:text}`96-this-machine.ipynb::protocol_pocket:.3f` ({doc}`appendix E <96-this-machine>`).
#
# ## The same documents twice
#
# The loss is measured on a sample of text, and another sample would give another number. But both models read the same documents: one
# that is hard for one is hard for the other, and this cancels in the difference. So we
# take the difference document by document, and only then the mean. With $\Delta L_i$ the difference on document
# $i$ of $n$, the *paired* standard error is
#
# $$
# \mathrm{se} = \sqrt{\frac{1}{n(n-1)} \sum_{i=1}^{n} (\Delta L_i - \Delta L)^2} .
# $$ (eq-paired-error)
#
# Documents are the units, not tokens: tokens of one file are not independent of each other.

# %%
loss_3 = np.array(one.group_loss, dtype=float)  # one mean loss a document
difference = one.document_qid_nats
loss_16 = loss_3 - difference
paired = paired_error(difference)
unpaired = np.hypot(paired_error(loss_3), paired_error(loss_16))

# %% tags=["hide-input"]
figure, axes = plt.subplots(figsize=(7, 2.6))
documents = pd.DataFrame({"16-bit loss": loss_16, "3-bit loss": loss_3, "difference": difference})
sns.stripplot(
    documents,
    orient="h",
    palette=["#9aa0a8", BITS_COLOURS[3], BITS_COLOURS[2]],
    alpha=0.5,
    jitter=0.25,
    size=4,
    ax=axes,
)
axes.plot(documents.mean(), range(3), "|", color=INK, markersize=26)
axes.axvline(0, color="#9aa0a8", linewidth=1)
axes.set(xlabel="nats per token (one dot: one document)", ylabel="")
put("fig_paired", figure)
plt.close(figure)

# %% tags=["remove-cell"]
put_all(**numbers.same_documents_twice(loss_3, difference))

# %% [markdown]
# ```{glue:figure} fig_paired
# :name: fig-paired
# :alt: Three rows of dots on one axis in nats per token, one dot a document. The 16-bit and the 3-bit losses are spread widely around means that lie close together; the differences form a narrow heap just above zero.
#
# Documents differ a lot, their differences little: in 16 bits {glue:text}`loss_lowest:.2f` to {glue:text}`loss_highest:.2f` nats per
# token, what rounding adds {glue:text}`difference_lowest:.2f` to {glue:text}`difference_highest:.2f`. Strokes mark the means.
# ```
#
# Over these documents the paired error is {glue:text}`paired_se:.4f` nats per token; two separate means would give {glue:text}`gain:.0f`
# times as much ({numref}`fig-paired`). The interval of QiD is [{glue:text}`qid_low:.4f`, {glue:text}`qid_high:.4f`]; without pairing it
# would be ± {glue:text}`unpaired_half:.3f`.
#
# ## Two effects at a glance
#
# The project trained small models for this book, the *tadpoles*. Their {term}`trunk` is one run of each of {glue:text}`n_sizes:d` sizes, and
# {glue:text}`n_checkpoints:d` checkpoints of each run were kept. {numref}`fig-glance` shows the smallest and the largest size, rounded with GPTQ, the method of
# {doc}`chapter 2 <02-rounding>`.

# %% tags=["hide-input"]
extremes = gptq[gptq[N].isin([gptq[N].min(), gptq[N].max()])]
shown = extremes.assign(
    **{"bits P": extremes["bits"].astype(int), "size N": extremes[N].map(count_label)},
).sort_values([N, "tokens_seen"])
figure, axes = plt.subplots(figsize=(7, 3.6))
sns.lineplot(
    shown,
    x="tokens_seen",
    y="qid_nats",
    hue="bits P",
    style="size N",
    palette=BITS_COLOURS,
    markers=["o", "s"],
    ax=axes,
)
count_scale(axes, "x", TOKENS_LABEL)
qid_scale(axes, "y", shown["qid_nats"])
legend_beside(axes)
put("fig_glance", figure)
plt.close(figure)

# %% [markdown]
# ```{glue:figure} fig_glance
# :name: fig-glance
# :alt: QiD against training tokens, both axes logarithmic: six lines, 2, 3 and 4 bits for the smallest and the largest tadpole. The small model's lines rise from the very left; the large model's stay level or dip first and rise after. Fewer bits lie higher; on the right the small model lies above the large one at each bit width, on the left below.
#
# From {glue:text}`late_tokens:s` tokens on, QiD rises with tokens. At the end, and at equal tokens, it falls with size and with bits. At
# the first checkpoint the two sizes stand the other way round.
# ```
#
# At 3 bits, unless said otherwise:
#
# - **Tokens.** With {glue:text}`tokens_factor:.1f` times as many tokens QiD grows {glue:text}`rise_small:.2f`-fold
#   [{glue:text}`rise_small_low:.2f`, {glue:text}`rise_small_high:.2f`] in the smallest model. In the largest it is
#   {glue:text}`rise_large:.2f`-fold [{glue:text}`rise_large_low:.2f`, {glue:text}`rise_large_high:.2f`]. All {glue:text}`n_lines:d`
#   pairs of a size and a bit width end higher than they began.
# - **Size.** At {glue:text}`last_tokens:s` tokens the smallest model, {glue:text}`size_factor:.0f` times smaller than the largest, loses
#   {glue:text}`fall_size:.1f` times as much [{glue:text}`fall_size_low:.1f`, {glue:text}`fall_size_high:.1f`]. At equal tokens *per
#   parameter* larger models lose no less ({doc}`chapter 9 <09-extrapolation>`).
# - **Bits.** In the largest model 2 bits lose {glue:text}`fall_bits:.1f` times as much as 3 [{glue:text}`fall_bits_low:.1f`,
#   {glue:text}`fall_bits_high:.1f`].
#
# ## Why it matters
#
# If QiD grows with tokens, training longer and rounding work against each other.
# {cite:t}`ouyang2025lowbit` made more than {glue:text}`ouyang_checkpoints:d` quantized checkpoints of the public Pythia models
# {cite:p}`biderman2023pythia` and put what they saw into one law,
#
# $$
# \Delta L = k \, \frac{D^{\beta}}{N^{\alpha} P^{\gamma}},
# $$ (eq-claim)
#
# with $D$ the training tokens, $N$ the parameters without embeddings and $P$ the bits. Their exponents are
# $\beta$ = {glue:text}`ouyang_beta:.2f`, $\alpha$ = {glue:text}`ouyang_alpha:.2f` and $\gamma$ = {glue:text}`ouyang_gamma:.2f`: twice
# the tokens mean {glue:text}`doubling:.2f` times the QiD.
#
# {cite:t}`kumar2025precision` came to a similar place from other data, with {glue:text}`kumar_tokens:.2f` for tokens and
# {glue:text}`kumar_size:.2f` for size, and an exponential of the bits.
#
# By that law a model of {glue:text}`future_size:s` parameters trained on {glue:text}`future_tokens:s` tokens would lose
# {glue:text}`future_qid:.2f` nats per token at 4 bits, a perplexity {glue:text}`future_factor:.1f` times as high.
#
# But that lies {glue:text}`beyond:.0f` times beyond the tokens that the law was fitted to, and the paper's own table of predictions gives
# {glue:text}`future_table:.2f` ({doc}`chapter 6 <06-published-tables>`).
#
# ## A dispute
#
# Is it really the tokens? In each Pythia run the learning rate falls along a cosine: at the last step of the fit it is at
# {glue:text}`03-checkpoints.ipynb::pythia_lr_at_cut:.0%` of its peak. Whoever compares two checkpoints of such a run changes tokens and
# rate at once. {cite:t}`catalan2025dynamics` took the two apart. In the public runs whose rate stays constant for a long time, the
# error of rounding hardly grows; it jumps when the rate comes down at the end. In runs of their own it didn't matter how many tokens
# had gone by before that. Part of what looks like an effect of tokens may thus be an
# effect of decay.
#
# The tadpoles were made with this dispute in mind. The trunk's rate is constant after a short warm-up,
# {glue:text}`learning_rate:.3f` in every model, and all sizes read the same batches. From {glue:text}`late_tokens:s` tokens on
# nothing is turned down, and QiD still grows: decay is not *needed* for the effect, at this scale.
#
# It does add. From checkpoints of the trunk short branches were trained in which the rate falls to zero. QiD at their ends is higher than
# the trunk's at the same tokens in {glue:text}`n_pairs_added:d` of {glue:text}`n_pairs:d` pairs of a branch and a bit width, between
# {glue:text}`92-what-else-moves-qid.ipynb::decay_least:.1f`- and {glue:text}`92-what-else-moves-qid.ipynb::decay_most:.1f`-fold at 3 bits
# ({doc}`chapter 7 <07-tokens-or-decay>`).
#
# Tokens count among the branches too: of {glue:text}`branched_largest:s` parameters, the one that ends after {glue:text}`last_end:s` tokens
# has {glue:text}`rise_decayed:.2f` times [{glue:text}`rise_decayed_low:.2f`, {glue:text}`rise_decayed_high:.2f`] the QiD of the one that
# ends after {glue:text}`first_end:s`. Whether the growth would go on for a thousand times as many tokens, these runs can't say: both sides
# may well be right, at different stages of training.
#
# ## Where the book goes
#
# {doc}`Chapter 2 <02-rounding>` rounds a matrix by hand, {doc}`chapter 4 <04-degradation>` measures QiD along tokens, size and bits, and
# {doc}`chapter 7 <07-tokens-or-decay>` takes the dispute apart. Whoever has a model to round goes to
# {doc}`chapter 19 <19-your-model>`, whoever wants the law of {eq}`eq-claim` to {doc}`chapter 5 <05-unified-law>`.
#
# ## What this does not show
#
# - QiD is a mean over tokens. It doesn't say which tokens suffer, nor what happens to the answers that people want from a model.
# - The intervals above come from the documents. Another training run, or other text to calibrate on, would move the numbers too
#   ({doc}`chapter 11 <11-noise-floor>`).
# - The tadpoles are tiny, {glue:text}`smallest:s` to {glue:text}`largest:s` parameters, and read only code: a text of
#   {glue:text}`unique_tokens:s` tokens, up to {glue:text}`epochs:.1f` times.
#
# ## Exercises
#
# **1.** A model has a QiD of {glue:text}`ex_qid:.2f` nats per token, and its tokens are {glue:text}`ex_bytes:.0f` bytes long on average. By how
# much does its perplexity grow, and what is its QiD in bits per byte?
#
# ```{admonition} Answer
# :class: dropdown
# The perplexity is multiplied by $e^{\Delta L}$ = {glue:text}`ex_factor:.4f`: it grows by {glue:text}`ex_percent:.1%`. By {eq}`eq-bpb` the QiD is
# {glue:text}`ex_bits_per_byte:.4f` bits per byte. For small QiD, the growth of perplexity and QiD are almost the same number.
# ```
#
# **2.** How many documents would be needed for the error of two *separate* means to be as small as the paired error is with {glue:text}`n_documents:d`?
#
# ```{admonition} Answer
# :class: dropdown
# A standard error falls with the square root of the number of documents. To make it {glue:text}`gain:.1f` times smaller takes
# {glue:text}`gain_squared:.0f` times as many: about {glue:text}`documents_needed:,.0f`.
# ```
#
# **3.** Can QiD be negative? For one document? For all?
#
# ```{admonition} Answer
# :class: dropdown
# Yes, for both. Rounding moves the weights a little in a direction that training didn't choose, and on some text this helps by chance. The
# trunk was rounded to more bits than this chapter shows, where QiD is close to zero. Its lowest QiD is {glue:text}`ex_lowest:.5f` ±
# {glue:text}`ex_lowest_se:.5f` nats per token. Of {glue:text}`ex_n_all:d` means {glue:text}`ex_n_below:d` are negative, all with
# {glue:text}`ex_fewest_bits:d` bits or more. Such values are kept in the fits: throwing them away would bend the law.
# ```
#
# **4.** In {numref}`fig-glance` the largest model has the *higher* QiD at the very left. Think of a reason before you read chapter 4.
#
# ```{admonition} Answer
# :class: dropdown
# A model that has hardly learned anything has little to lose: its loss is near that of guessing, whatever its weights are. The larger
# model learns more from the first tokens, so there is more that rounding can spoil. That is a reason, not a proof; {doc}`chapter 4 <04-degradation>` has
# what was measured there.
# ```

# %% [markdown]
# **5.** *(code, checks itself)* By what factor does rounding to 2 bits multiply the perplexity of the smallest model's last
# checkpoint? `late()` is a table, a row for each checkpoint
# and bit width, with `n_params_non_embedding`, `tokens_seen`, `bits` and `qid_nats`.

# %%
from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # e to the QiD of one row
check("1.5", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = late()
smallest = rows[rows["n_params_non_embedding"] == rows["n_params_non_embedding"].min()]
last = smallest[smallest["tokens_seen"] == smallest["tokens_seen"].max()].set_index("bits")
check("1.5", np.exp(last.loc[2, "qid_nats"]))
