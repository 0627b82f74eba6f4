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
# # Methods and texts
#
# *How much does QiD depend on the way of rounding, and on the text it is measured on?*
#
# {doc}`Chapter 4 <04-degradation>` moved tokens, size and bits, and kept nearly everything else fixed: GPTQ on asymmetric groups of 32,
# scored on held-out files of the packages that training read. This chapter keeps the models fixed and moves the rest. It asks three
# things. Which way of rounding loses least with codes of the same width? Which loses least when the scales are counted too? And
# would another text tell another story?

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

from helpers.analyse import comparison_figures
from helpers.analyse.comparisons import calibration_spread
from helpers.analyse.degradation import degradation
from helpers.analyse.style import count_label, use_house_style
from helpers.analyse.tables import ways_table
from helpers.analyse.ways import (
    at_effective_bits,
    document_counts,
    orders,
    packages,
    ratios_to,
    text_losses,
    text_ratios,
    way_of_rounding,
    with_calibration,
)

use_house_style()


def put(name, value):
    glue(name, value.item() if isinstance(value, np.generic) else value, display=False)


HELD_OUT, UNSEEN = "wheels-heldout", "wheels-unseen"
GPTQ, ROW = "GPTQ", "GPTQ, one group a row"
EFFECTIVE_BITS = [2.6, 3.0, 3.5, 4.0]

# %% [markdown]
# ## The rows
#
# The sweep `methods` rounded the later checkpoints of the pocket family on a CPU, each in every way, and scored all of them on both
# texts. The rows came with the book.

# %%
rows = pd.read_parquet("results/measurements.parquet")
rows = rows.query("device_type == 'cpu' and family == 'tadpole' and n_sequences == 128")
every_draw = degradation(rows)
every_draw["way"] = way_of_rounding(every_draw)
table = every_draw[every_draw["calib_seed"].fillna(0) == 0]
held_out = table[table["eval_dataset"] == HELD_OUT]
unseen = table[table["eval_dataset"] == UNSEEN]

# %% tags=["remove-cell"]
put("n_checkpoints", held_out["checkpoint_id"].nunique())
put("n_runs", held_out["run"].nunique())
put("n_ways", held_out["way"].nunique())
put("n_documents", int(held_out["n_documents"].max()))
put("least_tokens", count_label(held_out["tokens_seen"].min()))
put("most_tokens", count_label(held_out["tokens_seen"].max()))

# %% [markdown]
# There are {glue:text}`n_checkpoints:d` checkpoints of {glue:text}`n_runs:d` training runs, from {glue:text}`least_tokens:s` to
# {glue:text}`most_tokens:s` tokens, and {glue:text}`n_ways:d` ways of rounding:
#
# - **GPTQ** {cite:p}`frantar2023gptq` as in chapter 4: asymmetric grid, groups of 32, from the smallest to the largest weight of the group.
# - GPTQ with one thing changed: a **symmetric** grid; columns in **activation order**, those with the largest inputs first; a
#   **least-squares grid**, its range shrunk to where the squared error of the group is smallest; **groups** of 64, of 128, or **one group a row**.
# - **RTN**: each weight to the nearest value of its grid, asymmetric groups of 32.
# - **AWQ**: RTN after channels with large inputs were scaled up. It scales only layers that follow a norm, which are half of them here,
#   and doesn't search for a clipping range as its authors do.
# - Three formats of 4 bits, to nearest, groups of 32: **NF4** (quantiles of a normal distribution, as bitsandbytes stores it, with a scale of
#   32 bits), **MXINT4** and **MXFP4** (integers and short floating-point numbers; the scale is a power of two and takes 8 bits).
#
# Groups of 64 and 128 divide the width of the largest model only.
#
# ## One number for many checkpoints
#
# Two ways of rounding one checkpoint give two QiDs, in nats per token. Their ratio is a factor and has no unit. We pool the
# $m$ checkpoints by the geometric mean,
#
# $$
# R = \exp \frac{1}{m} \sum_{c=1}^{m} \ln \frac{\Delta L_c(\text{way})}{\Delta L_c(\text{GPTQ})} ,
# $$ (eq-pooled-ratio)
#
# so that a small QiD counts as much as a large one. The interval comes from drawing the documents anew, with replacement,
# and computing $R$ on each draw. Both ways, and all checkpoints, get the same documents in a draw: the comparison is
# paired. The interval holds 95% of the draws.

