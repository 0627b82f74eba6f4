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
# # Longer training calls for smaller blocks
#
# *Do large models need small blocks?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** The block that {glue:text}`qb_budget:.0%` more perplexity allows falls as $D$ to the power
#   {glue:text}`qb_grows_tokens:s` (95%, over training runs), with inputs and weights in 4 bits.
# - **How sure.** {glue:text}`qb_runs:d` runs, one a size, up to {glue:text}`qb_largest:s` parameters; at equal tokens the
#   allowed block grows with size. No law of block size predicts the largest size well. Weights alone: block size matters less.
# - **Use it for.** Choosing the block of a 4-bit format for inputs and weights: large models are no excuse for large blocks
#   once they are trained for longer.
# ```
#
# A low-precision format rarely gives each value a scale of its own. A {term}`block <Qb>` of neighbouring values shares one. A large block
# is cheap and coarse: its largest value sets the step for all others. A small block follows the values and pays for its scale,
# in memory and in hardware. {cite:t}`cao2024mixed` find that the loss grows as a power of the block size, and a later version
# of their paper says that large models can do with large blocks. We measure the power on whole training runs, put it into one
# law with size, tokens and the share that is rounded, and see whether the claim holds. {term}`Intervals <interval>` run over training
# runs, one a size; bars of single checkpoints are two paired errors.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.hold_outs import judge, predict_all, refitted, scores, scores_by_run, table_of_scores
from helpers.analyse.judgement.scoring import with_errors
from helpers.analyse.laws.names import JOINT_FORMS
from helpers.analyse.mixed import block_size as blocks
from helpers.analyse.mixed.largest_ratio_law import CAO_2024_LAWS
from helpers.analyse.questions import extrapolation
from helpers.analyse.questions.slopes_of_ratios import mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures import block_size as block_figures
from helpers.show.figures import extrapolation as extrapolation_figures
from helpers.show.glue import put, put_all
from helpers.show.style import count_label, use_house_style
from helpers.table.files import read_checkpoints, read_table

use_house_style()
ENDS = ("value", "low", "high")
NAMES = {"Qr = 0.5": "half", "Qr = 0.9": "most", "Qr = 1": "all", "GPTQ, 3 bits": "gptq"}
CONTROLS = ("without-block", "without-tokens")
MIDDLE = 1907  # updates: a quarter of the tokens, made by every size
BUDGET = 0.2  # relative increase of perplexity


def put_row(name, row):
    put_all(**{f"{name}_{end}": row[end] for end in ENDS})


def words(row, digits=2):
    return "{value:.{d}f} [{low:.{d}f}, {high:.{d}f}]".format(**row, d=digits).replace("-", "−")


def estimated(fit, name):
    one = fit.estimate(name)
    return dict(zip(ENDS, (one.value, one.low, one.high), strict=True))


def mean_k(tables):
    return {name: mean_and_slopes(one[one["k"].notna()], "k", []).loc["mean"] for name, one in tables.items()}


def slopes_of_k(tables):
    return {
        name: mean_and_slopes(one[one["k"].notna()], "k", [N_PARAMS, TOKENS_SEEN]).loc[[N_PARAMS, TOKENS_SEEN]]
        for name, one in tables.items()
    }


# %% [markdown]
# ## Definition
#
# - **Block size** $Q_b$: the number of neighbouring values that share a scale, no unit. In MXINT-4 the scale is a power of two,
#   and weights and inputs of a matrix both go in blocks of $Q_b$. A scale of eight bits costs $8 / Q_b$ bits per value.
# - **Quantization ratio** $Q_r$: the share of the parameters of the blocks' linear layers that is rounded, no unit (see
#   {doc}`chapter 13 <13-how-much-can-go-low>`).
# - **Relative increase of perplexity**: $e^{q} - 1$ with the QiD $q$, a share. It is what the paper fits:
#
# $$
# e^{q} - 1 = A\,Q_b^{\,k} ,
# $$ (eq-block)
#
# at one checkpoint and one $Q_r$. Doubling the block multiplies the increase by $2^k$. The paper leaves out increases of 100%
# and more, and so do we where we set our $k$ beside theirs. For large increases $e^q - 1$ bends upward, and with it $k$. So we
# also give the exponent of $q$ itself, in nats per token.
#
# With *one scale a row* a row of a matrix, or a token's input, is one block. Rows differ in length. The paper puts such a point
# at the mean length of a row, and so do we, as a hollow marker. It is kept out of the fits but where we say so.
#
# **Rows.** MXINT-4 in weights and inputs, held-out text: {glue:text}`qb_rows:d` rows of {glue:text}`qb_checkpoints:d`
# checkpoints from {glue:text}`qb_runs:d` training runs at a constant rate, {glue:text}`qb_smallest:s` to
# {glue:text}`qb_largest:s` parameters. Which matrices are rounded at $Q_r$ = 0.5 and 0.9 was searched for each block size anew
# (by measured sensitivity; in blocks of 32 by more searches than that). A ratio can't be hit exactly, as matrices are whole.
# Each row is moved to the ratio of its panel by the joint law below, by {glue:text}`qb_moved:.0%` of its QiD at most. Older
# rows ask the same of another method: GPTQ at 3 bits in groups of 32, 64 and 128 and one scale a row, weights alone,
# {glue:text}`qb_gptq_rows:d` rows of {glue:text}`qb_gptq_runs:d` runs. There one scale a row is fitted too, for else most sizes
# would have two points.

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
checkpoints = read_checkpoints("results/checkpoints.parquet").to_pandas()
table = blocks.with_outliers(blocks.rows_of_blocks(measured), checkpoints)
trunk = table[table["lr_phase"] != "decay"]
data = FitData.from_table(trunk[trunk["scale"] == "block"])
joint = fit_by_run(JOINT_FORMS["block-by-both"], data)[0]
parts = {f"Qr = {ratio:g}": blocks.at_quantized_ratio(trunk, ratio, joint.law) for ratio in blocks.QUANTIZED_RATIOS}
parts["GPTQ, 3 bits"] = blocks.rows_of_groups(measured)
relative = {name: blocks.in_relative_perplexity(rows) for name, rows in parts.items()}

