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
# # Weights grow, and rounding moves them further
#
# *What is it in a trained model that makes rounding cost more?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** Half the curvature's trace times the variance of the rounding error predicts QiD at 3 bits with nothing
#   fitted: measured over predicted is {glue:text}`rtn_3:.2f` [{glue:text}`rtn_3_low:.2f`, {glue:text}`rtn_3_high:.2f`]
#   (rounding to nearest, 95% over training runs).
# - **How sure.** {glue:text}`n_checkpoints:d` checkpoints of {glue:text}`n_runs:d` runs up to {glue:text}`largest:s`
#   parameters. It is an account of QiD, not a cause shown; it is worse at 2 bits and at the end of the largest run.
# - **Use it for.** Understanding why training makes rounding dearer: the loss mostly gets flatter, but larger weights are moved by
#   more.
# ```
#
# Other chapters say by how much QiD grows with tokens and shrinks with size. They don't say why. This one looks at three things
# that can be known of a checkpoint before it is rounded: how far training still moves the weights, how sharply the loss bends around
# them, and how heavy their tails are. Each is put beside the QiD that was measured. None of it is an experiment on the cause: what goes
# together need not cause each other. {term}`Intervals <interval>` run over training runs, a run and its branches counted
# together; where they run over sizes, that is said.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import itertools
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from scipy import stats

from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.scoring import compared
from helpers.analyse.questions import mechanism, quadratic_rule
from helpers.analyse.questions.slopes_of_ratios import log_mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.design import part_of_study
from helpers.analyse.rows.outcomes import OUTCOMES, QID
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import LATE_TOKENS, NINTH, NINTH_RATE, TRUNK, on_trunk, rows_of_every_run
from helpers.show.figures import mechanism as mechanism_figures
from helpers.show.glue import put_all
from helpers.show.style import count_label, use_house_style
from helpers.table.families.catalogue import read_manifest
from helpers.table.files import read_checkpoints, read_table

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here
from helpers.measure.describing import curvature, weight_statistics
from helpers.measure.describing.checkpoint_rows import DEFAULT_SAMPLE, GROUP_SIZE
from helpers.measure.models import activations, checkpoints
from helpers.measure.models.decoders import decoder_of
from helpers.measure.models.precision import matrix_products
from helpers.measure.text import corpus_lock, token_blocks

use_house_style()


def put_interval(name, row):
    """Glue a value and the ends of its interval."""
    put_all(**{name: row.iloc[0], f"{name}_low": row.iloc[1], f"{name}_high": row.iloc[2]})


def of(table, method, bits):
    return table[(table["method"] == method) & (table["bits"] == bits)]


# %% [markdown]
# ## The rows
#
# `results/checkpoints.parquet` has one row for each checkpoint of the study ({doc}`appendix D <95-files-and-curvature>` says what is in it). We
# join it by the hash of the weights to the QiDs of RTN and GPTQ at 2, 3 and 4 bits, on asymmetric groups of 32 and held-out text.
# Averages of weights are left out.

# %% tags=["hide-input"]
described = mechanism.describe(read_checkpoints("results/checkpoints.parquet").to_pandas())
every = degradation(rows_of_every_run(read_table("results/measurements.parquet").to_pandas()))
rounded = pd.concat([rows_of_fit(every, method, 32, symmetric=False) for method in ("gptq", "rtn")])
joined = mechanism.with_description(rounded, described)
late = joined[joined[TOKENS_SEEN] > LATE_TOKENS]
trunk, late_trunk = joined[on_trunk(joined)], late[on_trunk(late)]

# %% tags=["remove-cell"]
counted = joined.drop_duplicates("weights_sha256")
put_all(n_checkpoints=len(counted), n_runs=counted["run_label"].nunique(), n_sizes=trunk[N_PARAMS].nunique())
put_all(
    smallest=count_label(trunk[N_PARAMS].min()),
    largest=count_label(trunk[N_PARAMS].max()),
    early=count_label(LATE_TOKENS),
)
put_all(most_tokens=count_label(trunk[TOKENS_SEEN].max()), probes=int(described["hessian_probes"].iloc[0]))
assert (rounded["epochs"] <= 4).all(), "the text says that no run reads its text more than four times"

# %% [markdown]
# There are {glue:text}`n_checkpoints:d` checkpoints of {glue:text}`n_runs:d` training runs: all but the second runs and their cooldowns,
# which were scored on less text. The trunk, {glue:text}`n_sizes:d` sizes
# from {glue:text}`smallest:s` to {glue:text}`largest:s` parameters at one constant learning rate, up to {glue:text}`most_tokens:s`
# tokens, carries most of this chapter. Beyond {glue:text}`early:s` tokens its checkpoints are a quarter of the tokens apart. Runs read
# their text at most four times. All statements about a trend count training runs, not rows.
#
# Can these rows be trusted? One of them is made again here, from the smallest pocket checkpoint whose predecessor came with the book
# too.

# %% tags=["hide-input", "remove-stderr"]
pocket = read_manifest(Path("data/tadpole"))
spec_of = {(spec.run, spec.step): spec for spec in pocket}
stored_rows = described[described["weights_sha256"].isin([spec.weights_sha256 for spec in pocket])]
has_previous = [(row.run, row.previous_step) in spec_of for row in stored_rows.itertuples()]
stored = stored_rows[has_previous].sort_values([N_PARAMS, "step"]).iloc[0]


def matrices_at(run, step):
    """Read the matrices of a pocket checkpoint, in the order of the table's lists."""
    spec = spec_of[run, step]
    names = stored_rows.loc[stored_rows["weights_sha256"] == spec.weights_sha256, "matrices"].iloc[0]
    with safe_open(checkpoints.weight_files(Path(spec.location))[0], "pt") as file:
        return [file.get_tensor(f"gpt_neox.layers.{name}.weight").float() for name in names]


sample, lock = DEFAULT_SAMPLE, corpus_lock.read_lock()
tokenizer = checkpoints.tokenizer_of(Path("data/tadpole"))
blocks = token_blocks.heldout_blocks(lock.evaluation, tokenizer, sample.heldout_sequences, sample.heldout_seq_len)
extent = sample.calib_sequences, sample.calib_seq_len, sample.calib_seed
calibration, calib_sha256 = token_blocks.calibration_tokens(lock.calibration, tokenizer, *extent)

