"""What the appendix on methods and the law states of chapter 5's law: other outcomes, predictions, more bits."""

import numpy as np
import pandas as pd

from helpers.analyse.fits.by_run import by_window, fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.predictions import HoldOut, hold_out_largest
from helpers.analyse.fits.result import FitResult, measured_over_predicted
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.questions.trends import bit_factors
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.outcomes import KL, QID
from helpers.analyse.rows.second_runs import trunk_again
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    LATE_TOKENS,
    late,
    on_trunk,
    rows_of_every_run,
    rows_of_seeds,
)
from helpers.show.claims import claim
from helpers.show.numbers.law.unified_law import EXPONENTS, Fits, Numbers, over_runs, with_interval
from helpers.show.style import count_label

WINDOWS = ("first", "middle", "last")


def numbers(measured: pd.DataFrame, fits: Fits) -> Numbers:
    """Return what the appendix states of the law of chapter 5, by key."""
    return {
        **of_outcomes(by_outcome(measured, fits.rows), fits.whole),
        **windows(fits.rows),
        **predicted(*largest_held_out(fits.rows)),
        **peak_of_largest(fits, trunk_again(measured)),
        **more_bits(late(fits.every_width), fits.whole),
        **published_here(fits.whole),
    }


def rows_of_all_runs(measured: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the `fitted_rows` with those of the second runs and of other training seeds at the same constant rate."""
    again = trunk_again(measured)
    late = rows_of_fit(degradation(rows_of_every_run(measured)), "gptq", GROUP_SIZE, False, tokens_above=LATE_TOKENS)
    reseeded = rows_of_seeds(late[late["bits"].isin(FITTED_BITS)])
    parts = [rows, again[again["bits"].isin(FITTED_BITS)], reseeded[~on_trunk(reseeded)]]
    return pd.concat(parts, ignore_index=True)


def by_outcome(measured: pd.DataFrame, rows: pd.DataFrame) -> dict[str, FitResult]:
    """Return the law fitted to KL, and to QiD and KL of every run: `kl`, `pooled` and `pooled_kl`."""
    every = rows_of_all_runs(measured, rows)
    tables = {"kl": (rows, KL), "pooled": (every, QID), "pooled_kl": (every, KL)}
    return {
        name: fit_by_run(UnifiedLaw, FitData.from_table(table, outcome))[0] for name, (table, outcome) in tables.items()
    }


def of_outcomes(fits: dict[str, FitResult], whole: FitResult) -> Numbers:
    """Return the exponents of the fits of `by_outcome`; all lie inside the intervals of the `whole` fit."""
    found: Numbers = {"kl_tau": fits["kl"].tau}
    found |= {"pooled_rows": fits["pooled"].n_rows, "pooled_runs": fits["pooled"].n_runs}
    for short, fit in fits.items():
        for name in EXPONENTS:
            found |= with_interval(fit, name, f"{short}_{name}")
            own = whole.estimate(name)
            claim(own.low < fit.estimate(name).value < own.high, f"{name} of {short} lies inside the interval")
    return found


def windows(rows: pd.DataFrame) -> Numbers:
    """Return the exponent of tokens in each of three windows with equally many checkpoints, in QiD and in KL."""
    found: Numbers = {}
    of_kl = by_window(UnifiedLaw, FitData.from_table(rows, KL))["estimate"]
    for name, (_, window), kl in zip(
        WINDOWS, by_window(UnifiedLaw, FitData.from_table(rows)).iterrows(), of_kl, strict=True
    ):
        ends = {f"window_{name}_low": window["low"], f"window_{name}_high": window["high"]}
        found |= {f"window_{name}": window["estimate"], f"window_{name}_to": count_label(window["high_tokens"])} | ends
        found[f"window_kl_{name}"] = kl
    return found


def predicted(hold_out: HoldOut, of_kl: HoldOut) -> Numbers:
    """Return how the smaller sizes predict the largest: bias, typical error, and what lies outside the intervals."""
    scores, held, fit = hold_out.scores(), hold_out.data, hold_out.fit
    above, below = held.outcome_nats > hold_out.high_nats, held.outcome_nats < hold_out.low_nats
    claim(bool((held.bits[above] == 3).all()), "all rows above the intervals are of 3 bits")
    claim(held.tokens[below].max() == held.tokens.min(), "those below are of the first checkpoint")
    claim(abs(scores["log_bias"]) < 0.5 * scores["log_rms"], "no lean to either side to speak of")
    return {
        "held_ratio": np.exp(scores["log_bias"]),
        "held_rms": np.expm1(scores["log_rms"]),
        "held_kl_rms": np.expm1(of_kl.scores()["log_rms"]),
        "held_coverage": scores["coverage"],
        "held_rows": scores["n_rows"],
        "held_level": hold_out.level,
        "held_runs": fit.n_runs,
        "held_jump": held.n_params.max() / fit.data.n_params.max(),
        "held_width": np.median(hold_out.high_nats / hold_out.predicted_nats) - 1,
        "held_above": int(above.sum()),
        "held_below": int(below.sum()),
        "held_from": count_label(held.tokens[above].min()),
    }


def largest_held_out(rows: pd.DataFrame) -> tuple[HoldOut, HoldOut]:
    """Return the largest size predicted from the smaller ones, in QiD and in KL."""
    qid, kl = (hold_out_largest(UnifiedLaw, FitData.from_table(rows, outcome)) for outcome in (QID, KL))
    return qid, kl


def more_bits(late: pd.DataFrame, fit: FitResult) -> Numbers:
    """Return measured over predicted QiD at bit widths beyond the fit, and by what one bit more divides QiD there.

    `late` has every bit width beyond `LATE_TOKENS`.
    """
    over = measured_over_predicted(fit.law, FitData.from_table(late))
    unseen, factors = over.drop(index=list(FITTED_BITS)), bit_factors(late).mean()
    found: Numbers = {"unseen_widths": ", ".join(f"{bits:g}" for bits in unseen.index)}
    found |= over_runs(over.loc[5], "over_5") | {"over_8": over.loc[8].mean()}
    inside = {bits: over_runs(over.loc[bits], f"over_{bits}") for bits in (3, 4)}
    found |= {f"over_{bits}": inside[bits][f"over_{bits}"] for bits in (3, 4)}
    eight = late[late["bits"] == 8]
    found |= {"eight_rows": len(eight), "eight_below": int((eight["qid_nats"] <= 0).sum())}
    found["eight_clear"] = int((eight["qid_nats"] > 2 * eight["qid_se_nats"]).sum())
    for few, many in ((4, 5), (5, 6)):
        grid = ((2**many - 1) / (2**few - 1)) ** 2
        power = (many / few) ** fit.estimate("gamma").value
        found |= {f"step_{few}{many}": factors[few, many], f"power_{few}{many}": power, f"grid_{few}{many}": grid}
        claim(abs(factors[few, many] / grid - 1) < 0.1, "the square of the step is close to what is measured")
    claim(inside[3]["over_3_low"] > 1 > inside[4]["over_4_high"], "the bend begins inside the range that was fitted")
    claim(bool((unseen < 1).to_numpy().all()), "beyond it the law predicts too much in every run")
    return found


def published_here(fit: FitResult) -> Numbers:
    """Return measured QiD over that of the published law, on our rows, none of which lies in its box."""
    data, validity = fit.data, OUYANG_2024.validity
    ours = data.outcome_nats / OUYANG_2024.predict(data.tokens, data.n_params, data.bits)
    claim(data.n_params.max() < validity.n_params[0] and data.tokens.max() < validity.tokens[0], "outside its box")
    found: Numbers = {"ours_low": ours.min(), "ours_median": np.median(ours), "ours_high": ours.max()}
    return found | {
        "paper_tokens_low": count_label(validity.tokens[0]),
        "paper_size_low": count_label(validity.n_params[0]),
    }


def peak_of_largest(fits: Fits, again: pd.DataFrame) -> Numbers:
    """Return where the largest size strays farthest from the law at 3 bits, and what KL and its second run say of it.

    `again` has the second runs' rows, as `trunk_again` returns them.
    """
    rows, bits = fits.rows.assign(ratio=fits.whole.data.outcome_nats / fits.whole.fitted_nats), 3
    largest = rows[(rows[N_PARAMS] == rows[N_PARAMS].max()) & (rows["bits"] == bits)].set_index(TOKENS_SEEN)
    peak = largest["ratio"].idxmax()
    there = fits.every_width[fits.every_width[TOKENS_SEEN] == peak]
    two = there.pivot(index="bits", columns=N_PARAMS, values="kl_nats").iloc[:, -2:]
    over_next = two.iloc[:, 1] / two.iloc[:, 0]
    claim(over_next[bits] > 1.2 * over_next[[4, 5, 6, 8]].max(), "a peak at 3 bits alone")
    second = again[(again[N_PARAMS] == again[N_PARAMS].max()) & (again["bits"] == bits)].sort_values(TOKENS_SEEN)
    last = second.iloc[-1]
    found: Numbers = {"large_3": largest["ratio"].max(), "large_3_tokens": count_label(peak)}
    found |= {f"peak_{width}": over_next[width] for width in (3, 4, 8)}
    found["second_large_3"] = last["qid_nats"] / largest.loc[last[TOKENS_SEEN], "qid_nats"]
    return found | {"second_large_tokens": count_label(last[TOKENS_SEEN])}
