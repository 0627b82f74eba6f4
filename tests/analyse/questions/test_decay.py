import numpy as np
import pandas as pd
import pytest

from helpers.analyse.questions.decay import (
    LOSS,
    by_checkpoint,
    compared_with_trunk,
    growth_parts,
    interpolated_twins,
    mean_over_sizes,
    rounded_differences,
)
from helpers.analyse.questions.twins import TWIN_KEY
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.table.errors import AnalysisError

DOCUMENTS = np.random.default_rng(5).normal(0, 0.2, 40)
DOCUMENTS -= DOCUMENTS.mean()
RUN = {
    "schedule": "constant",
    "learning_rate": 0.002,
    "peak_learning_rate": 0.002,
    "weight_decay": 0.1,
    "train_seed": 0,
}


def row(tokens, qid, loss, model="m", run=None, bits=3.0, **other):
    """Return one row of `degradation` with 40 documents: QiD `qid` and 16-bit loss `loss` (nats a token)."""
    run = run or model
    documents = qid * (1 + DOCUMENTS)
    return (
        RUN
        | {
            "family": "tadpole-trunk",
            "model": model,
            "run": run,
            "run_label": f"tadpole-trunk/{run}",
            "step": int(tokens / 1e6),
            TOKENS_SEEN: tokens,
        }
        | {
            "tokens_planned": tokens,
            "bits": bits,
            "eval_id": "e",
            "device_type": "cuda",
            "n_averaged": 1,
            N_PARAMS: 1e6,
        }
        | {"checkpoint_id": f"{run}@{tokens:g}", "qid_nats": qid, LOSS: loss, "loss_nats": loss + qid}
        | {"document_qid_nats": documents, "group_loss": loss + DOCUMENTS + documents}
        | other
    )


@pytest.fixture
def trunk():
    """QiD of 0.1 at 100M tokens and a loss of 2, twice that at each doubling, where the loss falls by a half."""
    return pd.DataFrame([row(1e8 * 2**k, 0.1 * 2**k, 2.0 - 0.5 * k) for k in range(3)])


def test_a_twin_at_equal_tokens_lies_on_a_line_in_logarithms(trunk):
    run = pd.DataFrame([row(1e8 * np.sqrt(2), 0.3, 1.7, run="m-cooldown")])
    twin = interpolated_twins(run, trunk, TOKENS_SEEN).iloc[0]
    assert twin["qid_nats"] == pytest.approx(0.1 * np.sqrt(2))
    assert twin[LOSS] == pytest.approx(1.75)
    assert twin["document_qid_nats"].mean() == pytest.approx(twin["qid_nats"])
    assert (twin["group_loss"] - twin["document_qid_nats"]).mean() == pytest.approx(1.75)
    assert twin["twin"] == run["checkpoint_id"].iloc[0]


def test_a_twin_at_equal_loss_has_the_loss_of_the_run(trunk):
    run = pd.DataFrame([row(9e9, 0.3, 1.25, run="m-cooldown")])
    twin = interpolated_twins(run, trunk, LOSS).iloc[0]
    assert twin[LOSS] == pytest.approx(1.25)
    assert twin["qid_nats"] == pytest.approx(0.2 * np.sqrt(2))


def test_a_twin_at_a_checkpoint_of_the_trunk_is_that_checkpoint(trunk):
    twins = interpolated_twins(trunk, trunk, TOKENS_SEEN)
    np.testing.assert_allclose(twins["qid_nats"], trunk["qid_nats"])
    for twin, own in zip(twins["group_loss"], trunk["group_loss"], strict=True):
        np.testing.assert_allclose(twin, own)


def test_nothing_is_read_off_beyond_the_trunk(trunk):
    runs = pd.DataFrame([row(5e7, 0.3, 1.9, run="early"), row(5e8, 0.3, 0.9, run="late"), row(2e8, 0.3, 1.2, "other")])
    assert interpolated_twins(runs, trunk, TOKENS_SEEN).empty
    assert list(interpolated_twins(runs, trunk, TOKENS_SEEN).columns[: len(TWIN_KEY)]) == TWIN_KEY
    assert len(interpolated_twins(runs, trunk, LOSS)) == 1


def test_a_trunk_that_gives_no_single_answer_is_refused(trunk):
    rising = trunk.assign(**{LOSS: [2.0, 1.5, 1.6]})
    assert len(interpolated_twins(trunk, rising, TOKENS_SEEN)) == 3
    with pytest.raises(AnalysisError, match="doesn't move one way"):
        interpolated_twins(trunk, rising, LOSS)
    with pytest.raises(AnalysisError, match="doesn't move one way"):
        interpolated_twins(trunk, pd.concat([trunk, trunk]), TOKENS_SEEN)
    with pytest.raises(AnalysisError, match="isn't positive"):
        interpolated_twins(trunk, trunk.assign(qid_nats=[0.1, -0.1, 0.2]), TOKENS_SEEN)
    with pytest.raises(AnalysisError, match="not along step"):
        interpolated_twins(trunk, trunk, "step")