decoder = decoder_of(checkpoints.load(checkpoints.fetch(spec_of[stored["run"], stored["step"]]), device))
weights, before = (matrices_at(stored["run"], stored[step]) for step in ("step", "previous_step"))
some = blocks.tokens[:: len(blocks.tokens) // sample.hessian_sequences]
some = some[: sample.hessian_sequences, : sample.hessian_seq_len + 1]
with matrix_products("float32"):
    generator = torch.Generator().manual_seed(sample.hessian_seed)
    trace = curvature.hessian_trace(decoder, some, sample.hessian_probes, generator)
    input_kurtosis = activations.input_outliers(decoder, calibration)[1]
changes = [weight_statistics.relative_distance(*pair).item() for pair in zip(weights, before, strict=True)]
errors = [weight_statistics.rounding_error(weight, 3, GROUP_SIZE).item() for weight in weights]
here = {
    "trace of the Hessian (nats per squared weight)": (trace.total, stored["hessian_trace"]),
    "relative weight change (median matrix)": (np.median(changes), np.median(stored["weight_change"])),
    "relative rounding error, 3 bits (median matrix)": (np.median(errors), np.median(stored["rtn_error_3_bits"])),
    "kurtosis of weights (median matrix)": (
        np.median([weight_statistics.kurtosis(weight).item() for weight in weights]),
        np.median(stored["weight_kurtosis"]),
    ),
    "kurtosis of inputs (median matrix)": (np.median(input_kurtosis.tolist()), np.median(stored["input_kurtosis"])),
}
comparison = pd.DataFrame.from_dict(here, orient="index", columns=["made here", "stored"])

# %% tags=["remove-input"]
comparison.map("{:.4f}".format)

# %% tags=["remove-cell"]
same_text = blocks.sha256 == stored["eval_sha256"] and calib_sha256 == stored["calib_sha256"]
apart = (comparison["made here"] / comparison["stored"] - 1).abs().max()
put_all(live_model=stored["model"], live_step=stored["step"], live_apart=100 * apart)
put_all(trace_se=100 * stored["hessian_trace_se"] / stored["hessian_trace"])
put_all(
    live_text="the same" if same_text else "not the same, because the packages installed here are not the locked ones"
)
assert not same_text or apart < 0.002, "the text says that the row comes back"

# %% [markdown]
# This is {glue:text}`live_model:s` at step {glue:text}`live_step:d`. The text read here is {glue:text}`live_text:s`; the largest
# relative difference between the two columns is {glue:text}`live_apart:.6f`%. The trace is an estimate from {glue:text}`probes:d`
# random probes (Hutchinson) with a standard error of {glue:text}`trace_se:.1f`%; it agrees better than that because both machines draw
# the same probes.
#
# ## How far training moves the weights
#
# Ouyang et al. {cite:p}`ouyang2025lowbit` give an intuition (their figure 12). The weights of an undertrained model change much from
# one checkpoint to the next. Rounding is then one more small change. Late in training the weights hardly move, and the same rounding
# leaves the narrow band they live in. If so, the movement should fall below the rounding error somewhere, and QiD should rise there.
#
# Both are measured as a share of the norm: $\lVert W_t - W_{t-1} \rVert / \lVert W_{t-1} \rVert$ for the change,
# $\lVert W - Q \rVert / \lVert W \rVert$ for the error of RTN, all matrices together. Neither has a unit.

# %% tags=["remove-cell"]
moving = described[on_trunk(described) & (described[TOKENS_SEEN] > LATE_TOKENS)]
ends = described[(described["schedule"] == "cooldown") & (described["learning_rate"] == 0)]
spacing = moving["step"] / moving["previous_step"]
assert spacing.between(1.2, 1.3).all(), "the text says that neighbours are a quarter of the tokens apart"
axes = mechanism_figures.change_and_rounding(described[on_trunk(described) & described["change"].notna()], ends)
axes.axvline(LATE_TOKENS, color="#9aa0a8", linewidth=1.0, linestyle=":")
put_all(fig_change=axes.figure)
plt.close("all")


def growth(table, column):
    """Return last over first of each run, geometric mean with its interval over runs."""
    by_run = table.sort_values(TOKENS_SEEN).groupby("run")[column]
    found = mean_over_runs(np.log(by_run.last() / by_run.first()))
    return np.exp(pd.Series([found["mean"], found["low"], found["high"]]))


change_growth = growth(moving, "change")
growths = {method: growth(of(late_trunk, method, 3), "qid_nats") for method in ("rtn", "gptq")}
put_interval("change_growth", change_growth)
put_interval("rtn_growth", growths["rtn"])
put_interval("gptq_growth", growths["gptq"])
over = {bits: moving["change"] / moving[f"rounding_{bits}"] for bits in (2, 3, 4)}
put_all(**{f"rounding_{bits}": moving[f"rounding_{bits}"].mean() for bits in (2, 3, 4)})
put_all(
    over_3_lowest=over[3].min(),
    over_4_lowest=over[4].min(),
    n_over_2=int((over[2] >= 1).sum()),
    n_moving=len(moving),
    over_2_mean=over[2].mean(),
)
put_all(change_lowest=moving["change"].min(), change_highest=moving["change"].max())
constant = described[(described["schedule"] == "constant") & (described["n_averaged"] == 1)]
constant = constant[(constant[TOKENS_SEEN] > LATE_TOKENS) & constant["change"].notna()]
put_all(n_constant=constant["cluster"].nunique())
assert (constant["change"] > constant["rounding_3"]).all(), "the text says so of all runs of constant rate"
assert over[3].min() > 1, "the text says that the change never falls below the error of 3 bits"
assert over[2].max() < 1.02, "and stays below that of 2 bits, or reaches it"
assert over[2].mean() < 1
assert change_growth.iloc[2] < 1 < min(growths["rtn"].iloc[1], growths["gptq"].iloc[1]), "it falls, and QiD rises"
of_end = ends["change"] / ends["rounding_3"]
of_end_4 = ends["change"] / ends["rounding_4"]
put_all(end_3=of_end.mean(), end_3_highest=of_end.max(), end_4=of_end_4.mean(), n_ends=len(ends))
assert of_end.max() < 1, "the text says that decay takes the change below the error of 3 bits"

# %% [markdown]
# ```{glue:figure} fig_change
# :name: fig-change
# :alt: Relative weight change against training tokens on logarithmic axes, one line a size. Lines rise, peak, drop and then, beyond a dotted line, run nearly flat between the bands of the rounding errors of 2 and 3 bits. Hollow markers, the ends of cooldowns, lie far below, around the band of 4 bits.
#
# At a constant learning rate, weights go on moving by nearly the same share from one checkpoint to the next: more than rounding to 3
# bits moves them, at most about as much as 2 bits. In the second half of a cooldown (hollow) they move less. Right of the dotted line
# checkpoints are a quarter of the tokens apart; left of it spacing varies, up to a doubling. Horizontal bands: errors of RTN.
# ```
#
# - **Rounding** moves the weights by {glue:text}`rounding_2:.3f`, {glue:text}`rounding_3:.3f` and {glue:text}`rounding_4:.3f` of their
#   norm at 2, 3 and 4 bits, at all times and sizes alike.
# - **Training** moves them by {glue:text}`change_lowest:.2f` to {glue:text}`change_highest:.2f` for a quarter more tokens. There is no
#   crossing on the trunk beyond {glue:text}`early:s` tokens. The change stays above the error of 3 bits (at least
#   {glue:text}`over_3_lowest:.2f` times) and of 4 bits ({glue:text}`over_4_lowest:.1f` times). Below the error of 2 bits it is from the
#   start, {glue:text}`over_2_mean:.2f` times it on the mean, but for {glue:text}`n_over_2:d` of {glue:text}`n_moving:d` checkpoints,
#   which reach it. In all {glue:text}`n_constant:d` runs of constant rate, of whatever peak, depth or weight decay, the change stays
#   above the error of 3 bits.
# - **QiD rises anyhow.** From the first of these checkpoints to the last, the change goes to {glue:text}`change_growth:.2f` of what it
#   was ({glue:text}`change_growth_low:.2f` to {glue:text}`change_growth_high:.2f`, over training runs), while QiD at 3 bits rises
#   {glue:text}`rtn_growth:.1f` times with RTN ({glue:text}`rtn_growth_low:.1f` to {glue:text}`rtn_growth_high:.1f`) and
#   {glue:text}`gptq_growth:.1f` times with GPTQ ({glue:text}`gptq_growth_low:.1f` to {glue:text}`gptq_growth_high:.1f`).
# - **Decay crosses.** At the end of all {glue:text}`n_ends:d` cooldowns, those of the second runs among them, the change is below the error of 3 bits, {glue:text}`end_3:.2f`
#   times it on the mean and at most {glue:text}`end_3_highest:.2f`, and near that of 4 bits ({glue:text}`end_4:.2f` times). This last
#   change covers half of a cooldown only, so part of the fall is the shorter way. What QiD does there comes below.

# %% tags=["hide-input"]
logs = of(late_trunk, "rtn", 3).assign(
    qid=lambda t: np.log(t["qid_nats"]), size=lambda t: np.log(t[N_PARAMS]), tokens=lambda t: np.log(t[TOKENS_SEEN])
)
logs["change"] = np.log(logs["change"])
adds = mechanism.nested(
    logs["qid"], logs, {"size, tokens": ["size", "tokens"], "and change": ["size", "tokens", "change"]}, logs["cluster"]
)
by_change = mechanism.regression(logs["qid"], logs[["size", "tokens", "change"]], logs["cluster"]).loc["change"]

# %% tags=["remove-cell"]
put_interval("slope_change", by_change)
put_all(change_rank=stats.spearmanr(logs["change"], logs["qid"])[0])
put_all(sd_without=adds.loc["size, tokens", "residual_sd"], sd_with=adds.loc["and change", "residual_sd"])
assert stats.spearmanr(logs["change"], logs["qid"])[0] < 0, "the text says that small change goes with large QiD"
assert by_change["low"] < 0 < by_change["high"], "the text says that nothing is left at equal size and tokens"

# %% [markdown]
# Small change does go with large QiD: the rank correlation on the trunk is {glue:text}`change_rank:.2f` (RTN, 3 bits). But larger
# models move more, relatively, and lose less, and which of the two counts it can't say. At equal size and tokens the slope of ln QiD in
# ln change can't be distinguished from zero, {glue:text}`slope_change:.2f` ({glue:text}`slope_change_low:.2f` to
# {glue:text}`slope_change_high:.2f`), and the scatter around a fit in ln N and ln D stays at {glue:text}`sd_with:.3f` (without the
# change {glue:text}`sd_without:.3f`).
#
# ### A matter of the yardstick
#
# "Neighbouring" is a choice. Over twice the tokens weights move farther than over a quarter more, and over a fixed number of updates a
# late step is a small one. If $n$ legs of one length bring the weights $n^h$ legs away, $h$ = 0.5 is a random walk and $h$ = 1 a
# straight line. The pocket checkpoints say which, here and now: they are several legs apart, and the table has the length of each leg.

# %% tags=["hide-input"]
at = described[on_trunk(described)].set_index(["run", "step"]).sort_index()
travels = []
for run in sorted({spec.run for spec in pocket if spec.branched_from is None}):
    steps = sorted(step for name, step in spec_of if name == run and step >= 500)
    for start, end in itertools.pairwise(steps):
        legs = at.loc[run].loc[start + 1 : end]
        lengths = legs["change"].to_numpy() * at.loc[run].loc[legs["previous_step"].astype(int), "rms"].to_numpy()
        pairs = zip(matrices_at(run, start), matrices_at(run, end), strict=True)
        squares = torch.cat([(last - first).double().square().flatten() for first, last in pairs])
        direct = squares.mean().sqrt().item()
        travels.append({"run": run, "start": start, "end": end, "h": mechanism.travel_exponent(direct, lengths)})
exponents = pd.DataFrame(travels)
exponent = exponents["h"].mean()

# %% tags=["remove-cell"]
put_all(exponent=exponent, exponent_lowest=exponents["h"].min(), exponent_highest=exponents["h"].max())
put_all(n_travels=len(exponents), n_pocket_runs=exponents["run"].nunique())
put_all(doubling=(np.log(2) / np.log(1.25)) ** exponent)
put_all(doubling_lowest=(np.log(2) / np.log(1.25)) ** exponent * moving["change"].min())
assert exponents["h"].between(0.5, 1).all(), "the text says between a walk and a straight line"
assert (np.log(2) / np.log(1.25)) ** exponent * over[2].min() > 1, "a doubling exceeds the error of 2 bits"
gaps = moving["step"] - moving["previous_step"]
spans = {}
for name, power in (("", exponent), ("_walk", 0.5), ("_line", 1.0)):
    updates = mechanism.updates_of_rounding(moving["change"], moving["rounding_3"], gaps, power)
    for moment, chosen in (("first", moving["step"].min()), ("last", moving["step"].max())):
        there = moving["step"] == chosen
        spans[f"{moment}{name}"] = np.exp(np.log(updates[there]).mean())
put_all(**{f"updates_{name}": value for name, value in spans.items()})
first_step, last_step = int(moving["step"].min()), int(moving["step"].max())
put_all(first_step=first_step, last_step=last_step)
shares = {moment: 100 * spans[moment] / step for moment, step in (("first", first_step), ("last", last_step))}
put_all(updates_first_share=shares["first"], updates_last_share=shares["last"])
fixed = int(gaps.min())
put_all(fixed=fixed)
over_fixed = moving["change"] * (fixed / gaps) ** exponent
first, last = (moving["step"] == moving["step"].min()), (moving["step"] == moving["step"].max())
for bits in (3, 4):
    beyond = over_fixed > moving[f"rounding_{bits}"]
    assert beyond[first].all(), "the text says that the change over fixed updates starts above"
    assert not beyond[last].any(), "and ends below"
assert spans["last"] > 5 * spans["first"], "the text says that it takes many more updates late"
assert 0.5 < shares["last"] / shares["first"] < 2.5, "and about the same share of training"

# %% [markdown]
# It is in between: $h$ = {glue:text}`exponent:.2f` on the mean of {glue:text}`n_travels:d` stretches of {glue:text}`n_pocket_runs:d`
# runs ({glue:text}`exponent_lowest:.2f` to {glue:text}`exponent_highest:.2f`). Three things follow, the last two by extending that rule
# beyond where it was measured.
#
# - For each *doubling* of tokens the change is about {glue:text}`doubling:.1f` times that of a quarter more:
#   {glue:text}`doubling_lowest:.2f` or more, above the error even of 2 bits. On that yardstick no bit width is ever crossed.
# - In *updates*, rounding to 3 bits moves the weights about as far as the last {glue:text}`updates_first:.0f` updates did at step
#   {glue:text}`first_step:d` (a walk would say {glue:text}`updates_first_walk:.0f`, a straight line
#   {glue:text}`updates_first_line:.0f`), and as far as the last {glue:text}`updates_last:.0f` at step {glue:text}`last_step:d`
#   ({glue:text}`updates_last_walk:.0f` and {glue:text}`updates_last_line:.0f`). Over a fixed {glue:text}`fixed:d` updates, the spacing
#   of the first of these checkpoints, the change starts above the errors of 3 and 4 bits and ends below, in every size.
# - As a *share of training* that is {glue:text}`updates_first_share:.0f`% at first and {glue:text}`updates_last_share:.0f`% in the end.
#
# At a constant rate, then, shrinking movement comes from counting in updates. As a geometric fact it holds; as an explanation it lacks
# something, for the size of the step isn't what the step costs.
#
# ## Curvature
#
# What a step costs depends on the shape of the loss. To second order, errors with mean zero, independent of each other, and of variance
# $s_b^2$ in block $b$ cost
#
# $$
# \Delta L \approx \frac{1}{2} \sum_b s_b^2 \, \operatorname{tr} H_b ,
# $$ (eq-curvature)
#
# with $H_b$ the Hessian of the loss in the block's matrices. Both factors are in the table of checkpoints: $s_b^2$ is the mean squared
# error of RTN (in squared weights), the {term}`trace` is in nats per squared weight. Nothing is fitted. The formula knows two things about
# rounding, its size and its place; not its direction.

# %% tags=["remove-cell"]
nearest = late_trunk[late_trunk["method"] == "rtn"]
put_all(fig_curve=mechanism_figures.measured_against_curvature(nearest))
plt.close("all")
summary = {}
for method in ("rtn", "gptq"):
    for bits in (2, 3, 4):
        rows = of(late_trunk, method, bits)
        mean, trend = (
            np.exp(log_mean_and_slopes(rows, []).loc["mean"]),
            log_mean_and_slopes(rows, [N_PARAMS, TOKENS_SEEN]),
        )
        by_run = rows.groupby("run_label")[["qid_nats", "predicted_nats"]]
        rank = stats.spearmanr(rows["qid_nats"], rows["predicted_nats"])[0]
        within = by_run.apply(lambda one: stats.spearmanr(one["qid_nats"], one["predicted_nats"])[0]).min()
        summary[method, bits] = {"ratio": mean, "trend": trend, "sd": np.log(rows["ratio"]).std(), "rank": rank}
        summary[method, bits]["within"] = within


def cell(row):
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]".replace("-", "−")


