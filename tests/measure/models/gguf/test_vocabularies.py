"""Tokenizers made of SentencePiece's vocabularies, against the package sentencepiece on the same vocabulary."""

import json
import random

import pytest
from tests.measure.models.gguf import pieces
from tests.measure.models.gguf.pieces import TEXTS, parts_of
from tests.measure.tiny import ROOT

from helpers.measure.models.gguf.vocabularies import BYTE, NORMAL, UNKNOWN, UNUSED, USER_DEFINED, sentencepiece


@pytest.fixture(scope="module", params=[True, False], ids=["space before", "none before"])
def trained(request):
    """Return sentencepiece's model, and whether it puts a space before a text."""
    return pieces.trained(request.param), request.param


def test_text_is_read_as_sentencepiece_reads_it_and_comes_back(trained):
    model, space_before = trained
    made = sentencepiece(*parts_of(model), space_before)
    chance = random.Random(0)
    letters = [*"aabbb==--**   \n\n.,()eintr", "▁", "é", "語", "\x01", "the ", "in", "ing"]
    drawn = ["".join(chance.choices(letters, k=chance.randrange(1, 80))) for _ in range(2000)]
    pages = [path.read_text() for path in sorted((ROOT / "book").glob("*.md"))[:3]]
    for text in [*TEXTS, *drawn, *pages]:
        ids = made.encode(text, add_special_tokens=False).ids
        assert ids == model.encode(text), text[:80]
        assert made.decode(ids, skip_special_tokens=False) == text.replace("▁", " ")


def test_no_special_token_is_put_before_or_after_even_where_they_are_asked_for(trained):
    model, space_before = trained
    made = sentencepiece(*parts_of(model), space_before)
    assert made.encode("a b").ids == made.encode("a b", add_special_tokens=False).ids == model.encode("a b")
    assert made.encode("</s>", add_special_tokens=False).ids[-1] == model.eos_id()  # as a Llama's own tokenizer does


def test_of_two_ways_to_one_token_the_leftmost_neighbours_win():
    """`ababa` is ab + aba and aba + ba; in ab aba ba the first way is the left one, in runs of a the longer part is."""
    tokens = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "a", "b", "ab", "ba", "aba", "ababa"]
    kinds = [UNKNOWN, *[BYTE] * 256, *[NORMAL] * 6]
    made = sentencepiece(tokens, kinds, [0.0] * 259 + [-3.0, -4.0, -1.0, -2.0], False)
    assert made.encode("ababa").tokens == ["ababa"]
    merges = [tuple(pair) for pair in json.loads(made.to_str())["model"]["merges"]]
    assert merges.index(("ab", "aba")) < merges.index(("aba", "ba"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, k, s: s.__setitem__(-200, -3.25), "scores that are no ranks, as Unigram's are"),
        (lambda t, k, s: s.__setitem__(300, s[301]), "scores that tokens share"),
        (
            lambda t, k, s: (t.append("<|im_start|>"), k.append(USER_DEFINED), s.append(0.0)),
            "defined by a user: 1, such",
        ),
        (lambda t, k, s: k.__setitem__(300, UNUSED), "unused, but joined: 1, such as"),
        (lambda t, k, s: (t.append("ж!"), k.append(NORMAL), s.append(-9e3)), "character 'ж' of a token is none itself"),
        (lambda t, k, s: t.__setitem__(10, "other"), "255 bytes among the tokens; accepted: all 256"),
        (lambda t, k, s: t.__setitem__(10, t[11]), "1 tokens are there twice"),
        (lambda t, k, s: s.pop(), "1024 tokens, 1024 kinds, 1023 scores; accepted: as many of each"),
    ],
)
def test_what_cannot_be_made_exactly_is_refused_in_one_line(trained, change, message):
    model, space_before = trained
    parts = parts_of(model)
    change(*parts)
    with pytest.raises(ValueError, match=message) as caught:
        sentencepiece(*parts, space_before)
    assert "\n" not in str(caught.value)


def test_unused_tokens_that_nothing_makes_change_nothing(trained):
    """Converters fill a vocabulary up with `[PAD1024]`."""
    model, space_before = trained
    tokens, kinds, scores = parts_of(model)
    made = sentencepiece([*tokens, "[PAD1024]"], [*kinds, UNUSED], [*scores, -1000.0], space_before)
    assert made.encode("a [PAD1024]").ids == model.encode("a [PAD1024]")
