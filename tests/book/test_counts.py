"""Counts in sentences: all, none and one in words with their total, everything else as it was glued."""

import counts
import pytest
from docutils import nodes
from docutils.utils import new_document


def said(*parts: int | str) -> str:
    """Return a paragraph of text and glued numbers after the extension has been there."""
    document = new_document("page")
    paragraph = nodes.paragraph()
    for part in parts:
        inner = nodes.Text(str(part))
        paragraph += inner if isinstance(part, str) else nodes.inline("", "", inner, classes=["pasted-text"])
    document += paragraph
    counts.write_counts(None, document, "page")
    return paragraph.astext()


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (("At 2 bits ", 9, " of ", 9, " sizes get worse."), "At 2 bits all nine sizes get worse."),
        (("It rises in ", 27, " of", "\n", 27, " series."), "It rises in all\n27 series."),
        ((9, " of ", 9, " rise. ", 12, " of its ", 12, " cells"), "All nine rise. All its twelve cells"),
        (("and ", 0, " of ", 6, " hold"), "and none of six hold"),
        (("prints ", 1, " of its ", 48, " cells"), "prints one of its 48 cells"),
        (("Where both are: ", 0, " are in both."), "Where both are: none are in both."),
    ],
)
def test_all_none_and_one_are_words(parts, sentence):
    assert said(*parts) == sentence


@pytest.mark.parametrize(
    "parts",
    [
        ("in ", 4, " of ", 9, " sizes"),
        ("over ", 9, " sizes"),
        ("at ", 0, " bits"),
        ("of ", 1, " of ", 1, " run"),
        ("a loss of 0 of 6, typed"),
        ("and ", 9, " or ", 9, " of them"),
    ],
)
def test_other_counts_stay_as_they_were_glued(parts):
    assert said(*parts) == "".join(map(str, parts))
