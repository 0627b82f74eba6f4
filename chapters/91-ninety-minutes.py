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

# %% [markdown] slideshow={"slide_type": "slide"}
# # Round a model yourself
#
# *What does rounding do to a language model, and why does it hurt models more that have read more?*
#
# In ninety minutes: a matrix rounded by hand, a real model rounded twice, its loss before and after, a curve over its training, and a
# law with one exponent that you fit.

# %% [markdown]
# This notebook stands alone: it needs the book's folder, Python 3.11 and the packages it installs. There are five blanks, `None`, to
# fill. Below each a check says right or wrong, with a hint; then comes a folded solution that defines the same name, so nobody
# is left behind. What to say and when is on the page for {doc}`instructors <../instructors>`.
#
# In Jupyter, open it in the book's folder and run the first two cells. In Colab or Binder, upload it and write the address of the
# book's git repository into `source`. The first run installs packages (PyTorch among them), some minutes; all
# the rest together takes about a minute on two cores.

# %% tags=["parameters"]
# The one setting. Empty: the book's folder is the one that this notebook lies in, or one above it. Otherwise the path of that
# folder, or the address of its git repository.
source = ""
device = "cpu"  # nothing here needs a GPU
seed = 0
# What the book's own build tells every page; not used here.
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"

# %% tags=["hide-input"]
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

MODELS = Path("data/tadpole")


def book_folder(source):
    """Return the book's folder: a copy of the repository at an address, or the path given or one above it."""
    if "://" in source or source.startswith("git@"):
        if not Path("qid-book").exists():
            subprocess.run(["git", "clone", "--depth", "1", source, "qid-book"], check=True)
        source = "qid-book"
    start = Path(source).resolve()
    for folder in (start, *start.parents):
        if (folder / MODELS / "manifest.json").exists():
            return folder
    raise FileNotFoundError(
        f"{start}: no {MODELS} here or above; set `source` to the book's folder or its git repository"
    )


os.chdir(book_folder(source))
if importlib.util.find_spec("helpers") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", ".", "matplotlib", "pandas"], check=True)
    importlib.invalidate_caches()

# %% tags=["hide-input"]
import sysconfig
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here

from transformers.utils.logging import disable_progress_bar

from helpers.measure.models import checkpoints
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import gptq_solver, grids
from helpers.show.drawing.whole import show_as_svg
from helpers.table.families.catalogue import read_manifest
from helpers.teach.classroom import compare

disable_progress_bar()
show_as_svg()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A grid
#
# With $P$ bits a weight may take $2^P$ values, the same distance $s$ apart. It is stored as a code $c$ from $0$ to $2^P - 1$:
#
# $$
# q = s\,(c - z)
# $$
#
# - $s$ (scale): the row's largest weight minus its smallest, over $2^P - 1$ *steps*
# - $z$ (zero point): the code that stands for zero
# - **round-to-nearest**, RTN: each weight goes to the nearest value

# %%
bits = 2
weights = torch.tensor(
    [
        [0.90, -0.60, 0.20, -0.30],
        [0.40, 0.10, -0.50, 0.25],
        [-0.20, 1.00, 0.70, -0.80],
    ]
)
low, high = weights.amin(1, keepdim=True), weights.amax(1, keepdim=True)
scale = (high - low) / (2**bits - 1)
zero = torch.round(-low / scale)
print("scales     ", *(f"{value:.1f}" for value in scale.flatten()))
print("zero points", *(f"{value:.0f}" for value in zero.flatten()))
ours = grids.fit(weights, bits, False).encode(weights)  # what the book's own program says

# %% [markdown]
# **Blank 1.** Give the codes: divide by the scale, round, move by the zero point, and keep between 0 and $2^P - 1$ (`.clamp`).


# %%
def encode(weights, scale, zero, most):
    """Return the codes of weights, between 0 and `most`."""
    return None  # your line here


compare("the codes", encode(weights, scale, zero, 2**bits - 1), ours)


# %% tags=["hide-cell"] cellView="form" jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
# @title A solution of blank 1
def encode(weights, scale, zero, most):
    """Return the codes of weights, between 0 and `most`."""
    return (torch.round(weights / scale) + zero).clamp(0, most)


codes = encode(weights, scale, zero, 2**bits - 1)
nearest = scale * (codes - zero)
compare("the codes", codes, ours)

