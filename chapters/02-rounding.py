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
# # Good rounding lets errors cancel
#
# *What happens to a weight matrix when each weight may take only a few values, and who decides which?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** In each of {glue:text}`n_layers:d` layers GPTQ loses less of the output than round-to-nearest does:
#   {glue:text}`ratio_lowest:.0%` to {glue:text}`ratio_highest:.0%` of it (range over layers and bit widths).
# - **How sure.** One model and one draw of calibration text. Another program's GPTQ gives a QiD up to
#   {glue:text}`relative_highest:.0%` away. What a layer loses is not yet what the model loses.
# - **Use it for.** Grid, scale, group, Hessian and GPTQ, worked once by hand. Every other chapter rounds like this.
# ```
#
# We round a matrix of three rows and four columns by hand, first carelessly and then well. Then a real layer, and at
# last a whole model, with our program and with another one that claims to do the same.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch

from helpers.analyse.rows.degradation import degradation
from helpers.show.claims import claim
from helpers.show.figures import qid
from helpers.show.glue import put, put_all
from helpers.show.style import BITS_COLOURS, use_house_style
from helpers.table.families.catalogue import read_manifest
from helpers.table.files import read_table
from helpers.table.paired_error import paired_error

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here
from helpers.measure.models import checkpoints
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import gptq_solver, grids
from helpers.measure.sweep.console import reader_console
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.measure.text import corpus_lock, token_blocks

use_house_style()


# %% [markdown]
# ## The grid
#
# With $P$ bits a weight can be one of $2^P$ values. They are evenly spaced and given by two numbers for each row (or for each group of
# neighbours in a row): a *scale* $s$ and a *zero point* $z$. A weight is stored as a *code* $c$, an integer from $0$ to $2^P - 1$,
# and stands for
#
# $$
# \hat w = s \, (c - z).
# $$ (eq-grid)
#
# The scale is chosen so that the grid reaches from the smallest to the largest weight of the row, with zero inside:
# $s = (\max - \min) / (2^P - 1)$ and $z$ is $-\min / s$, rounded. Zero is always on the grid. Such a grid is called *asymmetric*; a
# *symmetric* one has its zero in the middle and needs no $z$.

# %%
bits = 2
weights = torch.tensor(
    [
        [0.90, -0.60, 0.20, -0.30],
        [0.40, 0.10, -0.50, 0.25],
        [-0.20, 1.00, 0.70, -0.80],
    ]
)
grid = grids.fit(weights, bits, symmetric=False)
codes = grid.encode(weights)
nearest = grid.decode(codes)

# %% tags=["hide-input"]
columns = [f"weight {i}" for i in (1, 2, 3, 4)]
table = pd.DataFrame(
    [[f"{w:.2f} → {int(c)}" for w, c in zip(*pair, strict=True)] for pair in zip(weights, codes, strict=True)],
    index=["1", "2", "3"],
    columns=columns,
)
table["s"] = [f"{scale:.1f}" for scale in grid.scale.flatten()]
table["z"] = [f"{zero:.0f}" for zero in grid.zero.flatten()]
table.replace("-", "−", regex=True)

# %% tags=["remove-cell"]
ROW = 1  # the second row tells the story
put_all(
    bits=bits,
    n_values=2**bits,
    row_low=f"{weights[ROW].min():.2f}".replace("-", "−"),
    row_high=weights[ROW].max(),
    row_scale=grid.scale[ROW],
    row_zero=grid.zero[ROW],
    first_weight=weights[ROW, 0],
    first_code=int(codes[ROW, 0]),
    first_rounded=nearest[ROW, 0],
    rms_nearest=(weights - nearest).square().mean().sqrt(),
)

# %% [markdown]
# One line of the table is one row of the matrix; beside each weight stands its code, and at the end $s$ and $z$. Take the second row, with {glue:text}`bits:d` bits and so {glue:text}`n_values:d` values. Its weights run from {glue:text}`row_low:s` to {glue:text}`row_high:.2f`, the
# scale is {glue:text}`row_scale:.1f` and the zero point {glue:text}`row_zero:.0f`. Its first weight, {glue:text}`first_weight:.2f`, gets the
# code {glue:text}`first_code:d`, which stands for {glue:text}`first_rounded:.2f`.
#
# To give each weight the code of its nearest grid point is **round-to-nearest**, RTN. No other choice on this grid keeps the *weights*
# closer: they are off by {glue:text}`rms_nearest:.3f` (root mean square).
#
# **Try it.** The second and the third row: drag a weight or move it by arrow keys, and see which code it gets. A group has one grid, so that one
# large weight makes it coarser for its neighbours.

