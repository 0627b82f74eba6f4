"""Matrices that transformers keeps in other ways, as linear layers: GPT-2's Conv1D, experts fused in three dimensions.

Everything that rounds, stacks or counts means a weight of shape (rows, columns), outputs by inputs. The weights of a
mixture of experts: Jiang et al. 2024 (Mixtral, arXiv 2401.04088), section 2.1.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.mixtral.modeling_mixtral import MixtralExperts, MixtralTopKRouter
from transformers.models.olmoe.modeling_olmoe import OlmoeExperts, OlmoeTopKRouter
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeExperts, Qwen3MoeTopKRouter
from transformers.pytorch_utils import Conv1D

from helpers.measure.models.stored import NARROW

FUSED = (MixtralExperts, OlmoeExperts, Qwen3MoeExperts)
ROUTERS = (MixtralTopKRouter, OlmoeTopKRouter, Qwen3MoeTopKRouter)
PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
# By type of model: what its files call differently, as patterns
OF_EXPERTS: dict[str, dict[str, str]] = {
    "mixtral": {
        r"\.block_sparse_moe\.": ".mlp.",
        r"\.w1\.weight$": ".gate_proj.weight",
        r"\.w2\.weight$": ".down_proj.weight",
        r"\.w3\.weight$": ".up_proj.weight",
    },
    "olmoe": {},
    "qwen3_moe": {},
}


class Expert(nn.Module):
    """The three linear layers of one expert, `gate_proj` and `up_proj` (I, d), `down_proj` (d, I)."""

    def __init__(self, gate: Tensor, up: Tensor, down: Tensor) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = linear_of(gate), linear_of(up), linear_of(down)


class Experts(nn.Module):
    """The experts of one block, each a child module by its number: `3.gate_proj` is a linear layer.

    The same sum as transformers' fused ones, whose numbers they share. The tokens are those of `n_variants` models one
    after the other (`stacking`), which may send them to different experts.
    """

    n_variants = 1

    def __init__(self, fused: Any) -> None:
        super().__init__()
        self.act_fn: nn.Module = fused.act_fn
        for index, (gate_up, down) in enumerate(zip(fused.gate_up_proj, fused.down_proj, strict=True)):
            gate, up = gate_up.chunk(2)
            self.add_module(str(index), Expert(gate, up, down))

    def each(self) -> list[nn.Module]:
        """Return the experts in order."""
        return [module for name, module in self.named_children() if name != "act_fn"]

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """Return for tokens (n, d) the weighted sum of what each one's k experts (n, k) put out, (n, d)."""
        places = [torch.where(top_k_index == index) for index in range(len(self.each()))]
        inputs = [hidden_states[tokens] for tokens, _ in places]
        owners = [tokens // (len(hidden_states) // self.n_variants) for tokens, _ in places]
        shares = [torch.bincount(each, minlength=self.n_variants).tolist() for each in owners]
        gates, ups = self.products(("gate_proj", "up_proj"), inputs, shares)
        (outputs,) = self.products(("down_proj",), list(map(self._gated, gates, ups, shares)), shares)
        total = torch.zeros_like(hidden_states)
        for (tokens, which), output in zip(places, outputs, strict=True):
            weighted = output * top_k_weights[tokens, which, None]
            total.index_add_(0, tokens, weighted.to(total.dtype))
        return total

    def products(
        self, names: Sequence[str], inputs: Sequence[Tensor], shares: Sequence[list[int]]
    ) -> list[list[Tensor]]:
        """Return by name what that layer of every expert makes of the expert's `inputs` (tokens, columns).

        `shares` are each variant's numbers of these tokens. A layer runs even where no token goes to it.
        """
        each = [(expert, seen) for expert, seen in zip(self.each(), inputs, strict=True)]
        return [[expert.get_submodule(name)(seen) for expert, seen in each] for name in names]

    def _gated(self, gate: Tensor, up: Tensor, shares: list[int]) -> Tensor:
        """Return act(gate) * up, by variant: on a CPU an activation's last bit depends on its place in the tensor."""
        return torch.cat([self.act_fn(g) * u for g, u in zip(gate.split(shares), up.split(shares), strict=True)])


def with_linear_layers(model: nn.Module) -> None:
    """Put linear layers of the same numbers in place of each Conv1D, whose names stay, and of fused experts in `model`.

    Outputs stay as they are but for float32's rounding: the product finds its matrix laid out the other way, or cut.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv1D):
                setattr(module, name, _linear(child))
            elif isinstance(child, FUSED):
                setattr(module, name, Experts(child))


def has_transposed(model: nn.Module) -> bool:
    """Tell whether a model as transformers makes it holds matrices as (columns, rows)."""
    return any(isinstance(module, Conv1D) for module in model.modules())


def has_experts(config: PretrainedConfig) -> bool:
    """Tell whether the models of a configuration are mixtures of experts of a type that is known here."""
    return config.model_type in OF_EXPERTS


def expert_of(layer: str) -> str | None:
    """Return the name of the expert, such as mlp.experts.3, that a linear layer of this name is part of, if any."""
    expert, _, projection = layer.rpartition(".")
    of_experts = expert.rpartition(".")[0].endswith("experts") and projection in PROJECTIONS
    return expert if of_experts else None


def in_parts(kind: type[Any]) -> type[Any]:
    """Return the class of models whose experts are linear layers before they are loaded, for `kind` of models.

    So each expert's weight is mapped from its file; transformers would read all of them to fuse them. Names in the
    files are to be given as `OF_EXPERTS` has them; `loaded_in_parts` ends the loading.
    """

    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        kind.__init__(self, *args, **kwargs)
        if type(self) is in_turn:
            self.__class__ = kind
        with_linear_layers(self)
        for part in _parts(self):
            part.is_custom_code = lambda: True  # for such transformers fuses nothing

    in_turn = type(kind.__name__, (kind,), {"__init__": initialise, "__module__": kind.__module__})
    return in_turn


def loaded_in_parts(model: nn.Module) -> None:
    """End the loading of a model of `in_parts`."""
    for part in _parts(model):
        part.__dict__.pop("is_custom_code", None)


def _parts(model: nn.Module) -> Iterator[Any]:
    return (module for module in model.modules() if isinstance(module, PreTrainedModel))


def linear_of(weight: Tensor) -> nn.Linear:
    """Return the linear layer without bias that has a tensor (rows, columns) for its weight, no copy of it."""
    with torch.device("meta"):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight = nn.Parameter(weight.detach(), requires_grad=weight.requires_grad)
    return linear


def _linear(conv: Conv1D) -> nn.Linear:
    weight = conv.weight.detach().T  # of 16 bits it stays where it is: what is widened is laid out anew
    linear = linear_of(weight if weight.dtype in NARROW else weight.contiguous())
    linear.weight.requires_grad_(conv.weight.requires_grad)
    linear.bias = conv.bias
    return linear.train(conv.training)
