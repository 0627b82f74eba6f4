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
# - **How sure.** It falls in {glue:text}`down:d` of {glue:text}`of_runs:d` runs, one a size; the largest model ends earlier
#   and isn't among them. Decay takes little beside that. The law of size and tokens doesn't see ahead.
# - **Use it for.** Not carrying a recipe of kept matrices from an early checkpoint to a late one.
# ```
#
# One paper says that QiD grows with training tokens $D$ {cite:p}`ouyang2025lowbit`. The other says that the share of a model that
# can go low grows with size $N$ {cite:p}`cao2024mixed`. Neither asks the question between the two: what becomes of that share while
# one model is trained. Here every size has early, middle and late checkpoints, so that the question has an answer.

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

from helpers.analyse.mixed.largest_ratio import RECIPES, changes_by, cost_at_targets, largest_ratios, paired_changes
from helpers.analyse.mixed.largest_ratio_hold_outs import predicted, scores
from helpers.analyse.mixed.largest_ratio_law import fits_by_question
from helpers.analyse.mixed.trials import recipes, scheme_names, swapped_and_rounded, with_metrics
from helpers.analyse.questions.slopes_of_ratios import log_mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import MIXED
from helpers.show.figures import mixed
from helpers.show.glue import put, put_all
from helpers.show.style import count_label, use_house_style
from helpers.table.files import read_table, read_trials

use_house_style()
MAIN = "MXINT 4 bits, inputs too"
SCHEMES = [MAIN, "MXFP 4 bits", "GPTQ 2 bits", "GPTQ 3 bits", "GPTQ 4 bits"]
SEQUENCES = 64
METRIC, BUDGET = "relative_perplexity", 0.1
GRANULARITIES = {"matmul": "matrix by matrix", "layer": "block by block"}
FIRST, MIDDLE, LAST = 500, 1907, 7275


def put_row(name, row):
    put_all(**{f"{name}_{part}": row[part] for part in ("mean", "low", "high")})


# %% [markdown]
# ## Definition
#
# The largest ratio $Q_r$ {eq}`eq-ratio` is that of {doc}`chapter 13 <13-how-much-can-go-low>`: the largest share of the blocks' parameters in
# low precision whose cost stays within a budget, no unit, read off recipes on held-out text. We follow it along a run,
#
# $$
# \Delta Q_r = Q_r(D_2) - Q_r(D_1),
# $$ (eq-ratio-change)
#
# between checkpoints of *the same run*: what is special about a size or a seed stays the same and cancels. Three moments at a
# constant learning rate: {glue:text}`train_first:s`, {glue:text}`train_middle:s` and {glue:text}`train_last:s` tokens, the last for
# {glue:text}`train_late_runs:d` of {glue:text}`train_runs:d` runs (the largest model ends at
# {glue:text}`large_tokens:s`). Beside the middle one
# stands a *cooldown* to learning rate zero that ends at the same number of tokens. Means are over runs, one number each, and all
# {term}`intervals <interval>` run over training runs. Where everything is within the budget at both moments the ratio is one at both; such runs say nothing of
# the change, and are counted but not averaged.

# %% tags=["hide-input"]
trials = with_metrics(read_trials(Path("results/trials.parquet")).to_pandas())
trials["scheme"] = scheme_names(trials)
searched = trials[trials["scheme"].isin(SCHEMES) & (trials["n_sequences"] == SEQUENCES)]
measured = read_table("results/measurements.parquet").filter(pc.field("family") == MIXED).to_pandas()
held_out = swapped_and_rounded(searched, recipes(measured))
largest = largest_ratios(held_out, RECIPES)
largest["scheme"] = scheme_names(largest)
constant = largest[largest["schedule"] == "constant"]
at = {step: constant[constant["step"] == step] for step in (FIRST, MIDDLE, LAST)}

# %% tags=["remove-cell"]
for name, step in (("first", FIRST), ("middle", MIDDLE), ("last", LAST)):
    put(f"train_{name}", count_label(at[step][TOKENS_SEEN].iloc[0]))
