"""Elementwise arithmetic, comparisons and choices: + - * / **, < ==, maximum, clip, where.

Each block reads: name, what it is, how it is computed, its partial derivatives, its text.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from graphgrad import dtypes, operators, shapes
from graphgrad.errors import DtypeError, GraphError
from graphgrad.graph import Node
from graphgrad.ops.define import case, elementwise, kink, number
from graphgrad.primitive import TABLE, Primitive

__all__ = [
    "abs", "add", "clip", "div", "equal", "floor", "greater", "greater_equal", "heaviside", "less",
    "less_equal", "logical_and", "logical_not", "logical_or", "maximum", "minimum", "mul", "neg",
    "not_equal", "pow", "power", "reciprocal", "sign", "sqrt", "square", "sub", "where",
]  # fmt: skip

INF = float("inf")
POSITIVE = (0.0, 3.0)


def _without(a: Node, b: Node, neutral_a: float | None, neutral_b: float | None) -> Node | None:
    """Return the other operand where one is neutral and changes neither shape nor type."""
    for x, other, neutral in ((a, b, neutral_a), (b, a, neutral_b)):
        number = x
        while number.op in ("broadcast_to", "reshape"):  # the gradient of a sum is 1 everywhere
            number = number.inputs[0]
        if neutral is None or number.op != "constant" or number.size != 1:
            continue
        if number.value != neutral:
            continue
        if shapes.broadcast(x.shape, other.shape) == other.shape and (
            dtypes.promote(x.dtype, other.dtype) is other.dtype
        ):
            return other
    return None


add = elementwise(
    "add",
    doc="Return a + b.",
    example=("add(2.0, 3.0)", 5.0),
    forward=operator.add,
    partials=[1, 1],
    sympy=lambda sp, a, b: a + b,
    code="({0} + {1})",
    text="#1 + #2",
    latex="#1 + #2",
    precedence=1,
    symbol="+",
    commutative=True,
    dtype=dtypes.arithmetic,
    linear="all",
    lower=lambda a, b: _without(a, b, 0, 0),
)

sub = elementwise(
    "sub",
    doc="Return a - b.",
    example=("sub(2.0, 3.0)", -1.0),
    forward=operator.sub,
    partials=[1, -1],
    sympy=lambda sp, a, b: a - b,
    code="({0} - {1})",
    text="#1 − #2",
    latex="#1 - #2",
    precedence=1,
    symbol="−",
    dtype=dtypes.arithmetic,
    linear="all",
    lower=lambda a, b: _without(a, b, None, 0),
)

mul = elementwise(
    "mul",
    doc="Return a * b.",
    example=("mul(2.0, 3.0)", 6.0),
    forward=operator.mul,
    partials=[lambda y, a, b: b, lambda y, a, b: a],
    sympy=lambda sp, a, b: a * b,
    code="({0} * {1})",
    text="#1·#2",
    latex=r"#1 \cdot #2",
    precedence=2,
    symbol="×",
    commutative=True,
    dtype=dtypes.arithmetic,
    linear="each",
    lower=lambda a, b: _without(a, b, 1, 1),
)

div = elementwise(
    "div",
    doc="Return a / b; integers give float64, and x / 0 is ±inf or nan as in NumPy.",
    example=("div(2.0, 4.0)", 0.5),
    forward=operator.truediv,
    partials=[lambda y, a, b: 1 / b, lambda y, a, b: -y / b],
    sympy=lambda sp, a, b: a / b,
    code="({0} / {1})",
    text="#1/#2",
    latex=r"\frac{#1}{#2}",
    precedence=2,
    symbol="÷",
    domain=[(-3.0, 3.0), POSITIVE],
    lower=lambda a, b: _without(a, b, None, 1),
)

neg: Primitive = elementwise(
    "neg",
    doc="Return -x.",
    example=("neg(2.0)", -2.0),
    forward=operator.neg,
    partials=[-1],
    sympy=lambda sp, x: -x,
    code="(-{0})",
    text="−#1",
    latex="-#1",
    precedence=3,
    symbol="−x",
    dtype=dtypes.arithmetic,
    linear="all",
    lower=lambda x: x.inputs[0] if x.primitive is neg else None,
)


def _power(x: Any, exponent: float) -> Any:
    if isinstance(exponent, Node):
        raise DtypeError("power: the exponent is a number; for a node use pow, or x ** n")
    return (x,), {"exponent": number("exponent", exponent)}


def _power_partial(y: Any, x: Any, exponent: float) -> Any:
    if exponent == 2:
        return 2 * x
    return int(exponent) if exponent in (0, 1) else exponent * power(x, exponent - 1)


def _repeated(x: Any, exponent: float) -> Any:
    """Return a small whole power as products; None for any other."""
    if exponent not in range(1, 9):
        return None
    n, result = int(exponent), None
    while n:
        if n % 2:
            result = x if result is None else result * x
        x, n = square(x), n // 2
    return result


def _exponent_text(exponent: float) -> str:
    return f"{exponent:g}".replace("-", "−")


power = elementwise(
    "power",
    doc="""Return x raised to a fixed real number: x ** 3, x ** -0.5.

    It is nan for a negative x and an exponent that is no integer, as in NumPy.
    """,
    example=("power(2.0, 3)", 8.0),
    prepare=_power,
    forward=lambda x, exponent: x**exponent,
    partials=[_power_partial],
    sympy=lambda sp, x, exponent: x ** sp.nsimplify(exponent),
    code="({0} ** {exponent})",
    text=lambda exponent: f"#1^{_exponent_text(exponent)}",
    latex=lambda exponent: f"#1^{{{exponent:g}}}",
    precedence=4,
    symbol="xⁿ",
    domain=[POSITIVE],
    cases=[case(exponent=k) for k in (3.0, -0.5, 2.0, 1.0, 0.0)],
    lower=lambda x, exponent: _repeated(x, exponent),
)

power_of_nodes = elementwise(
    "pow",
    doc="""Return base ** exponent.

    A plain number as exponent makes the simpler node `power`, and 2 makes `square`.
    """,
    example=("pow(2.0, 3.0)", 8.0),
    forward=lambda a, b: a ** (b * 1.0),  # integers have no negative powers, and overflow
    partials=[
        # where: 0 * base**(-1) must be 0 at base 0, exponent 0
        lambda y, a, b: b * a ** where(equal(b, 0), b, b - 1),
        # where: the limit at base 0 is 0, not 0 * log 0
        lambda y, a, b: y * log_of_base(a),
    ],
    sympy=lambda sp, a, b: a**b,
    code="({0} ** {1})",
    text="#1^#2",
    latex="#1^{#2}",
    precedence=4,
    symbol="xʸ",
    domain=[POSITIVE, (-3.0, 3.0)],
    convention="∂(0ᵇ)/∂b = 0, the limit for b > 0.",
    kinks=[kink((0.0, 2.0), 0.0, 0.0), kink((0.0, 0.0), 0.0, 0.0)],
)


def log_of_base(a: Any) -> Any:
    """Return log a, but 0 at a = 0, where a**b log a has the limit 0."""
    zero = equal(a, 0)
    return where(zero, 0.0, TABLE["log"](where(zero, 1.0, a)))


def pow(base: Any, exponent: Any) -> Any:
    """Return base ** exponent for nodes, numbers and arrays, with any real exponent.

    Args:
        base, exponent: nodes, numbers or arrays of shapes that broadcast.

    Example:
        >>> import graphgrad as gg
        >>> pow(gg.var("x", 2.0), 3).op, pow(gg.var("x", 2.0), gg.var("n", 3.0)).op
        ('power', 'pow')
    """
    if isinstance(exponent, int | float | np.integer | np.floating) and not isinstance(
        exponent, bool
    ):
        return square(base) if exponent == 2 else power(base, exponent)
    return power_of_nodes(base, exponent)


operators.POWER = pow

square = elementwise(
    "square",
    doc="Return x².",
    example=("square(3.0)", 9.0),
    forward=lambda x: x * x,
    partials=[lambda y, x: 2 * x],
    sympy=lambda sp, x: x**2,
    code="({0} * {0})",
    text="#1²",
    latex="#1^{2}",
    precedence=4,
    symbol="x²",
    dtype=dtypes.arithmetic,
)

sqrt = elementwise(
    "sqrt",
    doc="Return the square root; nan below 0.",
    example=("sqrt(2.0)", 1.4142),
    forward=np.sqrt,
    partials=[lambda y, x: 1 / (2 * y)],
    sympy=lambda sp, x: sp.sqrt(x),
    code="sqrt({0})",
    text="√(#1)",
    latex=r"\sqrt{#1}",
    symbol="√",
    domain=[POSITIVE],
    convention="sqrt′(0) = inf, the limit from the right.",
    kinks=[kink(0.0, INF)],
)

reciprocal = elementwise(
    "reciprocal",
    doc="Return 1 / x.",
    example=("reciprocal(4.0)", 0.25),
    forward=lambda x: 1 / x,
    partials=[lambda y, x: -y * y],
    sympy=lambda sp, x: 1 / x,
    code="(1.0 / {0})",
    text="1/#1",
    latex=r"\frac{1}{#1}",
    precedence=2,
    symbol="1/x",
    domain=[POSITIVE],
)

abs = elementwise(
    "abs",
    doc="Return |x|.",
    example=("abs(-2.0)", 2.0),
    forward=np.abs,
    analytic=lambda x: np.where(np.real(x) < 0, -x, x),
    partials=[lambda y, x: sign(x)],
    sympy=lambda sp, x: sp.Abs(x),
    code="abs({0})",
    text="|#1|",
    latex=r"\left|#1\right|",
    symbol="|·|",
    dtype=dtypes.arithmetic,
    convention="abs′(0) = 0.",
    kinks=[kink(0.0, 0.0)],
)

sign: Primitive = elementwise(
    "sign",
    doc="Return -1, 0 or 1 by the sign of x.",
    example=("sign(-2.0)", -1.0),
    forward=np.sign,
    analytic=lambda x: np.sign(np.real(x)),
    partials=[0],
    sympy=lambda sp, x: sp.sign(x),
    code="(1.0 if {0} > 0 else (-1.0 if {0} < 0 else 0.0 * {0}))",
    text="sign(#1)",
    latex=r"\operatorname{sign}\left(#1\right)",
    dtype=dtypes.arithmetic,
    convention="sign′(0) = 0.",
    kinks=[kink(0.0, 0.0)],
)


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
