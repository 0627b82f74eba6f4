"""Write what the tables' columns mean, for people and for programs, and which laws there are: `make dictionary`.

book/data-dictionary.md is made from the records alone. results/croissant.json (Croissant 1.0, JSON-LD) describes the
Parquet files that are there, with their SHA-256, and has to be written again when one of them is. Of book/commands.md
the list of laws is written, between two comments; the rest is written by hand.
"""

import hashlib
import json
import re
import types
import typing
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from helpers.analyse.laws.names import ELSEWHERE, LAW_NAMES, law_words
from helpers.analyse.laws.variables import OWN_VARIABLES
from helpers.table.checkpoint_rows import CheckpointRow
from helpers.table.dictionary import Column, columns
from helpers.table.files import KEY
from helpers.table.rows import Measurement
from helpers.table.trial_rows import TrialRow

ROOT = Path(__file__).resolve().parents[1]
PAGE, CARD, COMMANDS = Path("book/data-dictionary.md"), Path("results/croissant.json"), Path("book/commands.md")
TABLES = {
    "measurements": (
        Measurement,
        "One row a measurement: a checkpoint, how it was rounded, and on which text it was scored.",
    ),
    "checkpoints": (CheckpointRow, "One row a checkpoint: what doesn't depend on how it is rounded."),
    "trials": (TrialRow, "One row an assignment of matrices to low or high precision that a search scored."),
}
# What the rows' families are: what a family trains, and what sets it apart.
FAMILIES = {
    "tadpole-trunk": "One run of each of nine sizes, 0.15M to 37.8M, at one constant learning rate; with cooldowns and "
    "averages of weights.",
    "tadpole-mixed": "Second runs of eight of the trunk's sizes (not of 1.0M): same seed, batches and rate, so that "
    "the GPU's order of additions alone sets them apart; with one cooldown each. They were scored on less text: the "
    "first 256 of the 512 blocks that the study's other families were scored on. The largest ends at 488M tokens.",
    "tadpole-ninth": "The trunk's largest size, the ninth (37.8M), from another seed, which gives another start and "
    "order of text; to 488M tokens.",
    "tadpole-ninth-rate": "The largest size with the trunk's seed and batches at half its rate; to 488M tokens.",
    "tadpole-seeds": "Two of the trunk's sizes from other seeds.",
    "tadpole-rates": "Three of the trunk's sizes at half and at twice its learning rate.",
    "tadpole-decay": "One of the trunk's sizes with no weight decay and with three times the trunk's.",
    "tadpole-cosine": "Three of the trunk's sizes with a cosine to a tenth of the rate.",
    "tadpole-depth": "Shallower and deeper models at two of the trunk's sizes.",
}
INTRODUCTION = """# Data dictionary

Every column of the tables in `results/`. A role says what a column is for: a *key* makes a row what it is, *covariates*
describe the weights, how they were rounded and on which text, *outcomes* are what was found, *diagnostics* say what
happened on the way, *provenance* says when, where and with what. QiD isn't stored: it is the difference of two rows'
`loss_nats`. `results/outside.parquet`, of a model that others trained, `results/noise.parquet`, of Gaussian noise in
the place of rounding, `results/inputs.parquet`, of inputs and weights rounded alone and together, and
`results/unique.parquet`, of runs on a part of the trunk's text, have the columns of the measurements, and
`results/unique-checkpoints.parquet` those of the checkpoints. This page is made from the program's
own records; `results/croissant.json` says the same to programs.
"""
LAWS_BEGIN, LAWS_END = "<!-- laws: written by make dictionary -->\n", "<!-- end of laws -->\n"
FAMILY_SET = {
    "@type": "cr:RecordSet",
    "@id": "families",
    "name": "families",
    "description": "One row a value of the tables' column `family`: what was trained.",
    "key": {"@id": "families/family"},
    "field": [
        {"@type": "cr:Field", "@id": f"families/{name}", "name": name, "description": words, "dataType": "sc:Text"}
        for name, words in (("family", "name of the family"), ("meaning", "what it is and what sets it apart"))
    ],
    "data": [{"families/family": name, "families/meaning": words} for name, words in FAMILIES.items()],
}
MARKUP = re.compile(r"([\\`*_{}\[\]<>|$~])")  # what Markdown or MyST would read as more than a letter
# Croissant's context, of its terms those that the card uses.
TERMS = ["column", "extract", "field", "fileObject", "key", "recordSet", "repeated", "source"]
CONTEXT = (
    {"@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/"}
    | {"cr": "http://mlcommons.org/croissant/", "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo"}
    | {term: f"cr:{term}" for term in TERMS}
    | {"dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "data": {"@id": "cr:data", "@type": "@json"}}
)
DATA_TYPES = {str: "sc:Text", int: "sc:Integer", float: "sc:Float", bool: "sc:Boolean"}


def captioned(name: str, caption: str, lines: list[str]) -> str:
    """Return a table's lines in Markdown with its name and caption."""
    return "\n".join([f":::{{table}} {caption}", f":name: {name}", "", *lines, ":::"]) + "\n"


def page() -> str:
    """Return the data dictionary in Markdown."""
    parts = [INTRODUCTION]
    for name, (record, sentence) in TABLES.items():
        rows = [
            f"| `{column.name}` | {column.type_name} | {column.role} | {column.meaning.replace('|', chr(92) + '|')} |"
            for column in columns(record)
        ]
        lines = ["| column | type | role | meaning |", "|---|---|---|---|", *rows]
        table = captioned(f"tab-columns-{name}", f"Columns of {name}", lines)
        parts.append("\n".join([f"## {name.capitalize()}", "", sentence, "", table]))
    head = ["## Families", "", "What the column `family` may say in the project's own tables.", ""]
    lines = ["| family | what it is |", "|---|---|", *(f"| `{name}` | {words} |" for name, words in FAMILIES.items())]
    parts.append("\n".join([*head, captioned("tab-families", "Families of models in these tables", lines)]))
    return "\n".join(parts)


def card(results: Path) -> dict:
    """Return the Croissant card of the Parquet files in the folder `results`, columns as each file has them."""
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    there = {name: results / f"{name}.parquet" for name in TABLES if (results / f"{name}.parquet").exists()}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": about["title"],
        "description": about["abstract"],
        "license": f"https://spdx.org/licenses/{about['license']}.html",
        "creator": {"@type": "sc:Organization", "name": about["authors"][0]["name"]},
        "version": about["version"],
        "distribution": [_file(path) for path in there.values()],
        "recordSet": [*(_record_set(name, path) for name, path in there.items()), FAMILY_SET],
    }


