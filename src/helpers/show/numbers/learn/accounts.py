"""What the chapter on why QiD grows states of outliers, regressions, hold-outs and yardsticks.

Tables are those of `why.Tables`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers.analyse.judgement.scoring import compared
from helpers.analyse.questions import mechanism, quadratic_rule
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import QID
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import GROUP_SIZE, LATE_TOKENS, NINTH, NINTH_RATE, on_trunk
from helpers.show.claims import claim
from helpers.show.intervals import with_ends
from helpers.show.numbers.learn.why import METHODS, TAILS, Tables, largest, of
from helpers.show.style import count_label

HELD = {"largest": "largest size", "last": "last factor 4 in D", "both": "larger and later"}
LAWS = {"curvature": "curvature", "per": "tokens-per-parameter"}
BEYOND = (5, 6, 8)  # bits that a checkpoint's KL at 4 bits is asked about
ACCOUNTS = {"base": ("N", "D"), "pair": ("trace", "variance"), "loss": ("N", "D", "loss")}
ACCOUNTS |= {"all": ("N", "D", "loss", "trace", "variance")}
COLUMNS = {"N": N_PARAMS, "D": TOKENS_SEEN, "trace": "hessian_trace", "variance": "variance"}


def of_rule(every: pd.DataFrame) -> dict[str, float]:
    """Return how far KL by GPTQ follows the square of the grid's step, and its exponents of tokens and size by bits."""
    rows = rows_of_fit(every, "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
    rows = rows[on_trunk(rows)]
    ruled, _ = quadratic_rule.exponents(rows)
    told, powers = quadratic_rule.from_one_width(rows), quadratic_rule.exponents_by_width(rows)
    near = powers.loc[[4, *BEYOND]]
    claim(ruled["low"] > 1.9 and ruled["high"] < 2.1, "the exponent is next to two")
    claim(told.loc[2, "ratio"] > 1.3 > 1.15 > told.loc[3, "ratio"] > 1, "the rule breaks at 2 bits, a little at 3")
    shown = with_ends("rule", ruled, "mean") | {
        "rule_runs": int(ruled["n_runs"]),
        "rule_rows": int(told["n_rows"].max()),
    }
    for name in ("alpha", "beta"):
        shown |= {f"rule_{name}_low": near[name].min(), f"rule_{name}_high": near[name].max()}
    return shown | {
        "rule_over_2": told.loc[2, "ratio"],
        "rule_over_3": told.loc[3, "ratio"],
        "rule_rms": float(np.sqrt((told.loc[list(BEYOND), "log_rms"] ** 2).mean())),
    }


def of_tails(moving: pd.DataFrame) -> dict[str, float]:
    """Return how the kurtosis of weights and inputs grows along the trunk, a mean over sizes."""
    by_run = moving.sort_values(TOKENS_SEEN).groupby("run")
    first, last = by_run[list(TAILS.values())].first(), by_run[list(TAILS.values())].last()
    weights, inputs = TAILS["weights"], TAILS["inputs"]
    claim((last[inputs] > 2 * first[inputs]).all(), "kurtosis of inputs more than doubles in all sizes")
    claim(last[weights].max() < 6, "tails of weights stay light")
    return {
        "weight_first": first[weights].mean(),
        "weight_last": last[weights].mean(),
        "input_first": first[inputs].mean(),
        "input_last": last[inputs].mean(),
    }


def by_run(beside: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each run's logarithms over its twin's at 3 bits by RTN, with `part`: one row a run."""
    names = [name for name in beside if name.startswith("log_")]
    return of(beside, "rtn", 3).groupby(["part", "run_label"])[names].mean().reset_index()


def of_twins(found: Tables) -> dict[str, object]:
    """Return how QiD of runs goes with predicted QiD and with kurtosis, each over a twin of equal size and tokens."""
    rows, runs = of(found.beside, "rtn", 3), by_run(found.beside)
    shown: dict[str, object] = {
        "twin_runs": len(runs),
        "twin_rows": len(rows),
        "twin_clusters": rows["cluster"].nunique(),
    }
    for method in METHODS:
        table = of(found.beside, method, 3)
        predictors = table[["log_predicted_nats", *(f"log_{name}" for name in TAILS.values())]]
        slopes = mechanism.regression(table["log_qid_nats"], predictors, table["cluster"])
        tails = slopes.iloc[1:]
        claim(slopes["low"].iloc[0] > 0, "the slope in the predicted ratio is positive")
        claim(((tails["low"] < 0) & (tails["high"] > 0)).all(), "neither kurtosis has a clear slope")
        shown |= with_ends(f"{method}_twin_predicted", slopes.iloc[0])
    r = runs.drop(columns=["part", "run_label"]).corr()["log_qid_nats"]
    claim(r["log_predicted_nats"] > 0.7, "curvature goes with QiD among twins")
    claim(r[f"log_{TAILS['inputs']}"] < 0, "runs with heavier tails of inputs lose less")
    sizes = rows.groupby("run_label")[N_PARAMS].first()
    small = sizes[sizes < found.moving[N_PARAMS].max()]
    claim(len(sizes) - len(small) == 2, "all runs but two are of smaller sizes")
    tails_of = {f"r_{name}": r[f"log_{column}"] for name, column in TAILS.items()}
    return shown | tails_of | {"r_predicted": r["log_predicted_nats"], "twin_largest": count_label(small.max())}


def of_rates(found: Tables) -> None:
    """Raise ValueError unless a higher rate makes the tails of inputs heavier and the loss flatter, in every run."""
    rates = of(found.beside, "rtn", 3).query("part == 'rates'")
    faster = rates["learning_rate"] > found.moving["learning_rate"].max()
    for rows, sign in ((rates[faster], 1), (rates[~faster], -1)):
        means = rows.groupby("run_label")[[f"log_{TAILS['inputs']}", "log_hessian_trace"]].mean()
        claim((means.mul([sign, -sign]) > 0).all(axis=None), "a high rate makes tails heavy and the loss flat")


def of_rotation(found: Tables) -> dict[str, object]:
    """Return the share of GPTQ's KL that a Hadamard rotation takes away in the largest size's further runs."""
    rows = found.every[found.every["family"].isin([NINTH, NINTH_RATE])]
    rows = rows[rows["method"].isin(["gptq", "gptq_hadamard"])]
    kl = rows.pivot(index=["family", "bits", TOKENS_SEEN], columns="method", values="kl_nats")
    taken = 1 - kl["gptq_hadamard"] / kl["gptq"]
    moments = taken.dropna().index.get_level_values(TOKENS_SEEN)
    first, last = moments.min(), moments.max()
    claim(taken[NINTH].min() > 1.2 * taken[NINTH_RATE].max(), "it takes more at the trunk's rate, at all checkpoints")
    shown: dict[str, object] = {"rotation_from": count_label(first), "rotation_to": count_label(last)}
    shown |= {"rotation_seed_first": taken[NINTH, 4, first]}
    parts = {"seed": (NINTH, taken[NINTH].xs(last, level=TOKENS_SEEN)), "rate": (NINTH_RATE, taken[NINTH_RATE])}
    for name, (family, part) in parts.items():
        end = found.described[(found.described["family"] == family) & (found.described[TOKENS_SEEN] == last)].iloc[0]
        shown |= {f"rotation_{name}_low": part.min(), f"rotation_{name}_high": part.max()}
        shown |= {f"tail_{name}": max(end["input_kurtosis"])}
    return shown


# ---- together --------------------------------------------------------------------------------------------------------


def _regressions(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    predictors = np.log(rows[list(COLUMNS.values())].set_axis(list(COLUMNS), axis=1))
    predictors = predictors.assign(loss=rows["baseline_loss_nats"])
    qid, clusters = np.log(rows["qid_nats"]), rows["cluster"]
    nested = mechanism.nested(qid, predictors, {name: list(wanted) for name, wanted in ACCOUNTS.items()}, clusters)
    slopes = {name: mechanism.regression(qid, predictors[list(wanted)], clusters) for name, wanted in ACCOUNTS.items()}
    return nested, slopes


def of_regressions(late: pd.DataFrame) -> dict[str, object]:
    """Return errors of ln QiD at 3 bits of a run predicted from the others, by what it is told, and slopes."""
    rows = of(late, "rtn", 3)
    shown: dict[str, object] = {"n_together": len(rows), "n_clusters": rows["cluster"].nunique()}
    shown |= {"n_together_runs": rows["run_label"].nunique()}
    for method in METHODS:
        nested, slopes = _regressions(of(late, method, 3))
        errors, both = nested["left_out_rms"], slopes["all"].loc[["trace", "variance"]]
        claim(errors["pair"] < errors["base"], "two numbers of curvature say more than size and tokens")
        claim(errors.idxmin() == "all", "all together say most")
        claim((both["low"] > 0).all() and (both["high"] < 1).all(), "their slopes lie between zero and one")
        claim((slopes["all"].loc[["N", "loss"], "high"] < 0).all(), "and size and loss keep theirs")
        claim(slopes["loss"].loc["loss", "high"] < 0, "at equal size and tokens lower loss goes with more QiD")
        shown |= {f"{method}_out_{name}": errors[name] for name in ACCOUNTS}
        if method == "rtn":
            for name in ("trace", "variance"):
                shown |= with_ends(f"rtn_pair_{name}", slopes["pair"].loc[name])
            for name in ("N", "loss", "trace", "variance"):
                shown |= with_ends(f"rtn_all_{name}", slopes["all"].loc[name])
        else:
            either = errors[["loss", "pair"]]
            claim(either.max() / either.min() < 1.05, "for GPTQ the loss says as much as curvature")
    return shown


def of_hold_outs(by_run_of: Mapping[str, pd.DataFrame], seed: int) -> dict[str, float]:
    """Return rms of ln(predicted over measured) on rows held out, of both laws; `by_run_of`: errors by outcome."""
    scored = {}
    for name, errors in by_run_of.items():
        known = errors[errors["law"].isin(LAWS.values())]
        for key, hold_out in HELD.items():
            scored[name, key] = compared(known, [hold_out], np.random.default_rng(seed), LAWS["per"])
    claim(all(table["tied"].all() for table in scored.values()), "tied on all three, in both outcomes")
    shown: dict[str, float] = {}
    for key in HELD:
        shown |= {f"held_{short}_{key}": scored[QID.name, key].loc[law, "score"] for short, law in LAWS.items()}
    for key in ("last", "both"):
        shown |= {f"held_runs_{key}": int(scored[QID.name, key]["n_runs"].iloc[0])}
        for name in by_run_of:
            row = scored[name, key].loc[LAWS["curvature"]]
            shown |= {f"behind_{name}_{key}{end}": row[f"behind{end}"] for end in ("", "_low", "_high")}
    return shown


def of_exercises(found: Tables) -> dict[str, float]:
    """Return how the largest model's trace, variance, prediction and QiD grow, and what a bit divides QiD by (RTN)."""
    late_trunk, moving = found.late[on_trunk(found.late)], largest(found.moving)
    names = {"ex_trace": "hessian_trace", "ex_variance": "variance_3", "ex_predicted": "predicted_3_nats"}
    shown = {key: moving[name].iloc[-1] / moving[name].iloc[0] for key, name in names.items()}
    measured = largest(of(late_trunk, "rtn", 3))["qid_nats"]
    claim(shown["ex_trace"] < 1 < shown["ex_predicted"], "the trace falls and the prediction rises")
    three, four = (of(late_trunk, "rtn", bits).set_index("weights_sha256") for bits in (3, 4))
    for key, column in (("ex_rtn", "predicted_nats"), ("ex_fall", "qid_nats")):
        shown |= {key: np.exp(np.log(three[column] / four[column]).mean())}
    return shown | {"ex_measured": measured.iloc[-1] / measured.iloc[0], "ex_steps": ((2**4 - 1) / (2**3 - 1)) ** 2}


# ---- the appendix ----------------------------------------------------------------------------------------------------


def of_yardsticks(moving: pd.DataFrame, exponents: Sequence[float]) -> dict[str, float]:
    """Return how far rounding is in updates, if n legs lead n^h legs away; `exponents`: h of measured stretches."""
    power, gaps = float(np.mean(exponents)), moving["step"] - moving["previous_step"]
    first, last = moving["step"] == moving["step"].min(), moving["step"] == moving["step"].max()
    doubling = (np.log(2) / np.log(1.25)) ** power
    shown = {"exponent": power, "exponent_lowest": min(exponents), "exponent_highest": max(exponents)}
    shown |= {"doubling": doubling, "doubling_lowest": doubling * moving["change"].min(), "fixed": int(gaps.min())}
    claim(min(exponents) >= 0.5 and max(exponents) <= 1, "between a random walk and a straight line")
    claim(doubling * (moving["change"] / moving["rounding_2"]).min() > 1, "a doubling exceeds the error of 2 bits")
    for name, one in (("", power), ("_walk", 0.5), ("_line", 1.0)):
        updates = mechanism.updates_of_rounding(moving["change"], moving["rounding_3"], gaps, one)
        shown |= {
            f"updates_{end}{name}": np.exp(np.log(updates[at]).mean()) for end, at in (("first", first), ("last", last))
        }
    over_fixed = moving["change"] * (gaps.min() / gaps) ** power
    for bits in (3, 4):
        above = over_fixed > moving[f"rounding_{bits}"]
        claim(
            above[first].all() and not above[last].any(),
            "over a fixed number of updates the change starts above, ends below",
        )
    for end, at in (("first", first), ("last", last)):
        step = int(moving.loc[at, "step"].iloc[0])
        shown |= {f"{end}_step": step, f"updates_{end}_share": 100 * shown[f"updates_{end}"] / step}
    claim(shown["updates_last"] > 5 * shown["updates_first"], "it takes many more updates late")
    claim(0.5 < shown["updates_last_share"] / shown["updates_first_share"] < 2.5, "about the same share of training")
    return shown
