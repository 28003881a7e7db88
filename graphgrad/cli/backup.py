"""The backup of ``graphgrad train``: a training that was killed goes on where it was.

The same command run again takes the backup up, and ends with the very bytes of a run that was not
killed. With other options, or other data, that would be neither of two trainings: it is refused.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphgrad.errors import CheckpointError

if TYPE_CHECKING:
    from graphgrad.nn.backup import BackupAndRestore
    from graphgrad.nn.tables import Table

__all__ = ["Backup"]

OPTIONS = (
    "hidden", "activation", "dropout", "seed", "optimizer", "learning_rate", "batch_size",
    "early_stopping", "executor",
)  # fmt: skip
"""What the numbers of a training depend on, beside the table; more epochs may be asked for."""
KEY = "training"


class Backup:
    """A file that has the whole training while it runs.

    Args:
        path: of the file.
        model: the network; a note of what it is trained with is saved with it.
        table: what it is trained on.
        arguments: of the command.

    Attributes:
        epochs: that a file found there has done; None without a file.

    Raises:
        CheckpointError: when the file is damaged, or not a backup of this very training.
    """

    def __init__(self, path: Path, model: Any, table: Table, arguments: argparse.Namespace) -> None:
        self.path, self.model = path, model
        options = {name: str(getattr(arguments, name)) for name in OPTIONS}
        model.extra[KEY] = self._training = {"data": _digest(table), **options}
        self.epochs = self._found() if path.exists() else None

    def callback(self) -> BackupAndRestore:
        """Return the callback that keeps the file, until all results are written."""
        from graphgrad.nn.backup import BackupAndRestore

        return BackupAndRestore(self.path, delete_checkpoint=False)

    def forget(self) -> None:
        """Take the note out of the network, which is saved as it would be without a backup."""
        self.model.extra.pop(KEY, None)

    def close(self, stopped: Any) -> None:
        """Remove the file, unless somebody interrupted the training."""
        if stopped != "interrupted":
            self.path.unlink(missing_ok=True)

    def _found(self) -> int:
        from graphgrad.nn import archive

        text, _ = archive.read(self.path)
        extra, loop = (text[k] if isinstance(text.get(k), dict) else {} for k in ("extra", "loop"))
        saved, epochs = extra.get(KEY), loop.get("epoch")
        if not isinstance(saved, dict) or not isinstance(epochs, int):
            raise CheckpointError(
                f"{self.path} is no backup of a training: give --backup a file of its own"
            )
        for name, asked in self._training.items():
            if saved.get(name) != asked:
                raise CheckpointError(
                    f"{self.path} is the backup of another training: "
                    f"{_difference(name, saved.get(name), asked)}; go on with what was given then, "
                    f"or remove the file to begin anew"
                )
        return epochs


def _difference(name: str, saved: Any, asked: str) -> str:
    if name == "data":
        return "on other data"
    was, now = ("not given" if value == "None" else value for value in (saved, asked))
    return f"--{name.replace('_', '-')} was {was}, and is {now}"


def _digest(table: Table) -> str:
    """Return a hash of the recipe and of all numbers that are trained and validated with."""
    whole = hashlib.sha256(repr(table.recipe).encode())
    for array in (table.X, table.y, table.X_validation, table.y_validation):
        whole.update(repr((array.shape, array.dtype)).encode())
        for at in range(0, len(array), 4096):  # a large table stays on disk
            whole.update(array[at : at + 4096].tobytes())
    return whole.hexdigest()
