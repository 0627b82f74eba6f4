"""Mixed quantization: trials of a search, the best assignments among them, and recipes scored on held-out text.

An *assignment* says which parts of a model are in low precision; its quantization ratio Qr is their share of the
parameters of the blocks' linear layers (Cao et al. 2024, arXiv 2410.06722v1). A *trial* is an assignment as a search
scored it: matrices swapped in, each rounded on the 16-bit model's activations, on a short text. A *recipe* is the best
assignment of a target ratio, rounded again block after block and scored on held-out text.

Tables of trials have the columns of `helpers.table.trial_rows.TrialRow`, tables of measurements those of `Measurement`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from helpers.analyse.arrays import FloatArray
from helpers.analyse.rows.degradation import BASELINE_KEY, degradation, run_label
from helpers.table.errors import AnalysisError

TARGETS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
MATRICES = ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")  # of a block
SERIES = ["checkpoint_id", "scheme_id", "granularity", "eval_id", "device_type"]  # one search problem
LOW_SCHEME = [
    "method",
    "format",
    "bits",
    "group_size",
    "symmetric",
    "activation_format",
    "activation_bits",
    "activation_group_size",
]
METRICS = {
    "relative_perplexity": "relative rise of the perplexity (share)",
    "qid_nats": "QiD (nats per token)",
    "accuracy_drop": "loss of top-1 accuracy (share of tokens)",
}
SLACK = 1e-9  # of a ratio against its target: both are quotients of whole numbers


def relative_perplexity(qid_nats: ArrayLike) -> FloatArray:
    """Return the relative rise of the perplexity, exp(QiD) - 1, no unit: the metric of Cao et al. (2024)."""
    return np.expm1(np.asarray(qid_nats, float))


def with_metrics(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials beside the 16-bit trial of their search problem (SERIES).

    Adds `run_label`, `baseline_loss_nats`, `baseline_top1_accuracy` and the columns of METRICS; the 16-bit
    rows (search `none`) stay, with all metrics 0. Raises AnalysisError, naming a checkpoint, where a 16-bit row is
    missing, or where two of one problem differ.
    """
    columns = {"loss_nats": "baseline_loss_nats", "top1_accuracy": "baseline_top1_accuracy"}
    baselines = trials.loc[trials["search"] == "none", [*SERIES, *columns]].drop_duplicates()
    _refuse(baselines[baselines.duplicated(SERIES)], "16-bit trials of one search problem differ")
    joined = trials.merge(baselines.rename(columns=columns), on=SERIES, how="left", validate="m:1")
    _refuse(joined[joined["baseline_loss_nats"].isna()], "trials without the 16-bit one of their search problem")
    qid = joined["loss_nats"] - joined["baseline_loss_nats"]
    return joined.assign(
        run_label=run_label(joined),
        qid_nats=qid,
        relative_perplexity=relative_perplexity(qid),
        accuracy_drop=joined["baseline_top1_accuracy"] - joined["top1_accuracy"],
    )


def _refuse(rows: pd.DataFrame, complaint: str) -> None:
    if not rows.empty:
        named = ", ".join(rows["checkpoint_id"].unique()[:3])
        raise AnalysisError(f"{complaint}: checkpoint {named}; {len(rows)} rows in all")


def scheme_names(table: pd.DataFrame) -> pd.Series:
    """Return the name of each row's low precision, for example `MXINT 4 bits, inputs too` or `GPTQ 3 bits`.

    Groups of other than 32 weights are named: `, g16`, or `, per row`.
    """
    format_ = table["format"].where(table["format"] != "int", table["method"]).str.upper()
    inputs = np.where(table["activation_format"].isna(), "", ", inputs too")
    groups = table["group_size"].astype(object).where(table["group_size"].notna(), None)
    group = ["" if size == 32 else ", per row" if size is None else f", g{size:.0f}" for size in groups]
    return format_ + table["bits"].map(" {:.0f} bits".format) + inputs + group


def meeting(table: pd.DataFrame, target: float) -> pd.DataFrame:
    """Return the rows whose quantization ratio is the target's or more."""
    return table[table["quantized_ratio"] >= target - SLACK]


def best_at_targets(scored: pd.DataFrame, targets: Sequence[float] = TARGETS, metric: str = "qid_nats") -> pd.DataFrame:
    """Return the best trial of each search problem (SERIES), target ratio and search: the least `metric`.

    `scored` comes from `with_metrics`. A trial counts for the target its search was given; a trial without a target
    counts for every target that its ratio reaches. The search `any` is the best of all trials that meet a target,
    whatever they were made for. `target_ratio` is the target served. The 16-bit rows serve none.
    """
    low = scored[scored["search"] != "none"]
    parts = []
    for target in targets:
        met = meeting(low, target)
        own = met[met["target_ratio"].isna() | np.isclose(met["target_ratio"], target)]
        for table in (own, met.assign(search="any")):
            best = table.sort_values(metric, kind="stable").drop_duplicates([*SERIES, "search"])
            parts.append(best.assign(target_ratio=target))
    return pd.concat(parts).sort_values([*SERIES, "search", "target_ratio"]).reset_index(drop=True)


