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
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from safetensors import safe_open
from scipy import stats

from helpers.analyse.rows.study import LATE_TOKENS, TRUNK, on_trunk, rows_of_every_run, study_rows
from helpers.show.figures import qid
from helpers.show.glue import put, put_all
from helpers.show.numbers import checkpoints as numbers
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
from helpers.table.families.catalogue import read_manifest
from helpers.table.files import read_checkpoints, read_table
from helpers.table.paired_error import paired_error

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
baselines = rows_of_every_run(measured).query("method == 'none' and n_averaged == 1")
of_twin = baselines[baselines["weights_sha256"] == twin.weights_sha256].iloc[0]
of_trunk = baselines[on_trunk(baselines) & (baselines["model"] == twin.model) & (baselines["step"] == twin.step)].iloc[
    0
]
by_document = np.subtract(of_trunk["group_loss"], of_twin["group_loss"], dtype=float)
gain, half = by_document.mean(), stats.t(len(by_document) - 1).ppf(0.975) * paired_error(by_document)
assert gain > half, "the text says that the twin's loss is lower"
assert of_twin["learning_rate"] == 0
put_all(
    n_pocket=len(pocket),
    n_right=sum(right),
    pocket_models=len({spec.model for spec in pocket}),
    pocket_steps=len({spec.step for spec in pocket}),
    twin_model=twin.model,
    twin_step=twin.step,
    twin_gain=gain,
    twin_low=gain - half,
    twin_high=gain + half,
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
# ## What this does not show
#
# - **A cause.** A flatter loss goes with less QiD at equal error; nothing here changed the curvature alone.
# - **The larger checkpoints.** Only the pocket family's weights come with the book.
