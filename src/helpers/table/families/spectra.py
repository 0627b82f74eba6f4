"""Spectra (Kaushal et al. 2024, arXiv 2407.12327): FloatLM, and TriLM of the same shapes trained with ternary weights.

Source: README.md of NolanoOrg/SpectraSuite: widths, layers, heads, numbers of parameters, 300 billion tokens, licence,
repositories; Llama's blocks. Embedding and head are apart, of 50,304 rows, as those who convert TriLM-99M and 560M to
other formats report of their configurations; the numbers of parameters printed agree (a test).

Unknown, and None: batch and number of updates, rates and their schedule, weight decay. Of the 500 checkpoints between,
which the paper announces, no source names a revision. TriLM's repositories hold the ternary weights as 16-bit numbers:
to round them to few bits says something else than for FloatLM.
"""

import dataclasses

from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families.hub import HubFamily
from helpers.table.families.shapes import llama

TOKENS = 300_000_000_000
# Name, width, width of the MLP, heads, layers
SHAPES = (
    ("99M", 512, 1280, 8, 16),
    ("190M", 768, 2048, 12, 16),
    ("390M", 1024, 2560, 16, 24),
    ("560M", 1280, 3072, 20, 24),
    ("830M", 1536, 4096, 24, 24),
    ("1.1B", 1792, 5120, 28, 24),
    ("1.5B", 2048, 6144, 32, 24),
    ("2.4B", 2304, 7680, 36, 30),
    ("3.9B", 3072, 9216, 24, 30),
)


class Ends(HubFamily[llama.LlamaRun]):
    """A family of which the ends of the runs are published: a run's one step is its end, whose number nobody says."""

    def checkpoint(self, run: llama.LlamaRun, step: int) -> CheckpointSpec:
        """Describe the end of a run."""
        return dataclasses.replace(super().checkpoint(run, step), step=None)


def _family(kind: str, ending: str) -> Ends:
    runs = tuple(
        llama.LlamaRun(
            model=f"{kind}_{size}",
            repository=f"SpectraSuite/{kind}_{size}{ending}",
            n_layers=n_layers,
            d_model=d_model,
            d_mlp=d_mlp,
            n_heads=n_heads,
            n_key_value_heads=n_heads,
            vocabulary_size=50_304,
            tied=False,
            steps=(1,),
            tokens_per_step=TOKENS,
            planned_tokens=TOKENS,
            peak_learning_rate=None,
            weight_decay=None,
            schedule=None,
        )
        for size, d_model, d_mlp, n_heads, n_layers in SHAPES
    )
    return Ends(
        kind.lower(),
        runs,
        n_params_total=lambda run: llama.llama_n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=llama.llama_n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=lambda run, step: None,
        lr_phase=lambda run, step: None,
        revision=lambda run, step: "main",
        licence="Apache-2.0",
        source="https://github.com/NolanoOrg/SpectraSuite",
    )


FAMILIES = (_family("FloatLM", ""), _family("TriLM", "_Unpacked"))
