"""Numbers of the section on curvature: traces planted, and each sentence refused where they don't bear it out."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.trust import curvature

TRACES = {1e5: [1.0, 4.0, 5.0, 3.0], 1e6: [2.0, 4.0, 3.0, 2.0], 1e7: [6.0, 4.0, 2.0, 1.0]}  # nats per squared weight
TOKENS = [1e6, 1e8, 2e8, 4e8]


@pytest.fixture
def trunk() -> pd.DataFrame:
    rows = [
        {
            N_PARAMS: size,
            TOKENS_SEEN: tokens,
            "model": f"m{size:g}",
            "step": step,
            "hessian_trace": trace,
            "hessian_trace_se": 0.03 * trace,
            "hessian_probes": 16,
            "rtn_error_3_bits": [0.2, 0.2, 0.3],
            "weight_rms": [0.01 * (step + 1)] * 3,
        }
        for size, traces in TRACES.items()
        for step, (tokens, trace) in enumerate(zip(TOKENS, traces, strict=True))
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def ends(trunk: pd.DataFrame) -> pd.DataFrame:
    late = trunk[trunk["step"] == 3]
    return late.assign(hessian_trace=late["hessian_trace"] * [1.5, 2.0, 3.0])


def test_the_fall_of_the_largest_has_an_interval_over_probes(trunk, ends):
    found = curvature.numbers(trunk, ends)
    reach = stats.t(15).ppf(0.975) * 0.03 * np.sqrt(2)
    assert found["trace_fall"] == pytest.approx(0.25)  # from 100M tokens on: 4 to 1
    assert (found["trace_low"], found["trace_high"]) == pytest.approx((0.25 * np.exp(-reach), 0.25 * np.exp(reach)))
    assert (found["n_probes"], found["trace_early"]) == (16, "100M")
    assert (found["rms_growth"], found["rtn_error"]) == pytest.approx((2.0, 0.2))


def test_cooldowns_are_compared_with_the_trunk_at_the_same_step(trunk, ends):
    found = curvature.numbers(trunk, ends)
    assert (found["n_sharper"], found["sharper_lowest"], found["sharper_highest"]) == (3, 1.5, 3.0)


@pytest.mark.parametrize(
    ("size", "step", "trace", "sentence"),
    [
        (1e5, 3, 0.5, "a larger model has the smaller trace at the end"),
        (1e6, 0, 9.0, "the trace rises first, but in the largest"),
        (1e5, 3, 5.5, "every trace falls later"),
        (1e5, 0, 0.1, None),
    ],
)
def test_a_sentence_that_the_traces_dont_bear_out_is_refused(trunk, ends, size, step, trace, sentence):
    at = (trunk[N_PARAMS] == size) & (trunk["step"] == step)
    changed = trunk.assign(hessian_trace=trunk["hessian_trace"].mask(at, trace))
    if sentence is None:
        assert curvature.numbers(changed, ends)["n_sharper"] == 3
    else:
        with pytest.raises(ValueError, match=sentence):
            curvature.numbers(changed, ends)


def test_decay_that_flattens_and_an_error_that_moves_are_refused(trunk, ends):
    with pytest.raises(ValueError, match="decay raises the trace"):
        curvature.numbers(trunk, ends.assign(hessian_trace=0.1))
    moved = trunk.assign(rtn_error_3_bits=[[0.2 + 0.1 * step] * 3 for step in trunk["step"]])
    with pytest.raises(ValueError, match="rounding's relative error stays where it was"):
        curvature.numbers(moved, ends)
