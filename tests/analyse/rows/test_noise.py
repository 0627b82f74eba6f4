import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.analyse.rows.noise import (
    EvaluationError,
    calibration_draws,
    device_part,
    documents_needed,
    evaluation_error,
    format_parts,
    scatter_ratio,
    scatter_trend,
    training_seeds,
    without_rounding,
)
from helpers.analyse.rows.noise_floor import NoiseFloor, study_floors
from helpers.analyse.rows.selection import REPLICATE_KEY
from helpers.analyse.rows.standard_errors import clustered_error
from helpers.analyse.rows.study import gptq_of_study
from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error

EXACT = EvaluationError(scale_nats=0.0, exponent=0.5, n_documents=128, log_sd=0.0)


def test_documents_that_repeat_each_other_count_once():
    one = np.random.default_rng(2).normal(0.1, 0.05, 30)
    groups = [f"package {index}" for index in range(30)]
    assert clustered_error(one, groups) == pytest.approx(paired_error(one))
    assert clustered_error(np.tile(one, 4), groups * 4) == pytest.approx(paired_error(one))
    assert clustered_error(one) == paired_error(one)
    with pytest.raises(AnalysisError, match="1 groups"):
        clustered_error(one, ["package"] * 30)


def _with_errors(qid: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    """Rows with exactly these QiDs and paired errors, over 64 documents that lie evenly on both sides of the mean."""
    sides = np.tile([-1.0, 1.0], 32)
    sides = sides / paired_error(sides)
    documents = [mean + error * sides for mean, error in zip(qid, errors, strict=True)]
    return pd.DataFrame({"qid_nats": qid, "document_qid_nats": documents, "n_documents": 64})


def test_scale_and_exponent_of_the_evaluation_error_come_back():
    qid = np.geomspace(0.001, 1.0, 9)
    error = evaluation_error(_with_errors(qid, 0.01 * qid**0.6))
    assert error.scale_nats == pytest.approx(0.01)
    assert error.exponent == pytest.approx(0.6)
    assert error.log_sd == pytest.approx(0.0, abs=1e-9)
    assert error.at(0.5) == pytest.approx(0.01 * 0.5**0.6)
    assert error.at(-0.5, 16) == pytest.approx(2 * error.at(0.5))  # a quarter of the documents
    scattered = evaluation_error(_with_errors(qid, 0.01 * qid**0.6 * np.exp(np.tile([-0.2, 0.2, 0.0], 3))))
    assert scattered.log_sd == pytest.approx(0.2, rel=0.2)


def test_a_qid_of_zero_or_less_is_no_part_of_the_fit():
    qid = np.array([-0.001, 0.0, 0.01, 0.1, 1.0])
    errors = np.array([0.5, 0.5, *(0.01 * qid[2:] ** 0.6)])
    assert evaluation_error(_with_errors(qid, errors)).exponent == pytest.approx(0.6)
    with pytest.raises(AnalysisError, match="three rows"):
        evaluation_error(_with_errors(qid[:4], errors[:4]))
    with pytest.raises(AnalysisError, match="same documents"):
        evaluation_error(_with_errors(qid, errors).assign(n_documents=[64, 64, 64, 64, 32]))


def test_fewer_documents_give_a_larger_error_that_the_interval_knows():
    differences = np.random.default_rng(4).normal(0.2, 0.1, 128)
    table = documents_needed(differences, [16, 64], np.random.default_rng(6)).set_index("n_documents")
    sd = differences.std()
    # 4000 draws give a standard deviation to about 1%, and a coverage to 0.3%
    np.testing.assert_allclose(table["sd_nats"], [sd / 4, sd / 8], rtol=0.05)
    np.testing.assert_allclose(table["relative_sd"], table["sd_nats"] / differences.mean())
    assert table["coverage"].between(0.92, 0.97).all()


def _draws(effects: dict[int, list[float]], noise: float = 0.0) -> pd.DataFrame:
    """One checkpoint with a row a calibration seed: QiD is one plus the effect, plus `noise` of its own documents."""
    generator = np.random.default_rng(9)
    common = generator.normal(0.0, 0.3, 400)
    blank = dict.fromkeys(REPLICATE_KEY, "same")
    return pd.DataFrame(
        blank
        | {"checkpoint_id": "one", "bits": float(bits), "calib_seed": seed}
        | {"document_qid_nats": 1.0 + effect + common - common.mean() + noise * generator.normal(size=400)}
        for bits, each in effects.items()
        for seed, effect in enumerate(each)
    )


def test_calibration_draws_give_the_relative_scatter_and_its_interval():
    table = calibration_draws(_draws({2: [-0.1, 0.0, 0.1], 4: [-0.02, 0.0, 0.02]}))
    np.testing.assert_allclose(table["relative_sd"], [0.1, 0.02])
    np.testing.assert_allclose(table["documents_share"], 0.0, atol=1e-20)
    assert table["degrees_of_freedom"].tolist() == [2, 2]
    ends = 0.1 * np.sqrt(2 / stats.chi2(2).ppf([0.975, 0.025]))
    assert table.loc[2.0, ["low", "high"]].tolist() == pytest.approx(ends.tolist())


def test_scatter_that_the_documents_make_is_told():
    """Without any effect of the draw, all of the variance is that of documents."""
    table = calibration_draws(_draws({3: [0.0] * 40}, noise=0.5))
    assert table.loc[3.0, "documents_share"] == pytest.approx(1.0, abs=0.3)  # 39 degrees of freedom: about 23%
    with pytest.raises(AnalysisError, match="two calibration seeds"):
        calibration_draws(_draws({3: [0.0]}))


def test_device_part_is_that_of_one_measurement():
    agreement = pd.DataFrame({"method": ["gptq", "gptq", "rtn"], "bits": [3.0, 3.0, 3.0]})
    agreement = agreement.assign(difference_nats=[0.02, -0.02, 9.0], qid_nats_cuda=1.0)
    assert device_part(agreement)[3.0] == pytest.approx(0.02 / np.sqrt(2))


def test_format_parts_are_relative_by_bits():
    rows = pd.DataFrame({"work": ["a, 2 bits", "b, 2 bits", "a, 4 bits"], "qid_nats": [1.0, 2.0, 0.1]})
    parts = format_parts(rows.assign(scoring_in_tfloat32=[0.03, -0.08, 0.001]))
    assert parts.loc[2.0, "scoring_in_tfloat32"] == pytest.approx(np.sqrt((0.03**2 + 0.04**2) / 2))
    assert parts.loc[4.0, "scoring_in_tfloat32"] == pytest.approx(0.01)


def _seeds(effects: dict[str, list[float]], n_steps: int = 1, noise: float = 0.0) -> pd.DataFrame:
    """Rows of models by name, a run for each effect of a seed, all with the same effect at `n_steps` checkpoints."""
    generator = np.random.default_rng(3)
    common = generator.normal(0.0, 0.3, 400)
    return pd.DataFrame(
        {"model": model, "step": step, "bits": 3.0, "run_label": f"{model} {seed}"}
        | {"document_qid_nats": 1.0 + effect + common - common.mean() + noise * generator.normal(size=400)}
        for model, each in effects.items()
        for seed, effect in enumerate(each)
        for step in range(n_steps)
    )


def test_training_seeds_count_runs_and_not_checkpoints():
    once, often = (training_seeds(_seeds({"a": [-0.1, 0.0, 0.1]}, n_steps)) for n_steps in (1, 8))
    assert often.loc[3.0, "relative_sd"] == pytest.approx(0.1)
    assert often.loc[3.0, "degrees_of_freedom"] == once.loc[3.0, "degrees_of_freedom"] == 2
    assert often.loc[3.0, "n_checkpoints"] == 8
    assert often.loc[3.0, "high"] == pytest.approx(0.1 * np.sqrt(2 / stats.chi2(2).ppf(0.025)))


def test_another_model_with_seeds_joins():
    table = training_seeds(_seeds({"a": [-0.1, 0.0, 0.1], "b": [-0.2, 0.0, 0.2]}))
    assert table.loc[3.0, "relative_sd"] == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2))
    assert table.loc[3.0, ["degrees_of_freedom", "n_models", "n_runs"]].tolist() == [4, 2, 6]


