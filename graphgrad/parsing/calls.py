"""Calls in expression text: which functions there are, and what their arguments mean.

What one can do: ask for the `vocabulary`, and make a `call`. Functions come from the rule book and
the composites, so a new operation is callable at once.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphgrad import functions
from graphgrad.dtypes import INT64
from graphgrad.graph import Node
from graphgrad.ops.arithmetic import pow
from graphgrad.primitive import TABLE, Primitive

if TYPE_CHECKING:
    from graphgrad.parsing.reader import Reader

__all__ = ["NOT_IN_TEXT", "call", "vocabulary"]

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
"""With several arguments people mean the largest of them."""
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


def call(reader: Reader, tree: ast.Call, name: ast.Name) -> Node:
    """Return the node of a call.

    Raises:
        ParseError: when there is no such function, or its arguments do not fit.
    """
    if reader.closed:
        reader.fault("a value has no functions in it: write it as numbers", tree)
    keywords = _keywords(reader, tree)
    for part in (*tree.args, *keywords.values()):  # so that nodes are made in the order of writing
        reader.read(part)
    if name.id in PAIRWISE and len(tree.args) > 1 and not keywords:
        return _pairwise(reader, tree, TABLE[PAIRWISE[name.id]])
    function = _function(reader, name)
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*tree.args, **keywords)
    except TypeError as problem:
        bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        usage = f"{name.id}{inspect.Signature(bare)}"
        reader.fault(f"{name.id}: {problem}; it is called as {usage}", tree)
    if function is pow:
        return reader.power(tree, *bound.args)
    _convert(reader, function, bound.arguments)
    return reader.make(tree, function, *bound.args, **bound.kwargs)


def _keywords(reader: Reader, tree: ast.Call) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for keyword in tree.keywords:
        if keyword.arg is None:
            reader.fault("arguments are written out one by one, without a star", keyword)
        if keyword.arg in found:
            reader.fault(f"{keyword.arg!r} is given twice", keyword)
        found[keyword.arg] = keyword.value
    return found


def _function(reader: Reader, name: ast.Name) -> Callable[..., Any]:
    text = name.id
    if text in reader.functions:
        return reader.functions[text]
    product = f"for a product write {text}*(…)"
    if text in NOT_IN_TEXT:
        reader.fault(f"{text!r} cannot be called here: {NOT_IN_TEXT[text]}", name)
    if text in reader.assigned or text in reader.variables:
        reader.fault(f"{text!r} is no function: {product}", name)
    close = difflib.get_close_matches(text, reader.functions, n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else product
    reader.fault(f"unknown function {text!r}: {hint}", name)


def _pairwise(reader: Reader, tree: ast.Call, primitive: Primitive) -> Node:
    """Return ``max(a, b, c)``."""
    result, *others = reader.nodes(tree.args)
    for node in others:
        result = reader.make(tree, primitive, result, node)
    return result


def _convert(reader: Reader, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Turn trees into what the function takes: its inputs to nodes, its settings to literals."""
    first = next(iter(arguments))
    if isinstance(function, Primitive) and function.variadic:
        arguments[first] = _members(reader, function.name, arguments[first])
    elif first not in WHOLE:  # a composite has one input: plain numbers fit its others
        count = len(function.rules) if isinstance(function, Primitive) else 1
        inputs = list(arguments)[:count]
        arguments.update(zip(inputs, reader.nodes([arguments[key] for key in inputs])))
    for key, part in arguments.items():
        if not isinstance(part, ast.expr):
            continue
        whole = key in WHOLE and (key == first or key == "counter")
        value = arguments[key] = reader.node(part, INT64) if whole else reader.setting(part)
        if key == "depth" and not (type(value) is int and value <= MAX_ROW):
            reader.fault(f"the depth has to be an integer of at most {MAX_ROW}", part)


def _members(reader: Reader, name: str, part: ast.expr) -> Node | list[Node]:
    """Return the nodes of the list that stack and concatenate take."""
    if isinstance(part, ast.List | ast.Tuple):
        return reader.nodes(part.elts)
    value = reader.read(part)
    if not isinstance(value, Node):
        reader.fault(f"{name} takes a list of parts, as in {name}([a, b])", part)
    return value
