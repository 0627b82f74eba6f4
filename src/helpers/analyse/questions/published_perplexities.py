"""Perplexities that others printed, as external points: no law of this project is fitted to them.

The table is `data/published/published_perplexities.csv`. A perplexity per token becomes QiD as ln(quantized / 16
bits), in nats per token of the model's own tokenizer. LAMBADA's is per last word of a passage: the same logarithm is
then nats per word, another quantity, and such rows have `per_word` set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import ChainedLaw
from helpers.analyse.laws.variables import LawError
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.table.errors import AnalysisError

PER_WORD = ("LAMBADA(openai)",)
SETTING = ["model", "method", "bits", "group_size", "dataset"]
# Printed, but not of a working model: the source's 16-bit model is fine and its neighbours at 3 and 6 bits are too.
BROKEN = [("Spectra FloatLM 190M -> QuantLM", 4)]


@dataclass(frozen=True)
class Shape:
    """The shape of a decoder-only transformer: blocks of four square matrices of attention and a feed-forward layer."""

    n_layers: int
    d_model: int
    d_feed_forward: int
    n_feed_forward: int  # matrices: 2, or 3 with a gate

    @property
    def n_params_non_embedding(self) -> int:
        """Return the weights of the matrices; biases and norms, below a thousandth, aren't counted."""
        return self.n_layers * self.d_model * (4 * self.d_model + self.n_feed_forward * self.d_feed_forward)


def _opt(n_layers: int, d_model: int) -> Shape:
    return Shape(n_layers, d_model, 4 * d_model, 2)


SHAPES = {
    # Zhang et al. 2022, arXiv 2205.01068 (cited from memory: the paper wasn't read for this)
    "OPT-125M": _opt(12, 768),
    "OPT-1.3B": _opt(24, 2048),
    "OPT-2.7B": _opt(32, 2560),
    "OPT-6.7B": _opt(32, 4096),
    "OPT-13B": _opt(40, 5120),
    "OPT-30B": _opt(48, 7168),
    "OPT-66B": _opt(64, 9216),
    # LLaMA's model card, table 1 (width, layers); feed-forward: 8/3 of the model's width, up to a multiple of 256
    "LLaMA-1-7B": Shape(32, 4096, 11008, 3),
    "LLaMA-1-13B": Shape(40, 5120, 13824, 3),
    "LLaMA-1-30B": Shape(60, 6656, 17920, 3),
    "LLaMA-1-65B": Shape(80, 8192, 22016, 3),
}
# Where the printed source doesn't say: LLaMA's model card, table 1.
TOKENS_OF_MODELS = {"LLaMA-1-7B": 1.0e12, "LLaMA-1-13B": 1.0e12, "LLaMA-1-30B": 1.4e12, "LLaMA-1-65B": 1.4e12}


def external_points(printed: pd.DataFrame) -> pd.DataFrame:
    """Return printed rows with `n_params_non_embedding`, `tokens_seen`, `qid_nats`, `per_word` and `broken`.

    `printed` has the columns of the CSV. A blank size comes from `SHAPES`, blank tokens from `TOKENS_OF_MODELS`. Raises
    AnalysisError, naming the row, where a size or the tokens stay unknown or a perplexity isn't above one.
    """
    size = printed["n_nonembedding_if_known"].fillna(
        printed["model"].map({name: shape.n_params_non_embedding for name, shape in SHAPES.items()})
    )
    tokens = printed["train_tokens"].fillna(printed["model"].map(TOKENS_OF_MODELS))
    perplexities = printed[["ppl_fp16", "ppl_quant"]]
    faults = {
        "'model' with no known size": size.isna(),
        "'train_tokens' unknown": tokens.isna(),
        "a perplexity that isn't above one": ~(perplexities > 1).all(axis=1),
    }
    for complaint, faulty in faults.items():
        if faulty.any():
            raise AnalysisError(f"row {faulty.idxmax()}: {complaint} ({printed.loc[faulty.idxmax(), 'model']})")
    pairs = zip(printed["model"], printed["bits"], strict=True)
    return printed.drop(columns=["n_params", "n_nonembedding_if_known", "train_tokens"]).assign(
        n_params_non_embedding=size,
        tokens_seen=tokens,
        qid_nats=np.log(perplexities["ppl_quant"] / perplexities["ppl_fp16"]),
        per_word=printed["dataset"].isin(PER_WORD),
        broken=[pair in BROKEN for pair in pairs],
    )


def printed_twice(points: pd.DataFrame) -> pd.DataFrame:
    """Return the settings that two sources print, one row each: `SETTING`, `ratio` of the larger QiD to the smaller.

    Rows whose QiD isn't positive in both are left out: they have no ratio.
    """
    ends = points.groupby(SETTING, dropna=False)["qid_nats"].agg(["min", "max", "size"])
    twice = ends[(ends["size"] > 1) & (ends["min"] > 0)]
    return (twice["max"] / twice["min"]).rename("ratio").reset_index()


def one_a_setting(points: pd.DataFrame) -> pd.DataFrame:
    """Return each setting once; of two sources the one that prints more rows."""
    order = points["source"].map(points["source"].value_counts()).sort_values(ascending=False, kind="stable").index
    return points.loc[order].drop_duplicates(SETTING).sort_index()


def over_laws(points: pd.DataFrame, laws: Mapping[str, Law | ChainedLaw | Mapping[int, Law]]) -> pd.DataFrame:
    """Return each point beside each law that can speak of it: `law`, `predicted_nats`, `ratio` (measured / predicted).

    A law may be one record per bit width. `group_size` of the points, a number, is handed to laws that need it. A QiD
    of zero or less has a ratio of zero or less. Raises AnalysisError where no law can say anything.
    """
    parts = []
    for name, law in laws.items():
        for bits, rows in points.groupby("bits"):
            law_of_width = law.get(int(bits)) if isinstance(law, Mapping) else law
            if law_of_width is None:
                continue
            in_groups = isinstance(law_of_width, Law) and "group_size" in law_of_width.needs()
            more = {"group_size": rows["group_size"].astype(float)} if in_groups else {}
            try:
                said = law_of_width.predict(rows[TOKENS_SEEN], rows[N_PARAMS], rows["bits"], **more)
            except LawError:
                continue
            parts.append(rows.assign(law=name, predicted_nats=said, ratio=rows["qid_nats"] / said))
    if not parts:
        raise AnalysisError(f"none of {', '.join(laws)} can say anything of these points")
    return pd.concat(parts, ignore_index=True)


def exponents(points: pd.DataFrame, along: str, by: Sequence[str], level: float = 0.95) -> pd.DataFrame:
    """Return the slope of ln QiD on ln `along` in each group of points, with its t interval over points (no unit).

    Columns: `by`, `exponent`, `low`, `high`, `n_points`. A description of the points, no law: other variables of a
    group should be equal. Rows without a positive QiD have no logarithm and must be left out before; raises
    AnalysisError where there are any. Groups of less than three points have no interval and aren't there.
    """
    if (points["qid_nats"] <= 0).any():
        raise AnalysisError("a slope of ln QiD needs positive QiD")
    slopes = []
    for key, rows in points.groupby(list(by)):
        if rows[along].nunique() < 3:
            continue
        line = stats.linregress(np.log(rows[along]), np.log(rows["qid_nats"]))
        half = stats.t.ppf(0.5 + level / 2, len(rows) - 2) * line.stderr
        ends = {"exponent": line.slope, "low": line.slope - half, "high": line.slope + half, "n_points": len(rows)}
        slopes.append(dict(zip(by, key, strict=True)) | ends)
    return pd.DataFrame(slopes)
