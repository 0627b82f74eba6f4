import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.data import FitError
from helpers.analyse.questions import mechanism
from helpers.analyse.rows.study import on_trunk
from helpers.table.errors import AnalysisError

LAYERS = ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
NAMES = tuple(f"{block}.{layer}" for block in range(2) for layer in LAYERS)


def checkpoint(**changed) -> dict:
    """Two blocks; all matrices alike but for what a test changes."""
    same = {
        "weights_sha256": "a",
        "family": "tadpole-trunk",
        "run": "tadpole-64x3",
        "branched_from": None,
        "n_averaged": 1,
        "matrices": NAMES,
        "weight_rms": [0.1] * 8,
        "weight_change": [0.3] * 8,
        "rtn_error_2_bits": [0.4] * 8,
        "rtn_error_3_bits": [0.2] * 8,
        "rtn_error_4_bits": [0.1] * 8,
        "weight_kurtosis": [3.0] * 8,
        "input_kurtosis": [4.0] * 8,
        "hessian_trace": 500.0,
        "hessian_trace_by_block": [300.0, 200.0],
    }
    return same | changed


def describe(*rows: dict) -> pd.DataFrame:
    return mechanism.describe(pd.DataFrame(list(rows)))


def test_equal_matrices_are_as_one_of_them():
    one = describe(checkpoint()).iloc[0]
    assert (one["change"], one["rms"]) == pytest.approx((0.3, 0.1))
    assert [one[f"rounding_{bits}"] for bits in (2, 3, 4)] == pytest.approx([0.4, 0.2, 0.1])
    assert one["variance_3"] == pytest.approx((0.1 * 0.2) ** 2)
    assert one["predicted_3_nats"] == pytest.approx(0.5 * 500 * (0.1 * 0.2) ** 2)
    assert (one["mean_weight_kurtosis"], one["mean_input_kurtosis"]) == pytest.approx((3, 4))


def test_matrices_together_agree_with_the_weights_themselves():
    """Real matrices of 3, 1, 4 and 4 squares, changed: their lists give back the norm of all weights together."""
    generator = np.random.default_rng(0)
    shapes = [(24, 8), (8, 8), (32, 8), (8, 32)] * 2
    weights = [generator.normal(0, scale, shape) for scale, shape in zip(np.linspace(0.1, 0.8, 8), shapes, strict=True)]
    errors = [generator.normal(0, 0.1, shape) for shape in shapes]
    norm = np.linalg.norm
    relative = [norm(error) / norm(weight) for error, weight in zip(errors, weights, strict=True)]
    row = checkpoint(weight_rms=[np.sqrt((w**2).mean()) for w in weights], rtn_error_3_bits=relative)
    one = describe(row).iloc[0]
    every_error, every_weight = (np.concatenate([x.ravel() for x in parts]) for parts in (errors, weights))
    assert one["rounding_3"] == pytest.approx(norm(every_error) / norm(every_weight))
    assert one["rms"] == pytest.approx(np.sqrt((every_weight**2).mean()))
    assert one["variance_3"] == pytest.approx((every_error**2).mean())
    blocks = every_error.reshape(2, -1)
    assert one["predicted_3_nats"] == pytest.approx(
        0.5 * (300 * (blocks[0] ** 2).mean() + 200 * (blocks[1] ** 2).mean())
    )


def test_kurtosis_counts_matrices_by_their_weights():
    one = describe(checkpoint(weight_kurtosis=[3, 15, 3, 3] * 2)).iloc[0]
    assert one["mean_weight_kurtosis"] == pytest.approx(4)  # 12 more in a twelfth of the weights


def test_without_a_checkpoint_before_there_is_no_change():
    assert np.isnan(describe(checkpoint(weight_change=None))["change"].iloc[0])


