"""The calculator computes in the page what every law says in Python."""

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest
from tests.book.touch_page import KEPT, in_node, needs_node

from helpers.analyse.fits.answers import invert, predict
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.band import every_answer, fails_outside, group_factor, known_law
from helpers.analyse.laws.law import LawError
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.mixed.largest_ratio_law import CAO_2024_LAWS
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.touch import calculator
from helpers.show.touch.presets import PRESETS

ROOT = Path(__file__).parents[3]
MODELS = [(7e9, 15e12), (135e6, 2e12), (5e6, 3e8), (3e5, 1.2e8), (37e6, 9e8), (70e9, 1.4e12), (1.5e5, 1.1e8)]
ASKED = [
    {"n_params": n, "tokens": d, "bits": bits, "group_size": group, "budget": budget}
    for n, d in MODELS
    for bits, group, budget in ((2, 32, 0.2), (3, 64, 0.05), (4, 128, 0.1))
]
START = {"n_params": 7e9, "tokens": 15e12, "bits": 4, "group_size": 128}


@pytest.fixture(scope="module")
def fits():
    return read_fits(ROOT / "results/fits.json", ROOT / "results/measurements.parquet")


@pytest.fixture(scope="module")
def data(fits):
    measured = pd.DataFrame({"model": ["m"], N_PARAMS: [6e9], TOKENS_SEEN: [1e12], "bits": [4], "qid_nats": [0.03]})
    return calculator.calculator(fits, measured, KEPT, START).data


def in_words(asked: dict) -> dict[str, float]:
    return {name: float(asked[name]) for name in ("n_params", "tokens", "bits", "group_size")}


def without_interval(fits, law: str, bits: int):
    """A law whose draws are left out: an interval takes a second, and the page has none."""
    return dataclasses.replace(known_law(fits, law, bits), draws=None)


def factor_of(fits, known, law: str, group_size: float) -> float:
    """What QiD grows by in larger groups, for laws that don't know groups themselves."""
    return 1.0 if law in PUBLISHED or "group_size" in known.law.needs() else group_factor(fits, group_size)


def in_python(fits, law: str, asked: dict) -> float:
    known = without_interval(fits, law, asked["bits"])
    return predict(known, in_words(asked)).value * factor_of(fits, known, law, asked["group_size"])


@pytest.fixture(scope="module")
def said(fits, data):
    """What Python says of each model asked for, by law, at each bit width."""
    names = {law["law"] for law in data["laws"]}
    return [
        {bits: {law: in_python(fits, law, asked | {"bits": bits}) for law in names} for bits in (2, 3, 4)}
        for asked in ASKED
    ]


def test_its_laws_are_all_that_can_be_asked(fits, data):
    every = every_answer(fits, in_words(START))
    laws = [law for law in data["laws"] if law["bits"] == START["bits"]]
    assert {law["law"] for law in laws} == {one.law for one in every}
    assert {law["law"] for law in laws if law["fails"]} == fails_outside(fits)
    assert [law["law"] for law in laws if law["is_default"]] == [fits.default.law]
    for one in every:
        assert in_python(fits, one.law, START) == pytest.approx(one.answer.value, rel=1e-12)


@needs_node
def test_the_page_says_of_every_law_what_python_says(data, said):
    asked_of = [(law, asked, each) for asked, each in zip(ASKED, said, strict=True) for law in data["laws"]]
    calls = [("qid", [law, asked, data]) for law, asked, _ in asked_of]
    expected = [each[law["bits"]][law["law"]] for law, _, each in asked_of]
    assert len(calls) > 20 * 14
    assert in_node("laws", calls) == pytest.approx(expected, rel=1e-9)


@needs_node
def test_the_page_solves_for_tokens_as_python_does(fits, data):
    calls, expected = [], []
    for asked in ASKED:
        rest = {name: value for name, value in in_words(asked).items() if name != "tokens"}
        target = math.log(1 + asked["budget"])
        for law in [law for law in data["laws"] if law["bits"] == asked["bits"]]:
            known = without_interval(fits, law["law"], asked["bits"])
            calls.append(("tokensAt", [law, target, asked, data]))
            try:
                alone = target / factor_of(fits, known, law["law"], asked["group_size"])
                expected.append(invert(known, "tokens", alone, rest).value)
            except LawError:
                expected.append(None)  # Infinity: never
    found = in_node("laws", calls)
    assert [value is None for value in found] == [value is None for value in expected]
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if b is not None]
    assert [a for a, _ in pairs] == pytest.approx([b for _, b in pairs], rel=1e-9)


@needs_node
def test_its_answers_are_the_default_s_and_the_band_s(fits, data, said):
    found = in_node("laws", [("answers", [asked, data]) for asked in ASKED])
    for asked, answer, each in zip(ASKED, found, said, strict=True):
        band = [value for law, value in each[asked["bits"]].items() if law not in fails_outside(fits)]
        default = {bits: each[bits][fits.default.law] for bits in each}
        assert answer["qid"] == pytest.approx(
            {"default": default[asked["bits"]], "low": min(band), "high": max(band)}, rel=1e-9
        )
        billions = [math.log(asked[name] / 1e9) for name in ("n_params", "tokens")]
        own = 0.3 - 0.1 * billions[0] + 0.15 * billions[1]
        printed = 1 - float(CAO_2024_LAWS[asked["budget"]].largest_ratio(asked["n_params"]))
        shares = {"own": min(max(own, 0), 1), "printed": min(max(printed, 0), 1)}
        assert answer["share"] == pytest.approx(shares, rel=1e-9, abs=1e-12)
        overhead = (16 + asked["bits"]) / asked["group_size"]
        assert answer["bytes"] == pytest.approx(asked["n_params"] * (asked["bits"] + overhead) / 8, rel=1e-12)
        within = [bits for bits in (2, 3, 4) if default[bits] <= math.log(1 + asked["budget"])]
        assert answer["bits"]["default"] == (min(within) if within else None)


@needs_node
def test_a_link_gives_the_setting_back_and_what_is_not_offered_is_left_out():
    offered = {"bits": [2, 3, 4], "group_size": [32, 64, 128], "budget": [0.05, 0.1, 0.2]}
    links = in_node("calculator", [("toLink", [asked]) for asked in ASKED])
    found = in_node("calculator", [("fromLink", [link, offered]) for link in links])
    for asked, setting in zip(ASKED, found, strict=True):
        assert setting == pytest.approx(asked)
    odd = ["#a-heading", "", "#calculator?N=7B&bits=5&group=64&budget=no&D=1", "#calculator?N=1e30"]
    kept = in_node("calculator", [("fromLink", [link, offered]) for link in odd])
    assert kept == [{}, {}, {"n_params": 7e9, "group_size": 64}, {}]


def test_a_law_of_other_variables_is_refused(fits):
    with pytest.raises(LawError, match="the calculator knows tokens, n_params, bits, loss_nats, group_size"):
        calculator.constants(fits.fits["learning-rate"].law, 3)


def test_presets_have_sizes_near_their_names_and_a_source():
    for preset in PRESETS:
        amount = preset.name.split()[-1]
        named = float(amount[:-1]) * {"B": 1e9, "M": 1e6}[amount[-1]]
        assert 0.75 < preset.n_params / named <= 1
        assert 1e11 < preset.tokens <= 2e13
        assert any(mark in preset.source for mark in ("arXiv", "card"))
