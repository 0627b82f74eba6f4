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
# # Spend bits on wider codes, not on kept weights
#
# *Some weights matter more than others. Which of them are worth keeping, at equal cost?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** With 5% to 10% of the parameters kept in 16 bits and the rest at 3 bits, QiD is {glue:text}`matrices_3:.1f`
#   [{glue:text}`matrices_3_low:.1f`, {glue:text}`matrices_3_high:.1f`] times that of plain GPTQ at the same stored bits (95%,
#   over training runs and documents).
# - **How sure.** {glue:text}`seven_checkpoints:d` checkpoints of {glue:text}`seven_sizes:d` runs up to
#   {glue:text}`seven_largest:s` parameters. Bits divided among columns (CMPQ) come nearer, without a lead over GPTQ in groups of 128. GWQ,
#   CMPQ and CrossQuant are our own small versions. Stored bits were counted, time was not.
# - **Use it for.** Spending bits: widen all codes before keeping some weights. For inputs of 4 bits use a scale that knows the
#   channel too.
# ```
#
# Round-to-nearest treats every weight alike. Nearly every better way of rounding says that some things should be spared: columns,
# matrices, single weights, or the inputs. Each was proposed with its own models, text and count of bits. Here all of them
# round the same checkpoints and are scored on the same text, and whatever is spared is counted. {term}`Intervals <interval>` run over
# training runs, one a size, and over documents where that is said.

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

from helpers.analyse.mixed import keeping
from helpers.analyse.rows import resampling
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import rows_in_groups
from helpers.show.figures import comparisons
from helpers.show.figures import keeping as keeping_figures
from helpers.show.glue import put_all
from helpers.show.style import count_label, use_house_style
from helpers.show.tables import kept_table
from helpers.table.families.catalogue import read_manifest
from helpers.table.files import read_table

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here
from helpers.measure.describing import kernel_shares
from helpers.measure.models import checkpoints
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.text import corpus_lock, token_blocks

use_house_style()

TOKEN, CROSS, HALF = "RTN, a scale a token", "CrossQuant, 0.15", "CrossQuant, 0.5"
INPUT_STYLES = {TOKEN: ("#b85c93", "s"), HALF: ("#0072b2", "D"), CROSS: ("#009e73", "o")}


def put_ratio(name, row):
    """Glue a pooled ratio with the ends of its interval."""
    put_all(**{name: row["ratio"], f"{name}_low": row["low"], f"{name}_high": row["high"]})


# %% [markdown]
# ## What each way keeps
#
# | way | what it keeps | how it chooses | what that costs |
# |---|---|---|---|
# | RTN | nothing | | a scale and a zero point a group |
# | GPTQ {cite:p}`frantar2023gptq` | nothing; what rounding breaks is mended in columns not yet rounded | second moments of the inputs | as RTN |
# | AWQ {cite:p}`lin2023awq` | columns with large inputs: they are scaled up before rounding | mean magnitude of the inputs | as RTN |
# | mixed precision by matrix {cite:p}`cao2024mixed` | whole matrices, or whole blocks, in 16 bits; GPTQ for the rest | a search on other text | 16 bits for every weight of what is kept |
# | GWQ {cite:p}`shao2025gwq` | single weights in 16 bits, RTN for the rest | gradient of the loss on one sequence | 16 bits and a place for each of them |
# | CMPQ {cite:p}`chen2024cmpq` | bits: a column has 2, 3 or 4; a few weights in 16 bits | norms of the inputs, and the error of rounding | a codebook a column; a place for each weight kept |
# | CrossQuant {cite:p}`liu2024crossquant` | small inputs, when inputs are rounded too | largest input of the token and of the channel | no stored bits |
#
# GWQ, CMPQ and CrossQuant are small implementations of our own; the {doc}`bibliography <../bibliography>` says what of the papers they were
# made from. GWQ keeps
# {glue:text}`gwq_share:.0%` of each matrix, as its paper does. How CMPQ divides the bits is our formula, not the paper's: as many as make the
# weighted error least if it halves with every bit. The method's file says what is whose.
#
# ## Stored bits
#
# Of the weights of all blocks' matrices a share $Q_r$ is rounded, to $b$ bits with everything that is stored beside the codes: scales, zero
# points, codebooks, single weights kept and where they are. The others have 16 bits. {term}`Stored bits <effective bits>`,
#
# $$
# B = Q_r\, b + (1 - Q_r) \cdot 16 ,
# $$ (eq-stored-bits)
#
# are in bits per weight. A code of 2 bits in groups of 32 has {glue:text}`stored_2:.2f` stored bits.

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
rows = keeping.seven_rows(measured)
every = keeping.with_ways(keeping.with_stored_bits(degradation(rows)))
weights_only = every[every["bits"] < 8].reset_index(drop=True)  # codes of 8 bits are there for rounded inputs alone

