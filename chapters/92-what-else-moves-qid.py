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
# # Recipe and shape move QiD, but less than tokens do
#
# *What moves QiD beside tokens, size and bits?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** At equal tokens, text read twice costs no KL ({glue:text}`part_kl_2_mean:.2f` times [{glue:text}`part_kl_2_low:.2f`,
#   {glue:text}`part_kl_2_high:.2f`], 95% over sizes), read eight times {glue:text}`part_kl_8_small:.2f` to {glue:text}`part_kl_8_large:.2f` times, most in the
#   largest. Decay, depth and no weight decay raise QiD, averages and more weight decay lower it, none by as much as tokens do.
# - **How sure.** One run for each weight decay and each shape; {glue:text}`seed_runs:d` runs with other seeds at {glue:text}`mates:d` of the
#   sizes are the yardstick. One run for each part of the text and size; none had more text than the trunk.
# - **Use it for.** Knowing which changes of a recipe are worth a test; {doc}`chapter 7 <07-tokens-or-decay>` takes decay and tokens apart.
# ```
#
# These are the study's other rows, of which {doc}`chapter 4 <04-degradation>` took the trunk alone: {glue:text}`all_runs:d` training runs and
# branches that are measured alike, and {glue:text}`second_sizes:d` second runs with their cooldowns. {term}`Intervals <interval>` run over
# training runs, one a size; in the table of runs that differ in one thing over documents.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from helpers.analyse.questions import decay as decay_questions
from helpers.analyse.questions.decay_surface import decay_surface, full_cooldowns
from helpers.analyse.questions.register import read_register
from helpers.analyse.questions.trends import loss_changes, slopes_by_pass, slopes_of_two_runs, steps_up, trends
from helpers.analyse.questions.twins import differences_of_runs, qid_ratio, ratios_to_twins
from helpers.analyse.questions.ways import text_losses
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.outcomes import KL, QID
from helpers.analyse.rows.second_runs import both_runs, one_run_scatter, whole_rows
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    HELDOUT,
    LATE_TOKENS,
    UNSEEN,
    agreeing,
    on_trunk,
    rows_of_every_run,
    study_rows,
    unbranched,
)
from helpers.show.figures import comparisons
from helpers.show.figures import decay as decay_figures
from helpers.show.figures import qid as figures
from helpers.show.glue import put, put_all
from helpers.show.numbers.learn import degradation as numbers
from helpers.show.numbers.learn import other_recipes, read_again, tokens_or_decay
from helpers.show.style import count_label, use_house_style
from helpers.show.tables import ratio_table, twins_table
from helpers.table.corpus import packages
from helpers.table.files import read_checkpoints, read_table

use_house_style()

BITS = list(FITTED_BITS)
AT_3 = {"bits": 3, "group_size": GROUP_SIZE, "symmetric": False}

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
study = degradation(study_rows(measured))
gptq = rows_of_fit(study, "gptq", GROUP_SIZE, symmetric=False)
gptq = gptq[gptq["bits"].isin(BITS)]
of_every_run = rows_of_every_run(measured)
twice = {outcome.name: both_runs(measured, outcome) for outcome in (QID, KL)}
twice = {name: both[both[TOKENS_SEEN] > LATE_TOKENS] for name, both in twice.items()}
second = whole_rows(measured, first=False)

# %% tags=["remove-cell"]
sizes = np.sort(gptq[N_PARAMS].unique())
by_tokens = trends(gptq[gptq[TOKENS_SEEN] > LATE_TOKENS], TOKENS_SEEN, ["model", N_PARAMS, "bits"])
growth = by_tokens["end_nats"] / by_tokens["start_nats"]
put("all_runs", of_every_run.query("n_averaged == 1")["run"].nunique())
put("second_sizes", twice["qid"]["model"].nunique())
put("study_steps", gptq["step"].nunique())
put("early_tokens", count_label(LATE_TOKENS))

# %% [markdown]
# ## Text read again
#
# The training text has {glue:text}`unique_tokens:s` tokens. A checkpoint beyond that has read text twice or more. The trunk's last
# has gone through it {glue:text}`passes_last:.1f` times; {glue:text}`steps_again:d` of its {glue:text}`study_steps:d` checkpoints
# come after the first pass. {cite:t}`muennighoff2023repeat` found that a few passes over the same text cost a model's 16-bit loss next to
# nothing. Does reading again change how QiD grows? We cut training into pieces that double the tokens, and look
# at two things on either side of the end of the first pass (a piece begins and ends at the last checkpoint before the pass named):
# the slope of $\ln$ QiD in $\ln D$ (no unit), and the 16-bit loss on text of packages that training never saw, minus that on
# held-out files of packages that it did see. A model that learns its packages by heart should gain on files of these packages and
# not on others.

# %% tags=["hide-input"]
PASSES = [0.25, 0.5, 1, 2, 4]
slopes = slopes_by_pass(gptq, PASSES)
over_sizes = slopes.groupby(["bits", "start"])["exponent"].apply(lambda one: pd.Series(mean_over_runs(one))).unstack()
bends = slopes.pivot(index=["bits", "run_label"], columns="start", values="exponent").diff(axis=1)

texts = [study_rows(measured, text).query("method == 'none'") for text in (HELDOUT, UNSEEN)]
files = packages("evaluation"), packages("unseen")
gaps = text_losses(*texts, files).merge(texts[0][["checkpoint_id", "epochs", N_PARAMS]], on="checkpoint_id")
gaps = gaps[gaps[TOKENS_SEEN] > LATE_TOKENS]
changes = [loss_changes(text, PASSES) for text in texts]
widening = text_losses(*changes, files).merge(changes[0][["checkpoint_id", "start", N_PARAMS]], on="checkpoint_id")
widening["share"] = widening["second_nats"] / widening["first_nats"]

# %% tags=["remove-cell"]
CLEAR_BENDS = {("before", 2), ("before", 3), ("before", 4)}
epochs = gptq["epochs"]
put("unique_tokens", count_label(gptq["unique_tokens"].iloc[0]))
put("passes_last", epochs.max())
put("steps_again", gptq.loc[epochs > 1, "step"].nunique())
for start, piece in ((0.25, "early"), (0.5, "before"), (1, "second"), (2, "last")):
    for name in ("mean", "low", "high"):
        put(f"slope_{piece}_2_{name}", over_sizes.loc[(2, start), name])
for bits in BITS:
    for start, piece in ((0.5, "before"), (1, "second"), (2, "last")):
        bend = mean_over_runs(bends.loc[bits, start])
        if piece == "second" or (piece, bits) == ("before", 2):
            for name in ("mean", "low", "high"):
                put(f"bend_{piece}_{bits}_{name}", f"{bend[name]:+.2f}".replace("-", "−"))
        clear = bend["high"] < 0 or bend["low"] > 0
        assert clear == ((piece, bits) in CLEAR_BENDS), f"{piece}, {bits} bits: the text says which bends are clear"
first_piece = slopes[(slopes["start"] == 0.25) & (slopes["bits"] == 2)].set_index(N_PARAMS)["exponent"]
put("slope_smallest", first_piece[sizes[0]])
put("slope_largest", first_piece[sizes[-1]])
assert first_piece[sizes[0]] > 1.5 * first_piece[sizes[-1]], "a caption says: at first most steeply in small models"
upwards = bends[2].unstack("bits")
large = slopes[slopes[N_PARAMS] >= sizes[-2]]["run_label"].unique()
put("large_up", int((upwards.loc[large] > 0).to_numpy().sum()))
put("large_bends", upwards.loc[large].size)
put("small_up", int((upwards.drop(large) > 0).to_numpy().sum()))
put("small_bends", upwards.drop(large).size)
for start, piece in ((0.5, "before"), (1, "second"), (2, "last")):
    rows = widening[widening["start"] == start]
    wider = mean_over_runs(rows["difference_nats"])
    for name in ("mean", "low", "high"):
        put(f"wider_{piece}_{name}", wider[name])
    if start >= 1:
        put(f"share_{piece}_small", rows.loc[rows[N_PARAMS] < sizes[-2], "share"].mean())
        put(f"share_{piece}_large", rows.loc[rows[N_PARAMS] >= sizes[-2], "share"].mean())
    assert wider["low"] > 0, "the text says that the gap grows in each piece"
widest = widening[widening["start"] == 2].set_index(N_PARAMS).loc[sizes[-1]]
put("widest", widest["difference_nats"])
put("widest_se", widest["difference_se_nats"])
put("gap_se", gaps["difference_se_nats"].median())
of_two = gptq.pivot(index=["bits", TOKENS_SEEN], columns=N_PARAMS, values="qid_nats")
last_step = of_two[sizes[-1]] / of_two[sizes[-2]]
once = gptq.loc[epochs <= 1, TOKENS_SEEN].max()
for bits in BITS:
    in_pass, at_end = last_step[bits, once], last_step[bits, gptq[TOKENS_SEEN].max()]
    put(f"last_step_{bits}_once", in_pass)
    put(f"last_step_{bits}_end", at_end)
    assert at_end > (1.5 if bits > 2 else 1.1) * in_pass, "the text says that it ends nearer to one at each width"
put("once_tokens", count_label(once))

