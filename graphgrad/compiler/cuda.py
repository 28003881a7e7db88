"""The CUDA target: kernels for NVIDIA's GPUs, parameters that stay on the device.

A call uploads its inputs, makes all launches in order on one stream without waiting, and downloads
the outputs. From the second call on the launches are replayed as a CUDA graph, one call of the
driver for all of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from graphgrad.compiler.cache import load as load_module
from graphgrad.compiler.cuda_device import (
    HARDWARE,
    SIMULATED,
    WAY_OUT,
    Replay,
    allocate,
    device,
    quiet,
    readable,
    simulated,
)
from graphgrad.compiler.cuda_launches import Launch, Written
from graphgrad.compiler.cuda_pen import DEVICE_ARENAS
from graphgrad.compiler.cuda_text import Text
from graphgrad.compiler.feeding import Feed
from graphgrad.compiler.origins import Run
from graphgrad.compiler.program import Program
from graphgrad.compiler.work import read, written
from graphgrad.dtypes import INT64, Dtype
from graphgrad.errors import CompileError
from graphgrad.graph import Node

__all__ = ["CudaRuntime"]

CHUNK = 0.5
"""Share of the device's free memory that the data of an epoch may take at once."""


class CudaRuntime:
    """One compiled program with its memory on the device.

    Attributes:
        source, names: the kernels' text, and the names of nodes in it.
        text: what it was made from.
        replayed: whether launches are replayed as a CUDA graph.
    """

    def __init__(self, program: Program, math: str, together: bool = True) -> None:
        self._cuda = device()
        self.program, self.math = program, math
        self.text = Text(program, SIMULATED if simulated() else HARDWARE, together)
        self.fused, self.plan = self.text.fused, self.text.plan
        self.source, self.names = self.text.step.text, self.text.step.names
        self.replayed = False
        self._stream = self._cuda.stream()
        kinds = [kind for kind in DEVICE_ARENAS if self.text.step.sizes.get(kind)]
        sizes = [(self.text.step.sizes[kind], kind) for kind in kinds]
        self._arenas = dict(zip(kinds, allocate(self._cuda, sizes, self._stream), strict=True))
        self._launches = self._loaded(self.text.step)
        self._ends = {kind: self._staged(kind) for kind in kinds}
        self._calls = 0
        self._replay: Callable[[], None] | None = None
        self._epochs: dict[tuple[bool, ...], list[Any]] = {}
        for kind in kinds:
            self._put(kind, 0, np.zeros(self.text.layout.sizes[kind], kind))
        for n in self.fused.stored:
            if n.op == "constant":
                self._put(n.dtype, self.plan.start[n], n._value)
        self._stream.synchronize()

    # -- memory ----------------------------------------------------------------------------------

    def _staged(self, kind: Dtype) -> tuple[Any, Any, Any, Any]:
        """Return pinned arrays for the inputs and outputs of a type, and their device arrays."""
        a, b, c, d = self.text.layout.areas[kind]
        arena, pinned = self._arenas[kind], self._cuda.pinned_array
        return (
            pinned(b - a, kind) if b > a else None,
            arena[a:b] if b > a else None,
            pinned(d - c, kind) if d > c else None,
            arena[c:d] if d > c else None,
        )

    def _put(self, kind: Dtype, at: int, value: Any) -> None:
        flat = np.ascontiguousarray(value, kind).reshape(-1)
        if flat.size:
            self._arenas[kind][at : at + flat.size].copy_to_device(flat, stream=self._stream)

    def _got(self, node: Node) -> Any:
        at = self.plan.start[node]
        found = np.empty(node.size, node.dtype)
        if node.size:
            place = self._arenas[node.dtype][at : at + node.size]
            place.copy_to_host(found, stream=self._stream)
            self._stream.synchronize()
        return found.reshape(node.shape)

    def set(self, variable: Node, value: Any) -> None:
        """Copy a value to the device, if any kernel reads or writes it."""
        if variable in self.plan.start:
            self._put(variable.dtype, self.plan.start[variable], value)
            self._stream.synchronize()  # the caller may change its array at once

    def get(self, variable: Node) -> Any:
        """Return a copy of a variable's value on the device."""
        return self._got(variable)[()]

    def value(self, node: Node) -> Any:
        """Return the current numbers of a node that has a buffer of its own, or None."""
        return self._got(node) if node in self.plan.start else None

    # -- launches ---------------------------------------------------------------------------------

    def _loaded(self, written: Written) -> list[Callable[..., None]]:
        """Compile launches and return them, ready to be called with their arrays.

        Raises:
            CompileError: when the toolkit or the driver cannot make them run.
        """
        try:
            with quiet():
                module = load_module(written.text)
                return [self._configured(module, launch) for launch in written.launches]
        except Exception as found:  # toolkits that do not fit raise whatever they like
            raise CompileError(
                f"target 'cuda': the kernels cannot be compiled for this device "
                f"({readable(found)}); see `graphgrad doctor`, or {WAY_OUT}"
            ) from found

    def _configured(self, module: Any, launch: Launch) -> Callable[..., None]:
        function = getattr(module, launch.name)
        configured: Callable[..., None] = function[
            launch.blocks, self.text.cut.threads, self._stream
        ]
        return configured

    def _step(self) -> None:
        arenas = tuple(self._arenas.values())
        for launch in self._launches:
            launch(*arenas)

    def _recorded(self, launches: Callable[[], None]) -> Callable[[], None]:
        """Return launches as a CUDA graph where the driver can record one, else as they are."""
        if self.text.cut.simulated:
            return launches
        with contextlib.suppress(Exception):
            replay = Replay(self._stream, launches)
            self.replayed = True
            return replay
        return launches

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Run all kernels once and return the outputs."""
        layout = self.text.layout
        for node, x, at in zip(self.program.inputs, inputs, layout.inputs, strict=True):
            begin = layout.areas[node.dtype][0]
            self._ends[node.dtype][0][at - begin : at - begin + node.size] = x.reshape(-1)
        for given, place, _, _ in self._ends.values():
            if given is not None:
                place.copy_to_device(given, stream=self._stream)
        self._calls += 1
        if self._calls == 2:  # the first call has loaded everything that launches need
            self._replay = self._recorded(self._step)
        (self._replay or self._step)()
        for _, _, made, place in self._ends.values():
            if made is not None:
                place.copy_to_host(made, stream=self._stream)
        self._stream.synchronize()
        self._check()
        return [self._result(k) for k in range(len(self.program.outputs))]

    def _result(self, k: int) -> Any:
        node, at = self.program.outputs[k], self.text.layout.outputs[k]
        begin = self.text.layout.areas[node.dtype][2]
        found = self._ends[node.dtype][2][at - begin : at - begin + node.size]
        return found.reshape(node.shape).copy()

    def _check(self) -> None:
        """Raise IndexError when a kernel has noted an index out of bounds."""
        flag = self.text.layout.flag
        if flag < 0:
            return
        place = self._arenas[INT64][flag : flag + 1]
        noted = place.copy_to_host(stream=self._stream)
        self._stream.synchronize()
        if noted[0]:
            place.copy_to_device(np.zeros(1, np.int64), stream=self._stream)
            self._stream.synchronize()
            raise IndexError("an index is out of bounds")

    # -- epochs -----------------------------------------------------------------------------------

    def epoch(self, feed: Feed) -> list[Any]:
        """Run once per batch and return the outputs of all steps, one below the other."""
        results = [np.empty((feed.steps, *n.shape), n.dtype) for n in self.program.outputs]
        running: tuple[int, list[Any], list[Any]] | None = None
        for first, part in self._parts(feed):  # a part is cut while the one before it runs
            if running:
                self._collect(results, *running)
            running = (first, *self._begin(part))
        if running:
            self._collect(results, *running)
        self._check()
        return results

    def _collect(self, results: list[Any], first: int, made: list[Any], _held: list[Any]) -> None:
        """Wait for some steps and put their outputs where they belong."""
        found = [y.copy_to_host(stream=self._stream) for y in made]
        self._stream.synchronize()
        for whole, some in zip(results, found, strict=True):
            if whole.size:
                count = some.size // (whole.size // len(whole))
                whole[first : first + count] = some.reshape(count, *whole.shape[1:])

    def _parts(self, feed: Feed) -> Iterator[tuple[int, Feed]]:
        """Cut an epoch whose data do not fit on the device into runs of steps that do."""
        free = _free(self._cuda) * CHUNK
        ends = (*self.program.inputs, *self.program.outputs)
        each = max(1, sum(n.size * n.dtype.itemsize for n in ends))
        made = sum(n.size * n.dtype.itemsize for n in self.program.outputs) * feed.steps
        if sum(x.nbytes for x in feed.data) + made <= free or not feed.steps:
            yield 0, feed
            return
        count = max(1, int(free / each))
        for first in range(0, feed.steps, count):
            yield first, _cut_out(feed, first, min(first + count, feed.steps))

    def _begin(self, feed: Feed) -> tuple[list[Any], list[Any]]:
        """Upload the data of some steps and launch them.

        Returns:
            Where their outputs will be, and all that must be held until they are there.
        """
        by_rows = tuple(feed.by_rows)
        if by_rows not in self._epochs:
            self._epochs[by_rows] = self._loaded(self.text.epoch(by_rows))
        before, keep, tick = self._epochs[by_rows]
        sizes = [(max(x.size, 1), n.dtype) for x, n in zip(feed.data, self.program.inputs)]
        sizes += [(max(feed.steps * n.size, 1), n.dtype) for n in self.program.outputs]
        sizes += [(max(feed.rows.size, 1), INT64), (1, INT64)]
        arrays = allocate(self._cuda, sizes, self._stream)
        data, results = arrays[: len(feed.data)], arrays[len(feed.data) : -2]
        rows, step = arrays[-2:]
        given = [*feed.data, feed.rows, np.zeros(1, np.int64)]
        for place, x in zip([*data, rows, step], given, strict=True):
            if x.size:
                place[: x.size].copy_to_device(x.reshape(-1), stream=self._stream)
        arenas = tuple(self._arenas.values())

        def one() -> None:
            before(*arenas, *data, rows, step)
            self._step()
            keep(*arenas, *results, rows, step)
            tick(*arenas, rows, step)

        return results, [*arrays, self._repeat(one, feed.steps)]

    def _repeat(self, step: Callable[[], None], count: int) -> Callable[[], None]:
        """Make a step so many times, from the second on as a CUDA graph; return that."""
        for k in range(count):
            if k == 1:
                step = self._recorded(step)
            step()
        return step

    # -- times ------------------------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """Return the kernels in the order in which they run."""
        numbers = {k: at for at, k in enumerate(self.fused.kernels, 1)}
        return [
            Run(k, numbers[k], launched.group, launched.threads, "\n".join(launched.lines))
            for k, launched in self.text.step.kernels.items()
        ]

    def profile(self, inputs: Sequence[Any], seconds: float = 0.3) -> list[float]:
        """Return the seconds each kernel takes on the device, the median of several runs.

        The kernels are compiled anew, a launch for each, and run on copies of the variables.
        Kernels that are one function (a product and the loop that follows) share its time by the
        bytes they move.
        """
        apart = CudaRuntime(self.program, self.math, together=False)
        for v in self.program.states:
            apart.set(v, self.get(v) if v in self.plan.start else 0)
        return apart._timed(inputs, seconds)

    def _timed(self, inputs: Sequence[Any], seconds: float) -> list[float]:
        self.run(inputs)
        arenas = tuple(self._arenas.values())
        found: list[list[float]] = []
        end = time.perf_counter() + seconds
        while len(found) < 3 or (time.perf_counter() < end and len(found) < 100):
            marks = [self._cuda.event() for _ in range(len(self._launches) + 1)]
            marks[0].record(self._stream)
            for launch, mark in zip(self._launches, marks[1:], strict=True):
                launch(*arenas)
                mark.record(self._stream)
            self._stream.synchronize()
            found.append([a.elapsed_time(b) / 1e3 for a, b in pairwise(marks)])
        taken = dict.fromkeys(self.fused.kernels, 0.0)
        stored = set(self.fused.stored)
        moved = {k: 1 + read(k, self.fused) + written(k, stored) for k in taken}
        medians = np.median(found, axis=0)
        for ran, spent in zip(self.text.step.launches, medians, strict=True):
            whole = sum(moved[k] for k in ran.kernels)
            for k in ran.kernels:
                taken[k] += float(spent) * moved[k] / whole
        return list(taken.values())


def _free(cuda: Any) -> float:
    """Return the bytes of the device's memory that are free."""
    return float(cuda.current_context().get_memory_info()[0])


def _cut_out(feed: Feed, first: int, last: int) -> Feed:
    """Return some steps of an epoch, with the rows they need picked on this side."""
    data = [
        feed.data[k][feed.rows[first:last]] if by_rows else feed.data[k][first:last]
        for k, by_rows in enumerate(feed.by_rows)
    ]
    return replace(
        feed, steps=last - first, data=data, by_rows=[False] * len(data), rows=feed.rows[:0]
    )
