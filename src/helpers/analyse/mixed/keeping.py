"""Ways of rounding that keep something, on equal terms: QiD against stored bits per weight, kept weights counted.

Plain rounding treats all weights of a matrix alike. Other ways keep something: columns with large inputs (AWQ, arXiv
2306.00978), whole matrices (arXiv 2410.06722), single weights with large gradients (GWQ, arXiv 2411.00850), bits for
channels (CMPQ, arXiv 2410.13056), the inputs' small values (CrossQuant, arXiv 2410.07505). Each way's QiD is set over
that of plain GPTQ at equal stored bits, which is read off straight lines in ln QiD between GPTQ's own bit widths.

Tables are those of `degradation`. Documents are drawn with replacement, the same ones for every row.
"""

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitError
from helpers.analyse.mixed.trials import MATRICES, SLACK, TARGETS
from helpers.analyse.questions.slopes_of_ratios import mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import GROUP_SIZE, HELDOUT, MIXED, agreeing, unbranched
from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error

SEVEN = {"family": MIXED, "device_type": "cuda", "eval_dataset": HELDOUT, "n_sequences": 256}
KEPT_BITS = 16  # of a weight that isn't rounded
COARSE_GROUP = 128  # of GPTQ that spends fewer bits on scales than the line of groups of GROUP_SIZE
LINE, NEAREST, BLOCKS, SINGLE = "GPTQ", "RTN", "GPTQ, blocks kept", "GPTQ, matrices kept"
INPUTS = {1.0: "RTN, a scale a token"}  # of rows that round inputs too, by activation exponent; others are CrossQuant