def test_a_branch_belongs_to_its_trunk_and_a_family_keeps_its_own():
    branch = checkpoint(run="tadpole-64x3-cooldown500", branched_from="tadpole-64x3")
    average = checkpoint(run="tadpole-64x3-average5", branched_from="tadpole-64x3", n_averaged=5)
    table = describe(checkpoint(), branch, average, checkpoint(family="tadpole-seeds"))
    assert table["cluster"].tolist() == ["tadpole-trunk/tadpole-64x3"] * 3 + ["tadpole-seeds/tadpole-64x3"]


def test_other_blocks_are_refused():
    with pytest.raises(AnalysisError, match="only blocks of GPT-NeoX"):
        describe(checkpoint(matrices=("0.self_attn.q_proj", *NAMES[1:])))


def measured(**changed) -> dict:
    same = {"weights_sha256": "a", "method": "rtn", "bits": 3.0, "qid_nats": 0.05, "n_averaged": 1, "run": "r"}
    return same | changed


def test_a_row_gets_what_belongs_to_its_bits():
    qid = pd.DataFrame([measured(bits=bits) for bits in (2.0, 3.0, 4.0, 8.0)])
    joined = mechanism.with_description(qid, describe(checkpoint()))
    assert joined["bits"].tolist() == [2, 3, 4]
    assert joined["rounding"].tolist() == pytest.approx([0.4, 0.2, 0.1])
    assert joined["predicted_nats"].tolist() == pytest.approx([0.4, 0.1, 0.025])
    assert joined["ratio"].tolist() == pytest.approx([0.125, 0.5, 2.0])


def test_averages_are_left_out_and_unknown_weights_refused():
    table = describe(checkpoint())
    both = pd.DataFrame([measured(), measured(n_averaged=5)])
    assert len(mechanism.with_description(both, table)) == 1
    with pytest.raises(AnalysisError, match="1 rows are of checkpoints that aren't described"):
        mechanism.with_description(pd.DataFrame([measured(weights_sha256="b")]), table)


def test_the_exponent_of_travel_is_a_half_for_a_walk_and_one_for_a_line():
    assert mechanism.travel_exponent(6.0, [2.0, 2.0, 2.0]) == pytest.approx(1)
    assert mechanism.travel_exponent(np.sqrt(12), [2.0, 2.0, 2.0]) == pytest.approx(0.5)
    generator = np.random.default_rng(3)
    legs = generator.normal(size=(8, 100_000))
    walk = mechanism.travel_exponent(np.linalg.norm(legs.sum(0)), np.linalg.norm(legs, axis=1))
    assert walk == pytest.approx(0.5, abs=0.01)


def test_rounding_in_updates_follows_the_exponent():
    assert mechanism.updates_of_rounding(0.2, 0.1, 100, 1.0) == pytest.approx(50)
    assert mechanism.updates_of_rounding(0.2, 0.1, 100, 0.5) == pytest.approx(25)


def _named(run: str, model: str = "large") -> dict[str, str]:
    return {"run": run, "run_label": run, "model": model}


def trunk_and_others() -> pd.DataFrame:
    base = {"family": "tadpole-trunk", "branched_from": None, "n_averaged": 1, "schedule": "constant"}
    base |= {"method": "rtn", "bits": 3.0, "qid_nats": 0.1}
    sizes = {"small": 100_000, "large": 1_000_000}
    rows = [
        base | _named(run, run) | {mechanism.N_PARAMS: n, "step": step}
        for run, n in sizes.items()
        for step in (500, 625)
    ]
    seed = base | _named("seed") | {"family": "tadpole-seeds", mechanism.N_PARAMS: 100_000, "qid_nats": 0.2}
    rows += [seed | {"step": step} for step in (500, 625)]
    cooldown = (
        base | _named("cooldown") | {"branched_from": "large", "schedule": "cooldown", mechanism.N_PARAMS: 1_000_000}
    )
    rows += [cooldown | {"step": step, "qid_nats": 0.3} for step in (500, 625)]
    rows += [seed | _named("far") | {"step": 500, mechanism.N_PARAMS: 300_000}]
    rows += [seed | _named("deep") | {"step": 500, mechanism.N_PARAMS: 1_040_000}]
    return pd.DataFrame(rows)


