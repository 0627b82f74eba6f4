"""What exercises about decay, methods, seeds and errors expect, on planted rows."""

import numpy as np
import pytest

from helpers.teach import data
from helpers.teach.exercises import trust


def test_a_planted_factor_of_decay_comes_back(monkeypatch):
    rows = data.every_run()
    decayed = rows["run"].str.contains("cooldown")
    monkeypatch.setattr(data, "every_run", lambda: rows.assign(qid_nats=np.where(decayed, 0.12, 0.1)))
    assert trust.geometric(trust._ratios_of_decay(trust.END)) == pytest.approx(1.2)


def test_decay_is_compared_in_five_sizes():
    assert len(trust._ratios_of_decay(trust.END)) == 5


def test_a_planted_ratio_of_methods_comes_back(monkeypatch):
    rows = data.trunk()
    monkeypatch.setattr(data, "trunk", lambda: rows.assign(qid_nats=np.where(rows["method"] == "rtn", 0.3, 0.1)))
    ratios = trust.ratios_of_methods()
    assert ratios == pytest.approx(np.full(len(ratios), 3.0))
    assert len(ratios) > 100


def test_scatter_divides_by_one_less_than_the_seeds(monkeypatch):
    rows = data.seeds().query("bits == 3 and model == 'tadpole-128x3' and step == 500").head(2)
    monkeypatch.setattr(data, "seeds", lambda: rows.assign(qid_nats=[1.0, np.exp(0.2)]))
    assert trust.seed_scatter(1) == pytest.approx(0.2 / np.sqrt(2))
    assert trust.seed_scatter(0) == pytest.approx(0.1)


def test_the_error_falls_by_about_what_steps_say():
    assert trust.variance_ratio() == pytest.approx((15 / 7) ** 2, rel=0.02)
    assert trust.variance_ratio() >= trust.error_ratio() ** 2


def test_second_moments_of_one_variant_of_16384_inputs_take_a_gib():
    assert trust.moments_gib(16384, 1) == 1
    assert trust.moments_gib(8192, 8) == 2
