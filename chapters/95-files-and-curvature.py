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
# # The files are what they say, and decay makes the loss sharper
#
# *Are the checkpoints here the ones that were measured, and what is known of them before any rounding?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** While the learning rate is constant the trace of the largest model's Hessian falls to {glue:text}`trace_fall:.2f`
#   [{glue:text}`trace_low:.2f`, {glue:text}`trace_high:.2f`] of what it was (95%, over random probes); all {glue:text}`n_sharper:d` cooldowns
#   end sharper than the trunk.
# - **How sure.** {glue:text}`n_right:d` of {glue:text}`n_pocket:d` files have the hash that the tables give, checked while this page was made, and
#   one of them the stored loss. A trace is a mean over directions, from {glue:text}`n_probes:d` probes.
# - **Use it for.** Trusting that the rows are of these weights; {doc}`chapter 12 <12-why>` asks what curvature explains.
# ```
#
# {term}`Intervals <interval>` run over random probes, of losses over documents.

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

from helpers.analyse.rows.study import LATE_TOKENS, TRUNK, on_trunk, rows_of_every_run, study_rows
from helpers.show.claims import claim
from helpers.show.figures import qid
from helpers.show.figures.sizes import name_at_ends
from helpers.show.glue import put, put_all
from helpers.show.numbers.trust import checkpoints as numbers
from helpers.show.numbers.trust import curvature, pocket_files
from helpers.show.style import (
    INK,
    LOSS_LABEL,
    TOKENS_LABEL,
    count_label,
    count_scale,
    legend_beside,
    size_styles,
    use_house_style,
)
from helpers.table.families.catalogue import HUB_FAMILIES, read_manifest
from helpers.table.families.shapes.neox import neox_linear_shapes
from helpers.table.files import read_checkpoints, read_table

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here
from helpers.measure.models import checkpoints
from helpers.measure.scoring import evaluate
from helpers.measure.text import corpus_lock, token_blocks

use_house_style()
N, D = "n_params_non_embedding", "tokens_seen"

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
described = read_checkpoints("results/checkpoints.parquet").to_pandas()  # one row a checkpoint, averages of weights too
trained = described[described["n_averaged"] == 1]
trunk = trained[on_trunk(trained)]

# %% [markdown]
# ## What is known before rounding
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
name_at_ends([axes], styles)
put("fig_curvature", figure)
plt.close(figure)

# %% tags=["remove-cell"]
put_all(**curvature.numbers(trunk, ends_of_cooldowns))

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
# ## Are these the files?
#
# The pocket family, in `data/tadpole`, is the part of the study that comes with the book: {glue:text}`n_pocket:d` checkpoints, cut from the trunk at
# {glue:text}`pocket_models:d` widths and one depth, so that $N$ means width alone. One of them is not the trunk's: a *twin* of
# {glue:text}`twin_model:s` at step {glue:text}`twin_step:,d`, which read the same tokens while its learning rate fell to zero over the last fifth of
# them. Its loss is {glue:text}`twin_gain:.3f` lower ({glue:text}`twin_low:.3f` to {glue:text}`twin_high:.3f`, paired). {doc}`Chapter 4 <04-degradation>` has them rounded on this machine.
# Before that, this page checks them:

# %% tags=["hide-input", "remove-stderr"]
# Every file against its manifest
pocket = read_manifest(Path("data/tadpole"))
files = [checkpoints.weight_files(Path(spec.location))[0] for spec in pocket]
hashes = [checkpoints.weights_sha256(Path(spec.location)) for spec in pocket]
lock = corpus_lock.read_lock()

# Splits
evaluation = {(file.package, file.path) for file in lock.evaluation}
calibration = {(file.package, file.path) for file in lock.calibration}
contents = tuple({file.sha256 for file in split} for split in (lock.evaluation, lock.calibration))

# One loss, measured again
widest = max(pocket, key=lambda spec: (spec.d_model, spec.step))
local = checkpoints.fetch(widest)
model = checkpoints.load(local, device)
tokenizer = checkpoints.tokenizer_of(local.folder)
blocks = token_blocks.heldout_blocks(lock.evaluation, tokenizer, n_sequences=128, seq_len=512)
again = evaluate.evaluate_model(model, blocks)

