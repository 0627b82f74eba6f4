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
# # No law met the goal that was set before
#
# *What was asked of the law beforehand, what came, and how much of the largest size's miss was luck?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** The goal was {glue:text}`first_part:s`: on the largest size the law chosen has an rms of
#   {glue:text}`09-extrapolation.ipynb::chosen_size:.2f` where {glue:text}`goal_rms:.2f` was asked (one run, no interval).
# - **How sure.** About half of that size's excess is one run's luck: its ratio to the next size climbs by {glue:text}`climb_first:.2f` in the
#   first run and by {glue:text}`climb_second:.2f` in the second (± {glue:text}`climb_error:.0%`, one standard error over runs).
# - **Use it for.** Not ranking laws by one run of the largest size, nor by AIC or BIC alone.
# ```
#
# {term}`Intervals <interval>` run over training runs; those of slopes in models of others run over models.

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
from helpers.analyse.fits.hold_outs import floor_by_bits, judge, table_of_scores
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.make_fits import predictors, read_measured
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_LOSS, OUYANG_2024_TABLE_1
from helpers.analyse.questions import extrapolation, published_perplexities, training_level
from helpers.analyse.questions.register import OPEN, read_register
from helpers.analyse.questions.trends import slope
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.noise_floor import study_floors
from helpers.analyse.rows.outcomes import KL
from helpers.analyse.rows.second_runs import both_runs, one_run_scatter, second_rows
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    LATE_TOKENS,
    NINTH,
    NINTH_RATE,
    TRUNK,
    on_trunk,
    rows_of_every_run,
    unbranched,
)
from helpers.show.figures import extrapolation as extrapolation_figures
from helpers.show.figures import training_level as gauge_figures
from helpers.show.glue import put, put_all
from helpers.show.numbers.law import extrapolation as numbers
from helpers.show.numbers.law import models_of_others as others
from helpers.show.numbers.law import training_level as of_gauge
from helpers.show.style import count_label, use_house_style
from helpers.table.corpus import packages
from helpers.table.files import read_checkpoints

use_house_style()
CHOSEN = "loss, loss predicted"
ONE_AT_A_TIME = ("largest size", "last factor 4 in D", "3 bits", "2 bits", "decayed rate", "cooldown after cosine")
ONE_AT_A_TIME += ("other bits", "another text")
FORMS_OF_OTHERS = {"power": "Ouyang et al.", "exponential": "Kumar et al."}

# %% tags=["hide-input"]
measured = read_measured()
stored = read_fits()
judged = stored.judged[stored.judged["hold_out"].isin(ONE_AT_A_TIME)]
hold_outs = list(judged["hold_out"].unique())
rms, coverage = (table_of_scores(judged, score) for score in ("log_rms", "coverage"))

