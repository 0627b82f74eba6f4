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
# Measure the QiD of one checkpoint again with nothing changed that anybody cares about, and another number comes out. Another draw of
# calibration text, other documents, another machine, another number format: each moves it. Train the model again from another seed,
# and it moves once more. This chapter measures how far, and adds the parts up to a floor. What lies below the floor needs no
# explanation; other chapters hold their predictions against it. {term}`Intervals <interval>` run over draws of calibration text; where
# seeds are compared, over training runs.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from helpers.analyse.rows.degradation import TOKENS_SEEN
from helpers.analyse.rows.noise import calibration_draws, device_part, format_parts, training_seeds
from helpers.analyse.rows.noise_floor import study_floors
from helpers.analyse.rows.outcomes import OUTCOMES
from helpers.analyse.rows.study import LATE_TOKENS
from helpers.show import benchmarks
from helpers.show.figures import comparisons
from helpers.show.glue import put_all
from helpers.show.numbers.trust import floors, noise_floor
from helpers.show.style import PALE, use_house_style
from helpers.table.corpus import packages
from helpers.table.files import read_table

use_house_style()
measured = read_table("results/measurements.parquet").to_pandas()
rows = noise_floor.rows_of(measured)
calibration = calibration_draws(rows.last)
of_qid, of_kl = (study_floors(measured, packages("evaluation"), outcome) for outcome in OUTCOMES.values())

# %% [markdown]
# ## Definition
#
# With $q$ the QiD in nats per token, we take the variance of one measured QiD to be
#
# $$
# \sigma^2 = \underbrace{(r_\text{cal}^2 + r_\text{seed}^2 + r_\text{dev}^2 + r_\text{fmt}^2)\, q^2}_{\text{another rounding}}
#  + \underbrace{\frac{n_0}{n} \, c^2 q^{2p}}_{\text{other documents}} .
# $$ (eq-noise)
#
# Calibration text, training seed, device and number format each make another rounded model, by a relative amount $r$. The error of the
# evaluation grows as a power $p$ of QiD, is $c$ nats at a QiD of one nat, falls with the number of documents $n$, and was found with
# $n_0$. The parts are taken as independent. The {term}`floor <noise floor>` is $2 \sigma$: a QiD that differs from a fixed number by less
# means nothing. That of *one trained model* leaves $r_\text{seed}$ out: how well the QiD of the weights at hand is known. That of
# *another run* has it: it is for a prediction about a model that is trained anew.
#
# The rows are the study's: GPTQ in asymmetric groups of {glue:text}`group:d`, rounded with {glue:text}`calib_sequences:d` sequences of
# calibration text, scored on {glue:text}`n_sequences:d` sequences from {glue:text}`n_documents:d` documents.

# %% tags=["remove-cell"]
drawn, widened = floors.subsamples(rows, seed), floors.with_own_error(rows)
precision = benchmarks.read("precision")
formats = format_parts(precision.rows)
agreement, whose = floors.machines(read_table(results_path).to_pandas(), device, rows)
early = training_seeds(rows.of_seeds[rows.of_seeds[TOKENS_SEEN] <= LATE_TOKENS])
put_all(
    **noise_floor.numbers(rows, measured),
    **floors.of_documents(drawn, calibration["relative_sd"]),
    **floors.of_packages(widened, of_qid),
    **floors.of_blocks(rows),
    **floors.of_scored_text(measured),
    **floors.of_machines(agreement, whose, rows),
    **floors.of_formats(precision, formats),
    **floors.of_floors(of_qid, of_kl, floors.typical(rows), formats),
    **floors.of_rows_below(widened, of_qid, early),
)
of_parts = floors.parts(rows, of_qid, device_part(noise_floor.late(agreement)), formats)
over_runs = comparisons.scatter_about_mean(rows.of_seeds, TOKENS_SEEN, "run_label")
for axes in over_runs.axes:
    axes.axvline(LATE_TOKENS, color=PALE, linewidth=1.0, linestyle="--")
