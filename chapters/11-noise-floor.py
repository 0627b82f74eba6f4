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
# # Small differences in QiD are noise
#
# *How small may a QiD be, or a miss of a prediction, and still mean something?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** Another training seed moves QiD at 3 bits by {glue:text}`between_3:.0%` [{glue:text}`between_3_low:.0%`,
#   {glue:text}`between_3_high:.0%`] (standard deviation, 95% over training runs).
# - **How sure.** {glue:text}`seed_runs:d` runs with other seeds, {glue:text}`n_seeds:d` draws of calibration text for each of
#   {glue:text}`n_models:d` sizes. Seeds are few, so the interval is wide. How much of each document is scored moves QiD more:
#   compare within one protocol.
# - **Use it for.** Deciding whether a difference needs an explanation: a prediction for another run that is off by less than
#   {glue:text}`another_3_relative:.0%` at 3 bits does not.
# ```
#
# Measure the QiD of one checkpoint again, with nothing changed that anybody cares about, and another number comes out. Another
# draw of calibration text, other documents, another machine, another number format: each moves it. Train the model again from
# another seed, and it moves once more. This chapter measures how far each does, and adds them up to a floor. What lies below the
# floor needs no explanation. Other chapters hold their predictions against it. All of it is asked of QiD and, where the rows allow,
# of KL, the divergence from the 16-bit model's predictions. {term}`Intervals <interval>` run over draws of calibration
# text; where seeds are compared, over training runs; over checkpoints or documents where that is said.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.analyse.questions.trends import steps_up
from helpers.analyse.questions.ways import way_of_rounding
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.devices import device_agreement
from helpers.analyse.rows.noise import (
    calibration_draws,
    device_part,
    documents_needed,
    format_parts,
    scatter_ratio,
    scatter_trend,
    training_seeds,
    without_rounding,
)
from helpers.analyse.rows.noise_floor import study_floors
from helpers.analyse.rows.outcomes import KL, OUTCOMES, QID
from helpers.analyse.rows.scored_text import scored_both_ways, scored_text_relative
from helpers.analyse.rows.second_runs import both_runs, one_run_scatter
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.standard_errors import clustered_error
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    HELDOUT,
    LATE_TOKENS,
    POCKET,
    UNSEEN,
    agreeing,
    gptq_of_study,
    on_trunk,
    rows_of_every_run,
    rows_of_seeds,
    study_rows,
)
from helpers.show import benchmarks
from helpers.show.figures import comparisons
from helpers.show.glue import put
from helpers.show.style import PALE, count_label, use_house_style
from helpers.table.corpus import packages
from helpers.table.errors import AnalysisError
from helpers.table.files import read_table

use_house_style()


def put_interval(name, row, middle="relative_sd"):
    for suffix, column in (("", middle), ("_low", "low"), ("_high", "high")):
        put(name + suffix, row[column])


WIDTHS = list(FITTED_BITS)
SIZES = [8, 16, 32, 64, 128]

# %% [markdown]
# ## Definition
#
# Every source of noise is described by a standard deviation. With $q$ the QiD in nats per token, we take the variance of one
# measured QiD to be
#
# $$
# \sigma^2 = \underbrace{(r_\text{cal}^2 + r_\text{seed}^2 + r_\text{dev}^2 + r_\text{fmt}^2)\, q^2}_{\text{another rounding}}
#  + \underbrace{\frac{n_0}{n} \, c^2 q^{2p}}_{\text{other documents}} .
# $$ (eq-noise)
#
# The first part is proportional to QiD: calibration text, training seed, device and number format each make another rounded
# model, by a relative amount $r$. The second is the error of the evaluation. It grows as a power $p$ of QiD, is $c$ nats at a QiD
# of one nat, falls with the number of documents $n$, and was found with $n_0$. The parts are taken as independent. The {term}`floor <noise floor>`
# is $2 \sigma$, in nats per token. A QiD that differs from a fixed number by less means nothing. There are two floors. That of
# *one trained model* leaves $r_\text{seed}$ out: it says how well the QiD of the weights at hand is known. That of *another run*
# has it: it is for a prediction about a model that is trained anew. The *smallest QiD that means anything* is the one that equals
# its own floor, of one model.
#
# The rows are the study's: GPTQ in asymmetric groups of {glue:text}`group:d`, rounded with {glue:text}`calib_sequences:d`
# sequences of calibration text, scored on {glue:text}`n_sequences:d` sequences from {glue:text}`n_documents:d` documents. Beside
# them stand the rows of {doc}`chapter 10 <10-methods-and-texts>` and those of the reader's table, with a quarter of either.

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
rows = gptq_of_study(measured)
unseen = gptq_of_study(measured, UNSEEN)
first = rows[rows["calib_seed"] == 0]
last = rows[on_trunk(rows) & (rows["step"] == rows["step"].max())]
floors, of_kl = (study_floors(measured, packages("evaluation"), outcome) for outcome in OUTCOMES.values())

# %% [markdown]
# ## Another draw of calibration text
#
# GPTQ rounds with the help of some text. At the trunk's last checkpoint, after {glue:text}`last_tokens:s` tokens, this text was
# drawn {glue:text}`n_seeds:d` times for each of {glue:text}`n_models:d` sizes.

# %% tags=["hide-input"]
calibration = calibration_draws(last)
elsewhere = calibration_draws(unseen[on_trunk(unseen)])
by_size = pd.concat(
    {size: calibration_draws(part) for size, part in last.groupby(N_PARAMS)}, names=[N_PARAMS]
).reset_index()
size_trend = scatter_trend(by_size, N_PARAMS)

# %% tags=["remove-cell"]
effects = last.assign(effect=last["qid_nats"] / last.groupby(["model", "bits"])["qid_nats"].transform("mean"))
together = {}
for bits, part in effects.groupby("bits"):
    correlations = part.pivot(index="calib_seed", columns="model", values="effect").corr().to_numpy()
    together[bits] = correlations[np.triu_indices_from(correlations, 1)].mean()
put("group", int(last["group_size"].iloc[0]))
put("calib_sequences", int(last["calib_sequences"].iloc[0]))
put("n_sequences", int(last["n_sequences"].iloc[0]))
put("n_documents", int(last["n_documents"].iloc[0]))
put("last_tokens", count_label(last[TOKENS_SEEN].iloc[0]))
put("n_seeds", int(calibration["n_seeds"].max()))
put("n_models", int(calibration["n_checkpoints"].max()))
put("freedom", int(calibration["degrees_of_freedom"].max()))
put("size_times", last[N_PARAMS].max() / last[N_PARAMS].min())
for bits in WIDTHS:
    put_interval(f"cal_{bits}", calibration.loc[bits])
    put_interval(f"size_trend_{bits}", size_trend.loc[bits], "exponent")
    put(f"cal_{bits}_documents", calibration.loc[bits, "documents_share"])
    put(f"cal_{bits}_unseen", elsewhere.loc[bits, "relative_sd"])
    put(f"together_{bits}", together[bits])