# %% tags=["remove-cell"]
every = relative["Qr = 1"]
middle = {name: rows[rows["step"] == MIDDLE] for name, rows in relative.items()}
drawn = {name: rows[rows["qid_nats"] < blocks.TWICE] for name, rows in middle.items()}
put(
    "fig_block_curves",
    block_figures.curves({name: (rows, blocks.exponents(drawn[name])) for name, rows in middle.items()}),
)
plt.close("all")
put_all(qb_rows=len(trunk), qb_runs=trunk["run_label"].nunique(), qb_checkpoints=trunk["checkpoint_id"].nunique())
put_all(qb_smallest=count_label(every[N_PARAMS].min()), qb_largest=count_label(every[N_PARAMS].max()), qb_budget=BUDGET)
put_all(qb_middle=count_label(middle["Qr = 1"][TOKENS_SEEN].iloc[0]))
put_all(qb_gptq_rows=len(parts["GPTQ, 3 bits"]), qb_gptq_runs=parts["GPTQ, 3 bits"]["run_label"].nunique())
put("qb_moved", max(abs(rows["moved"] - 1).max() for rows in parts.values() if "moved" in rows))
wide = middle["Qr = 1"].query("group_size == 128 and scale == 'block'").sort_values(N_PARAMS)
put_all(qb_wide_size=count_label(wide[N_PARAMS].iloc[0]))
put_all(qb_wide_small=wide["qid_nats"].iloc[0], qb_wide_large=wide["qid_nats"].iloc[-1])
assert wide["qid_nats"].iloc[-1] > wide["qid_nats"].iloc[0], "the text says: all that size had gained is gone"
lines = middle["Qr = 1"].sort_values("group_size").groupby(N_PARAMS)["qid_nats"]
for short, place in (("small", 0), ("large", -1)):
    put(f"qb_first_{short}", lines.first().iloc[place])

# %% [markdown]
# ```{glue:figure} fig_block_curves
# :name: fig-block-curves
# :alt: Relative increase of perplexity against block size, both axes logarithmic, four panels: a ratio of 0.5, of 0.9, of 1, and GPTQ at 3 bits. In the first three, lines of larger models begin lower in blocks of 16 and rise more steeply, so that all come together at 128 to 256; with everything rounded the largest model ends highest, above 1000 percent. In GPTQ's panel lines are flat and parallel, the larger the lower.
#
# In blocks of 16 large models lose least; in large blocks they lose as much as small ones or more. After
# {glue:text}`qb_middle:s` tokens. Lines are powers fitted to what lies below 100% (dotted). Hollow: one scale a row, at the mean
# length of a row. GPTQ at 3 bits rounds weights alone.
# ```
#
# With everything rounded and blocks of 16, perplexity of the smallest model rises by {glue:text}`qb_first_small:.0%` and that
# of the largest by {glue:text}`qb_first_large:.0%`. In blocks of 128 it rises by {glue:text}`qb_wide_small:.0%` in the model of
# {glue:text}`qb_wide_size:s` parameters, the smallest that has them, and by {glue:text}`qb_wide_large:.0%` in the largest: what
# size had gained is gone.
#
# ## The exponent

