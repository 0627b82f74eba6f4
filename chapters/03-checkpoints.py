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
# # The checkpoints
#
# *Which models, at which moments of their training, and what must be known about each?*
#
# A **checkpoint** is a copy of a model's weights, put aside during training. A **family** is a set of models that differ in size and, if
# all goes well, in nothing else. Rounding every checkpoint of a family gives QiD as a function of tokens and size.
# What such a function means depends on what else changed along the way. So this chapter looks at two families before
# anything is rounded: the public one that the studies used, and the small one that was made for this book.

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
from myst_nb import glue
from safetensors import safe_open
from scipy import stats

from helpers.analyse import figures
from helpers.analyse.degradation import paired_error, study_rows
from helpers.analyse.design import design_of
from helpers.analyse.style import (
    INK,
    TOKENS_LABEL,
    count_label,
    count_scale,
    legend_beside,
    size_styles,
    use_house_style,
)
from helpers.families import HUB_FAMILIES, neox_linear_shapes, read_manifest

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here
from helpers.measure import checkpoints, corpora, evaluate
from helpers.measure.training_plan import read_plan

use_house_style()
N, D = "n_params_non_embedding", "tokens_seen"


def glue_all(numbers: dict) -> None:
    for name, value in numbers.items():
        glue(name, value.item() if isinstance(value, np.generic) else value, display=False)


# %% [markdown]
# ## What a row must say
#
# Four things belong to every checkpoint, and every row of the book's table carries them.
#
# - **Step**: the number of updates of the weights so far. It says where one is in a run.
# - **Tokens seen** $D$: the step times the tokens in a batch, repetitions counted. The law of QiD is about $D$.
# - **Learning rate** at that step, and its share of the peak. If it moves with $D$, one can't tell the two apart.
# - **Size** $N$: the number of parameters, under a stated convention.
#
# ## Counting parameters
#
# The convention matters more for small models. The embedding turns tokens into vectors and the output head turns vectors into
# tokens; their size is width times vocabulary, however many layers there are between. The law counts the
# parameters *without* these two, and so does this book when it says $N$. What is rounded is less again: the matrices of the linear layers,
# without biases and normalization.

# %% tags=["hide-input"]
tadpoles = study_rows(pd.read_parquet("results/measurements.parquet"))
pythia = HUB_FAMILIES["pythia-deduped"]
public_runs = pd.DataFrame(
    dataclasses.asdict(pythia.checkpoint(m, step)) for m in pythia.models for step in pythia.steps
)
every = pd.concat([tadpoles, public_runs]).drop_duplicates("model").sort_values(N).set_index("model").rename_axis(None)
matrices = [sum(rows * columns for rows, columns in neox_linear_shapes(width).values()) for width in every["d_model"]]
every["rounded"] = every["n_layers"] * matrices
counts = pd.DataFrame(
    {
        "width × layers": every["d_model"].astype(str) + " × " + every["n_layers"].astype(str),
        "all parameters": every["n_params_total"].map(count_label),
        "N, non-embedding": every[N].map(count_label),
        "rounded": every["rounded"].map(count_label),
        "N, share of all": (every[N] / every["n_params_total"]).map("{:.0%}".format),
    }
)
counts.rename(index=lambda name: name.removesuffix("-deduped"))

# %% tags=["remove-cell"]
recorded = tadpoles[tadpoles["method"] != "none"].groupby("model")["n_params_quantized"].unique().map(list)
assert all(recorded[name] == [every.loc[name, "rounded"]] for name in recorded.index), (
    "the table counts what the rows say"
)
ours = every.loc[tadpoles["model"].unique()].sort_values(N)
ends = ours.iloc[[0, -1]]
spread = np.log(ends[[N, "n_params_total"]].astype(float)).diff().iloc[-1]
glue_all(
    {
        "share_smallest": every.iloc[0][N] / every.iloc[0]["n_params_total"],
        "pythia_small": "pythia-70m",
        "pythia_small_share": every.loc["pythia-70m-deduped", N] / every.loc["pythia-70m-deduped", "n_params_total"],
        "pythia_small_n": count_label(every.loc["pythia-70m-deduped", N]),
        "n_factor": ends[N].iloc[1] / ends[N].iloc[0],
        "total_factor": ends["n_params_total"].iloc[1] / ends["n_params_total"].iloc[0],
        "exponent_factor": spread[N] / spread["n_params_total"],
    }
)