def test_runs_stand_beside_their_twins():
    found = mechanism.beside_trunk(trunk_and_others(), ["qid_nats"])
    places = list(zip(found["run"], found["step"], found["twin"], strict=True))
    assert places == [
        ("seed", 500, 100_000),
        ("seed", 625, 100_000),
        ("cooldown", 625, 1_000_000),  # only its end: the rate still falls before
        ("deep", 500, 1_000_000),  # four per cent away
    ]
    assert np.exp(found["log_qid_nats"]).tolist() == pytest.approx([2, 2, 3, 2])


def test_without_twins_there_is_nothing_to_say():
    table = trunk_and_others()
    with pytest.raises(AnalysisError, match="no row of another run"):
        mechanism.beside_trunk(table[(table["run"] == "far") | on_trunk(table)], ["qid_nats"])


def planted(seed: int = 0, by_run: float = 0.05) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Twelve runs of ten rows: the outcome is 0.8 a - 0.3 b, luck by run and noise; c has no part in it."""
    generator = np.random.default_rng(seed)
    runs = np.repeat(np.arange(12), 10)
    predictors = pd.DataFrame(generator.normal(size=(120, 3)), columns=["a", "b", "c"])
    predictors["a"] += generator.normal(size=12)[runs]
    luck = generator.normal(0, by_run, 12)[runs] + generator.normal(0, 0.05, 120)
    return (5 + 0.8 * predictors["a"] - 0.3 * predictors["b"] + luck).to_numpy(), predictors, runs


def test_planted_coefficients_come_back_inside_their_intervals():
    outcome, predictors, runs = planted()
    found = mechanism.regression(pd.Series(outcome, index=range(7, 127)), predictors, runs)
    assert found.index.tolist() == ["a", "b", "c"]
    assert found["value"].tolist() == pytest.approx([0.8, -0.3, 0.0], abs=0.03)  # noise of 0.07 on 120 rows: se 0.007
    assert (found["low"] < found["value"]).all()
    assert (found["value"] < found["high"]).all()


def test_intervals_count_runs():
    """A predictor that is one number a run, with luck by run: taking rows as independent would cover about half."""
    inside = 0
    for seed in range(200):
        outcome, predictors, runs = planted(seed, by_run=0.3)
        predictors["d"] = np.random.default_rng(seed + 1000).normal(size=12)[runs]
        row = mechanism.regression(outcome, predictors, runs).loc["d"]
        inside += row["low"] < 0 < row["high"]
    assert 0.90 <= inside / 200 <= 0.995  # a share of 200 has a standard error of 0.015


def test_one_run_gives_no_interval():
    outcome, predictors, runs = planted()
    with pytest.raises(FitError, match="two runs or more"):
        mechanism.regression(outcome, predictors, np.zeros_like(runs))


def test_nested_models_say_what_each_predictor_adds():
    outcome, predictors, runs = planted(by_run=0.0)
    models = {"one": ["a"], "both": ["a", "b"], "idle": ["a", "b", "c"]}
    found = mechanism.nested(outcome, predictors, models, runs)
    assert found["n_predictors"].tolist() == [1, 2, 3]
    assert found.loc["both", "residual_sd"] == pytest.approx(0.05, rel=0.2)
    assert found.loc["one", "residual_sd"] > 0.25
    assert found["r_squared"].is_monotonic_increasing
    assert found.loc["both", "left_out_rms"] == pytest.approx(0.05, rel=0.2)


def test_a_run_left_out_is_predicted_without_itself():
    """A predictor that sets only one run apart fits that run's luck inside the sample, and fails on it left out."""
    outcome, predictors, runs = planted(by_run=0.0)
    outcome = outcome + 3.0 * (runs == 0)
    own = (runs == 0) + 0.01 * np.random.default_rng(9).normal(size=120)
    found = mechanism.nested(outcome, predictors.assign(own=own), {"own": ["a", "b", "own"]}, runs)
    assert found.loc["own", "residual_sd"] < 0.1
    assert found.loc["own", "left_out_rms"] > 0.5  # 3 in a twelfth of the rows: 0.87
