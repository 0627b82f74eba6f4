"""What the chapter on checkpoints states, section by section, and of its appendix what decay does to the 16-bit loss.

Loss is in nats per token, intervals are 95%, over documents; tokens and sizes are labels. A ValueError says
which sentence of the page doesn't hold.
"""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.design import Design
from helpers.analyse.rows.study import DEPTH, MIXED, NINTH, SEEDS, TRUNK
from helpers.show.claims import claim
from helpers.show.intervals import Numbers
from helpers.show.style import count_label
from helpers.table.paired_error import paired_error

MOST_PASSES = 4  # through the text, of the checkpoints that are fitted
SMALL = "pythia-70m"
SAME_SIZE = 0.06  # models of other depths that differ by less than this share of N stand beside one another


# ---- parameters, plans and text --------------------------------------------------------------------------------------


def parameters(every: pd.DataFrame, ours: pd.DataFrame) -> Numbers:
    """Return what counting with or without embeddings does: `every` model by name, `ours` the trunk's by size."""
    first, last = ours.iloc[0], ours.iloc[-1]
    in_n, in_all = (last[name] / first[name] for name in (N_PARAMS, "n_params_total"))
    small = every.loc[f"{SMALL}-deduped"]
    return {
        "pythia_small": SMALL,
        "pythia_small_share": small[N_PARAMS] / small["n_params_total"],
        "pythia_small_n": count_label(small[N_PARAMS]),
        "n_factor": in_n,
        "total_factor": in_all,
        "exponent_factor": float(np.log(in_n) / np.log(in_all)),
    }


