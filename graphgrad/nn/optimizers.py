"""Optimizers as graphs: SGD, momentum, Nesterov, Adagrad, Adadelta, RMSprop, Adam, AdamW.

``optimizer.updates(parameters, gradients)`` returns a node for the new value of every parameter,
of the optimizer's state (m, v, …) and of its counter: they can be drawn, stepped and compiled.
Names of arguments are Keras'. Where libraries differ, each class says whom it follows.
"""

from __future__ import annotations

from typing import Any

from graphgrad.errors import NetworkError
from graphgrad.graph import Node
from graphgrad.nn.naming import choose
from graphgrad.nn.optimizer import Optimizer, Updates, share
from graphgrad.ops.arithmetic import sqrt, square

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "RMSprop", "optimizer_of"]


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
        self.momentum, self.nesterov = share("momentum", momentum), nesterov

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
        self.rho, self.epsilon = share("rho", rho), epsilon

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
        self.rho, self.epsilon = share("rho", rho), epsilon

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
        self.beta_1, self.beta_2 = share("beta_1", beta_1), share("beta_2", beta_2)
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