# %% tags=["remove-cell"]
competing = [law for law in rms.dropna(how="all").index if law not in set(judged.loc[judged["published"], "law"])]
blind = [law for law in competing if law not in ("loss", "loss-power-bits", "room", "curvature")]  # of D, N and P alone
best, late_part = extrapolation.best_laws(judged, blind), "last factor 4 in D"
sized = rms.loc[competing, "largest size"].dropna()
again = stored.judged[stored.judged["hold_out"] == "second run of the largest size"].set_index("law")["log_rms"]
again = again[[law for law in sized.index if law in again.dropna().index]]
power = stored.fits["power"].law
every = degradation(rows_of_every_run(measured[measured["method"].isin(["none", "gptq"])]))
trunk = rows_of_fit(every, "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
trunk = trunk[on_trunk(trunk) & trunk["bits"].isin(FITTED_BITS)]
sizes = np.sort(trunk[N_PARAMS].unique())
second = second_rows(measured)
second = second[unbranched(second) & (second[N_PARAMS] == sizes[-1])]
end = second[second[TOKENS_SEEN] == second[TOKENS_SEEN].max()].set_index("bits")["qid_nats"]
first_run = trunk[(trunk[N_PARAMS] == sizes[-1]) & (trunk[TOKENS_SEEN] == second[TOKENS_SEEN].max())]
scatter = one_run_scatter(both_runs(measured))["relative_sd"]
put_all(goal_rms=extrapolation.GOAL_LOG_RMS, goal_coverage=extrapolation.GOAL_COVERAGE, level=0.90)
put_all(again_tokens=count_label(second[TOKENS_SEEN].max()))
for bits in FITTED_BITS:
    ratio = end[bits] / first_run.set_index("bits")["qid_nats"][bits]
    put_all(**{f"again_{bits}": ratio, f"scatter_{bits}": scatter[bits]})

# %% [markdown]
# ## A goal, and no law that met it
#
# This project set itself a goal before: the law it would choose should predict the largest size and the last factor 4 of $D$
# with an rms of at most {glue:text}`goal_rms:.2f` and intervals that hold at least {glue:text}`goal_coverage:.0%` of the rows,
# and be better than both published forms, refitted, on *every* hold-out. The law chosen is *loss, loss predicted*. It was
# chosen after a look at these hold-outs with all sizes but the largest. So its scores flatter it, except in the first row, which
# it wasn't chosen on.

# %% tags=["hide-input"]
verdict = extrapolation.verdict(judged, CHOSEN, list(FORMS_OF_OTHERS))

# %% tags=["hide-input"] tables={"tab-goal": "The goal and what came, by what was held out"}
held = judged.groupby("hold_out")[["n_rows", "excluded_share"]].max().loc[verdict.index]
told = verdict.rename(columns=FORMS_OF_OTHERS)
told = told.assign(**{name: told[name].map("{:.3f}".format) for name in ("log_rms", *FORMS_OF_OTHERS.values())})
told = told.assign(
    bias=told["log_bias"].map(lambda value: f"{value:+.2f}".replace("-", "−")),
    coverage=told["coverage"].map("{:.0%}".format),
)
told = told.assign(
    meets=told["meets"].map({True: "yes", False: "no"}), better=told["better"].map({True: "yes", False: "no"})
)
told = told.assign(rows=held["n_rows"].map("{:.0f}".format), unclear=held["excluded_share"].map("{:.0%}".format))
columns = {
    "rows": "rows held out",
    "unclear": "not clear",
    "log_rms": "rms",
    "bias": "bias",
    "coverage": "coverage",
    "meets": "rms and coverage reach the goal",
}
columns |= {name: f"rms, {name}" for name in FORMS_OF_OTHERS.values()} | {"better": "better than both"}
told = told.assign(best=[f"{law}, {rms.loc[law, one]:.3f}" for one, law in best.loc[told.index].items()])
columns |= {"best": "best law of D, N and P"}
told[list(columns)].rename(columns=columns).rename_axis("held out")

# %% tags=["remove-cell"]
asked = ["largest size", "last factor 4 in D"]
beaten = verdict[~verdict["better"]]
exceptions = [
    f"{one} ({rival} {beaten.loc[one, rival]:.3f})"
    for one, rival in beaten[list(FORMS_OF_OTHERS)].idxmin(axis=1).items()
]
put_all(hold_outs=len(verdict), better=int(verdict["better"].sum()), met=int(verdict["meets"].sum()))
put_all(
    first_part="reached" if verdict.loc[asked, "meets"].all() else "not reached",
    not_better=", ".join(exceptions) or "none",
)
put("second_part", "reached" if verdict["better"].all() else "not reached")
put("not_met", ", ".join(verdict.index[~verdict["meets"]]) or "none")
put_all(size_cover=verdict.loc["largest size", "coverage"], tokens_cover=verdict.loc["last factor 4 in D", "coverage"])
both = [law for law in sized.index if (rms.loc[law, asked] <= extrapolation.GOAL_LOG_RMS).all()]
tied = judged[judged["law"] == CHOSEN].set_index("hold_out")["tied"].astype(bool)
put_all(size_blind=len([law for law in blind if law in sized.index]), best_of=int((best == CHOSEN).sum()))
put("tied_of", int(tied.sum()))
assert judged.loc[(judged["hold_out"] == "largest size") & judged["log_rms"].notna(), "tied"].all(), (
    "one run ranks none"
)
put_all(threshold_size=rms.loc["threshold", "largest size"], threshold_cover=coverage.loc["threshold", late_part])
assert not both, "the text says: no law reaches the first part"
assert best[late_part] == "threshold"
ahead_of_both = rms.loc[list(FORMS_OF_OTHERS)].min() - rms.loc[blind]  # n/a is not ahead
second_by = ahead_of_both[(ahead_of_both > 0).all(axis=1)]
put_all(second_by=" and ".join(second_by.index), second_least=second_by.min(axis=None))
assert len(second_by) == 2, "the text says: two laws"
aic, bic = (stored.criteria[name].dropna().sort_values() for name in ("aic", "bic"))
put_all(aic_best=aic.index[0], bic_best=bic.index[0], bic_ahead=bic.iloc[1] - bic.iloc[0], bic_second=bic.index[1])
put("same_choice", "the same choice as ours" if aic.index[0] == bic.index[0] == "loss" else "not the choice we made")
ranks = {column: bic.rank().corr(rms.loc[bic.index, column].rank()) for column in hold_outs}
put_all(
    **{
        f"rank_{key}": f"{ranks[column]:.2f}".replace("-", "−")
        for key, column in zip(("size", "tokens"), asked, strict=True)
    }
)
late_rms = rms.loc[bic.index, "last factor 4 in D"]
put_all(late_best=late_rms.idxmin(), late_best_rms=late_rms.min(), late_second_rms=late_rms[bic.index[1]])
put_all(late_best_place=int(bic.index.get_loc(late_rms.idxmin())) + 1, judged_by_bic=len(bic))
assert set(bic.index) <= set(competing)
rank_again = bic[bic.index.intersection(again.index)].rank().corr(again.reindex(bic.index).dropna().rank())
put("rank_again", f"{rank_again:.2f}".replace("-", "−"))
assert ranks["largest size"] < 0 < rank_again, "the text says: the sign differs between both runs"

# %% [markdown]
# **The first part of the goal: {glue:text}`first_part:s`.** The rms is {glue:text}`09-extrapolation.ipynb::chosen_size:.3f` and the coverage
# {glue:text}`size_cover:.0%` on the largest size; on the last factor 4 of $D$ they are {glue:text}`09-extrapolation.ipynb::chosen_tokens:.3f` and
# {glue:text}`tokens_cover:.0%`. **The second part: {glue:text}`second_part:s`.** The law is better than both published forms on
# {glue:text}`better:d` of {glue:text}`hold_outs:d` hold-outs; exceptions, with the form that is better:
# {glue:text}`not_better:s`. The marks of the first part, asked of every hold-out, are met by {glue:text}`met:d` of
# {glue:text}`hold_outs:d` and missed by: {glue:text}`not_met:s`.
#
# No other law reaches the first part: *threshold* has {glue:text}`09-extrapolation.ipynb::threshold_tokens:.3f` on the last factor 4 of $D$
# ({glue:text}`threshold_cover:.0%`) and {glue:text}`threshold_size:.3f` on the largest size. The second part is reached by two
# others, {glue:text}`second_by:s`, by as little as {glue:text}`second_least:.3f`. So "the law chosen" means less than it did. The
# one hold-out that it wasn't chosen on is one run, where all {glue:text}`size_blind:d` laws of its kind are tied. It has the least
# rms of its kind on {glue:text}`best_of:d` of {glue:text}`hold_outs:d` and is within the error of the least on
# {glue:text}`tied_of:d`; the least worst case is its own. This goal is kept as it was set. The law to use is
# chosen without the ninth size, by a rule of {doc}`chapter 9 <09-extrapolation>`.
#
# ## Do AIC and BIC know it?
#
# They look at the fitted rows only, and they charge for constants. (They take rows to be independent, which rows of one run
# aren't.)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: what AIC and BIC say of each law", "code_prompt_hide": "Table: what AIC and BIC say of each law"} tables={"tab-criteria": "What AIC and BIC say of each law"}
criteria = stored.criteria.loc[bic.index]
pd.DataFrame(
    {
        "constants": criteria["n_coefficients"].map("{:.0f}".format),
        "τ": criteria["tau"].map("{:.3f}".format),
        "AIC, above the least": (criteria["aic"] - aic.min()).map("{:.0f}".format),
        "BIC, above the least": (criteria["bic"] - bic.min()).map("{:.0f}".format),
        "rms, largest size": rms.loc[bic.index, "largest size"].map("{:.3f}".format),
        "rms, last factor 4 in D": rms.loc[bic.index, "last factor 4 in D"].map("{:.3f}".format),
    }
).rename_axis("law")

# %% [markdown]
# AIC puts *{glue:text}`aic_best:s`* first and BIC *{glue:text}`bic_best:s`*, {glue:text}`bic_ahead:.0f` ahead of
# *{glue:text}`bic_second:s`*. For criteria that have seen no hold-out that is {glue:text}`same_choice:s`. Elsewhere they and the
# hold-outs need not agree. The rank correlation of BIC with the rms is {glue:text}`rank_tokens:s` for the last factor 4 of $D$
# and {glue:text}`rank_size:s` for the largest size, which is one run: in the second run of that size it is
# {glue:text}`rank_again:s`. So the sign of the first says nothing about laws. Of these laws the
# one that predicts the last factor 4 best, *{glue:text}`late_best:s`* with {glue:text}`late_best_rms:.2f`, is number
# {glue:text}`late_best_place:d` of {glue:text}`judged_by_bic:d` by BIC; number two has {glue:text}`late_second_rms:.2f` there. To
# describe rows well and to say something of others are two skills.
#
# ## One size up
#
# Which size is the largest is an accident of when one stops training. So we leave out each size in turn, fit laws to all
# *smaller* ones, and predict it. Beside that is what the power law of the smaller sizes gets wrong in the largest.

# %% tags=["hide-input"]
asked_laws = {law: predictors()[law] for law in ("power", "steps", "threshold", CHOSEN)}
in_turn = extrapolation.each_as_largest(trunk)
turns = judge(asked_laws, in_turn, floor_by_bits(study_floors(measured, packages("evaluation"))))
largest = extrapolation.over_predicted(asked_laws["power"], in_turn[sizes[-1]])

# %% tags=["remove-cell"]
put_all(**numbers.one_size_up(turns, largest, trunk), next_largest=count_label(sizes[-2]))
put_all(**numbers.two_runs_of_largest(stored.judged))
put("fig_one_size_up", extrapolation_figures.one_size_up(turns, largest, extrapolation.GOAL_LOG_RMS))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_one_size_up
# :name: fig-one-size-up
# :alt: Two panels. Left: root mean square of ln predicted over measured against the size left out, four lines for power, steps, threshold and loss predicted. All fall to below 0.1 at 14.2M parameters and rise to about 0.2 at 37.8M; a dotted line marks the goal of 0.15. Right: measured over predicted QiD of the largest size against tokens, three lines for 2, 3 and 4 bits, all rising through one at about four hundred million tokens, at 3 bits to above 1.6.
#
# Prediction one size up got better up to {glue:text}`next_largest:s` parameters, and then, in one run, worse than ever. What goes
# wrong there has a shape: QiD rises too steeply with tokens.
# ```
#
# Had we stopped at {glue:text}`next_largest:s` parameters, this page would report {glue:text}`before_steps:.3f` for steps,
# {glue:text}`before_power:.3f` for the power law and {glue:text}`before_chosen:.3f` with the loss predicted, all within the goal's
# mark. One size later, in one run, no law is. The miss is one of shape: at
# {glue:text}`first_tokens:s` tokens the largest model has {glue:text}`ratio_first:.2f` times the QiD that the power law predicts, at
# {glue:text}`last_tokens:s` it has {glue:text}`ratio_last:.2f` times (means over bits).
#
# Its own exponent of $D$ is {glue:text}`own_last:.2f`, where runs from {glue:text}`own_from:s` parameters on have
# {glue:text}`own_low:.2f` to {glue:text}`own_high:.2f`. A law with one $\beta$ for all sizes can't say that. In the *second* run of this
# size, which ends at {glue:text}`again_tokens:s` tokens and so lacks the checkpoints where the first is worst,
# {glue:text}`again_within:d` of {glue:text}`again_judged:d` laws reach the mark. The rank correlation of laws between both runs is
# {glue:text}`again_rank:s`.
#
# ## The largest size in other runs
#
# QiD of the largest size rises more steeply than any law says ({doc}`chapter 9 <09-extrapolation>`). How much of that is the size's, and how
# much this run's? The size was trained three more times, to {glue:text}`again_tokens:s`
# tokens: again from the same seed on the same batches, where only the GPU's order of additions differs (*second run*), from
# another seed, and at half the rate. KL, which scatters less than QiD, is compared with the next smaller size at the same tokens.

# %% tags=["hide-input"]
in_runs = extrapolation.largest_over_next(measured)
in_runs = in_runs[in_runs[TOKENS_SEEN] > LATE_TOKENS]
four = in_runs[in_runs["bits"] == 4].pivot(index="step", columns="run", values="ratio")[
    list(extrapolation.RUNS.values())
]
begin, finish = four.dropna().index[[0, -1]]
climbs = four.loc[finish] / four.loc[begin]
of_all = rows_of_every_run(measured)
same_size = of_all[
    (of_all[N_PARAMS] == sizes[-1]) & (of_all["group_size"] == GROUP_SIZE) & of_all["symmetric"].eq(False)
]
common = same_size.loc[same_size["family"] == NINTH, "step"].unique()
same_size = same_size[same_size["step"].isin(common) & (same_size["schedule"] == "constant")].query("n_averaged == 1")
described = read_checkpoints("results/checkpoints.parquet").to_pandas().query("n_params_non_embedding == @sizes[-1]")
described = described[(described["step"] == finish) & (described["schedule"] == "constant")].set_index("family")
kurtosis = described["input_kurtosis"].map(np.max)
at_four = same_size[(same_size["bits"] == 4) & same_size["method"].isin(["gptq", "gptq_hadamard", "awq"])]
steepness = {
    key: slope(rows[TOKENS_SEEN].to_numpy(float), rows["kl_nats"].to_numpy())
    for key, rows in at_four.groupby(["family", "method"])
}

# %% tags=["hide-input"] tables={"tab-largest-runs": "Slopes of the largest size in other runs"}
begin_tokens, end_tokens = (
    count_label(in_runs.loc[in_runs["step"] == step, TOKENS_SEEN].iloc[0]) for step in (begin, finish)
)
WAYS = {"gptq": "GPTQ", "gptq_hadamard": "GPTQ, rotated", "awq": "AWQ"}
pd.DataFrame(
    {
        words: {
            f"KL over the next size, {begin_tokens}": f"{four.loc[begin, words]:.2f}",
            f"the same, {end_tokens}": f"{four.loc[finish, words]:.2f}",
            **{
                f"slope of KL in D, {way}": f"{steepness[family, method]:.2f}" if (family, method) in steepness else "–"
                for method, way in WAYS.items()
            },
            f"largest kurtosis of inputs, {end_tokens}": f"{kurtosis[family]:,.0f}",
        }
        for family, words in extrapolation.RUNS.items()
    }
)

# %% tags=["remove-cell"]
put("fig_runs_of_largest", extrapolation_figures.runs_of_largest(in_runs))
plt.close("all")
SHORT = {"first run": "first", "second run": "second", "another seed": "seed", "half the rate": "rate"}
put_all(climb_begin=begin_tokens, climb_end=end_tokens, climb_from=count_label(at_four[TOKENS_SEEN].min()))
put_all(**{f"climb_{SHORT[words]}": climbs[words] for words in climbs.index})
put("climb_error", 2 * one_run_scatter(both_runs(measured, KL)).loc[4, "relative_sd"])
three = in_runs[in_runs["bits"] == 3].pivot(index="step", columns="run", values="ratio")
put_all(**{f"three_{SHORT[words]}": three.loc[finish, words] / four.loc[finish, words] for words in climbs.index})
for family, words in extrapolation.RUNS.items():
    put(f"kurtosis_{SHORT[words]}", kurtosis[family])
for family, key in ((TRUNK, "first"), (NINTH, "seed"), (NINTH_RATE, "rate")):
    put_all(**{f"steep_{method}_{key}": steepness[family, method] for method in ("gptq", "awq")})
ends = same_size[(same_size["step"] == finish) & same_size["bits"].isin(FITTED_BITS)]
ends = ends.pivot(index=["family", "bits"], columns="method", values="kl_nats")
taken = (1 - ends["gptq_hadamard"] / ends["gptq"]).dropna()
for family, key in ((NINTH, "seed"), (NINTH_RATE, "rate")):
    put_all(**{f"rotation_{key}_low": taken[family].min(), f"rotation_{key}_high": taken[family].max()})
of_size = (f"{NINTH}/", f"{NINTH_RATE}/")
answered = [one for one in read_register() if one.outcome != OPEN and one.run.startswith(of_size)]
put_all(registered=len(answered), registered_hold=sum(one.low <= one.outcome <= one.high for one in answered))
missed = pd.DataFrame([(one.run.split("/")[0], one.law, np.log(one.predicted / one.outcome)) for one in answered])
missed = np.sqrt((missed[2] ** 2).groupby([missed[0], missed[1]]).mean())
for family, key in ((NINTH, "seed"), (NINTH_RATE, "rate")):
    put_all(**{f"registered_{key}_low": missed[family].min(), f"registered_{key}_high": missed[family].max()})
put("registered_laws", len(missed[NINTH]))
put("read_again", count_label(measured["unique_tokens"].iloc[0]))
assert (np.log(climbs[["another seed", "half the rate"]]) < np.log(climbs["second run"]) / 2).all(), "neither climbs"
assert 0.4 < np.log(climbs["second run"]) / np.log(climbs["first run"]) < 0.65, "the text says: about half is luck"
assert missed.max() < extrapolation.GOAL_LOG_RMS, "the text says: all reach the mark"
assert all(steepness[family, "awq"] < steepness[family, "gptq"] - 0.1 for family in (TRUNK, NINTH, NINTH_RATE))

# %% [markdown]
# *At 4 bits. Slope: of ln KL in ln D, from {glue:text}`climb_from:s` to {glue:text}`climb_end:s` tokens; a dash: not measured.*
#
# ```{glue:figure} fig_runs_of_largest
# :name: fig-runs-of-largest
# :alt: KL of the largest size over that of the next smaller size against tokens, three panels for 2, 3 and 4 bits, four lines. That of the first run climbs from 0.55 at two hundred million tokens, at 4 bits to above 0.75, at 3 bits to one and back. That of the second run climbs half as much up to 488M, where all others end. Those of another seed, near 0.6, and of half the rate, near 0.7, stay level.
#
# The first run climbs towards the next size, its second run half as much; another seed and half the rate don't, up to
# {glue:text}`climb_end:s` tokens. Bars: one standard error, from how far two runs of a size differ.
# ```
#
# **Known.** About half of the climb is the first run's luck: from {glue:text}`climb_begin:s` to {glue:text}`climb_end:s` tokens the
# ratio grows by a factor of {glue:text}`climb_first:.2f` in the first run, {glue:text}`climb_second:.2f` in the second,
# {glue:text}`climb_seed:.2f` from another seed and {glue:text}`climb_rate:.2f` at half the rate (4 bits; one standard error of each
# is {glue:text}`climb_error:.0%`, over runs). At the end of the second run its QiD is {glue:text}`again_2:.2f`,
# {glue:text}`again_3:.2f` and {glue:text}`again_4:.2f` of the first's at 2, 3 and 4 bits, where one run scatters by
# {glue:text}`scatter_2:.0%`, {glue:text}`scatter_3:.0%` and {glue:text}`scatter_4:.0%`. The excess at 3 bits is the first run's
# alone: there the ratio is {glue:text}`three_first:.2f` times that at 4 bits, and {glue:text}`three_second:.2f`,
# {glue:text}`three_seed:.2f` and {glue:text}`three_rate:.2f` in the others. Outliers are part of it: AWQ's slope is
# {glue:text}`steep_awq_first:.2f` where GPTQ's is {glue:text}`steep_gptq_first:.2f`, and a rotation takes
# {glue:text}`rotation_seed_low:.0%` to {glue:text}`rotation_seed_high:.0%` off GPTQ's KL at the usual rate and
# {glue:text}`rotation_rate_low:.0%` to {glue:text}`rotation_rate_high:.0%` at half of it, where kurtosis is
# {glue:text}`kurtosis_rate:,.0f` instead of {glue:text}`kurtosis_seed:,.0f` to {glue:text}`kurtosis_second:,.0f`. They don't tell the first
# run from its second, which has the larger kurtosis.
#
# **Not known.** What this size does beyond {glue:text}`climb_end:s` tokens in any run but the first; what is the rate's, with one
# run at half of it; and whether text that is read again, from {glue:text}`read_again:s` tokens on, adds to it. On a quarter of the text, read four
# times by {glue:text}`92-what-else-moves-qid.ipynb::part_tokens:s` tokens, KL is {glue:text}`92-what-else-moves-qid.ipynb::part_kl_4_large:.2f` times the trunk's at this size and {glue:text}`92-what-else-moves-qid.ipynb::part_kl_4_middle:.2f` at the next ({numref}`tab-part`): reading
# again moves the ratio there by a few percent, far less than the climb. **What would settle it:** both new runs to {glue:text}`last_tokens:s` tokens, and
# a shallow model of this size (896 wide, 4 layers).
#
# Do laws fail at this size, then? Not on its new runs. {glue:text}`registered_laws:d` laws were asked before these were trained
# (`results/predictions.json`): at {glue:text}`climb_end:s` tokens {glue:text}`registered_hold:d` of {glue:text}`registered:d` intervals of
# {glue:text}`level:.0%` hold, and the rms of each law is {glue:text}`registered_seed_low:.2f` to {glue:text}`registered_seed_high:.2f`
# for the other seed and {glue:text}`registered_rate_low:.2f` to {glue:text}`registered_rate_high:.2f` at half the rate, within the mark.
#
# ## What models of others say of the exponents
#
# OPT models have all read the same number of tokens, and so have those of Spectra. Their slopes in $N$ need no $D$. Spectra's
# perplexity is LAMBADA's, per last *word*: another quantity, whose slope may still be compared, and never its level. Its model
# of 190M parameters is broken at 4 bits, a QiD of {glue:text}`broken:.0f` nats, and left out there.

# %% tags=["hide-input"]
printed = pd.read_csv("data/published/published_perplexities.csv")
points = published_perplexities.one_a_setting(published_perplexities.external_points(printed))
in_groups = (points["method"] == "GPTQ") & (points["group_size"] == "128")
points["family"] = points["family"].map({"opt": "OPT", "llama1": "LLaMA", "spectra": "Spectra"})
per_token = points[in_groups & ~points["per_word"]].assign(group_size=128.0)
three, four = (per_token[per_token["bits"] == bits].set_index("model")["qid_nats"] for bits in (3, 4))
positive = per_token[per_token["qid_nats"] > 0]
words_of = points[points["per_word"] & ~points["broken"] & points["bits"].isin([3, 4])]
sets = {
    "OPT": positive[positive["family"] == "OPT"],
    "OPT without 66B": positive[(positive["family"] == "OPT") & (positive["model"] != "OPT-66B")],
    "LLaMA": positive[positive["family"] == "LLaMA"],
    "Spectra, per word": words_of,
}
in_size = pd.concat(
    [published_perplexities.exponents(rows, N_PARAMS, ["bits"]).assign(points=name) for name, rows in sets.items()]
)
in_size[["exponent", "low", "high"]] *= -1
in_size = in_size.rename(columns={"low": "high", "high": "low", "exponent": "alpha"}).set_index(["points", "bits"])
in_bits = published_perplexities.exponents(positive[positive["model"] != "OPT-66B"], "bits", ["family", "model"])

# %% tags=["hide-input"] tables={"tab-others-slopes": "Slopes of QiD among models of others"}
shown = in_size.assign(cell=[f"{row.alpha:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in in_size.itertuples()])[
    "cell"
]
shown = shown.str.replace("-", "−").unstack("bits").loc[list(sets)].rename(columns="{:g} bits".format)
theirs = {f"{bits} bits": f"{law.alpha:.2f}" for bits, law in OUYANG_2024_TABLE_1.items()}
of_laws = pd.DataFrame(
    [dict.fromkeys(theirs, f"{OUYANG_2024.alpha:.2f}"), theirs, dict.fromkeys(theirs, f"{power.alpha:.2f}")]
)
of_laws.index = ["law: equation 8", "law: its table", "law: ours, power"]
pd.concat([shown, of_laws]).fillna("").rename_axis(index=None, columns=None)

# %% tags=["remove-cell"]
for name, short in (("OPT without 66B", "opt"), ("Spectra, per word", "spectra")):
    for bits in in_size.loc[name].index:
        for column in ("alpha", "low", "high"):
            put(f"{short}_{bits:g}_{column}", in_size.loc[(name, bits), column])
put_all(alpha_paper=OUYANG_2024.alpha, alpha_ours=power.alpha, broken=points.loc[points["broken"], "qid_nats"].max())
gammas = -in_bits.groupby("family")["exponent"].mean()
put_all(gamma_opt=gammas["OPT"], gamma_llama=gammas["LLaMA"], gamma_paper=OUYANG_2024.gamma, gamma_ours=power.gamma)
pairs = [("OPT-6.7B", "LLaMA-1-7B"), ("OPT-13B", "LLaMA-1-13B")]
more = per_token.drop_duplicates("model").set_index("model")[TOKENS_SEEN]
between = [np.log(one[b] / one[a]) / np.log(more[b] / more[a]) for a, b in pairs for one in (three, four)]
put_all(between_low=min(between), between_high=max(between), beta_ours=power.beta, beta_paper=OUYANG_2024.beta)
steep = in_size.loc[
    [("OPT without 66B", 3), ("OPT without 66B", 4), ("Spectra, per word", 3), ("Spectra, per word", 4)]
]
assert (steep["low"] > OUYANG_2024.alpha).all(), "the text says: equation 8's alpha is below all four intervals"
assert steep["low"].lt(power.alpha).all() and steep["high"].gt(power.alpha).all()  # noqa: PT018 (one claim)
assert all(steep.loc[(name, bits), "low"] < OUYANG_2024_TABLE_1[bits].alpha for name, bits in steep.index)
assert (in_size.loc["LLaMA", "low"] < 0).all(), "the text says: LLaMA tells nothing"
two = in_size.loc[("OPT without 66B", 2)]
assert two["low"] < OUYANG_2024.alpha < two["high"], "the text says: at 2 bits it can't be told"

# %% [markdown]
# At 3 and 4 bits OPT (without 66B) falls with $N$ to the power {glue:text}`opt_3_alpha:.2f` ({glue:text}`opt_3_low:.2f` to
# {glue:text}`opt_3_high:.2f`, 95%, one point a model) and {glue:text}`opt_4_alpha:.2f` ({glue:text}`opt_4_low:.2f` to
# {glue:text}`opt_4_high:.2f`), Spectra with {glue:text}`spectra_3_alpha:.2f` ({glue:text}`spectra_3_low:.2f` to
# {glue:text}`spectra_3_high:.2f`) and {glue:text}`spectra_4_alpha:.2f` ({glue:text}`spectra_4_low:.2f` to
# {glue:text}`spectra_4_high:.2f`). Equation 8's {glue:text}`alpha_paper:.3f` lies below all four intervals. Our
# {glue:text}`alpha_ours:.2f` lies in all four, and so do the larger exponents of the paper's own table at these widths. At 2
# bits, {glue:text}`opt_2_alpha:.2f` ({glue:text}`opt_2_low:.2f` to {glue:text}`opt_2_high:.2f`), the points can't tell. LLaMA
# tells nothing of $N$: it has four sizes, and the larger two have read more.
#
# In bits the means over models are {glue:text}`gamma_opt:.1f` for OPT and {glue:text}`gamma_llama:.1f` for LLaMA, beside
# {glue:text}`gamma_ours:.1f` of ours and {glue:text}`gamma_paper:.1f` of equation 8. In tokens there is one comparison, between two
# families that differ in everything else as well: OPT and LLaMA of equal names, at 3 and 4 bits, give exponents of
# {glue:text}`between_low:.1f` to {glue:text}`between_high:.1f`, where the laws have {glue:text}`beta_ours:.2f` and
# {glue:text}`beta_paper:.2f`.
#
# ## What the last doubling was worth
#
# There is a level of QiD that needs no law and no number picked by hand. Doubling the tokens lowers the 16-bit loss by some nats;
# rounding adds QiD. Where QiD is larger than the gain of the last doubling, rounding takes back more than that doubling brought:
# the rounded model is worse than the 16-bit one at half of the tokens.

# %% tags=["remove-cell"]
gains = training_level.gains_of_doubling(trunk)
put_all(**of_gauge.doublings(gains))
put("fig_doublings", gauge_figures.lost_doublings(gains))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_doublings
# :name: fig-doublings
# :alt: QiD over the gain of the last doubling against tokens, logarithmic axes, three panels for 2, 3 and 4 bits, one line a size. All lines rise. At 2 bits nearly all lie above one throughout, at 3 bits they cross it one after the other, small models first, at 4 bits only the smallest reach it.
#
# Training gains less and less, rounding costs more and more. Above the line rounding takes back the last doubling.
# ```
#
# At {glue:text}`last_tokens:s` tokens 2-bit rounding takes back {glue:text}`doublings_small:.0f` such gains in the smallest
# model and {glue:text}`doublings_large:.1f` in the largest. It takes back at least one in all {glue:text}`beyond_2:d` sizes at 2 bits,
# in {glue:text}`beyond_3:d` at 3 and in {glue:text}`beyond_4:d` at 4.
#
# Along a run the quotient grows by factors of {glue:text}`grown_low:.0f` to {glue:text}`grown_high:.0f`. In logarithms
# {glue:text}`shrink_low:.0%` to {glue:text}`shrink_high:.0%` of that is the denominator: gains shrink. As a gauge it has a meaning that
# 0.2 nats doesn't have, and it is the one to ask before one trains a model longer that will be rounded.
#
# ## Tokens for a given QiD
#
# This is the paper's use of the law ({doc}`chapter 8 <08-training-level>`): tokens at which QiD reaches {glue:text}`asked:g` nats per token. Ours has the
# {glue:text}`level:.0%` interval for a new run. Nearly everything here is an extrapolation; what lies inside the ranges that a
# law was fitted to is marked with •.

# %% tags=["hide-input"]
whole, _ = fit_by_run(UnifiedLaw, FitData.from_table(trunk))
ASKED = 0.2
wanted = pd.DataFrame(
    [(size, bits) for size in (1e6, 1e7, 1e9, 7e9, 70e9, 405e9) for bits in FITTED_BITS], columns=["N", "bits"]
)
size, width = (wanted[name].to_numpy(float) for name in ("N", "bits"))
asked = FitData(
    np.ones(size.size), size, width, np.full(size.size, ASKED), np.full(size.size, 1e-9), np.full(size.size, "new")
)
wanted = wanted.join(training_level.readings(whole, asked, 0.90))
wanted["equation 8"] = OUYANG_2024.tokens_at(ASKED, size, width)
wanted["its table"] = [
    OUYANG_2024_TABLE_1[bits].tokens_at(ASKED, n, bits).item() for n, bits in zip(size, wanted["bits"], strict=True)
]


# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: tokens for a given QiD by each law", "code_prompt_hide": "Table: tokens for a given QiD by each law"} tables={"tab-tokens-for-qid": "Tokens for a given QiD by each law; • marks what lies inside the ranges that a law was fitted to"}
def many(tokens):
    return count_label(tokens) if tokens < 1e15 else f"{tokens / 1e12:,.0f}T"


marks = {
    name: np.where(one.validity.contains(wanted[tokens], size, width), " •", "")
    for name, tokens, one in (
        ("ours", "read", whole.law),
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
put_all(
    out_tokens=np.log10(row["low"] / whole.law.validity.tokens[1]),
    out_size=np.log10(70e9 / whole.law.validity.n_params[1]),
)
put("out_paper", np.log10(PUBLIC / OUYANG_2024.validity.tokens[1]))
lost = training_level.tokens_of_lost_doubling(OUYANG_2024, OUYANG_2024_LOSS, 70e9, 4).item()
put_all(lost=count_label(lost), lost_before=np.log2(PUBLIC / lost))
assert row["equation 8"] < PUBLIC < row["its table"], "the text says: the paper's own laws disagree on it"
assert row["low"] > PUBLIC, "the text says that ours, taken at its word, says undertrained"
assert not whole.law.validity.contains(PUBLIC, 70e9, 4), "an extrapolation"
assert lost < PUBLIC

evaluations = pd.read_csv("data/published/pythia_public_evals.csv").query("metric == 'acc' and deduped")
last_step = evaluations["step"].max()
half_way = evaluations.loc[evaluations["step"] <= last_step / 2 * 1.05, "step"].max()
pair = [evaluations[evaluations["step"] == step].set_index("n_params_non_embedding") for step in (half_way, last_step)]
change = (pair[1]["value"] - pair[0]["value"]) / np.hypot(pair[0]["stderr"], pair[1]["stderr"])
put_all(pythias=len(change), accuracy_up=int((change > 2).sum()), accuracy_down=int((change < -2).sum()))
put_all(accuracy_down_size=count_label(change[change < -2].index.max()), accuracy_times=last_step / half_way)
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
# ## How far points of others can be trusted
#
# *Measured over predicted QiD: geometric mean, in brackets the typical factor off (root mean square). Without OPT-66B and a QiD of
# zero.*

# %% tags=["hide-input"] tables={"tab-others-factors": "Measured over predicted QiD of models of others"}
factors = others.factors_of(others.over_laws(others.points_of_others(printed), stored))
others.factors_table(factors)

# %% tags=["remove-cell"]
token_bytes = (measured["n_bytes"] / measured["n_tokens"]).iloc[0]
put_all(**others.trust_in_points(printed, factors, stored, token_bytes))

# %% [markdown]
# {glue:text}`in_box:d` of the points lie inside the ranges that equation 8 was fitted to. OPT-66B loses {glue:text}`outlier:.0f` times
# as much as OPT-30B at 3 bits; {cite:t}`frantar2023gptq` found dead units in its early layers. So a printed number can stand for one
# model's accident. {glue:text}`zeros:d` QiD are zero as printed, with two decimals of perplexity.
#
# Where two sources print the same setting, {glue:text}`twice:d` times, their QiD differ by a factor of
# {glue:text}`twice_median:.2f` in the median and {glue:text}`twice_most:.2f` at most. Groups of 128 lose {glue:text}`coarser:.2f`
# times as much as groups of 32 by our own law ($\eta$ = {glue:text}`eta:.2f`), which explains little of what its law of the loss misses.
#
# Tokens aren't the same thing either. A nat per token of our models is one per {glue:text}`own_bytes:.2f` bytes of Python; OPT
# and LLaMA have larger vocabularies and read English, so that their tokens will be longer; the sources don't say how long. Per
# byte their QiD is then smaller and their $D$ larger than we took them for, and both lower the points of our laws. Were their
# tokens twice as long, the points of our power law would fall by a factor of {glue:text}`byte_factor:.1f`, to
# {glue:text}`byte_opt:.2f` and {glue:text}`byte_llama:.2f`.
#
# ## What this does not show
#
# - **How a law does at the largest size.** One run was followed to the end; the other three stop at half of its tokens.
# - **Causes.** Rotations and rates were tried in one run each.
