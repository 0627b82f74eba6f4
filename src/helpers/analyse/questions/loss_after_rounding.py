"""The loss after rounding, predicted outright or as the 16-bit loss and QiD: which way predicts what was held out.

Ouyang et al. 2026 (arXiv 2605.23901) fit one law to the rounded model's loss at one bit width, with no law of the
16-bit loss beside it. Forms of the 16-bit loss can be fitted to it in the same way. All are fitted by
`fits.loss.fit_loss_law`, and every miss is ln(predicted / measured) of the loss after rounding, no unit.

Tables are those of `degradation`, of one run per size at a constant rate (`study.trunk_rows`).
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.data import FitData, FitError
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.hold_outs import LATE_FACTOR, Split
from helpers.analyse.fits.loss import fit_loss_law
from helpers.analyse.laws.forms import OneBitWidthLaw
from helpers.analyse.laws.loss import ChinchillaLaw, OuyangLossLaw, ShannonLaw, SizeAndTokensLaw
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN

DRAWS = 2000
LEVEL = 0.95
IN_PARTS = "chinchilla + power QiD"
REFERENCE = ChinchillaLaw.NAME  # what the others' misses are divided by
LARGER = 2  # sizes held out together

Way = Callable[[pd.DataFrame, pd.DataFrame], FloatArray]  # training, held out -> loss after rounding, (n_held,)


def loss_splits(trunk: pd.DataFrame) -> dict[str, Split]:
    """Return the hold-outs by name, the rows in sample first: there both parts are all rows."""
    size, late = trunk[N_PARAMS], trunk[TOKENS_SEEN] > trunk[TOKENS_SEEN].max() / LATE_FACTOR
    larger = size.isin(np.sort(size.unique())[-LARGER:])
    parts = {
        "in sample": Split(trunk, trunk),
        "largest size": Split(trunk[size < size.max()], trunk[size == size.max()]),
        "last factor 4 in D": Split(trunk[~late], trunk[late]),
        "larger and later": Split(trunk[~larger & ~late], trunk[larger & late]),
    }
    return {name: one for name, one in parts.items() if not one.training.empty and not one.held.empty}


def outright(law_type: type[SizeAndTokensLaw]) -> Way:
    """Return the way that fits a loss law to the loss after rounding itself."""

    def predict(training: pd.DataFrame, held: pd.DataFrame) -> FloatArray:
        return _loss_law(law_type, training, "loss_nats").predict(*_sizes_and_tokens(held))

    return predict


def in_parts(training: pd.DataFrame, held: pd.DataFrame) -> FloatArray:
    """Return Chinchilla's form of the 16-bit loss plus a power law of QiD in D and N, both fitted to `training`."""
    loss_law = _loss_law(ChinchillaLaw, training, "baseline_loss_nats")
    law = fit_law(OneBitWidthLaw, FitData.from_table(training)).law
    where = _sizes_and_tokens(held)
    return loss_law.predict(*where) + law.predict(*where, held["bits"].to_numpy(float))


def ways() -> dict[str, Way]:
    """Return the ways to predict the loss after rounding, by name."""
    forms = (ChinchillaLaw, OuyangLossLaw, ShannonLaw)
    return {form.NAME: outright(form) for form in forms} | {IN_PARTS: in_parts}


def _sizes_and_tokens(rows: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    return rows[TOKENS_SEEN].to_numpy(float), rows[N_PARAMS].to_numpy(float)


def _loss_law(law_type: type[SizeAndTokensLaw], rows: pd.DataFrame, column: str) -> SizeAndTokensLaw:
    losses = rows[column].to_numpy(float)
    return fit_loss_law(law_type, *_sizes_and_tokens(rows), losses, "fitted to this project's losses")


def misses(trunk: pd.DataFrame, widths: Iterable[float]) -> pd.DataFrame:
    """Return one row per bit width, hold-out, way and row held out: `bits`, `hold_out`, `way`, `run_label`, `miss`.

    Each width is fitted by itself. A way that can't be fitted has one row without `miss`, and the `reason`.
    """
    parts = []
    for bits in widths:
        for hold_out, split in loss_splits(trunk[trunk["bits"] == bits]).items():
            for name, way in ways().items():
                key = {"bits": float(bits), "hold_out": hold_out, "way": name}
                try:
                    predicted = way(split.training, split.held)
                except FitError as error:
                    parts.append(pd.DataFrame([key | {"run_label": "", "miss": np.nan, "reason": str(error)}]))
                    continue
                miss = np.log(predicted / split.held["loss_nats"].to_numpy(float))
                labels = split.held["run_label"].to_numpy(str)
                parts.append(pd.DataFrame({"run_label": labels, "miss": miss, "reason": ""}).assign(**key))
    return pd.concat(parts, ignore_index=True)[["bits", "hold_out", "way", "run_label", "miss", "reason"]]


def scores(table: pd.DataFrame, generator: np.random.Generator, least_runs: int = 4) -> pd.DataFrame:
    """Return by bit width, hold-out and way the rms of `misses`, and over that of `REFERENCE`, with 95% intervals.

    Columns: `n_rows`, `n_runs`, `log_rms`, `low`, `high`, `ratio`, `ratio_low`, `ratio_high`, `reason`; no units. An
    interval draws the held-out runs with their rows, the same draws for every way; the fits stay. Missing below
    `least_runs` runs.
    """
    rows = []
    for (bits, hold_out), cell in table.groupby(["bits", "hold_out"], sort=False):
        labels = [label for label in cell["run_label"].unique() if label]
        drawn = _drawn(len(labels), generator)
        reference = _rms(cell[cell["way"] == REFERENCE], labels, drawn)
        for way, mine in cell.groupby("way", sort=False):
            own = _rms(mine, labels, drawn)
            ends = _ends(own, len(labels) < least_runs), _ends(own / reference, len(labels) < least_runs)
            counted = {"n_rows": int(mine["miss"].notna().sum()), "n_runs": len(labels)}
            rows.append(
                {"bits": bits, "hold_out": hold_out, "way": way}
                | counted
                | dict(zip(("log_rms", "low", "high"), ends[0], strict=True))
                | dict(zip(("ratio", "ratio_low", "ratio_high"), ends[1], strict=True))
                | {"reason": mine["reason"].iloc[0]}
            )
    return pd.DataFrame(rows)


def _drawn(n_runs: int, generator: np.random.Generator) -> FloatArray:
    """Return how often each run is in each draw of as many, shape (draws, n_runs)."""
    if not n_runs:
        return np.empty((DRAWS, 0))
    return generator.multinomial(n_runs, np.full(n_runs, 1 / n_runs), DRAWS).astype(float)


def _rms(mine: pd.DataFrame, labels: list[str], drawn: FloatArray) -> FloatArray:
    """Return the rms of the rows and of each draw of runs, shape (1 + draws,)."""
    squares = mine["miss"].pow(2).groupby(mine["run_label"]).agg(["sum", "count"]).reindex(labels)
    counts = np.vstack([np.ones(len(labels)), drawn])
    with np.errstate(invalid="ignore"):  # no row: 0 / 0
        rms: FloatArray = np.sqrt(counts @ squares["sum"].to_numpy() / (counts @ squares["count"].to_numpy(float)))
    return rms


def _ends(values: FloatArray, too_few: bool) -> tuple[float, float, float]:
    if too_few or not np.isfinite(values).all():
        return float(values[0]), np.nan, np.nan
    low, high = np.quantile(values[1:], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return float(values[0]), float(low), float(high)