def _known(relative_sd: float, degrees_of_freedom: int) -> pd.DataFrame:
    """A scatter with its chi square interval, as one row at 3 bits."""
    ends = relative_sd * np.sqrt(degrees_of_freedom / stats.chi2(degrees_of_freedom).ppf([0.975, 0.025]))
    row = {"relative_sd": relative_sd, "low": ends[0], "high": ends[1], "degrees_of_freedom": degrees_of_freedom}
    return pd.DataFrame([row], index=pd.Index([3.0], name="bits"))


def test_taking_out_the_rounding_leaves_the_seed():
    left = without_rounding(_known(0.05, 10), _known(0.03, 30))
    assert left.loc[3.0, "relative_sd"] == pytest.approx(0.04)
    assert left.loc[3.0, "low"] < 0.04 < left.loc[3.0, "high"]
    alone = without_rounding(_known(0.05, 10), _known(1e-9, 30))
    columns = ["relative_sd", "low", "high"]
    np.testing.assert_allclose(alone[columns], _known(0.05, 10)[columns])
    assert without_rounding(_known(0.02, 10), _known(0.03, 30)).loc[3.0, ["relative_sd", "low"]].tolist() == [0.0, 0.0]


def test_the_interval_of_the_seed_holds_it():
    """Two degrees of freedom between runs, 32 between draws, as in the study: planted seeds of 0.05 over 0.025."""
    generator = np.random.default_rng(12)
    between, rounding = 0.05**2 + 0.025**2, 0.025**2
    held = 0
    for _ in range(400):
        found = np.sqrt([between * generator.chisquare(2) / 2, rounding * generator.chisquare(32) / 32])
        left = without_rounding(_known(found[0], 2), _known(found[1], 32)).loc[3.0]
        held += left["low"] <= 0.05 <= left["high"]
    assert 0.92 <= held / 400 <= 0.985  # 95% nominally, 400 trials: about 1% either way


