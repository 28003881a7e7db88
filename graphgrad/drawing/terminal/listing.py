"""A graph as a list, for terminals too narrow for its drawing: one line per value.

What one can do here: ``listed(boxes, arrows)`` writes ``x₁ = x × w = 6`` and so on;
``labels(some, boxes, arrows)`` writes what some arrows say, ``x → × → x₁: 3``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from graphgrad.drawing.terminal.canvas import ASCII, SGR, cut
from graphgrad.drawing.terminal.diagram import Arrow, Box

__all__ = ["labels", "listed"]

PLACE = re.compile(r"(?<=[|⌊])[·.]|(?<!\w)x(?![A-Za-z0-9])")
"""Where an operation's sign shows its operand: |·|, x², 1/x."""
MARKS = {"current": "▶ ", "pending": "┄ ", "done": "  "}


def listed(
    boxes: Sequence[Box], arrows: Sequence[Arrow], *, width: int | None, color: bool, ascii: bool
) -> str:
    """Writes one line per value, in the order of the boxes, then what the arrows say.

    An operation is part of its result's line: ``x₁ = x × w = 6``. The current value is marked with
    ``▶``, pending ones with ``┄``.

    Args:
        boxes: Values with their name first; operations with their sign.
        arrows: Inputs of an operation in their order.
        width: Where lines are cut, if at all.
        color: Whether to color the current and pending lines.
        ascii: Whether marks must be ASCII.
    """

    def shorten(line: str) -> str:
        return line if width is None else cut(line, width, ascii)

    lines = []
    folded = _folded(boxes, arrows)
    for box in boxes:
        if box.id not in folded.values():
            text = _formula(box, folded.get(box.id), boxes, arrows)
            mark = MARKS[box.state]
            mark = "".join(ASCII.get(c, c) for c in mark) if ascii else mark
            line = shorten((mark + text).rstrip())
            style = SGR.get(box.state, "") if color else ""
            lines.append(f"\x1b[{style}m{line}\x1b[0m" if style else line)
    said = labels(arrows, boxes, arrows, ascii=ascii)
    lines += ["", *map(shorten, said)] if said else []
    return "\n".join(lines)


def labels(
    some: Sequence[Arrow], boxes: Sequence[Box], arrows: Sequence[Arrow], *, ascii: bool
) -> list[str]:
    """Writes one line for each of some arrows that has a label."""
    names = {box.id: box.lines[0] for box in boxes}
    results = {op: result for result, op in _folded(boxes, arrows).items()}
    to, back = ("->", "<-") if ascii else ("→", "←")
    lines = []
    for arrow in some:
        if arrow.label:
            sign = back if arrow.back else to
            ends = [names[arrow.tail], names[arrow.head]]
            ends += [names[results[arrow.head]]] if arrow.head in results else []
            lines.append(f" {sign} ".join(ends) + f": {arrow.label}")
    return lines


def _folded(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> dict[str, str]:
    """The operation of each value that has one of its own."""
    kinds = {box.id: box.kind for box in boxes}
    outs, ins = defaultdict(list), defaultdict(list)
    for arrow in arrows:
        outs[arrow.tail].append(arrow.head)
        ins[arrow.head].append(arrow.tail)
    return {
        result: op
        for result, inputs in ins.items()
        for op in inputs[:1]
        if kinds[result] == "value" and kinds[op] == "op"
        and len(inputs) == 1 and len(outs[op]) == 1
    }  # fmt: skip


def _formula(box: Box, op: str | None, boxes: Sequence[Box], arrows: Sequence[Arrow]) -> str:
    by_id = {other.id: other for other in boxes}
    name, *rest = box.lines
    source = op or box.id
    inputs = [by_id[arrow.tail].lines[0] for arrow in arrows if arrow.head == source]
    if op:
        name += " = " + _applied(by_id[op].lines[0], inputs)
    elif inputs:
        name += f" ({', '.join(inputs)})"
    text = " = ".join([name, *rest[:1]])
    for line in rest[1:]:
        row = line.startswith("[") and text.endswith(("=", "]"))
        text += f"{' ' if row else ', '}{line}"
    return text


def _applied(sign: str, inputs: Sequence[str]) -> str:
    if len(inputs) == 1 and PLACE.search(sign):
        operand = f"({inputs[0]})" if inputs[0].startswith(("−", "-")) else inputs[0]
        return PLACE.sub(lambda _: operand, sign)
    if len(inputs) == 2 and sign == "xʸ":
        return f"{inputs[0]}^{inputs[1]}"
    if len(inputs) == 2 and not any(c.isalnum() for c in sign):
        return f"{inputs[0]} {sign} {inputs[1]}"
    return f"{sign}({', '.join(inputs)})"
