"""`BackupAndRestore`: a training that can be killed at any moment, and goes on where it was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from graphgrad.errors import NetworkError
from graphgrad.nn.callback import Callback

__all__ = ["BackupAndRestore"]


class BackupAndRestore(Callback):
    """Saves the whole training now and then, and takes it up again when `fit` is called anew.

    Run the same program again after it was killed, and it ends with the very numbers of a run
    that was not: parameters, optimizer, random numbers, history, and the state of the other
    callbacks are all kept.

    Args:
        filepath: of the backup; replaced in one stroke each time.
        save_freq: "epoch", or after how many batches.
        delete_checkpoint: whether the backup is removed when training has ended by itself.

    Attributes:
        restored: whether a backup was found, and training went on from it.
    """

    def __init__(
        self, filepath: Any, save_freq: Any = "epoch", delete_checkpoint: bool = True
    ) -> None:
        whole = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not whole:
            raise NetworkError(f"save_freq={save_freq!r}: expected 'epoch' or a number of batches")
        self.filepath, self.save_freq = Path(filepath), save_freq
        self.delete_checkpoint = delete_checkpoint
        self.restored = False

    def find(self) -> dict[str, Any] | None:
        """Put the backup's numbers into the network; return the state of the training, if any."""
        self.restored = self.filepath.exists()
        return self.model.restore(self.filepath) if self.restored else None

    def save_epoch(self) -> None:
        """Save at the end of an epoch, when all other callbacks have seen it."""
        self.model.save(self.filepath)

    def save_batch(self, batch: int) -> None:
        """Save in the middle of an epoch, if it is time."""
        if self.save_freq != "epoch" and batch % self.save_freq == 0:
            self.model.save(self.filepath)

    def batches_left(self, batch: int) -> int:
        """Return after how many batches the next save in the middle of an epoch is due."""
        if self.save_freq == "epoch":
            return sys.maxsize
        return int(self.save_freq - batch % self.save_freq)

    def on_train_end(self, history: Any) -> None:
        """Remove the backup, unless somebody interrupted the training."""
        if self.delete_checkpoint and history.stopped != "interrupted":
            self.filepath.unlink(missing_ok=True)
