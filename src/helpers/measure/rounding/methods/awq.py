"""AWQ: input channels with large activations are scaled up before rounding and down after it (arXiv 2306.00978).

For layers that share an input x, W is replaced by Q(W diag(s)) diag(1/s), where Q is round-to-nearest on min-max
grids and s = (mean |x|)^alpha, channel by channel, divided by the geometric mean of its largest and smallest (as in
the authors' program). alpha is searched among 0, 0.05, ..., 0.95 for the least squared error of those layers'
outputs, summed over all calibration tokens; 0 is round-to-nearest. The activations are those of the model before
rounding.

Scaled is only where 1/s can be folded, exactly, into the module that makes x: a norm's gain and bias, or the rows of
a linear layer (Llama's v_proj before o_proj, up_proj before down_proj; the rows of a min-max grid scale with it). In
GPT-NeoX these are query_key_value and dense_h_to_4h. Other layers are rounded to nearest; which ones those are is
tried on the model, see `source_of`. The authors also search a clipping of each group's range: that isn't done here.

Stored bits: as for round-to-nearest, a 16-bit scale and, if asymmetric, a zero point as wide as a code for each
group; s lies in the module that it is folded into.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PretrainedConfig

from helpers.measure.models.decoders import Decoder, hidden_of, linear_in, weight_of
from helpers.measure.models.stored import begin_block, widened
from helpers.measure.models.streaming.placing import device_of, home_of
from helpers.measure.rounding import grids
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import one_by_one
from helpers.measure.rounding.refusals import not_accepted, undivided_layer
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.rounding.stored_bits import grid_bits, n_params, stored_bits
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=True, propagate="full_precision")

ALPHAS = tuple(step / 20 for step in range(20))
SMALLEST_SCALE = 1e-4  # for channels that are never active
MICRO_BATCH = 8  # calibration sequences that pass a block together
NOT_FINITE = "calibration gives activations that aren't finite"


@dataclass(frozen=True)
class Group:
    """Linear layers of a block that share one input, and the module that can take up their scale, if there is one."""

    layers: tuple[str, ...]
    source: str | None


@dataclass
class Moments:
    """The sums over calibration tokens of |x| (columns,) and x x^T (columns, columns)."""

    magnitude: Tensor = field(default_factory=lambda: torch.zeros(()))
    products: Tensor = field(default_factory=lambda: torch.zeros(()))
    n_tokens: int = 0

    def add(self, inputs: Tensor) -> None:
        """Add tokens (..., columns)."""
        flat = inputs.flatten(0, -2)
        self.magnitude = self.magnitude + flat.abs().sum(0)
        self.products = self.products + flat.T @ flat
        self.n_tokens += len(flat)


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why AWQ can't do `scheme`, or None; any decoder will do."""
    return not_accepted(
        scheme,
        format=("int",),
        grid_search=("minmax",),
        order=("given",),
        propagate=("full_precision",),
        hessian_dtype=("float32",),
        rel_damp=(None,),
    )


@one_by_one
@torch.no_grad()
def quantize(
    checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor
) -> list[Rounded | QuantizationError]:
    """Round a checkpoint by all schemes in one walk over the blocks; the activations are the same for all schemes."""
    decoder = checkpoint.decoder
    faults = [undivided_layer(decoder.linear_layers(), scheme.group_size) for scheme in schemes]
    accepted = [scheme for scheme, fault in zip(schemes, faults, strict=True) if fault is None]
    try:
        rounded = iter(_walk(decoder, accepted, calibration))
    except QuantizationError as error:
        faults = [fault or str(error) for fault in faults]
    return [
        QuantizationError(f"{scheme.label}: {fault}") if fault else next(rounded)
        for scheme, fault in zip(schemes, faults, strict=True)
    ]


def _walk(decoder: Decoder, schemes: Sequence[QuantScheme], tokens: Tensor) -> list[Rounded]:
    weights: list[dict[str, IntegerWeight | Tensor]] = [{} for _ in schemes]
    tokens = tokens.to(device_of(decoder.model))
    hidden, _ = decoder.inputs(tokens)
    _, arguments = decoder.inputs(tokens[:1])
    with widened(decoder.blocks[0]):
        groups = groups_of(decoder.blocks[0], hidden[:1], arguments[0])
    for index, block in enumerate(decoder.blocks):
        begin_block([decoder.model])
        with widened(block):
            moments, hidden = _pass(block, groups, hidden, arguments[index])
        for scheme, of_scheme in zip(schemes, weights, strict=True):
            for group in groups:
                matrices = [weight_of(linear_in(block, layer)) for layer in group.layers]
                rounded = round_group(matrices, moments.get(group.layers), scheme)
                of_scheme |= {
                    decoder.name_of(index, layer): weight.to(home_of(decoder.model))
                    for layer, weight in zip(group.layers, rounded, strict=True)
                }
    return [
        Rounded(of_scheme, _diagnostics(of_scheme, scheme)) for of_scheme, scheme in zip(weights, schemes, strict=True)
    ]


def _diagnostics(weights: dict[str, IntegerWeight | Tensor], scheme: QuantScheme) -> Diagnostics:
    matrices = list(weights.values())
    return Diagnostics(
        n_params_quantized=n_params(matrices),
        effective_bits=stored_bits(matrices, scheme, grid_bits(scheme)),
        calib_micro_batch=MICRO_BATCH,
    )


def _pass(
    block: nn.Module, groups: Sequence[Group], hidden: Tensor, arguments: dict[str, Any]
) -> tuple[dict[tuple[str, ...], Moments], Tensor]:
    """Return the moments of each group that can be scaled, and the block's outputs for `hidden` (n, L, d)."""
    moments = {group.layers: Moments() for group in groups if group.source is not None}
    outputs = []
    for part in hidden.split(MICRO_BATCH):
        inputs, output = run(block, {}, part, arguments)
        for layers, sums in moments.items():
            sums.add(inputs[layers[0]])
        outputs.append(output)
    return moments, torch.cat(outputs)


