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
# - **Finding.** The smallest shape takes {glue:text}`fast_seconds:.3f` s for one rounded and scored checkpoint in bfloat16 (one timing, no
#   interval).
# - **How sure.** Of {glue:text}`n_aimed:d` rows that have an aim {glue:text}`n_missed:d` miss it. Other devices weren't timed. In groups of
#   128 two other programs round as ours does; in shorter groups programs differ, and none is better everywhere.
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

engine, pocket = benchmarks.read("engine"), benchmarks.read("pocket_sweep")
peers = benchmarks.read_if_run("peers_cuda")
precision, crosscheck = benchmarks.read("precision"), benchmarks.read("crosscheck")


FORMATS = {"float32": "float32", "tfloat32": "TF32", "bfloat16": "bfloat16"}


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
# Random weights of the named shapes. *Seconds* are for one rounded checkpoint, from the loaded model to its loss; the 16-bit models are scored
# too, and that is counted in. *To round* is the part before scoring, *first* what the very first call takes, kernels compiled and all schemes
# together, *× peer* how many times faster than the best peer that did the same work on that device, *GiB* the most memory in use, *of peak*
# the time the matrix products would take at the rate of one large product of their own format, as a share of the time taken (empty where the
# rate was measured in another format than the products', which only a GPU can mend).

# %% tags=["hide-input"] tables={"tab-speed-gpu": "Sweeps on a GPU, with goals and the best peer"}
rows = engine.rows
kinds = ["hessian_dtype", "eval_dtype"]
main = rows[rows["whole_work"].astype(bool)]
as_text = {
    name: main[name].astype(float)
    for name in ("goal_seconds", "seconds_first_result", "ratio_to_best_peer", "share_of_matmul_peak")
}
table = pd.DataFrame(
    {
        "GPU": main["gpu"].str.split().str[1],
        "rounding": main["hessian_dtype"].map(FORMATS),
        "scoring": main["eval_dtype"].map(FORMATS),
        "seconds": main["seconds_per_quantized_checkpoint"].map("{:.3f}".format),
        "goal": as_text["goal_seconds"].map("{:g}".format),
        "to round": main["seconds_rounding"].map("{:.3f}".format),
        "first": as_text["seconds_first_result"].map("{:.1f}".format),
        "× peer": as_text["ratio_to_best_peer"].map("{:.1f}".format),
        "GiB": main["peak_memory_gib"].map("{:.1f}".format),
        "of peak": as_text["share_of_matmul_peak"].map("{:.0%}".format),
    }
).set_axis(main["work"].rename(None))
table.replace({"nan": "", "nan%": ""})

# %% tags=["remove-cell"]
fastest = main[main["work"] == "tadpole-14m"].set_index(kinds).loc[("bfloat16", "bfloat16")]

# the smallest shape with fewer checkpoints or less text, beside the row of the table in the same formats
smallest = rows[rows["work"] == "tadpole-14m"]
scaling = smallest.assign(
    total=smallest["seconds_per_quantized_checkpoint"] * smallest["n_checkpoints"],
    sequences=smallest["calibration"].str[0],
)
fewest = scaling.loc[scaling["n_checkpoints"].idxmin()]
halved = scaling.loc[scaling["sequences"].idxmin()]
whole = scaling[scaling["whole_work"].astype(bool)].set_index(kinds).loc[tuple(halved[kinds])]
assert tuple(fewest[kinds]) == tuple(halved[kinds])

((_, little),) = rows[~rows["whole_work"].astype(bool) & rows["declared_gib"].notna()].iterrows()
large = main[main["work"] == little["work"]].set_index(kinds).loc[tuple(little[kinds])]
aimed = main[main["goal_seconds"].notna()]
over = aimed["seconds_per_quantized_checkpoint"] / aimed["goal_seconds"].astype(float) - 1
put_all(
    engine_measured=engine.measured,
    fast_seconds=fastest["seconds_per_quantized_checkpoint"],
    fast_goal=fastest["goal_seconds"],
    many=int(whole["n_checkpoints"]),
    few=int(fewest["n_checkpoints"]),
    growth_checkpoints=whole["total"] / fewest["total"],
    growth_tokens=whole["total"] / halved["total"],
    growth_rounding=FORMATS[halved["hessian_dtype"]],
    growth_scoring=FORMATS[halved["eval_dtype"]],
    n_aimed=len(aimed),
    n_missed=int((over > 0).sum()),
    n_rows=len(main),
    n_no_share=int(main["share_of_matmul_peak"].isna().sum()),
    little_work=little["work"],
    little_formats=" and ".join(dict.fromkeys(FORMATS[kind] for kind in little[kinds])),
    little_seconds=little["seconds_per_quantized_checkpoint"],
    little_budget=little["declared_gib"],
    little_peak=little["peak_memory_gib"],
    large_seconds=large["seconds_per_quantized_checkpoint"],
    large_peak=large["peak_memory_gib"],
    pocket_measured=pocket.measured,
    precision_measured=precision.measured,
    crosscheck_measured=crosscheck.measured,
)

