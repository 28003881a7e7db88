"""`compile`: a graph as a function of arrays, for NumPy or for Numba."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.batches import Batched, other_count
from graphgrad.compiler.checking import check, divergence
from graphgrad.compiler.feeding import feed, fitting
from graphgrad.compiler.inspection import Inspected
from graphgrad.compiler.program import program
from graphgrad.errors import (
    CompileError,
    MissingDependencyError,
    MissingValueError,
)
from graphgrad.graph import (
    Node,
    current_epoch,
    describe,
    lend,
    refresh,
)
from graphgrad.locks import lock_for, lock_of

__all__ = ["Executor", "compile"]

TARGETS = ("numpy", "numba", "cuda")
MATH = ("fast", "exact", "tf32", "bf16")


class Executor(Batched, Inspected):
    """A compiled graph; made by `compile`.

    Call it with one array per input, in order. It returns a list with one array per output, and
    then the updated variables have their new values.

    Threads may call it, and whatever else it can do, at the same time: they take turns. So do
    executors that share a variable.

    Attributes:
        target: "numpy", "numba" or "cuda".
        math: "fast", "exact", "tf32" or "bf16".
        source: the text of the kernels the graph became.
        inputs: the variables whose values a call takes.
    """

    def __init__(self, outputs: Any, inputs: Any, updates: Any, target: str, math: str) -> None:
        super().__init__()
        self.target, self.math = target, math
        self._outputs = list(outputs)
        self._updates = dict(updates)
        self._program = program(self._outputs, list(inputs), self._updates, target == "cuda")
        self.inputs = self._program.inputs
        self._ends = [(n.shape, n.dtype) for n in self.inputs]
        self._runtime = _runtime(self._program, target, math)
        self._states = self._program.states
        self._epochs = dict.fromkeys(self._states, -1)
        self._lent, self._seen = False, -1
        self._lock = lock_for([*self.inputs, *self._states])

    @property
    def source(self) -> str:
        """The text of the kernels."""
        return self._runtime.source

    def __repr__(self) -> str:
        names = ", ".join(n.name for n in self.inputs)
        return f"<Executor({names}) of {len(self._program.order)} nodes for {self.target}>"

    def __call__(self, *arrays: Any, check_finite: bool = False) -> list[Any]:
        """Run once.

        Args:
            arrays: one per input, of its shape, or with another number of rows, which is said
                once, as a `BatchWarning`. Where every row of the outputs comes of a row of the
                inputs alone, as in a prediction, they are run in batches; otherwise the graph is
                made and compiled again for that number of rows, and kept.
            check_finite: whether to look at every output and every new value of a variable, and
                refuse a run that makes nan or infinity of finite numbers. It costs a copy of all
                variables that are updated.

        Raises:
            ShapeError, DtypeError: when an array does not fit its input, or the graph cannot be
                made for another number of rows.
            CompileError: when there are too few or too many arrays.
            MissingValueError: when a variable that is no input has no value.
            DivergenceError: with `check_finite`; it names the node in which the first nan or
                infinity was born (its `certificate` says more), and all variables keep the values
                they had before. Inputs that had no value have that of this run.
        """
        with self._lock:
            values: Sequence[Any] = arrays
            if not self._fit(arrays):
                if len(arrays) == len(self._ends) and (count := other_count(self.inputs, arrays)):
                    return self._with_rows(count, arrays, check_finite)
                values = self._checked(arrays)
            if self._seen != current_epoch():  # mostly not: small graphs take microseconds
                self._upload()
            before = {v: self.fetch(v) for v in self._updates} if check_finite else {}
            try:
                results = self._runtime.run(values)
            finally:
                if not self._lent:
                    self._updated()
            if check_finite:
                new = [self.fetch(v) for v in self._updates]
                bad = [n for n, value in zip([*self._outputs, *self._updates.values()],
                                             [*results, *new], strict=True)
                       if not np.all(np.isfinite(value))]  # fmt: skip
                if bad:
                    for v, value in before.items():
                        v.value = value
                    raise divergence(bad, self.inputs, values)
            return results

    def _updated(self) -> None:
        """Note that the updated variables' values are now in this executor's memory.

        As long as nobody has asked for one since the last time, everybody knows already.
        """
        if self._updates and not self._lent:
            epoch = lend(self._updates, self)
            for v in self._updates:
                self._epochs[v] = epoch
            self._lent, self._seen = True, epoch

    def epoch(
        self, *data: Any, rows: Any = None, shuffle: int | None = None, epoch: int = 0,
        drop_last: bool = True,
    ) -> list[Any]:  # fmt: skip
        """Run once per batch, all in compiled code: the training loop without Python in it.

        Args:
            data: one array per input, each in one of two forms. A table of shape
                (N, *input.shape[1:]), of which step s reads the rows ``rows[s]``; it may be
                memory-mapped and larger than memory. Or one batch a step, of shape
                (steps, *input.shape).
            rows: integers of shape (steps, B), which rows of the tables make each batch, for
                inputs of shape (B, …); or an `orders.Order`, which makes them up. None when all
                of `data` is given batch by batch, or with `shuffle`.
            shuffle: a seed; the rows of the tables are shuffled in compiled code and cut into
                batches of B. Rows that do not fill a batch are left out, others in every epoch.
            epoch: which of the seed's permutations.
            drop_last: False to make of the rows left over a smaller batch, the last one; the graph
                is made and compiled again for it, as in a call.

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
            >>> [f.epoch(table, shuffle=0, epoch=e)[0].shape for e in range(2)]
            [(2,), (2,)]
        """
        if not drop_last:
            if shuffle is None:
                raise CompileError("drop_last=False: expected shuffle=SEED beside it")
            with self._lock:
                return self._to_the_last(data, shuffle, epoch)
        batches = feed(self.inputs, data, rows, shuffle, epoch)
        with self._lock:
            self._upload()
            try:
                return self._runtime.epoch(batches)
            finally:  # the steps before an error, or before Ctrl-C, stay done
                self._updated()

    def fetch(self, variable: Node) -> Any:
        """Return the value a variable has in this executor's memory."""
        with lock_of(variable):
            self._lent = False
            value = self._runtime.get(variable)
        if getattr(value, "ndim", 0):
            value.flags.writeable = False
        return value

    def _upload(self) -> None:
        """Copy the values that were set elsewhere into this executor's memory."""
        now = current_epoch()
        if self._seen == now:
            return
        self._lent = False
        for v in self._states:
            if self._epochs[v] != v._changed:
                if v._value is None:
                    what = describe(v)
                    raise MissingValueError(f"no value for {what}: set it, or make it an input")
                self._runtime.set(v, refresh(v))
                self._epochs[v] = v._changed
        self._seen = now

    def _fit(self, arrays: tuple[Any, ...]) -> bool:
        """Return whether arrays are just what the inputs want, as they mostly are."""
        if len(arrays) != len(self._ends):
            return False
        for x, (shape, dtype) in zip(arrays, self._ends, strict=True):
            if type(x) is not np.ndarray or x.dtype is not dtype or x.shape != shape:
                return False
            if not x.flags.c_contiguous:
                return False
        return True

    def _checked(self, arrays: tuple[Any, ...]) -> list[Any]:
        if len(arrays) != len(self.inputs):
            names = ", ".join(describe(n) for n in self.inputs) or "none"
            raise CompileError(f"{len(arrays)} arrays given; expected {len(self.inputs)}: {names}")
        return [fitting(n, x) for n, x in zip(self.inputs, arrays, strict=True)]

    def check(
        self, *arrays: Any, rtol: float | None = None, every: bool = True
    ) -> dict[str, float]:
        """Run once beside the uncompiled graph and compare, node by node.

        The outputs and updates are those of this executor; for the nodes between, which its
        kernels keep in registers, the same graph is compiled once more with all of them as
        outputs.

        Args:
            arrays: one per input, of its shape.
            rtol: the largest difference allowed, relative to the largest entry; by default
                1e-9 in float64, 1e-4 in float32, and there 1e-2 and 1e-1 with ``math="tf32"``
                and ``"bf16"``.
            every: False to compare outputs and updates only.

        Returns:
            The relative difference of each output, update and node, by name.

        Raises:
            CompileError: when one is larger than `rtol`; variables keep their old values.

        Example:
            >>> import graphgrad as gg
            >>> x = gg.var("x", shape=(3,))
            >>> f = gg.compile([gg.sum(gg.exp(x))], [x], target="numpy")
            >>> f.check([0.0, 1.0, 2.0])
            {'sum': 0.0, 'exp': 0.0}
        """
        with self._lock:
            return check(self, arrays, rtol, every)


