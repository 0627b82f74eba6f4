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
# # One law fits, but its exponents move
#
# *Does one formula hold for tokens, size and bits together?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** QiD goes as a power of the tokens with β = {glue:text}`beta:.2f` [{glue:text}`beta_low:.2f`,
#   {glue:text}`beta_high:.2f`] (95%, over runs and steps), but β differs with the size and with the window of tokens: no single
#   exponent holds.
# - **How sure.** {glue:text}`rows:d` rows of {glue:text}`runs:d` runs, up to {glue:text}`box_size_high:s` parameters and
#   {glue:text}`box_tokens_high:s` tokens, 2 to 4 bits, a constant learning rate. The law's typical miss is
#   {glue:text}`typical_error:.0%`. Beyond 4 bits it predicts too much.
# - **Use it for.** Summing up rows inside the box that was fitted. To predict, take the default law of
#   {doc}`chapter 9 <09-extrapolation>`.
# ```
#
# {term}`Intervals <interval>` run over training runs and steps for a law's parameters, over training runs for means. At 90% they are
# for a new training run. Ceilings, onsets, other methods and another text are in {doc}`appendix B <93-methods-and-the-law>`.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]


import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.analyse.fits.by_run import by_window, fit_by_run, leave_one_run_out
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.predictions import hold_out_largest
from helpers.analyse.fits.result import information_by_bits, measured_over_predicted
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.laws.byte_units import bytes_per_token, in_bytes
from helpers.analyse.laws.default import read_default
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.names import FORMS
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.questions.trends import bit_factors, trends
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.outcomes import KL, QID
from helpers.analyse.rows.second_runs import trunk_again
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    LATE_TOKENS,
    MOST_EPOCHS,
    on_trunk,
    rows_of_every_run,
    rows_of_seeds,
    study_rows,
)
from helpers.show.figures import comparisons, qid
from helpers.show.figures import fits as fit_figures
from helpers.show.glue import put, put_all
from helpers.show.style import count_label, use_house_style
from helpers.show.tables import fits_table
from helpers.show.touch.law import fitted_law
from helpers.table.files import read_table

use_house_style()


WIDTHS = list(FITTED_BITS)
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
# each at a constant learning rate, measured on a GPU. Like the paper we fit {glue:text}`box_bits_low:.0f` to {glue:text}`box_bits_high:.0f` bits; more
# bits were measured too, and what the law says of them comes below. We use the checkpoints beyond {glue:text}`early_tokens:s` tokens, up to
# {glue:text}`box_tokens_high:s`; what that choice does comes below as well. The training text has {glue:text}`unique_tokens:s` tokens, so that the last
# checkpoints have read it {glue:text}`epochs:.1f` times. Rows of up to {glue:text}`most_epochs:d` epochs over the text are used. With
# scales and zero points, 2, 3 and 4 bits take {glue:text}`stored_2:.2f`, {glue:text}`stored_3:.2f` and {glue:text}`stored_4:.2f` stored bits;
# at equal stored bits coarser groups would lose less ({doc}`chapter 10 <10-methods-and-texts>`).

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
study = degradation(study_rows(measured))
every_width = rows_of_fit(study, "gptq", GROUP_SIZE, symmetric=False)
every_width = every_width[every_width["epochs"] <= MOST_EPOCHS]
every_moment = every_width[every_width["bits"].isin(WIDTHS)]
rows = every_moment[every_moment[TOKENS_SEEN] > LATE_TOKENS]
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

# %% tags=["hide-input"]
fit, no_interval = fit_by_run(UnifiedLaw, data)
fitted, errors = fit.fitted_nats, data.outcome_se_nats
pure = information_by_bits(fitted, errors, data.bits, tau=0.0)

# %% tags=["remove-cell"]
assert not no_interval
put_all(early_tokens=count_label(LATE_TOKENS), most_epochs=MOST_EPOCHS, epochs=rows["epochs"].max())
put("unique_tokens", count_label(rows["unique_tokens"].iloc[0]))
put_all(**{f"stored_{bits:.0f}": one["effective_bits"].iloc[0] for bits, one in rows.groupby("bits")})
assert (rows.groupby("bits")["effective_bits"].nunique() == 1).all(), "the text gives one number a bit width"
assert rows["epochs"].max() > 1, "the text says that training text repeats"
put_all(
    tau=fit.tau, median_se=float(np.median(data.outcome_se_nats / fit.fitted_nats)), rows=fit.n_rows, runs=fit.n_runs
)
put_all(level=fit.level)
for bits, share in fit.information_by_bits.items():
    put(f"share_{bits:g}", share)
    put(f"pure_{bits:g}", pure[bits])
for name in EXPONENTS:
    one = fit.estimate(name)
    put(name, one.value)
    put(f"{name}_low", one.low)
    put(f"{name}_high", one.high)
    put(f"{name}_published", getattr(OUYANG_2024, name))
put_all(doubling=2**fit.law.beta, alpha_freedom=fit.degrees_of_freedom[fit.coefficient_names.index("alpha")])
assert fit.degrees_of_freedom.argmin() == fit.coefficient_names.index("alpha")
without = leave_one_run_out(fit)
for name in EXPONENTS:
    put(f"{name}_without_low", without[name].min())
    put(f"{name}_without_high", without[name].max())
inside = {name: fit.estimate(name).low <= getattr(OUYANG_2024, name) <= fit.estimate(name).high for name in EXPONENTS}
for law in (fit.law, OUYANG_2024):
    assert law.gamma > law.beta > law.alpha > 0, "bits weigh most, size least"
