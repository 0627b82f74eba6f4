import math

import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.learn import the_question as numbers

N, D = "n_params_non_embedding", "tokens_seen"


def test_one_row_in_other_units():
    row = pd.Series({N: 600_000, D: 954e6, "qid_nats": math.log(2), "n_bytes": 200, "n_tokens": 100, "n_sequences": 12})
    row = pd.concat([row, pd.Series({"baseline_loss_nats": 1.5, "loss_nats": 1.5 + math.log(2)})])
    found = numbers.one_measurement(
        pd.concat([row, pd.Series({"n_documents": 3, "seq_len": 512, "calib_sequences": 32})])
    )
    assert (found["n_parameters"], found["one_tokens"], found["n_blocks"]) == ("0.6M", "954M", 4)
    assert (found["one_factor"], found["one_bits_per_byte"]) == (pytest.approx(2), pytest.approx(0.5))


def test_the_same_documents_twice_need_fewer_documents():
    difference = np.array([0.1, 0.2, 0.3])
    rounded = np.array([1.0, 3.0, 5.0]) + difference
    found = numbers.same_documents_twice(rounded, difference)
    separate = math.hypot(2.0, 2.1) / 3**0.5  # standard deviations 2 in 16 bits and 2.1 rounded
    assert (found["paired_se"], found["unpaired_se"]) == (pytest.approx(0.1 / 3**0.5), pytest.approx(separate))
    assert found["documents_needed"] == pytest.approx(3 * (math.hypot(2.0, 2.1) / 0.1) ** 2)
    assert found["qid_high"] == pytest.approx(0.2 + 4.302652729911275 * 0.1 / 3**0.5)  # t of 2 degrees of freedom
    assert (found["loss_lowest"], found["difference_highest"]) == (pytest.approx(1), 0.3)
    with pytest.raises(ValueError, match="much smaller"):
        numbers.same_documents_twice(np.array([1.0, 1.1, 1.2]), np.array([-1.0, 0.0, 1.0]))


def test_a_ratio_of_two_qids_scatters_with_the_documents_drawn():
    draws = np.array([[0, 0], [1, 1], [0, 1]])
    found = numbers.ratio("x", np.array([2.0, 6.0]), np.array([1.0, 1.0]), draws)
    assert found["x"] == 4
    assert (found["x_low"], found["x_high"]) == (pytest.approx(2.1), pytest.approx(5.9))  # quantiles of 2, 4 and 6
    assert numbers.documents_drawn(5, seed=0).shape == (4000, 5)


QID = {2: 1.0, 3: 0.2, 4: 0.05}


def trunk():
    rows = [
        {"model": f"m{size:g}", N: size, D: tokens, "step": step, "bits": bits, "qid_nats": qid * factor}
        | {"document_qid_nats": qid * factor * np.array([1.0, 1.0]), "learning_rate": 0.003, "unique_tokens": 271e6}
        | {"epochs": tokens / 271e6, "qid_se_nats": 0.001}
        for size, values in ((1e6, (0.1, 0.5, 2.0)), (4e7, (0.3, 0.4, 1.0)))
        for step, (tokens, factor) in enumerate(zip((3e7, 1e8, 4e8), values, strict=True))
        for bits, qid in QID.items()
    ]
    return pd.DataFrame(rows)


def test_two_effects_are_ratios_of_ends():
    draws = np.array([[0, 1], [1, 0]])
    found = numbers.two_effects(trunk(), draws)
    assert (found["rise_small"], found["rise_large"]) == (pytest.approx(4), pytest.approx(2.5))
    assert (found["fall_size"], found["fall_bits"]) == (pytest.approx(2), pytest.approx(5))
    assert found["fall_bits_low"] == pytest.approx(5)


def test_what_the_trunk_spans():
    found = numbers.trunk(trunk())
    assert (found["n_sizes"], found["n_checkpoints"], found["n_lines"], found["size_factor"]) == (2, 3, 6, 40)
    assert (found["late_tokens"], found["last_tokens"], found["tokens_factor"]) == ("100M", "400M", 4)
    with pytest.raises(ValueError, match="falls with size"):
        numbers.trunk(trunk().assign(qid_nats=lambda rows: rows["qid_nats"] * rows[N]))


def test_published_exponents_say_what_they_say():
    found = numbers.published()
    assert (found["future_size"], found["future_tokens"]) == ("7B", "100T")
    assert found["doubling"] == pytest.approx(2**0.5251)  # equation 8 of the paper
    by_hand = 0.017 * 1e14**0.5251 / (7e9**0.2261 * 4**5.4967)
    assert found["future_qid"] == pytest.approx(by_hand, rel=1e-3)  # its constants have four digits here
    assert found["future_factor"] == pytest.approx(math.exp(found["future_qid"]))


def test_branches_stand_beside_the_trunk():
    ends = trunk().query("step > 0").assign(run_label=lambda rows: rows["model"] + rows["step"].astype(str))
    ends["qid_nats"] *= np.where(ends["bits"] == 4, 0.9, 1.2)
    found = numbers.branches(ends, trunk(), np.array([[0, 1]]))
    assert (found["n_pairs"], found["n_pairs_added"], found["n_branches"], found["n_branch_points"]) == (12, 8, 4, 2)
    assert (found["branched_largest"], found["first_end"], found["last_end"]) == ("40M", "100M", "400M")
    assert found["rise_decayed"] == pytest.approx(2.5)


def test_negative_means_are_counted():
    table = trunk()
    table.loc[0, "qid_nats"] = -0.01
    table.at[0, "document_qid_nats"] = np.array([-0.03, 0.01])
    found = numbers.exercises(table)
    assert (found["ex_better"], found["ex_lowest"], found["ex_n_below"], found["ex_n_all"]) == (1, -0.01, 1, 18)
    assert (found["ex_fewest_bits"], found["ex_percent"]) == (2, pytest.approx(math.expm1(0.05)))
    with pytest.raises(ValueError, match="can be negative"):
        numbers.exercises(trunk())
