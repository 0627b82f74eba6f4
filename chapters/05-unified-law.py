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
# # The unified law
#
# *Does one formula hold for tokens, size and bits together?*

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from myst_nb import glue

from helpers.analyse import comparison_figures, figures, fit_figures
from helpers.analyse.calculator import prediction_chart
from helpers.analyse.comparisons import commonest_scheme, trends
from helpers.analyse.degradation import degradation, rows_of_fit, study_rows
from helpers.analyse.fit_records import FitData, FitError, information_by_bits
from helpers.analyse.laws import OUYANG_2024, OUYANG_2024_TABLE_1, OneBitWidthLaw, UnifiedLaw
from helpers.analyse.style import count_label, use_house_style
from helpers.analyse.tables import fits_table
from helpers.analyse.uncertainty import fit_by_run, hold_out_largest, leave_one_run_out

use_house_style()


def put(name, value):
    glue(name, value.item() if isinstance(value, np.generic) else value, display=False)


EARLY_TOKENS = 60e6
EXPONENTS = ["beta", "alpha", "gamma"]

# %% [markdown]
# ## The law
#
# {cite:t}`ouyang2025lowbit` put
#
# $$
# \Delta L = k\, \frac{D^\beta}{N^\alpha P^\gamma}
# $$ (eq-unified)
#
# with $\Delta L$ QiD in nats per token, $D$ training tokens seen, $N$ non-embedding parameters and $P$ bits per weight. The exponents
# have no unit. The factor $k$ takes the unit that is left: nats per token, at one token, one parameter and one bit. No model is near that
# place, so $k$ alone tells nothing, and its error is large whatever the data. The exponents can be read at once: twice the tokens multiply QiD by
# $2^\beta$.
#
# The law is *separable*. It says that tokens act in the same way on every model and at every bit width. That is a strong claim,
# and this chapter tests it.
#
# ## What is fitted
#
# The rows are those of {doc}`chapter 4 <04-degradation>`: GPTQ with group 32 and an asymmetric grid, {glue:text}`runs:d` sizes, one training run
# each, measured on a GPU. We use the checkpoints beyond {glue:text}`early_tokens:s` tokens; what that choice does comes below.

# %%
study = degradation(study_rows(pd.read_parquet("results/measurements.parquet")))
rows = rows_of_fit(study, "gptq", 32, False, tokens_above=EARLY_TOKENS)
data = FitData.from_table(rows)

# %% [markdown]
# A fit needs to know how far each row may stray. The paired error $\mathrm{se}_i$ says how well QiD is measured on these documents. It doesn't say how
# far a training run strays from the law, nor how wrong the law is. So we take
#
# $$
# \Delta L_i \sim \mathcal{N}\!\left(\mu_i,\; \mathrm{se}_i^2 + \tau^2 \mu_i^2\right),
# $$ (eq-variance)
#
# where $\mu_i$ is what the law says for row $i$. The relative spread $\tau$ (no unit) is estimated together with the
# exponents. QiD stays on its own scale: a value at or below zero stays in the data. Its logarithm would not exist, and to drop it would
# bias every exponent.

# %%
fit, no_interval = fit_by_run(UnifiedLaw, data)
fitted, errors = fit.fitted_nats, data.qid_se_nats
pure = information_by_bits(fitted, errors, data.bits, tau=0.0)

# %% tags=["remove-cell"]
assert not no_interval
put("early_tokens", count_label(EARLY_TOKENS))
put("tau", fit.tau)
put("median_se", float(np.median(data.qid_se_nats / fit.fitted_nats)))
put("rows", fit.n_rows)
put("runs", fit.n_runs)
put("status", str(fit.status))
put("level", fit.level)
for bits, share in fit.information_by_bits.items():
    put(f"share_{bits:g}", share)
    put(f"pure_{bits:g}", pure[bits])
for name in EXPONENTS:
    one = fit.estimate(name)
    put(name, one.value)
    put(f"{name}_low", one.low)
    put(f"{name}_high", one.high)
    put(f"{name}_published", getattr(OUYANG_2024, name))
put("doubling", 2**fit.law.beta)
without = leave_one_run_out(fit)
for name in EXPONENTS:
    put(f"{name}_without_low", without[name].min())
    put(f"{name}_without_high", without[name].max())
