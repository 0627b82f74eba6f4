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
# # Larger models can go lower, at equal tokens
#
# *Which share of a model can be rounded to few bits before it loses too much, and is that share larger in larger models?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** At equal tokens ten times the size adds {glue:text}`gain_matmul_mean:.2f` [{glue:text}`gain_matmul_low:.2f`,
#   {glue:text}`gain_matmul_high:.2f`] to the share of the parameters that can be in low precision (MXINT with 4 bits,
#   {glue:text}`budget:.0%` more perplexity, 95% over training runs).
# - **How sure.** {glue:text}`mix_runs:d` runs, one a size, {glue:text}`mix_smallest:s` to {glue:text}`mix_largest:s`
#   parameters at {glue:text}`mix_tokens:s` tokens. At equal tokens *per parameter* the share falls with size. No speed was
#   measured.
# - **Use it for.** Searching with measured costs of single matrices instead of random draws; and for knowing which matrices to
#   keep.
# ```
#
# So far every matrix of a model was rounded in the same way. But not all of them mind it equally. {cite:t}`cao2024mixed` leave
# the matrices that mind most in 16 bits, round the rest to four, and ask how much of the model the rest can be. Their answer is
# that the share grows with size: the larger the model, the more of it can go low at the same loss. This chapter explains how such
# a share is found, and tests the answer on models of which we know everything. {term}`Intervals <interval>` run over training runs,
# one a size.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.compute as pc

from helpers.analyse.mixed.largest_ratio import RECIPES, largest_ratios
from helpers.analyse.mixed.largest_ratio_hold_outs import LAWS, predicted, scores
from helpers.analyse.mixed.largest_ratio_law import CAO_2024_LAWS, fits_by_question
from helpers.analyse.mixed.searches import (
    best_of_random,
    chosen_on_less,
    excess,
    random_excess,
    regrets,
    searches_compared,
)
from helpers.analyse.mixed.trials import (
    MATRICES,
    recipes,
    relative_sensitivities,
    scheme_names,
    sensitivities,
    swapped_and_rounded,
    with_metrics,
)
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import MIXED
from helpers.show.figures import mixed
from helpers.show.glue import put, put_all
from helpers.show.style import count_label, use_house_style
from helpers.table.files import read_table, read_trials

use_house_style()
MAIN = "MXINT 4 bits, inputs too"
SCHEMES = [MAIN, "MXFP 4 bits", "GPTQ 2 bits", "GPTQ 3 bits", "GPTQ 4 bits"]
STEP = 1907  # the last one that every size has
SEQUENCES = 64  # of the search's text
BUDGET = 0.1  # of relative perplexity, where one has to stand for all
METRIC = "relative_perplexity"
GRANULARITIES = {"layer": "block by block", "matmul": "matrix by matrix"}
KINDS = dict(zip(MATRICES, ("qkv", "output", "up", "down"), strict=True))
NAMES = {"random_equal": "random, as many trials", "random_shared": "random, as many for all targets"}
NAMES |= {"random_all": "random, all trials", "greedy": "greedy", "second_order": "second order"}
NAMES |= {"integer_programme": "integer programme"}


def put_row(name, row):
    put_all(**{f"{name}_{part}": row[part] for part in ("mean", "low", "high")})


# %% [markdown]
# ## Definitions
#
# The **quantization ratio** of an assignment is the share of the parameters that it puts in low precision,
#
# $$
# Q_r = \frac{\text{parameters in low precision}}{\text{parameters of the blocks' linear layers}},
# $$ (eq-ratio)
#
# with no unit. What it costs is judged by a *metric*: the relative rise of the perplexity, $e^{q} - 1$ with $q$ the QiD in
# nats per token; or $q$ itself; or the loss of top-1 accuracy. A *budget* is the most that a metric may be. The **largest
# ratio** within the budget is our quantity. Parts are assigned *block by block*, or *matrix by matrix*.
#
# Main low scheme, after the paper: weights and the inputs of rounded matrices in MXINT with four bits, where
# {glue:text}`mix_group:d` neighbours share a power of two. Beside it stand four schemes that round weights only, one to nearest
# (MXFP) and three by GPTQ. For each checkpoint, scheme and granularity a search tries many assignments on
# {glue:text}`mix_sequences:d` sequences that neither training nor calibration has seen. Such a *trial* is cheap: each matrix is
# rounded once, by itself, and swapped in. For each target ratio the best assignment found becomes a {term}`recipe`: the model is rounded
# again block after block, as it would be for use, and scored on held-out text. Searching picks what looks best on the search's
# text; the held-out text doesn't know of that choice, so largest ratios are read off recipes, unless we say otherwise.
#
# The models: {glue:text}`mix_runs:d` training runs at a constant rate, one a size, from {glue:text}`mix_smallest:s` to
# {glue:text}`mix_largest:s` parameters. Each has up to {glue:text}`mix_depths:d` checkpoints. This chapter compares sizes at
# {glue:text}`mix_tokens:s` tokens, the most that every size has: {glue:text}`mix_most_read:,.0f` tokens per parameter for the
# smallest and {glue:text}`mix_least_read:.1f` for the largest. {doc}`Chapter 15 <15-ratio-against-training>` is about the other checkpoints.
# {glue:text}`mix_trials:,d` trials and {glue:text}`mix_recipes:,d` recipes were scored, but intervals count training runs.

# %% tags=["hide-input"]
trials = with_metrics(read_trials(Path("results/trials.parquet")).to_pandas())
trials["scheme"] = scheme_names(trials)
of_schemes = trials[trials["scheme"].isin(SCHEMES) & (trials["schedule"] == "constant")]
every = of_schemes[of_schemes["n_sequences"] == SEQUENCES]
searched = every[every["step"] == STEP]
measured = read_table("results/measurements.parquet").filter(pc.field("family") == MIXED).to_pandas()
held_out = swapped_and_rounded(every, recipes(measured))
held_out["scheme"] = scheme_names(held_out)
here = held_out[held_out["step"] == STEP]

