"""Time limits for computations that may not end: `Budget` for a report, `attempt` for one step.

What knows its own steps asks the budget between them (`Budget.check`), which costs nothing.

SymPy's simplifiers can run for hours on an innocent formula. `attempt` stops one from inside, by a
profile function that Python calls at every function call: this needs no signals, so it works in
any thread and on any system. A single operation of Python that never ends (the digits of
9**9**9) cannot be stopped so; `graphgrad.proof.exact` refuses those beforehand.
"""

from __future__ import annotations

import gc
import inspect
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from graphgrad.errors import GraphError

__all__ = ["Budget", "LateError", "attempt", "hurried"]

T = TypeVar("T")
clock = time.perf_counter
HURRY = 0.3
"""Seconds at the end of a budget, or the last third, in which `hurried` watches the time."""


class _TimeIsUp(BaseException):
    """Raised inside a computation; no `except Exception` on the way may swallow it."""


class LateError(Exception):
    """Raised by `Budget.check` when the time is up."""


class Budget:
    """Seconds that may be spent, counted from now.

    Args:
        seconds: a positive number.

    Raises:
        GraphError: when it is not positive.
    """

    def __init__(self, seconds: float):
        if not seconds > 0:
            raise GraphError(f"budget={seconds!r}: expected a positive number of seconds")
        self.seconds = float(seconds)
        self._start = clock()

    @property
    def spent(self) -> float:
        """The seconds that have passed."""
        return clock() - self._start

    @property
    def left(self) -> float:
        """The seconds that are left; never negative."""
        return max(self.seconds - self.spent, 0.0)

    def check(self, *_: Any) -> None:
        """Raise LateError when no time is left; what is given is for `entries.run` to give."""
        if not self.left:
            raise LateError

    def late(self, share: float) -> float:
        """Return the seconds that are left when the budget is stretched by a share of itself."""
        return max(self.seconds * (1 + share) - self.spent, 0.0)


def attempt(work: Callable[[], T], seconds: float, otherwise: Any = None) -> T | Any:
    """Return what `work` returns, or `otherwise` when it fails or takes longer than `seconds`.

    Attempts may be nested; the inner one ends with the outer one at the latest. Where another
    profiler is at work (cProfile, a debugger), the time is not limited.

    Example:
        >>> attempt(lambda: 6 * 7, 1.0), attempt(lambda: 1 / 0, 1.0)
        (42, None)
        >>> def forever():
        ...     while True:
        ...         len("")
        >>> attempt(forever, 0.05, "too long")
        'too long'
    """
    outer = sys.getprofile()
    watch = _Watch(clock() + seconds)
    if isinstance(outer, _Watch):
        watch.end = min(watch.end, outer.end)
    elif outer is not None:
        watch.end = float("inf")
    if watch.end <= clock():
        return otherwise
    limited = watch.end < float("inf")
    try:
        if limited:
            sys.setprofile(watch)
        return work()
    except (_TimeIsUp, Exception):  # SymPy raises what it likes
        return otherwise
    finally:
        if limited:
            watch.end = float("inf")  # the next line calls a function, too
            sys.setprofile(outer)


def hurried(work: Callable[[], T], limit: Budget, otherwise: Any = None) -> T | Any:
    """Return what `work` returns, or `otherwise` when time is up, for work of less than a second.

    Watching makes SymPy two to five times as slow, so it begins near the end only.

    Example:
        >>> hurried(lambda: 6 * 7, Budget(1.0)), hurried(lambda: 6 * 7, Budget(1e-9))
        (42, None)
    """
    if limit.left > min(HURRY, limit.seconds / 3):
        return work()
    return attempt(work, limit.left, otherwise)


class _Watch:
    """The profile function of an attempt: it raises at the first function call after the end."""

    def __init__(self, end: float):
        self.end = end

    def __call__(self, frame: FrameType, *_: Any) -> None:
        if clock() > self.end and not _deaf(frame):
            raise _TimeIsUp


def _deaf(frame: FrameType | None) -> bool:
    """Return whether Python would swallow an error here, with words about it on the screen.

    So it does in `__del__`, in the garbage collector, in what weak references call, and in a
    generator that is thrown away.
    """
    if frame is not None and frame.f_code.co_flags & inspect.CO_GENERATOR:
        return True  # perhaps; the next call of a function will tell
    collecting = {getattr(function, "__code__", None) for function in gc.callbacks}
    while frame is not None:
        code = frame.f_code
        if code in collecting or code.co_name == "__del__":
            return True
        if code.co_filename.endswith(("weakref.py", "_weakrefset.py")):
            return True
        frame = frame.f_back
    return False
