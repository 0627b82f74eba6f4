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
# What such a function means depends on what else changed along the way. So this chapter looks at the models before
# anything is rounded: a public family that studies of QiD used, and the small ones that were trained for this book.
# {term}`Intervals <interval>` run over documents, those of curvature over random probes.

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
from safetensors import safe_open
from scipy import stats

from helpers.analyse.rows.counts import count
from helpers.analyse.rows.design import design_of
from helpers.analyse.rows.study import (
    DEPTH,
    FITTED_BITS,
    HELDOUT,
    LATE_TOKENS,
    MIXED,
    NINTH,
    RATES,
    SEEDS,
    TRUNK,
    UNSEEN,
    on_trunk,
    rows_of_every_run,
    study_rows,
)
from helpers.show.figures import qid
from helpers.show.glue import put, put_all
from helpers.show.study_table import outstanding, study_table
from helpers.show.style import (
    INK,
    LOSS_LABEL,
    PALE,
    TOKENS_LABEL,
    count_label,
    count_scale,
    legend_beside,
    size_styles,
    use_house_style,
)
from helpers.table.families.catalogue import HUB_FAMILIES, read_manifest
from helpers.table.families.neox import neox_linear_shapes
from helpers.table.families.pythia import WARMUP_STEPS
from helpers.table.files import read_checkpoints, read_table
from helpers.table.paired_error import paired_error

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here
from helpers.measure.models import checkpoints
from helpers.measure.scoring import evaluate
from helpers.measure.text import corpus_lock, token_blocks
from helpers.measure.training.plan import read_plan

use_house_style()
N, D = "n_params_non_embedding", "tokens_seen"


# %% [markdown]
# ## What a row must say
#
# Five things belong to every checkpoint, and every row of the book's tables carries them.
#
# - **Run**: which training it is from, with its seed; if it branched off another run, from where.
# - **Step**: the number of updates of the weights so far. It says where one is in a run.
# - **Tokens seen** $D$: the step times the tokens in a batch, repetitions counted. The law of QiD is about $D$. Beside it stands how
#   many times the text was read, in passes.
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
measured = read_table("results/measurements.parquet").to_pandas()
described = read_checkpoints(
    "results/checkpoints.parquet"
).to_pandas()  # one row a checkpoint; averages of weights are there too
trained = described[described["n_averaged"] == 1]
trunk = trained[on_trunk(trained)]
pythia = HUB_FAMILIES["pythia-deduped"]
public_runs = pd.DataFrame(map(dataclasses.asdict, pythia.checkpoints()))
every = pd.concat([trained, public_runs]).drop_duplicates("model").sort_values(N).set_index("model").rename_axis(None)
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
recorded = measured[measured["quantized_ratio"] == 1].groupby("model")["n_params_quantized"].unique().map(list)
assert all(recorded[name] == [every.loc[name, "rounded"]] for name in recorded.index), (
    "the table counts what the rows say"
)
ours = every.loc[trunk["model"].unique()].sort_values(N)
ends = ours.iloc[[0, -1]]
spread = np.log(ends[[N, "n_params_total"]].astype(float)).diff().iloc[-1]
put_all(
    pythia_small="pythia-70m",
    pythia_small_share=every.loc["pythia-70m-deduped", N] / every.loc["pythia-70m-deduped", "n_params_total"],
    pythia_small_n=count_label(every.loc["pythia-70m-deduped", N]),
    n_factor=ends[N].iloc[1] / ends[N].iloc[0],
    total_factor=ends["n_params_total"].iloc[1] / ends["n_params_total"].iloc[0],
    exponent_factor=spread[N] / spread["n_params_total"],
)

# %% [markdown]
# The Pythia models here are those trained on text without duplicates. The name of {glue:text}`pythia_small:s` counts everything; only
# {glue:text}`pythia_small_share:.0%` of it, {glue:text}`pythia_small_n:s`, is $N$. From the smallest tadpole to the largest $N$ grows
# {glue:text}`n_factor:.0f` times, but the count of all parameters only {glue:text}`total_factor:.0f` times. The same measurements, fitted with the
# other convention, would give an exponent of size {glue:text}`exponent_factor:.2f` times as large. Exponents from two papers can be compared only if
# both count alike.
#
# ## The public family
#
# Pythia {cite:p}`biderman2023pythia` is the family of the QiD law: models from millions to billions of parameters, each with its
# checkpoints from the first step to the last, all trained on the same text in the same order.

