"""`compile`: a graph as a function of arrays, for NumPy or for Numba."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.compiler.feeding import feed, fitting
from graphgrad.compiler.inspection import Inspected
from graphgrad.compiler.program import program
from graphgrad.errors import CompileError, MissingDependencyError, MissingValueError
from graphgrad.graph import Node, describe, evaluate, lend, refresh

__all__ = ["Executor", "compile"]

TARGETS = ("numpy", "numba")


class Executor(Inspected):
    """A compiled graph; made by `compile`.

    Call it with one array per input, in order. It returns a list with one array per output, and
    then the updated variables have their new values.

    Attributes:
        target: "numpy" or "numba".
        source: the text of the kernels the graph became.
        inputs: the variables whose values a call takes.
    """

    def __init__(
        self, outputs: Any, inputs: Any, updates: Any, target: str, math: str
    ) -> None:
        self.target = target
        self._outputs = list(outputs)
        self._updates = dict(updates)
        self._program = program(self._outputs, list(inputs), self._updates)
        self.inputs = self._program.inputs
        self._runtime = _runtime(self._program, target, math)
        self._states = self._program.states
        self._epochs = dict.fromkeys(self._states, -1)

    @property
    def source(self) -> str:
        """The text of the kernels."""
        return self._runtime.source

    def __repr__(self) -> str:
        names = ", ".join(n.name for n in self.inputs)
        return f"<Executor({names}) of {len(self._program.order)} nodes for {self.target}>"

    def __call__(self, *arrays: Any) -> list[Any]:
        """Run once.

        Raises:
            ShapeError, DtypeError: when an array does not fit its input.
            CompileError: when there are too few or too many arrays.
            MissingValueError: when a variable that is no input has no value.
        """
        values = self._checked(arrays)
        self._upload()
        results = self._runtime.run(values)
        self._updated()
        return results

    def _updated(self) -> None:
        """Note that the updated variables' values are now in this executor's memory."""
        if self._updates:
            epoch = lend(self._updates, self)
            for v in self._updates:
                self._epochs[v] = epoch

    def epoch(self, *data: Any, rows: Any = None) -> list[Any]:
        """Run once per batch, all in compiled code: the training loop without Python in it.

        Args:
            data: one array per input, each in one of two forms. A table of shape
                (N, *input.shape[1:]), of which step s reads the rows ``rows[s]``; it may be
                memory-mapped and larger than memory. Or one batch a step, of shape
                (steps, *input.shape).
            rows: integers of shape (steps, B), which rows of the tables make each batch, for
                inputs of shape (B, …); a shuffled epoch is a permutation, cut into batches. None
                when all of `data` is given batch by batch.

        Returns:
            One array per output, of shape (steps, *output.shape).

        Raises:
            ShapeError, DtypeError, CompileError: as for a call; before anything runs.
            MissingValueError: when a variable that is no input has no value.

        Example:
            >>> import numpy as np
            >>> import graphgrad as gg
            >>> x, w = gg.var("x", shape=(2,)), gg.var("w", 0.0)
            >>> loss = gg.mean(gg.square(x - w))
            >>> f = gg.compile([loss], [x], {w: w - 0.5 * gg.grad(loss, w)}, target="numpy")
            >>> table = np.array([1.0, 2.0, 3.0, 4.0])
            >>> f.epoch(table, rows=[[0, 1], [3, 2]])[0]
            array([2.5 , 4.25])
            >>> w.value
            3.5
        """
        batches = feed(self.inputs, data, rows)
        self._upload()
        results = self._runtime.epoch(batches)
        self._updated()
        return results

    def fetch(self, variable: Node) -> Any:
        """Return the value a variable has in this executor's memory."""
        value = self._runtime.get(variable)
        if getattr(value, "ndim", 0):
            value.flags.writeable = False
        return value

    def _upload(self) -> None:
        for v in self._states:
            if self._epochs[v] != v._changed:
                if v._value is None:
                    what = describe(v)
                    raise MissingValueError(f"no value for {what}: set it, or make it an input")
                self._runtime.set(v, refresh(v))
                self._epochs[v] = v._changed

    def _checked(self, arrays: tuple[Any, ...]) -> list[Any]:
        if len(arrays) != len(self.inputs):
            names = ", ".join(describe(n) for n in self.inputs) or "none"
            raise CompileError(f"{len(arrays)} arrays given; expected {len(self.inputs)}: {names}")
        return [fitting(n, x) for n, x in zip(self.inputs, arrays, strict=True)]

    def check(self, *arrays: Any, rtol: float | None = None) -> dict[str, float]:
        """Run once beside the uncompiled graph and compare every output and update.

        Args:
            arrays: as for a call.
            rtol: the largest difference allowed, relative to the largest entry; by default
                1e-9 in float64 and 1e-4 in float32.

        Returns:
            The relative difference of each output and update, by name.

        Raises:
            CompileError: when one is larger than `rtol`; variables keep their old values.
        """
        values = self._checked(arrays)
        before = {v: refresh(v) for v in self._states}
        nodes = [*self._outputs, *self._updates.values()]
        given = {**before, **dict(zip(self.inputs, values, strict=True))}
        expected = evaluate(nodes, given)
        found = [*self(*arrays), *[v.value for v in self._updates]]
        for v in self._updates:
            v.value = before[v]
        report: dict[str, float] = {}
        for k, (node, a, b) in enumerate(zip(nodes, found, expected, strict=True)):
            limit = rtol or (1e-4 if node.dtype == np.float32 else 1e-9)
            difference = _difference(a, b)
            report[node.name or f"{node.op}#{k}"] = difference
            if not difference <= limit:
                raise CompileError(
                    f"{describe(node)} differs by {difference:.2e} from the uncompiled graph; "
                    f"allowed {limit:.0e}"
                )
        return report


