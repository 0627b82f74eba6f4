"""Runs on a part of the text beside the trunk, on planted rows whose ratios are known."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.questions import read_again
from helpers.analyse.rows.degradation import TOKENS_SEEN
from helpers.table.errors import AnalysisError

SIZES = {"small": 0.9, "middle": 1.0, "large": 1.2}  # model: its level
AMOUNTS = (25e6, 50e6, 100e6)
PASSES = 0.2  # exponent of the passes that is planted in KL; QiD has twice that


def rows_at(tokens: float, model: str, bits: float, unique: float, family: str, method: str = "gptq") -> dict:
    passes = max(1.0, tokens / unique)
    kl = SIZES[model] * (tokens / 1e8) ** 0.5 * 4.0**-bits
    return {
        "family": family,
        "model": model,
        "run_label": f"{family}/{model}-{unique:g}",
        "method": method,
        "bits": bits,
        "group_size": 32.0,
        "symmetric": False,
        TOKENS_SEEN: int(tokens),
        "step": int(tokens / 1e5),
        "unique_tokens": unique,
        "epochs": tokens / unique,
        "kl_nats": kl * passes**PASSES,
        "qid_nats": kl * passes ** (2 * PASSES),
        "baseline_loss_nats": 2.0 - 0.1 * np.log(tokens / 1e8) + 0.03 * (passes - 1),
    }


@pytest.fixture
def trunk() -> pd.DataFrame:
    places = [(tokens, model, bits) for tokens in (2e7, 1e8, 3e8) for model in SIZES for bits in (2.0, 4.0)]
    return pd.DataFrame([rows_at(*place, 4e8, "trunk") for place in places])


@pytest.fixture
def again() -> pd.DataFrame:
    places = [(tokens, model, bits) for tokens in (2.5e7, 2e8) for model in SIZES for bits in (2.0, 4.0)]
    return pd.DataFrame([rows_at(*place, unique, "again") for unique in AMOUNTS for place in places])


def test_ratios_are_those_planted_between_the_trunks_checkpoints_too(again, trunk):
    """Neither 25M nor 200M tokens is one of the trunk's checkpoints; its power law is straight between them."""
    found = read_again.over_fresh(again, trunk)
    assert len(found) == len(again)
    passes = found["epochs"].clip(lower=1)
    np.testing.assert_allclose(found["log_kl"], PASSES * np.log(passes), atol=1e-12)
    np.testing.assert_allclose(found["log_qid"], 2 * PASSES * np.log(passes), atol=1e-12)
    np.testing.assert_allclose(found["more_loss_nats"], 0.03 * (passes - 1), atol=1e-12)


def test_what_the_trunk_lacks_is_left_out(again, trunk):
    more = [rows_at(2e8, "small", 2.0, 25e6, "again", "awq"), rows_at(4e8, "small", 2.0, 25e6, "again")]
    coarse = again.assign(group_size=128.0)
    found = read_again.over_fresh(pd.concat([again, pd.DataFrame(more), coarse]), trunk)
    assert len(found) == len(again)
    with pytest.raises(AnalysisError, match="no run on a part of the text has the trunk's sizes, schemes and tokens"):
        read_again.over_fresh(again.assign(method="awq"), trunk)


def test_an_outcome_that_isnt_positive_has_no_ratio(again, trunk):
    again.loc[0, "qid_nats"] = -0.1
    found = read_again.over_fresh(again, trunk)
    assert found["log_qid"].isna().sum() == 1
    assert found["log_kl"].notna().all()


def test_ends_and_beginnings(again, trunk):
    found = read_again.over_fresh(again, trunk)
    assert set(read_again.at_the_end(found)[TOKENS_SEEN]) == {200_000_000}
    assert set(read_again.before_again(found)[TOKENS_SEEN]) == {25_000_000}
    np.testing.assert_allclose(read_again.before_again(found)["log_kl"], 0, atol=1e-12)


def test_means_by_amount_count_sizes(again, trunk):
    """A size with luck of its own moves the mean by a third of it and widens the interval as Student's t says."""
    ends = read_again.at_the_end(read_again.over_fresh(again, trunk))
    lucky = ends.assign(log_kl=ends["log_kl"] + 0.3 * (ends["model"] == "large"))
    found = read_again.means_by_amount(lucky, "log_kl")
    assert found["mean"].to_dict() == pytest.approx({amount: PASSES * np.log(2e8 / amount) + 0.1 for amount in AMOUNTS})
    assert (found["n_runs"] == 3).all()
    half = 4.302653 * 0.3 / np.sqrt(3) / np.sqrt(3)  # t of two degrees of freedom times sd / sqrt(3)
    np.testing.assert_allclose(found["high"] - found["mean"], half, rtol=1e-6)


def test_scatter_is_the_rms_over_checkpoints_of_means_over_schemes(again, trunk):
    """Two widths of one checkpoint moved by +0.4 and -0.2 are one mean of 0.1 among the six that have read nothing twice."""
    found = read_again.over_fresh(again, trunk)
    early = found["epochs"] <= 1
    first = early & (found["run_label"] == found.loc[early, "run_label"].iloc[0])
    assert first.sum() == 2
    found.loc[first, "log_kl"] += np.array([0.4, -0.2])
    n_early = found.loc[early, ["run_label", "step"]].drop_duplicates().shape[0]
    assert read_again.scatter(found, "log_kl") == pytest.approx(0.1 / np.sqrt(n_early))


def test_least_over_most_needs_no_trunk(again):
    hadamard = again.assign(method="gptq_hadamard")
    hadamard.loc[(hadamard["bits"] == 4) & (hadamard["model"] == "small"), "kl_nats"] = 0.0
    found = read_again.least_over_most(pd.concat([again, hadamard]), "kl")
    assert len(found) == 2 * 2 * 3, "a row a method, width and size"
    missing = found["log_ratio"].isna()
    assert found[missing][["model", "method", "bits"]].to_numpy().tolist() == [["small", "gptq_hadamard", 4.0]]
    np.testing.assert_allclose(found.loc[~missing, "log_ratio"], PASSES * np.log(4))
