"""The CUDA target: kernels for NVIDIA's GPUs, parameters that stay on the device.

A call uploads its inputs, makes all launches in order on one stream without waiting, and downloads
the outputs. From the second call on the launches are replayed as a CUDA graph, one call of the
driver for all of them.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphgrad.compiler.cache import load as load_module
from graphgrad.compiler.cuda.cublas import Library
from graphgrad.compiler.cuda.device import (
    HARDWARE,
    SIMULATED,
    WAY_OUT,
    address,
    device,
    quiet,
    readable,
    simulated,
)
from graphgrad.compiler.cuda.feeding import Epochs
from graphgrad.compiler.cuda.launches import Launch, Written
from graphgrad.compiler.cuda.memory import Staging, allocate, pinned
from graphgrad.compiler.cuda.pen import DEVICE_ARENAS
from graphgrad.compiler.cuda.replay import LaunchWarning, Replay, mark
from graphgrad.compiler.cuda.text import Text
from graphgrad.compiler.origins import Run
from graphgrad.compiler.program import Program
from graphgrad.compiler.work import read, written
from graphgrad.dtypes import INT64, Dtype
from graphgrad.errors import CompileError
from graphgrad.graph import Node

__all__ = ["CudaRuntime"]


class CudaRuntime(Epochs):
    """One compiled program with its memory on the device.

    Attributes:
        source, names: the kernels' text, and the names of nodes in it.
        text: what it was made from.
        replayed: whether launches are replayed as a CUDA graph.
        obstacle: why not, where it was tried in vain.
    """

    def __init__(self, program: Program, math: str, together: bool = True) -> None:
        self._cuda = device()
        self.program, self.math = program, math
        self._stream = self._cuda.stream()
        self._blas = Library(self._cuda, self._stream, math)
        cut = SIMULATED if simulated() else HARDWARE
        self.text = Text(program, cut, together, self._blas.able, math)
        self.fused, self.plan = self.text.fused, self.text.plan
        self.source, self.names = self.text.step.text, self.text.step.names
        self.replayed, self.obstacle = False, ""
        kinds = [kind for kind in DEVICE_ARENAS if self.text.step.sizes.get(kind)]
        sizes = [(self.text.step.sizes[kind], kind) for kind in kinds]
        self._arenas = dict(zip(kinds, allocate(self._cuda, sizes), strict=True))
        products = [launch.call for launch in self.text.step.launches if launch.call]
        self._products, _ = self._blas.calls(products, self._address)
        self._launches = self._loaded(self.text.step)
        self._staging, self._fetching = Staging(self._cuda, self._stream), threading.Lock()
        self._ends = {kind: self._staged(kind) for kind in kinds}
        self._noted = pinned(self._cuda, 1, INT64) if self.text.layout.flag >= 0 else None
        self._calls = 0
        self._replay: Replay | None = None
        self._begin_epochs()
        self._begin()

    def _begin(self) -> None:
        """Fill the arenas with zeros and constants."""
        from numba.cuda.cudadrv import driver

        zeros: Any = driver.device_memset
        for kind, arena in self._arenas.items():
            zeros(arena, 0, arena.size * kind.itemsize, stream=self._stream)
        for n in self.fused.stored:
            if n.op == "constant":
                self._put(n, n._value)

    # -- memory ----------------------------------------------------------------------------------

    def _staged(self, kind: Dtype) -> tuple[Any, Any, Any, Any]:
        """Return pinned arrays for the inputs and outputs of a type, and their device arrays."""
        a, b, c, d = self.text.layout.areas[kind]
        arena = self._arenas[kind]
        return (
            pinned(self._cuda, b - a, kind) if b > a else None,
            arena[a:b] if b > a else None,
            pinned(self._cuda, d - c, kind) if d > c else None,
            arena[c:d] if d > c else None,
        )

    def _place(self, node: Node) -> Any:
        at = self.plan.start[node]
        return self._arenas[node.dtype][at : at + node.size]

    def _address(self, node: Node, at: int) -> int:
        """Return where an entry of a node's buffer is on the device."""
        entries = self.plan.start[node] + at
        return address(self._arenas[node.dtype]) + entries * node.dtype.itemsize

    def _put(self, node: Node, value: Any) -> None:
        if node.size:
            self._staging.put(self._place(node), np.ascontiguousarray(value, node.dtype))

    def set(self, variable: Node, value: Any) -> None:
        """Copy a value to the device, if any kernel reads or writes it."""
        if variable in self.plan.start:
            self._put(variable, value)

    def get(self, variable: Node) -> Any:
        """Return a copy of a variable's value on the device."""
        found = np.empty(variable.size, variable.dtype)
        if variable.size:
            self._cuda.current_context()  # of this thread, whichever it is
            with self._fetching:
                self._staging.fetch([(self._place(variable), found)])
        return found.reshape(variable.shape)[()]

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
        if launch.call:
            return self._products[launch.call]
        function = getattr(module, launch.name)
        if not self.text.cut.simulated:  # what is in the cache has not met the driver yet
            for kernel in function.overloads.values():
                kernel.bind()
        configured: Callable[..., None] = function[
            launch.blocks, self.text.cut.threads, self._stream
        ]
        return configured

    def _step(self) -> None:
        arenas = tuple(self._arenas.values())
        for launch in self._launches:
            launch(*arenas)

    def _recorded(self, launches: Callable[[], None]) -> Replay | None:
        """Return launches as a CUDA graph; None where the driver cannot record one."""
        if self.text.cut.simulated or self.obstacle:
            return None
        try:
            replay = Replay(self._cuda, self._stream, launches)
        except Exception as found:  # the launches themselves still work
            self.obstacle = readable(found)
            warnings.warn(
                f"target 'cuda': launches cannot be recorded as a CUDA graph ({self.obstacle}); "
                f"they are made one by one, which takes longer where kernels are small",
                LaunchWarning,
                stacklevel=4,
            )
            return None
        self.replayed = True
        return replay

    def _call(self) -> None:
        """Copy inputs, make all launches, copy outputs."""
        for given, place, _, _ in self._ends.values():
            if given is not None:
                place.copy_to_device(given, stream=self._stream)
        self._step()
        for _, _, made, place in self._ends.values():
            if made is not None:
                place.copy_to_host(made, stream=self._stream)

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Run all kernels once and return the outputs."""
        self._cuda.current_context()  # of this thread, whichever it is
        layout = self.text.layout
        for node, x, at in zip(self.program.inputs, inputs, layout.inputs, strict=True):
            begin = layout.areas[node.dtype][0]
            self._ends[node.dtype][0][at - begin : at - begin + node.size] = x.reshape(-1)
        self._calls += 1
        if self._calls == 2:  # the first call has loaded everything that launches need
            self._replay = self._recorded(self._call)
        (self._replay or self._call)()
        self._finish()
        return [self._result(k) for k in range(len(self.program.outputs))]

    def _result(self, k: int) -> Any:
        node, at = self.program.outputs[k], self.text.layout.outputs[k]
        begin = self.text.layout.areas[node.dtype][2]
        found = self._ends[node.dtype][2][at - begin : at - begin + node.size]
        return found.reshape(node.shape).copy()

    def _finish(self) -> None:
        """Wait for all launches.

        Raises:
            IndexError: when a kernel has noted an index out of bounds.
        """
        if self._noted is None:
            self._stream.synchronize()
            return
        flag = self.text.layout.flag
        place = self._arenas[INT64][flag : flag + 1]
        place.copy_to_host(self._noted, stream=self._stream)
        self._stream.synchronize()
        if self._noted[0]:
            self._noted[0] = 0
            place.copy_to_device(self._noted, stream=self._stream)
            raise IndexError("an index is out of bounds")

    # -- times ------------------------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """Return the kernels in the order in which they run."""
        numbers = {k: number for number, k in enumerate(self.fused.kernels, 1)}
        return [
            Run(k, numbers[k], at.group, at.threads, "\n".join(at.lines), at.blocks)
            for k, at in self.text.step.kernels.items()
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
        found: list[list[float]] = []
        end = time.perf_counter() + seconds
        once = self._stopwatch()
        while len(found) < 3 or (time.perf_counter() < end and len(found) < 100):
            found.append(once())
        taken = dict.fromkeys(self.fused.kernels, 0.0)
        stored = set(self.fused.stored)
        moved = {k: 1 + read(k, self.fused) + written(k, stored) for k in taken}
        medians = np.median(found, axis=0)
        for ran, spent in zip(self.text.step.launches, medians, strict=True):
            whole = sum(moved[k] for k in ran.kernels)
            for k in ran.kernels:
                taken[k] += float(spent) * moved[k] / whole
        return list(taken.values())

    def _stopwatch(self) -> Callable[[], list[float]]:
        """Return what makes all launches once and returns the seconds of each."""
        arenas = tuple(self._arenas.values())
        if self.text.cut.simulated:  # its events have no times, and it waits for each launch
            return lambda: [_seconds(launch, arenas) for launch in self._launches]
        marks = [self._cuda.event() for _ in range(len(self._launches) + 1)]

        def marked(record: Callable[[Any, Any], None]) -> None:
            record(marks[0], self._stream)
            for launch, event in zip(self._launches, marks[1:], strict=True):
                launch(*arenas)
                record(event, self._stream)

        # launched one by one, short kernels would wait for this side, and that would be timed
        replay = self._recorded(lambda: marked(mark))

        def once() -> list[float]:
            if replay:
                replay()
            else:
                marked(lambda event, stream: event.record(stream))
            self._stream.synchronize()
            return [a.elapsed_time(b) / 1e3 for a, b in pairwise(marks)]

        return once


def _seconds(launch: Callable[..., None], arenas: Sequence[Any]) -> float:
    begin = time.perf_counter()
    launch(*arenas)
    return time.perf_counter() - begin
