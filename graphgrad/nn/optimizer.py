"""What an optimizer is: learning rate, states by parameter, counters, and updates as nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad.context import scope
from graphgrad.errors import NetworkError
from graphgrad.graph import Node, var
from graphgrad.nn.clipping import accumulated, clipped
from graphgrad.nn.naming import Configurable
from graphgrad.nn.schedules import Schedule

__all__ = ["Optimizer", "Updates", "share"]

Updates = dict[Node, Node]


class Optimizer(Configurable):
    """What changes parameters; derive from it and give `step` for your own.

    Args:
        learning_rate: a number, or a schedule such as `nn.CosineDecay`.
        clipvalue: each entry of a gradient is limited to ±clipvalue.
        clipnorm: each gradient is scaled down to at most this Euclidean norm.
        global_clipnorm: all gradients together are (Pascanu, Mikolov and Bengio 2013).
        gradient_accumulation_steps: parameters change every so many batches, by the mean of
            their gradients.

    Attributes:
        iterations: variable that counts the updates made.
        waiting: variable that counts the batches added up since the last update.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        *,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
        gradient_accumulation_steps: int | None = None,
    ) -> None:
        self.name = type(self).__name__.lower()
        self.clipvalue, self.clipnorm = clipvalue, clipnorm
        self.global_clipnorm = global_clipnorm
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._states: dict[tuple[Node, str], Node] = {}
        with scope(self.name):
            self.iterations = var("iterations", 0, dtype=int, role="parameter")
            self.waiting = var("waiting", 0, dtype=int, role="parameter")
            self._rate = var("learning_rate", 0.0, role="parameter")
        self.schedule: Schedule | None = None
        self.learning_rate = learning_rate
        limits = [clipvalue, clipnorm, global_clipnorm, gradient_accumulation_steps]
        for limit in limits:
            if limit is not None and not limit > 0:
                raise NetworkError(f"{type(self).__name__}: {limit!r}; expected a number above 0")

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a number that may be set at any time, or the schedule."""
        return self.schedule or self._rate.value

    @learning_rate.setter
    def learning_rate(self, new: Any) -> None:
        if isinstance(new, Schedule):
            self.schedule = new
            return
        if self.schedule is not None:
            raise NetworkError("the learning rate follows a schedule and cannot be set")
        if not isinstance(new, int | float | np.number) or not 0 <= new < float("inf"):
            raise NetworkError(f"learning_rate={new!r}: expected a number of at least 0")
        self._rate.value = float(new)

    @property
    def rate(self) -> Node:
        """The learning rate of the next update, a float64 scalar node."""
        return self._rate if self.schedule is None else self.schedule(self.iterations)

    @property
    def states(self) -> dict[str, Node]:
        """All variables of the optimizer, by name."""
        own = {n.name: n for n in (self.iterations, self.waiting, self._rate)}
        found = {f"{p.scope}/{p.name}/{slot}": n for (p, slot), n in self._states.items()}
        return {**own, **found}

    def state(self, parameter: Node, slot: str, value: float = 0.0) -> Node:
        """Return a variable of the parameter's shape that belongs to it, made when first asked."""
        key = (parameter, slot)
        if key not in self._states:
            start = np.full(parameter.shape, value, parameter.dtype)
            self._states[key] = var(slot, start, dtype=parameter.dtype, role="parameter")
        return self._states[key]

    def updates(self, parameters: Sequence[Node], gradients: Sequence[Node]) -> Updates:
        """Return the new value of every variable that a training step changes.

        Args:
            parameters: floating variables.
            gradients: a node of the same shape for each.

        Example:
            >>> import graphgrad as gg
            >>> from graphgrad import nn
            >>> w = gg.var("w", 3.0)
            >>> loss = (w - 1) ** 2
            >>> changes = nn.SGD(0.25).updates([w], [gg.grad(loss, w)])
            >>> changes[w].value
            2.0
        """
        with scope(self.name):
            every = self.gradient_accumulation_steps
            if every and every > 1:
                return accumulated(self, list(parameters), list(gradients), every)
            return self.plain_updates(list(parameters), list(gradients))

    def plain_updates(self, parameters: list[Node], gradients: list[Node]) -> Updates:
        """Return the new values where every batch counts by itself."""
        gradients = clipped(gradients, self.clipvalue, self.clipnorm, self.global_clipnorm)
        now = (self.iterations + 1).named("t")
        shared = self.prepare(self.rate, now)
        changes: Updates = {self.iterations: now}
        for p, g in zip(parameters, gradients, strict=True):
            with scope("/".join(part for part in (p.scope, p.name) if part)):
                numbers = [x.astype(p.dtype) for x in shared]
                changes.update(self.step(p, g, *numbers))
        return changes

    def prepare(self, rate: Node, now: Node) -> list[Node]:
        """Return the scalars that `step` gets, computed once in float64: first the rate."""
        return [rate]

    def step(self, w: Node, g: Node, rate: Node) -> Updates:
        """Return the new values of a parameter and its states."""
        raise NotImplementedError


def share(name: str, value: float) -> float:
    """Return a number in [0, 1), or raise `NetworkError`."""
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise NetworkError(f"{name}={value!r}: expected a number in [0, 1)")
    return value