# %% tags=["hide-input"]
in_blocks = {name: rows[rows["scale"] == "block"] for name, rows in parts.items()}
in_blocks["GPTQ, 3 bits"] = parts["GPTQ, 3 bits"]
nats = {name: blocks.exponents(rows) for name, rows in in_blocks.items()}
below = {name: blocks.in_relative_perplexity(rows) for name, rows in in_blocks.items()}
shares = {name: blocks.exponents(rows[rows["qid_nats"] < blocks.TWICE]) for name, rows in below.items()}
with_row = {name: blocks.exponents(rows[rows["qid_nats"] < blocks.TWICE]) for name, rows in relative.items()}
means = {"share": mean_k(shares), "row": mean_k(with_row), "nats": mean_k(nats)}
slopes = {"share": slopes_of_k(shares), "nats": slopes_of_k(nats)}

# %% tags=["hide-input"]
theirs = pd.Series({law: k for law, (_, k) in blocks.CAO_2024_POWERS.items()})
shown = {}
for name, ratio in zip(NAMES, [*blocks.QUANTIZED_RATIOS, None], strict=True):
    shown[name] = {
        "checkpoints": f"{shares[name]['k'].notna().sum()}",
        "k": words(means["share"][name]),
        "k, one scale a row as well": words(means["row"][name]),
        "k of QiD": words(means["nats"][name]),
        "its slope in ln N": words(slopes["nats"][name].loc[N_PARAMS], 3),
        "its slope in ln D": words(slopes["nats"][name].loc[TOKENS_SEEN], 3),
        "Cao et al., 7B, 14B": ", ".join(f"{k:g}" for (_, r), k in theirs.items() if r == ratio),
    }
pd.DataFrame(shown).T

# %% tags=["remove-cell"]
for name, short in NAMES.items():
    if short != "gptq":
        put_row(f"qb_k_{short}", means["share"][name])
put_row("qb_nats_gptq", means["nats"]["GPTQ, 3 bits"])
for column, key in ((N_PARAMS, "size"), (TOKENS_SEEN, "tokens")):
    put_row(f"qb_{key}_all", slopes["nats"]["Qr = 1"].loc[column])
    put(f"qb_{key}_gptq", words(slopes["nats"]["GPTQ, 3 bits"].loc[column], 3))
for (model, ratio), k in theirs.items():
    put(f"qb_cao_{model}_{100 * ratio:.0f}", k)
put("qb_ten_size", np.log(10) * slopes["nats"]["Qr = 1"].loc[N_PARAMS, "value"])
for name in ("Qr = 0.5", "Qr = 0.9", "Qr = 1"):
    assert (slopes["nats"][name]["low"] > 0).all(), "the text says: it rises with size and tokens at every ratio"
assert (slopes["nats"]["GPTQ, 3 bits"]["low"] < 0).all(), "the text says: no slope"
assert (slopes["nats"]["GPTQ, 3 bits"]["high"] > 0).all(), "the text says: no slope"
assert means["share"]["Qr = 0.5"]["low"] > theirs.xs(0.5, level=1).max(), "the text says: steeper"
inside = theirs.xs(0.9, level=1).between(means["share"]["Qr = 0.9"]["low"], means["share"]["Qr = 0.9"]["high"])
assert inside.sum() == 1, "the text says: its interval holds one of their two"
stages = {name: one.assign(stage=block_figures.stage_name(one)) for name, one in nats.items()}
stages["GPTQ, 3 bits"] = stages["GPTQ, 3 bits"][stages["GPTQ, 3 bits"]["step"].isin(trunk["step"].unique())]
published = {f"Qr = {ratio:g}": {} for _, ratio in blocks.CAO_2024_POWERS}
for (model, ratio), k in theirs.items():
    published[f"Qr = {ratio:g}"][f"Cao et al., {model}"] = k
put("fig_block_exponents", block_figures.exponents_by_size(stages, published))
plt.close("all")
pairs = nats["Qr = 1"].dropna().merge(nats["Qr = 0.5"].dropna(), on=blocks.CHECKPOINT, suffixes=("", "_half"))
by_ratio = mean_and_slopes(pairs.assign(more=pairs["k"] - pairs["k_half"]), "more", []).loc["mean"]
decayed = table[(table["lr_phase"] == "decay") & (table["scale"] == "block")]
decayed = blocks.exponents(blocks.at_quantized_ratio(decayed, 1.0, joint.law)).dropna()
beside = decayed.merge(nats["Qr = 1"].query("step == @MIDDLE").dropna(), on="model", suffixes=("", "_trunk"))
by_decay = mean_and_slopes(beside.assign(more=beside["k"] - beside["k_trunk"]), "more", []).loc["mean"]
put_all(qb_k_ratio=words(by_ratio), qb_k_decay=words(by_decay, 3))
assert all(one["low"] < 0 < one["high"] for one in (by_ratio, by_decay)), "the text says: don't clearly move it"

