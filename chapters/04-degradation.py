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
# # Degradation
#
# *How does QiD move with tokens, size and bits?*
#
# A checkpoint can be rounded in many ways, and a family has many checkpoints. This chapter rounds all of them and looks at
# the result along one variable at a time. No formula is fitted yet; that is {doc}`the next chapter's <05-unified-law>` business.
#
# {cite:t}`ouyang2025lowbit` lead us to expect three things. QiD should rise with the training tokens $D$. It should fall with the
# size $N$. And it should fall with the bits $P$ that are kept. We count how often that is so.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import dataclasses
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from myst_nb import glue

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here

from transformers.utils.logging import disable_progress_bar

from helpers.analyse import comparison_figures, figures
from helpers.analyse.comparisons import (
    agreement_in_seeds,
    calibration_spread,
    commonest_scheme,
    qid_ratio,
    rows_named,
    trends,
)
from helpers.analyse.degradation import AnalysisError, degradation, device_agreement, rows_of_fit, study_rows
from helpers.analyse.style import count_label, use_house_style
from helpers.analyse.tables import agreement_table, ratio_table
from helpers.measure.sweep import plan, read_sweep, reader_console, run_sweep
from helpers.specs import QuantScheme

use_house_style()
disable_progress_bar()  # of loading weights: the sweep has its own


def put(name, value):
    glue(name, value.item() if isinstance(value, np.generic) else value, display=False)


SIZE, TOKENS = "n_params_non_embedding", "tokens_seen"
EARLY_TOKENS = 60e6

# %% [markdown]
# ## Measure
#
# The next cell runs the sweep that this page was made with. It loads each checkpoint, measures its 16-bit loss, rounds its
# linear layers with each scheme, and measures the loss again. What was measured before is not measured twice.

# %% tags=["remove-stdout"]
table, records = Path(results_path), Path("results/measurements")
report = run_sweep(Path(sweep), device, table, records, reader_console())
if report.failures:
    raise RuntimeError("; ".join(report.failures))
put("sweep_rows", report.n_measured + report.n_present)

# %% tags=["hide-input"]
jobs = plan(read_sweep(Path(sweep)))
names = ["method", "bits", "group_size", "symmetric", "calib_sequences", "calib_seed"]
wanted = pd.DataFrame(
    {"family": job.checkpoint.family, "model": job.checkpoint.model, "step": job.checkpoint.step, "device_type": device}
    | {"n_sequences": read_sweep(Path(sweep)).evaluation.sequences}
    | {name: dataclasses.asdict(scheme)[name] for name in names}
    for job in jobs
    for scheme in (QuantScheme(), *job.schemes)
)
local = rows_named(pd.read_parquet(results_path), wanted)
mine = degradation(local)
mine_gptq = commonest_scheme(mine, "gptq")
put("sweep_checkpoints", mine["checkpoint_id"].nunique())
put("sweep_models", mine["model"].nunique())
put("sweep_minutes", local["wall_seconds"].sum() / 60)
put("sweep_documents", int(mine["n_documents"].max()))
put("sweep_tokens", int(mine["n_tokens"].max()))

# %% [markdown]
# The sweep holds {glue:text}`sweep_rows:d` measurements of {glue:text}`sweep_checkpoints:d` checkpoints of
# {glue:text}`sweep_models:d` models. Measuring them took this machine {glue:text}`sweep_minutes:.1f` minutes.
#
# ## One number and its error
#
# QiD is a difference of two mean losses, in nats per token (see {doc}`01-the-question`). Both models read the same
# {glue:text}`sweep_tokens:,d` tokens, cut from {glue:text}`sweep_documents:d` documents. So we take the difference document by
# document first:
#
# $$
# \begin{aligned}
# \Delta L &= \frac{1}{n} \sum_{i=1}^{n} \Delta L_i, \\
# \mathrm{se} &= \sqrt{\frac{1}{n (n-1)} \sum_{i=1}^{n} (\Delta L_i - \Delta L)^2},
# \end{aligned}
# $$ (eq-paired)
#
# with $\Delta L_i$ the QiD of document $i$ and $n$ the number of documents. This is the *paired* error. A document that is hard for
# one model is hard for the other, and that part cancels. The documents are the units because tokens of one file are not
# independent.

