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
# # Models in which tokens and learning rate come apart
#
# *Which models, at which moments of their training, and what must be known about each?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** In this study size, tokens, peak learning rate and its decay vary nearly independently: the condition number
#   is {glue:text}`condition_study:.2f`, where one is perfect. In the public Pythia checkpoints it is
#   {glue:text}`condition_pythia:.0f`.
# - **How sure.** It follows from the training plans, so it has no error. But most sizes were trained once, with Python code
#   only, and the text was read up to {glue:text}`epochs:.1f` times.
# - **Use it for.** Knowing what a row of the tables says, before believing a trend in it.
# ```
#
# A **checkpoint** is a copy of a model's weights, put aside during training. A {term}`family` is a set of models that differ in size and, if
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

from helpers.analyse.rows.counts import count
from helpers.analyse.rows.design import design_of
from helpers.analyse.rows.study import (
    FITTED_BITS,
    HELDOUT,
    LATE_TOKENS,
    RATES,
    TRUNK,
    UNSEEN,
    on_trunk,
    rows_of_every_run,
    study_rows,
)
from helpers.show.claims import claim
from helpers.show.figures import qid
from helpers.show.figures.sizes import name_at_ends
from helpers.show.glue import put, put_all
from helpers.show.numbers.trust import checkpoints as numbers
from helpers.show.study_table import outstanding, study_table
from helpers.show.style import (
    PALE,
    TOKENS_LABEL,
    count_label,
    count_scale,
    size_styles,
    use_house_style,
)
from helpers.table.families.catalogue import HUB_FAMILIES
from helpers.table.families.pythia import WARMUP_STEPS
from helpers.table.files import read_checkpoints, read_table

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here
from helpers.measure.training.plan import read_plan

use_house_style()
N, D = "n_params_non_embedding", "tokens_seen"
KINDS = {"constant": "#1f2328", "cooldown": "#d55e00", "cosine": "#0072b2"}


# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
described = read_checkpoints("results/checkpoints.parquet").to_pandas()  # one row a checkpoint, averages of weights too
trained = described[described["n_averaged"] == 1]
trunk = trained[on_trunk(trained)]
ours = trunk.drop_duplicates("model").set_index("model")
pythia = HUB_FAMILIES["pythia-deduped"]
public_runs = pd.DataFrame(map(dataclasses.asdict, pythia.checkpoints()))
public_runs = public_runs[public_runs["d_model"] >= 512]  # the suite of its paper; 14M and 31M are later

# %% [markdown]
# ## What a row must say
#
# Five things belong to every checkpoint, and every row of the book's tables carries them.
#
# - **Run**: which training it is from, with its seed; if it branched off another run, from where.
# - **Step**: the number of updates of the weights so far. It says where one is in a run.
# - **Tokens seen** $D$: the step times the tokens in a batch, repetitions counted. The law of QiD is about $D$. Beside it stands how
#   many times the text was read, in passes.
# - **Learning rate** at that step, and its share of the peak. If it moves with $D$, one can't separate the two.
# - **Size** $N$: the number of parameters without embedding and output head, as the law counts ({doc}`appendix D <95-files-and-curvature>` has
#   other ways to count, and what they change).
#
# ## The tadpoles
#
# Pythia {cite:p}`biderman2023pythia`, the family of the QiD law, wasn't made to answer what depends on tokens and what on the
# learning rate. So this project trained models of its own, the *tadpoles*, in Pythia's architecture. The *trunk* is one run of
# each of {glue:text}`n_tadpoles:d` sizes. Everything else moves one thing that the trunk holds fixed.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: the parts of the study", "code_prompt_hide": "Table: the parts of the study"} tables={"tab-study": "The parts of the study"}
study_table(described)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: what the tables hold", "code_prompt_hide": "Table: what the tables hold"} tables={"tab-contents": "What the tables hold"}
counts = count(measured, described)
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
plans = [plan for plan in plans if plan.unique_tokens is None]  # those on a part of the text are appendix A's
planned = pd.DataFrame(
    {"family": plan.family, "run": run.name, "step": step}
    for plan in plans
    for start in plan.runs()
    for run in (start, *plan.branches(start))
    for step in run.steps
)
fixed_by_plan = {(p.batch_sequences, p.seq_len, p.warmup_steps, p.betas, p.clip_norm) for p in plans}
table = study_table(described)
claim(table["training runs"].sum() == counts.training_runs, "both tables count the same runs")
claim(table.drop(index="averages")["checkpoints"].sum() == counts.trained_checkpoints, "and the same checkpoints")
claim(len(fixed_by_plan) == 1, "batches and optimizer are the same in every run")
put_all(**numbers.held_fixed(trained, trunk), **numbers.of_mixed(trained))
put_all(
    n_quantized=counts.quantized_checkpoints,
    ouyang_checkpoints=1500,  # more than; abstract of the paper
    outstanding=outstanding(planned, trained),
    late_tokens=count_label(LATE_TOKENS),
    n_warmup=plans[0].warmup_steps,
    n_moments=described["n_averaged"].max(),
)

