"""Other people's quantization libraries: a check of the installed version, and an import without remarks."""

import contextlib
import functools
import importlib
import importlib.metadata
import logging
import warnings
from collections.abc import Iterator
from types import ModuleType


def not_installed(package: str, version: str) -> str | None:
    """Return why a library's method can't run here, with the command that mends it, or None."""
    try:
        installed = importlib.metadata.version(package).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        installed = "none"
    if installed == version:
        return None
    return f"{package} {version} isn't installed (found: {installed}): pip install {package}=={version}"


@contextlib.contextmanager
def without_remarks() -> Iterator[None]:
    """Leave out what libraries remark, short of errors: deprecated names, GPU kernels they can't load, casts."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@functools.cache
def imported(module: str) -> ModuleType:
    """Import a quantization library without its remarks."""
    with without_remarks():
        return importlib.import_module(module)
