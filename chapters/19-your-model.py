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
# # Your model: look it up, then measure
#
# *What will rounding cost a model of mine, how sure is that, and what should I do?*
#
# ```{admonition} In short
# :class: finding
# - **Finding.** At 4 bits in groups of 128, GPTQ multiplied the perplexity of the models below by
#   {glue:text}`gptq_4_low:.3f` to {glue:text}`gptq_4_high:.3f` (range over models); at 3 bits by {glue:text}`gptq_3_low:.2f`
#   to {glue:text}`gptq_3_high:.1f`.
# - **How sure.** Printed by others, one model each, no error known. Laws differ by a factor of {glue:text}`spread:.0f` on a
#   model of 7B parameters and 15T tokens, and none was fitted to a model of that size.
# - **Use it for.** 4 bits as a start. Below that, and for any model trained long for its size, measure: `qid measure MODEL`.
# ```

# %% tags=["parameters"]
device = "cpu"
sweep = "sweeps/pocket.yml"
results_path = "results/local.parquet"
seed = 0

# %% tags=["hide-input"]
import warnings
from pathlib import Path

import pandas as pd
from IPython.display import HTML, Markdown, display

warnings.filterwarnings("ignore", message="IProgress not found")  # transformers looks for widgets; none are needed here

from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.band import every_answer, span
from helpers.analyse.judgement.make_fits import read_measured
from helpers.analyse.judgement.outside import PERPLEXITIES
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import HELDOUT, rows_at, trunk_rows
from helpers.measure.models.checkpoints import tokenizer_of
from helpers.measure.rounding import one_checkpoint
from helpers.measure.scoring.continuations import continuation, rounded_in_place
from helpers.show.figures.published import printed_figure
from helpers.show.glue import put, put_all
from helpers.show.numbers.choose import your_model
from helpers.show.style import use_house_style
from helpers.show.touch.calculator import calculator
from helpers.table.files import read_trials

use_house_style()
ASKED = {"n_params": 7e9, "tokens": 15e12, "bits": 4, "group_size": 128}
TRIALS = Path("results/trials.parquet")
CHECKPOINT = Path("data/tadpole/tadpole-128x3/step-007275")
PROMPT = "def read_lines(path):\n    with open(path) as file:\n        return "
N_TOKENS = 48

# %% [markdown]
# ## What laws expect of it
#
# Choose the model: $N$ is its number of parameters without embedding and head, $D$ the tokens it was trained on. Dots are models of like
# size that somebody measured, ours and others'. The grey band holds all {term}`laws <law>` of this book that don't fail on models of others
# ({doc}`chapter 9 <09-extrapolation>`); the line is the default law, dashed and red where it leaves what it was fitted to.

# %% tags=["remove-input"]
fits = read_fits()
points = your_model.printed_in_groups(pd.read_csv(PERPLEXITIES))
measured = read_measured()
ours = your_model.own_points(trunk_rows(rows_at(measured, HELDOUT)))
of_gptq = points[points["method"] == "GPTQ"]
kept = your_model.kept_laws(read_trials(TRIALS).to_pandas(), measured)
calculator(fits, pd.concat([ours, of_gptq[ours.columns]], ignore_index=True), kept, ASKED)

# %% tags=["remove-cell"]
said = every_answer(fits, {name: float(value) for name, value in ASKED.items()})
low, high = span(said)
default = next(one for one in said if one.law == fits.default.law)
put_all(
    spread=high / low,
    band_low=low,
    band_high=high,
    default_nats=default.answer.value,
    miss=default.typical_miss_outside,
)
put_all(default_law=default.law, n_laws=sum(not one.fails_outside for one in said))

# %% [markdown]
# For the model it starts with (7B parameters, 15T tokens, 4 bits in groups of 128) the laws say {glue:text}`band_low:.3f` to
# {glue:text}`band_high:.2f` nats per token, the default (*{glue:text}`default_law:s`*) {glue:text}`default_nats:.3f`.
#
# On the models of others below that one is typically off by a factor of {glue:text}`miss:.1f`. Laws tell you what to expect of the *next*
# model when you have measured one; they don't replace measuring it. In the terminal:
#
# ```bash
# qid predict --n-params 7B --tokens 15T --bits 4 --group-size 128
# ```
#
# ## What others measured
#
# Perplexities of WikiText-2 as papers print them, rounded in groups of 128.

# %% tags=["remove-cell"]
put("fig_printed", printed_figure(points))

