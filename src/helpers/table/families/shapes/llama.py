"""Parameter counts and shapes of models with Llama's blocks: grouped queries, a gated MLP, no biases."""

from dataclasses import dataclass

from helpers.table.families.hub import HubRun


@dataclass(frozen=True, kw_only=True)
class LlamaRun(HubRun):
    """A run of a model with Llama's blocks; queries have the width `d_model`, keys and values share heads."""

    d_mlp: int
    n_heads: int
    n_key_value_heads: int
    tied: bool  # whether the output head is the token embedding

    @property
    def d_key_value(self) -> int:
        """Return the width of keys and of values."""
        return self.d_model // self.n_heads * self.n_key_value_heads


def llama_linear_shapes(run: LlamaRun) -> dict[str, tuple[int, int]]:
    """Return (rows, columns) of the linear layers in one block, by name."""
    d, d_key_value, d_mlp = run.d_model, run.d_key_value, run.d_mlp
    return {
        "self_attn.q_proj": (d, d),
        "self_attn.k_proj": (d_key_value, d),
        "self_attn.v_proj": (d_key_value, d),
        "self_attn.o_proj": (d, d),
        "mlp.gate_proj": (d_mlp, d),
        "mlp.up_proj": (d_mlp, d),
        "mlp.down_proj": (d, d_mlp),
    }


def n_params_of_blocks(run: LlamaRun, norms: int) -> int:
    """Return the number of parameters of all blocks, the norms of each block having `norms` of them."""
    return run.n_layers * (sum(rows * columns for rows, columns in llama_linear_shapes(run).values()) + norms)


def llama_n_params_non_embedding(run: LlamaRun) -> int:
    """Return the number of Llama's parameters without token embedding and output head: N as the QiD law counts it.

    Counted are, per layer, the linear layers and the norms before attention and before the MLP; and one last norm. A
    tied head is the embedding, so that N is what it would be with a head of its own.
    """
    return n_params_of_blocks(run, 2 * run.d_model) + run.d_model


def n_params_of_embeddings(run: LlamaRun) -> int:
    """Return the number of parameters of token embedding and output head: one matrix where they are tied, else two."""
    return (1 if run.tied else 2) * run.vocabulary_size * run.d_model
