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
# # The noise floor
#
# *How small may a QiD be, or a miss of a prediction, and still mean something?*
#
# Measure the QiD of one checkpoint again, with nothing changed that anybody cares about, and another number comes out. Another
# draw of calibration text, other documents, another machine, another number format: each moves it. This chapter measures how far each does, and adds
# them up to a floor. What lies below the floor needs no explanation. Later chapters hold their predictions against it.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from myst_nb import glue

from helpers.analyse import benchmarks, comparison_figures
from helpers.analyse.degradation import AnalysisError, degradation, device_agreement
from helpers.analyse.noise import (
    calibration_draws,
    clustered_error,
    device_part,
    documents_needed,
    evaluation_error,
    format_parts,
    noise_floor,
)
from helpers.analyse.style import count_label, use_house_style
from helpers.analyse.ways import packages, way_of_rounding

use_house_style()


def put(name, value):
    glue(name, value.item() if isinstance(value, np.generic) else value, display=False)


HELD_OUT, UNSEEN = "wheels-heldout", "wheels-unseen"
SIZES = [16, 32, 64, 128]

# %% [markdown]
# ## Definition
#
# Every source of noise is described by a standard deviation. With $q$ the QiD in nats per token, we take the variance of one measured QiD to be
#
# $$
# \sigma^2 = \underbrace{(r_\text{cal}^2 + r_\text{dev}^2 + r_\text{fmt}^2 + r_\text{seed}^2)\, q^2}_{\text{another rounding}}
#  + \underbrace{\frac{n_0}{n} \left(a^2 + b^2 q^2\right)}_{\text{other documents}} .
# $$ (eq-noise)
#
# The first part is proportional to QiD: calibration text, device, number format and training seed each make another rounded model, by
# a relative amount $r$. The second is the error of the evaluation. It has a part $a$ in nats that stays when QiD is small, and a part $b$ that grows
# with QiD; it falls with the number of documents $n$, and was found with $n_0$. The parts are taken as independent. The **floor** is $2 \sigma$, in nats
# per token. A QiD that differs from a fixed number by less means nothing. The *smallest QiD that means anything* is the one that
# equals its own floor.
#
# The rows are those of {doc}`10-methods-and-texts`, GPTQ, asymmetric, and those of the reader's table.

# %%
rows = pd.read_parquet("results/measurements.parquet")
rows = rows.query("family == 'tadpole' and n_sequences == 128")
on_cpu = degradation(rows[rows["device_type"] == "cpu"])
on_cpu["way"] = way_of_rounding(on_cpu)
gptq = on_cpu[(on_cpu["method"] == "gptq") & (on_cpu["eval_dataset"] == HELD_OUT)]
plain = gptq[gptq["way"] == "GPTQ"]
last = plain[plain["step"] == plain["step"].max()]

# %% [markdown]
# ## Another draw of calibration text
#
# GPTQ rounds with the help of some text. At the last checkpoint of each model, after {glue:text}`last_tokens:s` tokens, this text was drawn
# {glue:text}`n_seeds:d` times.

# %%
calibration = calibration_draws(last)

# %% tags=["remove-cell"]
unseen = on_cpu[(on_cpu["way"] == "GPTQ") & (on_cpu["eval_dataset"] == UNSEEN)]
elsewhere = calibration_draws(unseen[unseen["step"] == unseen["step"].max()])
put("last_tokens", count_label(last["tokens_seen"].iloc[0]))
put("n_seeds", int(calibration["n_seeds"].max()))
put("n_models", int(calibration["n_checkpoints"].max()))
put("freedom", int(calibration["degrees_of_freedom"].max()))
for bits, row in calibration.iterrows():
    put(f"cal_{bits:g}", row["relative_sd"])
    put(f"cal_{bits:g}_low", row["low"])
    put(f"cal_{bits:g}_high", row["high"])
    put(f"cal_{bits:g}_documents", row["documents_share"])
    put(f"cal_{bits:g}_unseen", elsewhere.loc[bits, "relative_sd"])
