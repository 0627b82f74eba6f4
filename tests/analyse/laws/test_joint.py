"""What the joint laws say beyond their formulas, which `test_law_forms` goes through with all other forms."""

import numpy as np
import pytest
from tests.analyse.examples import EXAMPLES, rows_for

from helpers.analyse.fits.data import FitError
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.laws.joint import BlockPowerLaw
from helpers.analyse.laws.names import JOINT_FORMS
from helpers.analyse.laws.variables import ValidityRange


def test_the_separable_law_holds_the_law_of_size_at_a_fixed_qid():
    law, _ = EXAMPLES["ratio-exponential"]
    ratios = np.array([0.5, 0.9, 1.0])
    sizes = law.n_params_at(0.05, 2.5e8, 4, group_size=32, quantized_ratio=ratios)
    # N = exp(k x + c) with x = 1 - Qr: a straight line of slope -c / alpha
    slopes = np.diff(np.log(sizes)) / np.diff(1 - ratios)
    np.testing.assert_allclose(slopes, -law.c / law.alpha, rtol=1e-10)


def test_one_checkpoints_law_is_a_power_and_refuses_another_checkpoint():
    at = ValidityRange((1e8, 1e8), (1e6, 1e6), (4, 4))
    law = BlockPowerLaw(A=0.02, k=0.5, source="planted", validity=at)
    np.testing.assert_allclose(law.predict(1e8, 1e6, 4, group_size=[16, 64]), [0.08, 0.16], rtol=1e-12)
    two = rows_for(EXAMPLES["ratio-exponential"][0])
    with pytest.raises(FitError, match="BlockPowerLaw is for one training tokens D; got"):
        fit_law(BlockPowerLaw, two)


def test_nothing_rounded_costs_nothing_where_the_form_says_so():
    at = {"group_size": 32, "quantized_ratio": 1e-6}
    small = {name: EXAMPLES[name][0].predict(1e8, 1e6, 4, **at) for name in ("ratio-power", "ratio-rest")}
    assert max(small.values()) < 1e-5
    everything = EXAMPLES["ratio-rest"][0].predict(1e8, 1e6, 4, group_size=32, quantized_ratio=1.0)
    assert np.isfinite(everything)


@pytest.mark.parametrize("name", ["block-by-size", "block-by-tokens", "block-by-both", "block-by-outliers"])
def test_laws_with_a_moving_exponent_are_separable_in_blocks_of_32(name):
    law, plain = EXAMPLES[name][0], EXAMPLES["ratio-exponential"][0]
    where = {"group_size": 32, "quantized_ratio": 0.9, "input_outliers": 5.0}
    np.testing.assert_allclose(law.predict(1e9, 1e7, 4, **where), plain.predict(1e9, 1e7, 4, **where), rtol=1e-12)


def test_names_are_those_of_no_other_form():
    assert not set(JOINT_FORMS) & {name for name in EXAMPLES if name not in JOINT_FORMS}