put("paper_growth", OUYANG_2024.validity.n_params[1] / data.n_params.max())
assert 1.5 < fit.law.alpha / OUYANG_2024.alpha < 2.5, "the alternative text says: about twice"
assert inside == {"beta": True, "alpha": False, "gamma": False}, "the text says which published exponents lie inside"

# %% [markdown]
# ```{dropdown} What the scatter τ does to the weight of rows
# Here $\tau$ is {glue:text}`tau:.3f`, and the median paired error is {glue:text}`median_se:.1%` of QiD. That decides which rows
# count. With $\tau$ each bit width has about a third of the information on the exponents: {glue:text}`share_2:.0%` at 2 bits,
# {glue:text}`share_3:.0%` at 3 and {glue:text}`share_4:.0%` at 4. Weighted by the paired errors alone, $\tau = 0$, the shares would be
# {glue:text}`pure_2:.0%`, {glue:text}`pure_3:.0%` and {glue:text}`pure_4:.0%`: large values are measured with a small *relative*
# error, and 2-bit rows would decide the exponents for all.
# ```
#
# ## The exponents
#
# The {glue:text}`rows:d` rows come from {glue:text}`runs:d` training runs only. Rows of one run share its luck, and rows of one step share
# its batches, so the intervals count runs and steps, not rows: a covariance clustered by run with a correction for small numbers (CR2), what
# clusters by step add to it, and a *t* distribution with at most {glue:text}`runs:d` − 1 degrees of freedom. For $\alpha$ there are {glue:text}`alpha_freedom:.1f`, as from half as many runs, since the sizes at both ends decide
# most of it.
#
# - $\beta$ = {glue:text}`beta:.2f`, {glue:text}`level:.0%` interval {glue:text}`beta_low:.2f` to {glue:text}`beta_high:.2f`, from
#   {glue:text}`box_tokens_low:s` to {glue:text}`box_tokens_high:s` tokens: another window has another $\beta$, as we shall see. Twice the
#   tokens multiply QiD by {glue:text}`doubling:.2f`.
# - $\alpha$ = {glue:text}`alpha:.2f`, {glue:text}`alpha_low:.2f` to {glue:text}`alpha_high:.2f`.
# - $\gamma$ = {glue:text}`gamma:.2f`, {glue:text}`gamma_low:.2f` to {glue:text}`gamma_high:.2f`.
#
# ```{dropdown} With each run left out in turn
# With each run left out in turn, $\beta$ goes from {glue:text}`beta_without_low:.2f` to {glue:text}`beta_without_high:.2f`, $\alpha$ from
# {glue:text}`alpha_without_low:.2f` to {glue:text}`alpha_without_high:.2f` and $\gamma$ from {glue:text}`gamma_without_low:.2f` to
# {glue:text}`gamma_without_high:.2f`.
# ```

# %% tags=["hide-input"]
by_bits = {bits: fit_by_run(OneBitWidthLaw, data.where(data.bits == bits))[0] for bits in WIDTHS}
fits = {"ours, all": fit} | {f"ours, {bits} bits": one for bits, one in by_bits.items()}
published = {"paper, all": OUYANG_2024} | {f"paper, {bits} bits": law for bits, law in OUYANG_2024_TABLE_1.items()}
fits_table(fits, published)

# %% tags=["remove-cell"]
put("fig_exponents", fit_figures.exponents_of_fits(fits, published))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_exponents
# :name: fig-exponents
# :alt: Exponents of four fits with intervals and of four published laws, in three panels for beta, alpha and gamma. The interval of our beta holds the published one; our alpha is about twice the published one.
#
# Our exponents (dots, {glue:text}`level:.0%` intervals by run and step) beside the published ones (diamonds). Only the published β lies within our interval of all bits.
# ```
#
# The published exponents are $\beta$ = {glue:text}`beta_published:.2f`, $\alpha$ = {glue:text}`alpha_published:.2f` and
# $\gamma$ = {glue:text}`gamma_published:.2f`. Ours agree in sign and in order: bits weigh most, size least. The published $\beta$ lies in our
# interval; $\alpha$ and $\gamma$ don't. This is no refutation. The paper's largest model is {glue:text}`paper_growth:,.0f` times as large as ours. Its models
# read another kind of text with another vocabulary, and were most likely rounded in groups of 128 weights.
#
# ### KL, and every run
#
# QiD is a difference of two losses. KL, the divergence of the rounded model's predictions from the 16-bit model's, is the second outcome:
# less noisy, never negative ({doc}`chapter 12 <12-why>` says why). And there are more runs at the same constant rate: eight sizes trained a
# second time, and other seeds of three sizes ({doc}`chapter 11 <11-noise-floor>`). The same law, fitted to each:

# %% tags=["hide-input"]
again = trunk_again(measured)
again = again[again["bits"].isin(WIDTHS)]
late_runs = rows_of_fit(degradation(rows_of_every_run(measured)), "gptq", GROUP_SIZE, False, tokens_above=LATE_TOKENS)
late_runs = late_runs[late_runs["bits"].isin(WIDTHS)]
reseeded = rows_of_seeds(late_runs)
every_run = pd.concat([rows, again, reseeded[~on_trunk(reseeded)]], ignore_index=True)
by_outcome = {
    f"{outcome.symbol}, {name}": fit_by_run(UnifiedLaw, FitData.from_table(table, outcome))[0]
    for name, table in (("one run a size", rows), ("every run", every_run))
    for outcome in (QID, KL)
}