# %% tags=["remove-input"]
from helpers.show.touch import rounding as touch

touch.grid(weights[1:])

# %% [markdown]
# ## What counts is the output
#
# Nobody looks at the weights, though. A layer multiplies its weights $W$ with an input $x$, and the next layer sees only
# the product. What should stay close is $Wx$, for the inputs that really come. Let us see five of them. In these, the first two
# entries tend to be large together, as the activations of a language model tend to be.

# %%
inputs = torch.tensor(
    [
        [1.0, 1.0, 0.0, 0.0],
        [2.0, 1.0, 1.0, 0.0],
        [0.0, 1.0, 1.0, 1.0],
        [1.0, 2.0, 0.0, 1.0],
        [1.0, 0.0, 2.0, 1.0],
    ]
)
hessian = gptq_solver.second_moments(inputs) / len(inputs)
names = [f"input {i}" for i in (1, 2, 3, 4)]
pd.DataFrame(hessian.numpy(), names, names).map("{:.1f}".format)

# %% [markdown]
# This table is $H$, the mean of $x x^\top$ over the inputs: how strongly each input is felt, and which ones come together. It is
# called the Hessian because the squared error of the output, as a function of a row's weights, has $2H$ for its second
# derivatives. With it, the share of the output's power that is lost when $Q$ stands in for $W$ is
#
# $$
# E(Q) = \frac{\operatorname{tr}\big((W - Q)\, H\, (W - Q)^\top\big)}{\operatorname{tr}\big(W H W^\top\big)} \qquad \text{(no unit)}.
# $$ (eq-objective)
#
# ## GPTQ, column by column
#
# {cite:t}`frantar2023gptq` round one column at a time, and let the columns not yet rounded make up for the error. If two inputs come
# together and the first weight was rounded down, the second can go up a little, and the output hardly moves. How much each should
# move follows from $H$: with $U$ the upper Cholesky factor of $H^{-1}$, rounding column $j$ from $w_j$ to $\hat w_j$ changes every
# later column $i$ by
#
# $$
# w_i \leftarrow w_i - \frac{w_j - \hat w_j}{U_{jj}} \, U_{ji}.
# $$ (eq-gptq)
#
# In case $H$ can't be inverted, a small multiple of its mean diagonal is added to the diagonal first; this is called
# *damping*. The whole method is the following loop; in the book's package it is
# `gptq.solve_plainly`, and what measures does the same for many matrices at once (`gptq.solve`; a test holds the two equal).

# %%
damping = 0.01
factor, _ = gptq_solver.inverse_factor(hessian, damping)
current = weights.clone()
history = [current.clone()]
for j in range(4):
    rounded = grid.decode(grid.encode(current[:, [j]]))
    error = (current[:, [j]] - rounded) / factor[j, j]
    current[:, j:] -= error * factor[j, j:]  # for k = j: the rounded value
    history.append(current.clone())

# %% tags=["hide-input"]
steps = pd.DataFrame(
    [state[ROW].tolist() for state in history],
    index=["at first", *(f"after column {j}" for j in (1, 2, 3, 4))],
    columns=columns,
).map("{:.3f}".format)
for j in range(4):
    steps.iloc[j + 1 :, j] = steps.iloc[j + 1 :, j].str.slice(stop=-2).radd("▪ ")
steps.replace("-", "−", regex=True)

