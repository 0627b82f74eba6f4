"""Gaps of planted runs at low bits: paired errors, when a run is behind, exponents, and the budget that both ways share."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.native_low_bits import behind_from, break_even, gaps, growth
from helpers.table.errors import AnalysisError
from helpers.table.rows import Measurement

BLANK = {field.name: None for field in dataclasses.fields(Measurement)}
TOKENS = np.geomspace(1e7, 1e9, 9)
SIZES = {"small": 1e6, "large": 1e7}
DOCUMENTS = 64


def row(model: str, step: int, family: str, scheme: dict, losses: np.ndarray) -> dict:
    return BLANK | {
        **{"family": family, "model": model, "run": model, "step": step, "tokens_seen": TOKENS[step]},
        **{"eval_id": "held-out", "device_type": "cuda", "status": "ok", "format": "int", "n_params_total": 2e6},
        **{"n_params_non_embedding": SIZES[model], "n_params_quantized": 1e6, "effective_bits": 3.0},
        **{"loss_nats": losses.mean(), "group_loss": losses},
        **scheme,
    }


NATIVE = {"method": "native", "bits": 2.0, "group_size": 32.0, "symmetric": False}
RTN = NATIVE | {"method": "rtn"}


def gap(step: int, size: float) -> float:
    return 0.02 * (TOKENS[step] / 1e7) ** 0.3 * (size / 1e6) ** 0.1


@pytest.fixture
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Documents differ by half a nat, which both models share; the gap itself by a hundredth."""
    generator = np.random.default_rng(0)
    native, twins = [], []
    for model, size in SIZES.items():
        for step in range(len(TOKENS)):
            losses = generator.normal(3, 0.5, DOCUMENTS)
            twins.append(row(model, step, "trunk", {"method": "none"}, losses))
            twins.append(row(model, step, "trunk", RTN, losses + 0.01 * (step + 1) ** 2))
            native.append(row(model, step, "born", {"method": "none"}, losses))
            noise = generator.normal(0, 0.01, DOCUMENTS)
            native.append(row(model, step, "born", NATIVE, losses + gap(step, size) + noise - noise.mean()))
    return pd.DataFrame(native), pd.DataFrame(twins)


def test_gaps_are_paired_by_document_and_stand_beside_rounding_afterwards(tables):
    found = gaps(*tables)
    assert len(found) == 2 * len(TOKENS)
    assert (found["method"] == "native").all()
    one = found[(found["model"] == "large") & (found["step"] == 3)].iloc[0]
    assert one["gap_nats"] == pytest.approx(gap(3, 1e7), rel=1e-9)
    # a standard deviation of 0.01 over 64 documents, known to 1 / sqrt(2 x 63) = 9%
    assert one["gap_se_nats"] == pytest.approx(0.01 / 8, rel=0.3)
    assert one["rounded_nats"] == pytest.approx(0.16, rel=1e-9)
    assert one["stored_bits"] == 1e6 * 3 + 1e6 * 16
    assert one["run_label"] == "born/large"


def test_a_ternary_row_has_no_rounded_twin(tables):
    native, twins = tables
    found = gaps(native.assign(format="ternary"), twins)
    assert found["rounded_nats"].isna().all()


def test_rows_without_a_twin_or_with_two_are_named(tables):
    native, twins = tables
    with pytest.raises(AnalysisError, match="without a 16-bit twin on the same text and device: small@0 native 2 bits"):
        gaps(native, twins[1:])
    with pytest.raises(AnalysisError, match="more than one 16-bit twin: small@0 16-bit on cuda"):
        gaps(native, pd.concat([twins, twins[:1]]))


def test_exponents_of_the_gap_come_back(tables):
    assert growth(gaps(*tables)) == pytest.approx({"tokens": 0.3, "size": 0.1}, rel=1e-6)
    with pytest.raises(AnalysisError, match="9 rows are clearly behind; needed: two sizes"):
        growth(gaps(*tables).query("model == 'small'"))


def test_a_run_is_behind_from_where_it_stays_behind(tables):
    one = gaps(*tables).query("model == 'small'").assign(gap_se_nats=0.01)
    for values, expected in (
        ([0.1] * 9, TOKENS[0]),
        ([0.1, -0.1, 0, 0.01, 0.1, 0.1, 0.1, 0.1, 0.1], TOKENS[4]),
        ([0.1] * 8 + [0.0], np.nan),
    ):
        shuffled = one.assign(gap_nats=values).sample(frac=1, random_state=0)
        assert behind_from(shuffled) == pytest.approx(expected, nan_ok=True)
    with pytest.raises(AnalysisError, match="18 rows; needed: those of one run"):
        behind_from(gaps(*tables).assign(gap_se_nats=0.01))


def curve(tokens: np.ndarray, loss: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"tokens_seen": tokens, "loss_nats": loss})


@pytest.mark.parametrize("overhead", [1.0, 1.25])
def test_the_budget_where_both_ways_meet_is_found(overhead):
    """Straight lines in ln D: 3.1 - 0.1 x against 3 - 0.02 x, x = ln(D / 1e7), meet at x = 1.25."""
    x = np.log(TOKENS / 1e7)
    native = curve(TOKENS / overhead, 3.1 - 0.1 * x)  # the same losses after less tokens, each of more work
    rounded = curve(TOKENS, 3.0 - 0.02 * x)
    assert break_even(native, rounded, overhead) == pytest.approx(1e7 * np.exp(1.25), rel=1e-9)
    later = break_even(curve(TOKENS, 3.1 - 0.1 * x), rounded, overhead)
    assert later == pytest.approx(1e7 * np.exp((0.1 + 0.1 * np.log(overhead)) / 0.08), rel=1e-9)


def test_a_twin_may_be_stopped_where_it_was_best():
    """Rounded afterwards the twin gets worse from the second moment on; its best is what low bits must beat."""
    rounded = curve(TOKENS, np.array([3.0, 2.0, *[4.0] * 7]))
    assert np.isnan(break_even(curve(TOKENS, np.full(9, 2.5)), rounded))
    assert break_even(curve(TOKENS, np.full(9, 1.5)), rounded) == 0


def test_curves_without_a_common_budget_are_refused():
    with pytest.raises(AnalysisError, match="no budget that both ways have"):
        break_even(curve(TOKENS[:3], np.ones(3)), curve(TOKENS[4:], np.ones(5)))
