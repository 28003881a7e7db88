"""Expression text to graph: ``gg.parse("abs(4 - (x*w + b))", x=2, w=3, b=1)``.

What one can do: `parse` an expression, or several assignments, into a node; ask which variables
still want a value (`missing`); read a value (`parse_value`) or ``name=value`` (`split_assignment`)
from a command line. The text is cut up by Python's own parser, but never evaluated: a walk over
the tree makes a node of each kind of expression listed here, and refuses everything else with its
place marked.

    statements   name = expression; …; expression    also one to a line
    arithmetic   + - * / @ ** and signs
    masks        < <= > >= == != (also a < b < c), and or not & | ~
    choice       a if mask else b, an elementwise where
    operands     2.5, name, pi, f(x, axis=0), [[1, 2], [3, y]], (…), x[0, 1:3], x.T
    comments     from # to the end of the line; inside brackets a line goes on by itself
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graphgrad.errors import ParseError
from graphgrad.graph import VARIABLE, Node, NumberOrArray, ancestors
from graphgrad.parsing.calls import vocabulary
from graphgrad.parsing.excerpt import Text, clean
from graphgrad.parsing.reader import PI, Labelled, Reader
from graphgrad.parsing.scan import identifier, names, statements

__all__ = ["missing", "parse", "parse_value", "split_assignment"]

NUMBERS = {**PI, "inf": Labelled("inf", "inf"), "nan": Labelled("nan", "nan")}


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
    source = clean(text)
    known = {identifier(name): value for name, value in values.items()}
    with _bounded(source):
        trees = statements(source)
        used, assigned = names(trees)
        constants = {name: number for name, number in PI.items() if name not in assigned}
        reader = Reader(source, vocabulary(), known, constants)
        _check_values(reader, used, assigned)
        return reader.run(trees)


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
    source = clean(text)
    with _bounded(source):
        trees = statements(source)
        if len(trees) > 1 or not all(isinstance(tree, ast.Expr) for tree in trees):
            raise source.fault("expected one number or list, as in 2.5 or [1, 2]", 0, len(text))
        return Reader(source, {}, {}, NUMBERS, closed=True).run(trees).value


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
    source = clean(argument)
    name, sign, rest = source.text.partition("=")
    with _bounded(source):
        if sign and not rest.startswith("=") and name.strip().isidentifier():
            match statements(source):
                case [ast.Assign([ast.Name(name)])] as trees if name not in vocabulary():
                    return name, Reader(source, {}, {}, NUMBERS, closed=True).run(trees).value
        raise
def missing(node: Node) -> list[str]:
    """Return the names of the variables that `node` depends on and that have no value yet.

    Example:
        >>> missing(parse("x*w + b", w=3))
        ['x', 'b']
    """
    return [n.name for n in ancestors(node) if n.primitive is VARIABLE and n._value is None]


def _value(source: Text, tokens: list[Token]) -> NumberOrArray:
    grammar = Grammar(tokens, Builder(source, {}, {}, NUMBERS, closed=True))
    return _bounded(source, grammar.single).value


def _bounded(source: Text, read: Callable[[], Node]) -> Node:
    try:
        return read()
    except RecursionError:
        message = "too deeply nested for what is left of Python's stack: assign parts to names"
        raise source.fault(message, 0) from None


def _check_values(builder: Builder, used: list[str], assigned: dict[str, Token]) -> None:
    """Refuse a value for a name that the text assigns, or that does not occur in it."""
    for name in builder.values:
        if token := assigned.get(name):
            builder.fault(
                f"{name!r} is given a value, but the text assigns it: drop one of them", token
            )
        if name not in used:
            no = {*assigned, *builder.functions, *builder.constants}
            free = [repr(n) for n in used if n not in no]
            listed = ", ".join(free[:20]) + ", …" * (len(free) > 20)
            raise ParseError(
                f"a value is given for {name[:100]!r}, which is no variable of the expression; "
                f"its variables are {listed or 'none'}"
            )