# %% tags=["remove-cell"]
put_all(mix_group=int(searched.loc[searched["scheme"] == MAIN, "group_size"].iloc[0]), mix_sequences=SEQUENCES)
put_all(mix_runs=every["run_label"].nunique(), mix_depths=int(every.groupby("model")["step"].nunique().max()))
put_all(mix_smallest=count_label(every[N_PARAMS].min()), mix_largest=count_label(every[N_PARAMS].max()))
put("mix_tokens", count_label(searched[TOKENS_SEEN].iloc[0]))
read_each = searched[TOKENS_SEEN] / searched[N_PARAMS]
put_all(mix_most_read=read_each.max(), mix_least_read=read_each.min())
put_all(mix_trials=len(every), mix_recipes=len(held_out.drop_duplicates("measurement_id")))
assert searched["run_label"].nunique() == every["run_label"].nunique()

# %% [markdown]
# ## Two layers, four assignments
#
# The smallest models have three blocks. Keep the last one in 16 bits and look at the other two: there are four assignments.

# %% tags=["hide-input"]
of_blocks = searched[(searched["scheme"] == MAIN) & (searched["granularity"] == "layer")]
example = of_blocks[(of_blocks["model"] == "tadpole-128x3") & (of_blocks["search"] == "exhaustive")]
two = example[example["assignment"].str.endswith("0")].sort_values("assignment")

# %% tags=["hide-input"]
shown = two.assign(blocks=two["assignment"].str[:: len(MATRICES)].str[:2].map(lambda digits: ", ".join(digits)))
shown = shown.set_index("blocks")[["quantized_ratio", "loss_nats", "qid_nats", METRIC]].astype(float).round(4)
shown.columns = ["Qr", "loss (nats)", "QiD (nats)", "perplexity, relative rise"]
shown.rename_axis("low: first, second block")

# %% tags=["remove-cell"]
second, first, both = two["qid_nats"].iloc[1:]  # 01, 10, 11
put_all(pair_first=first, pair_second=second, pair_both=both, pair_over=both / (first + second))
put("pair_size", count_label(example[N_PARAMS].iloc[0]))
put("fig_assignments", mixed.all_assignments(example))
plt.close("all")

# %% [markdown]
# The first block alone costs {glue:text}`pair_first:.4f` nats, the second alone {glue:text}`pair_second:.4f`, both together
# {glue:text}`pair_both:.4f`: {glue:text}`pair_over:.2f` times the sum of the two. If costs added up exactly, no search would be
# needed: one would measure each part alone and solve a knapsack problem. That is one of the searches below.
#
# ```{glue:figure} fig_assignments
# :name: fig-assignments
# :alt: QiD against the quantization ratio for the eight assignments of a model of three blocks, each point labelled by three digits. Points stand in four columns at zero, one third, two thirds and one; in each column one filled point is lowest, and a line joins these.
#
# All eight assignments of the model with {glue:text}`pair_size:s` parameters; a digit a block, 1 is low. Filled and joined: no
# other assignment has as much in low precision for as little. A search looks for these points where there are too many to try.
# ```
#
# ## What minds rounding
#
# Each matrix alone in low precision: what it costs, as a share of the sum of all such costs, over its share of the parameters.
# One means that a matrix costs what its size says.

# %% tags=["hide-input"]
alone = relative_sensitivities(sensitivities(searched[searched["granularity"] == "matmul"]))
of_main = alone[alone["scheme"] == MAIN].sort_values(N_PARAMS)
of_main["title"] = of_main[N_PARAMS].map(count_label)
logs = of_main.assign(log=np.log(of_main["relative"]))
minds = {
    label: mean_over_runs(logs[logs["matrix"] == name].groupby("run_label")["log"].mean())
    for name, label in KINDS.items()
}
last_block = logs["block"] == logs["n_layers"] - 1
ends = {"first": logs["block"] == 0, "last": last_block}
minds |= {label: mean_over_runs(logs[place].groupby("run_label")["log"].mean()) for label, place in ends.items()}
of_gptq = alone[alone["scheme"].isin(["GPTQ 2 bits", "GPTQ 3 bits"]) & alone["matrix"].isin(MATRICES[:2])]
of_gptq = of_gptq.assign(log=np.log(of_gptq["relative"]))  # missing where a matrix costs nothing
for (bits, name), rows in of_gptq.groupby(["bits", "matrix"]):
    minds[f"{KINDS[name]}_gptq_{bits:.0f}"] = mean_over_runs(rows.groupby("run_label")["log"].mean())

# %% tags=["remove-cell"]
for label, found in minds.items():
    put_row(f"minds_{label}", {part: np.exp(found[part]) for part in ("mean", "low", "high")})
of_largest = of_main.loc[of_main[N_PARAMS] == of_main[N_PARAMS].max(), "relative"]
put_all(minds_most=of_largest.max(), minds_least=of_largest.min())
put("minds_free", int(of_gptq["relative"].isna().sum()))
for bits in (2, 3):
    output, qkv = minds[f"output_gptq_{bits}"], minds[f"qkv_gptq_{bits}"]
    assert output["mean"] > max(qkv["mean"], 0), "the text says: attention's output"
    assert output["low"] > 0, "and more than its size says"
