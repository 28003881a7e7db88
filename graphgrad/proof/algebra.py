r"""Algebra lessons: short proofs line by line, each line checked by SymPy before it is shown.

What one can do: derive the derivative of an activation function (`derive_activation`: σ′ = σ(1−σ),
tanh′ = 1 − tanh², ReLU, softplus), derive the gradient of softmax with cross-entropy, p − y
(`derive_softmax_cross_entropy`), show that layers without activations collapse into one, or by
two inputs that they do not (`collapse`), on the lecture's 3-2-2-1 network (`three_two_two_one`).

A line is a small graph, like everything else: it is written by the templates of the rule book, and
SymPy reads the same graph. So what is shown is what was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.functions import pow
from graphgrad.graph import Node, const, var
from graphgrad.ops.activation import relu, sigmoid, softplus
from graphgrad.ops.choices import where
from graphgrad.ops.elementwise import exp, log, tanh
from graphgrad.proof.board import EQUAL, Block, Line
from graphgrad.proof.cross_entropy import derive_softmax_cross_entropy
from graphgrad.proof.linear import Collapse, collapse
from graphgrad.proof.marks import Mark, letter, template
from graphgrad.proof.prover import Demonstration, Prover, Step

__all__ = [
    "Collapse", "Demonstration", "collapse", "derive_activation", "derive_softmax_cross_entropy",
    "three_two_two_one",
]  # fmt: skip

# -- activation functions ------------------------------------------------------------------------


def derive_activation(name: str) -> Demonstration:
    """Derive the derivative of an activation function from its definition.

    Args:
        name: ``"sigmoid"``, ``"tanh"``, ``"relu"`` or ``"softplus"``.

    Raises:
        GraphError: when there is no lesson of that name.

    Example:
        >>> print(derive_activation("sigmoid"))
        σ(z) = 1/(1 + exp(−z))   definition
        <BLANKLINE>
        σ′(z) = (0·(1 + exp(−z)) − 1·(−exp(−z)))/(1 + exp(−z))²   quotient rule
              = exp(−z)/(1 + exp(−z))²                            0 and 1 multiplied out
              = 1/(1 + exp(−z))·(exp(−z)/(1 + exp(−z)))           two factors
              = 1/(1 + exp(−z))·((1 + exp(−z) − 1)/(1 + exp(−z))) 1 added and subtracted
              = 1/(1 + exp(−z))·(1 − 1/(1 + exp(−z)))             the fraction divided
              = σ(z)·(1 − σ(z))                                   definition
        <BLANKLINE>
        1 + exp(−z) is positive, so all is defined for every real z.
    """
    if name not in _ACTIVATIONS:
        listed = ", ".join(map(repr, _ACTIVATIONS))
        raise GraphError(f"no derivation of {name!r}: expected one of {listed}")
    return _ACTIVATIONS[name]()


def _proof(function: Any, symbol: str, definition: Node, z: Node, steps: Sequence[Step]) -> Any:
    """Return the lines of a function's definition and of its derivative."""
    s = sp.Symbol("z", real=True)
    prover = Prover({z: s})
    meaning = prover.expression(definition)
    node = function(z)
    first = prover.lines(prover.notation.write(node), meaning, [(definition, "definition")])
    prover.check(prover.expression(node), meaning, f"{symbol}(z)")
    texts = symbol, {"σ": r"\sigma", "tanh": r"\tanh"}.get(symbol, rf"\mathrm{{{symbol}}}")
    left = template(f"{texts[0]}′(#1)", rf"{texts[1]}'\left(#1\right)", [letter("z", "z")])
    return [Block(tuple(first)), Block(tuple(prover.lines(left, sp.diff(meaning, s), steps)))]


def _sigmoid() -> Demonstration:
    z = var("z")
    e = exp(-z)
    u = 1 + e
    return Demonstration(_proof(sigmoid, "σ", 1 / u, z, [
        ((const(0) * u - const(1) * (-e)) / pow(u, 2), "quotient rule"),
        (e / pow(u, 2), "0 and 1 multiplied out"),
        ((1 / u) * (e / u), "two factors"),
        ((1 / u) * ((1 + e - 1) / u), "1 added and subtracted"),
        ((1 / u) * (1 - 1 / u), "the fraction divided"),
        (sigmoid(z) * (1 - sigmoid(z)), "definition"),
    ]), ["1 + exp(−z) is positive, so all is defined for every real z."])  # fmt: skip


