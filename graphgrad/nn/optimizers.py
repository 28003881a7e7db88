"""Optimizers as graphs: SGD, momentum, Nesterov, Adagrad, Adadelta, RMSprop, Adam, AdamW.

``optimizer.updates(parameters, gradients)`` returns a node for the new value of every parameter,
of the optimizer's state (m, v, …) and of its counter: they can be drawn, stepped and compiled.
Names of arguments are Keras'. Where libraries differ, each class says whom it follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad.context import scope
from graphgrad.errors import NetworkError
from graphgrad.graph import Node, var
from graphgrad.nn.clipping import accumulated, clipped
from graphgrad.nn.naming import Configurable, choose
from graphgrad.nn.schedules import Schedule
from graphgrad.ops.arithmetic import sqrt, square

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "optimizer_of",
]  # fmt: skip

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


class SGD(Optimizer):
    """w ← w − α g; with momentum v ← μ v − α g, w ← w + v (Qian 1999, Neural Networks 12).

    With `nesterov`, w ← w + μ v − α g after v's update (Nesterov 1983, in the form of Sutskever,
    Martens, Dahl and Hinton 2013). The rate stands inside v, as in the paper and in Keras; PyTorch
    has it outside, which differs only when the rate changes.
    """

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **more: Any
    ) -> None:
        super().__init__(learning_rate, **more)
        self.momentum, self.nesterov = _share("momentum", momentum), nesterov

    def step(self, w: Node, g: Node, rate: Node) -> Updates:
        """Return the new parameter, and velocity where there is momentum."""
        move = rate * g
        if not self.momentum:
            return {w: w - move}
        v = self.state(w, "velocity")
        new = self.momentum * v - move
        return {v: new, w: w + (self.momentum * new - move if self.nesterov else new)}


class Adagrad(Optimizer):
    """G ← G + g², w ← w − α g / (√G + ε) (Duchi, Hazan and Singer 2011, JMLR 12).

    G begins at 0 and ε stands outside the root, as in the paper and in PyTorch; Keras begins at
    0.1 and has it inside.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        initial_accumulator_value: float = 0.0,
        epsilon: float = 1e-10,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate, **more)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def step(self, w: Node, g: Node, rate: Node) -> Updates:
        """Return the new parameter and G."""
        total = self.state(w, "accumulator", self.initial_accumulator_value)
        new = total + square(g)
        return {total: new, w: w - rate * g / (sqrt(new) + self.epsilon)}


class Adadelta(Optimizer):
    """E ← ρ E + (1 − ρ) g², Δ = √(D + ε) / √(E + ε) · g, D ← ρ D + (1 − ρ) Δ², w ← w − α Δ.

    Zeiler 2012, arXiv:1212.5701; α = 1 in the paper and in PyTorch, 0.001 in Keras.
    """

    def __init__(
        self, learning_rate: Any = 1.0, rho: float = 0.95, epsilon: float = 1e-6, **more: Any
    ) -> None:
        super().__init__(learning_rate, **more)
        self.rho, self.epsilon = _share("rho", rho), epsilon

    def step(self, w: Node, g: Node, rate: Node) -> Updates:
        """Return the new parameter, E and D."""
        squares, moves = self.state(w, "squares"), self.state(w, "moves")
        e = self.rho * squares + (1 - self.rho) * square(g)
        move = sqrt(moves + self.epsilon) / sqrt(e + self.epsilon) * g
        d = self.rho * moves + (1 - self.rho) * square(move)
        return {squares: e, moves: d, w: w - rate * move}


class RMSprop(Optimizer):
    """v ← ρ v + (1 − ρ) g², w ← w − α g / (√v + ε) (Tieleman and Hinton 2012, lecture 6.5).

    ε stands outside the root, as in PyTorch; Keras has it inside.
    """

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, epsilon: float = 1e-7, **more: Any
    ) -> None:
        super().__init__(learning_rate, **more)
        self.rho, self.epsilon = _share("rho", rho), epsilon

    def step(self, w: Node, g: Node, rate: Node) -> Updates:
        """Return the new parameter and v."""
        squares = self.state(w, "v")
        v = self.rho * squares + (1 - self.rho) * square(g)
        return {squares: v, w: w - rate * g / (sqrt(v) + self.epsilon)}


class Adam(Optimizer):
    """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − α m̂ / (√v̂ + ε), corrected for bias.

    m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ): algorithm 1 of Kingma and Ba 2015, as in PyTorch; Keras
    folds the corrections into α, which changes what ε means. β₁ᵗ and β₂ᵗ are computed in float64.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate, **more)
        self.beta_1, self.beta_2 = _share("beta_1", beta_1), _share("beta_2", beta_2)
        self.epsilon = epsilon

    def prepare(self, rate: Node, now: Node) -> list[Node]:
        """Return the rate and the two corrections, 1 / (1 − βᵗ)."""
        t = now.astype(float)
        return [rate, *(1 / (1 - b**t) for b in (self.beta_1, self.beta_2))]

    def step(self, w: Node, g: Node, rate: Node, *corrections: Node) -> Updates:
        """Return the new parameter, m and v."""
        first, second = corrections
        m, v = self.state(w, "m"), self.state(w, "v")
        m1 = self.beta_1 * m + (1 - self.beta_1) * g
        v1 = self.beta_2 * v + (1 - self.beta_2) * square(g)
        m_hat, v_hat = (first * m1).named("m̂"), (second * v1).named("v̂")
        return {m: m1, v: v1, w: w - rate * m_hat / (sqrt(v_hat) + self.epsilon)}


class AdamW(Adam):
    """`Adam` that first shrinks the weights: w ← w − α λ w (Loshchilov and Hutter 2019)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **more)
        self.weight_decay = weight_decay

    def step(self, w: Node, g: Node, rate: Node, *corrections: Node) -> Updates:
        """Return the new parameter, m and v."""
        changes = super().step(w, g, rate, *corrections)
        return {**changes, w: changes[w] - rate * self.weight_decay * w}


def _share(name: str, value: float) -> float:
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise NetworkError(f"{name}={value!r}: expected a number in [0, 1)")
    return value


NAMES = {
    "sgd": SGD, "adagrad": Adagrad, "adadelta": Adadelta, "rmsprop": RMSprop, "adam": Adam,
    "adamw": AdamW,
}  # fmt: skip


def optimizer_of(given: Any) -> Optimizer:
    """Return the optimizer a word stands for.

    Raises:
        NetworkError: when it is none.
    """
    found = choose(given, NAMES, "optimizer")
    if not isinstance(found, Optimizer):
        raise NetworkError(f"optimizer {given!r}: expected a name, or one such as nn.Adam(0.01)")
    return found
