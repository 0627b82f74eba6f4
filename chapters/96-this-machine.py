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
# # This machine finds what the study found
#
# *Do the rows that this machine measured say the same as those that came with the book?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** On this machine QiD rises from the first checkpoint to the last in {glue:text}`mine_rising:d` of
#   {glue:text}`mine_series:d` series of a size and a bit width, by more than twice the error of the change.
# - **How sure.** {glue:text}`sweep_checkpoints:d` checkpoints of {glue:text}`sweep_models:d` small models, rounded here and on a GPU with
#   the same settings. Rounding to nearest agrees to the last digits; GPTQ agrees to about what another calibration text would change.
# - **Use it for.** Checking the book on a computer of your own: `make book` measures these rows again.
# ```
#
# The pocket sweep measures the models that come with the book, in minutes, on a CPU. This page is made of its rows, and where the book is
# built anew, of the builder's. {term}`Intervals <interval>` run over documents; those of scored text and of fits over training runs.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData, FitError
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.questions.trends import trends
from helpers.analyse.questions.twins import ratios_to_twins
from helpers.analyse.rows.degradation import TOKENS_SEEN, degradation
from helpers.analyse.rows.devices import agreement_in_seeds, device_agreement
from helpers.analyse.rows.noise import calibration_spread
from helpers.analyse.rows.scored_text import scored_both_ways, scored_text_relative
from helpers.analyse.rows.selection import commonest_scheme, rows_of_fit, rows_of_sweep
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    HELDOUT,
    LATE_TOKENS,
    POCKET,
    STUDY,
    agreeing,
    study_rows,
)
from helpers.show.figures import comparisons
from helpers.show.figures import qid as figures
from helpers.show.glue import put, put_all
from helpers.show.markdown import code, plain
from helpers.show.numbers.learn import rounding as by_two
from helpers.show.style import count_label, use_house_style
from helpers.show.tables import agreement_table, fits_table
from helpers.table.errors import AnalysisError
from helpers.table.files import read_table

use_house_style()

BITS = list(FITTED_BITS)

# %% tags=["hide-input"]
measured = read_table("results/measurements.parquet").to_pandas()
local = read_table(results_path).to_pandas()
local = rows_of_sweep(local[local["device_type"] == device], Path(sweep))
local = local[local["method"].isin(["none", "rtn", "gptq"])]
local = local[local["eval_dataset"] == local["eval_dataset"].mode()[0]]  # of several texts one
mine = degradation(local)
if "gptq" not in set(mine["method"]):
    display(
        Markdown("**This sweep rounds nothing with GPTQ.** What is said of GPTQ's rows here is of round-to-nearest.")
    )
mine_gptq = commonest_scheme(mine, "gptq" if "gptq" in set(mine["method"]) else "rtn")

# %% tags=["remove-cell"]
put("sweep_checkpoints", mine["checkpoint_id"].nunique())
put("sweep_models", mine["model"].nunique())
put("sweep_minutes", local["wall_seconds"].sum() / 60)
put("early_tokens", count_label(LATE_TOKENS))

# %% [markdown]
# Measuring them took this machine {glue:text}`sweep_minutes:.1f` minutes.
#
# ## The rows of this machine

# %% tags=["remove-cell"]
branched = mine_gptq["branched_from"].notna()
mine_trends = trends(mine_gptq[~branched], TOKENS_SEEN, ["run_label", "bits"])
put("fig_mine", figures.qid_against_tokens(mine_gptq))
plt.close("all")
put("mine_series", len(mine_trends))
put("mine_rising", int((mine_trends["change_nats"] > 2 * mine_trends["change_se_nats"]).sum()))
put("mine_steps", int(mine_trends["n_steps"].sum()))
put("mine_up", int(mine_trends["n_up"].sum()))
put("mine_low", count_label(mine_gptq[TOKENS_SEEN].min()))
put("mine_high", count_label(mine_gptq[TOKENS_SEEN].max()))

# %% [markdown]
# ```{glue:figure} fig_mine
# :name: fig-mine
# :alt: QiD against training tokens on logarithmic axes, one panel for each bit width and one line for each model that this machine measured. A hollow marker, where there is one, is a run whose learning rate has decayed.
#
# Measured on this machine, GPTQ: QiD rises from the first to the last checkpoint, by more than twice the error of the change, in
# {glue:text}`mine_rising:d` of {glue:text}`mine_series:d` series. Hollow: a branch whose learning rate has decayed. Bars: one paired error.
# ```
#
# {numref}`fig-mine` runs from {glue:text}`mine_low:s` to {glue:text}`mine_high:s` tokens. From one checkpoint to the next QiD
# goes up in {glue:text}`mine_up:d` of {glue:text}`mine_steps:d` steps.