# %% [markdown]
# The Pythia models here are those trained on text without duplicates. The name of {glue:text}`pythia_small:s` counts everything; only {glue:text}`pythia_small_share:.0%` of it, {glue:text}`pythia_small_n:s`, is $N$. From the
# smallest tadpole to the largest $N$ grows {glue:text}`n_factor:.0f` times, but the count of all parameters only
# {glue:text}`total_factor:.0f` times. The same measurements, fitted with the other convention, would give an exponent of size
# {glue:text}`exponent_factor:.2f` times as large. Exponents from two papers can be compared only if both count alike.
#
# ## The public family
#
# Pythia {cite:p}`biderman2023pythia` is the family of the QiD law: models from millions to billions of parameters, each with its
# checkpoints from the first step to the last, all trained on the same text in the same order.

# %% tags=["hide-input"]
public = pd.read_csv("data/published/pythia_public_evals.csv").query("deduped")
accuracy = public[(public["metric"] == "acc") & (public[D] > 0)]
glue("fig_public", figures.public_trajectory(accuracy, "acc").figure, display=False)
plt.close("all")

# %% tags=["remove-cell"]
by_run = accuracy.sort_values(D).groupby("model")["value"]
final = accuracy[accuracy[D] == accuracy[D].max()].sort_values(N)
best = accuracy.loc[by_run.idxmax()].sort_values(N)
lost = best["value"].to_numpy() - final["value"].to_numpy()
fell = lost > 5 * np.hypot(best["stderr"].to_numpy(), final["stderr"].to_numpy())
assert (by_run.max() > 10 * accuracy["stderr"].max()).all(), "the caption says that every model learns"
assert final["value"].is_monotonic_increasing, "and that larger models end higher"
assert fell[: fell.sum()].all(), "the text says that those that fell are the smallest"
assert fell.any()
glue_all(
    {
        "pythia_models": accuracy["model"].nunique(),
        "pythia_smallest": count_label(accuracy[N].min()),
        "pythia_largest": count_label(accuracy[N].max()),
        "accuracy_smallest": final["value"].iloc[0],
        "accuracy_smallest_se": final["stderr"].iloc[0],
        "accuracy_largest": final["value"].iloc[-1],
        "accuracy_largest_se": final["stderr"].iloc[-1],
        "n_fell": int(fell.sum()),
        "best_smallest": best["value"].iloc[0],
        "best_smallest_tokens": count_label(best[D].iloc[0]),
        "tokens_public": count_label(accuracy[D].max()),
    }
)

# %% [markdown]
# ```{glue:figure} fig_public
# :name: fig-public
# :alt: Lines of LAMBADA accuracy against training tokens on a logarithmic axis, one a Pythia model. All lie near zero up to about a billion tokens and rise after. Larger models end higher; the lines of the smallest ones come down again at the end.
#
# The public Pythia models learn to guess the last word of a passage: {glue:text}`pythia_models:d` models in 16 bits, as published. Larger
# models end higher; the {glue:text}`n_fell:d` smallest lose again part of what they had learned.
# ```
#
# After {glue:text}`tokens_public:s` tokens the smallest of the {glue:text}`pythia_models:d` models guesses
# {glue:text}`accuracy_smallest:.1%` ± {glue:text}`accuracy_smallest_se:.1%` of the words, the largest {glue:text}`accuracy_largest:.1%` ±
# {glue:text}`accuracy_largest_se:.1%` ({numref}`fig-public`; one standard error). The smallest had been at {glue:text}`best_smallest:.1%` after
# {glue:text}`best_smallest_tokens:s` tokens: more training is not always better, even in 16 bits. These are others' figures. Nothing in this picture was
# rounded, and accuracy is not a loss in nats, so no law is fitted to it.
#
# ## What moves with what
#
# Now the learning rate. In Pythia it rises for a short while and then falls along a cosine to a tenth of its peak, and the peak was
# chosen by size.

# %% tags=["hide-input"]
runs = public_runs[public_runs[D] > 0]
stable = tadpoles[tadpoles["method"] == "none"].sort_values(D).drop_duplicates("step")
figure, axes = plt.subplots()
for size, style in reversed(size_styles(runs[N]).items()):
    run = runs[runs[N] == size]
    axes.plot(run[D], run["learning_rate"], color=style["color"], label=f"Pythia, {style['label']}")
axes.plot(stable[D], stable["learning_rate"], "o--", color=INK, label="tadpoles, all sizes")
axes.set(yscale="log", ylabel="learning rate (no unit)", ylim=(1e-6, 4e-3))
count_scale(axes, "x", TOKENS_LABEL)
legend_beside(axes)
glue("fig_rates", figure, display=False)
plt.close(figure)

