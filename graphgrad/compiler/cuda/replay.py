"""Launches as a CUDA graph: recorded once, and then made with a single call of the driver."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from graphgrad.errors import CompileError

__all__ = ["LaunchWarning", "Replay", "mark"]


class LaunchWarning(UserWarning):
    """Launches cannot be recorded as a CUDA graph; they are made one by one."""


class Replay:
    """Launches and copies recorded once as a CUDA graph.

    Everything they need must have been loaded, since loading is no work of a stream.

    Raises:
        Exception: whatever the driver's bindings raise where recording does not work.
    """

    def __init__(self, cuda: Any, stream: Any, launches: Callable[[], None]) -> None:
        from cuda.bindings import driver

        self._driver, self._handle = driver, driver.CUstream(int(stream))
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        with cuda.defer_cleanup():  # freeing memory is no work of a stream either
            self._ask(driver.cuStreamBeginCapture(self._handle, mode))
            try:
                launches()
            finally:
                graph = self._ask(driver.cuStreamEndCapture(self._handle))
        try:
            self._graph = self._ask(driver.cuGraphInstantiate(graph, 0))
        finally:
            self._ask(driver.cuGraphDestroy(graph))

    def __call__(self) -> None:
        """Make all launches."""
        self._ask(self._driver.cuGraphLaunch(self._graph, self._handle))

    def _ask(self, answer: Any) -> Any:
        status, *values = answer
        if int(status):
            raise CompileError(f"target 'cuda': the driver answered {status.name}")
        return values[0] if values else None

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._driver.cuGraphExecDestroy(self._graph)


def mark(event: Any, stream: Any) -> None:
    """Record an event within a CUDA graph, so that each replay records it.

    Recorded as usual it would only say what comes after what.
    """
    from cuda.bindings import driver

    external = driver.CUevent_record_flags.CU_EVENT_RECORD_EXTERNAL
    handle = driver.CUstream(int(stream))
    (status,) = driver.cuEventRecordWithFlags(event.handle, handle, int(external))
    if int(status):
        raise CompileError(f"target 'cuda': the driver answered {status.name}")
