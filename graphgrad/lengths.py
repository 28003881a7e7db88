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

__all__ = [
    "Length",
    "Share",
    "chosen",
    "larger",
    "lengths_of",
    "plain",
    "rows_of",
    "smaller",
    "whole",
]


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


def lengths_of(serial: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a variable: its rows, and sizes that are nobody's rows."""
    return tuple(rows_of(-1 if k else serial, n) for k, n in enumerate(shape))


def larger(a: int, b: int) -> int:
    """Return the larger of two numbers; a `Length` where one of them is."""
    return _noted(max, a, b)


def smaller(a: int, b: int) -> int:
    """Return the smaller of two numbers; a `Length` where one of them is."""
    return _noted(min, a, b)


def chosen(number: Any) -> list[int]:
    """Return the plain numbers that were compared with lengths on the way to a number."""
    if not isinstance(number, _Counted):
        return [number]
    bounds = (made[1:] for made in _history(number) if made[0] in (max, min))
    return [x for pair in bounds for x in pair if not isinstance(x, _Counted)]


def whole(number: Any) -> int:
    """Return an int, as `operator.index` does; a `Length` stays one.

    Raises:
        TypeError: when it is no whole number.
    """
    return number if isinstance(number, Length) else operator.index(number)


def plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of mere ints, with which one computes faster."""
    return tuple(map(int, shape))


def _noted(of: Callable[..., Any], a: Any, b: Any) -> Any:
    """Return what an operation gives, with how it came about where lengths took part."""
    first, second = MERE.get(type(a), float)(a), MERE.get(type(b), float)(b)
    value = of(first, second)
    wanted = COUNTED.get(type(value))
    if wanted is None or (type(a) not in KINDS and type(b) not in KINDS):
        return value
    number = wanted(value)
    number.made = (of, a, b)
    return number


def _method(of: Callable[..., Any], turned: bool) -> Callable[..., Any]:
    """Return an operator that computes as numbers do and notes how."""

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        return _noted(of, other, self) if turned else _noted(of, self, other)

    return method


KINDS: dict[type, Any] = {Length: int, Share: float}
MERE: dict[type, Any] = {int: int, bool: int, **KINDS}
"""Makes plain numbers of operands; of any others, such as NumPy's, floats."""
COUNTED: dict[type, Any] = {int: Length, float: Share}
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    for _kind in KINDS:
        setattr(_kind, f"__{_name}__", _method(getattr(operator, _name), False))
        setattr(_kind, f"__r{_name}__", _method(getattr(operator, _name), True))
