"""Appendix G counted again: CMPQ by size, slopes of the ratios, and the cost of rounded inputs beside their kernel."""

import json
import math

import numpy as np
from tests.recount.recount import ROOT, label, where
from tests.recount.recount_16 import D, N, cells, costs_of_inputs, every, of_weights, pooled, ratio

LIVE = "counted on a model that the appendix runs"
KERNELS = [f"kernel_{short}_{bits}" for short in ("token", "cross", "half") for bits in (4, 8)]
EXCEPTED = dict.fromkeys([*KERNELS, "kernel_factor"], LIVE)
TOLERANCES = {}


def numbers() -> dict:
    """Return every number of the appendix that is counted again."""
    return cmpq() | slopes() | pocket()


def cmpq() -> dict:
    found = {}
    for name, mean in (("low", 2.5), ("high", 3.5)):
        found |= ratio(f"cmpq_{name}_mean", ("cmpq", mean))
        pairs = cells()["cmpq", mean]
        for end, choose in (("smallest", min), ("largest", max)):
            size = choose(row[N] for row, _ in pairs)
            row, values = max((pair for pair in pairs if pair[0][N] == size), key=lambda pair: pair[0][D])
            found |= {f"cmpq_{name}_{end}": math.exp(values[0]), f"cmpq_{name}_bits_{end}": row["stored"]}
        low, high = np.percentile(values[1:], (2.5, 97.5))  # of the largest
        found |= {f"cmpq_{name}_largest_low": math.exp(low), f"cmpq_{name}_largest_high": math.exp(high)}
    narrowest = {row["checkpoint_id"]: row for row in where(of_weights(), kind="gptq", setting=2)}
    pairs = [(row, narrowest[row["checkpoint_id"]]) for row in where(of_weights(), kind="cmpq", setting=2.25)]
    cheaper = [(row, other) for row, other in pairs if row["stored"] < other["stored"]]
    wins = sum(row["qid"] < other["qid"] for row, other in cheaper)
    return found | {"n_cheaper": len(cheaper), "n_cheaper_wins": wins}


def slopes() -> dict:
    """A slope needs places that no model alone determines: without any one model the design has full rank."""
    found = {}
    for cell, pairs in cells().items():
        models = {row["model"] for row, _ in pairs}
        design = [
            np.array([[1, math.log(r[N]), math.log(r[D])] for r, _ in pairs if r["model"] != out]) for out in models
        ]
        if all(len(one) and np.linalg.matrix_rank(one - [0, *one[:, 1:].mean(axis=0)]) == 3 for one in design):
            found[cell] = pooled(pairs, N, D)
    counted = {"n_sloped": len(found)}
    for place, name in ((1, "size"), (2, "tokens")):
        value, low, high = found["cmpq", 2.5][place]
        counted |= {f"cmpq_{name}": value, f"cmpq_{name}_low": low, f"cmpq_{name}_high": high}
        counted[f"n_{name}_down"] = sum(one[place][2] < 0 for one in found.values())
        counted[f"n_{name}_up"] = sum(one[place][1] > 0 for one in found.values())
    return counted


def pocket() -> dict:
    """The widest pocket model's last checkpoint, of the run that isn't a branch."""
    listed = json.loads((ROOT / "data/tadpole/manifest.json").read_text())["checkpoints"]
    plain = [one for one in listed if one["branched_from"] is None]
    last = max(plain, key=lambda one: (one["d_model"], one["step"]))
    (like,) = {row["checkpoint_id"] for row in where(every(), model=last["model"], step=last["step"])}
    factor = costs_of_inputs("token", 4)[like] / costs_of_inputs("cross", 4)[like]
    return {"cost_factor": factor, "kernel_model": last["model"], "kernel_tokens": label(last["tokens_seen"])}
