"""Elementwise functions of one number: exponentials, logarithms, trigonometry, hyperbolics, erf."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphgrad.ops.arithmetic import INF, POSITIVE, sqrt, square
from graphgrad.ops.define import elementwise, kink
from graphgrad.primitive import Primitive

__all__ = [
    "acos", "asin", "atan", "atan2", "cos", "cosh", "erf", "exp", "expm1", "log", "log1p", "sin",
    "sinh", "tan", "tanh",
]  # fmt: skip

NAN = float("nan")
UNIT = (-1.0, 1.0)


def _tex(name: str) -> str:
    return rf"{name}\left(#1\right)"


exp = elementwise(
    "exp",
    doc="Return eˣ.",
    example=("exp(0.5)", 1.6487),
    forward=np.exp,
    partials=[lambda y, x: y],
    sympy=lambda sp, x: sp.exp(x),
    code="exp({0})",
    latex="e^{#1}",
)

expm1 = elementwise(
    "expm1",
    doc="Return eˣ − 1, exact also where x is small.",
    example=("expm1(0.5)", 0.6487),
    forward=np.expm1,
    partials=[lambda y, x: y + 1],
    sympy=lambda sp, x: sp.exp(x) - 1,
    code="expm1({0})",
    latex=r"\left(e^{#1} - 1\right)",
)

log = elementwise(
    "log",
    doc="Return the natural logarithm; -inf at 0, nan below.",
    example=("log(2.0)", 0.6931),
    forward=np.log,
    partials=[lambda y, x: 1 / x],
    sympy=lambda sp, x: sp.log(x),
    code="log({0})",
    latex=_tex(r"\log"),
    domain=[POSITIVE],
    kinks=[kink(0.0, INF)],
)

log1p = elementwise(
    "log1p",
    doc="Return log(1 + x), exact also where x is small; -inf at -1, nan below.",
    example=("log1p(0.5)", 0.4055),
    forward=np.log1p,
    partials=[lambda y, x: 1 / (1 + x)],
    sympy=lambda sp, x: sp.log(1 + x),
    code="log1p({0})",
    latex=r"\log\left(1 + #1\right)",
    domain=[(-1.0, 3.0)],
    kinks=[kink(-1.0, INF)],
)

sin = elementwise(
    "sin",
    doc="Return the sine of x, in radians.",
    example=("sin(0.5)", 0.4794),
    forward=np.sin,
    partials=[lambda y, x: cos(x)],
    sympy=lambda sp, x: sp.sin(x),
    code="sin({0})",
    latex=_tex(r"\sin"),
)

cos: Primitive = elementwise(
    "cos",
    doc="Return the cosine of x, in radians.",
    example=("cos(0.5)", 0.8776),
    forward=np.cos,
    partials=[lambda y, x: -sin(x)],
    sympy=lambda sp, x: sp.cos(x),
    code="cos({0})",
    latex=_tex(r"\cos"),
)

tan = elementwise(
    "tan",
    doc="Return the tangent of x, in radians.",
    example=("tan(0.5)", 0.5463),
    forward=np.tan,
    partials=[lambda y, x: 1 + square(y)],
    sympy=lambda sp, x: sp.tan(x),
    code="tan({0})",
    latex=_tex(r"\tan"),
    domain=[(-1.5, 1.5)],
)

asin = elementwise(
    "asin",
    doc="Return the arc sine in radians, in [-π/2, π/2]; nan outside [-1, 1].",
    example=("asin(0.5)", 0.5236),
    forward=np.arcsin,
    partials=[lambda y, x: 1 / sqrt(1 - square(x))],
    sympy=lambda sp, x: sp.asin(x),
    code="asin({0})",
    latex=_tex(r"\arcsin"),
    domain=[UNIT],
    kinks=[kink(1.0, INF), kink(-1.0, INF)],
)

acos = elementwise(
    "acos",
    doc="Return the arc cosine in radians, in [0, π]; nan outside [-1, 1].",
    example=("acos(0.5)", 1.0472),
    forward=np.arccos,
    partials=[lambda y, x: -1 / sqrt(1 - square(x))],
    sympy=lambda sp, x: sp.acos(x),
    code="acos({0})",
    latex=_tex(r"\arccos"),
    domain=[UNIT],
    kinks=[kink(1.0, -INF), kink(-1.0, -INF)],
)

atan = elementwise(
    "atan",
    doc="Return the arc tangent in radians, in (-π/2, π/2).",
    example=("atan(0.5)", 0.4636),
    forward=np.arctan,
    partials=[lambda y, x: 1 / (1 + square(x))],
    sympy=lambda sp, x: sp.atan(x),
    code="atan({0})",
    latex=_tex(r"\arctan"),
)


def _turned_atan2(y: Any, x: Any) -> Any:
    """Turn the point onto the positive x axis, where atan has no branch to choose, and back."""
    angle = np.arctan2(np.real(y), np.real(x))
    c, s = np.cos(angle), np.sin(angle)
    return angle + np.arctan((y * c - x * s) / (x * c + y * s))


atan2 = elementwise(
    "atan2",
    doc="Return the angle of the point (x, y) in radians, in [-π, π]; the order is (y, x).",
    example=("atan2(1.0, 2.0)", 0.4636),
    forward=lambda y, x: np.arctan2(y, x),
    analytic=_turned_atan2,
    partials=[
        lambda out, y, x: x / (square(x) + square(y)),
        lambda out, y, x: -y / (square(x) + square(y)),
    ],
    sympy=lambda sp, y, x: sp.atan2(y, x),
    code="atan2({0}, {1})",
    latex=r"\operatorname{atan2}\left(#1, #2\right)",
    domain=[(-3.0, 3.0), POSITIVE],
    convention="atan2(0, 0) = 0 as in C, with a derivative of nan.",
    kinks=[kink((0.0, 0.0), NAN, NAN)],
)

sinh = elementwise(
    "sinh",
    doc="Return the hyperbolic sine, (eˣ − e⁻ˣ)/2.",
    example=("sinh(0.5)", 0.5211),
    forward=np.sinh,
    partials=[lambda y, x: cosh(x)],
    sympy=lambda sp, x: sp.sinh(x),
    code="sinh({0})",
    latex=_tex(r"\sinh"),
)

cosh: Primitive = elementwise(
    "cosh",
    doc="Return the hyperbolic cosine, (eˣ + e⁻ˣ)/2.",
    example=("cosh(0.5)", 1.1276),
    forward=np.cosh,
    partials=[lambda y, x: sinh(x)],
    sympy=lambda sp, x: sp.cosh(x),
    code="cosh({0})",
    latex=_tex(r"\cosh"),
)

tanh = elementwise(
    "tanh",
    doc="Return the hyperbolic tangent, (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ), in (−1, 1).",
    example=("tanh(0.5)", 0.4621),
    forward=np.tanh,
    partials=[lambda y, x: 1 - square(y)],
    sympy=lambda sp, x: sp.tanh(x),
    code="tanh({0})",
    latex=_tex(r"\tanh"),
)


def _erf(x: Any) -> Any:
    from scipy.special import erf as scipy_erf

    return scipy_erf(x)


erf = elementwise(
    "erf",
    doc="Return the error function, 2/√π ∫₀ˣ e^(−t²) dt, in (−1, 1).",
    example=("erf(0.5)", 0.5205),
    forward=_erf,
    partials=[lambda y, x: (2 / math.sqrt(math.pi)) * exp(-square(x))],
    sympy=lambda sp, x: sp.erf(x),
    code="erf({0})",
    latex=_tex(r"\operatorname{erf}"),
)
