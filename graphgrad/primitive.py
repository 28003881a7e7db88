"""The record of one operation, and the table of all of them.

A `Primitive` holds everything the rest of graphgrad knows about an operation, as data: how NumPy
computes it, its shape and type, its derivative rules, its SymPy form, its scalar code for the
compilers, how it is written in text and LaTeX, and the cases the tests try. It is also the
function the user calls: on nodes it makes a node, on plain numbers and arrays it computes.

The derivative rules run on nodes and on arrays alike, for they are written with operators and
with primitives. So the rule that makes a gradient graph is the very rule that computes numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphgrad.dtypes import Dtype
from graphgrad.errors import DefinitionError, DtypeError
from graphgrad.shapes import Shape

__all__ = ["ATOM", "TABLE", "Case", "Kink", "Operand", "Primitive"]

Settings = Mapping[str, Any]
Rule = Callable[..., Any] | int | float | None
ATOM = 9
"""Precedence of text that never needs brackets around it."""


class Operand:
    """What a graph node derives from, so that a primitive knows it when it meets one."""

    __slots__ = ()

    def _apply(self, primitive: Primitive, inputs: Sequence[Any], settings: Settings) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Case:
    """One call for the tests: shapes stand for random floating arrays, settings for themselves."""

    args: tuple[Any, ...]
    settings: Settings


@dataclass(frozen=True)
class Kink:
    """A point where the derivative does not exist or jumps, and the one used there."""

    at: tuple[float, ...]
    partials: tuple[float, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Primitive:
    """One operation, described once.

    Attributes:
        name: its name in the table, in `gg` and in expression text.
        doc: the public docstring.
        forward: NumPy arrays in, one array out; settings by keyword.
        shape: input shapes in, output shape out; settings by keyword.
        dtype: input types in, output type out; a setting called "dtype" overrules it.
        kind: the loop it is for an executor: map, reduce, matmul, conv, move, gather, scatter,
            random.
        rules: one per input, ``rule(g, y, *xs, **settings)`` -> contribution to that input's
            adjoint; None where no gradient exists (masks, indices). One rule that takes
            `position` serves any number of inputs when `variadic`.
        variadic: whether it takes any number of inputs.
        prepare: ``(args) -> (inputs, settings)``; gives the public signature and checks it.
        sympy: ``(sympy module, *expressions, **settings) -> expression``, for scalars.
        entries: ``(scalar functions, *object arrays, **settings) -> object array``: the
            operation on arrays of symbols or scalar nodes; None where `forward` does that.
        code: scalar code, ``{0}`` the first input, ``{name}`` a setting.
        text, latex: templates with #1, #2 … for the inputs; a function of the settings gives one.
        precedence: of `text`: 1 sums, 2 products, 3 signs, 4 powers, ATOM closed forms.
        silent: whether formulas of derivative rules may leave it out: it only rearranges.
        commutative: whether its two inputs may change places.
        lower: ``(*nodes, **settings) -> node or None``: the same in simpler primitives, for the
            compilers; None when these inputs allow nothing simpler.
        lower_gpu: the same for a GPU, where products read windows in place; None where it is not
            to be preferred to `lower`.
        combine: of a reduction, its start and its step as scalar code, {0} the value so far.
        symbol: what its node shows in a picture.
        linear: "each" when linear in each input alone, "all" when in all together, else "".
        analytic: `forward` continued to complex numbers, for the complex step; None when
            `forward` itself is analytic.
        domain: per input an interval (low, high) inside which it is smooth, for tests and proofs.
        kinks: points of convention, with the partial derivatives used there.
        convention: the sentence that says so.
        cases: calls for the tests (`Case`), for what is not elementwise.
    """

    name: str
    doc: str
    forward: Callable[..., Any]
    shape: Callable[..., Shape]
    dtype: Callable[..., Dtype]
    kind: str
    rules: tuple[Rule, ...] = ()
    variadic: bool = False
    prepare: Callable[..., tuple[Sequence[Any], Settings]] | None = None
    sympy: Callable[..., Any] | None = None
    entries: Callable[..., Any] | None = None
    code: str | None = None
    text: str | Callable[..., str] | None = None
    latex: str | Callable[..., str] | None = None
    precedence: int = ATOM
    silent: bool = False
    commutative: bool = False
    lower: Callable[..., Any] | None = None
    lower_gpu: Callable[..., Any] | None = None
    combine: tuple[str, str] | None = None
    symbol: str = ""
    linear: str = ""
    analytic: Callable[..., Any] | None = None
    domain: tuple[tuple[float, float], ...] = ()
    kinks: tuple[Kink, ...] = ()
    convention: str = ""
    cases: tuple[Case, ...] = ()
    signature: inspect.Signature = field(init=False)

    def __post_init__(self) -> None:
        signature = signature_of(self.prepare or self.forward, self.rules)
        object.__setattr__(self, "signature", signature)
        object.__setattr__(self, "__signature__", self.signature)
        object.__setattr__(self, "__doc__", self.doc)
        object.__setattr__(self, "__name__", self.name)
        object.__setattr__(self, "__module__", "graphgrad")

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """Return a node if any input is one, else the number or array that `forward` gives."""
        if self.prepare is not None:
            inputs, settings = self.prepare(*args, **settings)  # type: ignore[assignment]
        else:
            inputs = args
            if settings or len(args) != len(self.signature.parameters):
                self.signature.bind(*args, **settings)
        for x in inputs:
            if isinstance(x, Operand):
                return x._apply(self, inputs, settings)
        if not any(hasattr(x, "dtype") for x in inputs):
            inputs = [np.asarray(x)[()] for x in inputs]
        for x in inputs:
            if np.asarray(x).dtype.kind not in "fiubc":
                raise DtypeError(
                    f"{self.name}: expected numbers, arrays or nodes, got {type(x).__name__} {x!r}"
                )
        return self.forward(*inputs, **settings)

    def vjp(self, i: int, g: Any, y: Any, xs: Sequence[Any], settings: Settings) -> Any:
        """Return the contribution of ``y = self(*xs)`` to the adjoint of input `i`.

        Args:
            i: the position of the input.
            g: the adjoint of `y`, of y's shape; a node or an array, as are `y` and `xs`.

        Returns:
            A node or an array of the input's shape, or the number 0 when the derivative is zero
            everywhere or does not exist.
        """
        if self.variadic:
            return self.rules[0](g, y, *xs, position=i, **settings)  # type: ignore[operator,misc]
        rule = self.rules[i]
        return rule(g, y, *xs, **settings) if callable(rule) else 0

    def has_rule(self, i: int) -> bool:
        """Return whether a gradient can flow to input `i` at all."""
        return self.rules[0 if self.variadic else i] is not None

    def template(self, which: str, settings: Settings) -> str | None:
        """Return the `text` or `latex` template for these settings."""
        given = getattr(self, which)
        return given(**settings) if callable(given) else given


def signature_of(function: Callable[..., Any], rules: Sequence[Rule]) -> inspect.Signature:
    """Return a Python function's signature; for a function of NumPy or C, one input per rule."""
    if inspect.isfunction(function):
        return inspect.signature(function)
    names = ["x"] if len(rules) == 1 else ["a", "b", "c"][: len(rules)]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(name, kind) for name in names])


TABLE: dict[str, Primitive] = {}
"""Every primitive by name, in the order of the rule book."""


def register(primitive: Primitive) -> Any:
    """Enter a primitive into the table and return it; a second one of that name is an error."""
    if primitive.name in TABLE:
        raise DefinitionError(f"primitive {primitive.name!r} is defined twice")
    TABLE[primitive.name] = primitive
    return primitive
