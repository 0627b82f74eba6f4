"""What the chapter on predictors without a law states: misses by hold-out, intervals, what the features are worth.

A factor of error is e to the rms of ln(predicted / measured), a factor of bias e to its mean: no unit. A ValueError
says which sentence of the page doesn't hold.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.fits.hold_outs import Split, splits
from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.judgement import without_a_law as ways
from helpers.analyse.judgement.known_before import BITS, CURVATURE, FEATURES, alike, beside_noise, with_features
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import KL, QID, Outcome
from helpers.analyse.rows.second_runs import trunk_again
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import FITTED_BITS, HELDOUT, rows_at
from helpers.analyse.rows.weight_noise import curvature_costs, mean_kl, rows_beside_noise
from helpers.show.claims import claim
from helpers.show.intervals import Numbers, in_words, with_ends

HELD = {"size": "largest size", "late": "last factor 4 in D", "both": "larger and later"}
LAWS = ("tokens-per-parameter", "power", "curvature")  # of results/fits.json
POWER, PER, BENT, NDP, BLIND, ALL, BOOSTED, OVER = ways.LEARNERS
SHORT = {POWER: "power", PER: "per", BENT: "bent", NDP: "ndp", BLIND: "blind", ALL: "all"}
SHORT |= {BOOSTED: "boosted", OVER: "over"}
OF_SHAPES = (POWER, PER, NDP, ALL, OVER)
AT_BITS = 3  # of the figure


@dataclass(frozen=True, eq=False)
class Tables:
    """The rows with their features, the hold-outs of the laws, what is alike."""

    rows: pd.DataFrame
    held: dict[str, Split]
    groups: list[tuple[str, ...]]
    noise: pd.DataFrame


def tables(measured: pd.DataFrame, checkpoints: pd.DataFrame, noise: pd.DataFrame) -> Tables:
    """Return the tables of the page from the tables of `results/`."""
    table = rows_at(measured, HELDOUT)
    rows = with_features(table[table["bits"].isin(FITTED_BITS)], checkpoints)
    by_name = splits(rows, rows.iloc[:0], with_features(trunk_again(measured), checkpoints))
    held = {name: one for name, one in by_name.items() if name in HELD.values() and isinstance(one, Split)}
    kl = mean_kl(rows_beside_noise(noise))
    kl = kl[kl.index.get_level_values("bits").isin(FITTED_BITS)]
    costs = curvature_costs(checkpoints, FITTED_BITS)
    return Tables(rows, held, alike(rows, list(FEATURES)), beside_noise(kl, costs))


def counts(read: Tables) -> Numbers:
    """Return how many rows, runs, shapes and features there are."""
    rows = read.rows
    return {
        "kb_rows": len(rows),
        "kb_runs": rows["cluster"].nunique(),
        "kb_shapes": rows["model"].nunique(),
        "kb_features": len(FEATURES),
        "kb_groups": len(read.groups),
        "kb_level": ways.LEVEL,
        "kb_trees": ways.TREES,
    }


# ---- the hold-outs of the laws ---------------------------------------------------------------------------------------


def on_hold_outs(read: Tables, seed: int, outcome: Outcome = QID) -> pd.DataFrame:
    """Return factors of error and bias: a row a predictor, columns (hold-out, `error` or `bias`)."""
    found = {}
    for name, learner in ways.LEARNERS.items():
        for hold_out, split in read.held.items():
            generator = np.random.default_rng(seed)
            errors = ways.errors_of(split.training, split.held, learner, outcome, generator)
            found[name, hold_out] = {"error": np.exp(np.sqrt(np.mean(errors**2))), "bias": np.exp(errors.mean())}
    return pd.DataFrame(found).T.unstack()[["error", "bias"]].swaplevel(axis=1).loc[list(ways.LEARNERS)]


def with_laws(scores: pd.DataFrame, stored: StoredFits, read: Tables) -> pd.DataFrame:
    """Return the scores with those of `LAWS` below, as `results/fits.json` has them of the same rows."""
    judged = stored.judged.set_index(["law", "hold_out"])
    laws = {}
    for law in LAWS:
        for hold_out, split in read.held.items():
            row = judged.loc[(law, hold_out)]
            claim(row["n_rows"] == len(split.held) and row["excluded_share"] == 0, "laws and forests see the same rows")
            laws[f"{law} (fitted by likelihood)", hold_out] = {
                "error": np.exp(row["log_rms"]),
                "bias": np.exp(row["log_bias"]),
            }
    of_laws = pd.DataFrame(laws).T.unstack().swaplevel(axis=1)
    return pd.concat([scores, of_laws[scores.columns]])


def of_hold_outs(scores: pd.DataFrame, name: str = "") -> Numbers:
    """Return each predictor's factors under keys such as `kb_all_size` and `kb_all_size_bias`; `name` is for KL."""
    found: Numbers = {}
    for way, key in SHORT.items():
        for short, hold_out in HELD.items():
            found[f"kb_{name}{key}_{short}"] = scores.loc[way, (hold_out, "error")]
            found[f"kb_{name}{key}_{short}_bias"] = scores.loc[way, (hold_out, "bias")]
    size, late = (scores.xs(HELD[key], axis=1, level=0) for key in ("size", "late"))
    claim(size.loc[ALL, "error"] > size.loc[[POWER, BENT], "error"].max(), "laws go further up in size than the forest")
    claim(size.loc[[NDP, ALL], "bias"].min() > 1.2, "forests say too much of the largest size")
    claim(late.loc[[NDP, ALL], "bias"].max() < 1, "and too little of late tokens")
    claim(late.loc[OVER, "error"] < late.loc[BENT, "error"] < late.loc[ALL, "error"], "curvature carries the forest on")
    claim(size.loc[OVER, "error"] < size.loc[BENT, "error"], "in size as well")
    errors = scores.xs("error", axis=1, level=1)
    claim(bool((errors.loc[OVER] < 1.05 * errors.loc[[POWER, PER, BENT]].min()).all()), "with the best of the laws")
    return found


