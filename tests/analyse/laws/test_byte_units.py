"""A law in bytes says the same as the law in tokens."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.analyse.examples import EXAMPLES, NAMES, UNITS, rows_for

from helpers.analyse.laws.byte_units import POWERS, bytes_per_token, chain_in_bytes, in_bytes
from helpers.analyse.laws.forms import TAKEN_AWAY, UnifiedLaw
from helpers.analyse.laws.loss import ChainedLaw, ChinchillaLaw, ShannonLaw, SizeAndTokensLaw
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_LOSS
from helpers.analyse.laws.variables import LawError, Term, ValidityRange
from helpers.analyse.rows.study import HELDOUT, rows_of_every_run
from helpers.table.errors import AnalysisError

TABLE = Path("results/measurements.parquet")
BYTES = st.floats(0.3, 12.0)
OF_TOKENS = [name for name in NAMES if "tokens" in {*EXAMPLES[name][0].needs()} - {*EXAMPLES[name][0].HELD}]
LOSS_LAWS = [
    OUYANG_2024_LOSS,
    ChinchillaLaw(1.2, 40.0, 0.3, 1e3, 0.4, source="planted", validity=OUYANG_2024.validity),
    ShannonLaw(0.03, 0.08, 0.8, 0.01, 0.4, 0.02, 0.75, 1e3, source="planted", validity=OUYANG_2024.validity),
]


def converted(known: dict, b: float) -> dict:
    """Return the same models in bytes: D in bytes, losses in nats a byte."""
    return {name: values * b ** -POWERS.get(name, 0) for name, values in known.items()}


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=20)
@given(b=BYTES)
def test_a_law_in_bytes_predicts_the_same_thing(name, b):
    law, _ = EXAMPLES[name]
    data = rows_for(law)
    known = law.ask(vars(data) | data.covariates)
    there = in_bytes(law, b)
    np.testing.assert_allclose(there.predict(**converted(known, b)), law.predict(**known) / b, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_exponents_stay_and_what_has_a_unit_does_not(name):
    law, _ = EXAMPLES[name]
    there, changed = in_bytes(law, 2.5), set()
    for parameter in law.parameter_names():
        if getattr(there, parameter) != pytest.approx(getattr(law, parameter), rel=1e-12):
            changed.add(parameter)
    expected = {law.parameter_names()[0], *UNITS} & set(law.parameter_names())
    assert changed == expected


def test_the_unified_law_by_hand():
    there = in_bytes(OUYANG_2024, 4.0)
    # QiD / 4 = (0.017 / 4) (D / 4)^beta / (N^alpha P^gamma), D in bytes
    assert there.k == pytest.approx(0.017 / 4 ** (1 + 0.5251), rel=1e-12)
    assert there.source.endswith("; in bytes and nats a byte, at 4 bytes a token")
    assert there.validity.tokens == pytest.approx((4 * 1.07e9, 4 * 2.055e11))
    assert (there.validity.n_params, there.validity.bits) == (OUYANG_2024.validity.n_params, OUYANG_2024.validity.bits)


def test_ranges_of_covariates_change_their_unit():
    law, _ = EXAMPLES["loss"]
    box = ValidityRange((1e8, 1e9), (1e5, 1e7), (2, 4), {"loss_nats": (2.0, 4.0), "group_size": (32, 128)})
    there = in_bytes(dataclasses.replace(law, validity=box), 2.0).validity
    assert there.covariates == {"loss_nats": (1.0, 2.0), "group_size": (32, 128)}
    assert there.contains(1.9e9, 1e6, 3, loss_nats=1.1)
    assert not box.contains(1.9e9, 1e6, 3, loss_nats=2.2)


@pytest.mark.parametrize("name", OF_TOKENS)
def test_laws_in_bytes_are_solved_for_bytes(name):
    law, _ = EXAMPLES[name]
    data = rows_for(law)
    known = law.ask(vars(data) | data.covariates)
    others = {variable: values for variable, values in known.items() if variable != "tokens"}
    found = in_bytes(law, 3.0).solve("tokens", law.predict(**known) / 3.0, **converted(others, 3.0))
    # 1e-7: as for the law in tokens, where QiD is flat in D0
    np.testing.assert_allclose(found, 3.0 * known["tokens"], rtol=1e-7)


@pytest.mark.parametrize("law", LOSS_LAWS, ids=lambda law: type(law).__name__)
@settings(deadline=None, max_examples=20)
@given(b=BYTES)
def test_a_loss_law_in_bytes_predicts_the_same_loss(law, b):
    tokens, sizes = np.geomspace(1e8, 1e12, 5)[:, None], np.geomspace(1e6, 1e11, 6)
    np.testing.assert_allclose(in_bytes(law, b).predict(b * tokens, sizes), law.predict(tokens, sizes) / b, rtol=1e-8)


def test_a_chain_in_bytes_predicts_the_same_thing():
    chained = ChainedLaw(EXAMPLES["loss"][0], LOSS_LAWS[1])
    there = chain_in_bytes(chained, 2.4)
    assert there.predict(2.4 * 3e8, 1e6, 3) == pytest.approx(chained.predict(3e8, 1e6, 3) / 2.4, rel=1e-12)


@settings(deadline=None, max_examples=20)
@given(b=BYTES)
def test_there_and_back(b):
    law, _ = EXAMPLES["saturating"]
    np.testing.assert_allclose(in_bytes(in_bytes(law, b), 1 / b).coefficients, law.coefficients, atol=1e-12)


@pytest.mark.parametrize("b", [0.0, -1.0, math.nan, math.inf])
def test_impossible_lengths_are_refused(b):
    with pytest.raises(LawError, match="bytes a token must be a positive number; got"):
        in_bytes(OUYANG_2024, b)


def test_parts_of_unknown_unit_are_refused():
    @dataclass(frozen=True)
    class Odd(UnifiedLaw):
        TERMS = (Term("beta", "loss_nats", TAKEN_AWAY, 1), *UnifiedLaw.TERMS[1:])

    @dataclass(frozen=True)
    class Longer(UnifiedLaw):
        D2: float

    class OtherLoss(SizeAndTokensLaw):
        LOGS = frozenset()

    at = {"source": "none", "validity": OUYANG_2024.validity}
    with pytest.raises(LawError, match="Odd can't be given in bytes: the unit of beta isn't known"):
        in_bytes(Odd(1, 1, 1, 1, **at), 2.0)
    with pytest.raises(LawError, match="Longer can't be given in bytes: the unit of D2 isn't known"):
        in_bytes(Longer(1, 1, 1, 1, 1, **at), 2.0)
    with pytest.raises(LawError, match="OtherLoss can't be given in bytes: its units aren't known"):
        in_bytes(OtherLoss(**at), 2.0)


def test_bytes_a_token_are_those_of_the_measured_bits_per_byte():
    rows = rows_of_every_run(
        pd.read_parquet(
            TABLE,
            columns=[
                "device_type",
                "n_sequences",
                "eval_dataset",
                "calib_seed",
                "eval_id",
                "n_bytes",
                "n_tokens",
                "loss_nats",
                "bits_per_byte",
            ],
        ),
        HELDOUT,
    )
    b = bytes_per_token(rows)
    assert 1 < b < 10
    np.testing.assert_allclose(rows["loss_nats"] / b / math.log(2), rows["bits_per_byte"], rtol=1e-9)


def test_rows_of_two_texts_are_refused():
    rows = pd.DataFrame({"eval_id": ["a", "b"], "n_bytes": [20, 30], "n_tokens": [10, 10]})
    assert bytes_per_token(rows[:1]) == 2.0
    for some, number in ((rows, 2), (rows[:0], 0)):
        with pytest.raises(AnalysisError, match=f"one evaluation text; got rows of {number}"):
            bytes_per_token(some)
