"""What a page or a transcript is called: the formula of its graph, when it is short."""

from __future__ import annotations

from graphgrad.drawing.scene import Scene
from graphgrad.explain.formulas import render
from graphgrad.explain.names import visible
from graphgrad.graph import Node

__all__ = ["title_of"]

LARGEST = 25
"""Terms of the longest formula that is written out."""


def title_of(scene: Scene) -> str:
    """Return what is computed: the whole formula when it is short, else its last operation.

    Example:
        >>> import graphgrad as gg
        >>> title_of(Scene(gg.tape(abs(4 - gg.var("x", 2.0) * 3))))
        '|4 − x·3|'
    """
    root, names = scene.tape.root, scene.wording.names
    if not root.inputs:
        return names[root]
    terms: dict[Node, int] = {}
    for node in scene.tape.nodes:
        terms[node] = 1 + sum(terms[x] for x in node.inputs)
    text = render(root) if terms[root] <= LARGEST else scene.wording.operation(root)
    return visible(f"{names[root]} = {text}" if root.name else text)