def _file(path: Path) -> dict:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": path.name,
        "encodingFormat": "application/x-parquet",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _record_set(name: str, path: Path) -> dict:
    record, sentence = TABLES[name]
    key = [{"@id": f"{name}/{column}"} for column in KEY[record]]
    in_file = pq.read_schema(path).names
    fields = [_field(name, path.name, column) for column in columns(record) if column.name in in_file]
    common = {"@type": "cr:RecordSet", "@id": name, "name": name, "description": sentence}
    return common | {"key": key[0] if len(key) == 1 else key, "field": fields}


def _field(table: str, file: str, column: Column) -> dict:
    annotation = column.annotation
    if isinstance(annotation, types.UnionType):
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    repeated = typing.get_origin(annotation) is tuple
    found = {
        "@type": "cr:Field",
        "@id": f"{table}/{column.name}",
        "name": column.name,
        "description": f"{column.meaning} ({column.role})",
        "dataType": DATA_TYPES[typing.get_args(annotation)[0] if repeated else annotation],
        "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
    }
    return found | ({"repeated": True} if repeated else {})


def card_text(results: Path) -> str:
    """Return the card as it is written."""
    return json.dumps(card(results), indent=1, ensure_ascii=False) + "\n"


def laws() -> str:
    """Return the list of laws in Markdown: name, kind, what each says, and the variables it needs beside D, N and P."""
    lines = ["| name | constants | what it says | beside $D$, $N$, $P$ |", "|---|---|---|---|"]
    for name in (*LAW_NAMES, *ELSEWHERE):
        words = law_words(name)
        more = ", ".join(said for variable, said in words["needs"].items() if variable not in OWN_VARIABLES)
        says = MARKUP.sub(r"\\\1", words["says"])
        lines.append(f"| `{name}` | {words['kind']} | {says} | {more} |")
    return captioned("tab-laws-by-name", "Laws by name", lines)


def with_laws(text: str) -> str:
    """Return the text of the page on commands with the list of laws between its two comments.

    Raises ValueError where the page hasn't each of them once, in this order.
    """
    before, begin, rest = text.partition(LAWS_BEGIN)
    _, end, after = rest.partition(LAWS_END)
    if not (begin and end) or LAWS_BEGIN in rest or LAWS_END in before + after:
        raise ValueError(f"{COMMANDS}: the comments around the list of laws have to be there once, in order")
    return f"{before}{begin}\n{laws()}\n{end}{after}"


def main() -> None:
    """Write the pages and the card."""
    (ROOT / PAGE).write_text(page())
    (ROOT / CARD).write_text(card_text(ROOT / "results"))
    (ROOT / COMMANDS).write_text(with_laws((ROOT / COMMANDS).read_text()))


if __name__ == "__main__":
    main()
