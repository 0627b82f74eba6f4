"""The record of the table of measurements, its parts and their ids.

One measurement is checkpoint (which weights) x scheme (how they were rounded) x evaluation (on which tokens).
Each part is a frozen record; its id is a hash of its canonical JSON with default values left out, so that an
option added later doesn't change the ids of older rows.
"""

from dataclasses import dataclass
from typing import Annotated

from helpers.table.checkpoint import NOTHING_BESIDE, Beside
from helpers.table.errors import SpecError
from helpers.table.records import digest, key_of
from helpers.table.roles import covariate, diagnostics, key, outcome, provenance
from helpers.table.scheme import DTYPES, QuantScheme

SCHEMA_VERSION = 4


@dataclass(frozen=True)
class EvalSpec:
    """The tokens that a model is scored on; `eval_sha256` covers them and the map from blocks to documents."""

    eval_dataset: Annotated[str, covariate("name of the evaluation text")]
    eval_sha256: Annotated[str, covariate("hash of the evaluation's tokens and of the map from blocks to documents")]
    n_sequences: Annotated[int, covariate("evaluation sequences")]
    seq_len: Annotated[int, covariate("predicted tokens an evaluation sequence")]
    eval_dtype: Annotated[
        str,
        covariate(
            "number format of the evaluation; on a GPU float32 may be three products of float16 halves, as accurate,"
            " and tfloat32 keeps 10 bits of mantissa, its operands in part in float16 (finite up to 65,504)"
        ),
    ] = "float32"

    def __post_init__(self) -> None:
        if self.eval_dtype not in DTYPES:
            raise SpecError(f"'eval_dtype' is '{self.eval_dtype}'; accepted: {', '.join(DTYPES)}")

    @property
    def eval_id(self) -> str:
        """Return the evaluation's content address."""
        return digest(key_of(self))


@dataclass(frozen=True)
class Diagnostics:
    """Figures of what happened while a model was rounded. Layer errors are relative, in the Hessian's norm."""

    mean_layer_error: Annotated[
        float | None, diagnostics("mean over layers of the relative error in the Hessian's norm")
    ] = None
    max_layer_error: Annotated[float | None, diagnostics("largest of these")] = None
    max_rel_damp_used: Annotated[
        float | None, diagnostics("largest damping that a layer needed, as a share of its Hessian's mean diagonal")
    ] = None
    n_layers_redamped: Annotated[int | None, diagnostics("layers that needed more damping than `rel_damp`")] = None
    n_dead_columns: Annotated[int | None, diagnostics("columns whose input was always zero, in all layers")] = None
    n_params_quantized: Annotated[int | None, diagnostics("weights that were rounded")] = None
    quantized_ratio: Annotated[
        float | None, diagnostics("of the parameters of the blocks' linear layers, the share that was rounded (Qr)")
    ] = None
    effective_bits: Annotated[
        float | None,
        diagnostics("stored bits a rounded weight; scales, zero points, codebooks, outliers and places counted"),
    ] = None
    calib_micro_batch: Annotated[int | None, diagnostics("calibration sequences that passed a block together")] = None
    expert_tokens: Annotated[
        tuple[int, ...] | None,
        diagnostics("calibration tokens routed to each expert, block by block; null: none"),
    ] = None
    hardly_reached: Annotated[
        tuple[str, ...], diagnostics("experts, as block and name, with fewer of these than a layer has columns")
    ] = ()


