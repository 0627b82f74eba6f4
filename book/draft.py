"""Drafts of pages while they are written: `make chapter NN=04` and `make serve`.

    python book/draft.py executed/04-degradation     writes that page
    python book/draft.py                             writes every page

They lie in .cache/draft with what Sphinx knows of all pages, so one page takes seconds. Chapters that were never
executed are left out and named. A number that is glued from another page is as that page's last execution left it, and
pages that glue a number of this one keep the old one until they are written: `make book` writes and checks them all.
"""

import contextlib
import io
import re
import shutil
import sys
from pathlib import Path

import yaml
from filelock import FileLock

BOOK = Path(__file__).resolve().parent
DRAFT = BOOK.parent / ".cache" / "draft"
SITE = DRAFT / "html"
SLIDES = BOOK / "_build" / "slides" / "slides.html"
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def source(name: str, book: Path = BOOK) -> Path | None:
    """Return the file that a page of the table of contents is rendered from; None if there is none."""
    return next((path for suffix in (".ipynb", ".md") if (path := book / f"{name}{suffix}").is_file()), None)


def present(toc: dict, book: Path = BOOK) -> tuple[dict, list[str]]:
    """Return a table of contents without the pages that have no source, and the names of these."""
    parts, missing = [], []
    for part in toc["parts"]:
        names = [chapter["file"] for chapter in part["chapters"]]
        missing += [name for name in names if source(name, book) is None]
        chapters = [chapter for chapter in part["chapters"] if chapter["file"] not in missing]
        parts += [part | {"chapters": chapters}] if chapters else []
    return toc | {"parts": parts}, missing


def warnings_about(said: str, names: list[str]) -> list[str]:
    """Return the warnings that name one of the pages, or all of them if no page is named."""
    lines = [COLOUR.sub("", line) for line in said.splitlines() if line.strip()]
    return [line for line in lines if not names or any(f"{name}." in line for name in names)]


def render(names: list[str]) -> tuple[int, list[str]]:
    """Write pages, all of them if none is named; return Sphinx's status and the warnings about these pages.

    Raises SystemExit with one line for a page that has no source.
    """
    from jupyter_book.sphinx import build_sphinx

    toc, missing = present(yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8")))
    sources = {name: source(name) for name in names}
    if None in sources.values():
        lacking = [name for name, path in sources.items() if path is None]
        sys.exit(f"{lacking[0]}: no such page; accepted: a name of book/_toc.yml whose chapter was executed")
    if missing:
        print(f"left out, not executed yet: {', '.join(missing)}", flush=True)
    (DRAFT / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    settings = {"external_toc_path": str(DRAFT / "_toc.yml"), "latex_individualpages": False}
    with contextlib.redirect_stderr(io.StringIO()) as said:
        status = build_sphinx(
            str(BOOK),
            str(SITE),
            path_config=BOOK.parent / "_config.yml",
            noconfig=True,
            confoverrides=settings,
            doctreedir=str(DRAFT / "doctrees"),
            filenames=[str(path) for path in sources.values()],
            quiet=True,
        )
    if SLIDES.is_file():
        shutil.copyfile(SLIDES, SITE / SLIDES.name)
    return int(status != 0), warnings_about(said.getvalue(), [] if status else names)


def main(names: list[str]) -> int:
    """Run from the command line; 1 if Sphinx failed. Warnings don't: a draft is to be looked at.

    Waits while another process writes drafts: `make serve` does when `make chapter` has executed one.
    """
    DRAFT.mkdir(parents=True, exist_ok=True)
    with FileLock(DRAFT / ".lock"):
        status, warnings = render(names)
    print(*warnings, sep="\n", end="\n" if warnings else "", file=sys.stderr)
    for name in [] if status else names or ["index"]:
        print(f"draft: {SITE.relative_to(BOOK.parent)}/{name}.html", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
