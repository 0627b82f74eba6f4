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
# A trained model is a long list of numbers, usually kept in 16 bits each. Keep 4 bits of each instead and the model takes a quarter
# of the memory, and often answers faster, since much of the time goes into reading weights. It also gets worse. This chapter
# says what "worse" means, in a unit, and how to measure it so that a small loss can be told from none. Then it looks at the two
# effects that the rest of the book is about. {term}`Intervals <interval>` run over documents unless another thing is named.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from scipy import stats

from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import LATE_TOKENS, rows_of_every_run, study_rows
from helpers.show.glue import put, put_all
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
# A language model gives a probability to every token that may come next. Its loss is the mean of $-\ln p$ over the tokens that
# did come, in nats per token. Let $L_{16}$ be the loss of a model in 16 bits. Let $L_P$ be the loss of the same model on the
# same tokens, with its weights rounded to $P$ bits. **Quantization-induced degradation**, QiD, is the difference:
#
# $$
# \Delta L = L_P - L_{16} \qquad \text{(nats per token)}.
# $$ (eq-qid)
#
# The {term}`perplexity` is $e^L$, so rounding multiplies it by $e^{\Delta L}$. Nats per token depend on the tokenizer: longer tokens carry more
# nats each. Bits per byte don't, and so they compare models that cut text differently:
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

# %% tags=["hide-input"]
pd.DataFrame(
    {
        "16-bit loss (nats per token)": [f"{one.baseline_loss_nats:.4f}"],
        "3-bit loss (nats per token)": [f"{one.loss_nats:.4f}"],
        "QiD (nats per token)": [f"{one.qid_nats:.4f}"],
    },
    index=[f"{one.model}, {count_label(one.tokens_seen)} tokens"],
).T

# %% tags=["remove-cell"]
to_bits_per_byte = one.n_tokens / (one.n_bytes * math.log(2))
numbers = {
    "n_parameters": count_label(one[N]),
    "one_tokens": count_label(one.tokens_seen),
    "one_qid": one.qid_nats,
    "one_factor": math.exp(one.qid_nats),
    "one_bits_per_byte": one.qid_nats * to_bits_per_byte,
    "bytes_per_token": one.n_bytes / one.n_tokens,
    "n_blocks": one.n_sequences // one.n_documents,
    "block": one.seq_len,
    "n_calibration": int(one.calib_sequences),
}
put_all(**numbers)

# %% [markdown]
# The model has {glue:text}`n_parameters:s` parameters besides its embeddings and has read {glue:text}`one_tokens:s` tokens of Python
# code. Rounding to 3 bits costs it {glue:text}`one_qid:.3f` nats per token. Its perplexity is multiplied by
# {glue:text}`one_factor:.3f`. A token is {glue:text}`bytes_per_token:.2f` bytes long on average here, so the cost is
# {glue:text}`one_bits_per_byte:.3f` bits per byte. The protocol belongs to such a number: the first {glue:text}`n_blocks:d` blocks of
# {glue:text}`block:d` tokens of each document are scored, and the rounding saw {glue:text}`n_calibration:d` blocks of other text. By the
# shorter protocol of the sweep that you can repeat, the same checkpoint has
# {glue:text}`96-this-machine.ipynb::protocol_pocket:.3f`; {doc}`appendix E <96-this-machine>` says why.
#
# ## The same documents twice
#
# The loss is measured on a sample of text, and another sample would give another number. How sure is QiD, then? The two
# models read the same documents. A document that is hard for one is hard for the other, and this cancels in the difference. So we
# take the difference first, document by document, and only then the mean. With $\Delta L_i$ the difference on document
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
unpaired = math.hypot(paired_error(loss_3), paired_error(loss_16))

