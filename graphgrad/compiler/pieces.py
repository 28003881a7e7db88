"""Long epochs in pieces: between two of them Python can hear Ctrl-C, and other threads can run.

Compiled code never looks at signals. So an epoch makes as many steps at once as take about a fifth
of a second, going by the time that those before took; short epochs are one piece.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

__all__ = ["Pace"]

PIECE = 0.2
"""Seconds of a piece."""


class Pace:
    """How many steps are made at once; it remembers, between epochs too, how long one takes.

    Attributes:
        each: seconds of a step; None before the first.

    Example:
        >>> pace = Pace()
        >>> pace.each = 0.05
        >>> next(pace.pieces(100))
        (0, 4)
        >>> next(pace.pieces(3))
        (0, 3)
    """

    def __init__(self) -> None:
        self.each: float | None = None

    def pieces(self, steps: int) -> Iterator[tuple[int, int]]:
        """Return the first step of each piece and how many it has; whoever asks makes them.

        Where nothing is known yet, the first piece is one step.
        """
        done = 0
        while done < steps:
            count = min(self._count(), steps - done)
            begin = time.perf_counter()
            yield done, count
            self.each = (time.perf_counter() - begin) / count
            done += count

    def _count(self) -> int:
        return 1 if self.each is None else max(1, int(PIECE / max(self.each, 1e-9)))
