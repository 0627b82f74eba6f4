"""Chapter 4 counted again: QiD and KL along tokens, size and bits; two ways of rounding."""

import math
from itertools import pairwise

import numpy as np
from scipy import stats
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
    parts = [sweep(), shown(), tokens(), early(), sizes(), bits(), rules(), eight(), in_kl(), schemes()]
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
    series, whole = (walks(rows, D, "model", "bits") for rows in (late(of_trunk()), of_trunk()))
    return {
        "whole_series": len(whole),
        "whole_rising": sum(in_errors(one) > 3 for one in whole),
        "whole_first": label(max(one[0][D] for one in whole)),
        "tokens_series": len(series),
        "tokens_rising": sum(in_errors(one) > 3 for one in series),
        "tokens_steps": len(moves(series)),
        "tokens_up": moves(series).count(1),
        "tokens_down": moves(series).count(-1),
        "tokens_down_4": moves(one for one in series if one[0]["bits"] == 4).count(-1),
        "growth_low": min(growths(series)),
        "growth_high": max(growths(series)),
    } | mean_growth(one for one in series if one[0]["bits"] == 3)


def early() -> dict:
    rows = [row for row in of_trunk() if row[D] < EARLY]
    series = walks(rows, D, "model", "bits")
    (largest,) = walks(where(rows, bits=2, **{N: size_order()[-1]}), D, "model")
    first, dip, end = largest[0], min(largest, key=lambda row: row["qid"]), largest[-1]
    return {
        "early_steps": len(moves(series)),
        "early_down": moves(series).count(-1),
        "large_first_tokens": label(first[D]),
        "large_first": first["qid"],
        "large_dip_tokens": label(dip[D]),
        "large_dip": dip["qid"],
        "large_early_last": end["qid"],
        "large_early_last_tokens": label(end[D]),
        "early_down_smallest": label(min(one[0][N] for one in series if -1 in moves([one]))),
    }


def sizes() -> dict:
    everywhere = walks(of_trunk(), N, D, "bits")
    series = [one for one in everywhere if one[0][D] > EARLY]
    start = min(one[0][D] for one in everywhere)
    changes = [one[-1]["qid"] - one[0]["qid"] for one in everywhere if one[0][D] == start]
    hurtful = max(one[0][D] for one in everywhere if one[-1]["qid"] >= one[0]["qid"])
    return {
        "size_series": len(series),
        "size_falling": sum(in_errors(one) < -3 for one in series),
        "size_steps": len(moves(series)),
        "size_down": moves(series).count(-1),
        "size_first_rising": sum(change > 0 for change in changes),
        "size_first_series": len(changes),
        "size_first_tokens": label(start),
        "size_helps_from": label(min(one[0][D] for one in everywhere if one[0][D] > hurtful)),
    }


def bits() -> dict:
    series = walks(of_trunk(), "bits", N, D)
    of_late = [one for one in series if one[0][D] > EARLY]
    divided = np.array([growths([one[:2], one[1:]]) for one in of_late]) ** -1.0
    powers = [-line([row["bits"] for row in one], [row["qid"] for row in one]) for one in of_late]
    return {
        "bits_series": len(series),
        "bits_falling": sum(1 not in moves([one]) for one in series),
        "bit_32": np.median(divided[:, 0]),
        "bit_43": np.median(divided[:, 1]),
        "bits_steep_low": min(powers),
        "bits_steep_high": max(powers),
    }


def divided(outcome) -> dict[tuple[int, int], list[float]]:
    """Return, by the step from few bits to more, ln of what a bit divides each run's mean outcome by."""
    runs = grouped(late(of_trunk(widths=set(WIDTHS))), "run").values()
    means = [{p: np.mean([row[outcome] for row in where(rows, bits=p)]) for p in WIDTHS} for rows in runs]
    return {(few, many): [math.log(m[few] / m[many]) / (many - few) for m in means] for few, many in pairwise(WIDTHS)}


