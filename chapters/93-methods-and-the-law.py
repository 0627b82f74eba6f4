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
# # Most of the law's exponents carry over to another method or text
#
# *Does the unified law level off, does it begin somewhere, and are its exponents those of one method and one text?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** Of {glue:text}`pairs_all:d` differences in exponents between methods and texts {glue:text}`pairs_counted:d` are left when
#   their number is counted, all between methods. One is that the exponent of size is lower for round-to-nearest than for GPTQ, by
#   {glue:text}`rtn_alpha_value:s` [{glue:text}`rtn_alpha_low:s`, {glue:text}`rtn_alpha_high:s`] (95%, over training runs and packages of
#   documents).
# - **How sure.** The rows of {doc}`chapter 5 <05-unified-law>`: one run a size, one draw of calibration text. AWQ and NF4 at 4 bits only.
# - **Use it for.** Carrying the exponents from one method to another, the level not. A ceiling or an onset can't be distinguished from these rows.
# ```
#
# {term}`Intervals <interval>` run over training runs and packages of documents for differences, over training runs and steps for the
# parameters of one law.

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
from scipy import stats

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.paired import fit_pair
from helpers.analyse.fits.profiles import profile_interval
from helpers.analyse.fits.result import measured_over_predicted
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.names import FORMS
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.rows.degradation import TOKENS_SEEN, degradation
from helpers.analyse.rows.resampling import document_counts
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    HELDOUT,
    LATE_TOKENS,
    MOST_EPOCHS,
    PROSE,
    UNSEEN,
    study_rows,
)
from helpers.show.figures import fits as fit_figures
from helpers.show.figures import qid
from helpers.show.glue import put, put_all
from helpers.show.numbers.law import methods_and_the_law, published_tables, unified_law
from helpers.show.style import count_label, use_house_style
from helpers.show.tables import GREEK, differences_table
from helpers.table.corpus import packages
from helpers.table.files import read_table

use_house_style()

