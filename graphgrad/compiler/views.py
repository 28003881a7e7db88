"""Arrays seen through strides: which moves are only another way to look at the same numbers.

Whether a move is a view, and which, is asked of NumPy: its `forward` runs on a dummy with the
strides of the input, and if the result shares the dummy's memory, its strides are the answer. The
transpose of a move (cutting is that of padding) tells in the same way where its inputs go. So no
move needs a rule of its own here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.graph import Node
from graphgrad.lengths import plain
from graphgrad.shapes import Shape, size

__all__ = ["View", "contiguous", "is_injective", "places", "through"]


@dataclass(frozen=True)
class View:
    """Entries of the buffer of `root`: entry i stands at ``offset + Σ strides[k] · i[k]``."""

    root: Node
    shape: Shape
    strides: Shape
    offset: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it is the buffer itself, in its own order."""
        same = self.offset == 0 and self.shape == self.root.shape
        return same and self.strides == contiguous(self.shape)

    def broadcast(self, shape: Shape) -> View:
        """Return the view repeated to a larger shape: stride 0 along the new directions."""
        lead = len(shape) - len(self.shape)
        strides = tuple(
            0 if k < lead or (self.shape[k - lead] == 1 and n != 1) else self.strides[k - lead]
            for k, n in enumerate(shape)
        )
        return View(self.root, shape, strides, self.offset)


def contiguous(shape: Shape) -> Shape:
    """Return the strides, in entries, of an array in row-major order.

    Example:
        >>> contiguous((2, 3, 4))
        (12, 4, 1)
    """
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def through(node: Node, base: View) -> View | None:
    """Return the move `node` as a view of what its input is a view of; None when it must copy."""
    if not node.size or not size(base.shape):
        return None
    memory = np.empty(max(size(base.root.shape), 1), np.int8)
    dummy = np.lib.stride_tricks.as_strided(memory[base.offset :], base.shape, base.strides)
    dummy = dummy.view(_Dummy)
    with np.errstate(all="ignore"):
        seen = np.asarray(node.primitive.forward(dummy, **node.settings))
    return _as_view(seen, memory, base.root, plain(node.shape))


def places(node: Node) -> list[View]:
    """Return where each input of a copying move stands in its result, as views of the result."""
    memory = np.empty(max(node.size, 1), np.int8)
    g = memory[: node.size].reshape(node.shape).view(_Dummy)
    xs = [np.broadcast_to(np.int8(0), x.shape) for x in node.inputs]
    found = []
    for i, x in enumerate(node.inputs):
        part = np.asarray(node.primitive.vjp(i, g, g, xs, node.settings))
        view = _as_view(part, memory, node, plain(x.shape))
        assert view is not None, f"{node.op} is no move"
        found.append(view)
    return found


class _Dummy(np.ndarray[Any, Any]):
    """An array of which even a single entry, when indexed, is a view."""

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        return super().__getitem__(parts if Ellipsis in parts else (*parts, Ellipsis))


def _as_view(seen: Any, memory: Any, root: Node, shape: Shape) -> View | None:
    if not np.may_share_memory(seen, memory):
        return None
    start = seen.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    return View(root, shape, tuple(seen.strides), start)


def is_injective(shapes: Sequence[int], strides: Sequence[int]) -> bool:
    """Return whether no two index tuples reach the same place (sufficient, not necessary).

    Example:
        >>> is_injective((2, 3), (3, 1)), is_injective((2, 3), (1, 1))
        (True, False)
    """
    reach = 0
    for stride, n in sorted((abs(s), n) for s, n in zip(strides, shapes, strict=True) if n > 1):
        if stride <= reach:
            return False
        reach += stride * (n - 1)
    return True