put_all(train_runs=constant["run_label"].nunique(), train_late_runs=at[LAST]["run_label"].nunique())
main = largest[(largest["scheme"] == MAIN) & (largest["metric"] == METRIC) & (largest["granularity"] == "matmul")]
put("fig_ratio_tokens", mixed.ratio_against_tokens(main, "{:.0%} more perplexity"))
plt.close("all")

# %% [markdown]
# ## Along a run
#
# ```{glue:figure} fig_ratio_tokens
# :name: fig-ratio-tokens
# :alt: Largest quantization ratio against training tokens in three panels for budgets of 5, 10 and 20 percent more perplexity, one line a size. Lines fall from left to right, steeply at first, and lie in the order of size but for the smallest at the start, the largest model on top. Crosses of decayed models lie on or slightly below the lines.
#
# While a model is trained, less and less of it can go low, and in small models least. MXINT with four bits for weights and
# inputs, matrix by matrix. Crosses: after a decay to zero. Hollow: everything is within the budget (at one), or less than the
# smallest ratio that was tried.
# ```

# %% tags=["hide-input"]
KEY = ["scheme", "granularity", "metric", "budget"]
spans = {"whole": (FIRST, LAST), "early": (FIRST, MIDDLE), "late": (MIDDLE, LAST)}
pairs = {name: paired_changes(at[one], at[two]).assign(scheme=scheme_names) for name, (one, two) in spans.items()}
changes = {name: changes_by(table, KEY).set_index(KEY) for name, table in pairs.items()}
whole = changes["whole"].reset_index()
shown = whole[(whole["metric"] == METRIC) & (whole["n_runs"] > 0)]
shown = shown.assign(title=shown["budget"].map("budget {:.0%}".format))

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: changes of the largest ratio, by scheme and budget", "code_prompt_hide": "Table: changes of the largest ratio, by scheme and budget"}
cells = shown.assign(
    change=[
        (f"{row.mean:+.2f} [{row.low:+.2f}, {row.high:+.2f}]" if row.n_runs > 1 else f"{row.mean:+.2f}").replace(
            "-", "−"
        )
        for row in shown.itertuples()
    ],
    runs=shown["n_down"].astype(str) + " down, " + shown["n_up"].astype(str) + " up",
)
cells.set_index(["scheme", "granularity", "budget"])[["change", "runs", "n_at_one"]].rename(
    index=GRANULARITIES, columns={"n_at_one": "runs left out (ratio 1)"}
)

# %% tags=["remove-cell"]
for span, table in changes.items():
    put_row(f"{span}_matmul", table.loc[(MAIN, "matmul", METRIC, BUDGET)])
put_row("whole_layer", changes["whole"].loc[(MAIN, "layer", METRIC, BUDGET)])
late_change = changes["late"].loc[(MAIN, "matmul", METRIC, BUDGET), "mean"]
main_change = changes["whole"].loc[(MAIN, "matmul", METRIC, BUDGET)]
put_all(down=int(main_change["n_down"]), of_runs=int(main_change["n_runs"]))
moving = pairs["whole"][~pairs["whole"]["at_one"]]
put_all(moved=len(moving), moved_down=int((moving["change"] < 0).sum()), moved_up=int((moving["change"] > 0).sum()))
told = whole[whole["n_runs"] > 1]
put_all(answers=len(told), answers_down=int((told["high"] < 0).sum()), answers_up=int((told["low"] > 0).sum()))
drawn = shown[shown["n_runs"] > 2]
schemes = [scheme for scheme in SCHEMES if scheme in set(drawn["scheme"])]
label = "change of the largest ratio (share of parameters)"
put("fig_ratio_changes", mixed.changes_by_budget(drawn, schemes, label))
of_largest = main[(main[N_PARAMS] == main[N_PARAMS].max()) & (main["schedule"] == "constant")].sort_values(TOKENS_SEEN)
put_all(train_budget=BUDGET, train_factor=at[LAST][TOKENS_SEEN].iloc[0] / at[MIDDLE][TOKENS_SEEN].iloc[0])
put("large_tokens", count_label(of_largest[TOKENS_SEEN].iloc[-1]))
for budget, name in ((0.05, "5"), (0.1, "10")):
    start, end = of_largest.loc[of_largest["budget"] == budget, "interpolated"].iloc[-2:]
    put_all(**{f"large_from_{name}": start, f"large_to_{name}": end})
    assert (end < start) == (budget == 0.05), "the text says: down at 5%, not at 10%"
