"""What the chapter on the noise floor states of documents, machines and formats, and of the floors they add up to.

Scatters are standard deviations over QiD, without a unit; floors and QiDs are in nats per token.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from helpers.analyse.rows.degradation import TOKENS_SEEN, degradation
from helpers.analyse.rows.devices import device_agreement
from helpers.analyse.rows.noise import (
    calibration_draws,
    device_part,
    documents_needed,
    training_seeds,
    without_rounding,
)
from helpers.analyse.rows.noise_floor import NoiseFloor
from helpers.analyse.rows.outcomes import OUTCOMES
from helpers.analyse.rows.scored_text import scored_both_ways, scored_text_relative
from helpers.analyse.rows.standard_errors import clustered_error
from helpers.analyse.rows.study import FITTED_BITS, HELDOUT, LATE_TOKENS, UNSEEN, late
from helpers.show.benchmarks import Benchmark
from helpers.show.claims import claim
from helpers.show.numbers.trust.noise_floor import Rows, by_width, values
from helpers.show.style import count_label
from helpers.table.corpus import packages
from helpers.table.errors import AnalysisError

SIZES = (8, 16, 32, 64, 128)  # documents drawn
SPLITS = {HELDOUT: "evaluation", UNSEEN: "unseen"}
SCORING = "scoring_in_tfloat32"

Floors = Mapping[float, NoiseFloor]


# ---- documents -------------------------------------------------------------------------------------------------------


def subsamples(found: Rows, seed: int) -> pd.DataFrame:
    """Return `documents_needed` of the trunk's last checkpoints by bits and documents, the mean over sizes."""
    generator, first = np.random.default_rng(seed), found.last[found.last["calib_seed"] == 0]
    drawn = [
        documents_needed(row.document_qid_nats, SIZES, generator).assign(bits=row.bits) for row in first.itertuples()
    ]
    return pd.concat(drawn).groupby(["bits", "n_documents"], as_index=False).mean()


def of_documents(drawn: pd.DataFrame, calibration: pd.Series) -> dict[str, float]:
    """Return the scatter of 16 and of all documents, their intervals' coverage, and how many match a draw of text."""
    at = drawn.set_index(["bits", "n_documents"])
    few, whole = at.xs(SIZES[1], level="n_documents"), at.xs(SIZES[-1], level="n_documents")
    equal = SIZES[-1] * (whole["relative_sd"] / calibration) ** 2
    claim((equal < SIZES[-1]).all(), "documents and calibration text weigh the same within those at hand")
    claim(whole["coverage"].between(0.93, 0.97).all(), "95% intervals hold in about 95% of the draws")
    shown = values("few", few["relative_sd"]) | values("all", whole["relative_sd"])
    shown |= {f"equal_{bits}": int(np.ceil(equal[bits])) for bits in FITTED_BITS}
    return shown | {"coverage_all": whole["coverage"].min()}


def with_own_error(found: Rows) -> pd.DataFrame:
    """Return the first draw's rows on both texts with `own_error` (nats, by packages) and its `factor` over theirs."""
    every = pd.concat([found.first, found.unseen[found.unseen["calib_seed"] == 0]], ignore_index=True)
    groups = {text: packages(split) for text, split in SPLITS.items()}
    errors = [clustered_error(row.document_qid_nats, groups[row.eval_dataset]) for row in every.itertuples()]
    return every.assign(own_error=errors, factor=errors / every["qid_se_nats"])


def of_packages(widened: pd.DataFrame, floors: Floors) -> dict[str, float]:
    """Return how much larger errors by packages are, and how they grow as a power of QiD: `own_error` of the rows."""
    factors = widened.groupby("eval_dataset")["factor"].median()
    exponents = [floors[bits].evaluation.exponent for bits in FITTED_BITS]
    claim((factors > 1).all(), "packages make errors larger")
    claim(exponents == sorted(exponents, reverse=True), "the fewer bits, the nearer to a fixed share")
    claim(abs(exponents[2] - 0.5) < 0.1, "at 4 bits the exponent is near one half")
    shown: dict[str, float] = {}
    for name, text in (("held_out", HELDOUT), ("unseen", UNSEEN)):
        shown |= {f"factor_{name}": factors[text], f"packages_{name}": len(set(packages(SPLITS[text])))}
    for bits in FITTED_BITS:
        error = floors[bits].evaluation
        shown |= {f"eval_scale_{bits}": error.scale_nats, f"eval_exponent_{bits}": error.exponent}
        shown |= {f"eval_off_{bits}": np.exp(error.log_sd)}
    return shown


