"""Numbers of the chapter on a model from outside, on planted rows whose QiD are known."""

import dataclasses
from pathlib import Path

import pytest

from helpers.analyse.questions.register import read_register
from helpers.analyse.rows.study import HELDOUT, PROSE
from helpers.show.numbers.trust import a_model_from_outside as numbers
from helpers.table.files import read_table

ROOT = Path(__file__).parents[4]

RUN = "smollm2-wheel/SmolLM2-135M-Instruct"


@pytest.fixture(scope="module")
def measured():
    return read_table(ROOT / "results/outside.parquet").to_pandas()


@pytest.fixture(scope="module")
def register():
    return read_register(ROOT / "results/predictions.json")


def planted(measured, method, bits, seq_len, qid, text=HELDOUT, seed=0.0):
    """Return the rows with one of them, in groups of 64, moved to the QiD that is given."""
    own = (measured["eval_dataset"] == text) & (measured["seq_len"] == seq_len)
    base = measured.loc[own & (measured["method"] == "none"), "loss_nats"].item()
    chosen = own & (measured["method"] == method) & (measured["bits"] == bits) & (measured["group_size"] == 64)
    chosen &= measured["calib_seed"].fillna(0) == seed
    assert chosen.sum() == 1
    group_loss = measured.loc[own & (measured["method"] == "none"), "group_loss"].item()
    moved = measured.copy()
    moved.loc[chosen, "loss_nats"] = base + qid
    moved["group_loss"] = [
        [v + qid for v in group_loss] if c else g for c, g in zip(chosen, moved["group_loss"], strict=True)
    ]
    return moved


def test_each_window_has_its_own_outcomes(measured, register):
    long, short = (numbers.outcomes_in(register, measured, RUN, seq_len) for seq_len in (512, 64))
    key = ["law", "bits", "scheme", "text", "quantity"]
    both = long.merge(short, on=key, suffixes=("", "_short"))
    assert len(both) == len(short) < len(long)
    assert (both["outcome"] != both["outcome_short"]).all()
    stored = {dataclasses.replace(e, outcome="open"): e.outcome for e in register if e.run == RUN}
    of_short = set(short["outcome"])
    assert of_short <= set(stored.values())  # the register keeps what came first


def test_a_hit_is_counted_in_the_window_it_was_measured_in(measured, register):
    """The default says 0.187 [0.136, 0.257] of 4 bits: 0.2 holds, 0.3 doesn't."""
    for qid, more in ((0.2, 0), (0.3, -1)):
        moved = planted(measured, "gptq", 4, 512, qid)
        long = numbers.outcomes_in(register, moved, RUN, 512).query("quantity == 'qid_nats' and bits in @numbers.USED")
        base = numbers.outcomes_in(register, measured, RUN, 512).query(
            "quantity == 'qid_nats' and bits in @numbers.USED"
        )
        found, before = (numbers.counts(table, "x", "tokens-per-parameter") for table in (long, base))
        assert found["out_x_n"] == before["out_x_n"] == 12
        assert found["out_x_hold"] == before["out_x_hold"] + more


def test_windows_are_compared_with_512(measured):
    moved = planted(planted(measured, "rtn", 4, 512, 0.25), "rtn", 4, 2048, 0.2)
    found = numbers.of_windows(numbers.by_window(moved))
    assert found["out_long_rtn_4"] == pytest.approx(0.8)
    assert len(found) == 8


def test_methods_are_ratios_to_rtn_and_draws_a_share(measured):
    moved = planted(planted(measured, "rtn", 4, 512, 0.4, PROSE), "awq", 4, 512, 0.1, PROSE)
    found = numbers.of_methods(numbers.methods(moved))
    assert found["out_awq_prose_4"] == pytest.approx(0.25)
    again = planted(planted(measured, "gptq", 3, 512, 0.5), "gptq", 3, 512, 0.6, seed=1.0)
    assert numbers.of_calibration(again)["out_draw_3"] == pytest.approx(0.2)


def test_tables_keep_one_draw_and_both_texts(measured):
    rows = numbers.methods(measured)
    assert set(rows["eval_dataset"]) == set(numbers.TEXTS.values())
    assert not rows.duplicated(["method", "group_size", "bits", "eval_dataset"]).any()
