"""Tables for exercises hold what they say, and a change of a copy changes nothing."""

import pytest

from helpers.table.errors import ResultsError
from helpers.teach import data

SIZES, FITTED = 9, {2.0, 3.0, 4.0}


def test_the_trunk_is_nine_runs_at_a_constant_rate():
    table = data.trunk()
    assert table["model"].nunique() == SIZES
    assert (table["run"] == table["model"]).all()
    assert len(table) < len(data.every_run())


def test_late_rows_have_one_method_and_one_group():
    table = data.late()
    assert set(table["bits"]) == FITTED
    assert set(table["method"]) == {"gptq"}
    assert set(table["group_size"]) == {32.0}
    assert table["tokens_seen"].min() >= 60e6
    assert not table.duplicated(["model", "step", "bits"]).any()


def test_one_checkpoint_one_scheme_one_row():
    key = ["run", "step", "method", "format", "bits", "group_size"]
    assert not data.trunk().duplicated(key).any()


def test_seeds_are_several_at_each_step():
    counts = data.seeds().query("bits == 3").groupby(["model", "step"])["train_seed"].nunique()
    assert counts.min() > 1


def test_trials_are_of_one_scheme():
    table = data.trials()
    assert set(table["format"]) == {"mxint"}
    assert set(table["granularity"]) == {"matmul"}
    assert {"single", "all"} <= set(table["search"])


def test_blocks_round_everything_and_recipes_a_share():
    assert data.blocks()["quantized_ratio"].min() > 0.999
    assert data.blocks()["group_size"].nunique() > 3
    assert data.recipes()["quantized_ratio"].nunique() > 3
    assert set(data.recipes()["group_size"]) == {32.0}


def test_the_outside_model_was_scored_on_three_texts():
    assert set(data.outside()["eval_dataset"]) == {"wheels-heldout", "wheels-unseen", "wheels-prose"}


def test_printed_cells_are_of_three_widths():
    assert set(data.printed()["bits"]) == {2, 3, 4}


@pytest.mark.parametrize("name", ["every_run", "trunk", "late", "seeds", "checkpoints", "trials", "recipes", "blocks"])
def test_a_changed_copy_changes_nothing(name):
    read = getattr(data, name)
    table = read()
    table[table.columns[0]] = "changed"
    assert (read()[table.columns[0]] != "changed").all()


@pytest.mark.parametrize("name", ["late", "checkpoints", "trials", "outside", "printed", "fits"])
def test_another_folder_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for read in (data.fits, data._measured, data._every_run, data._late, data._checkpoints, data._trials, data._mixed):
        read.cache_clear()
    with pytest.raises(ResultsError, match=r"not in .*accepted: Python that runs in the book's folder"):
        getattr(data, name)()
