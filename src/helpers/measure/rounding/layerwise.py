"""A walk through the decoder blocks of several checkpoints at once: calibrate, round, pass the outputs on.

A *variant* is one checkpoint under one scheme. Each has activations of its own, so that every one is the usual
sequential GPTQ, and yet all of them go through the Hessian, its factor, the column solver and the forward pass as one
batch. A layer is rounded the moment its inputs are there, and computes its outputs with the rounded weights: one
pass over a block is enough, whatever the block looks like inside.

Where the calibration text doesn't fit into memory at once it goes through in micro-batches. One that reaches a layer
not yet rounded leaves its second moments there and waits; the last one to arrive lets the layer be rounded and goes on.
"""

import dataclasses
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from helpers.measure.models.decoders import Decoder, hidden_of, linear_in, weight_of
from helpers.measure.models.memory import Share, calibration_work, share
from helpers.measure.models.precision import TENSOR_DTYPE, matrix_products, refuse_without_tensor_cores
from helpers.measure.models.stacking import StackedLinear, block_arguments, block_stacks, first_inputs
from helpers.measure.models.streaming.feed import BlockFeed
from helpers.measure.models.streaming.hidden import HiddenStates
from helpers.measure.models.streaming.placing import device_of, home_of
from helpers.measure.rounding import gptq_solver
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.refusals import unknown_matrix
from helpers.measure.rounding.rounded import Answers, Checkpoint, Rounded, number_or_none
from helpers.measure.rounding.stored_bits import grid_bits, stored_bits
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

Solve = Callable[[Tensor, Tensor, Sequence[QuantScheme]], gptq_solver.Solution]


@dataclasses.dataclass
class Variant:
    """One checkpoint under one scheme, and what has become of it so far."""

    owner: int
    scheme: QuantScheme
    n_params: int  # of the blocks' linear layers
    weights: dict[str, IntegerWeight | Tensor] = dataclasses.field(default_factory=dict)
    # one tensor (3,) per layer: relative error, damping used, dead columns
    figures: list[Tensor] = dataclasses.field(default_factory=list)
    failure: QuantizationError | None = None

    def result(self, micro_batch: int) -> Rounded | QuantizationError:
        """Return the rounded weights and their diagnostics, or the failure."""
        if self.failure:
            return self.failure
        if not self.figures:
            return Rounded({}, Diagnostics(n_params_quantized=0, quantized_ratio=0.0))
        errors, damping, dead = torch.stack(self.figures, -1).tolist()
        n_params_quantized = sum(weight.shape.numel() for weight in self.weights.values())
        diagnostics = Diagnostics(
            mean_layer_error=number_or_none(sum(errors) / len(errors)),
            max_layer_error=number_or_none(_largest(errors)),
            max_rel_damp_used=number_or_none(_largest(damping)),
            n_layers_redamped=sum(used > given(self.scheme.rel_damp) * 1.001 for used in damping),
            n_dead_columns=int(sum(dead)),
            n_params_quantized=n_params_quantized,
            quantized_ratio=n_params_quantized / self.n_params,
            effective_bits=stored_bits(list(self.weights.values()), self.scheme, grid_bits(self.scheme)),
            calib_micro_batch=micro_batch,
        )
        return Rounded(self.weights, diagnostics)


def _largest(figures: list[float]) -> float:
    """Return the largest figure, NaN if one is: `max` would say what comes first."""
    return math.nan if any(map(math.isnan, figures)) else max(figures)


@torch.no_grad()
def walk(
    checkpoints: Sequence[Checkpoint],
    schemes: Sequence[QuantScheme],
    calibration: Tensor,
    memory_bytes: int,
    solve: Solve,
) -> Answers:
    """Round every decoder block in turn, for each checkpoint and scheme.

    `calibration` is int64 (n_sequences, L); `schemes` agree in `hessian_dtype`; `solve(weight, hessian, schemes)` gets
    weights and Hessians stacked over variants, (V, rows, columns) and (V, columns, columns), float32. Where a scheme
    propagates in full precision its variants go on with their own weights, so that each matrix is rounded as if it were
    the only one; matrices it keeps aren't rounded at all. The models stay unchanged. When the device runs out of memory
    the share of the work that is done at once is halved, and recorded.
    Raises QuantizationError for a budget smaller than one block.
    """
    dtype, device = schemes[0].hessian_dtype, device_of(checkpoints[0].model)
    refuse_without_tensor_cores(dtype, device)
    decoders = [checkpoint.decoder for checkpoint in checkpoints]
    n_sequences, seq_len = calibration.shape
    n_variants = len(checkpoints) * len(schemes)
    at_once = share_of(decoders, n_sequences, seq_len, dtype, n_variants, memory_bytes)
    while True:
        variants = [_variant(owner, decoder, scheme) for owner, decoder in enumerate(decoders) for scheme in schemes]
        try:
            for start in range(0, len(variants), at_once.variants):
                members = variants[start : start + at_once.variants]
                _Walk(decoders, members, calibration.to(device), at_once, dtype, solve).run()
            break
        except torch.OutOfMemoryError:
            at_once = at_once.halved()
            torch.cuda.empty_cache()
    answers = [variant.result(at_once.sequences) for variant in variants]
    return [answers[i : i + len(schemes)] for i in range(0, len(answers), len(schemes))]


