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
# - **How sure.** {glue:text}`runs:d` runs, up to {glue:text}`box_size_high:s` parameters and
#   {glue:text}`box_tokens_high:s` tokens, 2 to 4 bits, a constant learning rate. The law's typical miss is
#   {glue:text}`typical_error:.0%`. Beyond 4 bits it predicts too much.
# - **Use it for.** Summing up rows inside the box that was fitted. To predict, take the default law of
#   {doc}`chapter 9 <09-extrapolation>`.
# ```
#
# {term}`Intervals <interval>` run over training runs and steps for a law's parameters, over training runs for means. Other outcomes,
# methods, texts and bit widths are in {doc}`appendix B <93-methods-and-the-law>`.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.laws.default import read_default
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.names import FORMS
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.show.figures import fits as fit_figures
from helpers.show.glue import put_all
from helpers.show.numbers.law import unified_law
from helpers.show.style import use_house_style
from helpers.show.touch.law import fitted_law
from helpers.table.files import read_table

use_house_style()

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
# have no unit and can be read at once: twice the tokens multiply QiD by $2^\beta$. The factor $k$ takes the unit that is left. It belongs
# to one token, one parameter and one bit, where no model is, so $k$ alone tells nothing.
#
# The law is *separable*. It says that tokens act in the same way on every model and at every bit width. That is a strong claim,
# and this chapter tests it.
#
# ## What is fitted
#
# The rows are those of {doc}`chapter 4 <04-degradation>`: GPTQ in asymmetric groups of 32, one training run a size at a constant learning
# rate. Like the paper we fit {glue:text}`box_bits_low:.0f` to {glue:text}`box_bits_high:.0f` bits, over the checkpoints from
# {glue:text}`early_tokens:s` to {glue:text}`box_tokens_high:s` tokens.

# %%
measured = read_table("results/measurements.parquet").to_pandas()
every_width = unified_law.at_every_width(measured)  # at a constant rate
rows = unified_law.fitted_rows(every_width)  # 2 to 4 bits, late checkpoints
fit, _ = fit_by_run(UnifiedLaw, FitData.from_table(rows))

# %% tags=["remove-cell"]
fits = unified_law.fits_of(every_width)
published = {"paper, all": OUYANG_2024} | {f"paper, {bits} bits": law for bits, law in OUYANG_2024_TABLE_1.items()}
ours = {"ours, all": fits.whole} | {f"ours, {bits} bits": one for bits, one in fits.by_bits.items()}
put_all(
    **unified_law.numbers(fits),
    fig_exponents=fit_figures.exponents_of_fits(ours, published),
    fig_residuals=fit_figures.residuals_against_tokens(fits.whole),
    fig_local=fit_figures.local_exponents(unified_law.local_exponents(rows, unified_law.fitted_rows(every_width, 0))),
)
plt.close("all")

