import numpy as np
import pandas as pd
import pytest

from helpers.analyse.questions.tokens_per_parameter import by_size, size_slopes
from helpers.analyse.rows.outcomes import KL, QID


def planted(alpha: float, beta: float, scatter: float = 0.0) -> pd.DataFrame:
    """Eight runs at six moments, outcome = D^beta N^-alpha / 1000."""
    generator, rows = np.random.default_rng(0), []
    for run in range(8):
        for tokens in np.geomspace(1e8, 1e9, 6):
            size = 1e5 * 2.0**run
            value = 1e-3 * tokens**beta * size**-alpha * np.exp(scatter * generator.normal())
            rows.append({"run_label": f"r{run}", "n_params_non_embedding": size, "tokens_seen": tokens, "bits": 3.0})
            rows[-1] |= {"qid_nats": value, "kl_nats": 2 * value}
    return pd.DataFrame(rows)


@pytest.mark.parametrize("outcome", [QID, KL])
def test_slopes_in_size_are_minus_alpha_at_fixed_tokens_and_beta_minus_alpha_at_fixed_ratio(outcome):
    found = size_slopes(planted(0.47, 0.52), outcome)["slope"]
    assert found[3.0, "tokens"] == pytest.approx(-0.47)
    assert found[3.0, "tokens per parameter"] == pytest.approx(0.05)
    noisy = size_slopes(planted(0.47, 0.52, scatter=0.05), outcome).loc[(3.0, "tokens per parameter")]
    assert noisy["low"] < 0.05 < noisy["high"]
    assert noisy["n_runs"] == 8


def test_where_the_ratio_is_all_that_counts_sizes_agree_in_a_range_of_it():
    table = planted(0.5, 0.5)
    found = by_size(table, [100, 200, 400, 800])
    assert found.shape[1] == 3
    assert np.nanmax(found.to_numpy() / np.nanmean(found.to_numpy(), axis=0)) < 1.3
    assert np.isnan(found.to_numpy()).any(), "no size reaches every range"