# %%
bits_nearest_3 = min(mine_gptq["bits"].unique(), key=lambda bits: abs(bits - 3))
example = mine_gptq[mine_gptq["bits"] == bits_nearest_3]
example = example.sort_values([SIZE, TOKENS]).iloc[-1]
rounded_losses = np.asarray(example["group_loss"])  # one mean loss a document
losses = rounded_losses - example["document_qid_nats"]  # of the 16-bit model
unpaired = np.hypot(losses.std(ddof=1), rounded_losses.std(ddof=1))
unpaired = unpaired / np.sqrt(example["n_documents"])

# %% tags=["remove-cell"]
put("example_bits", bits_nearest_3)
put("example_model", example["model"])
put("example_tokens", count_label(example[TOKENS]))
put("example_qid", example["qid_nats"])
put("example_se", example["qid_se_nats"])
put("example_unpaired", unpaired)
put("example_gain", unpaired / example["qid_se_nats"])
put("example_perplexity", np.expm1(example["qid_nats"]))

# %% [markdown]
# One example: {glue:text}`example_model:s` after {glue:text}`example_tokens:s` tokens, rounded to
# {glue:text}`example_bits:.0f` bits with GPTQ. Its QiD is
# {glue:text}`example_qid:.4f` ± {glue:text}`example_se:.4f` nats per token; its perplexity grew by
# {glue:text}`example_perplexity:.1%`. Taken as a difference of two separate means, the same number would carry an error of
# ± {glue:text}`example_unpaired:.4f`, {glue:text}`example_gain:.0f` times as large.
#
# ## The rows of this machine

# %% tags=["remove-cell"]
mine_trends = trends(mine_gptq, TOKENS, ["model", "train_seed", "bits"])
put("fig_mine", figures.qid_against_tokens(mine_gptq))
plt.close("all")
put("mine_series", len(mine_trends))
put("mine_rising", int((mine_trends["change_nats"] > 2 * mine_trends["change_se_nats"]).sum()))
put("mine_steps", int(mine_trends["n_steps"].sum()))
put("mine_up", int(mine_trends["n_up"].sum()))
put("mine_low", count_label(mine_gptq[TOKENS].min()))
put("mine_high", count_label(mine_gptq[TOKENS].max()))

# %% [markdown]
# ```{glue:figure} fig_mine
# :name: fig-mine
# :alt: QiD against training tokens on logarithmic axes, one panel for each bit width and one line for each model that this machine measured.
#
# Measured on this machine, GPTQ: QiD rises from the first to the last checkpoint, by more than twice the error of the change, in
# {glue:text}`mine_rising:d` of {glue:text}`mine_series:d` series. Bars: one paired error.
# ```
#
# {numref}`fig-mine` runs from {glue:text}`mine_low:s` to {glue:text}`mine_high:s` tokens. From one checkpoint to the next QiD
# goes up in {glue:text}`mine_up:d` of {glue:text}`mine_steps:d` steps.
#
# ## The study: more sizes
#
# A GPU measured the whole family, with {glue:text}`study_sizes:d` sizes from {glue:text}`study_smallest:s` to {glue:text}`study_largest:s` parameters, {glue:text}`study_checkpoints:d` checkpoints and
# more text for evaluation and calibration than the pocket sweep. These rows came with the book. Every size saw the same batches at the same learning rate, so that $N$ is not mixed up with either.

# %%
measured = pd.read_parquet("results/measurements.parquet")
study = degradation(study_rows(measured))
gptq = rows_of_fit(study, "gptq", 32, symmetric=False)
late = gptq[gptq[TOKENS] > EARLY_TOKENS]

# %% tags=["remove-cell"]
sizes = np.sort(gptq[SIZE].unique())
put("study_rows", len(gptq))
put("study_sizes", len(sizes))
put("study_checkpoints", gptq["checkpoint_id"].nunique())
put("study_smallest", count_label(sizes[0]))
put("study_largest", count_label(sizes[-1]))
put("study_growth", sizes[-1] / sizes[0])
put("early_tokens", count_label(EARLY_TOKENS))
put("late_first", count_label(late[TOKENS].min()))
put("late_last", count_label(late[TOKENS].max()))
by_tokens = trends(late, TOKENS, ["model", SIZE, "bits"])
put("tokens_series", len(by_tokens))
put("tokens_rising", int((by_tokens["change_nats"] > 3 * by_tokens["change_se_nats"]).sum()))
put("tokens_steps", int(by_tokens["n_steps"].sum()))
put("tokens_up", int(by_tokens["n_up"].sum()))
put("tokens_down", int((by_tokens["n_steps"] - by_tokens["n_up"]).sum()))
assert (by_tokens["change_nats"] > 3 * by_tokens["change_se_nats"]).all(), "the text says that all series rise"
put("fig_tokens", figures.qid_against_tokens(gptq))
plt.close("all")

