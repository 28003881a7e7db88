"""Activation functions of neural networks: sigmoid, softplus, ReLU and its relatives.

All are written so that they neither overflow nor lose digits for large |x|.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphgrad.ops.arithmetic import square
from graphgrad.ops.choices import heaviside, where
from graphgrad.ops.define import case, elementwise, kink, number
from graphgrad.ops.elementwise import erf, exp
from graphgrad.primitive import TABLE

__all__ = [
    "elu", "gelu", "leaky_relu", "log_sigmoid", "relu", "sigmoid", "silu", "softplus",
]  # fmt: skip


def _sigmoid(x: Any) -> Any:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


sigmoid = elementwise(
    "sigmoid",
    doc="Return the logistic sigmoid, 1/(1 + e⁻ˣ), in (0, 1).",
    example=("sigmoid(0.5)", 0.6225),
    forward=_sigmoid,
    analytic=lambda x: 1 / (1 + np.exp(-x)),
    partials=[lambda y, x: y * (1 - y)],
    sympy=lambda sp, x: 1 / (1 + sp.exp(-x)),
    code="(1.0 / (1.0 + exp(-abs({0}))) * (1.0 if {0} >= 0.0 else exp(-abs({0}))))",
    text="σ(#1)",
    latex=r"\sigma\left(#1\right)",
    symbol="σ",
)

log_sigmoid = elementwise(
    "log_sigmoid",
    doc="Return log σ(x) = −log(1 + e⁻ˣ), finite for every finite x.",
    example=("log_sigmoid(0.5)", -0.4741),
    forward=lambda x: -np.logaddexp(0, -x),
    analytic=lambda x: -np.log(1 + np.exp(-x)),
    partials=[lambda y, x: sigmoid(-x)],
    sympy=lambda sp, x: -sp.log(1 + sp.exp(-x)),
    code="(({0} if {0} < 0.0 else 0.0) - log1p(exp(-abs({0}))))",
    text="log σ(#1)",
    latex=r"\log\sigma\left(#1\right)",
    symbol="log σ",
)

softplus = elementwise(
    "softplus",
    doc="Return log(1 + eˣ), a smooth ReLU, in (0, ∞).",
    example=("softplus(0.5)", 0.9741),
    forward=lambda x: np.logaddexp(0, x),
    analytic=lambda x: np.log(1 + np.exp(x)),
    partials=[lambda y, x: sigmoid(x)],
    sympy=lambda sp, x: sp.log(1 + sp.exp(x)),
    code="(({0} if {0} > 0.0 else 0.0) + log1p(exp(-abs({0}))))",
    latex=r"\operatorname{softplus}\left(#1\right)",
)

relu = elementwise(
    "relu",
    doc="Return max(0, x), the rectified linear unit.",
    example=("relu(-2.0)", 0.0),
    forward=lambda x: np.maximum(x, 0),
    analytic=lambda x: np.where(np.real(x) > 0, x, 0),
    partials=[lambda y, x: heaviside(x, 0.0)],
    sympy=lambda sp, x: sp.Max(0, x),
    code="({0} if {0} > 0.0 or {0} != {0} else 0.0)",
    latex=r"\operatorname{ReLU}\left(#1\right)",
    symbol="ReLU",
    convention="relu′(0) = 0.",
    kinks=[kink(0.0, 0.0)],
)


def _leaky_relu(x: Any, alpha: float = 0.01) -> Any:
    return (x,), {"alpha": number("alpha", alpha)}


leaky_relu = elementwise(
    "leaky_relu",
    doc="Return x for x > 0, and alpha · x elsewhere (Maas, Hannun and Ng 2013).",
    example=("leaky_relu(-2.0)", -0.02),
    prepare=_leaky_relu,
    forward=lambda x, alpha: np.where(x > 0, x, alpha * x),
    analytic=lambda x, alpha: np.where(np.real(x) > 0, x, alpha * x),
    partials=[lambda y, x, alpha: where(x > 0, x.dtype.type(1), x.dtype.type(alpha))],
    sympy=lambda sp, x, alpha: sp.Piecewise((x, x > 0), (sp.nsimplify(alpha) * x, True)),
    code="({0} if {0} > 0.0 else {alpha} * {0})",
    latex=r"\operatorname{LeakyReLU}\left(#1\right)",
    symbol="LeakyReLU",
    convention="leaky_relu′(0) = alpha.",
    kinks=[kink(0.0, 0.01)],
    cases=[case(), case(alpha=0.3)],
)


def _elu(x: Any, alpha: float = 1.0) -> Any:
    return (x,), {"alpha": number("alpha", alpha)}


elu = elementwise(
    "elu",
    doc="Return x for x > 0, and alpha (eˣ − 1) elsewhere (Clevert, Unterthiner, Hochreiter 2016).",
    example=("elu(-2.0)", -0.8647),
    prepare=_elu,
    forward=lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    analytic=lambda x, alpha: np.where(np.real(x) > 0, x, alpha * (np.exp(x) - 1)),
    partials=[lambda y, x, alpha: where(x > 0, x.dtype.type(1), alpha * exp(_negative(x)))],
    sympy=lambda sp, x, alpha: sp.Piecewise(
        (x, x > 0), (sp.nsimplify(alpha) * (sp.exp(x) - 1), True)
    ),
    code="({0} if {0} > 0.0 else {alpha} * expm1({0}))",
    latex=r"\operatorname{ELU}\left(#1\right)",
    symbol="ELU",
    convention="elu′(0) = alpha.",
    kinks=[kink(0.0, 1.0)],
    cases=[case(), case(alpha=0.3)],
)


def _negative(x: Any) -> Any:
    return TABLE["minimum"](x, 0)


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + erf.forward(x / math.sqrt(2)))


gelu = elementwise(
    "gelu",
    doc="Return x Φ(x), with Φ the normal distribution function (Hendrycks and Gimpel 2016).",
    example=("gelu(0.5)", 0.3457),
    forward=_gelu,
    partials=[
        lambda y, x: (
            0.5 * (1 + erf(x / math.sqrt(2))) + x * exp(square(x) / -2) / math.sqrt(2 * math.pi)
        )
    ],
    sympy=lambda sp, x: x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
    code="(0.5 * {0} * (1.0 + erf({0} * 0.7071067811865476)))",
    latex=r"\operatorname{GELU}\left(#1\right)",
    symbol="GELU",
)

silu = elementwise(
    "silu",
    doc="Return x σ(x), also called swish (Hendrycks and Gimpel 2016).",
    example=("silu(0.5)", 0.3112),
    forward=lambda x: x * _sigmoid(x),
    analytic=lambda x: x / (1 + np.exp(-x)),
    partials=[lambda y, x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
    sympy=lambda sp, x: x / (1 + sp.exp(-x)),
    code="({0} / (1.0 + exp(-abs({0}))) * (1.0 if {0} >= 0.0 else exp(-abs({0}))))",
    latex=r"\operatorname{SiLU}\left(#1\right)",
    symbol="SiLU",
)