put_all(
    fig_parts=comparisons.noise_parts(of_parts).figure,
    fig_seeds=over_runs,
    fig_documents=comparisons.error_against_documents(drawn, calibration["relative_sd"]).figure,
)
plt.close("all")

# %% [markdown]
# ## The parts
#
# ```{glue:figure} fig_parts
# :name: fig-parts
# :alt: Standard deviation as percent of QiD on a logarithmic axis for calibration text, training seed, documents, scored text, device and number format, with a marker for each of 2, 3 and 4 bits. Calibration text, documents and device lie between one and four percent. The training seed rises from two percent at 2 bits to eight at 4, with long bars, at 2 bits down to nothing. The scored text rises from five to eleven percent. The number format lies far below.
#
# How much of each document is scored moves QiD most, which matters between protocols only; the training seed is the largest part
# within one, and the least known. Bars: 95% intervals, over draws or runs; QiD at the last checkpoints.
# ```
#
# ```{table} Scatter of one QiD: standard deviations as a share of it, with 95% intervals over draws of text or over training runs.
# :name: tab-parts
#
# | what is done again | 2 bits | 3 bits | 4 bits |
# |---|---|---|---|
# | the draw of calibration text | {glue:text}`cal_2:.1%` [{glue:text}`cal_2_low:.1%`, {glue:text}`cal_2_high:.1%`] | {glue:text}`cal_3:.1%` [{glue:text}`cal_3_low:.1%`, {glue:text}`cal_3_high:.1%`] | {glue:text}`cal_4:.1%` [{glue:text}`cal_4_low:.1%`, {glue:text}`cal_4_high:.1%`] |
# | training, from another seed | {glue:text}`between_2:.1%` [{glue:text}`between_2_low:.1%`, {glue:text}`between_2_high:.0%`] | {glue:text}`between_3:.1%` [{glue:text}`between_3_low:.1%`, {glue:text}`between_3_high:.0%`] | {glue:text}`between_4:.1%` [{glue:text}`between_4_low:.1%`, {glue:text}`between_4_high:.0%`] |
# | of that the seed alone | {glue:text}`of_seed_2:.1%` [{glue:text}`of_seed_2_low:.1%`, {glue:text}`of_seed_2_high:.0%`] | {glue:text}`of_seed_3:.1%` [{glue:text}`of_seed_3_low:.1%`, {glue:text}`of_seed_3_high:.0%`] | {glue:text}`of_seed_4:.1%` [{glue:text}`of_seed_4_low:.1%`, {glue:text}`of_seed_4_high:.0%`] |
# | training, from the same seed | {glue:text}`again_qid_2:.1%` | {glue:text}`again_qid_3:.1%` | {glue:text}`again_qid_4:.1%` |
# | the draw of 128 documents | {glue:text}`all_2:.1%` | {glue:text}`all_3:.1%` | {glue:text}`all_4:.1%` |
# | rounding, on another machine | {glue:text}`dev_2:.1%` | {glue:text}`dev_3:.1%` | {glue:text}`dev_4:.1%` |
# | scoring, on more of each document | {glue:text}`scored_sd_2:.1%` | {glue:text}`scored_sd_3:.1%` | {glue:text}`scored_sd_4:.1%` |
# ```
#
# **Calibration text.** GPTQ rounds with the help of some text. At the trunk's last checkpoint it was drawn {glue:text}`n_seeds:d` times for
# each of {glue:text}`n_models:d` sizes. The intervals of the three bit widths overlap, although QiD at 2 bits is
# {glue:text}`bits_times:.0f` times that at 4. Nor does a larger model scatter less: over sizes that differ by a factor of
# {glue:text}`size_times:.0f` no exponent of size is distinguishable from zero, and $-1/2$, which independent errors of single weights would
# give, is excluded. So the floor takes one share for all sizes.
#
# **Documents.** With few documents their draw dominates. Documents and calibration text weigh the same at {glue:text}`equal_2:d`,
# {glue:text}`equal_3:d` and {glue:text}`equal_4:d` documents at 2, 3 and 4 bits ({numref}`fig-documents`); beyond that, more draws of
# calibration text would buy more than more documents. The paired error {eq}`eq-paired-error` knows this by itself: where documents are
# drawn again, its 95% interval holds in at least {glue:text}`coverage_all:.0%` of the draws.
#
# ```{glue:figure} fig_documents
# :name: fig-documents
# :alt: Standard deviation relative to QiD against the number of documents from 8 to 128, one falling line for each of 2, 3 and 4 bits, and a dashed level line of the same colour for draws of calibration text. Each falling line crosses its level line, that of 2 bits first and that of 4 bits last.
#
# At 2 bits {glue:text}`equal_2:d` documents are as sharp as one draw of calibration text (dashed), at 4 bits it takes
# {glue:text}`equal_4:d`. Last checkpoints of the trunk.
# ```
#
# What the paired error doesn't know: files of one package are alike. The {glue:text}`n_documents:d` held-out files come from
# {glue:text}`packages_held_out:d` packages, and the error by packages is {glue:text}`factor_held_out:.2f` times that by documents (median
# over rows). The floor uses the error by packages.
#
# **How much of a document.** The reader's rows have one block of text from each document and the study's have four. By RTN, which needs no
# calibration text, QiD of the first block is {glue:text}`scored_qid_3:.2f` [{glue:text}`scored_qid_3_low:.2f`,
# {glue:text}`scored_qid_3_high:.2f`] times that of four at 3 bits (over {glue:text}`scored_runs:d` runs), though its 16-bit loss is lower
# at the last checkpoints. Two numbers mean the same only by one protocol; between two, this is the largest part of the noise.
#
# ```{dropdown} Machine and format
# Compared were {glue:text}`whose:s` with those of a GPU, on the same calibration text
# ({doc}`appendix E <96-this-machine>` tells why they differ): {glue:text}`n_compared:d` rows of late checkpoints. A
# quarter of them makes {glue:text}`loud_share:.0%` of the sum of squares, so this is a rough number. Number formats were moved one at a
# time on an earlier family of tadpoles ({doc}`speed <90-speed>`). One that changes the rounding moves QiD about as much as another draw of
# calibration text. Scoring in TF32, as the study does, moves it by {glue:text}`largest_scoring:.2%` at most.
# ```
#
# ## Another training seed
#
# From other initial weights and with the text in another order, the models {glue:text}`seed_models:s` were trained several times:
# {glue:text}`seed_runs:d` runs in all, the smaller two up to {glue:text}`seed_common_tokens:s` tokens, the largest up to
# {glue:text}`seed_last_tokens:s`. All runs are rounded with the same calibration text and scored on the same documents.
#
# ```{glue:figure} fig_seeds
# :name: fig-seeds
# :alt: QiD of models trained from several seeds over their mean against training tokens, three panels for 2, 3 and 4 bits, one line a run. The lines start up to forty percent away from one at 4 bits and come together to a few percent at the end. They cross again and again. A dashed vertical line stands at 60M tokens.
#
# Training seeds move QiD, most of all early in training and at 4 bits. One line a training run; dashed: {glue:text}`late_tokens:s` tokens,
# from where on this book fits its laws.
# ```
#
# The intervals count runs, not checkpoints: {glue:text}`seed_freedom:d` degrees of freedom leave the upper ends nearly open. Each seed's
# model is also rounded anew, so that we take out the variance of another draw of calibration text. What is left is the seed alone: at 4
# bits it is clear and larger than any other part, at 3 bits it is above zero, at 2 bits nothing shows beyond the rounding. The share falls
# as training goes on: at 4 bits it is {glue:text}`between_early_4:.0%` up to {glue:text}`late_tokens:s` tokens and
# {glue:text}`between_last_4:.1%` at the last common checkpoint.
#
# What grows with the bits is the noise of QiD, a difference of two losses, not a difference between the runs. Other seeds scatter by
# {glue:text}`between_kl_4:.1%` [{glue:text}`between_kl_4_low:.1%`, {glue:text}`between_kl_4_high:.0%`] of KL at 4 bits (over runs), much as
# at 2. The same shows along a run. Of {glue:text}`up_of:d` steps between the trunk's neighbouring late checkpoints QiD at 8 bits rises at
# {glue:text}`up_qid_8:d`, KL at {glue:text}`up_kl_8:d`.
#
# ## The floor
#
# The study's rows share their kind of device and their formats. Compared with each other or with a law fitted to them, what moves them is
# calibration text and documents, and where another run is meant the training seed. `study_floors` makes both floors from the table, for
# any QiD.
#
# ```{table} The floor at the QiD of the trunk's last checkpoints (median): in nats per token, and as a share of QiD or KL.
# :name: tab-floor
#
# | | 2 bits | 3 bits | 4 bits |
# |---|---|---|---|
# | QiD, nats | {glue:text}`typical_2:.4f` | {glue:text}`typical_3:.4f` | {glue:text}`typical_4:.4f` |
# | floor of one trained model, nats | {glue:text}`floor_2:.4f` | {glue:text}`floor_3:.4f` | {glue:text}`floor_4:.4f` |
# | as a share | {glue:text}`floor_2_relative:.0%` | {glue:text}`floor_3_relative:.0%` | {glue:text}`floor_4_relative:.0%` |
# | floor of another run, nats | {glue:text}`another_2:.4f` | {glue:text}`another_3:.4f` | {glue:text}`another_4:.4f` |
# | as a share | {glue:text}`another_2_relative:.0%` | {glue:text}`another_3_relative:.0%` | {glue:text}`another_4_relative:.0%` |
# | the same of KL | {glue:text}`another_kl_2:.0%` | {glue:text}`another_kl_3:.0%` | {glue:text}`another_kl_4:.0%` |
# ```
#
# A law that predicts the QiD of a run it hasn't seen better than the floor of another run can't be distinguished from one that predicts it
# exactly. Beyond {glue:text}`late_tokens:s` tokens, where this book fits, every row from 2 to 4 bits exceeds the floor of its model; of
# {glue:text}`n_each:d` rows at 4 bits {glue:text}`below_4:d` earlier ones don't, none after {glue:text}`below_last:s` tokens.
#
# Between two QiDs on the same documents the scatter of both counts, and of the documents only the paired error of the difference. Two
# GPTQ roundings at 3 bits that differ by less than {glue:text}`pair_3_relative:.0%` can't be distinguished by one draw of calibration text
# each. {doc}`Appendix A <92-what-else-moves-qid>` has more: less calibration text, the same seed again, RTN, the smallest QiD that means
# anything.
#
# ## What this does not show
#
# - **Few seeds.** {glue:text}`seed_runs:d` runs of {glue:text}`seed_models:s`; later checkpoints than {glue:text}`seed_last_tokens:s` tokens
#   have no other seed. The scatter falls in the range that was measured, so that for the trunk's end the floor of another run is rather too
#   high: at 4 bits the runs' scatter at their last common checkpoint is {glue:text}`last_share:.0%` of the pooled one.
# - **A share of what.** Calibration draws are compared at the trunk's last checkpoints only. Between machines the share is larger early in
#   training: for checkpoints soon after {glue:text}`late_tokens:s` tokens the floor of one model is rather too low, and before that it
#   shouldn't be used.
# - **Parts that overlap.** Draws, seeds, devices and formats all set off the same chain of rounding decisions. Taken as independent, their
#   sum is rather too high.
# - **Other methods.** RTN has no calibration and hardly differs between devices: its floor of one model is the error of the evaluation.
#   AWQ and GPTQ with other settings were not drawn several times.
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
# to {glue:text}`double_2:.1%`.
#
# At 4 bits the two weigh about the same ({glue:text}`cal_4:.1%` and {glue:text}`documents_4:.1%`), and it falls from
# {glue:text}`floor_4_relative:.1%` to {glue:text}`double_4:.1%`.
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
