"""What the chapter on why QiD grows states of Gaussian noise of the size of rounding, beside rounding and curvature.

Rows are those of `weight_noise.rows_beside_noise`, KL in nats per token, ratios and slopes without unit.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.rows import weight_noise
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import HELDOUT
from helpers.analyse.rows.weight_noise import NOISE, SMALL_BITS, SPARING
from helpers.show.claims import claim
from helpers.show.intervals import with_ends
from helpers.show.style import count_label

NAMES = {"rtn": "rtn", "gptq": "gptq", SPARING: "sparing"}  # errors that are compared with the noise
RATIO_BITS = (3, 4, 8)
SLOPE_BITS = 4
HALF_OF_TEXT = "tadpole-unique135"  # the family of three larger sizes that read half of the trunk's text twice


@dataclass(frozen=True)
class BesideNoise:
    """KL by kind of error (`kl`), the same over what curvature says (`over`), and the errors of traces and of draws."""

    kl: pd.DataFrame
    over: pd.DataFrame
    errors: pd.DataFrame
    n_draws: int


def tables(checkpoints: pd.DataFrame, measured: pd.DataFrame) -> BesideNoise:
    """Return the tables of noise from the records of checkpoints and the rows measured beside it."""
    rows = weight_noise.rows_beside_noise(measured)
    kl = weight_noise.mean_kl(rows)
    costs = weight_noise.curvature_costs(checkpoints, sorted(rows["bits"].astype(int).unique()))
    of_draws = weight_noise.draw_errors(rows).reindex(kl.index)
    of_traces = kl.index.get_level_values("weights_sha256").map(costs["trace_error"])
    errors = pd.DataFrame({"draws": of_draws, "trace": of_traces.to_numpy(float)}, index=kl.index)
    n_draws = rows.loc[rows["method"] == NOISE, "noise_seed"].nunique()
    return BesideNoise(kl, weight_noise.over_curvature(kl, costs), errors, n_draws)


def counts(found: BesideNoise) -> dict[str, object]:
    """Return how many checkpoints of how many runs have noise, their largest size, and the draws of each."""
    places = found.kl.reset_index()
    return {
        "noise_checkpoints": places["weights_sha256"].nunique(),
        "noise_runs": places["run_label"].nunique(),
        "noise_largest": count_label(places[N_PARAMS].max()),
        "noise_draws": found.n_draws,
    }


def of_formula(found: BesideNoise) -> dict[str, float]:
    """Return the noise's KL over half the trace times its variance, where errors are small and at 2 bits.

    `noise_off` is the rms over checkpoints of that ratio's ln at 8 bits, `noise_error` what the trace's probes and the
    draws leave open of it, `noise_within` the checkpoints off by less than two of their own. `noise_bend` is the ratio
    at 5 bits over that at 8.
    """
    logs = np.log(found.over[NOISE])
    small = found.over[found.over.index.get_level_values("bits").isin(SMALL_BITS)][NOISE]
    coarse, middle, finest = (logs.xs(bits, level="bits") for bits in (2, min(SMALL_BITS), 8))
    own = np.sqrt((found.errors.xs(8, level="bits") ** 2).sum(axis=1))
    ratio, bend = weight_noise.factor_over_runs(small), weight_noise.factor_over_runs(np.exp(middle - finest))
    claim(0.8 < ratio["value"] < 1.25, "small noise costs about what curvature says")
    claim(bend["low"] > 0.97 and bend["high"] < 1.03, "from 8 to 5 bits KL grows as the noise's square")
    claim(coarse.std() > 1.5 * finest.std(), "at 2 bits checkpoints differ more")
    return (
        with_ends("noise_small", ratio)
        | with_ends("noise_bend", bend)
        | with_ends("noise_coarse", weight_noise.factor_over_runs(np.exp(coarse)))
        | {
            "noise_off": float(np.sqrt((finest**2).mean())),
            "noise_error": float(np.sqrt((own**2).mean())),
            "noise_within": int((finest.abs() < 2 * own).sum()),
        }
    )


def of_ratios(found: BesideNoise) -> dict[str, float]:
    """Return KL of rounding, and of noise that spares loud inputs, over that of plain noise of the same mean square."""
    shown: dict[str, float] = {}
    for bits in RATIO_BITS:
        kl = found.kl.xs(bits, level="bits")
        for method, name in NAMES.items():
            ratio = weight_noise.factor_over_runs(kl[method] / kl[NOISE])
            claim(ratio["value"] < 1, "noise in every column alike costs most")
            claim(name == "rtn" or ratio["high"] < 1, "all but RTN can be told from it")
            shown |= with_ends(f"{name}_over_noise_{bits}", ratio)
    return shown


def of_slopes(found: BesideNoise) -> dict[str, float]:
    """Return the slope of ln KL in ln tokens by noise and by GPTQ, and how much steeper other errors are (4 bits)."""
    slopes = weight_noise.token_slopes(found.kl, SLOPE_BITS)
    shown = with_ends("noise_beta", weight_noise.slope_over_runs(slopes[NOISE]))
    for method, name in NAMES.items():
        shown |= with_ends(f"{name}_beta_more", weight_noise.slope_over_runs(slopes[method] - slopes[NOISE]))
    claim(shown["noise_beta_low"] > 0, "noise costs more after more tokens too")
    claim(shown["gptq_beta_more_low"] > 0, "GPTQ's KL grows faster than the noise's")
    claim(shown["rtn_beta_more_low"] < 0 < shown["rtn_beta_more_high"], "RTN's can't be distinguished from it")
    claim(shown["sparing_beta_more_high"] < 0, "sparing loud inputs takes away some of the growth")
    share = slopes[NOISE].mean() / slopes["gptq"].mean()
    claim(0.6 < share < 0.9, "three quarters of GPTQ's slope are the noise's")
    return shown | {"gptq_beta": float(slopes["gptq"].mean()), "noise_share": float(share)}


def larger(checkpoints: pd.DataFrame, measured: pd.DataFrame) -> BesideNoise:
    """Return the tables of noise in the trunk's larger sizes, trained on half its text, on held-out text."""
    of_half = (measured["family"] == HALF_OF_TEXT) & (measured["eval_dataset"] == HELDOUT)
    return tables(checkpoints, measured[of_half])


