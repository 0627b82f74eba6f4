from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.trust import pocket_files as numbers

POCKET = [
    SimpleNamespace(model=model, step=step, d_model=width, n_layers=3, vocabulary_size=64, weights_sha256=sha256)
    for model, width, step, sha256 in (
        ("a", 8, 10, "a10"),
        ("a", 8, 40, "a40"),
        ("b", 16, 40, "b40"),
        ("a", 8, 40, "t"),
    )
]
for spec in POCKET:
    spec.branched_from = "a10" if spec.weights_sha256 == "t" else None
HASHES = [spec.weights_sha256 for spec in POCKET]
TRAINED = pd.DataFrame({"weights_sha256": [*HASHES, "another"]})


def changed(place, **to):
    specs = [SimpleNamespace(**vars(spec)) for spec in POCKET]
    vars(specs[place]).update(to)
    return specs


def test_files_are_counted_by_model_and_step():
    assert numbers.of_files(POCKET, HASHES, 2_500_000, TRAINED) == {
        "n_pocket": 4,
        "n_right": 4,
        "pocket_models": 2,
        "pocket_steps": 2,
        "pocket_megabytes": 2.5,
    }


@pytest.mark.parametrize(
    ("pocket", "hashes", "trained", "sentence"),
    [
        (POCKET, ["other", *HASHES[1:]], TRAINED, "manifest"),
        (POCKET, HASHES, TRAINED[1:], "study's"),
        (changed(1, n_layers=4), HASHES, TRAINED, "one depth"),
        (changed(1, vocabulary_size=65), HASHES, TRAINED, "one tokenizer"),
        (changed(2, d_model=8), HASHES, TRAINED, "widths"),
    ],
)
def test_a_file_that_is_not_what_the_page_says_stops_it(pocket, hashes, trained, sentence):
    with pytest.raises(ValueError, match=sentence):
        numbers.of_files(pocket, hashes, 1, trained)


def measured(gain=0.5, rate=0.0):
    """Return two 16-bit rows of one model and step: of the trunk and of its decayed twin, lower by about `gain`."""
    both = {"model": "a", "step": 40, "method": "none", "n_averaged": 1, "device_type": "cuda", "eval_sha256": "text"}
    losses = np.array([3.0, 3.2, 3.4])
    scatter = np.array([-0.1, 0.0, 0.1])
    rows = [
        both | {"weights_sha256": "a40", "schedule": "constant", "learning_rate": 1.0, "group_loss": losses},
        both
        | {"weights_sha256": "t", "schedule": "cooldown", "learning_rate": rate, "group_loss": losses - gain + scatter},
    ]
    table = pd.DataFrame(rows).assign(family="tadpole-trunk", device_type="cuda")
    return table.assign(loss_nats=[each.mean() for each in table["group_loss"]])


@pytest.fixture(autouse=True)
def every_row_is_of_the_study(monkeypatch):
    monkeypatch.setattr(numbers, "rows_of_every_run", lambda rows: rows)
    monkeypatch.setattr(numbers, "on_trunk", lambda rows: rows["schedule"] == "constant")


def test_the_twin_gains_the_mean_of_paired_documents_with_their_interval():
    found = numbers.of_twin(POCKET, measured())
    half = 4.302652729911275 * 0.1 / 3**0.5  # t of 2 degrees of freedom, documents that scatter by a tenth
    assert found == {
        "twin_model": "a",
        "twin_step": 40,
        "twin_gain": pytest.approx(0.5),
        "twin_low": pytest.approx(0.5 - half),
        "twin_high": pytest.approx(0.5 + half),
    }


@pytest.mark.parametrize(
    ("pocket", "rows", "sentence"),
    [
        (changed(3, step=50), measured(), "stands beside"),
        (POCKET, measured(gain=0.1), "loss is lower"),
        (POCKET, measured(rate=0.1), "fell to zero"),
    ],
)
def test_a_twin_that_is_not_what_the_page_says_stops_it(pocket, rows, sentence):
    with pytest.raises(ValueError, match=sentence):
        numbers.of_twin(pocket, rows)


def test_splits_share_neither_files_nor_contents():
    evaluation, calibration = {("p", "a"), ("p", "b"), ("q", "a")}, {("r", "a")}
    found = numbers.of_splits(evaluation, calibration, ({"1", "2", "3"}, {"4"}))
    assert found == {"n_evaluation": 3, "n_calibration": 1, "n_packages": 2, "n_both": 0}
    with pytest.raises(ValueError, match="no file"):
        numbers.of_splits(evaluation, {("p", "a")}, ({"1"}, {"4"}))
    with pytest.raises(ValueError, match="no content"):
        numbers.of_splits(evaluation, calibration, ({"1", "4"}, {"4"}))


def test_a_loss_is_compared_with_the_row_of_the_same_checkpoint_and_text():
    (stored,) = measured().loc[measured()["weights_sha256"] == "a40", "loss_nats"]
    found = numbers.of_loss(POCKET[1], stored + 2e-5, "text", measured())
    assert (found["checked_model"], found["checked_step"], found["loss_here"]) == ("a", 40, stored + 2e-5)
    assert found["comparison"] == f"has {stored:.6f}, which is 2e-05 away"
    assert numbers.of_loss(POCKET[1], 9.0, "another text", measured())["comparison"] == numbers.OTHER_TEXT
    with pytest.raises(ValueError, match="is the stored one"):
        numbers.of_loss(POCKET[1], stored + 2e-4, "text", measured())
