"""Proofs as rows: which derivative, both formulas with the graph's names, the domain in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.explain.formulas import fill, operation_template, pullback_template
from graphgrad.explain.latex import latex_adjoint, latex_name
from graphgrad.explain.names import node_names
from graphgrad.explain.numbers import shape_text
from graphgrad.explain.steps import adjoint, plain
from graphgrad.graph import Node, refresh
from graphgrad.primitive import Primitive, Settings
from graphgrad.proof.domains import Condition, listed
from graphgrad.proof.partials import PROVED, WRONG, Proof
from graphgrad.proof.precise import CONTEXT
from graphgrad.proof.report import Row
from graphgrad.proof.texts import latex, shortened, text

__all__ = ["EVERYWHERE", "Words", "by_sides", "digits", "domain_text"]

EVERYWHERE = "everywhere"
MASKED = "while the mask stays as it is"
TIED = "where no entries tie"
MANY = 3
"""Kinks between entries from which they are summed up in words."""


def digits(value: Any) -> str:
    """Return an exact or 120-digit number in at most 10 digits, with a real minus sign."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, sp.Basic):
        shown = str(value) if value.is_Rational and len(str(value)) < 16 else str(sp.N(value, 10))
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
    found = Counter(e for _, e in proof.derivative)
    if len(found) <= 1:
        return text(next(iter(found)), names) if found else ""
    usual = found.most_common(1)[0][0] if len(proof.derivative) > 2 else None
    parts = []
    for sides, e in proof.derivative:
        if e != usual:
            where = " and ".join(_side(s, side, names) for s, side in sides.items())
            parts.append(f"{text(e, names)} where {where}")
    return ", ".join(parts) + (f", else {text(usual, names)}" if usual is not None else "")


def _side(s: Any, side: Any, names: Mapping[Any, str]) -> str:
    if s.is_Symbol and s in names and names[s].startswith("\0"):
        return names[s][1:] if side else f"not {names[s][1:]}"
    return Condition("positive", (s if side else -s,)).text(names)


def domain_text(p: Primitive, proof: Proof, names: Mapping[Any, str], masked: bool) -> str:
    """Return where a derivative holds, with the convention used at a kink."""
    kinks = [c for c in proof.conditions if c.kind in ("kink", "broken")]
    if len(kinks) > MANY and len(kinks) == len(proof.conditions):
        return f"{TIED} ({p.convention.rstrip('.')})"
    shown = listed(proof.conditions, names)
    if kinks and p.convention:
        shown += f" (kink; convention: {p.convention.rstrip('.')})"
    if masked:
        return f"{shown}, {MASKED}" if shown else MASKED
    return shown or EVERYWHERE


class Words:
    """The names of one graph, and rows written with them."""

    def __init__(self, nodes: Sequence[Node]):
        self.names = node_names(nodes)

    def symbol_names(self, node: Node, proof: Proof) -> dict[Any, str]:
        """Return the display name of every symbol of a proof about a node."""
        inputs = zip(proof.symbols, node.inputs, strict=True)
        return {**{s: self.names[x] for s, x in inputs}, proof.result: self.names[node]}

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
        names = self.symbol_names(node, proof)
        masked = any(x.dtype.kind == "b" for x in node.inputs)
        sides = {s: f"\0{n}" if x.dtype.kind == "b" else n
                 for (s, n), x in zip(names.items(), node.inputs)}  # fmt: skip
        domain = domain_text(node.primitive, proof, names, masked)
        return Row(
            "edge", self.derivative(node, i), proof.status,
            of=self.definition(node), formula=by_sides(proof, {**names, **sides}),
            rule=shortened(proof.rule, names), difference=difference(proof, names),
            method=proof.method, domain=domain + self._entrywise(node, domain),
            note=self.here(node, proof.conditions, names, proof.symbols),
            point={names[s]: digits(v) for s, v in proof.point.items()},
            values=_values(proof), seconds=proof.seconds, count=count,
            group=f"{node.op} {i} {node.settings}", tex=self._tex(node, i, proof, names, domain),
        )  # fmt: skip

    @staticmethod
    def _entrywise(node: Node, domain: str) -> str:
        return ", in every entry" if node.shape and domain != EVERYWHERE else ""

    def _tex(
        self, node: Node, i: int, proof: Proof, names: Mapping[Any, str], domain: str
    ) -> dict[str, str]:
        y, x = latex_name(self.names[node]), latex_name(self.names[node.inputs[i]])
        single = {e for _, e in proof.derivative}
        tex = {"where": rf"\partial {y} / \partial {x}", "rule": latex(proof.rule, names)}
        if len(single) == 1:
            tex["formula"] = latex(single.pop(), names)
        if domain != EVERYWHERE and all(c.kind != "kink" for c in proof.conditions):
            tex["domain"] = r",\ ".join(c.latex(lambda e: latex(e, names)) for c in proof.conditions)
        return tex

    def structure(self, node: Node, i: int, proof: Proof, method: str, count: int = 1) -> Row:
        """Return the row of the backward rule of an operation that is no map."""
        template = pullback_template(node, i)
        names = [self.names[x] for x in node.inputs]
        y, x = self.names[node], names[i]
        rule = plain(fill(template, y, names, adjoint(y)))
        size = shape_text(node.inputs[i].shape)
        return Row(
            "structure", self.derivative(node, i), proof.status, of=self.definition(node),
            formula=plain(f"{adjoint(x)} = Σⱼ {adjoint(y)}ⱼ · ∂{y}ⱼ/∂{x}"),
            rule=rule if len(rule) <= 80 else "the rule of " + node.op,
            difference="0" if proof.status == PROVED else "", method=method,
            domain=domain_text(node.primitive, proof, {}, False),
            note="" if size == "scalar" else "", point={k: digits(v) for k, v in proof.point.items()},
            values=_values(proof), seconds=proof.seconds, count=count,
            group=f"{node.op} {i} {node.settings} {[n.shape for n in node.inputs]}",
            tex={"where": rf"{latex_adjoint(latex_name(x))}"},
        )  # fmt: skip

    def here(
        self, node: Node, found: Sequence[Condition], names: Mapping[Any, str], symbols: Any
    ) -> str:
        """Return what is to be said of the current values: a kink, or outside the domain."""
        try:
            values = {s: refresh(x) for s, x in zip(symbols, node.inputs, strict=True)}
        except GraphError:  # some variable has no value yet
            return ""
        for c in found:
            place = c.met(values)
            if place == "inside":
                continue
            entries = "" if all(np.ndim(values[s]) == 0 for s in c.symbols) else "some entries of "
            at = ", ".join(f"{names[s]}" for s in sorted(c.symbols, key=str))
            if place == "kink":
                used = node.primitive.convention.rstrip(".") or "the rule's own value is used"
                return f"the current values of {entries}{at} lie on the kink: there is no derivative there, but a convention ({used})"
            return f"the current values of {entries}{at} lie outside"
        return ""


def difference(proof: Proof, names: Mapping[Any, str]) -> str:
    """Return the difference of formula and rule: 0, or for a wrong rule what it is."""
    if proof.status == PROVED:
        return "0"
    if proof.status != WRONG or len(proof.derivative) != 1:
        return ""
    return shortened(sp.factor_terms(proof.derivative[0][1] - proof.rule), names)


def _values(proof: Proof) -> tuple[str, str] | None:
    return None if proof.values is None else (digits(proof.values[0]), digits(proof.values[1]))


def settings_text(settings: Settings) -> str:
    """Return the settings of an operation as they are written in a call."""
    return ", ".join(f"{k}={v}" for k, v in settings.items())