# %% tags=["remove-input"]
fits_table(by_outcome)

# %% tags=["remove-cell"]
kl_fit, pooled_fit, pooled_kl = (by_outcome[name] for name in list(by_outcome)[1:])
stored = read_fits(outcome=KL).fits["power"]
assert np.allclose(stored.law.coefficients, kl_fit.law.coefficients, rtol=1e-3), "results/fits.json says the same"
for short, one in (("kl", kl_fit), ("pooled", pooled_fit), ("pooled_kl", pooled_kl)):
    for name in EXPONENTS:
        put_all(**{f"{short}_{name}": one.estimate(name).value, f"{short}_{name}_low": one.estimate(name).low})
        put_all(**{f"{short}_{name}_high": one.estimate(name).high})
        own = fit.estimate(name)
        assert own.low < one.estimate(name).value < own.high, "the text says: inside the intervals above"
put_all(kl_tau=kl_fit.tau, pooled_rows=pooled_fit.n_rows, pooled_runs=pooled_fit.n_runs)

# %% [markdown]
# In KL $\beta$ is {glue:text}`kl_beta:.2f` [{glue:text}`kl_beta_low:.2f`, {glue:text}`kl_beta_high:.2f`], $\alpha$
# {glue:text}`kl_alpha:.2f` and $\gamma$ {glue:text}`kl_gamma:.2f`; with all {glue:text}`pooled_rows:d` rows of {glue:text}`pooled_runs:d`
# runs $\beta$ is {glue:text}`pooled_beta:.2f` [{glue:text}`pooled_beta_low:.2f`, {glue:text}`pooled_beta_high:.2f`] in QiD and
# {glue:text}`pooled_kl_beta:.2f` in KL (intervals over runs and steps). All lie inside the intervals above. The spread $\tau$ is no smaller
# in KL, {glue:text}`kl_tau:.3f`: it is the law's own miss, not noise.
#
# ## How well does it describe?

# %% tags=["remove-cell"]
clear = data.outcome_nats > 3 * data.outcome_se_nats
log_errors = np.log(fit.fitted_nats[clear] / data.outcome_nats[clear])
put("typical_error", float(np.expm1(np.sqrt(np.mean(log_errors**2)))))
put("decades", float(np.log10(data.outcome_nats.max() / data.outcome_nats.min())))
put_all(worst_over=float(np.exp(log_errors.max())), worst_under=float(np.exp(-log_errors.min())))
over_law = rows.assign(ratio=data.outcome_nats / fit.fitted_nats).pivot_table("ratio", N_PARAMS, TOKENS_SEEN)
back = (over_law.iloc[:, 0] < 1) & (over_law.max(axis=1) > 1) & (over_law.iloc[:, -1] < 1)
put_all(sizes_back=int(back.sum()), back_below=count_label(over_law.index[~back].min()))
put_all(top_ratio=over_law.max(axis=None), top_size=count_label(over_law.max(axis=1).idxmax()))
put_all(small_first=over_law.iloc[0, 0], small_top=over_law.iloc[0].max(), small_last=over_law.iloc[0, -1])
put_all(large_first=over_law.iloc[-1, 0], large_last=over_law.iloc[-1, -1])
large_3 = (data.outcome_nats / fit.fitted_nats)[(data.n_params == data.n_params.max()) & (data.bits == 3)]
put("large_3", large_3.max())
of_largest = rows[(rows[N_PARAMS] == rows[N_PARAMS].max()) & (rows["bits"] == 3)].set_index(TOKENS_SEEN)
peak = of_largest.index[large_3.argmax()]
put("large_3_tokens", count_label(peak))
two = every_width[every_width[TOKENS_SEEN] == peak].pivot(index="bits", columns=N_PARAMS, values="kl_nats").iloc[:, -2:]
peak_ratio = two.iloc[:, 1] / two.iloc[:, 0]
put_all(**{f"peak_{bits}": peak_ratio[bits] for bits in (3, 4, 8)})
assert peak_ratio[3] > 1.2 * peak_ratio[[4, 5, 6, 8]].max(), "the text says: a peak at 3 bits alone"
second = (
    again[(again[N_PARAMS] == again[N_PARAMS].max()) & (again["bits"] == 3)]
    .set_index(TOKENS_SEEN)["qid_nats"]
    .sort_index()
)
put_all(second_large_3=second.iloc[-1] / of_largest.loc[second.index[-1], "qid_nats"])
put("second_large_tokens", count_label(second.index[-1]))
assert large_3.max() > over_law.iloc[-1].max(), "the text says: at 3 bits farther"
assert (over_law.iloc[:, 0] < 1).all(), "the text says that every size begins below the law"
assert back.is_monotonic_decreasing, "the small sizes fall back, the large ones don't"
assert (over_law.iloc[:, -1][~back] > 1).all()
put("fig_fitted", qid.measured_against_fitted(fit).figure)
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
# :alt: Measured over fitted QiD against training tokens, three panels for 2, 3 and 4 bits, one line for each size. All lines begin below one, those of the smallest models far below. Those of small models rise above one and bend down again; those of the largest models end highest.
#
# What the law leaves over has a pattern: every size begins below the law, and small models cross it and fall back. The band is ± τ.
# ```
#
# The points of {numref}`fig-residuals` don't scatter about one. They run along lines, and the lines of different sizes cross. The smallest model begins at
# {glue:text}`small_first:.2f` of the law, climbs to {glue:text}`small_top:.2f` and ends at {glue:text}`small_last:.2f`; the largest goes from
# {glue:text}`large_first:.2f` to {glue:text}`large_last:.2f` (means over the bit widths). At 3 bits it climbs to {glue:text}`large_3:.2f` at
# {glue:text}`large_3_tokens:s` tokens, but that peak is one run's at this width: there KL over that of the next size is
# {glue:text}`peak_3:.2f` at 3 bits, {glue:text}`peak_4:.2f` at 4 and {glue:text}`peak_8:.2f` at 8, and a second run has
# {glue:text}`second_large_3:.2f` of this one's QiD at {glue:text}`second_large_tokens:s` tokens, where it ends. A model of {glue:text}`top_size:s` parameters strays farthest upwards, to
# {glue:text}`top_ratio:.2f`. All {glue:text}`sizes_back:d` sizes below
# {glue:text}`back_below:s` parameters end below the law, the others above it. The law is wrong in a
# systematic way, far beyond the paired errors.
#
# ## Where it breaks: the exponents are not constant

