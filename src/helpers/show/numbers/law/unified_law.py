"""What the chapter on the unified law states: exponents with intervals, where the law breaks, its box."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.analyse.fits.by_run import fit_by_run, leave_one_run_out
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.result import FitResult, information_by_bits
from helpers.analyse.laws.byte_units import bytes_per_token, in_bytes
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.questions.trends import trends
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    LATE_TOKENS,
    MOST_EPOCHS,
    study_rows,
)
from helpers.show.claims import claim
from helpers.show.intervals import with_ends
from helpers.show.style import count_label

Numbers = dict[str, Any]  # key -> number or text of the page

EXPONENTS = ("beta", "alpha", "gamma")
SLOPES = EXPONENTS[:2]  # those that a law of one bit width has
CUTS = (0.0, 16e6, 33e6, LATE_TOKENS, 120e6, 240e6, 480e6)  # tokens beyond which checkpoints are fitted
LATER_CUT = 4  # of `CUTS`, the one that the text names
CLEAR = 3.0  # paired errors above zero, of a QiD whose logarithm is compared


# ---- rows and fits ---------------------------------------------------------------------------------------------------


def at_every_width(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the trunk's rows of GPTQ in asymmetric groups, all bit widths and checkpoints up to `MOST_EPOCHS`."""
    rows = rows_of_fit(degradation(study_rows(measured)), "gptq", GROUP_SIZE, symmetric=False)
    return rows[rows["epochs"] <= MOST_EPOCHS]


def fitted_rows(rows: pd.DataFrame, tokens_above: float = LATE_TOKENS) -> pd.DataFrame:
    """Return the rows of `at_every_width` that the law is fitted to: `FITTED_BITS`, beyond some tokens."""
    return rows[rows["bits"].isin(FITTED_BITS) & (rows[TOKENS_SEEN] > tokens_above)]


def law_of(rows: pd.DataFrame) -> FitResult:
    """Return the unified law fitted to rows, with intervals by run and step."""
    return fit_by_run(UnifiedLaw, FitData.from_table(rows))[0]


@dataclass(frozen=True, eq=False)
class Fits:
    """The unified law fitted to the study's rows in every way that the chapter shows."""

    every_width: pd.DataFrame  # `at_every_width`
    rows: pd.DataFrame  # `fitted_rows`
    whole: FitResult
    by_bits: dict[int, FitResult]  # a law of D and N for each bit width
    cuts: dict[str, FitResult]  # by the label of `CUTS`
    first_epoch: FitResult


def fits_of(every_width: pd.DataFrame) -> Fits:
    """Return the fits of a table of `at_every_width`."""
    rows = fitted_rows(every_width)
    data = FitData.from_table(rows)
    names = ["all", *(f"D > {count_label(cut)}" for cut in CUTS[1:])]
    return Fits(
        every_width=every_width,
        rows=rows,
        whole=law_of(rows),
        by_bits={bits: fit_by_run(OneBitWidthLaw, data.where(data.bits == bits))[0] for bits in FITTED_BITS},
        cuts={name: law_of(fitted_rows(every_width, cut)) for name, cut in zip(names, CUTS, strict=True)},
        first_epoch=law_of(rows[rows["epochs"] <= 1]),
    )


def numbers(fits: Fits) -> Numbers:
    """Return what the chapter states of its fits, by key; ValueError where its words wouldn't hold."""
    found: Numbers = {
        **what_is_fitted(fits.rows, fits.whole),
        **exponents(fits.whole, fits.by_bits),
        **how_well(fits.rows, fits.whole),
        **where_it_breaks(fits.rows, fitted_rows(fits.every_width, 0.0)),
        **beginnings(fits.cuts, fits.first_epoch),
        **box(fits.rows, fits.whole),
        **in_exercises(fits.whole),
    }
    check_claims(found)
    return found


# ---- what is fitted, and the exponents -------------------------------------------------------------------------------


