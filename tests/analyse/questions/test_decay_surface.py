import numpy as np
import pandas as pd
import pytest

from helpers.analyse.questions.decay_surface import full_cooldowns, surfaces
from helpers.analyse.rows.outcomes import KL, QID
from helpers.table.errors import AnalysisError


def planted(scatter: float = 0.0) -> pd.DataFrame:
    """Two families' runs and cooldowns: ln r = 0.1 + 0.07 ln(D / 2e8) - 0.02 ln(N / 1e6)."""
    generator, rows = np.random.default_rng(0), []
    for family in ("first", "second"):
        for index in range(6):
            for tokens in (1e8, 2e8, 4e8):
                size, model = 1e5 * 4.0**index, f"m{index}"
                ratio = np.exp(
                    0.1 + 0.07 * np.log(tokens / 2e8) - 0.02 * np.log(size / 1e6) + scatter * generator.normal()
                )
                place = {"family": family, "model": model, "n_params_non_embedding": size, "bits": 3.0}
                place |= {"eval_id": family, "device_type": "cuda", "n_averaged": 1}
                own = {"run": model, "schedule": "constant", "tokens_seen": tokens, "tokens_planned": 4e8}
                cooled = {"run": f"{model}-cooldown{tokens:g}", "schedule": "cooldown"}
                cooled |= {"tokens_seen": 1.0005 * tokens, "tokens_planned": 1.0005 * tokens}
                half_way = cooled | {"tokens_seen": 0.9 * tokens}
                for one, value in ((own, 0.1), (cooled, 0.1 * ratio), (half_way, 9.0)):
                    rows.append(place | one | {"qid_nats": value, "kl_nats": 2 * value})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("outcome", [QID, KL])
def test_a_planted_surface_comes_back(outcome):
    surface = surfaces(planted(), outcome)[3.0]
    assert (surface.n_cooldowns, surface.n_runs) == (36, 12)
    np.testing.assert_allclose(surface.slopes["value"].iloc[1:], [0.07, -0.02], atol=1e-9)
    found = surface.at(4e8, 1e6)
    assert found["ratio"] == pytest.approx(np.exp(0.1 + 0.07 * np.log(2)), rel=1e-4)


def test_intervals_hold_what_was_planted_and_widen_outside():
    surface = surfaces(planted(scatter=0.03))[3.0]
    assert surface.slopes.loc["tokens", "low"] < 0.07 < surface.slopes.loc["tokens", "high"]
    assert surface.slopes.loc["size", "low"] < -0.02 < surface.slopes.loc["size", "high"]
    inside, outside = surface.at(2e8, 3e6), surface.at(1e12, 3e9)
    assert inside["high"] / inside["low"] < outside["high"] / outside["low"]


def test_values_that_are_not_positive_and_tables_without_cooldowns():
    table = planted()
    below = table.assign(qid_nats=table["qid_nats"].where(table["model"] != "m0", -0.1))
    assert set(full_cooldowns(below)["model"]) == {f"m{index}" for index in range(1, 6)}
    with pytest.raises(AnalysisError, match="no finished cooldown"):
        full_cooldowns(table[table["run"] == table["model"]])
