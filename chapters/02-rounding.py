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
#   {glue:text}`96-this-machine.ipynb::relative_highest:.0%` away. What a layer loses is not yet what the model loses.
# - **Use it for.** Grid, scale, group, Hessian and GPTQ, worked once by hand. Every other chapter rounds like this.
# ```

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

from helpers.show.claims import claim
from helpers.show.glue import put, put_all
from helpers.show.numbers.learn import rounding as numbers
from helpers.show.style import BITS_COLOURS, use_house_style
from helpers.table.families.catalogue import read_manifest

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
# The grid reaches from the smallest to the largest weight of the row, with zero on it: $s = (\max - \min) / (2^P - 1)$, and $z$ is
# $-\min / s$, rounded. Such a grid is *asymmetric*; a *symmetric* one has its zero in the middle and needs no $z$.

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

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: each weight and its code", "code_prompt_hide": "Table: each weight and its code"} tables={"tab-codes": "Each weight and its code, with step s and zero point z of its row"}
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
of_rows = pd.DataFrame({"scale": grid.scale.flatten(), "zero": grid.zero.flatten()})
put_all(**numbers.by_hand(weights.numpy(), codes.numpy(), nearest.numpy(), of_rows, bits))

# %% [markdown]
# Take the second row, with {glue:text}`bits:d` bits and so {glue:text}`n_values:d` values. {numref}`tab-second-row` follows it from its
# range to the code of its first weight.
#
# :::{table} The second row of the example, and its first weight.
# :name: tab-second-row
#
# | smallest weight | largest weight | scale $s$ | zero point $z$ | first weight | its code | stands for |
# | --- | --- | --- | --- | --- | --- | --- |
# | {glue:text}`row_low:s` | {glue:text}`row_high:.2f` | {glue:text}`row_scale:.1f` | {glue:text}`row_zero:.0f` | {glue:text}`first_weight:.2f` | {glue:text}`first_code:d` | {glue:text}`first_rounded:.2f` |
# :::
#
# To give each weight the code of its nearest grid point is **round-to-nearest**, RTN. No other choice on this grid keeps the *weights*
# closer: they are off by {glue:text}`rms_nearest:.3f` (root mean square).
#
# **Try it.** Drag a weight of the last two rows, or move it by arrow keys. A group has one grid: one large weight makes it coarser for all.

# %% tags=["remove-input"]
from helpers.show.touch import rounding as touch

touch.grid(weights[1:])

# %% [markdown]
# ## What counts is the output
#
# A layer multiplies its weights $W$ with an input $x$, and the next layer sees only the product. What should stay close is $Wx$,
# for the inputs that really come. Here are five. Their first two entries tend to be large together, as in a language model.

# %% tables={"tab-hessian": "H, the mean of x xᵀ over the five inputs"}
inputs = [[1, 1, 0, 0], [2, 1, 1, 0], [0, 1, 1, 1], [1, 2, 0, 1], [1, 0, 2, 1]]
inputs = torch.tensor(inputs, dtype=torch.float32)
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
# The whole method is this loop, `gptq_solver.solve_plainly`. Before $H$ is inverted, a small multiple of its mean diagonal is added
# to the diagonal, the *damping*.

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

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: the second row on its way", "code_prompt_hide": "Table: the second row on its way"} tables={"tab-gptq-steps": "The second row on its way through GPTQ; ▪ marks what is rounded already"}
steps = pd.DataFrame(
    [state[numbers.ROW].tolist() for state in history],
    index=["at first", *(f"after column {j}" for j in (1, 2, 3, 4))],
    columns=columns,
).map("{:.3f}".format)
for j in range(4):
    steps.iloc[j + 1 :, j] = steps.iloc[j + 1 :, j].str.slice(stop=-2).radd("▪ ")
steps.replace("-", "−", regex=True)

# %% tags=["remove-cell"]
plainly = gptq_solver.solve_plainly(weights, hessian, bits, None, False, damping)
solution = gptq_solver.solve(weights, hessian, bits, None, False, damping)
claim(torch.allclose(plainly, current, atol=1e-6), "solve_plainly is the loop above")
claim(torch.allclose(solution.weight, current, atol=1e-6), "and so is what measures")
diagonal = gptq_solver.solve(weights, torch.diag(hessian.diagonal()), bits, None, False, damping)
claim(torch.equal(diagonal.weight, nearest), "without ties between inputs GPTQ is round-to-nearest")
arrays = weights.numpy(), nearest.numpy()
put_all(**numbers.first_correction(*arrays, history[1].numpy(), factor.numpy()))
put_all(**numbers.corrected(*arrays, solution.weight.numpy(), hessian.numpy()))

