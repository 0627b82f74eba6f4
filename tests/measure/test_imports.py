"""The measuring side runs on a machine with little more than torch; directions between modules hold."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT

SOURCE = ROOT / "src/helpers"
# what a GPU machine need not have: the statistics, the book, and what only makes the corpus lock
ABSENT = [
    "pandas",
    "statsmodels",
    "seaborn",
    "matplotlib",
    "altair",
    "datasketch",
    "datasets",
    "pydantic",
    "papermill",
    "jupytext",
    "myst_nb",
    "sphinx",
    "auto_gptq",
    "vl_convert",
    "accelerate",
    "bitsandbytes",
    "hqq",
    "torchao",
    "triton",
]


def test_the_measuring_side_imports_without_the_rest():
    code = f"""
import importlib.util, sys
absent = {ABSENT!r}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuse())
find_spec = importlib.util.find_spec  # libraries ask with it what there is
importlib.util.find_spec = lambda name, package=None: None if name in absent else find_spec(name, package)
import helpers.cli, helpers.results, helpers.families
import helpers.measure.sweep, helpers.measure.training, helpers.measure.gptq, helpers.measure.checkpoint_rows
from helpers.measure import methods
for method in methods.METHODS.values():
    assert callable(method.quantize) and callable(method.refusal), method.name
assert not [name for name in sys.modules if name.split(".")[0] in absent]
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def named_in(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()


def imports_of(path: Path) -> set[str]:
    return {used for node in ast.walk(ast.parse(path.read_text())) for used in named_in(node)}


MODULES = {
    ".".join(("helpers", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): imports_of(path)
    for path in SOURCE.rglob("*.py")
}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_directions_between_the_sides(name):
    ours = {used for used in MODULES[name] if used.startswith("helpers.")}
    measure = {used for used in ours if used.startswith("helpers.measure")}
    analyse = {used for used in ours if used.startswith("helpers.analyse")}
    if name == "helpers.specs":
        assert not ours
    if name in ("helpers.families", "helpers.results"):
        assert {used for used in ours if used in MODULES} == {"helpers.specs"}
    if name.startswith("helpers.measure"):
        assert not analyse
    if name.startswith("helpers.analyse"):
        assert not measure
        assert "torch" not in MODULES[name]
    if name == "helpers.measure.gptq":
        assert {used for used in ours if used in MODULES} <= {
            "helpers.measure",
            "helpers.measure.columns_cuda",
            "helpers.measure.grids",
            "helpers.specs",
        }
    if name.endswith("_cuda"):
        assert "triton" in MODULES[name]


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if not name.endswith("_cuda")])
def test_what_is_there_only_with_cuda_is_imported_inside_a_function(name):
    path = SOURCE.joinpath(*name.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    outside = [node for node in ast.parse(path.read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    found = {used for node in outside for used in named_in(node)}
    assert not {used for used in found if used.endswith("_cuda") or used.partition(".")[0] == "triton"}


def test_no_cycles():
    graph = {name: {used for used in uses if used in MODULES and used != name} for name, uses in MODULES.items()}
    packages = {name for name in graph if any(other.startswith(f"{name}.") for other in graph)}
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        for used in graph[name] - packages - finished:
            visit(used, (*path, name))
        finished.add(name)

    for name in graph:
        visit(name, ())
