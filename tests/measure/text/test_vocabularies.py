"""Tokenizers made of SentencePiece's vocabularies, against the package sentencepiece on the same vocabulary."""

import io
import random
from pathlib import Path

import pytest

from helpers.measure.text.vocabularies import NORMAL, SPECIAL, UNUSED, USER_DEFINED, sentencepiece

library = pytest.importorskip("sentencepiece")

ROOT = Path(__file__).parents[3]
UNKNOWN, BYTE = 2, 6
TEXTS = [
    "", " ", "   ", "a", " a", "  two spaces, and more    at the end  ", "\n", "\n\n\n  x\n\ttab\r\n", "def half(x):\n    return x / 22",
    "naïve café, e\u0301mile, Straße, 日本語, 🙂👩‍👩‍👧, \u2581 a letter \u2581\u2581", "\x00\x01\x7f", "=" * 77, "-" * 31 + " " + "*" * 9,
    " " * 63 + "x" + " " * 17, "ababababa aaaaabaaab", "<0x0A><0xE2>",
]  # fmt: skip


@pytest.fixture(scope="module", params=[True, False], ids=["space before", "none before"])
def trained(request):
    """Return a vocabulary that sentencepiece trained on this project's pages, and whether it puts a space before."""
    pages = "\n".join(path.read_text() for path in sorted(ROOT.glob("*.md"))[:4])
    lines = [line for line in pages.splitlines() if line.strip()][:600] + ["====", "--------", "    x", "abababab aaaa"] * 40
    file = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=file, vocab_size=1024, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=request.param,
        allow_whitespace_only_pieces=True, split_by_whitespace=False, character_coverage=1.0, minloglevel=2,
    )  # fmt: skip
    return library.SentencePieceProcessor(model_proto=file.getvalue()), request.param


def parts_of(model) -> tuple[list[str], list[int], list[float]]:
    """Return tokens, kinds and scores as llama.cpp's converter writes them."""
    ids = range(model.get_piece_size())
    kinds = [
        UNKNOWN if model.is_unknown(i) else SPECIAL if model.is_control(i) else BYTE if model.is_byte(i) else NORMAL
        for i in ids
    ]
    return [model.id_to_piece(i) for i in ids], kinds, [model.get_score(i) for i in ids]


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
    merges = [tuple(pair) for pair in __import__("json").loads(made.to_str())["model"]["merges"]]
    assert merges.index(("ab", "aba")) < merges.index(("aba", "ba"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, k, s: s.__setitem__(-200, -3.25), "scores that are no ranks, as Unigram's are"),
        (lambda t, k, s: s.__setitem__(300, s[301]), "scores that tokens share"),
        (lambda t, k, s: (t.append("<|im_start|>"), k.append(USER_DEFINED), s.append(0.0)), "defined by a user: 1, such"),
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
