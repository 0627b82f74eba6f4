"""Make `results/fits.json` from the project's table: `qid fits` (`make fits`).

The rows are those of the book's main chapters: GPTQ in asymmetric groups of 32 weights, 2 to 4 bits, the trunk beyond
`LATE_TOKENS`, at most four epochs. The learning rate's form also gets the rows of decayed rates, that of group size the
trunk's rows in other groups.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.hold_outs import (
    Predictor,
    as_published,
    criteria,
    floor_by_bits,
    judge,
    loss_law_of,
    loss_miss,
    per_bit_width,
    refitted,
    splits,
    with_predicted_loss,
)
from helpers.analyse.fits.stored import FITS, TABLE, StoredFits, read_fits, table_digest, write_fits
from helpers.analyse.fits.with_draws import FitRows, by_width, fit_all
from helpers.analyse.laws.loss import OuyangLossLaw
from helpers.analyse.laws.names import FORMS, PER_BIT
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.rows.noise_floor import study_floors
from helpers.analyse.rows.study import (
    FITTED_BITS,
    GROUP_SIZE,
    HELDOUT,
    UNSEEN,
    rows_at,
    rows_in_groups,
    trunk_rows,
)
from helpers.table.corpus import packages

DRAWS = 1000
SEED = 0
COMPETING = {name: form for name, form in FORMS.items() if not form.HELD}  # laws of all three: tokens, size, bits


def parts_of_study(measured: pd.DataFrame, table: pd.DataFrame) -> dict[str, tuple[str, FitRows]]:
    """Return by name of each fit its form and its rows; `table` comes from `rows_at`. Most have the main rows."""
    main = FitRows(f"trunk, group {GROUP_SIZE}", FitData.from_table(trunk_rows(table)))
    decayed = (table["lr_phase"] == "decay") & (table["n_averaged"] == 1) & table["bits"].isin(FITTED_BITS)
    both = FitData.from_table(pd.concat([trunk_rows(table), table[decayed]]))
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


def write() -> None:
    """Write `results/fits.json`, and read it again: what can't be read is never left unnoticed."""
    made = make_fits(
        pd.read_parquet(TABLE), table_digest(TABLE), packages("evaluation"), DRAWS, np.random.default_rng(SEED)
    )
    write_fits(FITS, made)
    stored = read_fits(FITS, TABLE)
    print(f"{FITS}: {len(stored.fits)} fits, {len(stored.refused)} forms that these rows can't identify")
