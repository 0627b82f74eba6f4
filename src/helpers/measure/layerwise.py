"""Walks a model's decoder blocks: calibrate, round, pass the rounded block's outputs on.

Several schemes are walked side by side, each on activations of its own, so that every scheme is the usual
sequential GPTQ and yet their layers can be solved as one batch where that pays (on a GPU).
"""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from transformers import GPTNeoXForCausalLM, PreTrainedModel

from helpers.measure import gptq
from helpers.measure.methods import Rounded
from helpers.specs import CheckpointError, Diagnostics, QuantizationError, QuantScheme

# Layers of a block in the order they are rounded: a layer's inputs come from a block in which the layers of the
# stages before it are rounded already. Attention and MLP of a parallel block read the same input.
PARALLEL_STAGES = (
    ("attention.query_key_value", "mlp.dense_h_to_4h"),
    ("attention.dense", "mlp.dense_4h_to_h"),
)
SEQUENTIAL_STAGES = (
    ("attention.query_key_value",),
    ("attention.dense",),
    ("mlp.dense_h_to_4h",),
    ("mlp.dense_4h_to_h",),
)

Solve = Callable[[Tensor, Tensor, Sequence[QuantScheme]], gptq.Solution]


def blocks_of(model: PreTrainedModel) -> nn.ModuleList:
    """Return the decoder blocks of a GPT-NeoX model. Raises CheckpointError for another structure."""
    if not isinstance(model, GPTNeoXForCausalLM):
        raise CheckpointError(f"unknown structure {type(model).__name__}; accepted: GPTNeoXForCausalLM")
    return model.gpt_neox.layers


def stages_of(model: PreTrainedModel) -> tuple[tuple[str, ...], ...]:
    """Return the names of a block's linear layers, grouped by when they are rounded."""
    return PARALLEL_STAGES if model.config.use_parallel_residual else SEQUENTIAL_STAGES


def linear_layers(model: PreTrainedModel) -> dict[str, nn.Linear]:
    """Return every linear layer of the decoder blocks by its name in the model: what gets rounded, nothing else."""
    names = {id(module): name for name, module in model.named_modules()}
    return {
        names[id(module)]: module
        for block in blocks_of(model)
        for module in block.modules()
        if isinstance(module, nn.Linear)
    }


