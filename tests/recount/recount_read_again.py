"""Runs on a part of the trunk's text counted again, from results/unique.parquet and the trunk's rows."""

import json
import math

import numpy as np
from tests.recount.recount import (
    ROOT,
    checkpoints,
    distinct,
    geometric_mean,
    grouped,
    half_width,
    label,
    measurements,
    study,
    table,
    trunk,
    where,
)

D, N, AMOUNT = "tokens_seen", "n_params_non_embedding", "unique_tokens"
FITTED, OUTCOMES = {2, 3, 4}, {"kl": "kl_nats", "qid": "qid"}
SIZES, MANY = ("small", "middle", "large"), 8


def read_again() -> dict:
    """Return what the page on what else moves QiD states of runs on a part of the text."""
    rows = parts_of("wheels-heldout")
    sizes = sorted(distinct(rows, N))
    found = {
        "part_runs": len(distinct(rows, "family", "run")),
        "part_sizes": len(sizes),
        **{f"part_size_{name}": label(size) for name, size in zip(SIZES, sizes, strict=True)},
        "part_tokens": label(max(row[D] for row in rows)),
        "part_least": label(min(row[AMOUNT] for row in rows)),
    }
    return found | before(rows) | factors(rows) | earlier(rows) | losses() | methods(rows) | registered() | surely()


def parts_of(text) -> list[dict]:
    return where(measurements("unique"), eval_dataset=text, device_type="cuda", n_sequences=512, calib_seed={None, 0})


def trunks(text, row) -> list[dict]:
    """Return the trunk's rows of the size and scheme of a row, in the order of tokens."""
    same = {name: row[name] for name in ("model", "method", "bits", "group_size", "symmetric")}
    return sorted(where(trunk(study(text)), **same), key=lambda one: one[D])


def between(rows, tokens, value) -> float:
    """Return `value` of the trunk at some tokens, on the straight line in ln D between its neighbours."""
    below = [row for row in rows if row[D] <= tokens][-1]
    above = next(row for row in rows if row[D] >= tokens)
    if below is above:
        return value(below)
    share = math.log(tokens / below[D]) / math.log(above[D] / below[D])
    return (1 - share) * value(below) + share * value(above)


def log_ratio(row, outcome) -> float:
    known = trunks("wheels-heldout", row)
    return math.log(row[OUTCOMES[outcome]]) - between(known, row[D], lambda one: math.log(one[OUTCOMES[outcome]]))


def gptq(rows, outcome) -> list[dict]:
    """Return GPTQ's rows at the widths that the page averages an outcome over."""
    chosen = where(rows, method="gptq")
    return chosen if outcome == "kl" else where(chosen, bits=FITTED)


def ends(rows) -> list[dict]:
    last = max(row[D] for row in rows)
    return where(rows, **{D: last})


def over_sizes(logs, name) -> dict:
    mean, half = math.fsum(logs) / len(logs), half_width(logs)
    return {f"{name}_{end}": math.exp(mean + way * half) for end, way in (("mean", 0), ("low", -1), ("high", 1))}


def by_size(rows, outcome) -> dict[str, float]:
    """Return each size's mean of ln over the trunk, by its place among the sizes."""
    means = {size: np.mean([log_ratio(row, outcome) for row in own]) for size, own in grouped(rows, N).items()}
    return dict(zip(SIZES, (means[size] for size in sorted(means)), strict=True))


def times_read(rows) -> int:
    return round(max(row[D] / row[AMOUNT] for row in rows))


def factors(rows) -> dict:
    """Return factors at the last tokens by passes and size, and over sizes where the passes are few."""
    found = {}
    for outcome in OUTCOMES:
        for own in grouped(gptq(ends(rows), outcome), AMOUNT).values():
            logs, name = by_size(own, outcome), f"part_{outcome}_{times_read(own)}"
            found |= {f"{name}_{size}": math.exp(value) for size, value in logs.items()}
            found |= over_sizes(list(logs.values()), name) if times_read(own) < MANY else {}
    return found


def before(rows) -> dict:
    """Return the scatter about the trunk of checkpoints that have read nothing twice, as a factor."""
    early = [row for row in rows if row[D] <= row[AMOUNT]]
    found = {"part_before": len(distinct(early, "family", "run", "step"))}
    for outcome in OUTCOMES:
        of_outcome = grouped(gptq(early, outcome), "family", "run", "step").values()
        logs = [[log_ratio(row, outcome) for row in own if row[OUTCOMES[outcome]] > 0] for own in of_outcome]
        found[f"part_scatter_{outcome}"] = math.exp(math.sqrt(np.mean([np.mean(one) ** 2 for one in logs])))
    return found


def earlier(rows) -> dict:
    """Return the factor of KL on the least text at the checkpoint before the last."""
    least = where(gptq(rows, "kl"), **{AMOUNT: min(row[AMOUNT] for row in rows)})
    _, tokens = sorted(distinct(least, D), reverse=True)[:2]
    own = where(least, **{D: tokens})
    found = {f"part_earlier_{size}": math.exp(value) for size, value in by_size(own, "kl").items()}
    return found | {"part_earlier_passes": tokens / own[0][AMOUNT]}


def losses() -> dict:
    """Return the 16-bit loss beyond the trunk's at the last tokens, on both texts."""
    found = {}
    for name, text in (("heldout", "wheels-heldout"), ("unseen", "wheels-unseen")):
        last = where(ends(parts_of(text)), method="none")
        for own in grouped(last, AMOUNT).values():
            for size, row in zip(SIZES, sorted(own, key=lambda one: one[N]), strict=True):
                more = row["loss_nats"] - between(trunks(text, row), row[D], lambda one: one["loss_nats"])
                found[f"part_loss_{name}_{times_read(own)}_{size}"] = more
    return found


def methods(rows) -> dict:
    """Return the largest size's KL on the least text over that on the most, by method, over its widths."""
    found = {}
    least, *_, most = sorted(distinct(rows, AMOUNT))
    largest = where(ends(rows), **{N: max(row[N] for row in rows)})
    for method, own in grouped(largest, "method").items():
        if method == "none" or method.startswith("gaussian"):
            continue
        kl = {(row["bits"], row[AMOUNT]): row["kl_nats"] for row in own}
        found[f"part_over_{method}"] = geometric_mean(
            [kl[bits, least] / kl[bits, most] for bits in distinct(own, "bits")]
        )
    return found


def registered() -> dict:
    """Return how many registered intervals of these runs hold, on the least text and on more."""
    entries = json.loads((ROOT / "results/predictions.json").read_text(encoding="utf-8"))
    found = {f"part_{kind}_{name}": 0 for kind in ("registered", "hold") for name in ("many", "fewer")}
    for one in entries:
        if one.get("run", "").startswith("tadpole-unique") and one["outcome"] != "open":
            name = "many" if one["run"].startswith("tadpole-unique34/") else "fewer"
            found[f"part_registered_{name}"] += 1
            found[f"part_hold_{name}"] += one["low"] <= one["outcome"] <= one["high"]
    return found


def surely() -> dict:
    """Return loss less entropy of the largest size on the least text and on the trunk, where both have a checkpoint."""
    own = where(table("unique-checkpoints"), family="tadpole-unique34")
    known = {(row["model"], row["step"]): row for row in trunk(checkpoints())}
    shared = [row for row in own if (row["model"], row["step"]) in known]
    row = max(shared, key=lambda one: (one["step"], one[N]))
    pair = {"part_sure": row, "part_sure_trunk": known[row["model"], row["step"]]}
    return {name: one["loss_nats"] - one["logit_entropy_nats"] for name, one in pair.items()}
