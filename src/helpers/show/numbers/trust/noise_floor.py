"""What the chapter on the noise floor states: scatter by calibration text, seed, documents, machine and format.

Scatters are standard deviations over QiD, without a unit; `bits` index a table of `rows.noise`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.questions.trends import steps_up
from helpers.analyse.questions.ways import way_of_rounding
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.noise import (
    calibration_draws,
    scatter_ratio,
    scatter_trend,
    training_seeds,
    without_rounding,
)
from helpers.analyse.rows.outcomes import KL, OUTCOMES, QID
from helpers.analyse.rows.second_runs import both_runs, one_run_scatter
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    HELDOUT,
    LATE_TOKENS,
    POCKET,
    UNSEEN,
    agreeing,
    gptq_of_study,
    late,
    on_trunk,
    rows_of_every_run,
    rows_of_seeds,
    study_rows,
)
from helpers.show.claims import claim
from helpers.show.intervals import with_ends
from helpers.show.style import count_label


@dataclass(frozen=True)
class Rows:
    """Rows of GPTQ in asymmetric groups of 32, of the study (a GPU) and of the pocket sweep (either machine).

    `every_draw`: on held-out text, `unseen`: on unseen text, both with all draws of calibration text; `first`: the
    first draw; `last`: the trunk's last checkpoints; `of_seeds`: models trained from several seeds.
    """

    every_draw: pd.DataFrame
    unseen: pd.DataFrame
    first: pd.DataFrame
    last: pd.DataFrame
    of_seeds: pd.DataFrame
    on_cpu: pd.DataFrame
    on_gpu: pd.DataFrame


def rows_of(measured: pd.DataFrame) -> Rows:
    """Return the rows of the chapter from all measurements."""
    every, unseen = gptq_of_study(measured), gptq_of_study(measured, UNSEEN)
    first = every[every["calib_seed"] == 0]
    last = every[on_trunk(every) & (every["step"] == every["step"].max())]
    on_cpu = degradation(measured[agreeing(measured, POCKET)])
    on_cpu = on_cpu[(way_of_rounding(on_cpu) == "GPTQ") & (on_cpu["eval_dataset"] == HELDOUT)]
    few = measured["calib_sequences"].isna() | (measured["calib_sequences"] == on_cpu["calib_sequences"].iloc[0])
    of_gpu = agreeing(measured, POCKET | {"device_type": "cuda"}) & (measured["eval_dataset"] == HELDOUT)
    return Rows(every, unseen, first, last, rows_of_seeds(first), on_cpu, degradation(measured[of_gpu & few]))


def by_width(name: str, table: pd.DataFrame, middle: str = "relative_sd") -> dict[str, float]:
    """Return `name_BITS` with both ends of its interval for each fitted bit width."""
    return {
        key: value
        for bits in FITTED_BITS
        for key, value in with_ends(f"{name}_{bits}", table.loc[bits], middle).items()
    }


def values(name: str, of_bits: pd.Series) -> dict[str, float]:
    """Return `name_BITS` for each fitted bit width, without an interval."""
    return {f"{name}_{bits}": float(of_bits[bits]) for bits in FITTED_BITS}


# ---- calibration text ------------------------------------------------------------------------------------------------


def protocol(found: Rows) -> dict[str, object]:
    """Return how the study measures: groups, texts, draws of calibration text, and the sizes they were drawn for."""
    row, last = found.last.iloc[0], found.last
    return {
        "group": int(row["group_size"]),
        "calib_sequences": int(row["calib_sequences"]),
        "n_sequences": int(row["n_sequences"]),
        "n_documents": int(row["n_documents"]),
        "last_tokens": count_label(row[TOKENS_SEEN]),
        "late_tokens": count_label(LATE_TOKENS),
        "size_times": last[N_PARAMS].max() / last[N_PARAMS].min(),
        "n_models": last["model"].nunique(),
        "n_seeds": last["calib_seed"].nunique(),
    }


def of_calibration(found: Rows) -> dict[str, float]:
    """Return the scatter between draws of calibration text at the trunk's end, and that it depends on nothing."""
    last, draws = found.last, calibration_draws(found.last)
    elsewhere = calibration_draws(found.unseen[on_trunk(found.unseen)])
    by_size = {size: calibration_draws(part) for size, part in last.groupby(N_PARAMS)}
    trend = scatter_trend(pd.concat(by_size, names=[N_PARAMS]).reset_index(), N_PARAMS)
    overlap = (elsewhere["low"] < draws["high"]) & (elsewhere["high"] > draws["low"])
    claim(overlap.all(), "both texts agree within their intervals")
    claim(draws["low"].max() < draws["high"].min(), "bits make no clear difference")
    claim(draws["relative_sd"].between(0.01, 0.05).all(), "draws scatter by a few percent")
    claim(((trend["low"] < 0) & (trend["high"] > 0)).all(), "the scatter has no clear trend with size")
    claim((trend["low"] > -0.5).all(), "an exponent of -1/2 is ruled out")
    medians = last.groupby("bits")["qid_nats"].median()
    found_ = by_width("cal", draws) | by_width("size_trend", trend, "exponent")
    found_ |= values("cal_documents", draws["documents_share"]) | values("cal_unseen", elsewhere["relative_sd"])
    return (
        found_
        | values("together", correlations(last))
        | {
            "bits_times": medians[2] / medians[4],
            "pair_3_relative": 2 * np.sqrt(2) * draws.loc[3, "relative_sd"],
        }
    )


