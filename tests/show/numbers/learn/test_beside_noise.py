"""What the chapter on why QiD grows states of noise, on planted KL."""

import numpy as np
import pandas as pd
import pytest
from tests.analyse.rows.test_weight_noise import FACTORS, checkpoints, measured

from helpers.analyse.rows.weight_noise import NOISE, SPARING
from helpers.show.numbers.learn import beside_noise as numbers


def found_of(table: pd.DataFrame, scale: float = 1.0) -> numbers.BesideNoise:
    """Return tables of planted rows whose noise costs `scale` times what curvature says at the first tokens."""
    known = checkpoints(*sorted(set(table["weights_sha256"])))
    first = table[table["method"] == NOISE].groupby(["weights_sha256", "bits"])["kl_nats"].mean().xs(8, level="bits")
    traces = [[2 * first[name] / scale / (0.03 / 255) ** 2] for name in known["weights_sha256"]]
    return numbers.tables(known.assign(hessian_trace_by_block=traces), table)


WIDTHS = (2, 3, 4, 5, 6, 8)
STEEPER = {("rtn", "a"): 0.1, ("rtn", "b"): -0.1} | {("gptq", run): 0.2 for run in "ab"}
STEEPER |= {(SPARING, run): -0.05 for run in "ab"}


def planted(steeper: dict[tuple[str, str], float] | None = None) -> pd.DataFrame:
    """Return rows with KL at 2 bits in one run twice, in the other half of what the square says."""
    table = measured(0.4, steeper, WIDTHS)
    coarse = table["run"].map({"a": 2.0, "b": 0.5}).where(table["bits"] == 2, 1.0)
    return table.assign(kl_nats=table["kl_nats"] * coarse)


def test_counts_and_ratios_are_the_planted_ones():
    found = found_of(planted())
    assert numbers.counts(found) == {
        "noise_checkpoints": 4,
        "noise_runs": 2,
        "noise_largest": "0.4M",
        "noise_draws": 2,
    }
    shown = numbers.of_ratios(found)
    for bits in (3, 4, 8):
        for method, name in numbers.NAMES.items():
            for end in ("", "_low", "_high"):  # both runs have the same ratio
                assert shown[f"{name}_over_noise_{bits}{end}"] == pytest.approx(FACTORS[method])
    with pytest.raises(ValueError, match="noise in every column alike costs most"):
        numbers.of_ratios(found_of(planted({("rtn", run): 0.5 for run in "ab"})))
    with pytest.raises(ValueError, match="all but RTN can be told from it"):
        numbers.of_ratios(found_of(planted({("gptq", "a"): 0.5})))


def test_the_formula_is_held_against_the_errors_of_trace_and_draws():
    """Draws leave a tenth open, the trace two hundredths; the noise is 4% off."""
    shown = numbers.of_formula(found_of(planted(), scale=1.04))
    assert shown["noise_small"] == pytest.approx(1.04)
    assert shown["noise_bend"] == pytest.approx(1)
    assert shown["noise_coarse"] == pytest.approx(1.04)  # twice and half of it
    assert shown["noise_off"] == pytest.approx(np.log(1.04))
    assert shown["noise_error"] == pytest.approx(np.hypot(0.1, 0.02))
    assert shown["noise_within"] == 4
    with pytest.raises(ValueError, match="about what curvature says"):
        numbers.of_formula(found_of(planted(), scale=1.5))
    with pytest.raises(ValueError, match="at 2 bits checkpoints differ more"):
        numbers.of_formula(found_of(measured(bits=WIDTHS)))
    bent = planted()
    bent.loc[bent["bits"] == 5, "kl_nats"] *= 1.1
    with pytest.raises(ValueError, match="as the noise's square"):
        numbers.of_formula(found_of(bent))


