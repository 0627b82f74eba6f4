"""What is known before rounding: features of the committed checkpoints and of planted ones, refusals, guesses beside noise."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.judgement import known_before
from helpers.table.errors import AnalysisError
from helpers.table.files import read_checkpoints

CHECKPOINTS = Path(__file__).parents[3] / "results/checkpoints.parquet"


@pytest.fixture(scope="module")
def checkpoints():
    read = read_checkpoints(CHECKPOINTS).to_pandas()
    return read[read["model"].isin(["tadpole-64x3", "tadpole-512x12"])].groupby("run").head(2).reset_index(drop=True)


def qid(checkpoints):
    """Return rows of every checkpoint at 2, 3 and 4 bits, with a QiD that nobody measured."""
    kept = ["weights_sha256", "n_averaged", "n_params_non_embedding", "tokens_seen", "family", "run", "model"]
    kept += ["learning_rate", "lr_fraction"]
    rows = checkpoints[kept].merge(pd.DataFrame({"bits": [2.0, 3.0, 4.0]}), how="cross")
    return rows.assign(qid_nats=0.1, baseline_loss_nats=2.5)


def test_features_are_logarithms_of_what_the_checkpoint_says(checkpoints):
    table = known_before.with_features(qid(checkpoints), checkpoints)
    first, row = checkpoints.iloc[0], table.iloc[2]
    assert (row["weights_sha256"], row["bits"]) == (first["weights_sha256"], 4)
    assert row["log_trace"] == pytest.approx(np.log(first["hessian_trace"]), rel=1e-12)
    assert row["log_weight_largest"] == pytest.approx(np.log(float(max(first["weight_max_over_rms"]))), rel=1e-12)
    assert np.exp(row[known_before.SIZE]) == pytest.approx(first["n_params_non_embedding"], rel=1e-9)
    assert row[known_before.PER_PARAMETER] == row[known_before.TOKENS] - row[known_before.SIZE]
    assert (row["two_bits"], row["four_bits"]) == (0.0, 1.0)
    assert np.isfinite(table[list(known_before.FEATURES)].to_numpy(float)).all()


def test_a_bit_less_costs_more_by_curvature_and_nothing_else_of_the_checkpoint_moves(checkpoints):
    table = known_before.with_features(qid(checkpoints), checkpoints)
    by_bits = {bits: rows.reset_index(drop=True) for bits, rows in table.groupby("bits")}
    for name in ("log_rounding", known_before.CURVATURE):
        assert (by_bits[2.0][name] > by_bits[3.0][name]).all()
    still = [name for name in known_before.FEATURES if name not in ("log_rounding", known_before.CURVATURE)]
    pd.testing.assert_frame_equal(by_bits[2.0][still], by_bits[4.0][still])


def test_branches_belong_to_the_run_that_they_left(checkpoints):
    table = known_before.with_features(qid(checkpoints), checkpoints)
    branched = table[table["branched_from"].notna()]
    assert len(branched) > 0
    assert (branched["cluster"] == branched["family"] + "/" + branched["branched_from"]).all()


def test_what_isnt_finite_is_refused_by_its_name(checkpoints):
    broken = checkpoints.assign(logit_entropy_nats=np.nan)
    with pytest.raises(AnalysisError, match="^not finite in every row: entropy$"):
        known_before.with_features(qid(checkpoints), broken)


def test_a_trace_below_zero_has_no_logarithm_and_is_refused(checkpoints):
    with pytest.raises(AnalysisError, match="log_trace"):
        known_before.with_features(qid(checkpoints), checkpoints.assign(hessian_trace=-1.0))


def test_correlations_are_taken_within_a_bit_width():
    generator = np.random.default_rng(0)
    bits = np.repeat([2.0, 3.0, 4.0], 200)
    table = pd.DataFrame({"bits": bits, "a": generator.normal(size=600) + 10 * bits})
    table = table.assign(b=generator.normal(size=600) + 10 * bits, c=table["a"] ** 3, d=1.0)
    found = known_before.rank_correlations(table, ["a", "b", "c", "d"])
    assert found.loc["a", "b"] < 0.15  # together over all widths: 0.9
    assert found.loc["a", "c"] == pytest.approx(1.0)
    assert found.loc["a", "d"] == 0.0
    assert known_before.alike(table, ["a", "b", "c"]) == [("a", "c"), ("b",)]


def test_guesses_beside_noise_are_joined_by_weights_and_width():
    index = pd.MultiIndex.from_tuples(
        [("f/r", 10, 20, "w", 2.0), ("f/r", 10, 20, "w", 3.0)],
        names=["run_label", "n_params_non_embedding", "tokens_seen", "weights_sha256", "bits"],
    )
    kl = pd.DataFrame({"gptq": [0.4, 0.1], "gaussian_noise": [0.8, 0.2]}, index=index)
    costs = pd.DataFrame({2: [0.5], 3: [0.05], "trace_error": [0.1]}, index=pd.Index(["w"], name="weights_sha256"))
    found = known_before.beside_noise(kl, costs)
    assert np.exp(found["log_noise"]).tolist() == pytest.approx([0.8, 0.2])
    assert np.exp(found[known_before.CURVATURE]).tolist() == pytest.approx([0.5, 0.05])
    assert found["kl_nats"].tolist() == [0.4, 0.1]
