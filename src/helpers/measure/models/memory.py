"""The work that goes through a block at once: variants and sequences that fit into a declared amount of memory.

On a CPU the estimate is what a plan prints before any work: hidden states of everything, one block's activations of a
micro-batch, one layer's Hessians, one block's weights. A budget that a person declares also has to hold what lies
beside a share however small it is: rounded weights that wait to be scored, and the embedding or the head in float32.
On a GPU it is a bound that nothing exceeds (`streaming/device_work`).
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from helpers.measure.models.as_linear import expert_of
from helpers.measure.models.decoders import Decoder, linear_in
from helpers.measure.models.streaming.device_work import DeviceWork
from helpers.measure.models.streaming.placing import device_of, is_streamed
from helpers.table.errors import QuantizationError

SHARE_OF_FREE = 0.6  # of a GPU's free memory, where no budget is declared
CPU_BYTES = 2**30  # enough for the pocket family beside Python and torch in 2 GiB
HESSIAN_COPIES = 6  # moments, damped moments, both factors, their inverse, a product
WEIGHT_COPIES = 4  # own, rounded, codes with scales, in the dtype of the products
SCORE_COPIES = 4  # of attention scores, where they are made: capped, masked, their softmax
ROUNDED_BYTES = 4  # per weight: of most methods fewer, as codes
END_BYTES = 8  # per parameter
LOGIT_COPIES = 5  # of the 16-bit model and of a variant, and what their losses need
LOGITS_AT_ONCE = {"cpu": 2**21, "cuda": 2**28}
SHARE_OF_WHOLE = 0.25  # of a budget on a GPU that models and their rounded weights may take as a whole


@dataclass(frozen=True)
class Share:
    """A share of the work: the variants and sequences that pass a block together, and the bytes expected for them.

    `offloaded` says that hidden states wait on the host.
    """

    variants: int
    sequences: int
    n_bytes: int
    offloaded: bool = False

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


def calibration_work(
    decoder: Decoder, n_sequences: int, seq_len: int, itemsize: int, n_checkpoints: int = 1
) -> Work | DeviceWork:
    """Return the work of calibrating and rounding models of one shape, on the device that they work on."""
    work = _work(decoder, n_sequences, seq_len, itemsize, hessians=True)
    return _on_its_device(work, decoder, n_checkpoints)


def evaluation_work(
    decoder: Decoder, n_sequences: int, seq_len: int, itemsize: int, n_checkpoints: int = 1
) -> Work | DeviceWork:
    """Return the work of scoring models of one shape, on the device that they work on."""
    work = _work(decoder, n_sequences, seq_len, itemsize, hessians=False)
    return _on_its_device(work, decoder, n_checkpoints)


def _on_its_device(work: Work, decoder: Decoder, n_checkpoints: int) -> Work | DeviceWork:
    streamed = is_streamed(decoder.model)
    if not streamed and device_of(decoder.model).type == "cpu":
        return work
    return device_work(work, decoder, n_checkpoints, streamed)


def device_work(work: Work, decoder: Decoder, n_checkpoints: int, streamed: bool) -> DeviceWork:
    """Return work as a GPU does it, for models that lie there as a whole or are `streamed`."""
    return DeviceWork(
        work.n_sequences,
        work.seq_len,
        work.itemsize,
        work.d_model,
        work.widths,
        work.block_params,
        work.widest_input,
        work.vocabulary_size,
        work.n_heads,
        n_checkpoints=n_checkpoints,
        largest_layer=max(layer.weight.numel() for layer in linear_layers_of(decoder)),
        block_bytes=max(sum(parameter.nbytes for parameter in block.parameters()) for block in decoder.blocks),
        end_params=_largest_end(decoder),
        logits_at_once=LOGITS_AT_ONCE["cuda"],
        streamed=streamed,
        waiting=work.waiting,
    )


def linear_layers_of(decoder: Decoder) -> list[nn.Linear]:
    """Return the linear layers of the first block."""
    return [linear_in(decoder.blocks[0], name) for name in decoder.linear_names()]


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


def share(work: Work | DeviceWork, n_variants: int, n_sequences: int, memory_bytes: int) -> Share:
    """Return the largest share of the work that fits: fewer variants first, then fewer sequences.

    Hidden states stay on the device where they fit beside it.
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
    if isinstance(work, DeviceWork):
        resident = dataclasses.replace(work, offloaded=False)
        if (more := resident.n_bytes(variants, sequences)) <= memory_bytes:
            return Share(variants, sequences, more)
        return Share(variants, sequences, needed, offloaded=True)
    return Share(variants, sequences, needed)


def bytes_beside(decoders: Sequence[Decoder], n_kept: int) -> int:
    """Return the bytes of their device that measuring models of one shape takes beside any share.

    A rounded weight, of `n_kept` models, may be a float32 one, whatever it stands for. On a CPU there is an end
    (embedding, head) copied twice beside, once as it is kept; weights of 16 bits aren't counted: their pages are the
    files' own. On a GPU models lie as a whole, and nothing of streamed ones does.
    """
    model = decoders[0].model
    if is_streamed(model):
        return 0
    rounded = n_kept * sum(layer.weight.numel() for layer in decoders[0].linear_layers().values()) * ROUNDED_BYTES
    if device_of(model).type == "cpu":
        return rounded + _largest_end(decoders[0]) * END_BYTES
    return rounded + _stored_bytes(decoders)


def is_too_large(decoders: Sequence[Decoder], n_kept: int, device: str, memory_bytes: int | None) -> bool:
    """Tell whether models of one shape and `n_kept` rounded ones would take too much of a device as a whole.

    `memory_bytes` is the declared budget, None where it is the default one.
    """
    if device == "cpu":
        return False
    rounded = n_kept * sum(layer.weight.numel() for layer in decoders[0].linear_layers().values()) * ROUNDED_BYTES
    budget = default_budget(device) if memory_bytes is None else memory_bytes
    return rounded + _stored_bytes(decoders) > SHARE_OF_WHOLE * budget


@contextlib.contextmanager
def held_to(memory_bytes: int | None, device: str) -> Iterator[None]:
    """Let a GPU give this process no more than a declared budget meanwhile.

    Work that would take more finds the memory full, and is halved. What CUDA itself takes (its context, its kernels)
    lies beside.
    """
    if device != "cuda" or memory_bytes is None:
        yield
        return
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, memory_bytes / total))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _stored_bytes(decoders: Sequence[Decoder]) -> int:
    of_one: int = sum(parameter.nbytes for parameter in decoders[0].model.parameters())
    return len(decoders) * of_one


def _largest_end(decoder: Decoder) -> int:
    """Return the numbers of the largest parameter outside of the blocks."""
    blocks = set(decoder.blocks.parameters())
    return max((p.numel() for p in decoder.model.parameters() if p not in blocks), default=0)


def default_budget(device: str) -> int:
    """Return the bytes that rounding and scoring may take where a person declares nothing."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return int(SHARE_OF_FREE * free)
    return CPU_BYTES
