"""Factors of products that are read through copies: windows, borders and turned arrays in place.

The copy that would put all windows of an image side by side is kh·kw times as large as the image.
So a product on the GPU reads the image itself. Along each of its axes an entry's number is taken
apart into digits (a channel, a row and a column of a window), each of which moves by a constant;
where there is a border, the row and the column it leads to are tested against the image. As for
views, what a copy does is asked of its `forward` and its transpose (`views.places`), so nothing
here knows an operation by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphgrad.compiler.fuse import Fused, is_literal
from graphgrad.compiler.regions import reads
from graphgrad.compiler.views import View, is_injective, places
from graphgrad.graph import Node
from graphgrad.shapes import Shape, size

__all__ = ["Bound", "Step", "Window", "merged", "steps", "without_copies"]


@dataclass(frozen=True)
class Step:
    """A digit of an axis: its size, how far it moves in the buffer, and against each bound."""

    size: int
    stride: int
    moves: Shape = ()


@dataclass(frozen=True)
class Bound:
    """A coordinate that must be in [0, size), else the entry is 0; it is `start` at the origin."""

    start: int
    size: int


@dataclass(frozen=True)
class Window(View):
    """Entries of a buffer seen through copies.

    Attributes:
        strides: of each axis' last digit.
        axes: the digits of each axis, the last the fastest.
        bounds: the tests.
    """

    axes: tuple[tuple[Step, ...], ...] = ()
    bounds: tuple[Bound, ...] = ()

    def broadcast(self, shape: Shape) -> View:
        """Return the window repeated to a larger shape."""
        lead = len(shape) - len(self.shape)
        axes = tuple(
            (Step(n, 0),) if n > 1 and (k < lead or self.shape[k - lead] == 1)
            else self.axes[k - lead] if k >= lead else ()
            for k, n in enumerate(shape)
        )  # fmt: skip
        return replace(self, shape=shape, strides=_last(axes), axes=axes)


def _last(axes: Sequence[Sequence[Step]]) -> Shape:
    return tuple(digits[-1].stride if digits else 0 for digits in axes)


def steps(view: View) -> list[list[Step]]:
    """Return the digits of each axis of a view; one of size 1 has none."""
    if isinstance(view, Window):
        return [list(digits) for digits in view.axes]
    return [
        [Step(n, stride)] if n > 1 else []
        for n, stride in zip(view.shape, view.strides, strict=True)
    ]


def merged(digits: Sequence[Step]) -> list[Step]:
    """Return digits of which neighbours that run on in one another are one.

    Example:
        >>> merged([Step(3, 10), Step(5, 2), Step(4, 7)])
        [Step(size=15, stride=2, moves=()), Step(size=4, stride=7, moves=())]
    """
    found: list[Step] = []
    for step in digits:
        whole = tuple(step.size * m for m in (step.stride, *step.moves))
        if found and (found[-1].stride, *found[-1].moves) == whole:
            step = replace(step, size=found.pop().size * step.size)
        found.append(step)
    return found


@dataclass(frozen=True)
class _Radix:
    """A digit of a copy's own entries: stride and size there, and what part of it a source fills.

    Attributes:
        low, count: the source's share begins at this value, and is so long.
        inside: how far the source's buffer moves with it.
    """

    stride: int
    size: int
    low: int
    count: int
    inside: int


def _radices(goal: View, source: View) -> list[_Radix] | None:
    """Return the digits of a copy, large ones first; None when they do not come apart."""
    if not is_injective(goal.shape, goal.strides) or min(goal.strides, default=1) < 0:
        return None
    axes = sorted(
        ((s, n, inner) for s, n, inner in zip(goal.strides, goal.shape, source.strides, strict=True)
         if n > 1), reverse=True,
    )  # fmt: skip
    if not axes or axes[-1][0] != 1:
        axes.append((1, 1, 0))
    found, rest, above = [], goal.offset, size(goal.root.shape)
    for stride, count, inner in axes:
        low, rest = divmod(rest, stride)
        if above % stride or low + count > above // stride:
            return None
        found.append(_Radix(stride, above // stride, low, count, inner))
        above = stride
    return found


def _apart(step: Step, radices: Sequence[_Radix]) -> list[tuple[Step, int, int]] | None:
    """Take a step apart into such as move one radix: each with that radix' place and its move."""
    found: list[tuple[Step, int, int]] = []
    count, stride, moves = step.size, step.stride, step.moves
    while count > 1:
        k = next((k for k, r in enumerate(radices) if r.stride <= abs(stride)), 0)
        by, odd = divmod(stride, radices[k].stride)
        whole = (count - 1) * abs(by) < radices[k].size
        room = count if whole else radices[k].size // abs(by)
        carries = not whole and (by < 0 or room < 2 or radices[k].size % by or count % room)
        if odd or carries:
            return None
        found.insert(0, (Step(room, by * radices[k].inside, moves), k, by))
        count, stride, moves = count // room, stride * room, tuple(m * room for m in moves)
    return found