# %% [markdown]
# ### Tokens
#
# ```{glue:figure} fig_tokens
# :name: fig-tokens
# :alt: QiD against training tokens on logarithmic axes in three panels for 2, 3 and 4 bits, one line for each of six sizes. All lines rise after about 60 million tokens, those of small models more steeply. Before that the small models lie below the large ones.
#
# Beyond {glue:text}`early_tokens:s` tokens QiD rises with training at every size and bit width. Small models rise more steeply; early in
# training the order of the sizes is turned over. GPTQ, group 32, asymmetric; bars: one paired error.
# ```
#
# From {glue:text}`late_first:s` to {glue:text}`late_last:s` tokens QiD rises in all {glue:text}`tokens_rising:d` of
# {glue:text}`tokens_series:d` series of {numref}`fig-tokens`, each time by more than three errors of the change. Step by step it rises
# {glue:text}`tokens_up:d` times in {glue:text}`tokens_steps:d` and falls {glue:text}`tokens_down:d` times. A late step is
# small, and the mere choice of calibration text moves QiD by some percent, as we shall see.

# %% tags=["remove-cell"]
early = gptq[gptq[TOKENS] < EARLY_TOKENS]
largest = early[(early[SIZE] == sizes[-1]) & (early["bits"] == 2)].sort_values(TOKENS)
dip = largest.loc[largest["qid_nats"].idxmin()]
early_trends = trends(early, TOKENS, ["model", SIZE, "bits"])
put("early_steps", int(early_trends["n_steps"].sum()))
put("early_down", int((early_trends["n_steps"] - early_trends["n_up"]).sum()))
put("large_first_tokens", count_label(largest[TOKENS].iloc[0]))
put("large_first", largest["qid_nats"].iloc[0])
put("large_dip_tokens", count_label(dip[TOKENS]))
put("large_dip", dip["qid_nats"])
put("large_early_last", largest["qid_nats"].iloc[-1])
put("large_early_last_tokens", count_label(largest[TOKENS].iloc[-1]))
assert dip["qid_nats"] < largest["qid_nats"].iloc[0] < largest["qid_nats"].iloc[-1]
falling_models = early_trends[early_trends["n_up"] < early_trends["n_steps"]][SIZE]
put("early_down_smallest", count_label(falling_models.min()))

# %% [markdown]
# ### Before {glue:text}`early_tokens:s` tokens
#
# Early in training another story is told. The 2-bit QiD of the largest model *falls* from {glue:text}`large_first:.3f` at
# {glue:text}`large_first_tokens:s` tokens to {glue:text}`large_dip:.3f` at {glue:text}`large_dip_tokens:s`, and reaches
# {glue:text}`large_early_last:.3f` at {glue:text}`large_early_last_tokens:s`. Of all {glue:text}`early_steps:d` early steps,
# {glue:text}`early_down:d` go down, none in a model below {glue:text}`early_down_smallest:s` parameters. The learning rate warms up in
# part of this time, and the model learns what is easy. A power of $D$ through all of it would be a bad summary, so that the
# next chapter fits beyond {glue:text}`early_tokens:s` tokens, and shows what that choice does.
#
# ### Size