def held_fixed(trained: pd.DataFrame, trunk: pd.DataFrame) -> Numbers:
    """Return what every run and the trunk hold fixed, and what moves along the trunk."""
    others, constant = trained[trained["family"] != "tadpole-decay"], trunk[trunk["lr_phase"] == "stable"]
    same_seed = others[~others["family"].isin([SEEDS, NINTH])]
    claim(trained[["vocabulary_size", "unique_tokens"]].nunique().max() == 1, "one tokenizer, one text")
    claim((trained[TOKENS_SEEN] // trained["step"]).nunique() == 1, "batches are as large in every run")
    claim(others["weight_decay"].nunique() == 1, "only one family moves the weight decay")
    claim(same_seed["train_seed"].nunique() == 1, "only families of seeds move the seed")
    claim(constant["learning_rate"].nunique() == 1, "the trunk's learning rate is constant")
    by_step = trunk.groupby("step")[[TOKENS_SEEN, "learning_rate"]].nunique()
    claim(by_step.max(axis=None) == 1, "no size of the trunk differs in tokens or rate at a step")
    claim(trunk.groupby("model")["step"].nunique().nunique() == 1, "one number of checkpoints a size")
    return {
        "n_tadpoles": trunk["model"].nunique(),
        "tokens_per_step": trunk[TOKENS_SEEN].iloc[0] // trunk["step"].iloc[0],
        "n_steps": trunk["step"].nunique(),
        "n_stable": constant["step"].nunique(),
        "tadpole_rate": constant["learning_rate"].iloc[0],
        "first_tokens": count_label(trunk[TOKENS_SEEN].min()),
        "largest_tokens": count_label(trunk[TOKENS_SEEN].max()),
        "weight_decay": trunk["weight_decay"].iloc[0],
        "vocabulary": trunk["vocabulary_size"].iloc[0],
    }


def of_mixed(trained: pd.DataFrame) -> Numbers:
    """Return how many runs are of the family whose matrices are rounded in part, and how many are cooldowns."""
    rows = trained[trained["family"] == MIXED]
    cooldowns = rows.loc[rows["schedule"] == "cooldown", "run"].nunique()
    return {"mixed_runs": rows["run"].nunique(), "mixed_cooldowns": cooldowns}


def text_read(trained: pd.DataFrame, trunk: pd.DataFrame) -> Numbers:
    """Return how often the text was read, and how many checkpoints have read some of it twice."""
    beyond = trained[trained["epochs"] > 1]
    claim(trained["epochs"].max() <= MOST_PASSES, "fits use every checkpoint")
    passes = (trained["unique_tokens"] * trained["epochs"]).round()
    claim(passes.equals(trained[TOKENS_SEEN].astype(float)), "epochs are passes through the text")
    return {
        "unique_tokens": count_label(trunk["unique_tokens"].iloc[0]),
        "epochs": trained["epochs"].max(),
        "n_trained": len(trained),
        "n_beyond": len(beyond),
        "most_passes": MOST_PASSES,
    }


# ---- losses ----------------------------------------------------------------------------------------------------------


def half_interval(documents: np.ndarray) -> float:
    """Return half of the 95% interval of a mean over documents."""
    return float(stats.t(len(documents) - 1).ppf(0.975) * paired_error(documents))


def always_falling(losses: pd.DataFrame) -> bool:
    """Return whether the loss of every size falls from each checkpoint to the next; one row a size and checkpoint."""
    table = losses.pivot(index=TOKENS_SEEN, columns=N_PARAMS, values="loss_nats")
    return bool((np.diff(table, axis=0) < 0).all())


def curves(baselines: pd.DataFrame) -> Numbers:
    """Return where the trunk's losses end, with intervals, and what the last step still gains. 16-bit measurements."""
    table = baselines.pivot(index=TOKENS_SEEN, columns=N_PARAMS, values="loss_nats")
    claim(always_falling(baselines), "loss falls from each checkpoint to the next")
    claim(bool((np.diff(table, axis=1) < 0).all()), "and with size")
    ends = baselines[baselines[TOKENS_SEEN] == baselines[TOKENS_SEEN].max()].sort_values(N_PARAMS)
    smallest, largest = ends.iloc[0], ends.iloc[-1]
    documents = np.array(largest["group_loss"], float)
    gaps, gain = np.array(smallest["group_loss"], float) - documents, table.iloc[-2] - table.iloc[-1]
    return {
        "n_baselines": len(baselines),
        "n_documents": len(documents),
        "eval_tokens": largest["n_tokens"],
        "loss_largest": largest["loss_nats"],
        "loss_low": largest["loss_nats"] - half_interval(documents),
        "loss_high": largest["loss_nats"] + half_interval(documents),
        "gap": gaps.mean(),
        "gap_low": gaps.mean() - half_interval(gaps),
        "gap_high": gaps.mean() + half_interval(gaps),
        "bits_per_byte": largest["bits_per_byte"],
        "bytes_per_token": largest["n_bytes"] / largest["n_tokens"],
        "still_lowest": gain.min(),
        "still_highest": gain.max(),
        "before_last": count_label(table.index[-2]),
    }


def beside_trunk(losses: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Return 16-bit rows at a decayed rate with `gain`, the trunk's loss less theirs, and `half` of its interval."""
    kept = baselines[["model", "step", "group_loss"]]
    decayed = losses[losses["learning_rate"] < losses["peak_learning_rate"]]
    pairs = decayed.merge(kept, on=["model", "step"], suffixes=("", "_trunk"))
    both = zip(pairs["group_loss_trunk"], pairs["group_loss"], strict=True)
    below = [np.subtract(trunk, own, dtype=float) for trunk, own in both]
    found = pairs.assign(gain=[one.mean() for one in below], half=[half_interval(one) for one in below])
    return found.sort_values([N_PARAMS, "step"])


def decay(pairs: pd.DataFrame) -> Numbers:
    """Return how many cooldowns and cosines end below the trunk, and by how much: rows of `beside_trunk`."""
    cooled = pairs[pairs["learning_rate"] == 0]
    lower, higher = cooled[cooled["gain"] > cooled["half"]], cooled[cooled["gain"] < -cooled["half"]]
    cosines = pairs[(pairs["schedule"] == "cosine") & (pairs[TOKENS_SEEN] == pairs["tokens_planned"])]
    best, shortest = cooled.iloc[-1], cosines.loc[cosines["gain"].idxmin()]
    claim(len(lower) > 0.8 * len(cooled), "decay nearly always lowers the loss")
    claim(len(lower) + len(higher) == len(cooled), "all differences are clear")
    at_first = higher["branched_at_step"] == cooled["branched_at_step"].min()
    claim(bool(at_first.all()), "decay doesn't help at the earliest branch alone")
    rising = [rows["gain"].is_monotonic_increasing for _, rows in cosines.groupby("model")]
    claim(all(rising), "longer cosines gain more")
    claim(shortest["gain"] < -shortest["half"], "a short cosine ends above the trunk")
    return {
        "n_cooled": len(cooled),
        "n_lower": len(lower),
        "gain_lowest": lower["gain"].min(),
        "gain_highest": lower["gain"].max(),
        "n_higher": len(higher),
        "higher_end": count_label(cooled[TOKENS_SEEN].min()),
        "cooled_size": count_label(best[N_PARAMS]),
        "cooled_tokens": count_label(best[TOKENS_SEEN]),
        "cooled_gain": best["gain"],
        "cooled_low": best["gain"] - best["half"],
        "cooled_high": best["gain"] + best["half"],
        "n_cosines": len(cosines),
        "n_cosines_lower": int((cosines["gain"] > cosines["half"]).sum()),
        "cosine_size": count_label(shortest[N_PARAMS]),
        "cosine_tokens": count_label(shortest[TOKENS_SEEN]),
        "cosine_loss": -shortest["gain"],
        "cosine_low": -shortest["gain"] - shortest["half"],
        "cosine_high": -shortest["gain"] + shortest["half"],
    }


def public_accuracy(accuracy: pd.DataFrame) -> Numbers:
    """Return how the accuracies of public models end, and how many of the smallest lose some of theirs again.

    `accuracy` has a row a model and checkpoint: model, size, tokens, `value` and `stderr` (shares of last words).
    """
    by_run = accuracy.sort_values(TOKENS_SEEN).groupby("model")["value"]
    final = accuracy[accuracy[TOKENS_SEEN] == accuracy[TOKENS_SEEN].max()].sort_values(N_PARAMS)
    best = accuracy.loc[by_run.idxmax()].sort_values(N_PARAMS)
    lost = best["value"].to_numpy() - final["value"].to_numpy()
    fell = lost > 5 * np.hypot(best["stderr"].to_numpy(), final["stderr"].to_numpy())
    claim(bool((by_run.max() > 10 * accuracy["stderr"].max()).all()), "every model learns")
    claim(final["value"].is_monotonic_increasing, "larger models end higher")
    claim(bool(fell.any() and fell[: fell.sum()].all()), "those that fell are the smallest")
    return {
        "pythia_models": len(final),
        "accuracy_smallest": final["value"].iloc[0],
        "accuracy_smallest_se": final["stderr"].iloc[0],
        "accuracy_largest": final["value"].iloc[-1],
        "accuracy_largest_se": final["stderr"].iloc[-1],
        "n_fell": int(fell.sum()),
        "best_smallest": best["value"].iloc[0],
        "best_smallest_tokens": count_label(best[TOKENS_SEEN].iloc[0]),
        "tokens_public": count_label(accuracy[TOKENS_SEEN].max()),
    }


# ---- what moves with what --------------------------------------------------------------------------------------------


def public_rates(runs: pd.DataFrame) -> Numbers:
    """Return how the peak learning rate of public runs falls with size; rows of checkpoints beyond the first step."""
    peaks = runs.drop_duplicates("model").sort_values(N_PARAMS)
    fitted = peaks[peaks["model"] != f"{SMALL}-deduped"]  # the fit of Ouyang et al. begins at 160M
    decaying = runs[runs["lr_phase"] == "decay"].groupby("model")["learning_rate"]
    claim(peaks["peak_learning_rate"].is_monotonic_decreasing, "the peak falls with size")
    claim(bool(decaying.apply(lambda rates: rates.is_monotonic_decreasing).all()), "the rate falls along a run")
    return {
        "peak_highest": peaks["peak_learning_rate"].max(),
        "peak_lowest": peaks["peak_learning_rate"].min(),
        "peak_factor": fitted["peak_learning_rate"].max() / fitted["peak_learning_rate"].min(),
        "peak_sizes": fitted[N_PARAMS].max() / fitted[N_PARAMS].min(),
    }


def design(public: Design, alone: Design, whole: Design, trained: pd.DataFrame, peak: float) -> Numbers:
    """Return how nearly independent size, tokens, peak rate and phase vary: publicly, in the trunk, in the study."""
    other, decaying = trained[trained["peak_learning_rate"] != peak], trained[trained["lr_phase"] == "decay"]
    claim(alone.held_fixed == ("ln peak learning rate", "phase"), "the trunk holds the rate fixed")
    claim(alone.rank == 2 and whole.rank == len(whole.variables), "the study tells all four apart, the trunk two")
    claim(public.condition_number > 5 * whole.condition_number, "in the public runs all four move together")
    return {
        "condition_pythia": public.condition_number,
        "condition_study": whole.condition_number,
        "rank_trunk": alone.rank,
        "n_after_warmup": whole.n_checkpoints,
        "n_other_peak": int((other["lr_phase"] != "warmup").sum()),
        "other_peak_models": other["model"].nunique(),
        "other_peak_tokens": count_label(other[TOKENS_SEEN].max()),
        "n_decaying": len(decaying),
    }


def seeds_and_depths(losses: pd.DataFrame, sizes: list[float]) -> Numbers:
    """Return how far losses lie apart at the seeds' last step: between seeds, and between depths near two `sizes`."""
    last = losses.loc[losses["family"] == SEEDS, "step"].max()
    rows = losses[(losses["step"] == last) & (losses["schedule"] == "constant")]
    rows = rows[rows["family"].isin([TRUNK, SEEDS, DEPTH])]
    seeded = rows.groupby("model").filter(lambda one: one["train_seed"].nunique() > 1)
    first_seed = rows[rows["train_seed"] == 0]
    depths = [first_seed[abs(first_seed[N_PARAMS] / size - 1) < SAME_SIZE] for size in sizes]
    claim(rows[["peak_learning_rate", "weight_decay"]].nunique().max() == 1, "nothing else moves")
    claim({len(one) for one in depths} == {3}, "a shallow and a deep model stand beside one of the trunk")
    return {
        "seeded_models": " and ".join(sorted(seeded["model"].unique())),
        "n_seeds": seeded.groupby("model")["train_seed"].nunique().min(),
        "seeds_tokens": count_label(seeded[TOKENS_SEEN].max()),
        "seeds_spread": seeded.groupby("model")["loss_nats"].agg(np.ptp).max(),
        "n_depth_sizes": len(depths),
        "depth_tokens": count_label(first_seed[TOKENS_SEEN].max()),
        "depth_spread": max(float(np.ptp(one["loss_nats"])) for one in depths),
    }
