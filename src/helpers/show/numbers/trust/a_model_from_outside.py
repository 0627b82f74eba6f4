"""What the chapter on a model from outside states: what laws said of it, and what was measured in which windows."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers.analyse.questions.register import BAND, Prediction, outcomes_of, reopened, scheme_words, scores, settled
from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.study import HELDOUT, ON_A_GPU, PROSE, TWO_CORES, agreeing
from helpers.show.intervals import Numbers

TEXTS = {"code": HELDOUT, "prose": PROSE}
GROUP = 64  # weights that share a scale: the width 576 isn't a multiple of 128
USED = (2, 3, 4)  # bit widths at which QiD is many times its error
WINDOWS = (64, 512, 2048)  # tokens of a sequence that is scored


def first_draw(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without those of a second draw of calibration text."""
    return measured[measured["calib_seed"].fillna(0) == 0]


def outcomes_in(register: Sequence[Prediction], measured: pd.DataFrame, run: str, seq_len: int) -> pd.DataFrame:
    """Return what `register.outcomes_of` does, every entry held against the rows of one window alone.

    `seq_len` is that of `TWO_CORES` or of `ON_A_GPU`. Raises AnalysisError where there is no such row.
    """
    ways = {way["seq_len"]: way for way in (TWO_CORES, ON_A_GPU)}
    return outcomes_of(settled(reopened(register), measured[agreeing(measured, ways[seq_len])]), run)


def by_law(long: pd.DataFrame, short: pd.DataFrame, in_bytes: pd.Series) -> pd.DataFrame:
    """Return how laws did in windows of 512 and of 64 tokens: one row a law, the smallest miss in the former first.

    `long` and `short` come from `outcomes_in`, in one quantity; `in_bytes` is what was said of `long` in bytes.
    """
    told = long.assign(log_miss=np.log(in_bytes / long["outcome"].where(long["outcome"] > 0)))
    table = scores(long)[["predictions", "intervals", "hold", "miss"]]
    first = scores(short)[["intervals", "hold", "miss"]].add_suffix(", 64")
    return table.join(scores(told)["miss"].rename("miss, in bytes")).join(first)


def counts(outcomes: pd.DataFrame, key: str, law: str) -> Numbers:
    """Return how many intervals of a law there are and hold, and its typical miss, a factor."""
    of_law = scores(outcomes).loc[law]
    return {
        f"out_{key}_n": int(of_law["intervals"]),
        f"out_{key}_hold": int(of_law["hold"]),
        f"out_{key}_miss": float(of_law["miss"]),
    }


def what_was_said(long: pd.DataFrame, short: pd.DataFrame, in_bytes: pd.Series, default: str, best: str) -> Numbers:
    """Return counts of intervals that hold and misses of QiD: of all laws, the default, another one, the band."""
    used, first = (table[table["bits"].isin(USED)] for table in (long, short))
    told = long.assign(log_miss=np.log(in_bytes / long["outcome"].where(long["outcome"] > 0)))
    laws, band = long[long["law"] != BAND], long[long["law"] == BAND]
    return {
        "out_entries": len(long),
        "out_laws": int(laws["law"].nunique()),
        "out_intervals": int(laws["hit"].count()),
        "out_hold": int(laws["hit"].sum()),
        "out_band_n": len(band),
        "out_band_hold": int(band["hit"].sum()),
        "out_band_width": float(np.exp(np.log(band["high"] / band["low"]).median())),
        **counts(used, "default", default),
        **counts(first, "default_first", default),
        **counts(used, "steps", best),
        **counts(first, "steps_first", best),
        "out_default_miss_bytes": float(scores(told[told["bits"].isin(USED)]).loc[default, "miss"]),
        "out_steps_miss_bytes": float(scores(told[told["bits"].isin(USED)]).loc[best, "miss"]),
    }


def of_kl(long: pd.DataFrame, default: str) -> Numbers:
    """Return how many intervals of KL hold, of all laws and of the default, at all bit widths."""
    laws = long[long["law"] != BAND]
    of_default = laws[laws["law"] == default]
    return {
        "out_kl_intervals": int(laws["hit"].count()),
        "out_kl_hold": int(laws["hit"].sum()),
        "out_kl_default_n": int(of_default["hit"].count()),
        "out_kl_default_hold": int(of_default["hit"].sum()),
    }


