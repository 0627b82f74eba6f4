"""A method: what a file of `methods/` says of itself beside the functions it has."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import import_module
from types import ModuleType

from transformers import PretrainedConfig

from helpers.measure.models.as_linear import has_experts
from helpers.measure.rounding.refusals import not_accepted
from helpers.measure.rounding.rounded import Answers
from helpers.table.scheme import ACTIVATION_FIELDS, QuantScheme

FOLDER = "helpers.measure.rounding.methods"


@dataclass(frozen=True)
class Method:
    """A way to round: `version` is part of every row's key and rises when what is computed changes.

    `propagate` is what a scheme of this method says there; a `damped` method needs `rel_damp`, others refuse it. A
    `mixed` method can keep matrices in 16 bits; the codes of a `rotated` one stand for weights in another basis, which
    no packed format knows; one with `experts` can round a mixture of them, their inputs apart; `activations` are the
    formats it can round inputs to. `options` are fields of a scheme that no method makes use of unless it says so here:
    this one needs them, and all that don't say so refuse them. A method that calibrates may be fixed to
    `calib_sequences`.

    `name` (its file's) and `options_of_others` are filled in where the files are read.
    """

    version: int
    calibrated: bool
    propagate: str = "quantized"
    damped: bool = False
    mixed: bool = False
    rotated: bool = False
    experts: bool = False
    activations: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    calib_sequences: int | None = None
    name: str = ""
    options_of_others: frozenset[str] = frozenset()

    @property
    def module(self) -> ModuleType:
        """Return the method's file."""
        return import_module(f"{FOLDER}.{self.name}")

    @property
    def quantize(self) -> Callable[..., Answers]:
        """Return the function that rounds."""
        function: Callable[..., Answers] = self.module.quantize
        return function

    def uses(self, field: str) -> bool:
        """Tell whether schemes of this method carry a field that a sweep may say; if not, it isn't in their id."""
        if field == "rel_damp":
            return self.damped
        if field == "calib_seed":
            return self.calibrated
        if field in ("activation_format", *ACTIVATION_FIELDS):
            return bool(self.activations)
        return field not in self.options_of_others

    def refusal(self, config: PretrainedConfig, scheme: QuantScheme) -> str | None:
        """Return why `scheme` can't be done on a model of this configuration, or None."""
        accepted: dict[str, tuple[object, ...]] = {"activation_format": (None, *self.activations)}
        accepted |= {f.name: (f.default,) for f in fields(scheme) if f.name in self.options_of_others}
        if not self.mixed:
            accepted["kept_matrices"] = ((),)
        if has_experts(config):
            if not self.experts:
                return f"{self.name}: {config.model_type} has experts; accepted: models without"
            accepted["activation_format"] = (None,)
        return not_accepted(scheme, **accepted) or self.module.refusal(config, scheme)
