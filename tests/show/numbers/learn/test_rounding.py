import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.learn import rounding as numbers

WEIGHTS = np.array([[0.9, -0.6], [0.4, -0.5], [1.0, -0.8]])
NEAREST = np.array([[0.9, -0.5], [0.3, -0.6], [1.2, -0.6]])
TIED = np.array([[1.0, 0.9], [0.9, 1.0]])


def test_a_row_by_hand():
    grid = pd.DataFrame({"scale": [0.5, 0.3, 0.6], "zero": [1.0, 2.0, 1.0]})
    codes = np.array([[3, 0], [3, 0], [3, 0]])
    found = numbers.by_hand(WEIGHTS, codes, NEAREST, grid, bits=2)
    assert (found["n_values"], found["row_low"], found["row_high"], found["row_scale"]) == (4, "−0.50", 0.4, 0.3)
    assert (found["first_weight"], found["first_code"], found["first_rounded"]) == (0.4, 3, 0.3)
    assert (found["ex_weight"], found["ex_zero"], found["ex_rounded"]) == (-0.8, 1, -0.6)
    assert found["ex_ratio"] == pytest.approx(-0.8 / 0.6)
    assert found["rms_nearest"] == pytest.approx((0.11 / 6) ** 0.5)  # errors 0, 0.1, 0.1, 0.1, 0.2, 0.2


def test_the_first_columns_error_moves_the_second_weight():
    after = WEIGHTS + np.array([0.0, 0.2])
    factor = np.array([[2.0, -1.5], [0.0, 1.0]])
    found = numbers.first_correction(WEIGHTS, NEAREST, after, factor)
    assert found["first_error"] == pytest.approx(0.1)
    assert (found["u_11"], found["u_12"], found["second_before"]) == (2, "−1.500", -0.5)
    assert (found["second_after"], found["second_nearest"]) == (pytest.approx(-0.3), -0.6)
    with pytest.raises(ValueError, match="goes up"):
        numbers.first_correction(WEIGHTS, NEAREST, WEIGHTS - 0.2, factor)


def test_errors_of_tied_inputs_cancel_in_the_output():
    weights = np.array([[1.0, 1.0], [1.0, 1.0]])
    nearest, answer = weights - 0.2, weights + np.array([-0.3, 0.3])
    lost = numbers.lost_power(weights, nearest, TIED)
    assert lost == pytest.approx(0.2**2)  # each weight loses a fifth
    found = numbers.corrected(weights, nearest, answer, TIED)
    assert (found["n_changed"], found["n_codes"], found["second_gptq"]) == (4, 4, 1.3)
    assert found["lost_gptq"] == pytest.approx(0.09 * 2 * (1 - 0.9) / (2 * (1 + 0.9)))
    assert found["rms_gptq"] == pytest.approx(0.3)
    with pytest.raises(ValueError, match="less of the output"):
        numbers.corrected(weights, answer, nearest, TIED)
    with pytest.raises(ValueError, match="further off"):
        numbers.corrected(weights, weights - 0.2, weights + np.array([-0.1, 0.1]), TIED)


def test_a_scale_and_a_zero_point_are_shared_by_a_group():
    found = numbers.bits_with_scales(32)
    assert (found["ex_bits"], found["ex_two"]) == (3 + 19 / 32, 2 + 18 / 32)
    assert found["ex_long"] == 3 + 19 / 128


def layers(gptq):
    rtn = {("a", 3): 0.04, ("a", 4): 0.01, ("b", 3): 0.08, ("b", 4): 0.02}
    answers = {"RTN": rtn, "GPTQ": gptq}
    return pd.DataFrame(
        {"layer": layer, "bits": bits, "method": method, "lost": lost}
        for method, losses in answers.items()
        for (layer, bits), lost in losses.items()
    )


def test_what_gptq_leaves_of_a_layers_loss():
    gptq = {("a", 3): 0.02, ("a", 4): 0.005, ("b", 3): 0.06, ("b", 4): 0.012}
    found = numbers.real_layers(layers(gptq), "b")
    assert (found["n_layers"], found["layer_rtn"], found["layer_gptq"]) == (2, 0.08, 0.06)
    assert (found["ratio_lowest"], found["ratio_highest"]) == (pytest.approx(0.5), pytest.approx(0.75))
    assert (found["ratio_median"], found["bit_factor"]) == (pytest.approx(0.55), pytest.approx(4.5))
    with pytest.raises(ValueError, match="in every layer"):
        numbers.real_layers(layers(gptq | {("b", 4): 0.03}), "b")
    with pytest.raises(ValueError, match="one bit less"):
        numbers.real_layers(layers({("a", 3): 0.001, ("a", 4): 0.001, ("b", 3): 0.001, ("b", 4): 0.001}), "b")


def measured(gaps):
    """Return a 16-bit row and those of both programs; auto-gptq's losses are higher by `gaps`, in each document."""
    alike = {"checkpoint_id": "c", "eval_id": "e", "device_type": "cpu", "status": "ok", "n_tokens": 2, "n_bytes": 4}
    alike |= {
        "family": "f",
        "run": "r",
        "symmetric": False,
        "rel_damp": 0.01,
        "calib_sha256": "t",
        "calib_seed": 0,
        "kl_nats": None,
    }
    rows = [alike | {"method": "none", "loss_nats": 1.5, "group_loss": [1.0, 2.0], "bits": 16, "group_size": None}]
    for (group_size, bits), gap in gaps.items():
        for method, more in (("gptq", np.zeros(2)), ("autogptq", np.array(gap))):
            losses = np.array([1.2, 2.2]) + more
            scheme = {"method": method, "bits": bits, "group_size": group_size, "loss_nats": losses.mean()}
            rows.append(alike | scheme | {"group_loss": losses.tolist()})
    return pd.DataFrame(rows)


def test_two_programs_side_by_side():
    gaps = {(group, bits): [0.0, 0.0] for group in (32, 128) for bits in (2, 3, 4)}
    gaps |= {(32, 2): [0.02, 0.0202], (128, 4): [-0.05, 0.04]}
    pairs = numbers.both_programs(measured(gaps))
    assert pairs[["group_size", "bits"]].iloc[0].tolist() == [32, 2]
    found = numbers.second_opinion(pairs)
    assert (found["n_pairs"], found["n_same"], found["n_beyond"]) == (6, 4, 1)  # -0.005 is within its error
    assert found["relative_highest"] == pytest.approx(0.0201 / 0.2)
    with pytest.raises(ValueError, match="both programs"):
        numbers.second_opinion(pairs.iloc[1:])
