"""What the chapter on tokens and decay states, on three planted sizes whose QiD doubles with the tokens."""

import numpy as np
import pandas as pd
import pytest
from tests.analyse.questions.test_decay import row

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.selection import ONE_VALUE_A_FIT
from helpers.show.numbers.learn import tokens_or_decay as numbers

SIZES = {"m-a": 1e6, "m-b": 2e6, "m-c": 4e6}
BITS = (2.0, 3.0, 4.0)
ENDS = {"m-a": (1.1, 1.3), "m-b": (1.2, 1.5), "m-c": (1.1, 1.2)}  # over the trunk at 200M and at 800M tokens
EXCESS = {2.0: (0.20, 0.21, 0.22), 3.0: (0.5, -0.05, 0.2), 4.0: (0.5, -0.05, 0.2)}  # of the exponent along a cosine
T3 = 4.302652729911275  # Student's t of three sizes


def at(place: int, model: str, bits: float, ratio: float, **other) -> dict:
    """Return a row at 100M tokens times 2^place, whose QiD is `ratio` times that of the trunk."""
    tokens, qid = 1e8 * 2.0**place, 0.1 * 2.0**place / 2**bits
    more = {
        "epochs": tokens / 2e8,
        "unique_tokens": 2e8,
        N_PARAMS: SIZES[model],
        "group_size": 32,
        "branched_at_step": None,
    }
    return row(tokens, qid * ratio, 3.0 - 0.5 * place, model=model, bits=bits, **(more | other))


CHANGES = {
    "half": {"peak_learning_rate": 0.001},
    "double": {"peak_learning_rate": 0.004},
    "wd0": {"weight_decay": 0.0},
    "wd3": {"weight_decay": 0.3},
}


def other_rates(model: str, index: int, bits: float) -> list[dict]:
    """Return the rows of runs at other rates and weight decays, at two moments."""
    ratios = {"half": 1.2 + 0.01 * index, "double": 0.85 - 0.01 * index, "wd0": 1.05, "wd3": 0.9}
    rows = []
    for run, change in CHANGES.items():
        of_way = {"run": f"{model}-{run}", "family": "tadpole-rates", "run_label": f"rates/{model}-{run}"} | change
        rows += [at(place, model, bits, ratios[run], **of_way) for place in (1, 2)]
    return rows


def planted(levers: bool = False) -> pd.DataFrame:
    """Return the runs at the constant rate with cooldowns, cosines, seeds and averages; with `levers` also other rates."""
    rows = []
    for index, model in enumerate(SIZES):
        for bits in BITS:
            rows += [at(place, model, bits, 1.0) for place in range(-1, 4)]
            for place, ratio in zip((1, 3), ENDS[model], strict=True):
                cooldown = {
                    "run": f"{model}-cooldown{place}",
                    "schedule": "cooldown",
                    "tokens_planned": 1e8 * 2.0**place,
                }
                rows.append(
                    at(place, model, bits, ratio, learning_rate=0.0, branched_at_step=50 * 2**place, **cooldown)
                )
                rows.append(at(place - 1, model, bits, ratio**0.5, learning_rate=0.001, **cooldown))
            cosine = {"run": f"{model}-cosine", "schedule": "cosine", "tokens_planned": 8e8}
            ratios = (1.0, 1.0, 4 ** EXCESS[bits][index])  # a slope over two doublings
            rows += [at(place, model, bits, ratio, **cosine) for place, ratio in zip((1, 2, 3), ratios, strict=True)]
            seed = {"run": f"{model}-seed1", "family": "tadpole-seeds", "train_seed": 1, "run_label": f"seeds/{model}"}
            rows += [at(place, model, bits, 1.02, **seed) for place in range(-1, 4)]
            average = {"run": f"{model}-average", "n_averaged": 5}
            rows += [at(place, model, bits, 0.75, **average) for place in (1, 3)]
            if levers:
                rows += other_rates(model, index, bits)
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def runs() -> numbers.Runs:
    return numbers.Runs(planted())


def approx(found: dict, expected: dict) -> None:
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_the_yardstick_is_the_scatter_of_two_seeds(runs):
    found = numbers.yardstick(runs)
    scatter = 0.02 / 2**0.5 / 1.01  # of 1 and 1.02 about their mean
    approx(found, {"seed_3": scatter, "yard_3": np.exp(2 * 2**0.5 * scatter)})
    assert (found["group"], found["seed_models"], found["late_tokens"]) == (32, 3, "60M")