def of_larger(found: BesideNoise) -> dict[str, object]:
    """Return what noise costs in larger sizes at two moments: ratios to it, over the formula, and slopes (4 bits)."""
    places, kl = found.kl.reset_index(), found.kl.xs(SLOPE_BITS, level="bits")
    slopes = weight_noise.token_slopes(found.kl, SLOPE_BITS)
    shown: dict[str, object] = {
        "larger_smallest": count_label(places[N_PARAMS].min()),
        "larger_largest": count_label(places[N_PARAMS].max()),
        "larger_runs": places["run_label"].nunique(),
        "larger_from": count_label(places[TOKENS_SEEN].min()),
        "larger_to": count_label(places[TOKENS_SEEN].max()),
    }
    for method, name in NAMES.items():
        ratio = weight_noise.factor_over_runs(kl[method] / kl[NOISE])
        claim((ratio["low"] < 1 < ratio["high"]) == (name == "rtn"), "RTN alone can't be told from noise")
        more = weight_noise.slope_over_runs(slopes[method] - slopes[NOISE])
        claim(more["high"] < 0, "no other error's KL grows as fast as the noise's")
        shown |= with_ends(f"larger_{name}", ratio) | with_ends(f"larger_{name}_more", more)
    ours = weight_noise.slope_over_runs(slopes[NOISE])
    share = float((slopes[SPARING] / slopes[NOISE]).mean())
    claim(0.4 < share < 0.6, "sparing loud inputs leaves half the slope")
    shown |= with_ends("larger_beta", ours) | {"larger_share": share}
    return shown | with_ends(
        "larger_formula", weight_noise.factor_over_runs(found.over[NOISE].xs(SLOPE_BITS, level="bits"))
    )
