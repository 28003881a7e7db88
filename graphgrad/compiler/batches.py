"""Other numbers of rows than a graph was compiled for, where every row is computed by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.fuse import Fused, Kernel, fuse
from graphgrad.compiler.program import Program
from graphgrad.compiler.regions import aligned, crossing, reads, rows_of
from graphgrad.graph import Node, describe

__all__ = ["BatchWarning", "obstacle", "other_count", "size_of_batch"]


class BatchWarning(UserWarning):
    """Another number of rows than a graph was compiled for is run in batches."""


def obstacle(program: Program, size: int) -> str:
    """Return why rows of the inputs do not go their way alone; "" when they do.

    They do when row i of every output depends on row i of the inputs with `size` rows only, as in
    a prediction. A sum over the rows, as in a loss, mixes them.
    """
    if program.updates:
        return "it updates variables"
    fused = fuse(program)
    touched = {n for n in program.inputs if n.shape and n.shape[0] == size}
    for kernel in fused.kernels:
        seen = [(view, axis) for view, axis in reads(kernel, fused) if view.root in touched]
        if not seen:
            continue
        if not _by_rows(kernel, fused, size, seen):
            return f"{describe(kernel.nodes[0])} mixes rows"
        if mixed := crossing(kernel):
            return f"{describe(mixed[0])} sums over rows"
        touched.update(kernel.nodes)
    return _wrong_output(program, fused, touched, size)


def _by_rows(kernel: Kernel, fused: Fused, size: int, seen: Sequence[tuple]) -> bool:  # type: ignore[type-arg]
    if not kernel.domain or kernel.domain[0] % size or rows_of(kernel, fused, size) != size:
        return False
    return all(axis is not None and aligned(view, axis, size) for view, axis in seen)


def _wrong_output(program: Program, fused: Fused, touched: set[Node], size: int) -> str:
    for n in program.outputs:
        view = fused.view(n)
        if view.root in touched and not (
            view.shape and view.shape[0] == size and aligned(view, 0, size)
        ):
            return f"output {describe(n)} has no row for each of the inputs'"
    return ""


def other_count(inputs: Sequence[Node], arrays: Sequence[Any]) -> int:
    """Return the number of rows given, when it is another than compiled for; else 0."""
    for n, x in zip(inputs, arrays, strict=False):
        shape = np.shape(x)
        if shape != n.shape and n.shape and shape and shape[1:] == n.shape[1:]:
            return len(x) if n.shape[0] and len(x) else 0
    return 0


def size_of_batch(inputs: Sequence[Node], arrays: Sequence[Any], count: int) -> int:
    """Return the number of rows compiled for, of the first input that is given another."""
    return next(
        n.shape[0]
        for n, x in zip(inputs, arrays, strict=False)
        if n.shape and np.shape(x)[:1] == (count,) != n.shape[:1]
    )