assert of_main["relative"].notna().all(), "every matrix costs something alone"
assert minds["qkv"]["low"] > 0 > minds["up"]["high"], "the text says: attention more, the MLP less than its size"
assert minds["down"]["high"] < 0 < minds["output"]["high"], "the text says: attention's output can't be told from one"
assert minds["output"]["low"] < 0
assert minds["last"]["low"] < 0 < minds["last"]["high"]
assert minds["first"]["high"] < 0
maps = of_main[of_main["model"].isin(["tadpole-128x3", "tadpole-256x4", "tadpole-320x6", "tadpole-512x12"])]
put("fig_minds", mixed.sensitivity_maps(maps))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_minds
# :name: fig-minds
# :alt: Heat maps of four models, a row for each kind of matrix and a column for each block. The upper rows, of attention, are mostly orange, above one; the lower rows, of the MLP, mostly violet, below one. The first block is an exception in several rows, and in the largest model single cells reach both ends of the scale.
#
# Orange minds more than its size says, violet less; titles are sizes. Attention's matrices mind most, here in MXINT, inputs too. In
# the largest model the factors go from {glue:text}`minds_least:.2f` to {glue:text}`minds_most:.1f`.
# ```
#
# Over all models (geometric means with 95% intervals over training runs) the factor is {glue:text}`minds_qkv_mean:.2f`
# [{glue:text}`minds_qkv_low:.2f`, {glue:text}`minds_qkv_high:.2f`] for the matrix of queries, keys and values,
# {glue:text}`minds_output_mean:.2f` [{glue:text}`minds_output_low:.2f`, {glue:text}`minds_output_high:.2f`] for attention's output,
# {glue:text}`minds_up_mean:.2f` [{glue:text}`minds_up_low:.2f`, {glue:text}`minds_up_high:.2f`] and
# {glue:text}`minds_down_mean:.2f` [{glue:text}`minds_down_low:.2f`, {glue:text}`minds_down_high:.2f`] for the two matrices of the MLP.
# In the first block it is {glue:text}`minds_first_mean:.2f` [{glue:text}`minds_first_low:.2f`,
# {glue:text}`minds_first_high:.2f`], in the last {glue:text}`minds_last_mean:.2f` [{glue:text}`minds_last_low:.2f`,
# {glue:text}`minds_last_high:.2f`]. So with inputs rounded too, what is worth 16 bits first is the matrix of queries, keys and values,
# and not the first block. The factors of attention's output and of the last block can't be distinguished from one.
#
# **Where weights alone are rounded it is attention's output.** For GPTQ at 2 and 3 bits that has the factors
# {glue:text}`minds_output_gptq_2_mean:.2f` [{glue:text}`minds_output_gptq_2_low:.2f`, {glue:text}`minds_output_gptq_2_high:.2f`] and
# {glue:text}`minds_output_gptq_3_mean:.2f` [{glue:text}`minds_output_gptq_3_low:.2f`, {glue:text}`minds_output_gptq_3_high:.2f`], the
# matrix of queries, keys and values {glue:text}`minds_qkv_gptq_2_mean:.2f` [{glue:text}`minds_qkv_gptq_2_low:.2f`,
# {glue:text}`minds_qkv_gptq_2_high:.2f`] and {glue:text}`minds_qkv_gptq_3_mean:.2f` [{glue:text}`minds_qkv_gptq_3_low:.2f`,
# {glue:text}`minds_qkv_gptq_3_high:.2f`] ({glue:text}`minds_free:d` matrices that cost nothing alone are left out). Recipes keep what
# these factors say ({doc}`chapter 16 <16-seven-ways>`). That the inputs make the difference is a guess: the two schemes differ in their grids too.
#
# ## The largest ratio against size

# %% tags=["hide-input"]
largest = largest_ratios(here, RECIPES)
largest["scheme"] = scheme_names(largest)
fits = fits_by_question(largest)
fits["scheme"] = scheme_names(fits)
main = largest[(largest["scheme"] == MAIN) & (largest["metric"] == METRIC)]
at_budget = {
    granularity: rows.sort_values(N_PARAMS).set_index("model")["interpolated"]
    for granularity, rows in main[main["budget"] == BUDGET].groupby("granularity")
}
finer = mean_over_runs(at_budget["matmul"] - at_budget["layer"])
of_trials = largest_ratios(searched)
of_trials["scheme"] = scheme_names(of_trials)
main_trials = of_trials[(of_trials["scheme"] == MAIN) & (of_trials["metric"] == METRIC)]
by_random = largest_ratios(searched[(searched["scheme"] == MAIN) & searched["search"].isin(["random", "all"])])
by_random = by_random[(by_random["metric"] == METRIC) & (by_random["granularity"] == "matmul")]
both_searches = by_random.merge(main_trials, on=["model", "granularity", "budget"], suffixes=("", "_best"))
both_searches["lost"] = both_searches["interpolated_best"] - both_searches["interpolated"]
of_random = fits_by_question(by_random).set_index("budget")["fit"]
by_trials = fits_by_question(main_trials).set_index(["granularity", "budget"])["fit"]
slopes = fits[fits["fit"].notna()].assign(slope=lambda rows: [one.size_slope for one in rows["fit"]])
slopes = slopes.assign(
    gain=[-np.log(10) * one.value for one in slopes["slope"]],
    gain_low=[-np.log(10) * one.high for one in slopes["slope"]],
    gain_high=[-np.log(10) * one.low for one in slopes["slope"]],
    runs=[one.n_runs for one in slopes["fit"]],
    at_one=[one.n_all for one in slopes["fit"]],
)
key = ["scheme", "metric", "granularity", "budget"]

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: slopes of the largest ratio in size, by scheme and budget", "code_prompt_hide": "Table: slopes of the largest ratio in size, by scheme and budget"}
shown = slopes[slopes["metric"] == METRIC].set_index(["scheme", "granularity", "budget"])
shown = shown[["gain", "gain_low", "gain_high", "runs", "at_one"]].round(3).rename(index=GRANULARITIES)
shown.rename(
    columns={"gain": "Qr per factor 10 in N", "gain_low": "low", "gain_high": "high", "at_one": "runs at ratio 1"}
)

