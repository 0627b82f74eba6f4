"""Any decoder-only model as three parts: what comes before its blocks, the blocks, and what comes after.

Blocks and linear layers are found by type, not by a table of names, and what was found is tried on a few tokens: the
three parts, run one after the other, must give the model's own logits bit for bit.
"""

import contextlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from helpers.measure.models.after_head import steps_of
from helpers.measure.models.as_linear import ROUTERS, with_linear_layers
from helpers.measure.models.block_kinds import templates_of
from helpers.measure.models.stored import NARROW, wide, widened_in_turn
from helpers.measure.models.streaming.placing import device_of
from helpers.table.errors import CheckpointError

# The tokens on which the parts are tried: two sequences that begin alike
PROBE = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 5, 6, 7, 8]])
SEEN_AHEAD = 1e-5  # of the largest logit: what a later token may change by float32's rounding

CAUSES = (RuntimeError, TypeError, ValueError, LookupError, AttributeError)  # of models that can't be made or run


class _StopError(Exception):
    """The signal that ends a forward pass once the blocks' arguments are known."""


@dataclass(frozen=True)
class Decoder:
    """A causal language model in parts.

    `prefix` is the blocks' name in the model, `tail` the modules that turn the last block's output (n, L, d) into
    logits (n, L, vocabulary). The other arguments that `inputs` gives for one sequence serve any number of
    sequences of its length; `in_tuples` tells whether a block answers with a tuple. `templates[i]` is the first block
    from which block i differs in parameters alone.
    """

    model: PreTrainedModel
    prefix: str
    blocks: nn.ModuleList
    tail: tuple[nn.Module, ...]
    templates: tuple[int, ...]
    in_tuples: bool

    def inputs(self, tokens: Tensor) -> tuple[Tensor, list[dict[str, Any]]]:
        """Return the first block's hidden states for `tokens` (n, L), and for every block the other arguments it gets.

        Blocks may get different ones (a window's mask, a rotation of another base). No block is run.
        Raises CheckpointError as `refuse_unfit` does, and where blocks get 16-bit numbers.
        """
        self.refuse_unfit(tokens)
        first: list[Tensor] = []
        arguments: list[dict[str, Any]] = []
        names = list(inspect.signature(self.blocks[0].forward).parameters)

        def pass_on(*args: Any, **kwargs: Any) -> Tensor | tuple[Tensor]:
            kwargs |= dict(zip(names, args, strict=False))
            hidden = kwargs.pop(names[0])
            first.append(hidden)
            arguments.append(kwargs)
            if len(arguments) == len(self.blocks):
                raise _StopError
            return (hidden,) if self.in_tuples else hidden

        widened = widened_in_turn(self.model, (), skipped=self.blocks)
        with _forward_by(pass_on, self.blocks), widened, contextlib.suppress(_StopError):
            self.model(tokens, use_cache=False)
        if first[0].dtype in NARROW:
            raise unknown_structure(self.model, f"its blocks get {first[0].dtype} from a float32 embedding")
        return first[0], arguments

    def run(self, tokens: Tensor) -> Tensor:
        """Return the model's own logits for `tokens` (n, L), in float32 however its weights are kept."""
        with self.in_float32():
            logits: Tensor = self.model(tokens, use_cache=False).logits
        return logits

    def in_float32(self) -> contextlib.AbstractContextManager[None]:
        """Let the model and its blocks be run in float32, whatever kind its parameters are kept in."""
        return widened_in_turn(self.model, self.blocks)

    def refuse_unfit(self, tokens: Tensor) -> None:
        """Raise CheckpointError for more tokens (n, L) than the model has positions, or ids beyond its embedding."""
        config, kind = self.model.config, type(self.model).__name__
        positions = positions_of(config)
        if positions is not None and tokens.shape[1] > positions:
            raise CheckpointError(
                f"{kind}: {tokens.shape[1]} tokens a sequence; accepted: up to {positions} (its positions)"
            )
        if int(tokens.max()) >= config.vocab_size:
            raise CheckpointError(
                f"{kind}: token {int(tokens.max())}; accepted: below {config.vocab_size} (its embedding)"
            )

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits for the last block's output."""
        for module in self.tail:
            hidden = module(hidden)
        return hidden

    def linear_names(self) -> tuple[str, ...]:
        """Return the linear layers of one block, by name in the block: what gets rounded, nothing else."""
        return tuple(_linear(self.blocks[0]))

    def linear_layers(self) -> dict[str, nn.Linear]:
        """Return every linear layer of the blocks by its name in the model."""
        return {
            f"{self.prefix}.{index}.{name}": linear_in(block, name)
            for index, block in enumerate(self.blocks)
            for name in self.linear_names()
        }

    def name_of(self, index: int, layer: str) -> str:
        """Return the parameter name, in the model, of a linear layer's weight in block `index`."""
        return f"{self.prefix}.{index}.{layer}.weight"

    def short_name(self, layer: str) -> str:
        """Return block and layer, such as 0.attention.dense, of a linear layer's name in the model."""
        return layer.removeprefix(f"{self.prefix}.")


