"""What the chapter on block size states: exponents, how they move, outliers, and the block that a budget allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.names import JOINT_FORMS
from helpers.analyse.mixed import block_size as blocks
from helpers.analyse.questions.slopes_of_ratios import mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.claims import claim
from helpers.show.figures.block_size import stage_name
from helpers.show.intervals import Numbers, in_words, plain, with_named_ends
from helpers.show.style import count_label

ENDS = ("value", "low", "high")
GPTQ, WHOLE = "GPTQ, 3 bits", "Qr = 1"
NAMES = {"Qr = 0.5": "half", "Qr = 0.9": "most", WHOLE: "all", GPTQ: "gptq"}
MXINT = [name for name in NAMES if name != GPTQ]
JOINT = "block-by-both"  # the joint law whose exponent of the block depends on N and D
MIDDLE = 1907  # updates: a quarter of the tokens, made by every size
BUDGET = 0.2  # relative increase of perplexity
PLACE = {
    "n_params": 1e7,
    "group_size": 32,
    "quantized_ratio": 1.0,
}  # where the allowed block's growth is asked

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True, eq=False)
class Blocks:
    """The rows of every block size with outliers of their checkpoints (MXINT-4), and GPTQ's of every group size."""

    table: pd.DataFrame
    groups: pd.DataFrame
    checkpoints: pd.DataFrame

    @classmethod
    def from_tables(cls, measured: pd.DataFrame, checkpoints: pd.DataFrame) -> "Blocks":
        """Return the chapter's rows from the tracked tables of measurements and of checkpoints."""
        table = blocks.with_outliers(blocks.rows_of_blocks(measured), checkpoints)
        return cls(table, blocks.rows_of_groups(measured), checkpoints)

    @property
    def trunk(self) -> pd.DataFrame:
        """Return the rows of MXINT-4 at the constant rate."""
        return self.table[self.table["lr_phase"] != "decay"]

    @cached_property
    def data(self) -> FitData:
        """Return what joint laws are fitted to: the trunk's rows in blocks."""
        return FitData.from_table(self.trunk[self.trunk["scale"] == "block"])

    @cached_property
    def joint(self) -> FitResult:
        """Return the joint law of size, tokens, ratio and block, with intervals by run."""
        return fit_by_run(JOINT_FORMS[JOINT], self.data)[0]

    @cached_property
    def parts(self) -> Tables:
        """Return the rows by panel: at each ratio, moved there by the joint law, and GPTQ's."""
        ratios = zip(MXINT, blocks.QUANTIZED_RATIOS, strict=True)
        parts = {name: blocks.at_quantized_ratio(self.trunk, ratio, self.joint.law) for name, ratio in ratios}
        return parts | {GPTQ: self.groups}

    @cached_property
    def relative(self) -> Tables:
        """Return the same with the relative increase of perplexity in the columns of QiD."""
        return {name: blocks.in_relative_perplexity(rows) for name, rows in self.parts.items()}

    @property
    def middle(self) -> Tables:
        """Return these at the middle moment."""
        return {name: rows[rows["step"] == MIDDLE] for name, rows in self.relative.items()}

    @cached_property
    def of_qid(self) -> Tables:
        """Return the exponents of QiD in block size, one row a checkpoint; one scale a row counts for GPTQ alone."""
        return {name: blocks.exponents(_in_blocks(name, rows)) for name, rows in self.parts.items()}

    @cached_property
    def of_perplexity(self) -> Tables:
        """Return those of the relative increase of perplexity below 100%."""
        return {name: blocks.exponents(below(_in_blocks(name, rows))) for name, rows in self.relative.items()}

    def marked(self) -> Tables:
        """Return the exponents of QiD that could be fitted, with outliers of the inputs."""
        return {name: blocks.with_outliers(fitted(rows), self.checkpoints) for name, rows in self.of_qid.items()}


