"""What the chapter on block size states, on planted rows whose law is known and on tables counted by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.analyse.planted_blocks import LAW, measurements

from helpers.analyse.mixed import block_size as blocks
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.choose import block_size

LARGE = dataclasses.replace(LAW, k=2.5 * LAW.k)  # so much that the smallest model is allowed no block


@pytest.fixture(scope="module")
def planted() -> block_size.Blocks:
    table = blocks.rows_of_blocks(measurements(tau=0.01, law=LARGE, noise=0.01))
    groups = table[table["quantized_ratio"] == 1].assign(scale="block")
    checkpoints = pd.DataFrame({"weights_sha256": table["weights_sha256"].unique()})
    return block_size.Blocks(table, groups, checkpoints.assign(input_max_over_rms=[[2.0, 8.0]] * len(checkpoints)))


def at_16_and_128(values: dict[float, tuple[float, float | None]]) -> pd.DataFrame:
    rows = [
        {N_PARAMS: size, "group_size": block, "scale": "block", "qid_nats": value}
        for size, both in values.items()
        for block, value in zip((16, 128), both, strict=True)
        if value is not None
    ]
    return pd.DataFrame(rows)


def test_curves_compare_the_ends_of_the_sizes_that_have_a_block():
    found = block_size.curves(at_16_and_128({1e5: (0.5, None), 3e6: (0.3, 0.8), 4e7: (0.1, 1.4)}))
    assert found == {
        "qb_first_small": 0.5,
        "qb_first_large": 0.1,
        "qb_wide_size": "3M",
        "qb_wide_small": 0.8,
        "qb_wide_large": 1.4,
    }
    with pytest.raises(ValueError, match="all that size had gained"):
        block_size.curves(at_16_and_128({3e6: (0.3, 0.8), 4e7: (0.1, 0.7)}))


def test_means_leave_out_what_could_not_be_fitted():
    table = pd.DataFrame({"k": [0.2, 0.4, np.nan, 0.6], "run_label": list("abcd")})
    row = block_size.means_and_slopes(table).loc["mean"]
    assert row["value"] == pytest.approx(0.4)
    assert row["high"] == pytest.approx(0.4 + stats.t.ppf(0.975, 2) * 0.2 / np.sqrt(3))


def test_counts_are_of_the_constant_rate(planted):
    found = block_size.counts(planted)
    assert (found["qb_runs"], found["qb_checkpoints"]) == (8, 23)  # three moments, but for the largest model
    assert (found["qb_smallest"], found["qb_largest"]) == ("0.147M", "37.7M")
    assert found["qb_middle"] == "250M"
    assert found["qb_moved"] == pytest.approx(0, abs=0.02)
    assert (found["qb_gptq_rows"], found["qb_gptq_runs"]) == (
        len(planted.groups),
        len(set(planted.groups["run_label"])),
    )
    assert found["qb_rows"] == (planted.table["lr_phase"] != "decay").sum()


def test_a_planted_exponent_comes_back_and_one_that_does_not_rise_stops_the_page(planted):
    row = block_size.means_and_slopes(planted.of_qid["Qr = 0.5"]).loc["mean"]
    assert row["value"] == pytest.approx(LARGE.kappa, abs=0.01)
    with pytest.raises(ValueError, match="rises with size and tokens"):
        block_size.exponents(planted)


def test_neither_ratio_nor_decay_moves_a_planted_exponent(planted):
    found = block_size.differences(planted)
    for text in found.values():
        value, low, high = (float(part.strip("[],")) for part in text.replace("−", "-").split())
        assert low <= 0 <= high
        assert value == pytest.approx(0, abs=0.02)


def test_the_allowed_block_is_the_planted_law_solved(planted):
    whole = block_size.allowed_by_law(planted, 0)[block_size.WHOLE].iloc[-1]
    at_one = LARGE.k * whole["tokens"] ** LARGE.beta / whole["n_params"] ** LARGE.alpha * np.exp(LARGE.c)
    assert whole["block"] == pytest.approx((np.log(1.2) / at_one) ** (1 / LARGE.kappa), rel=0.05)
    found = block_size.allowed(planted, 0)
    assert found["qb_grows_size_value"] == pytest.approx(LARGE.alpha / LARGE.kappa, abs=0.03)
    assert float(found["qb_grows_tokens"].split()[0].replace("−", "-")) == pytest.approx(-0.875, abs=0.03)
    assert found["qb_allowed_large_value"] == whole["block"]


def test_the_largest_measured_block_is_the_largest_within_the_budget(planted):
    found = block_size.measured_blocks(planted.middle)
    rows = planted.middle["Qr = 0.5"]
    for row in found[found["ratio"] == "Qr = 0.5"].itertuples():
        own = rows[(rows["model"] == row.model) & (rows["qid_nats"] <= block_size.BUDGET)]["group_size"]
        assert (np.isnan(row.block) and own.empty) or row.block == own.max()


def marked(slopes: dict[str, float]) -> dict[str, pd.DataFrame]:
    """Return exponents that are a line in ln outliers, with a little scatter; outliers rise with size and tokens."""
    generator = np.random.default_rng(1)  # one of the many draws in which nothing else is clear by accident
    rows = [
        {N_PARAMS: size, TOKENS_SEEN: tokens, "run_label": f"{size}"}
        | {"input_outliers": 1.5 * (size / 1e5) ** 0.2 * (tokens / 1e8) ** 0.3 * np.exp(generator.normal(0, 0.2))}
        for size in (1e5, 4e5, 1e6, 4e6, 1e7, 4e7)
        for tokens in (1e8, 3e8, 9e8)
    ]
    table = pd.DataFrame(rows)
    table.loc[0, "input_outliers"], table.loc[17, "input_outliers"] = 1.0, 20.0
    logs, scatter = np.log(table["input_outliers"]), generator.normal(0, 0.03, len(table))
    return {name: table.assign(k=0.3 + slope * logs + scatter) for name, slope in slopes.items()}


def test_outliers_explain_a_planted_line_and_size_and_tokens_nothing_beside_them():
    slopes = {"Qr = 0.5": 0.3, "Qr = 0.9": 0.3, block_size.WHOLE: 0.0, block_size.GPTQ: -0.3}
    found = block_size.outliers(marked(slopes), 2.5e8)
    assert float(found["qb_rank_half"]) > 0.9
    assert found["qb_rank_gptq"].startswith("−0.9")
    assert (found["qb_outliers_least"], found["qb_outliers_most"]) == (1.0, 20.0)
    with pytest.raises(ValueError, match="stay clear"):
        block_size.outliers(marked(slopes | {block_size.WHOLE: 0.3}), 2.5e8)
    with pytest.raises(ValueError, match="late one"):
        block_size.outliers(marked(slopes), 1e9)


def test_printed_exponents_stand_in_the_panel_of_their_ratio():
    assert block_size.printed()["Qr = 0.5"] == {"Cao et al., 7B": 0.32, "Cao et al., 14B": 0.29}
    assert set(block_size.printed()) == {"Qr = 0.5", "Qr = 0.9", "Qr = 0.95"}


def test_stages_and_panels_are_ready_to_draw(planted):
    staged = block_size.stages(planted)
    assert {"65.5M", "250M"} <= set(staged["Qr = 0.5"]["stage"])
    panels = block_size.curve_panels(planted)
    assert list(panels) == list(block_size.NAMES)
    rows, fitted = panels[block_size.WHOLE]
    assert set(rows["step"]) == {block_size.MIDDLE}
    assert set(fitted["model"]) == set(block_size.below(rows)["model"])
    assert planted.marked()["Qr = 0.5"]["input_outliers"].to_numpy() == pytest.approx(4.0)  # the root of 2 times 8
