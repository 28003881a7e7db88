"""Memory: one block on the device for all arenas, and pinned rooms here for what goes there.

Pinned memory is what the device copies by itself, while this side goes on. Arrays of any size go
through two rooms of a limited size: while the device copies from one, the other is filled.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.cuda.device import readable
from graphgrad.errors import DeviceMemoryError

__all__ = ["Staging", "allocate", "free", "pinned", "release"]

ALIGNED = 256
"""Bytes; every array of a block starts at a multiple."""
ROOM = 1 << 25
"""Bytes of a pinned room, unless one item needs more."""


def allocate(cuda: Any, sizes: Sequence[tuple[int, Any]]) -> list[Any]:
    """Return device arrays of so many entries of these types, one after the other in one block.

    Raises:
        DeviceMemoryError: when the device has no room for them.
    """
    starts, wanted = [], 0
    for count, dtype in sizes:
        starts.append(wanted)
        wanted += -(-max(count, 1) * dtype.itemsize // ALIGNED) * ALIGNED
    if not sizes:
        return []
    block = _block(cuda, wanted)
    return [
        block[at : at + max(count, 1) * dtype.itemsize].view(dtype)
        for at, (count, dtype) in zip(starts, sizes, strict=True)
    ]


def _block(cuda: Any, wanted: int) -> Any:
    if wanted > free(cuda)[0]:
        release(cuda)
    there, total = free(cuda)
    if wanted <= there:
        try:
            return cuda.device_array(wanted, np.uint8)
        except Exception as found:  # Numba's own class, or what a plug-in for memory raises
            if "MEMORY" not in str(found).upper():
                raise
    raise DeviceMemoryError(
        f"target 'cuda': {wanted / 1e9:.3g} GB are needed, {there / 1e9:.3g} of the device's "
        f"{total / 1e9:.3g} GB are free; use smaller batches, or target='numba'"
    )


def free(cuda: Any) -> tuple[float, float]:
    """Return the bytes of the device's memory that are free, and all there are."""
    there, total = cuda.current_context().get_memory_info()
    return there, total


def release(cuda: Any) -> None:
    """Give back what nobody holds any longer: Numba frees late, since that stops the device."""
    gc.collect()
    context = cuda.current_context()
    for owner in (context, getattr(context, "memory_manager", None)):
        waiting = getattr(owner, "deallocations", None)
        if waiting is not None:
            waiting.clear()


def pinned(cuda: Any, count: int, dtype: Any) -> Any:
    """Return a pinned array of this side.

    Raises:
        DeviceMemoryError: when this machine has no room for it.
    """
    try:
        return cuda.pinned_array(count, dtype)
    except Exception as found:
        size = count * np.dtype(dtype).itemsize
        raise DeviceMemoryError(
            f"target 'cuda': {size / 1e9:.3g} GB of this machine's memory cannot be pinned for "
            f"copies ({readable(found)}); use smaller batches, or target='numba'"
        ) from None


class Staging:
    """Copies of arrays of any size, to the device or back, on one stream.

    Attributes:
        stream: where the copies stand in line.
    """

    def __init__(self, cuda: Any, stream: Any) -> None:
        self._cuda, self.stream = cuda, stream
        self._rooms: list[Any] = [np.empty(0, np.uint8)] * 2
        self._marks = [cuda.event(), cuda.event()]
        self._turn = 0

    def _room(self, count: int, dtype: Any) -> Any:
        """Return the other room, as soon as the device is done with it."""
        size = count * dtype.itemsize
        if self._rooms[0].size < size:
            for event in self._marks:
                event.synchronize()
            whole = -(-size // 4096) * 4096
            self._rooms = [pinned(self._cuda, whole, np.dtype("u1")) for _ in range(2)]
        self._turn = 1 - self._turn
        self._marks[self._turn].synchronize()
        return self._rooms[self._turn][:size].view(dtype)

    def send(
        self, place: Any, items: int, width: int, write: Callable[[int, int, Any], None]
    ) -> None:
        """Copy items to the beginning of a device array; returns before they are there.

        Args:
            place: the device array.
            items: how many.
            width: entries of each.
            write: ``write(first, last, room)`` puts some of them into a flat array.
        """
        each = max(1, ROOM // (width * place.dtype.itemsize))
        for first in range(0, items, each):
            last = min(first + each, items)
            room = self._room((last - first) * width, place.dtype)
            write(first, last, room)
            place[first * width : last * width].copy_to_device(room, stream=self.stream)
            self._marks[self._turn].record(self.stream)

    def put(self, place: Any, value: Any) -> None:
        """Copy an array to the beginning of a device array; it may be changed at once."""
        flat = value.reshape(-1)
        self.send(place, flat.size, 1, lambda a, b, room: np.copyto(room, flat[a:b]))

    def fetch(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Copy device arrays into flat arrays here; returns when all are there.

        Args:
            pairs: a device array, and an array of its size.
        """
        flying: list[tuple[int, Any, Any]] = []
        for place, out in pairs:
            each = max(1, ROOM // out.dtype.itemsize)
            for first in range(0, out.size, each):
                if len(flying) == 2:  # the room that comes next is still full
                    self._land(*flying.pop(0))
                part = out[first : first + each]
                room = self._room(part.size, out.dtype)
                place[first : first + part.size].copy_to_host(room, stream=self.stream)
                self._marks[self._turn].record(self.stream)
                flying.append((self._turn, room, part))
        for landing in flying:
            self._land(*landing)

    def _land(self, turn: int, room: Any, part: Any) -> None:
        self._marks[turn].synchronize()
        np.copyto(part, room)
