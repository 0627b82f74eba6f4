"""Rounded models of several makes, written packed: what tests of the export and of GPTQModel's reading share."""

import copy
import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tests.measure.tiny import ROOT, tiny_model
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from helpers.measure.models.decoders import decoder_of
from helpers.measure.packing import export, gptq_format
from helpers.measure.rounding import grids
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.methods import rtn
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

GROUP = 32
# float16 scales change each weight by at most 2^-11 of itself, up or down: measured below 4e-5, and 3e-4 for the Llama.
HALF_SCALES = 2e-3


def scheme(bits: int = 4, group_size: int | None = GROUP, symmetric: bool = False) -> QuantScheme:
    return QuantScheme(method="rtn", bits=bits, group_size=group_size, symmetric=symmetric)


def llama() -> LlamaForCausalLM:
    """Return a model of another make: separate projections without biases, fewer key heads, gated MLP."""
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=0,
        eos_token_id=0,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval().requires_grad_(False)


def written(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Plant biases, and groups of one sign with their zero points at the ends; save in bfloat16, return what was saved."""
    for layer in decoder_of(model).linear_layers().values():
        layer.weight[0::4, :GROUP].abs_()  # zero point 0, and the largest code in use
        layer.weight[1::4, :GROUP].abs_().neg_()
        if layer.bias is not None:
            layer.bias.copy_(torch.linspace(-0.5, 0.5, layer.out_features))
    for parameter in model.parameters():
        parameter.copy_(parameter.bfloat16())  # not the whole model: its rotary frequencies stay float32
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
    shutil.copyfile(ROOT / "data/tadpole/tokenizer.json", folder / "tokenizer.json")  # GPTQModel's own loader wants one
    return model


def rounded_by(model: PreTrainedModel, wanted: QuantScheme) -> Rounded:
    (((answer),),) = rtn.quantize([Checkpoint(model, Path("unused"))], [wanted], None, 0)
    return answer


def in_another_order(model: PreTrainedModel, wanted: QuantScheme) -> Rounded:
    """Return weights whose groups are scattered over the columns, as an order by activation makes them."""
    weights = {}
    for name, layer in decoder_of(model).linear_layers().items():
        order = torch.randperm(layer.in_features, generator=torch.Generator().manual_seed(layer.in_features))
        sorted_ = grids.round_to_integer(layer.weight[:, order], wanted.bits, wanted.symmetric, wanted.group_size)
        codes, groups = torch.empty_like(sorted_.codes), torch.empty_like(order)
        codes[:, order], groups[order] = sorted_.codes, sorted_.group_of_column
        weights[f"{name}.weight"] = IntegerWeight(codes, sorted_.scale, sorted_.zero, groups)
    return Rounded(weights, Diagnostics())


def losses(model: PreTrainedModel, rounded: Rounded, tokens: Tensor, half: bool) -> Tensor:
    """Return each block's loss with the rounded weights put in, their scales in float16 if `half`."""
    weights = {n: (gptq_format.as_stored(w) if half else w).decode() for n, w in rounded.weights.items()}
    logits = torch.func.functional_call(model, weights, (tokens[:, :-1],), {"use_cache": False}).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return loss.view(len(tokens), -1).double().mean(-1)


CASES = {
    **{f"{bits} bits": (tiny_model, scheme(bits), rounded_by) for bits in gptq_format.BITS},
    "symmetric per row": (tiny_model, scheme(4, None, True), rounded_by),
    "3 bits in another order": (tiny_model, scheme(3), in_another_order),
    "llama": (lambda seed: llama(), scheme(3), rounded_by),
}


def keeping(wanted: QuantScheme, *names: str) -> QuantScheme:
    return dataclasses.replace(wanted, kept_matrices=tuple(sorted(names)))


# Some matrices kept; of eleven blocks, names of the first are the ends of others' (10.attention.dense).
MIXED_CASES = {
    "mixed 2 bits": (
        lambda seed: tiny_model(seed, n_layers=11),
        keeping(scheme(2), "0.attention.dense", "0.mlp.dense_4h_to_h", "10.attention.query_key_value"),
        rounded_by,
    ),
    "mixed llama": (
        lambda seed: llama(),
        keeping(scheme(3, symmetric=True), "0.self_attn.q_proj", "1.mlp.down_proj", "1.self_attn.v_proj"),
        rounded_by,
    ),
    "one matrix rounded": (
        tiny_model,
        keeping(
            scheme(4, None, True),
            *(f"0.{layer}" for layer in ("attention.query_key_value", "attention.dense", "mlp.dense_4h_to_h")),
            *(f"1.{layer}" for layer in ("attention.query_key_value", "attention.dense")),
            *(f"1.{layer}" for layer in ("mlp.dense_4h_to_h", "mlp.dense_h_to_4h")),
        ),
        rounded_by,
    ),
}


def scored_by(python: str, child: Path, place: Path, made: dict[str, tuple]) -> dict[str, dict]:
    """Export the cases `made` into `place`; let `child` load and score them; return what was written and both scores.

    `losses[half]` is ours, with scales in float16 or not; `theirs` is the child's. Each is a block's mean loss in nats.
    """
    tokens = torch.randint(1024, (8, 33), generator=torch.Generator().manual_seed(0))
    cases = {}
    for index, (name, (build, wanted, how)) in enumerate(made.items()):
        original, out = place / f"{index}-original", place / str(index)
        model = written(build(seed=1), original)
        rounded = how(model, wanted)
        export.export(original, rounded, wanted, out)
        both = {half: losses(model, rounded, tokens, half) for half in (True, False)}
        cases[name] = {"original": original, "out": out, "rounded": rounded, "losses": both}
    exchange = place / "exchange"
    exchange.mkdir()
    save_file({"tokens": tokens}, exchange / "tokens.safetensors")
    (exchange / "request.json").write_text(json.dumps([str(case["out"]) for case in cases.values()]))
    done = subprocess.run(
        [python, str(child), str(exchange)],
        cwd=exchange,
        env={"TORCHDYNAMO_DISABLE": "1", "GPTQMODEL_CPU_WORKERS": "2"} | os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = load_file(exchange / "losses.safetensors")
    return {name: case | {"theirs": answers[str(i)]} for i, (name, case) in enumerate(cases.items())}
