"""Models of the day that the calculator can start from: size, training tokens, and where these were printed.

Read for this file: the model cards of LLaMA (width, layers, tokens), of Llama 2 and of Llama 3 (tokens) in Meta's
repositories, and Llama 3's `params.json`, whose 14336 is 1.3 times two thirds of four times the width, up to a
multiple of 1024. Not read where it was printed first, and cited without a place in it: the papers on OPT and Pythia,
and the configuration of Qwen2.5, whose shapes are those that programs print for it.
"""

from dataclasses import asdict, dataclass
from typing import Any

from helpers.analyse.questions.published_perplexities import SHAPES, TOKENS_OF_MODELS

OPT_TOKENS = 180e9  # Zhang et al. 2022, arXiv 2205.01068


@dataclass(frozen=True)
class Preset:
    """A model by name: parameters without embedding and head, training tokens, and the source of both."""

    name: str
    n_params: float
    tokens: float
    source: str


def _gated(n_layers: int, d_model: int, d_feed_forward: int, d_key_value: int) -> int:
    """Return a Llama-like decoder's parameters; keys and values are `d_key_value` wide, norms aren't counted."""
    return n_layers * d_model * (2 * d_model + 2 * d_key_value + 3 * d_feed_forward)


QWEN = "Qwen team 2024, arXiv 2412.15115; the model's config.json"
LLAMA_1, OPT = "LLaMA's model card; Touvron et al. 2023, arXiv 2302.13971", "Zhang et al. 2022, arXiv 2205.01068"
LLAMA_2 = "Meta's model card; Touvron et al. 2023, arXiv 2307.09288"
LLAMA_3 = "Meta's params.json and model card: more than 15T tokens"
PRESETS = (
    Preset(
        "Llama 3 8B", _gated(32, 4096, 14336, 1024), 15e12, "Meta's params.json and model card: more than 15T tokens"
    ),
    Preset("Qwen2.5 7B", _gated(28, 3584, 18944, 512), 18e12, QWEN),
    Preset(
        "Llama 2 7B", _gated(32, 4096, 11008, 4096), 2e12, "Meta's model card; Touvron et al. 2023, arXiv 2307.09288"
    ),
    Preset("LLaMA 1 7B", SHAPES["LLaMA-1-7B"].n_params_non_embedding, TOKENS_OF_MODELS["LLaMA-1-7B"], LLAMA_1),
    Preset("LLaMA 1 65B", SHAPES["LLaMA-1-65B"].n_params_non_embedding, TOKENS_OF_MODELS["LLaMA-1-65B"], LLAMA_1),
    Preset("OPT 6.7B", SHAPES["OPT-6.7B"].n_params_non_embedding, OPT_TOKENS, OPT),
    Preset("Pythia 6.9B", 6444163072, 300e9, "Biderman et al. 2023, arXiv 2304.01373"),
    Preset("SmolLM2 135M", 106203456, 2e12, "the card of HuggingFaceTB/SmolLM2-135M-Instruct"),
)


def presets() -> list[dict[str, Any]]:
    """Return the presets as records for a page."""
    return [asdict(preset) for preset in PRESETS]
