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
# # Speed: many models are rounded side by side
#
# *How long does it take to round and score a checkpoint, how much memory, and would another program have found the same?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** The smallest shape takes {glue:text}`fast_seconds:.3f` s for one rounded and scored checkpoint in bfloat16,
#   {glue:text}`fast_ratio:.0f` times faster than the fastest other program (single timings, no interval).
# - **How sure.** {glue:text}`n_missed:d` of {glue:text}`n_rows:d` rows miss the aims that were set. The other programs were
#   timed on another day. In groups of 128 two of them round as ours does; in shorter groups programs differ, and none is better
#   everywhere.
# - **Use it for.** Estimating what a sweep will cost, and knowing that a number here isn't one program's own.
# ```
#
# The figures of this page are not measured while the book is built: they are read from the files that the commands in
# `benchmarks/` last wrote. Each table says where and when.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from helpers.show import benchmarks
from helpers.show.glue import put, put_all
from helpers.table.families import catalogue

engine, pocket = benchmarks.read("engine"), benchmarks.read("pocket_sweep")
precision, crosscheck = benchmarks.read("precision"), benchmarks.read("crosscheck")


FORMATS = {"float32": "float32", "tfloat32": "TF32", "bfloat16": "bfloat16"}
# Seconds to round the shape of tadpole-14m with llm-compressor (bfloat16, H200): from notes, by default and as tuned
PEER_DEFAULTS, PEER_TUNED = 3.33, 0.36
LARGEST_AGAIN = 7.99  # seconds of pythia-1b, rounded in TF32, in another run of the day of its rows: from notes


# %% [markdown]
# ## How it is fast
#
# A *variant* is one checkpoint under one scheme. Variants of one shape lie side by side in one tensor and go through every block
# together: one pass of the calibration text, in which each linear layer is rounded the moment its inputs are there and then
# computes its outputs with the rounded weights. The Hessians of all variants, their Cholesky factors and GPTQ's loop over columns are
# batched; scoring pushes the 16-bit model and all its rounded versions through side by side, so that divergence and agreement
# come at the price of reading the logits. On a GPU the loop over columns is one kernel, and what lies between the matrix products of
# a GPT-NeoX block is four.
#
# ## On a GPU
#
# Random weights of the named shapes, at 2, 3 and 4 bits. *Seconds* are for one rounded checkpoint, from the loaded model to its
# loss; the 16-bit models are scored too, and that is counted in. *To round* is the part before scoring, *× peer* how many times faster than the
# best peer, *GiB* the most memory in use, *of peak* the share of what one large matrix product reaches.

# %% tags=["hide-input"]
rows = engine.rows.copy()
rows["model"] = rows["work"].str.split(":").str[0]
main = rows[rows["ratio_to_best_peer"].notna()]
one_format = main["hessian_dtype"] == main["eval_dtype"]
table = pd.DataFrame(
    {
        "GPU": main["gpu"].str.split().str[1],
        "rounding": main["hessian_dtype"].map(FORMATS),
        "scoring": main["eval_dtype"].map(FORMATS),
        "seconds": main["seconds_per_quantized_checkpoint"].map("{:.3f}".format),
        "goal": main["goal_seconds"].map("{:g}".format),
        "to round": main["seconds_rounding"].map("{:.3f}".format),
        "× peer": main["ratio_to_best_peer"].map("{:.1f}".format),
        "GiB": main["peak_memory_gib"].map("{:.1f}".format),
        "of peak": main["share_of_matmul_peak"].map("{:.0%}".format).where(one_format, ""),
    }
).set_axis(main["model"].rename(None))
table

# %% tags=["remove-cell"]
kinds = ["hessian_dtype", "eval_dtype"]
fastest = main[main["model"] == "tadpole-14m"].set_index(kinds).loc[("bfloat16", "bfloat16")]

