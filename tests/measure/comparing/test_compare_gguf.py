"""GGUF files beside their 16-bit original: gguf's own decoding in transformers' own model, bits by the formats' blocks."""

import json
import math
import sys

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.measure.tiny import ROOT

from helpers.measure.comparing.compare import Wanted, compare
from helpers.measure.models import checkpoints
from helpers.measure.models.gguf import gguf_files
from helpers.measure.text.documents import read_documents
from helpers.measure.text.extent import Amounts
from helpers.measure.text.own_texts import blocks_of_documents
from helpers.table.errors import CheckpointError

gguf = pytest.importorskip("gguf")
from tests.measure.models.gguf import test_gguf_files as tiny  # noqa: E402 (it needs the package)

ROUNDING = 1e-5  # float32's, of the same operations in another order
N_WINDOWS, SEQ_LEN = 40, 16
BITS = {"Q8_0": 8.5, "Q4_0": 4.5}  # 32 codes and a scale of 16 bits


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with the tiny Llama as `original`, and a text."""
    monkeypatch.setattr(gguf_files, "CACHE", tmp_path / "cache")
    tiny.llama().save_pretrained(tmp_path / "original")
    (tmp_path / "original/tokenizer.json").write_bytes((ROOT / "data/tadpole/tokenizer.json").read_bytes())
    rng = np.random.default_rng(0)
    words = ["aone", "btwo_", " three", "(4)", "\n", "def", "half", "x / 22"]
    lines = [json.dumps({"text": " ".join(rng.choice(words, 60))}) for _ in range(20)]
    (tmp_path / "words.jsonl").write_text("\n".join(lines))
    return tmp_path


def compared(place, base, *others):
    wanted = Wanted(str(base), tuple(map(str, others)), (str(place / "words.jsonl"),), Amounts(N_WINDOWS, 0), SEQ_LEN)
    return compare(wanted, "cpu", Console(quiet=True))


def decoded(kind: str):
    """Return the tiny Llama with every matrix as gguf decodes what it stored, in transformers' order of rows."""
    model, stored = tiny.llama(), gguf.GGMLQuantizationType[kind]
    for weight in model.parameters():
        if weight.ndim > 1:  # blocks lie within rows, so the order of rows doesn't matter
            codes = gguf.quants.quantize(weight.numpy(), stored)
            weight.copy_(torch.from_numpy(gguf.quants.dequantize(codes, stored)))
    return model


@pytest.mark.parametrize("kind", BITS)
def test_a_file_has_the_loss_of_what_gguf_decodes_of_it(place, kind):
    (line,) = compared(place, place / "original", tiny.write(place / "m.gguf", kind)).lines
    tokenizer = checkpoints.tokenizer_of(place / "original")
    blocks = blocks_of_documents(read_documents(place / "words.jsonl"), tokenizer, N_WINDOWS, SEQ_LEN)
    tokens, logits = blocks.tokens, []
    for model in (tiny.llama(), decoded(kind)):
        logits.append(model(tokens[:, :-1]).logits.flatten(0, 1).double().log_softmax(-1))
    losses = [torch.nn.functional.nll_loss(each, tokens[:, 1:].flatten()).item() for each in logits]
    kl = (logits[0].exp() * (logits[0] - logits[1])).sum(-1).mean().item()
    assert (line.original_loss_nats, line.loss_nats) == pytest.approx(losses, abs=ROUNDING)
    assert line.kl_nats == pytest.approx(kl, abs=ROUNDING)
    assert kl > 100 * ROUNDING  # rounding does something
    assert line.perplexity_ratio == pytest.approx(math.exp(losses[1] - losses[0]), rel=2 * ROUNDING)
    assert (line.format, line.bits_per_weight, line.original_bits_per_weight) == (f"gguf {kind}", BITS[kind], 32)
    assert (line.n_tokens, line.n_documents, line.eval_sha256) == (N_WINDOWS * SEQ_LEN, 20, blocks.sha256)


def test_a_file_in_16_bits_is_the_original(place):
    (line,) = compared(place, place / "original", tiny.write(place / "m.gguf", "F16")).lines
    assert (line.format, line.bits_per_weight) == ("gguf F16", 16)
    assert line.kl_nats < 1e-4


def test_another_model_s_file_is_refused_with_what_differs(place, monkeypatch):
    wider = tiny.write(place / "wide.gguf", "Q4_0")
    settings = json.loads((place / "original/config.json").read_text())
    (place / "original/config.json").write_text(json.dumps(settings | {"rms_norm_eps": 1e-5}))
    (failure,) = compared(place, place / "original", wider).failures
    assert failure.endswith("another architecture: 'rms_norm_eps' is 9.999999974752427e-07, the original's is 1e-05")
    (place / "original/config.json").write_text(json.dumps(settings))
    model = tiny.llama()
    model.model.norm.weight.mul_(1.5)
    monkeypatch.setattr(tiny, "llama", lambda width: model)
    (failure,) = compared(place, place / "original", tiny.write(place / "other.gguf", "Q4_0")).failures
    assert "not a copy of the original: 'model.norm.weight' differs by up to 0.5" in failure


def test_another_vocabulary_is_refused(place, monkeypatch):
    vocabulary = dict(tiny.TOKENIZER["model"]["vocab"])
    first = next(token for token, at in vocabulary.items() if at == 900)
    merges = [pair for pair in tiny.TOKENIZER["model"]["merges"] if first not in ("".join(pair), *pair)]
    vocabulary["zzzz"] = vocabulary.pop(first)
    other = {"model": {"vocab": vocabulary, "merges": merges}}
    monkeypatch.setattr(tiny, "TOKENIZER", other)
    (failure,) = compared(place, place / "original", tiny.write(place / "m.gguf", "Q4_0")).failures
    assert "another vocabulary than the original's: 2 tokens, such as" in failure


def test_a_file_as_the_original_is_refused_before_anything_is_read(place):
    with pytest.raises(CheckpointError, match=r"m\.gguf: a GGUF file, whose weights were rounded before; accepted as"):
        compared(place, place / "m.gguf", place / "original")
    assert not (place / "cache").exists()


def test_without_the_package_that_is_said(place, monkeypatch):
    file = tiny.write(place / "m.gguf", "Q4_0")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(CheckpointError, match=r"m\.gguf: a GGUF file needs the package gguf .*; it isn't installed"):
        compared(place, place / "original", file)
