"""Tables of cells: a caption with its number, a name to refer to, the same cells as CSV; a table without a name fails."""

import csv
import io

import pandas as pd
import pytest
import tabulated
from docutils import nodes
from docutils.utils import new_document
from sphinx.errors import ExtensionError

TABLE = pd.DataFrame({"tokens, D": [1, 2], "loss": ["2 < 3", "4"]}, index=["a", "b"])._repr_html_()


def page(captions: dict[str, str], *outputs: str) -> nodes.document:
    """Return a page of one cell with these outputs after the extension has been there."""
    document = new_document("page")
    metadata = {"tables": captions} if captions else {}
    cell = nodes.container(nb_element="cell_code", cell_metadata=metadata)
    cell += [nodes.raw("", output, format="html") for output in outputs]
    document += cell
    document.settings.env = type("Env", (), {"docname": "executed/04-a"})()
    tabulated.NameTables(document).apply()
    return document


def test_each_table_gets_its_name_and_caption_in_their_order_and_other_outputs_none():
    document = page({"tab-a": "First", "tab-b": "Second"}, TABLE, "<p>no table</p>", TABLE)
    found = list(document.findall(tabulated.Tabulated))
    assert [(node["caption"], node["names"]) for node in found] == [("First", ["tab-a"]), ("Second", ["tab-b"])]
    assert [document.nameids[name] for name in ("tab-a", "tab-b")] == [node["ids"][0] for node in found]
    assert [node.astext() for node in found] == [TABLE, TABLE]


def test_a_cell_that_shows_more_tables_than_it_names_is_refused_and_one_that_shows_fewer_is_not():
    with pytest.raises(ExtensionError, match="executed/04-a: a cell with 2 tables names 1: tab-a"):
        page({"tab-a": "First"}, TABLE, TABLE)
    assert len(list(page({"tab-a": "First", "tab-b": "Second"}, TABLE).findall(tabulated.Tabulated))) == 1
    assert not list(page({}, TABLE).findall(tabulated.Tabulated))


def test_a_caption_stands_first_in_its_table_and_is_text():
    shown = tabulated.with_caption(TABLE, "<b>Table 1</b>", "less < more")
    inside = shown.partition('class="dataframe">')[2]
    assert inside.startswith(
        '<caption><div><b>Table 1</b><span class="caption-text">less &lt; more</span></div></caption>'
    )
    assert shown.count("<caption>") == 1


def test_the_csv_holds_every_cell():
    assert list(csv.reader(io.StringIO(tabulated.as_csv(TABLE)))) == [
        ["", "tokens, D", "loss"],
        ["a", "1", "2 < 3"],
        ["b", "2", "4"],
    ]
