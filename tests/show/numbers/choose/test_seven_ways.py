"""What the chapter on seven ways states, on small tables whose ratios, fronts and costs are counted by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.mixed.keeping import BLOCKS, LINE, SINGLE
from helpers.analyse.mixed.trials import MATRICES
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.choose import seven_ways

TOKEN, CROSS, HALF = (seven_ways.INPUT_WAYS[short] for short in ("token", "cross", "half"))


def points(*rows: tuple[str, float, float]) -> pd.DataFrame:
    """Return points of one checkpoint: way, stored bits, QiD."""
    return pd.DataFrame(rows, columns=["way", "stored_bits", "qid_nats"]).assign(checkpoint_id="c")


def test_fronts_count_what_no_other_point_beats():
    beaten = [("RTN", 2.6, 3.0), ("AWQ", 3.6, 0.9), ("GWQ", 2.9, 2.5), (BLOCKS, 6.0, 0.5)]
    table = points((LINE, 2.6, 1.0), (LINE, 3.6, 0.3), ("CMPQ", 2.5, 1.5), (SINGLE, 3.0, 0.8), *beaten)
    found = seven_ways.fronts(table)
    assert found == {
        "front_points": 4,
        "front_line": 0.5,
        "front_cmpq": 0.25,
        "front_recipes": 0.25,
    }
    with pytest.raises(ValueError, match="never on a front"):
        seven_ways.fronts(points((LINE, 2.6, 1.0), ("RTN", 2.0, 3.0), ("AWQ", 3.6, 1.1), ("GWQ", 3.0, 2.0)))


def pooled(*rows: tuple[str, int, float, float]) -> pd.DataFrame:
    """Return pooled ratios: way, sizes, ends of the interval."""
    return pd.DataFrame(rows, columns=["way", "n_models", "low", "high"])


def test_settings_are_counted_by_where_their_interval_lies():
    ratios = pd.DataFrame({"way": ["CMPQ", "CMPQ", "GWQ"], "ratio": [0.8, 1.4, 3.0]})
    summary = pooled(("CMPQ", 8, 0.8, 1.6), ("CMPQ", 8, 1.2, 2.0), ("GWQ", 8, 2.5, 4.0), (BLOCKS, 2, 0.5, 9.0))
    found = seven_ways.compared(ratios, summary)
    assert found == {
        "n_settings": 4,
        "n_above": 2,
        "n_untold": 2,
        "n_compared": 3,
        "n_cmpq": 2,
        "n_cmpq_below": 1,
    }
    with pytest.raises(ValueError, match="CMPQ, or recipes of few sizes"):
        seven_ways.compared(ratios, pooled(("GWQ", 8, 0.9, 4.0)))
    with pytest.raises(ValueError, match="only CMPQ's"):
        seven_ways.compared(ratios.assign(way="GWQ"), summary)
    with pytest.raises(ValueError, match="clearly loses less"):
        seven_ways.compared(ratios, pooled(("CMPQ", 8, 0.5, 0.9)))


def coarse_rows(ratios: dict[str, tuple[float, float]], factor: float = 0.5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return CMPQ's rows at means of 2.25 and 2.5 bits by model, and lines of groups of 32 and of 128 below them."""
    own = [
        {"way": "CMPQ", "model": model, "step": 1, "setting": f"mean {mean} bits", "stored_bits": 3.0, "ratio": ratio}
        for model, both in ratios.items()
        for mean, ratio in zip(("2.25", "2.5"), both, strict=True)
    ]
    lines = [
        {
            "model": model,
            "step": 1,
            "group_size": size,
            "stored_bits": bits,
            "qid_nats": qid * (factor if size == 128 else 1),
        }
        for model in ratios
        for size in (32, 128)
        for bits, qid in ((2.0, 1.0), (4.0, 0.1))
    ]
    return pd.DataFrame(own), pd.DataFrame(lines)


def test_a_lead_over_groups_of_32_is_divided_by_what_groups_of_128_gain():
    found = seven_ways.beside_coarse_groups(*coarse_rows({"a": (0.4, 0.8), "b": (0.9, 0.9)}))
    assert (found["coarse_models"], found["n_beside"]) == (2, 4)
    assert (found["n_beside_fine"], found["n_beside_below"]) == (4, 1)
    assert found["coarse_least"] == found["coarse_most"] == pytest.approx(0.5)
    assert found["cmpq_coarse"] == pytest.approx(np.sqrt(0.8 * 0.9) / 0.5)
    assert found["cmpq_coarse_low"] < found["cmpq_coarse"] < found["cmpq_coarse_high"]
    with pytest.raises(ValueError, match="lowest mean alone"):
        seven_ways.beside_coarse_groups(*coarse_rows({"a": (0.4, 0.4), "b": (0.9, 0.9)}))
    with pytest.raises(ValueError, match="coarse groups lose less"):
        seven_ways.beside_coarse_groups(*coarse_rows({"a": (0.9, 2.0), "b": (0.9, 2.0)}, 1.2))


