"""A thing to touch is HTML that data can't break out of, with words where no script runs."""

import json
import re

import pytest

from helpers.show.touch.widget import Widget


def test_data_come_back_whole_and_can_not_end_the_script():
    data = {"name": "</script><b>", "values": [1.5, -2]}
    html = Widget("grid", "A <grid>", data)._repr_html_()
    inside = re.search(r'<script type="application/json">(.*?)</script>', html).group(1)
    assert json.loads(inside) == data
    assert "<" not in inside
    assert 'class="touch"' in html
    assert 'aria-label="A &lt;grid&gt;"' in html
    assert "built book" in html


def test_what_json_has_no_word_for_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        Widget("grid", "a", {"value": float("nan")})._repr_html_()
