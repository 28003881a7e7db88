"""Elementwise arithmetic: + - * / **, square, square root, absolute value.

Each block reads: name, what it is, how it is computed, its partial derivatives, its text.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from graphgrad import dtypes, operators, shapes
from graphgrad.errors import DtypeError
from graphgrad.graph import Node
from graphgrad.ops.define import case, elementwise, kink, number
from graphgrad.primitive import TABLE, Primitive

__all__ = [
    "abs", "add", "div", "mul", "neg", "pow", "power", "reciprocal", "sign", "sqrt", "square",
    "sub",
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
        lambda y, a, b: b * a ** TABLE["where"](TABLE["equal"](b, 0), b, b - 1),
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
    zero, where = TABLE["equal"](a, 0), TABLE["where"]
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
