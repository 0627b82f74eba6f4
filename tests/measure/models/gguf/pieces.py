"""Vocabularies that the package sentencepiece trains on this project's pages, as GGUF files hold them."""

import io

import pytest
from tests.measure.tiny import ROOT

from helpers.measure.models.gguf.vocabularies import BYTE, NORMAL, SPECIAL, UNKNOWN

library = pytest.importorskip("sentencepiece")

TEXTS = [
    "", " ", "   ", "a", " a", "  two spaces, and more    at the end  ", "\n", "\n\n\n  x\n\ttab\r\n", "def half(x):\n    return x / 22",
    "naïve café, e\u0301mile, Straße, 日本語, 🙂👩‍👩‍👧, \u2581 a letter \u2581\u2581", "\x00\x01\x7f", "=" * 77, "-" * 31 + " " + "*" * 9,
    " " * 63 + "x" + " " * 17, "ababababa aaaaabaaab", "<0x0A><0xE2>",
]  # fmt: skip


def trained(space_before: bool):
    """Return a model of 1,024 tokens, BPE with bytes for what it doesn't know, that changes no text."""
    text = "\n".join(path.read_text() for path in sorted(ROOT.glob("*.md"))[:4])
    lines = [line for line in text.splitlines() if line.strip()][:600]
    runs = ["====", "--------", "    x", "abababab aaaa"] * 40
    file = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(lines + runs), model_writer=file, vocab_size=1024, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=space_before,
        allow_whitespace_only_pieces=True, split_by_whitespace=False, character_coverage=1.0, minloglevel=2,
    )  # fmt: skip
    return library.SentencePieceProcessor(model_proto=file.getvalue())


def parts_of(model) -> tuple[list[str], list[int], list[float]]:
    """Return tokens, kinds and scores as llama.cpp's converter writes them."""
    ids = range(model.get_piece_size())
    kinds = [
        UNKNOWN if model.is_unknown(i) else SPECIAL if model.is_control(i) else BYTE if model.is_byte(i) else NORMAL
        for i in ids
    ]
    return [model.id_to_piece(i) for i in ids], kinds, [model.get_score(i) for i in ids]
