"""The model card of a packed checkpoint, README.md in the Hub's form: what it is, was measured, and how it was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from helpers.table.families.catalogue import HUB_FAMILIES
from helpers.table.words import visible

NAME = "README.md"


@dataclass(frozen=True)
class Base:
    """The 16-bit original on the Hub; None for what isn't known of it. `licence` is an SPDX name."""

    repository: str | None = None
    revision: str | None = None
    licence: str | None = None


def base_of(repository: str | None, revision: str | None) -> Base:
    """Return the original of that name with its licence, where the catalogue of families knows it."""
    for family in HUB_FAMILIES.values():
        if any(family.repository(run, step) == repository for run in family.runs for step in run.steps):
            return Base(repository, revision, family.licence)
    return Base(repository, revision)


def card(
    repository: str, base: Base, quantization: Mapping[str, Any], made: Mapping[str, Any], qid: Sequence[dict[str, Any]]
) -> str:
    """Return the card of a packed checkpoint that will lie in `repository`.

    `quantization` is what its config.json says, `made` its provenance (empty where none lies beside it), `qid` what was
    measured of exactly these weights under exactly this scheme.
    """
    parts = [_front(base, quantization), f"# {repository.partition('/')[2]}", _what(base, quantization, made)]
    parts += [_measured(qid), _use(repository), "## How it was made", _made(made)]
    return "\n\n".join(parts) + "\n"


def method_of(quantization: Mapping[str, Any]) -> str:
    """Return the way of rounding that a packed checkpoint's configuration names."""
    return str((quantization.get("meta") or {}).get("method", "gptq"))


def _front(base: Base, quantization: Mapping[str, Any]) -> str:
    """Return the header that the Hub reads: https://huggingface.co/docs/hub/model-cards."""
    known = {"license": base.licence.lower()} if base.licence else {}
    known |= {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if base.repository is not None:
        known |= {"base_model": base.repository, "base_model_relation": "quantized"}
    tags = dict.fromkeys([method_of(quantization), "gptq", f"{quantization['bits']}-bit", "quantized", "qid"])
    return "---\n" + yaml.safe_dump({**known, "tags": [*tags]}, sort_keys=False) + "---"


def _what(base: Base, quantization: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    revision = f" at {_code(base.revision)}" if base.revision else ""
    original = f"{_code(base.repository)}{revision}" if base.repository else "A model that its maker didn't name here"
    group = quantization.get("group_size", -1)
    shared = "the row" if group == -1 else f"{group} neighbouring weights of a row"
    grid = "scale" if quantization.get("sym") else "scale and zero point"
    bits = made.get("effective_bits")
    counted = "" if bits is None else f": {bits:.3f} bits a rounded weight with them"
    licence = base.licence or "not known to the program that wrote this card"
    return (
        f"{original}, its decoder blocks rounded by {_code(method_of(quantization))} to {quantization['bits']} bits"
        f" with one {grid} for {shared}{counted}. {_kept(quantization)} Licence of the original: {licence}."
    )


def _kept(quantization: Mapping[str, Any]) -> str:
    kept = sorted(name.removeprefix("-:^").removesuffix("$") for name in quantization.get("dynamic") or {})
    others = "Embeddings, norms, biases and the output head are as they were."
    return f"{others} So are {', '.join(_code(name) for name in kept)} (expressions)." if kept else others


def _measured(qid: Sequence[dict[str, Any]]) -> str:
    if not qid:
        return "QiD under exactly this scheme hasn't been measured."
    lines = [
        f"| {_code(row['eval_dataset'])} | {row['qid_nats']:+.4f} ± {row['paired_error_nats']:.4f}"
        f" | {row['loss_nats']:.4f} | {row['n_tokens']:,} | {row['device_type']} |"
        for row in qid
    ]
    head = "| text | QiD ± paired error | loss | tokens | device |\n|---|---|---|---|---|"
    words = "QiD, the loss that rounding adds, in nats a token; ± is one standard error, paired by document:"
    return f"{words}\n\n{head}\n" + "\n".join(lines)


def _use(repository: str) -> str:
    return f'With GPTQModel installed: `AutoModelForCausalLM.from_pretrained("{repository}")`.'


def _made(made: Mapping[str, Any]) -> str:
    if not made:
        return "Nothing beside the files says by which program, version and text they were made."
    versions, said = made.get("versions") or {}, made.get("git_commit")
    commit = "" if said is None else f", commit {_code(said)}"
    return (
        f"Version {versions.get('qid-book', 'unknown')} of The QiD Book's `qid`{commit}. SHA-256 of the 16-bit weights:"
        f" {_code(made['weights_sha256'])}; of the calibration text: {_code(made.get('calib_sha256') or 'none')}."
        " `provenance.json` has the scheme, the hashes and the versions of the libraries."
    )


def _code(text: object) -> str:
    """Return words of others as they are, for Markdown in a line."""
    return "`" + visible(str(text)).replace("`", "'").replace("|", "\\|") + "`"
