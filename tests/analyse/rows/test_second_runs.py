from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.outcomes import KL, QID
from helpers.analyse.rows.second_runs import both_runs, one_run_scatter, second_rows, text_factors
from helpers.table.errors import AnalysisError

RESULTS = Path(__file__).parents[3] / "results"


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    return pd.read_parquet(RESULTS / "measurements.parquet")


def planted(sd: float, factor: float, n_models: int = 60, seed: int = 0) -> pd.DataFrame:
    """Pairs whose two runs each scatter by `sd`, the first times `factor`."""
    generator = np.random.default_rng(seed)
    logs = np.log(factor) + sd * (generator.normal(size=(n_models, 5)) - generator.normal(size=(n_models, 5)))
    rows = [{"model": f"m{i}", "bits": 3.0, "log_ratio": one} for i, row in enumerate(logs) for one in row]
    return pd.DataFrame(rows)


def test_planted_scatter_of_one_run_comes_back_whatever_the_factor_of_the_text():
    for factor in (1.0, 0.7):
        found = one_run_scatter(planted(0.05, factor)).loc[3.0]
        assert found["relative_sd"] == pytest.approx(0.05, rel=0.1)
        assert (found["n_rows"], found["n_sizes"]) == (300, 60)


def test_the_factor_comes_from_the_other_sizes_alone():
    both = planted(0.001, 0.9)
    spoilt = both.assign(log_ratio=both["log_ratio"].where(both["model"] != "m7", 5.0))
    mine, other = text_factors(spoilt, "m7").loc[3.0], text_factors(spoilt, "m8").loc[3.0]
    assert mine["factor"] == pytest.approx(0.9, rel=1e-3)
    assert other["factor"] > 0.95
    assert mine["n_sizes"] == 59
    with pytest.raises(AnalysisError, match="needs two other sizes"):
        text_factors(both[both["model"].isin(["m1", "m2"])], "m1")


@pytest.mark.parametrize(("outcome", "expected"), [(QID, [0.99, 0.82, 0.86]), (KL, [1.00, 0.83, 0.93])])
def test_the_second_run_of_the_ninth_size_against_the_first(measured, outcome, expected):
    both = both_runs(measured, outcome)
    assert both["model"].nunique() == 8
    ninth = both[(both["model"] == "tadpole-512x12") & (both["tokens_seen"] > 4e8)].set_index("bits")
    factor = text_factors(both, "tadpole-512x12")["factor"]
    np.testing.assert_allclose(
        (ninth["second_nats"] * factor / ninth["first_nats"]).loc[[2, 3, 4]], expected, atol=0.01
    )


def test_kl_scatters_by_three_percent_between_runs_at_every_width(measured):
    found = one_run_scatter(both_runs(measured, KL))["relative_sd"]
    np.testing.assert_allclose(found.loc[[2, 3, 4]], [0.029, 0.038, 0.026], atol=0.002)


def test_rows_of_second_runs_carry_factor_and_its_error(measured):
    rows = second_rows(measured)
    assert rows.groupby("bits").size().loc[[2, 3, 4]].tolist() == [55, 55, 55]  # 39 own, 16 of cooldowns
    for qid, documents, kl, se in rows[["qid_nats", "document_qid_nats", "kl_nats", "kl_se_nats"]].to_numpy():
        assert np.mean(documents) == pytest.approx(qid, abs=1e-5)  # losses by document are stored in single precision
        assert 0 < se < 0.05 * kl
