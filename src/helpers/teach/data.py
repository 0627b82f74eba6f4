"""Tables for exercises: the study's rows with the columns that one works with, names as in the data dictionary.

They are read from `results/` and `data/` below the folder that Python runs in, once a session; each call gives a copy.
ResultsError where they aren't there.
"""

from functools import cache
from pathlib import Path

import pandas as pd

from helpers.analyse.fits.stored import TABLE, StoredFits, read_fits
from helpers.analyse.judgement.make_fits import read_measured
from helpers.analyse.laws.default import FITS
from helpers.analyse.mixed.block_size import rows_of_blocks
from helpers.analyse.mixed.trials import SLACK, with_metrics
from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.study import (
    GROUP_SIZE,
    HELDOUT,
    ON_A_GPU,
    agreeing,
    on_trunk,
    rows_at,
    rows_of_every_run,
    rows_of_seeds,
    trunk_rows,
)
from helpers.table.errors import ResultsError
from helpers.table.files import read_checkpoints, read_table, read_trials

CHECKPOINTS = Path("results/checkpoints.parquet")
TRIALS = Path("results/trials.parquet")
OUTSIDE = Path("results/outside.parquet")
PRINTED = Path("data/published/ouyang2024_table1.csv")
OF_CHECKPOINT = ["model", "run", "train_seed", "step", "tokens_seen", "epochs", "n_params_non_embedding", "lr_fraction"]
OF_SCHEME = ["method", "format", "bits", "group_size", "quantized_ratio", "effective_bits"]
OUTCOMES = ["baseline_loss_nats", "qid_nats", "qid_se_nats"]
COLUMNS = [*OF_CHECKPOINT, *OF_SCHEME, *OUTCOMES]


def every_run() -> pd.DataFrame:
    """Return QiD of all training runs on held-out text, cooldowns and cosines among them, by every method."""
    return _every_run()[COLUMNS].copy()


def trunk() -> pd.DataFrame:
    """Return the rows of `every_run` of the main family: nine sizes, one run each at a constant rate."""
    return _every_run().loc[lambda table: on_trunk(table), COLUMNS].reset_index(drop=True)


def late() -> pd.DataFrame:
    """Return the rows that laws are fitted to: GPTQ in groups of 32 at 2, 3 and 4 bits, from 60M tokens on."""
    return _late()[COLUMNS].copy()


def seeds() -> pd.DataFrame:
    """Return the late rows of the models that were trained from several seeds, at the steps that the seeds share."""
    return _seeds()[COLUMNS].copy()


def checkpoints() -> pd.DataFrame:
    """Return what is known of each checkpoint before any rounding, all columns of its dictionary."""
    return _checkpoints().copy()


def trials() -> pd.DataFrame:
    """Return the trials of searches with their QiD: which matrices went low (`assignment`, a digit each), at what cost.

    They are of four bits in MXINT, inputs too, chosen matrix by matrix.
    """
    return _trials().copy()


def recipes() -> pd.DataFrame:
    """Return the assignments that searches chose, of the scheme of `trials`, rounded as for use, on held-out text."""
    return _mixed().loc[lambda table: table["group_size"] == GROUP_SIZE, COLUMNS].reset_index(drop=True)


def blocks() -> pd.DataFrame:
    """Return QiD by block size: MXINT with four bits, inputs too, everything rounded, one scale a block."""
    return _mixed().loc[lambda table: table["quantized_ratio"] >= 1 - SLACK, COLUMNS].reset_index(drop=True)


def outside() -> pd.DataFrame:
    """Return QiD of the model that others trained, in windows of 512 tokens, by method, bits and `eval_dataset`."""
    measured = read_table(_here(OUTSIDE)).to_pandas()
    first_draw = measured[agreeing(measured, ON_A_GPU) & (measured["calib_seed"].fillna(0) == 0)]
    return degradation(first_draw)[[*COLUMNS, "eval_dataset"]]


def printed() -> pd.DataFrame:
    """Return the published table of tokens (in trillions) at which a size and bit width reach a QiD."""
    return pd.read_csv(_here(PRINTED))


def _here(path: Path) -> Path:
    """Return the path of a table. Raises ResultsError where it isn't there: Python runs in another folder."""
    if not path.exists():
        raise ResultsError(f"{path}: not in {Path.cwd()}; accepted: Python that runs in the book's folder")
    return path


@cache
def fits() -> StoredFits:
    """Return all laws as fitted to this book's rows."""
    return read_fits(_here(FITS))


@cache
def _measured() -> pd.DataFrame:
    return read_measured(_here(TABLE))


@cache
def _every_run() -> pd.DataFrame:
    table = degradation(rows_of_every_run(_measured()))
    return table[(table["format"] != "int") | ~table["symmetric"].astype(bool)].reset_index(drop=True)


@cache
def _late() -> pd.DataFrame:
    return trunk_rows(rows_at(_measured(), HELDOUT)).reset_index(drop=True)


@cache
def _seeds() -> pd.DataFrame:
    return rows_of_seeds(rows_at(_measured(), HELDOUT))


@cache
def _checkpoints() -> pd.DataFrame:
    table: pd.DataFrame = read_checkpoints(_here(CHECKPOINTS)).to_pandas()
    return table


@cache
def _trials() -> pd.DataFrame:
    table = with_metrics(read_trials(_here(TRIALS)).to_pandas())
    chosen = (table["format"] == "mxint") & (table["group_size"] == GROUP_SIZE) & (table["granularity"] == "matmul")
    return table[chosen].reset_index(drop=True)


@cache
def _mixed() -> pd.DataFrame:
    table = rows_of_blocks(_measured())
    return table[(table["scale"] == "block") & (table["lr_phase"] != "decay")].reset_index(drop=True)
