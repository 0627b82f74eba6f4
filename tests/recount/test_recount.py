"""The book's numbers, counted again from the tables without the package, agree with what the executed chapters glued.

The last test reads the chapters that `make book` left, so it runs in `make check`; the others try the comparison itself.
"""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from tests.recount import recount

FOUND = {"n": 3, "mean": 0.5, "size": "954M", "word": "falls"}


def output(key, text, **more):
    data = {f"{recount.RECORD}{mime}": content for mime, content in ({"text/plain": text} | more).items()}
    return {"output_type": "display_data", "data": data, "metadata": {"scrapbook": {"name": key}}}


def notebook(path, *outputs):
    cells = [{"cell_type": "markdown", "source": "words"}, {"cell_type": "code", "outputs": list(outputs)}]
    path.write_text(json.dumps({"cells": cells}))
    return path


def test_numbers_and_texts_are_read_and_figures_are_not(tmp_path):
    shown = {"output_type": "display_data", "data": {"text/plain": "7"}, "metadata": {}}
    figure = output("fig", "<Figure>", **{"image/png": "x"})
    path = notebook(
        tmp_path / "a.ipynb", output("n", "3"), output("mean", "-1e-05"), output("size", "'9M'"), figure, shown
    )
    assert recount.glued(path) == {"n": 3, "mean": -1e-5, "size": "9M"}


def test_a_key_that_is_glued_twice_must_keep_its_value(tmp_path):
    path = notebook(tmp_path / "a.ipynb", output("n", "3"), output("n", "4"))
    with pytest.raises(ValueError, match="n is glued twice"):
        recount.glued(path)


def test_an_equal_recount_has_nothing_to_say():
    counted = {"n": np.int64(3), "mean": 0.5 * (1 + 1e-12), "size": "954M"}
    assert recount.disagreements(FOUND, counted, {}, {}) == []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"n": 4}, "n: glued as 4, counted as 3"),
        ({"mean": 0.500000001}, "mean: glued as 0.500000001, counted as 0.5"),
        ({"mean": float("nan")}, "mean: glued as nan, counted as 0.5"),
        ({"size": "953M"}, "size: glued as '953M', counted as '954M'"),
        ({"new": 1}, "new: glued as 1, not counted again"),
        ({"new": "1.2M"}, "new: glued as '1.2M', not counted again"),
    ],
)
def test_every_change_of_a_glued_value_is_noticed(changed, fault):
    counted = {"n": 3, "mean": 0.5, "size": "954M"}
    assert recount.disagreements(FOUND | changed, counted, {}, {}) == [fault]


def test_an_exception_or_a_wider_tolerance_is_for_the_key_it_names():
    assert recount.disagreements(FOUND, {"mean": 0.51, "size": "954M"}, {"n": "timed"}, {"mean": 0.05}) == []
    assert len(recount.disagreements(FOUND, {"n": 4, "mean": 0.51, "size": "954M"}, {}, {"n": 0.5})) == 2


def test_leftovers_of_a_recount_are_noticed():
    counted = {"n": 3, "mean": 0.5, "size": "954M", "gone": 1}
    faults = recount.disagreements(FOUND, counted, {"n": "timed", "old": "timed"}, {"left": 0.1})
    assert faults == [
        "n: counted and excepted",
        "gone: not glued (any more)",
        "old: not glued (any more)",
        "left: has a tolerance, but isn't counted",
    ]


def test_formulas_on_cases_done_by_hand():
    assert recount.standard_error([1, 2, 3]) == pytest.approx(3**-0.5)
    assert recount.half_width([1, 2, 3]) == pytest.approx(4.302652729911275 / 3**0.5)  # t of 2 degrees of freedom
    assert recount.geometric_mean([1, 10, 100]) == pytest.approx(10)
    assert [recount.label(n) for n in (150_080, 14_196_480, 1.4e9, 1.5e12)] == ["0.15M", "14.2M", "1.4B", "1.5T"]


def test_rows_are_chosen_and_grouped():
    rows = [{"a": 1, "b": None}, {"a": 2, "b": 0}, {"a": 2, "b": 5}]
    assert recount.where(rows, b={None, 0}) == rows[:2]
    assert recount.where(rows, a=2, b=5) == rows[2:]
    assert recount.grouped(rows, "a") == {1: rows[:1], 2: rows[1:]}
    assert recount.distinct(rows, "a", "b") == {(1, None), (2, 0), (2, 5)}


def test_a_recount_uses_nothing_of_what_it_checks():
    for path in Path(__file__).parent.glob("recount*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not {name for name in names if name.split(".")[0] in ("helpers", "pandas", "statsmodels")}, path


@pytest.mark.browser
@pytest.mark.parametrize("number", recount.recounted())
def test_the_recount_agrees_with_the_chapter(number):
    path = recount.executed(number)
    if not path.exists():
        pytest.skip("not executed: make book")
    assert recount.faults(number, path) == []
