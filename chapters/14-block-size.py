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
# # Block size: how many values share a scale
#
# *Do large models need small blocks?*
#
# A low-precision format rarely gives each value a scale of its own. A *block* of neighbouring values shares one. A large block is
# cheap and coarse: its largest value sets the step for all others. A small block follows the values and pays for its scale, in
# memory and in hardware. {cite:t}`cao2024mixed` find that the loss grows as a power of the block size, and a later version of
# their paper says that large models can do with large blocks. We measure the power on whole training runs, put it into one law
# with size, tokens and the share that is rounded, and see whether the claim holds.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.analyse import block_figures, blocks, extrapolation, extrapolation_figures
from helpers.analyse.degradation import SIZE, TOKENS
from helpers.analyse.fit_records import FitData
from helpers.analyse.gluing import put, put_all
from helpers.analyse.joint_laws import JOINT_FORMS
from helpers.analyse.judgement import judge, refitted, table_of_scores
from helpers.analyse.ratio_law import CAO_2024
from helpers.analyse.ratio_trends import trends
from helpers.analyse.style import count_label, use_house_style
from helpers.analyse.uncertainty import fit_by_run

use_house_style()
ENDS = ("value", "low", "high")
NAMES = {"Qr = 0.5": "half", "Qr = 0.9": "most", "Qr = 1": "all", "GPTQ, 3 bits": "gptq"}
CONTROLS = ("without-block", "without-tokens")
HELD = ("size", "tokens", "ratio", "block", "row", "decayed")  # short names of the hold-outs, in their order
MIDDLE = 1907  # updates: a quarter of the tokens, made by every size
BUDGET = 0.1


def put_row(name, row):
    put_all(**{f"{name}_{end}": row[end] for end in ENDS})


def words(row, digits=2):
    return "{value:.{d}f} [{low:.{d}f}, {high:.{d}f}]".format(**row, d=digits).replace("-", "−")


def estimated(fit, name):
    one = fit.estimate(name)
    return dict(zip(ENDS, (one.value, one.low, one.high), strict=True))


def mean_k(tables):
    return {name: trends(one[one["k"].notna()], "k", []).loc["mean"] for name, one in tables.items()}


def slopes_of_k(tables):
    return {
        name: trends(one[one["k"].notna()], "k", [SIZE, TOKENS]).loc[[SIZE, TOKENS]] for name, one in tables.items()
    }


# %% [markdown]
# ## Definition
#
# - **Block size** $Q_b$: the number of neighbouring values that share a scale, no unit. In MXINT-4 the scale is a power of two,
#   and weights and inputs of a matrix both go in blocks of $Q_b$. A scale of eight bits costs $8 / Q_b$ bits per value.
# - **Quantization ratio** $Q_r$: the share of the parameters of the blocks' linear layers that is rounded, no unit (see
#   {doc}`13-how-much-can-go-low`).
# - **Relative increase of perplexity**: $e^{q} - 1$ with the QiD $q$, a share. It is what the paper fits:
#
# $$
# e^{q} - 1 = A\,Q_b^{\,k} ,
# $$ (eq-block)
#
# at one checkpoint and one $Q_r$. Doubling the block multiplies the increase by $2^k$. The paper leaves out increases of 100% and
# more, and so do we where we set our $k$ beside theirs. For large increases $e^q - 1$ bends upward, and with it $k$. So we also
# give the exponent of $q$ itself, in nats per token.
#
# With *one scale a row* a row of a matrix, or a token's input, is one block. Rows differ in length. The paper puts such a point at
# the mean length of a row, and so do we, as a hollow marker. It is kept out of the fits but where we say so.
#
# **Rows.** MXINT-4 in weights and inputs, held-out text: {glue:text}`qb_rows:d` rows of {glue:text}`qb_checkpoints:d` checkpoints
# from {glue:text}`qb_runs:d` training runs at a constant rate, {glue:text}`qb_smallest:s` to {glue:text}`qb_largest:s` parameters.
# Which matrices are rounded at $Q_r$ = 0.5 and 0.9 was searched for each block size anew (by measured sensitivity; in blocks of 32
# by more searches than that). A ratio can't be hit exactly, as matrices are whole. Each row is moved to the ratio of its panel by
# the joint law below, by a factor that differs from one by {glue:text}`qb_moved:.0%` at most. Older rows ask the same of another
# method: GPTQ at 3 bits in groups of 32, 64 and 128 and one scale a row, weights alone, {glue:text}`qb_gptq_rows:d` rows of
# {glue:text}`qb_gptq_runs:d` runs. There one scale a row is fitted too, for else most sizes would have two points.

