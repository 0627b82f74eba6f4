"""What exercises about keeping, blocks and stored bits expect, on planted rows."""

import numpy as np
import pytest

from helpers.teach import data
from helpers.teach.exercises import keeping


def test_costs_that_add_up_have_a_ratio_of_one(monkeypatch):
    rows = data.trials()
    cost = np.where(rows["search"] == "single", 0.1, 1.2)  # twelve matrices
    monkeypatch.setattr(data, "trials", lambda: rows.assign(qid_nats=cost))
    assert keeping.all_over_single() == pytest.approx(1.0)


def test_a_planted_exponent_of_blocks_comes_back(monkeypatch):
    rows = data.blocks()
    monkeypatch.setattr(data, "blocks", lambda: rows.assign(qid_nats=np.log1p(0.01 * rows["group_size"] ** 0.5)))
    assert keeping.block_exponent(as_perplexity=True) == pytest.approx(0.5)
    assert keeping.block_exponent(as_perplexity=False) < 0.5


def test_the_largest_ratio_keeps_to_its_budget():
    assert keeping.largest_tried(10.0) == 1.0
    assert keeping.largest_tried(0.1) < 1.0


def test_a_planted_line_is_read_at_four_bits(monkeypatch):
    rows = data.late()
    monkeypatch.setattr(data, "late", lambda: rows.assign(qid_nats=np.exp(-rows["effective_bits"])))
    assert keeping.at_stored_bits("effective_bits", in_logarithms=True) == pytest.approx(np.exp(-4))
    assert keeping.at_stored_bits("effective_bits", in_logarithms=False) > np.exp(-4)
