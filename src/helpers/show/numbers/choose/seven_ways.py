"""What the chapter on seven ways states: ratios at equal stored bits, what recipes keep, the cost of rounded inputs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.mixed import keeping
from helpers.analyse.mixed.keeping import BLOCKS, LINE, NEAREST, SINGLE
from helpers.analyse.rows import resampling
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import rows_in_groups
from helpers.show.claims import claim
from helpers.show.intervals import Numbers, with_ends
from helpers.show.style import count_label

INPUT_WAYS = {"token": "RTN, a scale a token", "cross": "CrossQuant, 0.15", "half": "CrossQuant, 0.5"}
EXPONENTS = {"token": 1.0, "cross": 0.15, "half": 0.5}
TREND_PANELS = {
    "GWQ, 2 bits": ("GWQ", "2 bits"),
    "CMPQ, mean 2.25 bits": ("CMPQ", "mean 2.25 bits"),
    "CMPQ, mean 3 bits": ("CMPQ", "mean 3 bits"),
    "RTN, 3 bits": ("RTN", "3 bits"),
    "AWQ, 4 bits": ("AWQ", "4 bits"),
    "matrices kept, 3 bits, Qr 0.9": (SINGLE, "3 bits, Qr 0.9"),
}


@dataclass(frozen=True, eq=False)
class Ways:
    """The rows of all ways with their stored bits, and on which draws of documents ratios rest."""

    every: pd.DataFrame
    in_groups: pd.DataFrame  # plain GPTQ of the trunk in groups of 32 and of 128
    documents: FloatArray

    @classmethod
    def from_table(cls, measured: pd.DataFrame, seed: int) -> "Ways":
        """Return the rows of the seven ways from the tracked measurements; `seed` is that of draws of documents."""
        every = keeping.with_ways(keeping.with_stored_bits(degradation(keeping.seven_rows(measured))))
        documents = resampling.document_counts(every["n_documents"].iloc[0], np.random.default_rng(seed))
        return cls(every, keeping.with_stored_bits(rows_in_groups(measured)), documents)

    @cached_property
    def weights_only(self) -> pd.DataFrame:
        """Return the rows that round weights alone; codes of 8 bits are there for rounded inputs."""
        return self.every[self.every["bits"] < 8].reset_index(drop=True)

    @property
    def plain(self) -> pd.Series:
        """Return the stored bits of plain GPTQ by bit width, the same on every checkpoint."""
        bits = self.weights_only[self.weights_only["way"] == LINE].groupby("bits")["stored_bits"]
        claim(bool((bits.max() == bits.min()).all()), "plain GPTQ stores the same on every checkpoint")
        return bits.first()

    @property
    def reached(self) -> pd.DataFrame:
        """Return the rows that store no more than plain GPTQ's widest codes."""
        return self.weights_only[self.weights_only["stored_bits"] <= self.plain.max()]

    @cached_property
    def against_line(self) -> tuple[pd.DataFrame, FloatArray]:
        """Return the ratios to plain GPTQ at equal stored bits, and their draws."""
        return keeping.against_line(self.weights_only, self.documents)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Return these ratios pooled by way and setting."""
        return keeping.pooled(*self.against_line)

    @property
    def by_setting(self) -> pd.DataFrame:
        """Return `summary` by way and setting."""
        return self.summary.set_index(["way", "setting"])

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Return what rounding the inputs costs, row by row."""
        return keeping.input_costs(self.every)

    def of_three_sizes(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the smallest, a middle and the largest size."""
        sizes = np.sort(self.every[N_PARAMS].unique())
        return rows[rows[N_PARAMS].isin(sizes[[0, sizes.size // 2, -1]])]


def latest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each model's last checkpoint."""
    return rows[rows[TOKENS_SEEN] == rows.groupby("model")[TOKENS_SEEN].transform("max")]


# ---- the chapter -----------------------------------------------------------------------------------------------------


def counts(ways: Ways) -> Numbers:
    """Return how many checkpoints and sizes there are, and what plain codes store."""
    every, plain = ways.every, ways.plain
    return {
        "seven_checkpoints": every["checkpoint_id"].nunique(),
        "seven_sizes": every[N_PARAMS].nunique(),
        "seven_smallest": count_label(every[N_PARAMS].min()),
        "seven_largest": count_label(every[N_PARAMS].max()),
        "seven_first": count_label(every[TOKENS_SEEN].min()),
        "seven_last": count_label(every[TOKENS_SEEN].max()),
        "stored_2": plain[2],
        "stored_end": plain.max(),
        "most_bits": int(plain.index.max()),
        "gwq_share": every.loc[every["way"] == "GWQ", "outlier_share"].iloc[0],
    }


def fronts(reached: pd.DataFrame) -> Numbers:
    """Return whose points are on the fronts of the checkpoints; `reached` has `way`, `stored_bits` and `qid_nats`."""
    on_front = keeping.on_front(reached)
    shares = on_front.groupby(reached["way"]).sum() / on_front.sum()
    claim(bool((shares[["RTN", "AWQ", "GWQ"]] == 0).all()), "RTN, AWQ and GWQ are never on a front")
    return {
        "front_points": int(on_front.sum()),
        "front_line": shares[LINE],
        "front_cmpq": shares["CMPQ"],
        "front_recipes": shares[[SINGLE, BLOCKS]].sum(),
    }


def compared(ratios: pd.DataFrame, summary: pd.DataFrame) -> Numbers:
    """Return how many settings and rows lose more and less than plain GPTQ at equal stored bits; checks which."""
    low, high = summary["low"], summary["high"]
    unclear = summary[(low <= 1) & (high >= 1)]
    claim(not (high < 1).any(), "no setting clearly loses less")
    claim(bool(((unclear["way"] == "CMPQ") | (unclear["n_models"] <= 3)).all()), "CMPQ, or recipes of few sizes")
    better = ratios["ratio"] < 1
    claim(bool((ratios.loc[better, "way"] == "CMPQ").all()), "of single rows only CMPQ's ever lose less")
    others = summary[(summary["way"] != "CMPQ") & (summary["n_models"] > 3)]
    claim(bool((others["low"] > 1).all()), "all other ways lose more")
    return {
        "n_settings": len(summary),
        "n_above": int((low > 1).sum()),
        "n_untold": len(unclear),
        "n_compared": len(ratios),
        "n_cmpq": int((ratios["way"] == "CMPQ").sum()),
        "n_cmpq_below": int(better.sum()),
    }


def built_on(ways: Ways) -> Numbers:
    """Return the ratios of GWQ and AWQ to RTN, which they are built on, and to GPTQ; checks which of them gains."""
    nearest = keeping.pooled(*keeping.against_line(ways.weights_only, ways.documents, NEAREST))
    nearest, by = nearest.set_index(["way", "setting"]), ways.by_setting
    of_gwq = nearest.loc["GWQ"].loc[["2 bits", "3 bits"]]
    claim(of_gwq["low"].min() > 1 > nearest.loc[("AWQ", "4 bits"), "high"], "GWQ loses beside RTN, AWQ gains")
    found: Numbers = {"gwq_extra": by.at[("GWQ", "2 bits"), "stored_bits"] - ways.plain[2]}
    found |= with_ends("gwq_rtn_2", of_gwq.loc["2 bits"], "ratio")
    found |= with_ends("awq_rtn", nearest.loc[("AWQ", "4 bits")], "ratio")
    found |= with_ends("awq_gptq", by.loc[("AWQ", "4 bits")], "ratio")
    return found | with_ends("gwq_gptq", by.loc[("GWQ", "2 bits")], "ratio")


def beside_coarse_groups(ratios: pd.DataFrame, in_groups: pd.DataFrame) -> Numbers:
    """Return CMPQ's ratio to GPTQ in groups of 128 at equal stored bits; checks that its lead is gone."""
    beside = keeping.with_coarse_groups(ratios[ratios["way"] == "CMPQ"], in_groups)
    beside = beside.assign(against=beside["ratio"] / beside["coarse"])
    wins = beside.loc[beside["against"] < 1, "setting"]
    claim(bool((wins == "mean 2.25 bits").all()), "it is ahead at the lowest mean alone")
    claim(beside["coarse"].max() < 1, "coarse groups lose less at every such place")
    middle = beside[beside["setting"] == "mean 2.5 bits"]
    row = mean_over_runs(np.log(middle["against"]).groupby(middle["model"]).mean())
    against = {"ratio": np.exp(row["mean"])} | {end: np.exp(row[end]) for end in ("low", "high")}
    found: Numbers = {
        "coarse_models": beside["model"].nunique(),
        "n_beside": len(beside),
        "n_beside_fine": int((beside["ratio"] < 1).sum()),
        "n_beside_below": len(wins),
        "coarse_least": beside["coarse"].min(),
        "coarse_most": beside["coarse"].max(),
    }
    return found | with_ends("cmpq_coarse", against, "ratio")


def recipes(ways: Ways) -> Numbers:
    """Return the ratios of recipes that keep matrices, what they keep, and how those that keep blocks do."""
    by = ways.by_setting
    found: Numbers = {}
    found |= with_ends("matrices_2_less", by.loc[(SINGLE, "2 bits, Qr 0.8")], "ratio")
    single = ways.weights_only[ways.weights_only["way"] == SINGLE]
    for bits in (2, 3):
        found |= with_ends(f"matrices_{bits}", by.loc[(SINGLE, f"{bits} bits, Qr 0.9")], "ratio")
        kept = keeping.kept_share(single[single["setting"] == f"{bits} bits, Qr 0.9"])
        claim(kept.idxmax() == "attention.dense", "attention's output matters most for its weights")
        found |= dict(zip((f"kept_{name}_{bits}" for name in ("qkv", "dense", "up", "down")), kept, strict=True))
    in_turn = [by.at[(SINGLE, f"2 bits, Qr {target:g}"), "ratio"] for target in (0.95, 0.9, 0.8, 0.7)]
    claim(bool((np.diff(in_turn) > 0).all()), "the more a recipe keeps, the worse it stands")
    of_blocks = ways.against_line[0]
    of_blocks = of_blocks.loc[of_blocks["way"] == BLOCKS, "ratio"]
    claim(bool((of_blocks > 1).all()), "no recipe of whole blocks loses less")
    return found | {
        "n_block_recipes": int((ways.weights_only["way"] == BLOCKS).sum()),
        "n_blocks_compared": len(of_blocks),
    }


def inputs(costs: pd.DataFrame) -> Numbers:
    """Return what rounded inputs cost by way and width, and at the ends of the sizes; checks how it goes with size."""
    by_way = keeping.costs_by_way(costs).set_index(["way", "setting"])
    found: Numbers = {}
    for width in (4, 8):
        for short, way in INPUT_WAYS.items():
            row = by_way.loc[(way, f"8 bits, inputs {width}")]
            found |= {f"{short}_{width}": row["mean"]} | {f"{short}_{width}_{end}": row[end] for end in ("low", "high")}
    found["token_8_most"] = by_way.at[(INPUT_WAYS["token"], "8 bits, inputs 8"), "most"]
    narrow = costs[costs["activation_bits"] == 4]
    wide = narrow.pivot(index="checkpoint_id", columns="way", values="cost_nats")
    ends = latest(narrow).pivot(index=N_PARAMS, columns="way", values="cost_nats")
    token, cross = (ends[INPUT_WAYS[short]] for short in ("token", "cross"))
    claim(token.iloc[-1] > 2 * token.iloc[0], "with a scale a token the cost grows with size")
    claim(cross.iloc[-1] < cross.iloc[0], "with CrossQuant it doesn't")
    found |= {"n_cross_less": int((wide[cross.name] < wide[token.name]).sum()), "n_narrow": len(wide)}
    for short, one in (("token", token), ("cross", cross)):
        found |= {f"{short}_smallest": one.iloc[0], f"{short}_largest": one.iloc[-1]}
    return found


def numbers(ways: Ways) -> Numbers:
    """Return every number that the chapter states, by its key."""
    ratios, _ = ways.against_line
    parts = (
        counts(ways),
        fronts(ways.reached),
        compared(ratios, ways.summary),
        built_on(ways),
        beside_coarse_groups(ratios, ways.in_groups),
        recipes(ways),
        inputs(ways.costs),
    )
    return {key: value for part in parts for key, value in part.items()}
