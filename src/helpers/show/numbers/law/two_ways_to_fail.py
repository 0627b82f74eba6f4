"""What the chapter on two ways to fail states: a break over the widths, parts together, depth, weights and inputs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.analyse.judgement import one_law_or_two as forms
from helpers.analyse.mixed.additivity import of_parts, of_weights_and_inputs
from helpers.analyse.mixed.trials import with_metrics
from helpers.analyse.questions.quadratic_rule import expected_ratio
from helpers.analyse.questions.slopes_of_ratios import log_mean_and_slopes, mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import GROUP_SIZE, HELDOUT, on_trunk, rows_at
from helpers.show.claims import claim
from helpers.show.intervals import Numbers, Row, with_ends
from helpers.show.style import count_label

NARROW, WIDE = 2, (3, 4, 5, 6, 8)  # bits, on both sides of the break that is asked about
FINE = (4, 5, 6, 8)
SEQUENCES = 64  # of the searches' text
PARTS = "matmul"  # the finest parts of a model that were rounded alone
EQUAL_NATS = (0.05, 0.5)  # QiD that models have both at 2 and at 3 bits
RULED = 4  # bits at which losses add up
EXAMPLE = 1.02  # compounding at 4 bits, of an exercise


@dataclass(frozen=True)
class Tables:
    """The trunk's KL by width (`rows`), parts beside wholes (`parts`), weights beside inputs, errors by depth.

    `vocabulary_size` is that of the models with rounded inputs.
    """

    rows: pd.DataFrame
    parts: pd.DataFrame
    inputs: pd.DataFrame
    depth: pd.DataFrame
    vocabulary_size: int

    @classmethod
    def of(cls, measured: pd.DataFrame, trials: pd.DataFrame, inputs: pd.DataFrame, depth: pd.DataFrame) -> "Tables":
        """Return the chapter's tables from the tracked ones; parts are GPTQ's at the constant rate."""
        known = trials[(trials["method"] == "gptq") & (trials["n_sequences"] == SEQUENCES)]
        known = known[(known["group_size"] == GROUP_SIZE) & (known["schedule"] == "constant")]
        rows = rows_at(measured, HELDOUT)
        depth = depth.assign(end=depth["after"].str[-1], ratio=depth["after"].str[-1] / depth["alone"].map(sum))
        (vocabulary_size,) = inputs["vocabulary_size"].unique()
        parts, both = of_parts(with_metrics(known)), of_weights_and_inputs(inputs)
        return cls(rows[on_trunk(rows)], parts, both, depth, int(vocabulary_size))

    @property
    def matrices(self) -> pd.DataFrame:
        """Return the wholes beside their matrices."""
        return self.parts[self.parts["granularity"] == PARTS]


def factor(table: pd.DataFrame, column: str = "ratio") -> Row:
    """Return the geometric mean of a column, with its 95% interval over training runs: no unit."""
    row: Row = np.exp(log_mean_and_slopes(table.assign(ratio=table[column]), []).loc["mean"])
    return row


def excess(rows: pd.DataFrame) -> pd.DataFrame:
    """Return all widths with `over`: KL over what one law of the wide ones says, no unit."""
    table = forms.from_other_widths(rows, WIDE, [NARROW, *WIDE])
    return table.assign(over=np.exp(table["log_over"]))


def of_widths(rows: pd.DataFrame) -> Numbers:
    """Return how far KL at 2 bits is above the law of 3 to 8, how that grows, and what the other side foretells."""
    narrow = forms.from_other_widths(rows, WIDE, [NARROW])
    three = forms.from_other_widths(rows, FINE, [3])
    slopes = mean_and_slopes(narrow, "log_over", [N_PARAMS, TOKENS_SEEN])
    claim(slopes.loc["mean", "low"] > 0.2, "2 bits lie above the law of the others")
    claim(slopes.loc[TOKENS_SEEN, "low"] > 0, "and further after more tokens")
    claim(slopes.loc[N_PARAMS, "low"] < 0 < slopes.loc[N_PARAMS, "high"], "size can't be distinguished from nothing")
    shown: dict[str, Any] = {"gamma": float(forms.coefficients(rows[rows["bits"].isin(WIDE)], forms.ONE)[3])}
    claim(abs(shown["gamma"] - 2) < 0.05, "from 3 bits on KL goes as the square of the step")
    shown |= with_ends("over_narrow", np.exp(slopes.loc["mean"])) | with_ends("over_tokens", slopes.loc[TOKENS_SEEN])
    shown |= with_ends("over_size", slopes.loc[N_PARAMS])
    shown |= with_ends("over_three", np.exp(mean_and_slopes(three, "log_over", []).loc["mean"]))
    shown |= {"n_rows": len(rows), "n_runs": rows["run_label"].nunique(), "n_widths": rows["bits"].nunique()}
    for name, known in (("with", (2, 3, 4)), ("without", (3, 4))):
        told = forms.from_other_widths(rows, known, [5, 6, 8])
        shown |= with_ends(f"fine_{name}", np.exp(mean_and_slopes(told, "log_over", []).loc["mean"]))
    claim(shown["fine_with"] > shown["fine_without_high"], "a law of narrow widths says too little of wide")
    return shown


def of_forms(rows: pd.DataFrame) -> Numbers:
    """Return what a next term, a break and exponents of every width gain: errors of a run left out, and Akaike's."""
    table, by_run = forms.forms(rows), {form: forms.left_out(rows, form) for form in forms.FORMS}
    gained = mean_over_runs(by_run[forms.ONE] - by_run[forms.NEXT])
    more = mean_over_runs(by_run[forms.NEXT] - by_run[forms.TWO])
    claim(gained["low"] > 0, "a next term foretells a run better than none")
    claim(abs(more["mean"]) < gained["mean"] / 3, "a break hardly foretells it better than the next term")
    shown: dict[str, Any] = {}
    for name, form in (("one", forms.ONE), ("next", forms.NEXT), ("two", forms.TWO), ("each", forms.EACH)):
        shown |= {f"rms_{name}": table.loc[form, "left_out_rms"], f"n_{name}": int(table.loc[form, "n_coefficients"])}
        shown |= {f"aic_{name}": float(table.loc[form, "aic"] - table["aic"].min())}
    return shown | with_ends("gained", gained, "mean") | with_ends("more", more, "mean") | of_next_term(rows)


