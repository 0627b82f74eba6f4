"""The work that goes through a block at once: variants and sequences that fit into a declared amount of memory.

The estimate is what a plan prints before any work: hidden states of everything, one block's activations of a
micro-batch, one layer's Hessians, one block's weights. A budget that a person declares also has to hold what lies
beside a share however small it is: rounded weights that wait to be scored, and the embedding or the head in float32.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from helpers.measure.models.as_linear import expert_of
from helpers.measure.models.decoders import Decoder, linear_in
from helpers.table.errors import QuantizationError

SHARE_OF_FREE = 0.6  # of a GPU's free memory, where no budget is declared
CPU_BYTES = 2**30  # enough for the pocket family beside Python and torch in 2 GiB
HESSIAN_COPIES = 6  # moments, damped moments, both factors, their inverse, a product
WEIGHT_COPIES = 4  # own, rounded, codes with scales, in the dtype of the products
SCORE_COPIES = 4  # of attention scores, where they are made: capped, masked, their softmax
ROUNDED_BYTES = 4  # per weight: of most methods fewer, as codes
END_BYTES = 8  # per parameter
LOGIT_COPIES = 5  # of the 16-bit model and of a variant, and what their losses need


@dataclass(frozen=True)
class Share:
    """A share of the work: the variants and sequences that pass a block together, and the bytes expected for them."""

    variants: int
    sequences: int
    n_bytes: int

    def halved(self) -> "Share":
        """Return the share with half the sequences or, at one, variants. Raises QuantizationError at one of each."""
        if self.sequences > 1:
            return dataclasses.replace(self, sequences=-(-self.sequences // 2))
        if self.variants > 1:
            return dataclasses.replace(self, variants=-(-self.variants // 2))
        raise QuantizationError("out of memory with one variant and one sequence at a time")


@dataclass(frozen=True)
class Work:
    """Work that the blocks have to do: text, dtype, and the sizes that decide how much memory it takes."""

    n_sequences: int
    seq_len: int
    itemsize: int  # of the activations, bytes
    d_model: int
    widths: int  # inputs and outputs of a block's linear layers, summed; of experts, those that a token goes to
    block_params: int
    widest_input: int  # columns of the largest Hessian; 0 where none is needed
    vocabulary_size: int  # 0 where no logits are needed
    n_heads: int = 0  # whose scores are made in full; 0 where attention makes none
    waiting: int = 0  # numbers of a block's second moments that wait at once for the last sequence: experts'
    beside: int = 0  # bytes, however little is done at once

    def n_bytes(self, variants: int, sequences: int) -> int:
        """Return the bytes that so many variants and sequences at once are expected to take."""
        hidden = (self.n_sequences + sequences) * self.seq_len * self.d_model * self.itemsize
        scores = SCORE_COPIES * self.n_heads * self.seq_len
        activations = sequences * self.seq_len * (self.widths + scores) * self.itemsize
        logits = LOGIT_COPIES * sequences * self.seq_len * self.vocabulary_size * 4
        if self.vocabulary_size:  # a 16-bit model's last hidden states wait for its variants
            logits += hidden
        hessians = HESSIAN_COPIES * 4 * self.widest_input**2 + 4 * self.waiting
        of_variants = variants * (hidden + activations + hessians + WEIGHT_COPIES * 4 * self.block_params)
        return self.beside + of_variants + logits


def calibration_work(decoder: Decoder, n_sequences: int, seq_len: int, itemsize: int) -> Work:
    """Return the work of calibrating and rounding a model."""
    return _work(decoder, n_sequences, seq_len, itemsize, hessians=True)


def evaluation_work(decoder: Decoder, n_sequences: int, seq_len: int, itemsize: int) -> Work:
    """Return the work of scoring a model."""
    return _work(decoder, n_sequences, seq_len, itemsize, hessians=False)


def _work(decoder: Decoder, n_sequences: int, seq_len: int, itemsize: int, hessians: bool) -> Work:
    named = {name: linear_in(decoder.blocks[0], name) for name in decoder.linear_names()}
    layers, config = list(named.values()), decoder.model.config
    of_experts = [layer for name, layer in named.items() if expert_of(name)]
    n_experts = len({expert_of(name) for name in named} - {None})
    idle = 1 - config.num_experts_per_tok / n_experts if n_experts else 0  # a share of the experts, for any token
    return Work(
        n_sequences,
        seq_len,
        itemsize,
        config.hidden_size,
        _widths(layers) - int(idle * _widths(of_experts)),
        sum(layer.weight.numel() for layer in layers),
        max(layer.in_features for layer in layers) if hessians else 0,
        0 if hessians else config.vocab_size,
        config.num_attention_heads if config._attn_implementation == "eager" else 0,
        n_experts * max((layer.in_features**2 for layer in of_experts), default=0) if hessians else 0,
    )


def _widths(layers: Iterable[nn.Linear]) -> int:
    return sum(layer.in_features + layer.out_features for layer in layers)


def share(work: Work, n_variants: int, n_sequences: int, memory_bytes: int) -> Share:
    """Return the largest share of the work that fits: fewer variants first, then fewer sequences.

    Raises QuantizationError when not even one sequence of one variant fits.
    """
    variants, sequences = n_variants, n_sequences
    while (needed := work.n_bytes(variants, sequences)) > memory_bytes:
        if variants > 1:
            variants = -(-variants // 2)
        elif sequences > 1:
            sequences = -(-sequences // 2)
        else:
            raise QuantizationError(
                f"a memory budget of {memory_bytes / 2**30:.3g} GiB is less than one block needs"
                f" ({needed / 2**30:.3g} GiB for one sequence of {work.seq_len} tokens)"
            )
    return Share(variants, sequences, needed)


def bytes_beside(decoder: Decoder, n_kept: int) -> int:
    """Return the bytes that measuring takes beside any share: `n_kept` rounded models, the largest end in float32.

    A rounded weight may be a float32 one, whatever it stands for; an end (embedding, head) is copied twice, once as it
    is kept. Weights of 16 bits aren't among them: their pages are the files' own.
    """
    blocks = set(decoder.blocks.parameters())
    sizes = [parameter.numel() for parameter in decoder.model.parameters() if parameter not in blocks]
    n_rounded = sum(layer.weight.numel() for layer in decoder.linear_layers().values())
    return n_kept * n_rounded * ROUNDED_BYTES + max(sizes, default=0) * END_BYTES


def default_budget(device: str) -> int:
    """Return the bytes that rounding and scoring may take where a person declares nothing."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return int(SHARE_OF_FREE * free)
    return CPU_BYTES