# %% [markdown]
# A *quantized checkpoint* is a checkpoint under one way of rounding, as {cite:t}`ouyang2025lowbit` count theirs: there are
# {glue:text}`n_quantized:,d` here and more than {glue:text}`ouyang_checkpoints:d` in the paper; other texts and draws don't count.
#
# {glue:text}`outstanding:s` {glue:text}`mixed_runs:d` runs, {glue:text}`mixed_cooldowns:d` of them cooldowns, are of `tadpole-mixed`, for
# chapters 13 to 16; a chapter that counts fewer runs leaves them out.
#
# **Held fixed, in every run:** the architecture, the tokenizer with its {glue:text}`vocabulary:,d` entries, the training text, batches of
# {glue:text}`tokens_per_step:,d` tokens, the optimizer, and a warm-up of {glue:text}`n_warmup:d` steps. The order of the batches depends on the training seed
# alone, so runs of one seed read the same batches in the same order, whatever their size.
#
# **Held fixed in the trunk, and moved beside it, one at a time:** the peak learning rate, {glue:text}`tadpole_rate:g` for every size; its decay, of
# which the trunk has none; the weight decay, {glue:text}`weight_decay:g`; the number of layers at a given size; the seed. A {term}`cooldown` goes on from a
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
put_all(**numbers.curves(baselines))

# %% [markdown]
# ```{glue:figure} fig_loss
# :name: fig-loss
# :alt: 16-bit loss in nats per token against training tokens on a logarithmic axis, one line for each size of the trunk. All fall from the first to the last checkpoint, steeply up to about a hundred million tokens and slowly after; larger models lie lower throughout.
#
# The loss of every size of the trunk falls from each checkpoint to the next, and at every moment a larger one is better.
# ```
#
# {numref}`fig-loss` holds {glue:text}`n_baselines:d` checkpoints in 16 bits, on {glue:text}`n_documents:d` held-out documents. None has
# finished learning: after {glue:text}`before_last:s` tokens they still gain at least {glue:text}`still_lowest:.3f` nats.
#
# At the end the largest model has a loss of {glue:text}`loss_largest:.3f` nats per token [{glue:text}`loss_low:.3f`,
# {glue:text}`loss_high:.3f`] (95%, over documents). The smallest has {glue:text}`gap:.3f` more [{glue:text}`gap_low:.3f`,
# {glue:text}`gap_high:.3f`] (paired).
#
# A loss per token needs its tokenizer named. Ours is a byte-level BPE, small so that the embeddings don't outweigh the models. Its
# tokens are {glue:text}`bytes_per_token:.2f` bytes long on average, so its nats per token are not those of other papers. In bits
# per byte the largest model is at {glue:text}`bits_per_byte:.3f`. And the trunk pays for its constant rate: nearly every cooldown ends
# below it at the same tokens ({doc}`appendix D <95-files-and-curvature>`).
#
# ## The text, and reading it again

# %% tags=["remove-cell"]
for text in (HELDOUT, UNSEEN):
    still = study_rows(measured, text).query("method == 'none'")
    claim(numbers.always_falling(still), "loss keeps falling on both texts")