curvature_table = pd.DataFrame.from_dict(
    {
        f"{method.upper()}, {bits} bits": {
            "measured / predicted": cell(one["ratio"]),
            "slope in ln N": cell(one["trend"].loc[N_PARAMS]),
            "slope in ln D": cell(one["trend"].loc[TOKENS_SEEN]),
            "sd of ln ratio": f"{one['sd']:.2f}",
            "rank correlation": f"{one['rank']:.3f}",
        }
        for (method, bits), one in summary.items()
    },
    orient="index",
)
for method, bits in (("rtn", 2), ("rtn", 3), ("rtn", 4), ("gptq", 3)):
    put_interval(f"{method}_{bits}", summary[method, bits]["ratio"])
for bits in (2, 3, 4):
    put_interval(f"rtn_{bits}_size", summary["rtn", bits]["trend"].loc[N_PARAMS])
put_interval("rtn_2_tokens", summary["rtn", 2]["trend"].loc[TOKENS_SEEN])
put_all(**{f"rtn_{bits}_rank": summary["rtn", bits]["rank"] for bits in (3, 4)})
put_all(lowest_within=min(one["within"] for one in summary.values()))
assert max(summary["rtn", bits]["ratio"]["high"] for bits in (3, 4)) < 1, "the text says: below the prediction"
assert min(summary["rtn", 3]["ratio"]["value"], summary["rtn", 4]["ratio"]["value"]) > 0.7, "but not by much"
assert summary["rtn", 2]["sd"] > 1.5 * summary["rtn", 3]["sd"], "the text says that 2 bits scatter more"
coarse, *fine = (summary["rtn", bits]["trend"] for bits in (2, 3, 4))
assert coarse.loc[TOKENS_SEEN, "low"] > 0 > coarse.loc[N_PARAMS, "low"], "and drift with tokens, with size not clearly"
assert all(one.loc[N_PARAMS, "low"] > 0 and one.loc[N_PARAMS, "high"] < 0.2 for one in fine), (
    "3 and 4 bits a little with size"
)
assert all(one.loc[TOKENS_SEEN, "low"] < 0 < one.loc[TOKENS_SEEN, "high"] for one in fine), (
    "and not clearly with tokens"
)
top = of(late_trunk[late_trunk[N_PARAMS] == late_trunk[N_PARAMS].max()], "rtn", 3).sort_values(TOKENS_SEEN)
lowest = top.loc[top["ratio"].idxmin()]
put_all(top_lowest=lowest["ratio"], top_lowest_tokens=count_label(lowest[TOKENS_SEEN]), top_last=top["ratio"].iloc[-1])
assert top["ratio"].iloc[-1] > 1.3 * lowest["ratio"], "the text says that the largest model leaves the prediction late"
assert all(summary["gptq", bits]["ratio"]["high"] < summary["rtn", bits]["ratio"]["low"] for bits in (2, 3, 4))
assert min(one["rank"] for one in summary.values()) > 0.9, "the text says that the order is nearly right"
largest_two = trunk.sort_values(N_PARAMS)["model"].unique()[-2:]
of_size = every[on_trunk(every) | every["family"].isin([NINTH, NINTH_RATE])]
of_size = of_size[of_size["model"].isin(largest_two)]
of_size = rows_of_fit(of_size, "gptq", 32, symmetric=False, tokens_above=LATE_TOKENS)
kl = of_size.pivot(index=["bits", TOKENS_SEEN], columns=["family", N_PARAMS], values="kl_nats").sort_index(axis=1)
next_size = kl[TRUNK].iloc[:, 0]
of_runs = {"trunk": kl[TRUNK].iloc[:, 1], "seed": kl[NINTH].iloc[:, 0], "rate": kl[NINTH_RATE].iloc[:, 0]}
climb = {name: (one / next_size).dropna() for name, one in of_runs.items()}
again = climb["seed"].loc[4].index.max()
for bits in (4, 8):
    along = climb["trunk"].loc[bits]
    put_all(**{f"climb_{bits}_first": along.iloc[0], f"climb_{bits}_last": along.iloc[-1]})
    put_all(**{f"again_{name}_{bits}": one.loc[(bits, again)] for name, one in climb.items()})
    assert along.iloc[-1] > 1.2 * along.iloc[0], "the text says that it climbs at both widths"
    for name in ("seed", "rate"):
        assert climb[name].loc[bits].iloc[-1] < 1.06 * climb[name].loc[bits].iloc[0], "the text says: these don't climb"
