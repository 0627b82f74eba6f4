"""Checkpoints opened in the dtype they are stored in: the bits of those loaded in float32, and little memory."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.measure.plain import ARCHITECTURES, CONFIGS, OF_EXPERTS
from tests.measure.tiny import ROOT, tiny_model
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from helpers.measure.models import checkpoints, opening, stored
from helpers.measure.models.decoders import decoder_of
from helpers.measure.models.stored import NARROW
from helpers.measure.rounding import layerwise, methods
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.scoring.evaluate import Evaluation, evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import CheckpointError
from helpers.table.families import catalogue
from helpers.table.scheme import QuantScheme

GIB = 2**30
CALIBRATION = torch.randint(0, 256, (6, 24), generator=torch.Generator().manual_seed(0))
TOKENS = torch.randint(0, 256, (5, 31), generator=torch.Generator().manual_seed(1))
BLOCKS = Blocks(TOKENS, (0, 0, 1, 1, 2), 600, "0")
CALIBRATED = {"calib_sequences": 6, "calib_seq_len": 24, "calib_seed": 0}
SCHEMES = [
    QuantScheme("gptq", 3, 8, False, rel_damp=0.01, **CALIBRATED),
    QuantScheme("gptq", 4, None, True, rel_damp=0.01, **CALIBRATED),
    QuantScheme("gptq_hadamard", 4, None, True, rel_damp=0.01, **CALIBRATED),
    QuantScheme("rtn", 3, 8, False),
    QuantScheme("awq", 3, 8, False, propagate="full_precision", **CALIBRATED),
    QuantScheme("gwq", 3, 8, False, propagate="full_precision", outlier_share=0.01, **CALIBRATED),
]


def saved(folder: Path, name: str, dtype: torch.dtype = torch.bfloat16) -> checkpoints.LocalCheckpoint:
    """Write a random model as transformers writes it."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if name.startswith("neox"):
            model = tiny_model(3, vocabulary_size=256, use_parallel_residual=name.endswith("parallel"))
        else:
            model = AutoModelForCausalLM.from_config(CONFIGS[name])
    copy.deepcopy(model).to(dtype).save_pretrained(folder)
    return described(folder)


def described(folder: Path) -> checkpoints.LocalCheckpoint:
    return checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None)


def both(local: checkpoints.LocalCheckpoint) -> tuple[PreTrainedModel, PreTrainedModel]:
    return checkpoints.load(local, "cpu"), opening.open_stored(local)


def kept_kinds(model: PreTrainedModel) -> set[torch.dtype]:
    return {parameter.dtype for parameter in model.parameters()}


def measured(model: PreTrainedModel, schemes: list[QuantScheme], dtype: str) -> tuple[list[Evaluation], list[Rounded]]:
    checkpoint, answers = Checkpoint(model, Path()), []
    for scheme in schemes:
        method = methods.method_named(scheme.method)
        ((answer,),) = method.quantize([checkpoint], [scheme], CALIBRATION[: scheme.calib_sequences], GIB)
        answers.append(answer)
    rounded = [answer for answer in answers if isinstance(answer, Rounded)]
    return evaluate([checkpoint], [rounded], BLOCKS, dtype, GIB)[0], answers


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_model_runs_and_is_measured_with_the_bits_of_one_in_float32(tmp_path, name):
    loaded, opened = both(saved(tmp_path, name))
    assert kept_kinds(opened) == {torch.bfloat16}
    assert torch.equal(decoder_of(opened).run(TOKENS), loaded(TOKENS, use_cache=False).logits)
    assert kept_kinds(opened) == {torch.bfloat16}, "what was widened is put back"
    for dtype, schemes in (("float32", SCHEMES[:2]), ("bfloat16", SCHEMES[1:2])):
        assert measured(opened, schemes, dtype)[0] == measured(loaded, schemes, dtype)[0]


