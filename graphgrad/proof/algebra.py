r"""Algebra lessons: short proofs line by line, each line checked by SymPy before it is shown.

What one can do: derive the derivative of an activation function (`derive_activation`: σ′ = σ(1−σ),
tanh′ = 1 − tanh², ReLU, softplus), derive the gradient of softmax with cross-entropy, p − y
(`derive_softmax_cross_entropy`), show that layers without activations collapse into one, or by
two inputs that they do not (`collapse`), on the lecture's 3-2-2-1 network (`three_two_two_one`).

A line is a small graph, like everything else: it is written by the templates of the rule book, and
SymPy reads the same graph. So what is shown is what was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.explain.names import subscript
from graphgrad.functions import exp, pow
from graphgrad.graph import Node, const, var
from graphgrad.ops.activation import relu, sigmoid, softplus
from graphgrad.ops.arithmetic import where
from graphgrad.ops.elementwise import log, tanh
from graphgrad.proof.board import EQUAL, Block, Board, Line, Shown
from graphgrad.proof.bridge import to_sympy
from graphgrad.proof.chain_form import derivative
from graphgrad.proof.linear import Collapse, collapse, three_two_two_one
from graphgrad.proof.marks import Mark, letter, template
from graphgrad.proof.notation import Notation

__all__ = [
    "Collapse", "Demonstration", "collapse", "derive_activation", "derive_softmax_cross_entropy",
    "three_two_two_one",
]  # fmt: skip

Step = tuple[Any, str]
"""A formula as a graph, and the reason for it."""


class Demonstration(Shown):
    """A proof on the board, each line of it checked by SymPy.

    Attributes:
        board: lines and notes.
        result: the last line.
    """

    def __init__(self, blocks: Sequence[Block], notes: Sequence[str] = ()) -> None:
        self.board = Board(tuple(blocks), tuple(notes))

    @property
    def lines(self) -> list[Line]:
        """All lines, in order."""
        return [line for block in self.board.blocks for line in block.lines]

    @property
    def result(self) -> Line:
        """The last line."""
        return self.lines[-1]

    def __repr__(self) -> str:
        return f"<Demonstration: {self.lines[0]}>"


class _Prover:
    """Writes steps as lines, and refuses one that is not true."""

    def __init__(self, symbols: Mapping[Node, Any], letters: Mapping[Node, Mark] | None = None):
        self.symbols = symbols
        self.notation = Notation(dict(letters or {}), tidy=False)
        self.given: Callable[[Any], Any] = lambda e: e

    def expression(self, node: Node) -> Any:
        return to_sympy(node, symbols=self.symbols)

    def lines(self, left: Mark, truth: Any, steps: Sequence[Step]) -> list[Line]:
        """Return left = step = step …, each equal to `truth`."""
        made: list[Line] = []
        for node, reason in steps:
            self.check(self.expression(node), truth, f"{left} = {self.notation.write(node)}")
            made.append(
                Line(None if made else left, EQUAL, self.notation.write(node), reason)
            )
        return made

    def check(self, found: Any, truth: Any, what: str) -> None:
        gap = self.given(found - truth).rewrite(sp.exp)
        if sp.simplify(gap) != 0:
            raise GraphError(f"{what} is not true: it differs by {gap}")


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
    """
    if name not in _ACTIVATIONS:
        listed = ", ".join(map(repr, _ACTIVATIONS))
        raise GraphError(f"no derivation of {name!r}: expected one of {listed}")
    return _ACTIVATIONS[name]()


def _proof(function: Any, symbol: str, definition: Node, z: Node, steps: Sequence[Step]) -> Any:
    """Return the lines of a function's definition and of its derivative."""
    s = sp.Symbol("z", real=True)
    prover = _Prover({z: s})
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
    ]))  # fmt: skip


