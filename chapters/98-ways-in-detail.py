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
# # CMPQ gains with size, and zeros aren't the whole cost of rounded inputs
#
# *What is behind the ratios of chapter 16, and why does a scale that knows the channel help?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** CMPQ's ratio to GPTQ at equal stored bits goes with $N$ to the power {glue:text}`cmpq_size:.2f`
#   [{glue:text}`cmpq_size_low:.2f`, {glue:text}`cmpq_size_high:.2f`] at a mean of 2.5 bits (95%, over training runs and documents).
# - **How sure.** The rows of {doc}`chapter 16 <16-seven-ways>`, one run a size. The share of inputs that become zero was counted on one model,
#   while this page was made.
# - **Use it for.** Looking up a setting; and for not taking the share of zeros for the whole cost of rounded inputs.
# ```
#
# This appendix belongs to {doc}`chapter 16 <16-seven-ways>` and takes its definitions from there. {term}`Intervals <interval>` run over
# training runs, one a size, and over documents.

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from helpers.show.figures import comparisons
from helpers.show.figures import keeping as figures
from helpers.show.glue import put_all
from helpers.show.numbers.choose import seven_ways, ways_in_detail
from helpers.show.style import use_house_style
from helpers.show.tables import kept_table
from helpers.table.families.catalogue import read_manifest
from helpers.table.files import read_table

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here
from helpers.measure.describing import kernel_shares
from helpers.measure.models import checkpoints
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.text import corpus_lock, token_blocks

use_house_style()
ways = seven_ways.Ways.from_table(read_table("results/measurements.parquet").to_pandas(), seed)
ratios, _ = ways.against_line

# %% [markdown]
# ## All settings
#
# Ratios of QiD to that of plain GPTQ at equal stored bits, pooled over checkpoints, and slopes of the ratio's logarithm: a slope of 0.1 in
# $\ln N$ means a factor of 1.26 for ten times the size.

# %% tags=["remove-input", "hide-output"] mystnb={"code_prompt_show": "Table: ratios by setting, with slopes in size and tokens", "code_prompt_hide": "Table: ratios by setting, with slopes in size and tokens"} tables={"tab-settings": "Ratio of QiD to plain GPTQ's at equal stored bits, by setting"}
kept_table(ways.summary)

# %% [markdown]
# ## By size and tokens

