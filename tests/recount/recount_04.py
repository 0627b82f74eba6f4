"""Chapter 4 counted again: QiD along tokens, size and bits."""

import math
from itertools import pairwise

import numpy as np
from tests.recount.recount import (
    distinct,
    grouped,
    half_width,
    label,
    measurements,
    standard_error,
    study,
    trunk,
    where,
)
from tests.recount.recount_fits import by_run

EXCEPTED = {}
TOLERANCES = {}

N, D = "n_params_non_embedding", "tokens_seen"
EARLY = 60e6
BITS = {2, 3, 4}
WIDTHS = (2, 3, 4, 5, 6, 8)


def numbers() -> dict:
    parts = [sweep(), shown(), tokens(), early(), sizes(), bits(), eight(), exercise()]
    return {key: value for part in parts for key, value in part.items()}


def rounded(rows, method="gptq", group=32, symmetric=False, widths=BITS) -> list[dict]:
    """Return the rows of one method with integer codes, columns as they come, a grid from minimum to maximum."""
    plain = {"format": "int", "order": "given", "grid_search": "minmax", "group_size": group, "symmetric": symmetric}
    return where(rows, method=method, bits=widths, **plain)


def late(rows) -> list[dict]:
    return [row for row in rows if row[D] > EARLY]


def last(rows) -> dict:
    """Return the row of the largest model's last checkpoint."""
    return max(rows, key=lambda row: (row[N], row[D]))


def local(method) -> list[dict]:
    """Return what the pocket sweep measured here: text and calibration as its YAML has them."""
    rows = where(measurements("local"), device_type="cpu", n_sequences=128, calib_sequences={None, 32})
    return where(rows, method="none") if method == "none" else rounded(rows, method)


def size_order() -> list[int]:
    return sorted(distinct(trunk(study()), N))


def walks(rows, along, *names) -> list[list[dict]]:
    """Return the series that agree in the columns `names`, each in the order of the column `along`."""
    return [sorted(one, key=lambda row: row[along]) for one in grouped(rows, *names).values()]


def moves(series) -> list[int]:
    """Return the steps of some series as +1 where QiD rises, else -1."""
    return [1 if b["qid"] > a["qid"] else -1 for one in series for a, b in pairwise(one)]


def in_errors(one) -> float:
    """Return the change from the first to the last row of a series in errors of the change, paired by document."""
    return (one[-1]["qid"] - one[0]["qid"]) / standard_error(one[-1]["document_qid"] - one[0]["document_qid"])


def line(x, y) -> float:
    """Return the slope of ln y in ln x: their covariance over the variance of ln x."""
    x, y = np.log(x), np.log(y)
    return math.fsum((x - x.mean()) * y) / math.fsum((x - x.mean()) ** 2)


def interval(values, name, form=float) -> dict:
    """Return the mean of one value a run and the ends of its t interval, as the chapter names them."""
    mean, half = math.fsum(values) / len(values), half_width(values)
    return {f"{name}_mean": form(mean), f"{name}_low": form(mean - half), f"{name}_high": form(mean + half)}


def sweep() -> dict:
    return {"sweep_rows": sum(len(local(method)) for method in ("none", "gptq", "rtn"))}


# ---- the trunk along one variable ------------------------------------------------------------------------------------


def of_trunk(**wanted) -> list[dict]:
    return rounded(trunk(study()), **wanted)


def shown() -> dict:
    rows, order = of_trunk(), size_order()
    return {
        "study_sizes": len(order),
        "study_steps": len(distinct(rows, "step")),
        "study_smallest": label(order[0]),
        "study_largest": label(order[-1]),
        "early_tokens": label(EARLY),
        "late_first": label(min(row[D] for row in late(rows))),
        "late_last": label(max(row[D] for row in rows)),
    }


def growths(series) -> list[float]:
    return [one[-1]["qid"] / one[0]["qid"] for one in series]


def mean_growth(series) -> dict:
    logs = [math.log(growth) for growth in growths(series)]
    middle, half = math.fsum(logs) / len(logs), half_width(logs)
    ends = {"growth_3": middle, "growth_3_low": middle - half, "growth_3_high": middle + half}
    return {name: math.exp(log) for name, log in ends.items()}