@contextlib.contextmanager
def substituted(module: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Put `weights` (by parameter name) into a module for the time of a `with` block."""
    parameters = dict(module.named_parameters())
    originals = {name: parameters[name].data for name in weights}
    try:
        for name, weight in weights.items():
            parameters[name].data = weight
        yield
    finally:
        for name, original in originals.items():
            parameters[name].data = original


class _SeenEnoughError(Exception):
    """Ends a forward pass once the inputs that were asked for are known."""


def first_block_inputs(model: PreTrainedModel, tokens: Tensor) -> tuple[Tensor, dict]:
    """Return the first block's hidden states for `tokens` (n, L) and the arguments every block gets."""
    seen: dict = {}

    def remember(_module: nn.Module, args: tuple, kwargs: dict) -> None:
        seen.update(hidden=args[0], kwargs=kwargs)
        raise _SeenEnoughError

    handle = blocks_of(model)[0].register_forward_pre_hook(remember, with_kwargs=True)
    try:
        with contextlib.suppress(_SeenEnoughError):
            model(tokens, use_cache=False)
    finally:
        handle.remove()
    return seen["hidden"], seen["kwargs"]


class _Stream:
    """The calibration activations one scheme has reached, in micro-batches, and what it has rounded so far."""

    def __init__(self, scheme: QuantScheme, batches: list[tuple[Tensor, dict]]) -> None:
        self.scheme = scheme
        self.batches = batches
        self.weights: dict[str, Tensor] = {}
        self.errors: list[float] = []
        self.damping: list[float] = []
        self.n_dead_columns = 0
        self.failure: QuantizationError | None = None

    def hessians(self, block: nn.Module, rounded: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Return the mean of x x^T over tokens for the named layers' inputs, summed batch by batch in order.

        `names` stand in the order in which the block reaches them; what comes after the last is not computed.
        """
        sums: dict[str, Tensor] = {}
        n_tokens = sum(hidden.shape[0] * hidden.shape[1] for hidden, _ in self.batches)

        def remember(name: str) -> Callable:
            def hook(_module: nn.Module, args: tuple) -> None:
                moments = gptq.second_moments(args[0])
                sums[name] = sums[name] + moments if name in sums else moments
                if name == names[-1]:
                    raise _SeenEnoughError

            return hook

        handles = [block.get_submodule(name).register_forward_pre_hook(remember(name)) for name in names]
        try:
            with substituted(block, rounded):
                for hidden, kwargs in self.batches:
                    with contextlib.suppress(_SeenEnoughError):
                        block(hidden, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
        return {name: moments / n_tokens for name, moments in sums.items()}

    def advance(self, block: nn.Module, rounded: dict[str, Tensor]) -> None:
        """Replace the activations by the rounded block's outputs."""
        with substituted(block, rounded):
            self.batches = [(_hidden_of(block(hidden, **kwargs)), kwargs) for hidden, kwargs in self.batches]

    def result(self) -> Rounded | QuantizationError:
        """Return the rounded weights and their diagnostics, or the failure."""
        if self.failure:
            return self.failure
        first_rung = self.scheme.rel_damp
        return Rounded(
            self.weights,
            Diagnostics(
                mean_layer_error=sum(self.errors) / len(self.errors),
                max_layer_error=max(self.errors),
                max_rel_damp_used=max(self.damping),
                n_layers_redamped=sum(used > first_rung * 1.001 for used in self.damping),
                n_dead_columns=self.n_dead_columns,
                n_params_quantized=sum(weight.numel() for weight in self.weights.values()),
            ),
        )


def _hidden_of(output: Tensor | tuple) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


@torch.no_grad()
def walk(
    model: PreTrainedModel, schemes: Sequence[QuantScheme], calibration: Tensor, micro_batch: int, solve: Solve
) -> list[Rounded | QuantizationError]:
    """Round every decoder block in turn for each scheme; answers stand in the order of `schemes`.

    `calibration` is int64 (n_sequences, L); `solve(weight, hessian, schemes)` gets weights and Hessians stacked over
    schemes of one group size, (schemes, rows, columns) and (schemes, columns, columns). The model stays unchanged.
    """
    prefix = next(name for name, module in model.named_modules() if module is blocks_of(model))
    batches = [first_block_inputs(model, batch.to(model.device)) for batch in calibration.split(micro_batch)]
    streams = [_Stream(scheme, batches) for scheme in schemes]
    for index, block in enumerate(blocks_of(model)):
        rounded: list[dict[str, Tensor]] = [{} for _ in streams]
        for names in stages_of(model):
            _round_stage(block, names, streams, rounded, solve)
        for stream, weights in zip(streams, rounded, strict=True):
            if not stream.failure:
                if index + 1 < len(blocks_of(model)):
                    stream.advance(block, weights)
                stream.weights |= {f"{prefix}.{index}.{name}": weight for name, weight in weights.items()}
    return [stream.result() for stream in streams]


def _round_stage(
    block: nn.Module, names: Sequence[str], streams: list[_Stream], rounded: list[dict[str, Tensor]], solve: Solve
) -> None:
    alive = [i for i, stream in enumerate(streams) if not stream.failure]
    hessians = {i: streams[i].hessians(block, rounded[i], names) for i in alive}
    for name in names:
        weight = block.get_submodule(name).weight.data
        together = defaultdict(list)
        for i in alive:
            if not streams[i].failure:
                # on the CPU each scheme alone: a row's bits then don't depend on which other rows were missing
                scheme = streams[i].scheme
                together[(scheme.group_size, scheme.rel_damp) if weight.is_cuda else i].append(i)
        for members in together.values():
            _round_together(name, weight, members, streams, hessians, rounded, solve)


def _round_together(
    name: str,
    weight: Tensor,
    members: list[int],
    streams: list[_Stream],
    hessians: dict[int, dict[str, Tensor]],
    rounded: list[dict[str, Tensor]],
    solve: Solve,
) -> None:
    """Solve one layer for the schemes `members`; a scheme whose Hessian fails leaves, the others are solved again."""
    while members:
        stacked = torch.stack([hessians[i][name] for i in members])
        try:
            solution = solve(weight.expand(len(members), -1, -1), stacked, [streams[i].scheme for i in members])
        except gptq.SingularHessianError as error:
            for position in error.failed:
                streams[members[position]].failure = QuantizationError(f"{name}: {error}")
            members = [i for i in members if not streams[i].failure]
            continue
        errors = gptq.relative_error(weight, solution.weight, stacked)
        for position, i in enumerate(members):
            rounded[i][f"{name}.weight"] = solution.weight[position]
            streams[i].errors.append(errors[position].item())
            streams[i].damping.append(solution.rel_damp_used[position].item())
            streams[i].n_dead_columns += int(solution.n_dead_columns[position])
        return
