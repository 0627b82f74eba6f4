"""Fit a form to rows and draw its coefficients: the fits that are stored, and those of a person's own rows.

A fit's draws come from a random stream that goes by its name: which other fits are made, and in what order, doesn't
move them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from helpers.analyse.fits.by_run import draws_by_run, fit_by_run
from helpers.analyse.fits.data import FitData, FitError
from helpers.analyse.fits.hold_outs import loss_law_of, loss_miss
from helpers.analyse.fits.stored import NamedFits, StoredFit, parameters
from helpers.analyse.laws.names import FORMS, PER_BIT


@dataclass(frozen=True, eq=False)
class FitRows:
    """Rows of one fit and what they are, in words."""

    words: str
    data: FitData


def stream_of(name: str, seeds: np.random.SeedSequence) -> np.random.Generator:
    """Return the random stream of the fit that is called `name`, a child of `seeds` that goes by the name alone."""
    of_name = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")
    return np.random.default_rng(np.random.SeedSequence(seeds.entropy, spawn_key=(*seeds.spawn_key, of_name)))


def fit_and_draw(form: str, rows: FitRows, n_draws: int, generator: np.random.Generator) -> StoredFit:
    """Return one form fitted to rows, with intervals by training run and `n_draws` draws where the runs allow any.

    Raises FitError where the form can't be fitted.
    """
    fit, trouble = fit_by_run(FORMS[form], rows.data)
    no_draws = trouble or ("" if n_draws else "no draws were asked for")
    return StoredFit(
        form=form,
        law=fit.law,
        rows=rows.words,
        status=fit.status,
        bounds_hit=fit.bounds_hit,
        n_rows=fit.n_rows,
        n_runs=fit.n_runs,
        condition_number=fit.condition_number,
        tau=fit.tau,
        aic=fit.aic,
        bic=fit.bic,
        level=fit.level,
        params=parameters(fit, trouble),
        no_interval_because=trouble,
        draws=None if no_draws else draws_by_run(fit, n_draws, generator),
        no_draws_because=no_draws,
    )


def by_width(rows: FitRows) -> dict[str, tuple[str, FitRows]]:
    """Return the parts that `fit_all` takes for one law per bit width: form and rows, by the name of the fit."""
    widths = np.unique(rows.data.bits)
    parts = {bits: FitRows(f"{rows.words}, {bits:g} bits", rows.data.where(rows.data.bits == bits)) for bits in widths}
    return {f"{PER_BIT}-{bits:g}": ("one-bit-width", part) for bits, part in parts.items()}


def fit_all(parts: Mapping[str, tuple[str, FitRows]], n_draws: int, seeds: np.random.SeedSequence) -> NamedFits:
    """Return the fits of forms to rows, by name, and why others can't be fitted; no loss law.

    Each fit has the random stream of its name.
    """
    fits, refused = {}, {}
    for name, (form, rows) in parts.items():
        try:
            fits[name] = fit_and_draw(form, rows, n_draws, stream_of(name, seeds))
        except FitError as error:
            refused[name] = error
    return NamedFits(fits, refused, None, 0.0)


def fits_of(rows: FitRows, name: str, n_draws: int, seeds: np.random.SeedSequence) -> NamedFits:
    """Return the fit of one law to rows (`PER_BIT`: of each bit width), and a law of their losses if it needs one.

    Where the losses are too few for a law of their own there is none: a question then has to bring the loss.
    """
    made = fit_all(by_width(rows) if name == PER_BIT else {name: (name, rows)}, n_draws, seeds)
    if name == PER_BIT or not {"loss_nats", "room_nats"} & set(FORMS[name].needs()):
        return made
    try:
        loss_law = loss_law_of(rows.data)
    except FitError:
        return made
    return replace(made, loss_law=loss_law, loss_log_rms=loss_miss(loss_law, rows.data))
