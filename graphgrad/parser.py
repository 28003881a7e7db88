"""Expression text to graph: ``gg.parse("abs(4 - (x*w + b))", x=2, w=3, b=1)``.

What one can do: `parse` an expression, or several assignments, into a node; ask which variables
still want a value (`missing`); read from a command line a value (`parse_value`), ``name=value``
(`split_assignment`) or several of these (`assigned`). The text is cut up by Python's own parser,
but never evaluated: a walk over the tree makes a node of each kind of expression listed here, and
refuses everything else with its place marked.

    statements   name = expression; …; expression    also one to a line
    arithmetic   + - * / @ ** and signs
    masks        < <= > >= == != (also a < b < c), and or not & | ~
    choice       a if mask else b, an elementwise where
    operands     2.5, name, pi, inf, nan, f(x, axis=0), [[1, 2], [3, y]], (…), x[0, 1:3], x.T
    comments     from # to the end of the line; inside brackets a line goes on by itself

A text has at most 20,000 characters, a statement 1000 operators and 100 levels of nesting.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any
from unicodedata import normalize

from graphgrad.errors import GraphError
from graphgrad.graph import VARIABLE, Node, NumberOrArray, ancestors
from graphgrad.parsing.excerpt import clean
from graphgrad.parsing.reader import Reader

__all__ = ["assigned", "missing", "parse", "parse_value", "split_assignment"]


def parse(text: str, /, **values: Any) -> Node:
    """Return the graph of an expression; the names in it become variables.

    Args:
        text: an expression, such as ``"abs(4 - (x*w + b))"``; or assignments, one to a line or
            with ; between them, the last of which (or a closing expression) is the result. An
            assigned name labels its node.
        values: of the variables: numbers, nested lists or arrays. Without one, a variable is a
            scalar that waits for its value.

    Returns:
        The node of the last statement. Each node's `source` is its stretch of the text.

    Raises:
        ParseError: for what is not in the grammar, with the place marked under the text.
        ShapeError, DtypeError: for operations whose inputs do not fit, with the place marked.

    Example:
        >>> import graphgrad as gg
        >>> loss = gg.parse("y = x*w + b; abs(4 - y)", x=2, w=3, b=1)
        >>> loss.value, [n.name for n in gg.ancestors(loss) if n.name]
        (3.0, ['x', 'w', 'b', 'y'])
        >>> gg.parse("sine(x)")
        Traceback (most recent call last):
        graphgrad.errors.ParseError: unknown function 'sine': did you mean sin or sinh?
            sine(x)
            ^~~~
    """
    given = {normalize("NFKC", name): value for name, value in values.items()}  # as Python does
    return Reader(clean(text), given).run("an expression such as x*w + b")


def parse_value(text: str) -> NumberOrArray:
    """Return the number or array that text stands for, as a command line needs it.

    Args:
        text: numbers and nested lists of them, with + - * / ** and pi, inf, nan.

    Returns:
        A float, or a read-only float64 array.

    Raises:
        ParseError: for anything else, names and functions included.

    Example:
        >>> parse_value("1e-3"), parse_value("-pi/2"), parse_value("[[1, 2], [3, 4]]").tolist()
        (0.001, -1.5707963267948966, [[1.0, 2.0], [3.0, 4.0]])
    """
    return Reader(clean(text), closed=True).run("one value such as 2.5 or [1, 2]", ast.Expr).value


def split_assignment(argument: str) -> tuple[str, NumberOrArray]:
    """Return the name and the value of an argument ``name=value``.

    Args:
        argument: such as ``"x=2"`` or ``"W=[[1, 2], [3, 4]]"``.

    Raises:
        ParseError: when it is not of that form.

    Example:
        >>> split_assignment("x = 2.5")
        ('x', 2.5)
    """
    text, wanted = clean(argument), "name=value, as in x=2 or W=[[1, 2], [3, 4]]"
    if not text.text.partition("=")[0].strip().isidentifier():
        raise text.fault(f"expected {wanted}", 0, len(text.text))
    reader = Reader(text, closed=True)
    value = reader.run(wanted, ast.Assign).value
    return next(iter(reader.assigned)), value


def assigned(arguments: Iterable[str]) -> dict[str, NumberOrArray]:
    """Return the values of arguments ``name=value`` by their names.

    Raises:
        ParseError: when one is not of that form.
        GraphError: when a name is given twice.

    Example:
        >>> assigned(["x=2", "b=0.5"])
        {'x': 2.0, 'b': 0.5}
    """
    values: dict[str, NumberOrArray] = {}
    for argument in arguments:
        name, value = split_assignment(argument)
        if name in values:
            raise GraphError(f"{name} is given twice")
        values[name] = value
    return values


def missing(node: Node) -> list[str]:
    """Return the names of the variables that `node` depends on and that have no value yet.

    Example:
        >>> missing(parse("x*w + b", w=3))
        ['x', 'b']
    """
    return [n.name for n in ancestors(node) if n.primitive is VARIABLE and n._value is None]