put_all(**numbers.text_read(trained, trunk))

# %% [markdown]
# The training text holds {glue:text}`unique_tokens:s` tokens. Beyond, it is read again, each pass in an order of its own, up to
# {glue:text}`epochs:.2f` times in all: {glue:text}`n_beyond:d` of {glue:text}`n_trained:d` trained checkpoints have read some of it
# more than once.
#
# On held-out files, and on packages that training never saw, the loss of every size still falls from each checkpoint to the next. The
# book's main fits begin beyond {glue:text}`late_tokens:s` tokens and use all {glue:text}`most_passes:d` passes. A token that is read
# again may still not be worth a new one.
#
# ## What moves with what
#
# In Pythia the learning rate falls along a cosine to a tenth of its peak, and the peak was chosen by size. In the tadpoles it was
# moved on purpose.

# %% tags=["hide-input"]
runs = public_runs[public_runs[D] > 0]
both = [model for model, rows in losses.groupby("model") if {"cooldown", "cosine"} <= set(rows["schedule"])]
by_family = {plan.family.removeprefix("tadpole-"): plan for plan in plans}
drawn = [
    run
    for plan in (by_family["trunk"], by_family["rates"], by_family["cosine"])
    for start in plan.runs()
    for run in (start, *plan.branches(start))
    if run.model.name == both[0]
]
figure, (of_pythia, of_tadpoles) = plt.subplots(1, 2, figsize=(8.6, 3.9))
sizes = size_styles(runs[N])
for size, style in sizes.items():
    run = runs[runs[N] == size]
    of_pythia.plot(run[D], run["learning_rate"], color=style["color"], label=style["label"])
labelled = set()
for run in drawn:
    first = run.warmup_steps if run.schedule == "cosine" else run.branched_at_step or 1
    steps = np.unique(np.geomspace(first, run.steps[-1], 400).round().astype(int))
    of_trunk_rate = run.peak_learning_rate == trunk["peak_learning_rate"].iloc[0]
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
name_at_ends([of_pythia], sizes)
of_tadpoles.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
put("fig_rates", figure)
plt.close(figure)

# %% tags=["remove-cell"]
CUT = 98_000  # the last step in the fit of Ouyang et al.
at_cut = {run.model: pythia.learning_rate(run, CUT) / run.peak_learning_rate for run in pythia.runs}
peak = trunk["peak_learning_rate"].iloc[0]
claim({r.learning_rate(r.steps[-1]) / r.peak_learning_rate for r in by_family["cosine"].runs()} == {0.1}, "to a tenth")
claim(by_family["trunk"].cooldowns.share == 1 / 5, "cooldowns take the last fifth of the tokens")
claim(set(trained.loc[trained["family"] == RATES, "peak_learning_rate"] / peak) == {0.5, 2.0}, "halved and doubled")
put_all(**numbers.public_rates(runs), cut=CUT, pythia_lr_at_cut=at_cut["pythia-160m-deduped"])

# %% [markdown]
# ```{glue:figure} fig_rates
# :name: fig-rates
# :alt: Two panels of learning rate against training tokens on a logarithmic axis. On the left each Pythia model rises to its own peak and falls along a cosine, larger models lower throughout. On the right the tadpoles' constant rate rises and stays flat; dashed lines run at half and twice its height, cosines leave it at the end of warm-up and fall to a tenth, and cooldowns fall from it to zero at four moments.
#
# In Pythia a later checkpoint or a larger model means a lower learning rate. The tadpoles' is constant in the trunk, the same for
# every size; beside it stand other peaks, cosines and cooldowns.
# ```
#
# Two ties show in Pythia ({numref}`fig-rates`). At step {glue:text}`cut:,d`, the last one in the fit of {cite:t}`ouyang2025lowbit`, the
# rate is down to {glue:text}`pythia_lr_at_cut:.0%` of its peak. And over the sizes of that fit the peak falls {glue:text}`peak_factor:.0f`
# times while $N$ grows {glue:text}`peak_sizes:.0f` times. An exponent fitted to such a family holds part of an effect of the learning rate:
# the objection of {cite:t}`catalan2025dynamics`, which no fit to these checkpoints alone can answer.
#
# How strong are the ties? Take the checkpoints after warm-up and four variables: $\ln N,$ $\ln D,$ the logarithm of the peak rate, and the
# *phase*, the rate's share of its peak, each scaled to a standard deviation of 1. The **condition number** of that table is its
# largest singular value over its smallest: 1 if all four are uncorrelated, infinite if one doesn't vary or follows from the others.
# The **rank** says how many can be distinguished at all.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: how independent the variables are", "code_prompt_hide": "Table: how independent the variables are"} tables={"tab-independent": "How independent the variables of each family are"}
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
put_all(**numbers.design(*designs.values(), trained, peak))