def _tanh() -> Demonstration:
    z = var("z")
    up, down = exp(z), exp(-z)
    s, c = up - down, up + down
    return Demonstration(_proof(tanh, "tanh", s / c, z, [
        ((c * c - s * s) / pow(c, 2), "quotient rule"),
        (1 - pow(s / c, 2), "the fraction divided"),
        (1 - pow(tanh(z), 2), "definition"),
    ]), ["exp(z) + exp(−z) is positive, so all is defined for every real z."])  # fmt: skip


def _softplus() -> Demonstration:
    z = var("z")
    e = exp(z)
    return Demonstration(_proof(softplus, "softplus", log(1 + e), z, [
        ((1 / (1 + e)) * e, "chain rule"),
        (1 / (1 + exp(-z)), "divided by exp(z) above and below"),
        (sigmoid(z), "definition of the sigmoid"),
    ]))  # fmt: skip


def _relu() -> Demonstration:
    """ReLU has no derivative at 0, so its proof is one of cases."""
    z = var("z")
    s, h = sp.Symbol("z", real=True), sp.Symbol("h", positive=True)
    prover = Prover({z: s})
    choice, slope = where(z > 0, z, const(0.0)), where(z > 0, const(1.0), const(0.0))
    function = sp.Max(0, s)
    for sign in (h, -h):
        found = prover.expression(choice).subs(s, sign)
        prover.check(found, function.subs(s, sign), "ReLU(z)")
        step = (function.subs(s, sign + h / 2) - function.subs(s, sign)) / (h / 2)
        prover.check(prover.expression(slope).subs(s, sign), step, "ReLU′(z)")
    right, left = (sp.limit(function.subs(s, d * h) / (d * h), h, 0) for d in (1, -1))
    assert (right, left) == (1, 0)
    names = [letter("ReLU(z)", r"\mathrm{ReLU}(z)"), letter("ReLU′(z)", r"\mathrm{ReLU}'(z)")]
    blocks = [
        Block((Line(names[0], EQUAL, _cases(("z", "z > 0"), ("0", r"z \le 0")), "definition"),)),
        Block((Line(names[1], EQUAL, _cases(("1", "z > 0"), ("0", "z < 0")), "z other than 0"),)),
        Block((_one_sided("⁺", "+", 1), _one_sided("⁻", "-", 0))),
    ]
    notes = [
        "The two limits differ, so ReLU has no derivative at 0.",
        f"Convention: {relu.convention.replace('relu', 'ReLU')}",
    ]
    return Demonstration(blocks, notes)


def _cases(*choices: tuple[str, str]) -> Mark:
    text = ", ".join(f"{value} if {where}" for value, where in choices).replace(r"\le", "≤")
    rows = r" \\ ".join(f"{value} & {where}" for value, where in choices)
    return letter(text, rf"\begin{{cases}} {rows} \end{{cases}}")


def _one_sided(text: str, latex: str, value: int) -> Line:
    left = letter(
        f"lim z→0{text} (ReLU(z) − ReLU(0))/z",
        rf"\lim_{{z \to 0^{latex}}} \frac{{\mathrm{{ReLU}}(z) - \mathrm{{ReLU}}(0)}}{{z}}",
    )
    return Line(left, EQUAL, letter(str(value), str(value)), "one-sided derivative at 0")


_ACTIVATIONS = {"sigmoid": _sigmoid, "tanh": _tanh, "relu": _relu, "softplus": _softplus}


# -- the lecture's network ----------------------------------------------------------------------


def three_two_two_one(activation: Callable[[Any], Any] | None = None) -> Node:
    """Return the lecture's network of 3 inputs, two hidden layers of 2 units and 1 output.

    The weights are numbered as in the lecture: w₁, w₃, w₅ lead to the first hidden unit, w₂, w₄,
    w₆ to the second; w₇, w₉ and w₈, w₁₀ to the next two; w₁₁ and w₁₂ to the output. They have small
    whole numbers as values, alternating in sign, so that numbers can be followed by hand.

    Args:
        activation: of the hidden units; None for none.

    Example:
        >>> import graphgrad as gg
        >>> sorted(collapse(three_two_two_one()).coefficients)
        ['X₁', 'X₂', 'X₃']
        >>> collapse(three_two_two_one(gg.relu)).affine
        False
    """
    g = activation or (lambda x: x)
    X = [var(f"X{k}", float(k)) for k in (1, 2, 3)]
    w = [var(f"w{k}", float((-1) ** k * (k % 4 + 1))) for k in range(13)]
    first = g(w[1] * X[0] + w[3] * X[1] + w[5] * X[2])
    second = g(w[2] * X[0] + w[4] * X[1] + w[6] * X[2])
    third = g(w[7] * first + w[9] * second)
    fourth = g(w[8] * first + w[10] * second)
    return (w[11] * third + w[12] * fourth).named("y")