def _in_blocks(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    return rows if name == GPTQ else rows[rows["scale"] == "block"]


def below(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose perplexity grows by less than 100%."""
    return rows[rows["qid_nats"] < blocks.TWICE]


def fitted(exponents: pd.DataFrame) -> pd.DataFrame:
    """Return the checkpoints whose exponent could be fitted."""
    return exponents[exponents["k"].notna()]


def curve_panels(data: Blocks) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Return for the figure of curves the rows of the middle moment, and the powers fitted to those below 100%."""
    return {name: (rows, blocks.exponents(below(rows))) for name, rows in data.middle.items()}


def stages(data: Blocks) -> Tables:
    """Return the exponents of QiD with `stage` for the figure; GPTQ's at the steps that the others have."""
    named = {name: rows.assign(stage=stage_name(rows)) for name, rows in data.of_qid.items()}
    return named | {GPTQ: named[GPTQ][named[GPTQ]["step"].isin(data.trunk["step"].unique())]}


def printed() -> dict[str, dict[str, float]]:
    """Return the exponents that Cao et al. print, by panel and model."""
    found: dict[str, dict[str, float]] = {}
    for (model, ratio), (_, k) in blocks.CAO_2024_POWERS.items():
        found.setdefault(f"Qr = {ratio:g}", {})[f"Cao et al., {model}"] = k
    return found


# ---- the rows and the curves -----------------------------------------------------------------------------------------


def counts(data: Blocks) -> Numbers:
    """Return how many rows, checkpoints and runs there are, and how far rows are moved to the ratio of their panel."""
    trunk, groups = data.trunk, data.groups
    moved = max(abs(data.parts[name]["moved"] - 1).max() for name in MXINT)
    return {
        "qb_rows": len(trunk),
        "qb_runs": trunk["run_label"].nunique(),
        "qb_checkpoints": trunk["checkpoint_id"].nunique(),
        "qb_smallest": count_label(data.parts[WHOLE][N_PARAMS].min()),
        "qb_largest": count_label(data.parts[WHOLE][N_PARAMS].max()),
        "qb_budget": BUDGET,
        "qb_middle": count_label(data.middle[WHOLE][TOKENS_SEEN].iloc[0]),
        "qb_gptq_rows": len(groups),
        "qb_gptq_runs": groups["run_label"].nunique(),
        "qb_moved": moved,
        "qb_ex_half": 0.5**0.5,
    }


def curves(middle: pd.DataFrame) -> Numbers:
    """Return the increase of perplexity in blocks of 16 and of 128, of the smallest and the largest model with them."""
    ordered = middle[middle["scale"] == "block"].sort_values(N_PARAMS)
    first, wide = (ordered[ordered["group_size"] == size] for size in (16, 128))
    claim(wide["qid_nats"].iloc[-1] > wide["qid_nats"].iloc[0], "in blocks of 128 all that size had gained is gone")
    return {
        "qb_first_small": first["qid_nats"].iloc[0],
        "qb_first_large": first["qid_nats"].iloc[-1],
        "qb_wide_size": count_label(wide[N_PARAMS].iloc[0]),
        "qb_wide_small": wide["qid_nats"].iloc[0],
        "qb_wide_large": wide["qid_nats"].iloc[-1],
    }


# ---- the exponent ----------------------------------------------------------------------------------------------------


def means_and_slopes(exponents: pd.DataFrame, along: Sequence[str] = ()) -> pd.DataFrame:
    """Return the mean exponent over checkpoints (`mean`) and its slopes in ln of columns, clustered by run."""
    return mean_and_slopes(fitted(exponents), "k", list(along))


def exponents(data: Blocks) -> Numbers:
    """Return mean exponents and their slopes in size and tokens, by panel; checks what is said of them."""
    found: Numbers = {}
    for name, short in NAMES.items():
        row = means_and_slopes(data.of_perplexity[name]).loc["mean"]
        slopes = means_and_slopes(data.of_qid[name], [N_PARAMS, TOKENS_SEEN]).loc[[N_PARAMS, TOKENS_SEEN]]
        found |= {f"qb_k_{short}": in_words(row)}
        found |= {f"qb_size_{short}": in_words(slopes.loc[N_PARAMS], 3)}
        found |= {f"qb_tokens_{short}": in_words(slopes.loc[TOKENS_SEEN], 3)}
        theirs = pd.Series({key[0]: k for key, (_, k) in blocks.CAO_2024_POWERS.items() if name == f"Qr = {key[1]:g}"})
        if name == GPTQ:
            claim(bool((slopes["low"] < 0).all() and (slopes["high"] > 0).all()), "GPTQ's exponent has no slope")
        else:
            claim(bool((slopes["low"] > 0).all()), "the exponent rises with size and tokens at every ratio")
        if short == "half":
            claim(row["low"] > theirs.max(), "ours at 0.5 is steeper than the printed ones")
        if short == "most":
            claim(theirs.between(row["low"], row["high"]).sum() == 1, "our interval at 0.9 holds one printed exponent")
        if short == "all":
            found["qb_ten_size"] = np.log(10) * slopes.at[N_PARAMS, "value"]
    cao = {f"qb_cao_{model}_{100 * ratio:.0f}": k for (model, ratio), (_, k) in blocks.CAO_2024_POWERS.items()}
    return found | cao | differences(data)


def differences(data: Blocks) -> Numbers:
    """Return by how much the exponent of QiD is larger where all is low than where half is, and after a decay."""
    whole, half = fitted(data.of_qid[WHOLE]), fitted(data.of_qid["Qr = 0.5"])
    pairs = whole.merge(half, on=blocks.CHECKPOINT, suffixes=("", "_half"))
    by_ratio = mean_and_slopes(pairs.assign(more=pairs["k"] - pairs["k_half"]), "more", []).loc["mean"]
    after = data.table[(data.table["lr_phase"] == "decay") & (data.table["scale"] == "block")]
    decayed = fitted(blocks.exponents(blocks.at_quantized_ratio(after, 1.0, data.joint.law)))
    beside = decayed.merge(whole[whole["step"] == MIDDLE], on="model", suffixes=("", "_trunk"))
    by_decay = mean_and_slopes(beside.assign(more=beside["k"] - beside["k_trunk"]), "more", []).loc["mean"]
    claim(all(one["low"] < 0 < one["high"] for one in (by_ratio, by_decay)), "decay and ratio don't clearly move it")
    return {"qb_k_ratio": in_words(by_ratio), "qb_k_decay": in_words(by_decay, 3)}


def outliers(marked: Tables, middle_tokens: float) -> Numbers:
    """Return how the exponent goes with the outliers of inputs, alone and beside size and tokens.

    `marked` comes from `Blocks.marked`; `middle_tokens` are those of the middle moment.
    """
    beside = {
        name: mean_and_slopes(rows, "k", ["input_outliers", N_PARAMS, TOKENS_SEEN]) for name, rows in marked.items()
    }
    found: Numbers = {}
    for name, short in NAMES.items():
        rank = marked[name][["k", "input_outliers"]].corr(method="spearman").iloc[0, 1]
        found[f"qb_rank_{short}"] = plain(rank, 2)
    for name in MXINT:
        slopes = beside[name].loc[[N_PARAMS, TOKENS_SEEN]]
        claim(bool(((slopes["low"] < 0) & (slopes["high"] > 0)).all()), "size and tokens aren't distinct from zero")
        claim((beside[name].at["input_outliers", "low"] > 0) == (name != WHOLE), "outliers stay clear at 0.5 and 0.9")
    seen = pd.concat([marked[name] for name in MXINT]).sort_values("input_outliers")
    least, most = seen.iloc[0], seen.iloc[-1]
    first = (least[[N_PARAMS, TOKENS_SEEN]] == seen[[N_PARAMS, TOKENS_SEEN]].min()).all()
    claim(bool(first), "the fewest outliers are in the smallest model's first checkpoint")
    claim(most[TOKENS_SEEN] > middle_tokens, "the most outliers are in a late one")
    return found | {
        "qb_told_size_most": in_words(beside["Qr = 0.9"].loc[N_PARAMS], 3),
        "qb_told_tokens_most": in_words(beside["Qr = 0.9"].loc[TOKENS_SEEN], 3),
        "qb_told_all": in_words(beside[WHOLE].loc["input_outliers"]),
        "qb_outliers_least": least["input_outliers"],
        "qb_outliers_most": most["input_outliers"],
    }


# ---- which block a budget allows -------------------------------------------------------------------------------------


def allowed_by_law(data: Blocks, seed: int) -> Tables:
    """Return by ratio the block that the budget allows by the joint law, over the sizes, at the middle moment."""
    whole = data.middle[WHOLE]
    sizes = np.geomspace(whole[N_PARAMS].min(), whole[N_PARAMS].max(), 30)
    same = {"tokens": np.full(30, whole[TOKENS_SEEN].iloc[0]), "n_params": sizes, "bits": np.full(30, 4)}
    return {
        name: blocks.largest_blocks(
            data.joint,
            np.log(1 + BUDGET),
            same | {"quantized_ratio": np.full(30, ratio)},
            1000,
            np.random.default_rng(seed),
        )
        for name, ratio in zip(MXINT, blocks.QUANTIZED_RATIOS, strict=True)
    }


def measured_blocks(middle: Tables) -> pd.DataFrame:
    """Return the largest block measured within the budget at each size and `ratio` (the panel's name)."""
    return pd.concat([blocks.largest_measured(middle[name], BUDGET).assign(ratio=name) for name in MXINT])


def allowed(data: Blocks, seed: int) -> Numbers:
    """Return how the allowed block grows with size and with tokens, and the largest model's; checks its signs."""
    tokens = {"tokens": data.middle[WHOLE][TOKENS_SEEN].iloc[0]}
    growth = blocks.growth_of_blocks(data.joint, PLACE | tokens, 4000, np.random.default_rng(seed))
    claim(growth.at["size", "low"] > 0 > growth.at["both", "high"], "it grows with size and shrinks with both")
    whole = measured_blocks(data.middle)
    own = whole[whole["ratio"] == WHOLE].set_index(N_PARAMS)["block"]
    claim(bool(np.isnan(own[own.index.min()])), "the smallest model is allowed no block")
    largest = allowed_by_law(data, seed)[WHOLE].iloc[-1]
    return {
        **with_named_ends("qb_grows_size", growth.loc["size"], "value"),
        "qb_grows_tokens": in_words(growth.loc["tokens"]),
        "qb_grows_both": in_words(growth.loc["both"]),
        **with_named_ends("qb_allowed_large", largest.rename({"block": "value"}), "value"),
        "qb_measured_large": own[own.index.max()],
    }


def numbers(data: Blocks, seed: int) -> Numbers:
    """Return every number that the chapter states, by its key; `seed` is that of the joint law's draws."""
    middle = data.middle[WHOLE]
    parts = (
        counts(data),
        curves(middle),
        exponents(data),
        outliers(data.marked(), middle[TOKENS_SEEN].iloc[0]),
        allowed(data, seed),
    )
    return {key: value for part in parts for key, value in part.items()}
