"""Several sets of parameters side by side in one decoder block: what makes batching over models possible.

A *variant* is one checkpoint under one scheme. The hidden states of V variants lie one after the other in the batch
dimension, (V x n, L, d), so attention and everything else without parameters runs as it is written in transformers;
only the modules that own parameters are replaced by ones that hold V sets of them.
"""

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import torch
from torch import Tensor, nn
from torch.func import functional_call

from helpers.measure.models.as_linear import Experts
from helpers.measure.models.decoders import Decoder, linear_in, stored_buffers
from helpers.measure.models.precision import taken_apart
from helpers.measure.models.stored import widened_outside
from helpers.measure.models.streaming.placing import device_of
from helpers.table.records import given

if TYPE_CHECKING:
    from helpers.measure.models.cuda.halves import Halves

EMBEDDED_TOGETHER = {"cpu": 1, "cuda": 4}  # batches: on a GPU less than what a block's activations of one batch take

Layer = TypeVar("Layer", bound="StackedLinear")


class WaitError(Exception):
    """A micro-batch has reached a layer that isn't rounded yet, and isn't the last to reach it."""


class StackedLinear(nn.Module):
    """V linear layers: (V x n, ..., columns) -> (V x n, ..., rows), with weight (V, rows, columns), bias (V, rows).

    Where variants have different numbers of tokens, `shares` says how many: (their sum, columns) -> (their sum, rows).
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None
        self.apart: Halves | None = None  # the inputs to be multiplied next, where they are taken apart already

    def see(self, inputs: Tensor, shares: list[int] | None = None) -> None:
        """Look at the inputs before they are multiplied; a walk that rounds may let its micro-batch wait."""

    def forward(self, inputs: Tensor, shares: list[int] | None = None) -> Tensor:
        """Multiply each variant's inputs with its own weight."""
        weight = given(self.weight).to(inputs.dtype)  # TF32's operands may come in float16
        stacked_bias = None if self.bias is None else self.bias.to(inputs.dtype)
        if shares is not None:
            parts = inputs.split(shares)
            biases = [None] * len(parts) if stacked_bias is None else stacked_bias
            each = zip(parts, weight, biases, strict=True)
            return torch.cat([nn.functional.linear(part, own, bias) for part, own, bias in each])
        n_variants, rows, columns = weight.shape
        stacked = inputs.reshape(n_variants, -1, columns)
        apart, self.apart = self.apart or taken_apart(stacked), None
        if apart is not None:
            of_weight = given(taken_apart(weight))
            return apart.product(of_weight, stacked_bias).view(*inputs.shape[:-1], rows)
        outputs = stacked.new_empty(n_variants, stacked.shape[1], rows)
        for v in range(n_variants):  # one product per variant: wide enough, its bias for nothing, its bits its own
            if stacked_bias is None:
                torch.mm(stacked[v], weight[v].mT, out=outputs[v])
            else:
                torch.addmm(stacked_bias[v], stacked[v], weight[v].mT, out=outputs[v])
        return outputs.view(*inputs.shape[:-1], rows)


class StackedModule(nn.Module):
    """A small module (a norm) for V variants, (V x n, ...) -> (V x n, ...).

    Its parameters have shape (V, ...), or their own where all variants are of one checkpoint and share them. A matrix
    (a router's) isn't shared: the bits of its product would depend on how many variants there are.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.template = (module,)  # in a tuple: its own parameters aren't this module's
        self.values: dict[str, Tensor] = {}
        self.sharing = all(parameter.ndim < 2 for parameter in module.parameters())
        self.shared = self.sharing

    def forward(self, inputs: Tensor) -> Any:
        """Apply each variant's parameters to its own inputs."""
        if self.shared:
            return self._of_one(self.values, inputs)
        n_variants = len(next(iter(self.values.values())))
        split = inputs.unflatten(0, (n_variants, -1))
        if inputs.is_cuda and self.sharing:
            outputs: Tensor = torch.vmap(self._of_one)(self.values, split)
            return outputs.flatten(0, 1)
        each = [{name: value[v] for name, value in self.values.items()} for v in range(n_variants)]
        # one by one, so that a variant's bits are its own: on a CPU vmap takes layer norms apart
        parts = [self._of_one(values, x) for values, x in zip(each, split, strict=True)]
        return torch.cat(parts) if isinstance(parts[0], Tensor) else tuple(map(torch.cat, zip(*parts, strict=True)))

    def _of_one(self, values: dict[str, Tensor], inputs: Tensor) -> Any:
        return functional_call(self.template[0], values, (inputs,))