overlap = (elsewhere["low"] < calibration["high"]) & (elsewhere["high"] > calibration["low"])
assert overlap.all(), "the text says that both texts agree within their intervals"
assert calibration["relative_sd"].between(0.01, 0.1).all(), "the caption says: some percent"
put("fig_draws", comparison_figures.calibration_scatter(last))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_draws
# :name: fig-draws
# :alt: QiD of five draws of calibration text over their mean, three panels for 2, 3 and 4 bits, one column of dots for each of three sizes. Dots lie within about ten percent of one, closer at 2 bits.
#
# The draw of calibration text moves QiD by some percent. One dot a draw, last checkpoints.
# ```
#
# Relative to QiD, draws scatter by {glue:text}`cal_2:.1%` [{glue:text}`cal_2_low:.1%`, {glue:text}`cal_2_high:.1%`] at 2 bits,
# {glue:text}`cal_3:.1%` [{glue:text}`cal_3_low:.1%`, {glue:text}`cal_3_high:.1%`] at 3 and {glue:text}`cal_4:.1%`
# [{glue:text}`cal_4_low:.1%`, {glue:text}`cal_4_high:.1%`] at 4. These are standard deviations, pooled over {glue:text}`n_models:d` models, with
# 95% intervals that are wide: {glue:text}`freedom:d` degrees of freedom are not many ({numref}`fig-draws`). The same rounded models scored on
# unseen text give {glue:text}`cal_2_unseen:.1%`, {glue:text}`cal_3_unseen:.1%` and {glue:text}`cal_4_unseen:.1%`, which agrees within the intervals.
#
# Part of this scatter is not the draw's own. On a finite set of documents two roundings differ by chance, and
# {glue:text}`cal_2_documents:.0%`, {glue:text}`cal_3_documents:.0%` and {glue:text}`cal_4_documents:.0%` of the variance at 2, 3 and 4 bits come from
# that. We don't take it out. The floor is a little too high rather than too low.
#
# ## Other documents
#
# What would an evaluation of fewer documents have given? We draw them from the {glue:text}`n_documents:d` at hand, with replacement, and look at the scatter of
# QiD. Each draw also makes its own 95% interval from its paired error ({eq}`eq-paired-error`), and we count how often that
# holds the QiD of all documents.

# %%
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
put("n_documents", int(last["n_documents"].max()))
for bits in (2, 3, 4):
    put(f"few_{bits}", at.loc[(bits, 16), "relative_sd"])
    put(f"all_{bits}", at.loc[(bits, 128), "relative_sd"])
    equal = 128 * (at.loc[(bits, 128), "relative_sd"] / calibration.loc[bits, "relative_sd"]) ** 2
    put(f"equal_{bits}", int(np.ceil(equal)))
    assert 16 < equal < 128, "the figure's alt text says that the lines cross"
put("coverage_few", at.xs(16, level="n_documents")["coverage"].min())
put("coverage_all", at.xs(128, level="n_documents")["coverage"].min())
assert at.xs(128, level="n_documents")["coverage"].between(0.93, 0.97).all(), "the text says: close to 95%"
axes = comparison_figures.error_against_documents(subsamples, calibration["relative_sd"])
put("fig_documents", axes.figure)
plt.close("all")

# %% [markdown]
# Standard deviation relative to QiD, and how often the 95% interval holds, as means over the models.
#
# ```{glue:figure} fig_documents
# :name: fig-documents
# :alt: Standard deviation relative to QiD against the number of documents from 16 to 128, one falling line for each of 2, 3 and 4 bits, and a dashed level line of the same colour for draws of calibration text. Each falling line crosses its level line before 128 documents.
#
# With {glue:text}`n_documents:d` documents the draw of calibration text (dashed) weighs more than the choice of documents (solid). Last checkpoints.
# ```
#
# With 16 documents QiD scatters by {glue:text}`few_2:.1%`, {glue:text}`few_3:.1%` and {glue:text}`few_4:.1%` at 2, 3 and 4 bits. With
# {glue:text}`n_documents:d` it is {glue:text}`all_2:.1%`, {glue:text}`all_3:.1%` and {glue:text}`all_4:.1%`. The paired error knows this by itself: its
# 95% intervals hold in {glue:text}`coverage_all:.0%` or more of the draws of {glue:text}`n_documents:d` documents and in {glue:text}`coverage_few:.0%` or more of those of
# 16. Documents and calibration weigh the same at {glue:text}`equal_2:d`, {glue:text}`equal_3:d` and {glue:text}`equal_4:d` documents
# ({numref}`fig-documents`). Beyond that, more draws of calibration text would buy more than more documents.

# %%
in_packages = {HELD_OUT: packages("evaluation"), UNSEEN: packages("unseen")}
every = on_cpu[on_cpu["way"] == "GPTQ"]
widened = every.assign(
    factor=[
        clustered_error(row.document_qid_nats, in_packages[row.eval_dataset]) / row.qid_se_nats
        for row in every.itertuples()
    ]
)
evaluation = {bits: evaluation_error(part, in_packages[HELD_OUT]) for bits, part in gptq.groupby("bits")}

# %% tags=["remove-cell"]
factors = widened.groupby("eval_dataset")["factor"].median()
put("factor_held_out", factors[HELD_OUT])
put("factor_unseen", factors[UNSEEN])
put("packages_held_out", len(set(in_packages[HELD_OUT])))
put("packages_unseen", len(set(in_packages[UNSEEN])))
for bits, error in evaluation.items():
    put(f"eval_absolute_{bits:g}", error.absolute_nats)
    put(f"eval_relative_{bits:g}", error.relative)
