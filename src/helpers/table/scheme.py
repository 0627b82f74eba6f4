"""A scheme: how weights, and inputs, are rounded."""

from dataclasses import dataclass
from typing import Annotated

from helpers.table.errors import SpecError
from helpers.table.records import digest, key_of
from helpers.table.roles import covariate

BITS_ACCEPTED = range(2, 9)
FORMATS = ("int", "mxint", "mxfp", "nf4", "codebook", "ternary")
ACTIVATION_FORMATS = ("mxint", "int")
ACTIVATION_FIELDS = ("activation_bits", "activation_group_size", "activation_exponent")
DTYPES = ("float32", "tfloat32", "bfloat16")  # tfloat32: float32 tensors, matrix products in TF32


@dataclass(frozen=True)
class QuantScheme:
    """A way to round weights. `method = none` is the 16-bit baseline; `group_size = None` means one scale per row."""

    method: Annotated[str, covariate("how weights were rounded; none: the 16-bit baseline")] = "none"
    bits: Annotated[int | None, covariate("bits of a code (P); null for the baseline")] = None
    group_size: Annotated[
        int | None, covariate("neighbouring weights of a row that share a scale; null: the whole row")
    ] = None
    symmetric: Annotated[bool | None, covariate("whether the grid has zero in its middle and so no zero point")] = None
    rel_damp: Annotated[
        float | None, covariate("damping asked for first, as a share of the Hessian's mean diagonal")
    ] = None
    calib_dataset: Annotated[str | None, covariate("name of the calibration text")] = None
    calib_sha256: Annotated[str | None, covariate("hash of the calibration tokens")] = None
    calib_sequences: Annotated[int | None, covariate("calibration sequences")] = None
    calib_seq_len: Annotated[int | None, covariate("tokens a calibration sequence")] = None
    calib_seed: Annotated[int | None, covariate("seed of the draw of calibration sequences")] = None
    hessian_dtype: Annotated[
        str,
        covariate("number format of the calibration's forward pass and the Hessian's products, as in `eval_dtype`"),
    ] = "float32"
    propagate: Annotated[
        str,
        covariate("what the next block is calibrated on: activations of the quantized or the full_precision blocks"),
    ] = "quantized"
    format: Annotated[str, covariate("of a code: int (evenly spaced), mxint, mxfp, nf4, codebook or ternary")] = "int"
    grid_search: Annotated[
        str, covariate("how a group's range is found: minmax, or mse (shrunk to the least squared error)")
    ] = "minmax"
    order: Annotated[
        str, covariate("of columns in GPTQ: given, or activation (those with the largest inputs first)")
    ] = "given"
    # such as 0.attention.dense, sorted
    kept_matrices: Annotated[
        tuple[str, ...],
        covariate("linear layers that stay in 16 bits, as block and layer: the assignment; empty: none"),
    ] = ()
    outlier_share: Annotated[float | None, covariate("share of each matrix's weights that stay in 16 bits")] = None
    # `bits` are the most that a channel may have
    average_bits: Annotated[
        float | None,
        covariate("mean bits of a code where each channel has bits of its own"),
    ] = None
    activation_format: Annotated[
        str | None, covariate("of the codes of the rounded matrices' inputs: mxint or int; null: they stay as they are")
    ] = None
    activation_bits: Annotated[int | None, covariate("bits of such a code")] = None
    activation_group_size: Annotated[
        int | None, covariate("neighbouring inputs of a token that share a scale; null: all of them")
    ] = None
    activation_exponent: Annotated[
        float | None, covariate("of int: the token's share in the scale of an input; the channel has the rest")
    ] = None
    unreached_experts: Annotated[
        str | None,
        covariate(
            "how experts are rounded that get fewer calibration tokens than columns: rtn; null: they are refused"
        ),
    ] = None
    noise_seed: Annotated[
        int | None, covariate("seed of the draw of Gaussian noise that stands in the place of rounding")
    ] = None

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
        """Return the hash of the names of the matrices that stay in 16 bits, or None where all are rounded."""
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
        options += ["unreached experts to nearest"] if self.unreached_experts else []
        options += [f"draw {self.noise_seed}"] if self.noise_seed is not None else []
        options += [f"{len(self.kept_matrices)} matrices kept"] if self.kept_matrices else []
        return f"{self.method} {self.bits} bits {group} {', '.join(options)}"