@contextlib.contextmanager
def _forward_by(function: Callable[..., Any], modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let `function` answer for `modules`, whatever they are."""
    for module in modules:
        module.forward = function
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def weight_of(layer: nn.Linear) -> Tensor:
    """Return a linear layer's weight (rows, columns) in float32 where it works, however and wherever it is kept."""
    return wide(layer.weight, device_of(layer))


def hidden_of(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return a block's hidden states; blocks of some models answer with a tuple."""
    return output if isinstance(output, Tensor) else output[0]


def linear_in(block: nn.Module, name: str) -> nn.Linear:
    """Return the linear layer called `name` in a block, one of `Decoder.linear_names`."""
    layer = block.get_submodule(name)
    assert isinstance(layer, nn.Linear), name
    return layer


@torch.no_grad()
def decoder_of(model: PreTrainedModel) -> Decoder:
    """Find the parts of a model in evaluation mode and try them, without leaving anything behind.

    Raises CheckpointError that names what was found instead.
    """
    prefix, blocks = blocks_of(model)
    _refuse_left_out_caps(model)
    try:
        return _tried(model, prefix, blocks)
    except CAUSES as error:
        raise unknown_structure(model, f"its parts can't be run on their own ({first_line(error)})") from None


def _tried(model: PreTrainedModel, prefix: str, blocks: nn.ModuleList) -> Decoder:
    """Return the decoder of a model whose blocks are known, if its parts give the model's logits."""
    tokens = (PROBE % model.config.vocab_size).to(device_of(model))
    with widened_in_turn(model, blocks):
        order, in_tuples = _order_of_modules(model, blocks, tokens)
    _refuse_idle_layers(model, prefix, blocks, order)
    tail = (*_tail_of(blocks, order), *steps_of(model.config))
    decoder = Decoder(model, prefix, blocks, tail, templates_of(list(blocks)), in_tuples)
    if not _parts_agree(decoder, tokens):
        after = ", ".join(type(module).__name__ for module in tail) or "nothing"
        raise unknown_structure(model, f"blocks '{prefix}' and then {after} don't give the model's own logits")
    _refuse_seen_ahead(decoder, tokens)
    return decoder


def positions_of(config: PretrainedConfig) -> int | None:
    """Return how many tokens a model can tell apart by their places, or None where its configuration doesn't say."""
    found = getattr(config, "max_position_embeddings", None)
    return found if type(found) is int and found > 0 else None


def meta_model(config: PretrainedConfig) -> PreTrainedModel:
    """Return the model of a configuration as transformers makes it, without numbers in its parameters.

    Raises CheckpointError when the configuration isn't a causal language model's.
    """
    try:
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # whatever a library raises of numbers and names that it can't use
        kind = type(config).__name__
        raise CheckpointError(f"no causal language model can be made of {kind} ({first_line(error)})") from None
    return model


def linear_shapes(config: PretrainedConfig) -> dict[str, tuple[int, int]]:
    """Return (rows, columns) of the linear layers of one block, by name in the block, without making any weights.

    Raises CheckpointError as `meta_model` does, or when its blocks aren't known.
    """
    model = meta_model(config)
    with_linear_layers(model)
    _, blocks = blocks_of(model)
    return {name: (layer.out_features, layer.in_features) for name, layer in _linear(blocks[0]).items()}


def unknown_structure(model: nn.Module, complaint: str) -> CheckpointError:
    """Return the error that names a model's class and what was found."""
    return CheckpointError(f"unknown structure {type(model).__name__}: {complaint}")


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, with the next where it ends in a colon: that one has the reason."""
    first, _, rest = str(error).partition("\n")
    return f"{first} {rest.strip().splitlines()[0] if rest.strip() else ''}".rstrip() if first.endswith(":") else first


def _linear(block: nn.Module) -> dict[str, nn.Linear]:
    return {name: module for name, module in block.named_modules() if isinstance(module, nn.Linear)}


def blocks_of(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """Return the name of the model's one list of equal blocks, and the list; one inside of another doesn't count.

    Raises CheckpointError where there is no such list or its blocks can't be rounded.
    """
    lists = {name: m for name, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m)}
    outer = {name: found for name, found in lists.items() if not any(name.startswith(f"{other}.") for other in lists)}
    alike = [name for name, found in outer.items() if len({type(block) for block in found}) == 1]
    if len(alike) != 1:
        found = ", ".join(f"{name} ({len(blocks)} x {type(blocks[0]).__name__})" for name, blocks in outer.items())
        raise unknown_structure(model, f"one list of equal blocks is needed; found: {found or 'none'}")
    prefix, blocks = alike[0], outer[alike[0]]
    if len({tuple((name, p.shape) for name, p in block.named_parameters()) for block in blocks}) != 1:
        raise unknown_structure(model, f"the blocks of '{prefix}' don't have the same parameters")
    _refuse_other_matrices(model, prefix, blocks[0])
    _refuse_what_no_stack_holds(model, prefix, blocks[0])
    return prefix, blocks


def caps_attention(config: PretrainedConfig) -> bool:
    """Tell whether a model puts a soft cap on its attention scores, which only the eager attention does."""
    return getattr(config, "attn_logit_softcapping", None) is not None


def _refuse_left_out_caps(model: PreTrainedModel) -> None:
    """Refuse an attention that leaves out, without a word, a soft cap that the configuration wants."""
    if caps_attention(model.config) and model.config._attn_implementation != "eager":
        found = f"'{model.config._attn_implementation}' attention leaves out its soft cap"
        raise unknown_structure(model, f"{found}; accepted: attn_implementation='eager'")


def _refuse_other_matrices(model: nn.Module, prefix: str, block: nn.Module) -> None:
    """Refuse a block with matrices that aren't a Linear's: they would stay as they are, as only a router's may."""
    linear = {f"{name}.weight" for name in _linear(block)}
    known = linear | {f"{name}.weight" for name, module in block.named_modules() if isinstance(module, ROUTERS)}
    others = [name for name, parameter in block.named_parameters() if parameter.ndim > 1 and name not in known]
    if others or not linear:
        found = f"also {', '.join(others)}" if others else "none"
        raise unknown_structure(model, f"only Linear layers in '{prefix}' can be rounded; found: {found}")


def _refuse_what_no_stack_holds(model: nn.Module, prefix: str, block: nn.Module) -> None:
    """Refuse parameters beside child layers, and stored buffers without parameters: stacks hold neither by variant."""
    for place, module in block.named_modules():
        inside = f"{prefix}.0.{place}".rstrip(".")
        own = [name for name, _ in module.named_parameters(recurse=False)]
        if own and any(isinstance(child, nn.Linear) for child in module.modules() if child is not module):
            raise unknown_structure(model, f"parameters beside child layers in '{inside}': {', '.join(own)}")
        stored = list(stored_buffers(module))
        if stored and not own:
            raise unknown_structure(model, f"stored tensors that aren't parameters in '{inside}': {', '.join(stored)}")


def stored_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's own buffers that a checkpoint holds: values that differ between checkpoints."""
    own = dict(module.named_buffers(recurse=False))
    return {name: buffer for name, buffer in own.items() if name not in module._non_persistent_buffers_set}


def _order_of_modules(model: PreTrainedModel, blocks: nn.ModuleList, tokens: Tensor) -> tuple[list[nn.Module], bool]:
    """Return the model's modules in the order in which they finish, and whether its first block gives a tuple."""
    order: list[nn.Module] = []
    answers: list[Any] = []
    handles = [module.register_forward_hook(lambda m, _args, _out: order.append(m)) for module in model.modules()]
    handles.append(blocks[0].register_forward_hook(lambda _m, _args, out: answers.append(out)))
    try:
        model(tokens, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return order, any(isinstance(answer, tuple) for answer in answers)


def _refuse_idle_layers(model: nn.Module, prefix: str, blocks: nn.ModuleList, order: list[nn.Module]) -> None:
    """Refuse linear layers that don't run once per pass (cross-attention): calibration couldn't tell their inputs."""
    runs = Counter(order)
    unusual = sorted({name for block in blocks for name, layer in _linear(block).items() if runs[layer] != 1})
    if unusual:
        raise unknown_structure(model, f"linear layers in '{prefix}' that don't run once a pass: {', '.join(unusual)}")


def _tail_of(blocks: nn.ModuleList, order: list[nn.Module]) -> tuple[nn.Module, ...]:
    """Return the modules without children that finish after the last block."""
    last = order.index(blocks[-1])
    return tuple(module for module in order[last + 1 :] if not list(module.children()))


def _parts_agree(decoder: Decoder, tokens: Tensor) -> bool:
    """Tell whether the parts give the model's logits for `tokens` (n, L), with the arguments of one sequence.

    NaN equals NaN: weights that aren't numbers are found elsewhere.
    """
    hidden, _ = decoder.inputs(tokens)
    _, arguments = decoder.inputs(tokens[:1])
    with decoder.in_float32():
        for block, of_block in zip(decoder.blocks, arguments, strict=True):
            hidden = hidden_of(block(hidden, **of_block))
        parts = decoder.logits(hidden)
    return torch.allclose(parts, decoder.run(tokens), rtol=0, atol=0, equal_nan=True)


def _refuse_seen_ahead(decoder: Decoder, tokens: Tensor) -> None:
    """Refuse a model whose logits depend on later tokens; `tokens` (2, L) are two sequences that begin alike."""
    n_alike = int((tokens[0] == tokens[1]).long().cumprod(0).sum())
    one, other = decoder.run(tokens)[:, :n_alike]
    if bool((one - other).abs().max() > SEEN_AHEAD * one.abs().max()):  # never where one isn't a number
        raise unknown_structure(decoder.model, "what it says of a token depends on later ones; accepted: causal models")
