"""A page of its own for a thing to touch, and its modules in Node: what the browser's and the arithmetic's tests share."""

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from touching import SOURCES, joined, script

PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>a page</title>
<style>:root {{ --pst-color-border: #ccc; --pst-color-text-muted: #555; --pst-color-text-base: #111; --pst-color-primary: #176; --pst-color-background: #fff; }}
{style}</style></head><body><main>{body}</main><script>{script}</script></body></html>"""
KEPT = {  # a law of the share that stays in 16 bits, for every budget
    budget: SimpleNamespace(
        intercept=SimpleNamespace(value=0.3),
        size_slope=SimpleNamespace(value=-0.1),
        token_slope=SimpleNamespace(value=0.15),
    )
    for budget in (0.05, 0.1, 0.2)
}
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="JavaScript left out: no node found")


def in_node(module: str, calls: list[tuple[str, list[Any]]]) -> list[Any]:
    """Return what functions of a module of `book/_ext/touch` answer to arguments that JSON can carry."""
    names = ", ".join({name for name, _ in calls})
    code = (
        f'const it = (() => {{ "use strict"; {joined(module)}; return {{ {names} }}; }})();'
        'const calls = JSON.parse(require("fs").readFileSync(0, "utf8"));'
        "console.log(JSON.stringify(calls.map(([name, given]) => it[name](...given))));"
    )
    done = subprocess.run(["node", "-e", code], input=json.dumps(calls), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def write_page(folder: Path, widget: Any, theme: str = "light") -> Path:
    """Write a page with nothing but a thing to touch, as the book's pages carry it, and return its path."""
    path = folder / f"{widget.kind}-{theme}.html"
    style = (SOURCES / "touch.css").read_text(encoding="utf-8")
    path.write_text(PAGE.format(theme=theme, style=style, body=widget._repr_html_(), script=script()), encoding="utf-8")
    return path
