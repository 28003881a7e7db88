"""The pen: what every part of the source writer shares, lines, names and literals."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field

from graphgrad import dtypes
from graphgrad.compiler.fuse import Fused
from graphgrad.compiler.memory import Plan
from graphgrad.compiler.program import Program
from graphgrad.compiler.text import RESERVED
from graphgrad.graph import Node

__all__ = ["Pen"]


@dataclass
class Pen:
    """Lines written so far, and the names of buffers in them."""

    program: Program
    fused: Fused
    plan: Plan
    math: str = "fast"
    threads: int = 1
    lines: list[str] = field(default_factory=list)
    names: dict[Node, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    used: dict[Node, None] = field(default_factory=dict)
    routines: set[str] = field(default_factory=set)
    shared: bool = False

    def emit(self, depth: int, text: str) -> None:
        """Add a line at an indentation."""
        self.lines.append("    " * depth + text)

    # -- names -------------------------------------------------------------------------------

    def name(self, node: Node) -> str:
        """Return the node's name in the text, made from the user's where it is an identifier."""
        self.used[node] = None
        known = self.names.get(node)
        if known:
            return known
        base = re.sub(r"\W", "_", node.name, flags=re.ASCII).rstrip("_")
        if not base or not base[0].isalpha() or keyword.iskeyword(base) or base in RESERVED:
            base = f"v{len(self.names) + 1}" if not base else f"v_{base}"
        name = self.free(base)
        self.taken.add(name)
        self.names[node] = name
        return name

    def free(self, base: str) -> str:
        """Return the name, or the first of its kind that is not taken."""
        name, k = base, 1
        while name in self.taken:
            k += 1
            name = f"{base}{k}"
        return name

    def part(self, n: int) -> tuple[str, str]:
        """Return the ends of the share of an axis that one thread takes, if the work is shared."""
        if not self.shared:
            return "0", str(n)
        t = self.threads
        self.emit(1, f"low, high = part * {n} // {t}, (part + 1) * {n} // {t}")
        return "low", "high"

    def literal(self, node: Node) -> str:
        """Return a constant of one entry as a typed literal."""
        value = node._value.reshape(())[()] if node.shape else node._value
        if node.dtype is dtypes.BOOL:
            return str(bool(value))
        text = repr(value.item())
        return text if node.dtype is dtypes.INT64 else f"{node.dtype.name}({text})"
