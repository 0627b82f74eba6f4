"""The pocket family as packed checkpoints with model cards: `qid release` (`make release`).

Each model's last step is rounded by GPTQ to 2, 3 and 4 bits and written beside a README.md (a card as the Hub reads it)
and a provenance.json. QiD comes from the tracked table, where it has the same weights and the same scheme.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from helpers.measure.packing import export
from helpers.measure.packing.provenance import NAME, made_of
from helpers.measure.packing.provenance import measured as given_rows
from helpers.measure.rounding import one_checkpoint
from helpers.measure.rounding.rounded import Rounded
from helpers.table import disk, files
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families import catalogue
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

FAMILY = Path("data/tadpole")
TABLE = Path("results/measurements.parquet")
BITS = (2, 3, 4)
GROUP_SIZE = 32

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
base_model: {model}
base_model_relation: quantized
tags:
  - gptq
  - {bits}-bit
  - quantized
  - qid
---

# {title}

`{model}` after {tokens_seen:,} tokens of Python source text ({n_params:,} parameters), its decoder blocks rounded by
GPTQ to {bits} bits with one scale and zero point for {group_size} weights: {effective_bits:.3f} bits a rounded weight.
Embeddings, norms, biases and the output head stay in bfloat16. The model is far too small to be of use; it shows what
rounding costs.

{measured}

Load it with GPTQModel installed: `AutoModelForCausalLM.from_pretrained(folder)`. `provenance.json` says what it was
made of. It belongs to The QiD Book, version {version}.
"""


def measured(spec: CheckpointSpec, scheme: QuantScheme, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return QiD of a checkpoint under a scheme for every evaluation in `rows`: nats per token, with paired error."""
    return given_rows(given(spec.weights_sha256), scheme.scheme_id, rows)


def card(spec: CheckpointSpec, scheme: QuantScheme, rounded: Rounded, qid: list[dict[str, Any]]) -> str:
    """Return the model card: front matter and text."""
    lines = [
        f"QiD {row['qid_nats']:.4f} ± {row['paired_error_nats']:.4f} nats a token (loss {row['loss_nats']:.4f};"
        f" {row['n_tokens']:,} held-out tokens, {row['device_type']})."
        for row in qid
    ]
    return CARD.format(
        title=f"{spec.model}, step {spec.step}, {scheme.label}",
        model=spec.model,
        tokens_seen=spec.tokens_seen,
        n_params=spec.n_params_total,
        bits=scheme.bits,
        group_size=scheme.group_size,
        effective_bits=rounded.diagnostics.effective_bits,
        measured="\n".join(lines) or "QiD under exactly this scheme hasn't been measured.",
        version=version("qid-book"),
    )


def provenance(
    spec: CheckpointSpec, scheme: QuantScheme, rounded: Rounded, qid: list[dict[str, Any]], packed: Path
) -> dict[str, Any]:
    """Return the provenance of a packed file: what it was made of, by hash and version."""
    return {
        "checkpoint": spec.label,
        **made_of(given(spec.weights_sha256), scheme, rounded, packed),
        "measured": qid,
    }


def release(spec: CheckpointSpec, bits: int, rows: list[dict[str, Any]], out: Path) -> None:
    """Round one checkpoint and write it with its card and provenance into the new folder `out`."""
    folder, wanted = Path(spec.location), one_checkpoint.gptq_scheme(bits, GROUP_SIZE, symmetric=False)
    rounded, scheme = export.export_rounded(folder, wanted, out)
    qid = measured(spec, scheme, rows)
    made = provenance(spec, scheme, rounded, qid, out / "model.safetensors")
    (out / NAME).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    (out / "README.md").write_text(card(spec, scheme, rounded, qid), encoding="utf-8")


def release_family(out: Path, console: Console) -> None:
    """Write the whole pocket family into `out`, or leave what was there."""
    last: dict[str, CheckpointSpec] = {}
    for spec in catalogue.checkpoints(str(FAMILY), None, None, str(FAMILY)):
        last[spec.model] = max(spec, last.get(spec.model, spec), key=lambda each: given(each.step))
    rows = files.read_table(TABLE).to_pylist()
    disk.refuse_unwritable(out)
    with disk.exclusive(out, doing="writing"), disk.replacing_folder(out) as unfinished:
        for spec in last.values():
            for bits in BITS:
                name = f"{spec.model}-step-{spec.step:06d}-gptq-{bits}bit-g{GROUP_SIZE}"
                release(spec, bits, rows, unfinished / name)
                console.print(f"{out / name}")
