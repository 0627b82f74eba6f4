"""Who may import whom: two sides over one bridge, floors inside each side, and what each may load.

A folder imports only from folders below it. `FLOORS` is the architecture; the tree has to agree with it.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src/helpers"
# Each folder and the folders it may import from; a folder that isn't here fails the first test.
FLOORS = {
    "table": [set()],
    "measure": [
        {"text", "models"},
        {"rounding", "auditing"},
        {"scoring", "describing"},
        {"training", "mixed"},
        {"sweep", "packing"},
        {"cluster"},
        {"study", "comparing", "planning"},
    ],
    "analyse": [{"arrays"}, {"rows"}, {"laws"}, {"fits"}, {"questions"}, {"judgement"}, {"mixed"}],
}
BELOW = {
    "table": set(),
    "measure": {"table"},
    "analyse": {"table"},
    "show": {"table", "analyse"},
    "teach": {"table", "analyse"},
    "commands": {"table", "measure", "analyse", "show"},
    "cli": {"commands", "table"},
}
# what a GPU machine need not have: the statistics, the book, and what only makes the corpus lock
ABSENT = [
    "pandas",
    "statsmodels",
    "seaborn",
    "matplotlib",
    "datasketch",
    "datasets",
    "dask",
    "distributed",
    "dask_jobqueue",
    "pydantic",
    "papermill",
    "jupytext",
    "myst_nb",
    "sphinx",
    "auto_gptq",
    "accelerate",
    "bitsandbytes",
    "gguf",
    "hqq",
    "torchao",
    "triton",
]
# what a side never loads, not even inside a function
FORBIDDEN = {
    "table": {"torch", "pandas", "statsmodels", "transformers", "matplotlib", "seaborn"},
    "measure": {"pandas", "statsmodels", "matplotlib", "seaborn"},
    "analyse": {"torch", "transformers", "matplotlib", "seaborn"},
    "show": {"torch", "transformers"},
    "teach": {"torch", "transformers", "matplotlib", "seaborn"},
}


def needs_cuda(name: str) -> bool:
    return name.endswith("_cuda") or "cuda" in name.split(".")


def named_in(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()


def imports_of(path: Path) -> set[str]:
    return {used for node in ast.walk(ast.parse(path.read_text())) for used in named_in(node)}


def module_of(path: Path) -> str:
    return ".".join(("helpers", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


PATHS = {module_of(path): path for path in SOURCE.rglob("*.py")}
USES = {name: {used for used in imports_of(path) if used != name} for name, path in PATHS.items()}
OURS = {name: {used for used in uses if used in PATHS} for name, uses in USES.items()}


def room(name: str) -> str:
    """The top folder (or module) that a module lies in; empty for the package itself."""
    return name.split(".")[1] if "." in name else ""


def floor_of(name: str) -> int | None:
    """The floor of a module within its side; None for a side's own `__init__`."""
    side, *inside = name.split(".")[1:]
    if not inside:
        return None
    return next(number for number, rooms in enumerate(FLOORS[side]) if inside[0] in rooms)


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_module_imports_from_below(name):
    for used in OURS[name]:
        if room(used) in ("", room(name)):
            continue
        assert room(used) in BELOW[room(name)], f"{name} imports {used}"


@pytest.mark.parametrize("name", sorted(name for name in PATHS if room(name) in ("measure", "analyse")))
def test_floors_inside_a_side(name):
    mine, at = name.split(".")[2:3], floor_of(name)
    for used in OURS[name]:
        if room(used) != room(name) or floor_of(used) is None or used.split(".")[2:3] == mine:
            continue
        assert at is not None, f"{name} is a package and imports {used}"
        assert floor_of(used) < at, f"{name} imports {used}, of its own floor or one above"


@pytest.mark.parametrize("name", sorted(name for name in PATHS if room(name) in FORBIDDEN))
def test_what_a_side_never_loads(name):
    assert not {used.partition(".")[0] for used in USES[name]} & FORBIDDEN[room(name)]


def test_the_statistics_side_imports_without_torch():
    names = ", ".join(name for name in sorted(PATHS) if room(name) in ("table", "analyse", "show", "teach"))
    code = f"import sys, {names}; sys.exit('torch' in sys.modules or 'helpers.measure' in sys.modules)"
    assert "helpers.analyse.fits.fit" in names
    assert subprocess.run([sys.executable, "-c", code], timeout=600).returncode == 0


def test_statistics_import_without_drawing():
    names = ", ".join(name for name in sorted(PATHS) if room(name) in ("table", "analyse", "teach"))
    code = f"import sys, {names}; print({{'matplotlib.pyplot', 'seaborn'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout == "set()\n"


def test_the_bridge_needs_neither_pandas_nor_torch():
    names = ", ".join(name for name in sorted(PATHS) if room(name) == "table")
    code = f"import sys, {names}; print({{'pandas', 'torch', 'transformers'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout == "set()\n"


def test_the_measuring_side_imports_without_the_rest():
    names = [name for name in sorted(PATHS) if room(name) in ("cli", "commands", "table", "measure")]
    here = [name for name in names if not needs_cuda(name) and not name.endswith("_child")]
    code = f"""
import importlib, importlib.util, sys
absent = {ABSENT!r}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuse())
find_spec = importlib.util.find_spec  # libraries ask with it what there is
importlib.util.find_spec = lambda name, package=None: None if name in absent else find_spec(name, package)
for name in {here!r}:
    importlib.import_module(name)
from helpers.measure.rounding import methods
for method in methods.every_method().values():
    assert callable(method.quantize) and callable(method.refusal), method.name
assert not [name for name in sys.modules if name.split(".")[0] in absent]
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_mathematics_of_gptq_stands_alone():
    assert OURS["helpers.measure.rounding.gptq_solver"] <= {
        "helpers.measure.rounding",
        "helpers.measure.rounding.gptq_columns_cuda",
        "helpers.measure.rounding.grids",
        *(name for name in PATHS if room(name) == "table"),
    }


@pytest.mark.parametrize("name", [name for name in sorted(PATHS) if name.endswith("_cuda")])
def test_kernels_are_triton(name):
    assert "triton" in USES[name]


@pytest.mark.parametrize("name", [name for name in sorted(PATHS) if not needs_cuda(name)])
def test_what_is_there_only_with_cuda_is_imported_inside_a_function(name):
    outside = [
        node for node in ast.parse(PATHS[name].read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    used = {each for node in outside for each in named_in(node)}
    assert not {each for each in used if needs_cuda(each) or each.partition(".")[0] == "triton"}


def test_no_cycles():
    graph = {name: OURS[name] for name in PATHS}
    packages = {name for name in graph if any(other.startswith(f"{name}.") for other in graph)}
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        for used in graph[name] - packages - finished:
            visit(used, (*path, name))
        finished.add(name)

    for name in graph:
        visit(name, ())
