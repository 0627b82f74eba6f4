"""What a page says of the profile it was built with: whether it measured any of it, and what that can't tell."""

import ast
from pathlib import Path

POCKET = "pocket"  # the profile of a page that says nothing else
OWN = "whose sweep it measured"


def sentences(cells: list[str], sweep: str, device: str) -> str | None:
    """Return what to say on a page of the source of its code cells; None for one that measures nothing, in the pocket.

    Raises SpecError for a sweep that can't be planned.
    """
    name = Path(sweep).stem
    if any(_reads("sweep", cell) for cell in cells):
        return f"*Built with the profile `{name}` on {device}, {OWN}: {_measured(Path(sweep))}*"
    if name == POCKET:
        return None
    return f"*Built with the profile `{name}`, of which this page has nothing: its numbers come with the book.*"


def _reads(variable: str, source: str) -> bool:
    names = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))
    return any(node.id == variable and isinstance(node.ctx, ast.Load) for node in names)


def _measured(sweep: Path) -> str:
    """Return which checkpoints a sweep has, and what its rows can't tell because it doesn't vary."""
    from helpers.measure.sweep.declaration import read_sweep  # it takes seconds, and few pages ask

    parts = read_sweep(sweep).parts
    specs = {spec.label: spec for part in parts for spec in part.checkpoints}.values()
    bits = {scheme.bits for part in parts for scheme in part.schemes}
    varied = {
        "size": len({spec.n_params_non_embedding for spec in specs}) > 1,
        "training tokens": len({spec.tokens_seen for spec in specs}) > 1,
        "a decayed learning rate": any(spec.branched_from for spec in specs),
        "bits": len(bits) > 1,
    }
    families = ", ".join(dict.fromkeys(spec.family for spec in specs))
    fixed = [what for what, varies in varied.items() if not varies]
    lacking = f" They can't tell what depends on {' or on '.join(fixed)}." if fixed else ""
    return f"{len(specs):,} checkpoints of {families}.{lacking}"