assert (factors > 1).all(), "the text says that packages make errors larger"

# %% [markdown]
# One thing the paired error does not know: files of one package are alike. The {glue:text}`n_documents:d` held-out files come from
# {glue:text}`packages_held_out:d` packages, and the error by packages is {glue:text}`factor_held_out:.2f` times that by documents (median over rows). On
# unseen text, with {glue:text}`packages_unseen:d` packages, it is {glue:text}`factor_unseen:.2f` times. The floor uses the error by packages. Fitted to all GPTQ rows of
# the held-out text, its two parts are $a$ = {glue:text}`eval_absolute_2:.4f`, {glue:text}`eval_absolute_3:.4f` and {glue:text}`eval_absolute_4:.4f` nats
# per token and $b$ = {glue:text}`eval_relative_2:.1%`, {glue:text}`eval_relative_3:.1%` and {glue:text}`eval_relative_4:.1%` at 2, 3 and 4 bits.
#
# ## Another machine
#
# {doc}`Chapter 4 <04-degradation>` laid the rows of this machine beside those of a GPU and told why GPTQ differs between them and RTN does not. Here we
# only need one number: how far one QiD is off because of its machine.

# %%
on_gpu = degradation(rows[rows["device_type"] == "cuda"])
try:
    mine = pd.read_parquet(results_path)
    agreement = device_agreement(degradation(mine[mine["device_type"] == device]), on_gpu)
    whose = "this machine's rows"
except AnalysisError:  # another sweep: nothing stored to compare with
    agreement = device_agreement(on_cpu, on_gpu)
    whose = "the stored rows of a CPU"
device_relative = device_part(agreement)