# %%
generator = np.random.default_rng(seed)
documents = document_counts(128, generator)
ratios = ratios_to(held_out, GPTQ, documents)

# %% [markdown]
# This interval is about documents. Two more things count against hasty conclusions. GPTQ depends on the draw of its calibration text
# ({doc}`the next chapter <11-noise-floor>` measures by how much). And many comparisons are made, of which some go beyond a 95% interval by mere
# chance. So we call a difference *clear* only if a wider interval leaves out 1: it counts the scatter between draws of
# calibration text, for both ways of a ratio, and its level is set so that all intervals together hold with 95% (Bonferroni).

# %%
same_text = every_draw[every_draw["eval_dataset"] == HELD_OUT]
spread = calibration_spread(same_text[same_text["way"] == GPTQ])
ratios = with_calibration(ratios, spread, level=1 - 0.05 / len(ratios))

# %% tags=["remove-cell"]
axes = comparison_figures.ratios_by_way(ratios, "QiD over that of GPTQ (factor)", [0.7, 1, 1.5, 2, 3, 4, 5, 6])
put("fig_ways", axes.figure)
plt.close("all")

# %% tags=["remove-cell"]
by = ratios.set_index(["way", "bits"])
put("n_comparisons", len(ratios))
put("n_clear", int(ratios["clear"].sum()))
short = {
    "rtn": "RTN",
    "awq": "AWQ",
    "symmetric": "GPTQ, symmetric",
    "order": "GPTQ, activation order",
    "squares": "GPTQ, least-squares grid",
    "g64": "GPTQ, group 64",
    "g128": "GPTQ, group 128",
    "row": ROW,
}
for name, way in short.items():
    for bits in (2, 3, 4):
        put(f"{name}_{bits}", by.loc[(way, bits), "ratio"])
        put(f"{name}_{bits}_low", by.loc[(way, bits), "low"])
        put(f"{name}_{bits}_high", by.loc[(way, bits), "high"])
for name in ("NF4", "MXINT4", "MXFP4"):
    put(name.lower(), by.loc[(name, 4), "ratio"])
worse = ["RTN", "AWQ", "GPTQ, symmetric", "GPTQ, group 64", "GPTQ, group 128", ROW, "NF4", "MXINT4", "MXFP4"]
losing = ratios[ratios["way"].isin(worse)]
put("n_worse", len(worse))
put("worse_lowest", losing["ratio"].min())
assert losing["clear"].all(), "the text says that these differences are clear"
assert (losing["low"] > 1).all(), "and that they are losses"
squares = by.loc["GPTQ, least-squares grid"]
assert squares["ratio"].is_monotonic_increasing, "the text says that the gain shrinks with bits"
assert squares.loc[2, "clear"], "and is clear at 2 bits"
assert not squares.loc[4, "clear"], "but not at 4"
ordered = by.loc["GPTQ, activation order"]
assert (ordered["high"] < 1).all(), "the text says: lower by its documents"
assert not ordered["clear"].any(), "but not clearly"

# %% tags=["remove-cell"]
to_nearest = ratios_to(held_out[held_out["way"].isin(["RTN", "AWQ"])], "RTN", documents).set_index("bits")
for bits, row in to_nearest.iterrows():
    put(f"awq_rtn_{bits:g}", row["ratio"])
    put(f"awq_rtn_{bits:g}_low", row["low"])
    put(f"awq_rtn_{bits:g}_high", row["high"])
assert to_nearest["ratio"].between(0.85, 1).all(), "the text says that AWQ gains a few percent"