def test_the_ratio_of_two_scatters_has_the_interval_of_f():
    ratio = scatter_ratio(_known(0.04, 12), _known(0.02, 12)).loc[3.0]
    assert ratio["ratio"] == pytest.approx(2.0)
    assert ratio["low"] == pytest.approx(2.0 / np.sqrt(stats.f(12, 12).ppf(0.975)))
    assert ratio["high"] == pytest.approx(4.0 / ratio["low"])


def test_the_trend_of_a_scatter_comes_back():
    """Four degrees of freedom a place, as in the study: draws of the variance, and a planted exponent of -0.3."""
    generator = np.random.default_rng(5)
    sizes = np.geomspace(1e5, 1e7, 8)
    held = []
    for _ in range(300):
        sd = sizes**-0.3 * np.sqrt(generator.chisquare(4, 8) / 4)
        scatter = pd.DataFrame({"bits": 3.0, "size": sizes, "relative_sd": sd, "degrees_of_freedom": 4})
        held.append(scatter_trend(scatter, "size").loc[3.0])
    found = pd.DataFrame(held)
    assert found["exponent"].mean() == pytest.approx(-0.3, abs=0.02)  # 300 trials: about 0.006
    assert ((found["low"] < -0.3) & (found["high"] > -0.3)).mean() == pytest.approx(0.95, abs=0.035)


def test_unequal_degrees_of_freedom_make_no_trend():
    """A variance from two values is low more often than not; that alone must not look like a slope."""
    generator = np.random.default_rng(8)
    freedom = np.array([1, 1, 30, 30])
    sd = np.sqrt(generator.chisquare(freedom, (400, 4)) / freedom)
    tables = [
        pd.DataFrame({"bits": 3.0, "size": [1.0, 2.0, 4.0, 8.0], "relative_sd": one, "degrees_of_freedom": freedom})
        for one in sd
    ]
    exponents = [scatter_trend(table, "size").loc[3.0, "exponent"] for table in tables]
    assert np.mean(exponents) == pytest.approx(0.0, abs=0.05)


def test_the_floor_is_twice_the_root_of_the_sum_of_squares():
    evaluation = EvaluationError(scale_nats=0.012 / 0.2**0.5, exponent=0.5, n_documents=64, log_sd=0.0)
    floor = NoiseFloor(3.0, evaluation, 0.03, 0.24, device_relative=0.02)
    assert evaluation.at(0.2) == pytest.approx(0.06 * 0.2)
    assert floor.of_one_model(0.2) == pytest.approx(2 * 0.2 * 0.07)
    assert floor.of_another_run(0.2) == pytest.approx(2 * 0.2 * 0.25)
    formatted = NoiseFloor(3.0, EXACT, 0.03, 0.0, number_format_relative=0.04)
    np.testing.assert_allclose(formatted.of_one_model(np.array([0.2, -0.2])), 2 * 0.2 * 0.05)


