"""CrossQuant: 8-bit weights, and inputs under scales from both their token and their channel (arXiv 2410.07505).

Weights are rounded to nearest on symmetric 8-bit grids. The scale of an input is t^a c^(1 - a) / (2^(bits - 1) - 1)
for t the largest magnitude of its token, c that of its channel in the sequence, and a the `activation_exponent`
(`helpers.measure.rounding.input_rounding`); a = 1 would be the usual scale per token, which is `rtn` with the same
inputs. What it is for is the kernel: the inputs that become zero (`helpers.measure.describing.kernel_shares`). Which
of the two magnitudes the paper's exponent belongs to is as we know it, not as we read it.

Stored bits: 8 per weight and a 16-bit scale per group or row; scales of inputs are made on the way and not stored.
"""

from transformers import PretrainedConfig

from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods import rtn
from helpers.measure.rounding.methods.matrices import by_matrix
from helpers.measure.rounding.refusals import PLAIN, not_accepted, said_wrong
from helpers.measure.rounding.stored_bits import grid_bits
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=False, mixed=True, activations=("int",))


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why CrossQuant can't do `scheme`, or None; any decoder will do."""
    fault = not_accepted(scheme, format=("int",), bits=(8,), symmetric=(True,), activation_format=("int",), **PLAIN)
    if fault is None and scheme.activation_exponent == 1:
        return said_wrong(scheme, "activation_exponent", "0 to less than 1; with 1 it is rtn")
    return fault


quantize = by_matrix(rtn.round_matrix, grid_bits)