# %% [markdown]
# ## Codes of the same width
#
# ```{glue:figure} fig_ways
# :name: fig-ways
# :alt: Ratio of QiD to that of plain GPTQ for eleven ways of rounding, one row each, with markers for 2, 3 and 4 bits and intervals. Activation order and the least-squares grid lie at or below one, all others above it, MXINT4 and MXFP4 around four.
#
# With codes of the same width, only the least-squares grid and activation order reach plain GPTQ or do better; all others lose more. QiD over
# that of plain GPTQ, pooled over checkpoints. Bars: 95% by documents. Pale strokes: from the lowest to the highest
# of the training runs.
# ```
#
# The table has the numbers behind {numref}`fig-ways`.

# %% tags=["remove-input"]
ways_table(ratios)

# %% [markdown]
# {glue:text}`n_clear:d` of {glue:text}`n_comparisons:d` ratios are clear in the sense above.
#
# - **To nearest.** RTN loses {glue:text}`rtn_2:.2f`, {glue:text}`rtn_3:.2f` and {glue:text}`rtn_4:.2f` times as much as GPTQ at 2, 3 and 4 bits.
#   AWQ improves on RTN little here: its QiD over that of RTN is {glue:text}`awq_rtn_2:.2f`
#   [{glue:text}`awq_rtn_2_low:.2f`, {glue:text}`awq_rtn_2_high:.2f`], {glue:text}`awq_rtn_3:.2f`
#   [{glue:text}`awq_rtn_3_low:.2f`, {glue:text}`awq_rtn_3_high:.2f`] and {glue:text}`awq_rtn_4:.2f`
#   [{glue:text}`awq_rtn_4_low:.2f`, {glue:text}`awq_rtn_4_high:.2f`].
# - **The grid.** A symmetric grid costs a factor of {glue:text}`symmetric_2:.2f` at 2 bits and {glue:text}`symmetric_4:.2f` at 4. A least-squares grid gains most where values are few: {glue:text}`squares_2:.2f`
#   [{glue:text}`squares_2_low:.2f`, {glue:text}`squares_2_high:.2f`] at 2 bits, {glue:text}`squares_3:.2f` at 3, and nothing clear at 4
#   ({glue:text}`squares_4:.2f` [{glue:text}`squares_4_low:.2f`, {glue:text}`squares_4_high:.2f`]).
# - **The order.** Activation order has ratios of {glue:text}`order_2:.2f`, {glue:text}`order_3:.2f` and {glue:text}`order_4:.2f`. Their intervals by
#   documents leave out 1. With draws of calibration text and the number of comparisons counted, the gain is not clear.
# - **The group.** A group of 64, of 128 or of a whole row costs a factor between {glue:text}`g64_2:.2f` and {glue:text}`g128_2:.2f` at 2 bits.
# - **The formats.** NF4 loses {glue:text}`nf4:.2f`, MXFP4 {glue:text}`mxfp4:.2f` and MXINT4 {glue:text}`mxint4:.2f` times as much as GPTQ at 4 bits.
#
# ## The same bits in all
#
# "2 bits" is the width of a code. What is stored is more: each group brings a scale of 16 bits and, on an asymmetric grid,
# a zero point as wide as a code. *Effective bits*, in bits per weight, count them. A group of 32 then takes
# {glue:text}`overhead_32:.2f` bits more than its codes at 2 bits, a group of 128 only {glue:text}`overhead_128:.2f`. Is the small group worth it?

# %%
largest = held_out[held_out["model"] == "tadpole-128x3"]
last = largest[largest["step"] == largest["step"].max()]
at_bits = at_effective_bits(held_out, GPTQ, EFFECTIVE_BITS, documents)
at_bits_largest = at_effective_bits(largest, GPTQ, EFFECTIVE_BITS, documents)
mx_bits = last.loc[last["way"] == "MXFP4", "effective_bits"].item()
against_rtn = at_effective_bits(held_out, "RTN", [mx_bits], documents)