@pytest.mark.parametrize("name", ["neox, parallel", "llama", "gpt2", "gemma3"])
@pytest.mark.parametrize("scheme", SCHEMES[2:], ids=lambda scheme: scheme.method)
def test_every_way_of_rounding_gives_the_same_bits(tmp_path, name, scheme):
    loaded, opened = both(saved(tmp_path, name))
    (of_loaded, (expected,)), (of_opened, (found,)) = (measured(each, [scheme], "float32") for each in (loaded, opened))
    assert isinstance(expected, Rounded) == isinstance(found, Rounded)
    assert of_opened == of_loaded
    if isinstance(found, Rounded):
        assert found.diagnostics == expected.diagnostics
        assert all(torch.equal(found.decoded(weight), expected.decoded(weight)) for weight in expected.weights)


def test_a_pocket_checkpoint_has_the_losses_of_one_in_float32():
    spec = catalogue.read_manifest(ROOT / "data/tadpole")[0]
    loaded, opened = both(checkpoints.fetch(spec))
    assert kept_kinds(opened) == {torch.bfloat16}
    assert measured(opened, SCHEMES[:1], "float32")[0] == measured(loaded, SCHEMES[:1], "float32")[0]


@pytest.mark.parametrize(
    ("stored", "kept"), [("F16", torch.float16), ("F32", torch.float32), ("F64", torch.float32), ("mixed", None)]
)
def test_other_kinds_are_kept_too_and_none_wider_than_float32(tmp_path, stored, kept):
    kinds = {"F16": torch.float16, "F32": torch.float32, "F64": torch.float64, "mixed": torch.bfloat16}
    saved(tmp_path, "llama", torch.float32)
    path = tmp_path / "model.safetensors"
    weights = {name: tensor.to(kinds[stored]) for name, tensor in load_file(path).items()}
    if stored == "mixed":
        weights |= {name: tensor.float() for name, tensor in weights.items() if "norm" in name}
        weights["lm_head.weight"] = weights["lm_head.weight"].half()
    save_file(weights, path, metadata={"format": "pt"})
    loaded, opened = both(described(tmp_path))
    assert kept_kinds(opened) == ({kept} if kept else {torch.float32, torch.bfloat16, torch.float16})
    assert torch.equal(decoder_of(opened).run(TOKENS), loaded(TOKENS).logits)
    assert measured(opened, SCHEMES[:1], "float32")[0] == measured(loaded, SCHEMES[:1], "float32")[0]


def test_tied_weights_and_shards_and_the_random_state_stay_what_they_are(tmp_path):
    config = LlamaConfig(**CONFIGS["llama"].to_dict() | {"tie_word_embeddings": True})
    model = AutoModelForCausalLM.from_config(config).bfloat16()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(checkpoints.weight_files(tmp_path)) > 2
    before = torch.get_rng_state()
    loaded, opened = both(described(tmp_path))
    assert torch.equal(torch.get_rng_state(), before)
    assert opened.lm_head.weight is opened.model.embed_tokens.weight
    assert type(opened) is type(loaded)
    assert not opened.training
    assert torch.equal(decoder_of(opened).run(TOKENS), loaded(TOKENS).logits)


def test_buffers_are_those_of_float32(tmp_path):
    """Gemma 3 scales its embedding by a buffer that would be rounded to 16 bits."""
    loaded, opened = both(saved(tmp_path, "gemma3"))
    buffers = dict(opened.named_buffers())
    assert buffers.keys() == dict(loaded.named_buffers()).keys()
    for name, buffer in loaded.named_buffers():
        assert buffers[name].dtype == buffer.dtype == torch.float32
        assert torch.equal(buffers[name], buffer)


@pytest.mark.parametrize("lost", ["lm_head.weight", "model.layers.1.mlp.up_proj.weight"])
def test_a_parameter_that_would_stay_random_is_refused(tmp_path, lost):
    saved(tmp_path, "llama")
    weights = load_file(tmp_path / "model.safetensors")
    del weights[lost]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"parameters missing, unknown or of another shape: .*{lost}"):
        opening.open_stored(described(tmp_path))


