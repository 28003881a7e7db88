"""What a training leaves: the numbers of every epoch."""

from __future__ import annotations

from graphgrad.display import Printed

__all__ = ["History"]


class History(Printed):
    """The numbers of a training, epoch by epoch; `fit` returns it.

    Attributes:
        history: lists by key: "loss", each metric, and the same with "val_" for the validation
            data.
        epoch: the numbers of the epochs, from 0.
        stopped: why training ended before the last epoch: "interrupted", or what a callback said;
            None when it did not.
        seconds: how long it took, compilation included.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.stopped: str | None = None
        self.seconds = 0.0

    def add(self, first: int, count: int, logs: dict[str, list[float]]) -> None:
        """Note the numbers of `count` epochs."""
        self.epoch += range(first, first + count)
        for key, values in logs.items():
            self.history.setdefault(key, []).extend(values)

    def __repr__(self) -> str:
        last = ", ".join(f"{k} {v[-1]:.4g}" for k, v in self.history.items() if v)
        return f"<History of {len(self.epoch)} epochs: {last}>"
