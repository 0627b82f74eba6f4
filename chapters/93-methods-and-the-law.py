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
from scipy import stats

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.paired import fit_pair
from helpers.analyse.fits.profiles import profile_interval
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.names import FORMS
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.rows.degradation import degradation
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
from helpers.show.glue import put, put_all
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

# %% tags=["hide-input"]
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
# ## What this does not show
#
# - **Other ways of rounding at all widths.** AWQ and NF4 were measured at 4 bits in the study.
# - **Prose.** It was scored for one size, which can't tell an exponent of size.
