"""The quantization card: the findings in the Hub's form of a model card, to be put beside quantized weights."""

from collections.abc import Sequence

from huggingface_hub import ModelCard, ModelCardData

from helpers.analyse.judgement.one_model import Finding
from helpers.show.markdown import code, plain
from helpers.show.report_cells import cells, headings
from helpers.show.report_subject import Subject


def card(found: Sequence[Finding], subject: Subject, base_model: str | None) -> str:
    """Return the card's Markdown with its metadata; `base_model` is the Hub repository, None for a folder."""
    methods = sorted({each.method for each in found})
    bits = sorted({f"{each.bits}-bit" for each in found})
    data = ModelCardData(
        base_model=base_model,
        base_model_relation=None if base_model is None else "quantized",
        tags=["quantized", "qid", *methods, *bits],
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_body(found, subject)}"))


def _body(found: Sequence[Finding], subject: Subject) -> str:
    lines = [f"# What rounding does to {plain(subject.name)}", ""]
    lines += [_row(headings(found)), _row(["---"] * len(headings(found)), escaped=False), *map(_row, cells(found)), ""]
    lines += [f"{plain(note)}.  " for note in subject.notes]
    lines += ["", *(f"- {plain(name)}: {code(value)}" for name, value in subject.facts), ""]
    return "\n".join(lines)


def _row(texts: Sequence[str], escaped: bool = True) -> str:
    return f"| {' | '.join(map(plain, texts) if escaped else texts)} |"
