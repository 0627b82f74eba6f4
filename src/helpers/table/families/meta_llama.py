"""Llama-2-7B and Llama-3-8B (Meta 2023, 2024): two models of nearly one size, 2 and 15 trillion training tokens.

Sources: MODEL_CARD.md of meta-llama/llama (2.0T tokens, rate, attention without groups) and of meta-llama/llama3 (more
than 15T tokens, which count as 15T here; grouped queries). Blocks and widths are those of the repositories'
configurations; their numbers of parameters agree with what is printed of the models (a test).

Unknown here, and None: numbers of updates, the schedule, weight decay, Llama 3's rate. The end of a run is all there
is. Both repositories ask for a licence to be accepted before a file can be had.
"""

from helpers.table.families.shapes import llama
from helpers.table.families.spectra import Ends


def _family(
    name: str,
    model: str,
    repository: str,
    d_mlp: int,
    n_key_value_heads: int,
    rows: int,
    tokens: int,
    rate: float | None,
) -> Ends:
    run = llama.LlamaRun(
        model=model,
        repository=repository,
        n_layers=32,
        d_model=4096,
        d_mlp=d_mlp,
        n_heads=32,
        n_key_value_heads=n_key_value_heads,
        vocabulary_size=rows,
        tied=False,
        steps=(1,),
        tokens_per_step=tokens,
        planned_tokens=tokens,
        peak_learning_rate=rate,
        weight_decay=None,
        schedule=None,
    )
    return Ends(
        name,
        (run,),
        n_params_total=lambda run: llama.llama_n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=llama.llama_n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=lambda run, step: None,
        lr_phase=lambda run, step: None,
        revision=lambda run, step: "main",
        licence=f"{name.replace('-', ' ').capitalize()} Community License",
        source=f"https://huggingface.co/{repository}",
    )


FAMILIES = (
    _family("llama-2", "Llama-2-7B", "meta-llama/Llama-2-7b-hf", 11_008, 32, 32_000, 2_000_000_000_000, 3e-4),
    _family("llama-3", "Llama-3-8B", "meta-llama/Meta-Llama-3-8B", 14_336, 8, 128_256, 15_000_000_000_000, None),
)
