"""What a callback is: what is done between epochs or batches of a training.

Derive from `Callback` for your own; only what it overrides is called. A callback on batches makes
Python look at every batch; without one, many batches run in one compiled call.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Callback", "Logs", "overrides"]

Logs = dict[str, float]


class Callback:
    """What `fit` calls; every method may be overridden.

    Attributes:
        model: the network being trained; set ``model.stop_training = True`` to end.
    """

    model: Any = None

    def on_train_begin(self) -> None:
        """Before the first epoch."""

    def on_train_end(self, history: Any) -> None:
        """After the last epoch, also when training was stopped."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After an epoch and its validation; `logs` has the numbers that go into the history."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """After a batch; `logs` has its loss."""

    def state(self) -> dict[str, Any]:
        """Return what must be kept for a training that is resumed, as plain data."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""


def overrides(callback: Callback, name: str) -> bool:
    """Return whether a callback has a method of its own."""
    return getattr(type(callback), name) is not getattr(Callback, name)
