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
# # Degradation
#
# *How does QiD move with tokens, size and bits?*

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
from pathlib import Path

from myst_nb import glue

from helpers.results import compact

# %%
glue("rows", compact(Path("results/measurements"), Path(results_path)), display=False)

# %% [markdown]
# The reader's own table holds {glue:text}`rows:d` measurements.
