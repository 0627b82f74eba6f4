"""Packed checkpoints: exact down to the bit by an unpacker of another make, and by auto-gptq's own loader."""

import dataclasses
import filecmp
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tests.measure.mixed.test_recipes import RECIPE
from tests.measure.packed_models import (
    CASES,
    GROUP,
    HALF_SCALES,
    MIXED_CASES,
    keeping,
    losses,
    rounded_by,
    scheme,
    scored_by,
    written,
)
from tests.measure.tiny import tiny_model, write_family
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPTNeoXForCausalLM, OlmoeConfig

from helpers.commands import packing
from helpers.measure.mixed import recipes
from helpers.measure.models import checkpoints
from helpers.measure.packing import export, gptq_format, release
from helpers.measure.rounding import grids, one_checkpoint
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.text.documents import Documents
from helpers.measure.text.own_texts import OwnTexts
from helpers.table import disk
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import CheckpointError, QidError, QuantizationError, ResultsError, SpecError
from helpers.table.families import catalogue
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

# The same float32 operations in another process: measured 0. Another order of sums would move a loss by some 1e-6.
SAME_LOSS = 1e-5


def unpacked(words: Tensor, bits: int) -> np.ndarray:
    """Read the fields of each column of int32 words with numpy's own bit order, not the packer's shifts."""
    stream = np.unpackbits(words.T.contiguous().numpy().astype("<i4").view(np.uint8), axis=1, bitorder="little")
    return (stream.reshape(len(stream), -1, bits) * (1 << np.arange(bits))).sum(-1).T


def read_back(folder: Path, name: str, bits: int) -> np.ndarray:
    """Decode a layer as the format says: scale x (code - (stored zero + 1))."""
    stored = load_file(folder / "model.safetensors")
    codes, zeros = unpacked(stored[f"{name}.qweight"], bits), unpacked(stored[f"{name}.qzeros"].T, bits).T + 1
    scales, groups = stored[f"{name}.scales"].float().numpy(), stored[f"{name}.g_idx"].numpy()
    return (scales[groups] * (codes - zeros[groups])).T


