import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.learn import degradation as numbers

SERIES = pd.DataFrame({"bits": [3, 3, 3, 2], "start_nats": [0.01, 0.02, 0.5, 1.0], "end_nats": [0.02, 0.08, 4.0, 1e6]})
SMALL, LARGE = 150_000, 38_000_000
FALL = {2: 1.0, 3: 0.2, 4: 0.05, 5: 0.02, 6: 0.01, 8: 0.001}  # the factor of each width


def table(tokens, small, large, bits=(2, 3, 4), **more):
    """One row a size, checkpoint and width: QiD is the list's value times the width's factor, alike in two documents."""
    rows = []
    for size, values in ((SMALL, small), (LARGE, large)):
        for step, (read, value) in enumerate(zip(tokens, values, strict=True)):
            for width in bits:
                qid = value * FALL[width]
                documents = qid * np.array([0.99, 1.01])
                row = {
                    "model": f"m{size}",
                    "run_label": f"m{size}",
                    "n_params_non_embedding": size,
                    "tokens_seen": read,
                }
                row |= {
                    "step": step,
                    "bits": width,
                    "qid_nats": qid,
                    "document_qid_nats": documents,
                    "qid_se_nats": 1e-4,
                }
                rows.append(row | {"checkpoint_id": f"{size}-{step}", "eval_id": "e", "device_type": "cuda"} | more)
    return pd.DataFrame(rows)


TOKENS = (20e6, 40e6, 50e6, 100e6, 200e6, 400e6)
GPTQ = table(TOKENS, small=(0.1, 0.2, 0.3, 0.5, 1.0, 2.0), large=(0.9, 0.4, 0.5, 0.45, 0.6, 1.8), method="gptq")


def test_the_mean_is_geometric_and_of_one_width_and_its_interval_is_students_over_runs():
    found = numbers.mean_growth(SERIES, 3)
    half = 4.302652729911275 * np.log(2) / np.sqrt(3)  # t of 2 degrees of freedom; ln 2, ln 4 and ln 8 scatter by ln 2
    assert found["growth_3"] == pytest.approx(4)
    assert found["growth_3_low"] == pytest.approx(4 * np.exp(-half))
    assert found["growth_3_high"] == pytest.approx(4 * np.exp(half))
    assert len(found) == 3


def test_rows_are_counted_beyond_sixty_million_tokens():
    assert numbers.rows_shown(GPTQ) == {
        "study_sizes": 2,
        "study_steps": 6,
        "study_smallest": "0.15M",
        "study_largest": "38M",
        "early_tokens": "60M",
        "late_first": "100M",
        "late_last": "400M",
    }


def test_series_rise_with_tokens_by_four_times_each():
    dipping = GPTQ.copy()
    at = (GPTQ["n_params_non_embedding"] == SMALL) & (GPTQ["tokens_seen"] == 200e6) & (GPTQ["bits"] == 4)
    dipping.loc[at, "qid_nats"] = 0.49 * FALL[4]  # the one step down, at 4 bits
    found = numbers.along_tokens(dipping)
    assert (found["tokens_series"], found["tokens_rising"]) == (6, 6)
    assert (found["tokens_steps"], found["tokens_down"]) == (12, 1)
    assert (found["growth_low"], found["growth_high"]) == (pytest.approx(4), pytest.approx(4))
    assert found["growth_3"] == pytest.approx(4)


def test_a_series_that_does_not_rise_is_named():
    with pytest.raises(ValueError, match="QiD rises with tokens in all series"):
        numbers.along_tokens(table(TOKENS, small=(0.1, 0.2, 0.3, 0.5, 1.0, 0.5), large=(0.1, 0.2, 0.3, 0.5, 1.0, 2.0)))


def test_early_the_largest_dips_and_only_it():
    found = numbers.early(GPTQ)
    assert (found["early_steps"], found["early_down"]) == (12, 3)
    assert found["early_down_smallest"] == "38M"
    assert (found["large_first"], found["large_dip"], found["large_dip_tokens"]) == (0.9, 0.4, "40M")


def test_size_helps_from_the_checkpoint_on_at_which_every_width_is_lower():
    found = numbers.along_size(GPTQ)
    assert (found["size_series"], found["size_falling"]) == (9, 9)
    assert (found["size_steps"], found["size_down"]) == (9, 9)
    assert (found["size_first_series"], found["size_first_tokens"], found["size_helps_from"]) == (3, "20M", "100M")


def test_a_bit_divides_by_five_and_by_four():
    found = numbers.along_bits(GPTQ)
    assert (found["bits_series"], found["bits_falling"]) == (12, 12)
    assert (found["bit_32"], found["bit_43"]) == (pytest.approx(5), pytest.approx(4))


