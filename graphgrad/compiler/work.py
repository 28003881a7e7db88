"""How much a node or a kernel does: floating operations, and bytes to and from memory.

Both are counted from shapes and types, not measured. A product of an m × k with a k × n matrix is
2mnk operations, every elementwise operation and every sum one per entry; moves are none. A kernel
reads each entry it needs once and writes what it keeps once: what a cache holds is counted like
what comes from afar.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphgrad import shapes
from graphgrad.compiler.fuse import Fused, Kernel, is_literal
from graphgrad.compiler.regions import reads
from graphgrad.compiler.views import View
from graphgrad.graph import Node

__all__ = ["flops", "kernel_flops", "read", "written"]


def flops(node: Node) -> int:
    """Return how many floating operations one node is.

    Example:
        >>> import graphgrad as gg
        >>> flops(gg.var("A", shape=(2, 3)) @ gg.var("B", shape=(3, 4)))
        48
    """
    kind = node.primitive.kind
    if kind == "map":
        return node.size if node.op != "cast" else 0
    if kind == "reduce":
        return node.inputs[0].size
    if kind == "matmul":
        return 2 * node.size * (node.inputs[0].shape[-1] if node.op == "matmul" else 1)
    if kind == "conv":
        return 2 * node.size * shapes.size(node.inputs[1].shape[1:])
    return 0


def kernel_flops(kernel: Kernel) -> int:
    """Return how many floating operations a kernel is."""
    return sum(map(flops, kernel.nodes))


def read(kernel: Kernel, fused: Fused) -> int:
    """Return the bytes a kernel reads; numbers that stand in the source text are none."""
    entries: dict[Node, int] = {}
    most = kernel.nodes[0].size if kernel.kind == "gather" else None
    # of a call of cuBLAS also a mask of bits, which is in no buffer
    there = set(fused.stored) if kernel.kind == "cublas" else None
    for view, _ in reads(kernel, fused):
        if not is_literal(view.root) and (there is None or view.root in there):
            count = _entries(view) if most is None else min(_entries(view), most)
            entries[view.root] = min(entries.get(view.root, 0) + count, view.root.size)
    return _bytes((n, count) for n, count in entries.items())


def written(kernel: Kernel, stored: set[Node]) -> int:
    """Return the bytes a kernel writes into buffers."""
    return _bytes((n, n.size) for n in kernel.nodes if n in stored)


def _entries(view: View) -> int:
    """Return how many different entries a view reaches; one repeated along an axis counts once."""
    lengths = zip(view.shape, view.strides, strict=True)
    return shapes.size(tuple(n for n, stride in lengths if stride))


def _bytes(counts: Iterable[tuple[Node, int]]) -> int:
    return sum(count * n.dtype.itemsize for n, count in counts)
