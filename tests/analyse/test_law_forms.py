"""Every law against its formula, its slopes, its inverses, and planted data."""

import dataclasses

import numpy as np
import pytest
from statsmodels.tools.numdiff import approx_fprime

from helpers.analyse.fit_records import FitData, FitError, FitStatus
from helpers.analyse.fitting import fit_law
from helpers.analyse.law_forms import (
    FORMS,
    KUMAR_2024,
    BitsLaw,
    ExponentialLaw,
    FreeBitsLaw,
    GroupSizeLaw,
    LearningRateLaw,
    LossLaw,
    LossPowerBitsLaw,
    RoomLaw,
    SizeLaw,
    StepsLaw,
    TokensLaw,
)
from helpers.analyse.law_shapes import OnsetLaw, SaturatingLaw, ThresholdBySizeLaw, ThresholdLaw
from helpers.analyse.law_variables import LawError, ValidityRange
from helpers.analyse.laws import OneBitWidthLaw, UnifiedLaw

ANYWHERE = ValidityRange((1, np.inf), (1, np.inf), (1, np.inf))
AT = {"source": "planted", "validity": ValidityRange((2e8, 2e8), (1e6, 1e6), (3, 3))}
ALL = {"source": "planted", "validity": ANYWHERE}
POWER = {"k": 0.75, "beta": 0.4, "alpha": 0.3, "gamma": 5.5}
STEPS = {"k": 0.005, "beta": 0.4, "alpha": 0.3, "gamma": 1.9}


def power(x):
    return 0.75 * x["D"] ** 0.4 / (x["N"] ** 0.3 * x["P"] ** 5.5)


def steps(x):
    return 0.005 * x["D"] ** 0.4 / (x["N"] ** 0.3 * (2 ** (x["P"] - 1) - 1) ** 1.9)


# Adding a law: one row, an example with values of a tadpole's order of magnitude and its formula, written out again.
EXAMPLES = {
    "power": (UnifiedLaw(**POWER, **ALL), power),
    "one-bit-width": (
        OneBitWidthLaw(k=2e-3, beta=0.4, alpha=0.3, **AT),
        lambda x: 2e-3 * x["D"] ** 0.4 / x["N"] ** 0.3,
    ),
    "tokens": (TokensLaw(b=5e-5, beta=0.4, **AT), lambda x: 5e-5 * x["D"] ** 0.4),
    "size": (SizeLaw(a=5.0, alpha=0.3, **AT), lambda x: 5.0 / x["N"] ** 0.3),
    "bits": (BitsLaw(p=20.0, gamma=5.5, **AT), lambda x: 20 / x["P"] ** 5.5),
    "exponential": (
        ExponentialLaw(C_T=0.3, g_D=0.4, g_N=0.3, g_post=0.55, **ALL),
        lambda x: 0.3 * x["D"] ** 0.4 / x["N"] ** 0.3 * np.exp(-x["P"] / 0.55),
    ),
    "steps": (StepsLaw(**STEPS, **ALL), steps),
    "free-bits": (
        FreeBitsLaw(k=2e-3, beta=0.4, alpha=0.3, g_2=7.0, g_4=0.2, **ALL),
        lambda x: 2e-3 * x["D"] ** 0.4 / x["N"] ** 0.3 * np.choose(x["P"].astype(int) - 2, [7.0, 1.0, 0.2]),
    ),
    "saturating": (SaturatingLaw(**POWER, ceiling=1.5, **ALL), lambda x: 1 / (1 / power(x) + 1 / 1.5)),
    "threshold": (
        ThresholdLaw(**POWER, D0=3e7, **ALL),
        lambda x: 0.75 * np.maximum(x["D"] - 3e7, 0) ** 0.4 / (x["N"] ** 0.3 * x["P"] ** 5.5),
    ),
    "threshold-by-size": (
        ThresholdBySizeLaw(**POWER, D0=2e7, nu=0.3, **ALL),
        lambda x: 0.75 * np.maximum(x["D"] - 2e7 * (x["N"] / 1e6) ** -0.3, 0) ** 0.4 / (x["N"] ** 0.3 * x["P"] ** 5.5),
    ),
    "onset": (
        OnsetLaw(**POWER, D0=5e7, nu=0.1, s=2.0, **ALL),
        lambda x: power(x) / (1 + (5e7 * (x["N"] / 1e6) ** -0.1 / x["D"]) ** 2),
    ),
    "loss": (LossLaw(**STEPS | {"k": 0.05}, lambda_=0.9, **ALL), lambda x: 10 * steps(x) * np.exp(-0.9 * x["L"])),
    "loss-power-bits": (
        LossPowerBitsLaw(**POWER | {"k": 7.5}, lambda_=0.9, **ALL),
        lambda x: 10 * power(x) * np.exp(-0.9 * x["L"]),
    ),
    "room": (RoomLaw(**POWER | {"k": 0.0075}, delta=3.0, **ALL), lambda x: 0.01 * power(x) * (6.93 - x["L"]) ** 3),
    "learning-rate": (
        LearningRateLaw(**POWER, kappa=0.2, **ALL),
        lambda x: power(x) * np.exp(0.2 * (1 - x["r"])),
    ),
    "group-size": (GroupSizeLaw(**POWER | {"k": 0.2}, eta=0.4, **ALL), lambda x: power(x) * 0.2 / 0.75 * x["G"] ** 0.4),
}
NAMES = list(FORMS)


