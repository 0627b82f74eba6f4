"""Every colour of the book is seen on both cards, and of two the darker stays the darker."""

from itertools import pairwise

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from helpers.show import style
from helpers.show.drawing.colours import (
    CARD,
    DARK_CARD,
    DARK_ROLES,
    INK,
    SEEN,
    contrast,
    lightness,
    on_dark,
    on_light,
    with_lightness,
)

SHADES = [
    to_hex(plt.get_cmap(name)(part / 20)) for name in ("viridis", "plasma", "cividis", "PuOr") for part in range(21)
]
OF_DATA = [*style.BITS_COLOURS.values(), *style.METHOD_COLOURS.values(), *SHADES]


def test_contrast_and_lightness_of_known_colours():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the guidelines' own example
    assert (lightness("#000000"), lightness("#ffffff")) == (pytest.approx(0.0), pytest.approx(1.0, abs=1e-6))
    assert lightness("#ff0000") == pytest.approx(0.628, abs=5e-4)  # Ottosson's table


@pytest.mark.parametrize("colour", OF_DATA)
def test_a_colour_of_data_is_seen_on_both_cards(colour):
    assert contrast(on_light(colour), CARD) >= SEEN
    assert contrast(on_dark(on_light(colour)), DARK_CARD) >= SEEN


def test_a_colour_that_is_seen_stays_and_a_pale_one_keeps_its_hue():
    assert on_light("#0072b2") == "#0072b2"
    pale = on_light("#e69f00")
    assert lightness(pale) < lightness("#e69f00")
    red, green, blue = (int(pale[at : at + 2], 16) for at in (1, 3, 5))
    assert red > green > blue


def test_in_the_dark_the_darker_stays_the_darker():
    shades = sorted({on_light(shade) for shade in SHADES} - set(DARK_ROLES), key=lightness)
    dark = [lightness(on_dark(shade)) for shade in shades]
    assert all(after > before - 0.01 for before, after in pairwise(dark))  # a step of 8 bits
    assert dark[-1] - dark[0] > 0.1


def test_ink_is_read_on_its_card_in_the_dark():
    assert contrast(on_dark(INK), on_dark(CARD)) > 10
    assert contrast(on_dark("#000000"), DARK_CARD) > 10


def test_a_lightness_that_no_screen_shows_in_that_hue_is_paler():
    assert with_lightness("#0000ff", 1.0) == "#ffffff"
