import ast
from pathlib import Path

import pandas as pd

import helpers
from helpers.show.intervals import in_words, plain, signed, with_ends, with_named_ends


def test_a_value_and_the_ends_of_its_interval_have_the_names_that_a_page_glues():
    row = pd.Series({"low": 1.0, "value": 2.0, "ratio": 7.0, "high": 4.0})
    assert with_ends("a", row) == {"a": 2.0, "a_low": 1.0, "a_high": 4.0}
    assert with_ends("b", row, "ratio")["b"] == 7.0
    assert with_named_ends("c", row, "ratio") == {"c_ratio": 7.0, "c_low": 1.0, "c_high": 4.0}
    assert with_named_ends("d", {"mean": 2, "low": 1, "high": 4, "n": 5}) == {"d_mean": 2, "d_low": 1, "d_high": 4}


def test_a_value_and_its_interval_as_a_page_writes_them():
    row = {"value": -0.318, "low": -0.4, "high": 0.25}
    assert in_words(row) == "−0.32 [−0.40, 0.25]"
    assert in_words(row, 1) == "−0.3 [−0.4, 0.2]"
    assert (signed(-0.104, 2), signed(0.1, 3)) == ("−0.10", "+0.100")
    assert (plain(-0.104, 2), plain(0.1, 3)) == ("−0.10", "0.100")


def replaced(source: str) -> set[str]:
    """Return the signs that a module's source puts in the place of others, by `replace`."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    by_name = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ("replace", "sub")]
    return {arg.value for call in by_name for arg in call.args if isinstance(arg, ast.Constant)}


def test_one_function_alone_writes_the_minus_sign_of_print():
    modules = sorted(Path(helpers.__file__).parent.rglob("*.py"))
    found = [path.name for path in modules if "−" in replaced(path.read_text(encoding="utf-8"))]
    assert found == ["words.py"], "helpers.table.words.minus_signs, or plain, signed, in_words of show.intervals"
