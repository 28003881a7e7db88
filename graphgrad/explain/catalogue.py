"""The mistakes people make in backpropagation: their names, what is done, where it matters.

What one can do: look one up in `MISTAKES`; `explain.mistakes` runs them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MISTAKES", "Mistake"]


@dataclass(frozen=True)
class Mistake:
    """One way to get backpropagation wrong.

    Attributes:
        name: for ``step --mistake NAME``.
        title: in a few words.
        description: what is done, in one sentence.
        matters_on: the kind of graph on which it gives wrong gradients.
    """

    name: str
    title: str
    description: str
    matters_on: str


MISTAKES: dict[str, Mistake] = {
    m.name: m
    for m in (
        Mistake(
            "depth-first",
            "depth-first, without topological order",
            "Each node passes its adjoint on as soon as it is first reached, and never again.",
            "a result that several later steps use, as v in v = x·w; y = v·v",
        ),
        Mistake(
            "overwrite",
            "= in place of +=",
            "Each contribution replaces the adjoint that is there, in place of adding to it.",
            "any node used twice, as x in x·x + x",
        ),
        Mistake(
            "no-zeroing",
            "no zeroing between two passes",
            "A second pass begins with the gradients that the first one left in the variables.",
            "every graph with a gradient that is not 0",
        ),
        Mistake(
            "forgotten-edge",
            "a forgotten edge",
            "One edge is not passed; its contribution, and all that would follow it, is missing.",
            "every graph with a contribution that is not 0",
        ),
        Mistake(
            "stale-value",
            "a stale value",
            "A variable was set, and the backward pass ran without a new forward pass.",
            "derivatives that read a computed value, as those of tanh(x·w), square or products",
        ),
        Mistake(
            "wrong-local",
            "a wrong local derivative",
            "The rule of one operation is wrong, as people misremember it.",
            "every graph that the wrong rule's contribution reaches",
        ),
    )
}
"""The mistakes by name, in the order in which they are told."""