assert (moving["change"] < 0).all(), "the text says that every pair falls"
assert changes["early"].loc[(MAIN, "matmul", METRIC, BUDGET), "mean"] < late_change, "most of it comes early"
plt.close("all")

# %% [markdown]
# *Change of the largest ratio from {glue:text}`train_first:s` to {glue:text}`train_last:s` tokens, by budget of relative perplexity.*
#
# **The more a model has read, the less of it can go low.** From {glue:text}`train_first:s` to {glue:text}`train_last:s` tokens, with
# {glue:text}`train_budget:.0%` more perplexity allowed, the largest ratio of MXINT, a share of the parameters, changes by
# {glue:text}`whole_matmul_mean:.2f` [{glue:text}`whole_matmul_low:.2f`, {glue:text}`whole_matmul_high:.2f`] matrix by matrix; it falls in {glue:text}`down:d` of
# {glue:text}`of_runs:d` runs, the largest size not among them. Block by block it changes by {glue:text}`whole_layer_mean:.2f` [{glue:text}`whole_layer_low:.2f`,
# {glue:text}`whole_layer_high:.2f`]. Most of it comes early: the change is {glue:text}`early_matmul_mean:.2f`
# [{glue:text}`early_matmul_low:.2f`, {glue:text}`early_matmul_high:.2f`] up to {glue:text}`train_middle:s` tokens, and
# {glue:text}`late_matmul_mean:.2f` [{glue:text}`late_matmul_low:.2f`, {glue:text}`late_matmul_high:.2f`] in the next
# {glue:text}`train_factor:.1f`-fold. For GPTQ at 2 bits it changes by {glue:text}`whole_gptq_2_mean:.2f` [{glue:text}`whole_gptq_2_low:.2f`,
# {glue:text}`whole_gptq_2_high:.2f`] at that budget, at 3 bits with 5% more perplexity {glue:text}`whole_gptq_3_mean:.2f`
# [{glue:text}`whole_gptq_3_low:.2f`, {glue:text}`whole_gptq_3_high:.2f`].
#
# Over all schemes, granularities, metrics and budgets there are {glue:text}`moved:d` pairs in which the ratio isn't one at both
# ends. It falls in {glue:text}`moved_down:d` of them and rises in {glue:text}`moved_up:d`. {glue:text}`answers:d` questions have two
# such runs or more; in {glue:text}`answers_down:d` the interval lies below zero, in {glue:text}`answers_up:d` above. The pairs come
# from {glue:text}`of_runs:d` training runs: this is one finding, seen from many sides. The largest model isn't among them, for it
# ends earlier. From {glue:text}`train_middle:s` to its last {glue:text}`large_tokens:s` tokens its ratio goes from
# {glue:text}`large_from_5:.3f` to {glue:text}`large_to_5:.3f` at 5% and from {glue:text}`large_from_10:.3f` to
# {glue:text}`large_to_10:.3f` at 10%: down at one budget, level at the other.
#
# ```{glue:figure} fig_ratio_changes
# :name: fig-ratio-changes
# :alt: Mean changes of the largest ratio with intervals, a row for each scheme and a panel for each of three budgets, two markers in each row. All means lie left of the line at zero, most between minus 0.2 and minus 0.5; intervals are wide where few runs have a say.
#
# Every mean is below zero. Change from {glue:text}`train_first:s` to {glue:text}`train_last:s` tokens with 95% intervals over
# training runs; pale strokes reach over single runs. Left out: what fewer than three runs have to say.
# ```
#
# ## With decay