def front(table: pd.DataFrame, metric: str = "qid_nats") -> pd.DataFrame:
    """Return the rows of one search problem that no other beats: none has as much in low precision and costs as little.

    Sorted by ratio, with which `metric` rises: one row per step.
    """
    downward = table.sort_values(["quantized_ratio", metric], ascending=[False, True], kind="stable")
    least = downward[metric].cummin()
    return downward[least < least.shift(fill_value=np.inf)][::-1].reset_index(drop=True)


def sensitivities(scored: pd.DataFrame) -> pd.DataFrame:
    """Return one row per part that was alone in low precision (search `single`), with `block`, `matrix` and `share`.

    `matrix` is the layer's name within its block, `whole block` where the block is assigned as one; `share` is the
    part's share of the parameters (its Qr). Raises AnalysisError where an assignment isn't of one part.
    """
    single = scored[scored["search"] == "single"]
    places = [[place for place, digit in enumerate(text) if digit == "1"] for text in single["assignment"]]
    blocks = [{place // len(MATRICES) for place in one} for one in places]
    parts = single["granularity"].map({"layer": len(MATRICES), "matmul": 1})
    wrong = [len(one) != part or len(inside) != 1 for one, part, inside in zip(places, parts, blocks, strict=True)]
    _refuse(single[wrong], "a single trial isn't of one part")
    return single.assign(
        block=[one[0] // len(MATRICES) for one in places],
        matrix=["whole block" if len(one) > 1 else MATRICES[one[0] % len(MATRICES)] for one in places],
        share=single["quantized_ratio"],
    )


def relative_sensitivities(single: pd.DataFrame) -> pd.DataFrame:
    """Return `sensitivities` with `relative`: a part's share of the summed costs of parts alone, over its `share`.

    No unit; 1: it costs what its size says. NaN where its QiD isn't positive, so that it has no share.
    """
    total = single.groupby(SERIES)["qid_nats"].transform("sum")
    return single.assign(relative=(single["qid_nats"] / total / single["share"]).where(single["qid_nats"] > 0))


def assignment_of(kept_matrices: Sequence[str], n_layers: int) -> str:
    """Return the digits of an assignment, block after block: 0 for the kept matrices, 1 for those in low precision.

    Raises AnalysisError for a name that such a model doesn't have.
    """
    names = [f"{block}.{name}" for block in range(n_layers) for name in MATRICES]
    unknown = sorted(set(kept_matrices) - set(names))
    if unknown:
        raise AnalysisError(f"no matrix '{unknown[0]}' in a model of {n_layers} blocks of {', '.join(MATRICES)}")
    return "".join("0" if name in set(kept_matrices) else "1" for name in names)


def recipes(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `degradation` with the columns of METRICS and `assignment`, as trials have them.

    Everything in low precision (nothing kept) is the recipe of ratio 1. `measurements` are of one family's tadpoles.
    Raises AnalysisError as `degradation` does.
    """
    table = degradation(measurements)
    baselines = measurements[(measurements["method"] == "none") & (measurements["status"] == "ok")]
    accuracy = baselines.set_index(BASELINE_KEY)["top1_accuracy"].rename("baseline_top1_accuracy")
    table = table.join(accuracy, on=BASELINE_KEY)
    kept = zip(table["kept_matrices"], table["n_layers"], strict=True)
    return table.assign(
        relative_perplexity=relative_perplexity(table["qid_nats"]),
        accuracy_drop=table["baseline_top1_accuracy"] - table["top1_accuracy"],
        assignment=[assignment_of(list(names), n_layers) for names, n_layers in kept],
    )


def swapped_and_rounded(scored: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return each assignment's trial beside its recipe: same weights, low scheme, assignment and device.

    `table` comes from `recipes`. Columns are the recipe's, with the metrics of the trial under `swapped_` and its
    `granularity`. An assignment that several searches tried counts once per granularity. Raises AnalysisError where the
    trials are of more than one text.
    """
    if scored["eval_id"].nunique() > 1:
        raise AnalysisError(f"trials beside recipes must be of one text; got {scored['eval_id'].nunique()}")
    key = ["checkpoint_id", "assignment", "device_type", *LOW_SCHEME]
    columns = {name: f"swapped_{name}" for name in METRICS}
    tried = scored[scored["search"] != "none"].drop_duplicates([*key, "granularity"])
    tried = tried[[*key, "granularity", *columns]].rename(columns=columns)
    both = table.merge(tried, on=key, how="inner")
    twice = both.duplicated([*key, "granularity", "eval_id"])
    _refuse(both[twice], "more than one recipe of an assignment")
    return both
