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

import dataclasses
import hashlib
import json
import types
import typing
from dataclasses import dataclass, field

SCHEMA_VERSION = 4
BITS_ACCEPTED = range(2, 9)
FORMATS = ("int", "mxint", "mxfp", "nf4", "codebook")
ACTIVATION_FORMATS = ("mxint", "int")
ACTIVATION_FIELDS = ("activation_bits", "activation_group_size", "activation_exponent")
DTYPES = ("float32", "tfloat32", "bfloat16")  # tfloat32: float32 tensors, matrix products in TF32


class QidError(Exception):
    """Base of every error this package raises on purpose; its text is one line for a person."""


class SpecError(QidError):
    """A sweep, family or record says something that isn't accepted."""


class CheckpointError(QidError):
    """Weights are missing, altered, or of a structure that isn't known."""


class CorpusError(QidError):
    """Text for training, calibration or evaluation is missing or too short."""


class QuantizationError(QidError):
    """A layer can't be rounded as the scheme says."""


class DeviceError(QidError):
    """The device failed in the middle of the work."""


class ResultsError(QidError):
    """The table of measurements can't be read, or another process holds it."""


def canonical_json(value: object) -> str:
    """Return JSON that is equal for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: object) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `value`'s canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def key_of(record: object) -> dict:
    """Return the fields of a frozen record that differ from their defaults: what its id is made of."""
    return {
        f.name: getattr(record, f.name)
        for f in dataclasses.fields(record)
        if f.default is dataclasses.MISSING or getattr(record, f.name) != f.default
    }


def _accepts(annotation: object, value: object) -> bool:
    if isinstance(annotation, types.UnionType):
        return any(_accepts(part, value) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return isinstance(value, (list, tuple)) and all(_accepts(typing.get_args(annotation)[0], v) for v in value)
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return value is None if annotation is type(None) else isinstance(value, annotation)


def type_name(annotation: object) -> str:
    """Return how an annotation reads in an error message, for example `int or null`."""
    if isinstance(annotation, types.UnionType):
        return " or ".join(type_name(part) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return f"list of {type_name(typing.get_args(annotation)[0])}"
    return "null" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def from_mapping(cls: type, values: dict, where: str, lines: dict[str, int] | None = None):
    """Build a frozen record from `values`, lists as tuples, refusing unknown fields and wrong types.

    Raises SpecError, beginning with `where` (and the field's line, if `lines` has it), that names the field and
    what is accepted.
    """
    annotations = typing.get_type_hints(cls)
    if not isinstance(values, dict):
        raise SpecError(f"{where}: {values!r} where a mapping is expected; keys: {', '.join(annotations)}")
    for name, value in values.items():
        place = f"{where}:{lines[name]}" if lines else where
        if name not in annotations:
            raise SpecError(f"{place}: unknown key '{name}'; accepted: {', '.join(annotations)}")
        if not _accepts(annotations[name], value):
            raise SpecError(f"{place}: '{name}' is {value!r}; accepted: {type_name(annotations[name])}")
    missing = [
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in values
    ]
    if missing:
        raise SpecError(f"{where}: missing key '{missing[0]}'")
    try:
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None


@dataclass(frozen=True)
class CheckpointSpec:
    """Which weights: one step of one training run, with everything a law may need to know about it."""

    family: str
    model: str
    run: str  # the training run, by a name of its own within the family
    location: str  # a folder in Hugging Face layout, or a Hub repository
    step: int
    tokens_seen: int
    tokens_planned: int
    learning_rate: float
    peak_learning_rate: float
    lr_phase: str  # warmup, stable or decay
    schedule: str  # constant, cosine or cooldown
    n_layers: int
    d_model: int
    vocabulary_size: int
    n_params_total: int
    n_params_non_embedding: int
    revision: str | None = None  # of a Hub repository
    weights_sha256: str | None = None  # expected; None where only the download tells
    unique_tokens: int | None = None
    weight_decay: float | None = None
    train_seed: int = 0
    branched_from: str | None = None  # the run a cooldown goes on from
    branched_at_step: int | None = None
    n_averaged: int = 1  # weights are the mean of so many moments of the run, the last at `step`

    @property
    def epochs(self) -> float | None:
        """How often the training text had been seen, in passes."""
        return None if self.unique_tokens is None else self.tokens_seen / self.unique_tokens

    @property
    def lr_fraction(self) -> float:
        """Learning rate at this step, as a share of its peak."""
        return self.learning_rate / self.peak_learning_rate

    @property
    def label(self) -> str:
        """Return a short name for messages: run and step."""
        return f"{self.run}@{self.step}"


@dataclass(frozen=True)
class QuantScheme:
    """How weights are rounded. `method = none` is the 16-bit baseline; `group_size = None` means one scale a row."""

    method: str = "none"
    bits: int | None = None
    group_size: int | None = None
    symmetric: bool | None = None
    rel_damp: float | None = None  # first rung of the damping ladder, as a share of the mean Hessian diagonal
    calib_dataset: str | None = None
    calib_sha256: str | None = None
    calib_sequences: int | None = None
    calib_seq_len: int | None = None
    calib_seed: int | None = None
    hessian_dtype: str = "float32"  # of the calibration's forward pass and of the Hessian's products
    propagate: str = "quantized"  # the next block is calibrated on the activations of the rounded ones
    format: str = "int"
    grid_search: str = "minmax"  # or mse: the range of each group shrunk to the least squared error
    order: str = "given"  # or activation: columns with the largest inputs first
    kept_matrices: tuple[str, ...] = ()  # stay in 16 bits, such as 0.attention.dense: block and layer; sorted
    outlier_share: float | None = None  # of each matrix's weights, that stay in 16 bits
    average_bits: float | None = None  # of a method that gives each channel bits of its own; `bits` are its most
    activation_format: str | None = None  # of the rounded matrices' inputs; None: they stay as they are
    activation_bits: int | None = None
    activation_group_size: int | None = None  # neighbouring inputs that share a scale; None: all of a token's
    activation_exponent: float | None = None  # the token's share in the scale of an input, the channel has the rest

    def __post_init__(self) -> None:
        if self.method == "none":
            return
        for name, accepted in (
            ("format", FORMATS),
            ("grid_search", ("minmax", "mse")),
            ("order", ("given", "activation")),
            ("hessian_dtype", DTYPES),
        ):
            if getattr(self, name) not in accepted:
                raise SpecError(f"'{name}' is '{getattr(self, name)}'; accepted: {', '.join(accepted)}")
        if self.bits not in BITS_ACCEPTED:
            raise SpecError(f"'bits' is {self.bits!r}; accepted: {BITS_ACCEPTED.start} to {BITS_ACCEPTED.stop - 1}")
        if self.group_size is not None and self.group_size < 1:
            raise SpecError(f"'group_size' is {self.group_size}; accepted: 1 or more, or null for one scale a row")
        if self.symmetric is None:
            raise SpecError("missing key 'symmetric'; accepted: true, false")
        if list(self.kept_matrices) != sorted(set(self.kept_matrices)):
            raise SpecError(f"'kept_matrices' is {self.kept_matrices!r}; accepted: names in order, each once")
        self._refuse_activations()

    def _refuse_activations(self) -> None:
        if self.activation_format is None:
            given = [name for name in ACTIVATION_FIELDS if getattr(self, name) is not None]
            if given:
                raise SpecError(f"'{given[0]}' without 'activation_format'; accepted: {', '.join(ACTIVATION_FORMATS)}")
            return
        if self.activation_format not in ACTIVATION_FORMATS:
            accepted = ", ".join(ACTIVATION_FORMATS)
            raise SpecError(f"'activation_format' is '{self.activation_format}'; accepted: {accepted}, or null")
        if self.activation_bits not in BITS_ACCEPTED:
            accepted = f"{BITS_ACCEPTED.start} to {BITS_ACCEPTED.stop - 1}"
            raise SpecError(f"'activation_bits' is {self.activation_bits!r}; accepted: {accepted}")
        group = self.activation_group_size
        if group is not None and (self.activation_format == "int" or group < 1):
            raise SpecError(f"'activation_group_size' is {group}; accepted: 1 or more for mxint, null for int")
        exponent = self.activation_exponent
        if (self.activation_format == "int") != (exponent is not None) or not 0 <= (exponent or 0) <= 1:
            raise SpecError(f"'activation_exponent' is {exponent!r}; accepted: 0 to 1 for int, null for mxint")

    @property
    def assignment_sha256(self) -> str | None:
        """Return the hash of which matrices stay in 16 bits, or None where all are rounded."""
        return digest(self.kept_matrices) if self.kept_matrices else None

    @property
    def scheme_id(self) -> str:
        """Return the scheme's content address."""
        return digest(key_of(self))

    @property
    def label(self) -> str:
        """Return a short name for messages, for example `gptq 3 bits g32`."""
        if self.method == "none":
            return "16-bit baseline"
        group = "per row" if self.group_size is None else f"g{self.group_size}"
        options = [self.format] if self.format != "int" else ["symmetric" if self.symmetric else "asymmetric"]
        options += ["MSE grid"] if self.grid_search == "mse" else []
        options += ["activation order"] if self.order == "activation" else []
        options += [f"mean {self.average_bits:g} bits"] if self.average_bits else []
        options += [f"activations {self.activation_format}{self.activation_bits}"] if self.activation_format else []
        options += [f"{len(self.kept_matrices)} matrices kept"] if self.kept_matrices else []
        return f"{self.method} {self.bits} bits {group} {', '.join(options)}"


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
    learning_rate: float
    peak_learning_rate: float
    lr_fraction: float
    lr_phase: str
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
    learning_rate: float  # a step
    peak_learning_rate: float  # a step
    lr_fraction: float  # share of the peak
    lr_phase: str
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
    learning_rate: float
    lr_fraction: float
    lr_phase: str
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