def correlations(last: pd.DataFrame) -> pd.Series:
    """Return by bits how the effects of the same draws go together between two sizes: the mean correlation."""
    effects = last.assign(effect=last["qid_nats"] / last.groupby(["model", "bits"])["qid_nats"].transform("mean"))
    together = {}
    for bits, part in effects.groupby("bits"):
        matrix = part.pivot(index="calib_seed", columns="model", values="effect").corr().to_numpy()
        together[bits] = matrix[np.triu_indices_from(matrix, 1)].mean()
    return pd.Series(together)


def of_a_quarter(found: Rows) -> dict[str, object]:
    """Return the scatter between draws of a quarter of the calibration text, over that between whole ones."""
    pocket = found.on_cpu[found.on_cpu["step"] == found.on_cpu["step"].max()]
    few, many = calibration_draws(pocket), calibration_draws(found.last[found.last["model"].isin(pocket["model"])])
    ratio = scatter_ratio(few, many)
    claim(((ratio["low"] < 1) & (ratio["high"] > 1)).all(), "one lies in all three intervals")
    claim((ratio["high"] > 2).to_dict() == {2: False, 3: True, 4: False}, "two lies in that of 3 bits alone")
    shown = {"calib_few": int(pocket["calib_sequences"].iloc[0]), "n_pocket": pocket["model"].nunique()}
    shown |= {"n_seeds_few": int(few["n_seeds"].max())}
    shown |= values("few_cal", few["relative_sd"]) | values("many_cal", many["relative_sd"])
    return shown | by_width("quarter", ratio, "ratio")


# ---- training seeds --------------------------------------------------------------------------------------------------


def of_seeds(found: Rows) -> dict[str, float]:
    """Return the scatter between training seeds beyond `LATE_TOKENS`, and the seed's own part of it."""
    draws, between = calibration_draws(found.last), training_seeds(late(found.of_seeds))
    own = without_rounding(between, draws)
    claim(between.loc[4, "low"] > draws.loc[4, "high"], "seeds are clear at 4 bits")
    claim(own.loc[3, "low"] > 0 == own.loc[2, "low"], "the seed's own part is above zero at 3 bits and not at 2")
    return (
        by_width("between", between)
        | by_width("of_seed", own)
        | {
            "seed_runs": int(between["n_runs"].max()),
            "seed_freedom": int(between["degrees_of_freedom"].max()),
        }
    )


def common_tokens(of_seeds: pd.DataFrame) -> float:
    """Return the last number of tokens at which every model was trained from several seeds."""
    n_models = of_seeds.groupby(TOKENS_SEEN)["model"].nunique()
    return float(n_models[n_models == n_models.max()].index.max())


def of_seeds_in_training(found: Rows) -> dict[str, object]:
    """Return how the scatter between seeds falls along training, and which runs it is of."""
    rows, between = found.of_seeds, training_seeds(late(found.of_seeds))
    early = training_seeds(rows[rows[TOKENS_SEEN] <= LATE_TOKENS])
    by_tokens = pd.concat(
        {count: training_seeds(part) for count, part in rows.groupby(TOKENS_SEEN)}, names=[TOKENS_SEEN]
    )
    trend, common = scatter_trend(by_tokens.reset_index(), TOKENS_SEEN), common_tokens(rows)
    last = by_tokens.xs(common, level=TOKENS_SEEN)
    leaders = late(rows).loc[late(rows).groupby(["model", "step", "bits"])["qid_nats"].idxmax()]
    claim(
        rows.groupby("model")["run_label"].nunique().tolist() == [3, 3, 2],
        "three runs of two sizes, two of the largest",
    )
    claim((leaders.groupby(["model", "bits"])["train_seed"].nunique() > 1).all(), "no seed leads throughout")
    claim((trend["high"] < 0).all(), "the scatter falls as training goes on")
    claim((early["relative_sd"] > 2 * between["relative_sd"]).all(), "seeds move QiD most of all early in training")
    draws = calibration_draws(found.last)
    claim((last["low"] < draws["high"]).all(), "at the end it can't be told from draws of calibration text")
    share = last.loc[4, "relative_sd"] / between.loc[4, "relative_sd"]
    claim(share < 0.6, "for the trunk's end the floor of another run is rather too high")
    names = [name.removeprefix("tadpole-") for name in rows.sort_values(N_PARAMS)["model"].unique()]
    shown = by_width("token_trend", trend, "exponent") | values("between_early", early["relative_sd"])
    return (
        shown
        | values("between_last", last["relative_sd"])
        | {
            "seed_models": ", ".join(names),
            "seed_common_tokens": count_label(common),
            "seed_last_tokens": count_label(rows[TOKENS_SEEN].max()),
            "last_share": share,
        }
    )