# %% tags=["remove-cell"]
put_row("finer", finer)
for granularity, ratios in at_budget.items():
    put_all(**{f"ratio_{granularity}_small": ratios.iloc[0], f"ratio_{granularity}_large": ratios.iloc[-1]})
    assert (np.diff(ratios) > 0).all(), "the text says that the ratio rises with each size, both ways"
    row = slopes.set_index(key).loc[MAIN, METRIC, granularity, BUDGET]
    put_row(f"gain_{granularity}", {"mean": row["gain"], "low": row["gain_low"], "high": row["gain_high"]})
    slope = by_trials[granularity, BUDGET].size_slope
    ends = {"mean": -slope.value, "low": -slope.high, "high": -slope.low}
    put_row(f"gain_trials_{granularity}", {part: np.log(10) * value for part, value in ends.items()})
put_all(
    steps_up=int((np.diff(at_budget["matmul"]) > 0).sum()), steps_in_size=len(at_budget["matmul"]) - 1, budget=BUDGET
)
lost = {budget: mean_over_runs(rows["lost"]) for budget, rows in both_searches.groupby("budget")}
put_row("lost_5", lost[0.05])
put_row("lost_10", lost[0.1])
put("lost_20_mean", lost[0.2]["mean"])
assert min(lost[0.05]["low"], lost[0.1]["low"]) > 0 > lost[0.2]["low"], "the text says: at 5% and 10%"
put_all(k_random=of_random[BUDGET].law.k, k_trials=by_trials["matmul", BUDGET].law.k)
clear = slopes["gain_low"] > 0
put_all(
    questions=len(fits), fitted=len(slopes), clear_up=int(clear.sum()), clear_down=int((slopes["gain_high"] < 0).sum())
)
put("fig_ratio_size", mixed.ratio_against_size(main, {}, "{:.0%} more perplexity"))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_ratio_size
# :name: fig-ratio-size
# :alt: Largest quantization ratio against size in three panels for budgets of 5, 10 and 20 percent more perplexity, two lines in each: matrix by matrix above, block by block below. All lines rise from left to right; at 20 percent they reach one, drawn hollow, from the third largest model on.
#
# The larger the model, the more of it can go low after equally many tokens. MXINT with four bits for weights and inputs,
# {glue:text}`mix_tokens:s` training tokens. Hollow: everything is within the budget (at one), or less than the smallest ratio that was tried.
# ```
#
# **At equal tokens, the share that can go low grows with size.** At {glue:text}`mix_tokens:s` tokens, with {glue:text}`budget:.0%` more
# perplexity allowed, it rises, matrix by matrix,
# from {glue:text}`ratio_matmul_small:.2f` in the smallest model to {glue:text}`ratio_matmul_large:.2f` in the largest, in
# {glue:text}`steps_up:d` of {glue:text}`steps_in_size:d` steps from one size to the next; block by block from
# {glue:text}`ratio_layer_small:.2f` to {glue:text}`ratio_layer_large:.2f`. A factor of ten in size adds
# {glue:text}`gain_matmul_mean:.3f` [{glue:text}`gain_matmul_low:.3f`, {glue:text}`gain_matmul_high:.3f`] to the ratio matrix by
# matrix and {glue:text}`gain_layer_mean:.3f` [{glue:text}`gain_layer_low:.3f`, {glue:text}`gain_layer_high:.3f`] block by block;
# read off trials instead of recipes {glue:text}`gain_trials_matmul_mean:.3f` [{glue:text}`gain_trials_matmul_low:.3f`,
# {glue:text}`gain_trials_matmul_high:.3f`] and {glue:text}`gain_trials_layer_mean:.3f` [{glue:text}`gain_trials_layer_low:.3f`,
# {glue:text}`gain_trials_layer_high:.3f`]. To choose matrices instead of whole blocks is worth
# {glue:text}`finer_mean:.3f` [{glue:text}`finer_low:.3f`, {glue:text}`finer_high:.3f`] of the parameters.
#
# **At equal tokens per parameter it falls.** Larger models are usually given more text, and text takes away from the share what size
# adds. By the law of both in {doc}`chapter 15 <15-ratio-against-training>`, of MXINT matrix by matrix, ten times the size *and* ten times the
# tokens take
# {glue:text}`15-ratio-against-training.ipynb::proportional_matmul_mean:.2f`
# [{glue:text}`15-ratio-against-training.ipynb::proportional_matmul_low:.2f`,
# {glue:text}`15-ratio-against-training.ipynb::proportional_matmul_high:.2f`] off the share at the same budget. (That text takes from
# the share is known of the smaller sizes; the largest, which ends earlier, isn't in that mean.)
#
# There are {glue:text}`questions:d` questions of this kind (scheme, granularity, metric, budget). {glue:text}`fitted:d` have
# three runs or more below ratio one, so that a line can be fitted: in {glue:text}`clear_up:d` of them the ratio clearly grows with
# size, in {glue:text}`clear_down:d` it clearly falls. All rest on the same {glue:text}`mix_runs:d` runs: one finding from many
# sides, not as many findings.
#
# ## The paper's law
#
# At a fixed budget {cite:t}`cao2024mixed` fit
#
# $$
# N = e^{k x + c}, \qquad x = 1 - Q_r,
# $$ (eq-ratio-law)
#
# with $N$ in billions of parameters, so that each factor in size takes a fixed share out of high precision. Since $N$ is what
# one chooses and $Q_r$ what one measures, we fit $x$ as a line in $\ln N$ and take $k$ as one over its slope, with an interval by
# training run. Our $N$ are without embeddings; theirs are the models' names.

