"""Which rows are compared: those of one scheme, those that share a fit, the keys that join them."""

from pathlib import Path

import pandas as pd

from helpers.analyse.rows.degradation import SCHEME_OPTIONS, TOKENS_SEEN
from helpers.table.errors import AnalysisError, SpecError
from helpers.table.families.catalogue import MANIFEST, read_manifest
from helpers.table.readers import read_yaml

PAIR_KEY = ["checkpoint_id", "eval_id", "device_type", "bits"]
SCHEME_FAMILY = ["group_size", "symmetric", *SCHEME_OPTIONS]
REPLICATE_KEY = [*PAIR_KEY, "method", *SCHEME_FAMILY]
ONE_VALUE_A_FIT = [
    "device_type",
    "eval_id",
    "method_version",
    "calib_dataset",
    "rel_damp",
    "hessian_dtype",
    "propagate",
    *SCHEME_OPTIONS,
]


def rows_named(table: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `table` that agree with some row of `wanted` in all its columns; missing matches missing.

    Raises AnalysisError where none does.
    """
    names = list(wanted.columns)
    keys = [frame[names].astype(object).where(frame[names].notna(), None) for frame in (table, wanted)]
    found, asked = (list(map(tuple, key.to_numpy())) for key in keys)
    chosen = table[[row in set(asked) for row in found]]
    if chosen.empty:
        raise AnalysisError(f"none of the {len(wanted)} rows asked for is in the table of {len(table)}")
    return chosen.reset_index(drop=True)


def rows_of_sweep(table: pd.DataFrame, sweep: Path) -> pd.DataFrame:
    """Return the rows of the families and of as many sequences as a sweep's YAML declares: no other model's.

    A text of the Hub may have fewer, where its documents don't give so many. A family is a name, or a folder whose
    manifest has it. Raises AnalysisError for no row, SpecError for another file.
    """
    declared = read_yaml(sweep)
    try:
        named, n_sequences = [part["family"] for part in declared["parts"]], declared["evaluation"]["sequences"]
    except (LookupError, TypeError):
        raise SpecError(
            f"{sweep}: not a sweep; accepted: parts with a family each, evaluation with sequences"
        ) from None
    families = {name for family in named for name in _families_of(Path(family))}
    n_scored, of_the_hub = table["n_sequences"], table["eval_dataset"].str.startswith("hf://")
    chosen = table[table["family"].isin(families) & ((n_scored == n_sequences) | of_the_hub & (n_scored < n_sequences))]
    if chosen.empty:
        raise AnalysisError(f"no row of {', '.join(sorted(families))}, as {sweep} declares, in the table")
    return chosen.reset_index(drop=True)


def _families_of(named: Path) -> set[str]:
    if (named / MANIFEST).exists():
        return {checkpoint.family for checkpoint in read_manifest(named)}
    return {named.name}


def commonest_scheme(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the rows of `method` with its commonest group size, symmetry and options, of the lowest calibration seed.

    That leaves one scheme a bit width. Raises AnalysisError where the method isn't in the table.
    """
    rows = table[table["method"] == method]
    if rows.empty:
        raise AnalysisError(f"no {method} row in the table; there are: {', '.join(sorted(table['method'].unique()))}")
    rows = rows[rows["calib_seed"].isna() | (rows["calib_seed"] == rows["calib_seed"].min())]
    families = [frame for _, frame in rows.groupby(SCHEME_FAMILY, dropna=False)]
    return max(families, key=len).reset_index(drop=True)


def rows_of_fit(
    table: pd.DataFrame, method: str, group_size: int | None, symmetric: bool, tokens_above: float = 0.0
) -> pd.DataFrame:
    """Return the rows of one scheme family: one method, group size (None: per row) and symmetry, all bit widths.

    `table` comes from `degradation`; only checkpoints with more than `tokens_above` training tokens are kept.
    Raises AnalysisError where nothing is left, or where a column of `ONE_VALUE_A_FIT` has several values: a checkpoint
    counted twice would look like more evidence than it is. Calibration seeds may differ: they are replicates.
    """
    same_group = table["group_size"].isna() if group_size is None else table["group_size"] == group_size
    family = (table["method"] == method) & same_group & (table["symmetric"] == symmetric)
    chosen = table[family & (table[TOKENS_SEEN] > tokens_above)]
    if chosen.empty:
        raise AnalysisError(f"no {method} row with group size {group_size}, symmetric {symmetric}, is left to fit")
    for column in ONE_VALUE_A_FIT:
        if chosen[column].nunique() > 1:
            values = ", ".join(str(value) for value in chosen[column].unique())
            raise AnalysisError(f"rows of one fit mix several values of {column}: {values}")
    return chosen.reset_index(drop=True)
