"""Make `results/fits.json` from the project's table, or add what it lacks: `qid fits` (`make fits`).

The rows are those of the book's main chapters: GPTQ in asymmetric groups of 32 weights, 2 to 4 bits, the trunk beyond
`LATE_TOKENS`, at most four epochs. Forms that need the learning rate also get the rows of decayed rates, those that
need the group size the trunk's rows in other groups.

What the file holds of the same table is kept: an added law costs its own fit and its own hold-outs. Another table, or
a kept law that no longer says of its rows what it said (its formula has changed, or which rows are meant), and
everything is made again.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitData, FitError
from helpers.analyse.fits.fit import log_likelihood
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
from helpers.analyse.fits.stored import FITS, TABLE, StoredFit, StoredFits, read_fits, table_digest, write_fits
from helpers.analyse.fits.with_draws import FitRows, by_width, fit_all
from helpers.analyse.laws.loss import OuyangLossLaw
from helpers.analyse.laws.names import FORMS, PER_BIT
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.rows.noise_floor import study_floors
from helpers.analyse.rows.study import FITTED_BITS, GROUP_SIZE, HELDOUT, UNSEEN, rows_at, rows_in_groups, trunk_rows
from helpers.table.corpus import packages
from helpers.table.errors import ResultsError
from helpers.table.files import read_table

DRAWS = 1000
SEED = 0
SAME_AIC = 1e-6  # relative: another machine's last digits are far below it, another formula far above
COMPETING = {name: form for name, form in FORMS.items() if not form.HELD}  # laws of all three: tokens, size, bits
LOSS_PREDICTED = {f"{name}, loss predicted": form for name, form in FORMS.items() if "loss_nats" in form.needs()}

One = TypeVar("One")


def parts_of_study(measured: pd.DataFrame, table: pd.DataFrame) -> dict[str, tuple[str, FitRows]]:
    """Return the form and the rows of each fit, by its name; `table` comes from `rows_at`. Most have the main rows."""
    main = FitRows(f"trunk, group {GROUP_SIZE}", FitData.from_table(trunk_rows(table)))
    decayed = (table["lr_phase"] == "decay") & (table["n_averaged"] == 1) & table["bits"].isin(FITTED_BITS)
    both = FitData.from_table(pd.concat([trunk_rows(table), table[decayed]]))
    wider = {
        "lr_fraction": FitRows(f"trunk and decayed rates, group {GROUP_SIZE}", both),
        "group_size": FitRows("trunk, every group size", FitData.from_table(rows_in_groups(measured))),
    }
    parts = {}
    for name, form in FORMS.items():
        wanted = [rows for variable, rows in wider.items() if variable in form.needs()]
        parts[name] = (name, wanted[0] if wanted else main)
    return parts | by_width(main)


def predictors() -> dict[str, Predictor]:
    """Return the predictors to judge, by name: competing forms, per bit width, losses predicted, published laws."""
    return {
        **{name: refitted(form) for name, form in COMPETING.items()},
        PER_BIT: per_bit_width,
        **{name: with_predicted_loss(form, OuyangLossLaw) for name, form in LOSS_PREDICTED.items()},
        **{name: as_published(laws) for name, laws in PUBLISHED.items()},
    }


def nothing_kept(table_sha256: str) -> StoredFits:
    """Return the `StoredFits` of a table before anything is fitted."""
    judged, compared = pd.DataFrame({"law": []}), pd.DataFrame(index=pd.Index([], name="law"))
    return StoredFits({}, {}, None, math.nan, table_sha256, judged, compared)


def names_in(stored: StoredFits) -> list[str]:
    """Return the names of everything that was fitted, refused, judged or compared, each once."""
    return list(dict.fromkeys([*stored.fits, *stored.refused, *stored.judged["law"], *stored.criteria.index]))


def changed_laws(stored: StoredFits, parts: Mapping[str, tuple[str, FitRows]]) -> list[str]:
    """Return the names of stored fits whose law says of its rows something else than it did when it was stored."""
    return [name for name, fit in stored.fits.items() if name in parts and not _says_the_same(fit, parts[name][1])]


def _says_the_same(fit: StoredFit, rows: FitRows) -> bool:
    """Return whether a fit's AIC comes out again: one look at its law, no climbing."""
    if (fit.rows, fit.n_rows) != (rows.words, rows.data.tokens.size):
        return False
    try:
        value = log_likelihood(fit.law, fit.tau, rows.data)
    except FitError:
        return False
    n_free = len(set(fit.law.coefficient_names()) - set(fit.bounds_hit)) + 1  # tau is one
    return bool(np.isclose(2 * n_free - 2 * value, fit.aic, rtol=SAME_AIC))


