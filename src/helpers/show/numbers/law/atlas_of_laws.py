"""What the atlas of laws states: two new laws, how far laws part beyond the data, laws of the loss and of the block.

QiD and loss are in nats per token; scores are rms of ln(predicted / measured), no unit. A ValueError says which
sentence of the page doesn't hold.
"""

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.questions import atlas
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import FITTED_BITS
from helpers.show.claims import claim
from helpers.show.intervals import Numbers
from helpers.show.style import count_label

SIMPLE, TOLD = "tokens-per-parameter", "curvature"
LARGEST, LATE_PART, LATER = "largest size", "last factor 4 in D", "larger and later"
AT_BITS, BEYOND = 3, 10  # the figure's bit width; it goes to the square of so many times the last tokens
PRINTED = ("ouyang2024", "ouyang2024-per-bit", "kumar2024")


def of_table(table: pd.DataFrame, stored: StoredFits) -> Numbers:
    """Return what the page says of its table: counts of laws and rows, and the two laws that are new.

    `table` is `atlas.atlas` with all hold-outs.
    """
    simple, told = stored.fits[SIMPLE], stored.fits[TOLD]
    errors = stored.judged[stored.judged["hold_out"] == LATE_PART].set_index("law")["log_rms_se"]
    claim(table.loc[SIMPLE, LATE_PART] < 0.5 * table.loc["power", LATE_PART], "it misses less than half as much")
    claim(told.params["c"].high < 1, "GPTQ loses less than curvature says")
    found: Numbers = {
        "at_laws": len(table),
        "at_printed": int(stored.judged.groupby("law")["published"].first().sum()),
        "at_rows": simple.n_rows,
        "at_runs": simple.n_runs,
        "at_n": table.loc[SIMPLE, "constants"],
        "at_reference": float(simple.law.predict(100.0, 1.0, AT_BITS)),
        "at_simple_late_se": errors[SIMPLE],
        "at_power_late_se": errors["power"],
        "at_told_n": table.loc[TOLD, "constants"],
    }
    for law, key in ((SIMPLE, "simple"), ("power", "power"), (TOLD, "told")):
        found[f"at_{key}_late"] = table.loc[law, LATE_PART]
    found["at_told_size"] = table.loc[TOLD, LARGEST]
    for key, estimate in (("b", simple.params["b"]), ("c", told.params["c"])):
        found |= {f"at_{key}": estimate.value, f"at_{key}_low": estimate.low, f"at_{key}_high": estimate.high}
    return found


def spans(rows: pd.DataFrame) -> Numbers:
    """Return by which factors size and tokens vary in the rows, no unit."""
    sizes, tokens = rows[N_PARAMS], rows[TOKENS_SEEN]
    return {"at_span_n": sizes.max() / sizes.min(), "at_span_d": tokens.max() / tokens.min()}