def _tanh() -> Demonstration:
    z = var("z")
    up, down = exp(z), exp(-z)
    s, c = up - down, up + down
    return Demonstration(_proof(tanh, "tanh", s / c, z, [
        ((c * c - s * s) / pow(c, 2), "quotient rule: each is the derivative of the other"),
        (1 - pow(s / c, 2), "the fraction divided"),
        (1 - pow(tanh(z), 2), "definition"),
    ]))  # fmt: skip


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
    prover = _Prover({z: s})
    choice, slope = where(z > 0, z, const(0.0)), where(z > 0, const(1.0), const(0.0))
    function = sp.Max(0, s)
    for sign in (h, -h):
        found = prover.expression(choice).subs(s, sign)
        prover.check(found, function.subs(s, sign), "ReLU(z)")
        step = (function.subs(s, sign + h / 2) - function.subs(s, sign)) / (h / 2)
        prover.check(prover.expression(slope).subs(s, sign), step, "ReLU′(z)")
    right, left = (sp.limit(function.subs(s, d * h) / (d * h), h, 0) for d in (1, -1))
    assert (right, left) == (1, 0)
    name = letter("ReLU′(z)", r"\mathrm{ReLU}'\left(z\right)")
    blocks = [
        Block((Line(prover.notation.write(relu(z)), EQUAL, prover.notation.write(choice),
                    "definition"),)),
        Block((Line(name, EQUAL, prover.notation.write(slope), "for z other than 0"),)),
        Block((_one_sided("⁺", "+", 1), _one_sided("⁻", "-", 0))),
    ]  # fmt: skip
    notes = [
        "The two limits differ, so ReLU has no derivative at 0.",
        f"Convention: {relu.convention}",
    ]
    return Demonstration(blocks, notes)


def _one_sided(text: str, latex: str, value: int) -> Line:
    left = letter(
        f"lim z→0{text} (ReLU(z) − ReLU(0))/z",
        rf"\lim_{{z \to 0^{latex}}} \frac{{\mathrm{{ReLU}}(z) - \mathrm{{ReLU}}(0)}}{{z}}",
    )
    return Line(left, EQUAL, letter(str(value), str(value)), "one-sided derivative at 0")


_ACTIVATIONS = {"sigmoid": _sigmoid, "tanh": _tanh, "relu": _relu, "softplus": _softplus}


# -- softmax and cross-entropy ---------------------------------------------------------------------


def derive_softmax_cross_entropy(k: int = 3) -> Demonstration:
    """Derive ∂L/∂z = p − y for L = −Σ yᵢ log pᵢ, p = softmax(z), Σ yᵢ = 1, entry by entry.

    Args:
        k: the number of classes, 2 to 5.

    Raises:
        GraphError: when `k` is not in that range.

    Example:
        >>> for line in derive_softmax_cross_entropy(2).lines[-2:]: print(line)
        ∂L/∂z₁ = p₁ − y₁
        ∂L/∂z₂ = p₂ − y₂
    """
    if k not in range(2, 6):
        raise GraphError(f"k={k!r}: expected a number of classes from 2 to 5")
    return _Softmax(k).demonstration()