put_all(again_tokens=count_label(again), climb_smaller=(2**8 - 1) / (2**4 - 1))
said = of(late_trunk, "rtn", 4).pivot(index=TOKENS_SEEN, columns=N_PARAMS, values="predicted_nats").iloc[-1]
put_all(climb_said=said.iloc[-1] / said.iloc[-2])
assert said.iloc[-1] / said.iloc[-2] < 0.9 * climb["trunk"].loc[8].iloc[-1], "the text says: not what the formula says"

# %% [markdown]
# ```{glue:figure} fig_curve
# :name: fig-curve
# :alt: Measured QiD of RTN against the QiD predicted by curvature in three panels for 2, 3 and 4 bits, logarithmic axes, one marker a size. Points follow the line of equality: a little below it at 3 and 4 bits, but for the last of the largest size; at 2 bits the smallest size lies below and larger ones above.
#
# Half the trace times the variance of the rounding error predicts the QiD of RTN from the smallest to the largest, with nothing fitted.
# Trunk beyond {glue:text}`early:s` tokens; the line is equality. Bars: one paired error.
# ```

# %% tags=["remove-input"]
curvature_table

# %% [markdown]
# The prediction is good for a formula without a fitted constant.
#
# - **RTN at 3 and 4 bits** costs {glue:text}`rtn_3:.2f` ({glue:text}`rtn_3_low:.2f` to {glue:text}`rtn_3_high:.2f`) and
#   {glue:text}`rtn_4:.2f` ({glue:text}`rtn_4_low:.2f` to {glue:text}`rtn_4_high:.2f`) times the prediction. The ratio grows a little
#   with size (slope in ln N {glue:text}`rtn_3_size:.2f`, {glue:text}`rtn_3_size_low:.2f` to {glue:text}`rtn_3_size_high:.2f`, and
#   {glue:text}`rtn_4_size:.2f`, {glue:text}`rtn_4_size_low:.2f` to {glue:text}`rtn_4_size_high:.2f`), with tokens not clearly. The
#   order is right: rank correlation {glue:text}`rtn_3_rank:.3f` and {glue:text}`rtn_4_rank:.3f`, and no single run has less than
#   {glue:text}`lowest_within:.2f`, at any width and by either method. But the largest model leaves the prediction late: at 3 bits its
#   ratio goes from {glue:text}`top_lowest:.2f` at {glue:text}`top_lowest_tokens:s` tokens to {glue:text}`top_last:.2f` at the end.
# - **At 2 bits** the error is no small step, and more than second derivatives counts: the ratio is {glue:text}`rtn_2:.2f`
#   ({glue:text}`rtn_2_low:.2f` to {glue:text}`rtn_2_high:.2f`) on the mean, scatters more and grows with tokens (slope in ln D
#   {glue:text}`rtn_2_tokens:.2f`, {glue:text}`rtn_2_tokens_low:.2f` to {glue:text}`rtn_2_tokens_high:.2f`), perhaps with size
#   ({glue:text}`rtn_2_size:.2f`, {glue:text}`rtn_2_size_low:.2f` to {glue:text}`rtn_2_size_high:.2f`).
# - **The direction.** A trace is a mean over all directions; rounding takes one. That RTN at small errors stays below the prediction
#   may be due to that, to the place of errors inside a block, or to the trace being taken on the beginnings of a few documents. The error of the trace itself, a few percent, is too small for it. GPTQ chooses its error so that it changes
#   the outputs of a layer least, and costs {glue:text}`gptq_3:.2f` ({glue:text}`gptq_3_low:.2f` to {glue:text}`gptq_3_high:.2f`) of
#   what an error of RTN's size in a random direction would at 3 bits.
# - **The largest model's late climb isn't higher order.** If it were, it would go where errors are small. By GPTQ its KL over that of the
#   next size goes from {glue:text}`climb_4_first:.2f` to {glue:text}`climb_4_last:.2f` at 4 bits, and from
#   {glue:text}`climb_8_first:.2f` to {glue:text}`climb_8_last:.2f` at 8 bits, where the error is {glue:text}`climb_smaller:.0f` times smaller;
#   the formula says {glue:text}`climb_said:.2f` at the end (single runs). That leaves the place and the direction of the error. At
#   {glue:text}`again_tokens:s` tokens two further runs of this size agree at both widths too: {glue:text}`again_seed_4:.2f` and
#   {glue:text}`again_seed_8:.2f` from another seed, {glue:text}`again_rate_4:.2f` and {glue:text}`again_rate_8:.2f` at half the rate. They
#   don't climb (trunk: {glue:text}`again_trunk_4:.2f`, {glue:text}`again_trunk_8:.2f`).
#
# ### Does it follow the learning rate?
#
# Decay sharpens the loss ({doc}`appendix D <95-files-and-curvature>`). At the end of a cooldown, compared with the trunk after the same tokens, the formula
# therefore predicts more QiD.