# %% tags=["hide-input"]
ours = fits[(fits["scheme"] == MAIN) & (fits["metric"] == METRIC) & (fits["granularity"] == "matmul")]
ours = ours.set_index("budget")["fit"]
beside = pd.DataFrame(
    {
        budget: {
            "k": fit.law.k,
            "k, low": fit.k_interval[0],
            "k, high": fit.k_interval[1],
            "c": fit.law.c,
            "k, printed": CAO_2024_LAWS[budget].k,
            "c, printed": CAO_2024_LAWS[budget].c,
            "Qr of the largest, printed law": CAO_2024_LAWS[budget].largest_ratio(here[N_PARAMS].max()),
            "Qr of the largest, measured": main[(main["budget"] == budget) & (main["granularity"] == "matmul")]
            .sort_values(N_PARAMS)["interpolated"]
            .iloc[-1],
        }
        for budget, fit in ours.items()
    }
).T
asked = {name: LAWS[name] for name in ("size", "power", "as the next size", "published")}
judged = scores(predicted(main, asked), ["law", "granularity"])

# %% tags=["hide-input"]
beside.rename_axis("budget").round(2)

# %% tags=["hide-input"]
of_laws = judged.set_index(["granularity", "law"])[["bias", "rms", "n_rows"]].sort_index().round(3)
of_laws.rename(index=GRANULARITIES, columns={"n_rows": "rows"})

# %% tags=["remove-cell"]
for budget, fit in ours.items():
    name, (low, high) = f"{budget:.0%}".removesuffix("%"), fit.k_interval
    put_all(**{f"k_{name}": fit.law.k, f"k_{name}_low": low, f"k_{name}_high": high})
    put(f"k_{name}_printed", CAO_2024_LAWS[budget].k)
    put(f"printed_large_{name}", float(CAO_2024_LAWS[budget].largest_ratio(here[N_PARAMS].max())))
    put(f"measured_large_{name}", beside.loc[budget, "Qr of the largest, measured"])
rms = judged.set_index(["law", "granularity"])["rms"]
put_all(rms_size=rms["size", "matmul"], rms_power=rms["power", "matmul"], rms_next=rms["as the next size", "matmul"])
put("rms_published", rms["published", "matmul"])
inside = {budget: fit.k_interval[0] < CAO_2024_LAWS[budget].k < fit.k_interval[1] for budget, fit in ours.items()}
assert inside == {0.05: True, 0.1: False, 0.2: False}, "the text says which printed slopes agree"
assert all(ours[budget].law.k > CAO_2024_LAWS[budget].k for budget in (0.1, 0.2)), (
    "and that the others are steeper here"
)
assert rms["size", "matmul"] < rms["power", "matmul"] < rms["as the next size", "matmul"]

# %% [markdown]
# *Above: our constants, matrix by matrix, beside the printed ones. Below: how far laws fitted to the smaller sizes miss the largest
# ratio of the largest model (bias and root mean square over three budgets, no unit).*
#
# **The form holds far below the sizes it was found on, the slope at the smallest budget alone.** At 5% more perplexity $k$ is
# {glue:text}`k_5:.1f` [{glue:text}`k_5_low:.1f`, {glue:text}`k_5_high:.1f`], and {glue:text}`k_5_printed:.2f` was printed; at 10%
# {glue:text}`k_10:.1f` [{glue:text}`k_10_low:.1f`, {glue:text}`k_10_high:.1f`] against {glue:text}`k_10_printed:.2f`; at 20%
# {glue:text}`k_20:.1f` [{glue:text}`k_20_low:.1f`, {glue:text}`k_20_high:.1f`] against {glue:text}`k_20_printed:.2f`. At 5% the
# printed value lies in our interval. At 10% and 20% the ratio rises faster with size here; at 20% the largest models are at ratio
# one and have no say. Ours drift with the budget, the printed ones don't.
# Fitted to the smaller sizes the law predicts the largest within {glue:text}`rms_size:.3f`. A power law of $1 - Q_r$, in
# which something is always kept, misses by {glue:text}`rms_power:.3f`, and to say that it has the ratio of the next smaller size
# by {glue:text}`rms_next:.3f`.
#
# **The constant doesn't carry over.** With its printed constants the law gives our largest model a ratio of
# {glue:text}`printed_large_5:.2f`, {glue:text}`printed_large_10:.2f` and {glue:text}`printed_large_20:.2f` at the three budgets; it
# has {glue:text}`measured_large_5:.2f`, {glue:text}`measured_large_10:.2f` and {glue:text}`measured_large_20:.2f`. The misses are
# {glue:text}`rms_published:.2f`. That is no contradiction: $c$ holds everything but size, such as the text, the block of a
# shared exponent, and how long the models were trained ({doc}`chapter 15 <15-ratio-against-training>`).
#
# ## Searches at equal budget
#
# A search costs *trials*, passes over its text. Random search, the paper's, draws an order of the parts and turns them low until
# the target is met; of {glue:text}`random_trials:d` such draws a target ({glue:text}`random_trials_largest:d` in the largest model) it
# keeps the best. *Greedy* measures each part alone, once
# for all targets, and takes parts by cost per parameter; the *integer programme* takes the same costs and finds the set of the
# least sum exactly. *Second order* estimates the costs from the curvature of the loss, without a trial. How good the best of $n$
# random trials is on average follows from those that were made, by counting all ways to draw $n$ of them.