# %% tags=["hide-input"]
figure, axes = plt.subplots(figsize=(7, 2.9))
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
half = stats.t(len(difference) - 1).ppf(0.975) * paired
assert unpaired > 5 * paired, "the text says that pairing makes the error much smaller"
numbers = {
    "n_documents": len(difference),
    "paired_se": paired,
    "unpaired_se": unpaired,
    "gain": unpaired / paired,
    "gain_squared": (unpaired / paired) ** 2,
    "documents_needed": len(difference) * (unpaired / paired) ** 2,
    "qid_low": one.qid_nats - half,
    "qid_high": one.qid_nats + half,
    "unpaired_half": stats.t(len(difference) - 1).ppf(0.975) * unpaired,
    "loss_lowest": loss_16.min(),
    "loss_highest": loss_16.max(),
    "difference_lowest": difference.min(),
    "difference_highest": difference.max(),
}
put_all(**numbers)

# %% [markdown]
# ```{glue:figure} fig_paired
# :name: fig-paired
# :alt: Three rows of dots on one axis in nats per token, one dot a document. The 16-bit and the 3-bit losses are spread widely around means that lie close together; the differences form a narrow heap just above zero.
#
# Documents differ a lot, their differences little. The losses of {glue:text}`n_documents:d` documents range from
# {glue:text}`loss_lowest:.2f` to {glue:text}`loss_highest:.2f` nats per token in 16 bits. What rounding adds to them ranges from
# {glue:text}`difference_lowest:.2f` to {glue:text}`difference_highest:.2f`. Strokes mark the means.
# ```
#
# Over these {glue:text}`n_documents:d` documents the paired error is {glue:text}`paired_se:.4f` nats per token. Two separate means
# would give {glue:text}`unpaired_se:.4f`, which is {glue:text}`gain:.0f` times as much ({numref}`fig-paired`). With pairing the 95%
# interval of QiD runs from {glue:text}`qid_low:.4f` to {glue:text}`qid_high:.4f`. Without, it would be
# ± {glue:text}`unpaired_half:.3f`, and many of the differences in this book would drown in it.
#
# ## Two effects at a glance
#
# The project trained small models for this book, the *tadpoles*. Their {term}`trunk` is one run of each of {glue:text}`n_sizes:d` sizes, and
# {glue:text}`n_checkpoints:d` moments of each run were kept. {numref}`fig-glance` shows the smallest and the largest size, rounded with GPTQ, the method of
# {doc}`chapter 2 <02-rounding>`.

# %% tags=["hide-input"]
ends = gptq[gptq[N].isin([gptq[N].min(), gptq[N].max()])]
shown = ends.assign(
    **{"bits P": ends["bits"].astype(int), "size N": ends[N].map(count_label)},
).sort_values([N, "tokens_seen"])
figure, axes = plt.subplots()
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
# From {glue:text}`late_tokens:s` tokens on, QiD rises with tokens. At the end, and at equal tokens, it falls with size and with bits. At the first checkpoint, while
# the models have hardly begun to learn, the two sizes stand the other way round.
# ```

# %% tags=["hide-input"]
draws = np.random.default_rng(seed).integers(one.n_documents, size=(4000, one.n_documents))


def per_document(model: str, step: int, bits: int) -> np.ndarray:
    return gptq.query("model == @model and step == @step and bits == @bits")["document_qid_nats"].item()


def glue_ratio(name: str, above: np.ndarray, below: np.ndarray) -> None:
    """Glue the ratio of two QiDs, with a 95% interval from documents drawn again and again with replacement."""
    low, high = np.quantile(above[draws].mean(1) / below[draws].mean(1), [0.025, 0.975])
    put_all(**{name: above.mean() / below.mean(), f"{name}_low": low, f"{name}_high": high})


order = gptq.sort_values(N)["model"].unique()
small, large, last = order[0], order[-1], gptq["step"].max()
first_late = gptq.loc[gptq["tokens_seen"] > LATE_TOKENS, "step"].min()
glue_ratio("rise_small", per_document(small, last, 3), per_document(small, first_late, 3))
glue_ratio("rise_large", per_document(large, last, 3), per_document(large, first_late, 3))
glue_ratio("fall_size", per_document(small, last, 3), per_document(large, last, 3))
glue_ratio("fall_bits", per_document(large, last, 2), per_document(large, last, 3))
glue_ratio("fall_bits_again", per_document(large, last, 3), per_document(large, last, 4))