def of_blocks(found: Rows) -> dict[str, float]:
    """Return the paired error of QiD on four blocks of each document over that on one, median over roundings."""
    key = ["checkpoint_id", "bits"]
    one = found.on_gpu[found.on_gpu["calib_seed"] == 0]
    both = one.merge(found.first, on=key, suffixes=("_one", "_four"), validate="1:1")
    gain = (both["qid_se_nats_four"] / both["qid_se_nats_one"]).median()
    end = both[both[f"{TOKENS_SEEN}_one"] == both[f"{TOKENS_SEEN}_one"].max()]
    claim(0.5 < gain < 0.75, "less than a half is gained")
    claim((end["baseline_loss_nats_one"] < end["baseline_loss_nats_four"]).all(), "beginnings are easier at the end")
    return {"blocks_gain": gain, "n_blocks": len(both)}


def of_scored_text(measured: pd.DataFrame) -> dict[str, float]:
    """Return RTN's QiD and KL on the first block of each document over those on four, with intervals over runs."""
    shown: dict[str, float] = {}
    for name, outcome in OUTCOMES.items():
        of_rtn = scored_text_relative(late(scored_both_ways(measured, outcome))).xs("rtn", level="method")
        claim((of_rtn["low"] > 1).all(), "the scored part of documents moves the level")
        shown |= by_width(f"scored_{name}", of_rtn, "ratio") | {"scored_runs": int(of_rtn["n_runs"].iloc[0])}
    return shown


# ---- machines and formats --------------------------------------------------------------------------------------------


def machines(mine: pd.DataFrame, device: str, found: Rows) -> tuple[pd.DataFrame, str]:
    """Return rows of GPTQ on two machines beside each other, and whose they are: the reader's, or else the stored ones.

    `mine` are the reader's measurements; another sweep than the book's has nothing to compare with.
    """
    try:
        agreement = device_agreement(degradation(mine[mine["device_type"] == device]), found.on_gpu)
        whose = "this machine's rows"
    except AnalysisError:
        agreement, whose = device_agreement(found.on_cpu, found.on_gpu), "the stored rows of a CPU"
    return agreement[agreement["method"] == "gptq"], whose


