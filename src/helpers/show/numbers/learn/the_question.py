"""What the first chapter states, section by section: one measurement, its paired error, two effects, a dispute.

QiD is in nats per token; intervals are 95%, over documents; tokens and sizes are labels such as 954M. A ValueError
says which sentence of the page doesn't hold.
"""

import math

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import LATE_TOKENS
from helpers.show.claims import claim
from helpers.show.intervals import Numbers
from helpers.show.style import count_label
from helpers.table.paired_error import paired_error

DRAWS = 4000  # of documents, for a ratio's interval
FUTURE = {"tokens": 1e14, "n_params": 7e9}
KUMAR: Numbers = {"kumar_tokens": 0.5068, "kumar_size": 0.3439}  # Kumar et al., table 2: exponents of D and of N
EXERCISE_QID, EXERCISE_BYTES = 0.05, 4.0


# ---- one measurement -------------------------------------------------------------------------------------------------


def one_measurement(row: pd.Series) -> Numbers:
    """Return what one row of `degradation` says: QiD, perplexity's factor, bits per byte, and the protocol."""
    n_bytes = row["n_bytes"] / row["n_tokens"]
    return {
        "n_parameters": count_label(row[N_PARAMS]),
        "one_tokens": count_label(row[TOKENS_SEEN]),
        "loss_16": row["baseline_loss_nats"],
        "loss_3": row["loss_nats"],
        "one_qid": row["qid_nats"],
        "one_factor": math.exp(row["qid_nats"]),
        "one_bits_per_byte": row["qid_nats"] / (n_bytes * math.log(2)),
        "n_blocks": row["n_sequences"] // row["n_documents"],
        "block": row["seq_len"],
        "n_calibration": int(row["calib_sequences"]),
    }


def same_documents_twice(rounded: FloatArray, difference: FloatArray) -> Numbers:
    """Return the paired error and that of two separate means; losses of documents, and what rounding adds to them."""
    original = rounded - difference
    paired, unpaired = paired_error(difference), math.hypot(paired_error(rounded), paired_error(original))
    quantile = stats.t(len(difference) - 1).ppf(0.975)
    claim(unpaired > 5 * paired, "pairing makes the error much smaller")
    return {
        "n_documents": len(difference),
        "paired_se": paired,
        "unpaired_se": unpaired,
        "gain": unpaired / paired,
        "gain_squared": (unpaired / paired) ** 2,
        "documents_needed": len(difference) * (unpaired / paired) ** 2,
        "qid_low": difference.mean() - quantile * paired,
        "qid_high": difference.mean() + quantile * paired,
        "unpaired_half": quantile * unpaired,
        "loss_lowest": original.min(),
        "loss_highest": original.max(),
        "difference_lowest": difference.min(),
        "difference_highest": difference.max(),
    }


# ---- two effects -----------------------------------------------------------------------------------------------------


def ratio(name: str, above: FloatArray, below: FloatArray, draws: np.ndarray) -> Numbers:
    """Return the ratio of two QiDs by document, with a 95% interval; `draws` are documents, drawn again and again."""
    low, high = np.quantile(above[draws].mean(1) / below[draws].mean(1), [0.025, 0.975])
    return {name: above.mean() / below.mean(), f"{name}_low": float(low), f"{name}_high": float(high)}


def documents_drawn(n_documents: int, seed: int) -> np.ndarray:
    """Return `DRAWS` draws of as many documents as there are, with replacement."""
    return np.random.default_rng(seed).integers(n_documents, size=(DRAWS, n_documents))


def two_effects(gptq: pd.DataFrame, draws: np.ndarray) -> Numbers:
    """Return by how much QiD rises with tokens and falls with size and bits, at the ends of the trunk."""
    at = gptq.set_index([N_PARAMS, TOKENS_SEEN, "bits"])["document_qid_nats"]
    small, large, last = gptq[N_PARAMS].min(), gptq[N_PARAMS].max(), gptq[TOKENS_SEEN].max()
    first = gptq.loc[gptq[TOKENS_SEEN] > LATE_TOKENS, TOKENS_SEEN].min()
    found = ratio("rise_small", at[small, last, 3], at[small, first, 3], draws)
    found |= ratio("rise_large", at[large, last, 3], at[large, first, 3], draws)
    found |= ratio("fall_size", at[small, last, 3], at[large, last, 3], draws)
    return found | ratio("fall_bits", at[large, last, 2], at[large, last, 3], draws)