# %% [markdown]
# Last measured on {glue:text}`engine_measured:s`. {glue:text}`n_missed:d` of the {glue:text}`n_aimed:d` rows that have an aim miss it. The share
# of the peak is missing for {glue:text}`n_no_share:d` of {glue:text}`n_rows:d` rows: they were timed when float32's rate was that of one product in
# float32 and TF32's that of TF32, while these products are made of three in float16, and of one in GPT-NeoX's block.
#
# The smallest shape takes {glue:text}`fast_seconds:.3f` s where everything runs in bfloat16; the aim was {glue:text}`fast_goal:g` s. From
# {glue:text}`few:d` to {glue:text}`many:d` checkpoints at once the time grows {glue:text}`growth_checkpoints:.1f` times, and with twice the text
# {glue:text}`growth_tokens:.1f` times (rounding in {glue:text}`growth_rounding:s`, scoring in {glue:text}`growth_scoring:s`): it grows with the
# work, and less where a few checkpoints leave the GPU waiting.
#
# Memory is a budget, not a need: with {glue:text}`little_budget:.0f` GiB allowed beside the model {glue:text}`little_work:s`'s shape in
# {glue:text}`little_formats:s` peaks at {glue:text}`little_peak:.1f` GiB instead of {glue:text}`large_peak:.1f` and takes {glue:text}`little_seconds:.2f` s
# instead of {glue:text}`large_seconds:.2f`.
#
# ### The same work by other programs
#
# Each program gets the same stored weights, the same tokens and the same device, in a process of its own, one after another. A peer's
# *seconds* are what its user has to wait for one rounded checkpoint: it quantizes, saves, loads what it saved, and scores. Ours needs no file between.
# Loading the original, the start of the process and a warm-up on one block are left out for all. *Defaults* means that a program is told the bit width, the group
# size and the kind of grid, and nothing else; *tuned*, plain GPTQ in large batches that stay on the device.

# %% tags=["hide-input"] tables={"tab-speed-peers": "The same work by other programs: times and memory"}
STAGES = {"quantize": "quantize", "save": "save", "reload": "load again", "score": "score"}
if peers is None:
    compared = pd.DataFrame({"programs": ["not run yet: `python benchmarks/peers_cuda.py`"]})
else:
    by_program = peers.rows
    compared = pd.DataFrame(
        {"seconds": by_program["seconds_per_quantized_checkpoint"].astype(float).map("{:.2f}".format)}
        | {label: by_program[f"seconds_{stage}"].astype(float).map("{:.2f}".format) for stage, label in STAGES.items()}
        | {
            "GiB": by_program["peak_memory_gib"].astype(float).map("{:.1f}".format),
            "why not": by_program["reason"].fillna("").str.slice(0, 90),
        }
    ).replace({"nan": ""})
    compared.index = pd.MultiIndex.from_frame(by_program[["work", "program"]], names=[None, None])
compared

# %% tags=["hide-input"] tables={"tab-peers-told": "Versions of these programs, and what they were told"}
told = [] if peers is None else peers.rows[peers.rows["settings"].notna()].drop_duplicates("program").to_dict("records")
pd.DataFrame(
    {
        "version": ["" if each["program"] == "ours" else list(each["versions"].values())[-1] for each in told],
        "told": [", ".join(f"{name} {value}" for name, value in each["settings"].items()) for each in told],
    },
    index=[each["program"] for each in told],
)

# %% tags=["remove-cell"]
put("peers_measured", "no device yet" if peers is None else peers.measured)

# %% [markdown]
# Measured on {glue:text}`peers_measured:s`.
#
# ## Training on a GPU
#
# One update of {glue:text}`update_tokens:,d` tokens is captured once as a graph and replayed. Models of the trunk, random tokens:

# %% tags=["hide-input"] tables={"tab-speed-training": "Training on a GPU, models by width x layers"}
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

# %% tags=["hide-input"] tables={"tab-speed-assignments": "Assignments of bits scored in a minute"}
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
# The sweep of {doc}`chapter 4 <04-degradation>`, start of the process and imports counted in, beside auto-gptq and GPTQModel with a plain evaluation.

# %% tags=["hide-input"] tables={"tab-speed-cpu": "The sweep of chapter 4 on two processor cores"}
cpu = pocket.rows
pd.DataFrame(
    {
        "seconds": cpu["seconds"].map(lambda seconds: "not run" if pd.isna(seconds) else f"{seconds:.0f}"),
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

# %% tags=["hide-input"] tables={"tab-formats": "How far coarser number formats move QiD, median in nats per token"}
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

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: QiD of four programs", "code_prompt_hide": "Table: QiD of four programs"} tables={"tab-four-programs": "QiD by our solver, and by how much three other programs differ"}
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
# - Peers' seconds on works that they were not run on: a ratio is left open rather than carried over.
# - Random weights cost the same time as trained ones here; where trained ones need more damping, they cost a little more.
#
# ## Exercises
#
# **1.** Eight variants of one model are rounded side by side in one pass. Which work is then done once instead of eight times, and which
# isn't saved?
#
# ```{admonition} Answer
# :class: dropdown
# Loading the model, reading the calibration text and the 16-bit pass are done once. Each variant still has its own products, since its
# layers see inputs that its own rounded layers made; side by side they fill the device, they don't become fewer.
# ```
#
# **2.** A program takes twice the time of ours on one work. Is it half as fast?
#
# ```{admonition} Answer
# :class: dropdown
# On that work, that device and those formats. The table has several works because ratios differ between them: fixed costs weigh on small
# models, memory on large ones. And a program that does more (another order of columns, files written) isn't slower at the same thing.
# ```
#
# **3.** Why is the very first call timed apart from the others?
#
# ```{admonition} Answer
# :class: dropdown
# It compiles kernels and fills caches. Who rounds one model pays it once and should see it; who rounds a thousand should not see it a
# thousand times. One mean over both would describe neither.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* GPTQ keeps the second moments of a layer's inputs: a square matrix in float32, one for each variant. How much
# memory do they take?

# %%
from helpers.teach.checking import check

n_inputs, n_variants = 14336, 4  # of the widest layer of a model of 8B parameters
answer = None  # GiB
check("90.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
check("90.4", n_variants * n_inputs**2 * 4 / 2**30)