def _through(window: Window, goal: View, source: View) -> Window | None:
    """Return a window on a copy as one on what it was copied from; None when it must be copied."""
    radices = _radices(goal, source)
    if radices is None:
        return None
    axes: list[list[tuple[Step, int, int]]] = []
    for digits in window.axes:
        parts = [_apart(step, radices) for step in digits]
        axes.append([piece for part in parts for piece in part or ()])
        if None in parts:
            return None
    base, rest = [], window.offset
    for r in radices:
        digit, rest = divmod(rest, r.stride)
        base.append(digit)
    first, last = list(base), list(base)
    for step, k, by in (piece for pieces in axes for piece in pieces):
        first[k] += min(by, 0) * (step.size - 1)
        last[k] += max(by, 0) * (step.size - 1)
    if any(a < 0 or b >= r.size for a, b, r in zip(first, last, radices, strict=True)):
        return None  # a digit would carry over into the next
    tested = [
        k for k, r in enumerate(radices) if first[k] < r.low or last[k] >= r.low + r.count
    ]  # fmt: skip
    shifts = [b - r.low for b, r in zip(base, radices, strict=True)]
    seen = tuple(
        tuple(
            replace(step, moves=(*step.moves, *(by * (k == q) for q in tested)))
            for step, k, by in pieces
        )
        for pieces in axes
    )
    return Window(
        source.root, window.shape, _last(seen),
        source.offset + sum(n * r.inside for n, r in zip(shifts, radices, strict=True)), seen,
        (*window.bounds, *(Bound(shifts[k], radices[k].count) for k in tested)),
    )  # fmt: skip


def without_copies(fused: Fused, kept: set[Node]) -> Fused:
    """Return kernels of which no product reads a copy that only products read.

    Args:
        fused: kernels and buffers.
        kept: nodes that must stand in memory.
    """
    factors: dict[Node, set[Node]] = {}
    others: Counter[Node] = Counter()
    for k in fused.kernels:
        if k.kind == "matmul":
            for x in k.nodes[0].inputs:
                factors.setdefault(fused.view(x).root, set()).add(x)
        else:
            others.update({view.root for view, _ in reads(k, fused)})
    views, gone = dict(fused.views), set()
    for k in reversed(fused.kernels):
        node = k.nodes[0]
        copies = k.kind == "move" and len(node.inputs) == 1 and not node.settings.get("value")
        if not copies or node in kept or others[node] or node not in factors:
            continue
        source, goal = fused.view(node.inputs[0]), places(node)[0]
        seen = {
            x: _through(_window(views.get(x) or fused.view(x)), goal, source)
            for x in (*factors[node], node)
        }
        if is_literal(source.root) or None in seen.values():
            continue
        gone.add(k)
        views |= {x: window for x, window in seen.items() if window}
        factors.setdefault(source.root, set()).update(factors[node])
        others[source.root] -= 1
    away = {k.nodes[0] for k in gone}
    return replace(
        fused, kernels=[k for k in fused.kernels if k not in gone], views=views,
        stored=[n for n in fused.stored if n not in away],
        kernel_of={n: k for n, k in fused.kernel_of.items() if n not in away},
    )  # fmt: skip


def _window(view: View) -> Window:
    if isinstance(view, Window):
        return view
    axes = tuple(tuple(digits) for digits in steps(view))
    return Window(view.root, view.shape, view.strides, view.offset, axes)
