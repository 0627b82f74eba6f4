"""Block size: the exponent of each checkpoint, how it moves with size and tokens, and the joint law's hold-outs.

A *block* is the number of neighbouring values, of weights and activations, that share a scale (Qb). One scale per row
counts as the mean width of a row, which is how Cao et al. (2024, arXiv 2410.06722v1) place it on the same axis.

Tables are those of `degradation`, with QiD in nats per token, or of `in_relative_perplexity`, which have the relative
increase of perplexity in the same columns: what is fitted is a share then, and its error too.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.analyse.fits.by_run import draws_by_run
from helpers.analyse.fits.data import FitData, FitError
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.hold_outs import Split
from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.joint import REFERENCE_BLOCK, BlockPowerLaw
from helpers.analyse.laws.law import Law
from helpers.analyse.mixed.trials import MATRICES, SLACK, relative_perplexity
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import LATE_TOKENS, MIXED, MOST_EPOCHS, study_rows
from helpers.table.errors import AnalysisError

QUANTIZED_RATIOS = {
    0.5: 0.6,
    0.9: 0.95,
    1.0: 1.1,
}  # of the sweep, and below what a recipe counts as one of it
LATE_FACTOR = 3.8  # holds out what is later than 250M of 954M tokens
CHECKPOINT = ["run_label", "model", "step", TOKENS_SEEN, N_PARAMS, "lr_phase", "weights_sha256"]
STEP = 1e-3  # in ln of a variable, for slopes: laws here are at most quadratic there
TWICE = 1.0  # relative increase of perplexity: points at or above it aren't fitted by Cao et al.

# Cao et al. 2024 (v1), Qwen-1.5, MXINT-4 weights and activations: (model, Qr) -> A in percent and k of A Qb^k.
CAO_2024_POWERS = {
    ("7B", 0.5): (0.53, 0.32),
    ("7B", 0.9): (1.65, 0.62),
    ("7B", 0.95): (3.57, 0.61),
    ("14B", 0.5): (0.63, 0.29),
    ("14B", 0.9): (3.3, 0.37),
    ("14B", 0.95): (1.0, 0.63),
}


def mean_block(table: pd.DataFrame) -> pd.Series:
    """Return the values per scale of each row: `group_size`, or 4/3 of the width where a row of a matrix has one scale.

    A block of a tadpole (GPT-NeoX) has 8 d rows of d weights and d rows of 4 d: 12 d^2 weights in 9 d rows.
    """
    return table["group_size"].astype(float).fillna(table["d_model"] * 4 / 3)


def in_blocks(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `scale` (`block` or `row`) and with `group_size` as `mean_block` has it."""
    return table.assign(scale=np.where(table["group_size"].isna(), "row", "block"), group_size=mean_block(table))


