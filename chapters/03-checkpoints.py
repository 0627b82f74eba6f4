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
# # The checkpoints
#
# *Which models, at which moments of their training?*

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from myst_nb import glue

# %%
public = pd.read_csv("data/published/pythia_public_evals.csv")
accuracy = public.query("metric == 'acc' and deduped and step > 0")
glue("pythia_models", public.groupby(["model", "deduped"]).ngroups, display=False)

# %% tags=["hide-input"]
sns.set_theme(style="ticks")
figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
sns.lineplot(
    accuracy,
    x="tokens_seen",
    y="value",
    hue="n_params_non_embedding",
    hue_norm=plt.matplotlib.colors.LogNorm(),
    ax=axes,
)
axes.set(xscale="log", xlabel="tokens seen D", ylabel="LAMBADA accuracy (share of passages)")
axes.legend(title="N, non-embedding", fontsize=8)
sns.despine(figure)
glue("fig_public", figure, display=False)
plt.close(figure)

# %% [markdown]
# ```{glue:figure} fig_public
# :name: fig-public
# :alt: Lines of LAMBADA accuracy against training tokens on a logarithmic axis, one a Pythia model; all rise after about a billion tokens, larger models higher.
#
# Accuracy of the public Pythia checkpoints rises through training and with size: {glue:text}`pythia_models:d` models
# in 16 bits {cite:p}`biderman2023pythia`.
# ```
#
# {numref}`fig-public` shows models as published, before any rounding.
