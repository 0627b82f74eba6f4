"""What the page states of runs on a part of the text, on the measured rows with some of them moved."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from helpers.analyse.questions.register import read_register
from helpers.show.numbers.learn import read_again as numbers
from helpers.table.files import read_checkpoints, read_table

ROOT = Path(__file__).parents[4]
LEAST = "tadpole-unique34"


@pytest.fixture(scope="module")
def measured():
    return read_table(ROOT / "results/measurements.parquet").to_pandas()


@pytest.fixture(scope="module")
def again():
    return read_table(ROOT / "results/unique.parquet").to_pandas()


@pytest.fixture(scope="module")
def stated(again, measured):
    return numbers.numbers(again, measured)


def test_an_outcome_times_a_factor_moves_what_is_said_of_it_alone(again, measured, stated):
    """KL of all last rows on the least text times 1.1: its factors and methods go along, QiD and other amounts stay."""
    last = (again["family"] == LEAST) & (again["step"] == again["step"].max()) & (again["method"] != "none")
    moved = again.assign(kl_nats=again["kl_nats"].where(~last, 1.1 * again["kl_nats"]))
    found = numbers.ratios_of(moved, measured)["heldout"]
    factors = numbers.factors(found)
    for size in numbers.SIZES:
        assert factors[f"part_kl_8_{size}"] == pytest.approx(1.1 * stated[f"part_kl_8_{size}"])
        assert factors[f"part_kl_4_{size}"] == pytest.approx(stated[f"part_kl_4_{size}"])
        assert factors[f"part_qid_8_{size}"] == pytest.approx(stated[f"part_qid_8_{size}"])


def test_noise_and_second_draws_of_calibration_text_dont_count(again, measured, stated):
    noisy = again["noise_seed"].notna() | (again["calib_seed"].fillna(0) != 0)
    moved = again.assign(kl_nats=again["kl_nats"].where(~noisy, 7.0))
    assert noisy.any()
    assert numbers.numbers(moved, measured) == pytest.approx(stated)


def test_losses_are_differences_to_the_trunk_on_each_text(again, measured, stated):
    moved = again.assign(loss_nats=again["loss_nats"] + 0.5 * (again["family"] == LEAST))
    found = numbers.more_loss(numbers.ratios_of(moved, measured))
    for text in ("heldout", "unseen"):
        assert found[f"part_loss_{text}_8_large"] == pytest.approx(stated[f"part_loss_{text}_8_large"] + 0.5)
        assert found[f"part_loss_{text}_2_large"] == pytest.approx(stated[f"part_loss_{text}_2_large"])
    assert np.isfinite(list(found.values())).all()


def test_words_that_would_not_hold_are_refused(stated):
    for moved, words in (
        ({"part_kl_2_middle": 1.2}, "two passes change nothing"),
        ({"part_kl_4_large": 1.3}, "four change little"),
        ({"part_kl_8_small": 1.6}, "the more the larger"),
        ({"part_qid_8_large": 2.0}, "about half"),
        ({"part_over_awq": 1.2}, "by every method"),
        ({"part_loss_heldout_8_small": 0.2}, "the 16-bit loss suffers too"),
    ):
        with pytest.raises(ValueError, match=words):
            numbers.check_claims(stated | moved)


def test_registered_intervals_are_counted_by_how_often_the_text_was_read(again):
    register = read_register(ROOT / "results/predictions.json")
    found = numbers.registered(register, again)
    of_many = [entry for entry in register if entry.run.startswith(f"{LEAST}/")]
    assert (found["part_registered_many"], found["part_registered_fewer"]) == (len(of_many), 2 * len(of_many))
    assert found["part_hold_many"] == sum(bool(entry.hit) for entry in of_many)
    with pytest.raises(ValueError, match="every interval holds"):
        numbers.registered([dataclasses.replace(entry, high=entry.low) for entry in register], again)


def test_overconfidence_is_loss_less_entropy_of_the_largest_size():
    own, trunk = (
        read_checkpoints(ROOT / f"results/{name}.parquet").to_pandas() for name in ("unique-checkpoints", "checkpoints")
    )
    found = numbers.overconfidence(own, trunk)
    row = own[(own["family"] == LEAST) & (own["model"] == "tadpole-512x12") & (own["step"] == 1907)].iloc[0]
    assert found["part_sure"] == row["loss_nats"] - row["logit_entropy_nats"]
    with pytest.raises(ValueError, match="surer than they are right"):
        numbers.overconfidence(own.assign(logit_entropy_nats=own["loss_nats"]), trunk)
