"""Locks of variables: compiled graphs that share one take turns, whichever threads call them.

A variable has a lock from the first compiled graph on that it is part of. A call holds those of all
variables of its graph, mostly one and the same; where there are several, all calls take them in the
same order, so that no two ever wait for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["lock_for", "lock_of"]

_locks: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_making = threading.Lock()
_nobody: AbstractContextManager[Any] = nullcontext()


class Several:
    """Some locks held together; like each of them, a thread may take it again."""

    def __init__(self, locks: Sequence[Any]) -> None:
        self._locks = sorted(locks, key=id)

    def __enter__(self) -> None:
        taken = []
        try:
            for lock in self._locks:
                lock.acquire()
                taken.append(lock)
        except BaseException:  # Ctrl-C while waiting
            for lock in reversed(taken):
                lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        for lock in reversed(self._locks):
            lock.release()


def lock_for(variables: Iterable[Any]) -> AbstractContextManager[Any]:
    """Return what a call with these variables holds while it runs; a thread may take it again."""
    with _making:
        variables = list(variables)
        found = list(dict.fromkeys(_locks[v] for v in variables if v in _locks))
        found = found or [threading.RLock()]
        for v in variables:
            _locks.setdefault(v, found[0])
    return found[0] if len(found) == 1 else Several(found)


def lock_of(variable: Any) -> AbstractContextManager[Any]:
    """Return the lock of one variable, or what locks nothing when no graph with it is compiled."""
    return _locks.get(variable, _nobody)
