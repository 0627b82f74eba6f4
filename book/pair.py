"""Keep each chapter's two forms the same: NN-name.py (percent format, where one edits) and NN-name.ipynb (no outputs).

    python book/pair.py           write the notebooks that differ
    python book/pair.py --check   only say which differ; exit 1 if any

The notebook is a function of the script alone: cell ids are numbered, so that writing it twice gives the same bytes.
"""

import sys
from pathlib import Path

import jupytext
import nbformat

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"


def paired_text(script: Path) -> str:
    """Return the notebook, as text, that belongs to a percent script."""
    notebook = jupytext.read(script)
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = f"cell-{number:03d}"
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def differing(folder: Path = CHAPTERS) -> list[Path]:
    """Return the scripts whose notebook is missing or not what `paired_text` gives."""
    scripts = sorted(folder.glob("[0-9]*.py"))
    return [s for s in scripts if not (n := s.with_suffix(".ipynb")).exists() or n.read_text() != paired_text(s)]


def main() -> int:
    """Run from the command line; with --check, 1 if a pair differs."""
    scripts = differing()
    for script in scripts:
        if "--check" not in sys.argv:
            script.with_suffix(".ipynb").write_text(paired_text(script))
        print(f"{script.name}: notebook {'differs, run make pair' if '--check' in sys.argv else 'written'}")
    return int(bool(scripts) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