# %% tags=["hide-input"]
first_epoch, later_epochs = rows[rows["epochs"] <= 1], rows[rows["epochs"] > 1]
in_tokens, in_first, in_later = (
    trends(part, TOKENS_SEEN, [N_PARAMS, "bits"]) for part in (rows, first_epoch, later_epochs)
)
in_size = trends(every_moment, N_PARAMS, [TOKENS_SEEN, "bits"])
in_size["exponent"] = -in_size["exponent"]

# %% tags=["remove-cell"]
figure, panels = plt.subplots(1, 3, figsize=(11.5, 3.8))
of_tokens = "exponent of D, β (no unit)"
for axes, part, title in zip(panels, (in_first, in_later), ("first epoch", "later epochs"), strict=False):
    comparisons.exponents(part, N_PARAMS, of_tokens, axes).get_legend().remove()
    axes.set(title=title, ylim=(0, 1.05 * in_first["exponent"].max()))
comparisons.exponents(in_size, TOKENS_SEEN, "exponent of N, α (no unit)", panels[2]).set_title("one number of tokens")
put("fig_local", figure)
plt.close("all")
mean_by_size, first_by_size, later_by_size = (
    part.groupby(N_PARAMS)["exponent"].mean() for part in (in_tokens, in_first, in_later)
)
mean_by_tokens = in_size.groupby(TOKENS_SEEN)["exponent"].mean()
for name, part in (("beta", mean_by_size), ("first", first_by_size), ("later", later_by_size)):
    put(f"{name}_smallest", part.iloc[0])
    put(f"{name}_largest", part.iloc[-1])
put_all(beta_lowest=mean_by_size.min(), beta_lowest_size=count_label(mean_by_size.idxmin()))
put_all(smallest=count_label(mean_by_size.index[0]), largest=count_label(mean_by_size.index[-1]))
put_all(alpha_first=mean_by_tokens.iloc[0], alpha_most=mean_by_tokens.max(), alpha_end=mean_by_tokens.iloc[-1])
put_all(first_tokens=count_label(mean_by_tokens.index[0]), most_tokens=count_label(mean_by_tokens.idxmax()))
put("last_tokens", count_label(mean_by_tokens.index[-1]))
slower = mean_over_runs(first_by_size - later_by_size)
put_all(slower=slower["mean"], slower_low=slower["low"], slower_high=slower["high"])
put("slower_sizes", int((first_by_size > later_by_size).sum()))
spread_bits = in_tokens.pivot(index=N_PARAMS, columns="bits", values="exponent")
put("beta_bits_spread", (spread_bits.max(axis=1) - spread_bits.min(axis=1)).mean())
put("beta_size_spread", mean_by_size.max() - mean_by_size.min())
beta_step = mean_over_runs(spread_bits[2] - spread_bits[4])
put_all(beta_step=beta_step["mean"], beta_step_low=beta_step["low"], beta_step_high=beta_step["high"])
put("beta_step_sizes", int((spread_bits[2] > spread_bits[4]).sum()))
assert (spread_bits[2] > spread_bits[4]).mean() > 0.7, "the text says: at most sizes"
assert beta_step["low"] > 0
assert mean_by_size.min() < min(mean_by_size.iloc[0], mean_by_size.iloc[-1]), "lowest between the two ends"
assert first_by_size.iloc[0] > 1.5 * first_by_size.iloc[-1], "in the first epoch small models rise more steeply"
assert later_by_size.iloc[0] < later_by_size.iloc[-1], "later it is the other way round"
assert first_by_size.iloc[-1] < later_by_size.iloc[-1], "the text says: in the largest it rises"
assert slower["low"] > 0
assert mean_by_tokens.iloc[0] < 0 < mean_by_tokens.iloc[-1] < mean_by_tokens.max()
for bits, one in by_bits.items():
    put(f"beta_at_{bits}", one.law.beta)
    put(f"alpha_at_{bits}", one.law.alpha)
assert by_bits[2].law.beta > by_bits[3].law.beta > by_bits[4].law.beta
assert OUYANG_2024_TABLE_1[2].beta < min(OUYANG_2024_TABLE_1[3].beta, OUYANG_2024_TABLE_1[4].beta)
joint = [(fit.estimate(name).low, fit.estimate(name).high) for name in ("beta", "alpha")]
assert all(
    joint[0][0] < one.law.beta < joint[0][1] and joint[1][0] < one.law.alpha < joint[1][1] for one in by_bits.values()
)