# %% tags=["remove-cell"]
CUT = 98_000  # the last step in the fit of Ouyang et al.
peaks = runs.drop_duplicates("model").sort_values(N)
study_peaks = peaks[peaks["model"] != "pythia-70m-deduped"]  # the study began at 160M
at_cut = {model.name: pythia.learning_rate(model, CUT) / model.peak_learning_rate for model in pythia.models}
first_late = stable.loc[stable["lr_phase"] == "stable"].iloc[0]
assert peaks["peak_learning_rate"].is_monotonic_decreasing, "the text says that the peak falls with size"
assert (
    runs[runs["lr_phase"] == "decay"].groupby("model")["learning_rate"].apply(lambda r: r.is_monotonic_decreasing)
).all()
constant = tadpoles[tadpoles["lr_phase"] == "stable"]
assert constant["learning_rate"].nunique() == 1, "the text says that the tadpoles' learning rate is constant"
assert tadpoles.groupby("step")[[D, "learning_rate"]].nunique().max(axis=None) == 1, "and that no size differs in it"
glue_all(
    {
        "peak_highest": peaks["peak_learning_rate"].max(),
        "peak_lowest": peaks["peak_learning_rate"].min(),
        "peak_factor": study_peaks["peak_learning_rate"].max() / study_peaks["peak_learning_rate"].min(),
        "peak_sizes": study_peaks[N].max() / study_peaks[N].min(),
        "cut": CUT,
        "pythia_lr_at_cut": at_cut["pythia-160m-deduped"],
        "tadpole_rate": constant["learning_rate"].iloc[0],
        "stable_from": count_label(first_late[D]),
        "n_stable": constant["step"].nunique(),
        "n_steps": tadpoles["step"].nunique(),
        "tokens_per_step": tadpoles[D].iloc[0] // tadpoles["step"].iloc[0],
        "largest_tokens": count_label(tadpoles[D].max()),
        "n_tadpoles": tadpoles["model"].nunique(),
        "n_baselines": int((tadpoles["method"] == "none").sum()),
        "unique_tokens": count_label(tadpoles["unique_tokens"].iloc[0]),
        "epochs": tadpoles["epochs"].max(),
    }
)
assert tadpoles["epochs"].max() < 1, "the text says that no text was seen twice"

# %% [markdown]
# ```{glue:figure} fig_rates
# :name: fig-rates
# :alt: Learning rate against training tokens, both axes logarithmic. Each Pythia model rises to its own peak and falls along a cosine, larger models lower throughout. The tadpoles share one line that rises and then stays flat.
#
# After the warm-up, a later checkpoint of Pythia or a larger model means a lower learning rate. The tadpoles share one rate, and from
# {glue:text}`stable_from:s` tokens on it stays where it is.
# ```
#
# {numref}`fig-rates` shows two ties. Along a run, $D$ and the learning rate move together: at step {glue:text}`cut:,d`, the last
# one in the fit of {cite:t}`ouyang2025lowbit`, it is down to {glue:text}`pythia_lr_at_cut:.0%` of its peak. And across sizes the peak falls from
# {glue:text}`peak_highest:g` to {glue:text}`peak_lowest:g`. In the sizes of the study it falls {glue:text}`peak_factor:.0f` times while $N$ grows
# {glue:text}`peak_sizes:.0f` times. An exponent of $D$ or of $N$ that is fitted to such a family holds part of an effect of the learning rate. This is
# the objection of {cite:t}`catalan2025dynamics`, and no fit to these checkpoints alone can answer it.
#
# How strong are the ties? Take the checkpoints after warm-up and four variables: $\ln N$, $\ln D$, the logarithm of the peak learning rate, and the
# *phase*, the learning rate's share of its peak. Each is centred and scaled to a standard deviation of 1. The **condition number** of that table is its
# largest singular value over its smallest: 1 if all four are uncorrelated, infinite if one of them doesn't vary or follows from the others.

