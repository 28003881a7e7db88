"""What a compiled graph shows of itself: its kernels as a table, their times, and the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from graphgrad.compiler.kernels import Kernels
from graphgrad.compiler.origins import records, user_nodes
from graphgrad.compiler.program import Program
from graphgrad.display import Pictured
from graphgrad.graph import Node

__all__ = ["Inspected"]

MOST_SHOWN = 100
"""Kernels in the largest picture that a notebook shows; of more it shows the table."""


class Inspected(Pictured):
    """The part of an `Executor` that tells what became of the graph."""

    _outputs: Sequence[Node]
    _updates: Mapping[Node, Node]
    _program: Program
    _runtime: Any
    _lock: AbstractContextManager[Any]
    _seconds: Sequence[float] | None = None
    _checked: Callable[..., list[Any]]
    _upload: Callable[[], None]

    @property
    def kernels(self) -> Kernels:
        """The kernels in the order in which they run; see `KernelRecord`. Prints as a table.

        Example:
            >>> import graphgrad as gg
            >>> x = gg.var("x", shape=(3,))
            >>> f = gg.compile([gg.sum(gg.exp(x) * 2)], [x], target="numpy")
            >>> print(f.kernels)
            3 kernels on 1 thread, 128 B read and written
                 kernel         computes  threads  moved  flop
              1  map 3          exp             1   48 B     3
              2  map 3          mul             1   48 B     3
              3  reduce scalar  sum             1   32 B     3
        """
        found = records(
            self._program, self._nodes, self._updates.items(), self._runtime.runs(),
            self._runtime.fused,
        )  # fmt: skip
        return found if self._seconds is None else found.timed(self._seconds)

    def profile(self, *arrays: Any) -> Kernels:
        """Measure how long each kernel takes.

        The kernels are compiled anew with clocks in them and run many times, for about a third of
        a second, on copies of the variables. Pictures drawn later show the times.

        Args:
            arrays: one per input, of its shape.

        Returns:
            The same as `kernels`, with the median of each kernel's seconds: of the slowest thread
            where several share it.

        Raises:
            ShapeError, DtypeError, CompileError, MissingValueError: as for a call.
        """
        values = self._checked(arrays)
        with self._lock:
            self._upload()
            self._seconds = self._runtime.profile(values)
            return self.kernels

    @property
    def _nodes(self) -> list[Node]:
        return user_nodes(self._outputs, [*self._updates, *self._updates.values()])

    def _draw_(self, profile: Sequence[Any] | None = None, **options: Any) -> str:
        """Return the DOT text of the picture that `gg.draw` shows."""
        from graphgrad.compiler.picture import dot_of

        if profile is not None:
            self.profile(*profile)
        return dot_of(self, **options)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        if len(self.kernels) > MOST_SHOWN:
            return self.kernels._repr_mimebundle_()
        return super()._repr_mimebundle_(**options)
