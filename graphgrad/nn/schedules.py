"""Learning rates that change with the number of updates made, as graphs of that number.

A schedule is called with a step: a number gives a number, the optimizer's counter gives a node,
which is drawn and compiled like the rest. Names and arguments are Keras'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphgrad.errors import NetworkError
from graphgrad.graph import Node
from graphgrad.nn.naming import Configurable
from graphgrad.ops.choices import floor, minimum, where
from graphgrad.ops.elementwise import cos

__all__ = [
    "ConstantRate", "CosineDecay", "ExponentialDecay", "PiecewiseConstantDecay", "Schedule",
    "StepDecay", "WarmUp",
]  # fmt: skip


class Schedule(Configurable):
    """A learning rate as a function of the number of updates made; derive and give `at`."""

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of the update after `step` others: a float64 scalar."""
        if isinstance(step, Node):
            return (self.at(step.astype(float)) + 0.0).named("learning_rate")
        return float(self.at(float(step)))

    def at(self, t: Any) -> Any:
        """Return the rate for t, a float64 node or a float."""
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class ConstantRate(Schedule):
    """Always the same rate."""

    learning_rate: float

    def at(self, t: Any) -> Any:
        """Return the rate."""
        return self.learning_rate + 0.0 * t


@dataclass(eq=False, repr=False)
class ExponentialDecay(Schedule):
    """initial · decay_rate^(t / decay_steps); in jumps with `staircase`.

    Example:
        >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
        0.025
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def at(self, t: Any) -> Any:
        """Return the rate."""
        part = t / self.decay_steps
        return self.initial_learning_rate * self.decay_rate ** (
            floor(part) if self.staircase else part
        )


@dataclass(eq=False, repr=False)
class StepDecay(Schedule):
    """initial · decay_rate^⌊t / decay_steps⌋: a drop every `decay_steps` updates."""

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float = 0.1

    def at(self, t: Any) -> Any:
        """Return the rate."""
        return self.initial_learning_rate * self.decay_rate ** floor(t / self.decay_steps)


@dataclass(eq=False, repr=False)
class CosineDecay(Schedule):
    """Half a cosine from the initial rate to `alpha` times it (Loshchilov and Hutter 2017).

    With `warmup_steps` the rate first rises in a line to `warmup_target` (or from 0 to the
    initial rate), and the cosine begins there, as in Keras.

    Example:
        >>> CosineDecay(0.1, decay_steps=100)(50)
        0.05
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def at(self, t: Any) -> Any:
        """Return the rate."""
        start, top = self.initial_learning_rate, self.warmup_target
        if top is None:
            start, top = (0.0 if self.warmup_steps else start), start
        part = minimum((t - self.warmup_steps) / self.decay_steps, 1.0)
        cosine = 0.5 * (1 + cos(math.pi * part))
        rate = top * ((1 - self.alpha) * cosine + self.alpha)
        if not self.warmup_steps:
            return rate
        return where(t < self.warmup_steps, start + (top - start) * t / self.warmup_steps, rate)


@dataclass(eq=False, repr=False)
class PiecewiseConstantDecay(Schedule):
    """values[0] up to and with boundaries[0] updates, then values[1], and so on.

    Example:
        >>> schedule = PiecewiseConstantDecay([10, 20], [0.1, 0.01, 0.001])
        >>> schedule(10), schedule(11), schedule(21)
        (0.1, 0.01, 0.001)
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1:
            raise NetworkError(
                f"{len(self.boundaries)} boundaries and {len(self.values)} values: expected one "
                f"value more than boundaries"
            )

    def at(self, t: Any) -> Any:
        """Return the rate."""
        rate: Any = self.values[-1]
        for boundary, value in zip(reversed(self.boundaries), reversed(self.values[:-1])):
            rate = where(t <= boundary, float(value), rate)
        return rate


@dataclass(eq=False, repr=False)
class WarmUp(Schedule):
    """A line from 0 over `warmup_steps` updates, then another schedule, or a constant.

    Example:
        >>> WarmUp(0.1, warmup_steps=10)(5)
        0.05
    """

    schedule: Any
    warmup_steps: int

    def at(self, t: Any) -> Any:
        """Return the rate."""
        inner = self.schedule
        rate = inner.at(t) if isinstance(inner, Schedule) else float(inner)
        return rate * minimum((t + 0.0) / self.warmup_steps, 1.0)