# the smallest shape with fewer checkpoints or less text, beside the row of the table in the same formats
sizes = rows["work"].str.extract(r": (?P<checkpoints>\d+) checkpoints .* bits, \((?P<sequences>\d+)").astype(int)
scaling = rows[rows["model"] == "tadpole-14m"].join(sizes)
scaling["total"] = scaling["seconds_per_quantized_checkpoint"] * scaling["checkpoints"]
fewest = scaling.loc[scaling["checkpoints"].idxmin()]
halved = scaling.loc[scaling["sequences"].idxmin()]
whole = scaling[scaling["ratio_to_best_peer"].notna()].set_index(kinds).loc[tuple(halved[kinds])]
assert tuple(fewest[kinds]) == tuple(halved[kinds])

largest = main[main["model"] == "pythia-1b"].set_index(kinds)
in_tf32, in_bfloat16 = (largest.loc[(rounding, "bfloat16")] for rounding in ("tfloat32", "bfloat16"))
((_, little),) = rows[(rows["model"] == "pythia-1b") & rows["ratio_to_best_peer"].isna()].iterrows()
assert tuple(little[kinds]) == ("bfloat16", "bfloat16"), "the text compares it with all in bfloat16"
over = main["seconds_per_quantized_checkpoint"] / main["goal_seconds"] - 1
assert (over[main["model"] == "pythia-1b"] > 0).all(), "the text says that both miss their aim"
assert in_tf32["goal_seconds"] > LARGEST_AGAIN, "and that another run met it"
assert little["peak_memory_gib"] > 16, "the text says that a card of 16 GiB would be too small"
assert largest[["date", "commit"]].drop_duplicates().shape[0] == 1, "the text gives one day and commit"
(described,) = catalogue.checkpoints("pythia", ["pythia-1b"], [0], "90-speed")
put_all(
    engine_measured=engine.measured,
    fast_seconds=fastest["seconds_per_quantized_checkpoint"],
    fast_goal=fastest["goal_seconds"],
    fast_ratio=fastest["ratio_to_best_peer"],
    many=int(whole["checkpoints"]),
    few=int(fewest["checkpoints"]),
    growth_checkpoints=whole["total"] / fewest["total"],
    growth_tokens=whole["total"] / halved["total"],
    growth_rounding=FORMATS[halved["hessian_dtype"]],
    growth_scoring=FORMATS[halved["eval_dtype"]],
    n_rows=len(main),
    n_missed=int((over > 0).sum()),
    missed_most=over.max(),
    largest_measured=f"{in_tf32['date']}, commit {in_tf32['commit'][:7]}",
    largest_tf32=in_tf32["seconds_per_quantized_checkpoint"],
    largest_tf32_goal=in_tf32["goal_seconds"],
    largest_again=LARGEST_AGAIN,
    largest_bf16=in_bfloat16["seconds_per_quantized_checkpoint"],
    largest_bf16_goal=in_bfloat16["goal_seconds"],
    largest_peak=in_bfloat16["peak_memory_gib"],
    little_seconds=little["seconds_per_quantized_checkpoint"],
    little_budget=little["memory_budget_gib"],
    little_peak=little["peak_memory_gib"],
    two_copies=2 * 2 * described.n_params_total / 2**30,
    first_call=main["seconds_first_call_beside"].max(),
    peer_defaults=PEER_DEFAULTS,
    peer_tuned=PEER_TUNED,
    peer_times=PEER_DEFAULTS / PEER_TUNED,
    pocket_measured=pocket.measured,
    precision_measured=precision.measured,
    crosscheck_measured=crosscheck.measured,
)

