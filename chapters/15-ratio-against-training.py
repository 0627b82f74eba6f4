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
# # Training shrinks the share that can go low
#
# *Does the share of a model that can go low shrink while the model is trained?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** From {glue:text}`train_first:s` to {glue:text}`train_last:s` tokens the share of the parameters that can go
#   low changes by {glue:text}`whole_matmul_mean:.2f` [{glue:text}`whole_matmul_low:.2f`, {glue:text}`whole_matmul_high:.2f`]
#   (MXINT with 4 bits, {glue:text}`train_budget:.0%` more perplexity, 95% over training runs).
# - **How sure.** It falls in all {glue:text}`of_runs:d` runs, one a size; the largest model ends earlier
#   and isn't among them. Decay takes little beside that. The law of size and tokens doesn't see ahead.
# - **Use it for.** Not carrying a recipe of kept matrices from an early checkpoint to a late one.
# ```
#
# At equal tokens a larger model can have more of itself in four bits ({doc}`chapter 13 <13-how-much-can-go-low>`), and larger blocks
# ({doc}`chapter 14 <14-block-size>`). But there training took back from the block what size gave. One paper says that QiD grows with
# training tokens $D$ {cite:p}`ouyang2025lowbit`, the other that the share grows with size $N$ {cite:p}`cao2024mixed`. Neither asks what
# becomes of the share while one model is trained. This chapter does, and ends with one law of both.
# {term}`Intervals <interval>` run over training runs, one a size.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt
import pyarrow.compute as pc

from helpers.analyse.rows.study import MIXED
from helpers.show.figures import mixed as figures
from helpers.show.glue import put_all
from helpers.show.numbers.choose import how_much_can_go_low as share
from helpers.show.numbers.choose import ratio_against_training as training
from helpers.show.style import use_house_style
from helpers.table.files import read_table, read_trials

use_house_style()
trials = read_trials(Path("results/trials.parquet")).to_pandas()
measured = read_table("results/measurements.parquet").filter(pc.field("family") == MIXED).to_pandas()
mixed = share.Mixed.from_tables(trials, measured)
largest = mixed.largest  # of every checkpoint, scheme, granularity, metric and budget
changes = training.pairs(largest, training.FIRST, training.LAST)

# %% tags=["remove-cell"]
put_all(**training.numbers(mixed))

# %% [markdown]
# ## Along a run
#
# The largest ratio $Q_r$ is that of {doc}`chapter 13 <13-how-much-can-go-low>`, read off recipes on held-out text. We follow it between
# checkpoints of *the same run*,
#
# $$
# \Delta Q_r = Q_r(D_2) - Q_r(D_1),
# $$ (eq-ratio-change)
#
# so that what is special about a size or a seed cancels. There are three moments at a constant learning rate: {glue:text}`train_first:s`,
# {glue:text}`train_middle:s` and {glue:text}`train_last:s` tokens, the last without the largest model, which ends earlier. Where everything
# is within the budget at both moments the ratio is one at both; such runs say nothing of the change and are left out of means.

