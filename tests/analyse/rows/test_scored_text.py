from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.noise import EvaluationError
from helpers.analyse.rows.noise_floor import NoiseFloor, study_floors
from helpers.analyse.rows.outcomes import KL, QID
from helpers.analyse.rows.scored_text import scored_both_ways, scored_text_relative
from helpers.table.corpus import packages
from helpers.table.errors import AnalysisError

RESULTS = Path(__file__).parents[3] / "results"


def test_a_planted_move_comes_back_with_its_interval_over_runs():
    generator = np.random.default_rng(0)
    logs = np.log(1.1) + 0.02 * generator.normal(size=(12, 4))
    rows = [
        {"method": "rtn", "bits": 3.0, "run_label": f"r{i}", "log_ratio": one}
        for i, row in enumerate(logs)
        for one in row
    ]
    found = scored_text_relative(pd.DataFrame(rows)).loc[("rtn", 3.0)]
    assert found["low"] < 1.1 < found["high"]
    assert found["relative_sd"] == pytest.approx(np.hypot(np.log(1.1), 0.02), rel=0.05)
    assert (found["n_rows"], found["n_runs"]) == (48, 12)


@pytest.mark.parametrize("outcome", [QID, KL])
def test_the_first_block_of_a_document_loses_more_than_four_of_them(outcome):
    measured = pd.read_parquet(RESULTS / "measurements.parquet")
    both = scored_both_ways(measured, outcome)
    found = scored_text_relative(both[both["tokens_seen"] > 60e6])
    assert found.loc[("rtn", 3.0), "relative_sd"] == pytest.approx(0.09, abs=0.01)
    assert found.loc[("rtn", 3.0), "low"] > 1.04
    with pytest.raises(AnalysisError, match="no checkpoint was scored"):
        scored_both_ways(measured[measured["n_sequences"] != 128], outcome)


def test_the_scored_text_is_no_part_of_one_protocols_floor():
    evaluation = EvaluationError(0.0, 0.0, 1, 0.0)
    plain, told = (NoiseFloor(3, evaluation, 0.03, 0.04, scored_text_relative=part) for part in (0.0, 0.1))
    assert told.of_one_model(1.0) == plain.of_one_model(1.0)
    assert told.of_another_run(1.0) == plain.of_another_run(1.0)
    assert told.of_another_protocol(1.0) == pytest.approx(2 * np.hypot(0.03, 0.1))


def test_the_studys_floors_have_the_scored_text_as_measured():
    measured = pd.read_parquet(RESULTS / "measurements.parquet")
    both = scored_both_ways(measured)
    found = scored_text_relative(both[both["tokens_seen"] > 60e6])["relative_sd"]
    floors = study_floors(measured, packages("evaluation"))
    assert {bits: floor.scored_text_relative for bits, floor in floors.items()} == found.loc["rtn"].to_dict()
    unknown = study_floors(measured[measured["n_sequences"] != 128], packages("evaluation"))[3.0]
    assert np.isnan(unknown.scored_text_relative)
    assert unknown.of_another_run(0.1) == floors[3.0].of_another_run(0.1)
