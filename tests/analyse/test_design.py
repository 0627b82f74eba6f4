"""Designs whose rank and condition number are known."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.design import design_of


def crossed(**levels: tuple) -> pd.DataFrame:
    """Every combination of the levels: uncorrelated variables."""
    names = {"n": "n_params_non_embedding", "d": "tokens_seen", "peak": "peak_learning_rate", "phase": "phase"}
    table = pd.DataFrame(list(itertools.product(*levels.values())), columns=[names[key] for key in levels])
    return table.assign(learning_rate=table["peak_learning_rate"] * table["phase"], lr_phase="stable")


FULL = crossed(n=(1e5, 1e6), d=(1e7, 1e8, 1e9), peak=(1e-3, 2e-3), phase=(0.0, 1.0))


def test_a_crossed_design_tells_everything_apart():
    design = design_of(FULL)
    assert (design.n_checkpoints, design.rank, design.held_fixed) == (24, 4, ())
    assert design.condition_number == pytest.approx(1.0)


def test_what_is_held_fixed_is_named_and_cannot_be_told():
    design = design_of(FULL[(FULL["phase"] == 1) & (FULL["peak_learning_rate"] == 1e-3)])
    assert (design.rank, design.held_fixed) == (2, ("ln peak learning rate", "phase"))
    assert math.isinf(design.condition_number)


def test_a_rate_that_is_a_power_of_size_cannot_be_told_from_it():
    tied = FULL.assign(peak_learning_rate=FULL["n_params_non_embedding"] ** -0.5)
    tied["learning_rate"] = tied["peak_learning_rate"] * tied["phase"]
    design = design_of(tied)
    assert (design.rank, design.held_fixed) == (3, ())
    assert math.isinf(design.condition_number)


def test_two_correlated_variables_have_the_condition_number_of_their_correlation():
    """Standardised and otherwise uncorrelated, singular values are sqrt(1 + r) and sqrt(1 - r)."""
    table = pd.concat([FULL, FULL[(FULL["n_params_non_embedding"] == 1e5) == (FULL["peak_learning_rate"] == 2e-3)]])
    r = abs(np.corrcoef(table["n_params_non_embedding"], table["peak_learning_rate"])[0, 1])
    assert r == pytest.approx(1 / 3)
    assert design_of(table).condition_number == pytest.approx(math.sqrt((1 + r) / (1 - r)))


def test_warm_up_is_left_out():
    table = pd.concat([FULL, FULL.assign(lr_phase="warmup", tokens_seen=1e3)])
    assert design_of(table) == design_of(FULL)
