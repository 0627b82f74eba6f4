"""The offset of the block on planted rows: one that is there, one that only the bend of perplexity makes."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.mixed.block_offset import offset_of_blocks
from helpers.analyse.mixed.block_size import in_relative_perplexity
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN


def planted(offset: float, scatter: float = 0.01, level: float = 2e-3) -> pd.DataFrame:
    """Eight runs of four checkpoints in five block sizes; kappa moves with N and D."""
    grid = pd.MultiIndex.from_product([np.geomspace(1e5, 4e7, 8), np.geomspace(6e7, 1e9, 4), [16, 32, 64, 128, 256.0]])
    table = grid.to_frame(index=False, name=[N_PARAMS, TOKENS_SEEN, "group_size"])
    n, d = np.log(table[N_PARAMS] / 1e6), np.log(table[TOKENS_SEEN] / 2.5e8)
    kappa = 0.7 + 0.05 * n + 0.04 * d
    noise = np.random.default_rng(5).normal(0, scatter, len(table))
    qid = np.exp(np.log(level) + kappa * np.log(table["group_size"] + offset) - 0.2 * n + noise)
    run = table[N_PARAMS].astype(str)
    return table.assign(
        qid_nats=qid, qid_se_nats=0.01, run_label=run, checkpoint_id=run + table[TOKENS_SEEN].astype(str)
    )


@pytest.mark.parametrize("offset", [-8.0, 0.0, 25.0])
def test_a_planted_offset_lies_in_its_interval(offset):
    found = offset_of_blocks(planted(offset), np.random.default_rng(0))
    assert found["low"] - 0.1 <= offset <= found["high"] + 0.1  # half a step of the grid
    assert found["high"] - found["low"] < 10
    assert found["d"] == pytest.approx(offset, abs=4)


def test_without_noise_it_is_exact_and_takes_all_squares_away():
    found = offset_of_blocks(planted(24.0, scatter=0.0), np.random.default_rng(0))
    assert found["d"] == pytest.approx(24.0, abs=0.2)  # the step of the grid
    assert found["gain"] > 0.999


def test_the_bend_of_perplexity_alone_makes_an_offset():
    table = planted(0.0, level=2e-2)
    assert table["qid_nats"].max() > 1
    nats, shares = (offset_of_blocks(one, np.random.default_rng(0)) for one in (table, in_relative_perplexity(table)))
    assert nats["low"] <= 0 <= nats["high"]
    assert shares["low"] > nats["high"]
    assert shares["gain"] > nats["gain"]
