"""Expression text to graph: ``gg.parse("abs(4 - (x*w + b))", x=2, w=3, b=1)``.

What one can do: `parse` an expression, or several assignments, into a node; ask which variables
still want a value (`missing`); read a value (`parse_value`) or ``name=value`` (`split_assignment`)
from a command line. The grammar is Python's for arithmetic, and its own: nothing is ever
evaluated as Python, and whatever is not listed here is refused with its place marked.

    statements   name = choice ; … ; choice          also one to a line
    choice       or_ if or_ else choice              an elementwise where
    or_          and_ or and_, not mask, a < b <= c, a & b, a | b
    arithmetic   + - * / @ ** and signs, in Python's order
    atom         2.5, name, pi, f(x, axis=0), [[1, 2], [3, y]], (…), x[0, 1:3], x.T
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphgrad.errors import ParseError
from graphgrad.graph import VARIABLE, Node, NumberOrArray, ancestors
from graphgrad.parsing.build import Builder
from graphgrad.parsing.calls import vocabulary
from graphgrad.parsing.excerpt import Text, clean
from graphgrad.parsing.grammar import Grammar
from graphgrad.parsing.parts import PI, labelled
from graphgrad.parsing.tokens import Token, identifier, names, tokenize

__all__ = ["missing", "parse", "parse_value", "split_assignment"]

NUMBERS = {**PI, **{name: labelled(float(name), name) for name in ("inf", "nan")}}


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
    tokens = tokenize(source)
    known = {identifier(name): value for name, value in values.items()}
    used, assigned = names(tokens)
    constants = {name: number for name, number in PI.items() if name not in assigned}
    builder = Builder(source, vocabulary(), known, constants)
    _check_values(builder, used, assigned)
    return _bounded(source, Grammar(tokens, builder).program)


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
    return _value(source, tokenize(source))


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
    tokens = tokenize(source)
    name = tokens[0]
    if name.kind != "name" or tokens[1].text != "=":
        end = len(source.text)
        raise source.fault("expected name=value, as in x=2 or W=[[1, 2], [3, 4]]", 0, end)
    if name.text in vocabulary():
        message = f"{name.text!r} is a function: no value can be given to it"
        raise source.fault(message, name.start, name.end)
    return name.text, _value(source, tokens[2:])


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