inside = {name: fit.estimate(name).low <= getattr(OUYANG_2024, name) <= fit.estimate(name).high for name in EXPONENTS}
for law in (fit.law, OUYANG_2024):
    assert law.gamma > law.beta > law.alpha > 0, "bits weigh most, size least"
put("paper_growth", OUYANG_2024.validity.n_params[1] / data.n_params.max())
assert inside == {"beta": True, "alpha": False, "gamma": False}, "the text says which published exponents lie inside"

# %% [markdown]
# Here $\tau$ is {glue:text}`tau:.3f`, and the median paired error is {glue:text}`median_se:.1%` of QiD. That decides which rows
# count. With $\tau$ each bit width has about a third of the information on the exponents: {glue:text}`share_2:.0%` at 2 bits,
# {glue:text}`share_3:.0%` at 3 and {glue:text}`share_4:.0%` at 4. Weighted by the paired errors alone, $\tau = 0$, the shares would be
# {glue:text}`pure_2:.0%`, {glue:text}`pure_3:.0%` and {glue:text}`pure_4:.0%`: large values are measured with a small *relative*
# error, and 2-bit rows would decide the exponents for all.
#
# ## The exponents
#
# The {glue:text}`rows:d` rows come from {glue:text}`runs:d` training runs only. Rows of one run share its luck, so the intervals count
# runs, not rows: a covariance clustered by run with a correction for small numbers (CR2), and a *t* distribution with at most
# {glue:text}`runs:d` − 1 degrees of freedom. The fit calls its own status *{glue:text}`status:s`*.
#
# - $\beta$ = {glue:text}`beta:.2f`, {glue:text}`level:.0%` interval {glue:text}`beta_low:.2f` to {glue:text}`beta_high:.2f`. Twice the tokens multiply QiD by
#   {glue:text}`doubling:.2f`.
# - $\alpha$ = {glue:text}`alpha:.2f`, {glue:text}`alpha_low:.2f` to {glue:text}`alpha_high:.2f`.
# - $\gamma$ = {glue:text}`gamma:.2f`, {glue:text}`gamma_low:.2f` to {glue:text}`gamma_high:.2f`.
#
# With each run left out in turn, $\beta$ goes from {glue:text}`beta_without_low:.2f` to {glue:text}`beta_without_high:.2f`, $\alpha$ from
# {glue:text}`alpha_without_low:.2f` to {glue:text}`alpha_without_high:.2f` and $\gamma$ from {glue:text}`gamma_without_low:.2f` to
# {glue:text}`gamma_without_high:.2f`.

# %% tags=["hide-input"]
widths = [2, 3, 4]
by_bits = {bits: fit_by_run(OneBitWidthLaw, data.where(data.bits == bits))[0] for bits in widths}
fits = {"ours, all": fit} | {f"ours, {bits} bits": one for bits, one in by_bits.items()}
published = {"paper, all": OUYANG_2024} | {f"paper, {bits} bits": law for bits, law in OUYANG_2024_TABLE_1.items()}
fits_table(fits, published)

# %% tags=["remove-cell"]
put("fig_exponents", fit_figures.exponents_of_fits(fits, published))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_exponents
# :name: fig-exponents
# :alt: Exponents of four fits with intervals and of four published laws, in three panels for beta, alpha and gamma. Our beta is higher than the published one with an interval that reaches it; our alpha is about twice the published one.
#
# Our exponents (dots, {glue:text}`level:.0%` intervals by run) beside the published ones (diamonds). Only the published β lies within our interval of all bits.
# ```
#
# The published exponents are $\beta$ = {glue:text}`beta_published:.2f`, $\alpha$ = {glue:text}`alpha_published:.2f` and
# $\gamma$ = {glue:text}`gamma_published:.2f`. Ours agree in sign and in order: bits weigh most, size least. The published $\beta$ lies in our
# interval; $\alpha$ and $\gamma$ don't. This is no refutation. The paper's largest model is {glue:text}`paper_growth:,.0f` times as large as ours. Its models
# read another kind of text with another vocabulary, and were rounded in groups of 128 weights.
#
# ## How well does it describe?

