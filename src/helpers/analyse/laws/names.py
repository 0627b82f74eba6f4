"""Names of the laws, on the command line and in `results/fits.json`. Light: nothing here is fitted or read."""

from types import ModuleType
from typing import Any

from helpers.analyse.laws import forms, joint, loss, shapes
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.laws.variables import VARIABLES, LawError


def laws_of(*modules: ModuleType) -> dict[str, type[Law]]:
    """Return the laws that modules define with a `NAME` of their own, by name, in the order of their text.

    Raises LawError where two have the same name.
    """
    named: dict[str, type[Law]] = {}
    for module in modules:
        for law in vars(module).values():
            if not (isinstance(law, type) and issubclass(law, Law) and law.__module__ == module.__name__):
                continue
            if "NAME" not in vars(law):  # a base of others
                continue
            if law.NAME in named:
                raise LawError(f"{named[law.NAME].__name__} and {law.__name__} are both named '{law.NAME}'")
            named[law.NAME] = law
    return named


FORMS = laws_of(forms, shapes)  # in tokens, size and bits, and what may come on top
JOINT_FORMS = laws_of(joint)  # in quantization ratio and block size as well
LOSS_LAWS = laws_of(loss)  # of the loss itself, in 16 bits or after rounding
PER_BIT = "power-per-bit"  # one `one-bit-width` law per bit width; its fits are named power-per-bit-2, ...
LAW_NAMES = (*FORMS, PER_BIT, *PUBLISHED)
ELSEWHERE = {**JOINT_FORMS, **LOSS_LAWS}  # in chapters only: no command fits them


def law_words(name: str) -> dict[str, Any]:
    """Return a law's description: `law`, `kind`, what it `says`, the variables it `needs`, `source` of constants."""
    laws = PUBLISHED.get(name, {})
    several = [laws] if isinstance(laws, Law) else list(laws.values())
    law_type = type(several[0]) if several else {**FORMS, **ELSEWHERE}["one-bit-width" if name == PER_BIT else name]
    sentence = (law_type.__doc__ or law_type.__name__).splitlines()[0]
    return {
        "law": name,
        "kind": "published" if several else "in chapters" if name in ELSEWHERE else "fitted",
        "says": ("one law a bit width: " if len(several) > 1 or name == PER_BIT else "") + sentence,
        "needs": {variable: VARIABLES[variable] for variable in law_type.needs()},
        "source": "; ".join(law.source for law in several) or None,
    }