def rows_for(law, seed: int = 0) -> FitData:
    """Rows of 8 sizes, 7 checkpoints, 3 bit widths, with every covariate; variables that the law holds have one value."""
    generator = np.random.default_rng(seed)
    sizes = [1e6] * 24 if "n_params" in law.HELD else np.geomspace(1.5e5, 1.5e7, 8)
    tokens = [2e8] * 24 if "tokens" in law.HELD else np.geomspace(6e7, 1e9, 7)
    bits = [3.0] if "bits" in law.HELD else [2.0, 3.0, 4.0]
    n_params, tokens, bits = (values.ravel() for values in np.meshgrid(sizes, tokens, bits))
    loss = 1.2 + 40 / n_params**0.3 + 1e3 / tokens**0.4 + generator.normal(0, 0.1, tokens.size)
    covariates = {
        "loss_nats": loss,
        "room_nats": 6.93 - loss,
        "lr_fraction": generator.choice([0.0, 0.5, 1.0], tokens.size),
        "group_size": generator.choice([32.0, 128.0], tokens.size),
    }
    runs = np.searchsorted(np.unique(n_params), n_params).astype(str)
    return FitData(tokens, n_params, bits, np.ones(tokens.size), np.ones(tokens.size), runs, covariates)


def letters(data: FitData) -> dict:
    more = data.covariates
    short = {"D": data.tokens, "N": data.n_params, "P": data.bits, "L": more["loss_nats"]}
    return short | {"r": more["lr_fraction"], "G": more["group_size"]}


def planted(law, seed: int, tau: float, floor_nats: float) -> FitData:
    data = rows_for(law, seed)
    generator = np.random.default_rng(seed + 1000)
    mean = np.exp(law.evaluate(law.coefficients, data.asked(law))[0])
    se = 0.004 * mean + floor_nats
    measured = mean * np.exp(generator.normal(0, tau, mean.size) - tau**2 / 2) + generator.normal(0, se)
    return dataclasses.replace(data, qid_nats=measured, qid_se_nats=se)


def test_every_form_has_an_example():
    assert {name: type(law) for name, (law, _) in EXAMPLES.items()} == FORMS