def of_next_term(rows: pd.DataFrame) -> Numbers:
    """Return c of the next term, of all widths and of those from 3 bits on, and what the latter says of 2 bits."""
    wide = rows[rows["bits"].isin(WIDE)]
    told = forms.from_other_widths(rows, WIDE, [NARROW], forms.NEXT)
    miss = np.exp(mean_and_slopes(told, "log_over", []).loc["mean"])
    claim(miss["value"] < 1.15, "with its next term the law of the wide widths is near at 2 bits")
    shown: dict[str, Any] = {"term": float(forms.coefficients(rows, forms.NEXT)[-1])}
    shown |= {"term_wide": float(forms.coefficients(wide, forms.NEXT)[-1])}
    return shown | with_ends("next_narrow", miss)


def of_wholes(found: Tables) -> Numbers:
    """Return the loss of everything over the sum of its parts by width, and how that moves with tokens."""
    table = found.matrices
    shown: dict[str, Any] = {
        "part_runs": table["run_label"].nunique(),
        "part_smallest": count_label(table[N_PARAMS].min()),
    }
    shown |= {"part_largest": count_label(table[N_PARAMS].max()), "part_most": int(table["n_parts"].max())}
    shown |= {"part_wholes": int((table["bits"] == NARROW).sum())}
    for bits in (2, 3, 4):
        rows = table[table["bits"] == bits]
        shown |= with_ends(f"compound_{bits}", factor(rows))
        tokens = log_mean_and_slopes(rows, [N_PARAMS, TOKENS_SEEN]).loc[TOKENS_SEEN]
        shown |= with_ends(f"compound_tokens_{bits}", tokens)
    blocks = found.parts[(found.parts["granularity"] != PARTS) & (found.parts["bits"] == NARROW)]
    shown |= with_ends("compound_blocks", factor(blocks))
    for bits, rows in table.groupby("bits"):
        terms = ((rows["ratio"] - 1) / forms.squared_steps(rows["bits"])).groupby(rows["run_label"]).mean()
        shown |= with_ends(f"between_{bits:.0f}", mean_over_runs(terms), "mean")
    claim(shown["between_2_low"] < shown["between_3"] < shown["between_2_high"], "one term for both")
    claim(shown["compound_4_high"] < 1.05, "at 4 bits losses add up")
    claim(shown["compound_2_low"] > 1.25, "at 2 bits they compound")
    claim(shown["compound_tokens_2_low"] > 0, "and more so after more tokens")
    return shown | of_equal_loss(table) | of_alone(table)


def of_equal_loss(table: pd.DataFrame) -> Numbers:
    """Return how much more 2 bits compound than 3 where both cost the same: a factor, at equal QiD."""
    low, high = EQUAL_NATS
    rows = table[table["bits"].isin([2, 3]) & table["whole_nats"].between(low, high)]
    rows = rows.assign(
        narrow=np.exp((rows["bits"] == NARROW).astype(float))
    )  # slopes are on logarithms: of zero and one
    row = np.exp(log_mean_and_slopes(rows, ["whole_nats", "narrow"]).loc["narrow"])
    claim(row["low"] > 1, "at equal loss the narrow grid compounds more")
    shown: Numbers = {"equal_rows": len(rows), "equal_least": low, "equal_most": high}
    return shown | with_ends("at_equal", row)