# %% [markdown]
# *Mean exponents over checkpoints, with 95% intervals that count training runs. Columns named k alone fit the
# relative increase of perplexity below 100%, those of QiD nats per token. GPTQ's rows with one scale a row are in all columns.*
#
# ```{glue:figure} fig_block_exponents
# :name: fig-block-exponents
# :alt: Exponent of block size against model size, four panels by ratio and method, one colour a number of tokens. In the three panels of MXINT-4 the lines rise with size, from about 0.3 to 0.8 or more, and those of later checkpoints lie above the first. Dashed lines mark exponents that others printed, 0.29 to 0.62. GPTQ's lines stay near 0.3 and fall a little.
#
# The exponent of QiD in block size rises with size and with tokens where inputs are rounded (MXINT-4), and does neither where
# weights alone are (GPTQ). Bars are two standard errors of one checkpoint. Dashed: exponents that Cao et al. print for Qwen-1.5,
# of relative perplexity.
# ```
#
# - **The power is there, and it isn't one number.** For MXINT-4 the mean $k$ is {glue:text}`qb_k_half_value:.2f`
#   [{glue:text}`qb_k_half_low:.2f`, {glue:text}`qb_k_half_high:.2f`] at $Q_r$ = 0.5, {glue:text}`qb_k_most_value:.2f`
#   [{glue:text}`qb_k_most_low:.2f`, {glue:text}`qb_k_most_high:.2f`] at 0.9 and {glue:text}`qb_k_all_value:.2f`
#   [{glue:text}`qb_k_all_low:.2f`, {glue:text}`qb_k_all_high:.2f`] where everything is rounded. The paper prints
#   {glue:text}`qb_cao_7B_50:.2f` and {glue:text}`qb_cao_14B_50:.2f` at 0.5, {glue:text}`qb_cao_7B_90:.2f` and
#   {glue:text}`qb_cao_14B_90:.2f` at 0.9, {glue:text}`qb_cao_7B_95:.2f` and {glue:text}`qb_cao_14B_95:.2f` at 0.95, without
#   intervals. Ours at 0.5 is steeper; at 0.9 its interval holds one of their two values.
# - **It rises with size.** Ten times the parameters add {glue:text}`qb_ten_size:.2f` to the exponent of QiD where everything is
#   rounded (slope in $\ln N$ {glue:text}`qb_size_all_value:.3f` [{glue:text}`qb_size_all_low:.3f`,
#   {glue:text}`qb_size_all_high:.3f`]); the interval is above zero at the other two ratios as well.
# - **It rises with training.** The slope in $\ln D$ is {glue:text}`qb_tokens_all_value:.3f`
#   [{glue:text}`qb_tokens_all_low:.3f`, {glue:text}`qb_tokens_all_high:.3f`], again at every ratio. The paper can't see this:
#   its models are finished.
# - **Decay and ratio** don't clearly move it: cooldowns differ from the trunk at equal tokens by {glue:text}`qb_k_decay:s`,
#   $Q_r$ = 1 from 0.5 by {glue:text}`qb_k_ratio:s`.
# - **GPTQ at 3 bits, weights alone,** has {glue:text}`qb_nats_gptq_value:.2f` [{glue:text}`qb_nats_gptq_low:.2f`,
#   {glue:text}`qb_nats_gptq_high:.2f`], and no slope that is distinguishable from zero: {glue:text}`qb_size_gptq:s` in $\ln N$,
#   {glue:text}`qb_tokens_gptq:s` in $\ln D$.
#
# ## Why: a few channels
#
# MXINT-4 rounds the inputs too, and what inputs look like depends on size and training. A few of their channels are much larger
# than the others. A block that holds such a channel takes its scale from it, and its neighbours are rounded to little or
# nothing. The larger the blocks, the more channels have such a neighbour. Without outliers a larger block costs only what the
# largest of more ordinary values exceeds that of fewer. For GPTQ in groups of 32, which leaves inputs alone, outliers explained
# nothing among small models, and a part of the loss in the largest ({doc}`chapter 12 <12-why>`).
#
# We measure outliers as the root mean square of the largest channel over that of the mean one, for the inputs of each matrix,
# and take the geometric mean over matrices. From {glue:text}`qb_outliers_least:.1f` at the smallest model's first checkpoint
# here it rises to {glue:text}`qb_outliers_most:.1f` at a late one of a large model.

# %% tags=["hide-input"]
marked = {name: blocks.with_outliers(one[one["k"].notna()], checkpoints) for name, one in nats.items()}
told = {name: mean_and_slopes(one, "k", ["input_outliers", N_PARAMS, TOKENS_SEEN]) for name, one in marked.items()}

