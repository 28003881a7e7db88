"""How a primitive is written: `elementwise` and `structured` make its record and register it.

An elementwise primitive states one partial derivative per input, as a rule ``(y, *xs, **settings)``
or as a number where it is the same everywhere; broadcasting and summing back are done here, once.
A structured primitive states one contribution per input, as a rule ``(g, y, *xs, **settings)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from graphgrad import dtypes, shapes
from graphgrad.errors import DefinitionError, DtypeError
from graphgrad.primitive import (
    TABLE,
    Case,
    Kink,
    Primitive,
    Rule,
    Settings,
    register,
    signature_of,
)

__all__ = ["Elementwise", "case", "elementwise", "kink", "number", "structured"]

REAL = (-3.0, 3.0)
"""The interval from which tests draw inputs unless a block says otherwise."""


@dataclass(frozen=True, eq=False, repr=False)
class Elementwise(Primitive):
    """A primitive that maps entries to an entry; `partials` has one rule or number per input."""

    partials: tuple[Rule, ...] = ()

    def partial(self, i: int, y: Any, xs: Sequence[Any], settings: Settings) -> Any:
        """Return ∂y/∂x_i: a node, an array or a plain number; None where none exists."""
        rule = self.partials[i]
        return rule(y, *xs, **settings) if callable(rule) else rule

    def has_rule(self, i: int) -> bool:
        """Return whether a gradient can flow to input `i` at all."""
        return self.partials[i] is not None

    def vjp(self, i: int, g: Any, y: Any, xs: Sequence[Any], settings: Settings) -> Any:
        """Return ``g * ∂y/∂x_i``, summed over the axes along which x_i was broadcast."""
        rule = self.partials[i]
        local = rule(y, *xs, **settings) if callable(rule) else rule
        if local is None or (type(local) is int and local == 0):
            return 0
        if type(local) is int and local in (1, -1):
            product = g if local == 1 else -g
        else:
            product = g * local
        shape = xs[i].shape
        return product if product.shape == shape else TABLE["sum_to"](product, shape)


def elementwise(
    name: str,
    *,
    doc: str,
    forward: Callable[..., Any],
    partials: Sequence[Rule],
    sympy: Callable[..., Any],
    code: str,
    latex: str | Callable[..., str],
    text: str | Callable[..., str] | None = None,
    precedence: int = 9,
    symbol: str | None = None,
    dtype: Callable[..., Any] = dtypes.floating,
    domain: Sequence[tuple[float, float]] | None = None,
    kinks: Sequence[Kink] = (),
    convention: str = "",
    analytic: Callable[..., Any] | None = None,
    prepare: Callable[..., Any] | None = None,
    linear: str = "",
    commutative: bool = False,
    cases: Sequence[Case] = (),
    example: tuple[str, float] | None = None,
    lower: Callable[..., Any] | None = None,
) -> Primitive:
    """Define an elementwise primitive. The fields are those of `Primitive`, and `partials`.

    Its `cases` hold settings only: what the tests try. The kinks are stated for the first. The
    `example` is a call on numbers and its result to four decimals; the tests run it.

    Raises:
        DefinitionError: when the name is taken, a field does not fit the number of inputs, or
            settings without a default have no case for the tests.
    """
    n = len(partials)
    parameters = list(signature_of(prepare or forward, partials).parameters.values())
    if not cases and any(p.default is p.empty for p in parameters[n:]):
        raise DefinitionError(f"{name}: give at least one case, with settings for the tests to try")
    domain = tuple(domain or [REAL] * n)
    if len(domain) != n:
        raise DefinitionError(f"{name}: {n} partials, but {len(domain)} domains")
    if text is None:
        text = f"{name}({', '.join(f'#{k + 1}' for k in range(n))})"
    primitive = Elementwise(
        name=name,
        doc=_document(doc, convention) + _elementwise_document(parameters, n, example),
        forward=forward,
        shape=_broadcast,
        dtype=dtype,
        kind="map",
        rules=tuple(partials),
        partials=tuple(partials),
        prepare=prepare,
        sympy=sympy,
        code=code,
        text=text,
        latex=latex,
        precedence=precedence,
        symbol=name if symbol is None else symbol,
        linear=linear,
        commutative=commutative,
        lower=lower,
        analytic=analytic,
        domain=domain,
        kinks=tuple(kinks),
        cases=tuple(cases) or (case(),),
        convention=convention,
    )
    registered: Primitive = register(primitive)
    return registered


def structured(
    name: str,
    *,
    doc: str,
    forward: Callable[..., Any],
    shape: Callable[..., shapes.Shape],
    kind: str,
    vjp: Sequence[Rule] | Rule,
    dtype: Callable[..., Any] = dtypes.same,
    cases: Sequence[Case] = (),
    text: str | Callable[..., str] | None = None,
    latex: str | Callable[..., str] | None = None,
    symbol: str | None = None,
    convention: str = "",
    **fields: Any,
) -> Primitive:
    """Define a primitive that is more than a map; `vjp` is one rule per input, or one variadic.

    Raises:
        DefinitionError: when the name is taken or no case for the tests is given.
    """
    if not cases:
        raise DefinitionError(f"{name}: give at least one case, for the tests to try")
    variadic = callable(vjp)
    primitive = Primitive(
        name=name,
        doc=_document(doc, convention),
        forward=forward,
        shape=shape,
        dtype=dtype,
        kind=kind,
        rules=(vjp,) if variadic else tuple(vjp),  # type: ignore[arg-type]
        variadic=variadic,
        cases=tuple(cases),
        text=text,
        latex=latex,
        symbol=name if symbol is None else symbol,
        convention=convention,
        **fields,
    )
    registered: Primitive = register(primitive)
    return registered


def case(*args: Any, **settings: Any) -> Case:
    """Return a call for the tests: a tuple of sizes stands for a random array of that shape."""
    return Case(args, settings)


def kink(at: float | tuple[float, ...], *partials: float) -> Kink:
    """Return a point of convention and the partial derivatives used there."""
    return Kink(at if isinstance(at, tuple) else (at,), partials)


def number(name: str, value: Any) -> float:
    """Return a setting as a float, or say that a setting is no place for a node."""
    if isinstance(value, bool) or not (isinstance(value, Real) or hasattr(value, "__index__")):
        raise DtypeError(
            f"{name}={value!r}: expected a real number; a setting is part of the operation, "
            f"so a value to be learned or varied has to enter as an input"
        )
    return float(value)


def _broadcast(first: shapes.Shape, *more: shapes.Shape, **settings: Any) -> shapes.Shape:
    for shape in more:
        if shape != first:
            return shapes.broadcast(first, *more)
    return first


def _document(doc: str, convention: str) -> str:
    text = inspect.cleandoc(doc)
    head, gap, rest = text.partition("\n\n")
    return f"{head}\n\nConvention: {convention}{gap}{rest}" if convention else text


def _elementwise_document(
    parameters: list[inspect.Parameter], inputs: int, example: tuple[str, float] | None
) -> str:
    names = [p.name for p in parameters]
    settings = ", ".join(str(p).partition(":")[0] for p in parameters[inputs:])
    more = f"\n    {settings}: numbers, part of the operation." if settings else ""
    text = f"""

Args:
    {", ".join(names[:inputs])}: nodes, numbers or arrays of shapes that broadcast.{more}

Returns:
    A node of the broadcast shape if any input is a node, else an array or number.

Raises:
    ShapeError: when the shapes do not broadcast.
    DtypeError: when an input's data type does not fit."""
    if example is None:
        return text
    call, result = example
    shown = f"bool(gg.{call})" if isinstance(result, bool) else f"round(float(gg.{call}), 4)"
    return f"{text}\n\nExample:\n    >>> import graphgrad as gg\n    >>> {shown}\n    {result!r}"
