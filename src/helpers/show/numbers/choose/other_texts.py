"""What the chapter on methods and texts states about other texts: code of unseen packages, and prose.

Rows have the columns of `degradation` and `way`, the method of rounding without its bits. Ratios have no unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.questions import ways
from helpers.analyse.questions.quadratic_rule import on_another_text
from helpers.analyse.questions.slopes_of_ratios import log_mean_and_slopes, texts_compared
from helpers.analyse.questions.trends import slope
from helpers.analyse.questions.twins import qid_ratio
from helpers.analyse.rows import resampling
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.outcomes import KL, QID, Outcome
from helpers.analyse.rows.study import (
    FITTED_BITS,
    HELDOUT,
    LATE_TOKENS,
    PROSE,
    UNSEEN,
    late,
    rows_of_every_run,
    study_rows,
)
from helpers.show.claims import claim
from helpers.show.intervals import with_ends
from helpers.show.style import count_label
from helpers.table.corpus import packages

GPTQ, RTN = "GPTQ", "RTN"
CPU_DOCUMENTS = 128
SPLITS = {HELDOUT: "evaluation", UNSEEN: "unseen", PROSE: "prose"}  # text: its files in the lock
NAMES = {"unseen": UNSEEN, "prose": PROSE}

Pair = tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class Texts:
    """Rows of GPTQ and RTN in groups of 32 on held-out code and on another text, and ratios of the late ones.

    `draws`: how often each document is in each draw of packages, (documents, draws). `losses`: of 16-bit models.
    """

    trunk: Pair
    every_run: Pair
    prose: Pair
    losses: dict[str, pd.DataFrame]
    draws: dict[str, FloatArray]
    compared: dict[str, pd.DataFrame]
    kl_compared: dict[str, pd.DataFrame]
    of_every_run: pd.DataFrame
    kl_every: pd.DataFrame


def _late(pair: Pair) -> Pair:
    return late(pair[0]), late(pair[1])


def draws_of(seed: int) -> dict[str, FloatArray]:
    """Return how often each document is in each draw: the CPU's (`documents`), and by packages those of each text."""
    generator = np.random.default_rng(seed)
    drawn = {"documents": resampling.document_counts(CPU_DOCUMENTS, generator)}
    for text, split in SPLITS.items():
        names = packages(split)
        drawn[text] = resampling.document_counts(len(names), generator, names)
    return drawn


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Return QiD of GPTQ and RTN on asymmetric groups of 32 at 2, 3 and 4 bits."""
    found = degradation(rows).assign(way=ways.way_of_rounding)
    return found[found["way"].isin([GPTQ, RTN]) & (found["bits"] <= max(FITTED_BITS))]


def texts(measured: pd.DataFrame, draws: dict[str, FloatArray]) -> Texts:
    """Return the rows on held-out code beside those on other texts, and their ratios; `draws` of `draws_of`."""
    trunk, every_run = (
        (_plain(of(measured, HELDOUT)), _plain(of(measured, UNSEEN))) for of in (study_rows, rows_of_every_run)
    )
    prose = _plain(measured[measured["eval_dataset"] == PROSE])
    code = trunk[0][trunk[0]["checkpoint_id"].isin(prose["checkpoint_id"])]
    on_unseen, on_prose = (draws[HELDOUT], draws[UNSEEN]), (draws[HELDOUT], draws[PROSE])
    both = {N_PARAMS: "size", TOKENS_SEEN: "tokens"}
    of_outcomes = {
        outcome.name: {
            "unseen": texts_compared(*_late(trunk), on_unseen, both, outcome=outcome),
            "prose": texts_compared(*_late((code, prose)), on_prose, {TOKENS_SEEN: "tokens"}, "checkpoint_id", outcome),
        }
        for outcome in (QID, KL)
    }
    return Texts(
        trunk,
        every_run,
        (code, prose),
        _losses(measured),
        draws,
        of_outcomes[QID.name],
        of_outcomes[KL.name],
        ways.text_ratios(*_late(every_run), on_unseen, ["bits"]),
        texts_compared(*_late(every_run), on_unseen, {}, outcome=KL),
    )


def _losses(measured: pd.DataFrame) -> dict[str, pd.DataFrame]:
    base = late(measured[(measured["method"] == "none") & (measured["device_type"] == "cuda")])
    others = {"unseen": study_rows(base, UNSEEN), "prose": base[base["eval_dataset"] == PROSE]}
    groups = {name: (packages(SPLITS[HELDOUT]), packages(SPLITS[text])) for name, text in NAMES.items()}
    of_texts = {name: ways.text_losses(study_rows(base), other, groups[name]) for name, other in others.items()}
    return {name: table.sort_values(TOKENS_SEEN) for name, table in of_texts.items()}


def by_tokens(found: Texts) -> dict[str, pd.DataFrame]:
    """Return QiD on other texts over that on held-out code by bits and tokens, one table a panel of the figure.

    At 4 bits only late checkpoints: before, not every draw of packages has a QiD above zero.
    """

    def usable(pair: Pair, of_ways: Sequence[str]) -> Pair:
        known = [one[(one["bits"] < max(FITTED_BITS)) | (one[TOKENS_SEEN] > LATE_TOKENS)] for one in pair]
        first, second = (one[one["way"].isin(of_ways)] for one in known)
        return first, second

    counts = {text: (found.draws[HELDOUT], found.draws[text]) for text in NAMES.values()}
    over = ["bits", TOKENS_SEEN]
    shown = {"unseen, every size": ways.text_ratios(*usable(found.trunk, (GPTQ, RTN)), counts[UNSEEN], over)}
    for way in (GPTQ, RTN):
        shown[f"prose, one size, {way}"] = ways.text_ratios(*usable(found.prose, (way,)), counts[PROSE], over)
    return shown


# ---- the chapter -----------------------------------------------------------------------------------------------------


def texts_themselves(found: Texts) -> dict[str, object]:
    """Return each text's number of packages, its bytes per token, and how much harder it is in 16 bits (nats)."""
    shown: dict[str, object] = {"prose_model": found.prose[1]["model"].iloc[0]}
    for name, text, one in (
        ("held_out", HELDOUT, found.prose[0]),
        ("unseen", UNSEEN, found.trunk[1]),
        ("prose", PROSE, found.prose[1]),
    ):
        shown |= {f"packages_{name}": len(set(packages(SPLITS[text])))}
        shown |= {f"bytes_{name}": (one["n_bytes"] / one["n_tokens"]).iloc[0]}
    for name, losses in found.losses.items():
        more = losses["difference_nats"]
        shown |= {f"loss_{name}_least": more.min(), f"loss_{name}_most": more.max()}
        claim((more > 0).all(), f"{name} is harder than held-out code for every checkpoint")
    last = found.losses["prose"].iloc[-1]
    return shown | {"loss_factor": last["second_nats"] / last["first_nats"]}


