"""graphgrad: write an expression once; draw it, step through it, prove it, train it.

>>> import graphgrad as gg
>>> x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
>>> loss = abs(4 - (x * w + b))
>>> loss.value
3.0
>>> loss.backward()
>>> w.grad, b.grad
(2.0, 1.0)

The graph, the rule book and the gradients are loaded at once and need NumPy only; what draws,
records and parses is loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from graphgrad import display, errors, functions, gradient, ops
from graphgrad.context import scope
from graphgrad.functions import *
from graphgrad.gradient import grad, hessian, jacobian, jvp, vjp
from graphgrad.graph import Edge, Node, ancestors, const, evaluate, var
from graphgrad.ops.activation import *
from graphgrad.ops.arithmetic import *
from graphgrad.ops.choices import *
from graphgrad.ops.conv import conv2d, conv2d_input, conv2d_kernel, fold, windows
from graphgrad.ops.elementwise import *
from graphgrad.ops.index import scatter_add, take
from graphgrad.ops.linear import matmul, outer
from graphgrad.ops.random import random_uniform
from graphgrad.ops.reduce import argmax, logsumexp, max, mean, min, prod, sum
from graphgrad.ops.shape import *
from graphgrad.primitive import TABLE as PRIMITIVES
from graphgrad.primitive import Primitive

if TYPE_CHECKING:
    from graphgrad import nn, plots
    from graphgrad.compiler.executor import compile
    from graphgrad.drawing.figure import draw
    from graphgrad.drawing.film import film
    from graphgrad.drawing.player.page import play
    from graphgrad.explain.ledger import ledger
    from graphgrad.explain.mistakes import mistakes
    from graphgrad.explain.nonfinite import certificate
    from graphgrad.networks import to_networkx
    from graphgrad.parser import parse, parse_value
    from graphgrad.proof.bridge import to_sympy
    from graphgrad.proof.check import check_gradient
    from graphgrad.proof.derive import derive
    from graphgrad.proof.incoming import from_sympy
    from graphgrad.proof.proving import verify
    from graphgrad.recorder import Tape, tape
    from graphgrad.samples import over_samples
    from graphgrad.scalars import expand
    from graphgrad.stepping.shell import step
    from graphgrad.stepping.widget import stepper

__version__ = "0.1.0"

_LATER = {
    "compile": "graphgrad.compiler.executor",
    "certificate": "graphgrad.explain.nonfinite",
    "check_gradient": "graphgrad.proof.check",
    "derive": "graphgrad.proof.derive",
    "draw": "graphgrad.drawing.figure",
    "expand": "graphgrad.scalars",
    "film": "graphgrad.drawing.film",
    "from_sympy": "graphgrad.proof.incoming",
    "ledger": "graphgrad.explain.ledger",
    "load_ipython_extension": "graphgrad.stepping.magic",
    "mistakes": "graphgrad.explain.mistakes",
    "over_samples": "graphgrad.samples",
    "parse": "graphgrad.parser",
    "parse_value": "graphgrad.parser",
    "play": "graphgrad.drawing.player.page",
    "step": "graphgrad.stepping.shell",
    "stepper": "graphgrad.stepping.widget",
    "Tape": "graphgrad.recorder",
    "tape": "graphgrad.recorder",
    "to_networkx": "graphgrad.networks",
    "to_sympy": "graphgrad.proof.bridge",
    "unload_ipython_extension": "graphgrad.stepping.magic",
    "verify": "graphgrad.proof.proving",
}
display.NOTEBOOK = lambda: importlib.import_module("graphgrad.drawing.notebook")


def __getattr__(name: str) -> Any:
    if name in ("nn", "plots"):
        return importlib.import_module(f"graphgrad.{name}")
    if name not in _LATER:
        raise AttributeError(f"module 'graphgrad' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, "nn", "plots"})


__all__ = [
    "PRIMITIVES", "Edge", "Node", "Primitive", "Tape", "ancestors", "argmax", "certificate",
    "check_gradient", "compile", "const", "conv2d", "conv2d_input", "conv2d_kernel", "derive",
    "draw", "errors", "evaluate", "expand", "film", "fold", "from_sympy", "functions", "grad",
    "gradient", "hessian", "jacobian", "jvp", "ledger", "logsumexp", "matmul", "max", "mean",
    "min", "mistakes", "nn", "ops", "outer", "over_samples", "parse", "parse_value", "play",
    "plots", "prod", "random_uniform", "scatter_add", "scope", "step", "stepper", "sum", "take",
    "tape", "to_networkx", "to_sympy", "var", "verify", "vjp", "windows",
]  # fmt: skip
__all__ += functions.__all__ + ops.activation.__all__ + ops.arithmetic.__all__
__all__ += ops.choices.__all__ + ops.elementwise.__all__ + ops.shape.__all__