def scores_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the factors for people: error, and in brackets bias."""
    return pd.DataFrame(
        {
            hold_out: [
                f"{error:.2f} ({bias:.2f})"
                for error, bias in scores[[(hold_out, "error"), (hold_out, "bias")]].to_numpy(float)
            ]
            for hold_out in HELD.values()
        },
        index=scores.index,
    )


# ---- one run out, one shape out --------------------------------------------------------------------------------------


def shuffled(read: Tables, seed: int) -> pd.DataFrame:
    """Return `shuffled_in_turn` of the forest on all, a column a group of features in the page's words."""
    groups = {", ".join(FEATURES[name] for name in group): group for group in read.groups}
    return ways.shuffled_in_turn(read.rows, ways.LEARNERS[ALL], groups, np.random.default_rng(seed))


def run_out(read: Tables, shuffles: pd.DataFrame, seed: int) -> dict[str, pd.Series]:
    """Return each predictor's mean squares by run held out; those of the forest on all are in `shuffles`."""
    found = {}
    for name, learner in ways.LEARNERS.items():
        if name == ALL:
            found[name] = shuffles[ways.AS_IT_IS]
            continue
        errors = ways.errors_in_turn(read.rows, read.rows["cluster"], learner, np.random.default_rng(seed))
        found[name] = ways.by_run(read.rows, errors)["log_mean_square"]
    return found


def of_run_out(squares: dict[str, pd.Series]) -> Numbers:
    """Return factors of error with their intervals, and how predictors stand beside each other, over runs held out."""
    found: Numbers = {}
    for way, key in SHORT.items():
        found |= with_ends(f"kb_{key}_run", ways.miss(squares[way]))
    pairs = {"gain": (ALL, NDP), "blind_gain": (BLIND, NDP), "over_bent": (OVER, BENT), "over_per": (OVER, PER)}
    pairs |= {"all_blind": (ALL, BLIND), "all_per": (ALL, PER), "ndp_per": (NDP, PER)}
    ratios = {key: ways.beside(squares[ours], squares[others]) for key, (ours, others) in pairs.items()}
    for key, ratio in ratios.items():
        found |= with_ends(f"kb_{key}", ratio)
    claim(ratios["gain"]["high"] < 1, "what is known before rounding says more than N, D and P")
    claim(max(ratios["over_bent"]["high"], ratios["over_per"]["high"]) < 1, "the forest over curvature beats both laws")
    return found


def shape_out(read: Tables, seed: int) -> dict[str, dict[str, float]]:
    """Return `miss` of some predictors over shapes, where every run of a shape is held out at once."""
    found = {}
    for way in OF_SHAPES:
        errors = ways.errors_in_turn(read.rows, read.rows["model"], ways.LEARNERS[way], np.random.default_rng(seed))
        found[way] = ways.miss(pd.Series(errors**2).groupby(read.rows["model"].to_numpy()).mean())
    return found


def of_shape_out(shapes: dict[str, dict[str, float]]) -> Numbers:
    """Return the factors of error of `shape_out` with their intervals."""
    found: Numbers = {}
    for way, of_way in shapes.items():
        found |= with_ends(f"kb_{SHORT[way]}_shape", of_way)
    return found