def on_unseen_code(found: Texts) -> dict[str, object]:
    """Return what QiD and KL are on code of unseen packages, over that on held-out code, with intervals."""
    of_run, kl = found.of_every_run, found.kl_every
    claim(((of_run["low"] < 1) & (of_run["high"] > 1)).all(), "QiD on unseen code is the same over all runs")
    trunk = found.compared["unseen"]
    claim(((trunk["ratio_low"] < 1) & (trunk["ratio_high"] > 1)).all(), "and on the trunk")
    claim((kl["ratio_low"] > 1).all(), "KL is larger on unseen code")
    both = pd.concat(found.compared)
    claim((both[["size_low", "tokens_low"]].max() < 0).all(), "no slope of QiD is distinguishable from zero")
    claim((both[["size_high", "tokens_high"]].min() > 0).all(), "no slope of QiD is distinguishable from zero, below")
    shown: dict[str, object] = {"every_low": of_run["low"].min(), "every_high": of_run["high"].max()}
    shown |= {"every_runs": found.every_run[0]["run_label"].nunique()}
    for bits, row in kl.iterrows():
        shown |= {f"every_kl_{bits:g}{end}": row[f"ratio{end}"] for end in ("", "_low", "_high")}
    return shown | per_divergence(found.trunk)


def per_divergence(trunk: Pair) -> dict[str, float]:
    """Return by bits QiD over KL on the second text over that on the first, with 95% intervals over training runs."""
    key = ["checkpoint_id", "way", "bits"]
    first, second = (one.set_index(key).sort_index() for one in _late(trunk))
    shares = [one[QID.column] / one[KL.column] for one in (first, second)]
    shown: dict[str, float] = {}
    for bits, one in first.assign(ratio=shares[1] / shares[0]).groupby("bits"):
        mean = np.exp(log_mean_and_slopes(one, []).loc["mean"])
        shown |= with_ends(f"per_kl_{bits:g}", mean)
        claim(mean["high"] < 1, "on unseen code rounding loses less for a given divergence")
    return shown


def on_prose(found: Texts, panels: dict[str, pd.DataFrame]) -> dict[str, object]:
    """Return QiD, QiD per byte and KL on prose over those on held-out code, and QiD's ratio at the first checkpoint."""
    ratios, kl, factor = found.compared["prose"], found.kl_compared["prose"], texts_themselves(found)["loss_factor"]
    start = panels[f"prose, one size, {GPTQ}"].iloc[0]
    claim(start["high"] < 1, "on prose QiD begins below that on code")
    claim((ratios["ratio_low"] > 1).all(), "QiD is higher on prose")
    claim((ratios["ratio"] < factor).all(), "but not as a share of the loss")
    claim((kl["ratio"] > ratios["ratio"]).all(), "prose stands out more in KL")
    claim((kl["tokens_low"] < 0).all() and (kl["tokens_high"] > 0).all(), "its KL has no slope in tokens")
    shown: dict[str, object] = {
        "prose_first": start["ratio"],
        "first_tokens": count_label(found.prose[1][TOKENS_SEEN].min()),
    }
    shown |= {f"prose_3{end}": ratios.loc[3, f"ratio{end}"] for end in ("", "_low", "_high")}
    shown |= {"prose_kl_3": kl.loc[3, "ratio"]}
    return shown