def trunk(gptq: pd.DataFrame) -> Numbers:
    """Return what the trunk spans, and how often QiD rises along it."""
    late = gptq[gptq[TOKENS_SEEN] > LATE_TOKENS].sort_values(TOKENS_SEEN)
    series = late.groupby(["model", "bits"])["qid_nats"]
    changes, whole_way = series.diff().dropna(), series.agg(["first", "last"])
    ends = [gptq[gptq[TOKENS_SEEN] == tokens] for tokens in (gptq[TOKENS_SEEN].max(), gptq[TOKENS_SEEN].min())]
    at_end, at_start = (one.pivot(index=N_PARAMS, columns="bits", values="qid_nats") for one in ends)
    claim(bool((whole_way["last"] > whole_way["first"]).all()), "QiD rises with tokens")
    claim(bool((np.diff(at_end, axis=0) < 0).all()), "QiD falls with size")
    claim(bool((np.diff(at_end, axis=1) < 0).all()), "QiD falls with bits")
    claim(bool((at_start.iloc[0] < at_start.iloc[-1]).all()), "sizes stand the other way round at first")
    claim((changes > 0).mean() > 0.9, "QiD rises nearly every time")
    claim(late["learning_rate"].nunique() == 1, "the learning rate is constant")
    tokens, sizes = late[TOKENS_SEEN], gptq[N_PARAMS]
    return {
        "n_checkpoints": gptq.groupby("model")["step"].nunique().min(),
        "n_sizes": sizes.nunique(),
        "size_factor": sizes.max() / sizes.min(),
        "smallest": count_label(sizes.min()),
        "largest": count_label(sizes.max()),
        "late_tokens": count_label(tokens.min()),
        "last_tokens": count_label(tokens.max()),
        "tokens_factor": tokens.max() / tokens.min(),
        "n_lines": len(whole_way),
        "unique_tokens": count_label(late["unique_tokens"].iloc[0]),
        "epochs": late["epochs"].max(),
        "learning_rate": late["learning_rate"].iloc[0],
    }


# ---- what others say, and the dispute --------------------------------------------------------------------------------


def published() -> Numbers:
    """Return the published exponents, and what their law says far beyond the tokens that it was fitted to."""
    qid, fitted_to = float(OUYANG_2024.predict(**FUTURE, bits=4)), OUYANG_2024.validity.tokens[1]
    return KUMAR | {
        "ouyang_beta": OUYANG_2024.beta,
        "ouyang_alpha": OUYANG_2024.alpha,
        "ouyang_gamma": OUYANG_2024.gamma,
        "ouyang_checkpoints": 1500,  # more than; abstract of the paper
        "doubling": 2**OUYANG_2024.beta,
        "future_size": count_label(FUTURE["n_params"]),
        "future_tokens": count_label(FUTURE["tokens"]),
        "future_qid": qid,
        "future_factor": math.exp(qid),
        "future_table": float(OUYANG_2024_TABLE_1[4].predict(**FUTURE, bits=4)),
        "beyond": FUTURE["tokens"] / fitted_to,
    }


def branches(ends: pd.DataFrame, gptq: pd.DataFrame, draws: np.ndarray) -> Numbers:
    """Return how ends of branches whose rate fell to zero stand beside the trunk, and whether later ones lose more."""
    keys = ["model", "step", "bits"]
    beside = ends.merge(gptq[[*keys, "qid_nats"]], on=keys, suffixes=("", "_constant"), validate="1:1")
    by_branch = beside.pivot(index=["model", "bits"], columns="step", values="qid_nats")
    at_3 = beside[beside["bits"] == 3].sort_values([N_PARAMS, "step"])
    last = at_3.iloc[-1]
    first = at_3[at_3["model"] == last["model"]].iloc[0]
    claim(len(beside) == len(ends), "each branch has the trunk at the same tokens beside it")
    claim(bool((by_branch.iloc[:, -1] > by_branch.iloc[:, 0]).all()), "a later branch ends at a higher QiD")
    claim(bool(by_branch.notna().all(axis=None)), "every size has every branch")
    return ratio("rise_decayed", last["document_qid_nats"], first["document_qid_nats"], draws) | {
        "n_branch_points": by_branch.shape[1],
        "n_branches": at_3["run_label"].nunique(),
        "branched_largest": count_label(last[N_PARAMS]),
        "n_pairs_added": int((beside["qid_nats"] > beside["qid_nats_constant"]).sum()),
        "n_pairs": len(beside),
        "first_end": count_label(first[TOKENS_SEEN]),
        "last_end": count_label(last[TOKENS_SEEN]),
    }


def exercises(every_width: pd.DataFrame) -> Numbers:
    """Return answers: a QiD in other units, and the lowest QiD of the trunk with how many are negative."""
    lowest, below = every_width.loc[every_width["qid_nats"].idxmin()], every_width[every_width["qid_nats"] < 0]
    better = int((lowest["document_qid_nats"] < 0).sum())
    claim(better > 0 and lowest["qid_nats"] < 0, "QiD can be negative for one document and for all")
    return {
        "ex_qid": EXERCISE_QID,
        "ex_bytes": EXERCISE_BYTES,
        "ex_factor": math.exp(EXERCISE_QID),
        "ex_percent": math.exp(EXERCISE_QID) - 1,
        "ex_bits_per_byte": EXERCISE_QID / (EXERCISE_BYTES * math.log(2)),
        "ex_better": better,
        "ex_lowest": lowest["qid_nats"],
        "ex_lowest_se": lowest["qid_se_nats"],
        "ex_n_below": len(below),
        "ex_n_all": len(every_width),
        "ex_fewest_bits": int(below["bits"].min()),
    }