# %% tags=["remove-cell"]
put("fig_block_outliers", block_figures.exponents_by_outliers(marked))
plt.close("all")
for name, short in NAMES.items():
    rank = marked[name][["k", "input_outliers"]].corr(method="spearman").iloc[0, 1]
    put(f"qb_rank_{short}", f"{rank:.2f}".replace("-", "−"))
put("qb_told_size_most", words(told["Qr = 0.9"].loc[N_PARAMS], 3))
put("qb_told_tokens_most", words(told["Qr = 0.9"].loc[TOKENS_SEEN], 3))
put("qb_told_all", words(told["Qr = 1"].loc["input_outliers"]))
for name in ("Qr = 0.5", "Qr = 0.9", "Qr = 1"):
    slopes_told = told[name].loc[[N_PARAMS, TOKENS_SEEN]]
    assert ((slopes_told["low"] < 0) & (slopes_told["high"] > 0)).all(), "the text says: not told from zero"
    assert (told[name].loc["input_outliers", "low"] > 0) == (name != "Qr = 1")
seen = pd.concat([marked[name] for name in NAMES if name != "GPTQ, 3 bits"]).sort_values("input_outliers")
put_all(qb_outliers_least=seen["input_outliers"].iloc[0], qb_outliers_most=seen["input_outliers"].iloc[-1])
assert (seen.iloc[0][[N_PARAMS, TOKENS_SEEN]] == seen[[N_PARAMS, TOKENS_SEEN]].min()).all(), (
    "the text says: of the smallest, the first"
)
assert seen.iloc[-1][TOKENS_SEEN] > middle["Qr = 1"][TOKENS_SEEN].iloc[0], "the text says: a late one"

# %% [markdown]
# ```{glue:figure} fig_block_outliers
# :name: fig-block-outliers
# :alt: Exponent of block size against outliers of the inputs, logarithmic, four panels, one marker a size. In the panels of MXINT-4 points of all sizes rise together along one band, from 0.3 at 1.5 to 0.8 or 1 at 6. In GPTQ's panel they stay level near 0.3.
#
# The exponent follows the outliers of the inputs: early checkpoints of large models lie near late ones of smaller models with
# the same outliers, but for the two largest where everything is rounded. Not so where weights alone are rounded.
# ```
#
# The rank correlation of $k$ and outliers over checkpoints is {glue:text}`qb_rank_half:s`, {glue:text}`qb_rank_most:s` and
# {glue:text}`qb_rank_all:s` at the three ratios, and {glue:text}`qb_rank_gptq:s` for GPTQ. With outliers beside $\ln N$ and
# $\ln D$ in one line, the slopes in size and in tokens are no longer distinguishable from zero at any ratio, for example
# {glue:text}`qb_told_size_most:s` and {glue:text}`qb_told_tokens_most:s` at 0.9. That of outliers stays above zero at 0.5 and
# 0.9; where everything is rounded it is {glue:text}`qb_told_all:s`, and the three can't be distinguished. This is an association
# over eight runs: nobody took outliers out of a model here.
#
# ## The joint law
#
# Later versions of the paper announce one law in $N$, $Q_r$ and $Q_b$. By a second-hand note it is
# $C\, e^{A Q_r} N^{-\gamma_N} (Q_b + d)^{\gamma_c}$, with constants of each method that we haven't found. We start from what the first
# version has. At a fixed increase it finds $N = e^{k'
# x + c'}$ with $x = 1 - Q_r$, which is the same as $q \propto e^{c\,Q_r} / N^\alpha$ with $k' = -c / \alpha$. Times the power
# of the block size, and of the tokens, that the paper doesn't vary:
#
# $$
# q = k\,\frac{D^\beta\,Q_b^{\,\kappa}\,e^{c\,Q_r}}{N^\alpha} .
# $$ (eq-joint)
#
# With $d = 0$ and no tokens the note's form is this one. Its rivals have other functions of $Q_r$ or $Q_b$, or let one exponent depend on another variable; two controls leave a
# variable out. One law is told the outliers. All are fitted to {glue:text}`qb_joint_rows:d` rows in blocks, of
# {glue:text}`qb_joint_runs:d` runs at a constant rate, as everywhere in this book: on the scale of QiD, with intervals by run.

