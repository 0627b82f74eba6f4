"""Typed records shared by both sides of the book, their ids, and the errors.

One measurement is checkpoint (which weights) x scheme (how they were rounded) x evaluation (on which tokens).
Each part is a frozen record; its id is a hash of its canonical JSON with default values left out, so that an
option added later doesn't change the ids of older rows.

    QidError
    |- SpecError           a sweep, family or record says something that isn't accepted
    |- CheckpointError     weights are missing, altered or of an unknown structure
    |- CorpusError         text is missing or too short
    |- QuantizationError   a layer can't be rounded as the scheme says
    |- DeviceError         the device failed in the middle of the work
    `- ResultsError        the table can't be read, or another process holds it
"""

from dataclasses import dataclass, field

from helpers.table.errors import SpecError
from helpers.table.records import digest, key_of
from helpers.table.scheme import DTYPES, QuantScheme

SCHEMA_VERSION = 4


@dataclass(frozen=True)
class EvalSpec:
    """On which tokens: `eval_sha256` covers the tokens and the map from blocks to documents."""

    eval_dataset: str
    eval_sha256: str
    n_sequences: int
    seq_len: int
    eval_dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.eval_dtype not in DTYPES:
            raise SpecError(f"'eval_dtype' is '{self.eval_dtype}'; accepted: {', '.join(DTYPES)}")

    @property
    def eval_id(self) -> str:
        """Return the evaluation's content address."""
        return digest(key_of(self))


@dataclass(frozen=True)
class Diagnostics:
    """What happened while a model was rounded. Layer errors are relative, in the Hessian's norm."""

    mean_layer_error: float | None = None
    max_layer_error: float | None = None
    max_rel_damp_used: float | None = None
    n_layers_redamped: int | None = None
    n_dead_columns: int | None = None
    n_params_quantized: int | None = None
    quantized_ratio: float | None = None  # of the parameters of the blocks' linear layers
    effective_bits: float | None = None  # stored bits a rounded weight, scales and zero points counted
    calib_micro_batch: int | None = None  # calibration sequences that passed a block together


def measurement_id(
    weights_sha256: str, scheme: QuantScheme, evaluation: EvalSpec, device_type: str, method_version: int
) -> str:
    """Return the row's key: a hash of weights, scheme, evaluation, kind of device and version of the method."""
    parts = [weights_sha256, key_of(scheme), key_of(evaluation), device_type, method_version]
    return digest(parts)


@dataclass(frozen=True)
class Measurement:
    """One row: identity, covariates, scheme, evaluation, outcome, diagnostics, provenance.

    Losses are in nats a token. `group_loss` holds the mean loss of each document, in the order of the
    evaluation's block-to-document map; every document has the same number of tokens.
    """

    # identity
    measurement_id: str
    checkpoint_id: str
    scheme_id: str
    eval_id: str
    method_version: int
    device_type: str  # cpu or cuda
    # checkpoint
    weights_sha256: str
    family: str
    model: str
    run: str
    repo_id: str
    revision: str | None
    commit: str | None
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
    format: str | None
    grid_search: str | None
    order: str | None
    kept_matrices: tuple[str, ...]
    assignment_sha256: str | None
    outlier_share: float | None
    average_bits: float | None
    activation_format: str | None
    activation_bits: int | None
    activation_group_size: int | None
    activation_exponent: float | None
    # evaluation
    eval_dataset: str
    eval_sha256: str
    n_sequences: int
    seq_len: int
    eval_dtype: str
    # outcome
    status: str  # ok, failed or nonfinite
    reason: str | None
    loss_nats: float | None
    bits_per_byte: float | None
    kl_nats: float | None  # mean over tokens of KL(16-bit model || rounded model)
    top1_agreement: float | None  # share of tokens for which both models' likeliest token is the same
    top1_accuracy: float | None  # share of tokens for which the likeliest token is the right one
    n_tokens: int
    n_bytes: int
    group_loss: tuple[float, ...] | None
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
    micro_batch: int | None  # evaluation sequences that passed a block together
    # provenance
    measured_at: str
    git_commit: str | None
    python: str
    torch: str
    transformers: str
    cuda: str | None
    device_name: str
    wall_seconds: float
    peak_memory_gib: float
    schema_version: int = field(default=SCHEMA_VERSION)


