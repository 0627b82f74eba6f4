"""Chapter 18 counted again: the register's entries as JSON beside the rows of the model from outside."""

import json
import math

from tests.recount.recount import ROOT, grouped, label, measurements, study, trunk, where

EXCEPTED = {"out_model": "the model's name"}
TOLERANCES = {}

RUN, BAND, DEFAULT = "smollm2-wheel/SmolLM2-135M-Instruct", "band", "tokens-per-parameter"
CODE, PROSE = "wheels-heldout", "wheels-prose"
SCHEMES = {"gptq, asymmetric groups of 64": 64, "gptq, asymmetric rows": None}
COLUMNS = {"qid_nats": "qid", "kl_nats": "kl_nats"}
N, D = "n_params_non_embedding", "tokens_seen"


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    qid, kl = ([entry for entry in outcomes() if entry["quantity"] == name] for name in COLUMNS)
    laws, band = [entry for entry in qid if entry["law"] != BAND], [entry for entry in qid if entry["law"] == BAND]
    widths = sorted(math.log(entry["high"] / entry["low"]) for entry in band)
    middle = len(widths) // 2
    median = (widths[middle] + widths[-middle - 1]) / 2
    kl_laws = [entry for entry in kl if entry["law"] != BAND]
    return {
        "out_entries": len(qid),
        "out_laws": len({entry["law"] for entry in laws}),
        "out_intervals": len(judged(laws)),
        "out_hold": sum(judged(laws)),
        "out_band_n": len(band),
        "out_band_hold": sum(judged(band)),
        "out_band_width": math.exp(median),
        "out_kl_intervals": len(judged(kl_laws)),
        "out_kl_hold": sum(judged(kl_laws)),
        **of_law("steps", "steps", "beta", laws),
        **of_law("default", DEFAULT, "b", laws),
        **rows_of_the_model(),
    }


def outcomes() -> list[dict]:
    """Return the entries about the model that its table has a row of, each with what that row says."""
    rows = {(row["bits"], row["group_size"], row["eval_dataset"]): row for row in where(rounded(), method="gptq")}
    found = []
    listed = json.loads((ROOT / "results/predictions.json").read_text(encoding="utf-8"))
    for entry in (each for each in listed if "law" in each):  # at the end there may be a checksum
        row = rows.get((entry["bits"], SCHEMES.get(entry["scheme"], 0), entry["text"]))
        if entry["run"] == RUN and row is not None:
            measured = row[COLUMNS[entry["quantity"]]]
            if entry["outcome"] != measured and not math.isclose(entry["outcome"], measured, rel_tol=1e-9):
                raise ValueError(f"the register has {entry['outcome']}, the row {measured}")
            found.append(entry | {"measured": measured})
    return found


def rounded() -> list[dict]:
    """Return the rounded rows of the model from outside."""
    return [row for row in measurements("outside") if row["method"] != "none"]


def judged(entries: list[dict]) -> list[bool]:
    """Return whether each interval holds; entries without one are left out."""
    with_both = [entry for entry in entries if entry["low"] is not None and entry["high"] is not None]
    return [entry["low"] <= entry["measured"] <= entry["high"] for entry in with_both]


def of_law(key: str, law: str, exponent: str, entries: list[dict]) -> dict:
    """Return a law's intervals and typical miss, per token and per byte: its tokens come to the power `exponent`."""
    own = [entry for entry in entries if entry["law"] == law]
    stored = json.loads((ROOT / "results/fits.json").read_text(encoding="utf-8"))["outcomes"]["qid"]["fits"][law]
    power = 1 + stored["coefficients"][exponent]
    positive = [entry for entry in own if entry["measured"] > 0]
    misses = [math.log(entry["predicted"] / entry["measured"]) for entry in positive]
    in_bytes = [m + power * math.log(longer()[entry["text"]]) for m, entry in zip(misses, positive, strict=True)]
    return {
        f"out_{key}_n": len(judged(own)),
        f"out_{key}_hold": sum(judged(own)),
        f"out_{key}_miss": typical(misses),
        f"out_{key}_miss_bytes": typical(in_bytes),
    }


def typical(misses: list[float]) -> float:
    return math.exp(math.sqrt(math.fsum(m * m for m in misses) / len(misses)))


def longer() -> dict[str, float]:
    """Return by text the bytes of a token of the model, over those of one of ours on held-out code."""
    ours = {row["n_bytes"] / row["n_tokens"] for row in trunk(study())}
    (reference,) = ours
    by_text = grouped(measurements("outside"), "eval_dataset")
    return {text: rows[0]["n_bytes"] / rows[0]["n_tokens"] / reference for text, rows in by_text.items()}


def rows_of_the_model() -> dict:
    """Return the numbers about the rows and the model's size."""
    rows = measurements("outside")
    losses = {row["eval_dataset"]: row["loss_nats"] for row in where(rows, method="none")}
    ((n, d),) = {(row[N], row[D]) for row in rows}
    ((context, scored),) = {(row["seq_len"], row["n_tokens"]) for row in rows}
    (calibration,) = {row["calib_sequences"] * row["calib_seq_len"] for row in where(rows, method="gptq")}
    (vocabulary,) = {row["vocabulary_size"] for row in rows}
    (ruined,) = where(rows, bits=2, eval_dataset=CODE)
    ours = trunk(study())
    at = {(row["method"], row["bits"], row["eval_dataset"]): row["qid"] for row in where(rounded(), group_size=64)}
    gains = {
        f"out_gain_{word}_{bits}": at["gptq", bits, text] / at["rtn", bits, text]
        for text, word in ((CODE, "code"), (PROSE, "prose"))
        for bits in (3, 4)
    }
    return gains | {
        "out_ruin": ruined["loss_nats"],
        "out_guess": math.log(vocabulary),
        "out_loss_code": losses[CODE],
        "out_loss_prose": losses[PROSE],
        "out_context": context,
        "out_scored": scored,
        "out_calibration": calibration,
        "out_size": label(n),
        "out_tokens": label(d),
        "out_times_size": n / max(row[N] for row in ours),
        "out_times_tokens": d / max(row[D] for row in ours),
        "out_longer_code": longer()[CODE],
        "out_longer_prose": longer()[PROSE],
    }