# %% tags=["remove-cell"]
late = gptq[gptq["tokens_seen"] > LATE_TOKENS].sort_values("tokens_seen")
changes = late.groupby(["model", "bits"])["qid_nats"].diff().dropna()
whole_way = late.groupby(["model", "bits"])["qid_nats"].agg(["first", "last"])
at_end = gptq[gptq["step"] == last].pivot(index=N, columns="bits", values="qid_nats")
at_start = gptq[gptq["step"] == gptq["step"].min()].pivot(index=N, columns="bits", values="qid_nats")
assert (whole_way["last"] > whole_way["first"]).all(), "the text says that QiD rises with tokens"
assert (np.diff(at_end, axis=0) < 0).all(), "the text says that QiD falls with size"
assert (np.diff(at_end, axis=1) < 0).all(), "the text says that QiD falls with bits"
assert (at_start.iloc[0] < at_start.iloc[-1]).all(), "the text says that sizes stand the other way round at first"
assert (changes > 0).mean() > 0.9, "the text says that QiD rises nearly every time"
assert late["learning_rate"].nunique() == 1, "the text says that the learning rate is constant"
in_first_pass = late.loc[changes.index, "epochs"] <= 1
numbers = {
    "n_checkpoints": gptq.groupby("model")["step"].nunique().min(),
    "n_sizes": gptq[N].nunique(),
    "size_factor": gptq[N].max() / gptq[N].min(),
    "smallest": count_label(gptq[N].min()),
    "largest": count_label(gptq[N].max()),
    "late_tokens": count_label(late["tokens_seen"].min()),
    "last_tokens": count_label(late["tokens_seen"].max()),
    "tokens_factor": late["tokens_seen"].max() / late["tokens_seen"].min(),
    "n_lines": len(whole_way),
    "n_changes": len(changes),
    "n_rises": int((changes > 0).sum()),
    "n_changes_once": int(in_first_pass.sum()),
    "n_rises_once": int((changes[in_first_pass] > 0).sum()),
    "unique_tokens": count_label(late["unique_tokens"].iloc[0]),
    "epochs": late["epochs"].max(),
    "learning_rate": late["learning_rate"].iloc[0],
    "ratio_smallest": gptq["tokens_seen"].max() / gptq[N].min(),
    "ratio_largest": gptq["tokens_seen"].max() / gptq[N].max(),
}
put_all(**numbers)

# %% [markdown]
# In numbers, at 3 bits unless said otherwise, each with its 95% interval over documents:
#
# - **Tokens.** From {glue:text}`late_tokens:s` to {glue:text}`last_tokens:s` tokens, {glue:text}`tokens_factor:.1f` times as many,
#   QiD grows by a factor of {glue:text}`rise_small:.2f` ({glue:text}`rise_small_low:.2f` to {glue:text}`rise_small_high:.2f`) in the smallest
#   model, and by {glue:text}`rise_large:.2f` ({glue:text}`rise_large_low:.2f` to {glue:text}`rise_large_high:.2f`) in the largest. All
#   {glue:text}`n_lines:d` pairs of a size and a bit width end higher than they began. From one checkpoint to the next QiD rose
#   {glue:text}`n_rises:d` times out of {glue:text}`n_changes:d`.
# - **Size.** At {glue:text}`last_tokens:s` tokens the smallest model, {glue:text}`size_factor:.0f` times smaller than the largest, loses
#   {glue:text}`fall_size:.1f` times as much ({glue:text}`fall_size_low:.1f` to {glue:text}`fall_size_high:.1f`). At equal tokens every larger
#   size loses less than the one before; at equal tokens *per parameter* larger models lose no less ({doc}`chapter 9 <09-extrapolation>`).
# - **Bits.** In the largest model 2 bits lose {glue:text}`fall_bits:.1f` times as much as 3 ({glue:text}`fall_bits_low:.1f` to
#   {glue:text}`fall_bits_high:.1f`), and 3 lose {glue:text}`fall_bits_again:.1f` times as much as 4
#   ({glue:text}`fall_bits_again_low:.1f` to {glue:text}`fall_bits_again_high:.1f`).
#
# The first line is the surprising one. The better a model is trained, the more it has to lose.
#
# ## Why it matters