# %% tags=["hide-input"]
compared = searches_compared(searched)
named = searched.drop_duplicates("scheme_id").set_index("scheme_id")["scheme"]
against_best = regrets(compared, "any")
against_best["scheme"] = against_best["scheme_id"].map(named)
beyond = excess(against_best, ["granularity", "scheme", "search"])
of_matrices = against_best[(against_best["scheme"] == MAIN) & (against_best["granularity"] == "matmul")]
by_target = excess(of_matrices, ["target_ratio", "search"]).set_index(["target_ratio", "search"])
of_exhaustive = regrets(compared)
of_exhaustive["scheme"] = of_exhaustive["scheme_id"].map(named)
beyond_exhaustive = excess(of_exhaustive[of_exhaustive["scheme"] == MAIN], ["search"]).set_index("search")

# %% tags=["hide-input"]
shown = beyond[beyond["granularity"] == "matmul"].pivot(index="scheme", columns="search", values="mean")
shown.loc[SCHEMES, list(NAMES)].rename(columns=NAMES).rename_axis(columns=None).map("{:.0%}".format)

# %% tags=["remove-cell"]
put("random_trials", int(compared["n_random"].max()))
put("random_trials_largest", int(compared.loc[compared[N_PARAMS] == compared[N_PARAMS].max(), "n_random"].max()))
second_order = beyond[(beyond["granularity"] == "matmul") & (beyond["search"] == "second_order")].set_index("scheme")
put("second_order_worst", second_order["mean"].max())
assert second_order["mean"].idxmax() == "GPTQ 4 bits"
of_main = beyond[(beyond["scheme"] == MAIN) & (beyond["granularity"] == "matmul")].set_index("search")
for name in ("random_equal", "random_all", "greedy", "integer_programme", "second_order"):
    put_row(f"beyond_{name}", of_main.loc[name])
for name in ("greedy", "integer_programme"):
    put(f"exhaustive_{name}", beyond_exhaustive.loc[name, "mean"])
assert of_main.loc["random_all", "low"] > of_main.loc["second_order", "high"], "the text says: the others are better"
for target in (0.5, 0.95):
    for name in ("random_all", "integer_programme"):
        put(f"at_{target:g}_{name}".replace(".", ""), by_target.loc[(target, name), "mean"])
units = compared[compared["granularity"] == "matmul"].drop_duplicates("checkpoint_id")["n_units"]
put_all(units_low=int(units.min()), units_high=int(units.max()), exhaustive_runs=of_exhaustive["run_label"].nunique())
trials_of_main = searched[(searched["scheme"] == MAIN) & (searched["granularity"] == "matmul")]
curve = random_excess(trials_of_main, searches_compared(trials_of_main))
guided = by_target.rename(columns={"mean": "excess"}).reset_index()
guided = guided[guided["search"].isin(["greedy", "integer_programme", "second_order"])]
guided["n_units"] = np.where(guided["search"] == "second_order", 1.0, units.mean())
put("fig_searches", mixed.searches_by_trials(curve, guided, [0.5, 0.8, 0.9, 0.95]))
plt.close("all")

# %% [markdown]
# *QiD on the search's text beyond that of the best assignment known, as a share of it: mean over training runs.*
#
# ```{glue:figure} fig_searches
# :name: fig-searches
# :alt: QiD beyond the best known against trials, four panels for targets of 0.5, 0.8, 0.9 and 0.95. A line for random search falls with trials, from over 100 percent in the first panel and from ten percent in the last, and stays well above zero. Markers for greedy search and the integer programme near twenty trials, and for the second-order estimate at one, lie at zero.
#
# Knowing what each part costs alone beats drawing, and more so the more is kept. Mean over training runs, MXINT, matrix by matrix;
# the line ends where some model has no further draw that differs, or was given none. The second-order estimate needs no trial but the one that scores
# its choice.
# ```
#
# **Random search leaves the more on the table the more of the model is kept.** Matrix by matrix, greedy search and the integer
# programme spend {glue:text}`units_low:d` to {glue:text}`units_high:d` trials, once for all targets. With as many at each target
# random search ends {glue:text}`beyond_random_equal_mean:.0%` [{glue:text}`beyond_random_equal_low:.0%`,
# {glue:text}`beyond_random_equal_high:.0%`] above the best known, with all its trials {glue:text}`beyond_random_all_mean:.0%`
# [{glue:text}`beyond_random_all_low:.0%`, {glue:text}`beyond_random_all_high:.0%`]. Greedy search ends
# {glue:text}`beyond_greedy_mean:.1%` [{glue:text}`beyond_greedy_low:.1%`, {glue:text}`beyond_greedy_high:.1%`] above it, the integer
# programme {glue:text}`beyond_integer_programme_mean:.1%` [{glue:text}`beyond_integer_programme_low:.1%`,
# {glue:text}`beyond_integer_programme_high:.1%`], the second-order estimate {glue:text}`beyond_second_order_mean:.1%`
# [{glue:text}`beyond_second_order_low:.1%`, {glue:text}`beyond_second_order_high:.1%`]. With half of the parameters low all random
# trials together end {glue:text}`at_05_random_all:.0%` above the best known and the integer programme
# {glue:text}`at_05_integer_programme:.1%`; with 95% low, where little can be chosen, {glue:text}`at_095_random_all:.1%` and
# {glue:text}`at_095_integer_programme:.1%`. Costs nearly add up, as in the example of two layers. The second-order estimate is less
# good for schemes that cost little: {glue:text}`second_order_worst:.0%` for GPTQ at 4 bits. Block by block, where
# {glue:text}`exhaustive_runs:d` of the models are small enough to try everything, greedy search is
# {glue:text}`exhaustive_greedy:.1%` above the very best on average and the integer programme
# {glue:text}`exhaustive_integer_programme:.1%`.
#
# It matters for the largest ratio. Read off random trials alone, it is lower by {glue:text}`lost_5_mean:.3f`
# [{glue:text}`lost_5_low:.3f`, {glue:text}`lost_5_high:.3f`] at 5% more perplexity and by {glue:text}`lost_10_mean:.3f`
# [{glue:text}`lost_10_low:.3f`, {glue:text}`lost_10_high:.3f`] at 10%; at 20% by {glue:text}`lost_20_mean:.3f`. And it moves the law:
# on the search's text $k$ at 10% would be {glue:text}`k_random:.1f` instead of {glue:text}`k_trials:.1f`.
#
# ## How many trials, how much text?
#
# For {glue:text}`ablated_models:d` of the models random search was made again at one target,
# {glue:text}`ablated_target:.0%` in low precision matrix by matrix, with {glue:text}`ablated_trials:d` trials and on more and more
# text, the same draws each time.

