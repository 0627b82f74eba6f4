"""Any decoder-only model as three parts: what comes before its blocks, the blocks, and what comes after.

Blocks and linear layers are found by type, not by a table of names, and what was found is tried on a few tokens: the
three parts, run one after the other, must give the model's own logits bit for bit.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from helpers.specs import CheckpointError

PROBE = torch.arange(1, 9)[None]  # the tokens on which the parts are tried


class _StopError(Exception):
    """Ends a forward pass once the first block's inputs are known."""


@dataclass(frozen=True)
class Decoder:
    """A causal language model in parts.

    `prefix` is the blocks' name in the model, `tail` the modules that turn the last block's output (n, L, d) into
    logits (n, L, vocabulary), `arguments` what every block gets besides its hidden states, for one sequence.
    """

    model: PreTrainedModel
    prefix: str
    blocks: nn.ModuleList
    tail: tuple[nn.Module, ...]

    def inputs(self, tokens: Tensor) -> tuple[Tensor, dict]:
        """Return the first block's hidden states for `tokens` (n, L), and the other arguments every block gets."""
        seen: dict = {}

        def remember(_module: nn.Module, args: tuple, kwargs: dict) -> None:
            seen.update(hidden=args[0] if args else kwargs.pop("hidden_states"), kwargs=kwargs)
            raise _StopError

        handle = self.blocks[0].register_forward_pre_hook(remember, with_kwargs=True)
        try:
            with contextlib.suppress(_StopError):
                self.model(tokens, use_cache=False)
        finally:
            handle.remove()
        return seen["hidden"], seen["kwargs"]

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits for the last block's output."""
        for module in self.tail:
            hidden = module(hidden)
        return hidden

    def linear_names(self) -> tuple[str, ...]:
        """Return the linear layers of one block, by name in the block: what gets rounded, nothing else."""
        return tuple(name for name, module in self.blocks[0].named_modules() if isinstance(module, nn.Linear))

    def linear_layers(self) -> dict[str, nn.Linear]:
        """Return every linear layer of the blocks by its name in the model."""
        return {
            f"{self.prefix}.{index}.{name}": block.get_submodule(name)
            for index, block in enumerate(self.blocks)
            for name in self.linear_names()
        }

    def name_of(self, index: int, layer: str) -> str:
        """Return the parameter name, in the model, of a linear layer's weight in block `index`."""
        return f"{self.prefix}.{index}.{layer}.weight"


def hidden_of(output: Tensor | tuple) -> Tensor:
    """Return a block's hidden states; blocks of some models answer with a tuple."""
    return output if isinstance(output, Tensor) else output[0]


@torch.no_grad()
def decoder_of(model: PreTrainedModel) -> Decoder:
    """Find the parts of a model and try them. Raises CheckpointError that names what was found instead."""
    kind = type(model).__name__
    lists = {name: m for name, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m)}
    alike = {name: found for name, found in lists.items() if len({type(block) for block in found}) == 1}
    outer = {name: found for name, found in alike.items() if not any(name.startswith(f"{other}.") for other in alike)}
    if len(outer) != 1:
        found = ", ".join(f"{name} ({len(blocks)} x {type(blocks[0]).__name__})" for name, blocks in lists.items())
        raise CheckpointError(f"unknown structure {kind}: one list of equal blocks is needed; found: {found or 'none'}")
    prefix, blocks = next(iter(outer.items()))
    names = {tuple(name for name, _ in block.named_parameters()) for block in blocks}
    if len(names) != 1:
        raise CheckpointError(f"unknown structure {kind}: the blocks of '{prefix}' don't have the same parameters")
    _refuse_other_matrices(kind, prefix, blocks[0])
    decoder = Decoder(model, prefix, blocks, _tail_of(model, blocks))
    _try_parts(decoder, kind)
    return decoder


def _refuse_other_matrices(kind: str, prefix: str, block: nn.Module) -> None:
    """Refuse a block with matrices that aren't a Linear's (experts, Conv1D): they would silently stay as they are."""
    linear = {f"{name}.weight" for name, module in block.named_modules() if isinstance(module, nn.Linear)}
    others = [name for name, parameter in block.named_parameters() if parameter.ndim > 1 and name not in linear]
    if others or not linear:
        found = f"also {', '.join(others)}" if others else "none"
        raise CheckpointError(f"unknown structure {kind}: only Linear layers in '{prefix}' can be rounded; found: {found}")


def _tail_of(model: PreTrainedModel, blocks: nn.ModuleList) -> tuple[nn.Module, ...]:
    """Return the modules without children that run after the last block, in order."""
    order: list[nn.Module] = []
    with _watched(model, order):
        model(PROBE.to(model.device), use_cache=False)
    last = max((i for i, module in enumerate(order) if module is blocks[-1]), default=-1)
    return tuple(module for module in order[last + 1 :] if not list(module.children()))


@contextlib.contextmanager
def _watched(model: nn.Module, order: list[nn.Module]) -> Iterator[None]:
    """Append every module of `model` to `order` when it returns."""
    handles = [module.register_forward_hook(lambda m, _args, _out: order.append(m)) for module in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _try_parts(decoder: Decoder, kind: str) -> None:
    tokens = PROBE.to(decoder.model.device)
    hidden, arguments = decoder.inputs(tokens)
    for block in decoder.blocks:
        hidden = hidden_of(block(hidden, **arguments))
    if not torch.equal(decoder.logits(hidden), decoder.model(tokens, use_cache=False).logits):
        tail = ", ".join(type(module).__name__ for module in decoder.tail)
        raise CheckpointError(
            f"unknown structure {kind}: blocks '{decoder.prefix}' and then {tail} don't give the model's own logits"
        )
