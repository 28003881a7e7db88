"""Calls in expression text: which functions there are, and what their arguments mean.

What one can do: ask for the `vocabulary`, and make a `call`. Functions come from the rule book and
the composites, so a new operation is callable at once. A call's arguments are read by the `Reader`
that met the call, for they may hold calls: the two files are halves of one recursion.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable
from functools import partial, reduce
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
LISTS = (ast.List, ast.Tuple)
PAIRWISE = {"max": "maximum", "min": "minimum"}
"""With several arguments people mean the largest of them."""


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
    """Return the node of a call; refuse unknown functions and arguments that do not fit."""
    if reader.closed:
        reader.fault("a value has no functions in it: write it as numbers", tree)
    keywords: dict[str, ast.expr] = {}
    for given in tree.keywords:
        if given.arg is None or given.arg in keywords:
            twice = f"{given.arg!r} is given twice"
            reader.fault(twice if given.arg else "arguments have no place for **", given)
        keywords[given.arg] = given.value
    for part in (*tree.args, *keywords.values()):
        reader.read(part)  # nodes are made in the order of writing
    if name.id in PAIRWISE and len(tree.args) > 1 and not keywords:
        pair = partial(reader.make, tree, TABLE[PAIRWISE[name.id]])
        return reduce(pair, reader.nodes(tree.args))
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


def _function(reader: Reader, name: ast.Name) -> Callable[..., Any]:
    text = name.id
    if text in reader.functions:
        return reader.functions[text]
    if text in NOT_IN_TEXT:
        reader.fault(f"{text!r} cannot be called here: {NOT_IN_TEXT[text]}", name)
    product = f"for a product write {text}*(…)"
    if text in reader.assigned or text in reader.variables:
        reader.fault(f"{text!r} is no function: {product}", name)
    close = difflib.get_close_matches(text, reader.functions, n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else product
    reader.fault(f"unknown function {text!r}: {hint}", name)


def _convert(reader: Reader, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Turn trees into what the function takes: its inputs to nodes, its settings to literals."""
    first = next(iter(arguments), "")
    # A composite has one input, so that the call makes a graph: plain numbers fit its others.
    count = len(function.rules) if isinstance(function, Primitive) else 1
    inputs = [key for key in list(arguments)[:count] if key not in ("counter", "indices")]
    whole = [key for key in arguments if key == "counter" or key == first == "indices"]
    made: dict[str, Any] = {key: reader.node(arguments[key], INT64) for key in whole}
    if isinstance(function, Primitive) and function.variadic:
        part = arguments[first]
        made[first] = reader.nodes(part.elts) if isinstance(part, LISTS) else reader.read(part)
        if not isinstance(made[first], Node | list):
            reader.fault(f"{function.name} takes a list of parts, as in [a, b]", part)
    else:
        made.update(zip(inputs, reader.nodes([arguments[key] for key in inputs])))
    for key, part in arguments.items():
        value = arguments[key] = made[key] if key in made else reader.setting(part)
        if key == "depth" and not (type(value) is int and value <= MAX_ROW):
            reader.fault(f"the depth has to be an integer of at most {MAX_ROW}", part)