# ---- what an appendix has from it -----------------------------------------------------------------------------------


def divergence_by_size(found: Texts) -> dict[str, object]:
    """Return KL on unseen code over that on held-out code by size: its slopes, and GPTQ's at 3 bits at both ends."""
    by_size = on_another_text(*(one[one["way"] == GPTQ] for one in _late(found.trunk))).xs(3, level="bits")
    per_kl = by_size["qid_over_kl_second"] / by_size["qid_over_kl_first"]
    kl, slopes = by_size["kl_ratio"], found.kl_compared["unseen"]
    claim((slopes["size_low"] > 0).all(), "KL is more in larger models")
    claim(per_kl.iloc[:-1].min() == per_kl.iloc[-2] < per_kl.iloc[-1] < 1, "QiD over KL is least in the next size")
    claim(kl.iloc[-1] > kl.iloc[0] > 1, "KL is more on unseen code, and most in the largest")
    return {
        "kl_size_least": slopes["size"].min(),
        "kl_size_most": slopes["size"].max(),
        "kl_unseen_small": kl.iloc[0],
        "kl_unseen_large": kl.iloc[-1],
        "per_kl_small": per_kl.iloc[0],
        "per_kl_next": per_kl.iloc[-2],
        "per_kl_large": per_kl.iloc[-1],
        "next_size": count_label(by_size.index[-2]),
        "qid_unseen_large": by_size["qid_ratio"].iloc[-1],
    }


def along_training(prose: Pair) -> dict[str, float]:
    """Return by text and bits the exponent of QiD of GPTQ as a power of tokens, late rows of one size."""
    shown: dict[str, float] = {}
    for name, one in zip(("code", "prose"), _late(prose), strict=True):
        for bits, rows in one[one["way"] == GPTQ].groupby("bits"):
            at = slope(rows[TOKENS_SEEN].to_numpy(float), rows[QID.column].to_numpy())
            shown[f"power_{name}_{bits:g}"] = at
    return shown


def leads(prose: Pair) -> dict[str, float]:
    """Return by bits RTN's outcome over GPTQ's on prose over that on code, with 95% intervals over checkpoints."""
    shown: dict[str, float] = {}
    for name, outcome in (("lead", QID), ("lead_kl", KL)):
        for bits, row in _lead(prose, outcome).items():
            shown |= with_ends(f"{name}_{bits:g}", row)
    highs = [shown[f"lead_{bits}_high"] for bits in FITTED_BITS]
    claim(max(highs[:2]) < 1 < highs[2], "GPTQ's lead is smaller on prose at 2 and 3 bits")
    return shown


def _lead(prose: Pair, outcome: Outcome) -> dict[float, pd.Series]:
    on_code, on_prose_ = (qid_ratio(one[one["way"] == RTN], one[one["way"] == GPTQ], outcome) for one in _late(prose))
    both = on_prose_.merge(
        on_code[["checkpoint_id", "bits", "ratio"]], on=["checkpoint_id", "bits"], suffixes=("", "_code")
    )
    both["ratio"] /= both["ratio_code"]
    return {
        bits: np.exp(log_mean_and_slopes(one, [], "checkpoint_id").loc["mean"]) for bits, one in both.groupby("bits")
    }


def orders(held_out: pd.DataFrame, unseen: pd.DataFrame, counts: tuple[FloatArray, FloatArray]) -> dict[str, object]:
    """Return how many pairs of methods change places between two texts of code, and ratios between the texts."""
    pairs = ways.orders(held_out, unseen, counts)
    swapped = pairs[pairs["swapped"]]
    ratios = ways.text_ratios(held_out, unseen, counts)
    holding = (ratios["low"] < 1) & (ratios["high"] > 1)
    claim((ratios.loc[~holding, "ratio"] > 1).all(), "ratios whose interval excludes 1 lie above it")
    claim(not (swapped["clear_first"] & swapped["clear_second"]).any(), "no pair changes places clearly")
    claim(len(swapped) < 0.1 * len(pairs), "few pairs change places")
    return {
        "n_text_ratios": len(ratios),
        "n_text_holding": int(holding.sum()),
        "text_lowest": ratios["ratio"].min(),
        "text_highest": ratios["ratio"].max(),
        "n_pairs": len(pairs),
        "n_swapped": len(swapped),
        "tau": 1 - 2 * len(swapped) / len(pairs),
        "farthest": np.expm1(np.log(swapped[["ratio_first", "ratio_second"]]).abs().to_numpy().max()),
        "n_both_clear": int((pairs["clear_first"] & pairs["clear_second"]).sum()),
        "n_swapped_kl": int(ways.orders(held_out, unseen, counts, outcome=KL)["swapped"].sum()),
    }


def numbers(found: Texts, panels: dict[str, pd.DataFrame]) -> dict[str, object]:
    """Return all of it but `orders`; `panels` of `by_tokens`."""
    shown = texts_themselves(found) | on_unseen_code(found) | on_prose(found, panels)
    return shown | divergence_by_size(found) | along_training(found.prose) | leads(found.prose)