def change(path: Path, way: str) -> None:
    if way == "gone":
        path.unlink()
    elif way == "truncated":
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
    else:
        content = path.read_bytes()
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("way", "found"),
    [
        ("gone", r"gone while it was measured \(No such file or directory\)"),
        ("truncated", r"changed while it was measured \([0-9,]+ bytes, not [0-9,]+\)"),
        ("again", r"changed while it was measured \(written again\)"),
    ],
)
def test_a_shard_that_changes_in_the_middle_is_one_line(tmp_path, monkeypatch, way, found):
    """Once the first of two blocks is rounded; a mapped file that shrinks would end the process at the next look."""
    AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS["llama"])).bfloat16().save_pretrained(
        tmp_path, max_shard_size="20KB"
    )
    shard = checkpoints.weight_files(tmp_path)[-1]
    checkpoint = Checkpoint(opening.open_stored(described(tmp_path)), tmp_path)
    assert checkpoint.decoder
    method = methods.method_named("gptq")
    rounds = layerwise._Walk._round_block

    def then_change(walk, index, *others):
        rounds(walk, index, *others)
        if index == 0:
            change(shard, way)

    monkeypatch.setattr(layerwise._Walk, "_round_block", then_change)
    with pytest.raises(CheckpointError, match=f"{shard.name}: {found}$"):
        method.quantize([checkpoint], SCHEMES[:1], CALIBRATION, GIB)


@pytest.mark.parametrize("name", ["llama", *OF_EXPERTS])
def test_nothing_is_read_before_it_is_used(tmp_path, name):
    """The parameters are the file's own pages."""
    opened = opening.open_stored(saved(tmp_path, name))
    assert all(parameter.dtype in NARROW for parameter in opened.parameters())
    mapped = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if "model.safetensors" in line]
    ranges = [tuple(int(end, 16) for end in line[0].split("-")) for line in mapped if str(tmp_path) in line[-1]]
    assert all(any(low <= p.data_ptr() < high for low, high in ranges) for p in opened.parameters())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_model_is_measured_in_less_memory_than_it_takes_in_float32(tmp_path):
    """Twelve blocks, 126 million parameters: 503 MB in float32.

    Codes take 126 MB, a block in float32 for the model and its variant 84; 419 was measured, heap's holes included. A
    model loaded in float32 takes 503 before anything is rounded.
    """
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=1024,
        intermediate_size=2048,
        num_hidden_layers=12,
        num_attention_heads=8,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    in_float32 = sum(4 * parameter.numel() for parameter in model.parameters())
    model.save_pretrained(tmp_path, max_shard_size="100MB")
    command = [sys.executable, "-m", "tests.measure.peak_of_opened", str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    peak, original, rounded = map(float, said.split())
    assert original != rounded
    assert peak < 0.95 * in_float32, f"{peak / 2**20:.0f} MiB"


def test_what_goes_into_the_blocks_is_found_without_a_copy_of_a_block(tmp_path, monkeypatch):
    """It is asked for at every batch; copies of every block would read the whole model from the disk each time."""
    decoder = decoder_of(opening.open_stored(saved(tmp_path / "model", "llama")))
    copied = []
    monkeypatch.setattr(stored, "wide", lambda parameter, _: copied.append(parameter) or parameter.detach().float())
    hidden, _ = decoder.inputs(TOKENS)
    assert hidden.dtype == torch.float32
    assert [id(each) for each in copied] == [id(decoder.model.get_input_embeddings().weight)]


def test_a_model_that_works_elsewhere_is_opened_streamed(tmp_path, monkeypatch):
    local = saved(tmp_path, "llama")
    placed = []
    monkeypatch.setattr(opening, "put", lambda model, device, streamed: placed.append((device, streamed)))
    opening.open_stored(local)
    assert placed == []
    opening.open_stored(local, "cuda")
    assert placed == [("cuda", True)]
