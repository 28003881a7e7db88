"""The rule book: every primitive operation, one block each. Importing this fills the table."""

from graphgrad.ops import (
    activation,
    arithmetic,
    choices,
    conv,
    elementwise,
    index,
    linear,
    random,
    reduce,
    shape,
)

__all__ = [
    "activation", "arithmetic", "choices", "conv", "elementwise", "index", "linear", "random",
    "reduce", "shape",
]  # fmt: skip