WIDTHS = list(FITTED_BITS)

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
rows = rows_of_fit(degradation(study_rows(measured)), "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
rows = rows[rows["bits"].isin(WIDTHS) & (rows["epochs"] <= MOST_EPOCHS)]
data = FitData.from_table(rows)
fit, _ = fit_by_run(UnifiedLaw, data)

# %% tags=["remove-cell"]
published = {"paper, all": OUYANG_2024} | {f"paper, {bits} bits": law for bits, law in OUYANG_2024_TABLE_1.items()}
by_bits = {4: fit_by_run(OneBitWidthLaw, data.where(data.bits == 4))[0]}
put("level", fit.level)

# %% [markdown]
# ## A ceiling, an onset: what the rows can tell
#
# Other forms bend: QiD may level off at a ceiling, or begin at an onset, sharply or smoothly. A fit gives such a parameter a number whatever the rows know
# of it. A *profile interval* asks which values the rows allow when everything else is fitted anew, and stays open where they set no limit.

# %% tags=["hide-input"]
asked = {"ceiling": ("saturating", "ln_ceiling"), "onset": ("threshold", "ln_D0"), "steepness": ("onset", "ln_s")}
profiles = {name: profile_interval(fit_by_run(FORMS[form], data)[0], of) for name, (form, of) in asked.items()}

# %% tags=["remove-cell"]
ceiling, onset = (np.exp([profiles[name].low, profiles[name].high]) for name in ("ceiling", "onset"))
put_all(ceiling_low=ceiling[0], ceiling_high=ceiling[1], largest_qid=data.outcome_nats.max())
put_all(onset_low=count_label(onset[0]), onset_high=count_label(onset[1]), first_row=count_label(data.tokens.min()))
assert ceiling[0] > data.outcome_nats.max(), "the text says: above every row"
assert onset[1] < data.tokens.min(), "the text says: before the first row"
assert profiles["steepness"].open_sides == ("low", "high"), "the text says: no limit on either side"

# %% [markdown]
# A ceiling would lie at {glue:text}`ceiling_low:.1f` to {glue:text}`ceiling_high:.1f` nats, above every row (the largest QiD is
# {glue:text}`largest_qid:.1f`): nothing levels off in reach. A sharp onset would lie at {glue:text}`onset_low:s` to {glue:text}`onset_high:s` tokens, before the
# first row that was fitted at {glue:text}`first_row:s`: it is the bend at the early end, under another name. To the steepness of a smooth onset these rows set
# no limit on either side, although its fit has a number with an error.
#
# ## Another method, another text
#
# The paper fits its law anew for each method (its figure 9) and looks at a second text (figure 8). Our checkpoints were also rounded by RTN, at 4 bits by
# AWQ and NF4 as well, and scored on a second text, *unseen*, from packages that training never read ({doc}`chapter 10 <10-methods-and-texts>`). Do the
# exponents differ? Both fits of a pair have the same training runs, and their shared luck cancels in the *difference*. So its interval comes from both fits at
# once: clustered by run over the rows of both, with the scatter over draws of whole packages of documents added in quadrature.

# %% tags=["hide-input"] tables={"tab-differences": "By how much exponents differ between methods and between texts"}
splits = {HELDOUT: packages("evaluation"), UNSEEN: packages("unseen")}
generator = np.random.default_rng(seed)
drawn = {text: document_counts(len(names), generator, names, 200) for text, names in splits.items()}
same, other = (drawn[HELDOUT], drawn[HELDOUT]), (drawn[HELDOUT], drawn[UNSEEN])


def of_way(method, text=HELDOUT, symmetric=False):
    chosen = rows_of_fit(degradation(study_rows(measured, text)), method, GROUP_SIZE, symmetric, LATE_TOKENS)
    return chosen[chosen["bits"].isin(WIDTHS) & (chosen["epochs"] <= MOST_EPOCHS)]


ways = {"GPTQ": rows, "RTN": of_way("rtn"), "AWQ": of_way("awq"), "NF4": of_way("nf4", symmetric=True)}
four = {way: one[one["bits"] == 4] for way, one in ways.items()}
of_texts = {way: fit_pair(UnifiedLaw, ways[way], of_way(way.lower(), UNSEEN), other) for way in ("GPTQ", "RTN")}
of_texts = {f"unseen − held-out, {way}": pair for way, pair in of_texts.items()}
of_methods = {way: fit_pair(OneBitWidthLaw, four["GPTQ"], four[way], same) for way in ("RTN", "AWQ", "NF4")}
of_methods = {f"{way} − GPTQ, 4 bits": pair for way, pair in of_methods.items()}
of_methods["RTN − GPTQ"] = rtn = fit_pair(UnifiedLaw, rows, ways["RTN"], same)
differences_table(of_texts | of_methods)

# %% tags=["remove-cell"]
assert measured.loc[measured["eval_dataset"] == PROSE, "model"].nunique() == 1, "the text says: one size"
unseen_text = {way: of_texts[f"unseen − held-out, {way}"] for way in ("GPTQ", "RTN")}
shown = {f"{way}, held-out": pair.first for way, pair in unseen_text.items()}
shown |= {f"{way}, unseen": pair.second for way, pair in unseen_text.items()}
shown |= {"GPTQ, 4 bits": by_bits[4]}
shown |= {f"{way}, 4 bits": of_methods[f"{way} − GPTQ, 4 bits"].second for way in ("RTN", "AWQ", "NF4")}
put(
    "fig_pairs",
    fit_figures.exponents_of_fits(shown, {name: published[name] for name in ("paper, all", "paper, 4 bits")}),
)
plt.close("all")
for kind, pairs in (("texts", of_texts), ("methods", of_methods)):
    table = pd.concat({name: pair.differences for name, pair in pairs.items()})
    clear = table.loc[table["clear"], "value"]
    told = [f"{GREEK[name]} of {pair}: {value:+.2f}" for (pair, name), value in clear.items()]
    told = f"{len(told)} exclude zero ({'; '.join(told)})".replace(": -", ": −") if told else "none excludes zero"
    put_all(**{f"{kind}_clear": len(clear), f"{kind}_all": len(table), f"{kind}_told": told})
every = pd.concat({name: pair.differences for name, pair in (of_texts | of_methods).items()})
spread = np.hypot(every["run_se"], every["document_se"])
chance = 2 * stats.t.sf(every["value"].abs() / spread, every["degrees_of_freedom"])
counted = every[chance < (1 - fit.level) / len(every)]
put_all(pairs_all=len(every), pairs_counted=len(counted))
put("pairs_told", "; ".join(f"{GREEK[name]} of {pair}" for pair, name in counted.index))
slopes = pd.concat([pair.differences for pair in of_texts.values()]).drop(index="gamma")
put_all(texts_most=slopes["value"].abs().max(), texts_reach=slopes[["low", "high"]].abs().max(axis=None))
ends = [(one.estimate("alpha").low, one.estimate("alpha").high) for one in (rtn.first, rtn.second)]
put("alpha_overlap", "overlap" if max(ends)[0] < min(ends)[1] else "lie apart")
for name in ("value", "low", "high"):
    put(f"rtn_alpha_{name}", f"{rtn.differences.loc['alpha', name]:+.2f}".replace("-", "−"))
put_all(rtn_alpha=rtn.second.law.alpha, size_factor=data.n_params.max() / data.n_params.min())
put("rtn_factor", (data.n_params.max() / data.n_params.min()) ** -rtn.differences.loc["alpha", "value"])

# %% [markdown]
# ```{glue:figure} fig_pairs
# :name: fig-pairs
# :alt: Exponents with intervals of eight fits in three panels, beside two published laws. First GPTQ and round-to-nearest on two texts with all bits, then GPTQ, round-to-nearest, AWQ and NF4 at 4 bits. Each fit has a dot and a bar in the panels of beta and alpha, and those of all bits in that of gamma.
#
# A law a text and a method, with {glue:text}`level:.0%` intervals by run and step; diamonds: published. Of the differences {glue:text}`texts_clear:d` of
# {glue:text}`texts_all:d` between texts and {glue:text}`methods_clear:d` of {glue:text}`methods_all:d` between methods exclude zero;
# with their number counted, {glue:text}`pairs_counted:d` of all.
# ```
#
# **Texts.** Of {glue:text}`texts_all:d` differences {glue:text}`texts_told:s`. $\beta$ and $\alpha$ differ by {glue:text}`texts_most:.3f` at most, and no
# interval of theirs reaches beyond {glue:text}`texts_reach:.2f`. A third text, English prose, was scored for one size only: no exponent of
# size can be told from that, so it has no law. The paper shows its second text for the 12B model alone, with the same trend.
#
# **Methods.** Of {glue:text}`methods_all:d` differences {glue:text}`methods_told:s`; chance alone would make one in twenty. With
# their number counted (Bonferroni over all {glue:text}`pairs_all:d` differences of texts and methods) {glue:text}`pairs_counted:d` are left:
# {glue:text}`pairs_told:s`. A method that changed $k$ alone would leave them all at zero. The $\alpha$ of RTN is {glue:text}`rtn_alpha:.2f`, that of GPTQ {glue:text}`05-unified-law.ipynb::alpha:.2f`: a difference of {glue:text}`rtn_alpha_value:s`
# [{glue:text}`rtn_alpha_low:s`, {glue:text}`rtn_alpha_high:s`], which the two intervals of {numref}`fig-pairs` don't tell: they {glue:text}`alpha_overlap:s`. From
# our smallest size to the largest, {glue:text}`size_factor:.0f` times, it multiplies RTN's QiD over GPTQ's by {glue:text}`rtn_factor:.2f`. The paper's constants
# for each method stand in a plot; the diamond of 4 bits is the law of its table. All this is about one window of tokens, in
# which no law of this form fits well, and one draw of calibration text.
#
# ## KL, every run, and windows of tokens
#
# QiD is a difference of two losses. KL, the divergence of the rounded model's predictions from the 16-bit model's, is the second outcome:
# less noisy, never negative ({doc}`chapter 12 <12-why>` says why). And there are more runs at the same constant rate: eight sizes trained a
# second time, and other seeds of three sizes ({doc}`chapter 11 <11-noise-floor>`). The same law, fitted to each, stays inside the intervals of
# {doc}`chapter 5 <05-unified-law>`. The spread $\tau$ is no smaller in KL, {glue:text}`kl_tau:.3f`: it is the law's own miss, not noise.

# %% tags=["remove-cell"]
of_chapter = unified_law.fits_of(unified_law.at_every_width(measured))
late_widths = of_chapter.every_width[of_chapter.every_width[TOKENS_SEEN] > LATE_TOKENS]
over_widths = measured_over_predicted(of_chapter.whole.law, FitData.from_table(late_widths))
put_all(
    **methods_and_the_law.numbers(measured, of_chapter),
    fig_cuts=fit_figures.exponents_of_fits(
        of_chapter.cuts | {"first epoch": of_chapter.first_epoch}, {"paper": OUYANG_2024}
    ),
    fig_held_out=qid.measured_against_held_out(methods_and_the_law.largest_held_out(of_chapter.rows)[0]).figure,
    fig_widths=fit_figures.ratios_by_bits(over_widths, of_chapter.whole.law.validity.bits).figure,
)
plt.close("all")

# %% [markdown]
# :::{table} The law fitted to KL, and to QiD and KL of all {glue:text}`pooled_rows:d` rows of {glue:text}`pooled_runs:d` runs ({glue:text}`level:.0%` intervals over runs and steps).
# :name: tab-outcomes
#
# | exponent of | KL, one run a size | QiD, every run | KL, every run |
# | --- | --- | --- | --- |
# | tokens, $\beta$ | {glue:text}`kl_beta:.2f` [{glue:text}`kl_beta_low:.2f`, {glue:text}`kl_beta_high:.2f`] | {glue:text}`pooled_beta:.2f` [{glue:text}`pooled_beta_low:.2f`, {glue:text}`pooled_beta_high:.2f`] | {glue:text}`pooled_kl_beta:.2f` [{glue:text}`pooled_kl_beta_low:.2f`, {glue:text}`pooled_kl_beta_high:.2f`] |
# | size, $\alpha$ | {glue:text}`kl_alpha:.2f` [{glue:text}`kl_alpha_low:.2f`, {glue:text}`kl_alpha_high:.2f`] | {glue:text}`pooled_alpha:.2f` [{glue:text}`pooled_alpha_low:.2f`, {glue:text}`pooled_alpha_high:.2f`] | {glue:text}`pooled_kl_alpha:.2f` [{glue:text}`pooled_kl_alpha_low:.2f`, {glue:text}`pooled_kl_alpha_high:.2f`] |
# | bits, $\gamma$ | {glue:text}`kl_gamma:.2f` [{glue:text}`kl_gamma_low:.2f`, {glue:text}`kl_gamma_high:.2f`] | {glue:text}`pooled_gamma:.2f` [{glue:text}`pooled_gamma_low:.2f`, {glue:text}`pooled_gamma_high:.2f`] | {glue:text}`pooled_kl_gamma:.2f` [{glue:text}`pooled_kl_gamma_low:.2f`, {glue:text}`pooled_kl_gamma_high:.2f`] |
# :::
#
# ```{glue:figure} fig_cuts
# :name: fig-cuts
# :alt: Exponents with intervals of fits that begin at later and later tokens, of one fit to the first epoch, and the published law. Beta rises, then falls by about a third; alpha and gamma move little.
#
# Where the data begin decides β; α and γ move less. Dots: our fits with {glue:text}`level:.0%` intervals over runs and steps; diamond: published.
# ```
#
# The interval of $\beta$ is conditional on the window of tokens. In three windows with equally many checkpoints it is:
#
# :::{table} The exponent of tokens by window ({glue:text}`level:.0%` intervals over runs and steps).
# :name: tab-windows
#
# | tokens up to | $\beta$ of QiD | $\beta$ of KL |
# | --- | --- | --- |
# | {glue:text}`window_first_to:s` | {glue:text}`window_first:.2f` [{glue:text}`window_first_low:.2f`, {glue:text}`window_first_high:.2f`] | {glue:text}`window_kl_first:.2f` |
# | {glue:text}`window_middle_to:s` | {glue:text}`window_middle:.2f` [{glue:text}`window_middle_low:.2f`, {glue:text}`window_middle_high:.2f`] | {glue:text}`window_kl_middle:.2f` |
# | {glue:text}`window_last_to:s` | {glue:text}`window_last:.2f` [{glue:text}`window_last_low:.2f`, {glue:text}`window_last_high:.2f`] | {glue:text}`window_kl_last:.2f` |
# :::
#
# ## Predicting the largest size
#
# ```{glue:figure} fig_held_out
# :name: fig-held-out
# :alt: Measured QiD of the largest size against its prediction from the smaller ones, with wide intervals; points begin below the line of equality in each bit width and end above it, those of 3 bits beyond their intervals.
#
# The smaller sizes predict the largest on average; its last rows, those of 3 bits above all, lie above the intervals for a new run.
# ```
#
# Without the largest model, {glue:text}`held_jump:.1f` times as large as the next, the law predicts its {glue:text}`held_rows:d` rows with a
# typical error of {glue:text}`held_rms:.0%`, in KL of {glue:text}`held_kl_rms:.0%`. On average the prediction over what was measured is
# {glue:text}`held_ratio:.2f`.
#
# Of the {glue:text}`held_level:.0%` intervals for a new run {glue:text}`held_coverage:.0%` hold what was measured, though they reach
# {glue:text}`held_width:.0%` above the prediction: that wide is an honest interval from {glue:text}`held_runs:d` runs. From
# {glue:text}`held_from:s` tokens on {glue:text}`held_above:d` rows lie above them, all of 3 bits; below them, at the first checkpoint,
# {glue:text}`held_below:d`.
#
# At 3 bits the largest model climbs to {glue:text}`large_3:.2f` of the law that was fitted to all, at {glue:text}`large_3_tokens:s` tokens. That
# peak is one run's at this width: there KL over that of the next size is {glue:text}`peak_3:.2f` at 3 bits, and {glue:text}`peak_4:.2f` at 4
# and {glue:text}`peak_8:.2f` at 8. A second run has {glue:text}`second_large_3:.2f` of this one's QiD at {glue:text}`second_large_tokens:s` tokens,
# where it ends ({doc}`chapter 9 <09-extrapolation>` has more runs).
#
# ## Bits that the fit has not seen
#
# The same checkpoints were rounded to {glue:text}`unseen_widths:s` bits with the same groups and grids. At 5 bits the measured QiD is
# {glue:text}`over_5:.2f` [{glue:text}`over_5_low:.2f`, {glue:text}`over_5_high:.2f`] of what the law says, and at 8 bits {glue:text}`over_8:.2f`
# (means over the runs with {glue:text}`level:.0%` intervals; 6 bits lie between). Only {glue:text}`eight_clear:d` of {glue:text}`eight_rows:d` rows of
# 8 bits exceed two paired errors, and {glue:text}`eight_below:d` lie at or below zero.
#
# ```{glue:figure} fig_widths
# :name: fig-widths
# :alt: Measured over predicted QiD against bit width from 2 to 8, one line for each size. Within the shaded range of 2 to 4 bits the lines lie about one; beyond it they fall together towards zero.
#
# Beyond the bits that were fitted (shaded) the law predicts too much, in every run. Each point: a run's sum of measured QiD over the sum of what the law says.
# ```
#
# A power of $P$ falls too slowly, and the bend begins inside the range that was fitted: the rows of 3 bits stand at {glue:text}`over_3:.2f` of the law, those of
# 4 bits at {glue:text}`over_4:.2f`. The step of a grid is its range over $2^P - 1$, and its square falls close to what is measured
# ({numref}`tab-steps`), as if a small error of rounding cost loss in proportion to its square. KL follows that square up to 8 bits
# ({doc}`chapter 4 <04-degradation>`, derived in {doc}`chapter 12 <12-why>`). Whoever needs 5 bits or more should not take them from a law of 2 to 4.
#
# :::{table} By what one bit more divides QiD (mean over runs), and what the law and the square of the grid's step say.
# :name: tab-steps
#
# | step | measured | law | square of the step |
# | --- | --- | --- | --- |
# | 4 to 5 bits | {glue:text}`step_45:.1f` | {glue:text}`power_45:.1f` | {glue:text}`grid_45:.1f` |
# | 5 to 6 bits | {glue:text}`step_56:.1f` | {glue:text}`power_56:.1f` | {glue:text}`grid_56:.1f` |
# :::
#
# ## The published law on our rows
#
# How would the published law, constants and all, do on our rows? Measured over predicted QiD has a median of {glue:text}`ours_median:.2f` and goes from
# {glue:text}`ours_low:.2f` to {glue:text}`ours_high:.2f`. Every one of these rows is outside the box in which that law was fitted, which begins at
# {glue:text}`paper_size_low:s` parameters and {glue:text}`paper_tokens_low:s` tokens.
#
# ## Far ahead: every value, and what our interval is worth
#
# {doc}`Chapter 6 <06-published-tables>` lays four laws side by side at {glue:text}`06-published-tables.ipynb::far:s` tokens. The form of
# {cite:t}`kumar2025precision` takes an exponential of the bits,
#
# $$
# \Delta L = C_T \, \frac{D^{\gamma_D}}{N^{\gamma_N}} \, e^{-P / \gamma_{\mathrm{post}}},
# $$ (eq-kumar)
#
# with $C_T$ = {glue:text}`c_t:.4f`, $\gamma_D$ = {glue:text}`g_d:.4f`, $\gamma_N$ = {glue:text}`g_n:.4f` and
# $\gamma_{\mathrm{post}}$ = {glue:text}`g_post:.4f`. That paper prints one more constant, $b$ = {glue:text}`kumar_b:.4f`, and doesn't spell
# out where it belongs. It is left out; as a factor $e^b$ it would multiply every value by {glue:text}`kumar_factor:.1f`.

# %% tags=["remove-cell"]
ahead = published_tables.projections_with_ours(of_chapter.whole)
put_all(
    **published_tables.in_appendix(of_chapter.rows, of_chapter.whole),
    tab_ahead=Markdown(published_tables.projections_table(ahead).to_markdown()),
)

# %% [markdown]
# :::{table} QiD in nats per token at {glue:text}`06-published-tables.ipynb::far:s` tokens; ours with the {glue:text}`06-published-tables.ipynb::far_level:.0%` interval for a new training run. † marks a QiD larger than the 16-bit loss of equation 3, ‡ one beyond $\ln V - L_{16}$, worse than guessing among Pythia's vocabulary.
# :name: tab-ahead
#
# ```{glue:md} tab_ahead
# :format: myst
# ```
# :::
#
# :::{table} How far each law is extrapolated, in orders of magnitude (powers of ten).
# :name: tab-extrapolated
#
# | | in $D$ | in $N$ |
# | --- | --- | --- |
# | equation 8 and the three laws | {glue:text}`out_paper:.1f` | none to {glue:text}`out_paper_size:.1f` |
# | Kumar et al. | {glue:text}`out_kumar:.1f` | {glue:text}`out_kumar_size:.1f` to {glue:text}`out_kumar_large:.1f` |
# | ours | {glue:text}`out_tokens:.1f` | {glue:text}`out_small:.1f` to {glue:text}`out_large:.1f` |
# :::
#
# The equation and the table are one paper's, and differ by factors of {glue:text}`06-published-tables.ipynb::own_low:.2f` to
# {glue:text}`06-published-tables.ipynb::own_high:.2f`. The three published columns part by factors of
# {glue:text}`06-published-tables.ipynb::spread_low:.1f` to {glue:text}`06-published-tables.ipynb::spread_high:.1f`.
#
# **A trial of our interval.** It knows the scatter of runs and the errors of four coefficients. It doesn't know that the law bends. So fit
# the rows up to a quarter of the tokens and predict the rest, at the same sizes. The {glue:text}`trial_rows:d` later rows come out too high by
# a factor of {glue:text}`trial_bias:.2f` on average, and the intervals hold {glue:text}`trial_coverage:.0%` of them. That was a factor of four
# in tokens. From our last checkpoint on it is a factor of {glue:text}`factor_far:,.0f`, or four more than {glue:text}`quarters:.0f` times
# over. Our column should be read as what the form says, no more.
#
# **One unit for both.** A nat per token depends on the token. Ours are {glue:text}`own_bytes:.2f` bytes long, from a vocabulary of
# {glue:text}`own_vocabulary:,d` made for code; Pythia's will be longer, but we know of no figure for the texts of the papers. {term}`Nats
# per byte <bits per byte>` of text are comparable: both QiD and $D$ are converted then. For any length between
# {glue:text}`guess_low:.0f` and {glue:text}`guess_high:.0f` bytes, at equal bytes of training text, equation 8 lies above ours in all
# {glue:text}`byte_cells:d` cells, by factors of {glue:text}`byte_least:.1f` to {glue:text}`byte_most:.0f`; it lies above the upper end of our
# interval in {glue:text}`byte_above_low:d` cells with the shorter tokens and in {glue:text}`byte_above_high:d` with the longer.
#
# So the unit alone isn't what parts them. Much of it is the size exponent. Ours is about twice the published one, and from our largest
# model to {glue:text}`06-published-tables.ipynb::small:s` parameters that alone is a factor of {glue:text}`alpha_factor:.1f`. The largest value
# in our column is {glue:text}`our_most:.1f` nats per token, where guessing among our vocabulary costs {glue:text}`our_guessing:.1f`.
#
# ## What this does not show
#
# - **Other ways of rounding at all widths.** AWQ and NF4 were measured at 4 bits in the study.
# - **Prose.** It was scored for one size, which can't tell an exponent of size.