# %% tags=["hide-input"] slideshow={"slide_type": "fragment"} mystnb={"image": {"alt": "Three rows of a matrix as dots on horizontal lines, each with its four grid values as ticks, and an arrow from every weight to the nearest one."}}
figure, axes = plt.subplots(figsize=(6.4, 2.2), layout="constrained")
for row in range(3):
    axes.plot(scale[row] * (torch.arange(2**bits) - zero[row]), [row] * 2**bits, "|", color="0.5", markersize=22)
    axes.plot(weights[row], [row - 0.15] * 4, "o", color="C0")
    axes.plot(nearest[row], [row + 0.15] * 4, "s", color="C1")
    for weight, rounded in zip(weights[row], nearest[row], strict=True):
        axes.plot([weight, rounded], [row - 0.15, row + 0.15], color="0.7", zorder=0)
axes.set(
    yticks=range(3),
    yticklabels=["row 1", "row 2", "row 3"],
    xlabel="weight",
    title="2 bits: dots go to the nearest of four values",
)
axes.invert_yaxis()
plt.show()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. What counts is the output
#
# The next layer sees $Wx$, not $W$. With $H$ the mean of $x x^{\top}$ over the inputs, the share of the output's power that is lost is
#
# $$
# E(Q) = \dfrac{\mathrm{tr}((W - Q)\, H\, (W - Q)^{\top})}{\mathrm{tr}(W H W^{\top})}
# $$
#
# - The trace sums what each row adds.
# - If two inputs are large together, an error in one weight can be made good in the other.

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
hessian = inputs.T @ inputs / len(inputs)
print(hessian)
ours = gptq_solver.relative_error(weights, nearest, hessian)

# %% [markdown]
# **Blank 2.** Compute $E(Q)$. `torch.trace` sums a diagonal, `@` multiplies matrices, `.T` turns one over.


# %%
def lost(weights, rounded, hessian):
    """Return the share of the output's power that is lost, no unit."""
    return None  # your line here


compare("the share lost", lost(weights, nearest, hessian), ours)


# %% tags=["hide-cell"] cellView="form" jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
# @title A solution of blank 2
def lost(weights, rounded, hessian):
    """Return the share of the output's power that is lost, no unit."""
    error = weights - rounded
    return torch.trace(error @ hessian @ error.T) / torch.trace(weights @ hessian @ weights.T)


compare("the share lost", lost(weights, nearest, hessian), ours)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. GPTQ, column by column
#
# Round one column, then let the columns that are not yet rounded make up for its error. With $U$ the upper Cholesky factor of
# $H^{-1}$, rounding column $j$ from $w_j$ to $q_j$ moves every later column $k$:
#
# $$
# w_k \leftarrow w_k - \dfrac{w_j - q_j}{U_{jj}}\, U_{jk}
# $$
#
# - No retraining and no gradient: one pass over the columns.
# - If no two inputs come together, $U$ is diagonal, and GPTQ is RTN.

# %% [markdown]
# **Blank 3.** Write the update of the later columns, `current[:, j + 1 :]`. `error` has a number for each row, `factor[j, j + 1 :]` one for
# each later column; `error[:, None] * factor[j, j + 1 :]` is a table of both.


# %%
def later_columns(current, error, factor, j):
    """Return the columns after `j`, moved to make up for `error`, which is (w_j - q_j) / U_jj of each row."""
    return None  # your line here


def gptq(weights, hessian, later_columns):
    """Return the weights rounded column by column, or None while the update is blank."""
    factor, _ = gptq_solver.inverse_factor(hessian, 0.01)  # damped by 1% of the mean diagonal
    current = weights.clone()
    for j in range(weights.shape[1]):
        rounded = scale[:, 0] * (encode(current[:, [j]], scale, zero, 2**bits - 1)[:, 0] - zero[:, 0])
        moved = later_columns(current, (current[:, j] - rounded) / factor[j, j], factor, j)
        if moved is None:
            return None
        current[:, j], current[:, j + 1 :] = rounded, moved
    return current


ours = gptq_solver.solve_plainly(weights, hessian, bits, None, False, 0.01)
compare("the weights that GPTQ gives", gptq(weights, hessian, later_columns), ours)


# %% tags=["hide-cell"] cellView="form" jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
# @title A solution of blank 3
def later_columns(current, error, factor, j):
    """Return the columns after `j`, moved to make up for `error`, which is (w_j - q_j) / U_jj of each row."""
    return current[:, j + 1 :] - error[:, None] * factor[j, j + 1 :]


corrected = gptq(weights, hessian, later_columns)
compare("the weights that GPTQ gives", corrected, ours)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Further from the weights, closer to the output

# %% slideshow={"slide_type": "fragment"}
for name, rounded in {"round-to-nearest": nearest, "GPTQ": corrected}.items():
    off = (weights - rounded).square().mean().sqrt()
    print(
        f"{name:17} weights off by {off:.3f} (root mean square), output power lost {lost(weights, rounded, hessian):.1%}"
    )