def by_window(measured: pd.DataFrame) -> pd.DataFrame:
    """Return QiD on code, groups of 64, by method and bits (rows) and window (columns), in nats per token."""
    rows = degradation(first_draw(measured[measured["eval_dataset"] == HELDOUT]))
    chosen = rows[(rows["group_size"] == GROUP) & rows["method"].isin(["rtn", "gptq"])]
    return chosen.pivot(index=["method", "bits"], columns="seq_len", values="qid_nats")[list(WINDOWS)]


def of_windows(windows: pd.DataFrame) -> Numbers:
    """Return by what factors QiD in windows of 64 and of 2,048 tokens differs from that in 512, at 3 and 4 bits."""
    ratios = windows.div(windows[512], axis=0)
    return {
        f"out_{key}_{method}_{bits}": float(ratios.loc[(method, bits), seq_len])
        for key, seq_len in (("short", 64), ("long", 2048))
        for method in ("rtn", "gptq")
        for bits in (3, 4)
    }


def methods(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `degradation` in windows of 512 tokens on code and prose, a row a scheme, first draw."""
    chosen = measured[agreeing(measured, ON_A_GPU) & measured["eval_dataset"].isin(TEXTS.values())]
    order = ["method", "group_size", "bits"]
    return degradation(first_draw(chosen)).sort_values(order, na_position="last").reset_index(drop=True)


def of_methods(rows: pd.DataFrame) -> Numbers:
    """Return the ratio of each method's QiD to RTN's in groups of 64, by text, at 3 and 4 bits."""
    at = rows[rows["group_size"] == GROUP].set_index(["method", "bits", "eval_dataset"])["qid_nats"]
    return {
        f"out_{method}_{word}_{bits}": float(at[method, bits, text] / at["rtn", bits, text])
        for method in ("gptq", "awq")
        for word, text in TEXTS.items()
        for bits in (3, 4)
    }


def of_calibration(measured: pd.DataFrame) -> Numbers:
    """Return by what share a second draw of calibration text moves GPTQ's QiD on code, groups of 64."""
    chosen = measured[agreeing(measured, ON_A_GPU) & (measured["eval_dataset"] == HELDOUT)]
    rows = degradation(chosen).query("method == 'gptq' and group_size == @GROUP")
    at = rows.set_index(["bits", "calib_seed"])["qid_nats"]
    return {f"out_draw_{bits}": float(at[bits, 1] / at[bits, 0] - 1) for bits in (3, 4)}


def of_rows(measured: pd.DataFrame, vocabulary_size: int, longer: Mapping[str, float]) -> Numbers:
    """Return the 16-bit losses, what was scored and calibrated on, and the loss that 2 bits leave, nats per token."""
    on_gpu = measured[agreeing(measured, ON_A_GPU)]
    base = on_gpu[on_gpu["method"] == "none"].set_index("eval_dataset")["loss_nats"]
    code = on_gpu[on_gpu["eval_dataset"] == HELDOUT]
    ruined = code.query("method == 'gptq' and bits == 2 and group_size == @GROUP and calib_seed == 0")["loss_nats"]
    first = measured[agreeing(measured, TWO_CORES)]
    return {
        "out_loss_code": float(base[HELDOUT]),
        "out_loss_prose": float(base[PROSE]),
        "out_scored_code": int(code["n_tokens"].iloc[0]),
        "out_scored_prose": int(on_gpu.loc[on_gpu["eval_dataset"] == PROSE, "n_tokens"].iloc[0]),
        "out_calibration": _calibrated_on(code),
        "out_calibration_first": _calibrated_on(first),
        "out_ruin": float(ruined.item()),
        "out_guess": float(np.log(vocabulary_size)),
        "out_longer_code": longer[HELDOUT],
        "out_longer_prose": longer[PROSE],
    }


def _calibrated_on(rows: pd.DataFrame) -> int:
    """Return the tokens of calibration text, of the first row that has some."""
    calibrated = rows[rows["calib_sequences"].notna()].iloc[0]
    return int(calibrated["calib_sequences"] * calibrated["calib_seq_len"])


def in_groups(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return the outcomes of the scheme that the figure shows: groups of 64."""
    return outcomes[outcomes["scheme"] == scheme_words(GROUP)]
