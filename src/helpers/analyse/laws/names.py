"""What laws are called on the command line and in `results/fits.json`. Light: nothing here is fitted or read."""

from helpers.analyse.laws.forms import (
    BitsLaw,
    ExponentialLaw,
    FreeBitsLaw,
    GroupSizeLaw,
    LearningRateLaw,
    LossLaw,
    LossPowerBitsLaw,
    OneBitWidthLaw,
    RoomLaw,
    SizeLaw,
    StepsLaw,
    TokensLaw,
    UnifiedLaw,
)
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.laws.shapes import OnsetLaw, SaturatingLaw, ThresholdBySizeLaw, ThresholdLaw
from helpers.analyse.laws.variables import VARIABLES

FORMS: dict[str, type[Law]] = {
    "power": UnifiedLaw,
    "one-bit-width": OneBitWidthLaw,
    "tokens": TokensLaw,
    "size": SizeLaw,
    "bits": BitsLaw,
    "exponential": ExponentialLaw,
    "steps": StepsLaw,
    "free-bits": FreeBitsLaw,
    "saturating": SaturatingLaw,
    "threshold": ThresholdLaw,
    "threshold-by-size": ThresholdBySizeLaw,
    "onset": OnsetLaw,
    "loss": LossLaw,
    "loss-power-bits": LossPowerBitsLaw,
    "room": RoomLaw,
    "learning-rate": LearningRateLaw,
    "group-size": GroupSizeLaw,
}
PER_BIT = "power-per-bit"  # one `one-bit-width` law a bit width; its fits are named power-per-bit-2, ...
LAW_NAMES = (*FORMS, PER_BIT, *PUBLISHED)


def law_words(name: str) -> dict[str, object]:
    """Return what a law is: `law`, `kind`, what it `says`, the variables it `needs`, and the `source` of constants."""
    laws = PUBLISHED.get(name, {})
    several = list(laws.values()) if isinstance(laws, dict) else [laws]
    law_type = type(several[0]) if several else FORMS["one-bit-width" if name == PER_BIT else name]
    return {
        "law": name,
        "kind": "published" if several else "fitted",
        "says": ("one law a bit width: " if len(several) > 1 or name == PER_BIT else "")
        + law_type.__doc__.splitlines()[0],
        "needs": {variable: VARIABLES[variable] for variable in law_type.needs()},
        "source": "; ".join(law.source for law in several) or None,
    }