# %% tags=["remove-cell"]
stored_bits = last.set_index(["way", "bits"])["effective_bits"]
put("overhead_32", stored_bits[GPTQ, 2] - 2)
put("overhead_128", stored_bits["GPTQ, group 128", 2] - 2)
put("nf4_bits", stored_bits["NF4", 4])
put("gptq_bits", stored_bits[GPTQ, 4])
put("mx_bits", mx_bits)
put("least_bits", EFFECTIVE_BITS[0])
put("most_bits", EFFECTIVE_BITS[-1])
put("largest_model", "tadpole-128x3")
put("largest_tokens", count_label(last["tokens_seen"].iloc[0]))
axes = comparison_figures.qid_against_effective_bits(last)
put("fig_effective", axes.figure)
plt.close("all")

# %% tags=["remove-cell"]
coarse_ways = [ROW, "GPTQ, group 128", "GPTQ, group 64"]
coarse = at_bits[at_bits["way"].isin(coarse_ways)]
whole_row = at_bits[at_bits["way"] == ROW].set_index("bits")
put("row_equal_least", whole_row.loc[EFFECTIVE_BITS[0], "ratio"])
put("row_equal_least_low", whole_row.loc[EFFECTIVE_BITS[0], "low"])
put("row_equal_least_high", whole_row.loc[EFFECTIVE_BITS[0], "high"])
put("row_equal_most", whole_row.loc[EFFECTIVE_BITS[-1], "ratio"])
put("row_equal_most_low", whole_row.loc[EFFECTIVE_BITS[-1], "low"])
put("row_equal_most_high", whole_row.loc[EFFECTIVE_BITS[-1], "high"])
put("coarse_lowest", coarse["ratio"].min())
put("coarse_highest", coarse["ratio"].max())
put("row_checkpoints", int(whole_row["n_checkpoints"].max()))
best = at_bits_largest.loc[at_bits_largest.groupby("bits")["ratio"].idxmin()]
put("n_best", len(best))
put("groups_checkpoints", largest["checkpoint_id"].nunique())
own_rtn = against_rtn.set_index("way")["ratio"]
put("mxfp_rtn", own_rtn["MXFP4"])
put("mxint_rtn", own_rtn["MXINT4"])
squares_equal = at_bits[at_bits["way"] == "GPTQ, least-squares grid"].set_index("bits")["ratio"]
put("squares_equal_least", squares_equal[EFFECTIVE_BITS[0]])
put("squares_equal_most", squares_equal[EFFECTIVE_BITS[-1]])
symmetric_equal = at_bits[at_bits["way"] == "GPTQ, symmetric"]
put("symmetric_equal_low", symmetric_equal["ratio"].min())
put("symmetric_equal_high", symmetric_equal["ratio"].max())
assert (coarse["high"] < 1).all(), "the text says that coarse groups lose less at equal bits"
assert best["way"].isin([ROW, "GPTQ, group 128"]).all(), "the text names these two as the best"
full = at_bits[at_bits["n_runs"] == at_bits["n_runs"].max()]
first = full.loc[full.groupby("bits")["ratio"].idxmin(), "way"]
assert (first == ROW).all(), "the text says that it is the best among those measured on all runs"
assert (symmetric_equal["low"] > 1).all(), "the text says that the zero point is worth its bits"
assert stored_bits["NF4", 4] > stored_bits[GPTQ, 4]
assert 1 < own_rtn["MXFP4"] < own_rtn["MXINT4"]
formats = ["MXFP4", "MXINT4"]
at_mx = at_effective_bits(held_out, GPTQ, [mx_bits], documents).set_index("way")["ratio"]
assert (own_rtn[formats] < at_mx[formats] ** 0.5).all(), "the text says: most of it is lost by rounding to nearest"
assert np.isclose(by.loc[("NF4", 4), "ratio"], by.loc[("RTN", 4), "ratio"], rtol=0.1), "exercise 1: about the same"