@dataclass(frozen=True)
class CheckpointRow:
    """One row of the table of checkpoints: what doesn't depend on a rounding scheme.

    Lists that aren't named otherwise have one entry a matrix, in the order of `matrices`: the linear layers' weights W
    (rows, columns), block after block. The root mean square (rms) and the moments are about zero, not about the mean.
    """

    # identity
    weights_sha256: str
    checkpoint_id: str  # the first 16 digits of `weights_sha256`
    family: str
    model: str
    run: str
    train_seed: int
    branched_from: str | None
    branched_at_step: int | None  # in updates
    n_averaged: int  # moments of the run
    # training
    step: int  # in updates
    tokens_seen: int
    tokens_planned: int
    unique_tokens: int | None
    epochs: float | None  # passes over the training text
    learning_rate: float | None  # a step
    peak_learning_rate: float | None  # a step
    lr_fraction: float | None  # share of the peak
    lr_phase: str | None
    schedule: str
    weight_decay: float | None  # a step, times the learning rate
    # size
    n_params_total: int
    n_params_non_embedding: int
    n_layers: int  # blocks
    d_model: int
    vocabulary_size: int  # tokens
    # 16-bit model
    loss_nats: float | None  # nats a token, held-out text; from the family's manifest
    logit_entropy_nats: float  # mean entropy of the prediction, nats a token, held-out text
    # weights
    matrices: tuple[str, ...]  # names, such as 0.attention.dense: the block's number, the layer in the block
    previous_step: int | None  # of the checkpoint that `weight_change` is against, in updates
    weight_change: tuple[float, ...] | None  # ||W - W_previous|| / ||W_previous||, Frobenius
    rtn_error_2_bits: tuple[float, ...]  # ||W - Q|| / ||W||, Frobenius, Q rounded to nearest, groups of 32, asymmetric
    rtn_error_3_bits: tuple[float, ...]  # likewise
    rtn_error_4_bits: tuple[float, ...]  # likewise
    weight_rms: tuple[float, ...]  # in the weights' own unit
    weight_kurtosis: tuple[float, ...]  # fourth moment over the squared second; 3 for a Gaussian
    weight_max_over_rms: tuple[float, ...]  # largest magnitude over the rms
    # inputs of each matrix, calibration text
    input_max_over_rms: tuple[float, ...]  # largest rms of a channel over the channels' mean rms
    input_kurtosis: tuple[float, ...]  # fourth moment over the squared second, all channels together
    # curvature of the mean loss in nats a token, in all matrices together, held-out text
    hessian_trace: float  # nats a squared weight: mean over probes (Hutchinson)
    hessian_trace_se: float  # standard error of that mean, likewise
    hessian_trace_by_block: tuple[float, ...]  # one entry a block, likewise; they add up to `hessian_trace`
    hessian_probes: int  # random vectors
    hessian_sequences: int
    hessian_seq_len: int  # predicted tokens a sequence
    hessian_seed: int  # of the probes
    # provenance
    eval_sha256: str  # of the held-out blocks: `logit_entropy_nats` reads all, the curvature some
    calib_sha256: str  # of the calibration tokens
    device_type: str  # cpu or cuda


@dataclass(frozen=True)
class TrialRow:
    """One row of the table of trials: one assignment of matrices to low or high precision, as a search scored it.

    In a trial the matrices are swapped in as rounded one by one, each on the 16-bit model's activations. `assignment`
    has a digit a matrix, block after block in the order of the model: 1 in low precision, 0 in high.
    """

    # identity
    weights_sha256: str
    checkpoint_id: str
    scheme_id: str  # of the scheme that low precision means, nothing kept
    eval_id: str
    device_type: str
    granularity: str  # layer or matmul: what is assigned as one
    search: str
    target_ratio: float | None  # None: the trial serves every ratio
    number: int  # of the trial in its search, from 0
    # checkpoint
    family: str
    model: str
    run: str
    train_seed: int
    # training
    step: int
    tokens_seen: int
    learning_rate: float | None
    lr_fraction: float | None
    lr_phase: str | None
    schedule: str
    # size
    n_params_total: int
    n_params_non_embedding: int
    n_layers: int
    d_model: int
    # scheme
    method: str
    format: str
    bits: int
    group_size: int | None
    symmetric: bool
    activation_format: str | None
    activation_bits: int | None
    activation_group_size: int | None
    # assignment
    search_seed: int
    assignment: str
    quantized_ratio: float
    estimated_nats: float | None  # what the search expected the loss to rise by, nats a token
    # evaluation
    eval_dataset: str
    eval_sha256: str
    n_sequences: int
    seq_len: int
    eval_dtype: str
    # outcome
    loss_nats: float
    top1_accuracy: float
    # provenance
    measured_at: str
    git_commit: str | None
    device_name: str
    schema_version: int = field(default=SCHEMA_VERSION)