# %% tags=["remove-cell"]
solution = gptq_solver.solve(weights, hessian, bits, None, False, damping)
assert torch.allclose(solution.weight, current, atol=1e-6), "the loop above is what the book's solver does"
plainly = gptq_solver.solve_plainly(weights, hessian, bits, None, False, damping)
assert torch.allclose(plainly, current, atol=1e-6), "and the text says that solve_plainly is this loop"
corrected = solution.weight
lost_nearest = gptq_solver.relative_error(weights, nearest, hessian)
lost_gptq = gptq_solver.relative_error(weights, corrected, hessian)
assert lost_gptq < lost_nearest, "the text says that GPTQ loses less of the output"
assert (weights - corrected).square().mean() > (weights - nearest).square().mean(), (
    "and that its weights are further off"
)
assert hessian[0, 1] > 0
assert history[1][ROW, 1] > weights[ROW, 1], "the text says that the second weight goes up"
assert codes[ROW, 1] != solution.codes[ROW, 1], "and that its code changes"
put_all(
    first_error=weights[ROW, 0] - nearest[ROW, 0],
    u_11=factor[0, 0],
    u_12=f"{factor[0, 1]:.3f}".replace("-", "−"),
    second_before=weights[ROW, 1],
    second_after=history[1][ROW, 1],
    second_nearest=nearest[ROW, 1],
    second_gptq=corrected[ROW, 1],
    n_changed=int((solution.codes != codes).sum()),
    n_codes=codes.numel(),
    lost_nearest=lost_nearest,
    lost_gptq=lost_gptq,
    rms_gptq=(weights - corrected).square().mean().sqrt(),
)
points = (grid.scale[ROW] * (torch.arange(2**bits) - grid.zero[ROW])).numpy()
figure, panels = plt.subplots(1, 2, figsize=(6.4, 3.2), sharey=True)
for axes, title, answer in zip(panels, ["round-to-nearest", "GPTQ"], [nearest, corrected], strict=True):
    qid.weights_on_grid(weights[ROW].numpy(), answer[ROW].numpy(), points, axes)
    axes.set(title=title, yticks=range(4), yticklabels=[1, 2, 3, 4], ylabel="weight (index)")
    axes.get_legend().remove()
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
panels[0].invert_yaxis()
panels[1].set_ylabel("")
put("fig_grid", figure)
plt.close(figure)

# %% [markdown]
# This is the second row on its way; ▪ marks what is rounded and stays. The first weight went down by {glue:text}`first_error:.2f`. Divided
# by $U_{11}$ = {glue:text}`u_11:.3f` and multiplied by $U_{12}$ = {glue:text}`u_12:s`, this lifts the second from
# {glue:text}`second_before:.3f` to {glue:text}`second_after:.3f`. Its nearest grid point is now {glue:text}`second_gptq:.2f` instead of
# {glue:text}`second_nearest:.2f`.
#
# ```{glue:figure} fig_grid
# :name: fig-grid
# :alt: Two panels with the four weights of the second row as dots, the four grid points as vertical lines, and an arrow from each weight to its rounded value. On the left each arrow leads to the nearest line; on the right three of them cross to a line further away.
#
# The second row. Round-to-nearest takes the shortest way for each weight; GPTQ sends some further, so that their errors cancel in the
# output.
# ```
#
# Of the {glue:text}`n_codes:d` codes {glue:text}`n_changed:d` came out differently. Round-to-nearest loses {glue:text}`lost_nearest:.1%` of the
# output's power by {eq}`eq-objective`, GPTQ {glue:text}`lost_gptq:.1%`. The weights themselves are further off than before,
# {glue:text}`rms_gptq:.3f` against {glue:text}`rms_nearest:.3f`. That is the trade.
#
# **Try it.** Round the matrix column by column, at other widths too.

# %% tags=["remove-input"]
touch.gptq(weights, inputs, damping=damping)

# %% [markdown]
# If no two inputs ever come together, $H$ is diagonal, so is $U$, and there is nothing to correct with. GPTQ must then give
# exactly what round-to-nearest gives, to the last bit. This makes a good test of a program:

# %%
diagonal = torch.diag(hessian.diagonal())
alone = gptq_solver.solve(weights, diagonal, bits, None, False, damping)
torch.equal(alone.weight, nearest)

# %% tags=["remove-cell"]
assert torch.equal(alone.weight, nearest)

# %% [markdown]
# ## A real layer
#
# Now the widest model of the pocket family at its last checkpoint (more on it in {doc}`chapter 3 <03-checkpoints>`). We run {term}`calibration` text
# through it, take down the inputs of every linear layer, and round each layer both ways. A row has many weights here, and one
# scale for all would be coarse: every {glue:text}`group:d` neighbours share a scale and a zero point.