# %% tags=["hide-input"]
ablated = of_schemes[of_schemes["n_sequences"] != SEQUENCES]
of_text = chosen_on_less(ablated).assign(scheme=lambda rows: rows["scheme_id"].map(named))
of_text["excess"] = of_text["regret"] / of_text["best"]
longest = ablated[(ablated["n_sequences"] == ablated["n_sequences"].max()) & (ablated["search"] != "single")]
curves = best_of_random(longest).assign(scheme=lambda rows: rows["scheme_id"].map(named))
curves["excess"] = curves["expected"] / curves.groupby(["run_label", "scheme"])["best_so_far"].transform("min") - 1

# %% tags=["hide-input"]
asked_trials = curves[curves["n_trials"].isin([1, 10, 20, 50, 100])]
shown = {
    "sequences": of_text.pivot(index=["scheme", "model"], columns="n_sequences", values="excess"),
    "trials": asked_trials.pivot(index=["scheme", "model"], columns="n_trials", values="excess"),
}
pd.concat(shown, axis=1).map(lambda value: "" if pd.isna(value) else f"{value:.1%}")

# %% tags=["remove-cell"]
put_all(ablated_models=ablated["model"].nunique(), ablated_target=float(of_text["target_ratio"].iloc[0]))
put_all(ablated_trials=int(curves["n_trials"].max()), ablated_text=int(ablated["n_sequences"].max()))
made = curves.groupby("model")["n_trials"].max()
put_all(few_draws=int(made.min()), few_size=count_label(curves.loc[curves["model"] == made.idxmin(), N_PARAMS].iloc[0]))
put("many_size", count_label(curves.loc[curves["model"] == made.idxmax(), N_PARAMS].iloc[0]))
of_many = curves[curves["model"] == made.idxmax()]
assert (of_text.loc[of_text["n_sequences"] == 63, "excess"] == 0).all(), "the text says: nothing"
for count in (1, 16):
    values = of_text.loc[of_text["n_sequences"] == count, "excess"]
    put(f"text_{count}_most", values.max())
for count in (10, 50, 100):
    values = of_many.loc[of_many["n_trials"] == count, "excess"]
    put_all(**{f"trials_{count}_least": values.min(), f"trials_{count}_most": values.max()})

# %% [markdown]
# *QiD of the chosen assignment on {glue:text}`ablated_text:d` sequences, beyond the least of all draws there. Left: chosen on fewer
# sequences. Right: the best of fewer trials, on average.*
#
# Little text is enough (the paper takes 1024 samples): a choice made on a single sequence costs {glue:text}`text_1_most:.1%` at
# most, on 16 sequences {glue:text}`text_16_most:.1%`, and on 63 nothing. All assignments read the same text, so that what is hard in
# it cancels. Trials matter more. In the model with {glue:text}`many_size:s` parameters the best of 10 is
# {glue:text}`trials_10_least:.1%` to {glue:text}`trials_10_most:.1%` above the best of all, of 50
# {glue:text}`trials_50_least:.1%` to {glue:text}`trials_50_most:.1%`, of 100 {glue:text}`trials_100_least:.1%` to
# {glue:text}`trials_100_most:.1%`. (The one with {glue:text}`few_size:s` has only {glue:text}`few_draws:d` draws that differ.) The
# yardstick is the best *draw*, not the best assignment: the section before says how far these are apart.
#
# ## What swapping in doesn't see
#
# A trial swaps in matrices that were rounded one by one on the activations of the 16-bit model; a recipe rounds block after
# block, each on what the rounded ones before it give, and is scored on other text.

# %% tags=["hide-input"]
positive = here[(here["qid_nats"] > 0) & (here["swapped_qid_nats"] > 0)]
positive = positive.assign(log=np.log(positive["qid_nats"] / positive["swapped_qid_nats"]))
positive["everything"] = np.isclose(positive["quantized_ratio"], 1)
by_run = positive.groupby(["scheme", "everything", "run_label"])["log"].mean()
held_over_trial = {key: mean_over_runs(values) for key, values in by_run.groupby(level=[0, 1])}
both_ways = main.merge(main_trials, on=["model", "granularity", "budget"], suffixes=("", "_trials"))
optimism = (both_ways["interpolated_trials"] - both_ways["interpolated"]).groupby(
    [both_ways["granularity"], both_ways["budget"], both_ways["model"]]
)

# %% tags=["hide-input"]
shown = pd.DataFrame({key: np.exp(pd.Series(row)[["mean", "low", "high"]]) for key, row in held_over_trial.items()}).T
shown.index = shown.index.set_levels(["the best of a search", "everything low"], level=1)
shown.loc[SCHEMES].round(3)

