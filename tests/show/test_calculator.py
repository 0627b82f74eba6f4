"""The calculator computes in the page what every law says in Python."""

import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest

from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.band import every_answer
from helpers.analyse.laws.law import LawError
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show import calculator

ROOT = Path(__file__).parents[2]
MODELS = [(7e9, 15e12, 4, 128), (135e6, 2e12, 3, 64), (5e6, 3e8, 2, 32), (3e5, 1.2e8, 3, 128)]
START = {"n_params": 7e9, "tokens": 15e12, "bits": 4, "group_size": 128}


@pytest.fixture(scope="module")
def fits():
    return read_fits(ROOT / "results/fits.json", ROOT / "results/measurements.parquet")


def in_python(expression: str, datum: dict | None = None, **signals: object):
    """Evaluate a Vega expression: its functions have the same names and meaning in Python."""
    expression = re.sub(r"datum\.(\w+)", r"datum['\1']", expression)
    expression = re.sub(r"\s*([^?:]+) \? ([^?:]+) : ", r"(\2) if (\1) else ", expression).replace("NaN", "math.nan")
    names = {"exp": math.exp, "log": math.log, "pow": math.pow, "max": max, "math": math}
    return eval(expression, names | {"datum": datum, **signals})


@pytest.mark.parametrize(("n_params", "tokens", "bits", "group"), MODELS)
def test_the_page_says_of_every_law_what_python_says(fits, n_params, tokens, bits, group):
    asked = {"n_params": n_params, "tokens": tokens, "bits": float(bits), "group_size": float(group)}
    said = {one.law: one for one in every_answer(fits, asked)}
    rows = calculator.law_rows(fits)
    rows = rows[rows["bits"] == bits].set_index("law")
    expression = calculator.qid_expression(fits.loss_law)
    assert set(rows.index) == set(said)
    for law, row in rows.iterrows():
        here = in_python(expression, row.to_dict(), N=n_params, D=tokens, G=group)
        assert here == pytest.approx(said[law].answer.value, rel=1e-9), law
        assert row["fails"] == said[law].fails_outside
    assert list(rows.index[rows["is_default"]]) == [fits.default.law]


def chart(fits) -> dict:
    measured = pd.DataFrame({"model": ["m"], N_PARAMS: [6e9], TOKENS_SEEN: [1e12], "bits": [4], "qid_nats": [0.03]})
    return json.loads(calculator.calculator(fits, measured, START).to_json())


def test_the_sentence_has_the_default_law_s_answer(fits):
    params = {one["name"]: one for one in chart(fits)["params"]}
    signals = {"N": 7e9, "D": 15e12, "P": 4, "G": 128}
    answer = in_python(params["answer"]["expr"], **signals)
    (asked,) = [
        one
        for one in every_answer(fits, {"n_params": 7e9, "tokens": 15e12, "bits": 4.0, "group_size": 128.0})
        if one.law == fits.default.law
    ]
    assert answer == pytest.approx(asked.answer.value, rel=1e-9)
    assert math.isnan(in_python(params["answer"]["expr"], **signals | {"P": 5}))
    for part in ("format(answer", "exp(answer)", "' tokens, '"):
        assert part in params["said"]["expr"]


def test_it_starts_with_the_model_asked_for_and_can_be_moved_to_any(fits):
    params = {one["name"]: one for one in chart(fits)["params"]}
    assert 10 ** params["log_size"]["value"] == pytest.approx(7e9, rel=0.02)
    assert 10 ** params["log_tokens"]["value"] == pytest.approx(15e12, rel=0.02)
    assert (params["P"]["value"], params["G"]["value"]) == (4, 128)
    assert params["P"]["bind"]["options"] == [2, 3, 4]
    assert params["log_size"]["bind"]["max"] == 12


def test_a_law_of_other_variables_is_refused(fits):
    with pytest.raises(LawError, match="the calculator knows tokens, n_params, bits, loss_nats, group_size"):
        calculator.constants(fits.fits["learning-rate"].law, 3)