# %% [markdown]
# Measured on {glue:text}`engine_measured:s`; pythia-1b's shape on {glue:text}`largest_measured:s`. {glue:text}`n_missed:d` of the
# {glue:text}`n_rows:d` rows miss their aim, by up to {glue:text}`missed_most:.0%`. The peer is llm-compressor 0.14, the fastest of three, told to work in large batches on the GPU with
# TF32 (batch 64 or 8, `sequential_offload_device="cuda"`), timed on an H200 before; its time for pythia-1b is extrapolated from
# pythia-410m's. That timing left no file, and nothing here repeats it; its notes give {glue:text}`peer_defaults:.2f` s to round the smallest
# shape with the library's defaults and {glue:text}`peer_tuned:.2f` s as tuned: {glue:text}`peer_times:.0f` times as long. The last column is left open where two formats are mixed: each has
# a peak of its own.
#
# The smallest shape takes {glue:text}`fast_seconds:.3f` s where everything runs in bfloat16, {glue:text}`fast_ratio:.1f` times faster than the
# peer; the aim was {glue:text}`fast_goal:g` s. From {glue:text}`few:d` to {glue:text}`many:d` checkpoints at once the time grows
# {glue:text}`growth_checkpoints:.1f` times, and with twice the text {glue:text}`growth_tokens:.1f` times (rounding in
# {glue:text}`growth_rounding:s`, scoring in {glue:text}`growth_scoring:s`): it grows with the work, and less where a few checkpoints leave
# the GPU waiting. Compiling kernels costs up to {glue:text}`first_call:.1f` s, once a process, and isn't counted.
#
# pythia-1b's shape takes {glue:text}`largest_tf32:.2f` s where it is rounded in TF32 (aim: {glue:text}`largest_tf32_goal:g`; another run of that
# day took {glue:text}`largest_again:.2f`), and {glue:text}`largest_bf16:.2f` s all in bfloat16 (aim: {glue:text}`largest_bf16_goal:g`). Memory is a budget,
# not a need: with {glue:text}`little_budget:.0f` GiB allowed beside the model the latter peaks at {glue:text}`little_peak:.1f` GiB instead of
# {glue:text}`largest_peak:.1f` and takes {glue:text}`little_seconds:.2f` s. A card of 16 GiB would still be too small, though two copies of the model in 16
# bits are only {glue:text}`two_copies:.1f` GiB.
#
# ## Training on a GPU
#
# One update of {glue:text}`update_tokens:,d` tokens is captured once as a graph and replayed. Models of the trunk, random tokens:

# %% tags=["hide-input"]
learned = benchmarks.read("training")
pd.DataFrame(
    {
        "tokens a second": (learned.rows["tokens_per_second"] / 1e6).map("{:.1f}M".format),
        "milliseconds an update": (1e3 * learned.rows["seconds_per_update"]).map("{:.0f}".format),
        "seconds of the first": learned.rows["seconds_first_update"].map("{:.0f}".format),
        "share of matmul peak": learned.rows["share_of_matmul_peak"].map("{:.0%}".format),
        "peak GiB": learned.rows["peak_memory_gib"].map("{:.1f}".format),
    }
).set_axis(learned.rows["work"].str.split(":").str[0].str.removeprefix("tadpole-").str.replace("x", " x ").rename(None))

# %% tags=["remove-cell"]
update_tokens = (learned.rows["tokens_per_second"] * learned.rows["seconds_per_update"]).round().astype(int)
assert update_tokens.nunique() == 1, "the text gives one number of tokens"
put_all(training_measured=learned.measured, update_tokens=int(update_tokens.iloc[0]))

# %% [markdown]
# Measured on {glue:text}`training_measured:s`. Small models are bound by the many small steps between their matrix products, not by the products:
# from the smallest to the largest the share of the measured peak rises from {glue:text}`lowest_share:.0%` to {glue:text}`highest_share:.0%`.
#
# ## Which matrices go low: assignments a minute
#
# A search of {doc}`chapter 13 <13-how-much-can-go-low>` swaps rounded matrices into a model and scores it, again and again. The engine scores many
# assignments as one batch. Beside it is a plain loop: one changed copy of the model after another, through its own forward pass, for the loss alone; the
# engine also gives KL divergence, agreement and accuracy.

# %% tags=["hide-input"]
swapped = {device: benchmarks.read(f"mixed_{device}") for device in ("cuda", "cpu")}
assigned = pd.concat([each.rows for each in swapped.values()], ignore_index=True)
pd.DataFrame(
    {
        "device": assigned["device"],
        "assignments a minute": assigned["assignments_per_minute"].map("{:,.0f}".format),
        "goal": assigned["goal"].map("{:,.0f}".format),
        "times the plain loop": assigned["ratio_to_plain_loop"].map("{:.1f}".format),
    }
).set_axis(assigned["work"].rename(None))

