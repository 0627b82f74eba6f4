"""Things to touch in a real browser, by keyboard alone: what they show, what a screen reader is told, what they compute."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from tests.book.browsing import NEEDS_CHROMIUM
from tests.book.test_browser import barriers
from tests.book.touch_page import KEPT, write_page

from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.band import every_answer, span
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.touch import rounding
from helpers.show.touch.calculator import calculator
from helpers.show.touch.presets import PRESETS
from helpers.show.touch.widget import Widget

ROOT = Path(__file__).parents[2]
WEIGHTS = [[0.9, -0.6, 0.2, -0.3], [0.4, 0.1, -0.5, 0.25], [-0.2, 1.0, 0.7, -0.8]]
INPUTS = [[1, 1, 0, 0], [2, 1, 1, 0], [0, 1, 1, 1], [1, 2, 0, 1], [1, 0, 2, 1]]

pytestmark = [
    pytest.mark.browser,
    NEEDS_CHROMIUM,
]


@pytest.fixture
def opened(browser, tmp_path):
    """Open a widget on a page of its own; no fault may come up while the test runs."""
    faults, pages = [], []

    def open_page(widget, width=1280, after=""):
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        page.on("console", lambda m: m.type in ("error", "warning") and faults.append(f"console {m.type}: {m.text}"))
        page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
        page.on(
            "request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or faults.append(f"request: {r.url}")
        )
        page.goto(write_page(tmp_path, widget).as_uri() + after)
        page.wait_for_selector(".touch-said")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def values(page):
    return json.loads(page.locator(".touch").get_attribute("data-values"))


def heard(page, part):
    """Wait until the live sentence has a part in it, and return it whole."""
    said = page.locator(".touch-said")
    assert said.get_attribute("aria-live") == "polite"
    page.wait_for_function("part => document.querySelector('.touch-said').textContent.includes(part)", arg=part)
    return said.text_content()


def press(page, label, *keys):
    """Reach a control by its accessible name and press keys on it."""
    page.get_by_label(label, exact=True).focus()
    for key in keys:
        page.keyboard.press(key)


def press_in(page, legend, label, *keys):
    """Reach a radio button in its group and press keys on it."""
    page.get_by_role("group", name=legend).get_by_label(label, exact=True).focus()
    for key in keys:
        page.keyboard.press(key)


def test_a_weight_is_moved_by_arrow_keys(opened):
    page = opened(rounding.grid(WEIGHTS[1:]))
    assert values(page)["codes"] == [3, 2, 0, 3, 1, 3, 2, 0]
    knob = page.get_by_role("slider", name="weight 1")
    assert knob.get_attribute("aria-valuetext") == "0.40, code 3, stands for 0.300, off by 0.100"
    press(page, "weight 1", *["ArrowLeft"] * 30)
    assert knob.get_attribute("aria-valuetext").startswith("0.10, code ")
    text = heard(page, "Weight 1 is 0.10")
    assert text.startswith("2 bits, groups of 4. ")
    assert f"Sum of squared errors of all 8: {values(page)['squares']:.4f}" in text


def test_a_weight_is_dragged(opened):
    page = opened(rounding.grid(WEIGHTS[1:]))
    box = page.get_by_label("weight 1", exact=True).bounding_box()
    middle, start = box["y"] + box["height"] / 2, box["x"] + 8 + (box["width"] - 16) * 0.7
    page.mouse.move(start, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=3)
    page.mouse.up()
    assert abs(float(page.get_by_label("weight 1", exact=True).input_value())) <= 0.02
    heard(page, "Weight 1 is 0.0")


def test_bits_and_groups_are_chosen_by_keyboard_and_a_finer_grid_errs_less(opened):
    page = opened(rounding.grid(WEIGHTS[1:]))
    before = values(page)
    press_in(page, "bits a weight", "2", "ArrowRight", "ArrowRight")
    after = values(page)
    assert (before["storedBits"], after["storedBits"]) == (2 + 18 / 4, 4 + 20 / 4)
    assert after["squares"] < before["squares"] / 4
    press_in(page, "weights a group", "4", "ArrowRight")
    assert len(values(page)["grids"]) == 1
    heard(page, "4 bits, groups of 8")


def test_gptq_is_stepped_through_by_keyboard(opened):
    page = opened(rounding.gptq(WEIGHTS, INPUTS))
    assert heard(page, "No column is rounded yet")
    back, forward = (page.get_by_role("button", name=name) for name in ("Back", "Next column"))
    assert back.is_disabled()
    forward.focus()
    page.keyboard.press("Enter")
    first = values(page)
    assert first["codes"] == [[3], [3], [1]]
    moved = WEIGHTS[1][1] + first["moves"][1][1]
    assert page.locator("tbody tr").nth(1).locator("td").nth(1).text_content().startswith(f"{moved:.3f}\n+")
    text = heard(page, "1 of 4 columns rounded")
    assert "Column 1 got the codes 3, 3, 1" in text
    for _ in range(3):
        page.keyboard.press("Space")
    last = values(page)
    assert (forward.is_disabled(), page.evaluate("document.activeElement.textContent")) == (True, "Back")
    assert forward.is_disabled()
    assert math.isclose(last["lost"], sum_lost(last["weights"]), rel_tol=1e-9)
    assert f"{100 * last['lost']:.1f}% is lost so far" in heard(page, "4 of 4 columns rounded")
    assert last["lost"] < last["lostNearest"]
    press(page, "columns rounded", "ArrowLeft")
    assert len(values(page)["codes"][0]) == 3


def sum_lost(rounded):
    """Return the lost share from the outputs themselves, input by input."""
    lost = power = 0.0
    for x in INPUTS:
        for row, other in zip(WEIGHTS, rounded, strict=True):
            out = sum(w * a for w, a in zip(row, x, strict=True))
            lost += (out - sum(w * a for w, a in zip(other, x, strict=True))) ** 2
            power += out**2
    return lost / power


RUNS = [
    {
        "name": name,
        "n_params": n_params,
        "tokens": [4194304, 102367232, 953548800],
        "loss": [6.5, 2.7, 2.2125],
        "rms": [0.02, 0.05, 0.072],
        "qid": {2: [-0.001, 0.2, 0.5], 3: [0.001, 0.02, 0.05], 4: [0.0004, 0.005, 0.0125]},
        "rounding": {2: [0.41, 0.4, 0.404], 3: [0.17, 0.18, 0.175], 4: [0.08, 0.08, 0.081]},
    }
    for name, n_params in (("small", 150000), ("large", 37800000))
]


def test_a_run_is_scrubbed_by_keyboard(opened):
    page = opened(Widget("training", "a run", {"runs": RUNS, "widths": [2, 3, 4], "start": "small"}), 390)
    text = heard(page, "150k parameters after 954M tokens")
    for part in ("Loss in 16 bits: 2.21 nats", "0.5 at 2 bits, 0.05 at 3 bits, 0.013 at 4 bits", "40.4% at 2 bits"):
        assert part in text
    press(page, "checkpoint", "Home")
    assert values(page)["qid"] == [-0.001, 0.001, 0.0004]
    assert "Rounding adds −0.001 at 2 bits" in heard(page, "after 4.19M tokens")
    press(page, "checkpoint", "ArrowRight")
    assert page.get_by_label("checkpoint", exact=True).get_attribute("aria-valuetext") == "102M tokens"
    press(page, "size N", "ArrowDown")
    assert values(page)["n_params"] == 37800000
    heard(page, "37.8M parameters after 102M tokens")
    for drawing in page.get_by_role("img").all():
        assert drawing.get_attribute("aria-label")
        assert drawing.locator("path").count() >= 3


MEASURED = pd.DataFrame({N_PARAMS: [6e9, 6e6], TOKENS_SEEN: [1e12, 9e8], "bits": [4, 4], "qid_nats": [0.03, 0.02]})
START = {"n_params": 7e9, "tokens": 15e12, "bits": 4, "group_size": 128}


@pytest.fixture(scope="module")
def fits():
    return read_fits(ROOT / "results/fits.json", ROOT / "results/measurements.parquet")


def test_a_model_is_described_by_keyboard_and_the_answers_are_python_s(opened, fits):
    page = opened(calculator(fits, MEASURED, KEPT, START))
    text = heard(page, "7B parameters, 15T tokens, 4 bits in groups of 128.")
    assert "Outside what was fitted: " in text
    page.get_by_label("size N, parameters", exact=True).fill("3B")
    page.get_by_label("training tokens D", exact=True).fill("2e12")
    page.keyboard.press("Tab")
    press_in(page, "bits a weight", "4", "ArrowLeft")
    press_in(page, "weights a group", "128", "ArrowLeft")
    found = values(page)
    asked = {"n_params": 3e9, "tokens": 2e12, "bits": 3.0, "group_size": 64.0}
    assert {name: found["asked"][name] for name in asked} == asked
    said = every_answer(fits, asked)
    (default,) = [one.answer.value for one in said if one.law == fits.default.law]
    assert math.isclose(found["qid"]["default"], default, rel_tol=1e-9)
    assert (found["qid"]["low"], found["qid"]["high"]) == pytest.approx(span(said), rel=1e-9)
    assert f"Perplexity times {math.exp(default):.3f} by the default law" in heard(
        page, "3B parameters, 2T tokens, 3 bits in groups of 64."
    )
    press(page, "training tokens D, slider", "ArrowRight")
    assert 2e12 < values(page)["asked"]["tokens"] < 2.3e12
    press(page, "size N, parameters, slider", "End")
    assert values(page)["asked"]["n_params"] == 1e12
    assert page.get_by_label("size N, parameters", exact=True).input_value() == "1T"


def test_an_amount_that_is_none_is_marked_and_changes_nothing(opened, fits):
    page = opened(calculator(fits, MEASURED, KEPT, START))
    size = page.get_by_label("size N, parameters", exact=True)
    for wrong in ("many", "-3B", "1e30"):
        size.fill(wrong)
        size.press("Enter")
        assert size.get_attribute("aria-invalid") == "true"
        alert = page.get_by_role("alert").filter(has_text="accepted: 100k to 1T, such as 7B or 1.5e12")
        assert alert.is_visible()
        assert size.get_attribute("aria-describedby") == alert.get_attribute("id")
        assert values(page)["asked"]["n_params"] == 7e9
    size.fill("13B")
    size.press("Enter")
    assert size.get_attribute("aria-invalid") is None
    assert page.get_by_role("alert").filter(has_text="accepted").count() == 0
    assert values(page)["asked"]["n_params"] == 13e9


def test_a_preset_names_its_source_and_a_link_reproduces_the_setting(opened, fits):
    page = opened(calculator(fits, MEASURED, KEPT, START), 390)
    press(page, "start from", "ArrowDown")
    note = page.locator(".touch-note").first.text_content()
    assert note.startswith(PRESETS[0].name)
    assert note.endswith(f"({PRESETS[0].source}).")
    press_in(page, "perplexity may rise by", "10%", "ArrowLeft")
    link = page.get_by_role("link", name="Link to this setting").get_attribute("href")
    again = opened(calculator(fits, MEASURED, KEPT, START), after=link)
    assert values(again) == values(page)
    assert again.get_by_label("5%", exact=True).is_checked()
    again.evaluate("location.hash = '#calculator?N=5M&D=500M&bits=2&group=32'")
    text = heard(again, "5M parameters, 500M tokens, 2 bits in groups of 32.")
    assert "Within the sizes and tokens that were fitted." in text
    assert again.locator(".touch-beyond").count() == 0


def test_what_lies_beyond_the_data_is_red_and_measured_models_of_like_size_are_dots(opened, fits):
    page = opened(calculator(fits, MEASURED, KEPT, START))
    assert page.locator(".touch-plots circle").count() == 2  # the model asked for, and the one of 6B
    assert page.locator(".touch-beyond").count() == 5
    page.evaluate("location.hash = '#calculator?N=5M&D=500M&bits=4&group=32'")
    heard(page, "5M parameters")
    strokes = page.locator(".touch-plots path").evaluate_all("paths => paths.map(p => p.getAttribute('stroke'))")
    assert {"var(--touch-outside)", "var(--touch-3)"} <= set(strokes)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", ["grid", "gptq", "training", "law", "calculator"])
def test_nothing_is_wider_than_its_place_and_all_is_named_and_large_enough(opened, fits, kind, width):
    widget = {
        "grid": lambda: rounding.grid(WEIGHTS[1:]),
        "gptq": lambda: rounding.gptq(WEIGHTS, INPUTS),
        "training": lambda: Widget("training", "a run", {"runs": RUNS, "widths": [2, 3, 4], "start": "small"}),
        "law": lambda: Widget("law", "a law", LAW),
        "calculator": lambda: calculator(fits, MEASURED, KEPT, START),
    }[kind]()
    page = opened(widget, width)
    for _ in range(2 if kind == "gptq" else 0):
        page.get_by_role("button", name="Next column").press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.evaluate("[...document.querySelectorAll('.touch-table')].map(n => n.scrollWidth - n.clientWidth)") in (
        [],
        [0],
    )
    sizes = page.evaluate(
        "[...document.querySelectorAll('.touch :is(text, td, th, p, label)')].map(n => parseFloat(getComputedStyle(n).fontSize))"
    )
    assert min(sizes) >= 11
    unnamed = "[...document.querySelectorAll('.touch :is(input, select)')].filter(n => !n.labels.length && !n.ariaLabel).length"
    assert page.evaluate(unnamed) == 0
    assert barriers(page) == []


LAW = {
    "coefficients": [-6.0, 0.5, 0.4, 3.0],
    "columns": [
        [],
        [{"variable": "tokens", "scale": "log", "sign": 1}],
        [{"variable": "n_params", "scale": "log", "sign": -1}],
        [{"variable": "bits", "scale": "log", "sign": -1}],
    ],
    "covariance": [[1e-4 * (i == j) for j in range(4)] for i in range(4)],
    "tau": 0.1,
    "quantile": 2.0,
    "level": 0.9,
    "box": {"tokens": [6e7, 9.5e8], "n_params": [1.5e5, 3.78e7]},
    "bits": [2, 3, 4],
}


def test_a_law_is_asked_by_keyboard_inside_its_box_alone(opened):
    page = opened(Widget("law", "a law", LAW))
    heard(page, "37.8M parameters after 950M tokens: QiD ")
    press(page, "size N, parameters, slider", "Home")
    found = values(page)
    assert found["n_params"] == 1.5e5
    qid = math.exp(-6 + 0.5 * math.log(9.5e8) - 0.4 * math.log(1.5e5) - 3 * math.log(4))
    assert math.isclose(found["found"][2]["qid"], qid, rel_tol=1e-9)
    assert found["found"][2]["low"] < qid < found["found"][2]["high"]
    text = heard(page, "150k parameters")
    assert "at 4 bits" in text
    assert "for a new run" in text
    tokens = page.get_by_label("training tokens D", exact=True)
    tokens.fill("15T")
    tokens.press("Enter")
    assert tokens.get_attribute("aria-invalid") == "true"
    assert values(page)["tokens"] == 9.5e8