# %% tags=["hide-input", "remove-stderr"]
family = read_manifest(Path("data/tadpole"))
last = max((spec for spec in family if spec.model == "tadpole-128x3"), key=lambda spec: spec.step)
checkpoint = checkpoints.fetch(last)
model = checkpoints.load(checkpoint, device)
tokenizer = checkpoints.tokenizer_of(checkpoint.folder)
text, _ = token_blocks.calibration_tokens(
    corpus_lock.read_lock().calibration, tokenizer, n_sequences=32, seq_len=512, seed=seed
)

layers = decoder_of(model).linear_layers()
moments = {}
hooks = [
    layer.register_forward_pre_hook(
        lambda _, args, name=name: moments.update({name: gptq_solver.second_moments(args[0].flatten(0, 1))})
    )
    for name, layer in layers.items()
]
with torch.no_grad():
    model(text.to(device), use_cache=False)
for hook in hooks:
    hook.remove()

# %% tags=["hide-input"]
group = 32
records = []
for name, layer in layers.items():
    weight, hessian = layer.weight.data, moments[name] / text.numel()
    for width in (2, 3, 4):
        answers = {
            "RTN": grids.round_to_grid(weight, width, False, group),
            "GPTQ": gptq_solver.solve(weight, hessian, width, group, False, damping).weight,
        }
        for method, answer in answers.items():
            lost = gptq_solver.relative_error(weight, answer, hessian).item()
            records.append(
                {"layer": name.split("layers.")[1], "bits": width, "method": method, "output power lost": lost}
            )
by_layer = pd.DataFrame(records)
chosen = "1.mlp.dense_h_to_4h"
one_layer = by_layer.query("layer == @chosen").pivot(index="bits", columns="method", values="output power lost")
one_layer[["RTN", "GPTQ"]].map("{:.2%}".format).set_axis(["2 bits", "3 bits", "4 bits"]).rename_axis(columns=None)

# %% tags=["hide-input"]
figure, axes = plt.subplots(figsize=(7, 4.2))
sns.scatterplot(
    by_layer,
    x="output power lost",
    y="layer",
    hue="bits",
    style="method",
    palette={width: BITS_COLOURS[width] for width in (2, 3, 4)},
    markers={"RTN": "X", "GPTQ": "o"},
    s=50,
    ax=axes,
)
axes.set(xscale="log", xlabel="output power lost (share, no unit)", ylabel="")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
put("fig_layers", figure)
plt.close(figure)

# %% tags=["remove-cell"]
wide = by_layer.pivot(index=["layer", "bits"], columns="method", values="output power lost")
kept = (wide["GPTQ"] / wide["RTN"]).unstack()
assert (kept < 1).all(axis=None), "the text says that GPTQ loses less in every layer"
bit_factor = (wide["GPTQ"].xs(3, level="bits") / wide["GPTQ"].xs(4, level="bits")).median()
assert bit_factor > 1 / kept.stack().median(), "the text says that one bit less costs more than GPTQ gains"
at = wide.loc[chosen]
put_all(
    group=group,
    model_name=last.model,
    n_layers=len(layers),
    layer_name=chosen,
    layer_rows=layers[f"gpt_neox.layers.{chosen}"].weight.shape[0],
    layer_columns=layers[f"gpt_neox.layers.{chosen}"].weight.shape[1],
    layer_rtn=at.loc[3, "RTN"],
    layer_gptq=at.loc[3, "GPTQ"],
    n_tokens=text.numel(),
    ratio_lowest=kept.min(axis=None),
    ratio_highest=kept.max(axis=None),
    ratio_median=kept.stack().median(),
    bit_factor=bit_factor,
)