def run(
    block: nn.Module, parameters: dict[str, Tensor], hidden: Tensor, arguments: dict[str, Any]
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the inputs of a block's linear layers, by name, and its output, with `parameters` in place of its own.

    Raises QuantizationError where a layer doesn't run exactly once: its input wouldn't be known.
    """
    inputs: list[tuple[str, Tensor]] = []
    layers = {name: module for name, module in block.named_modules() if isinstance(module, nn.Linear)}
    handles = [
        layer.register_forward_pre_hook(lambda _module, args, name=name: inputs.append((name, args[0])))
        for name, layer in layers.items()
    ]
    try:
        output = hidden_of(functional_call(block, parameters, (hidden,), arguments))
    finally:
        for handle in handles:
            handle.remove()
    ran = [name for name, _ in inputs]
    odd = [name for name in layers if ran.count(name) != 1]
    if odd:
        raise QuantizationError(f"layer '{odd[0]}' runs {ran.count(odd[0])} times in a block; accepted: once")
    return dict(inputs), output


def groups_of(block: nn.Module, hidden: Tensor, arguments: dict[str, Any]) -> tuple[Group, ...]:
    """Return a block's linear layers by the input they share, with what takes up their scale.

    Raises QuantizationError when activations aren't finite or no layer can be scaled: that would be round-to-nearest.
    """
    inputs, output = run(block, {}, hidden, arguments)
    if not torch.isfinite(output).all():
        raise QuantizationError(NOT_FINITE)
    shared: list[tuple[Tensor, list[str]]] = []
    for name, tensor in inputs.items():
        for other, names in shared:
            if other is tensor:
                names.append(name)
                break
        else:
            shared.append((tensor, [name]))
    groups = tuple(Group(tuple(names), source_of(block, names, hidden, arguments)) for _, names in shared)
    if all(group.source is None for group in groups):
        raise QuantizationError("no module of a block can take up the scale of the linear layers after it")
    return groups


def source_of(block: nn.Module, layers: Sequence[str], hidden: Tensor, arguments: dict[str, Any]) -> str | None:
    """Return the module into which the inverse scale of `layers` can be folded exactly, or None.

    Every module whose parameters have one row per input channel is tried, with powers of two as scales: they leave the
    mantissa alone, so a folding that is right changes the layers' input by just these factors and nothing else in the
    block by a single bit.
    """
    columns = linear_in(block, layers[0]).in_features
    draw = torch.randint(-4, 5, (columns,), generator=torch.Generator().manual_seed(0))
    scale = torch.exp2(draw.to(hidden.dtype)).to(hidden.device)
    modules: dict[str, nn.Module] = dict(block.named_modules())
    for source, module in modules.items():
        own = list(module.parameters(recurse=False))
        if source in layers or not own or any(len(parameter) != columns for parameter in own):
            continue
        # the unscaled run gets copies too: where a matrix lies in memory can change the last bit of a product
        inputs, output = run(block, folded(block, layers, source, torch.ones_like(scale)), hidden, arguments)
        changed, same = run(block, folded(block, layers, source, scale), hidden, arguments)
        expected = inputs | {name: inputs[name] / scale for name in layers}
        if torch.equal(same, output) and all(torch.equal(changed[name], expected[name]) for name in expected):
            return source
    return None


def folded(block: nn.Module, layers: Sequence[str], source: str, scale: Tensor) -> dict[str, Tensor]:
    """Return the parameters that change when `layers` are multiplied by `scale` (columns,) and `source` is divided."""
    changed = {f"{name}.weight": linear_in(block, name).weight * scale for name in layers}
    for name, parameter in block.get_submodule(source).named_parameters(recurse=False):
        changed[f"{source}.{name}"] = parameter / scale.view(-1, *[1] * (parameter.ndim - 1))
    return changed


def round_group(
    matrices: Sequence[Tensor], moments: Moments | None, scheme: QuantScheme
) -> list[IntegerWeight | Tensor]:
    """Return Q(W diag(s)) diag(1/s) for the layers (rows, columns) of one input; Q(W) without moments."""
    if moments is None:
        return [_round(matrix, scheme) for matrix in matrices]
    scale = search_scale(torch.cat(list(matrices)), moments, scheme)
    return [_round(matrix * scale, scheme).decode() / scale for matrix in matrices]


def _round(weight: Tensor, scheme: QuantScheme) -> IntegerWeight:
    return grids.round_to_integer(weight, given(scheme.bits), given(scheme.symmetric), scheme.group_size)


def search_scale(weight: Tensor, moments: Moments, scheme: QuantScheme) -> Tensor:
    """Return the scale (columns,) of the alpha with the least squared output error of `weight` (rows, columns).

    Raises QuantizationError when an error isn't a finite number.
    """
    scales = [channel_scale(moments.magnitude / moments.n_tokens, alpha) for alpha in ALPHAS]
    errors = []
    for scale in scales:
        difference = _round(weight * scale, scheme).decode() / scale - weight
        errors.append(((difference @ moments.products) * difference).sum())
    if not torch.isfinite(torch.stack(errors)).all():
        raise QuantizationError(NOT_FINITE)
    return scales[int(torch.stack(errors).argmin())]


def channel_scale(magnitude: Tensor, alpha: float) -> Tensor:
    """Return s = magnitude^alpha (columns,), divided by the geometric mean of its largest and smallest."""
    scale = magnitude.pow(alpha).clamp(min=SMALLEST_SCALE)
    return scale / (scale.max() * scale.min()).sqrt()