# %% tags=["hide-input"]
columns = ["qid_nats", "predicted_nats", "variance", "hessian_trace", "change"]
columns += ["mean_weight_kurtosis", "mean_input_kurtosis"]
beside = mechanism.beside_trunk(late, columns)
beside["part"] = part_of_study(beside)
decayed = beside[beside["part"] == "cooldowns"]


def decay(name, method, bits=3):
    """Return a cooldown's value over the trunk's: geometric mean with its interval, counting sizes."""
    rows = of(decayed, method, bits)
    return np.exp(log_mean_and_slopes(rows.assign(ratio=np.exp(rows[f"log_{name}"])), [], cluster="model").loc["mean"])


# %% tags=["remove-cell"]
put_interval("decay_rtn", decay("qid_nats", "rtn"))
put_interval("decay_gptq", decay("qid_nats", "gptq"))
put_interval("decay_predicted", decay("predicted_nats", "rtn"))
put_all(decay_trace=decay("hessian_trace", "rtn")["value"], decay_variance=decay("variance", "rtn")["value"])
put_all(decay_change=decay("change", "rtn")["value"], decay_sizes=decayed["model"].nunique())
put_all(decay_pairs=len(of(decayed, "rtn", 3)))
put_all(decay_r=stats.pearsonr(*of(decayed, "rtn", 3)[["log_qid_nats", "log_predicted_nats"]].to_numpy().T)[0])
assert min(decay("qid_nats", method)["low"] for method in ("rtn", "gptq")) > 1, "the text says that decay costs"
assert decay("predicted_nats", "rtn")["low"] > 1, "the text says that it is predicted to cost"
assert (
    decay("predicted_nats", "rtn")["low"] < decay("qid_nats", "rtn")["value"] < decay("predicted_nats", "rtn")["high"]
)
assert decay("variance", "rtn")["high"] < 1 < decay("hessian_trace", "rtn")["low"]
assert decay("change", "rtn")["value"] < 0.5

# %% [markdown]
# It does, on the mean. Over the trunk's {glue:text}`decay_pairs:d` cooldowns of {glue:text}`decay_sizes:d` sizes QiD of RTN at 3 bits is
# {glue:text}`decay_rtn:.2f` times that of the trunk ({glue:text}`decay_rtn_low:.2f` to {glue:text}`decay_rtn_high:.2f`, over sizes);
# {glue:text}`decay_predicted:.2f` were predicted ({glue:text}`decay_predicted_low:.2f` to {glue:text}`decay_predicted_high:.2f`), from
# a trace {glue:text}`decay_trace:.2f` times as large and a variance {glue:text}`decay_variance:.2f` times. GPTQ:
# {glue:text}`decay_gptq:.2f` ({glue:text}`decay_gptq_low:.2f` to {glue:text}`decay_gptq_high:.2f`). From one cooldown to the next the
# two ratios go together less closely (correlation {glue:text}`decay_r:.2f` for RTN). The movement of the weights fell to
# {glue:text}`decay_change:.2f` of the trunk's meanwhile: here movement and QiD go the ways of the paper's picture.
#
# ## Why bits enter as they do
#
# Equation {eq}`eq-curvature` has the error squared in it, and for KL, the divergence of the rounded model's predictions from the 16-bit
# model's, that is all there is to second order. KL is zero where both models agree and nowhere less, so its slope is zero there: with
# an error $e$ of the weights, $\mathrm{KL} \approx \frac{1}{2} e^\top F e$ with Fisher's information $F$. QiD has a first-order term
# too, the loss's gradient times $e$, of either sign: noise beside the square. A grid of $P$ bits has $2^P - 1$ steps, so that
#
# $$
# \mathrm{KL} \propto (2^P - 1)^{-2} .
# $$ (eq-quadratic-rule)
#
# Nothing in it is fitted. Here is each checkpoint's KL by GPTQ over what its own KL at 4 bits and the rule say, and the exponents of
# tokens and size at each bit width, which the rule wants equal:

# %% tags=["hide-input"]
of_gptq = rows_of_fit(every, "gptq", 32, symmetric=False, tokens_above=LATE_TOKENS)
of_gptq = of_gptq[on_trunk(of_gptq)]
ruled, by_run = quadratic_rule.exponents(of_gptq)
told = quadratic_rule.from_one_width(of_gptq)
powers = quadratic_rule.exponents_by_width(of_gptq)
pd.DataFrame(
    {
        "KL over the rule's": told["ratio"].map("{:.2f}".format),
        "least": told["lowest"].map("{:.2f}".format),
        "most": told["highest"].map("{:.2f}".format),
        "β": powers["beta"].map("{:.2f}".format),
        "α": powers["alpha"].map("{:.2f}".format),
    }
).rename(index=int).fillna("")

# %% tags=["remove-cell"]
put_interval("rule", pd.Series(ruled)[["mean", "low", "high"]])
put_all(rule_runs=int(ruled["n_runs"]), rule_rows=int(told["n_rows"].max()))
for bits in (2, 3):
    put_all(**{f"rule_over_{bits}": told.loc[bits, "ratio"]})
beyond = [5, 6, 8]
put_all(rule_rms=float(np.sqrt((told.loc[beyond, "log_rms"] ** 2).mean())))
near = powers.loc[[4, *beyond]]
put_all(rule_alpha_low=near["alpha"].min(), rule_alpha_high=near["alpha"].max())
put_all(rule_beta_low=near["beta"].min(), rule_beta_high=near["beta"].max())
assert ruled["low"] > 1.9, "the text says: next to two"
assert ruled["high"] < 2.1, "the text says: next to two"
assert told.loc[2, "ratio"] > 1.3 > 1.15 > told.loc[3, "ratio"] > 1, "the text says where the rule breaks"

# %% [markdown]
# From 4 to 8 bits the exponent of $2^P - 1$ is {glue:text}`rule:.3f` ({glue:text}`rule_low:.3f` to {glue:text}`rule_high:.3f`,
# {glue:text}`rule_runs:d` runs). A checkpoint's own KL at 4 bits tells its KL at 5, 6 and 8 within {glue:text}`rule_rms:.1%` (rms of ln,
# {glue:text}`rule_rows:d` checkpoints). $\beta$ is {glue:text}`rule_beta_low:.2f` to {glue:text}`rule_beta_high:.2f` and $\alpha$
# {glue:text}`rule_alpha_low:.3f` to {glue:text}`rule_alpha_high:.3f` at these widths. Below, errors are no longer small: at 3 bits KL is
# {glue:text}`rule_over_3:.2f` times the rule's, at 2 bits {glue:text}`rule_over_2:.2f` times, and not the same at every checkpoint. One law
# with powers of bits, size and tokens holds where the rule does.
#
# ## Outliers
#
# A heavy tail stretches the grid, so that all other weights of a group are rounded more coarsely. Heavy tails of *inputs* make some
# columns expensive. {term}`Kurtosis <kurtosis>` (fourth moment over the squared second, 3 for a Gaussian) measures both. On the trunk:

# %% tags=["remove-cell"]
tails = (
    moving.sort_values(TOKENS_SEEN)
    .groupby("run")[["mean_weight_kurtosis", "mean_input_kurtosis"]]
    .agg(["first", "last"])
)
for name in ("weight", "input"):
    one = tails[f"mean_{name}_kurtosis"]
    put_all(**{f"{name}_first": one["first"].mean(), f"{name}_last": one["last"].mean()})
    put_all(**{f"{name}_rising": int((one["last"] > one["first"]).sum())})