def of_machines(agreement: pd.DataFrame, whose: str, found: Rows) -> dict[str, object]:
    """Return how far one QiD is off because of its machine; `agreement` of `machines`."""
    compared, before = late(agreement), agreement[agreement[TOKENS_SEEN] <= LATE_TOKENS]
    relative, seeds = device_part(compared), late(found.of_seeds)
    between = training_seeds(seeds)
    of_seed = without_rounding(between, calibration_draws(found.last))
    alongside = device_part(compared[compared[TOKENS_SEEN] <= seeds[TOKENS_SEEN].max()])
    by_device = np.sqrt((between["relative_sd"] ** 2 - alongside**2).clip(lower=0.0))
    alike = (of_seed["low"] <= by_device) & (by_device < 1.5 * of_seed["relative_sd"])
    claim(alike[list(FITTED_BITS)].all(), "taken out by machines the seed's part is much the same")
    squares = np.sort((compared["difference_nats"] / compared["qid_nats_cuda"]).to_numpy() ** 2)
    sentence = "Checkpoints before that are not among them."
    if len(before):
        parts = device_part(before)
        sentence = f"On {len(before)} rows before that it is {parts[2]:.0%}, {parts[3]:.0%} and {parts[4]:.0%}."
        claim((parts[[3, 4]] > 2 * relative[[3, 4]]).all(), "machines differ more early in training")
    return (
        values("dev", relative)
        | values("of_seed_by_device", by_device)
        | {
            "whose": whose,
            "before": sentence,
            "n_compared": len(compared),
            "loud_share": squares[-(len(squares) // 4) :].sum() / squares.sum(),
        }
    )


def of_formats(precision: Benchmark, formats: pd.DataFrame) -> dict[str, object]:
    """Return by how much scoring in TF32 moves QiD at most; `formats` is `noise.format_parts` of `precision`."""
    rounding = formats[["rounding_in_tfloat32", "rounding_in_bfloat16"]].div(formats["between_two_seeds"], axis=0)
    claim(formats[SCORING].max() < 0.001, "scoring in TF32 hardly moves QiD")
    claim(
        np.abs(np.log(rounding.to_numpy())).max() < np.log(3), "a format of rounding moves it about as a draw of text"
    )
    return {
        "n_precision": len(precision.rows),
        "precision_measured": precision.measured,
        "largest_scoring": formats[SCORING].max(),
    }


# ---- the floor -------------------------------------------------------------------------------------------------------


def typical(found: Rows) -> pd.Series:
    """Return by bits the median QiD of the trunk's last checkpoints, the first draw of calibration text, in nats."""
    return found.last[found.last["calib_seed"] == 0].groupby("bits")["qid_nats"].median()


def of_floors(floors: Floors, of_kl: Floors, qid: pd.Series, formats: pd.DataFrame) -> dict[str, float]:
    """Return both floors at a typical QiD, in nats and as a share, and what exercises ask; `of_kl`: floors of KL."""
    shown = values("typical", qid)
    for bits in FITTED_BITS:
        floor, q = floors[bits], qid[bits]
        one, other = floor.of_one_model(q), floor.of_another_run(q)
        shown |= {f"floor_{bits}": one, f"floor_{bits}_relative": one / q, f"smallest_{bits}": floor.smallest_qid_nats}
        shown |= {f"another_{bits}": other, f"another_{bits}_relative": other / q}
        shown |= {
            f"another_kl_{bits}": of_kl[bits].of_another_run(1.0),
            f"scored_sd_{bits}": floor.scored_text_relative,
        }
        minor = 10 * formats.loc[bits, SCORING] < floor.calibration_relative
        claim(minor, "the format of scoring would have to be ten times larger to matter")
    for bits in (2, 4):
        of_text, q = floors[bits].evaluation, qid[bits]
        doubled = replace(floors[bits], evaluation=replace(of_text, scale_nats=of_text.scale_nats / np.sqrt(2)))
        shown |= {f"documents_{bits}": of_text.at(q) / q, f"double_{bits}": doubled.of_one_model(q) / q}
    seed, draw = floors[4].training_seed_relative, floors[4].calibration_relative
    claim(seed > 2 * draw, "within a protocol the training seed is the largest part")
    return shown | {"miss": (shown["floor_4_relative"] + shown["another_4_relative"]) / 2}


def of_rows_below(widened: pd.DataFrame, floors: Floors, early: pd.DataFrame) -> dict[str, object]:
    """Return the least QiDs, and rows below their own floor; `widened` of `with_own_error`, `early` of early seeds."""
    own = widened[widened["eval_dataset"] == HELDOUT]
    relative = own["bits"].map({bits: floor.rounding_relative for bits, floor in floors.items()})
    below = own[own["qid_nats"] < 2 * np.hypot(own["own_error"], relative * own["qid_nats"])]
    least, smallest = (
        own.groupby("bits")["qid_nats"].min(),
        {bits: one.smallest_qid_nats for bits, one in floors.items()},
    )
    of_early = replace(floors[4], calibration_relative=early.loc[4, "relative_sd"]).smallest_qid_nats
    claim(below["bits"].eq(4).all(), "only rows of 4 bits lie below their floor")
    claim(below[TOKENS_SEEN].max() < LATE_TOKENS, "and none of them late")
    claim(all(least[bits] > 5 * smallest[bits] for bits in (2, 3)), "no row of 2 or 3 bits comes near the smallest QiD")
    claim(least[4] < smallest[4], "one row of 4 bits is below it")
    claim(of_early < 2 * smallest[4], "the scatter of early training hardly moves it")
    return (
        values("least", least)
        | {"below_4": len(below)}
        | {
            "n_each": int((own["bits"] == 4).sum()),
            "below_last": count_label(below[TOKENS_SEEN].max()),
            "smallest_4_early": of_early,
        }
    )


def parts(found: Rows, floors: Floors, device: pd.Series, formats: pd.DataFrame) -> pd.DataFrame:
    """Return the parts of the noise for the figure: `part`, `bits`, `relative_sd`, and `low`, `high` where known."""
    draws, qid = calibration_draws(found.last), typical(found)
    of_seed = without_rounding(training_seeds(late(found.of_seeds)), draws)
    points = pd.DataFrame(
        {
            "documents": {bits: floor.evaluation.at(qid[bits]) / qid[bits] for bits, floor in floors.items()},
            "scored text": {bits: floor.scored_text_relative for bits, floor in floors.items()},
            "CPU or GPU": device,
            "number format": formats[SCORING],
        }
    ).rename_axis("bits")
    points = points.reset_index().melt("bits", var_name="part", value_name="relative_sd")
    spreads = {"calibration text": draws, "training seed": of_seed}
    return pd.concat([*(table.reset_index().assign(part=part) for part, table in spreads.items()), points])
