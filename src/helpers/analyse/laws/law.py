"""Laws of quantization-induced degradation (QiD): how much loss rounding adds, as a function of D, N and P.

Symbols and units, in every law: QiD in nats per token; D, training tokens seen; N, non-embedding parameters;
P, bits per weight. A law is a frozen record whose parameters carry the paper's names; it predicts QiD and is
solved for any of its variables. Arguments may be scalars or arrays of shapes that broadcast together.

A fit sees a law through `evaluate`: ln QiD of rows and its slopes, as a function of *coefficients*. Coefficients are
the parameters, but for those in `LOGS` (their logarithm, `ln_k`) and in `INVERSES` (`1/g_post`). A law is a product of
`TERMS`, and then ln QiD is linear in the coefficients; terms with one parameter share it, as those of a power of D / N
do; a law that is more overrides `evaluate`. The machinery is here, the laws are in `forms`, `shapes`, `joint` and
`loss`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.variables import SEARCHED, VARIABLES, LawError, Scale, Term, ValidityRange, Variables

GRID_POINTS = 241  # of the search for a solution without a closed form
BISECTIONS = 60  # of one cell of that grid, at most 0.25 in ln: far below rounding error


def bisect(above: Callable[[FloatArray], NDArray[np.bool_]], variable: str, shape: tuple[int, ...]) -> FloatArray:
    """Return the value at which `above` changes between the ends of a variable in `SEARCHED`: the largest if several.

    `above` takes and returns arrays of `shape`. A grid finds the change, bisection of the logarithm refines it. Raises
    LawError where there is none.
    """
    first, end = np.log(SEARCHED[variable])
    grid = np.linspace(first, end, GRID_POINTS)
    sides = np.stack([above(np.full(shape, math.exp(one))) for one in grid])
    changes = sides[1:] != sides[:-1]
    if not np.all(changes.any(axis=0)):
        ends = "{:g} and {:g}".format(*SEARCHED[variable])
        raise LawError(f"no {VARIABLES[variable]} between {ends} is a solution")
    last = GRID_POINTS - 2 - np.argmax(changes[::-1], axis=0)
    low: FloatArray = grid[last]
    high: FloatArray = grid[last + 1]
    rising = np.take_along_axis(sides, last[None] + 1, axis=0)[0]
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        beyond = above(np.exp(middle)) == rising
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return np.exp((low + high) / 2)


@dataclass(frozen=True)
class Law:
    """The base of all laws. A subclass adds its parameters as fields: the factor, the terms', then the others."""

    source: str = field(kw_only=True)
    validity: ValidityRange = field(kw_only=True)

    NAME: ClassVar[str]  # what commands and files call the law; a class without one of its own has no name there
    TERMS: ClassVar[tuple[Term, ...]]
    LOGS: ClassVar[frozenset[str]] = frozenset({"k"})
    INVERSES: ClassVar[frozenset[str]] = frozenset()
    HELD: ClassVar[tuple[str, ...]] = ()  # variables that the law doesn't have: one value per law, that of `validity`
    ONLY: ClassVar[dict[str, tuple[float, ...]]] = {}  # the values a variable may have, where not every one is meant
    TOKEN_POWERS: ClassVar[dict[str, int]] = {}  # of coefficients beyond the terms: the power of tokens in their unit

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """Return the names of the parameters, in order: the fields but for `source` and `validity`."""
        return tuple(field.name for field in dataclasses.fields(cls) if not field.kw_only)

    @classmethod
    def coefficient_names(cls) -> tuple[str, ...]:
        """Return the names of the coefficients, in order: `ln_k` for k, `1/g` for an inverse, else the parameter's."""
        prefixes = dict.fromkeys(cls.LOGS, "ln_") | dict.fromkeys(cls.INVERSES, "1/")
        return tuple(prefixes.get(name, "") + name for name in cls.parameter_names())

    @classmethod
    def term_parameters(cls) -> tuple[str, ...]:
        """Return the parameters of the terms, in order, each once: they follow the factor."""
        return tuple(dict.fromkeys(term.parameter for term in cls.TERMS))

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Return the variables that the law needs, those it holds at one value included."""
        return tuple(dict.fromkeys([*(term.variable for term in cls.TERMS), *cls.HELD]))

    @classmethod
    def variables(cls, given: Mapping[str, ArrayLike | None]) -> Variables:
        """Return the law's variables out of `given`, broadcast. Raises LawError where one is missing or impossible."""
        for name in cls.needs():
            if given.get(name) is None:
                raise LawError(f"{cls.__name__} needs {VARIABLES[name]} ('{name}')")
            values = np.asarray(given[name], float)
            if not np.all(values > 0) and not (name == "lr_fraction" and np.all(values >= 0)):
                raise LawError(f"{VARIABLES[name]} ('{name}') must be known and positive everywhere")
            if name in cls.ONLY and not np.all(np.isin(values, cls.ONLY[name])):
                raise LawError(f"{cls.__name__} is for {VARIABLES[name]} of {', '.join(map(str, cls.ONLY[name]))} only")
        arrays = np.broadcast_arrays(*(np.asarray(given[name], float) for name in cls.needs()))
        return dict(zip(cls.needs(), arrays, strict=True))

    @classmethod
    def design_matrix(
        cls, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike, **covariates: ArrayLike
    ) -> FloatArray:
        """Return the columns (1, ln D, -ln N, ...) of the terms' parameters: shape (..., 1 + parameters)."""
        return cls.columns(cls.variables({"tokens": tokens, "n_params": n_params, "bits": bits, **covariates}))

    @classmethod
    def columns(cls, x: Variables) -> FloatArray:
        """Return the columns of the terms' parameters, ones first, for variables from `variables`.

        The shape is (..., 1 + parameters).
        """
        parts = {
            name: [term.column(x) for term in cls.TERMS if term.parameter == name] for name in cls.term_parameters()
        }
        ones = np.ones(np.shape(next(iter(x.values()))))
        return np.stack([ones, *(np.sum(columns, axis=0) for columns in parts.values())], axis=-1)

    @classmethod
    def evaluate(cls, coefficients: FloatArray, x: Variables) -> tuple[FloatArray, FloatArray]:
        """Return ln QiD, shape (...), and its slopes in the coefficients, shape (..., coefficients)."""
        columns = cls.columns(x)
        return columns @ coefficients[: columns.shape[-1]], columns

    @classmethod
    def starts(cls, x: Variables) -> list[dict[str, float]]:
        """Return starting values of the coefficients beyond the terms', by name: one dict per start."""
        return [{}]

    @classmethod
    def bounds(cls, x: Variables) -> dict[str, tuple[float, float]]:
        """Return bounds (low, high) of coefficients, by name."""
        return {}

    @classmethod
    def from_coefficients(cls, coefficients: FloatArray, source: str, validity: ValidityRange) -> Self:
        """Build the law from its coefficients, in the order of `coefficient_names`."""
        values = [
            math.exp(value) if name in cls.LOGS else float(1 / value) if name in cls.INVERSES else float(value)
            for name, value in zip(cls.parameter_names(), coefficients, strict=True)
        ]
        return cls(*values, source=source, validity=validity)

    @classmethod
    def is_product(cls) -> bool:
        """Return whether the law is its terms and nothing more: ln QiD is then linear in the coefficients."""
        return not any("evaluate" in vars(base) for base in cls.__mro__ if base is not Law)

    @property
    def coefficients(self) -> FloatArray:
        """Return the coefficients, in the order of `coefficient_names`."""
        values = {name: getattr(self, name) for name in self.parameter_names()}
        logs = {name: math.log(values[name]) for name in self.LOGS}
        return np.array(list((values | logs | {name: 1 / values[name] for name in self.INVERSES}).values()))

    def ask(self, given: Mapping[str, ArrayLike | None]) -> Variables:
        """Return the law's variables of `given`. Raises LawError also for another value of one that is held."""
        x = self.variables(given)
        for name in self.HELD:
            held = self.validity.of(name)[0]
            if np.any(x[name] != held):
                asked = ", ".join(f"{value:g}" for value in np.unique(x[name]))
                raise LawError(f"a law of {VARIABLES[name]} = {held:g} was asked about {asked}")
        return x

    def predict(
        self,
        tokens: ArrayLike | None = None,
        n_params: ArrayLike | None = None,
        bits: ArrayLike | None = None,
        **covariates: ArrayLike,
    ) -> FloatArray:
        """Return QiD in nats per token, in the broadcast shape of the arguments. Raises LawError (see `ask`)."""
        x = self.ask({"tokens": tokens, "n_params": n_params, "bits": bits, **covariates})
        return np.exp(self.evaluate(self.coefficients, x)[0])

    def solve(self, variable: str, qid_nats: ArrayLike, **known: ArrayLike) -> FloatArray:
        """Return the value of `variable` at which QiD is `qid_nats`, all others `known`, in the broadcast shape.

        Closed form where every term with the variable reads it on one scale and there is nothing but terms, else the
        largest solution inside `SEARCHED`. Raises LawError where the law doesn't have the variable or no solution is.
        """
        if variable not in self.needs() or variable in self.HELD or variable in self.ONLY:
            raise LawError(f"{type(self).__name__} can't be solved for {VARIABLES.get(variable, variable)}")
        target = np.asarray(qid_nats, float)
        if not np.all(target > 0):
            raise LawError("a law is solved for a positive QiD")
        x = self.ask({**known, variable: 2.0})  # any value: a line is known from one point and its slope
        scales = {term.scale for term in self.TERMS if term.variable == variable}
        if self.is_product() and len(scales) == 1:
            return self._solve_closed(variable, scales.pop(), np.log(target), x)
        return self._solve_by_bisection(variable, np.log(target), x)

    def _solve_closed(self, variable: str, scale: Scale, log_target: FloatArray, x: Variables) -> FloatArray:
        value_of = dict(zip(self.term_parameters(), self.coefficients[1:], strict=True))
        slope = sum(term.sign * value_of[term.parameter] for term in self.TERMS if term.variable == variable)
        if scale.back is None:
            raise LawError(f"{type(self).__name__} can't be solved for {VARIABLES[variable]}")
        if slope == 0:
            raise LawError(f"QiD of this law is the same at every {VARIABLES[variable]}")
        return scale.back(scale.of(x[variable]) + (log_target - self.evaluate(self.coefficients, x)[0]) / slope)

    def _solve_by_bisection(self, variable: str, log_target: FloatArray, x: Variables) -> FloatArray:
        shape = np.broadcast_shapes(log_target.shape, x[variable].shape)
        x = {name: np.broadcast_to(values, shape) for name, values in x.items()}
        return bisect(
            lambda values: self.evaluate(self.coefficients, x | {variable: values})[0] > log_target, variable, shape
        )

    def tokens_at(self, qid_nats: ArrayLike, n_params: ArrayLike, bits: ArrayLike, **more: ArrayLike) -> FloatArray:
        """Return the training tokens D at which QiD reaches `qid_nats`, in the broadcast shape."""
        return self.solve("tokens", qid_nats, n_params=n_params, bits=bits, **more)

    def n_params_at(self, qid_nats: ArrayLike, tokens: ArrayLike, bits: ArrayLike, **more: ArrayLike) -> FloatArray:
        """Return the size N at which QiD has fallen to `qid_nats`, in the broadcast shape."""
        return self.solve("n_params", qid_nats, tokens=tokens, bits=bits, **more)

    def bits_at(self, qid_nats: ArrayLike, tokens: ArrayLike, n_params: ArrayLike, **more: ArrayLike) -> FloatArray:
        """Return the bits per weight P (not rounded to an integer) at which QiD has fallen to `qid_nats`."""
        return self.solve("bits", qid_nats, tokens=tokens, n_params=n_params, **more)
