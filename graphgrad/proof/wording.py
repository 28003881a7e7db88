"""Proofs as rows: which derivative, both formulas with the graph's names, the domain in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.explain.formulas import fill, operation_template, pullback_template
from graphgrad.explain.names import node_names
from graphgrad.explain.numbers import number, shape_text
from graphgrad.explain.steps import adjoint, plain
from graphgrad.graph import CONSTANT, Node, refresh
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import Primitive, Settings
from graphgrad.proof.domains import Condition, listed, side
from graphgrad.proof.findings import Row
from graphgrad.proof.latex_rows import edge_latex, inside, structure_latex
from graphgrad.proof.numerals import array_mark
from graphgrad.proof.partials import PROVED, Proof
from graphgrad.proof.precise import CONTEXT
from graphgrad.proof.real_shapes import at_kink
from graphgrad.proof.texts import shortened, text, tidy

__all__ = ["EVERYWHERE", "Words", "by_sides", "digits", "domain_text", "met"]

EVERYWHERE = "everywhere"
MASKED = "while the mask stays as it is"
TIED = "where there is no tie"


def digits(value: Any) -> str:
    """Return an exact or 120-digit number in at most 10 digits, with a real minus sign."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, sp.Basic):
        shown = str(value) if value.is_Rational and len(str(value)) <= 24 else str(sp.N(value, 10))
    else:
        shown = CONTEXT.nstr(value, 10, strip_zeros=True).removesuffix(".0")
    return shown.replace("-", "−")


def by_sides(proof: Proof, names: Mapping[Any, str]) -> str:
    """Return a derivative as text: one formula, or one for each side of a kink.

    Example:
        >>> import graphgrad as gg
        >>> from graphgrad.proof.partials import prove_partial
        >>> by_sides(prove_partial(gg.PRIMITIVES["relu"], 0, {}, [False]), {})
        '1 where x > 0, 0 where x < 0'
    """
    pieces = [(sides, tidy(e)) for sides, e in proof.derivative]
    found = Counter(e for _, e in pieces)
    if len(found) <= 1:
        return text(next(iter(found)), names) if found else ""
    usual = found.most_common(1)[0][0] if len(pieces) > 2 else None
    parts = []
    for sides, e in pieces:
        if e != usual:
            where = " and ".join(
                _side(s, taken, names, s in proof.masks) for s, taken in sides.items()
            )
            parts.append(f"{text(e, names)} where {where}")
    return ", ".join(parts) + (f", else {text(usual, names)}" if usual is not None else "")


def _side(s: Any, taken: Any, names: Mapping[Any, str], mask: bool) -> str:
    if mask:
        return text(s, names) if taken else f"not {text(s, names)}"
    return side(s, bool(taken), lambda e: text(e, names))


def domain_text(p: Primitive, proof: Proof, names: Mapping[Any, str]) -> str:
    """Return where a derivative holds, with the convention used at a kink."""
    sharp = any(c.sharp for c in proof.conditions)
    tied = sharp and not isinstance(p, Elementwise)
    shown = TIED if tied else listed(proof.conditions, names)
    words = domain_words(p, proof, names)
    return shown + words if shown else words.removeprefix(", ") or EVERYWHERE


def domain_words(p: Primitive, proof: Proof, names: Mapping[Any, str]) -> str:
    """Return what is to be said after the conditions: the convention at a kink, fixed masks."""
    sharp = dict.fromkeys(c.sharp for c in proof.conditions if c.sharp)
    used = f"; convention: {_convention(p, proof, names)}" if p.convention else ""
    words = f" ({' and '.join(sharp)}{used})" if sharp else ""
    return words + (f", {MASKED}" if proof.masks else "")


def _convention(p: Primitive, proof: Proof, names: Mapping[Any, str]) -> str:
    """Return the convention of a primitive, said of these names."""
    said = p.convention.rstrip(".")
    if not isinstance(p, Elementwise) or len(proof.symbols) != 2:
        return said
    tie, here = (" = ".join(known.get(s, s.name) for s in proof.symbols) for known in ({}, names))
    return said.replace(tie, here)