overlap = (elsewhere["low"] < calibration["high"]) & (elsewhere["high"] > calibration["low"])
assert overlap.all(), "the text says that both texts agree within their intervals"
assert calibration["low"].max() < calibration["high"].min(), "the text says: bits don't matter within the intervals"
assert calibration["relative_sd"].between(0.01, 0.05).all(), "the caption says: a few percent"
assert ((size_trend["low"] < 0) & (size_trend["high"] > 0)).all(), "the text says: zero lies in all three"
assert (size_trend["low"] > -0.5).all(), "the text rules out 1/sqrt(N)"
bits_times = last[last["bits"] == 2]["qid_nats"].median() / last[last["bits"] == 4]["qid_nats"].median()
put("bits_times", bits_times)
put("fig_draws", comparisons.scatter_about_mean(last, N_PARAMS, "calib_seed"))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_draws
# :name: fig-draws
# :alt: QiD of five draws of calibration text over their mean against size, three panels for 2, 3 and 4 bits, one line a draw. The lines lie within about eight percent of one at every size and cross all the time.
#
# The draw of calibration text moves QiD by a few percent, in large models as in small ones. One line a draw, last checkpoints of
# the trunk.
# ```
#
# Relative to QiD, draws scatter by {glue:text}`cal_2:.1%` [{glue:text}`cal_2_low:.1%`, {glue:text}`cal_2_high:.1%`] at 2 bits,
# {glue:text}`cal_3:.1%` [{glue:text}`cal_3_low:.1%`, {glue:text}`cal_3_high:.1%`] at 3 and {glue:text}`cal_4:.1%`
# [{glue:text}`cal_4_low:.1%`, {glue:text}`cal_4_high:.1%`] at 4. These are standard deviations, pooled over the sizes, with 95%
# intervals over draws, of {glue:text}`freedom:d` degrees of freedom. The intervals overlap: the bits make no clear difference, although QiD
# itself at 2 bits is {glue:text}`bits_times:.0f` times that at 4. The same rounded models scored on unseen text give
# {glue:text}`cal_2_unseen:.1%`, {glue:text}`cal_3_unseen:.1%` and {glue:text}`cal_4_unseen:.1%`, which agrees within the
# intervals.
#
# Does a larger model scatter less ({numref}`fig-draws`)? As a power of size $N$ the scatter has the exponents
# {glue:text}`size_trend_2:.2f` [{glue:text}`size_trend_2_low:.2f`, {glue:text}`size_trend_2_high:.2f`],
# {glue:text}`size_trend_3:.2f` [{glue:text}`size_trend_3_low:.2f`, {glue:text}`size_trend_3_high:.2f`] and
# {glue:text}`size_trend_4:.2f` [{glue:text}`size_trend_4_low:.2f`, {glue:text}`size_trend_4_high:.2f`] at 2, 3 and 4 bits. Over
# sizes that differ by a factor of {glue:text}`size_times:.0f` that is no clear trend: zero lies in all three. What the intervals
# rule out is $-1/2$, which independent errors of single weights would give. So the floor takes one share for all sizes.
#
# ```{dropdown} What blurs these numbers
# Two things blur these numbers a little. On a finite set of documents two roundings differ by chance, and
# {glue:text}`cal_2_documents:.0%`, {glue:text}`cal_3_documents:.0%` and {glue:text}`cal_4_documents:.0%` of the variance at 2, 3
# and 4 bits come from that. We don't take it out: the floor is a little too high rather than too low. And the draws are the same
# texts for every size. Between two sizes their effects correlate by {glue:text}`together_2:.2f`, {glue:text}`together_3:.2f` and
# {glue:text}`together_4:.2f` on average, so that at 2 bits the sizes are not quite independent and the interval is somewhat too
# narrow.
# ```
#
# **A quarter of the calibration text.** The reader's machine rounds with {glue:text}`calib_few:d` sequences, and {doc}`chapter 10 <10-methods-and-texts>` does too. On the last
# checkpoints of its {glue:text}`n_pocket:d` models {glue:text}`n_seeds_few:d` draws were made as well. Does four times as much
# text scatter half as much, as a mean would?

# %% tags=["hide-input"]
stored = measured[agreeing(measured, POCKET)]
on_cpu = degradation(stored)
on_cpu = on_cpu[(way_of_rounding(on_cpu) == "GPTQ") & (on_cpu["eval_dataset"] == HELDOUT)]
pocket = on_cpu[on_cpu["step"] == on_cpu["step"].max()]
few = calibration_draws(pocket)
many = calibration_draws(last[last["model"].isin(pocket["model"])])
quarter = scatter_ratio(few, many)

# %% tags=["remove-cell"]
put("calib_few", int(pocket["calib_sequences"].iloc[0]))
put("n_pocket", pocket["model"].nunique())
put("n_seeds_few", int(few["n_seeds"].max()))
for bits in WIDTHS:
    put(f"few_cal_{bits}", few.loc[bits, "relative_sd"])
    put(f"many_cal_{bits}", many.loc[bits, "relative_sd"])
    put_interval(f"quarter_{bits}", quarter.loc[bits], "ratio")
assert ((quarter["low"] < 1) & (quarter["high"] > 1)).all(), "the text says: one lies in all three"
assert (quarter["high"] > 2).to_dict() == {2: False, 3: True, 4: False}, "the text says: two lies in one of them"

# %% [markdown]
# ```{dropdown} What a quarter of the text does
# It does not, or not surely. The scatter with {glue:text}`calib_few:d` sequences is {glue:text}`few_cal_2:.1%`,
# {glue:text}`few_cal_3:.1%` and {glue:text}`few_cal_4:.1%` at 2, 3 and 4 bits; with {glue:text}`calib_sequences:d`, on the same
# models, {glue:text}`many_cal_2:.1%`, {glue:text}`many_cal_3:.1%` and {glue:text}`many_cal_4:.1%`. The ratios are
# {glue:text}`quarter_2:.2f` [{glue:text}`quarter_2_low:.2f`, {glue:text}`quarter_2_high:.2f`], {glue:text}`quarter_3:.2f`
# [{glue:text}`quarter_3_low:.2f`, {glue:text}`quarter_3_high:.2f`] and {glue:text}`quarter_4:.2f`
# [{glue:text}`quarter_4_low:.2f`, {glue:text}`quarter_4_high:.2f`]. One lies in all three intervals and two only in that of 3
# bits. More text makes better Hessians, but any change of it, however small, sets off another chain of rounding decisions, and
# that part doesn't average out. The two sets of rows also differ in how much text they are scored on, so only their scatter is
# compared here and not their level.
# ```
#
# ## Another training seed
#
# From other initial weights and with the text in another order, the models {glue:text}`seed_models:s` were trained several times:
# {glue:text}`seed_runs:d` runs in all. The smaller two have three runs each up to {glue:text}`seed_common_tokens:s` tokens, the largest
# size has two, up to {glue:text}`seed_last_tokens:s`. All runs are rounded with the same draw of calibration text and scored on the same
# documents.

