"""book/check.py finds each fault when it is planted, and none in a sound book."""

import base64
import json

import pytest

import check

PNG = base64.b64encode(bytes(400)).decode()


def output(data, name=None):
    metadata = {"scrapbook": {"name": name}} if name else {}
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def notebook(*outputs, markdown="A value of {glue:text}`gain:.2f`.", ran=1):
    code = {"cell_type": "code", "source": "work()", "execution_count": ran, "outputs": list(outputs)}
    return {"cells": [{"cell_type": "markdown", "source": markdown}, code]}


@pytest.fixture
def book(tmp_path):
    """A sound book of two pages: book/ and book/site/."""
    (tmp_path / "_toc.yml").write_text("root: index\nparts:\n  - chapters:\n      - file: executed/01-a\n")
    (tmp_path / "index.md").write_text("See {glue:text}`executed/01-a.ipynb::gain:.2f`.")
    (tmp_path / "executed").mkdir()
    site = tmp_path / "site"
    (site / "executed").mkdir(parents=True)
    (site / "_static").mkdir()
    (site / "_static" / "book.css").write_text("p { color: red }")
    (site / "pixel.png").write_bytes(bytes(400))
    (site / "index.html").write_text(
        '<link rel="stylesheet" href="_static/book.css"><a href="executed/01-a.html#top">a</a>'
    )
    (site / "executed" / "01-a.html").write_text('<p id="top">x</p><img src="../pixel.png" alt="a pixel">')
    write(tmp_path, notebook(output({"text/plain": "0.25"}, "gain"), output({"image/png": PNG})))
    return tmp_path


def write(book, content):
    (book / "executed" / "01-a.ipynb").write_text(json.dumps(content))


def faults(book):
    return check.book_faults(book / "site", book)


def test_a_sound_book_has_no_fault(book, capsys):
    assert faults(book) == []


GOOD = output({"text/plain": "0.25"}, "gain")
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (notebook(GOOD, ERROR), "code cell 1 failed with ValueError: no"),
        (notebook(GOOD, ran=None), "code cell 1 never ran"),
        (notebook(markdown="nothing"), "no cell has an output"),
        (notebook(GOOD, output({"image/png": ""})), "gave an empty image/png (0 bytes)"),
        (
            notebook(GOOD, output({"application/papermill.record/image/png": PNG}, "fig_a")),
            "glued fig_a in pixels; accepted: a figure as SVG",
        ),
        (notebook(GOOD, output({"text/html": ""})), "gave an empty text/html (0 bytes)"),
        (notebook(output({"text/plain": "nan"}, "gain")), "glued gain = nan"),
        (notebook(output({"text/plain": "1.0"}, "loss")), "no value was glued as gain in executed/01-a"),
        (notebook(GOOD, markdown="```{glue:figure} fig_a\n```"), "no value was glued as fig_a in executed/01-a"),
        (notebook(GOOD, {"output_type": "stream", "name": "stdout", "text": "\n"}), "printed nothing but blanks"),
    ],
)
def test_a_fault_in_a_chapter_is_found(book, content, fault):
    write(book, content)
    assert any(fault in found for found in faults(book)), faults(book)


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<script src="https://example.org/a.js"></script>', "loads https://example.org/a.js"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "loads //example.org/a.css"),
        ('<img src="http://example.org/a.png" alt="a">', "loads http://example.org/a.png"),
        ("<style>@import 'https://example.org/a.css'</style>", "style loads https://example.org/a.css"),
        ('<p style="background: url(https://example.org/a.png)">', "style loads https://example.org/a.png"),
        ("<script>const U = 'https://unpkg.com/thebe'</script>", "script names https://unpkg.com"),
        ('<a href="executed/02-b.html">b</a>', "executed/02-b.html leads to no file"),
        ('<a href="executed/01-a.html#gone">b</a>', "no such place on that page"),
        ('<img src="pixel.png">', "image pixel.png has no alternative text"),
        ('<svg role="img" aria-label="" viewBox="0 0 1 1"></svg>', "image svg 0 0 1 1 has no alternative text"),
        ("<p>{glue:text}`x:.2f`</p>", "shows a raw {glue}"),
    ],
)
def test_a_fault_on_a_page_is_found(book, page, fault):
    (book / "site" / "index.html").write_text(page)
    assert any(fault in found for found in faults(book)), faults(book)


def test_links_to_the_world_are_no_requests(book):
    (book / "site" / "index.html").write_text('<a href="https://example.org">a link one may follow</a>')
    assert faults(book) == []


def test_a_missing_page_and_a_missing_chapter_are_found(book, capsys):
    (book / "site" / "executed" / "01-a.html").unlink()
    (book / "executed" / "01-a.ipynb").unlink()
    found = faults(book)
    assert "executed/01-a: in the table of contents, but there is no such file" in found
    assert "executed/01-a: page wasn't rendered" in found


def test_an_empty_image_and_a_loading_style_sheet_are_found(book):
    (book / "site" / "pixel.png").write_bytes(b"")
    (book / "site" / "_static" / "book.css").write_text("@import url(https://example.org/f.css)")
    found = "\n".join(faults(book))
    assert "../pixel.png is empty" in found
    assert "book.css: loads https://example.org/f.css" in found


def test_the_command_says_what_is_wrong_and_fails(book, monkeypatch, capsys):
    monkeypatch.setattr(check, "book_faults", lambda site: ["index: page wasn't rendered"])
    assert check.main([str(book / "site")]) == 1
    said = capsys.readouterr()
    assert "index: page wasn't rendered" in said.err
    assert "1 fault" in said.out
