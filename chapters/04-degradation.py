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
# size $N$. And it should fall with the bits $P$ that are kept. We count how often that is so. Then we look at what else may move
# it: text that is read again, the learning rate and its decay, weight decay, the shape of the model, the training seed.
# {term}`Intervals <interval>` run over training runs, one a size, unless another thing is named; in the table of the study's other
# runs over documents.

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

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here

from transformers.utils.logging import disable_progress_bar

from helpers.analyse.questions.decay_surface import decay_surface, full_cooldowns
from helpers.analyse.questions.quadratic_rule import expected_ratio, exponents_by_width
from helpers.analyse.questions.trends import (
    bit_factors,
    loss_changes,
    slopes_by_pass,
    slopes_of_two_runs,
    spread_out,
    steps_up,
    trends,
)
from helpers.analyse.questions.twins import differences_of_runs, qid_ratio, ratios_to_twins
from helpers.analyse.questions.ways import text_losses
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.devices import agreement_in_seeds, device_agreement
from helpers.analyse.rows.noise import calibration_spread
from helpers.analyse.rows.outcomes import KL, QID
from helpers.analyse.rows.scored_text import scored_both_ways, scored_text_relative
from helpers.analyse.rows.second_runs import both_runs, one_run_scatter, whole_rows
from helpers.analyse.rows.selection import commonest_scheme, rows_named, rows_of_fit
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    HELDOUT,
    LATE_TOKENS,
    POCKET,
    STUDY,
    UNSEEN,
    agreeing,
    on_trunk,
    rows_of_every_run,
    study_rows,
    unbranched,
)
from helpers.measure.sweep.console import reader_console
from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.sweep.jobs import plan
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.show.figures import comparisons
from helpers.show.figures import qid as figures
from helpers.show.glue import put, put_all
from helpers.show.markdown import code, plain
from helpers.show.style import count_label, use_house_style
from helpers.show.tables import agreement_table, ratio_table, twins_table
from helpers.table.corpus import packages
from helpers.table.errors import AnalysisError
from helpers.table.files import read_table
from helpers.table.scheme import QuantScheme

use_house_style()
disable_progress_bar()  # of loading weights: the sweep has its own


BITS = list(FITTED_BITS)

# %% [markdown]
# ## Measure
#
# The next cell runs the sweep that this page was made with. It loads each checkpoint, measures its 16-bit loss, rounds its
# linear layers with each scheme, and measures the loss again. What was measured before is not measured twice.

# %% tags=["remove-stdout"]
report = run_sweep(Path(sweep), device, Places(Path(results_path)), reader_console())
if report.failures:
    raise RuntimeError("; ".join(report.failures))
put("sweep_rows", report.n_measured + report.n_present)

# %% tags=["hide-input"]
jobs = plan(read_sweep(Path(sweep)))
names = ["method", "bits", "group_size", "symmetric", "calib_sequences", "calib_seed"]
wanted = pd.DataFrame(
    {"family": job.checkpoint.family, "run": job.checkpoint.run, "step": job.checkpoint.step, "device_type": device}
    | {"n_sequences": read_sweep(Path(sweep)).evaluation.sequences}
    | {name: dataclasses.asdict(scheme)[name] for name in names}
    for job in jobs
    for scheme in (QuantScheme(), *job.schemes)
)
local = rows_named(read_table(results_path).to_pandas(), wanted)
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
example = example.sort_values([N_PARAMS, TOKENS_SEEN]).iloc[-1]
rounded_losses = np.asarray(example["group_loss"], dtype=float)  # one mean loss a document
losses = rounded_losses - example["document_qid_nats"]  # of the 16-bit model
unpaired = np.hypot(losses.std(ddof=1), rounded_losses.std(ddof=1))
unpaired = unpaired / np.sqrt(example["n_documents"])

# %% tags=["remove-cell"]
put("example_bits", bits_nearest_3)
put("example_model", example["model"])
put("example_tokens", count_label(example[TOKENS_SEEN]))
put("example_qid", example["qid_nats"])
put("example_se", example["qid_se_nats"])
put("example_unpaired", unpaired)
put("example_gain", unpaired / example["qid_se_nats"])
put("example_perplexity", np.expm1(example["qid_nats"]))
put("example_block", int(example["seq_len"]))
put("example_calibration", int(example["calib_sequences"]))

# %% [markdown]
# One example: {glue:text}`example_model:s` after {glue:text}`example_tokens:s` tokens, rounded to
# {glue:text}`example_bits:.0f` bits with GPTQ on {glue:text}`example_calibration:d` sequences of calibration text, and scored on the
# first {glue:text}`example_block:d` tokens of each document. Its QiD is
# {glue:text}`example_qid:.4f` ± {glue:text}`example_se:.4f` nats per token; its perplexity grew by
# {glue:text}`example_perplexity:.1%`. Taken as a difference of two separate means, the same number would carry an error of
# ± {glue:text}`example_unpaired:.4f`, {glue:text}`example_gain:.0f` times as large.
#
# ## The rows of this machine

# %% tags=["remove-cell"]
branched = mine_gptq["branched_from"].notna()
mine_trends = trends(mine_gptq[~branched], TOKENS_SEEN, ["run_label", "bits"])
put("fig_mine", figures.qid_against_tokens(mine_gptq))
plt.close("all")
put("mine_series", len(mine_trends))
put("mine_rising", int((mine_trends["change_nats"] > 2 * mine_trends["change_se_nats"]).sum()))
put("mine_steps", int(mine_trends["n_steps"].sum()))
put("mine_up", int(mine_trends["n_up"].sum()))
put("mine_low", count_label(mine_gptq[TOKENS_SEEN].min()))
put("mine_high", count_label(mine_gptq[TOKENS_SEEN].max()))

# %% [markdown]
# ```{glue:figure} fig_mine
# :name: fig-mine
# :alt: QiD against training tokens on logarithmic axes, one panel for each bit width and one line for each model that this machine measured. A hollow marker, where there is one, is a run whose learning rate has decayed.
#
# Measured on this machine, GPTQ: QiD rises from the first to the last checkpoint, by more than twice the error of the change, in
# {glue:text}`mine_rising:d` of {glue:text}`mine_series:d` series. Hollow: a branch whose learning rate has decayed. Bars: one paired error.
# ```
#
# {numref}`fig-mine` runs from {glue:text}`mine_low:s` to {glue:text}`mine_high:s` tokens. From one checkpoint to the next QiD
# goes up in {glue:text}`mine_up:d` of {glue:text}`mine_steps:d` steps.

# %% tags=["remove-input"]
named = mine_gptq.assign(twin=mine_gptq["model"])
ended = branched & (named["learning_rate"] == 0)
try:
    twins = ratios_to_twins(named[ended], named[~branched], ["run_label", TOKENS_SEEN, "bits"])
except AnalysisError as error:
    twins = pd.DataFrame({"run_label": [], TOKENS_SEEN: []})
    display(
        Markdown(
            f"**This sweep has no branch with a decayed learning rate:** {plain(error)}. The study below has some."
        )
    )
for (run, tokens), one in twins.groupby(["run_label", TOKENS_SEEN]):
    cells = [f"{row.ratio:.2f} [{row.low:.2f}, {row.high:.2f}] at {row.bits:g} bits" for row in one.itertuples()]
    change, error = one[["loss_change_nats", "loss_change_se_nats"]].iloc[0]
    change = f"{change:+.3f}".replace("-", "−")
    display(
        Markdown(
            f"**Tokens or decay?** {code(run.rsplit('/', 1)[-1])} branched off another run, and its learning rate fell to zero on the way to "
            f"{count_label(tokens)} tokens. Its twin read the same tokens at the constant rate. The QiD of the one is that of the other times "
            f"{', '.join(cells)} (95% intervals over documents; another draw of calibration text would move each by some percent). The "
            f"16-bit loss changes by {change} ± {error:.3f} nats per token. What differs is the learning rate alone; more on it below."
        )
    )

# %% [markdown]
# ## The study: more sizes
#
# GPUs trained and measured the study. Its rows came with the book: {glue:text}`all_runs:d` training runs and branches that are
# measured alike, and {glue:text}`second_sizes:d` second runs with their cooldowns. First comes its trunk: {glue:text}`study_sizes:d`
# sizes from {glue:text}`study_smallest:s` to {glue:text}`study_largest:s` parameters with {glue:text}`study_steps:d` checkpoints each.
# Every size saw the same batches at the same constant learning rate, so that $N$ is not mixed up with either.

# %%
measured = read_table("results/measurements.parquet").to_pandas()
study = degradation(study_rows(measured))
every_width = rows_of_fit(study, "gptq", GROUP_SIZE, symmetric=False)
gptq = every_width[every_width["bits"].isin(BITS)]
late = gptq[gptq[TOKENS_SEEN] > LATE_TOKENS]

