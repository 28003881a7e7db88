"""What stands on the board before and after a derivation: the forward pass, and the conventions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from graphgrad.graph import VARIABLE, Node
from graphgrad.proof.board import EQUAL, Block, Line, equation, sequence, value_line
from graphgrad.proof.derivation import Part
from graphgrad.proof.links import Links
from graphgrad.proof.marks import Mark, Pair, template
from graphgrad.proof.numerals import matrix_mark

__all__ = ["forward_block", "notes_of"]

NOTHING = Pair("", "")


def forward_block(links: Links, targets: Sequence[Node]) -> Block:
    """Return the given values, and every lettered result as formula and value."""
    results = _results(links, targets)
    wanted = set(results) | {x for n in results for x in _below(links, n)}
    given = [n for n in links.tape.nodes if n.primitive is VARIABLE and n in wanted]
    lines = []
    if given:
        lines.append(Line(None, NOTHING, sequence([_given(links, n) for n in given]), "given"))
    for node in results:
        value = _value(links, node)
        formula = links.definition(node)
        whole = formula if value is None else equation(formula, value)
        lines.append(Line(links.names[node], EQUAL, whole))
    return Block(tuple(lines), "Forward pass")


def _results(links: Links, targets: Sequence[Node]) -> list[Node]:
    """Return the lettered results on the way to the targets and those their formulas use."""
    wanted = {n for t in targets for n in links.leading_to(t) if n in links.letters}
    wanted.add(links.tape.root)
    found = []
    for node in reversed(links.tape.nodes):
        if node in wanted and node.inputs:
            found.append(node)
            wanted.update(_below(links, node))
    return found[::-1]


def _below(links: Links, node: Node) -> list[Node]:
    """Return the letters in a result's formula."""
    found, stack = [], list(node.inputs)
    while stack:
        x = stack.pop()
        if x in links.letters:
            found.append(x)
        else:
            stack += x.inputs
    return found


def _value(links: Links, node: Node) -> Mark | None:
    return matrix_mark(links.tape.value(node), links.wording.digits)


def _given(links: Links, node: Node) -> Mark:
    value = _value(links, node)
    if value is not None:
        return equation(links.names[node], value)
    space = value_line(links.tape.value(node), links.wording.digits).right
    return template("#1 ∈ #2", r"#1 \in #2", [links.names[node], space], -5)


def notes_of(
    links: Links, parts: Sequence[Part], form: str, scalar: bool, mixed: Sequence[Node]
) -> tuple[str, ...]:
    """Return the conventions that the lines of a derivation rely on.

    Args:
        links: of the run.
        parts: of the derivation.
        form: "products" or "recursion".
        scalar: whether all factors are numbers.
        mixed: the targets on which the loss depends directly and in other ways too.
    """
    root = links.names[links.tape.root].text
    text = "\n".join(str(line) for part in parts for line in part.lines)
    notes = []
    if form == "recursion":
        notes.append(
            f"x̄ stands for d{root}/dx, all paths counted: each user y of x adds ȳ · ∂y/∂x."
        )
    for name in dict.fromkeys(links.names[t].text for t in mixed):
        notes.append(
            f"d{root}/d{name} counts all paths; ∂{root}/∂{name} only the direct one, with the "
            f"other letters in the formula of {root} held fixed."
        )
    if not scalar:
        notes.append(f"∂{root}/∂X has the shape of X; a vector is a column.")
    if "⊙" in text:
        notes.append("⊙ multiplies entry by entry; functions and powers act on each entry.")
    if "𝟏" in text:
        notes.append("𝟏 is a column of ones, as long as is needed.")
    if re.search(r"\bstep\(", text):
        notes.append("step(z) is 1 for z > 0 and 0 for z < 0.")
    if re.search(r"\[[^]]*[<>≤≥=≠∧∨¬]", text):
        notes.append("[…] is 1 where the condition holds, else 0.")
    return (*notes, *_conventions(links, [part.wrt for part in parts]))


def _conventions(links: Links, targets: Iterable[Node]) -> list[str]:
    """Return the conventions at kinks of the operations passed, and where this run meets one."""
    found: dict[str, bool] = {}
    for target in targets:
        for node in links.leading_to(target):
            p = node.primitive
            if node is target or not p.convention:
                continue
            text = f"Convention for {p.name}: {p.convention}"
            found[text] = found.get(text, False) or _at_kink(links, node)
    return [
        text + (" This run is at such a point." if at else "") for text, at in sorted(found.items())
    ]


def _at_kink(links: Links, node: Node) -> bool:
    p = node.primitive
    if node.shape or len(node.inputs) != 1:
        return False
    value = links.tape.value(node.inputs[0])
    return any(k.at == (value,) for k in p.kinks)