def seven_rows(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the measurements of the seven ways and their 16-bit baselines: SEVEN, integers and codebooks.

    Branches of a run (cooldowns) aren't among them. Raises AnalysisError where there are none, or several evaluations.
    """
    formats = (measurements["method"] == "none") | measurements["format"].isin(["int", "codebook"])
    plain = (measurements["calib_seed"].fillna(0) == 0) & unbranched(measurements)
    chosen = measurements[agreeing(measurements, SEVEN) & formats & plain]
    if chosen["eval_id"].nunique() != 1:
        raise AnalysisError(f"the seven ways need one evaluation of {MIXED}; got {chosen['eval_id'].nunique()}")
    return chosen


def with_stored_bits(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `stored_bits`, bits per weight of all the blocks' matrices: Qr b + (1 - Qr) 16.

    b are the row's effective bits, of the matrices that are rounded; a method that doesn't record Qr rounds them all.
    """
    rounded = table["quantized_ratio"].fillna(1.0)
    return table.assign(stored_bits=rounded * table["effective_bits"].fillna(KEPT_BITS) + (1 - rounded) * KEPT_BITS)


def with_ways(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `way`, what is kept, and `setting`, how much: for example `CMPQ` at `mean 2.5 bits`.

    A recipe by matrix is named after its low bits and the largest of `trials.TARGETS` that its Qr meets; it is of
    `BLOCKS` where what it keeps is whole blocks.
    """
    return table.assign(way=table.apply(_way, axis=1), setting=table.apply(_setting, axis=1))


def _way(row: pd.Series) -> str:
    if pd.notna(row["activation_format"]):
        return INPUTS.get(row["activation_exponent"], f"CrossQuant, {row['activation_exponent']:g}")
    if len(row["kept_matrices"]) == 0:
        return row["method"].upper()
    blocks = pd.Series([name.partition(".")[0] for name in row["kept_matrices"]]).value_counts()
    return BLOCKS if (blocks == len(MATRICES)).all() else SINGLE


def _setting(row: pd.Series) -> str:
    if pd.notna(row["average_bits"]):
        return f"mean {row['average_bits']:g} bits"
    bits = f"{row['bits']:g} bits"
    if pd.notna(row["activation_format"]):
        return f"{bits}, inputs {row['activation_bits']:g}"
    if len(row["kept_matrices"]) == 0:
        return bits
    met = [target for target in TARGETS if row["quantized_ratio"] >= target - SLACK]
    return f"{bits}, Qr {max(met, default=0):g}"


def log_qid(table: pd.DataFrame, counts: FloatArray) -> FloatArray:
    """Return ln QiD of every row as measured, then on every draw of documents: (rows, 1 + n_draws).

    `counts` is (n_documents, n_draws), as from `resampling.document_counts`. A row whose QiD isn't positive on every
    draw isn't told from zero: it is NaN throughout.
    """
    drawn = np.stack(table["document_qid_nats"].to_numpy()) @ (counts / counts.sum(axis=0))
    qid = np.column_stack([table["qid_nats"].to_numpy(float), drawn])
    positive = (qid > 0).all(axis=1, keepdims=True)
    return np.log(np.where(positive, qid, np.nan))


def against_line(table: pd.DataFrame, counts: FloatArray, line: str = LINE) -> tuple[pd.DataFrame, FloatArray]:
    """Return the rows of all ways but `line` with `ratio`: QiD over that of `line` at equal stored bits; and its draws.

    The draws are ln ratio on draws of documents, (rows, n_draws). `table` has `way` and `stored_bits`. Left out are
    rows beyond their checkpoint's line, and rows that aren't told from zero, as are such places of a line. Raises
    AnalysisError where a checkpoint has two rows of `line` at one place.
    """
    table = table.reset_index(drop=True)
    logs = log_qid(table, counts)
    told = np.isfinite(logs[:, 0])
    is_line = (table["way"] == line).to_numpy()
    if table[is_line].duplicated(["checkpoint_id", "stored_bits"]).any():
        raise AnalysisError(f"a checkpoint has two rows of {line} with the same stored bits")
    lines = {
        checkpoint: rows.sort_values("stored_bits")
        for checkpoint, rows in table[is_line & told].groupby("checkpoint_id")
    }
    read = np.full_like(logs, np.nan)
    for index in np.flatnonzero(told & ~is_line):
        one = lines.get(table.at[index, "checkpoint_id"])
        if one is not None:
            read[index] = _on_line(one["stored_bits"].to_numpy(), logs[one.index], table.at[index, "stored_bits"])
    ratios = logs - read
    inside = np.isfinite(ratios[:, 0])
    return table[inside].assign(ratio=np.exp(ratios[inside, 0])).reset_index(drop=True), ratios[inside, 1:]


def _on_line(places: FloatArray, values: FloatArray, target: float) -> FloatArray:
    """Interpolate `values` (places, k) linearly at `target`, (k,); NaN beyond the ascending places."""
    if not places[0] - SLACK <= target <= places[-1] + SLACK:
        return np.full(values.shape[1], np.nan)
    after = int(np.clip(np.searchsorted(places, target), 1, places.size - 1)) if places.size > 1 else 0
    before = max(after - 1, 0)
    width = places[after] - places[before]
    part = (target - places[before]) / width if width else 0.0
    return (1 - part) * values[before] + part * values[after]


def with_coarse_groups(table: pd.DataFrame, plain: pd.DataFrame, group_size: int = COARSE_GROUP) -> pd.DataFrame:
    """Return the rows of `table` with `coarse`: QiD of plain GPTQ in groups of `group_size` over that in GROUP_SIZE.

    A factor without a unit, read off two lines in ln QiD at each row's `stored_bits`. `plain` has QiD and stored bits
    of plain GPTQ in both group sizes, one row a model, step, group size and width; they may be of another run of the
    same models, since a factor is taken within a run. Left out are rows whose model and step lack a line, or whose
    bits a line doesn't reach. Raises AnalysisError where a line has two rows at one place.
    """
    at = ["model", "step", "group_size"]
    if plain.duplicated([*at, "stored_bits"]).any():
        raise AnalysisError("a model has two rows of plain GPTQ at one step, group size and number of stored bits")
    lines = {key: rows.sort_values("stored_bits") for key, rows in plain.groupby(at)}

    def read(row: pd.Series, size: int) -> float:
        line = lines.get((row["model"], row["step"], size))
        if line is None:
            return np.nan
        places, logs = line["stored_bits"].to_numpy(float), np.log(line[["qid_nats"]].to_numpy(float))
        return float(_on_line(places, logs, row["stored_bits"])[0])

    logs = [read(row, group_size) - read(row, GROUP_SIZE) for _, row in table.iterrows()]
    return table.assign(coarse=np.exp(logs)).dropna(subset=["coarse"]).reset_index(drop=True)


def pooled(ratios: pd.DataFrame, draws: FloatArray) -> pd.DataFrame:
    """Return, by way and setting, the geometric mean of `against_line`'s ratios, and how they move.

    Columns: `n_checkpoints`, `n_models`, `n_rows`, `n_below` (rows that lose less than the line), `stored_bits` (mean),
    `ratio` with `low`, `high`, and `size` and `tokens`, slopes of ln ratio in ln N and ln D, with `_low`, `_high`
    (missing where sizes or tokens are too few). The 95% intervals count models, not rows, and documents. Settings of
    one model are left out.
    """
    summaries = []
    for (way, setting), rows in ratios.groupby(["way", "setting"], sort=False):
        if rows["model"].nunique() < 2:
            continue
        logs, of_cell = rows.assign(ratio=np.log(rows["ratio"])), draws[rows.index.to_numpy()]
        mean = np.exp(mean_and_slopes(logs, "ratio", [], "model", of_cell).loc["mean"])
        summary = {"way": way, "setting": setting, "n_checkpoints": rows["checkpoint_id"].nunique()}
        summary |= {"n_models": rows["model"].nunique(), "stored_bits": rows["stored_bits"].mean()}
        summary |= {"n_rows": len(rows), "n_below": int((rows["ratio"] < 1).sum())}
        summary |= {"ratio": mean["value"], "low": mean["low"], "high": mean["high"]}
        summaries.append(summary | _slopes(logs, of_cell))
    return pd.DataFrame(summaries)


def _slopes(logs: pd.DataFrame, draws: FloatArray) -> dict[str, float]:
    """Return the slopes of ln ratio in ln N and ln D with their intervals; nothing where the rows don't give them."""
    if logs[TOKENS_SEEN].nunique() < 2:
        return {}
    try:
        fitted = mean_and_slopes(logs, "ratio", [N_PARAMS, TOKENS_SEEN], "model", draws)
    except FitError:  # one model alone determines a slope
        return {}
    ends = {"": "value", "_low": "low", "_high": "high"}
    names = {"size": N_PARAMS, "tokens": TOKENS_SEEN}
    return {f"{name}{end}": fitted.at[row, column] for name, row in names.items() for end, column in ends.items()}


def on_front(table: pd.DataFrame) -> pd.Series:
    """Return whether each row is on its checkpoint's front: no other stores as little or less and loses less."""
    front = pd.Series(False, index=table.index)
    for _, rows in table.groupby("checkpoint_id"):
        ordered = rows.sort_values(["stored_bits", "qid_nats"], kind="stable")["qid_nats"]
        front[ordered.index[ordered < ordered.cummin().shift(fill_value=np.inf)]] = True
    return front


def kept_share(table: pd.DataFrame) -> pd.Series:
    """Return, by kind of matrix, the share of such matrices that recipes keep, blocks of all rows taken together."""
    kept = [name.partition(".")[2] for names in table["kept_matrices"] for name in names]
    return pd.Series(kept, dtype=str).value_counts().reindex(MATRICES, fill_value=0) / table["n_layers"].sum()


def input_costs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that round inputs with `cost_nats`: QiD beyond that of the same weights with inputs as they are.

    Adds `cost_se_nats`, paired by document. Raises AnalysisError where a checkpoint lacks the row without.
    """
    alone = table[table["activation_format"].isna() & (table["bits"] == 8) & (table["way"] == NEAREST)]
    both = table[table["activation_format"].notna()]
    columns = ["qid_nats", "document_qid_nats"]
    joined = both.merge(
        alone[["checkpoint_id", *columns]], on="checkpoint_id", suffixes=("", "_alone"), how="left", validate="m:1"
    )
    if joined["qid_nats_alone"].isna().any():
        raise AnalysisError("a checkpoint with rounded inputs lacks the same weights with inputs as they are")
    pairs = zip(joined["document_qid_nats"], joined["document_qid_nats_alone"], strict=True)
    return joined.drop(columns=[f"{name}_alone" for name in columns]).assign(
        cost_nats=joined["qid_nats"] - joined["qid_nats_alone"],
        cost_se_nats=[paired_error(ours - theirs) for ours, theirs in pairs],
    )


def costs_by_way(costs: pd.DataFrame) -> pd.DataFrame:
    """Return, by way and setting of `input_costs`, the mean cost over models in nats per token, with 95% t interval.

    Columns: `n_models`, `n_checkpoints`, `mean`, `low`, `high`, and `most`, the largest cost of a checkpoint.
    """
    summaries = []
    for (way, setting), rows in costs.groupby(["way", "setting"], sort=False):
        by_model = rows.groupby("model")["cost_nats"].mean()
        mean = mean_over_runs(by_model)
        summary = {"way": way, "setting": setting, "n_models": len(by_model)}
        summary |= {"n_checkpoints": rows["checkpoint_id"].nunique(), "most": rows["cost_nats"].max()}
        summaries.append(summary | {name: mean[name] for name in ("mean", "low", "high")})
    return pd.DataFrame(summaries)