def _difference(a: Any, b: Any) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not a.size:
        return 0.0
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(all="ignore"):
        scale = max(float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0)), 1e-30)
        return float(np.max(np.where(same, 0.0, np.abs(a - b) / scale)))


def _runtime(compiled: Any, target: str, math: str) -> Any:
    if math not in ("fast", "exact"):
        raise CompileError(f"math {math!r}: expected 'fast' or 'exact'")
    if target == "numpy":
        from graphgrad.compiler.reference import NumpyRuntime

        return NumpyRuntime(compiled)
    if target == "numba":
        try:
            from graphgrad.compiler.cpu import CpuRuntime
        except ImportError as problem:
            raise MissingDependencyError(f"target 'numba': {problem}; pip install numba") from None
        return CpuRuntime(compiled, math)
    raise CompileError(f"target {target!r}: expected one of {', '.join(TARGETS)}")


def compile(
    outputs: Iterable[Node],
    inputs: Iterable[Node] = (),
    updates: Mapping[Node, Node] | None = None,
    target: str = "numba",
    math: str = "fast",
) -> Executor:
    """Return a function that computes the outputs from arrays, and updates variables.

    Args:
        outputs: nodes of any shapes.
        inputs: variables whose values are given at each call; all others keep theirs between
            calls, and may be set in between, as always.
        updates: new values for variables, applied at the end of each call.
        target: ``"numba"`` for kernels on this processor, ``"numpy"`` for the reference.
        math: ``"fast"`` computes exp, log, tanh and their like of float32 as vectors, to a few
            1e-7 relative; ``"exact"`` calls the C library. In float64 it is always exact.

    Returns:
        An `Executor`: ``f(x_array) -> [array, …]``; ``f.source`` is the kernels' text.

    Raises:
        CompileError: when an input or an updated node is no variable, or an operation has no
            code for the target.
        ShapeError, DtypeError: when an update does not fit its variable.

    Example:
        >>> import graphgrad as gg
        >>> x, w = gg.var("x", 2.0), gg.var("w", 3.0)
        >>> loss = gg.square(x * w - 1)
        >>> f = gg.compile([loss], [x], {w: w - 0.1 * gg.grad(loss, w)}, target="numpy")
        >>> float(f(2.0)[0]), w.value
        (25.0, 1.0)
    """
    return Executor(outputs, inputs, updates or {}, target, math)
