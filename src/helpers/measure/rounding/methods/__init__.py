"""Ways to round a model, one small file per way, found by themselves.

A file with a `METHOD` (`helpers.measure.rounding.method.Method`) is a method of the file's name. It has two functions:

    quantize(checkpoints, schemes, calibration, memory_bytes) -> [[Rounded | QuantizationError, ...], ...]

`checkpoints` are models of one shape with their folders, in float32 on one device (left as they were found),
`schemes` are of this method, `calibration` is int64 tokens (n_sequences, seq_len) or None, `memory_bytes` is what the
work may take beyond what is already loaded. The answer has one list per checkpoint with one entry per scheme: a scheme
that fails doesn't take the others with it.

    refusal(config, scheme) -> str | None

says at plan time, from a checkpoint's `config.json` alone, why a scheme can't be done on such a model.

Other people's libraries are imported inside functions: every file can be read where they aren't installed.
"""

import dataclasses
import functools
import pkgutil
from importlib import import_module

from helpers.measure.rounding.method import Method
from helpers.table.errors import SpecError


@functools.cache
def every_method() -> dict[str, Method]:
    """Return all methods by name, in the order of their names: those of the files here that have a `METHOD`."""
    modules = {each.name: import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)}
    declared = {name: modules[name].METHOD for name in sorted(modules) if hasattr(modules[name], "METHOD")}
    options = frozenset(option for method in declared.values() for option in method.options)
    return {
        name: dataclasses.replace(method, name=name, options_of_others=options - {*method.options})
        for name, method in declared.items()
    }


def method_named(name: str) -> Method:
    """Return the method called `name`; raises SpecError that lists those known."""
    methods = every_method()
    if name not in methods:
        raise SpecError(f"unknown method '{name}'; accepted: {', '.join(methods)}")
    return methods[name]