# %% tags=["hide-input"]
fits = {name: fit_by_run(form, data)[0] for name, form in JOINT_FORMS.items()}
forms = {name: refitted(form) for name, form in JOINT_FORMS.items()}
made = predict_all(forms, blocks.block_splits(table), blocks.paired_floor)
judged = with_errors(scores(made), scores_by_run(made), np.random.default_rng(seed))
judged_shares = judge(forms, blocks.block_splits(blocks.in_relative_perplexity(table)), blocks.paired_floor)
rms, errors, coverage, tied = (table_of_scores(judged, one) for one in ("log_rms", "log_rms_se", "coverage", "tied"))

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: fit and form of each joint law", "code_prompt_hide": "Table: fit and form of each joint law"}
least = min(fit.aic for fit in fits.values())
shown = {
    name: {
        "AIC less the least": f"{fit.aic - least:.0f}",
        "tau": f"{fit.tau:.3f}",
        "law": JOINT_FORMS[name].__doc__.splitlines()[0],
    }
    for name, fit in sorted(fits.items(), key=lambda one: one[1].aic)
}
pd.DataFrame(shown).T

# %% tags=["remove-cell"]
score_map = extrapolation_figures.score_map(rms, errors, coverage, tied, CONTROLS, extrapolation.GOAL_LOG_RMS)
put("fig_joint_scores", score_map)
plt.close("all")
for name in ("beta", "alpha", "mu", "nu"):
    put_row(f"qb_{name}", estimated(joint, name))
put_all(qb_kappa=joint.law.kappa, qb_tau=joint.tau, qb_joint_rows=joint.n_rows, qb_joint_runs=joint.n_runs)
put_row("qb_mu_ratio_by_size", estimated(fits["ratio-by-size"], "mu"))
put_row("qb_mu_outliers", estimated(fits["block-by-outliers"], "mu"))
put("qb_kappa_even", words(estimated(fits["block-by-outliers"], "kappa")))
for law in ("ratio-exponential", *CONTROLS):
    put(f"qb_rms_{law.replace('-', '_')}", rms.loc[law, "largest size"])
put_all(qb_goal=extrapolation.GOAL_LOG_RMS, qb_best_size=rms["largest size"].min(), qb_best_tokens=rms.iloc[:, 1].min())
put_all(qb_best_size_factor=np.exp(rms["largest size"].min()), qb_best_tokens_factor=np.exp(rms.iloc[:, 1].min()))
put("qb_gain_size", fits["ratio-exponential"].aic - fits["block-by-size"].aic)
put("qb_gain_tokens", fits["block-by-size"].aic - joint.aic)
plain = fits["ratio-exponential"].law
for key, slope in {
    "qb_slope": -plain.c / plain.alpha,
    "qb_cao_slope_least": max(law.k for law in CAO_2024_LAWS.values()),
    "qb_cao_slope_most": min(law.k for law in CAO_2024_LAWS.values()),
}.items():
    put(key, f"{slope:.1f}".replace("-", "−"))
assert joint.aic == least, "the text says: the best of them"
assert rms.min().min() > extrapolation.GOAL_LOG_RMS, "the text says: no law reaches the mark"

# %% [markdown]
# ```{glue:figure} fig_joint_scores
# :name: fig-joint-scores
# :alt: Heat map of thirteen laws by six hold-outs with rms, its error, coverage and ties. No cell is pale: most have 0.3 to 0.6. Laws in which the exponent of the block depends on size or on outliers are lighter than the others for the largest size and the largest block. The two controls at the bottom are darkest but for the decayed rate.
#
# No joint law predicts what it hasn't seen to {glue:text}`qb_goal:.2f` (see {doc}`chapter 9 <09-extrapolation>`). Each cell: rms of
# $\ln(\hat q / q)$ ± its standard error over training runs (none on one run), the share of 90% intervals that hold, and whether
# the law is tied with the column's best. Held out: the largest size; more than a quarter of the longest
# training; everything rounded; each size's largest block; one scale a row; cooldowns.
# ```
#
# - **Block size belongs in the law, and so do the tokens.** Without the block the rms is {glue:text}`qb_rms_without_block:.2f`
#   on the largest size, without tokens {glue:text}`qb_rms_without_tokens:.2f`; the separable law has
#   {glue:text}`qb_rms_ratio_exponential:.2f`.
# - **It isn't separable.** Letting $\kappa$ depend on $N$ lowers AIC by {glue:text}`qb_gain_size:.0f`; on $D$ as well by
#   {glue:text}`qb_gain_tokens:.0f` more. Then $\kappa$ = {glue:text}`qb_kappa:.2f` for a million parameters at 250M tokens,
#   plus {glue:text}`qb_mu_value:.2f` [{glue:text}`qb_mu_low:.2f`, {glue:text}`qb_mu_high:.2f`] times $\ln N$ and
#   {glue:text}`qb_nu_value:.2f` [{glue:text}`qb_nu_low:.2f`, {glue:text}`qb_nu_high:.2f`] times $\ln D$ from there, with
#   $\alpha$ = {glue:text}`qb_alpha_value:.2f` [{glue:text}`qb_alpha_low:.2f`, {glue:text}`qb_alpha_high:.2f`] and $\beta$ =
#   {glue:text}`qb_beta_value:.2f` [{glue:text}`qb_beta_low:.2f`, {glue:text}`qb_beta_high:.2f`] in blocks of 32. A law that is
#   told outliers instead does about as well: $\kappa$ = {glue:text}`qb_kappa_even:s` plus {glue:text}`qb_mu_outliers_value:.2f`
#   [{glue:text}`qb_mu_outliers_low:.2f`, {glue:text}`qb_mu_outliers_high:.2f`] times their logarithm. Had all channels the same
#   size, it says, block size would hardly matter.
# - **Still no law to trust.** The best forms have {glue:text}`qb_best_size:.2f` on the largest size and
#   {glue:text}`qb_best_tokens:.2f` on the last tokens, typical factors of {glue:text}`qb_best_size_factor:.1f` and
#   {glue:text}`qb_best_tokens_factor:.1f`. Rows scatter by {glue:text}`qb_tau:.0%` about the best law even where it was fitted:
#   large models' curves aren't straight in logarithms.
# - **The first law of the paper.** The separable law gives $-c / \alpha$ = {glue:text}`qb_slope:s`, and the paper prints
#   {glue:text}`qb_cao_slope_least:s` to {glue:text}`qb_cao_slope_most:s` for models a thousand times as large. With $\alpha$
#   depending on $Q_r$ it is another number at each ratio ($\mu$ = {glue:text}`qb_mu_ratio_by_size_value:.2f`
#   [{glue:text}`qb_mu_ratio_by_size_low:.2f`, {glue:text}`qb_mu_ratio_by_size_high:.2f`]), so we take the agreement for luck:
#   {doc}`chapter 13 <13-how-much-can-go-low>`, which measures it directly, finds it at the smallest budget alone.
#
# The same scores when the relative increase of perplexity is fitted instead of QiD, large increases and all:

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: the scores when the relative increase of perplexity is fitted", "code_prompt_hide": "Table: the scores when the relative increase of perplexity is fitted"}
table_of_scores(judged_shares).map("{:.2f}".format).rename_axis(index=None, columns=None)