def of_alone(table: pd.DataFrame) -> Numbers:
    """Return QiD at 2 bits over what the rule says from 4, of parts alone and together, and the part that compounds."""
    wide = table.pivot(index=["run_label", TOKENS_SEEN], columns="bits", values=["whole_nats", "sum_nats"])
    over = {
        name: wide[name][NARROW] / wide[name][RULED] / expected_ratio(NARROW, RULED)
        for name in ("whole_nats", "sum_nats")
    }
    alone, whole = (factor(over[name].rename("ratio").reset_index()) for name in ("sum_nats", "whole_nats"))
    share = 1 - np.log(alone["value"]) / np.log(whole["value"])
    claim(0.5 < share < 0.9, "most of what 2 bits cost beyond the rule arises between matrices")
    shown: Numbers = {"between_share": float(share), "steps_ratio": float(expected_ratio(NARROW, RULED))}
    return shown | with_ends("alone_over", alone) | with_ends("whole_over", whole)


def of_depth(depth: pd.DataFrame) -> Numbers:
    """Return noise over signal at the end of the blocks, early and late, and whether the blocks' errors add up."""
    own = depth[depth["method"] == "gptq"]
    by_end = own.groupby(["step", "bits"])[["end", "ratio", "cosine"]].mean()
    first, last = own["step"].min(), own["step"].max()
    shown: dict[str, Any] = {
        "depth_models": own["model"].nunique(),
        "depth_first": count_label(own["tokens_seen"].min()),
    }
    shown |= {"depth_last": count_label(own["tokens_seen"].max())}
    for bits in (2, 4):
        shown |= {
            f"noise_first_{bits}": by_end.loc[(first, bits), "end"],
            f"noise_last_{bits}": by_end.loc[(last, bits), "end"],
        }
        shown |= {f"cosine_last_{bits}": by_end.loc[(last, bits), "cosine"]}
        ratios = own.loc[own["bits"] == bits, "ratio"]
        shown |= {f"adds_{bits}": ratios.mean(), f"adds_{bits}_low": ratios.min(), f"adds_{bits}_high": ratios.max()}
    claim(shown["adds_2_high"] < 1, "along the depth errors at 2 bits add to less than their sum")
    claim(shown["adds_4_low"] > 0.9 and shown["adds_4_high"] < 1.1, "and at 4 bits to their sum")
    claim(
        shown["noise_last_2"] > 0.8 > 0.1 > shown["noise_last_4"],
        "late at 2 bits noise is as large as the signal",
    )
    return shown


def of_inputs(found: Tables) -> Numbers:
    """Return the loss of weights and inputs rounded over the sum of both, by bits, and the weights' share of it."""
    table, uniform = found.inputs, float(np.log(found.vocabulary_size))
    shown: dict[str, Any] = {"input_runs": table["run_label"].nunique(), "uniform": uniform}
    shown |= {"input_checkpoints": int((table["bits"] == RULED).sum())}
    for bits, rows in table.groupby("bits"):
        shown |= with_ends(f"both_{bits:.0f}", factor(rows))
        shown |= {
            f"both_{bits:.0f}_least": float(rows["ratio"].min()),
            f"both_{bits:.0f}_most": float(rows["ratio"].max()),
        }
    four, late = table[table["bits"] == 4], table[table[TOKENS_SEEN] == table[TOKENS_SEEN].max()]
    shares = mean_and_slopes(four, "share", [TOKENS_SEEN])
    shown |= with_ends("share", shares.loc["mean"]) | with_ends("share_tokens", shares.loc[TOKENS_SEEN])
    shown |= {"ceiling_late": float(late.loc[late["bits"] == 2, "both"].mean())}
    claim(0.95 < shown["both_5"] < 1.06, "at 5 bits the two add up")
    claim(shown["both_2_most"] < 1, "at 2 bits of each the whole costs less than the sum")
    claim(abs(shown["ceiling_late"] / uniform - 1) < 0.05, "and as much as a whole uniform loss late in training")
    claim(shown["share_tokens_low"] < 0 < shown["share_tokens_high"], "no change of the share with tokens")
    return shown


def of_exercise() -> Numbers:
    """Return the compounding at 3 and at 2 bits that `EXAMPLE` at 4 foretells, and itself."""
    three, narrow = (1 + (EXAMPLE - 1) * float(expected_ratio(bits, RULED)) for bits in (3, NARROW))
    return {"ex_wide": EXAMPLE, "ex_three": three, "ex_narrow": narrow}


def numbers(found: Tables) -> Numbers:
    """Return all that the chapter states."""
    shown = of_widths(found.rows) | of_forms(found.rows) | of_wholes(found)
    return shown | of_depth(found.depth) | of_inputs(found) | of_exercise()
