"""The atlas: a row for every judged law, numbers that are the file's, curves of every law that can be asked."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.result import Estimate
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.laws.names import FORMS, LAW_NAMES, PER_BIT
from helpers.analyse.laws.published import KUMAR_2024, PUBLISHED
from helpers.analyse.questions import atlas

RESULTS = Path(__file__).parents[3] / "results"


@pytest.fixture(scope="module")
def stored():
    return read_fits(RESULTS / "fits.json", RESULTS / "measurements.parquet")


def test_every_law_has_an_entry_and_no_entry_is_of_no_law():
    assert set(atlas.ENTRIES) == set(LAW_NAMES)


def test_every_judged_law_is_in_it_with_its_scores(stored):
    table = atlas.atlas(stored)
    assert list(table.index) == list(stored.judged["law"].unique())
    for row in stored.judged.itertuples():
        assert table.loc[row.law, row.hold_out] == pytest.approx(row.log_rms, nan_ok=True)
    two = atlas.atlas(stored, ["last factor 4 in D", "nobody held this out"])
    assert list(two.columns[-2:]) == ["last factor 4 in D", "nobody held this out"]
    assert two["nobody held this out"].isna().all()


def test_scores_in_words_have_their_error_and_ties_are_marked(stored):
    judged = pd.DataFrame(
        [
            ("a", "late", 0.1314, 0.0123, True),
            ("b", "late", 0.2, 0.01, False),
            ("a", "largest", 0.3, np.nan, True),
            ("b", "largest", np.nan, np.nan, False),
        ],
        columns=["law", "hold_out", "log_rms", "log_rms_se", "tied"],
    )
    words = atlas.scored(dataclasses.replace(stored, judged=judged), ["largest", "late"])
    assert list(words.columns) == ["largest", "late"]
    assert words.loc["a"].tolist() == ["0.300 =", "0.131 ± 0.012 ="]
    assert words.loc["b", "late"] == "0.200 ± 0.010"
    assert pd.isna(words.loc["b", "largest"])


def test_constants_are_counted_and_told_by_hand(stored):
    table = atlas.atlas(stored)
    counts = {"power": 4, "tokens-per-parameter": 3, "curvature": 3, "loss": 5, "loss, loss predicted": 9}
    counts |= {PER_BIT: 9, "ouyang2024-per-bit": 9, "kumar2024": 4}
    assert table.loc[list(counts), "constants"].to_dict() == counts
    assert table.loc["loss", "told"] == "16-bit loss"
    assert table.loc[["power", "loss, loss predicted"], "told"].tolist() == ["", ""]
    assert "curvature" in table.loc["curvature", "told"]
    assert set(table["known"]) == {"ours", "in part", "in full"}


def test_fitted_constants_are_the_files(stored):
    one = stored.fits["tokens-per-parameter"].params["b"]
    assert f"b {one.value:.3g} [{one.low:.3g}, {one.high:.3g}]" in atlas.constants("tokens-per-parameter", stored)
    assert atlas.constants("kumar2024", stored) == "as printed"
    assert atlas.constants(PER_BIT, stored).count("beta") == 3
    assert atlas.written(Estimate(-0.5, np.nan, np.nan, np.nan)) == "-0.5"


def test_a_law_without_an_entry_is_described_by_its_own_words(stored, monkeypatch):
    monkeypatch.delitem(atlas.ENTRIES, "steps")
    row = atlas.atlas(stored).loc["steps"]
    assert row["formula"].startswith("QiD = k D^beta / (N^alpha (2^(P - 1) - 1)^gamma)")
    assert row["known"] == "ours"


def test_curves_are_the_laws_themselves(stored):
    tokens = np.array([1e8, 1e9])
    table = atlas.curves(stored, tokens, 1e6, 3).set_index(["law", "tokens"])["qid_nats"]
    assert table["power"].to_numpy() == pytest.approx(stored.fits["power"].law.predict(tokens, 1e6, 3))
    assert table["kumar2024"].to_numpy() == pytest.approx(KUMAR_2024.predict(tokens, 1e6, 3))
    laws = set(table.index.get_level_values("law"))
    assert laws == ({*FORMS} & {*stored.fits} | {PER_BIT} | {*PUBLISHED}) - {"curvature"}
    wide = atlas.curves(stored, tokens, 1e6, 8)
    assert not {"free-bits", PER_BIT, "ouyang2024-per-bit"} & set(wide["law"])


def test_the_spread_is_largest_over_smallest():
    table = pd.DataFrame({"law": list("abab"), "tokens": [1.0, 1, 2, 2], "qid_nats": [0.1, 0.3, 0.2, 0.1]})
    assert atlas.spread(table).tolist() == pytest.approx([3, 2])
