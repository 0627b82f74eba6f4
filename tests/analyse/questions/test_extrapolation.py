"""One law against a goal and against others."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.hold_outs import Split, as_published, refitted
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.questions.extrapolation import (
    RUNS,
    best_laws,
    each_as_largest,
    largest_over_next,
    over_predicted,
    verdict,
)
from helpers.table.errors import AnalysisError

RESULTS = Path(__file__).parents[3] / "results"
EXACT = 1e-5  # relative, of exact rows: tau is at least 1e-3, and its likelihood's maximum is off by about tau^2
COLUMNS = ["law", "hold_out", "log_rms", "coverage"]
JUDGED = pd.DataFrame(
    [
        ("ours", "size", 0.10, 0.90),
        ("ours", "tokens", 0.14, 0.80),  # too few intervals hold
        ("ours", "bits", 0.20, 1.00),  # too far off
        ("power", "size", 0.11, 1.00),
        ("power", "tokens", 0.40, 0.90),
        ("power", "bits", np.nan, np.nan),
        ("other", "size", 0.09, 1.00),
        ("other", "tokens", 0.50, 0.90),
        ("other", "bits", np.nan, np.nan),
    ],
    columns=COLUMNS,
).assign(n_rows=10.0, excluded_share=0.1, log_bias=0.0)


def test_rms_and_coverage_must_both_reach_the_goal():
    found = verdict(JUDGED, "ours", ["power", "other"])
    assert list(found.index) == ["size", "tokens", "bits"]
    assert list(found["meets"]) == [True, False, False]


def test_better_is_better_than_all_others_and_what_is_na_is_beaten():
    assert list(verdict(JUDGED, "ours", ["power", "other"])["better"]) == [False, True, True]
    assert list(verdict(JUDGED, "ours", ["power"])["better"]) == [True, True, True]
    assert list(verdict(JUDGED, "power", ["ours"])["better"]) == [False, False, False]
    assert verdict(JUDGED, "ours", ["power"]).loc["tokens", "power"] == 0.40


def test_a_law_that_was_not_judged_is_named():
    with pytest.raises(AnalysisError, match="not judged: steps"):
        verdict(JUDGED, "ours", ["steps"])


def test_the_best_law_of_each_hold_out():
    assert best_laws(JUDGED, ["ours", "power", "other"]).to_dict() == {
        "size": "other",
        "tokens": "ours",
        "bits": "ours",
    }
    assert best_laws(JUDGED, ["power", "other"]).to_dict() == {"size": "other", "tokens": "power"}


@pytest.fixture
def trunk():
    """Six sizes that follow the published law exactly, but for the largest, which has twice its QiD."""
    sizes, tokens, bits = (
        one.ravel()
        for one in np.meshgrid(np.geomspace(1e6, 4e7, 6), np.geomspace(1e8, 1e9, 4), [2.0, 3.0, 4.0], indexing="ij")
    )
    qid = OUYANG_2024.predict(tokens, sizes, bits) * np.where(sizes == sizes.max(), 2.0, 1.0)
    named = {"n_params_non_embedding": sizes, "tokens_seen": tokens, "bits": bits, "qid_nats": qid}
    return pd.DataFrame(named | {"qid_se_nats": 0.01 * qid, "run_label": [f"run-{size:.0f}" for size in sizes]})


def test_each_size_is_held_out_with_all_smaller_ones_to_fit(trunk):
    found = each_as_largest(trunk.sample(frac=1, random_state=3), fewest_smaller=3)
    sizes = np.unique(trunk["n_params_non_embedding"])
    assert list(found) == list(sizes[3:])
    for index, (size, split) in enumerate(found.items(), start=3):
        assert set(split.held["n_params_non_embedding"]) == {size}
        assert len(split.held) == 12  # four moments at three widths
        assert set(split.training["n_params_non_embedding"]) == set(sizes[:index])
    assert each_as_largest(trunk, fewest_smaller=6) == {}


def test_ratios_are_of_measured_over_what_a_law_of_the_others_says(trunk):
    *_, before, largest = each_as_largest(trunk).values()
    found = over_predicted(refitted(UnifiedLaw), largest)
    assert found["ratio"].to_numpy() == pytest.approx(2.0, rel=EXACT)
    assert found.index.equals(largest.held.index)
    assert over_predicted(refitted(UnifiedLaw), before)["ratio"].to_numpy() == pytest.approx(1.0, rel=EXACT)
    doubled = Split(largest.training.iloc[:0], before.held.assign(qid_nats=2 * before.held["qid_nats"]))
    assert over_predicted(as_published(OUYANG_2024), doubled)["ratio"].to_numpy() == pytest.approx(2.0)


def test_the_largest_size_in_each_of_its_runs_beside_the_next_one():
    measured = pd.read_parquet(RESULTS / "measurements.parquet")
    found = largest_over_next(measured)
    assert list(found["run"].unique()) == list(RUNS.values())
    assert not found.duplicated(["run", "bits", "step"]).any()
    at = found.set_index(["run", "bits", "step"])
    plain = measured[(measured["method"] == "gptq") & (measured["group_size"] == 32) & measured["symmetric"].eq(False)]
    plain = plain[(plain["n_sequences"] == 512) & (plain["eval_dataset"] == "wheels-heldout")]
    plain = plain[(plain["device_type"] == "cuda") & (plain["calib_seed"] == 0) & (plain["step"] == 3725)]
    kl = plain[plain["bits"] == 4].set_index("run")["kl_nats"]
    for words, run in (("first run", "tadpole-512x12"), ("another seed", "tadpole-512x12-seed1")):
        assert at.loc[(words, 4, 3725), "ratio"] == pytest.approx(kl[run] / kl["tadpole-384x8"])
    assert at.loc[("second run", 4, 3725), "ratio"] == pytest.approx(0.635, abs=0.001)  # less its text's factor
    assert at.loc[("second run", 4, 3725), "relative_error"] > at.loc[("first run", 4, 3725), "relative_error"] > 0.03
    with pytest.raises(AnalysisError):
        largest_over_next(measured[measured["family"] == "tadpole-trunk"])