# %% [markdown]
# ```{glue:figure} fig_printed
# :name: fig-printed-models
# :alt: QiD against size for OPT and LLaMA models at 2, 3 and 4 bits, rounded to nearest, by GPTQ and by AWQ. At 4 bits all lie between a hundredth and a tenth of a nat, at 3 bits the methods part, at 2 bits rounding to nearest is off by whole nats.
#
# At 4 bits the method hardly matters; at 3 it does, and at 2 even the best of the three breaks most models. QiD in nats per token of each
# model's own tokenizer; one printed value each.
# ```

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Table: every model by method at 4 bits", "code_prompt_hide": "Table: every model by method at 4 bits"} tables={"tab-others-perplexity": "Perplexity of others' models after rounding to 4 bits in groups of 128, over that in 16 bits"}
table = your_model.by_method(points, 4)
times = {name: f"{name}, perplexity ×" for name in your_model.METHODS}
cells = table.rename(columns=times).assign(**{"tokens per parameter": table["ratio"].map("{:.0f}".format)})
cells = cells[["tokens per parameter", *times.values()]].rename_axis(index=None, columns=None)
display(HTML(cells.to_html(float_format="{:.3f}".format, na_rep="n/a")))

# %% [markdown]
# *Perplexity after rounding to 4 bits in groups of 128, over that in 16 bits; WikiText-2, sources in `data/published`. The smallest
# model stands first. OPT models read 180B tokens, LLaMA models 1T to 1.4T.*

# %% tags=["remove-cell"]
for bits in (3, 4):
    factors = your_model.by_method(points, bits)["GPTQ"].dropna()
    put_all(**{f"gptq_{bits}_low": factors.min(), f"gptq_{bits}_high": factors.max()})
put("models", points["model"].nunique())
meanings = your_model.meanings(measured)
for level, row in meanings.iterrows():
    key = f"{level:g}".replace(".", "_")
    put_all(**{f"agree_{key}": row["agreement"], f"accuracy_{key}": 100 * row["accuracy_lost"]})
put_all(meaning_rows=int(meanings["n_rows"].min()), meaning_runs=int(meanings["n_runs"].min()))
assert (meanings["accuracy_lost"] > 0).all(), "the text says that accuracy falls"

# %% [markdown]
# ## What 0.05 nats mean
#
# A nat per token is a unit of loss. On this book's models, by several ways of rounding, this is what goes with it:

# %% tags=["remove-input"] tables={"tab-what-nats-mean": "What goes with a given QiD on this book's models"}
cells = pd.DataFrame(
    {
        "perplexity ×": meanings["perplexity_factor"].map("{:.3f}".format),
        "KL, nats": meanings["kl_nats"].map("{:.3f}".format),
        "same next token": meanings["agreement"].map("{:.0%}".format),
        "accuracy lost, points": (100 * meanings["accuracy_lost"]).map("{:.1f}".format),
    }
).rename_axis("QiD, nats")
display(HTML(cells.to_html()))

# %% [markdown]
# *Medians over rows whose QiD is within a factor of 1.25 of the first column: at least {glue:text}`meaning_rows:d` rows of
# {glue:text}`meaning_runs:d` training runs each. KL: divergence from the 16-bit model's predictions. Same next token: how often both
# models put the same token first. Accuracy: how often the next token of the text is put first.*
#
# So {glue:text}`agree_0_05:.0%` of next tokens stay the same at 0.05 nats, and {glue:text}`accuracy_0_05:.1f` points of accuracy in predicting the
# next token are lost; at 0.5 nats {glue:text}`agree_0_5:.0%` and {glue:text}`accuracy_0_5:.0f` points. These are small models of Python code: how a chat model's answers
# change isn't measured here.
#
# ## What it writes
#
# One of this book's models (0.6M parameters, Python code) continues the same lines, the likeliest token each time.

# %% tags=["hide-input"]
checkpoint, _ = one_checkpoint.load_folder(CHECKPOINT, device)
tokenizer = tokenizer_of(CHECKPOINT)
texts = {"16 bits": continuation(checkpoint, tokenizer, PROMPT, N_TOKENS)}
for bits in (4, 3, 2):
    scheme, tokens = one_checkpoint.calibrated(checkpoint, one_checkpoint.gptq_scheme(bits, 32, False))
    with rounded_in_place(checkpoint, one_checkpoint.round_checkpoint(checkpoint, scheme, tokens)):
        texts[f"{bits} bits"] = continuation(checkpoint, tokenizer, PROMPT, N_TOKENS)

# %% tags=["remove-input"]
lines = [f"**{name}**\n\n```python\n{PROMPT}{text}\n```\n" for name, text in texts.items()]
display(Markdown("\n".join(lines)))