def test_ratios_at_equal_tokens_and_relative_to_the_loss(trunk):
    run = pd.DataFrame([row(2e8, 0.3, 1.2, run="m-cooldown", way="cooldown")])
    found = by_checkpoint(run, trunk, TOKENS_SEEN).iloc[0]
    assert found["ratio"] == pytest.approx(1.5)
    assert found["twin_nats"] == pytest.approx(0.2)
    assert found["loss_change_nats"] == pytest.approx(-0.3)
    assert found["log_relative"] == pytest.approx(np.log((0.3 / 1.2) / (0.2 / 1.5)))
    assert by_checkpoint(run, trunk, LOSS).iloc[0]["log_ratio"] == pytest.approx(np.log(0.3 / (0.2 * 2**0.6)))


def test_two_runs_of_one_model_at_one_place_have_a_twin_each(trunk):
    runs = [row(2e8, qid, 1.2, run=name, way=name) for name, qid in (("m-a", 0.3), ("m-b", 0.4))]
    found = by_checkpoint(pd.DataFrame(runs), trunk, TOKENS_SEEN).set_index("way")["ratio"]
    assert found.to_dict() == pytest.approx({"m-a": 1.5, "m-b": 2.0})


def test_runs_beside_the_trunk_are_named_and_the_trunk_is_left_out(trunk):
    decaying = {"schedule": "cooldown", "tokens_planned": 4e8, "run": "m-cooldown"}
    others = [row(2e8, 0.3, 1.2, **decaying), row(4e8, 0.5, 0.9, **decaying)]
    others += [row(4e8, 0.3, 1.1, run="m-wd", weight_decay=0.3), row(4e8, 0.3, 1.1, "unknown", run="unknown-wd")]
    found = compared_with_trunk(pd.concat([trunk, pd.DataFrame(others)], ignore_index=True), TOKENS_SEEN)
    named = {(one.run, one.step): one.way for one in found.itertuples()}
    assert named == {
        ("m-cooldown", 200): "cooldown, on the way",
        ("m-cooldown", 400): "cooldown, at its end",
        ("m-wd", 400): "weight decay 0.3",
    }


def test_a_mean_over_sizes_counts_each_once():
    table = pd.DataFrame({"model": list("aaab"), "value": [1.0, 2.0, 3.0, 4.0], "bits": 2.0})
    one = mean_over_sizes(table, "value", ["bits"]).loc[2.0]
    assert (one["mean"], one["n_runs"], one["lowest"], one["highest"]) == (3.0, 2, 2.0, 4.0)
    assert one["high"] - one["mean"] == pytest.approx(12.706, abs=0.001)  # Student's t for one degree of freedom
    alone = mean_over_sizes(table[table["model"] == "b"], "value", ["bits", "model"]).loc[(2.0, "b")]
    assert alone["mean"] == 4.0
    assert np.isnan([alone["low"], alone["high"]]).all()


def test_growth_is_the_product_of_its_parts(trunk):
    run = pd.DataFrame([row(1e8 * k, q, 1.2, run="m-cosine", way="cosine") for k, q in ((4, 0.6), (1, 0.1), (2, 0.2))])
    parts = growth_parts(by_checkpoint(run, trunk, TOKENS_SEEN), ["model", "bits"]).iloc[0]
    assert (parts["start"], parts["end"]) == (1e8, 4e8)
    assert parts["growth"] == pytest.approx(6.0)
    assert parts["tokens_part"] == pytest.approx(4.0)
    assert parts["decay_part"] == pytest.approx(1.5)
    assert parts["decay_share"] == pytest.approx(np.log(1.5) / np.log(6))
    with pytest.raises(AnalysisError, match="two checkpoints"):
        growth_parts(by_checkpoint(run.head(1), trunk, TOKENS_SEEN), ["model", "bits"])


def test_losses_after_rounding_are_compared_by_document(trunk):
    other = pd.DataFrame([row(2e8, 0.3, 1.3, run="m-cooldown"), row(3e8, 0.3, 1.3, run="m-cooldown")])
    found = rounded_differences(other, trunk)
    assert len(found) == 1
    one = found.iloc[0]
    assert one["rounded_nats"] == pytest.approx(1.6 - 1.7)
    assert one["plain_nats"] == pytest.approx(1.3 - 1.5)
    assert one["plain_se_nats"] == pytest.approx(0.0, abs=1e-12)  # the same documents are hard for both
    assert one["rounded_se_nats"] == pytest.approx(0.1 * DOCUMENTS.std(ddof=1) / np.sqrt(40))
