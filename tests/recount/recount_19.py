"""Chapter 19 counted again: printed models from the file's rows, what a QiD means, and every law at one model written out."""

import functools
import math
from collections import Counter

import numpy as np
from tests.recount.recount import distinct, measurements, twin_key, where
from tests.recount.recount_09 import constants, printed, stored

EXCEPTED: dict[str, str] = {}
TOLERANCES: dict[str, float] = {}
SIZE, TOKENS, BITS, GROUP = 7e9, 15e12, 4, 128
LEVELS = (0.01, 0.05, 0.2, 0.5)
FOUR_BITS_OF_TABLE_1 = (6.132297e-6, 0.655060, 0.383503)  # k, beta, alpha: through the cells of Ouyang et al., table 1
KUMAR = (0.0598, 0.5068, 0.3439, 0.5907)


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    return models() | meanings() | laws()


@functools.cache
def in_groups() -> list[dict]:
    """Return the printed rows in groups of 128 with a QiD above zero; of two sources the one with more rows."""
    rows = where(printed(), dataset="WikiText2")
    of_source = Counter(row["source"] for row in printed())
    best: dict[tuple, dict] = {}
    for row in rows:
        key = tuple(row[name] for name in ("model", "method", "bits", "group_size"))
        if key not in best or of_source[row["source"]] > of_source[best[key]["source"]]:
            best[key] = row
    chosen = where(best.values(), group_size="128", method={"RTN", "GPTQ", "AWQ"})
    return [row for row in chosen if row["q"] > 0]


def models() -> dict:
    found = {
        "models": len(distinct(in_groups(), "model")),
        "most_ratio": max(row["d"] / row["n"] for row in in_groups()),
    }
    for bits in (3, 4):
        factors = [math.exp(row["q"]) for row in where(in_groups(), method="GPTQ", bits=bits)]
        found |= {f"gptq_{bits}_low": min(factors), f"gptq_{bits}_high": max(factors)}
    return found


def meanings() -> dict:
    known = [row for row in measurements() if row["top1_accuracy"] is not None]
    twins = {twin_key(row): row for row in where(known, method="none")}
    found, counts = {}, []
    for level in LEVELS:
        near = [row for row in known if row["method"] != "none" and level / 1.25 < row["qid"] < level * 1.25]
        before = [twins[twin_key(row)]["top1_accuracy"] for row in near]
        lost = [one - row["top1_accuracy"] for one, row in zip(before, near, strict=True)]
        key = str(level).replace(".", "_")
        found[f"agree_{key}"] = float(np.median([row["top1_agreement"] for row in near]))
        found[f"accuracy_{key}"] = 100 * float(np.median(lost))
        counts.append((len(near), len(distinct(near, "family", "run"))))
    rows, runs = zip(*counts, strict=True)
    return found | {"meaning_rows": min(rows), "meaning_runs": min(runs)}


def laws() -> dict:
    said = {name: value for name, value in answers().items() if name not in failing()}
    default = stored()["default"]["name"]
    (miss,) = [row["score"] for row in stored()["outside"] if row["law"] == default]
    low, high = min(said.values()), max(said.values())
    return {
        "band_low": low,
        "band_high": high,
        "spread": high / low,
        "n_laws": len(said),
        "default_nats": said[default],
        "miss": math.exp(miss),
        "default_law": default,
    }


def failing() -> set[str]:
    return {row["law"].removesuffix(", loss predicted") for row in stored()["outside"] if row["behind_low"] > 0}


def answers() -> dict[str, float]:
    """Return the QiD of one model by each law that knows tokens, size, bits and, maybe, loss and group."""
    coarser = (GROUP / 32) ** constants("group-size")["eta"]
    steps = 2 ** (BITS - 1) - 1
    of_loss = stored()["loss_law"]["parameters"]
    inner = (of_loss["N_c"] / SIZE) ** (of_loss["alpha_N"] / of_loss["alpha_D"]) + of_loss["D_c"] / TOKENS
    loss = inner ** of_loss["alpha_D"]

    def power(c: dict, tokens: float = TOKENS) -> float:
        return c["k"] * tokens ** c["beta"] / SIZE ** c["alpha"] / BITS ** c["gamma"]

    def stepped(c: dict) -> float:
        return c["k"] * TOKENS ** c["beta"] / SIZE ** c["alpha"] / steps ** c["gamma"]

    def onset(c: dict) -> float:
        return c["D0"] * (SIZE / 1e6) ** -c["nu"]

    c = {name: constants(name) for name in stored()["fits"]}
    own = {
        "power": power(c["power"]),
        "steps": stepped(c["steps"]),
        "exponential": c["exponential"]["C_T"] * TOKENS ** c["exponential"]["g_D"] / SIZE ** c["exponential"]["g_N"]
        * math.exp(-BITS / c["exponential"]["g_post"]),
        "tokens-per-parameter": c["tokens-per-parameter"]["c"] * (TOKENS / SIZE) ** c["tokens-per-parameter"]["b"]
        / steps ** c["tokens-per-parameter"]["gamma"],
        "free-bits": c["free-bits"]["k"] * TOKENS ** c["free-bits"]["beta"] / SIZE ** c["free-bits"]["alpha"]
        * c["free-bits"]["g_4"],
        "loss": stepped(c["loss"]) * math.exp(-c["loss"]["lambda_"] * loss),
        "loss-power-bits": power(c["loss-power-bits"]) * math.exp(-c["loss-power-bits"]["lambda_"] * loss),
        "saturating": 1 / (1 / power(c["saturating"]) + 1 / c["saturating"]["ceiling"]),
        "threshold": power(c["threshold"], TOKENS - c["threshold"]["D0"]),
        "threshold-by-size": power(c["threshold-by-size"], TOKENS - onset(c["threshold-by-size"])),
        "onset": power(c["onset"]) / (1 + (onset(c["onset"]) / TOKENS) ** c["onset"]["s"]),
        "power-per-bit": c["power-per-bit-4"]["k"] * TOKENS ** c["power-per-bit-4"]["beta"]
        / SIZE ** c["power-per-bit-4"]["alpha"],
    }  # fmt: skip
    with_groups = power(c["group-size"]) * GROUP ** c["group-size"]["eta"]
    k, beta, alpha = FOUR_BITS_OF_TABLE_1
    factor_t, g_d, g_n, g_post = KUMAR
    as_printed = {
        "ouyang2024": 0.017 * TOKENS**0.5251 / SIZE**0.2261 / BITS**5.4967,
        "ouyang2024-per-bit": k * TOKENS**beta / SIZE**alpha,
        "kumar2024": factor_t * TOKENS**g_d / SIZE**g_n * math.exp(-BITS / g_post),
    }
    return {name: value * coarser for name, value in own.items()} | {"group-size": with_groups} | as_printed
