"""Make `results/fits.json` from the project's table: `python -m helpers.analyse.fits.make_fits` (`make fits`).

The rows are those of the book's main chapters: GPTQ in asymmetric groups of 32 weights, 2 to 4 bits, the trunk beyond
`LATE_TOKENS`, at most four epochs. The learning rate's form also gets the rows of decayed rates, that of group size the
trunk's rows in other groups.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.fits.hold_outs import (
    FITTED_BITS,
    Predictor,
    as_published,
    criteria,
    floor_by_bits,
    judge,
    loss_law_of,
    loss_miss,
    on_trunk,
    per_bit_width,
    refitted,
    splits,
    with_predicted_loss,
)
from helpers.analyse.fits.result import FitData
from helpers.analyse.fits.stored import FITS, TABLE, StoredFits, read_fits, table_digest, write_fits
from helpers.analyse.fits.with_draws import FitRows, by_width, fit_all
from helpers.analyse.laws.forms import FORMS, PUBLISHED
from helpers.analyse.laws.loss import OuyangLossLaw
from helpers.analyse.laws.names import PER_BIT
from helpers.analyse.questions.ways import packages
from helpers.analyse.rows.counts import LATE_TOKENS
from helpers.analyse.rows.degradation import HELDOUT, degradation, rows_of_every_run, rows_of_fit
from helpers.analyse.rows.noise import study_floors

UNSEEN = "wheels-unseen"
GROUP_SIZE = 32
MOST_EPOCHS = 4
DRAWS = 1000
SEED = 0
COMPETING = {name: form for name, form in FORMS.items() if not form.HELD}  # laws of all three: tokens, size, bits


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


def parts_of_study(measured: pd.DataFrame, table: pd.DataFrame) -> dict[str, tuple[str, FitRows]]:
    """Return by name of each fit its form and its rows; `table` comes from `rows_at`. Most have the main rows."""
    main = FitRows(f"trunk, group {GROUP_SIZE}", FitData.from_table(_trunk(table)))
    decayed = (table["lr_phase"] == "decay") & (table["n_averaged"] == 1) & table["bits"].isin(FITTED_BITS)
    both = FitData.from_table(pd.concat([_trunk(table), table[decayed]]))
    wider = {
        "learning-rate": FitRows(f"trunk and decayed rates, group {GROUP_SIZE}", both),
        "group-size": FitRows("trunk, every group size", FitData.from_table(rows_in_groups(measured))),
    }
    return {form: (form, wider.get(form, main)) for form in FORMS} | by_width(main)


def predictors() -> dict[str, Predictor]:
    """Return what is judged, by name: the competing forms, one law a bit width, losses predicted, published laws."""
    needing_loss = ("loss", "loss-power-bits")
    return {
        **{name: refitted(form) for name, form in COMPETING.items()},
        PER_BIT: per_bit_width,
        **{f"{name}, loss predicted": with_predicted_loss(FORMS[name], OuyangLossLaw) for name in needing_loss},
        **{name: as_published(laws) for name, laws in PUBLISHED.items()},
    }


def make_fits(
    measured: pd.DataFrame, table_sha256: str, groups: Sequence[str], n_draws: int, generator: np.random.Generator
) -> StoredFits:
    """Return everything that `results/fits.json` holds. `groups`: the package of each held-out document."""
    table = rows_at(measured, HELDOUT)
    parts = parts_of_study(measured, table)
    main = parts["power"][1].data
    made, loss_law = fit_all(parts, n_draws, generator), loss_law_of(main)
    floor = floor_by_bits(study_floors(measured, groups))
    judged = judge(predictors(), splits(table, rows_at(measured, UNSEEN)), floor)
    return StoredFits(
        fits=made.fits,
        refused=made.refused,
        loss_law=loss_law,
        loss_log_rms=loss_miss(loss_law, main),
        table_sha256=table_sha256,
        judged=judged.assign(published=judged["law"].isin(PUBLISHED)),
        criteria=criteria(COMPETING, main),
    )


def main() -> None:
    """Write `results/fits.json`, and read it again: what can't be read is never left unnoticed."""
    made = make_fits(
        pd.read_parquet(TABLE), table_digest(TABLE), packages("evaluation"), DRAWS, np.random.default_rng(SEED)
    )
    write_fits(FITS, made)
    stored = read_fits(FITS, TABLE)
    print(f"{FITS}: {len(stored.fits)} fits, {len(stored.refused)} forms that these rows can't identify")


if __name__ == "__main__":
    main()
