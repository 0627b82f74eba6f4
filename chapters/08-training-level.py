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
# # QiD tells how far a model is trained, within one recipe
#
# *Can the loss that rounding costs tell how trained a model is?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** A decayed model reads as trained on {glue:text}`cooldown_qid:.2f` [{glue:text}`cooldown_low:.2f`,
#   {glue:text}`cooldown_high:.2f`] times its tokens at 3 bits (95%, over sizes). Within one recipe tokens are read to a
#   typical factor of {glue:text}`typical_qid:.2f`.
# - **How sure.** Each of {glue:text}`sizes:d` sizes was read by a law fitted to the others. One QiD means one number of tokens
#   per parameter in {glue:text}`settled_sizes:d` of them. One text; recipes were moved one at a time.
# - **Use it for.** Ordering checkpoints of one run, or sizes of one family. Not for calling somebody else's model
#   undertrained.
# ```
#
# QiD grows with the tokens a model has read. {cite:t}`ouyang2025lowbit` turn this around: a model that loses little when it is
# rounded to few bits has not been trained to the full, and their law, solved for the tokens $D$, says how many tokens a model of a
# given size needs until rounding costs it a given QiD. By that gauge the largest models of today are undertrained.
# For public models nobody knows what the right answer would be. For ours we do: we know how many tokens each has read. So we read
# the tokens off QiD as if we didn't know them, and compare. {term}`Intervals <interval>` run over training runs, one a size, those of
# a law's constants over steps too; at 90% they are for a new training run.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.laws.forms import LossLaw, UnifiedLaw
from helpers.analyse.laws.loss import OuyangLossLaw
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_LOSS, OUYANG_2024_TABLE_1
from helpers.analyse.questions import training_level
from helpers.analyse.questions.decay import LOSS, compared_with_trunk, mean_over_sizes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.noise import training_seeds
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import (
    DEPTH,
    FITTED_BITS,
    GROUP_SIZE,
    LATE_TOKENS,
    MOST_EPOCHS,
    on_trunk,
    rows_of_every_run,
    rows_of_seeds,
)
from helpers.show.figures import training_level as training_level_figures
from helpers.show.glue import put, put_all
from helpers.show.style import count_label, use_house_style
from helpers.table.files import read_table

use_house_style()
BITS = list(FITTED_BITS)
LEVELS = {2: 0.4, 3: 0.05, 4: 0.01}  # nats a token that most sizes reach while they are trained
INTERVAL = 0.90