# %% tags=["hide-input"]
public = pd.read_csv("data/published/pythia_public_evals.csv").query("deduped")
accuracy = public[(public["metric"] == "acc") & (public[D] > 0)]
put("fig_public", qid.public_trajectory(accuracy, "acc").figure)
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
put_all(
    pythia_models=accuracy["model"].nunique(),
    accuracy_smallest=final["value"].iloc[0],
    accuracy_smallest_se=final["stderr"].iloc[0],
    accuracy_largest=final["value"].iloc[-1],
    accuracy_largest_se=final["stderr"].iloc[-1],
    n_fell=int(fell.sum()),
    best_smallest=best["value"].iloc[0],
    best_smallest_tokens=count_label(best[D].iloc[0]),
    tokens_public=count_label(accuracy[D].max()),
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
# ## The tadpoles
#
# No public family was made to answer what depends on tokens and what on the learning rate. So this project trained models of its own, the *tadpoles*, in Pythia's
# architecture, on GPUs. The *trunk* is one run of each of {glue:text}`n_tadpoles:d` sizes. Everything else moves one thing that
# the trunk holds fixed.

# %% tags=["hide-input"]
counts = count(measured, described)
study_table(described)

# %% tags=["hide-input"]
pd.DataFrame(
    {
        "what the tables hold": [
            "trained checkpoints",
            "averages of weights",
            "training runs",
            "sizes",
            "measurements",
            f"quantized checkpoints, {FITTED_BITS[0]} to {FITTED_BITS[-1]} bits",
            f"of these by GPTQ, beyond {count_label(LATE_TOKENS)} tokens",
        ],
        "how many": [
            f"{number:,}"
            for number in (
                counts.trained_checkpoints,
                counts.averaged_checkpoints,
                counts.training_runs,
                len(counts.sizes),
                counts.rows_by_status["ok"],
                counts.quantized_checkpoints,
                counts.gptq_beyond_60m_tokens,
            )
        ],
    }
).set_index("what the tables hold").rename_axis(None)

# %% tags=["remove-cell"]
plans = [read_plan(path) for path in sorted(Path("sweeps").glob("train-tadpole-*.yml"))]
planned = pd.DataFrame(
    {"family": plan.family, "run": run.name, "step": step}
    for plan in plans
    for start in plan.runs()
    for run in (start, *plan.branches(start))
    for step in run.steps
)
fixed_by_plan = {(p.batch_sequences, p.seq_len, p.warmup_steps, p.betas, p.clip_norm) for p in plans}
table = study_table(described)
assert table["training runs"].sum() == counts.training_runs, "the two tables agree"
assert table.loc[table.index != "averages", "checkpoints"].sum() == counts.trained_checkpoints
assert len(fixed_by_plan) == 1, "the text says that batches and optimizer are the same in every run"
assert trained[["vocabulary_size", "unique_tokens"]].nunique().max() == 1, "the text says one tokenizer, one text"
assert (trained[D] // trained["step"]).nunique() == 1
others = trained[trained["family"] != "tadpole-decay"]
assert others["weight_decay"].nunique() == 1, "the text says that only one family moves the weight decay"
assert others.loc[~others["family"].isin([SEEDS, NINTH]), "train_seed"].nunique() == 1
constant = trunk[trunk["lr_phase"] == "stable"]
assert constant["learning_rate"].nunique() == 1, "the text says that the trunk's learning rate is constant"
assert trunk.groupby("step")[[D, "learning_rate"]].nunique().max(axis=None) == 1, "and that no size differs in it"
assert trunk.groupby("model")["step"].nunique().nunique() == 1, "the text gives one number of checkpoints a size"
of_mixed = trained[trained["family"] == MIXED]
put_all(
    n_tadpoles=trunk["model"].nunique(),
    n_quantized=counts.quantized_checkpoints,
    ouyang_checkpoints=1500,  # more than; abstract of the paper
    outstanding=outstanding(planned, trained),
    tokens_per_step=trunk[D].iloc[0] // trunk["step"].iloc[0],
    late_tokens=count_label(LATE_TOKENS),
    mixed_runs=of_mixed["run"].nunique(),
    mixed_cooldowns=of_mixed.loc[of_mixed["schedule"] == "cooldown", "run"].nunique(),
    n_steps=trunk["step"].nunique(),
    n_stable=constant["step"].nunique(),
    n_warmup=plans[0].warmup_steps,
    tadpole_rate=constant["learning_rate"].iloc[0],
    first_tokens=count_label(trunk[D].min()),
    largest_tokens=count_label(trunk[D].max()),
    weight_decay=trunk["weight_decay"].iloc[0],
    vocabulary=trunk["vocabulary_size"].iloc[0],
    n_moments=described["n_averaged"].max(),
)

# %% [markdown]
# These are the numbers that `qid status` prints. A *quantized checkpoint* is a checkpoint under one way of rounding, as {cite:t}`ouyang2025lowbit`
# count theirs: there are {glue:text}`n_quantized:,d` here and more than {glue:text}`ouyang_checkpoints:d` in the paper. Other texts and other draws
# of calibration text are replicates and don't count. {glue:text}`outstanding:s` Of the training runs
# {glue:text}`mixed_runs:d` are of `tadpole-mixed`, {glue:text}`mixed_cooldowns:d` of them cooldowns. They were scored on less text
# and are what chapters 13 to 16 are about; a chapter that counts fewer runs or cooldowns than the table leaves them out.
#
# **Held fixed, in every run:** the architecture, the tokenizer with its {glue:text}`vocabulary:,d` entries, the training text, batches of
# {glue:text}`tokens_per_step:,d` tokens, the optimizer, and a warm-up of {glue:text}`n_warmup:d` steps. The order of the batches depends on the training seed
# alone, so runs of one seed read the same batches in the same order, whatever their size.
#
# **Held fixed in the trunk, and moved beside it, one at a time:** the peak learning rate, {glue:text}`tadpole_rate:g` for every size; its decay, of
# which the trunk has none; the weight decay, {glue:text}`weight_decay:g`; the number of layers at a given size; the seed. A *cooldown* goes on from a
# checkpoint of the trunk, reads the same batches as the trunk does, and its rate falls to zero in a straight line. A *cosine* decays from the end of
# warm-up on. An *average* is the mean of the weights at {glue:text}`n_moments:d` moments of the trunk, and no training run of its own.
#
# **What the trunk moves** is $N$, and along each run $D$, from {glue:text}`first_tokens:s` to {glue:text}`largest_tokens:s` tokens. Of the
# {glue:text}`n_steps:d` checkpoints of each size {glue:text}`n_stable:d` lie where the rate is flat. There $D$ moves alone.
#
# ## Training curves

# %% tags=["hide-input"]
losses = rows_of_every_run(measured).query("method == 'none' and n_averaged == 1")
baselines = study_rows(losses).sort_values([N, D])
put("fig_loss", qid.loss_against_tokens(baselines).figure)
plt.close("all")

# %% tags=["remove-cell"]
table = baselines.pivot(index=D, columns=N, values="loss_nats")
assert (np.diff(table, axis=0) < 0).all(), "the text says that loss falls from each checkpoint to the next"
assert (np.diff(table, axis=1) < 0).all(), "and with size"
largest = baselines.iloc[-1]
smallest = baselines[baselines[N] == baselines[N].min()].iloc[-1]
documents = np.array(largest["group_loss"], float)
quantile = stats.t(len(documents) - 1).ppf(0.975)
half = quantile * paired_error(documents)
gaps = np.array(smallest["group_loss"], float) - documents
gap_half = quantile * paired_error(gaps)
last_step = table.iloc[-2] - table.iloc[-1]
put_all(
    n_baselines=len(baselines),
    loss_largest=largest["loss_nats"],
    loss_low=largest["loss_nats"] - half,
    loss_high=largest["loss_nats"] + half,
    gap=gaps.mean(),
    gap_low=gaps.mean() - gap_half,
    gap_high=gaps.mean() + gap_half,
    n_documents=len(documents),
    bits_per_byte=largest["bits_per_byte"],
    bytes_per_token=largest["n_bytes"] / largest["n_tokens"],
    still_lowest=last_step.min(),
    still_highest=last_step.max(),
    before_last=count_label(table.index[-2]),
    eval_tokens=largest["n_tokens"],
)

# %% [markdown]
# ```{glue:figure} fig_loss
# :name: fig-loss
# :alt: 16-bit loss in nats per token against training tokens on a logarithmic axis, one line for each size of the trunk. All fall from the first to the last checkpoint, steeply up to about a hundred million tokens and slowly after; larger models lie lower throughout.
#
# The loss of every size of the trunk falls from each checkpoint to the next, and at every moment a larger one is better.
# ```
#
# {numref}`fig-loss` holds {glue:text}`n_baselines:d` checkpoints in 16 bits, on {glue:text}`eval_tokens:,d` held-out tokens of
# {glue:text}`n_documents:d` documents. At the end the largest model has a loss of {glue:text}`loss_largest:.3f` nats per token, with a 95%
# interval of {glue:text}`loss_low:.3f` to {glue:text}`loss_high:.3f` over documents. The smallest has {glue:text}`gap:.3f` more
# ({glue:text}`gap_low:.3f` to {glue:text}`gap_high:.3f`, paired). None has finished learning: after {glue:text}`before_last:s` tokens they still gain
# {glue:text}`still_lowest:.3f` to {glue:text}`still_highest:.3f` nats.
#
# A loss per token needs its tokenizer named. Ours is a byte-level BPE with {glue:text}`vocabulary:,d` entries, small so that the embeddings
# don't outweigh the models. Its tokens are {glue:text}`bytes_per_token:.2f` bytes long on average, fewer than with a large
# vocabulary, so its nats per token are not those of other papers. In bits per byte the largest model is at {glue:text}`bits_per_byte:.3f`.
# That doesn't depend on the tokenizer, but still on the text: code repeats itself more than prose.
#
# The trunk never turns its learning rate down, and that costs it some loss. The branches show how much.

# %% tags=["hide-input"]
KINDS = {"constant": INK, "cooldown": "#d55e00", "cosine": "#0072b2"}
both = [model for model, rows in losses.groupby("model") if {"cooldown", "cosine"} <= set(rows["schedule"])]
figure, panels = plt.subplots(1, len(both), figsize=(8.6, 4.0), squeeze=False)
for axes, model in zip(panels[0], sorted(both, key=lambda name: ours.loc[name, N]), strict=True):
    rows = losses[(losses["model"] == model) & (losses[D] > LATE_TOKENS)].sort_values(D)
    main = baselines[(baselines["model"] == model) & (baselines[D] > LATE_TOKENS)].set_index("step")
    axes.plot(main[D], main["loss_nats"], "o-", color=INK, label="constant")
    for kind, marker in (("cosine", "s"), ("cooldown", "v")):
        for number, (_, run) in enumerate(rows[rows["schedule"] == kind].groupby("run")):
            start = main.loc[run["branched_at_step"].dropna().unique(), [D, "loss_nats"]]
            line = pd.concat([start, run[[D, "loss_nats"]]])
            label = "_nolegend_" if number else kind
            axes.plot(line[D], line["loss_nats"], color=KINDS[kind], linewidth=1.2, label=label)
            axes.plot(run[D].iloc[-1], run["loss_nats"].iloc[-1], marker, color=KINDS[kind])
    axes.set(title=f"N = {count_label(ours.loc[model, N])}", ylabel=LOSS_LABEL)
    count_scale(axes, "x", TOKENS_LABEL)
legend_beside(panels[0, -1], "learning rate")
put("fig_decay", figure)
plt.close(figure)

# %% tags=["remove-cell"]
pairs = losses[losses["learning_rate"] < losses["peak_learning_rate"]].merge(
    baselines[["model", "step", "loss_nats", "group_loss"]], on=["model", "step"], suffixes=("", "_trunk")
)
by_document = [
    np.subtract(a, b, dtype=float) for a, b in zip(pairs["group_loss"], pairs["group_loss_trunk"], strict=True)
]
pairs = pairs.assign(gain=[-d.mean() for d in by_document], half=[quantile * paired_error(d) for d in by_document])
pairs = pairs.sort_values([N, "step"])
cooled = pairs[pairs["learning_rate"] == 0]
lower, higher = cooled[cooled["gain"] > cooled["half"]], cooled[cooled["gain"] < -cooled["half"]]
best_cooled = cooled.iloc[-1]
cosines = pairs[(pairs["schedule"] == "cosine") & (pairs[D] == pairs["tokens_planned"])]
shortest = cosines.loc[cosines["gain"].idxmin()]
assert len(lower) > 0.8 * len(cooled), "the text says that decay nearly always lowers the loss"
assert len(lower) + len(higher) == len(cooled), "the text says that all differences are clear"
assert (higher["branched_at_step"] == cooled["branched_at_step"].min()).all(), "the text says where decay doesn't help"
assert all(rows["gain"].is_monotonic_increasing for _, rows in cosines.groupby("model")), "longer cosines gain more"
assert shortest["gain"] < -shortest["half"], "the text says that a short cosine ends above the trunk"
put_all(
    n_cooled=len(cooled),
    n_lower=len(lower),
    gain_lowest=lower["gain"].min(),
    gain_highest=lower["gain"].max(),
    n_higher=len(higher),
    higher_end=count_label(cooled[D].min()),
    cooled_size=count_label(best_cooled[N]),
    cooled_tokens=count_label(best_cooled[D]),
    cooled_gain=best_cooled["gain"],
    cooled_low=best_cooled["gain"] - best_cooled["half"],
    cooled_high=best_cooled["gain"] + best_cooled["half"],
    n_cosines=len(cosines),
    n_cosines_lower=int((cosines["gain"] > cosines["half"]).sum()),
    cosine_size=count_label(shortest[N]),
    cosine_tokens=count_label(shortest[D]),
    cosine_loss=-shortest["gain"],
    cosine_low=-shortest["gain"] - shortest["half"],
    cosine_high=-shortest["gain"] + shortest["half"],
)

# %% [markdown]
# ```{glue:figure} fig_decay
# :name: fig-decay
# :alt: 16-bit loss against training tokens on a logarithmic axis, one panel for each of two sizes that have both kinds of decay. A dark line, the constant rate, falls slowly. Short orange lines leave it and fall faster, ending below it, except for the first one of the smaller size. Blue lines, the cosines, run near the dark one; the shortest ends above it in both panels, the longest at it or below.
#
# Loss falls faster while the learning rate does: nearly every cooldown ends below the trunk at the same tokens. A whole run of decay (cosine) has to
# be long to get there.
# ```
#
# At the same tokens {glue:text}`n_lower:d` of {glue:text}`n_cooled:d` cooldowns end below the trunk ({numref}`fig-decay`), by
# {glue:text}`gain_lowest:.3f` to {glue:text}`gain_highest:.3f` nats per token. At {glue:text}`cooled_tokens:s` tokens the model of
# {glue:text}`cooled_size:s` gains {glue:text}`cooled_gain:.3f` ({glue:text}`cooled_low:.3f` to {glue:text}`cooled_high:.3f`, paired). The other
# {glue:text}`n_higher:d` leave the trunk at the earliest point, while it still learns fast, and end above it, after {glue:text}`higher_end:s` tokens:
# there a falling rate seems to take away more than it gives. Whole runs of decay show it too: only {glue:text}`n_cosines_lower:d` of the
# {glue:text}`n_cosines:d` cosines end clearly lower than the trunk, and the shortest one of {glue:text}`cosine_size:s` parameters, over
# {glue:text}`cosine_tokens:s` tokens, ends {glue:text}`cosine_loss:.3f` above it ({glue:text}`cosine_low:.3f` to {glue:text}`cosine_high:.3f`).
# "Trained on the same tokens" doesn't mean "equally well trained".
#
# ## The text, and reading it again

# %% tags=["remove-cell"]
MOST_PASSES = 4
beyond = trained[trained["epochs"] > 1]
of_trunk = trunk[trunk["epochs"] > 1]
assert trained["epochs"].max() <= MOST_PASSES, "the text says that fits use every checkpoint"
assert (trained["unique_tokens"] * trained["epochs"]).round().equals(trained[D].astype(float)), "what epochs means"
for text in (HELDOUT, UNSEEN):
    rows = study_rows(measured, text).query("method == 'none'").pivot(index=D, columns=N, values="loss_nats")
    assert (np.diff(rows, axis=0) < 0).all(), "the text says that loss keeps falling on both texts"
put_all(
    unique_tokens=count_label(trunk["unique_tokens"].iloc[0]),
    epochs=trained["epochs"].max(),
    n_trained=len(trained),
    n_beyond=len(beyond),
    n_beyond_trunk=of_trunk["step"].nunique(),
    beyond_first=count_label(of_trunk[D].min()),
    most_passes=MOST_PASSES,
)

# %% [markdown]
# The training text holds {glue:text}`unique_tokens:s` tokens. Up to there every batch is new. Beyond, the text is read again, each pass in an order
# of its own, up to {glue:text}`epochs:.2f` times in all. The column `epochs` says how many passes a checkpoint has behind it: {glue:text}`n_beyond:d`
# of {glue:text}`n_trained:d` trained checkpoints have more than one, among them the last {glue:text}`n_beyond_trunk:d` of each size of the trunk,
# from {glue:text}`beyond_first:s` tokens on. On held-out files, and on packages that training never saw, the loss of every size still falls from each
# of them to the next. The book's main fits begin beyond {glue:text}`late_tokens:s` tokens and use checkpoints up to
# {glue:text}`most_passes:d` passes, which is all there are. A token that is
# read again may still not be worth a new one, and these runs have none with more text to compare with.
#
# ## What moves with what
#
# Now the learning rate. In Pythia it rises for a short while and then falls along a cosine to a tenth of its peak, and the peak was
# chosen by size. In the tadpoles it was moved on purpose.

# %% tags=["hide-input"]
runs = public_runs[public_runs[D] > 0]
by_family = {plan.family.removeprefix("tadpole-"): plan for plan in plans}
drawn = [
    run
    for plan in (by_family["trunk"], by_family["rates"], by_family["cosine"])
    for start in plan.runs()
    for run in (start, *plan.branches(start))
    if run.model.name == both[0]
]
figure, (of_pythia, of_tadpoles) = plt.subplots(1, 2, figsize=(8.6, 4.6))
for size, style in reversed(size_styles(runs[N]).items()):
    run = runs[runs[N] == size]
    of_pythia.plot(run[D], run["learning_rate"], color=style["color"], label=style["label"])
labelled = set()
for run in drawn:
    first = run.warmup_steps if run.schedule == "cosine" else run.branched_at_step or 1
    steps = np.unique(np.geomspace(first, run.steps[-1], 400).round().astype(int))
    of_trunk_rate = run.peak_learning_rate == constant["learning_rate"].iloc[0]
    kind = run.schedule if of_trunk_rate else "halved, doubled"
    style = {"color": KINDS.get(kind, PALE), "linestyle": "-" if of_trunk_rate else "--"}
    label = "_nolegend_" if kind in labelled else kind
    of_tadpoles.plot(
        steps * plans[0].tokens_per_step, [run.learning_rate(step) for step in steps], label=label, **style
    )
    labelled.add(kind)
for axes, title in ((of_pythia, "Pythia"), (of_tadpoles, "tadpoles")):
    axes.set(ylabel="learning rate (no unit)", title=title, ylim=(0, None))
    count_scale(axes, "x", TOKENS_LABEL)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4 if axes is of_pythia else 2)
of_pythia.get_legend().set_title("size N")
put("fig_rates", figure)
plt.close(figure)

# %% tags=["remove-cell"]
CUT = 98_000  # the last step in the fit of Ouyang et al.
peaks = runs.drop_duplicates("model").sort_values(N)
study_peaks = peaks[peaks["model"] != "pythia-70m-deduped"]  # the study began at 160M
at_cut = {run.model: pythia.learning_rate(run, CUT) / run.peak_learning_rate for run in pythia.runs}
assert peaks["peak_learning_rate"].is_monotonic_decreasing, "the text says that the peak falls with size"
assert (
    runs[runs["lr_phase"] == "decay"].groupby("model")["learning_rate"].apply(lambda r: r.is_monotonic_decreasing)
).all()
rates = set(trained.loc[trained["family"] == RATES, "peak_learning_rate"] / trunk["peak_learning_rate"].iloc[0])
assert rates == {0.5, 2.0}, "the legend says halved and doubled"
assert {run.learning_rate(run.steps[-1]) / run.peak_learning_rate for run in by_family["cosine"].runs()} == {0.1}
assert by_family["trunk"].cooldowns.share == 1 / 5, "the text says that cooldowns take the last fifth of the tokens"
put_all(
    peak_highest=peaks["peak_learning_rate"].max(),
    peak_lowest=peaks["peak_learning_rate"].min(),
    peak_factor=study_peaks["peak_learning_rate"].max() / study_peaks["peak_learning_rate"].min(),
    peak_sizes=study_peaks[N].max() / study_peaks[N].min(),
    cut=CUT,
    pythia_lr_at_cut=at_cut["pythia-160m-deduped"],
)

# %% [markdown]
# ```{glue:figure} fig_rates
# :name: fig-rates
# :alt: Two panels of learning rate against training tokens on a logarithmic axis. On the left each Pythia model rises to its own peak and falls along a cosine, larger models lower throughout. On the right the tadpoles' constant rate rises and stays flat; dashed lines run at half and twice its height, cosines leave it at the end of warm-up and fall to a tenth, and cooldowns fall from it to zero at four moments.
#
# After the warm-up, a later checkpoint of Pythia or a larger model means a lower learning rate. The tadpoles' is constant in the trunk, the same for
# every size; beside it stand other peaks, cosines and cooldowns.
# ```
#
# {numref}`fig-rates` shows two ties in Pythia. Along a run, $D$ and the learning rate move together: at step {glue:text}`cut:,d`, the last
# one in the fit of {cite:t}`ouyang2025lowbit`, it is down to {glue:text}`pythia_lr_at_cut:.0%` of its peak. And across sizes the peak falls from
# {glue:text}`peak_highest:g` to {glue:text}`peak_lowest:g`. In the sizes of that fit it falls {glue:text}`peak_factor:.0f` times while $N$ grows
# {glue:text}`peak_sizes:.0f` times. An exponent of $D$ or of $N$ that is fitted to such a family holds part of an effect of the learning rate. This is
# the objection of {cite:t}`catalan2025dynamics`, and no fit to these checkpoints alone can answer it.
#
# How strong are the ties? Take the checkpoints after warm-up and four variables: $\ln N,$ $\ln D,$ the logarithm of the peak learning rate, and the
# *phase*, the learning rate's share of its peak. Each is centred and scaled to a standard deviation of 1. The **condition number** of that table is its
# largest singular value over its smallest: 1 if all four are uncorrelated, infinite if one of them doesn't vary or follows from the others.
# The **rank** says how many of the four can be told apart at all.

# %% tags=["hide-input"]
designs = {
    "Pythia": design_of(runs),
    "tadpoles, the trunk alone": design_of(trunk),
    "tadpoles, the whole study": design_of(trained.drop_duplicates("weights_sha256")),
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
alone, whole = designs["tadpoles, the trunk alone"], designs["tadpoles, the whole study"]
assert alone.held_fixed == ("ln peak learning rate", "phase"), "the text says that the trunk holds the rate fixed"
assert alone.rank == 2
assert whole.rank == len(whole.variables), "the text says that the study tells all four apart"
assert designs["Pythia"].condition_number > 5 * whole.condition_number
other_peak = trained[trained["peak_learning_rate"] != trunk["peak_learning_rate"].iloc[0]]
decaying = trained[trained["lr_phase"] == "decay"]
put_all(
    condition_pythia=designs["Pythia"].condition_number,
    rank_trunk=alone.rank,
    condition_study=whole.condition_number,
    n_after_warmup=whole.n_checkpoints,
    n_other_peak=int((other_peak["lr_phase"] != "warmup").sum()),
    other_peak_models=other_peak["model"].nunique(),
    other_peak_tokens=count_label(other_peak[D].max()),
    n_decaying=len(decaying),
    decaying_models=decaying["model"].nunique(),
)

# %% [markdown]
# In Pythia all four vary, but so nearly together that the condition number is {glue:text}`condition_pythia:.0f`. The trunk has rank
# {glue:text}`rank_trunk:d`, for of the four it moves $N$ and $D$ alone: it holds the learning rate fixed, so what the rate does can't be learned from it, and can't disturb $N$ and $D$ either.
# The whole study tells all four apart, with a condition number of {glue:text}`condition_study:.2f`. That near 1 the variables are as good as
# uncorrelated. It doesn't say how precise an estimate will be: of the {glue:text}`n_after_warmup:d` checkpoints {glue:text}`n_other_peak:d` have
# another peak, in {glue:text}`other_peak_models:d` sizes and up to {glue:text}`other_peak_tokens:s` tokens, and {glue:text}`n_decaying:d` were made
# while the rate fell, in {glue:text}`decaying_models:d` sizes.
#
# ## More than a loss
#
# `results/checkpoints.parquet` has one row for each checkpoint, of what can be known before rounding: how far each matrix moved since the checkpoint
# before, its outliers and those of its inputs, the error of rounding it to nearest, the entropy of the predictions, and the curvature of the loss.
# The **trace of the Hessian** adds up the second derivatives of the loss in all rounded weights. A random change of every weight with variance $s^2$
# costs about $\frac{1}{2} s^2$ times the trace, if $s$ is small.

# %% tags=["hide-input"]
figure, axes = plt.subplots()
styles = size_styles(trunk[N])
branches = trained[(trained["family"] == TRUNK) & (trained["schedule"] == "cooldown")]
ends_of_cooldowns = branches[branches["learning_rate"] == 0]
for size, rows in trunk.sort_values(D).groupby(N):
    axes.errorbar(rows[D], rows["hessian_trace"], rows["hessian_trace_se"], linewidth=1.2, **styles[size])
    decayed = ends_of_cooldowns[ends_of_cooldowns[N] == size]
    hollow = {"linestyle": "", "markerfacecolor": "none", "markersize": 7} | {
        k: styles[size][k] for k in ("color", "marker")
    }
    axes.plot(decayed[D], decayed["hessian_trace"], **hollow)
count_scale(axes, "x", TOKENS_LABEL)
axes.set(yscale="log", ylabel="trace of the Hessian (nats per squared weight)")
legend_beside(axes, "size N")
put("fig_curvature", figure)
plt.close(figure)

# %% tags=["remove-cell"]
traces = trunk.pivot(index=D, columns=N, values="hessian_trace")
keys = ["model", "step"]
sharper = ends_of_cooldowns.merge(trunk[[*keys, "hessian_trace"]], on=keys, suffixes=("", "_trunk"))
sharper = sharper["hessian_trace"] / sharper["hessian_trace_trunk"]
of_largest = trunk[trunk[N] == trunk[N].max()].sort_values(D)
early, late = of_largest[of_largest[D] > LATE_TOKENS].iloc[0], of_largest.iloc[-1]
log_fall = np.log(late["hessian_trace"] / early["hessian_trace"])
probes = late["hessian_probes"]
relative = [row["hessian_trace_se"] / row["hessian_trace"] for row in (early, late)]
fall_low, fall_high = np.exp(log_fall + np.array([-1, 1]) * stats.t(probes - 1).ppf(0.975) * np.hypot(*relative))
errors, sizes = (
    [np.median(np.array(row[name], float)) for row in (early, late)] for name in ("rtn_error_3_bits", "weight_rms")
)
assert (np.diff(traces.iloc[-1]) < 0).all(), "the text says that a larger model has the smaller trace at the end"
rises = traces.iloc[0] < traces.max()
assert rises.iloc[:-1].all(), "the text says that the trace rises first"
assert not rises.iloc[-1], "but in the largest"
assert (traces.iloc[-1] < traces.max()).all(), "and falls later"
assert traces.idxmax().iloc[0] > traces.idxmax().iloc[-1], "and turns earlier in the largest than in the smallest"
assert (sharper > 1).all(), "the text says that decay raises the trace"
assert fall_high < 1, "the text says that the largest model's trace falls"
assert abs(errors[1] / errors[0] - 1) < 0.02, "the text says that rounding's relative error stays where it was"
put_all(
    n_probes=probes,
    trace_early=count_label(early[D]),
    trace_fall=np.exp(log_fall),
    trace_low=fall_low,
    trace_high=fall_high,
    rms_growth=sizes[1] / sizes[0],
    rtn_error=errors[1],
    n_sharper=len(sharper),
    sharper_lowest=sharper.min(),
    sharper_highest=sharper.max(),
)

# %% [markdown]
# ```{glue:figure} fig_curvature
# :name: fig-curvature
# :alt: Trace of the Hessian against training tokens, both axes logarithmic, one line for each size of the trunk. Each but the largest's rises, turns and falls slowly; the large models turn early and end low, the small ones turn late and end high. Hollow markers, the ends of cooldowns, lie above the lines of their sizes.
#
# Curvature rises and then falls while the learning rate is constant (in the largest model it only falls), and larger models end flatter. Decay makes the
# loss sharper: hollow markers are the ends of cooldowns. Bars: one standard error over {glue:text}`n_probes:d` random probes.
# ```
#
# From {glue:text}`trace_early:s` tokens to the end the trace of the largest model falls to {glue:text}`trace_fall:.2f` of what it was (95% interval
# over probes {glue:text}`trace_low:.2f` to {glue:text}`trace_high:.2f`), the stretch over which {doc}`chapter 1 <01-the-question>` saw its QiD rise.
# The two don't contradict each other. The root mean square of its median matrix grows {glue:text}`rms_growth:.1f` times meanwhile, and rounding to 3
# bits goes on moving weights by the same share of their size, {glue:text}`rtn_error:.3f` of a matrix's norm: the loss is flatter, and the weights are
# pushed further. In {numref}`fig-curvature` all {glue:text}`n_sharper:d` cooldowns end sharper than the trunk at the same tokens,
# {glue:text}`sharper_lowest:.2f` to {glue:text}`sharper_highest:.2f` times. A trace is a mean over directions; it is a description here, not yet an
# explanation of QiD.
#
# ## Can they be trusted?
#
# The pocket family, in `data/tadpole`, is the part of the study that comes with the book: {glue:text}`n_pocket:d` checkpoints, cut from the trunk at
# {glue:text}`pocket_models:d` widths and one depth, so that $N$ means width alone. One of them is not the trunk's: a *twin* of
# {glue:text}`twin_model:s` at step {glue:text}`twin_step:,d`, which read the same tokens while its learning rate fell to zero over the last fifth of
# them. Its loss is {glue:text}`twin_gain:.3f` lower ({glue:text}`twin_low:.3f` to {glue:text}`twin_high:.3f`, paired). Your machine rounds all of
# these in {doc}`chapter 4 <04-degradation>`. Before that, this page has checked them, just now:

# %% tags=["hide-input", "remove-stderr"]
# Every file against its manifest
pocket = read_manifest(Path("data/tadpole"))
files = [checkpoints.weight_files(Path(spec.location))[0] for spec in pocket]
right = [checkpoints.weights_sha256(Path(spec.location)) == spec.weights_sha256 for spec in pocket]
lock = corpus_lock.read_lock()

# Splits
evaluation = {(file.package, file.path) for file in lock.evaluation}
calibration = {(file.package, file.path) for file in lock.calibration}
contents = [{file.sha256 for file in split} for split in (lock.evaluation, lock.calibration)]

# One loss, measured again
widest = max(pocket, key=lambda spec: (spec.d_model, spec.step))
local = checkpoints.fetch(widest)
model = checkpoints.load(local, device)
tokenizer = checkpoints.tokenizer_of(local.folder)
blocks = token_blocks.heldout_blocks(lock.evaluation, tokenizer, n_sequences=128, seq_len=512)
again = evaluate.evaluate_model(model, blocks)

# %% tags=["remove-cell"]
stored = measured.query("method == 'none' and device_type == 'cuda'")
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
assert len({spec.n_layers for spec in pocket}) == 1, "the text says one depth"
assert len({spec.d_model for spec in pocket}) == len({spec.model for spec in pocket}), "and that the models are widths"
assert {spec.weights_sha256 for spec in pocket} <= set(trained["weights_sha256"]), (
    "the text says that they are the study's"
)
(twin,) = [spec for spec in pocket if spec.branched_from is not None]
assert (twin.model, twin.step) in {(spec.model, spec.step) for spec in pocket if spec is not twin}, "it has a twin"
of_twin = pairs[pairs["weights_sha256"] == twin.weights_sha256].iloc[0]
assert of_twin["gain"] > of_twin["half"], "the text says that the twin's loss is lower"
assert of_twin["learning_rate"] == 0
put_all(
    n_pocket=len(pocket),
    n_right=sum(right),
    pocket_models=len({spec.model for spec in pocket}),
    pocket_steps=len({spec.step for spec in pocket}),
    twin_model=twin.model,
    twin_step=twin.step,
    twin_gain=of_twin["gain"],
    twin_low=of_twin["gain"] - of_twin["half"],
    twin_high=of_twin["gain"] + of_twin["half"],
    pocket_megabytes=sum(path.stat().st_size for path in files) / 1e6,
    n_evaluation=len(evaluation),
    n_calibration=len(calibration),
    n_packages=len({package for package, _ in evaluation}),
    n_both=len(evaluation & calibration),
    n_wheels=len(lock.wheels),
    n_training_documents=lock.n_training_documents,
    training_megabytes=lock.n_training_bytes / 1e6,
    loss_here=again.loss_nats,
    comparison=comparison,
    checked_model=widest.model,
    checked_step=widest.step,
)

# %% tags=["remove-cell"]
last_common = trained.loc[trained["family"] == SEEDS, "step"].max()
same_rate = losses[(losses["step"] == last_common) & (losses["schedule"] == "constant")]
same_rate = same_rate[same_rate["family"].isin([TRUNK, SEEDS, DEPTH])]
seeded = same_rate.groupby("model").filter(lambda rows: rows["train_seed"].nunique() > 1)
assert same_rate["peak_learning_rate"].nunique() == 1
assert same_rate["weight_decay"].nunique() == 1
first_seed = same_rate[same_rate["train_seed"] == 0]
depths = [first_seed[abs(first_seed[N] / ours.loc[name, N] - 1) < 0.06] for name in both]
assert {len(rows) for rows in depths} == {3}, "the text compares a shallow and a deep model with one of the trunk"
put_all(
    seeded_models=" and ".join(sorted(seeded["model"].unique())),
    n_seeds=seeded.groupby("model")["train_seed"].nunique().min(),
    seeds_tokens=count_label(seeded[D].max()),
    seeds_spread=seeded.groupby("model")["loss_nats"].agg(np.ptp).max(),
    n_depth_sizes=len(depths),
    depth_tokens=count_label(first_seed[D].max()),
    depth_spread=max(np.ptp(rows["loss_nats"]) for rows in depths),
)

# %% [markdown]
# - **The weights are the ones that were measured.** {glue:text}`n_right:d` of {glue:text}`n_pocket:d` files ({glue:text}`pocket_models:d` models,
#   {glue:text}`pocket_steps:d` steps, 16 bits a weight, {glue:text}`pocket_megabytes:.1f` MB in all) have the SHA-256 that their manifest and the
#   study's tables give. A file that doesn't is refused.
# - **They do what the table says.** {glue:text}`checked_model:s` at step {glue:text}`checked_step:d`, loaded and scored here, has a loss of
#   {glue:text}`loss_here:.6f` nats per token. The table, from another machine, {glue:text}`comparison:s`.
# - **One tokenizer** for every tadpole, in one file, so that all losses have one unit.
# - **Splits that can't overlap.** {glue:text}`n_evaluation:d` files are for evaluation and {glue:text}`n_calibration:d` for calibration, from
#   {glue:text}`n_packages:d` packages in the case of evaluation. {glue:text}`n_both:d` are in both. Training left out all of them, and everything that
#   is nearly one of them.
# - **Text that anyone can get.** It is the Python code of {glue:text}`n_wheels:d` packages as published, each pinned by version and SHA-256, with its
#   licence, in `data/corpus.lock`. Without near-duplicates {glue:text}`n_training_documents:,d` files were left, {glue:text}`training_megabytes:.0f`
#   MB. None of that text is in the book's repository; the held-out files are read from the packages that the book needs anyway.
#
# ## What this does not show
#
# - **Few seeds.** {glue:text}`seeded_models:s` were trained from {glue:text}`n_seeds:d` seeds each; after {glue:text}`seeds_tokens:s` tokens the
#   losses of one size lie within {glue:text}`seeds_spread:.3f` nats of each other. Every other size was trained once, and no interval on this page knows by how much
#   another start or another order of the text would move it.
# - **Small models, code only.** A trend over tadpoles may bend before it reaches the sizes that people use, and on prose.
# - **Size is not quite alone.** Width alone changes among the pocket sizes; the larger sizes of the trunk are deeper as well. The family
#   `tadpole-depth` has other depths at {glue:text}`n_depth_sizes:d` sizes. There, after {glue:text}`depth_tokens:s` tokens, losses at nearly the same
#   $N$ differ by up to {glue:text}`depth_spread:.2f` nats.
# - **One learning rate isn't one treatment.** A rate that suits a small model may be high for a large one. Keeping it equal unties it from $N$; it
#   doesn't make every size equally well trained. Halved and doubled rates were tried in {glue:text}`other_peak_models:d` sizes, up to
#   {glue:text}`other_peak_tokens:s` tokens.
# - **Two ways to decay.** Straight to zero over a fifth, and a cosine to a tenth over the whole run. Others, and other shares, weren't trained.
# - **Text read again** is in every run beyond {glue:text}`unique_tokens:s` tokens, and no run with more text stands beside it.
#
# ## Exercises

# %% tags=["remove-cell"]
trunk_plan = next(plan for plan in plans if plan.family == TRUNK)
branched = next(run for run in trunk_plan.runs() if trunk_plan.branches(run))
cooldowns = trunk_plan.branches(branched)
pythia_step = 1000
exercise_run = next(run for run in pythia.runs if run.model == "pythia-1b-deduped")
put_all(
    ex_step=pythia_step,
    ex_batch=exercise_run.tokens_per_step,
    ex_tokens=count_label(pythia_step * exercise_run.tokens_per_step),
    ex_warmup=WARMUP_STEPS,
    ex_share=pythia.learning_rate(exercise_run, pythia_step) / exercise_run.peak_learning_rate,
    ex_cooldowns=len(cooldowns),
    ex_updates=sum(trunk_plan.n_updates(run) for run in cooldowns),
    ex_main=trunk_plan.n_updates(branched),
    ex_cost=sum(trunk_plan.n_updates(run) for run in cooldowns) / trunk_plan.n_updates(branched),
    ex_whole=sum(run.steps[-1] for run in cooldowns),
    ex_width=128,
    ex_layers=3,
    ex_matrices=3 * 12 * 128**2,
    ex_n=ours.loc["tadpole-128x3", N],
    ex_vocabulary=50304,
    ex_both=2 * 50304 * 128,
    ex_outweighs=2 * 50304 * 128 / ours.loc["tadpole-128x3", N],
)

# %% [markdown]
# **1.** How many tokens had Pythia seen at step {glue:text}`ex_step:,d`, with batches of {glue:text}`ex_batch:,d` tokens? Where was its learning rate?
#
# ```{admonition} Answer
# :class: dropdown
# {glue:text}`ex_tokens:s` tokens. The warm-up takes {glue:text}`ex_warmup:,d` steps, so the rate was still rising, at {glue:text}`ex_share:.0%` of
# its peak. QiD of such a checkpoint says little about the effect of tokens.
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
# Train at a constant rate, and from several checkpoints branch off a short run in which the rate falls to zero. Compare the ends of the branches with
# each other (tokens differ, decay is the same) and with the run they left (decay differs, tokens are the same, if it has checkpoints where they end).
# {cite:t}`catalan2025dynamics` did this, and so does the study: for one size its {glue:text}`ex_cooldowns:d` cooldowns take
# {glue:text}`ex_updates:,d` updates beside the {glue:text}`ex_main:,d` of the trunk, {glue:text}`ex_cost:.0%` more. Whole runs to the same ends would
# take {glue:text}`ex_whole:,d`.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* `checkpoints()` has a row for each checkpoint, with `tokens_seen` and `n_params_non_embedding`. How many
# tokens per parameter has the most thoroughly trained model of the family `tadpole-trunk` seen?

# %%
from helpers.teach.checking import check
from helpers.teach.data import checkpoints

answer = None  # D / N, no unit
check("3.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
trunk = checkpoints().query("family == 'tadpole-trunk'")
check("3.4", (trunk["tokens_seen"] / trunk["n_params_non_embedding"]).max())