# %% [markdown]
# In the second row the first weight went down by {glue:text}`first_error:.2f`. That is divided by $U_{11}$ = {glue:text}`u_11:.3f` and
# multiplied by $U_{12}$ = {glue:text}`u_12:s`.
#
# So the second weight rises from {glue:text}`second_before:.3f` to {glue:text}`second_after:.3f`. Its nearest grid point is now
# {glue:text}`second_gptq:.2f` instead of {glue:text}`second_nearest:.2f`.
#
# Of the {glue:text}`n_codes:d` codes {glue:text}`n_changed:d` came out differently. Round-to-nearest loses {glue:text}`lost_nearest:.1%` of the
# output's power by {eq}`eq-objective`, GPTQ {glue:text}`lost_gptq:.1%`.
#
# The weights themselves are further off than before, {glue:text}`rms_gptq:.3f` against {glue:text}`rms_nearest:.3f`. That is the trade.
#
# **Try it.** Round the matrix column by column, at other widths too.

# %% tags=["remove-input"]
touch.gptq(weights, inputs, damping=damping)

# %% [markdown]
# ## A real layer
#
# Now {glue:text}`model_name:s` at its last checkpoint ({doc}`chapter 3 <03-checkpoints>`). We run {term}`calibration` text through it, take down
# the inputs of every linear layer, and round each layer both ways. Every {glue:text}`group:d` neighbours in a row share a scale and a zero point.

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
            records.append({"layer": name.split("layers.")[1], "bits": width, "method": method, "lost": lost})
by_layer = pd.DataFrame(records)
figure, axes = plt.subplots(figsize=(7, 3.0))
sns.scatterplot(
    by_layer,
    x="lost",
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
chosen = "1.mlp.dense_h_to_4h"
n_rows, n_columns = layers[f"gpt_neox.layers.{chosen}"].weight.shape
put_all(**numbers.real_layers(by_layer, chosen), **numbers.bits_with_scales(group))
put_all(model_name=last.model, layer_rows=n_rows, layer_columns=n_columns, n_tokens=text.numel())

# %% [markdown]
# ```{glue:figure} fig_layers
# :name: fig-layers
# :alt: For each of the linear layers of a three-block model, the share of output power lost on a logarithmic axis, at 2, 3 and 4 bits, crosses for round-to-nearest and dots for GPTQ. In each layer and colour the dot lies to the left of the cross, and the colours are well apart.
#
# GPTQ loses less than round-to-nearest in all {glue:text}`n_layers:d` linear layers of {glue:text}`model_name:s`, at each bit width.
# ```
#
# In {glue:text}`layer_name:s` round-to-nearest to 3 bits loses {glue:text}`layer_rtn:.2%` of the output's power, GPTQ
# {glue:text}`layer_gptq:.2%` ({numref}`fig-layers`).
#
# Over all layers and bit widths GPTQ is left with {glue:text}`ratio_lowest:.0%` to {glue:text}`ratio_highest:.0%` of what
# round-to-nearest loses (median {glue:text}`ratio_median:.0%`). One bit less costs more than GPTQ gains: from 4 bits to 3 its loss grows
# {glue:text}`bit_factor:.1f` times.
#
# In a whole model the inputs come from layers that were rounded too, so the book's GPTQ walks from block to block, and calibrates
# each on what the rounded blocks before it put out. A program can be wrong in ways that leave plausible numbers behind; so auto-gptq
# rounds the whole model too. {doc}`Appendix E <96-this-machine>` has both QiDs, up to
# {glue:text}`96-this-machine.ipynb::relative_highest:.0%` apart, and says why.

# %% tags=["remove-cell"]
report = run_sweep(Path("sweeps/crosscheck.yml"), device, Places(Path(results_path)), reader_console())
claim(not report.failures, "; ".join(report.failures))

# %% [markdown]
# ## What this does not show
#
# - One model, one moment, one kind of text: {doc}`chapter 4 <04-degradation>` has QiD along tokens, size and bits.
# - The share of output power lost in a layer is not QiD. A layer may lose much where the model doesn't mind.
# - Only weights are rounded here, not the numbers that flow between layers.
#
# ## Exercises
#
# **1.** Find scale, zero point and code of the second weight in the third row, {glue:text}`ex_weight:.2f`, by hand.
#
# ```{admonition} Answer
# :class: dropdown
# The row runs from {glue:text}`ex_low:s` to {glue:text}`ex_high:.2f`, in three steps, so $s$ = {glue:text}`ex_scale:.2f` and $z$ =
# {glue:text}`ex_zero:d`.
#
# The weight is {glue:text}`ex_ratio:.2f` scales; rounded, plus $z$, that is code {glue:text}`ex_code:d`, which stands for
# {glue:text}`ex_rounded:.2f`.
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
# **4.** Change `inputs` so that the first two entries are never large together, and watch the codes change. When does GPTQ give the
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
