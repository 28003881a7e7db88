"""Operators and methods of nodes, as in NumPy: what ``x + y``, ``x @ W`` and ``np.exp(x)`` make.

They only name primitives of the rule book; `graph.Node` derives from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from graphgrad.errors import DtypeError
from graphgrad.primitive import TABLE, Operand

__all__ = ["Operators", "later"]


class Operators(Operand):
    """What a node can be combined with by operators, NumPy's functions and methods."""

    __slots__ = ()
    __array_priority__ = 1000

    def __add__(self, other: Any) -> Self:
        return APPLY(TABLE["add"], (self, other))

    def __radd__(self, other: Any) -> Self:
        return APPLY(TABLE["add"], (other, self))

    def __sub__(self, other: Any) -> Self:
        return APPLY(TABLE["sub"], (self, other))

    def __rsub__(self, other: Any) -> Self:
        return APPLY(TABLE["sub"], (other, self))

    def __mul__(self, other: Any) -> Self:
        return APPLY(TABLE["mul"], (self, other))

    def __rmul__(self, other: Any) -> Self:
        return APPLY(TABLE["mul"], (other, self))

    def __truediv__(self, other: Any) -> Self:
        return APPLY(TABLE["div"], (self, other))

    def __rtruediv__(self, other: Any) -> Self:
        return APPLY(TABLE["div"], (other, self))

    def __matmul__(self, other: Any) -> Self:
        return APPLY(TABLE["matmul"], (self, other))

    def __rmatmul__(self, other: Any) -> Self:
        return APPLY(TABLE["matmul"], (other, self))

    def __pow__(self, exponent: Any) -> Self:
        return POWER(self, exponent)

    def __rpow__(self, base: Any) -> Self:
        return POWER(base, self)

    def __neg__(self) -> Self:
        return APPLY(TABLE["neg"], (self,))

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return APPLY(TABLE["abs"], (self,))

    def __lt__(self, other: Any) -> Self:
        return APPLY(TABLE["less"], (self, other))

    def __le__(self, other: Any) -> Self:
        return APPLY(TABLE["less_equal"], (self, other))

    def __gt__(self, other: Any) -> Self:
        return APPLY(TABLE["greater"], (self, other))

    def __ge__(self, other: Any) -> Self:
        return APPLY(TABLE["greater_equal"], (self, other))

    def __and__(self, other: Any) -> Self:
        return APPLY(TABLE["logical_and"], (self, other))

    def __or__(self, other: Any) -> Self:
        return APPLY(TABLE["logical_or"], (self, other))

    def __invert__(self) -> Self:
        return APPLY(TABLE["logical_not"], (self,))

    def __getitem__(self, key: Any) -> Self:
        return INDEX(self, key)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Self:
        name = UFUNCS.get(ufunc.__name__, ufunc.__name__)
        if method != "__call__" or kwargs or name not in TABLE:
            raise _no_counterpart(ufunc.__name__)
        function = POWER if name == "pow" else TABLE[name]
        return function(*inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, settings: Any) -> Self:
        name = {"amax": "max", "amin": "min"}.get(function.__name__, function.__name__)
        if name not in TABLE:
            raise _no_counterpart(function.__name__)
        return TABLE[name](*args, **settings)

    # -- methods that read as in NumPy -------------------------------------------------------

    def sum(self, axis: Any = None, keepdims: bool = False) -> Self:
        """Return the sum over `axis` (all axes when None)."""
        return TABLE["sum"](self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Self:
        """Return the mean over `axis` (all axes when None)."""
        return TABLE["mean"](self, axis, keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Self:
        """Return the product over `axis` (all axes when None)."""
        return TABLE["prod"](self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Self:
        """Return the largest entry over `axis` (all axes when None)."""
        return TABLE["max"](self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Self:
        """Return the smallest entry over `axis` (all axes when None)."""
        return TABLE["min"](self, axis, keepdims)

    def reshape(self, *shape: Any) -> Self:
        """Return the same entries, in order, in another shape; one size may be -1."""
        return TABLE["reshape"](self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Self:
        """Return the axes permuted; reversed when none are given."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return TABLE["transpose"](self, order)

    @property
    def T(self) -> Self:  # noqa: N802 (NumPy's name)
        """The transpose: all axes reversed."""
        return TABLE["transpose"](self)

    def astype(self, dtype: Any) -> Self:
        """Return the entries as another data type."""
        return TABLE["cast"](self, dtype)


def _no_counterpart(name: str) -> DtypeError:
    return DtypeError(
        f"NumPy's {name} has no counterpart in the rule book for graph nodes; use the functions "
        f"of graphgrad"
    )


UFUNCS = {
    "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div",
    "negative": "neg", "absolute": "abs", "power": "pow", "float_power": "pow",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "bitwise_and": "logical_and", "bitwise_or": "logical_or", "invert": "logical_not",
}  # fmt: skip
"""NumPy's names of functions the rule book calls otherwise."""


def later(*_: Any) -> Any:
    """Stand for what a module above puts in its place."""
    raise AssertionError("a module above this one has to be imported first: import graphgrad")


APPLY: Callable[..., Any] = later
"""Makes a node of a primitive and its inputs; the graph puts it here."""
POWER: Callable[[Any, Any], Any] = later
"""What ``node ** exponent`` does; the arithmetic operations put it here."""
INDEX: Callable[[Any, Any], Any] = later
"""What ``node[key]`` does; the indexing operations put it here."""
