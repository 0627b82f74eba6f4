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
    long, short = (outcomes(seq_len) for seq_len in (512, 64))
    qid = [entry for entry in long if entry["quantity"] == "qid_nats"]
    kl = [entry for entry in long if entry["quantity"] == "kl_nats"]
    first = [entry for entry in short if entry["quantity"] == "qid_nats"]
    laws, band = [entry for entry in qid if entry["law"] != BAND], [entry for entry in qid if entry["law"] == BAND]
    widths = sorted(math.log(entry["high"] / entry["low"]) for entry in band)
    middle = len(widths) // 2
    median = widths[middle] if len(widths) % 2 else (widths[middle - 1] + widths[middle]) / 2
    kl_laws = [entry for entry in kl if entry["law"] != BAND]
    kl_default = [entry for entry in kl_laws if entry["law"] == DEFAULT]
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
        "out_kl_default_n": len(judged(kl_default)),
        "out_kl_default_hold": sum(judged(kl_default)),
        **of_law("steps", "steps", qid),
        **of_law("steps_first", "steps", first),
        **of_law("default", DEFAULT, qid),
        **of_law("default_first", DEFAULT, first),
        "out_steps_miss_bytes": in_bytes("steps", "beta", qid),
        "out_default_miss_bytes": in_bytes(DEFAULT, "b", qid),
        **rows_of_the_model(),
        **windows(),
        **methods(),
    }


def outcomes(seq_len: int) -> list[dict]:
    """Return the entries about the model that its rows of one window answer, each with what that row says."""
    chosen = where(first_draw(rounded()), method="gptq", seq_len=seq_len)
    rows = {(row["bits"], row["group_size"], row["eval_dataset"]): row for row in chosen}
    found = []
    listed = json.loads((ROOT / "results/predictions.json").read_text(encoding="utf-8"))
    for entry in (each for each in listed if "law" in each):  # at the end there may be a checksum
        row = rows.get((entry["bits"], SCHEMES.get(entry["scheme"], 0), entry["text"]))
        if entry["run"] == RUN and row is not None:
            measured = row[COLUMNS[entry["quantity"]]]
            if seq_len == 64 and not math.isclose(entry["outcome"], measured, rel_tol=1e-9):
                raise ValueError(f"the register has {entry['outcome']}, the row {measured}")
            found.append(entry | {"measured": measured})
    return found


def rounded() -> list[dict]:
    """Return the rounded rows of the model from outside."""
    return [row for row in measurements("outside") if row["method"] != "none"]


def first_draw(rows: list[dict]) -> list[dict]:
    """Return the rows of the first draw of calibration text, and those without one."""
    return [row for row in rows if row["calib_seed"] in (None, 0)]


def judged(entries: list[dict]) -> list[bool]:
    """Return whether each interval holds; entries without one are left out."""
    with_both = [entry for entry in entries if entry["low"] is not None and entry["high"] is not None]
    return [entry["low"] <= entry["measured"] <= entry["high"] for entry in with_both]


def of_law(key: str, law: str, entries: list[dict]) -> dict:
    """Return a law's intervals at 2, 3 and 4 bits, those that hold, and its typical miss."""
    own = [entry for entry in entries if entry["law"] == law and entry["bits"] <= 4]
    misses = [math.log(entry["predicted"] / entry["measured"]) for entry in own if entry["measured"] > 0]
    return {f"out_{key}_n": len(judged(own)), f"out_{key}_hold": sum(judged(own)), f"out_{key}_miss": typical(misses)}


def in_bytes(law: str, exponent: str, entries: list[dict]) -> float:
    """Return the typical miss per byte at 2, 3 and 4 bits: the law's tokens come to the power `exponent`."""
    own = [entry for entry in entries if entry["law"] == law and entry["bits"] <= 4 and entry["measured"] > 0]
    stored = json.loads((ROOT / "results/fits.json").read_text(encoding="utf-8"))["outcomes"]["qid"]["fits"][law]
    power = 1 + stored["coefficients"][exponent]
    by_text = longer()
    return typical([math.log(e["predicted"] / e["measured"]) + power * math.log(by_text[e["text"]]) for e in own])


def typical(misses: list[float]) -> float:
    return math.exp(math.sqrt(math.fsum(m * m for m in misses) / len(misses)))


def longer() -> dict[str, float]:
    """Return by text the bytes of a token of the model, over those of one of ours on held-out code."""
    ours = {row["n_bytes"] / row["n_tokens"] for row in trunk(study())}
    (reference,) = ours
    by_text = grouped(where(measurements("outside"), seq_len=512), "eval_dataset")
    return {text: rows[0]["n_bytes"] / rows[0]["n_tokens"] / reference for text, rows in by_text.items()}


def rows_of_the_model() -> dict:
    """Return the numbers about the rows and the model's size."""
    rows = where(measurements("outside"), seq_len=512)
    losses = {row["eval_dataset"]: row["loss_nats"] for row in where(rows, method="none")}
    scored = {row["eval_dataset"]: row["n_tokens"] for row in rows}
    ((n, d),) = {(row[N], row[D]) for row in rows}
    (calibration,) = {row["calib_sequences"] * row["calib_seq_len"] for row in where(rows, method="gptq")}
    (first,) = {
        row["calib_sequences"] * row["calib_seq_len"]
        for row in where(measurements("outside"), method="gptq", seq_len=64)
    }
    (vocabulary,) = {row["vocabulary_size"] for row in rows}
    (ruined,) = where(first_draw(rows), method="gptq", bits=2, group_size=64, eval_dataset=CODE)
    ours = trunk(study())
    return {
        "out_ruin": ruined["loss_nats"],
        "out_guess": math.log(vocabulary),
        "out_loss_code": losses[CODE],
        "out_loss_prose": losses[PROSE],
        "out_scored_code": scored[CODE],
        "out_scored_prose": scored[PROSE],
        "out_calibration": calibration,
        "out_calibration_first": first,
        "out_size": label(n),
        "out_tokens": label(d),
        "out_times_size": n / max(row[N] for row in ours),
        "out_times_tokens": d / max(row[D] for row in ours),
        "out_longer_code": longer()[CODE],
        "out_longer_prose": longer()[PROSE],
    }


def windows() -> dict:
    """Return QiD on code in windows of 64 and of 2,048 tokens over that in windows of 512."""
    rows = where(first_draw(rounded()), group_size=64, eval_dataset=CODE)
    at = {(row["method"], row["bits"], row["seq_len"]): row["qid"] for row in rows}
    return {
        f"out_{key}_{method}_{bits}": at[method, bits, length] / at[method, bits, 512]
        for key, length in (("short", 64), ("long", 2048))
        for method in ("rtn", "gptq")
        for bits in (3, 4)
    }


def methods() -> dict:
    """Return each method's QiD over RTN's by text, and what a second draw of calibration text changes."""
    rows = where(rounded(), group_size=64, seq_len=512)
    at = {(row["method"], row["bits"], row["eval_dataset"]): row["qid"] for row in first_draw(rows)}
    again = {(row["bits"], row["eval_dataset"]): row["qid"] for row in where(rows, method="gptq", calib_seed=1)}
    of_rtn = {
        f"out_{method}_{word}_{bits}": at[method, bits, text] / at["rtn", bits, text]
        for method in ("gptq", "awq")
        for text, word in ((CODE, "code"), (PROSE, "prose"))
        for bits in (3, 4)
    }
    return of_rtn | {f"out_draw_{bits}": again[bits, CODE] / at["gptq", bits, CODE] - 1 for bits in (3, 4)}
