"""Round-to-nearest: each weight goes to the nearest value of its group's grid; no calibration.

Formats: `int` (min-max grids), `mxint` and `mxfp` (microscaling; `mxfp` at 4 bits is MXFP4). Stored bits: a 16-bit
scale and, if asymmetric, a zero point as wide as a code for each group of `int`; the 8-bit scale of a microscaling
block.
"""

from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.rounding import grids, microscaling
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import by_matrix
from helpers.measure.rounding.refusals import PLAIN, not_accepted
from helpers.measure.rounding.stored_bits import grid_bits
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=False, mixed=True, experts=True, activations=("mxint", "int"))


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why round-to-nearest can't do `scheme`, or None; any decoder will do."""
    accepted: dict[str, tuple[object, ...]] = {"format": ("int", "mxint", "mxfp"), **PLAIN}
    if scheme.format != "int":
        accepted["symmetric"] = (True,)
    if scheme.format == "mxfp":
        accepted["bits"] = (4,)
    return not_accepted(scheme, **accepted)


def round_matrix(weight: Tensor, scheme: QuantScheme) -> IntegerWeight | Tensor:
    """Round a matrix (rows, columns) as `scheme` says; a microscaling format gives float32 values."""
    bits = given(scheme.bits)
    if scheme.format == "mxint":
        return microscaling.round_to_mxint(weight, bits, scheme.group_size)
    if scheme.format == "mxfp":
        return microscaling.round_to_mxfp4(weight, scheme.group_size)
    return grids.round_to_integer(weight, bits, given(scheme.symmetric), scheme.group_size)


def group_bits(scheme: QuantScheme) -> int:
    """Return the bits stored for a group beside its codes."""
    return grid_bits(scheme) if scheme.format == "int" else microscaling.SCALE_BITS


quantize = by_matrix(round_matrix, group_bits)