def measurement_id(
    weights_sha256: str,
    scheme: QuantScheme,
    evaluation: EvalSpec,
    device_type: str,
    method_version: int,
    beside: Beside = NOTHING_BESIDE,
) -> str:
    """Return the row's key: a hash of weights, scheme, evaluation, kind of device and version of the method.

    What lies `beside` the weights counts where no manifest pins it; else the key is as it was without that part.
    """
    parts = [weights_sha256, key_of(scheme), key_of(evaluation), device_type, method_version]
    return digest([*parts, key_of(beside)] if key_of(beside) else parts)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row of the table of measurements: identity, covariates, scheme, evaluation, outcome, diagnostics, provenance.

    A column that came later has a default, the one of its part's field: a table written before reads as if it had it.
    A column whose meaning isn't said here means what the field of its part does: of `CheckpointSpec`, `QuantScheme`,
    `EvalSpec` or `Diagnostics`.

    Losses are in nats per token. `group_loss` holds the mean loss of each document, in the order of the
    evaluation's block-to-document map; every document has the same number of tokens.
    """

    # identity
    measurement_id: Annotated[str, key("hash of weights, scheme, evaluation, kind of device and version of the method")]
    checkpoint_id: Annotated[str, key("first 16 digits of `weights_sha256`")]
    scheme_id: Annotated[str, key("hash of the scheme's columns that differ from their defaults")]
    eval_id: Annotated[str, key("hash of the evaluation's columns that differ from their defaults")]
    method_version: Annotated[int, key("rises when what a method computes changes")]
    device_type: Annotated[str, key("cpu or cuda")]
    # checkpoint
    weights_sha256: str
    architecture_hash: str | None = None
    tokenizer_sha256: str | None = None
    family: str
    model: str
    run: str
    repo_id: Annotated[str, provenance("where the weights were read from: a folder or a Hub repository")]
    revision: str | None
    commit: Annotated[str | None, provenance("of the Hub repository, as found")]
    pickle_sha256: Annotated[
        str | None,
        provenance("SHA-256 of the pickle that the weights were converted from, or a hash of its shards'; null: none"),
    ] = None
    known_bad: Annotated[
        str | None, provenance("what was reported against the checkpoint, measured all the same; null: nothing")
    ] = None
    train_seed: int | None
    branched_from: str | None
    branched_at_step: int | None
    n_averaged: int
    # training
    step: int | None
    tokens_seen: int | None
    tokens_planned: int | None
    unique_tokens: int | None
    epochs: Annotated[float | None, covariate("passes over the training text: `tokens_seen` / `unique_tokens`")]
    learning_rate: float | None
    peak_learning_rate: float | None
    lr_fraction: Annotated[float | None, covariate("`learning_rate` as a share of its peak")]
    lr_phase: str | None
    schedule: str | None
    weight_decay: float | None
    # size
    n_params_total: int
    n_params_non_embedding: int
    n_layers: int
    d_model: int
    vocabulary_size: int
    # scheme
    method: str
    bits: int | None
    group_size: int | None
    symmetric: bool | None
    rel_damp: float | None
    calib_dataset: str | None
    calib_sha256: str | None
    calib_sequences: int | None
    calib_seq_len: int | None
    calib_seed: int | None
    hessian_dtype: str
    propagate: str
    format: str | None = "int"
    grid_search: str | None = "minmax"
    order: str | None = "given"
    kept_matrices: tuple[str, ...] = ()
    assignment_sha256: Annotated[str | None, covariate("hash of `kept_matrices`; null where that is empty")] = None
    outlier_share: float | None = None
    average_bits: float | None = None
    activation_format: str | None = None
    activation_bits: int | None = None
    activation_group_size: int | None = None
    activation_exponent: float | None = None
    unreached_experts: str | None = None
    noise_seed: int | None = None
    # evaluation
    eval_dataset: str
    eval_sha256: str
    n_sequences: int
    seq_len: int
    eval_dtype: str
    # outcome
    status: Annotated[str, outcome("ok, failed or nonfinite")]
    reason: Annotated[str | None, outcome("why it isn't ok, in one line")]
    loss_nats: Annotated[float | None, outcome("mean loss, nats a token")]
    bits_per_byte: Annotated[float | None, outcome("the loss in bits a byte of text")]
    kl_nats: Annotated[
        float | None,
        outcome("mean over tokens of KL(16-bit model || rounded model), nats a token; null for the baseline"),
    ]
    top1_agreement: Annotated[
        float | None, outcome("share of tokens for which both models hold the same token for the likeliest")
    ]
    top1_accuracy: Annotated[
        float | None,
        outcome("share of tokens for which the likeliest token is the right one; null in rows of schema 3"),
    ]
    n_tokens: Annotated[int, outcome("predicted tokens")]
    n_bytes: Annotated[int, outcome("bytes of the text they stand for")]
    group_loss: Annotated[
        tuple[float, ...] | None,
        outcome("mean loss of each document, nats a token, in the evaluation's order; null: a draw of noise"),
    ]
    # diagnostics
    mean_layer_error: float | None
    max_layer_error: float | None
    max_rel_damp_used: float | None
    n_layers_redamped: int | None
    n_dead_columns: int | None
    n_params_quantized: int | None
    quantized_ratio: float | None
    effective_bits: float | None
    calib_micro_batch: int | None
    expert_tokens: tuple[int, ...] | None = None
    hardly_reached: tuple[str, ...] = ()
    micro_batch: Annotated[int | None, diagnostics("evaluation sequences that passed a block together")]
    # provenance
    measured_at: Annotated[str, provenance("date and time, UTC, ISO 8601")]
    git_commit: Annotated[str | None, provenance("of this project's checkout")]
    python: Annotated[str, provenance("version of Python")]
    torch: Annotated[str, provenance("version of PyTorch")]
    transformers: Annotated[str, provenance("version of transformers")]
    cuda: Annotated[str | None, provenance("version of CUDA; null on a CPU")]
    device_name: Annotated[str, provenance("the GPU, or the processor and its threads")]
    wall_seconds: Annotated[
        float, provenance("time of rounding and scoring, work that rows share divided among them, seconds")
    ]
    peak_memory_gib: Annotated[float, provenance("largest memory of the process, or of the GPU, up to then, GiB")]
    schema_version: Annotated[int, provenance("of the columns")]