# %% tags=["hide-input"]
plans = [read_plan(path) for path in sorted(Path("sweeps").glob("train-tadpole-*.yml"))]
planned = pd.DataFrame(described for plan in plans for described in plan.covariates())
designs = {
    "Pythia": design_of(runs),
    "tadpoles, so far": design_of(tadpoles.drop_duplicates("weights_sha256")),
    "tadpoles, the study planned": design_of(planned),
}
pd.DataFrame(
    {
        "checkpoints": [design.n_checkpoints for design in designs.values()],
        "rank, of 4": [design.rank for design in designs.values()],
        "condition number": [f"{design.condition_number:.1f}".replace("inf", "∞") for design in designs.values()],
        "held fixed": [", ".join(design.held_fixed) for design in designs.values()],
    },
    index=list(designs),
)

# %% tags=["remove-cell"]
assert designs["Pythia"].condition_number > 5 * designs["tadpoles, the study planned"].condition_number
assert designs["tadpoles, so far"].held_fixed == ("ln peak learning rate", "phase")
glue_all(
    {
        "condition_pythia": designs["Pythia"].condition_number,
        "condition_planned": designs["tadpoles, the study planned"].condition_number,
    }
)

# %% [markdown]
# In Pythia all four vary, but so nearly together that the condition number is {glue:text}`condition_pythia:.0f`. The tadpoles of this book hold the
# learning rate fixed: what it does can't be learned from them, and it can't disturb $N$ and $D$ either. The study that is planned (`sweeps/train-tadpole-*.yml`)
# moves all four apart, by peaks crossed with sizes, cosines and cooldowns: {glue:text}`condition_planned:.1f`.
#
# ## The tadpoles
#
# So this project trained a family of its own, in Pythia's architecture, on one GPU. All {glue:text}`n_tadpoles:d` sizes read the same batches of
# {glue:text}`tokens_per_step:,d` tokens in the same order, up to {glue:text}`largest_tokens:s` tokens. The learning rate rises to {glue:text}`tadpole_rate:g` and then stays
# there, for every size. Of the {glue:text}`n_steps:d` checkpoints of each, {glue:text}`n_stable:d` lie on the flat part. There $D$ moves alone.
# The text holds {glue:text}`unique_tokens:s` tokens and was read {glue:text}`epochs:.2f` times, so that no model has seen any of it twice.

# %% tags=["hide-input"]
baselines = tadpoles[tadpoles["method"] == "none"]
glue("fig_loss", figures.loss_against_tokens(baselines).figure, display=False)
plt.close("all")

# %% tags=["remove-cell"]
table = baselines.pivot(index=D, columns=N, values="loss_nats")
assert (np.diff(table, axis=0) < 0).all(), "the text says that loss falls from each checkpoint to the next"
assert (np.diff(table, axis=1) < 0).all(), "and with size"
largest = baselines.sort_values([N, D]).iloc[-1]
smallest = baselines[baselines[N] == baselines[N].min()].sort_values(D).iloc[-1]
documents = np.array(largest["group_loss"], float)
half = stats.t(len(documents) - 1).ppf(0.975) * paired_error(documents)
gaps = np.array(smallest["group_loss"], float) - documents
gap_half = stats.t(len(gaps) - 1).ppf(0.975) * paired_error(gaps)
last_step = table.iloc[-2] - table.iloc[-1]
glue_all(
    {
        "loss_largest": largest["loss_nats"],
        "loss_low": largest["loss_nats"] - half,
        "loss_high": largest["loss_nats"] + half,
        "gap": gaps.mean(),
        "gap_low": gaps.mean() - gap_half,
        "gap_high": gaps.mean() + gap_half,
        "n_documents": len(documents),
        "bits_per_byte": largest["bits_per_byte"],
        "bytes_per_token": largest["n_bytes"] / largest["n_tokens"],
        "vocabulary": largest["vocabulary_size"],
        "still_lowest": last_step.min(),
        "still_highest": last_step.max(),
        "before_last": count_label(table.index[-2]),
        "eval_tokens": largest["n_tokens"],
    }
)

