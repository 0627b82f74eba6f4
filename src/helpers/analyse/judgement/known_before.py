"""What is known of a checkpoint before it is rounded, one column a row: what a predictor without a law is told.

Rows are QiDs of GPTQ in asymmetric groups of 32 at 2, 3 and 4 bits, joined by their weights with the table of
checkpoints. What is a positive scale is there as its natural logarithm. Nothing here has seen a rounded model run:
`log_rounding` and `log_curvature` round the weights alone.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from helpers.analyse.questions.mechanism import describe, with_description
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import KL
from helpers.analyse.rows.study import FITTED_BITS
from helpers.analyse.rows.weight_noise import NOISE
from helpers.table.errors import AnalysisError

SIZE, TOKENS = "log_n_params", "log_tokens"
BITS = ("two_bits", "four_bits")  # 1 or 0; three bits are neither
CURVATURE = "log_curvature"
PER_PARAMETER = "log_tokens_per_parameter"  # of the two above, for a law
FEATURES = {  # column: words of a page
    SIZE: "size N",
    TOKENS: "tokens D",
    "loss_16_bit": "16-bit loss",
    "entropy": "entropy of predictions",
    "log_trace": "Hessian trace",
    CURVATURE: "cost by curvature",
    "log_rounding": "relative rounding error",
    "log_weight_rms": "rms of weights",
    "log_weight_kurtosis": "kurtosis of weights",
    "log_weight_largest": "largest weight over rms",
    "log_input_kurtosis": "kurtosis of inputs",
    "log_input_largest": "largest channel over mean",
    "learning_rate": "learning rate",
    "lr_fraction": "share of the peak rate",
}
ALIKE = 0.7  # features whose mean |rank correlation| is above this count as one


def with_features(qid: pd.DataFrame, checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Return QiDs with `FEATURES`, `BITS` and `cluster`, a training run with its branches; averages are left out.

    Raises AnalysisError where a checkpoint isn't described, or where a feature isn't finite.
    """
    table = with_description(qid, describe(checkpoints)).reset_index(drop=True)
    largest = {name: table[name].map(np.max) for name in ("weight_max_over_rms", "input_max_over_rms")}
    positive = {
        SIZE: table[N_PARAMS],
        TOKENS: table[TOKENS_SEEN],
        "log_trace": table["hessian_trace"],
        CURVATURE: table["predicted_nats"],
        "log_rounding": table["rounding"],
        "log_weight_rms": table["rms"],
        "log_weight_kurtosis": table["mean_weight_kurtosis"],
        "log_weight_largest": largest["weight_max_over_rms"],
        "log_input_kurtosis": table["mean_input_kurtosis"],
        "log_input_largest": largest["input_max_over_rms"],
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = {name: np.log(values.astype(float)) for name, values in positive.items()}
    table = table.assign(
        **logs,
        **{PER_PARAMETER: logs[TOKENS] - logs[SIZE]},
        loss_16_bit=table["baseline_loss_nats"],
        entropy=table["logit_entropy_nats"],
        two_bits=(table["bits"] == 2).astype(float),
        four_bits=(table["bits"] == 4).astype(float),
    )
    unknown = [name for name in FEATURES if not np.isfinite(table[name].to_numpy(float)).all()]
    if unknown:
        raise AnalysisError(f"not finite in every row: {', '.join(unknown)}")
    return table


def rank_correlations(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return |Spearman's correlation| of features, the mean over bit widths; a constant one correlates with nothing."""
    widths = [table.loc[table["bits"] == bits, list(names)] for bits in FITTED_BITS if (table["bits"] == bits).any()]
    whole = np.mean([width.corr(method="spearman").abs().fillna(0.0).to_numpy() for width in widths], axis=0)
    np.fill_diagonal(whole, 1.0)
    return pd.DataFrame(whole, index=list(names), columns=list(names))


def alike(table: pd.DataFrame, names: Sequence[str], threshold: float = ALIKE) -> list[tuple[str, ...]]:
    """Return the features in groups that hardly can be told apart: average linkage on 1 - |rank correlation|."""
    correlations = rank_correlations(table, names)
    distances = squareform(1 - correlations.to_numpy(), checks=False)
    places = fcluster(linkage(distances, "average"), 1 - threshold, "distance")
    groups = pd.Series(list(names)).groupby(places).agg(tuple)
    return sorted(groups, key=lambda group: list(names).index(group[0]))


def beside_noise(kl: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Return GPTQ's KL, ln of two guesses at it (`log_noise`, that of noise, and `CURVATURE`), `cluster` and `BITS`.

    `kl` and `costs` are of `weight_noise.mean_kl` and `curvature_costs`, at `FITTED_BITS`.
    """
    rows = kl.reset_index()
    said = costs.drop(columns="trace_error").stack()
    places = pd.MultiIndex.from_frame(rows[["weights_sha256", "bits"]])
    return pd.DataFrame(
        {
            "cluster": rows["run_label"],
            "bits": rows["bits"],
            "two_bits": (rows["bits"] == 2).astype(float),
            "four_bits": (rows["bits"] == 4).astype(float),
            KL.column: rows["gptq"],
            "log_noise": np.log(rows[NOISE]),
            CURVATURE: np.log(said.reindex(places).to_numpy()),
        }
    )
