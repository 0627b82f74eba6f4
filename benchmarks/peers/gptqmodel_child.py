"""GPTQModel 7.6.0 as plain GPTQ: no order by activation, no fallback to rounding, one damping. See `exchange`."""

import torch
from exchange import serve
from gptqmodel import GPTQModel, QuantizeConfig
from gptqmodel.nn_modules.qlinear import BaseQuantLinear
from torch import Tensor

MICRO_BATCH = 8


def round_model(folder: str, scheme: dict, tokens: Tensor) -> dict[str, Tensor]:
    """Return the weights that GPTQModel's packed layers stand for; their scales are float16."""
    config = QuantizeConfig(
        bits=scheme["bits"],
        group_size=scheme["group_size"],
        sym=scheme["symmetric"],
        format="gptq_v2",  # version 1 would damage the neighbours of a zero point of 0
        desc_act=False,
        act_group_aware=False,
        static_groups=False,
        true_sequential=True,
        damp_percent=scheme["rel_damp"],  # a share in spite of its name
        damp_auto_increment=0.0,
        mse=0.0,
        fallback=None,
        offload_to_disk=False,
        device="cpu",
    )
    model = GPTQModel.load(folder, config, dtype=torch.float32)
    model.quantize(
        [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in tokens], batch_size=MICRO_BATCH
    )
    return {f"{name}.weight": decoded(layer) for name, layer in model.model.named_modules() if is_packed(layer)}


def is_packed(layer: torch.nn.Module) -> bool:
    """Tell whether GPTQModel has rounded this layer."""
    return isinstance(layer, BaseQuantLinear)


def decoded(layer: BaseQuantLinear) -> Tensor:
    """Return float32 weights (rows, columns); the product of scale and code would otherwise be rounded to float16."""
    layer.scales = layer.scales.float()
    layer.post_init()
    return layer.dequantize_weight().T


if __name__ == "__main__":
    serve(round_model)
