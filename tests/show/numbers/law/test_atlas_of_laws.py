from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.law import atlas_of_laws as numbers

AIMS = ("largest size", "last factor 4 in D")


def judged():
    rows = [
        {"law": law, "hold_out": aim, "log_rms_se": se, "published": law == "kumar2024"}
        for law, se in (("tokens-per-parameter", 0.02), ("power", 0.05), ("curvature", 0.03), ("kumar2024", 0.1))
        for aim in AIMS
    ]
    return pd.DataFrame(rows)


def stored(c_high=0.6):
    def fit(high, **params):
        values = {name: SimpleNamespace(value=value, low=value - 0.1, high=high) for name, value in params.items()}
        law = SimpleNamespace(predict=lambda tokens, n_params, bits: tokens / n_params / 1000)
        return SimpleNamespace(params=values, law=law, n_rows=351, n_runs=9)

    fits = {"tokens-per-parameter": fit(0.6, b=0.5), "curvature": fit(c_high, c=0.4)}
    return SimpleNamespace(fits=fits, judged=judged())


def table(simple_late=0.1):
    index = ["tokens-per-parameter", "power", "curvature", "kumar2024"]
    return pd.DataFrame(
        {
            "formula": "q",
            "constants": [3, 4, 3, 4],
            AIMS[0]: [0.2, 0.2, 0.15, 0.9],
            AIMS[1]: [simple_late, 0.3, 0.2, 0.9],
        },
        index=index,
    )


def test_the_table_is_read_for_the_two_new_laws():
    found = numbers.of_table(table(), stored())
    assert (found["at_laws"], found["at_printed"], found["at_rows"], found["at_runs"]) == (4, 1, 351, 9)
    assert (found["at_n"], found["at_reference"]) == (3, pytest.approx(0.1))
    assert (found["at_b"], found["at_b_low"], found["at_b_high"]) == (0.5, pytest.approx(0.4), 0.6)
    assert (found["at_simple_late"], found["at_simple_late_se"]) == (0.1, 0.02)
    assert (found["at_power_late"], found["at_power_late_se"]) == (0.3, 0.05)
    assert (found["at_told_size"], found["at_told_late"], found["at_c"]) == (0.15, 0.2, 0.4)


def test_a_page_that_says_too_much_of_them_is_refused():
    with pytest.raises(ValueError, match="less than half"):
        numbers.of_table(table(simple_late=0.2), stored())
    with pytest.raises(ValueError, match="less than curvature says"):
        numbers.of_table(table(), stored(c_high=1.1))


def test_names_are_code_and_scores_are_dropped():
    bare = numbers.identity(stored(), table())
    assert list(bare.columns) == ["formula", "constants"]
    assert bare.index[1] == "<code>power</code>"
    assert "<code>power</code>" in numbers.to_html(bare)
    assert "n/a" in numbers.to_html(pd.DataFrame({"a": [np.nan]}))


POINTS = pd.DataFrame({"n_params_non_embedding": 37_800_000, "tokens_seen": [1e8, 4e8], "bits": 3})


def test_laws_are_compared_in_the_middle_and_far_beyond():
    assert numbers.places(POINTS) == {"middle": pytest.approx(2e8), "last": 4e8, "beyond": 4e9, "far": 4e10}
    ends = numbers.places(POINTS).values()
    laws = {"power": 1.0, "steps": 1.1, "kumar2024": 5.0}
    curves = pd.DataFrame(
        {"law": law, "tokens": tokens, "qid_nats": 1.0 if law == "power" else height * (tokens / 2e8) ** 0.5}
        for law, height in laws.items()
        for tokens in ends
    )
    found = numbers.spread_of_laws(curves, POINTS)
    assert found["at_spread_middle"] == pytest.approx(1.1)
    assert found["at_spread_far"] == pytest.approx(1.1 * 200**0.5)
    assert (found["at_drawn"], found["at_own"], found["at_far"], found["at_largest"]) == (3, 2, 100, "37.8M")
    with pytest.raises(ValueError, match="part beyond"):
        numbers.spread_of_laws(curves.assign(qid_nats=1.0), POINTS)


def test_the_figure_is_of_the_largest_model_at_three_bits():
    rows = pd.DataFrame({"n_params_non_embedding": [1e6, 4e6, 4e6], "bits": [3, 3, 2], "tokens_seen": [1e8, 2e8, 3e8]})
    assert numbers.at_largest(rows)["tokens_seen"].to_list() == [2e8]
    assert numbers.spans(rows) == {"at_span_n": 4, "at_span_d": 3}


def losses():
    rows = [(2, AIMS[1], 0.5, 0.3, 0.7), (3, AIMS[1], 3.0, 2.0, 4.0), (4, AIMS[1], 1.2, 0.8, 1.6)]
    rows += [(2, "larger and later", 1.5, *[np.nan] * 2), (3, "larger and later", 0.5, *[np.nan] * 2)]
    rows += [(4, "larger and later", 0.5, *[np.nan] * 2)]
    made = pd.DataFrame(rows, columns=["bits", "hold_out", "ratio", "ratio_low", "ratio_high"])
    return made.assign(way="shannon", log_rms=[0.01, np.nan, *[0.02] * 4], low=[0.005, *[np.nan] * 5], high=0.02)


def test_shannons_law_is_read_beside_chinchillas():
    found = numbers.shannon(losses())
    assert (found["at_shannon_3"], found["at_shannon_3_low"], found["at_shannon_3_high"]) == (3, 2, 4)
    assert len(found) == 9
    with pytest.raises(ValueError, match="tie at 4"):
        numbers.shannon(losses().replace({"ratio_low": {0.8: 1.1}}))
    cells = numbers.losses_table(losses(), ["shannon"])["shannon"]
    assert cells.to_list()[:3] == ["0.010 [0.005, 0.020]", "n/a", "0.020"]
    assert cells.index[0] == ("2 bits", AIMS[1])


def test_the_offset_of_the_block_is_several_times_as_large_on_the_papers_scale():
    whole = pd.DataFrame({"checkpoint_id": ["a", "a", "b"], "run_label": ["r", "r", "r"]})
    nats, share = ({"d": d, "low": 0.0, "high": 30.0, "gain": gain} for d, gain in ((2.0, 0.1), (12.0, 0.5)))
    found = numbers.offset_of_block(whole, nats, share)
    assert (found["at_offsets"], found["at_block_rows"], found["at_block_checkpoints"], found["at_block_runs"]) == (
        6,
        3,
        2,
        1,
    )
    assert (found["at_nats_d"], found["at_share_gain"]) == (2.0, 0.5)
    with pytest.raises(ValueError, match="overlap"):
        numbers.offset_of_block(whole, nats | {"high": -1.0}, share)