# %% [markdown]
# A fit needs to know how far each row may stray. The paired error $\mathrm{se}_i$ says how well QiD is measured on these documents, but not
# how far a training run strays from the law, nor how wrong the law is. So we take
#
# $$
# \Delta L_i \sim \mathcal{N}\!\left(\mu_i,\; \mathrm{se}_i^2 + \tau^2 \mu_i^2\right),
# $$ (eq-variance)
#
# where $\mu_i$ is what the law says for row $i$. The relative spread $\tau$ (no unit) is estimated together with the exponents. QiD stays on
# its own scale, so that a value at or below zero stays in the data.
#
# ```{dropdown} What the scatter τ does to the weight of rows
# With $\tau$ each bit width has about
# a third of the information on the exponents: {glue:text}`share_2:.0%` at 2 bits and {glue:text}`share_4:.0%` at 4. Weighted by the paired
# errors alone, $\tau = 0$, the shares would be {glue:text}`pure_2:.0%` and {glue:text}`pure_4:.0%`: large values are measured with a small
# *relative* error, and 2-bit rows would decide the exponents for all.
# ```
#
# ## The exponents
#
# The {glue:text}`rows:d` rows come from {glue:text}`runs:d` training runs. Rows of one run share its luck, and rows of one step share its
# batches, so the intervals are clustered by run and step (CR2, a correction for few clusters, with what clusters by step add), with a *t*
# distribution. For $\alpha$ it has only {glue:text}`alpha_freedom:.1f` degrees of freedom, since the sizes at both ends decide most of it.
#
# :::{table} Exponents of all rows with {glue:text}`level:.0%` intervals over runs and steps, their range with each run left out in turn, and the published ones.
# :name: tab-exponents
#
# | exponent of | ours | one run left out | published |
# | --- | --- | --- | --- |
# | tokens, $\beta$ | {glue:text}`beta:.2f` [{glue:text}`beta_low:.2f`, {glue:text}`beta_high:.2f`] | {glue:text}`beta_without_low:.2f` to {glue:text}`beta_without_high:.2f` | {glue:text}`beta_published:.2f` |
# | size, $\alpha$ | {glue:text}`alpha:.2f` [{glue:text}`alpha_low:.2f`, {glue:text}`alpha_high:.2f`] | {glue:text}`alpha_without_low:.2f` to {glue:text}`alpha_without_high:.2f` | {glue:text}`alpha_published:.2f` |
# | bits, $\gamma$ | {glue:text}`gamma:.2f` [{glue:text}`gamma_low:.2f`, {glue:text}`gamma_high:.2f`] | {glue:text}`gamma_without_low:.2f` to {glue:text}`gamma_without_high:.2f` | {glue:text}`gamma_published:.2f` |
# :::
#
# Twice the tokens multiply QiD by {glue:text}`doubling:.2f`. Ours and the published exponents agree in sign and in order: bits weigh most,
# size least. The published $\beta$ lies in our interval; $\alpha$ and $\gamma$ don't. This is no refutation. The paper's largest model is
# {glue:text}`paper_growth:,.0f` times as large as ours, its models read another kind of text with another vocabulary, and were most likely
# rounded in groups of 128 weights. KL in place of QiD, and second runs and other seeds, give the same exponents within the intervals
# above ({doc}`appendix B <93-methods-and-the-law>`).
#
# ## How well does it describe?
#
# Typically the law misses a row by {glue:text}`typical_error:.0%` (root mean square, as a factor), over {glue:text}`decades:.1f` powers of ten
# of QiD. The worst misses are factors of {glue:text}`worst_over:.2f` too high and {glue:text}`worst_under:.2f` too low.
#
# ```{glue:figure} fig_residuals
# :name: fig-residuals
# :alt: Measured over fitted QiD against training tokens, three panels for 2, 3 and 4 bits, one line for each size. All lines begin below one, those of the smallest models far below. Those of small models rise above one and bend down again; those of the largest models end highest.
#
# What the law leaves over has a pattern: every size begins below the law, and small models cross it and fall back. The band is ± τ.
# ```
#
# The points of {numref}`fig-residuals` don't scatter about one. They run along lines, and the lines of different sizes cross. The smallest
# model begins at {glue:text}`small_first:.2f` of the law, climbs to {glue:text}`small_top:.2f` and falls back (means over the bit widths).
# The largest climbs to {glue:text}`large_last:.2f`. The sizes below {glue:text}`back_below:s` parameters end below the law, the others
# above it. The law is wrong in a systematic way, far beyond the paired errors.
#
# ## Where it breaks
#
# ```{glue:figure} fig_local
# :name: fig-local
# :alt: Three panels, one line for each of three bit widths. Left, the exponent of tokens against size within the first epoch, highest for the smallest models. Middle, the same in later epochs, lower for small models and rising with size. Right, the exponent of size against tokens, rising from below zero to about one half and falling to 0.4 at the end.
#
# Left and middle: the exponent of $D$, fitted for one size and bit width at a time, beyond {glue:text}`early_tokens:s` tokens in the first epoch over the
# text and in later ones. Right: the exponent of $N$, one number of tokens at a time. A separable law would draw level lines.
# ```
#
# Fit a straight line in logarithms to one size at a time. Within the first epoch over the text the smallest model has an exponent of $D$ of
# {glue:text}`first_smallest:.2f` and the largest one of {glue:text}`first_largest:.2f`. In later epochs it is the other way round:
# {glue:text}`later_smallest:.2f` and {glue:text}`later_largest:.2f`.
#
# Between the two the exponent falls by {glue:text}`slower:.2f` [{glue:text}`slower_low:.2f`, {glue:text}`slower_high:.2f`] (95%, over
# runs). It falls in {glue:text}`slower_sizes:d` of {glue:text}`runs:d` sizes, and rises in the largest. "Later" is two things here: more
# tokens, and text that was read before. The trunk can't distinguish them, since all sizes begin to repeat at the same moment. Runs on a
# part of the text can ({numref}`tab-part`): at equal tokens, four times through it is
# {glue:text}`92-what-else-moves-qid.ipynb::part_kl_4_mean:.2f` times the KL [{glue:text}`92-what-else-moves-qid.ipynb::part_kl_4_low:.2f`,
# {glue:text}`92-what-else-moves-qid.ipynb::part_kl_4_high:.2f`] of once (three sizes, 95% over them).
#
# Or fit one number of tokens at a time (right). The exponent of $N$ goes from {glue:text}`alpha_first:.2f` at {glue:text}`first_tokens:s` tokens to
# {glue:text}`alpha_most:.2f` at {glue:text}`most_tokens:s`: early in training size doesn't help at all.
#
# ````{dropdown} Do bits separate from tokens and size?
# ```{glue:figure} fig_exponents
# :name: fig-exponents
# :alt: Exponents of four fits with intervals and of four published laws, in three panels for beta, alpha and gamma. The interval of our beta holds the published one; our alpha is about twice the published one.
#
# Our exponents (dots, {glue:text}`level:.0%` intervals over runs and steps) beside the published ones (diamonds). Only the published β lies within our interval of all bits.
# ```
#
# Better, though not perfectly. The laws of one bit width have $\beta$ of {glue:text}`beta_at_2:.2f`, {glue:text}`beta_at_3:.2f` and
# {glue:text}`beta_at_4:.2f` for 2, 3 and 4 bits, within the interval of the joint fit; so are their $\alpha$. Within a run the difference
# shows all the same: 2 bits have a higher $\beta$ than 4 bits, by
# {glue:text}`beta_step:.2f` on average [{glue:text}`beta_step_low:.2f`, {glue:text}`beta_step_high:.2f`] (over runs). In the paper's own table 2 bits
# have the lowest $\beta$ ({doc}`chapter 6 <06-published-tables>`).
#
# Between bit widths the exponent of $D$ of one size differs by {glue:text}`beta_bits_spread:.2f` on average, between sizes by up to
# {glue:text}`beta_size_spread:.2f`. It is $D$ and $N$ above all that don't separate.
# ````
#
# ## Where the data begin
#
# With every checkpoint from the first on, $\tau$ is {glue:text}`tau_all:.2f`: the law is far off. Later beginnings make it fit better, down
# to {glue:text}`tau_latest:.2f` beyond {glue:text}`latest_cut:s` tokens. But $\beta$ goes along, down to {glue:text}`beta_latest:.2f` there.
#
# And it matters where the data end. Beyond {glue:text}`late_cut:s` tokens $\beta$ is {glue:text}`beta_late:.2f` [{glue:text}`beta_late_low:.2f`,
# {glue:text}`beta_late_high:.2f`]. The rows of the first epoch alone give {glue:text}`beta_one_epoch:.2f`
# [{glue:text}`beta_one_epoch_low:.2f`, {glue:text}`beta_one_epoch_high:.2f`]; the two intervals just overlap.
#
# So the interval of $\beta$ in {numref}`tab-exponents` is conditional on the window ({numref}`fig-cuts`, in appendix B). In most sizes QiD grows fast, then more slowly: a power law is a
# tangent to a curve that bends. The published $\beta$ lies between our early and our late slopes, so that its place in our interval says
# little. Nor can one say that the paper simply stands further along such a curve: in tokens per parameter its box ends at
# {glue:text}`paper_ratio:,.0f`, our data at {glue:text}`ratio_high:,.0f`.
#
# ## Try it
#
# Choose tokens and size inside the box that was fitted. The lines are the law *{glue:text}`default_law:s`*, which a written rule chooses
# ({doc}`chapter 9 <09-extrapolation>`), the bands its {glue:text}`new_run_level:.0%` interval for a new training run.

