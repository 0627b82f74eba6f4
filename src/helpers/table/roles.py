"""Roles and meanings of columns, said beside the field: `Annotated[float | None, outcome("mean loss, ...")]`.

`key` columns make a row what it is, `covariate`s describe the weights, how they were rounded and on which text,
`outcome`s are what was found, `diagnostics` what happened on the way, `provenance` when, where and with what.
"""

from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Meaning:
    """The meaning of a column (`text`), with its unit, and what the column is for (`role`)."""

    role: str
    text: str


key = partial(Meaning, "key")
covariate = partial(Meaning, "covariate")
outcome = partial(Meaning, "outcome")
diagnostics = partial(Meaning, "diagnostics")
provenance = partial(Meaning, "provenance")
