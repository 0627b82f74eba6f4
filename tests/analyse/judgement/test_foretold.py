"""Predictions about a model from outside: against each law asked alone, and the band against what it spans."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from helpers.analyse.fits.answers import fitted_law, predict
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.foretold import Questions, foretold, predicted_in_bytes
from helpers.analyse.questions.register import BAND, OPEN
from helpers.table.families.outside import read_outside

ROOT = Path(__file__).parents[3]
COMMIT = "0123456789" * 4


@pytest.fixture(scope="module")
def entries():
    fits = read_fits(ROOT / "results/fits.json", ROOT / "results/measurements.parquet")
    model = read_outside(ROOT / "data/outside/smollm2-wheel.yml")
    return fits, foretold(
        fits, "steps", model, Questions((3, 8), (32, 64, None), ("code", "prose")), "2026-11-30", COMMIT
    )


def of(entries, law, **wanted):
    chosen = [e for e in entries if e.law == law and all(getattr(e, name) == value for name, value in wanted.items())]
    return chosen


def test_an_entry_is_what_the_law_says_alone(entries):
    fits, made = entries
    (entry,) = of(made, "steps", bits=3, scheme="gptq, asymmetric groups of 32", text="code")
    alone = predict(fitted_law(fits, "steps"), {"n_params": 106_203_456, "tokens": 2e12, "bits": 3})
    assert (entry.predicted, entry.low, entry.high) == (alone.value, alone.low, alone.high)
    assert (entry.run, entry.outcome, entry.level) == ("smollm2-wheel/SmolLM2-135M-Instruct", OPEN, 0.9)


def test_other_groups_and_rows_are_carried_over_by_the_law_of_groups(entries):
    fits, made = entries
    eta = fits.fits["group-size"].coefficients["eta"]
    by_scheme = {entry.scheme: entry.predicted for entry in of(made, "steps", bits=3, text="code")}
    fine = by_scheme["gptq, asymmetric groups of 32"]
    assert by_scheme["gptq, asymmetric groups of 64"] / fine == pytest.approx(2**eta)
    assert by_scheme["gptq, asymmetric rows"] / fine == pytest.approx((576 / 32) ** eta)


def test_texts_have_the_same_predictions(entries):
    _, made = entries
    one, other = (
        [(e.law, e.bits, e.scheme, e.predicted) for e in made if e.text == text] for text in ("code", "prose")
    )
    assert one == other
    assert len(one) * 2 == len(made)


def test_the_band_goes_from_the_least_to_the_largest_law_that_does_not_fail(entries):
    _, made = entries
    (band,) = of(made, BAND, bits=8, scheme="gptq, asymmetric groups of 64", text="code")
    failing = {"ouyang2024"}  # as test_band has it
    laws = [e for e in made if (e.bits, e.scheme, e.text) == (8, band.scheme, "code") and e.law not in {BAND, *failing}]
    assert (band.low, band.high) == (min(e.predicted for e in laws), max(e.predicted for e in laws))
    assert band.level is None
    assert [band.predicted] == [e.predicted for e in laws if e.law == "steps"]


def test_in_bytes_a_power_law_gains_a_token_s_length_to_one_and_its_exponent(entries):
    """Twice as long a token: q of 2 D tokens, times 2; the power law has q ~ D^b. Published laws stay."""
    fits, made = entries
    model = read_outside(ROOT / "data/outside/smollm2-wheel.yml")
    table = pd.DataFrame([dataclasses.asdict(entry) for entry in made if entry.bits == 3])
    told = predicted_in_bytes(fits, "steps", model, table, (32, 64, None), {"code": 2.0, "prose": 1.0})
    ratio = told / table["predicted"]
    slope = fits.fits["power"].coefficients["beta"]
    on_code, on_prose = table["text"] == "code", table["text"] == "prose"
    assert ratio[on_code & (table["law"] == "power")].tolist() == pytest.approx([2 ** (1 + slope)] * 3)
    assert ratio[on_prose].tolist() == pytest.approx([1.0] * on_prose.sum())
    assert set(ratio[table["law"].isin(["kumar2024", "ouyang2024"])]) == {1.0}
    assert told[on_code & (table["law"] == BAND)].tolist() == told[on_code & (table["law"] == "steps")].tolist()
