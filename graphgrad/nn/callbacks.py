"""Callbacks: early stopping, checkpoints, lower rates, a log as CSV, functions of your own."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from graphgrad.errors import NetworkError
from graphgrad.nn.callback import Callback, Logs

__all__ = [
    "CSVLogger", "Callback", "EarlyStopping", "LambdaCallback", "ModelCheckpoint",
    "ReduceLROnPlateau",
]  # fmt: skip


class _Watching(Callback):
    """A callback that compares a number of each epoch with the best so far."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise NetworkError(f"mode {mode!r}: expected 'auto', 'min' or 'max'")
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        grows = monitor.endswith(("accuracy", "acc", "precision", "recall", "r2"))
        self._sign = -1.0 if mode == "max" or (mode == "auto" and grows) else 1.0
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.best = math.inf * self._sign
        self.wait = 0

    def number(self, logs: Logs) -> float:
        """Return the watched number; the training loss where there is no validation data."""
        key = self.monitor
        if key not in logs and key.removeprefix("val_") in logs:
            key = key.removeprefix("val_")
        if key not in logs:
            raise NetworkError(
                f"{type(self).__name__}: monitor={self.monitor!r} is not measured; there are "
                f"{', '.join(logs)}"
            )
        return logs[key]

    def better(self, value: float) -> bool:
        """Note a value; return whether it is better than all before."""
        if self._sign * value < self._sign * self.best - self.min_delta:
            self.best, self.wait = value, 0
            return True
        self.wait += 1
        return False

    def state(self) -> dict[str, Any]:
        """Return the best value and how long ago it was."""
        return {"best": self.best, "wait": self.wait}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up best value and waiting."""
        self.best, self.wait = float(state["best"]), int(state["wait"])


class EarlyStopping(_Watching):
    """Ends training when a number has not improved for some epochs.

    Prechelt 1998, "Early stopping — but when?". Weights of the best epoch are put back unless
    told otherwise.

    Args:
        monitor: a key of the history; without validation data "val_loss" means "loss".
        min_delta: what counts as an improvement.
        patience: epochs without one before training ends.
        mode: "min", "max", or "auto": "max" for accuracy, precision, recall and r2.
        restore_best_weights: whether to end with the weights of the best epoch.

    Attributes:
        best_epoch: the epoch of the best value, from 0.
        stopped_epoch: the last epoch when training was ended; None when it was not.
    """

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0.0, patience: int = 0,
        mode: str = "auto", restore_best_weights: bool = True,
    ) -> None:  # fmt: skip
        self.patience, self.restore_best_weights = patience, restore_best_weights
        super().__init__(monitor, mode, min_delta)

    def reset(self) -> None:
        """Forget what was seen."""
        super().reset()
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._weights: list[Any] | None = None

    def on_train_begin(self) -> None:
        """Begin anew."""
        self.reset()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare, and end training when patience is over."""
        if self.better(self.number(logs)):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._weights = self.model.get_weights()
        elif self.wait >= max(self.patience, 1):
            self.stopped_epoch = epoch
            self.model.stop_training = f"no better {self.monitor} for {self.wait} epochs"

    def on_train_end(self, history: Any) -> None:
        """Put the best weights back."""
        if self._weights is not None:
            self.model.set_weights(self._weights)

    def state(self) -> dict[str, Any]:
        """Return the best value, its epoch and its weights."""
        return {**super().state(), "best_epoch": self.best_epoch, "weights": self._weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the best value and its weights."""
        super().restore(state)
        self.best_epoch, self._weights = state["best_epoch"], state["weights"]


class ReduceLROnPlateau(_Watching):
    """Lowers the learning rate when a number has not improved for some epochs.

    Args:
        monitor: a key of the history.
        factor: what the rate is multiplied by.
        patience: epochs without an improvement before that.
        min_delta: what counts as an improvement.
        min_lr: the rate is never made smaller than this.
        mode: as in `EarlyStopping`.
    """

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10,
        min_delta: float = 1e-4, min_lr: float = 0.0, mode: str = "auto",
    ) -> None:  # fmt: skip
        if not 0 < factor < 1:
            raise NetworkError(f"factor={factor!r}: expected a number between 0 and 1")
        self.factor, self.patience, self.min_lr = factor, patience, min_lr
        super().__init__(monitor, mode, min_delta)

    def on_train_begin(self) -> None:
        """Begin anew."""
        self.reset()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare, and lower the rate when patience is over."""
        if not self.better(self.number(logs)) and self.wait >= self.patience:
            optimizer = self.model.optimizer
            if optimizer.schedule is not None:
                raise NetworkError(
                    f"ReduceLROnPlateau: the rate follows {optimizer.schedule!r}; give the "
                    f"optimizer a number"
                )
            optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
            self.wait = 0


class ModelCheckpoint(_Watching):
    """Saves the network after every epoch, or after those that are the best so far.

    Args:
        filepath: where; may hold ``{epoch}`` (from 1) and keys of the history, such as
            ``"net-{epoch:02d}-{val_loss:.3f}.npz"``.
        monitor: a key of the history.
        save_best_only: whether only improvements are saved.
        mode: as in `EarlyStopping`.
    """

    def __init__(
        self, filepath: Any, monitor: str = "val_loss", save_best_only: bool = False,
        mode: str = "auto",
    ) -> None:  # fmt: skip
        self.filepath, self.save_best_only = str(filepath), save_best_only
        super().__init__(monitor, mode)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Save, if it is to be."""
        better = self.better(self.number(logs)) if self.save_best_only else True
        if better:
            self.model.save(self.filepath.format(epoch=epoch + 1, **logs))


class CSVLogger(Callback):
    """Writes the numbers of every epoch to a CSV file, a line each.

    Args:
        filename: where.
        separator: between columns.
        append: go on with a file that is there, in place of beginning it anew.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = Path(filename), separator, append
        self._fresh = True

    def on_train_begin(self) -> None:
        """Begin the file, or find out that it goes on."""
        there = self.append and self.filename.exists() and self.filename.stat().st_size > 0
        self._fresh = not there
        if not there:
            self.filename.write_text("", "utf-8")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Write a line."""
        with self.filename.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if self._fresh:
                writer.writerow(["epoch", *logs])
                self._fresh = False
            writer.writerow([epoch, *(repr(float(v)) for v in logs.values())])

    def state(self) -> dict[str, Any]:
        """Return how long the file is."""
        return {"size": self.filename.stat().st_size}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the file, without the lines of epochs that were not kept."""
        with self.filename.open("a") as file:
            file.truncate(int(state["size"]))
        self._fresh = not state["size"]


class LambdaCallback(Callback):
    """Calls functions of yours.

    Args:
        on_epoch_end: called with the epoch and the logs.
        on_train_end: called with the history.
    """

    def __init__(self, on_epoch_end: Any = None, on_train_end: Any = None) -> None:
        self._epoch_end, self._train_end = on_epoch_end, on_train_end

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Call the function."""
        if self._epoch_end is not None:
            self._epoch_end(epoch, logs)

    def on_train_end(self, history: Any) -> None:
        """Call the function."""
        if self._train_end is not None:
            self._train_end(history)