# %% tags=["remove-cell"]
for name, scheme in (("mxint", MAIN), ("gptq_3", "GPTQ 3 bits"), ("gptq_2", "GPTQ 2 bits")):
    for suffix, everything in (("all", True), ("best", False)):
        row = held_over_trial[scheme, everything]
        put_row(f"held_{name}_{suffix}", {part: np.exp(row[part]) for part in ("mean", "low", "high")})
for granularity in ("matmul", "layer"):
    put_row(f"optimism_{granularity}", mean_over_runs(optimism.first().loc[granularity, BUDGET]))
put("pairs", here["measurement_id"].nunique())
assert held_over_trial["GPTQ 2 bits", True]["high"] < held_over_trial[MAIN, True]["low"], "less than the text says"
assert held_over_trial[MAIN, False]["mean"] > held_over_trial[MAIN, True]["mean"] > 0, "the text: choosing has a price"
put("fig_swapped", mixed.swapped_against_rounded(here, SCHEMES))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_swapped
# :name: fig-swapped
# :alt: QiD of recipes against QiD of the trials they come from, on two logarithmic axes over four decades, with a line of equality. Points of all five schemes lie along the line, slightly above it, and scatter below a hundredth of a nat.
#
# What a trial says of an assignment holds for the recipe, but for a few percent. {glue:text}`pairs:d` recipes of this chapter.
# ```
#
# MXINT rounds every matrix by itself, so a recipe has the very weights of its trial and only the text differs. With everything
# low the held-out text's QiD is {glue:text}`held_mxint_all_mean:.3f` [{glue:text}`held_mxint_all_low:.3f`,
# {glue:text}`held_mxint_all_high:.3f`] times that on the search's text. For what a search has chosen it is
# {glue:text}`held_mxint_best_mean:.3f` [{glue:text}`held_mxint_best_low:.3f`, {glue:text}`held_mxint_best_high:.3f`] times: the rest is the
# price of choosing by that text. GPTQ rounds anew. At 3 bits the factors are {glue:text}`held_gptq_3_all_mean:.3f`
# [{glue:text}`held_gptq_3_all_low:.3f`, {glue:text}`held_gptq_3_all_high:.3f`] and {glue:text}`held_gptq_3_best_mean:.3f`
# [{glue:text}`held_gptq_3_best_low:.3f`, {glue:text}`held_gptq_3_best_high:.3f`], much the same; at 2 bits
# {glue:text}`held_gptq_2_all_mean:.3f` [{glue:text}`held_gptq_2_all_low:.3f`, {glue:text}`held_gptq_2_all_high:.3f`] and
# {glue:text}`held_gptq_2_best_mean:.3f` [{glue:text}`held_gptq_2_best_low:.3f`, {glue:text}`held_gptq_2_best_high:.3f`]: there a block
# that is rounded on what the rounded ones before it give makes up for some of their errors. Read off trials, the largest ratio at
# {glue:text}`budget:.0%` more perplexity is higher by {glue:text}`optimism_matmul_mean:.3f` [{glue:text}`optimism_matmul_low:.3f`,
# {glue:text}`optimism_matmul_high:.3f`] matrix by matrix and by {glue:text}`optimism_layer_mean:.3f`
# [{glue:text}`optimism_layer_low:.3f`, {glue:text}`optimism_layer_high:.3f`] block by block.
#
# ## What this does not show
#
# - **Large models.** The paper's have half a billion parameters and more, ours {glue:text}`mix_largest:s` at most. They are trained
#   on one kind of text, with one seed a size. That the form of the law reaches down here is no proof that it reaches up.
# - **A ratio between two targets.** Recipes were made at a handful of targets, and what lies between is read off a straight line. Cost
#   rises faster than in proportion, so the line puts the largest ratio too low where the gap is wide: in small models at small
#   budgets, below the smallest target. Trials, which fill such gaps better, give nearly the same slope.
# - **Memory.** A ratio counts parameters, not stored bits; {doc}`chapter 16 <16-seven-ways>` compares at equal bits.
# - **Speed.** Nothing here says that a mixed model runs faster.

# %% [markdown]
# ## Exercises
#
# **1.** A model of three blocks has twelve matrices. How many assignments are there, and how many trials does the greedy search make
# before it can choose?
#
# ```{admonition} Answer
# :class: dropdown
# $2^{12}$, each matrix high or low. Greedy needs twelve, one for each matrix alone, and then one for each target.
# ```
#
# **2.** Why are largest ratios read off recipes on held-out text and not off the trials of the search?
#
# ```{admonition} Answer
# :class: dropdown
# The search keeps what looks best on its own text, and part of that is luck with this text. Held-out text knows nothing of the choice.
# ```
#
# **3.** At the largest budget some models can go low as a whole. Why do they have no say in the slope of the law?
#
# ```{admonition} Answer
# :class: dropdown
# A ratio can't rise above one. All that is known is that a dearer format would fit too, and $1 - Q_r$ is zero, which has no logarithm.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* Do costs add up? Of the smallest model's last step, `trials()` has what each matrix alone costs (`search` is
# `single`) and what all cost together (`all`). Give the cost of all over the sum of the single ones.

# %%
from helpers.teach.checking import check
from helpers.teach.data import trials

answer = None  # a ratio, no unit
check("13.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = trials().query("model == 'tadpole-64x3'")
last = rows[rows["step"] == rows["step"].max()].groupby("search")["qid_nats"].sum()
check("13.4", last["all"] / last["single"])

# %% [markdown]
# **5.** *(project)* Write a search of your own: order the matrices by cost per parameter from the single trials, and turn them low, the
# cheapest first, until the ratio is 0.8. Look up your assignment, or the nearest, in `trials()`. In how many sizes does it beat the best
# random trial at that ratio? Then change the order and try to beat yourself.