def rules() -> dict:
    """Return what one more bit divides QiD and KL by, the grid's rule for it, and the power of P that QiD would need."""
    found, off = {}, []
    for (few, many), logs in divided("qid").items():
        if many in (3, 6, 8):
            found[f"power_{many}"] = math.fsum(logs) / len(logs) * (many - few) / math.log(many / few)
    for (few, many), logs in list(divided("kl_nats").items())[2:]:
        rule = ((2**many - 1) / (2**few - 1)) ** (2 / (many - few))  # the variance goes with the scale's square
        found |= {f"rule_{many}": rule} | interval(logs, f"kl_factor_{many}", math.exp)
        off.append(abs(found[f"kl_factor_{many}_mean"] / rule - 1))
    of_qid = interval(divided("qid")[6, 8], "factor_8", math.exp)
    return found | {name: of_qid[name] for name in ("factor_8_low", "factor_8_high")} | {"kl_off": max(off)}


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


def in_kl() -> dict:
    """Return in how many steps QiD and KL rise, and their slopes in ln D."""
    every = late(of_trunk(widths=set(WIDTHS)))
    found = {"kl_rows": len(every), "kl_positive": sum(row["kl_nats"] > 0 for row in every)}
    for width in (4, 6, 8):
        series = walks(where(every, bits=width), D, "run")
        found |= {f"up_{width}": rises(series, "qid"), f"kl_up_{width}": rises(series, "kl_nats")}
        found["up_steps"] = sum(len(one) - 1 for one in series)
        for outcome, name in (("qid", "slope"), ("kl_nats", "kl_slope")):
            rows = [row | {"cluster": row["run"]} for row in where(every, bits=width) if row[outcome] > 0]
            slope, covariance, freedom = plane(rows, outcome)
            half = stats.t.ppf(0.975, freedom[1]) * math.sqrt(covariance[1, 1])
            if name == "kl_slope" or width == 8:
                found |= with_ends(slope[1], half, f"{name}_{width}")
    return found


def eight() -> dict:
    rows, others = (late(rounded(trunk(study(text)), widths={8})) for text in ("wheels-heldout", "wheels-unseen"))
    elsewhere = {row["weights_sha256"]: row["qid"] for row in others}
    negative = [row for row in rows if row["qid"] < 0]
    errors = [row["qid"] / standard_error(row["document_qid"]) for row in rows]
    return {
        "eight_rows": len(rows),
        "eight_negative": len(negative),
        "eight_clear": sum(one < -2 for one in errors),
        "eight_within": sum(-2 < one < 2 for one in errors),
        "eight_both": sum(elsewhere[row["weights_sha256"]] < 0 for row in negative),
        "eight_mean": math.fsum(row["qid"] for row in rows) / len(rows),
        "eight_chance": len(negative) * sum(qid < 0 for qid in elsewhere.values()) / len(rows),
    }


# ---- other ways of rounding -------------------------------------------------------------------------------------------


def over_gptq(rows) -> list[tuple[dict, float]]:
    """Return rows of the trunk, each with its QiD over that of GPTQ in groups of 32 on the same weights."""
    gptq = {(row["weights_sha256"], row["bits"]): row["qid"] for row in of_trunk()}
    return [(row, row["qid"] / gptq[row["weights_sha256"], row["bits"]]) for row in rows]


def schemes() -> dict:
    everywhere, series = over_gptq(of_trunk(method="rtn")), walks(late(of_trunk(method="rtn")), D, "model", "bits")
    ratios = [(row, one) for row, one in everywhere if row[D] > EARLY]
    at_2 = {size: [one for row, one in ratios if row["bits"] == 2 and row[N] == size] for size in size_order()}
    coarse = over_gptq([*of_trunk(group=128), *of_trunk(group=128, symmetric=True)])
    return {
        "rtn_rows": len(everywhere),
        "rtn_worse": sum(one > 1 for _, one in everywhere),
        "rtn_late_rows": len(ratios),
        **{f"rtn_ratio_{width}": np.median([one for row, one in ratios if row["bits"] == width]) for width in BITS},
        "rtn_smallest": np.median(at_2[min(at_2)]),
        "rtn_largest": np.median(at_2[max(at_2)]),
        "rtn_series": len(series),
        "rtn_rising": sum(one > 1 for one in growths(series)),
        "group_models": len({row["model"] for row, _ in coarse}),
        "group_rows": len(coarse),
        "group_worse": sum(one > 1 for _, one in coarse),
        "end_rtn_3": last(of_trunk(method="rtn", widths={3}))["qid"],
        "end_gptq_2": last(of_trunk(widths={2}))["qid"],
    }
