"""Which node a person means: by the user's name, by the name in displays, by its number.

``w``, ``v₃`` (or ``v3``), ``#17``: the serial number of a node, which tells apart what bears the
same name.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

from graphgrad.errors import GraphError
from graphgrad.explain.names import visible
from graphgrad.explain.steps import Wording
from graphgrad.graph import CONSTANT, Node

__all__ = ["Nodes", "close", "quoted"]

MOST = 2000
"""Names among which close matches are looked for."""


class Nodes:
    """The nodes of one tape, by name.

    Args:
        wording: its names.
    """

    def __init__(self, wording: Wording):
        self.tape = wording.tape
        self.names = wording.names
        self.all = wording.tape.nodes
        self._exact: dict[str, list[Node]] = {}
        self._plain: dict[str, list[Node]] = {}
        for node in self.all:
            called = {self.names[node], node.name or self.names[node]}
            for name in called:
                self._exact.setdefault(name, []).append(node)
            for name in {plain_name(name) for name in called}:
                self._plain.setdefault(name, []).append(node)

    def find(self, text: str) -> Node:
        """Return the node that `text` names.

        Raises:
            GraphError: when there is none, with names that are close; or more than one.
        """
        name = text.strip()
        if not name:
            raise GraphError(f"which node? This graph has {self._listed()}")
        found = self.called(name)
        if name.startswith("#") and not found:
            found = [n for n in self.all if f"#{n.serial}" == name]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(f"#{n.serial} ({n.op})" for n in found[:8])
            more = ", …" * (len(found) > 8)
            raise GraphError(f"{quoted(name)} is the name of {len(found)} nodes: {listed}{more}")
        raise GraphError(f"no node {quoted(name)}{close(name, self.offered())}: {self._have()}")

    def called(self, name: str) -> list[Node]:
        """Return the nodes of that name: as it stands, else as it can be typed."""
        return self._exact.get(name) or self._plain.get(plain_name(name), [])

    def offered(self) -> list[str]:
        """Return the names to choose from, as they can be typed."""
        kept = [n for n in self.all if n.name or n.primitive is not CONSTANT]
        return list(dict.fromkeys(n.name or plain_name(self.names[n]) for n in kept))

    def _have(self) -> str:
        return f"this graph has {self._listed()}"

    def _listed(self) -> str:
        names = [visible(name) for name in self.offered()]
        return ", ".join(names[:12]) + ", …" * (len(names) > 12)


def plain_name(name: str) -> str:
    """Return a name as it is typed on any keyboard: digits on the line, no underscore before them.

    Example:
        >>> plain_name("v₁₂"), plain_name("w_1"), plain_name("layer_2")
        ('v12', 'w1', 'layer_2')
    """
    flat = "".join(str(unicodedata.digit(c)) if "₀" <= c <= "₉" else c for c in name)
    return re.sub(r"^([^\W\d_])_(\d+)$", r"\1\2", flat)


def close(name: str, names: Iterable[str]) -> str:
    """Return a question such as " (did you mean w or x?)", or "" when nothing is close."""
    among = list(names)[:MOST]
    found = difflib.get_close_matches(name[:60].lower(), among, 3, 0.6)
    found = found or [n for n in among if len(name) > 1 and n.startswith(name)][:3]
    listed = " or ".join(visible(n) for n in found)
    return f" (did you mean {listed}?)" if found else ""


def quoted(text: str, longest: int = 40) -> str:
    """Return a user's text in quotes, safe to print, and cut when it is long."""
    shown = visible(text)
    return f"'{shown if len(shown) <= longest else shown[: longest - 1] + '…'}'"
