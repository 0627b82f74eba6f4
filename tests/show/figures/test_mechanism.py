import numpy as np
import pandas as pd
import pytest
from tests.analyse.rows.test_weight_noise import measured

from helpers.analyse.rows import weight_noise
from helpers.analyse.rows.degradation import N_PARAMS
from helpers.show.figures import mechanism

pytestmark = pytest.mark.usefixtures("styled")


@pytest.fixture
def trunk():
    rows = [{N_PARAMS: size, "tokens_seen": tokens, "change": 0.3} for size in (1e5, 1e6) for tokens in (6e7, 1e8, 9e8)]
    return pd.DataFrame(rows).assign(rounding_2=0.41, rounding_3=0.17, rounding_4=0.08)


@pytest.fixture
def joined():
    table = pd.DataFrame(
        [{N_PARAMS: size, "bits": bits} for size in (1e5, 1e6) for bits in (2.0, 3.0) for _ in range(3)]
    )
    values = np.geomspace(0.01, 1, len(table))
    return table.assign(predicted_nats=values, qid_nats=values * 1.1, qid_se_nats=values / 50)


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_each_size_has_a_line_and_each_width_a_band(trunk):
    axes = mechanism.change_and_rounding(trunk, trunk[trunk["tokens_seen"] == 9e8].assign(change=0.07))
    assert axes.get_legend_handles_labels()[1] == ["0.1M", "1M"]
    assert texts(axes)[:3] == ["2 bits", "3 bits", "4 bits"]
    assert {*texts(axes)[3:]} == {"N = 0.1M", "N = 1M"}
    hollow = [line for line in axes.lines if str(line.get_markerfacecolor()) == "none"]
    assert [line.get_ydata().tolist() for line in hollow] == [[0.07], [0.07]]
    assert "(tokens)" in axes.get_xlabel()
    assert "(no unit)" in axes.get_ylabel()


def test_prediction_has_a_panel_a_width_with_equality(joined):
    figure = mechanism.measured_against_curvature(joined)
    assert [axes.get_title() for axes in figure.axes] == ["2 bits", "3 bits"]
    for bits, axes in zip((2, 3), figure.axes, strict=True):
        here = joined.loc[joined["bits"] == bits, "predicted_nats"]
        ends = [[here.min(), here.max()]] * 2
        assert any([list(x) for x in line.get_data()] == ends for line in axes.lines)
    assert "nats per token" in figure.get_supxlabel()
    assert "nats per token" in figure.axes[0].get_ylabel()


def test_twins_are_drawn_as_factors_by_part():
    runs = pd.DataFrame({"part": ["depth", "seeds"], "log_qid_nats": np.log([2.0, 0.5])})
    runs = runs.assign(log_predicted_nats=np.log([1.5, 1]), log_other=np.log([3.0, 1]))
    against = {"log_predicted_nats": "predicted (factor)", "log_other": "other (factor)"}
    first, second = mechanism.runs_beside_twins(runs, against).axes
    assert [axes.get_xlabel() for axes in (first, second)] == list(against.values())
    assert first.lines[0].get_xydata() == pytest.approx(np.array([[1.5, 2.0]]))
    assert second.lines[1].get_xydata() == pytest.approx(np.array([[1.0, 0.5]]))
    assert second.get_legend_handles_labels()[1] == ["depth", "seeds"]
    assert len(first.lines) == len(second.lines) + 1  # only a predicted QiD can be equal to a measured one


def test_errors_are_drawn_by_bits_over_curvature_and_along_tokens_over_noise():
    kl = weight_noise.mean_kl(weight_noise.rows_beside_noise(measured(bits=(2, 4, 8))))
    by_bits, along = mechanism.errors_beside_noise(kl, kl, 4).axes
    assert [line.get_label() for line in by_bits.lines[:4]] == [look["label"] for look in mechanism.ERRORS.values()]
    middle = np.exp(np.log(kl["gptq"]).groupby("bits").mean())
    assert by_bits.lines[3].get_xydata() == pytest.approx(np.column_stack([[2, 4, 8], middle]))
    rtn = [line for line in along.lines if line.get_color() == mechanism.ERRORS["rtn"]["color"]]
    assert [line.get_xydata().tolist() for line in rtn] == [[[1e8, pytest.approx(0.9)], [4e8, pytest.approx(0.9)]]] * 2
    assert along.get_legend_handles_labels()[1] == [look["label"] for look in mechanism.ERRORS.values()]
    assert "(no unit)" in by_bits.get_ylabel()
    assert "4 bits" in along.get_ylabel()
