"""What the appendix on ways of keeping states: CMPQ by size, slopes of ratios, and the kernel of rounded inputs."""

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.mixed.keeping import LINE
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.claims import claim
from helpers.show.intervals import Numbers, with_ends
from helpers.show.numbers.choose.seven_ways import EXPONENTS, INPUT_WAYS, TREND_PANELS, Ways, latest
from helpers.show.style import count_label

MEANS = {"low": "mean 2.5 bits", "high": "mean 3.5 bits"}


def trend_panels(ratios: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], tuple[float, float]]:
    """Return the ratios of each panel of the figure by its title, and the bounds of their common axis."""
    panels = {
        title: ratios[(ratios["way"] == way) & (ratios["setting"] == setting)]
        for title, (way, setting) in TREND_PANELS.items()
    }
    values = pd.concat([rows["ratio"] for rows in panels.values()])
    return panels, (values.min() / 1.1, values.max() * 1.1)


def trends(summary: pd.DataFrame) -> Numbers:
    """Return in how many settings the ratio falls and rises with size and with tokens; checks that CMPQ's fall."""
    sloped = summary.dropna(subset=["size"])
    by = summary.set_index(["way", "setting"])
    claim(bool((by.loc["CMPQ"][["size_high", "tokens_high"]] < 0).all(axis=None)), "CMPQ's ratio falls with both")
    falling = sloped["size_high"] < 0
    claim(bool((sloped.loc[falling, "way"] == "CMPQ").all()), "no other way's ratio falls with size")
    found: Numbers = {"n_sloped": len(sloped)}
    for name in ("size", "tokens"):
        found |= {f"n_{name}_down": int((sloped[f"{name}_high"] < 0).sum())}
        found |= {f"n_{name}_up": int((sloped[f"{name}_low"] > 0).sum())}
        row = by.loc[("CMPQ", MEANS["low"])]
        found |= {f"cmpq_{name}{end}": row[f"{name}{end}"] for end in ("", "_low", "_high")}
    return found


def cmpq(ratios: pd.DataFrame, draws: FloatArray, by_setting: pd.DataFrame) -> Numbers:
    """Return CMPQ's stored bits and ratios at the last checkpoints of the smallest and the largest size.

    The largest's has an interval by documents, from `draws` of ln ratio. `by_setting` has the pooled ratios.
    """
    found: Numbers = {}
    for name, setting in MEANS.items():
        found |= with_ends(f"cmpq_{name}_mean", by_setting.loc[("CMPQ", setting)], "ratio")
        own = latest(ratios[(ratios["way"] == "CMPQ") & (ratios["setting"] == setting)]).sort_values(N_PARAMS)
        for end, row in (("smallest", own.iloc[0]), ("largest", own.iloc[-1])):
            found |= {f"cmpq_{name}_{end}": row["ratio"], f"cmpq_{name}_bits_{end}": row["stored_bits"]}
        low, high = np.exp(np.quantile(draws[own.index[-1]], [0.025, 0.975]))
        claim((high < 1) == (name == "low"), "the largest model gains at the low mean alone")
        found |= {f"cmpq_{name}_largest_low": low, f"cmpq_{name}_largest_high": high}
    return found


def cheaper_than_narrowest(weights_only: pd.DataFrame) -> Numbers:
    """Return where CMPQ at 2.25 bits stores less than GPTQ at 2 bits, and how often it loses less all the same."""
    columns = ["checkpoint_id", "stored_bits", "qid_nats"]
    narrowest = weights_only[(weights_only["way"] == LINE) & (weights_only["bits"] == 2)]
    cheap = weights_only.loc[weights_only["setting"] == "mean 2.25 bits", columns]
    both = cheap.merge(narrowest[columns], on="checkpoint_id", suffixes=("", "_line"))
    cheaper = both[both["stored_bits"] < both["stored_bits_line"]]
    return {"n_cheaper": len(cheaper), "n_cheaper_wins": int((cheaper["qid_nats"] < cheaper["qid_nats_line"]).sum())}


def kernel(shares: pd.DataFrame, costs: pd.DataFrame, model: str, step: int) -> Numbers:
    """Return the mean share of inputs that become zero, and the cost's factor beside it, of one checkpoint.

    `shares` has one row a layer, `bits` and `exponent`, with `share`; `costs` is that of `Ways`, which has the model.
    """
    mean = shares.groupby(["bits", "exponent"])["share"].mean()
    found: Numbers = {
        f"kernel_{short}_{width}": mean[width, exponent] for width in (4, 8) for short, exponent in EXPONENTS.items()
    }
    own = costs[(costs["model"] == model) & (costs["step"] == step) & (costs["activation_bits"] == 4)]
    cost = own.set_index("way")["cost_nats"]
    of_cost = cost[INPUT_WAYS["token"]] / cost[INPUT_WAYS["cross"]]
    of_kernel = mean[4, 1.0] / mean[4, 0.15]
    claim(of_cost > 1.5 * of_kernel, "the cost falls by more than the kernel says")
    tokens = own[TOKENS_SEEN].iloc[0]
    named = {"kernel_model": model, "kernel_tokens": count_label(tokens)}
    return found | {"kernel_factor": of_kernel, "cost_factor": of_cost} | named


def numbers(ways: Ways, shares: pd.DataFrame, model: str, step: int) -> Numbers:
    """Return every number that the appendix states, by its key; for the last three see `kernel`."""
    ratios, draws = ways.against_line
    found = trends(ways.summary) | cmpq(ratios, draws, ways.by_setting) | cheaper_than_narrowest(ways.weights_only)
    return found | kernel(shares, ways.costs, model, step)