def _variant(owner: int, decoder: Decoder, scheme: QuantScheme) -> Variant:
    """Return a variant of which nothing is rounded yet; one that keeps a matrix the model lacks has failed."""
    unknown = unknown_matrix(decoder, scheme)
    n_params = sum(layer.weight.numel() for layer in decoder.linear_layers().values())
    return Variant(
        owner, scheme, n_params, failure=QuantizationError(f"{scheme.label}: {unknown}") if unknown else None
    )


def share_of(
    decoders: Sequence[Decoder],
    n_sequences: int,
    seq_len: int,
    dtype: str,
    n_variants: int,
    memory_bytes: int,
    beside: int = 0,
) -> Share:
    """Return the share of rounding so many variants that is done at once, `beside` bytes of the budget being taken.

    `decoders` are checkpoints of one shape. Raises QuantizationError as `walk` does.
    """
    work = calibration_work(decoders[0], n_sequences, seq_len, TENSOR_DTYPE[dtype].itemsize, len(decoders))
    return share(dataclasses.replace(work, beside=beside), n_variants, n_sequences, memory_bytes)


class _WaitError(Exception):
    """A micro-batch has reached a layer that isn't rounded yet, and isn't the last to reach it."""


class _WatchedLinear(StackedLinear):
    """A stacked linear layer that lets a walk see its inputs before it computes its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.arrive: Callable[[_WatchedLinear, Tensor], None] | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Show the inputs, then multiply."""
        given(self.arrive)(self, inputs)
        return super().forward(inputs)


@dataclasses.dataclass
class _Block:
    """The block that a walk is in: its place, the block of every decoder, and what arrived at its layers so far."""

    index: int
    blocks: list[nn.Module]
    unrounded: set[str]
    sums: dict[str, Tensor] = dataclasses.field(default_factory=dict)  # sums of x x^T over a layer's inputs x
    n_arrived: Counter[str] = dataclasses.field(default_factory=Counter)  # micro-batches, by layer
    shared: tuple[Tensor, Tensor] | None = None  # the inputs that arrived last in full, and their Hessian


