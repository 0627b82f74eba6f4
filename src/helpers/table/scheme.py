"""A scheme: how weights, and inputs, are rounded."""

from dataclasses import dataclass

from helpers.table.errors import SpecError
from helpers.table.records import digest, key_of

BITS_ACCEPTED = range(2, 9)
FORMATS = ("int", "mxint", "mxfp", "nf4", "codebook")
ACTIVATION_FORMATS = ("mxint", "int")
ACTIVATION_FIELDS = ("activation_bits", "activation_group_size", "activation_exponent")
DTYPES = ("float32", "tfloat32", "bfloat16")  # tfloat32: float32 tensors, matrix products in TF32


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