# %% tags=["remove-cell"]
drawn = training.drawn_changes(changes)
put_all(
    fig_ratio_tokens=figures.ratio_against_tokens(training.main_of(largest), "{:.0%} more perplexity"),
    fig_ratio_changes=figures.changes_by_budget(drawn, share.shown_schemes(drawn), training.CHANGE_LABEL),
)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_ratio_tokens
# :name: fig-ratio-tokens
# :alt: Largest quantization ratio against training tokens in three panels for budgets of 5, 10 and 20 percent more perplexity, one line a size. Lines fall from left to right, steeply at first, and lie in the order of size but for the smallest at the start, the largest model on top. Crosses of decayed models lie on or slightly below the lines.
#
# While a model is trained, less and less of it can go low, and in small models least. MXINT with four bits for weights and
# inputs, matrix by matrix. Crosses: after a decay to zero. Hollow: everything is within the budget (at one), or less than the
# smallest ratio that was tried.
# ```
#
# **The more a model has read, the less of it can go low.** With {glue:text}`train_budget:.0%` more perplexity allowed, the largest ratio of
# MXINT changes by {glue:text}`whole_matmul_mean:.2f` [{glue:text}`whole_matmul_low:.2f`, {glue:text}`whole_matmul_high:.2f`] from the first
# moment to the last. Most of that comes early: {glue:text}`early_matmul_mean:.2f` [{glue:text}`early_matmul_low:.2f`,
# {glue:text}`early_matmul_high:.2f`] up to the second moment. From there on it is {glue:text}`late_matmul_mean:.2f`
# [{glue:text}`late_matmul_low:.2f`, {glue:text}`late_matmul_high:.2f`].
#
# ```{glue:figure} fig_ratio_changes
# :name: fig-ratio-changes
# :alt: Mean changes of the largest ratio with intervals, a row for each scheme and a panel for each of three budgets, two markers in each row. All means lie left of the line at zero, most between minus 0.2 and minus 0.5; intervals are wide where few runs are left.
#
# Every mean is below zero, in every scheme. Change from {glue:text}`train_first:s` to {glue:text}`train_last:s` tokens with 95% intervals
# over training runs; pale strokes reach over single runs. Left out: questions with fewer than three runs.
# ```
#
# Over all schemes, granularities, metrics and budgets there are {glue:text}`moved:d` pairs in which the ratio isn't one at both ends. It
# falls in all of them. Of {glue:text}`answers:d` questions that two such runs or more answer, {glue:text}`answers_down:d` have an interval
# below zero and none above. The pairs come from {glue:text}`of_runs:d` training runs: one finding from many sides.
#
# **The largest model** isn't among them. From the second moment to its last checkpoint its ratio falls at 5% more perplexity, from
# {glue:text}`large_from_5:.3f` to {glue:text}`large_to_5:.3f`. At 10% it stays: {glue:text}`large_from_10:.3f` and
# {glue:text}`large_to_10:.3f`.
#
# ## With decay
#
# Beside the middle moment stands a *cooldown* of each run to learning rate zero, which ends at the same number of tokens.
#
# **Decay takes little beside what tokens take.** The decayed model's ratio differs by {glue:text}`decay_matmul_mean:.3f`
# [{glue:text}`decay_matmul_low:.3f`, {glue:text}`decay_matmul_high:.3f`] matrix by matrix in MXINT, over {glue:text}`decay_runs:d` runs:
# it can't be distinguished from zero. For GPTQ at 2 bits it does, by {glue:text}`decay_gptq_2_mean:.3f`
# [{glue:text}`decay_gptq_2_low:.3f`, {glue:text}`decay_gptq_2_high:.3f`].
#
# The direction is plain all the same. The ratio is lower with decay in {glue:text}`decay_down:d` of {glue:text}`decay_cells:d` pairs. Of
# {glue:text}`decay_answers:d` questions {glue:text}`decay_clear_down:d` have an interval below zero and none above. QiD itself rises with
# decay ({doc}`chapter 7 <07-tokens-or-decay>`); this is the same seen through the ratio.
#
# ## One law of size and tokens
#
# The paper's law {eq}`eq-ratio-law` says that $1 - Q_r$ is a line in $\ln N$. The simplest law of both papers together adds a
# line in $\ln D$:
#
# $$
# 1 - Q_r = a + b \ln N + g \ln D .
# $$ (eq-ratio-both)
#
# with both in billions. To keep the ratio while the tokens are multiplied, size has to grow as $N \propto D^{p}$ with $p = -g / b$.
# The unified law of QiD {eq}`eq-unified` has such a power too, $\beta / \alpha$.
#
# ```{table} The law of both at 10% more perplexity, MXINT with inputs; intervals are 95%, clustered by training run.
# :name: tab-law-of-both
#
# | | matrix by matrix | block by block |
# |---|---|---|
# | $b$, by $\ln N$ | {glue:text}`both_size_matmul_mean:.3f` [{glue:text}`both_size_matmul_low:.3f`, {glue:text}`both_size_matmul_high:.3f`] | {glue:text}`both_size_layer_mean:.3f` [{glue:text}`both_size_layer_low:.3f`, {glue:text}`both_size_layer_high:.3f`] |
# | $g$, by $\ln D$ | {glue:text}`both_tokens_matmul_mean:.3f` [{glue:text}`both_tokens_matmul_low:.3f`, {glue:text}`both_tokens_matmul_high:.3f`] | {glue:text}`both_tokens_layer_mean:.3f` [{glue:text}`both_tokens_layer_low:.3f`, {glue:text}`both_tokens_layer_high:.3f`] |
# | $p = -g / b$ | {glue:text}`both_power_matmul_mean:.2f` [{glue:text}`both_power_matmul_low:.2f`, {glue:text}`both_power_matmul_high:.2f`] | {glue:text}`both_power_layer_mean:.2f` [{glue:text}`both_power_layer_low:.2f`, {glue:text}`both_power_layer_high:.2f`] |
# | taken off $Q_r$ by ten times both | {glue:text}`proportional_matmul_mean:.2f` [{glue:text}`proportional_matmul_low:.2f`, {glue:text}`proportional_matmul_high:.2f`] | {glue:text}`proportional_layer_mean:.2f` [{glue:text}`proportional_layer_low:.2f`, {glue:text}`proportional_layer_high:.2f`] |
# ```
#
# **Size pulls the ratio up, tokens pull it down.** Of {glue:text}`both_fits:d` questions that can be fitted, $b$ is clearly negative in
# all, and $g$ clearly positive in {glue:text}`both_tokens_up:d`. To let as much of it go low after ten times the tokens, a model would
# have to be {glue:text}`ten_times:.0f` times as large [{glue:text}`ten_times_low:.0f`, {glue:text}`ten_times_high:.0f`]. A law of size
# alone, as the paper has it, is a law for models that have read equally much.
#
# **At equal tokens per parameter the ratio of MXINT falls with size.** There $\ln D$ moves as $\ln N$ does, and $1 - Q_r$ rises by
# $b + g$. Ten times the size with ten times the tokens takes {glue:text}`proportional_least:.2f` to {glue:text}`proportional_most:.2f` off
# the ratio over the three budgets, matrix by matrix.
#
# It clearly falls in {glue:text}`proportional_mxint:d` of {glue:text}`of_mxint:d` questions about MXINT and in
# {glue:text}`proportional_gptq_2:d` of {glue:text}`of_gptq_2:d` about GPTQ at 2 bits.
#
# In the schemes that cost less most questions are undecided: of all {glue:text}`both_fits:d` it falls in {glue:text}`proportional_falls:d`
# and clearly rises in {glue:text}`proportional_rises:d`. So "larger models can go lower" is true at equal tokens. Of four bits with inputs
# the reverse is true where models are trained in proportion to their size.
#
# The cost behind the ratio says the same. QiD of the cheapest recipe with 90% low grows as $D$ to the power of
# {glue:text}`beta_at_90_mean:.2f` [{glue:text}`beta_at_90_low:.2f`, {glue:text}`beta_at_90_high:.2f`], and falls more slowly with $N$
# ({doc}`appendix F <97-searches-and-joint-laws>`).
#
# **The law describes, but it doesn't see ahead in tokens.** For the last {glue:text}`train_factor:.1f`-fold of tokens it misses by
# {glue:text}`miss_both_last:.2f`, as much as saying that nothing changes ({glue:text}`miss_before_last:.2f`). The one is too low, the
# other too high: the fall in $\ln D$ slows down, and two moments of each run can't know that. The largest size is predicted within
# {glue:text}`miss_both_largest:.2f`.
#
# ## The three chapters together
#
# - At equal tokens a larger model can have a larger share in four bits, inputs too, and larger blocks. That is what the paper says.
# - Training takes from both. With as many tokens *per parameter* it takes more than size gives: of two such models the larger one needs more
#   of itself kept, and smaller blocks. Both sentences are fits to these sizes.
# - To choose what to keep, measure each matrix once, on little text, on the checkpoint that will be used.
#
# ## What this does not show
#
# - **More than three moments.** Two factors of about four in tokens, one run a size: that the fall slows down is seen, not its form.
# - **Fresh text throughout.** At the end the training text has been read {glue:text}`train_epochs:.1f` times over. What reading
#   again does to QiD is a question of {doc}`appendix A <92-what-else-moves-qid>`.
# - **One cooldown a size**, at one place. What decay does elsewhere is {doc}`chapter 7 <07-tokens-or-decay>`'s question, for QiD.
# - **Early models that can go low as a whole.** At {glue:text}`train_first:s` tokens, with 20% more perplexity, nearly every model can;
#   a ratio can't rise above one, so where it starts there the fall is understated.