def of_seeds_otherwise(found: Rows, measured: pd.DataFrame) -> dict[str, float]:
    """Return the scatter between seeds on unseen text, by rounding to nearest, and the documents' share of it."""
    on_unseen = training_seeds(rows_of_seeds(late(found.unseen[found.unseen["calib_seed"] == 0])))
    every = degradation(rows_of_every_run(measured))
    nearest = rows_of_fit(every, "rtn", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS)
    of_nearest = training_seeds(rows_of_seeds(nearest[nearest["bits"].isin(FITTED_BITS)]))["relative_sd"]
    claim((of_nearest > calibration_draws(found.last)["high"]).all(), "rounding to nearest scatters between seeds too")
    share = training_seeds(late(found.of_seeds))["documents_share"]
    shown = values("between_unseen", on_unseen["relative_sd"]) | values("between_nearest", of_nearest)
    return shown | values("between_documents", share)


def of_losses(of_seeds: pd.DataFrame) -> dict[str, object]:
    """Return how far 16-bit losses of several seeds lie apart: standard deviations in nats per token."""
    one_each = of_seeds.drop_duplicates(["run_label", "step"])
    spread = one_each.groupby(["model", TOKENS_SEEN])["baseline_loss_nats"].std()
    after = spread[spread.index.get_level_values(TOKENS_SEEN) > LATE_TOKENS]
    claim(after.max() ** 2 > 0.5 * (after**2).sum(), "the spread is mostly that of one checkpoint")
    return {
        "loss_spread": np.sqrt((after**2).mean()),
        "loss_spread_last": np.sqrt((spread.xs(common_tokens(of_seeds), level=TOKENS_SEEN) ** 2).mean()),
        "loss_spread_largest": after.max(),
        "loss_spread_at": count_label(after.idxmax()[1]),
    }


def of_the_same_seed(found: Rows, measured: pd.DataFrame) -> dict[str, object]:
    """Return the scatter of runs of one seed and one order of batches, by QiD and KL, and of other seeds by KL."""
    pairs = {name: both_runs(measured, outcome) for name, outcome in OUTCOMES.items()}
    again = {name: one_run_scatter(both) for name, both in pairs.items()}
    of_qid, by_kl = training_seeds(late(found.of_seeds)), training_seeds(late(found.of_seeds), KL)
    both = pairs[QID.name]
    after = both[both[TOKENS_SEEN] > both[TOKENS_SEEN].min()]
    later = one_run_scatter(after).loc[4, "relative_sd"]
    claim(both["model"].nunique() == 8, "eight sizes were trained a second time")
    claim(later < again[QID.name].loc[4, "relative_sd"], "early checkpoints scatter most")
    claim(by_kl["relative_sd"].max() < 0.6 * of_qid.loc[4, "relative_sd"], "in KL one run is like another")
    shown = by_width("between_kl", by_kl)
    for name in OUTCOMES:
        shown |= values(f"again_{name}", again[name]["relative_sd"])
    return shown | {
        "again_later": later,
        "again_later_from": count_label(after[TOKENS_SEEN].min()),
        "second_largest": count_label(both[N_PARAMS].max()),
        "second_rows": int(again[QID.name].loc[4, "n_rows"]),
        "second_sizes": int(again[QID.name].loc[4, "n_sizes"]),
    }


def of_steps(measured: pd.DataFrame) -> dict[str, int]:
    """Return at how many steps between the trunk's neighbouring late checkpoints QiD and KL rise at 8 bits."""
    plain = rows_of_fit(
        degradation(study_rows(measured)), "gptq", GROUP_SIZE, symmetric=False, tokens_above=LATE_TOKENS
    )
    steps = {name: steps_up(plain, outcome) for name, outcome in OUTCOMES.items()}
    shown = {f"up_{name}_8": int(table.loc[8, "n_up"]) for name, table in steps.items()}
    return shown | {"up_of": int(steps[QID.name]["n_steps"].iloc[0])}


def numbers(found: Rows, measured: pd.DataFrame) -> dict[str, object]:
    """Return every number of the chapter on calibration text and training seeds."""
    shown = protocol(found) | of_calibration(found) | of_a_quarter(found)
    shown |= of_seeds(found) | of_seeds_in_training(found) | of_seeds_otherwise(found, measured)
    return shown | of_losses(found.of_seeds) | of_the_same_seed(found, measured) | of_steps(measured)