def what_is_fitted(rows: pd.DataFrame, fit: FitResult) -> Numbers:
    """Return how much was fitted, up to where, how far it scatters, and each bit width's share of the information."""
    pure = information_by_bits(fit.fitted_nats, fit.data.outcome_se_nats, fit.data.bits, tau=0.0)
    stored = rows.groupby("bits")["effective_bits"]
    claim((stored.nunique() == 1).all(), "each bit width takes one number of stored bits")
    found: Numbers = {"early_tokens": count_label(LATE_TOKENS), "level": fit.level}
    found |= {"epochs": rows["epochs"].max(), "unique_tokens": count_label(rows["unique_tokens"].iloc[0])}
    found |= {"rows": fit.n_rows, "runs": fit.n_runs, "tau": fit.tau}
    found["median_se"] = np.median(fit.data.outcome_se_nats / fit.fitted_nats)
    found |= {f"stored_{bits:.0f}": value for bits, value in stored.first().items()}
    found |= {f"share_{bits:g}": share for bits, share in fit.information_by_bits.items()}
    return found | {f"pure_{bits}": pure[bits] for bits in (min(FITTED_BITS), max(FITTED_BITS))}


def with_interval(fit: FitResult, parameter: str, name: str) -> Numbers:
    """Return one parameter's estimate and the ends of its interval, as `name`, `name_low` and `name_high`."""
    estimate = fit.estimate(parameter)
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def exponents(fit: FitResult, by_bits: dict[int, FitResult]) -> Numbers:
    """Return the exponents with intervals beside the published ones, with each run left out, and at each bit width."""
    without = leave_one_run_out(fit)
    found: Numbers = {"doubling": 2 ** fit.estimate("beta").value}
    for name in EXPONENTS:
        found |= with_interval(fit, name, name) | {f"{name}_published": getattr(OUYANG_2024, name)}
        found |= {f"{name}_without_low": without[name].min(), f"{name}_without_high": without[name].max()}
    found["alpha_freedom"] = fit.degrees_of_freedom[fit.coefficient_names.index("alpha")]
    found["paper_growth"] = OUYANG_2024.validity.n_params[1] / fit.data.n_params.max()
    for bits, of_width in by_bits.items():
        found[f"beta_at_{bits}"] = of_width.estimate("beta").value
        inside = [fit.estimate(name).low < of_width.estimate(name).value < fit.estimate(name).high for name in SLOPES]
        claim(all(inside), "beta and alpha of each bit width lie in the intervals of the joint fit")
    return found


# ---- what it leaves over, and where it breaks ------------------------------------------------------------------------


def over_the_law(rows: pd.DataFrame, fit: FitResult) -> pd.DataFrame:
    """Return measured over fitted QiD, mean over the bit widths: one row per size N, one column per D."""
    ratios = rows.assign(ratio=fit.data.outcome_nats / fit.fitted_nats)
    return ratios.pivot_table("ratio", N_PARAMS, TOKENS_SEEN)


def how_well(rows: pd.DataFrame, fit: FitResult) -> Numbers:
    """Return the typical and the worst misses of the law, and how each size's rows lie about it along training."""
    data = fit.data
    clear = data.outcome_nats > CLEAR * data.outcome_se_nats
    misses = np.log(fit.fitted_nats[clear] / data.outcome_nats[clear])
    over = over_the_law(rows, fit)
    back = (over.iloc[:, 0] < 1) & (over.max(axis=1) > 1) & (over.iloc[:, -1] < 1)
    claim((over.iloc[:, 0] < 1).all(), "every size begins below the law")
    claim(back.is_monotonic_decreasing and (over.iloc[:, -1][~back] > 1).all(), "small sizes fall back, large don't")
    return {
        "typical_error": np.expm1(np.sqrt(np.mean(misses**2))),
        "decades": np.log10(data.outcome_nats.max() / data.outcome_nats.min()),
        "worst_over": np.exp(misses.max()),
        "worst_under": np.exp(-misses.min()),
        "sizes_back": int(back.sum()),
        "back_below": count_label(over.index[~back].min()),
        "small_first": over.iloc[0, 0],
        "small_top": over.iloc[0].max(),
        "small_last": over.iloc[0, -1],
        "large_first": over.iloc[-1, 0],
        "large_last": over.iloc[-1, -1],
    }


