"""What all laws say of one model: against each law asked alone, and by hand."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.answers import fitted_law, predict
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement import band
from helpers.analyse.rows.outcomes import KL

ROOT = Path(__file__).parents[3]
ASKED = {"n_params": 5e6, "tokens": 3e8, "bits": 3.0}


@pytest.fixture(scope="module")
def fits():
    return read_fits(ROOT / "results/fits.json", ROOT / "results/measurements.parquet")


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def by_law(said):
    return {one.law: one for one in said}


def test_each_law_says_what_it_says_alone_and_the_smallest_comes_first(fits):
    said = band.every_answer(fits, ASKED)
    assert [one.answer.value for one in said] == sorted(one.answer.value for one in said)
    alone = predict(fitted_law(fits, "power"), ASKED)
    assert by_law(said)["power"].answer == alone
    assert {"loss", "power-per-bit", "kumar2024", "tokens-per-parameter"} <= set(by_law(said))
    assert {"room", "learning-rate", "group-size", "curvature"}.isdisjoint(by_law(said))  # need what isn't given


def test_coarser_groups_move_the_laws_of_one_group_and_no_other(fits):
    fine, coarse = (by_law(band.every_answer(fits, ASKED | {"group_size": group})) for group in (32.0, 128.0))
    eta = fits.fits["group-size"].coefficients["eta"]
    assert band.group_factor(fits, 128) == pytest.approx(4**eta)
    for name in ("power", "tokens-per-parameter", "group-size"):
        assert coarse[name].answer.value / fine[name].answer.value == pytest.approx(4**eta)
        assert coarse[name].answer.low / fine[name].answer.low == pytest.approx(4**eta, rel=0.2)
    assert coarse["ouyang2024"].answer == fine["ouyang2024"].answer


def test_a_law_fails_where_bits_alone_is_clearly_better(fits):
    said = by_law(band.every_answer(fits, ASKED))
    for name, row in fits.outside.iterrows():
        if name in said:
            assert said[name].fails_outside == (row["behind_low"] > 0)
            assert said[name].typical_miss_outside == pytest.approx(math.exp(row["score"]))
    assert said["ouyang2024"].fails_outside
    low, high = band.span(list(said.values()))
    kept = [one.answer.value for one in said.values() if not one.fails_outside]
    assert (low, high) == (min(kept), max(kept))
    assert band.span([said["ouyang2024"]]) == (said["ouyang2024"].answer.value,) * 2


def test_kl_has_no_published_laws_and_no_scores_outside():
    fits = read_fits(ROOT / "results/fits.json", ROOT / "results/measurements.parquet", KL)
    said = band.every_answer(fits, ASKED)
    assert not {"kumar2024", "ouyang2024"} & set(by_law(said))
    assert all(math.isnan(one.typical_miss_outside) and not one.fails_outside for one in said)


def test_the_nearest_models_are_near_in_logarithms_and_of_that_width():
    found = band.nearest_points({"n_params": 7e9, "tokens": 1e12, "bits": 4.0})
    assert found["model"].iloc[0] == "LLaMA-1-7B"
    assert len(found) == found["model"].nunique() == band.N_NEAREST
    assert (found["bits"] == 4).all()
    assert np.isfinite(found["qid_nats"]).all()
    assert band.nearest_points({"n_params": 7e9, "tokens": 1e12, "bits": 5.0}).empty
    assert band.nearest_points({"tokens": 1e12, "bits": 4.0}).equals(pd.DataFrame())