class _Walk:
    """A walk that takes some variants through all blocks."""

    def __init__(
        self,
        decoders: Sequence[Decoder],
        variants: list[Variant],
        calibration: Tensor,
        at_once: Share,
        dtype: str,
        solve: Solve,
    ) -> None:
        owned = sorted({variant.owner for variant in variants})
        self.decoders = [decoders[owner] for owner in owned]
        self.owners = [owned.index(variant.owner) for variant in variants]
        self.variants, self.dtype, self.solve = variants, dtype, solve
        self.batches, self.offloaded = calibration.split(at_once.sequences), at_once.offloaded
        self.stacks = block_stacks(self.decoders[0], TENSOR_DTYPE[dtype], _WatchedLinear)
        self.names = {layer: name for stack in self.stacks for name, layer in stack.layers.items()}
        self.last = len(self.stacks) - 1
        self.current: _Block | None = None

    def run(self) -> None:
        """Round every block."""
        for layer in self.names:
            layer.arrive = self._arrive
        dtype = TENSOR_DTYPE[self.dtype]
        arguments = block_arguments(self.decoders[0], self.batches[0], dtype)
        try:
            with BlockFeed(self.decoders) as feed:
                inputs = first_inputs(self.decoders, self.owners, self.batches, dtype)
                hidden = HiddenStates(inputs, self.batches[0].device, self.offloaded)
                for index, stack in enumerate(self.stacks):
                    with feed.at(index):
                        self._round_block(index, hidden, arguments[index])
                        stack.clear()
                        self._send_home()
                hidden.finish()
        finally:
            for stack in self.stacks:
                stack.clear()
            self.current = None
            for layer in self.names:  # a stack outlives the walk; one that could call it would keep its models
                layer.arrive = None

    def _round_block(self, index: int, hidden: HiddenStates, arguments: dict[str, Any]) -> None:
        """Round block `index`; replace `hidden`, a micro-batch at a time, by its outputs (but for the last block)."""
        stack = self.stacks[index]
        block = self.current = _Block(index, [decoder.blocks[index] for decoder in self.decoders], set(stack.layers))
        stack.load(block.blocks, self.owners, dict.fromkeys(stack.layers))
        waiting = deque(range(len(hidden)))
        while waiting and not self._nothing_left():
            number = waiting.popleft()
            inputs = hidden.read(number, waiting[0] if waiting else None)
            try:
                with matrix_products(self.dtype):
                    outputs = hidden_of(stack.call(inputs, **arguments))
            except _WaitError:
                waiting.append(number)
            else:
                hidden.write(number, outputs)

    def _send_home(self) -> None:
        """Move what a block was rounded to where the models' own weights are kept."""
        home, block = home_of(self.decoders[0].model), self.block
        names = {self.decoders[0].name_of(block.index, name) for name in self.stacks[block.index].layers}
        for variant in self.variants:
            variant.weights |= {name: variant.weights[name].to(home) for name in names & variant.weights.keys()}

    @property
    def block(self) -> _Block:
        """Return the block that is being rounded."""
        return given(self.current)

    def _nothing_left(self) -> bool:
        return self.block.index == self.last and not self.block.unrounded

    def _arrive(self, layer: _WatchedLinear, inputs: Tensor) -> None:
        """Count `inputs` (V x n, ..., columns) in; round the layer if they are the last, else raise _WaitError."""
        name = self.names[layer]
        block = self.block
        if name not in block.unrounded:
            return
        if block.shared is None or block.shared[0] is not inputs:  # a layer may share its input with the one before
            block.shared = inputs, self._hessian(name, inputs)
        with matrix_products("float32"):
            layer.weight = self._round(name, block.shared[1]).to(TENSOR_DTYPE[self.dtype])
        block.unrounded.remove(name)
        if self._nothing_left():
            raise _WaitError

    def _hessian(self, name: str, inputs: Tensor) -> Tensor:
        """Return the mean of x x^T over all tokens, (V, columns, columns); raise _WaitError until all are there."""
        moments = gptq_solver.second_moments(inputs.reshape(len(self.variants), -1, inputs.shape[-1]))
        sums = self.block.sums
        sums[name] = sums[name].add_(moments) if name in sums else moments
        self.block.n_arrived[name] += 1
        if self.block.n_arrived[name] < len(self.batches):
            raise _WaitError
        return sums.pop(name).div_(sum(tokens.numel() for tokens in self.batches))

    def _round(self, name: str, hessian: Tensor) -> Tensor:
        """Round a layer for every variant; return the rounded weights (V, rows, columns), float32.

        A variant whose Hessian fails leaves with its reason, and goes on with its own weights, as one that keeps the
        layer does.
        """
        weights = [weight_of(linear_in(block, name)) for block in self.block.blocks]
        rounded = torch.stack([weights[owner] for owner in self.owners])
        place = self.decoders[0].short_name(self.decoders[0].name_of(self.block.index, name)).removesuffix(".weight")
        alike: dict[tuple[object, ...], list[int]] = {}
        for i, variant in enumerate(self.variants):
            if not variant.failure and place not in variant.scheme.kept_matrices:
                alike.setdefault(_solved_alike(variant.scheme), []).append(i)
        for members in alike.values():
            rounded = self._round_together(name, members, rounded, hessian)
        for i, variant in enumerate(self.variants):
            if variant.scheme.propagate == "full_precision":
                rounded[i] = weights[self.owners[i]]
        return rounded

    def _round_together(self, name: str, members: list[int], rounded: Tensor, hessian: Tensor) -> Tensor:
        """Solve for `members`, whose schemes can share a batch; return `rounded` with their answers in it."""
        while members:
            everyone = len(members) == len(self.variants)
            weight, moments = (rounded, hessian) if everyone else (rounded[members], hessian[members])
            try:
                solution = self.solve(weight, moments, [self.variants[i].scheme for i in members])
            except gptq_solver.SingularHessianError as error:
                place = self.decoders[0].name_of(self.block.index, name)
                for position in error.failed:
                    self.variants[members[position]].failure = QuantizationError(f"{place}: {error}")
                members = [i for i in members if not self.variants[i].failure]
            else:
                self._record(name, members, solution, gptq_solver.relative_error(weight, solution.weight, moments))
                if everyone:
                    return solution.weight
                rounded[members] = solution.weight
                return rounded
        return rounded

    def _record(self, name: str, members: list[int], solution: gptq_solver.Solution, errors: Tensor) -> None:
        """Keep a layer's rounded weights and its figures, these on the device, so that it needn't be waited for."""
        place = self.decoders[0].name_of(self.block.index, name)
        figures = torch.stack([errors.double(), solution.rel_damp_used, solution.n_dead_columns.double()], -1)
        for position, i in enumerate(members):
            self.variants[i].weights[place] = solution.part(position)
            self.variants[i].figures.append(figures[position])


def _solved_alike(scheme: QuantScheme) -> tuple[object, ...]:
    """Return the fields that schemes must agree in to be solved as one batch: bits and symmetry may differ."""
    return scheme.group_size, scheme.rel_damp, scheme.order, scheme.grid_search
