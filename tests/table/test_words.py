from hypothesis import given
from hypothesis import strategies as st

from helpers.table.errors import QidError, SpecError
from helpers.table.words import MOST, one_line, shown, visible


@given(text=st.text(st.characters(), max_size=3000))
def test_a_message_is_one_line_that_moves_no_cursor(text):
    said = str(SpecError(text))
    assert len(said.splitlines()) <= 1
    assert "\x1b" not in said
    assert "\x9b" not in said
    said.encode()
    assert str(QidError(said)) == said or len(said) > MOST


def test_what_people_write_stays():
    for text in ("größe [v2] 模型 — 1\u202f000", "C:\\x", "'é'"):
        assert one_line(text) == visible(text) == text


def test_a_long_message_keeps_both_ends():
    said = str(SpecError("begins" + "x" * 100_000 + "accepted: end"))
    assert said.startswith("begins")
    assert said.endswith("accepted: end")
    assert len(said) == MOST


def test_a_value_is_cut():
    assert shown("abc") == "'abc'"
    assert len(shown(list(range(10_000)))) == 160
    assert visible("\x1b[31m\ud800\u202e") == "\\x1b[31m\\ud800\\u202e"
    assert visible("\udcc3\udcbc") == "ü"
    assert visible("\udcff") == "\\udcff"
