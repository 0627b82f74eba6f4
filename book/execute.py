"""Execute one chapter: percent script -> notebook -> papermill -> executed notebook, replaced only on success.

    python book/execute.py chapters/02-rounding.py book/executed/02-rounding.ipynb device=cpu seed=0

Run from the repository's folder. Parameters must be declared in the chapter's cell tagged `parameters`. On a terminal
the kernel is told its name in QID_TERMINAL, so that a long sweep can draw a progress bar there; elsewhere all is quiet.
"""

import argparse
import ast
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from traitlets.config import Config

import built_from

KERNEL = {"kernel_name": "python3", "language": "python", "start_timeout": 300, "progress_bar": False}
PARAMETER_TAGS = {"parameters", "injected-parameters"}
PARAMETERS = "Parameters that this page was made with"  # names the bar that folds them


class ChapterError(Exception):
    """A chapter can't be executed as asked; its text is for a person."""


class KernelDiedError(Exception):
    """A chapter's kernel didn't start, or ended before the chapter did; its text is for a person."""


def parse_parameters(pairs: list[str]) -> dict[str, str]:
    """Return `name=value` words as a mapping; ChapterError for a word that is none."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ChapterError(f"'{pair}' isn't name=value")
        found[name] = value
    return found


def typed(words: dict[str, str], declared: dict[str, object]) -> dict[str, int | str]:
    """Return parameters as the chapter declares them, an integer for an integer; ChapterError for a word that isn't."""
    found: dict[str, int | str] = {}
    for name, word in words.items():
        try:
            found[name] = int(word) if type(declared[name]) is int else word
        except ValueError:
            raise ChapterError(f"{name} is '{word}'; accepted: an integer") from None
    return found


def declared_parameters(notebook) -> dict[str, object]:
    """Return what the cell tagged `parameters` assigns, by name; ChapterError if there is no such cell."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            nodes = (node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign))
            return {node.targets[0].id: ast.literal_eval(node.value) for node in nodes}
    raise ChapterError("no cell is tagged 'parameters'")


def finish(notebook) -> None:
    """Make an executed notebook fit to show: one folded parameter cell, no paths."""
    notebook.metadata.pop("papermill", None)
    injected = any("injected-parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell.source = cell.source.replace("# Parameters", "# The parameters that this page was executed with", 1)
            tags.append("hide-input")
            cell.metadata["mystnb"] = {"code_prompt_show": PARAMETERS, "code_prompt_hide": PARAMETERS}
        elif "parameters" in tags:
            tags.append("remove-cell" if injected else "hide-input")


def say_profile(notebook, parameters: dict[str, object]) -> None:
    """Put what `built_from` says below the parameters of an executed notebook that has a sweep among them."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    if "sweep" not in parameters:
        return
    said = built_from.sentences(sources, str(parameters["sweep"]), str(parameters["device"]))
    if said is not None:
        last = max(i for i, cell in enumerate(notebook.cells) if PARAMETER_TAGS & {*cell.metadata.get("tags", [])})
        notebook.cells.insert(last + 1, nbformat.v4.new_markdown_cell(said))


def over_files(sockets: Path) -> Config:
    """Return the setting that a kernel is spoken to over files in `sockets`, a folder of its own with a short path.

    Not over TCP: no other user of the machine can listen in, and the kernel has nothing to warn about. Without a folder
    the files lie in the current one, where two chapters that are executed at once share them.
    """
    return Config({"KernelManager": {"transport": "ipc", "ip": str(sockets / "kernel")}})


def execute(chapter: Path, target: Path, words: dict[str, str], sockets: Path) -> float:
    """Execute `chapter` into `target` and return the seconds it took; `sockets` is as in `over_files`.

    Raises papermill's error on a failed cell, KernelDiedError, ChapterError for a parameter that isn't accepted.
    """
    notebook = jupytext.read(chapter)
    declared = declared_parameters(notebook)
    unknown = sorted(set(words) - set(declared))
    if unknown:
        raise ChapterError(f"{chapter} declares no parameter {', '.join(unknown)}")
    parameters = typed(words, declared)
    target.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    prefix = f".{target.stem}-"
    for left in target.parent.glob(f"{prefix}*"):  # by a kill: its notebooks would be taken for pages
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as folder:
        source, partial = Path(folder) / "source.ipynb", Path(folder) / "executed.ipynb"
        nbformat.write(notebook, source)
        try:
            papermill.execute_notebook(source, partial, parameters, config=over_files(sockets), **KERNEL)
        except papermill.PapermillExecutionError:
            partial.replace(failed_copy(target))
            raise
        except RuntimeError as error:  # nbclient's, of a kernel
            partial.replace(failed_copy(target))
            said = f"its kernel didn't start ({error})"
            if isinstance(error, DeadKernelError):
                said = "its kernel was killed or ended itself (often for want of memory)"
            raise KernelDiedError(said) from None
        done = nbformat.read(partial, as_version=4)
        finish(done)
        say_profile(done, declared | parameters)
        nbformat.write(done, partial)
        partial.replace(target)
    failed_copy(target).unlink(missing_ok=True)
    return time.monotonic() - started


def failed_copy(target: Path) -> Path:
    """Return where a chapter that failed is kept for a look, beside the last good one."""
    return target.with_suffix(".failed.ipynb")


def main(words: list[str] | None = None) -> int:
    """Run from the command line; 1 on a failed cell or a wrong parameter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapter", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("parameters", nargs="*", metavar="name=value")
    asked = parser.parse_args(words)
    if sys.stderr.isatty():
        os.environ["QID_TERMINAL"] = os.ttyname(sys.stderr.fileno())
    print(f"executing {asked.chapter}", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="qid-") as sockets:  # a short path: sockets' names may have 100 letters
            os.environ["JUPYTER_RUNTIME_DIR"] = sockets
            seconds = execute(asked.chapter, asked.target, parse_parameters(asked.parameters), Path(sockets))
    except (papermill.PapermillExecutionError, ChapterError, KernelDiedError) as error:
        start = " " if isinstance(error, KernelDiedError) else "\n"
        print(f"{asked.chapter} failed:{start}{error}", file=sys.stderr)
        if failed_copy(asked.target).exists():
            print(f"The chapter up to the failed cell: {failed_copy(asked.target)}", file=sys.stderr)
        return 1
    print(f"executed  {asked.chapter} in {seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