# %% tags=["remove-cell"]
clear = data.qid_nats > 3 * data.qid_se_nats
log_errors = np.log(fit.fitted_nats[clear] / data.qid_nats[clear])
put("typical_error", float(np.expm1(np.sqrt(np.mean(log_errors**2)))))
put("decades", float(np.log10(data.qid_nats.max() / data.qid_nats.min())))
put("worst_over", float(np.exp(log_errors.max())))
put("worst_under", float(np.exp(-log_errors.min())))
put("fig_fitted", figures.measured_against_fitted(fit).figure)
put("fig_residuals", fit_figures.residuals_against_tokens(fit))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_fitted
# :name: fig-fitted
# :alt: Measured against fitted QiD on logarithmic axes, colour for bits and marker for size; points follow the line of equality.
#
# The law follows the measured QiD over {glue:text}`decades:.1f` powers of ten.
# ```
#
# Typically the law misses a row by {glue:text}`typical_error:.0%` (root mean square, as a factor); the worst misses are factors of
# {glue:text}`worst_over:.2f` too high and {glue:text}`worst_under:.2f` too low. On axes as wide as these the misses
# hardly show. Divide by the law, and look again.
#
# ```{glue:figure} fig_residuals
# :name: fig-residuals
# :alt: Measured over fitted QiD against training tokens, three panels for 2, 3 and 4 bits, one line for each size. The lines of the smallest models rise from below one to above; those of larger models fall or stay level; all bend downwards at the end.
#
# What the law leaves over has a pattern: small models rise against the law, the largest falls. The band is ± τ.
# ```
#
# The points of {numref}`fig-residuals` don't scatter about one. They run along lines, and the lines of different sizes cross. The law is wrong in a
# systematic way, far beyond the paired errors.
#
# ## Where it breaks: the exponents are not constant

# %% tags=["hide-input"]
SIZE, TOKENS = "n_params_non_embedding", "tokens_seen"
in_tokens = trends(rows, TOKENS, [SIZE, "bits"])
in_size = trends(rows_of_fit(study, "gptq", 32, symmetric=False), SIZE, [TOKENS, "bits"])
in_size["exponent"] = -in_size["exponent"]

# %% tags=["remove-cell"]
figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.8))
comparison_figures.exponents(in_tokens, SIZE, "exponent of D, β (no unit)", panels[0]).get_legend().remove()
comparison_figures.exponents(in_size, TOKENS, "exponent of N, α (no unit)", panels[1])
put("fig_local", figure)
plt.close("all")
mean_by_size = in_tokens.groupby(SIZE)["exponent"].mean()
mean_by_tokens = in_size.groupby(TOKENS)["exponent"].mean()
put("beta_smallest", mean_by_size.iloc[0])
put("beta_largest", mean_by_size.iloc[-1])
put("smallest", count_label(mean_by_size.index[0]))
put("largest", count_label(mean_by_size.index[-1]))
put("alpha_first", mean_by_tokens.iloc[0])
put("alpha_last", mean_by_tokens.iloc[-1])
put("first_tokens", count_label(mean_by_tokens.index[0]))
put("last_tokens", count_label(mean_by_tokens.index[-1]))
spread_bits = in_tokens.pivot(index=SIZE, columns="bits", values="exponent")
put("beta_bits_spread", (spread_bits.max(axis=1) - spread_bits.min(axis=1)).mean())
put("beta_size_spread", mean_by_size.max() - mean_by_size.min())
assert mean_by_size.iloc[0] > 1.5 * mean_by_size.iloc[-1]
assert mean_by_size.iloc[0] > fit.law.beta > mean_by_size.iloc[-1], "small models rise against the law, large ones fall"
assert mean_by_tokens.iloc[0] < 0 < mean_by_tokens.iloc[-1]
ratio_pairs = {bits: one.estimate("beta").value for bits, one in by_bits.items()}
put("beta_two", ratio_pairs[2])
put("beta_three", ratio_pairs[3])
put("beta_four", ratio_pairs[4])
for bits, one in by_bits.items():
    put(f"alpha_at_{bits}", one.law.alpha)