# %% [markdown]
# ## Do large models need small blocks?
#
# A fixed increase allows a largest block. How does it grow? In a law it is $\alpha / \kappa$ as a power of $N$, and
# $-\beta / \kappa$ as one of $D$. We allow perplexity to rise by {glue:text}`qb_budget:.0%`.

# %% tags=["hide-input"]
place = {"tokens": middle["Qr = 1"][TOKENS_SEEN].iloc[0], "n_params": 1e7, "group_size": 32, "quantized_ratio": 1.0}
growth = blocks.growth_of_blocks(joint, place, 4000, np.random.default_rng(seed))
sizes = np.geomspace(every[N_PARAMS].min(), every[N_PARAMS].max(), 30)
known = {"tokens": np.full(30, middle["Qr = 1"][TOKENS_SEEN].iloc[0]), "n_params": sizes, "bits": np.full(30, 4)}
allowed = {
    ratio: blocks.largest_blocks(
        joint, np.log(1 + BUDGET), known | {"quantized_ratio": np.full(30, ratio)}, 1000, np.random.default_rng(seed)
    )
    for ratio in blocks.QUANTIZED_RATIOS
}
at_budget = [
    blocks.largest_measured(middle[f"Qr = {ratio:g}"], BUDGET).assign(ratio=ratio) for ratio in blocks.QUANTIZED_RATIOS
]

# %% tags=["remove-cell"]
put("fig_block_budget", block_figures.block_budgets(allowed, pd.concat(at_budget)))
plt.close("all")
put_row("qb_grows_size", growth.loc["size"])
put_all(qb_grows_tokens=words(growth.loc["tokens"]), qb_grows_both=words(growth.loc["both"]))
put_row("qb_allowed_large", allowed[1.0].iloc[-1].rename({"block": "value"}))
largest_of = at_budget[-1].set_index(N_PARAMS)["block"]
put("qb_measured_large", largest_of[largest_of.index.max()])
assert np.isnan(largest_of[largest_of.index.min()]), "the text says: the smallest is allowed none"
assert growth["low"]["size"] > 0 > growth["high"]["both"], "the text says: grows with size, shrinks with both"

