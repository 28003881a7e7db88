"""Numbers that remember which variables' rows they count.

A graph is made for so many rows; that number then stands in shapes, in the settings of operations,
and in constants, such as what a mean divides by. A `Length` is such a number, and a `Share` one
that was divided, together with how they come of the numbers of rows: so the same graph can be made
for another number of rows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Length", "Share", "rows_of"]

DEEPEST = 100
"""Operations after which it is forgotten how a number came about."""
Rule = Callable[[Mapping[int, int]], Any]


class _Counted:
    """What `Length` and `Share` have in common.

    Attributes:
        of: the serial numbers of the variables whose rows are counted.
        rule: gives the number for other numbers of rows, by serial number.
        depth: how many operations it took.
    """

    of: frozenset[int]
    rule: Rule
    depth: int

    def at(self, rows: Mapping[int, int]) -> Any:
        """Return the number when variables, named by serial number, have other numbers of rows."""
        return self.rule(rows)

    def __neg__(self) -> Any:
        return _traced(operator.neg, self)

    def __reduce__(self) -> Any:  # a copy elsewhere, by pickle, is a plain number
        return type(_plain(self)), (_plain(self),)


class Length(_Counted, int):
    """A whole number that comes of numbers of rows; otherwise it is an int.

    Example:
        >>> n = rows_of(7, 10)
        >>> 3 * n + 1, (3 * n + 1).at({7: 4}), (3 * n + 1).at({8: 4})
        (31, 13, 31)
        >>> (1 / n).at({7: 4})
        0.25
    """


class Share(_Counted, float):
    """A floating number that comes of numbers of rows; otherwise it is a float."""


def rows_of(serial: int, rows: int) -> Length:
    """Return the number of rows of a variable, given by its serial number."""
    made = Length(rows)
    made.of, made.rule, made.depth = frozenset([serial]), lambda given: given.get(serial, rows), 0
    return made


def _plain(x: Any) -> Any:
    return int(x) if isinstance(x, Length) else float(x) if isinstance(x, Share) else x


def _at(x: Any, rows: Mapping[int, int]) -> Any:
    return x.rule(rows) if isinstance(x, _Counted) else x


def _traced(of: Callable[..., Any], *operands: Any) -> Any:
    """Return what an operation gives, with how it came about."""
    value = of(*map(_plain, operands))
    depth = 1 + max(x.depth for x in operands if isinstance(x, _Counted))
    kind = {int: Length, float: Share}.get(type(value))
    if kind is None or depth > DEEPEST:
        return value
    made = kind(value)
    made.of = frozenset().union(*(x.of for x in operands if isinstance(x, _Counted)))
    made.rule, made.depth = lambda rows: of(*(_at(x, rows) for x in operands)), depth
    return made


def _method(of: Callable[..., Any], turned: bool) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        return _traced(of, other, self) if turned else _traced(of, self, other)

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    for _kind in (Length, Share):
        setattr(_kind, f"__{_name}__", _method(getattr(operator, _name), False))
        setattr(_kind, f"__r{_name}__", _method(getattr(operator, _name), True))