put_all(n_tails=len(tails), rounding_3_low=moving["rounding_3"].min(), rounding_3_high=moving["rounding_3"].max())
assert (tails["mean_input_kurtosis"]["last"] > 2 * tails["mean_input_kurtosis"]["first"]).all()
assert tails["mean_weight_kurtosis"]["last"].max() < 6, "the text says that tails of weights stay light"

# %% [markdown]
# The kurtosis of weights goes from {glue:text}`weight_first:.1f` to {glue:text}`weight_last:.1f` (mean over sizes; it rises in
# {glue:text}`weight_rising:d` of {glue:text}`n_tails:d`), and a group of 32 hides that from the grid: the relative error of 3 bits
# stays between {glue:text}`rounding_3_low:.3f` and {glue:text}`rounding_3_high:.3f`. That of inputs goes from
# {glue:text}`input_first:.1f` to {glue:text}`input_last:.1f`, and rises in all sizes ({glue:text}`input_rising:d`).
#
# Tails grow with tokens, as QiD does, so the trunk can't tell what matters. The other runs can: they have the size and the tokens of a
# twin on the trunk, and another depth, weight decay, peak rate, seed or schedule. Runs whose rate decays count at their end.

# %% tags=["hide-input"]
names = {"predicted_nats": "predicted", "mean_input_kurtosis": "inputs", "mean_weight_kurtosis": "weights"}
sets = {
    "none (a constant)": [],
    "curvature": ["predicted"],
    "kurtosis of inputs": ["inputs"],
    "kurtosis of weights": ["weights"],
    "all three": ["predicted", "inputs", "weights"],
}
twins, twin_slopes = {}, {}
for method in ("rtn", "gptq"):
    rows = of(beside, method, 3).rename(columns={f"log_{long}": short for long, short in names.items()})
    outcome, clusters = rows["log_qid_nats"], rows["cluster"]
    twins[method] = mechanism.nested(outcome, rows, sets, clusters)
    twin_slopes[method] = mechanism.regression(outcome, rows[list(names.values())], clusters)
by_run = of(beside, "rtn", 3).groupby(["part", "run_label"])[[f"log_{name}" for name in columns]].mean()

# %% tags=["remove-cell"]
against = {
    "log_predicted_nats": "QiD predicted by curvature,\nover the twin's (factor)",
    "log_mean_input_kurtosis": "kurtosis of inputs,\nover the twin's (factor)",
}
put_all(fig_twins=mechanism_figures.runs_beside_twins(by_run.reset_index(), against))
plt.close("all")
rates = of(beside, "rtn", 3).query("part == 'rates'")
faster = rates["learning_rate"] > trunk["learning_rate"].max()
for one, sign in ((rates[faster], 1), (rates[~faster], -1)):
    means = one.groupby("run_label")[["log_mean_input_kurtosis", "log_hessian_trace"]].mean()
    assert (means.mul([sign, -sign]) > 0).all(axis=None), "the text says that a high rate makes tails heavy, loss flat"
r = by_run.corr()["log_qid_nats"]
put_all(
    r_predicted=r["log_predicted_nats"], r_inputs=r["log_mean_input_kurtosis"], r_weights=r["log_mean_weight_kurtosis"]
)
put_all(
    twin_runs=len(by_run), twin_rows=len(of(beside, "rtn", 3)), twin_clusters=of(beside, "rtn", 3)["cluster"].nunique()
)
for method, by_method in twin_slopes.items():
    put_interval(f"{method}_twin_predicted", by_method.loc["predicted"])
of_twins = of(beside, "rtn", 3).groupby("run_label").agg({N_PARAMS: "first", "part": "first"})
small = of_twins[of_twins[N_PARAMS] < trunk[N_PARAMS].max()]
put_all(twin_largest=count_label(small[N_PARAMS].max()))
assert len(of_twins) - len(small) == 2, "the text says: all but two"
ninth = every[every["family"].isin([NINTH, NINTH_RATE]) & every["method"].isin(["gptq", "gptq_hadamard"])]
turned = ninth.pivot(index=["family", "bits", TOKENS_SEEN], columns="method", values="kl_nats")
taken = 1 - turned["gptq_hadamard"] / turned["gptq"]
moments = taken.index.get_level_values(TOKENS_SEEN)
put_all(rotation_from=count_label(moments.min()), rotation_to=count_label(moments.max()))
put_all(rotation_seed_first=taken[NINTH, 4, moments.min()])
for name, part in (("seed", taken[NINTH].xs(moments.max(), level=TOKENS_SEEN)), ("rate", taken[NINTH_RATE])):
    put_all(**{f"rotation_{name}_low": part.min(), f"rotation_{name}_high": part.max()})
for name, family in (("seed", NINTH), ("rate", NINTH_RATE)):
    last_one = described[(described["family"] == family) & (described[TOKENS_SEEN] == moments.max())].iloc[0]
    put_all(**{f"tail_{name}": max(last_one["input_kurtosis"])})
assert taken[NINTH].min() > 1.2 * taken[NINTH_RATE].max(), "the text says: more at the trunk's rate, at all moments"
assert r["log_predicted_nats"] > 0.7, "the text says that curvature goes with QiD among twins"
assert r["log_mean_input_kurtosis"] < 0, "and that runs with heavier-tailed inputs lose less"
for by_method in twin_slopes.values():
    assert by_method.loc["predicted", "low"] > 0, "the text says that the slope in the predicted ratio is positive"
    kurtoses = by_method.loc[["inputs", "weights"]]
    assert ((kurtoses["low"] < 0) & (kurtoses["high"] > 0)).all(), (
        "the text says that neither kurtosis has a clear slope"
    )
assert twins["rtn"].loc["curvature", "left_out_rms"] < twins["rtn"].loc["all three", "left_out_rms"] + 0.005

# %% [markdown]
# ```{glue:figure} fig_twins
# :name: fig-twins
# :alt: Ratio of QiD to that of a twin on the trunk in two panels, one marker a run, coloured by part of the study. Left, against the ratio predicted by curvature, points rise along the diagonal. Right, against the ratio of the inputs' kurtosis, they fall from upper left to lower right, with scatter.
#
# At equal size and tokens, runs that curvature says should lose more do so (left). Runs with heavier tails of inputs lose less, not
# more (right). RTN at 3 bits; each marker is a run, its mean over checkpoints; dashed: measured as predicted.
# ```
#
# Over {glue:text}`twin_runs:d` runs the correlation of ln QiD ratio is {glue:text}`r_predicted:.2f` with the predicted ratio,
# {glue:text}`r_inputs:.2f` with that of the inputs' kurtosis and {glue:text}`r_weights:.2f` with that of the weights'. The sign for
# inputs is the opposite of what outliers should do: a high learning rate makes inputs heavy-tailed and the loss flat at once. With
# curvature in the regression, neither kurtosis has a slope that its interval tells from zero.
#
# But all of these but two runs have {glue:text}`twin_largest:s` parameters at most. In the largest size outliers count. A Hadamard
# rotation mixes the channels of the inputs, so that none stands out, and the loss in 16 bits stays as it is. It takes
# {glue:text}`rotation_seed_first:.0%` of GPTQ's KL at 4 bits away after {glue:text}`rotation_from:s` tokens and
# {glue:text}`rotation_seed_low:.0%` to {glue:text}`rotation_seed_high:.0%`, depending on the width, after {glue:text}`rotation_to:s`, in
# a run at the trunk's rate, where the largest kurtosis of inputs is then {glue:text}`tail_seed:,.0f`. At half the rate it is
# {glue:text}`tail_rate:,.0f`, and the rotation takes {glue:text}`rotation_rate_low:.0%` to {glue:text}`rotation_rate_high:.0%` at all widths
# and moments. One run each: the rate makes the outliers, and they make part of what rounding costs.

