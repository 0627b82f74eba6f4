"""The record of the table of checkpoints.

A column whose meaning isn't said here means what the field of that name in `CheckpointSpec` or `Measurement` does.
"""

from dataclasses import dataclass
from typing import Annotated

from helpers.table.roles import diagnostics, outcome, provenance


@dataclass(frozen=True)
class CheckpointRow:
    """One row of the table of checkpoints: what is known of a checkpoint apart from any rounding scheme.

    Lists that aren't named otherwise have one entry per matrix, in the order of `matrices`: the linear layers' weights
    W (rows, columns), block after block. The root mean square (rms) and the moments are about zero, not about the mean.
    What isn't a number, such as 0/0 of a matrix of zeros, is null, in lists too.
    """

    # identity
    weights_sha256: str
    checkpoint_id: str
    family: str
    model: str
    run: str
    train_seed: int
    branched_from: str | None
    branched_at_step: int | None
    n_averaged: int
    # training
    step: int
    tokens_seen: int
    tokens_planned: int
    unique_tokens: int | None
    epochs: float | None
    learning_rate: float | None
    peak_learning_rate: float | None
    lr_fraction: float | None
    lr_phase: str | None
    schedule: str
    weight_decay: float | None
    # size
    n_params_total: int
    n_params_non_embedding: int
    n_layers: int
    d_model: int
    vocabulary_size: int
    # 16-bit model
    loss_nats: Annotated[
        float | None, outcome("loss of the 16-bit model on held-out text, nats a token, from the family's manifest")
    ]
    logit_entropy_nats: Annotated[
        float | None, outcome("mean entropy of the 16-bit model's prediction on held-out text, nats a token")
    ]
    # weights
    # such as 0.attention.dense: the block's number, the layer in the block
    matrices: Annotated[
        tuple[str, ...],
        outcome("names of the linear layers' weights W (rows, columns), block after block; the order of the lists"),
    ]
    previous_step: Annotated[int | None, outcome("of the checkpoint that `weight_change` is against, in updates")]
    weight_change: Annotated[
        tuple[float, ...] | None, outcome("||W - W_previous|| / ||W_previous|| of each matrix, Frobenius norm")
    ]
    rtn_error_2_bits: Annotated[
        tuple[float, ...], outcome("||W - Q|| / ||W|| of each matrix, Q to nearest at 2 bits, groups of 32, asymmetric")
    ]
    rtn_error_3_bits: Annotated[tuple[float, ...], outcome("the same at 3 bits")]
    rtn_error_4_bits: Annotated[tuple[float, ...], outcome("the same at 4 bits")]
    weight_rms: Annotated[tuple[float, ...], outcome("root mean square of each matrix")]
    weight_kurtosis: Annotated[
        tuple[float, ...],
        outcome("of each matrix: fourth moment over the squared second, about zero; 3 for a Gaussian"),
    ]
    weight_max_over_rms: Annotated[
        tuple[float, ...], outcome("largest magnitude of each matrix over its root mean square")
    ]
    # inputs of each matrix, calibration text
    input_max_over_rms: Annotated[
        tuple[float, ...],
        outcome("of each matrix's inputs: largest root mean square of a channel over the channels' mean"),
    ]
    input_kurtosis: Annotated[
        tuple[float, ...],
        outcome("of each matrix's inputs: fourth moment over the squared second, all channels together"),
    ]
    # curvature of the mean loss in nats per token, in all matrices together, held-out text
    hessian_trace: Annotated[
        float | None,
        outcome("trace of the mean loss's Hessian in all matrices, nats a squared weight: mean over probes"),
    ]
    hessian_trace_se: Annotated[float | None, outcome("standard error of that mean")]
    # the entries add up to `hessian_trace`
    hessian_trace_by_block: Annotated[tuple[float, ...], outcome("the parts of the trace that each block has")]
    hessian_probes: Annotated[int, diagnostics("random vectors of the trace's estimate (Hutchinson)")]
    hessian_sequences: Annotated[int, diagnostics("sequences of held-out text that the Hessian is of")]
    hessian_seq_len: Annotated[int, diagnostics("predicted tokens each")]
    hessian_seed: Annotated[int, diagnostics("seed of the probes")]
    # provenance
    # `logit_entropy_nats` reads all of the blocks, the curvature some of them
    eval_sha256: Annotated[str, provenance("hash of the held-out blocks")]
    calib_sha256: Annotated[str, provenance("hash of the calibration tokens, which gave the matrices' inputs")]
    device_type: Annotated[str, provenance("cpu or cuda")]
