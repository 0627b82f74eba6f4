"""A walk through the decoder blocks of several checkpoints at once: calibrate, round, pass the outputs on.

A *variant* is one checkpoint under one scheme. Each has activations of its own, so that every one is the usual
sequential GPTQ, and yet all of them go through the Hessian, its factor, the column solver and the forward pass as one
batch. A layer is rounded the moment its inputs are there, and computes its outputs with the rounded weights: one
pass over a block is enough, whatever the block looks like inside.

Where the calibration text doesn't fit into memory at once it goes through in micro-batches. One that reaches a layer
not yet rounded leaves its second moments there and waits; the last one to arrive lets the layer be rounded and goes on.

An expert's second moments are those of the tokens routed to it, by each variant's own router. Where these are fewer
than a layer's columns they say little of it: it is rounded to nearest (as under a Hessian that is the identity) if
the scheme says so, else the scheme is refused with the experts' names.
"""

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from helpers.measure.models.as_linear import expert_of
from helpers.measure.models.decoders import Decoder, hidden_of, linear_in, weight_of
from helpers.measure.models.memory import Share, calibration_work, share
from helpers.measure.models.precision import (
    TENSOR_DTYPE,
    matrix_products,
    reach_of,
    refuse_without_tensor_cores,
    taken_apart,
)
from helpers.measure.models.stacking import StackedLinear, WaitError, block_arguments, block_stacks, first_inputs
from helpers.measure.models.streaming.feed import BlockFeed
from helpers.measure.models.streaming.hidden import HiddenStates
from helpers.measure.models.streaming.placing import device_of, home_of
from helpers.measure.rounding import gptq_solver
from helpers.measure.rounding.rounded import Answers, Checkpoint
from helpers.measure.rounding.variants import Variant, solved_alike, variants_of
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

Solve = Callable[[Tensor, Tensor, Sequence[QuantScheme]], gptq_solver.Solution]


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
        variants = [each for owner, decoder in enumerate(decoders) for each in variants_of(owner, decoder, schemes)]
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


class _WatchedLinear(StackedLinear):
    """A stacked linear layer that lets a walk see its inputs before it computes its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.arrive: Callable[[_WatchedLinear, Tensor, list[int] | None], None] | None = None

    def see(self, inputs: Tensor, shares: list[int] | None = None) -> None:
        """Show the inputs."""
        given(self.arrive)(self, inputs, shares)

    def forward(self, inputs: Tensor, shares: list[int] | None = None) -> Tensor:
        """Show the inputs, then multiply."""
        self.see(inputs, shares)
        return super().forward(inputs, shares)


@dataclasses.dataclass
class _Block:
    """The block that a walk is in: its place, the block of every decoder, and what arrived at its layers so far."""

    index: int
    blocks: list[nn.Module]
    unrounded: set[str]
    sums: dict[str, Tensor] = dataclasses.field(default_factory=dict)  # sums of x x^T over a layer's inputs x
    n_arrived: Counter[str] = dataclasses.field(default_factory=Counter)  # micro-batches, by layer
    routed: dict[str, list[int]] = dataclasses.field(default_factory=dict)  # tokens of an expert's layer, by variant
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
            except WaitError:
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

    def _arrive(self, layer: _WatchedLinear, inputs: Tensor, shares: list[int] | None) -> None:
        """Count `inputs` (V x n, ..., columns) in; round the layer if they are the last, else raise WaitError."""
        name = self.names[layer]
        block = self.block
        if name not in block.unrounded:
            return
        if block.shared is None or block.shared[0] is not inputs:  # a layer may share its input with the one before
            block.shared = inputs, self._hessian(name, inputs, shares)
        with matrix_products("float32"):
            layer.weight = self._round(name, block.shared[1]).to(TENSOR_DTYPE[self.dtype])
        block.unrounded.remove(name)
        if self._nothing_left():
            raise WaitError

    def _hessian(self, name: str, inputs: Tensor, shares: list[int] | None) -> Tensor:
        """Return the mean of x x^T over all tokens, (V, columns, columns); raise WaitError until all are there."""
        apart = None
        if shares is None:
            stacked = inputs.reshape(len(self.variants), -1, inputs.shape[-1])
            apart = taken_apart(stacked)
            moments = gptq_solver.second_moments(stacked) if apart is None else apart.second_moments()
        else:
            moments = torch.stack([gptq_solver.second_moments(part) for part in inputs.split(shares)])
            before = self.block.routed.get(name, [0] * len(shares))
            self.block.routed[name] = [sum(each) for each in zip(before, shares, strict=True)]
        sums = self.block.sums
        sums[name] = sums[name].add_(moments) if name in sums else moments
        self.block.n_arrived[name] += 1
        if self.block.n_arrived[name] < len(self.batches):
            raise WaitError
        self.stacks[self.block.index].layers[name].apart = apart
        if shares is None:
            return sums.pop(name).div_(sum(tokens.numel() for tokens in self.batches))
        return self._over_routed(name, sums.pop(name))

    def _over_routed(self, name: str, sums: Tensor) -> Tensor:
        """Return the means of an expert's layer over the tokens routed to it, the identity where these are too few."""
        columns = sums.shape[-1]
        expert = f"{self.block.index}.{given(expert_of(name))}"
        for variant, total, n_tokens in zip(self.variants, sums, self.block.routed[name], strict=True):
            variant.expert_tokens[expert] = n_tokens
            if n_tokens < columns:
                total.copy_(torch.eye(columns))
            else:
                total.div_(n_tokens)
        return sums

    def _round(self, name: str, hessian: Tensor) -> Tensor:
        """Round a layer for every variant; return the rounded weights (V, rows, columns), float32.

        A variant whose Hessian fails leaves with its reason, and goes on with its own weights, as one that keeps the
        layer does.
        """
        weights = [weight_of(linear_in(block, name)) for block in self.block.blocks]
        rounded = torch.stack([weights[owner] for owner in self.owners])
        place = self.decoders[0].short_name(self.decoders[0].name_of(self.block.index, name)).removesuffix(".weight")
        alike, expert = dict[tuple[object, ...], list[int]](), expert_of(place)
        for i, variant in enumerate(self.variants):
            if not variant.failure and place not in variant.scheme.kept_matrices:
                alike.setdefault(solved_alike(variant.scheme), []).append(i)
                if expert is not None and variant.expert_tokens[expert] < hessian.shape[-1]:
                    variant.hardly_reached.add(expert)
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
                    finite = bool(moments[position].isfinite().all())
                    why = "" if finite else f": its inputs aren't finite{reach_of(self.dtype)}"
                    self.variants[members[position]].failure = QuantizationError(f"{place}: {error}{why}")
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