# %% tags=["remove-cell"]
future = {"tokens": 1e14, "n_params": 7e9}
law_range = OUYANG_2024.validity
numbers = {
    "ouyang_beta": OUYANG_2024.beta,
    "ouyang_alpha": OUYANG_2024.alpha,
    "ouyang_gamma": OUYANG_2024.gamma,
    "ouyang_checkpoints": 1500,  # more than; abstract of the paper
    "doubling": 2**OUYANG_2024.beta,
    "tenfold": 10**OUYANG_2024.alpha,
    "future_size": count_label(future["n_params"]),
    "future_tokens": count_label(future["tokens"]),
    "future_qid": float(OUYANG_2024.predict(**future, bits=4)),
    "future_factor": math.exp(OUYANG_2024.predict(**future, bits=4)),
    "future_table": float(OUYANG_2024_TABLE_1[4].predict(**future, bits=4)),
    "fitted_to_tokens": count_label(law_range.tokens[1]),
    "beyond": future["tokens"] / law_range.tokens[1],
    "kumar_tokens": 0.5068,  # Kumar et al., table 2: the exponent of D, that of N, and the scale of P in bits
    "kumar_size": 0.3439,
    "kumar_bits": 0.5907,
}
put_all(**numbers)

# %% [markdown]
# Models are trained on more tokens every year, and many are then rounded to be served. If QiD grows with tokens, the two habits work against each other.
# {cite:t}`ouyang2025lowbit` made more than {glue:text}`ouyang_checkpoints:d` quantized checkpoints (a checkpoint counts once for each
# bit width) of the public Pythia models
# {cite:p}`biderman2023pythia` and put what they saw into one law,
#
# $$
# \Delta L = k \, \frac{D^{\beta}}{N^{\alpha} P^{\gamma}},
# $$ (eq-claim)
#
# with $D$ the training tokens, $N$ the parameters without embeddings and $P$ the bits. Their exponents are
# $\beta$ = {glue:text}`ouyang_beta:.2f`, $\alpha$ = {glue:text}`ouyang_alpha:.2f` and $\gamma$ = {glue:text}`ouyang_gamma:.2f`. Twice the
# tokens mean {glue:text}`doubling:.2f` times the QiD; ten times the size divides it by {glue:text}`tenfold:.2f`.
# A model of {glue:text}`future_size:s` parameters trained on {glue:text}`future_tokens:s` tokens would lose
# {glue:text}`future_qid:.2f` nats per token at 4 bits: its perplexity would be {glue:text}`future_factor:.1f` times as high.
#
# Two cautions belong next to that number. It lies {glue:text}`beyond:.0f` times beyond the {glue:text}`fitted_to_tokens:s` tokens that the law was
# fitted to. And the paper's own table of predictions follows another curve, one for each bit width, which gives {glue:text}`future_table:.2f` for the
# same model. {doc}`Chapter 6 <06-published-tables>` returns to this.
#
# {cite:t}`kumar2025precision` came to a similar place from other data. They trained each model to its end before rounding it, and their
# exponents are {glue:text}`kumar_tokens:.2f` for tokens and {glue:text}`kumar_size:.2f` for size. In the bits they prefer an
# exponential, $e^{-P/\gamma_{\mathrm{post}}}$ with $\gamma_{\mathrm{post}}$ = {glue:text}`kumar_bits:.2f` bits, to a power.
#
# ## A dispute
#
# Is it really the tokens? The Pythia checkpoints come from one run each, in which the learning rate falls along a cosine from
# beginning to end. A later checkpoint has seen more tokens, and it was also made at a lower learning rate: at the last step of the fit,
# {glue:text}`03-checkpoints.ipynb::pythia_lr_at_cut:.0%` of its peak. Whoever compares two checkpoints of such a run changes both at once.
#
# {cite:t}`catalan2025dynamics` took the two apart. In the public runs they looked at whose learning rate stays constant for a long time, the error of
# rounding hardly grows in that time. It jumps when the learning rate comes down at the end. In runs of their own it didn't matter how many tokens had
# gone by before the rate came down. Part of what looks like an effect of tokens may thus be an effect of decay.
#
# The tadpoles were made with this dispute in mind. The trunk's learning rate is constant after a short warm-up, {glue:text}`learning_rate:.3f` in
# every model. All sizes read the same batches in the same order. From {glue:text}`late_tokens:s` tokens on, nothing is turned down
# while $D$ grows, and QiD still grows. So decay is not *needed* for the effect, at this scale. What does it add? From
# {glue:text}`n_branch_points:d` moments of the trunk, short branches were trained in which the rate falls to zero.

