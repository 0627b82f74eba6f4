"""A model of a person's own, measured: against transformers by itself, resumed after a kill, refused in one line."""

import io
import itertools
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.measure.foreign import START, passages, write_model, write_texts
from tests.measure.sweep.conftest import SEQ_LEN, SMALL
from tests.measure.tiny import ROOT
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, BertConfig, BertForMaskedLM

from helpers.measure.models import checkpoints
from helpers.measure.rounding import one_checkpoint
from helpers.measure.sweep import engine as engine_module
from helpers.measure.sweep.one_model import Wanted, one_model
from helpers.measure.sweep.one_model_run import run_one_model, suspect
from helpers.measure.sweep.places import Places
from helpers.table import files
from helpers.table.errors import QidError


@pytest.fixture(autouse=True)
def _from_the_top_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module", params=["llama", "qwen2", "gpt2", "gpt_neox"])
def any_model(request, tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / request.param, request.param)


def run(asked: Wanted, folder: Path, console: Console | None = None):
    places = Places(folder / "table.parquet", folder / "records")
    return run_one_model(one_model(asked), "cpu", places, console or Console(quiet=True))


def rows_of(folder: Path) -> dict[tuple, dict]:
    rows = files.read_table(folder / "table.parquet").to_pylist()
    return {(row["method"], row["bits"], row["eval_dataset"]): row for row in rows}