# the same ratio in KL, in other groups and in the second runs of both sizes
peak = last_step[3].loc[once:].idxmax()
by_group = degradation(study_rows(measured)).query("method == 'gptq' and symmetric == False")
by_group = by_group[by_group[TOKENS_SEEN] == peak].assign(group=by_group["group_size"].fillna(0).astype(int))
by_group = by_group.pivot(index=["bits", "group"], columns=N_PARAMS, values="kl_nats")
in_kl = by_group[sizes[-1]] / by_group[sizes[-2]]
put("peak_tokens", count_label(peak))
put("peak_qid", last_step[3, peak])
put_all(**{f"peak_kl_3_{group}": in_kl[3, group] for group in (32, 64, 128, 0)})
put_all(**{f"peak_kl_{bits}": in_kl[bits, GROUP_SIZE] for bits in (4, 6, 8)})
ends_kl = gptq.pivot(index=["bits", TOKENS_SEEN], columns=N_PARAMS, values="kl_nats")
ends_kl = ends_kl[sizes[-1]] / ends_kl[sizes[-2]]
for bits in BITS:
    put(f"last_kl_{bits}_once", ends_kl[bits, once])
    put(f"last_kl_{bits}_end", ends_kl[bits, gptq[TOKENS_SEEN].max()])
    assert ends_kl[bits, gptq[TOKENS_SEEN].max()] > 1.05 * ends_kl[bits, once], "the text says: it climbs in KL too"
shared = twice["kl"].pivot(index=["bits", TOKENS_SEEN], columns=N_PARAMS, values=["first_nats", "second_nats"])
shared = shared.swaplevel(axis=1)
shared = (shared[sizes[-1]] / shared[sizes[-2]]).loc[3].dropna()
put("second_last", count_label(shared.index[-1]))
put_all(second_ratio_3=shared["second_nats"].iloc[-1], first_ratio_3=shared["first_nats"].iloc[-1])
assert in_kl[3, GROUP_SIZE] > 1.2 * in_kl[3].drop(GROUP_SIZE).max(), "the text says: one way of rounding alone"
of_seed = degradation(of_every_run[of_every_run["run"] == "tadpole-512x12-seed1"])
of_seed = of_seed[agreeing(of_seed, AT_3 | {"method": "gptq", TOKENS_SEEN: shared.index[-1]})]
next_size = gptq[agreeing(gptq, {"bits": 3, TOKENS_SEEN: shared.index[-1], N_PARAMS: sizes[-2]})]
put("seed_ratio_3", of_seed["kl_nats"].item() / next_size["kl_nats"].item())
assert of_seed["kl_nats"].item() < 0.9 * shared["first_nats"].iloc[-1] * next_size["kl_nats"].item(), (
    "and by another seed"
)
assert shared["second_nats"].iloc[-1] < 0.9 * shared["first_nats"].iloc[-1], "the text says: lower in the second runs"
again = (
    pd.concat(texts)
    .query("epochs > 1")
    .sort_values("epochs")
    .groupby(["eval_dataset", "run"])["loss_nats"]
    .diff()
    .dropna()
)
put("loss_steps", len(again))
put("loss_down", int((again < 0).sum()))
slopes = slopes.merge(over_sizes.reset_index(), on=["bits", "start"])
put("fig_again", figures.read_again(slopes, gaps))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_again
# :name: fig-again
# :alt: On the left the slope of ln QiD in ln D in four pieces of training, for 2, 3 and 4 bits, as means over sizes with intervals and pale dots for single runs. It falls from about one to a half within the first pass and then hardly. On the right the loss on unseen minus held-out text against passes through the training text, one line for each size. Beyond half a pass all lines rise, those of large models higher and more steeply; none bends at one pass.
#
# The slope of QiD falls most within the first pass, where nothing is read again. The two texts part before the end of the first
# pass and go on at much the same pace after it. Bars: 95% intervals over sizes; pale dots: single runs.
# ```
#
# **The slope** falls along the whole of training, and most where nothing had been read twice ({numref}`fig-again`). At 2 bits it is
# {glue:text}`slope_early_2_mean:.2f` [{glue:text}`slope_early_2_low:.2f`, {glue:text}`slope_early_2_high:.2f`] in the second
# quarter of the first pass, {glue:text}`slope_before_2_mean:.2f` [{glue:text}`slope_before_2_low:.2f`,
# {glue:text}`slope_before_2_high:.2f`] in its second half, {glue:text}`slope_second_2_mean:.2f`
# [{glue:text}`slope_second_2_low:.2f`, {glue:text}`slope_second_2_high:.2f`] in the second pass and
# {glue:text}`slope_last_2_mean:.2f` [{glue:text}`slope_last_2_low:.2f`, {glue:text}`slope_last_2_high:.2f`] in the third and fourth
# (means over sizes, with 95% intervals that count training runs). The first of these is far apart because small models are still in
# their early growth there: {glue:text}`slope_smallest:.2f` in the smallest, {glue:text}`slope_largest:.2f` in the largest.
#
# From the last half pass of new text to the first pass of old text the slope changes by {glue:text}`bend_second_2_mean:s`
# [{glue:text}`bend_second_2_low:s`, {glue:text}`bend_second_2_high:s`] at 2 bits, {glue:text}`bend_second_3_mean:s`
# [{glue:text}`bend_second_3_low:s`, {glue:text}`bend_second_3_high:s`] at 3 and {glue:text}`bend_second_4_mean:s`
# [{glue:text}`bend_second_4_low:s`, {glue:text}`bend_second_4_high:s`] at 4, each size beside itself: none is clear of zero. Within
# the first pass it had changed by {glue:text}`bend_before_2_mean:s` [{glue:text}`bend_before_2_low:s`,
# {glue:text}`bend_before_2_high:s`] at 2 bits. So if the slope gets smaller, it did so before, and faster.
#
# **The loss** goes on falling: beyond the first pass in {glue:text}`loss_down:d` of {glue:text}`loss_steps:d` steps on the two
# texts together, at every size. The gap between them carries an error of {glue:text}`gap_se:.3f` nats per token, because the two
# texts are different documents; its growth is known better, since each text is compared with itself. The gap grows by
# {glue:text}`wider_before_mean:.4f` [{glue:text}`wider_before_low:.4f`, {glue:text}`wider_before_high:.4f`] nats per token in the
# second half of the first pass, by {glue:text}`wider_second_mean:.4f` [{glue:text}`wider_second_low:.4f`,
# {glue:text}`wider_second_high:.4f`] in the second pass and by {glue:text}`wider_last_mean:.4f` [{glue:text}`wider_last_low:.4f`,
# {glue:text}`wider_last_high:.4f`] in the third and fourth (means over sizes, intervals over sizes). The two texts don't part at
# the end of the first pass. They had parted before it: a model gets to know the packages as it reads them for the first time.
#
# **A hint in the largest models.** In the third and fourth pass the two largest gain on unseen text
# {glue:text}`share_last_large:.0%` of what they gain on held-out text, after {glue:text}`share_second_large:.0%` in the second
# pass; in the smaller ones it is {glue:text}`share_last_small:.0%` after {glue:text}`share_second_small:.0%`. In the largest the
# gap grew by {glue:text}`widest:.4f` ± {glue:text}`widest_se:.4f` there. And their slopes rise from the second pass to the last two
# in {glue:text}`large_up:d` of {glue:text}`large_bends:d` cases, those of the smaller models in {glue:text}`small_up:d` of
# {glue:text}`small_bends:d`. After {glue:text}`once_tokens:s` tokens, still in the first pass, the largest model has
# {glue:text}`last_step_2_once:.2f`, {glue:text}`last_step_3_once:.2f` and {glue:text}`last_step_4_once:.2f` of the next one's QiD at
# 2, 3 and 4 bits, and {glue:text}`last_step_2_end:.2f`, {glue:text}`last_step_3_end:.2f` and {glue:text}`last_step_4_end:.2f` at the
# end. That is where learning by heart would show first. Two runs on the same batches don't establish it.
#
# **How much of that is luck?** In KL the climb is from {glue:text}`last_kl_2_once:.2f`, {glue:text}`last_kl_3_once:.2f` and
# {glue:text}`last_kl_4_once:.2f` to {glue:text}`last_kl_2_end:.2f`, {glue:text}`last_kl_3_end:.2f` and
# {glue:text}`last_kl_4_end:.2f`. At 3 bits the ratio of QiD peaks at {glue:text}`peak_qid:.2f` after {glue:text}`peak_tokens:s`
# tokens. That peak is one way of rounding one run: in KL the ratio there is {glue:text}`peak_kl_3_32:.2f` in groups of 32, but
# {glue:text}`peak_kl_3_64:.2f` and {glue:text}`peak_kl_3_128:.2f` in groups of 64 and 128, {glue:text}`peak_kl_3_0:.2f` with a
# grid a row, and {glue:text}`peak_kl_4:.2f`, {glue:text}`peak_kl_6:.2f` and {glue:text}`peak_kl_8:.2f` at 4, 6 and 8 bits. The
# second runs of both sizes, trained with the same seed on the same batches, can be compared up to {glue:text}`second_last:s`
# tokens. There their ratio of KL at 3 bits is {glue:text}`second_ratio_3:.2f`, where that of the first runs is
# {glue:text}`first_ratio_3:.2f`, and a run of the largest size from another seed has {glue:text}`seed_ratio_3:.2f` of the next
# one's KL. What is left is a moderate climb of the first run at every width; beyond these tokens it is the only one of its size.
#
# **Fewer different tokens.** To read for the second time is also to read later. So {glue:text}`part_runs:d` runs were trained on half, a quarter
# and an eighth of the text: on the trunk's batches to the end of their own first pass, then on the same blocks again, in new orders.
# At {glue:text}`part_tokens:s` tokens they have read them 2, 4 and 8 times, where the trunk has read nothing twice ({numref}`tab-part`).