# %% tags=["hide-input"]
ends = degradation(rows_of_every_run(measured).query("schedule == 'cooldown' and learning_rate == 0"))
ends = rows_of_fit(ends, "gptq", group_size=32, symmetric=False).query("bits <= 4").sort_values([N, "step"])
keys, value = ["model", "step", "bits"], ["qid_nats", "document_qid_nats"]
beside = ends.merge(gptq[keys + value], on=keys, suffixes=("", "_constant"), validate="1:1")
by_branch = beside.pivot(index=["model", "bits"], columns="step", values="qid_nats")
at_3 = beside[beside["bits"] == 3]
largest = at_3.iloc[-1]  # the last branch of the largest model that has branches
from_first = at_3[at_3["model"] == largest.model].iloc[0]
glue_ratio("rise_decayed", largest.document_qid_nats, from_first.document_qid_nats)

# %% tags=["remove-cell"]
assert len(beside) == len(ends), "the text compares each branch with the trunk at the same tokens"
assert (by_branch.iloc[:, -1] > by_branch.iloc[:, 0]).all(), "the text says that a later branch ends at a higher QiD"
assert (by_branch.count(axis=1) == by_branch.shape[1]).all()
assert largest.model != large, "the text calls it the largest of those that branched"
numbers = {
    "n_branch_points": by_branch.shape[1],
    "n_branches": at_3["run_label"].nunique(),
    "n_branched": at_3["model"].nunique(),
    "branched_largest": count_label(largest[N]),
    "n_pairs_added": int((beside["qid_nats"] > beside["qid_nats_constant"]).sum()),
    "n_pairs": len(beside),
    "first_end": count_label(from_first.tokens_seen),
    "last_end": count_label(largest.tokens_seen),
    "n_pairs_decayed": len(by_branch),
}
put_all(**numbers)

