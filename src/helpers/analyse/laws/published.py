"""Laws with the constants that their papers print."""

import dataclasses
import math
from collections.abc import Mapping

from helpers.analyse.laws.forms import ExponentialLaw, OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import ANY_BITS, OuyangLossLaw
from helpers.analyse.laws.variables import ValidityRange

OUYANG_2024 = UnifiedLaw(
    k=0.017,
    beta=0.5251,
    alpha=0.2261,
    gamma=5.4967,
    source="Ouyang et al. 2024, arXiv 2411.17691, equation 8 and figure 6 (GPTQ, Pythia, RefinedWeb)",
    validity=ValidityRange(tokens=(1.07e9, 2.055e11), n_params=(8.506e7, 1.133e10), bits=(2, 4)),  # Pythia 160M to 12B
)


def _table_1_law(bits: float, k: float, beta: float, alpha: float) -> OneBitWidthLaw:
    source = f"fitted to the 16 {bits:g}-bit cells of Table 1, Ouyang et al. 2024, arXiv 2411.17691"
    validity = dataclasses.replace(OUYANG_2024.validity, bits=(bits, bits))
    return OneBitWidthLaw(k, beta, alpha, source=source, validity=validity)


# Table 1 of the paper was not made by its equation 8. These three (least squares of ln D, each cell weighted by its
# printed digits) are close to what made it; `published_tables.law_through_cells` finds laws that print all its cells.
OUYANG_2024_TABLE_1: dict[float, OneBitWidthLaw] = {
    2: _table_1_law(2, 3.786727e-4, 0.524053, 0.225002),
    3: _table_1_law(3, 1.170298e-5, 0.672732, 0.354690),
    4: _table_1_law(4, 6.132297e-6, 0.655060, 0.383503),
}
OUYANG_2024_LOSS = OuyangLossLaw(
    N_c=4.74e19,
    alpha_N=0.045,
    D_c=7.63e10,
    alpha_D=0.399,
    source="Ouyang et al. 2024, arXiv 2411.17691, equation 3 and figure 7 (Pythia, RefinedWeb)",
    validity=ValidityRange(tokens=(1.07e9, 2.055e11), n_params=(8.506e7, 1.133e10), bits=ANY_BITS),
)
# The paper's b (1.1277) is left out: it doesn't spell out where it belongs. Its bit widths are not
# known here, so that every prediction counts as an extrapolation.
KUMAR_2024 = ExponentialLaw(
    C_T=0.0598,
    g_D=0.5068,
    g_N=0.3439,
    g_post=0.5907,
    source="Kumar et al. 2024, arXiv 2411.04330, table 2 without b (GPTQ, Dolma, 30M to 220M parameters)",
    validity=ValidityRange(tokens=(1.5e9, 2.6e10), n_params=(3e7, 2.2e8), bits=(math.nan, math.nan)),
)
# Constants as printed, nothing fitted here; of several laws, one per bit width.
PUBLISHED: dict[str, Law | Mapping[float, Law]] = {
    "ouyang2024": OUYANG_2024,
    "ouyang2024-per-bit": OUYANG_2024_TABLE_1,
    "kumar2024": KUMAR_2024,
}
