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

__all__ = ["Length", "Share", "plain", "rows_of"]


class _Counted:
    """What `Length` and `Share` have in common.

    Attributes:
        made: how the number came about: an operation and its operands; of a number of rows None,
            the serial number of the variable, and the number.
    """

    made: tuple[Any, Any, Any]

    @property
    def of(self) -> set[int]:
        """The serial numbers of the variables whose rows are counted."""
        return {made[1] for made in _history(self) if made[0] is None}

    def at(self, rows: Mapping[int, int]) -> Any:
        """Return the number when variables, named by serial number, have other numbers of rows."""
        found: dict[int, Any] = {}
        for made in _history(self):
            of, a, b = made
            if of is None:
                found[id(made)] = rows.get(a, b)
            else:
                found[id(made)] = of(*(
                    found[id(x.made)] if isinstance(x, _Counted) else x for x in (a, b)
                ))  # fmt: skip
        return found[id(self.made)]

    def __neg__(self) -> Any:
        return self * -1  # type: ignore[operator]

    def __reduce__(self) -> Any:  # a copy elsewhere, by pickle, is a plain number
        kind: Any = KINDS[type(self)]
        return kind, (kind(self),)


def _history(number: _Counted) -> list[tuple[Any, Any, Any]]:
    """Return how a number and all that it comes of were made, operands first."""
    found: dict[int, tuple[Any, Any, Any]] = {}
    stack = [(number.made, False)]
    while stack:
        made, done = stack.pop()
        if done:
            found[id(made)] = made
        elif id(made) not in found:
            stack.append((made, True))
            stack += [(x.made, False) for x in made[1:] if isinstance(x, _Counted)]
    return list(found.values())


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
    number = Length(rows)
    number.made = (None, serial, rows)
    return number


def plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of mere ints, with which one computes faster."""
    return tuple(map(int, shape))


def _method(of: Callable[..., Any], kind: type, turned: bool) -> Callable[..., Any]:
    """Return an operator that computes as numbers do and notes how."""

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        mere = type(other) if type(other) not in KINDS else KINDS[type(other)]
        value = of(mere(other), kind(self)) if turned else of(kind(self), mere(other))
        wanted = COUNTED.get(type(value))
        if wanted is None:
            return value
        number = wanted(value)
        number.made = (of, other, self) if turned else (of, self, other)
        return number

    return method


KINDS: dict[type, Any] = {Length: int, Share: float}
COUNTED: dict[type, Any] = {int: Length, float: Share}
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    for _counted, _kind in KINDS.items():
        setattr(_counted, f"__{_name}__", _method(getattr(operator, _name), _kind, False))
        setattr(_counted, f"__r{_name}__", _method(getattr(operator, _name), _kind, True))