class StackedExperts(Experts):
    """The experts of V variants: tokens (V x n, d) -> (V x n, d)."""

    def products(
        self, names: Sequence[str], inputs: Sequence[Tensor], shares: Sequence[list[int]]
    ) -> list[list[Tensor]]:
        """Return what `Experts.products` does, each variant's tokens multiplied with its own weights.

        All experts see their inputs before a micro-batch waits: else it would come again for each.
        """
        layers = [[expert.get_submodule(name) for expert in self.each()] for name in names]
        waiting = None
        for of_expert, seen, of_variants in zip(zip(*layers, strict=True), inputs, shares, strict=True):
            try:
                for layer in of_expert:
                    layer.see(seen, of_variants)
            except WaitError as error:
                waiting = error
        if waiting is not None:
            raise waiting
        return [[layer(*each) for layer, *each in zip(of_name, inputs, shares, strict=True)] for of_name in layers]


def stackable(module: nn.Module, linear: type[StackedLinear]) -> nn.Module:
    """Return a copy of `module` in which every submodule that owns parameters can hold several sets of them."""
    if isinstance(module, nn.Linear):
        return linear()
    if next(module.parameters(recurse=False), None) is not None:
        return StackedModule(module)
    twin = copy.copy(module)
    if isinstance(twin, Experts):
        twin.__class__ = StackedExperts
    twin._modules = {name: child and stackable(child, linear) for name, child in module.named_children()}
    return twin


_LISTENER: ContextVar[Callable[[int], None] | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def listening(listener: Callable[[int], None]) -> Iterator[None]:
    """Let `listener` be told, in this thread, of each block passed: how many sequences went through it."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


class Stack(Generic[Layer]):
    """A module that can be any of several checkpoints' modules of its kind, for the variants of each.

    A stack is made once for a kind of module and loaded again and again.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype, linear: type[Layer]) -> None:
        self.dtype = dtype
        self.module = stackable(module, linear)
        self.layers = {n: m for n, m in self.module.named_modules() if isinstance(m, linear)}
        self.others = {n: m for n, m in self.module.named_modules() if isinstance(m, StackedModule)}
        self.forward = self._forward(module)

    def call(self, hidden: Tensor, **arguments: Any) -> Any:
        """Return what the module makes of `hidden` (V x n, L, d); who listens is told of V x n sequences passed."""
        outputs = self.forward(hidden, **arguments)
        listener = _LISTENER.get()
        if listener is not None:
            listener(len(hidden))
        return outputs

    def _forward(self, module: nn.Module) -> Callable[..., Tensor]:
        """Return the function of the stacked module: on a GPU with kernels, for the book's own kind by hand."""
        if device_of(module).type == "cuda":
            from helpers.measure.models.cuda import blocks, neox_block  # Triton is there only where CUDA is

            if neox_block.fits(module):
                return functools.partial(neox_block.forward, self.module)
            blocks.give_kernels(self.module, StackedModule)
        return self.module

    def load(self, modules: Sequence[nn.Module], owners: Sequence[int], weights: Mapping[str, Tensor | None]) -> None:
        """Take over the parameters of `modules`, one per checkpoint; `owners[v]` is the checkpoint of variant v.

        The linear layers named in `weights` (V, rows, columns) take these weights instead.
        """
        for experts in (module for module in self.module.modules() if isinstance(module, StackedExperts)):
            experts.n_variants = len(owners)
        for name, stacked in self.others.items():
            owned = [_stored(module.get_submodule(name)) for module in modules]
            stacked.shared = stacked.sharing and len(modules) == 1
            for key in owned[0]:
                values = [parameters[key] for parameters in owned]
                stacked.values[key] = values[0].to(self.dtype) if stacked.shared else self._gather(values, owners)
        for name, layer in self.layers.items():
            linear = [linear_in(module, name) for module in modules]
            layer.weight = weights[name] if name in weights else self._gather([one.weight for one in linear], owners)
            layer.bias = None if linear[0].bias is None else self._gather([one.bias for one in linear], owners)

    def clear(self) -> None:
        """Let go of all parameters."""
        for layer in self.layers.values():
            layer.weight = layer.bias = layer.apart = None
        for stacked in self.others.values():
            stacked.values = {}

    def _gather(self, parameters: Sequence[Tensor], owners: Sequence[int]) -> Tensor:
        return torch.stack([parameters[owner].to(self.dtype) for owner in owners])