# %% tags=["remove-cell"]
put_all(seven_checkpoints=every["checkpoint_id"].nunique(), seven_sizes=every[N_PARAMS].nunique())
put_all(seven_smallest=count_label(every[N_PARAMS].min()), seven_largest=count_label(every[N_PARAMS].max()))
put_all(seven_first=count_label(every[TOKENS_SEEN].min()), seven_last=count_label(every[TOKENS_SEEN].max()))
plain = weights_only[weights_only["way"] == keeping.LINE].groupby("bits")["stored_bits"]
assert (plain.max() == plain.min()).all(), "the text says what a code of 2 bits stores, on every checkpoint"
put_all(stored_2=plain.first()[2], stored_end=plain.first().max(), most_bits=int(plain.first().index.max()))
put_all(gwq_share=every.loc[every["way"] == "GWQ", "outlier_share"].iloc[0])

# %% [markdown]
# There are {glue:text}`seven_checkpoints:d` checkpoints of {glue:text}`seven_sizes:d` training runs, one a size, from
# {glue:text}`seven_smallest:s` to {glue:text}`seven_largest:s` parameters and {glue:text}`seven_first:s` to {glue:text}`seven_last:s` tokens, all at one
# constant learning rate, measured on a GPU.
#
# ## The picture

# %% tags=["remove-cell"]
sizes = np.sort(every[N_PARAMS].unique())
reached = weights_only[weights_only["stored_bits"] <= plain.first().max()]  # beyond it there is nothing to compare with
shown = reached[reached[N_PARAMS].isin(sizes[[0, sizes.size // 2, -1]])]
latest = shown[shown[TOKENS_SEEN] == shown.groupby("model")[TOKENS_SEEN].transform("max")]
put_all(fig_seven_stored=keeping_figures.qid_against_stored_bits(latest))
plt.close("all")
on_front = keeping.on_front(reached)
share_of_front = on_front.groupby(reached["way"]).sum() / on_front.sum()
put_all(front_points=int(on_front.sum()), front_line=share_of_front[keeping.LINE], front_cmpq=share_of_front["CMPQ"])
put_all(front_recipes=share_of_front[[keeping.SINGLE, keeping.BLOCKS]].sum())
assert (share_of_front[["RTN", "AWQ", "GWQ"]] == 0).all(), "the text says that these are never on a front"

# %% [markdown]
# ```{glue:figure} fig_seven_stored
# :name: fig-seven-stored
# :alt: QiD on a logarithmic axis against stored bits per weight, one panel each for the smallest, a middle and the largest size. A falling line joins the points of plain GPTQ; markers show round-to-nearest, AWQ, GPTQ with matrices or blocks kept, GWQ and CMPQ. All lie above the line in the first panel; in the last some of CMPQ lie below.
#
# What lies below the line of plain GPTQ, groups of 32, loses less at its bits: in a wide model some of CMPQ's marks, and nothing else.
# Last checkpoint of three sizes; bars: one paired error.
# ```
#
# A way is on the *front* of a checkpoint if no other stores as little and loses less. Up to {glue:text}`stored_end:.2f` stored bits, where plain GPTQ
# ends, {glue:text}`front_points:d` points of all checkpoints are on a front: {glue:text}`front_line:.0%` of them are plain GPTQ's, {glue:text}`front_cmpq:.0%` CMPQ's and {glue:text}`front_recipes:.0%` recipes',
# which fill the gaps between two widths of codes. RTN, AWQ and GWQ are never there.
#
# ## Against the same bits spent on codes
#
# Bits can always be spent otherwise: on wider codes for all weights. So each way's QiD is divided by that of plain GPTQ *at the same stored
# bits*. GPTQ was measured at 2 to {glue:text}`most_bits:d` bits; between these we draw straight lines in $\ln \Delta L$, checkpoint by checkpoint.
# The line ends at {glue:text}`stored_end:.2f` stored bits, and ways that store more aren't compared; nor are places where some draw of documents has a QiD at or
# below zero. Ratios are factors without a unit, pooled by the geometric mean. Their 95% intervals count training runs, not checkpoints
# (a cluster-robust covariance, CR2, with Student's t), and the documents that both ways read.

# %% tags=["hide-input"]
documents = resampling.document_counts(every["n_documents"].iloc[0], np.random.default_rng(seed))
ratios, draws = keeping.against_line(weights_only, documents)
summary = keeping.pooled(ratios, draws)

# %% tags=["remove-cell"]
put_all(fig_seven_ratios=keeping_figures.pooled_ratios(summary[summary["n_models"] > 3]).figure)
plt.close("all")
put_all(n_settings=len(summary), n_below=int((summary["high"] < 1).sum()), n_above=int((summary["low"] > 1).sum()))
put_all(n_untold=int(((summary["low"] <= 1) & (summary["high"] >= 1)).sum()))
left_out = len(weights_only) - len(ratios) - int((weights_only["way"] == keeping.LINE).sum())
put_all(n_compared=len(ratios), n_left_out=left_out)
better = ratios["ratio"] < 1
put_all(n_cmpq=int((ratios["way"] == "CMPQ").sum()), n_cmpq_below=int(better.sum()))
assert (ratios.loc[better, "way"] == "CMPQ").all(), "the text says that only CMPQ ever loses less"
others = summary[(summary["way"] != "CMPQ") & (summary["n_models"] > 3)]
assert (others["low"] > 1).all(), "the text says that all other ways lose more"

# %% [markdown]
# ```{glue:figure} fig_seven_ratios
# :name: fig-seven-ratios
# :alt: Pooled ratio of QiD to that of GPTQ at equal stored bits, on a logarithmic axis, against mean stored bits, with one colour and marker for each way and 95% intervals as bars, and a line at one. Only intervals of CMPQ reach the line; recipes that keep matrices rise to more than a hundred.
#
# Nothing but CMPQ comes near one: the same bits would have done more in GPTQ's codes. Pooled over all checkpoints; bars: 95% by training runs
# and documents. Settings that only two or three sizes have are in the table alone.
# ```

# %% tags=["remove-input", "hide-output"] mystnb={"code_prompt_show": "Table: the numbers behind the figure, with slopes in size and tokens", "code_prompt_hide": "Table: the numbers behind the figure, with slopes in size and tokens"}
kept_table(summary)

# %% [markdown]
# The table has the numbers behind {numref}`fig-seven-ratios`, and slopes of the ratio's logarithm: a slope of 0.1 in $\ln N$ means a factor of 1.26 for
# ten times the size. {glue:text}`n_compared:d` rows are compared, {glue:text}`n_left_out:d` left out. Of {glue:text}`n_settings:d` settings
# the interval lies below 1 in {glue:text}`n_below:d`, above 1 in {glue:text}`n_above:d`, and holds 1 in {glue:text}`n_untold:d`: CMPQ's at low means, and
# recipes that only two or three sizes have. Of single rows {glue:text}`n_cmpq_below:d` lose less than GPTQ, all of them among CMPQ's
# {glue:text}`n_cmpq:d`.
#
# ### Does it help what it is built on?
#
# GWQ is RTN with some weights spared, and AWQ is RTN with some columns scaled. Whether *sparing* helps is told by the ratio to RTN's own line. It doesn't
# for GWQ, and does a little for AWQ.

# %% tags=["remove-cell"]
to_nearest = keeping.pooled(*keeping.against_line(weights_only, documents, keeping.NEAREST)).set_index(
    ["way", "setting"]
)
by = summary.set_index(["way", "setting"])
for bits in (2, 3):
    put_ratio(f"gwq_rtn_{bits}", to_nearest.loc["GWQ", f"{bits} bits"])
put_ratio("awq_rtn", to_nearest.loc["AWQ", "4 bits"])
put_ratio("awq_gptq", by.loc["AWQ", "4 bits"])
put_ratio("gwq_gptq", by.loc["GWQ", "2 bits"])
put_all(gwq_extra=by.loc[("GWQ", "2 bits"), "stored_bits"] - plain.first()[2])
untold = summary[(summary["low"] <= 1) & (summary["high"] >= 1)]
assert ((untold["way"] == "CMPQ") | (untold["n_models"] <= 3)).all(), "the text says which can't be told from 1"
assert to_nearest.loc["GWQ", "low"].iloc[:2].min() > 1 > to_nearest.loc[("AWQ", "4 bits"), "high"], (
    "GWQ loses, AWQ gains"
)
for name, mean in (("low", "2.5"), ("high", "3.5")):
    put_ratio(f"cmpq_{name}_mean", by.loc["CMPQ", f"mean {mean} bits"])
    one = ratios[(ratios["way"] == "CMPQ") & (ratios["setting"] == f"mean {mean} bits")].sort_values(
        [N_PARAMS, TOKENS_SEEN]
    )
    ends = one.drop_duplicates(N_PARAMS, keep="last").iloc[[0, -1]]
    put_all(**{f"cmpq_{name}_{end}": ends["ratio"].iloc[place] for place, end in ((0, "smallest"), (1, "largest"))})
    put_all(
        **{
            f"cmpq_{name}_bits_{end}": ends["stored_bits"].iloc[place]
            for place, end in ((0, "smallest"), (1, "largest"))
        }
    )
    low, high = np.exp(np.quantile(draws[ends.index[-1]], [0.025, 0.975]))
    put_all(**{f"cmpq_{name}_largest_low": low, f"cmpq_{name}_largest_high": high})
    assert (high < 1) == (name == "low"), "the text says that the largest model gains at the low mean alone"
columns = ["checkpoint_id", "stored_bits", "qid_nats"]
cheap = weights_only.loc[weights_only["setting"] == "mean 2.25 bits", columns].merge(
    weights_only.loc[(weights_only["way"] == keeping.LINE) & (weights_only["bits"] == 2), columns], on="checkpoint_id"
)
cheaper = cheap[cheap["stored_bits_x"] < cheap["stored_bits_y"]]
put_all(n_cheaper=len(cheaper), n_cheaper_wins=int((cheaper["qid_nats_x"] < cheaper["qid_nats_y"]).sum()))

# %% tags=["remove-cell"]
in_groups = keeping.with_stored_bits(rows_in_groups(measured))
beside = keeping.with_coarse_groups(ratios[ratios["way"] == "CMPQ"], in_groups)
beside = beside.assign(against=beside["ratio"] / beside["coarse"])
put_all(
    coarse_models=beside["model"].nunique(), n_beside=len(beside), n_beside_below=int((beside["against"] < 1).sum())
)
put_all(n_beside_fine=int((beside["ratio"] < 1).sum()))
middle = beside[beside["setting"] == "mean 2.5 bits"]
for name, column in (("coarse", "coarse"), ("cmpq_coarse", "against")):
    logs = middle.assign(log=np.log(middle[column])).groupby("model")["log"].mean()
    found = mean_over_runs(logs)
    put_ratio(name, {"ratio": np.exp(found["mean"])} | {end: np.exp(found[end]) for end in ("low", "high")})
put_all(coarse_least=beside["coarse"].min(), coarse_most=beside["coarse"].max())
wins = beside.loc[beside["against"] < 1, "setting"]
assert (wins == "mean 2.25 bits").all(), "the text says that it is ahead at the lowest mean alone"
assert beside["coarse"].max() < 1, "the text says that coarse groups lose less at every such place"

# %% [markdown]
# - **GWQ** takes {glue:text}`gwq_extra:.2f` bits a weight more than RTN. At the same stored bits it loses {glue:text}`gwq_rtn_2:.2f`
#   [{glue:text}`gwq_rtn_2_low:.2f`, {glue:text}`gwq_rtn_2_high:.2f`] times as much as RTN at 2 bits and {glue:text}`gwq_rtn_3:.2f`
#   [{glue:text}`gwq_rtn_3_low:.2f`, {glue:text}`gwq_rtn_3_high:.2f`] times at 3; against GPTQ, {glue:text}`gwq_gptq:.2f`
#   [{glue:text}`gwq_gptq_low:.2f`, {glue:text}`gwq_gptq_high:.2f`] times at 2 bits.
# - **AWQ** stores nothing more. At 4 bits it loses {glue:text}`awq_rtn:.2f` [{glue:text}`awq_rtn_low:.2f`, {glue:text}`awq_rtn_high:.2f`] times as
#   much as RTN and {glue:text}`awq_gptq:.2f` [{glue:text}`awq_gptq_low:.2f`, {glue:text}`awq_gptq_high:.2f`] times as much as GPTQ.
# - **CMPQ** pays for its codebooks by the row: at a mean of 2.5 bits it stores {glue:text}`cmpq_low_bits_smallest:.2f` bits in the smallest size and
#   {glue:text}`cmpq_low_bits_largest:.2f` in the largest. At their last checkpoints its ratio to GPTQ is {glue:text}`cmpq_low_smallest:.2f` and
#   {glue:text}`cmpq_low_largest:.2f` [{glue:text}`cmpq_low_largest_low:.2f`, {glue:text}`cmpq_low_largest_high:.2f`, by documents]; over everything {glue:text}`cmpq_low_mean:.2f` [{glue:text}`cmpq_low_mean_low:.2f`,
#   {glue:text}`cmpq_low_mean_high:.2f`]. At a mean of 3.5 bits the two are {glue:text}`cmpq_high_smallest:.2f` (with
#   {glue:text}`cmpq_high_bits_smallest:.2f` stored bits) and {glue:text}`cmpq_high_largest:.2f` [{glue:text}`cmpq_high_largest_low:.2f`, {glue:text}`cmpq_high_largest_high:.2f`]
#   ({glue:text}`cmpq_high_bits_largest:.2f`), and
#   {glue:text}`cmpq_high_mean:.2f` [{glue:text}`cmpq_high_mean_low:.2f`, {glue:text}`cmpq_high_mean_high:.2f`] over everything. At a mean of 2.25 bits it stores less
#   than GPTQ's narrowest codes at {glue:text}`n_cheaper:d` checkpoints of wide models, and still loses less at {glue:text}`n_cheaper_wins:d` of them.
# - **Beside coarse groups** CMPQ has no lead left. Plain GPTQ here means groups of 32, its dearest at equal bits
#   ({doc}`chapter 10 <10-methods-and-texts>`). In the {glue:text}`coarse_models:d` sizes whose width 128 divides, GPTQ in groups of 128 loses
#   {glue:text}`coarse_least:.2f` to {glue:text}`coarse_most:.2f` times as much at CMPQ's own stored bits. Held against those, CMPQ's ratio at a mean of
#   2.5 bits is {glue:text}`cmpq_coarse:.2f` [{glue:text}`cmpq_coarse_low:.2f`, {glue:text}`cmpq_coarse_high:.2f`], and its rows
#   that lose less, {glue:text}`n_beside_fine:d` of {glue:text}`n_beside:d` against groups of 32, come down to {glue:text}`n_beside_below:d`, at a mean of
#   2.25 bits. (The groups were measured on the trunk, another run of these sizes; each factor is taken within its run.)
#
# ### Which matrices?

# %% tags=["remove-cell"]
single = weights_only[weights_only["way"] == keeping.SINGLE]
put_ratio("matrices_2_less", by.loc[keeping.SINGLE, "2 bits, Qr 0.8"])
for bits in (2, 3):
    put_ratio(f"matrices_{bits}", by.loc[keeping.SINGLE, f"{bits} bits, Qr 0.9"])
    kept = keeping.kept_share(single[single["setting"] == f"{bits} bits, Qr 0.9"])
    for name, short in zip(kept.index, ("qkv", "dense", "up", "down"), strict=True):
        put_all(**{f"kept_{short}_{bits}": kept[name]})
    assert kept.idxmax() == "attention.dense", "the text says that these matter most for their weights"
kept_most = [by.loc[(keeping.SINGLE, f"2 bits, Qr {target:g}"), "ratio"] for target in (0.95, 0.9, 0.8, 0.7)]
assert (np.diff(kept_most) > 0).all(), "the text says: the more it keeps, the worse"
of_recipes = reached["way"].isin([keeping.SINGLE, keeping.BLOCKS])
put_all(n_recipes=int(of_recipes.sum()), n_recipes_on_front=int(on_front[of_recipes].sum()))
put_all(n_block_recipes=int((weights_only["way"] == keeping.BLOCKS).sum()))
put_all(n_blocks_compared=int((ratios["way"] == keeping.BLOCKS).sum()))
put_all(n_blocks_below=int(((ratios["way"] == keeping.BLOCKS) & (ratios["ratio"] < 1)).sum()))

# %% [markdown]
# A recipe keeps whole matrices in 16 bits and rounds the others by GPTQ; a search on other text chose them. At equal stored bits none wins, and the
# more a recipe keeps, the worse it stands. With 90% to 95% of the
# parameters rounded it loses {glue:text}`matrices_2:.2f` [{glue:text}`matrices_2_low:.2f`, {glue:text}`matrices_2_high:.2f`] times as much at 2 bits, and
# {glue:text}`matrices_3:.2f` [{glue:text}`matrices_3_low:.2f`, {glue:text}`matrices_3_high:.2f`] times at 3, as GPTQ of the same stored bits. With
# 80% to 90% rounded to 2 bits it is {glue:text}`matrices_2_less:.2f` [{glue:text}`matrices_2_less_low:.2f`, {glue:text}`matrices_2_less_high:.2f`]. Of
# {glue:text}`n_recipes:d` recipes up to {glue:text}`stored_end:.2f` stored bits {glue:text}`n_recipes_on_front:d` are on the front of their checkpoint.
# {glue:text}`n_block_recipes:d` recipes keep whole blocks. They store more, and the line of GPTQ ends early: {glue:text}`n_blocks_compared:d` can be
# compared with it, of which {glue:text}`n_blocks_below:d` lose less.
#
# What do they keep? Of the matrices that mix the heads' outputs {glue:text}`kept_dense_2:.0%` at 2 bits and {glue:text}`kept_dense_3:.0%` at 3;
# of queries, keys and values {glue:text}`kept_qkv_2:.0%` and {glue:text}`kept_qkv_3:.0%`; of those that lead into the MLP's width
# {glue:text}`kept_up_2:.0%` and {glue:text}`kept_up_3:.0%`; of those that lead back {glue:text}`kept_down_2:.0%` and {glue:text}`kept_down_3:.0%`.
# So where weights alone are rounded, what matters most per weight is small and mixes the heads, as {doc}`chapter 13 <13-how-much-can-go-low>` finds by
# another measure; with inputs rounded too it is queries, keys and values. But 16 bits are many: each bit more in a code divides QiD by a factor, and
# the twelve that a spared matrix has beyond a code of 4 bits would widen the codes of many others.
#
# ## By size and tokens

# %% tags=["remove-cell"]
PANELS = {"GWQ, 2 bits": ("GWQ", "2 bits"), "CMPQ, mean 2.25 bits": ("CMPQ", "mean 2.25 bits")}
PANELS |= {
    "CMPQ, mean 3 bits": ("CMPQ", "mean 3 bits"),
    "RTN, 3 bits": ("RTN", "3 bits"),
    "AWQ, 4 bits": ("AWQ", "4 bits"),
}
PANELS |= {"matrices kept, 3 bits, Qr 0.9": (keeping.SINGLE, "3 bits, Qr 0.9")}
cells = dict(list(ratios.groupby(["way", "setting"])))
panels = {title: cells[place] for title, place in PANELS.items()}
values = pd.concat([one["ratio"] for one in panels.values()])
bounds = (values.min() / 1.1, values.max() * 1.1)
put_all(fig_seven_trends=comparisons.ratios_in_panels(panels, keeping_figures.RATIO_LABEL, bounds))
plt.close("all")
slopes = summary.dropna(subset=["size"])
put_all(n_sloped=len(slopes), n_size_down=int((slopes["size_high"] < 0).sum()))
put_all(n_size_up=int((slopes["size_low"] > 0).sum()))
put_all(n_tokens_down=int((slopes["tokens_high"] < 0).sum()), n_tokens_up=int((slopes["tokens_low"] > 0).sum()))
moving = by.loc[("CMPQ", "mean 2.5 bits")]
put_all(**{f"cmpq_{name}{end}": moving[f"{name}{end}"] for name in ("size", "tokens") for end in ("", "_low", "_high")})
falling = by.loc["CMPQ"]
assert (falling[["size_high", "tokens_high"]] < 0).all(axis=None), "the text says that CMPQ's ratio falls with both"
assert (slopes.loc[slopes["size_high"] < 0, "way"] == "CMPQ").all(), "and that no other's falls with size"

# %% [markdown]
# ```{glue:figure} fig_seven_trends
# :name: fig-seven-trends
# :alt: Ratio of QiD to that of GPTQ at equal stored bits against training tokens, six panels, one for each of six settings, with one line a size, darker for larger ones, and a line at one. In the two panels of CMPQ the darker lines fall below it; in the others all stay above.
#
# CMPQ's ratio falls with size and with tokens, and crosses one; the others stay above it. Each line is one training run.
# ```
#
# Of {glue:text}`n_sloped:d` settings the ratio falls with size, distinguishably from zero, in {glue:text}`n_size_down:d`, which are CMPQ's, and rises in
# {glue:text}`n_size_up:d`; with tokens it falls in {glue:text}`n_tokens_down:d` and rises in {glue:text}`n_tokens_up:d`. CMPQ's at a mean of 2.5 bits has
# slopes of {glue:text}`cmpq_size:.2f` [{glue:text}`cmpq_size_low:.2f`, {glue:text}`cmpq_size_high:.2f`] in $\ln N$ and
# {glue:text}`cmpq_tokens:.2f` [{glue:text}`cmpq_tokens_low:.2f`, {glue:text}`cmpq_tokens_high:.2f`] in $\ln D$. The first is what one would expect: the wider a model, the less
# its codebooks weigh. The second isn't explained by stored bits, which tokens don't change.
#
# ## Rounded inputs
#
# CrossQuant is about something else. If the inputs of a matrix are rounded too, a token's largest input sets the scale, and small inputs
# become zero. They are the *kernel*. CrossQuant's scale is $t^\alpha c^{1-\alpha}$, with $t$ the largest input of the token and $c$ that of
# the channel; $\alpha = 1$ is the usual scale a token. Weights have 8 bits and a scale a row. The *cost* of rounded inputs is QiD less that of the same
# weights with inputs as they are, in nats per token.

# %% tags=["hide-input"]
costs = keeping.input_costs(every)
by_way = keeping.costs_by_way(costs).set_index(["way", "setting"])

# %% tags=["remove-cell"]
put_all(
    fig_seven_inputs=keeping_figures.input_costs_against_tokens(
        costs[(costs["activation_bits"] == 4) & costs[N_PARAMS].isin(sizes[[0, sizes.size // 2, -1]])], INPUT_STYLES
    )
)
plt.close("all")
for width in (4, 8):
    for short, way in (("token", TOKEN), ("cross", CROSS), ("half", HALF)):
        one = by_way.loc[way, f"8 bits, inputs {width}"]
        put_all(**{f"{short}_{width}": one["mean"], f"{short}_{width}_low": one["low"]})
        put_all(**{f"{short}_{width}_high": one["high"]})
for short, way in (("token", TOKEN), ("cross", CROSS), ("half", HALF)):
    put_all(**{f"{short}_8_most": by_way.loc[way, "8 bits, inputs 8"]["most"]})
narrow = costs[costs["activation_bits"] == 4].pivot(index="checkpoint_id", columns="way", values="cost_nats")
at_end = (
    costs[costs["activation_bits"] == 4]
    .sort_values([N_PARAMS, TOKENS_SEEN])
    .drop_duplicates([N_PARAMS, "way"], keep="last")
)
for short, way in (("token", TOKEN), ("cross", CROSS)):
    one = at_end.loc[at_end["way"] == way, "cost_nats"]
    put_all(**{f"{short}_smallest": one.iloc[0], f"{short}_largest": one.iloc[-1]})
by_size = at_end.pivot(index=N_PARAMS, columns="way", values="cost_nats")
assert by_size[TOKEN].iloc[-1] > 2 * by_size[TOKEN].iloc[0], "the text says that a scale a token costs more with size"
assert by_size[CROSS].iloc[-1] < by_size[CROSS].iloc[0], "and that CrossQuant's doesn't"
put_all(n_cross_less=int((narrow[CROSS] < narrow[TOKEN]).sum()), n_narrow=len(narrow))

# %% [markdown]
# At 8 bits the inputs cost {glue:text}`token_8:.4f` [{glue:text}`token_8_low:.4f`, {glue:text}`token_8_high:.4f`] nats with a scale a token,
# {glue:text}`half_8:.4f` [{glue:text}`half_8_low:.4f`, {glue:text}`half_8_high:.4f`] with $\alpha = 0.5$ and {glue:text}`cross_8:.4f`
# [{glue:text}`cross_8_low:.4f`, {glue:text}`cross_8_high:.4f`] with $\alpha = 0.15$ (means over sizes); the most at any checkpoint is
# {glue:text}`token_8_most:.4f`, {glue:text}`half_8_most:.4f` and {glue:text}`cross_8_most:.4f`. There is hardly anything to gain. At 4 bits there is:
#
# ```{glue:figure} fig_seven_inputs
# :name: fig-seven-inputs
# :alt: Cost of inputs rounded to four bits, in nats per token, against training tokens, one panel each for the smallest, a middle and the largest size, with three lines: a scale a token, CrossQuant with exponent 0.5 and with exponent 0.15. All rise with tokens; the lines lie together in the first panel and a factor of ten apart in the last.
#
# With a scale a token, inputs of 4 bits cost more the larger a model is and the longer it has been trained; with CrossQuant's exponent of 0.15
# size adds nothing. Bars: one paired error.
# ```
#
# At 4 bits the means are {glue:text}`token_4:.3f` [{glue:text}`token_4_low:.3f`, {glue:text}`token_4_high:.3f`], {glue:text}`half_4:.3f`
# [{glue:text}`half_4_low:.3f`, {glue:text}`half_4_high:.3f`] and {glue:text}`cross_4:.3f` [{glue:text}`cross_4_low:.3f`, {glue:text}`cross_4_high:.3f`] nats;
# $\alpha = 0.15$ costs less than a scale a token at {glue:text}`n_cross_less:d` of {glue:text}`n_narrow:d` checkpoints. From the smallest to the largest size,
# at the last checkpoint of each, the cost goes from {glue:text}`token_smallest:.2f` to {glue:text}`token_largest:.2f` nats with a scale a token, and from
# {glue:text}`cross_smallest:.2f` to {glue:text}`cross_largest:.2f` with $\alpha = 0.15$.
#
# Is it the kernel? Here it is, counted on this machine: the share of inputs that become zero, in each layer of the widest pocket model's last
# checkpoint.

# %% tags=["hide-input", "remove-stderr"]
family = Path("data/tadpole")
spec = max(read_manifest(family), key=lambda one: (one.n_params_total, one.run == one.model, one.step))
decoder = decoder_of(checkpoints.load(checkpoints.fetch(spec), device))
text = token_blocks.heldout_blocks(
    corpus_lock.read_lock().evaluation, checkpoints.tokenizer_of(family), 128, 512
).tokens[:8, :-1]
kernels = pd.DataFrame(
    {"exponent": exponent, "bits": bits, "share": share}
    for exponent in (0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0)
    for bits in (4, 8)
    for share in kernel_shares.kernel_shares(decoder, text, InputRounding("int", bits, None, exponent))
)

# %% tags=["remove-cell"]
put_all(fig_seven_kernels=keeping_figures.kernels(kernels).figure)
plt.close("all")
mean_kernel = kernels.groupby(["bits", "exponent"])["share"].mean()
for width in (4, 8):
    for short, exponent in (("token", 1.0), ("cross", 0.15), ("half", 0.5)):
        put_all(**{f"kernel_{short}_{width}": mean_kernel[width, exponent]})
put_all(kernel_factor=mean_kernel[4, 1.0] / mean_kernel[4, 0.15])
same = costs[(costs["model"] == spec.model) & (costs["step"] == spec.step) & (costs["activation_bits"] == 4)]
same = same.set_index("way")["cost_nats"]
put_all(cost_factor=same[TOKEN] / same[CROSS])
assert same[TOKEN] / same[CROSS] > 1.5 * mean_kernel[4, 1.0] / mean_kernel[4, 0.15], "more than the kernel says"
put_all(kernel_model=spec.model, kernel_tokens=count_label(spec.tokens_seen))

# %% [markdown]
# ```{glue:figure} fig_seven_kernels
# :name: fig-seven-kernels
# :alt: Share of inputs that become zero, on a logarithmic axis, against the exponent of the token's largest input, for inputs of 4 and of 8 bits; hollow points are layers, lines their means.
#
# The kernel by exponent. Hollow: single layers; lines: means over layers. {glue:text}`kernel_model:s` after {glue:text}`kernel_tokens:s` tokens.
# ```
#
# With a scale a token {glue:text}`kernel_token_8:.1%` of the inputs become zero at 8 bits and {glue:text}`kernel_token_4:.0%` at 4; with
# $\alpha = 0.5$ {glue:text}`kernel_half_8:.1%` and {glue:text}`kernel_half_4:.0%`, with $\alpha = 0.15$ {glue:text}`kernel_cross_8:.1%` and
# {glue:text}`kernel_cross_4:.0%`. The paper says that a kernel below 19% (OPT) or 1% (LLaMA) makes 8 bits lossless.
#
# The kernel can't be the whole reason. At 4 bits it shrinks by a factor of {glue:text}`kernel_factor:.2f` from a scale a token to $\alpha = 0.15$, the
# cost at the same size and tokens by a factor of {glue:text}`cost_factor:.2f`. A scale that falls with the channel is a finer step for all inputs of that channel, not only for
# those that would become zero.
#
# ## What this does not show
#
# - **Our versions** of GWQ, CMPQ and CrossQuant aren't their authors' programs. A better grid for GWQ's rest or another division of bits may do
#   more.
# - **Stored bits, not speed.** Codebooks and scattered weights cost time that a group's scale doesn't. None of it was timed here.
# - **Narrow models.** A codebook a column is paid for by the rows; in a model of usual width it would cost hardly anything, and a scale a group of 32 as much as
#   here. GPTQ with coarser groups wasn't among the seven: by those, all ratios of this chapter would be higher.
# - **A straight line** between two widths of GPTQ stands for what a mixture of widths would give; nothing was measured between them.
# - **One draw of calibration text**, one seed, one learning rate, no decay. The search for matrices read other text than the rest of this chapter, but the same
#   search made all recipes.

# %% [markdown]
# ## Exercises
#
# **1.** A tenth of the weights stays in 16 bits, the rest goes to 3 bits in groups of 32. Is that less than everything at 4 bits?
#
# ```{admonition} Answer
# :class: dropdown
# No. By {eq}`eq-stored-bits` it is $0.9 \, (3 + 19/32) + 0.1 \cdot 16$, nearly five bits a weight; everything at 4 bits takes $4 + 20/32$.
# ```
#
# **2.** GWQ keeps single weights in 16 bits. Which bits must be counted beside these 16?
#
# ```{admonition} Answer
# :class: dropdown
# Where they are: each weight kept needs its place in the matrix.
# ```
#
# **3.** Why does the width of a model move CMPQ's stored bits and not GPTQ's?
#
# ```{admonition} Answer
# :class: dropdown
# CMPQ has a codebook a column, whose cost is shared by the rows: more rows, fewer bits a weight. GPTQ's scales are shared by a group,
# which is as long in every model.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* What would GPTQ in groups of 32 lose at exactly 4 *stored* bits? Take the largest model's last checkpoint in `late()` and draw
# a straight line in $\ln$ QiD over `effective_bits`.

# %%
from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # QiD, nats per token
check("16.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = late().query("model == 'tadpole-512x12'")
last = rows[rows["tokens_seen"] == rows["tokens_seen"].max()].sort_values("bits")
check("16.4", np.exp(np.interp(4, last["effective_bits"], np.log(last["qid_nats"]))))

# %% [markdown]
# **5.** *(project)* Draw QiD against `effective_bits` for all schemes in `trunk()` at the last checkpoint of one size. Which of them are on
# the front? Does your answer change with the size, and would it if you counted the codes alone?