def test_negative_rows_at_eight_bits_are_counted_on_both_texts():
    ones = [1.0, 1.0, 1.0, 1.0]
    rows = table([1e8, 2e8, 3e8, 4e8], small=ones, large=[9.0, 9.0, 9.0, 9.0], bits=(6, 8))
    negative = (rows["bits"] == 8) & (rows["n_params_non_embedding"] == SMALL) & (rows["tokens_seen"] < 3e8)
    rows.loc[negative, "qid_nats"] = -1e-4  # two of eight; both within two errors of zero
    found = numbers.at_eight_bits(rows, rows)
    assert (found["eight_rows"], found["eight_negative"], found["eight_within"], found["eight_both"]) == (8, 2, 2, 2)
    assert found["eight_chance"] == pytest.approx(0.5)  # 2 times 2 of 8
    assert found["eight_mean"] == pytest.approx((2 * -1e-4 + 2 * 1e-3 + 4 * 9e-3) / 8)
    text = numbers.widths_table(rows)
    assert list(text.loc["8 bits", ["below zero", "within two errors of zero"]]) == ["2 of 8", "2 of 8"]


def test_the_last_checkpoint_is_that_of_the_largest_model_in_groups_of_32():
    rtn = table(TOKENS, small=[9.0] * 6, large=[2.0] * 6, method="rtn")
    study = pd.concat([GPTQ, rtn]).assign(group_size=32)
    found = numbers.last_checkpoint(pd.concat([study, study.assign(group_size=128, qid_nats=7.0)]))
    assert found == {"end_rtn_3": pytest.approx(0.4), "end_gptq_2": pytest.approx(1.8)}


def test_rounding_to_nearest_loses_twice_as_much_and_in_the_largest_more():
    rtn = table(TOKENS, (0.05, 0.4, 0.6, 1.0, 2.0, 4.0), (1.8, 1.0, 1.25, 1.125, 1.5, 4.5), method="rtn")
    rtn["document_qid_nats"] = [one * np.array([0.4, 1.6]) for one in rtn["qid_nats"]]  # one ratio is 0.5, not clearly
    found = numbers.to_nearest(rtn, GPTQ)
    assert (found["rtn_rows"], found["rtn_worse"], found["rtn_late_rows"], found["rtn_series"]) == (36, 33, 18, 6)
    assert (found["rtn_smallest"], found["rtn_largest"]) == (pytest.approx(2), pytest.approx(2.5))
    assert found["rtn_ratio_3"] == pytest.approx(2.25)  # three of 2 and three of 2.5


def test_larger_groups_are_counted_over_both_grids_and_must_all_lose_more():
    one = pd.DataFrame({"bits": [2, 2, 2], "ratio": [1.2, 1.4, 1.1], "model": ["a", "b", "b"]})
    assert numbers.larger_groups({"x": one, "y": one}) == {"group_models": 2, "group_rows": 6}
    with pytest.raises(ValueError, match="above one"):
        numbers.larger_groups({"x": one.assign(ratio=1.0)})


def planted_kl() -> pd.DataFrame:
    """Three runs whose KL follows the grid's rule nearly, beyond the third and fourth bit, and grows with tokens."""
    rule = {2: 1.0, 3: 1 / 12, 4: 1 / 12 / 5}
    for few, many in ((4, 5), (5, 6), (6, 8)):
        rule[many] = rule[few] / ((2**many - 1) / (2**few - 1)) ** 2 / 1.01
    rows = []
    for run, scatter in enumerate((0.999, 1.0, 1.001)):
        for tokens in (1e8, 2e8, 4e8):
            for width, factor in rule.items():
                kl = factor * tokens / 1e8 * scatter ** (width / 2)
                qid = kl * (1 + 0.02 * (run - 1) * width)  # runs differ, so that QiD's interval is wide
                row = {"run_label": f"r{run}", "n_params_non_embedding": 1e6 * 4**run, "tokens_seen": tokens}
                rows.append(row | {"bits": width, "kl_nats": kl, "qid_nats": qid})
    return pd.DataFrame(rows)


def test_kl_leaves_the_rule_by_a_percent_and_rises_at_every_step():
    found = numbers.in_kl(planted_kl())
    assert found["rule_8"] == pytest.approx(255 / 63)  # per bit: the square over two bits
    assert found["kl_factor_8"] == pytest.approx(255 / 63 * 1.01**0.5)
    assert found["kl_off"] == pytest.approx(0.01, rel=1e-4)  # 0.999 times 1.001 is one less a millionth
    assert (found["kl_rows"], found["up_steps"], found["kl_up_8"], found["up_8"]) == (54, 6, 6, 6)
    assert found["kl_slope_8"] == pytest.approx(1)
    assert found["power_3"] == pytest.approx(np.log(12) / np.log(1.5), rel=1e-3)  # as above, and less on the mean
    assert numbers.kl_table(planted_kl()).loc["8 bits", "KL rises"] == "6 of 6"
