"""Public texts by name: files of the Hub's data sets that papers score and calibrate on, each of one commit.

The QiD paper (arXiv 2411.17691) scores on RefinedWeb and on WikiText-2 and, by the names of its models, calibrates on
WikiText-2; others calibrate on C4, as GPTQ does. Commits are those that public code pins. No text is scored on in the
split that it is calibrated on in.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from helpers.measure.text.hub_texts import SCHEME, HubText, hub_text

WIKITEXT = "Salesforce/wikitext"
WIKITEXT_COMMIT = "b08601e04326c79dfdd32d625aee71d232d685c3"
C4, C4_COMMIT = "allenai/c4", "607bd4c8450a42878aa9ddc051a65a055450ef87"
HEADING = " = "  # of an article in WikiText; a section's has two or more on each side


@dataclass(frozen=True)
class PublicText:
    """A text of the Hub, the split it is of, and the licence of the data set."""

    text: HubText
    split: str
    licence: str


def _wikitext(split: str) -> PublicText:
    file = f"wikitext-2-raw-v1/{split}-00000-of-00001.parquet"
    return PublicText(HubText(WIKITEXT, WIKITEXT_COMMIT, file, "text"), split, "CC-BY-SA-3.0 and GFDL")


def _c4(split: str, shard: str) -> PublicText:
    return PublicText(HubText(C4, C4_COMMIT, f"en/c4-{split}.{shard}.json.gz", "text"), split, "ODC-By-1.0")


TEXTS = {
    "refinedweb": PublicText(
        HubText(
            "tiiuae/falcon-refinedweb",
            "c735840575b629292b41da8dde11dcd523d4f91c",
            "data/train-00000-of-05534-b8fc5348cbe605a5.parquet",
            "content",
        ),
        "train",  # it has no other
        "ODC-By-1.0",
    ),
    "wikitext2": _wikitext("test"),
    "c4": _c4("validation", "00000-of-00008"),
}
CALIBRATIONS = {"wikitext2": _wikitext("train"), "c4": _c4("train", "00000-of-01024")}


def is_of_the_hub(place: str, named: Mapping[str, PublicText]) -> bool:
    """Tell whether a place is one of `named`, by its name, or an address on the Hub."""
    return place in named or place.startswith(SCHEME)


def of_the_hub(place: str, named: Mapping[str, PublicText]) -> HubText:
    """Return the text of `named` that is called so, else the one at an address. Raises SpecError as `hub_text` does."""
    return named[place].text if place in named else hub_text(place)


def documents_of(text: HubText, rows: Iterable[str]) -> Iterable[str]:
    """Return a text's rows as documents: of WikiText, whose rows are lines, whole articles."""
    return _articles(rows) if text.repository == WIKITEXT else rows


def _articles(lines: Iterable[str]) -> Iterator[str]:
    article: list[str] = []
    for line in lines:
        if _is_title(line) and article:
            yield "".join(article)
            article = []
        article.append(line)
    yield "".join(article)


def _is_title(line: str) -> bool:
    words = line.rstrip("\n")
    return words.startswith(HEADING) and words.endswith(HEADING) and not words.startswith(f"{HEADING}=")