# %% [markdown]
# A model this small writes no working program in 16 bits either. What to look at is where the lines part.
#
# ## What to do
#
# 1. **Start with 4 bits, GPTQ or AWQ, groups of 128.** At equal stored bits coarse groups lose less than groups of 32, by a factor
#    between {glue:text}`10-methods-and-texts.ipynb::coarse_lowest:.2f` and
#    {glue:text}`10-methods-and-texts.ipynb::coarse_highest:.2f` here ({doc}`chapter 10 <10-methods-and-texts>`). At 4 bits rounding to nearest
#    loses {glue:text}`10-methods-and-texts.ipynb::rtn_4:.1f` times as much as GPTQ.
# 2. **Many tokens per parameter? Expect more.** QiD grows with $D/N$: a small model trained long loses more than a large one trained
#    short ({doc}`chapter 4 <04-degradation>`, {doc}`chapter 17 <17-atlas-of-laws>`). At equal tokens per parameter a larger model is no safer.
# 3. **3 bits or less: measure first**, on text like yours: `qid measure MODEL --text mine.txt`. The methods part there, and so do models.
# 4. **Need fewer bits than 4 on average?** Round everything with wider codes before you keep some weights in 16 bits
#    ({doc}`chapter 16 <16-seven-ways>`). If you keep something, keep attention's output where weights alone are rounded
#    ({doc}`chapter 13 <13-how-much-can-go-low>`).
# 5. **Choose between models by their loss after rounding, not by QiD.** A better model may lose more and still be better
#    ({doc}`chapter 7 <07-tokens-or-decay>`, exercises).
# 6. **Bits are stored bits.** Scales count: groups of 32 add
#    {glue:text}`10-methods-and-texts.ipynb::overhead_32:.2f` bits to each weight, groups of 128
#    {glue:text}`10-methods-and-texts.ipynb::overhead_128:.2f`.
#
# ## What this does not show
#
# - **Your model.** Printed values are of OPT and LLaMA 1, with up to {glue:text}`most_ratio:.0f` tokens per parameter. Models of today
#   have ten times that, and no printed pair of this table covers it.
# - **Errors.** Papers print one perplexity; with another calibration text it would be another ({doc}`chapter 11 <11-noise-floor>`).
# - **Tasks.** Loss and next tokens, no benchmark of answers; and weights alone, not inputs or caches.

# %% tags=["remove-cell"]
put("most_ratio", float((points[TOKENS_SEEN] / points[N_PARAMS]).max()))

# %% [markdown]
# ## Exercises
#
# **1.** You accept a perplexity that is a tenth higher. What is your budget of QiD?
#
# ```{admonition} Answer
# :class: dropdown
# $\ln 1.1$, a little less than a tenth of a nat per token. For small QiD the two are almost the same number.
# ```
#
# **2.** In 16 bits model A has a loss of 2.00 and model B of 2.15. At 3 bits A's QiD is 0.20 and B's 0.04. Which do you ship at 3 bits?
#
# ```{admonition} Answer
# :class: dropdown
# B: 2.19 against 2.20 nats per token after rounding. The difference is small; measure it on your text, on the same documents, before you
# decide.
# ```
#
# **3.** How many gigabytes do 7B weights take at 4 bits in groups of 128, scales of 16 bits and zero points of 4 included?
#
# ```{admonition} Answer
# :class: dropdown
# $7 \cdot 10^9 \cdot (4 + 20/128) / 8$ bytes: about 3.6 GB, after 14 GB in 16 bits.
# ```

# %% [markdown]
# **4.** *(code, checks itself)* What does the default law say of 7B parameters, 15T tokens and 4 bits in groups of 128: by what share does perplexity grow? The
# laws were fitted in groups of 32; `group_factor(fits(), 128)` says what longer groups cost.

# %%
import numpy as np

from helpers.analyse.judgement.band import group_factor
from helpers.teach.checking import check
from helpers.teach.data import fits

answer = None  # e^q - 1, a share
check("19.4", answer)

# %% mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"} tags=["hide-cell"]
law = fits().fits[fits().default.law].law
qid = law.predict(tokens=15e12, n_params=7e9, bits=4.0) * group_factor(fits(), 128)
check("19.4", np.expm1(qid))

# %% [markdown]
# **5.** *(project)* Measure a model of your own, or a pocket checkpoint, at 2, 3 and 4 bits with `qid measure`. Set what you find beside what
# the laws of this chapter expect, and write the three lines that open this chapter for your model.
