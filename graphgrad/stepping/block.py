"""The rule book's block of an operation: the very lines of source that define it."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from pathlib import PurePath
from types import ModuleType

from graphgrad.primitive import Primitive

__all__ = ["block"]

BOOK = "graphgrad.ops."


def block(primitive: Primitive) -> tuple[str, str]:
    """Return the lines that define an operation, and where they stand; empty when unknown.

    Example:
        >>> from graphgrad import PRIMITIVES
        >>> lines, place = block(PRIMITIVES["relu"])
        >>> lines.split("\\n")[:2], place.split(",")[0]
        (['relu = elementwise(', '    "relu",'], 'activation.py')
    """
    makers = [primitive.forward, primitive.prepare, primitive.shape, *primitive.rules]
    own = [sys.modules.get(getattr(f, "__module__", None) or "") for f in makers]
    book = [module for name, module in sys.modules.items() if name.startswith(BOOK)]
    for module in dict.fromkeys([*book, *own]):
        found = _blocks(module).get(primitive.name) if module else None
        if found:
            return found
    return "", ""


@functools.cache
def _blocks(module: ModuleType) -> dict[str, tuple[str, str]]:
    """Return the calls of a module whose first argument is a name in quotes, by that name."""
    try:
        source = inspect.getsource(module)
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        return {}
    lines = source.splitlines()
    file = PurePath(module.__file__ or "").name
    found = {}
    for statement in tree.body:
        call = getattr(statement, "value", None)
        if not (isinstance(call, ast.Call) and call.args):
            continue
        name = call.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            text = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
            found[name.value] = text, f"{file}, line {statement.lineno}"
    return found