def in_relative_perplexity(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the relative increase of perplexity, exp(QiD) - 1, and its error in the columns of QiD."""
    increase = relative_perplexity(table["qid_nats"])
    return table.assign(qid_nats=increase, qid_se_nats=(1 + increase) * table["qid_se_nats"])


def rows_of_groups(measured: pd.DataFrame, bits: int = 3) -> pd.DataFrame:
    """Return the trunk's late GPTQ rows of one bit width, asymmetric, in every group size and in whole rows."""
    chosen = measured["method"].isin(["none", "gptq"]) & (measured["bits"].isna() | (measured["bits"] == bits))
    every = degradation(study_rows(measured[chosen]))
    sizes = [*sorted(every["group_size"].dropna().unique()), None]
    table = pd.concat([rows_of_fit(every, "gptq", size, False, LATE_TOKENS) for size in sizes], ignore_index=True)
    return in_blocks(table[table["epochs"] <= MOST_EPOCHS].reset_index(drop=True))


def matrix_by_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that keep nothing, or other matrices than those of whole decoder blocks."""
    counts = [pd.Series([name.partition(".")[0] for name in kept]).value_counts() for kept in table["kept_matrices"]]
    return table[[one.empty or bool((one < len(MATRICES)).any()) for one in counts]]


def rows_of_blocks(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of mixed quantization with MXINT-4 in weights and activations, in every block size.

    Recipes are those found matrix by matrix. Raises AnalysisError where there are none, or where weights and
    activations differ in their blocks.
    """
    low = (measured["method"] == "rtn") & (measured["format"] == "mxint") & (measured["bits"] == 4)
    low &= measured["activation_format"] == "mxint"
    table = measured[(measured["family"] == MIXED) & (low | (measured["method"] == "none"))]
    if not (table["method"] == "rtn").any():
        raise AnalysisError(f"no row of {MIXED} has weights and activations in mxint")
    table = degradation(table)
    if not table["group_size"].astype(float).equals(table["activation_group_size"].astype(float)):
        raise AnalysisError("rows whose weights and activations have blocks of different sizes")
    return in_blocks(matrix_by_matrix(table)).reset_index(drop=True)


def with_outliers(table: pd.DataFrame, checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `input_outliers` of their checkpoint, no unit: how far the channels of inputs differ.

    Of each matrix's inputs on calibration text the largest root mean square of a channel over the mean one
    (`CheckpointRow.input_max_over_rms`); their geometric mean over matrices. Raises AnalysisError where `checkpoints`
    lacks a checkpoint.
    """
    outliers = checkpoints.set_index("weights_sha256")["input_max_over_rms"]
    means = outliers[~outliers.index.duplicated()].map(
        lambda values: float(np.exp(np.log(np.asarray(values, float)).mean()))
    )
    matched = table["weights_sha256"].map(means)
    if matched.isna().any():
        missing = table.loc[matched.isna()].iloc[0]
        raise AnalysisError(f"{missing['model']}@{missing['step']} isn't in the table of checkpoints")
    return table.assign(input_outliers=matched)


def at_quantized_ratio(table: pd.DataFrame, ratio: float, law: Law) -> pd.DataFrame:
    """Return the rows of one of QUANTIZED_RATIOS, with QiD and its error moved from their own ratio to it by `law`.

    Assignments have steps: a recipe's ratio is that of its target or the next one up, and differs between blocks. Of
    several in one block size of a checkpoint the nearest counts. Raises LawError where the law needs what rows lack.
    """
    own = table["quantized_ratio"]
    near = table[(own >= ratio - SLACK) & (own < QUANTIZED_RATIOS[ratio])].sort_values("quantized_ratio", kind="stable")
    near = near.drop_duplicates([*CHECKPOINT, "group_size"]).sort_index()
    data = FitData.from_table(near)
    there = data.with_covariates(quantized_ratio=np.full(len(near), ratio))
    factor = np.exp([law.evaluate(law.coefficients, one.asked(law))[0] for one in (there, data)])
    factor = factor[0] / factor[1]
    moved = {name: near[name] * factor for name in ("qid_nats", "qid_se_nats")}
    return near.assign(**moved, moved=factor)


def exponents(table: pd.DataFrame, least_blocks: int = 3) -> pd.DataFrame:
    """Return one row per checkpoint with `A` and `k` of increase = A Qb^k, fitted on the scale of the increase.

    `table` has rows of one Qr and one row per block size. `k_se` takes the rows' errors as independent, `n_blocks`
    counts them, `smallest` and `largest` are the increases at the ends. Checkpoints with fewer than `least_blocks` are
    left out; where the fit fails, `reason` says why and the rest is missing.
    """
    rows = []
    for key, cell in table.groupby(CHECKPOINT, dropna=False):
        if cell["group_size"].duplicated().any():
            raise AnalysisError(f"{cell['model'].iloc[0]}@{cell['step'].iloc[0]} has a block size twice at one ratio")
        if len(cell) < least_blocks:
            continue
        cell = cell.sort_values("group_size")
        ends = {"smallest": cell["qid_nats"].iloc[0], "largest": cell["qid_nats"].iloc[-1]}
        row = dict(zip(CHECKPOINT, key, strict=True)) | {"n_blocks": len(cell), "reason": ""} | ends
        try:
            fit = fit_law(BlockPowerLaw, FitData.from_table(cell))
            law, slope = fit.law, fit.estimate("k")
            assert isinstance(law, BlockPowerLaw)
            row |= {"A": law.A, "k": slope.value, "k_se": slope.standard_error}
        except FitError as error:
            row["reason"] = str(error)
        rows.append(row)
    columns = [*CHECKPOINT, "n_blocks", "A", "k", "k_se", "smallest", "largest", "reason"]
    return pd.DataFrame(rows, columns=columns)


def block_splits(table: pd.DataFrame) -> dict[str, Split]:
    """Return the joint law's hold-outs by name, from rows in blocks at a constant rate.

    The last factor in D is `LATE_FACTOR`; a size's largest block is its own. One scale per row counts as `mean_block`.
    """
    decayed, in_block = table["lr_phase"] == "decay", table["scale"] == "block"
    trunk = table[~decayed & in_block]
    size, tokens, block = (trunk[name] for name in (N_PARAMS, TOKENS_SEEN, "group_size"))
    masks = {
        "largest size": size == size.max(),
        f"last factor {LATE_FACTOR:g} in D": tokens > tokens.max() / LATE_FACTOR,
        "Qr = 1": trunk["quantized_ratio"] >= 1 - SLACK,
        "largest block": block == block.groupby(size).transform("max"),
    }
    by_name = {name: Split(trunk[~mask], trunk[mask]) for name, mask in masks.items()}
    by_name["one scale a row"] = Split(trunk, table[~decayed & ~in_block])
    by_name["decayed rate"] = Split(trunk, table[decayed & in_block])
    return {name: one for name, one in by_name.items() if not one.held.empty and not one.training.empty}


def paired_floor(data: FitData) -> np.ndarray:
    """Return the noise floor of rows that have no replicates: their paired errors, in the unit of the increase."""
    return data.outcome_se_nats


def largest_measured(table: pd.DataFrame, budget: float) -> pd.DataFrame:
    """Return one row per checkpoint with `block`, the largest measured block whose increase is within `budget`.

    `table` has rows of one Qr. Missing where no block is; `all_within` where all are: then `block` is a lower limit.
    """

    def of_one(cell: pd.DataFrame) -> pd.Series:
        within = cell["qid_nats"] <= budget
        return pd.Series({"block": cell.loc[within, "group_size"].max(), "all_within": bool(within.all())})

    return table.groupby(CHECKPOINT)[["qid_nats", "group_size"]].apply(of_one).reset_index()


def growth_of_blocks(
    fit: FitResult, place: Mapping[str, float], n_draws: int, generator: np.random.Generator, level: float = 0.95
) -> pd.DataFrame:
    """Return how the block that a fixed increase allows grows at a place: powers of N, of D, and of N with D along.

    With the law's slopes a in ln N, b in ln D and k in ln Qb these are -a / k, -b / k and their sum. The index is
    `size`, `tokens`, `both`; columns `value`, `low`, `high`, no unit, from draws by training run. `place` gives every
    variable of the law.
    """
    drawn = np.vstack([fit.law.coefficients, draws_by_run(fit, n_draws, generator).coefficients])

    def slope(variable: str) -> np.ndarray:
        ends = [fit.law.ask({**place, variable: place[variable] * np.exp(step)}) for step in (STEP, -STEP)]
        high, low = ([float(fit.law.evaluate(one, end)[0]) for one in drawn] for end in ends)
        return (np.array(high) - np.array(low)) / (2 * STEP)

    size, tokens = (-slope(name) / slope("group_size") for name in ("n_params", "tokens"))
    powers = {"size": size, "tokens": tokens, "both": size + tokens}
    ends = {name: np.quantile(of[1:], [0.5 - level / 2, 0.5 + level / 2]) for name, of in powers.items()}
    found = {name: {"value": of[0], "low": ends[name][0], "high": ends[name][1]} for name, of in powers.items()}
    return pd.DataFrame.from_dict(found, orient="index")


def largest_blocks(
    fit: FitResult, budget: float, places: Mapping[str, np.ndarray], n_draws: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Return the block size at which a joint law reaches `budget`: one row a place, with `low` and `high` (95%).

    `fit` has its intervals by run and a law that is a power of the block at each place; `places` holds the other
    variables, each of shape (n_places,). Where the power isn't positive every block is within the budget (infinity) or
    none (0). Below 1 no block is small enough.
    """
    known = {name: np.asarray(values, float) for name, values in places.items()}
    ends = [fit.law.ask(known | {"group_size": REFERENCE_BLOCK * np.exp(step)}) for step in (0, 1)]

    def solved(coefficients: np.ndarray) -> np.ndarray:
        at_32, further = (fit.law.evaluate(coefficients, end)[0] for end in ends)
        power, left = further - at_32, np.log(budget) - at_32
        steps = left / np.where(power > 0, power, np.nan)
        return np.where(power > 0, REFERENCE_BLOCK * np.exp(steps), np.where(left >= 0, np.inf, 0.0))

    drawn = draws_by_run(fit, n_draws, generator).coefficients
    low, high = np.quantile([solved(one) for one in drawn], [0.025, 0.975], axis=0, method="nearest")
    return pd.DataFrame(known | {"block": solved(fit.law.coefficients), "low": low, "high": high})