# %% [markdown]
# ```{glue:figure} fig_local
# :name: fig-local
# :alt: Three panels, one line for each of three bit widths. Left, the exponent of tokens against size within the first epoch, highest for the smallest models. Middle, the same in later epochs, lower for small models and rising with size. Right, the exponent of size against tokens, rising from below zero to about one half and falling to 0.4 at the end.
#
# Left and middle: the exponent of $D$, fitted for one size and bit width at a time, beyond {glue:text}`early_tokens:s` tokens in the first epoch over the
# text and in later ones. Right: the exponent of $N$, one number of tokens at a time. A separable law would draw level lines.
# ```
#
# Fit a straight line in logarithms to one size at a time. Beyond {glue:text}`early_tokens:s` tokens the exponent of $D$ is
# {glue:text}`beta_smallest:.2f` for the smallest model ({glue:text}`smallest:s` parameters), {glue:text}`beta_lowest:.2f` for one of
# {glue:text}`beta_lowest_size:s` and {glue:text}`beta_largest:.2f` for the largest ({glue:text}`largest:s`); means over the bit widths. But these lines
# are not straight either ({numref}`fig-local`, left and middle). Within the first epoch over the text the smallest model has
# {glue:text}`first_smallest:.2f` and the largest {glue:text}`first_largest:.2f`: the QiD of small models rises faster. In later epochs it is the other
# way round, {glue:text}`later_smallest:.2f` and {glue:text}`later_largest:.2f`. The exponent falls by {glue:text}`slower:.2f` between the two (mean
# over the runs, {glue:text}`level:.0%` interval {glue:text}`slower_low:.2f` to {glue:text}`slower_high:.2f`), in {glue:text}`slower_sizes:d` of
# {glue:text}`runs:d` sizes, and rises in the largest. "Later" is two things here: more tokens, and text that was read before. These runs can't tell
# them apart, since all begin to repeat at the same moment.
#
# Or fit one number of tokens at a time (right). The exponent of $N$ goes from {glue:text}`alpha_first:.2f` at {glue:text}`first_tokens:s` tokens to
# {glue:text}`alpha_most:.2f` at {glue:text}`most_tokens:s`, and is {glue:text}`alpha_end:.2f` at {glue:text}`last_tokens:s`. A separable law would draw level lines
# in all three panels.
#
# ```{dropdown} Do bits separate from tokens and size?
# In the bits the law does better, though not perfectly. The laws of one bit width have $\beta$ of {glue:text}`beta_at_2:.2f`, {glue:text}`beta_at_3:.2f` and
# {glue:text}`beta_at_4:.2f` and $\alpha$ of {glue:text}`alpha_at_2:.2f`, {glue:text}`alpha_at_3:.2f` and {glue:text}`alpha_at_4:.2f` for 2, 3 and 4
# bits, all within the intervals of the joint fit. Compared within each run the difference is there all the same: at {glue:text}`beta_step_sizes:d` of
# {glue:text}`runs:d` sizes 2 bits have a higher $\beta$ than 4 bits, by {glue:text}`beta_step:.2f` on average ({glue:text}`beta_step_low:.2f` to {glue:text}`beta_step_high:.2f`). The paper's own table goes
# another way ({doc}`chapter 6 <06-published-tables>`): there 2 bits have the lowest $\beta$. Between bit widths the slope in $D$ of one size differs by
# {glue:text}`beta_bits_spread:.2f` on average, between sizes by up to {glue:text}`beta_size_spread:.2f`. It is $D$ and $N$ above all that don't separate.
# ```
#
# ## How much hangs on where the data begin?

# %% tags=["hide-input"]
cuts = [0, 16e6, 33e6, LATE_TOKENS, 120e6, 240e6, 480e6]
names = ["all", *(f"D > {count_label(cut)}" for cut in cuts[1:])]
parts = {name: every_moment[every_moment[TOKENS_SEEN] > cut] for name, cut in zip(names, cuts, strict=True)}
parts |= {f"first epoch, D > {count_label(LATE_TOKENS)}": first_epoch}
cut_fits = {name: fit_by_run(UnifiedLaw, FitData.from_table(part))[0] for name, part in parts.items()}
windows, kl_windows = (by_window(UnifiedLaw, FitData.from_table(rows, outcome)) for outcome in (QID, KL))
fits_table(cut_fits)

# %% tags=["remove-cell"]
put("fig_cuts", fit_figures.exponents_of_fits(cut_fits, {"paper": OUYANG_2024}))
plt.close("all")
by_cut = [cut_fits[name] for name in names]
one_epoch = cut_fits[list(cut_fits)[-1]]
late_cut, late = cuts[4], by_cut[4]
put_all(tau_all=by_cut[0].tau, beta_all=by_cut[0].law.beta, beta_most=max(one.law.beta for one in by_cut))
put_all(beta_latest=by_cut[-1].law.beta, tau_latest=by_cut[-1].tau, latest_cut=count_label(cuts[-1]))
put_all(late_cut=count_label(late_cut), tau_late=late.tau)
for label, one in (("late", late), ("one_epoch", one_epoch)):
    put(f"beta_{label}", one.law.beta)
    put(f"beta_{label}_low", one.estimate("beta").low)
    put(f"beta_{label}_high", one.estimate("beta").high)