def _stored(module: nn.Module) -> dict[str, Tensor]:
    """Return what a checkpoint holds of a small module: its parameters, and buffers such as an activation's."""
    return dict(module.named_parameters()) | stored_buffers(module)


# Made once per process for each kind of block, dtype and kind of linear layer
_STACKS: dict[tuple[object, ...], Stack[Any]] = {}


@overload
def block_stacks(decoder: Decoder, dtype: torch.dtype) -> tuple[Stack[StackedLinear], ...]: ...
@overload
def block_stacks(decoder: Decoder, dtype: torch.dtype, linear: type[Layer]) -> tuple[Stack[Layer], ...]: ...
def block_stacks(
    decoder: Decoder, dtype: torch.dtype, linear: type[StackedLinear] = StackedLinear
) -> tuple[Stack[Any], ...]:
    """Return the stack for each of `decoder`'s blocks; blocks that differ in parameters alone share theirs."""
    config = decoder.model.config
    shared = (config.to_json_string(), config._attn_implementation, device_of(decoder.model), dtype, linear)
    for template in set(decoder.templates):
        if (*shared, template) not in _STACKS:
            _STACKS[*shared, template] = Stack(decoder.blocks[template], dtype, linear)
    return tuple(_STACKS[*shared, template] for template in decoder.templates)


def first_inputs(
    decoders: Sequence[Decoder], owners: Sequence[int], batches: Iterable[Tensor], dtype: torch.dtype
) -> Iterator[Tensor]:
    """Yield the first block's hidden states for each batch of tokens (n, L), once per variant: (V x n, L, d).

    Embeddings are fetched and widened once for all batches. A few are embedded at once: a GPU would wait for the call.
    """
    with contextlib.ExitStack() as embeddings:
        for decoder in decoders:
            embeddings.enter_context(widened_outside(decoder.model, decoder.blocks, *decoder.tail))
        remaining = iter(batches)
        while together := tuple(itertools.islice(remaining, EMBEDDED_TOGETHER[device_of(decoders[0].model).type])):
            sizes = [len(batch) for batch in together]
            by_decoder = [decoder.inputs(torch.cat(together))[0].to(dtype).split(sizes) for decoder in decoders]
            for of_batch in zip(*by_decoder, strict=True):
                yield torch.cat([of_batch[owner] for owner in owners])


def block_arguments(decoder: Decoder, tokens: Tensor, dtype: torch.dtype) -> list[dict[str, Any]]:
    """Return by block the arguments beside hidden states, for any number of sequences as long as `tokens` (n, L).

    What blocks share stays shared.
    """
    _, arguments = decoder.inputs(tokens[:1])
    converted: dict[int, Tensor] = {}
    return [{name: _in_dtype(value, dtype, converted) for name, value in each.items()} for each in arguments]


def _in_dtype(value: object, dtype: torch.dtype, converted: dict[int, Tensor]) -> object:
    if isinstance(value, tuple):
        return tuple(_in_dtype(part, dtype, converted) for part in value)
    if not (isinstance(value, Tensor) and value.is_floating_point()):
        return value
    if id(value) not in converted:
        converted[id(value)] = value.to(dtype)
    return converted[id(value)]
