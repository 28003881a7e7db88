"""Elementwise choices: step, floor, the larger of two, clip; comparisons, masks, where.

All of them depend on which side of something a number lies; so they have kinks and jumps, and say
what is used there.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import DtypeError, GraphError
from graphgrad.ops.define import case, elementwise, kink, number
from graphgrad.primitive import TABLE, Primitive

__all__ = [
    "clip", "equal", "floor", "greater", "greater_equal", "heaviside", "less", "less_equal",
    "logical_and", "logical_not", "logical_or", "maximum", "minimum", "not_equal", "where",
]  # fmt: skip


def _heaviside(x: Any, at_zero: float = 0.5) -> Any:
    return (x,), {"at_zero": number("at_zero", at_zero)}


heaviside = elementwise(
    "heaviside",
    doc="Return 0 for x < 0, 1 for x > 0, and `at_zero` at 0: the step function.",
    example=("heaviside(-2.0)", 0.0),
    prepare=_heaviside,
    forward=lambda x, at_zero: np.heaviside(x, at_zero),
    analytic=lambda x, at_zero: np.heaviside(np.real(x), at_zero),
    partials=[0],
    sympy=lambda sp, x, at_zero: sp.Heaviside(x, sp.nsimplify(at_zero)),
    code="(1.0 if {0} > 0.0 else ({at_zero} if {0} == 0.0 else (0.0 if {0} < 0.0 else {0})))",
    text="step(#1)",
    latex=r"\operatorname{step}\left(#1\right)",
    symbol="step",
    convention="heaviside′(0) = 0, though no finite number is right.",
    kinks=[kink(0.0, 0.0)],
    cases=[case(), case(at_zero=1.0)],
)

floor = elementwise(
    "floor",
    doc="Return the largest integer that is at most x, as a floating number.",
    example=("floor(-2.5)", -3.0),
    forward=np.floor,
    analytic=lambda x: np.floor(np.real(x)),
    partials=[0],
    sympy=lambda sp, x: sp.floor(x),
    code="floor({0})",
    text="⌊#1⌋",
    latex=r"\left\lfloor #1 \right\rfloor",
    symbol="⌊·⌋",
    domain=[(0.0, 1.0)],
    convention="floor′ = 0 at the integers too.",
    kinks=[kink(1.0, 0.0)],
)


def _share(a: Any, b: Any) -> Any:
    return heaviside(a - b, 0.5)


maximum = elementwise(
    "maximum",
    doc="Return the larger of a and b; nan if either is nan.",
    example=("maximum(2.0, 3.0)", 3.0),
    forward=np.maximum,
    analytic=lambda a, b: np.where(np.real(a) >= np.real(b), a, b),
    partials=[lambda y, a, b: _share(a, b), lambda y, a, b: _share(b, a)],
    sympy=lambda sp, a, b: sp.Max(a, b),
    code="({0} if {0} > {1} or {0} != {0} else {1})",
    text="max(#1, #2)",
    latex=r"\max\left(#1, #2\right)",
    symbol="max",
    commutative=True,
    dtype=dtypes.arithmetic,
    convention="where a = b, each gets half of the gradient.",
    kinks=[kink((1.0, 1.0), 0.5, 0.5)],
)

minimum = elementwise(
    "minimum",
    doc="Return the smaller of a and b; nan if either is nan.",
    example=("minimum(2.0, 3.0)", 2.0),
    forward=np.minimum,
    analytic=lambda a, b: np.where(np.real(a) <= np.real(b), a, b),
    partials=[lambda y, a, b: _share(b, a), lambda y, a, b: _share(a, b)],
    sympy=lambda sp, a, b: sp.Min(a, b),
    code="({0} if {0} < {1} or {0} != {0} else {1})",
    text="min(#1, #2)",
    latex=r"\min\left(#1, #2\right)",
    symbol="min",
    commutative=True,
    dtype=dtypes.arithmetic,
    convention="where a = b, each gets half of the gradient.",
    kinks=[kink((1.0, 1.0), 0.5, 0.5)],
)


def _clip(x: Any, low: float, high: float) -> Any:
    lo, hi = number("low", low), number("high", high)
    if not lo <= hi:
        raise GraphError(f"clip: low={lo} is above high={hi}")
    return (x,), {"low": lo, "high": hi}


def _clip_partial(y: Any, x: Any, low: float, high: float) -> Any:
    return cast_like((x >= low) & (x <= high), x)


def cast_like(mask: Any, x: Any) -> Any:
    """Return a mask as 0 and 1 in the type of x."""
    return TABLE["cast"](mask, x.dtype if x.dtype.kind == "f" else dtypes.FLOAT64)


clip = elementwise(
    "clip",
    doc="Return x limited to the closed interval [low, high], whose ends are numbers.",
    example=("clip(2.5, 0, 1)", 1.0),
    prepare=_clip,
    forward=lambda x, low, high: np.clip(x, low, high),
    analytic=lambda x, low, high: np.where(
        np.real(x) < low, low, np.where(np.real(x) > high, high, x)
    ),
    partials=[_clip_partial],
    sympy=lambda sp, x, low, high: sp.Min(sp.Max(x, sp.nsimplify(low)), sp.nsimplify(high)),
    code="({low} if {0} < {low} else ({high} if {0} > {high} else {0}))",
    text=lambda low, high: f"clip(#1, {low:g}, {high:g})",
    latex=lambda low, high: rf"\operatorname{{clip}}_{{{low:g}}}^{{{high:g}}}\left(#1\right)",
    convention="clip′ = 1 at both ends.",
    kinks=[kink(-1.0, 1.0), kink(1.5, 1.0)],
    cases=[case(low=-1.0, high=1.5)],
)

where: Primitive = elementwise(
    "where",
    doc="""Return `a` where `condition` is true and `b` elsewhere.

    Both are computed. Where the one not taken has an infinite derivative its gradient is
    0 · inf = nan: choose the argument first, as in ``where(x > 0, sqrt(where(x > 0, x, 1)), 0)``.
    """,
    example=("where(True, 1.0, 2.0)", 1.0),
    forward=lambda condition, a, b: np.where(condition, a, b),
    partials=[
        None,
        lambda y, condition, a, b: cast_like(condition, y),
        lambda y, condition, a, b: cast_like(~condition, y),
    ],
    sympy=lambda sp, condition, a, b: sp.Piecewise((a, condition), (b, True)),
    code="({1} if {0} else {2})",
    text="where(#1, #2, #3)",
    latex=r"\begin{cases} #2 & #1 \\ #3 & \text{else} \end{cases}",
    dtype=lambda condition, a, b: _choice(condition, a, b),
    domain=[(0.0, 1.0), (-3.0, 3.0), (-3.0, 3.0)],
)


def _choice(condition: Any, a: Any, b: Any) -> Any:
    if condition is not dtypes.BOOL:
        raise DtypeError(f"the condition is {condition}; expected a mask, as in x > 0")
    return dtypes.promote(a, b)


def _comparison(name: str, sign: str, tex: str, text: str, forward: Any, relation: str) -> Any:
    return elementwise(
        name,
        doc=f"Return whether a {sign} b, entry by entry, as a mask; no gradient passes.",
        example=(f"{name}(2.0, 3.0)", bool(forward(2.0, 3.0))),
        forward=forward,
        analytic=lambda a, b: forward(np.real(a), np.real(b)),
        partials=[None, None],
        sympy=lambda sp, a, b: getattr(sp, relation)(a, b),
        code=f"({{0}} {sign} {{1}})",
        text=f"#1 {text} #2",
        latex=f"#1 {tex} #2",
        precedence=0,
        symbol=text,
        commutative=name in ("equal", "not_equal"),
        dtype=dtypes.boolean,
    )


less = _comparison("less", "<", "<", "<", operator.lt, "Lt")
less_equal = _comparison("less_equal", "<=", r"\le", "≤", operator.le, "Le")
greater = _comparison("greater", ">", ">", ">", operator.gt, "Gt")
greater_equal = _comparison("greater_equal", ">=", r"\ge", "≥", operator.ge, "Ge")
equal: Primitive = _comparison("equal", "==", "=", "=", operator.eq, "Eq")
not_equal = _comparison("not_equal", "!=", r"\ne", "≠", operator.ne, "Ne")


def _logical(name: str, word: str, tex: str, symbol: str, forward: Any, sympy: str) -> Any:
    return elementwise(
        name,
        doc=f"Return {word} of two masks, entry by entry; no gradient passes.",
        example=(f"{name}(True, False)", bool(forward(True, False))),
        forward=forward,
        partials=[None, None],
        sympy=lambda sp, a, b: getattr(sp, sympy)(a, b),
        code=f"({{0}} {word} {{1}})",
        text=f"#1 {symbol} #2",
        latex=f"#1 {tex} #2",
        precedence=-1,
        symbol=symbol,
        commutative=True,
        dtype=dtypes.logical,
        domain=[(0.0, 1.0)] * 2,
    )


logical_and = _logical("logical_and", "and", r"\land", "∧", operator.and_, "And")
logical_or = _logical("logical_or", "or", r"\lor", "∨", operator.or_, "Or")
logical_not = elementwise(
    "logical_not",
    doc="Return the opposite of a mask, entry by entry; no gradient passes.",
    example=("logical_not(True)", False),
    forward=np.logical_not,
    partials=[None],
    sympy=lambda sp, a: sp.Not(a),
    code="(not {0})",
    text="¬#1",
    latex=r"\lnot #1",
    precedence=3,
    symbol="¬",
    dtype=dtypes.logical,
    domain=[(0.0, 1.0)],
)