class _Softmax:
    """The graphs of the lesson: logits z, targets y, their softmax p, the loss L."""

    def __init__(self, k: int) -> None:
        names = range(1, k + 1)
        self.z = [var(f"z{i}") for i in names]
        self.y = [var(f"y{i}") for i in names]
        self.sum = _added([exp(z) for z in self.z])
        self.letters = [var("S"), *(var(f"p{i}") for i in names), var("L")]
        self.S, self.p = self.letters[0], self.letters[1:-1]
        symbols = {n: sp.Symbol(n.name, real=True) for n in (*self.z, *self.y)}
        total = sum(sp.exp(symbols[z]) for z in self.z)
        symbols[self.S] = total
        symbols.update({p: sp.exp(symbols[z]) / total for p, z in zip(self.p, self.z)})
        self.prover = _Prover(symbols)
        rest = 1 - sum(symbols[y] for y in self.y[:-1])
        self.given = {symbols[self.y[-1]]: rest}
        self.entropy = -_added([y * log(p) for y, p in zip(self.y, self.p)])
        self.loss = self.prover.expression(self.entropy)

    def demonstration(self) -> Demonstration:
        ones = Line(self._mark(_added(self.y)), EQUAL, letter("1", "1"), "given")
        definitions = [
            *self.prover.lines(letter("S", "S"), self._meaning(self.S), [(self.sum, "")]),
            *(
                line
                for p, z in zip(self.p, self.z)
                for line in self.prover.lines(
                    self._mark(p), self._meaning(p), [(exp(z) / self.S, "softmax")]
                )
            ),
            *self.prover.lines(letter("L", "L"), self.loss, [(self.entropy, "cross-entropy")]),
            ones,
        ]
        blocks = [Block(tuple(definitions), "Definitions"), *self._softmax(), self._chain()]
        return Demonstration([*blocks, self._gradient()])

    def _meaning(self, node: Node) -> Any:
        return self.prover.symbols[node]

    def _mark(self, node: Node) -> Mark:
        return self.prover.notation.write(node)

    def _slope(self, y: Any, z: Node) -> Any:
        return sp.diff(y, self._meaning(z))

    def _softmax(self) -> list[Block]:
        """Return ∂pᵢ/∂z₁ for every i: by the quotient rule, then in p."""
        first, blocks = self.z[0], []
        for i, (p, z) in enumerate(zip(self.p, self.z)):
            left = derivative(self._mark(p), self._mark(first))
            e, d = exp(z), exp(first)
            own = i == 0
            steps = [
                (((d if own else const(0)) * self.S - e * d) / pow(self.S, 2), "quotient rule"),
                (p - p * self.p[0] if own else -(p * self.p[0]), "definition of p"),
            ]
            if own:
                steps.append((p * (1 - p), "p₁ taken out"))
            truth = self._slope(self._meaning(p), first)
            blocks.append(Block(tuple(self.prover.lines(left, truth, steps))))
        return blocks

    def _chain(self) -> Block:
        """Return ∂L/∂z₁ as a sum over the paths through every pᵢ, down to p₁ − y₁."""
        first, p1, y1 = self.z[0], self.p[0], self.y[0]
        others = list(zip(self.y[1:], self.p[1:]))
        steps: list[Step] = [
            (
                _added([
                    (-y1 / p1) * (p1 * (1 - p1)),
                    *((-y / p) * (-(p * p1)) for y, p in others),
                ]),
                f"chain rule, a sum over {len(self.p)} paths",
            ),
            (_added([-y1 * (1 - p1), *(y * p1 for y, _ in others)]), "divided by each p"),
            (p1 * _added(self.y) - y1, "p₁ taken out"),
        ]  # fmt: skip
        left = derivative(letter("L", "L"), self._mark(first))
        truth = self._slope(self.loss, first)
        lines = self.prover.lines(left, truth, steps)
        sum_text = " + ".join(f"y{subscript(i + 1)}" for i in range(len(self.y)))
        return Block((*lines, *self._entry(0, f"since {sum_text} = 1")))

    def _entry(self, i: int, reason: str) -> list[Line]:
        """Return = pᵢ − yᵢ, true where the targets sum to 1."""
        self.prover.given = lambda e: e.subs(self.given)
        truth = self._slope(self.loss, self.z[i])
        lines = self.prover.lines(letter("", ""), truth, [(self.p[i] - self.y[i], reason)])
        self.prover.given = lambda e: e
        return [Line(None, EQUAL, lines[0].right, reason)]

    def _gradient(self) -> Block:
        """Return the result for every entry; each is checked, though the proof is the same."""
        rows = []
        for i, z in enumerate(self.z):
            left = derivative(letter("L", "L"), self._mark(z))
            rows.append(Line(left, EQUAL, self._entry(i, "")[0].right))
        return Block(tuple(rows), "In the same way for every entry: the gradient is p − y")


def _added(nodes: Sequence[Node]) -> Node:
    total = nodes[0]
    for node in nodes[1:]:
        total = total + node
    return total
