"""The book as one page for the printer: unique ids, links that stay inside, solutions at the end."""

import re
import shutil

import pytest
import yaml
from bs4 import BeautifulSoup

import pdf

TOC = {
    "root": "index",
    "parts": [{"caption": "Learn & try", "chapters": [{"file": "executed/01-a"}, {"file": "glossary"}]}],
}
PAGE = """<html><head><link rel="stylesheet" href="{up}_static/book.css"/>
<script src="{up}_static/scripts/theme.js"></script><script src="{up}_static/mathjax/tex.js"></script>
<script>window.MathJax = 1</script><script>let other = 1</script></head>
<body><nav id="menu"></nav><article class="bd-article">{body}</article></body></html>"""
CHAPTER = """<section id="top"><h1>1. Title "A" &lt;b&gt; &amp; c<a class="headerlink" href="#top">#</a></h1>
<p>See <a href="../glossary.html#term-x">x</a>, <a href="#top">here</a>, <a href="https://example.org/">there</a>,
<a href="../slides.html">slides</a>.</p>
<img src="../_images/a.png" alt="a"/><svg><clipPath id="clip"></clipPath><g clip-path="url(#clip)"><use xlink:href="#clip"></use></g></svg>
<p><strong>1.</strong> Why?</p><div class="admonition dropdown"><p class="admonition-title">Answer</p><p>Because.</p></div>
<p><strong>2.</strong> How?</p>
<div class="cell solution tag_hide-cell"><details><summary>Show a solution</summary><pre>code</pre></details></div>
<div class="cell tag_hide-cell"><details><summary>Table</summary><pre>folded</pre></details></div></section>"""


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "book"
    (site / "executed").mkdir(parents=True)
    (site / "index.html").write_text(
        PAGE.format(up="", body='<h1 id="top">Start</h1><a href="executed/01-a.html">1</a>')
    )
    (site / "executed/01-a.html").write_text(PAGE.format(up="../", body=CHAPTER))
    (site / "glossary.html").write_text(PAGE.format(up="", body='<h1 id="top">Glossary</h1><p id="term-x">x</p>'))
    return site


@pytest.fixture
def book(site):
    return BeautifulSoup(pdf.joined(site, TOC, "The book", "Somebody", "../html"), "html.parser")


def test_pages_come_in_the_order_of_the_contents_each_once(book):
    assert [tag["id"] for tag in book.select("article")] == ["index--", "executed-01-a--", "glossary--", "solutions"]
    assert [link.text for link in book.select(".book-contents li a")] == [
        "Learn & try",
        '1. Title "A" <b> & c',
        "Glossary",
        "Solutions",
    ]
    assert [tag.text for tag in book.select(".title-page h1, .part h1")] == ["The book", "Learn & try"]


def test_every_id_is_unique_and_every_link_inside_leads_somewhere(book):
    ids = [tag["id"] for tag in book.find_all(id=True)]
    assert len(ids) == len(set(ids))
    links = [tag.get("href") or tag.get("xlink:href") for tag in book.select("a, use")]
    assert [link for link in links if link.startswith("#") and link[1:] not in ids] == []
    assert {link for link in links if not link.startswith("#")} == {"https://example.org/", "../slides.html"}
    assert book.select_one("g")["clip-path"] == "url(#executed-01-a--clip)"


def test_solutions_stand_at_the_end_with_the_number_of_their_exercise_and_a_link_in_their_place(book):
    chapter, end = book.select_one("#executed-01-a--"), book.select_one("#solutions")
    assert "Because." not in chapter.text
    assert "code" not in chapter.text
    assert "folded" in chapter.text, "no solution"
    assert [tag.text for tag in end.select("h2, h3")] == ['1. Title "A" <b> & c', "Exercise 1.1", "Exercise 1.2"]
    assert "Because." in end.text
    assert not end.select("details, summary, .admonition-title")
    places = [link["href"] for link in chapter.select(".to-solution a")]
    assert places == [f"#{section['id']}" for section in end.select("section")]


def test_files_are_found_from_where_the_book_lies_and_scripts_of_the_screen_stay_away(book):
    assert book.select_one("img")["src"] == "../html/_images/a.png"
    assert [tag["href"] for tag in book.select("link")] == ["../html/_static/book.css"]
    assert [tag.get("src") for tag in book.select("script")] == ["../html/_static/mathjax/tex.js", None]
    assert not book.select(".headerlink, #menu")


def test_each_chapter_s_title_stands_at_the_foot_of_its_pages(book):
    (styles,) = [tag.text for tag in book.select("style")]
    feet = dict(re.findall(r'@page p-(\S+) \{ @bottom-left \{ content: "(.*?)";', styles))
    assert feet == {"index--": "Start", "executed-01-a--": "1. Title 'A' <b> & c", "glossary--": "Glossary"}
    assert book.select_one("#executed-01-a--")["style"] == "page: p-executed-01-a--"


def test_a_page_that_is_missing_and_a_browser_that_is_missing_are_one_line(site, monkeypatch):
    (site / "glossary.html").unlink()
    with pytest.raises(pdf.PdfError, match=r"glossary\.html isn't there: make book$"):
        pdf.joined(site, TOC, "The book", "Somebody", "..")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pdf.PdfError, match=r"^no Chromium found; accepted: one of chromium, "):
        pdf.browser()


@pytest.mark.skipif(not any(map(shutil.which, pdf.BROWSERS)), reason="no Chromium found")
def test_the_printed_book_has_its_pages_and_says_how_large_it_is(site, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pdf, "BOOK", site)
    (site / "_toc.yml").write_text(yaml.safe_dump(TOC))
    (site.parent / "_config.yml").write_text("title: The book\nauthor: Somebody\n")
    for name in ("_static/mathjax/tex.js", "_static/book.css"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("")
    for name in ("index", "executed/01-a", "glossary"):
        path = site / f"{name}.html"
        path.write_text(path.read_text().replace("window.MathJax = 1", "'MathJax'"))
    target = tmp_path / "build" / "book.pdf"
    assert pdf.main([str(site), str(target)]) == 0
    printed = target.read_bytes()
    assert printed.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", printed)) == 7, "title, contents, start, part, two pages, solutions"
    assert re.fullmatch(rf"{re.escape(str(target))}: \d+\.\d MiB\n", capsys.readouterr().out)
