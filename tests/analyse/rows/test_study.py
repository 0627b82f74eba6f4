import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.study import (
    FITTED_BITS,
    HELDOUT,
    LATE_TOKENS,
    POCKET,
    SEEDS,
    STUDY,
    TRUNK,
    agreeing,
    late,
    on_trunk,
    rows_of_every_run,
    rows_of_seeds,
    study_rows,
    trunk_rows,
    unbranched,
)
from helpers.table.errors import AnalysisError


def test_rows_agree_that_have_every_value():
    table = pd.DataFrame([STUDY, POCKET, STUDY | {"n_sequences": 256}, POCKET | {"device_type": "cuda"}])
    assert agreeing(table, STUDY).tolist() == [True, False, False, False]
    assert agreeing(table, POCKET | {"device_type": "cuda"}).tolist() == [False, False, False, True]


def test_late_rows_lie_beyond_the_cut_and_not_on_it():
    tokens = [LATE_TOKENS - 1, LATE_TOKENS, LATE_TOKENS + 1]
    assert late(pd.DataFrame({"tokens_seen": tokens})).index.tolist() == [2]


def test_the_trunk_is_the_same_before_degradation_and_after(rows):
    """`run` has one meaning: what tells the trunk's rows among measurements tells them among QiDs too."""
    trunk = of_study(rows[rows["device_type"] == "cuda"])
    branch = trunk.assign(run=trunk["run"] + "-cooldown500", checkpoint_id=trunk["checkpoint_id"] + " cooldown")
    seed = trunk.assign(family=SEEDS, checkpoint_id=trunk["checkpoint_id"] + " seed")
    every = pd.concat([trunk, branch, seed], ignore_index=True)
    assert on_trunk(every).sum() == len(trunk)
    assert unbranched(every).sum() == 2 * len(trunk)
    qid = degradation(every)
    assert set(qid.loc[on_trunk(qid), "run_label"]) == {f"{TRUNK}/{name}" for name in trunk["model"]}
    np.testing.assert_array_equal(on_trunk(qid), qid["run_label"] == TRUNK + "/" + qid["model"])
    assert qid["run_label"].nunique() == 3 * trunk["run"].nunique()


def test_the_rows_fitted_are_the_trunks_at_2_to_4_bits(rows):
    trunk = of_study(rows)
    every = pd.concat([trunk, trunk.assign(bits=8), trunk.assign(run="branch")])
    assert set(trunk_rows(every)["bits"]) == set(FITTED_BITS)
    assert len(trunk_rows(every)) == (trunk["method"] != "none").sum()


def of_study(rows):
    """Return the rows as the trunk's, with and without a seed of calibration text."""
    known = STUDY | {"family": TRUNK, "eval_dataset": HELDOUT}
    return rows.assign(**known, run=rows["model"], calib_seed=[None, 0.0] * (len(rows) // 2))


@pytest.mark.parametrize(
    "other",
    [
        {"family": "pythia"},
        {"device_type": "cpu"},
        {"n_sequences": 128},
        {"eval_dataset": "wheels-unseen"},
        {"run": "tadpole-64x3-cooldown500"},
        {"calib_seed": 1},
    ],
)
def test_rows_of_another_sweep_are_not_of_the_trunk(rows, other):
    study = of_study(rows)
    assert len(study_rows(study)) == len(rows)
    assert len(study_rows(pd.concat([study, study.assign(**other)]))) == len(rows)


def test_rows_of_every_run_are_those_of_the_trunk_and_of_what_was_trained_beside_it(rows):
    study = of_study(rows)
    beside = study.assign(family="tadpole-rates", run="tadpole-64x3-lr0.001")
    branch = study.assign(run="tadpole-64x3-cooldown500")
    other_text, other_draw = study.assign(eval_dataset="wheels-unseen"), study.assign(calib_seed=1)
    every = pd.concat([study, beside, branch, other_text, other_draw])
    assert len(rows_of_every_run(every)) == 3 * len(rows)
    assert set(rows_of_every_run(every, "wheels-unseen")["eval_dataset"]) == {"wheels-unseen"}
    assert len(study_rows(every, "wheels-unseen")) == len(rows)


def test_rows_of_seeds_are_those_of_models_with_several():
    trunk = {"family": "tadpole-trunk", "train_seed": 0}
    rows = pd.DataFrame(
        [
            trunk | {"model": "a", "run": "a", "step": 1},
            trunk | {"model": "a", "run": "a", "step": 2},  # the other seed stopped before
            trunk | {"model": "a", "run": "a-cooldown", "step": 1},
            trunk | {"model": "b", "run": "b", "step": 1},  # has one seed
            {"family": "tadpole-seeds", "model": "a", "run": "a-seed1", "step": 1, "train_seed": 1},
        ]
    )
    assert rows_of_seeds(rows)["run"].tolist() == ["a", "a-seed1"]
    with pytest.raises(AnalysisError, match="two seeds"):
        rows_of_seeds(rows[rows["family"] == "tadpole-trunk"])
