"""The Numba target: kernels compiled for this processor, buffers in arenas."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.blas import address, one_thread
from graphgrad.compiler.cache import compile_now, load, name_of
from graphgrad.compiler.fastmath import FAST
from graphgrad.compiler.feeding import Feed
from graphgrad.compiler.fuse import Fused, fuse
from graphgrad.compiler.helpers import EXPORTS, HELPERS
from graphgrad.compiler.memory import Plan, plan
from graphgrad.compiler.orders import ROOM, Order, compiled
from graphgrad.compiler.origins import Run
from graphgrad.compiler.pieces import Pace
from graphgrad.compiler.program import Program
from graphgrad.compiler.regions import Schedule, schedule
from graphgrad.compiler.source import PER_INPUT, Written, write
from graphgrad.compiler.text import ARENAS, ORDER, ROWS, SLOTS
from graphgrad.compiler.threads import count, pool
from graphgrad.dtypes import INT64
from graphgrad.graph import Node

__all__ = ["CpuRuntime"]

SMALL = 4096
"""Entries up to which inputs and outputs of a call are copied through buffers of the executor."""


@contextlib.contextmanager
def _collecting_later() -> Iterator[None]:
    """Pause Python's garbage collector, which looks at all that Numba makes again and again."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


class CpuRuntime:
    """One compiled program with its memory.

    Attributes:
        source: the kernels' text.
        fused, schedule, plan: what the text was made from.
        written: the text, kernel by kernel.
    """

    @_collecting_later()
    def __init__(self, program: Program, math: str, timed: bool = False) -> None:
        self.program, self.math = program, math
        threads = count()
        self.fused: Fused = fuse(program)
        self.schedule: Schedule = schedule(program, self.fused, threads)
        self.plan: Plan = plan(program, self.fused, self.schedule)
        stages = (program, self.fused, self.schedule, self.plan)
        self.written: Written = write(*stages, math, _has_avx512(), timed)
        self.source, self.names = self.written.text, self.written.names
        helpers = load(HELPERS)
        _compile_fast(helpers, self.source)
        imports = f"from {name_of(HELPERS)} import ({', '.join(EXPORTS)})"
        module = load(f"{imports}\n\n{self.source}")
        self._epoch, self._pace = module.epoch, Pace()
        self._calls_blas = "gemm(" in self.source
        self._arenas = [_aligned(self.plan.sizes.get(dtype, 0), dtype) for dtype in ARENAS]
        by_type = dict(zip(ARENAS, self._arenas, strict=True))
        self._seen = {
            n: by_type[n.dtype][at : at + n.size].reshape(n.shape)
            for n, at in self.plan.start.items()
        }
        for n in self.fused.stored:
            if n.op == "constant":
                self._seen[n][...] = n._value
        first, table = self.written.table
        by_type[INT64][first : first + len(table)] = table
        self._outputs_at = SLOTS + PER_INPUT * len(program.inputs)
        count_ = self._outputs_at + 2 * len(program.outputs) + 1
        self._single, self._many = np.zeros((2, count_), np.int64)
        self._single_at, self._many_at = _address(self._single), _address(self._many)
        runner = module.run.address if hasattr(module, "run") else 0
        # SciPy takes a while to import, so only who multiplies large matrices does
        routines = [address(n) if self._calls_blas else 0 for n in ("sgemm", "dgemm")]
        crew = pool(helpers, threads) if runner else 0
        fixed = [*map(_address, self._arenas), crew, runner, *routines]
        self._single[: len(fixed)] = self._many[: len(fixed)] = fixed
        self._rooms, self._results = _rooms(program.inputs), _rooms(program.outputs)
        self._large_inputs = [k for k, n in enumerate(program.inputs) if n.size > SMALL]
        self._large_outputs = [(k, n) for k, n in enumerate(program.outputs) if n.size > SMALL]
        for k, room in self._rooms:
            self._single[SLOTS + PER_INPUT * k] = _address(room)
        for k, room in self._results:
            self._single[self._outputs_at + k] = _address(room)

    def set(self, variable: Node, value: Any) -> None:
        """Copy a value into a variable's buffer, if any kernel reads or writes it."""
        if variable in self._seen:
            self._seen[variable][...] = value

    def get(self, variable: Node) -> Any:
        """Return a copy of a variable's buffer."""
        return self._seen[variable].copy()[()]

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Run all kernels once and return the outputs."""
        for k, room in self._rooms:  # copying a few numbers is quicker than asking where they are
            room[...] = inputs[k]
        table = self._single
        for k in self._large_inputs:
            table[SLOTS + PER_INPUT * k] = _address(inputs[k])
        found: dict[int, Any] = {}
        for k, n in self._large_outputs:
            found[k] = np.empty(n.shape, n.dtype)
            table[self._outputs_at + k] = _address(found[k])
        if self._calls_blas:
            with one_thread():
                self._epoch(self._single_at, 1)
        else:
            self._epoch(self._single_at, 1)
        if not found:
            return [room.copy() for _, room in self._results]
        found.update((k, room.copy()) for k, room in self._results)
        return [found[k] for k in range(len(found))]

    def epoch(self, feed: Feed) -> list[Any]:
        """Run once per batch and return the outputs of all steps, one below the other."""
        nodes = self.program.inputs
        results = [np.empty((feed.steps, *n.shape), n.dtype) for n in self.program.outputs]
        rooms = [np.empty(n.shape if rows else 0, n.dtype)
                 for n, rows in zip(nodes, feed.by_rows, strict=True)]  # fmt: skip
        with one_thread() if self._calls_blas else contextlib.nullcontext():
            for first, steps in self._pace.pieces(feed.steps):
                self._point(feed, rooms, results, first)
                self._epoch(self._many_at, steps)
        return results

    def _point(self, feed: Feed, rooms: Sequence[Any], results: Sequence[Any], first: int) -> None:
        """Write into the table of addresses where the data and outputs from a step on are."""
        table = self._many
        if isinstance(feed.rows, Order):
            table[ORDER] = _address(feed.rows.table)
            table[ORDER + 1] = compiled().next_rows.address
            table[ORDER + 2] = feed.rows.first + first
            table[ROWS] = table[ORDER] + 8 * ROOM
        else:
            table[ROWS], table[ORDER] = _address(feed.rows, first), 0
        for k, (x, room) in enumerate(zip(feed.data, rooms, strict=True)):
            at, rows = SLOTS + PER_INPUT * k, feed.by_rows[k]
            table[at : at + 3] = _address(x, 0 if rows else first), _address(room), int(rows)
        at = self._outputs_at
        table[at : at + len(results)] = [_address(y, first) for y in results]

    def runs(self) -> list[Run]:
        """Return the kernels in the order in which they run."""
        numbers = {k: number for number, k in enumerate(self.fused.kernels, 1)}
        return [
            Run(k, numbers[k], group, region.parts, self.written.kernels[k])
            for group, region in enumerate(self.schedule.regions, 1)
            for k in region.kernels
        ]

    def profile(self, inputs: Sequence[Any], seconds: float = 0.3) -> list[float]:
        """Return the seconds that each kernel takes, the slowest thread's, the median of many runs.

        The kernels are compiled anew with clocks in them, and run on copies of the variables.
        """
        timed = CpuRuntime(self.program, self.math, timed=True)
        parts = max((r.parts for r in self.schedule.regions), default=1)
        ticks = np.zeros((parts, len(self.fused.kernels)), np.int64)
        timed._single[-1] = _address(ticks)
        for v in self.program.states:
            timed.set(v, self.get(v) if v in self._seen else 0)
        timed.run(inputs)
        found: list[Any] = []
        rates: list[float] = []
        end = time.perf_counter() + seconds
        while len(found) < 5 or (time.perf_counter() < end and len(found) < 1000):
            ticks[...] = 0
            begin, first = time.perf_counter(), helpers_clock()
            timed.run(inputs)
            rates.append((time.perf_counter() - begin) / max(helpers_clock() - first, 1))
            found.append(ticks.max(axis=0))
        return list(np.median(found, axis=0) * np.median(rates))


def _compile_fast(helpers: Any, source: str) -> None:
    """Compile the fast functions that a text calls, before the text itself.

    Compiled in passing, their straight lines would become vectors, as those of kernels do, and
    loops over such vectors could not become vectors themselves.
    """
    for name in FAST.values():
        if f"{name}(" in source:
            compile_now(getattr(helpers, name), "float32(float32)")


def _aligned(count: int, dtype: Any) -> Any:
    """Return zeros that start at a multiple of 64 bytes."""
    extra = 64 // dtype.itemsize
    memory = np.zeros(max(count, 1) + extra, dtype)
    skip = -memory.__array_interface__["data"][0] % 64 // dtype.itemsize
    return memory[skip : skip + max(count, 1)]


def _rooms(nodes: Sequence[Node]) -> list[tuple[int, Any]]:
    """Return buffers for small inputs or outputs, and which they are."""
    return [(k, np.empty(n.shape, n.dtype)) for k, n in enumerate(nodes) if n.size <= SMALL]


def _address(array: Any, first: int = 0) -> int:
    """Return where an array's entry `first`, along its first axis, is in memory."""
    place: int = array.__array_interface__["data"][0]
    return place + first * array.strides[0] if first else place


def helpers_clock() -> int:
    """Return the processor's clock, as the kernels read it."""
    now: int = load(HELPERS).now()
    return now


def _has_avx512() -> bool:
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get("avx512f", False))