def costs(by_size: dict[float, tuple[float, float, float]]) -> pd.DataFrame:
    """Return costs of inputs of 4 bits at two checkpoints a size, token, cross and half; a hundredth of it at 8 bits."""
    rows = [
        {"model": f"{size}", N_PARAMS: size, TOKENS_SEEN: tokens, "checkpoint_id": f"{size}@{tokens}", "way": way}
        | {
            "activation_bits": width,
            "setting": f"8 bits, inputs {width}",
            "cost_nats": cost * share * 0.01 ** (width == 8),
        }
        for size, all_ways in by_size.items()
        for tokens, share in ((1e8, 0.5), (9e8, 1.0))
        for way, cost in zip((TOKEN, CROSS, HALF), all_ways, strict=True)
        for width in (4, 8)
    ]
    return pd.DataFrame(rows)


def test_input_costs_are_means_over_sizes_and_ends_are_last_checkpoints():
    found = seven_ways.inputs(costs({1e5: (0.4, 0.3, 0.3), 1e7: (2.0, 0.2, 0.5)}))
    assert found["token_4"] == pytest.approx(0.75 * (0.4 + 2.0) / 2)
    assert found["half_8"] == pytest.approx(0.0075 * 0.4)
    assert found["token_8_most"] == pytest.approx(0.02)
    assert (found["token_smallest"], found["token_largest"]) == (0.4, 2.0)
    assert (found["cross_smallest"], found["cross_largest"]) == (0.3, 0.2)
    assert (found["n_cross_less"], found["n_narrow"]) == (4, 4)
    with pytest.raises(ValueError, match="grows with size"):
        seven_ways.inputs(costs({1e5: (0.4, 0.3, 0.3), 1e7: (0.7, 0.2, 0.5)}))
    with pytest.raises(ValueError, match="CrossQuant it doesn't"):
        seven_ways.inputs(costs({1e5: (0.4, 0.3, 0.3), 1e7: (2.0, 0.4, 0.5)}))


def recipe_ways(kept: str = "attention.dense", of_blocks: float = 3.0) -> SimpleNamespace:
    """Return recipes of two blocks that keep one matrix of the first, and pooled ratios that rise with what is kept."""
    names = [f"0.{kept}"]
    rows = [
        {"way": SINGLE, "setting": f"{bits} bits, Qr 0.9", "kept_matrices": names, "n_layers": 2} for bits in (2, 3)
    ]
    rows += [{"way": BLOCKS, "setting": "2 bits, Qr 0.5", "kept_matrices": [], "n_layers": 2}] * 2
    targets = {0.95: 4.0, 0.9: 7.0, 0.8: 44.0, 0.7: 90.0}
    by = {(SINGLE, f"2 bits, Qr {target:g}"): ratio for target, ratio in targets.items()}
    by[SINGLE, "3 bits, Qr 0.9"] = 4.1
    pooled_rows = pd.DataFrame({key: {"ratio": r, "low": r - 1, "high": r + 1} for key, r in by.items()}).T
    ratios = pd.DataFrame({"way": [BLOCKS], "ratio": [of_blocks]})
    return SimpleNamespace(by_setting=pooled_rows, weights_only=pd.DataFrame(rows), against_line=(ratios, None))


def test_recipes_say_what_they_keep_and_how_they_stand():
    found = seven_ways.recipes(recipe_ways())
    assert (found["matrices_2"], found["matrices_2_low"], found["matrices_3"]) == (7.0, 6.0, 4.1)
    assert found["matrices_2_less"] == 44.0
    assert (found["kept_dense_2"], found["kept_qkv_3"]) == (0.5, 0.0)
    assert (found["n_block_recipes"], found["n_blocks_compared"]) == (2, 1)
    with pytest.raises(ValueError, match="attention's output"):
        seven_ways.recipes(recipe_ways(MATRICES[0]))
    with pytest.raises(ValueError, match="whole blocks"):
        seven_ways.recipes(recipe_ways(of_blocks=0.9))


def test_plain_codes_have_to_store_the_same_everywhere():
    table = pd.DataFrame({"way": LINE, "bits": [2, 2, 3], "stored_bits": [2.6, 2.6, 3.6], "qid_nats": 1.0})
    ways = seven_ways.Ways(table, table, np.ones((1, 1)))
    assert ways.plain.to_dict() == {2: 2.6, 3: 3.6}
    assert len(ways.reached) == 3
    moved = table.assign(stored_bits=[2.6, 2.7, 3.6])
    with pytest.raises(ValueError, match="stores the same"):
        _ = seven_ways.Ways(moved, moved, np.ones((1, 1))).plain


def test_the_last_checkpoint_is_each_model_s_own_and_three_sizes_are_the_ends_and_a_middle_one():
    rows = pd.DataFrame({"model": ["a", "a", "b"], TOKENS_SEEN: [1e8, 9e8, 5e8], N_PARAMS: [1e5, 1e5, 1e6]})
    assert list(seven_ways.latest(rows).index) == [1, 2]
    every = pd.DataFrame({N_PARAMS: [1e5, 2e5, 3e5, 4e5, 5e5]})
    ways = seven_ways.Ways(every, every, np.ones((1, 1)))
    assert list(ways.of_three_sizes(every)[N_PARAMS]) == [1e5, 3e5, 5e5]
