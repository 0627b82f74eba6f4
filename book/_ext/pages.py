"""Sphinx extension: what belongs to every page beside its text.

A chapter keeps the number of its file's name in whatever part of the book it stands; from 92 on these are letters, A, B
and so on, of appendices; 90 and 91 are pages without a number. A page's description, which search
engines and previews show, is its box's finding or else its first paragraph; `synonyms.yml` has further words that the
search finds it by. A link to the glossary shows the definition when the mouse rests on it. Links to edit a page and to
report an error in it appear once `repository` in `_config.yml` holds the repository's address.
"""

import re
from html import escape
from pathlib import Path
from urllib.parse import quote

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

CHAPTER = re.compile(r"executed/(?P<number>\d+)-")
LAST_CHAPTER, FIRST_APPENDIX = 89, 92
GLOSSARY = "glossary"
SYNONYMS = Path(__file__).parents[1] / "synonyms.yml"
LONGEST_DESCRIPTION = 300  # characters; what lies beyond, previews cut anyhow


def chapter_number(docname: str) -> int | str | None:
    """Return the number in a chapter's file name, from 92 on as a letter; None for any other page."""
    found = CHAPTER.match(docname)
    if not found:
        return None
    number = int(found["number"])
    if number >= FIRST_APPENDIX:
        return chr(ord("A") + number - FIRST_APPENDIX)
    return number if number <= LAST_CHAPTER else None


def number_by_name(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Give chapters, their sections, figures and equations the number of the file's name; return what is written anew.

    Sphinx counts chapters in the order of the table of contents, whose parts aren't in the order of the files.
    """
    for docname in env.toc_secnumbers:
        number = chapter_number(docname)
        if number is None:
            continue
        of_sections = env.toc_secnumbers[docname]
        env.toc_secnumbers[docname] = {anchor: (number, *at[1:]) for anchor, at in of_sections.items() if at}
        of_figures = env.toc_fignumbers.get(docname, {})
        env.toc_fignumbers[docname] = {
            kind: {name: (number, *at[1:]) for name, at in numbers.items()} for kind, numbers in of_figures.items()
        }
        numbered = [*env.tocs[docname].findall(nodes.reference), env.titles[docname]]
        for node in [one for one in numbered if one.get("secnumber")]:
            node["secnumber"] = [number, *node["secnumber"][1:]]
    return list(env.toc_secnumbers)


def described(doctree: nodes.document) -> str:
    """Return in a line what a page says: the first point of its box, or else its first paragraph in plain words."""
    boxes = [box for box in doctree.findall(nodes.Admonition) if "finding" in box["classes"]]
    points = [item for box in boxes for item in box.findall(nodes.list_item)]
    paragraphs = [p for p in doctree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section | nodes.document)]
    text = next((" ".join(part.astext().split()) for part in [*points, *paragraphs] if part.astext().strip()), "")
    text = text.removeprefix("Finding. ")
    return text if len(text) <= LONGEST_DESCRIPTION else f"{text[:LONGEST_DESCRIPTION].rsplit(' ', 1)[0]} …"


def add_meta(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give a page its description and the words of `synonyms.yml` that the search finds it by."""
    words = yaml.safe_load(SYNONYMS.read_text(encoding="utf-8")).get(docname, [])
    contents = {"description": described(doctree), "keywords": ", ".join(words)}
    doctree.extend(nodes.meta(name=name, content=content) for name, content in contents.items() if content)


def definitions(glossary: nodes.document) -> dict[str, str]:
    """Return by a term's id the first paragraph of its definition as plain text."""
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        paragraph = next(iter(item.findall(nodes.paragraph)), None)
        if paragraph is not None:
            text = " ".join(paragraph.astext().split())
            found |= {name: text for term in item.findall(nodes.term) for name in term["ids"]}
    return found


def show_definitions(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the definition of a term on every link to it, to be read without leaving the page."""
    if GLOSSARY not in app.env.all_docs:
        return
    meanings = definitions(app.env.get_doctree(GLOSSARY))
    for link in doctree.findall(nodes.reference):
        name = link.get("refuri", "").rpartition("#")[2] or link.get("refid", "")
        if name in meanings:
            link["reftitle"] = meanings[name]


def source_of(docname: str) -> str:
    """Return the file that a page is written in, relative to the repository's root."""
    return f"chapters/{Path(docname).name}.py" if CHAPTER.match(docname) else f"book/{docname}.md"


def page_links(repository: str, docname: str) -> str:
    """Return HTML with the links to edit a page and to report an error in it, as GitHub and Forgejo take them."""
    title = quote(f"Error in {docname}")
    links = {
        f"{repository}/edit/main/{source_of(docname)}": "Edit this page",
        f"{repository}/issues/new?title={title}": "Report an error",
        repository: "Repository",
    }
    return " · ".join(f'<a href="{escape(address)}">{name}</a>' for address, name in links.items())


def add_links(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """End a page with its links to the repository, if `_config.yml` says where that is."""
    repository = app.config.repository.rstrip("/")
    if repository and doctree is not None:
        context["body"] += f'<p class="page-links">{page_links(repository, pagename)}</p>'


def setup(app: Sphinx) -> dict:
    """Register with Sphinx: numbers once it has counted, meta and definitions once values are glued into the text."""
    app.add_config_value("repository", "", "html", [str])
    app.connect("env-get-updated", number_by_name, priority=900)
    app.connect("doctree-resolved", add_meta, priority=900)
    app.connect("doctree-resolved", show_definitions, priority=900)
    app.connect("html-page-context", add_links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