def plain_losses(model: torch.nn.Module, folder: Path, documents: list[str]) -> list[float]:
    """Return each document's mean loss over its first window, by transformers, in nats a token."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    losses = []
    for document in documents:
        ids = torch.tensor(tokenizer.encode(document, add_special_tokens=False).ids[: SEQ_LEN + 1])
        assert tokenizer.token_to_id(START) not in ids
        logits = model(ids[None, :-1]).logits[0]
        losses.append(torch.nn.functional.cross_entropy(logits, ids[1:]).item())
    return losses


def test_the_qid_is_the_one_that_transformers_gives_with_the_rounded_weights(any_model, wanted, tmp_path):
    asked = wanted(any_model, bits=(2,))
    report = run(asked, tmp_path)
    assert (report.n_measured, report.n_present, report.failures) == (2, 0, ())
    found = rows_of(tmp_path)
    baseline, rounded = found["none", None, "scored.jsonl"], found["gptq", 2, "scored.jsonl"]
    planned = one_model(asked)
    model = AutoModelForCausalLM.from_pretrained(any_model, dtype=torch.float32).eval().requires_grad_(False)
    documents = [passages(24)[i * 24 // 20] for i in range(20)]
    before = plain_losses(model, any_model, documents)
    (scheme,) = planned.job.schemes
    tokenizer = checkpoints.tokenizer_of(any_model)
    tokens, sha256 = planned.sweep.own_texts.drawn(tokenizer, SMALL.calibration, SEQ_LEN, seed=0)
    assert sha256 == rounded["calib_sha256"]
    checkpoint, _ = one_checkpoint.load_folder(any_model, "cpu")
    answer = one_checkpoint.round_checkpoint(checkpoint, scheme, tokens)
    parameters = dict(model.named_parameters())
    for name in answer.weights:
        decoded = answer.decoded(name)  # GPT-2 keeps it transposed
        parameters[name].copy_(decoded if model.config.model_type != "gpt2" else decoded.T)
    after = plain_losses(model, any_model, documents)
    # float32 in another order of sums: some 1e-6 of a loss of 4
    assert baseline["group_loss"] == pytest.approx(before, abs=2e-5)
    assert rounded["group_loss"] == pytest.approx(after, abs=2e-5)
    qid = torch.tensor(after).mean() - torch.tensor(before).mean()
    assert rounded["loss_nats"] - baseline["loss_nats"] == pytest.approx(qid.item(), abs=2e-5)
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) > 0.01  # rounding does something


def test_what_is_not_known_of_the_training_is_null_and_sizes_are_counted(any_model, wanted, tmp_path):
    run(wanted(any_model, bits=(4,), methods=("rtn",), tokens_seen=1000), tmp_path)
    model = AutoModelForCausalLM.from_pretrained(any_model)
    blocks = sum(p.numel() for name, p in model.named_parameters() if "layers." in name or ".h." in name)
    for row in rows_of(tmp_path).values():
        assert row["tokens_seen"] == 1000
        unknown = ("step", "tokens_planned", "schedule", "train_seed", "learning_rate", "epochs", "lr_fraction")
        assert {row[name] for name in unknown} == {None}
        assert row["n_params_total"] == model.num_parameters()
        # the last norm belongs to N too
        assert 0 < row["n_params_non_embedding"] - blocks <= 2 * 64
        assert (row["n_layers"], row["d_model"], row["vocabulary_size"]) == (2, 64, 600)


def test_a_second_run_measures_nothing_and_another_width_only_itself(llama, wanted, tmp_path):
    assert run(wanted(llama), tmp_path).n_measured == 3
    said = io.StringIO()
    again = run(wanted(llama), tmp_path, Console(file=said, width=200))
    assert (again.n_measured, again.n_present) == (0, 3)
    assert f"every row is in {tmp_path / 'table.parquet'} already" in said.getvalue()
    more = run(wanted(llama, bits=(2, 3, 4)), tmp_path)
    assert (more.n_measured, more.n_present) == (1, 3)
    assert set(again.ids) < set(more.ids)


def test_a_second_run_says_of_the_calibration_what_the_first_said(llama, wanted, tmp_path):
    first, again = (run(wanted(llama), tmp_path).calibration_bits_per_byte for _ in range(2))
    assert again == first
    rounded = wanted(llama, methods=("rtn",))
    run(rounded, tmp_path)
    assert run(rounded, tmp_path).calibration_bits_per_byte is None  # nothing calibrates


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_rows(llama, wanted, tmp_path, monkeypatch):
    asked = wanted(llama, seeds=(0, 1))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(asked, whole)
    real, calls = engine_module.make_row, itertools.count(1)

    def until_the_fourth(*arguments):
        if next(calls) == 4:  # the first draw's rows are three
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(engine_module, "make_row", until_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run(asked, killed)
    monkeypatch.setattr(engine_module, "make_row", real)
    report = run(asked, killed)
    assert (report.n_measured, report.n_present) == (2, 3)
    columns = ["measurement_id", "loss_nats", "group_loss", "kl_nats"]
    kept = [files.read_table(folder / "table.parquet").select(columns).to_pylist() for folder in (whole, killed)]
    assert kept[0] == kept[1]


def test_the_plan_comes_first_and_then_a_line_a_scheme(llama, wanted, tmp_path):
    said = io.StringIO()
    run(wanted(llama, methods=("gptq", "rtn")), tmp_path, Console(file=said, width=200))
    lines = said.getvalue().splitlines()
    assert re.fullmatch(r"llama: [\d,]+ parameters, N = [\d,]+ outside of embedding and head; float32 .* GiB", lines[0])
    assert "  scored on 20 x 32 tokens of scored.jsonl, 20 documents" in lines
    assert "  calibrated on 8 x 32 tokens of calibrating.jsonl" in lines
    assert "  groups of 64: the largest of the usual ones that divides every input width" in lines
    assert any(re.fullmatch(r"  about \d+ s: [\d.e-]+ s a pass of 32 tokens", line) for line in lines)
    assert [line for line in lines if line.endswith(" measured")] == [
        f"llama: {method} {bits} bits g64 asymmetric measured" for method in ("gptq", "rtn") for bits in (2, 4)
    ]


def test_on_a_terminal_a_bar_goes_from_nothing_to_all(llama, wanted, tmp_path, monkeypatch):
    shown = []
    from helpers.measure.sweep import one_model_run

    class Watched(one_model_run.Progress):
        def update(self, task, *, completed):
            shown.append(completed)
            super().update(task, completed=completed)

    monkeypatch.setattr(one_model_run, "Progress", Watched)
    run(wanted(llama), tmp_path, Console(file=io.StringIO(), force_terminal=True, width=200))
    assert shown == sorted(shown)
    assert shown[-1] == 1
    assert len([each for each in shown if 0 < each < 0.9]) > 3


def test_methods_that_are_fixed_to_a_width_are_measured_there_once(llama, wanted):
    pytest.importorskip("bitsandbytes")
    planned = one_model(wanted(llama, methods=("rtn", "nf4"), bits=(2, 3)))
    assert [(s.method, s.bits) for s in planned.job.schemes] == [("rtn", 2), ("rtn", 3), ("nf4", 4)]


def test_a_name_of_a_special_token_in_the_text_is_text(llama, wanted, tmp_path):
    marked = write_texts(tmp_path / "marked.jsonl", [f"{START} {text}" for text in passages(24)])
    planned = one_model(wanted(llama, texts=(str(marked),)))
    blocks = planned.sweep.own_texts.blocks("marked.jsonl", checkpoints.tokenizer_of(llama), 20, SEQ_LEN)
    assert not (blocks.tokens == 0).any()


def test_the_suspect_is_the_matrix_that_was_spoilt(llama, wanted, tmp_path):
    folder = tmp_path / "spoilt"
    shutil.copytree(llama, folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        # outputs stay what they were, but all other columns of its group go under
        model.model.layers[1].mlp.down_proj.weight[:, 0] *= 300
        model.model.layers[1].mlp.up_proj.weight[0] /= 300
    model.save_pretrained(folder)
    found = suspect(one_model(wanted(folder)), 4, 64)
    assert found.matrix == "1.mlp.down_proj"
    assert found.error_share > 1 / 14
    assert str(found).startswith(f"1.mlp.down_proj ({found.error_share:.0%} of all rounding error, input kurtosis ")


def broken(folder: Path, name: str) -> str:
    """Break a copy of a model in one way; return the end of the line that refuses it."""
    config = json.loads((folder / "config.json").read_text())
    if name == "pickle":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        return "pytorch_model.bin: a pickle, which can run code; accepted: safetensors"
    if name == "auto_map":
        (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "x.Y"}}))
        return "needs code of its own ('auto_map'); accepted: what transformers itself knows"
    if name == "adapter":
        (folder / "adapter_config.json").write_text("{}")
        return "an adapter; accepted: a model with it merged in, saved whole"
    if name == "encoder":
        made = BertForMaskedLM(BertConfig(vocab_size=600, hidden_size=64, num_hidden_layers=2, num_attention_heads=4))
        made.save_pretrained(folder)
        return "accepted: causal models"
    if name == "not a number":
        model = AutoModelForCausalLM.from_pretrained(folder).requires_grad_(False)
        model.model.layers[1].mlp.down_proj.weight[3, 5] = torch.nan
        model.save_pretrained(folder)
        return ": 16-bit loss nan, nonfinite weights in model.layers.1.mlp.down_proj.weight"
    if name == "vocabulary":
        (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 500}))
        return "ids up to 599, more than the model's embedding of 500 rows"
    if name == "no tokenizer":
        (folder / "tokenizer.json").unlink()
        return "no tokenizer.json there or in the family's folder"
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]  # another tokenizer of the same size: other ids for the same texts
    tokenizer["model"]["vocab"] = {name: (i + 1 + 257) % 599 + 1 if i else 0 for name, i in vocabulary.items()}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return "accepted: weights with their own tokenizer.json"


@pytest.mark.parametrize(
    "name",
    ["pickle", "auto_map", "adapter", "encoder", "not a number", "vocabulary", "no tokenizer", "other tokenizer"],
)
def test_a_folder_that_is_not_such_a_model_is_refused_in_one_line(llama, wanted, tmp_path, name):
    folder = tmp_path / "folder"
    shutil.copytree(llama, folder)
    said = broken(folder, name)
    with pytest.raises(QidError) as caught:
        run(wanted(folder), tmp_path)
    assert str(caught.value).endswith(said)
    assert "\n" not in str(caught.value)


def test_a_text_too_short_for_two_windows_is_refused(llama, wanted, tmp_path):
    short = tmp_path / "short.txt"
    short.write_text("a few words")
    with pytest.raises(QidError, match="short.txt: too short, .* needed: 2 passages or documents of 33 tokens or more"):
        run(wanted(llama, texts=(str(short),)), tmp_path)
