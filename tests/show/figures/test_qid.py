import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from helpers.analyse.fits.predictions import hold_out_largest
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.rows.degradation import degradation
from helpers.show.figures import qid
from helpers.show.style import BITS_COLOURS, CARD, INK, METHOD_COLOURS, count_label, qid_scale

UNITS = ("(tokens)", "(non-embedding parameters)", "(bits per weight)", "nats per token)", "(no unit)", "(index)")
UNITS += ("standard deviations)", "of last words)", "per last word)")

pytestmark = pytest.mark.usefixtures("styled")


@pytest.fixture
def public():
    steps = np.array([0, 1, 1000, 143000])
    one = {
        "tokens_seen": steps * 2097152,
        "metric": "ppl",
        "value": [4e6, 4e6, 90.0, 6.0],
        "stderr": [1e5, 1e5, 2.0, 0.2],
    }
    small = pd.DataFrame(one | {"model": "pythia-160m", "n_params_non_embedding": 85056000})
    large = pd.DataFrame(one | {"model": "pythia-1.4b", "n_params_non_embedding": 1208602624})
    return pd.concat([small, large, small.assign(metric="acc", value=0.4), large.assign(metric="acc", value=0.5)])


@pytest.fixture
def drawn(rows, public, planted):
    """Every type of figure, drawn once: name to axes."""
    table = degradation(rows)
    gptq = table[(table["device_type"] == "cpu") & (table["method"] == "gptq")]
    panels = qid.qid_against_tokens(gptq).axes
    return {
        "loss": qid.loss_against_tokens(rows[(rows["method"] == "none") & (rows["device_type"] == "cpu")]),
        "accuracy": qid.public_trajectory(public, "acc"),
        "perplexity": qid.public_trajectory(public, "ppl"),
        "tokens": panels[0],
        "tokens, last": panels[-1],
        "bits": qid.qid_against_bits(gptq),
        "held out": qid.measured_against_held_out(hold_out_largest(UnifiedLaw, planted(1))),
    }


def test_axes_are_labelled_with_units_and_draw_without_warnings(drawn):
    for name, axes in drawn.items():
        axes.figure.canvas.draw()
        assert axes.get_xlabel().endswith(UNITS), name
        assert axes.get_ylabel().endswith(UNITS) or name == "tokens, last", name
        assert axes.get_legend() is not None or axes.texts or name == "tokens", name


def test_axes_of_tokens_and_qid_are_logarithmic(drawn):
    assert all(drawn[name].get_xscale() == "log" for name in ("loss", "perplexity", "tokens"))
    assert drawn["bits"].get_yscale() == "log"


def test_panels_are_the_bit_widths(drawn):
    assert [axes.get_title() for axes in drawn["tokens"].figure.axes] == ["2 bits", "3 bits", "4 bits"]


def test_sizes_are_named_once_in_a_legend(drawn):
    labels = [text.get_text() for text in drawn["bits"].get_legend().get_texts()]
    assert labels == ["0.15M", "0.33M", "0.59M"]


def test_axes_given_are_drawn_on(rows):
    _, axes = plt.subplots()
    table = degradation(rows[rows["device_type"] == "cpu"])
    assert qid.qid_against_bits(table[table["method"] == "rtn"], axes) is axes


def test_a_branch_is_hollow_and_its_trunk_a_line_of_its_own(rows):
    table = degradation(rows[(rows["device_type"] == "cpu") & (rows["model"] == "tadpole-330000")])
    trunk = table[(table["method"] == "gptq") & (table["bits"] == 3)]
    branch = trunk[trunk["step"] == 400].assign(run="a branch", branched_from="tadpole-330000")
    axes = qid.qid_against_tokens(pd.concat([trunk, branch])).axes[0]
    lines = [bars.lines[0] for bars in axes.containers]
    assert sorted(len(line.get_xdata()) for line in lines) == [1, 4]
    hollow = [line for line in lines if str(line.get_markerfacecolor()) == CARD]
    assert [len(line.get_xdata()) for line in hollow] == [1]
    assert [text.get_text() for text in axes.texts] == ["N = 0.33M"]


def test_what_is_read_again_is_drawn_by_piece_and_by_passes():
    pieces = pd.DataFrame({"start": [0.5, 1, 0.5, 1], "end": [1, 2, 1, 2], "exponent": [0.6, 0.5, 0.4, 0.3]})
    slopes = pieces.assign(bits=2, low=0.2, high=0.7, mean=[0.5, 0.4, 0.5, 0.4])  # of two runs
    gaps = pd.DataFrame({"epochs": [0.5, 1, 2], "difference_nats": [0.1, 0.2, 0.3], "n_params_non_embedding": 150_000})
    figure = qid.read_again(slopes, gaps)
    figure.canvas.draw()
    left, right = figure.axes
    assert [label.get_text() for label in left.get_xticklabels()] == ["0.5–1", "1–2"]
    assert left.containers[0].lines[0].get_ydata().tolist() == [0.5, 0.4]  # each mean once, not once a run
    assert right.lines[0].get_ydata().tolist() == [0.1, 0.2, 0.3]
    assert all("(passes" in axes.get_xlabel() for axes in figure.axes)


def test_qid_at_or_below_zero_stays_visible(rows):
    table = degradation(rows[rows["device_type"] == "cpu"])
    gptq = table[table["method"] == "gptq"].copy()
    gptq.loc[gptq.index[0], "qid_nats"] = -0.004
    axes = qid.qid_against_bits(gptq)
    assert axes.get_yscale() == "symlog"
    assert axes.get_ylim()[0] < -0.004


def test_qid_that_is_never_positive_has_a_linear_axis():
    _, axes = plt.subplots()
    qid_scale(axes, "y", [-0.1, 0.0])
    assert axes.get_yscale() == "linear"


def test_ticks_of_counts_do_not_crowd(drawn):
    for name in ("tokens", "loss", "accuracy"):
        axes = drawn[name]
        low, high = axes.get_xlim()
        labels = [axes.xaxis.get_major_formatter()(tick, 0) for tick in axes.get_xticks() if low <= tick <= high]
        assert 1 <= len(labels) <= 6, name
        assert all(label[-1] in "MBT" for label in labels), name


@pytest.mark.parametrize(
    ("count", "label"), [(150_000, "0.15M"), (14.2e6, "14.2M"), (1208602624, "1.21B"), (3e11, "300B"), (1.5e12, "1.5T")]
)
def test_counts_read_as_people_say_them(count, label):
    assert count_label(count) == label


def _contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.1 (relative luminance of sRGB)."""

    def luminance(colour: str) -> float:
        channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return float(np.dot([0.2126, 0.7152, 0.0722], channels))

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_colours_read_on_the_card():
    assert _contrast(INK, CARD) > 7  # WCAG AAA for text
    for colour in [BITS_COLOURS[bits] for bits in (2, 3, 4)] + list(METHOD_COLOURS.values()):
        assert _contrast(colour, CARD) > 3  # WCAG AA for graphical objects


def test_the_card_is_opaque():
    figure = plt.figure()
    assert figure.get_facecolor()[-1] == 1.0
    assert plt.rcParams["savefig.facecolor"] == CARD