# %% tags=["hide-input"]
decayed = largest[largest["schedule"] == "cooldown"]
by_decay = paired_changes(at[MIDDLE], decayed).assign(scheme=scheme_names)
of_decay = changes_by(by_decay, KEY).set_index(KEY)
against_decay = by_decay[~by_decay["at_one"]]

# %% tags=["remove-cell"]
for granularity in GRANULARITIES:
    put_row(f"decay_{granularity}", of_decay.loc[(MAIN, granularity, METRIC, BUDGET)])
for scheme, budget, name in (("GPTQ 2 bits", BUDGET, "gptq_2"), ("GPTQ 3 bits", 0.05, "gptq_3")):
    put_row(f"decay_{name}", of_decay.loc[(scheme, "matmul", METRIC, budget)])
    put_row(f"whole_{name}", changes["whole"].loc[(scheme, "matmul", METRIC, budget)])
put_all(decay_cells=len(against_decay), decay_down=int((against_decay["change"] < 0).sum()))
put("decay_runs", int(of_decay.loc[(MAIN, "matmul", METRIC, BUDGET), "n_runs"]))
clear = of_decay[of_decay["n_runs"] > 1]
put_all(decay_answers=len(clear), decay_clear_down=int((clear["high"] < 0).sum()))
put("decay_clear_up", int((clear["low"] > 0).sum()))
assert (clear["low"] <= 0).all(), "the text says: no question has an interval above zero"
for granularity in GRANULARITIES:
    row = of_decay.loc[(MAIN, granularity, METRIC, BUDGET)]
    assert row["low"] < 0 < row["high"], "the text says that it can't be told from zero"

# %% [markdown]
# **Decay takes little beside what tokens take.** At equal tokens the model whose learning rate has gone to zero has a largest ratio
# that differs from the constant rate's by {glue:text}`decay_matmul_mean:.3f` [{glue:text}`decay_matmul_low:.3f`,
# {glue:text}`decay_matmul_high:.3f`] matrix by matrix and by {glue:text}`decay_layer_mean:.3f` [{glue:text}`decay_layer_low:.3f`,
# {glue:text}`decay_layer_high:.3f`] block by block ({glue:text}`decay_runs:d` runs): for MXINT it can't be distinguished from zero. For GPTQ at
# 2 bits it is {glue:text}`decay_gptq_2_mean:.3f` [{glue:text}`decay_gptq_2_low:.3f`, {glue:text}`decay_gptq_2_high:.3f`], at 3 bits
# with 5% more perplexity {glue:text}`decay_gptq_3_mean:.3f` [{glue:text}`decay_gptq_3_low:.3f`,
# {glue:text}`decay_gptq_3_high:.3f`]. The direction is plain all the same: the decayed model's ratio is lower in
# {glue:text}`decay_down:d` of {glue:text}`decay_cells:d` pairs, and of {glue:text}`decay_answers:d` questions with two runs or more
# {glue:text}`decay_clear_down:d` have an interval below zero and {glue:text}`decay_clear_up:d` above. QiD itself rises with decay
# ({doc}`chapter 7 <07-tokens-or-decay>`); this is the same seen through the ratio.
#
# ## One law of both
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

# %% tags=["hide-input"]
fits = fits_by_question(constant, with_tokens=True)
fits["scheme"] = scheme_names(fits)
both = fits[(fits["scheme"] == MAIN) & (fits["metric"] == METRIC)].set_index(["granularity", "budget"])["fit"]
costs = cost_at_targets(held_out[held_out["schedule"] == "constant"], RECIPES)
costs = costs[(scheme_names(costs) == MAIN) & (costs["granularity"] == "matmul")]
growth = {
    target: log_mean_and_slopes(rows.assign(ratio=rows["qid_nats"]), [N_PARAMS, TOKENS_SEEN])
    for target, rows in costs.groupby("target_ratio")
    if (rows["qid_nats"] > 0).all()
}