def identity(stored: StoredFits, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of laws without scores, names as code for HTML."""
    bare = table.drop(columns=list(stored.judged["hold_out"].unique()))
    return bare.set_axis(["<code>" + html.escape(name) + "</code>" for name in bare.index])


def to_html(table: pd.DataFrame) -> str:
    """Return a table as HTML whose cells hold HTML already; n/a for what is missing."""
    return str(table.to_html(escape=False, na_rep="n/a", float_format="{:.3f}".format))


# ---- the fan ---------------------------------------------------------------------------------------------------------


def at_largest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the largest model at the figure's bit width."""
    return rows[(rows[N_PARAMS] == rows[N_PARAMS].max()) & (rows["bits"] == AT_BITS)]


def places(points: pd.DataFrame) -> dict[str, float]:
    """Return the tokens at which laws are compared: the middle of the measured ones, the last, and far beyond."""
    first, last = points[TOKENS_SEEN].min(), points[TOKENS_SEEN].max()
    return {"middle": float(np.sqrt(first * last)), "last": last, "beyond": BEYOND * last, "far": BEYOND**2 * last}


def fan(stored: StoredFits, points: pd.DataFrame) -> pd.DataFrame:
    """Return `atlas.curves` of the points' model, from their first tokens to far beyond, `places` among them."""
    ends = places(points)
    tokens = np.unique([*np.geomspace(points[TOKENS_SEEN].min(), ends["far"], 80), *ends.values()])
    return atlas.curves(stored, tokens, points[N_PARAMS].iloc[0], AT_BITS)


def spread_of_laws(curves: pd.DataFrame, points: pd.DataFrame) -> Numbers:
    """Return how many times the smallest QiD of our own laws the largest is, at each of `places`."""
    own = curves[~curves["law"].isin(PRINTED)]
    ends, by_tokens = places(points), atlas.spread(own)
    claim(by_tokens.loc[ends["far"]] > 2 * by_tokens.loc[ends["middle"]], "laws part beyond the rows")
    return {f"at_spread_{key}": by_tokens.loc[tokens] for key, tokens in ends.items() if key != "last"} | {
        "at_drawn": curves["law"].nunique(),
        "at_own": own["law"].nunique(),
        "at_beyond": BEYOND,
        "at_far": BEYOND**2,
        "at_largest": count_label(points[N_PARAMS].iloc[0]),
    }


# ---- laws of the loss, and of the block ------------------------------------------------------------------------------


def shannon(losses: pd.DataFrame) -> Numbers:
    """Return how many times as much as Chinchilla's form Shannon's misses of late tokens, at each width with its ends.

    `losses` is `loss_after_rounding.scores`.
    """
    of_shannon = losses[losses["way"] == "shannon"].set_index(["bits", "hold_out"])
    late = of_shannon.xs(LATE_PART, level="hold_out")
    both = of_shannon.xs(LATER, level="hold_out")["ratio"]
    claim([both[bits] < 1 for bits in FITTED_BITS] == [False, True, True], "larger and later it wins at 3 and 4 bits")
    claim(late.loc[2, "ratio_high"] < 1 < late.loc[3, "ratio_low"], "it wins at 2 bits and loses at 3")
    claim(late.loc[4, "ratio_low"] < 1 < late.loc[4, "ratio_high"], "a tie at 4 bits")
    ends = {"": "ratio", "_low": "ratio_low", "_high": "ratio_high"}
    return {f"at_shannon_{bits}{end}": late.loc[bits, name] for bits in FITTED_BITS for end, name in ends.items()}


def losses_table(losses: pd.DataFrame, ways: Sequence[str]) -> pd.DataFrame:
    """Return the misses of the loss after rounding for people: a row a width and hold-out, a column a form."""

    def cell(rms: float, low: float, high: float) -> str:
        if np.isnan(rms):
            return "n/a"
        return f"{rms:.3f}" + ("" if np.isnan(low) else f" [{low:.3f}, {high:.3f}]")

    cells = [cell(rms, low, high) for rms, low, high in losses[["log_rms", "low", "high"]].to_numpy()]
    places_of = losses.set_index(["bits", "hold_out"]).index.unique()
    wide = losses.assign(cell=cells).pivot(index=["bits", "hold_out"], columns="way", values="cell")
    named = wide.loc[places_of, list(ways)].rename(index="{:g} bits".format, level="bits")
    return named.rename_axis(index=[None, None], columns=None)


def offset_of_block(whole: pd.DataFrame, nats: dict[str, float], share: dict[str, float]) -> Numbers:
    """Return the offset of the block on QiD and on the paper's scale, as `offset_of_blocks` found them in `whole`."""
    claim(0 < 3 * nats["d"] < share["d"], "the offset is several times as large on the paper's scale")
    claim(share["gain"] > 3 * nats["gain"], "the offset mostly stands for the bend")
    claim(nats["high"] > share["low"], "the intervals overlap")
    found: Numbers = {f"at_nats_{key}": value for key, value in nats.items()}
    found |= {f"at_share_{key}": value for key, value in share.items()}
    return found | {
        "at_offsets": share["d"] / nats["d"],
        "at_block_rows": len(whole),
        "at_block_checkpoints": whole["checkpoint_id"].nunique(),
        "at_block_runs": whole["run_label"].nunique(),
    }