# %% [markdown]
# ```{glue:figure} fig_loss
# :name: fig-loss
# :alt: 16-bit loss in nats per token against training tokens on a logarithmic axis, one line for each of six sizes. All fall from the first to the last checkpoint, larger models lower throughout.
#
# The loss of every tadpole falls from each checkpoint to the next, and at every moment a larger one is better.
# ```
#
# {numref}`fig-loss` holds {glue:text}`n_baselines:d` checkpoints in 16 bits, on {glue:text}`eval_tokens:,d` held-out tokens of
# {glue:text}`n_documents:d` documents. At the end the largest model has a loss of {glue:text}`loss_largest:.3f` nats per token, with a 95%
# interval of {glue:text}`loss_low:.3f` to {glue:text}`loss_high:.3f` over documents. The smallest has {glue:text}`gap:.3f` more
# ({glue:text}`gap_low:.3f` to {glue:text}`gap_high:.3f`, paired). None has finished learning: after {glue:text}`before_last:s` tokens they still gain
# {glue:text}`still_lowest:.2f` to {glue:text}`still_highest:.2f` nats.
#
# A loss per token needs its tokenizer named. Ours is a byte-level BPE with {glue:text}`vocabulary:,d` entries, small so that the embeddings
# don't outweigh the models. Its tokens are {glue:text}`bytes_per_token:.2f` bytes long on average, fewer than with a large
# vocabulary, so its nats per token are not those of other papers. In bits per byte the largest model is at {glue:text}`bits_per_byte:.3f`.
# That doesn't depend on the tokenizer, but still on the text: code repeats itself more than prose.
#
# ## Can they be trusted?
#
# The pocket family, in `data/tadpole`, is the part of the tadpoles that comes with the book: three widths at one depth, so that $N$ means width alone. Your
# machine rounds these in {doc}`chapter 4 <04-degradation>`. Before that, this page has checked them, just now:

# %% tags=["hide-input", "remove-stderr"]
# Every file against its manifest
pocket = read_manifest(Path("data/tadpole"))
files = [checkpoints.weight_files(Path(spec.location))[0] for spec in pocket]
right = [checkpoints.weights_sha256(Path(spec.location)) == spec.weights_sha256 for spec in pocket]
lock = corpora.read_lock()

# Splits
evaluation = {(file.package, file.path) for file in lock.evaluation}
calibration = {(file.package, file.path) for file in lock.calibration}
contents = [{file.sha256 for file in split} for split in (lock.evaluation, lock.calibration)]

# One loss, measured again
widest = max(pocket, key=lambda spec: (spec.d_model, spec.step))
local = checkpoints.fetch(widest)
model = checkpoints.load(local, device)
tokenizer = checkpoints.tokenizer_of(local.folder)
blocks = corpora.heldout_blocks(lock.evaluation, tokenizer, n_sequences=128, seq_len=512)
again = evaluate.evaluate_model(model, blocks)

# %% tags=["remove-cell"]
stored = pd.read_parquet("results/measurements.parquet").query("method == 'none' and device_type == 'cuda'")
same = stored[(stored["weights_sha256"] == widest.weights_sha256) & (stored["eval_sha256"] == blocks.sha256)]
comparison = "has none on this text, because the packages installed here are not the locked ones"
if len(same):
    apart = abs(again.loss_nats - same["loss_nats"].item())
    comparison = f"has {same['loss_nats'].item():.6f}, which is {apart:.0e} away"
    assert apart < 1e-4, "the loss that was measured here is not the stored one"
with safe_open(files[0], "pt") as weights:
    formats = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118 (not a mapping)
assert all(right), "the text says that every file is what the manifest says"
assert not evaluation & calibration, "the text says that no file is in both splits"
assert not contents[0] & contents[1]
assert formats == {"BF16"}, "the text says 16 bits"
assert len({spec.vocabulary_size for spec in pocket}) == 1
assert len(list(Path("data/tadpole").rglob("tokenizer.json"))) == 1, "the text says that there is one tokenizer"
assert {spec.n_layers for spec in pocket} == {3}
glue_all(
    {
        "n_pocket": len(pocket),
        "n_right": sum(right),
        "pocket_models": len({spec.model for spec in pocket}),
        "pocket_steps": len({spec.step for spec in pocket}),
        "pocket_megabytes": sum(path.stat().st_size for path in files) / 1e6,
        "n_evaluation": len(evaluation),
        "n_calibration": len(calibration),
        "n_packages": len({package for package, _ in evaluation}),
        "n_both": len(evaluation & calibration),
        "n_wheels": len(lock.wheels),
        "n_licences": len({wheel.licence for wheel in lock.wheels}),
        "n_training_documents": lock.n_training_documents,
        "training_megabytes": lock.n_training_bytes / 1e6,
        "loss_here": again.loss_nats,
        "comparison": comparison,
        "checked_model": widest.model,
        "checked_step": widest.step,
    }
)

