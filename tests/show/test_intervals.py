import pandas as pd

from helpers.show.intervals import with_ends


def test_a_value_and_the_ends_of_its_interval_have_the_names_that_a_page_glues():
    row = pd.Series({"low": 1.0, "value": 2.0, "ratio": 7.0, "high": 4.0})
    assert with_ends("a", row) == {"a": 2.0, "a_low": 1.0, "a_high": 4.0}
    assert with_ends("b", row, "ratio")["b"] == 7.0
