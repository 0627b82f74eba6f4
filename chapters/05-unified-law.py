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
# # The unified law
#
# *Does one formula hold for tokens, size and bits together?*

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
from myst_nb import glue

# %% [markdown]
# {cite:t}`ouyang2025lowbit` put
#
# $$
# \Delta L = k\, \frac{D^\beta}{N^\alpha P^\gamma}
# $$ (eq-unified)
#
# with $D$ tokens seen, $N$ non-embedding parameters and $P$ bits.

# %%
published = {"k": 0.017, "beta": 0.5251, "alpha": 0.2261, "gamma": 5.4967}
glue("doubling_tokens", 2 ** published["beta"], display=False)

# %% [markdown]
# With the published exponents in {eq}`eq-unified`, twice the tokens make QiD {glue:text}`doubling_tokens:.2f` times as large.