class Words:
    """The names of one graph, and rows written with them."""

    def __init__(self, nodes: Sequence[Node]):
        self.names = node_names(nodes)
        for n in nodes:
            if n.primitive is CONSTANT and not n.name and n.size != 1:
                self.names[n] = str(array_mark(n))

    def symbol_names(self, node: Node, proof: Proof) -> dict[Any, str]:
        """Return the display name of every symbol of a proof about a node."""
        if not isinstance(node.primitive, Elementwise):
            return {}
        names = {s: self.names[x] for s, x in zip(proof.symbols, node.inputs)}
        names |= {sp.Symbol(s.name): names[s] for s in proof.masks}  # as rules have them
        return {**names, proof.result: self.names[node]}

    def derivative(self, node: Node, i: int) -> str:
        """Return ∂y/∂x with names; the position is added when x is an input twice."""
        x = node.inputs[i]
        again = f" (input {i + 1})" if node.inputs.count(x) > 1 else ""
        return f"∂{self.names[node]}/∂{self.names[x]}{again}"

    def definition(self, node: Node) -> str:
        """Return the node's own formula, as in ``v₄ = |v₃|``."""
        template = operation_template(node.primitive, len(node.inputs), node.settings)
        made = fill(template, "", [self.names[x] for x in node.inputs])
        size = f"  [{shape_text(node.shape)}]" if node.shape else ""
        return f"{self.names[node]} = {made}{size}"

    def edge(self, node: Node, i: int, proof: Proof, count: int = 1) -> Row:
        """Return the row of an elementwise edge."""
        proof = replace(proof, conditions=[c for c in proof.conditions if not met(node, proof, c)])
        names = self.symbol_names(node, proof)
        domain = domain_text(node.primitive, proof, names)
        entries = ", in every entry" if node.shape and domain != EVERYWHERE else ""
        tex = edge_latex(node, i, proof, self.names, names)
        return Row(
            "edge", self.derivative(node, i), proof.status,
            of=self.definition(node), formula=by_sides(proof, names),
            rule=rule_text(proof, names), difference=difference(proof, names),
            method=proof.method, domain=domain + entries,
            note=self.here(node, proof, proof.conditions),
            point={names[s]: digits(v) for s, v in proof.point.items()},
            values=_values(proof), seconds=proof.seconds, count=count,
            group=f"{node.op} {i} {node.settings}",
            tex={**tex, "words": domain_words(node.primitive, proof, names) + entries},
        )  # fmt: skip

    def structure(self, node: Node, i: int, proof: Proof, method: str, count: int = 1) -> Row:
        """Return the row of the backward rule of an operation that is no map."""
        names = [self.names[x] for x in node.inputs]
        y, x = self.names[node], names[i]
        try:
            rule = plain(fill(pullback_template(node, i), y, names, adjoint(y)))
        except Exception:  # a rule that cannot be run has no text
            rule = ""
        renamed = {f"x{k + 1}": name for k, name in enumerate(names)} | {"g": plain(adjoint(y))}
        entry = f"Σⱼ {adjoint(y)}ⱼ · ∂{y}ⱼ/∂{x}" if node.shape else f"{adjoint(y)} · ∂{y}/∂{x}"
        return Row(
            "structure", self.derivative(node, i), proof.status, of=self.definition(node),
            formula=plain(f"{adjoint(x)} = {entry}"),
            rule=plain(f"{adjoint(x)} ← ")
            + (rule if len(rule) <= 80 else f"the rule of {node.op}"),
            difference="0" if proof.status == PROVED else "",
            method=_renamed(method, renamed), domain=domain_text(node.primitive, proof, {}),
            point={_renamed(k, renamed): digits(v) for k, v in proof.point.items()},
            values=_values(proof), seconds=proof.seconds, count=count,
            group=f"{node.op} {i} {node.settings} {[n.shape for n in node.inputs]}",
            tex=structure_latex(node, i, self.names) if len(rule) <= 80 else {},
        )  # fmt: skip

    def here(self, node: Node, proof: Proof, found: Sequence[Condition]) -> str:
        """Return what is to be said of the current values: at a kink, or outside the domain.

        Args:
            node: the node whose inputs are looked at.
            proof: what was proved about an edge into it.
            found: those of its conditions that count.
        """
        try:
            if not isinstance(node.primitive, Elementwise):
                tied = any(c.sharp for c in found) and at_kink(node)
                return f"here {self.names[node]} has a tie: {_used(node, 'kink')}" if tied else ""
            values = {s: refresh(x) for s, x in zip(proof.symbols, node.inputs)}
        except GraphError:  # some variable has no value yet
            return ""
        names = self.symbol_names(node, proof)
        for c in found:
            if c.met(values) == "inside":
                continue
            place = self._place(c, values, names)
            return f"{place}: {_used(node, c.sharp)}" if c.sharp else f"{place}: outside the domain"
        return ""

    @staticmethod
    def _place(c: Condition, values: Mapping[Any, Any], names: Mapping[Any, str]) -> str:
        symbols = sorted(c.symbols, key=str)
        if any(np.ndim(values[s]) for s in symbols):
            return f"here, in some entries of {', '.join(names[s] for s in symbols)}"
        return "here " + ", ".join(f"{names[s]} = {number(values[s])}" for s in symbols)


def met(node: Node, proof: Proof, c: Condition) -> bool:
    """Return whether a condition speaks of constants only, and is met: 2 ≠ 0 need not be said."""
    values = {s: x._value for s, x in zip(proof.symbols, node.inputs) if x.primitive is CONSTANT}
    return c.symbols <= set(values) and c.met(values) == "inside"


def _renamed(shown: str, names: Mapping[str, str]) -> str:
    """Return text with the letters of a proof, such as x1[0], by the names of the graph."""
    return re.sub(r"\b(x\d+|g)(?=$|\[| )", lambda m: names.get(m[1], m[1]), shown)


def _used(node: Node, what: str) -> str:
    """Return the sentence that says what is used where there is no derivative."""
    if what == "choice":
        return "there the choice changes, and the derivative may not exist"
    used = node.primitive.convention.rstrip(".") or "the rule's own value"
    return f"at a {what} no derivative exists; by convention {used}"


def difference(proof: Proof, names: Mapping[Any, str]) -> str:
    """Return the difference of formula and rule: 0, or for a wrong rule what it is."""
    if proof.status == PROVED:
        return "0"
    return "" if proof.difference is None else shortened(proof.difference, names)


def rule_text(proof: Proof, names: Mapping[Any, str]) -> str:
    """Return the rule as text; "" when it could not even be run."""
    return "" if proof.rule is None else shortened(inside(proof.rule, proof.conditions), names)


def _values(proof: Proof) -> tuple[str, str] | None:
    return None if proof.values is None else (digits(proof.values[0]), digits(proof.values[1]))


def settings_text(settings: Settings) -> str:
    """Return the settings of an operation as they are written in a call."""
    shown = {k: number(v) if isinstance(v, float) else v for k, v in settings.items()}
    return ", ".join(f"{k}={v}" for k, v in shown.items())