# %% tags=["hide-input"]
columns = ("size_slope", "token_slope", "size_for_tokens")
cells = {
    key: ["{0.value:+.3f} [{0.low:+.3f}, {0.high:+.3f}]".format(getattr(fit, name)) for name in columns]
    for key, fit in both.items()
}
shown = pd.DataFrame(cells, index=["b, by ln N", "g, by ln D", "p = −g / b"]).T.rename_axis(["granularity", "budget"])
shown.map(lambda text: text.replace("-", "−")).rename(index=GRANULARITIES)

# %% tags=["remove-cell"]
for name, one in (("size", both["matmul", BUDGET].size_slope), ("tokens", both["matmul", BUDGET].token_slope)):
    put_row(f"both_{name}_matmul", {"mean": one.value, "low": one.low, "high": one.high})
for granularity in GRANULARITIES:
    one = both[granularity, BUDGET].size_for_tokens
    put_row(f"both_power_{granularity}", {"mean": one.value, "low": one.low, "high": one.high})
    proportional = both[granularity, BUDGET].proportional_slope
    ends = {"mean": proportional.value, "low": proportional.low, "high": proportional.high}
    put_row(f"proportional_{granularity}", {part: np.log(10) * value for part, value in ends.items()})
    assert proportional.low > 0, "the text says: at equal tokens per parameter the ratio falls"
power = both["matmul", BUDGET].size_for_tokens
middle = [-growth[target].loc[TOKENS_SEEN, "value"] / growth[target].loc[N_PARAMS, "value"] for target in (0.5, 1.0)]
assert middle[0] < power.value < middle[1], "the text says: p lies in their midst"
early_whole = at[FIRST][(at[FIRST]["scheme"] == MAIN) & (at[FIRST]["metric"] == METRIC) & (at[FIRST]["budget"] == 0.2)]
assert (early_whole["interpolated"] > 0.95).mean() > 0.8, "the caveat says: nearly every model"
put_all(ten_times=10**power.value, ten_times_low=10**power.low, ten_times_high=10**power.high)
fitted = [fit for fit in fits["fit"] if fit is not None]
put_all(both_fits=len(fitted), both_tokens_up=sum(one.token_slope.low > 0 for one in fitted))
assert all(one.token_slope.value > 0 > one.size_slope.value for one in fitted)
put("both_size_down", sum(one.size_slope.high < 0 for one in fitted))
falls = fits[[fit is not None and fit.proportional_slope.low > 0 for fit in fits["fit"]]]["scheme"].value_counts()
can_be_fitted = fits[fits["fit"].notna()]["scheme"].value_counts()
put_all(proportional_falls=int(falls.sum()), proportional_mxint=int(falls[MAIN]), of_mxint=int(can_be_fitted[MAIN]))
put_all(proportional_gptq_2=int(falls["GPTQ 2 bits"]), of_gptq_2=int(can_be_fitted["GPTQ 2 bits"]))
put("proportional_rises", sum(one.proportional_slope.high < 0 for one in fitted))
of_budgets = [np.log(10) * both["matmul", budget].proportional_slope.value for budget in (0.05, 0.1, 0.2)]
put_all(proportional_least=min(of_budgets), proportional_most=max(of_budgets))
for target in (0.5, 0.9, 1.0):
    name = f"{target:.0%}".removesuffix("%")
    beta, alpha = growth[target].loc[[TOKENS_SEEN, N_PARAMS], "value"]
    put(f"power_at_{name}", -beta / alpha)
    for column, word in ((TOKENS_SEEN, "beta"), (N_PARAMS, "alpha")):
        value, low, high = growth[target].loc[column, ["value", "low", "high"]]
        put_row(f"{word}_at_{name}", {"mean": value, "low": low, "high": high})