@pytest.mark.parametrize("name", NAMES)
def test_a_law_is_its_formula(name):
    law, formula = EXAMPLES[name]
    data = rows_for(law)
    predicted = law.predict(data.tokens, data.n_params, data.bits, **data.covariates)
    np.testing.assert_allclose(predicted, formula(letters(data)), rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_slopes_are_the_derivatives(name):
    law, _ = EXAMPLES[name]
    x = rows_for(law).asked(law)
    numerical = approx_fprime(law.coefficients, lambda c: law.evaluate(c, x)[0], centered=True)
    # central differences of numbers near 1 with statsmodels' step are good to 1e-8; slopes go up to ln N = 16
    np.testing.assert_allclose(law.evaluate(law.coefficients, x)[1], numerical, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_round_trip(name):
    law, _ = EXAMPLES[name]
    again = type(law).from_coefficients(law.coefficients, law.source, law.validity)
    for parameter in law.PARAMETERS:
        assert getattr(again, parameter) == pytest.approx(getattr(law, parameter), rel=1e-12)
    assert len(set(law.coefficient_names())) == law.coefficients.size


@pytest.mark.parametrize("name", NAMES)
def test_inverses_round_trip(name):
    law, _ = EXAMPLES[name]
    data = rows_for(law)
    known = law.ask(vars(data) | data.covariates)
    qid = law.predict(**known)
    for variable in known:
        if variable in law.HELD or variable in law.ONLY:
            continue
        others = {other: values for other, values in known.items() if other != variable}
        # 1e-7: the threshold law is solved in ln D, where QiD is flat in D0 times a rounding error
        found = law.solve(variable, qid, **others)
        if name == "threshold-by-size" and variable == "n_params":
            np.testing.assert_allclose(law.predict(**others, n_params=found), qid, rtol=1e-7)  # there are two
        else:
            np.testing.assert_allclose(found, known[variable], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_planted_parameters_come_back(name):
    law, _ = EXAMPLES[name]
    fit = fit_law(type(law), planted(law, seed=3, tau=0.03, floor_nats=1e-4))
    assert np.all(fit.free)
    # each of up to seven coefficients within 3.5 of its errors: one of 17 laws would miss by chance once in 30 seeds
    assert np.all(np.abs(fit.law.coefficients - law.coefficients) < 3.5 * fit.standard_errors)
    # a standard deviation from 56 rows or more is known to 10%: three of its errors
    assert fit.tau == pytest.approx(0.03, rel=0.3)


@pytest.mark.parametrize("name", NAMES)
def test_planted_parameters_come_back_with_qid_below_zero(name):
    law, _ = EXAMPLES[name]
    data = planted(law, seed=4, tau=0.05, floor_nats=0.06 if "bits" in law.HELD else 0.02)
    assert (data.qid_nats <= 0).sum() >= 3
    fit = fit_law(type(law), data)
    assert fit.n_rows == data.tokens.size
    free = fit.free
    assert np.all(np.abs(fit.law.coefficients - law.coefficients)[free] < 3.5 * fit.standard_errors[free])


@pytest.mark.parametrize("name", ["onset", "threshold", "loss", "saturating"])
def test_fits_do_not_depend_on_units_of_qid_or_order_of_rows(name):
    law, _ = EXAMPLES[name]
    data = planted(law, seed=5, tau=0.03, floor_nats=1e-4)
    one = fit_law(type(law), data)
    shuffled = fit_law(type(law), data.where(np.random.default_rng(0).permutation(data.tokens.size)))
    # 1e-4: where the optimiser stops on a flat top
    np.testing.assert_allclose(shuffled.law.coefficients, one.law.coefficients, rtol=1e-4, atol=1e-4)
    scaled = dataclasses.replace(data, qid_nats=100 * data.qid_nats, qid_se_nats=100 * data.qid_se_nats)
    np.testing.assert_allclose(fit_law(type(law), scaled).fitted_nats, 100 * one.fitted_nats, rtol=1e-4)


def test_a_missing_variable_is_named():
    law, _ = EXAMPLES["loss"]
    with pytest.raises(LawError, match=r"LossLaw needs 16-bit loss \('loss_nats'\)"):
        law.predict(1e8, 1e6, 3)
    with pytest.raises(FitError, match=r"GroupSizeLaw needs group size G \('group_size'\)") as caught:
        fit_law(GroupSizeLaw, dataclasses.replace(rows_for(law), covariates={}))
    assert caught.value.status is FitStatus.NOT_IDENTIFIABLE


def test_a_variable_that_some_rows_lack_is_named():
    data = rows_for(GroupSizeLaw)
    missing = data.covariates["group_size"].copy()
    missing[0] = np.nan
    with pytest.raises(FitError, match="group size G .* must be known and positive everywhere"):
        fit_law(GroupSizeLaw, data.with_covariates(group_size=missing))


def test_a_held_variable_has_one_value():
    data = rows_for(UnifiedLaw)
    with pytest.raises(FitError, match="OneBitWidthLaw is for one bit width P; got 2, 3, 4"):
        fit_law(OneBitWidthLaw, data)
    with pytest.raises(LawError, match="a law of size N = 1e"):
        EXAMPLES["tokens"][0].predict(1e8, 2e6, 3)


def test_free_bits_say_nothing_of_other_widths():
    law, _ = EXAMPLES["free-bits"]
    with pytest.raises(LawError, match="bit width P of 2, 3, 4 only"):
        law.predict(1e8, 1e6, 5)
    with pytest.raises(LawError, match="can't be solved for bit width P"):
        law.solve("bits", 0.1, tokens=1e8, n_params=1e6)
    data = planted(law, 1, 0.03, 1e-4)
    with pytest.raises(FitError, match="g_2 can't be identified: no row has its bit width P"):
        fit_law(FreeBitsLaw, data.where(data.bits != 2))


def test_nothing_happens_before_the_threshold():
    law, _ = EXAMPLES["threshold"]
    assert law.predict([1e7, 3e7, 4e7], 1e6, 3).tolist()[:2] == [0.0, 0.0]
    assert law.tokens_at(1e-9, 1e6, 2) > 3e7
    x = law.ask({"tokens": np.array([1e7]), "n_params": 1e6, "bits": 3})
    assert np.all(law.evaluate(law.coefficients, x)[1] == 0)
    with pytest.raises(LawError, match="no size N between 1 and 1e\\+24 is a solution"):
        law.n_params_at(0.1, 2e7, 3)


def test_of_two_sizes_with_the_same_qid_the_larger_is_the_solution():
    law, _ = EXAMPLES["threshold-by-size"]
    sizes = np.geomspace(1e4, 1e8, 2001)
    qid = law.predict(2e7, sizes, 3)
    peak = sizes[qid.argmax()]
    assert sizes[0] < peak < sizes[-1]  # small models haven't begun, large ones lose less
    found = law.n_params_at(0.5 * qid.max(), 2e7, 3)
    assert found > peak
    assert law.predict(2e7, found, 3) == pytest.approx(0.5 * qid.max(), rel=1e-9)


def test_no_qid_lies_above_the_ceiling():
    law, _ = EXAMPLES["saturating"]
    with pytest.raises(LawError, match="no training tokens D between"):
        law.tokens_at(1.6, 1e6, 2)
    with pytest.raises(LawError, match="a positive QiD"):
        law.tokens_at(0.0, 1e6, 2)


def test_onset_is_the_power_law_long_after_it():
    law, _ = EXAMPLES["onset"]
    assert law.predict(1e13, 1e6, 3) == pytest.approx(EXAMPLES["power"][0].predict(1e13, 1e6, 3), rel=1e-9)
    slope = np.log(law.predict(2e3, 1e6, 3) / law.predict(1e3, 1e6, 3)) / np.log(2)
    assert slope == pytest.approx(0.4 + 2.0, rel=1e-6)


def test_a_ceiling_that_the_data_do_not_show_is_a_bound():
    law, _ = EXAMPLES["power"]
    fit = fit_law(SaturatingLaw, planted(law, seed=6, tau=0.03, floor_nats=1e-4))
    if fit.bounds_hit:
        assert fit.bounds_hit == ("ln_ceiling",)
        assert fit.status is FitStatus.BOUND_HIT
        assert fit.estimate("ln_ceiling").standard_error == 0
    else:
        assert fit.law.ceiling > 5 * fit.fitted_nats.max()


def test_kumar_with_its_constants():
    # computed by hand from table 2 for 1.1e9 parameters and 3e11 tokens; two digits are given there
    assert KUMAR_2024.predict(3e11, 1.1e9, [2, 3, 4]) == pytest.approx([1.03, 0.19, 0.035], rel=0.02)
    assert not KUMAR_2024.validity.contains(1e10, 1e8, 4)


def test_validity_covers_every_variable():
    law, _ = EXAMPLES["learning-rate"]
    data = planted(law, 1, 0.03, 1e-4)
    fitted = fit_law(LearningRateLaw, data.with_covariates(lr_fraction=np.clip(data.covariates["lr_fraction"], 0.2, 1)))
    assert fitted.law.validity.of("lr_fraction") == (0.2, 1.0)
    inside = fitted.law.validity.contains(1e8, 1e6, 3, lr_fraction=np.array([0.1, 0.5]))
    assert inside.tolist() == [False, True]


def test_one_bit_has_no_steps():
    assert np.isinf(EXAMPLES["steps"][0].predict(1e8, 1e6, 1))