def test_the_smallest_qid_equals_its_own_floor():
    floor = NoiseFloor(4.0, EvaluationError(0.005, 0.55, 128, 0.0), 0.04, 0.1)
    assert floor.of_one_model(floor.smallest_qid_nats) == pytest.approx(floor.smallest_qid_nats)
    assert NoiseFloor(4.0, floor.evaluation, 0.6, 0.1).smallest_qid_nats == np.inf
    with pytest.raises(AnalysisError, match="no smallest"):
        _ = NoiseFloor(4.0, EvaluationError(0.005, 1.1, 128, 0.0), 0.04, 0.1).smallest_qid_nats


@pytest.fixture
def study(rows):
    """The planted rows as a study's: one text, five draws of calibration text at the last step, a second training seed."""
    kept = rows[(rows["device_type"] == "cuda") & rows["method"].isin(["gptq", "none"])]
    kept = kept.assign(family="tadpole-trunk", n_sequences=512, eval_dataset="wheels-heldout", weights_sha256=None)
    rounded = kept["method"] == "gptq"
    kept = kept.assign(calib_seed=np.where(rounded, 0.0, np.nan), symmetric=np.where(rounded, False, None))
    last = kept[rounded & (kept["step"] == 400)]
    draws = [_raised(last, 1 + 0.05 * draw, kept).assign(calib_seed=float(draw)) for draw in (1, 2, 3, 4)]
    seed = kept[kept["model"] == "tadpole-150000"].assign(family="tadpole-seeds", run="again", train_seed=1)
    again = seed[seed["method"] == "gptq"]
    early = again["step"] == 50  # before 60M tokens seeds scatter more
    seed = pd.concat(
        [seed[seed["method"] == "none"], _raised(again[early], 3.0, kept), _raised(again[~early], 1.5, kept)]
    )
    seed["checkpoint_id"] += " again"
    return pd.concat([kept, *draws, seed], ignore_index=True)


def _raised(rounded: pd.DataFrame, factor: float, rows: pd.DataFrame) -> pd.DataFrame:
    """Return `rounded` with the QiD of every document times `factor`."""
    base = rows[rows["method"] == "none"].set_index("checkpoint_id")["group_loss"]
    losses = [
        base[row.checkpoint_id] + factor * (row.group_loss - base[row.checkpoint_id]) for row in rounded.itertuples()
    ]
    return rounded.assign(group_loss=losses, loss_nats=[one.mean() for one in losses])


def test_the_studys_floor_comes_from_its_rows(study):
    groups = [f"package {index // 2}" for index in range(64)]
    floors = study_floors(study, groups)
    assert sorted(floors) == [2.0, 3.0, 4.0]
    draws = 1 + 0.05 * np.arange(5)
    calibration = draws.std(ddof=1) / draws.mean()  # the same at every size
    seed = np.array([1.0, 1.5]).std(ddof=1) / 1.25
    for bits, floor in floors.items():
        assert floor.calibration_relative == pytest.approx(calibration)
        assert floor.training_seed_relative == pytest.approx(np.sqrt(seed**2 - calibration**2))
        first = gptq_of_study(study).query("bits == @bits and calib_seed == 0")
        assert floor.evaluation == evaluation_error(first, groups)
        assert floor.bits == bits


def test_rows_of_the_floor_are_the_studys_plain_gptq(study):
    plain = study[study["method"] == "gptq"]
    other = plain.assign(model="a stranger")
    strangers = [
        other.assign(device_type="cpu"),
        other.assign(n_sequences=128),
        other.assign(eval_dataset="wheels-unseen"),
        other.assign(bits=other["bits"] + 3.0),
        other.assign(group_size=128),
        other.assign(symmetric=True),
        other.assign(method="rtn"),
    ]
    found = gptq_of_study(pd.concat([study, *strangers], ignore_index=True))
    assert "a stranger" not in set(found["model"])
    assert len(found) == len(plain)
