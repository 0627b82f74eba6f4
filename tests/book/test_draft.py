"""Drafts of single pages: what takes part, what is left out and said."""

import pytest

import draft

TOC = {
    "format": "jb-book",
    "root": "index",
    "parts": [
        {"caption": "Learn", "numbered": True, "chapters": [{"file": "executed/01-a"}, {"file": "executed/02-b"}]},
        {"caption": "Law", "chapters": [{"file": "executed/05-c"}]},
        {"caption": "Look up", "chapters": [{"file": "glossary"}]},
    ],
}


@pytest.fixture
def book(tmp_path):
    (tmp_path / "executed").mkdir()
    for name in ("executed/02-b.ipynb", "glossary.md"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_chapters_that_were_never_executed_are_left_out_and_named_and_so_is_a_part_without_any(book):
    toc, missing = draft.present(TOC, book)
    assert missing == ["executed/01-a", "executed/05-c"]
    assert [(part["caption"], part["chapters"]) for part in toc["parts"]] == [
        ("Learn", [{"file": "executed/02-b"}]),
        ("Look up", [{"file": "glossary"}]),
    ]
    assert (toc["root"], toc["parts"][0]["numbered"]) == ("index", True)
    assert len(TOC["parts"]) == 3, "what was given stays as it was"


def test_an_executed_chapter_is_the_source_of_its_page(book):
    assert draft.source("executed/02-b", book) == book / "executed/02-b.ipynb"
    assert draft.source("glossary", book) == book / "glossary.md"
    assert draft.source("executed/01-a", book) is None


def test_warnings_about_the_pages_asked_for_are_said_and_others_are_not():
    said = "\n\x1b[31m/x/executed/04-a.ipynb:10: WARNING: no key\x1b[39;49;00m\n/x/glossary.md:3: WARNING: other\n"
    assert draft.warnings_about(said, ["executed/04-a"]) == ["/x/executed/04-a.ipynb:10: WARNING: no key"]
    assert len(draft.warnings_about(said, [])) == 2


def test_a_page_without_a_source_is_one_line_that_says_what_is_accepted(capsys):
    with pytest.raises(SystemExit, match=r"^executed/00-none: no such page; accepted: a name of book/_toc.yml whose"):
        draft.render(["executed/00-none"])


@pytest.mark.parametrize(("status", "said"), [(0, "draft: .cache/draft/html/glossary.html\n"), (1, "")])
def test_a_draft_s_address_is_said_once_it_is_written_and_warnings_in_any_case(monkeypatch, capsys, status, said):
    monkeypatch.setattr(draft, "render", lambda names: (status, ["glossary.md: WARNING: no key"]))
    assert draft.main(["glossary"]) == status
    out, error = capsys.readouterr()
    assert (out, error) == (said, "glossary.md: WARNING: no key\n")
