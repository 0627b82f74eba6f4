"""Numbers in prose: what a chapter glues, the `glue` role shows. Scalars of NumPy and torch are unwrapped."""

from myst_nb import glue


def put(name: str, value: object) -> None:
    """Glue one value under `name`; a scalar of NumPy or torch as Python's own, so that formats of the role apply."""
    glue(name, value.item() if hasattr(value, "item") else value, display=False)


def put_all(**values: object) -> None:
    """Glue several values by name."""
    for name, value in values.items():
        put(name, value)