# %% tags=["remove-cell"]
part = read_table("results/unique.parquet").to_pandas()
described, of_trunk_described = (
    read_checkpoints(f"results/{name}.parquet").to_pandas() for name in ("unique-checkpoints", "checkpoints")
)
put_all(
    **read_again.numbers(part, measured),
    **read_again.registered(read_register(), part),
    **read_again.overconfidence(described, of_trunk_described),
)

# %% [markdown]
# :::{table} Runs on a part of the text over the trunk at {glue:text}`part_tokens:s` tokens, one run a cell: KL of GPTQ (geometric mean over 2 to 8 bits), its QiD (2 to 4 bits), and the difference in 16-bit loss in nats a token. The trunk is taken straight in logarithms between its neighbouring checkpoints.
# :name: tab-part
#
# | | {glue:text}`part_size_small:s` | {glue:text}`part_size_middle:s` | {glue:text}`part_size_large:s` |
# | --- | --- | --- | --- |
# | KL, read 2 times | {glue:text}`part_kl_2_small:.2f` | {glue:text}`part_kl_2_middle:.2f` | {glue:text}`part_kl_2_large:.2f` |
# | KL, read 4 times | {glue:text}`part_kl_4_small:.2f` | {glue:text}`part_kl_4_middle:.2f` | {glue:text}`part_kl_4_large:.2f` |
# | KL, read 8 times | {glue:text}`part_kl_8_small:.2f` | {glue:text}`part_kl_8_middle:.2f` | {glue:text}`part_kl_8_large:.2f` |
# | QiD, read 2 times | {glue:text}`part_qid_2_small:.2f` | {glue:text}`part_qid_2_middle:.2f` | {glue:text}`part_qid_2_large:.2f` |
# | QiD, read 4 times | {glue:text}`part_qid_4_small:.2f` | {glue:text}`part_qid_4_middle:.2f` | {glue:text}`part_qid_4_large:.2f` |
# | QiD, read 8 times | {glue:text}`part_qid_8_small:.2f` | {glue:text}`part_qid_8_middle:.2f` | {glue:text}`part_qid_8_large:.2f` |
# | 16-bit loss on held-out text, read 4 times | {glue:text}`part_loss_heldout_4_small:.3f` | {glue:text}`part_loss_heldout_4_middle:.3f` | {glue:text}`part_loss_heldout_4_large:.3f` |
# | the same, read 8 times | {glue:text}`part_loss_heldout_8_small:.3f` | {glue:text}`part_loss_heldout_8_middle:.3f` | {glue:text}`part_loss_heldout_8_large:.3f` |
# | 16-bit loss on unseen text, read 8 times | {glue:text}`part_loss_unseen_8_small:.3f` | {glue:text}`part_loss_unseen_8_middle:.3f` | {glue:text}`part_loss_unseen_8_large:.3f` |
# :::
#
# Chance alone is a factor of {glue:text}`part_scatter_kl:.2f` in KL and {glue:text}`part_scatter_qid:.2f` in QiD (rms of {glue:text}`part_before:d` checkpoints that had read nothing twice). So
# **reading twice changes nothing** (KL {glue:text}`part_kl_2_mean:.2f` [{glue:text}`part_kl_2_low:.2f`, {glue:text}`part_kl_2_high:.2f`] over sizes) and reading four times little ({glue:text}`part_kl_4_mean:.2f`
# [{glue:text}`part_kl_4_low:.2f`, {glue:text}`part_kl_4_high:.2f`]), most in the largest. **Reading eight times makes rounding dearer, the more so the larger the model**: up to {glue:text}`part_kl_8_large:.2f` times in KL. It
# isn't the last checkpoint's luck: at the one before, the trunk's own, after {glue:text}`part_earlier_passes:.1f` passes, the factors are {glue:text}`part_earlier_small:.2f`, {glue:text}`part_earlier_middle:.2f` and
# {glue:text}`part_earlier_large:.2f`. Nor is it the way of rounding: in the largest, KL on the least text over that on the most is {glue:text}`part_over_gptq:.2f` by GPTQ, {glue:text}`part_over_gptq_hadamard:.2f` after a Hadamard
# rotation, {glue:text}`part_over_awq:.2f` by AWQ and {glue:text}`part_over_rtn:.2f` by RTN. The 16-bit loss suffers as well, and QiD shows about half of what KL does: where a model is surer than it is right (loss less
# entropy {glue:text}`part_sure:.2f` nats in the largest, {glue:text}`part_sure_trunk:.2f` on the trunk), rounding also takes away some of its error.
#
# What this says of the trunk: its largest model has {glue:text}`part_size_large:s` parameters and reads {glue:text}`unique_tokens:s` tokens less than four times. Nearest to it in passes and
# in parameters a different token is the smallest model here, four times through a quarter of the text, and nothing shows there.
# Laws know nothing of passes. Of the intervals registered before these runs, {glue:text}`part_hold_fewer:d` of {glue:text}`part_registered_fewer:d` hold where the text was read 2 or 4 times, {glue:text}`part_hold_many:d` of
# {glue:text}`part_registered_many:d` where it was read 8 times.
#
# **What stays open.** One run a cell, to {glue:text}`part_tokens:s` tokens; where between four and eight passes it begins, and whether parameters a different token
# decide; the trunk's tokens beyond, and its fourth pass, with more text. And neither evaluation text is the one that was read again. The
# book's main fits use all checkpoints beyond {glue:text}`early_tokens:s` tokens, and "tokens" in them are tokens read, new or not.
#
# ## Runs that differ in one thing
#
# The other runs of the study differ from the trunk in one thing each. Beyond {glue:text}`early_tokens:s` tokens their checkpoints
# have twins on the trunk: the same shape (or the one of about as many parameters), the same number of tokens. We divide the QiD of
# the one by the QiD of the other. Runs whose learning rate decays count with their ends only. Cooldowns end at zero, cosines at a
# tenth of the peak.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: runs beside their twins, by what differs", "code_prompt_hide": "Table: runs beside their twins, by what differs"} tables={"tab-twins": "QiD of runs over that of their twins, by what differs"}
SHAPES = {"64x12": "128x3", "160x2": "128x3", "128x16": "256x4", "352x2": "256x4"}
every = degradation(of_every_run[of_every_run["method"].isin(["none", "gptq"])])
every = rows_of_fit(every, "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
every = every[every["bits"].isin(BITS)]
every["twin"] = every["model"].replace({f"tadpole-{one}": f"tadpole-{other}" for one, other in SHAPES.items()})
of_trunk = on_trunk(every)
ended = (every["schedule"] == "constant") | (every[TOKENS_SEEN] == every["tokens_planned"])
trunk, others = every[of_trunk], every[~of_trunk & ended]
others = others.assign(way=differences_of_runs(others, trunk))
ratios = ratios_to_twins(others, trunk, ["way", "bits"])
twins_table(ratios)

# %% tags=["remove-cell"]
at = ratios.set_index(["way", "bits"])
latest = others.loc[others["schedule"] == "cosine", TOKENS_SEEN].max()
at_last = ratios_to_twins(others[others[TOKENS_SEEN] == latest], trunk, ["way", "bits"]).set_index(["way", "bits"])
KINDS = {
    "seed": "another training seed",
    "cooldown": "cooldown, at its end",
    "cosine": "cosine, at its end",
    "average": "average of 5 moments",
    "half": "0.5 × the peak rate",
    "double": "2 × the peak rate",
    "wd0": "weight decay 0",
    "wd3": "weight decay 0.3",
    "deep_small": "64x12 for 128x3",
    "deep_large": "128x16 for 256x4",
    "shallow_small": "160x2 for 128x3",
    "shallow_large": "352x2 for 256x4",
}
assert set(KINDS.values()) == set(ratios["way"]), "the text goes through all of them"
for name in ("seed", "cosine", "half", "double"):
    put(f"{name}_lowest", at.loc[KINDS[name], "run_lowest"].min())
    put(f"{name}_highest", at.loc[KINDS[name], "run_highest"].max())
for name in ("average", "wd0", "wd3", "deep_small", "deep_large", "shallow_small", "shallow_large"):
    put(f"{name}_2", at.loc[(KINDS[name], 2), "ratio"])
for name in ("cosine", "wd0", "wd3", "deep_small", "deep_large"):
    put(f"{name}_2_last", at_last.loc[(KINDS[name], 2), "ratio"])
for name in ("seed", "cooldown"):
    put(f"{name}_runs", int(at.loc[KINDS[name], "n_runs"].max()))
put("average_loss", f"{at.loc[KINDS['average'], 'loss_change_nats'].iloc[0]:+.3f}".replace("-", "−"))
put("latest", count_label(latest))
put("mates", others.loc[others["way"] == KINDS["seed"], "model"].nunique())
grouped = pd.concat([others[others["way"] == KINDS["seed"]], trunk]).groupby(["model", TOKENS_SEEN, "bits"])["qid_nats"]
scatter = (grouped.std() / grouped.mean()).dropna() ** 2
for bits, value in np.sqrt(scatter.groupby("bits").mean()).items():
    put(f"seed_sd_{bits:g}", value)
for outcome, both in twice.items():
    spread = one_run_scatter(both)["relative_sd"]
    put_all(**{f"second_{outcome}_sd_{bits}": spread[bits] for bits in BITS})
second_slopes = slopes_of_two_runs(twice["qid"])
for bits in BITS:
    of_bits = second_slopes.loc[bits]
    put_all(**{f"second_{name}_{bits}": of_bits[name].mean() for name in ("first", "second")})
    apart = mean_over_runs(of_bits["difference"])
    put_all(**{f"second_apart_{bits}_{end}": f"{apart[end]:+.2f}".replace("-", "−") for end in ("mean", "low", "high")})
    assert apart["low"] < 0 < apart["high"], "the text says: no difference in slope is clear of zero"
own_second = second[unbranched(second) & second["bits"].isin(BITS)]
second_up = steps_up(own_second)
put_all(second_up=int(second_up["n_up"].sum()), second_steps=int(second_up["n_steps"].sum()))
put("second_checkpoints", own_second["checkpoint_id"].nunique())
put("second_cooldowns", second.loc[~unbranched(second), "checkpoint_id"].nunique())

cooled = pd.concat([whole_rows(measured, first=True), second], ignore_index=True)
cooldowns = full_cooldowns(cooled)
cooldowns = cooldowns[cooldowns["bits"] == 3]
surface = decay_surface(cooldowns)
predicted = [surface.at(row[TOKENS_SEEN], row[N_PARAMS])["ratio"] for _, row in cooldowns.iterrows()]
put_all(decay_least=min(predicted), decay_most=max(predicted), decay_above=int((cooldowns["ratio"] > 1).sum()))
put_all(decay_cooldowns=surface.n_cooldowns, decay_runs=surface.n_runs, decay_sizes=cooldowns["model"].nunique())
for name, tokens, size in (("large", 250e6, 37.8e6), ("late", 600e6, 1e6)):
    put_all(**{f"decay_{name}_{key}": value for key, value in surface.at(tokens, size).items()})
    put_all(**{f"decay_{name}_tokens": count_label(tokens), f"decay_{name}_size": count_label(size)})
assert surface.slopes.loc["tokens", "value"] > 0 > surface.slopes.loc["size", "value"], (
    "the text says: more late and small"
)
assert surface.at(600e6, 1e6)["low"] > 1 > surface.at(250e6, 37.8e6)["low"], "and where it is clear of one"
assert (at.loc[KINDS["average"], "run_highest"] < 1).all(), "the text says: lower QiD in every run"
assert at.loc[KINDS["average"], "loss_change_nats"].iloc[0] < 0, "and a lower loss"
assert (at.loc[KINDS["wd3"], "high"] < 1).all(), "the text says that more weight decay lowers QiD"
assert (at.loc[KINDS["wd0"], "low"] > 1).all(), "and that none raises it"
for name in ("half", "double"):
    assert at.loc[KINDS[name], "run_lowest"].min() < 1 < at.loc[KINDS[name], "run_highest"].max(), "no single direction"
cosines = ratios_to_twins(others[others["way"] == KINDS["cosine"]], trunk, ["tokens_planned"])
assert (cosines["loss_change_nats"].diff().dropna() < 0).all(), "the text says: the shorter, the higher their loss"
assert cosines["loss_change_nats"].iloc[0] > 0 > cosines["loss_change_nats"].iloc[-1], "and higher than the trunk's"
for name in ("deep_small", "deep_large"):
    assert (at_last.loc[KINDS[name], "ratio"] > at.loc[KINDS[name], "ratio"]).all(), "the text says that it grows"
assert ratios["ratio"].max() < growth.min(), "the text says that tokens move QiD further than any of these"
apart = others.drop_duplicates("run_label").query("model != twin")
twin_size = apart["twin"].map(trunk.groupby("model")[N_PARAMS].first())
put("shape_size_gap", (apart[N_PARAMS] / twin_size - 1).abs().max())
put(
    "fig_else",
    comparisons.ratios_by_way(ratios, "QiD over that of the trunk's twin (factor)", [0.8, 1, 1.25, 1.5]).figure,
)
plt.close("all")

# %% [markdown]
# Geometric means over checkpoints, with 95% intervals over documents; the last column is the change of the 16-bit loss in nats per
# token, with its paired error. The intervals say how well these runs are measured. They don't hold another run.
#
# ```{glue:figure} fig_else
# :name: fig-else
# :alt: Ratio of QiD to that of the trunk's twin on a logarithmic axis, one row for each difference between runs, markers for 2, 3 and 4 bits. Deep narrow models, cosines, cooldowns and no weight decay lie to the right of one; the other training seeds lie at one; shallow wide models, weight averages and more weight decay lie to the left.
#
# The seeds are the yardstick: what lies within their stroke is no finding. Decay of the learning rate, no weight decay and depth
# raise QiD; averages, more weight decay and width lower it. Pale strokes: from the lowest to the highest of single runs.
# ```
#
# **The yardstick.** The study has {glue:text}`seed_runs:d` runs with other seeds and other batches, at {glue:text}`mates:d` of
# the sizes. At one checkpoint QiD scatters between seeds by {glue:text}`seed_sd_2:.1%`, {glue:text}`seed_sd_3:.1%` and
# {glue:text}`seed_sd_4:.1%` at 2, 3 and 4 bits (standard deviation); over the checkpoints of a run, the means lie between
# {glue:text}`seed_lowest:.2f` and {glue:text}`seed_highest:.2f` of the trunk's ({numref}`fig-else`). Branches and averages share
# most of their training with their twins, so that for them this yardstick is rather too long.
#
# **Second runs.** Of the trunk's sizes {glue:text}`second_sizes:d` were trained again with the same seed and batches, so that
# only the arithmetic of the GPU tells the runs apart ({glue:text}`second_checkpoints:d` checkpoints and
# {glue:text}`second_cooldowns:d` cooldowns, scored on two blocks of each document). The factor between the two evaluations taken
# out, one run scatters by {glue:text}`second_qid_sd_2:.1%`, {glue:text}`second_qid_sd_3:.1%` and {glue:text}`second_qid_sd_4:.1%`
# in QiD at 2, 3 and 4 bits, and by {glue:text}`second_kl_sd_2:.1%`, {glue:text}`second_kl_sd_3:.1%` and
# {glue:text}`second_kl_sd_4:.1%` in KL. QiD rises in {glue:text}`second_up:d` of their {glue:text}`second_steps:d` steps. Their
# slopes of $\ln$ QiD in $\ln D$ are {glue:text}`second_second_2:.2f`, {glue:text}`second_second_3:.2f` and
# {glue:text}`second_second_4:.2f`, those of the first runs at the same checkpoints {glue:text}`second_first_2:.2f`,
# {glue:text}`second_first_3:.2f` and {glue:text}`second_first_4:.2f`; they differ by {glue:text}`second_apart_2_mean:s`
# [{glue:text}`second_apart_2_low:s`, {glue:text}`second_apart_2_high:s`], {glue:text}`second_apart_3_mean:s`
# [{glue:text}`second_apart_3_low:s`, {glue:text}`second_apart_3_high:s`] and {glue:text}`second_apart_4_mean:s`
# [{glue:text}`second_apart_4_low:s`, {glue:text}`second_apart_4_high:s`] (over sizes).
#
# **The learning rate.** A full cooldown multiplies QiD at 3 bits by {glue:text}`decay_least:.1f` to {glue:text}`decay_most:.1f`,
# more after more tokens and less in larger models: by {glue:text}`decay_large_ratio:.2f` [{glue:text}`decay_large_low:.2f`,
# {glue:text}`decay_large_high:.2f`] at {glue:text}`decay_large_tokens:s` tokens and {glue:text}`decay_large_size:s` parameters,
# by {glue:text}`decay_late_ratio:.2f` [{glue:text}`decay_late_low:.2f`, {glue:text}`decay_late_high:.2f`] at
# {glue:text}`decay_late_tokens:s` and {glue:text}`decay_late_size:s`. That is the surface of {doc}`chapter 7 <07-tokens-or-decay>` through
# {glue:text}`decay_cooldowns:d` cooldowns of {glue:text}`decay_sizes:d` sizes, those of the second runs among them (clustered by
# the {glue:text}`decay_runs:d` runs they left); {glue:text}`decay_above:d` of the cooldowns end above their run. The table's line
# is a mean over the {glue:text}`cooldown_runs:d` of the trunk. The ends of cosines differ, from {glue:text}`cosine_lowest:.2f` to
# {glue:text}`cosine_highest:.2f`: the short ones spent little time at a high rate, and their loss is higher. At
# {glue:text}`latest:s` tokens they stand at {glue:text}`cosine_2_last:.2f` of the trunk's QiD at 2 bits. Averages of weights do
# the opposite: {glue:text}`average_2:.2f` at 2 bits, and a lower loss as well ({glue:text}`average_loss:s`). The peak rate acts
# in no single direction: single runs at half of it lie between {glue:text}`half_lowest:.2f` and {glue:text}`half_highest:.2f`, at
# twice of it between {glue:text}`double_lowest:.2f` and {glue:text}`double_highest:.2f`. {cite:t}`catalan2025dynamics` find that
# error after rounding jumps when the rate decays. These rows agree in sign. The same authors find that it changes little while
# the rate is constant. Here it grows {glue:text}`04-degradation.ipynb::growth_low:.1f` to {glue:text}`04-degradation.ipynb::growth_high:.1f` times at a constant rate,
# further than any difference in the table.
#
# **Weight decay.** Three times the usual weight decay lowers QiD to {glue:text}`wd3_2:.2f` at 2 bits, none raises it to
# {glue:text}`wd0_2:.2f`; at {glue:text}`latest:s` tokens it is {glue:text}`wd3_2_last:.2f` and {glue:text}`wd0_2_last:.2f`. One run
# each.
#
# **Shape.** Four runs have about as many parameters as a model of the trunk (within {glue:text}`shape_size_gap:.0%`) but more
# layers or fewer. Deep and narrow, QiD at 2 bits is {glue:text}`deep_small_2:.2f` and {glue:text}`deep_large_2:.2f` of the twin's,
# and the ratio grows with tokens: at {glue:text}`latest:s` it is {glue:text}`deep_small_2_last:.2f` and
# {glue:text}`deep_large_2_last:.2f`. Shallow and wide, it is {glue:text}`shallow_small_2:.2f` and {glue:text}`shallow_large_2:.2f`.
# So $N$ alone doesn't fix QiD. The trunk's larger models are deeper as well as wider.
#
# ## KL, a second outcome
#
# {term}`KL <KL divergence>` is the mean divergence of the rounded model's predictions from the 16-bit model's, on the same tokens, in
# nats per token. It is zero where rounding changes nothing and can't be negative, so that it has no slope to move along: it grows with
# the *square* of the rounding error. One more bit divides the scale of the grid {eq}`eq-grid` by $(2^{P+1} - 1) / (2^P - 1)$ and KL by
# its square (derived at {eq}`eq-quadratic-rule`).
#
# *What one more bit divides each outcome by on the way to this width (mean over the sizes, interval over runs; from 6 to 8 bits for
# each of the two), in how many steps from checkpoint to checkpoint each rises, and the slope of its logarithm in $\ln D$ (clustered by
# run; positive values). Trunk, beyond {glue:text}`early_tokens:s` tokens.*

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: KL beside QiD, by bit width", "code_prompt_hide": "Table: KL beside QiD, by bit width"} tables={"tab-kl": "KL beside QiD, by bit width"}
wide = rows_of_fit(study, "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
numbers.kl_table(wide)

# %% tags=["remove-cell"]
put_all(**numbers.in_kl(wide))

# %% [markdown]
# From the fifth bit on QiD holds the rule, but with wide intervals: at 8 bits [{glue:text}`factor_8_low:.2f`,
# {glue:text}`factor_8_high:.2f`], where the rule says {glue:text}`rule_8:.2f`. KL has {glue:text}`kl_factor_8:.2f`
# [{glue:text}`kl_factor_8_low:.2f`, {glue:text}`kl_factor_8_high:.2f`] there, and at each of these widths lies within
# {glue:text}`kl_off:.1%` of the rule, though outside it by its narrow intervals. The third bit takes off much more than the rule and
# the fourth a little more, in either outcome: there the error is no longer small.
#
# All {glue:text}`kl_rows:d` values of KL are positive. Of {glue:text}`up_steps:d` steps at 8 bits KL rises in {glue:text}`kl_up_8:d`
# and QiD in {glue:text}`up_8:d`: most steps down are QiD's own noise. Tokens act on KL alike at every width. At 8 bits its slope is
# {glue:text}`kl_slope_8:.2f` [{glue:text}`kl_slope_8_low:.2f`, {glue:text}`kl_slope_8_high:.2f`], where QiD says only
# {glue:text}`slope_8:.2f` [{glue:text}`slope_8_low:.2f`, {glue:text}`slope_8_high:.2f`].
#
# A power of $P$ says something else: its exponent in QiD would have to grow from {glue:text}`power_3:.1f` at the third bit to
# {glue:text}`power_6:.1f` at the sixth and {glue:text}`power_8:.1f` at the last two.
#
# ## Round-to-nearest and larger groups

# %% tags=["remove-cell"]
rtn = rows_of_fit(study, "rtn", GROUP_SIZE, symmetric=False)
put_all(**numbers.to_nearest(rtn, gptq))
put(
    "fig_rtn", comparisons.ratio_against_tokens(numbers.late(qid_ratio(rtn, gptq)), "QiD of RTN / QiD of GPTQ (factor)")
)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_rtn
# :name: fig-rtn
# :alt: Ratio of the QiD of round-to-nearest to that of GPTQ against training tokens, three panels for 2, 3 and 4 bits, one line for each size; all points lie above one, most between 1.5 and 2.5.
#
# Round-to-nearest (RTN) loses more than GPTQ on every checkpoint beyond {glue:text}`early_tokens:s` tokens, about twice as much.
# ```
#
# Beyond {glue:text}`early_tokens:s` tokens RTN loses more than GPTQ in all {glue:text}`rtn_late_rows:d` rows; with the earlier ones
# it is {glue:text}`rtn_worse:d` of {glue:text}`rtn_rows:d`, and none lies below one by two errors. The median ratio is
# {glue:text}`rtn_ratio_2:.1f` at 2 bits, {glue:text}`rtn_ratio_3:.1f` at 3 and {glue:text}`rtn_ratio_4:.1f` at 4. At 2 bits it is
# {glue:text}`rtn_smallest:.1f` in the smallest model and {glue:text}`rtn_largest:.1f` in the largest. QiD rises with tokens in all
# {glue:text}`rtn_series:d` series of RTN as well.
#
# A group of weights shares one scale and one zero point.
#
# *QiD in groups of 128 over QiD in groups of 32, asymmetric: median (10% to 90% quantile over checkpoints).*

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: groups of 128 over groups of 32", "code_prompt_hide": "Table: groups of 128 over groups of 32"} tables={"tab-coarse-groups": "QiD in groups of 128 over QiD in groups of 32"}
symmetries = {"asymmetric": False, "symmetric": True}
coarse = {
    f"group 128, {name}": qid_ratio(rows_of_fit(study, "gptq", 128, is_so), gptq) for name, is_so in symmetries.items()
}
ratio_table(coarse)

# %% tags=["remove-cell"]
put_all(**numbers.larger_groups(coarse))

# %% [markdown]
# Larger groups raise QiD, and a symmetric grid raises it further; all {glue:text}`group_rows:d` ratios
# are above one. Only {glue:text}`group_models:d` models have a width that 128 divides. Group 32 spends more bits on scales: this is
# the price of the lower QiD, and "2 bits" does not count it.
#
# ## Methods on other texts
#
# More on {doc}`chapter 10 <10-methods-and-texts>`, whose rows these are; intervals over training runs, on prose over checkpoints of one run.
#
# ::::{dropdown} Table: KL and QiD on unseen code over those on held-out code
# ```{table} KL on unseen code over that on held-out code, and QiD over KL there over the same on held-out code (factors, no unit).
# :name: tab-unseen
#
# | bits | KL, all runs | QiD over KL, the trunk |
# |---|---|---|
# | 2 | {glue:text}`10-methods-and-texts.ipynb::every_kl_2:.3f` [{glue:text}`10-methods-and-texts.ipynb::every_kl_2_low:.3f`, {glue:text}`10-methods-and-texts.ipynb::every_kl_2_high:.3f`] | {glue:text}`10-methods-and-texts.ipynb::per_kl_2:.3f` [{glue:text}`10-methods-and-texts.ipynb::per_kl_2_low:.3f`, {glue:text}`10-methods-and-texts.ipynb::per_kl_2_high:.3f`] |
# | 3 | {glue:text}`10-methods-and-texts.ipynb::every_kl_3:.3f` [{glue:text}`10-methods-and-texts.ipynb::every_kl_3_low:.3f`, {glue:text}`10-methods-and-texts.ipynb::every_kl_3_high:.3f`] | {glue:text}`10-methods-and-texts.ipynb::per_kl_3:.3f` [{glue:text}`10-methods-and-texts.ipynb::per_kl_3_low:.3f`, {glue:text}`10-methods-and-texts.ipynb::per_kl_3_high:.3f`] |
# | 4 | {glue:text}`10-methods-and-texts.ipynb::every_kl_4:.3f` [{glue:text}`10-methods-and-texts.ipynb::every_kl_4_low:.3f`, {glue:text}`10-methods-and-texts.ipynb::every_kl_4_high:.3f`] | {glue:text}`10-methods-and-texts.ipynb::per_kl_4:.3f` [{glue:text}`10-methods-and-texts.ipynb::per_kl_4_low:.3f`, {glue:text}`10-methods-and-texts.ipynb::per_kl_4_high:.3f`] |
# ```
# ::::
#
# The ratio of KL grows with size: by GPTQ at 3 bits from {glue:text}`10-methods-and-texts.ipynb::kl_unseen_small:.2f` in the smallest model
# to {glue:text}`10-methods-and-texts.ipynb::kl_unseen_large:.2f` in the largest (one run each; slopes in ln N from
# {glue:text}`10-methods-and-texts.ipynb::kl_size_least:.3f` to {glue:text}`10-methods-and-texts.ipynb::kl_size_most:.3f`). QiD over KL falls
# from {glue:text}`10-methods-and-texts.ipynb::per_kl_small:.2f` in the smallest to {glue:text}`10-methods-and-texts.ipynb::per_kl_next:.2f`
# at {glue:text}`10-methods-and-texts.ipynb::next_size:s` parameters. The largest run is an exception,
# {glue:text}`10-methods-and-texts.ipynb::per_kl_large:.2f`: there QiD is larger on unseen code too,
# {glue:text}`10-methods-and-texts.ipynb::qid_unseen_large:.2f` times.
#
# ::::{dropdown} Table: exponents on two texts, and how far GPTQ leads RTN
# ```{table} Exponents of QiD of GPTQ as a power of $D$ on two texts, and how far GPTQ leads RTN on prose, over its lead on code.
# :name: tab-leads
#
# | | 2 bits | 3 bits | 4 bits |
# |---|---|---|---|
# | exponent on code | {glue:text}`10-methods-and-texts.ipynb::power_code_2:.2f` | {glue:text}`10-methods-and-texts.ipynb::power_code_3:.2f` | {glue:text}`10-methods-and-texts.ipynb::power_code_4:.2f` |
# | exponent on prose | {glue:text}`10-methods-and-texts.ipynb::power_prose_2:.2f` | {glue:text}`10-methods-and-texts.ipynb::power_prose_3:.2f` | {glue:text}`10-methods-and-texts.ipynb::power_prose_4:.2f` |
# | lead in QiD | {glue:text}`10-methods-and-texts.ipynb::lead_2:.2f` [{glue:text}`10-methods-and-texts.ipynb::lead_2_low:.2f`, {glue:text}`10-methods-and-texts.ipynb::lead_2_high:.2f`] | {glue:text}`10-methods-and-texts.ipynb::lead_3:.2f` [{glue:text}`10-methods-and-texts.ipynb::lead_3_low:.2f`, {glue:text}`10-methods-and-texts.ipynb::lead_3_high:.2f`] | {glue:text}`10-methods-and-texts.ipynb::lead_4:.2f` [{glue:text}`10-methods-and-texts.ipynb::lead_4_low:.2f`, {glue:text}`10-methods-and-texts.ipynb::lead_4_high:.2f`] |
# | lead in KL | {glue:text}`10-methods-and-texts.ipynb::lead_kl_2:.2f` [{glue:text}`10-methods-and-texts.ipynb::lead_kl_2_low:.2f`, {glue:text}`10-methods-and-texts.ipynb::lead_kl_2_high:.2f`] | {glue:text}`10-methods-and-texts.ipynb::lead_kl_3:.2f` [{glue:text}`10-methods-and-texts.ipynb::lead_kl_3_low:.2f`, {glue:text}`10-methods-and-texts.ipynb::lead_kl_3_high:.2f`] | {glue:text}`10-methods-and-texts.ipynb::lead_kl_4:.2f` [{glue:text}`10-methods-and-texts.ipynb::lead_kl_4_low:.2f`, {glue:text}`10-methods-and-texts.ipynb::lead_kl_4_high:.2f`] |
# ```
# ::::
#
# Along training QiD rises on prose as on code. GPTQ's calibration text was code, which may be why it leads by less on prose.
#
# **The order of the methods** is the same on both kinds of code. Of {glue:text}`10-methods-and-texts.ipynb::n_pairs:d` pairs at one width of
# codes on the CPU, {glue:text}`10-methods-and-texts.ipynb::n_swapped:d` change places (Kendall's τ
# {glue:text}`10-methods-and-texts.ipynb::tau:.2f`); they lie at most {glue:text}`10-methods-and-texts.ipynb::farthest:.0%` apart. None is
# distinguishable on both texts; {glue:text}`10-methods-and-texts.ipynb::n_both_clear:d` pairs are, in the same order. In KL
# {glue:text}`10-methods-and-texts.ipynb::n_swapped_kl:d` change places. {glue:text}`10-methods-and-texts.ipynb::n_text_holding:d` of
# {glue:text}`10-methods-and-texts.ipynb::n_text_ratios:d` ratios of QiD between the texts, from
# {glue:text}`10-methods-and-texts.ipynb::text_lowest:.2f` to {glue:text}`10-methods-and-texts.ipynb::text_highest:.2f`, have an interval (over
# packages) that holds 1; the rest lie above.
#
# ## Decay in detail: surfaces, exponents, equal loss, curvature
#
# {doc}`Chapter 7 <07-tokens-or-decay>` takes tokens and decay apart. Here are the numbers behind its sentences.

# %% tags=["remove-cell"]
every_way = tokens_or_decay.every_run(measured)
of_decay = tokens_or_decay.runs_of(every_way)
in_coarse = tokens_or_decay.runs_of(every_way, group_size=tokens_or_decay.COARSE_GROUP, symmetric=True)
ends_of_decay = of_decay.at_tokens[of_decay.at_tokens["way"] == tokens_or_decay.AT_END]
surfaces_of_decay = other_recipes.surfaces_table(tokens_or_decay.cooled_rows(measured))
put_all(
    tab_surfaces=Markdown(surfaces_of_decay.to_markdown()),
    tab_exponents=Markdown(other_recipes.exponents_table(of_decay, in_coarse).to_markdown()),
    fig_added=comparisons.ratio_against_tokens(
        ends_of_decay.assign(ratio_se=(ends_of_decay["high"] - ends_of_decay["low"]) / (2 * 1.96)),
        "QiD over that of the trunk (factor)",
    ),
    fig_loss=decay_figures.paths(
        of_decay.of_kinds().query("bits == 3"), of_decay.trunk.query("bits == 3"), decay_questions.LOSS
    ),
)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_added
# :name: fig-added
# :alt: Ratio of QiD at the end of a cooldown to that of the trunk at the same tokens, against tokens, in three panels for 2, 3 and 4 bits, one line for each size. At 2 and 3 bits nearly all points lie between one and 1.25 and the later ones higher; at 4 bits the first points scatter widely.
#
# What decay to zero adds at equal tokens, more when the rate falls later. Single cooldowns stray further than the surface. At 4 bits the
# earliest ends are too noisy to tell. Bars: one paired error; another training run isn't in it.
# ```
#
# ::::{dropdown} Table: what a full cooldown does, by tokens and size
# :::{table} The factor of a full cooldown by the surface of chapter 7, at some tokens and sizes, and its slopes (95% intervals over runs).
# :name: tab-surfaces
#
# ```{glue:md} tab_surfaces
# :format: myst
# ```
# :::
# ::::
#
# ::::{dropdown} Table: exponents of tokens over the ends of cooldowns
# :::{table} Exponent of $D$ over the ends of cooldowns and over the trunk at the same tokens, in QiD and in relative cross-entropy, QiD over the 16-bit loss (means and 95% intervals over sizes).
# :name: tab-exponents-of-decay
#
# ```{glue:md} tab_exponents
# :format: myst
# ```
# :::
# ::::
#
# Relative cross-entropy has the *higher* exponents: the loss in its denominator falls with tokens.
#
# ```{glue:figure} fig_loss
# :name: fig-equal-loss
# :alt: QiD at 3 bits against the 16-bit loss, one panel for each size that has cooldowns or cosines; training goes from right to left. A dark line, the constant rate, rises to the left. Orange cooldowns follow it closely in the small sizes and lie to the left of it, or below, in the large. Green averages lie well below it, blue cosines on it or above.
#
# At the same 16-bit loss cooldowns sit near the line of the constant rate or below, averages well below and cosines on it or
# above: QiD isn't a function of the loss alone. At 3 bits.
# ```
#
# ::::{dropdown} Table: QiD at equal 16-bit loss
# :::{table} QiD over the trunk's at the same 16-bit loss (means and 95% intervals over sizes; averages: two sizes, no interval), and by how much the exponent of $D$ along a cosine exceeds that at the constant rate, beside its scatter between training seeds (standard deviation).
# :name: tab-equal-loss
#
# | | 2 bits | 3 bits | 4 bits |
# | --- | --- | --- | --- |
# | ends of cooldowns | {glue:text}`07-tokens-or-decay.ipynb::loss_cooldown_2_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::loss_cooldown_2_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::loss_cooldown_2_high:.2f`] | {glue:text}`07-tokens-or-decay.ipynb::loss_cooldown_3_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::loss_cooldown_3_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::loss_cooldown_3_high:.2f`] | {glue:text}`07-tokens-or-decay.ipynb::loss_cooldown_4_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::loss_cooldown_4_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::loss_cooldown_4_high:.2f`] |
# | ends of cosines | {glue:text}`07-tokens-or-decay.ipynb::loss_cosine_2_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::loss_cosine_2_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::loss_cosine_2_high:.2f`] | {glue:text}`07-tokens-or-decay.ipynb::loss_cosine_3_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::loss_cosine_3_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::loss_cosine_3_high:.2f`] | {glue:text}`07-tokens-or-decay.ipynb::loss_cosine_4_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::loss_cosine_4_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::loss_cosine_4_high:.2f`] |
# | averages | {glue:text}`07-tokens-or-decay.ipynb::loss_average_2_mean:.2f` | {glue:text}`07-tokens-or-decay.ipynb::loss_average_3_mean:.2f` | {glue:text}`07-tokens-or-decay.ipynb::loss_average_4_mean:.2f` |
# | excess of the exponent | {glue:text}`07-tokens-or-decay.ipynb::excess_2_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::excess_2_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::excess_2_high:.2f`] | {glue:text}`07-tokens-or-decay.ipynb::excess_3_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::excess_3_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::excess_3_high:.2f`] | {glue:text}`07-tokens-or-decay.ipynb::excess_4_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::excess_4_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::excess_4_high:.2f`] |
# | its scatter between seeds | {glue:text}`07-tokens-or-decay.ipynb::between_2:.2f` | {glue:text}`07-tokens-or-decay.ipynb::between_3:.2f` | {glue:text}`07-tokens-or-decay.ipynb::between_4:.2f` |
# :::
# ::::
#
# {glue:text}`07-tokens-or-decay.ipynb::loss_rows:d` cooldowns end with a loss that the trunk reached too. At 2 bits their factor falls with size, with a slope of
# {glue:text}`07-tokens-or-decay.ipynb::loss_size_2_value:s` [{glue:text}`07-tokens-or-decay.ipynb::loss_size_2_low:s`, {glue:text}`07-tokens-or-decay.ipynb::loss_size_2_high:s`] in $\ln N$ (over sizes). In the first half
# of its tokens a cosine has {glue:text}`07-tokens-or-decay.ipynb::cosine_early:.2f` of the trunk's QiD: the excess of its exponent isn't spread evenly. Somebody
# who has the cosine of {glue:text}`07-tokens-or-decay.ipynb::longest_tokens:s` tokens alone overstates the exponent by {glue:text}`07-tokens-or-decay.ipynb::overstated_low:.0%` to {glue:text}`07-tokens-or-decay.ipynb::overstated_high:.0%`, but doesn't invent it:
# along the constant run it is {glue:text}`07-tokens-or-decay.ipynb::flat_low:.2f` to {glue:text}`07-tokens-or-decay.ipynb::flat_high:.2f`.
#
# At equal loss and 3 bits three times the usual weight decay gives {glue:text}`07-tokens-or-decay.ipynb::wd3_loss_3_ratio:.2f` and none
# {glue:text}`07-tokens-or-decay.ipynb::wd0_loss_3_ratio:.2f` of the trunk's QiD: one size, one run for each value. Averages of weights have the higher loss before
# rounding, by {glue:text}`07-tokens-or-decay.ipynb::lawa_plain_low:.3f` to {glue:text}`07-tokens-or-decay.ipynb::lawa_plain_high:.3f` nats per token.
#
# ::::{dropdown} Table: averages of weights beside cooldowns
# :::{table} Comparisons, of {glue:text}`07-tokens-or-decay.ipynb::lawa_cases:d`, in which the loss after rounding is lower by more than two paired errors.
# :name: tab-averages
#
# | lower is | 2 bits | 3 bits | 4 bits |
# | --- | --- | --- | --- |
# | the average | {glue:text}`07-tokens-or-decay.ipynb::lawa_better_2:d` | {glue:text}`07-tokens-or-decay.ipynb::lawa_better_3:d` | {glue:text}`07-tokens-or-decay.ipynb::lawa_better_4:d` |
# | the cooldown | {glue:text}`07-tokens-or-decay.ipynb::lawa_worse_2:d` | {glue:text}`07-tokens-or-decay.ipynb::lawa_worse_3:d` | {glue:text}`07-tokens-or-decay.ipynb::lawa_worse_4:d` |
# :::
# ::::
#
# ::::{dropdown} Table: curvature and error after decay
# :::{table} Decay to zero over the trunk at equal tokens, 3 bits, RTN: half the trace of the Hessian times the variance of the error predicts QiD (means and 95% intervals over sizes).
# :name: tab-sharper
#
# | | factor |
# | --- | --- |
# | trace of the Hessian | {glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_hessian_trace_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_hessian_trace_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_hessian_trace_high:.2f`] |
# | variance of the error | {glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_variance_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_variance_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_variance_high:.2f`] |
# | predicted QiD | {glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_predicted_nats_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_predicted_nats_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_predicted_nats_high:.2f`] |
# | measured QiD | {glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_qid_nats_mean:.2f` [{glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_qid_nats_low:.2f`, {glue:text}`07-tokens-or-decay.ipynb::sharper_rtn_qid_nats_high:.2f`] |
# :::
# ::::
#
# GPTQ's QiD grows by {glue:text}`07-tokens-or-decay.ipynb::sharper_gptq_qid_nats_mean:.2f`. On the trunk, from the first cooldown's end to the last, the trace becomes
# {glue:text}`07-tokens-or-decay.ipynb::grown_hessian_trace_mean:.2f` times as large and the variance {glue:text}`07-tokens-or-decay.ipynb::grown_variance_mean:.2f` times. Only the product has a
# meaning by itself: in front of a normalisation, weights of twice the scale with a quarter of the curvature are nearly the same function.
# And a prediction that holds isn't a cause shown.
#
# ## More on the noise floor
#
# More on {doc}`chapter 11 <11-noise-floor>`. Intervals over draws of calibration text, or over training runs.
#
# ::::{dropdown} Table: scatter in other settings
# ```{table} Scatter of one QiD, or of one KL, as a share of it, in other settings (standard deviations).
# :name: tab-scatter
#
# | | 2 bits | 3 bits | 4 bits |
# |---|---|---|---|
# | draws of calibration text, scored on unseen text | {glue:text}`11-noise-floor.ipynb::cal_unseen_2:.1%` | {glue:text}`11-noise-floor.ipynb::cal_unseen_3:.1%` | {glue:text}`11-noise-floor.ipynb::cal_unseen_4:.1%` |
# | draws of a quarter of the text, small models | {glue:text}`11-noise-floor.ipynb::few_cal_2:.1%` | {glue:text}`11-noise-floor.ipynb::few_cal_3:.1%` | {glue:text}`11-noise-floor.ipynb::few_cal_4:.1%` |
# | draws of the whole text, the same models | {glue:text}`11-noise-floor.ipynb::many_cal_2:.1%` | {glue:text}`11-noise-floor.ipynb::many_cal_3:.1%` | {glue:text}`11-noise-floor.ipynb::many_cal_4:.1%` |
# | a quarter over the whole, factor | {glue:text}`11-noise-floor.ipynb::quarter_2:.2f` [{glue:text}`11-noise-floor.ipynb::quarter_2_low:.2f`, {glue:text}`11-noise-floor.ipynb::quarter_2_high:.2f`] | {glue:text}`11-noise-floor.ipynb::quarter_3:.2f` [{glue:text}`11-noise-floor.ipynb::quarter_3_low:.2f`, {glue:text}`11-noise-floor.ipynb::quarter_3_high:.2f`] | {glue:text}`11-noise-floor.ipynb::quarter_4:.2f` [{glue:text}`11-noise-floor.ipynb::quarter_4_low:.2f`, {glue:text}`11-noise-floor.ipynb::quarter_4_high:.2f`] |
# | training seeds, scored on unseen text | {glue:text}`11-noise-floor.ipynb::between_unseen_2:.1%` | {glue:text}`11-noise-floor.ipynb::between_unseen_3:.1%` | {glue:text}`11-noise-floor.ipynb::between_unseen_4:.1%` |
# | training seeds, by RTN | {glue:text}`11-noise-floor.ipynb::between_nearest_2:.1%` | {glue:text}`11-noise-floor.ipynb::between_nearest_3:.1%` | {glue:text}`11-noise-floor.ipynb::between_nearest_4:.1%` |
# | training seeds, up to {glue:text}`11-noise-floor.ipynb::late_tokens:s` tokens | {glue:text}`11-noise-floor.ipynb::between_early_2:.0%` | {glue:text}`11-noise-floor.ipynb::between_early_3:.0%` | {glue:text}`11-noise-floor.ipynb::between_early_4:.0%` |
# | training seeds, last common checkpoint | {glue:text}`11-noise-floor.ipynb::between_last_2:.1%` | {glue:text}`11-noise-floor.ipynb::between_last_3:.1%` | {glue:text}`11-noise-floor.ipynb::between_last_4:.1%` |
# | the seed alone, less the scatter between machines | {glue:text}`11-noise-floor.ipynb::of_seed_by_device_2:.1%` | {glue:text}`11-noise-floor.ipynb::of_seed_by_device_3:.1%` | {glue:text}`11-noise-floor.ipynb::of_seed_by_device_4:.1%` |
# | training seeds, KL | {glue:text}`11-noise-floor.ipynb::between_kl_2:.1%` [{glue:text}`11-noise-floor.ipynb::between_kl_2_low:.1%`, {glue:text}`11-noise-floor.ipynb::between_kl_2_high:.0%`] | {glue:text}`11-noise-floor.ipynb::between_kl_3:.1%` [{glue:text}`11-noise-floor.ipynb::between_kl_3_low:.1%`, {glue:text}`11-noise-floor.ipynb::between_kl_3_high:.0%`] | {glue:text}`11-noise-floor.ipynb::between_kl_4:.1%` [{glue:text}`11-noise-floor.ipynb::between_kl_4_low:.1%`, {glue:text}`11-noise-floor.ipynb::between_kl_4_high:.0%`] |
# | the same seed again, KL | {glue:text}`11-noise-floor.ipynb::again_kl_2:.1%` | {glue:text}`11-noise-floor.ipynb::again_kl_3:.1%` | {glue:text}`11-noise-floor.ipynb::again_kl_4:.1%` |
# | 16 documents | {glue:text}`11-noise-floor.ipynb::few_2:.1%` | {glue:text}`11-noise-floor.ipynb::few_3:.1%` | {glue:text}`11-noise-floor.ipynb::few_4:.1%` |
# ```
# ::::
#
# **A quarter of the calibration text** ({glue:text}`11-noise-floor.ipynb::calib_few:d` sequences, {glue:text}`11-noise-floor.ipynb::n_seeds_few:d` draws for {glue:text}`11-noise-floor.ipynb::n_pocket:d` models) doesn't
# scatter twice as much, as a mean would. More text makes better Hessians, but any change of it, however small, sets off another chain of
# rounding decisions, and that part doesn't average out.
#
# **What blurs the numbers.** Of the variance between draws {glue:text}`11-noise-floor.ipynb::cal_documents_2:.0%`, {glue:text}`11-noise-floor.ipynb::cal_documents_3:.0%` and
# {glue:text}`11-noise-floor.ipynb::cal_documents_4:.0%` at 2, 3 and 4 bits come from the finite set of documents, of that between seeds {glue:text}`11-noise-floor.ipynb::between_documents_2:.0%`,
# {glue:text}`11-noise-floor.ipynb::between_documents_3:.0%` and {glue:text}`11-noise-floor.ipynb::between_documents_4:.0%`; we leave it in. Between two sizes the effects of the same draws
# correlate by {glue:text}`11-noise-floor.ipynb::together_2:.2f`, {glue:text}`11-noise-floor.ipynb::together_3:.2f` and {glue:text}`11-noise-floor.ipynb::together_4:.2f`, so that at 2 bits the interval is somewhat too
# narrow.
#
# **The same seed again.** {glue:text}`11-noise-floor.ipynb::second_sizes:d` sizes, up to {glue:text}`11-noise-floor.ipynb::second_largest:s` parameters, were trained a second time with the same
# seed and the same batches: {glue:text}`11-noise-floor.ipynb::second_rows:d` pairs of checkpoints. Only the order in which a GPU adds numbers separates two such runs.
# The scatter of one is the standard deviation of ln(one over the other) over $\sqrt 2$; a factor for how much of each document was scored
# is taken out. At 4 bits it is {glue:text}`11-noise-floor.ipynb::again_qid_4:.1%` of QiD, {glue:text}`11-noise-floor.ipynb::again_later:.1%` from {glue:text}`11-noise-floor.ipynb::again_later_from:s` tokens on.
#
# **16-bit losses** of several seeds differ by {glue:text}`11-noise-floor.ipynb::loss_spread_last:.3f` nats per token at the last common checkpoint, and by
# {glue:text}`11-noise-floor.ipynb::loss_spread:.3f` beyond {glue:text}`11-noise-floor.ipynb::late_tokens:s` tokens (standard deviations). The latter is mostly that of one checkpoint, at
# {glue:text}`11-noise-floor.ipynb::loss_spread_at:s` tokens ({glue:text}`11-noise-floor.ipynb::loss_spread_largest:.3f`): with a learning rate that doesn't fall, losses jump.
#
# **Longer documents** help less than more of them: on {glue:text}`11-noise-floor.ipynb::n_blocks:d` roundings the paired error with four blocks of each document is
# {glue:text}`11-noise-floor.ipynb::blocks_gain:.2f` times that with one (median); four times as many documents would halve it. By packages the error is
# {glue:text}`11-noise-floor.ipynb::factor_unseen:.2f` times that by documents on unseen text, which has {glue:text}`11-noise-floor.ipynb::packages_unseen:d` packages.
#
# **Another number format**: {glue:text}`11-noise-floor.ipynb::n_precision:d` cases, measured on {glue:text}`11-noise-floor.ipynb::precision_measured:s`.
#
# **Another machine, earlier.** {glue:text}`11-noise-floor.ipynb::before:s` There neither text nor documents nor weights differ, only the chain of rounding decisions:
# the rounding itself scatters more early in training.
#
# ::::{dropdown} Table: how scatter grows, and the smallest QiD that counts
# ```{table} Exponents of scatter, how much more the beginning of a document loses, how the error of documents grows as $c\,q^p$, and the smallest QiD that means anything.
# :name: tab-growth
#
# | | 2 bits | 3 bits | 4 bits |
# |---|---|---|---|
# | calibration text, exponent of size | {glue:text}`11-noise-floor.ipynb::size_trend_2:.2f` [{glue:text}`11-noise-floor.ipynb::size_trend_2_low:.2f`, {glue:text}`11-noise-floor.ipynb::size_trend_2_high:.2f`] | {glue:text}`11-noise-floor.ipynb::size_trend_3:.2f` [{glue:text}`11-noise-floor.ipynb::size_trend_3_low:.2f`, {glue:text}`11-noise-floor.ipynb::size_trend_3_high:.2f`] | {glue:text}`11-noise-floor.ipynb::size_trend_4:.2f` [{glue:text}`11-noise-floor.ipynb::size_trend_4_low:.2f`, {glue:text}`11-noise-floor.ipynb::size_trend_4_high:.2f`] |
# | training seeds, exponent of tokens | {glue:text}`11-noise-floor.ipynb::token_trend_2:.2f` [{glue:text}`11-noise-floor.ipynb::token_trend_2_low:.2f`, {glue:text}`11-noise-floor.ipynb::token_trend_2_high:.2f`] | {glue:text}`11-noise-floor.ipynb::token_trend_3:.2f` [{glue:text}`11-noise-floor.ipynb::token_trend_3_low:.2f`, {glue:text}`11-noise-floor.ipynb::token_trend_3_high:.2f`] | {glue:text}`11-noise-floor.ipynb::token_trend_4:.2f` [{glue:text}`11-noise-floor.ipynb::token_trend_4_low:.2f`, {glue:text}`11-noise-floor.ipynb::token_trend_4_high:.2f`] |
# | first block over four by RTN, QiD, factor | {glue:text}`11-noise-floor.ipynb::scored_qid_2:.2f` [{glue:text}`11-noise-floor.ipynb::scored_qid_2_low:.2f`, {glue:text}`11-noise-floor.ipynb::scored_qid_2_high:.2f`] | {glue:text}`11-noise-floor.ipynb::scored_qid_3:.2f` [{glue:text}`11-noise-floor.ipynb::scored_qid_3_low:.2f`, {glue:text}`11-noise-floor.ipynb::scored_qid_3_high:.2f`] | {glue:text}`11-noise-floor.ipynb::scored_qid_4:.2f` [{glue:text}`11-noise-floor.ipynb::scored_qid_4_low:.2f`, {glue:text}`11-noise-floor.ipynb::scored_qid_4_high:.2f`] |
# | first block over four by RTN, KL, factor | {glue:text}`11-noise-floor.ipynb::scored_kl_2:.2f` [{glue:text}`11-noise-floor.ipynb::scored_kl_2_low:.2f`, {glue:text}`11-noise-floor.ipynb::scored_kl_2_high:.2f`] | {glue:text}`11-noise-floor.ipynb::scored_kl_3:.2f` [{glue:text}`11-noise-floor.ipynb::scored_kl_3_low:.2f`, {glue:text}`11-noise-floor.ipynb::scored_kl_3_high:.2f`] | {glue:text}`11-noise-floor.ipynb::scored_kl_4:.2f` [{glue:text}`11-noise-floor.ipynb::scored_kl_4_low:.2f`, {glue:text}`11-noise-floor.ipynb::scored_kl_4_high:.2f`] |
# | documents, $p$ | {glue:text}`11-noise-floor.ipynb::eval_exponent_2:.2f` | {glue:text}`11-noise-floor.ipynb::eval_exponent_3:.2f` | {glue:text}`11-noise-floor.ipynb::eval_exponent_4:.2f` |
# | documents, $c$ in nats | {glue:text}`11-noise-floor.ipynb::eval_scale_2:.4f` | {glue:text}`11-noise-floor.ipynb::eval_scale_3:.4f` | {glue:text}`11-noise-floor.ipynb::eval_scale_4:.4f` |
# | scatter of single rows about it, factor | {glue:text}`11-noise-floor.ipynb::eval_off_2:.2f` | {glue:text}`11-noise-floor.ipynb::eval_off_3:.2f` | {glue:text}`11-noise-floor.ipynb::eval_off_4:.2f` |
# | smallest QiD, nats | {glue:text}`11-noise-floor.ipynb::smallest_2:.6f` | {glue:text}`11-noise-floor.ipynb::smallest_3:.6f` | {glue:text}`11-noise-floor.ipynb::smallest_4:.6f` |
# | least QiD measured, nats | {glue:text}`11-noise-floor.ipynb::least_2:.6f` | {glue:text}`11-noise-floor.ipynb::least_3:.6f` | {glue:text}`11-noise-floor.ipynb::least_4:.6f` |
# ```
# ::::
#
# At 4 bits the error of documents goes nearly as the root of QiD, as that of a count would: a larger QiD is more small losses. With fewer bits
# it comes nearer to a fixed share. The smallest QiD that means anything equals its own floor, of one model. At 2 and 3 bits no row comes
# near it. At 4 bits it lies among the rows; with the scatter of seeds up to {glue:text}`11-noise-floor.ipynb::late_tokens:s` tokens in the place of calibration text
# it would be {glue:text}`11-noise-floor.ipynb::smallest_4_early:.6f`.
#
# ## What this does not show
#
# - **Few runs.** One order of batches is behind all runs but those of other seeds; the second runs share it.
# - **New text instead of old.** Beyond {glue:text}`unique_tokens:s` tokens everything was read before.
# - **A law of any of it.** Each weight decay and each shape was trained once.