# %% [markdown]
# ```{glue:figure} fig_effective
# :name: fig-effective
# :alt: QiD on a logarithmic axis against effective bits for twelve ways of rounding of one checkpoint. Lines fall nearly in parallel. The lines of coarse groups lie lowest and to the left; those of RTN and AWQ highest, and the three 4-bit formats lie above all GPTQ lines.
#
# Counted with their scales, coarse groups lose least: their lines lie below and left of plain GPTQ's. {glue:text}`largest_model:s` after
# {glue:text}`largest_tokens:s` tokens; bars: one paired error.
# ```
#
# To compare at equal effective bits we draw a straight line through $\ln \Delta L$ of each way, checkpoint by checkpoint
# ({numref}`fig-effective`), and read it at the same place. That place may be one that can't be stored, such as {glue:text}`least_bits:g` bits; the line says
# what a mixture of widths could be expected to give.

# %% tags=["remove-input"]
ways_table(at_bits)

# %% [markdown]
# - **Groups.** The order turns over. At equal effective bits a coarse group loses *less* than a group of 32, by a factor between
#   {glue:text}`coarse_lowest:.2f` and {glue:text}`coarse_highest:.2f`. One group a row, on {glue:text}`row_checkpoints:d` checkpoints, has
#   {glue:text}`row_equal_least:.2f` [{glue:text}`row_equal_least_low:.2f`, {glue:text}`row_equal_least_high:.2f`] at {glue:text}`least_bits:g` bits and
#   {glue:text}`row_equal_most:.2f` [{glue:text}`row_equal_most_low:.2f`, {glue:text}`row_equal_most_high:.2f`] at {glue:text}`most_bits:g`. It loses least of all ways that were
#   measured on every run. Bits spent on scales would do more in the codes.
# - **On the largest model**, where all groups were measured ({glue:text}`groups_checkpoints:d` checkpoints of one run), the best is
#   one group a row or a group of 128 at each of the {glue:text}`n_best:d` places. The table's rows for groups of 64 and 128 are of these checkpoints alone.
# - **The zero point** is worth its bits: a symmetric grid, which saves them, still loses {glue:text}`symmetric_equal_low:.2f` to
#   {glue:text}`symmetric_equal_high:.2f` times as much.
# - **The least-squares grid** costs no bits and keeps its gain where values are few: {glue:text}`squares_equal_least:.2f` at {glue:text}`least_bits:g` bits,
#   {glue:text}`squares_equal_most:.2f` at {glue:text}`most_bits:g`. Together with coarse groups it wasn't measured.
# - **The formats.** NF4 takes {glue:text}`nf4_bits:.2f` bits as stored here and loses more than GPTQ with {glue:text}`gptq_bits:.3f`. MXFP4 and MXINT4
#   take {glue:text}`mx_bits:.2f`. Most of what they lose against GPTQ they lose by rounding to nearest: over RTN at the same effective bits their QiD is
#   {glue:text}`mxfp_rtn:.2f` and {glue:text}`mxint_rtn:.2f`.
#
# ## Text that training never read
#
# The held-out files are new to the models, but files beside them in the same packages were training text. A second text, *unseen*, comes
# from packages that training never read. Its documents are others, so nothing is paired between texts. And files of one
# package are alike: {glue:text}`n_documents:d` files come from {glue:text}`packages_held_out:d` packages in the one text and from
# {glue:text}`packages_unseen:d` in the other. So here we draw whole packages, independently for each text.

# %%
in_packages = packages("evaluation"), packages("unseen")
counts = tuple(document_counts(128, generator, names) for names in in_packages)
by_bits = text_ratios(held_out, unseen, counts, ["bits"]).set_index("bits")
by_way = text_ratios(held_out, unseen, counts)
by_tokens = text_ratios(held_out, unseen, counts, ["tokens_seen"])

