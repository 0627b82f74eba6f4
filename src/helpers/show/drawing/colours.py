"""Colours that can be seen on a light and on a dark card: contrast, and a colour's counterpart of another lightness.

Lightness is that of OKLab (Ottosson, "A perceptual color space for image processing", 2020), in which a change of it
leaves the hue alone. Contrast is the Web Content Accessibility Guidelines' (2.2, "contrast ratio"), from 1 to 21.
"""

from functools import cache

import numpy as np
from matplotlib.colors import to_hex, to_rgb

from helpers.analyse.arrays import FloatArray

CARD, INK, GRID, PALE = "#fafaf7", "#23272e", "#dcdcd6", "#9aa0a8"
DARK_CARD = "#1b1f24"
# What isn't data has its own counterpart; so has black, whose place in a scale is beside the ink.
DARK_ROLES = {
    CARD: DARK_CARD,
    INK: "#e8e6e1",
    GRID: "#3a4048",
    PALE: "#868d96",
    "#000000": "#ffffff",
    "#ffffff": DARK_CARD,
}
SEEN = 3.0  # contrast that a line or marker needs
DARKEST, STEEPNESS = 0.54, 0.36  # lightness on a dark card: of black, and how fast it rises

TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _linear(colour: str) -> FloatArray:
    """Return the linear red, green and blue (3,) of a colour."""
    encoded = np.array(to_rgb(colour))
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def contrast(colour: str, other: str) -> float:
    """Return the contrast of two colours, 1 (none) to 21."""
    low, high = sorted(float(_linear(one) @ np.array([0.2126, 0.7152, 0.0722])) for one in (colour, other))
    return (high + 0.05) / (low + 0.05)


def lightness(colour: str) -> float:
    """Return the lightness of a colour in OKLab, 0 (black) to 1 (white)."""
    return float((TO_LAB @ np.cbrt(TO_CONES @ _linear(colour)))[0])


def with_lightness(colour: str, wanted: float) -> str:
    """Return a colour of the same hue and of `wanted` lightness, as `#rrggbb`; paler where no screen shows that."""
    lab = TO_LAB @ np.cbrt(TO_CONES @ _linear(colour))
    for share in np.linspace(1.0, 0.0, 41):
        cones = np.linalg.solve(TO_LAB, np.array([wanted, *(share * lab[1:])])) ** 3
        linear = np.linalg.solve(TO_CONES, cones)
        if np.all((linear > -1e-3) & (linear < 1 + 1e-3)):
            break
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = encoded.clip(0, 1).tolist()
    return to_hex((red, green, blue))


@cache
def on_light(colour: str) -> str:
    """Return `colour`, darkened until it is seen on the light card; what isn't data stays as it is."""
    if colour in DARK_ROLES:
        return colour
    wanted = lightness(colour)
    while contrast(colour, CARD) < SEEN:
        wanted -= 0.01
        colour = with_lightness(colour, wanted)
    return colour


@cache
def on_dark(colour: str) -> str:
    """Return the counterpart of `colour` on the dark card: of two colours of data the darker stays the darker."""
    return DARK_ROLES.get(colour) or with_lightness(colour, min(DARKEST + STEEPNESS * lightness(colour), 1.0))