for name in ("alpha", "gamma"):
    put(f"{name}_cut_low", min(getattr(one.law, name) for one in by_cut))
    put(f"{name}_cut_high", max(getattr(one.law, name) for one in by_cut))
for name, window in zip(("first", "middle", "last"), windows.to_dict("records"), strict=True):
    put_all(**{f"window_{name}": window["estimate"], f"window_{name}_low": window["low"]})
    put_all(**{f"window_{name}_high": window["high"], f"window_{name}_to": count_label(window["high_tokens"])})
put_all(**dict(zip((f"window_kl_{name}" for name in ("first", "middle", "last")), kl_windows["estimate"], strict=True)))
taus, betas, gammas = (
    [value(one) for one in by_cut]
    for value in (lambda one: one.tau, lambda one: one.law.beta, lambda one: one.law.gamma)
)
assert taus == sorted(taus, reverse=True)
assert betas[1:] == sorted(betas[1:], reverse=True), "beyond the second cut beta only falls"
assert betas[0] < betas[1]
assert gammas[1:] == sorted(gammas[1:]), "beyond the second cut gamma only climbs"
assert max(gammas) < OUYANG_2024.gamma
assert late.law.beta < OUYANG_2024.beta < one_epoch.law.beta
assert late.law.beta < one_epoch.estimate("beta").low < late.estimate("beta").high, "the text says: just overlap"
paper_ratio = OUYANG_2024.validity.tokens[1] / OUYANG_2024.validity.n_params[0]
put("paper_ratio", paper_ratio)
assert (data.tokens / data.n_params).max() > paper_ratio

# %% [markdown]
# ```{glue:figure} fig_cuts
# :name: fig-cuts
# :alt: Exponents with intervals of fits that begin at later and later tokens, of one fit to the first epoch, and the published law. Beta rises, then falls by about a third; alpha and gamma move little.
#
# Where the data begin decides β; α and γ move less. Dots: our fits with {glue:text}`level:.0%` intervals by run and step; diamond: published.
# ```
#
# With every checkpoint from the first on, $\tau$ is {glue:text}`tau_all:.2f`: the law is far off. Later beginnings make it fit better, down
# to {glue:text}`tau_late:.2f` beyond {glue:text}`late_cut:s` tokens and {glue:text}`tau_latest:.2f` beyond {glue:text}`latest_cut:s`. But $\beta$ goes along. It is
# {glue:text}`beta_all:.2f` for all, {glue:text}`beta_most:.2f` at most, {glue:text}`beta_late:.2f` ({glue:text}`beta_late_low:.2f` to
# {glue:text}`beta_late_high:.2f`) beyond {glue:text}`late_cut:s` tokens and {glue:text}`beta_latest:.2f` at the latest cut. $\alpha$ stays between
# {glue:text}`alpha_cut_low:.2f` and {glue:text}`alpha_cut_high:.2f`, $\gamma$ goes from {glue:text}`gamma_cut_low:.2f` to
# {glue:text}`gamma_cut_high:.2f`. And it matters where the data end. The rows of the first epoch alone, beyond {glue:text}`early_tokens:s` tokens, give a $\beta$ of
# {glue:text}`beta_one_epoch:.2f` ({glue:text}`beta_one_epoch_low:.2f` to {glue:text}`beta_one_epoch_high:.2f`); the two intervals just overlap.
#
# ```{dropdown} Three windows of tokens
# In three windows with equally many checkpoints, up to {glue:text}`window_first_to:s`, {glue:text}`window_middle_to:s` and
# {glue:text}`window_last_to:s` tokens, $\beta$ is {glue:text}`window_first:.2f` [{glue:text}`window_first_low:.2f`,
# {glue:text}`window_first_high:.2f`], {glue:text}`window_middle:.2f` [{glue:text}`window_middle_low:.2f`,
# {glue:text}`window_middle_high:.2f`] and {glue:text}`window_last:.2f` [{glue:text}`window_last_low:.2f`,
# {glue:text}`window_last_high:.2f`] (over runs); in KL {glue:text}`window_kl_first:.2f`, {glue:text}`window_kl_middle:.2f` and
# {glue:text}`window_kl_last:.2f`.
# ```
#
# So the interval of $\beta$ above is conditional on the window. In most sizes QiD grows fast, then more slowly: a power law is a tangent
# to a curve that bends. The published $\beta$ = {glue:text}`beta_published:.2f` lies between our early and our late slopes, so that its place in our interval says
# little. Nor can one say that the paper simply stands further along such a curve: in tokens per parameter its box ends at
# {glue:text}`paper_ratio:,.0f`, our data at {glue:text}`ratio_high:,.0f`.
#
# ## Predicting the largest size

# %% tags=["hide-input"]
hold_out = hold_out_largest(UnifiedLaw, data)
scores = hold_out.scores()

# %% tags=["remove-cell"]
put("fig_held_out", qid.measured_against_held_out(hold_out).figure)
plt.close("all")
put_all(held_ratio=np.exp(scores["log_bias"]), held_rms=np.expm1(scores["log_rms"]), held_coverage=scores["coverage"])
put("held_runs", hold_out.fit.n_runs)
put("held_kl_rms", np.expm1(hold_out_largest(UnifiedLaw, FitData.from_table(rows, KL)).scores()["log_rms"]))
held = hold_out.data
above, below = held.outcome_nats > hold_out.high_nats, held.outcome_nats < hold_out.low_nats
put_all(held_above=int(above.sum()), held_below=int(below.sum()), held_from=count_label(held.tokens[above].min()))
assert (held.bits[above] == 3).all(), "the text says: all of 3 bits"
assert held.tokens[below].max() == held.tokens.min(), "and of the first checkpoint"
put_all(held_level=hold_out.level, held_rows=scores["n_rows"])
put("held_jump", data.n_params.max() / hold_out.fit.data.n_params.max())
put("held_width", float(np.median(hold_out.high_nats / hold_out.predicted_nats)) - 1)
assert abs(scores["log_bias"]) < 0.5 * scores["log_rms"], "the text says: no lean to either side to speak of"