# %% [markdown]
# The table is for one layer, {glue:text}`layer_name:s`, a matrix of {glue:text}`layer_rows:d` × {glue:text}`layer_columns:d`, and
# {glue:text}`n_tokens:,d` tokens of calibration text. At 3 bits round-to-nearest loses {glue:text}`layer_rtn:.2%` of its output's
# power and GPTQ {glue:text}`layer_gptq:.2%`.
#
# ```{glue:figure} fig_layers
# :name: fig-layers
# :alt: For each of the linear layers of a three-block model, the share of output power lost on a logarithmic axis, at 2, 3 and 4 bits, crosses for round-to-nearest and dots for GPTQ. In each layer and colour the dot lies to the left of the cross, and the colours are well apart.
#
# GPTQ loses less than round-to-nearest in all {glue:text}`n_layers:d` linear layers of {glue:text}`model_name:s`, at each bit width.
# ```
#
# Over all layers and bit widths GPTQ is left with {glue:text}`ratio_lowest:.0%` to {glue:text}`ratio_highest:.0%` of what
# round-to-nearest loses (median {glue:text}`ratio_median:.0%`). One bit less costs more than GPTQ gains: from 4 bits to 3 its loss grows
# {glue:text}`bit_factor:.1f` times.
#
# Each layer was taken by itself here, with the inputs that the 16-bit model gives it. In a whole model the inputs come from layers
# that were rounded too. The book's GPTQ therefore walks through the model from block to block, and calibrates each on
# what the rounded blocks before it put out.
#
# ## A second opinion
#
# A program can be wrong in ways that leave plausible numbers behind. So we let another one do the same work: auto-gptq, a
# well-known implementation that is no longer developed. Layer by layer it and our solver choose the same codes but for a handful: a test
# of the book demands it. Here we look at the QiD of the whole model, in nats per token, measured now, on this machine.

# %% tags=["remove-stdout", "remove-stderr"]
crosscheck = Path("sweeps/crosscheck.yml")
report = run_sweep(crosscheck, device, Places(Path(results_path)), reader_console())
claim(not report.failures, "; ".join(report.failures))

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: both programs", "code_prompt_hide": "Table: both programs"}
local = read_table(results_path).to_pandas()
here = (local["checkpoint_id"] == checkpoint.weights_sha256[:16]) & (local["device_type"] == device)
whole = degradation(local[here & (local["calib_seed"].fillna(0) == 0)])
key = ["group_size", "bits", "eval_id", "calib_sha256", "rel_damp", "symmetric"]
pairs = whole[whole["method"] == "gptq"].merge(whole[whole["method"] == "autogptq"], on=key, suffixes=("", "_auto"))
pairs = pairs.sort_values(["group_size", "bits"])
apart = pairs["document_qid_nats_auto"] - pairs["document_qid_nats"]
pairs["difference"] = apart.map(np.mean)
pairs["difference_se"] = apart.map(paired_error)
report_table = pd.DataFrame(
    {
        "group size": pairs["group_size"].map("{:.0f}".format),
        "bits": pairs["bits"].map("{:.0f}".format),
        "ours": pairs["qid_nats"].map("{:.4f}".format) + pairs["qid_se_nats"].map(" ± {:.4f}".format),
        "auto-gptq": pairs["qid_nats_auto"].map("{:.4f}".format) + pairs["qid_se_nats_auto"].map(" ± {:.4f}".format),
        "difference": pairs["difference"].map("{:+.4f}".format) + pairs["difference_se"].map(" ± {:.4f}".format),
    }
).replace("-", "−", regex=True)
report_table = report_table.set_index(["group size", "bits"])
report_table

# %% tags=["remove-cell"]
SAME = 1e-6  # nats per token
relative = (pairs["difference"] / pairs["qid_nats"]).abs()
put_all(
    n_pairs=len(pairs),
    relative_highest=relative.max(),
    n_beyond=int((pairs["difference"].abs() > 2 * pairs["difference_se"]).sum()),
    n_same=int((pairs["difference"].abs() < SAME).sum()),
    same=SAME,
)
assert len(pairs) == 6, "three bit widths, two group sizes"