def make_fits(
    measured: pd.DataFrame, kept: StoredFits, groups: Sequence[str], n_draws: int, seeds: np.random.SeedSequence
) -> StoredFits:
    """Return everything that `results/fits.json` holds of `measured`: what `kept` has as it is, the rest made now.

    `kept` is of the same table (`nothing_kept` at first); `groups`: the package of each held-out document. What the
    rows couldn't identify is tried again, which is quick. Order is that of the laws, whatever was made when.
    """
    table, predicting = rows_at(measured, HELDOUT), predictors()
    parts = parts_of_study(measured, table)
    main = parts["power"][1].data
    made = fit_all(_without(parts, kept.fits), n_draws, seeds)
    loss_law = kept.loss_law or loss_law_of(main)
    judged = [kept.judged]
    if lacking := _without(predicting, kept.judged["law"]):
        floor = floor_by_bits(study_floors(measured, groups))
        new = judge(lacking, splits(table, rows_at(measured, UNSEEN)), floor)
        judged.append(new.assign(published=new["law"].isin(PUBLISHED)))
    compared = [kept.criteria, criteria(_without(COMPETING, kept.criteria.index), main).rename_axis("law")]
    return StoredFits(
        fits=_in_order(parts, kept.fits | made.fits),
        refused=_in_order(parts, made.refused),
        loss_law=loss_law,
        loss_log_rms=loss_miss(loss_law, main),
        table_sha256=kept.table_sha256,
        judged=_joined(judged, "law", predicting).reset_index(drop=True),
        criteria=_joined([one.reset_index() for one in compared], "law", COMPETING).set_index("law"),
    )


def _without(every: Mapping[str, One], names: Iterable[str]) -> dict[str, One]:
    known = set(names)
    return {name: one for name, one in every.items() if name not in known}


def _in_order(names: Iterable[str], every: Mapping[str, One]) -> dict[str, One]:
    return {name: every[name] for name in names if name in every}


def _joined(tables: Sequence[pd.DataFrame], column: str, names: Iterable[str]) -> pd.DataFrame:
    """Return the rows of all tables whose `column` is one of `names`, in the order of these."""
    rows = pd.concat([table for table in tables if not table.empty])
    places = {name: place for place, name in enumerate(names)}
    return rows[rows[column].isin(places)].sort_values(column, key=lambda laws: laws.map(places), kind="stable")


def write(path: Path = FITS, table_path: Path = TABLE) -> None:
    """Write the file of fits, or add what it lacks, and print what was done; what is complete isn't touched.

    It is read again at the end: what can't be read is never left unnoticed. Raises ResultsError if the disk refuses.
    """
    measured, table_sha256 = read_table(table_path).to_pandas(), table_digest(table_path)
    kept = _kept(path, table_path, measured) or nothing_kept(table_sha256)
    seeds = np.random.SeedSequence(SEED)
    made = make_fits(measured, kept, packages("evaluation"), DRAWS, seeds)
    added = [name for name in names_in(made) if name not in names_in(kept)]
    gone = [name for name in names_in(kept) if name not in names_in(made)]
    if added or gone:
        write_fits(path, made)
    stored = read_fits(path, table_path)
    print(f"{path}: {len(stored.fits)} fits, {len(stored.refused)} forms that these rows can't identify")
    print(f"made now: {'; '.join(added) or 'nothing, no law was lacking'}")
    if gone:
        print(f"left out, no such law any more: {'; '.join(gone)}")


def _kept(path: Path, table_path: Path, measured: pd.DataFrame) -> StoredFits | None:
    """Return the fits at `path` if all of them can stay; else None, and print why."""
    try:
        stored = read_fits(path, table_path)
    except ResultsError as error:
        print(f"{error}: everything is made now")
        return None
    changed = changed_laws(stored, parts_of_study(measured, rows_at(measured, HELDOUT)))
    if changed:
        print(f"{path}: of another formula or of other rows: {', '.join(changed)}; everything is made now")
        return None
    return stored