# %% tags=["remove-cell"]
baselines = rows[rows["method"] == "none"]
texts = [baselines[baselines["eval_dataset"] == name] for name in (HELD_OUT, UNSEEN)]
sizes = baselines.groupby("model")["n_params_non_embedding"].first()
losses = text_losses(*texts, in_packages)
losses = losses.assign(size=losses["model"].map(sizes)).sort_values(["size", "tokens_seen"])
for name, names in zip(("held_out", "unseen"), in_packages, strict=True):
    put(f"packages_{name}", len(set(names)))
for name, text in zip(("held_out", "unseen"), (held_out, unseen), strict=True):
    put(f"bytes_{name}", (text["n_bytes"] / text["n_tokens"]).iloc[0])
put("loss_least", losses["difference_nats"].min())
put("loss_most", losses["difference_nats"].max())
put("loss_se", losses["difference_se_nats"].median())
assert (losses["difference_nats"] > 0).all(), "the text says that unseen text is harder for every checkpoint"

# %% [markdown]
# First the models in 16 bits.

# %% tags=["remove-input"]
pd.DataFrame(
    {
        "held-out": losses["first_nats"].map("{:.3f}".format),
        "unseen": losses["second_nats"].map("{:.3f}".format),
        "unseen minus held-out": [
            f"{row.difference_nats:.3f} ± {row.difference_se_nats:.3f}" for row in losses.itertuples()
        ],
    }
).set_axis(losses["model"] + ", " + losses["tokens_seen"].map(count_label).rename(None))

# %% [markdown]
# Losses in nats per token. Unseen text is harder for every checkpoint, by {glue:text}`loss_least:.2f` to {glue:text}`loss_most:.2f` nats per token. That
# is not much against an error of about ± {glue:text}`loss_se:.2f`, since packages differ; and all checkpoints read the same packages, so that their
# agreement is no further evidence. A token of unseen text is a little shorter, {glue:text}`bytes_unseen:.3f` bytes against
# {glue:text}`bytes_held_out:.3f`.

# %% tags=["remove-cell"]
for bits, row in by_bits.iterrows():
    put(f"text_{bits:g}", row["ratio"])
    put(f"text_{bits:g}_low", row["low"])
    put(f"text_{bits:g}_high", row["high"])
    put(f"text_{bits:g}_per_byte", row["per_byte"])
holding = by_way[(by_way["low"] < 1) & (by_way["high"] > 1)]
put("n_text_ratios", len(by_way))
put("n_text_holding", len(holding))
put("text_lowest", by_way["ratio"].min())
put("text_highest", by_way["ratio"].max())
put("early_text", by_tokens["ratio"].iloc[0])
put("late_text", by_tokens["ratio"].iloc[-1])
assert ((by_bits["low"] < 1) & (by_bits["high"] > 1)).all(), "the text says that QiD doesn't differ"
assert ((by_tokens["low"] < 1) & (by_tokens["high"] > 1)).all(), "the text says that each holds 1"
assert by_tokens["ratio"].is_monotonic_increasing, "the text says that it rises"
axes = comparison_figures.ratios_by_way(
    by_way, "QiD on unseen over that on held-out text (factor)", [0.9, 1.0, 1.1, 1.2]
)
put("fig_texts", axes.figure)
plt.close("all")

