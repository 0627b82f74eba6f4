"""What exercises about laws expect: planted constants come back, and what is stored is answered."""

import numpy as np
import pandas as pd
import pytest

from helpers.teach import data
from helpers.teach.exercises import laws


def planted(rows):
    tokens, sizes = rows["tokens_seen"].to_numpy(float), rows["n_params_non_embedding"].to_numpy(float)
    return rows.assign(qid_nats=tokens**0.5 * sizes**-0.4 * rows["bits"].to_numpy(float) ** -5.0)


def test_planted_exponents_come_back(monkeypatch):
    rows = planted(data.late())
    monkeypatch.setattr(data, "late", lambda: rows)
    assert laws.plain_exponents() == pytest.approx([0.5, -0.4, -5.0])


def test_a_planted_gauge_is_read(monkeypatch):
    rows = data.late()
    ratio = rows["tokens_seen"] / rows["n_params_non_embedding"]
    monkeypatch.setattr(data, "late", lambda: rows.assign(qid_nats=0.1 * (ratio / 500.0) ** 0.6))
    assert laws.reading(0.1) == pytest.approx(500.0)


def test_a_pure_power_is_forecast_exactly(monkeypatch):
    rows = planted(data.late())
    monkeypatch.setattr(data, "late", lambda: rows)
    assert laws.forecast_miss() == pytest.approx(0.0, abs=1e-9)


def test_the_printed_exponent_is_of_one_size_and_width(monkeypatch):
    cells = pd.DataFrame({"n_params": [7e9, 7e9, 1e9], "bits": [3, 3, 3], "qid_nats": [0.1, 0.2, 9.0]})
    monkeypatch.setattr(data, "printed", lambda: cells.assign(tokens_trillions=[1.0, 4.0, 1.0]))
    assert laws.printed_slope(3) == pytest.approx(0.5)


def test_laws_answer_in_nats():
    assert 0 < laws.answer_of("power") < 10
    assert np.isfinite(laws.answer_of("steps"))


def test_a_planted_rule_has_nothing_left_over(monkeypatch):
    rows = data.late()
    qid = rows["tokens_seen"] ** 0.5 / (2.0 ** rows["bits"] - 1) ** 2
    monkeypatch.setattr(data, "late", lambda: rows.assign(qid_nats=qid * np.where(rows["bits"] == 2, 1.5, 1)))
    assert laws.narrow_over_rule() == pytest.approx(1.5)
    assert laws.narrow_over_rule(n_steps=False) == pytest.approx(1.5 * 25 / 16)