# %% tags=["remove-cell"]
sizes = np.sort(gptq[N_PARAMS].unique())
of_every_run = rows_of_every_run(measured)
put("all_runs", of_every_run.query("n_averaged == 1")["run"].nunique())
twice = {outcome.name: both_runs(measured, outcome) for outcome in (QID, KL)}
twice = {name: both[both[TOKENS_SEEN] > LATE_TOKENS] for name, both in twice.items()}
second = whole_rows(measured, first=False)
put("second_sizes", twice["qid"]["model"].nunique())
put("study_sizes", len(sizes))
put("study_steps", gptq["step"].nunique())
put("study_smallest", count_label(sizes[0]))
put("study_largest", count_label(sizes[-1]))
put("early_tokens", count_label(LATE_TOKENS))
put("late_first", count_label(late[TOKENS_SEEN].min()))
put("late_last", count_label(late[TOKENS_SEEN].max()))
by_tokens = trends(late, TOKENS_SEEN, ["model", N_PARAMS, "bits"])
down = by_tokens["n_steps"] - by_tokens["n_up"]
growth = by_tokens["end_nats"] / by_tokens["start_nats"]
put("tokens_series", len(by_tokens))
put("tokens_rising", int((by_tokens["change_nats"] > 3 * by_tokens["change_se_nats"]).sum()))
put("tokens_steps", int(by_tokens["n_steps"].sum()))
put("tokens_up", int(by_tokens["n_up"].sum()))
put("tokens_down", int(down.sum()))
put("tokens_down_4", int(down[by_tokens["bits"] == 4].sum()))
put("growth_low", growth.min())
put("growth_high", growth.max())
assert (by_tokens["change_nats"] > 3 * by_tokens["change_se_nats"]).all(), "the text says that all series rise"
assert down[by_tokens["bits"] == 4].sum() > down.sum() / 2, "the text says: most of the steps down are at 4 bits"
put("fig_tokens", figures.qid_against_tokens(gptq))
plt.close("all")
whole = trends(gptq, TOKENS_SEEN, ["model", N_PARAMS, "bits"])
put("whole_rising", int((whole["change_nats"] > 3 * whole["change_se_nats"]).sum()))
put("whole_series", len(whole))
put("whole_first", count_label(whole["start"].max()))
assert (whole["change_nats"] > 3 * whole["change_se_nats"]).all(), "the text says: in all of them without the cut too"

