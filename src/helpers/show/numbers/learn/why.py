"""What the chapter on why QiD grows states: movement of weights, curvature, the quadratic rule, outliers, regressions.

Tables are of `mechanism.describe` (one row a checkpoint) and `mechanism.with_description` (rows of QiD with it).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.questions import mechanism
from helpers.analyse.questions.slopes_of_ratios import log_mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.design import part_of_study
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    LATE_TOKENS,
    NINTH,
    NINTH_RATE,
    TRUNK,
    on_trunk,
    rows_of_every_run,
)
from helpers.show.claims import claim
from helpers.show.intervals import with_ends
from helpers.show.style import count_label

METHODS = ("rtn", "gptq")
LOGS = ("qid_nats", "predicted_nats", "variance", "hessian_trace", "change")
TAILS = {"inputs": "mean_input_kurtosis", "weights": "mean_weight_kurtosis"}


@dataclass(frozen=True)
class Tables:
    """Checkpoints `described` before rounding, QiD of GPTQ and RTN `joined` with it, `late` ones, and `beside` a twin.

    `every`: all rows of QiD and KL, described or not. `beside` has `log_NAME`, ln of a value over that of the twin.
    """

    described: pd.DataFrame
    every: pd.DataFrame
    joined: pd.DataFrame
    late: pd.DataFrame
    moving: pd.DataFrame
    beside: pd.DataFrame


def tables(checkpoints: pd.DataFrame, measured: pd.DataFrame) -> Tables:
    """Return the chapter's tables from the records of checkpoints and the measurements."""
    described = mechanism.describe(checkpoints)
    every = degradation(rows_of_every_run(measured))
    rounded = pd.concat([rows_of_fit(every, method, GROUP_SIZE, symmetric=False) for method in METHODS])
    joined = mechanism.with_description(rounded, described)
    late = joined[joined[TOKENS_SEEN] > LATE_TOKENS]
    beside = mechanism.beside_trunk(late, [*LOGS, *TAILS.values()])
    moving = described[on_trunk(described) & (described[TOKENS_SEEN] > LATE_TOKENS)]
    return Tables(described, every, joined, late, moving, beside.assign(part=part_of_study(beside)))


def of(table: pd.DataFrame, method: str, bits: int) -> pd.DataFrame:
    """Return the rows of one method and bit width."""
    return table[(table["method"] == method) & (table["bits"] == bits)]