# %% [markdown]
# ## Exercises
#
# **1.** With more training the share that can go low falls from 0.9 to 0.8. By what factor does the memory of what stays in 16 bits grow?
#
# ```{admonition} Answer
# :class: dropdown
# It doubles: $1 - Q_r$ goes from 0.1 to 0.2. A small change of the ratio near one is a large change of what must stay.
# ```
#
# **2.** Size adds to the share, tokens take from it. A laboratory trains each larger model on as many more tokens. What happens to the
# share?
#
# ```{admonition} Answer
# :class: dropdown
# By the law of both it falls: what ten times the tokens take is more than what ten times the size adds.
# ```
#
# **3.** At the first checkpoint nearly every model can go low as a whole. Does that make the fall of the share look larger or smaller than it
# is?
#
# ```{admonition} Answer
# :class: dropdown
# Smaller. The ratio stops at one, though the model could have borne more; the fall begins from too low a place.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* `recipes()` has assignments with their `quantized_ratio` and `qid_nats`. At the last step of `tadpole-256x4`, which is the
# largest ratio that was tried whose perplexity grows by 10% at most?

# %%
import numpy as np

from helpers.teach.checking import check
from helpers.teach.data import recipes

answer = None  # a share
check("15.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = recipes().query("model == 'tadpole-256x4'")
last = rows[rows["step"] == rows["step"].max()]
check("15.4", last.loc[np.expm1(last["qid_nats"]) <= 0.1, "quantized_ratio"].max())

# %% [markdown]
# **5.** *(project)* By the law of both, how many tokens may a model of 10 million parameters read until only nine tenths of it can go low? Read
# $b$ and $g$ off the page, take $a$ from one row of `recipes()`, and compare with the measured runs. Where does the law go wrong first?
