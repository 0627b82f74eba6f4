"""Which rows the study means: its families, texts, tokens and bit widths, spelled out here and nowhere else."""

from collections.abc import Mapping

import pandas as pd

from helpers.analyse.rows.degradation import TOKENS_SEEN, degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.table.errors import AnalysisError

TRUNK = "tadpole-trunk"  # the family the book's main chapters are about
SEEDS = "tadpole-seeds"  # the family that trains some of the trunk's models from other seeds
RATES = "tadpole-rates"  # the family that trains some of them at other learning rates
DEPTH = "tadpole-depth"  # the family of other depths and widths at the trunk's sizes
MIXED = "tadpole-mixed"  # the trunk's smaller runs again, whose matrices are rounded in part
NINTH = "tadpole-ninth"  # the family of the trunk's largest size, the ninth, from another seed
NINTH_RATE = "tadpole-ninth-rate"  # the family of that size at half the rate
STUDY = {"device_type": "cuda", "n_sequences": 512}  # other sweeps have another device or less text
POCKET = {"device_type": "cpu", "n_sequences": 128}  # of the sweep that every reader can repeat
OUTSIDE = ("smollm2-wheel",)  # families that others trained, in results/outside.parquet
TWO_CORES = POCKET | {"seq_len": 64}  # how they were measured first, where predictions got most of their outcomes
ON_A_GPU = {"device_type": "cuda", "seq_len": 512}  # and then, in windows as long as the study's
HELDOUT = "wheels-heldout"
UNSEEN = "wheels-unseen"  # packages that training never read
PROSE = "wheels-prose"
LATE_TOKENS = 60e6  # QiD of the tadpoles rises from here on
FITTED_BITS = (2, 3, 4)
GROUP_SIZE = 32
MOST_EPOCHS = 4


def agreeing(table: pd.DataFrame, values: Mapping[str, object]) -> pd.Series:
    """Return which rows have these values in these columns, for example those of `STUDY`."""
    return (table[list(values)] == pd.Series(values)).all(axis=1)


def as_declared(table: pd.DataFrame) -> pd.Series:
    """Return which rows predictions are held against: the study's and those of models from outside, one calibration.

    That calibration is the first draw of text.
    """
    from_outside = table["family"].isin(OUTSIDE) & (agreeing(table, TWO_CORES) | agreeing(table, ON_A_GPU))
    return (agreeing(table, STUDY) | from_outside) & (table["calib_seed"].fillna(0) == 0)


def unbranched(table: pd.DataFrame) -> pd.Series:
    """Return which rows are of a model's own run: neither branches (cooldowns) nor averages."""
    return table["run"] == table["model"]


def on_trunk(table: pd.DataFrame) -> pd.Series:
    """Return which rows are the trunk's own: neither branches nor averages."""
    return (table["family"] == TRUNK) & unbranched(table)


def late(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows beyond `LATE_TOKENS`."""
    return table[table[TOKENS_SEEN] > LATE_TOKENS]


def trunk_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the trunk's rows at the fitted bit widths."""
    return table[on_trunk(table) & table["bits"].isin(FITTED_BITS)]


def rows_of_every_run(rows: pd.DataFrame, text: str = HELDOUT) -> pd.DataFrame:
    """Return the study's measurements on one evaluation text with the first draw of calibration text.

    They are of all families and runs: cooldowns, cosines, averages, other learning rates, depths, weight decays, seeds.
    """
    return rows[agreeing(rows, STUDY) & (rows["eval_dataset"] == text) & (rows["calib_seed"].fillna(0) == 0)]


def study_rows(rows: pd.DataFrame, text: str = HELDOUT) -> pd.DataFrame:
    """Keep the trunk's rows: one training run per size, all on the same batches at the same constant learning rate.

    Branches and averages of a run aren't among them.
    """
    every = rows_of_every_run(rows, text)
    return every[on_trunk(every)]


def rows_at(measured: pd.DataFrame, text: str, group_size: int = GROUP_SIZE) -> pd.DataFrame:
    """Return late rows of every run and bit width, of at most `MOST_EPOCHS` epochs, with QiD on one evaluation text."""
    late = rows_of_fit(degradation(rows_of_every_run(measured, text)), "gptq", group_size, False, LATE_TOKENS)
    return late[late["epochs"] <= MOST_EPOCHS].reset_index(drop=True)


def rows_in_groups(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the trunk's rows at the fitted bit widths in every group size that was measured."""
    every = measured.loc[(measured["method"] == "gptq") & ~measured["symmetric"].astype("boolean"), "group_size"]
    parts = [rows_at(measured, HELDOUT, size) for size in sorted(every.dropna().unique())]
    return trunk_rows(pd.concat(parts, ignore_index=True))


def rows_of_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `table` of models that were trained from several seeds, at the steps that the seeds share.

    They are those of the families `SEEDS` and `NINTH` and of the trunk's runs of the same models. Raises AnalysisError
    where there are none.
    """
    chosen = table[on_trunk(table) | table["family"].isin([SEEDS, NINTH])]
    several = chosen.groupby(["model", "step"])["train_seed"].transform("nunique") > 1
    if not several.any():
        raise AnalysisError("no model was trained from two seeds or more")
    return chosen[several].reset_index(drop=True)


def gptq_of_study(measurements: pd.DataFrame, text: str = HELDOUT) -> pd.DataFrame:
    """Return `degradation` of the study's rows that the floor is about: GPTQ, asymmetric groups, the fitted bit widths.

    They are of all runs on one evaluation text, with every draw of calibration text.
    """
    of_study = agreeing(measurements, STUDY) & (measurements["eval_dataset"] == text)
    rows = degradation(measurements[of_study & measurements["method"].isin(["gptq", "none"])])
    plain = rows_of_fit(rows, "gptq", GROUP_SIZE, symmetric=False)
    return plain[plain["bits"].isin(FITTED_BITS)].reset_index(drop=True)