assert OUYANG_2024_TABLE_1[2].beta < min(OUYANG_2024_TABLE_1[3].beta, OUYANG_2024_TABLE_1[4].beta)
joint = [(fit.estimate(name).low, fit.estimate(name).high) for name in ("beta", "alpha")]
assert all(
    joint[0][0] < one.law.beta < joint[0][1] and joint[1][0] < one.law.alpha < joint[1][1] for one in by_bits.values()
)

# %% [markdown]
# ```{glue:figure} fig_local
# :name: fig-local
# :alt: Two panels. Left, the exponent of tokens against size for three bit widths, falling from above one to about one half. Right, the exponent of size against tokens, rising from below zero to about one half.
#
# Left: the exponent of $D$, fitted for one size and bit width at a time beyond {glue:text}`early_tokens:s` tokens, falls with size.
# Right: the exponent of $N$, one number of tokens at a time, rises from below zero and levels off.
# ```
#
# Fit a straight line in logarithms to one size at a time ({numref}`fig-local`, left). The exponent of $D$ is
# {glue:text}`beta_smallest:.2f` for the smallest model ({glue:text}`smallest:s` parameters) and {glue:text}`beta_largest:.2f` for the largest
# ({glue:text}`largest:s`); means over the bit widths. Or fit one number of tokens at a time (right). The exponent of $N$ goes from
# {glue:text}`alpha_first:.2f` at {glue:text}`first_tokens:s` tokens to {glue:text}`alpha_last:.2f` at {glue:text}`last_tokens:s`. A
# separable law would draw level lines in both panels.
#
# In the bits the law does better. The laws of one bit width have $\beta$ of {glue:text}`beta_two:.2f`, {glue:text}`beta_three:.2f` and
# {glue:text}`beta_four:.2f` and $\alpha$ of {glue:text}`alpha_at_2:.2f`, {glue:text}`alpha_at_3:.2f` and {glue:text}`alpha_at_4:.2f` for 2, 3 and 4
# bits, all within the intervals of the joint fit. The paper's own table goes another way, as we shall see: there 2 bits have the lowest $\beta$. Between bit widths the slope in $D$ of one size differs by
# {glue:text}`beta_bits_spread:.2f` on average, between sizes by {glue:text}`beta_size_spread:.2f`. In these data it is $D$ and $N$ that don't separate.
#
# ## How much hangs on the first checkpoints?

# %% tags=["hide-input"]
cuts = [0, 16e6, 33e6, EARLY_TOKENS, 120e6]
names = ["all", *(f"D > {count_label(cut)}" for cut in cuts[1:])]
cut_fits = {
    name: fit_by_run(UnifiedLaw, FitData.from_table(rows_of_fit(study, "gptq", 32, symmetric=False, tokens_above=cut)))[
        0
    ]
    for name, cut in zip(names, cuts, strict=True)
}
fits_table(cut_fits)

# %% tags=["remove-cell"]
put("fig_cuts", fit_figures.exponents_of_fits(cut_fits, {"paper": OUYANG_2024}))
plt.close("all")
everything, latest = cut_fits[names[0]], cut_fits[names[-1]]
put("tau_all", everything.tau)
put("beta_all", everything.law.beta)
put("tau_late", latest.tau)
put("beta_late", latest.law.beta)
put("beta_late_low", latest.estimate("beta").low)
put("beta_late_high", latest.estimate("beta").high)
put("late_cut", count_label(cuts[-1]))
put("beta_most", max(one.law.beta for one in cut_fits.values()))
taus = [one.tau for one in cut_fits.values()]
alphas = [one.law.alpha for one in cut_fits.values()]
assert taus == sorted(taus, reverse=True)
assert alphas == sorted(alphas)
assert latest.law.beta < fit.law.beta < cut_fits[names[1]].law.beta
put("alpha_all", alphas[0])
put("alpha_late", alphas[-1])
put("gamma_cut_low", min(one.law.gamma for one in cut_fits.values()))
put("gamma_cut_high", max(one.law.gamma for one in cut_fits.values()))

