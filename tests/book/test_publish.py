"""What a published page has beside its text: previews, downloads, places to run it."""

import re
from pathlib import Path
from types import SimpleNamespace

import publish
import pytest
import yaml
from docutils import nodes
from docutils.utils import new_document

WORKFLOW = yaml.safe_load((publish.ROOT / ".github/workflows/pages.yml").read_text(encoding="utf-8"))
GITHUB, OTHER = "https://github.com/owner/book", "https://example.org/owner/book"


def configured(repository="", html_baseurl=""):
    return SimpleNamespace(repository=repository, html_baseurl=html_baseurl, html_title="The book")


def app_of(config, images=None, outdir="", kind="html"):
    env = SimpleNamespace(titles={"executed/04-a": nodes.title("", "It grows")}, images=images or {})
    return SimpleNamespace(config=config, env=env, outdir=outdir, builder=SimpleNamespace(format=kind))


def page(*images):
    document = new_document("page")
    document += nodes.paragraph("", "What it says.")
    document.extend(nodes.image("", uri=uri) for uri in images)
    return document


def metas(document):
    return {meta["property"]: meta["content"] for meta in document.findall(nodes.meta)}


def test_a_preview_has_a_title_and_a_description_and_addresses_only_where_the_pages_have_one():
    document = page()
    publish.add_preview(app_of(configured()), document, "executed/04-a")
    said = metas(document)
    assert (said["og:title"], said["og:description"], said["og:site_name"]) == ("It grows", "What it says.", "The book")
    assert not {"og:url", "og:image"} & set(said)


@pytest.mark.parametrize(
    ("uris", "picture"),
    [
        ([], "_static/loss-after-rounding.png"),
        (["b.svg", "c.png"], "_images/c2.png"),
        (["b.svg"], "_static/loss-after-rounding.png"),
    ],
)
def test_the_preview_shows_a_page_s_first_picture_that_previews_can_show(uris, picture):
    document = page(*uris)
    images = {"b.svg": ({"x"}, "b.svg"), "c.png": ({"x"}, "c2.png")}
    publish.add_preview(app_of(configured(html_baseurl="https://example.org/b/"), images), document, "executed/04-a")
    assert metas(document)["og:image"] == f"https://example.org/b/{picture}"
    assert metas(document)["og:url"] == "https://example.org/b/executed/04-a.html"
    assert (Path(publish.ROOT) / "book/_static/loss-after-rounding.png").is_file()


def test_the_settings_win_over_the_environment_and_the_environment_over_nothing(monkeypatch):
    monkeypatch.setenv("BOOK_REPOSITORY", f"{OTHER}/")
    monkeypatch.setenv("BOOK_ADDRESS", "https://pages.example.org/book")
    empty, full = configured(), configured(GITHUB, "https://example.org/")
    for config in (empty, full):
        publish.take_settings(None, config)
    assert (empty.repository, empty.html_baseurl) == (OTHER, "https://pages.example.org/book/")
    assert (full.repository, full.html_baseurl) == (GITHUB, "https://example.org/")


def test_places_to_run_a_chapter(tmp_path):
    assert publish.places_to_run("", "04-a") == {}
    assert publish.places_to_run(GITHUB, "04-a") == {
        "Binder": "https://mybinder.org/v2/gh/owner/book/main?urlpath=lab/tree/chapters/04-a.ipynb"
    }
    other = publish.places_to_run(OTHER, "04-a")["Binder"]
    assert other.startswith("https://mybinder.org/v2/git/https%3A%2F%2Fexample.org%2Fowner%2Fbook/main?")
    (lesson,) = publish.ALONE
    assert (publish.ROOT / f"chapters/{lesson}.ipynb").is_file()
    notebook = tmp_path / f"chapters/{lesson}.ipynb"
    notebook.parent.mkdir()
    for repository, named, places in ((GITHUB, GITHUB, 2), (GITHUB, "", 1), (OTHER, OTHER, 1)):
        notebook.write_text(f'source = "{named}"')
        found = publish.places_to_run(repository, lesson, tmp_path)
        assert len(found) == places, "Colab opens GitHub's notebooks, which must say what they clone"
    notebook.write_text(f'source = "{GITHUB}"')
    colab = publish.places_to_run(GITHUB, lesson, tmp_path)["Colab"]
    assert colab == f"https://colab.research.google.com/github/owner/book/blob/main/chapters/{lesson}.ipynb"


@pytest.mark.parametrize(
    ("repository", "groups"), [("", ["download-buttons"]), (GITHUB, ["launch-buttons", "download-buttons"])]
)
def test_a_chapter_s_bar_offers_its_program_and_places_where_there_is_a_repository(repository, groups):
    context = {
        "header_buttons": [{"label": "download-buttons", "buttons": [{"text": ".ipynb"}, {"text": ".pdf"}]}],
        "pathto": lambda name, _: f"../{name}",
    }
    publish.add_buttons(app_of(configured(repository)), "executed/04-a", "page.html", context, None)
    assert [group["label"] for group in context["header_buttons"]] == groups
    files = {one["text"]: one.get("url") for one in context["header_buttons"][-1]["buttons"]}
    assert list(files) == [".ipynb", ".py", ".pdf"]
    assert files[".py"] == "../_sources/executed/04-a.py"


def test_other_pages_keep_their_bar():
    context = {"header_buttons": []}
    publish.add_buttons(app_of(configured(GITHUB)), "glossary", "page.html", context, None)
    assert context == {"header_buttons": []}


def test_notebooks_are_offered_without_outputs_and_as_programs(tmp_path):
    copied = tmp_path / "_sources/executed/01-the-question.ipynb"
    copied.parent.mkdir(parents=True)
    copied.write_text("with outputs")
    publish.offer_sources(app_of(configured(), outdir=tmp_path), ValueError("the build failed"))
    assert copied.read_text() == "with outputs"
    publish.offer_sources(app_of(configured(), outdir=tmp_path), None)
    for kind in (".ipynb", ".py"):
        chapter = publish.ROOT / f"chapters/01-the-question{kind}"
        assert copied.with_suffix(kind).read_bytes() == chapter.read_bytes()


def steps(job: str) -> list[dict]:
    return WORKFLOW["jobs"][job]["steps"]


def test_the_workflow_pins_its_actions_by_commit_and_runs_targets_that_there_are():
    used = [step["uses"] for job in WORKFLOW["jobs"] for step in steps(job) if "uses" in step]
    assert [one for one in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", one)] == []
    targets = re.findall(r"make (\w+)", "\n".join(step.get("run", "") for step in steps("build")))
    assert targets == ["book", "check", "pdf"], "checked before it is published"
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (publish.ROOT / "Makefile").read_text(), re.M)
    assert set(targets) <= set(phony.split())
    assert {"BOOK_REPOSITORY", "BOOK_ADDRESS"} == set(WORKFLOW["jobs"]["build"]["env"])


def test_a_pull_request_is_previewed_and_never_published_and_only_publishing_may_write():
    (preview,) = [step for step in steps("build") if "upload-artifact@" in step.get("uses", "")]
    assert "if" not in preview
    published = [step for step in steps("build") if "upload-pages-artifact@" in step.get("uses", "")]
    assert (
        [step["if"] for step in published]
        == ["github.event_name != 'pull_request'"]
        == [WORKFLOW["jobs"]["deploy"]["if"]]
    )
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in WORKFLOW["jobs"]["build"]
    assert WORKFLOW["jobs"]["deploy"]["needs"] == "build"