# %% tags=["remove-cell"]
with safe_open(files[0], "pt") as weights:
    formats = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118 (not a mapping)
claim(formats == {"BF16"}, "16 bits a weight")
claim(len(list(Path("data/tadpole").rglob("tokenizer.json"))) == 1, "one tokenizer, in one file")
put_all(
    **pocket_files.of_files(pocket, hashes, sum(path.stat().st_size for path in files), trained),
    **pocket_files.of_twin(pocket, measured),
    **pocket_files.of_splits(evaluation, calibration, contents),
    **pocket_files.of_loss(widest, again.loss_nats, blocks.sha256, measured),
    n_wheels=len(lock.wheels),
    n_training_documents=lock.n_training_documents,
    training_megabytes=lock.n_training_bytes / 1e6,
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
# ## What decay does to the 16-bit loss
#
# The trunk never turns its learning rate down, and that costs it some loss. The branches show how much.

# %% tags=["hide-input"]
KINDS = {"cooldown": "#d55e00", "cosine": "#0072b2"}
losses = rows_of_every_run(measured).query("method == 'none' and n_averaged == 1")
baselines = study_rows(losses).sort_values([N, D])
size_of = baselines.groupby("model")[N].first()
both = [model for model, rows in losses.groupby("model") if {"cooldown", "cosine"} <= set(rows["schedule"])]
figure, panels = plt.subplots(1, len(both), figsize=(8.6, 4.0), squeeze=False)
for axes, model in zip(panels[0], sorted(both, key=lambda name: size_of[name]), strict=True):
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
    axes.set(title=f"N = {count_label(size_of[model])}", ylabel=LOSS_LABEL)
    count_scale(axes, "x", TOKENS_LABEL)
legend_beside(panels[0, -1], "learning rate")
put("fig_decay", figure)
plt.close(figure)

# %% tags=["remove-cell"]
put_all(**numbers.decay(numbers.beside_trunk(losses, baselines)))

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
# there a falling rate seems to take away more than it gives.
#
# Whole runs of decay show it too: only {glue:text}`n_cosines_lower:d` of the
# {glue:text}`n_cosines:d` cosines end clearly lower than the trunk, and the shortest one of {glue:text}`cosine_size:s` parameters, over
# {glue:text}`cosine_tokens:s` tokens, ends {glue:text}`cosine_loss:.3f` above it ({glue:text}`cosine_low:.3f` to {glue:text}`cosine_high:.3f`).
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
put_all(**numbers.public_accuracy(accuracy))

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
# ## Counting parameters
#
# How parameters are counted matters more for small models. The embedding turns tokens into vectors and the output head turns vectors into
# tokens; their size is width times vocabulary, however many layers there are between. The law counts the
# parameters *without* these two, and so does this book when it says $N$. What is rounded is less again: the matrices of the linear layers,
# without biases and normalization.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: parameters of each model, counted in four ways", "code_prompt_hide": "Table: parameters of each model, counted in four ways"} tables={"tab-parameters": "Parameters of each model, counted in four ways"}
public_runs = pd.DataFrame(map(dataclasses.asdict, HUB_FAMILIES["pythia-deduped"].checkpoints()))
public_runs = public_runs[public_runs["d_model"] >= 512]  # the suite of its paper
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
counted_alike = [recorded[name] == [every.loc[name, "rounded"]] for name in recorded.index]
claim(all(counted_alike), "the table counts what the rows say")
ours = every.loc[trunk["model"].unique()].sort_values(N)
put_all(**numbers.parameters(every, ours))

# %% [markdown]
# The Pythia models here are those trained on text without duplicates. The name of {glue:text}`pythia_small:s` counts everything; only
# {glue:text}`pythia_small_share:.0%` of it, {glue:text}`pythia_small_n:s`, is $N$. From the smallest tadpole to the largest $N$ grows
# {glue:text}`n_factor:.0f` times, but the count of all parameters only {glue:text}`total_factor:.0f` times. The same measurements, fitted with the
# other convention, would give an exponent of size {glue:text}`exponent_factor:.2f` times as large. Exponents from two papers can be compared only if
# both count alike.
#
# ## One row made again
#
# Can the rows of {doc}`chapter 12 <12-why>` be trusted? One of them is made again here, from the smallest pocket checkpoint whose
# predecessor came with the book too.

# %% tags=["hide-input", "remove-stderr"]
import itertools

import torch

from helpers.analyse.questions import mechanism
from helpers.measure.describing import curvature, weight_statistics
from helpers.measure.describing.checkpoint_rows import DEFAULT_SAMPLE, GROUP_SIZE
from helpers.measure.models import activations
from helpers.measure.models.decoders import decoder_of
from helpers.measure.models.precision import matrix_products
from helpers.show.figures import mechanism as mechanism_figures
from helpers.show.numbers.learn import accounts, why

known = mechanism.describe(described)
spec_of = {(spec.run, spec.step): spec for spec in pocket}
stored_rows = known[known["weights_sha256"].isin([spec.weights_sha256 for spec in pocket])]
has_previous = [(row.run, row.previous_step) in spec_of for row in stored_rows.itertuples()]
stored = stored_rows[has_previous].sort_values([N, "step"]).iloc[0]


def matrices_at(run, step):
    """Read the matrices of a pocket checkpoint, in the order of the table's lists."""
    spec = spec_of[run, step]
    names = stored_rows.loc[stored_rows["weights_sha256"] == spec.weights_sha256, "matrices"].iloc[0]
    with safe_open(checkpoints.weight_files(Path(spec.location))[0], "pt") as file:
        return [file.get_tensor(f"gpt_neox.layers.{name}.weight").float() for name in names]


sample = DEFAULT_SAMPLE
blocks = token_blocks.heldout_blocks(lock.evaluation, tokenizer, sample.heldout_sequences, sample.heldout_seq_len)
extent = sample.calib_sequences, sample.calib_seq_len, sample.calib_seed
calibration_tokens, calib_sha256 = token_blocks.calibration_tokens(lock.calibration, tokenizer, *extent)
decoder = decoder_of(checkpoints.load(checkpoints.fetch(spec_of[stored["run"], stored["step"]]), device))
weights, before = (matrices_at(stored["run"], stored[step]) for step in ("step", "previous_step"))
some = blocks.tokens[:: len(blocks.tokens) // sample.hessian_sequences]
some = some[: sample.hessian_sequences, : sample.hessian_seq_len + 1]
with matrix_products("float32"):
    generator = torch.Generator().manual_seed(sample.hessian_seed)
    trace = curvature.hessian_trace(decoder, some, sample.hessian_probes, generator)
    input_kurtosis = activations.input_outliers(decoder, calibration_tokens)[1]
changes = [weight_statistics.relative_distance(*pair).item() for pair in zip(weights, before, strict=True)]
rounding = [weight_statistics.rounding_error(weight, 3, GROUP_SIZE).item() for weight in weights]
tails = [weight_statistics.kurtosis(weight).item() for weight in weights]
here = {
    "trace of the Hessian (nats per squared weight)": (trace.total, stored["hessian_trace"]),
    "relative weight change (median matrix)": (np.median(changes), np.median(stored["weight_change"])),
    "relative rounding error, 3 bits (median matrix)": (np.median(rounding), np.median(stored["rtn_error_3_bits"])),
    "kurtosis of weights (median matrix)": (np.median(tails), np.median(stored["weight_kurtosis"])),
    "kurtosis of inputs (median matrix)": (np.median(input_kurtosis.tolist()), np.median(stored["input_kurtosis"])),
}
made_again = pd.DataFrame.from_dict(here, orient="index", columns=["made here", "stored"])

# %% tags=["remove-input"] tables={"tab-made-again": "One row of the table of checkpoints, made again"}
made_again.map("{:.4f}".format)

# %% tags=["remove-cell"]
same_text = blocks.sha256 == stored["eval_sha256"] and calib_sha256 == stored["calib_sha256"]
other_text = "not the same, because the packages installed here are not the locked ones"
farthest = (made_again["made here"] / made_again["stored"] - 1).abs().max()
claim(not same_text or farthest < 0.002, "the row comes back")
put_all(live_model=stored["model"], live_step=stored["step"], live_apart=100 * farthest)
put_all(trace_se=100 * stored["hessian_trace_se"] / stored["hessian_trace"])
put_all(live_text="the same" if same_text else other_text)

# %% [markdown]
# This is {glue:text}`live_model:s` at step {glue:text}`live_step:d`. The text read here is {glue:text}`live_text:s`; the largest
# relative difference between the two columns is {glue:text}`live_apart:.6f`%. The trace is an estimate (Hutchinson) with a standard error of
# {glue:text}`trace_se:.1f`%; it agrees better than that because both machines draw the same probes.
#
# ## A matter of the yardstick
#
# {doc}`Chapter 12 <12-why>` compares the change of weights between neighbouring checkpoints with the error of rounding. "Neighbouring" is a
# choice. Over twice the tokens weights move farther than over a quarter more, and over a fixed number of updates a late step is a small
# one. If $n$ stretches of one length lead $n^h$ of them away, $h$ = 0.5 is a random walk and $h$ = 1 a straight line. The pocket checkpoints
# say which: several stretches lie between them, and the table has the length of each.

# %% tags=["hide-input"]
at = known[on_trunk(known)].set_index(["run", "step"]).sort_index()
exponents, runs_walked = [], sorted({spec.run for spec in pocket if spec.branched_from is None})
for run in runs_walked:
    steps = sorted(step for name, step in spec_of if name == run and step >= 500)
    for start, end in itertools.pairwise(steps):
        legs = at.loc[run].loc[start + 1 : end]
        lengths = legs["change"].to_numpy() * at.loc[run].loc[legs["previous_step"].astype(int), "rms"].to_numpy()
        pairs = zip(matrices_at(run, start), matrices_at(run, end), strict=True)
        squares = torch.cat([(last - first).double().square().flatten() for first, last in pairs])
        exponents.append(mechanism.travel_exponent(squares.mean().sqrt().item(), lengths))

# %% tags=["remove-cell"]
moving = known[on_trunk(known) & (known[D] > LATE_TOKENS)]
put_all(**accounts.of_yardsticks(moving, exponents), n_travels=len(exponents), n_pocket_runs=len(runs_walked))
against = {
    "log_predicted_nats": "QiD predicted by curvature,\nover the twin's (factor)",
    "log_mean_input_kurtosis": "kurtosis of inputs,\nover the twin's (factor)",
}
beside = why.tables(described, measured).beside
put("fig_twins", mechanism_figures.runs_beside_twins(accounts.by_run(beside), against))
plt.close("all")

# %% [markdown]
# It is in between: $h$ = {glue:text}`exponent:.2f` on the mean of {glue:text}`n_travels:d` stretches of {glue:text}`n_pocket_runs:d`
# runs ({glue:text}`exponent_lowest:.2f` to {glue:text}`exponent_highest:.2f`). What follows extends that rule beyond where it was measured.
#
# - For each *doubling* of tokens the change is about {glue:text}`doubling:.1f` times that of a quarter more:
#   {glue:text}`doubling_lowest:.2f` or more, above the error even of 2 bits. On that yardstick no bit width is ever crossed.
# - In *updates*, rounding to 3 bits moves the weights about as far as the last {glue:text}`updates_first:.0f` updates did at step
#   {glue:text}`first_step:d` (a walk would say {glue:text}`updates_first_walk:.0f`, a straight line
#   {glue:text}`updates_first_line:.0f`), and as far as the last {glue:text}`updates_last:.0f` at step {glue:text}`last_step:d`
#   ({glue:text}`updates_last_walk:.0f` and {glue:text}`updates_last_line:.0f`). Over a fixed {glue:text}`fixed:d` updates, the spacing of the
#   first of these checkpoints, the change starts above the errors of 3 and 4 bits and ends below, in every size.
# - As a *share of training* that is {glue:text}`updates_first_share:.0f`% at first and {glue:text}`updates_last_share:.0f`% in the end.
#
# At a constant rate, then, shrinking movement comes from counting in updates. As a geometric fact it holds; as an explanation it lacks
# something, for the size of the step isn't what the step costs.
#
# ## More on what curvature explains
#
# More on {doc}`chapter 12 <12-why>`; intervals over training runs, a run with its branches.
#
# ```{glue:figure} fig_twins
# :name: fig-twins
# :alt: Ratio of QiD to that of a twin on the trunk in two panels, one marker a run, coloured by part of the study. Left, against the ratio predicted by curvature, points rise along the diagonal. Right, against the ratio of the inputs' kurtosis, they fall from upper left to lower right, with scatter.
#
# At equal size and tokens, runs that curvature says should lose more do so (left). Runs with heavier tails of inputs lose less, not more
# (right). RTN at 3 bits; each marker is a run, its mean over checkpoints; dashed: measured as predicted.
# ```
#
# ```{table} Slopes of ln QiD at 3 bits on what is known of a checkpoint, with their 95% intervals.
# :name: tab-slopes
#
# | slope in | method | beside | slope |
# |---|---|---|---|
# | ln trace | RTN | ln variance | {glue:text}`12-why.ipynb::rtn_pair_trace:.2f` [{glue:text}`12-why.ipynb::rtn_pair_trace_low:.2f`, {glue:text}`12-why.ipynb::rtn_pair_trace_high:.2f`] |
# | ln variance | RTN | ln trace | {glue:text}`12-why.ipynb::rtn_pair_variance:.2f` [{glue:text}`12-why.ipynb::rtn_pair_variance_low:.2f`, {glue:text}`12-why.ipynb::rtn_pair_variance_high:.2f`] |
# | ln trace | RTN | all five | {glue:text}`12-why.ipynb::rtn_all_trace:.2f` [{glue:text}`12-why.ipynb::rtn_all_trace_low:.2f`, {glue:text}`12-why.ipynb::rtn_all_trace_high:.2f`] |
# | ln variance | RTN | all five | {glue:text}`12-why.ipynb::rtn_all_variance:.2f` [{glue:text}`12-why.ipynb::rtn_all_variance_low:.2f`, {glue:text}`12-why.ipynb::rtn_all_variance_high:.2f`] |
# | loss, per nat | RTN | all five | {glue:text}`12-why.ipynb::rtn_all_loss:.2f` [{glue:text}`12-why.ipynb::rtn_all_loss_low:.2f`, {glue:text}`12-why.ipynb::rtn_all_loss_high:.2f`] |
# | ln N | RTN | all five | {glue:text}`12-why.ipynb::rtn_all_N:.2f` [{glue:text}`12-why.ipynb::rtn_all_N_low:.2f`, {glue:text}`12-why.ipynb::rtn_all_N_high:.2f`] |
# | ln predicted ratio to the twin | RTN | both kurtoses | {glue:text}`12-why.ipynb::rtn_twin_predicted:.2f` [{glue:text}`12-why.ipynb::rtn_twin_predicted_low:.2f`, {glue:text}`12-why.ipynb::rtn_twin_predicted_high:.2f`] |
# | ln predicted ratio to the twin | GPTQ | both kurtoses | {glue:text}`12-why.ipynb::gptq_twin_predicted:.2f` [{glue:text}`12-why.ipynb::gptq_twin_predicted_low:.2f`, {glue:text}`12-why.ipynb::gptq_twin_predicted_high:.2f`] |
# ```
#
# A slope of ln QiD on the predicted ratio below 1 says that runs differ less than the formula expects ({glue:text}`12-why.ipynb::twin_rows:d` rows,
# {glue:text}`12-why.ipynb::twin_clusters:d` groups). The kurtosis of weights correlates with it by {glue:text}`12-why.ipynb::r_weights:.2f` over runs. Where measured is set over
# predicted, on the trunk, RTN's ratio has slopes in ln N of {glue:text}`12-why.ipynb::rtn_3_size:.2f` [{glue:text}`12-why.ipynb::rtn_3_size_low:.2f`, {glue:text}`12-why.ipynb::rtn_3_size_high:.2f`] at 3 bits and {glue:text}`12-why.ipynb::rtn_4_size:.2f` [{glue:text}`12-why.ipynb::rtn_4_size_low:.2f`, {glue:text}`12-why.ipynb::rtn_4_size_high:.2f`] at 4; at 2 bits
# {glue:text}`12-why.ipynb::rtn_2_size:.2f` [{glue:text}`12-why.ipynb::rtn_2_size_low:.2f`, {glue:text}`12-why.ipynb::rtn_2_size_high:.2f`], and {glue:text}`12-why.ipynb::rtn_2_tokens:.2f` [{glue:text}`12-why.ipynb::rtn_2_tokens_low:.2f`, {glue:text}`12-why.ipynb::rtn_2_tokens_high:.2f`] in ln D.
#
# ```{table} Errors of ln QiD by GPTQ on rows held out of a fit (root mean square), by the law of curvature and by that of tokens per parameter.
# :name: tab-held
#
# | held out | runs | curvature | tokens per parameter | by how much curvature is behind | the same of KL |
# |---|---|---|---|---|---|
# | the largest size | 1 | {glue:text}`12-why.ipynb::held_curvature_largest:.3f` | {glue:text}`12-why.ipynb::held_per_largest:.3f` | | |
# | the last factor 4 of tokens | {glue:text}`12-why.ipynb::held_runs_last:d` | {glue:text}`12-why.ipynb::held_curvature_last:.3f` | {glue:text}`12-why.ipynb::held_per_last:.3f` | {glue:text}`12-why.ipynb::behind_qid_last:.3f` [{glue:text}`12-why.ipynb::behind_qid_last_low:.3f`, {glue:text}`12-why.ipynb::behind_qid_last_high:.3f`] | {glue:text}`12-why.ipynb::behind_kl_last:.3f` [{glue:text}`12-why.ipynb::behind_kl_last_low:.3f`, {glue:text}`12-why.ipynb::behind_kl_last_high:.3f`] |
# | larger and later | {glue:text}`12-why.ipynb::held_runs_both:d` | {glue:text}`12-why.ipynb::held_curvature_both:.3f` | {glue:text}`12-why.ipynb::held_per_both:.3f` | {glue:text}`12-why.ipynb::behind_qid_both:.3f` [{glue:text}`12-why.ipynb::behind_qid_both_low:.3f`, {glue:text}`12-why.ipynb::behind_qid_both_high:.3f`] | {glue:text}`12-why.ipynb::behind_kl_both:.3f` [{glue:text}`12-why.ipynb::behind_kl_both_low:.3f`, {glue:text}`12-why.ipynb::behind_kl_both_high:.3f`] |
# ```
#
# **The largest model's late climb isn't higher order.** If it were, it would go where errors are small. By GPTQ its KL over that of the next
# size goes from {glue:text}`12-why.ipynb::climb_4_first:.2f` to {glue:text}`12-why.ipynb::climb_4_last:.2f` at 4 bits, and from {glue:text}`12-why.ipynb::climb_8_first:.2f` to
# {glue:text}`12-why.ipynb::climb_8_last:.2f` at 8 bits, where the error is {glue:text}`12-why.ipynb::climb_smaller:.0f` times smaller; the formula says {glue:text}`12-why.ipynb::climb_said:.2f` at the
# end (single runs). That leaves the place and the direction of the error. At {glue:text}`12-why.ipynb::again_tokens:s` tokens two further runs of this size agree
# at both widths too: {glue:text}`12-why.ipynb::again_seed_4:.2f` and {glue:text}`12-why.ipynb::again_seed_8:.2f` from another seed, {glue:text}`12-why.ipynb::again_rate_4:.2f` and
# {glue:text}`12-why.ipynb::again_rate_8:.2f` at half the rate. They don't climb (trunk: {glue:text}`12-why.ipynb::again_trunk_4:.2f`, {glue:text}`12-why.ipynb::again_trunk_8:.2f`).
#
# **Outliers in the largest size.** A Hadamard rotation mixes the channels of the inputs, so that none stands out, and the loss in 16 bits stays
# as it is. In a run at the trunk's rate it takes {glue:text}`12-why.ipynb::rotation_seed_first:.0%` of GPTQ's KL at 4 bits away after {glue:text}`12-why.ipynb::rotation_from:s`
# tokens; at {glue:text}`12-why.ipynb::rotation_to:s` the largest kurtosis of its inputs is {glue:text}`12-why.ipynb::tail_seed:,.0f`. At half the rate that is
# {glue:text}`12-why.ipynb::tail_rate:,.0f`, and the rotation takes {glue:text}`12-why.ipynb::rotation_rate_low:.0%` to {glue:text}`12-why.ipynb::rotation_rate_high:.0%`. One run each: the rate makes
# the outliers, and they make part of what rounding costs.
#
# **Decay.** At the end of the {glue:text}`12-why.ipynb::decay_pairs:d` cooldowns of {glue:text}`12-why.ipynb::decay_sizes:d` sizes the trace is {glue:text}`12-why.ipynb::decay_trace:.2f` times the
# trunk's and the variance {glue:text}`12-why.ipynb::decay_variance:.2f` times; RTN's QiD at 3 bits was predicted to be {glue:text}`12-why.ipynb::decay_predicted:.2f` [{glue:text}`12-why.ipynb::decay_predicted_low:.2f`, {glue:text}`12-why.ipynb::decay_predicted_high:.2f`] times the trunk's; GPTQ's is {glue:text}`12-why.ipynb::decay_gptq:.2f` [{glue:text}`12-why.ipynb::decay_gptq_low:.2f`, {glue:text}`12-why.ipynb::decay_gptq_high:.2f`] times (over sizes). The movement fell to
# {glue:text}`12-why.ipynb::decay_change:.2f`. From one cooldown to the next measured and predicted ratios go together less closely (correlation
# {glue:text}`12-why.ipynb::decay_r:.2f` for RTN).
#
# **The quadratic rule.** KL is zero where both models agree and nowhere less, so its slope is zero there: with an error $e$ of the weights,
# $\mathrm{KL} \approx \frac{1}{2} e^\top F e$ with Fisher's information $F$. QiD has a first-order term too, the loss's gradient times $e$,
# of either sign: noise beside the square. A grid of $P$ bits has $2^P - 1$ steps, so that
#
# $$
# \mathrm{KL} \propto (2^P - 1)^{-2} .
# $$ (eq-quadratic-rule)
#
# A checkpoint's own KL at 4 bits tells its KL at 5, 6 and 8 within {glue:text}`12-why.ipynb::rule_rms:.1%` (rms of ln). From 4 to 8 bits the exponents of KL are
# {glue:text}`12-why.ipynb::rule_beta_low:.2f` to {glue:text}`12-why.ipynb::rule_beta_high:.2f` in tokens and {glue:text}`12-why.ipynb::rule_alpha_low:.3f` to {glue:text}`12-why.ipynb::rule_alpha_high:.3f` in size, nearly the
# same at each width ({glue:text}`12-why.ipynb::rule_rows:d` checkpoints).
#
# ```{table} KL over that of Gaussian noise of the same mean square in every matrix (factor, 95% over the three runs of the pocket family).
# :name: tab-noise
#
# | error | 3 bits | 4 bits | 8 bits |
# |---|---|---|---|
# | RTN | {glue:text}`12-why.ipynb::rtn_over_noise_3:.2f` [{glue:text}`12-why.ipynb::rtn_over_noise_3_low:.2f`, {glue:text}`12-why.ipynb::rtn_over_noise_3_high:.2f`] | {glue:text}`12-why.ipynb::rtn_over_noise_4:.2f` [{glue:text}`12-why.ipynb::rtn_over_noise_4_low:.2f`, {glue:text}`12-why.ipynb::rtn_over_noise_4_high:.2f`] | {glue:text}`12-why.ipynb::rtn_over_noise_8:.2f` [{glue:text}`12-why.ipynb::rtn_over_noise_8_low:.2f`, {glue:text}`12-why.ipynb::rtn_over_noise_8_high:.2f`] |
# | GPTQ | {glue:text}`12-why.ipynb::gptq_over_noise_3:.2f` [{glue:text}`12-why.ipynb::gptq_over_noise_3_low:.2f`, {glue:text}`12-why.ipynb::gptq_over_noise_3_high:.2f`] | {glue:text}`12-why.ipynb::gptq_over_noise_4:.2f` [{glue:text}`12-why.ipynb::gptq_over_noise_4_low:.2f`, {glue:text}`12-why.ipynb::gptq_over_noise_4_high:.2f`] | {glue:text}`12-why.ipynb::gptq_over_noise_8:.2f` [{glue:text}`12-why.ipynb::gptq_over_noise_8_low:.2f`, {glue:text}`12-why.ipynb::gptq_over_noise_8_high:.2f`] |
# | noise that spares loud inputs | {glue:text}`12-why.ipynb::sparing_over_noise_3:.2f` [{glue:text}`12-why.ipynb::sparing_over_noise_3_low:.2f`, {glue:text}`12-why.ipynb::sparing_over_noise_3_high:.2f`] | {glue:text}`12-why.ipynb::sparing_over_noise_4:.2f` [{glue:text}`12-why.ipynb::sparing_over_noise_4_low:.2f`, {glue:text}`12-why.ipynb::sparing_over_noise_4_high:.2f`] | {glue:text}`12-why.ipynb::sparing_over_noise_8:.2f` [{glue:text}`12-why.ipynb::sparing_over_noise_8_low:.2f`, {glue:text}`12-why.ipynb::sparing_over_noise_8_high:.2f`] |
# ```
#
# **Noise.** Half the trace times the noise's variance is within two standard errors of its KL (of the trace's probes and the draws) at
# {glue:text}`12-why.ipynb::noise_within:d` of {glue:text}`12-why.ipynb::noise_checkpoints:d` checkpoints at 8 bits. At 2 bits the factor is {glue:text}`12-why.ipynb::noise_coarse:.2f` [{glue:text}`12-why.ipynb::noise_coarse_low:.2f`, {glue:text}`12-why.ipynb::noise_coarse_high:.2f`]. The slope in
# ln tokens at 4 bits is {glue:text}`12-why.ipynb::gptq_beta:.2f` by GPTQ; that of RTN differs from the noise's by {glue:text}`12-why.ipynb::rtn_beta_more:.2f` [{glue:text}`12-why.ipynb::rtn_beta_more_low:.2f`, {glue:text}`12-why.ipynb::rtn_beta_more_high:.2f`] (over runs). In noise that
# spares loud inputs a channel below a tenth of its layer's root mean square counts as a tenth, so that no quiet channel takes up the noise.
# RTN's error differs from noise in its place within a matrix too: groups of small weights get less of it.
#
# In the larger runs (two moments, 4 bits) noise costs {glue:text}`12-why.ipynb::larger_formula:.2f` [{glue:text}`12-why.ipynb::larger_formula_low:.2f`, {glue:text}`12-why.ipynb::larger_formula_high:.2f`] times the formula's, GPTQ {glue:text}`12-why.ipynb::larger_gptq:.2f` [{glue:text}`12-why.ipynb::larger_gptq_low:.2f`, {glue:text}`12-why.ipynb::larger_gptq_high:.2f`] and noise that spares
# loud inputs {glue:text}`12-why.ipynb::larger_sparing:.2f` [{glue:text}`12-why.ipynb::larger_sparing_low:.2f`, {glue:text}`12-why.ipynb::larger_sparing_high:.2f`] times the noise's. The noise's slope in ln tokens is {glue:text}`12-why.ipynb::larger_beta:.2f` [{glue:text}`12-why.ipynb::larger_beta_low:.2f`, {glue:text}`12-why.ipynb::larger_beta_high:.2f`]; those of RTN and GPTQ differ from it
# by {glue:text}`12-why.ipynb::larger_rtn_more:.2f` [{glue:text}`12-why.ipynb::larger_rtn_more_low:.2f`, {glue:text}`12-why.ipynb::larger_rtn_more_high:.2f`] and {glue:text}`12-why.ipynb::larger_gptq_more:.2f` [{glue:text}`12-why.ipynb::larger_gptq_more_low:.2f`, {glue:text}`12-why.ipynb::larger_gptq_more_high:.2f`].
#
# ## What this does not show
#
# - **A cause.** A flatter loss goes with less QiD at equal error; nothing here changed the curvature alone.
# - **The larger checkpoints.** Only the pocket family's weights come with the book.
