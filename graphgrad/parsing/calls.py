"""Calls in expression text: which functions there are, and what their arguments mean.

What one can do: ask for the `vocabulary`, show the `usage` of a function, and make a `call`.
Functions come from the rule book and the composites, so a new operation is callable at once.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from graphgrad import functions, ops
from graphgrad.dtypes import INT64
from graphgrad.graph import Node, apply
from graphgrad.parsing.build import Builder
from graphgrad.parsing.parts import Part, is_literal, plain
from graphgrad.parsing.tokens import Token
from graphgrad.primitive import TABLE, Primitive

__all__ = ["call", "usage", "vocabulary"]

MAX_ROW = 10**6
"""The most entries of a row of one_hot, which are counted out when the graph is built."""
ALIASES = {
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "power": "pow",
}  # fmt: skip
NOT_IN_TEXT = {
    "cast": "it takes a data type, and text has no way to write one",
    "index": "write x[0]",
    "slice": "write x[1:3]",
    "unslice": "it takes a slice, and text has no way to write one",
}
PAIRWISE = {"max": "maximum", "min": "minimum"}
WHOLE = {"counter", "indices"}
"""Parameters that count or point: literals given for them stay integers."""


def vocabulary() -> dict[str, Callable[..., Any]]:
    """Return the functions that text can call, by name: the rule book, composites, aliases.

    Example:
        >>> known = vocabulary()
        >>> known["ln"], known["softmax"].__name__, "slice" in known
        (<primitive log>, 'softmax', False)
    """
    known: dict[str, Callable[..., Any]] = {**TABLE}
    known.update({name: getattr(functions, name) for name in functions.__all__})
    known.update({alias: known[name] for alias, name in ALIASES.items()})
    return {name: function for name, function in known.items() if name not in NOT_IN_TEXT}


def usage(name: str, function: Callable[..., Any]) -> str:
    """Return how a function is called.

    Example:
        >>> usage("sum", vocabulary()["sum"])
        'sum(x, axis=None, keepdims=False)'
    """
    listed = [
        p.name if p.default is p.empty else f"{p.name}={p.default!r}"
        for p in _signature(function).parameters.values()
    ]
    return f"{name}({', '.join(listed)})"


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    given = inspect.signature(function)
    if not isinstance(function, Primitive) or function.prepare or function.variadic:
        return given
    # Without settings; but where NumPy's own function is `forward`, it would list out= and where=.
    return given.replace(parameters=[*given.parameters.values()][: len(function.rules)])


def call(
    build: Builder, name: Token, args: list[Part], keywords: dict[str, Part], end: int
) -> Part:
    """Return the node of a call.

    Args:
        build: makes the nodes.
        name: of the function, as written.
        args, keywords: the arguments.
        end: where the closing bracket ends.

    Raises:
        ParseError: when there is no such function, or its arguments do not fit.
    """
    whole = Part(None, name.start, end)
    if build.closed:
        build.fault("a value has no functions in it: write it as numbers", whole)
    if name.text in PAIRWISE and len(args) > 1 and not keywords:
        return _pairwise(build, PAIRWISE[name.text], args, whole)
    function = _function(build, name)
    try:
        bound = _signature(function).bind(*args, **keywords)
    except TypeError as problem:
        build.fault(f"{name.text}: {problem}; it is called as {usage(name.text, function)}", whole)
    if function is ops.arithmetic.pow:
        base, exponent = bound.args
        return build.power(base, exponent, name.start, end)
    _convert(build, name.text, function, bound.arguments)
    return build.make(name.start, end, function, *bound.args, **bound.kwargs)


def _function(build: Builder, name: Token) -> Callable[..., Any]:
    text = name.text
    if text in build.functions:
        return build.functions[text]
    if text in NOT_IN_TEXT:
        build.fault(f"{text!r} cannot be called here: {NOT_IN_TEXT[text]}", name)
    if text in build.assigned or text in build.variables:
        build.fault(f"{text!r} is no function: for a product write {text}*(…)", name)
    close = difflib.get_close_matches(text, build.functions, n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else f"for a product write {text}*(…)"
    build.fault(f"unknown function {text!r}: {hint}", name)


def _pairwise(build: Builder, name: str, args: list[Part], whole: Part) -> Part:
    """Return ``max(a, b, c)``: with several arguments people mean the largest of them."""
    result = args[0]
    for part in args[1:]:
        pair = build.nodes([result, part])
        result = build.make(whole.start, whole.end, apply, TABLE[name], pair)
    return result


def _convert(
    build: Builder, name: str, function: Callable[..., Any], arguments: dict[str, Any]
) -> None:
    """Turn parts into what the function takes: its inputs to nodes, its settings to literals."""
    if isinstance(function, Primitive) and function.variadic:
        _members(build, name, arguments)
        inputs = []
    elif isinstance(function, Primitive):
        inputs = list(function.signature.parameters)[: len(function.rules)]
    else:  # the first is a node, so that the call makes a graph; plain numbers fit the others
        inputs = list(arguments)[:1]
    inputs = [key for key in inputs if isinstance(arguments.get(key), Part) and key not in WHOLE]
    made = build.nodes([arguments[key] for key in inputs])
    arguments.update(zip(inputs, made, strict=True))
    for k, (key, part) in enumerate(arguments.items()):
        if isinstance(part, Part):
            if key == "depth" and not (type(part.value) is int and part.value <= MAX_ROW):
                build.fault(f"the depth has to be an integer of at most {MAX_ROW}", part)
            whole = key in WHOLE and (k == 0 or key == "counter")
            arguments[key] = build.node(part, INT64) if whole else setting(build, part)
        elif type(part) is tuple:  # of a function that takes any number of inputs
            arguments[key] = tuple(build.nodes(part))


def _members(build: Builder, name: str, arguments: dict[str, Any]) -> None:
    """Make nodes of the list that stack and concatenate take."""
    first = next(iter(arguments))
    part = arguments[first]
    if isinstance(part.value, list | tuple):
        arguments[first] = build.nodes(part.value)
    elif not isinstance(part.value, Node):
        build.fault(f"{name} takes a list of parts, as in {name}([a, b])", part)


def setting(build: Builder, part: Part) -> Any:
    """Return a literal as it is written; but a list with nodes in it as the node of their stack."""
    value = plain(part)
    return build.node(part) if isinstance(value, list) and not is_literal(value) else value