# %% [markdown]
# **Size pulls the ratio up, tokens pull it down.** Matrix by matrix at {glue:text}`train_budget:.0%` more perplexity,
# $b$ is {glue:text}`both_size_matmul_mean:.3f` [{glue:text}`both_size_matmul_low:.3f`, {glue:text}`both_size_matmul_high:.3f`] and $g$
# {glue:text}`both_tokens_matmul_mean:.3f` [{glue:text}`both_tokens_matmul_low:.3f`, {glue:text}`both_tokens_matmul_high:.3f`]; of
# {glue:text}`both_fits:d` questions that can be fitted, $b$ is clearly negative in {glue:text}`both_size_down:d` and $g$ clearly
# positive in {glue:text}`both_tokens_up:d`. The power $p$ is {glue:text}`both_power_matmul_mean:.2f`
# [{glue:text}`both_power_matmul_low:.2f`, {glue:text}`both_power_matmul_high:.2f`] matrix by matrix and
# {glue:text}`both_power_layer_mean:.2f` [{glue:text}`both_power_layer_low:.2f`, {glue:text}`both_power_layer_high:.2f`] block by block:
# to let as much of it go low after ten times the tokens, a model would have to be {glue:text}`ten_times:.0f` times as large
# [{glue:text}`ten_times_low:.0f`, {glue:text}`ten_times_high:.0f`]. A law of size alone, as the paper has it, is a law for models that
# have read equally much.
#
# **At equal tokens per parameter the ratio of MXINT falls with size.** There $\ln D$ moves as $\ln N$ does, and $1 - Q_r$ rises by $b + g$: ten
# times the size with ten times the tokens takes {glue:text}`proportional_matmul_mean:.2f` [{glue:text}`proportional_matmul_low:.2f`,
# {glue:text}`proportional_matmul_high:.2f`] off the ratio matrix by matrix ({glue:text}`proportional_least:.2f` to
# {glue:text}`proportional_most:.2f` over the three budgets) and {glue:text}`proportional_layer_mean:.2f`
# [{glue:text}`proportional_layer_low:.2f`, {glue:text}`proportional_layer_high:.2f`] block by block. It clearly falls in
# {glue:text}`proportional_mxint:d` of {glue:text}`of_mxint:d` questions about MXINT and {glue:text}`proportional_gptq_2:d` of
# {glue:text}`of_gptq_2:d` about GPTQ at 2 bits. In the schemes that cost less most questions can't tell: of all
# {glue:text}`both_fits:d` it falls in {glue:text}`proportional_falls:d` and clearly rises in {glue:text}`proportional_rises:d`. So
# "larger models can go lower" is true at equal tokens, and of four bits with inputs the reverse is where models are trained in
# proportion to their size. It is what the fit says within its sizes and tokens; how little it sees ahead comes below.
#
# The cost behind the ratio says the same. QiD of the cheapest recipe with everything low grows as $D$ to the power of
# {glue:text}`beta_at_100_mean:.2f` [{glue:text}`beta_at_100_low:.2f`, {glue:text}`beta_at_100_high:.2f`] and as $N$ to the power of
# {glue:text}`alpha_at_100_mean:.2f` [{glue:text}`alpha_at_100_low:.2f`, {glue:text}`alpha_at_100_high:.2f`]. With 90% low the powers are
# {glue:text}`beta_at_90_mean:.2f` [{glue:text}`beta_at_90_low:.2f`, {glue:text}`beta_at_90_high:.2f`] and
# {glue:text}`alpha_at_90_mean:.2f` [{glue:text}`alpha_at_90_low:.2f`, {glue:text}`alpha_at_90_high:.2f`], with 50%
# {glue:text}`beta_at_50_mean:.2f` [{glue:text}`beta_at_50_low:.2f`, {glue:text}`beta_at_50_high:.2f`] and
# {glue:text}`alpha_at_50_mean:.2f` [{glue:text}`alpha_at_50_low:.2f`, {glue:text}`alpha_at_50_high:.2f`]. The choice of what to keep does
# more for larger models, which have more parts to choose from. The powers of size to tokens that follow,
# {glue:text}`power_at_50:.2f`, {glue:text}`power_at_90:.2f` and {glue:text}`power_at_100:.2f` with 50%, 90% and everything low, have
# $p$ in their midst.
#
# ## Predicting rows that the law hasn't seen