# %% [markdown]
# - **The weights are the ones that were measured.** {glue:text}`n_right:d` of {glue:text}`n_pocket:d` files
#   ({glue:text}`pocket_models:d` models, {glue:text}`pocket_steps:d` steps, 16 bits a weight, {glue:text}`pocket_megabytes:.1f` MB in all) have the SHA-256 that their manifest
#   gives. A file that doesn't is refused.
# - **They do what the table says.** {glue:text}`checked_model:s` at step {glue:text}`checked_step:d`, loaded and scored here, has a loss of
#   {glue:text}`loss_here:.6f` nats per token. The table, from another machine, {glue:text}`comparison:s`.
# - **One tokenizer** for every tadpole, in one file, so that all losses have one unit.
# - **Splits that can't overlap.** {glue:text}`n_evaluation:d` files are for evaluation and {glue:text}`n_calibration:d` for calibration, from
#   {glue:text}`n_packages:d` packages in the case of evaluation. {glue:text}`n_both:d` are in both. Training left out all of them, and everything that is nearly one of them.
# - **Text that anyone can get.** It is the Python code of {glue:text}`n_wheels:d` packages as published, each pinned by version and SHA-256, with its licence, in
#   `data/corpus.lock`. Without near-duplicates {glue:text}`n_training_documents:,d` files were left, {glue:text}`training_megabytes:.0f` MB. None of that text is in the book's
#   repository; the held-out files are read from the packages that the book needs anyway.
#
# ## What this does not show
#
# - **One seed.** Each size was trained once. Another start or another order of the text would give other curves, and no interval on this
#   page knows by how much.
# - **Small models, code only.** A trend over tadpoles may bend before it reaches the sizes that people use, and on prose.
# - **Size is not quite alone.** Width alone changes among the three pocket sizes; the larger tadpoles are deeper as well.
# - **One learning rate isn't one treatment.** A rate that suits a small model may be high for a large one. Keeping it equal unties it from $N$; it
#   doesn't make every size equally well trained.
# - **A constant learning rate is not how models are finished.** What decay does to QiD has to be measured with runs that decay.
#
# ## Exercises

# %% tags=["remove-cell"]
pythia_step = 1000
exercise_model = next(model for model in pythia.models if model.name == "pythia-1b-deduped")
glue_all(
    {
        "ex_step": pythia_step,
        "ex_batch": pythia.tokens_per_step,
        "ex_tokens": count_label(pythia_step * pythia.tokens_per_step),
        "ex_warmup": pythia.warmup_steps,
        "ex_share": pythia.learning_rate(exercise_model, pythia_step) / exercise_model.peak_learning_rate,
        "ex_width": 128,
        "ex_layers": 3,
        "ex_matrices": 3 * 12 * 128**2,
        "ex_n": ours.loc["tadpole-128x3", N],
        "ex_vocabulary": 50304,
        "ex_both": 2 * 50304 * 128,
        "ex_outweighs": 2 * 50304 * 128 / ours.loc["tadpole-128x3", N],
    }
)

# %% [markdown]
# **1.** How many tokens had Pythia seen at step {glue:text}`ex_step:,d`, with batches of {glue:text}`ex_batch:,d` tokens? Where was its learning rate?
#
# ```{admonition} Answer
# :class: dropdown
# {glue:text}`ex_tokens:s` tokens. The warm-up takes {glue:text}`ex_warmup:,d` steps, so the rate was still rising, at {glue:text}`ex_share:.0%` of its peak. QiD of such a
# checkpoint says little about the effect of tokens.
# ```
#
# **2.** A block of width $d$ has linear layers with $12 d^2$ weights. Compute the rounded weights of a model of {glue:text}`ex_layers:d` blocks of width
# {glue:text}`ex_width:d` and compare them with the table. What would its embedding and head weigh with Pythia's vocabulary of {glue:text}`ex_vocabulary:,d`?
#
# ```{admonition} Answer
# :class: dropdown
# {glue:text}`ex_matrices:,d` weights, of $N$ = {glue:text}`ex_n:,d`; the rest are biases and normalization. Embedding and head would take
# {glue:text}`ex_both:,d`, which is {glue:text}`ex_outweighs:.0f` times $N$. Hence the small vocabulary.
# ```
#
# **3.** Sketch a training plan in which $D$ and the learning rate can be told apart *and* the models are finished with decay. What does it cost?
#
# ```{admonition} Answer
# :class: dropdown
# Train at a constant rate, and from several checkpoints branch off a short run in which the rate falls to zero. Compare the ends of
# the branches with each other (tokens differ, decay is the same) and with the points they left (decay differs, tokens nearly the same).
# {cite:t}`catalan2025dynamics` did this. Each branch costs a fraction of the main run instead of a whole run for each $D$.
# ```
