"""Exports beside their original: the losses that the sweep's evaluation has; errors by hand; who is refused, and how."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.measure.foreign import write_model
from tests.measure.packed_models import HALF_SCALES, llama, rounded_by, scheme, written
from tests.measure.tiny import ROOT, tiny_model
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from helpers.measure.comparing.compare import Wanted, compare
from helpers.measure.models import checkpoints
from helpers.measure.models.hub import having
from helpers.measure.models.memory import default_budget
from helpers.measure.packing import export, gptq_format, release
from helpers.measure.rounding import one_checkpoint
from helpers.measure.rounding.methods import rtn
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.scoring import own_forward
from helpers.measure.scoring.evaluate import evaluate
from helpers.measure.text.documents import read_documents
from helpers.measure.text.extent import Amounts
from helpers.measure.text.own_texts import windows_of
from helpers.measure.text.token_blocks import blocks_of
from helpers.table import files
from helpers.table.errors import CheckpointError, CorpusError, SpecError
from helpers.table.families import catalogue

ROUNDING = 1e-5  # float32's, of the same operations in another order
N_WINDOWS, SEQ_LEN = 40, 16  # two of each document


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    """Return a file of twenty documents of random words."""
    rng = np.random.default_rng(0)
    words = [f"{first}{second}" for first in "abcdefgh" for second in ("one", "two_", " three", "(4)", "\n")]
    path = tmp_path_factory.mktemp("text") / "words.jsonl"
    path.write_text("\n".join(json.dumps({"text": " ".join(rng.choice(words, 60))}) for _ in range(20)))
    return path


def compared(text, base, *others):
    wanted = Wanted(str(base), tuple(map(str, others)), (str(text),), Amounts(N_WINDOWS, 0), SEQ_LEN)
    return compare(wanted, "cpu", Console(quiet=True))


def qwen2(seed: int) -> Qwen2ForCausalLM:
    config = Qwen2Config(
        vocab_size=1024,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(config).eval().requires_grad_(False)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("build", [lambda seed: llama(), qwen2, tiny_model], ids=["llama", "qwen2", "gpt-neox"])
def test_an_export_has_the_loss_that_the_sweep_measures(tmp_path, text, build, bits):
    model = written(build(seed=1), tmp_path / "original")
    rounded = rounded_by(model, scheme(bits))
    export.export(tmp_path / "original", rounded, scheme(bits), tmp_path / "packed")
    (line,) = compared(text, tmp_path / "original", tmp_path / "packed").lines
    tokenizer = checkpoints.tokenizer_of(tmp_path / "original")
    windows = windows_of(read_documents(text), tokenizer, N_WINDOWS, SEQ_LEN)
    blocks = blocks_of(windows.rows, windows.documents, tokenizer)
    stored = Rounded(
        {name: gptq_format.as_stored(weight) for name, weight in rounded.weights.items()}, rounded.diagnostics
    )
    original = Checkpoint(model, tmp_path)
    ((before, exact, after),) = evaluate([original], [[rounded, stored]], blocks, "float32", default_budget("cpu"))
    assert line.original_loss_nats == pytest.approx(before.loss_nats, abs=ROUNDING)
    assert line.loss_nats == pytest.approx(after.loss_nats, abs=ROUNDING)
    assert line.loss_nats == pytest.approx(exact.loss_nats, abs=HALF_SCALES)
    assert line.kl_nats == pytest.approx(after.kl_nats, abs=ROUNDING)
    assert line.top1_agreement == after.top1_agreement
    differences = np.subtract(after.group_loss, before.group_loss)
    assert line.paired_error_nats == pytest.approx(differences.std(ddof=1) / math.sqrt(len(differences)), abs=ROUNDING)
    assert line.qid_nats == pytest.approx(differences.mean(), abs=ROUNDING)
    assert line.perplexity_ratio == pytest.approx(math.exp(line.qid_nats))
    assert (line.n_tokens, line.n_documents, line.eval_sha256) == (before.n_tokens, 20, blocks.sha256)
    assert line.original_bits_per_weight == 16
    assert bits < line.bits_per_weight < bits + 1.5


def test_a_gpt_2_rounded_and_saved_in_16_bits_has_the_loss_that_transformers_gives(tmp_path, text):
    # updates enough that it knows more than how often a token comes, which rounding doesn't touch
    folder, copy = write_model(tmp_path / "gpt2", "gpt2", n_updates=150), tmp_path / "rounded"
    checkpoint, _ = one_checkpoint.load_folder(folder, "cpu")
    ((rounded,),) = rtn.quantize([checkpoint], [scheme(2)], None, 0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False)
    tokenizer, losses = checkpoints.tokenizer_of(folder), []
    windows = windows_of(read_documents(text), tokenizer, N_WINDOWS, SEQ_LEN)
    tokens = blocks_of(windows.rows, windows.documents, tokenizer).tokens
    for changed in ({}, {name: rounded.decoded(name) for name in rounded.weights}):
        for name, weight in changed.items():
            model.get_parameter(name).copy_(weight.T.bfloat16())  # GPT-2 keeps it transposed
        logits = model(tokens[:, :-1]).logits
        losses.append(torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).item())
    model.to(torch.bfloat16).save_pretrained(copy)
    shutil.copyfile(folder / "tokenizer.json", copy / "tokenizer.json")
    (line,) = compared(text, folder, copy).lines
    assert (line.original_loss_nats, line.loss_nats) == pytest.approx(losses, abs=ROUNDING)
    assert line.kl_nats > 1e-3  # rounding does something


def test_a_pocket_model_has_the_loss_in_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    specs = catalogue.checkpoints("data/tadpole", ("tadpole-64x3",), None, "data/tadpole")
    spec = max(specs, key=lambda each: each.step)
    as_measured = dataclasses.replace(one_checkpoint.gptq_scheme(4, 32, symmetric=False), calib_sequences=32)
    _, used = export.export_rounded(Path(spec.location), as_measured, tmp_path / "packed")
    rows = release.measured(spec, used, files.read_table(release.TABLE).to_pylist())
    wanted = Wanted(spec.location, (str(tmp_path / "packed"),), ("code",), Amounts(128, 0))
    (line,) = compare(wanted, "cpu", Console(quiet=True)).lines
    (row,) = [row for row in rows if (row["device_type"], row["eval_sha256"]) == ("cpu", line.eval_sha256)]
    assert line.loss_nats == pytest.approx(row["loss_nats"], abs=HALF_SCALES)
    assert line.qid_nats == pytest.approx(row["qid_nats"], abs=HALF_SCALES)
    assert line.paired_error_nats == pytest.approx(row["paired_error_nats"], abs=HALF_SCALES)


def test_one_that_is_refused_leaves_the_others(text, original, packed, changed):
    other = changed(packed, settings={"num_hidden_layers": 3})
    found = compared(text, original, other, packed)
    assert [line.checkpoint for line in found.lines] == [str(packed)]
    (failure,) = found.failures
    assert failure == f"{other}/config.json: another architecture: 'num_hidden_layers' is 3, the original's is 2"


def test_a_tokenizer_that_makes_other_tokens_is_refused(text, original, packed, changed):
    other = changed(packed)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    tokenizer["normalizer"] = {"type": "Lowercase"} if tokenizer["normalizer"] is None else None
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:100]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    (failure,) = compared(text, original, other).failures
    assert failure.endswith("its tokenizer makes other tokens of words.jsonl")


def test_a_tokenizer_written_in_other_words_is_the_same(text, original, packed, changed):
    other = changed(packed)
    tokenizer = json.loads((other / "tokenizer.json").read_text()) | {
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    }
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert not compared(text, original, other).failures


def test_an_original_that_is_quantized_is_refused(text, original, packed):
    with pytest.raises(CheckpointError, match="the weights are quantized already"):
        compared(text, packed, original)


def test_two_texts_of_one_name_are_refused(text, original, packed):
    with pytest.raises(SpecError, match="two texts are called .*; accepted: names that differ"):
        compare(Wanted(str(original), (str(packed),), (str(text), str(text))), "cpu", Console(quiet=True))


def test_the_same_folder_twice_is_refused(text, original, packed):
    with pytest.raises(CheckpointError, match="the same folder as"):
        compared(text, original, packed, packed)


@pytest.mark.parametrize("which", [0, 1])
def test_a_loss_that_is_no_number_is_refused(text, original, packed, monkeypatch, which):
    real = own_forward.scores_beside

    def broken(*arguments):
        both = list(real(*arguments))
        both[which] = dataclasses.replace(both[which], group_loss=(math.nan, *both[which].group_loss[1:]))
        return both

    monkeypatch.setattr("helpers.measure.comparing.compare.scores_beside", broken)
    (failure,) = compared(text, original, packed).failures
    assert failure.endswith(f"{(original, packed)[which]}: its loss on words.jsonl isn't a number")


@pytest.mark.parametrize("name", ["nowhere", "owner/name/more", "~/nowhere-at-all"])
def test_what_is_no_model_is_refused(text, original, name):
    with pytest.raises(SpecError, match="no such folder; accepted: a folder, or a Hub repository such as owner/name"):
        compared(text, original, name)


def test_a_pickle_is_refused(text, original, packed, changed):
    folder = changed(packed)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="a pickle, which can run code; accepted: safetensors"):
        compared(text, original, folder)


def test_a_text_that_is_too_short_is_refused(tmp_path, original, packed):
    (tmp_path / "short.txt").write_text("one two")
    with pytest.raises(CorpusError, match=r"short.txt: too short"):
        compared(tmp_path / "short.txt", original, packed)


def test_a_window_longer_than_the_model_s_is_refused(text, original, packed):
    with pytest.raises(CheckpointError, match="accepted: up to 2,048, the model's window"):
        compare(Wanted(str(original), (str(packed),), (str(text),), seq_len=4096), "cpu", Console(quiet=True))


def test_a_revision_of_a_repository_is_asked_for(text, original, packed, monkeypatch, tmp_path):
    asked = []

    def download(repository, revision):
        asked.append((repository, revision))
        shutil.copytree(packed, tmp_path / f"copy-{len(asked)}")
        return tmp_path / f"copy-{len(asked)}"

    monkeypatch.setattr(having, "newest", download)
    found = compared(text, original, "owner/name@4bit", "owner/name")
    assert asked == [("owner/name", "4bit"), ("owner/name", "main")]
    assert [line.checkpoint for line in found.lines] == ["owner/name@4bit", "owner/name"]
