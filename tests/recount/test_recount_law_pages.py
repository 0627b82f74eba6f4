"""What the modules of chapters 5 to 7 compute from the tracked tables agrees with the recounts, without a book."""

import functools
import importlib

import numpy as np
import pandas as pd
import pytest
from tests.recount import recount

from helpers.analyse.questions.published_tables import turning_points
from helpers.show.numbers.law import methods_and_the_law, published_tables, unified_law
from helpers.show.numbers.learn import other_recipes, tokens_or_decay
from helpers.table.files import read_checkpoints, read_table


@functools.cache
def measured():
    return read_table(recount.ROOT / "results/measurements.parquet").to_pandas()


@functools.cache
def law_fits():
    return unified_law.fits_of(unified_law.at_every_width(measured()))


def printed_and_ours():
    cells = pd.read_csv(recount.ROOT / "data/published/ouyang2024_table1.csv")
    rows = unified_law.fitted_rows(law_fits().every_width, 0)
    turned = turning_points(rows, np.random.default_rng(0), published_tables.LEVEL)
    return cells, published_tables.nearest_laws(cells), rows, turned, law_fits().whole


def decay():
    every = tokens_or_decay.every_run(measured())
    runs, nearest = tokens_or_decay.runs_of(every), tokens_or_decay.runs_of(every, "rtn")
    coarse = tokens_or_decay.runs_of(every, group_size=tokens_or_decay.COARSE_GROUP, symmetric=True)
    checkpoints = read_checkpoints(recount.ROOT / "results/checkpoints.parquet").to_pandas()
    of_growth = tokens_or_decay.numbers(runs, coarse, tokens_or_decay.cooled_rows(measured()))
    return of_growth | other_recipes.numbers(runs, nearest, checkpoints)


PAGES = {
    "05": lambda: unified_law.numbers(law_fits()),
    "06": lambda: published_tables.numbers(*printed_and_ours()),
    "07": decay,
    "93": lambda: {
        **methods_and_the_law.numbers(measured(), law_fits()),
        **published_tables.in_appendix(law_fits().rows, law_fits().whole),
    },
}


@functools.cache
def computed(number):
    return {key: recount.plain(value) for key, value in PAGES[number]().items()}


@pytest.mark.parametrize("number", PAGES)
def test_a_module_computes_what_the_recount_counts(number):
    module, found = importlib.import_module(f"tests.recount.recount_{number}"), computed(number)
    counted = {key: value for key, value in module.numbers().items() if key in found}
    excepted = {key: why for key, why in module.EXCEPTED.items() if key in found}
    tolerances = {key: value for key, value in module.TOLERANCES.items() if key in counted}
    assert recount.disagreements(found, counted, excepted, tolerances) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"beta_published": 0.9}, "only the published beta"),
        ({"epochs": 0.5}, "repeats"),
        ({"beta_at_2": 0.1}, "beta falls with the bits"),
        ({"later_largest": 0.1}, "the other way round"),
        ({"beta_one_epoch_low": 0.9}, "just overlap"),
    ],
)
def test_the_law_s_words_are_held_against_its_numbers(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        unified_law.check_claims(computed("05") | changed)
