"""What a keyboard and a screen reader need: scopes of header cells here, the scripts in tests/book/test_browser.py."""

from types import SimpleNamespace

import access
import pandas as pd
import pytest


@pytest.fixture
def table() -> str:
    return pd.DataFrame({"tokens": [1, 2]}, index=["a", "b"])._repr_html_()


def test_header_cells_of_pandas_head_columns_and_rows_and_the_empty_corner_heads_nothing(table):
    assert "scope=" not in table
    shown = access.with_scopes(table)
    assert shown.count('<th scope="col">tokens</th>') == 1
    assert shown.count('<th scope="row">') == 2
    assert "<th></th>" not in shown
    assert shown.replace(' scope="col"', "").replace(' scope="row"', "").replace("<td></td>", "<th></th>") == table


def test_a_scope_that_is_there_and_what_is_no_table_stay():
    written = '<table><thead><tr><th class="head" scope="colgroup">a</th></tr></thead></table><p>1 < th > 0</p>'
    assert access.with_scopes(written) == written


def test_attributes_of_a_header_cell_stay():
    shown = access.with_scopes('<thead><tr><th class="head"><p>a</p></th><th class="x"> </th></tr></thead>')
    assert shown == '<thead><tr><th scope="col" class="head"><p>a</p></th><td class="x"> </td></tr></thead>'


def test_the_body_of_a_page_is_what_is_mended(table):
    context = {"body": f'{table}<div role="list" class="citation-list"></div>', "title": "<thead><th>"}
    access.mend(None, "page", "page.html", context, None)
    body = f'{access.with_scopes(table)}<div class="citation-list"></div>'
    assert context == {"body": body, "title": "<thead><th>"}
    assert access.mend(SimpleNamespace(), "search", "search.html", {}, None) is None


@pytest.mark.parametrize(("says", "marked"), [("Show a solution", True), ("The whole table", False)])
def test_a_folded_cell_that_is_a_solution_is_marked(says, marked):
    cell = '<div class="cell tag_hide-cell docutils container">\n<details class="x">\n<summary aria-label="y">\n'
    context = {"body": f'{cell}<p class="collapsed admonition-title">{says}</p>'}
    access.mend(None, "page", "page.html", context, None)
    assert ('class="cell solution tag_hide-cell docutils container"' in context["body"]) == marked
