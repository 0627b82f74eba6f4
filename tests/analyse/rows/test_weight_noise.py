"""Noise beside rounding and curvature, on planted KL."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows import curvature, weight_noise
from helpers.analyse.rows.weight_noise import ERRORS, NOISE, SPARING
from helpers.table.errors import AnalysisError

NAMES = tuple(f"0.{name}" for name in curvature.MATRICES)
FACTORS = {NOISE: 1.0, SPARING: 0.7, "rtn": 0.9, "gptq": 0.5}


def checkpoints(*weights: str) -> pd.DataFrame:
    same = {"matrices": NAMES, "weight_rms": [0.1] * 4, "hessian_trace_by_block": [400.0]}
    same |= {"hessian_trace": 400.0, "hessian_trace_se": 8.0}
    same |= {f"rtn_error_{bits}_bits": [0.3 / (2**bits - 1)] * 4 for bits in (2, 3, 4)}
    return pd.DataFrame([same | {"weights_sha256": one} for one in weights])


def measured(
    beta: float = 0.5, steeper: Mapping[tuple[str, str], float] | None = None, bits: tuple[int, ...] = (4, 8)
) -> pd.DataFrame:
    """Two runs of two checkpoints; KL falls with N and rises with D, and draws scatter by 10%.

    The slope in ln D is `beta`, more for a method and run by what `steeper` says.
    """
    rows = []
    for run, size in (("a", 1e5), ("b", 4e5)):
        for tokens in (1e8, 4e8):
            for width in bits:
                for method in ERRORS:
                    power = beta + (steeper or {}).get((method, run), 0.0)
                    kl = FACTORS[method] * (tokens / 1e8) ** power / size / (2**width - 1) ** 2
                    place = {"run": run, "family": "f", "n_params_non_embedding": size, "tokens_seen": tokens}
                    place |= {"weights_sha256": f"{run}{tokens:g}", "method": method, "bits": width, "status": "ok"}
                    place |= {"group_size": 32, "symmetric": False, "calib_seed": None, "eval_id": "e"}
                    drawn = method in (NOISE, SPARING)
                    for seed, scatter in ((0, 0.9), (1, 1.1)) if drawn else ((None, 1.0),):
                        rows.append(place | {"noise_seed": seed, "kl_nats": kl * scatter})
    return pd.DataFrame(rows)


def test_rows_are_those_of_one_grid_and_one_text():
    table = measured()
    extra = pd.concat([table, table.assign(group_size=64), table.assign(symmetric=True), table.assign(method="awq")])
    extra = pd.concat([extra, table.assign(calib_seed=1)])
    found = weight_noise.rows_beside_noise(extra)
    assert len(found) == len(table)
    assert set(found["run_label"]) == {"f/a", "f/b"}
    with pytest.raises(AnalysisError, match="2 evaluations beside noise; accepted: one"):
        weight_noise.rows_beside_noise(pd.concat([table, table.assign(eval_id="other")]))
    with pytest.raises(AnalysisError, match=f"{len(table)} rows beside noise aren't ok"):
        weight_noise.rows_beside_noise(table.assign(status="failed"))
    with pytest.raises(AnalysisError, match=f"no row of {NOISE}"):
        weight_noise.rows_beside_noise(table[table["method"] == "rtn"])


def test_kl_is_a_mean_over_draws_with_its_error():
    rows = weight_noise.rows_beside_noise(measured())
    kl = weight_noise.mean_kl(rows)
    assert len(kl) == 8
    for method, factor in FACTORS.items():
        assert (kl[method] / kl[NOISE]).tolist() == pytest.approx([factor] * 8)
    # two draws, a tenth to either side: sd 0.1 sqrt(2), over sqrt(2)
    assert weight_noise.draw_errors(rows).tolist() == pytest.approx([0.1] * 8)


def test_a_checkpoint_that_lacks_an_error_is_left_out():
    table = measured()
    lacking = table[~((table["method"] == "gptq") & (table["weights_sha256"] == "a1e+08"))]
    assert len(weight_noise.mean_kl(weight_noise.rows_beside_noise(lacking))) == 6


def test_costs_go_on_beyond_the_described_widths_as_squared_steps():
    costs = weight_noise.curvature_costs(checkpoints("x"), [3, 4, 8]).loc["x"]
    for bits in (3, 4, 8):
        assert costs[bits] == pytest.approx(0.5 * 400 * (0.1 * 0.3 / (2**bits - 1)) ** 2)
    assert costs["trace_error"] == pytest.approx(0.02)


def test_kl_is_put_over_the_cost_of_its_own_weights_and_width():
    kl = weight_noise.mean_kl(weight_noise.rows_beside_noise(measured()))
    names = sorted(set(kl.index.get_level_values("weights_sha256")))
    known = checkpoints(*names)
    known["hessian_trace_by_block"] = [[400.0 * (place + 1)] for place in range(len(names))]
    found = weight_noise.over_curvature(kl, weight_noise.curvature_costs(known, [4, 8]))
    for (_, _, _, weights, bits), row in found.iterrows():
        said = 0.5 * 400 * (names.index(weights) + 1) * (0.1 * 0.3 / (2**bits - 1)) ** 2
        (cell,) = kl.xs(weights, level="weights_sha256").xs(bits, level="bits")["gptq"]
        assert row["gptq"] == pytest.approx(cell / said)


def test_planted_slopes_come_back_by_run():
    kl = weight_noise.mean_kl(weight_noise.rows_beside_noise(measured(0.4, {("rtn", "a"): 0.1, ("rtn", "b"): 0.2})))
    slopes = weight_noise.token_slopes(kl, 4)
    assert slopes.index.tolist() == ["f/a", "f/b"]
    assert slopes[NOISE].tolist() == pytest.approx([0.4, 0.4])
    assert slopes["rtn"].tolist() == pytest.approx([0.5, 0.6])


def test_factors_and_slopes_count_runs_not_rows():
    """Student's t of one degree of freedom has 12.706 at 97.5%."""
    ratios = pd.Series([1.0, 1.0, 1.0, 4.0], index=pd.Index(["a", "a", "a", "b"], name="run_label"))
    found = weight_noise.factor_over_runs(ratios)
    assert found["value"] == pytest.approx(2)
    assert found["high"] == pytest.approx(2 * np.exp(12.706 * np.log(2)), rel=1e-3)
    slopes = weight_noise.slope_over_runs(pd.Series([0.4, 0.6]))
    assert (slopes["value"], slopes["high"]) == pytest.approx((0.5, 0.5 + 12.706 * 0.1), rel=1e-3)