def _runtime(compiled: Any, target: str, math: str) -> Any:
    if math not in MATH:
        raise CompileError(f"math {math!r}: expected one of {', '.join(map(repr, MATH))}")
    if math not in MATH[:2] and target in ("numpy", "numba"):
        raise CompileError(
            f"math {math!r}: rounds products on a GPU's tensor cores; target {target!r} knows "
            f"'fast' and 'exact', or use target='cuda'"
        )
    if target == "numpy":
        from graphgrad.compiler.reference import NumpyRuntime

        return NumpyRuntime(compiled)
    if target == "numba":
        try:
            from graphgrad.compiler.cpu import CpuRuntime
        except ImportError as problem:
            raise MissingDependencyError(f"target 'numba': {problem}; pip install numba") from None
        return CpuRuntime(compiled, math)
    if target == "cuda":
        from graphgrad.compiler.cuda.runtime import CudaRuntime

        return CudaRuntime(compiled, math)
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
        target: ``"numba"`` for kernels on this processor, ``"cuda"`` for kernels on an NVIDIA
            GPU, ``"numpy"`` for the reference.
        math: ``"fast"`` computes exp, log, tanh and their like of float32 as vectors, to a few
            1e-7 relative; ``"exact"`` calls the C library. In float64 it is always exact. On
            ``"cuda"`` both call NVIDIA's functions, but ``"fast"`` takes the device's reciprocals
            in the logistic function; ``"tf32"`` and ``"bf16"`` moreover let large float32 products
            round their factors to 10 or 7 binary digits, for tensor cores; they need the extra
            ``cublas``.

    Returns:
        An `Executor`: ``f(x_array) -> [array, …]``; ``f.source`` is the kernels' text.

    Raises:
        CompileError: when an input or an updated node is no variable, or an operation has no
            code for the target, or `math` is not for the target.
        MissingDependencyError: when the target, or `math`, needs an extra that is not installed.
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
