"""A person's own texts under a tokenizer: the study's own blocks, draws, shares."""

import pytest
import torch
from tests.measure.tiny import ROOT
from tokenizers import Tokenizer

from helpers.measure.text import token_blocks
from helpers.measure.text.corpus_lock import TADPOLE_TOKENIZER, read_lock
from helpers.measure.text.documents import Documents, calibration_named, text_named
from helpers.measure.text.own_texts import OwnTexts
from helpers.table.errors import CorpusError


@pytest.fixture
def tokenizer(monkeypatch) -> Tokenizer:
    monkeypatch.chdir(ROOT)
    return Tokenizer.from_file(str(TADPOLE_TOKENIZER))


def test_the_books_code_gives_the_blocks_of_the_study(tokenizer):
    lock = read_lock()
    own = OwnTexts((text_named("code"),), calibration_named("code"))
    blocks = own.blocks("wheels-heldout", tokenizer, 256, 64)
    dataset, expected = token_blocks.text_blocks("heldout", lock, tokenizer, 256, 64)
    assert dataset == "wheels-heldout"
    assert (blocks.sha256, blocks.documents, blocks.n_bytes) == (expected.sha256, expected.documents, expected.n_bytes)
    drawn, sha256 = own.drawn(tokenizer, 16, 64, seed=3)
    tokens, expected_sha256 = token_blocks.calibration_tokens(lock.calibration, tokenizer, 16, 64, seed=3)
    assert torch.equal(drawn, tokens)
    assert sha256 == expected_sha256


def own_of(*letters: str) -> OwnTexts:
    parts = tuple(Documents(letter, tuple(f"{letter} = {i}\n" * 200 for i in range(20))) for letter in letters)
    return OwnTexts(parts, parts)


def test_calibration_texts_have_the_same_share_and_draws_differ(tokenizer):
    own = own_of("a", "b")
    tokens, sha256 = own.drawn(tokenizer, 9, 32, seed=0)
    said = [tokenizer.decode(row) for row in tokens.tolist()]
    assert [("a" in text, "b" in text) for text in said] == [(True, False)] * 5 + [(False, True)] * 4
    assert len({tuple(row) for row in tokens.tolist()}) == 9
    assert own.drawn(tokenizer, 9, 32, seed=0)[1] == sha256 != own.drawn(tokenizer, 9, 32, seed=1)[1]
    assert own.calibration_dataset == "a+b"


def test_a_text_too_short_to_calibrate_is_refused_with_what_is_needed(tokenizer):
    own = OwnTexts((), (Documents("mine.txt", ("one two three " * 40,)),))
    with pytest.raises(CorpusError, match=r"mine.txt: too short to calibrate, \d+ sequences; needed: 99 of 8 tokens"):
        own.drawn(tokenizer, 99, 8, seed=0)


def test_bytes_are_those_of_utf_8(tokenizer):
    texts = tuple(f"{i} schöne Grüße, {i} 東京 " * 40 for i in range(20))
    blocks = OwnTexts((Documents("t", texts),), ()).blocks("t", tokenizer, 20, 32)
    whole = sum(len(tokenizer.decode(row).encode()) for row in blocks.tokens[:, 1:].tolist())
    assert blocks.n_bytes == pytest.approx(whole, rel=0.02)  # a character may be cut at a block's end


def test_halves_share_no_document_and_have_the_same_share_of_each_text(tokenizer):
    first, second = own_of("a", "b").halves(tokenizer, 8, 12, 32)
    assert [len(half.tokens) for half in (first, second)] == [8, 12]
    said = [[tokenizer.decode(row) for row in half.tokens.tolist()] for half in (first, second)]
    numbers = [{(text[0], text.split("\n")[0]) for text in half} for half in said]
    assert not numbers[0] & numbers[1]
    assert [sum("a" in text for text in half) for half in said] == [4, 6]
    assert [sorted(set(half.documents)) for half in (first, second)] == [list(range(8)), list(range(12))]


def test_halves_of_few_documents_are_passages_and_too_few_are_refused(tokenizer):
    long = Documents("long", ("".join(f"{i} = {i * i}\n" for i in range(3000)),))
    first, second = OwnTexts((long,), ()).halves(tokenizer, 8, 8, 32)
    assert len(set(map(tuple, torch.cat([first.tokens, second.tokens]).tolist()))) == 16
    short = Documents("short", ("".join(f"{i} = {i * i}\n" for i in range(20)),))
    with pytest.raises(
        CorpusError, match=r"short: too short, \d passages or documents of 33 tokens; needed: 4, to split"
    ):
        OwnTexts((short,), ()).halves(tokenizer, 8, 8, 32)