def turns_table(squares: dict[str, pd.Series], shapes: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Return the factors of error of both for people."""
    runs = {way: in_words(ways.miss(squares[way])) for way in ways.LEARNERS}
    of_shapes = {way: in_words(shapes[way]) if way in shapes else "not tried" for way in ways.LEARNERS}
    return pd.DataFrame({"one run out": runs, "one shape out": of_shapes})


def of_intervals(read: Tables, seed: int) -> Numbers:
    """Return the share of rows inside the forest's intervals: over runs held out, and on two hold-outs of the laws."""
    learner = ways.LEARNERS[ALL]
    inside = ways.covered_in_turn(read.rows, learner, np.random.default_rng(seed))
    share = mean_over_runs(inside.groupby("cluster")["covered"].mean().to_numpy())
    found = with_ends("kb_cover", {"value": share["mean"], "low": share["low"], "high": share["high"]})
    found["kb_reach"] = float(np.exp(inside["reach"].median()))
    for key in ("size", "late"):
        split, generator = read.held[HELD[key]], np.random.default_rng(seed)
        training = split.training.reset_index(drop=True)
        width = ways.reach(ways.errors_in_turn(training, training["cluster"], learner, generator), training["cluster"])
        errors = ways.errors_of(split.training, split.held, learner, QID, generator)
        found[f"kb_cover_{key}"] = float(np.mean(np.abs(errors) <= width))
        found[f"kb_reach_{key}"] = float(np.exp(width))
    return dict(found)


def of_features(shuffles: pd.DataFrame) -> tuple[pd.DataFrame, Numbers]:
    """Return what shuffling costs, rms over rms with all in place (`value`, `low`, `high`), dearest first; numbers."""
    plain = shuffles[ways.AS_IT_IS]
    costs = {name: ways.beside(shuffles[name], plain) for name in shuffles.columns.drop(ways.AS_IT_IS)}
    table = pd.DataFrame.from_dict(costs, orient="index").sort_values("value", ascending=False)
    found: Numbers = {f"kb_group_{place}": name for place, name in enumerate(table.index[:2], 1)}
    for place in (1, 2):
        found |= with_ends(f"kb_cost_{place}", table.iloc[place - 1])
    found |= with_ends("kb_cost_last", table.iloc[-1]) | {"kb_group_last": str(table.index[-1])}
    claim(table.iloc[0]["low"] > table.iloc[1]["high"], "one group is worth more than every other")
    return table, found


def features_table(costs: pd.DataFrame) -> pd.DataFrame:
    """Return what shuffling costs for people."""
    return pd.DataFrame(
        {"misses grow by the factor": [in_words(row) for _, row in costs.iterrows()]}, index=costs.index
    )


def of_noise(read: Tables) -> Numbers:
    """Return how far GPTQ's KL is missed from that of noise, and from curvature: a constant a width, one run out."""
    found: Numbers = {"kb_noise_runs": read.noise["cluster"].nunique(), "kb_noise_rows": len(read.noise)}
    for key, guess in (("noise", "log_noise"), ("noise_bent", CURVATURE)):
        learner = ways.Learner(BITS, ways.least_squares, over=guess)
        errors = ways.errors_in_turn(read.noise, read.noise["cluster"], learner, np.random.default_rng(0), outcome=KL)
        found[f"kb_{key}"] = float(np.exp(np.sqrt(np.mean(errors**2))))
    return found


# ---- the largest size ------------------------------------------------------------------------------------------------


def at_largest(read: Tables, seed: int) -> pd.DataFrame:
    """Return QiD of the largest size at the figure's width: `way` (or measured), tokens, QiD in nats per token."""
    split = read.held[HELD["size"]]
    rows = split.held[split.held["bits"] == AT_BITS].sort_values(TOKENS_SEEN)
    said = {"measured": rows["qid_nats"].to_numpy()}
    for way in (NDP, ALL, BENT, OVER):
        predict = ways.LEARNERS[way].fit(split.training, QID, np.random.default_rng(seed))
        said[way] = np.exp(predict(rows))
    parts = [
        pd.DataFrame({"way": way, "tokens": rows[TOKENS_SEEN], "qid_nats": values}) for way, values in said.items()
    ]
    return pd.concat(parts, ignore_index=True)


def next_size(read: Tables) -> pd.DataFrame:
    """Return the rows of the largest size but one at the figure's width: the end of what was learnt."""
    training = read.held[HELD["size"]].training
    last = training[N_PARAMS] == training[N_PARAMS].max()
    return training[last & (training["bits"] == AT_BITS)].sort_values(TOKENS_SEEN)