# %% [markdown]
# Now QiD.
#
# ```{glue:figure} fig_texts
# :name: fig-texts
# :alt: Ratio of QiD on unseen text to that on held-out text for twelve ways of rounding, with markers for 2, 3 and 4 bits. The markers lie close to one, and their intervals cover it.
#
# On text of packages that training never read, QiD is the same within a few percent, however one rounds. Pooled over checkpoints; bars:
# 95% by packages, drawn independently for each text.
# ```
#
# Over all ways of rounding, QiD in nats per token on unseen text is {glue:text}`text_2:.2f` [{glue:text}`text_2_low:.2f`,
# {glue:text}`text_2_high:.2f`] times that on held-out text at 2 bits, {glue:text}`text_3:.2f` [{glue:text}`text_3_low:.2f`,
# {glue:text}`text_3_high:.2f`] at 3 and {glue:text}`text_4:.2f` [{glue:text}`text_4_low:.2f`, {glue:text}`text_4_high:.2f`] at 4. In nats
# per byte the factors are {glue:text}`text_2_per_byte:.2f`, {glue:text}`text_3_per_byte:.2f` and {glue:text}`text_4_per_byte:.2f`, because a token
# has fewer bytes there. Of {glue:text}`n_text_ratios:d` ratios by way and width, from {glue:text}`text_lowest:.2f` to
# {glue:text}`text_highest:.2f`, {glue:text}`n_text_holding:d` have an interval that holds 1 ({numref}`fig-texts`).
#
# With training the ratio rises, from {glue:text}`early_text:.2f` at {glue:text}`least_tokens:s` tokens to {glue:text}`late_text:.2f` at
# {glue:text}`most_tokens:s`. Each of these intervals holds 1, too. Whether the drift is real, more models will have to say.
#
# ## Would another text order the methods differently?

# %%
pairs = orders(held_out, unseen, counts)
swapped = pairs[pairs["swapped"]]

# %% tags=["remove-cell"]
put("n_pairs", len(pairs))
put("n_swapped", len(swapped))
put("n_both_clear", int((pairs["clear_first"] & pairs["clear_second"]).sum()))
put("tau", 1 - 2 * len(swapped) / len(pairs))
put("swapped_farthest", float(np.exp(np.abs(np.log(swapped[["ratio_first", "ratio_second"]])).max().max())) - 1)
both = swapped["clear_first"] & swapped["clear_second"]
assert not both.any(), "the text says that no pair swaps clearly"
assert len(swapped) < 0.1 * len(pairs), "the text says that few swap"

# %% [markdown]
# At one width of codes, {glue:text}`n_pairs:d` pairs of ways can be formed. {glue:text}`n_swapped:d` of them change places between the texts: a
# rank correlation (Kendall's τ) of {glue:text}`tau:.2f`. The pairs that swap lie at most {glue:text}`swapped_farthest:.0%` apart on either text, and
# none is told apart on both. In {glue:text}`n_both_clear:d` pairs the interval leaves out 1 on both texts, and those
# have the same order on both. For these models it doesn't matter which of the two texts one uses to choose a method.
#
# ## What this does not show
#
# - **Three training runs.** The {glue:text}`n_checkpoints:d` checkpoints come from {glue:text}`n_runs:d` runs, and those of one run are not independent. The intervals are
#   about documents; the pale strokes show what single runs give, and these differ in size as well as in chance. A factor
#   that holds for these three may be another for a fourth.
# - **Narrow models.** One group a row means 64 to 512 weights here. In a model of usual width it means thousands, and the advantage of coarse groups may
#   turn over.
# - **One draw of calibration text** for all but plain GPTQ. The wider intervals borrow that scatter from plain GPTQ at the last checkpoints, for all ways
#   and all checkpoints alike, and take it as independent from checkpoint to checkpoint.
# - **Two texts of one kind**: Python source. Prose, or another language, is another question.
# - **AWQ without clipping**, and no search of AWQ's or GPTQ's settings for these models.
#
# ## Exercises
#
# **1.** NF4 and RTN at 4 bits lose about the same. Which would you store?
#
# ```{admonition} Answer
# :class: dropdown
#
# RTN on this grid: its scales and zero points take {glue:text}`gptq_bits:.3f` effective bits, NF4's take {glue:text}`nf4_bits:.2f`. With a scale of 16 bits NF4
# would take 4.5, and the answer would be the other.
# ```
#
# **2.** Why is the interval of a ratio between two ways so much narrower than that of a ratio between two texts?
#
# ```{admonition} Answer
# :class: dropdown
#
# Two ways read the same documents. What makes a document suffer from rounding is in both QiDs and cancels. Two texts have no
# document in common, so that both sets of documents add their scatter; and the files of one package bring less news than as many files of
# different packages.
# ```
