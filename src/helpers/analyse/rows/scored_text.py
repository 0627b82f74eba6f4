"""Protocol: how much of each document is scored, as a part of the noise between numbers of different protocols.

The same 128 documents are scored by their first block of 512 tokens (128 blocks) or by their first four (512 blocks).
A QiD of one protocol stands for one of another only within the scatter that is measured here. It is no part of one
protocol's own floor (`noise_floor.NoiseFloor.of_one_model`): there every row is scored alike.
"""

import numpy as np
import pandas as pd

from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import GROUP_SIZE, HELDOUT
from helpers.table.errors import AnalysisError

LITTLE, MUCH = 128, 512  # blocks scored


def scored_both_ways(measured: pd.DataFrame, outcome: Outcome = QID, device_type: str = "cuda") -> pd.DataFrame:
    """Return the checkpoints that were scored on `LITTLE` blocks and on `MUCH`, rounded alike, on one kind of device.

    One row a checkpoint, method and bit width: `run_label`, `method`, `bits`, tokens, `little_nats`, `much_nats` and
    `log_ratio`, ln of little over much (NaN where one isn't positive). Raises AnalysisError without any.
    """
    plain = measured["method"].isin(["none", "rtn", "gptq"]) & (measured["eval_dataset"] == HELDOUT)
    first = (measured["calib_seed"].fillna(0) == 0) & measured["assignment_sha256"].isna()
    rows = measured[plain & first & (measured["device_type"] == device_type)]
    parts = [degradation(rows[rows["n_sequences"] == blocks]) for blocks in (LITTLE, MUCH)]
    grouped = [one[(one["group_size"] == GROUP_SIZE) & ~one["symmetric"].astype(bool)] for one in parts]
    key = ["checkpoint_id", "scheme_id"]
    kept = [*key, "run_label", "method", "bits", "tokens_seen", outcome.column]
    both = grouped[0][kept].merge(grouped[1][[*key, outcome.column]], on=key, suffixes=("", "_much"), validate="1:1")
    if both.empty:
        raise AnalysisError(f"no checkpoint was scored on {LITTLE} blocks and on {MUCH} on {device_type}")
    both = both.rename(columns={outcome.column: "little_nats", f"{outcome.column}_much": "much_nats"})
    positive = (both["little_nats"] > 0) & (both["much_nats"] > 0)
    ratio = both["little_nats"].where(positive) / both["much_nats"].where(positive)
    return both.drop(columns=key).assign(log_ratio=np.log(ratio))


def scored_text_relative(both: pd.DataFrame) -> pd.DataFrame:
    """Return, by method and bits, by how much the length that is scored moves the outcome, of `scored_both_ways`.

    Columns: `ratio` (little over much, geometric mean over runs) with `low` and `high` (95%, t over runs; NaN for a
    single run), `relative_sd` (root mean square of ln ratio over rows: the part of the noise between protocols),
    `n_rows` and `n_runs`.
    """
    rows = {}
    for key, one in both.dropna(subset="log_ratio").groupby(["method", "bits"]):
        runs = one.groupby("run_label")["log_ratio"].mean()
        alone = {"mean": runs.mean(), "low": np.nan, "high": np.nan}
        mean = mean_over_runs(runs) if len(runs) > 1 else alone
        rows[key] = {name: np.exp(mean[end]) for name, end in (("ratio", "mean"), ("low", "low"), ("high", "high"))}
        rows[key] |= {"relative_sd": np.sqrt((one["log_ratio"] ** 2).mean()), "n_rows": len(one), "n_runs": len(runs)}
    return pd.DataFrame(list(rows.values()), index=pd.MultiIndex.from_tuples(rows, names=["method", "bits"]))
