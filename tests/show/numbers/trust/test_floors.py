"""What the chapter on the noise floor states of documents, machines and floors, on planted parts counted by hand."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.degradation import TOKENS_SEEN
from helpers.analyse.rows.noise import EvaluationError
from helpers.analyse.rows.noise_floor import NoiseFloor
from helpers.analyse.rows.study import HELDOUT, UNSEEN
from helpers.show.benchmarks import Benchmark
from helpers.show.numbers.trust import floors as numbers

WIDTHS = (2, 3, 4)
POWERS = {2: 0.9, 3: 0.7, 4: 0.5}
FORMATS = pd.DataFrame(
    {
        "scoring_in_tfloat32": [1e-4, 2e-4, 5e-4],
        "rounding_in_tfloat32": 0.02,
        "rounding_in_bfloat16": 0.03,
        "between_two_seeds": 0.02,
    },
    index=pd.Index([2.0, 3.0, 4.0], name="bits"),
)


def floor(bits: int, draw=0.03, seed=0.08) -> NoiseFloor:
    """Documents make 0.01 nats times QiD to a power."""
    return NoiseFloor(bits, EvaluationError(0.01, POWERS[bits], 128, 0.0), draw, seed, scored_text_relative=0.1)


FLOORS = {bits: floor(bits) for bits in WIDTHS}


def drawn(coverage=0.95) -> pd.DataFrame:
    """Scatter of 4% at 16 documents and of 1% at 128, of every width."""
    rows = [(bits, n, sd) for bits in WIDTHS for n, sd in ((16, 0.04), (128, 0.01))]
    return pd.DataFrame(rows, columns=["bits", "n_documents", "relative_sd"]).assign(coverage=coverage)


def test_documents_weigh_as_much_as_a_draw_of_text_where_their_lines_cross():
    found = numbers.of_documents(drawn(), pd.Series({2: 0.02, 3: 0.04, 4: 0.0125}))
    assert (found["few_2"], found["all_4"], found["coverage_all"]) == (0.04, 0.01, 0.95)
    assert [found[f"equal_{bits}"] for bits in WIDTHS] == [32, 8, 82]  # 128 times a quarter, 1/16, 0.64 squared
    with pytest.raises(ValueError, match="weigh the same within"):
        numbers.of_documents(drawn(), pd.Series({2: 0.02, 3: 0.04, 4: 0.005}))
    with pytest.raises(ValueError, match="95% intervals hold"):
        numbers.of_documents(drawn(0.8), pd.Series({2: 0.02, 3: 0.04, 4: 0.0125}))


def widened(qids=(0.001, 0.01, 0.0001)) -> pd.DataFrame:
    """Rows of both texts: at each width of the first 20 and 1 nats, of 4 bits those given, their errors by packages 0.0004."""
    rows = [(HELDOUT, bits, qid, 900e6) for bits in (2, 3) for qid in (20.0, 1.0)]
    rows += [(HELDOUT, 4, qid, 10e6) for qid in qids] + [(UNSEEN, 3, 0.5, 900e6)]
    table = pd.DataFrame(rows, columns=["eval_dataset", "bits", "qid_nats", TOKENS_SEEN])
    return table.assign(own_error=0.0004, factor=np.where(table["eval_dataset"] == HELDOUT, 1.3, 1.7))


def test_packages_widen_errors_which_grow_as_a_power():
    found = numbers.of_packages(widened(), FLOORS)
    assert (found["factor_held_out"], found["factor_unseen"]) == (1.3, 1.7)
    assert (found["eval_scale_3"], found["eval_exponent_3"], found["eval_off_3"]) == (0.01, 0.7, 1.0)
    turned = FLOORS | {2: floor(4)}
    with pytest.raises(ValueError, match="nearer to a fixed share"):
        numbers.of_packages(widened(), turned)


def test_formats_are_said_to_be_harmless_only_where_they_are():
    precision = Benchmark(pd.DataFrame({"work": range(7)}), "a GPU; torch 2; a day")
    found = numbers.of_formats(precision, FORMATS)
    assert found == {"n_precision": 7, "precision_measured": "a GPU; torch 2; a day", "largest_scoring": 5e-4}
    with pytest.raises(ValueError, match="hardly moves QiD"):
        numbers.of_formats(precision, FORMATS.assign(scoring_in_tfloat32=0.01))
    with pytest.raises(ValueError, match="as a draw of text"):
        numbers.of_formats(precision, FORMATS.assign(rounding_in_bfloat16=0.2))


def test_floors_are_twice_the_root_of_their_parts():
    found = numbers.of_floors(FLOORS, FLOORS, pd.Series({2: 1.0, 3: 1.0, 4: 1.0}), FORMATS)
    assert found["floor_3"] == pytest.approx(2 * np.hypot(0.03, 0.01))
    assert found["another_3_relative"] == pytest.approx(2 * np.sqrt(0.03**2 + 0.01**2 + 0.08**2))
    assert found["double_4"] == pytest.approx(2 * np.sqrt(0.03**2 + 0.01**2 / 2))
    assert found["documents_2"] == pytest.approx(0.01)
    assert found["miss"] == pytest.approx((found["floor_4_relative"] + found["another_4_relative"]) / 2)
    assert (found["typical_4"], found["scored_sd_2"]) == (1.0, 0.1)
    small = FLOORS | {4: floor(4, seed=0.04)}
    with pytest.raises(ValueError, match="training seed is the largest part"):
        numbers.of_floors(small, FLOORS, pd.Series({2: 1.0, 3: 1.0, 4: 1.0}), FORMATS)


def test_rows_below_their_own_floor_are_counted():
    early = pd.DataFrame({"relative_sd": 0.2}, index=[2, 3, 4])
    found = numbers.of_rows_below(widened((0.001, 0.01, 0.00005)), FLOORS, early)
    # 0.01 exceeds twice its error; 0.001 does too, 2 * 0.0004 and a little; 0.00005 doesn't
    assert (found["below_4"], found["n_each"], found["below_last"]) == (1, 3, "10M")
    assert found["least_4"] == 0.00005
    assert found["smallest_4_early"] == pytest.approx(4 * 0.01**2 / (1 - 4 * 0.2**2))  # q = 2 sigma, p = 1/2
    late = widened((0.001, 0.00005)).assign(**{TOKENS_SEEN: 900e6})
    with pytest.raises(ValueError, match="none of them late"):
        numbers.of_rows_below(late, FLOORS, early)