# %% [markdown] slideshow={"slide_type": "fragment"}
# Same grid, same bits. GPTQ gives up being close to the weights and gets closer to what they do.
#
# **Ask the class:** whose error can GPTQ never make up for?

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. A real model
#
# - A *tadpole*: a language model of three blocks, trained on Python code, with all its checkpoints kept.
# - Text: Python's own standard library. Its modules were not in the training text, though some packages there hold copies of parts.
# - Every matrix is rounded, 32 neighbours in a row share a scale.
# - **QiD**, quantization-induced degradation: the loss after rounding minus the loss before, in nats per token.

# %% tags=["hide-input"]
LENGTH, DOCUMENTS, GROUP = 512, 16, 32
tokenizer = checkpoints.read_tokenizer(MODELS / "tokenizer.json")
library = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
encoded = [tokenizer.encode(file.read_text(encoding="utf-8", errors="ignore")).ids for file in library]
long_ones = [ids[: LENGTH + 1] for ids in encoded if len(ids) > LENGTH]
held_out = torch.tensor(long_ones[::2][:DOCUMENTS], device=device)
calibration = torch.tensor(long_ones[1::2][:DOCUMENTS], device=device)
print(f"{len(held_out)} documents to score on, {len(calibration)} others to calibrate on, {LENGTH} tokens each")


@torch.no_grad()
def losses(model, tokens):
    """Return the mean loss of each document, in nats per token."""
    logits = model(tokens[:, :-1], use_cache=False).logits.float()
    return torch.nn.functional.cross_entropy(logits.mT, tokens[:, 1:], reduction="none").mean(1).cpu().numpy()


def moments_of(model, layers, tokens):
    """Return H of each layer's inputs, by name."""
    moments = {}
    hooks = [
        layer.register_forward_pre_hook(
            lambda _, args, name=name: moments.update({name: gptq_solver.second_moments(args[0].flatten(0, 1))})
        )
        for name, layer in layers.items()
    ]
    losses(model, tokens)
    for hook in hooks:
        hook.remove()
    return moments


def losses_after(spec, bits, method):
    """Return the documents' losses of a checkpoint before and after rounding; `method` is rtn or gptq."""
    model = checkpoints.load(checkpoints.fetch(spec), device)
    layers, before = decoder_of(model).linear_layers(), losses(model, held_out)
    moments = moments_of(model, layers, calibration) if method == "gptq" else {}
    for name, layer in layers.items():
        weight = layer.weight.data
        if method == "rtn":
            layer.weight.data = grids.round_to_grid(weight, bits, False, GROUP)
        else:
            layer.weight.data = gptq_solver.solve(weight, moments[name], bits, GROUP, False, 0.01).weight
    return before, losses(model, held_out)


family = [spec for spec in read_manifest(MODELS) if spec.run == spec.model]
of_model = {name: [spec for spec in family if spec.model == name] for name in ("tadpole-64x3", "tadpole-96x3")}
last = of_model["tadpole-64x3"][-1]

# %%
before, after = losses_after(last, 3, "rtn")
print(f"{last.model}, {last.n_params_non_embedding:,} parameters, {last.tokens_seen / 1e6:.0f}M tokens")
print(f"loss before {before.mean():.3f}, after {after.mean():.3f} nats per token")

# %% [markdown]
# **Blank 4.** QiD is the mean over documents of *after - before*. Its standard error is that of a mean of differences: their standard
# deviation (`ddof=1`) over the square root of their number. Give both.


# %%
def qid(before, after):
    """Return QiD and its paired standard error, in nats per token."""
    return None  # your lines here


differences = after - before
expected = [differences.mean(), differences.std(ddof=1) / len(differences) ** 0.5]
compare("QiD and its error", qid(before, after), expected, "Both are of the differences, document by document.")


# %% tags=["hide-cell"] cellView="form" jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
# @title A solution of blank 4
def qid(before, after):
    """Return QiD and its paired standard error, in nats per token."""
    difference = after - before
    return difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))


compare("QiD and its error", qid(before, after), expected)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Two methods, three bit widths

