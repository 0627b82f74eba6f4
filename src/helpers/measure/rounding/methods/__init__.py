"""Ways to round a model, one small file each, all with one signature.

    quantize(checkpoints, schemes, calibration, memory_bytes) -> [[Rounded | QuantizationError, ...], ...]

`checkpoints` are models of one shape with their folders, in float32 on one device (left as they were found),
`schemes` are of this method, `calibration` is int64 tokens (n_sequences, seq_len) or None, `memory_bytes` is what the
work may take beyond what is already loaded. The answer has one list a checkpoint with one entry a scheme: a scheme
that fails doesn't take the others with it.

    refusal(config, scheme) -> str | None

says at plan time, from a checkpoint's `config.json` alone, why a scheme can't be done on such a model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from transformers import PretrainedConfig

from helpers.measure.rounding.refusals import not_accepted
from helpers.measure.rounding.rounded import Answers
from helpers.table.errors import SpecError
from helpers.table.scheme import QuantScheme

OPTIONS = ("outlier_share", "average_bits")  # fields of a scheme that only some methods make use of


@dataclass(frozen=True)
class Method:
    """A way to round: `version` is part of every row's key and rises when what is computed changes.

    `propagate` is what a scheme of this method says there; a `damped` method needs `rel_damp`, others refuse it. A
    `mixed` method can keep matrices in 16 bits; `activations` are the formats it can round their inputs to; `options`
    are the fields among `OPTIONS` that it needs. One that calibrates may be fixed to `calib_sequences`.
    """

    name: str
    version: int
    calibrated: bool
    propagate: str = "quantized"
    damped: bool = False
    mixed: bool = False
    activations: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    calib_sequences: int | None = None

    @property
    def module(self) -> ModuleType:
        """Return the method's file; imported here so that its own needs are met only when it is used."""
        return import_module(f"helpers.measure.rounding.methods.{self.name}")

    @property
    def quantize(self) -> Callable[..., Answers]:
        """Return the function that rounds."""
        return self.module.quantize

    def refusal(self, config: PretrainedConfig, scheme: QuantScheme) -> str | None:
        """Return why `scheme` can't be done on a model of this configuration, or None."""
        accepted: dict[str, tuple] = {"activation_format": (None, *self.activations)}
        accepted |= {name: (None,) for name in OPTIONS if name not in self.options}
        if not self.mixed:
            accepted["kept_matrices"] = ((),)
        return not_accepted(scheme, **accepted) or self.module.refusal(config, scheme)


METHODS = {
    method.name: method
    for method in (
        Method("rtn", version=1, calibrated=False, mixed=True, activations=("mxint", "int")),
        Method("gptq", version=1, calibrated=True, damped=True, mixed=True),
        Method("autogptq", version=1, calibrated=True, damped=True),
        Method("awq", version=1, calibrated=True, propagate="full_precision"),
        Method("hqq", version=1, calibrated=False),
        Method("nf4", version=1, calibrated=False),
        Method("int8", version=1, calibrated=False),
        Method("torchao", version=1, calibrated=False),
        Method(
            "gwq",
            version=1,
            calibrated=True,
            propagate="full_precision",
            options=("outlier_share",),
            calib_sequences=1,
        ),
        Method(
            "cmpq",
            version=1,
            calibrated=True,
            propagate="full_precision",
            options=("outlier_share", "average_bits"),
        ),
        Method("crossquant", version=1, calibrated=False, mixed=True, activations=("int",)),
    )
}


def get(name: str) -> Method:
    """Return the method called `name`; raises SpecError that lists those known."""
    if name not in METHODS:
        raise SpecError(f"unknown method '{name}'; accepted: {', '.join(METHODS)}")
    return METHODS[name]