@pytest.mark.parametrize("bits", gptq_format.BITS)
def test_packing_round_trips(bits):
    values = torch.randint(2**bits, (96, 5), generator=torch.Generator().manual_seed(bits))
    words = gptq_format.pack(values, bits)
    assert words.shape == (96 * bits // 32, 5)
    assert (unpacked(words, bits) == values.numpy()).all()


def test_three_bit_fields_cross_words_as_the_format_has_them():
    """Fields 10 and 21 straddle two words: two low bits and one, then one and two."""
    words = gptq_format.pack(torch.tensor([0] * 10 + [0b101] + [0] * 10 + [0b110] + [0] * 10)[:, None], 3)[
        :, 0
    ].tolist()
    assert words == [0b01 << 30, 1, 0b11]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Return every case exported, scored here and by auto-gptq, all in one child."""
    child = Path(__file__).parents[1] / "reload_autogptq.py"
    return scored_by(sys.executable, child, tmp_path_factory.mktemp("packed"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_auto_gptq_reads_the_same_model(packed, name):
    case = packed[name]
    assert (case["theirs"] - case["losses"][True]).abs().max() < SAME_LOSS
    assert abs(case["theirs"].mean() - case["losses"][False].mean()) < HALF_SCALES


@pytest.mark.parametrize("name", CASES)
def test_every_layer_reads_back_exactly(packed, name):
    case, wanted = packed[name], CASES[name][1]
    for parameter, weight in case["rounded"].weights.items():
        found = read_back(case["out"], parameter.removesuffix(".weight"), wanted.bits)
        assert (found == gptq_format.as_stored(weight).decode().numpy()).all()
        exact = weight.decode()
        assert ((torch.from_numpy(found) - exact).abs() <= exact.abs() * 2**-11 + 2**-25 * 2**wanted.bits).all()


@pytest.mark.parametrize("name", CASES)
def test_no_zero_point_wraps(packed, name):
    """The largest field would carry into its neighbour when a loader adds 1; the planted zero points ask for it."""
    case, bits = packed[name], CASES[name][1].bits
    assert any((weight.zero == 0).any() for weight in case["rounded"].weights.values()) != CASES[name][1].symmetric
    stored = load_file(case["out"] / "model.safetensors")
    fields = [unpacked(t.T, bits).max() for key, t in stored.items() if key.endswith(".qzeros")]
    assert max(fields) == (2**bits - 2 if not CASES[name][1].symmetric else 2 ** (bits - 1) - 1)


@pytest.mark.parametrize("name", ["4 bits", "llama"])
def test_everything_else_stays_bit_for_bit(packed, name):
    original, stored = (load_file(packed[name][key] / "model.safetensors") for key in ("original", "out"))
    rounded = packed[name]["rounded"].weights.keys()
    kept = original.keys() - rounded
    assert stored.keys() - kept == {
        f"{n.removesuffix('.weight')}.{f}" for n in rounded for f in ("qweight", "qzeros", "scales", "g_idx")
    }
    assert all(stored[key].dtype == torch.bfloat16 and torch.equal(stored[key], original[key]) for key in kept)


def test_both_configurations_say_what_was_done(packed):
    for name, described in {
        "3 bits": {"bits": 3, "group_size": 32, "sym": False, "desc_act": False},
        "symmetric per row": {"bits": 4, "group_size": -1, "sym": True, "desc_act": False},
        "3 bits in another order": {"bits": 3, "group_size": 32, "sym": False, "desc_act": True},
    }.items():
        out = packed[name]["out"]
        inside = json.loads((out / "config.json").read_text())["quantization_config"]
        assert inside == json.loads((out / "quantize_config.json").read_text())
        assert inside.items() >= (described | {"quant_method": "gptq", "checkpoint_format": "gptq"}).items()


@pytest.fixture
def source(tmp_path) -> tuple[Path, Rounded]:
    model = written(tiny_model(seed=1), tmp_path / "original")
    return tmp_path / "original", rounded_by(model, scheme())


def test_a_write_that_fails_leaves_nothing(source, tmp_path, monkeypatch):
    def break_off(tensors: dict, path: Path, metadata: dict) -> None:
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "save_file", break_off)
    with pytest.raises(KeyboardInterrupt):
        export.export(*source, scheme(), tmp_path / "out")
    assert os.listdir(tmp_path) == ["original"]


def test_what_a_killed_writer_left_is_cleared(source, tmp_path):
    leftover = tmp_path / ".out.unfinished"
    leftover.mkdir()
    (leftover / "stale.safetensors").write_bytes(b"half of it")
    export.export(*source, scheme(), tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["original", "out"]
    assert not (tmp_path / "out/stale.safetensors").exists()


def test_a_folder_that_another_process_writes_is_refused_before_the_work(family, tmp_path, monkeypatch):
    monkeypatch.setattr(one_checkpoint, "load_folder", lambda *_: pytest.fail("a checkpoint was loaded"))
    message = f"^{tmp_path}/out: another process is writing it; wait for it or end it$"
    with disk.exclusive(tmp_path / "out"), pytest.raises(ResultsError, match=message):
        export.export_rounded(family / "tiny/step-000001", scheme(), tmp_path / "out")


@pytest.fixture
def nothing_is_rounded(monkeypatch) -> None:
    monkeypatch.setattr(one_checkpoint, "round_checkpoint", lambda *_: pytest.fail("a layer was rounded"))


def test_a_width_without_a_place_in_the_format_is_refused_before_the_work(tmp_path, nothing_is_rounded):
    folder = write_family(tmp_path / "family") / "tiny/step-000001"
    odd = tiny_model(seed=1, d_model=48).to(torch.bfloat16)
    written(odd, tmp_path / "family/tiny/odd")
    message = (
        "'gpt_neox.layers.0.attention.query_key_value' is 144 x 48; accepted in a packed checkpoint: multiples of 32"
    )
    with pytest.raises(QuantizationError, match=re.escape(message)):
        export.export_rounded(
            tmp_path / "family/tiny/odd", dataclasses.replace(scheme(), group_size=16), tmp_path / "out"
        )
    assert folder.exists()
    assert not (tmp_path / "out").exists()


def test_names_that_the_model_does_not_have_are_refused_before_the_work(family, tmp_path, nothing_is_rounded):
    """As where only the part without the head was saved: transformers finds the weights, a packed file couldn't."""
    folder = family / "tiny/step-000001"
    weights = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("gpt_neox."): tensor for name, tensor in weights.items()}
    save_file(bare, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = Checkpoint(GPTNeoXForCausalLM.from_pretrained(folder).eval(), folder)
    message = r"'gpt_neox.layers.0.attention.query_key_value.weight' is \(96, 32\) when rounded, no such weight there"
    with pytest.raises(CheckpointError, match=message):
        export.refuse_unstorable(loaded, scheme(), tmp_path / "out")


def test_progress_is_told_up_to_all_calibration_sequences(family, tmp_path):
    told = []
    wanted = dataclasses.replace(
        one_checkpoint.gptq_scheme(4, 32, symmetric=False), calib_sequences=4, calib_seq_len=32
    )
    export.export_rounded(family / "tiny/step-000001", wanted, tmp_path / "out", tell=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(4)


def test_an_export_calibrates_on_the_texts_that_are_named(family, tmp_path):
    words = Documents("words", tuple(f"word {i} is number {i}; " * 30 for i in range(40)))
    wanted = dataclasses.replace(
        one_checkpoint.gptq_scheme(4, 32, symmetric=False), calib_sequences=4, calib_seq_len=32
    )
    folder = family / "tiny/step-000001"
    _, usual = export.export_rounded(folder, wanted, tmp_path / "usual")
    _, named = export.export_rounded(folder, wanted, tmp_path / "named", own=OwnTexts((), (words,)))
    assert (usual.calib_dataset, named.calib_dataset) == ("wheels-calibration", "words")
    assert usual.calib_sha256 != named.calib_sha256
    assert not filecmp.cmp(tmp_path / "usual/model.safetensors", tmp_path / "named/model.safetensors", shallow=False)


def test_experts_are_refused_by_name_before_the_work(tmp_path, nothing_is_rounded):
    config = OlmoeConfig(
        vocab_size=64, hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, num_experts=8
    )
    AutoModelForCausalLM.from_config(config).bfloat16().save_pretrained(tmp_path / "olmoe")
    message = "olmoe: olmoe has experts; accepted in a packed checkpoint: models without"
    with pytest.raises(CheckpointError, match=message):
        export.export_rounded(tmp_path / "olmoe", scheme(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_matrices_that_are_stored_transposed_are_refused_before_the_work(tmp_path, nothing_is_rounded):
    """A square one would fit, and be packed the wrong way round."""
    config = GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).bfloat16().save_pretrained(tmp_path / "gpt2")
    message = r"gpt2: stored as Conv1D, \(columns, rows\); accepted in a packed checkpoint: Linear"
    with pytest.raises(CheckpointError, match=message):
        export.export_rounded(tmp_path / "gpt2", scheme(), tmp_path / "out")
    square = IntegerWeight.__new__(IntegerWeight)
    rounded = Rounded({"transformer.h.0.attn.c_proj.weight": square}, Diagnostics())
    with pytest.raises(CheckpointError, match=message):
        export.export(tmp_path / "gpt2", rounded, scheme(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("room", ["not a folder", "full"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    family, tmp_path, monkeypatch, nothing_is_rounded, room
):
    (tmp_path / "file").write_text("")
    out = tmp_path / ("file/out" if room == "not a folder" else "out")
    if room == "full":
        free = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    reason = "Not a directory" if room == "not a folder" else "No space left on device"
    with pytest.raises(ResultsError, match=rf"out: can't be written \({reason}\); nothing was lost"):
        export.export_rounded(family / "tiny/step-000001", scheme(), out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["family", "file"]


def test_a_recipe_that_cannot_be_written_is_refused_before_the_search(family, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(one_checkpoint, "load_folder", lambda *_: pytest.fail("a checkpoint was loaded"))
    with pytest.raises(ResultsError, match=r"recipe.json: can't be written \(Not a directory\)"):
        packing.mixed(family / "tiny/step-000001", 0.2, out=tmp_path / "file/recipe.json")


def test_a_disk_that_fills_inside_safetensors_is_one_line_and_leaves_nothing(source, tmp_path, monkeypatch):
    def full(tensors: dict, path: Path, metadata: dict) -> None:
        path.write_bytes(b"half of it")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(export, "save_file", full)
    with pytest.raises(
        ResultsError, match=r"out: can't be written \(No space left on device\); nothing was lost, free"
    ):
        export.export(*source, scheme(), tmp_path / "out")
    assert os.listdir(tmp_path) == ["original"]


def test_an_existing_folder_is_left_alone(source, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(SpecError, match="out: exists already"):
        export.export(*source, scheme(), tmp_path / "out")
    assert not os.listdir(tmp_path / "out")


def changed(rounded: Rounded, **fields: Tensor) -> Rounded:
    """Return the same with one layer's fields replaced."""
    (name, weight), *rest = rounded.weights.items()
    return Rounded({name: IntegerWeight(**(vars(weight) | fields)), **dict(rest)}, rounded.diagnostics)


@pytest.mark.parametrize(
    ("wanted", "change", "message"),
    [
        (scheme(5), {}, "'bits' is 5; accepted in a packed checkpoint: 2, 3, 4, 8"),
        (QuantScheme("rtn", 4, symmetric=True, format="mxfp"), {}, "'format' is 'mxfp'; accepted"),
        (QuantScheme("gptq_hadamard", 4, symmetric=False), {}, "'method' is 'gptq_hadamard'; accepted in a packed"),
        (scheme(), {"zero": torch.full((96, 1), 2.5)}, "a zero point that isn't a code; accepted: 0 to 15"),
        (scheme(), {"zero": torch.full((96, 1), 16.0)}, "a zero point that isn't a code; accepted: 0 to 15"),
        (scheme(), {"scale": torch.full((96, 1), 1e-9)}, "a scale of 1e-09; accepted in float16: 3e-8 to 65504"),
        (scheme(), {"scale": torch.full((96, 1), 1e6)}, r"a scale of 1e\+06; accepted in float16"),
        (scheme(), {"codes": torch.zeros(80, 32, dtype=torch.uint8)}, r"is \(80, 32\) when rounded, \(96, 32\) there"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(source, tmp_path, wanted, change, message):
    folder, rounded = source
    with pytest.raises(QidError, match=message) as caught:
        export.export(folder, changed(rounded, **change), wanted, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["original"]


def test_a_layer_that_the_checkpoint_lacks_is_refused(source, tmp_path):
    folder, rounded = source
    other = Rounded({f"other.{name}": weight for name, weight in rounded.weights.items()}, rounded.diagnostics)
    with pytest.raises(CheckpointError, match=r"'other\.gpt_neox.* no such weight"):
        export.export(folder, other, scheme(), tmp_path / "out")


def test_weights_without_codes_are_refused(source, tmp_path):
    folder, rounded = source
    name = next(iter(rounded.weights))
    decoded = Rounded(rounded.weights | {name: rounded.decoded(name)}, rounded.diagnostics)
    message = f"'{re.escape(name)}' isn't codes on a grid; accepted in a packed checkpoint: only those"
    with pytest.raises(QuantizationError, match=message):
        export.export(folder, decoded, scheme(), tmp_path / "out")
    assert os.listdir(tmp_path) == ["original"]


def test_shapes_that_do_not_fill_words_are_refused():
    weight = grids.round_to_integer(torch.randn(48, 32), 4, False, None)
    with pytest.raises(QuantizationError, match="'name' is 48 x 32; accepted in a packed checkpoint: multiples of 32"):
        gptq_format.packed("name", weight, 4)


def round_folder(folder: Path, scheme: QuantScheme) -> tuple[Rounded, QuantScheme]:
    checkpoint, _ = one_checkpoint.load_folder(folder, "cpu")
    scheme, tokens = one_checkpoint.calibrated(checkpoint, scheme)
    return one_checkpoint.round_checkpoint(checkpoint, scheme, tokens), scheme


@pytest.mark.parametrize("method", ["rtn", "gptq"])
def test_a_folder_is_rounded_on_the_projects_text(tmp_path, method):
    folder = write_family(tmp_path / "family") / "tiny/step-000001"
    calibrated = {"rel_damp": 0.01, "calib_sequences": 4, "calib_seq_len": 32, "calib_seed": 0}
    settings = calibrated if method == "gptq" else {}
    wanted = QuantScheme(method=method, bits=4, group_size=GROUP, symmetric=False, **settings)
    rounded, complete = round_folder(folder, wanted)
    assert rounded.diagnostics.effective_bits == 4 + (16 + 4) / GROUP
    assert (complete.calib_sha256 is None) == (method == "rtn")
    export.export(folder, rounded, complete, tmp_path / "out")
    assert (tmp_path / "out/tokenizer.json").read_bytes() == (tmp_path / "family/tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 5}, "'bits' is 5; accepted in a packed checkpoint"),
        ({"bits": 9}, "'bits' is 9; accepted"),
        ({"out": Path()}, "exists already"),
        ({"checkpoint": Path("nowhere")}, "nowhere/config.json: missing"),
        ({"group_size": 24}, "'group_size' 24 doesn't divide gpt_neox.layers.0.attention.query_key_value's 32 columns"),
    ],
)
def test_the_command_says_in_one_line_what_is_off(family, tmp_path, changes, message):
    arguments = {"checkpoint": family / "tiny/step-000001", "bits": 4, "out": tmp_path / "out", "group_size": 32}
    with pytest.raises(QidError, match=message) as caught:
        packing.export(**(arguments | changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def row(scheme_id: str, losses: tuple[float, ...], method: str = "gptq", eval_id: str = "e", sha: str = "w") -> dict:
    return {
        "measurement_id": f"{scheme_id} on {eval_id}",
        "eval_dataset": "prose",
        "weights_sha256": sha,
        "scheme_id": scheme_id,
        "method": method,
        "status": "ok",
        "eval_id": eval_id,
        "eval_sha256": f"text of {eval_id}",
        "device_type": "cpu",
        "group_loss": losses,
        "loss_nats": sum(losses) / len(losses),
        "n_tokens": 100,
    }


@pytest.fixture
def described(family) -> CheckpointSpec:
    """Return a description whose weights are those of the planted rows."""
    (spec, *_) = catalogue.checkpoints(str(family), None, None, "test")
    return dataclasses.replace(spec, weights_sha256="w")


def test_a_release_quotes_only_qid_of_its_own_weights_scheme_and_text(described):
    wanted = one_checkpoint.gptq_scheme(3, GROUP, symmetric=False)
    rows = [
        row("none", (1.0, 3.0), "none"),
        row(wanted.scheme_id, (1.5, 3.7)),
        row("another scheme", (9.0, 9.0)),
        row(wanted.scheme_id, (9.0, 9.0), sha="other weights"),
        row(wanted.scheme_id, (9.0, 9.0), eval_id="text without a baseline"),
    ]
    (found,) = release.measured(described, wanted, rows)
    assert found["qid_nats"] == pytest.approx(0.6)
    assert found["paired_error_nats"] == pytest.approx(0.1)  # differences 0.5 and 0.7: deviation 0.1414, over root 2
    assert found["eval_sha256"] == "text of e"


@pytest.mark.parametrize("n_measured", [0, 1])
def test_a_model_card_has_front_matter_and_says_what_was_measured(described, n_measured):
    wanted = one_checkpoint.gptq_scheme(3, GROUP, symmetric=False)
    qid = release.measured(described, wanted, [row("none", (1.0, 3.0), "none"), row(wanted.scheme_id, (1.5, 3.7))])
    text = release.card(described, wanted, Rounded({}, Diagnostics(effective_bits=3.59375)), qid[:n_measured])
    _, front, body = text.split("---\n", 2)
    matter = yaml.safe_load(front)
    assert (matter["license"], matter["base_model"]) == ("apache-2.0", "tiny")
    assert {"gptq", "3-bit"} <= set(matter["tags"])
    assert "3.594 bits a rounded weight" in body
    assert ("QiD 0.6000 ± 0.1000" in body) == bool(n_measured)
    assert ("hasn't been measured" in body) != bool(n_measured)


def test_provenance_names_weights_scheme_calibration_commit_and_versions(described, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    wanted = dataclasses.replace(one_checkpoint.gptq_scheme(3, GROUP, symmetric=False), calib_sha256="c")
    made = release.provenance(described, wanted, Rounded({}, Diagnostics()), [], tmp_path / "model.safetensors")
    assert made["weights_sha256"] == "w"
    assert made["packed_sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of no bytes
    assert made["scheme"].items() >= {"bits": 3, "group_size": GROUP, "method": "gptq"}.items()
    assert made["calib_sha256"] == "c"
    assert len(made["git_commit"].removesuffix("-dirty")) == 40
    assert made["versions"].keys() >= {"torch", "transformers"}


# ---- recipes: some matrices stay in 16 bits --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Return every mixed case's folders and what was rounded."""
    place, made = tmp_path_factory.mktemp("mixed"), {}
    for index, (name, (build, wanted, how)) in enumerate(MIXED_CASES.items()):
        original, out = place / f"{index}-original", place / str(index)
        rounded = how(written(build(seed=1), original), wanted)
        export.export(original, rounded, wanted, out)
        made[name] = {"original": original, "out": out, "rounded": rounded}
    return made


@pytest.mark.parametrize("name", MIXED_CASES)
def test_kept_matrices_are_stored_as_they_were_and_the_others_packed(mixed, name):
    case, wanted = mixed[name], MIXED_CASES[name][1]
    original, stored = (load_file(case[key] / "model.safetensors") for key in ("original", "out"))
    kept = original.keys() - case["rounded"].weights.keys()
    assert sum(key.endswith(f".{each}.weight") for key in kept for each in wanted.kept_matrices) == len(
        wanted.kept_matrices
    )
    assert all(stored[key].dtype == torch.bfloat16 and torch.equal(stored[key], original[key]) for key in kept)
    assert sum(key.endswith(".qweight") for key in stored) == len(case["rounded"].weights)
    for parameter, weight in case["rounded"].weights.items():
        found = read_back(case["out"], parameter.removesuffix(".weight"), wanted.bits)
        assert (found == gptq_format.as_stored(weight).decode().numpy()).all()


@pytest.mark.parametrize("name", MIXED_CASES)
def test_a_mixed_configuration_names_every_matrix_once_for_both_readers(mixed, name):
    """By the readers' own rules: an expression that matches from a name's start, and the end of a name."""
    case, wanted = mixed[name], MIXED_CASES[name][1]
    config = json.loads((case["out"] / "config.json").read_text())["quantization_config"]
    stored = load_file(case["original"] / "model.safetensors")
    modules = [key.removesuffix(".weight") for key in stored]
    skipped = {
        module
        for module in modules
        for rule in config["dynamic"]
        if rule.startswith("-:") and re.match(rule.removeprefix("-:"), module)
    }
    (listed,) = config["modules_in_block_to_quantize"]
    packed = {module for module in modules if any(module.endswith(name) for name in listed)}
    assert packed == {parameter.removesuffix(".weight") for parameter in case["rounded"].weights}
    assert len(skipped) == len(wanted.kept_matrices)
    assert all(any(module.endswith(f".{kept}") for kept in wanted.kept_matrices) for module in skipped)
    assert not skipped & packed


def test_auto_gptq_stops_at_a_mixed_checkpoint(tmp_path):
    """It would load one, and compute with random numbers where matrices are kept: a file that it needs isn't there."""
    name = "mixed llama"
    child = Path(__file__).parents[1] / "reload_autogptq.py"
    with pytest.raises(AssertionError, match="No such file or directory: '.*/quantize_config.json'"):
        scored_by(sys.executable, child, tmp_path, {name: MIXED_CASES[name]})


def test_without_kept_matrices_the_configuration_is_as_before(packed):
    for case in packed.values():
        config = json.loads((case["out"] / "quantize_config.json").read_text())
        assert not {"dynamic", "modules_in_block_to_quantize"} & config.keys()


def test_a_kept_matrix_that_was_rounded_or_is_not_there_is_refused(source, tmp_path):
    folder, rounded = source
    for name in ("0.attention.dense", "2.attention.dense"):
        with pytest.raises(CheckpointError, match=rf"0 weights in 16 bits that end in '{name}\.weight'; accepted: one"):
            export.export(folder, rounded, keeping(scheme(), name), tmp_path / "out")
    with pytest.raises(QuantizationError, match="nothing is rounded"):
        export.export(folder, Rounded({}, Diagnostics()), scheme(), tmp_path / "out")
    wanted = dataclasses.replace(scheme(), activation_format="mxint", activation_bits=8)
    with pytest.raises(SpecError, match="'activation_format' is 'mxint'; accepted in a packed checkpoint: null"):
        export.export(folder, rounded, wanted, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def recipe(family, tmp_path) -> Path:
    """Write a recipe of the tiny family's first checkpoint."""
    wanted = dataclasses.replace(
        one_checkpoint.gptq_scheme(4, GROUP, symmetric=False),
        calib_sequences=4,
        calib_seq_len=32,
        kept_matrices=("0.attention.dense", "1.mlp.dense_4h_to_h"),
    )
    found = dataclasses.replace(
        RECIPE, weights_sha256=checkpoints.weights_sha256(family / "tiny/step-000001"), scheme=wanted
    )
    recipes.write(found, tmp_path / "recipe.json")
    return tmp_path / "recipe.json"


def test_the_command_exports_a_recipe_with_the_loss_that_the_engine_measures(family, tmp_path, recipe):
    """Read back from the file into the 16-bit model: the loss of what the engine rounds, scales in float16."""
    folder, out = family / "tiny/step-000001", tmp_path / "out"
    packing.export(checkpoint=folder, out=out, recipe=recipe)
    rounded, _ = round_folder(folder, recipes.read(recipe).scheme)
    assert len(rounded.weights) == 6
    stored = load_file(out / "model.safetensors")
    assert sum(key.endswith(".qweight") for key in stored) == 6
    model = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens = torch.randint(1024, (8, 33), generator=torch.Generator().manual_seed(0))
    expected = losses(model, rounded, tokens, half=True)
    for parameter in rounded.weights:
        values = torch.from_numpy(read_back(out, parameter.removesuffix(".weight"), 4))
        model.get_parameter(parameter).data.copy_(values)
    assert torch.equal(losses(model, Rounded({}, Diagnostics()), tokens, half=True), expected)
    exact = losses(model, rounded, tokens, half=False)
    assert (exact - expected).abs().max() < HALF_SCALES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 4}, "--recipe beside --bits, --group-size or --symmetric; accepted: it alone"),
        ({"group_size": 32}, "--recipe beside --bits"),
        ({"symmetric": False}, "--recipe beside --bits"),
        ({"recipe": None}, "neither --bits nor --recipe; accepted: one of them"),
        ({"checkpoint": "step-000002"}, "step-000002: not the recipe's weights"),
        ({"recipe": Path("nowhere.json")}, "nowhere.json: No such file"),
        ({"device": "tpu"}, "device 'tpu'; accepted: cpu"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused_in_one_line(family, tmp_path, recipe, options, message):
    arguments = {"checkpoint": "step-000001", "recipe": recipe, "out": tmp_path / "out"} | options
    arguments["checkpoint"] = family / "tiny" / arguments["checkpoint"]
    with pytest.raises(QidError, match=message) as caught:
        packing.export(**arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kept_matrices": ("0.attention.denes",)},
            "'kept_matrices' has '0.attention.denes'; accepted: a block from 0 to 1, a dot and one of attention.query",
        ),
        ({"calib_sha256": "f" * 64}, "calibration text is .{16}; the scheme's is f{16}$"),
        ({"hessian_dtype": "tfloat32"}, "dtype 'tfloat32' needs a CUDA device"),
        ({"bits": 5}, "'bits' is 5; accepted in a packed checkpoint"),
    ],
)
def test_a_recipe_whose_scheme_does_not_fit_is_refused_in_one_line(family, tmp_path, recipe, change, message):
    chosen = recipes.read(recipe)
    recipes.write(dataclasses.replace(chosen, scheme=dataclasses.replace(chosen.scheme, **change)), recipe)
    with pytest.raises(QidError, match=message) as caught:
        packing.export(checkpoint=family / "tiny/step-000001", recipe=recipe, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_everything_that_is_not_weights_goes_along(source, tmp_path):
    folder, rounded = source
    beside = {
        "chat_template.jinja": "{{ messages }}",
        "added_tokens.json": "{}",
        "tokenizer.model": "words",
        "LICENSE": "licence",
        "README.md": "a card",
        "generation_config.json": '{"temperature": 1}',
        "special_tokens_map.json": "{}",
    }
    left = ("pytorch_model.bin", "optimizer.pt", "weights.gguf", "checkpoint.json", ".hidden", "other.safetensors")
    for name, text in (beside | dict.fromkeys(left, "{}")).items():
        (folder / name).write_text(text)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates/tools.jinja").write_text("{{ tools }}")
    (folder / "original").mkdir()
    export.export(folder, rounded, scheme(), tmp_path / "out")
    own = {"config.json", "model.safetensors", "quantize_config.json", "provenance.json", "tokenizer.json"}
    assert {*os.listdir(tmp_path / "out")} == own | beside.keys() | {"additional_chat_templates"}
    assert all((tmp_path / "out" / name).read_text() == text for name, text in beside.items())
    assert (tmp_path / "out/additional_chat_templates/tools.jinja").read_text() == "{{ tools }}"
    assert "quantization_config" in json.loads((tmp_path / "out/config.json").read_text())


def test_what_was_packed_is_not_packed_again(source, tmp_path):
    export.export(*source, scheme(), tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"out/config\.json: the weights are quantized already"):
        one_checkpoint.load_folder(tmp_path / "out", "cpu")


def test_a_weight_that_is_no_number_is_named(tmp_path):
    """Before, it was the Hessian of the next layer that wasn't positive definite."""
    model = tiny_model(seed=1)
    model.gpt_neox.layers[1].mlp.dense_h_to_4h.weight[2, 3] = float("nan")
    model.save_pretrained(tmp_path / "nan")
    found = r"nan: nonfinite weights in gpt_neox\.layers\.1\.mlp\.dense_h_to_4h\.weight$"
    with pytest.raises(CheckpointError, match=found):
        one_checkpoint.load_folder(tmp_path / "nan", "cpu")


def test_a_calibration_longer_than_the_model_goes_is_refused(tmp_path):
    """600 tokens on 512 positions were calibrated without a word."""
    folder = write_family(tmp_path / "family") / "tiny/step-000001"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 64}))
    with pytest.raises(CheckpointError, match="GPTNeoXForCausalLM: 512 tokens a sequence; accepted: up to 64"):
        round_folder(folder, one_checkpoint.gptq_scheme(4, GROUP, symmetric=False))
