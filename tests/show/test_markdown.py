"""Names and messages planted with HTML and Markdown come out of a renderer as the text they are."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from helpers.show.markdown import code, plain
from helpers.table.words import visible

PLANTED = [
    "x`<script>window.PWNED=1</script>`<img src=x onerror='window.PWNED=1'>",
    "<!--<script>",
    "a*b*_c_ [x](javascript:alert(1)) ![y](z) &lt; &amp; `",
    "``",
    " `x` ",
    "tadpole-64x3-lr0.002",
    "# no heading\n\n- no list",
]


def shown(markdown: str) -> tuple[str, set[str]]:
    """The text that a browser shows, and the elements that it makes."""
    page = MarkdownIt("commonmark", {"html": True}).render(f"Run {markdown} branched.")
    return html.unescape(re.sub("<[^>]*>", "", page)).strip(), set(re.findall(r"<(\w+)", page))


@pytest.mark.parametrize("text", PLANTED)
def test_planted_text_is_shown_as_it_is(text):
    assert shown(plain(text)) == (f"Run {visible(text)} branched.", {"p"})
    assert shown(code(text)) == (f"Run {visible(text)} branched.", {"p", "code"})


@given(text=st.text(st.sampled_from("`<>!-&ab \\*[]()#;x\n"), min_size=1, max_size=30))
def test_no_text_becomes_an_element(text):
    assert shown(plain(text))[1] == {"p"}
    words, elements = shown(code(text))
    assert elements == {"p", "code"}
    assert words.replace(" ", "") == f"Run{visible(text)}branched.".replace(" ", "")


def test_the_usual_name_reads_as_before():
    assert code("tadpole-64x3") == "`tadpole-64x3`"