def largest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the largest size in the order of training."""
    return table[table[N_PARAMS] == table[N_PARAMS].max()].sort_values(TOKENS_SEEN)


def counts(found: Tables) -> dict[str, object]:
    """Return how many checkpoints of how many runs there are, their sizes and tokens."""
    once, trunk = found.joined.drop_duplicates("weights_sha256"), found.joined[on_trunk(found.joined)]
    claim((found.joined["epochs"] <= 4).all(), "no run reads its text more than four times")
    return {
        "n_checkpoints": len(once),
        "n_runs": once["run_label"].nunique(),
        "n_sizes": trunk[N_PARAMS].nunique(),
        "smallest": count_label(trunk[N_PARAMS].min()),
        "largest": count_label(trunk[N_PARAMS].max()),
        "early": count_label(LATE_TOKENS),
    }


# ---- how far weights move --------------------------------------------------------------------------------------------


def growth(table: pd.DataFrame, column: str) -> pd.Series:
    """Return last over first of each run: `value`, the geometric mean, with `low`, `high`, 95% over runs."""
    by_run = table.sort_values(TOKENS_SEEN).groupby("run")[column]
    mean = mean_over_runs(np.log(by_run.last() / by_run.first()))
    return np.exp(pd.Series({"value": mean["mean"], "low": mean["low"], "high": mean["high"]}))


def movement(moving: pd.DataFrame, described: pd.DataFrame) -> dict[str, float]:
    """Return the change between checkpoints of the trunk over the errors of rounding, and at the ends of cooldowns."""
    over = {bits: moving["change"] / moving[f"rounding_{bits}"] for bits in FITTED_BITS}
    constant = described[(described["schedule"] == "constant") & (described["n_averaged"] == 1)]
    constant = constant[(constant[TOKENS_SEEN] > LATE_TOKENS) & constant["change"].notna()]
    ends = described[(described["schedule"] == "cooldown") & (described["learning_rate"] == 0)]
    of_end = {bits: ends["change"] / ends[f"rounding_{bits}"] for bits in (3, 4)}
    claim(
        (moving["step"] / moving["previous_step"]).between(1.2, 1.3).all(),
        "neighbours are a quarter of the tokens apart",
    )
    claim(
        (constant["change"] > constant["rounding_3"]).all(), "at constant rates the change exceeds the error of 3 bits"
    )
    claim(over[3].min() > 1, "the change never falls below the error of 3 bits")
    claim(over[2].max() < 1.02 and over[2].mean() < 1, "it stays below the error of 2 bits, or reaches it")
    claim(of_end[3].max() < 1, "decay takes the change below the error of 3 bits")
    return {
        "rounding_3": moving["rounding_3"].mean(),
        "change_lowest": moving["change"].min(),
        "change_highest": moving["change"].max(),
        "n_constant": constant["cluster"].nunique(),
        "n_ends": len(ends),
        "end_3": of_end[3].mean(),
    }


def growths(found: Tables) -> dict[str, float]:
    """Return how the change, and QiD at 3 bits, grow from the first to the last late checkpoint of the trunk."""
    trunk = found.late[on_trunk(found.late)]
    change = growth(found.moving, "change")
    shown = with_ends("change_growth", change)
    for method in METHODS:
        one = growth(of(trunk, method, 3), "qid_nats")
        claim(change["high"] < 1 < one["low"], "the change falls, and QiD rises")
        shown |= with_ends("rtn_growth", one) if method == "rtn" else {}
    return shown


def change_at_equal_size(rows: pd.DataFrame) -> dict[str, float]:
    """Return the slope of ln QiD in ln change beside ln N and ln D, and their rank correlation; `rows` of one width."""
    logs = np.log(rows[["qid_nats", N_PARAMS, TOKENS_SEEN, "change"]]).set_axis(
        ["qid", "size", "tokens", "change"], axis=1
    )
    slope = mechanism.regression(logs["qid"], logs[["size", "tokens", "change"]], rows["cluster"]).loc["change"]
    rank = stats.spearmanr(logs["change"], logs["qid"])[0]
    claim(rank < 0, "small change goes with large QiD")
    claim(slope["low"] < 0 < slope["high"], "at equal size and tokens nothing is left of that")
    return with_ends("slope_change", slope) | {"change_rank": rank}


# ---- curvature -------------------------------------------------------------------------------------------------------


def summaries(late_trunk: pd.DataFrame) -> dict[tuple[str, int], dict[str, Any]]:
    """Return by method and bits measured over predicted QiD: `ratio`, its slopes in `size` and `tokens`, `sd`, `rank`.

    `within` is the least rank correlation of any run.
    """
    found = {}
    for method in METHODS:
        for bits in FITTED_BITS:
            rows = of(late_trunk, method, bits)
            trend = log_mean_and_slopes(rows, [N_PARAMS, TOKENS_SEEN])
            by_run = rows.groupby("run_label")[["qid_nats", "predicted_nats"]]
            found[method, bits] = {
                "ratio": np.exp(log_mean_and_slopes(rows, []).loc["mean"]),
                "size": trend.loc[N_PARAMS],
                "tokens": trend.loc[TOKENS_SEEN],
                "sd": float(np.log(rows["ratio"]).std()),
                "rank": float(stats.spearmanr(rows["qid_nats"], rows["predicted_nats"])[0]),
                "within": float(
                    by_run.apply(lambda one: stats.spearmanr(one["qid_nats"], one["predicted_nats"])[0]).min()
                ),
            }
    return found


def of_curvature(found: Mapping[tuple[str, int], Mapping[str, Any]]) -> dict[str, float]:
    """Return how measured QiD stands to that predicted by curvature; `found` of `summaries`."""
    ratios = {key: one["ratio"] for key, one in found.items()}
    coarse, fine = found["rtn", 2], [found["rtn", bits] for bits in (3, 4)]
    claim(all(one["ratio"]["high"] < 1 for one in fine), "at 3 and 4 bits RTN costs less than predicted")
    claim(all(one["ratio"]["value"] > 0.7 for one in fine), "but not by much")
    claim(coarse["sd"] > 1.5 * found["rtn", 3]["sd"], "2 bits scatter more")
    claim(coarse["tokens"]["low"] > 0, "the ratio of 2 bits grows with tokens")
    claim(
        all(0 < one["size"]["low"] < one["size"]["high"] < 0.2 for one in fine), "3 and 4 bits grow a little with size"
    )
    claim(all(one["tokens"]["low"] < 0 < one["tokens"]["high"] for one in fine), "and not clearly with tokens")
    claim(all(ratios["gptq", bits]["high"] < ratios["rtn", bits]["low"] for bits in FITTED_BITS), "GPTQ costs less")
    claim(min(one["rank"] for one in found.values()) > 0.9, "the order is nearly right")
    shown = {"lowest_within": min(one["within"] for one in found.values())}
    for (method, bits), one in found.items():
        shown |= with_ends(f"{method}_{bits}", one["ratio"])
    for bits in FITTED_BITS:
        shown |= with_ends(f"rtn_{bits}_size", found["rtn", bits]["size"])
    return shown | with_ends("rtn_2_tokens", coarse["tokens"])


def of_the_largest(late_trunk: pd.DataFrame) -> dict[str, object]:
    """Return how the largest model leaves the prediction of RTN at 3 bits late in training."""
    top = largest(of(late_trunk, "rtn", 3))
    lowest = top.loc[top["ratio"].idxmin()]
    claim(top["ratio"].iloc[-1] > 1.3 * lowest["ratio"], "the largest model leaves the prediction late")
    tokens = count_label(lowest[TOKENS_SEEN])
    return {"top_lowest": lowest["ratio"], "top_lowest_tokens": tokens, "top_last": top["ratio"].iloc[-1]}


def climb(found: Tables) -> dict[str, object]:
    """Return KL of the largest size's runs over that of the next size's trunk, by GPTQ at 4 and 8 bits."""
    every, trunk = found.every, found.joined[on_trunk(found.joined)]
    rows = every[on_trunk(every) | every["family"].isin([NINTH, NINTH_RATE])]
    rows = rows[rows["model"].isin(trunk.sort_values(N_PARAMS)["model"].unique()[-2:])]
    rows = rows_of_fit(rows, "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
    kl = rows.pivot(index=["bits", TOKENS_SEEN], columns=["family", N_PARAMS], values="kl_nats").sort_index(axis=1)
    of_runs = {"trunk": kl[TRUNK].iloc[:, 1], "seed": kl[NINTH].iloc[:, 0], "rate": kl[NINTH_RATE].iloc[:, 0]}
    over = {name: (one / kl[TRUNK].iloc[:, 0]).dropna() for name, one in of_runs.items()}
    again = over["seed"].loc[4].index.max()
    said = of(found.late[on_trunk(found.late)], "rtn", 4)
    said = said.pivot(index=TOKENS_SEEN, columns=N_PARAMS, values="predicted_nats").iloc[-1]
    shown: dict[str, Any] = {"again_tokens": count_label(again), "climb_smaller": (2**8 - 1) / (2**4 - 1)}
    for bits in (4, 8):
        along = over["trunk"].loc[bits]
        shown |= {f"climb_{bits}_first": along.iloc[0], f"climb_{bits}_last": along.iloc[-1]}
        shown |= {f"again_{name}_{bits}": one.loc[(bits, again)] for name, one in over.items()}
        claim(along.iloc[-1] > 1.2 * along.iloc[0], "the largest model climbs at both widths")
        level = all(over[name].loc[bits].iloc[-1] < 1.06 * over[name].loc[bits].iloc[0] for name in ("seed", "rate"))
        claim(level, "its further runs don't climb")
    claim(said.iloc[-1] / said.iloc[-2] < 0.9 * shown["climb_8_last"], "the formula doesn't say so")
    return shown | {"climb_said": said.iloc[-1] / said.iloc[-2]}


def decay(beside: pd.DataFrame) -> dict[str, float]:
    """Return cooldowns over the trunk after the same tokens, at 3 bits: geometric means, intervals over sizes."""
    cooled = beside[beside["part"] == "cooldowns"]

    def over_trunk(name: str, method: str = "rtn") -> pd.Series:
        rows = of(cooled, method, 3)
        ratios = rows.assign(ratio=np.exp(rows[f"log_{name}"]))
        return np.exp(log_mean_and_slopes(ratios, [], cluster="model").loc["mean"])

    by_method = {method: over_trunk("qid_nats", method) for method in METHODS}
    predicted, trace, variance = (over_trunk(name) for name in ("predicted_nats", "hessian_trace", "variance"))
    change, rows = over_trunk("change")["value"], of(cooled, "rtn", 3)
    claim(all(one["low"] > 1 for one in by_method.values()), "decay costs")
    claim(predicted["low"] > 1, "and is predicted to cost")
    claim(predicted["low"] < by_method["rtn"]["value"] < predicted["high"], "by as much as is measured")
    claim(variance["high"] < 1 < trace["low"], "by a larger trace and a smaller variance")
    claim(change < 0.5, "movement falls by more than half")
    shown = {
        key: value for method, one in by_method.items() for key, value in with_ends(f"decay_{method}", one).items()
    }
    return (
        shown
        | with_ends("decay_predicted", predicted)
        | {
            "decay_trace": trace["value"],
            "decay_variance": variance["value"],
            "decay_change": change,
            "decay_sizes": cooled["model"].nunique(),
            "decay_pairs": len(rows),
            "decay_r": float(np.corrcoef(rows["log_qid_nats"], rows["log_predicted_nats"])[0, 1]),
        }
    )


def growth_of_both(moving: pd.DataFrame) -> dict[str, float]:
    """Return how variance at 3 bits and trace grow from the first to the last late checkpoint of the trunk."""
    by_run = moving.sort_values(TOKENS_SEEN).groupby("run")[["hessian_trace", "variance_3"]]
    grown = by_run.last() / by_run.first()
    claim((grown["hessian_trace"] * grown["variance_3"] > 1).all(), "the variance outgrows the trace")
    variance, trace = np.exp(np.log(grown[["variance_3", "hessian_trace"]]).mean())
    return {"grown_variance": variance, "grown_trace": trace, "n_falling": int((grown["hessian_trace"] < 1).sum())}