# %% tags=["hide-input"]
of_seeds = rows_of_seeds(first)
late = of_seeds[of_seeds[TOKENS_SEEN] > LATE_TOKENS]
between, early = training_seeds(late), training_seeds(of_seeds[of_seeds[TOKENS_SEEN] <= LATE_TOKENS])
of_seed = without_rounding(between, calibration)
by_tokens = pd.concat(
    {count: training_seeds(part) for count, part in of_seeds.groupby(TOKENS_SEEN)}, names=[TOKENS_SEEN]
)
token_trend = scatter_trend(by_tokens.reset_index(), TOKENS_SEEN)

# %% tags=["remove-cell"]
unseen_seeds = rows_of_seeds(unseen[(unseen["calib_seed"] == 0) & (unseen[TOKENS_SEEN] > LATE_TOKENS)])
between_unseen = training_seeds(unseen_seeds)
nearest = rows_of_fit(
    degradation(rows_of_every_run(measured)), "rtn", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS
)
between_nearest = training_seeds(rows_of_seeds(nearest))
between_nearest = between_nearest.loc[WIDTHS]
names = [name.removeprefix("tadpole-") for name in of_seeds.sort_values(N_PARAMS)["model"].unique()]
n_models = of_seeds.groupby(TOKENS_SEEN)["model"].nunique()
common_tokens = n_models[n_models == n_models.max()].index.max()
losses = of_seeds.drop_duplicates(["run_label", "step"]).groupby(["model", TOKENS_SEEN])["baseline_loss_nats"].std()
late_losses = losses[losses.index.get_level_values(TOKENS_SEEN) > LATE_TOKENS]
last_seeds = by_tokens.xs(common_tokens, level=TOKENS_SEEN)
leaders = late.loc[late.groupby(["model", "step", "bits"])["qid_nats"].idxmax()]
put("seed_models", ", ".join(names))
put("seed_runs", int(between["n_runs"].max()))
put("seed_common_tokens", count_label(common_tokens))
runs_of = of_seeds.groupby("model")["run_label"].nunique()
assert runs_of.tolist() == [3, 3, 2], "the text says: three runs of the smaller two, two of the largest size"
put("seed_freedom", int(between["degrees_of_freedom"].max()))
put("seed_checkpoints", late["step"].nunique())
put("seed_last_tokens", count_label(of_seeds[TOKENS_SEEN].max()))
put("late_tokens", count_label(LATE_TOKENS))
put("last_share", last_seeds.loc[4, "relative_sd"] / between.loc[4, "relative_sd"])
assert last_seeds.loc[4, "relative_sd"] < 0.6 * between.loc[4, "relative_sd"], "the text says: rather too high"
put("loss_spread", np.sqrt((late_losses**2).mean()))
put("loss_spread_last", np.sqrt((losses.xs(common_tokens, level=TOKENS_SEEN) ** 2).mean()))
put("loss_spread_largest", late_losses.max())
put("loss_spread_at", count_label(late_losses.idxmax()[1]))
assert late_losses.max() ** 2 > 0.5 * (late_losses**2).sum(), "the text says: mostly that of one checkpoint"
for bits in WIDTHS:
    put_interval(f"between_{bits}", between.loc[bits])
    put_interval(f"of_seed_{bits}", of_seed.loc[bits])
    put_interval(f"token_trend_{bits}", token_trend.loc[bits], "exponent")
    put(f"between_{bits}_unseen", between_unseen.loc[bits, "relative_sd"])
    put(f"between_{bits}_nearest", between_nearest.loc[bits, "relative_sd"])
    put(f"between_{bits}_documents", between.loc[bits, "documents_share"])
    put(f"between_{bits}_early", early.loc[bits, "relative_sd"])
    put(f"between_{bits}_last", last_seeds.loc[bits, "relative_sd"])
assert (leaders.groupby(["model", "bits"])["train_seed"].nunique() > 1).all(), "the text says: no seed leads throughout"
assert (token_trend["high"] < 0).all(), "the text says: it falls as training goes on"
assert (early["relative_sd"] > 2 * between["relative_sd"]).all(), "the caption says: most of all early in training"
assert (last_seeds["low"] < calibration["high"]).all(), "the text says: not to be told from draws of calibration text"
assert (between_nearest["relative_sd"] > calibration["high"]).all(), "the text says that RTN scatters too"
assert between.loc[4, "low"] > calibration.loc[4, "high"], "the text says: clear at 4 bits"
assert of_seed.loc[3, "low"] > 0, "the text says: above zero at 3"
assert of_seed.loc[2, "low"] == 0, "and not at 2"
figure = comparisons.scatter_about_mean(of_seeds, TOKENS_SEEN, "run_label")
for axes in figure.axes:
    axes.axvline(LATE_TOKENS, color=PALE, linewidth=1.0, linestyle="--")