# %% [markdown]
# ## Definitions
#
# A *gauge* takes what can be measured on one checkpoint, and its size $N$, and gives an estimate $\hat D$ of the tokens it has
# read. The paper's gauge is its unified law {eq}`eq-unified`, solved for $D$:
#
# $$
# \hat D = \left( \frac{q\, N^\alpha P^\gamma}{k} \right)^{1/\beta},
# $$ (eq-gauge)
#
# with $q$ the measured QiD in nats per token. We judge a reading by the factor $\hat D / D$ (no unit). The exponent says at once
# how sharp it can be: a QiD that is off by a share $\varepsilon$ puts $\hat D$ off by about $\varepsilon / \beta$. Here $\beta$ is
# {glue:text}`beta:.2f`, so that errors come out {glue:text}`blow_up:.1f` times as large as they went in. The law's own scatter
# {term}`τ <tau>` of {glue:text}`tau:.0%` makes a factor of {glue:text}`tau_factor:.2f` in tokens, and another training seed, which alone
# moves a 3-bit QiD by {glue:text}`seed_sd:.1%` (standard deviation, with another rounding), one of {glue:text}`seed_factor:.2f`.
#
# Rows: GPTQ in asymmetric groups of 32, held-out text, beyond {glue:text}`late_tokens:s` tokens. The *trunk* is one run a size at
# a constant learning rate, {glue:text}`sizes:d` sizes from {glue:text}`smallest:s` to {glue:text}`largest:s` parameters.

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
every = degradation(rows_of_every_run(measured[measured["method"].isin(["none", "gptq"])]))
every = every[(every["family"] != DEPTH) & (every["epochs"] <= MOST_EPOCHS)]
plain = rows_of_fit(every, "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
plain = plain[plain["bits"].isin(BITS)].reset_index(drop=True)
trunk = plain[on_trunk(plain)]
stored = read_fits()
fit, no_interval = fit_by_run(UnifiedLaw, FitData.from_table(trunk))

# %% tags=["remove-cell"]
assert not no_interval
law = fit.law
seed_sd = training_seeds(rows_of_seeds(plain)).loc[3, "relative_sd"]
put_all(beta=law.beta, blow_up=1 / law.beta, tau=fit.tau, tau_factor=np.exp(fit.tau / law.beta))
put_all(seed_sd=seed_sd, seed_factor=np.exp(seed_sd / law.beta), late_tokens=count_label(LATE_TOKENS))
put_all(
    sizes=trunk[N_PARAMS].nunique(),
    smallest=count_label(trunk[N_PARAMS].min()),
    largest=count_label(trunk[N_PARAMS].max()),
)

# %% [markdown]
# ## One QiD, many sizes
#
# Before any law: what do models have in common that have the same QiD? We read off the measured curves where each size comes up
# to a fixed QiD, {glue:text}`level_2:g`, {glue:text}`level_3:g` and {glue:text}`level_4:g` nats at 2, 3 and 4 bits.

# %% tags=["hide-input"]
levels = training_level.tokens_at_levels(trunk, LEVELS)
levels["per_parameter"] = levels["tokens"] / levels[N_PARAMS]
trunk = trunk.assign(per_parameter=trunk[TOKENS_SEEN] / trunk[N_PARAMS], fallen=-trunk[LOSS])
agree = {
    name: {bits: training_level.concordance(trunk[trunk["bits"] == bits], "qid_nats", name) for bits in BITS}
    for name in (TOKENS_SEEN, "per_parameter", "fallen")
}

# %% tags=["hide-input"]
names = {"tokens": "tokens D", "per_parameter": "tokens per parameter", "loss_nats": "16-bit loss"}
shown = levels[(levels["bits"] == 3) & levels["tokens"].notna()]
shown = shown.set_index(shown[N_PARAMS].map(count_label).rename("N"))
shown = shown[list(names)].rename(columns=names)
formats = {"tokens D": count_label, "tokens per parameter": "{:.0f}".format, "16-bit loss": "{:.2f}".format}
shown.apply(lambda column: column.map(formats[column.name]))

# %% tags=["remove-cell"]
for bits, level in LEVELS.items():
    put(f"level_{bits}", level)
settled = levels[levels["tokens"] > 2 * LATE_TOKENS]
at_3 = settled[settled["bits"] == 3].sort_values(N_PARAMS)
early = levels[(levels["bits"] == 3) & (levels["tokens"] <= 2 * LATE_TOKENS)].sort_values(N_PARAMS)
put_all(settled_after=count_label(2 * LATE_TOKENS), settled_sizes=len(at_3))
put_all(settled_small=count_label(at_3[N_PARAMS].iloc[0]), settled_large=count_label(at_3[N_PARAMS].iloc[-1]))
put_all(
    times_size=at_3[N_PARAMS].iloc[-1] / at_3[N_PARAMS].iloc[0],
    times_tokens=at_3["tokens"].iloc[-1] / at_3["tokens"].iloc[0],
)
put_all(per_low=settled["per_parameter"].min(), per_high=settled["per_parameter"].max())
put_all(loss_first=at_3["loss_nats"].iloc[0], loss_last=at_3["loss_nats"].iloc[-1])
put_all(early_low=early["per_parameter"].min(), early_high=early["per_parameter"].max())
put_all(early_tokens_low=count_label(early["tokens"].min()), early_tokens_high=count_label(early["tokens"].max()))
gradient = np.array([0.0, -law.alpha / law.beta**2, 1 / law.beta, 0.0])
power, spread = law.alpha / law.beta, np.sqrt(gradient @ fit.covariance @ gradient)
half = stats.t.ppf(0.975, fit.degrees_of_freedom.min()) * spread
put_all(power=power, power_low=power - half, power_high=power + half, power_paper=OUYANG_2024.alpha / OUYANG_2024.beta)
per_bit_powers = [one.alpha / one.beta for one in OUYANG_2024_TABLE_1.values()]
put_all(power_table_low=min(per_bit_powers), power_table_high=max(per_bit_powers))
put_all(agree_tokens=agree[TOKENS_SEEN][3], agree_ratio=agree["per_parameter"][3], agree_loss=agree["fallen"][3])
curves = {
    key: (rows["per_parameter"], rows["qid_nats"])
    for key, rows in trunk.sort_values(TOKENS_SEEN).groupby([N_PARAMS, "bits"])
}
above, largest = trunk[N_PARAMS].drop_duplicates().nlargest(2).iloc[::-1]
put("last_ratio", curves[largest, 3][0].iloc[-1])
for bits in BITS:
    ratio, qid = curves[largest, bits]
    beside = np.exp(np.interp(np.log(ratio.iloc[-1]), *np.log(curves[above, bits])))
    put(f"beside_{bits}", qid.iloc[-1] / beside)
    assert qid.iloc[-1] < LEVELS[bits], "the text says: it reaches no level"
    assert qid.iloc[-1] > beside, "the text says: more QiD at equal tokens per parameter"
put("fig_levels", training_level_figures.tokens_of_level(levels, law))
plt.close("all")
assert settled["per_parameter"].max() < 1.5 * settled["per_parameter"].min(), "the text says: nearly the same"
assert at_3["tokens"].is_monotonic_increasing
assert at_3["tokens"].iloc[-1] > 4 * at_3["tokens"].iloc[0], "the text says: tokens differ"
assert at_3["loss_nats"].iloc[0] - at_3["loss_nats"].iloc[-1] > 0.3, "the text says: and so does the loss"
assert early["per_parameter"].min() > settled["per_parameter"].max(), "the text says: the small sizes are the exception"
assert power - half < 1 < power + half, "the text says: one lies in the interval"
assert all(agree["per_parameter"][bits] > 0.9 > agree[TOKENS_SEEN][bits] for bits in BITS), (
    "QiD orders tokens per parameter"
)
assert all(agree["fallen"][bits] < 0.5 for bits in BITS), "and doesn't order losses"

# %% [markdown]
# ```{glue:figure} fig_levels
# :name: fig-levels
# :alt: Tokens at which a fixed QiD is reached against size, three panels for 2, 3 and 4 bits. From about two million parameters on, points rise along a dotted line of equal tokens per parameter and beside the fitted law. The smallest sizes lie level to the left, far above both lines. The largest size has only hollow arrows: it comes later.
#
# In {glue:text}`settled_sizes:d` of {glue:text}`sizes:d` sizes one QiD is one number of tokens *per parameter*, not of tokens: from
# {glue:text}`settled_small:s` to {glue:text}`settled_large:s` parameters. Smaller models reach these levels in the steep rise at the start, all at about the same
# tokens; the largest has not reached them.
# ```
#
# The {glue:text}`settled_sizes:d` sizes that reach the 3-bit level beyond {glue:text}`settled_after:s` tokens span a factor of
# {glue:text}`times_size:.1f` in size and {glue:text}`times_tokens:.1f` in tokens. What they share is tokens per parameter: over
# the three bit widths {glue:text}`per_low:.0f` to {glue:text}`per_high:.0f`. They don't share a loss: it is
# {glue:text}`loss_first:.2f` nats per token in the smallest of them and {glue:text}`loss_last:.2f` in the largest. In the law this
# is $D \propto N^{\alpha / \beta}$ at one QiD, and our $\alpha / \beta$ is {glue:text}`power:.2f` (95% interval
# {glue:text}`power_low:.2f` to {glue:text}`power_high:.2f`), so that one is inside. The paper's is {glue:text}`power_paper:.2f` by
# its equation 8, and {glue:text}`power_table_low:.2f` to {glue:text}`power_table_high:.2f` by the three laws that print its table
# ({doc}`chapter 6 <06-published-tables>`): larger models would need ever fewer tokens per parameter. The smaller sizes don't follow. They are
# at {glue:text}`early_low:.0f` to {glue:text}`early_high:.0f` tokens per parameter and all between
# {glue:text}`early_tokens_low:s` and {glue:text}`early_tokens_high:s` tokens, where learning has just set in.
#
# **Nor does the largest.** Its last checkpoint, at {glue:text}`last_ratio:.0f` tokens per parameter, is still below all three
# levels. But at 3 bits it has {glue:text}`beside_3:.2f` times the QiD that the next smaller size had at as many tokens per
# parameter (at 2 and 4 bits {glue:text}`beside_2:.2f` and {glue:text}`beside_4:.2f` times).
#
# Take two checkpoints of different sizes at random. The one with the higher 3-bit QiD has more tokens per parameter in
# {glue:text}`agree_ratio:.0%` of pairs, more tokens in {glue:text}`agree_tokens:.0%`, and the lower 16-bit loss in only
# {glue:text}`agree_loss:.0%`. So QiD by itself measures how far a model has been trained *for its size*. It says nothing of how
# good it is.
#
# ## Reading tokens off a run that the law hasn't seen
#
# Now the test. Each size in turn is left out, the law is fitted to the other runs, and {eq}`eq-gauge` reads $\hat D$ off each of
# its checkpoints. The {glue:text}`level:.0%` interval inverts the law's prediction interval for a new run: it holds every $D$ at
# which the measured QiD would not surprise. Beside it stand two other gauges. One takes QiD and the 16-bit loss together, with
# the form *loss* of {doc}`chapter 9 <09-extrapolation>`. The other knows nothing of rounding: it reads $\hat D$ off the 16-bit loss alone, by
# the paper's equation 3 {eq}`eq-loss16`, fitted to the other runs as well.

# %% tags=["hide-input"]
by_qid = training_level.without_own_run(UnifiedLaw, trunk, INTERVAL)
by_both = training_level.without_own_run(LossLaw, trunk, INTERVAL)
by_loss = training_level.loss_without_own_run(OuyangLossLaw, trunk, INTERVAL)
gauges = {f"QiD, {bits} bits": by_qid[by_qid["bits"] == bits] for bits in BITS}
gauges["QiD, all three"] = by_qid
gauges |= {"QiD and 16-bit loss": by_both, "16-bit loss": by_loss}


def judged(table):
    off = np.abs(np.log(table["ratio"]))
    return {
        "typical factor": np.exp(off.median()),
        "within a factor of 2": (off < np.log(2)).mean(),
        f"in the {INTERVAL:.0%} interval": table["covered"].mean(),
        "high / low of the interval": (table["high"] / table["low"]).median(),
    }


scores = pd.DataFrame({name: judged(table) for name, table in gauges.items()}).T

# %% tags=["hide-input"]
shares = dict.fromkeys(scores.columns[1:3], "{:.0%}".format)
scores.apply(lambda column: column.map(shares.get(column.name, "{:.2f}".format)))

# %% tags=["remove-cell"]
put("level", INTERVAL)
columns = dict(zip(("typical", "within", "covered", "width"), scores.columns, strict=True))
for part, column in columns.items():
    put(f"{part}_qid", scores.loc["QiD, all three", column])
put("typical_both", scores.loc["QiD and 16-bit loss", columns["typical"]])
for part in ("typical", "covered", "width"):
    put(f"{part}_loss", scores.loc["16-bit loss", columns[part]])
put("beta_both", stored.fits["loss"].law.beta)
of_largest = by_qid[by_qid[N_PARAMS] == by_qid[N_PARAMS].max()]
put("typical_largest", judged(of_largest)["typical factor"])
put("typical_largest_loss", judged(by_loss[by_loss[N_PARAMS] == by_loss[N_PARAMS].max()])["typical factor"])
at_3_bits = of_largest[of_largest["bits"] == 3].sort_values(TOKENS_SEEN)["ratio"]
put_all(largest_first=at_3_bits.iloc[0], largest_last=at_3_bits.iloc[-1], unread=int(np.isinf(by_loss["ratio"]).sum()))
worst = by_qid.loc[np.log(by_qid["ratio"]).abs().idxmax()]
put_all(worst=worst["ratio"], worst_size=count_label(worst[N_PARAMS]), worst_tokens=count_label(worst[TOKENS_SEEN]))
put("worst_bits", int(worst["bits"]))
missed = by_qid[~by_qid["covered"]]
put_all(missed=len(missed), rows=len(by_qid), missed_early=int((missed[TOKENS_SEEN] <= 2 * LATE_TOKENS).sum()))
put(
    "fig_readings",
    training_level_figures.reading_over_truth(
        {n: gauges[n] for n in gauges if " all " not in n and " and " not in n}, INTERVAL
    ),
)
plt.close("all")
assert scores.loc["QiD, all three", columns["typical"]] < 1.3, "the text says: as good as the 16-bit loss"
assert abs(scores.loc["QiD, all three", columns["typical"]] - scores.loc["16-bit loss", columns["typical"]]) < 0.1
assert scores.loc["QiD and 16-bit loss", columns["typical"]] > scores.loc["QiD, all three", columns["typical"]]
assert (scores[columns["width"]] > 2.5).all(), "the text says that all intervals are wide"
by_moment = np.abs(np.log(by_loss["ratio"])).groupby(by_loss[TOKENS_SEEN]).median()  # one without a reading is far off
assert by_loss.loc[np.isinf(by_loss["ratio"]), TOKENS_SEEN].eq(by_loss[TOKENS_SEEN].max()).all()
assert at_3_bits.iloc[0] < 0.7 < 1.4 < at_3_bits.iloc[-1], "the text says: from below to above"
assert by_moment.iloc[-1] > 1.5 * by_moment.iloc[len(by_moment) // 2], (
    "the caption says: the 16-bit loss wears out late"
)
assert worst[TOKENS_SEEN] <= 2 * LATE_TOKENS, "the text says: hardly begun to learn"
assert worst[N_PARAMS] == trunk[N_PARAMS].min()
assert scores.loc["QiD, all three", columns["covered"]] > 0.85, "the text says: as promised"
assert stored.fits["loss"].law.beta < law.beta, "the text says: less steep at a given loss"
assert missed[TOKENS_SEEN].median() <= 3 * LATE_TOKENS, "the text says: most misses are early"

# %% [markdown]
# ```{glue:figure} fig_readings
# :name: fig-readings
# :alt: Tokens read over true tokens against true tokens, four panels, one line a size. In the three panels of QiD most lines begin below one, those of the smallest models far below, and run near one from two hundred million tokens on; that of the largest model rises throughout, at 3 bits from a half to above two. In that for the 16-bit loss lines lie near one early and spread at the end, up to nearly five.
#
# On runs of its own kind the gauge mostly works: away from the start most readings lie within a few tenths of the truth. The
# 16-bit loss reads as well, and wears out late, where the loss hardly moves any more.
# ```
#
# Typically the law reads the tokens of a run that it hasn't seen within a factor of {glue:text}`typical_qid:.2f`, and
# {glue:text}`within_qid:.0%` of readings are within a factor of two. The intervals hold {glue:text}`covered_qid:.0%` of the true
# values, as promised. They are also honest about what such a reading is worth: from low to high a typical interval spans a factor
# of {glue:text}`width_qid:.1f`. Most misses come early, {glue:text}`missed_early:d` of {glue:text}`missed:d` (of
# {glue:text}`rows:d` readings) before {glue:text}`settled_after:s` tokens. The worst reading, {glue:text}`worst_size:s` parameters
# at {glue:text}`worst_tokens:s` tokens and {glue:text}`worst_bits:d` bits, gives {glue:text}`worst:.2f` of the truth: this model
# has hardly begun to learn. Reading the largest size by the smaller ones, the way one would use the gauge in practice, is typically
# off by a factor of {glue:text}`typical_largest:.2f`, first low and then high: at 3 bits readings climb from
# {glue:text}`largest_first:.2f` to {glue:text}`largest_last:.2f` of the truth, because this run's QiD rises more steeply than the
# law knows ({doc}`chapter 9 <09-extrapolation>`).
#
# The 16-bit loss alone does about as well, {glue:text}`typical_loss:.2f` (in its interval {glue:text}`covered_loss:.0%`; interval
# a factor of {glue:text}`width_loss:.1f` wide), without rounding anything. It reads the largest size worse, at
# {glue:text}`typical_largest_loss:.2f`. Checkpoints, all at the last moment, whose loss lies below any that its law allows and so
# can't be read: {glue:text}`unread:d`. The two together, at {glue:text}`typical_both:.2f`, do
# worse. At a given loss QiD changes less with $D$, with an exponent of {glue:text}`beta_both:.2f`, and so errors are blown up more.
#
# ## Where the gauge breaks
#
# A gauge of training should move with training and with nothing else. Our table holds runs that differ in one thing from the trunk
# of their size and have read the *same* tokens: decayed rates, averages of weights, other peak rates and weight decays, other
# seeds. We read each of them and its trunk, and give the quotient: *apparent over true tokens*. By QiD it is the ratio of the two
# QiD to the power $1/\beta$; by the 16-bit loss, the tokens at which its own trunk has the same loss.

# %% tags=["hide-input"]
compared = compared_with_trunk(plain, TOKENS_SEEN)
apparent = training_level.apparent_tokens(compared, trunk, law)
seen = apparent.dropna(subset="log_by_loss")
parts = {f"{bits} bits": (seen[seen["bits"] == bits], "log_by_qid") for bits in BITS}
parts["16-bit loss"] = (seen[seen["bits"] == 3], "log_by_loss")
factors = pd.concat(
    [
        mean_over_sizes(rows, column, ["way"]).reset_index().assign(gauge=gauge)
        for gauge, (rows, column) in parts.items()
    ]
)
ends = ["mean", "low", "high", "lowest", "highest"]
factors[ends] = np.exp(factors[ends].where(factors["n_runs"] >= 3, factors[ends].assign(low=np.nan, high=np.nan)))
factors = factors.rename(columns={"mean": "factor"})

# %% tags=["remove-cell"]
put("fig_apparent", training_level_figures.apparent_over_true(factors))
plt.close("all")
table = factors.set_index(["way", "gauge"])["factor"]
(averaged,) = [way for way in factors["way"].unique() if way.startswith("average")]
NAMES = {
    "average": averaged,
    "cooldown": "cooldown, at its end",
    "cosine": "cosine, at its end",
    "half": "0.5 × the peak rate",
    "double": "2 × the peak rate",
    "none": "weight decay 0",
    "triple": "weight decay 0.3",
    "seed": "another training seed",
}
for key, way in NAMES.items():
    for gauge, short in (("3 bits", "qid"), ("16-bit loss", "loss")):
        put(f"{key}_{short}", table[(way, gauge)])
cooldown = factors[(factors["way"] == NAMES["cooldown"])].set_index("gauge")
put_all(cooldown_low=cooldown.loc["3 bits", "low"], cooldown_high=cooldown.loc["3 bits", "high"])
sizes_of = factors[factors["gauge"] == "3 bits"].set_index("way")["n_runs"].astype(int)
put_all(**{f"{key}_sizes": sizes_of[NAMES[key]] for key in ("cooldown", "cosine", "average")})
put_all(seed_models=sizes_of[NAMES["seed"]], wd_sizes=sizes_of[NAMES["none"]])
put_all(
    unseen=int(apparent.loc[apparent["bits"] == 3, "log_by_loss"].isna().sum()),
    compared=int((apparent["bits"] == 3).sum()),
)
for bits in BITS:
    gauge = f"{bits} bits"
    assert table[(averaged, gauge)] < 0.9 < 1.1 < table[(averaged, "16-bit loss")], "averages: the gauges disagree"
    assert min(table[(NAMES[name], gauge)] for name in ("cooldown", "cosine")) > 1.1, "decay looks like tokens"
    assert table[(NAMES["triple"], gauge)] < 0.9 < 1.1 < table[(NAMES["none"], gauge)], "and weight decay like fewer"
    assert abs(np.log(table[(NAMES["seed"], gauge)])) < 0.15, "seeds lie near one"
assert table[(NAMES["half"], "16-bit loss")] < 0.9 < 1 < table[(NAMES["half"], "3 bits")], (
    "rates: they disagree as well"
)
assert np.abs(np.log(table)).max() < np.log(scores.loc["QiD, all three", columns["width"]]) / 2, (
    "no reading would notice"
)
assert table[(NAMES["double"], "3 bits")] < 1 < table[(NAMES["double"], "16-bit loss")]

# %% [markdown]
# ```{glue:figure} fig_apparent
# :name: fig-apparent
# :alt: Apparent over true tokens, one row for each difference in training, points for readings by QiD at 2, 3 and 4 bits and by the 16-bit loss. Ends of cooldowns lie near 1.2 by QiD and 1.4 by loss, ends of cosines above 1.3 by QiD and at one by loss. Averages lie at 0.75 by QiD and 1.35 by loss. Half the peak rate lies above one by QiD and at 0.7 by loss. Other seeds lie near one.
#
# Runs with equal tokens that look unequally trained. Where the two gauges point to different sides of one, at least one of them
# doesn't measure training. Bars: 95% intervals over sizes, where there are three or more; pale strokes: from the lowest to the
# highest size.
# ```
#
# - **Decay looks like tokens.** The end of a cooldown reads as {glue:text}`cooldown_qid:.2f` times its tokens at 3 bits
#   ({glue:text}`cooldown_low:.2f` to {glue:text}`cooldown_high:.2f` over {glue:text}`cooldown_sizes:d` sizes) and
#   {glue:text}`cooldown_loss:.2f` times by loss; that of a cosine as {glue:text}`cosine_qid:.2f` and {glue:text}`cosine_loss:.2f`.
#   Public models end decayed; if decay acts on them as on ours, a law of constant rates reads them as longer trained than they are.
# - **Averages look untrained to QiD and trained to the loss:** {glue:text}`average_qid:.2f` against
#   {glue:text}`average_loss:.2f`. An average is the better model in 16 bits and loses less when rounded. By the paper's
#   reasoning it would be the *less* trained one.
# - **The peak rate divides them too.** Half the rate reads as {glue:text}`half_qid:.2f` by QiD and {glue:text}`half_loss:.2f` by
#   loss, twice the rate as {glue:text}`double_qid:.2f` and {glue:text}`double_loss:.2f`.
# - **Weight decay** moves QiD and hardly the loss: none reads as {glue:text}`none_qid:.2f` ({glue:text}`none_loss:.2f` by loss),
#   three times the usual as {glue:text}`triple_qid:.2f` ({glue:text}`triple_loss:.2f`). Sizes tried: {glue:text}`wd_sizes:d`.
# - **Seeds** lie near one: {glue:text}`seed_qid:.2f` by QiD and {glue:text}`seed_loss:.2f` by loss (means over checkpoints;
#   sizes tried: {glue:text}`seed_models:d`).
#
# All this is for checkpoints whose loss the trunk has somewhere; {glue:text}`unseen:d` of {glue:text}`compared:d` (per bit width)
# lie below its last one and have no reading by loss. The factors stay within those of the intervals above, so that a single reading
# would not notice. But they don't average out: they are properties of the recipe, and a recipe is what differs between families.
#
# ## What the last doubling was worth
#
# There is a level of QiD that needs no law and no number picked by hand. Doubling the tokens lowers the 16-bit loss by some nats;
# rounding adds QiD. Where QiD is larger than the gain of the last doubling, rounding takes back more than that doubling brought:
# the rounded model is worse than the 16-bit one at half of the tokens.

# %% tags=["hide-input"]
gains = training_level.gains_of_doubling(trunk)
last = gains[gains[TOKENS_SEEN] == gains.groupby("model")[TOKENS_SEEN].transform("max")]

# %% tags=["remove-cell"]
put("fig_doublings", training_level_figures.lost_doublings(gains))
plt.close("all")
for bits, rows in last.groupby("bits"):
    rows = rows.sort_values(N_PARAMS)
    put(f"beyond_{bits:g}", int((rows["doublings"] > 1).sum()))
at_2 = last[last["bits"] == 2].sort_values(N_PARAMS)["doublings"]
put_all(last_tokens=count_label(last[TOKENS_SEEN].max()), doublings_small=at_2.iloc[0], doublings_large=at_2.iloc[-1])
steps = np.log(gains.sort_values(TOKENS_SEEN).set_index(["model", "bits"])[["doublings", "gain_nats"]])
steps = steps.groupby(["model", "bits"]).last() - steps.groupby(["model", "bits"]).first()
rising, shrinking = np.exp(steps["doublings"]), -steps["gain_nats"] / steps["doublings"]
put_all(grown_low=rising.min(), grown_high=rising.max(), shrink_low=shrinking.min(), shrink_high=shrinking.max())
put("doublings_first", count_label(gains.groupby("model")[TOKENS_SEEN].min().max()))
assert rising.min() > 1, "the text says that it grows everywhere"
assert (last.loc[last["bits"] == 2, "doublings"] > 1).all(), "the text says: at 2 bits every size"
assert (last[last["bits"] == 4]["doublings"] < 1).any(), "and at 4 bits not all"

# %% [markdown]
# ```{glue:figure} fig_doublings
# :name: fig-doublings
# :alt: QiD over the gain of the last doubling against tokens, logarithmic axes, three panels for 2, 3 and 4 bits, one line a size. All lines rise. At 2 bits nearly all lie above one throughout, at 3 bits they cross it one after the other, small models first, at 4 bits only the smallest reach it.
#
# Training gains less and less, rounding costs more and more. Above the line rounding takes back the last doubling.
# ```
#
# At {glue:text}`last_tokens:s` tokens 2-bit rounding takes back {glue:text}`doublings_small:.0f` such gains in the smallest
# model and {glue:text}`doublings_large:.1f` in the largest. It takes back at least one in {glue:text}`beyond_2:d` of
# {glue:text}`sizes:d` sizes at 2 bits, {glue:text}`beyond_3:d` at 3 and {glue:text}`beyond_4:d` at 4. From
# {glue:text}`doublings_first:s` tokens on the quotient grows by factors of {glue:text}`grown_low:.0f` to
# {glue:text}`grown_high:.0f`. In logarithms {glue:text}`shrink_low:.0%` to {glue:text}`shrink_high:.0%` of that is the
# denominator: gains shrink. As a gauge it has a meaning that 0.2 nats doesn't have, and it is the one to ask before one trains
# a model longer that will be rounded.
#
# ## Tokens for a given QiD
#
# This is the paper's use of the law: tokens at which QiD reaches {glue:text}`asked:g` nats per token. Ours has the
# {glue:text}`level:.0%` interval for a new run. Nearly everything here is an extrapolation; what lies inside the ranges that a
# law was fitted to is marked with •.

# %% tags=["hide-input"]
ASKED = 0.2
wanted = pd.DataFrame(
    [(size, bits) for size in (1e6, 1e7, 1e9, 7e9, 70e9, 405e9) for bits in BITS], columns=["N", "bits"]
)
size, width = (wanted[name].to_numpy(float) for name in ("N", "bits"))
asked = FitData(
    np.ones(size.size), size, width, np.full(size.size, ASKED), np.full(size.size, 1e-9), np.full(size.size, "new")
)
wanted = wanted.join(training_level.readings(fit, asked, INTERVAL))
wanted["equation 8"] = OUYANG_2024.tokens_at(ASKED, size, width)
wanted["its table"] = [
    OUYANG_2024_TABLE_1[bits].tokens_at(ASKED, n, bits).item() for n, bits in zip(size, wanted["bits"], strict=True)
]


# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: tokens for a given QiD by each law", "code_prompt_hide": "Table: tokens for a given QiD by each law"}
def many(tokens):
    return count_label(tokens) if tokens < 1e15 else f"{tokens / 1e12:,.0f}T"


marks = {
    name: np.where(one.validity.contains(wanted[tokens], size, width), " •", "")
    for name, tokens, one in (
        ("ours", "read", law),
        ("equation 8", "equation 8", OUYANG_2024),
        ("its table", "its table", OUYANG_2024),
    )
}
ours = [f"{many(row.read)} [{many(row.low)}, {many(row.high)}]" for row in wanted.itertuples()]
cells = wanted.assign(ours=ours, N=wanted["N"].map(count_label), bits=wanted["bits"].map("{} bits".format))
cells = cells.assign(**{name: cells[name].map(count_label) for name in ("equation 8", "its table")})
cells.assign(**{name: cells[name] + marks[name] for name in marks}).set_index(["N", "bits"])[list(marks)]

# %% tags=["remove-cell"]
PUBLIC = 15e12  # tokens: what a 70B model of 2024 read
put_all(asked=ASKED, public=count_label(PUBLIC))
public_qid = {"eq8": OUYANG_2024, "table": OUYANG_2024_TABLE_1[4]}
for key, one in public_qid.items():
    put(f"public_{key}", one.predict(PUBLIC, 70e9, 4))
row = wanted[(wanted["N"] == 70e9) & (wanted["bits"] == 4)].iloc[0]
put_all(need_eq8=count_label(row["equation 8"]), need_table=count_label(row["its table"]))
put_all(need_ours=many(row["read"]), need_low=many(row["low"]), need_high=many(row["high"]))
put_all(out_tokens=np.log10(row["low"] / law.validity.tokens[1]), out_size=np.log10(70e9 / law.validity.n_params[1]))
put("out_paper", np.log10(PUBLIC / OUYANG_2024.validity.tokens[1]))
lost = training_level.tokens_of_lost_doubling(OUYANG_2024, OUYANG_2024_LOSS, 70e9, 4).item()
put_all(lost=count_label(lost), lost_before=np.log2(PUBLIC / lost))
assert row["equation 8"] < PUBLIC < row["its table"], "the text says: the paper's own laws disagree on it"
assert row["low"] > PUBLIC, "the text says that ours, taken at its word, says undertrained"
assert not law.validity.contains(PUBLIC, 70e9, 4), "an extrapolation"
assert lost < PUBLIC

evaluations = pd.read_csv("data/published/pythia_public_evals.csv").query("metric == 'acc' and deduped")
late = evaluations["step"].max()
half_way = evaluations.loc[evaluations["step"] <= late / 2 * 1.05, "step"].max()
pair = [evaluations[evaluations["step"] == step].set_index("n_params_non_embedding") for step in (half_way, late)]
change = (pair[1]["value"] - pair[0]["value"]) / np.hypot(pair[0]["stderr"], pair[1]["stderr"])
put_all(pythias=len(change), accuracy_up=int((change > 2).sum()), accuracy_down=int((change < -2).sum()))
put_all(accuracy_down_size=count_label(change[change < -2].index.max()), accuracy_times=late / half_way)
assert change[change < -2].index.max() < change[change > 2].index.min(), "the text says: the smallest fall"

# %% [markdown]
# Take 70B parameters at {glue:text}`public:s` tokens and 4 bits, about what the largest open models of 2024 are. Equation 8
# says a QiD of {glue:text}`public_eq8:.2f`, and {glue:text}`asked:g` nats at {glue:text}`need_eq8:s` tokens: past it. The three
# laws that print the paper's table say {glue:text}`public_table:.2f`, and {glue:text}`need_table:s` tokens: not there yet. The
# gauge as published thus doesn't settle on which side of its own line such a model stands, {glue:text}`out_paper:.1f` powers of
# ten beyond the tokens it was fitted to. Ours, taken at its word, would say {glue:text}`need_ours:s` tokens
# ({glue:text}`need_low:s` to {glue:text}`need_high:s`). Its low end alone lies {glue:text}`out_tokens:.1f` powers of ten beyond
# our tokens, and the size {glue:text}`out_size:.1f` beyond ours: **this is an extrapolation, and no statement about that
# model.** The interval takes the form of the law to be true, and {doc}`chapter 9 <09-extrapolation>` shows that ours bends within a factor
# of four. Our models also read another kind of text.
#
# And the line is arbitrary. By the paper's equations 3 and 8, 4-bit rounding of a 70B model costs more than the last doubling
# gains from {glue:text}`lost:s` tokens on, {glue:text}`lost_before:.1f` doublings before {glue:text}`public:s`. By *that* mark it
# would have been trained to the full long ago. The same two laws call one model undertrained and overtrained, depending on which
# QiD one takes for full.
#
# Gauges that don't round anything wear out as well. Take the accuracy of Pythia on LAMBADA ({cite:t}`biderman2023pythia`), in 16
# bits, at the end of training against {glue:text}`accuracy_times:.1f` times fewer tokens. In {glue:text}`accuracy_up:d` of
# {glue:text}`pythias:d` models it is higher by more than two standard errors. In {glue:text}`accuracy_down:d`, the smallest, up to
# {glue:text}`accuracy_down_size:s` parameters, it is *lower* by as much: by accuracy they would have been trained backwards.
#
# ## What this does not show
#
# - **That QiD can't tell anything.** Within one recipe it orders tokens per parameter well. Two checkpoints of one run, or two
#   sizes of one family with one schedule, may be compared by it.
# - **That one number of tokens per parameter holds for larger models.** It rests on {glue:text}`settled_sizes:d` sizes and one run
#   each, within a factor of {glue:text}`times_size:.0f` in size; the one larger run that we have departs from it.
# - **Other text.** Everything here is on held-out Python of the same packages' kind as the training text.
# - **Repeated text.** Later tokens were read before; a gauge can't tell a second reading from new text, and we didn't ask it to.
# - **Recipes in combination.** Each run differs from the trunk in one thing. Sizes tried: {glue:text}`cosine_sizes:d` for
#   cosines, {glue:text}`average_sizes:d` for averages, {glue:text}`wd_sizes:d` for weight decays.
# - **What "fully trained" means.** That is a choice, not a measurement.
#
# ## Exercises
#
# **1.** A colleague measures a 3-bit QiD with an error of 5%. How well can they know $D$, if the law were exact?
#
# ```{admonition} Answer
# :class: dropdown
#
# By {eq}`eq-gauge` $\ln \hat D = (\ln q + \ldots) / \beta$, so 5% becomes {glue:text}`ex_one:.0%`. With the law's scatter $\tau$
# added in squares it is {glue:text}`ex_two:.0%`: measuring better than $\tau$ is of no use for this.
# ```
#
# **2.** Two models of one family have the same 3-bit QiD; one is four times as large. By our law, and by equation 8, which one has
# more tokens per parameter, and by how much?
#
# ```{admonition} Answer
# :class: dropdown
#
# At one QiD $D / N \propto N^{\alpha / \beta - 1}$. Ours gives {glue:text}`ex_ours:.2f` times as many for the larger one, which is
# one within the interval; equation 8 gives {glue:text}`ex_paper:.2f`. Under equation 8 a larger model looks fully trained at far
# fewer tokens per parameter.
# ```
#
# **3.** Why does the quotient of QiD and the last doubling's gain rise even if QiD doesn't grow?
#
# ```{admonition} Answer
# :class: dropdown
#
# Because the gain falls: by equation 3 the loss flattens as $D$ grows, so that each doubling brings less than the one before. A
# constant cost outweighs a shrinking gain sooner or later.
# ```

# %% tags=["remove-cell"]
put_all(ex_one=0.05 / law.beta, ex_two=np.hypot(0.05, fit.tau) / law.beta)
put_all(ex_ours=4 ** (power - 1), ex_paper=4 ** (OUYANG_2024.alpha / OUYANG_2024.beta - 1))

# %% [markdown]
# **4.** *(code, checks itself)* Build a gauge: through all rows of `late()` at 3 bits fit $\ln$ QiD $= a + b \ln(D / N)$. A model has a QiD of 0.1.
# How many tokens per parameter does the gauge read?

# %%
from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # D / N, no unit
check("8.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = late().query("bits == 3")
ratio = np.log(rows["tokens_seen"] / rows["n_params_non_embedding"])
slope, level = np.polyfit(ratio, np.log(rows["qid_nats"]), 1)
check("8.4", np.exp((np.log(0.1) - level) / slope))
