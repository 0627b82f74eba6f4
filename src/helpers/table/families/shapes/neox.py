"""Parameter counts and shapes of GPT-NeoX."""


def neox_n_params_non_embedding(n_layers: int, d_model: int) -> int:
    """Return the number of GPT-NeoX's parameters without token embeddings and output head: N as the QiD law counts it.

    A layer has 12 d^2 weights, and 13 d biases and gains; the last norm has 2 d. For Pythia-1.4B that gives
    the 1,208,602,624 of the suite's own table (Biderman et al. 2023, arXiv 2304.01373).
    """
    return n_layers * (12 * d_model**2 + 13 * d_model) + 2 * d_model


def neox_n_params_total(n_layers: int, d_model: int, vocabulary_size: int) -> int:
    """Return the number of all GPT-NeoX parameters, with untied embedding and output head."""
    return neox_n_params_non_embedding(n_layers, d_model) + 2 * vocabulary_size * d_model


def neox_linear_shapes(d_model: int) -> dict[str, tuple[int, int]]:
    """Return (rows, columns) of the linear layers in one GPT-NeoX block, by name."""
    return {
        "attention.query_key_value": (3 * d_model, d_model),
        "attention.dense": (d_model, d_model),
        "mlp.dense_h_to_4h": (4 * d_model, d_model),
        "mlp.dense_4h_to_h": (d_model, 4 * d_model),
    }