# %% tags=["remove-cell"]
by_size = trends(gptq, SIZE, [TOKENS, "bits"])
late_by_size = by_size[by_size[TOKENS] > EARLY_TOKENS]
first_tokens = by_size[by_size[TOKENS] == by_size[TOKENS].min()]
helpful = by_size.groupby(TOKENS)["change_nats"].max() < 0
put("size_series", len(late_by_size))
put("size_falling", int((late_by_size["change_nats"] < -3 * late_by_size["change_se_nats"]).sum()))
put("size_steps", int(late_by_size["n_steps"].sum()))
put("size_down", int((late_by_size["n_steps"] - late_by_size["n_up"]).sum()))
put("size_first_rising", int((first_tokens["change_nats"] > 0).sum()))
put("size_first_series", len(first_tokens))
put("size_first_tokens", count_label(first_tokens[TOKENS].iloc[0]))
put("size_helps_from", count_label(helpful[helpful].index.min()))
assert (late_by_size["change_nats"] < -3 * late_by_size["change_se_nats"]).all()
assert (first_tokens["change_nats"] > 0).all()
chosen = np.sort(gptq[TOKENS].unique())[[0, 2, 4, 5, 7, 9]]
put("fig_size", comparison_figures.qid_against_size_by_tokens(gptq[gptq[TOKENS].isin(chosen)]))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_size
# :name: fig-size
# :alt: QiD against size on logarithmic axes in three panels for 2, 3 and 4 bits, one line for each of six numbers of training tokens. The lines of few tokens rise with size, those of many tokens fall.
#
# Size protects a model that has been trained long. At the fewest tokens the lines rise with $N$; at the most they fall.
# ```
#
# Beyond {glue:text}`early_tokens:s` tokens the largest model has a lower QiD than the smallest in {glue:text}`size_falling:d` of
# {glue:text}`size_series:d` combinations of tokens and bits. Step by step from one size to the next, QiD falls
# {glue:text}`size_down:d` times in {glue:text}`size_steps:d`. But at {glue:text}`size_first_tokens:s` tokens it is the other way round:
# the largest model loses *more* than the smallest, at {glue:text}`size_first_rising:d` of {glue:text}`size_first_series:d` bit
# widths. The largest loses less at every bit width from {glue:text}`size_helps_from:s` tokens on. One way to read it: a small model that has
# hardly begun to learn has little to lose. These rows alone don't prove it.
#
# ### Bits

