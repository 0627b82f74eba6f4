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

import pyarrow as pa
import pyarrow.parquet as pq
from myst_nb import glue

# %% tags=["hide-input"]
if not Path(results_path).exists():
    Path(results_path).parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"measurement_id": pa.array([], pa.string())}), results_path)
glue("rows", pq.read_metadata(results_path).num_rows, display=False)

# %% [markdown]
# The local table holds {glue:text}`rows:d` measurements.
