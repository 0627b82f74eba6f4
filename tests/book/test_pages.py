import re
from pathlib import Path
from types import SimpleNamespace

import jupytext
import pages
import pytest
import yaml
from docutils import nodes
from docutils.utils import new_document
from sphinx import addnodes

from check import toc_files

ROOT = Path(__file__).parents[2]
LESSON = "91-ninety-minutes"  # a notebook to be held in class: it has no finding of its own
CHAPTERS = [path for path in sorted((ROOT / "chapters").glob("[0-9]*.py")) if path.stem != LESSON]
PARTS = ("Finding", "How sure", "Use it for")
NUMBERED = re.compile(r"\d")


def opening(path: Path) -> str:
    return next(cell.source for cell in jupytext.read(path).cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_opens_with_a_finding_how_sure_it_is_and_what_it_is_for(path):
    text = opening(path)
    box = re.search(r"^```\{admonition\} In short\n:class: finding\n(.*?)^```$", text, re.M | re.S)
    assert box, "no box"
    assert re.findall(r"^- \*\*(.+?)\.\*\*", box[1], re.M) == list(PARTS)
    title, question = text.splitlines()[0], text.splitlines()[2]
    assert title.startswith("# "), "no title"
    assert not NUMBERED.search(title), "a number in a title can't be glued"
    assert question.startswith("*"), "the question comes first"
    assert "{glue:text}" in box[1].split("- **How sure.**")[0], "the finding has no number"


def test_every_page_has_words_that_it_is_found_by_and_every_word_a_page():
    words = yaml.safe_load(pages.SYNONYMS.read_text(encoding="utf-8"))
    in_book = set(toc_files(yaml.safe_load((ROOT / "book/_toc.yml").read_text(encoding="utf-8"))))
    assert set(words) <= in_book
    assert {name for name in in_book if pages.chapter_number(name)} <= set(words)
    assert all(isinstance(word, str) and "," not in word for of_page in words.values() for word in of_page)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("executed/04-degradation", 4),
        ("executed/19-your-model", 19),
        ("executed/92-a", "A"),
        ("executed/90-speed", None),
        ("glossary", None),
    ],
)
def test_a_chapter_keeps_its_files_number_an_appendix_has_a_letter_and_other_pages_have_none(name, number):
    assert pages.chapter_number(name) == number


def test_sections_figures_and_titles_take_the_number_of_the_file():
    name = "executed/12-why"
    heading = nodes.reference("", "", secnumber=[5, 1], refuri=name)
    env = SimpleNamespace(
        toc_secnumbers={name: {"": (5,), "#rows": (5, 1)}, "other": {"": (6,)}},
        toc_fignumbers={name: {"figure": {"fig-a": (5, 2)}}},
        tocs={name: nodes.bullet_list("", heading)},
        titles={name: nodes.title(secnumber=[5])},
    )
    assert pages.number_by_name(None, env) == [name, "other"]
    assert env.toc_secnumbers == {name: {"": (12,), "#rows": (12, 1)}, "other": {"": (6,)}}
    assert env.toc_fignumbers[name] == {"figure": {"fig-a": (12, 2)}}
    assert (heading["secnumber"], env.titles[name]["secnumber"]) == ([12, 1], [12])


def point(text):
    return nodes.list_item("", nodes.paragraph("", text))


def test_a_page_is_described_by_its_finding_or_by_its_first_paragraph():
    plain, boxed = new_document("plain"), new_document("boxed")
    plain.extend([nodes.title("", "Title"), nodes.paragraph("", "It says\nthis."), nodes.paragraph("", "And that.")])
    assert pages.described(plain) == "It says this."
    box = nodes.admonition(
        "", nodes.bullet_list("", point("Finding. Much."), point("How sure. Not.")), classes=["finding"]
    )
    boxed.extend([nodes.paragraph("", "First."), box])
    assert pages.described(boxed) == "Much."
    long = new_document("long")
    long += nodes.paragraph("", "word " * 100)
    assert len(pages.described(long)) <= pages.LONGEST_DESCRIPTION + 2
    assert pages.described(long).endswith("word …")


def test_description_and_words_become_meta_of_the_page():
    page = new_document("page")
    page += nodes.paragraph("", "What it says.")
    pages.add_meta(None, page, "notation")
    said = {meta["name"]: meta["content"] for meta in page.findall(nodes.meta)}
    assert said["description"] == "What it says."
    assert "symbols" in said["keywords"]


def test_a_link_to_a_term_shows_its_definition():
    item = nodes.definition_list_item("", nodes.term("", "tau", ids=["term-tau"]))
    item += nodes.definition("", nodes.paragraph("", "Scatter about\na law."))
    glossary = new_document("glossary")
    glossary += addnodes.glossary("", nodes.definition_list("", item))
    page = new_document("page")
    link, other = nodes.reference("", "tau", refuri="../glossary.html#term-tau"), nodes.reference("", "x", refuri="#x")
    page += nodes.paragraph("", "", link, other)
    env = SimpleNamespace(all_docs={"glossary": 0}, get_doctree={"glossary": glossary}.__getitem__)
    pages.show_definitions(SimpleNamespace(env=env), page, "page")
    assert link["reftitle"] == "Scatter about a law."
    assert "reftitle" not in other


@pytest.mark.parametrize("repository", ["", "https://example.org/owner/book/"])
def test_links_to_the_repository_appear_only_where_its_address_is_known(repository):
    context = {"body": "<p>text</p>"}
    app = SimpleNamespace(config=SimpleNamespace(repository=repository))
    pages.add_links(app, "executed/04-degradation", "page.html", context, new_document("page"))
    if not repository:
        assert context["body"] == "<p>text</p>"
    else:
        assert 'href="https://example.org/owner/book/edit/main/chapters/04-degradation.py"' in context["body"]
        assert "issues/new?title=Error%20in%20executed/04-degradation" in context["body"]


def test_the_shipped_setting_names_no_repository_and_the_sources_of_all_pages_exist():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["sphinx"]["config"]["repository"] == ""
    names = toc_files(yaml.safe_load((ROOT / "book/_toc.yml").read_text(encoding="utf-8")))
    assert [name for name in names if not (ROOT / pages.source_of(name)).is_file()] == []


def test_the_page_on_citing_says_what_the_citation_file_says():
    page = (ROOT / "book/cite.md").read_text(encoding="utf-8")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert f"Version {cited['version']}" in page
    assert cited["authors"][0]["name"] in page
    arxiv = [one["identifiers"][0]["value"] for one in cited["references"]]
    assert [one for one in arxiv if f"https://arxiv.org/abs/{one.removeprefix('arXiv:')}" not in page] == []