# %% tags=["remove-cell"]
assert (assigned["assignments_per_minute"] >= assigned["goal"]).all(), "the text says that the goals are met"
on_cpu = swapped["cpu"].rows["ratio_to_plain_loop"]
assert (on_cpu < 1).all(), "the text says that the loop is faster on a processor"
assert learned.rows["share_of_matmul_peak"].is_monotonic_increasing, "the text says that the share rises with size"
put_all(
    lowest_share=learned.rows["share_of_matmul_peak"].min(),
    highest_share=learned.rows["share_of_matmul_peak"].max(),
    swapped_on_cuda=swapped["cuda"].measured,
    swapped_on_cpu=swapped["cpu"].measured,
    loop_on_cpu=1 / on_cpu.min(),
)

# %% [markdown]
# Measured on {glue:text}`swapped_on_cuda:s`, and on {glue:text}`swapped_on_cpu:s`. The goals are met. On a processor a batch saves nothing and the
# loop, which computes less, is up to {glue:text}`loop_on_cpu:.1f` times faster.
#
# ## On two processor cores
#
# The sweep of {doc}`chapter 4 <04-degradation>`, start of the process and imports counted in, beside auto-gptq with a plain evaluation.

# %% tags=["hide-input"]
cpu = pocket.rows
pd.DataFrame(
    {
        "seconds": cpu["seconds"].map("{:.0f}".format),
        "goal": cpu["goal_seconds"].map(lambda goal: "" if pd.isna(goal) else f"{goal:g}"),
        "times the peer": cpu["ratio_to_best_peer"].map(lambda ratio: "" if pd.isna(ratio) else f"{ratio:.1f}"),
        "peak GiB": cpu["peak_memory_gib"].map(lambda peak: "" if pd.isna(peak) else f"{peak:.2f}"),
    }
).set_axis(cpu["work"].rename(None))

# %% [markdown]
# Measured on {glue:text}`pocket_measured:s`, with the pocket family of that day.
#
# ## What a coarser number format does to QiD
#
# A sweep may calibrate or score in TF32 or bfloat16 instead of float32. The format is part of a row's identity. Whether it
# may be used is a question of size: another draw of calibration text moves QiD as well, and a format that moves it
# less adds nothing that matters.

# %% tags=["hide-input"]
moved = precision.rows
columns = {
    "rounding_in_tfloat32": "rounding in TF32",
    "rounding_in_bfloat16": "rounding in bfloat16",
    "scoring_in_tfloat32": "scoring in TF32",
    "scoring_in_bfloat16": "scoring in bfloat16",
}
bits = moved["work"].str.extract(r"(\d) bits")[0].astype(int).rename("bits")
summary = pd.DataFrame({"QiD": moved["qid_nats"], "another seed": moved["between_two_seeds"]})
for name, label in columns.items():
    summary[label] = moved[name].abs()
summary.groupby(bits).median().map("{:.1e}".format).rename(lambda b: f"{b} bits").rename_axis(index=None)

# %% tags=["remove-cell"]
below = {name: int((moved[name].abs() < moved["between_two_seeds"]).sum()) for name in columns}
put_all(**({f"below_{name}": count for name, count in below.items()} | {"n_moved": len(moved)}))
for name in ("scoring_in_tfloat32", "scoring_in_bfloat16"):
    put(f"largest_{name}", moved[name].abs().max())