# %% [markdown]
# There are {glue:text}`n_branches:d` such branches, of {glue:text}`n_branched:d` sizes. At the same tokens QiD at their ends is higher than
# the trunk's in {glue:text}`n_pairs_added:d` of {glue:text}`n_pairs:d` pairs of a branch and a bit width. So decay does add: with the
# cooldowns of larger models counted too, it multiplies QiD at 3 bits by {glue:text}`92-what-else-moves-qid.ipynb::decay_least:.1f` to
# {glue:text}`92-what-else-moves-qid.ipynb::decay_most:.1f`, by {glue:text}`92-what-else-moves-qid.ipynb::decay_large_ratio:.2f`
# [{glue:text}`92-what-else-moves-qid.ipynb::decay_large_low:.2f`, {glue:text}`92-what-else-moves-qid.ipynb::decay_large_high:.2f`] at
# {glue:text}`92-what-else-moves-qid.ipynb::decay_large_tokens:s` tokens and {glue:text}`92-what-else-moves-qid.ipynb::decay_large_size:s` parameters and by
# {glue:text}`92-what-else-moves-qid.ipynb::decay_late_ratio:.2f` [{glue:text}`92-what-else-moves-qid.ipynb::decay_late_low:.2f`,
# {glue:text}`92-what-else-moves-qid.ipynb::decay_late_high:.2f`] at {glue:text}`92-what-else-moves-qid.ipynb::decay_late_tokens:s` and
# {glue:text}`92-what-else-moves-qid.ipynb::decay_late_size:s` (over training runs, {doc}`chapter 7 <07-tokens-or-decay>`). In these runs
# it also matters how many tokens had gone by: the branch of the largest of them, {glue:text}`branched_largest:s` parameters, that ends after {glue:text}`last_end:s` tokens has
# {glue:text}`rise_decayed:.2f` times ({glue:text}`rise_decayed_low:.2f` to {glue:text}`rise_decayed_high:.2f`) the QiD of the one that ends after
# {glue:text}`first_end:s`, and in all {glue:text}`n_pairs_decayed:d` pairs of a size and a bit width the last branch ends higher than the first.
# Whether the growth would go on for a thousand times as many tokens, these runs can't say: the two sides may well both be right, at different stages
# of training.
#
# ## Where the book goes
#
# Next, {doc}`chapter 2 <02-rounding>` rounds a matrix by hand, and then a real layer. {doc}`Chapter 4 <04-degradation>` measures QiD along
# tokens, size and bits. {doc}`Chapter 7 <07-tokens-or-decay>` takes the dispute apart, claim by claim, and
# {doc}`chapter 12 <12-why>` asks why QiD grows. Whoever has a model to round goes to {doc}`chapter 19 <19-your-model>`, whoever wants the law of
# {eq}`eq-claim` to {doc}`chapter 5 <05-unified-law>`, and whoever doubts a number to {doc}`chapter 3 <03-checkpoints>`.
#
# ## What this does not show
#
# - QiD is a mean over tokens. It doesn't say which tokens suffer, nor what happens to the answers that people want from a model.
# - The intervals above come from the documents. Another training run, or another sample of text to calibrate on, would move the numbers too;
#   {doc}`chapter 4 <04-degradation>`, {doc}`chapter 5 <05-unified-law>` and the {doc}`noise floor <11-noise-floor>` look at that.
# - The training text holds {glue:text}`unique_tokens:s` tokens, so the later checkpoints have read it again, up to {glue:text}`epochs:.1f` times in
#   all. Within the first pass QiD rose {glue:text}`n_rises_once:d` times out of {glue:text}`n_changes_once:d`. Whether fresh text in place of the
#   repetition would give the same numbers, these runs can't say.
# - The tadpoles are tiny, {glue:text}`smallest:s` to {glue:text}`largest:s` parameters, and read only code. They were given from
#   {glue:text}`ratio_largest:.0f` tokens a parameter (the largest) to {glue:text}`ratio_smallest:,.0f` (the smallest). At equal tokens a larger model
#   is further from the end of its learning, and that is part of what "size" means here.
#
# ## Exercises

# %% tags=["remove-cell"]
exercise = {"qid": 0.05, "bytes": 4.0}
lowest = every_width.loc[every_width["qid_nats"].idxmin()]
below_zero = every_width[every_width["qid_nats"] < 0]
numbers = {
    "ex_qid": exercise["qid"],
    "ex_bytes": exercise["bytes"],
    "ex_factor": math.exp(exercise["qid"]),
    "ex_percent": math.exp(exercise["qid"]) - 1,
    "ex_bits_per_byte": exercise["qid"] / (exercise["bytes"] * math.log(2)),
    "ex_model": lowest.model,
    "ex_tokens": count_label(lowest.tokens_seen),
    "ex_bits": int(lowest.bits),
    "ex_better": int((lowest.document_qid_nats < 0).sum()),
    "ex_lowest": float(lowest.qid_nats),
    "ex_lowest_se": float(lowest.qid_se_nats),
    "ex_n_below": len(below_zero),
    "ex_n_all": len(every_width),
    "ex_fewest_bits": int(below_zero["bits"].min()),
}
assert numbers["ex_better"] > 0, "the answer says that some documents got better"
assert numbers["ex_lowest"] < 0, "the answer says that the mean of all is negative"
put_all(**numbers)

# %% [markdown]
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
# Yes, for both. Rounding moves the weights a little in a direction that training didn't choose, and on some text this helps by chance. The trunk was
# rounded to more bits than this chapter shows, where QiD is close to zero. Its lowest QiD is that of {glue:text}`ex_model:s` after
# {glue:text}`ex_tokens:s` tokens at {glue:text}`ex_bits:d` bits: {glue:text}`ex_lowest:.5f` ± {glue:text}`ex_lowest_se:.5f` nats per token, with
# {glue:text}`ex_better:d` of {glue:text}`n_documents:d` documents below zero. Of {glue:text}`ex_n_all:d` means {glue:text}`ex_n_below:d` are negative, all with
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
