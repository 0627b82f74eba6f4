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
# # The question
#
# *How much does a language model lose when its weights are rounded, and what decides it?*

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import math

from myst_nb import glue

# %% [markdown]
# ## Definition
#
# Let $L_{16}$ be the mean loss of a model in 16 bits, in nats per token, and $L_P$ that of the same model with its weights
# rounded to $P$ bits, on the same tokens. Quantization-induced degradation is
#
# $$
# \Delta L = L_P - L_{16}.
# $$ (eq-qid)
#
# A perplexity is $e^L$, so that rounding multiplies the perplexity by $e^{\Delta L}$.

# %%
qid_nats = 0.1
glue("perplexity_factor", math.exp(qid_nats), display=False)

# %% [markdown]
# A QiD of 0.1 nats per token multiplies the perplexity by {glue:text}`perplexity_factor:.3f`.
#
# ## What this does not show
#
# {eq}`eq-qid` is a mean over tokens. It doesn't say which tokens suffer.