# %% tags=["remove-input"]
shown = {("RTN" if method == "rtn" else "GPTQ"): table["left_out_rms"] for method, table in twins.items()}
pd.DataFrame(shown).rename_axis("ln QiD ratio to the twin, left-out error").map("{:.3f}".format)

# %% [markdown]
# The table says how far off ln QiD ratio is at 3 bits when each run is predicted from the others ({glue:text}`twin_rows:d` rows; runs
# of one trunk and its branches are left out together, {glue:text}`twin_clusters:d` groups). Slopes in the predicted ratio, with both
# kurtoses beside it: {glue:text}`rtn_twin_predicted:.2f` ({glue:text}`rtn_twin_predicted_low:.2f` to
# {glue:text}`rtn_twin_predicted_high:.2f`) for RTN, {glue:text}`gptq_twin_predicted:.2f` ({glue:text}`gptq_twin_predicted_low:.2f` to
# {glue:text}`gptq_twin_predicted_high:.2f`) for GPTQ. A slope below 1 says that runs differ less than the formula expects.
#
# ## Put together
#
# Last, all runs beyond {glue:text}`early:s` tokens in one regression of ln QiD at 3 bits. What does each account add to size and
# tokens?

# %% tags=["hide-input"]
accounts = {
    "ln N, ln D": ["N", "D"],
    "ln N, ln D, loss": ["N", "D", "loss"],
    "ln prediction": ["prediction"],
    "ln trace, ln variance": ["trace", "variance"],
    "ln N, ln D, ln trace, ln variance": ["N", "D", "trace", "variance"],
    "all five": ["N", "D", "loss", "trace", "variance"],
}
together, slopes = {}, {}
for method in ("rtn", "gptq"):
    rows = of(late, method, 3)
    counts = {
        "N": N_PARAMS,
        "D": TOKENS_SEEN,
        "trace": "hessian_trace",
        "variance": "variance",
        "prediction": "predicted_nats",
    }
    predictors = np.log(rows[list(counts.values())].set_axis(list(counts), axis=1)).assign(
        loss=rows["baseline_loss_nats"]
    )
    outcome = np.log(rows["qid_nats"])
    together[method] = mechanism.nested(outcome, predictors, accounts, rows["cluster"])
    slopes[method] = mechanism.regression(outcome, predictors[accounts["all five"]], rows["cluster"])
    if method == "rtn":
        for name, row in mechanism.regression(outcome, predictors[["trace", "variance"]], rows["cluster"]).iterrows():
            put_interval(f"rtn_pair_{name}", row)
    of_loss = mechanism.regression(outcome, predictors[["N", "D", "loss"]], rows["cluster"]).loc["loss"]
    assert of_loss["high"] < 0, "the text says that at equal size and tokens lower loss goes with more QiD"

# %% tags=["remove-input"]
labels = {"r_squared": "R²", "residual_sd": "residual sd", "left_out_rms": "left-out error"}
wide = {
    ("RTN" if method == "rtn" else "GPTQ"): table[list(labels)].rename(columns=labels)
    for method, table in together.items()
}
pd.concat(wide, axis=1).map("{:.3f}".format)

# %% tags=["remove-cell"]
by_size = moving.sort_values(TOKENS_SEEN).groupby("run")[["hessian_trace", "variance_3"]]
grown = by_size.last() / by_size.first()
put_all(
    grown_variance=np.exp(np.log(grown["variance_3"]).mean()), grown_trace=np.exp(np.log(grown["hessian_trace"]).mean())
)
put_all(n_falling=int((grown["hessian_trace"] < 1).sum()))
assert (grown["hessian_trace"] * grown["variance_3"] > 1).all(), "the text says that the variance outgrows the trace"
rows = of(late, "rtn", 3)
put_all(n_together=len(rows), n_together_runs=rows["run_label"].nunique(), n_clusters=rows["cluster"].nunique())
for name in ("N", "loss", "trace", "variance"):
    put_interval(f"rtn_all_{name}", slopes["rtn"].loc[name])
for method in ("rtn", "gptq"):
    for name, label in (("base", "ln N, ln D"), ("pair", "ln trace, ln variance"), ("all", "all five")):
        put_all(**{f"{method}_out_{name}": together[method].loc[label, "left_out_rms"]})
    put_all(**{f"{method}_out_loss": together[method].loc["ln N, ln D, loss", "left_out_rms"]})
    errors = together[method]["left_out_rms"]
    assert errors["ln trace, ln variance"] < errors["ln N, ln D"], "the text says that two of curvature beat N and D"
    assert errors.idxmin() == "all five", "and that all together do best"
    assert (slopes[method].loc[["trace", "variance"], "low"] > 0).all(), "with slopes above zero"
    assert (slopes[method].loc[["N", "loss"], "high"] < 0).all(), "and that size and loss keep theirs"
either = together["gptq"].loc[["ln N, ln D, loss", "ln trace, ln variance"], "left_out_rms"]
assert either.max() / either.min() < 1.05, "the text says: as much as curvature, for GPTQ"
tested = [(method, name) for method in slopes for name in ("trace", "variance")]
assert all(slopes[method].loc[name, "high"] < 1 for method, name in tested), "the text says below 1"

# %% [markdown]
# These are {glue:text}`n_together:d` checkpoints of {glue:text}`n_together_runs:d` runs in {glue:text}`n_clusters:d` groups; the
# left-out error is that of ln QiD where a group is predicted from all others.
#
# - **Among runs like those fitted, curvature knows more than size and tokens.** Two numbers of the weights themselves, trace and
#   variance, predict a run left out to
#   {glue:text}`rtn_out_pair:.3f` for RTN, against {glue:text}`rtn_out_base:.3f` for ln N and ln D; GPTQ: {glue:text}`gptq_out_pair:.3f`
#   against {glue:text}`gptq_out_base:.3f`. They are told neither the size nor the tokens. (A run left out has others of its size beside
#   it: this is interpolation. Extrapolation comes below.) Their slopes, which the formula expects at 1,
#   are {glue:text}`rtn_pair_trace:.2f` ({glue:text}`rtn_pair_trace_low:.2f` to {glue:text}`rtn_pair_trace_high:.2f`) and
#   {glue:text}`rtn_pair_variance:.2f` ({glue:text}`rtn_pair_variance_low:.2f` to {glue:text}`rtn_pair_variance_high:.2f`) for RTN.
# - **The loss knows something too.** Added to size and tokens, the 16-bit loss brings the error to {glue:text}`rtn_out_loss:.3f` for
#   RTN and {glue:text}`gptq_out_loss:.3f` for GPTQ, for which it does as much as curvature alone: at equal size and tokens a model with
#   lower loss has more QiD.
# - **Neither is all.** All five together leave {glue:text}`rtn_out_all:.3f` and {glue:text}`gptq_out_all:.3f`. For RTN the slopes are
#   then {glue:text}`rtn_all_trace:.2f` ({glue:text}`rtn_all_trace_low:.2f` to {glue:text}`rtn_all_trace_high:.2f`) in ln trace,
#   {glue:text}`rtn_all_variance:.2f` ({glue:text}`rtn_all_variance_low:.2f` to {glue:text}`rtn_all_variance_high:.2f`) in ln variance,
#   {glue:text}`rtn_all_loss:.2f` ({glue:text}`rtn_all_loss_low:.2f` to {glue:text}`rtn_all_loss_high:.2f`) per nat of loss and
#   {glue:text}`rtn_all_N:.2f` ({glue:text}`rtn_all_N_low:.2f` to {glue:text}`rtn_all_N_high:.2f`) in ln N. A formula that were the
#   whole story would leave nothing to size and loss.
#
# ### Beyond the runs that were fitted
#
# Does curvature also say more of larger models and later moments? Half the trace times the variance, with one constant a bit width, is one
# of the laws that {doc}`chapter 9 <09-extrapolation>` holds rows out from. Beside it stands the law of the same number of constants that knows only
# tokens per parameter and bits. GPTQ at 2, 3 and 4 bits; root mean square of ln(predicted over measured), with its error over runs:

