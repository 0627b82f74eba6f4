"""Forms fitted and drawn again: the same as the fit and the bootstrap they are made of, each with its own stream."""

import dataclasses

import numpy as np
import pytest

from helpers.analyse.fits.by_run import draws_by_run, fit_by_run
from helpers.analyse.fits.with_draws import FitRows, by_width, fit_all, fit_and_draw, fits_of, stream_of
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.loss import ChinchillaLaw
from helpers.analyse.laws.names import FORMS


@pytest.fixture
def rows(planted):
    return FitRows("planted", planted(3))


def test_a_drawn_fit_is_the_fit_by_run_and_its_draws(rows):
    made = fit_and_draw("power", rows, 15, np.random.default_rng(2))
    fit, _ = fit_by_run(UnifiedLaw, rows.data)
    assert made.law == fit.law
    assert (made.tau, made.aic, made.bic, made.condition_number) == (fit.tau, fit.aic, fit.bic, fit.condition_number)
    assert made.params["beta"] == fit.estimate("beta")
    draws = draws_by_run(fit, 15, np.random.default_rng(2))
    np.testing.assert_array_equal(made.draws.coefficients, draws.coefficients)
    np.testing.assert_array_equal(made.draws.tau, draws.tau)


def test_without_intervals_by_run_the_reasons_are_kept(rows):
    one_run = dataclasses.replace(rows.data, runs=np.full(rows.data.runs.shape, "one"))
    made = fit_and_draw("power", FitRows("one run", one_run), 15, np.random.default_rng(2))
    assert made.draws is None
    assert "two runs or more" in made.no_draws_because
    assert "two runs or more" in made.no_interval_because
    assert np.isnan(made.params["beta"].low)
    assert fit_and_draw("power", rows, 0, np.random.default_rng(2)).no_draws_because == "no draws were asked for"


def test_a_fit_draws_the_same_whatever_is_fitted_before_or_after_it(rows):
    named = {name: (name, rows) for name in ("power", "exponential", "free-bits")}
    alone = fit_all(named, 5, np.random.SeedSequence(2)).fits
    added = {"steps": ("steps", rows)}
    for more in (added | named, named | added, dict(reversed(named.items()))):
        beside = fit_all(more, 5, np.random.SeedSequence(2)).fits
        for name, one in alone.items():
            np.testing.assert_array_equal(beside[name].draws.coefficients, one.draws.coefficients, strict=True)
            np.testing.assert_array_equal(beside[name].draws.tau, one.draws.tau, strict=True)


def test_a_stream_goes_by_its_name_and_the_seeds_handed_in():
    def first(name: str, seeds: np.random.SeedSequence) -> float:
        return stream_of(name, seeds).random()

    seeds = np.random.SeedSequence(2)
    (child,) = np.random.SeedSequence(2).spawn(1)
    assert first("power", seeds) == first("power", seeds) == first("power", np.random.SeedSequence(2))
    assert seeds.n_children_spawned == 0
    others = [first("steps", seeds), first("power", np.random.SeedSequence(3)), first("power", child)]
    assert len({first("power", seeds), *others}) == 4


def test_bit_widths_are_rows_of_their_own(rows):
    parts = by_width(rows)
    assert list(parts) == ["power-per-bit-2", "power-per-bit-3", "power-per-bit-4"]
    for name, (form, part) in parts.items():
        assert form == "one-bit-width"
        assert set(part.data.bits) == {float(name[-1])}
        assert name[-1] in part.words
    assert sum(part.data.bits.size for _, part in parts.values()) == rows.data.bits.size


def test_a_law_that_needs_the_loss_comes_with_a_law_of_it_where_losses_are_enough(rows):
    losses = ChinchillaLaw(1.2, 40.0, 0.3, 1e3, 0.4, source="", validity=rows.data.validity)
    loss = losses.predict(rows.data.tokens, rows.data.n_params)
    scattered = loss * np.exp(np.random.default_rng(1).normal(0, 0.02, loss.size // 3).repeat(3))
    made = fits_of(FitRows("", rows.data.with_covariates(loss_nats=scattered)), "loss", 0, np.random.SeedSequence(2))
    assert float(made.loss_law.predict(2e8, 1e6)) == pytest.approx(float(losses.predict(2e8, 1e6)), rel=0.03)
    assert 0.01 < made.loss_log_rms < 0.04
    assert fits_of(rows, "power", 0, np.random.SeedSequence(2)).loss_law is None
    missing = fits_of(rows, "loss", 0, np.random.SeedSequence(2))
    assert missing.loss_law is None
    assert "16-bit loss" in str(missing.refused["loss"])
    assert "loss_nats" in FORMS["loss"].needs()
