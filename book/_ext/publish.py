"""Sphinx extension: what a published page has beside its text: a preview, files to take along, places to run it.

A chapter's notebook is offered as the repository has it, without outputs, and as a program. Two settings of
`_config.yml` say where the book is: `repository` and, for previews, `html_baseurl`, the address of its pages; the
environment's BOOK_REPOSITORY and BOOK_ADDRESS do where they are empty, as in a workflow that publishes any copy of it.
"""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote

from docutils import nodes
from pages import CHAPTER, described
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
BRANCH = "main"
ALONE = ("91-ninety-minutes",)  # notebooks that install what they need by themselves
ON_GITHUB = re.compile(r"https://github\.com/(?P<name>[\w.-]+/[\w.-]+)")
PICTURE = "loss-after-rounding.png"  # the preview's, of a page without a picture of its own
IMAGE_LABEL, BINDER, COLAB = "og:image", "https://mybinder.org/v2", "https://colab.research.google.com/github"


def take_settings(app: Sphinx, config) -> None:
    """Take from the environment what `_config.yml` leaves empty."""
    config.repository = (config.repository or os.environ.get("BOOK_REPOSITORY", "")).rstrip("/")
    config.html_baseurl = config.html_baseurl or os.environ.get("BOOK_ADDRESS", "")
    if config.html_baseurl and not config.html_baseurl.endswith("/"):
        config.html_baseurl += "/"


def picture_of(doctree: nodes.document, images: dict[str, tuple]) -> str:
    """Return a page's first picture that previews can show, by its path in the built book; the book's own otherwise."""
    for image in doctree.findall(nodes.image):
        if image["uri"] in images and image["uri"].endswith((".png", ".jpg")):
            return f"_images/{images[image['uri']][1]}"
    return f"_static/{PICTURE}"


def add_preview(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give a page the title, description and picture that a link to it shows elsewhere."""
    title = app.env.titles[docname].astext() if docname in app.env.titles else app.config.html_title
    contents = {"og:type": "article", "og:site_name": app.config.html_title, "og:title": title}
    contents["og:description"] = described(doctree)
    if app.config.html_baseurl:  # previews want whole addresses
        contents["og:url"] = f"{app.config.html_baseurl}{docname}.html"
        contents[IMAGE_LABEL] = app.config.html_baseurl + picture_of(doctree, app.env.images)
    doctree.extend(nodes.meta(property=name, content=content) for name, content in contents.items() if content)


def places_to_run(repository: str, stem: str, root: Path = ROOT) -> dict[str, str]:
    """Return by name the addresses that open a chapter's notebook to be run.

    Colab gets the notebook's file alone: a notebook for it installs what it needs and names the repository it clones.
    """
    notebook = f"chapters/{stem}.ipynb"
    on_github = ON_GITHUB.fullmatch(repository)
    if not repository:
        return {}
    where = f"gh/{on_github['name']}" if on_github else f"git/{quote(repository, safe='')}"
    places = {"Binder": f"{BINDER}/{where}/{BRANCH}?urlpath=lab/tree/{notebook}"}
    if on_github and stem in ALONE and repository in (root / notebook).read_text(encoding="utf-8"):
        places["Colab"] = f"{COLAB}/{on_github['name']}/blob/{BRANCH}/{notebook}"
    return places


def button(name: str, address: str, says: str, icon: str) -> dict[str, str]:
    """Return a button of the theme's bar."""
    return {"type": "link", "url": address, "text": name, "tooltip": says, "icon": icon, "label": f"open-{name}"}


def add_buttons(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Add to a chapter's bar its program and the places to run it."""
    if not CHAPTER.match(pagename) or "header_buttons" not in context:
        return
    stem = Path(pagename).name
    for group in context["header_buttons"]:
        if group.get("label") == "download-buttons":
            address = f"{context['pathto']('_sources', 1)}/{pagename}.py"
            group["buttons"].insert(1, button(".py", address, "Download as a program", "fas fa-file-code"))
    places = places_to_run(app.config.repository, stem)
    if places:
        buttons = [button(name, to, f"Run on {name}", "fas fa-play") for name, to in places.items()]
        launch = {"type": "group", "tooltip": "Run this page", "icon": "fas fa-rocket", "buttons": buttons}
        context["header_buttons"].insert(0, launch | {"label": "launch-buttons"})


def offer_sources(app: Sphinx, error: Exception | None) -> None:
    """Put notebooks without outputs, and programs, in the place of the executed notebooks that Sphinx copied."""
    sources = Path(app.outdir) / "_sources" / "executed"
    if error is None and app.builder.format == "html" and sources.is_dir():
        for copied in sources.glob("*.ipynb"):
            for kind in (".ipynb", ".py"):
                shutil.copyfile(ROOT / "chapters" / f"{copied.stem}{kind}", copied.with_suffix(kind))


def setup(app: Sphinx) -> dict:
    """Register with Sphinx; `repository` is a setting of `pages`."""
    app.setup_extension("pages")
    app.connect("config-inited", take_settings, priority=900)
    app.connect("doctree-resolved", add_preview, priority=900)
    app.connect("html-page-context", add_buttons, priority=900)
    app.connect("build-finished", offer_sources)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
