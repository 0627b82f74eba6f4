"""A figure's SVG: its text is text, its colours are seen, a heat map is marked, and it is small."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers.show.drawing.colours import INK, SEEN, contrast
from helpers.show.drawing.vector import COLOUR, KEPT, MANY_POINTS, SVG, as_svg, text_of
from helpers.show.style import CARD

pytestmark = pytest.mark.usefixtures("styled")


def lines():
    figure, axes = plt.subplots()
    axes.plot([1, 2, 3], [1.23456789, 2, 3], "o-", color="#e69f00", label="amber")
    axes.set(xlabel="tokens", ylabel="QiD (nats per token)")
    return figure


def words(root):
    return [part.text for part in root.iter(f"{{{SVG}}}text")]


def test_words_are_words_and_the_same_figure_gives_the_same_text():
    root = as_svg(lines())
    assert {"tokens", "QiD (nats per token)"} <= set(words(root))
    assert text_of(root) == text_of(as_svg(lines()))


def test_a_pale_colour_is_darkened_and_what_is_no_data_stays():
    colours = set(COLOUR.findall(text_of(as_svg(lines()))))
    assert {CARD, INK} <= colours
    assert "#e69f00" not in colours
    assert all(contrast(colour, CARD) >= SEEN for colour in colours - {CARD, "#dcdcd6"})


def test_numbers_are_short_and_only_what_is_referred_to_has_a_name():
    text = text_of(as_svg(lines()))
    assert not re.search(r'(?: d| x| y)="[^"]*\.\d{3}', text)
    names, used = re.findall(r' id="([^"]+)"', text), set(re.findall(r"#([a-z]\w{9,})", text))
    assert names
    assert set(names) == used
    assert "font-family: " not in text
    assert "<metadata" not in text


def test_a_heat_map_and_the_words_on_it_keep_their_colours():
    figure, (left, right) = plt.subplots(1, 2)
    mesh = left.pcolormesh([[1.0, 2.0], [3.0, 4.0]], cmap="YlGnBu")
    left.text(0.5, 0.5, "cell", color="#ffffff")
    figure.colorbar(mesh)
    right.plot([1, 2], color="#0072b2")
    kept = [part for part in as_svg(figure).iter() if part.get("class") == KEPT]
    inside = {colour for part in kept for inner in part.iter() for colour in COLOUR.findall(inner.get("style", ""))}
    assert "#ffffd9" in inside, "the palest colour of the map, which would be darkened elsewhere"
    assert "cell" in {word for part in kept for word in words(part)}
    assert "#0072b2" not in inside


def test_thousands_of_points_are_drawn_in_pixels():
    figure, axes = plt.subplots()
    few, many = np.arange(10.0), np.arange(MANY_POINTS + 1.0)
    axes.plot(few, few, "s")
    axes.plot(many, many, "o")
    root = as_svg(figure)
    assert len(list(root.iter(f"{{{SVG}}}image"))) == 1
    assert 10 <= len(list(root.iter(f"{{{SVG}}}use"))) < MANY_POINTS


def test_what_marks_share_is_said_once():
    figure, axes = plt.subplots()
    axes.errorbar([1, 2, 3], [1, 2, 3], 0.1, fmt="o", color="#0072b2")
    root = as_svg(figure)
    marks = [part for part in root.iter() if [inner.tag for inner in part] == [f"{{{SVG}}}use"] * 3]
    assert len(marks) == 3  # two caps and the markers
    assert all(part.get("style") and not any(inner.get("style") for inner in part) for part in marks)
    bars = [part.get("d") for part in root.iter(f"{{{SVG}}}path") if "#0072b2" in part.get("style", "")]
    assert any(path.count("M") == 3 for path in bars), "three bars in one path"


def test_a_stroke_that_lies_outside_of_its_axes_has_no_path_and_is_left_out():
    """Intervals all of whose points are NaN or lie beyond a logarithmic axis are written as paths without any."""
    figure, axes = plt.subplots()
    axes.errorbar([1, 2, 3], [1, 2, 3], yerr=[[0.1, np.nan, 0.1], [0.1, np.nan, 0.1]], fmt="none", ecolor="#000000")
    paths = [part for part in as_svg(figure).iter(f"{{{SVG}}}path") if "fill: none" in (part.get("style") or "")]
    assert paths
    assert not any(part.get("d") == "" for part in paths)