# %%
measured = pd.read_parquet("results/measurements.parquet")
table = blocks.rows_of_blocks(measured)
trunk = table[table["lr_phase"] != "decay"]
data = FitData.from_table(trunk[trunk["scale"] == "block"])
joint = fit_by_run(JOINT_FORMS["ratio-exponential"], data)[0]
parts = {f"Qr = {ratio:g}": blocks.at_ratio(trunk, ratio, joint.law) for ratio in blocks.RATIOS}
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
put_all(qb_rows=len(trunk), qb_runs=trunk["run"].nunique(), qb_checkpoints=trunk["checkpoint_id"].nunique())
put_all(qb_smallest=count_label(every[SIZE].min()), qb_largest=count_label(every[SIZE].max()), qb_budget=BUDGET)
put_all(qb_middle=count_label(middle["Qr = 1"][TOKENS].iloc[0]))
put_all(qb_gptq_rows=len(parts["GPTQ, 3 bits"]), qb_gptq_runs=parts["GPTQ, 3 bits"]["run"].nunique())
put("qb_moved", max(abs(rows["moved"] - 1).max() for rows in parts.values() if "moved" in rows))
lines = middle["Qr = 1"].sort_values("group_size").groupby(SIZE)["qid_nats"]
for short, place in (("small", 0), ("large", -1)):
    put_all(**{f"qb_first_{short}": lines.first().iloc[place], f"qb_last_{short}": lines.last().iloc[place]})

# %% [markdown]
# ```{glue:figure} fig_block_curves
# :name: fig-block-curves
# :alt: Relative increase of perplexity against block size, both axes logarithmic, four panels: a ratio of 0.5, of 0.9, of 1, and GPTQ at 3 bits. In each panel one straight rising line a model size, the larger the lower, nearly parallel. Hollow markers at the right ends lie above the lines of MXINT-4.
#
# Larger blocks cost more, at every size and ratio, after {glue:text}`qb_middle:s` tokens. Lines are the fitted powers; above the
# dotted line perplexity has doubled, and nothing is fitted. Hollow: one scale a row, at the mean length of a row.
# ```
#
# With everything rounded, perplexity of the smallest model rises by {glue:text}`qb_first_small:.0%` in blocks of 16 and by
# {glue:text}`qb_last_small:.0%` with one scale a row; of the largest by {glue:text}`qb_first_large:.1%` and
# {glue:text}`qb_last_large:.1%`.
#
# ## The exponent

# %%
in_blocks = {name: rows[rows["scale"] == "block"] for name, rows in parts.items()}
in_blocks["GPTQ, 3 bits"] = parts["GPTQ, 3 bits"]
nats = {name: blocks.exponents(rows) for name, rows in in_blocks.items()}
below = {name: blocks.in_relative_perplexity(rows) for name, rows in in_blocks.items()}
shares = {name: blocks.exponents(rows[rows["qid_nats"] < blocks.TWICE]) for name, rows in below.items()}
with_row = {name: blocks.exponents(rows[rows["qid_nats"] < blocks.TWICE]) for name, rows in relative.items()}
means = {"share": mean_k(shares), "row": mean_k(with_row), "nats": mean_k(nats)}
slopes = {"share": slopes_of_k(shares), "nats": slopes_of_k(nats)}

# %% tags=["hide-input"]
theirs = pd.Series({law: k for law, (_, k) in blocks.CAO_2024.items()})
shown = {}
for name, ratio in zip(NAMES, [*blocks.RATIOS, None], strict=True):
    shown[name] = {
        "checkpoints": f"{shares[name]['k'].notna().sum()}",
        "k": words(means["share"][name]),
        "k, one scale a row as well": words(means["row"][name]),
        "k of QiD": words(means["nats"][name]),
        "its slope in ln N": words(slopes["nats"][name].loc[SIZE], 3),
        "its slope in ln D": words(slopes["nats"][name].loc[TOKENS], 3),
        "Cao et al., 7B, 14B": ", ".join(f"{k:g}" for (_, r), k in theirs.items() if r == ratio),
    }
pd.DataFrame(shown).T

# %% tags=["remove-cell"]
for name, short in NAMES.items():
    put_row(f"qb_k_{short}", means["share"][name])
    put_row(f"qb_row_{short}", means["row"][name])
    put_row(f"qb_nats_{short}", means["nats"][name])
    put_row(f"qb_size_{short}", slopes["nats"][name].loc[SIZE])
    put_row(f"qb_tokens_{short}", slopes["nats"][name].loc[TOKENS])
    put(f"qb_cells_{short}", int(shares[name]["k"].notna().sum()))
for (model, ratio), k in theirs.items():
    put(f"qb_cao_{model}_{100 * ratio:.0f}", k)
stages = {name: one.assign(stage=block_figures.stage_name(one)) for name, one in nats.items()}
stages["GPTQ, 3 bits"] = stages["GPTQ, 3 bits"][stages["GPTQ, 3 bits"]["step"].isin(trunk["step"].unique())]
published = {f"Qr = {ratio:g}": {} for _, ratio in blocks.CAO_2024}
for (model, ratio), k in theirs.items():
    published[f"Qr = {ratio:g}"][f"Cao et al., {model}"] = k