# %% [markdown]
# ```{glue:figure} fig_cuts
# :name: fig-cuts
# :alt: Exponents with intervals of five fits that begin at later and later tokens, and the published law. Beta rises and then falls from about one to one half, alpha rises, gamma hardly moves.
#
# Where the data begin decides β and α; γ hardly moves. Dots: our fits with {glue:text}`level:.0%` intervals by run; diamond: published.
# ```
#
# With every checkpoint from the first on, $\tau$ is {glue:text}`tau_all:.2f`: the law misses by half. Later beginnings make it fit better, down
# to {glue:text}`tau_late:.2f` beyond {glue:text}`late_cut:s` tokens. But the exponents go along. $\beta$ is {glue:text}`beta_all:.2f` for all, as high
# as {glue:text}`beta_most:.2f` in between, and {glue:text}`beta_late:.2f` ({glue:text}`beta_late_low:.2f` to
# {glue:text}`beta_late_high:.2f`) at the latest cut. $\alpha$ climbs from {glue:text}`alpha_all:.2f` to {glue:text}`alpha_late:.2f`. $\gamma$
# stays between {glue:text}`gamma_cut_low:.2f` and {glue:text}`gamma_cut_high:.2f`.
#
# So the interval of $\beta$ above is conditional on the cut. QiD grows fast, then more slowly: a power law is a tangent to a
# curve that bends. Our latest $\beta$ is close to the published one, which may be more than chance, since the paper's checkpoints lie far
# later in training. These data can't decide it.
#
# ## Predicting the largest size

# %%
hold_out = hold_out_largest(UnifiedLaw, data)
scores = hold_out.scores()

# %% tags=["remove-cell"]
put("fig_held_out", figures.measured_against_held_out(hold_out).figure)
plt.close("all")
put("held_bias", np.expm1(scores["log_bias"]))
put("held_rms", np.expm1(scores["log_rms"]))
put("held_coverage", scores["coverage"])
put("held_runs", hold_out.fit.n_runs)
assert scores["coverage"] == 1
put("held_level", hold_out.level)
put("held_rows", scores["n_rows"])
put("held_jump", data.n_params.max() / hold_out.fit.data.n_params.max())
put("held_width", float(np.median(hold_out.high_nats / hold_out.predicted_nats)) - 1)
assert scores["log_bias"] > 0

# %% [markdown]
# ```{glue:figure} fig_held_out
# :name: fig-held-out
# :alt: Measured QiD of the largest size against its prediction from the smaller ones, with wide intervals; points lie near the line of equality, mostly a little below it.
#
# The smaller sizes predict the largest a little too high, well inside wide intervals.
# ```
#
# Without the largest model, the law predicts its {glue:text}`held_rows:d` rows {glue:text}`held_bias:.0%` too high on average, with a typical
# error of {glue:text}`held_rms:.0%`. It is {glue:text}`held_jump:.1f` times as large as the next. All of the {glue:text}`held_level:.0%` intervals for a new run hold what was measured
# ({glue:text}`held_coverage:.0%`), but they reach {glue:text}`held_width:.0%` above the prediction. {glue:text}`held_runs:d` runs promise no more.
#
# ## The paper's own table against its law

# %% tags=["hide-input"]
qid, n_params = (grid.ravel() for grid in np.meshgrid([0.2, 0.3, 0.4, 0.5], [1e9, 7e9, 70e9, 405e9]))
ratios = {
    bits: law.tokens_at(qid, n_params, bits) / OUYANG_2024.tokens_at(qid, n_params, bits)
    for bits, law in OUYANG_2024_TABLE_1.items()
}
extremes = pd.DataFrame(
    {"lowest": {k: v.min() for k, v in ratios.items()}, "highest": {k: v.max() for k, v in ratios.items()}}
)
extremes.rename_axis("bits").map("{:.2f}".format)

# %% tags=["remove-cell"]
put("table_smallest", count_label(n_params.min()))
put("table_largest", count_label(n_params.max()))
put("table_cells", sum(one.size for one in ratios.values()))
put("table_2_low", ratios[2].min())
put("table_2_high", ratios[2].max())
put("table_3_high", ratios[3].max())
put("table_4_low", ratios[4].min())
for bits, law in OUYANG_2024_TABLE_1.items():
    put(f"table_beta_{bits}", law.beta)