# %% tags=["remove-cell"]
by_bits = trends(gptq, "bits", [SIZE, TOKENS])
last = gptq[gptq[TOKENS] == gptq[TOKENS].max()]
steep = -by_bits[by_bits[TOKENS] > EARLY_TOKENS]["exponent"]
pairs = gptq.pivot(index=[SIZE, TOKENS], columns="bits", values="qid_nats").loc[
    (slice(None), slice(EARLY_TOKENS, None)), :
]
put("bits_series", len(by_bits))
put("bits_falling", int((by_bits["n_up"] == 0).sum()))
put("bit_32", (pairs[2] / pairs[3]).median())
put("bit_43", (pairs[3] / pairs[4]).median())
put("bits_steep_low", steep.min())
put("bits_steep_high", steep.max())
assert (by_bits["n_up"] == 0).all()
assert (pairs[2] > 2 * pairs[3]).all()
assert (pairs[3] > 2 * pairs[4]).all()
axes = figures.qid_against_bits(last)
put("fig_bits", axes.figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_bits
# :name: fig-bits
# :alt: QiD against bit width on a logarithmic vertical axis at the last checkpoint, one line for each of six sizes. All lines fall, nearly in parallel.
#
# The third bit takes away most of the loss and the fourth most of the rest, at every size. Last checkpoint.
# ```
#
# QiD falls with each bit at all {glue:text}`bits_falling:d` of {glue:text}`bits_series:d` checkpoints. The third bit divides it by
# {glue:text}`bit_32:.1f`, the fourth by {glue:text}`bit_43:.1f` (medians beyond {glue:text}`early_tokens:s` tokens). Written as a
# power of $P$, that is an exponent between {glue:text}`bits_steep_low:.1f` and {glue:text}`bits_steep_high:.1f`. Of the three
# variables the bits weigh most, and act most alike everywhere.
#
# ## Does the way of rounding matter?

# %% tags=["remove-cell"]
rtn = qid_ratio(rows_of_fit(study, "rtn", 32, symmetric=False), gptq)
put("rtn_rows", len(rtn))
put("rtn_worse", int((rtn["ratio"] > 1).sum()))
for bits, rows in rtn.groupby("bits"):
    put(f"rtn_ratio_{bits:g}", rows["ratio"].median())
rtn_trends = trends(study[(study["method"] == "rtn") & (study[TOKENS] > EARLY_TOKENS)], TOKENS, ["model", "bits"])
put("rtn_series", len(rtn_trends))
put("rtn_rising", int((rtn_trends["change_nats"] > 0).sum()))
put("fig_rtn", comparison_figures.ratio_against_tokens(rtn, "QiD of RTN / QiD of GPTQ (factor)"))
plt.close("all")
assert (rtn["ratio"] > 1).all()
assert (rtn_trends["change_nats"] > 0).all()
assert rtn.groupby("bits")["ratio"].median().between(1.75, 2.5).all(), "the caption says: about twice"

# %% [markdown]
# ```{glue:figure} fig_rtn
# :name: fig-rtn
# :alt: Ratio of the QiD of round-to-nearest to that of GPTQ against training tokens, three panels for 2, 3 and 4 bits, one line for each size; all points lie above one, most between 1.5 and 4.
#
# Round-to-nearest (RTN) loses more than GPTQ on every checkpoint, about twice as much.
# ```
#
# RTN loses more than GPTQ in {glue:text}`rtn_worse:d` of {glue:text}`rtn_rows:d` rows. The median ratio is
# {glue:text}`rtn_ratio_2:.1f` at 2 bits, {glue:text}`rtn_ratio_3:.1f` at 3 and {glue:text}`rtn_ratio_4:.1f` at 4. RTN needs no calibration
# text, and yet QiD rises with tokens in {glue:text}`rtn_rising:d` of its {glue:text}`rtn_series:d` series. So the rise is not something
# that GPTQ or its calibration makes.
#
# A group of weights shares one scale and one zero point. The table compares group 128 with group 32, asymmetric: the ratio of the QiDs,
# as a median with its 10% and 90% quantiles.

# %% tags=["hide-input"]
coarse = {
    f"group 128, {'symmetric' if symmetric else 'asymmetric'}": qid_ratio(
        rows_of_fit(study, "gptq", 128, symmetric), gptq
    )
    for symmetric in (False, True)
}
ratio_table(coarse)

# %% tags=["remove-cell"]
put("group_models", coarse["group 128, asymmetric"]["model"].nunique())
put("group_rows", sum(len(rows) for rows in coarse.values()))
put("group_worse", int(sum((rows["ratio"] > 1).sum() for rows in coarse.values())))
assert all((rows.groupby("bits")["ratio"].median() > 1).all() for rows in coarse.values())

# %% [markdown]
# Larger groups raise QiD, and a symmetric grid raises it further; {glue:text}`group_worse:d` of {glue:text}`group_rows:d` ratios are above one. Only {glue:text}`group_models:d` models have a
# width that 128 divides. Group 32 spends more bits on scales: this is the price of the lower QiD, and "2 bits" in this
# chapter does not count it.
#
# ## Does this machine agree with the stored rows?
#
# The same checkpoints were rounded and scored on the GPU with the same settings as here. If measuring is reproducible, both must
# give the same QiD. "The same" needs a yardstick. We take the calibration text: drawn anew with another seed, it gives another
# GPTQ and another QiD, and no seed is better than the other. The pocket models were rounded on the GPU with several seeds at
# their last checkpoint.

# %% tags=["remove-input"]
on_gpu = measured[measured["device_type"] == "cuda"]
same_text = degradation(on_gpu[on_gpu["eval_id"].isin(mine["eval_id"])])
try:
    seeds = calibration_spread(same_text[same_text["method"] == "gptq"])
    agreement = agreement_in_seeds(device_agreement(mine, same_text), seeds)
except AnalysisError as error:
    agreement = None
    display(Markdown(f"**There is no comparison for this sweep:** {error}."))

# %% tags=["remove-input"]
if agreement is not None:
    rounded = agreement[agreement["method"] == "gptq"]
    nearest = agreement[agreement["method"] == "rtn"]
    bases = local.merge(on_gpu, on=["checkpoint_id", "scheme_id", "eval_id"])
    bases = bases[bases["method_x"] == "none"]
    base_gap = (bases["loss_nats_x"] - bases["loss_nats_y"]).abs().max()
    within = (rounded["difference_in_seeds"].abs() < 2).sum()
    spreads = ", ".join(f"{row.relative_sd:.1%} at {bits:g} bits" for bits, row in seeds.iterrows())
    worst = rounded.loc[rounded["difference_in_seeds"].abs().idxmax()]
    same = rounded["difference_nats"].abs() < 1e-5
    rtn_gap = nearest["difference_nats"].abs().max()
    by_rtn = f", and the QiD of {len(nearest)} RTN rows by at most {rtn_gap:.0e}" if len(nearest) else ""
    display(
        Markdown(
            f"**What agrees exactly.** The 16-bit losses of {len(bases)} checkpoints differ by at most {base_gap:.0e} nats per token{by_rtn}. "
            f"That is single precision. Of {len(rounded)} GPTQ rows, {same.sum()} agree to less than 0.00001 nats.\n\n"
            f"**What doesn't.** The other {(~same).sum()} differ by up to {rounded['difference_nats'].abs().max():.3f} nats (median "
            f"{rounded['difference_nats'][~same].abs().median():.4f}), and by up to "
            f"{rounded['difference_in_own_se'][~same].abs().max():.0f} times the paired error of the difference. Farthest off relative to its size is "
            f"`{worst['model']}` after {count_label(worst[TOKENS])} tokens at {worst['bits']:g} bits: {worst['qid_nats_cpu']:.4f} here and "
            f"{worst['qid_nats_cuda']:.4f} in the table.\n\n"
            f"**Does it matter?** Between calibration seeds QiD scatters by {spreads} (standard deviation relative to QiD). "
            f"{within} of {len(rounded)} rows differ between the machines by less than twice what two seeds typically differ by."
        )
    )

# %% tags=["remove-cell"]
if agreement is None:
    put("fig_devices", comparison_figures.note("No stored rows of this sweep's checkpoints to compare with"))
else:
    put("fig_devices", comparison_figures.device_differences(rounded).figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_devices
# :name: fig-devices
# :alt: Difference between the QiD of this machine and the stored one, in units of what two calibration seeds differ by, against training tokens, coloured by bits; a band marks minus two to two. Most points lie in the band.
#
# GPTQ on this machine against the stored rows, in units of the difference that two calibration seeds make. The band goes from −2 to 2.
# ```
#
# Why is RTN exact and GPTQ not? RTN decides each weight by itself, so that a difference in the ninth digit changes nothing unless a
# weight lies on the border of two grid points. GPTQ rounds column after column, and each decision moves what comes later. One weight that
# falls to the other side sends the rest of its row, and then the next block, another way. The result is another solution, about as
# good. Where no weight falls to the other side, the two agree to the last digits. The paired error doesn't know of this: it says how well one solution is measured on these documents, not how much
# another solution would differ.
#
# The table gives every checkpoint: QiD here, then its difference to the stored row, both in nats per token. In brackets stands the
# difference over its own paired error.

# %% tags=["remove-input"]
if agreement is not None:
    display(agreement_table(rounded))

# %% [markdown]
# ## What this does not show
#
# - **One run a size.** A second training run with another seed would move every line. How far, these rows can't say.
# - **A constant learning rate.** {cite:t}`catalan2025dynamics` find that error after rounding changes little while the rate is constant and
#   jumps when it decays. Here the rate is constant and QiD rises all the same; the decay is missing.
# - **One kind of text**, Python source, for training, calibration and evaluation.
# - **Small models.** The largest has {glue:text}`study_largest:s` parameters.
# - **Width alone.** The larger models are deeper as well as wider, so that $N$ means both.
#
# ## Exercises
#
# **1.** The first and the last checkpoint of a series share their documents. Is it right to add the two paired errors in quadrature to get the
# error of the change?
#
# ```{admonition} Answer
# :class: dropdown
#
# No. Documents that suffer from rounding early tend to suffer late as well. The differences of one document go together, so that
# the error of the change comes from $\Delta L_{i,\mathrm{last}} - \Delta L_{i,\mathrm{first}}$, document by document. That is what
# `trends` does.
# ```
#
# **2.** From which number of tokens on does the largest model lose less than the smallest at every bit width? And what would you say of a study that has
# one checkpoint only, before that point?
#
# ```{admonition} Answer
# :class: dropdown
#
# From {glue:text}`size_helps_from:s` tokens on. The study would report the sign of the size effect wrongly: at
# {glue:text}`size_first_tokens:s` tokens QiD rises with $N$ at {glue:text}`size_first_rising:d` of {glue:text}`size_first_series:d` bit widths.
# ```
#
# **3.** RTN at 3 bits or GPTQ at 2 bits: which loses less at the last checkpoint of the largest model? Take it from the median ratios above
# before you look.

# %% tags=["remove-cell"]
end = study[(study[SIZE] == sizes[-1]) & (study[TOKENS] == study[TOKENS].max()) & (study["group_size"] == 32)]
end = end.set_index(["method", "bits"])["qid_nats"]
put("end_rtn_3", end["rtn", 3])
put("end_gptq_2", end["gptq", 2])
assert end["rtn", 3] < end["gptq", 2]

# %% [markdown]
# ```{admonition} Answer
# :class: dropdown
#
# RTN at 3 bits: {glue:text}`end_rtn_3:.3f` against {glue:text}`end_gptq_2:.3f` nats per token. The third bit divides QiD by
# {glue:text}`bit_32:.1f`, GPTQ only by {glue:text}`rtn_ratio_3:.1f`. A bit is worth more than the better method.
# ```