# %% [markdown]
# ```{glue:figure} fig_held_out
# :name: fig-held-out
# :alt: Measured QiD of the largest size against its prediction from the smaller ones, with wide intervals; points begin below the line of equality in each bit width and end above it, those of 3 bits beyond their intervals.
#
# The smaller sizes predict the largest on average; its last rows, those of 3 bits above all, lie above the intervals for a new run.
# ```
#
# Without the largest model, the law predicts its {glue:text}`held_rows:d` rows with a typical error of {glue:text}`held_rms:.0%`; on average the
# prediction over what was measured is {glue:text}`held_ratio:.2f`. The model is {glue:text}`held_jump:.1f` times as large as the next. Of the
# {glue:text}`held_level:.0%` intervals for a new run {glue:text}`held_coverage:.0%` hold what was measured, though they reach
# {glue:text}`held_width:.0%` above the prediction: that wide is an honest interval from {glue:text}`held_runs:d` runs. From {glue:text}`held_from:s` tokens on
# rows above them number {glue:text}`held_above:d`, all of 3 bits; those below, of the first checkpoint, {glue:text}`held_below:d`. In KL the typical
# error is {glue:text}`held_kl_rms:.0%`. A step in size succeeds on average, then, but not at the late end of this one run
# ({doc}`chapter 9 <09-extrapolation>` has its further runs).
#
# ## Bits that the fit has not seen

# %% tags=["hide-input"]
late_widths = every_width[every_width[TOKENS_SEEN] > LATE_TOKENS]
over_widths = measured_over_predicted(fit.law, FitData.from_table(late_widths))
means = {bits: mean_over_runs(ratios) for bits, ratios in over_widths.iterrows()}
pd.DataFrame(means).T[["mean", "low", "high"]].rename("{:.0f} bits".format).map("{:.2f}".format)

# %% tags=["remove-cell"]
put("fig_widths", fit_figures.ratios_by_bits(over_widths, fit.law.validity.bits).figure)
plt.close("all")
unseen = over_widths.drop(index=WIDTHS)
put("unseen_widths", ", ".join(f"{bits:g}" for bits in unseen.index))
for bits in (5, 6, 8):
    put(f"over_{bits}", means[bits]["mean"])
    put(f"over_{bits}_low", means[bits]["low"])
    put(f"over_{bits}_high", means[bits]["high"])
assert list(unseen.index) == [5, 6, 8]
put_all(over_3=means[3]["mean"], over_4=means[4]["mean"])
assert means[3]["low"] > 1 > means[4]["high"], "the text says that the bend begins inside the range that was fitted"
assert (unseen < 1).to_numpy().all(), "the text says: in every run"
assert unseen.mean(axis=1).is_monotonic_decreasing
eight = late_widths[late_widths["bits"] == 8]
put_all(eight_rows=len(eight), eight_clear=int((eight["qid_nats"] > 2 * eight["qid_se_nats"]).sum()))
put("eight_below", int((eight["qid_nats"] <= 0).sum()))
factors = bit_factors(late_widths).mean()
for few, many in ((4, 5), (5, 6)):
    put(f"step_{few}{many}", factors[few, many])
    put(f"power_{few}{many}", (many / few) ** fit.law.gamma)
for few, many in ((4, 5), (5, 6)):
    grid = ((2**many - 1) / (2**few - 1)) ** 2
    put(f"grid_{few}{many}", grid)
    assert abs(factors[few, many] / grid - 1) < 0.1, "the text says: close to what is measured"
assert factors[2, 3] > factors[3, 4] > factors[4, 5] > factors[5, 6]

# %% [markdown]
# ```{glue:figure} fig_widths
# :name: fig-widths
# :alt: Measured over predicted QiD against bit width from 2 to 8, one line for each size. Within the shaded range of 2 to 4 bits the lines lie about one; beyond it they fall together towards zero.
#
# Beyond the bits that were fitted (shaded) the law predicts too much, in every run. Each point: a run's sum of measured QiD over the sum of what the law says.
# ```
#
# The same checkpoints were rounded to {glue:text}`unseen_widths:s` bits with the same groups and grids. At 5 bits the measured QiD is
# {glue:text}`over_5:.2f` ({glue:text}`over_5_low:.2f` to {glue:text}`over_5_high:.2f`) of what the law says, at 6 bits {glue:text}`over_6:.2f`
# ({glue:text}`over_6_low:.2f` to {glue:text}`over_6_high:.2f`) and at 8 bits {glue:text}`over_8:.2f` ({glue:text}`over_8_low:.2f` to
# {glue:text}`over_8_high:.2f`): means over the runs with {glue:text}`level:.0%` intervals of that mean. At 8 bits there is little left to measure. Only
# {glue:text}`eight_clear:d` of {glue:text}`eight_rows:d` rows exceed two paired errors, and {glue:text}`eight_below:d` lie at or below zero.
#
# A power of $P$ falls too slowly, and the bend begins inside the range that was fitted: the rows of 3 bits stand at {glue:text}`over_3:.2f` of the law, those of
# 4 bits at {glue:text}`over_4:.2f`. From 4 to 5 bits QiD is divided by {glue:text}`step_45:.1f` and from 5 to 6 by {glue:text}`step_56:.1f`; the power says
# {glue:text}`power_45:.1f` and {glue:text}`power_56:.1f`. The step of a grid is its range over $2^P - 1$, and its square falls by
# {glue:text}`grid_45:.1f` and {glue:text}`grid_56:.1f`: close to what is measured, as if a small error of rounding cost loss in proportion to its square.
# KL follows that square up to 8 bits ({doc}`chapter 4 <04-degradation>`, derived in {doc}`chapter 12 <12-why>`). Whoever
# needs 5 bits or more should not take them from a law of 2 to 4.
#
# ## The published law on our rows