# %% [markdown]
# In Pythia all four vary, but so nearly together that the condition number is {glue:text}`condition_pythia:.0f`. The trunk has rank
# {glue:text}`rank_trunk:d`, for it moves $N$ and $D$ alone. The whole study tells all four apart, with a condition number of
# {glue:text}`condition_study:.2f`.
#
# That doesn't say how precise an estimate will be: of the {glue:text}`n_after_warmup:d` checkpoints {glue:text}`n_other_peak:d` have
# another peak, in {glue:text}`other_peak_models:d` sizes, and {glue:text}`n_decaying:d` were made while the rate fell. Curvature and
# outliers of each checkpoint, and whether the files are what they say, are in {doc}`appendix D <95-files-and-curvature>`.

# %% tags=["remove-cell"]
put_all(**numbers.seeds_and_depths(losses, [ours.loc[name, N] for name in both]))

# %% [markdown]
# ## What this does not show
#
# - **Few seeds.** {glue:text}`seeded_models:s` were trained from {glue:text}`n_seeds:d` seeds each; after {glue:text}`seeds_tokens:s`
#   tokens their losses lie within {glue:text}`seeds_spread:.3f` nats of each other. Every other size was trained once.
# - **Small models, code only.** A trend over tadpoles may bend before it reaches the sizes that people use, and on prose.
# - **Size is not quite alone.** Width alone changes among the pocket sizes; the larger sizes of the trunk are deeper as well. The family
#   `tadpole-depth` has other depths at {glue:text}`n_depth_sizes:d` sizes. There, after {glue:text}`depth_tokens:s` tokens, losses at nearly the same
#   $N$ differ by up to {glue:text}`depth_spread:.2f` nats.
# - **One learning rate isn't one treatment.** A rate that suits a small model may be high for a large one. Halved and doubled rates were
#   tried in {glue:text}`other_peak_models:d` sizes, up to {glue:text}`other_peak_tokens:s` tokens.
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
# {glue:text}`ex_width:d` and compare them with its $N$. What would its embedding and head weigh with Pythia's vocabulary of {glue:text}`ex_vocabulary:,d`?
#
# ```{admonition} Answer
# :class: dropdown
# {glue:text}`ex_matrices:,d` weights, of $N$ = {glue:text}`ex_n:,d`; the rest are biases and normalization. Embedding and head would take
# {glue:text}`ex_both:,d`, which is {glue:text}`ex_outweighs:.0f` times $N$. Hence the small vocabulary.
# ```
#
# **3.** Sketch a training plan in which $D$ and the learning rate can be distinguished *and* the models are finished with decay. What does it cost?
#
# ```{admonition} Answer
# :class: dropdown
# Train at a constant rate, and from several checkpoints branch off a short run in which the rate falls to zero. Compare the ends of the branches with
# each other (tokens differ, decay is the same) and with the run they left (decay differs, tokens are the same, if it has checkpoints where they end).
# {cite:t}`catalan2025dynamics` did this, and so does the study: for one size its {glue:text}`ex_cooldowns:d` cooldowns take
# {glue:text}`ex_updates:,d` updates, {glue:text}`ex_cost:.0%` more than the trunk alone. Whole runs to the same ends would
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