# %% slideshow={"slide_type": "fragment"}
print("bits   RTN               GPTQ              perplexity x (GPTQ)")
for width in (4, 3, 2):
    (rtn, rtn_error), (solved, solved_error) = (qid(*losses_after(last, width, method)) for method in ("rtn", "gptq"))
    print(f"{width}      {rtn:.4f} ± {rtn_error:.4f}   {solved:.4f} ± {solved_error:.4f}   {np.exp(solved):.3f}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# QiD in nats per token, ± its paired standard error over documents. Each bit less costs more than the better method gains. $e^{\mathrm{QiD}}$
# multiplies the perplexity.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Why the error is small: pairs
#
# - Documents differ far more from each other than rounding changes any of them.
# - Both models read the *same* documents, so what makes one hard cancels in the difference.
# - The error of QiD is that of the differences, not of two separate means.

# %% slideshow={"slide_type": "fragment"}
separate = np.hypot(before.std(ddof=1), after.std(ddof=1)) / np.sqrt(len(before))
print(f"error of two separate means {separate:.4f}, of the pairs {qid(before, after)[1]:.4f} nats per token")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. The same model, along its training
#
# One run, one learning rate, each checkpoint rounded to 3 bits.
#
# **Vote first:** as the model reads more, does rounding hurt it less, the same, or more?

# %%
curves = {}
for model, specs in of_model.items():
    late = [
        spec for spec in specs if spec.tokens_seen > 60e6
    ]  # before, the learning rate is still warming up or has just done so
    points = [(spec.tokens_seen, *qid(*losses_after(spec, 3, "gptq"))) for spec in late]
    curves[model] = np.array(points)
    print(model, *(f"{tokens / 1e6:.0f}M: {value:.3f} ± {error:.3f}" for tokens, value, error in points), sep="\n  ")

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Rounding hurts more, the more it has read

# %% tags=["hide-input"] slideshow={"slide_type": "fragment"} mystnb={"image": {"alt": "QiD at 3 bits against training tokens on logarithmic axes for two models. Both lines rise and flatten towards the end, where the larger model lies below the smaller one."}}
figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for model, marker in zip(curves, "os", strict=True):
    tokens, values, errors = curves[model].T
    size = of_model[model][0].n_params_non_embedding
    axes.errorbar(tokens, values, 2 * errors, marker=marker, capsize=3, label=f"{size / 1e6:.2f}M parameters")
axes.set(xscale="log", yscale="log", xlabel="training tokens D", ylabel="QiD (nats per token)")
axes.legend(title="3 bits, GPTQ; bars: two paired errors")
plt.show()

# %% tags=["remove-cell"]
assert all(points[-1, 1] > 2 * points[0, 1] for points in curves.values()), "the text says that QiD rises"

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. A law with one exponent
#
# On logarithmic axes a line is the simplest thing to try:
#
# $$
# \mathrm{QiD} = k\,D^{\beta}
# $$
#
# - $\beta$ is the slope of $\ln \mathrm{QiD}$ on $\ln D$: ten times the tokens multiply QiD by $10^{\beta}$.
# - The points bend away from the line, so $\beta$ depends on where one stands: a slope to remember, not to extrapolate.

# %% [markdown]
# **Blank 5.** Give $\beta$ of each model: `np.polyfit(x, y, 1)` returns slope and level of a line.


# %%
def beta(tokens, values):
    """Return the slope of ln QiD on ln D, no unit."""
    return None  # your line here


lines = {model: np.polyfit(np.log(points[:, 0]), np.log(points[:, 1]), 1)[0] for model, points in curves.items()}
tokens, values, _ = curves["tadpole-64x3"].T
compare("β of the smaller model", beta(tokens, values), lines["tadpole-64x3"], "Take the logarithm of both.")


# %% tags=["hide-cell"] cellView="form" jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
# @title A solution of blank 5
def beta(tokens, values):
    """Return the slope of ln QiD on ln D, no unit."""
    return np.polyfit(np.log(tokens), np.log(values), 1)[0]


compare("β of the smaller model", beta(tokens, values), lines["tadpole-64x3"])

# %% slideshow={"slide_type": "fragment"}
for model, points in curves.items():
    exponent = beta(points[:, 0], points[:, 1])
    print(f"{model}: β = {exponent:.2f}, ten times the tokens multiply QiD by {10**exponent:.1f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What to take home
#
# - Rounding is a choice on a grid. What counts is the output, so the nearest value is not the best one.
# - QiD is a loss difference on the same documents: measure it in pairs.
# - A model of a given size loses more by the same rounding the longer it has been trained.
# - A bit less costs several times as much; a better method gives part of it back.
#
# **Not shown:** large models, other text, other seeds, decay of the learning rate. The book's chapters are about these.

# %% [markdown]
# ## Go on
#
# - Change `LENGTH` or swap `held_out` and `calibration`: how far do the numbers move? {doc}`Chapter 11 <11-noise-floor>` asks that of everything.
# - Add 2 and 4 bits to the curve. Is $\beta$ the same?
# - Add `tadpole-128x3`. At equal tokens the larger model loses less; is that so at equal tokens *per parameter*? {doc}`Chapter 4 <04-degradation>`.
# - The GPTQ here takes each layer's inputs from the 16-bit model. The book's walks from block to block and calibrates each on what the
#   rounded ones before it give ({doc}`chapter 2 <02-rounding>`). Try it: move the call of `moments_of` into the loop.
