import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.analyse.mixed import keeping
from helpers.show.figures import keeping as keeping_figures
from helpers.show.style import use_house_style


@pytest.fixture(autouse=True)
def _style():
    use_house_style()
    yield
    plt.close("all")


@pytest.fixture
def table():
    rows = [
        {"way": way, "stored_bits": bits, "qid_nats": factor * np.exp(-bits), "n_params_non_embedding": size}
        for size in (2e5, 1e6)
        for way, factor in ((keeping.LINE, 1.0), ("GWQ", 1.5))
        for bits in (2.5, 3.5, 4.5)
    ]
    return pd.DataFrame(rows).assign(qid_se_nats=0.01)


def test_each_size_has_a_panel_and_only_gptq_has_a_line(table):
    figure = keeping_figures.qid_against_stored_bits(table)
    first, last = figure.axes
    assert [axes.get_title() for axes in (first, last)] == ["N = 0.2M", "N = 1M"]
    assert figure.get_supxlabel() == keeping_figures.STORED_LABEL
    lines = [each for each in first.get_lines() if len(each.get_xdata()) == 3 and each.get_marker() in ("o", "^")]
    assert [each.get_linestyle() for each in lines] == ["-", "None"]
    assert [text.get_text() for text in last.get_legend().get_texts()] == [keeping.LINE, "GWQ"]


def test_ratios_stand_at_their_stored_bits_with_intervals():
    summary = pd.DataFrame({"way": ["GWQ", "CMPQ"], "stored_bits": [3.0, 4.0], "ratio": [1.5, 0.7]})
    axes = keeping_figures.pooled_ratios(summary.assign(low=0.5, high=2.0))
    assert axes.get_yscale() == "log"
    points = [bar.lines[0].get_xydata().tolist() for bar in axes.containers]
    assert sorted(points) == [[[3.0, 1.5]], [[4.0, 0.7]]]
    (vertical,) = axes.containers[0].lines[2]
    assert vertical.get_segments()[0][:, 1].tolist() == pytest.approx([0.5, 2.0])


def test_costs_of_inputs_may_be_negative(table):
    costs = table.assign(cost_nats=table["qid_nats"] - 0.05, cost_se_nats=0.01, tokens_seen=1e8 * table["stored_bits"])
    figure = keeping_figures.input_costs_against_tokens(costs, {"GWQ": ("#000000", "o")})
    assert [axes.get_yscale() for axes in figure.axes] == ["symlog", "symlog"]
    assert figure.axes[0].get_ylabel() == "cost of rounded inputs (nats per token)"


def test_kernels_have_points_for_layers_and_a_line_for_their_mean():
    shares = pd.DataFrame(
        {"exponent": exponent, "bits": bits, "share": share * bits / 8}
        for exponent in (0.0, 1.0)
        for bits in (4, 8)
        for share in (0.1, 0.3)
    )
    axes = keeping_figures.kernels(shares)
    means = [line.get_ydata() for line in axes.get_lines() if line.get_label() in ("4 bits", "8 bits")]
    np.testing.assert_allclose(means, [[0.1, 0.1], [0.2, 0.2]])