# %% [markdown]
# Medians over {glue:text}`n_moved:d` trained checkpoints and bit widths (an earlier family of the same shapes), in nats per token; *another seed* is the mean difference between
# two of three draws of calibration text. Measured on {glue:text}`precision_measured:s`. The format moved QiD less than another
# seed does in {glue:text}`below_rounding_in_tfloat32:d` of {glue:text}`n_moved:d` cases for rounding in TF32,
# {glue:text}`below_rounding_in_bfloat16:d` for rounding in bfloat16, {glue:text}`below_scoring_in_tfloat32:d` for scoring in TF32 (at most
# {glue:text}`largest_scoring_in_tfloat32:.0e` nats) and {glue:text}`below_scoring_in_bfloat16:d` for scoring in bfloat16 (at most
# {glue:text}`largest_scoring_in_bfloat16:.0e`). Rounding is chaotic: a code that flips moves all after it, whatever made it flip, so even two exact
# solvers differ by about as much.
#
# ## The same algorithm in four programs
#
# QiD of the last checkpoints of three small tadpoles and of a 14M one (384 x 8), all of an earlier family of the same shapes, by our GPTQ and by three
# other programs, told to do the same: columns in their given order, damping of 0.01, the same calibration text, each layer calibrated on what
# the rounded ones before it put out. All were scored by our evaluation in float32. Group 128 divides only the widths 128 and 384; the larger model was
# rounded with nothing else, because each program takes minutes.

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Table: QiD of four programs", "code_prompt_hide": "Table: QiD of four programs"}
programs = crosscheck.rows.copy()
names = programs["model"].str.split("/").str[0].str.replace("tadpole-", "").str.replace("x", " x ")
programs["model"] = pd.Categorical(names, names.unique())
programs["cell"] = np.where(
    programs["library"] == "ours",
    programs["qid_nats"].map("{:.4f}".format),
    programs["difference_nats"].map("{:+.4f}".format) + programs["paired_error_nats"].map(" ± {:.4f}".format),
)
order = list(dict.fromkeys(programs["library"]))
wide = programs.pivot(index=["model", "group_size", "bits"], columns="library", values="cell")[order]
wide.replace("-", "−", regex=True).rename_axis(columns=None).rename_axis(index={"group_size": "group"})

# %% tags=["remove-cell"]
others = programs[programs["library"] != "ours"]
at_128 = others[others["group_size"] == 128].set_index("model")
told_alike = at_128["library"].str.contains("auto-gptq|GPTQModel")
small, large = (at_128[told_alike].loc[model] for model in ("128 x 3", "384 x 8"))
fitted_once = at_128[~told_alike].loc["384 x 8"]
at_32 = others[others["group_size"] == 32]
beyond = at_32["difference_nats"].abs() > 2 * at_32["paired_error_nats"]
put_all(
    small_difference=small["difference_nats"].abs().max(),
    large_difference=large["difference_nats"].abs().max(),
    large_in_errors=(large["difference_nats"].abs() / large["paired_error_nats"]).max(),
    n_large_higher=int((large["difference_nats"] > 0).sum()),
    n_large=len(large),
    large_equal=100 * large["first_layer_equal"].min(),
    once_equal=100 * fitted_once["first_layer_equal"].mean(),
    n_beyond=int(beyond.sum()),
    n_compared=len(at_32),
    n_lower=int((at_32["difference_nats"] < 0).sum()),
)

# %% [markdown]
# The first column is our QiD in nats per token, the others what has to be added to it, with its paired error. Measured on
# {glue:text}`crosscheck_measured:s`.
#
# - At group 128 auto-gptq and GPTQModel round as we do. On 128 x 3 their QiD is ours within {glue:text}`small_difference:.0e` nats; on 384 x 8 it
#   differs by up to {glue:text}`large_difference:.4f` nats, at most {glue:text}`large_in_errors:.1f` paired errors, and
#   {glue:text}`n_large_higher:d` of {glue:text}`n_large:d` times upwards. There, too, at least {glue:text}`large_equal:.2f`% of the first layer's
#   weights are the same; but a code that falls on the other side changes what every later layer is calibrated on, and flips spread: rounding is chaotic.
# - llm-compressor fits all grids once, to the weights as they were. A row of 128 columns is one group, and the same in all programs; a row of 384 is
#   three, and {glue:text}`once_equal:.0f`% of the first layer's weights are the same.
# - At group 32 auto-gptq and GPTQModel fit a group's grid inside a block of 128 columns before the errors of that block have been spread; ours fits each grid to the
#   weights as corrected up to its first column. In
#   {glue:text}`n_beyond:d` of {glue:text}`n_compared:d` cases, all three programs counted, the difference is more than two of its errors, and {glue:text}`n_lower:d` times the other
#   program comes out lower: neither way is better everywhere.
# - GPTQModel stores scales in float16: where no code flips, that moves QiD in the fifth decimal.
#
# ## What this does not show
#
# - Other GPUs, other shapes: ask `python benchmarks/engine.py` on yours.
# - The peers' times were taken on another day, on a machine of the same kind.
# - Random weights cost the same time as trained ones here; where trained ones need more damping, they cost a little more.
