"""One law against a goal and against others."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.degradation import AnalysisError
from helpers.analyse.extrapolation import best_laws, verdict

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