# %% tags=["remove-input"]
named = mine_gptq.assign(twin=mine_gptq["model"])
ended = branched & (named["learning_rate"] == 0)
try:
    twins = ratios_to_twins(named[ended], named[~branched], ["run_label", TOKENS_SEEN, "bits"])
except AnalysisError as error:
    twins = pd.DataFrame({"run_label": [], TOKENS_SEEN: []})
    display(
        Markdown(
            f"**This sweep has no branch with a decayed learning rate:** {plain(error)}. The study below has some."
        )
    )
for (run, tokens), one in twins.groupby(["run_label", TOKENS_SEEN]):
    cells = [f"{row.ratio:.2f} [{row.low:.2f}, {row.high:.2f}] at {row.bits:g} bits" for row in one.itertuples()]
    change, error = one[["loss_change_nats", "loss_change_se_nats"]].iloc[0]
    change = f"{change:+.3f}".replace("-", "−")
    display(
        Markdown(
            f"**Tokens or decay?** {code(run.rsplit('/', 1)[-1])} branched off another run, and its learning rate fell to zero on the way to "
            f"{count_label(tokens)} tokens. Its twin read the same tokens at the constant rate. The QiD of the one is that of the other times "
            f"{', '.join(cells)} (95% intervals over documents; another draw of calibration text would move each by some percent). The "
            f"16-bit loss changes by {change} ± {error:.3f} nats per token. What differs is the learning rate alone; more on it below."
        )
    )

# %% [markdown]
# ## Does this machine agree with the stored rows?
#
# The same checkpoints were rounded and scored on the GPU with the same settings as here. If measuring is reproducible, both must
# give the same QiD. "The same" needs a yardstick. We take the calibration text: drawn anew with another seed, it gives another
# GPTQ and another QiD, and no seed is better than the other. The pocket models were rounded on the GPU with several seeds at
# their last checkpoint.

# %% tags=["remove-input"]
on_gpu = measured[measured["device_type"] == "cuda"]
same_text = degradation(on_gpu[on_gpu["eval_id"].isin(mine["eval_id"])])
try:
    seeds = calibration_spread(same_text[same_text["method"] == "gptq"])
    agreement = agreement_in_seeds(device_agreement(mine, same_text), seeds)
except AnalysisError as error:
    agreement = None
    display(Markdown(f"**There is no comparison for this sweep:** {plain(error)}."))

# %% tags=["remove-input"]
if agreement is not None:
    rounded = agreement[agreement["method"] == "gptq"]
    nearest = agreement[agreement["method"] == "rtn"]
    bases = local.merge(on_gpu, on=["checkpoint_id", "scheme_id", "eval_id"])
    bases = bases[bases["method_x"] == "none"]
    base_gap = (bases["loss_nats_x"] - bases["loss_nats_y"]).abs().max()
    within = (rounded["difference_in_seeds"].abs() < 2).groupby(rounded[TOKENS_SEEN] > LATE_TOKENS).agg(["sum", "size"])
    counts = " and ".join(
        f"{row['sum']} of {row['size']} rows {'beyond' if is_late else 'before'} {count_label(LATE_TOKENS)} tokens"
        for is_late, row in within.sort_index(ascending=False).iterrows()
    )
    spreads = ", ".join(f"{row.relative_sd:.1%} at {bits:g} bits" for bits, row in seeds.iterrows())
    clear = rounded[rounded["qid_nats_cuda"] > 3 * rounded["qid_se_nats_cuda"]]
    worst = clear.loc[clear["difference_in_seeds"].abs().idxmax()]
    same = rounded["difference_nats"].abs() < 1e-5
    rtn_gap = nearest["difference_nats"].abs().max()
    by_rtn = f", and the QiD of {len(nearest)} RTN rows by at most {rtn_gap:.0e}" if len(nearest) else ""
    display(
        Markdown(
            f"**What agrees exactly.** The 16-bit losses of {len(bases)} checkpoints differ by at most {base_gap:.0e} nats per token{by_rtn}. "
            f"That is single precision. Of {len(rounded)} GPTQ rows, {same.sum()} agree to less than 0.00001 nats.\n\n"
            f"**What doesn't.** The other {(~same).sum()} differ by up to {rounded['difference_nats'].abs().max():.3f} nats (median "
            f"{rounded['difference_nats'][~same].abs().median():.4f}), and by up to "
            f"{rounded['difference_in_own_se'][~same].abs().max():.0f} times the paired error of the difference. Of the QiDs that exceed three errors, farthest off relative to its size is "
            f"{code(worst['model'])} after {count_label(worst[TOKENS_SEEN])} tokens at {worst['bits']:g} bits: {worst['qid_nats_cpu']:.4f} here and "
            f"{worst['qid_nats_cuda']:.4f} in the table.\n\n"
            f"**Does it matter?** Between calibration seeds QiD scatters by {spreads} (standard deviation relative to QiD). "
            f"{counts} differ between the machines by less than twice what two seeds typically differ by. The seeds were tried at the last checkpoint, "
            f"where QiD is large. A small early QiD may scatter by more of itself."
        )
    )

