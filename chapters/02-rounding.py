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
# # Rounding
#
# *What happens to a matrix when each weight may take only a few values?*

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import numpy as np
from myst_nb import glue

# %%
weights = np.random.default_rng(seed).normal(size=(3, 4))
levels = 2**3
scale = np.abs(weights).max(axis=1, keepdims=True) / (levels / 2 - 1)
rounded = scale * np.clip(np.round(weights / scale), -levels / 2, levels / 2 - 1)
glue("rms_error", float(np.sqrt(np.mean((weights - rounded) ** 2))), display=False)

# %% [markdown]
# Rounded to three bits, one scale a row, this 3 × 4 matrix is off by {glue:text}`rms_error:.3f` (root mean square, in units of
# its standard deviation).
