"""GGUF files as checkpoints: files that the package `gguf` writes of a tiny Llama, against that Llama."""

import json
import os
import random
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.measure.models.gguf import pieces
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from helpers.measure.models import checkpoints
from helpers.measure.models.gguf.gguf_files import (
    NOTE,
    RoundedBefore,
    cached_checkpoint_of,
    rounded_before,
    write_checkpoint_of,
)
from helpers.table.errors import CheckpointError
from helpers.table.records import verified

gguf = pytest.importorskip("gguf")

ROOT = Path(__file__).parents[4]
HEADS, KEY_HEADS = 4, 2
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
TOKENIZER = json.loads((ROOT / "data/tadpole/tokenizer.json").read_text())
TEXT = "def half(x):\n    return x / 22  # naïve <|endoftext|>"


def llama(width: int = 64) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=1024, hidden_size=width, intermediate_size=96 if width == 64 else width, num_hidden_layers=2, num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS, max_position_embeddings=128, tie_word_embeddings=True, initializer_range=0.2,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0}, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return LlamaForCausalLM(config).eval().requires_grad_(False)


def in_pairs(weight: np.ndarray, heads: int) -> np.ndarray:
    """Return the rows of a head in the order of llama.cpp: a rotated pair lies side by side, not half a head apart."""
    return weight.reshape(heads, 2, -1, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


def tensors_of(model: LlamaForCausalLM) -> dict[str, np.ndarray]:
    named = {}
    for name, tensor in model.state_dict().items():
        weight, parts = tensor.numpy(), name.split(".")
        if name.startswith("model.layers."):
            inside = ".".join(parts[3:-1])
            heads = {"self_attn.q_proj": HEADS, "self_attn.k_proj": KEY_HEADS}.get(inside)
            named[f"blk.{parts[2]}.{NAMES[inside]}.weight"] = weight if heads is None else in_pairs(weight, heads)
        elif name != "lm_head.weight":
            named[
                {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}[name]
            ] = weight
    return named


def write(
    path: Path,
    kind: str = "F32",
    architecture: str = "llama",
    split: str = "gpt-2",
    leave_out: str = "",
    width: int = 64,
    pieces: tuple[list[str], list[int], list[float]] | None = None,
    more: dict[str, bool] | None = None,
    **config,
) -> Path:
    """Write the tiny Llama as a GGUF file; matrices are stored as `kind`.

    With `pieces` its tokenizer is SentencePiece's: tokens, kinds, scores; `more` are further keys of the header.
    """
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.get("layers", 2))
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(96 if width == 64 else width)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_rope_dimension_count(width // HEADS)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(1024)
    writer.add_tokenizer_model("llama" if pieces else "gpt2")
    writer.add_tokenizer_pre("default" if pieces else split)
    vocabulary = sorted(TOKENIZER["model"]["vocab"], key=TOKENIZER["model"]["vocab"].get)
    writer.add_token_list(pieces[0] if pieces else vocabulary)
    writer.add_token_types(pieces[1] if pieces else [3] + [1] * (len(vocabulary) - 1))
    if pieces:
        writer.add_token_scores(pieces[2])
    else:
        writer.add_token_merges([" ".join(pair) for pair in TOKENIZER["model"]["merges"]])
    for key, value in (more or {}).items():
        writer.add_bool(key, value)
    for name, weight in tensors_of(llama(width)).items():
        if name == leave_out:
            continue
        stored = gguf.GGMLQuantizationType[kind if weight.ndim > 1 else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(weight, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def loaded(folder: Path):
    return checkpoints.load(checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None), "cpu")


def test_a_file_in_float32_is_the_model_it_was_made_of(tmp_path):
    note = write_checkpoint_of(write(tmp_path / "m.gguf"), tmp_path / "out")
    model, original = loaded(tmp_path / "out"), llama()
    theirs = original.state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in model.state_dict().items())
    tokens = torch.arange(60).reshape(2, 30)
    assert torch.equal(model(tokens).logits, original(tokens).logits)
    assert not note.rounded
    assert note.mean_bits == note.bits_of_blocks == 32


def test_its_tokenizer_reads_text_as_the_one_it_was_made_of(tmp_path):
    write_checkpoint_of(write(tmp_path / "m.gguf"), tmp_path / "out")
    made = checkpoints.tokenizer_of(tmp_path / "out")
    original = Tokenizer.from_file(str(ROOT / "data/tadpole/tokenizer.json"))
    ids = made.encode(TEXT, add_special_tokens=False).ids
    assert ids == original.encode(TEXT, add_special_tokens=False).ids
    assert 0 in ids  # the end of text is one token
    assert made.decode(ids, skip_special_tokens=False) == TEXT


def test_smollm_splits_digits_from_each_other(tmp_path):
    write_checkpoint_of(write(tmp_path / "m.gguf", split="smollm"), tmp_path / "out")
    tokens = checkpoints.tokenizer_of(tmp_path / "out").encode("x = 2026", add_special_tokens=False).tokens
    assert tokens[-4:] == ["2", "0", "2", "6"]


@pytest.mark.parametrize(("split", "words"), [("llama-bpe", ["202", "6"]), ("qwen2", ["2", "0", "2", "6"])])
def test_a_split_of_its_own_is_that_of_the_models_own_tokenizers(tmp_path, split, words):
    """Digits go by three in Llama 3's tokenizer and one by one in Qwen 2's; `isn't` and ends of lines alike in both."""
    write_checkpoint_of(write(tmp_path / "m.gguf", split=split), tmp_path / "out")
    made = checkpoints.tokenizer_of(tmp_path / "out")
    pieces = [piece for piece, _ in made.pre_tokenizer.pre_tokenize_str("2026")]
    assert pieces == words
    assert made.model.ignore_merges == (split == "llama-bpe")
    text = "He isn't here,\n\n  said e\u0301mile"
    pieces = [piece for piece, _ in made.pre_tokenizer.pre_tokenize_str("He isn't here,\n\n  said")]
    assert pieces == ["He", "Ġisn", "'t", "Ġhere", ",ĊĊ", "Ġ", "Ġsaid"]
    back = made.decode(made.encode(text, add_special_tokens=False).ids)
    assert back == (unicodedata.normalize("NFC", text) if split == "qwen2" else text)


@pytest.fixture(scope="module")
def trained():
    """Return sentencepiece's model of as many tokens as the tiny Llama has."""
    return pieces.trained(space_before=True)


def test_a_file_with_sentencepieces_tokenizer_reads_text_as_sentencepiece_does(tmp_path, trained):
    for name, more in (("m", {}), ("n", {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": True})):
        write_checkpoint_of(
            write(tmp_path / f"{name}.gguf", pieces=pieces.parts_of(trained), more=more), tmp_path / name
        )
        made = checkpoints.tokenizer_of(tmp_path / name)
        for text in pieces.TEXTS:
            assert made.encode(text, add_special_tokens=False).ids == trained.encode(text)
    without = {"tokenizer.ggml.add_space_prefix": False}
    write_checkpoint_of(write(tmp_path / "o.gguf", pieces=pieces.parts_of(trained), more=without), tmp_path / "o")
    made = checkpoints.tokenizer_of(tmp_path / "o")
    assert made.encode(" a b", add_special_tokens=False).ids == trained.encode("a b"), "its own space, and no other"


@pytest.mark.parametrize("key", ["remove_extra_whitespaces", "precompiled_charsmap"])
def test_a_file_whose_text_would_be_changed_before_it_is_read_is_refused(tmp_path, trained, key):
    path = write(tmp_path / "m.gguf", pieces=pieces.parts_of(trained), more={f"tokenizer.ggml.{key}": True})
    with pytest.raises(
        CheckpointError, match=r"m\.gguf: not a tokenizer that can be read .text is changed before"
    ) as caught:
        write_checkpoint_of(path, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_scores_that_are_no_ranks_and_scores_that_are_missing_are_one_line(tmp_path, trained):
    tokens, kinds, scores = pieces.parts_of(trained)
    for given, message in (([score / 7 for score in scores], "no ranks, as Unigram's are"), (scores[:9], "9 scores;")):
        with pytest.raises(CheckpointError, match=rf"m\.gguf: not a tokenizer that can be read .*{message}") as caught:
            write_checkpoint_of(write(tmp_path / "m.gguf", pieces=(tokens, kinds, given)), tmp_path / "out")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


SCALES = {
    "Q2_K": slice(-4, None),
    "Q3_K": slice(-2, None),
    "Q4_K": slice(0, 4),
    "Q5_K": slice(0, 4),
    "Q6_K": slice(-2, None),
}


@pytest.mark.parametrize("kind", SCALES)
def test_blocks_of_blocks_are_read_as_their_own_package_does(tmp_path, kind, monkeypatch):
    """K-quants can't be written here: their bytes are drawn, but for the scales, which are 0.01."""
    stored = gguf.GGMLQuantizationType[kind]
    n_weights, n_bytes = gguf.GGML_QUANT_SIZES[stored]
    drawn = {}

    def draw(weight, wanted):
        if wanted != stored:
            return weight
        rng = np.random.default_rng(len(drawn))
        data = rng.integers(0, 256, (weight.shape[0], weight.shape[1] // n_weights, n_bytes), dtype=np.uint8)
        scales = np.full(len(range(n_bytes)[SCALES[kind]]) // 2, 0.01, dtype=np.float16).view(np.uint8)
        data[..., SCALES[kind]] = scales
        drawn[len(drawn)] = data.reshape(weight.shape[0], -1)
        return drawn[len(drawn) - 1]

    monkeypatch.setattr(gguf.quants, "quantize", draw)
    note = write_checkpoint_of(write(tmp_path / "m.gguf", kind=kind, width=256), tmp_path / "out")
    assert set(note.types) == {"F32", kind}
    assert note.bits_of_blocks == 8 * n_bytes / n_weights
    state = loaded(tmp_path / "out").state_dict()
    read = {name: weight.numpy() for name, weight in state.items() if "v_proj" in name or "down_proj" in name}
    expected = [gguf.quants.dequantize(data, stored) for data in drawn.values()]
    for name, weight in read.items():
        assert any(weight.shape == each.shape and np.array_equal(weight, each) for each in expected), name


def test_rounded_weights_are_the_codes_times_their_scale_and_the_note_says_so(tmp_path):
    """Q4_1: 32 weights are a scale and a minimum in float16, then 4-bit codes, low halves of the bytes first."""
    path = write(tmp_path / "m.gguf", "Q4_1")
    note = write_checkpoint_of(path, tmp_path / "out")
    written = loaded(tmp_path / "out").state_dict()["model.layers.1.mlp.up_proj.weight"].numpy()
    original = tensors_of(llama())["blk.1.ffn_up.weight"]
    blocks = gguf.quants.quantize(original, gguf.GGMLQuantizationType.Q4_1).reshape(-1, 20)
    scale, least = blocks[:, :4].copy().view(np.float16).astype(np.float32).T
    codes = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    assert np.array_equal(written.reshape(-1, 32), codes * scale[:, None] + least[:, None])
    assert not np.array_equal(written, original)
    n_matrices, n_norms = 2 * (64 * 64 * 2 + 32 * 64 * 2 + 96 * 64 * 3) + 1024 * 64, 5 * 64
    assert note == RoundedBefore({"Q4_1": n_matrices, "F32": n_norms}, note.mean_bits, 5.0)
    assert note.mean_bits == pytest.approx((5 * n_matrices + 32 * n_norms) / (n_matrices + n_norms))
    assert note.rounded
    stored = verified(json.loads((tmp_path / "out" / NOTE).read_text()))
    assert RoundedBefore(**stored) == note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "mamba"}, r"m\.gguf: architecture 'mamba'; accepted: gpt2, llama, qwen2, qwen3"),
        ({"split": "qwen35"}, r"m\.gguf: tokenizer 'gpt2' that splits as 'qwen35'; accepted: .* gpt-2, smollm"),
        (
            {"leave_out": "blk.1.ffn_up.weight"},
            r"m\.gguf: can't be read \(127,296 parameters by the header, 121,152 stored",
        ),
        ({"layers": 5000}, r"m\.gguf: can't be read \(5000 blocks in the header, tensors of 2\)"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, options, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        write_checkpoint_of(write(tmp_path / "m.gguf", **options), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.gguf"]


def test_what_is_no_gguf_file_or_ends_early_is_one_line(tmp_path):
    whole = write(tmp_path / "m.gguf", "Q4_1").read_bytes()
    path = tmp_path / "cut.gguf"
    for content in (b"", b"GGU", b"PK\x03\x04 a wheel", *(whole[: len(whole) * k // 12] for k in range(1, 12))):
        path.write_bytes(content)
        expected = "not a whole GGUF file" if content.startswith(b"GGUF") else "not a GGUF file"
        with pytest.raises(CheckpointError, match=expected) as caught:
            write_checkpoint_of(path, tmp_path / "out")
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="No such file"):
        write_checkpoint_of(tmp_path / "absent.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_package_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(CheckpointError, match=r"needs the package gguf .*; it isn't installed"):
        write_checkpoint_of(tmp_path / "m.gguf", tmp_path / "out")


@pytest.mark.filterwarnings("ignore")  # numpy's, of numbers that overflow where a scale was damaged
def test_flipped_bits_of_the_header_give_no_traceback(tmp_path):
    whole, chance = write(tmp_path / "m.gguf", "Q4_1").read_bytes(), random.Random(5)
    path, refused = tmp_path / "flipped.gguf", 0
    for trial in range(30):
        damaged = bytearray(whole)
        damaged[chance.randrange(4, 1500)] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            write_checkpoint_of(path, tmp_path / f"out-{trial}")
        except CheckpointError as error:
            refused += "\n" not in str(error)
            assert not (tmp_path / f"out-{trial}").exists()
    assert refused > 5


def test_a_file_becomes_a_folder_once_and_another_file_of_that_name_another_folder(tmp_path, monkeypatch):
    path, cache = write(tmp_path / "m.Q4_0.gguf", "Q4_0"), tmp_path / "cache"
    folder = cached_checkpoint_of(path, cache)
    assert folder.name == "m.Q4_0"
    made = {each.name: each.stat().st_mtime_ns for each in folder.iterdir()}
    monkeypatch.setitem(sys.modules, "gguf", None)  # what is there needs no package
    assert cached_checkpoint_of(path, cache) == folder
    assert {each.name: each.stat().st_mtime_ns for each in folder.iterdir()} == made
    monkeypatch.undo()
    write(path, "Q8_0")
    other = cached_checkpoint_of(path, cache)
    assert (other.name, other.parent.parent, other != folder) == (folder.name, cache, True)


def test_a_file_that_is_refused_leaves_nothing_in_the_cache(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF and no more")
    with pytest.raises(CheckpointError, match=r"m\.gguf: not a whole GGUF file"):
        cached_checkpoint_of(tmp_path / "m.gguf", tmp_path / "cache")
    assert not [each for each in (tmp_path / "cache").rglob("*") if each.is_file()]
    with pytest.raises(CheckpointError, match=r"none\.gguf: No such file"):
        cached_checkpoint_of(tmp_path / "none.gguf", tmp_path / "cache")


def test_the_note_of_a_folder_is_there_where_weights_were_rounded(tmp_path):
    folder = cached_checkpoint_of(write(tmp_path / "m.gguf", "Q4_0"), tmp_path)
    note = rounded_before(folder)
    assert note.bits_of_blocks == 4.5  # 16 bits of scale for 32 codes of 4
    assert str(note).startswith("weights that were rounded before, to 4.50 bits a weight in the blocks (")
    assert "Q4_0 99." in str(note)
    assert rounded_before(cached_checkpoint_of(write(tmp_path / "f.gguf", "F16"), tmp_path)) is None
    assert rounded_before(tmp_path) is None
    (folder / NOTE).write_text((folder / NOTE).read_text().replace("4.5", "5.5"))
    with pytest.raises(CheckpointError, match="rounded-before.json: not a note on weights that were rounded before"):
        rounded_before(folder)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.gguf")
    for read in (
        lambda path: write_checkpoint_of(path, tmp_path / "out"),
        lambda path: cached_checkpoint_of(path, tmp_path),
    ):
        with pytest.raises(CheckpointError, match=r"m\.gguf: a pipe or a device; accepted: a file"):
            read(tmp_path / "m.gguf")


def test_a_header_of_other_bytes_than_text_and_a_token_that_is_there_twice_are_one_line(tmp_path):
    whole = write(tmp_path / "m.gguf").read_bytes()
    at = whole.index(b"tokenizer.ggml.tokens")
    path = tmp_path / "damaged.gguf"
    path.write_bytes(whole[:at] + whole[at:].replace(b"<|endoftext|>", b"\xff" * 13, 1))
    with pytest.raises(CheckpointError, match="not a whole GGUF file .*utf-8"):
        write_checkpoint_of(path, tmp_path / "out")
    path.write_bytes(whole[:at] + whole[at:].replace(b"\1\0\0\0\0\0\0\0b", b"\1\0\0\0\0\0\0\0a", 1))
    with pytest.raises(CheckpointError, match="not a tokenizer that can be read .1 tokens are there twice"):
        write_checkpoint_of(path, tmp_path / "out")


@pytest.mark.parametrize("count", [0, 2**31, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("at", [8, 16])  # the numbers of tensors and of keys
def test_absurd_counts_are_one_line_and_take_no_memory(tmp_path, at, count):
    whole = bytearray(write(tmp_path / "m.gguf").read_bytes())
    whole[at : at + 8] = count.to_bytes(8, "little")
    (tmp_path / "m.gguf").write_bytes(whole)
    with pytest.raises(CheckpointError) as caught:
        write_checkpoint_of(tmp_path / "m.gguf", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