# %% tags=["remove-cell"]
if agreement is None:
    put("fig_devices", comparisons.note("No stored rows of this sweep's checkpoints to compare with"))
else:
    put("fig_devices", comparisons.device_differences(rounded).figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_devices
# :name: fig-devices
# :alt: Difference between the QiD of this machine and the stored one, in units of what two calibration seeds differ by, against training tokens, coloured by bits; a band marks minus two to two. The points of many tokens lie in the band, some of those of few tokens far outside.
#
# GPTQ on this machine against the stored rows, in units of the difference that two calibration seeds make at the last checkpoint.
# The band goes from −2 to 2.
# ```
#
# Why is RTN exact and GPTQ not? RTN decides each weight by itself, so that a difference in the ninth digit changes nothing unless a
# weight lies on the border of two grid points. GPTQ rounds column after column, and each decision moves what comes later. One
# weight that falls to the other side sends the rest of its row, and then the next block, another way. The result is another
# solution, about as good. Where no weight falls to the other side, the two agree to the last digits. The paired error doesn't know
# of this: it says how well one solution is measured on these documents, not how much another solution would differ.
#
# The table gives every checkpoint: QiD here, then its difference to the stored row, both in nats per token. In brackets stands the
# difference over its own paired error.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: every checkpoint on this machine", "code_prompt_hide": "Table: every checkpoint on this machine"} tables={"tab-here": "QiD on this machine, and its difference to the stored row"}
if agreement is not None:
    display(agreement_table(rounded))

# %% tags=["remove-cell"]
# One checkpoint by two protocols: the first draw of calibration text, the mean over draws, and RTN, which has none.
MODEL, AT_3 = "tadpole-128x3", {"bits": 3, "group_size": GROUP_SIZE, "symmetric": False}
of_model = measured[
    (measured["run"] == MODEL) & (measured["step"] == measured.loc[measured["run"] == "tadpole-128x3", "step"].max())
]
of_model = of_model[(of_model["eval_dataset"] == HELDOUT) & of_model["method"].isin(["none", "gptq"])]
draws = {}
for name, values in (("pocket", POCKET), ("study", STUDY)):
    alike = degradation(of_model[agreeing(of_model, values)])
    alike = (
        alike[agreeing(alike, AT_3 | {"grid_search": "minmax", "order": "given"})].set_index("calib_seed").sort_index()
    )
    draws[name] = alike["qid_nats"]
    put(f"protocol_{name}", alike.loc[0, "qid_nats"])
    put(f"protocol_{name}_mean", alike["qid_nats"].mean())
    put(f"protocol_{name}_calibration", int(alike["calib_sequences"].max()))
    put(f"protocol_{name}_blocks", values["n_sequences"] // int(alike["n_documents"].max()))
put("protocol_model", MODEL)
put("protocol_draws", len(draws["study"]))
put("protocol_documents", int(alike["n_documents"].max()))
put("protocol_ratio", draws["pocket"].loc[0] / draws["study"].loc[0])
put("protocol_ratio_mean", draws["pocket"].mean() / draws["study"].mean())
assert (draws["pocket"].index == draws["study"].index).all(), "the text says: so many draws of each"
by_text = scored_both_ways(measured)
by_text = scored_text_relative(by_text[by_text[TOKENS_SEEN] > LATE_TOKENS]).loc["rtn"]
for bits in BITS:
    for column in ("ratio", "low", "high"):
        put(f"protocol_{column}_{bits}", by_text.loc[bits, column])
put("protocol_runs", int(by_text["n_runs"].max()))

# %% [markdown]
# ## One checkpoint, two numbers
#
# At 3 bits {glue:text}`protocol_model:s`, at its last checkpoint, has a QiD of
# {glue:text}`protocol_study:.3f` in {doc}`chapter 1 <01-the-question>` and in the study, and {glue:text}`protocol_pocket:.3f` in
# the pocket sweep. Of each of the same {glue:text}`protocol_documents:d` documents the study scores the first
# {glue:text}`protocol_study_blocks:d` blocks of 512 tokens, the pocket sweep {glue:text}`protocol_pocket_blocks:d`; they
# calibrate on {glue:text}`protocol_study_calibration:d` and {glue:text}`protocol_pocket_calibration:d` sequences. The scored text
# makes a part of it: on the first block RTN, which needs no calibration, loses {glue:text}`protocol_ratio_2:.2f`
# [{glue:text}`protocol_low_2:.2f`, {glue:text}`protocol_high_2:.2f`], {glue:text}`protocol_ratio_3:.2f`
# [{glue:text}`protocol_low_3:.2f`, {glue:text}`protocol_high_3:.2f`] and {glue:text}`protocol_ratio_4:.2f`
# [{glue:text}`protocol_low_4:.2f`, {glue:text}`protocol_high_4:.2f`] times as much as on all four, at 2, 3 and 4 bits (beyond
# {glue:text}`early_tokens:s` tokens, over {glue:text}`protocol_runs:d` runs). Calibration makes the rest: over
# {glue:text}`protocol_draws:d` draws each the means are {glue:text}`protocol_pocket_mean:.3f` and
# {glue:text}`protocol_study_mean:.3f`, a factor of {glue:text}`protocol_ratio_mean:.2f` where the first draws have
# {glue:text}`protocol_ratio:.2f`. So only numbers of one protocol are compared below; {doc}`chapter 11 <11-noise-floor>` has what else moves
# one.
#
# ## A second opinion on GPTQ
#
# Auto-gptq is a well-known implementation of GPTQ that is no longer developed. Layer by layer it and our solver choose the same
# codes but for a handful; a test of the book demands it. Both rounded the whole of {glue:text}`protocol_model:s` on this machine.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: QiD by both programs, nats per token", "code_prompt_hide": "Table: QiD by both programs, nats per token"} tables={"tab-second-opinion": "QiD by our solver and by auto-gptq, nats per token"}
own = read_table(results_path).to_pandas()
own = own[(own["device_type"] == device) & (own["run"] == MODEL) & (own["step"] == of_model["step"].max())]
pairs = by_two.both_programs(own[own["calib_seed"].fillna(0) == 0])
pd.DataFrame(
    {
        "group size": pairs["group_size"].map("{:.0f}".format),
        "bits": pairs["bits"].map("{:.0f}".format),
        "ours": pairs["qid_nats"].map("{:.4f}".format) + pairs["qid_se_nats"].map(" ± {:.4f}".format),
        "auto-gptq": pairs["qid_nats_auto"].map("{:.4f}".format) + pairs["qid_se_nats_auto"].map(" ± {:.4f}".format),
        "difference": pairs["difference"].map("{:+.4f}".format) + pairs["difference_se"].map(" ± {:.4f}".format),
    }
).replace("-", "−", regex=True).set_index(["group size", "bits"])

# %% tags=["remove-cell"]
put_all(**by_two.second_opinion(pairs))

# %% [markdown]
# In {glue:text}`n_same:d` of the {glue:text}`n_pairs:d` cases the two agree to within {glue:text}`same:.6f` nats per token: they rounded
# the whole model alike. Elsewhere they differ by up to {glue:text}`relative_highest:.0%` of QiD, in {glue:text}`n_beyond:d` cases by more
# than two of the difference's own errors (over documents). Two reasons are known. The two add in different orders, and a weight almost
# half-way between two grid points goes up or down by the last digit of a sum, as above. And auto-gptq fits the grids of
# shorter groups to weights that are not yet corrected for errors in the same block of 128 columns; ours fits each to the weights as
# corrected so far. Agreement doesn't make both right; it makes a slip in either less likely.
#
# ## A law from this machine's rows

# %% tags=["remove-input"] tables={"tab-law-here": "The law from this machine's rows and from the study's"}
rows = rows_of_fit(degradation(study_rows(measured)), "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
fit, _ = fit_by_run(UnifiedLaw, FitData.from_table(rows[rows["bits"].isin(BITS)]))
fitted = mine_gptq[~branched & (mine_gptq[TOKENS_SEEN] > LATE_TOKENS)]  # no branch, and so no decay
try:
    my_fit, no_interval_here = fit_by_run(UnifiedLaw, FitData.from_table(fitted))
    display(fits_table({"machine": my_fit, "study": fit}))
    if no_interval_here:
        display(Markdown("The runs of this machine are too few for an interval of every exponent."))
except FitError:
    display(fits_table({"study": fit}))
    display(Markdown("The rows of this machine don't tell the law's exponents: too few sizes, moments or bit widths."))

# %% tags=["remove-cell"]
put_all(machine_rows=len(fitted), machine_models=fitted["model"].nunique())

# %% [markdown]
# The first line is fitted to the {glue:text}`machine_rows:d` GPTQ rows of {glue:text}`machine_models:d` models that this machine measured beyond
# {glue:text}`early_tokens:s` tokens, the second to the study. Runs that branch off to let the learning rate decay
# are left out of both. The fewer runs there are, the wider are honest
# intervals; where runs are too few for any, the first line shows the estimates alone.
#
# ## What this does not show
#
# - **Another machine than this one.** Another processor adds in another order, and GPTQ's rows will differ as they do here.
# - **Larger models.** The pocket models are narrow and of one depth.