put("fig_block_exponents", block_figures.exponents_by_size(stages, published))
plt.close("all")
pairs = nats["Qr = 1"].dropna().merge(nats["Qr = 0.5"].dropna(), on=blocks.CHECKPOINT, suffixes=("", "_half"))
put_row("qb_k_ratio", trends(pairs.assign(more=pairs["k"] - pairs["k_half"]), "more", []).loc["mean"])
decayed = table[(table["lr_phase"] == "decay") & (table["scale"] == "block")]
decayed = blocks.exponents(blocks.at_ratio(decayed, 1.0, joint.law)).dropna()
beside = decayed.merge(nats["Qr = 1"].query("step == @MIDDLE").dropna(), on="model", suffixes=("", "_trunk"))
put_row("qb_k_decay", trends(beside.assign(more=beside["k"] - beside["k_trunk"]), "more", []).loc["mean"])

# %% [markdown]
# *Mean exponents over checkpoints, with 95% intervals that count training runs. The first two columns fit the relative increase of
# perplexity below 100%, the others QiD in nats.*
#
# ```{glue:figure} fig_block_exponents
# :name: fig-block-exponents
# :alt: Exponent of block size against model size, six panels by ratio and method, one colour a number of tokens. In the panels of MXINT-4 the lines of later checkpoints lie above those of earlier ones. Dashed lines mark exponents that others printed. GPTQ's lines fall a little with size.
#
# The exponent of QiD in block size, by size and stage of training. Bars are two standard errors of one checkpoint. Dashed: the
# exponents that Cao et al. print for Qwen-1.5 (of relative perplexity).
# ```
#
# ## The joint law

# %%
fits = {name: fit_by_run(form, data)[0] for name, form in JOINT_FORMS.items()}
forms = {name: refitted(form) for name, form in JOINT_FORMS.items()}
judged = judge(forms, blocks.splits(table), blocks.paired_floor)
judged_shares = judge(forms, blocks.splits(blocks.in_relative_perplexity(table)), blocks.paired_floor)
rms, coverage = (table_of_scores(judged, score) for score in ("log_rms", "coverage"))

# %% tags=["hide-input"]
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
put("fig_joint_scores", extrapolation_figures.score_map(rms, coverage, CONTROLS, extrapolation.GOAL_LOG_RMS))
plt.close("all")
for name in ("beta", "alpha", "kappa", "c"):
    put_row(f"qb_{name}", estimated(joint, name))
for name in ("ratio-by-size", "block-by-size", "block-by-tokens", "block-by-ratio"):
    put_row(f"qb_mu_{name.replace('-', '_')}", estimated(fits[name], "mu"))
put_all(qb_joint_rows=joint.n_rows, qb_joint_runs=joint.n_runs, qb_tau=joint.tau)
for name, fit in fits.items():
    put(f"qb_aic_{name.replace('-', '_')}", fit.aic - least)
for law in rms.index:
    put_all(
        **{
            f"qb_rms_{law.replace('-', '_')}_{short}": rms.loc[law, column]
            for short, column in zip(HELD, rms, strict=True)
        }
    )

# %% tags=["hide-input"]
table_of_scores(judged_shares).map("{:.2f}".format).rename_axis(index=None, columns=None)

# %% [markdown]
# ## Do large models need small blocks?

# %%
growth = blocks.growth_of_blocks(joint, 4000, np.random.default_rng(seed))
sizes = np.geomspace(every[SIZE].min(), every[SIZE].max(), 30)
known = {"tokens": np.full(30, middle["Qr = 1"][TOKENS].iloc[0]), "n_params": sizes, "bits": np.full(30, 4)}
allowed = {
    ratio: blocks.largest_blocks(
        joint, np.log(1 + BUDGET), known | {"quantized_ratio": np.full(30, ratio)}, 1000, np.random.default_rng(seed)
    )
    for ratio in blocks.RATIOS
}
at_budget = [blocks.largest_measured(middle[f"Qr = {ratio:g}"], BUDGET).assign(ratio=ratio) for ratio in blocks.RATIOS]

# %% tags=["remove-cell"]
put("fig_block_budget", block_figures.block_budgets(allowed, pd.concat(at_budget)))
plt.close("all")
for name in growth.index:
    put_row(f"qb_grows_{name}", growth.loc[name])
for short, place in (("small", 0), ("large", -1)):
    one = allowed[1.0].iloc[place]
    put_row(f"qb_allowed_{short}", one.rename({"block": "value"}))
put_all(qb_slope=-joint.law.c / joint.law.alpha)
put_all(
    qb_cao_slope_least=max(law.k for law in CAO_2024.values()),
    qb_cao_slope_most=min(law.k for law in CAO_2024.values()),
)