def tokens() -> dict:
    series = walks(late(of_trunk()), D, "model", "bits")
    return {
        "tokens_series": len(series),
        "tokens_rising": sum(in_errors(one) > 3 for one in series),
        "tokens_steps": len(moves(series)),
        "tokens_down": moves(series).count(-1),
        "growth_low": min(growths(series)),
        "growth_high": max(growths(series)),
    } | mean_growth(one for one in series if one[0]["bits"] == 3)


def early() -> dict:
    rows = [row for row in of_trunk() if row[D] < EARLY]
    series = walks(rows, D, "model", "bits")
    (largest,) = walks(where(rows, bits=2, **{N: size_order()[-1]}), D, "model")
    dip = min(largest, key=lambda row: row["qid"])
    return {
        "early_steps": len(moves(series)),
        "early_down": moves(series).count(-1),
        "large_first": largest[0]["qid"],
        "large_dip_tokens": label(dip[D]),
        "large_dip": dip["qid"],
        "early_down_smallest": label(min(one[0][N] for one in series if -1 in moves([one]))),
    }


def sizes() -> dict:
    everywhere = walks(of_trunk(), N, D, "bits")
    series = [one for one in everywhere if one[0][D] > EARLY]
    start = min(one[0][D] for one in everywhere)
    hurtful = max(one[0][D] for one in everywhere if one[-1]["qid"] >= one[0]["qid"])
    return {
        "size_series": len(series),
        "size_falling": sum(in_errors(one) < -3 for one in series),
        "size_steps": len(moves(series)),
        "size_down": moves(series).count(-1),
        "size_first_series": sum(one[0][D] == start for one in everywhere),
        "size_first_tokens": label(start),
        "size_helps_from": label(min(one[0][D] for one in everywhere if one[0][D] > hurtful)),
    }


def bits() -> dict:
    series = walks(of_trunk(), "bits", N, D)
    of_late = [one for one in series if one[0][D] > EARLY]
    divided = np.array([growths([one[:2], one[1:]]) for one in of_late]) ** -1.0
    return {
        "bits_series": len(series),
        "bits_falling": sum(1 not in moves([one]) for one in series),
        "bit_32": np.median(divided[:, 0]),
        "bit_43": np.median(divided[:, 1]),
    }


def rises(series, outcome) -> int:
    return sum(b[outcome] > a[outcome] for one in series for a, b in pairwise(one))


def plane(rows, outcome) -> tuple[list[float], np.ndarray, np.ndarray]:
    """Return the coefficients of ln outcome on 1, ln D and ln N (centred), half of their intervals, and the means.

    Clusters are the runs, by `recount_fits.by_run`.
    """
    places, values = np.log([[row[D], row[N]] for row in rows]), np.log([row[outcome] for row in rows])
    design = np.column_stack([np.ones(len(rows)), places - places.mean(axis=0)])
    found = np.linalg.solve(design.T @ design, design.T @ values)
    covariance, freedom = by_run(design, values - design @ found, [row["cluster"] for row in rows])
    return found, covariance, freedom


def with_ends(middle, half, name) -> dict:
    return {name: middle, f"{name}_low": middle - half, f"{name}_high": middle + half}


def eight() -> dict:
    rows, others = (late(rounded(trunk(study(text)), widths={8})) for text in ("wheels-heldout", "wheels-unseen"))
    elsewhere = {row["weights_sha256"]: row["qid"] for row in others}
    negative = [row for row in rows if row["qid"] < 0]
    errors = [row["qid"] / standard_error(row["document_qid"]) for row in rows]
    return {
        "eight_rows": len(rows),
        "eight_negative": len(negative),
        "eight_within": sum(-2 < one < 2 for one in errors),
        "eight_both": sum(elsewhere[row["weights_sha256"]] < 0 for row in negative),
        "eight_mean": math.fsum(row["qid"] for row in rows) / len(rows),
        "eight_chance": len(negative) * sum(qid < 0 for qid in elsewhere.values()) / len(rows),
    }


def exercise() -> dict:
    return {
        "end_rtn_3": last(of_trunk(method="rtn", widths={3}))["qid"],
        "end_gptq_2": last(of_trunk(widths={2}))["qid"],
    }