# %% tags=["hide-input"]
default, new_run_level = read_default()[0], 0.90
fitted_law(fit_by_run(FORMS[default.law], FitData.from_table(rows))[0], new_run_level)

# %% tags=["remove-cell"]
put_all(default_law=default.name, new_run_level=new_run_level)

# %% [markdown]
# ## Where the law is valid
#
# ````{dropdown} The ranges that were fitted
#
# :::{table} The ranges that were fitted, for one architecture, one kind of text, a constant learning rate and GPTQ in asymmetric groups of 32.
# :name: tab-box
#
# | | from | to |
# | --- | --- | --- |
# | training tokens $D$ | {glue:text}`box_tokens_low:s` | {glue:text}`box_tokens_high:s` |
# | size $N$ (non-embedding parameters) | {glue:text}`box_size_low:s` | {glue:text}`box_size_high:s` |
# | bits $P$ | {glue:text}`box_bits_low:.0f` | {glue:text}`box_bits_high:.0f` |
# | stored bits, with scales and zero points | {glue:text}`stored_2:.2f` | {glue:text}`stored_4:.2f` |
# | tokens per parameter $D/N$ | {glue:text}`ratio_low:.0f` | {glue:text}`ratio_high:.0f` |
# :::
# ````
#
# Beyond 4 bits the law predicts too much, in every run. Without the largest size it predicts that size on average, but not its last rows. The
# published law, constants and all, misses our rows, which lie outside its box. All three are in {doc}`appendix B <93-methods-and-the-law>`.
#
# ```{dropdown} In bytes
# Tokens differ between tokenizers; bytes don't. One token of our text has {glue:text}`token_bytes:.3f` bytes (measured on the held-out files;
# that training text has the same is assumed). With $D$ in bytes and QiD in nats a byte, $k$ is {glue:text}`k_bytes:.2f` instead of
# {glue:text}`k_tokens:.2f` and the exponents stay.
# ```
#
# ## What this does not show
#
# - **What decay of the learning rate does.** Our law is fitted at a constant rate only. A law fitted along one decaying run mixes up $D$ with
#   the rate ({doc}`chapter 7 <07-tokens-or-decay>`).
# - **Whether another form fits better.** {cite:t}`kumar2025precision` take an exponential in the bits instead of a power, and no power of $D$
#   bends as these data do. {doc}`Chapter 9 <09-extrapolation>` lets the forms compete.
# - **Repeated text.** Beyond {glue:text}`unique_tokens:s` tokens the text is read again, up to {glue:text}`epochs:.1f` times. At smaller amounts two passes
#   cost nothing and eight up to {glue:text}`92-what-else-moves-qid.ipynb::part_kl_8_large:.2f` times the KL ({doc}`appendix A <92-what-else-moves-qid>`). No law here knows of passes.
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
