"""What a person sees while a network trains: a bar in a terminal, a line per epoch, or nothing."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["Bar", "Lines", "Quiet", "progress_for"]


class Quiet:
    """Nothing is shown; also what the others derive from."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: Any) -> None:
        """Nothing to close."""

    def batches(self, loop: Any, count: int) -> None:
        """Take note of `count` batches done."""

    def epoch(self, loop: Any, logs: dict[str, list[float]]) -> None:
        """Take note of epochs done."""


class Lines(Quiet):
    """One line per epoch; very short ones come in groups."""

    def __init__(self, console: Any) -> None:
        self.console = console
        self._since = time.perf_counter()

    def epoch(self, loop: Any, logs: dict[str, list[float]]) -> None:
        """Write the line."""
        now = time.perf_counter()
        count = len(logs["loss"])
        took, self._since = (now - self._since) / count, now
        for k in range(count):
            number = loop.epoch - count + k + 1
            text = f"Epoch {number}/{loop.epochs.stop}  {took:.3g} s  {_numbers(logs, k)}"
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bar(Quiet):
    """A bar with epochs, steps per second and time left; below it, loss and metrics."""

    def __init__(self, console: Any) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"), BarColumn(24),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(compact=True),
        )  # fmt: skip
        self._task: Any = None
        self._begin = self._shown = time.perf_counter()
        self._done = 0
        self._numbers: list[str] = []
        self._live = Live(console=console, auto_refresh=False, get_renderable=self._shown_now)

    def __enter__(self) -> Bar:
        self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._task is not None:
            self._live.refresh()
        self._live.stop()

    def _shown_now(self) -> Any:
        """Return the bar and the numbers, in as many columns as the terminal has room for."""
        from rich.columns import Columns
        from rich.console import Group

        return Group(self._bar, Columns(self._numbers, padding=(0, 2)))

    def batches(self, loop: Any, count: int) -> None:
        """Move the bar, a few times a second."""
        self._done += count
        now = time.perf_counter()
        if self._task is not None and now - self._shown < 0.2 and loop.epoch < loop.epochs.stop:
            return
        self._shown = now
        steps, per_epoch = len(loop.epochs), loop.source.steps
        part = loop.batch / per_epoch if per_epoch else 0.0
        shown = {
            "completed": loop.epoch - loop.epochs.start + part,
            "epoch": f"{min(loop.epoch + 1, loop.epochs.stop)}/{loop.epochs.stop}",
            "rate": f"{self._done / max(now - self._begin, 1e-9):,.0f} steps/s",
        }
        if self._task is None:
            self._task = self._bar.add_task("", total=steps, **shown)
        self._bar.update(self._task, **shown)
        self._live.refresh()

    def epoch(self, loop: Any, logs: dict[str, list[float]]) -> None:
        """Note the numbers to be shown."""
        # All digits, so that the columns keep their places.
        self._numbers = [f"{k} {f'{v[-1]:#.4g}'.rstrip('.')}" for k, v in logs.items()]


def _numbers(logs: dict[str, list[float]], at: int) -> str:
    return "  ".join(f"{k} {v[at]:.4g}" for k, v in logs.items())


def progress_for(verbose: Any) -> Quiet:
    """Return what shows a training: 0 nothing, 1 a bar, 2 lines; "auto" a bar in terminals."""
    if verbose in (0, False):
        return Quiet()
    from rich.console import Console

    console = Console()
    if verbose == 2:
        return Lines(console)
    return Bar(console) if console.is_terminal or console.is_jupyter else Quiet()