def local_exponents(rows: pd.DataFrame, every_moment: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return straight lines through the logarithms: `trends` in D of one size, in N at one number of tokens.

    Those in D are of all `rows` ("all") and of both parts ("first epoch", "later epochs"); the exponent of N ("size")
    has the sign of alpha and is of `every_moment`.
    """
    first = rows["epochs"] <= 1
    parts = {"all": rows, "first epoch": rows[first], "later epochs": rows[~first]}
    found = {name: trends(part, TOKENS_SEEN, [N_PARAMS, "bits"]) for name, part in parts.items()}
    of_size = trends(every_moment, N_PARAMS, [TOKENS_SEEN, "bits"])
    return found | {"size": of_size.assign(exponent=-of_size["exponent"])}


def where_it_breaks(rows: pd.DataFrame, every_moment: pd.DataFrame) -> Numbers:
    """Return the exponents of `local_exponents`, means over the bit widths, and how they differ between the ends."""
    local = local_exponents(rows, every_moment)
    whole, first, later = (
        local[name].groupby(N_PARAMS)["exponent"].mean() for name in ("all", "first epoch", "later epochs")
    )
    alphas = local["size"].groupby(TOKENS_SEEN)["exponent"].mean()
    found: Numbers = {}
    for name, part in (("first", first), ("later", later)):
        found |= {f"{name}_smallest": part.iloc[0], f"{name}_largest": part.iloc[-1]}
    found |= {"smallest": count_label(whole.index[0]), "largest": count_label(whole.index[-1])}
    claim(alphas.iloc[0] < 0 < alphas.iloc[-1] < alphas.max(), "alpha rises from below zero and falls at the end")
    found |= {"alpha_first": alphas.iloc[0], "alpha_most": alphas.max()}
    found |= {"first_tokens": count_label(alphas.index[0]), "most_tokens": count_label(alphas.idxmax())}
    found |= over_runs(first - later, "slower") | {"slower_sizes": int((first > later).sum())}
    by_bits = local["all"].pivot(index=N_PARAMS, columns="bits", values="exponent")
    steeper = by_bits[min(FITTED_BITS)] - by_bits[max(FITTED_BITS)]
    found |= over_runs(steeper, "beta_step") | {"beta_step_sizes": int((steeper > 0).sum())}
    found["beta_bits_spread"] = (by_bits.max(axis=1) - by_bits.min(axis=1)).mean()
    return found | {"beta_size_spread": whole.max() - whole.min()}


def over_runs(values: pd.Series, name: str) -> Numbers:
    """Return the mean of one value per run with Student's interval, as `name`, `name_low` and `name_high`."""
    return with_ends(name, mean_over_runs(values.to_list()), "mean")


# ---- where the data begin, the box, the exercises --------------------------------------------------------------------


def beginnings(cuts: dict[str, FitResult], first_epoch: FitResult) -> Numbers:
    """Return how the law moves where the rows begin later: scatter, exponents; and that of the first epoch alone."""
    fits = list(cuts.values())
    betas = [fit.estimate("beta").value for fit in fits]
    found: Numbers = {"tau_all": fits[0].tau, "beta_most": max(betas)}
    found |= {"tau_latest": fits[-1].tau, "beta_latest": betas[-1]}
    found |= {"late_cut": count_label(CUTS[LATER_CUT]), "latest_cut": count_label(CUTS[-1])}
    found |= with_interval(fits[LATER_CUT], "beta", "beta_late") | with_interval(first_epoch, "beta", "beta_one_epoch")
    taus, gammas = [fit.tau for fit in fits], [fit.estimate("gamma").value for fit in fits]
    claim(taus == sorted(taus, reverse=True), "later beginnings make the law fit better")
    claim(betas[0] < betas[1] and betas[1:] == sorted(betas[1:], reverse=True), "beyond the second cut beta only falls")
    claim(gammas[1:] == sorted(gammas[1:]) and max(gammas) < OUYANG_2024.gamma, "beyond the second cut gamma climbs")
    return found | {"paper_ratio": OUYANG_2024.validity.tokens[1] / OUYANG_2024.validity.n_params[0]}


def box(rows: pd.DataFrame, fit: FitResult) -> Numbers:
    """Return the ranges that the law was fitted in, and its factor k per token and per byte of text."""
    validity, ratios = fit.law.validity, fit.data.tokens / fit.data.n_params
    factor = {"k_tokens": np.exp(fit.estimate("ln_k").value)}
    factor["k_bytes"] = np.exp(in_bytes(fit.law, bytes_per_token(rows)).coefficients[0])
    found: Numbers = {"token_bytes": bytes_per_token(rows), "ratio_low": ratios.min(), "ratio_high": ratios.max()}
    for name, ends in (("tokens", validity.tokens), ("size", validity.n_params)):
        found |= {f"box_{name}_low": count_label(ends[0]), f"box_{name}_high": count_label(ends[1])}
    return found | factor | {"box_bits_low": validity.bits[0], "box_bits_high": validity.bits[1]}


def in_exercises(fit: FitResult) -> Numbers:
    """Return what the solutions say: bits that make up for ten times the tokens, size that does for twice."""
    beta, alpha, gamma = (fit.estimate(name).value for name in EXPONENTS)
    factor = 10 ** (beta / gamma)
    return {"bits_for_ten": factor, "bits_from_three": 3 * factor, "size_for_two": 2 ** (beta / alpha)}


def check_claims(found: Numbers) -> None:
    """Hold the chapter's words against its `numbers`; ValueError with the sentence that isn't so."""
    inside = {name: found[f"{name}_low"] <= found[f"{name}_published"] <= found[f"{name}_high"] for name in EXPONENTS}
    claim(inside == {"beta": True, "alpha": False, "gamma": False}, "only the published beta lies in our interval")
    for end in ("", "_published"):
        beta, alpha, gamma = (found[f"{name}{end}"] for name in EXPONENTS)
        claim(gamma > beta > alpha > 0, "bits weigh most, size least")
    claim(1.5 < found["alpha"] / found["alpha_published"] < 2.5, "our alpha is about twice the published one")
    claim(found["epochs"] > 1, "the training text repeats")
    claim(found["beta_at_2"] > found["beta_at_3"] > found["beta_at_4"], "beta falls with the bits")
    theirs = {bits: law.beta for bits, law in OUYANG_2024_TABLE_1.items()}
    claim(theirs[2] < min(theirs[3], theirs[4]), "in the paper's table 2 bits have the lowest beta")
    claim(found["beta_step_low"] > 0 and found["beta_step_sizes"] > 0.7 * found["runs"], "2 bits are steeper")
    claim(found["first_smallest"] > 1.5 * found["first_largest"], "in the first epoch small models rise more steeply")
    claim(found["later_smallest"] < found["later_largest"], "later it is the other way round")
    claim(found["first_largest"] < found["later_largest"] and found["slower_low"] > 0, "slower, but in the largest")
    claim(found["beta_late"] < found["beta_published"] < found["beta_one_epoch"], "published between late and early")
    claim(found["beta_late"] < found["beta_one_epoch_low"] < found["beta_late_high"], "the two intervals just overlap")
    claim(found["ratio_high"] > found["paper_ratio"], "our data reach further in tokens per parameter")