# %% tags=["remove-cell"]
ours = data.outcome_nats / OUYANG_2024.predict(data.tokens, data.n_params, data.bits)
put_all(ours_low=ours.min(), ours_median=float(np.median(ours)), ours_high=ours.max())
assert data.n_params.max() < OUYANG_2024.validity.n_params[0]
assert data.tokens.max() < OUYANG_2024.validity.tokens[0]
put("paper_tokens_low", count_label(OUYANG_2024.validity.tokens[0]))
put("paper_size_low", count_label(OUYANG_2024.validity.n_params[0]))

# %% [markdown]
# How would the published law, constants and all, do on our rows? Measured over predicted QiD has a median of {glue:text}`ours_median:.2f` and goes from
# {glue:text}`ours_low:.2f` to {glue:text}`ours_high:.2f`. Every one of these rows is outside the box in which that law was fitted, which begins at
# {glue:text}`paper_size_low:s` parameters and {glue:text}`paper_tokens_low:s` tokens.
#
# {doc}`Chapter 6 <06-published-tables>` computes the paper's own table again.
#
# ## Try it
#
# Choose tokens and size inside the box that was fitted. The lines are the law *{glue:text}`default_law:s`*, which a written rule chooses ({doc}`chapter 9 <09-extrapolation>`),
# the bands its {glue:text}`held_level:.0%` interval for a new training run.

# %% tags=["hide-input"]
default, _ = read_default()
fitted_law(fit_by_run(FORMS[default.law], data)[0], hold_out.level)

# %% tags=["remove-cell"]
put_all(default_law=default.name, default_reason=default.reason)
box = fit.law.validity
of_bytes = in_bytes(fit.law, bytes_per_token(rows))
put_all(token_bytes=bytes_per_token(rows), k_tokens=fit.law.k, k_bytes=of_bytes.k)
put_all(box_tokens_low=count_label(box.tokens[0]), box_tokens_high=count_label(box.tokens[1]))
put_all(box_size_low=count_label(box.n_params[0]), box_size_high=count_label(box.n_params[1]))
put_all(box_bits_low=box.bits[0], box_bits_high=box.bits[1], ratio_low=float((data.tokens / data.n_params).min()))
put("ratio_high", float((data.tokens / data.n_params).max()))

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
# Tokens differ between tokenizers; bytes don't. One token of our text has {glue:text}`token_bytes:.3f` bytes (measured on the held-out files; that training text
# has the same is assumed). With $D$ in bytes and QiD in nats a byte, $k$ is {glue:text}`k_bytes:.2f` instead of {glue:text}`k_tokens:.2f` and the exponents stay.
#
# One architecture, one kind of text read up to {glue:text}`epochs:.1f` times, a constant learning rate, GPTQ with group 32 and an asymmetric grid.
#
# ## What this does not show
#
# - **What decay of the learning rate does.** Our law is fitted at a constant rate only. A law fitted along one decaying run mixes up $D$ with
#   the rate ({doc}`chapter 7 <07-tokens-or-decay>`).
# - **Whether another form fits better.** {cite:t}`kumar2025precision` take an exponential in the bits instead of a power, and no power of $D$
#   bends as these data do. {doc}`Chapter 9 <09-extrapolation>` lets the forms compete.
# - **Repeated text.** Beyond {glue:text}`unique_tokens:s` tokens the text is read again, at every size at the same moment. What a corpus without end would give
#   there, these rows don't say.
# - **How far two training runs differ.** {doc}`Chapter 11 <11-noise-floor>` measures it; $\tau$ holds the luck of the run and the faults of
#   the law together.
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
put_all(bits_for_ten=10 ** (fit.law.beta / fit.law.gamma), bits_from_three=3 * 10 ** (fit.law.beta / fit.law.gamma))
put("size_for_two", 2 ** (fit.law.beta / fit.law.alpha))

# %% [markdown]
# **4.** *(code, checks itself)* Fit the unified law as a plane: regress $\ln$ QiD on $\ln D$, $\ln N$ and $\ln P$ over all rows of `late()`, by
# least squares without weights. What is $\gamma$? Why is it not quite that of the table above?

# %%
from helpers.teach.checking import check
from helpers.teach.data import late

answer = None  # γ, no unit
check("5.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
rows = late()
logs = np.log(rows[["tokens_seen", "n_params_non_embedding", "bits"]].to_numpy(float))
plane, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(rows)), logs]), np.log(rows["qid_nats"]), rcond=None)
check("5.4", -plane[3])  # the fit above gives rows with large errors less weight; this one doesn't
