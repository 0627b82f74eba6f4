"""What laws answer: the same as `Law.predict`, solved and predicted back, intervals that mean what they say."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.analyse.fits.answers import KnownLaw, fitted_law, invert, predict, published_law
from helpers.analyse.fits.data import FitError
from helpers.analyse.fits.result import Draws
from helpers.analyse.fits.with_draws import FitRows, fits_of
from helpers.analyse.laws.forms import LossLaw, RoomLaw, StepsLaw, UnifiedLaw
from helpers.analyse.laws.loss import OuyangLossLaw
from helpers.analyse.laws.published import KUMAR_2024, OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.laws.shapes import ThresholdLaw
from helpers.analyse.laws.variables import LawError, ValidityRange

INSIDE = {"tokens": 3e8, "n_params": 1e6, "bits": 3.0}
BOX = ValidityRange(tokens=(6e7, 1e9), n_params=(1.5e5, 1.5e7), bits=(2, 4), covariates={"loss_nats": (1.0, 3.0)})
LOSS_LAW = OuyangLossLaw(N_c=1e10, alpha_N=0.09, D_c=5e8, alpha_D=0.4, source="planted", validity=BOX)
LOSS = LossLaw(0.05, 0.4, 0.3, 1.9, 0.9, source="planted", validity=BOX)
ROOM = RoomLaw(0.05, 0.4, 0.3, 5.0, 2.0, source="planted", validity=BOX)
THRESHOLD = ThresholdLaw(3.0, 0.35, 0.46, 5.2, 5e7, source="planted", validity=BOX)


def drawn(law, spread=0.02, tau=0.1, n_draws=400, seed=5, **more) -> KnownLaw:
    """A law with draws around its coefficients; `spread` is relative."""
    generator = np.random.default_rng(seed)
    coefficients = law.coefficients * generator.normal(1, spread, (n_draws, law.coefficients.size))
    return KnownLaw(law, Draws(law.coefficient_names(), coefficients, np.full(n_draws, tau)), "", **more)


@pytest.fixture
def power(planted):
    fits = fits_of(FitRows("planted", planted(2)), "power", 200, np.random.SeedSequence(1))
    return fitted_law(fits, "power")


@pytest.mark.parametrize("law", [UnifiedLaw(0.4, 0.4, 0.3, 5.5, source="", validity=BOX), THRESHOLD, KUMAR_2024])
def test_the_value_is_what_the_law_predicts(law):
    assert predict(drawn(law), INSIDE).value == pytest.approx(float(law.predict(**INSIDE)), rel=1e-14)


def test_a_loss_law_at_a_bound_is_said_where_it_has_to_predict_the_loss():
    at_bound = dataclasses.replace(LOSS_LAW, alpha_D=20.0)
    known = drawn(LOSS, loss_law=at_bound)
    assert known.trouble_with_loss(INSIDE).startswith("the 16-bit loss is predicted by a law with alpha_D at a bound")
    assert known.trouble_with_loss(INSIDE | {"loss_nats": 2.0}) == ""
    assert drawn(LOSS, loss_law=LOSS_LAW).trouble_with_loss(INSIDE) == ""
    assert drawn(THRESHOLD, loss_law=at_bound).trouble_with_loss(INSIDE) == ""  # needs no loss


def test_an_interval_of_qid_holds_the_share_that_it_names_of_simulated_runs():
    known = drawn(UnifiedLaw(0.4, 0.4, 0.3, 5.5, source="", validity=BOX))
    answer = predict(known, INSIDE)
    generator = np.random.default_rng(8)
    which = generator.integers(0, 400, 200_000)
    means = np.array([known.law.evaluate(one, known.ask(INSIDE))[0] for one in known.draws.coefficients])
    runs = np.exp(means[which] + generator.normal(0, 0.1, which.size))
    # the share of 200,000 simulated runs has a standard error below 0.001
    assert np.mean(runs < answer.low) == pytest.approx(0.05, abs=0.003)
    assert np.mean(runs > answer.high) == pytest.approx(0.05, abs=0.003)
    assert 0 < answer.low < answer.value < answer.high
    wider = predict(known, INSIDE, level=0.99)
    assert wider.low < answer.low < answer.high < wider.high


def test_without_a_spread_of_coefficients_the_interval_is_that_of_tau():
    answer = predict(drawn(OUYANG_2024, spread=0.0, tau=0.2), INSIDE)
    half = stats.norm.ppf(0.95) * 0.2
    assert (answer.low, answer.high) == pytest.approx((answer.value * np.exp(-half), answer.value * np.exp(half)))


@pytest.mark.parametrize("variable", ["tokens", "n_params", "bits"])
@pytest.mark.parametrize("known", [drawn(OUYANG_2024), drawn(LOSS, 0.002, loss_law=LOSS_LAW), drawn(THRESHOLD, 0.002)])
def test_what_is_solved_predicts_the_qid_again_and_ends_are_where_the_intervals_of_qid_end(known, variable):
    given = {name: value for name, value in INSIDE.items() if name != variable}
    qid = predict(known, INSIDE).value
    answer = invert(known, variable, qid, given)
    assert answer.value == pytest.approx(INSIDE[variable], rel=1e-8)
    assert answer.low < answer.value < answer.high
    for end in (answer.low, answer.high):
        there = predict(known, given | {variable: end})
        assert min(abs(np.log([there.low / qid, there.high / qid]))) < 1e-6
    outside = predict(known, given | {variable: answer.high * 1.05})
    assert not outside.low <= qid <= outside.high
    inside = predict(known, given | {variable: answer.high * 0.99})
    assert inside.low <= qid <= inside.high


def test_a_prediction_inside_of_the_fitted_ranges_says_so_and_one_outside_names_the_variable(power):
    assert predict(power, INSIDE).outside == ()
    assert predict(power, INSIDE | {"tokens": 15e12}).outside == ("tokens",)
    assert predict(power, INSIDE | {"bits": 5.0, "n_params": 7e10}).outside == ("n_params", "bits")
    assert predict(power, INSIDE).ranges["bits"] == (2.0, 4.0)
    given = {"n_params": 1e6, "bits": 3.0}
    assert invert(power, "tokens", predict(power, INSIDE).value, given).outside == ()
    assert invert(power, "tokens", 5.0, given).outside == ("tokens",)


def test_intervals_widen_away_from_the_rows(power):
    near, far = predict(power, INSIDE), predict(power, INSIDE | {"n_params": 7e10, "tokens": 15e12})
    assert far.high / far.low > near.high / near.low > 1


def test_a_law_that_needs_the_loss_gets_it_predicted_unless_it_is_given():
    known = drawn(LOSS, 0.002, loss_law=LOSS_LAW, loss_log_rms=0.05)
    loss = float(LOSS_LAW.predict(INSIDE["tokens"], INSIDE["n_params"]))
    predicted, given = predict(known, INSIDE), predict(known, INSIDE | {"loss_nats": loss})
    assert predicted.value == given.value == pytest.approx(float(LOSS.predict(**INSIDE, loss_nats=loss)))
    assert predict(known, INSIDE | {"loss_nats": loss - 0.1}).value > given.value
    # lambda L16 times 5% come on top of tau where the loss is predicted
    alone = KnownLaw(LOSS, Draws((), LOSS.coefficients[None], np.array([0.1])), "", LOSS_LAW, 0.05)
    one = predict(alone, INSIDE)
    from_loss = 0.9 * loss * np.expm1(0.05)
    assert np.log(one.high / one.value) == pytest.approx(stats.norm.ppf(0.95) * np.hypot(0.1, from_loss))
    with pytest.raises(LawError, match="LossLaw needs 16-bit loss"):
        predict(drawn(LOSS), INSIDE)


def test_room_below_guessing_needs_the_vocabulary():
    known = drawn(ROOM, 0.002, loss_law=LOSS_LAW)
    with pytest.raises(LawError, match="needs the vocabulary's size"):
        predict(known, INSIDE)
    loss = float(LOSS_LAW.predict(INSIDE["tokens"], INSIDE["n_params"]))
    asked = predict(known, INSIDE | {"vocabulary_size": 1024})
    assert asked.value == pytest.approx(float(ROOM.predict(**INSIDE, room_nats=math.log(1024) - loss)))
    back = invert(known, "tokens", asked.value, {"n_params": 1e6, "bits": 3.0, "vocabulary_size": 1024})
    assert back.value == pytest.approx(INSIDE["tokens"], rel=1e-8)


def test_before_an_onset_qid_is_zero_and_so_are_the_ends():
    answer = predict(drawn(THRESHOLD, 0.0), INSIDE | {"tokens": 1e7})
    assert (answer.value, answer.low, answer.high) == (0.0, 0.0, 0.0)


def test_where_a_form_has_no_end_there_is_no_answer():
    """Infinity was an answer here once; no one can measure or plan with it, so it is refused like an overflow."""
    steps = StepsLaw(0.05, 0.4, 0.3, 1.9, source="", validity=BOX)
    with pytest.raises(
        LawError, match=r"^the law has no answer there that a float holds: bits beyond the fitted 2 to 4$"
    ):
        predict(drawn(steps), INSIDE | {"bits": 1.0})


def test_what_is_missing_is_named_alone():
    """A law's own words about what was asked aren't taken for an overflow."""
    with pytest.raises(LawError, match=r"^StepsLaw needs bit width P \('bits'\)$"):
        predict(drawn(StepsLaw(0.05, 0.4, 0.3, 1.9, source="", validity=BOX)), {"tokens": 5e8, "n_params": 1e6})


def test_an_end_beyond_a_turn_is_no_end():
    """QiD falls with N by its power and rises by the loss that a larger model has: at some size it turns."""
    turning = LossLaw(0.05, 0.4, 0.05, 1.9, 3.0, source="", validity=BOX)
    known = drawn(turning, 0.01, loss_law=LOSS_LAW)
    sizes = np.geomspace(1e4, 1e20, 400)
    qid = np.exp(known.log_qid({"tokens": 3e8, "bits": 3.0, "n_params": sizes}))
    top = qid.argmax()
    assert 0 < top < 399
    answer = invert(known, "n_params", 0.97 * qid[top], {"tokens": 3e8, "bits": 3.0})
    assert answer.value > sizes[top]  # the larger of the two solutions
    assert not answer.low > answer.value
    assert answer.high > answer.value


def test_published_laws_come_without_an_interval():
    assert predict(published_law("ouyang2024"), INSIDE).value == float(OUYANG_2024.predict(**INSIDE))
    per_bit = predict(published_law("ouyang2024-per-bit", 3.0), INSIDE)
    assert per_bit.value == float(OUYANG_2024_TABLE_1[3].predict(**INSIDE))
    assert math.isnan(per_bit.low)
    assert "without the errors" in per_bit.interval
    assert predict(published_law("kumar2024"), INSIDE).outside == ("tokens", "n_params", "bits")
    with pytest.raises(LawError, match="ouyang2024-per-bit is one law a bit width P, of 2, 3, 4; got 5"):
        published_law("ouyang2024-per-bit", 5.0)


def test_an_end_that_is_nowhere_is_open():
    answer = invert(drawn(OUYANG_2024, spread=0.5), "tokens", 0.2, {"n_params": 1e6, "bits": 3.0})
    assert math.isnan(answer.low) or math.isnan(answer.high)
    assert math.isfinite(answer.value)


def test_only_a_positive_qid_is_solved_for(power):
    with pytest.raises(LawError, match="positive QiD; got -1"):
        invert(power, "tokens", -1.0, {"n_params": 1e6, "bits": 3.0})


def test_a_law_that_could_not_be_fitted_says_why(planted):
    fits = fits_of(FitRows("planted", planted(2)), "tokens", 0, np.random.SeedSequence(1))
    with pytest.raises(FitError, match="is for one size N"):
        fitted_law(fits, "tokens")


NUMBERS = st.sampled_from([1e-320, 1e-300, 1e-3, 1.0, 1.5, 3.0, 1e6, 1e12, 1e150, 1e300, 1.7e308, 0.0, -1.0])


@settings(max_examples=200, deadline=None)
@given(n_params=NUMBERS, tokens=NUMBERS, bits=NUMBERS, qid=NUMBERS, name=st.sampled_from(["kumar2024", "ouyang2024"]))
def test_an_answer_is_a_number_that_a_float_holds_or_one_line(n_params, tokens, bits, qid, name):
    asked = {"n_params": n_params, "tokens": tokens, "bits": bits}
    for variable in (None, *asked):
        given_values = {each: value for each, value in asked.items() if each != variable}
        try:
            known = published_law(name)
            answer = predict(known, asked) if variable is None else invert(known, variable, qid, given_values)
        except LawError:
            continue
        assert math.isfinite(answer.value)


def test_what_no_float_holds_is_no_answer():
    with pytest.raises(LawError, match="a float holds"):
        predict(
            KnownLaw(UnifiedLaw(0.4, 0.4, 0.3, 5.5, source="", validity=BOX), None, ""),
            {"n_params": 1e-300, "tokens": 1e300, "bits": 1e-300},
        )
    known = published_law("kumar2024")
    with pytest.raises(LawError, match="that a float holds"):
        invert(known, "tokens", 1e300, {"n_params": 1e300, "bits": 1e300})