ours = data.qid_nats / OUYANG_2024.predict(data.tokens, data.n_params, data.bits)
put("ours_low", ours.min())
put("ours_median", float(np.median(ours)))
put("ours_high", ours.max())

# %% [markdown]
# The paper's Table 1 gives the tokens at which models of {glue:text}`table_smallest:s` to {glue:text}`table_largest:s` parameters reach a given QiD. We solved the published law for the
# same {glue:text}`table_cells:d` cells. The table above shows the ratio of the paper's tokens to the law's. At 2 bits they
# agree, {glue:text}`table_2_low:.2f` to {glue:text}`table_2_high:.2f`. At 3 bits the ratio goes up to {glue:text}`table_3_high:.1f`, at 4
# bits down to {glue:text}`table_4_low:.2f`. Three laws, one a bit width, reproduce the table to its last digit. Their $\beta$
# are {glue:text}`table_beta_2:.2f`, {glue:text}`table_beta_3:.2f` and {glue:text}`table_beta_4:.2f`. The unified exponents are those of
# 2 bits: just what a fit gives in which 2-bit rows hold most of the weight.
#
# How would the published law, constants and all, do on our rows? Measured over predicted QiD has a median of {glue:text}`ours_median:.2f` and goes from
# {glue:text}`ours_low:.2f` to {glue:text}`ours_high:.2f`. Every one of these rows is far outside the box in which that law was fitted.
#
# ## The rows of this machine

# %% tags=["remove-input"]
local = pd.read_parquet(results_path)
local = local[local["device_type"] == device]
latest_family = local.loc[local["measured_at"].idxmax(), ["family", "n_sequences"]]
local = local[(local["family"] == latest_family["family"]) & (local["n_sequences"] == latest_family["n_sequences"])]
mine = commonest_scheme(degradation(local), "gptq")
mine = mine[mine["tokens_seen"] > EARLY_TOKENS]
try:
    my_fit, my_trouble = fit_by_run(UnifiedLaw, FitData.from_table(mine))
    display(fits_table({"machine": my_fit, "study": fit}))
    if my_trouble:
        display(Markdown(f"No interval: {my_trouble}."))
except FitError as error:
    display(Markdown(f"**The rows of this machine don't identify the law:** {error}."))

# %% tags=["remove-cell"]
put("machine_rows", len(mine))
put("machine_models", mine["model"].nunique())

# %% [markdown]
# The first line is fitted to the {glue:text}`machine_rows:d` GPTQ rows of {glue:text}`machine_models:d` models that this machine measured beyond
# {glue:text}`early_tokens:s` tokens, the second to the study. The fewer runs there are, the wider are honest
# intervals; where runs are too few for any, the first line shows the estimates alone.
#
# ## Try it
#
# Choose tokens and size inside the box that was fitted. The dots are the law, the bars its {glue:text}`held_level:.0%` interval for a new training run.

# %% tags=["hide-input"]
prediction_chart(fit, hold_out.level)

# %% tags=["remove-cell"]
box = fit.law.validity
put("box_tokens_low", count_label(box.tokens[0]))
put("box_tokens_high", count_label(box.tokens[1]))
put("box_size_low", count_label(box.n_params[0]))
put("box_size_high", count_label(box.n_params[1]))
put("box_bits_low", box.bits[0])
put("box_bits_high", box.bits[1])
put("ratio_low", float((data.tokens / data.n_params).min()))
put("ratio_high", float((data.tokens / data.n_params).max()))
by_width = rows.pivot(index="checkpoint_id", columns="bits", values="qid_nats")
step_32, step_43 = (by_width[2] / by_width[3]).median(), (by_width[3] / by_width[4]).median()
power_32, power_43 = (3 / 2) ** fit.law.gamma, (4 / 3) ** fit.law.gamma
for name, value in (("step_32", step_32), ("step_43", step_43), ("power_32", power_32), ("power_43", power_43)):
    put(name, value)