# %% tags=["remove-cell"]
# One checkpoint by two protocols: the first draw of calibration text, the mean over draws, and RTN, which has none.
MODEL, AT_3 = "tadpole-128x3", {"bits": 3, "group_size": GROUP_SIZE, "symmetric": False}
of_model = measured[(measured["run"] == MODEL) & (measured["step"] == gptq["step"].max())]
of_model = of_model[(of_model["eval_dataset"] == HELDOUT) & of_model["method"].isin(["none", "gptq"])]
draws = {}
for name, values in (("pocket", POCKET), ("study", STUDY)):
    alike = degradation(of_model[agreeing(of_model, values)])
    alike = (
        alike[agreeing(alike, AT_3 | {"grid_search": "minmax", "order": "given"})].set_index("calib_seed").sort_index()
    )
    draws[name] = alike["qid_nats"]
    put(f"protocol_{name}", alike.loc[0, "qid_nats"])
    put(f"protocol_{name}_mean", alike["qid_nats"].mean())
    put(f"protocol_{name}_calibration", int(alike["calib_sequences"].max()))
    put(f"protocol_{name}_blocks", values["n_sequences"] // int(alike["n_documents"].max()))
put("protocol_model", MODEL)
put("protocol_draws", len(draws["study"]))
put("protocol_documents", int(alike["n_documents"].max()))
put("protocol_ratio", draws["pocket"].loc[0] / draws["study"].loc[0])
put("protocol_ratio_mean", draws["pocket"].mean() / draws["study"].mean())
assert (draws["pocket"].index == draws["study"].index).all(), "the text says: so many draws of each"
by_text = scored_both_ways(measured)
by_text = scored_text_relative(by_text[by_text[TOKENS_SEEN] > LATE_TOKENS]).loc["rtn"]
for bits in BITS:
    for column in ("ratio", "low", "high"):
        put(f"protocol_{column}_{bits}", by_text.loc[bits, column])
put("protocol_runs", int(by_text["n_runs"].max()))

# %% [markdown]
# **One checkpoint, two numbers.** At 3 bits {glue:text}`protocol_model:s`, at its last checkpoint, has a QiD of
# {glue:text}`protocol_study:.3f` in {doc}`chapter 1 <01-the-question>` and in the study, and {glue:text}`protocol_pocket:.3f` in
# the pocket sweep. Of each of the same {glue:text}`protocol_documents:d` documents the study scores the first
# {glue:text}`protocol_study_blocks:d` blocks of 512 tokens, the pocket sweep {glue:text}`protocol_pocket_blocks:d`; they
# calibrate on {glue:text}`protocol_study_calibration:d` and {glue:text}`protocol_pocket_calibration:d` sequences. The scored text
# makes a part of it: on the first block RTN, which needs no calibration, loses {glue:text}`protocol_ratio_2:.2f`
# [{glue:text}`protocol_low_2:.2f`, {glue:text}`protocol_high_2:.2f`], {glue:text}`protocol_ratio_3:.2f`
# [{glue:text}`protocol_low_3:.2f`, {glue:text}`protocol_high_3:.2f`] and {glue:text}`protocol_ratio_4:.2f`
# [{glue:text}`protocol_low_4:.2f`, {glue:text}`protocol_high_4:.2f`] times as much as on all four, at 2, 3 and 4 bits (beyond
# {glue:text}`early_tokens:s` tokens, over {glue:text}`protocol_runs:d` runs). Calibration makes the rest: over
# {glue:text}`protocol_draws:d` draws each the means are {glue:text}`protocol_pocket_mean:.3f` and
# {glue:text}`protocol_study_mean:.3f`, a factor of {glue:text}`protocol_ratio_mean:.2f` where the first draws have
# {glue:text}`protocol_ratio:.2f`. So only numbers of one protocol are compared below; {doc}`11-noise-floor` has what else moves
# one.

# %% [markdown]
# ### Tokens
#
# ```{glue:figure} fig_tokens
# :name: fig-tokens
# :alt: QiD against training tokens on logarithmic axes in three panels for 2, 3 and 4 bits, one line for each size. All lines rise after about 60 million tokens, those of small models more steeply at first, and flatten later, but for the largest model's at 3 and 4 bits. Before that the small models lie below the large ones.
#
# Beyond {glue:text}`early_tokens:s` tokens QiD rises with training at every size and bit width, at first most steeply in small
# models. Early in training the order of the sizes is turned over. GPTQ, group 32, asymmetric; bars: one paired error.
# ```
#
# From {glue:text}`late_first:s` to {glue:text}`late_last:s` tokens QiD rises in {glue:text}`tokens_rising:d` of
# {glue:text}`tokens_series:d` series of {numref}`fig-tokens` by more than three errors of the change: it becomes
# {glue:text}`growth_low:.1f` to {glue:text}`growth_high:.1f` times as large. The cut isn't needed for that: over all checkpoints,
# from {glue:text}`whole_first:s` tokens on, {glue:text}`whole_rising:d` of {glue:text}`whole_series:d` series rise as clearly.
# Step by step QiD rises {glue:text}`tokens_up:d` times in {glue:text}`tokens_steps:d` and falls {glue:text}`tokens_down:d` times,
# {glue:text}`tokens_down_4:d` of them at 4 bits. A step is a quarter more tokens and moves QiD little, and the mere choice of
# calibration text moves it by some percent. All this is {glue:text}`study_sizes:d` runs on one order of batches.

# %% tags=["remove-cell"]
early = gptq[gptq[TOKENS_SEEN] < LATE_TOKENS]
largest = early[(early[N_PARAMS] == sizes[-1]) & (early["bits"] == 2)].sort_values(TOKENS_SEEN)
dip = largest.loc[largest["qid_nats"].idxmin()]
early_trends = trends(early, TOKENS_SEEN, ["model", N_PARAMS, "bits"])
put("early_steps", int(early_trends["n_steps"].sum()))
put("early_down", int((early_trends["n_steps"] - early_trends["n_up"]).sum()))
put("large_first_tokens", count_label(largest[TOKENS_SEEN].iloc[0]))
put("large_first", largest["qid_nats"].iloc[0])
put("large_dip_tokens", count_label(dip[TOKENS_SEEN]))
put("large_dip", dip["qid_nats"])
put("large_early_last", largest["qid_nats"].iloc[-1])
put("large_early_last_tokens", count_label(largest[TOKENS_SEEN].iloc[-1]))
assert dip["qid_nats"] < largest["qid_nats"].iloc[-1] < largest["qid_nats"].iloc[0], "the text says: not back yet"
falling_models = early_trends[early_trends["n_up"] < early_trends["n_steps"]][N_PARAMS]
put("early_down_smallest", count_label(falling_models.min()))

# %% [markdown]
# ### Before {glue:text}`early_tokens:s` tokens
#
# Early in training another story is told. The 2-bit QiD of the largest model *falls* from {glue:text}`large_first:.3f` at
# {glue:text}`large_first_tokens:s` tokens to {glue:text}`large_dip:.3f` at {glue:text}`large_dip_tokens:s`, and is back at no more than
# {glue:text}`large_early_last:.3f` at {glue:text}`large_early_last_tokens:s`. Of all {glue:text}`early_steps:d` early steps,
# {glue:text}`early_down:d` go down, none in a model below {glue:text}`early_down_smallest:s` parameters. The learning rate warms up in
# part of this time, and the model learns what is easy. A power of $D$ through all of it would be a bad summary, so that the
# next chapter fits beyond {glue:text}`early_tokens:s` tokens, and shows what that choice does.
#
# ### Size

# %% tags=["remove-cell"]
by_size = trends(gptq, N_PARAMS, [TOKENS_SEEN, "bits"])
late_by_size = by_size[by_size[TOKENS_SEEN] > LATE_TOKENS]
first_tokens = by_size[by_size[TOKENS_SEEN] == by_size[TOKENS_SEEN].min()]
hurtful = by_size.loc[by_size["change_nats"] >= 0, TOKENS_SEEN].max()  # the last at which some bit width sees no help
put("size_series", len(late_by_size))
put("size_falling", int((late_by_size["change_nats"] < -3 * late_by_size["change_se_nats"]).sum()))
put("size_steps", int(late_by_size["n_steps"].sum()))
put("size_down", int((late_by_size["n_steps"] - late_by_size["n_up"]).sum()))
put("size_first_rising", int((first_tokens["change_nats"] > 0).sum()))
put("size_first_series", len(first_tokens))
put("size_first_tokens", count_label(first_tokens[TOKENS_SEEN].iloc[0]))
put("size_helps_from", count_label(by_size.loc[by_size[TOKENS_SEEN] > hurtful, TOKENS_SEEN].min()))
assert (late_by_size["change_nats"] < -3 * late_by_size["change_se_nats"]).all(), "the text says: in all of them"
assert (first_tokens["change_nats"] > 0).all(), "the text says that the largest loses more at the fewest tokens"
chosen = spread_out(gptq[TOKENS_SEEN], 6)
put("fig_size", comparisons.qid_against_size_by_tokens(gptq[gptq[TOKENS_SEEN].isin(chosen)]))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_size
# :name: fig-size
# :alt: QiD against size on logarithmic axes in three panels for 2, 3 and 4 bits, one line for each of several numbers of training tokens. The lines of few tokens rise with size, those of many tokens fall.
#
# At equal tokens a larger model loses less, once it has been trained long. At the fewest tokens the lines rise with $N$; at the most
# they fall.
# ```
#
# Beyond {glue:text}`early_tokens:s` tokens, and at equal tokens, the largest model has a lower QiD than the smallest, by more than three
# errors, in {glue:text}`size_falling:d` of {glue:text}`size_series:d` combinations of tokens and bits. Step by step from one size to the next,
# QiD falls {glue:text}`size_down:d` times in {glue:text}`size_steps:d`. But at {glue:text}`size_first_tokens:s` tokens it is the
# other way round: the largest model loses *more* than the smallest, at {glue:text}`size_first_rising:d` of
# {glue:text}`size_first_series:d` bit widths. The largest loses less at every bit width from {glue:text}`size_helps_from:s` tokens
# on. One way to read it: a small model that has hardly begun to learn has little to lose. These rows alone don't prove it.
#
# At equal tokens *per parameter* size doesn't protect: there $\ln$ QiD at 3 bits changes by
# {glue:text}`09-extrapolation.ipynb::size_slope_ratio_3:s` [{glue:text}`09-extrapolation.ipynb::size_low_ratio_3:s`,
# {glue:text}`09-extrapolation.ipynb::size_high_ratio_3:s`] per unit of $\ln N$ (clustered by run, {doc}`09-extrapolation`).
#
# ### Bits

# %% tags=["remove-cell"]
by_bits = trends(gptq, "bits", [N_PARAMS, TOKENS_SEEN])
late_by_bits = by_bits[by_bits[TOKENS_SEEN] > LATE_TOKENS]
pairs = late.pivot(index=[N_PARAMS, TOKENS_SEEN], columns="bits", values="qid_nats")
put("bits_series", len(by_bits))
put("bits_falling", int((by_bits["n_up"] == 0).sum()))
put("bit_32", (pairs[2] / pairs[3]).median())
put("bit_43", (pairs[3] / pairs[4]).median())
put("bits_steep_low", -late_by_bits["exponent"].max())
put("bits_steep_high", -late_by_bits["exponent"].min())
assert (by_bits["n_up"] == 0).all(), "the text says: at all checkpoints"
assert (pairs[2] > 2 * pairs[3]).all(), "the caption says that the third bit takes away most of the loss"
assert (pairs[3] > 2 * pairs[4]).all(), "and the fourth most of the rest"
put("fig_bits", figures.qid_against_bits(every_width[every_width[TOKENS_SEEN] == late[TOKENS_SEEN].max()]).figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_bits
# :name: fig-bits
# :alt: QiD against bit width from 2 to 8 on a logarithmic vertical axis at the last checkpoint, one line for each size. All lines fall, nearly in parallel, up to 6 bits. At 8 bits they cross, and the error bars are as long as the values are high.
#
# The third bit takes away most of the loss and the fourth most of the rest, at every size. At 8 bits little is left to measure. Last
# checkpoint; bars: one paired error.
# ```
#
# From 2 to 4 bits QiD falls with each bit at all {glue:text}`bits_falling:d` of {glue:text}`bits_series:d` checkpoints. The third
# bit divides it by {glue:text}`bit_32:.1f`, the fourth by {glue:text}`bit_43:.1f` (medians beyond {glue:text}`early_tokens:s`
# tokens). Written as a power of $P$, that is an exponent between {glue:text}`bits_steep_low:.1f` and
# {glue:text}`bits_steep_high:.1f`. Of the three variables the bits weigh most, and act most alike everywhere.
#
# ### More bits
#
# The trunk was also rounded to 5, 6 and 8 bits. The tables take its checkpoints beyond {glue:text}`early_tokens:s` tokens.

# %% tags=["hide-input"]
wide_late = every_width[every_width[TOKENS_SEEN] > LATE_TOKENS]
by_width = wide_late.groupby("bits")
shown = pd.DataFrame(
    {
        "median QiD (nats)": by_width["qid_nats"].median().map("{:.5f}".format),
        "median paired error": by_width["qid_se_nats"].median().map("{:.5f}".format),
        "below zero": by_width["qid_nats"].agg(lambda qid: f"{(qid < 0).sum()} of {len(qid)}"),
        "within two errors of zero": by_width[["qid_nats", "qid_se_nats"]].apply(
            lambda rows: f"{(rows['qid_nats'].abs() < 2 * rows['qid_se_nats']).sum()} of {len(rows)}"
        ),
    }
)
shown.rename(index="{:g} bits".format).rename_axis(index=None)

# %% tags=["remove-cell"]
other_text = rows_of_fit(degradation(study_rows(measured, UNSEEN)), "gptq", GROUP_SIZE, False, LATE_TOKENS)
at_8 = wide_late[wide_late["bits"] == 8]
both = at_8.merge(other_text[other_text["bits"] == 8], on="checkpoint_id", suffixes=("", "_other"))
negative, negative_other = both["qid_nats"] < 0, both["qid_nats_other"] < 0
put("eight_rows", len(at_8))
put("eight_negative", int((at_8["qid_nats"] < 0).sum()))
put("eight_clear", int((at_8["qid_nats"] < -2 * at_8["qid_se_nats"]).sum()))
put("eight_within", int((at_8["qid_nats"].abs() < 2 * at_8["qid_se_nats"]).sum()))
put("eight_both", int((negative & negative_other).sum()))
put("eight_mean", at_8["qid_nats"].mean())
put("eight_chance", negative.sum() * negative_other.mean())
assert (wide_late[wide_late["bits"] < 8]["qid_nats"] > 0).all(), "the text says: no QiD below zero up to 6 bits"
assert len(both) == len(at_8)
assert at_8["qid_nats"].mean() > 0, "an exercise says: above zero"
assert (negative & negative_other).sum() > 2 * negative.sum() * negative_other.mean(), "the text says: not only chance"

# %% [markdown]
# Up to 6 bits no QiD is below zero. At 8 bits {glue:text}`eight_negative:d` of {glue:text}`eight_rows:d` are, and
# {glue:text}`eight_within:d` lie within two errors of zero on either side: there, 8 bits lose nothing that these documents could
# show. {glue:text}`eight_clear:d` lie below zero by more than two errors. Chance in the documents is not all of it. Of the
# {glue:text}`eight_negative:d`, {glue:text}`eight_both:d` are negative on another text as well, where {glue:text}`eight_chance:.1f`
# would be by accident. A change of the weights moves the loss first along its slope, up or down as it happens, and only then by its
# curvature, upwards on average. At 8 bits the first may be the larger.
#
# ### KL, a second outcome
#
# KL is the mean divergence of the rounded model's predictions from the 16-bit model's, on the same tokens, in nats per token. It is
# zero where rounding changes nothing and can't be negative, so that it has no slope to move along: it grows with the *square* of the
# rounding error. One more bit divides the scale of the grid {eq}`eq-grid` by $(2^{P+1} - 1) / (2^P - 1)$ and KL by its square
# (derived at {eq}`eq-quadratic-rule`). The table has what one more bit divides each outcome by on the way to this width (mean over
# the sizes, interval over runs; from 6 to 8 bits for each of the two), in how many steps from checkpoint to checkpoint each rises, and the slope of its
# logarithm in $\ln D$ (clustered by run; positive values).

# %% tags=["hide-input"]
found = {}
for outcome in (QID, KL):
    factors = bit_factors(wide_late, outcome)
    means = {step: mean_over_runs(np.log(factors[step])) for step in factors}
    taken = np.exp(pd.DataFrame(means).T[["mean", "low", "high"]])
    found[outcome.name] = taken, steps_up(wide_late, outcome), exponents_by_width(wide_late, outcome)
taken, up, powers = found["qid"]
taken_kl, up_kl, powers_kl = found["kl"]
rule = pd.Series({(few, many): expected_ratio(few, many) ** (1 / (many - few)) for few, many in taken.index})


def with_ends(table, columns):
    return table[columns].apply(lambda row: "{:.2f} [{:.2f}, {:.2f}]".format(*row), axis=1)


beside = {"QiD divided by": with_ends(taken, ["mean", "low", "high"])}
beside |= {"KL": with_ends(taken_kl, ["mean", "low", "high"]), "the rule": rule.map("{:.2f}".format)}
beside = pd.DataFrame(beside).set_axis([many for _, many in taken.index])
of_width = pd.DataFrame(
    {
        "QiD rises": up.apply(lambda row: f"{row['n_up']} of {row['n_steps']}", axis=1),
        "KL rises": up_kl.apply(lambda row: f"{row['n_up']} of {row['n_steps']}", axis=1),
        "slope of QiD": with_ends(powers, ["beta", "beta_low", "beta_high"]),
        "slope of KL": with_ends(powers_kl, ["beta", "beta_low", "beta_high"]),
    }
)
of_width.join(beside).fillna("")[[*beside, *of_width]].rename(index="{:g} bits".format).rename_axis(index=None)

# %% tags=["remove-cell"]
for few, many in taken.index[2:]:
    put(f"rule_{many:g}", rule[few, many])
    put_all(**{f"kl_factor_{many:g}_{end}": taken_kl.loc[(few, many), end] for end in ("mean", "low", "high")})
put_all(**{f"factor_8_{end}": taken.loc[(6, 8), end] for end in ("low", "high")})
for few, many in ((2, 3), (5, 6), (6, 8)):
    put(f"power_{many}", np.log(taken.loc[(few, many), "mean"]) * (many - few) / np.log(many / few))
for bits in (4, 6, 8):
    put_all(**{f"up_{bits}": int(up.loc[bits, "n_up"]), f"kl_up_{bits}": int(up_kl.loc[bits, "n_up"])})
    put_all(**{f"kl_slope_{bits}{end}": powers_kl.loc[bits, f"beta{end}"] for end in ("", "_low", "_high")})
put("up_steps", int(up["n_steps"].max()))
put_all(**{f"slope_8{end}": powers.loc[8, f"beta{end}"] for end in ("", "_low", "_high")})
put("kl_rows", len(wide_late))
put("kl_positive", int((wide_late["kl_nats"] > 0).sum()))
off = (taken_kl["mean"] / rule - 1).iloc[2:].abs()
put("kl_off", off.max())
holds = (taken["low"] < rule) & (rule < taken["high"])
assert holds.to_list() == [False, False, True, True, True], "the text says: from the fifth bit on inside QiD's interval"
assert all((table["mean"] > rule).iloc[:2].all() for table in (taken, taken_kl)), (
    "and the third and fourth take off more"
)
assert not ((taken_kl["low"] < rule) & (rule < taken_kl["high"])).any(), "the text says: outside KL's intervals"
assert off.max() < 0.04, "the text says: by little"
assert (wide_late["kl_nats"] > 0).all(), "the text says: all positive"
assert (up_kl["n_up"] >= up["n_up"]).loc[4:].all(), "the text says: KL rises more steadily"

# %% [markdown]
# From the fifth bit on the rule is {glue:text}`rule_5:.2f`, {glue:text}`rule_6:.2f` and {glue:text}`rule_8:.2f`. QiD holds it, but with
# intervals as wide as [{glue:text}`factor_8_low:.2f`, {glue:text}`factor_8_high:.2f`]. KL has {glue:text}`kl_factor_5_mean:.2f`
# [{glue:text}`kl_factor_5_low:.2f`, {glue:text}`kl_factor_5_high:.2f`], {glue:text}`kl_factor_6_mean:.2f`
# [{glue:text}`kl_factor_6_low:.2f`, {glue:text}`kl_factor_6_high:.2f`] and {glue:text}`kl_factor_8_mean:.2f`
# [{glue:text}`kl_factor_8_low:.2f`, {glue:text}`kl_factor_8_high:.2f`]: within {glue:text}`kl_off:.1%` of the rule, though outside it by
# these narrow intervals. The third bit takes off much more than the rule and the fourth a little more, in either outcome: there the
# error is no longer small.
#
# {glue:text}`kl_positive:d` of {glue:text}`kl_rows:d` values of KL are positive, those at 8 bits too. Of {glue:text}`up_steps:d` steps at 4, 6 and 8 bits KL
# rises in {glue:text}`kl_up_4:d`, {glue:text}`kl_up_6:d` and {glue:text}`kl_up_8:d`; QiD in {glue:text}`up_4:d`, {glue:text}`up_6:d`
# and {glue:text}`up_8:d`. So most steps down are QiD's own noise. And tokens act on KL alike at every such width: its slope is
# {glue:text}`kl_slope_4:.2f` [{glue:text}`kl_slope_4_low:.2f`, {glue:text}`kl_slope_4_high:.2f`], {glue:text}`kl_slope_6:.2f`
# [{glue:text}`kl_slope_6_low:.2f`, {glue:text}`kl_slope_6_high:.2f`] and {glue:text}`kl_slope_8:.2f`
# [{glue:text}`kl_slope_8_low:.2f`, {glue:text}`kl_slope_8_high:.2f`], where QiD at 8 bits says only {glue:text}`slope_8:.2f`
# [{glue:text}`slope_8_low:.2f`, {glue:text}`slope_8_high:.2f`].
#
# A power of $P$ says something else. Its exponent in QiD would have to grow from {glue:text}`power_3:.1f` at the third bit to
# {glue:text}`power_6:.1f` at the sixth and {glue:text}`power_8:.1f` at the last two. No power of $P$ holds from 2 to 8 bits. The next
# chapter's fits keep to 2, 3 and 4.
#
# ## Text read again
#
# The training text has {glue:text}`unique_tokens:s` tokens. A checkpoint beyond that has read text twice or more. The trunk's last
# has gone through it {glue:text}`passes_last:.1f` times; {glue:text}`steps_again:d` of its {glue:text}`study_steps:d` checkpoints
# come after the first pass. {cite:t}`muennighoff2023repeat` found that a few passes over the same text cost a model's 16-bit loss next to
# nothing. Does reading again change how QiD grows? We cut training into pieces that double the tokens, and look
# at two things on either side of the end of the first pass (a piece begins and ends at the last checkpoint before the pass named):
# the slope of $\ln$ QiD in $\ln D$ (no unit), and the 16-bit loss on text of packages that training never saw, minus that on
# held-out files of packages that it did see. A model that learns its packages by heart should gain on files of these packages and
# not on others.

# %%
PASSES = [0.25, 0.5, 1, 2, 4]
slopes = slopes_by_pass(gptq, PASSES)
over_sizes = slopes.groupby(["bits", "start"])["exponent"].apply(lambda one: pd.Series(mean_over_runs(one))).unstack()
bends = slopes.pivot(index=["bits", "run_label"], columns="start", values="exponent").diff(axis=1)

texts = [study_rows(measured, text).query("method == 'none'") for text in (HELDOUT, UNSEEN)]
files = packages("evaluation"), packages("unseen")
gaps = text_losses(*texts, files).merge(texts[0][["checkpoint_id", "epochs", N_PARAMS]], on="checkpoint_id")
gaps = gaps[gaps[TOKENS_SEEN] > LATE_TOKENS]
changes = [loss_changes(text, PASSES) for text in texts]
widening = text_losses(*changes, files).merge(changes[0][["checkpoint_id", "start", N_PARAMS]], on="checkpoint_id")
widening["share"] = widening["second_nats"] / widening["first_nats"]

# %% tags=["remove-cell"]
CLEAR_BENDS = {("before", 2), ("before", 3), ("before", 4)}
epochs = gptq["epochs"]
put("unique_tokens", count_label(gptq["unique_tokens"].iloc[0]))
put("passes_last", epochs.max())
put("steps_again", gptq.loc[epochs > 1, "step"].nunique())
for start, piece in ((0.25, "early"), (0.5, "before"), (1, "second"), (2, "last")):
    for name in ("mean", "low", "high"):
        put(f"slope_{piece}_2_{name}", over_sizes.loc[(2, start), name])
for bits in BITS:
    for start, piece in ((0.5, "before"), (1, "second"), (2, "last")):
        bend = mean_over_runs(bends.loc[bits, start])
        if piece == "second" or (piece, bits) == ("before", 2):
            for name in ("mean", "low", "high"):
                put(f"bend_{piece}_{bits}_{name}", f"{bend[name]:+.2f}".replace("-", "−"))
        clear = bend["high"] < 0 or bend["low"] > 0
        assert clear == ((piece, bits) in CLEAR_BENDS), f"{piece}, {bits} bits: the text says which bends are clear"
first_piece = slopes[(slopes["start"] == 0.25) & (slopes["bits"] == 2)].set_index(N_PARAMS)["exponent"]
put("slope_smallest", first_piece[sizes[0]])
put("slope_largest", first_piece[sizes[-1]])
assert first_piece[sizes[0]] > 1.5 * first_piece[sizes[-1]], "a caption says: at first most steeply in small models"
upwards = bends[2].unstack("bits")
large = slopes[slopes[N_PARAMS] >= sizes[-2]]["run_label"].unique()
put("large_up", int((upwards.loc[large] > 0).to_numpy().sum()))
put("large_bends", upwards.loc[large].size)
put("small_up", int((upwards.drop(large) > 0).to_numpy().sum()))
put("small_bends", upwards.drop(large).size)
for start, piece in ((0.5, "before"), (1, "second"), (2, "last")):
    rows = widening[widening["start"] == start]
    wider = mean_over_runs(rows["difference_nats"])
    for name in ("mean", "low", "high"):
        put(f"wider_{piece}_{name}", wider[name])
    if start >= 1:
        put(f"share_{piece}_small", rows.loc[rows[N_PARAMS] < sizes[-2], "share"].mean())
        put(f"share_{piece}_large", rows.loc[rows[N_PARAMS] >= sizes[-2], "share"].mean())
    assert wider["low"] > 0, "the text says that the gap grows in each piece"
widest = widening[widening["start"] == 2].set_index(N_PARAMS).loc[sizes[-1]]
put("widest", widest["difference_nats"])
put("widest_se", widest["difference_se_nats"])
put("gap_se", gaps["difference_se_nats"].median())
of_two = gptq.pivot(index=["bits", TOKENS_SEEN], columns=N_PARAMS, values="qid_nats")
last_step = of_two[sizes[-1]] / of_two[sizes[-2]]
once = gptq.loc[epochs <= 1, TOKENS_SEEN].max()
for bits in BITS:
    in_pass, at_end = last_step[bits, once], last_step[bits, gptq[TOKENS_SEEN].max()]
    put(f"last_step_{bits}_once", in_pass)
    put(f"last_step_{bits}_end", at_end)
    assert at_end > (1.5 if bits > 2 else 1.1) * in_pass, "the text says that it ends nearer to one at each width"
put("once_tokens", count_label(once))

# the same ratio in KL, in other groups and in the second runs of both sizes
peak = last_step[3].loc[once:].idxmax()
by_group = degradation(study_rows(measured)).query("method == 'gptq' and symmetric == False")
by_group = by_group[by_group[TOKENS_SEEN] == peak].assign(group=by_group["group_size"].fillna(0).astype(int))
by_group = by_group.pivot(index=["bits", "group"], columns=N_PARAMS, values="kl_nats")
in_kl = by_group[sizes[-1]] / by_group[sizes[-2]]
put("peak_tokens", count_label(peak))
put("peak_qid", last_step[3, peak])
put_all(**{f"peak_kl_3_{group}": in_kl[3, group] for group in (32, 64, 128, 0)})
put_all(**{f"peak_kl_{bits}": in_kl[bits, GROUP_SIZE] for bits in (4, 6, 8)})
ends_kl = gptq.pivot(index=["bits", TOKENS_SEEN], columns=N_PARAMS, values="kl_nats")
ends_kl = ends_kl[sizes[-1]] / ends_kl[sizes[-2]]
for bits in BITS:
    put(f"last_kl_{bits}_once", ends_kl[bits, once])
    put(f"last_kl_{bits}_end", ends_kl[bits, gptq[TOKENS_SEEN].max()])
    assert ends_kl[bits, gptq[TOKENS_SEEN].max()] > 1.05 * ends_kl[bits, once], "the text says: it climbs in KL too"
shared = twice["kl"].pivot(index=["bits", TOKENS_SEEN], columns=N_PARAMS, values=["first_nats", "second_nats"])
shared = shared.swaplevel(axis=1)
shared = (shared[sizes[-1]] / shared[sizes[-2]]).loc[3].dropna()
put("second_last", count_label(shared.index[-1]))
put_all(second_ratio_3=shared["second_nats"].iloc[-1], first_ratio_3=shared["first_nats"].iloc[-1])
assert in_kl[3, GROUP_SIZE] > 1.2 * in_kl[3].drop(GROUP_SIZE).max(), "the text says: one way of rounding alone"
of_seed = degradation(of_every_run[of_every_run["run"] == "tadpole-512x12-seed1"])
of_seed = of_seed[agreeing(of_seed, AT_3 | {"method": "gptq", TOKENS_SEEN: shared.index[-1]})]
next_size = gptq[agreeing(gptq, {"bits": 3, TOKENS_SEEN: shared.index[-1], N_PARAMS: sizes[-2]})]
put("seed_ratio_3", of_seed["kl_nats"].item() / next_size["kl_nats"].item())
assert of_seed["kl_nats"].item() < 0.9 * shared["first_nats"].iloc[-1] * next_size["kl_nats"].item(), (
    "and by another seed"
)
assert shared["second_nats"].iloc[-1] < 0.9 * shared["first_nats"].iloc[-1], "the text says: lower in the second runs"
again = (
    pd.concat(texts)
    .query("epochs > 1")
    .sort_values("epochs")
    .groupby(["eval_dataset", "run"])["loss_nats"]
    .diff()
    .dropna()
)
put("loss_steps", len(again))
put("loss_down", int((again < 0).sum()))
slopes = slopes.merge(over_sizes.reset_index(), on=["bits", "start"])
put("fig_again", figures.read_again(slopes, gaps))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_again
# :name: fig-again
# :alt: On the left the slope of ln QiD in ln D in four pieces of training, for 2, 3 and 4 bits, as means over sizes with intervals and pale dots for single runs. It falls from about one to a half within the first pass and then hardly. On the right the loss on unseen minus held-out text against passes through the training text, one line for each size. Beyond half a pass all lines rise, those of large models higher and more steeply; none bends at one pass.
#
# The slope of QiD falls most within the first pass, where nothing is read again. The two texts part before the end of the first
# pass and go on at much the same pace after it. Bars: 95% intervals over sizes; pale dots: single runs.
# ```
#
# **The slope** falls along the whole of training, and most where nothing had been read twice ({numref}`fig-again`). At 2 bits it is
# {glue:text}`slope_early_2_mean:.2f` [{glue:text}`slope_early_2_low:.2f`, {glue:text}`slope_early_2_high:.2f`] in the second
# quarter of the first pass, {glue:text}`slope_before_2_mean:.2f` [{glue:text}`slope_before_2_low:.2f`,
# {glue:text}`slope_before_2_high:.2f`] in its second half, {glue:text}`slope_second_2_mean:.2f`
# [{glue:text}`slope_second_2_low:.2f`, {glue:text}`slope_second_2_high:.2f`] in the second pass and
# {glue:text}`slope_last_2_mean:.2f` [{glue:text}`slope_last_2_low:.2f`, {glue:text}`slope_last_2_high:.2f`] in the third and fourth
# (means over sizes, with 95% intervals that count training runs). The first of these is far apart because small models are still in
# their early growth there: {glue:text}`slope_smallest:.2f` in the smallest, {glue:text}`slope_largest:.2f` in the largest.
#
# From the last half pass of new text to the first pass of old text the slope changes by {glue:text}`bend_second_2_mean:s`
# [{glue:text}`bend_second_2_low:s`, {glue:text}`bend_second_2_high:s`] at 2 bits, {glue:text}`bend_second_3_mean:s`
# [{glue:text}`bend_second_3_low:s`, {glue:text}`bend_second_3_high:s`] at 3 and {glue:text}`bend_second_4_mean:s`
# [{glue:text}`bend_second_4_low:s`, {glue:text}`bend_second_4_high:s`] at 4, each size beside itself: none is clear of zero. Within
# the first pass it had changed by {glue:text}`bend_before_2_mean:s` [{glue:text}`bend_before_2_low:s`,
# {glue:text}`bend_before_2_high:s`] at 2 bits. So if the slope gets smaller, it did so before, and faster.
#
# **The loss** goes on falling: beyond the first pass in {glue:text}`loss_down:d` of {glue:text}`loss_steps:d` steps on the two
# texts together, at every size. The gap between them carries an error of {glue:text}`gap_se:.3f` nats per token, because the two
# texts are different documents; its growth is known better, since each text is compared with itself. The gap grows by
# {glue:text}`wider_before_mean:.4f` [{glue:text}`wider_before_low:.4f`, {glue:text}`wider_before_high:.4f`] nats per token in the
# second half of the first pass, by {glue:text}`wider_second_mean:.4f` [{glue:text}`wider_second_low:.4f`,
# {glue:text}`wider_second_high:.4f`] in the second pass and by {glue:text}`wider_last_mean:.4f` [{glue:text}`wider_last_low:.4f`,
# {glue:text}`wider_last_high:.4f`] in the third and fourth (means over sizes, intervals over sizes). The two texts don't part at
# the end of the first pass. They had parted before it: a model gets to know the packages as it reads them for the first time.
#
# **A hint in the largest models.** In the third and fourth pass the two largest gain on unseen text
# {glue:text}`share_last_large:.0%` of what they gain on held-out text, after {glue:text}`share_second_large:.0%` in the second
# pass; in the smaller ones it is {glue:text}`share_last_small:.0%` after {glue:text}`share_second_small:.0%`. In the largest the
# gap grew by {glue:text}`widest:.4f` ± {glue:text}`widest_se:.4f` there. And their slopes rise from the second pass to the last two
# in {glue:text}`large_up:d` of {glue:text}`large_bends:d` cases, those of the smaller models in {glue:text}`small_up:d` of
# {glue:text}`small_bends:d`. After {glue:text}`once_tokens:s` tokens, still in the first pass, the largest model has
# {glue:text}`last_step_2_once:.2f`, {glue:text}`last_step_3_once:.2f` and {glue:text}`last_step_4_once:.2f` of the next one's QiD at
# 2, 3 and 4 bits, and {glue:text}`last_step_2_end:.2f`, {glue:text}`last_step_3_end:.2f` and {glue:text}`last_step_4_end:.2f` at the
# end. That is where learning by heart would show first. Two runs on the same batches don't establish it.
#
# **How much of that is luck?** In KL the climb is from {glue:text}`last_kl_2_once:.2f`, {glue:text}`last_kl_3_once:.2f` and
# {glue:text}`last_kl_4_once:.2f` to {glue:text}`last_kl_2_end:.2f`, {glue:text}`last_kl_3_end:.2f` and
# {glue:text}`last_kl_4_end:.2f`. At 3 bits the ratio of QiD peaks at {glue:text}`peak_qid:.2f` after {glue:text}`peak_tokens:s`
# tokens. That peak is one way of rounding one run: in KL the ratio there is {glue:text}`peak_kl_3_32:.2f` in groups of 32, but
# {glue:text}`peak_kl_3_64:.2f` and {glue:text}`peak_kl_3_128:.2f` in groups of 64 and 128, {glue:text}`peak_kl_3_0:.2f` with a
# grid a row, and {glue:text}`peak_kl_4:.2f`, {glue:text}`peak_kl_6:.2f` and {glue:text}`peak_kl_8:.2f` at 4, 6 and 8 bits. The
# second runs of both sizes, trained with the same seed on the same batches, can be compared up to {glue:text}`second_last:s`
# tokens. There their ratio of KL at 3 bits is {glue:text}`second_ratio_3:.2f`, where that of the first runs is
# {glue:text}`first_ratio_3:.2f`, and a run of the largest size from another seed has {glue:text}`seed_ratio_3:.2f` of the next
# one's KL. What is left is a moderate climb of the first run at every width; beyond these tokens it is the only one of its size.
#
# **What can't be told.** No run read fewer different tokens for as long, or more of them. To read for the second time is also to read
# later, and the slope changes along training for other reasons, as the first pass shows. And neither text is the one that was read
# again: what a model knows of it word for word need not show on other files. The book's main fits use all checkpoints beyond
# {glue:text}`early_tokens:s` tokens, up to the fourth time of reading, and "tokens" in them are tokens read, new or not.
#
# ## What else moves QiD?
#
# The other runs of the study differ from the trunk in one thing each. Beyond {glue:text}`early_tokens:s` tokens their checkpoints
# have twins on the trunk: the same shape (or the one of about as many parameters), the same number of tokens. We divide the QiD of
# the one by the QiD of the other. Runs whose learning rate decays count with their ends only. Cooldowns end at zero, cosines at a
# tenth of the peak.

# %%
SHAPES = {"64x12": "128x3", "160x2": "128x3", "128x16": "256x4", "352x2": "256x4"}
every = degradation(of_every_run[of_every_run["method"].isin(["none", "gptq"])])
every = rows_of_fit(every, "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
every = every[every["bits"].isin(BITS)]
every["twin"] = every["model"].replace({f"tadpole-{one}": f"tadpole-{other}" for one, other in SHAPES.items()})
of_trunk = on_trunk(every)
ended = (every["schedule"] == "constant") | (every[TOKENS_SEEN] == every["tokens_planned"])
trunk, others = every[of_trunk], every[~of_trunk & ended]
others = others.assign(way=differences_of_runs(others, trunk))
ratios = ratios_to_twins(others, trunk, ["way", "bits"])
twins_table(ratios)

# %% tags=["remove-cell"]
at = ratios.set_index(["way", "bits"])
latest = others.loc[others["schedule"] == "cosine", TOKENS_SEEN].max()
at_last = ratios_to_twins(others[others[TOKENS_SEEN] == latest], trunk, ["way", "bits"]).set_index(["way", "bits"])
KINDS = {
    "seed": "another training seed",
    "cooldown": "cooldown, at its end",
    "cosine": "cosine, at its end",
    "average": "average of 5 moments",
    "half": "0.5 × the peak rate",
    "double": "2 × the peak rate",
    "wd0": "weight decay 0",
    "wd3": "weight decay 0.3",
    "deep_small": "64x12 for 128x3",
    "deep_large": "128x16 for 256x4",
    "shallow_small": "160x2 for 128x3",
    "shallow_large": "352x2 for 256x4",
}
assert set(KINDS.values()) == set(ratios["way"]), "the text goes through all of them"
for name in ("seed", "cosine", "half", "double"):
    put(f"{name}_lowest", at.loc[KINDS[name], "run_lowest"].min())
    put(f"{name}_highest", at.loc[KINDS[name], "run_highest"].max())
for name in ("average", "wd0", "wd3", "deep_small", "deep_large", "shallow_small", "shallow_large"):
    put(f"{name}_2", at.loc[(KINDS[name], 2), "ratio"])
for name in ("cosine", "wd0", "wd3", "deep_small", "deep_large"):
    put(f"{name}_2_last", at_last.loc[(KINDS[name], 2), "ratio"])
for name in ("seed", "cooldown"):
    put(f"{name}_runs", int(at.loc[KINDS[name], "n_runs"].max()))
put("average_loss", f"{at.loc[KINDS['average'], 'loss_change_nats'].iloc[0]:+.3f}".replace("-", "−"))
put("latest", count_label(latest))
put("mates", others.loc[others["way"] == KINDS["seed"], "model"].nunique())
grouped = pd.concat([others[others["way"] == KINDS["seed"]], trunk]).groupby(["model", TOKENS_SEEN, "bits"])["qid_nats"]
scatter = (grouped.std() / grouped.mean()).dropna() ** 2
for bits, value in np.sqrt(scatter.groupby("bits").mean()).items():
    put(f"seed_sd_{bits:g}", value)
for outcome, both in twice.items():
    spread = one_run_scatter(both)["relative_sd"]
    put_all(**{f"second_{outcome}_sd_{bits}": spread[bits] for bits in BITS})
second_slopes = slopes_of_two_runs(twice["qid"])
for bits in BITS:
    of_bits = second_slopes.loc[bits]
    put_all(**{f"second_{name}_{bits}": of_bits[name].mean() for name in ("first", "second")})
    apart = mean_over_runs(of_bits["difference"])
    put_all(**{f"second_apart_{bits}_{end}": f"{apart[end]:+.2f}".replace("-", "−") for end in ("mean", "low", "high")})
    assert apart["low"] < 0 < apart["high"], "the text says: no difference in slope is clear of zero"
own_second = second[unbranched(second) & second["bits"].isin(BITS)]
second_up = steps_up(own_second)
put_all(second_up=int(second_up["n_up"].sum()), second_steps=int(second_up["n_steps"].sum()))
put("second_checkpoints", own_second["checkpoint_id"].nunique())
put("second_cooldowns", second.loc[~unbranched(second), "checkpoint_id"].nunique())

cooled = pd.concat([whole_rows(measured, first=True), second], ignore_index=True)
cooldowns = full_cooldowns(cooled)
cooldowns = cooldowns[cooldowns["bits"] == 3]
surface = decay_surface(cooldowns)
predicted = [surface.at(row[TOKENS_SEEN], row[N_PARAMS])["ratio"] for _, row in cooldowns.iterrows()]
put_all(decay_least=min(predicted), decay_most=max(predicted), decay_above=int((cooldowns["ratio"] > 1).sum()))
put_all(decay_cooldowns=surface.n_cooldowns, decay_runs=surface.n_runs, decay_sizes=cooldowns["model"].nunique())
for name, tokens, size in (("large", 250e6, 37.8e6), ("late", 600e6, 1e6)):
    put_all(**{f"decay_{name}_{key}": value for key, value in surface.at(tokens, size).items()})
    put_all(**{f"decay_{name}_tokens": count_label(tokens), f"decay_{name}_size": count_label(size)})
assert surface.slopes.loc["tokens", "value"] > 0 > surface.slopes.loc["size", "value"], (
    "the text says: more late and small"
)
assert surface.at(600e6, 1e6)["low"] > 1 > surface.at(250e6, 37.8e6)["low"], "and where it is clear of one"
assert (at.loc[KINDS["average"], "run_highest"] < 1).all(), "the text says: lower QiD in every run"
assert at.loc[KINDS["average"], "loss_change_nats"].iloc[0] < 0, "and a lower loss"
assert (at.loc[KINDS["wd3"], "high"] < 1).all(), "the text says that more weight decay lowers QiD"
assert (at.loc[KINDS["wd0"], "low"] > 1).all(), "and that none raises it"
for name in ("half", "double"):
    assert at.loc[KINDS[name], "run_lowest"].min() < 1 < at.loc[KINDS[name], "run_highest"].max(), "no single direction"
cosines = ratios_to_twins(others[others["way"] == KINDS["cosine"]], trunk, ["tokens_planned"])
assert (cosines["loss_change_nats"].diff().dropna() < 0).all(), "the text says: the shorter, the higher their loss"
assert cosines["loss_change_nats"].iloc[0] > 0 > cosines["loss_change_nats"].iloc[-1], "and higher than the trunk's"
for name in ("deep_small", "deep_large"):
    assert (at_last.loc[KINDS[name], "ratio"] > at.loc[KINDS[name], "ratio"]).all(), "the text says that it grows"
assert ratios["ratio"].max() < growth.min(), "the text says that tokens move QiD further than any of these"
apart = others.drop_duplicates("run_label").query("model != twin")
twin_size = apart["twin"].map(trunk.groupby("model")[N_PARAMS].first())
put("shape_size_gap", (apart[N_PARAMS] / twin_size - 1).abs().max())
put(
    "fig_else",
    comparisons.ratios_by_way(ratios, "QiD over that of the trunk's twin (factor)", [0.8, 1, 1.25, 1.5]).figure,
)
plt.close("all")

# %% [markdown]
# Geometric means over checkpoints, with 95% intervals over documents; the last column is the change of the 16-bit loss in nats per
# token, with its paired error. The intervals say how well these runs are measured. They don't hold another run.
#
# ```{glue:figure} fig_else
# :name: fig-else
# :alt: Ratio of QiD to that of the trunk's twin on a logarithmic axis, one row for each difference between runs, markers for 2, 3 and 4 bits. Deep narrow models, cosines, cooldowns and no weight decay lie to the right of one; the other training seeds lie at one; shallow wide models, weight averages and more weight decay lie to the left.
#
# The seeds are the yardstick: what lies within their stroke is no finding. Decay of the learning rate, no weight decay and depth
# raise QiD; averages, more weight decay and width lower it. Pale strokes: from the lowest to the highest of single runs.
# ```
#
# **The yardstick.** The study has {glue:text}`seed_runs:d` runs with other seeds and other batches, at {glue:text}`mates:d` of
# the sizes. At one checkpoint QiD scatters between seeds by {glue:text}`seed_sd_2:.1%`, {glue:text}`seed_sd_3:.1%` and
# {glue:text}`seed_sd_4:.1%` at 2, 3 and 4 bits (standard deviation); over the checkpoints of a run, the means lie between
# {glue:text}`seed_lowest:.2f` and {glue:text}`seed_highest:.2f` of the trunk's ({numref}`fig-else`). Branches and averages share
# most of their training with their twins, so that for them this yardstick is rather too long.
#
# **Second runs.** Of the trunk's sizes {glue:text}`second_sizes:d` were trained again with the same seed and batches, so that
# only the arithmetic of the GPU tells the runs apart ({glue:text}`second_checkpoints:d` checkpoints and
# {glue:text}`second_cooldowns:d` cooldowns, scored on two blocks of each document). The factor between the two evaluations taken
# out, one run scatters by {glue:text}`second_qid_sd_2:.1%`, {glue:text}`second_qid_sd_3:.1%` and {glue:text}`second_qid_sd_4:.1%`
# in QiD at 2, 3 and 4 bits, and by {glue:text}`second_kl_sd_2:.1%`, {glue:text}`second_kl_sd_3:.1%` and
# {glue:text}`second_kl_sd_4:.1%` in KL. QiD rises in {glue:text}`second_up:d` of their {glue:text}`second_steps:d` steps. Their
# slopes of $\ln$ QiD in $\ln D$ are {glue:text}`second_second_2:.2f`, {glue:text}`second_second_3:.2f` and
# {glue:text}`second_second_4:.2f`, those of the first runs at the same checkpoints {glue:text}`second_first_2:.2f`,
# {glue:text}`second_first_3:.2f` and {glue:text}`second_first_4:.2f`; they differ by {glue:text}`second_apart_2_mean:s`
# [{glue:text}`second_apart_2_low:s`, {glue:text}`second_apart_2_high:s`], {glue:text}`second_apart_3_mean:s`
# [{glue:text}`second_apart_3_low:s`, {glue:text}`second_apart_3_high:s`] and {glue:text}`second_apart_4_mean:s`
# [{glue:text}`second_apart_4_low:s`, {glue:text}`second_apart_4_high:s`] (over sizes).
#
# **The learning rate.** A full cooldown multiplies QiD at 3 bits by {glue:text}`decay_least:.1f` to {glue:text}`decay_most:.1f`,
# more after more tokens and less in larger models: by {glue:text}`decay_large_ratio:.2f` [{glue:text}`decay_large_low:.2f`,
# {glue:text}`decay_large_high:.2f`] at {glue:text}`decay_large_tokens:s` tokens and {glue:text}`decay_large_size:s` parameters,
# by {glue:text}`decay_late_ratio:.2f` [{glue:text}`decay_late_low:.2f`, {glue:text}`decay_late_high:.2f`] at
# {glue:text}`decay_late_tokens:s` and {glue:text}`decay_late_size:s`. That is the surface of {doc}`07-tokens-or-decay` through
# {glue:text}`decay_cooldowns:d` cooldowns of {glue:text}`decay_sizes:d` sizes, those of the second runs among them (clustered by
# the {glue:text}`decay_runs:d` runs they left); {glue:text}`decay_above:d` of the cooldowns end above their run. The table's line
# is a mean over the {glue:text}`cooldown_runs:d` of the trunk. The ends of cosines differ, from {glue:text}`cosine_lowest:.2f` to
# {glue:text}`cosine_highest:.2f`: the short ones spent little time at a high rate, and their loss is higher. At
# {glue:text}`latest:s` tokens they stand at {glue:text}`cosine_2_last:.2f` of the trunk's QiD at 2 bits. Averages of weights do
# the opposite: {glue:text}`average_2:.2f` at 2 bits, and a lower loss as well ({glue:text}`average_loss:s`). The peak rate acts
# in no single direction: single runs at half of it lie between {glue:text}`half_lowest:.2f` and {glue:text}`half_highest:.2f`, at
# twice of it between {glue:text}`double_lowest:.2f` and {glue:text}`double_highest:.2f`. {cite:t}`catalan2025dynamics` find that
# error after rounding jumps when the rate decays. These rows agree in sign. The same authors find that it changes little while
# the rate is constant. Here it grows {glue:text}`growth_low:.1f` to {glue:text}`growth_high:.1f` times at a constant rate,
# further than any difference in the table.
#
# **Weight decay.** Three times the usual weight decay lowers QiD to {glue:text}`wd3_2:.2f` at 2 bits, none raises it to
# {glue:text}`wd0_2:.2f`; at {glue:text}`latest:s` tokens it is {glue:text}`wd3_2_last:.2f` and {glue:text}`wd0_2_last:.2f`. One run
# each.
#
# **Shape.** Four runs have about as many parameters as a model of the trunk (within {glue:text}`shape_size_gap:.0%`) but more
# layers or fewer. Deep and narrow, QiD at 2 bits is {glue:text}`deep_small_2:.2f` and {glue:text}`deep_large_2:.2f` of the twin's,
# and the ratio grows with tokens: at {glue:text}`latest:s` it is {glue:text}`deep_small_2_last:.2f` and
# {glue:text}`deep_large_2_last:.2f`. Shallow and wide, it is {glue:text}`shallow_small_2:.2f` and {glue:text}`shallow_large_2:.2f`.
# So $N$ alone doesn't fix QiD. The trunk's larger models are deeper as well as wider.
#
# This is a pointer. Which of it is decay and which is tokens needs the laws of the next chapters.
#
# ## Does the way of rounding matter?

# %% tags=["remove-cell"]
rtn = qid_ratio(rows_of_fit(study, "rtn", 32, symmetric=False), gptq)
late_rtn = rtn[rtn[TOKENS_SEEN] > LATE_TOKENS]
put("rtn_rows", len(rtn))
put("rtn_worse", int((rtn["ratio"] > 1).sum()))
put("rtn_late_rows", len(late_rtn))
for bits, rows in late_rtn.groupby("bits"):
    put(f"rtn_ratio_{bits:g}", rows["ratio"].median())
rtn_by_size = late_rtn[late_rtn["bits"] == 2].groupby(N_PARAMS)["ratio"].median()
put("rtn_smallest", rtn_by_size[sizes[0]])
put("rtn_largest", rtn_by_size[sizes[-1]])
assert rtn_by_size[sizes[-1]] > 1.2 * rtn_by_size[sizes[0]], "the text says that GPTQ gains more in the largest model"
rtn_trends = trends(
    study[(study["method"] == "rtn") & (study[TOKENS_SEEN] > LATE_TOKENS)], TOKENS_SEEN, ["model", "bits"]
)
put("rtn_series", len(rtn_trends))
put("rtn_rising", int((rtn_trends["change_nats"] > 0).sum()))
put("fig_rtn", comparisons.ratio_against_tokens(late_rtn, "QiD of RTN / QiD of GPTQ (factor)"))
plt.close("all")
assert (late_rtn["ratio"] > 1).all(), "the text says: on every checkpoint beyond the early ones"
assert (rtn["ratio"] + 2 * rtn["ratio_se"] > 1).all(), "and that no early one is clearly below"
assert (rtn_trends["change_nats"] > 0).all(), "the text says that all series rise"
assert late_rtn.groupby("bits")["ratio"].median().between(1.75, 2.5).all(), "the caption says: about twice"

# %% [markdown]
# ```{glue:figure} fig_rtn
# :name: fig-rtn
# :alt: Ratio of the QiD of round-to-nearest to that of GPTQ against training tokens, three panels for 2, 3 and 4 bits, one line for each size; all points lie above one, most between 1.5 and 2.5.
#
# Round-to-nearest (RTN) loses more than GPTQ on every checkpoint beyond {glue:text}`early_tokens:s` tokens, about twice as much.
# ```
#
# Beyond {glue:text}`early_tokens:s` tokens RTN loses more than GPTQ in all {glue:text}`rtn_late_rows:d` rows; with the earlier ones
# it is {glue:text}`rtn_worse:d` of {glue:text}`rtn_rows:d`, and none lies below one by two errors. The median ratio is
# {glue:text}`rtn_ratio_2:.1f` at 2 bits, {glue:text}`rtn_ratio_3:.1f` at 3 and {glue:text}`rtn_ratio_4:.1f` at 4; at 2 bits it is
# {glue:text}`rtn_smallest:.1f` in the smallest model and {glue:text}`rtn_largest:.1f` in the largest. RTN needs no calibration
# text, and yet QiD rises with tokens in {glue:text}`rtn_rising:d` of its {glue:text}`rtn_series:d` series. So the rise is not
# something that GPTQ or its calibration makes.
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
# Larger groups raise QiD, and a symmetric grid raises it further; {glue:text}`group_worse:d` of {glue:text}`group_rows:d` ratios
# are above one. Only {glue:text}`group_models:d` models have a width that 128 divides. Group 32 spends more bits on scales: this is
# the price of the lower QiD, and "2 bits" in this chapter does not count it.
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
    display(Markdown(f"**There is no comparison for this sweep:** {plain(error)}."))

# %% tags=["remove-input"]
if agreement is not None:
    rounded = agreement[agreement["method"] == "gptq"]
    nearest = agreement[agreement["method"] == "rtn"]
    bases = local.merge(on_gpu, on=["checkpoint_id", "scheme_id", "eval_id"])
    bases = bases[bases["method_x"] == "none"]
    base_gap = (bases["loss_nats_x"] - bases["loss_nats_y"]).abs().max()
    within = (rounded["difference_in_seeds"].abs() < 2).groupby(rounded[TOKENS_SEEN] > LATE_TOKENS).agg(["sum", "size"])
    counts = " and ".join(
        f"{row['sum']} of {row['size']} rows {'beyond' if is_late else 'before'} {count_label(LATE_TOKENS)} tokens"
        for is_late, row in within.sort_index(ascending=False).iterrows()
    )
    spreads = ", ".join(f"{row.relative_sd:.1%} at {bits:g} bits" for bits, row in seeds.iterrows())
    clear = rounded[rounded["qid_nats_cuda"] > 3 * rounded["qid_se_nats_cuda"]]
    worst = clear.loc[clear["difference_in_seeds"].abs().idxmax()]
    same = rounded["difference_nats"].abs() < 1e-5
    rtn_gap = nearest["difference_nats"].abs().max()
    by_rtn = f", and the QiD of {len(nearest)} RTN rows by at most {rtn_gap:.0e}" if len(nearest) else ""
    display(
        Markdown(
            f"**What agrees exactly.** The 16-bit losses of {len(bases)} checkpoints differ by at most {base_gap:.0e} nats per token{by_rtn}. "
            f"That is single precision. Of {len(rounded)} GPTQ rows, {same.sum()} agree to less than 0.00001 nats.\n\n"
            f"**What doesn't.** The other {(~same).sum()} differ by up to {rounded['difference_nats'].abs().max():.3f} nats (median "
            f"{rounded['difference_nats'][~same].abs().median():.4f}), and by up to "
            f"{rounded['difference_in_own_se'][~same].abs().max():.0f} times the paired error of the difference. Of the QiDs that exceed three errors, farthest off relative to its size is "
            f"{code(worst['model'])} after {count_label(worst[TOKENS_SEEN])} tokens at {worst['bits']:g} bits: {worst['qid_nats_cpu']:.4f} here and "
            f"{worst['qid_nats_cuda']:.4f} in the table.\n\n"
            f"**Does it matter?** Between calibration seeds QiD scatters by {spreads} (standard deviation relative to QiD). "
            f"{counts} differ between the machines by less than twice what two seeds typically differ by. The seeds were tried at the last checkpoint, "
            f"where QiD is large. A small early QiD may scatter by more of itself."
        )
    )

# %% tags=["remove-cell"]
if agreement is None:
    put("fig_devices", comparisons.note("No stored rows of this sweep's checkpoints to compare with"))
else:
    put("fig_devices", comparisons.device_differences(rounded).figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_devices
# :name: fig-devices
# :alt: Difference between the QiD of this machine and the stored one, in units of what two calibration seeds differ by, against training tokens, coloured by bits; a band marks minus two to two. The points of many tokens lie in the band, some of those of few tokens far outside.
#
# GPTQ on this machine against the stored rows, in units of the difference that two calibration seeds make at the last checkpoint.
# The band goes from −2 to 2.
# ```
#
# Why is RTN exact and GPTQ not? RTN decides each weight by itself, so that a difference in the ninth digit changes nothing unless a
# weight lies on the border of two grid points. GPTQ rounds column after column, and each decision moves what comes later. One
# weight that falls to the other side sends the rest of its row, and then the next block, another way. The result is another
# solution, about as good. Where no weight falls to the other side, the two agree to the last digits. The paired error doesn't know
# of this: it says how well one solution is measured on these documents, not how much another solution would differ.
#
# The table gives every checkpoint: QiD here, then its difference to the stored row, both in nats per token. In brackets stands the
# difference over its own paired error.

# %% tags=["remove-input"]
if agreement is not None:
    display(agreement_table(rounded))

# %% [markdown]
# ## What this does not show
#
# - **Few runs.** One order of batches is behind all counts but those of {glue:text}`seed_runs:d` runs at {glue:text}`mates:d` sizes; the
#   second runs share it. Each weight decay and each shape was trained once. An interval over documents says nothing about a run that
#   was not made.
# - **A law of decay.** Cooldowns and cosines were compared at their ends. How far the learning rate must fall, and for how long, this chapter doesn't ask.
# - **New text instead of old.** Beyond {glue:text}`unique_tokens:s` tokens everything was read before.
# - **One kind of text**, Python source, for training, calibration and evaluation.
# - **Small models.** The largest has {glue:text}`study_largest:s` parameters.
# - **Width and depth on the trunk.** Its larger models are deeper as well as wider. Four runs of other shapes, at two sizes, show that the two differ; they don't make a law.
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
# {glue:text}`size_first_tokens:s` tokens QiD rises with $N$ at {glue:text}`size_first_rising:d` of {glue:text}`size_first_series:d`
# bit widths.
# ```
#
# **3.** RTN at 3 bits or GPTQ at 2 bits: which loses less at the last checkpoint of the largest model? Take it from the median ratios above
# before you look.

# %% tags=["remove-cell"]
end = study[
    (study[N_PARAMS] == sizes[-1]) & (study[TOKENS_SEEN] == study[TOKENS_SEEN].max()) & (study["group_size"] == 32)
]
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
#
# **4.** At 8 bits some QiDs are negative. Did rounding improve those models?
#
# ```{admonition} Answer
# :class: dropdown
#
# On these documents their loss is lower than before, for most by less than two errors. Where the sign holds on other text as well
# the change is real, but nobody aimed at it: the rounding error happened to point down the slope of the loss. Another way of
# rounding would point elsewhere. The mean at 8 bits over all checkpoints beyond {glue:text}`early_tokens:s` tokens is
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