def test_slopes_are_the_noises_and_what_others_have_beyond_it():
    """RTN's two runs are a tenth to either side of the noise's."""
    shown = numbers.of_slopes(found_of(planted(STEEPER)))
    assert shown["noise_beta"] == pytest.approx(0.4)
    assert shown["gptq_beta"] == pytest.approx(0.6)
    assert shown["noise_share"] == pytest.approx(2 / 3)
    assert shown["rtn_beta_more"] == pytest.approx(0, abs=1e-9)
    assert shown["rtn_beta_more_high"] == pytest.approx(12.706 * 0.1, rel=1e-3)  # Student's t of one degree of freedom
    assert shown["sparing_beta_more"] == pytest.approx(-0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({("gptq", run): -0.1 for run in "ab"}, "GPTQ's KL grows faster"),
        ({("rtn", run): 0.1 for run in "ab"}, "can't be distinguished"),
        ({(SPARING, run): 0.1 for run in "ab"}, "takes away some of the growth"),
        ({("gptq", run): 0.5 for run in "ab"}, "three quarters"),
    ],
)
def test_a_sentence_on_slopes_that_does_not_hold_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        numbers.of_slopes(found_of(planted(STEEPER | change)))


FLATTER = {(method, run): less for run in "ab" for method, less in (("rtn", -0.05), ("gptq", -0.1), (SPARING, -0.2))}


def in_larger(steeper: dict[tuple[str, str], float], rtn: tuple[float, float] = (0.8, 1.0)) -> numbers.BesideNoise:
    """Return the tables of planted rows, among others' rows; RTN's factor at the first tokens is one a run."""
    table = measured(0.4, steeper).assign(family=numbers.HALF_OF_TEXT, eval_dataset="wheels-heldout")
    factor = table["run"].map(dict(zip("ab", rtn, strict=True))) / FACTORS["rtn"]
    table["kl_nats"] *= factor.where(table["method"] == "rtn", 1.0)
    others = [table.assign(family="f", eval_id="g"), table.assign(eval_dataset="wheels-unseen", eval_id="u")]
    return numbers.larger(checkpoints(*sorted(set(table["weights_sha256"]))), pd.concat([table, *others]))


def test_larger_sizes_have_ratios_and_slopes_of_their_own():
    shown = numbers.of_larger(in_larger(FLATTER))
    assert (shown["larger_smallest"], shown["larger_largest"], shown["larger_runs"]) == ("0.1M", "0.4M", 2)
    assert (shown["larger_from"], shown["larger_to"]) == ("100M", "400M")
    assert shown["larger_beta"] == pytest.approx(0.4)
    assert shown["larger_share"] == pytest.approx(0.5)
    assert shown["larger_gptq_more"] == pytest.approx(-0.1)
    # two moments, four times the tokens: half of ln 4 times the slope's difference, on the mean
    assert shown["larger_gptq"] == pytest.approx(FACTORS["gptq"] * 4**-0.05)
    assert shown["larger_rtn"] == pytest.approx(np.sqrt(0.8) * 4**-0.025)
    # KL at the first tokens is 1 / (N (2^P - 1)^2); the formula's 1/2 tr s^2 is 0.18 / (2^P - 1)^2
    sizes = np.sqrt(1e5 * 4e5)
    assert shown["larger_formula"] == pytest.approx(4**0.2 / sizes / (0.5 * 400 * 0.03**2))


@pytest.mark.parametrize(
    ("steeper", "rtn", "message"),
    [
        (FLATTER, (0.8, 0.8), "RTN alone can't be told from noise"),
        (FLATTER | {("gptq", run): 0.1 for run in "ab"}, (0.8, 1.0), "as fast as the noise's"),
        (FLATTER | {(SPARING, run): -0.01 for run in "ab"}, (0.8, 1.0), "leaves half the slope"),
    ],
)
def test_a_sentence_on_larger_sizes_that_does_not_hold_is_refused(steeper, rtn, message):
    with pytest.raises(ValueError, match=message):
        numbers.of_larger(in_larger(steeper, rtn))
