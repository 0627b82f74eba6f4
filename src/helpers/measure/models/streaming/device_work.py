"""The bytes of a GPU that work takes at most: a bound, for a budget there is a promise.

What is counted isn't there all at once (factors while a layer is solved, activations while a micro-batch runs), so the
sum is more than the peak; the tests on a GPU hold peaks against it.
"""

from dataclasses import dataclass

HIDDEN_COPIES = 4  # of a micro-batch: two that are read, two that are written
HESSIAN_COPIES = 11  # float32: sums, own, damped, factor, inverse, what that is put together from; a rotation's two
SOLVED_BYTES = 44  # per weight of the layer that is solved or decoded: eleven float32 copies
LOADED_BYTES = 4  # per weight and variant of the block at work, beside its own dtype: what it was rounded to
LOGIT_COPIES = 5  # of the 16-bit model and of a variant, and what their losses need
END_BYTES = 10  # per parameter of the embedding or the head: as stored, a copy of that, float32
INDEX_BYTES = 8  # of a token
WORKSPACE_BYTES = 2**28  # of the libraries that multiply and factorise, and of what is small


@dataclass(frozen=True)
class DeviceWork:
    """Work that a GPU has to do: text, dtype and sizes as in `memory.Work`, and where weights and hidden states lie."""

    n_sequences: int
    seq_len: int
    itemsize: int  # of the activations, bytes
    d_model: int
    widths: int  # inputs and outputs of a block's linear layers, summed
    block_params: int
    widest_input: int  # columns of the largest Hessian; 0 where none is needed
    vocabulary_size: int  # 0 where no logits are needed
    n_heads: int  # whose scores are made in full; 0 where attention makes none
    n_checkpoints: int
    largest_layer: int  # weights of the largest linear layer
    block_bytes: int  # of a block as it is stored
    end_params: int  # of the embedding or the head
    logits_at_once: int
    streamed: bool  # blocks come one after the other
    waiting: int = 0  # numbers of a block's second moments that wait at once, as in `memory.Work`
    offloaded: bool = True  # hidden states wait on the host
    beside: int = 0  # bytes, however little is done at once

    def n_bytes(self, variants: int, sequences: int) -> int:
        """Return the bytes that so many variants and sequences at once take at most."""
        checkpoints = min(self.n_checkpoints, variants)
        blocks = 2 * checkpoints * self.block_bytes if self.streamed else 0
        ends = max(END_BYTES, 6 * checkpoints) * self.end_params
        tokens = 2 * self.n_sequences * (self.seq_len + 1) * INDEX_BYTES
        of_all = blocks + ends + tokens + self._logits(sequences) + self._waiting() + WORKSPACE_BYTES
        return self.beside + of_all + variants * self._of_a_variant(sequences)

    def _of_a_variant(self, sequences: int) -> int:
        from_memory = HIDDEN_COPIES * sequences * self.seq_len * self.d_model * self.itemsize
        scores = 4 * self.n_heads * self.seq_len
        activations = sequences * self.seq_len * (self.widths + scores) * self.itemsize
        hessians = HESSIAN_COPIES * 4 * self.widest_input**2 + 4 * self.waiting
        weights = (LOADED_BYTES + self.itemsize) * self.block_params + SOLVED_BYTES * self.largest_layer
        return from_memory + self._resident() + activations + hessians + weights

    def _resident(self) -> int:
        """Return the bytes of one variant's hidden states, if they stay on the device."""
        return 0 if self.offloaded else self.n_sequences * self.seq_len * self.d_model * self.itemsize

    def _waiting(self) -> int:
        """Return the bytes of a 16-bit model's last hidden states, which wait for its variants."""
        return self._resident() if self.vocabulary_size else 0

    def _logits(self, sequences: int) -> int:
        of_sequence = self.seq_len * self.vocabulary_size
        at_once = min(sequences, max(1, self.logits_at_once // max(of_sequence, 1)))
        return LOGIT_COPIES * at_once * of_sequence * 4
