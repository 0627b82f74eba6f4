"""What is tracked: small, no pickles, nothing of one machine; tests mirror the sources."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_BYTES = 45 * 2**20
BLOCK_BYTES = 4096  # what a file takes on a disk is a whole number of these
PICKLES = re.compile(r"\.(?:pkl|pickle|pt|pth|bin|joblib|npy|npz)$")
PICKLING = re.compile(
    r"^\s*(?:import|from)\s+(?:pickle|cPickle|dill|joblib|cloudpickle)\b|(?<!safetensors\.)torch\.(?:load|save)\(|allow_pickle=True",
    re.M,
)
CHILD = "src/helpers/measure/models/hub/pickled_child.py"
TRIED = ("tests/measure/models/hub/test_pickled.py", "tests/measure/sweep/test_run_hub_families.py")
REMOTE_CODE = re.compile(r"trust_remote_code\s*=\s*True")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def test_all_tracked_files_together_stay_small():
    """As bytes, which is what travels, and as blocks on a disk, of which each file begins one."""
    sizes = {path: path.stat().st_size for path in tracked()}
    on_disk = sum(-(-size // BLOCK_BYTES) * BLOCK_BYTES for size in sizes.values())
    largest = [f"{path.relative_to(ROOT)}: {sizes[path]}" for path in sorted(sizes, key=sizes.get)[-5:]]
    assert sum(sizes.values()) <= LIMIT_BYTES, largest
    assert on_disk <= LIMIT_BYTES, (len(sizes), largest)


def test_no_tracked_file_is_a_pickle():
    assert [path for path in tracked() if PICKLES.search(path.name)] == []


def test_no_source_pickles_or_runs_remote_code():
    """But for the process apart that takes tensors out of a pickle where a sweep asks for it, and what tries it."""
    texts = {path: path.read_text() for path in sources() if path != Path(__file__)}
    found = [path for path, text in texts.items() if PICKLING.search(text) or REMOTE_CODE.search(text)]
    assert {path.relative_to(ROOT).as_posix() for path in found} == {CHILD, *TRIED}
    loads = [line for line in texts[ROOT / CHILD].splitlines() if PICKLING.search(line)]
    assert len(loads) == 1
    assert "weights_only=True" in loads[0]


def test_tests_mirror_the_sources():
    """A test lies in the folder of the module that it is named after; a module's tests may lie in several files."""
    here = [(ROOT / "src/helpers", Path()), (ROOT / "book", Path("book")), (ROOT / "book/_ext", Path("book"))]
    named = {folder / path.parent.relative_to(top) / path.stem for top, folder in here for path in top.rglob("*.py")}
    named |= {path.parent / path.parent.name for path in named if path.name == "__init__"}
    about = {Path(each) for each in ("floors", "measure/cuda", "peers/peers", "recount/recount", "faults/faults")}
    about |= {Path("hub") / each for each in ("stand_in", "uploads", "profiles")}
    about |= {Path("book") / each for each in ("environment", "repository", "makefile", "browser")}
    stems = {each.parent / f"test_{each.name}" for each in named | about}
    strays = [
        str(path)
        for path in (each.relative_to(ROOT / "tests") for each in (ROOT / "tests").rglob("test_*.py"))
        if not any(path.parent == stem.parent and re.fullmatch(f"{stem.name}(_[a-z_]+)?", path.stem) for stem in stems)
    ]
    assert strays == [], "a test file lies where the module lies that it is named after"


def test_no_folder_and_no_module_of_the_package_is_crowded():
    modules = [path for path in (ROOT / "src/helpers").rglob("*.py") if path.name != "__init__.py"]
    per_folder = Counter(path.parent for path in modules)
    assert max(per_folder.values()) <= 17, per_folder.most_common(1)
    longest = max(modules, key=lambda path: len(path.read_text().splitlines()))
    assert len(longest.read_text().splitlines()) <= 340, longest


def test_contributing_names_every_folder_and_stays_short():
    lines = (ROOT / "CONTRIBUTING.md").read_text().splitlines()
    table = "\n".join(line for line in lines if line.startswith("| `"))
    folders = {path.parent.relative_to(ROOT / "src/helpers") for path in (ROOT / "src/helpers").rglob("*.py")}
    unnamed = [str(each) for each in folders if each != Path() and f"`{each}/`" not in table]
    assert [each for each in unnamed if each not in ("measure", "analyse")] == []
    assert len(lines) <= 150