assert power_43 < step_43 < step_32 < power_32
far_tokens, far_size = 1e14, 7e9
put("far_size", count_label(far_size))
put("far_tokens", count_label(far_tokens))
put("far_factor", far_tokens / box.tokens[1])
put("far_paper", far_tokens / OUYANG_2024.validity.tokens[1])
put("far_unified", float(OUYANG_2024.predict(far_tokens, far_size, 4)))
put("far_table", float(OUYANG_2024_TABLE_1[4].predict(far_tokens, far_size, 4)))

# %% [markdown]
# ## Where the law is valid
#
# | | from | to |
# | --- | --- | --- |
# | training tokens $D$ | {glue:text}`box_tokens_low:s` | {glue:text}`box_tokens_high:s` |
# | size $N$ (non-embedding parameters) | {glue:text}`box_size_low:s` | {glue:text}`box_size_high:s` |
# | bits $P$ | {glue:text}`box_bits_low:.0f` | {glue:text}`box_bits_high:.0f` |
# | tokens per parameter $D/N$ | {glue:text}`ratio_low:.0f` | {glue:text}`ratio_high:.0f` |
#
# One family, one kind of text, one seed, a constant learning rate, GPTQ with group 32 and an asymmetric grid.
#
# ## What this does not show
#
# - **What decay of the learning rate does.** {cite:t}`catalan2025dynamics` find that QiD stays nearly level while the rate is constant and jumps when it
#   decays, and hold that laws like {eq}`eq-unified`, fitted along one decaying run, mix up $D$ with the rate. Our rate is constant after the warm-up.
#   QiD rises with $D$ all the same, ever more slowly; what a decay would add, we have not measured.
# - **Whether another form fits better.** {cite:t}`kumar2025precision` take an exponential in the bits instead of a power. From 2 to 3 bits our QiD falls by a
#   factor of {glue:text}`step_32:.1f`, from 3 to 4 by {glue:text}`step_43:.1f` (medians). The power with our $\gamma$ says {glue:text}`power_32:.1f` and
#   {glue:text}`power_43:.1f`, an exponential the same factor twice. What is measured lies between.
# - **How far two training runs differ.** With one seed a size, $\tau$ holds the luck of the run and the faults of the law together.
# - **The far future.** {glue:text}`far_tokens:s` tokens are {glue:text}`far_factor:,.0f` times our most, and {glue:text}`far_paper:,.0f` times the paper's. For
#   {glue:text}`far_size:s` parameters at 4 bits the published law says {glue:text}`far_unified:.2f` nats there and the law of the paper's own table
#   {glue:text}`far_table:.2f`. Two laws by the same authors, from the same models, part by that much before any doubt about the form.
#
# ## Exercises
#
# **1.** By the law, how many bits make up for ten times the tokens?
#
# ```{admonition} Answer
# :class: dropdown
#
# QiD stays when $10^\beta = (P'/P)^\gamma$, so $P' = P \cdot 10^{\beta/\gamma}$. With our exponents that is a factor of
# {glue:text}`bits_for_ten:.2f`: from 3 bits to {glue:text}`bits_from_three:.1f`.
# ```
#
# **2.** How much larger must a model be to stand twice the tokens with the same QiD? And why should you not trust the answer?
#
# ```{admonition} Answer
# :class: dropdown
#
# $2^{\beta/\alpha}$ = {glue:text}`size_for_two:.1f` times. The quotient takes $\beta$ and $\alpha$ as constants. {numref}`fig-local` shows that both
# depend on where you stand: early in training size doesn't help at all.
# ```
#
# **3.** In the variance of {eq}`eq-variance`, what happens to the shares of information when $\tau$ grows without bound?
#
# ```{admonition} Answer
# :class: dropdown
#
# Each row's information on $\ln \mu$ is $\mu^2 / (\mathrm{se}^2 + \tau^2 \mu^2)$, which goes to $1/\tau^2$: the same for every row. The shares go to the
# shares of rows, one third for each bit width. At {glue:text}`share_2:.0%`, {glue:text}`share_3:.0%` and {glue:text}`share_4:.0%` the fit is nearly there.
# ```

# %% tags=["remove-cell"]
put("bits_for_ten", 10 ** (fit.law.beta / fit.law.gamma))
put("bits_from_three", 3 * 10 ** (fit.law.beta / fit.law.gamma))
put("size_for_two", 2 ** (fit.law.beta / fit.law.alpha))