# %% [markdown]
# ```{glue:figure} fig_block_budget
# :name: fig-block-budget
# :alt: Largest block within the budget against model size, logarithmic axes, one colour a ratio. For ratios of 0.9 and 1 the law's lines rise from below 16 for small models to about 80 and 60 for the largest, more and more slowly. For 0.5 the line is level near 256 with a wide band. Markers, measured, lie on or below the lines, and far below for small models at 0.5.
#
# The block that {glue:text}`qb_budget:.0%` more perplexity allows, after {glue:text}`qb_middle:s` tokens: it grows with size, more
# and more slowly. Lines and bands: the joint law whose $\kappa$ depends on $N$ and $D$, 95%. Markers: the largest block measured
# within the budget, of sizes that double (a triangle where every block is). At $Q_r$ = 0.5 the law is too generous to small models.
# ```
#
# **At equal tokens the claim holds for small blocks, and stops there.** At blocks of 32 and ten million parameters the allowed
# block grows as $N$ to the power {glue:text}`qb_grows_size_value:.2f` [{glue:text}`qb_grows_size_low:.2f`,
# {glue:text}`qb_grows_size_high:.2f`]. With everything rounded the law allows the largest model blocks of
# {glue:text}`qb_allowed_large_value:.0f` [{glue:text}`qb_allowed_large_low:.0f`, {glue:text}`qb_allowed_large_high:.0f`],
# measured are {glue:text}`qb_measured_large:.0f`; the smallest is allowed none. But the power shrinks as $\kappa$ rises with
# $N$. Beyond 128 larger models have no advantage left ({numref}`fig-block-curves`).
#
# **With tokens the need for small blocks grows.** The allowed block falls as $D$ to the power {glue:text}`qb_grows_tokens:s`.
# Models that are trained on tokens in proportion to their size must shrink their blocks, with the power
# {glue:text}`qb_grows_both:s`. So for formats like these, of inputs and weights in four bits, these runs don't support "large
# models don't need small blocks" once larger also means trained for longer. They have widths of 64 to 512, and the law that says so
# misses the largest of them by a typical factor of {glue:text}`qb_best_size_factor:.1f`. Where weights alone are rounded,
# block size matters less, and about equally at all sizes.
#
# ## What this does not show
#
# - **Billions of parameters.** Our widths are 64 to 512, so that a block of 128 is a quarter of most rows or more. In a wide
#   model it is a small part. Whether outliers go on growing, or blocks become narrow enough beside them, can't be read off
#   here.
# - **Weights against inputs.** No row has MXINT-4 in weights alone in several blocks. That inputs are to blame rests on GPTQ,
#   which differs in more than that, and on the outliers. In quantization-aware training {cite:t}`chen2025qat` too find the inputs'
#   error bound to outliers.
# - **The format.** In MXINT-4 a scale is a power of two. Finer scales, as NVFP4 has, or rotations that spread outliers would
#   change $k$.
# - **Forms chosen beforehand.** Those in which an exponent moves were added after a look at the exponents. The one that is told
#   outliers needs the trained model, so that it predicts nothing before there is one.
# - **Equal search.** Blocks of 32 were searched harder at $Q_r$ below one; one scale a row isn't a block of one length.
# - **Eight runs,** one a size, one text, one kind of model. The noise floor is the paired error: no replicate with another seed
#   has these formats.
#
# ## Exercises
#
# **1.** QiD rises as $Q_b^{\,0.5}$. What does going from blocks of 32 to 16 save, and what does it cost in stored bits per
# weight, with 8 bits a scale?
#
# ```{admonition} Answer
# :class: dropdown
#
# QiD falls to {glue:text}`qb_ex_half:.2f` of what it was. A weight takes $4 + 8 / 16$ instead of $4 + 8 / 32$ bits, a quarter of a
# bit more.
# ```
#
# **2.** One channel in 64 is an outlier. How many of the others share a block with one, in blocks of 16 and of 64, if outliers
# are evenly spread?
#
# ```{admonition} Answer
# :class: dropdown
#
# In blocks of 16 one block in four has one: fifteen of the 63 others. In blocks of 64, all of them. Between the two their number grows
# almost in proportion to the block: an exponent near one, until every block has its outlier.
# ```

# %% tags=["remove-cell"]
put("qb_ex_half", 0.5**0.5)

# %% [markdown]
# **3.** Why are increases of perplexity of 100% and more left out of the fit of {eq}`eq-block`?
#
# ```{admonition} Answer
# :class: dropdown
# $e^q - 1$ bends upward for large $q$: where QiD is a power of the block size, the increase of perplexity isn't any more, and a few
# ruined models would set the slope. Besides, nobody would use them.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* `blocks()` has QiD by block size (`group_size`) with everything rounded. What is the $k$ of {eq}`eq-block` at the last
# step of `tadpole-256x4`, all its block sizes taken, by least squares in logarithms?

# %%
from helpers.teach.checking import check
from helpers.teach.data import blocks

answer = None  # k, no unit
check("14.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = blocks().query("model == 'tadpole-256x4'")
last = rows[rows["step"] == rows["step"].max()]
k, _ = np.polyfit(np.log(last["group_size"]), np.log(np.expm1(last["qid_nats"])), 1)
check("14.4", k)  # with the increases beyond 100% left in, as the question says