# %% tags=["remove-cell"]
panels, bounds = ways_in_detail.trend_panels(ratios)
put_all(fig_seven_trends=comparisons.ratios_in_panels(panels, figures.RATIO_LABEL, bounds))
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_seven_trends
# :name: fig-seven-trends
# :alt: Ratio of QiD to that of GPTQ at equal stored bits against training tokens, six panels, one for each of six settings, with one line a size, darker for larger ones, and a line at one. In the two panels of CMPQ the darker lines fall below it; in the others all stay above.
#
# CMPQ's ratio falls with size and with tokens, and crosses one; the others stay above it. Each line is one training run.
# ```
#
# Of {glue:text}`n_sloped:d` settings the ratio falls with size, distinguishably from zero, in {glue:text}`n_size_down:d`, which are CMPQ's, and
# rises in {glue:text}`n_size_up:d`. With tokens it falls in {glue:text}`n_tokens_down:d` and rises in {glue:text}`n_tokens_up:d`. CMPQ's slope
# in $\ln D$ at a mean of 2.5 bits is {glue:text}`cmpq_tokens:.2f` [{glue:text}`cmpq_tokens_low:.2f`, {glue:text}`cmpq_tokens_high:.2f`]. That in
# size is what one would expect: the wider a model, the less its codebooks weigh. That in tokens isn't explained by stored bits, which tokens
# don't change.
#
# ## CMPQ, by width
#
# CMPQ pays for its codebooks by the row.
#
# ```{table} CMPQ's stored bits, and its ratio to GPTQ in groups of 32, at the last checkpoints of the smallest and the largest size; and over everything, with 95% intervals over training runs and documents. Those of the largest size are by documents alone.
# :name: tab-cmpq
#
# | | mean of 2.5 bits | mean of 3.5 bits |
# |---|---|---|
# | smallest size: stored bits | {glue:text}`cmpq_low_bits_smallest:.2f` | {glue:text}`cmpq_high_bits_smallest:.2f` |
# | smallest size: ratio | {glue:text}`cmpq_low_smallest:.2f` | {glue:text}`cmpq_high_smallest:.2f` |
# | largest size: stored bits | {glue:text}`cmpq_low_bits_largest:.2f` | {glue:text}`cmpq_high_bits_largest:.2f` |
# | largest size: ratio | {glue:text}`cmpq_low_largest:.2f` [{glue:text}`cmpq_low_largest_low:.2f`, {glue:text}`cmpq_low_largest_high:.2f`] | {glue:text}`cmpq_high_largest:.2f` [{glue:text}`cmpq_high_largest_low:.2f`, {glue:text}`cmpq_high_largest_high:.2f`] |
# | all checkpoints: ratio | {glue:text}`cmpq_low_mean:.2f` [{glue:text}`cmpq_low_mean_low:.2f`, {glue:text}`cmpq_low_mean_high:.2f`] | {glue:text}`cmpq_high_mean:.2f` [{glue:text}`cmpq_high_mean_low:.2f`, {glue:text}`cmpq_high_mean_high:.2f`] |
# ```
#
# At a mean of 2.25 bits it stores less than GPTQ's narrowest codes at {glue:text}`n_cheaper:d` checkpoints of wide models, and still loses less
# at {glue:text}`n_cheaper_wins:d` of them.
#
# Beside groups of 128 that lead is gone. At CMPQ's own stored bits those lose {glue:text}`16-seven-ways.ipynb::coarse_least:.2f` to
# {glue:text}`16-seven-ways.ipynb::coarse_most:.2f` times as much as groups of 32. CMPQ's rows that lose less,
# {glue:text}`16-seven-ways.ipynb::n_beside_fine:d` of {glue:text}`16-seven-ways.ipynb::n_beside:d`, come down to
# {glue:text}`16-seven-ways.ipynb::n_beside_below:d`, at a mean of 2.25 bits. (The groups were measured on the trunk, another run of these sizes;
# each factor is taken within its run.)
#
# ## Is it the kernel?
#
# The *kernel* of rounded inputs are those that become zero. Here it is, counted on this machine: the share of inputs that become zero, in each
# layer of the widest pocket model's last checkpoint.

# %% tags=["hide-input", "remove-stderr"]
family = Path("data/tadpole")
spec = max(read_manifest(family), key=lambda one: (one.n_params_total, one.run == one.model, one.step))
decoder = decoder_of(checkpoints.load(checkpoints.fetch(spec), device))
text = token_blocks.heldout_blocks(
    corpus_lock.read_lock().evaluation, checkpoints.tokenizer_of(family), 128, 512
).tokens[:8, :-1]
shares = pd.DataFrame(
    {"exponent": exponent, "bits": bits, "share": share}
    for exponent in (0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0)
    for bits in (4, 8)
    for share in kernel_shares.kernel_shares(decoder, text, InputRounding("int", bits, None, exponent))
)

# %% tags=["remove-cell"]
put_all(**ways_in_detail.numbers(ways, shares, spec.model, spec.step), fig_seven_kernels=figures.kernels(shares).figure)
plt.close("all")

# %% [markdown]
# ```{glue:figure} fig_seven_kernels
# :name: fig-seven-kernels
# :alt: Share of inputs that become zero, on a logarithmic axis, against the exponent of the token's largest input, for inputs of 4 and of 8 bits; hollow points are layers, lines their means.
#
# The kernel by exponent. Hollow: single layers; lines: means over layers. {glue:text}`kernel_model:s` after {glue:text}`kernel_tokens:s` tokens.
# ```
#
# At 8 bits {glue:text}`kernel_token_8:.1%` of the inputs become zero with a scale a token, {glue:text}`kernel_half_8:.1%` with $\alpha = 0.5$ and
# {glue:text}`kernel_cross_8:.1%` with $\alpha = 0.15$. At 4 bits it is {glue:text}`kernel_token_4:.0%`, {glue:text}`kernel_half_4:.0%` and
# {glue:text}`kernel_cross_4:.0%`. The paper says that a kernel below 19% (OPT) or 1% (LLaMA) makes 8 bits lossless.
#
# The kernel can't be the whole reason. At 4 bits it shrinks by a factor of {glue:text}`kernel_factor:.2f` from a scale a token to $\alpha = 0.15$,
# the cost at the same size and tokens by a factor of {glue:text}`cost_factor:.2f`. A scale that falls with the channel is a finer step for all
# inputs of that channel, not only for those that would become zero.