# %% tags=["hide-input"]
HELD = {"largest": "largest size", "last": "last factor 4 in D", "both": "larger and later"}
LAWS = {"curvature": "curvature", "per": "tokens-per-parameter"}
scored = {}
for name, outcome in OUTCOMES.items():
    by_law_and_run = read_fits(outcome=outcome).by_run
    by_law_and_run = by_law_and_run[by_law_and_run["law"].isin(LAWS.values())]
    for key, hold_out in HELD.items():
        scored[name, key] = compared(by_law_and_run, [hold_out], np.random.default_rng(seed), LAWS["per"])


def score_cell(row):
    return f"{row['score']:.3f}" + ("" if np.isnan(row["se"]) else f" ± {row['se']:.3f}")


columns_of_scores = {
    f"{law}, {outcome.symbol}": [score_cell(scored[name, key].loc[law]) for key in HELD]
    for name, outcome in OUTCOMES.items()
    for law in LAWS.values()
}
n_held = [int(scored[QID.name, key]["n_runs"].iloc[0]) for key in HELD]
pd.DataFrame({"runs": n_held} | columns_of_scores, index=list(HELD.values()))

# %% tags=["remove-cell"]
for key in HELD:
    for short, law in LAWS.items():
        put_all(**{f"held_{short}_{key}": scored[QID.name, key].loc[law, "score"]})
for name in OUTCOMES:
    for key in ("last", "both"):
        one = scored[name, key].loc[LAWS["curvature"]]
        put_all(**{f"behind_{name}_{key}{end}": one[f"behind{end}"] for end in ("", "_low", "_high")})
put_all(held_runs_last=n_held[list(HELD).index("last")], held_runs_both=n_held[list(HELD).index("both")])
assert all(table["tied"].all() for table in scored.values()), "the text says: tied on all three, in both outcomes"

# %% [markdown]
# There the two are tied. On the largest size curvature has {glue:text}`held_curvature_largest:.3f` against
# {glue:text}`held_per_largest:.3f`, but that is one run and has no error. On the last factor 4 of tokens its rms is larger by
# {glue:text}`behind_qid_last:.3f` [{glue:text}`behind_qid_last_low:.3f`, {glue:text}`behind_qid_last_high:.3f`] (over
# {glue:text}`held_runs_last:d` runs; KL {glue:text}`behind_kl_last:.3f` [{glue:text}`behind_kl_last_low:.3f`,
# {glue:text}`behind_kl_last_high:.3f`]), on larger and later by {glue:text}`behind_qid_both:.3f`
# [{glue:text}`behind_qid_both_low:.3f`, {glue:text}`behind_qid_both_high:.3f`] ({glue:text}`held_runs_both:d` runs). So what curvature
# adds is seen between runs, not beyond them; and it must be measured on a model that exists.
#
# In short: at a constant rate the weights grow, and rounding, which moves them by the same share, moves them by more. From the first
# checkpoint beyond {glue:text}`early:s` tokens to the last the variance of the error of 3 bits grows {glue:text}`grown_variance:.1f`
# times (geometric mean over sizes). The trace goes to {glue:text}`grown_trace:.2f` of what it was; it falls in {glue:text}`n_falling:d`
# of {glue:text}`n_sizes:d` sizes, and nowhere by as much as the variance grows. The product of the two follows QiD within a factor that
# changes little but for the end of the largest run. The movement between checkpoints isn't needed to say so.
#
# ## What this does not show
#
# - **No cause.** Trace, variance, loss, size and tokens move together in training. A regression shares out what goes together; only an
#   intervention on the curvature at fixed weights norm, size and tokens would show what makes QiD. {cite:t}`watts2026sharpness`
#   lower the sharpness in training and report that 4 bits then cost less.
# - **A formula that uses the answer's text.** The trace is taken on held-out text, part of what QiD is measured on. It is an account of
#   QiD, not a forecast for a model one hasn't trained.
# - **One direction unknown.** The curvature along the rounding error itself wasn't measured. Of the largest model's late climb the widths
#   tell that it is place or direction, not higher order; of the gap between RTN and the formula they don't.
# - **Movement between checkpoints as they were kept**, not between single updates. The paper's own spacing may
#   be another, and its models train with a falling rate, on which our trunk says nothing and our cooldowns little.
# - **Outliers of small models.** Larger models than these are known for outliers far beyond. Those of our largest size already count, by
#   a rotation tried on two runs; the twins are too small to say anything of it. Over other optimizers {cite:t}`vlassis2025outliers` find kurtosis no guide either.
# - **One grid.** Groups of 32 leave outliers little room. One scale a row would give them more.
#
# ## Exercises
#
# **1.** The trace of the largest model falls along the trunk, and its QiD rises. Doesn't that contradict {eq}`eq-curvature`?

# %% tags=["remove-cell"]
of_largest = moving[moving[N_PARAMS] == moving[N_PARAMS].max()].sort_values("step")
ratio = (
    of_largest[["hessian_trace", "variance_3", "predicted_3_nats"]].iloc[-1]
    / of_largest[["hessian_trace", "variance_3", "predicted_3_nats"]].iloc[0]
)
put_all(ex_trace=ratio["hessian_trace"], ex_variance=ratio["variance_3"], ex_predicted=ratio["predicted_3_nats"])
measured_growth = of(late_trunk[late_trunk[N_PARAMS] == late_trunk[N_PARAMS].max()], "rtn", 3).sort_values("step")[
    "qid_nats"
]
put_all(ex_measured=measured_growth.iloc[-1] / measured_growth.iloc[0])
assert ratio["hessian_trace"] < 1 < ratio["predicted_3_nats"]
three, four = (of(late_trunk, "rtn", bits).set_index("weights_sha256") for bits in (3, 4))
for name, column in (("ex_rtn", "predicted_nats"), ("ex_fall", "qid_nats")):
    put_all(**{name: np.exp(np.log(three[column] / four[column]).mean())})
put_all(ex_steps=((2**4 - 1) / (2**3 - 1)) ** 2)

# %% [markdown]
# ```{admonition} Answer
# :class: dropdown
#
# No. From the first to the last checkpoint beyond {glue:text}`early:s` tokens the trace goes to {glue:text}`ex_trace:.2f` of what it
# was, but the variance of the error of 3 bits grows {glue:text}`ex_variance:.1f` times, because the weights grow and the relative error
# stays. The prediction grows {glue:text}`ex_predicted:.1f` times; measured were {glue:text}`ex_measured:.1f`.
# ```
#
# **2.** One bit more halves the step of a grid, roughly. By what factor should QiD fall from 3 to 4 bits, and by what does the
# prediction fall?
#
# ```{admonition} Answer
# :class: dropdown
#
# Half the step is a quarter of the variance. More exactly, a grid of $2^b$ values has $2^b - 1$ steps, so from 3 to 4 bits the variance
# falls by $(15/7)^2$ = {glue:text}`ex_steps:.2f`. The prediction falls {glue:text}`ex_rtn:.2f` times on the mean, and QiD of RTN
# {glue:text}`ex_fall:.2f` times. The law of {doc}`chapter 5 <05-unified-law>` writes the same as a power of the bit width.
# ```
#
# **3.** Someone plots the change per 100 updates and finds that it falls below the rounding error of 4 bits exactly where QiD starts to
# rise. What would you ask for?
#
# ```{admonition} Answer
# :class: dropdown
#
# The same plot per 50 and per 200 updates. If the crossing moves and the rise of QiD doesn't, the agreement was a choice of yardstick.
# And the same at another learning rate, at which the movement changes at once.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* Exercise 2 says what a grid's steps promise. What do the weights say? Of the largest model's last checkpoint
# `checkpoints()` has the relative error of each matrix, `rtn_error_3_bits` and `rtn_error_4_bits`. By what factor does its
# square fall, on the mean over matrices?

# %%
from helpers.teach.checking import check
from helpers.teach.data import checkpoints

answer = None  # a factor, no unit
check("12.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
last = checkpoints().query("family == 'tadpole-trunk'").sort_values(["n_params_non_embedding", "step"]).iloc[-1]
check("12.4", np.mean((last["rtn_error_3_bits"] / last["rtn_error_4_bits"]) ** 2))
