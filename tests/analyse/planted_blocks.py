"""Planted rows of mixed quantization in several block sizes: the law of every row is known."""

import dataclasses

import numpy as np
import pandas as pd

from helpers.analyse.laws.joint import RatioExponentialLaw
from helpers.analyse.laws.variables import ValidityRange
from helpers.table.rows import Measurement

BLANK = {field.name: None for field in dataclasses.fields(Measurement)}
ANYWHERE = ValidityRange((1, np.inf), (1, np.inf), (1, np.inf))
# 0.08 nats for a tadpole of a million parameters at 250M tokens, all low, in blocks of 32: its order of magnitude
LAW = RatioExponentialLaw(k=1.1e-4, beta=0.35, alpha=0.25, kappa=0.4, c=2.0, source="planted", validity=ANYWHERE)
SHAPES = ((64, 3), (96, 3), (128, 3), (192, 4), (256, 4), (320, 6), (384, 8), (512, 12))
STEPS = {500: "stable", 1907: "stable", 7275: "stable", 1908: "decay"}
TOKENS_PER_STEP = 131_072
SCHEME = {
    "method": "rtn",
    "format": "mxint",
    "bits": 4,
    "symmetric": True,
    "activation_format": "mxint",
    "activation_bits": 4,
}
N_DOCUMENTS = 32


def block_sizes(width: int) -> list[int | None]:
    return [size for size in (16, 32, 64, 128, 256, 512) if width % size == 0] + [None]


def one_row(width, layers, step, block, ratio, losses) -> dict:
    phase = STEPS[step]
    model = f"tadpole-{width}x{layers}"
    run = model if phase == "stable" else f"{model}-cooldown1526"
    low = SCHEME | {"group_size": block, "activation_group_size": block, "scheme_id": f"{block} {ratio}"}
    return (
        BLANK
        | {"checkpoint_id": f"{run}@{step}", "eval_id": "held-out", "device_type": "cuda", "method_version": 1}
        | {"weights_sha256": f"{run}@{step}", "family": "tadpole-mixed", "model": model, "run": run}
        | {"step": step, "tokens_seen": step * TOKENS_PER_STEP, "lr_phase": phase, "n_averaged": 1}
        | {"n_params_non_embedding": 12 * width**2 * layers, "n_layers": layers, "d_model": width}
        | {"kept_matrices": (), "status": "ok", "loss_nats": float(losses.mean()), "group_loss": losses}
        | ({"method": "none"} if ratio is None else low | {"quantized_ratio": ratio})
    )


def measurements(seed: int = 0, tau: float = 0.05, law=LAW, noise: float = 0.02) -> pd.DataFrame:
    """Return 16-bit rows, and three ratios in every block size, of 8 runs: 3 checkpoints and a cooldown each.

    `tau` is the relative spread of a row beyond its error, `noise` the standard deviation of a document's QiD as a
    share of the mean. The largest model isn't trained to the end.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for width, layers in SHAPES:
        for step in STEPS:
            if width == 512 and step == 7275:
                continue
            base = generator.normal(3.0, 0.3, N_DOCUMENTS)
            rows.append(one_row(width, layers, step, None, None, base))
            for block in block_sizes(width):
                for ratio in (0.5, 0.9, 1.0):
                    size, tokens = 12 * width**2 * layers, step * TOKENS_PER_STEP
                    values = {"group_size": block or 4 / 3 * width, "quantized_ratio": ratio}
                    mean = float(law.predict(tokens, size, 4, **values)) * (1 + tau * generator.normal())
                    losses = base + mean * (1 + noise * generator.normal(size=N_DOCUMENTS))
                    rows.append(one_row(width, layers, step, block, ratio, losses))
    return pd.DataFrame(rows)
