"""The rule of the default law, case by case, and the tracked default."""

from pathlib import Path

import pandas as pd
import pytest

from helpers.analyse.fits.data import FitError
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.default_law import default_law
from helpers.analyse.laws.default import DefaultLaw
from helpers.analyse.laws.names import FORMS

RESULTS = Path(__file__).parents[3] / "results"


def judged(**laws: tuple[float, bool, int]) -> pd.DataFrame:
    columns = ["score", "tied", "constants"]
    return pd.DataFrame.from_dict(laws, orient="index", columns=columns).assign(n_runs=8)


def outside(**behind_low: float) -> pd.DataFrame:
    return pd.DataFrame({"behind_low": behind_low})


def test_the_best_is_taken_where_nothing_is_tied():
    made = default_law(judged(a=(0.2, False, 3), b=(0.1, True, 9)), outside(a=-1.0, b=-1.0))
    assert (made.name, made.tied) == ("b", ("b",))
    assert made.reason == "rms of ln 0.100 on the smaller sizes, 8 runs, tied with none; 9 constants"


def test_of_ties_the_fewest_constants_are_taken_and_of_equals_the_best_score():
    laws = judged(a=(0.12, True, 3), b=(0.10, True, 9), c=(0.11, True, 3), d=(0.5, False, 1))
    made = default_law(laws, outside(a=-1.0))
    assert (made.name, made.tied) == ("c", ("b", "c", "a"))
    assert "(the best, b, has 0.100), tied with b, a; 3 constants" in made.reason


def test_what_is_worse_outside_than_bits_alone_is_vetoed():
    made = default_law(judged(a=(0.12, True, 3), b=(0.10, True, 9)), outside(a=0.01, b=-0.01))
    assert made.name == "b"
    assert made.reason.endswith("worse than bits alone on models of others: a")
    rest = default_law(judged(a=(0.1, True, 3), b=(0.2, False, 9), c=(0.3, False, 1)), outside(a=0.01))
    assert rest.name == "b", "the best of the rest, not the simplest of all"


def test_no_law_left_is_refused():
    with pytest.raises(FitError, match="no law that can be asked of everything is left"):
        default_law(judged(a=(0.1, True, 3)), outside(a=0.2))


def test_a_law_with_its_loss_predicted_has_another_name_on_the_command_line():
    assert DefaultLaw("loss, loss predicted", "", ()).law == "loss"
    assert DefaultLaw("steps", "", ()).law == "steps"


def test_the_tracked_default_is_a_candidate_and_what_its_scores_say():
    stored = read_fits(RESULTS / "fits.json", RESULTS / "measurements.parquet")
    candidates = stored.ranked[stored.ranked["candidate"]]
    assert stored.default.name in candidates.index
    assert stored.default.law in FORMS
    assert set(stored.default.tied) <= set(candidates.index)
    assert stored.default.tied[0] == candidates["score"].idxmin()
    assert not stored.outside.loc[stored.default.name, "behind_low"] > 0
    assert "bits alone" in stored.outside.index
    assert "kumar2024" in stored.outside.index
