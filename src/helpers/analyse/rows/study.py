"""Which rows the study means: its runs, texts, tokens and bit widths, spelled out here and nowhere else."""

import pandas as pd

from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.standard_errors import AnalysisError

TRUNK = "tadpole-trunk"  # the family the book's main chapters are about
SEEDS = "tadpole-seeds"  # the family that trains some of the trunk's models from other seeds
STUDY = {"device_type": "cuda", "n_sequences": 512}  # other sweeps have another device or less text
HELDOUT = "wheels-heldout"
UNSEEN = "wheels-unseen"
LATE_TOKENS = 60e6  # QiD of the tadpoles rises from here on
FITTED_BITS = (2, 3, 4)
GROUP_SIZE = 32
MOST_EPOCHS = 4


def on_trunk(table: pd.DataFrame) -> pd.Series:
    """Return which rows are the trunk's own: neither branches nor averages."""
    return (table["family"] == TRUNK) & (table["run"] == TRUNK + "/" + table["model"])


def rows_at(measured: pd.DataFrame, text: str, group_size: int = GROUP_SIZE) -> pd.DataFrame:
    """Return late rows of every run and bit width, of at most `MOST_EPOCHS` epochs, with QiD on one evaluation text."""
    late = rows_of_fit(degradation(rows_of_every_run(measured, text)), "gptq", group_size, False, LATE_TOKENS)
    return late[late["epochs"] <= MOST_EPOCHS].reset_index(drop=True)


def rows_in_groups(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the trunk's rows at the fitted bit widths in every group size that was measured."""
    every = measured.loc[(measured["method"] == "gptq") & ~measured["symmetric"].astype("boolean"), "group_size"]
    parts = [rows_at(measured, HELDOUT, size) for size in sorted(every.dropna().unique())]
    return _trunk(pd.concat(parts, ignore_index=True))


def _trunk(table: pd.DataFrame) -> pd.DataFrame:
    return table[on_trunk(table) & table["bits"].isin(FITTED_BITS)]


def rows_of_every_run(rows: pd.DataFrame, text: str = HELDOUT) -> pd.DataFrame:
    """Return the study's measurements on one evaluation text with the first draw of calibration text.

    They are of all families and runs: cooldowns, cosines, averages, other learning rates, depths, weight decays, seeds.
    """
    of_study = (rows[list(STUDY)] == pd.Series(STUDY)).all(axis=1)
    return rows[of_study & (rows["eval_dataset"] == text) & (rows["calib_seed"].fillna(0) == 0)]


def study_rows(rows: pd.DataFrame, text: str = HELDOUT) -> pd.DataFrame:
    """Return of those the trunk's: one run a size, all on the same batches at the same constant learning rate.

    Branches and averages of a run aren't among them.
    """
    every = rows_of_every_run(rows, text)
    return every[(every["family"] == TRUNK) & (every["run"] == every["model"])]


def rows_of_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `table` of models that were trained from several seeds, at the steps that the seeds share.

    They are those of the family `tadpole-seeds` and of the trunk's runs of the same models. Raises AnalysisError
    where there are none.
    """
    usual = (table["family"] == TRUNK) & (table["run"] == TRUNK + "/" + table["model"])
    chosen = table[usual | (table["family"] == SEEDS)]
    several = chosen.groupby(["model", "step"])["train_seed"].transform("nunique") > 1
    if not several.any():
        raise AnalysisError("no model was trained from two seeds or more")
    return chosen[several].reset_index(drop=True)


def gptq_of_study(measurements: pd.DataFrame, text: str = HELDOUT) -> pd.DataFrame:
    """Return `degradation` of the study's rows that the floor is about: GPTQ, asymmetric groups of 32, 2 to 4 bits.

    They are of all runs on one evaluation text, with every draw of calibration text.
    """
    of_study = (measurements[list(STUDY)] == pd.Series(STUDY)).all(axis=1) & (measurements["eval_dataset"] == text)
    rows = degradation(measurements[of_study & measurements["method"].isin(["gptq", "none"])])
    plain = rows_of_fit(rows, "gptq", 32, symmetric=False)
    return plain[plain["bits"].between(2, 4)].reset_index(drop=True)