put("fig_seeds", figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_seeds
# :name: fig-seeds
# :alt: QiD of models trained from several seeds over their mean against training tokens, three panels for 2, 3 and 4 bits, one line a run. The lines start up to forty percent away from one at 4 bits and come together to a few percent at the end. They cross again and again. A dashed vertical line stands at 60M tokens.
#
# Training seeds move QiD, most of all early in training and at 4 bits. One line a training run; dashed:
# {glue:text}`late_tokens:s` tokens, from where on this book fits its laws.
# ```
#
# Beyond {glue:text}`late_tokens:s` tokens, the runs' QiDs scatter by {glue:text}`between_2:.1%` [{glue:text}`between_2_low:.1%`,
# {glue:text}`between_2_high:.0%`] at 2 bits, {glue:text}`between_3:.1%` [{glue:text}`between_3_low:.1%`,
# {glue:text}`between_3_high:.0%`] at 3 and {glue:text}`between_4:.1%` [{glue:text}`between_4_low:.1%`,
# {glue:text}`between_4_high:.0%`] at 4 (standard deviation relative to QiD, pooled over {glue:text}`seed_checkpoints:d`
# checkpoints). On unseen text it is {glue:text}`between_2_unseen:.1%`, {glue:text}`between_3_unseen:.1%` and
# {glue:text}`between_4_unseen:.1%`. The intervals count runs, not checkpoints: {glue:text}`seed_freedom:d` degrees of freedom
# leave the upper ends nearly open. They are rather too wide, since no seed has the larger QiD throughout ({numref}`fig-seeds`);
# yet what checkpoints of one run share can't be distinguished from so few runs.
#
# This scatter is not the training seed's alone. Each seed's model is rounded anew, with its own chain of decisions. Less the
# variance of another draw of calibration text, the seed's own part is {glue:text}`of_seed_2:.1%` [{glue:text}`of_seed_2_low:.1%`,
# {glue:text}`of_seed_2_high:.0%`], {glue:text}`of_seed_3:.1%` [{glue:text}`of_seed_3_low:.1%`, {glue:text}`of_seed_3_high:.0%`]
# and {glue:text}`of_seed_4:.1%` [{glue:text}`of_seed_4_low:.1%`, {glue:text}`of_seed_4_high:.0%`] at 2, 3 and 4 bits. At 4 bits
# it is clear and larger than any other part, at 3 bits it is above zero, at 2 bits nothing shows beyond the rounding. Documents
# make {glue:text}`between_2_documents:.0%`, {glue:text}`between_3_documents:.0%` and {glue:text}`between_4_documents:.0%` of the
# variance between runs, and we leave that in. RTN draws no text at all, and between seeds it scatters by
# {glue:text}`between_2_nearest:.1%`, {glue:text}`between_3_nearest:.1%` and {glue:text}`between_4_nearest:.1%`. So calibration is
# not needed to tell seeds apart: it is enough that other weights lie elsewhere on the grid.
#
# The share is no constant of training. As a power of tokens, over all checkpoints, it falls with the exponents
# {glue:text}`token_trend_2:.2f` [{glue:text}`token_trend_2_low:.2f`, {glue:text}`token_trend_2_high:.2f`],
# {glue:text}`token_trend_3:.2f` [{glue:text}`token_trend_3_low:.2f`, {glue:text}`token_trend_3_high:.2f`] and
# {glue:text}`token_trend_4:.2f` [{glue:text}`token_trend_4_low:.2f`, {glue:text}`token_trend_4_high:.2f`] (intervals that take
# checkpoints as independent). Up to {glue:text}`late_tokens:s` tokens it was {glue:text}`between_2_early:.0%`,
# {glue:text}`between_3_early:.0%` and {glue:text}`between_4_early:.0%`. At the last common checkpoint it is
# {glue:text}`between_2_last:.1%`, {glue:text}`between_3_last:.1%` and {glue:text}`between_4_last:.1%`, which so few runs can't
# tell from the scatter of calibration text.
#
# ### The same seed again, and KL
#
# Eight sizes, up to {glue:text}`second_largest:s` parameters, were trained a second time with the same seed and the same batches. Only
# the order in which a GPU adds numbers separates two such runs, and they part all the same. The scatter of one run is the standard
# deviation of ln(one over the other) over $\sqrt 2$; how much of each document was scored differs between the two measurements by a
# factor that is taken out. Here it is beside the other sources, for QiD and for KL:

# %% tags=["hide-input"]
every_pair = {name: both_runs(measured, outcome) for name, outcome in OUTCOMES.items()}
again = {name: one_run_scatter(pairs) for name, pairs in every_pair.items()}
draws_of = {name: calibration_draws(last, outcome) for name, outcome in OUTCOMES.items()}
seeds_of = {name: training_seeds(late, outcome) for name, outcome in OUTCOMES.items()}

# %% tags=["hide-input"]
pd.DataFrame(
    {
        f"{label}, {outcome.symbol}": [f"{100 * table[name].loc[bits, 'relative_sd']:.1f}%" for bits in WIDTHS]
        for label, table in (
            ("draws of calibration text", draws_of),
            ("same seed again", again),
            ("training seeds", seeds_of),
        )
        for name, outcome in OUTCOMES.items()
    },
    index=[f"{bits} bits" for bits in WIDTHS],
).T

# %% tags=["remove-cell"]
pairs = every_pair[QID.name]
put("second_largest", count_label(pairs[N_PARAMS].max()))
put("second_rows", int(again[QID.name].loc[4, "n_rows"]))
put("second_sizes", int(again[QID.name].loc[4, "n_sizes"]))
assert pairs["model"].nunique() == 8, "the text says: eight sizes"
later = pairs[pairs[TOKENS_SEEN] > pairs[TOKENS_SEEN].min()]
put("again_later", one_run_scatter(later).loc[4, "relative_sd"])
put("again_later_from", count_label(later[TOKENS_SEEN].min()))
assert one_run_scatter(later).loc[4, "relative_sd"] < again[QID.name].loc[4, "relative_sd"], "the text says: early most"
for name in OUTCOMES:
    for bits in WIDTHS:
        put(f"again_{name}_{bits}", again[name].loc[bits, "relative_sd"])
for bits in WIDTHS:
    put_interval(f"between_kl_{bits}", seeds_of[KL.name].loc[bits])
assert seeds_of[KL.name]["relative_sd"].max() < 0.6 * seeds_of[QID.name].loc[4, "relative_sd"], (
    "alike in KL, not in QiD"
)
plain = rows_of_fit(degradation(study_rows(measured)), "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
for name, outcome in OUTCOMES.items():
    steps = steps_up(plain, outcome)
    for bits in (4, 6, 8):
        put(f"up_{name}_{bits}", int(steps.loc[bits, "n_up"]))
put("up_of", int(steps["n_steps"].iloc[0]))  # the same for both

# %% [markdown]
# The same seed again scatters by {glue:text}`again_qid_2:.1%`, {glue:text}`again_qid_3:.1%` and {glue:text}`again_qid_4:.1%` of QiD
# ({glue:text}`again_later:.1%` at 4 bits from {glue:text}`again_later_from:s` tokens on: early checkpoints scatter most), and by {glue:text}`again_kl_2:.1%`,
# {glue:text}`again_kl_3:.1%` and {glue:text}`again_kl_4:.1%` of KL: {glue:text}`second_rows:d` pairs of checkpoints of
# {glue:text}`second_sizes:d` sizes. Other seeds scatter by {glue:text}`between_kl_2:.1%` [{glue:text}`between_kl_2_low:.1%`,
# {glue:text}`between_kl_2_high:.0%`], {glue:text}`between_kl_3:.1%` [{glue:text}`between_kl_3_low:.1%`,
# {glue:text}`between_kl_3_high:.0%`] and {glue:text}`between_kl_4:.1%` [{glue:text}`between_kl_4_low:.1%`,
# {glue:text}`between_kl_4_high:.0%`] of KL (over runs). So what grows with the bits is the noise of QiD, a difference of two losses,
# not a difference between the runs: in KL one run is like another to a few percent at every width. The same shows along a run. Of
# {glue:text}`up_of:d` steps between the trunk's neighbouring checkpoints beyond {glue:text}`late_tokens:s` tokens QiD rises at
# {glue:text}`up_qid_4:d`, {glue:text}`up_qid_6:d` and {glue:text}`up_qid_8:d` at 4, 6 and 8 bits; KL at {glue:text}`up_kl_4:d`,
# {glue:text}`up_kl_6:d` and {glue:text}`up_kl_8:d`.
#
# The 16-bit losses of the runs of several seeds differ as well: by {glue:text}`loss_spread_last:.3f` nats per token at the last common checkpoint,
# and by {glue:text}`loss_spread:.3f` over those beyond {glue:text}`late_tokens:s` tokens (standard deviations). The latter is
# mostly that of one checkpoint, at {glue:text}`loss_spread_at:s` tokens, where it reaches
# {glue:text}`loss_spread_largest:.3f`: with a learning rate that doesn't fall, losses jump.
#
# ## Other documents
#
# What would an evaluation of fewer documents have given? We draw them from the {glue:text}`n_documents:d` at hand, with
# replacement, and look at the scatter of QiD. Each draw also makes its own 95% interval from its paired error
# {eq}`eq-paired-error`, and we count how often that holds the QiD of all documents.

# %% tags=["hide-input"]
generator = np.random.default_rng(seed)
first_draw = last[last["calib_seed"] == 0]
subsamples = pd.concat(
    documents_needed(row.document_qid_nats, SIZES, generator).assign(bits=row.bits) for row in first_draw.itertuples()
)
subsamples = subsamples.groupby(["bits", "n_documents"], as_index=False).mean()

# %% tags=["hide-input"]
shown = subsamples.assign(
    cell=[f"{row.relative_sd:.1%}, {row.coverage:.0%}" for row in subsamples.itertuples()],
    bits=subsamples["bits"].map("{:g} bits".format),
)
shown.pivot(index="n_documents", columns="bits", values="cell").rename_axis(index="documents", columns=None)

# %% tags=["remove-cell"]
at = subsamples.set_index(["bits", "n_documents"])
for bits in WIDTHS:
    put(f"few_{bits}", at.loc[(bits, 16), "relative_sd"])
    put(f"all_{bits}", at.loc[(bits, 128), "relative_sd"])
    equal = 128 * (at.loc[(bits, 128), "relative_sd"] / calibration.loc[bits, "relative_sd"]) ** 2
    put(f"equal_{bits}", int(np.ceil(equal)))
    assert equal < 128, "the figure's alt text says that the lines cross"
put("coverage_few", at.xs(16, level="n_documents")["coverage"].min())
put("coverage_all", at.xs(128, level="n_documents")["coverage"].min())
assert at.xs(128, level="n_documents")["coverage"].between(0.93, 0.97).all(), "the text says: close to 95%"
axes = comparisons.error_against_documents(subsamples, calibration["relative_sd"])
put("fig_documents", axes.figure)
plt.close("all")

# %% [markdown]
# Standard deviation relative to QiD, and how often the 95% interval holds, as means over the sizes.
#
# ```{glue:figure} fig_documents
# :name: fig-documents
# :alt: Standard deviation relative to QiD against the number of documents from 8 to 128, one falling line for each of 2, 3 and 4 bits, and a dashed level line of the same colour for draws of calibration text. Each falling line crosses its level line, that of 2 bits first and that of 4 bits last.
#
# At 2 bits {glue:text}`equal_2:d` documents are as sharp as one draw of calibration text (dashed), at 4 bits it takes
# {glue:text}`equal_4:d`. Last checkpoints of the trunk.
# ```
#
# With 16 documents QiD scatters by {glue:text}`few_2:.1%`, {glue:text}`few_3:.1%` and {glue:text}`few_4:.1%` at 2, 3 and 4 bits.
# With {glue:text}`n_documents:d` it is {glue:text}`all_2:.1%`, {glue:text}`all_3:.1%` and {glue:text}`all_4:.1%`. The paired
# error knows this by itself: at the bits where its 95% intervals hold least, they do in {glue:text}`coverage_all:.1%` of the
# draws of {glue:text}`n_documents:d` documents and in {glue:text}`coverage_few:.1%` of those of 16. Documents and calibration
# weigh the same at {glue:text}`equal_2:d`, {glue:text}`equal_3:d` and {glue:text}`equal_4:d` documents ({numref}`fig-documents`).
# Beyond that, more draws of calibration text would buy more than more documents.

# %% tags=["hide-input"]
in_packages = {HELDOUT: packages("evaluation"), UNSEEN: packages("unseen")}
every = pd.concat([first, unseen[unseen["calib_seed"] == 0]], ignore_index=True)
widened = every.assign(
    own_error=[clustered_error(row.document_qid_nats, in_packages[row.eval_dataset]) for row in every.itertuples()]
)
widened["factor"] = widened["own_error"] / widened["qid_se_nats"]
on_gpu = degradation(
    measured[
        agreeing(measured, POCKET | {"device_type": "cuda"})
        & (measured["eval_dataset"] == HELDOUT)
        & (measured["calib_sequences"].isna() | (measured["calib_sequences"] == pocket["calib_sequences"].iloc[0]))
    ]
)
key = ["checkpoint_id", "bits"]
blocks = on_gpu[on_gpu["calib_seed"] == 0].merge(first, on=key, suffixes=("_one", "_four"), validate="1:1")
blocks["gain"] = blocks["qid_se_nats_four"] / blocks["qid_se_nats_one"]

# %% tags=["remove-cell"]
factors = widened.groupby("eval_dataset")["factor"].median()
put("factor_held_out", factors[HELDOUT])
put("factor_unseen", factors[UNSEEN])
put("packages_held_out", len(set(in_packages[HELDOUT])))
put("packages_unseen", len(set(in_packages[UNSEEN])))
put("blocks_gain", blocks["gain"].median())
for name, outcome in OUTCOMES.items():
    both_ways = scored_both_ways(measured, outcome)
    of_rtn = scored_text_relative(both_ways[both_ways[TOKENS_SEEN] > LATE_TOKENS]).xs("rtn", level="method")
    for bits in WIDTHS:
        put_interval(f"scored_{name}_{bits}", of_rtn.loc[bits], "ratio")
    assert (of_rtn["low"] > 1).all(), "the text says that it moves the level"
put("scored_runs", int(of_rtn["n_runs"].iloc[0]))  # the same for both
put("n_blocks", len(blocks))
put("n_fitted", len(first))
for bits, floor in floors.items():
    put(f"eval_scale_{bits:g}", floor.evaluation.scale_nats)
    put(f"eval_exponent_{bits:g}", floor.evaluation.exponent)
    put(f"eval_off_{bits:g}", np.exp(floor.evaluation.log_sd))
exponents = [floors[bits].evaluation.exponent for bits in WIDTHS]
assert exponents == sorted(exponents, reverse=True), "the text says: the fewer bits, the nearer to a share"
assert abs(exponents[2] - 0.5) < 0.1, "the text says: near one half"
assert (factors > 1).all(), "the text says that packages make errors larger"
assert 0.5 < blocks["gain"].median() < 0.75, "the text says: less than a half is gained"
at_last = blocks[blocks[f"{TOKENS_SEEN}_one"] == blocks[f"{TOKENS_SEEN}_one"].max()]
assert (at_last["baseline_loss_nats_one"] < at_last["baseline_loss_nats_four"]).all(), "and: beginnings are easier"

# %% [markdown]
# Longer documents help less than more of them. The reader's rows have one block of text from each document and the study's have
# four. On the {glue:text}`n_blocks:d` roundings that have both, the paired error with four blocks is {glue:text}`blocks_gain:.2f`
# times that with one (median); four times as many documents would have made it one half. Above all they move the level. At the last checkpoints the
# beginning of a file is easier to predict, by the 16-bit loss, and yet loses more. By RTN, which needs no calibration text, QiD of the first block is
# {glue:text}`scored_qid_2:.2f` [{glue:text}`scored_qid_2_low:.2f`, {glue:text}`scored_qid_2_high:.2f`], {glue:text}`scored_qid_3:.2f`
# [{glue:text}`scored_qid_3_low:.2f`, {glue:text}`scored_qid_3_high:.2f`] and {glue:text}`scored_qid_4:.2f`
# [{glue:text}`scored_qid_4_low:.2f`, {glue:text}`scored_qid_4_high:.2f`] times that of four at 2, 3 and 4 bits, KL
# {glue:text}`scored_kl_2:.2f`, {glue:text}`scored_kl_3:.2f` and {glue:text}`scored_kl_4:.2f` times ({glue:text}`scored_runs:d` runs,
# intervals over runs). Two numbers mean the same only by one protocol; between two, this is a part of the noise, and the largest.
#
# One thing the paired error does not know: files of one package are alike. The {glue:text}`n_documents:d` held-out files come
# from {glue:text}`packages_held_out:d` packages, and the error by packages is {glue:text}`factor_held_out:.2f` times that by
# documents (median over rows). On unseen text, with {glue:text}`packages_unseen:d` packages, it is {glue:text}`factor_unseen:.2f`
# times. The floor uses the error by packages.
#
# ```{dropdown} How the error of documents grows with QiD
# How does this error grow with QiD? Not in proportion, and it doesn't stay either. On the {glue:text}`n_fitted:d` held-out rows
# of all runs it goes as $c\, q^p$ with $p$ = {glue:text}`eval_exponent_2:.2f`, {glue:text}`eval_exponent_3:.2f` and
# {glue:text}`eval_exponent_4:.2f`, $c$ = {glue:text}`eval_scale_2:.4f`, {glue:text}`eval_scale_3:.4f` and
# {glue:text}`eval_scale_4:.4f` nats per token at 2, 3 and 4 bits; single rows lie off this by a factor of
# {glue:text}`eval_off_2:.2f`, {glue:text}`eval_off_3:.2f` and {glue:text}`eval_off_4:.2f` (one standard deviation). At 4 bits the
# exponent is near one half, as that of a count: as if a larger QiD were more small losses, and not larger ones. With fewer bits
# it comes nearer to a fixed share.
# ```
#
# ## Another machine
#
# {doc}`Appendix E <96-this-machine>` lays the rows of this machine beside those of a GPU and tells why GPTQ differs between them.
# Here we only need one number: how far one QiD is off because of its machine.

# %% tags=["hide-input"]
try:
    mine = read_table(results_path).to_pandas()
    agreement = device_agreement(degradation(mine[mine["device_type"] == device]), on_gpu)
    whose = "this machine's rows"
except AnalysisError:  # another sweep: nothing stored to compare with
    agreement = device_agreement(on_cpu, on_gpu)
    whose = "the stored rows of a CPU"
compared = agreement[(agreement["method"] == "gptq") & (agreement[TOKENS_SEEN] > LATE_TOKENS)]
before = agreement[(agreement["method"] == "gptq") & (agreement[TOKENS_SEEN] <= LATE_TOKENS)]
device_relative = device_part(compared)
alongside = device_part(compared[compared[TOKENS_SEEN] <= late[TOKENS_SEEN].max()])
of_seed_by_device = np.sqrt((between["relative_sd"] ** 2 - alongside**2).clip(lower=0.0))

# %% tags=["remove-cell"]
put("whose", whose)
put("n_compared", len(compared))
by_row = np.sort((compared["difference_nats"] / compared["qid_nats_cuda"]).to_numpy() ** 2)
put("loud_share", by_row[-(len(by_row) // 4) :].sum() / by_row.sum())
put("n_same", int((compared["difference_nats"].abs() < 1e-5).sum()))
for bits in WIDTHS:
    put(f"dev_{bits}", device_relative[bits])
    put(f"of_seed_by_device_{bits}", of_seed_by_device[bits])
    assert of_seed.loc[bits, "low"] <= of_seed_by_device[bits] < 1.5 * of_seed.loc[bits, "relative_sd"], "much the same"
sentence = "Checkpoints before that are not among them."
if len(before):
    parts = device_part(before)
    sentence = f"On {len(before)} rows before that it is {parts[2]:.0%}, {parts[3]:.0%} and {parts[4]:.0%}."
    assert (parts[[3, 4]] > 2 * device_relative[[3, 4]]).all(), "the text says: more early in training"
put("before", sentence)

# %% [markdown]
# Compared were {glue:text}`whose:s` with those of a GPU, the same calibration text on both, {glue:text}`n_compared:d` rows beyond
# {glue:text}`late_tokens:s` tokens. The standard deviation of one QiD is {glue:text}`dev_2:.1%`, {glue:text}`dev_3:.1%` and
# {glue:text}`dev_4:.1%` of QiD at 2, 3 and 4 bits: the root mean square of the relative differences, over $\sqrt 2$, since either
# side may be off. {glue:text}`n_same:d` rows are the same on both to less than 0.00001 nats, and a quarter of them makes
# {glue:text}`loud_share:.0%` of the sum of squares, so it is a rough number. It applies where rows of a CPU and a GPU stand side
# by side.
#
# ```{dropdown} Earlier in training, and the seeds' part
# {glue:text}`before:s` Here neither text, nor documents, nor weights differ, only the chain of rounding decisions. So the
# rounding itself scatters more early in training, at 3 and 4 bits, and draws of calibration text at the trunk's end don't show
# that. With the variance between machines at the seeds' own stage of training taken out instead, the training seed's part is
# {glue:text}`of_seed_by_device_2:.1%`, {glue:text}`of_seed_by_device_3:.1%` and {glue:text}`of_seed_by_device_4:.1%`, much the
# same.
# ```
#
# ## Another number format
#
# {doc}`The page on speed <90-speed>` moved formats one at a time, on checkpoints of an earlier family of tadpoles. Relative to
# QiD, as root mean square over checkpoints:

# %% tags=["hide-input"]
precision = benchmarks.read("precision")
formats = format_parts(precision.rows)

# %% tags=["hide-input"]
names = {
    "rounding_in_tfloat32": "rounding in TF32",
    "rounding_in_bfloat16": "rounding in bfloat16",
    "scoring_in_tfloat32": "scoring in TF32",
    "scoring_in_bfloat16": "scoring in bfloat16",
    "between_two_seeds": "two draws of calibration text",
}
named = formats[list(names)].rename(columns=names).T
named.rename(columns="{:g} bits".format).rename_axis(columns=None).map("{:.2%}".format)

# %% tags=["remove-cell"]
put("n_precision", len(precision.rows))
put("precision_measured", precision.measured)
put("largest_scoring", formats["scoring_in_tfloat32"].max())
assert formats["scoring_in_tfloat32"].max() < 0.001, "the text says: hardly anything"
rounding = formats[["rounding_in_tfloat32", "rounding_in_bfloat16"]]
ratio = rounding.div(formats["between_two_seeds"], axis=0)
assert np.abs(np.log(ratio.to_numpy())).max() < np.log(3), "the text says: about as much"

# %% [markdown]
# {glue:text}`n_precision:d` cases, measured on {glue:text}`precision_measured:s`. A format that changes the rounding makes
# another rounded model and moves QiD about as much as another draw of calibration text. Scoring in TF32 moves it by
# {glue:text}`largest_scoring:.2%` at the width where it moves it most. The study rounds in float32 and scores in TF32, all of its
# rows alike.
#
# ## The floor
#
# The study's rows share their kind of device and their formats. Compared with each other or with a law fitted to them, what moves
# them is calibration text and documents, and where another run is meant the training seed. `study_floors` in
# `helpers.analyse.rows.noise` makes both floors from the table, for any QiD, so that other chapters can ask it.

# %% tags=["hide-input"]
typical = first_draw.groupby("bits")["qid_nats"].median()


# %% tags=["hide-input"]
def cell(nats, qid_nats):
    return f"{nats:.4f} ({nats / qid_nats:.1%})"


columns = {}
for bits, floor in floors.items():
    q = typical[bits]
    columns[f"{bits:g} bits"] = {
        "QiD": f"{q:.4f}",
        "calibration text": cell(floor.calibration_relative * q, q),
        "documents": cell(floor.evaluation.at(q), q),
        "floor of one trained model": cell(floor.of_one_model(q), q),
        "training seed": cell(floor.training_seed_relative * q, q),
        "floor of another run": cell(floor.of_another_run(q), q),
        "smallest QiD": f"{floor.smallest_qid_nats:.6f}",
        "floor of one trained model, KL": f"{2 * of_kl[bits].rounding_relative:.1%}",
        "floor of another run, KL": f"{of_kl[bits].of_another_run(1.0):.1%}",
        "beside rows of another protocol: scored text": cell(floor.scored_text_relative * q, q),
        "beside a CPU's rows: device": cell(device_relative[bits] * q, q),
        "beside rows scored in float32: format": f"{formats.loc[bits, 'scoring_in_tfloat32']:.2%}",
    }
pd.DataFrame(columns)

# %% tags=["remove-cell"]
own = widened[widened["eval_dataset"] == HELDOUT]
relative = own["bits"].map({bits: floor.rounding_relative for bits, floor in floors.items()})
below = own[own["qid_nats"] < 2 * np.hypot(own["own_error"], relative * own["qid_nats"])]
least = own.groupby("bits")["qid_nats"].min()
for bits, floor in floors.items():
    q, name = typical[bits], f"{bits:g}"
    put(f"floor_{name}", floor.of_one_model(q))
    put(f"floor_{name}_relative", floor.of_one_model(q) / q)
    put(f"another_{name}", floor.of_another_run(q))
    put(f"another_{name}_relative", floor.of_another_run(q) / q)
    put(f"another_kl_{name}", of_kl[bits].of_another_run(1.0))
    put(f"scored_sd_{name}", floor.scored_text_relative)
    put(f"smallest_{name}", floor.smallest_qid_nats)
    put(f"least_{name}", least[bits])
    put(f"below_{name}", int((below["bits"] == bits).sum()))
for bits in (2, 4):
    q, floor = typical[bits], floors[bits]
    doubled = replace(floor, evaluation=replace(floor.evaluation, scale_nats=floor.evaluation.scale_nats / np.sqrt(2)))
    put(f"documents_{bits}", floor.evaluation.at(q) / q)
    put(f"double_{bits}", doubled.of_one_model(q) / q)
miss = (floors[4].of_one_model(typical[4]) + floors[4].of_another_run(typical[4])) / 2 / typical[4]
put("miss", miss)
put("n_each", int((own["bits"] == 4).sum()))
put("below_last", count_label(below[TOKENS_SEEN].max()))
early_floor = replace(floors[4], calibration_relative=early.loc[4, "relative_sd"])
put("smallest_4_early", early_floor.smallest_qid_nats)
scoring = formats["scoring_in_tfloat32"]
assert all(10 * scoring[bits] < floors[bits].calibration_relative for bits in WIDTHS), "the text says: ten times"
put("pair_3_relative", 2 * np.sqrt(2) * floors[3].calibration_relative)
assert below["bits"].eq(4).all(), "the text says: only at 4 bits"
assert below[TOKENS_SEEN].max() < LATE_TOKENS, "the text says: none beyond"
assert all(least[bits] > 5 * floors[bits].smallest_qid_nats for bits in (2, 3)), "the text says: no row comes near"
assert least[4] < floors[4].smallest_qid_nats, "the text says that one of them is below the smallest"
assert early_floor.smallest_qid_nats < 2 * floors[4].smallest_qid_nats, "the text says: hardly more"
assert floors[4].training_seed_relative > 2 * floors[4].calibration_relative, "the caption says: the largest part"
points = pd.DataFrame(
    {
        "documents": {bits: floor.evaluation.at(typical[bits]) / typical[bits] for bits, floor in floors.items()},
        "scored text": {bits: floor.scored_text_relative for bits, floor in floors.items()},
        "CPU or GPU": device_relative,
        "number format": formats["scoring_in_tfloat32"],
    }
).rename_axis("bits")
points = points.reset_index().melt("bits", var_name="part", value_name="relative_sd")
spreads = [
    frame.reset_index().assign(part=part)
    for part, frame in (("calibration text", calibration), ("training seed", of_seed))
]
put("fig_parts", comparisons.noise_parts(pd.concat([*spreads, points])).figure)
plt.close("all")

# %% [markdown]
# All in nats per token, and in brackets as a share of QiD; the QiD is the median of the trunk's last checkpoints.
#
# ```{glue:figure} fig_parts
# :name: fig-parts
# :alt: Standard deviation as percent of QiD on a logarithmic axis for calibration text, training seed, documents, scored text, device and number format, with a marker for each of 2, 3 and 4 bits. Calibration text, documents and device lie between one and four percent. The training seed rises from two percent at 2 bits to eight at 4, with long bars, at 2 bits down to nothing. The scored text rises from five to eleven percent. The number format lies far below.
#
# How much of each document is scored moves QiD most, which matters between protocols only; the training seed is the largest part
# within one, and the least known. Bars: 95% intervals, over draws or runs; QiD at the last checkpoints.
# ```
#
# At the last checkpoints the floor of one trained model is {glue:text}`floor_2:.3f` nats per token at 2 bits,
# {glue:text}`floor_3:.4f` at 3 and {glue:text}`floor_4:.4f` at 4. As a share of QiD that is {glue:text}`floor_2_relative:.0%`,
# {glue:text}`floor_3_relative:.0%` and {glue:text}`floor_4_relative:.0%`. The floor of another run is {glue:text}`another_2:.3f`,
# {glue:text}`another_3:.4f` and {glue:text}`another_4:.4f`, or {glue:text}`another_2_relative:.0%`,
# {glue:text}`another_3_relative:.0%` and {glue:text}`another_4_relative:.0%` of QiD. A law that predicts the QiD of a run it
# hasn't seen better than that can't be distinguished from one that predicts it exactly. In KL the floor of another run is
# {glue:text}`another_kl_2:.0%`, {glue:text}`another_kl_3:.0%` and {glue:text}`another_kl_4:.0%`, for these documents: rows don't keep KL
# by document.
#
# ```{dropdown} The smallest QiD that means anything, and single rows
# The smallest QiD that means anything comes out as {glue:text}`smallest_2:.6f`, {glue:text}`smallest_3:.6f` and
# {glue:text}`smallest_4:.6f` nats per token at 2, 3 and 4 bits. The least rows measured have {glue:text}`least_2:.4f`,
# {glue:text}`least_3:.5f` and {glue:text}`least_4:.6f`. So at 2 and 3 bits no row comes near, and these two numbers stretch the
# power of QiD far beyond the rows it was fitted to: read them as "below all that was measured". At 4 bits the number lies among
# the rows. It is not very sensitive to the scatter of early training: with that between seeds up to {glue:text}`late_tokens:s`
# tokens in the place of calibration text, it would be {glue:text}`smallest_4_early:.6f`.
#
# Single rows have their own errors. Held against twice their own error by packages and the part of calibration text,
# {glue:text}`below_4:d` of {glue:text}`n_each:d` rows at 4 bits lie below their floor, none after {glue:text}`below_last:s`
# tokens; at 2 and 3 bits {glue:text}`below_2:d` and {glue:text}`below_3:d` of as many. Beyond {glue:text}`late_tokens:s` tokens,
# where this book fits, every row from 2 to 4 bits is a QiD. At more bits it is not so: {doc}`chapter 4 <04-degradation>` shows 8
# bits, where many rows can't be distinguished from zero.
# ```
#
# For two QiDs on the same documents the floor is another: the scatter of both counts, $\sqrt 2$ times the relative parts, and of
# the documents only the paired error of the difference. Two GPTQ roundings at 3 bits that differ by less than
# {glue:text}`pair_3_relative:.0%` can't be distinguished by one draw of calibration text each.
#
# ## What this does not show
#
# - **Few seeds.** {glue:text}`seed_runs:d` runs of {glue:text}`seed_models:s`. The pairs of one seed add eight sizes, but share initial
#   weights and the order of text. Later checkpoints than {glue:text}`seed_last_tokens:s` tokens have no other seed. The scatter falls
#   in the range that was measured, so that for the trunk's end the floor of another run is rather too high: at 4 bits the runs' scatter
#   at their last common checkpoint is {glue:text}`last_share:.0%` of the pooled one.
# - **A share of what.** Calibration draws are compared at the trunk's last checkpoints only, and the floor takes their scatter as a fixed
#   share of QiD. Between machines the share is larger early in training. For checkpoints soon after {glue:text}`late_tokens:s`
#   tokens the floor of one model is rather too low; before that it shouldn't be used.
# - **Parts that overlap.** Draws of calibration text, training seeds, devices and formats all set off the same chain of rounding
#   decisions, and finite documents add to the scatter between draws and between seeds. Taken as independent, their sum is rather
#   too high.
# - **Other ways of rounding.** RTN has no calibration and hardly differs between devices: the floor of one model is the error of
#   the evaluation alone. AWQ and GPTQ with other settings were not drawn several times.
# - **Other formats of a family that is gone.** The number formats were not measured again on the study's checkpoints. The part of
#   scoring is so small that it would have to be more than ten times larger to matter.
# - **Twice a standard deviation** is a convention. Of many differences that mean nothing, one in twenty or so still exceeds it.
#
# ## Exercises
#
# **1.** Somebody doubles the number of documents from {glue:text}`n_documents:d` to get a sharper QiD of one trained model. What
# is gained at 2 bits, and what at 4?
#
# ```{admonition} Answer
# :class: dropdown
#
# Only the documents' part falls, by $\sqrt 2$. At 2 bits that is little: the draw of calibration text weighs more
# ({glue:text}`cal_2:.1%` against {glue:text}`documents_2:.1%`), and the floor falls from {glue:text}`floor_2_relative:.1%` of QiD
# to {glue:text}`double_2:.1%`. At 4 bits the two weigh about the same ({glue:text}`cal_4:.1%` and {glue:text}`documents_4:.1%`),
# and it falls from {glue:text}`floor_4_relative:.1%` to {glue:text}`double_4:.1%`.
# ```
#
# **2.** Why does the smallest meaningful QiD not follow from the shares $r$ alone?
#
# ```{admonition} Answer
# :class: dropdown
#
# A relative error of less than one half never makes a QiD equal to twice its error, however small it is. Only the documents' part
# sets an end, because it falls more slowly than QiD ($p < 1$): $q = \left(4 c^2 / (1 - 4 r^2)\right)^{1 / (2 - 2p)}$ nats, with
# $r$ all relative parts together.
# ```
#
# **3.** A law was fitted to all sizes but one and predicts the QiD of that one at 4 bits {glue:text}`miss:.0%` too low. Is the
# law wrong?
#
# ```{admonition} Answer
# :class: dropdown
#
# One such miss doesn't show it. The size left out is another run, and the floor of another run is
# {glue:text}`another_4_relative:.0%` of QiD at 4 bits. Against the floor of one trained model, {glue:text}`floor_4_relative:.0%`,
# the miss looks real. It is: that model's QiD differs from the prediction. But a second training of the same size might not.
# Misses of one sign at several sizes would say more.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* How far do training seeds move QiD? `seeds()` has the models that were trained from several. At 3 bits take the variance
# of $\ln$ QiD over seeds for each model and step, average these, and take the root.

# %%
from helpers.teach.checking import check
from helpers.teach.data import seeds

answer = None  # a standard deviation of ln QiD, no unit
check("11.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = seeds().query("bits == 3")
variances = np.log(rows["qid_nats"]).groupby([rows["model"], rows["step"]]).var(ddof=1)
check("11.4", np.sqrt(variances.mean()))
