"""Numba's CUDA simulator, made fast enough for tests, and its shared memory safe among threads."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest


@contextlib.contextmanager
def simulator() -> Iterator[None]:
    """Run kernels in the simulator inside.

    The simulator's own thread polls the others all the time, so they are let to change places
    often. Then two of them may each make the same shared array anew: here one at a time may.
    """
    from numba.cuda.simulator import kernelapi

    lock = threading.Lock()

    def array(self: Any, shape: Any, dtype: Any) -> Any:
        frame = sys._getframe(1)
        line = frame.f_code.co_filename, frame.f_lineno
        with lock:
            if line not in self._allocations:
                self._allocations[line] = np.empty(shape, dtype)
            return self._allocations[line]

    before = sys.getswitchinterval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernelapi.FakeCUDAShared, "array", array)
        sys.setswitchinterval(2e-5)
        yield
        sys.setswitchinterval(before)


class LateStream:
    """A stream that does nothing before somebody waits for it, as a very slow device might."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []
        self.done = 0

    def __int__(self) -> int:
        return id(self)

    def run(self, until: int | None = None) -> None:
        """Do what stands in line, up to a place."""
        until = len(self.work) if until is None else until
        while self.done < until:
            self.done += 1
            self.work[self.done - 1]()

    def synchronize(self) -> None:
        """Do all that stands in line."""
        self.run()


class LateEvent:
    """A place in the line of a `LateStream`."""

    def __init__(self) -> None:
        self.at: tuple[LateStream, int] | None = None

    def record(self, stream: LateStream) -> None:
        """Note the place."""
        self.at = stream, len(stream.work)

    def synchronize(self) -> None:
        """Do all that stands before it."""
        if self.at:
            self.at[0].run(self.at[1])

    def wait(self, stream: LateStream) -> None:
        """Let a stream wait for what stands before it now."""
        if self.at:
            line, until = self.at
            stream.work.append(lambda: line.run(until))


@contextlib.contextmanager
def late_device() -> Iterator[None]:
    """Let the simulator's streams be as late as they may be.

    Copies from and to pinned memory are made when they are waited for, not before; from and to
    other memory this side waits for them, as the driver does.
    """
    from numba import cuda
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
    from numba.cuda.simulator.kernel import FakeCUDAKernel

    pinned: list[Any] = []
    real = {name: getattr(FakeCUDAArray, name) for name in ("copy_to_host", "copy_to_device")}
    pin, configure = cuda.pinned_array, FakeCUDAKernel.__getitem__

    def pinned_array(count: int, dtype: Any) -> Any:
        pinned.append(pin(count, dtype))
        return pinned[-1]

    def copy(name: str) -> Callable[..., None]:
        def late(self: Any, array: Any, stream: LateStream) -> None:
            base = array if array.base is None else array.base
            stream.work.append(lambda: real[name](self, array))
            if not any(base is p for p in pinned):
                stream.run()

        return late

    def launched(self: Any, configuration: tuple[Any, ...]) -> Callable[..., None]:
        kernel, stream = configure(self, configuration[:2]), configuration[2]
        return lambda *given: stream.work.append(lambda: kernel(*given))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "stream", LateStream)
        patch.setattr(cuda, "event", LateEvent)
        patch.setattr(cuda, "pinned_array", pinned_array)
        patch.setattr(FakeCUDAKernel, "__getitem__", launched)
        for name in real:
            patch.setattr(FakeCUDAArray, name, copy(name))
        yield