# %% tags=["hide-input"]
asked = largest["step"].isin([FIRST, MIDDLE, LAST]) | (largest["schedule"] == "cooldown")
judged = predicted(largest[asked & (largest["metric"] == METRIC)])
judged["scheme"] = scheme_names(judged)
of_main = judged[(judged["scheme"] == MAIN) & judged["predicted"].notna()]
table = scores(of_main, ["hold_out", "law"]).pivot(index="law", columns="hold_out", values="rms")
table = table.reindex(index=of_main["law"].unique(), columns=of_main["hold_out"].unique())
biases = scores(of_main, ["hold_out", "law"]).set_index(["law", "hold_out"])["bias"]

# %% tags=["hide-input"]
table.map(lambda value: "" if pd.isna(value) else f"{value:.3f}").rename_axis(columns=None)

# %% tags=["remove-cell"]
for law, hold_out, name in (
    ("size", "largest size", "size_largest"),
    ("size and tokens", "largest size", "both_largest"),
    ("size and tokens", "last tokens", "both_last"),
    ("as before", "last tokens", "before_last"),
    ("as before", "decayed rate", "before_decayed"),
    ("published", "largest size", "published_largest"),
    ("published", "last tokens", "published_last"),
    ("published", "decayed rate", "published_decayed"),
):
    put(f"miss_{name}", table.loc[law, hold_out])
put_all(low_by=-biases["size and tokens", "last tokens"], bias_before_last=biases["as before", "last tokens"])
put("train_epochs", measured["epochs"].max())
assert biases["size and tokens", "last tokens"] < 0 < biases["as before", "last tokens"]
assert abs(table.loc["size and tokens", "last tokens"] / table.loc["as before", "last tokens"] - 1) < 0.1, "as much"
assert table["decayed rate"].idxmin() == "as before"

# %% [markdown]
# *Root mean square of the misses of the largest ratio (no unit), MXINT, both granularities, three budgets. "As before": the last
# ratio of the same model. Published: the printed constants of {doc}`chapter 13 <13-how-much-can-go-low>`.*
#
# The law of both describes, but it doesn't see ahead in tokens. For the last {glue:text}`train_factor:.1f`-fold of tokens it
# misses by {glue:text}`miss_both_last:.3f`, as much as saying that nothing changes ({glue:text}`miss_before_last:.3f`): the one is
# too low by {glue:text}`low_by:.3f` on average, the other too high by {glue:text}`bias_before_last:.3f`. The fall in $\ln D$
# slows down, and two moments of each run can't know that. The largest size is predicted within
# {glue:text}`miss_size_largest:.3f` by the law of size alone and {glue:text}`miss_both_largest:.3f` by that of both; a decayed model
# best by its own ratio before the decay ({glue:text}`miss_before_decayed:.3f`). With the printed constants the misses are
# {glue:text}`miss_published_largest:.3f`, {glue:text}`miss_published_last:.3f` and {glue:text}`miss_published_decayed:.3f`.
#
# ## What this does not show
#
# - **More than three moments.** Two factors of about four in tokens, one run a size: that the fall slows down is seen, not its form.
# - **Fresh text throughout.** At the end the training text has been read {glue:text}`train_epochs:.1f` times over. What reading
#   again does to QiD is a question of {doc}`chapter 5 <05-unified-law>`.
# - **One cooldown a size**, at one place. What decay does elsewhere is {doc}`chapter 7 <07-tokens-or-decay>`'s question, for QiD.
# - **Early models that hardly mind.** At {glue:text}`train_first:s` tokens, with 20% more perplexity, nearly every model can go low as
#   a whole; a ratio can't rise above one, so where it starts there the fall is understated.

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
from helpers.teach.checking import check
from helpers.teach.data import recipes

answer = None  # a share
check("15.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = recipes().query("model == 'tadpole-256x4'")
last = rows[rows["step"] == rows["step"].max()]
check("15.4", last.loc[np.expm1(last["qid_nats"]) <= 0.1, "quantized_ratio"].max())