# %% [markdown]
# In {glue:text}`n_same:d` of the {glue:text}`n_pairs:d` cases the two agree to within {glue:text}`same:.6f` nats per token: they rounded
# the whole model alike. Elsewhere they differ by up to {glue:text}`relative_highest:.0%` of QiD, in {glue:text}`n_beyond:d` cases by more
# than two of the difference's own errors. (Chapter 1's number for this checkpoint is by another protocol, see
# {doc}`appendix E <96-this-machine>`.)
#
# Two reasons are known. **Rounding is chaotic:** a weight almost half-way between two grid points goes up or down by the last digit of a
# sum, the two programs add in different orders, and one code that flips changes all corrections after it. And auto-gptq fits the grids of
# shorter groups to weights that are not yet corrected for errors in the same block of 128 columns; ours fits each to the weights as
# corrected so far. The paired error doesn't cover this: it says how well a rounded model was measured, not which of many nearly equal
# rounded models one has got.
#
# ## What this does not show
#
# - One model, at one moment, on one kind of text. QiD along tokens, size and bits is the matter of {doc}`chapter 4 <04-degradation>`.
# - The share of output power lost in a layer is not QiD. A layer may lose much where the model doesn't mind.
# - Agreement with another program doesn't make both right. It makes a slip in either of them less likely.
# - Weights alone are rounded here. The numbers that flow between layers stay as they are.
#
# ## Exercises

# %% tags=["remove-cell"]
overhead = {width: width + (16 + width) / group for width in (2, 3, 4)}
third_row = weights[2]
put_all(
    ex_weight=third_row[1],
    ex_low=f"{third_row.min():.2f}".replace("-", "−"),
    ex_high=third_row.max(),
    ex_scale=grid.scale[2],
    ex_zero=int(grid.zero[2]),
    ex_ratio=third_row[1] / grid.scale[2],
    ex_code=int(codes[2, 1]),
    ex_rounded=nearest[2, 1],
    ex_bits=overhead[3],
    ex_two=overhead[2],
    ex_long=3 + (16 + 3) / 128,
)

# %% [markdown]
# **1.** Find scale, zero point and code of the second weight in the third row, {glue:text}`ex_weight:.2f`, by hand.
#
# ```{admonition} Answer
# :class: dropdown
# The row runs from {glue:text}`ex_low:s` to {glue:text}`ex_high:.2f`, in three steps, so $s$ = {glue:text}`ex_scale:.2f` and $z$ = {glue:text}`ex_zero:d`. The weight is
# {glue:text}`ex_ratio:.2f` scales; rounded, plus $z$, that is code {glue:text}`ex_code:d`, which stands for {glue:text}`ex_rounded:.2f`.
# ```
#
# **2.** A scale takes 16 bits and a zero point as many as a weight. How many bits does a weight really take at 3 bits with groups of
# {glue:text}`group:d`? With groups of 128?
#
# ```{admonition} Answer
# :class: dropdown
# $3 + (16 + 3) / 32$ = {glue:text}`ex_bits:.2f` bits, and {glue:text}`ex_long:.2f` with groups of 128. At 2 bits and groups of 32 it would be {glue:text}`ex_two:.2f`: the
# overhead is not small. When this book says $P$ bits it means the codes alone.
# ```
#
# **3.** Whose error does GPTQ never make up for?
#
# ```{admonition} Answer
# :class: dropdown
# That of the last column: nothing is left to correct. The order matters, and some programs therefore begin with the columns whose inputs are
# largest. Ours keeps the order of the columns.
# ```
#
# **4.** Change `inputs` so that the first two entries are never large together, and watch {numref}`fig-grid` change. When does GPTQ give the
# codes of round-to-nearest?
#
# ```{admonition} Answer
# :class: dropdown
# When $H$ is diagonal: each pair of entries averages to a product of zero, for example if only one entry of an input is ever other than zero.
# With just the first two apart, the first column's error is still passed on to the third and fourth, and the codes may differ.
# ```

# %% [markdown]
# **5.** *(code, checks itself)* Round each row of `matrix` to 3 bits, to nearest, with an asymmetric grid, in a few lines of your own.
# How large is the root mean square error?

# %%
from helpers.teach.checking import check

matrix = np.sin(np.arange(12.0)).reshape(3, 4)

answer = None  # one number, in the unit of the weights
check("2.5", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
low, high = matrix.min(axis=1, keepdims=True), matrix.max(axis=1, keepdims=True)
scale = (high - low) / (2**3 - 1)
zero = np.round(-low / scale)
codes = np.clip(np.round(matrix / scale) + zero, 0, 2**3 - 1)
check("2.5", np.sqrt(np.mean((matrix - scale * (codes - zero)) ** 2)))
