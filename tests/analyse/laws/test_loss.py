"""Laws of the 16-bit loss: formulas, slopes, the public Chinchilla points."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.tools.numdiff import approx_fprime

from helpers.analyse.fits.data import FitError, FitStatus
from helpers.analyse.fits.loss import fit_loss_law
from helpers.analyse.laws.forms import LossLaw
from helpers.analyse.laws.loss import ANY_BITS, ChainedLaw, ChinchillaLaw, OuyangLossLaw, ShannonLaw, bounds_hit
from helpers.analyse.laws.published import OUYANG_2024_LOSS
from helpers.analyse.laws.variables import LawError, ValidityRange

POINTS = Path(__file__).parents[3] / "data" / "published" / "chinchilla_points.csv"
EVERYWHERE = {"source": "planted", "validity": ValidityRange((1, np.inf), (1, np.inf), ANY_BITS)}
CHINCHILLA = ChinchillaLaw(E=1.2, A=40.0, alpha=0.3, B=1e3, beta=0.4, **EVERYWHERE)
OUYANG = OuyangLossLaw(N_c=1e10, alpha_N=0.09, D_c=5e8, alpha_D=0.4, **EVERYWHERE)
SHANNON = ShannonLaw(a=0.03, alpha=0.08, beta=0.8, c=0.01, gamma=0.4, d=0.02, delta=0.75, e=1e3, **EVERYWHERE)
LAWS = [CHINCHILLA, OUYANG, SHANNON]
TOKENS, SIZES = (values.ravel() for values in np.meshgrid(np.geomspace(5e7, 1e9, 7), np.geomspace(1e5, 1e7, 8)))


def _by_hand(law, d, n):
    if law is CHINCHILLA:
        return 1.2 + 40 / n**0.3 + 1e3 / d**0.4
    if law is OUYANG:
        return ((1e10 / n) ** (0.09 / 0.4) + 5e8 / d) ** 0.4
    return 1 / (0.03 * n**0.08 * np.log2(1 + d**0.8 / (0.01 * (d * n) ** 0.4 + 0.02 * d**0.75 + 1e3)))


@pytest.mark.parametrize("law", LAWS)
def test_a_loss_law_is_its_formula(law):
    np.testing.assert_allclose(law.predict(TOKENS, SIZES), _by_hand(law, TOKENS, SIZES), rtol=1e-10)


@pytest.mark.parametrize("law", LAWS)
def test_slopes_are_the_derivatives(law):
    x = {"tokens": TOKENS, "n_params": SIZES}
    numerical = approx_fprime(law.coefficients, lambda c: law.evaluate(c, x)[0], centered=True)
    # central differences with statsmodels' step are good to 1e-8 of slopes up to 10
    np.testing.assert_allclose(law.evaluate(law.coefficients, x)[1], numerical, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("law", [CHINCHILLA, OUYANG])
def test_planted_losses_give_the_law_back(law):
    found = fit_loss_law(type(law), TOKENS, SIZES, law.predict(TOKENS, SIZES), "planted")
    np.testing.assert_allclose(found.coefficients, law.coefficients, rtol=1e-5)
    assert found.validity.tokens == pytest.approx((5e7, 1e9))


def test_planted_losses_give_the_shannon_law_back_in_what_it_predicts():
    # its nine constants (eight here) can't be told apart from losses of a few percent's range; what it says can
    generator = np.random.default_rng(1)
    true = SHANNON.predict(TOKENS, SIZES)
    found = fit_loss_law(ShannonLaw, TOKENS, SIZES, true * np.exp(generator.normal(0, 0.002, true.size)), "planted")
    np.testing.assert_allclose(found.predict(TOKENS, SIZES), true, rtol=0.005)


def test_huber_forgives_losses_that_lie_far_off():
    loss = CHINCHILLA.predict(TOKENS, SIZES)
    loss[:3] *= 1.5
    found = fit_loss_law(ChinchillaLaw, TOKENS, SIZES, loss, "planted")
    np.testing.assert_allclose(found.predict(TOKENS, SIZES)[3:], loss[3:], rtol=0.002)


def test_the_public_chinchilla_points_give_the_published_refit():
    points = pd.read_csv(POINTS).sort_values("loss").iloc[:-5]
    tokens = (points["train_flop"] / (6 * points["n_params"])).to_numpy()
    law = fit_loss_law(ChinchillaLaw, tokens, points["n_params"].to_numpy(), points["loss"].to_numpy(), "Epoch AI")
    # Epoch AI, 240 points, Huber 1e-3: values and digits as they print them; A and B move freely between optimisers
    assert law.coefficients[0] == pytest.approx(np.log(1.81724), abs=1e-4)
    assert law.alpha == pytest.approx(0.34731, abs=2e-4)
    assert law.beta == pytest.approx(0.36718, abs=2e-4)
    published = ChinchillaLaw(1.81724, 477.84, 0.34731, 2143.9, 0.36718, **EVERYWHERE)
    np.testing.assert_allclose(law.predict([1e9, 3e11], 1e9), published.predict([1e9, 3e11], 1e9), rtol=1e-4)


def test_the_papers_16_bit_law_is_in_the_range_of_its_figure():
    # 12B parameters at 2.1e11 tokens: about 2.4 nats by hand, ((4.74e19/1.13e10)^(0.045/0.399) + 7.63e10/2.055e11)^0.399
    expected = ((4.74e19 / 1.13e10) ** (0.045 / 0.399) + 7.63e10 / 2.055e11) ** 0.399
    assert OUYANG_2024_LOSS.predict(2.055e11, 1.13e10) == pytest.approx(expected, rel=1e-12)
    assert OUYANG_2024_LOSS.predict(2.055e11, 1e9) > expected


@pytest.mark.parametrize("law", [CHINCHILLA, OUYANG])
def test_loss_laws_are_solved(law):
    loss = law.predict(TOKENS, SIZES)
    np.testing.assert_allclose(law.solve("tokens", loss, n_params=SIZES), TOKENS, rtol=1e-7)
    np.testing.assert_allclose(law.solve("n_params", loss, tokens=TOKENS), SIZES, rtol=1e-7)


def test_no_model_is_below_the_floor_of_the_loss():
    with pytest.raises(LawError, match="no training tokens D"):
        CHINCHILLA.solve("tokens", 1.1, n_params=1e9)


def test_a_loss_that_falls_alike_at_every_size_drives_alpha_d_to_its_bound():
    # the limit of equation 3 for alpha_D without end
    loss = (1e10 / SIZES) ** 0.09 * np.exp(2e7 / TOKENS)
    found = fit_loss_law(OuyangLossLaw, TOKENS, SIZES, loss, "planted")
    assert bounds_hit(found) == ("alpha_D",)
    # at alpha_D = 20 the limit is reached to about ln(L)^2 / 40, and fitted to less
    np.testing.assert_allclose(found.predict(TOKENS, SIZES), loss, rtol=0.02)
    assert found.alpha_N == pytest.approx(0.09, rel=0.05)


@pytest.mark.parametrize("law", LAWS)
def test_a_law_that_losses_identify_is_at_no_bound(law):
    assert bounds_hit(law) == ()


def test_too_few_losses_are_refused():
    with pytest.raises(FitError, match="ChinchillaLaw has 5 coefficients; 9 losses are too few") as caught:
        fit_loss_law(ChinchillaLaw, TOKENS[:9], SIZES[:9], np.ones(9), "none")
    assert caught.value.status is FitStatus.NOT_IDENTIFIABLE


def test_a_chained_law_is_a_law_of_tokens_size_and_bits():
    law = LossLaw(k=0.05, beta=0.4, alpha=0.3, gamma=1.9, lambda_=0.9, **EVERYWHERE)
    chained = ChainedLaw(law, CHINCHILLA)
    loss = _by_hand(CHINCHILLA, 2e8, 1e6)
    qid = chained.predict(2e8, 1e6, 3)
    assert qid == pytest.approx(0.05 * 2e8**0.4 / (1e6**0.3 * 3**1.9) * np.exp(-0.9 * loss))
    assert chained.solve("tokens", qid, n_params=1e6, bits=3) == pytest.approx(2e8, rel=1e-7)
    assert chained.solve("bits", qid, n_params=1e6, tokens=2e8) == pytest.approx(3, rel=1e-7)