def test_growth_per_doubling_is_counted_by_pieces_of_training():
    trunk = planted()
    trunk = trunk[trunk["run"] == trunk["model"]]
    late = trunk["epochs"] > 2
    faster = {"m-a": 0.8, "m-b": 1.0, "m-c": 1.25}  # of the last doubling
    trunk["qid_nats"] *= np.where(late, trunk["model"].map(faster), 1.0)
    trunk = trunk.assign(qid_nats=trunk["qid_nats"] * (1 + 1e-6 * trunk[N_PARAMS] / 1e6))
    found = numbers.constant_rate(trunk)
    logs = np.log([1.6, 2.0, 2.5])
    half = T3 * logs.std(ddof=1) / 3**0.5
    approx(found, {"doubling_3_0.25_mean": 2.0, "doubling_3_2_mean": 2.0, "doubling_3_2_high": 2 * np.exp(half)})
    approx(found, {"whole_times": 16, "whole_low": 12.8, "whole_high": 20.0, "largest_2": 2.5, "largest_0.5": 2.0})
    assert (found["pieces"], found["pieces_rising"], found["trunk_sizes"]) == (36, 36, 3)
    assert (found["slowed"], found["slowed_to"], found["trunk_largest"]) == (1, "1M", "4M")


def test_what_decay_adds_is_a_geometric_mean_over_sizes(runs):
    found = numbers.added(runs)
    of_size = np.log([1.1 * 1.3, 1.2 * 1.5, 1.1 * 1.2]) / 2
    mean, half = of_size.mean(), T3 * of_size.std(ddof=1) / 3**0.5
    approx(found, {"end_3_mean": np.exp(mean), "end_3_low": np.exp(mean - half), "half_3_mean": np.exp(mean / 2)})
    approx(found, {"end_first_2_mean": (1.1 * 1.2 * 1.1) ** (1 / 3), "end_last_3_mean": (1.3 * 1.5 * 1.2) ** (1 / 3)})
    assert (found["cooldown_sizes"], found["cooldown_runs"]) == (3, 6)
    assert (found["first_end"], found["last_end"]) == ("200M", "800M")


def test_decay_that_lowers_qid_is_not_what_the_page_says():
    rows = planted()
    rows.loc[rows["learning_rate"] == 0, "qid_nats"] *= 0.5
    with pytest.raises(ValueError, match="decay adds to QiD"):
        numbers.added(numbers.Runs(rows))


def test_growth_is_the_product_of_its_parts(runs):
    parts = numbers.both_parts(runs)["cooldown"]
    np.testing.assert_allclose(parts["growth"], parts["tokens_part"] * parts["decay_part"])
    found = numbers.growth(runs)
    shares = [np.log(late / early) / np.log(4 * late / early) for early, late in ENDS.values()]
    approx(found, {"share_cooldown_3_mean": np.mean(shares), "cosine_share_high": 0.5 / 1.5})
    assert (found["parts_first"], found["parts_last"], found["cosine_first"]) == ("200M", "800M", "200M")
    assert found["cosine_sizes"] == 3


def test_exponents_over_ends_are_those_of_two_points(runs):
    found = numbers.after_decay(runs, runs)
    exponents = [np.log(4 * late / early) / np.log(4) for early, late in ENDS.values()]
    approx(found, {"after_3_mean": np.mean(exponents), "constant_3_mean": 1.0})
    approx(found, {"after_times_low": 4 * 1.2 / 1.1, "after_times_high": 5.0, "per_parameter_low": 50.0})
    assert (found["after_series"], found["after_rising"]) == (9, 9)


def test_the_surface_of_cooldowns_goes_through_those_that_lie_on_one():
    rows = []
    for model, size in SIZES.items():
        for family in ("tadpole-trunk", "tadpole-mixed"):
            for place in (1, 2, 3):
                for bits in BITS:
                    ratio = 1.1 * 2 ** (0.1 * (place - 2))  # the size has no say, but for a little scatter
                    ratio *= 1 + 0.001 * ((place + int(size / 1e6) + len(family)) % 3 - 1)
                    label = {"run_label": f"{family}/{model}", "family": family}
                    rows.append(at(place, model, bits, 1.0, **label))
                    done = {"run": f"{model}-cooldown{place}", "schedule": "cooldown"}
                    rows.append(at(place, model, bits, ratio, **done, **label))
    table = pd.DataFrame(rows).assign(kl_nats=lambda one: one["qid_nats"] / 2)
    found = numbers.surface(table)
    assert (found["surface_n"], found["surface_runs"], found["surface_largest"]) == (18, 6, "4M")
    assert (found["surface_tokens_first"], found["surface_tokens_last"]) == ("200M", "800M")
    assert float(found["surface_tokens_value"]) == pytest.approx(0.1, abs=0.003)
    assert found["surface_range_high"] / found["surface_range_low"] == pytest.approx(2**0.2, rel=0.01)


def test_a_minus_sign_is_that_of_print():
    assert numbers.with_signs(pd.Series({"value": -0.0123, "low": -0.5, "high": 0.25}), "a") == {
        "a_value": "−0.012",
        "a_low": "−0.500",
        "a_high": "+0.250",
    }


def test_rows_of_a_scheme_are_late_and_of_the_fitted_widths():
    rows = planted().assign(method="gptq", symmetric=False)
    rows.loc[rows["bits"] == 4, "bits"] = 8.0
    found = numbers.runs_of(rows.assign(**{name: None for name in ONE_VALUE_A_FIT if name not in rows})).rows
    assert set(found["bits"]) == {2.0, 3.0}
    assert found[TOKENS_SEEN].min() > 6e7