# %% tags=["remove-cell"]
compared = agreement[agreement["method"] == "gptq"]
put("whose", whose)
put("n_compared", len(compared))
by_size = np.sort((compared["difference_nats"] / compared["qid_nats_cuda"]).to_numpy() ** 2)
assert by_size[-len(by_size) // 4 :].sum() > 0.8 * by_size.sum(), "the text says that a few rows make nearly all"
put("n_same", int((compared["difference_nats"].abs() < 1e-5).sum()))
for bits in (2, 3, 4):
    put(f"dev_{bits}", device_relative[bits])

# %% [markdown]
# Of {glue:text}`n_compared:d` GPTQ rows, {glue:text}`n_same:d` are the same on both to less than 0.00001 nats; compared were {glue:text}`whose:s` with
# those of a GPU. Over all of them, the standard deviation of one QiD is {glue:text}`dev_2:.1%`, {glue:text}`dev_3:.1%` and {glue:text}`dev_4:.1%` of QiD at 2, 3 and
# 4 bits: the root mean square of the relative differences, over $\sqrt 2$, since either side may be off. A few rows that went another
# way make nearly all of it, so it is a rough number. It applies where rows of a CPU and a GPU stand side by side.
#
# ## Another number format
#
# {doc}`The page on speed <90-speed>` moved formats one at a time. Relative to QiD, as root mean square over checkpoints:

# %%
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
# {glue:text}`n_precision:d` cases, measured on {glue:text}`precision_measured:s`. A format that changes the rounding makes another rounded model and
# moves QiD about as much as another draw of calibration text. Scoring in TF32 moves it by {glue:text}`largest_scoring:.2%` at the width where it moves it most. This book's
# larger studies round in float32 and score in TF32, so that the floor takes the part of scoring in TF32.
#
# ## The floor

# %%
typical = first_draw.groupby("bits")["qid_nats"].median()
floors = [
    noise_floor(
        bits,
        qid,
        evaluation[bits],
        calibration_relative=calibration.loc[bits, "relative_sd"],
        device_relative=device_relative[bits],
        number_format_relative=formats.loc[bits, "scoring_in_tfloat32"],
    )
    for bits, qid in typical.items()
]

# %% tags=["hide-input"]
pd.DataFrame(
    {
        f"{floor.bits:g} bits": {
            "QiD": f"{floor.qid_nats:.4f}",
            "calibration text": f"{floor.calibration_nats:.4f} ({floor.calibration_relative:.1%})",
            "documents": f"{floor.evaluation_nats:.4f} ({floor.evaluation_relative:.1%})",
            "CPU or GPU": f"{floor.device_nats:.4f} ({floor.device_relative:.1%})",
            "number format": f"{floor.number_format_nats:.1e} ({floor.number_format_relative:.2%})",
            "training seed": "not measured",
            "floor": f"{floor.floor_nats:.4f} ({floor.floor_relative:.1%})",
            "smallest QiD": f"{floor.smallest_qid_nats:.4f}",
        }
        for floor in floors
    }
)

# %% tags=["remove-cell"]
least = gptq.groupby("bits")["qid_nats"].min()
for floor in floors:
    bits = floor.bits
    put(f"floor_{bits:g}", floor.floor_nats)
    put(f"floor_{bits:g}_relative", floor.floor_relative)
    put(f"smallest_{bits:g}", floor.smallest_qid_nats)
    put(f"least_{bits:g}", least[bits])
    put(f"qid_{bits:g}", floor.qid_nats)
    assert floor.smallest_qid_nats < least[bits], "the text says that all rows lie above it"
    assert floor.calibration_nats > floor.evaluation_nats, "the caption says that calibration weighs more"
    assert floor.number_format_relative < 0.1 * floor.evaluation_relative, "the text says: the format doesn't count"
put("pair_3_relative", np.sqrt(2) * floors[1].calibration_relative * 2)
put("fig_parts", comparison_figures.noise_parts(floors).figure)
plt.close("all")

# %% [markdown]
# All in nats per token, and in brackets as a share of QiD; the QiD is the median of the last checkpoints.
#
# ```{glue:figure} fig_parts
# :name: fig-parts
# :alt: Standard deviation as percent of QiD on a logarithmic axis for calibration text, documents, device and number format, with a marker for each of 2, 3 and 4 bits. Calibration text and documents lie at some percent, the number format far below.
#
# The draw of calibration text makes more noise than {glue:text}`n_documents:d` documents do, and the format of scoring next to none. QiD at the last checkpoints.
# ```
#
# At the last checkpoints the floor is {glue:text}`floor_2:.3f` nats per token at 2 bits, {glue:text}`floor_3:.3f` at 3 and
# {glue:text}`floor_4:.4f` at 4. As a share of QiD that is {glue:text}`floor_2_relative:.0%`, {glue:text}`floor_3_relative:.0%` and
# {glue:text}`floor_4_relative:.0%`. A law that predicts one QiD better than that can't be told from one that predicts it exactly.
#
# The smallest QiD that means anything is {glue:text}`smallest_2:.4f`, {glue:text}`smallest_3:.4f` and {glue:text}`smallest_4:.4f` nats per
# token at 2, 3 and 4 bits. All measured ones are larger: the least are {glue:text}`least_2:.3f`, {glue:text}`least_3:.3f` and {glue:text}`least_4:.4f`. So the
# model is used outside of the rows it was fitted to, most of all at 2 bits, and these three numbers are rough.
#
# For two QiDs on the same documents the floor is another: the scatter of both counts, $\sqrt 2$ times the relative parts, and of the
# documents only the paired error of the difference. Two GPTQ roundings at 3 bits that differ by less than {glue:text}`pair_3_relative:.0%` can't be told apart by
# one draw of calibration text each.
#
# ## What this does not show
#
# - **Training seeds.** A model trained anew with another seed has another QiD. That isn't measured yet: every model here was trained once. The study that
#   trains with several seeds is under way, and `noise_floor` takes its result as `training_seed_relative`. Until then the floor says how
#   well the QiD of *one trained model* is known. For a prediction about another run it is too low, nobody can say yet by how much.
# - **Three models, one place in training.** Calibration draws were made at the last checkpoints only. The model takes their scatter as a fixed share of QiD.
# - **Parts that overlap.** Draws of calibration text, devices and formats all set off the same chain of rounding decisions, and finite documents
#   add to the scatter between draws. Taken as independent, their sum is rather too high.
# - **Other ways of rounding.** RTN has no calibration and hardly differs between devices: its floor is the error of the evaluation alone. AWQ and GPTQ with other
#   settings were not drawn several times.
# - **Twice a standard deviation** is a convention. Of many differences that mean nothing, one in twenty or so still exceeds it.
#
# ## Exercises
#
# **1.** Somebody doubles the number of documents from {glue:text}`n_documents:d` to get a sharper QiD at 2 bits. What is gained?
#
# ```{admonition} Answer
# :class: dropdown
#
# Little. Only the documents' part falls, by $\sqrt 2$. With {glue:text}`n_documents:d` documents the draw of calibration text already weighs more
# ({glue:text}`cal_2:.1%` against {glue:text}`all_2:.1%`). The mean over two draws of calibration text would do more.
# ```
#
# **2.** Why does the smallest meaningful QiD not follow from the relative parts alone?
#
# ```{admonition} Answer
# :class: dropdown
#
# A relative error of less than one half never makes a QiD equal to twice its error, however small it is. Only the part $a$ of the evaluation's error,
# which stays when QiD goes to zero, sets an end: $q = 2 a / \sqrt{1 - 4 r^2}$, with $r$ all relative parts together.
# ```
